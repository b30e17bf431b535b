"""The preconditioner from petsc4py, and the matrices it takes and refuses."""

import ctypes
import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
import pympf.petsc

ROUNDING = 256 * np.finfo(float).eps
P = pympf.gallery.poisson((12, 12))
ARG_SIZ, ARG_WRONG, ARG_WRONGSTATE, SUP, ORDER = 60, 62, 73, 56, 58


@pytest.fixture
def mat(PETSc):
    """Give a function that makes a SeqAIJ matrix."""

    def make(A, block=1):
        A = sp.csr_array(A, dtype=float)
        indptr, indices = (array.astype(PETSc.IntType) for array in (A.indptr, A.indices))
        return PETSc.Mat().createAIJ(A.shape, bsize=block, csr=(indptr, indices, A.data))

    return make


@pytest.fixture
def options(PETSc):
    """Give a function that sets options of the preconditioner for the length of a test."""
    database = PETSc.Options()
    names = []

    def set_options(prefix="", **params):
        for name, value in params.items():
            names.append(f"{prefix}pc_mmf_{name}")
            database[names[-1]] = value

    yield set_options
    for name in names:
        database.delValue(name)


@pytest.fixture
def make_pc(PETSc, mat):
    """Give a function that makes a preconditioner of a matrix."""

    def make(A):
        pc = PETSc.PC().create()
        pc.setType("mmf")
        pc.setOperators(A if isinstance(A, PETSc.Mat) else mat(A))
        pc.setFromOptions()
        return pc

    return make


def dense(pc):
    """Give the preconditioner as an array."""
    matrix = pc.getOperators()[1]
    x, y = matrix.createVecs()
    columns = []
    for i in range(x.size):
        x.set(0)
        x[i] = 1
        x.assemble()
        pc.apply(x, y)
        columns.append(y.array.copy())
    return np.array(columns).T.reshape(x.size, x.size)


def assert_spd(M):
    assert np.isfinite(M).all()
    size = np.abs(M).max(initial=0)
    assert np.abs(M - M.T).max(initial=0) <= ROUNDING * size
    assert (np.linalg.eigvalsh(M) > 0).all()


# ---- the library ---------------------------------------------------------------------------------


def test_register_again(PETSc):
    pympf.petsc.register()
    assert PETSc.PC().create().getType() is None
    pc = PETSc.PC().create()
    pc.setType("mmf")
    assert pc.getType() == "mmf"


def test_module_prints_the_path(plugin, tmp_path):
    command = [sys.executable, "-m", "pympf.petsc"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == plugin
    assert not done.stderr


def test_no_plugin(monkeypatch, tmp_path):
    monkeypatch.setattr(pympf, "__path__", [str(tmp_path)])
    with pytest.raises(ImportError, match=r"built without PETSc: .*PYMPF_WITH_PETSC=ON"):
        pympf.petsc.register()


def test_broken_plugin(monkeypatch, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libpympf_petsc.so").write_bytes(b"not a library")
    monkeypatch.setattr(pympf, "__path__", [str(tmp_path)])
    with pytest.raises(ImportError, match=r"cannot load .*libpympf_petsc\.so"):
        pympf.petsc.register()


def test_no_petsc4py(plugin, monkeypatch):
    monkeypatch.setitem(sys.modules, "petsc4py", None)
    with pytest.raises(ImportError, match=r"needs petsc4py.*pip install petsc4py=="):
        pympf.petsc.register()


def test_two_petsc_libraries(PETSc, monkeypatch):
    files = iter(["/here/libpetsc.so.3.18", "/there/libpetsc.so.3.19"])
    monkeypatch.setattr(pympf.petsc, "_defining_file", lambda library: next(files))
    with pytest.raises(ImportError, match=r"uses /here/\S+, pympf was built for /there/\S+; build"):
        pympf.petsc.register()


# ---- the same numbers as in Python ---------------------------------------------------------------

LEVELS = {"method": "multilevel", "coarse_size": 20}
CLASSIC = {"method": "classic", "core_size": 30}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"order": 3, "eliminate": 2, "core_size": 30},
        {"retire": "absolute", "gram": "blocks", "criterion": "inner_product"},
        {"prenormalize": True, "tolerance": 0.3},
        {"clustering": "inner_product", "max_cluster_size": 40, "bypass": False, "seed": 7},
    ],
)
def test_same_as_factorize(make_pc, options, params, rng):
    A = pympf.gallery.poisson((20, 18))
    options(method="classic", **params)
    pc = make_pc(A)
    x, y = pc.getOperators()[1].createVecs()
    x.array = rng.standard_normal(360)
    pc.apply(x, y)
    expected = pympf.factorize(A, **params).preconditioner() @ x.array
    scale = np.abs(expected).max()
    assert np.abs(y.array - expected).max() <= ROUNDING * scale
    y.set(0)
    pc.applyTranspose(x, y)
    assert np.abs(y.array - expected).max() <= ROUNDING * scale


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"method": "ict", "drop_tolerance": 0.1},
        {"method": "jacobi"},
        LEVELS,
        {**LEVELS, "precision": "single", "strips": 4},
        {**LEVELS, "cycle": "w", "smoother": "gs", "lift": False, "ordering": "natural"},
        {**LEVELS, "cycle": "additive", "shape": "pair"},
        {**LEVELS, "smoother": "chebyshev", "degree": 3, "overcorrection": 1.5},
    ],
)
def test_same_as_preconditioner(make_pc, options, params, rng):
    A = pympf.gallery.poisson((20, 18))
    options(**params)
    pc = make_pc(A)
    x, y = pc.getOperators()[1].createVecs()
    x.array = rng.standard_normal(360)
    pc.apply(x, y)
    expected = pympf.as_preconditioner(A, **{"precision": "working", **params}) @ x.array
    assert np.array_equal(y.array, expected)
    y.set(0)
    pc.applyTranspose(x, y)
    assert np.array_equal(y.array, expected)


@pytest.mark.parametrize("params", [LEVELS, CLASSIC])
def test_blocks_of_vectors(PETSc, make_pc, options, params, rng):
    options(**params)
    pc = make_pc(pympf.gallery.poisson((20, 18)))
    X = PETSc.Mat().createDense((360, 5), array=rng.standard_normal((360, 5)))
    Y = X.duplicate()
    for _ in range(2):
        pc.matApply(X, Y)
        expected = dense(pc) @ X.getDenseArray()
        assert np.abs(Y.getDenseArray() - expected).max() <= ROUNDING * np.abs(expected).max()


def libpetsc():
    """Give the library that petsc4py has loaded."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("finds libpetsc in /proc/self/maps, which this system has not")
    paths = {line.split()[-1] for line in maps.read_text().splitlines() if "/libpetsc" in line}
    return ctypes.CDLL(min(paths))


def test_matrices_of_right_hand_sides(PETSc, make_pc, mat, options, rng):
    """KSPMatSolve: with `preonly` it is one PCMatApply, whose columns have the bits of PCApply."""
    options(**LEVELS)
    matrix = mat(pympf.gallery.poisson((20, 18)))
    ksp = PETSc.KSP().create()
    ksp.setOperators(matrix)
    ksp.getPC().setType("mmf")
    ksp.setFromOptions()
    values = rng.standard_normal((360, 11))
    B = PETSc.Mat().createDense((360, 11), array=values)
    X = B.duplicate()
    for solver in ("preonly", "cg"):
        ksp.setType(solver)
        ksp.setTolerances(rtol=1e-9)
        handles = [ctypes.c_void_p(thing.handle) for thing in (ksp, B, X)]
        assert libpetsc().KSPMatSolve(*handles) == 0  # petsc4py 3.18 has no name for it
        b, x = matrix.createVecs()
        for c in range(11):
            b.array = values[:, c]
            if solver == "preonly":
                ksp.getPC().apply(b, x)
            else:
                ksp.solve(b, x)
            assert np.array_equal(X.getDenseArray()[:, c], x.array)


def new_values(PETSc, matrix, values):
    values.copy(matrix, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN)


@pytest.mark.parametrize("params", [LEVELS, CLASSIC])
def test_new_values_as_update(PETSc, make_pc, mat, options, params, rng):
    A = pympf.gallery.poisson((20, 18))
    B = A + sp.diags_array(rng.random(360))
    options(**params)
    matrix = mat(A)
    pc = make_pc(matrix)
    pc.setUp()
    new_values(PETSc, matrix, mat(B))
    pc.setUp()
    precision = {"precision": "working"} if params is LEVELS else {}
    M = pympf.as_preconditioner(A, **params, **precision)
    M.update(B)
    expected = M @ np.eye(360)
    assert np.abs(dense(pc) - expected).max() <= ROUNDING * np.abs(expected).max()


@pytest.mark.parametrize(("params", "change"), [(LEVELS, {"cycle": "w"}), (CLASSIC, {"order": 3})])
def test_new_options_set_up_anew(make_pc, options, params, change):
    A = pympf.gallery.poisson((20, 18))
    options(**params)
    pc = make_pc(A)
    before = dense(pc)
    options(**change)
    pc.setFromOptions()
    after = dense(pc)
    assert np.abs(after - before).max() > 1e-3 * np.abs(before).max()
    assert np.array_equal(after, dense(make_pc(A)))


def test_new_method_sets_up_anew(make_pc, options):
    A = pympf.gallery.poisson((20, 18))
    pc = make_pc(A)
    for params in (LEVELS, {"method": "jacobi"}):
        options(**params)
        pc.setFromOptions()
        assert np.array_equal(dense(pc), dense(make_pc(A)))


def test_the_caller_s_matrix_is_unchanged(make_pc, mat):
    A = mat(pympf.gallery.poisson((20, 18)))
    copy = A.copy()
    dense(make_pc(A))
    assert A.equal(copy)
    assert A.getType() == "seqaij"


# ---- inside other preconditioners ----------------------------------------------------------------


@pytest.fixture
def solve(PETSc, mat, tmp_path, rng):
    """Give a function that solves by mmf somewhere inside and returns the true residual.

    The solver may take `most` iterations.
    """

    def run(A, prepare=lambda ksp: None, most=None, **options):
        database = PETSc.Options("t_")
        for name, value in options.items():
            database[name] = value
        ksp = PETSc.KSP().create()
        ksp.setOptionsPrefix("t_")
        ksp.setOperators(A if isinstance(A, PETSc.Mat) else mat(A))
        ksp.setTolerances(rtol=1e-10)
        prepare(ksp)
        ksp.setFromOptions()
        matrix = ksp.getOperators()[0]
        x, b = matrix.createVecs()
        b.set(1)
        if matrix.getNullSpace().handle:
            b.array = rng.standard_normal(b.size)
            matrix.getNullSpace().remove(b)
        ksp.solve(b, x)
        for name in options:
            database.delValue(name)
        ksp.view(PETSc.Viewer().createASCII(str(tmp_path / "view")))
        assert "type: mmf" in (tmp_path / "view").read_text()
        assert ksp.getConvergedReason() > 0
        assert most is None or ksp.getIterationNumber() <= most
        return (matrix * x - b).norm() / b.norm()

    return run


def test_in_block_jacobi(solve):
    A = pympf.gallery.poisson((20, 18))
    options = {"pc_type": "bjacobi", "pc_bjacobi_blocks": 3, "sub_pc_type": "mmf"}
    assert solve(A, ksp_type="cg", **options, sub_pc_mmf_coarse_size=30) < 1e-8


def test_in_fieldsplit(PETSc, solve):
    A, E = pympf.gallery.poisson((20, 18)), sp.eye_array(360)

    def split(ksp):
        ksp.getPC().setType("fieldsplit")
        fields = (PETSc.IS().createStride(360, first=i * 360, step=1) for i in range(2))
        ksp.getPC().setFieldSplitIS(*zip("01", fields, strict=True))

    options = {f"fieldsplit_{i}_pc_type": "mmf" for i in range(2)}
    assert solve(sp.block_array([[A, E], [E, 2 * A]]), split, **options) < 1e-7


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


# ---- what the user says of the matrix ------------------------------------------------------------


def coordinates(shape):
    return np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, 2) * 1.0


def rigid_body(PETSc, shape):
    points = PETSc.Vec().createWithArray(coordinates(shape).ravel(), bsize=2)
    return PETSc.NullSpace().createRigidBody(points)


@pytest.mark.parametrize("kind", ["aij", "sbaij", "baij"])
def test_elasticity(PETSc, mat, solve, kind):
    """Two unknowns at each node, and the rigid-body modes as the near-nullspace."""
    A = mat(pympf.gallery.elasticity((60, 60)), block=2)
    A.setOption(PETSc.Mat.Option.SYMMETRIC, True)
    A.convert(kind)
    A.setNearNullSpace(rigid_body(PETSc, (60, 60)))
    assert solve(A, ksp_type="cg", pc_type="mmf", most=15) < 1e-8


def test_free_elastic_body(PETSc, mat, solve):
    """Singular: the modes are its kernel, and KSP projects them out."""
    A = mat(pympf.gallery.elasticity((60, 60), clamped=False), block=2)
    A.setNullSpace(rigid_body(PETSc, (60, 60)))
    assert solve(A, ksp_type="cg", pc_type="mmf", most=15) < 1e-8


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


def test_jumps(solve):
    options = {"ksp_type": "cg", "pc_type": "mmf", "pc_mmf_method": "multilevel"}
    assert solve(grid_with_jumps(100, True), **options, most=15) < 1e-5


@pytest.mark.parametrize("ksp", ["cg", "minres", "gmres"])
@pytest.mark.parametrize("jumps", [False, True])
def test_neumann(PETSc, mat, solve, ksp, jumps):
    n = 100
    P = pympf.gallery.poisson((n, n))
    A = pympf.gallery.laplacian(sp.csr_array(abs(P - sp.diags_array(P.diagonal()))))
    matrix = mat(grid_with_jumps(n, False) if jumps else A)
    matrix.setNullSpace(PETSc.NullSpace().create(constant=True))
    assert solve(matrix, ksp_type=ksp, pc_type="mmf", most=15) < 1e-7


def test_two_components(PETSc, mat, solve):
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
    assert solve(matrix, ksp_type="cg", pc_type="mmf") < 1e-8


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
