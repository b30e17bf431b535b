#include "modes.hpp"

#include <cmath>
#include <utility>

#include "errors.hpp"

namespace pympf {
namespace {

// What the user attached to the preconditioning matrix, else to the operator: the near-null space,
// else the null space.
PetscErrorCode find_null_space(PC pc, MatNullSpace* found, std::string* origin) {
  PetscFunctionBegin;
  for (Mat A : {pc->pmat, pc->mat}) {
    const char* owner = A == pc->pmat ? "the matrix" : "the operator";
    PetscCall(MatGetNearNullSpace(A, found));
    *origin = concat("the near-null space of ", owner);
    if (*found) break;
    PetscCall(MatGetNullSpace(A, found));
    *origin = concat("the null space of ", owner);
    if (*found) break;
  }
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode read_vector(Vec v, PetscInt rows, PetscInt column, precond::NearNullspace* modes) {
  const PetscScalar* values;
  PetscInt n;

  PetscFunctionBegin;
  PetscCall(VecGetLocalSize(v, &n));
  require(n == rows, "vector ", column, " of the null space has ", n, " rows, the matrix ", rows);
  PetscCall(VecGetArrayRead(v, &values));
  for (PetscInt i = 0; i < n; ++i)
    modes->values[static_cast<std::size_t>(i) * modes->vectors + column] = values[i];
  PetscCall(VecRestoreArrayRead(v, &values));
  PetscFunctionReturn(PetscErrorCode(0));
}

// The constants come first; a null space that is a function has no vectors.
PetscErrorCode read_vectors(MatNullSpace space, PetscInt rows, precond::NearNullspace* modes) {
  PetscBool constants;
  PetscInt count;
  const Vec* vectors;

  PetscFunctionBegin;
  PetscCall(MatNullSpaceGetVecs(space, &constants, &count, &vectors));
  const PetscInt first = constants ? 1 : 0;
  modes->vectors = to_index(first + count, "vectors of the null space");
  modes->values.assign(static_cast<std::size_t>(rows) * modes->vectors, 1);
  for (PetscInt e = 0; e < count; ++e) PetscCall(read_vector(vectors[e], rows, first + e, modes));
  for (double v : modes->values) require(std::isfinite(v), "the null space has the entry ", v);
  PetscFunctionReturn(PetscErrorCode(0));
}

std::string describe(Index vectors, const std::string& origin, Index block) {
  const std::string what =
      vectors == 0 ? "constants, adapted where they are poor"
                   : concat(vectors, vectors == 1 ? " vector" : " vectors", " of ", origin);
  return concat(what, "; block size ", block);
}

}  // namespace

PetscErrorCode find_modes(PC pc, Modes* modes) {
  PcMmf& mmf = data(pc);
  MatNullSpace space = nullptr;
  std::string origin;
  PetscInt rows, block;
  precond::NearNullspace found{0, {}};

  PetscFunctionBegin;
  PetscCall(MatGetLocalSize(pc->pmat, &rows, nullptr));
  PetscCall(MatGetBlockSize(pc->pmat, &block));
  PetscCall(find_null_space(pc, &space, &origin));
  const PetscObjectId before = std::exchange(mmf.modes_id, 0);
  if (space) {
    PetscCall(PetscObjectGetId((PetscObject)space, &mmf.modes_id));
    PetscCall(guarded_collectively(pc, [&] { return read_vectors(space, rows, &found); }));
  }
  modes->are_new = mmf.modes_id != before;
  modes->block = static_cast<Index>(block);
  mmf.modes = describe(found.vectors, origin, modes->block);
  if (found.vectors > 0) modes->vectors = std::move(found);
  PetscFunctionReturn(PetscErrorCode(0));
}

}  // namespace pympf
