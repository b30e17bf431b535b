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
      : A_(A), P_(P), R_(R), fine_(A.rows), coarse_(R.rows) {}

  // Appends row i, and tells whether it is only rounding.
  bool append_row(Index i, Entries& out) {
    double size = 0, sum = 0;  // R |diag A| R^T and the absolute values of the row
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
    sort_columns(coarse_.touched, R_.rows, [&](Index j) { return coarse_.mark[j] == i; });
    for (const Index j : coarse_.touched) {
      out.emplace_back(j, coarse_.value[j]);
      sum += std::abs(coarse_.value[j]);
    }
    return sum <= rounding * size;
  }

 private:
  const CsrView<double> A_, P_, R_;
  Sums fine_, coarse_;
};

}  // namespace

std::optional<Csr<double>> coarse_product(const CsrView<double>& A, const CsrView<double>& P,
                                          const CsrView<double>& R, Global most) {
  std::atomic<Global> entries = 0;
  std::vector<char> null(R.rows, 0);
  Csr<double> out = build_rows(R.rows, R.rows, [&] {
    return [&, product = Product(A, P, R)](Index i, Entries& row) mutable {
      if (entries > most) return;
      const std::size_t before = row.size();
      null[i] = product.append_row(i, row);
      entries += static_cast<Global>(row.size() - before);
    };
  });
  if (entries > most) return {};
  if (std::find(null.begin(), null.end(), 1) == null.end()) return out;
  for (Index i = 0; i < out.rows; ++i)
    for (Index p = out.indptr[i]; p < out.indptr[i + 1]; ++p)
      if (null[i] || null[out.indices[p]]) out.data[p] = 0;
  return out;
}

}  // namespace pympf::precond
