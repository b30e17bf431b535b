// What sparse_factor.cpp knows of each backend. An `analyze_` is called only where its `has_` is
// true.
#pragma once

#include <functional>

#include "pympf/la/sparse_factor/sparse_factor.hpp"

namespace pympf::sparse_factor {

// Whether nested dissection is tried beside AMD, by the flops that AMD predicts. METIS takes 4 to 5
// us a row, and saves at most half of the flops, which take .05 to .1 ns: on a cube of 28^3 rows
// (1.4e5 flops a row) .10 s for .04, on plane Helmholtz and Poisson problems of 512^2 rows (1e4)
// 0.9 s for nothing.
inline bool worth_dissection(const Fill& by_amd, Index rows, const FactorRequest& request) {
  constexpr double most_saved = 4;
  return by_amd.work > 2e5 * rows && by_amd.work <= most_saved * request.most_work &&
         by_amd.entries <= most_saved * request.most_entries;
}

// order[k]: the row that comes k-th, by METIS; empty without it. SCOTCH, which MUMPS has, finds
// another order in each run.
std::vector<Index> dissection(const CsrView<double>& A);

// The same by AMD; empty without CHOLMOD, which has it.
std::vector<Index> approximate_minimum_degree(const CsrView<double>& A);

// Whether `solve` solves A x = b for some b, to a tenth: a Krylov method does the rest. Where A is
// singular, its last pivot is rounding, and x drowns in the nullspace.
bool is_accurate(const CsrView<double>& A, const std::function<void(double*)>& solve);

// A row of zeros, or two rows that have the same column only, as two leaves of a graph on one
// vertex have. MUMPS and SuperLU fill up what is singular before they see it: as-caida20070917 with
// 8020 rows took them 2.5 s.
bool is_plainly_singular(const CsrView<double>& A);

// A pivot that is that small beside its diagonal entry is but noise.
double noise(Index rows);

// order[k]: the row that comes k-th. Counting stops when there are more than `most` entries.
Fill fill_of(const CsrView<double>& A, const std::vector<Index>& order, double most);

bool has_cholmod();
bool has_mumps();
bool has_superlu();

std::unique_ptr<SparseFactor> analyze_cholmod(const CsrView<double>& A,
                                              const FactorRequest& request);
std::unique_ptr<SparseFactor> analyze_mumps(const CsrView<double>& A, const FactorRequest& request);
std::unique_ptr<SparseFactor> analyze_superlu(const CsrView<double>& A,
                                              const FactorRequest& request);

}  // namespace pympf::sparse_factor
