#include "modes.hpp"

#include <algorithm>
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

PetscErrorCode find_left_null_space(PC pc, MatNullSpace* found) {
  PetscFunctionBegin;
  PetscCall(MatGetTransposeNullSpace(pc->pmat, found));
  if (!*found) PetscCall(MatGetTransposeNullSpace(pc->mat, found));
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

// By Gram-Schmidt; columns that depend on those before become zero. Collective.
void orthonormalize(const Communicator& comm, precond::NearNullspace* modes) {
  const auto m = static_cast<std::size_t>(modes->vectors);
  std::vector<double>& B = modes->values;
  const auto dot = [&](std::size_t e, std::size_t f) {
    double sum = 0;
    for (std::size_t i = 0; i < B.size(); i += m) sum += B[i + e] * B[i + f];
    return comm.sum(sum);
  };
  for (std::size_t e = 0; e < m; ++e) {
    const double before = std::sqrt(dot(e, e));
    for (std::size_t f = 0; f < e; ++f) {
      const double part = dot(f, e);
      for (std::size_t i = 0; i < B.size(); i += m) B[i + e] -= part * B[i + f];
    }
    const double norm = std::sqrt(dot(e, e));
    const double factor = norm > 1e-10 * before ? 1 / norm : 0;
    for (std::size_t i = 0; i < B.size(); i += m) B[i + e] *= factor;
  }
}

// The displacements of points that move as a rigid body: translations, then the linearized
// rotations about the centre, as MatNullSpaceCreateRigidBody has them. Collective.
precond::NearNullspace rigid_body_modes(const PcMmf& mmf) {
  const Index d = mmf.dimension, turns = d == 2 ? 1 : 3;
  const auto nodes = static_cast<Index>(mmf.coordinates.size()) / d;
  std::vector<double> centre(d, 0.0);
  for (Index i = 0; i < nodes; ++i)
    for (Index c = 0; c < d; ++c) centre[c] += mmf.coordinates[static_cast<std::size_t>(i) * d + c];
  const Global all = mmf.comm.sum(Global{nodes});
  for (double& c : centre) c = mmf.comm.sum(c) / static_cast<double>(std::max<Global>(all, 1));
  precond::NearNullspace out{d + turns, {}};
  out.values.assign(static_cast<std::size_t>(nodes) * d * out.vectors, 0);
  for (Index i = 0; i < nodes; ++i) {
    const auto first = static_cast<std::size_t>(i) * d;
    const auto at = [&](Index c, Index e) -> double& {
      return out.values[(first + c) * out.vectors + e];
    };
    for (Index c = 0; c < d; ++c) at(c, c) = 1;
    for (Index e = 0; e < turns; ++e) {
      const Index x = d == 2 ? 0 : (e + 1) % 3, y = d == 2 ? 1 : (e + 2) % 3;
      at(x, d + e) = -(mmf.coordinates[first + y] - centre[y]);
      at(y, d + e) = mmf.coordinates[first + x] - centre[x];
    }
  }
  orthonormalize(mmf.comm, &out);
  return out;
}

// For unknowns that are displacements; of others coordinates say nothing.
bool are_displacements(const PcMmf& mmf, PetscInt block) {
  return block == mmf.dimension && (block == 2 || block == 3);
}

std::string describe(Index vectors, const std::string& origin, Index block) {
  const std::string what =
      vectors == 0 ? "constants, adapted where they are poor"
                   : concat(vectors, vectors == 1 ? " vector" : " vectors", " of ", origin);
  return concat(what, "; block size ", block);
}

// `right`: the vectors of the other side, none for constants.
PetscErrorCode find_left_modes(PC pc, PetscInt rows, Index right, Modes* modes) {
  MatNullSpace space = nullptr;
  precond::NearNullspace found{0, {}};

  PetscFunctionBegin;
  PetscCall(find_left_null_space(pc, &space));
  const PetscObjectId before = std::exchange(data(pc).left_modes_id, 0);
  if (space) {
    PetscCall(PetscObjectGetId((PetscObject)space, &data(pc).left_modes_id));
    PetscCall(guarded_collectively(pc, [&] { return read_vectors(space, rows, &found); }));
  }
  modes->are_new = modes->are_new || data(pc).left_modes_id != before;
  if (found.vectors == 0) PetscFunctionReturn(PetscErrorCode(0));
  const std::string count = concat(found.vectors, found.vectors == 1 ? " vector" : " vectors");
  const bool fits = right == 0 || found.vectors == right;
  modes->left_text = concat("; of the transpose: ", count, " of its null space",
                            fits ? "" : ", not taken, as there are not as many");
  if (fits) modes->left = std::move(found);
  PetscFunctionReturn(PetscErrorCode(0));
}

}  // namespace

PetscErrorCode find_modes(PC pc, Modes* modes) {
  PcMmf& mmf = data(pc);
  MatNullSpace space = nullptr;
  std::string origin;
  PetscInt rows, block;
  precond::NearNullspace found{0, {}};

  PetscFunctionBegin;
  PetscCall(MatGetLocalSize(source_of(pc), &rows, nullptr));
  PetscCall(MatGetBlockSize(source_of(pc), &block));
  PetscCall(find_null_space(pc, &space, &origin));
  const PetscObjectId before = std::exchange(mmf.modes_id, 0);
  if (space) {
    PetscCall(PetscObjectGetId((PetscObject)space, &mmf.modes_id));
    PetscCall(guarded_collectively(pc, [&] { return read_vectors(space, rows, &found); }));
  }
  const bool is_elastic = !space && are_displacements(mmf, block);
  if (is_elastic) {
    const auto nodes = static_cast<PetscInt>(mmf.coordinates.size()) / mmf.dimension;
    PetscCall(guarded_collectively(pc, [&] {
      require(nodes * block == rows, "PCSetCoordinates gave ", nodes, " points, the matrix has ",
              rows / block, " nodes of ", block, " rows");
      return PetscErrorCode(0);
    }));
    PetscCall(guarded(pc, [&] {
      found = rigid_body_modes(mmf);
      return PetscErrorCode(0);
    }));
    origin = "the rigid body of the coordinates";
  }
  modes->are_new = mmf.modes_id != before || std::exchange(mmf.coordinates_are_new, false);
  modes->block = static_cast<Index>(block);
  mmf.modes = describe(found.vectors, origin, modes->block);
  PetscCall(find_left_modes(pc, rows, found.vectors, modes));
  if (found.vectors > 0) modes->vectors = std::move(found);
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode set_coordinates(PC pc, PetscInt dimension, PetscInt nodes, PetscReal* coordinates) {
  PcMmf& mmf = data(pc);

  PetscFunctionBegin;
  PetscCheck(dimension >= 1 && dimension <= 3, PETSC_COMM_SELF, PETSC_ERR_ARG_OUTOFRANGE,
             "PC mmf: points have 1 to 3 coordinates, got %" PetscInt_FMT, dimension);
  const PetscInt count = nodes * dimension;
  for (PetscInt i = 0; i < count; ++i)
    PetscCheck(std::isfinite(coordinates[i]), PETSC_COMM_SELF, PETSC_ERR_FP,
               "PC mmf: coordinate %" PetscInt_FMT " of point %" PetscInt_FMT " is not finite",
               i % dimension, i / dimension);
  PetscCall(guarded(pc, [&] {
    mmf.coordinates.assign(coordinates, coordinates + count);
    return PetscErrorCode(0);
  }));
  mmf.dimension = static_cast<Index>(dimension);
  mmf.coordinates_are_new = true;
  PetscFunctionReturn(PetscErrorCode(0));
}

}  // namespace pympf
