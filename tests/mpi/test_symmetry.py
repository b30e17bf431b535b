"""Patterns with gaps, Dirichlet rows and bad vectors over the ranks of a communicator."""

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf import gallery

pytest.importorskip("mpi4py")
from mpi4py import MPI

pytestmark = pytest.mark.mpi
COMM = MPI.COMM_WORLD


def ranges(n):
    """Give this rank's rows; the second of several ranks has few."""
    shares = np.array([1 if r == 1 and COMM.size > 2 else 4 for r in range(COMM.size)])
    ends = np.concatenate([[0], np.cumsum(shares)]) * n // shares.sum()
    return slice(int(ends[COMM.rank]), int(ends[COMM.rank + 1]))


def gather(x):
    return np.concatenate(COMM.allgather(x))


def with_dirichlet_rows(A, rows):
    A = sp.csr_array(A).tolil()
    for i in rows:
        A.rows[i], A.data[i] = [int(i)], [2.0]
    return A.tocsr()


def border(m, n):
    grid = np.arange(m * n).reshape(m, n)
    return np.setdiff1d(grid, grid[1:-1, 1:-1])


@pytest.mark.parametrize("preconditioner", ["mmf", "multilevel", "ict", "classic", "jacobi"])
@pytest.mark.parametrize("method", ["auto", "gmres"])
def test_dirichlet_rows(preconditioner, method):
    A = with_dirichlet_rows(gallery.poisson((24, 20)), border(24, 20))
    rows = ranges(480)
    b = np.sin(1.0 + np.arange(480))
    options = {"preconditioner": preconditioner, "method": method, "rtol": 1e-10}
    found = pympf.solve(A[rows], b[rows], comm=COMM, **options)
    assert found.converged
    exact = np.linalg.solve(A.toarray(), b)
    assert np.linalg.norm(gather(found.x) - exact) <= 1e-7 * np.linalg.norm(exact)
    taken = preconditioner != "jacobi" or method == "auto"
    assert ("84 unknowns come from Dirichlet rows" in found.choice) == taken
    assert len(set(COMM.allgather((found.reason, found.iterations, found.true_residual)))) == 1


def test_a_preconditioner_and_its_update():
    A = with_dirichlet_rows(gallery.poisson((24, 20)), border(24, 20))
    rows = ranges(480)
    b = np.sin(1.0 + np.arange(480))
    M = pympf.as_preconditioner(A[rows], comm=COMM, method="multilevel")
    M.update(3 * A[rows])
    found = pympf.solve(3 * A[rows], b[rows], comm=COMM, preconditioner=M, rtol=1e-10)
    assert found.iterations < 20
    np.testing.assert_allclose(gather(found.x), np.linalg.solve(3 * A.toarray(), b), rtol=1e-6)
    with pytest.raises(ValueError, match="Dirichlet rows"):
        pympf.factorize(A[rows], comm=COMM)


@pytest.mark.parametrize("value", [0.0, 1e-18])
def test_entries_on_one_side(value):
    A = gallery.poisson((20, 20)).tocoo()
    i, j = np.arange(0, 100), 399 - np.arange(0, 100)
    data = np.r_[A.data, np.full(100, value)]
    B = sp.coo_array((data, (np.r_[A.row, i], np.r_[A.col, j])), shape=A.shape).tocsr()
    rows = ranges(400)
    for preconditioner in ("mmf", "multilevel", "ict", "classic"):
        found = pympf.solve(B[rows], np.ones(400)[rows], comm=COMM, preconditioner=preconditioner)
        assert found.converged
    exact = np.linalg.solve(A.toarray(), np.ones(400))
    np.testing.assert_allclose(gather(found.x), exact, rtol=1e-6)


def test_what_is_not_symmetric_is_refused_on_all_ranks():
    A = sp.csr_array(gallery.poisson((20, 20)) + 0.25 * sp.eye_array(400, k=200))
    rows = ranges(400)
    for attempt in (
        lambda: pympf.solve(A[rows], np.ones(400)[rows], comm=COMM, method="cg"),
        lambda: pympf.as_preconditioner(A[rows], comm=COMM, method="classic"),
        lambda: pympf.factorize(A[rows], comm=COMM),
    ):
        with pytest.raises(ValueError, match=r"= 0\.25 at i = 0, j = 200 "):
            attempt()


BAD = {
    "nan": (lambda n: np.where(np.arange(n) == 3, np.nan, 1.0), "expected finite values"),
    "length": (lambda n: np.ones(n + 1), "expected shape"),
    "dimensions": (lambda n: np.ones((n, 2, 2)), "expected shape"),
    "kind": (lambda n: np.array(["a"] * n), "expected real numbers"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("rank", sorted({0, COMM.size - 1}))
def test_a_bad_vector_on_one_rank(name, rank):
    A, rows = gallery.poisson((20, 20)), ranges(400)
    own = rows.stop - rows.start
    make, message = BAD[name]
    r = make(own) if COMM.rank == rank else np.ones(own)
    M = pympf.as_preconditioner(A[rows], comm=COMM, method="multilevel")
    F = pympf.factorize(A[rows], comm=COMM, core_size=20)
    expected = (ValueError, TypeError)
    # On one rank SciPy looks at the shape first, in its own words.
    expected_text = f"^rank {rank}( of {COMM.size})?: .*{message}" if COMM.size > 1 else None
    for f in (
        M.apply,
        M.matvec,
        M.matmat,
        M.rmatvec,
        M.dot,
        lambda v: M @ v,
        F.apply,
        F.solve,
        lambda v: F @ v,
        F.transform,
        lambda b: pympf.solve(A[rows], b, comm=COMM),
    ):
        with pytest.raises(expected, match=expected_text):
            f(r)


def test_blocks_on_one_rank_only():
    A, rows = gallery.poisson((20, 20)), ranges(400)
    M = pympf.as_preconditioner(A[rows], comm=COMM, method="multilevel")
    own = rows.stop - rows.start
    r = np.ones((own, 2)) if COMM.rank == 0 else np.ones(own)
    if COMM.size > 1:
        with pytest.raises(ValueError, match="expected the same on every rank"):
            M @ r
    np.testing.assert_array_equal((M @ np.ones((own, 3)))[:, 1], M @ np.ones(own))
