// Dense LAPACK and BLAS calls. They run on one thread, so that their last bits do not depend on the
// number of threads.
#pragma once

#include <vector>

#include "pympf/la/csr.hpp"

namespace pympf {

// Eigenvalues in ascending order; A (n x n, symmetric) is overwritten by the eigenvectors, row i
// for eigenvalue i.
std::vector<double> symmetric_eigen(std::vector<double>& A, Index n);

// V^T diag(d) V for row-major V (n x n).
std::vector<double> congruence(const std::vector<double>& V, const double* d, Index n);

}  // namespace pympf
