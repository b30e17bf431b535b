"""Sparse approximate inverses, the twin of cpp/pympf/approx/spai (thesis, algorithm 4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["sparse_inverse"]


def sparse_inverse(
    A: NDArray[np.float64], W: NDArray[np.float64], pattern: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return M with columns argmin ‖A m_j − w_j‖ that are nonzero on the pattern only."""
    M = np.zeros(pattern.shape)
    for j, S in enumerate(pattern.T):
        M[S, j] = np.linalg.lstsq(A[:, S], W[:, j], rcond=None)[0]
    return M
