#include "pympf/precond/choice/facts.hpp"

#include <algorithm>
#include <cmath>

#include "pympf/la/sparse.hpp"
#include "pympf/precond/choice/unit_costs.hpp"

namespace pympf::precond {
namespace {

constexpr double null_row = 1e-3;      // of a_ii, below which |A 1|_i is that of a near-nullspace
constexpr double not_rounding = 1e-6;  // of the terms of a row sum, in float32 neither
// Multiply-adds for an entry, below which a complete factor costs no more than a hierarchy
// (is_complete_cheap).
constexpr double narrow_work = 50;

// The mean width of the levels of a breadth-first search from row `root`; `far` gets the last row.
template <class T>
double mean_width(const CsrView<T>& A, Index root, std::vector<Index>& order, Index& far) {
  std::vector<char> seen(A.rows, 0);
  order.assign(1, root);
  seen[root] = 1;
  double squares = 0;
  std::size_t begin = 0;
  while (begin < order.size()) {
    const std::size_t end = order.size();
    squares += static_cast<double>(end - begin) * static_cast<double>(end - begin);
    for (; begin < end; ++begin)
      for (Index p = A.indptr[order[begin]]; p < A.indptr[order[begin] + 1]; ++p)
        if (const Index j = A.indices[p]; !seen[j]) {
          seen[j] = 1;
          order.push_back(j);
        }
  }
  far = order.back();
  return squares / static_cast<double>(order.size());
}

// Rows in which A takes D^-1/2 1 far from zero, which is the near-nullspace of D^1/2 L D^1/2.
template <class T>
Global far_from_scaled(const DistRows<T>& A) {
  std::vector<double> d(A.column_count(), 0.0);
  const CsrView<T>& rows = A.rows;
  const std::vector<T> own = diagonal(A);
  std::copy(own.begin(), own.end(), d.begin() + A.shift);
  Halo halo(A);
  halo(d);
  Global far = 0;
  for (Index i = 0; i < rows.rows; ++i) {
    double sum = 0;
    for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p)
      if (const double size = std::abs(d[rows.indices[p]]); size > 0)
        sum += rows.data[p] / std::sqrt(size);
    far += std::abs(sum) > null_row * std::sqrt(std::abs(d[i + A.shift]));
  }
  return far;
}

}  // namespace

template <class T>
Facts facts_of(const DistRows<T>& A, bool has_near_nullspace) {
  Facts facts;
  facts.rows = A.layout.total();
  facts.ranks = A.comm.size();
  facts.is_double = std::is_same_v<T, double>;
  const CsrView<T>& rows = A.rows;
  Global negative = 0, without = 0, far = 0, below = 0;
  double envelope = 0;
  for (Index i = 0; i < rows.rows; ++i) {
    double sum = 0, size = 0, d = 0;
    for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p) {
      const double v = rows.data[p];
      sum += v;
      size += std::abs(v);
      if (rows.indices[p] == i + A.shift) d = v;
    }
    negative += d < 0;
    without += d == 0 && size > 0;
    far += std::abs(sum) > null_row * std::abs(d);
    below += sum < -not_rounding * size;
    if (rows.indptr[i] < rows.indptr[i + 1]) {
      const double width = std::max<double>(i + A.shift - rows.indices[rows.indptr[i]], 0);
      envelope += width * width / 2;
    }
  }
  facts.entries = A.nnz();
  facts.positive_diagonal = A.comm.sum(negative + without) == 0;
  const bool is_given = A.comm.max(Global{has_near_nullspace}) > 0;
  facts.far_from_null = !is_given && 2 * A.comm.sum(far) >= facts.rows &&
                        2 * A.comm.sum(far_from_scaled(A)) >= facts.rows;
  facts.negative_sums = 2 * A.comm.sum(below) > facts.rows;
  facts.narrow = A.comm.size() == 1 && envelope <= narrow_work * rows.nnz();
  return facts;
}

template <class T>
bool is_worth_analysis(const DistRows<T>& A, const Facts& facts, double others) {
  if (facts.ranks > 1 || !facts.is_double || !SparseLu::available() || A.own() == 0) return false;
  if (others < unit_costs::order_setup) return false;
  Index far = 0;
  std::vector<Index> order;
  mean_width(A.rows, 0, order, far);
  const double width = mean_width(A.rows, far, order, far);
  Fill about;
  about.entries = 2.5 * static_cast<double>(facts.rows) * std::log2(width + 1);
  about.work = 2 * width * width * width;
  Facts guessed = facts;
  guessed.fill = about;
  return offer_of(offers_for(guessed), "direct").total(1) < others;
}

#define PYMPF_FACTS(T)                               \
  template Facts facts_of(const DistRows<T>&, bool); \
  template bool is_worth_analysis(const DistRows<T>&, const Facts&, double);
PYMPF_FACTS(float)
PYMPF_FACTS(double)
#undef PYMPF_FACTS

}  // namespace pympf::precond
