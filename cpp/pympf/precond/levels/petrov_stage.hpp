// A matrix that need not be symmetric on its way to the next level: with its transpose, and what
// the two say of each other.
#pragma once

#include "pympf/precond/levels/border.hpp"
#include "pympf/precond/levels/couplings.hpp"
#include "pympf/precond/levels/near_nullspace.hpp"

namespace pympf::precond {

// Up to this skewness both sides have the functions that are lifted with T: as many iterations on
// all flows (0.11 costs one in space), for half of the liftings. There ILU(0) smooths, too: an
// iteration more at most, each for less, after a quarter of ILUT's setup.
inline constexpr double nearly_symmetric = 0.08;

struct PetrovStage {
  bool same_pattern = false;  // of A and A^T
  Csr<double> A, At;          // own rows of A and of A^T, in one numbering
  Csr<double> T;              // (A + A^T) / 2, where it is used for both
  Graph W;
  NearNullspace right, left;
  Border border;
  Index block = 1;
  double skewness = 0;
  bool one_side = false;  // both sides have the functions of T

  Global rows() const { return border.alone() ? A.rows : border.layout.total(); }
  Global nnz() const { return border.comm.sum(Global{A.nnz()}); }
};

// (A + A^T) / 2
Csr<double> symmetric_part(const PetrovStage& stage);

// Makes A^T, a border that knows the columns of both, and what they say. Collective.
void add_transpose(PetrovStage& stage);

// Where both sides may have the same functions, T: their vectors must be the same, too. Collective.
void take_symmetric_part(PetrovStage& stage);

}  // namespace pympf::precond
