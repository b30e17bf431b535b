// Where the rows of a matrix would better be: PETSc's MatPartitioning.
#pragma once

#include <vector>

#include "pc_mmf.hpp"

namespace pympf {

// The rank that each own row should be on, so that few entries couple ranks; the `block` rows of a
// node stay together. The options are -mat_partitioning_..., with the prefix of pc. Without a
// partitioner it is an error if `is_asked`, else `parts` stays empty. Collective.
PetscErrorCode find_parts(PC pc, const Matrix& A, Index block, bool is_asked,
                          std::vector<int>* parts);

}  // namespace pympf
