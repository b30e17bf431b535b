"""Spectra of targets and their traces: Tr Λ_1 = head(p) over p features, Tr Λ_2 = tail(p).

References
----------
.. [1] A. Boopathy, S. Jiang, W. Yue, J. Hwang, A. Iyer, I. Fiete, "Breaking neural network scaling
   laws with modularity", section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf.la import checks
from pympf.nets._checks import Array

__all__ = ["PowerLaw", "traces_of"]


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
        checks.positive(self.c, "c")
        checks.number(self.omega, "omega", above=1)
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
        i, q = np.arange(1.0, checks.integer(count, "count") + 1), float(self.exponent)
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


def traces_of(spectrum: Any) -> Any:
    """Give the traces of a power law, or of eigenvalues."""
    if isinstance(spectrum, PowerLaw):
        return spectrum
    eigenvalues = np.asarray(spectrum, dtype=np.float64)
    if eigenvalues.ndim != 1 or not (np.isfinite(eigenvalues) & (eigenvalues >= 0)).all():
        raise ValueError("expected a spectrum: a PowerLaw, or finite numbers at least zero")
    return _Spectrum(np.concatenate([[0.0], np.cumsum(eigenvalues)]))
