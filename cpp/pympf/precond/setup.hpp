// From a matrix to the levels of the preconditioner.
#pragma once

#include "pympf/precond/report.hpp"
#include "pympf/precond/transfer.hpp"

namespace pympf::precond {

// A is symmetric; `near_nullspace`, of own rows, is empty for constants. Where T may be
// `or_double`, and a complete factorization is going to be made, that is only reported (`exact`):
// rounded to float32 it would cost the steps that it saves. Collective.
template <class T>
Levels<T> build_levels(const DistRows<double>& A, const NearNullspace& near_nullspace, Index block,
                       const Params& params, Report& report, bool or_double = false);

// New values on the same pattern: keeps the order, the clusters and the scaling functions, and
// makes the matrices of the levels, their smoothers and the coarse solve anew. Collective.
template <class T>
void refresh_levels(const DistRows<double>& A, const Params& given, Levels<T>& levels,
                    Report& report);

}  // namespace pympf::precond
