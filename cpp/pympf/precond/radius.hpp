// The largest eigenvalue of D^-1 A, from below, by the power method.
#pragma once

#include <cmath>
#include <vector>

#include "pympf/mpi/comm.hpp"

namespace pympf::precond {

// multiply(x, y): y = A x. Rows with d <= 0 are left out.
template <class Multiply>
double spectral_radius(const Communicator& comm, const std::vector<double>& d,
                       const Multiply& multiply) {
  const std::size_t n = d.size();
  std::vector<double> v(n), w(n);
  for (std::size_t i = 0; i < n; ++i)
    v[i] = 0.5 + ((static_cast<std::int32_t>(i) * 2654435761u) >> 16 & 0xffff) / 65536.0;
  for (std::size_t i = 0; i < n; i += 2) v[i] = -v[i];
  double rho = 0;
  for (int iteration = 0; iteration < 12; ++iteration) {
    multiply(v.data(), w.data());
    double norm2 = 0;
    for (std::size_t i = 0; i < n; ++i) {
      w[i] = d[i] > 0 ? w[i] / d[i] : 0;
      norm2 += w[i] * w[i];
    }
    rho = std::sqrt(comm.sum(norm2));
    if (!(rho > 0)) return 1;
    for (std::size_t i = 0; i < n; ++i) v[i] = w[i] / rho;
  }
  return rho;
}

}  // namespace pympf::precond
