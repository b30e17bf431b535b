#include "pympf/approx/rotation.hpp"

#include <cmath>

namespace pympf::approx {
namespace {

struct Plane {
  double c = 1, s = 0;
};

// tan(angle/2) of a plane rotation, or of the one with both signs changed.
double half_tangent(Plane g) { return g.c < 0 ? -g.s / (1 - g.c) : g.s / (1 + g.c); }

std::array<double, 4> plane_matrix(double t) {
  const double d = 1 / (1 + t * t), c = (1 - t * t) * d, s = 2 * t * d;
  return {c, s, -s, c};
}

// (x, y) -> (length, 0).
Plane onto_first(double x, double y) {
  const double length = std::sqrt(x * x + y * y);
  return length > 0 ? Plane{x / length, y / length} : Plane{};
}

// Brings [p r; r q] to diagonal form, the larger eigenvalue first.
Plane eigenvectors(double p, double r, double q) {
  const double difference = p - q, length = std::sqrt(difference * difference + 4 * r * r);
  if (length == 0) return {};
  const double cosine = difference / length, sine = 2 * r / length;  // of twice the angle
  if (cosine >= 0) {
    const double c = std::sqrt((1 + cosine) / 2);
    return {c, sine / (2 * c)};
  }
  const double s = std::copysign(std::sqrt((1 - cosine) / 2), sine);
  return {sine / (2 * s), s};
}

struct Axis {
  double a = 0, b = 0;
};

// u = (1, 0, a, b) / sqrt(1 + a^2 + b^2) with u v conj(u) on the first axis.
Axis onto_axis(double v1, double v2, double v3) {
  const double length = std::sqrt(v1 * v1 + v2 * v2 + v3 * v3);
  if (length == 0) return {};
  const double sign = v1 >= 0 ? 1 : -1, d = 1 + std::abs(v1) / length;
  return {sign * v3 / length / d, -sign * v2 / length / d};
}

}  // namespace

std::array<double, 2> DirectRotation::decouple(const Matrix& M) {
  const auto [a, b, c, d] = M;
  // A row or column of zeros stays as it is, for it may not be there.
  if (c == 0 && d == 0) return {0.0, half_tangent(onto_first(a, b))};
  if (a == 0 && b == 0) return {0.0, half_tangent(onto_first(d, -c))};
  if (b == 0 && d == 0) return {half_tangent(onto_first(a, c)), 0.0};
  if (a == 0 && c == 0) return {half_tangent(onto_first(d, -b)), 0.0};
  const Plane turn = onto_first(a + d, c - b);  // turn * M is symmetric
  const double p = turn.c * a + turn.s * c, q = -turn.s * b + turn.c * d;
  const double r = ((turn.c * b + turn.s * d) + (-turn.s * a + turn.c * c)) / 2;
  const Plane v = eigenvectors(p, r, q);
  const Plane u{v.c * turn.c - v.s * turn.s, v.s * turn.c + v.c * turn.s};
  return {half_tangent(u), half_tangent(v)};
}

DirectRotation::Matrix DirectRotation::matrix(Side side) const {
  return plane_matrix(t[side == Side::columns]);
}

std::array<double, 1> SymmetricRotation::decouple(const Matrix& M) {
  const double sign = M[0] + M[3] < 0 ? -1 : 1;
  return {half_tangent(eigenvectors(sign * M[0], sign * M[1], sign * M[3]))};
}

SymmetricRotation::Matrix SymmetricRotation::matrix(Side) const { return plane_matrix(t[0]); }

std::array<double, 4> SkewRotation::decouple(const Matrix& K) {
  const auto k = [&](int i, int j) { return K[4 * i + j]; };
  const Axis u =
      onto_axis((k(1, 0) + k(3, 2)) / 2, (k(2, 0) + k(1, 3)) / 2, (k(3, 0) + k(2, 1)) / 2);
  // q = -p, and w = u keeps the first row.
  if (k(1, 0) == 0 && k(2, 0) == 0 && k(3, 0) == 0) return {u.a, u.b, u.a, u.b};
  const Axis w =
      onto_axis((k(1, 0) - k(3, 2)) / 2, (k(2, 0) - k(1, 3)) / 2, (k(3, 0) - k(2, 1)) / 2);
  return {u.a, u.b, w.a, w.b};
}

SkewRotation::Matrix SkewRotation::matrix(Side) const {
  const auto [a, b, c, d] = t;
  const double scale = 1 / std::sqrt((1 + a * a + b * b) * (1 + c * c + d * d));
  const double L[4][4] = {{1, 0, -a, -b}, {0, 1, -b, a}, {a, b, 1, 0}, {b, -a, 0, 1}};
  const double R[4][4] = {{1, 0, c, d}, {0, 1, -d, c}, {-c, d, 1, 0}, {-d, -c, 0, 1}};
  Matrix Q{};
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) {
      double sum = 0;
      for (int k = 0; k < 4; ++k) sum += L[i][k] * R[k][j];
      Q[4 * i + j] = sum * scale;
    }
  if (a == c && b == d) {
    Q[0] = 1;
    Q[1] = Q[2] = Q[3] = Q[4] = Q[8] = Q[12] = 0;
  }
  return Q;
}

}  // namespace pympf::approx
