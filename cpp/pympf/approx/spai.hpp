// Sparse approximate inverses in a wavelet basis W, column by column (thesis, section 2.3.1).
//
// WSPAI (Chan, Tang, Wan): min ||(W^T A W) M - I|| over block-diagonal M; then W M W^T ~ A^-1.
// IWSPAI (algorithms 3 and 4; Hawkins, Chen): min ||A M - W|| over M with the entries of W; then
// M W^T ~ A^-1. Line 5 of algorithm 4 must read m_j(S_j) = z.
//
//   paper   code
//   S_j     column j of `pattern`
//   T_j     rows with an entry in A(:, S_j)
//
// QR (LAPACK) costs 2 |T_j| |S_j|^2 multiply-adds, LSQR 2 nnz(A(:, S_j)) an iteration. Both take
// columns of norm 1, so that jumps in A do no harm. Columns are independent: threads share them,
// with the same bits on any number.
#pragma once

#include "pympf/approx/wavelet.hpp"
#include "pympf/la/csr.hpp"

namespace pympf::approx {

struct SpaiParams {
  bool lsqr = false;
  double rtol = 1e-8;   // of LSQR: ||r|| / ||b||, or ||A^T r|| / (||A|| ||r||)
  Index maxiter = 500;  // of LSQR
};

struct SparseInverse {
  Csr<double> M;              // by columns
  Index dependent = 0;        // columns of QR that got the solution of least norm
  Index unconverged = 0;      // columns of LSQR that stopped at maxiter
  Index most_iterations = 0;  // of LSQR
};

// Columns m_j = argmin ||A m_j - w_j|| that are nonzero on S_j only; all hold columns as rows.
SparseInverse sparse_inverse(const CsrView<double>& A, const CsrView<double>& W,
                             const CsrView<double>& pattern, const SpaiParams& params);

SparseInverse wspai(const CsrView<double>& A, const Wavelets& W, Index block);
SparseInverse iwspai(const CsrView<double>& A, const Wavelets& W, const SpaiParams& params);

}  // namespace pympf::approx
