// A symmetric matrix, indefinite or not, by MUMPS on this process alone (MPI_COMM_SELF).
#include "pympf/common/error.hpp"
#include "pympf/la/sparse_factor/backends.hpp"

#ifdef PYMPF_HAVE_MUMPS
#include <dmumps_c.h>

#include <mutex>
#include <new>

#include "pympf/la/dense.hpp"
#include "pympf/mpi/comm.hpp"
#endif

namespace pympf::sparse_factor {

#ifdef PYMPF_HAVE_MUMPS

namespace {

// MUMPS keeps some state of its own beside its objects: one call at a time.
std::mutex& one_at_a_time() {
  static std::mutex mutex;
  return mutex;
}

enum class Job : int { end = -2, begin = -1, analysis = 1, factorization = 2, solution = 3 };
enum Order : int { amd = 0, scotch = 3 };
constexpr int no_memory = -13, small_workspace = -9, small_workspace_2 = -8, singular = -10,
              singular_pattern = -6, bad_order = -38;
constexpr int most_workspace_percent = 10'000;

class Mumps final : public SparseFactor {
 public:
  Mumps(const CsrView<double>& A, bool definite) : definite_(definite) {
    const std::lock_guard lock(one_at_a_time());
    data_.comm_fortran = fortran_self().value();
    data_.par = 1;
    data_.sym = 2;  // pivots of 1x1 and 2x2: with SYM = 1 it does not see a singular matrix
    call(Job::begin);
    check();
    for (int stream = 1; stream <= 3; ++stream) icntl(stream) = -1;  // prints nothing
    icntl(4) = 0;
    icntl(13) = 1;  // no ScaLAPACK at the root
    icntl(24) = 1;  // tells pivots that are zero to rounding
    take_entries(A);
    try {
      take_better_order();
    } catch (...) {
      release();
      throw;
    }
  }
  ~Mumps() override {
    const std::lock_guard lock(one_at_a_time());
    if (fortran_self()) release();  // after MPI_Finalize there is nothing left to call
  }

  bool factor(const CsrView<double>& A) override {
    const std::lock_guard lock(one_at_a_time());
    factored_ = false;
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
    constexpr int null_pivots = 28, negative_pivots = 12;
    if (infog(null_pivots) > 0) return false;
    negative_ = infog(negative_pivots);
    factored_ = !definite_ || negative_ == 0;
    return factored_;
  }

  void solve(double* X, Index columns) const override {
    if (!factored_)
      throw InvalidArgument("expected a matrix that was factored before it is solved with");
    const std::lock_guard lock(one_at_a_time());
    data_.rhs = X;
    data_.nrhs = columns;
    data_.lrhs = data_.n;
    call(Job::solution);
    data_.rhs = nullptr;
    check();
  }

  std::optional<Index> negative_eigenvalues() const override {
    return factored_ ? std::optional<Index>(negative_) : std::nullopt;
  }

 private:
  // The manual counts from 1.
  MUMPS_INT& icntl(int i) { return data_.icntl[i - 1]; }
  MUMPS_INT infog(int i) const { return data_.infog[i - 1]; }

  void call(Job job) const {
    const SerialBlas serial;
    data_.job = static_cast<int>(job);
    dmumps_c(&data_);
  }

  // One triangle, rows and columns counted from 1.
  void take_entries(const CsrView<double>& A) {
    rows_.clear(), columns_.clear(), entries_.clear();
    for (Index i = 0; i < A.rows; ++i)
      for (Index p = A.indptr[i]; p < A.indptr[i + 1] && A.indices[p] <= i; ++p) {
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
  void take_better_order() {
    analyze(amd, "AMD");
    if (singular_pattern_ || !worth_dissection(analysis_.flops, data_.n)) return;
    const FactorAnalysis by_amd = analysis_;
    analyze(scotch, "SCOTCH");
    if (data_.infog[0] == bad_order || !(analysis_.flops < by_amd.flops)) analyze(amd, "AMD");
  }

  void analyze(Order order, const char* name) {
    icntl(28) = 1;  // on one process
    icntl(7) = order;
    call(Job::analysis);
    singular_pattern_ = data_.infog[0] == singular_pattern;
    if (!singular_pattern_ && data_.infog[0] != bad_order) check();
    const double entries = infog(20);  // in millions when negative
    analysis_ = {"mumps", name, entries < 0 ? -1e6 * entries : entries, data_.rinfog[0]};
  }

  void check() const {
    if (data_.infog[0] >= 0) return;
    if (data_.infog[0] == no_memory) throw std::bad_alloc();
    throw InvalidArgument("MUMPS failed with INFOG(1) = " + std::to_string(data_.infog[0]) +
                          ", INFOG(2) = " + std::to_string(data_.infog[1]));
  }

  void release() { call(Job::end); }

  const bool definite_;
  mutable DMUMPS_STRUC_C data_{};
  std::vector<MUMPS_INT> rows_, columns_;
  std::vector<double> entries_;
  bool singular_pattern_ = false, factored_ = false;
  Index negative_ = 0;
};

}  // namespace

bool has_mumps() { return fortran_self().has_value(); }
std::unique_ptr<SparseFactor> analyze_mumps(const CsrView<double>& A, bool definite) {
  return std::make_unique<Mumps>(A, definite);
}

#else

bool has_mumps() { return false; }
std::unique_ptr<SparseFactor> analyze_mumps(const CsrView<double>&, bool) { return nullptr; }

#endif

}  // namespace pympf::sparse_factor
