"""How good projections are, and projections that look at one part of the input each.

References
----------
.. [1] A. Boopathy, S. Jiang, W. Yue, J. Hwang, A. Iyer, I. Fiete, "Breaking neural network scaling
   laws with modularity", figures 5 and 12, appendix E.3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pympf.la import checks
from pympf.nets._checks import Array, as_points, random_numbers

__all__ = ["as_labels", "focus", "random_similarity", "screened", "similarity"]

FLOOR = 1.5
"""Energies below this multiple of their median are noise."""


def similarity(U: ArrayLike, V: ArrayLike) -> float:
    """Measure how near directions come to given ones: (1/K) Σ_i max_j |cos(u_i, v_j)|.

    Not collective. Compare with `random_similarity`: random directions score .71, .68 and .57
    at m = k = 3, 5 and 10.

    Parameters
    ----------
    U : array_like, shape (K, m)
        Directions that were learned.
    V : array_like, shape (k, m)
        Those of the task.

    Returns
    -------
    float
        Between 0 and 1. The paper's formula lacks the factor 1/K, its text has it.

    Examples
    --------
    >>> from pympf.nets import similarity
    >>> similarity([[2.0, 0.0], [-3.0, 3.0]], [[1.0, 0.0]]).__round__(3)
    0.854
    """
    U = as_points(U)
    V = as_points(V, U.shape[1])
    lengths = np.outer(np.linalg.norm(U, axis=1), np.linalg.norm(V, axis=1))
    return float((np.abs(U @ V.T) / np.maximum(lengths, 1e-300)).max(axis=1).mean())


def random_similarity(V: ArrayLike, *, draws: int = 4000, seed: int = 0) -> float:
    """Compute the similarity of random directions: the baseline of every other number.

    Not collective.

    Parameters
    ----------
    V : array_like, shape (k, m)
        The directions of the task.
    draws : int
        How many random directions.
    seed : int
        Their seed.

    Returns
    -------
    float
        `similarity` of them.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import random_similarity
    >>> 0.5 < random_similarity(np.eye(10)) < 0.7
    True
    """
    V = as_points(V)
    shape = (checks.integer(draws, "draws"), V.shape[1])
    return similarity(random_numbers(seed, "similarity").standard_normal(shape), V)


def focus(U: ArrayLike, k: int) -> float:
    """Measure how much projections look at one of k equal parts of the input.

    Not collective.

    Parameters
    ----------
    U : array_like, shape (K, m) or (K, m, b)
        Projections; m a multiple of k.
    k : int
        Parts.

    Returns
    -------
    float
        Mean share of the squared weights in the part that has most of them: from 1/k to 1.

    Examples
    --------
    >>> from pympf.nets import focus
    >>> focus([[1.0, 0.0], [1.0, 1.0]], 2)
    0.75
    """
    U = np.asarray(U, dtype=np.float64)
    k = checks.integer(k, "k", 1)
    if U.ndim not in (2, 3) or U.shape[1] % k:
        raise ValueError(
            f"expected projections (K, m) or (K, m, b), m a multiple of {k}, got {U.shape}"
        )
    energy = np.square(U.reshape(len(U), k, -1)).sum(axis=2)
    total = energy.sum(axis=1)
    return float((energy.max(axis=1) / np.where(total > 0, total, 1.0)).mean())


def as_labels(y: ArrayLike, n: int, k: int | None = None) -> Array:
    """Check the classes of k parts of n points.

    Not collective.

    Parameters
    ----------
    y : array_like of int, shape (n, k)
        Classes, from 0.
    n : int
        Points.
    k : int, optional
        Parts, where it is known.

    Returns
    -------
    ndarray of int64, shape (n, k)
        The classes.

    Examples
    --------
    >>> from pympf.nets.modular.projections import as_labels
    >>> as_labels([[0, 2]], 1)
    array([[0, 2]])
    """
    y = np.asarray(y)
    fits = y.ndim == 2 and len(y) == n and y.dtype.kind in "iu" and (k is None or y.shape[1] == k)
    if not fits or y.min() < 0:
        parts = "k" if k is None else k
        raise ValueError(
            f"expected classes from 0, integers of shape ({n}, {parts}), got {y.dtype} of shape "
            f"{y.shape}"
        )
    return y.astype(np.int64)


def screened(
    X: ArrayLike, y: ArrayLike, n_modules: int, bottleneck: int, *, seed: int = 0
) -> Array:
    """Make projections of which each sees the inputs that tell one part's class.

    Module j is for part j mod k. Its random rows are weighted by how much the mean of an input
    differs between the classes of that part, less the noise in it: the paper's rule with a linear
    kernel.

    Not collective.

    Parameters
    ----------
    X : array_like, shape (n, m)
        Points.
    y : array_like of int, shape (n, k)
        Classes of their k parts.
    n_modules : int
        K.
    bottleneck : int
        b, columns of a projection.
    seed : int
        Seed of the random rows.

    Returns
    -------
    ndarray, shape (K, m, b)
        Projections, of He's norm.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import compose, focus, screened
    >>> X, y = compose(np.eye(4), [0, 1, 2, 3], k=2, n=500)
    >>> focus(screened(X, y, 4, 3), 2) > 0.95
    True
    """
    X = as_points(X)
    y = as_labels(y, len(X))
    K, b = checks.integer(n_modules, "n_modules"), checks.integer(bottleneck, "bottleneck")
    energy = np.array([_class_energy(X, part) for part in y.T])
    if y.shape[1] > 1:
        energy = np.maximum(energy - FLOOR * np.median(energy, axis=1, keepdims=True), 0)
    energy /= np.maximum(energy.mean(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    weights = np.sqrt(energy[np.arange(K) % y.shape[1]])
    noise = random_numbers(seed, "screened").standard_normal((K, X.shape[1], b))
    return np.sqrt(2 / X.shape[1]) * weights[:, :, np.newaxis] * noise


def _class_energy(X: Array, part: Array) -> Array:
    """Σ_c (mean of x over class c, times its share, less what the overall mean gives)²."""
    told = np.eye(int(part.max()) + 1)[part]
    covariance = X.T @ (told - told.mean(axis=0)) / len(X)
    return np.square(covariance).sum(axis=1)
