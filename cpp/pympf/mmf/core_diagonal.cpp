#include "pympf/mmf/core_diagonal.hpp"

#include <algorithm>

#include "pympf/la/dense.hpp"
#include "pympf/la/sparse.hpp"

namespace pympf::mmf {
namespace {

constexpr Index always_dense = 512;        // cores up to here are stored dense
constexpr Index eigensolver_limit = 8192;  // 0.5 GB a matrix
constexpr Index parallel_rows = 512;

}  // namespace

template <class T>
void CoreDiagonal<T>::multiply(T* y, T* scratch, Index m) const {
  const Index c = core_size;
  const std::size_t count = static_cast<std::size_t>(c) * m;
  if (!is_dense()) {
    const std::size_t products = sparse_core.data.size() * m;
    parallel_for(c, worth_threads(products), [&](Index i) {
      T* out = scratch + static_cast<std::size_t>(i) * m;
      std::fill(out, out + m, T(0));
      for (Index p = sparse_core.indptr[i]; p < sparse_core.indptr[i + 1]; ++p)
        for (Index q = 0; q < m; ++q)
          out[q] +=
              sparse_core.data[p] * y[static_cast<std::size_t>(sparse_core.indices[p]) * m + q];
    });
  } else if (m == 1) {  // sums of columns: vectorizes without reordering a sum
    const Index block = 256, blocks = (c + block - 1) / block;
    parallel_for(blocks, c >= parallel_rows, [&](Index b) {
      const Index first = b * block, last = std::min(c, first + block);
      std::fill(scratch + first, scratch + last, T(0));
      for (Index j = 0; j < c; ++j) {
        const T* column = &core[static_cast<std::size_t>(j) * c];
        const T yj = y[j];
        for (Index i = first; i < last; ++i) scratch[i] += column[i] * yj;
      }
    });
  } else {
    parallel_for(c, c >= parallel_rows, [&](Index i) {
      T* out = scratch + static_cast<std::size_t>(i) * m;
      std::fill(out, out + m, T(0));
      for (Index j = 0; j < c; ++j) {
        const T a = core[static_cast<std::size_t>(i) * c + j];
        const T* yj = y + static_cast<std::size_t>(j) * m;
        for (Index q = 0; q < m; ++q) out[q] += a * yj[q];
      }
    });
  }
  std::copy(scratch, scratch + count, y);
  const Index wavelets = static_cast<Index>(diagonal.size());
  const std::size_t products = diagonal.size() * m;
  parallel_for(wavelets, worth_threads(products), [&](Index i) {
    T* out = y + (static_cast<std::size_t>(c) + i) * m;
    for (Index q = 0; q < m; ++q) out[q] *= diagonal[i];
  });
}

template <class T>
Spectrum CoreDiagonal<T>::spectrum() const {
  require(core_size <= eigensolver_limit, "the core has ", core_size,
          " rows; functions of the factorization need a core of at most ", eigensolver_limit,
          " rows: raise max_stages or lower core_size or tolerance");
  const std::size_t c = core_size;
  Spectrum out;
  if (is_dense()) {
    out.vectors.assign(core.begin(), core.end());
  } else {
    out.vectors.assign(c * c, 0);
    for (Index i = 0; i < core_size; ++i)
      for (Index p = sparse_core.indptr[i]; p < sparse_core.indptr[i + 1]; ++p)
        out.vectors[i * c + sparse_core.indices[p]] = sparse_core.data[p];
  }
  out.values = symmetric_eigen(out.vectors, core_size);
  out.values.insert(out.values.end(), diagonal.begin(), diagonal.end());
  return out;
}

template <class T>
double CoreDiagonal<T>::trace() const {
  double sum = 0;
  if (is_dense())
    for (Index i = 0; i < core_size; ++i)
      sum += core[static_cast<std::size_t>(i) * (core_size + 1)];
  else
    for (T d : pympf::diagonal(sparse_core.view())) sum += d;
  for (T d : diagonal) sum += d;
  return sum;
}

template <class T>
double CoreDiagonal<T>::norm2() const {
  double sum = 0;
  if (is_dense())
    for (T a : core) sum += static_cast<double>(a) * a;
  else
    sum = pympf::norm2(sparse_core.view());
  for (T d : diagonal) sum += static_cast<double>(d) * d;
  return sum;
}

template <class T>
CoreDiagonal<T> make_core(const CsrView<T>& A) {
  CoreDiagonal<T> out;
  const Index c = out.core_size = A.rows;
  const Csr<T> At = transpose(A);
  const std::size_t full = static_cast<std::size_t>(c) * c;
  if (c <= always_dense || static_cast<std::size_t>(A.nnz()) > full / 4) {
    out.core.assign(full, T(0));
    for (Index i = 0; i < c; ++i) {
      for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
        out.core[static_cast<std::size_t>(i) * c + A.indices[p]] += A.data[p] / 2;
      for (Index p = At.indptr[i]; p < At.indptr[i + 1]; ++p)
        out.core[static_cast<std::size_t>(i) * c + At.indices[p]] += At.data[p] / 2;
    }
    return out;
  }
  Csr<T>& S = out.sparse_core;
  S.rows = S.cols = c;
  S.indptr.push_back(0);
  std::vector<std::pair<Index, T>> row;
  for (Index i = 0; i < c; ++i) {
    row.clear();
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      row.emplace_back(A.indices[p], A.data[p] / 2);
    for (Index p = At.indptr[i]; p < At.indptr[i + 1]; ++p)
      row.emplace_back(At.indices[p], At.data[p] / 2);
    std::sort(row.begin(), row.end());
    for (std::size_t k = 0; k < row.size(); ++k)
      if (k > 0 && row[k].first == row[k - 1].first) {
        S.data.back() += row[k].second;
      } else {
        S.indices.push_back(row[k].first);
        S.data.push_back(row[k].second);
      }
    S.indptr.push_back(static_cast<Index>(S.indices.size()));
  }
  return out;
}

template <class T>
CoreDiagonal<T> from_spectrum(const Spectrum& spectrum, Index core_size) {
  CoreDiagonal<T> out;
  out.core_size = core_size;
  const auto core = congruence(spectrum.vectors, spectrum.values.data(), core_size);
  out.core.assign(core.begin(), core.end());
  out.diagonal.assign(spectrum.values.begin() + core_size, spectrum.values.end());
  return out;
}

#define PYMPF_INSTANTIATE(T)                             \
  template struct CoreDiagonal<T>;                       \
  template CoreDiagonal<T> make_core(const CsrView<T>&); \
  template CoreDiagonal<T> from_spectrum(const Spectrum&, Index);
PYMPF_INSTANTIATE(double)
PYMPF_INSTANTIATE(float)

}  // namespace pympf::mmf
