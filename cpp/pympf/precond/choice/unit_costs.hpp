// What each offer costs, in products with A: the only tuned numbers of the choice.
//
// A cost is `entry` + `row` / k, k = entries per row: what a row costs besides its entries weighs
// more where rows are short. Measured on one core of an AMD EPYC (480 MB of L3), processor time,
// over 82 systems of 10^3 to 3.6e4 rows (35 finite-element systems of bench/elements.py, 47
// matrices of ../shared/data/matrices): medians in logarithms. The two halves of the systems differ
// by 6 % in what is of weight; a single system by a factor of 1.5 from the fit.
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

inline constexpr UnitCost diagonal_setup{2, 0};
inline constexpr UnitCost diagonal_step{0.95, 1.0};
inline constexpr UnitCost factor_setup{50, 0};  // the incomplete factor of the first level
inline constexpr UnitCost factor_step{1.65, 7.7};
inline constexpr UnitCost levels_setup{165, 120};  // with that factor
inline constexpr UnitCost levels_step{4.4, 30};
// Of a complete factor by SuperLU, over the entries of A: for its order, an entry of L, a
// multiply-add of the elimination; of a solution, for an entry of L.
inline constexpr double order_setup = 30, entry_setup = 100, work_setup = 0.24, entry_step = 6;

// Iterations with the incomplete factor for one with the diagonal.
inline constexpr double factor_part = 0.33;
// Iterations with levels to 1e-8: where the near-nullspace is one, and where it is not.
inline constexpr double levels_steps = 9, poor_levels_steps = 50;

}  // namespace unit_costs
}  // namespace pympf::precond
