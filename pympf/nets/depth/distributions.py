"""Distributions that a network's inputs may have: on finitely many points, and moved along a line.

An η-perturbation of D_0 is the distribution of x + η s(x) v for x of D_0, with a direction v and
sides s(x) = ±1 (section 3 of [1]_).

References
----------
.. [1] W. Burstein, J. Wilmes, "Obstacles to depth compression of neural networks", 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from pympf._described import Described
from pympf.la import checks
from pympf.nets._checks import Array, as_outputs, as_points, random_numbers
from pympf.nets.depth.parities import corners, random_corners

__all__ = ["CubeFace", "Finite", "Perturbation", "total_variation"]

Map = Callable[[Array], Array]


class Base(Protocol):
    """A distribution D_0: it can be sampled; densities and total variation need more of it."""

    def sample(self, n: int, seed: int = 0) -> Array:
        """Draw points, shape (n, d)."""


class Finite(Described):
    """A distribution on finitely many points.

    Parameters
    ----------
    points : array_like, shape (N, d)
        The support.
    probabilities : array_like, shape (N,), optional
        Uniform by default.

    Examples
    --------
    >>> from pympf.nets import Finite
    >>> coin = Finite([[0.0], [1.0]], [0.25, 0.75])
    >>> coin.density([[1.0], [2.0]])
    array([0.75, 0.  ])
    """

    def __init__(self, points: ArrayLike, probabilities: ArrayLike | None = None) -> None:
        self.points = as_points(points)
        n = len(self.points)
        if probabilities is None:
            self.probabilities = np.full(n, 1 / n)
        else:
            self.probabilities = as_outputs(probabilities, n, 1)[:, 0].astype(np.float64)
        total = self.probabilities.sum()
        if self.probabilities.min() < 0 or abs(total - 1) > 1e-9:
            raise ValueError(f"expected probabilities of sum 1, none below 0; the sum is {total:g}")

    def sample(self, n: int, seed: int = 0) -> Array:
        """Draw points.

        Not collective.

        Parameters
        ----------
        n : int
            How many.
        seed : int
            Seed.

        Returns
        -------
        ndarray, shape (n, d)
            Independent.

        Examples
        --------
        >>> from pympf.nets import Finite
        >>> Finite([[3.0]]).sample(2)
        array([[3.],
               [3.]])
        """
        rng = random_numbers(seed, "finite distribution")
        return self.points[
            rng.choice(len(self.points), checks.integer(n, "n"), p=self.probabilities)
        ]

    def density(self, X: ArrayLike) -> Array:
        """Compute probabilities of points.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, d)
            Points.

        Returns
        -------
        ndarray, shape (n,)
            Zero off the support, which is met up to rounding.

        Examples
        --------
        >>> from pympf.nets import Finite
        >>> Finite([[3.0]]).density([[3.0], [4.0]])
        array([1., 0.])
        """
        X = as_points(X, self.points.shape[1])
        where = _places(np.concatenate([self.points, X]))
        masses = np.bincount(where[: len(self.points)], self.probabilities, where.max() + 1)
        return masses[where[len(self.points) :]]


def _places(points: Array) -> Array:
    """Number points so that those which are the same up to rounding have one number."""
    scale = max(float(np.abs(points).max()), 1e-300)
    rounded = np.round(points / scale, 10) + 0.0  # no -0.0
    return np.unique(rounded, axis=0, return_inverse=True)[1].reshape(-1)


class CubeFace(Described):
    """The uniform distribution on {-1, 1}^n × {0}, the D_0 of Theorem 1.

    Parameters
    ----------
    n : int
        Number of bits. `points` lists the corners, for n up to 24; sampling and densities do not.

    Examples
    --------
    >>> from pympf.nets import CubeFace
    >>> CubeFace(2).density([[1.0, -1.0, 0.0], [1.0, -1.0, 0.5]])
    array([0.25, 0.  ])
    """

    def __init__(self, n: int) -> None:
        self.n = checks.integer(n, "n")

    @property
    def points(self) -> Array:
        """All corners, shape (2^n, n + 1)."""
        X = corners(self.n)
        return np.hstack([X, np.zeros((len(X), 1))])

    @property
    def probabilities(self) -> Array:
        """2^-n for each."""
        return np.full(2**self.n, 0.5**self.n)

    def sample(self, n: int, seed: int = 0) -> Array:
        """Draw points.

        Not collective.

        Parameters
        ----------
        n : int
            How many.
        seed : int
            Seed.

        Returns
        -------
        ndarray, shape (n, bits + 1)
            Independent.

        Examples
        --------
        >>> from pympf.nets import CubeFace
        >>> CubeFace(64).sample(3).shape
        (3, 65)
        """
        return np.hstack([random_corners(self.n, n, seed), np.zeros((n, 1))])

    def density(self, X: ArrayLike) -> Array:
        """Compute probabilities of points.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, bits + 1)
            Points.

        Returns
        -------
        ndarray, shape (n,)
            2^-bits on the corners, up to rounding.

        Examples
        --------
        See the class.
        """
        X = as_points(X, self.n + 1)
        distance = np.abs(np.abs(X) - np.append(np.ones(self.n), 0)).max(axis=1)
        return np.where(distance < 1e-9, 0.5**self.n, 0)


class Perturbation(Described):
    """The distribution of x + η s(x) v for x of D_0, or (without s) the family of all of them.

    Parameters
    ----------
    base : object
        D_0, with `sample(n, seed)`; for densities also `density(X)`, for exact total variation
        `points` and `probabilities`: `Finite`, `CubeFace`, or one's own.
    v : array_like, shape (d,)
        The direction, of length 1.
    eta : float
        η.
    sides : callable, optional
        s: maps points of D_0, shape (n, d), to ±1, shape (n,).

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import Finite, Perturbation
    >>> base = Finite([[1.0, 0.0], [2.0, 0.0]])
    >>> D = Perturbation(base, [0.0, 1.0], 0.5, lambda X: 3 - 2 * X[:, 0])
    >>> D.move(D.base.points)
    array([[ 1. ,  0.5],
           [ 2. , -0.5]])
    >>> D.density([[1.0, 0.5], [1.0, -0.5]])
    array([0.5, 0. ])
    """

    def __init__(self, base: Any, v: ArrayLike, eta: float, sides: Map | None = None) -> None:
        self.base, self.eta = base, checks.positive(eta, "eta")
        self.v = as_points(np.reshape(v, (1, -1)))[0].astype(np.float64)
        length = float(np.linalg.norm(self.v))
        if abs(length - 1) > 1e-9:
            raise ValueError(f"expected a direction v of length 1, got {length:g}")
        self._sides = sides

    def with_sides(self, sides: Map) -> Perturbation:
        """Choose a member of the family.

        Not collective.

        Parameters
        ----------
        sides : callable
            s.

        Returns
        -------
        Perturbation
            Of the same D_0, v and η.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import CubeFace, Perturbation
        >>> family = Perturbation(CubeFace(2), [0, 0, 1], 0.5)
        >>> family.with_sides(lambda X: np.ones(len(X))).sample(3)[:, 2]
        array([0.5, 0.5, 0.5])
        """
        return Perturbation(self.base, self.v, self.eta, sides)

    def sides(self, X0: ArrayLike) -> Array:
        """Evaluate s.

        Not collective.

        Parameters
        ----------
        X0 : array_like, shape (n, d)
            Points of D_0.

        Returns
        -------
        ndarray, shape (n,)
            ±1.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import CubeFace, Perturbation
        >>> D = Perturbation(CubeFace(2), [0, 0, 1], 0.5, lambda X: X[:, 0] * X[:, 1])
        >>> D.sides([[1.0, -1.0, 0.0]])
        array([-1.])
        """
        if self._sides is None:
            raise ValueError("expected a member of the family, got the family: it has no sides")
        X0 = as_points(X0, len(self.v))
        s = as_outputs(np.atleast_1d(self._sides(X0)), len(X0), 1)[:, 0]
        if not (np.abs(s) == 1).all():
            raise ValueError(f"expected sides of ±1, got {s[np.abs(s) != 1][0]:g}")
        return s

    def move(self, X0: ArrayLike) -> Array:
        """Move points of D_0: x + η s(x) v.

        Not collective.

        Parameters
        ----------
        X0 : array_like, shape (n, d)
            Points.

        Returns
        -------
        ndarray, shape (n, d)
            Distributed by D where the points are by D_0.

        Examples
        --------
        See the class.
        """
        X0 = as_points(X0, len(self.v))
        return X0 + self.eta * np.outer(self.sides(X0), self.v)

    def sample(self, n: int, seed: int = 0) -> Array:
        """Draw points.

        Not collective.

        Parameters
        ----------
        n : int
            How many.
        seed : int
            Seed.

        Returns
        -------
        ndarray, shape (n, d)
            Independent.

        Examples
        --------
        See `with_sides`.
        """
        return self.move(self.base.sample(n, seed=seed))

    def density(self, X: ArrayLike) -> Array:
        """Compute densities: p(x - ηv) 1[s(x - ηv) = 1] + p(x + ηv) 1[s(x + ηv) = -1].

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, d)
            Points.

        Returns
        -------
        ndarray, shape (n,)
            Densities, probabilities for a discrete D_0.

        Examples
        --------
        See the class.
        """
        X = as_points(X, len(self.v))
        total = np.zeros(len(X))
        for side in (1, -1):
            X0 = X - side * self.eta * self.v
            p = np.asarray(self.base.density(X0), dtype=np.float64)
            there = p > 0
            if there.any():
                total[there] += p[there] * (self.sides(X0[there]) == side)
        return total


def total_variation(P: Perturbation, Q: Perturbation) -> float:
    """Compute the total variation distance of two perturbations of finite distributions exactly.

    Not collective.

    Parameters
    ----------
    P, Q : Perturbation
        Their D_0 have `points` and `probabilities`.

    Returns
    -------
    float
        Half the sum of |p - q| over all points, which are the same up to rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import CubeFace, Perturbation, total_variation
    >>> family = Perturbation(CubeFace(2), [0, 0, 1], 0.5)
    >>> P, Q = (family.with_sides(lambda X, i=i: X[:, i]) for i in (0, 1))
    >>> total_variation(P, Q)
    0.5
    """
    points = np.concatenate([D.move(D.base.points) for D in (P, Q)])
    masses = np.concatenate([P.base.probabilities, -Q.base.probabilities])
    return float(np.abs(np.bincount(_places(points), masses)).sum() / 2)
