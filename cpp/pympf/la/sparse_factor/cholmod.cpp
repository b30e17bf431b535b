// A positive definite matrix by CHOLMOD's supernodal Cholesky factorization. That module is under
// the GPL: a pympf that is built with it is not for wheels.
#include "pympf/common/error.hpp"
#include "pympf/la/sparse_factor/backends.hpp"

#ifdef PYMPF_HAVE_CHOLMOD
#include <cholmod.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <new>
#include <utility>

#include "pympf/la/dense.hpp"
#endif

namespace pympf::sparse_factor {

#ifdef PYMPF_HAVE_CHOLMOD

namespace {

// CHOLMOD only reads it. By columns the upper triangle of a symmetric matrix is its lower one by
// rows; the other triangle is passed over.
cholmod_sparse columns_of(const CsrView<double>& A) {
  cholmod_sparse out{};
  out.nrow = out.ncol = static_cast<std::size_t>(A.rows);
  out.nzmax = static_cast<std::size_t>(A.nnz());
  out.p = const_cast<Index*>(A.indptr);
  out.i = const_cast<Index*>(A.indices);
  out.x = const_cast<double*>(A.data);
  out.stype = 1;
  out.itype = CHOLMOD_INT;
  out.xtype = CHOLMOD_REAL;
  out.dtype = CHOLMOD_DOUBLE;
  out.sorted = out.packed = 1;
  return out;
}

class Cholmod final : public SparseFactor {
 public:
  explicit Cholmod(const CsrView<double>& A) : rows_(static_cast<std::size_t>(A.rows)) {
    cholmod_start(&common_);
    common_.supernodal = CHOLMOD_SUPERNODAL;
    common_.quick_return_if_not_posdef = 1;
    common_.print = 0;
    common_.nmethods = 1;
    common_.postorder = 1;
    try {
      take_better_order(A);
    } catch (...) {
      release();
      throw;
    }
  }
  ~Cholmod() override { release(); }

  bool factor(const CsrView<double>& A) override {
    const SerialBlas serial;
    factored_ = false;
    cholmod_sparse columns = columns_of(A);
    common_.status = CHOLMOD_OK;
    cholmod_factorize(&columns, L_, &common_);
    check();
    if (common_.status == CHOLMOD_NOT_POSDEF || L_->minor < rows_) return false;
    // The ratio of the pivots' squares; below rounding, some pivot is but noise.
    factored_ = cholmod_rcond(L_, &common_) > rows_ * std::numeric_limits<double>::epsilon() / 4;
    return factored_;
  }

  void solve(double* X, Index columns) const override {
    if (!factored_)
      throw InvalidArgument("expected a matrix that was factored before it is solved with");
    const std::lock_guard lock(mutex_);
    const SerialBlas serial;
    cholmod_dense B{};
    B.nrow = B.d = rows_;
    B.ncol = static_cast<std::size_t>(columns);
    B.nzmax = B.nrow * B.ncol;
    B.x = X;
    B.xtype = CHOLMOD_REAL;
    B.dtype = CHOLMOD_DOUBLE;
    cholmod_solve2(CHOLMOD_A, L_, &B, nullptr, &solution_, nullptr, &work_[0], &work_[1], &common_);
    check();
    const auto* x = static_cast<const double*>(solution_->x);
    std::copy(x, x + B.nzmax, X);
  }

  std::optional<Index> negative_eigenvalues() const override {
    return factored_ ? std::optional<Index>(0) : std::nullopt;
  }

 private:
  void take_better_order(const CsrView<double>& A) {
    cholmod_sparse columns = columns_of(A);
    const std::pair<int, const char*> orders[] = {{CHOLMOD_AMD, "AMD"}, {CHOLMOD_METIS, "METIS"}};
    for (const auto& [method, name] : orders) {
      if (L_ && !worth_dissection(analysis_.flops, A.rows)) return;
      common_.method[0].ordering = method;
      common_.status = CHOLMOD_OK;
      cholmod_factor* L = cholmod_analyze(&columns, &common_);
      if (common_.status == CHOLMOD_NOT_INSTALLED) continue;  // without METIS
      check();
      if (L_ && common_.fl >= analysis_.flops) {
        cholmod_free_factor(&L, &common_);
        continue;
      }
      if (L_) cholmod_free_factor(&L_, &common_);
      L_ = L;
      analysis_ = {"cholmod", name, common_.lnz, common_.fl};
    }
  }

  void check() const {
    if (common_.status == CHOLMOD_OUT_OF_MEMORY) throw std::bad_alloc();
    if (common_.status == CHOLMOD_TOO_LARGE)
      throw InvalidArgument(
          "a matrix whose factor has fewer than 2^31 entries was expected by CHOLMOD");
    if (common_.status < 0)
      throw InvalidArgument("CHOLMOD failed with status " + std::to_string(common_.status));
  }

  void release() {
    cholmod_free_dense(&solution_, &common_);
    for (cholmod_dense*& work : work_) cholmod_free_dense(&work, &common_);
    cholmod_free_factor(&L_, &common_);
    cholmod_finish(&common_);
  }

  const std::size_t rows_;
  bool factored_ = false;
  cholmod_factor* L_ = nullptr;
  mutable cholmod_common common_;
  mutable cholmod_dense *solution_ = nullptr, *work_[2] = {};
  mutable std::mutex mutex_;
};

}  // namespace

bool has_cholmod() { return true; }
std::unique_ptr<SparseFactor> analyze_cholmod(const CsrView<double>& A) {
  return std::make_unique<Cholmod>(A);
}

#else

bool has_cholmod() { return false; }
std::unique_ptr<SparseFactor> analyze_cholmod(const CsrView<double>&) { return nullptr; }

#endif

}  // namespace pympf::sparse_factor
