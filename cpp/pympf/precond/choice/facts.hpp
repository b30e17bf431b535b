// What the choice has to know of a matrix before anything is built.
#pragma once

#include "pympf/la/dist_rows.hpp"
#include "pympf/precond/choice/plan.hpp"
#include "pympf/precond/levels/transfer.hpp"

namespace pympf::precond {

// Its rows and entries alone. Collective, as all of these are.
template <class T>
Facts sizes_of(const DistRows<T>& A, const Params& params);

// One pass over A, and where most rows have negative sums a few steps of CG. Most rows may be far
// from annihilating constants, which are a near-nullspace of every M-matrix, but not of rows with
// positive entries off the diagonal and a sum that is not small.
template <class T>
Facts facts_of(const DistRows<T>& A, const std::vector<T>& diagonal,
               const NearNullspace& near_nullspace, const Params& params);

// Whether there is something to choose.
bool is_to_be_looked_at(const Facts& sizes, const Params& params);

// Of the break-even: who is only just better loses by being wrong.
inline constexpr double sure = 0.8;
// A right-hand side of a problem, which is smooth, takes half to all of the steps of a random
// error. Who starts at so many times the break-even gains a third at best, and loses as much if he
// leaves.
inline constexpr double of_random = 1.5;

// That, and where auto may choose the diagonal the steps of CG with it from a random error
// (diagonal_steps.hpp): infinite if they are more than `within` times the break-even.
template <class T>
Facts look_at(const DistRows<T>& A, const std::vector<T>& diagonal,
              const NearNullspace& near_nullspace, const Params& params, double within = sure);

// What a complete factor would cost for one solve, before it is analyzed, to see whether the
// analysis is worth its time; infinite where there is none. Separators are about as wide as the
// levels of the breadth-first search from a far row (A. George, J. W. H. Liu, "An automatic nested
// dissection algorithm for irregular finite element problems", SIAM J. Numer. Anal. 15, 1978). With
// w rows in a level in the mean, L has about 0.7 w^0.8 entries for a row, for 0.8 w^1.7
// multiply-adds: fitted to what CHOLMOD has by AMD on the systems of the bench case `unit_costs`
// (quotients: 1.5 and 2.4 in the quadratic mean). Where A has negative eigenvalues it is one with
// signs. On this rank.
template <class T>
double guessed_total_of_direct(const DistRows<T>& A, const Facts& facts, const Params& params);

}  // namespace pympf::precond
