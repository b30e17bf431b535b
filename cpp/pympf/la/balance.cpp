#include "pympf/la/balance.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pympf {
namespace {

constexpr int none = std::numeric_limits<int>::min() / 4;
// Each halves what is left of the exponents, which are below 2^12.
constexpr int most_passes = 16;

template <class T>
int exponent_of(T value) {
  return value != 0 && std::isfinite(value) ? std::ilogb(value) : none;
}

// max_j e_ij + u_j, e_ij the exponent of |a_ij|; below `none` / 2 in a row of zeros.
template <class T>
int largest_exponent(const CsrView<T>& rows, Index i, const std::vector<int>& u) {
  int largest = none;
  for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p)
    largest = std::max(largest, exponent_of(rows.data[p]) + u[rows.indices[p]]);
  return largest;
}

}  // namespace

template <class T>
std::vector<int> balancing_exponents(const DistRows<T>& A) {
  const Halo halo(A);
  const std::vector<T> d = diagonal(A);
  std::vector<int> all(A.column_count(), 0), own(A.own());
  for (Index i = 0; i < A.own(); ++i) {
    const int from_diagonal = exponent_of(d[i]);
    const int start = from_diagonal > none ? from_diagonal : largest_exponent(A.rows, i, all);
    own[i] = start > none / 2 ? -start / 2 : 0;
  }
  bool changed = true;
  for (int pass = 0; pass < most_passes && changed; ++pass) {
    std::copy(own.begin(), own.end(), all.begin() + A.shift);
    halo(all);
    changed = false;
    for (Index i = 0; i < A.own(); ++i) {
      const int largest = largest_exponent(A.rows, i, all);
      const int step = largest > none / 2 ? -(largest + own[i]) / 2 : 0;
      own[i] += step;
      changed |= step != 0;
    }
    changed = A.comm.max(Global{changed}) > 0;
  }
  return own;
}

template std::vector<int> balancing_exponents(const DistRows<float>&);
template std::vector<int> balancing_exponents(const DistRows<double>&);

}  // namespace pympf
