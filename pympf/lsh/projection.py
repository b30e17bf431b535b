"""The projections of a hash family as a linear operator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pympf.la import Operator

__all__ = ["Projection"]


class Projection(Operator):
    """The directions a_i of a hash family as the rows of a matrix, x ↦ (a_1ᵀx, …, a_mᵀx).

    ``HashFamily.project(X)`` is ``projection.apply(X.T).T`` plus the offsets, up to rounding: its
    sums run over the coordinates in their order, so that keys are the same everywhere.

    Parameters
    ----------
    directions : numpy.ndarray, shape (n_tables, n_functions, n_features)

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.lsh import HyperplaneHash
    >>> family = HyperplaneHash(3, n_functions=4, n_tables=2, seed=1)
    >>> family.projection.shape
    (8, 3)
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> bool(np.allclose(family.projection @ x, family.project([x]).ravel()))
    True
    """

    def __init__(self, directions: NDArray[np.float32]) -> None:
        self._A = directions.reshape(-1, directions.shape[-1]).astype(np.float64)
        super().__init__(np.float64, self._A.shape)

    def _apply(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._A @ X

    def _apply_transpose(self, Y: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._A.T @ Y
