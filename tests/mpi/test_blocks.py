"""Several right-hand sides over ranks: each column has the bits that it has alone."""

import numpy as np
import pytest

import pympf
from pympf import gallery

pytest.importorskip("mpi4py")
from mpi4py import MPI

pytestmark = pytest.mark.mpi
COMM = MPI.COMM_WORLD
N = 900


def own_rows():
    """Rank r has about r + 1 shares, the second of several none."""
    shares = np.array([0 if r == 1 and COMM.size > 2 else r + 1 for r in range(COMM.size)])
    ends = np.concatenate([[0], np.cumsum(shares)]) * N // shares.sum()
    return slice(int(ends[COMM.rank]), int(ends[COMM.rank + 1]))


def system(k=3):
    rows = own_rows()
    B = np.random.default_rng(1).standard_normal((N, k)) * 10.0 ** np.arange(k)
    return gallery.poisson((30, 30)).tocsr()[rows], B[rows]


@pytest.mark.parametrize(
    ("method", "preconditioner"),
    [
        ("auto", "mmf"),
        ("fcg", "multilevel"),
        ("minres", "ict"),
        ("gmres", "multilevel"),
        ("cg", "classic"),
        ("minres", "jacobi"),
    ],
)
def test_columns_have_the_bits_that_they_have_alone(method, preconditioner):
    A, B = system()
    options = {"comm": COMM, "method": method, "preconditioner": preconditioner}
    solutions = pympf.solve(A, B, **options)
    assert solutions.converged
    for c, column in enumerate(solutions):
        alone = pympf.solve(A, B[:, c], **options)
        np.testing.assert_array_equal(column.x, alone.x)
        np.testing.assert_array_equal(column.history, alone.history)


@pytest.mark.parametrize("repartition", [False, True])
@pytest.mark.parametrize("cycle", ["v", "k"])
def test_M_of_a_block_is_M_of_its_columns(repartition, cycle):
    A, B = system(11)
    options = {"method": "multilevel", "cycle": cycle, "coarse_size": 20}
    M = pympf.as_preconditioner(A, comm=COMM, repartition=repartition, **options)
    expected = [M @ np.ascontiguousarray(b) for b in B.T]
    np.testing.assert_array_equal(M @ B, np.stack(expected, axis=1))


def test_different_numbers_of_columns_and_nan_raise_on_all():
    A, B = system()
    mine = B[:, : 2 + (COMM.rank == 0)]
    if COMM.size > 1:
        with pytest.raises(ValueError, match="number of columns"):
            pympf.solve(A, mine, comm=COMM)
    bad = B.copy()
    if COMM.rank == 0:
        bad[2, 1] = np.nan
    with pytest.raises((ValueError, RuntimeError), match=r"got nan at \(2, 1\)"):
        pympf.solve(A, bad, comm=COMM)


def test_a_callback_on_one_rank_stops_its_column_on_all():
    A, B = system(3)
    callback = None
    if COMM.rank == 0:

        def callback(iteration, norm, column):
            return column == 1 and iteration == 2

    solutions = pympf.solve(A, B, comm=COMM, preconditioner="jacobi", callback=callback)
    assert solutions.reasons == ("converged_rtol", "stopped_by_callback", "converged_rtol")
    assert solutions.iterations[1] == 2
