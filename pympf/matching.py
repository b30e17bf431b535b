"""Matchings of the rows of a sparse matrix with its columns, no two rows with the same column.

For the factorization of nonsymmetric matrices, and to bring large entries to the diagonal of a
matrix before a factorization that pivots little.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf import la
from pympf._engine import approx as _engine

__all__ = ["Matching", "greedy", "maximum_product", "maximum_sum"]

MOST_WORK = 2**63 - 1


@dataclass(frozen=True)
class Matching:
    """Which column each row has.

    Attributes
    ----------
    column : numpy.ndarray of int32, shape (m,)
        The column of each row; −1 where a row stays alone.
    row : numpy.ndarray of int32, shape (n,)
        The row of each column; −1 where a column stays alone.
    size : int
        Matched rows.
    exact : bool
        Whether it is a best one; else it is greedy, as good as augmentations made it.
    work : int
        Entries that the searches for augmenting paths looked at.
    row_scale, column_scale : numpy.ndarray of float64, or None
        Of a maximum product: no |row_scale_i a_ij column_scale_j| is above 1, and those of an exact
        matching are 1.
    """

    column: NDArray[np.int32]
    row: NDArray[np.int32]
    size: int
    exact: bool
    work: int
    row_scale: NDArray[np.float64] | None = None
    column_scale: NDArray[np.float64] | None = None


def maximum_sum(weights: Any, *, most_work: int | None = None) -> Matching:
    """Match rows with columns for the greatest sum of weights.

    Not collective.

    Parameters
    ----------
    weights : sparse array or matrix, or 2-D array_like, shape (m, n)
        Not negative. Rows and columns may stay alone.
    most_work : int, optional
        Entries that the searches may look at before the matching found so far, completed greedily,
        or a greedy one must do; by default as many as it takes.

    Returns
    -------
    Matching

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or the matrix has no rows or columns.
    TypeError
        If it is not a matrix of real numbers.

    Examples
    --------
    >>> from pympf.matching import maximum_sum
    >>> maximum_sum([[3.0, 4.0], [0.0, 3.0]]).column.tolist()
    [0, 1]
    """
    return _matched(_weights(weights), "sum", most_work)


def maximum_product(A: Any, *, most_work: int | None = None) -> Matching:
    """Match as many rows as possible, and of these matchings take the greatest product of |a_ij|.

    Not collective.

    Parameters
    ----------
    A : sparse array or matrix, or 2-D array_like, shape (m, n)
        Stored zeros are no entries.
    most_work : int, optional
        As in `maximum_sum`.

    Returns
    -------
    Matching
        With scales: ``diag(row_scale) A diag(column_scale)`` has no entry above 1, and 1 where
        matched.

    Raises
    ------
    ValueError
        If a value is not finite, or the matrix has no rows or columns.
    TypeError
        If it is not a matrix of real numbers.

    References
    ----------
    .. [1] I. Duff, J. Koster, "On algorithms for permuting large entries to the diagonal of a
       sparse matrix", SIAM J. Matrix Anal. Appl. 22, 2001.

    Examples
    --------
    >>> from pympf.matching import maximum_product
    >>> found = maximum_product([[1.0, 100.0], [4.0, 100.0]])
    >>> found.column.tolist()
    [1, 0]
    """
    return _matched(checked(A), "product", most_work)


def greedy(weights: Any) -> Matching:
    """Match the heaviest edge first, then improve along short augmenting paths.

    Not collective. The sum of weights is at least half of the greatest one.

    Parameters
    ----------
    weights : sparse array or matrix, or 2-D array_like, shape (m, n)
        Not negative.

    Returns
    -------
    Matching

    Raises
    ------
    ValueError, TypeError
        As `maximum_sum`.

    Examples
    --------
    >>> from pympf.matching import greedy
    >>> greedy([[3.0, 4.0], [0.0, 3.0]]).size
    2
    """
    return _matched(_weights(weights), "greedy", None)


def checked(A: Any) -> sp.csr_array:
    """Pass a rectangular matrix through the gate: canonical, finite, float64, not empty.

    Not collective.

    Parameters
    ----------
    A : sparse array or matrix, or 2-D array_like, shape (m, n)

    Returns
    -------
    scipy.sparse.csr_array

    Raises
    ------
    ValueError
        If a value is not finite, or the matrix has no rows or columns.
    TypeError
        If it is not a matrix of real numbers.

    Examples
    --------
    >>> from pympf.matching import checked
    >>> checked([[1, 0], [2, 3]]).data
    array([1., 2., 3.])
    """
    return la.Matrix.of(A, la.Ranks(None), square=False).astype(np.float64).csr


def rows_of(csr: sp.csr_array) -> Any:
    """Hand a checked matrix to the core.

    Not collective.

    Parameters
    ----------
    csr : scipy.sparse.csr_array
        As `checked` returns it.

    Returns
    -------
    pympf._approx.Rows

    Examples
    --------
    >>> from pympf.matching import checked, rows_of
    >>> type(rows_of(checked([[1.0]]))).__name__
    'Rows'
    """
    return _engine.Rows(csr.indptr, csr.indices, csr.data, csr.shape[1])


def _weights(weights: Any) -> sp.csr_array:
    csr = checked(weights)
    if csr.nnz and csr.data.min() < 0:
        raise ValueError(f"expected weights >= 0, got {csr.data.min()}")
    return csr


def _matched(csr: sp.csr_array, goal: str, most_work: int | None) -> Matching:
    work = MOST_WORK if most_work is None else operator.index(most_work)
    if not 0 <= work <= MOST_WORK:
        raise ValueError(f"most_work = {most_work} is not between 0 and 2^63 - 1")
    found = _engine.match(rows_of(csr), goal, work)
    for name in ("row_scale", "column_scale"):
        found[name] = found[name] if goal == "product" else None
    return Matching(**found)
