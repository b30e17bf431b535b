// What the choice has to know of a matrix before anything is built.
#pragma once

#include "pympf/la/dist_rows.hpp"
#include "pympf/precond/choice/plan.hpp"

namespace pympf::precond {

// One pass over A. Collective.
template <class T>
Facts facts_of(const DistRows<T>& A, bool has_near_nullspace);

// Whether the analysis of a complete factor is worth its time: on one rank, where a guess of its
// cost is less than what the others cost. Separators are about as wide as the levels of the
// breadth-first search from a far row (A. George, J. W. H. Liu, "An automatic nested dissection
// algorithm for irregular finite element problems", SIAM J. Numer. Anal. 15, 1978); with w rows in
// the first one, L has about 2.5 log2 w entries for each row, for 2 w^3 multiply-adds.
template <class T>
bool is_worth_analysis(const DistRows<T>& A, const Facts& facts, double others);

}  // namespace pympf::precond
