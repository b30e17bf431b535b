// Dense LAPACK and BLAS calls. They run on one thread, so that their last bits do not depend on the
// number of threads.
#pragma once

#include <vector>

#include "pympf/la/csr.hpp"

namespace pympf {

// While there is one, BLAS runs on one thread for each of its `callers`, which have the memory that
// it needs: OpenBLAS asks for it again and again, for ever, where there is none. Throws bad_alloc.
class SerialBlas {
 public:
  explicit SerialBlas(int callers = 1);
  ~SerialBlas();
  SerialBlas(const SerialBlas&) = delete;
  SerialBlas& operator=(const SerialBlas&) = delete;

 private:
  const int callers_;
};

// Eigenvalues in ascending order; A (n x n, symmetric) is overwritten by the eigenvectors, row i
// for eigenvalue i.
std::vector<double> symmetric_eigen(std::vector<double>& A, Index n);

// Eigenvectors, one after the other, for the eigenvalues below a bound; A is overwritten. Threads
// may call, while somebody holds a SerialBlas. False when the iteration does not converge.
bool symmetric_eigen_below(std::vector<double>& A, Index n, double bound,
                           std::vector<double>& vectors);

// z = argmin ||D z - b|| of the least norm, for D (m x n, by columns) and b of max(m, n) numbers,
// which both are overwritten, b by z. Of columns of norm 1 or 0 those count as dependent whose part
// outside the span of the others is below m eps. Threads may call, while somebody holds a
// SerialBlas.
struct LeastSquares {
  std::vector<double> D, b;  // the caller fills them in
  // QR; false where columns are dependent or more than rows: then D and b are lost.
  bool by_qr(Index m, Index n);
  // QR with pivots; returns the rank.
  Index by_pivoted_qr(Index m, Index n);

 private:
  std::vector<double> tau_, work_;
  std::vector<int> pivot_;
};

// V^T diag(d) V for row-major V (n x n).
std::vector<double> congruence(const std::vector<double>& V, const double* d, Index n);

}  // namespace pympf
