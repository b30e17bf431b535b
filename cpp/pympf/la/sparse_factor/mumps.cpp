// Any matrix by MUMPS, in its build without MPI, so that it can be called before MPI_Init and after
// MPI_Finalize. That build has MPI's names for routines of its own: it is loaded by dlopen, where
// its names bind to these and nobody else's do.
#include "pympf/common/error.hpp"
#include "pympf/la/sparse_factor/backends.hpp"

#ifdef PYMPF_HAVE_MUMPS
#include <dlfcn.h>
#include <dmumps_c.h>

#include <mutex>
#include <new>

#include "pympf/la/dense.hpp"
#endif

namespace pympf::sparse_factor {

#ifdef PYMPF_HAVE_MUMPS

// MUMPS keeps some state of its own beside its objects: one call at a time, by whichever of the
// modules that this code is linked into. So it is inline, and not in the namespace without a name.
inline std::mutex& one_at_a_time() {
  static std::mutex mutex;
  return mutex;
}

namespace {

#ifndef RTLD_DEEPBIND  // elsewhere libraries find their own names first
#define RTLD_DEEPBIND 0
#endif

// Null where the library is no longer there.
using Library = void(MUMPS_CALL*)(DMUMPS_STRUC_C*);
Library library() {
  static const Library found = [] {
    void* const handle = dlopen(PYMPF_MUMPS_LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    return handle ? reinterpret_cast<Library>(dlsym(handle, "dmumps_c")) : nullptr;
  }();
  return found;
}

enum class Job : int { end = -2, begin = -1, analysis = 1, factorization = 2, solution = 3 };
enum class Info : int { negative_pivots = 12, predicted = 20, null_pivots = 28, entries = 29 };
enum Order : int { amd = 0, given = 1 };
constexpr int no_memory = -13, small_workspace = -9, small_workspace_2 = -8, singular = -10,
              singular_pattern = -6;
constexpr int use_comm_world = -987654;
constexpr int most_workspace_percent = 10'000;

class Mumps final : public SparseFactor {
 public:
  Mumps(const CsrView<double>& A, const FactorRequest& request)
      : SparseFactor(A.rows), kind_(request.kind) {
    const std::lock_guard lock(one_at_a_time());
    data_.comm_fortran = use_comm_world;
    data_.par = 1;
    data_.sym = is_general() ? 0 : 2;  // with SYM = 1 it does not see a singular matrix
    call(Job::begin);
    check();
    for (int stream = 1; stream <= 3; ++stream) icntl(stream) = -1;  // prints nothing
    icntl(4) = 0;
    icntl(16) = 1;  // one thread
    icntl(24) = 1;  // tells pivots that are zero to rounding
    try {
      take_entries(A);
      take_better_order(A, request);
    } catch (...) {
      release();
      throw;
    }
  }
  ~Mumps() override {
    const std::lock_guard lock(one_at_a_time());
    release();
  }

  std::optional<Index> negative_eigenvalues() const override {
    return is_general() ? std::nullopt : std::optional<Index>(infog(Info::negative_pivots));
  }
  double stored() const override { return counted(Info::entries); }

 protected:
  int triangles() const override { return is_general() ? 2 : 1; }

  bool decompose(const CsrView<double>& A) override {
    const std::lock_guard lock(one_at_a_time());
    if (singular_pattern_) return false;
    take_entries(A);
    icntl(14) = 50;  // percent of workspace beyond the estimate
    while (true) {
      call(Job::factorization);
      const int code = data_.infog[0];
      if (code == singular) return false;
      if (code != small_workspace && code != small_workspace_2) break;
      if (icntl(14) > most_workspace_percent) throw std::bad_alloc();
      icntl(14) *= 4;
    }
    check();
    if (infog(Info::null_pivots) > 0) return false;
    if (kind_ == MatrixKind::definite && infog(Info::negative_pivots) > 0) return false;
    return is_general() || is_accurate(A, [&](double* x) { run_solution(x, false); });
  }

  void solve_one(double* x, bool transposed) const override {
    const std::lock_guard lock(one_at_a_time());
    run_solution(x, transposed);
  }

 private:
  bool is_general() const { return kind_ == MatrixKind::general; }

  void run_solution(double* x, bool transposed) const {
    data_.icntl[9 - 1] = transposed ? 0 : 1;
    data_.rhs = x;
    data_.nrhs = 1;
    data_.lrhs = data_.n;
    call(Job::solution);
    data_.rhs = nullptr;
    check();
  }

  // The manual counts from 1.
  MUMPS_INT& icntl(int i) { return data_.icntl[i - 1]; }
  MUMPS_INT infog(Info i) const { return data_.infog[static_cast<int>(i) - 1]; }
  double counted(Info i) const {  // in millions when negative
    return infog(i) < 0 ? -1e6 * infog(i) : infog(i);
  }

  void call(Job job) const {
    const SerialBlas serial;
    data_.job = static_cast<int>(job);
    library()(&data_);
  }

  // One triangle of a symmetric matrix; rows and columns are counted from 1.
  void take_entries(const CsrView<double>& A) {
    rows_.clear(), columns_.clear(), entries_.clear();
    for (Index i = 0; i < A.rows; ++i)
      for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
        if (A.indices[p] > i && !is_general()) break;
        rows_.push_back(i + 1);
        columns_.push_back(A.indices[p] + 1);
        entries_.push_back(A.data[p]);
      }
    data_.n = A.rows;
    data_.nnz = static_cast<MUMPS_INT8>(entries_.size());
    data_.irn = rows_.data();
    data_.jcn = columns_.data();
    data_.a = entries_.data();
  }

  // MUMPS keeps the last analysis, so the first order is analyzed again where it was the better
  // one.
  void take_better_order(const CsrView<double>& A, const FactorRequest& request) {
    analysis_ = {"mumps", "AMD", {}, true};
    analyze(amd, "AMD");
    if (singular_pattern_ || !worth_dissection(analysis_.fill, data_.n, request)) return;
    const std::vector<Index> order = dissection(A);
    if (order.empty()) return;
    std::vector<MUMPS_INT> position(order.size());
    for (std::size_t k = 0; k < order.size(); ++k)
      position[order[k]] = static_cast<MUMPS_INT>(k + 1);
    const FactorAnalysis by_amd = analysis_;
    data_.perm_in = position.data();
    analyze(given, "METIS");
    data_.perm_in = nullptr;
    if (!(analysis_.fill.work < by_amd.fill.work)) analyze(amd, "AMD");
  }

  void analyze(Order order, const char* name) {
    if (entries_.empty()) {  // it refuses those
      singular_pattern_ = true;
      return;
    }
    icntl(28) = 1;  // on one process
    icntl(7) = order;
    call(Job::analysis);
    singular_pattern_ = data_.infog[0] == singular_pattern;
    if (!singular_pattern_) check();
    // A general one has two triangles.
    const double share = is_general() ? 0.5 : 1;
    analysis_ = {"mumps", name, {share * counted(Info::predicted), share * data_.rinfog[0]}, true};
  }

  void check() const {
    if (data_.infog[0] >= 0) return;
    if (data_.infog[0] == no_memory) throw std::bad_alloc();
    throw InvalidArgument("MUMPS failed with INFOG(1) = " + std::to_string(data_.infog[0]) +
                          ", INFOG(2) = " + std::to_string(data_.infog[1]));
  }

  void release() { call(Job::end); }

  const MatrixKind kind_;
  mutable DMUMPS_STRUC_C data_{};
  std::vector<MUMPS_INT> rows_, columns_;
  std::vector<double> entries_;
  bool singular_pattern_ = false;
};

}  // namespace

bool has_mumps() { return library() != nullptr; }
std::unique_ptr<SparseFactor> analyze_mumps(const CsrView<double>& A,
                                            const FactorRequest& request) {
  return std::make_unique<Mumps>(A, request);
}

#else

bool has_mumps() { return false; }
std::unique_ptr<SparseFactor> analyze_mumps(const CsrView<double>&, const FactorRequest&) {
  return nullptr;
}

#endif

}  // namespace pympf::sparse_factor
