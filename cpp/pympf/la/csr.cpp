#include "pympf/la/csr.hpp"

#include <algorithm>

#include "pympf/la/blas1.hpp"
#include "pympf/la/block.hpp"
#include "pympf/la/lanes.hpp"

namespace pympf {
namespace {

template <class T, int K>
Lanes<T, K> row_product(const CsrView<T>& A, Index i, const T* x) {
  auto sum = Lanes<T, K>::zero();
  const Index* const indices = A.indices;
  const T* const data = A.data;
  for (Index p = A.indptr[i], end = A.indptr[i + 1]; p < end; ++p)
    sum.add(data[p], Lanes<T, K>::load(x + std::size_t{K} * indices[p]));
  return sum;
}

// Each row is the work of one thread, so the result does not depend on their number.
template <class T, class Row>
void for_rows(const CsrView<T>& A, Index lanes, const Row& row) {
  parallel_for(A.rows, worth_threads(std::size_t(lanes) * std::max(A.nnz(), A.rows)), row);
}

}  // namespace

template <class T>
void spmv(const CsrView<T>& A, const T* x, T* y, Index lanes) {
  with_lanes(lanes, [&](auto K) {
    for_rows(A, K, [&](Index i) { row_product<T, K>(A, i, x).store(y + std::size_t{K} * i); });
  });
}

template <class T>
void residual(const CsrView<T>& A, const T* x, const T* b, T* r, Index lanes) {
  with_lanes(lanes, [&](auto K) {
    for_rows(A, K, [&](Index i) {
      const std::size_t at = std::size_t{K} * i;
      (Lanes<T, K>::load(b + at) - row_product<T, K>(A, i, x)).store(r + at);
    });
  });
}

template <class T>
double spmv_dot(const CsrView<T>& A, const T* x, T* y) {
  return sum_chunks<1>(static_cast<std::size_t>(A.rows), [=](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      y[i] = row_product<T, 1>(A, static_cast<Index>(i), x).v;
    return std::array{dot_chunk(x + begin, y + begin, end - begin)};
  })[0];
}

#define PYMPF_INSTANTIATE(T)                                                \
  template void spmv(const CsrView<T>&, const T*, T*, Index);               \
  template void residual(const CsrView<T>&, const T*, const T*, T*, Index); \
  template double spmv_dot(const CsrView<T>&, const T*, T*);
PYMPF_INSTANTIATE(float)
PYMPF_INSTANTIATE(double)

}  // namespace pympf
