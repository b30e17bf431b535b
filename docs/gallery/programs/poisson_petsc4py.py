"""Solve Poisson's equation by petsc4py. You learn how `mmf` becomes a type of preconditioner."""

import sys

import petsc4py

petsc4py.init(sys.argv)
from petsc4py import PETSc  # noqa: E402

import pympf.petsc  # noqa: E402

pympf.petsc.register()

m = 200
A = PETSc.Mat().createAIJ((m * m, m * m), nnz=5)
first, last = A.getOwnershipRange()
for row in range(first, last):
    i, j = divmod(row, m)
    A[row, row] = 4.0
    for other, inside in ((row - m, i), (row + m, i < m - 1), (row - 1, j), (row + 1, j < m - 1)):
        if inside:
            A[row, other] = -1.0
A.assemble()
x, b = A.createVecs()
exact = x.duplicate()
exact.set(1.0)
A.mult(exact, b)

ksp = PETSc.KSP().create()
ksp.setOperators(A)
ksp.setType("cg")
ksp.getPC().setType("mmf")
ksp.setTolerances(rtol=1e-10)
ksp.setFromOptions()
ksp.solve(b, x)
x.axpy(-1.0, exact)
error = x.norm(PETSc.NormType.NORM_INFINITY)
PETSc.Sys.Print(f"{ksp.getIterationNumber()} iterations, largest error {error:.1e}")
