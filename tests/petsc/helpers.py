"""What the tests from petsc4py share."""

import numpy as np

import pympf
import pympf.petsc

ROUNDING = 256 * np.finfo(float).eps
P = pympf.gallery.poisson((12, 12))
ARG_SIZ, ARG_WRONG, ARG_WRONGSTATE, SUP, ORDER = 60, 62, 73, 56, 58
LEVELS = {"method": "multilevel", "coarse_size": 20}
CLASSIC = {"method": "classic", "core_size": 30}


def dense(pc):
    """Give the preconditioner as an array."""
    matrix = pc.getOperators()[1]
    x, y = matrix.createVecs()
    columns = []
    for i in range(x.size):
        x.set(0)
        x[i] = 1
        x.assemble()
        pc.apply(x, y)
        columns.append(y.array.copy())
    return np.array(columns).T.reshape(x.size, x.size)


def assert_spd(M):
    assert np.isfinite(M).all()
    size = np.abs(M).max(initial=0)
    assert np.abs(M - M.T).max(initial=0) <= ROUNDING * size
    assert (np.linalg.eigvalsh(M) > 0).all()


def new_values(PETSc, matrix, values):
    values.copy(matrix, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
