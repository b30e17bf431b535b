"""Matrices at the edge, and what the preconditioner refuses; failures leave a usable object."""

import gc
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
import pympf.petsc

from .helpers import ARG_SIZ, ARG_WRONG, ARG_WRONGSTATE, ORDER, ROUNDING, SUP, P, assert_spd, dense

# ---- matrices at the edge ------------------------------------------------------------------------

EDGE = {
    "0 x 0": sp.csr_array((0, 0)),
    "1 x 1": sp.csr_array([[3.0]]),
    "a stored zero": sp.csr_array(([0.0], ([0], [0])), shape=(1, 1)),
    "nothing stored": sp.csr_array((150, 150)),
    "diagonal": sp.diags_array(np.arange(1.0, 151)),
    "indefinite": P - 3 * sp.eye_array(144),
    "negative": -P,
    "disconnected": sp.block_diag([P, P]),
    "zero rows": sp.block_diag([P, sp.csr_array((3, 3))]),
    "singular": pympf.gallery.laplacian(sp.csr_array(abs(P - sp.diags_array(P.diagonal())))),
    "dense": np.fromfunction(lambda i, j: 1 / (1 + i + j), (130, 130)),
    "large": P * 1e60,
    "small": P * 1e-60,
}


@pytest.mark.parametrize("name", EDGE)
def test_classic_is_positive_definite_whatever_the_matrix(make_pc, options, name):
    options(method="classic")
    assert_spd(dense(make_pc(EDGE[name])))


@pytest.mark.parametrize("method", ["auto", "multilevel", "ict", "jacobi"])
@pytest.mark.parametrize("name", [name for name in EDGE if name != "indefinite"])
def test_positive_definite(make_pc, options, name, method):
    options(method=method)
    assert_spd(dense(make_pc(EDGE[name])))


@pytest.mark.parametrize("method", ["auto", "classic"])
@pytest.mark.parametrize("name", ["1 x 1", "diagonal"])
def test_exact_where_nothing_is_dropped(make_pc, options, name, method):
    options(method=method)
    M = dense(make_pc(EDGE[name]))
    assert np.abs(M @ sp.csr_array(EDGE[name]) - np.eye(len(M))).max() <= ROUNDING


def unsorted_matrix(PETSc):
    """Rows not sorted, and an entry in two parts: [[2, -1], [-1, 3]]."""
    indptr, indices = np.array([0, 2, 5], np.int32), np.array([1, 0, 1, 0, 1], np.int32)
    values = np.array([-1.0, 2.0, 1.0, -1.0, 2.0])
    return PETSc.Mat().createAIJWithArrays((2, 2), (indptr, indices, values))


def test_unsorted_rows_and_duplicates(PETSc, make_pc):
    expected = np.linalg.inv([[2.0, -1.0], [-1.0, 3.0]])
    assert np.abs(dense(make_pc(unsorted_matrix(PETSc))) - expected).max() <= ROUNDING


def test_nested_matrix(PETSc, make_pc, mat):
    nest = PETSc.Mat().createNest([[mat(P), None], [None, mat(P)]])
    assert np.array_equal(dense(make_pc(nest)), dense(make_pc(sp.block_diag([P, P]))))


def with_entry(value):
    A = P.copy()
    A.data[1] = value
    return A


@pytest.mark.parametrize(
    ("A", "code", "says"),
    [
        (with_entry(np.nan), ARG_WRONG, "expected finite entries, got nan at i = 0, j = 1"),
        (with_entry(-np.inf), ARG_WRONG, "expected finite entries, got -inf at i = 0, j = 1"),
        (sp.csr_array(np.ones((3, 4))), ARG_SIZ, "expects a square matrix, got 3 rows and 4"),
    ],
)
def test_refused(PETSc, make_pc, A, code, says):
    with pytest.raises(PETSc.Error) as error:
        make_pc(A).setUp()
    assert error.value.ierr == code
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("A", "says"),
    [
        (with_entry(-1 - 1e-10), "expected a symmetric matrix, got"),
        (sp.csr_array([[1.0, 2.5], [0.5, 1.0]]), "= 2 at i = 0, j = 1"),
    ],
)
def test_not_symmetric_is_refused_by_classic(PETSc, make_pc, options, A, says):
    options(method="classic")
    with pytest.raises(PETSc.Error, match=says) as error:
        make_pc(A).setUp()
    assert error.value.ierr == ARG_WRONG


def test_rounding_is_not_asymmetry(make_pc):
    assert_spd(dense(make_pc(with_entry(-1 - 1e-12))))


def dirichlet(keep=False):
    """A grid whose border rows have nothing but a diagonal entry; the columns are left."""
    grid = np.arange(144).reshape(12, 12)
    border = np.setdiff1d(grid, grid[1:-1, 1:-1])
    A = P.tolil()
    for i in border:
        A.data[i] = [1.0 if j == i else 0.0 for j in A.rows[i]]
    A = A.tocsr()
    if not keep:
        A.eliminate_zeros()
    return A, border


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("ksp_type", ["cg", "fcg", "minres", "gmres", "richardson", "bcgs"])
def test_dirichlet_rows(PETSc, mat, keep, ksp_type):
    A, border = dirichlet(keep)
    matrix = mat(A)
    ksp = PETSc.KSP().create()
    ksp.setOperators(matrix)
    ksp.setType(ksp_type)
    ksp.setTolerances(rtol=1e-10)
    ksp.getPC().setType("mmf")
    x, b = matrix.createVecs()
    b.array = np.sin(np.arange(144))
    ksp.solve(b, x)
    assert ksp.getConvergedReason() > 0
    exact = np.linalg.solve(A.toarray(), b.array)
    assert np.linalg.norm(x.array - exact) <= 1e-7 * np.linalg.norm(exact)
    assert not ksp.getInitialGuessNonzero()
    if ksp_type == "cg":
        np.testing.assert_array_equal(x.array[border], b.array[border])


def test_dirichlet_rows_that_come_between_solves(PETSc, mat):
    matrix = mat(P)
    ksp = PETSc.KSP().create()
    ksp.setOperators(matrix)
    ksp.setType("cg")
    ksp.setTolerances(rtol=1e-10)
    ksp.getPC().setType("mmf")
    x, b = matrix.createVecs()
    b.set(1)
    ksp.solve(b, x)
    for rows in ([0, 5, 70], [1], [143]):
        matrix.zeroRows(np.array(rows, PETSc.IntType), 2.0)
        ksp.solve(b, x)
        assert ksp.getConvergedReason() > 0
        assert (matrix * x - b).norm() <= 1e-8 * b.norm()


def test_zeros_on_one_side_are_filled(make_pc):
    A = P.tolil()
    A[0, 77] = 1  # stored, as zero
    A = A.tocsr()
    A.data[A.data == 1] = 0
    pc = make_pc(A)
    np.testing.assert_allclose(dense(pc), dense(make_pc(P)), atol=1e-12)


def test_unassembled_is_refused(PETSc, make_pc):
    matrix = PETSc.Mat().createAIJ((4, 4))
    matrix.setUp()
    with pytest.raises(PETSc.Error, match="expects an assembled matrix") as error:
        make_pc(matrix).setUp()
    assert error.value.ierr == ARG_WRONGSTATE


def test_matrix_free_is_refused(PETSc, make_pc):
    matrix = PETSc.Mat().create()
    matrix.setSizes((4, 4))
    matrix.setType("shell")
    matrix.setUp()
    with pytest.raises(PETSc.Error, match="needs the entries of the matrix") as error:
        make_pc(matrix).setUp()
    assert error.value.ierr == SUP


def test_column_out_of_range_is_refused(PETSc, make_pc):
    arrays = np.array([0, 1, 2], np.int32), np.array([0, 7], np.int32), np.ones(2)
    with pytest.raises(PETSc.Error, match="expected column indices from 0 to 1, got 7 in row 1"):
        make_pc(PETSc.Mat().createAIJWithArrays((2, 2), arrays)).setUp()


# ---- failures leave a usable object --------------------------------------------------------------


def test_after_a_failed_setup(PETSc, make_pc, mat):
    good = P @ P
    matrix = mat(good)
    matrix.scale(np.nan)
    pc = make_pc(P)
    pc.setUp()
    pc.setOperators(matrix)
    with pytest.raises(PETSc.Error, match="expected finite entries"):
        pc.setUp()
    x, y = matrix.createVecs()
    with pytest.raises(PETSc.Error, match="its last setup failed") as error:
        pc.apply(x, y)
    assert error.value.ierr == ORDER
    # Only the values change now, but there are no rotations of this pattern to be reused.
    mat(good).copy(matrix, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
    assert np.array_equal(dense(pc), dense(make_pc(good)))


def test_refused_values_leave_the_solver_usable(PETSc, mat, options):
    """Entries of 1e-320 are refused; the next operators work."""
    options(method="classic")
    ksp = PETSc.KSP().create()
    ksp.setOperators(mat(P * 1e-320))
    ksp.getPC().setType("mmf")
    ksp.setFromOptions()
    x, b = ksp.getOperators()[0].createVecs()
    b.set(1)
    with pytest.raises(PETSc.Error, match=r"outside \[1e-70, 1e70\].* scale the matrix"):
        ksp.solve(b, x)
    ksp.setOperators(mat(P))
    ksp.solve(b, x)
    assert ksp.getConvergedReason() > 0


def solved(PETSc, A, solver):
    """A solve with a right-hand side of ones."""
    ksp = PETSc.KSP().create()
    ksp.setOperators(A)
    ksp.setType(solver)
    ksp.pc.setType("mmf")
    ksp.setFromOptions()
    b, x = A.createVecs()
    b.set(1.0)
    ksp.solve(b, x)
    return ksp, b, x


def test_a_preconditioner_that_overflows_is_a_failure(PETSc, mat, options):
    """Sweeps amplify beyond the range where the diagonal is zero (fuzz input 3742)."""
    path = np.array(
        [[0, 0, 0, 1, 0], [0, 0, 1, 1, 0], [0, 1, 0, 0, 1], [1, 1, 0, 0, 0], [0, 0, 1, 0, 0]]
    )
    options(smoother="chebyshev", sweeps=73, degree=90, coarse_size=1)
    ksp, *_ = solved(PETSc, mat(sp.csr_array(path.astype(float))), "preonly")
    assert ksp.getConvergedReason() == PETSc.KSP.ConvergedReason.DIVERGED_PCSETUP_FAILED


@pytest.mark.parametrize("solver", ["gmres", "cg", "preonly"])
def test_a_method_that_is_not_available_is_a_failure_that_the_solver_tells(
    PETSc, mat, options, solver
):
    """The adjacency matrix of a star is singular, and has no direct factor."""
    star = np.zeros((50, 50))
    star[0, 1:] = star[1:, 0] = 1
    options(method="direct")
    ksp, b, x = solved(PETSc, mat(sp.csr_array(star)), solver)
    assert ksp.getConvergedReason() == PETSc.KSP.ConvergedReason.DIVERGED_PCSETUP_FAILED
    B, X = (PETSc.Mat().createDense((50, 2)) for _ in range(2))
    for block in (B, X):
        block.setUp()
        block.assemble()
    ksp.pc.matApply(B, X)
    assert np.isinf(X.getDenseArray()).all()
    ksp.setOperators(mat(sp.csr_array(star + 50 * np.eye(50))))
    ksp.solve(b, x)
    assert ksp.getConvergedReason() > 0


def test_gmres_takes_an_m_with_the_signs_of_an_indefinite_matrix(PETSc, mat, options):
    """As in `pympf.solve`; a solver that needs a definite M has it made anew."""
    helmholtz = sp.csr_array(pympf.gallery.poisson((40, 40)) - 0.5 * sp.eye_array(1600))
    ksp = PETSc.KSP().create()
    ksp.setOperators(mat(helmholtz))
    ksp.pc.setType("mmf")
    ksp.setFromOptions()
    b, x = ksp.getOperators()[0].createVecs()
    b.setArray(np.random.default_rng(0).standard_normal(1600))
    ksp.setTolerances(rtol=1e-8, max_it=500)
    for solver in ("gmres", "fgmres", "gcr"):
        ksp.setType(solver)
        ksp.solve(b, x)
        assert ksp.getConvergedReason() > 0
        assert ksp.getIterationNumber() <= 3
    ksp.setType("minres")
    with pytest.raises(PETSc.Error, match="the matrix is indefinite"):
        ksp.solve(b, x)
    ksp.setType("gmres")
    options(definite="true")
    ksp.setFromOptions()
    ksp.solve(b, x)
    assert ksp.getIterationNumber() > 3


def test_another_size_after_reset(PETSc, make_pc, mat):
    pc = make_pc(P)
    pc.setUp()
    pc.reset()
    pc.setOperators(mat(EDGE["disconnected"]))
    assert np.array_equal(dense(pc), dense(make_pc(EDGE["disconnected"])))


@pytest.mark.parametrize("method", ["multilevel", "classic"])
def test_memory_is_returned(make_pc, options, method):
    """Setups and applications in a row do not add up."""

    def use() -> None:
        pc = make_pc(A)
        x, y = pc.getOperators()[1].createVecs()
        pc.apply(x, y)
        for thing in (pc, x, y):
            thing.destroy()
        gc.collect()

    def resident() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    A = pympf.gallery.poisson((120, 120))
    options(method=method)
    for _ in range(3):
        use()
    before = resident()
    for _ in range(20):
        use()
    grown = resident() - before
    assert grown < 3 * pympf.as_preconditioner(A, method=method).report().bytes


# ---- what is promised positive definite ----------------------------------------------------------


def contrast(width, low):
    """Make a grid whose edges have weight 1 or, most of them, `low`: strong clusters."""
    nodes = np.arange(width**2).reshape(width, width)
    i = np.concatenate([nodes[:, :-1].ravel(), nodes[:-1].ravel()])
    j = np.concatenate([nodes[:, 1:].ravel(), nodes[1:].ravel()])
    weights = np.where(np.random.default_rng(0).random(len(i)) < 0.7, low, 1.0)
    W = sp.coo_array((np.tile(weights, 2), (np.r_[i, j], np.r_[j, i])), shape=(width**2,) * 2)
    return pympf.gallery.laplacian(W.tocsr()) + sp.coo_array(([1.0], ([0], [0])), (width**2,) * 2)


@pytest.mark.parametrize("precision", ["working", "auto", "single"])
def test_strong_clusters_that_are_coupled_weakly(PETSc, mat, options, precision):
    """In float32 the cycle would be indefinite."""
    options(precision=precision)
    A = contrast(150, 1e-8)
    ksp = PETSc.KSP().create()
    ksp.setOperators(mat(A))
    ksp.setType("cg")
    ksp.getPC().setType("mmf")
    ksp.setTolerances(rtol=1e-8, max_it=30)
    ksp.setFromOptions()
    x, b = ksp.getOperators()[0].createVecs()
    b.array = A @ np.sin(np.arange(22500))
    ksp.solve(b, x)
    assert ksp.getConvergedReason() > 0


def test_the_matrix_of_the_system_where_the_other_is_not_symmetric(PETSc, mat, make_pc, options):
    """As in Stokes' equations, whose preconditioning matrix may be a triangle of blocks."""
    options(method="classic")
    A, other = mat(P), mat(with_entry(7))
    pc = make_pc(A)
    expected = dense(pc)
    pc = PETSc.PC().create()
    pc.setType("mmf")
    pc.setOperators(A, other)
    pc.setFromOptions()
    with pytest.raises(PETSc.Error, match="or -pc_use_amat, which builds from the first"):
        pc.setUp()
    pc.setUseAmat(True)
    pc.setUp()
    assert np.array_equal(dense(pc), expected)
    A.scale(2)
    other.scale(2)
    np.testing.assert_allclose(dense(pc), expected / 2, rtol=1e-12)
