#include "pympf/la/sparse.hpp"

#include <algorithm>
#include <utility>

namespace pympf {
namespace {

constexpr Index chunk_rows = 2048;

}  // namespace

// Rows go in pieces with as many entries each; next[k][j] is where piece k puts its first entry of
// column j, so the result is that of row after row.
template <class T>
void transpose(const CsrView<T>& A, Csr<T>& out) {
  constexpr Index worth_a_piece = 1 << 16;
  const int most = A.nnz() / 2 < worth_a_piece ? 1 : team().threads();
  const Index pieces = std::clamp<Index>(A.nnz() / worth_a_piece, 1, most);
  out.rows = A.cols;
  out.cols = A.rows;
  out.indptr.assign(A.cols + 1, 0);
  out.indices.resize(A.nnz());
  out.data.resize(A.nnz());
  const auto begin = [&](Index piece) {
    const auto entry = static_cast<Index>(Global{A.nnz()} * piece / pieces);
    return static_cast<Index>(std::lower_bound(A.indptr, A.indptr + A.rows, entry) - A.indptr);
  };
  const auto end = [&](Index piece) { return piece + 1 < pieces ? begin(piece + 1) : A.rows; };
  std::vector<std::vector<Index>> next(pieces);
  parallel_for(pieces, Index{1}, pieces > 1, [&](Index k) {
    next[k].assign(A.cols, 0);
    for (Index p = A.indptr[begin(k)]; p < A.indptr[end(k)]; ++p) ++next[k][A.indices[p]];
  });
  Index at = 0;
  for (Index j = 0; j < A.cols; ++j) {
    for (auto& piece : next) at += std::exchange(piece[j], at);
    out.indptr[j + 1] = at;
  }
  parallel_for(pieces, Index{1}, pieces > 1, [&](Index k) {
    for (Index i = begin(k); i < end(k); ++i)
      for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
        const Index q = next[k][A.indices[p]]++;
        out.indices[q] = i;
        out.data[q] = A.data[p];
      }
  });
}

template <class T>
Csr<T> transpose(const CsrView<T>& A) {
  Csr<T> out;
  transpose(A, out);
  return out;
}

template <class T>
std::vector<double> residual_squares(const CsrView<T>& A, const CsrView<T>& W) {
  std::vector<double> out(W.rows);
  parallel_with(W.rows, Index{0}, worth_threads(A.nnz()), [&] {
    return [&, product = std::vector<double>(A.cols),
            columns = std::vector<Index>()](Index row) mutable {
      columns.clear();
      for (Index r = W.indptr[row]; r < W.indptr[row + 1]; ++r) {
        const Index i = W.indices[r];
        for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
          product[A.indices[p]] += static_cast<double>(W.data[r]) * A.data[p];
          columns.push_back(A.indices[p]);
        }
      }
      double h = 0, sum = 0;
      for (Index r = W.indptr[row]; r < W.indptr[row + 1]; ++r)
        h += W.data[r] * product[W.indices[r]];
      for (Index r = W.indptr[row]; r < W.indptr[row + 1]; ++r) {
        product[W.indices[r]] -= h * W.data[r];
        columns.push_back(W.indices[r]);
      }
      for (Index j : columns) {  // a column that comes again adds zero
        sum += product[j] * product[j];
        product[j] = 0;
      }
      out[row] = sum;
    };
  });
  return out;
}

Csr<double> with_whole_diagonal(const CsrView<double>& A) {
  Csr<double> out{A.rows, A.cols, {0}, {}, {}};
  for (Index i = 0; i < A.rows; ++i) {
    const Index *begin = A.indices + A.indptr[i], *end = A.indices + A.indptr[i + 1];
    const Index* at = std::lower_bound(begin, end, i);
    out.indices.insert(out.indices.end(), begin, at);
    out.data.insert(out.data.end(), A.data + A.indptr[i], A.data + (at - A.indices));
    if (at == end || *at != i) {
      out.indices.push_back(i);
      out.data.push_back(0);
    }
    out.indices.insert(out.indices.end(), at, end);
    out.data.insert(out.data.end(), A.data + (at - A.indices), A.data + A.indptr[i + 1]);
    out.indptr.push_back(
        to_index(Global(out.data.size()), "entries of a matrix with its diagonal"));
  }
  return out;
}

template <class T>
std::vector<T> diagonal(const CsrView<T>& A) {
  std::vector<T> out(A.rows, T(0));
  parallel_for(A.rows, worth_threads(A.nnz()), [&](Index i) {
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      if (A.indices[p] == i) {
        out[i] = A.data[p];
        break;
      }
  });
  return out;
}

template <class T>
double norm2(const CsrView<T>& A) {
  const Index chunks = (A.rows + chunk_rows - 1) / chunk_rows;
  std::vector<double> part(chunks, 0.0);
  parallel_for(chunks, worth_threads(A.nnz()), [&](Index chunk) {
    const Index end = std::min(A.rows, (chunk + 1) * chunk_rows);
    for (Index p = A.indptr[chunk * chunk_rows]; p < A.indptr[end]; ++p)
      part[chunk] += static_cast<double>(A.data[p]) * A.data[p];
  });
  double sum = 0;
  for (double x : part) sum += x;
  return sum;
}

#define PYMPF_INSTANTIATE(T)                                                           \
  template Csr<T> transpose(const CsrView<T>&);                                        \
  template void transpose(const CsrView<T>&, Csr<T>&);                                 \
  template std::vector<double> residual_squares(const CsrView<T>&, const CsrView<T>&); \
  template std::vector<T> diagonal(const CsrView<T>&);                                 \
  template double norm2(const CsrView<T>&);
PYMPF_INSTANTIATE(double)
PYMPF_INSTANTIATE(float)

}  // namespace pympf
