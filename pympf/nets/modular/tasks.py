"""Modular tasks: sums of sines along hidden directions, and several images side by side.

References
----------
.. [1] A. Boopathy, S. Jiang, W. Yue, J. Hwang, A. Iyer, I. Fiete, "Breaking neural network scaling
   laws with modularity", appendix E.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf._described import Described
from pympf.la import checks
from pympf.nets._checks import Array, as_points, random_numbers

__all__ = ["PROJECTIONS", "SineWaves", "compose", "project"]

PROJECTIONS = ("linear", "distance")
"""What a module sees of x: u·x, or |x - u|."""

CHUNK = 4096
"""Points that are worked on at once: their tables stay in cache."""


def project(X: Array, U: Array, projection: str) -> Array:
    """Compute what modules see of points.

    Not collective.

    Parameters
    ----------
    X : ndarray, shape (n, m)
        Points.
    U : ndarray, shape (K, m)
        Directions, or centres.
    projection : {"linear", "distance"}
        u·x or |x - u|.

    Returns
    -------
    ndarray, shape (K, n)
        One row for each module.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import project
    >>> project(np.array([[3.0, 4.0]]), np.zeros((1, 2)), "distance")
    array([[5.]])
    """
    if checks.choice(projection, "projection", PROJECTIONS) == "linear":
        return U @ X.T
    return np.sqrt(np.stack([np.square(X - u).sum(axis=1) for u in U]))


class SineWaves(Described):
    """A sum of k modules, each a sum of τ sine waves of one number that it sees of x.

    y(x) = k^{-1/2} Σ_i Σ_{j<=τ} a_ij sin(ω_ij z_i + φ_ij) with z_i = u_i·x, or |x - u_i|;
    a ~ N(0, 1), ω ~ N(0, 4π²), φ uniform on [-π, π], u_i uniform on the unit sphere and
    x ~ N(0, I).

    Parameters
    ----------
    m : int
        Dimension of the input.
    k : int, optional
        Modules; m by default, as in the paper.
    tau : int
        τ; the paper does not tell it (its figure 6 draws three waves).
    linear : bool
        Whether modules see u·x or |x - u|.
    seed : int
        Seed of the function.

    Attributes
    ----------
    directions : ndarray, shape (k, m)
        u_i.
    variance : float
        Var y in the linear task, exactly; in the other one over 2¹⁴ points of a fixed seed. On
        average over the linear functions it is 0.444 τ, a little below E a²/2 = τ/2.

    References
    ----------
    .. [1] Equations 69 and 71.

    Examples
    --------
    >>> from pympf.nets import SineWaves
    >>> f = SineWaves(3, seed=1)
    >>> X = f.sample(20000)
    >>> bool(abs(f(X).var() / f.variance - 1) < 0.05)
    True
    """

    def __init__(
        self, m: int, k: int | None = None, tau: int = 3, *, linear: bool = True, seed: int = 0
    ) -> None:
        self.n_features = checks.integer(m, "m")
        self.k = self.n_features if k is None else checks.integer(k, "k")
        size = (self.k, checks.integer(tau, "tau"))
        rng = random_numbers(seed, "sine waves")
        directions = rng.standard_normal((self.k, self.n_features))
        self.directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        self.amplitudes = rng.standard_normal(size)
        self.frequencies = rng.normal(0, 2 * np.pi, size)
        self.phases = rng.uniform(-np.pi, np.pi, size)
        self.projection = "linear" if linear else "distance"

    def __call__(self, X: ArrayLike) -> Array:
        """Evaluate at points of shape (n, m)."""
        X = as_points(X, self.n_features)
        parts = [self._modules(X[i : i + CHUNK]).sum(axis=0) for i in range(0, len(X), CHUNK)]
        return np.concatenate(parts) / np.sqrt(self.k)

    def _modules(self, X: Array) -> Array:
        z = project(X, self.directions, self.projection)[:, :, np.newaxis]
        waves = np.sin(z * self.frequencies[:, np.newaxis] + self.phases[:, np.newaxis])
        return (waves @ self.amplitudes[:, :, np.newaxis])[:, :, 0]

    @property
    def variance(self) -> float:
        """Var y."""
        if self.projection == "distance":
            return float(self(self.sample(2**14, seed=2**31)).var())
        # The modules see normal numbers with correlations c = u_i·u_j, and
        # E cos(s z + t z' + φ) = cos φ exp(-(s² + t² + 2 c s t)/2).
        a, w, phi = (v.ravel() for v in (self.amplitudes, self.frequencies, self.phases))
        one = self.directions.repeat(self.amplitudes.shape[1], axis=0)
        c, mean = one @ one.T, a * np.sin(phi) * np.exp(-(w**2) / 2)
        squares, product = w[:, np.newaxis] ** 2 + w**2, 2 * c * np.outer(w, w)
        minus = np.exp((product - squares) / 2) * np.cos(phi[:, np.newaxis] - phi)
        plus = np.exp(-(product + squares) / 2) * np.cos(phi[:, np.newaxis] + phi)
        return float((a @ (minus - plus) @ a / 2 - mean.sum() ** 2) / self.k)

    def sample(self, n: int, *, seed: int = 0) -> Array:
        """Draw points.

        Not collective.

        Parameters
        ----------
        n : int
            How many.
        seed : int
            Seed of the points.

        Returns
        -------
        ndarray, shape (n, m)
            Standard normal.

        Examples
        --------
        >>> from pympf.nets import SineWaves
        >>> SineWaves(5).sample(3).shape
        (3, 5)
        """
        return random_numbers(seed, "points").standard_normal(
            (checks.integer(n, "n"), self.n_features)
        )


def compose(
    images: ArrayLike,
    labels: ArrayLike,
    k: int,
    n: int,
    *,
    noise: float = 0.0,
    disjoint: bool = False,
    test: bool = False,
    seed: int = 0,
) -> tuple[Array, Array]:
    """Put k images side by side, n times: all of their classes are to be told.

    Not collective.

    Parameters
    ----------
    images : array_like, shape (N, ...)
        Images; each is flattened. Those of one composed image are all different.
    labels : array_like of int, shape (N,)
        Their classes, from 0.
    k : int
        Images of one composed image.
    n : int
        Composed images.
    noise : float
        Standard deviation of normal noise that is added.
    disjoint : bool
        Set one of four combinations of classes aside for tests, and do not draw it. A fixed hash of
        the combination, whatever its order, tells which.
    test : bool
        With `disjoint`, draw only what is set aside.
    seed : int
        Seed of the choice and of the noise.

    Returns
    -------
    X : ndarray, shape (n, k·pixels)
        In float32 or float64, as the images are.
    y : ndarray of int, shape (n, k)
        The classes.

    References
    ----------
    .. [1] Appendix E.1, Compositional CIFAR-10; its variants of tables 3 and 4.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import compose
    >>> X, y = compose(np.eye(4), [0, 1, 2, 3], k=2, n=5)
    >>> X.shape, y.shape
    ((5, 8), (5, 2))
    >>> bool((X.reshape(5, 2, 4).argmax(axis=2) == y).all())
    True
    """
    images = np.asarray(images)
    flat = as_points(images.reshape(len(images), -1))
    labels = _as_classes(labels, len(flat))
    k, n = checks.integer(k, "k", 1, len(flat)), checks.integer(n, "n")
    noise = checks.number(noise, "noise", 0)
    if test and not disjoint:
        raise ValueError("expected test=True only together with disjoint=True")
    rng = random_numbers(seed, "composed images")
    chosen = _combinations(len(flat), labels, k, n, rng, (test if disjoint else None))
    X = flat[chosen].reshape(n, -1)
    if noise:
        X += (noise * rng.standard_normal(X.shape)).astype(X.dtype)
    return X, labels[chosen]


def _as_classes(labels: ArrayLike, n: int) -> Array:
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu" or labels.shape != (n,) or labels.min() < 0:
        raise ValueError(
            f"expected a class, an integer from 0, for each of {n} images, got {labels.dtype} of "
            f"shape {labels.shape}"
        )
    return labels.astype(np.int64)


def _combinations(
    images: int, labels: Array, k: int, n: int, rng: np.random.Generator, test: Any
) -> Array:
    """Choose k different images n times; drawn again until the classes fit, at most 100 times."""
    found: list[Array] = []
    for _ in range(100):
        chosen = rng.integers(0, images, (n, k))
        ordered = np.sort(chosen, axis=1)
        fits = (ordered[:, 1:] != ordered[:, :-1]).all(axis=1)
        if test is not None:
            fits &= _is_for_tests(labels[chosen]) == test
        found.append(chosen[fits])
        if sum(map(len, found)) >= n:
            return np.concatenate(found)[:n]
    # Few images, or few combinations: k different ones by sorting random numbers.
    chosen = np.argsort(rng.random((n, images)), axis=1)[:, :k] if test is None else chosen[:0]
    if len(chosen) < n:
        raise ValueError(f"expected combinations of {k} classes for tests and others, found none")
    return chosen


def _is_for_tests(classes: Array) -> Array:
    """One of four combinations of classes, whatever their order: a multiplicative hash."""
    ordered = np.sort(classes, axis=1).astype(np.uint64)
    key = np.zeros(len(ordered), np.uint64)
    for column in ordered.T:
        key = (key ^ (column + np.uint64(1))) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    return key % np.uint64(4) == 0
