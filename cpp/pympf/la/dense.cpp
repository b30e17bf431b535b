#include "pympf/la/dense.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

#include "pympf/common/memory.hpp"

extern "C" {
void dsyevd_(const char* jobz, const char* uplo, const int* n, double* a, const int* lda, double* w,
             double* work, const int* lwork, int* iwork, const int* liwork, int* info);
void dsyevr_(const char* jobz, const char* range, const char* uplo, const int* n, double* a,
             const int* lda, const double* vl, const double* vu, const int* il, const int* iu,
             const double* abstol, int* m, double* w, double* z, const int* ldz, int* isuppz,
             double* work, const int* lwork, int* iwork, const int* liwork, int* info);
void dgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k,
            const double* alpha, const double* a, const int* lda, const double* b, const int* ldb,
            const double* beta, double* c, const int* ldc);
void dgeqrf_(const int* m, const int* n, double* a, const int* lda, double* tau, double* work,
             const int* lwork, int* info);
void dormqr_(const char* side, const char* trans, const int* m, const int* n, const int* k,
             const double* a, const int* lda, const double* tau, double* c, const int* ldc,
             double* work, const int* lwork, int* info);
void dtrtrs_(const char* uplo, const char* trans, const char* diag, const int* n, const int* nrhs,
             const double* a, const int* lda, double* b, const int* ldb, int* info);
void dgelsy_(const int* m, const int* n, const int* nrhs, double* a, const int* lda, double* b,
             const int* ldb, int* jpvt, const double* rcond, int* rank, double* work,
             const int* lwork, int* info);
// OpenBLAS only: absent in other libraries, where the addresses are null.
__attribute__((weak)) void openblas_set_num_threads(int);
__attribute__((weak)) int openblas_get_num_threads();
__attribute__((weak)) void* blas_memory_alloc(int);
__attribute__((weak)) void blas_memory_free(void*);
}

namespace pympf {
namespace {

// Of all that use BLAS now: several threads of the program may.
struct BlasUse {
  std::mutex mutex;
  int callers = 0;
  int threads_before = 0;
  int buffers = 0;  // that OpenBLAS has for them, and keeps
};

BlasUse& blas_use() {
  static BlasUse use;
  return use;
}

// Makes OpenBLAS take its buffers, one for each call at the same time, while there is room for
// them.
void reserve_buffers(BlasUse& use, int callers) {
  constexpr std::size_t buffer_bytes = std::size_t{32} << 22, margin_bytes = std::size_t{1} << 20;
  if (!blas_memory_alloc || !blas_memory_free || use.buffers >= callers) return;
  std::vector<void*> held;
  held.reserve(callers);
  require_room((callers - use.buffers) * buffer_bytes + margin_bytes);
  for (int k = 0; k < callers; ++k) held.push_back(blas_memory_alloc(0));
  for (void* buffer : held) blas_memory_free(buffer);
  use.buffers = callers;
}

}  // namespace

SerialBlas::SerialBlas(int callers) : callers_(callers) {
  BlasUse& use = blas_use();
  const std::lock_guard lock(use.mutex);
  reserve_buffers(use, use.callers + callers);
  if (use.callers == 0 && openblas_set_num_threads && openblas_get_num_threads) {
    use.threads_before = openblas_get_num_threads();
    openblas_set_num_threads(1);
  }
  use.callers += callers;
}

SerialBlas::~SerialBlas() {
  BlasUse& use = blas_use();
  const std::lock_guard lock(use.mutex);
  use.callers -= callers_;
  if (use.callers == 0 && use.threads_before > 0) openblas_set_num_threads(use.threads_before);
}

std::vector<double> symmetric_eigen(std::vector<double>& A, Index n) {
  std::vector<double> w(n);
  if (n == 0) return w;
  SerialBlas serial;
  int query = -1, info = 0, lwork = 0, liwork = 0;
  double work_size = 0;
  dsyevd_("V", "U", &n, A.data(), &n, w.data(), &work_size, &query, &liwork, &query, &info);
  lwork = static_cast<int>(work_size);
  std::vector<double> work(lwork);
  std::vector<int> iwork(liwork);
  dsyevd_("V", "U", &n, A.data(), &n, w.data(), work.data(), &lwork, iwork.data(), &liwork, &info);
  require<Singular>(
      info == 0, "the eigenvalues of the core did not converge (LAPACK dsyevd, info = ", info, ")");
  return w;
}

bool symmetric_eigen_below(std::vector<double>& A, Index n, double bound,
                           std::vector<double>& vectors) {
  const double least = -1e300, tolerance = 0;
  const int none = 0, lwork = 40 * n, liwork = 10 * n;
  int found = 0, info = 0;
  std::vector<double> values(n), work(lwork);
  std::vector<int> support(2 * static_cast<std::size_t>(n)), iwork(liwork);
  vectors.resize(static_cast<std::size_t>(n) * n);
  dsyevr_("V", "V", "U", &n, A.data(), &n, &least, &bound, &none, &none, &tolerance, &found,
          values.data(), vectors.data(), &n, support.data(), work.data(), &lwork, iwork.data(),
          &liwork, &info);
  vectors.resize(static_cast<std::size_t>(n) * found);
  return info == 0;
}

bool LeastSquares::by_qr(Index m, Index n) {
  if (m < n) return false;
  const int one = 1, lwork = 64 * std::max(n, 1);
  int info = 0;
  tau_.resize(n);
  work_.resize(lwork);
  dgeqrf_(&m, &n, D.data(), &m, tau_.data(), work_.data(), &lwork, &info);
  const double least = m * std::numeric_limits<double>::epsilon();
  for (Index j = 0; j < n; ++j)
    if (std::abs(D[static_cast<std::size_t>(j) * m + j]) <= least) return false;
  dormqr_("L", "T", &m, &one, &n, D.data(), &m, tau_.data(), b.data(), &m, work_.data(), &lwork,
          &info);
  dtrtrs_("U", "N", "N", &n, &one, D.data(), &m, b.data(), &m, &info);
  return info == 0;
}

Index LeastSquares::by_pivoted_qr(Index m, Index n) {
  if (m == 0 || n == 0) {
    std::fill(b.begin(), b.end(), 0.0);
    return 0;
  }
  const int one = 1, lwork = 64 * (n + 1) + std::min(m, n) + 3 * n, rows = std::max(m, n);
  const double least = m * std::numeric_limits<double>::epsilon();
  int rank = 0, info = 0;
  pivot_.assign(n, 0);
  work_.resize(lwork);
  dgelsy_(&m, &n, &one, D.data(), &m, b.data(), &rows, pivot_.data(), &least, &rank, work_.data(),
          &lwork, &info);
  return rank;
}

std::vector<double> congruence(const std::vector<double>& V, const double* d, Index n) {
  std::vector<double> scaled(V), out(V.size());
  if (n == 0) return out;
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) scaled[static_cast<std::size_t>(i) * n + j] *= d[i];
  SerialBlas serial;
  const double one = 1, zero = 0;
  // In LAPACK's column-major view V holds V^T: out = V^T (d V).
  dgemm_("N", "T", &n, &n, &n, &one, V.data(), &n, scaled.data(), &n, &zero, out.data(), &n);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < i; ++j) {
      double &upper = out[static_cast<std::size_t>(j) * n + i],
             &lower = out[static_cast<std::size_t>(i) * n + j];
      upper = lower = 0.5 * (upper + lower);
    }
  return out;
}

}  // namespace pympf
