// PETSc preconditioner type `mmf`: the preconditioner of precond/preconditioner.hpp, of the
// preconditioning matrix, on one rank or many.
//
//   program -dll_append <folder>/libpympf_petsc.so -pc_type mmf -pc_mmf_<field> <value>
//
// The fields are those of precond/params.hpp, and reuse_rotations.
#include "pc_mmf.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <new>
#include <utility>

#include "errors.hpp"
#include "matrix.hpp"
#include "modes.hpp"
#include "options.hpp"
#include "partition.hpp"
#include "pympf/precond/choice/placement.hpp"
#include "solver.hpp"
#include "view.hpp"

namespace pympf {
namespace {

// ---- what -log_view shows -----------------------------------------------------------------------

constexpr std::size_t logged_levels = 10;  // the last one stands for those behind it, too

struct Events {
  PetscLogEvent setup = -1;
  std::array<PetscLogEvent, logged_levels> level{};
};
Events events;

PetscLogEvent event_of(std::size_t level) {
  return events.level[std::min(level, logged_levels - 1)];
}

PetscErrorCode register_events() {
  PetscFunctionBegin;
  PetscCall(PetscLogEventRegister("MMFSetUp", PC_CLASSID, &events.setup));
  for (std::size_t l = 0; l < logged_levels; ++l)
    PetscCall(
        PetscLogEventRegister(concat("MMFLevel ", l + 1).c_str(), PC_CLASSID, &events.level[l]));
  precond::level_watch.enter = [](std::size_t l) {
    static_cast<void>(PetscLogEventBegin(event_of(l), 0, 0, 0, 0));
  };
  precond::level_watch.leave = [](std::size_t l) {
    static_cast<void>(PetscLogEventEnd(event_of(l), 0, 0, 0, 0));
  };
  PetscFunctionReturn(PetscErrorCode(0));
}

// ---- setup --------------------------------------------------------------------------------------

// On all ranks.
bool are_finite(const Communicator& comm, const std::vector<PetscScalar>& values) {
  const auto is_finite = [](PetscScalar v) { return std::isfinite(v); };
  return comm.min(Global{std::all_of(values.begin(), values.end(), is_finite)}) > 0;
}

// Incomplete factors of an indefinite matrix may grow without bound.
void require_finite(const Communicator& comm, const Preconditioner& M) {
  if (!M.report().indefinite || M.factorization()) return;
  std::vector<PetscScalar> ones(M.rows(), 1), z(M.rows());
  M.apply(ones.data(), z.data());
  require<Singular>(are_finite(comm, z),
                    "the preconditioner of this indefinite matrix is not finite; use "
                    "-pc_mmf_method classic");
}

void require_finite(const Communicator&, const Nothing&) {}

void update(Preconditioner& M, const Matrix& A) { M.update(A); }
void update(Nothing&, const Matrix&) {}

// Whether what was built for the matrix before this one can take its values. `changes`: the rest
// without determined unknowns may have another pattern although the matrix has the same.
bool can_update(const PcMmf& mmf, const Built& built, const Modes& modes, const Matrix& A,
                bool changes) {
  if (!mmf.reuse_rotations) return false;
  const auto* M = std::get_if<Preconditioner>(&built);
  if (!M || M->report().symmetric == A.general) return false;
  return !modes.are_new && (!changes || M->has_pattern(A));
}

PetscErrorCode make(PC pc, const Matrix& A, const Modes& modes, Built* built) {
  const precond::Params& params = data(pc).params;
  std::vector<int> parts;

  PetscFunctionBegin;
  const Index block = precond::block_to_move(A, params, modes.block);
  if (block > 0) PetscCall(find_parts(pc, A, block, params.repartition, &parts));
  if (block > 0 && !precond::is_worth_moving(A, params, parts)) parts.clear();
  if (A.general) data(pc).modes += modes.left_text;
  built->emplace<Preconditioner>(A, params, modes.vectors, modes.block, parts,
                                 A.general ? modes.left : precond::NearNullspace());
  PetscFunctionReturn(PetscErrorCode(0));
}

// `built` is what was built for the matrix before this one.
PetscErrorCode build(PC pc, const Matrix& A, const Modes& modes, bool same_pattern,
                     bool had_determined, Built built) {
  PcMmf& mmf = data(pc);
  const bool changes = had_determined || mmf.determined;
  const bool reuse = same_pattern && can_update(mmf, built, modes, A, changes);

  PetscFunctionBegin;
  if (reuse)
    std::visit([&](auto& M) { update(M, A); }, built);
  else if (A.layout.total() == 0)
    built = Nothing{true};
  else
    PetscCall(make(pc, A, modes, &built));
  std::visit([&](const auto& M) { require_finite(mmf.comm, M); }, built);
  mmf.reused = reuse ? mmf.reused + 1 : 0;
  mmf.built = std::move(built);
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode find_communicator(PC pc) {
  PetscLayout rows;

  PetscFunctionBegin;
  PetscCall(MatGetLayouts(source_of(pc), &rows, nullptr));
  PetscCall(guarded(pc, [&] {
    const bool alone = rows->size == 1;
    data(pc).comm = alone ? Communicator() : Communicator(PetscObjectComm((PetscObject)pc));
    return PetscErrorCode(0);
  }));
  PetscFunctionReturn(PetscErrorCode(0));
}

// PETSc looks at the pattern of the matrix of the preconditioner only.
PetscErrorCode has_same_pattern(PC pc, bool* same) {
  PetscObjectState state;

  PetscFunctionBegin;
  PetscCall(MatGetNonzeroState(source_of(pc), &state));
  const PetscObjectState before = std::exchange(data(pc).pattern, state);
  *same = pc->flag == SAME_NONZERO_PATTERN && (!pc->useAmat || state == before);
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode PCSetUp_MMF(PC pc) {
  Modes modes;
  bool same_pattern;

  PetscFunctionBegin;
  // A setup that fails must not leave what was built for the matrix before it.
  Built before = std::exchange(data(pc).built, Nothing());
  const bool had_determined = std::exchange(data(pc).determined, nullptr) != nullptr;
  PetscCall(check_operator(source_of(pc)));
  PetscCall(has_same_pattern(pc, &same_pattern));
  PetscCall(PCSetFailedReason(pc, PC_NOERROR));
  PetscCall(find_communicator(pc));
  if (is_classic(data(pc)))
    modes.are_new = false;  // it takes none
  else
    PetscCall(find_modes(pc, &modes));
  PetscCall(PetscLogEventBegin(events.setup, pc, 0, 0, 0));
  const PetscErrorCode failure = with_rows(pc, [&](const Matrix& A) {
    return build(pc, A, modes, same_pattern, had_determined, std::move(before));
  });
  PetscCall(PetscLogEventEnd(events.setup, pc, 0, 0, 0));
  PetscCall(failure);
  pc->setupcalled = PETSC_TRUE;  // PETSc does so after this; -pc_view would say "not set up"
  PetscCall(PCViewFromOptions(pc, nullptr, "-pc_view"));
  PetscFunctionReturn(PetscErrorCode(0));
}

// ---- apply --------------------------------------------------------------------------------------

constexpr PetscScalar not_finite = std::numeric_limits<PetscScalar>::infinity();

// Whether a setup found no preconditioner, of which KSP is told as by PETSc's own factors: the
// reason is with the PC, and what is applied is not finite. A setup that ended with an error leaves
// nothing.
PetscErrorCode has_failed(PC pc, bool* failed) {
  PCFailedReason reason;

  PetscFunctionBegin;
  const auto* nothing = std::get_if<Nothing>(&data(pc).built);
  *failed = nothing && !nothing->is_built;
  if (!*failed) PetscFunctionReturn(PetscErrorCode(0));
  PetscCall(PCGetFailedReason(pc, &reason));
  PetscCheck(reason != PC_NOERROR, PetscObjectComm((PetscObject)pc), PETSC_ERR_ORDER,
             "PC mmf has nothing to apply: its last setup failed");
  PetscFunctionReturn(PetscErrorCode(0));
}

double flops(const Preconditioner& M) { return 2 * M.report().work; }
double flops(Nothing) { return 0; }

void apply(const Preconditioner& M, const PetscScalar* x, PetscScalar* y) { M.apply(x, y); }
void apply(Nothing, const PetscScalar*, PetscScalar*) {}

void apply_transpose(const Preconditioner& M, const PetscScalar* x, PetscScalar* y) {
  M.apply_transpose({M.rows(), {x}}, {M.rows(), {y}});
}
void apply_transpose(Nothing, const PetscScalar*, PetscScalar*) {}

bool is_within(const PetscScalar* v, PetscInt n, double most) {
  return std::all_of(v, v + n, [=](PetscScalar value) { return std::abs(value) <= most; });
}

// y = use(M, x). An M that takes ordinary numbers out of the range, as many sweeps on an indefinite
// matrix may, is a failure that KSP sees, also where it computes no norm; until the next setup.
template <class Use>
PetscErrorCode apply_by(PC pc, Vec x, Vec y, const Use& use) {
  const PetscScalar* in;
  PetscScalar* out;
  PetscInt n;
  bool failed;

  PetscFunctionBegin;
  PetscCall(has_failed(pc, &failed));
  if (failed) {
    PetscCall(VecSet(y, not_finite));
    PetscFunctionReturn(PetscErrorCode(0));
  }
  PetscCall(VecGetArrayRead(x, &in));
  PetscCall(VecGetArrayWrite(y, &out));
  PetscCall(guarded(pc, [&] {
    std::visit([&](const auto& M) { use(M, in, out); }, data(pc).built);
    const std::vector<double>& settled = data(pc).settled;
    for (std::size_t i = 0; i < settled.size(); ++i)
      if (std::abs(in[i]) < settled[i]) out[i] = 0;
    return PetscErrorCode(0);
  }));
  PetscCall(VecGetLocalSize(y, &n));
  constexpr double most = std::numeric_limits<PetscScalar>::max(), ordinary = 1e100;
  if (!is_within(out, n, most) && is_within(in, n, ordinary))
    PetscCall(PCSetFailedReason(pc, PC_FACTOR_OTHER));
  PetscCall(VecRestoreArrayWrite(y, &out));
  PetscCall(VecRestoreArrayRead(x, &in));
  PetscCall(PetscLogFlops(std::visit([](const auto& M) { return flops(M); }, data(pc).built)));
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode PCApply_MMF(PC pc, Vec x, Vec y) {
  return apply_by(pc, x, y, [](const auto& M, auto in, auto out) { apply(M, in, out); });
}

PetscErrorCode PCApplyTranspose_MMF(PC pc, Vec x, Vec y) {
  return apply_by(pc, x, y, [](const auto& M, auto in, auto out) { apply_transpose(M, in, out); });
}

// A block as PETSc stores it: by columns, `stride` apart.
template <class T>
Block<T> by_columns(T* values, std::size_t stride, Index rows, Index count) {
  Block<T> out(rows, {});
  for (Index q = 0; q < count; ++q) out.add(values + q * stride);
  return out;
}

void apply_block(const Preconditioner& M, const Block<const PetscScalar>& X,
                 const Block<PetscScalar>& Y) {
  M.apply(X, Y);
}

void apply_block(Nothing, const Block<const PetscScalar>&, const Block<PetscScalar>&) {}

PetscErrorCode PCMatApply_MMF(PC pc, Mat X, Mat Y) {
  const PetscScalar* in;
  PetscScalar* out;
  PetscInt rows, columns, ldx, ldy;
  bool failed;

  PetscFunctionBegin;
  PetscCall(has_failed(pc, &failed));
  PetscCall(MatGetLocalSize(X, &rows, nullptr));
  PetscCall(MatGetSize(X, nullptr, &columns));
  PetscCall(MatDenseGetLDA(X, &ldx));
  PetscCall(MatDenseGetLDA(Y, &ldy));
  PetscCall(MatDenseGetArrayRead(X, &in));
  PetscCall(MatDenseGetArrayWrite(Y, &out));
  PetscCall(guarded(pc, [&] {
    const Index n = to_index(rows, "rows of the block");
    const Index m = to_index(columns, "columns of the block");
    const Block<const PetscScalar> from = by_columns(in, static_cast<std::size_t>(ldx), n, m);
    const Block<PetscScalar> to = by_columns(out, static_cast<std::size_t>(ldy), n, m);
    if (failed)
      for (Index q = 0; q < m; ++q) std::fill_n(to.at(q), n, not_finite);
    else
      std::visit([&](auto& M) { apply_block(M, from, to); }, data(pc).built);
    return PetscErrorCode(0);
  }));
  PetscCall(MatDenseRestoreArrayWrite(Y, &out));
  PetscCall(MatDenseRestoreArrayRead(X, &in));
  PetscCall(
      PetscLogFlops(columns * std::visit([](const auto& M) { return flops(M); }, data(pc).built)));
  PetscFunctionReturn(PetscErrorCode(0));
}

// A solver that applies the preconditioner once and leaves the rest to the one around it.
PetscErrorCode applies_once(KSP ksp, bool* once) {
  PetscBool is_preonly, is_richardson;
  PetscInt most;

  PetscFunctionBegin;
  PetscCall(PetscObjectTypeCompare((PetscObject)ksp, KSPPREONLY, &is_preonly));
  PetscCall(PetscObjectTypeCompare((PetscObject)ksp, KSPRICHARDSON, &is_richardson));
  PetscCall(KSPGetTolerances(ksp, nullptr, nullptr, nullptr, &most));
  *once = is_preonly || (is_richardson && most == 1);
  PetscFunctionReturn(PetscErrorCode(0));
}

// M knows nothing of the columns of Dirichlet rows, so that CG and its kin need a guess whose
// residual is zero there: x_D = b_D / a_DD. The other entries of the guess stay. The rounding left
// of that residual is settled: where a_DD has not the sign of the rest, A is indefinite there, and
// CG would blow it up from step to step.
PetscErrorCode make_consistent(PC pc, KSP ksp, Vec b, Vec x) {
  PcMmf& mmf = data(pc);
  PetscBool nonzero;
  const PetscScalar* rhs;
  PetscScalar* guess;

  PetscFunctionBegin;
  PetscCall(KSPGetInitialGuessNonzero(ksp, &nonzero));
  if (!nonzero) PetscCall(VecSet(x, 0));
  PetscCall(VecGetArrayRead(b, &rhs));
  PetscCall(VecGetArray(x, &guess));
  PetscCall(guarded(pc, [&] {
    mmf.determined->solve(rhs, guess);
    mmf.settled = mmf.determined->rounding(rhs, guess);
    return PetscErrorCode(0);
  }));
  PetscCall(VecRestoreArray(x, &guess));
  PetscCall(VecRestoreArrayRead(b, &rhs));
  mmf.made_guess = !nonzero;
  PetscCall(KSPSetInitialGuessNonzero(ksp, PETSC_TRUE));
  PetscFunctionReturn(PetscErrorCode(0));
}

// Of an indefinite matrix on one rank M has its signs where the solver gains from that, as in
// `pympf.solve`. A setup does not know its solver, and takes M for definite: it is done again.
PetscErrorCode take_signs_for(PC pc, KSP ksp) {
  PcMmf& mmf = data(pc);
  const auto* M = std::get_if<Preconditioner>(&mmf.built);
  bool signs;

  PetscFunctionBegin;
  const bool is_automatic = mmf.params.method == precond::Method::automatic;
  if (!M || mmf.chose_definite || !is_automatic || mmf.comm.size() > 1)
    PetscFunctionReturn(PetscErrorCode(0));
  if (!M->report().symmetric || !M->report().indefinite) PetscFunctionReturn(PetscErrorCode(0));
  PetscCall(takes_signs(ksp, &signs));
  if (mmf.params.definite != signs) PetscFunctionReturn(PetscErrorCode(0));
  mmf.params.definite = !signs;
  mmf.built = Nothing();
  pc->setupcalled = PETSC_FALSE;
  PetscCall(PCSetUp(pc));
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode PCPreSolve_MMF(PC pc, KSP ksp, Vec b, Vec x) {
  bool symmetric_only;

  PetscFunctionBegin;
  PetscCall(applies_once(ksp, &data(pc).is_applied_once));
  // A matrix that changed without KSPSetOperators() is set up by PCApply() only: too late for this.
  PetscCall(PCSetUp(pc));
  PetscCall(take_signs_for(pc, ksp));
  if (const auto* M = std::get_if<Preconditioner>(&data(pc).built))
    PetscCall(check_solver(pc, ksp, *M));
  PetscCall(needs_symmetric(ksp, &symmetric_only));
  data(pc).settled.clear();
  if (data(pc).determined && symmetric_only && pc->mat == source_of(pc))
    PetscCall(make_consistent(pc, ksp, b, x));
  // PETSc calls the user's function only for types without one of their own.
  if (pc->presolve) PetscCall(pc->presolve(pc, ksp));
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode PCPostSolve_MMF(PC pc, KSP ksp, Vec, Vec) {
  PetscFunctionBegin;
  data(pc).settled.clear();
  if (std::exchange(data(pc).made_guess, false))
    PetscCall(KSPSetInitialGuessNonzero(ksp, PETSC_FALSE));
  PetscFunctionReturn(PetscErrorCode(0));
}

// ---- life ---------------------------------------------------------------------------------------

PetscErrorCode PCReset_MMF(PC pc) {
  PetscFunctionBegin;
  data(pc).built = Nothing();
  data(pc).determined = nullptr;
  data(pc).comm = Communicator();
  data(pc).coordinates.clear();  // the next matrix may have other points
  data(pc).dimension = 0;
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode PCDestroy_MMF(PC pc) {
  PetscFunctionBegin;
  PetscCall(PetscObjectComposeFunction((PetscObject)pc, "PCSetCoordinates_C", nullptr));
  delete static_cast<PcMmf*>(pc->data);
  pc->data = nullptr;
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode PCCreate_MMF(PC pc) {
  PetscFunctionBegin;
  pc->data = new (std::nothrow) PcMmf;
  PetscCheck(pc->data, PETSC_COMM_SELF, PETSC_ERR_MEM, "PC mmf: out of memory");
  pc->ops->setup = PCSetUp_MMF;
  pc->ops->apply = PCApply_MMF;
  pc->ops->applytranspose = PCApplyTranspose_MMF;
  pc->ops->matapply = PCMatApply_MMF;
  pc->ops->presolve = PCPreSolve_MMF;
  pc->ops->postsolve = PCPostSolve_MMF;
  pc->ops->setfromoptions = PCSetFromOptions_MMF;
  pc->ops->view = PCView_MMF;
  pc->ops->reset = PCReset_MMF;
  pc->ops->destroy = PCDestroy_MMF;
  PetscCall(PetscObjectComposeFunction((PetscObject)pc, "PCSetCoordinates_C", set_coordinates));
  PetscFunctionReturn(PetscErrorCode(0));
}

}  // namespace
}  // namespace pympf

// PETSc calls this when it loads the library; pympf.petsc.register() does so for petsc4py.
PETSC_EXTERN PetscErrorCode PetscDLLibraryRegister_pympf_petsc(void) {
  PetscInt major, minor;

  PetscFunctionBegin;
  PetscCall(PetscGetVersionNumber(&major, &minor, nullptr, nullptr));
  // The layout of a PC changes between minor versions.
  PetscCheck(major == PETSC_VERSION_MAJOR && minor == PETSC_VERSION_MINOR, PETSC_COMM_SELF,
             PETSC_ERR_SUP,
             "libpympf_petsc.so was built for PETSc %d.%d, this program runs PETSc %" PetscInt_FMT
             ".%" PetscInt_FMT ": build pympf with the PETSC_DIR of this program",
             PETSC_VERSION_MAJOR, PETSC_VERSION_MINOR, major, minor);
  PetscCall(pympf::register_events());
  PetscCall(PCRegister("mmf", pympf::PCCreate_MMF));
  PetscFunctionReturn(PetscErrorCode(0));
}
