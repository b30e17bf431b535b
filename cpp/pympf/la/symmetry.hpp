// Whether a matrix is symmetric: in its values, where each pair is judged by its own rows, and in
// its pattern, which setups trust.
//
//   |a_ij - a_ji| <= t max(|a_ij|, |a_ji|, w_i w_j)      t = 1e-12 in double, 1e-5 in float
//
// w_i is the size of row i. It is sqrt|a_ii|, for an entry of a semidefinite matrix, and every
// element's share of it, is at most w_i w_j, and so is what rounding left of the sum. Where a_ii =
// 0 it is the largest |a_ij| / w_j of the neighbours that have a diagonal entry, and 0 without any.
// All this scales as the matrix does: D A D, D diagonal, is judged as A is.
#pragma once

#include "pympf/la/dist_rows.hpp"

namespace pympf {

struct Asymmetry {
  double gap = 0;              // the largest |a_ij - a_ji| that is too large; 0: symmetric
  double allowed = 0;          // at its place
  Global row = 0, column = 0;  // the first such place, row < column
  double relative = 0;         // the largest such |a_ij - a_ji| over max(|a_ij|, |a_ji|, w_i w_j)
  bool one_sided = false;      // an entry is stored, and its mirror image is not
};

// The same on all ranks. Collective, as all here is.
template <class T>
Asymmetry asymmetry(const DistRows<T>& A);
// The same, with the diagonal of own rows, which it comes by.
template <class T>
Asymmetry asymmetry(const DistRows<T>& A, std::vector<T>& diagonal);

// The same matrix, with zeros where only the mirror image is stored.
template <class T>
DistRows<T> with_symmetric_pattern(const DistRows<T>& A);

// InvalidArgument for columns out of range or out of order, and for entries without a stored mirror
// image. Costs a pass unless A.symmetric_pattern says that it is known.
template <class T>
void require_symmetric_pattern(const DistRows<T>& A);

}  // namespace pympf
