"""The distributed table: the answers of a table in one process, on any number of ranks."""

import numpy as np
import pytest

from pympf.lsh import DistributedTable, EuclideanHash, HyperplaneHash, Table

pytest.importorskip("mpi4py")
from mpi4py import MPI

pytestmark = pytest.mark.mpi
COMM = MPI.COMM_WORLD

FAMILIES = [
    HyperplaneHash(8, 6, 5, seed=3),
    HyperplaneHash(8, 100, 1, offset=1.0, seed=4),
    EuclideanHash(8, 3, 4, width=3.0, seed=5),
]


def part(X, rank=COMM.rank):
    """Give the rows of a rank: all in order, and more of them on later ranks."""
    ends = np.cumsum(np.arange(1, COMM.size + 1)) * len(X) // (COMM.size * (COMM.size + 1) // 2)
    return X[ends[rank - 1] if rank else 0 : ends[rank]]


CENTRES = np.random.default_rng(9).standard_normal((20, 8))


def clustered(rows, seed):
    """Give points around the same centres; a few of them are the same for all seeds."""
    rng = np.random.default_rng(seed)
    X = CENTRES[rng.integers(0, 20, rows)] + 0.1 * rng.standard_normal((rows, 8))
    X[:3] = CENTRES[:3]
    return X


def gathered(arrays):
    """Give the results of all ranks, in order."""
    return [np.concatenate(COMM.allgather(a)) for a in arrays]


def same_answers(distributed, table, Q, probes):
    expected = table.query(Q, 7, probes=probes)
    found = gathered(distributed.query(part(Q), 7, probes=probes))
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))
    assert (expected[1] >= 0).any()
    near = table.radius_query(Q, 0.4, probes=probes)
    found = gathered(distributed.radius_query(part(Q), 0.4, probes=probes))
    for some, others in zip(near, found, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(some, others, strict=True))


@pytest.mark.parametrize("family", FAMILIES, ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("probes", [1, 5])
def test_same_answers_as_one_table(family, dtype, probes):
    X, Q = clustered(1500, 0).astype(dtype), clustered(70, 1).astype(dtype)
    table, distributed = Table(family), DistributedTable(family, COMM, dtype=dtype)
    for rows in np.split(X, [100, 101, 900]):
        ids = table.add(rows)
        assert np.array_equal(distributed.add(part(rows)), part(ids))
    assert len(distributed) == len(X)
    assert COMM.allreduce(distributed.local_size) == len(X)
    same_answers(distributed, table, Q, probes)
    gone = np.random.default_rng(2).permutation(len(X))[:300]
    table.remove(gone)
    distributed.remove(part(gone))
    assert len(distributed) == len(X) - 300
    same_answers(distributed, table, Q, probes)


def test_all_points_and_all_queries_on_one_rank():
    family, X, Q = FAMILIES[0], clustered(500, 0), clustered(40, 1)
    last = COMM.size - 1
    distributed = DistributedTable(family, COMM)
    ids = distributed.add(X if COMM.rank == last else X[:0])
    assert np.array_equal(ids, np.arange(500) if COMM.rank == last else [])
    distances, ids = distributed.query(Q if COMM.rank == 0 else Q[:0], 3)
    if COMM.rank == 0:
        expected = Table(family).fit(X).query(Q, 3)
        assert np.array_equal(distances, expected[0])
        assert np.array_equal(ids, expected[1])
    else:
        assert distances.shape == (0, 3)
    report = distributed.report()
    assert report["points"] == [0] * last + [500]
    assert sum(report["entries"]) == 500 * family.n_tables
    assert all(entries > 0 for entries in report["entries"])


def test_more_queries_than_travel_together():
    family, X = FAMILIES[0], clustered(300, 0)
    Q = clustered(1100 * COMM.size, 1)
    distributed = DistributedTable(family, COMM)
    distributed.add(part(X))
    found = gathered(distributed.query(part(Q), 2))
    expected = Table(family).fit(X).query(Q, 2)
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))


def rank_named(rank):
    return f"rank {rank} of {COMM.size}: " if COMM.size > 1 else ""


def bad_points():
    X = clustered(10, 0)
    X[3, 2] = np.nan
    return X


@pytest.mark.parametrize("failing", [0, -1])
@pytest.mark.parametrize(
    ("points", "error", "message"),
    [
        (lambda: np.ones((3, 7)), ValueError, r"expected shape \(n, 8\), got \(3, 7\)"),
        (bad_points, ValueError, "row 3 has an entry that is not finite"),
        (lambda: np.ones((3, 8), dtype=complex), TypeError, "expected real numbers, got complex"),
        (lambda: np.full((1, 8), 1e300), ValueError, "beyond"),
    ],
)
def test_what_is_wrong_on_one_rank_is_an_error_on_all(failing, points, error, message):
    failing %= COMM.size
    distributed = DistributedTable(FAMILIES[2], COMM)
    distributed.add(part(clustered(50, 0)))
    mine = points() if COMM.rank == failing else clustered(5, COMM.rank)
    for call in (distributed.add, distributed.query, lambda X: distributed.radius_query(X, 1.0)):
        with pytest.raises(error, match=f"^{rank_named(failing)}.*{message}"):
            call(mine)
    assert len(distributed) == 50  # and it still works
    _, ids = gathered(distributed.query(part(clustered(50, 0))))
    assert ids[3:].ravel().tolist() == list(range(3, 50))


def test_settings_make_another_table_on_the_same_ranks():
    distributed = DistributedTable(FAMILIES[0], COMM, dtype=np.float32)
    distributed.add(part(clustered(20, 0)))
    twin = DistributedTable(**distributed.get_params(deep=False))
    assert (len(twin), twin.dtype, twin.family) == (0, np.float32, FAMILIES[0])
    twin.add(part(clustered(30, 0)))
    assert (len(twin), len(distributed)) == (30, 20)
    assert twin.set_params(family__n_functions=2).family.n_functions == 2
    assert len(twin) == 0


def test_what_differs_between_ranks_is_an_error_on_all():
    distributed = DistributedTable(FAMILIES[0], COMM)
    X = clustered(5, 0)
    distributed.add(X)
    several = COMM.size > 1
    for call in (
        lambda: distributed.query(X, 1 + COMM.rank),
        lambda: distributed.query(X, 1, probes=1 + COMM.rank),
        lambda: distributed.radius_query(X, 1.0 + COMM.rank),
        lambda: DistributedTable(HyperplaneHash(8, 6, seed=COMM.rank), COMM),
        lambda: DistributedTable(EuclideanHash(8, 6, width=1.0 + COMM.rank), COMM),
    ):
        if several:
            with pytest.raises(ValueError, match=r"expected the same .*on all ranks"):
                call()
        else:
            call()


def test_ids_that_are_not_there():
    distributed = DistributedTable(FAMILIES[0], COMM)
    distributed.add(part(clustered(20, 0)))
    with pytest.raises(ValueError, match="there is no point with id 77"):
        distributed.remove([77] if COMM.rank == 0 else [])
    with pytest.raises(ValueError, match="id 3 comes twice"):
        distributed.remove([3, 3] if COMM.rank == COMM.size - 1 else [])
    assert len(distributed) == 20
    distributed.remove([3] if COMM.rank == 0 else [])
    with pytest.raises(ValueError, match="there is no point with id 3"):
        distributed.remove([3] if COMM.rank == 0 else [])


@pytest.mark.parametrize("asking", [None, 0, COMM.size - 1])
def test_ranks_without_queries(asking):
    """None of the ranks asks, or one alone."""
    distributed = DistributedTable(FAMILIES[0], COMM)
    distributed.add(part(clustered(200, 0)))
    Q = clustered(5 if asking == COMM.rank else 3, 1)[: 5 if asking == COMM.rank else 0]
    for probes in (1, 4):
        distances, ids = distributed.query(Q, 2, probes=probes)
        assert (distances.shape, ids.shape) == ((len(Q), 2), (len(Q), 2))
        for found in distributed.radius_query(Q, 0.4, probes=probes):
            assert found.shape == (len(Q),)
            assert all(len(one) for one in found)


def test_distances_that_the_root_makes_equal_come_in_the_order_of_their_ids():
    family = HyperplaneHash(2, 1, offset=100.0)
    for seed in range(5):
        angle = np.random.default_rng(seed).uniform(0, 7, 60)
        X = 1.3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        distributed = DistributedTable(family, COMM)
        distributed.add(part(X))
        expected = Table(family).fit(X).query(np.zeros((1, 2)), 60)
        found = distributed.query(np.zeros((1, 2)), 60)
        assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))


def test_without_a_communicator_a_rank_is_alone():
    table = DistributedTable(FAMILIES[0])
    table.add(clustered(10 + COMM.rank, 0))
    assert len(table) == 10 + COMM.rank
    for points, message in ((bad_points(), "row 3 has an entry"), ([[1.0]], "expected shape")):
        with pytest.raises(ValueError, match=message):
            table.add(points)
