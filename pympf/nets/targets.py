"""Functions to learn, and the inputs to learn them on.

A target is an object that maps points of shape (n, d) to values of shape (n,). A domain draws
points: the cube [-1, 1]^d, its cut with a k-dimensional subspace, or a curved k-manifold in it.

References
----------
.. [1] C. Baykal, N. Dikkala, R. Panigrahy, C. Rashtchian, X. Wang, "A theoretical view on sparsely
   activated networks", sections 4, 5.1, A.2, B and D.1.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linprog

from pympf._described import Described
from pympf.la import checks
from pympf.nets._checks import Array, as_points, random_numbers

__all__ = [
    "Bumps",
    "Cube",
    "Hypercube",
    "Lipschitz",
    "Manifold",
    "Polynomial",
    "Subspace",
    "monomials",
]

CHUNK = 4096
"""Points that are worked on at once: their tables stay in cache."""


def _in_chunks(function: Callable[[Array], Array], X: Array) -> Array:
    return np.concatenate([function(X[i : i + CHUNK]) for i in range(0, len(X), CHUNK)])


def _factors(n_features: int, degree: int) -> Array:
    """Name each monomial by the `degree` factors that it has among 1, x_1, ..., x_d."""
    chosen = combinations_with_replacement(range(n_features + 1), degree)
    return np.array(list(chosen), dtype=np.intp)


def monomials(X: ArrayLike, degree: int) -> Array:
    """Evaluate all monomials of at most some degree.

    Not collective.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Points.
    degree : int
        Largest total degree, 0 or more.

    Returns
    -------
    ndarray, shape (n, C(d + degree, degree))
        The constant comes first, then (degree 1) the coordinates.

    Examples
    --------
    >>> from pympf.nets import monomials
    >>> monomials([[2.0, 3.0]], 2)
    array([[1., 2., 3., 4., 6., 9.]])
    """
    X = as_points(X)
    factors = _factors(X.shape[1], checks.integer(degree, "degree", 0))
    return _products(X, factors)


def _products(X: Array, factors: Array) -> Array:
    extended = np.hstack([np.ones((len(X), 1), X.dtype), X])
    result = np.ones((len(X), len(factors)), X.dtype)
    for factor in factors.T:
        result *= extended[:, factor]
    return result


class Polynomial(Described):
    """A random polynomial p(x) of degree D, section 5.1.

    Coefficients are uniform on [-1, 1], then scaled so that their absolute values sum up to
    `scale`: 1 in section D.1 of the paper, below 1/D in section 5.1.

    Parameters
    ----------
    n_features : int
        d, the number of variables.
    degree : int
        D, the largest total degree.
    terms : int, optional
        How many monomials, drawn at random, have a coefficient; by default all have.
    scale : float
        Sum of the absolute coefficients.
    seed : int
        Seed of the coefficients.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import Polynomial
    >>> p = Polynomial(8, 4, seed=1)
    >>> len(p.coefficients), round(float(abs(p.coefficients).sum()), 12)
    (495, 1.0)
    >>> p(np.zeros((3, 8))).shape
    (3,)
    """

    def __init__(
        self,
        n_features: int,
        degree: int,
        *,
        terms: int | None = None,
        scale: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.n_features = checks.integer(n_features, "n_features")
        rng = random_numbers(seed, "polynomial")
        self._factors = _factors(self.n_features, checks.integer(degree, "degree"))
        if terms is not None:
            terms = checks.integer(terms, "terms", 1, len(self._factors))
            self._factors = rng.permutation(self._factors)[:terms]
        coefficients = rng.uniform(-1, 1, len(self._factors))
        self.coefficients = coefficients * (
            checks.positive(scale, "scale") / np.abs(coefficients).sum()
        )

    def __call__(self, X: ArrayLike) -> Array:
        """Evaluate at points of shape (n, d)."""
        X = as_points(X, self.n_features)
        return _in_chunks(lambda part: _products(part, self._factors) @ self.coefficients, X)


class Hypercube(Described):
    """A random hypercube function, section 5.1: signs at the corners, multilinear between.

    f(x) = sum over corners y of v_y prod_i (1 + y_i x_i)/2 with v_y = +-1. On the uniform cube its
    variance is (2/3)^d - E(f)^2 on average over the signs.

    Parameters
    ----------
    n_features : int
        d, at most 20: there are 2^d corners.
    seed : int
        Seed of the signs.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import Hypercube
    >>> f = Hypercube(3, seed=1)
    >>> corner = np.array([[1.0, -1.0, 1.0]])
    >>> f(corner) == f.corners[1, 0, 1]
    array([ True])
    """

    def __init__(self, n_features: int, *, seed: int = 0) -> None:
        self.n_features = checks.integer(n_features, "n_features", 1, 20)
        signs = random_numbers(seed, "hypercube").integers(0, 2, 2**self.n_features)
        self.corners = (2.0 * signs - 1.0).reshape((2,) * self.n_features)

    def __call__(self, X: ArrayLike) -> Array:
        """Evaluate at points of shape (n, d)."""
        return _in_chunks(self._interpolate, as_points(X, self.n_features))

    def _interpolate(self, X: Array) -> Array:
        """Halve the table of corners once for each coordinate."""
        table = self.corners.reshape(1, -1)
        for x in X.T[:, :, np.newaxis]:
            low, high = np.split(table, 2, axis=1)
            table = ((1 - x) * low + (1 + x) * high) / 2
        return table[:, 0]


class Lipschitz(Described):
    """A function with Lipschitz constant L: f(x) = min_i (v_i + L |x - c_i|).

    McShane's extension of random values at random centres of [-1, 1]^d. It has slope L almost
    everywhere and a kink wherever two cones meet, so that it is as rough as L allows at the
    distance of the centres.

    Parameters
    ----------
    centers : array_like, shape (m, d)
        The points c_i.
    constant : float
        L.
    spread : float
        The values v_i are uniform on [-spread, spread].
    seed : int
        Seed of the values.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import Lipschitz
    >>> f = Lipschitz([[-0.5], [0.5]], constant=2.0, spread=0.1)
    >>> x = np.linspace(-1, 1, 101).reshape(-1, 1)
    >>> bool(np.abs(np.diff(f(x)) / 0.02).max() <= 2 + 1e-12)
    True
    """

    def __init__(
        self, centers: ArrayLike, *, constant: float = 1.0, spread: float = 1.0, seed: int = 0
    ) -> None:
        self.centers = as_points(centers)
        self.n_features = self.centers.shape[1]
        self.constant = checks.positive(constant, "constant")
        spread = checks.positive(spread, "spread")
        self.values = random_numbers(seed, "lipschitz").uniform(-spread, spread, len(self.centers))

    def __call__(self, X: ArrayLike) -> Array:
        """Evaluate at points of shape (n, d)."""
        X = as_points(X, self.n_features)
        result = np.full(len(X), np.inf)
        for center, value in zip(self.centers, self.values, strict=True):
            distance = np.linalg.norm(X - center, axis=1)
            np.minimum(result, value + self.constant * distance, out=result)
        return result


class Cube(Described):
    """The cube [-1, 1]^d with the uniform distribution.

    Parameters
    ----------
    n_features : int
        d.

    Examples
    --------
    >>> from pympf.nets import Cube
    >>> Cube(8).sample(5, seed=0).shape
    (5, 8)
    """

    def __init__(self, n_features: int) -> None:
        self.n_features = checks.integer(n_features, "n_features")

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
        ndarray, shape (n, d)
            Uniform on the cube.

        Examples
        --------
        >>> from pympf.nets import Cube
        >>> bool(abs(Cube(2).sample(100)).max() <= 1)
        True
        """
        shape = (checks.integer(n, "n"), self.n_features)
        return random_numbers(seed, "points").uniform(-1, 1, shape)


def _accepted(n: int, draw: Callable[[int], Array]) -> Array:
    """Gather n points by rejection; draw(count) makes as many proposals and keeps some of them."""
    found: list[Array] = []
    while sum(map(len, found)) < n:
        found.append(draw(max(n, 1024)))
    return np.concatenate(found)[:n]


class Subspace(Described):
    """The cut of a random k-dimensional subspace with [-1, 1]^d, uniformly distributed.

    Parameters
    ----------
    n_features : int
        d.
    dimension : int
        k, from 1 to d. The points are drawn in the box around the cut and those outside of the
        cube drawn again, which is quick up to k about 8.
    seed : int
        Seed of the subspace.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import Subspace
    >>> domain = Subspace(16, 2, seed=3)
    >>> X = domain.sample(1000)
    >>> bool(abs(X).max() <= 1), int(np.linalg.matrix_rank(X))
    (True, 2)
    """

    def __init__(self, n_features: int, dimension: int, *, seed: int = 0) -> None:
        self.n_features = checks.integer(n_features, "n_features")
        self.dimension = checks.integer(dimension, "dimension", 1, self.n_features)
        shape = (self.n_features, self.dimension)
        normal = random_numbers(seed, "subspace").standard_normal(shape)
        self.basis = np.linalg.qr(normal)[0]
        self._box = np.array([self._reach(axis) for axis in range(self.dimension)])

    def _reach(self, axis: int) -> float:
        """Largest z_axis with |Uz| <= 1: a linear program."""
        walls = np.vstack([self.basis, -self.basis])
        direction = -np.eye(self.dimension)[axis]
        found = linprog(direction, A_ub=walls, b_ub=np.ones(len(walls)), bounds=(None, None))
        return -found.fun

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
        ndarray, shape (n, d)
            Uniform on the subspace within the cube.

        Examples
        --------
        >>> from pympf.nets import Subspace
        >>> Subspace(16, 2).sample(10).shape
        (10, 16)
        """
        n, rng = checks.integer(n, "n"), random_numbers(seed, "points")

        def draw(count: int) -> Array:
            X = rng.uniform(-self._box, self._box, (count, self.dimension)) @ self.basis.T
            return X[np.abs(X).max(axis=1) <= 1]

        return _accepted(n, draw)


class Manifold(Described):
    """A curved k-dimensional surface in [-1, 1]^d with the uniform distribution, section B.

    x(z) = c (U z + (bend/pi) V sin(pi z)) for z in [-1, 1]^k, with [U V] of 2k orthonormal
    columns. The singular values of the map without c are (1 + bend^2 cos^2(pi z_i))^(1/2): its
    condition number is at most (1 + bend^2)^(1/2). c is the largest factor that stays in the cube.

    Parameters
    ----------
    n_features : int
        d, at least 2k.
    dimension : int
        k.
    bend : float
        0 is a flat piece of a subspace.
    seed : int
        Seed of U and V.

    Examples
    --------
    >>> from pympf.nets import Manifold
    >>> X = Manifold(16, 2, bend=1.0).sample(1000)
    >>> X.shape, bool(abs(X).max() <= 1)
    ((1000, 16), True)
    """

    def __init__(
        self, n_features: int, dimension: int, *, bend: float = 1.0, seed: int = 0
    ) -> None:
        self.n_features = checks.integer(n_features, "n_features", 2)
        self.dimension = checks.integer(dimension, "dimension", 1, self.n_features // 2)
        self.bend = checks.number(bend, "bend", 0)
        shape = (self.n_features, 2 * self.dimension)
        normal = random_numbers(seed, "manifold").standard_normal(shape)
        self._u, self._v = np.hsplit(np.linalg.qr(normal)[0], 2)
        reach = np.abs(self._u).sum(axis=1) + self.bend / np.pi * np.abs(self._v).sum(axis=1)
        self.scale = 1 / reach.max()

    def embed(self, z: ArrayLike) -> Array:
        """Map coordinates to points of the surface.

        Not collective.

        Parameters
        ----------
        z : array_like, shape (n, k)
            Coordinates in [-1, 1]^k.

        Returns
        -------
        ndarray, shape (n, d)
            The points x(z).

        Examples
        --------
        >>> from pympf.nets import Manifold
        >>> Manifold(4, 1).embed([[0.0]])
        array([[0., 0., 0., 0.]])
        """
        z = as_points(z, self.dimension)
        return self.scale * (z @ self._u.T + self.bend / np.pi * np.sin(np.pi * z) @ self._v.T)

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
        ndarray, shape (n, d)
            Uniform with respect to the surface measure.

        Examples
        --------
        >>> from pympf.nets import Manifold
        >>> Manifold(4, 1).sample(3).shape
        (3, 4)
        """
        n, rng = checks.integer(n, "n"), random_numbers(seed, "points")

        def draw(count: int) -> Array:
            z = rng.uniform(-1, 1, (count, self.dimension))
            stretch = (1 + (self.bend * np.cos(np.pi * z)) ** 2) / (1 + self.bend**2)
            return z[rng.random(count) ** 2 < stretch.prod(axis=1)]

        return self.embed(_accepted(n, draw))


class Bumps(Described):
    """A member of the family behind the lower bound of theorem 4.3, section A.2.

    The subspace is cut into cubes of side 2 eps/L; in each stands a cone of height +eps or -eps
    at random and slope L. Two members differ by 2 eps somewhere.

    Parameters
    ----------
    subspace : Subspace
        Where the inputs are.
    height : float
        eps.
    constant : float
        L.
    seed : int
        Seed of the signs.

    Examples
    --------
    >>> from pympf.nets import Bumps, Subspace
    >>> plane = Subspace(16, 2)
    >>> f = Bumps(plane, height=0.25)
    >>> bool(abs(f(plane.sample(100))).max() <= 0.25)
    True
    """

    def __init__(
        self, subspace: Subspace, *, height: float, constant: float = 1.0, seed: int = 0
    ) -> None:
        self.n_features = subspace.n_features
        self.height, self.constant = (
            checks.positive(height, "height"),
            checks.positive(constant, "L"),
        )
        self._basis = subspace.basis
        self._side = 2 * self.height / self.constant
        half = int(np.ceil(np.sqrt(self.n_features) / self._side))  # |z| <= sqrt(d)
        cells = (2 * half) ** subspace.dimension
        if cells > 2**28:
            raise ValueError(f"expected at most 2^28 bumps, got {cells}; make the height larger")
        signs = random_numbers(seed, "bumps").integers(0, 2, cells, dtype=np.int8) * 2 - 1
        self._signs = signs.reshape((2 * half,) * subspace.dimension)
        self._half = half

    def __call__(self, X: ArrayLike) -> Array:
        """Evaluate at points of shape (n, d)."""
        z = as_points(X, self.n_features) @ self._basis / self._side
        cell = np.clip(np.floor(z).astype(np.intp), -self._half, self._half - 1)
        distance = self._side * np.linalg.norm(z - cell - 0.5, axis=1)
        cone = np.maximum(0, self.height - self.constant * distance)
        return self._signs[tuple((cell + self._half).T)] * cone
