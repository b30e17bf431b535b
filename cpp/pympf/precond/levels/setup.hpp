// From a matrix to the levels of the preconditioner.
#pragma once

#include "pympf/precond/levels/first_level.hpp"
#include "pympf/precond/levels/transfer.hpp"
#include "pympf/precond/report.hpp"

namespace pympf::precond {

// A is symmetric; `near_nullspace`, of own rows, is empty for constants. Collective.
template <class T>
Levels<T> build_levels(const DistRows<double>& A, const NearNullspace& near_nullspace, Index block,
                       const Params& params, Report& report, const FirstLevelRule<T>& rule = {});

// New values on the same pattern: keeps the order, the clusters and the scaling functions, and
// makes the matrices of the levels, their smoothers and the coarse solve anew. Collective.
template <class T>
void refresh_levels(const DistRows<double>& A, const Params& given, Levels<T>& levels,
                    Report& report, const FirstLevelRule<T>& rule = {});

}  // namespace pympf::precond
