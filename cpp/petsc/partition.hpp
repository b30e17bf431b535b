// Where the rows of a matrix would better be: PETSc's MatPartitioning.
#pragma once

#include <vector>

#include "pc_mmf.hpp"

namespace pympf {

// The rank that each own row should be on, so that few entries couple ranks; the `block` rows of a
// node stay together. The options are -mat_partitioning_..., with the prefix of pc. Collective.
PetscErrorCode find_parts(PC pc, const Matrix& A, Index block, std::vector<int>* parts);

}  // namespace pympf
