// What is built for a matrix: what was asked for, else what the choice says, and what follows where
// the setup sees that A or M is not what it was taken for.
#include "pympf/precond/preconditioner_impl.hpp"

namespace pympf::precond {
namespace {

// Entries of a complete factor for each of A: below the first it is lighter than anything but the
// diagonal (of networks and structures of few rows, `is_factored_first`); at the second counting
// stops, as no offer costs so much.
constexpr double light_fill = 2.5, most_fill = 8;

}  // namespace

template <class T>
void Preconditioner<T>::Impl::build_general(const DistRows<T>& A) {
  kind = choose_nonsymmetric(working_copy(A, false), near_nullspace, left, block, used, report);
  report.symmetric = false;
}

// What is there no longer fits.
template <class T>
void Preconditioner<T>::Impl::build_anew(const DistRows<T>& A, const std::string& why) {
  const std::string before = report.method;
  build(A, diagonal(A));
  report.reason += concat("; chosen anew in place of ", before, ": ", why);
}

template <class T>
void Preconditioner<T>::Impl::build(const DistRows<T>& A, const std::vector<T>& d,
                                    const Known& known) {
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
template <class T>
void Preconditioner<T>::Impl::build_hierarchy(const DistRows<T>& A, const Known& known,
                                              bool seen_negative, std::string why_no_factor) {
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

template <class T>
bool Preconditioner<T>::Impl::takes_diagonal(const DistRows<T>& A, const std::vector<T>& d) {
  facts = look_at(A, d, near_nullspace, used);
  return choose(facts, used).method == "jacobi";
}

template <class T>
bool Preconditioner<T>::Impl::build_diagonal(const std::vector<T>& d) {
  const Plan plan = choose(facts, used);
  if (plan.method != "jacobi") return false;
  report.method = plan.method;
  report.reason = plan.reason;
  kind = Jacobi<T>(d);
  return true;
}

// What was not looked at, as few rows or a choice of the caller, is looked at now.
template <class T>
bool Preconditioner<T>::Impl::is_seen_negative(const DistRows<T>& A, const std::vector<T>& d) {
  if (facts.diagonal_steps) return facts.has_negative_eigenvalue;
  return has_negative_sums(A) && has_negative_curvature(A, d);
}

// For a saddle point whose part F is definite, as far as the setup can see.
template <class T>
bool Preconditioner<T>::Impl::build_companion(const DistRows<T>& companion) {
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
template <class T>
bool Preconditioner<T>::Impl::build_direct(const DistRows<T>& A) {
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
template <class T>
bool Preconditioner<T>::Impl::may_be_direct(const DistRows<T>& A) const {
  if (params.coarse_size > 0 || !facts.far_from_null) return false;
  return guessed_total_of_direct(A, facts, params) < total_of_others(facts, params);
}

// With the sign that makes A positive definite where there is one.
template <class T>
bool Preconditioner<T>::Impl::build_analyzed(const DistRows<T>& A,
                                             std::shared_ptr<SparseFactor> factor) {
  const auto begin = Clock::now();
  const auto copy = working_copy(A, negative);
  Report found;
  auto M = Direct::analyzed(copy.rows, std::move(factor), found);
  if (!M && !params.definite) M = Direct::factor(copy.rows, MatrixKind::symmetric, params, found);
  if (!M) return false;
  keep(std::move(*M), std::move(found), begin);
  return true;
}

// A sparse LU, or the diagonal where that is better: shifted Laplacians in three dimensions.
// Otherwise false.
template <class T>
bool Preconditioner<T>::Impl::build_indefinite(const DistRows<T>& A, std::string& why_not) {
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
template <class T>
MatrixKind Preconditioner<T>::Impl::kind_for_factor(const DistRows<T>& A) const {
  const std::vector<T> d = diagonal(A);
  const bool may_be_definite = params.method != Method::automatic &&
                               std::all_of(d.begin(), d.end(), [](T v) { return v > 0; }) &&
                               !has_negative_curvature(A, d);
  return may_be_definite ? MatrixKind::definite : MatrixKind::symmetric;
}

// Returns why it is not available.
template <class T>
std::string Preconditioner<T>::Impl::build_with_signs(const DistRows<T>& A, Direct::Cost most) {
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

template <class T>
void Preconditioner<T>::Impl::build_levels_of(const DistRows<T>& A) {
  const bool single = std::is_same_v<T, float> || params.precision == Precision::single ||
                      (params.precision == Precision::automatic && A.nnz() > most_cached);
  if (single) build_cycles<float>(A);
  const bool rounds_off = report.rounds_off;
  // An exact factorization that is rounded to float32 would cost the steps that it saves.
  if (!single || rounds_off || (report.exact && std::is_same_v<T, double>)) build_cycles<double>(A);
  if (!rounds_off) return;
  rung = Rung::levels;
  report.reason += "; in float64, as float32 rounds the smoothest vectors away";
}

template <class T>
void Preconditioner<T>::Impl::build_rung(const DistRows<T>& A) {
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

template <class T>
template <class S>
void Preconditioner<T>::Impl::build_cycles(const DistRows<T>& A) {
  report = {};
  kind = std::make_unique<Cycles<S>>(build_levels<S>(working_copy(A, negative), near_nullspace,
                                                     block, used, report, FirstFactor<S>()));
  report.single = sizeof(S) < sizeof(T);
}

#define PYMPF_INSTANTIATE(T)                                                                 \
  template void Preconditioner<T>::Impl::build(const DistRows<T>&, const std::vector<T>&,    \
                                               const Known&);                                \
  template void Preconditioner<T>::Impl::build_general(const DistRows<T>&);                  \
  template void Preconditioner<T>::Impl::build_anew(const DistRows<T>&, const std::string&); \
  template void Preconditioner<T>::Impl::build_levels_of(const DistRows<T>&);                \
  template void Preconditioner<T>::Impl::build_rung(const DistRows<T>&);                     \
  template bool Preconditioner<T>::Impl::takes_diagonal(const DistRows<T>&, const std::vector<T>&);
PYMPF_INSTANTIATE(double)
PYMPF_INSTANTIATE(float)

}  // namespace pympf::precond
