// Scales that take the rows' units from a symmetric matrix.
#pragma once

#include <vector>

#include "pympf/la/dist_rows.hpp"

namespace pympf {

// u with D = diag(2^u_i) such that the largest entry of each row of D A D is near 1: between 1/4
// and 4, but where A has hardly any entries to choose from; 0 in rows of zeros. Of a positive
// definite matrix these are the rounded 1 / sqrt(a_ii), as |a_ij| <= sqrt(a_ii a_jj). In the
// integers, so that no scale of the rows leaves the range. Collective.
//
// Reference: D. Ruiz, "A scaling algorithm to equilibrate both rows and columns norms in matrices",
// RAL-TR-2001-034, Rutherford Appleton Laboratory, 2001.
template <class T>
std::vector<int> balancing_exponents(const DistRows<T>& A);

}  // namespace pympf
