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
namespace krylov {
namespace {

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
      return make_cg(run);
    case Method::minres:
      return make_minres(run);
    case Method::gmres:
    case Method::fgmres:
      return make_gmres(run);
    case Method::bicgstab:
      return make_bicgstab(run);
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
  Task<double> compute() {
    co_await run_.A(run_.x, r_.data());
    T* const r = r_.data();
    const T* const b = run_.b;
    const auto square = sum_chunks<1>(r_.size(), [=](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) r[i] = b[i] - r[i];
      return std::array{dot_chunk(r + begin, r + begin, end - begin)};
    });
    const double norm = co_await judge(square[0]);
    co_return norm;
  }
  // The same where x is zero: r = b.
  Task<double> compute_at_zero() {
    copy(run_.n, run_.b, r_.data());
    const double norm = co_await judge(pympf::dot(run_.n, run_.b, run_.b));
    co_return norm;
  }

  const T* residual() const { return r_.data(); }
  T* vector() { return run_.from_left() ? s_.data() : r_.data(); }  // whose norm compute() gave
  double unpreconditioned_norm() const { return norm_; }

 private:
  Task<double> judge(double square) {
    norm_ = run_.measure(r_.data(), square);
    if (!run_.from_left()) co_return norm_;
    co_await run_.precondition(r_.data(), s_.data());
    co_return run_.norm(s_.data());
  }

  const Run<T>& run_;
  std::vector<T> r_, s_;
  double norm_ = 0;
};

template <class T>
Task<double> set_tolerance(Run<T>& run, double b_norm) {
  double reference = b_norm;
  if (run.from_left()) {
    std::vector<T> s(run.n);
    co_await run.precondition(run.b, s.data());
    reference = run.norm(s.data());
  }
  run.tolerance = std::max(run.params.rtol * reference, run.params.atol);
  run.resolution = Run<T>::epsilon * reference;
  co_return run.tolerance;
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
    const bool stopped =
        reason == Reason::stopped_by_callback || reason == Reason::stopped_by_watch;
    if (reason == Reason::diverged_nan || stopped) return reason;
    if (!std::isfinite(norm)) return Reason::diverged_nan;
    if (norm <= run_.tolerance) return run_.met();
    if (has_converged(reason)) {
      if (norm <= kRounded * run_.tolerance) return reason;
      if (!worth_another(norm))
        return best_ <= kDrift * run_.tolerance ? reason : Reason::diverged_stagnated;
    } else if (reason == Reason::diverged_max_iterations) {
      return out_of_iterations(norm);
    } else if (reason != Reason::iterating) {
      return reason;
    } else if (norm >= before * (1 - 10 * Run<T>::epsilon)) {
      // The next cycle would be the same; not where another norm is minimized.
      if (!run_.is_weighted || !worth_another(norm)) return Reason::diverged_stagnated;
    }
    const bool spent = static_cast<int>(run_.history.size()) > run_.params.max_iterations;
    return spent ? out_of_iterations(norm) : Reason::iterating;
  }

  // A run that failed, or came near only, ends at the best of the iterates whose residual was
  // computed afresh, the guess among them. True when x changes.
  bool restore_best(Reason reason) {
    if (!(has_failed(reason) || has_converged(reason)) || before_ <= best_) return false;
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

constexpr const char* kNotFinite = " entries that are NaN or infinite";

// The caller's numbers are 2^b_exponent times those of the run, x is 2^x_exponent times.
template <class T>
class Units {
 public:
  explicit Units(const System<T>& system) : system_(system) {
    const Index n = system.n;
    const double largest = checked_largest(system.b, "b has");
    is_zero_ = largest == 0;
    b_exponent_ = is_zero_ ? 0 : std::ilogb(largest);
    if (std::abs(b_exponent_) <= kUsual) b_exponent_ = 0;
    if (b_exponent_ != 0) {
      b_.assign(system.b, system.b + n);
      scale_by_power(n, -b_exponent_, b_.data());
    }
    if (checked_largest(system.x, "the initial guess has") > 0)
      scale_by_power(n, -x_exponent(), system.x);
  }

  bool is_zero() const { return is_zero_; }
  const T* b() const { return b_exponent_ == 0 ? system_.b : b_.data(); }
  int x_exponent() const { return b_exponent_ - system_.exponent; }
  // Of the norms of the test.
  int norm_exponent(bool from_left) const { return from_left ? x_exponent() : b_exponent_; }

  // x in the caller's units. False when the range of T may have taken something from it.
  bool give_back() {
    constexpr int least = std::numeric_limits<T>::min_exponent + 60;
    constexpr int most = std::numeric_limits<T>::max_exponent - 1;
    if (x_exponent() == 0) return true;
    const double largest = system_.comm.max(largest_magnitude(system_.n, system_.x));
    scale_by_power(system_.n, x_exponent(), system_.x);
    if (largest == 0) return true;
    const int exponent = std::ilogb(largest) + x_exponent();
    return exponent >= least && exponent < most;
  }
  void take_again() { scale_by_power(system_.n, -x_exponent(), system_.x); }

 private:
  // Passes over NaN.
  double checked_largest(const T* v, const char* what) const {
    const double largest = system_.comm.max(largest_magnitude(system_.n, v));
    require(std::isfinite(largest), what, kNotFinite);
    return largest;
  }

  // Of b, in which nothing has to be scaled.
  static constexpr int kUsual = std::numeric_limits<T>::max_exponent / 8;

  const System<T>& system_;
  std::vector<T> b_;
  int b_exponent_ = 0;
  bool is_zero_ = false;
};

// The callback of the caller, who has other units.
template <class T>
KrylovCallback<T> in_units(const KrylovCallback<T>& callback, Index n, int norm_exponent,
                           int x_exponent) {
  if (!callback) return {};
  return [=, x = std::vector<T>(n)](int iteration, double norm, const T* iterate) mutable {
    if (iterate) {
      x.assign(iterate, iterate + n);
      scale_by_power(n, x_exponent, x.data());
    }
    return callback(iteration, std::ldexp(norm, norm_exponent), iterate ? x.data() : nullptr);
  };
}

// Weighs the rows where the test needs it.
template <class T>
void weigh_rows(const System<T>& system, Run<T>& run, double b_norm) {
  const std::span<const double> size = system.row_size;
  if (system.comm.max(Global{!size.empty()}) == 0) return;
  double least = std::numeric_limits<double>::infinity();
  std::vector<double> scaled(size.size());
  for (std::size_t i = 0; i < size.size(); ++i)
    if (size[i] > 0) {
      least = std::min(least, size[i]);
      scaled[i] = double{run.b[i]} / size[i];
    }
  const double scaled_norm = norm(system.comm, system.n, scaled.data());
  least = system.comm.min(least);
  run.is_weighted =
      std::isfinite(scaled_norm) && b_norm > largest_spread(run.params.rtol) * least * scaled_norm;
  if (!run.is_weighted) return;
  for (std::size_t i = 0; i < size.size(); ++i)
    scaled[i] = size[i] > 0 ? b_norm / scaled_norm / size[i] : 1;
  run.weights = std::move(scaled);
}

// The iterations; the result is in the units of the run.
template <class T>
Task<KrylovResult> iterate(Run<T>& run, const System<T>& system, double b_norm, bool from_zero) {
  TrueResidual<T> r(run);
  double now = 0;
  if (from_zero)
    now = co_await r.compute_at_zero();
  else
    now = co_await r.compute();
  // Of a guess so far off no digit would be left in the solution.
  if (!from_zero && r.unpreconditioned_norm() * Run<T>::epsilon > b_norm) {
    std::fill(run.x, run.x + run.n, T{0});
    from_zero = true;
    now = co_await r.compute_at_zero();
  }
  if (run.is_weighted && system.start) {
    system.start(r.residual(), run.x);
    now = co_await r.compute();
  }
  const auto cycle = make_cycle(run);
  Judge<T> judge(run, now, from_zero);
  Reason reason = judge.verdict(run.record(now, run.x), now);
  if (run.resolution == 0) reason = Reason::diverged_breakdown;  // M b = 0
  while (reason == Reason::iterating) {
    reason = co_await cycle->run(r.vector(), now);
    run.settle();
    now = run.history.back() = co_await r.compute();
    reason = judge.verdict(reason, now);
    if (reason == Reason::iterating && run.is_at_floor(run.x)) reason = Reason::diverged_stagnated;
  }
  if (judge.restore_best(reason)) run.history.back() = co_await r.compute();
  if (has_failed(reason) && !run.from_left() && run.progress.least < run.history.back()) {
    copy(run.n, run.progress.best_x.data(), run.x);
    run.history.back() = co_await r.compute();
  }
  KrylovResult result;
  result.reason = reason;
  result.true_residual = r.unpreconditioned_norm() / b_norm;
  co_return result;
}

// Whether x, which has been rounded to the range of T, still is one.
template <class T>
Task<bool> is_solution(Run<T>& run) {
  TrueResidual<T> r(run);
  const double norm = co_await r.compute();
  co_return norm <= kDrift* run.tolerance;
}

}  // namespace

template <class T>
Task<KrylovResult> drive(Way<T>& way, System<T> system, KrylovParams params,
                         KrylovCallback<T> callback) {
  check(params, system.A && (!system.M || *system.M), system.comm.sum(Global{system.n}));
  Units<T> units(system);
  const bool from_left = system.M && params.side == Side::left;
  const int norm_exponent = units.norm_exponent(from_left);
  KrylovParams scaled = params;
  scaled.atol = std::ldexp(params.atol, -norm_exponent);
  const KrylovCallback<T> report = in_units(callback, system.n, norm_exponent, units.x_exponent());
  Run<T> run{way,      system.A, system.M, system.n,    units.b(),
             system.x, scaled,   report,   system.comm, {}};
  run.is_watched = system.comm.max(std::int64_t{bool{callback}}) > 0;
  run.is_inconsistent = system.is_inconsistent;

  KrylovResult result;
  if (units.is_zero()) {
    std::fill(run.x, run.x + run.n, T{0});
    run.record(0, run.x);
    result.reason = Reason::converged_atol;
  } else {
    const double b_norm = run.norm(run.b);
    const double x_norm = run.norm(run.x);
    require(!std::isnan(b_norm), "b has", kNotFinite);
    require(!std::isnan(x_norm), "the initial guess has", kNotFinite);
    if (!std::isfinite(x_norm)) std::fill(run.x, run.x + run.n, T{0});
    if (!from_left) weigh_rows(system, run, b_norm);
    co_await set_tolerance(run, b_norm);
    result = co_await iterate(run, system, b_norm, x_norm == 0 || !std::isfinite(x_norm));
  }
  if (!units.give_back()) {
    units.take_again();
    bool is_lost = !std::isfinite(run.norm(run.x));
    if (!is_lost && has_converged(result.reason)) {
      const bool still_solves = co_await is_solution(run);
      is_lost = !still_solves;
    }
    if (is_lost) result.reason = Reason::diverged_range;
    units.give_back();
  }
  result.converged = has_converged(result.reason);
  result.iterations = static_cast<int>(run.history.size()) - 1;
  for (double& norm : run.history) norm = std::ldexp(norm, norm_exponent);
  result.history = std::move(run.history);
  result.norm = from_left         ? ResidualNorm::preconditioned
                : run.is_weighted ? ResidualNorm::row_scaled
                                  : ResidualNorm::plain;
  co_return result;
}

template Task<KrylovResult> drive(Way<float>&, System<float>, KrylovParams, KrylovCallback<float>);
template Task<KrylovResult> drive(Way<double>&, System<double>, KrylovParams,
                                  KrylovCallback<double>);

}  // namespace krylov
}  // namespace pympf
