"""How well one function stands for another: an (ε, H)-compression has E‖f(x) - h(x)‖² < ε.

References
----------
.. [1] W. Burstein, J. Wilmes, "Obstacles to depth compression of neural networks", 2020, section 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from pympf.la import checks
from pympf.nets._checks import Array, as_outputs, as_points
from pympf.nets.depth.bounded import ROUNDING

__all__ = ["CompressionError", "compression_error"]


@dataclass(frozen=True)
class CompressionError:
    """An estimate of E‖f(x) - h(x)‖², and where it lies at the confidence asked for."""

    mean: float
    low: float
    high: float
    points: int


def compression_error(
    f: Callable[[Array], Array],
    h: Callable[[Array], Array],
    X: ArrayLike,
    *,
    confidence: float = 0.95,
    bound: float | None = None,
) -> CompressionError:
    """Estimate how well h stands for f, E‖f(x) - h(x)‖², from points of the distribution.

    Not collective.

    Parameters
    ----------
    f, h : callable
        Map points of shape (n, d) to values of shape (n,) or (n, k).
    X : array_like, shape (n, d)
        At least two independent points.
    confidence : float
        Probability with which the interval should hold the mean.
    bound : float, optional
        The largest that ‖f(x) - h(x)‖² can be: then the interval holds at every n (empirical
        Bernstein bound [1]_); without it by the central limit theorem, for large n.

    Returns
    -------
    CompressionError
        Mean and interval; the interval never goes below zero.

    References
    ----------
    .. [1] A. Maurer, M. Pontil, "Empirical Bernstein bounds and sample variance penalization",
       COLT 2009, theorem 4.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import compression_error
    >>> found = compression_error(np.sum, np.sum, np.ones((4, 2)))
    Traceback (most recent call last):
    ...
    ValueError: Y: expected shape (4, k >= 1), got (1, 1)
    >>> compression_error(lambda X: X[:, 0], lambda X: 0 * X[:, 0], [[1.0], [2.0], [3.0]]).mean
    4.666666666666667
    """
    X = as_points(X)
    if len(X) < 2:
        raise ValueError(f"expected at least 2 points for a confidence interval, got {len(X)}")
    confidence = checks.number(confidence, "confidence", above=0, below=1)
    values = as_outputs(np.atleast_1d(f(X)), len(X)).astype(np.float64)
    others = as_outputs(np.atleast_1d(h(X)), len(X), values.shape[1])
    squares = np.square(values - others).sum(axis=1)
    n, mean, spread = len(X), float(squares.mean()), float(squares.std(ddof=1))
    if bound is None:
        reach = float(ndtri((1 + confidence) / 2)) * spread / np.sqrt(n)
        return CompressionError(mean, max(0.0, mean - reach), mean + reach, n)
    if squares.max() > checks.positive(bound, "bound") * ROUNDING:
        raise ValueError(f"expected squares of at most {bound:g}, got {squares.max():g}")
    logarithm = np.log(4 / (1 - confidence))
    reach = float(spread * np.sqrt(2 * logarithm / n) + 7 * bound * logarithm / (3 * (n - 1)))
    return CompressionError(mean, max(0.0, mean - reach), min(bound, mean + reach), n)
