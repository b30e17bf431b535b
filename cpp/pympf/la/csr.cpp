#include "pympf/la/csr.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "pympf/common/random.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/block.hpp"
#include "pympf/la/lanes.hpp"

namespace pympf {
namespace {

template <class T, int K>
[[gnu::always_inline]] inline Lanes<T, K> row_product(const CsrView<T>& A, Index i, const T* x) {
  auto sum = Lanes<T, K>::zero();
  const Index* const indices = A.indices;
  const T* const data = A.data;
  for_entries(A.indptr[i], A.indptr[i + 1], [&](Index p) {
    sum.add(data[p], Lanes<T, K>::load(x + std::size_t{K} * indices[p]));
  });
  return sum;
}

// Each row is the work of one thread, so the result does not depend on their number.
template <class T, class Row>
void for_rows(const CsrView<T>& A, Index lanes, const Row& row) {
  parallel_for(A.rows, worth_threads(std::size_t(lanes) * std::max(A.nnz(), A.rows)), row);
}

// Loops without a jump but their own, one over each array: they run at the speed of memory.
// Nothing where a value is not finite.
template <class T>
std::optional<double> largest_of_finite(const T* values, std::size_t n) {
  constexpr std::size_t lanes = 8;
  T zero[lanes] = {}, most[lanes] = {};  // 0 v is NaN where v is not finite
  const auto see = [&](T value, std::size_t k) {
    zero[k] += 0 * value;
    most[k] = std::max(most[k], std::abs(value));
  };
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (std::size_t k = 0; k < lanes; ++k) see(values[i + k], k);
  for (std::size_t k = 0; i < n; ++i, ++k) see(values[i], k);
  if (!std::all_of(zero, zero + lanes, [](T z) { return z == 0; })) return {};
  return double{*std::max_element(most, most + lanes)};
}

// Of neighbours in the array; those of two rows may descend, and no others. Where rows ascend,
// their ends tell whether they are in range.
bool ascends_within(Index columns, const Index* indptr, Index rows, const Index* indices, Index n) {
  Index descents = 0, between_rows = 0, outside = 0;
  for (Index p = 1; p < n; ++p) descents += indices[p] <= indices[p - 1];
  for (Index i = 0; i < rows; ++i) {
    const Index begin = indptr[i], end = indptr[i + 1];
    if (begin == end) continue;
    between_rows += begin > 0 && indices[begin] <= indices[begin - 1];
    outside += indices[begin] < 0 || indices[end - 1] >= columns;
  }
  return descents == between_rows && outside == 0;
}

std::uint64_t mixed(std::uint64_t hash, const void* data, std::size_t bytes) {
  constexpr std::size_t lanes = 8;
  const auto* from = static_cast<const unsigned char*>(data);
  std::uint64_t state[lanes];
  for (std::size_t k = 0; k < lanes; ++k) state[k] = hash + k;
  for (; bytes > 0; from += sizeof state) {
    std::uint64_t words[lanes] = {};
    const std::size_t count = std::min(bytes, sizeof words);
    std::memcpy(words, from, count);
    bytes -= count;
    for (std::size_t k = 0; k < lanes; ++k) state[k] = fold_in(state[k], words[k]);
  }
  for (std::uint64_t one : state) hash = fold_in(hash, one);
  return hash;
}

}  // namespace

template <class T>
std::optional<double> largest_if_canonical(const CsrView<T>& A, std::size_t stored) {
  if (A.indptr[0] != 0 || A.indptr[A.rows] < 0 ||
      static_cast<std::size_t>(A.indptr[A.rows]) != stored)
    return {};
  bool ascends = true;
  for (Index i = 0; i < A.rows; ++i) ascends &= A.indptr[i] <= A.indptr[i + 1];
  if (!ascends || !ascends_within(A.cols, A.indptr, A.rows, A.indices, A.nnz())) return {};
  return largest_of_finite(A.data, stored);
}

template <class T>
std::uint64_t checksum(const CsrView<T>& A) {
  const auto nnz = static_cast<std::size_t>(A.nnz());
  std::uint64_t hash = mixed(1, A.data, nnz * sizeof(T));
  hash = mixed(hash, A.indices, nnz * sizeof(Index));
  return mixed(hash, A.indptr, (static_cast<std::size_t>(A.rows) + 1) * sizeof(Index));
}

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

#define PYMPF_INSTANTIATE(T)                                                           \
  template std::optional<double> largest_if_canonical(const CsrView<T>&, std::size_t); \
  template std::uint64_t checksum(const CsrView<T>&);                                  \
  template void spmv(const CsrView<T>&, const T*, T*, Index);                          \
  template void residual(const CsrView<T>&, const T*, const T*, T*, Index);            \
  template double spmv_dot(const CsrView<T>&, const T*, T*);
PYMPF_INSTANTIATE(float)
PYMPF_INSTANTIATE(double)

}  // namespace pympf
