"""Matrices and helpers that several files of tests of the preconditioner share."""

import numpy as np
import scipy.sparse as sp

import pympf
from pympf import gallery

BEGUN = 2
"""Steps of CG with the diagonal, before `solve` looks at the matrix."""


def dense(M):
    """Give M as an array."""
    return M @ np.eye(M.shape[0])


def grid_laplacian(*shape):
    """The Laplacian of a grid graph: constants are its kernel."""
    A = abs(gallery.poisson(shape))
    return gallery.laplacian(A - sp.diags_array(A.diagonal()))


def consistent(A, rng):
    return A @ rng.standard_normal(A.shape[0])


def modes_of_grid(*shape):
    return pympf.rigid_body_modes(np.indices(shape).reshape(len(shape), -1).T)


def normal_equations(rng, diagonals, shift=1e-2):
    """Make a matrix of 1500 rows that has no near-nullspace."""
    n = 1500
    offsets = sorted(rng.choice(np.arange(-60, 60), diagonals, replace=False))
    bands = [rng.uniform(-1, 1, n - abs(k)) for k in offsets]
    B = sp.diags_array(bands, offsets=offsets, shape=(n, n))
    A = B.T @ B + shift * sp.eye_array(n)
    return sp.csr_array((A + A.T) / 2)
