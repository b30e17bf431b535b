"""The preconditioner inside other preconditioners."""

import numpy as np
import scipy.sparse as sp

import pympf
import pympf.petsc


def test_in_block_jacobi(ksp_solve):
    A = pympf.gallery.poisson((20, 18))
    options = {"pc_type": "bjacobi", "pc_bjacobi_blocks": 3, "sub_pc_type": "mmf"}
    assert ksp_solve(A, ksp_type="cg", **options, sub_pc_mmf_coarse_size=30) < 1e-8


def test_in_fieldsplit(PETSc, ksp_solve):
    A, E = pympf.gallery.poisson((20, 18)), sp.eye_array(360)

    def split(ksp):
        ksp.getPC().setType("fieldsplit")
        fields = (PETSc.IS().createStride(360, first=i * 360, step=1) for i in range(2))
        ksp.getPC().setFieldSplitIS(*zip("01", fields, strict=True))

    options = {f"fieldsplit_{i}_pc_type": "mmf" for i in range(2)}
    assert ksp_solve(sp.block_array([[A, E], [E, 2 * A]]), split, **options) < 1e-7


def stokes(n):
    """Stokes' equations on n^3 cells: the matrix of the velocities and the gradient.

    Velocities stand on the faces of the cells, pressures inside, -lap u + grad p = f, div u = 0;
    the walls do not move.
    """

    def line(size, wall):
        A = sp.diags_array(
            [-np.ones(size - 1), np.full(size, 2.0), -np.ones(size - 1)], offsets=[-1, 0, 1]
        ).tolil()
        A[0, 0] = A[-1, -1] = wall
        return sp.csr_array(A)

    def product(factors):
        out = sp.eye_array(1)
        for factor in factors:
            out = sp.kron(out, factor)
        return out

    difference = sp.diags_array([-np.ones(n - 1), np.ones(n - 1)], offsets=[0, 1], shape=(n - 1, n))
    blocks, gradients = [], []
    for axis in range(3):
        sizes = [n - 1 if a == axis else n for a in range(3)]
        # The nearest face, or half a cell, from the wall.
        lines = [line(size, 2.0 if a == axis else 3.0) for a, size in enumerate(sizes)]
        eyes = [sp.eye_array(size) for size in sizes]
        blocks.append(sum(product([*eyes[:a], lines[a], *eyes[a + 1 :]]) for a in range(3)))
        gradients.append(product([difference if a == axis else eyes[a] for a in range(3)]))
    return sp.csr_array(sp.block_diag(blocks)), sp.csr_array(sp.vstack(gradients))


def test_stokes_in_three_dimensions(PETSc, mat):
    """A block that is applied once in an outer iteration: `solves` builds what that needs."""
    F, G = stokes(14)
    rows, cells = G.shape
    A, mass = mat(sp.block_array([[F, G], [G.T, None]])), mat(-sp.eye_array(cells))
    constant = PETSc.Vec().createWithArray(np.r_[np.zeros(rows), np.full(cells, cells**-0.5)])
    A.setNullSpace(PETSc.NullSpace().create(vectors=[constant]))
    b = PETSc.Vec().createWithArray(np.r_[np.sin(np.arange(rows)), np.zeros(cells)])
    iterations = {}
    for name, more in {
        "one": {},
        "many": {"pc_mmf_solves": 100},
        "gamg": {"pc_type": "gamg"},
    }.items():
        settings = {
            "ksp_type": "fgmres",
            "ksp_rtol": 1e-8,
            "ksp_gmres_restart": 200,
            "pc_fieldsplit_schur_fact_type": "upper",
            "fieldsplit_p_pc_type": "jacobi",
            "fieldsplit_u_pc_type": "mmf",
            **{f"fieldsplit_u_{option}": value for option, value in more.items()},
            **{f"fieldsplit_{field}_ksp_type": "preonly" for field in "up"},
        }
        ksp = PETSc.KSP().create()
        ksp.setOptionsPrefix(f"stokes_{name}_")
        ksp.setOperators(A)
        for option, value in settings.items():
            PETSc.Options()[f"stokes_{name}_{option}"] = value
        pc = ksp.getPC()
        pc.setType("fieldsplit")
        pc.setFieldSplitType(PETSc.PC.CompositeType.SCHUR)
        fields = zip("up", (rows, cells), (0, rows), strict=True)
        pc.setFieldSplitIS(
            *((f, PETSc.IS().createStride(size, first, 1)) for f, size, first in fields)
        )
        pc.setFieldSplitSchurPreType(PETSc.PC.SchurPreType.USER, mass)
        ksp.setFromOptions()
        x = b.duplicate()
        ksp.solve(b, x)
        assert ksp.getConvergedReason() > 0
        assert (A * x - b).norm() <= 1e-7 * b.norm()
        iterations[name] = ksp.getIterationNumber()
    assert iterations["many"] <= 0.75 * iterations["one"]
    assert iterations["many"] <= iterations["gamg"]
