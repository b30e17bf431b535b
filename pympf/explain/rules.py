"""Rules of quadrature on [0, 1]."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pympf.la import checks
from pympf.nets._checks import Array

__all__ = ["FIXED_RULES", "quadrature"]

FIXED_RULES = (
    "riemann_left",
    "riemann_right",
    "riemann_middle",
    "riemann_trapezoid",
    "simpson",
    "gausslegendre",
    "composite",
)
"""Rules whose points do not depend on the function."""

PIECE = 4
"""Gauss points on each of the equal pieces of the composite rule."""


def quadrature(method: str, n_steps: int) -> tuple[Array, Array]:
    """Give the points and the weights of a rule on [0, 1].

    Not collective.

    Parameters
    ----------
    method : str
        One of `FIXED_RULES`. The trapezoid takes at least 2 points, Simpson's rule an odd number of
        at least 3, the composite rule 4 Gauss points on each of n_steps/4 equal pieces.
    n_steps : int
        Points.

    Returns
    -------
    points, weights : ndarray of float64
        In increasing order; the weights sum to 1.

    Examples
    --------
    >>> from pympf.explain import quadrature
    >>> quadrature("riemann_middle", 2)
    (array([0.25, 0.75]), array([0.5, 0.5]))
    """
    checks.choice(method, "method", FIXED_RULES)
    n = checks.integer(n_steps, "n_steps")
    k = np.arange(n)
    if method == "riemann_left":
        return k / n, np.full(n, 1 / n)
    if method == "riemann_right":
        return (k + 1) / n, np.full(n, 1 / n)
    if method == "riemann_middle":
        return (k + 0.5) / n, np.full(n, 1 / n)
    if method == "gausslegendre":
        return gauss(n)
    if method == "composite":
        return on_pieces(np.linspace(0, 1, max(1, n // PIECE) + 1), min(PIECE, n))
    if method == "riemann_trapezoid":
        n = max(2, n)
        weights = np.full(n, 1.0)
        weights[[0, -1]] = 0.5
    else:
        n = max(3, n + 1 - n % 2)
        weights = np.full(n, 2.0)
        weights[1::2] = 4
        weights[[0, -1]] = 1
    return np.linspace(0, 1, n), weights / weights.sum()


@lru_cache(maxsize=64)
def gauss(n: int) -> tuple[Array, Array]:
    """Points and weights of Gauss's rule on [0, 1]."""
    points, weights = np.polynomial.legendre.leggauss(n)
    result = (points + 1) / 2, weights / 2
    for array in result:
        array.flags.writeable = False  # it is given to all who ask
    return result


def on_pieces(edges: Array, n: int) -> tuple[Array, Array]:
    """Points and weights of Gauss's rule with n points on each piece between two edges."""
    points, weights = gauss(n)
    widths = np.diff(edges)[:, np.newaxis]
    return (edges[:-1, np.newaxis] + widths * points).ravel(), (widths * weights).ravel()
