"""Dictionary learning and repositories of sketches over ranks: what one process gets."""

import numpy as np
import pytest

from pympf.sketch import BlockSparse, Repository, Scheme, learn_dictionary

pytest.importorskip("mpi4py")
from mpi4py import MPI

pytestmark = pytest.mark.mpi
COMM = MPI.COMM_WORLD
D = 1050
SCHEME = Scheme(D, b=42, seed=3)


def part(X, rank=COMM.rank):
    """Give the rows of a rank: all in order, and more of them on later ranks."""
    ends = np.cumsum(np.arange(1, COMM.size + 1)) * len(X) // (COMM.size * (COMM.size + 1) // 2)
    return X[ends[rank - 1] if rank else 0 : ends[rank]]


@pytest.fixture
def path(tmp_path):
    return COMM.bcast(tmp_path) / "repository"


@pytest.mark.parametrize("options", [{}, {"rounds": 2}, {"rule": "per_sample"}])
def test_learning_is_that_of_one_process(options):
    rng = np.random.default_rng(0)
    x = np.zeros((2000, 2 * 132))
    for row in x:
        row[rng.choice(264, 2, replace=False)] = rng.uniform(0.5, 1, 2) * rng.choice([-1, 1], 2)
    R = [BlockSparse(132, b=33, w=2, name=str(i)) for i in (0, 1)]
    halves = (np.ascontiguousarray(x[:, i * 132 : (i + 1) * 132].T) for i in (0, 1))
    Y = np.ascontiguousarray(sum(M.apply(h) for M, h in zip(R, halves, strict=True)).T)
    alone, together = (
        learn_dictionary(Y, 33, 2, **options),
        learn_dictionary(part(Y), 33, 2, comm=COMM, **options),
    )
    for name in ("signatures", "matrix", "column", "strings", "hits", "row_start", "row", "signs"):
        assert np.array_equal(getattr(alone, name), getattr(together, name)), name
    codes = np.concatenate(COMM.allgather(together.codes.toarray()))
    assert np.array_equal(codes, alone.codes.toarray())
    assert alone.n_atoms > 250
    assert alone.report == together.report
    bad = part(Y).copy()
    if COMM.rank == COMM.size - 1:
        bad[0, 5] = np.nan
    with pytest.raises(ValueError, match="finite"):
        learn_dictionary(bad, 33, 2, comm=COMM)


def same_on_ranks(value):
    return all(np.array_equal(value, other) for other in COMM.allgather(value))


def test_repository_is_that_of_one_process(path):
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((7, D))
    X = (centres[np.arange(200) % 7] + 0.3 * rng.standard_normal((200, D))).astype(np.float32)
    Q = X[::9] + np.float32(0.1)
    options = {"functions": 4, "tables": 3}
    with Repository.create(path, SCHEME, comm=COMM, **options) as repository:
        ids = repository.add(part(X[:150]), [f"rank {COMM.rank}"] * len(part(X[:150])))
        assert np.concatenate(COMM.allgather(ids)).tolist() == list(range(150))
        repository.commit()
        repository.query(part(Q), 3)  # later additions go into the index that is there
        repository.add(part(X[150:]))
        repository.commit()
        found = [np.concatenate(COMM.allgather(a)) for a in repository.query(part(Q), 5, probes=4)]
        groups = repository.clusters(0.8)
        repository.touch([3])
        repository.merge([0, 7])
        repository.remove([1])
        repository.forget(repository.bytes / 2)
        assert repository.bytes <= 199 * D * 4 / 2
        assert same_on_ranks(repository.ids)
        again = repository.query(part(Q), 5, probes=4)[1]
    COMM.barrier()
    alone = Repository(path, **options)
    alone.check()
    assert len(alone) == 198
    assert alone.counts([200]).tolist() == [2]
    assert np.array_equal(alone.query(Q, 5, probes=4)[1], np.concatenate(COMM.allgather(again)))
    assert [len(group) for group in groups] == sorted([29, 29, 29, 29, 28, 28, 28], reverse=True)
    if COMM.rank == 0:
        with Repository.create(path.with_name("one"), SCHEME, **options) as one:
            one.add(X)
            one.commit()
            expected = one.query(Q, 5, probes=4)
        assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))
    together = Repository(path, comm=COMM, **options)
    together.check()
    assert len(together) == 198


def test_what_one_rank_does_wrong_all_hear_of(path):
    if COMM.size > 1:
        with pytest.raises(ValueError, match="expected the same on every rank"):
            Repository.create(path, Scheme(D, b=42, seed=COMM.rank), comm=COMM)
    with Repository.create(path, SCHEME, comm=COMM) as repository:
        bad = np.ones((2, D)) * (np.nan if COMM.rank == COMM.size - 1 else 1)
        with pytest.raises(ValueError, match="finite"):
            repository.add(bad)
        with pytest.raises(ValueError, match="there is no sketch"):
            repository.remove([COMM.rank])
    assert len(Repository(path, comm=COMM)) == 0
    COMM.barrier()
    (path / "manifest.h5").unlink(missing_ok=True)
    COMM.barrier()
    with pytest.raises(OSError, match="manifest"):
        Repository(path, comm=COMM)
