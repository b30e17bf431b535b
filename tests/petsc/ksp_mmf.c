static char help[] =
    "Solves A x = b on an m x m grid, A the five-point Laplacian plus a multiple of I, and prints\n"
    "for each solve why it ended, after how many iterations, and the true relative residual.\n"
    "An ordinary PETSc program: which preconditioner is used is said on its command line.\n"
    "  -m <20>          rows of the grid\n"
    "  -shift <0>       A = Laplacian + shift I\n"
    "  -neumann         no boundary condition: A is singular, its null space the constants\n"
    "  -convection <0>  makes A asymmetric\n"
    "  -solves <1>      solve again with 1 + k/10 times A, the same nonzero pattern\n"
    "  -then <none>     and then with another matrix: 'pattern' (nine-point), or 'size' (larger "
    "grid)\n"
    "  -transpose       solve A^T x = b\n"
    "  -columns <0>     solve for so many right-hand sides at once\n"
    "  -near            attach a near-null space: constants, and +1 and -1 on half of the rows\n"
    "  -presolve        say so before each solve\n"
    "  -forget          forget to destroy the matrix, for -malloc_dump to see\n\n";

#include <petscksp.h>
#include <string.h>

typedef struct {
  PetscInt m;
  PetscReal shift, convection;
  PetscBool neumann, transpose, near;
  PetscInt columns;
} Problem;

static PetscErrorCode SetRow(Mat A, const Problem* p, PetscInt i, PetscInt j, PetscBool corners) {
  const PetscInt m = p->m, row = i * m + j;
  PetscScalar sum = 0;

  PetscFunctionBeginUser;
  for (PetscInt di = -1; di <= 1; ++di) {
    for (PetscInt dj = -1; dj <= 1; ++dj) {
      const PetscBool corner = (PetscBool)(di && dj);
      const PetscInt column = (i + di) * m + j + dj;
      PetscScalar value = corner ? -0.25 : -1;
      if ((!di && !dj) || (corner && !corners)) continue;
      if (i + di < 0 || i + di >= m || j + dj < 0 || j + dj >= m) {
        if (!p->neumann) sum -= value;
        continue;
      }
      sum -= value;
      value += p->convection * dj;
      PetscCall(MatSetValues(A, 1, &row, 1, &column, &value, INSERT_VALUES));
    }
  }
  sum += p->shift;
  PetscCall(MatSetValues(A, 1, &row, 1, &row, &sum, INSERT_VALUES));
  PetscFunctionReturn(0);
}

static PetscErrorCode AttachNearNullSpace(Mat A) {
  MatNullSpace modes;
  Vec halves;
  PetscInt first, last, n;

  PetscFunctionBeginUser;
  PetscCall(MatCreateVecs(A, &halves, NULL));
  PetscCall(VecGetSize(halves, &n));
  PetscCall(VecGetOwnershipRange(halves, &first, &last));
  for (PetscInt i = first; i < last; ++i)
    PetscCall(VecSetValue(halves, i, i < n / 2 ? 1 : -1, INSERT_VALUES));
  PetscCall(VecAssemblyBegin(halves));
  PetscCall(VecAssemblyEnd(halves));
  PetscCall(VecNormalize(halves, NULL));
  PetscCall(MatNullSpaceCreate(PETSC_COMM_WORLD, PETSC_TRUE, 1, &halves, &modes));
  PetscCall(MatSetNearNullSpace(A, modes));
  PetscCall(MatNullSpaceDestroy(&modes));
  PetscCall(VecDestroy(&halves));
  PetscFunctionReturn(0);
}

static PetscErrorCode CreateMatrix(const Problem* p, PetscBool corners, Mat* A) {
  const PetscInt n = p->m * p->m;
  PetscInt first, last;
  PetscBool upper_only;

  PetscFunctionBeginUser;
  PetscCall(MatCreate(PETSC_COMM_WORLD, A));
  PetscCall(MatSetSizes(*A, PETSC_DECIDE, PETSC_DECIDE, n, n));
  PetscCall(MatSetFromOptions(*A));
  PetscCall(MatSetUp(*A));
  PetscCall(MatSetOption(*A, MAT_NEW_NONZERO_ALLOCATION_ERR, PETSC_FALSE));
  PetscCall(
      PetscObjectTypeCompareAny((PetscObject)*A, &upper_only, MATSEQSBAIJ, MATMPISBAIJ, NULL));
  if (upper_only) PetscCall(MatSetOption(*A, MAT_IGNORE_LOWER_TRIANGULAR, PETSC_TRUE));
  PetscCall(MatGetOwnershipRange(*A, &first, &last));
  for (PetscInt row = first; row < last; ++row)
    PetscCall(SetRow(*A, p, row / p->m, row % p->m, corners));
  PetscCall(MatAssemblyBegin(*A, MAT_FINAL_ASSEMBLY));
  PetscCall(MatAssemblyEnd(*A, MAT_FINAL_ASSEMBLY));
  if (p->neumann) {
    MatNullSpace constants;
    PetscCall(MatNullSpaceCreate(PETSC_COMM_WORLD, PETSC_TRUE, 0, NULL, &constants));
    PetscCall(MatSetNullSpace(*A, constants));
    PetscCall(MatNullSpaceDestroy(&constants));
  }
  if (p->near) PetscCall(AttachNearNullSpace(*A));
  PetscFunctionReturn(0);
}

static PetscErrorCode SayBefore(PC pc, KSP ksp) {
  PCType type;

  PetscFunctionBeginUser;
  (void)ksp;
  PetscCall(PCGetType(pc, &type));
  PetscCall(PetscPrintf(PETSC_COMM_WORLD, "before the solve with %s\n", type));
  PetscFunctionReturn(0);
}

static PetscErrorCode Report(KSP ksp, PetscReal residual) {
  KSPConvergedReason reason;
  PetscInt iterations;

  PetscFunctionBeginUser;
  PetscCall(KSPGetConvergedReason(ksp, &reason));
  PetscCall(KSPGetIterationNumber(ksp, &iterations));
  PetscCall(PetscPrintf(PETSC_COMM_WORLD, "%s iterations %" PetscInt_FMT " residual %.3e\n",
                        KSPConvergedReasons[reason], iterations, (double)residual));
  PetscFunctionReturn(0);
}

static PetscErrorCode SolveVector(KSP ksp, Mat A, PetscBool transpose) {
  Vec x, b;
  PetscReal norm, residual;

  PetscFunctionBeginUser;
  PetscCall(MatCreateVecs(A, &x, &b));
  PetscCall(VecSetRandom(x, NULL));
  PetscCall(MatMult(A, x, b));
  PetscCall(VecNorm(b, NORM_2, &norm));
  if (transpose)
    PetscCall(KSPSolveTranspose(ksp, b, x));
  else
    PetscCall(KSPSolve(ksp, b, x));
  PetscCall(VecScale(b, -1));
  PetscCall(MatMultAdd(A, x, b, b));
  PetscCall(VecNorm(b, NORM_2, &residual));
  PetscCall(Report(ksp, residual / norm));
  PetscCall(VecDestroy(&x));
  PetscCall(VecDestroy(&b));
  PetscFunctionReturn(0);
}

static PetscErrorCode SolveBlock(KSP ksp, Mat A, PetscInt columns) {
  Mat X, B, R;
  PetscInt n;
  PetscReal norm, residual;

  PetscFunctionBeginUser;
  PetscCall(MatGetSize(A, &n, NULL));
  PetscCall(MatCreateDense(PETSC_COMM_WORLD, PETSC_DECIDE, PETSC_DECIDE, n, columns, NULL, &X));
  PetscCall(MatSetRandom(X, NULL));
  PetscCall(MatMatMult(A, X, MAT_INITIAL_MATRIX, PETSC_DEFAULT, &B));
  PetscCall(MatZeroEntries(X));
  PetscCall(KSPMatSolve(ksp, B, X));
  PetscCall(MatMatMult(A, X, MAT_INITIAL_MATRIX, PETSC_DEFAULT, &R));
  PetscCall(MatNorm(B, NORM_FROBENIUS, &norm));
  PetscCall(MatAXPY(R, -1, B, SAME_NONZERO_PATTERN));
  PetscCall(MatNorm(R, NORM_FROBENIUS, &residual));
  PetscCall(Report(ksp, residual / norm));
  PetscCall(MatDestroy(&X));
  PetscCall(MatDestroy(&B));
  PetscCall(MatDestroy(&R));
  PetscFunctionReturn(0);
}

static PetscErrorCode Solve(KSP ksp, Mat A, const Problem* p) {
  PetscFunctionBeginUser;
  PetscCall(KSPSetOperators(ksp, A, A));
  if (p->columns)
    PetscCall(SolveBlock(ksp, A, p->columns));
  else
    PetscCall(SolveVector(ksp, A, p->transpose));
  PetscFunctionReturn(0);
}

int main(int argc, char** argv) {
  Problem p = {20, 0, 0, PETSC_FALSE, PETSC_FALSE, PETSC_FALSE, 0};
  PetscInt solves = 1;
  PetscBool forget = PETSC_FALSE, presolve = PETSC_FALSE;
  char then[16] = "";
  KSP ksp;
  PC pc;
  Mat A, B;

  PetscFunctionBeginUser;
  PetscCall(PetscInitialize(&argc, &argv, NULL, help));
  PetscCall(PetscOptionsGetInt(NULL, NULL, "-m", &p.m, NULL));
  PetscCall(PetscOptionsGetReal(NULL, NULL, "-shift", &p.shift, NULL));
  PetscCall(PetscOptionsGetReal(NULL, NULL, "-convection", &p.convection, NULL));
  PetscCall(PetscOptionsGetBool(NULL, NULL, "-neumann", &p.neumann, NULL));
  PetscCall(PetscOptionsGetBool(NULL, NULL, "-transpose", &p.transpose, NULL));
  PetscCall(PetscOptionsGetBool(NULL, NULL, "-near", &p.near, NULL));
  PetscCall(PetscOptionsGetBool(NULL, NULL, "-presolve", &presolve, NULL));
  PetscCall(PetscOptionsGetInt(NULL, NULL, "-columns", &p.columns, NULL));
  PetscCall(PetscOptionsGetInt(NULL, NULL, "-solves", &solves, NULL));
  PetscCall(PetscOptionsGetBool(NULL, NULL, "-forget", &forget, NULL));
  PetscCall(PetscOptionsGetString(NULL, NULL, "-then", then, sizeof(then), NULL));

  PetscCall(KSPCreate(PETSC_COMM_WORLD, &ksp));
  PetscCall(KSPSetFromOptions(ksp));
  PetscCall(KSPGetPC(ksp, &pc));
  if (presolve) PetscCall(PCSetPreSolve(pc, SayBefore));
  PetscCall(CreateMatrix(&p, PETSC_FALSE, &A));
  for (PetscInt k = 0; k < solves; ++k) {
    if (k) PetscCall(MatScale(A, (10. + k) / (9. + k)));
    PetscCall(Solve(ksp, A, &p));
  }
  if (*then) {
    if (!strcmp(then, "size")) {
      PetscCall(KSPReset(ksp));
      p.m += 5;
    }
    PetscCall(CreateMatrix(&p, (PetscBool)!strcmp(then, "pattern"), &B));
    PetscCall(Solve(ksp, B, &p));
    PetscCall(MatDestroy(&B));
  }
  if (!forget) PetscCall(MatDestroy(&A));
  PetscCall(KSPDestroy(&ksp));
  PetscCall(PetscFinalize());
  return 0;
}
