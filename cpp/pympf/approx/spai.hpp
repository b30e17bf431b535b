// Sparse approximate inverses: columns m_j = argmin ||A m_j - w_j||, nonzero on a given S_j only
// (thesis, section 2.2, algorithm 4; Hawkins and Chen). Line 5 of it must read m_j(S_j) = z.
//
//   paper   code
//   A       A, by columns
//   W       W, by columns: what A M shall be
//   S_j     the pattern's column j
//   T_j     rows with an entry in A(:, S_j)
//
// Least squares by Householder's QR of the dense A(T_j, S_j): 2 |T_j| |S_j|^2 multiply-adds. A
// column that depends on those before it, to rounding, gets a zero. Columns are independent:
// threads share them, and the bits are the same on any number.
#pragma once

#include <vector>

#include "pympf/la/csr.hpp"

namespace pympf::approx {

// Values in the order of the pattern. All three hold columns as rows of a CsrView.
std::vector<double> sparse_inverse(const CsrView<double>& A, const CsrView<double>& W,
                                   const CsrView<double>& pattern);

}  // namespace pympf::approx
