"""The preconditioner from petsc4py on several ranks: test_ranks.py starts the jobs."""

import re

import numpy as np
import pytest
import scipy.sparse as sp
from mpi4py import MPI
from petsc4py import PETSc

import pympf
import pympf.petsc

pympf.petsc.register()
pytestmark = pytest.mark.mpi
COMM = MPI.COMM_WORLD
ROUNDING = 256 * np.finfo(float).eps
ARG_WRONG, SUP = 62, 56
LEVELS = {"method": "multilevel", "coarse_size": 20}
METHODS = [{}, LEVELS, {"method": "ict"}, {"method": "jacobi"}, {"method": "classic"}]


def even(rows):
    """Give as many rows to each rank, up to one."""
    return np.diff(np.arange(COMM.size + 1) * rows // COMM.size)


def distributed(A, block=1, counts=None):
    """Distribute a matrix that every rank has."""
    A = sp.csr_array(A, dtype=float)
    counts = even(A.shape[0] // block) * block if counts is None else np.array(counts)
    last = counts[: COMM.rank + 1].sum()
    own = A[last - counts[COMM.rank] : last]
    csr = own.indptr.astype(PETSc.IntType), own.indices.astype(PETSc.IntType), own.data
    size = (own.shape[0], A.shape[0])
    return PETSc.Mat().createAIJ((size, size), bsize=block, csr=csr, comm=COMM)


@pytest.fixture
def options():
    database, names = PETSc.Options(), []

    def set_options(**params):
        for name, value in params.items():
            names.append(f"pc_mmf_{name}")
            database[names[-1]] = value

    yield set_options
    for name in names:
        database.delValue(name)


def make_pc(matrix):
    pc = PETSc.PC().create(matrix.comm)
    pc.setType("mmf")
    pc.setOperators(matrix)
    pc.setFromOptions()
    return pc


def whole(v):
    return np.concatenate(COMM.allgather(v.array.copy()))


def dense(pc):
    """Give the preconditioner as an array, on all ranks."""
    x, y = pc.getOperators()[1].createVecs()
    first, last = x.getOwnershipRange()
    columns = []
    for i in range(x.size):
        x.array = np.arange(first, last) == i
        pc.apply(x, y)
        columns.append(whole(y))
    return np.array(columns).T.reshape(x.size, x.size)


def assert_spd(M):
    assert np.isfinite(M).all()
    assert np.abs(M - M.T).max(initial=0) <= ROUNDING * np.abs(M).max(initial=0)
    assert (np.linalg.eigvalsh(M) > 0).all()


def solve(matrix, prepare=lambda ksp: None, most=None, rtol=1e-10, **params):
    """Solve for a right-hand side that no symmetry makes easy; return the true residual."""
    database = PETSc.Options("t_")
    for name, value in params.items():
        database[name] = value
    ksp = PETSc.KSP().create(matrix.comm)
    ksp.setOptionsPrefix("t_")
    ksp.setOperators(matrix)
    ksp.setTolerances(rtol=rtol)
    prepare(ksp)
    ksp.setFromOptions()
    x, b = matrix.createVecs()
    b.array = np.sin(np.arange(*b.getOwnershipRange()))
    if matrix.getNullSpace().handle:
        matrix.getNullSpace().remove(b)
    ksp.solve(b, x)
    for name in params:
        database.delValue(name)
    assert ksp.getConvergedReason() > 0
    assert most is None or ksp.getIterationNumber() <= most
    return (matrix * x - b).norm() / b.norm()


def test_the_job_has_the_ranks_it_should():
    assert COMM.size > 1


# ---- Dirichlet rows ------------------------------------------------------------------------------


def zero_rows(matrix, shape, how):
    """Make the border of a grid Dirichlet rows, as `how` says."""
    grid = np.arange(np.prod(shape)).reshape(shape)
    border = np.setdiff1d(grid, grid[1:-1, 1:-1])
    first, last = matrix.getOwnershipRange()
    rows = border[(border >= first) & (border < last)].astype(PETSc.IntType)
    matrix.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, "keep" in how)
    if "columns" in how:
        matrix.zeroRowsColumns(rows, 2.0)
    else:
        matrix.zeroRows(rows, -3.0 if "negative" in how else 2.0)


@pytest.mark.parametrize(
    ("how", "ksp_type", "method"),
    [
        ("rows", "cg", "auto"),
        ("rows", "cg", "multilevel"),
        ("rows, keep", "cg", "classic"),
        ("rows, keep", "minres", "multilevel"),
        ("rows and columns", "cg", "multilevel"),
        ("rows, negative", "cg", "multilevel"),
        ("rows, negative", "cg", "classic"),
        ("rows, negative, keep", "cg", "classic"),
        ("rows, negative", "minres", "classic"),
        ("rows, negative", "gmres", "classic"),
        ("rows, negative", "cg", "ict"),
        ("rows, negative", "cg", "jacobi"),
        ("rows, negative", "gmres", "multilevel"),
        ("rows", "gmres", "auto"),
        ("rows", "fgmres", "ict"),
    ],
)
def test_dirichlet_rows(how, ksp_type, method):
    matrix = distributed(pympf.gallery.poisson((20, 18)))
    zero_rows(matrix, (20, 18), how)
    params = {"ksp_type": ksp_type, "pc_type": "mmf", "pc_mmf_method": method}
    most = 100 if method in ("classic", "jacobi") else 30
    assert solve(matrix, most=most, rtol=1e-9, **params) < 1e-7


def test_dirichlet_rows_in_other_formats_and_from_a_guess():
    matrix = distributed(pympf.gallery.poisson((20, 18)))
    zero_rows(matrix, (20, 18), "rows")
    params = {"ksp_type": "cg", "pc_type": "mmf", "pc_mmf_method": "multilevel"}
    assert solve(matrix.convert("baij", out=PETSc.Mat()), most=30, **params) < 1e-8
    guess = {"ksp_initial_guess_nonzero": True}
    assert solve(matrix, most=30, **params, **guess) < 1e-8
    symmetric = distributed(pympf.gallery.poisson((20, 18)))
    zero_rows(symmetric, (20, 18), "rows and columns")
    assert solve(symmetric.convert("sbaij", out=PETSc.Mat()), most=30, **params) < 1e-8


def test_new_values_and_other_dirichlet_rows():
    matrix = distributed(pympf.gallery.poisson((20, 18)))
    matrix.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
    ksp = PETSc.KSP().create(matrix.comm)
    ksp.setOperators(matrix)
    ksp.setType("cg")
    ksp.setTolerances(rtol=1e-10)
    ksp.getPC().setType("mmf")
    x, b = matrix.createVecs()
    for step in range(4):
        first, last = matrix.getOwnershipRange()
        if step > 0:  # none, then some, then others, then the same with other values
            rows = np.arange(first, last)[:: min(step, 2) + 3].astype(PETSc.IntType)
            matrix.zeroRows(rows, 1.0 + step)
        b.array = np.sin(step + np.arange(first, last))
        ksp.solve(b, x)
        assert ksp.getConvergedReason() > 0
        assert (matrix * x - b).norm() <= 1e-8 * b.norm()
        assert not ksp.getInitialGuessNonzero()


# ---- the same numbers as in Python ---------------------------------------------------------------


@pytest.mark.parametrize("params", METHODS, ids=str)
def test_same_as_preconditioner(options, params):
    A = pympf.gallery.poisson((20, 18))
    options(**params)
    matrix = distributed(A)
    pc = make_pc(matrix)
    x, y = matrix.createVecs()
    x.array = np.sin(np.arange(*x.getOwnershipRange()))
    precision = {} if params.get("method") == "classic" else {"precision": "working"}
    own = A[slice(*matrix.getOwnershipRange())]
    expected = pympf.as_preconditioner(own, comm=COMM, **precision, **params) @ x.array
    for apply in (pc.apply, pc.applyTranspose):
        y.set(0)
        apply(x, y)
        assert np.array_equal(y.array, expected)


@pytest.mark.parametrize("params", [LEVELS, {"method": "classic", "core_size": 30}], ids=str)
def test_blocks_of_vectors(options, params):
    options(**params)
    matrix = distributed(pympf.gallery.poisson((12, 10)))
    pc = make_pc(matrix)
    rows = matrix.getLocalSize()[0]
    X = PETSc.Mat().createDense(((rows, 120), 5), comm=COMM)
    X.setUp()
    X.getDenseArray()[:] = np.cos(np.arange(rows * 5)).reshape(rows, 5)
    X.assemble()
    Y = X.duplicate()
    pc.matApply(X, Y)
    block = np.vstack(COMM.allgather(X.getDenseArray()))
    expected = (dense(pc) @ block)[slice(*matrix.getOwnershipRange())]
    assert np.abs(Y.getDenseArray() - expected).max() <= ROUNDING * np.abs(expected).max()


# ---- how the rows may lie ------------------------------------------------------------------------


@pytest.mark.parametrize("params", METHODS, ids=str)
@pytest.mark.parametrize("owner", ["first", "last", "none in between"])
def test_ranks_without_rows(options, params, owner):
    A = pympf.gallery.poisson((9, 8))
    counts = np.zeros(COMM.size, int)
    counts[0 if owner == "first" else -1] = 72
    if owner == "none in between":
        counts[0] = counts[-1] = 36
    options(**params)
    assert_spd(dense(make_pc(distributed(A, counts=counts))))


@pytest.mark.parametrize("params", METHODS, ids=str)
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_more_ranks_than_rows(options, params, rows):
    A = sp.csr_array(np.eye(rows) * 3 - np.ones((rows, rows)))
    options(**params)
    M = dense(make_pc(distributed(A)))
    assert_spd(M)
    if params.get("method") not in ("jacobi", "ict"):  # these see the block of each rank only
        assert np.abs(M @ A - np.eye(rows)).max(initial=0) <= ROUNDING


def test_a_communicator_of_some_of_the_ranks():
    part = COMM.Split(COMM.rank % 2, COMM.rank)
    if COMM.rank % 2 == 0:
        A = PETSc.Mat().createAIJ((50, 50), comm=part)
        A.setUp()
        for i in range(*A.getOwnershipRange()):
            A[i, i] = 2 + i
        A.assemble()
        assert solve(A, ksp_type="cg", pc_type="mmf") < 1e-9
        A.destroy()
    part.Free()


@pytest.mark.parametrize("kind", ["baij", "sbaij", "dense"])
def test_formats_give_the_same(options, kind):
    options(**LEVELS)
    A = pympf.gallery.elasticity((8, 7))
    matrix = distributed(A, block=2)
    expected = dense(make_pc(matrix))
    matrix.setOption(PETSc.Mat.Option.SYMMETRIC, True)
    other = matrix.convert(kind, out=PETSc.Mat())
    if kind == "dense":
        other.setBlockSize(2)
    assert np.abs(dense(make_pc(other)) - expected).max() <= ROUNDING * np.abs(expected).max()


def test_nested_matrix(options):
    options(**LEVELS)
    P = pympf.gallery.poisson((9, 8))
    nest = PETSc.Mat().createNest(
        [[distributed(P), distributed(P * 0.1)], [distributed(P * 0.1), distributed(P)]], comm=COMM
    )
    assert solve(nest, ksp_type="cg", pc_type="mmf") < 1e-9


# ---- what the user says of the matrix ------------------------------------------------------------


def rigid_body(shape):
    rows = even(shape[0] * shape[1])
    last = rows[: COMM.rank + 1].sum()
    points = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, 2) * 1.0
    v = PETSc.Vec().createMPI((rows[COMM.rank] * 2, None), bsize=2, comm=COMM)
    v.array = points[last - rows[COMM.rank] : last].ravel()
    return PETSc.NullSpace().createRigidBody(v)


@pytest.mark.parametrize("kind", ["aij", "sbaij", "baij"])
@pytest.mark.parametrize("clamped", [True, False])
def test_elasticity(kind, clamped):
    shape = (60, 60)
    A = distributed(pympf.gallery.elasticity(shape, clamped=clamped), block=2)
    A.setOption(PETSc.Mat.Option.SYMMETRIC, True)
    A = A.convert(kind, out=PETSc.Mat()) if kind != "aij" else A
    (A.setNearNullSpace if clamped else A.setNullSpace)(rigid_body(shape))
    assert solve(A, ksp_type="cg", pc_type="mmf", most=18) < 1e-8


@pytest.mark.parametrize("ksp", ["cg", "minres", "gmres"])
def test_neumann(ksp):
    P = pympf.gallery.poisson((60, 60))
    A = distributed(pympf.gallery.laplacian(sp.csr_array(abs(P - sp.diags_array(P.diagonal())))))
    A.setNullSpace(PETSc.NullSpace().create(constant=True, comm=COMM))
    assert solve(A, ksp_type=ksp, pc_type="mmf", most=18) < 1e-7


def view_of(pc, tmp_path):
    path = COMM.bcast(str(tmp_path / "view"))
    viewer = PETSc.Viewer().createASCII(path, comm=pc.comm)
    pc.view(viewer)
    viewer.destroy()
    COMM.Barrier()
    with open(path) as text:
        return text.read()


def test_modes_of_a_rank_without_rows(options, tmp_path):
    """It has no part of them to tell from that there are some."""
    options(**LEVELS)
    counts = [144, *[0] * (COMM.size - 1)]
    A = distributed(pympf.gallery.poisson((12, 12)), counts=counts)
    v = A.createVecRight()
    v.set(1 / 12)
    A.setNearNullSpace(PETSc.NullSpace().create(vectors=[v], comm=COMM))
    pc = make_pc(A)
    assert_spd(dense(pc))
    assert "1 vector of the near-null space of the matrix" in view_of(pc, tmp_path)


def test_view_counts_ranks(options, tmp_path):
    options(**LEVELS, rows_per_rank=200)
    pc = make_pc(distributed(pympf.gallery.poisson((60, 60))))
    pc.setUp()
    text = view_of(pc, tmp_path)
    ranks = [int(n) for n in re.findall(r"^ +\d+ +\d+ +\d+ +\d+ +(\d+) +(?:yes|no) ", text, re.M)]
    assert ranks[0] == COMM.size
    assert ranks[-1] == 1
    assert f" MB on {COMM.size} ranks" in text


# ---- inside other preconditioners and nonlinear and time-dependent solvers -----------------------


def split_fields(ksp):
    """Split the unknowns 2 i and 2 i + 1."""
    n = ksp.getOperators()[0].getLocalSize()[0] // 2
    first = ksp.getOperators()[0].getOwnershipRange()[0]
    fields = [PETSc.IS().createStride(n, first + i, 2, comm=COMM) for i in range(2)]
    ksp.getPC().setType("fieldsplit")
    ksp.getPC().setFieldSplitIS(*zip("01", fields, strict=True))


@pytest.mark.parametrize("kind", ["additive", "multiplicative", "schur"])
def test_in_fieldsplit(kind):
    A = sp.kron(pympf.gallery.poisson((20, 18)), [[2.0, 0.5], [0.5, 3.0]])
    options = {f"fieldsplit_{i}_pc_type": "mmf" for i in range(2)}
    options |= {"pc_fieldsplit_type": kind, "pc_fieldsplit_schur_precondition": "a11"}
    assert solve(distributed(A, block=2), split_fields, ksp_type="fgmres", **options) < 1e-8


def test_in_a_saddle_point_problem():
    """The first block is taken by mmf, the second by mmf of an approximate Schur complement."""
    A = pympf.gallery.poisson((20, 18))
    rows = sp.kron(A, [[1.0, 0.0], [0.0, 0.0]]) + sp.kron(
        sp.eye_array(360), [[0.0, 1.0], [1.0, -1.0]]
    )
    options = {f"fieldsplit_{i}_pc_type": "mmf" for i in range(2)}
    options |= {"pc_fieldsplit_type": "schur", "pc_fieldsplit_schur_precondition": "selfp"}
    assert solve(distributed(rows, block=2), split_fields, ksp_type="fgmres", **options) < 1e-8


@pytest.mark.parametrize("blocks", [1, COMM.size, 2 * COMM.size])
def test_in_block_jacobi(blocks):
    """One block over all ranks, one for each, two for each."""
    options = {"pc_type": "bjacobi", "pc_bjacobi_blocks": blocks, "sub_pc_type": "mmf"}
    A = distributed(pympf.gallery.poisson((20, 18)))
    assert solve(A, ksp_type="gmres", **options, sub_pc_mmf_coarse_size=30) < 1e-8


@pytest.mark.parametrize("outer", ["asm", "redundant", "telescope", "ksp"])
def test_in_others(outer):
    prefix = {"asm": "sub_", "ksp": "ksp_"}.get(outer, f"{outer}_")
    A = distributed(pympf.gallery.poisson((20, 18)))
    assert solve(A, ksp_type="fgmres", pc_type=outer, **{f"{prefix}pc_type": "mmf"}) < 1e-8


def test_in_newton_s_method():
    """-Laplace u = exp(u) on the unit square; the matrix gets new values in each step."""
    n = 40
    A = distributed(pympf.gallery.poisson((n, n)) * (n + 1.0) ** 2)
    J = A.duplicate(copy=True)

    def residual(snes, u, f):
        A.mult(u, f)
        f.array -= np.exp(u.array)

    def jacobian(snes, u, J, P):
        A.copy(P, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        d = P.getDiagonal()
        d.array -= np.exp(u.array)
        P.setDiagonal(d)
        P.assemble()
        return True

    u, f = A.createVecs()
    snes = PETSc.SNES().create(COMM)
    snes.setFunction(residual, f)
    snes.setJacobian(jacobian, J)
    snes.setTolerances(rtol=1e-10)
    ksp = snes.getKSP()
    ksp.setType("cg")
    ksp.setTolerances(rtol=1e-8)
    ksp.getPC().setType("mmf")
    snes.solve(None, u)
    assert snes.getConvergedReason() > 0
    assert 1 < snes.getIterationNumber() < 6
    assert snes.getLinearSolveIterations() <= 12 * snes.getIterationNumber()


def test_in_time_steps():
    """u' = -A u by backward Euler, against the closed formula for an eigenvector of A."""
    n, dt, steps = 30, 1e-3, 5
    A = distributed(pympf.gallery.poisson((n, n)))
    lowest = 4 - 4 * np.cos(np.pi / (n + 1))

    def residual(ts, t, u, u_t, f):
        A.mult(u, f)
        f.axpy(1, u_t)

    def jacobian(ts, t, u, u_t, shift, J, P):
        A.copy(P, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        P.shift(shift)
        return True

    u = A.createVecRight()
    i, j = np.divmod(np.arange(*u.getOwnershipRange()), n)
    u.array = np.sin(np.pi * (i + 1) / (n + 1)) * np.sin(np.pi * (j + 1) / (n + 1))
    start = u.copy()
    ts = PETSc.TS().create(COMM)
    ts.setType("beuler")
    ts.setIFunction(residual, u.duplicate())
    ts.setIJacobian(jacobian, A.duplicate(copy=True))
    ts.setTimeStep(dt)
    ts.setMaxSteps(steps)
    ts.setExactFinalTime(PETSc.TS.ExactFinalTime.STEPOVER)
    ts.getSNES().setTolerances(rtol=1e-10)
    ksp = ts.getSNES().getKSP()
    ksp.setType("cg")
    ksp.setTolerances(rtol=1e-12)
    ksp.getPC().setType("mmf")
    ts.solve(u)
    assert ts.getStepNumber() == steps
    u.axpy(-((1 + dt * lowest) ** -steps), start)
    assert u.norm() <= 1e-8 * start.norm()


# ---- errors: the same one on all ranks -----------------------------------------------------------


def spoilt(value, rank=-1):
    """Replace the first entry of a rank."""
    matrix = distributed(pympf.gallery.poisson((12, 12)))
    row = matrix.getOwnershipRange()[0]
    if COMM.rank == rank % COMM.size:
        matrix[row, row] = value
    matrix.assemble()
    return matrix


def assert_fails(call, code, says):
    with pytest.raises(PETSc.Error, match=says) as error:
        call()
    text = str(error.value).splitlines()[-1].partition("] ")[2]  # without petsc4py's own "[rank] "
    found = COMM.allgather((error.value.ierr, text))
    assert found == [found[0]] * COMM.size
    assert found[0][0] == code


@pytest.mark.parametrize("rank", [0, -1])
def test_an_entry_that_is_not_finite(rank):
    matrix = spoilt(np.nan, rank)
    first = COMM.bcast(matrix.getOwnershipRange()[0], root=rank % COMM.size)
    place = (
        f"rank {rank % COMM.size} of {COMM.size}: expected finite entries, got nan at i = {first}"
    )
    pc = make_pc(matrix)
    for call in (pc.setUp, lambda: pc.apply(*matrix.createVecs())):
        assert_fails(call, ARG_WRONG, place)
    pc.setOperators(spoilt(4))  # the object is usable again
    assert_spd(dense(pc))


@pytest.mark.parametrize("where", ["inside", "across"])
def test_asymmetric_is_refused_by_classic(where, options):
    options(method="classic")
    matrix = distributed(pympf.gallery.poisson((12, 12)))
    last = matrix.getOwnershipRange()[1] - 1
    if COMM.rank == 0:
        matrix[last, last + (12 if where == "across" else -12)] = -1.5
    matrix.assemble()
    row, column = sorted((last, last + (12 if where == "across" else -12)))
    place = COMM.bcast(f"i = {row}, j = {column}")
    says = rf"expected a symmetric matrix, got max\|a_ij - a_ji\| = 0.5 at {place} "
    assert_fails(make_pc(matrix).setUp, ARG_WRONG, says)


@pytest.mark.parametrize("where", ["inside", "across"])
def test_asymmetric(where):
    A = pympf.gallery.convection_diffusion(24, 300.0)
    matrix = distributed(A)
    last = matrix.getOwnershipRange()[1] - 1
    if COMM.rank == 0:
        matrix[last, last + (24 if where == "across" else -24)] = -1000.0
    matrix.assemble()
    ksp = PETSc.KSP().create(COMM)
    ksp.setOperators(matrix)
    ksp.setType("gmres")
    ksp.getPC().setType("mmf")
    ksp.setTolerances(rtol=1e-8, max_it=60)
    x, b = matrix.createVecs()
    b.set(1)
    ksp.solve(b, x)
    assert ksp.getConvergedReason() > 0
    assert (matrix * x - b).norm() <= 1e-5 * b.norm()


def test_wrong_modes_on_one_rank():
    matrix = distributed(pympf.gallery.poisson((12, 12)))
    v = matrix.createVecRight()
    v.set(1 / 12)
    space = PETSc.NullSpace().create(vectors=[v], comm=COMM)
    if COMM.rank == COMM.size - 1:
        v.array[0] = np.inf
    matrix.setNearNullSpace(space)
    rank = COMM.size - 1
    says = f"rank {rank} of {COMM.size}: the null space has the entry inf"
    assert_fails(make_pc(matrix).setUp, ARG_WRONG, says)


def test_columns_that_lie_otherwise_than_the_rows():
    sizes = [(10, 0)[COMM.rank > 0], (0, 10)[COMM.rank == COMM.size - 1]]
    A = PETSc.Mat().createAIJ(((sizes[0], 10), (sizes[1], 10)), comm=COMM)
    A.setUp()
    A.assemble()
    assert_fails(make_pc(A).setUp, ARG_WRONG, "as many columns as rows on each rank")


def test_matrix_free():
    matrix = PETSc.Mat().create(COMM)
    matrix.setSizes(((4, None), (4, None)))
    matrix.setType("shell")
    matrix.setUp()
    assert_fails(make_pc(matrix).setUp, SUP, "needs the entries of the matrix")


# ---- set up again --------------------------------------------------------------------------------


@pytest.mark.parametrize("params", METHODS, ids=str)
def test_new_values(options, params):
    """The same numbers as from an update in Python: the scaling functions (rotations) are kept."""
    old = pympf.gallery.poisson((12, 10)).tocsr()
    new = sp.csr_array(old + sp.diags_array(np.linspace(0, 1, 120)))
    A, B = distributed(old), distributed(new)
    options(**params)
    pc = make_pc(A)
    before = dense(pc)
    B.copy(A, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
    found = dense(pc)
    assert_spd(found)
    assert not np.array_equal(found, before)
    own = slice(*A.getOwnershipRange())
    precision = {} if params.get("method") == "classic" else {"precision": "working"}
    M = pympf.as_preconditioner(old[own], comm=COMM, **precision, **params)
    M.update(new[own])
    expected = [np.concatenate(COMM.allgather(M @ unit[own])) for unit in np.eye(120)]
    assert np.array_equal(found, np.array(expected).T)


# ---- repartitioning ------------------------------------------------------------------------------


def shuffled(block):
    """Make a matrix whose nodes are numbered at random, which nobody would cut into ranges."""
    shape = (40, 30)
    A = pympf.gallery.poisson(shape) if block == 1 else pympf.gallery.elasticity(shape)
    nodes = np.random.default_rng(0).permutation(1200)
    order = (nodes[:, None] * block + np.arange(block)).ravel()
    return A.tocsr()[order][:, order]


@pytest.mark.parametrize("block", [1, 2])
def test_repartitioned(options, block):
    """Rows go where a partitioner puts them, entries of vectors follow, results come back."""
    A = shuffled(block)
    n = A.shape[0]
    options(method="multilevel", repartition=True)
    matrix = distributed(A, block)
    pc = make_pc(matrix)
    own = slice(*matrix.getOwnershipRange())
    x, y, Mx, My = (matrix.createVecLeft() for _ in range(4))
    x.array, y.array = (f(np.arange(n) ** 1.5)[own] for f in (np.sin, np.cos))
    pc.apply(x, Mx)
    pc.apply(y, My)
    assert abs(y.dot(Mx) - x.dot(My)) <= 1e-12 * x.norm() * My.norm()
    assert x.dot(Mx) > 0
    before = Mx.array.copy()
    matrix.scale(2)  # new values
    pc.apply(x, Mx)
    assert np.array_equal(Mx.array, before / 2)


@pytest.mark.parametrize("block", [1, 2])
def test_repartitioned_rows_need_the_iterations_of_one_rank(block):
    A = shuffled(block)
    b = np.sin(np.arange(A.shape[0]))
    more = {"method": "multilevel", "precision": "working", "block_size": block}
    M = pympf.as_preconditioner(A, **more)
    alone = pympf.solve(A, b, preconditioner=M, rtol=1e-10).iterations
    most = int(1.3 * alone + 2)
    options = {"ksp_type": "cg", "pc_type": "mmf", "pc_mmf_method": "multilevel"}
    residual = solve(distributed(A, block), most=most, pc_mmf_repartition=True, **options)
    assert residual < 1e-8
    if block == 1:
        with pytest.raises(AssertionError):
            solve(distributed(A, block), most=most, **options)


def test_rows_in_random_order_are_moved_by_themselves():
    """Half of the couplings would cross ranks: the view says what was done, and what is gained."""
    A = pympf.gallery.poisson((70, 70))
    order = np.random.default_rng(0).permutation(4900)
    A = A.tocsr()[order][:, order]
    options = {"ksp_type": "cg", "pc_type": "mmf", "pc_mmf_method": "multilevel"}
    assert solve(distributed(A), most=10, **options) < 1e-8
    with pytest.raises(AssertionError):
        solve(distributed(A), most=10, pc_mmf_most_cut=1, **options)


def test_the_partitioner_may_be_chosen(options):
    database = PETSc.Options()
    database["mat_partitioning_type"] = "current"
    options(repartition=True)
    pc = make_pc(distributed(pympf.gallery.poisson((12, 12))))
    assert_fails(pc.setUp, SUP, "needs a graph partitioner")
    database["mat_partitioning_type"] = "average"
    assert_spd(dense(pc))
    database.delValue("mat_partitioning_type")


def test_another_size_after_reset(options):
    options(**LEVELS)
    pc = make_pc(distributed(pympf.gallery.poisson((12, 10))))
    pc.setUp()
    other = distributed(pympf.gallery.poisson((8, 7)))
    pc.reset()
    pc.setOperators(other)
    assert np.array_equal(dense(pc), dense(make_pc(other)))


def test_many_objects_on_many_communicators():
    """What is made for a communicator goes with it."""
    for _ in range(300):
        comm = COMM.Dup()
        A = PETSc.Mat().createAIJ((8, 8), comm=comm)
        A.setUp()
        A.assemble()
        A.shift(1)
        pc = make_pc(A)
        pc.setUp()
        pc.destroy()
        A.destroy()
        comm.Free()
