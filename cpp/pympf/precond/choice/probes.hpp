// What `auto` decides: how much of a preconditioner a matrix needs. Every rule counts rows, entries
// and products, never seconds, so it decides the same on every machine.
#pragma once

#include "pympf/precond/border.hpp"
#include "pympf/precond/choice/plan.hpp"
#include "pympf/precond/choice/probe.hpp"
#include "pympf/precond/level.hpp"
#include "pympf/precond/report.hpp"
#include "pympf/precond/transfer.hpp"

namespace pympf::precond {

// Entries of a matrix whose hierarchy stays in the caches: float32 would not make it faster.
inline constexpr Global most_cached = 100000;

// Whether auto chooses at all: nothing is asked for that only levels have.
bool may_choose(const Params& params);

// Rows from which auto thinks of less than a hierarchy.
inline constexpr Index least_rows = 400;

// Up to so many rows finer and complete factors are looked at.
inline constexpr Index few_rows = 5000;

// Rows at which the hierarchy ends with a dense solve.
Index coarse_size(Global nnz, const Params& params);

// Steps of CG with the diagonal from a random error, for any `most` of them and at most `longest`
// to see it; none where they look like more, or A like indefinite.
template <class T>
std::optional<int> steps_with_diagonal(const DistRows<T>& A, const std::vector<T>& diagonal,
                                       const NearNullspace& near_nullspace, int most,
                                       int longest = probing::longest);

// Steps of a probe that finds, for new values, whether the choice still holds: an update is to cost
// less than half of a setup.
inline constexpr int steps_of_update = 6;

// Whether to count, before anything is built, what a sparse factorization of A would cost. On one
// rank.
template <class T>
bool is_factored_first(const DistRows<T>& A, const Params& params);

// Most rows have negative sums, as in shifted Laplacians. Collective.
template <class T>
bool has_negative_sums(const DistRows<T>& A);

// A has a negative eigenvalue for sure: a few steps of CG from the constant vector meet p^T A p <
// 0. They are worth making where the sums are negative. Collective.
template <class T>
bool has_negative_curvature(const DistRows<T>& A, const std::vector<T>& diagonal);

// A complete factorization of A costs no more than a hierarchy.
bool is_complete_cheap(const CsrView<double>& A, const Params& params);

Params without_drops(Params params);

// The factor of the first level may lower the diagonal: no entry off it is positive, no row sum
// negative, no hierarchy is asked for, and there is one rank. It is then no smoother.
bool may_lower_diagonal(const CsrView<double>& A, const Border& border, const Params& params);

// The same, where it is asked for.
bool lowers_as_asked(const CsrView<double>& A, const Border& border, const Params& params);

// The factor of the first level dropped nothing; of a complete one a few pivots may have vanished,
// as one does where A is singular.
template <class T>
bool smoother_is_exact(const Border& border, const Level<T>& level, const Params& params,
                       bool complete, Report& report);

// Where the probes of the factor begin.
template <class T>
std::vector<T> side_for_factor(const CsrView<double>& A, const NearNullspace& B,
                               const Border& border, const Params& params);

// Steps with the factor of the first level, by two steps from a smooth error (smooth_look.hpp).
template <class T>
double smooth_factor_steps(const CsrView<double>& A, const Border& border, const Level<T>& level,
                           const Params& params);

// Steps of it that cost as much as levels and the solution with them.
double most_factor_steps(const CsrView<double>& A, const Border& border, const Params& params,
                         bool poor);

// The factor of the first level alone converges so fast that a hierarchy would not pay for itself.
// `few`: most_factor_steps.
template <class T>
bool factor_is_enough(const CsrView<double>& A, const std::vector<T>& side, const Border& border,
                      const Level<T>& level, const Params& params, double few, Report& report,
                      int longest = probing::longest);

// With few rows a factor that drops less takes the place of both the factor of default and, mostly,
// of the levels.
bool begins_with_finer_factor(const Communicator& comm, Global rows, Global entries,
                              const Params& params);

// No near-nullspace is known of a small system: a factor that drops less than asked for is better
// than levels; if so, the report says it.
bool prefers_finer_factor(Global rows, bool is_poor, const Params& params, Report& report);

// The same of larger ones: the factor is better than levels; if so, the report says it.
bool prefers_factor(const Communicator& comm, bool is_poor, const Params& params, Report& report);

Params with_fewer_drops(Params params);

// Why the method of the report was taken, where none of the above has said it.
std::string reason_for(const Report& report, const Params& params);

}  // namespace pympf::precond
