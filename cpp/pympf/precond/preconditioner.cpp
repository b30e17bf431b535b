#include "pympf/precond/preconditioner.hpp"

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
#include "pympf/precond/probe.hpp"
#include "pympf/precond/repartitioned.hpp"
#include "pympf/precond/smoothers/jacobi.hpp"
#include "pympf/precond/working_copy.hpp"

namespace pympf::precond {
namespace {

// Entries of a complete factor for each of A: below the first it is lighter than anything but the
// diagonal (of networks and structures of few rows, `is_factored_first`); at the second counting
// stops, as no offer costs so much.
constexpr double light_fill = 2.5, most_fill = 8;

// Of CG, for a setup that may have lost the sign of M.
constexpr int steps_in_doubt = 16;

// What is built where M turned out not to be positive definite, each after the one before it: the
// levels in float64, the incomplete factor alone, the diagonal.
enum class Rung { chosen, levels, factor, diagonal };

template <class S>
struct Cycles {
  Levels<S> levels;
  mutable Pool<CycleSpace<S>> spaces{[this] { return std::make_unique<CycleSpace<S>>(levels); }};

  explicit Cycles(Levels<S>&& from) : levels(std::move(from)) {}
};

}  // namespace

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

  void build_general(const DistRows<T>& A) {
    kind = choose_nonsymmetric(working_copy(A, false), near_nullspace, left, block, used, report);
    report.symmetric = false;
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

  // What is there no longer fits.
  void build_anew(const DistRows<T>& A, const std::string& why) {
    const std::string before = report.method;
    build(A, diagonal(A));
    report.reason += concat("; chosen anew in place of ", before, ": ", why);
  }

  void build(const DistRows<T>& A, const std::vector<T>& d, const Known& known = {}) {
    negative = !A.general && is_negative(A.comm, d);
    used = params;
    report = {};
    facts = sizes_of(A, params);
    rung = Rung::chosen;
    failures.clear();
    if (params.method == Method::jacobi) {
      report.method = "jacobi";
      report.reason = "asked for";
      report.symmetric = !A.general;
      kind = Jacobi<T>(d);
      return;
    }
    if (A.general) return build_general(A);
    is_companion = false;
    if (params.method == Method::two_level || params.method == Method::direct) {
      const std::string why_not = build_with_signs(A);
      require<Singular>(why_not.empty(), "method = '", find_field(fields(), "method").text(params),
                        "' is not available: ", why_not);
      return;
    }
    const bool is_automatic = params.method == Method::automatic;
    const bool with_signs = is_automatic && !params.definite;
    std::string why_not;
    bool seen_negative = false;
    if (const auto companion = is_automatic ? definite_companion(A, d) : std::nullopt) {
      if (with_signs && (why_not = build_with_signs(A, Direct::Cost::small)).empty()) return;
      is_companion = build_companion(*companion);
      if (is_companion) return;
      report = {};
    } else {
      facts = known.facts ? *known.facts : look_at(A, d, near_nullspace, used);
      if (known.analysis && build_analyzed(A, known.analysis)) return;
      if (!known.diagonal_was_left && build_diagonal(d)) return;
      seen_negative = is_automatic && !negative && is_seen_negative(A, d);
      if (!seen_negative && !known.diagonal_was_left && build_direct(A)) return;
    }
    build_hierarchy(A, known, seen_negative, why_not);
  }

  // Levels or the incomplete factor; where A shows negative eigenvalues, what can live with them.
  void build_hierarchy(const DistRows<T>& A, const Known& known, bool seen_negative,
                       std::string why_no_factor) {
    const bool is_automatic = params.method == Method::automatic;
    const bool with_signs = is_automatic && !params.definite;
    if (known.factor_was_left) used.method = Method::multilevel;
    if (!seen_negative) {
      build_levels_of(A);
      if (!report.indefinite || !is_automatic) return;
    }
    if (with_signs && build_indefinite(A, why_no_factor)) return;
    if (params.smoother == SmootherKind::incomplete_cholesky) {
      // Stage after stage a factor that is far from A blows negative modes up; this one cannot.
      used.method = Method::multilevel;
      used.smoother = SmootherKind::l1_jacobi;
    } else if (!seen_negative) {
      return;
    }
    build_levels_of(A);
    report.indefinite = true;
    if (used.smoother == params.smoother) return;
    report.reason =
        "A has negative eigenvalues: l1-Jacobi smoother, absolute values of the coarse matrix";
    if (with_signs) report.reason += "; no sparse LU: " + why_no_factor;
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

  bool takes_diagonal(const DistRows<T>& A, const std::vector<T>& d) {
    facts = look_at(A, d, near_nullspace, used);
    return choose(facts, used).method == "jacobi";
  }

  bool build_diagonal(const std::vector<T>& d) {
    const Plan plan = choose(facts, used);
    if (plan.method != "jacobi") return false;
    report.method = plan.method;
    report.reason = plan.reason;
    kind = Jacobi<T>(d);
    return true;
  }

  // What was not looked at, as few rows or a choice of the caller, is looked at now.
  bool is_seen_negative(const DistRows<T>& A, const std::vector<T>& d) {
    if (facts.diagonal_steps) return facts.has_negative_eigenvalue;
    return has_negative_sums(A) && has_negative_curvature(A, d);
  }

  // For a saddle point whose part F is definite, as far as the setup can see.
  bool build_companion(const DistRows<T>& companion) {
    report = {};
    // What M of F leaves undone costs MINRES more than CG: a hierarchy is asked for, by its size.
    used.coarse_size = coarse_size(companion.nnz(), params);
    const std::vector<T> d = diagonal(companion);
    if (!takes_diagonal(companion, d) || !build_diagonal(d)) build_levels_of(companion);
    used.coarse_size = params.coarse_size;
    if (std::exchange(report.indefinite, true)) return false;
    report.reason = "saddle point, each part for itself: " + report.reason;
    return true;
  }

  // A complete factor where it costs least: of networks and structures of few rows, and where the
  // near-nullspace is not known, so that levels promise little.
  bool build_direct(const DistRows<T>& A) {
    if (!facts.diagonal_steps || !facts.is_double) return false;
    const bool is_small = is_factored_first(A, params);
    if (!is_small && !may_be_direct(A)) return false;
    const double most = (is_small ? light_fill : most_fill) * static_cast<double>(A.nnz());
    const std::shared_ptr<SparseFactor> factor =
        Direct::analysis(working_copy(A, negative).rows, params, most);
    if (!factor || factor->analysis().fill.entries > most) return false;
    facts.take(factor->analysis());
    return (is_small || choose(facts, params).method == "direct") &&
           build_analyzed(A, std::move(factor));
  }

  // By a guess, before it is analyzed. Where levels promise much, their factor may do alone.
  bool may_be_direct(const DistRows<T>& A) const {
    if (params.coarse_size > 0 || !facts.far_from_null) return false;
    return guessed_total_of_direct(A, facts, params) < total_of_others(facts, params);
  }

  // With the sign that makes A positive definite where there is one.
  bool build_analyzed(const DistRows<T>& A, std::shared_ptr<SparseFactor> factor) {
    const auto begin = Clock::now();
    const auto copy = working_copy(A, negative);
    Report found;
    auto M = Direct::analyzed(copy.rows, std::move(factor), found);
    if (!M && !params.definite) M = Direct::factor(copy.rows, MatrixKind::symmetric, params, found);
    if (!M) return false;
    keep(std::move(*M), std::move(found), begin);
    return true;
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

  // A sparse LU, or the diagonal where that is better: shifted Laplacians in three dimensions.
  // Otherwise false.
  bool build_indefinite(const DistRows<T>& A, std::string& why_not) {
    why_not = build_with_signs(A, Direct::Cost::small);
    if (why_not.empty()) return true;
    if (A.comm.size() == 1 && TwoLevel::is_for(working_copy(A, false).rows)) {
      report = {};
      report.indefinite = true;
      report.method = "jacobi";
      report.reason = "A has negative eigenvalues; no sparse LU: " + why_not;
      kind = Jacobi<T>(diagonal(A));
      return true;
    }
    why_not = build_with_signs(A);
    return why_not.empty();
  }

  // Definite where nothing speaks against it and nothing has been seen yet.
  MatrixKind kind_for_factor(const DistRows<T>& A) const {
    const std::vector<T> d = diagonal(A);
    const bool may_be_definite = params.method != Method::automatic &&
                                 std::all_of(d.begin(), d.end(), [](T v) { return v > 0; }) &&
                                 !has_negative_curvature(A, d);
    return may_be_definite ? MatrixKind::definite : MatrixKind::symmetric;
  }

  // Returns why it is not available.
  std::string build_with_signs(const DistRows<T>& A, Direct::Cost most = Direct::Cost::any) {
    if (A.comm.size() > 1) return "it is for one rank";
    const auto begin = Clock::now();
    Report found;
    const auto copy = working_copy(A, false);
    const auto taken = [&](auto&& M) {
      if (!M) return found.reason;
      keep(std::move(*M), std::move(found), begin);
      return std::string();
    };
    if (params.method == Method::two_level)
      return taken(TwoLevel::with_stage(copy.rows, params, found));
    return taken(Direct::factor(copy.rows, kind_for_factor(A), params, found, most));
  }

  void build_levels_of(const DistRows<T>& A) {
    const bool single = std::is_same_v<T, float> || params.precision == Precision::single ||
                        (params.precision == Precision::automatic && A.nnz() > most_cached);
    if (single) build_cycles<float>(A);
    const bool rounds_off = report.rounds_off;
    // An exact factorization that is rounded to float32 would cost the steps that it saves.
    if (!single || rounds_off || (report.exact && std::is_same_v<T, double>))
      build_cycles<double>(A);
    if (!rounds_off) return;
    rung = Rung::levels;
    report.reason += "; in float64, as float32 rounds the smoothest vectors away";
  }

  void build_rung(const DistRows<T>& A) {
    if (rung == Rung::diagonal) {
      const bool indefinite = report.indefinite;
      report = {};
      report.indefinite = indefinite;
      report.method = "jacobi";
      kind = Jacobi<T>(diagonal(A));
      return;
    }
    if (params.method == Method::direct || params.method == Method::two_level)
      used.method = Method::multilevel;
    if (rung == Rung::factor) {
      used.method = Method::incomplete_cholesky;
      used.smoother = SmootherKind::incomplete_cholesky;
      used.cycle = CycleKind::v;
    }
    build_cycles<double>(A);
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

  template <class S>
  void build_cycles(const DistRows<T>& A) {
    report = {};
    kind = std::make_unique<Cycles<S>>(build_levels<S>(working_copy(A, negative), near_nullspace,
                                                       block, used, report, FirstFactor<S>()));
    report.single = sizeof(S) < sizeof(T);
  }
};

template <class T>
Preconditioner<T>::Preconditioner(const DistRows<T>& A, const Params& params,
                                  NearNullspace near_nullspace, Index block,
                                  const std::vector<int>& parts, NearNullspace left,
                                  const Known& known, const mmf::Progress& progress)
    : impl_(std::make_unique<Impl>()) {
  check(params);
  const Index rows = A.own();
  require(A.rows.cols == A.column_count() && A.layout.total() > 0,
          "a square matrix is needed, not ", A.rows.rows, " x ", A.rows.cols);
  require_symmetric_pattern(A);
  const bool moves =
      A.comm.size() > 1 && (params.repartition || A.comm.max(Global{!parts.empty()}) > 0);
  collectively(A.comm, [&] {
    require(block >= 1 && rows % block == 0, "block size ", block, " does not divide the ", rows,
            " rows");
    const auto numbers = static_cast<std::size_t>(rows) * near_nullspace.vectors;
    require(near_nullspace.values.empty() || near_nullspace.values.size() == numbers,
            "the near-nullspace has ", near_nullspace.values.size(), " numbers, expected ", rows,
            " x ", near_nullspace.vectors);
    require(left.values.empty() || A.general,
            "a near-nullspace of A^T is for matrices that are not symmetric");
    require(
        left.values.empty() || left.values.size() == static_cast<std::size_t>(rows) * left.vectors,
        "the left near-nullspace has ", left.values.size(), " numbers, expected ", rows, " x ",
        left.vectors);
    require(parts.size() == static_cast<std::size_t>(moves ? rows : 0), "repartition: got ",
            parts.size(), " ranks for ", moves ? rows : 0, " rows");
  });
  Impl& impl = *impl_;
  impl.rows = impl.callers_rows = rows;
  impl.params = tuned(params);
  impl.pattern = hash(A);
  impl.near_nullspace = std::move(near_nullspace);
  impl.left = std::move(left);
  impl.block = block;
  if (params.method == Method::classic) {
    require(!A.general && !moves, "the method 'classic' is for symmetric matrices, where they are");
    require(A.comm.max(Global{block > 1 || !impl.near_nullspace.values.empty()}) == 0,
            "near_nullspace, block_size: the method 'classic' takes neither");
    impl.keep(Classic<T>::of(A, params.factorization, progress));
    return;
  }
  impl.placement = describe_placement(A, params, parts);
  if (!moves) {
    impl.take(A, known);
    return;
  }
  impl.repartitioned = std::make_unique<Repartitioned<T>>(A.comm, parts);
  impl.rows = impl.repartitioned->repartition.own();
  // A rank without rows cannot tell from its part whether vectors are given.
  if (A.comm.max(Global{!impl.near_nullspace.values.empty()}) > 0)
    impl.near_nullspace = impl.repartitioned->forward(impl.near_nullspace);
  if (A.comm.max(Global{!impl.left.values.empty()}) > 0)
    impl.left = impl.repartitioned->forward(impl.left);
  impl.take(impl.repartitioned->repartition.forward(A), known);
}

template <class T>
Preconditioner<T>::Preconditioner(std::shared_ptr<const mmf::Mmf<T>> F)
    : impl_(std::make_unique<Impl>()) {
  Impl& impl = *impl_;
  impl.rows = impl.callers_rows = F->rows();
  impl.params.method = Method::classic;
  impl.params.factorization = F->factors().params;
  impl.params.rows_per_rank = impl.params.factorization.rows_per_rank;
  impl.keep(Classic<T>(std::move(F)));
}

template <class T>
std::shared_ptr<const mmf::Mmf<T>> Preconditioner<T>::factorization() const {
  return impl_->classic() ? impl_->classic()->factorization() : nullptr;
}

template <class T>
bool Preconditioner<T>::has_pattern(const DistRows<T>& A) const {
  return A.comm.min(Global{impl_->fits(A)}) > 0;
}

template <class T>
void Preconditioner<T>::update(const DistRows<T>& A) {
  Impl& impl = *impl_;
  collectively(A.comm, [&] {
    require(impl.fits(A),
            "an update needs a matrix with the rows and the pattern of the first one");
    require(A.general == !impl.report.symmetric,
            "an update needs a matrix that is symmetric where the first one was, and general where "
            "that was");
  });
  impl.whole = false;
  if (impl.repartitioned)
    impl.refresh(impl.repartitioned->repartition.forward(A));
  else
    impl.refresh(A);
  impl.whole = true;
}

template <class T>
bool Preconditioner<T>::fall_back(const DistRows<T>& A, const std::string& why) {
  Impl& impl = *impl_;
  return impl.repartitioned ? impl.fall_back(impl.repartitioned->repartition.forward(A), why)
                            : impl.fall_back(A, why);
}

template <class T>
Preconditioner<T>::~Preconditioner() = default;
template <class T>
Preconditioner<T>::Preconditioner(Preconditioner&&) noexcept = default;
template <class T>
Preconditioner<T>& Preconditioner<T>::operator=(Preconditioner&&) noexcept = default;
template <class T>
Index Preconditioner<T>::rows() const {
  return impl_->callers_rows;
}
template <class T>
const Params& Preconditioner<T>::params() const {
  return impl_->params;
}
template <class T>
const Report& Preconditioner<T>::report() const {
  return impl_->report;
}

template <class T>
void Preconditioner<T>::apply(const T* r, T* z) const {
  const Index n = impl_->callers_rows;
  apply({n, {r}}, {n, {z}});
}

template <class T>
void Preconditioner<T>::apply(const Block<const T>& R, const Block<T>& Z) const {
  impl_->apply_where_rows_are(R, Z, false);
}

template <class T>
void Preconditioner<T>::apply_transpose(const Block<const T>& R, const Block<T>& Z) const {
  impl_->apply_where_rows_are(R, Z, true);
}

template class Preconditioner<float>;
template class Preconditioner<double>;

}  // namespace pympf::precond
