// One stage: rotations that keep the near-nullspace B in the scaling part, and the lifting of the
// scaling functions.
//
//   rotation   B_C = Q_C R_C for every cluster C (one k-point rotation, of which only the scaling
//              columns Q_C are formed; the wavelets are its orthogonal complement); B' = R.
//   lifting    P = Q - omega (Q + D^-1 K Q),  K the off-diagonals with a_ij b_i b_j < 0,
//              D_i = sum_j |k_ij b_j / b_i| + max((A b)_i / b_i, 0)           one vector
//              P = Q - (2 omega / rho(D^-1 A)) D^-1 A Q,  D = diag(A)          several
//   truncation of each row of P the smallest weights |p_ij| ||B'_j|| go while their sum is at most
//              delta of the row's; what stays is corrected so that (P B')_i stays.
//
// With one vector the lifting is a convex average, so P B' = B up to the excess (A b)_i.
#pragma once

#include <numeric>
#include <vector>

#include "pympf/la/csr.hpp"
#include "pympf/precond/levels/couplings.hpp"
#include "pympf/precond/params.hpp"

namespace pympf::precond {

// n x m, row-major: the vectors that the scaling functions reproduce.
struct NearNullspace {
  Index vectors = 1;
  std::vector<double> values;

  const double* row(Index i) const { return &values[static_cast<std::size_t>(i) * vectors]; }
  // Entry i of the sum of the vectors.
  double sum(Index i) const { return std::accumulate(row(i), row(i) + vectors, 0.0); }
};

struct Rotated {
  std::vector<double> scaling;  // the rows of Q, `vectors` numbers each; column e of cluster u is
                                // coarse row u * vectors + e
  NearNullspace coarse;         // R
};

Rotated rotate(const NearNullspace& B, const Clustering& clusters, Index block);

// Scaling functions as they are, on the first `rows` rows (0: on all that have labels).
Csr<double> prolongation(const Rotated& Q, const Clustering& clusters, Index block, Index rows = 0);

// Scaling functions lifted and truncated. On several ranks B, Q and the labels go on with those of
// ghosts, and the result has columns for their clusters; `radius` is the largest eigenvalue of D^-1
// A, which several vectors need (0: it is found here).
Csr<double> lifted_prolongation(const CsrView<double>& A, const NearNullspace& B, const Rotated& Q,
                                const Clustering& clusters, Index block, const Params& params,
                                double radius = 0);

}  // namespace pympf::precond
