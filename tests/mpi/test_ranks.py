"""What Ranks does for all that works over ranks."""

import numpy as np
import pytest
import scipy.sparse as sp

from pympf.la import Ranks

MPI = pytest.importorskip("mpi4py.MPI")
pytestmark = pytest.mark.mpi

COMM = MPI.COMM_WORLD
RANKS = Ranks(COMM)


def own_rows(whole):
    return whole[RANKS.cut(whole.shape[0]).start : RANKS.cut(whole.shape[0]).stop]


def test_stacked_rows_are_the_whole():
    whole = np.arange(21.0).reshape(7, 3)
    np.testing.assert_array_equal(RANKS.stack(own_rows(whole)), whole)
    sparse = sp.random_array((9, 5), density=0.4, format="csr", rng=np.random.default_rng(1))
    sparse.sort_indices()
    stacked = RANKS.stack(own_rows(sparse))
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(stacked, name), getattr(sparse, name))


def test_records_go_to_their_owners_in_the_order_of_the_ranks():
    records = np.arange(12) + 100 * RANKS.rank
    found = RANKS.send_to(records, lambda: records % RANKS.size)
    expected = [r for rank in range(RANKS.size) for r in np.arange(12) + 100 * rank]
    np.testing.assert_array_equal(found, [r for r in expected if r % RANKS.size == RANKS.rank])


def test_one_rank_owns_all():
    def owners():
        raise AssertionError("one rank owns all")

    alone = Ranks(MPI.COMM_SELF)
    records = np.arange(3)
    assert alone.send_to(records, owners) is records
    assert alone.stack(records) is records


def test_their_number_is_said_where_there_are_several():
    assert Ranks(MPI.COMM_SELF).count(" on {} ranks") == ""
    assert RANKS.count(" on {} ranks") == (f" on {RANKS.size} ranks" if RANKS.size > 1 else "")
