#include "pympf/la/sparse_factor/sparse_factor.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "pympf/common/error.hpp"
#include "pympf/common/random.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/la/sparse_factor/backends.hpp"

namespace pympf {

namespace sparse_factor {

bool is_accurate(const CsrView<double>& A, const std::function<void(double*)>& solve) {
  constexpr double accurate = 0.1;
  std::vector<double> b(A.rows), x, left(A.rows);
  for (Index i = 0; i < A.rows; ++i) b[i] = fibonacci16(static_cast<std::uint32_t>(i)) & 1 ? 1 : -1;
  x = b;
  solve(x.data());
  residual(A, x.data(), b.data(), left.data());
  return norm(A.rows, left.data()) <= accurate * norm(A.rows, b.data());
}

bool is_plainly_singular(const CsrView<double>& A) {
  std::vector<char> is_taken(A.rows, 0);  // columns, by rows that have no other one
  for (Index i = 0; i < A.rows; ++i) {
    Index count = 0, column = 0;
    for (Index p = A.indptr[i]; p < A.indptr[i + 1] && count < 2; ++p)
      if (A.data[p] != 0) ++count, column = A.indices[p];
    if (count == 0 || (count == 1 && std::exchange(is_taken[column], 1))) return true;
  }
  return false;
}

double noise(Index rows) { return rows * std::numeric_limits<double>::epsilon() / 4; }

}  // namespace sparse_factor

using namespace sparse_factor;

bool SparseFactor::factor(const CsrView<double>& A) {
  factored_ = false;
  return factored_ = !is_plainly_singular(A) && decompose(A);
}

namespace {

void require_factored(bool factored) {
  require(factored, "expected a matrix that was factored before it is solved with");
}

// Seconds on one core of a server of 2026 for an analysis, a factorization and the solutions. The
// numbers are fitted to 58 systems, ordered by AMD: Helmholtz problems of 64^2 to 384^2 and 12^3 to
// 24^3 rows, the generated families of 1000 to 20 000 rows, shifted, and three saddle points. There
// they are right to 17 and 19 % (root mean square); on the KKT matrices of the bench case `factor`,
// to 30 %. SuperLU goes by columns, MUMPS by fronts, of which it has one for every few rows; where
// the diagonal has zeros it pairs rows before it orders them.
double predicted_time(const std::string& backend, const Fill& fill, Index rows, bool full_diagonal,
                      double solutions) {
  if (backend == "superlu")
    return 0.85e-6 * rows + 27e-9 * fill.entries + 0.13e-9 * fill.work +
           solutions * 1.7e-9 * fill.entries;
  return (full_diagonal ? 1.8e-6 : 3.3e-6) * rows + 9.6e-9 * fill.entries + 0.035e-9 * fill.work +
         solutions * (0.23e-6 * rows + 0.86e-9 * fill.entries);
}

// An analysis is begun with the backend that is likely to take less time; the other one has to be
// better by what that analysis has cost. MUMPS's own fill would stand in for SuperLU's, which may
// be less by a third.
constexpr Index rows_for_superlu = 100'000;
constexpr double better = 0.8;

std::unique_ptr<SparseFactor> analyze_by(const std::string& backend, const CsrView<double>& A,
                                         const FactorRequest& request) {
  if (backend == "cholmod") return analyze_cholmod(A, request);
  return backend == "mumps" ? analyze_mumps(A, request) : analyze_superlu(A, request);
}

// A symmetric matrix by MUMPS or SuperLU, whichever is predicted to take less time, and where its
// pivots fail by what is left: pivots that stay on the diagonal need luck, those of MUMPS are 2x2
// blocks, and free ones fill up. SuperLU also takes small numbers for zeros on the diagonal: where
// b is in the range of a singular A, that may still be good.
class MumpsOrSuperlu final : public SparseFactor {
 public:
  MumpsOrSuperlu(const CsrView<double>& A, const FactorRequest& request)
      : SparseFactor(A.rows), request_(request) {
    const std::vector<double> d = diagonal(A);
    const bool full = std::find(d.begin(), d.end(), 0.0) == d.end();
    const std::string first = A.rows <= rows_for_superlu ? "superlu" : "mumps";
    const std::string other = first == "mumps" ? "superlu" : "mumps";
    take(A, {first, Pivots::diagonal});
    const auto time_of = [&](const std::string& backend) {
      return predicted_time(backend, analysis_.fill, A.rows, full, request.solutions);
    };
    const bool is_better = time_of(other) < better * time_of(analysis_.backend);
    if (request.kind == MatrixKind::symmetric)  // a definite one has no pivots that fail
      left_ = {{is_better ? first : other, Pivots::diagonal}, {"superlu", Pivots::any}};
    if (is_better) take(A, {other, Pivots::diagonal});
  }

  std::optional<Index> negative_eigenvalues() const override {
    return factor_->negative_eigenvalues();
  }
  double stored() const override { return factor_->stored(); }

 protected:
  int triangles() const override { return analysis_.backend == "superlu" ? 2 : 1; }

  bool decompose(const CsrView<double>& A) override {
    while (!factor_->factor(A)) {
      if (left_.empty()) return false;
      take(A, left_.front());
      left_.erase(left_.begin());
      const Fill& fill = analysis_.fill;
      if (fill.work > request_.most_work || fill.entries > request_.most_entries) return false;
    }
    return true;
  }

  void solve_one(double* x, bool transposed) const override {
    transposed ? factor_->solve_transposed(x) : factor_->solve(x);
  }

 private:
  struct Attempt {
    std::string backend;
    Pivots pivots;  // of SuperLU
  };

  void take(const CsrView<double>& A, const Attempt& attempt) {
    request_.pivots = attempt.pivots;
    factor_ = analyze_by(attempt.backend, A, request_);
    analysis_ = factor_->analysis();
  }

  FactorRequest request_;
  std::unique_ptr<SparseFactor> factor_;
  std::vector<Attempt> left_;
};

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

void SparseFactor::solve(double* X, Index columns) const {
  require_factored(factored_);
  const std::lock_guard lock(mutex_);
  for (Index j = 0; j < columns; ++j) solve_one(X + static_cast<std::size_t>(j) * rows_, false);
}

void SparseFactor::solve_transposed(double* X, Index columns) const {
  require_factored(factored_);
  const std::lock_guard lock(mutex_);
  for (Index j = 0; j < columns; ++j) solve_one(X + static_cast<std::size_t>(j) * rows_, true);
}

std::vector<std::string> factor_backends(MatrixKind kind) {
  std::vector<std::string> names;
  if (kind == MatrixKind::definite && has_cholmod()) names.push_back("cholmod");
  if (kind == MatrixKind::general && has_superlu()) names.push_back("superlu");
  if (has_mumps()) names.push_back("mumps");
  if (kind != MatrixKind::general && has_superlu()) names.push_back("superlu");
  return names;
}

std::unique_ptr<SparseFactor> analyze(const CsrView<double>& A, const FactorRequest& request) {
  require(A.rows == A.cols, "expected a square matrix to be factored, got ", A.rows, " rows and ",
          A.cols, " columns");
  require(A.rows > 0, "expected a matrix with rows to be factored, got none");
  const std::vector<std::string> names = factor_backends(request.kind);
  require(!names.empty(),
          "a sparse direct factor needs CHOLMOD, MUMPS or SuperLU, and this pympf was built "
          "without one of them: install libsuitesparse-dev, libmumps-seq-dev or libsuperlu-dev (or "
          "its like) and build anew");
  const bool is_automatic = request.backend == "auto";
  require(is_automatic || std::find(names.begin(), names.end(), request.backend) != names.end(),
          "the direct factor '", request.backend, "' is not available for this matrix: expected ",
          "one of ", listed(names));
  const std::string name = is_automatic ? names.front() : request.backend;
  const bool is_symmetric = request.kind != MatrixKind::general && name != "cholmod";
  if (is_automatic && is_symmetric && has_mumps() && has_superlu())
    return std::make_unique<MumpsOrSuperlu>(A, request);
  return analyze_by(name, A, request);
}

}  // namespace pympf
