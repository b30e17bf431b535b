// V(l):  x = S b;  r = b - A x;  x += c P V(l+1)(P^T r);  x += S^T (b - A x)
// W:     the coarse problem twice, the second time for what the first left
// additive:  x = Z b + P x',  x' the same of P^T b on the next level
// K:     the coarse problem by two steps of flexible CG (Notay and Vassilevski, "Recursive
//        Krylov-based multigrid cycles", Numer. Linear Algebra Appl. 15, 2008)
#include "pympf/precond/levels/cycle.hpp"

#include <algorithm>
#include <cmath>

#include "pympf/la/blas1.hpp"
#include "pympf/la/lanes.hpp"
#include "pympf/precond/smoothers/smoother.hpp"

namespace pympf::precond {
namespace {

constexpr int last_sweeps = 3;     // on a last level too large for a dense solve
constexpr double k_enough = 0.25;  // of the residual, after the first step of a K-cycle

// The time on a level, without that on the next ones.
class Watched {
 public:
  explicit Watched(std::size_t level) : level_(level) { enter(); }
  ~Watched() { leave(); }
  void enter() const {
    if (level_watch.enter) level_watch.enter(level_);
  }
  void leave() const {
    if (level_watch.leave) level_watch.leave(level_);
  }

 private:
  std::size_t level_;
};

template <class T>
class Cycle {
 public:
  Cycle(const Levels<T>& levels, const Params& params, CycleSpace<T>& space, Index lanes)
      : levels_(levels), params_(params), space_(space), lanes_(lanes) {}

  // x = cycle(b) from level l on.
  void run(std::size_t l, const T* b, T* x) {
    const Watched here(l);
    if (l == levels_.levels.size()) return coarse(b, x);
    if (params_.cycle == CycleKind::additive) return add(l, b, x);
    const Level<T>& level = levels_.levels[l];
    T* work = space_.levels[l].work.data();
    smooth_from_zero(level, params_, b, x, work, lanes_);
    if (is_last(l)) {  // without a dense solve
      const bool one_sided = params_.smoother == SmootherKind::gauss_seidel;
      int more = one_sided ? params_.sweeps : l > 0 ? last_sweeps - 1 : 0;
      for (; more > 0; --more) smooth(level, params_, b, x, work, false, lanes_);
      return;
    }
    residual(level.A.view(), level.A_off, x, b, work, lanes_);
    auto& next = space_.levels[l + 1];
    spmv_transposed(level.R.view(), level.P_off, work, next.b.data(), lanes_);
    here.leave();
    correct(l + 1, next.b.data(), next.x.data());
    here.enter();
    spmv(level.P.view(), level.P_off, next.x.data(), work, lanes_);
    axpy(lanes_ * level.rows(), params_.overcorrection, work, x);
    for (int sweep = 0; sweep < params_.sweeps; ++sweep)
      smooth(level, params_, b, x, work, false, lanes_);
  }

 private:
  bool is_last(std::size_t l) const {
    return l + 1 == levels_.levels.size() && levels_.coarse_rows == 0;
  }

  void add(std::size_t l, const T* b, T* x) {
    const Level<T>& level = levels_.levels[l];
    spmv(level.Z.view(), b, x, lanes_);
    if (is_last(l)) return;
    auto& next = space_.levels[l + 1];
    spmv_transposed(level.R.view(), level.P_off, b, next.b.data(), lanes_);
    run(l + 1, next.b.data(), next.x.data());
    T* work = space_.levels[l].work.data();
    spmv(level.P.view(), level.P_off, next.x.data(), work, lanes_);
    axpy(lanes_ * level.rows(), 1, work, x);
  }

  void correct(std::size_t l, T* b, T* x) {
    const bool last = l == levels_.levels.size();
    if (last || params_.cycle == CycleKind::v) return run(l, b, x);
    if (params_.cycle == CycleKind::w) return twice(l, b, x);
    krylov(l, b, x);
  }

  void twice(std::size_t l, const T* b, T* x) {
    const Level<T>& level = levels_.levels[l];
    const Index n = lanes_ * level.rows();
    T* left = space_.levels[l].work.data() + 2 * static_cast<std::size_t>(n);
    T* more = left + n;
    run(l, b, x);
    residual(level.A.view(), level.A_off, x, b, left, lanes_);
    run(l, left, more);
    axpy(n, 1, more, x);
  }

  // Of one lane.
  void krylov(std::size_t l, T* b, T* x) {
    const Level<T>& level = levels_.levels[l];
    const Index n = level.rows();
    T* v = space_.levels[l].work.data() + 2 * static_cast<std::size_t>(n);
    T* d = v + n;
    T* w = d + n;
    run(l, b, x);
    spmv(level.A.view(), level.A_off, x, v);
    const auto dot = [&](const T* y, const T* z) { return levels_.comm.sum(pympf::dot(n, y, z)); };
    const auto norm = [&](const T* y) { return pympf::norm(levels_.comm, n, y); };
    const double rho = dot(x, v), alpha = dot(x, b);
    if (!(rho > 0)) return;
    const double before = norm(b);
    axpy(n, -alpha / rho, v, b);
    if (norm(b) <= k_enough * before) return scale(n, alpha / rho, x, x);
    run(l, b, d);
    spmv(level.A.view(), level.A_off, d, w);
    const double gamma = dot(d, v), beta = dot(d, w), delta = dot(d, b);
    const double rest = beta - gamma * gamma / rho;
    if (!(rest > 0)) return scale(n, alpha / rho, x, x);
    axpby(n, delta / rest, d, alpha / rho - gamma * delta / (rho * rest), x);
  }

  // A rank that has rows of the inverse needs the whole right-hand side.
  void coarse(const T* b, T* x) {
    const auto n = static_cast<std::size_t>(levels_.coarse_rows),
               k = static_cast<std::size_t>(lanes_);
    const std::size_t own = n > 0 ? levels_.coarse.size() / n : 0;
    if (levels_.coarse_halo) {
      T *all = space_.levels.back().work.data(), *ghosts = space_.ghosts.data();
      const std::size_t first = levels_.coarse_first;
      levels_.coarse_halo->forward(b, ghosts, lanes_, space_.exchange);
      if (own == 0) return;
      std::copy_n(b, own * k, std::copy_n(ghosts, first * k, all));
      std::copy(ghosts + first * k, ghosts + (n - own) * k, all + (first + own) * k);
      b = all;
    }
    with_lanes(lanes_, [&](auto K) {
      for (std::size_t i = 0; i < own; ++i) {
        const T* row = &levels_.coarse[i * n];
        auto sum = Lanes<T, K>::zero();
        for (std::size_t j = 0; j < n; ++j) sum.add(row[j], Lanes<T, K>::load(b + j * K));
        sum.store(x + i * K);
      }
    });
  }

  const Levels<T>& levels_;
  const Params& params_;
  CycleSpace<T>& space_;
  const Index lanes_;
};

}  // namespace

template <class T>
void CycleSpace<T>::reserve(const Levels<T>& from, Index lanes) {
  if (lanes <= lanes_) return;
  lanes_ = lanes;
  const auto k = static_cast<std::size_t>(lanes);
  levels.resize(from.levels.size() + 1);
  for (std::size_t l = 0; l < from.levels.size(); ++l) {
    const std::size_t size = k * from.levels[l].rows();
    levels[l].x.resize(size);
    levels[l].b.resize(size);
    levels[l].work.resize(5 * size);
  }
  const auto n = static_cast<std::size_t>(from.coarse_rows);
  const std::size_t own = n > 0 ? from.coarse.size() / n : 0;
  levels.back().x.resize(k * own);
  levels.back().b.resize(k * own);
  if (!from.coarse_halo || own == 0) return;
  levels.back().work.resize(k * n);
  ghosts.resize(k * (n - own));
}

namespace {

// Brings a float64 column into the range of a float32 cycle.
template <class T, class V>
double range_scale(const Communicator& comm, const Block<const V>& R, Index c) {
  if constexpr (sizeof(T) >= sizeof(V)) return 1;
  double largest = 0;
  if (R.stride == 1)
    largest = largest_magnitude(static_cast<std::size_t>(R.n), R.at(c));
  else
    for (Index i = 0; i < R.n; ++i)
      largest =
          std::max(largest, std::abs(double{R.at(c)[static_cast<std::size_t>(i) * R.stride]}));
  return power_of_two(comm.max(largest));
}

}  // namespace

template <class T>
double multiply_adds(const Levels<T>& levels, const Params& params) {
  double sum = static_cast<double>(levels.coarse.size()), visits = 1;
  for (const Level<T>& level : levels.levels) {
    const auto A = static_cast<double>(level.A.data.size() + level.A_off.block.data.size());
    const auto functions = static_cast<double>(level.P.data.size() + level.P_off.block.data.size());
    const auto rows = static_cast<double>(level.rows());
    double step = rows;  // of a smoother, without the residual that it is given
    if (params.smoother == SmootherKind::incomplete_cholesky) step += 2.0 * level.factor.nnz();
    if (params.smoother == SmootherKind::chebyshev) step += (params.degree - 1) * A;
    if (params.cycle == CycleKind::additive)
      sum += static_cast<double>(level.Z.data.size()) + 2 * functions;
    else if (levels.levels.size() == 1 && levels.coarse_rows == 0)
      sum += step + (params.sweeps - 1) * (A + step);
    else
      sum += visits * (2 * params.sweeps * (A + step) + 2 * functions);
    if (params.cycle == CycleKind::w || params.cycle == CycleKind::k) visits *= 2;
  }
  return sum;
}

template <class T, class V>
void apply(const Levels<T>& levels, const Params& params, const Block<const V>& R,
           const Block<V>& Z, CycleSpace<T>& space) {
  const bool at_once = params.cycle != CycleKind::k;
  const auto panel = [&](Index first, Index count, Index lanes) {
    space.reserve(levels, lanes);
    T* b = space.levels[0].b.data();
    T* x = space.levels[0].x.data();
    with_lanes(lanes, [&](auto K) {
      const V* from[K];
      V* to[K];
      double in[K], out[K];
      for (int c = 0; c < K; ++c) {
        from[c] = c < count ? R.at(first + c) : nullptr;
        to[c] = c < count ? Z.at(first + c) : nullptr;
        in[c] = c < count ? range_scale<T>(levels.comm, R, first + c) : 1;
        out[c] = levels.scale / in[c];
      }
      for_chunks(static_cast<std::size_t>(levels.rows),
                 [&](std::size_t, std::size_t begin, std::size_t end) {
                   for (std::size_t i = begin; i < end; ++i) {
                     const std::size_t at = levels.order[i] * R.stride;
                     for (int c = 0; c < K; ++c)
                       b[i * K + c] = from[c] ? static_cast<T>(in[c] * from[c][at]) : T(0);
                   }
                 });
      Cycle<T>(levels, params, space, lanes).run(0, b, x);
      for_chunks(static_cast<std::size_t>(levels.rows),
                 [&](std::size_t, std::size_t begin, std::size_t end) {
                   for (std::size_t i = begin; i < end; ++i) {
                     const std::size_t at = levels.order[i] * Z.stride;
                     for (int c = 0; c < K; ++c)
                       if (to[c]) to[c][at] = static_cast<V>(out[c] * x[i * K + c]);
                   }
                 });
    });
  };
  if (at_once) return for_panels(R.count(), panel);
  for (Index c = 0; c < R.count(); ++c) panel(c, 1, 1);
}

template double multiply_adds(const Levels<float>&, const Params&);
template double multiply_adds(const Levels<double>&, const Params&);
template struct CycleSpace<float>;
template struct CycleSpace<double>;
#define PYMPF_APPLY(T, V)                                                                      \
  template void apply(const Levels<T>&, const Params&, const Block<const V>&, const Block<V>&, \
                      CycleSpace<T>&);
PYMPF_APPLY(float, float)
PYMPF_APPLY(float, double)
PYMPF_APPLY(double, float)
PYMPF_APPLY(double, double)
#undef PYMPF_APPLY

}  // namespace pympf::precond
