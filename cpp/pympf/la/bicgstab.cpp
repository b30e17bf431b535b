// BiCGStab with a preconditioner from the right, for any A: two products with A and with M in a
// step, and eight vectors however many steps.
//
//   rho = r~^T r     beta = (rho / rho') (alpha / omega)     p = r + beta (p - omega v)
//   v = A M p        alpha = rho / r~^T v                    s = r - alpha v
//   t = A M s        omega = t^T s / t^T t                   r = s - omega t
//   x += alpha M p + omega M s
//
//   paper     r~        r  p  v  s            t  M p, M s
//   name      shadow_   r  p  v  r, half way  t  z
//
// Both halves are counted and recorded, ||s|| and ||r||: an iteration is a product with A. Where
// rho or r~^T v has no digits left, the method begins again from x, with r~ = r.
//
// Reference: H. A. van der Vorst, "Bi-CGSTAB", SIAM J. Sci. Stat. Comput. 13 (1992), 631-644.
#include <cmath>

#include "pympf/la/blas1.hpp"
#include "pympf/la/krylov_run.hpp"

namespace pympf::krylov {
namespace {

template <class T>
class BiCgStab final : public Cycle<T> {
 public:
  explicit BiCgStab(Run<T>& run)
      : run_(run), shadow_(run.n), p_(run.n), v_(run.n), t_(run.n), z_(run.n) {}

  Task<Reason> run(T* r, double) override {
    const Index n = run_.n;
    copy(n, r, shadow_.data());
    copy(n, r, p_.data());
    const double shadow_norm = run_.norm(r);
    double rho = run_.dot(shadow_.data(), r);
    for (bool first = true;; first = false) {
      const T* direction = co_await run_.precondition(p_.data(), z_.data());
      co_await run_.A(direction, v_.data());
      const double along = run_.dot(shadow_.data(), v_.data());
      if (!std::isfinite(along)) co_return Reason::diverged_nan;
      if (is_lost(along, shadow_norm, v_.data())) co_return begin_again(first);
      const double alpha = rho / along;
      Reason reason = step(alpha, direction, v_.data(), r);
      if (reason != Reason::iterating) co_return reason;

      direction = co_await run_.precondition(r, z_.data());
      if (direction == r) {  // r changes before x does
        copy(n, r, z_.data());
        direction = z_.data();
      }
      co_await run_.A(direction, t_.data());
      const double square = run_.dot(t_.data(), t_.data());
      if (!std::isfinite(square)) co_return Reason::diverged_nan;
      const double omega = square > 0 ? run_.dot(t_.data(), r) / square : 0;
      if (omega == 0) co_return begin_again(first);
      reason = step(omega, direction, t_.data(), r);
      if (reason != Reason::iterating) co_return reason;

      const double before = rho;
      rho = run_.dot(shadow_.data(), r);
      if (!std::isfinite(rho)) co_return Reason::diverged_nan;
      if (is_lost(rho, shadow_norm, r)) co_return Reason::iterating;
      axpy(n, -omega, v_.data(), p_.data());
      axpby(n, 1.0, r, rho / before * (alpha / omega), p_.data());
    }
  }

 private:
  // Whether r~^T y is rounding.
  bool is_lost(double product, double shadow_norm, const T* y) const {
    return std::abs(product) <= 10 * Run<T>::epsilon * shadow_norm * run_.norm(y);
  }

  static Reason begin_again(bool first) {
    return first ? Reason::diverged_breakdown : Reason::iterating;
  }

  // x += length d,  r -= length A d
  Reason step(double length, const T* d, const T* Ad, T* r) {
    axpy(run_.n, -length, Ad, r);
    const double norm = run_.measure(r);
    if (!std::isfinite(norm)) return Reason::diverged_nan;  // x has not been touched
    axpy(run_.n, length, d, run_.x);
    return run_.record(norm, run_.x);
  }

  Run<T>& run_;
  std::vector<T> shadow_, p_, v_, t_, z_;
};

}  // namespace

template <class T>
std::unique_ptr<Cycle<T>> make_bicgstab(Run<T>& run) {
  return std::make_unique<BiCgStab<T>>(run);
}

template std::unique_ptr<Cycle<float>> make_bicgstab(Run<float>&);
template std::unique_ptr<Cycle<double>> make_bicgstab(Run<double>&);

}  // namespace pympf::krylov
