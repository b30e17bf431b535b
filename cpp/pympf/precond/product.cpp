// Row i of P^T A P: w = sum_r R_ir A_r, then sum_k w_k P_k.
#include "pympf/precond/product.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "pympf/la/sparse.hpp"
#include "pympf/precond/rows.hpp"

namespace pympf::precond {
namespace {

constexpr double rounding = 1e-13;

// Sums by column; the columns of a row are in `touched`.
struct Sums {
  std::vector<double> value;
  std::vector<Index> mark, touched;

  explicit Sums(Index columns) : value(columns), mark(columns, -1) {}

  void add(Index row, Index column, double v) {
    if (mark[column] == row) {
      value[column] += v;
    } else {
      mark[column] = row;
      value[column] = v;
      touched.push_back(column);
    }
  }
};

class Product {
 public:
  Product(const CsrView<double>& A, const CsrView<double>& P, const CsrView<double>& R)
      : A_(A), P_(P), R_(R), fine_(A.cols), coarse_(P.cols) {}

  // Takes up row i of R A P; returns its entry of R |diag A| R^T.
  double load(Index i) {
    row_ = i;
    double size = 0;
    fine_.touched.clear();
    for (Index r = R_.indptr[i]; r < R_.indptr[i + 1]; ++r) {
      const Index k = R_.indices[r];
      const double factor = R_.data[r];
      for (Index p = A_.indptr[k]; p < A_.indptr[k + 1]; ++p) {
        fine_.add(i, A_.indices[p], factor * A_.data[p]);
        if (A_.indices[p] == k) size += factor * factor * std::abs(A_.data[p]);
      }
    }
    coarse_.touched.clear();
    for (const Index k : fine_.touched)
      for (Index q = P_.indptr[k]; q < P_.indptr[k + 1]; ++q)
        coarse_.add(i, P_.indices[q], fine_.value[k] * P_.data[q]);
    return size;
  }

  void add(Index column, double value) { coarse_.add(row_, column, value); }

  double entry(Index column) const { return coarse_.value[column]; }

  // Appends the row; returns the sum of its absolute values.
  double flush(Entries& out) {
    double sum = 0;
    sort_columns(coarse_.touched, P_.cols, [&](Index j) { return coarse_.mark[j] == row_; });
    for (const Index j : coarse_.touched) {
      out.emplace_back(j, coarse_.value[j]);
      sum += std::abs(coarse_.value[j]);
    }
    return sum;
  }

 private:
  const CsrView<double> A_, P_, R_;
  Sums fine_, coarse_;
  Index row_ = -1;
};

}  // namespace

std::optional<ProductRows> product_rows(const CsrView<double>& A, const CsrView<double>& P,
                                        const CsrView<double>& R, Index first, Index last,
                                        Global most, const ProductRows& brought) {
  std::atomic<Global> entries = 0;
  ProductRows out;
  out.size.resize(last - first);
  out.null.resize(last - first);
  out.rows = build_rows(last - first, P.cols, [&] {
    return [&, product = Product(A, P, R)](Index i, Entries& row) mutable {
      if (entries > most) return;
      const std::size_t before = row.size();
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
    };
  });
  if (entries > most) return {};
  return out;
}

void zero_what_is_rounding(const std::vector<char>& null, Csr<double>& A) {
  if (std::find(null.begin(), null.end(), 1) == null.end()) return;
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      if (null[i] || null[A.indices[p]]) A.data[p] = 0;
}

std::optional<Csr<double>> coarse_product(const CsrView<double>& A, const CsrView<double>& P,
                                          const CsrView<double>& R, Global most) {
  auto product = product_rows(A, P, R, 0, R.rows, most);
  if (!product) return {};
  zero_what_is_rounding(product->null, product->rows);
  return std::move(product->rows);
}

Csr<double> coarse_product(const CsrView<double>& A, const CsrView<double>& P,
                           const CsrView<double>& R, const std::vector<Index>& indptr,
                           const std::vector<Index>& indices) {
  Csr<double> out{R.rows, R.rows, indptr, indices, std::vector<double>(indices.size())};
  std::vector<char> null(R.rows);
#pragma omp parallel if (R.rows > 4096)
  {
    Product product(A, P, R);
#pragma omp for schedule(dynamic, 1024)
    for (Index i = 0; i < R.rows; ++i) {
      const double size = product.load(i);
      double sum = 0;
      for (Index p = indptr[i]; p < indptr[i + 1]; ++p) {
        out.data[p] = product.entry(indices[p]);
        sum += std::abs(out.data[p]);
      }
      null[i] = sum <= rounding * size;
    }
  }
  zero_what_is_rounding(null, out);
  return out;
}

}  // namespace pympf::precond
