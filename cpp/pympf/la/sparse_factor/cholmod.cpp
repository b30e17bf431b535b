// A positive definite matrix by CHOLMOD's Cholesky factorization: by supernodes where these are
// worth dense kernels, else column by column. The module for supernodes is under the GPL: a pympf
// that is built with it is not for wheels.
#include "pympf/common/error.hpp"
#include "pympf/la/sparse_factor/backends.hpp"

#ifdef PYMPF_HAVE_CHOLMOD
#include <cholmod.h>
#include <dlfcn.h>

#include <algorithm>
#include <new>
#include <utility>

#include "pympf/la/dense.hpp"
#include "pympf/la/sparse.hpp"
#endif

namespace pympf::sparse_factor {

#ifdef PYMPF_HAVE_CHOLMOD

namespace {

// METIS ends the process where it has no room: what it needs, in its own measure, as CHOLMOD's
// manual advises, has to be there.
constexpr double memory_of_metis = 2;

// Operations for an entry of the factor from which supernodes are worth it. Measured, analysis with
// factor, supernodes over columns: 1138_bus (3 an entry) 3.4, cora (44) 2.6, 2-D Poisson of 10^4
// rows (59) 1.9, bcsstk14 (84) 1.2; bcsstk13 (208) 0.80, 3-D Poisson of 10^4 rows (437) 0.35.
constexpr double worth_supernodes = 120;

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

// While there is one, OpenMP starts no threads for the calling thread. CHOLMOD asks for four,
// whatever the cores are; a child of fork() would wait for those of its parent for ever.
class SerialOpenMp {
 public:
  SerialOpenMp() : levels_(names().get ? names().get() : 0) { set(0); }
  ~SerialOpenMp() { set(levels_); }
  SerialOpenMp(const SerialOpenMp&) = delete;
  SerialOpenMp& operator=(const SerialOpenMp&) = delete;

 private:
  struct Names {
    int (*get)() = nullptr;
    void (*set)(int) = nullptr;
  };
  // Of the runtime that CHOLMOD has brought, if it has.
  static const Names& names() {
    static const Names found = [] {
      Names out;
      for (const char* runtime : {"libgomp.so.1", "libomp.so.5", "libomp.so"})
        if (void* const handle = dlopen(runtime, RTLD_LAZY | RTLD_NOLOAD); handle && !out.set) {
          out.get = reinterpret_cast<int (*)()>(dlsym(handle, "omp_get_max_active_levels"));
          out.set = reinterpret_cast<void (*)(int)>(dlsym(handle, "omp_set_max_active_levels"));
        }
      return out;
    }();
    return found;
  }
  static void set(int levels) {
    if (names().set) names().set(levels);
  }

  const int levels_;
};

class Cholmod final : public SparseFactor {
 public:
  Cholmod(const CsrView<double>& A, const FactorRequest& request)
      : SparseFactor(A.rows), size_(static_cast<std::size_t>(A.rows)) {
    cholmod_start(&common_);
    common_.supernodal = CHOLMOD_AUTO;
    common_.supernodal_switch = worth_supernodes;
    common_.final_ll = 1;  // columns of L as supernodes have them, not L D L^T
    common_.quick_return_if_not_posdef = 1;
    common_.print = 0;
    common_.metis_memory = memory_of_metis;
    common_.nmethods = 1;
    common_.postorder = 1;
#if CHOLMOD_MAIN_VERSION >= 4
    common_.nthreads_max = 1;  // before, SerialOpenMp alone
#endif
    try {
      take_better_order(A, request);
    } catch (...) {
      release();
      throw;
    }
  }
  ~Cholmod() override { release(); }

  std::optional<Index> negative_eigenvalues() const override { return 0; }
  double stored() const override {
    return L_->is_super ? static_cast<double>(L_->xsize) : analysis_.fill.entries;
  }

 protected:
  int triangles() const override { return 1; }

  bool decompose(const CsrView<double>& A) override {
    const SerialBlas serial;
    const SerialOpenMp one_thread;
    cholmod_sparse columns = columns_of(A);
    common_.status = CHOLMOD_OK;
    cholmod_factorize(&columns, L_, &common_);
    check();
    if (common_.status == CHOLMOD_NOT_POSDEF || L_->minor < size_) return false;
    return has_pivots_above(noise(A.rows), diagonal(A));
  }

  void solve_one(double* x, bool) const override {
    const SerialBlas serial;
    const SerialOpenMp one_thread;
    cholmod_dense b{};
    b.nrow = b.d = b.nzmax = size_;
    b.ncol = 1;
    b.x = x;
    b.xtype = CHOLMOD_REAL;
    b.dtype = CHOLMOD_DOUBLE;
    cholmod_solve2(CHOLMOD_A, L_, &b, nullptr, &solution_, nullptr, &work_[0], &work_[1], &common_);
    check();
    const auto* found = static_cast<const double*>(solution_->x);
    std::copy(found, found + size_, x);
  }

 private:
  void take_better_order(const CsrView<double>& A, const FactorRequest& request) {
    cholmod_sparse columns = columns_of(A);
    const std::pair<int, const char*> orders[] = {{CHOLMOD_AMD, "AMD"}, {CHOLMOD_METIS, "METIS"}};
    for (const auto& [method, name] : orders) {
      if (L_ && !worth_dissection(analysis_.fill, A.rows, request)) return;
      common_.method[0].ordering = method;
      common_.status = CHOLMOD_OK;
      cholmod_factor* L = cholmod_analyze(&columns, &common_);
      if (common_.status == CHOLMOD_NOT_INSTALLED) continue;  // without METIS
      check();
      if (L_ && common_.fl >= analysis_.fill.work) {
        cholmod_free_factor(&L, &common_);
        continue;
      }
      if (L_) cholmod_free_factor(&L_, &common_);
      L_ = L;
      analysis_ = {"cholmod", name, {common_.lnz, common_.fl}, true};
    }
  }

  // Whether each l_jj^2 is larger than `least` times the entry d there.
  bool has_pivots_above(double least, const std::vector<double>& d) const {
    const auto* order = static_cast<const Index*>(L_->Perm);
    const auto* x = static_cast<const double*>(L_->x);
    bool above = true;
    const auto check_pivot = [&](Index j, double l) { above &= l * l > least * d[order[j]]; };
    if (!L_->is_super) {
      const auto* begin = static_cast<const Index*>(L_->p);
      for (Index j = 0; j < static_cast<Index>(size_); ++j) check_pivot(j, x[begin[j]]);
      return above;
    }
    const auto *super = static_cast<const Index*>(L_->super),
               *pi = static_cast<const Index*>(L_->pi), *px = static_cast<const Index*>(L_->px);
    for (std::size_t s = 0; s < L_->nsuper; ++s) {
      const auto height = static_cast<std::size_t>(pi[s + 1] - pi[s]);
      for (Index j = super[s]; j < super[s + 1]; ++j)
        check_pivot(j, x[px[s] + static_cast<std::size_t>(j - super[s]) * (height + 1)]);
    }
    return above;
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

  const std::size_t size_;
  cholmod_factor* L_ = nullptr;
  mutable cholmod_common common_;
  mutable cholmod_dense *solution_ = nullptr, *work_[2] = {};
};

}  // namespace

std::vector<Index> order_by(int method, const CsrView<double>& A) {
  cholmod_common common;
  cholmod_start(&common);
  common.print = 0;
  common.metis_memory = memory_of_metis;
  cholmod_sparse columns = columns_of(A);
  std::vector<Index> order(static_cast<std::size_t>(A.rows));
  bool is_there = false;
  if (method == CHOLMOD_AMD) {
    is_there = cholmod_amd(&columns, nullptr, 0, order.data(), &common);
  } else {
    common.nmethods = 1;
    common.method[0].ordering = method;
    cholmod_factor* L = cholmod_analyze(&columns, &common);
    is_there = L && common.status == CHOLMOD_OK;  // without METIS it is not
    if (is_there) std::copy_n(static_cast<const Index*>(L->Perm), A.rows, order.begin());
    cholmod_free_factor(&L, &common);
  }
  const int status = common.status;
  cholmod_finish(&common);
  if (status == CHOLMOD_OUT_OF_MEMORY) throw std::bad_alloc();
  if (!is_there) order.clear();
  return order;
}

std::vector<Index> dissection(const CsrView<double>& A) { return order_by(CHOLMOD_METIS, A); }
std::vector<Index> approximate_minimum_degree(const CsrView<double>& A) {
  return order_by(CHOLMOD_AMD, A);
}

bool has_cholmod() { return true; }
std::unique_ptr<SparseFactor> analyze_cholmod(const CsrView<double>& A,
                                              const FactorRequest& request) {
  return std::make_unique<Cholmod>(A, request);
}

#else

std::vector<Index> dissection(const CsrView<double>&) { return {}; }
std::vector<Index> approximate_minimum_degree(const CsrView<double>&) { return {}; }
bool has_cholmod() { return false; }
std::unique_ptr<SparseFactor> analyze_cholmod(const CsrView<double>&, const FactorRequest&) {
  return nullptr;
}

#endif

}  // namespace pympf::sparse_factor
