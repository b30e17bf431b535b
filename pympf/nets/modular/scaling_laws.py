"""The theory of modular networks: losses of a linear model with random features, in closed form.

    paper                                    here
    F(n, p) = E ‖R†‖_F²                      pseudo_inverse_moment
    λ_i = c (i^{-Ω^{-m}} - (i+1)^{-Ω^{-m}})  PowerLaw: head(p) = Tr Λ_1, tail(p) = Tr Λ_2
    theorem 1                                linear_loss
    theorem 2                                modular_loss
    figure 3                                 samples_needed, samples_limit

The model has p of the features of the target, y = φ W with E W Wᵀ = Λ, and learns their weights
by least squares of least norm from n points with d outputs each. All functions broadcast over n
and p.

References
----------
.. [1] A. Boopathy, S. Jiang, W. Yue, J. Hwang, A. Iyer, I. Fiete, "Breaking neural network scaling
   laws with modularity", sections 3 and 4.1, appendices A to D.
.. [2] I. Dumitriu, A. Edelman, "Matrix models for beta ensembles", J. Math. Phys. 43, 2002.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import least_squares

from pympf.nets._checks import Array, as_count, as_positive, random_numbers

__all__ = [
    "Losses",
    "PowerLaw",
    "PowerLawFit",
    "fit_power_law",
    "linear_loss",
    "modular_loss",
    "pseudo_inverse_moment",
    "pseudo_inverse_sample",
    "samples_limit",
    "samples_needed",
]

MEDIAN_DRAWS = 2001
"""Draws behind a median: its standard error is about 2 % of the quartiles' distance."""


class Losses(NamedTuple):
    """Expected squared errors on the training points and on new ones."""

    train: Array
    test: Array


# ---- the pseudo-inverse of a Gaussian matrix -----------------------------------------------------
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
    n, p = _counts(n, "n"), _counts(p, "p")
    if median:
        if ridge:
            raise ValueError(f"expected a median without a ridge, got ridge={ridge}")
        middle = np.frompyfunc(_median_of_pseudo_inverse, 2, 1)
        return np.asarray(middle(n, p), dtype=np.float64)
    if ridge:
        gamma = as_positive(ridge, "ridge")
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
    n, p = sorted((as_count(n, "n"), as_count(p, "p")), reverse=True)
    size, rng = as_count(size, "size"), random_numbers(seed, "pseudo-inverse")
    row = 1 / rng.chisquare(n, size)
    total = row.copy()
    for i in range(1, p):  # diagonal χ_{n-i}, below it χ_{p-i}
        row = (1 + rng.chisquare(p - i, size) * row) / rng.chisquare(n - i, size)
        total += row
    return total


def _counts(value: ArrayLike, name: str) -> Array:
    counts = np.asarray(value)
    if counts.dtype.kind not in "iuf" or not (counts >= 1).all():
        raise ValueError(f"expected {name} of numbers at least 1, got {value!r}")
    return counts.astype(np.float64)


# ---- spectra -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class PowerLaw:
    """The spectrum λ_i = c (i^{-q} - (i+1)^{-q}) with q = Ω^{-m}.

    Its traces telescope. (Σ λ)²/Σ λ², the effective dimension, is about Ω^{2m}.

    Parameters
    ----------
    c : float
        Tr Λ, the loss of predicting zero.
    omega : float
        Ω > 1.
    m : float or ndarray
        Dimension of the input.

    References
    ----------
    .. [1] Equation 19; c = 1.15, Ω = 1.57 are the fit of appendix E.2.

    Examples
    --------
    >>> from pympf.nets import PowerLaw
    >>> law = PowerLaw(m=3)
    >>> bool(abs(law.head(10) + law.tail(10) - law.trace) < 1e-15)
    True
    """

    c: float = 1.15
    omega: float = 1.57
    m: Any = 1

    def __post_init__(self) -> None:
        as_positive(self.c, "c")
        if not 1 < self.omega < np.inf:
            raise ValueError(f"expected omega above 1 and finite, got {self.omega}")
        if not (np.asarray(self.m) >= 0).all():
            raise ValueError(f"expected m at least 0, got {self.m}")

    @property
    def exponent(self) -> Any:
        """q = Ω^{-m}."""
        return self.omega ** -np.asarray(self.m, dtype=np.float64)

    @property
    def trace(self) -> float:
        """Tr Λ = c."""
        return self.c

    def tail(self, p: ArrayLike) -> Array:
        """Sum the eigenvalues after the first p: Tr Λ_2 = c (p+1)^{-q}.

        Not collective.

        Parameters
        ----------
        p : array_like
            How many come before.

        Returns
        -------
        ndarray
            Tr Λ_2.

        Examples
        --------
        >>> from pympf.nets import PowerLaw
        >>> float(PowerLaw(c=2.0, m=0).tail(1))
        1.0
        """
        return self.c * (np.asarray(p, dtype=np.float64) + 1) ** -self.exponent

    def head(self, p: ArrayLike) -> Array:
        """Sum the first p eigenvalues: Tr Λ_1 = c - Tr Λ_2.

        Not collective.

        Parameters
        ----------
        p : array_like
            How many.

        Returns
        -------
        ndarray
            Tr Λ_1.

        Examples
        --------
        >>> from pympf.nets import PowerLaw
        >>> float(PowerLaw(c=2.0, m=0).head(3))
        1.5
        """
        return self.c - self.tail(p)

    def eigenvalues(self, count: int) -> Array:
        """Give the first eigenvalues.

        Not collective.

        Parameters
        ----------
        count : int
            How many.

        Returns
        -------
        ndarray, shape (count,)
            λ_1, λ_2, ...; from differences that do not cancel.

        Examples
        --------
        >>> from pympf.nets import PowerLaw
        >>> PowerLaw(c=1.0, m=0).eigenvalues(2).round(6)
        array([0.5     , 0.166667])
        """
        i, q = np.arange(1.0, as_count(count, "count") + 1), float(self.exponent)
        return -self.c * i**-q * np.expm1(-q * np.log1p(1 / i))

    def at(self, m: Any) -> PowerLaw:
        """Give the law of another dimension.

        Not collective.

        Parameters
        ----------
        m : float or ndarray
            Dimension of the input.

        Returns
        -------
        PowerLaw
            With the same c and Ω.

        Examples
        --------
        >>> from pympf.nets import PowerLaw
        >>> PowerLaw().at(4).m
        4
        """
        return replace(self, m=m)


@dataclass(frozen=True)
class _Spectrum:
    """Any finite spectrum, with the traces of a `PowerLaw`."""

    sums: Array

    @property
    def trace(self) -> float:
        return float(self.sums[-1])

    def head(self, p: Array) -> Array:
        return self.sums[np.minimum(p, len(self.sums) - 1).astype(np.intp)]

    def tail(self, p: Array) -> Array:
        return np.where(p < len(self.sums) - 1, self.trace - self.head(p), 0.0)


def _traces(spectrum: Any) -> Any:
    if isinstance(spectrum, PowerLaw):
        return spectrum
    eigenvalues = np.asarray(spectrum, dtype=np.float64)
    if eigenvalues.ndim != 1 or not (np.isfinite(eigenvalues) & (eigenvalues >= 0)).all():
        raise ValueError("expected a spectrum: a PowerLaw, or finite numbers at least zero")
    return _Spectrum(np.concatenate([[0.0], np.cumsum(eigenvalues)]))


# ---- theorems ------------------------------------------------------------------------------------
def linear_loss(n: ArrayLike, p: ArrayLike, spectrum: Any, *, outputs: int = 1) -> Losses:
    """Compute the expected losses of theorem 1.

    test  = d (Tr Λ_2 F(dn, p) - min(dn, p)/p Tr Λ_1 + Tr Λ)
    train = (dn - min(dn, p))/n Tr Λ_2

    Not collective.

    Parameters
    ----------
    n, p : array_like of int
        Points and parameters; they broadcast.
    spectrum : PowerLaw or array_like
        Λ: a law, or its eigenvalues, of which the model has the first p.
    outputs : int
        d.

    Returns
    -------
    Losses
        `train` and `test`; the test loss is infinite for |dn - p| <= 1 if the model lacks a
        feature.

    References
    ----------
    .. [1] Theorem 1; its equation 2 lacks a factor 1/n in the first line.

    Examples
    --------
    >>> from pympf.nets import PowerLaw, linear_loss
    >>> losses = linear_loss([50, 20], [20, 20], PowerLaw(m=3))
    >>> losses.test.round(3), losses.train.round(3)
    (array([0.885,   inf]), array([0.314, 0.   ]))
    """
    n, p, law = _counts(n, "n"), _counts(p, "p"), _traces(spectrum)
    return _losses(n, p, law.head(p), law.tail(p), as_count(outputs, "outputs"))


def _losses(n: Array, p: Array, head: Array, tail: Array, d: int) -> Losses:
    rank = np.minimum(d * n, p)
    with np.errstate(invalid="ignore"):  # 0 · inf: what is complete has nothing to spread
        spread = np.where(tail > 0, tail * pseudo_inverse_moment(d * n, p), 0.0)
    test = d * (spread + (1 - rank / p) * head + tail)
    return Losses((d * n - rank) / n * tail, test)


def modular_loss(
    n: ArrayLike,
    p: ArrayLike,
    m: int,
    *,
    bottleneck: int = 1,
    law: PowerLaw | None = None,
    outputs: int = 1,
    printed: bool = False,
) -> Losses:
    """Compute the expected losses of theorem 2: theorem 1 with Λ̄ = diag(I_{mb}, Λ at m = b).

    Of all p parameters the first mb are the projections' own, so that Tr Λ̄_2 is
    c (p - mb + 1)^{-Ω^{-b}}. The paper has c (p + 1)^{-Ω^{-b}}, with which the loss of n > p points
    comes out 15 to 24 % too small in the examples of the tests.

    Not collective.

    Parameters
    ----------
    n, p : array_like of int
        Points, and all parameters; they broadcast.
    m : int
        Dimension of the input.
    bottleneck : int
        b, from 1 to m: the dimension that a module sees.
    law : PowerLaw, optional
        c and Ω.
    outputs : int
        d.
    printed : bool
        Evaluate what is printed, which needs p > mb.

    Returns
    -------
    Losses
        `train` and `test`.

    References
    ----------
    .. [1] Theorem 2, equations 63 to 68.

    Examples
    --------
    >>> from pympf.nets import modular_loss
    >>> float(modular_loss(200, 60, 10, bottleneck=2).test.round(3))
    0.365
    >>> float(modular_loss(200, 60, 10, bottleneck=2, printed=True).test.round(3))
    0.311
    """
    n, p = _counts(n, "n"), _counts(p, "p")
    m = as_count(m, "m")
    b = as_count(bottleneck, "bottleneck", 1, m)
    law = (law or PowerLaw()).at(b)
    projections = m * b
    if printed:
        if not (p > projections).all():
            raise ValueError(f"expected p above m b = {projections}, got {p.min():g}")
        tail = law.tail(p)
    else:
        missing = np.maximum(projections - p, 0)
        tail = law.tail(np.maximum(p - projections, 0)) + missing
    return _losses(n, p, projections + law.trace - tail, tail, as_count(outputs, "outputs"))


# ---- figure 3 ------------------------------------------------------------------------------------
def samples_needed(
    loss: float,
    p: ArrayLike | None,
    m: ArrayLike,
    *,
    law: PowerLaw | None = None,
    outputs: int = 1,
) -> Array:
    """Compute how many points a model of p < dn parameters needs for a test loss.

    dn = p + 1 + p T/(ε - T) with T = d Tr Λ_2. With ε > d c the need saturates as m grows; with
    ε < d c it is infinite at fixed p from some m on, and doubly exponential in m at the best p
    (see `samples_limit`): figure 3 of the paper has ε = 1.2 > c = 1.15, the loss of predicting
    zero.

    Not collective.

    Parameters
    ----------
    loss : float
        ε.
    p : array_like of int, or None
        Parameters; None for the number that needs the fewest points.
    m : array_like
        Dimension of the input; broadcasts with p.
    law : PowerLaw, optional
        c and Ω.
    outputs : int
        d.

    Returns
    -------
    ndarray of float64
        n, not rounded; infinite where no number will do.

    References
    ----------
    .. [1] Figure 3.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import samples_needed
    >>> np.log10(samples_needed(0.5, None, [2, 5, 9])).round(1)
    array([ 1.8,  4.9, 23.2])
    """
    loss, d, law = as_positive(loss, "loss"), as_count(outputs, "outputs"), law or PowerLaw()
    m = np.asarray(m, dtype=np.float64)
    if p is not None:
        return _points(loss, _counts(p, "p"), law.at(m), d)
    law = law.at(m[..., np.newaxis])
    with np.errstate(over="ignore"):
        least = np.maximum((d * law.c / loss) ** (1 / law.exponent), 1.0)
    return _points(loss, least * np.logspace(0, 4, 20001), law, d).min(axis=-1)


def _points(loss: float, p: Array, law: PowerLaw, d: int) -> Array:
    missing = d * law.tail(p)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(missing < loss, (p + 1 + p * missing / (loss - missing)) / d, np.inf)


def samples_limit(loss: float, p: ArrayLike, m: ArrayLike, *, law: PowerLaw | None = None) -> Array:
    """Compute what bounds the points that are needed for a test loss of one output.

    Where ε > c, the number p (1 + c/(ε - c)) from below which `samples_needed` comes as m grows;
    where ε < c, the number (c/ε)^{Ω^m} of parameters, and so of points, below which no model has
    that loss.

    Not collective.

    Parameters
    ----------
    loss : float
        ε.
    p : array_like of int
        Parameters; of no influence where ε < c.
    m : array_like
        Dimension of the input; of no influence where ε > c.
    law : PowerLaw, optional
        c and Ω.

    Returns
    -------
    ndarray of float64
        An upper bound (but for 1 point) where ε > c, a lower bound where ε < c.

    Examples
    --------
    >>> from pympf.nets import samples_limit
    >>> float(samples_limit(1.2, 100, 9).round(6))
    2400.0
    """
    loss, law = as_positive(loss, "loss"), (law or PowerLaw()).at(m)
    p = _counts(p, "p")
    if loss > law.c:
        return p * (1 + law.c / (loss - law.c)) * np.ones_like(law.exponent)
    with np.errstate(over="ignore"):
        return np.ones_like(p) * (law.c / loss) ** (1 / law.exponent)


# ---- the fit -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class PowerLawFit:
    """What `fit_power_law` finds: the law, α of p = α · parameters, the mean squared residual."""

    law: PowerLaw
    alpha: float
    residual: float


def fit_power_law(
    n: ArrayLike,
    parameters: ArrayLike,
    m: ArrayLike,
    train_loss: ArrayLike,
    *,
    outputs: int = 1,
) -> PowerLawFit:
    """Fit c, Ω and α to measured training losses by least squares.

    The model is theorem 1's training loss at p = α · parameters.

    Not collective.

    Parameters
    ----------
    n, parameters, m : array_like
        Points, parameters of the network and dimension of the input of each measurement.
    train_loss : array_like
        What was measured.
    outputs : int
        d.

    Returns
    -------
    PowerLawFit
        The law, α and the mean squared residual.

    References
    ----------
    .. [1] Appendix E.2: c = 1.15, Ω = 1.57, α = 0.85.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import PowerLaw, fit_power_law, linear_loss
    >>> n, m = np.meshgrid([100, 300, 1000, 3000], [2, 4, 6])
    >>> exact = linear_loss(n, 85, PowerLaw(m=m)).train
    >>> fit = fit_power_law(n, 100, m, exact)
    >>> round(fit.law.c, 2), round(fit.law.omega, 2), round(fit.alpha, 2)
    (1.15, 1.57, 0.85)
    """
    d, loss = as_count(outputs, "outputs"), np.asarray(train_loss, dtype=np.float64)
    n, size, m, loss = np.broadcast_arrays(_counts(n, "n"), _counts(parameters, "p"), m, loss)
    if loss.size < 3 or not np.isfinite(loss).all():
        raise ValueError(f"expected at least 3 losses, all finite, got {loss.tolist()}")

    def law(values: Array) -> PowerLaw:
        return PowerLaw(float(np.exp(values[0])), 1 + float(np.exp(values[1])), m)

    def residuals(values: Array) -> Array:
        p = np.exp(values[2]) * size
        return ((d * n - np.minimum(d * n, p)) / n * law(values).tail(p) - loss).ravel()

    # The loss has a kink at p = d n, so several values of α are tried; all numbers stay in reason.
    starts = [[np.log(loss.max() + 1e-12), -0.5, np.log(alpha)] for alpha in (0.1, 0.3, 1.0, 3.0)]
    bounds = ([-30.0, -10.0, -7.0], [30.0, 4.0, 7.0])
    fits = [least_squares(residuals, np.clip(s, *bounds), bounds=bounds) for s in starts]
    best = min(fits, key=lambda fit: fit.cost)
    alpha = float(np.exp(best.x[2]))
    return PowerLawFit(replace(law(best.x), m=1), alpha, float(2 * best.cost / loss.size))
