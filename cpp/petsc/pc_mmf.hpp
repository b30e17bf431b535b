// What a PC of type `mmf` holds, and the one place that sees the private face of PETSc's PC.
#pragma once

#include <petsc/private/pcimpl.h>

#include <memory>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "pympf/la/determined.hpp"
#include "pympf/precond/preconditioner.hpp"

#if defined(PETSC_USE_COMPLEX)
#error "pympf factors real matrices: build it with a PETSc that has --with-scalar-type=real"
#endif
#if PETSC_VERSION_LT(3, 18, 0)
#error "the pympf preconditioner needs PETSc 3.18 or newer"
#endif
static_assert(std::is_same_v<PetscScalar, double> || std::is_same_v<PetscScalar, float>,
              "pympf computes in double or single precision");

namespace pympf {

using Matrix = DistRows<PetscScalar>;
using Preconditioner = precond::Preconditioner<PetscScalar>;

// Not set up, or a matrix without rows: a block of bjacobi may be one.
struct Nothing {
  bool is_built = false;
};

using Built = std::variant<Nothing, Preconditioner>;

struct PcMmf {
  // A cycle in single precision is linear to seven digits, which GMRES and MINRES do not forgive:
  // they would report a residual that they have not reached.
  precond::Params params{.precision = precond::Precision::working};
  bool reuse_rotations = true;
  bool chose_definite = false;  // the option was given
  Communicator comm;            // of the matrix that was built for
  Built built;
  std::shared_ptr<const Determined<PetscScalar>> determined;  // unknowns; null: none
  std::string remark;       // on a matrix that is not symmetric, for the view
  bool made_guess = false;  // for this solve, from what is determined
  // In this solve, of residuals: what is below has been solved for. Empty: of nothing.
  std::vector<double> settled;
  int reused = 0;                   // setups that took over the rotations of an earlier one
  std::vector<double> coordinates;  // `dimension` of each own node, by PCSetCoordinates
  Index dimension = 0;
  bool coordinates_are_new = false;
  PetscObjectState pattern = 0;  // of the matrix that it was built of
  bool is_applied_once = false;  // by the solver around, in each of its solves
  // Of the null spaces that the modes and those of the transpose came from; 0: none.
  PetscObjectId modes_id = 0, left_modes_id = 0;
  std::string modes;  // what they are, for the view
};

// What the preconditioner is made of: PETSc's own switch -pc_use_amat takes the matrix of the
// system, where that of the preconditioner is not symmetric by design.
inline Mat source_of(PC pc) { return pc->useAmat ? pc->mat : pc->pmat; }

// Whether |F|^-1 is asked for.
inline bool is_classic(const PcMmf& mmf) { return mmf.params.method == precond::Method::classic; }

inline PcMmf& data(PC pc) { return *static_cast<PcMmf*>(pc->data); }

}  // namespace pympf
