"""The theory of modular networks: losses of a linear model with random features, in closed form.

    paper                                    here
    F(n, p) = E ‖R†‖_F²                      pseudo_inverse_moment (pseudo_inverse.py)
    λ_i = c (i^{-Ω^{-m}} - (i+1)^{-Ω^{-m}})  PowerLaw (spectra.py): head(p) = Tr Λ_1, …
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
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import least_squares

from pympf.la import checks
from pympf.nets._checks import Array
from pympf.nets.modular.pseudo_inverse import as_counts, pseudo_inverse_moment
from pympf.nets.modular.spectra import PowerLaw, traces_of

__all__ = [
    "Losses",
    "PowerLawFit",
    "fit_power_law",
    "linear_loss",
    "modular_loss",
    "samples_limit",
    "samples_needed",
]


class Losses(NamedTuple):
    """Expected squared errors on the training points and on new ones."""

    train: Array
    test: Array


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
    n, p, law = as_counts(n, "n"), as_counts(p, "p"), traces_of(spectrum)
    return _losses(n, p, law.head(p), law.tail(p), checks.integer(outputs, "outputs"))


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
    n, p = as_counts(n, "n"), as_counts(p, "p")
    m = checks.integer(m, "m")
    b = checks.integer(bottleneck, "bottleneck", 1, m)
    law = (law or PowerLaw()).at(b)
    projections = m * b
    if printed:
        if not (p > projections).all():
            raise ValueError(f"expected p above m b = {projections}, got {p.min():g}")
        tail = law.tail(p)
    else:
        missing = np.maximum(projections - p, 0)
        tail = law.tail(np.maximum(p - projections, 0)) + missing
    return _losses(n, p, projections + law.trace - tail, tail, checks.integer(outputs, "outputs"))


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
    loss, d, law = (
        checks.positive(loss, "loss"),
        checks.integer(outputs, "outputs"),
        law or PowerLaw(),
    )
    m = np.asarray(m, dtype=np.float64)
    if p is not None:
        return _points(loss, as_counts(p, "p"), law.at(m), d)
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
    loss, law = checks.positive(loss, "loss"), (law or PowerLaw()).at(m)
    p = as_counts(p, "p")
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
    d, loss = checks.integer(outputs, "outputs"), np.asarray(train_loss, dtype=np.float64)
    n, size, m, loss = np.broadcast_arrays(as_counts(n, "n"), as_counts(parameters, "p"), m, loss)
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
