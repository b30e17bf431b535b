// From a matrix to the levels of the preconditioner.
#pragma once

#include <string>
#include <vector>

#include "pympf/precond/level.hpp"
#include "pympf/precond/transfer.hpp"

namespace pympf::precond {

struct Report {
  std::vector<LevelReport> levels;
  double operator_complexity = 1, grid_complexity = 1;
  Index coarse_rows = 0, coarse_nullity = 0, coarse_negative = 0;
  bool indefinite = false;  // a negative eigenvalue was found
  bool exact = false;       // the smoother alone is A^-1 to rounding, and is all that there is
  std::string method, reason;
  double seconds = 0;
};

// `auto` looks first whether the diagonal alone converges so fast that nothing else would pay for
// itself; if so, the report says it.
template <class T>
bool diagonal_is_enough(const CsrView<T>& A, const NearNullspace& near_nullspace,
                        const Params& params, Report& report);

// A is symmetric; `near_nullspace` is empty for constants.
template <class T>
Levels<T> build_levels(const CsrView<double>& A, const NearNullspace& near_nullspace, Index block,
                       const Params& params, Report& report);

// New values on the same pattern: keeps the order, the clusters and the scaling functions, and
// makes the matrices of the levels, their smoothers and the coarse solve anew.
template <class T>
void refresh_levels(const CsrView<double>& A, const Params& given, Levels<T>& levels,
                    Report& report);

}  // namespace pympf::precond
