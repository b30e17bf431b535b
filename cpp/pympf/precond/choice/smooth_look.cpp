#include "pympf/precond/choice/smooth_look.hpp"

#include <algorithm>

namespace pympf::precond {
namespace {

// The eigenvalue before which `before` others lie, by bisection on the count of negative pivots of
// T - x (Sylvester).
double eigenvalue(const std::vector<double>& d, const std::vector<double>& e, std::size_t before,
                  Range within) {
  const auto count_below = [&](double x) {
    std::size_t count = 0;
    double pivot = 1;
    for (std::size_t i = 0; i < d.size(); ++i) {
      pivot = d[i] - x - (i > 0 ? e[i - 1] * e[i - 1] / pivot : 0);
      if (pivot == 0) pivot = 1e-300;
      count += pivot < 0;
    }
    return count;
  };
  for (int step = 0; step < 60; ++step) {
    const double middle = (within.least + within.most) / 2;
    (count_below(middle) > before ? within.most : within.least) = middle;
  }
  return (within.least + within.most) / 2;
}

}  // namespace

Range ritz_range(const std::vector<double>& alpha, const std::vector<double>& beta) {
  const std::size_t k = alpha.size();
  if (k == 0) return {};
  std::vector<double> d(k), e(k);
  Range within{HUGE_VAL, 0};
  for (std::size_t i = 0; i < k; ++i) {
    d[i] = 1 / alpha[i] + (i > 0 ? beta[i - 1] / alpha[i - 1] : 0);
    e[i] = i + 1 < k ? std::sqrt(beta[i]) / alpha[i] : 0;
  }
  for (std::size_t i = 0; i < k; ++i) {  // Gershgorin's circles
    const double radius = e[i] + (i > 0 ? e[i - 1] : 0);
    within.least = std::min(within.least, d[i] - radius);
    within.most = std::max(within.most, d[i] + radius);
  }
  return {eigenvalue(d, e, 0, within), eigenvalue(d, e, k - 1, within)};
}

}  // namespace pympf::precond
