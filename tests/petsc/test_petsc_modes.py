"""What the user says of the matrix: near-nullspaces, null spaces, coordinates."""

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
import pympf.petsc

from .helpers import ARG_WRONG, LEVELS, P, dense


def coordinates(shape):
    return np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, 2) * 1.0


def rigid_body(PETSc, shape):
    points = PETSc.Vec().createWithArray(coordinates(shape).ravel(), bsize=2)
    return PETSc.NullSpace().createRigidBody(points)


@pytest.mark.parametrize("kind", ["aij", "sbaij", "baij"])
def test_elasticity(PETSc, mat, ksp_solve, kind):
    """Two unknowns at each node, and the rigid-body modes as the near-nullspace."""
    A = mat(pympf.gallery.elasticity((60, 60)), block=2)
    A.setOption(PETSc.Mat.Option.SYMMETRIC, True)
    A.convert(kind)
    A.setNearNullSpace(rigid_body(PETSc, (60, 60)))
    assert ksp_solve(A, ksp_type="cg", pc_type="mmf", most=15) < 1e-8


def test_free_elastic_body(PETSc, mat, ksp_solve):
    """Singular: the modes are its kernel, and KSP projects them out."""
    A = mat(pympf.gallery.elasticity((60, 60), clamped=False), block=2)
    A.setNullSpace(rigid_body(PETSc, (60, 60)))
    assert ksp_solve(A, ksp_type="cg", pc_type="mmf", most=15) < 1e-8


def grid_with_jumps(n, boundary):
    """Diffusion on a grid with coefficients of 10^-3 and 10^3 on a checkerboard of 8 x 8."""
    i, j = np.divmod(np.arange(n * n), n)
    c = 10.0 ** (6 * ((i * 8 // n + j * 8 // n) % 2) - 3)
    W = pympf.gallery.poisson((n, n)).tocoo()
    off = W.row != W.col
    row, col = W.row[off], W.col[off]
    weight = 2 * c[row] * c[col] / (c[row] + c[col])
    A = pympf.gallery.laplacian(sp.coo_array((weight, (row, col)), shape=W.shape).tocsr())
    return A + sp.diags_array(c * ((i == 0) if boundary else 0))


def test_jumps(ksp_solve):
    options = {"ksp_type": "cg", "pc_type": "mmf", "pc_mmf_method": "multilevel"}
    assert ksp_solve(grid_with_jumps(100, True), **options, most=15) < 1e-5


@pytest.mark.parametrize("ksp", ["cg", "minres", "gmres"])
@pytest.mark.parametrize("jumps", [False, True])
def test_neumann(PETSc, mat, ksp_solve, ksp, jumps):
    n = 100
    P = pympf.gallery.poisson((n, n))
    A = pympf.gallery.laplacian(sp.csr_array(abs(P - sp.diags_array(P.diagonal()))))
    matrix = mat(grid_with_jumps(n, False) if jumps else A)
    matrix.setNullSpace(PETSc.NullSpace().create(constant=True))
    assert ksp_solve(matrix, ksp_type=ksp, pc_type="mmf", most=15) < 1e-7


def test_two_components(PETSc, mat, ksp_solve):
    """One vector of the null space for each component, zero on the other."""
    P = pympf.gallery.poisson((50, 50))
    one = pympf.gallery.laplacian(sp.csr_array(abs(P - sp.diags_array(P.diagonal()))))
    matrix = mat(sp.block_diag([one, one]))
    vectors = []
    for half in range(2):
        v = matrix.createVecRight()
        v.array = np.repeat([1 - half, half], 2500) / 50
        vectors.append(v)
    matrix.setNullSpace(PETSc.NullSpace().create(vectors=vectors))
    assert ksp_solve(matrix, ksp_type="cg", pc_type="mmf") < 1e-8


def test_modes_as_in_python(PETSc, make_pc, mat, options):
    shape = (14, 12)
    A = pympf.gallery.elasticity(shape)
    matrix = mat(A, block=2)
    modes = rigid_body(PETSc, shape)
    matrix.setNearNullSpace(modes)
    options(**LEVELS)
    vectors = np.stack([v.array for v in modes.getVecs()], axis=1)
    M = pympf.as_preconditioner(
        A, near_nullspace=vectors, block_size=2, precision="working", **LEVELS
    )
    assert np.array_equal(dense(make_pc(matrix)), M @ np.eye(len(vectors)))


def test_constants_come_first(PETSc, make_pc, mat, options):
    A = pympf.gallery.poisson((14, 12))
    matrix = mat(A)
    v = matrix.createVecRight()
    v.array = np.repeat([1, -1], 84) / np.sqrt(168)
    matrix.setNearNullSpace(PETSc.NullSpace().create(constant=True, vectors=[v]))
    options(**LEVELS)
    vectors = np.stack([np.ones(168), v.array], axis=1)
    M = pympf.as_preconditioner(A, near_nullspace=vectors, precision="working", **LEVELS)
    assert np.array_equal(dense(make_pc(matrix)), M @ np.eye(168))


@pytest.mark.parametrize(
    ("attached", "says"),
    [
        ((), "constants, adapted where they are poor; block size 1"),
        (("operator null",), "1 vector of the null space of the operator; block size 1"),
        (("operator null", "operator near"), "2 vectors of the near-null space of the operator"),
        (("operator near", "matrix null"), "1 vector of the null space of the matrix"),
        (("matrix null", "matrix near"), "2 vectors of the near-null space of the matrix"),
    ],
)
def test_where_the_modes_come_from(PETSc, mat, options, tmp_path, attached, says):
    matrices = {"operator": mat(P), "matrix": mat(P)}
    halves = matrices["matrix"].createVecRight()
    halves.array = np.repeat([1, -1], 72) / 12
    near = PETSc.NullSpace().create(constant=True, vectors=[halves])
    for which, space in map(str.split, attached):
        if space == "near":
            matrices[which].setNearNullSpace(near)
        else:
            matrices[which].setNullSpace(PETSc.NullSpace().create(constant=True))
    options(**LEVELS)
    pc = PETSc.PC().create()
    pc.setType("mmf")
    pc.setOperators(matrices["operator"], matrices["matrix"])
    pc.setFromOptions()
    pc.setUp()
    pc.view(PETSc.Viewer().createASCII(str(tmp_path / "view")))
    assert f"near-nullspace: {says}" in (tmp_path / "view").read_text()


def test_new_modes_set_up_anew(PETSc, make_pc, mat, options):
    """The values and the pattern of the matrix stay, the near-null space changes."""
    options(**LEVELS)
    shape = (14, 12)
    A = mat(pympf.gallery.elasticity(shape), block=2)
    pc = make_pc(A)
    pc.setUp()
    for modes in (rigid_body(PETSc, shape), PETSc.NullSpace().create(constant=True)):
        A.setNearNullSpace(modes)
        A.scale(2)
        pc.setUp()
        assert np.array_equal(dense(pc), dense(make_pc(A)))


def elastic_solver(PETSc, A, ksp="cg"):
    """A solver with `mmf`, and what counts the iterations with it."""
    solver = PETSc.KSP().create()
    solver.setOperators(A)
    solver.setType(ksp)
    solver.setTolerances(rtol=1e-8)
    solver.getPC().setType("mmf")
    x, b = A.createVecs()
    b.array = np.random.default_rng(0).standard_normal(b.local_size)

    def iterations():
        solver.solve(b, x)
        assert solver.getConvergedReason() > 0
        return solver.getIterationNumber()

    return solver, iterations


@pytest.mark.parametrize("ksp", ["cg", "fcg"])
def test_coordinates_are_rigid_body_modes(PETSc, mat, ksp):
    shape = (60, 60)
    with_modes = mat(pympf.gallery.elasticity(shape), block=2)
    with_modes.setNearNullSpace(rigid_body(PETSc, shape))
    expected = elastic_solver(PETSc, with_modes, ksp)[1]()
    solver, iterations = elastic_solver(PETSc, mat(pympf.gallery.elasticity(shape), block=2), ksp)
    solver.getPC().setCoordinates(coordinates(shape))
    assert iterations() == expected


def test_coordinates_in_the_view_and_after_the_first_setup(PETSc, mat, options, tmp_path):
    shape = (14, 12)
    options(**LEVELS)
    A = mat(pympf.gallery.elasticity(shape), block=2)
    pc = PETSc.PC().create()
    pc.setType("mmf")
    pc.setOperators(A)
    pc.setFromOptions()
    pc.setUp()
    plain = dense(pc)
    pc.setCoordinates(coordinates(shape))
    A.scale(2)  # a new state of the matrix: the next setup is a real one
    pc.setUp()
    modes = pympf.rigid_body_modes(coordinates(shape))
    M = pympf.as_preconditioner(
        pympf.gallery.elasticity(shape),
        near_nullspace=modes / np.linalg.norm(modes, axis=0),
        block_size=2,
        precision="working",
        **LEVELS,
    )
    np.testing.assert_allclose(2 * dense(pc), M @ np.eye(M.shape[0]), rtol=1e-6, atol=1e-9)
    assert not np.allclose(dense(pc), plain)
    pc.view(PETSc.Viewer().createASCII(str(tmp_path / "view")))
    says = "3 vectors of the rigid body of the coordinates; block size 2"
    assert f"near-nullspace: {says}" in (tmp_path / "view").read_text()


def test_coordinates_of_another_block_size_say_nothing(PETSc, make_pc, mat, options):
    options(**LEVELS)
    pc = make_pc(mat(P))
    plain = dense(pc)
    other = make_pc(mat(P))
    other.setCoordinates(coordinates((12, 12)))
    assert np.array_equal(dense(other), plain)


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (coordinates((13, 12)), "PCSetCoordinates gave 156 points, the matrix has 168 nodes of 2"),
        (coordinates((14, 12)) * np.nan, "coordinate 0 of point 0 is not finite"),
        (np.zeros((168, 4)), "points have 1 to 3 coordinates, got 4"),
    ],
)
def test_wrong_coordinates_are_refused(PETSc, make_pc, mat, points, says):
    pc = make_pc(mat(pympf.gallery.elasticity((14, 12)), block=2))

    def set_up():
        pc.setCoordinates(points)
        pc.setUp()

    with pytest.raises(PETSc.Error, match=says):
        set_up()


@pytest.mark.parametrize(
    ("size", "value", "says"),
    [
        (143, 1.0, "vector 0 of the null space has 143 rows, the matrix 144"),
        (144, np.nan, "the null space has the entry nan"),
    ],
)
def test_wrong_modes_are_refused(PETSc, make_pc, mat, size, value, says):
    matrix = mat(P)
    v = PETSc.Vec().createSeq(size)
    v.set(1 / np.sqrt(size))
    space = PETSc.NullSpace().create(vectors=[v])
    v.array[0] *= value
    pc = make_pc(matrix)
    pc.setUp()
    matrix.setNearNullSpace(space)
    matrix.scale(2)
    with pytest.raises(PETSc.Error, match=says) as error:
        pc.setUp()
    assert error.value.ierr == ARG_WRONG
    with pytest.raises(PETSc.Error, match="its last setup failed"):
        pc.apply(*matrix.createVecs())


def test_a_null_space_without_vectors(PETSc, make_pc, mat):
    matrix = mat(P)
    space = PETSc.NullSpace().create()
    space.setFunction(lambda space, x: None)
    matrix.setNullSpace(space)
    assert np.array_equal(dense(make_pc(matrix)), dense(make_pc(P)))
