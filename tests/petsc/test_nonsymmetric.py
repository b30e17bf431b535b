"""The preconditioner of a matrix that is not symmetric, by PETSc's solvers."""

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
import pympf.petsc

N = 48
FLOW = pympf.gallery.convection_diffusion(N, 300.0)


@pytest.fixture
def make_ksp(PETSc, mat):
    """Give a function that makes a solver of a matrix."""

    def make(A, solver="gmres"):
        ksp = PETSc.KSP().create()
        ksp.setOperators(mat(A))
        ksp.setType(solver)
        ksp.getPC().setType("mmf")
        ksp.setTolerances(rtol=1e-8, max_it=100)
        ksp.setFromOptions()
        ksp.getPC().setFromOptions()
        return ksp

    return make


def solve(ksp, rng):
    x, b = ksp.getOperators()[0].createVecs()
    b.array = rng.standard_normal(b.size)
    ksp.solve(b, x)
    A = ksp.getOperators()[0]
    return (A * x - b).norm() / b.norm()


@pytest.mark.parametrize("solver", ["gmres", "fgmres", "bcgs", "richardson"])
@pytest.mark.parametrize("method", ["auto", "multilevel", "ict", "direct"])
def test_solvers(make_ksp, options, rng, solver, method):
    options(method=method)
    ksp = make_ksp(FLOW, solver)
    left = solve(ksp, rng)
    if (solver, method) != ("richardson", "ict"):
        assert ksp.getConvergedReason() > 0
        assert left <= 1e-4


def test_transpose(PETSc, make_pc, rng):
    pc = make_pc(FLOW)
    r, s = (PETSc.Vec().createWithArray(rng.standard_normal(N * N)) for _ in range(2))
    Mr, Ms = r.duplicate(), s.duplicate()
    pc.apply(r, Mr)
    pc.applyTranspose(s, Ms)
    assert abs(s.dot(Mr) - r.dot(Ms)) <= 1e-9 * s.norm() * Mr.norm()


def test_update_on_the_same_pattern(make_ksp, rng):
    ksp = make_ksp(FLOW)
    assert solve(ksp, rng) <= 1e-5
    A = ksp.getOperators()[0]
    for factor in (2.0, -3.0):
        A.scale(factor)
        ksp.setOperators(A)
        assert solve(ksp, rng) <= 1e-5
        assert ksp.getIterationNumber() <= 15
    # The same pattern, but symmetric: made anew.
    symmetric = (FLOW + FLOW.T).tocsr()
    symmetric.sort_indices()
    A.setValuesCSR(
        *(a.astype("int32") for a in (symmetric.indptr, symmetric.indices)), symmetric.data
    )
    A.assemble()
    ksp.setType("cg")
    assert solve(ksp, rng) <= 1e-5


@pytest.mark.parametrize("solver", ["cg", "minres", "cr"])
def test_solvers_for_symmetric_matrices_are_refused(PETSc, make_ksp, rng, solver):
    with pytest.raises(PETSc.Error, match="the matrix is not symmetric"):
        solve(make_ksp(FLOW, solver), rng)


def test_what_only_symmetric_matrices_have_is_refused(PETSc, make_pc, options):
    options(cycle="w")
    with pytest.raises(PETSc.Error, match="is for symmetric matrices"):
        make_pc(FLOW).setUp()


def test_the_view_says_what_was_taken(make_ksp, rng, capfd, PETSc):
    ksp = make_ksp(FLOW)
    solve(ksp, rng)
    ksp.view(PETSc.Viewer.STDOUT())
    shown = capfd.readouterr().out
    assert "not symmetric, M-matrix-like" in shown
    assert "sparse LU of" in shown


def test_near_nullspace(PETSc, mat, make_pc, rng):
    A = mat(sp.csr_array(FLOW))
    v = A.createVecRight()
    v.set(1 / 64)  # a power of two changes no bit
    A.setNearNullSpace(PETSc.NullSpace().create(vectors=[v]))
    r = PETSc.Vec().createWithArray(rng.standard_normal(N * N))
    z, expected = r.duplicate(), r.duplicate()
    make_pc(A).apply(r, z)
    make_pc(FLOW).apply(r, expected)
    np.testing.assert_allclose(z.array, expected.array, rtol=1e-6, atol=1e-9 * expected.norm())


def walk(n=1500):
    """Give I - alpha P^T of a walk, and its stationary distribution."""
    P = pympf.gallery.directed_neighbours(n)
    density = np.ones(n)
    for _ in range(300):
        density = P.T @ density
    return sp.csr_array(sp.eye_array(n) - 0.999 * P.T), density / np.linalg.norm(density)


def null_space(PETSc, A, *columns):
    vectors = []
    for column in columns:
        v = A.createVecRight()
        v.array = column / np.linalg.norm(column)
        vectors.append(v)
    return PETSc.NullSpace().create(vectors=vectors)


def test_near_nullspace_of_the_transpose(PETSc, mat, make_pc, options, rng, tmp_path):
    options(method="multilevel")
    matrix, density = walk()
    n = matrix.shape[0]
    b = rng.standard_normal(n)

    def applied(left=None, right=None):
        A = mat(matrix)
        if right is not None:
            A.setNearNullSpace(null_space(PETSc, A, right))
        if left is not None:
            A.setTransposeNullSpace(null_space(PETSc, A, *left))
        pc = make_pc(A)
        r = PETSc.Vec().createWithArray(b)
        z = r.duplicate()
        pc.apply(r, z)
        viewer = PETSc.Viewer().createASCII(str(tmp_path / "view"))
        pc.view(viewer)
        viewer.destroy()
        return z.array.copy(), (tmp_path / "view").read_text()

    ones, other = np.ones(n) / np.linalg.norm(np.ones(n)), rng.standard_normal(n)
    other -= other.mean()
    ours = pympf.as_preconditioner(
        matrix, method="multilevel", near_nullspace=density, left_near_nullspace=ones
    ).apply(b)
    both, shown = applied(left=[ones], right=density)
    size = np.linalg.norm(ours)
    assert np.linalg.norm(both - ours) <= 1e-2 * size  # but for what truncation makes of rounding
    assert "of the transpose: 1 vector of its null space" in shown
    only_right, shown = applied(right=density)
    assert np.linalg.norm(only_right - ours) > 0.1 * size  # so it is of consequence
    assert "transpose" not in shown
    more, shown = applied(left=[ones, other], right=density)
    np.testing.assert_array_equal(more, only_right)
    assert "2 vectors of its null space, not taken, as there are not as many" in shown


def test_the_transpose_of_a_symmetric_matrix_says_nothing_new(PETSc, mat, make_pc, rng):
    matrix = sp.csr_array(pympf.gallery.poisson((20, 20)))
    results = []
    r = PETSc.Vec().createWithArray(rng.standard_normal(400))
    for given in (False, True):
        A = mat(matrix)
        if given:
            A.setTransposeNullSpace(null_space(PETSc, A, np.arange(1.0, 401)))
        z = r.duplicate()
        make_pc(A).apply(r, z)
        results.append(z.array.copy())
    np.testing.assert_array_equal(*results)


def test_a_new_null_space_of_the_transpose_builds_anew(PETSc, mat, make_pc, options, rng):
    options(method="multilevel")
    matrix, density = walk()
    A = mat(matrix)
    A.setNearNullSpace(null_space(PETSc, A, density))
    pc = make_pc(A)
    r = PETSc.Vec().createWithArray(rng.standard_normal(matrix.shape[0]))
    z = [r.duplicate() for _ in range(2)]
    pc.apply(r, z[0])
    A.setTransposeNullSpace(null_space(PETSc, A, np.ones(matrix.shape[0])))
    A.scale(2.0)
    pc.setOperators(A)
    pc.setUp()
    pc.apply(r, z[1])
    assert (z[0] - 2 * z[1]).norm() > 0.1 * z[0].norm()
