// Preconditioned conjugate gradients: x_k minimizes the A-norm of the error over x_0 + K_k,
// the span of (M A)^i M r_0, i < k.
//
//   alpha = r^T z / p^T A p      x += alpha p      r -= alpha A p
//   z = M r                      beta = r^T z / (r^T z of the step before)      p = z + beta p
//
//   paper     r_j  z_j  p_j  A p_j  (r_j, z_j)
//   name      r    z    p    q      rz
//
// Flexible (fcg): M may change from one application to the next, and no longer makes p A-orthogonal
// to the direction before by itself. So that is asked for: with p^T A p' = 0,
//   beta = -alpha z^T A p / (r^T z of the step before),
// which is z^T (r - r of the step before) in the numerator, the form of Polak and Ribiere. With a
// fixed M it is the same number.
//
// Per iteration: A and M once, 2 dot products (flexible: 3), 1 norm, 3 vector updates, in three
// passes through memory: r^T z; x and p; r and its norm. x is a step behind until somebody asks.
// Storage: r, z, p, q.
//
// References: Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd ed., SIAM 2003,
// Algorithm 9.1; Y. Notay, "Flexible conjugate gradients", SIAM J. Sci. Comput. 22 (2000),
// Algorithm FCG(1).
#include <cmath>
#include <utility>

#include "pympf/la/blas1.hpp"
#include "pympf/la/krylov_run.hpp"

namespace pympf::krylov {
namespace {

template <class T>
class Cg final : public Cycle<T> {
 public:
  explicit Cg(Run<T>& run)
      : run_(run),
        flexible_(run.params.method == Method::fcg && run.M),
        z_(run.M ? run.n : 0),
        p_(run.n),
        q_(run.n) {}

  Task<Reason> run(T* r, double start_norm) override {
    const Index n = run_.n;
    T *p = p_.data(), *q = q_.data();
    std::fill(p, p + n, T{0});  // so that the first direction is z, whatever beta
    double rz = 1, alpha = 0;
    for (;;) {
      const T* z = co_await run_.precondition(r, z_.data());
      const double rz_before = std::exchange(rz, run_.dot(r, z));
      if (!std::isfinite(rz)) co_return Reason::diverged_nan;
      if (rz <= 0) co_return Reason::diverged_indefinite_preconditioner;
      next_direction(z, (flexible_ ? -alpha * run_.dot(z, q) : rz) / rz_before);

      const double pq = co_await run_.A_dot(p, q);
      if (!std::isfinite(pq)) co_return Reason::diverged_nan;
      if (pq <= 0) co_return Reason::diverged_indefinite_operator;

      alpha = rz / pq;
      const double r_norm = run_.measure(r, axpy_dot(n, -alpha, q, r, r));
      if (!std::isfinite(r_norm)) co_return Reason::diverged_nan;  // x has not been touched
      if (r_norm * kGrowth > start_norm) co_return Reason::diverged_breakdown;
      run_.pending = {alpha, p};
      const Reason reason = run_.record(r_norm, run_.x);
      if (reason != Reason::iterating) co_return reason;
      if (run_.is_left(alpha * rz, r_norm, alpha)) co_return Reason::stopped_by_watch;
    }
  }

 private:
  // x += alpha p, which is still to be done from the step before, and p = z + beta p
  void next_direction(const T* z, double beta) {
    const auto [alpha, before] = std::exchange(run_.pending, {});
    const T a = static_cast<T>(alpha), b = static_cast<T>(beta);
    T *x = run_.x, *p = p_.data();
    for_chunks(p_.size(), [=](std::size_t, std::size_t begin, std::size_t end) {
      if (before) axpy_chunk(a, p, x, begin, end);
      for (std::size_t i = begin; i < end; ++i) p[i] = z[i] + b * p[i];
    });
  }

  // The residual may grow by sqrt(cond(A)) before it falls; beyond the square root of the precision
  // A is singular in T, and b not in its range.
  static inline const double kGrowth = std::sqrt(Run<T>::epsilon);

  Run<T>& run_;
  const bool flexible_;
  std::vector<T> z_, p_, q_;
};

}  // namespace

template <class T>
std::unique_ptr<Cycle<T>> make_cg(Run<T>& run) {
  return std::make_unique<Cg<T>>(run);
}

template std::unique_ptr<Cycle<float>> make_cg(Run<float>&);
template std::unique_ptr<Cycle<double>> make_cg(Run<double>&);

}  // namespace pympf::krylov
