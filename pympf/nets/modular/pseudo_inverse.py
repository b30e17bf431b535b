"""F(n, p) = E ‖R†‖_F² of a Gaussian matrix R, which spreads the noise of a least squares fit.

References
----------
.. [1] A. Boopathy, S. Jiang, W. Yue, J. Hwang, A. Iyer, I. Fiete, "Breaking neural network scaling
   laws with modularity", appendix D.
.. [2] I. Dumitriu, A. Edelman, "Matrix models for beta ensembles", J. Math. Phys. 43, 2002.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pympf.la import checks
from pympf.nets._checks import Array, random_numbers

__all__ = ["as_counts", "pseudo_inverse_moment", "pseudo_inverse_sample"]

MEDIAN_DRAWS = 2001
"""Draws behind a median: its standard error is about 2 % of the quartiles' distance."""


def pseudo_inverse_moment(
    n: ArrayLike, p: ArrayLike, *, median: bool = False, ridge: float = 0.0
) -> Array:
    """Compute F(n, p) = E ‖R†‖_F² of a Gaussian matrix R with n rows and p columns.

    min(n, p)/(|n - p| - 1) for |n - p| >= 2, and infinite otherwise: the smallest squared singular
    value then has the density of χ²_1 or χ²_2 at zero, whose inverse has no mean.

    Not collective.

    Parameters
    ----------
    n, p : array_like of int
        Rows and columns, 1 or more; they broadcast.
    median : bool
        Give the median of ‖R†‖_F² instead, which is finite: 2001 draws of a fixed seed.
    ridge : float
        γ > 0 gives E tr RᵀR (RᵀR + γ)⁻² to leading order in n and p (Marchenko and Pastur),
        ((γ + n + p)/((γ + n - p)² + 4γp)^{1/2} - 1)/2, for plots.

    Returns
    -------
    ndarray of float64
        F(n, p).

    Examples
    --------
    >>> from pympf.nets import pseudo_inverse_moment
    >>> pseudo_inverse_moment([20, 10, 10], [10, 20, 11])
    array([1.11111111, 1.11111111,        inf])
    >>> float(pseudo_inverse_moment(10, 10, ridge=1.0).round(2))
    1.14
    """
    n, p = as_counts(n, "n"), as_counts(p, "p")
    if median:
        if ridge:
            raise ValueError(f"expected a median without a ridge, got ridge={ridge}")
        middle = np.frompyfunc(_median_of_pseudo_inverse, 2, 1)
        return np.asarray(middle(n, p), dtype=np.float64)
    if ridge:
        gamma = checks.positive(ridge, "ridge")
        root = np.sqrt((gamma + n - p) ** 2 + 4 * gamma * p)
        return ((gamma + n + p) / root - 1) / 2
    gap = np.abs(n - p) - 1
    with np.errstate(divide="ignore"):
        return np.where(gap > 0, np.minimum(n, p) / np.maximum(gap, 0), np.inf)


def _median_of_pseudo_inverse(n: float, p: float) -> float:
    return float(np.median(pseudo_inverse_sample(int(n), int(p), MEDIAN_DRAWS)))


def pseudo_inverse_sample(n: int, p: int, size: int, *, seed: int = 0) -> Array:
    """Draw ‖R†‖_F² of Gaussian matrices with n rows and p columns, each in O(min(n, p)).

    R has the singular values of a bidiagonal matrix of independent χ variables [1]_; the squared
    norms of the rows of its inverse follow one another.

    Not collective.

    Parameters
    ----------
    n, p : int
        Rows and columns.
    size : int
        How many draws.
    seed : int
        Seed of the draws.

    Returns
    -------
    ndarray, shape (size,)
        The draws.

    References
    ----------
    .. [1] I. Dumitriu, A. Edelman, "Matrix models for beta ensembles", J. Math. Phys. 43, 2002.

    Examples
    --------
    >>> from pympf.nets import pseudo_inverse_sample
    >>> bool(abs(pseudo_inverse_sample(20, 10, 20000).mean() - 10 / 9) < 0.02)
    True
    """
    n, p = sorted((checks.integer(n, "n"), checks.integer(p, "p")), reverse=True)
    size, rng = checks.integer(size, "size"), random_numbers(seed, "pseudo-inverse")
    row = 1 / rng.chisquare(n, size)
    total = row.copy()
    for i in range(1, p):  # diagonal χ_{n-i}, below it χ_{p-i}
        row = (1 + rng.chisquare(p - i, size) * row) / rng.chisquare(n - i, size)
        total += row
    return total


def as_counts(value: ArrayLike, name: str) -> Array:
    """Check numbers of at least 1 and return them in float64."""
    counts = np.asarray(value)
    if counts.dtype.kind not in "iuf" or not (counts >= 1).all():
        raise ValueError(f"expected {name} of numbers at least 1, got {value!r}")
    return counts.astype(np.float64)
