/* Solves Poisson's equation on an m x m grid. You learn that a PETSc program needs no change for
 * pympf: the options on its command line load the plugin and choose the preconditioner. */
#include <petscksp.h>

int main(int argc, char** argv) {
  PetscInt m = 200, first, last, iterations;
  PetscReal error;
  Mat A;
  Vec exact, x, b;
  KSP ksp;

  PetscCall(PetscInitialize(&argc, &argv, NULL, NULL));
  PetscCall(PetscOptionsGetInt(NULL, NULL, "-m", &m, NULL));
  PetscCall(MatCreateAIJ(PETSC_COMM_WORLD, PETSC_DECIDE, PETSC_DECIDE, m * m, m * m, 5, NULL, 2,
                         NULL, &A));
  PetscCall(MatGetOwnershipRange(A, &first, &last));
  for (PetscInt row = first; row < last; ++row) {
    const PetscInt i = row / m, j = row % m;
    if (i > 0) PetscCall(MatSetValue(A, row, row - m, -1, INSERT_VALUES));
    if (i < m - 1) PetscCall(MatSetValue(A, row, row + m, -1, INSERT_VALUES));
    if (j > 0) PetscCall(MatSetValue(A, row, row - 1, -1, INSERT_VALUES));
    if (j < m - 1) PetscCall(MatSetValue(A, row, row + 1, -1, INSERT_VALUES));
    PetscCall(MatSetValue(A, row, row, 4, INSERT_VALUES));
  }
  PetscCall(MatAssemblyBegin(A, MAT_FINAL_ASSEMBLY));
  PetscCall(MatAssemblyEnd(A, MAT_FINAL_ASSEMBLY));

  PetscCall(MatCreateVecs(A, &x, &b));
  PetscCall(VecDuplicate(x, &exact));
  PetscCall(VecSet(exact, 1));
  PetscCall(MatMult(A, exact, b));

  PetscCall(KSPCreate(PETSC_COMM_WORLD, &ksp));
  PetscCall(KSPSetOperators(ksp, A, A));
  PetscCall(KSPSetFromOptions(ksp));
  PetscCall(KSPSolve(ksp, b, x));

  PetscCall(KSPGetIterationNumber(ksp, &iterations));
  PetscCall(VecAXPY(x, -1, exact));
  PetscCall(VecNorm(x, NORM_INFINITY, &error));
  PetscCall(PetscPrintf(PETSC_COMM_WORLD, "%d iterations, largest error %.1e\n", (int)iterations,
                        (double)error));
  PetscCall(KSPDestroy(&ksp));
  PetscCall(MatDestroy(&A));
  PetscCall(VecDestroy(&exact));
  PetscCall(VecDestroy(&x));
  PetscCall(VecDestroy(&b));
  return PetscFinalize();
}
