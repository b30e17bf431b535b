// Compressed sparse rows. `CsrView` looks at arrays that somebody else owns (SciPy, PETSc); `Csr`
// owns them.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "pympf/common/error.hpp"

namespace pympf {

using Index = std::int32_t;   // rows, columns and entries of one process
using Global = std::int64_t;  // sizes before they are known to fit

template <class T>
struct CsrView {
  Index rows = 0, cols = 0;
  const Index* indptr = nullptr;
  const Index* indices = nullptr;
  const T* data = nullptr;

  Index nnz() const { return indptr ? indptr[rows] : 0; }
};

template <class T>
struct Csr {
  Index rows = 0, cols = 0;
  std::vector<Index> indptr;
  std::vector<Index> indices;
  std::vector<T> data;

  Index nnz() const { return indptr.empty() ? 0 : indptr.back(); }
  CsrView<T> view() const { return {rows, cols, indptr.data(), indices.data(), data.data()}; }
  operator CsrView<T>() const { return view(); }
};

// The one place where a count of entries becomes an Index: past 2^31 - 1 it is refused, never
// wrapped.
inline Index to_index(Global count, const char* what) {
  require(count <= std::numeric_limits<Index>::max(), what, ": ", count,
          " is more than one process holds (2147483647 = 2^31 - 1)");
  return static_cast<Index>(count);
}

// y = A x, or y = b - A x; rows in parallel.
template <class T>
void spmv(const CsrView<T>& A, const T* x, T* y);

template <class T>
void residual(const CsrView<T>& A, const T* x, const T* b, T* r);

}  // namespace pympf
