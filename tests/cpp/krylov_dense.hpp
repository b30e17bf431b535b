// What the tests of the Krylov methods share: dense matrices, a reference for each, one call.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "pympf/common/random.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/krylov.hpp"

namespace pympf::krylov_test {

using Vector = std::vector<double>;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Method kAll[] = {Method::cg, Method::fcg, Method::minres, Method::gmres, Method::fgmres};

// ---- dense reference

struct Dense {
  explicit Dense(Index rows) : n(rows), entries(static_cast<std::size_t>(rows) * rows) {}
  double& operator()(Index i, Index j) { return entries[static_cast<std::size_t>(i) * n + j]; }
  double operator()(Index i, Index j) const { return entries[static_cast<std::size_t>(i) * n + j]; }

  Vector operator*(const Vector& x) const {
    Vector y(n);
    for (Index i = 0; i < n; ++i) {
      for (Index j = 0; j < n; ++j) y[i] += (*this)(i, j) * x[j];
    }
    return y;
  }

  Operator<double> as_operator() const {
    return [this](const double* x, double* y) { std::ranges::copy(*this * Vector(x, x + n), y); };
  }

  Index n;
  Vector entries;
};

inline Dense operator*(const Dense& A, const Dense& B) {
  Dense C(A.n);
  for (Index i = 0; i < A.n; ++i) {
    for (Index j = 0; j < A.n; ++j) {
      for (Index k = 0; k < A.n; ++k) C(i, j) += A(i, k) * B(k, j);
    }
  }
  return C;
}

inline Dense diagonal(const Vector& d) {
  Dense D(static_cast<Index>(d.size()));
  for (Index i = 0; i < D.n; ++i) D(i, i) = d[i];
  return D;
}

inline double dot(const Vector& x, const Vector& y) {
  return pympf::dot(static_cast<Index>(x.size()), x.data(), y.data());
}
inline double norm(const Vector& x) { return std::sqrt(dot(x, x)); }

inline Vector plus(const Vector& x, double a, const Vector& y) {
  Vector sum = x;
  for (std::size_t i = 0; i < x.size(); ++i) sum[i] += a * y[i];
  return sum;
}

// A^-1 b by Gaussian elimination with pivoting
inline Vector dense_solve(Dense A, Vector b) {
  for (Index k = 0; k < A.n; ++k) {
    Index pivot = k;
    for (Index i = k; i < A.n; ++i) {
      if (std::abs(A(i, k)) > std::abs(A(pivot, k))) pivot = i;
    }
    for (Index j = 0; j < A.n; ++j) std::swap(A(k, j), A(pivot, j));
    std::swap(b[k], b[pivot]);
    for (Index i = k + 1; i < A.n; ++i) {
      const double factor = A(i, k) / A(k, k);
      for (Index j = k; j < A.n; ++j) A(i, j) -= factor * A(k, j);
      b[i] -= factor * b[k];
    }
  }
  for (Index k = A.n; k-- > 0;) {
    for (Index j = k + 1; j < A.n; ++j) b[k] -= A(k, j) * b[j];
    b[k] /= A(k, k);
  }
  return b;
}

inline Vector random_vector(Index n, unsigned stream = 0) {
  Random random(11, stream, 0);
  Vector x(n);
  for (double& value : x) value = random.next() / 2147483648.0 - 1;
  return x;
}

inline Dense random_dense(Index n, unsigned stream = 0) {
  Dense A(n);
  A.entries = random_vector(n * n, stream);
  return A;
}

// Q diag(eigenvalues) Q^T with a random orthogonal Q: a product of reflections
inline Dense symmetric(const Vector& eigenvalues) {
  Dense A = diagonal(eigenvalues);
  const Index n = A.n;
  for (unsigned k = 0; k < 3; ++k) {
    const Vector u = random_vector(n, 100 + k);
    Dense H(n);
    for (Index i = 0; i < n; ++i) {
      for (Index j = 0; j < n; ++j) H(i, j) = (i == j) - 2 * u[i] * u[j] / dot(u, u);
    }
    A = H * A * H;
  }
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < i; ++j) A(i, j) = A(j, i);
  }
  return A;
}

inline Vector linspace(double from, double to, Index n) {
  Vector x(n);
  for (Index i = 0; i < n; ++i) x[i] = from + (to - from) * i / (n - 1);
  return x;
}

inline Dense random_spd(Index n) { return symmetric(linspace(1, 50, n)); }
inline Dense random_indefinite(Index n) {
  Vector d = linspace(-20, 30, n);
  for (double& value : d) value += value < 0 ? -1 : 1;
  return symmetric(d);
}
// Eigenvalues in the right half-plane, far from normal
inline Dense random_nonsymmetric(Index n) {
  Dense A = random_dense(n, 5);
  for (Index i = 0; i < n; ++i) A(i, i) += 6;
  return A;
}

// The Laplacian of a path: singular, null vector 1
inline Dense path_laplacian(Index n) {
  Dense A(n);
  for (Index i = 0; i + 1 < n; ++i) {
    A(i, i) += 1;
    A(i + 1, i + 1) += 1;
    A(i, i + 1) = A(i + 1, i) = -1;
  }
  return A;
}

// Orthonormal basis of span{r, B r, ..., B^(k-1) r}
inline std::vector<Vector> krylov_basis(const Dense& B, const Vector& r, int k) {
  std::vector<Vector> V;
  for (int j = 0; j < k; ++j) {
    Vector w = j == 0 ? r : B * V.back();
    for (int pass = 0; pass < 2; ++pass) {
      for (const Vector& v : V) w = plus(w, -dot(v, w), v);
    }
    V.push_back(plus(Vector(w.size()), 1 / norm(w), w));
  }
  return V;
}

// min || r - B q || over q in the Krylov space of B and r of dimension k
inline double smallest_residual(const Dense& B, const Vector& r, int k) {
  std::vector<Vector> image;
  Vector rest = r;
  for (const Vector& v : krylov_basis(B, r, k)) {
    Vector w = B * v;
    for (int pass = 0; pass < 2; ++pass) {
      for (const Vector& u : image) w = plus(w, -dot(u, w), u);
    }
    image.push_back(plus(Vector(w.size()), 1 / norm(w), w));
    rest = plus(rest, -dot(image.back(), rest), image.back());
  }
  return norm(rest);
}

// ---- one call

struct Outcome {
  KrylovResult result;
  Vector x;
};

inline Outcome run(const Operator<double>& A, const Vector& b, KrylovParams params,
                   const Operator<double>* M = nullptr, Vector x0 = {},
                   const KrylovCallback<double>& callback = {}) {
  if (x0.empty()) x0.resize(b.size());
  Outcome out{{}, x0};
  out.result = solve(A, M, static_cast<Index>(b.size()), b.data(), out.x.data(), params, callback);
  return out;
}

inline double relative_residual(const Dense& A, const Vector& b, const Vector& x) {
  return norm(plus(b, -1, A * x)) / norm(b);
}

inline bool all_finite(const Vector& x) {
  return std::ranges::all_of(x, [](double value) { return std::isfinite(value); });
}

// A preconditioner that is not M(r) = c r but leaves all methods convergent
inline Dense some_preconditioner(Index n) {
  Vector d(n);
  for (Index i = 0; i < n; ++i) d[i] = 1.0 / (1 + i % 4);
  return diagonal(d);
}

}  // namespace pympf::krylov_test
