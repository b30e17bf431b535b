#include "pympf/la/product.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>
#include <vector>

#include "pympf/la/rows.hpp"
#include "pympf/la/sparse.hpp"

namespace pympf {
namespace {

constexpr double rounding = 1e-13;

// Sums by column. All are zero between two rows, so that an addition need not ask whether it is the
// first one; nor does it branch to see whether its column is new, which nothing could predict.
template <class T>
struct Sums {
  std::vector<T> value;
  std::vector<Index> mark, touched;

  explicit Sums(Index columns) : value(columns, 0), mark(columns, -1) {}

  T take(Index column) { return std::exchange(value[column], T(0)); }
};

template <class T>
class Product {
  // Rows from the one that is wanted to the one in use; entries of a row; entries in a cache line.
  static constexpr Index ahead = 8, longest = 64, line = 8;

 public:
  Product(const CsrView<T>& A, const CsrView<T>& R, const CsrView<T>& P)
      : A_(A), R_(R), P_(P), fine_(A.cols), coarse_(P.cols) {}

  // Takes up row i of R A P; returns its entry of R |diag A| R^T.
  double load(Index i) {
    row_ = i;
    const double size = load_fine(i);
    Index most = 0;
    for (const Index k : fine_.touched) most += P_.indptr[k + 1] - P_.indptr[k];
    work_ += most;
    coarse_.touched.resize(most);
    const Index *indptr = P_.indptr, *indices = P_.indices;
    Index *mark = coarse_.mark.data(), *touched = coarse_.touched.data(), count = 0;
    T* value = coarse_.value.data();
    for (const Index k : fine_.touched) {
      const T w = fine_.take(k);
      for (Index q = indptr[k], end = indptr[k + 1]; q < end; ++q) {
        const Index j = indices[q];
        value[j] += w * P_.data[q];
        touched[count] = j;
        count += mark[j] != i;
        mark[j] = i;
      }
    }
    coarse_.touched.resize(count);
    return size;
  }

  // The same without asking which columns there are.
  double load_known(Index i) {
    const double size = load_fine(i);
    const Index *indptr = P_.indptr, *indices = P_.indices;
    T* value = coarse_.value.data();
    for (const Index k : fine_.touched) {
      const T w = fine_.take(k);
      for (Index q = indptr[k], end = indptr[k + 1]; q < end; ++q)
        value[indices[q]] += w * P_.data[q];
    }
    return size;
  }

  Global work() const { return work_; }  // of the rows so far: multiply-adds

  void add(Index column, T value) {
    if (std::exchange(coarse_.mark[column], row_) != row_) coarse_.touched.push_back(column);
    coarse_.value[column] += value;
  }

  T take(Index column) { return coarse_.take(column); }

  // Appends the row; returns the sum of its absolute values.
  double flush(EntriesOf<T>& out) {
    double sum = 0;
    sort_columns(coarse_.touched, P_.cols, [&](Index j) { return coarse_.mark[j] == row_; });
    for (const Index j : coarse_.touched) {
      const T v = take(j);
      out.emplace_back(j, v);
      sum += std::abs(v);
    }
    return sum;
  }

 private:
  // Row i of R A.
  double load_fine(Index i) {
    const Index begin = R_.indptr[i], end = R_.indptr[i + 1];
    Index most = 0;
    for (Index r = begin; r < end; ++r)
      most += A_.indptr[R_.indices[r] + 1] - A_.indptr[R_.indices[r]];
    work_ += most;
    fine_.touched.resize(most);
    const Index* indices = A_.indices;
    const T* data = A_.data;
    Index *mark = fine_.mark.data(), *touched = fine_.touched.data(), count = 0;
    T* value = fine_.value.data();
    double size = 0;
    for (Index r = begin; r < end; ++r) {
      prefetch(r + ahead);
      const Index k = R_.indices[r];
      const T factor = R_.data[r];
      Index diagonal = -1;
      for (Index p = A_.indptr[k], last = A_.indptr[k + 1]; p < last; ++p) {
        const Index j = indices[p];
        value[j] += factor * data[p];
        touched[count] = j;
        count += mark[j] != i;
        mark[j] = i;
        diagonal = j == k ? p : diagonal;
      }
      if (diagonal >= 0) size += factor * factor * std::abs(data[diagonal]);
    }
    fine_.touched.resize(count);
    return size;
  }

  // Rows of A lie apart, and are too short for the processor to see which numbers come next.
  void prefetch(Index r) const {
    if (r >= R_.nnz()) return;
    const Index k = R_.indices[r], begin = A_.indptr[k];
    const Index end = std::min(A_.indptr[k + 1], begin + longest);
    for (Index p = begin; p < end; p += line) __builtin_prefetch(A_.data + p);
    for (Index p = begin; p < end; p += 2 * line) __builtin_prefetch(A_.indices + p);
  }

  const CsrView<T> A_, R_, P_;
  Sums<T> fine_, coarse_;
  Index row_ = -1;
  Global work_ = 0;
};

void zero_what_is_rounding(const std::vector<char>& null, Index rows, const Index* indptr,
                           const Index* indices, double* data) {
  if (std::find(null.begin(), null.end(), 1) == null.end()) return;
  for (Index i = 0; i < rows; ++i)
    for (Index p = indptr[i]; p < indptr[i + 1]; ++p)
      if (null[i] || null[indices[p]]) data[p] = 0;
}

}  // namespace

template <class T>
Csr<T> galerkin(const CsrView<T>& A, const CsrView<T>& R, const CsrView<T>& P) {
  return build_rows<T>(R.rows, P.cols, [&] {
    return [product = Product<T>(A, R, P)](Index i, EntriesOf<T>& row) mutable {
      product.load(i);
      product.flush(row);
    };
  });
}

template <class T>
Csr<T> galerkin(const CsrView<T>& A, const CsrView<T>& R) {
  return galerkin(A, R, transpose(R).view());
}

template <class T>
std::vector<T> galerkin_diagonal(const CsrView<T>& A, const CsrView<T>& W) {
  std::vector<T> out(W.rows);
  parallel_with(W.rows, Index{0}, worth_threads(A.nnz()), [&] {
    return [&, w = std::vector<T>(A.rows, T(0))](Index row) mutable {
      for (Index r = W.indptr[row]; r < W.indptr[row + 1]; ++r) w[W.indices[r]] = W.data[r];
      T sum = 0;
      for (Index r = W.indptr[row]; r < W.indptr[row + 1]; ++r) {
        const Index i = W.indices[r];
        T product = 0;
        for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
          product += A.data[p] * w[A.indices[p]];
        sum += W.data[r] * product;
      }
      out[row] = sum;
      for (Index r = W.indptr[row]; r < W.indptr[row + 1]; ++r) w[W.indices[r]] = 0;
    };
  });
  return out;
}

std::optional<ProductRows> product_rows(const CsrView<double>& A, const CsrView<double>& R,
                                        const CsrView<double>& P, Index first, Index last,
                                        Global most, const ProductRows& brought) {
  std::atomic<Global> entries = 0, work = 0;
  ProductRows out;
  out.size.resize(last - first);
  out.null.resize(last - first);
  out.rows = build_rows(last - first, P.cols, [&] {
    return [&, product = Product<double>(A, R, P)](Index i, Entries& row) mutable {
      if (entries > most) return;
      const std::size_t before = row.size();
      const Global work_before = product.work();
      double size = product.load(first + i);
      if (!brought.size.empty()) {
        size += brought.size[i];
        const Csr<double>& more = brought.rows;
        for (Index p = more.indptr[i]; p < more.indptr[i + 1]; ++p)
          product.add(more.indices[p], more.data[p]);
      }
      out.size[i] = size;
      out.null[i] = product.flush(row) <= rounding * size;
      entries += static_cast<Global>(row.size() - before);
      work += product.work() - work_before;
    };
  });
  if (entries > most) return {};
  out.work = work;
  return out;
}

void zero_what_is_rounding(const std::vector<char>& null, Csr<double>& A) {
  zero_what_is_rounding(null, A.rows, A.indptr.data(), A.indices.data(), A.data.data());
}

std::optional<Csr<double>> coarse_product(const CsrView<double>& A, const CsrView<double>& R,
                                          const CsrView<double>& P, Global most) {
  auto product = product_rows(A, R, P, 0, R.rows, most);
  if (!product) return {};
  zero_what_is_rounding(product->null, product->rows);
  return std::move(product->rows);
}

std::vector<double> coarse_product(const CsrView<double>& A, const CsrView<double>& R,
                                   const CsrView<double>& P, const std::vector<Index>& indptr,
                                   const std::vector<Index>& indices) {
  std::vector<double> out(indices.size());
  std::vector<char> null(R.rows);
  parallel_with(R.rows, Index{1024}, R.rows > 4096, [&] {
    return [&, product = Product<double>(A, R, P)](Index i) mutable {
      const double size = product.load_known(i);
      double sum = 0;
      for (Index p = indptr[i]; p < indptr[i + 1]; ++p) {
        out[p] = product.take(indices[p]);
        sum += std::abs(out[p]);
      }
      null[i] = sum <= rounding * size;
    };
  });
  zero_what_is_rounding(null, R.rows, indptr.data(), indices.data(), out.data());
  return out;
}

#define PYMPF_INSTANTIATE(T)                                                         \
  template Csr<T> galerkin(const CsrView<T>&, const CsrView<T>&);                    \
  template Csr<T> galerkin(const CsrView<T>&, const CsrView<T>&, const CsrView<T>&); \
  template std::vector<T> galerkin_diagonal(const CsrView<T>&, const CsrView<T>&);
PYMPF_INSTANTIATE(double)
PYMPF_INSTANTIATE(float)

}  // namespace pympf
