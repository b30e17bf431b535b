#include "pympf/precond/levels/direct.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "pympf/common/error.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/precond/probe.hpp"

namespace pympf::precond {
namespace {

// Squares of the lengths of the columns of L for each row, below which a factorization of A is done
// before anything else would be.
constexpr double cheap_work = 30'000;
// Rows of a matrix with zeros on the diagonal, up to which an LU without 2x2 pivots is cheaper than
// MINRES with a preconditioner for each part of it (Stokes' equations): its fill is not predicted.
constexpr Index few_rows = 30'000;
// What is added to the diagonal of a matrix that may be definite, relative to it: far above
// rounding, so that the last pivot of a singular semidefinite matrix is positive.
constexpr double raise = 1e-12;

std::string millions(double entries) {
  char text[48];
  std::snprintf(text, sizeof text, "%.3g million entries", entries / 1e6);
  return text;
}

// `alone` on the diagonal of a row of zeros.
Csr<double> raised(const CsrView<double>& A, double alone) {
  Csr<double> out = with_whole_diagonal(A);
  for (Index i = 0; i < A.rows; ++i) {
    const auto begin = out.data.begin() + out.indptr[i], end = out.data.begin() + out.indptr[i + 1];
    const bool is_alone = std::all_of(begin, end, [](double v) { return v == 0; });
    for (Index p = out.indptr[i]; p < out.indptr[i + 1]; ++p)
      if (out.indices[p] == i) out.data[p] += is_alone ? alone : raise * out.data[p];
  }
  return out;
}

bool has_full_diagonal(const CsrView<double>& A) {
  const std::vector<double> d = diagonal(A);
  return std::find(d.begin(), d.end(), 0.0) == d.end();
}

bool costs_more(const SparseFactor& factor, const CsrView<double>& A, double most_work,
                Report& report) {
  const FactorAnalysis& analysis = factor.analysis();
  if (analysis.backend == "superlu" && A.rows > few_rows && !has_full_diagonal(A)) {
    report.reason = concat("zeros on the diagonal of more than ", few_rows, " rows");
    return true;
  }
  if (analysis.fill.work <= most_work) return false;
  report.reason = "it costs more than other ways";
  return true;
}

}  // namespace

FactorRequest request_for(MatrixKind kind, const Params& params) {
  FactorRequest request;
  request.kind = kind;
  request.backend = find_field(fields(), "factor_backend").text(params);
  request.solutions = 1 + 3 * params.solves;  // a check, and what a Krylov method does for a system
  request.most_entries = most_factor_entries;
  return request;
}

bool is_available(const FactorRequest& request) {
  const std::vector<std::string> names = factor_backends(request.kind);
  return request.backend == "auto"
             ? !names.empty()
             : std::find(names.begin(), names.end(), request.backend) != names.end();
}

std::string why_not_available(const FactorRequest& request) {
  const std::vector<std::string> names = factor_backends(request.kind);
  if (names.empty()) return "pympf was built without SuperLU, MUMPS and CHOLMOD";
  std::string there;
  for (const std::string& name : names) there += (there.empty() ? "" : ", ") + name;
  if (request.backend == "cholmod" && !factor_backends(MatrixKind::definite).empty() &&
      factor_backends(MatrixKind::definite).front() == "cholmod")
    return "A is not positive definite, as cholmod needs it; for A there are: " + there;
  return concat("pympf was built without ", request.backend, "; for A there are: ", there);
}

bool is_small_enough(const SparseFactor& factor, Report& report) {
  if (factor.analysis().fill.entries <= most_factor_entries) return true;
  report.reason = "a factor has more than " + millions(most_factor_entries);
  return false;
}

void describe(const SparseFactor& factor, Global nnz, LevelReport& line, Report& report) {
  const FactorAnalysis& analysis = factor.analysis();
  report.direct = {analysis.backend, analysis.order, 0, 0, factor.stored()};
  if (analysis.known) {
    report.direct.predicted = factor.predicted();
    report.direct.flops = factor.predicted_flops();
  }
  report.direct_text = concat("; ", analysis.backend, ", ordered by ", analysis.order, ": ",
                              millions(factor.stored()), " in its factor");
  if (analysis.known)
    report.direct_text += concat(", ", millions(factor.predicted()), " predicted");
  line.factor = factor.stored() / static_cast<double>(std::max<Global>(1, nnz));
  line.bytes = static_cast<std::size_t>(factor.bytes());
}

Direct::Direct(const CsrView<double>& A, std::shared_ptr<SparseFactor> factor, Report& report)
    : rows_(A.rows), factor_(std::move(factor)) {
  report.method = "direct";
  const double share = factor_->analysis().fill.entries / std::max<Index>(1, A.nnz());
  report.reason = concat("a factor has at most ", std::ceil(share), " entries for each of A");
  report.definite = factor_->negative_eigenvalues() == 0;
  report.indefinite = !report.definite;
  LevelReport line;
  line.level = 1;
  line.rows = A.rows;
  line.nnz = A.nnz();
  describe(*factor_, A.nnz(), line, report);
  report.levels = {line};
}

std::shared_ptr<SparseFactor> Direct::analysis(const CsrView<double>& A, const Params& params,
                                               double most_entries) {
  FactorRequest request = request_for(MatrixKind::definite, params);
  request.most_entries = most_entries;
  return is_available(request) ? analyze(raised(A, 1), request) : nullptr;
}

std::optional<Direct> Direct::analyzed(const CsrView<double>& A,
                                       std::shared_ptr<SparseFactor> factor, Report& report) {
  return of(A, raised(A, 1), std::move(factor), report);
}

std::optional<Direct> Direct::of(const CsrView<double>& A, const CsrView<double>& raised,
                                 std::shared_ptr<SparseFactor> factor, Report& report) {
  if (!is_small_enough(*factor, report)) return {};
  if (factor->factor(raised)) return Direct(A, std::move(factor), report);
  report.reason = "A is singular to rounding";
  return {};
}

std::optional<Direct> Direct::factor(const CsrView<double>& A, MatrixKind kind,
                                     const Params& params, Report& report, Cost most) {
  if (kind == MatrixKind::definite)
    if (auto M = definite(A, params, report)) return M;
  FactorRequest request = request_for(MatrixKind::symmetric, params);
  if (most == Cost::small) {
    request.most_work = cheap_work * A.rows;
    request.most_rows_blindly = few_rows;
  }
  if (!is_available(request)) {
    report.reason = why_not_available(request);
    return {};
  }
  auto factor = analyze(A, request);
  if (most == Cost::small && costs_more(*factor, A, request.most_work, report)) return {};
  return of(A, A, std::move(factor), report);
}

// Elimination of a definite matrix is stable, and b need not be in the range of a singular one.
// That it is one is said: an eigenvalue of D^-1 A is no larger than what was added.
std::optional<Direct> Direct::definite(const CsrView<double>& A, const Params& params,
                                       Report& report) {
  const FactorRequest request = request_for(MatrixKind::definite, params);
  if (!is_available(request)) return {};
  const Csr<double> matrix = raised(A, 0);
  auto M = of(A, matrix, analyze(matrix, request), report);
  if (M && M->least_quotient(matrix) < 10 * raise)
    report.direct_text +=
        concat("; A is singular to rounding, ", raise, " of its diagonal was added");
  return M;
}

double Direct::least_quotient(const CsrView<double>& A) const {
  const std::vector<double> d = diagonal(A);
  std::vector<double> b(d.size()), x;
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = probing::sign(i) * d[i];
  x = b;
  factor_->solve(x.data());
  double energy = 0, mass = 0;
  for (std::size_t i = 0; i < b.size(); ++i) energy += x[i] * b[i], mass += x[i] * d[i] * x[i];
  return mass > 0 ? energy / mass : 1;
}

template <class T>
void Direct::apply(const T* r, T* z) const {
  Pool<std::vector<double>>::Lease x(*spaces_);
  x->assign(r, r + rows_);
  factor_->solve(x->data());
  for (Index i = 0; i < rows_; ++i) z[i] = static_cast<T>((*x)[i]);
}

template void Direct::apply(const float*, float*) const;
template void Direct::apply(const double*, double*) const;

}  // namespace pympf::precond
