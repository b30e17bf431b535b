// Levels for a matrix that need not be symmetric. Clusters and T-chain are those of the symmetric
// part, the functions of the two sides are lifted apart, with A and with A^T.
//
//   T = (A + A^T) / 2        weights of the clusters: couplings.hpp
//   P = lift(A) Q            right functions, reproduce the near-nullspace of A
//   L = lift(A^T) Q          left functions, reproduce that of A^T;  R = L^T
//   A' = R A P               Petrov-Galerkin product
//   b <- b - S A b           two steps from constants, and with A^T and S^T on the left, where rows
//                            have negative sums: the stationary distribution of a walk
//   S = (L_i U_i)^-1         ILUT (ilut.hpp), one step before and one after
//
//   paper / issue   code            cycle  x = S b;  x += P M' R (b - A x);  x += S (b - A x)
//   P, R            P, R, L_off     A' u = r is solved by a sparse LU on the first level on which
//   omega, delta    lift_weight,    that costs at most `most_lu_work` multiply-adds per entry of A
//                   1.5 truncation
//
// Where a level breaks: three liftings of a recirculating flow at high cell Peclet numbers leave a
// matrix that is no longer like an M-matrix (512^2, |v| = 10^4: a quarter of what is off the
// diagonal has the wrong sign, eigenvalues have negative real parts). Its incomplete factors then
// grow without bound, with no small pivot to show it: |(L U)^-1 1| is 10^10 and more in the unit of
// the diagonal, where it is below 10^3 on all levels that smooth. A level that shows this is not
// smoothed: it is made again by functions that are lifted less where A is one-sided, or else, where
// that costs at most `most_lu_work_in_need`, a sparse LU takes its place.
//
// Cost per application: 2 nnz(A) + 2 nnz(S) + nnz(P) + nnz(R) on each level, and the entries of LU.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pympf/precond/levels/coarse_lu.hpp"
#include "pympf/precond/params.hpp"
#include "pympf/precond/report.hpp"

namespace pympf::precond {

// What differs from one attempt to the next.
struct PetrovRules {
  IlutRule smoother;
  bool factor_alone = false;
  bool direct = false;  // an LU of the first matrix, within most_lu_work, or its factor alone
  double raised_diagonal = 0;  // by how much, before an LU, in the unit of the largest entry
  std::string factor_backend = "auto";
  double most_lu_work = 40, most_lu_work_in_need = 160;  // for each entry of the first matrix
};

template <class S>
struct PetrovLevel {
  Csr<S> A;
  Csr<S> P, R;  // own blocks; R is that of L, transposed
  OffDiagonal<S> A_off, P_off, L_off;
  Ilut<S> factor;
  // For new values: functions in double precision, over own clusters and those of `clusters`.
  Csr<double> exact_P, exact_L;
  Border clusters;
  Index width = 1;
  bool is_last = true;  // the same on every rank: one may have no rows

  Index rows() const { return A.rows; }
};

template <class S>
struct PetrovLevels {
  Communicator comm;
  Index rows = 0;
  std::vector<Index> order;  // new -> old
  Index block = 1;
  double scale = 1;
  std::vector<PetrovLevel<S>> levels;
  std::optional<CoarseLu> lu;  // of the matrix behind the last level
  Border coarse_border;
  std::shared_ptr<const Exchange> coarse_halo;
  Index coarse_own = 0, coarse_first = 0;
  double lu_work = 0;
  bool is_singular = false;  // a pivot of the LU vanished
  bool is_unstable = false;  // the factor of a level that could not be replaced
  std::string remedy;        // what was done about an unstable factor
};

// The pattern of A is symmetric. Vectors are in the order of the rows of A, empty for constants.
// Collective.
template <class S>
PetrovLevels<S> build_petrov(const DistRows<double>& A, const NearNullspace& right,
                             const NearNullspace& left, Index block, const Params& params,
                             const PetrovRules& rules, Report& report);

// New values on the same pattern: keeps clusters and functions. Collective.
template <class S>
void refresh_petrov(const DistRows<double>& A, const PetrovRules& rules, PetrovLevels<S>& levels,
                    Report& report);

template <class S>
struct PetrovSpace {
  struct PerLevel {
    std::vector<S> x, b, work;
  };
  std::vector<PerLevel> levels;
  std::vector<double> all, work;  // for the LU
  std::vector<S> ghosts;
  ExchangeSpace<S> exchange;

  explicit PetrovSpace(const PetrovLevels<S>& levels);
};

// z = M r, or M^T r. Collective.
template <class S, class V>
void apply(const PetrovLevels<S>& levels, bool transposed, const V* r, V* z, PetrovSpace<S>& space);

// Multiply-adds of one application on this rank.
template <class S>
double multiply_adds(const PetrovLevels<S>& levels);

}  // namespace pympf::precond
