// The rows of a Mat as the engine takes them.
#pragma once

#include <functional>

#include "pc_mmf.hpp"

namespace pympf {

// Square, assembled and not matrix-free, or a PETSc error. Collective.
PetscErrorCode check_operator(Mat A);

// Calls body(rows) with the own rows of pc's preconditioning matrix, sorted and without duplicates,
// once they are known to be finite: with zeros where the pattern had gaps, or without the columns
// of Dirichlet rows, which data(pc).determined then has, where that is symmetric. What is not
// symmetric in any way is marked so (`general`), unless the method is classic, which refuses it.
// Collective.
PetscErrorCode with_rows(PC pc, const std::function<PetscErrorCode(const Matrix&)>& body);

}  // namespace pympf
