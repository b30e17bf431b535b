#include "pympf/la/range.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pympf {

template <class T>
std::optional<DistRows<T>> within_range(const DistRows<T>& A, const std::vector<T>& diagonal) {
  double least = std::numeric_limits<double>::infinity(), largest = 0;
  for (T d : diagonal) {
    const double magnitude = std::abs(double{d});
    largest = std::max(largest, magnitude);
    if (magnitude > 0) least = std::min(least, magnitude);
  }
  largest = A.comm.max(largest);
  const double limit = std::ldexp(largest, std::numeric_limits<T>::digits > 24 ? -1000 : -120);
  if (A.comm.min(least) >= limit) return {};
  return with_values<T>(A, [&](Index, Index p) {
    const T value = A.rows.data[p];
    return std::abs(double{value}) < limit ? T(0) : value;
  });
}

template std::optional<DistRows<float>> within_range(const DistRows<float>&,
                                                     const std::vector<float>&);
template std::optional<DistRows<double>> within_range(const DistRows<double>&,
                                                      const std::vector<double>&);

}  // namespace pympf
