"""Solving over the ranks of a communicator: the answers of one rank, with nearly its iterations."""

import re
import sys

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf import gallery
from pympf._partition import find_parts

pytest.importorskip("mpi4py")
from mpi4py import MPI

pytestmark = pytest.mark.mpi
COMM = MPI.COMM_WORLD


def ranges(n, block=1):
    """Give this rank's rows: rank r has about r + 1 shares, the second of several none."""
    shares = np.array([0 if r == 1 and COMM.size > 2 else r + 1 for r in range(COMM.size)])
    ends = np.concatenate([[0], np.cumsum(shares)]) * (n // block) // shares.sum() * block
    return slice(int(ends[COMM.rank]), int(ends[COMM.rank + 1]))


def gather(x):
    return np.concatenate(COMM.allgather(x))


def laplacian_of_geometric_graph():
    return gallery.laplacian(gallery.random_geometric_graph(3000, seed=3), shift=1e-3)


MATRICES = {
    "2-D": lambda: gallery.poisson((60, 50)),
    "3-D": lambda: gallery.poisson((14, 13, 12)),
    "graph": laplacian_of_geometric_graph,
    "float32": lambda: gallery.poisson((40, 40)).astype(np.float32),
    "dense": lambda: gallery.poisson((8, 7)),
}


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("preconditioner", ["mmf", "multilevel", "ict", "jacobi", "classic"])
def test_the_answer_of_one_rank(name, preconditioner):
    A = MATRICES[name]().tocsr()
    rows = ranges(A.shape[0])
    b = np.sin(1.0 + np.arange(A.shape[0])).astype(A.dtype)
    alone = pympf.solve(A, b, preconditioner=preconditioner)
    found = pympf.solve(A[rows], b[rows], comm=COMM, preconditioner=preconditioner)
    assert found.converged == alone.converged
    assert found.x.shape == (rows.stop - rows.start,)
    assert len(set(COMM.allgather((found.reason, found.iterations, found.choice)))) == 1
    tolerance = 1e-6 if A.dtype == np.float64 else 1e-2
    np.testing.assert_allclose(gather(found.x), alone.x, atol=tolerance * abs(alone.x).max())
    b_norm = np.linalg.norm(b)
    residual = np.linalg.norm(b - A @ gather(found.x)) / b_norm
    assert residual == pytest.approx(found.true_residual, abs=1e-6)
    if preconditioner == "multilevel":
        assert found.iterations <= 1.2 * alone.iterations + 3


@pytest.mark.parametrize("preconditioner", ["mmf", "jacobi", "none"])
def test_least_squares_on_components_that_ranks_share(preconditioner):
    graph = gallery.laplacian(gallery.random_geometric_graph(300, seed=3, degree=12))
    order = np.random.default_rng(0).permutation(901)
    A = sp.csr_array(sp.block_diag([graph] * 3 + [sp.csr_array((1, 1))]))[order][:, order]
    b = np.sin(1.0 + np.arange(901.0))
    parts = sp.csgraph.connected_components(A)[1]
    outside = (np.bincount(parts, b) / np.bincount(parts))[parts]
    rows = ranges(901)
    found = pympf.solve(A[rows], b[rows], comm=COMM, preconditioner=preconditioner)
    assert found.reason == "diverged_inconsistent"
    assert found.true_residual == pytest.approx(np.linalg.norm(outside) / np.linalg.norm(b))
    np.testing.assert_allclose(A @ gather(found.x), b - outside, atol=1e-5)


@pytest.mark.parametrize("preconditioner", ["mmf", "multilevel", "jacobi"])
def test_least_squares_of_a_free_sheet(preconditioner):
    A = gallery.elasticity((12, 13), clamped=False)
    kernel = pympf.rigid_body_modes([(i, j) for i in range(12) for j in range(13)])
    b = np.sin(1.0 + np.arange(312.0))
    outside = kernel @ np.linalg.lstsq(kernel, b)[0]
    rows = ranges(312)
    found = pympf.solve(A[rows], b[rows], comm=COMM, preconditioner=preconditioner)
    assert found.reason == "diverged_inconsistent"
    assert found.true_residual == pytest.approx(np.linalg.norm(outside) / np.linalg.norm(b))
    np.testing.assert_allclose(A @ gather(found.x), b - outside, atol=1e-6)


@pytest.mark.parametrize("size", [1e8, 1e30])
@pytest.mark.parametrize("method", ["auto", "minres", "gmres"])
def test_penalty_rows(size, method):
    A = gallery.poisson((25, 25))
    held = np.arange(625) % 11 == 0
    B = sp.csr_array(A + sp.diags_array(np.where(held, size, 0.0)))
    b = 0.01 + held * size
    alone = pympf.solve(B, b, method=method)
    rows = ranges(625)
    found = pympf.solve(B[rows], b[rows], comm=COMM, method=method)
    assert found.converged
    assert found.norm == alone.norm == "row_scaled"
    np.testing.assert_allclose(gather(found.x), alone.x, atol=1e-6)


@pytest.mark.parametrize("preconditioner", ["mmf", "ict", "jacobi"])
def test_rows_scaled_from_both_sides(preconditioner):
    rng = np.random.default_rng(3)
    S, D = gallery.poisson((12, 13)), 10.0 ** rng.uniform(-10, 10, 156)
    A = sp.csr_array(sp.diags_array(D) @ S @ sp.diags_array(D))
    b = rng.standard_normal(156)
    expected = np.linalg.solve(S.toarray(), b / D) / D
    for rows in (ranges(156), slice(0, 156 if COMM.rank == 0 else 0)):  # the others are empty
        rows = rows if rows.stop else slice(156, 156)
        found = pympf.solve(A[rows], b[rows], comm=COMM, preconditioner=preconditioner)
        assert found.converged
        assert found.norm == "balanced"
        assert abs(gather(found.x) - expected).max() <= 1e-9 * abs(expected).max()
    b = (A @ np.ones(156))[ranges(156)]
    found = pympf.solve(A[ranges(156)], b, comm=COMM, preconditioner=preconditioner)
    assert found.reason == "diverged_stagnated"  # x is rounding of b


@pytest.mark.parametrize("exponent", [-900, 900])
def test_any_scale(exponent):
    A = gallery.poisson((20, 20))
    rows, s = ranges(400), 2.0**exponent
    b = np.sin(1.0 + np.arange(400.0))[rows]
    plain = pympf.solve(A[rows], b, comm=COMM)
    assert (pympf.solve(A[rows], b * s, comm=COMM).x == plain.x * s).all()
    assert (pympf.solve(sp.csr_array(A[rows] * s), b, comm=COMM).x == plain.x / s).all()


@pytest.mark.parametrize(
    "params",
    [
        {"cycle": "w"},
        {"cycle": "k"},
        {"cycle": "additive"},
        {"smoother": "gs"},
        {"smoother": "chebyshev"},
        {"smoother": "l1_jacobi"},
        {"rows_per_rank": 1},
    ],
    ids=str,
)
def test_every_cycle_and_smoother(params):
    A = gallery.poisson((50, 40)).tocsr()
    rows = ranges(2000)
    found = pympf.solve(
        A[rows], np.ones(2000)[rows], comm=COMM, preconditioner="multilevel", **params
    )
    assert found.converged
    assert found.iterations <= 45
    np.testing.assert_allclose(A @ gather(found.x), np.ones(2000), atol=1e-6)


def test_elasticity_with_rigid_body_modes():
    A = gallery.elasticity((20, 12)).tocsr()
    x, y = np.meshgrid(np.arange(21.0), np.arange(13.0), indexing="ij")
    points = np.column_stack([x.ravel(), y.ravel()])
    n = A.shape[0]
    points = points[-(n // 2) :]
    modes = pympf.rigid_body_modes(points)
    rows = ranges(n, block=2)
    found = pympf.solve(
        A[rows],
        np.ones(n)[rows],
        comm=COMM,
        preconditioner="multilevel",
        near_nullspace=modes[rows],
        block_size=2,
    )
    alone = pympf.solve(
        A, np.ones(n), preconditioner="multilevel", near_nullspace=modes, block_size=2
    )
    assert found.converged
    assert found.iterations <= 1.3 * alone.iterations + 3


def test_the_factor_with_a_lowered_diagonal_is_for_one_rank():
    """It lacks the couplings of ranks, so its iterations would grow with them: 31, 46, 50, ..."""
    A = gallery.poisson((40, 40, 40)).tocsr()
    n = A.shape[0]
    b = np.random.default_rng(0).standard_normal(n)
    rows = ranges(n)
    M = pympf.as_preconditioner(A[rows], comm=COMM, method="ict", compensation="lower")
    assert (M.plan.variant == "lowered") == (COMM.size == 1)
    if COMM.size == 1:
        assert pympf.solve(A[rows], b[rows], comm=COMM, preconditioner=M).iterations <= 34
    else:
        levels = pympf.solve(A[rows], b[rows], comm=COMM, solves=10)
        assert levels.iterations <= 10


def test_singular_and_indefinite():
    A = gallery.laplacian(gallery.random_geometric_graph(1500, seed=5)).tocsr()
    b = A @ np.cos(np.arange(1500.0))
    rows = ranges(1500)
    found = pympf.solve(A[rows], b[rows], comm=COMM)
    assert found.converged
    B = (gallery.poisson((30, 30)) - 0.03 * sp.eye_array(900)).tocsr()
    rows = ranges(900)
    found = pympf.solve(B[rows], np.ones(900)[rows], comm=COMM, definite=True)
    assert found.method == "minres"
    assert found.converged
    np.testing.assert_allclose(B @ gather(found.x), np.ones(900), atol=1e-5)


def test_a_saddle_point():
    F = gallery.poisson((24, 24)).tocsr()
    n = F.shape[0]
    B = sp.eye_array(n // 4, n, k=7) - sp.eye_array(n // 4, n, k=8)
    A = sp.csr_array(sp.block_array([[F, B.T], [B, None]]))
    b = np.sin(np.arange(1.0, A.shape[0] + 1))
    rows = ranges(A.shape[0])
    alone = pympf.solve(A, b, definite=True)
    found = pympf.solve(A[rows], b[rows], comm=COMM, definite=True)
    assert found.converged
    assert found.method == "minres"
    assert "saddle point" in found.choice
    assert found.iterations <= 1.3 * alone.iterations + 5
    assert np.linalg.norm(b - A @ gather(found.x)) <= 1.01e-7 * np.linalg.norm(b)


def test_nodes_are_found():
    A = gallery.elasticity((24, 20)).tocsr()
    n = A.shape[0]
    options = {"preconditioner": "multilevel"}
    rows = ranges(n, block=2)
    found = pympf.solve(A[rows], np.ones(n)[rows], comm=COMM, **options)
    told = pympf.solve(A[rows], np.ones(n)[rows], comm=COMM, block_size=2, **options)
    assert "found nodes of 2 rows" in found.choice
    np.testing.assert_array_equal(found.x, told.x)
    cut = np.array_split(np.arange(n), [n // 2 + 1] * (COMM.size > 1) + [n] * (COMM.size - 2))
    mine = slice(cut[COMM.rank][0], cut[COMM.rank][-1] + 1) if len(cut[COMM.rank]) else slice(0, 0)
    split = pympf.solve(A[mine], np.ones(n)[mine], comm=COMM, **options)
    assert split.converged
    assert ("nodes" in split.choice) == (COMM.size == 1)


@pytest.mark.parametrize("method", ["auto", "fcg", "fgmres"])
def test_flexible_methods(method):
    A = gallery.poisson((50, 40)).tocsr()
    rows = ranges(2000)
    options = {"preconditioner": "multilevel", "cycle": "k", "method": method}
    found = pympf.solve(A[rows], np.ones(2000)[rows], comm=COMM, **options)
    alone = pympf.solve(A, np.ones(2000), **options)
    assert found.converged
    assert found.method == ("fcg" if method == "auto" else method)
    assert found.iterations <= 1.3 * alone.iterations + 3
    np.testing.assert_allclose(A @ gather(found.x), np.ones(2000), atol=1e-6)


def test_not_symmetric():
    A = gallery.poisson((20, 20)).tolil()
    A[3, 4] += 0.5
    A = A.tocsr()
    rows = ranges(400)
    b = np.ones(400)[rows]
    found = pympf.solve(A[rows], b, comm=COMM, preconditioner="jacobi")
    assert found.method == "gmres"
    np.testing.assert_allclose(A @ gather(found.x), np.ones(400), atol=1e-6)
    np.testing.assert_allclose(
        A @ gather(pympf.solve(A[rows], b, comm=COMM).x), np.ones(400), atol=1e-6
    )
    with pytest.raises(ValueError, match="expected a symmetric matrix"):
        pympf.solve(A[rows], b, comm=COMM, method="cg")


def test_more_ranks_than_rows():
    A = sp.csr_array(np.array([[2.0, -1.0], [-1.0, 2.0]]))
    rows = slice(min(COMM.rank, 2), min(COMM.rank + 1, 2)) if COMM.size > 1 else slice(0, 2)
    found = pympf.solve(A[rows], np.ones(2)[rows], comm=COMM)
    np.testing.assert_allclose(gather(found.x), [1.0, 1.0], rtol=1e-8)


def test_one_rank_owns_all():
    A = gallery.poisson((30, 30)).tocsr()
    rows = slice(0, 900) if COMM.rank == COMM.size - 1 else slice(0, 0)
    found = pympf.solve(A[rows], np.ones(900)[rows], comm=COMM, preconditioner="multilevel")
    assert found.converged


def test_a_preconditioner_is_symmetric_and_kept():
    A = gallery.poisson((40, 30)).tocsr()
    rows = ranges(1200)
    M = pympf.as_preconditioner(A[rows], comm=COMM, method="multilevel", precision="working")
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 1200))
    Mx, My = gather(M @ x[rows]), gather(M @ y[rows])
    assert y @ Mx == pytest.approx(x @ My, rel=1e-10)
    assert x @ Mx > 0
    assert M.report().levels[0]["ranks"] == sum(
        n > 0 for n in COMM.allgather(rows.stop - rows.start)
    )
    found = pympf.solve(A[rows], x[rows], comm=COMM, preconditioner=M)
    assert found.converged


PRECONDITIONERS = [
    {"method": "multilevel", "rows_per_rank": 100},
    {"method": "multilevel", "precision": "working", "coarse_size": 20},
    {"method": "multilevel", "smoother": "chebyshev"},
    {"method": "multilevel", "cycle": "additive"},
    {"method": "ict"},
    {"method": "jacobi"},
    {"method": "classic"},
]


@pytest.mark.parametrize("params", PRECONDITIONERS, ids=str)
@pytest.mark.parametrize("name", MATRICES)
def test_new_values(name, params):
    """What is kept fits the same values bit for bit, and their double by an exact half."""
    A = MATRICES[name]().tocsr()
    rows = ranges(A.shape[0])
    M = pympf.as_preconditioner(A[rows], comm=COMM, **params)
    r = np.cos(np.arange(A.shape[0])).astype(A.dtype)[rows]
    before = M @ r
    for factor in (2, 1):
        M.update(factor * A[rows])
        if params["method"] == "classic":
            np.testing.assert_allclose(M @ r, before / factor, rtol=1e-5, atol=1e-6)
        else:
            assert np.array_equal(M @ r, before / factor)


@pytest.mark.parametrize("name", ["2-D", "3-D", "graph"])
def test_iterations_with_new_values(name):
    """Nearly as many as on one rank, also where old scaling functions fit the values badly."""
    A = MATRICES[name]().tocsr()
    n = A.shape[0]
    D = sp.diags_array(np.sqrt(1 + np.random.default_rng(2).random(n)))
    B = (D @ A @ D).tocsr()
    counts = []
    for rows, comm in ((slice(0, n), None), (ranges(n), COMM)):
        M = pympf.as_preconditioner(A[rows], comm=comm, method="multilevel")
        M.update(B[rows])
        found = pympf.solve(B[rows], np.ones(n)[rows], comm=comm, preconditioner=M)
        counts.append(found.iterations)
    assert counts[1] <= 1.2 * counts[0] + 3


def test_new_values_on_another_pattern_are_refused():
    A = gallery.poisson((40, 30)).tocsr()
    rows = ranges(1200)
    M = pympf.as_preconditioner(A[rows], comm=COMM)
    before = M @ np.ones(1200)[rows]
    for other in (gallery.poisson((30, 40)).tocsr(), sp.csr_array(sp.eye_array(1200))):
        with pytest.raises(ValueError, match="with the rows and the pattern of the first one"):
            M.update(other[rows])
    assert np.array_equal(M @ np.ones(1200)[rows], before)


def test_what_is_not_symmetric_is_named_as_on_one_rank():
    A = gallery.poisson((10, 10)).tolil()
    for i, j, value in ((99, 0, 0.5), (42, 43, 7.0), (70, 60, 7.0)):
        A[i, j] = value
    A = A.tocsr()
    with pytest.raises(ValueError, match=r"\| = 8 at i = 42, j = 43 ") as alone:
        pympf.as_preconditioner(A, method="classic")
    with pytest.raises(ValueError, match="symmetric") as found:
        pympf.as_preconditioner(A[ranges(100)], comm=COMM, method="classic")
    assert str(found.value) == str(alone.value)


# ---- what is promised positive definite ---------------------------------------------------------


def contrast(width, low):
    """Make a grid whose edges have weight 1 or, most of them, `low`: strong clusters."""
    nodes = np.arange(width**2).reshape(width, width)
    i = np.concatenate([nodes[:, :-1].ravel(), nodes[:-1].ravel()])
    j = np.concatenate([nodes[:, 1:].ravel(), nodes[1:].ravel()])
    weights = np.where(np.random.default_rng(0).random(len(i)) < 0.7, low, 1.0)
    W = sp.coo_array((np.tile(weights, 2), (np.r_[i, j], np.r_[j, i])), shape=(width**2,) * 2)
    A = gallery.laplacian(W.tocsr()).tolil()
    A[0, 0] += 1
    return sp.csr_array(A)


def test_float32_is_left_where_strong_clusters_are_coupled_weakly():
    A = contrast(150, 1e-8)
    rows, b = ranges(22500), A @ np.sin(np.arange(22500))
    found = pympf.solve(A[rows], b[rows], comm=COMM)
    assert found.converged
    assert found.iterations <= 40
    assert not found.operator.report().single


def test_a_choice_that_fails_is_followed_by_the_next():
    A = gallery.poisson((160, 160)).tocsr()
    rows, b = ranges(25600), np.sin(np.arange(25600))
    M = pympf.as_preconditioner(A[rows], comm=COMM)
    matrix = pympf.la.Matrix(A[rows], COMM).compiled
    for method in ("multilevel", "ict", "jacobi"):
        assert M._compiled.fall_back(matrix, "failed")
        assert M.method == method
        solution = pympf.solve(A[rows], b[rows], comm=COMM, preconditioner=M, method="cg")
        assert solution.converged
    assert not M._compiled.fall_back(matrix, "failed")


# ---- repartitioning ------------------------------------------------------------------------------


def shuffled(A, block=1):
    """Put the nodes into a random order, which nobody would cut into ranges."""
    nodes = np.random.default_rng(0).permutation(A.shape[0] // block)
    order = (nodes[:, None] * block + np.arange(block)).ravel()
    return A.tocsr()[order][:, order], order


def everything_on_last(n):
    return slice(0, n) if COMM.rank == COMM.size - 1 else slice(0, 0)


@pytest.mark.parametrize("layout", [ranges, everything_on_last])
@pytest.mark.parametrize("name", MATRICES)
def test_repartitioned_rows_need_the_iterations_of_one_rank(name, layout):
    pytest.importorskip("petsc4py")
    A, _ = shuffled(MATRICES[name]())
    n = A.shape[0]
    rows, b = layout(n), np.sin(1.0 + np.arange(n)).astype(A.dtype)
    alone = pympf.solve(A, b, preconditioner="multilevel")
    found = pympf.solve(A[rows], b[rows], comm=COMM, preconditioner="multilevel", repartition=True)
    assert found.converged
    few = 0 if name == "graph" else 2  # which is a third of what these small grids need
    assert found.iterations <= 1.3 * alone.iterations + few
    tolerance = 1e-6 if A.dtype == np.float64 else 1e-2
    np.testing.assert_allclose(gather(found.x), alone.x, atol=tolerance * abs(alone.x).max())
    M = found.operator
    assert M.params["repartition"]
    assert M.local_shape == (rows.stop - rows.start,) * 2
    assert M.shape == A.shape
    before = M @ b[rows]
    M.update(2 * A[rows])
    assert np.array_equal(M @ b[rows], before / 2)


def test_repartitioned_nodes_and_their_near_nullspace():
    pytest.importorskip("petsc4py")
    shape = (40, 30)
    points = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, 2)
    A, order = shuffled(gallery.elasticity(shape), block=2)
    modes = pympf.rigid_body_modes(points)[order]
    rows, b = ranges(len(order), block=2), np.ones(len(order))
    more = {"block_size": 2, "preconditioner": "multilevel"}
    alone = pympf.solve(A, b, near_nullspace=modes, **more)
    found = pympf.solve(
        A[rows], b[rows], comm=COMM, near_nullspace=modes[rows], repartition=True, **more
    )
    assert found.converged
    assert found.iterations <= 1.3 * alone.iterations + 2
    np.testing.assert_allclose(gather(found.x), alone.x, atol=1e-6 * abs(alone.x).max())


@pytest.mark.parametrize("shape", [(70, 70), (17, 17, 17)])
def test_rows_in_random_order_are_moved_by_themselves(shape):
    pytest.importorskip("petsc4py")
    A, _ = shuffled(gallery.poisson(shape))
    rows, b = ranges(A.shape[0]), np.sin(1.0 + np.arange(A.shape[0]))
    alone = pympf.solve(A, b, preconditioner="multilevel")
    found = pympf.solve(A[rows], b[rows], comm=COMM, preconditioner="multilevel")
    assert found.converged
    assert found.iterations <= 1.3 * alone.iterations + 2
    moved = "rows moved to the ranks of a partition, which cuts "
    assert (moved in found.choice) == (COMM.size > 1)
    stays = pympf.solve(A[rows], b[rows], comm=COMM, preconditioner="multilevel", most_cut=1.0)
    assert "moved" not in stays.choice
    if COMM.size > 1:
        assert stays.iterations > found.iterations


def test_rows_in_good_order_stay():
    A = gallery.poisson((70, 70)).tocsr()
    M = pympf.as_preconditioner(A[ranges(4900)], comm=COMM, method="multilevel")
    assert M.choice == "multilevel: asked for"


def test_it_is_said_that_rows_lie_badly_where_there_is_no_partitioner(monkeypatch):
    monkeypatch.setitem(sys.modules, "petsc4py", None)
    A, _ = shuffled(gallery.poisson((70, 70)))
    rows, b = ranges(4900), np.ones(4900)
    found = pympf.solve(A[rows], b[rows], comm=COMM, preconditioner="multilevel")
    assert found.converged
    said = re.search(r"(\d+\.\d) % of the couplings cross ranks, which costs", found.choice)
    assert (said is not None) == (COMM.size > 1)
    if said:
        shares = np.array(COMM.allgather(rows.stop - rows.start)) / 4900
        assert float(said[1]) == pytest.approx(100 * (1 - (shares**2).sum()), abs=2)


@pytest.mark.skipif(COMM.size == 1, reason="one rank has nothing to move")
def test_repartitioned_rows_whose_columns_are_one_sided():
    """The partitioner wants both directions of a coupling that Dirichlet rows leave with one."""
    pytest.importorskip("petsc4py")
    A, order = shuffled(gallery.poisson((40, 40)))
    fixed = np.flatnonzero(order % 40 == 0)
    keep = np.ones(1600)
    keep[fixed] = 0
    A = sp.csr_array(sp.diags_array(keep) @ A + sp.diags_array(1 - keep))
    A.eliminate_zeros()
    b = np.sin(np.arange(1600.0))
    rows = ranges(1600)
    found = pympf.solve(A[rows], b[rows], comm=COMM, preconditioner="multilevel", repartition=True)
    assert found.converged
    assert "Dirichlet" in found.choice
    assert np.linalg.norm(A @ gather(found.x) - b) <= 1e-7 * np.linalg.norm(b)

    def cut(graph):
        parts = np.concatenate(COMM.allgather(find_parts(pympf.la.Matrix(graph[rows], COMM), 1)))
        couplings = (A + A.T).tocoo()
        return np.count_nonzero(parts[couplings.row] != parts[couplings.col])

    assert cut(A) <= 1.5 * cut(A + A.T)


@pytest.mark.skipif(COMM.size == 1, reason="one rank has nothing to move")
def test_repartitioning_without_petsc4py(monkeypatch):
    monkeypatch.setitem(sys.modules, "petsc4py", None)
    A = gallery.poisson((10, 10)).tocsr()[ranges(100)]
    with pytest.raises(ImportError, match=r"rank 0.*: repartition: .* through petsc4py"):
        pympf.as_preconditioner(A, comm=COMM, repartition=True)


def test_a_callback_on_one_rank_stops_all():
    A = gallery.poisson((40, 30)).tocsr()
    rows = ranges(1200)
    stop = (lambda iteration, norm: iteration == 2) if COMM.rank == COMM.size - 1 else None
    found = pympf.solve(
        A[rows], np.ones(1200)[rows], comm=COMM, preconditioner="none", callback=stop
    )
    assert (found.reason, found.iterations) == ("stopped_by_callback", 2)


@pytest.mark.skipif(COMM.size == 1, reason="needs several ranks")
@pytest.mark.parametrize("fault", ["b", "nan", "params", "near_nullspace", "block_size"])
def test_what_is_wrong_on_one_rank_raises_on_all(fault):
    A = gallery.poisson((10, 10)).tocsr()
    rows = ranges(100)
    local, b, more = A[rows], np.ones(100)[rows], {}
    if fault == "near_nullspace":
        more = {"near_nullspace": np.ones((len(b), 1))}
    if COMM.rank == 0:
        if fault == "b":
            b = np.ones(len(b) + 1)
        elif fault == "nan":
            local = local * np.nan
        elif fault == "params":
            more = {"cluster_size": -1}
        elif fault == "near_nullspace":
            more = {"near_nullspace": np.ones((len(b) + 1, 1))}
        else:
            more = {"block_size": 7}
    with pytest.raises((ValueError, RuntimeError), match=r"rank 0|same on every rank"):
        pympf.solve(local, b, comm=COMM, **more)
    assert COMM.allreduce(1) == COMM.size
