"""Matrices that are not symmetric, over the ranks of a communicator."""

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf import gallery

pytest.importorskip("mpi4py")
from mpi4py import MPI

from .test_solve import COMM, gather, ranges

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("method", ["gmres", "bicgstab"])
@pytest.mark.parametrize("speed", [1.0, 300.0, 1e4])
def test_flows(speed, method):
    A = gallery.convection_diffusion(48, speed)
    b = np.sin(1.0 + np.arange(A.shape[0]))
    rows = ranges(A.shape[0])
    alone = pympf.solve(A, b)
    found = pympf.solve(A[rows], b[rows], comm=COMM, method=method)
    assert found.converged
    assert found.iterations <= 3 * alone.iterations + 8
    assert len(set(COMM.allgather((found.reason, found.iterations, found.choice)))) == 1
    residual = np.linalg.norm(b - A @ gather(found.x)) / np.linalg.norm(b)
    assert residual == pytest.approx(found.true_residual, abs=1e-7)
    np.testing.assert_allclose(gather(found.x), alone.x, atol=1e-5 * abs(alone.x).max())


@pytest.mark.parametrize("method", ["multilevel", "ict", "direct"])
def test_transpose_and_update(method):
    A = gallery.convection_diffusion(40, 200.0, flow="constant")
    rows = ranges(1600)
    M = pympf.as_preconditioner(A[rows], comm=COMM, method=method)
    r, s = np.random.default_rng(0).standard_normal((2, 1600))
    Mr, Ms = gather(M.apply(r[rows])), gather(M.apply_transpose(s[rows]))
    assert abs(s @ Mr - r @ Ms) <= 1e-9 * np.linalg.norm(s) * np.linalg.norm(Mr)
    M.update(2 * A[rows])
    np.testing.assert_allclose(2 * gather(M.apply(r[rows])), Mr, rtol=1e-9, atol=1e-12)


def test_one_sided_pattern_and_both_near_nullspaces():
    P = gallery.directed_neighbours(1500)
    A = (sp.eye_array(1500) - 0.95 * P.T).tocsr()
    b, rows = np.cos(np.arange(1500.0)), ranges(1500)
    ones = np.ones(rows.stop - rows.start)
    found = pympf.solve(
        A[rows],
        b[rows],
        comm=COMM,
        preconditioner="multilevel",
        near_nullspace=ones,
        left_near_nullspace=ones,
    )
    assert found.converged
    assert found.iterations <= 40


def test_small_and_refused():
    A = np.array([[2.0, 1, 0, 0], [0, 2, 1, 0], [0, 0, 2, 1], [0.5, 0, 0, 2]])
    rows = ranges(4)
    x = gather(pympf.solve(A[rows], (A @ np.arange(4.0))[rows], comm=COMM).x)
    np.testing.assert_allclose(x, np.arange(4.0), atol=1e-7)
    with pytest.raises(ValueError, match="is for symmetric matrices"):
        pympf.as_preconditioner(A[rows], comm=COMM, cycle="w")
    assert MPI.COMM_WORLD.allreduce(1) == COMM.size  # all ranks come here
