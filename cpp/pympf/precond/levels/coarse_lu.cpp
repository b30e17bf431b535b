#include "pympf/precond/levels/coarse_lu.hpp"

#include <algorithm>
#include <cmath>

#include "pympf/la/blas1.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/la/symmetry.hpp"
#include "pympf/precond/smoothers/domains.hpp"
#include "pympf/precond/smoothers/ordering.hpp"

namespace pympf::precond {
namespace {

constexpr double many_solutions = 100;  // one in each application of the hierarchy

std::optional<Index> empty_row_of(const CsrView<double>& A) {
  for (Index i = 0; i < A.rows; ++i)
    if (std::all_of(A.data + A.indptr[i], A.data + A.indptr[i + 1],
                    [](double v) { return v == 0; }))
      return i;
  return {};
}

// Of the envelope, which bounds the fill of a complete factorization without exchanges.
Fill envelope_of(const CsrView<double>& A, const std::vector<Index>& order) {
  std::vector<Index> position(A.rows);
  for (Index i = 0; i < A.rows; ++i) position[order[i]] = i;
  Fill out;
  for (Index k = 0; k < A.rows; ++k) {
    Index first = k;
    for (Index p = A.indptr[order[k]]; p < A.indptr[order[k] + 1]; ++p)
      first = std::min(first, position[A.indices[p]]);
    const auto width = static_cast<double>(k - first + 1);
    out.entries += width;
    out.work += width * width;
  }
  return out;
}

Csr<double> with_raised_diagonal(Csr<double> A, double raise) {
  const double most = largest_magnitude(A.data.size(), A.data.data());
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      if (A.indices[p] == i) A.data[p] += std::copysign(raise * most, A.data[p]);
  return A;
}

}  // namespace

CoarsePlan::CoarsePlan(const CsrView<double>& given, const std::string& backend,
                       double most_entries)
    : empty_row(empty_row_of(given)) {
  if (empty_row) return;
  A = transpose(transpose(with_symmetric_pattern(DistRows<double>(given)).rows).view());
  if (backend != "auto" || !factor_backends(MatrixKind::general).empty()) {
    factor = analyze(A, {MatrixKind::general, backend, many_solutions, most_entries});
    fill = factor->analysis().known ? factor->analysis().fill : Fill{most_entries, most_entries};
    return;
  }
  order = reverse_cuthill_mckee(A.view());
  fill = envelope_of(A, order);
}

std::optional<CoarseLu> CoarseLu::factor(CoarsePlan& plan, double raise) {
  if (plan.empty_row) return {};
  Csr<double> raised;
  if (raise > 0) raised = with_raised_diagonal(plan.A, raise);
  const CsrView<double> A = raise > 0 ? raised.view() : plan.A.view();
  CoarseLu out;
  out.rows_ = A.rows;
  if (plan.factor) {
    if (!plan.factor->factor(A)) return {};
    out.factor_ = std::move(plan.factor);
    return out;
  }
  out.order_ = plan.order;
  out.complete_ = Ilut<double>(permuted(A, plan.order), IlutRule::complete());
  if (out.complete_.pivots_replaced() > 0) return {};
  return out;
}

void CoarseLu::ordered(bool transposed, double* x, double* work) const {
  for (Index i = 0; i < rows_; ++i) work[i] = x[order_[i]];
  transposed ? complete_.solve_transposed(work) : complete_.solve(work);
  for (Index i = 0; i < rows_; ++i) x[order_[i]] = work[i];
}

void CoarseLu::solve(double* x, double* work) const {
  factor_ ? factor_->solve(x) : ordered(false, x, work);
}

void CoarseLu::solve_transposed(double* x, double* work) const {
  factor_ ? factor_->solve_transposed(x) : ordered(true, x, work);
}

std::size_t CoarseLu::nnz() const {
  return factor_ ? static_cast<std::size_t>(factor_->stored()) : complete_.nnz();
}

}  // namespace pympf::precond
