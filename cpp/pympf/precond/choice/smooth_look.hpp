// A few steps of CG from a smooth error, and the bound of its steps by the Ritz values.
//
// The residual of the start is r = D w with a hat over the rows,
//   w_i = 1 - |2 (i + 1/2) / n - 1|, without the constant where A nearly annihilates it.
// The Lanczos matrix T (alpha_k, beta_k) of k steps has eigenvalues within the range of those of
// M A, and as w is smooth, the least one tells of the smooth end at once:
//   about (ln 2e8) / 2 * sqrt(theta_max / theta_min) steps to 1e-8
// (Y. Saad, Iterative Methods for Sparse Linear Systems, 2003, 6.7.3 and 6.11.3). It grows with k.
// Where the rows are in no order, w is not smooth, and little is told.
#pragma once

#include <cmath>
#include <vector>

#include "pympf/la/blas1.hpp"
#include "pympf/precond/choice/plan.hpp"
#include "pympf/precond/probe.hpp"

namespace pympf::precond {

struct Range {
  double least = 0, most = 0;
};

// Of the eigenvalues of the Lanczos matrix of k steps of CG: alpha has k numbers, beta k - 1.
Range ritz_range(const std::vector<double>& alpha, const std::vector<double>& beta);

// multiply(x, y): y = A x; precondition(r, z): z = M r. Collective.
template <class T, class Multiply, class Precondition>
class SmoothLook {
 public:
  SmoothLook(const Communicator& comm, const std::vector<T>& d, bool small_sums, Multiply multiply,
             Precondition precondition)
      : comm_(comm),
        multiply_(std::move(multiply)),
        precondition_(std::move(precondition)),
        r_(start(comm, d, small_sums)),
        z_(d.size()),
        p_(d.size()),
        q_(d.size()) {
    precondition_(r_.data(), z_.data());
    p_ = z_;
    rz_ = dot(r_, z_);
  }

  // Infinite where A or M is not positive.
  double steps_after(int steps) {
    while (static_cast<int>(alpha_.size()) < steps && !has_converged_)
      if (!advance()) return Offer::unknown;
    const Range theta = ritz_range(alpha_, beta_);
    if (!(theta.least > rounding * theta.most)) return Offer::unknown;
    return std::log(2 / probing::target) / 2 * std::sqrt(theta.most / theta.least);
  }

 private:
  static constexpr double rounding = 1e-10;

  static std::vector<T> start(const Communicator& comm, const std::vector<T>& d, bool small_sums) {
    const Global own = static_cast<Global>(d.size());
    const auto first = static_cast<double>(comm.sum_before(own));
    const auto rows = static_cast<double>(comm.sum(own));
    std::vector<T> w(d.size());
    double product = 0, mass = 0;
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double place = (first + static_cast<double>(i) + 0.5) / rows;
      w[i] = static_cast<T>(1 - std::abs(2 * place - 1));
      product += double{d[i]} * w[i];
      mass += d[i];
    }
    product = comm.sum(product);
    mass = comm.sum(mass);
    const double mean = small_sums && mass > 0 ? product / mass : 0;
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<T>(d[i] * (w[i] - mean));
    return w;
  }

  double dot(const std::vector<T>& x, const std::vector<T>& y) const {
    return comm_.sum(pympf::dot(static_cast<Index>(x.size()), x.data(), y.data()));
  }

  bool advance() {
    const auto n = static_cast<Index>(r_.size());
    if (!alpha_.empty()) {
      beta_.push_back(rz_ / before_);
      axpby(n, 1, z_.data(), beta_.back(), p_.data());
    }
    multiply_(p_.data(), q_.data());
    const double curvature = dot(p_, q_);
    if (!(curvature > 0 && rz_ > 0) || !std::isfinite(curvature)) return false;
    alpha_.push_back(rz_ / curvature);
    axpy(n, -alpha_.back(), q_.data(), r_.data());
    precondition_(r_.data(), z_.data());
    before_ = rz_;
    rz_ = dot(r_, z_);
    has_converged_ = rz_ <= rounding * before_;  // w is of few eigenvectors
    return true;
  }

  const Communicator& comm_;
  const Multiply multiply_;
  const Precondition precondition_;
  std::vector<T> r_, z_, p_, q_;
  std::vector<double> alpha_, beta_;
  double rz_ = 0, before_ = 0;
  bool has_converged_ = false;
};

}  // namespace pympf::precond
