// How many iterations CG with a preconditioner needs, predicted from its first steps. The cost is
// counted in products, never in seconds: the answer is the same on every machine.
//
// The right-hand side is r = D^(1/2) s, s random signs: of n errors that are orthogonal in the
// energy of D each has about 1/n of r^T D^-1 r, slow ones too and whatever the scale of their rows.
// After k steps sqrt(r^T M r) has fallen to rho_k. q slow errors show as a floor of sqrt(q / n), so
// the rate is believed when rho_k is below that of a single one, or after `longest` steps. What A
// nearly annihilates, the near-nullspace b, is taken out of r before: CG passes such an error by,
// and a singular A is never asked for what is not in its range. A graph has one for each of its
// connected components.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "pympf/common/random.hpp"
#include "pympf/la/blas1.hpp"

namespace pympf::precond {

namespace probing {

inline constexpr int longest = 16, shortest = 8;
inline constexpr double target = 1e-8;

// -1 or 1 by a bit of number i of the generator splitmix64.
inline double sign(std::uint64_t i) { return (splitmix64(fibonacci(i)) >> 33) & 1 ? 1 : -1; }

}  // namespace probing

// Connected components of a graph.
struct Components {
  Index count = 1;
  std::vector<Index> label;  // of each row; empty: there is one

  Index of(Index row) const { return label.empty() ? 0 : label[row]; }
};

// D^(1/2) s - D b (b^T D^(1/2) s) / (b^T D b) on each component, all of the same number on all
// ranks; zero where d is.
template <class T, class Diagonal, class Vector>
std::vector<T> probe_rhs(const Communicator& comm, Index rows, const Diagonal& d, const Vector& b,
                         const Components& components = {}) {
  std::vector<double> product(components.count, 0), mass(components.count, 0);
  const auto first = comm.sum_before(Global{rows});
  const auto random = [&](Index i) { return std::sqrt(d(i)) * probing::sign(first + i); };
  for (Index i = 0; i < rows; ++i) {
    product[components.of(i)] += b(i) * random(i);
    mass[components.of(i)] += b(i) * b(i) * d(i);
  }
  for (Index k = 0; k < components.count; ++k) {
    product[k] = comm.sum(product[k]);
    mass[k] = comm.sum(mass[k]);
    if (mass[k] > 0) product[k] /= mass[k];
  }
  std::vector<T> r(rows);
  for (Index i = 0; i < rows; ++i)
    r[i] = static_cast<T>(random(i) - product[components.of(i)] * d(i) * b(i));
  return r;
}

// Whether r^T M r > 0 on all vectors that a few steps of CG on A come by, from r on. It is left to
// others to find that A has a negative eigenvalue.
template <class T, class Multiply, class Precondition>
bool is_positive(const Communicator& comm, std::vector<T> r, int steps, const Multiply& multiply,
                 const Precondition& precondition) {
  const auto n = static_cast<Index>(r.size());
  const auto dot = [&](const std::vector<T>& x, const std::vector<T>& y) {
    return comm.sum(pympf::dot(n, x.data(), y.data()));
  };
  std::vector<T> z(n), p(n, T(0)), q(n);
  const double begin = dot(r, r);
  for (double k = 0, before = 0; k < steps; ++k) {
    precondition(r.data(), z.data());
    const double now = dot(r, z);
    if (!std::isfinite(now)) return false;
    if (dot(r, r) <= probing::target * probing::target * begin) return true;
    if (!(now > 0)) return false;
    axpby(n, 1, z.data(), k > 0 ? now / before : 0, p.data());
    before = now;
    multiply(p.data(), q.data());
    const double curvature = dot(p, q);
    if (!(curvature > 0)) return true;
    axpy(n, -now / curvature, q.data(), r.data());
  }
  return true;
}

// Iterations to 1e-8; none when they look like more than `most`, or A like indefinite.
// multiply(x, y): y = A x; precondition(r, z): z = M r.
template <class T, class Multiply, class Precondition>
std::optional<int> predict_iterations(const Communicator& comm, std::vector<T> r, int most,
                                      const Multiply& multiply, const Precondition& precondition,
                                      int longest = probing::longest) {
  const auto n = static_cast<Index>(r.size());
  const auto dot = [&](const std::vector<T>& x, const std::vector<T>& y) {
    return comm.sum(pympf::dot(n, x.data(), y.data()));
  };
  const double believed = 1 / std::sqrt(static_cast<double>(comm.sum(Global{n})));
  std::vector<T> z(n), p(n, T(0)), q(n);
  double before = 0, first = 0;
  std::array<double, probing::longest + 1> rho;
  // One that is shorter than `shortest` is judged by its end alone.
  for (int k = 0, check = longest < probing::shortest ? longest : 2; k <= longest; ++k) {
    precondition(r.data(), z.data());
    const double now = dot(r, z);
    if (k == 0) first = now;
    if (!(now > 0)) return k > 0 && now == 0 ? std::optional<int>(k) : std::nullopt;
    rho[k] = std::sqrt(now / first);
    // Only the powers of two turn down: the fall of a few steps is not even enough for more.
    const bool is_low = k > 1 && rho[k] < believed;
    if (k == check || is_low) {
      const double rate = std::pow(rho[k] / rho[k / 2], 1.0 / (k - k / 2));
      const double left = rate < 1 ? std::log(probing::target / rho[k]) / std::log(rate) : most;
      if (k + left <= most) {
        if (is_low || k == longest) return k + std::max(0, static_cast<int>(left));
      } else if (k == check) {
        return {};
      }
      if (k == check) check *= 2;
    }
    axpby(n, 1, z.data(), k > 0 ? now / before : 0, p.data());
    before = now;
    multiply(p.data(), q.data());
    const double curvature = dot(p, q);
    if (!(curvature > 0)) return {};
    axpy(n, -now / curvature, q.data(), r.data());
  }
  return {};
}

}  // namespace pympf::precond
