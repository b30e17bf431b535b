// What `auto` takes for a matrix that is not symmetric, by counts and probes, never by seconds:
//
//   1. ILU(0), when a probe of 2 to 6 steps of GMRES predicts at most `few_without_fill`, or
//      ILUT(10^-3, entries of the row + 10) when it predicts up to `few_with_factor`;
//   2. levels, where A's own diagonal is its heaviest matching and what is off it has mostly the
//      other sign (M-matrix-like: flows with upwind differences, random walks), on A as it is:
//      scaling would spoil the constants. A probe after the setup must see that they contract.
//      Where half of it has, they come behind an LU of 100 multiply-adds for each entry;
//   3. matching of maximum product, its scaling, and a sparse LU, where its fill is affordable;
//   4. the same, reverse Cuthill-McKee and ILUT(10^-3, entries of the row + 10).
//
// A matrix that is singular, structurally or to rounding, is named in the reason.
#pragma once

#include <memory>

#include "pympf/precond/levels/nonsymmetric.hpp"

namespace pympf::precond {

// Collective. Singular where method = 'direct' is asked for a singular matrix; InvalidArgument for
// parameters that only symmetric matrices have.
std::unique_ptr<Nonsymmetric> choose_nonsymmetric(const DistRows<double>& A,
                                                  const NearNullspace& right,
                                                  const NearNullspace& left, Index block,
                                                  const Params& params, Report& report);

// Whether M contracts, by a few steps of GMRES: asked for new values. Collective.
bool still_contracts(const DistRows<double>& A, const Nonsymmetric& M);

}  // namespace pympf::precond
