// What `auto` decides: how much of a preconditioner a matrix needs. Every rule counts rows, entries
// and products, never seconds, so it decides the same on every machine.
#pragma once

#include "pympf/la/border.hpp"
#include "pympf/precond/choice/plan.hpp"
#include "pympf/precond/levels/transfer.hpp"
#include "pympf/precond/probe.hpp"

namespace pympf::precond {

// Entries of a matrix whose hierarchy stays in the caches: float32 would not make it faster.
inline constexpr Global most_cached = 100000;

// Whether auto chooses at all: nothing is asked for that only levels have.
bool may_choose(const Params& params);

// Who asks for a size of the dense solve wants a hierarchy for few iterations, not for its time.
// Over ranks, whose couplings the factor has not, its iterations would grow with the ranks.
bool wants_hierarchy(const Communicator& comm, const Params& params);

// Entries of a row of structural matrices, at least, and of networks, at most.
inline constexpr Global long_rows = 15, short_rows = 4;

// Rows from which auto thinks of less than a hierarchy.
inline constexpr Index least_rows = 400;

// Up to so many rows finer and complete factors are looked at.
inline constexpr Index few_rows = 5000;

// Steps of CG with the diagonal from a random error, for any `most` of them and at most `longest`
// to see it; none where they look like more, or A like indefinite.
template <class T>
std::optional<int> steps_with_diagonal(const DistRows<T>& A, const std::vector<T>& diagonal,
                                       const NearNullspace& near_nullspace, int most,
                                       int longest = probing::longest);

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

// Steps with the factor of the first level that cost as much as levels and the solution with them.
double most_factor_steps(const CsrView<double>& A, const Border& border, const Params& params,
                         bool poor);

}  // namespace pympf::precond
