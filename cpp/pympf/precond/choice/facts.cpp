#include "pympf/precond/choice/facts.hpp"

#include <algorithm>
#include <cmath>

#include "pympf/la/sparse.hpp"
#include "pympf/precond/choice/diagonal_steps.hpp"
#include "pympf/precond/choice/probes.hpp"
#include "pympf/precond/choice/unit_costs.hpp"
#include "pympf/precond/levels/coarse_solve.hpp"
#include "pympf/precond/levels/direct.hpp"
#include "pympf/precond/levels/nodes.hpp"

namespace pympf::precond {
namespace {

constexpr double null_row = 1e-3;      // of a_ii, below which |A 1|_i is that of a near-nullspace
constexpr double no_m_matrix = 0.05;   // of a_ii: so much is positive off the diagonal
constexpr double not_rounding = 1e-6;  // of the terms of a row sum, in float32 neither
constexpr double little_sum = 1e-3;    // sum of |row sum| to the trace

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
  const CsrView<T>& rows = A.rows;
  const std::vector<T> d = diagonal(A);
  std::vector<double> scaled(A.column_count(), 0.0);
  for (std::size_t i = 0; i < d.size(); ++i)
    if (d[i] != 0) scaled[i + A.shift] = 1 / std::sqrt(std::abs(double{d[i]}));
  Halo halo(A);
  halo(scaled);
  Global far = 0;
  for (Index i = 0; i < rows.rows; ++i) {
    double sum = 0;
    for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p)
      sum += rows.data[p] * scaled[rows.indices[p]];
    far += std::abs(sum) * scaled[i + A.shift] > null_row;
  }
  return A.comm.sum(far);
}

}  // namespace

template <class T>
Facts sizes_of(const DistRows<T>& A, const Params& params) {
  Facts facts;
  facts.basis = params.basis;
  facts.rows = A.layout.total();
  facts.entries = A.nnz();
  facts.ranks = A.comm.size();
  facts.is_double = std::is_same_v<T, double>;
  return facts;
}

template <class T>
Facts facts_of(const DistRows<T>& A, const std::vector<T>& diagonal,
               const NearNullspace& near_nullspace, const Params& params) {
  Facts facts = sizes_of(A, params);
  const CsrView<T>& rows = A.rows;
  Global not_positive = 0, far = 0, below = 0;
  double sums = 0, trace = 0;
  for (Index i = 0; i < rows.rows; ++i) {
    double sum = 0, size = 0, d = 0;
    for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p) {
      const double v = rows.data[p];
      sum += v;
      size += std::abs(v);
      d = rows.indices[p] == i + A.shift ? v : d;
    }
    not_positive += d < 0 || (d == 0 && size > 0);
    const double positive = (sum + size) / 2 - d;  // off the diagonal, where that is positive
    far += std::abs(sum) > null_row * std::abs(d) && positive > no_m_matrix * std::abs(d);
    below += sum < -not_rounding * size;
    sums += std::abs(sum);
    trace += std::abs(d);
  }
  facts.positive_diagonal = A.comm.sum(not_positive) == 0;
  facts.negative_sums = 2 * A.comm.sum(below) > facts.rows;
  facts.small_sums = A.comm.sum(sums) <= little_sum * A.comm.sum(trace);
  const bool is_given = A.comm.max(Global{!near_nullspace.values.empty()}) > 0;
  facts.far_from_null =
      2 * A.comm.sum(far) >= facts.rows && !is_given && 2 * far_from_scaled(A) >= facts.rows;
  if constexpr (std::is_same_v<T, double>)
    facts.has_nodes = !is_given && !facts.far_from_null && find_node_size(A) > 1;
  facts.diagonal_steps = Offer::unknown;
  if (facts.negative_sums) facts.has_negative_eigenvalue = has_negative_curvature(A, diagonal);
  return facts;
}

bool is_to_be_looked_at(const Facts& sizes, const Params& params) {
  const Global least = std::max(least_rows, coarse_size(sizes.entries, params));
  return may_choose(params) && sizes.rows > least;
}

template <class T>
Facts look_at(const DistRows<T>& A, const std::vector<T>& d, const NearNullspace& near_nullspace,
              const Params& params, double within) {
  const Facts sizes = sizes_of(A, params);
  if (!is_to_be_looked_at(sizes, params)) return sizes;
  Facts facts = facts_of(A, d, near_nullspace, params);
  if (facts.positive_diagonal && !facts.has_negative_eigenvalue) {
    const double most = within * break_even_of_diagonal(facts, params);
    facts.diagonal_steps = diagonal_steps(A, d, near_nullspace, facts, most);
  }
  return facts;
}

template <class T>
double guessed_total_of_direct(const DistRows<T>& A, const Facts& facts, const Params& params) {
  if (facts.ranks > 1 || !facts.is_double || A.own() == 0) return Offer::unknown;
  const FactorRequest request = request_for(
      facts.has_negative_eigenvalue ? MatrixKind::symmetric : MatrixKind::definite, params);
  if (!is_available(request)) return Offer::unknown;
  Index far = 0;
  std::vector<Index> order;
  mean_width(A.rows, 0, order, far);
  const double width = mean_width(A.rows, far, order, far);
  Fill about;
  about.entries = 0.7 * std::pow(width, 0.8) * static_cast<double>(facts.rows);
  about.work = 0.8 * std::pow(width, 1.7) * static_cast<double>(facts.rows);
  Facts guessed = facts;
  guessed.fill = about;
  guessed.backend =
      request.backend == "auto" ? factor_backends(request.kind).front() : request.backend;
  return offer_of(offers_for(guessed), "direct").total(1);
}

#define PYMPF_FACTS(T)                                                                     \
  template Facts sizes_of(const DistRows<T>&, const Params&);                              \
  template Facts facts_of(const DistRows<T>&, const std::vector<T>&, const NearNullspace&, \
                          const Params&);                                                  \
  template Facts look_at(const DistRows<T>&, const std::vector<T>&, const NearNullspace&,  \
                         const Params&, double);                                           \
  template double guessed_total_of_direct(const DistRows<T>&, const Facts&, const Params&);
PYMPF_FACTS(float)
PYMPF_FACTS(double)
#undef PYMPF_FACTS

}  // namespace pympf::precond
