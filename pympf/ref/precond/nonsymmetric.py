"""Levels for a matrix that need not be symmetric, the twin of ilut.hpp and petrov.hpp.

==============================  ============================
petrov.hpp                      code
==============================  ============================
T = (A + Aᵀ) / 2, clusters      `petrov`: W, label
b ← b − S A b                   `relaxed`
nearly symmetric: L = P, ILU(0) `skewness`, `smoother`
P = lift(A) Q, L = lift(Aᵀ) Q   `petrov`: P, L
A' = Lᵀ A P                     `petrov`: A
S, the cycle                    `ilut`, `PetrovHierarchy.apply`
==============================  ============================
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pympf.ref.precond.couplings import cluster, contract, couplings
from pympf.ref.precond.params import Params
from pympf.ref.precond.transfer import lifted_prolongation, rotate

__all__ = ["PetrovHierarchy", "ilut", "petrov"]

Array = NDArray[np.float64]

LEAST_PIVOT = 1e-8  # of the mean magnitude of its row
KEPT_FILL = 0.1  # of the drop tolerance: smaller fill is not even begun
TRUNCATED_MORE = 1.5  # in the unit of `truncation`, as both sides are lifted
MOST_NEGATIVE = 0.01  # negative row sums beside the diagonal, on average
RELAXING_STEPS = 2
NEARLY_SYMMETRIC = 0.08  # up to this skewness T is lifted, for both sides, and ILU(0) smooths


def ilut(
    A: Array, drop: float = 0.01, more: int = 1, *, pattern: bool = False
) -> tuple[Array, Array]:
    """Factor A ≈ L U by rows, and drop what is small (Saad 1994).

    Not collective.

    Parameters
    ----------
    A : numpy.ndarray, shape (n, n)
    drop : float
        Multipliers below it go, and entries of U below it times the mean magnitude of their row.
    more : int
        Entries of L and of U that a row may have more than A has there.
    pattern : bool
        Keep what A has, and nothing else: ILU(0).

    Returns
    -------
    L, U : numpy.ndarray, shape (n, n)
        L has ones on the diagonal.

    Examples
    --------
    >>> A = np.diag([2.0, 3.0, 4.0]) - np.eye(3, k=-1)
    >>> L, U = ilut(A)
    >>> bool(np.allclose(L @ U, A))
    True
    """
    n = len(A)
    L, U = np.eye(n), np.zeros((n, n))
    for i in range(n):
        w, stored = A[i].copy(), A[i] != 0
        size = float(np.abs(w[stored]).mean()) if stored.any() else 0.0
        lower, upper = int(stored[:i].sum()), int(stored[i + 1 :].sum())
        there = stored.copy()
        for k in range(i):
            if not there[k]:
                continue
            w[k] /= U[k, k]
            if not pattern and abs(w[k]) < drop:
                w[k] = 0
                continue
            for j in range(k + 1, n):
                v = -w[k] * U[k, j]
                if v == 0 or not (there[j] or (not pattern and abs(v) >= KEPT_FILL * drop * size)):
                    continue
                w[j] += v
                there[j] = True
        if not pattern:
            w[i + 1 :][np.abs(w[i + 1 :]) < drop * size] = 0
            keep_largest(w[:i], lower + more)
            keep_largest(w[i + 1 :], upper + more)
        if not abs(w[i]) >= LEAST_PIVOT * size or w[i] == 0:
            w[i] = np.copysign((1e-4 + drop) * size, w[i]) if size > 0 else 1
        L[i, :i], U[i, i:] = w[:i], w[i:]
    return L, U


def keep_largest(row: Array, count: int) -> None:
    """Set all entries but the largest to zero; of equal ones the first stay."""
    row[np.argsort(-np.abs(row), kind="stable")[count:]] = 0


@dataclass(frozen=True)
class PetrovHierarchy:
    """The levels, each (A, P, L, the inverse of its incomplete factors), and the last matrix."""

    levels: list[tuple[Array, Array, Array, Array]]
    last: Array

    def apply(self, r: Array) -> Array:
        """Return M r by one cycle."""
        return self.cycle(0, r)

    def cycle(self, l: int, b: Array) -> Array:
        """Return x = S b;  x += P cycle(Lᵀ (b - A x));  x += S (b - A x)."""
        if l == len(self.levels):
            return np.asarray(np.linalg.solve(self.last, b))
        A, P, L, S = self.levels[l]
        x = S @ b
        x += P @ self.cycle(l + 1, L.T @ (b - A @ x))
        return np.asarray(x + S @ (b - A @ x))


def petrov(A: Array, levels: int, params: Params | None = None) -> PetrovHierarchy:
    """Build so many levels of a matrix, and solve with the matrix behind them.

    Not collective.

    Parameters
    ----------
    A : numpy.ndarray, shape (n, n)
    levels : int
    params : Params

    Returns
    -------
    PetrovHierarchy

    Examples
    --------
    >>> A = 3 * np.eye(60) - 2 * np.eye(60, k=-1) - 0.5 * np.eye(60, k=1)
    >>> M = petrov(A, 1)
    >>> r = np.ones(60)
    >>> bool(np.linalg.norm(r - A @ M.apply(r)) < 0.1 * np.linalg.norm(r))
    True
    """
    params = params or Params()
    params = replace(params, truncation=min(TRUNCATED_MORE * params.truncation, 0.99))
    made: list[tuple[Array, Array, Array, Array]] = []
    S = smoother(A, params)
    right, left = relaxed(A, S), relaxed(A.T, S.T)
    W = couplings((A + A.T) / 2, right, 1)
    for _ in range(levels):
        label = cluster(W, params.shape, params.strength, params.cluster_size)
        one_side = skewness(A) <= NEARLY_SYMMETRIC and np.array_equal(right, left)
        sides = ((A + A.T) / 2,) * 2 if one_side else (A, A.T)
        (Q, right_coarse), (Q_left, left_coarse) = rotate(right, label), rotate(left, label)
        P = lifted_prolongation(sides[0], right, Q, right_coarse, label, 1, params)
        L = lifted_prolongation(sides[1], left, Q_left, left_coarse, label, 1, params)
        made.append((A, P, L, smoother(A, params)))
        A, W = L.T @ A @ P, contract(W, label)
        right, left = right_coarse, left_coarse
    return PetrovHierarchy(made, A)


def skewness(A: Array) -> float:
    """Return the mean of rows of Σ |a_ij − a_ji| / Σ |a_ij + a_ji| off the diagonal.

    It is 0 for symmetric matrices, 1 for one-sided ones.
    """
    sums = np.where(A != 0, np.abs(A + A.T - 2 * np.diag(A.diagonal())), 0).sum(axis=1)
    skew = np.where(A != 0, np.abs(A - A.T), 0).sum(axis=1)
    return float(np.minimum(skew / np.where(sums > 0, sums, np.inf), 1).mean())


def smoother(A: Array, params: Params) -> Array:
    """Return the inverse of the incomplete factors of a level."""
    is_default = (params.drop_tolerance, params.fill) == (Params().drop_tolerance, Params().fill)
    pattern = is_default and skewness(A) <= NEARLY_SYMMETRIC
    L, U = ilut(A, params.drop_tolerance, params.fill, pattern=pattern)
    return np.asarray(np.linalg.inv(L @ U), np.float64)


def relaxed(A: Array, S: Array) -> Array:
    """Return constants, or what two steps leave of them where rows have negative sums."""
    b = np.ones((len(A), 1))
    if np.maximum(-A.sum(1) / A.diagonal(), 0).mean() <= MOST_NEGATIVE:
        return b
    for _ in range(RELAXING_STEPS):
        b = b - S @ (A @ b)
        b /= np.abs(b).max()
    return b
