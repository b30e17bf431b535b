"""Sparse approximate inverses in a wavelet basis (thesis, section 2.2, algorithms 3 and 4).

WSPAI (Chan, Tang, Wan): min ‖(Wᵀ A W) M − I‖ over block-diagonal M; then W M Wᵀ ≈ A⁻¹.
IWSPAI (Hawkins, Chen): min ‖A M̂ − W‖ over M̂ with the entries of W; then M̂ Wᵀ ≈ A⁻¹. Line 5 of
algorithm 4 must read m̂_j(S_j) = z. Both are columns of least squares, in C++ (approx/spai).

=====  ===============
paper  code
=====  ===============
W      `inverse.W`
M, M̂   `inverse.M`
=====  ===============
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf import _approx as _engine
from pympf.approx._gates import square
from pympf.approx.wavelet import Wavelets
from pympf.la import Operator, checks
from pympf.matching import checked

__all__ = ["SparseInverse", "iwspai", "wspai"]

Array = NDArray[np.float64]


class SparseInverse(Operator):
    """An approximate inverse of A from wavelets and a sparse M; made by `wspai` and `iwspai`.

    Attributes
    ----------
    M : scipy.sparse.csc_array, shape (n, n)
    W : Wavelets
    kind : {'wspai', 'iwspai'}

    Examples
    --------
    >>> import numpy as np, pympf
    >>> M = pympf.iwspai(2 * np.eye(8), pympf.wavelets(8, order=1))
    >>> bool(np.allclose(M @ np.ones(8), 0.5))
    True
    """

    def __init__(self, M: sp.csc_array, W: Wavelets, kind: str) -> None:
        self.M, self.W, self.kind = M, W, kind
        super().__init__(np.float64, W.shape)

    def _apply(self, X: Array) -> Array:
        Y = self.M @ (self.W.T @ X)
        return self.W @ Y if self.kind == "wspai" else Y

    def _apply_transpose(self, Y: Array) -> Array:
        return self.W @ (self.M.T @ (self.W.T @ Y if self.kind == "wspai" else Y))


def wspai(A: Any, W: Wavelets, *, block: int = 8) -> SparseInverse:
    """Approximate A⁻¹ by W M Wᵀ with a block-diagonal M: min ‖(Wᵀ A W) M − I‖.

    Not collective.

    Parameters
    ----------
    A : sparse array or matrix, or 2-D array_like, shape (n, n)
    W : Wavelets, shape (n, n)
    block : int
        Rows of a block; the last may be smaller.

    Notes
    -----
    Thesis, section 2.2 (Chan, Tang and Wan).

    Examples
    --------
    >>> import numpy as np, pympf
    >>> A = pympf.gallery.poisson((64,))
    >>> M = pympf.wspai(A, pympf.wavelets(64, order=2))
    >>> pympf.solve(A, np.ones(64), M=M, method="gmres").converged
    True
    """
    csr, n = _fitting(A, W, "wspai"), W.shape[0]
    block = checks.integer(block, "block", 1)
    basis = W.matrix()
    first = np.arange(n) // block * block
    last = np.minimum(first + block, n)
    indptr = np.concatenate([[0], np.cumsum(last - first)])
    indices = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
    pattern = sp.csc_array((np.ones(indices.size), indices, indptr), shape=(n, n))
    transformed = sp.csc_array(basis.T @ csr @ basis)
    M = _least_squares(transformed, sp.eye_array(n, format="csc"), pattern)
    return SparseInverse(M, W, "wspai")


def iwspai(A: Any, W: Wavelets) -> SparseInverse:
    """Approximate A⁻¹ by M̂ Wᵀ, M̂ with the entries of W: min ‖A M̂ − W‖.

    Not collective.

    Parameters
    ----------
    A : sparse array or matrix, or 2-D array_like, shape (n, n)
    W : Wavelets, shape (n, n)

    Notes
    -----
    Thesis, algorithms 3 and 4 (Hawkins and Chen). A column costs 2 |T_j| |S_j|² multiply-adds, with
    |S_j| entries of a wavelet: all of the grid on the coarsest levels.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> A = pympf.gallery.poisson((64,))
    >>> M = pympf.iwspai(A, pympf.wavelets(64, order=2))
    >>> pympf.solve(A, np.ones(64), M=M, method="gmres").iterations < 20
    True
    """
    basis = W.matrix()
    M = _least_squares(sp.csc_array(_fitting(A, W, "iwspai")), basis, basis)
    return SparseInverse(M, W, "iwspai")


def _fitting(A: Any, W: Wavelets, what: str) -> sp.csr_array:
    csr = square(checked(A), what)
    if csr.shape != W.shape:
        raise ValueError(f"{what}: A has {csr.shape[0]} rows and the wavelets {W.shape[0]}")
    return csr


def _least_squares(A: sp.csc_array, W: sp.csc_array, pattern: sp.csc_array) -> sp.csc_array:
    values = _engine.sparse_inverse(*map(_columns, (A, W, pattern)))
    return sp.csc_array((values, pattern.indices, pattern.indptr), shape=pattern.shape)


def _columns(A: sp.csc_array) -> Any:
    A.sort_indices()
    index = np.int32
    return _engine.Rows(A.indptr.astype(index), A.indices.astype(index), A.data, A.shape[0])
