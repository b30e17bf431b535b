"""Approximations of low rank: CUR, singular vectors, Nyström's, and how singular values decay."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import svds

from pympf.approx._shared import exponent, frobenius
from pympf.approx.factorization import relative_error
from pympf.la import Operator, checks
from pympf.matching import checked

__all__ = ["SELECTIONS", "Cur", "LowRank", "cur", "nystrom", "singular_value_decay", "svd"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
SELECTIONS = ("norms", "leverage", "qr")
DENSE = 2**26
"""Entries of a matrix that is treated as a dense one."""


class Cur(Operator):
    """A ≈ C U R with k columns C and k rows R of A; made by `cur` or `nystrom`.

    Attributes
    ----------
    C : scipy.sparse.csc_array, shape (m, k)
    U : numpy.ndarray, shape (k, k)
    R : scipy.sparse.csr_array, shape (k, n)
    rows, columns : numpy.ndarray of int64, shape (k,)
        Which of A.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> F = pympf.cur(np.outer([1.0, 2.0, 3.0], [1.0, 1.0]), 1)
    >>> bool(np.allclose(F @ [1.0, 0.0], [1, 2, 3]))
    True
    """

    def __init__(self, A: sp.csr_array, rows: Indices, columns: Indices, U: Array) -> None:
        self.rows, self.columns, self.U = rows, columns, U
        self.C, self.R = A.tocsc()[:, columns], A[rows]
        super().__init__(np.float64, A.shape)

    def _apply(self, X: Array) -> Array:
        return self.C @ (self.U @ (self.R @ X))

    def _apply_transpose(self, Y: Array) -> Array:
        return self.R.T @ (self.U.T @ (self.C.T @ Y))

    @property
    def nbytes(self) -> int:
        """Bytes: 12 for each entry of C and R, 8 for each of U, 4 for each index."""
        return 12 * (self.C.nnz + self.R.nnz) + 8 * self.U.size + 4 * 2 * len(self.rows)

    def error(self, A: Any) -> float:
        """Return ‖A − CUR‖ / ‖A‖ in the Frobenius norm, column by column.

        Not collective.

        Parameters
        ----------
        A : sparse array or matrix, or 2-D array_like, shape (m, n)

        Examples
        --------
        >>> import numpy as np, pympf
        >>> A = np.outer([1.0, 2.0, 3.0], [1.0, 1.0])
        >>> pympf.cur(A, 1).error(A) < 1e-15
        True
        """
        return relative_error(self._apply, _of_shape(A, self.shape))


class LowRank(Operator):
    """A ≈ L Rᵀ with dense factors of k columns; made by `svd`.

    Attributes
    ----------
    left, right : numpy.ndarray, shapes (m, k) and (n, k)

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.approx import svd
    >>> svd(np.diag([3.0, 2.0, 1.0]), 2).error(np.diag([3.0, 2.0, 1.0])).__round__(4)
    0.2673
    """

    def __init__(self, left: Array, right: Array) -> None:
        self.left, self.right = left, right
        super().__init__(np.float64, (left.shape[0], right.shape[0]))

    def _apply(self, X: Array) -> Array:
        return self.left @ (self.right.T @ X)

    def _apply_transpose(self, Y: Array) -> Array:
        return self.right @ (self.left.T @ Y)

    @property
    def nbytes(self) -> int:
        """Bytes of both factors."""
        return self.left.nbytes + self.right.nbytes

    def error(self, A: Any) -> float:
        """Return ‖A − L Rᵀ‖ / ‖A‖ in the Frobenius norm, column by column.

        Not collective.

        Parameters
        ----------
        A : sparse array or matrix, or 2-D array_like, shape (m, n)

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.approx import svd
        >>> svd(np.ones((3, 4)), 1).error(np.ones((3, 4))) < 1e-14
        True
        """
        return relative_error(self._apply, _of_shape(A, self.shape))


def cur(A: Any, k: int, *, selection: str = "norms", seed: int = 0) -> Cur:
    """Approximate by k columns and k rows of A: A ≈ C U R with the best U = C⁺ A R⁺.

    Not collective. The residual is orthogonal to all matrices C X R.

    Parameters
    ----------
    A : sparse array or matrix, or 2-D array_like, shape (m, n)
    k : int
        1 to min(m, n).
    selection : {'norms', 'leverage', 'qr'}
        Columns and rows at random with probabilities as their squared norms, or as their leverage
        scores of rank k; or, better, by QR with column pivoting, which takes A as a dense matrix.
    seed : int
        Of the random choice.

    Returns
    -------
    Cur

    Raises
    ------
    ValueError
        If k is out of range, the selection unknown, or `A` empty or not finite, or too large for a
        dense QR where that is asked for.
    TypeError
        If `A` is not a matrix of real numbers.

    References
    ----------
    .. [1] M. Mahoney, P. Drineas, "CUR matrix decompositions for improved data analysis", PNAS 106,
       2009; thesis, section 2.4.3.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> A = np.vander(np.linspace(0, 1, 20), 12)
    >>> pympf.cur(A, 5, selection="qr").error(A) < 0.1
    True
    """
    csr = checked(A)
    k = checks.integer(k, "k", 1, min(csr.shape))
    checks.choice(selection, "selection", SELECTIONS)
    columns, rows = _selected(csr, k, selection, seed)
    Q, C_inverse = _projection(csr.tocsc()[:, columns].toarray())
    W, R_inverse = _projection(csr[rows].toarray().T)
    return Cur(csr, rows, columns, C_inverse @ (Q.T @ (csr @ W)) @ R_inverse.T)


def nystrom(A: Any, k: int, *, selection: str = "norms", seed: int = 0) -> Cur:
    """Approximate by k columns and k rows of A and where they cross: A ≈ C W⁺ R.

    Not collective. Cheaper than `cur`, which has the best matrix between the same C and R.

    Parameters
    ----------
    A, k, selection, seed
        As for `cur`.

    Returns
    -------
    Cur

    Raises
    ------
    ValueError, TypeError
        As `cur`.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.approx import nystrom
    >>> A = np.vander(np.linspace(0, 1, 20), 12)
    >>> nystrom(A, 5, selection="qr").error(A) < 0.3
    True
    """
    csr = checked(A)
    k = checks.integer(k, "k", 1, min(csr.shape))
    checks.choice(selection, "selection", SELECTIONS)
    columns, rows = _selected(csr, k, selection, seed)
    crossing = csr[rows].tocsc()[:, columns].toarray()
    return Cur(csr, rows, columns, np.linalg.pinv(crossing, rcond=1e-10))


def svd(A: Any, k: int) -> LowRank:
    """Approximate by the k largest singular values, which is the best of rank k.

    Not collective. By SciPy: dense LAPACK, or ARPACK where the matrix is large and k small.

    Parameters
    ----------
    A : sparse array or matrix, or 2-D array_like, shape (m, n)
    k : int
        1 to min(m, n).

    Returns
    -------
    LowRank

    Raises
    ------
    ValueError
        If k is out of range, `A` is empty or not finite, or too large for a dense decomposition.
    TypeError
        If `A` is not a matrix of real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.approx import svd
    >>> svd(np.outer([1.0, 2.0], [3.0, 4.0, 5.0]), 1).nbytes
    40
    """
    csr = checked(A)
    U, s, Vt = _singular(csr, checks.integer(k, "k", 1, min(csr.shape)))
    return LowRank(U * s, np.ascontiguousarray(Vt.T))


def singular_value_decay(A: Any, k: int) -> Array:
    """Tell which part of ‖A‖ is left without the first singular values: what rank j cannot reach.

    Not collective. Slow decay says that low rank, and so CUR, is of no use.

    Parameters
    ----------
    A : sparse array or matrix, or 2-D array_like, shape (m, n)
    k : int
        1 to min(m, n).

    Returns
    -------
    numpy.ndarray, shape (k + 1,)
        The relative error of the best approximation of rank 0, 1, ..., k.

    Raises
    ------
    ValueError, TypeError
        As `svd`.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.approx import singular_value_decay
    >>> singular_value_decay(np.diag([4.0, 3.0]), 2).round(12).tolist()
    [1.0, 0.6, 0.0]
    """
    csr = checked(A)
    _, s, _ = _singular(csr, checks.integer(k, "k", 1, min(csr.shape)))
    return decay_of(s, frobenius(csr.data))


def decay_of(s: Array, norm: float) -> Array:
    """Return sqrt(1 − Σ s² / norm²) after 0, 1, … values."""
    if norm == 0:
        return np.zeros(len(s) + 1)
    left = 1 - np.concatenate([[0], np.cumsum((s / norm) ** 2)])
    return np.sqrt(np.where(left > 1e-15, left, 0))


def _of_shape(A: Any, shape: tuple[int, int]) -> sp.csr_array:
    csr = checked(A)
    if csr.shape != shape:
        raise ValueError(f"expected a matrix of shape {shape}, got {csr.shape}")
    return csr


def dense(A: sp.csr_array, what: str) -> Array:
    """Return the matrix as a dense array where it is not too large."""
    if A.shape[0] * A.shape[1] > DENSE:
        raise ValueError(
            f"{what} takes a dense matrix, and {A.shape[0]} x {A.shape[1]} is more than {DENSE} "
            "entries"
        )
    return A.toarray()


def _singular(A: sp.csr_array, k: int) -> tuple[Array, Array, Array]:
    """Return the k largest singular values, descending, and their vectors."""
    smaller = min(A.shape)
    if 4 * k < smaller and smaller > 500:
        start = np.random.Generator(np.random.Philox(0)).standard_normal(smaller)
        U, s, Vt = svds(A, k=k, v0=start)
        order = np.argsort(-s, kind="stable")
        return U[:, order], s[order], Vt[order]
    U, s, Vt = scipy.linalg.svd(dense(A, "a singular value decomposition"), full_matrices=False)
    return U[:, :k], s[:k], Vt[:k]


def _selected(A: sp.csr_array, k: int, selection: str, seed: int) -> tuple[Indices, Indices]:
    seed = checks.seed(seed)
    if selection == "qr":
        full = dense(A, "selection = 'qr'")
        pivots = [scipy.linalg.qr(M, mode="r", pivoting=True)[1] for M in (full, full.T)]
        return pivots[0][:k].astype(np.int64), pivots[1][:k].astype(np.int64)
    if selection == "norms":
        scaled = A.copy()
        scaled.data = np.ldexp(A.data, -exponent(A.data))
        squares = scaled.multiply(scaled)
        weights = [np.asarray(squares.sum(axis=axis)).ravel() for axis in (0, 1)]
    else:
        U, _, Vt = _singular(A, k)
        weights = [np.sum(Vt**2, axis=0), np.sum(U**2, axis=1)]
    random = np.random.Generator(np.random.Philox(seed))
    return _drawn(weights[0], k, random), _drawn(weights[1], k, random)


def _drawn(weights: Array, k: int, random: np.random.Generator) -> Indices:
    """Draw k different numbers with these weights; those without weight only where none is left."""
    positive = np.flatnonzero(weights > 1e-14 * weights.max(initial=0))
    if len(positive) <= k:
        return np.argsort(-weights, kind="stable")[:k].astype(np.int64)
    weight = weights[positive]
    return random.choice(positive, k, replace=False, p=weight / weight.sum()).astype(np.int64)


def _projection(M: Array) -> tuple[Array, Array]:
    """Return Q with the range of M, and X with M X = Q: X Qᵀ is an inverse of M on its range."""
    Q, R, pivots = scipy.linalg.qr(M, mode="economic", pivoting=True)
    size = abs(np.diag(R))
    rank = int(np.count_nonzero(size > 1e-12 * size.max(initial=0)))
    X = np.zeros((M.shape[1], rank))
    X[pivots[:rank]] = scipy.linalg.solve_triangular(R[:rank, :rank], np.eye(rank))
    return Q[:, :rank], X
