"""What comes in: matrices that must be square or skew-symmetric."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

__all__ = ["antisymmetric", "square"]

TOLERANCE = 1e-12
"""How far |a_ij + a_ji| may be from zero in a skew-symmetric matrix, relative to the larger."""


def square(A: sp.csr_array, what: str) -> sp.csr_array:
    """Refuse a rectangular matrix."""
    if A.shape[0] != A.shape[1]:
        raise ValueError(
            f"{what} needs a square matrix, got {A.shape[0]} rows and {A.shape[1]} columns; "
            "pympf.factorize_direct takes any shape"
        )
    return A


def antisymmetric(A: sp.csr_array) -> sp.csr_array:
    """Return a skew-symmetric matrix that is so to the last bit; refuse what is none."""
    sums = abs(A + A.T).tocsr()
    larger = abs(A).maximum(abs(A.T)).tocsr()
    excess = (sums - TOLERANCE * larger).tocsr()
    wrong = np.flatnonzero(excess.data > 0)
    if wrong.size:
        i = int(np.searchsorted(excess.indptr, wrong[0], side="right")) - 1
        j = int(excess.indices[wrong[0]])
        raise ValueError(
            f"expected a skew-symmetric matrix, got a_ij = {A[i, j]:.6g} and a_ji = {A[j, i]:.6g} "
            f"at i = {i}, j = {j} ({wrong.size} such entries); pympf.factorize_additive and "
            "pympf.factorize_direct take any square matrix"
        )
    upper = sp.triu(A, 1, format="csr")
    exact = sp.csr_array(upper - upper.T)
    exact.sort_indices()
    return exact
