#include "pympf/la/csr.hpp"

#include <algorithm>

namespace pympf {
namespace {

template <class T>
T row_product(const CsrView<T>& A, Index i, const T* x) {
  T sum = 0;
  for (Index k = A.indptr[i]; k < A.indptr[i + 1]; ++k) sum += A.data[k] * x[A.indices[k]];
  return sum;
}

// Each row is the work of one thread, so the result does not depend on their number.
template <class T, class Row>
void for_rows(const CsrView<T>& A, const Row& row) {
  parallel_for(A.rows, worth_threads(std::max(A.nnz(), A.rows)), row);
}

}  // namespace

template <class T>
void spmv(const CsrView<T>& A, const T* x, T* y) {
  for_rows(A, [&](Index i) { y[i] = row_product(A, i, x); });
}

template <class T>
void residual(const CsrView<T>& A, const T* x, const T* b, T* r) {
  for_rows(A, [&](Index i) { r[i] = b[i] - row_product(A, i, x); });
}

template void spmv(const CsrView<float>&, const float*, float*);
template void spmv(const CsrView<double>&, const double*, double*);
template void residual(const CsrView<float>&, const float*, const float*, float*);
template void residual(const CsrView<double>&, const double*, const double*, double*);

}  // namespace pympf
