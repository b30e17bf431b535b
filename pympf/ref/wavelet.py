"""Wavelets and sparse approximate inverses, the twins of cpp/pympf/approx/{wavelet,spai}."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["sparse_inverse", "transposed"]

Array = NDArray[np.float64]


def transposed(low: ArrayLike, grid: tuple[int, ...], levels: tuple[int, ...]) -> Array:
    """Return Wᵀ: averages and details at the even shifts of the filter, level after level."""
    out: NDArray[Any] = np.ones((1, 1))
    for axis in zip(grid, levels, strict=True):
        out = np.kron(out, _axis(np.asarray(low), *axis))
    return out


def _axis(low: Array, n: int, levels: int) -> Array:
    high = low[::-1] * (-1.0) ** np.arange(low.size)
    out = np.eye(n)
    for size in (n >> level for level in range(levels)):
        step = np.zeros((2, size // 2, size))
        for k in range(size // 2):
            for m in range(low.size):
                step[:, k, (2 * k + m) % size] += low[m], high[m]
        out[:size] = step.reshape(size, size) @ out[:size]
    return out


def sparse_inverse(A: Array, W: Array, pattern: NDArray[np.bool_]) -> Array:
    """Return M with columns argmin ‖A m_j − w_j‖ that are nonzero on the pattern only.

    Of many solutions that is taken which is least after the columns of A have been scaled to norm
    1 (thesis, algorithm 4).
    """
    M = np.zeros(pattern.shape)
    norm = np.linalg.norm(A, axis=0)
    norm[norm == 0] = 1
    for j, S in enumerate(pattern.T):
        M[S, j] = np.linalg.lstsq(A[:, S] / norm[S], W[:, j], rcond=None)[0] / norm[S]
    return M
