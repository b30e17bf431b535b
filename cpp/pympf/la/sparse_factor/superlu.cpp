// A symmetric matrix by SuperLU, as L U: sparse_lu.hpp has what it does.
#include <limits>
#include <mutex>

#include "pympf/common/error.hpp"
#include "pympf/la/sparse_factor/backends.hpp"
#include "pympf/la/sparse_lu.hpp"

namespace pympf::sparse_factor {
namespace {

class Superlu final : public SparseFactor {
 public:
  Superlu(const CsrView<double>& A, bool definite)
      : definite_(definite),
        plan_(A, std::numeric_limits<double>::infinity()),
        work_(static_cast<std::size_t>(A.rows)) {
    const double unknown = std::numeric_limits<double>::quiet_NaN();
    const bool known = plan_.on_diagonal && !plan_.has_zero_row;
    analysis_ = {"superlu", plan_.on_diagonal ? "minimum degree" : "COLAMD",
                 known ? plan_.fill.entries : unknown, known ? plan_.fill.work : unknown};
  }

  bool factor(const CsrView<double>& A) override {
    lu_ = SparseLu::factor(A, plan_, definite_ ? SparseLu::Pivots::fixed : SparseLu::Pivots::free);
    if (lu_ && definite_ && lu_->negative_pivots() != 0) lu_.reset();
    return lu_.has_value();
  }

  void solve(double* X, Index columns) const override {
    if (!lu_) throw InvalidArgument("expected a matrix that was factored before it is solved with");
    const std::lock_guard lock(mutex_);
    for (Index j = 0; j < columns; ++j) lu_->solve(X + j * work_.size(), work_.data());
  }

  std::optional<Index> negative_eigenvalues() const override {
    return lu_ ? lu_->negative_pivots() : std::nullopt;
  }

 private:
  const bool definite_;
  LuPlan plan_;
  std::optional<SparseLu> lu_;
  mutable std::vector<double> work_;
  mutable std::mutex mutex_;
};

}  // namespace

std::unique_ptr<SparseFactor> analyze_superlu(const CsrView<double>& A, bool definite) {
  return std::make_unique<Superlu>(A, definite);
}

}  // namespace pympf::sparse_factor
