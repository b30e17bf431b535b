// What each offer costs, in products with A: the only tuned numbers of the choice.
//
// A cost is `entry` + `row` / k, k = entries per row: what a row costs besides its entries weighs
// more where rows are short. Measured on one core of an AMD EPYC (480 MB of L3), processor time, on
// 35 finite-element systems (bench/elements.py, 12 000 rows, twelve of them at 40 000 too), the
// families of the suite (10^4 and 10^5 rows) and the collection, from 9000 rows on. Fitted on every
// other system and on the rest alone, a cost at k = 7 differs by 3 to 15 %; a single system by a
// factor of 1.4 from the fit.
//
//   make unit-costs      measures and fits them again, and prints the lines below
#pragma once

namespace pympf::precond {

struct UnitCost {
  double entry = 0, row = 0;
  constexpr double operator()(double entries_per_row) const {
    return entry + row / entries_per_row;
  }
};

namespace unit_costs {

inline constexpr UnitCost diagonal_setup{1.5, 4};
inline constexpr UnitCost diagonal_step{0.95, 4};
inline constexpr UnitCost factor_setup{47, 0};  // the incomplete factor of the first level
inline constexpr UnitCost factor_step{1.7, 14};
inline constexpr UnitCost levels_setup{145, 200};  // with that factor
inline constexpr UnitCost levels_step{4.5, 30};
// Of a complete factor by SuperLU, over the entries of A: for its order, an entry of L, a
// multiply-add of the elimination; of a solution, for an entry of L.
inline constexpr double order_setup = 30, entry_setup = 100, work_setup = 0.24, entry_step = 6;

// Iterations with the incomplete factor: so many, and this part of those with the diagonal.
inline constexpr double factor_least = 12, factor_part = 0.35;
// Iterations with levels to 1e-8: where the near-nullspace is one, and where it is not.
inline constexpr double levels_steps = 8, poor_levels_steps = 120;

}  // namespace unit_costs
}  // namespace pympf::precond
