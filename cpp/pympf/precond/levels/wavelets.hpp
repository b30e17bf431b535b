// The wavelets of a stage as the additive cycle needs them.
#pragma once

#include "pympf/precond/levels/transfer.hpp"

namespace pympf::precond {

// Z, block-diagonal over the clusters C: Z_C = W (W^T A_CC W)^-1 W^T, where the columns of W span
// the complement of D B_C, D = diag(A). A row without a cluster gets 1 / a_ii, or 0. With g = D B_C
// and K = A_CC + sigma g g^T, any sigma:
//
//   Z_C = K^-1 - K^-1 g (g^T K^-1 g)^-1 g^T K^-1
Csr<double> wavelet_inverse(const CsrView<double>& A, const NearNullspace& B,
                            const Clustering& clusters, Index block);

}  // namespace pympf::precond
