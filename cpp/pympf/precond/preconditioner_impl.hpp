// What M keeps, and what is done with it; for preconditioner*.cpp only.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>

#include "pympf/common/clock.hpp"
#include "pympf/common/pool.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/range.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/la/symmetry.hpp"
#include "pympf/precond/choice/facts.hpp"
#include "pympf/precond/choice/first_factor.hpp"
#include "pympf/precond/choice/nonsymmetric_choice.hpp"
#include "pympf/precond/choice/placement.hpp"
#include "pympf/precond/choice/probes.hpp"
#include "pympf/precond/choice/saddle.hpp"
#include "pympf/precond/classic.hpp"
#include "pympf/precond/levels/coarse_solve.hpp"
#include "pympf/precond/levels/cycle.hpp"
#include "pympf/precond/levels/direct.hpp"
#include "pympf/precond/levels/two_level.hpp"
#include "pympf/precond/preconditioner.hpp"
#include "pympf/precond/probe.hpp"
#include "pympf/precond/repartitioned.hpp"
#include "pympf/precond/smoothers/jacobi.hpp"
#include "pympf/precond/working_copy.hpp"

namespace pympf::precond {

// Of CG, for a setup that may have lost the sign of M.
inline constexpr int steps_in_doubt = 16;

// What is built where M turned out not to be positive definite, each after the one before it: the
// levels in float64, the incomplete factor alone, the diagonal.
enum class Rung { chosen, levels, factor, diagonal };

template <class S>
struct Cycles {
  Levels<S> levels;
  mutable Pool<CycleSpace<S>> spaces{[this] { return std::make_unique<CycleSpace<S>>(levels); }};

  explicit Cycles(Levels<S>&& from) : levels(std::move(from)) {}
};

template <class T>
struct Preconditioner<T>::Impl {
  Index rows = 0;  // where they are worked on
  std::size_t pattern = 0;
  Params params, used;  // with what the cycle takes where nothing is given; as `automatic` chose
  NearNullspace near_nullspace, left;
  Index block = 1;
  Report report;
  bool negative = false;         // is_negative
  Facts facts;                   // what the choice knows of A
  std::vector<Index> null_rows;  // z_i = r_i
  bool is_companion = false;     // built for the matrix of saddle.hpp
  std::variant<Jacobi<T>, std::unique_ptr<Cycles<float>>, std::unique_ptr<Cycles<double>>, Direct,
               TwoLevel, std::unique_ptr<Nonsymmetric>, std::unique_ptr<Classic<T>>>
      kind;
  Rung rung = Rung::chosen;
  std::string failures;  // what the rungs before ended with
  std::string placement;
  Index callers_rows = 0;
  std::unique_ptr<Repartitioned<T>> repartitioned;
  bool whole = true;  // not while new values come in, nor after that was interrupted

  void take(const DistRows<T>& given, const Known& known) {
    const std::vector<T> d = diagonal(given);
    const std::optional<DistRows<T>> kept = within_range(given, d);
    const DistRows<T>& A = kept ? *kept : given;
    build(A, kept ? diagonal(A) : d, known);
    finish(A);
    verify(A);
  }

  void keep(Classic<T>&& classic) {
    report = classic.report();
    kind = std::make_unique<Classic<T>>(std::move(classic));
  }

  const Classic<T>* classic() const {
    const auto* kept = std::get_if<std::unique_ptr<Classic<T>>>(&kind);
    return kept ? kept->get() : nullptr;
  }

  // New values on the same pattern.
  void refresh(const DistRows<T>& given) {
    if (classic()) return keep(classic()->updated(given));
    std::vector<T> d = diagonal(given);
    const std::optional<DistRows<T>> kept = within_range(given, d);
    const DistRows<T>& A = kept ? *kept : given;
    if (kept) d = diagonal(A);
    if (A.general) return refresh_general(A, d);
    negative = is_negative(A.comm, d);
    const auto refreshed = [&]<class S>(std::unique_ptr<Cycles<S>>& cycles) {
      refresh_levels(working_copy(A, negative), used, cycles->levels, report, FirstFactor<S>());
    };
    if (is_companion || params.cycle == CycleKind::additive || has_factor())
      build(A, d);
    else if (std::holds_alternative<Jacobi<T>>(kind))
      refresh_diagonal(A, d);
    else if (auto* single = std::get_if<std::unique_ptr<Cycles<float>>>(&kind))
      refreshed(*single);
    else
      refreshed(std::get<std::unique_ptr<Cycles<double>>>(kind));
    if (report.rounds_off) build_levels_of(A);
    if (report.outgrown) build_anew(A, "the new values need more");
    finish(A);
    verify(A);
  }

  // Takes the next rung, as the one that is there `why`; false when none is left. Collective.
  bool fall_back(const DistRows<T>& given, const std::string& why) {
    if (classic()) return false;
    const std::optional<DistRows<T>> kept = within_range(given, diagonal(given));
    const DistRows<T>& A = kept ? *kept : given;
    const bool is_single = std::holds_alternative<std::unique_ptr<Cycles<float>>>(kind);
    if (std::holds_alternative<Jacobi<T>>(kind)) return false;
    if (A.general) return fall_back_general(A, why);
    const bool is_factor = report.method == "ict" && !is_single;
    const bool has_no_levels = is_single || has_factor();
    failures +=
        concat(failures.empty() ? "" : ", ", report.method, is_single ? " in float32 " : " ", why);
    rung = report.indefinite || is_factor ? Rung::diagonal
           : has_no_levels                ? Rung::levels
                                          : Rung::factor;
    build_rung(A);
    report.reason = failures;
    finish(A);
    verify(A);
    return true;
  }

  // Has the own rows and, where it counts, the pattern of the first matrix.
  bool fits(const DistRows<T>& A) const {
    const bool has_rows = A.own() == callers_rows && A.rows.cols == A.column_count();
    return has_rows && (classic() || hash(A) == pattern);
  }

  void apply(const T* r, T* z) const { apply({rows, {r}}, {rows, {z}}); }

  void apply(const Block<const T>& R, const Block<T>& Z, bool transposed = false) const {
    if (classic()) return classic()->apply(R, Z);
    if (const auto* general = std::get_if<std::unique_ptr<Nonsymmetric>>(&kind))
      for_columns(R, Z, [&](const T* r, T* z) { (*general)->apply(transposed, r, z); });
    if (const auto* jacobi = std::get_if<Jacobi<T>>(&kind)) return jacobi->apply(R, Z);
    if (const auto* direct = std::get_if<Direct>(&kind))
      return for_columns(R, Z, [&](const T* r, T* z) { direct->apply(r, z); });
    if (const auto* two_level = std::get_if<TwoLevel>(&kind))
      return for_columns(R, Z, [&](const T* r, T* z) { two_level->apply(r, z); });
    const auto run = [&](const auto& cycles) {
      typename std::decay_t<decltype(cycles.spaces)>::Lease space(cycles.spaces);
      precond::apply(cycles.levels, used, R, Z, *space);
    };
    if (const auto* single = std::get_if<std::unique_ptr<Cycles<float>>>(&kind)) run(**single);
    if (const auto* full = std::get_if<std::unique_ptr<Cycles<double>>>(&kind)) run(**full);
    for (Index i : null_rows)
      for (Index c = 0; c < R.count(); ++c) Z.at(c)[i * Z.stride] = R.at(c)[i * R.stride];
  }

  void apply_where_rows_are(const Block<const T>& R, const Block<T>& Z, bool transposed) const {
    require<Error>(whole, "the last update did not come to its end: update once more");
    require(R.count() == Z.count(), "M R: ", R.count(), " columns go in, ", Z.count(), " come out");
    if (!repartitioned) return apply(R, Z, transposed);
    const Transposable moved{*this, transposed};
    for_panels(R.count(), [&](Index first, Index count, Index lanes) {
      repartitioned->apply(R, Z, first, count, lanes, moved);
    });
  }

  struct Transposable {
    const Impl& impl;
    const bool transposed;
    void apply(const Block<const T>& R, const Block<T>& Z) const { impl.apply(R, Z, transposed); }
  };

 private:
  void refresh_diagonal(const DistRows<T>& A, const std::vector<T>& d) {
    kind = Jacobi<T>(d);
    if (params.method != Method::automatic || report.indefinite || rung != Rung::chosen) return;
    if (!takes_diagonal(A, d)) build_anew(A, "the new values need more");
  }

  void refresh_general(const DistRows<T>& A, const std::vector<T>& d) {
    if (std::holds_alternative<Jacobi<T>>(kind)) {
      kind = Jacobi<T>(d);
    } else {
      Nonsymmetric& M = *std::get<std::unique_ptr<Nonsymmetric>>(kind);
      const DistRows<double> matrix = working_copy(A, false);
      M.refresh(matrix, report);
      if (params.method == Method::automatic && !still_contracts(matrix, M))
        build_anew(A, "it does not contract for the new values");
    }
    finish(A);
  }

  // A sparse LU, then the diagonal.
  bool fall_back_general(const DistRows<T>& A, const std::string& why) {
    failures += concat(failures.empty() ? "" : "; ", report.method, " (", report.reason, ") ", why);
    if (report.method != "direct") try {
        used.method = Method::direct;
        build_general(A);
        report.reason = failures;
        finish(A);
        return true;
      } catch (const Singular&) {
      }
    report = {};
    report.method = "jacobi";
    report.symmetric = false;
    report.reason = failures;
    kind = Jacobi<T>(diagonal(A));
    finish(A);
    return true;
  }

  // What is the same for a first matrix and for new values.
  void finish(const DistRows<T>& matrix) {
    const CsrView<T>& A = matrix.rows;
    report.indefinite = report.indefinite || negative;
    report.work = work();
    tell_plan();
    const bool needs_neighbours = !std::holds_alternative<Jacobi<T>>(kind);
    if (needs_neighbours || repartitioned) report.placement = placement;
    null_rows.clear();
    for (Index i = 0; i < A.rows; ++i)
      if (std::all_of(A.data + A.indptr[i], A.data + A.indptr[i + 1], [](T v) { return v == 0; }))
        null_rows.push_back(i);
  }

  // What became of the plan.
  void tell_plan() {
    Plan& plan = report.plan;
    if (plan.offers.empty()) plan = choose(facts, params);
    plan.method = report.method;
    plan.reason = report.reason;
    plan.precision = report.single ? "single" : "working";
    const bool keeps = !report.symmetric && report.method == "multilevel";  // what M gives
    plan.krylov = keeps               ? "fgmres"
                  : !report.definite  ? "gmres"
                  : report.indefinite ? "minres"
                                      : "cg";
    const auto tell = [&](const auto& cycles) {
      const auto& levels = cycles->levels;
      plan.variant = levels.lowered          ? "lowered"
                     : levels.complete       ? "complete"
                     : levels.finer          ? "finer"
                     : levels.levels.empty() ? ""
                                             : "raised";
    };
    plan.variant.clear();
    if (const auto* single = std::get_if<std::unique_ptr<Cycles<float>>>(&kind)) tell(*single);
    if (const auto* full = std::get_if<std::unique_ptr<Cycles<double>>>(&kind)) tell(*full);
  }

  // A sparse direct factor, of A or of the next stage.
  bool has_factor() const {
    return std::holds_alternative<Direct>(kind) || std::holds_alternative<TwoLevel>(kind);
  }

  double work() const {
    if (const auto* direct = std::get_if<Direct>(&kind)) return direct->multiply_adds();
    if (const auto* two_level = std::get_if<TwoLevel>(&kind)) return two_level->multiply_adds();
    if (const auto* general = std::get_if<std::unique_ptr<Nonsymmetric>>(&kind))
      return (*general)->multiply_adds();
    if (const auto* single = std::get_if<std::unique_ptr<Cycles<float>>>(&kind))
      return multiply_adds((*single)->levels, used);
    if (const auto* full = std::get_if<std::unique_ptr<Cycles<double>>>(&kind))
      return multiply_adds((*full)->levels, used);
    return rows;
  }

  template <class M>
  void keep(M&& factored, Report&& found, Clock::time_point begin) {
    report = std::move(found);
    report.seconds = seconds_since(begin);
    if (params.method != Method::automatic)
      report.reason = "asked for";
    else if (report.indefinite)
      report.reason = "A has negative eigenvalues";
    kind = std::forward<M>(factored);
  }

  // What is promised positive definite must be it: a probe where the setup came near to rounding.
  void verify(const DistRows<T>& A) {
    if (std::holds_alternative<Jacobi<T>>(kind)) return;
    const auto* M = std::get_if<std::unique_ptr<Nonsymmetric>>(&kind);
    if (M && (*M)->is_known_finite) return;
    if (is_companion || A.general ||
        report.indefinite) {  // incomplete factors of such a matrix may grow without bound
      if (!is_finite(A)) fall_back(A, "is not finite");
    } else if (report.doubtful && !report.exact && used.cycle != CycleKind::k) {
      if (!is_positive(A)) fall_back(A, "is not positive definite by a probe");
    }
  }

  bool is_finite(const DistRows<T>& A) const {
    std::vector<T> ones(rows, 1), z(rows);
    apply(ones.data(), z.data());
    const bool own = std::all_of(z.begin(), z.end(), [](T v) { return std::isfinite(v); });
    return A.comm.min(Global{own}) > 0;
  }

  bool is_positive(const DistRows<T>& A) const {
    const std::vector<T> d = diagonal(A);
    RowProduct<T> multiply(A);
    const T sign = negative ? T(-1) : T(1);
    auto rhs = probe_rhs<T>(
        A.comm, rows, [&](Index i) { return std::abs(double{d[i]}); }, [](Index) { return 1.0; });
    return precond::is_positive(
        A.comm, std::move(rhs), steps_in_doubt,
        [&](const T* x, T* y) {
          multiply(x, y);
          scale(rows, sign, y, y);
        },
        [&](const T* r, T* z) { apply(r, z); });
  }

  // ---- what is built, by preconditioner_build.cpp
  void build_general(const DistRows<T>& A);
  void build_anew(const DistRows<T>& A, const std::string& why);
  void build(const DistRows<T>& A, const std::vector<T>& d, const Known& known = {});
  void build_hierarchy(const DistRows<T>& A, const Known& known, bool seen_negative,
                       std::string why_no_factor);
  bool takes_diagonal(const DistRows<T>& A, const std::vector<T>& d);
  bool build_diagonal(const std::vector<T>& d);
  bool is_seen_negative(const DistRows<T>& A, const std::vector<T>& d);
  bool build_companion(const DistRows<T>& companion);
  bool build_direct(const DistRows<T>& A);
  bool may_be_direct(const DistRows<T>& A) const;
  bool build_analyzed(const DistRows<T>& A, std::shared_ptr<SparseFactor> factor);
  bool build_indefinite(const DistRows<T>& A, std::string& why_not);
  MatrixKind kind_for_factor(const DistRows<T>& A) const;
  std::string build_with_signs(const DistRows<T>& A, Direct::Cost most = Direct::Cost::any);
  void build_levels_of(const DistRows<T>& A);
  void build_rung(const DistRows<T>& A);
  template <class S>
  void build_cycles(const DistRows<T>& A);
};

}  // namespace pympf::precond
