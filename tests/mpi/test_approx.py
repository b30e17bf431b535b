"""Factorizations by rotations over ranks: the bits of one process, over own rows of vectors."""

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf import approx, gallery

pytest.importorskip("mpi4py")
from mpi4py import MPI

pytestmark = pytest.mark.mpi
COMM = MPI.COMM_WORLD
N = 144


def own_rows():
    """Rank r has about r + 1 shares, the second of several none."""
    shares = np.array([0 if r == 1 and COMM.size > 2 else r + 1 for r in range(COMM.size)])
    ends = np.concatenate([[0], np.cumsum(shares)]) * N // shares.sum()
    return slice(int(ends[COMM.rank]), int(ends[COMM.rank + 1]))


def matrix():
    return sp.csr_array(gallery.poisson((12, 12)) + sp.diags_array(np.ones(N - 1), offsets=1))


KINDS = {
    "direct": (pympf.factorize_direct, lambda A: A),
    "skew": (pympf.factorize_skew, lambda A: sp.csr_array(A - A.T)),
    "additive": (pympf.factorize_additive, lambda A: A),
}


@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_as_on_one_process(kind, tmp_path):
    factorize, of = KINDS[kind]
    A, rows = of(matrix()), own_rows()
    F, alone = factorize(A[rows], core_size=N, comm=COMM), factorize(A, core_size=N)
    x = np.random.default_rng(0).standard_normal((N, 3))
    np.testing.assert_array_equal(F @ x[rows], (alone @ x)[rows])
    np.testing.assert_array_equal(F.T @ x[rows], (alone.T @ x)[rows])
    np.testing.assert_array_equal(F @ x[rows, 0], (alone @ x[:, 0])[rows])
    assert F.error(A[rows]) == alone.error(A)
    if kind == "direct":
        np.testing.assert_array_equal(F.coefficients.toarray(), alone.coefficients.toarray())
        np.testing.assert_array_equal(F.solve(x[rows]), alone.solve(x)[rows])
    path = COMM.bcast(tmp_path / "F.h5" if COMM.rank == 0 else None)
    F.save(path)
    np.testing.assert_array_equal(approx.load(path) @ x, alone @ x)


def test_rectangular():
    A, rows = matrix()[:, :100], own_rows()
    F, alone = pympf.factorize_direct(A[rows], comm=COMM), pympf.factorize_direct(A)
    columns = F.ranks.cut(100)
    x = np.ones(100)
    own = x[columns.start : columns.stop]
    np.testing.assert_array_equal(F @ own, (alone @ x)[rows])
    np.testing.assert_array_equal(F.T @ np.ones(F.local_shape[0]), (alone.T @ np.ones(N))[columns])


def test_refused_on_all():
    A = matrix()[own_rows()]
    with pytest.raises((ValueError, RuntimeError), match="finite"):
        pympf.factorize_direct(A * (np.nan if COMM.rank == 0 else 1), comm=COMM)
    with pytest.raises(ValueError, match="skew-symmetric"):
        pympf.factorize_skew(A, comm=COMM)
    if COMM.size > 1:
        with pytest.raises(ValueError, match="parameters"):
            pympf.factorize_direct(A, core_size=COMM.rank, comm=COMM)
