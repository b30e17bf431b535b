// Row i of P^T A P: w = sum_r R_ir A_r, then sum_k w_k P_k over the columns j >= i; the other half
// is the mirror image.
#include "pympf/precond/product.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <vector>

#include "pympf/precond/rows.hpp"

namespace pympf::precond {
namespace {

constexpr Index chunk_rows = 512;
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
      : A_(A),
        P_(P),
        R_(R),
        chunks_((R.rows + chunk_rows - 1) / chunk_rows),
        upper_(chunks_),
        length_(R.rows),
        size_(R.rows) {}

  std::optional<Csr<double>> run(Global most) {
    std::atomic<Global> entries = 0;
#pragma omp parallel if (chunks_ > 4)
    {
      Sums fine(A_.rows), coarse(R_.rows);
#pragma omp for schedule(dynamic)
      for (Index c = 0; c < chunks_; ++c)
        for (Index i = c * chunk_rows; i < end_of(c) && entries <= most; ++i)
          entries += row(i, fine, coarse, upper_[c]);
    }
    if (entries > most) return {};
    return mirrored(to_index(entries, "entries of a coarse matrix"));
  }

 private:
  Index end_of(Index chunk) const { return std::min(R_.rows, (chunk + 1) * chunk_rows); }

  // Returns how many entries of the whole matrix these are.
  Global row(Index i, Sums& fine, Sums& coarse, Entries& out) {
    fine.touched.clear();
    for (Index r = R_.indptr[i]; r < R_.indptr[i + 1]; ++r) {
      const Index k = R_.indices[r];
      const double factor = R_.data[r];
      for (Index p = A_.indptr[k]; p < A_.indptr[k + 1]; ++p) {
        fine.add(i, A_.indices[p], factor * A_.data[p]);
        if (A_.indices[p] == k) size_[i] += factor * factor * std::abs(A_.data[p]);
      }
    }
    coarse.touched.clear();
    for (const Index k : fine.touched)
      for (Index q = P_.indptr[k + 1] - 1; q >= P_.indptr[k] && P_.indices[q] >= i; --q)
        coarse.add(i, P_.indices[q], fine.value[k] * P_.data[q]);
    std::sort(coarse.touched.begin(), coarse.touched.end());
    for (const Index j : coarse.touched) out.emplace_back(j, coarse.value[j]);
    length_[i] = static_cast<Index>(coarse.touched.size());
    return 2 * Global{length_[i]} - (coarse.mark[i] == i);
  }

  // body(i, begin, end): the entries of row i on the right.
  template <class Body>
  void for_upper_rows(const Body& body) {
    for (Index c = 0; c < chunks_; ++c) {
      auto* begin = upper_[c].data();
      for (Index i = c * chunk_rows; i < end_of(c); begin += length_[i++])
        body(i, begin, begin + length_[i]);
    }
  }

  Csr<double> mirrored(Index entries) {
    Csr<double> out{R_.rows, R_.rows, std::vector<Index>(R_.rows + 1, 0), {}, {}};
    std::vector<double> sum(R_.rows, 0.0);  // of absolute values
    for_upper_rows([&](Index i, const auto* begin, const auto* end) {
      out.indptr[i + 1] += length_[i];
      for (const auto* e = begin; e != end; ++e) {
        sum[i] += std::abs(e->second);
        if (e->first == i) continue;
        sum[e->first] += std::abs(e->second);
        ++out.indptr[e->first + 1];
      }
    });
    std::partial_sum(out.indptr.begin(), out.indptr.end(), out.indptr.begin());
    out.indices.resize(entries);
    out.data.resize(entries);
    std::vector<Index> next(out.indptr.begin(), out.indptr.end() - 1);
    const auto put = [&](Index i, Index j, double v) {
      out.indices[next[i]] = j;
      out.data[next[i]++] = v;
    };
    const auto is_null = [&](Index i) { return sum[i] <= rounding * size_[i]; };
    for_upper_rows([&](Index i, const auto* begin, const auto* end) {
      for (const auto* e = begin; e != end; ++e) {
        const double v = is_null(i) || is_null(e->first) ? 0 : e->second;
        put(i, e->first, v);
        if (e->first != i) put(e->first, i, v);
      }
    });
    return out;
  }

  const CsrView<double> A_, P_, R_;
  const Index chunks_;
  std::vector<Entries> upper_;  // of a chunk of rows: their entries from the diagonal on
  std::vector<Index> length_;   // of the rows there
  std::vector<double> size_;    // diagonal of R |diag A| R^T
};

}  // namespace

std::optional<Csr<double>> coarse_product(const CsrView<double>& A, const CsrView<double>& P,
                                          const CsrView<double>& R, Global most) {
  return Product(A, P, R).run(most);
}

}  // namespace pympf::precond
