#include "pympf/la/balance.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace pympf {
namespace {

constexpr int none = std::numeric_limits<int>::min() / 4;
// Each halves what is left of the exponents, which are below 2^12.
constexpr int most_passes = 16;

// ilogb, read from the bits of a normal number: every entry of A is asked for it.
template <class T>
int exponent_of(T value) {
  using Bits = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
  constexpr int digits = std::numeric_limits<T>::digits - 1;
  constexpr int special = 2 * std::numeric_limits<T>::max_exponent - 1;  // infinity, NaN
  const int biased = static_cast<int>(std::bit_cast<Bits>(value) >> digits) & special;
  if (biased == special || value == 0) return none;
  return biased > 0 ? biased - special / 2 : std::ilogb(value);
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
