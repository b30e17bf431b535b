// What each offer costs, in products with A: the tuned numbers of the choice.
//
// A cost is `entry` + `row` / k + `fixed` / nnz, k = entries per row, nnz in all: what a row costs
// besides its entries weighs more where rows are short, and what every setup costs where there are
// few entries. Measured and fitted on one core by
//
//   make unit-costs      bench/cases/unit_costs.py, which prints the numbers below
//
// No constants, as the bench case `honest` chooses by what it has fitted on other systems (`set`).
#pragma once

#include <map>
#include <string>

namespace pympf::precond {

struct UnitCost {
  double entry = 0, row = 0, fixed = 0;
  constexpr double operator()(double entries_per_row, double entries) const {
    return entry + row / entries_per_row + fixed / entries;
  }
};

// Of a complete factor: of its setup for each entry of A, each row, each entry of L, each
// multiply-add of the elimination, and in any case; of a solution the same.
struct CompleteCost {
  double order = 0, row = 0, entry = 0, work = 0, fixed = 0;
  double step_row = 0, step_entry = 0, step_fixed = 0;
};

namespace unit_costs {

inline UnitCost diagonal_setup{1.5, 4, 0};
inline UnitCost diagonal_step{1.05, 4, 1500};
// With the diagonal MINRES passes over so many more vectors than CG.
inline double minres_row = 10;
inline UnitCost factor_setup{55, 0, 3e5};  // the incomplete factor of the first level
inline UnitCost factor_step{1.9, 15, 4000};
inline UnitCost levels_setup{145, 200, 6e5};  // with that factor
inline UnitCost levels_step{4.5, 30, 12000};
inline CompleteCost cholmod{92, 130, 70, 0.03, 3.5e5, 50, 4.5, 0};
inline CompleteCost mumps{13, 4650, 26, 0.125, 8.9e5, 470, 1, 2e5};
inline CompleteCost superlu{69, 1500, 94, 0.42, 2.5e5, 7, 8, 0};
// Of GMRES, for a row in each vector that a step is made orthogonal to.
inline double basis_row = 2;

// Iterations with the incomplete factor: so many, and this part of those with the diagonal.
inline double factor_least = 8, factor_part = 0.3;
// Iterations with levels to 1e-8: where the near-nullspace is one, where it has the translations of
// nodes and not their rotations, and where it is none.
inline double levels_steps = 8, node_levels_steps = 20, poor_levels_steps = 100;

// All of these by name, as "diagonal_setup.entry".
std::map<std::string, double> numbers();
// In all solves that follow in this process, whose choices no thread is to be making now.
void set(const std::string& name, double value);

}  // namespace unit_costs
}  // namespace pympf::precond
