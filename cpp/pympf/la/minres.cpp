// MINRES: x_k minimizes the M-norm of the residual, sqrt(r^T M r), over x_0 + K_k(M A, M r_0). A
// may be indefinite or singular; M must be positive definite.
//
// Lanczos with M A, in residual-like v_j and solution-like z_j = M v_j with v_i^T z_j = (i == j):
//   beta_{j+1} v_{j+1} = A z_j - alpha_j v_j - beta_j v_{j-1},   alpha_j = z_j^T A z_j
// so that A Z_k = V_{k+1} T_k, T_k tridiagonal. Plane rotations, one per step, make T_k upper
// triangular with rows (gamma_k, delta_{k+1}, epsilon_{k+2}); the directions W_k = Z_k R_k^-1 then
// need two predecessors only:
//   w_k = (z_k - delta_k w_{k-1} - epsilon_k w_{k-2}) / gamma_k,   x_k = x_{k-1} + tau_k w_k.
// The M-norm of the residual is |phi_k|. The stopping test wants its 2-norm, which is not a
// by-product, so the residual itself is carried along:
//   r_k = s_k^2 r_{k-1} + phi_k c_k v_{k+1}.
// That norm may grow: where it ends above the guess's, the driver (krylov.cpp) restores the guess.
//
//   paper     (c_k, s_k)     phi_k   beta_k   alpha_k   bar gamma_k   bar delta_k
//   name      now.c, now.s   phi     beta     alpha     gamma_bar     delta_bar
//
// The step tau_k w_k costs rounding errors of about epsilon ||A|| |tau_k| ||w_k|| in b - A x and
// gains 1 - |s_k| of the residual. On a singular A with b outside its range the residual stays,
// while x grows without bound along the null vectors: there the run ends when a step costs more
// than it gains. As a rule it ends before, when r_{k-1} has become a null vector of A M: then
// x_{k-1} has the least M-norm of the residual that there is. The ratio ||M A z|| / ||z|| of z = M
// r_{k-1} is a by-product, hypot(bar gamma_k, c_{k-1} beta_{k+1}); where it is small, the Rayleigh
// quotient z^T A z / r^T z tells a null vector from an eigenvector of a small eigenvalue, since it
// has the square of the error.
//
// Per iteration: A and M once, 2 dot products, 4 norms, 7 vector updates, in seven passes.
// Storage: r, q, 2 v, 2 z, 2 w.
//
// References: C. C. Paige, M. A. Saunders, "Solution of sparse indefinite systems of linear
// equations", SIAM J. Numer. Anal. 12 (1975); with a preconditioner: H. Elman, D. Silvester,
// A. Wathen, Finite Elements and Fast Iterative Solvers, 2nd ed., Oxford 2014, Algorithm 4.1.
#include <cmath>
#include <limits>
#include <utility>

#include "pympf/la/blas1.hpp"
#include "pympf/la/krylov_run.hpp"

namespace pympf::krylov {
namespace {

struct Rotation {
  double c = 1, s = 0;
};

template <class T>
class Minres final : public Cycle<T> {
 public:
  explicit Minres(Run<T>& run)
      : run_(run),
        v_before_(run.n),
        v_(run.n),
        q_(run.n),
        w_before_(run.n),
        w_(run.n),
        z_(run.M ? run.n : 0),
        z_next_(run.M ? run.n : 0) {}

  Task<Reason> run(T* r, double r_norm) override {
    const Reason started = co_await start(r);
    if (started != Reason::iterating) co_return started;
    for (;;) {
      const Reason advanced = co_await lanczos();
      if (advanced != Reason::iterating) co_return advanced;
      const bool rotated = rotate();
      const bool is_null = co_await is_null_vector(r);
      if (is_null) co_return Reason::diverged_inconsistent;
      if (!rotated || !update(r, r_norm)) co_return Reason::diverged_stagnated;
      const Reason reason = run_.record(r_norm, run_.x);
      if (reason != Reason::iterating) co_return reason;
      if (run_.is_left(0, r_norm)) co_return Reason::stopped_by_watch;
      shift();
    }
  }

 private:
  // v_1 = r / beta_1, z_1 = M v_1, beta_1 = sqrt(r^T M r)
  Task<Reason> start(const T* r) {
    copy(run_.n, r, q_.data());
    const Reason reason = co_await normalize(0);
    if (reason != Reason::iterating) co_return reason;
    if (beta_next_ == 0) co_return Reason::diverged_indefinite_preconditioner;
    phi_ = beta_next_;
    shift();
    beta_ = 0;
    before_ = now_ = Rotation{};
    null_checked_ = std::numeric_limits<double>::infinity();
    for (auto* zero : {&v_before_, &w_before_, &w_}) std::fill(zero->begin(), zero->end(), T{0});
    co_return Reason::iterating;
  }

  // q = A z - beta v_before - alpha v, made the next basis vector
  Task<Reason> lanczos() {
    const Index n = run_.n;
    const T* z = preconditioned();
    co_await run_.A(z, q_.data());
    a_norm_ = std::max(a_norm_, run_.norm(q_.data()) / z_norm_);
    alpha_ = run_.comm.sum(axpy_dot(n, -beta_, v_before_.data(), q_.data(), z));
    axpy(n, -alpha_, v_.data(), q_.data());
    t_norm_ = std::max({t_norm_, std::abs(alpha_), beta_});
    const Reason reason = co_await normalize(Run<T>::epsilon * t_norm_);
    co_return reason;
  }

  // beta_next = sqrt(q^T M q), q /= beta_next, z_next = M q. Below the level of rounding the sign
  // of the square says nothing of M; a q = 0 ends the basis.
  Task<Reason> normalize(double level) {
    const T* z = co_await run_.precondition(q_.data(), z_next_.data());
    const double square = run_.dot(q_.data(), z);
    if (!std::isfinite(square)) co_return Reason::diverged_nan;
    if (square < -level * level) co_return Reason::diverged_indefinite_preconditioner;
    beta_next_ = std::sqrt(std::max(square, 0.0));
    scale_basis(beta_next_ > 0 ? 1 / beta_next_ : 0);
    co_return Reason::iterating;
  }

  // q and, with M, z_next; the norm of that.
  void scale_basis(double by) {
    const T factor = static_cast<T>(by);
    T* const q = q_.data();
    T* const z = run_.M ? z_next_.data() : nullptr;
    const auto square = sum_chunks<1>(q_.size(), [=](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) q[i] *= factor;
      if (z)
        for (std::size_t i = begin; i < end; ++i) z[i] *= factor;
      const T* next = z ? z : q;
      return std::array{dot_chunk(next + begin, next + begin, end - begin)};
    });
    z_next_norm_ = norm(run_.comm, run_.n, z ? z : q, square[0]);
  }

  // Column k of T_k through the last two rotations and its own. False when A takes the residual to
  // zero: no step helps.
  bool rotate() {
    const double delta_bar = before_.c * beta_;
    const double gamma_bar = now_.c * alpha_ - now_.s * delta_bar;
    defect_ = std::hypot(gamma_bar, now_.c * beta_next_);
    epsilon_ = before_.s * beta_;
    delta_ = now_.s * alpha_ + now_.c * delta_bar;
    gamma_ = std::hypot(gamma_bar, beta_next_);
    if (gamma_ == 0) return false;
    before_ = std::exchange(now_, {gamma_bar / gamma_, beta_next_ / gamma_});
    return true;
  }

  // Whether the residual r_{k-1} is one: A r is 0 to rounding, though r is not.
  Task<bool> is_null_vector(const T* r) {
    const double small = std::max(run_.params.rtol, 10 * Run<T>::epsilon) * t_norm_;
    if (defect_ > std::min(small, null_checked_ / 10)) co_return false;
    null_checked_ = defect_;
    std::vector<T> z(run_.n), Az(run_.n);
    const T* direction = co_await run_.precondition(r, z.data());
    co_await run_.A(direction, Az.data());
    const double curvature = std::abs(run_.dot(direction, Az.data()));
    co_return curvature <= kNull* t_norm_* run_.dot(r, direction);
  }

  // r_norm becomes that of the new r; false, and x and r as before, when the step is in vain.
  bool update(T* r, double& r_norm) {
    const double w_norm = next_direction(), tau = now_.c * phi_;
    const double rounding = Run<T>::epsilon * a_norm_ * std::abs(tau) * w_norm;
    if (run_.in_vain(rounding, r_norm * now_.c * now_.c / (1 + now_.s))) return false;
    phi_ *= -now_.s;
    r_norm = step(tau, phi_ * now_.c, now_.s * now_.s, r);
    return true;
  }

  // x += tau w, r = a v_{k+1} + b r; the norm of r
  double step(double tau, double a, double b, T* r) {
    const T t = static_cast<T>(tau), first = static_cast<T>(a), second = static_cast<T>(b);
    const T *w = w_.data(), *q = q_.data();
    T* x = run_.x;
    const auto square = sum_chunks<1>(w_.size(), [=](std::size_t begin, std::size_t end) {
      axpy_chunk(t, w, x, begin, end);
      for (std::size_t i = begin; i < end; ++i) r[i] = first * q[i] + second * r[i];
      return std::array{dot_chunk(r + begin, r + begin, end - begin)};
    });
    return run_.measure(r, square[0]);
  }

  // w_k, in the place of w_{k-2}; its norm
  double next_direction() {
    const T* z = preconditioned();
    const T* w = w_.data();
    T* out = w_before_.data();
    const T a = static_cast<T>(1 / gamma_);
    const T b = static_cast<T>(delta_ / gamma_), c = static_cast<T>(epsilon_ / gamma_);
    const auto square = sum_chunks<1>(w_.size(), [=](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) out[i] = a * z[i] - b * w[i] - c * out[i];
      return std::array{dot_chunk(out + begin, out + begin, end - begin)};
    });
    w_.swap(w_before_);
    return norm(run_.comm, run_.n, w_.data(), square[0]);
  }

  void shift() {
    v_before_.swap(v_);
    v_.swap(q_);
    z_.swap(z_next_);
    z_norm_ = z_next_norm_;
    beta_ = beta_next_;
  }

  const T* preconditioned() const { return run_.M ? z_.data() : v_.data(); }

  static constexpr double kNull = 100 * Run<T>::epsilon;

  Run<T>& run_;
  std::vector<T> v_before_, v_, q_, w_before_, w_, z_, z_next_;
  double alpha_ = 0, beta_ = 0, beta_next_ = 0;  // column of T_k
  double epsilon_ = 0, delta_ = 0, gamma_ = 0;   // column of R_k
  double phi_ = 0, z_norm_ = 0, z_next_norm_ = 0;
  double t_norm_ = 0, a_norm_ = 0;  // estimates of ||M A|| and ||A||
  double defect_ = 0;               // ||M A z|| / ||z||, z = M r_{k-1}
  double null_checked_ = 0;         // the defect when the residual was last looked at
  Rotation before_, now_;
};

}  // namespace

template <class T>
std::unique_ptr<Cycle<T>> make_minres(Run<T>& run) {
  return std::make_unique<Minres<T>>(run);
}

template std::unique_ptr<Cycle<float>> make_minres(Run<float>&);
template std::unique_ptr<Cycle<double>> make_minres(Run<double>&);

}  // namespace pympf::krylov
