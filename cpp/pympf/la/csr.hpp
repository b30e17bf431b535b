// Compressed sparse rows. `CsrView` looks at arrays that somebody else owns (SciPy, PETSc); `Csr`
// owns them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <type_traits>
#include <vector>

#include "pympf/common/index.hpp"
#include "pympf/common/parallel.hpp"

namespace pympf {

// Numbers to stream through; for fewer, waking threads costs more than they save.
inline constexpr std::size_t kSerial = 32768;

// Whether a loop is worth more than one thread. `work` counts what costs about as much as a
// multiplication of two numbers in memory.
inline bool worth_threads(std::size_t work) { return work >= kSerial; }

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

// entry(p) for p from begin to end, those of a row, two in a turn. A loop of one in a turn has the
// same trail of jumps in every row but for their number, and a processor that foresees where the
// rows of a graph end by that trail (a row of 9 then takes 12 cycles for 27) did so or not by where
// the compiler happened to put the loop.
template <class Entry>
inline void for_entries(Index begin, Index end, const Entry& entry) {
  Index p = begin;
  for (; p + 1 < end; p += 2) {
    entry(p);
    entry(p + 1);
  }
  if (p < end) entry(p);
}

// A copy, in the type T where one is named.
template <class T = void, class S>
Csr<std::conditional_t<std::is_void_v<T>, S, T>> owned(const CsrView<S>& A) {
  return {A.rows,
          A.cols,
          {A.indptr, A.indptr + A.rows + 1},
          {A.indices, A.indices + A.nnz()},
          {A.data, A.data + A.nnz()}};
}

// A matrix to fill in whose row i has length[i + 1] entries; length[0] = 0. On return `length`
// holds their sums. The first takes the memory of `out`.
template <class T>
void set_row_lengths(std::vector<Global>& length, Index cols, const char* what, Csr<T>& out) {
  std::partial_sum(length.begin(), length.end(), length.begin());
  const Index nnz = to_index(length.back(), what);
  out.rows = static_cast<Index>(length.size() - 1);
  out.cols = cols;
  out.indptr.assign(length.begin(), length.end());
  out.indices.resize(nnz);
  out.data.resize(nnz);
}
template <class T>
Csr<T> with_row_lengths(std::vector<Global>& length, Index cols, const char* what) {
  Csr<T> out;
  set_row_lengths(length, cols, what, out);
  return out;
}

// The largest magnitude of a value, if the arrays, with room for `stored` entries, are what the
// rest relies on: row by row and full, columns ascending and in range, values finite; else nothing.
template <class T>
std::optional<double> largest_if_canonical(const CsrView<T>& A, std::size_t stored);

// Of all three arrays: another one, as a rule, when something in them has changed.
template <class T>
std::uint64_t checksum(const CsrView<T>& A);

// y = A x, or r = b - A x; rows in parallel. Of 2, 4 or 8 `lanes` the vectors are panels
// (block.hpp).
template <class T>
void spmv(const CsrView<T>& A, const T* x, T* y, Index lanes = 1);

template <class T>
void residual(const CsrView<T>& A, const T* x, const T* b, T* r, Index lanes = 1);

// y = A x of a square matrix; returns x^T y, with the bits of `dot` (blas1.hpp).
template <class T>
double spmv_dot(const CsrView<T>& A, const T* x, T* y);

}  // namespace pympf
