// How many iterations CG with a preconditioner needs, foretold by its first steps. The cost is
// counted in products, never in seconds: the answer is the same on every machine.
//
// The side is r = D^(1/2) s, s random signs: of n errors that are orthogonal in the energy of D
// each has about 1/n of r^T D^-1 r, slow ones too and whatever the scale of their rows. After k
// steps sqrt(r^T M r) has fallen to rho_k. q slow errors show as a floor of sqrt(q / n), so the
// rate is believed when rho_k is below that of a single one, or after `longest` steps. What A
// nearly annihilates, the near-nullspace b, is taken out of r before: CG passes one such error by.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "pympf/la/blas1.hpp"

namespace pympf::precond {

namespace probing {

inline constexpr int longest = 16;
inline constexpr double target = 1e-8;

// -1 or 1 by the parity of a scrambled index (the finalizer of the generator splitmix64).
inline double sign(std::uint64_t i) {
  i = (i + 1) * 0x9E3779B97F4A7C15ull;
  i = (i ^ (i >> 30)) * 0xBF58476D1CE4E5B9ull;
  i = (i ^ (i >> 27)) * 0x94D049BB133111EBull;
  return (i >> 33) & 1 ? 1 : -1;
}

}  // namespace probing

// D^(1/2) s - D b (b^T D^(1/2) s) / (b^T D b); zero where d is.
template <class T, class Diagonal, class Vector>
std::vector<T> probe_side(const Communicator& comm, Index rows, const Diagonal& d,
                          const Vector& b) {
  double product = 0, mass = 0;
  const auto first = comm.sum_before(Global{rows});
  const auto random = [&](Index i) { return std::sqrt(d(i)) * probing::sign(first + i); };
  for (Index i = 0; i < rows; ++i) {
    product += b(i) * random(i);
    mass += b(i) * b(i) * d(i);
  }
  product = comm.sum(product);
  mass = comm.sum(mass);
  const double part = mass > 0 ? product / mass : 0;
  std::vector<T> r(rows);
  for (Index i = 0; i < rows; ++i) r[i] = static_cast<T>(random(i) - part * d(i) * b(i));
  return r;
}

// Iterations to 1e-8; none when they look like more than `most`, or A like indefinite.
// multiply(x, y): y = A x; precondition(r, z): z = M r.
template <class T, class Multiply, class Precondition>
std::optional<int> foretell(const Communicator& comm, std::vector<T> r, int most,
                            const Multiply& multiply, const Precondition& precondition) {
  const auto n = static_cast<Index>(r.size());
  const auto dot = [&](const std::vector<T>& x, const std::vector<T>& y) {
    return comm.sum(pympf::dot(n, x.data(), y.data()));
  };
  const double believed = 1 / std::sqrt(static_cast<double>(comm.sum(Global{n})));
  std::vector<T> z(n), p(n, T(0)), q(n);
  double before = 0, first = 0, half = 1;  // half: rho_(k/2)
  for (int k = 0, check = 1; k <= probing::longest; ++k) {
    precondition(r.data(), z.data());
    const double now = dot(r, z);
    if (k == 0) first = now;
    if (!(now > 0)) return k > 0 && now == 0 ? std::optional<int>(k) : std::nullopt;
    if (k == check) {
      const double rho = std::sqrt(now / first), rate = std::pow(rho / half, 2.0 / k);
      if (k > 1) {
        const double left = rate < 1 ? std::log(probing::target / rho) / std::log(rate) : most;
        if (k + left > most) return {};
        if (rho < believed || k == probing::longest) return k + std::max(0, static_cast<int>(left));
      }
      half = rho;
      check *= 2;
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
