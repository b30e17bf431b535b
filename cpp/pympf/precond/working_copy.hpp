// What a setup reads of a matrix before it works on it: its sign, its pattern, its values in
// float64.
#pragma once

#include <cstddef>
#include <type_traits>
#include <vector>

#include "pympf/common/random.hpp"
#include "pympf/la/dist_rows.hpp"

namespace pympf::precond {

// No diagonal entry is positive, and some are negative. Collective.
template <class T>
bool is_negative(const Communicator& comm, const std::vector<T>& diagonal) {
  Global negative = 0, positive = 0;
  for (T d : diagonal) {
    if (d < 0) ++negative;
    if (d > 0) ++positive;
  }
  return comm.sum(negative) > 0 && comm.sum(positive) == 0;
}

// The matrix in double precision, positive if it is definite; without a copy where that can be.
template <class T>
DistRows<double> working_copy(const DistRows<T>& A, bool negative) {
  if constexpr (std::is_same_v<T, double>)
    if (!negative) return view_of(A);
  const double sign = negative ? -1 : 1;
  return with_values<double>(A, [&](Index, Index p) { return sign * A.rows.data[p]; });
}

// Of the pattern: to see whether it is the same one. A sum of scrambled (place, number), so that no
// term waits for another.
template <class T>
std::size_t hash(const DistRows<T>& matrix) {
  const CsrView<T>& A = matrix.rows;
  const auto scrambled = [](std::size_t place, Index v) {
    return fold_in(fibonacci(place), static_cast<std::size_t>(v));
  };
  std::size_t sum = static_cast<std::size_t>(A.rows);
  for (Index i = 0; i <= A.rows; ++i) sum += scrambled(i, A.indptr[i]);
  for (Index p = 0; p < A.nnz(); ++p) sum += 3 * scrambled(p, A.indices[p]);
  for (std::size_t c = 0; c < matrix.columns.size(); ++c)
    sum += 5 * scrambled(c, static_cast<Index>(matrix.columns[c]));
  return sum;
}

}  // namespace pympf::precond
