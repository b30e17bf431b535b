"""Threshold incomplete Cholesky, twin of cpp/pympf/precond/smoothers/incomplete_cholesky.hpp."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["incomplete_cholesky"]

Array = NDArray[np.float64]

LEAST_PIVOT = 1e-10  # of the scaled matrix
MARGIN = 1e-6  # of a diagonal above the sum of its row
RELAXATION = 0.9  # part of a dropped number that a row sum keeps


def incomplete_cholesky(
    A: Array, drop_tolerance: float, fill: int, *, lowers_diagonal: bool = False
) -> Array:
    """Return the lower triangular L of M = L L^T >= A; zero rows of A are zero rows of L.

    At a negative pivot it begins anew with the diagonal of A raised to dominance.
    `lowers_diagonal`: for CG alone, and an A without positive entries off the diagonal and negative
    row sums; not M >= A.
    """
    L = None
    d = A.diagonal()
    if np.all((d > 0) | ~A.any(axis=1)):
        L = factor(A, drop_tolerance, fill, lowers_diagonal)
    if L is None:
        sums = np.abs(A).sum(axis=1) - np.abs(d)
        raised = np.maximum(np.abs(d), (1 + MARGIN) * sums)
        L = factor(A + np.diag(raised - d), drop_tolerance, fill, lowers_diagonal)
        assert L is not None
    return L


def factor(A: Array, drop_tolerance: float, fill: int, lowers: bool) -> Array | None:
    """Return L, or None at a negative pivot.

    Column by column of the scaled matrix S^-1 A S^-1, which has ones on its diagonal. A column
    drops what is below drop_tolerance times its norm, and keeps as many entries as A has there, and
    `fill` more. Every dropped |v| is added to the two diagonal entries that it couples: M - A is a
    sum of |v| [1 -s; -s 1], s = sign(v) (Ajiz and Jennings, Int. J. Numer. Meth. Eng. 20, 1984).
    Lowered diagonals get most of v instead, which keeps the row sums of A, but no more than |v|;
    all fill is dropped (Axelsson and Lindskog, Numer. Math. 48, 1986).
    """
    n, s = len(A), np.sqrt(A.diagonal())
    scale = np.where(s > 0, s, 1)
    scaled = A / np.outer(scale, scale)
    L, added = np.zeros((n, n)), np.zeros(n)
    for j in range(n):
        below = scaled[j + 1 :, j]
        least = drop_tolerance * np.sqrt(1 + below @ below)
        v = below - L[j + 1 :, :j] @ L[j, :j]
        candidates = np.where(below != 0, v, 0) if lowers else v
        stays = keeps(candidates, least, int(np.count_nonzero(below)) + fill)
        dropped = np.where(stays, 0, v)
        ratio = scale[j + 1 :] / scale[j]
        added[j + 1 :] += share(dropped, 1 / ratio, lowers)
        pivot = 1 + added[j] + share(dropped, ratio, lowers).sum() - L[j, :j] @ L[j, :j]
        if pivot < -LEAST_PIVOT:
            return None
        L[j, j] = np.sqrt(pivot if pivot > LEAST_PIVOT else 1)
        L[j + 1 :, j] = (v - dropped) / L[j, j]
    return s[:, None] * L


def share(dropped: Array, ratio: Array, lowers: bool) -> Array:
    """Return what the diagonal of a row gets; `ratio`: the scale of the other rows over its own."""
    if not lowers:
        return np.abs(dropped)
    return np.where(dropped < 0, RELAXATION * dropped * np.minimum(1, ratio), dropped)


def keeps(v: Array, least: float, most: int) -> NDArray[np.bool_]:
    """Tell which entries stay: the `most` largest of those above `least`, and all equal to them."""
    size = np.abs(v)
    large = size > least
    if np.count_nonzero(large) > most:
        large &= size >= (np.sort(size)[-most] if most > 0 else np.inf)
    return np.asarray(large)
