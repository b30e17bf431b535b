// z = M r and z = M^T r. With E = I - M A = (I - S A)(I - P M' R A)(I - S A), M^T is the same cycle
// with A^T, S^T, R^T in the place of P and P^T in that of R.
#include <algorithm>
#include <cmath>

#include "pympf/la/blas1.hpp"
#include "pympf/precond/levels/level.hpp"
#include "pympf/precond/levels/petrov.hpp"

namespace pympf::precond {
namespace {

constexpr int last_sweeps = 3;  // on a last level without an LU

// y = A^T x by rows of A.
template <class S>
void scatter(const CsrView<S>& A, const S* x, S* y) {
  std::fill_n(y, A.cols, S(0));
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) y[A.indices[p]] += A.data[p] * x[i];
}

// The same over ranks: what `off` has of ghosts goes to their owners.
template <class S>
void scatter(const CsrView<S>& own, const OffDiagonal<S>& off, const S* x, S* y) {
  scatter(own, x, y);
  if (!off.halo) return;
  const CsrView<S> B = off.block;
  auto& ghosts = off.space.ghosts;
  ghosts.assign(off.halo->arriving(), S(0));
  for (Index r = 0; r < B.rows; ++r)
    for (Index p = B.indptr[r]; p < B.indptr[r + 1]; ++p)
      ghosts[B.indices[p]] += B.data[p] * x[off.rows[r]];
  off.halo->begin_back(ghosts.data(), 1, off.space.exchange);
  off.halo->end_back_adding(y, 1, off.space.exchange);
}

template <class S>
class Cycle {
 public:
  Cycle(const PetrovLevels<S>& levels, bool transposed, PetrovSpace<S>& space)
      : levels_(levels), transposed_(transposed), space_(space) {}

  // x = cycle(b) from level l on.
  void run(std::size_t l, const S* b, S* x) {
    if (l == levels_.levels.size()) return coarse(b, x);
    const PetrovLevel<S>& level = levels_.levels[l];
    S* work = space_.levels[l].work.data();
    copy(level.rows(), b, x);
    smooth(level, x);
    if (l + 1 == levels_.levels.size() && !levels_.lu) {
      for (int more = l > 0 ? last_sweeps - 1 : 0; more > 0; --more) step(level, b, x, work);
      return;
    }
    residual_of(level, x, b, work);
    auto& next = space_.levels[l + 1];
    restrict_to(level, work, next.b.data());
    run(l + 1, next.b.data(), next.x.data());
    prolong(level, next.x.data(), work);
    axpy(level.rows(), 1, work, x);
    step(level, b, x, work);
  }

 private:
  void smooth(const PetrovLevel<S>& level, S* x) const {
    transposed_ ? level.factor.solve_transposed(x) : level.factor.solve(x);
  }

  void step(const PetrovLevel<S>& level, const S* b, S* x, S* work) const {
    residual_of(level, x, b, work);
    smooth(level, work);
    axpy(level.rows(), 1, work, x);
  }

  void residual_of(const PetrovLevel<S>& level, const S* x, const S* b, S* r) const {
    if (!transposed_) return residual(level.A.view(), level.A_off, x, b, r);
    scatter(level.A.view(), level.A_off, x, r);
    axpby(level.rows(), 1, b, -1, r);
  }

  // R r, or P^T r.
  void restrict_to(const PetrovLevel<S>& level, const S* r, S* b) const {
    if (transposed_)
      scatter(level.P.view(), level.P_off, r, b);
    else
      spmv_transposed(level.R.view(), level.L_off, r, b);
  }

  // P x, or R^T x = L x.
  void prolong(const PetrovLevel<S>& level, const S* x, S* y) const {
    if (!transposed_) return spmv(level.P.view(), level.P_off, x, y);
    scatter(level.R.view(), x, y);
    if (!level.L_off.halo) return;
    OffDiagonal<S>& off = const_cast<OffDiagonal<S>&>(level.L_off);
    off.space.ghosts.resize(off.halo->arriving());
    off.halo->forward(x, off.space.ghosts.data(), 1, off.space.exchange);
    for (Index r = 0; r < off.block.rows; ++r)
      for (Index p = off.block.indptr[r]; p < off.block.indptr[r + 1]; ++p)
        y[off.rows[r]] += off.block.data[p] * off.space.ghosts[off.block.indices[p]];
  }

  // Every rank solves for the whole right-hand side, and takes its part.
  void coarse(const S* b, S* x) {
    if (!levels_.lu) return;
    const auto own = static_cast<std::size_t>(levels_.coarse_own);
    double *all = space_.all.data(), *work = space_.work.data();
    const auto first = static_cast<std::size_t>(levels_.coarse_first);
    std::copy_n(b, own, all + first);
    if (levels_.coarse_halo) {
      S* ghosts = space_.ghosts.data();
      levels_.coarse_halo->forward(b, ghosts, 1, space_.exchange);
      if (own == 0) return;
      std::copy_n(ghosts, first, all);
      std::copy(ghosts + first, ghosts + space_.ghosts.size(), all + first + own);
    }
    transposed_ ? levels_.lu->solve_transposed(all, work) : levels_.lu->solve(all, work);
    for (std::size_t i = 0; i < own; ++i) x[i] = static_cast<S>(all[first + i]);
  }

  const PetrovLevels<S>& levels_;
  const bool transposed_;
  PetrovSpace<S>& space_;
};

// Brings a float64 vector into the range of a float32 cycle.
template <class S, class V>
double range_scale(const Communicator& comm, std::size_t n, const V* r) {
  if constexpr (sizeof(S) >= sizeof(V)) return 1;
  return power_of_two(comm.max(largest_magnitude(n, r)));
}

}  // namespace

template <class S>
PetrovSpace<S>::PetrovSpace(const PetrovLevels<S>& from) {
  for (const auto& level : from.levels) {
    const auto n = static_cast<std::size_t>(level.rows());
    levels.push_back({std::vector<S>(n), std::vector<S>(n), std::vector<S>(n)});
  }
  const auto own = static_cast<std::size_t>(from.coarse_own);
  levels.push_back({std::vector<S>(own), std::vector<S>(own), {}});
  if (!from.lu) return;
  all.resize(from.lu->rows());
  work.resize(from.lu->rows());
  if (from.coarse_halo && own > 0) ghosts.resize(from.lu->rows() - own);
}

template <class S, class V>
void apply(const PetrovLevels<S>& levels, bool transposed, const V* r, V* z,
           PetrovSpace<S>& space) {
  const auto n = static_cast<std::size_t>(levels.rows);
  S* b = space.levels[0].b.data();
  S* x = space.levels[0].x.data();
  const double in = range_scale<S>(levels.comm, n, r), out = levels.scale / in;
  for (std::size_t i = 0; i < n; ++i) b[i] = static_cast<S>(in * r[levels.order[i]]);
  Cycle<S>(levels, transposed, space).run(0, b, x);
  for (std::size_t i = 0; i < n; ++i) z[levels.order[i]] = static_cast<V>(out * x[i]);
}

template <class S>
double multiply_adds(const PetrovLevels<S>& levels) {
  double sum = levels.lu ? static_cast<double>(levels.lu->nnz()) : 0;
  const bool alone = levels.levels.size() == 1 && !levels.lu;
  for (const PetrovLevel<S>& level : levels.levels) {
    const auto A = static_cast<double>(level.A.data.size() + level.A_off.block.data.size());
    const auto step = static_cast<double>(level.factor.nnz());
    sum += alone ? step
                 : 2 * (A + step) + static_cast<double>(level.P.data.size() + level.R.data.size());
  }
  return sum;
}

#define PYMPF_PETROV(S)                                                                     \
  template struct PetrovSpace<S>;                                                           \
  template double multiply_adds(const PetrovLevels<S>&);                                    \
  template void apply(const PetrovLevels<S>&, bool, const float*, float*, PetrovSpace<S>&); \
  template void apply(const PetrovLevels<S>&, bool, const double*, double*, PetrovSpace<S>&);
PYMPF_PETROV(float)
PYMPF_PETROV(double)
#undef PYMPF_PETROV

}  // namespace pympf::precond
