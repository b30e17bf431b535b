// What a run of any method keeps and tells: names of methods and reasons, residuals in the norm of
// the run, and whether they still fall.
#include "pympf/la/krylov_run.hpp"

#include <cmath>
#include <limits>

#include "pympf/common/progress.hpp"
#include "pympf/common/random.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/krylov.hpp"

namespace pympf {
namespace {

template <class E>
struct Named {
  E value;
  const char* name;
};

constexpr Named<Method> kMethods[] = {
    {Method::cg, "cg"},       {Method::fcg, "fcg"},       {Method::minres, "minres"},
    {Method::gmres, "gmres"}, {Method::fgmres, "fgmres"}, {Method::bicgstab, "bicgstab"},
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
    {Reason::diverged_inconsistent, "diverged_inconsistent"},
    {Reason::diverged_range, "diverged_range"},
    {Reason::diverged_indefinite_operator, "diverged_indefinite_operator"},
    {Reason::diverged_indefinite_preconditioner, "diverged_indefinite_preconditioner"},
    {Reason::diverged_nan, "diverged_nan"},
    {Reason::stopped_by_callback, "stopped_by_callback"},
    {Reason::stopped_by_watch, "stopped_by_watch"},
};

constexpr Named<ResidualNorm> kNorms[] = {
    {ResidualNorm::plain, "plain"},
    {ResidualNorm::row_scaled, "row_scaled"},
    {ResidualNorm::balanced, "balanced"},
    {ResidualNorm::preconditioned, "preconditioned"},
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
const char* name(ResidualNorm norm) { return name_of(kNorms, norm); }
Method method_from_name(std::string_view text) { return value_of("method", kMethods, text); }
Side side_from_name(std::string_view text) { return value_of("side", kSides, text); }

namespace krylov {

bool has_converged(Reason reason) {
  return reason == Reason::converged_rtol || reason == Reason::converged_atol;
}

template <class T>
void scale_by_power(Index n, int exponent, T* x) {
  constexpr int most = std::numeric_limits<T>::max_exponent - 1;
  while (exponent != 0) {
    const int step = std::clamp(exponent, -most, most);
    scale(n, std::ldexp(1.0, step), x, x);
    exponent -= step;
  }
}

template <class T>
double Run<T>::measure(const T* r, double square) const {
  const double plain = pympf::norm(comm, n, r, square);
  if (!is_weighted) return plain;
  std::vector<double> scaled(weights);
  for (std::size_t i = 0; i < scaled.size(); ++i) scaled[i] *= double{r[i]};
  return std::max(plain, pympf::norm(comm, n, scaled.data()));
}

template <class T>
Reason Run<T>::met() const {
  return params.rtol > 0 && tolerance > params.atol ? Reason::converged_rtol
                                                    : Reason::converged_atol;
}

template <class T>
Reason Run<T>::record(double norm, const T* iterate) {
  history.push_back(norm);
  const int iteration = static_cast<int>(history.size()) - 1;
  say_progress("iteration", history.size() - 1, [&] {  // the share of the digits that are asked for
    return std::log(history.front() / norm) / std::log(history.front() / target());
  });
  if (callback) settle();
  bool stop = callback && callback(iteration, norm, iterate);
  if (is_watched) stop = comm.max(std::int64_t{stop}) > 0;
  if (!std::isfinite(norm)) return Reason::diverged_nan;
  if (norm <= target()) return met();
  if (stop) return Reason::stopped_by_callback;
  if (iteration >= params.max_iterations) return Reason::diverged_max_iterations;
  constexpr int long_run = 100;  // the answer costs about as much as ten products
  if (iteration == long_run && is_inconsistent && is_inconsistent())
    return Reason::diverged_inconsistent;
  if (!iterate) return Reason::iterating;
  if (is_at_floor(iterate)) return Reason::diverged_stagnated;
  // Then the driver starts again from b - A x, as where the recurrence has converged.
  return progress.has_drifted ? met() : Reason::iterating;
}

// A good method leaves a residual of a few epsilon ||A|| ||x||. Where that is above the tolerance,
// the recurrence may wander for ever; so it is held against b - A x when it has not been halved for
// `patience` iterations.
template <class T>
bool Run<T>::is_at_floor(const T* iterate) {
  constexpr std::size_t patience = 100;
  constexpr double few = 100, far = 10;
  progress.has_drifted = false;
  if (history.back() <= progress.best / 2) {
    progress.best = history.back();
    progress.since = history.size();
  }
  if (history.size() < progress.since + patience) return false;
  progress.since = history.size();
  settle();
  std::vector<T> r(n);
  op(iterate, r.data());
  axpby(n, 1.0, b, -1.0, r.data());
  const double before = std::exchange(progress.fresh, measure(r.data()));
  if (progress.fresh < progress.least) {
    progress.least = progress.fresh;
    progress.best_x.assign(iterate, iterate + n);
  }
  if (!(progress.fresh > before / 2)) return false;
  progress.has_drifted = progress.fresh > far * history.back();
  if (progress.a_norm == 0) progress.a_norm = estimated_norm();
  return progress.fresh <= few * epsilon * progress.a_norm * norm(iterate);
}

// By the power method, from random signs.
template <class T>
double Run<T>::estimated_norm() const {
  constexpr int steps = 10;
  Random random(1, static_cast<std::uint32_t>(comm.rank()), 0);
  std::vector<T> v(n), Av(n);
  for (T& value : v) value = random.next() & 1 ? T(1) : T(-1);
  double estimate = 0;
  for (int step = 0; step < steps; ++step) {
    const double length = norm(v.data());
    if (length == 0) break;
    scale(n, 1 / length, v.data(), v.data());
    op(v.data(), Av.data());
    estimate = std::max(estimate, measure(Av.data()));
    v.swap(Av);
  }
  return estimate;
}

template struct Run<float>;
template struct Run<double>;
template void scale_by_power(Index, int, float*);
template void scale_by_power(Index, int, double*);

}  // namespace krylov
}  // namespace pympf
