#include "solver.hpp"

#include <vector>

namespace pympf {
namespace {

PetscErrorCode is_any_of(KSP ksp, const std::vector<const char*>& types, bool* answer) {
  *answer = false;
  PetscFunctionBegin;
  for (const char* type : types) {
    PetscBool same;
    PetscCall(PetscObjectTypeCompare((PetscObject)ksp, type, &same));
    *answer = *answer || same;
  }
  PetscFunctionReturn(PetscErrorCode(0));
}

// Solvers that allow the preconditioner to change between iterations.
const std::vector<const char*> flexible{KSPFGMRES,  KSPPIPEFGMRES, KSPGCR,   KSPPIPEGCR,
                                        KSPFCG,     KSPPIPEFCG,    KSPFBCGS, KSPFBCGSR,
                                        KSPPREONLY, KSPRICHARDSON};
const std::vector<const char*> need_positive{
    KSPCG,      KSPGROPPCG, KSPPIPECG, KSPPIPECGRR, KSPPIPELCG, KSPPIPEPRCG, KSPPIPECG2, KSPFCG,
    KSPPIPEFCG, KSPNASH,    KSPSTCG,   KSPGLTR,     KSPMINRES,  KSPSYMMLQ,   KSPCR,      KSPPIPECR};
// Those that gain from an M with the signs of the matrix.
const std::vector<const char*> take_signs{KSPGMRES,  KSPLGMRES,     KSPDGMRES, KSPPGMRES,
                                          KSPFGMRES, KSPPIPEFGMRES, KSPGCR,    KSPPIPEGCR};
constexpr double least_tolerance_in_single = 1e-6;

}  // namespace

PetscErrorCode needs_symmetric(KSP ksp, bool* answer) {
  PetscFunctionBegin;
  PetscCall(is_any_of(ksp, need_positive, answer));
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode takes_signs(KSP ksp, bool* answer) {
  PetscFunctionBegin;
  PetscCall(is_any_of(ksp, take_signs, answer));
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode check_solver(PC pc, KSP ksp, const Preconditioner& M) {
  const MPI_Comm comm = PetscObjectComm((PetscObject)pc);
  const char* solver = ((PetscObject)ksp)->type_name;
  bool is_flexible, is_cg, needs_positive;
  PetscReal tolerance;

  PetscFunctionBegin;
  PetscCall(is_any_of(ksp, flexible, &is_flexible));
  PetscCall(is_any_of(ksp, {KSPCG}, &is_cg));  // its residual does not come from M
  PetscCall(is_any_of(ksp, need_positive, &needs_positive));
  PetscCall(KSPGetTolerances(ksp, &tolerance, nullptr, nullptr, nullptr));
  PetscCheck(
      !needs_positive || M.report().symmetric, comm, PETSC_ERR_SUP,
      "PC mmf: the matrix is not symmetric, nor is its preconditioner, and -ksp_type %s needs "
      "both: use -ksp_type gmres or bcgs",
      solver);
  const bool multilevel = M.report().method == "multilevel";
  PetscCheck(is_flexible || !multilevel || M.params().cycle != precond::CycleKind::k, comm,
             PETSC_ERR_SUP,
             "PC mmf: cycle = k varies from one application to the next, and -ksp_type %s needs a "
             "fixed preconditioner: use -ksp_type fgmres, fcg or gcr, or -pc_mmf_cycle w",
             solver);
  PetscCheck(is_flexible || is_cg || !M.report().single || tolerance >= least_tolerance_in_single,
             comm, PETSC_ERR_SUP,
             "PC mmf: precision = single is linear to seven digits, too few for -ksp_type %s to "
             "reach -ksp_rtol %g: use -ksp_type cg or fgmres, or -pc_mmf_precision working",
             solver, static_cast<double>(tolerance));
  const bool is_definite = multilevel ? M.report().coarse_negative == 0 : M.report().definite;
  PetscCheck(!needs_positive || is_definite, comm, PETSC_ERR_SUP,
             "PC mmf: the matrix is indefinite, its preconditioner then need not be positive "
             "definite, and -ksp_type %s needs that: use -pc_mmf_method classic, or -ksp_type "
             "fgmres, or, on one rank, -pc_mmf_definite false with -ksp_type gmres: M then has the "
             "signs of the matrix, and a sparse LU takes one iteration",
             solver);
  PetscFunctionReturn(PetscErrorCode(0));
}

}  // namespace pympf
