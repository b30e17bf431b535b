// The definite matrix that stands for a saddle point.
//
//   A = [F  B^T]        companion  [F  0]     S = diag(B diag(F)^-1 B^T) + |diag(C)|
//       [B  -C ]                   [0  S]
//
// With F positive definite and S near the Schur complement B F^-1 B^T + C, the eigenvalues of
// [F 0; 0 S]^-1 A lie in two short intervals about zero (M. F. Murphy, G. H. Golub, A. J. Wathen,
// "A note on preconditioning for indefinite linear systems", SIAM J. Sci. Comput. 21, 2000):
// a preconditioner of the companion is a positive definite one of A, for MINRES.
#pragma once

#include <optional>

#include "pympf/la/dist_rows.hpp"

namespace pympf::precond {

// Rows with a_ii > 0 are those of F, the others those of B; rows of zeros stay so. None when no row
// has a_ii > 0, or all have (but for rows of zeros), or a number leaves the range of T. Collective.
template <class T>
std::optional<DistRows<T>> definite_companion(const DistRows<T>& A, const std::vector<T>& diagonal);

}  // namespace pympf::precond
