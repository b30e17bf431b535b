"""Ranks share starts and searches: the results are those of one process."""

import numpy as np
import pytest

from pympf.nets import SineWaves, pursuit, sample_complexities

pytest.importorskip("mpi4py")
from mpi4py import MPI

pytestmark = pytest.mark.mpi
COMM = MPI.COMM_WORLD


@pytest.mark.parametrize("linear", [True, False])
def test_pursuit_has_the_same_bits(linear):
    f = SineWaves(3, linear=linear, seed=101)
    X = f.sample(600)
    options = {
        "projection": "linear" if linear else "distance",
        "n_starts": 6000,
        "n_directions": 3,
        "patience": 1,
    }
    alone, shared = pursuit(X, f(X), **options), pursuit(X, f(X), comm=COMM, **options)
    assert len(alone.directions) >= 2
    assert np.array_equal(alone.directions, shared.directions)
    assert alone.held_out == shared.held_out
    assert np.array_equal(alone.predict(X), shared.predict(X))


def test_searches_are_spread():
    mine = []

    def learner(c):
        def train(n):
            mine.append(c)
            return c / n

        return train

    costs = [1, 10, 100, 1000]
    found = sample_complexities([learner(c) for c in costs], 0.01, comm=COMM)
    alone = sample_complexities([learner(c) for c in costs], 0.01)
    assert found == alone
    del mine[-sum(len(one.evaluations) for one in alone) :]
    assert set(mine) == set(costs[COMM.rank :: COMM.size])


def test_an_error_of_one_rank_is_raised_on_all():
    def train(n):
        raise ValueError("no such number")

    with pytest.raises(ValueError, match="no such number"):
        sample_complexities([train, lambda n: 0.0, lambda n: 0.0], 0.1, comm=COMM)


def test_bad_data_of_one_rank_is_refused_on_all():
    f = SineWaves(2, seed=1)
    X = f.sample(100)
    y = f(X)
    if COMM.rank == COMM.size - 1:
        y[3] = np.nan
    with pytest.raises(ValueError, match="y: expected finite"):
        pursuit(X, y, comm=COMM)


def test_other_data_on_another_rank_is_refused():
    if COMM.size == 1:
        pytest.skip("one rank")
    f = SineWaves(2, seed=1)
    X = f.sample(100, seed=COMM.rank)
    with pytest.raises(ValueError, match="the same on every rank"):
        pursuit(X, f(X), comm=COMM)
