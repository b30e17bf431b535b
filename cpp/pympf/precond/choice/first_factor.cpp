#include "pympf/precond/choice/first_factor.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pympf/la/sparse.hpp"
#include "pympf/precond/choice/probes.hpp"
#include "pympf/precond/choice/smooth_look.hpp"
#include "pympf/precond/levels/near_nullspace.hpp"

namespace pympf::precond {
namespace {

// With few rows a factor that drops less is made from the start; with fewer still where the rows
// are short, as there it triples the entries. Once it is there, a few iterations are less than a
// long probe.
constexpr Index few_short_rows = 3000;
constexpr int steps_on_few_rows = 6;
constexpr double little_sum = 1e-4;  // of a row, to the diagonal
// Steps of a probe that finds, for new values, whether the choice still holds: an update is to cost
// less than half of a setup.
constexpr int steps_of_update = 6;

// Sum of |row sum| over the trace: rounding for a Laplacian, little for one that is shifted a
// little.
template <class T>
double relative_row_sums(const CsrView<T>& A) {
  double sums = 0, trace = 0;
  for (Index i = 0; i < A.rows; ++i) {
    double sum = 0;
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      sum += A.data[p];
      if (A.indices[p] == i) trace += std::abs(A.data[p]);
    }
    sums += std::abs(sum);
  }
  return trace > 0 ? sums / trace : 0;
}

template <class T>
constexpr double no_sum = 100 * std::numeric_limits<T>::epsilon();

// The components of a matrix that each have a vector of the nullspace. One that is only near it
// costs CG an iteration, and the probe must see it. Over several ranks they are not looked for.
template <class T>
Components floating_components(const Communicator& comm, const CsrView<T>& A) {
  if (comm.size() > 1 || relative_row_sums(A) > no_sum<T>) return {};
  Components out{0, std::vector<Index>(A.rows, -1)};
  std::vector<Index> reached;
  for (Index root = 0; root < A.rows; ++root) {
    if (out.label[root] >= 0) continue;
    const Index component = out.count++;
    out.label[root] = component;
    for (reached.assign(1, root); !reached.empty();) {
      const Index i = reached.back();
      reached.pop_back();
      for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
        if (const Index j = A.indices[p]; out.label[j] < 0 && A.data[p] != 0) {
          out.label[j] = component;
          reached.push_back(j);
        }
    }
  }
  return out;
}

// Iterations of CG with the factor of the first level; none when they look like more than `most`.
template <class T>
std::optional<int> predict_factor_iterations(const std::vector<T>& rhs, const Border& border,
                                             const Level<T>& level, const Params& params, int most,
                                             int longest) {
  std::vector<T> work(2 * static_cast<std::size_t>(level.rows()));
  return predict_iterations(
      border.comm, rhs, most, [&](const T* x, T* y) { spmv(level.A.view(), level.A_off, x, y); },
      [&](const T* r, T* z) { smooth_from_zero(level, params, r, z, work.data()); }, longest);
}

std::string few_iterations(const char* what, int iterations) {
  return concat(what, " alone needs about ", iterations, " iterations to 1e-8 by a probe");
}

// A complete factorization of A costs no more than a hierarchy.
// Multiply-adds: at most half the squares of the widths of the envelope. A hierarchy with its
// solution takes some 200 for each entry, but in longer loops; two hundred thousand are nothing.
bool is_complete_cheap(const CsrView<double>& A, const Params& params) {
  if (!may_choose(params)) return false;
  const double most = 2e5 + 50.0 * A.nnz();
  double work = 0;
  for (Index i = 0; i < A.rows && work <= most; ++i)
    if (A.indptr[i] < A.indptr[i + 1]) {
      const double width = std::max(i - A.indices[A.indptr[i]], 0);
      work += width * width / 2;
    }
  return work <= most;
}

// With few rows a factor that drops less takes the place of both the factor of default and, mostly,
// of the levels.
bool begins_with_finer_factor(const Communicator& comm, Global rows, Global entries,
                              const Params& params) {
  if (!may_choose(params) || wants_hierarchy(comm, params) || rows < least_rows) return false;
  return rows <= (entries >= long_rows * rows ? few_rows : few_short_rows);
}

// Where the probes of the factor begin.
template <class T>
std::vector<T> rhs_for_factor(const CsrView<double>& A, const NearNullspace& B,
                              const Border& border) {
  const std::vector<double> d = diagonal(A);
  return probe_rhs<T>(
      border.comm, A.rows, [&](Index i) { return std::abs(d[i]); },
      [&](Index i) { return B.sum(i); }, floating_components(border.comm, A));
}

// Steps with the factor of the first level, by two steps from a smooth error (smooth_look.hpp).
template <class T>
double smooth_factor_steps(const CsrView<double>& A, const Border& border, const Level<T>& level,
                           const Params& params) {
  // The constants of the parts of a Laplacian are for the probe, which looks for them.
  constexpr double small_sums = 1e-3;
  const bool is_shifted = relative_row_sums(A) >= small_sums;  // on this rank
  if (border.comm.max(Global{is_shifted}) == 0) return 0;
  constexpr int steps = 2;
  constexpr double of_bound = 1.1;  // of what two steps see
  const std::vector<double> d = diagonal(A);
  std::vector<T> work(2 * static_cast<std::size_t>(level.rows()));
  SmoothLook look(
      border.comm, std::vector<T>(d.begin(), d.end()), false,
      [&](const T* x, T* y) { spmv(level.A.view(), level.A_off, x, y); },
      [&](const T* r, T* z) { smooth_from_zero(level, params, r, z, work.data()); });
  return of_bound * look.steps_after(steps);
}

// It converges so fast that a hierarchy would not pay for itself. `few`: most_factor_steps.
template <class T>
bool factor_is_enough(const CsrView<double>& A, const std::vector<T>& rhs, const Border& border,
                      const Level<T>& level, const Params& params, double few, Report& report,
                      int longest = probing::longest) {
  const Global rows = border.comm.sum(Global{A.rows});
  const Global entries = border.comm.sum(Global{A.nnz()});
  const bool briefly = begins_with_finer_factor(border.comm, rows, entries, params);
  const auto iterations =
      predict_factor_iterations(rhs, border, level, params, static_cast<int>(few),
                                briefly ? std::min(steps_on_few_rows, longest) : longest);
  if (!iterations) return false;
  report.reason = few_iterations("the incomplete Cholesky factorization", *iterations);
  return true;
}

template <class T>
bool is_enough_as_it_is(const FirstLevel<T>& first, double few) {
  const Stage& stage = first.stage;
  const auto rhs = rhs_for_factor<T>(stage.A, stage.B, stage.border);
  return factor_is_enough(stage.A, rhs, stage.border, first.level(), first.params, few,
                          first.report);
}

bool may_lower(const CsrView<double>& A, const Border& border, const Params& params) {
  if (!may_choose(params) || wants_hierarchy(border.comm, params)) return false;
  // In a Laplacian that is shifted a little, the constant of each component has less energy than
  // what is dropped in it: an eigenvalue far below all others, which costs CG many digits
  // (ca-HepTh: 137 iterations for 32).
  const double sums = relative_row_sums(A);
  if (sums > no_sum<double> && sums < little_sum) return false;
  return is_m_matrix(A);
}

// The lowered one is worth its making where the raised one takes many steps. Where smooth errors
// fall fast, the rough ones that the probe sees last are few.
template <class T>
bool raised_or_lowered(const FirstLevel<T>& first, double few) {
  constexpr double many = 30, more = 1.25;
  const Stage& stage = first.stage;
  const double smooth = smooth_factor_steps(stage.A, stage.border, first.level(), first.params);
  if (!(smooth <= few)) return false;
  if (smooth <= many) return is_enough_as_it_is(first, more * few);
  if (may_lower(stage.A, stage.border, first.params)) {
    LevelReport raised_line = first.line;
    IncompleteCholesky<T> raised = std::move(first.level().factor);
    first.build(first.params, Dropped::lowers_diagonal);
    first.levels.lowered = is_enough_as_it_is(first, few);
    if (first.levels.lowered) return true;
    first.level().factor = std::move(raised), first.line = std::move(raised_line);
  }
  return is_enough_as_it_is(first, few);
}

// No near-nullspace is known of a small system: a factor that drops less is better than levels.
template <class T>
bool takes_finer(const FirstLevel<T>& first) {
  if (!first.levels.poor || first.report.indefinite || first.stage.rows() > few_rows) return false;
  first.report.reason =
      "no near-nullspace is known: an incomplete Cholesky factorization that drops less";
  if (!first.levels.finer) first.build(with_fewer_drops(first.params), Dropped::raises_diagonal);
  return first.levels.finer = true;
}

// The same of larger ones: the factor is better than levels. Levels without a near-nullspace took
// 12 to 325 iterations on the structural matrices that were measured (1000 to 4000 rows), this
// factor 10 to 164, in at most the same time; on larger systems levels may still be better.
template <class T>
bool takes_it_anyway(const FirstLevel<T>& first) {
  if (wants_hierarchy(first.stage.border.comm, first.params)) return false;
  if (!first.levels.poor || first.report.indefinite) return false;
  first.report.reason = "no near-nullspace is known: levels promise little";
  return true;
}

}  // namespace

template <class T>
void FirstFactor<T>::prepare(const Stage& stage, Global entries, Params& params,
                             Levels<T>& levels) const {
  const Border& border = stage.border;
  levels.complete = border.alone() && is_complete_cheap(stage.A, params);
  levels.finer =
      !levels.complete && begins_with_finer_factor(border.comm, stage.rows(), entries, params);
  if (levels.complete) params = without_drops(params);
  if (levels.finer) params = with_fewer_drops(params);
}

// Of a complete factorization a few pivots may have vanished, as one does where A is singular: each
// is raised to 1, and costs CG one iteration.
template <class T>
bool FirstFactor<T>::is_exact(const FirstLevel<T>& first) const {
  if (!may_choose(first.params)) return false;
  constexpr double few_pivots = 3.5;
  const Level<T>& level = first.level();
  const Border& border = first.stage.border;
  const double lost = level.factor.compensation() * level.rows();
  const bool differs =
      lost > (first.levels.complete ? few_pivots : 0) || level.factor.found_negative();
  first.report.exact = border.comm.max(Global{differs || !border.ghosts.empty()}) == 0;
  if (first.report.exact)
    first.report.reason = "the incomplete Cholesky factorization dropped nothing: it is exact";
  return first.report.exact;
}

template <class T>
bool FirstFactor<T>::is_enough(const FirstLevel<T>& first) const {
  if (!may_choose(first.params)) return false;
  Levels<T>& levels = first.levels;
  const double few =
      most_factor_steps(first.stage.A, first.stage.border, first.params, levels.poor);
  levels.factor_alone =
      levels.finer ? is_enough_as_it_is(first, few) : raised_or_lowered(first, few);
  return levels.factor_alone || takes_finer(first) || takes_it_anyway(first);
}

template <class T>
bool FirstFactor<T>::is_still_enough(const CsrView<double>& A, const Levels<T>& levels,
                                     const Params& params) const {
  const Level<T>& level = levels.levels.front();
  const auto rhs = rhs_for_factor<T>(A, constants(A.rows, 1), level.border);
  Report report;
  return may_choose(params) &&
         factor_is_enough(A, rhs, level.border, level, params,
                          most_factor_steps(A, level.border, params, levels.poor), report,
                          steps_of_update);
}

template <class T>
bool FirstFactor<T>::may_lower_diagonal(const CsrView<double>& A, const Border& border,
                                        const Params& params) const {
  return may_lower(A, border, params);
}

template struct FirstFactor<float>;
template struct FirstFactor<double>;

}  // namespace pympf::precond
