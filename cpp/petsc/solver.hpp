// Whether the preconditioner suits the solver around it.
#pragma once

#include "pc_mmf.hpp"

namespace pympf {

// Refuses what this solver may not be given.
PetscErrorCode check_solver(PC pc, KSP ksp, const Preconditioner& M);

// Whether the solver is one of those that are for symmetric matrices only.
PetscErrorCode needs_symmetric(KSP ksp, bool* answer);

// Whether the solver gains from an M with the signs of an indefinite matrix.
PetscErrorCode takes_signs(KSP ksp, bool* answer);

}  // namespace pympf
