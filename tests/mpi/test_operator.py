"""Operators over ranks: shapes, transposes, and what is wrong on one rank raises on all."""

import functools

import numpy as np
import pytest

import pympf
from pympf import gallery
from pympf.la import Matrix, Operator, Ranks
from pympf.sketch import BlockSparse

MPI = pytest.importorskip("mpi4py.MPI")
pytestmark = pytest.mark.mpi
COMM = MPI.COMM_WORLD
RANKS = Ranks(COMM)
A = gallery.poisson((12, 10))
ROWS = RANKS.cut(120)
OWN = slice(ROWS.start, ROWS.stop)


class Scaled(Operator):
    """D P with a diagonal D, over ranks: rectangular, all its columns on rank 0."""

    def __init__(self, n):
        own = len(RANKS.cut(n))
        columns = n if RANKS.rank == 0 else 0
        super().__init__(float, (n, n), ranks=RANKS, local_shape=(own, columns))

    def _apply(self, X):
        X = RANKS.broadcast(X)
        return 2.0 * X[RANKS.cut(len(X))]

    def _apply_transpose(self, Y):
        Y = RANKS.gather_rows(2.0 * Y)
        return np.empty((0, 1)) if Y is None else Y


@functools.cache
def operators():
    own = A[OWN]
    return {
        "Mmf": pympf.factorize(own, comm=COMM, core_size=30),
        "classic": pympf.as_preconditioner(own, comm=COMM, method="classic", core_size=30),
        "multilevel": pympf.as_preconditioner(own, comm=COMM, method="multilevel"),
        "ict": pympf.as_preconditioner(own, comm=COMM, method="ict"),
        "sketch": BlockSparse(132, w=2, comm=COMM),
    }


NAMES = ("Mmf", "classic", "multilevel", "ict", "sketch")


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_products(name):
    M = operators()[name]
    n = 132 if name == "sketch" else 120
    assert M.shape == (n, n)
    assert sum(COMM.allgather(M.local_shape[0])) == n
    own = M.local_shape[1]
    X = np.sin(1.0 + COMM.rank + np.arange(3.0 * own)).reshape(own, 3)
    Y = M @ X
    assert Y.shape == X.shape
    for column in range(3):
        np.testing.assert_allclose(M @ X[:, column], Y[:, column], atol=1e-12)
        np.testing.assert_allclose(M.matvec(X[:, column]), Y[:, column], atol=1e-12)
    left = COMM.allreduce(float(np.sum(X[:, 0] * (M @ X[:, 1]))))
    right = COMM.allreduce(float(np.sum(M.apply_transpose(X[:, 0]) * X[:, 1])))
    assert left == pytest.approx(right, abs=1e-10)
    assert M.T.local_shape == M.local_shape[::-1]


def faults(own):
    """What one rank may bring; the first is what the others bring."""
    nan = np.ones(own)
    nan[:1] = np.nan
    return {
        "length": (np.ones(own), np.ones(own + 1), ValueError, "x: expected shape"),
        "nan": (np.ones(own), nan, ValueError, "x: expected finite"),
        "kind": (np.ones(own), np.array(["a"] * own), TypeError, "x: expected real numbers"),
        "masked": (np.ones(own), np.ma.masked_all(own), ValueError, "x: masked"),
        "columns": (np.ones((own, 2)), np.ones((own, 3)), ValueError, "shape without the rows"),
        "block": (np.ones((own, 2)), np.ones(own), ValueError, "shape without the rows"),
        "nan in a block": (np.ones((own, 2)), np.stack([nan, nan], 1), ValueError, "finite"),
    }


@pytest.mark.parametrize("fault", faults(1))
@pytest.mark.parametrize("failing", [0, COMM.size - 1])
@pytest.mark.parametrize("name", NAMES)
def test_a_bad_vector_on_one_rank_raises_on_all(name, failing, fault):
    """It raises on every rank, names the failing one, and the operator works afterwards."""
    M = operators()[name]
    good, bad, kind, text = faults(M.local_shape[1])[fault]
    if COMM.size == 1 and "without the rows" in text:
        pytest.skip("one rank agrees with itself")
    x = bad if COMM.rank == failing else good
    for product in (M.apply, M.apply_transpose, M.matvec, M.__matmul__, M.dot):
        with pytest.raises(kind, match=text) as raised:
            product(x)
        if COMM.size > 1 and "without the rows" not in text:
            assert f"rank {failing} of {COMM.size}" in str(raised.value)
    assert np.isfinite(M @ np.ones(M.local_shape[1])).all()


def test_an_operator_whose_columns_lie_elsewhere():
    n = 10
    B = Scaled(n)
    assert B.local_shape == (len(RANKS.cut(n)), n if COMM.rank == 0 else 0)
    y = B @ (np.arange(10.0) if COMM.rank == 0 else np.empty(0))
    np.testing.assert_array_equal(y, 2.0 * np.arange(10.0)[RANKS.cut(n)])
    x = B.T @ np.ones(len(y))
    np.testing.assert_array_equal(x, 2.0 * np.ones(10 if COMM.rank == 0 else 0))


def test_a_matrix_over_ranks():
    matrix = Matrix(A[OWN], COMM)
    assert (matrix.shape, matrix.local_shape, matrix.rows) == ((120, 120), (len(ROWS), 120), ROWS)
    assert matrix.is_symmetric
    assert matrix.has_positive_diagonal
    assert not matrix.is_diagonal
    np.testing.assert_array_equal(matrix.diagonal(), np.full(len(ROWS), 4.0))
    F = pympf.factorize(matrix)
    assert F.comm.size == COMM.size
    assert pympf.solve(matrix, np.ones(len(ROWS))).converged
    if COMM.size > 1:
        with pytest.raises(ValueError, match=f"on the 1 ranks of comm, got one on {COMM.size}"):
            Matrix.of(matrix, Ranks(None))
    wide = Matrix(A[OWN, :7], COMM, square=False)
    assert wide.shape == (120, 7)
    with pytest.raises(ValueError, match="square"):
        Matrix(A[OWN, :7], COMM)


def test_what_ranks_do():
    rank, size = COMM.rank, COMM.size
    assert RANKS.sum(rank + 1) == size * (size + 1) // 2
    np.testing.assert_array_equal(RANKS.sum(np.full(2, rank)), [size * (size - 1) // 2] * 2)
    assert RANKS.max(rank) == size - 1
    np.testing.assert_array_equal(RANKS.max(np.array([rank, -rank])), [size - 1, 0])
    assert RANKS.gather(rank) == list(range(size))
    assert RANKS.before(rank + 1) == rank * (rank + 1) // 2
    assert RANKS.broadcast(rank, size - 1) == size - 1
    assert RANKS.exchange([(rank, to) for to in range(size)]) == [(r, rank) for r in range(size)]
    assert RANKS.spread(lambda item: item * item, range(7)) == [item * item for item in range(7)]
    block = np.arange(40.0).reshape(20, 2) if rank == 0 else None
    mine = RANKS.scatter_rows(block, len(RANKS.cut(20)))
    whole = RANKS.gather_rows(mine)
    assert (whole is None) == (rank > 0)
    if rank == 0:
        np.testing.assert_array_equal(whole, block)
    buffer = np.full(3, float(rank))
    RANKS.fill(buffer, size - 1)
    np.testing.assert_array_equal(buffer, [size - 1.0] * 3)
