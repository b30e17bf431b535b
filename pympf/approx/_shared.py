"""Operators that every rank holds whole, over vectors of which it has its own rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf.la import Matrix, Operator, Ranks

__all__ = ["Place", "SharedOperator", "exponent", "frobenius", "gathered"]

Array = NDArray[np.float64]


class Place:
    """Which rows and columns of a matrix this rank has."""

    def __init__(self, ranks: Ranks, rows: range, columns: range) -> None:
        self.ranks, self.rows, self.columns = ranks, rows, columns

    @classmethod
    def alone(cls, shape: tuple[int, int]) -> Place:
        """Return the place of the only rank."""
        return cls(Ranks(None), range(shape[0]), range(shape[1]))


def gathered(A: Any, comm: Any) -> tuple[sp.csr_array, Place]:
    """Pass the rows of this rank through the gate and return those of all, in float64. Collective.

    Vectors over the columns are cut as the rows are where the matrix is square, else evenly.
    """
    matrix = Matrix.of(A, comm, square=False).astype(np.float64)
    ranks, (m, n) = matrix.ranks, matrix.shape
    columns = matrix.rows if m == n else ranks.cut(n)
    whole = ranks.stack(matrix.csr)
    indices, indptr = (part.astype(np.int32, copy=False) for part in (whole.indices, whole.indptr))
    place = Place(ranks.own(), matrix.rows, columns)
    return sp.csr_array((whole.data, indices, indptr), shape=(m, n)), place


class SharedOperator(Operator):
    """An operator made of `_multiply` and `_multiply_transpose` on whole blocks."""

    def __init__(self, shape: tuple[int, int], place: Place | None = None) -> None:
        self._place = Place.alone(shape) if place is None else place
        local = len(self._place.rows), len(self._place.columns)
        super().__init__(np.float64, shape, ranks=self._place.ranks, local_shape=local)

    def _multiply(self, X: Array) -> Array:
        raise NotImplementedError

    def _multiply_transpose(self, Y: Array) -> Array:
        raise NotImplementedError

    def _apply(self, X: Array) -> Array:
        return self._on_whole(self._multiply, X, self._place.rows)

    def _apply_transpose(self, Y: Array) -> Array:
        return self._on_whole(self._multiply_transpose, Y, self._place.columns)

    def _on_whole(self, function: Callable[[Array], Array], X: Array, own: range) -> Array:
        """Call a function of the whole block, and return this rank's rows of what it gives."""
        Y = function(self.ranks.stack(X))
        return Y[own.start : own.stop]


def exponent(values: NDArray[np.float64]) -> int:
    """Return e such that squares of values · 2⁻ᵉ neither overflow nor vanish."""
    return int(np.frexp(np.max(np.abs(values), initial=0.0))[1])


def frobenius(values: NDArray[np.float64]) -> float:
    """Return the root of the sum of squares, at any scale."""
    e = exponent(values)
    return float(np.ldexp(np.linalg.norm(np.ldexp(values, -e)), e))
