// The driver of all methods: residual replacement around the cycles of a method.
//
//   repeat  r = b - A x                        one application of A
//           judge ||r||                        converged, stagnated, out of iterations?
//           x, r <- cycle(x, r)                cg.cpp, minres.cpp, gmres.cpp
//
// A cycle of cg, fcg or minres ends when its recurrence has converged, so that as a rule there is
// one.
//
// Reference: H. A. van der Vorst, Q. Ye, "Residual replacement strategies for Krylov subspace
// iterative methods for the convergence of true residuals", SIAM J. Sci. Comput. 22 (2000).
#include "pympf/la/krylov.hpp"

#include <cmath>
#include <limits>
#include <utility>

#include "pympf/la/blas1.hpp"
#include "pympf/la/krylov_run.hpp"

namespace pympf {
namespace {

template <class E>
struct Named {
  E value;
  const char* name;
};

constexpr Named<Method> kMethods[] = {
    {Method::cg, "cg"},       {Method::fcg, "fcg"},       {Method::minres, "minres"},
    {Method::gmres, "gmres"}, {Method::fgmres, "fgmres"},
};
constexpr Named<Side> kSides[] = {
    {Side::right, "right"},
    {Side::left, "left"},
};
constexpr Named<Reason> kReasons[] = {
    {Reason::converged_rtol, "converged_rtol"},
    {Reason::converged_atol, "converged_atol"},
    {Reason::iterating, "iterating"},
    {Reason::diverged_max_iterations, "diverged_max_iterations"},
    {Reason::diverged_residual_grew, "diverged_residual_grew"},
    {Reason::diverged_breakdown, "diverged_breakdown"},
    {Reason::diverged_stagnated, "diverged_stagnated"},
    {Reason::diverged_indefinite_operator, "diverged_indefinite_operator"},
    {Reason::diverged_indefinite_preconditioner, "diverged_indefinite_preconditioner"},
    {Reason::diverged_nan, "diverged_nan"},
    {Reason::stopped_by_callback, "stopped_by_callback"},
};

template <class E, std::size_t count>
const char* name_of(const Named<E> (&table)[count], E value) {
  for (const auto& entry : table) {
    if (entry.value == value) return entry.name;
  }
  throw InvalidArgument(concat("no such enumerator: ", static_cast<int>(value)));
}

template <class E, std::size_t count>
E value_of(const char* what, const Named<E> (&table)[count], std::string_view text) {
  std::string allowed;
  for (const auto& entry : table) {
    if (text == entry.name) return entry.value;
    allowed += concat(allowed.empty() ? "'" : ", '", entry.name, "'");
  }
  throw InvalidArgument(concat(what, ": expected one of ", allowed, "; got '", text, "'"));
}

}  // namespace

const char* name(Method method) { return name_of(kMethods, method); }
const char* name(Side side) { return name_of(kSides, side); }
const char* name(Reason reason) { return name_of(kReasons, reason); }
Method method_from_name(std::string_view text) { return value_of("method", kMethods, text); }
Side side_from_name(std::string_view text) { return value_of("side", kSides, text); }

namespace krylov {

template <class T>
Reason Run<T>::met() const {
  return params.rtol > 0 && tolerance > params.atol ? Reason::converged_rtol
                                                    : Reason::converged_atol;
}

template <class T>
Reason Run<T>::record(double norm, const T* iterate) {
  history.push_back(norm);
  const int iteration = static_cast<int>(history.size()) - 1;
  bool stop = callback && callback(iteration, norm, iterate);
  if (is_watched) stop = comm.max(std::int64_t{stop}) > 0;
  if (!std::isfinite(norm)) return Reason::diverged_nan;
  if (norm <= target()) return met();
  if (stop) return Reason::stopped_by_callback;
  return iteration >= params.max_iterations ? Reason::diverged_max_iterations : Reason::iterating;
}

template struct Run<float>;
template struct Run<double>;

}  // namespace krylov

namespace {

using krylov::Cycle;
using krylov::Run;

bool has_converged(Reason reason) {
  return reason == Reason::converged_rtol || reason == Reason::converged_atol;
}

// The method cannot go on; not when it was told to stop, or when x is the last one before a NaN.
bool has_failed(Reason reason) {
  return reason == Reason::diverged_breakdown || reason == Reason::diverged_stagnated ||
         reason == Reason::diverged_residual_grew ||
         reason == Reason::diverged_indefinite_operator ||
         reason == Reason::diverged_indefinite_preconditioner;
}

void check(const KrylovParams& p, bool has_operators, Global n) {
  require(has_operators,
          "the operator A, and M where it is given, must be callable; got an empty one");
  require(n > 0, "the system has ", n, " unknowns; expected at least 1");
  require(p.rtol >= 0 && p.rtol < 1, "rtol: expected a number in [0, 1), got ", p.rtol);
  require(p.atol >= 0 && std::isfinite(p.atol), "atol: expected a finite number >= 0, got ",
          p.atol);
  require(p.max_iterations >= 0, "max_iterations: expected at least 0, got ", p.max_iterations);
  require(p.restart >= 0, "restart: expected at least 1, or 0 for never; got ", p.restart);
  require(p.side == Side::right || p.method == Method::gmres,
          "side: 'left' is for the method 'gmres' only, got it with '", name(p.method), "'");
}

template <class T>
std::unique_ptr<Cycle<T>> make_cycle(Run<T>& run) {
  switch (run.params.method) {
    case Method::cg:
    case Method::fcg:
      return krylov::make_cg(run);
    case Method::minres:
      return krylov::make_minres(run);
    case Method::gmres:
    case Method::fgmres:
      return krylov::make_gmres(run);
  }
  throw InvalidArgument(concat("unknown Method ", static_cast<int>(run.params.method)));
}

// r = b - A x, and for the left-preconditioned test s = M r.
template <class T>
class TrueResidual {
 public:
  explicit TrueResidual(const Run<T>& run)
      : run_(run), r_(run.n), s_(run.from_left() ? run.n : 0) {}

  // The norm of the stopping test.
  double compute() {
    run_.A(run_.x, r_.data());
    axpby(run_.n, 1.0, run_.b, -1.0, r_.data());
    norm_ = run_.norm(r_.data());
    if (!run_.from_left()) return norm_;
    (*run_.M)(r_.data(), s_.data());
    return run_.norm(s_.data());
  }

  T* vector() { return run_.from_left() ? s_.data() : r_.data(); }  // whose norm compute() gave
  double unpreconditioned_norm() const { return norm_; }

 private:
  const Run<T>& run_;
  std::vector<T> r_, s_;
  double norm_ = 0;
};

template <class T>
void set_tolerance(Run<T>& run, double b_norm) {
  double reference = b_norm;
  if (run.from_left()) {
    std::vector<T> s(run.n);
    (*run.M)(run.b, s.data());
    reference = run.norm(s.data());
  }
  run.tolerance = std::max(run.params.rtol * reference, run.params.atol);
  run.resolution = Run<T>::epsilon * reference;
}

// Holds what a method says of its recurrence against the norm computed afresh.
template <class T>
class Judge {
 public:
  Judge(Run<T>& run, double start_norm, bool from_zero) : run_(run), best_(start_norm) {
    if (!from_zero) best_x_.assign(run.x, run.x + run.n);
  }

  Reason verdict(Reason reason, double norm) {
    const double before = std::exchange(before_, norm);
    if (reason == Reason::diverged_nan || reason == Reason::stopped_by_callback) return reason;
    if (!std::isfinite(norm)) return Reason::diverged_nan;
    if (norm <= run_.tolerance) return run_.met();
    if (has_converged(reason) && norm <= kDrift * run_.tolerance) return reason;
    if (has_converged(reason)) {
      if (!worth_another(norm)) return Reason::diverged_stagnated;
    } else if (reason == Reason::diverged_max_iterations) {
      return out_of_iterations(norm);
    } else if (reason != Reason::iterating) {
      return reason;
    } else if (norm >= before * (1 - 10 * Run<T>::epsilon)) {  // the next cycle would be the same
      return Reason::diverged_stagnated;
    }
    const bool spent = static_cast<int>(run_.history.size()) > run_.params.max_iterations;
    return spent ? out_of_iterations(norm) : Reason::iterating;
  }

  // A failed run ends at the best of the iterates whose residual was computed afresh, the guess
  // among them. True when x changes.
  bool restore_best(Reason reason) {
    if (!has_failed(reason) || before_ <= best_) return false;
    if (best_x_.empty()) {
      std::fill(run_.x, run_.x + run_.n, T{0});
    } else {
      copy(run_.n, best_x_.data(), run_.x);
    }
    return true;
  }

 private:
  // With a preconditioner minres lets the 2-norm of the residual grow while its M-norm falls. Who
  // asks for a small 2-norm must not be left with less than what there was.
  Reason out_of_iterations(double norm) const {
    const bool may_grow = run_.params.method == Method::minres && run_.M;
    return may_grow && norm > best_ ? Reason::diverged_residual_grew
                                    : Reason::diverged_max_iterations;
  }

  // A fresh start is worth while as long as it halves the residual. One failure is forgiven: on a
  // nearly singular A the next start often repairs what the last one has lost.
  bool worth_another(double norm) {
    failures_ = norm <= best_ / 2 ? 0 : failures_ + 1;
    if (norm < best_) {
      best_ = norm;
      best_x_.assign(run_.x, run_.x + run_.n);
    }
    return failures_ < 2;
  }

  Run<T>& run_;
  double before_ = std::numeric_limits<double>::infinity();
  double best_;
  std::vector<T> best_x_;  // empty for zero
  int failures_ = 0;
};

template <class T>
KrylovResult finish(Run<T>& run, Reason reason, double true_residual) {
  const int iterations = static_cast<int>(run.history.size()) - 1;
  return {reason, has_converged(reason), iterations, std::move(run.history), true_residual};
}

}  // namespace

template <class T>
KrylovResult solve(const std::type_identity_t<Operator<T>>& A,
                   const std::type_identity_t<Operator<T>>* M, Index n, const T* b, T* x,
                   const KrylovParams& params,
                   const std::type_identity_t<KrylovCallback<T>>& callback,
                   const Communicator& comm) {
  check(params, A && (!M || *M), comm.sum(Global{n}));
  const double b_norm = norm(comm, n, b);
  require(std::isfinite(b_norm), "b has entries that are NaN or infinite");
  const double x_norm = norm(comm, n, x);
  require(std::isfinite(x_norm), "the initial guess has entries that are NaN or infinite");

  Run<T> run{A, M, n, b, x, params, callback, comm, {}};
  run.is_watched = comm.max(std::int64_t{bool{callback}}) > 0;
  if (b_norm == 0) {
    std::fill(x, x + n, T{0});
    run.record(0, x);
    return finish(run, Reason::converged_atol, 0);
  }
  set_tolerance(run, b_norm);
  const auto cycle = make_cycle(run);
  TrueResidual<T> r(run);

  double now = r.compute();
  Judge<T> judge(run, now, x_norm == 0);
  Reason reason = judge.verdict(run.record(now, x), now);
  if (run.resolution == 0) reason = Reason::diverged_breakdown;  // M b = 0
  while (reason == Reason::iterating) {
    reason = cycle->run(r.vector(), now);
    now = run.history.back() = r.compute();
    reason = judge.verdict(reason, now);
  }
  if (judge.restore_best(reason)) run.history.back() = r.compute();
  return finish(run, reason, r.unpreconditioned_norm() / b_norm);
}

template KrylovResult solve(const Operator<float>&, const Operator<float>*, Index, const float*,
                            float*, const KrylovParams&, const KrylovCallback<float>&,
                            const Communicator&);
template KrylovResult solve(const Operator<double>&, const Operator<double>*, Index, const double*,
                            double*, const KrylovParams&, const KrylovCallback<double>&,
                            const Communicator&);

}  // namespace pympf
