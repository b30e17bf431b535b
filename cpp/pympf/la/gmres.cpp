// GMRES(m) and FGMRES(m): x_k minimizes the 2-norm of the residual over x_0 + K_k; after m steps
// the method is restarted.
//
//   B V_k = V_{k+1} H_k,   min_y || beta e_1 - H_k y ||,   with
//   right    B = A M            x = x_0 + M V_k y         the recurrence gives ||b - A x||
//   left     B = M A            x = x_0 + V_k y           the recurrence gives ||M (b - A x)||
//   flexible B v_j = A z_j, z_j = M_j v_j kept,           x = x_0 + Z_k y
//
// H_k is made upper triangular (R) by one plane rotation per step; the rotated right-hand side is
// g, and |g_{k+1}| the norm of the residual. Orthogonalization is modified Gram-Schmidt, done twice
// when the first pass cancels digits (the criterion of Daniel, Gragg, Kaufman and Stewart with
// 1/sqrt(2)).
//
//   paper     v_j        z_j              h_{i,j}, r_{i,j}     (c_i, s_i)     g
//   name      basis_[j]  preconditioned_  h_, R_               rotations_     g_
//
// Per iteration k: A and M once, 2k to 4k vector operations. Storage: k + 1 vectors (flexible:
// 2k + 1), taken sixteen at a time as the basis grows and kept for the next cycle.
//
// References: Y. Saad, M. H. Schultz, "GMRES", SIAM J. Sci. Stat. Comput. 7 (1986); Y. Saad,
// "A flexible inner-outer preconditioned GMRES algorithm", SIAM J. Sci. Comput. 14 (1993);
// Saad 2003, Algorithms 9.4 to 9.6.
#include <cmath>
#include <utility>

#include "pympf/la/blas1.hpp"
#include "pympf/la/krylov_run.hpp"

namespace pympf::krylov {
namespace {

// Vectors of length n that never move. Their pages are first touched by whoever fills them.
template <class T>
class Basis {
 public:
  explicit Basis(Index n) : n_(static_cast<std::size_t>(n)) {}

  T* operator[](std::size_t j) {
    while (blocks_.size() * kBlock <= j) {
      blocks_.push_back(std::make_unique_for_overwrite<T[]>(n_ * kBlock));
    }
    return blocks_[j / kBlock].get() + (j % kBlock) * n_;
  }

 private:
  static constexpr std::size_t kBlock = 16;
  std::size_t n_;
  std::vector<std::unique_ptr<T[]>> blocks_;
};

struct Rotation {
  double c, s;

  void apply(double& above, double& below) const {
    const double a = above, b = below;
    above = c * a + s * b;
    below = c * b - s * a;
  }
};

template <class T>
class Gmres final : public Cycle<T> {
 public:
  explicit Gmres(Run<T>& run)
      : run_(run),
        flexible_(run.params.method == Method::fgmres && run.M),
        basis_(run.n),
        preconditioned_(run.n),
        t_(run.n),
        u_(run.M ? run.n : 0) {}

  Task<Reason> run(T* r, double r_norm) override {
    const auto restart = static_cast<std::size_t>(run_.params.restart);
    start(r, r_norm);
    Reason reason = Reason::iterating;
    while (reason == Reason::iterating && (restart == 0 || columns() < restart)) {
      co_await apply_operator();
      reason = orthogonalize();
      if (reason != Reason::iterating) break;
      reason = rotate();
      if (reason != Reason::iterating) break;
      reason = run_.record(unit_ * std::abs(g_.back()), nullptr);
    }
    const bool is_finite = co_await update_x();
    co_return is_finite ? reason : Reason::diverged_nan;
  }

 private:
  std::size_t columns() const { return rotations_.size(); }

  // Where rows are weighted, the norm is ||W^(1/2) r||, the operator W^(1/2) A M W^(-1/2): with M
  // symmetric it is about as normal as in the norm of M. (In ||W r|| it is far from that.) The norm
  // of the test is taken to fall with this one in a cycle; the next begins with what it is.
  void start(T* r, double r_norm) {
    double length = r_norm;
    if (is_weighted()) {
      run_.weigh(r, r, 0.5);
      length = run_.norm(r);
    }
    unit_ = r_norm / length;
    scale(run_.n, 1 / length, r, basis_[0]);
    R_.clear();
    rotations_.clear();
    g_ = {length};
  }

  bool is_weighted() const { return run_.is_weighted && !run_.from_left(); }

  const T* without_weights(const T* v) {
    if (!is_weighted()) return v;
    unweighted_.resize(run_.n);
    run_.weigh(v, unweighted_.data(), -0.5);
    return unweighted_.data();
  }

  // w = B v_k, in the place of the next basis vector
  Task<bool> apply_operator() {
    const std::size_t k = columns();
    const T* v = basis_[k];
    T* w = basis_[k + 1];
    if (run_.from_left()) {
      co_await run_.A(v, t_.data());
      co_await run_.precondition(t_.data(), w);
      co_return true;
    }
    T* out = flexible_ ? preconditioned_[k] : t_.data();
    const T* z = co_await run_.precondition(without_weights(v), out);
    co_await run_.A(z, w);
    if (is_weighted()) run_.weigh(w, w, 0.5);
    co_return true;
  }

  // w = h_{k+1} v_{k+1} + sum of h_i v_i
  Reason orthogonalize() {
    const Index n = run_.n;
    const std::size_t k = columns();
    T* w = basis_[k + 1];
    h_.assign(k + 2, 0.0);
    const double w_norm = run_.norm(w);
    h_norm_ = std::max(h_norm_, w_norm);
    double left = subtract_projections(w);
    if (left < w_norm / std::sqrt(2.0)) left = subtract_projections(w);
    if (!std::isfinite(w_norm) || !std::isfinite(left)) return Reason::diverged_nan;
    h_[k + 1] = left;
    if (left > 0) scale(n, 1 / left, w, w);
    return Reason::iterating;
  }

  // What is left has this norm. One pass takes v_i away and finds what there is of v_{i+1}.
  double subtract_projections(T* w) {
    const Index n = run_.n;
    double part = dot(n, basis_[0], w);
    for (std::size_t i = 0; i <= columns(); ++i) {
      const double projection = run_.comm.sum(part);
      h_[i] += projection;
      part = axpy_dot(n, -projection, basis_[i], w, basis_[i + 1]);  // the last of them is w
    }
    return norm(run_.comm, n, w, part);
  }

  // The new column of H into R, and one rotation more; not when the step that it allows is in vain.
  Reason rotate() {
    const std::size_t k = columns();
    for (std::size_t i = 0; i < k; ++i) rotations_[i].apply(h_[i], h_[i + 1]);
    const double diagonal = std::hypot(h_[k], h_[k + 1]);
    if (diagonal == 0) return Reason::diverged_breakdown;
    const Rotation rotation{h_[k] / diagonal, h_[k + 1] / diagonal};
    h_[k] = diagonal;
    if (step_in_vain(rotation)) return Reason::diverged_stagnated;
    R_.insert(R_.end(), h_.begin(), h_.begin() + k + 1);
    rotations_.push_back(rotation);
    g_.push_back(0);
    rotation.apply(g_[k], g_[k + 1]);
    return Reason::iterating;
  }

  // The step of x is tau d, where R d = e_k, seen in the basis: d solves with the new column of R.
  bool step_in_vain(const Rotation& rotation) const {
    const std::size_t k = columns();
    std::vector<double> d(k);
    for (std::size_t i = 0; i < k; ++i) d[i] = -h_[i] / h_[k];
    d = back_substitute(std::move(d));
    const double length = std::hypot(1 / h_[k], norm(static_cast<Index>(k), d.data()));
    const double step = unit_ * std::abs(rotation.c * g_[k]);
    const double rounding = Run<T>::epsilon * h_norm_ * step * length;
    return run_.in_vain(rounding, step * std::abs(rotation.c) / (1 + std::abs(rotation.s)));
  }

  // R^-1 y, by columns; column j of R starts at j (j + 1) / 2.
  std::vector<double> back_substitute(std::vector<double> y) const {
    for (std::size_t j = y.size(); j-- > 0;) {
      const double* column = R_.data() + j * (j + 1) / 2;
      y[j] /= column[j];
      for (std::size_t i = 0; i < j; ++i) y[i] -= column[i] * y[j];
    }
    return y;
  }

  // out = sum of y_j vectors_j, a chunk of all vectors at a time, so that out stays in cache
  void combine(Basis<T>& vectors, const std::vector<double>& y, T* out) const {
    std::vector<const T*> column(y.size());
    for (std::size_t j = 0; j < y.size(); ++j) column[j] = vectors[j];
    for_chunks(run_.n, [&](std::size_t, std::size_t begin, std::size_t end) {
      std::fill(out + begin, out + end, T{0});
      for (std::size_t j = 0; j < y.size(); ++j) {
        const T weight = static_cast<T>(y[j]);
        for (std::size_t i = begin; i < end; ++i) out[i] += weight * column[j][i];
      }
    });
  }

  // False, and x as before, when the correction is not finite.
  Task<bool> update_x() {
    const Index n = run_.n;
    combine(flexible_ ? preconditioned_ : basis_,
            back_substitute({g_.begin(), g_.begin() + columns()}), t_.data());
    const T* correction = t_.data();
    if (!flexible_ && !run_.from_left())
      correction = co_await run_.precondition(without_weights(correction), u_.data());
    if (!std::isfinite(run_.norm(correction))) co_return false;
    axpy(n, 1.0, correction, run_.x);
    co_return true;
  }

  Run<T>& run_;
  const bool flexible_;
  Basis<T> basis_, preconditioned_;
  std::vector<T> t_, u_, unweighted_;
  std::vector<double> R_, g_, h_;
  std::vector<Rotation> rotations_;
  double h_norm_ = 0;  // estimate of ||B||
  double unit_ = 1;    // of g in the norm of the test
};

}  // namespace

template <class T>
std::unique_ptr<Cycle<T>> make_gmres(Run<T>& run) {
  return std::make_unique<Gmres<T>>(run);
}

template std::unique_ptr<Cycle<float>> make_gmres(Run<float>&);
template std::unique_ptr<Cycle<double>> make_gmres(Run<double>&);

}  // namespace pympf::krylov
