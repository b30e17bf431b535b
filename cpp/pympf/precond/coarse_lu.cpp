#include "pympf/precond/coarse_lu.hpp"

#include <algorithm>
#include <cmath>

#include "pympf/la/sparse.hpp"
#include "pympf/la/symmetry.hpp"
#include "pympf/precond/domains.hpp"
#include "pympf/precond/ordering.hpp"

namespace pympf::precond {
namespace {

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

}  // namespace

CoarsePlan::CoarsePlan(const CsrView<double>& A, double most_entries) : empty_row(empty_row_of(A)) {
  if (empty_row) return;
  const DistRows<double> whole = with_symmetric_pattern(DistRows<double>(A));
  columns = transpose(whole.rows);
  if (SparseLu::available()) {
    lu = LuPlan(columns, most_entries);
    // With zeros on the diagonal rows are exchanged, and nothing is known of the fill.
    entries = lu.on_diagonal ? lu.fill.entries : most_entries;
    work = lu.on_diagonal ? lu.fill.work : most_entries;
    return;
  }
  order = reverse_cuthill_mckee(columns.view());
  const Fill fill = envelope_of(columns, order);
  entries = fill.entries, work = fill.work;
}

std::optional<CoarseLu> CoarseLu::factor(const CoarsePlan& plan) {
  if (plan.empty_row) return {};
  CoarseLu out;
  out.rows_ = plan.columns.rows;
  if (SparseLu::available()) {
    out.lu_ = SparseLu::factor(plan.columns, plan.lu);
    if (!out.lu_) return {};
    return out;
  }
  const Csr<double> A = transpose(plan.columns.view());
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
  lu_ ? lu_->solve(x, work) : ordered(false, x, work);
}

void CoarseLu::solve_transposed(double* x, double* work) const {
  lu_ ? lu_->solve_transposed(x, work) : ordered(true, x, work);
}

std::size_t CoarseLu::nnz() const { return lu_ ? lu_->nnz() : complete_.nnz(); }

}  // namespace pympf::precond
