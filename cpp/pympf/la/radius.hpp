// The largest eigenvalue of D^-1 A, from below, by the power method.
#pragma once

#include <cmath>
#include <vector>

#include "pympf/common/random.hpp"
#include "pympf/la/blas1.hpp"

namespace pympf {

// `inverse` is D^-1; multiply(x, y): y = A x. Collective.
template <class Multiply>
double spectral_radius(const Communicator& comm, const std::vector<double>& inverse,
                       const Multiply& multiply) {
  const auto n = static_cast<Index>(inverse.size());
  std::vector<double> v(inverse.size()), w(inverse.size());
  for (Index i = 0; i < n; ++i)
    v[i] = (i % 2 ? 1 : -1) * (0.5 + fibonacci16(static_cast<std::uint32_t>(i)) / 65536.0);
  double rho = 1;
  for (int step = 0; step < 12; ++step) {
    multiply(v.data(), w.data());
    for (Index i = 0; i < n; ++i) w[i] *= inverse[i];
    rho = norm(comm, n, w.data());
    if (!(rho > 0)) return 1;
    scale(n, 1 / rho, w.data(), v.data());
  }
  return rho;
}

}  // namespace pympf
