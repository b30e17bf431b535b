"""The directions of a modular task by projection pursuit regression.

    y ≈ mean + Σ_j f_j(z_j),  z_j = u_j·x with |u_j| = 1, or |x - u_j|

It is the paper's rule for projections [1]_ in its form for fewer features than points (equation
15): the features of a module are hat functions of z, their weights are found by least squares with
a little smoothing, and u descends by Gauss and Newton's steps. As the basin of a direction is
narrow (about 1/2π rad in the paper's task), many random starts are tried. The best on held-out
points is kept, what it explains is taken away (deflation), and all modules are fitted again to what
the others leave (backfitting) [2]_.

    f   = H c,      (HᵀH + λ (I + DᵀD)) c = Hᵀr    H: hat functions, D: differences, r: residual
    Δu  = (Σ f'² ∂z∂zᵀ + damping)⁻¹ Σ (r - f) f' ∂z

Cost of one step of s starts on n points: O(s n m²), by one product of matrices.

References
----------
.. [1] A. Boopathy, S. Jiang, W. Yue, J. Hwang, A. Iyer, I. Fiete, "Breaking neural network scaling
   laws with modularity", section 4.2.
.. [2] J. H. Friedman, W. Stuetzle, "Projection pursuit regression", J. Amer. Statist. Assoc. 76,
   1981.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf._progress import working
from pympf.la import Ranks, checks
from pympf.nets._checks import Array, as_points, as_values, random_numbers
from pympf.nets.modular._directions import FARTHEST, LOT, STEPS, descend, promising
from pympf.nets.modular._hats import Hats
from pympf.nets.modular.tasks import PROJECTIONS, project

__all__ = ["Pursuit", "pursuit"]

SPACING = 0.15
"""Between hat functions of a search, for points of mean squared coordinate 1."""

FINEST = SPACING / 8
"""Least spacing that is tried for the functions of modules that were found."""

REACH = 4.2
"""How far the hat functions of u·x go; f is constant beyond."""

MOST_STARTS = 5 * 10**4
"""Directions that a first round tries by default, at most."""

SEARCH_POINTS = 2000
"""Points on which starts are tried."""

CANDIDATES = 8
"""The best starts, which go on with all points."""

SWEEPS = 2
"""Rounds of backfitting after each new module."""

GAIN = 0.995
"""A module is kept if it leaves at most this share of the held-out error, and see `tolerance`."""


@dataclass(frozen=True)
class Pursuit:
    """What `pursuit` finds.

    Parameters
    ----------
    directions : ndarray, shape (K, m)
        Unit vectors u_j, or centres; the first found come first.
    held_out : list of float
        Error on held-out points over their variance, before and after each module.
    starts : int
        Starts that were tried in all.

    Examples
    --------
    >>> from pympf.nets import SineWaves, pursuit
    >>> f = SineWaves(2, seed=3)
    >>> X, Y = f.sample(1000), f.sample(500, seed=1)
    >>> found = pursuit(X, f(X))
    >>> bool(((found.predict(Y) - f(Y)) ** 2).mean() < 0.05 * f.variance)
    True
    """

    directions: Array
    held_out: list[float]
    starts: int
    projection: str = "linear"
    _fit: _Fit | None = field(default=None, repr=False)

    def predict(self, X: ArrayLike) -> Array:
        """Evaluate the sum of the modules.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, m)
            Points.

        Returns
        -------
        ndarray, shape (n,)
            The values.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import pursuit
        >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
        >>> bool(abs(pursuit(X, X[:, 0]).predict([[0.5]]) - 0.5) < 0.1)
        True
        """
        assert self._fit is not None
        X = as_points(X, self.directions.shape[1])
        values = self._fit.values(self._fit.scaled(X)).sum(axis=0)
        return self._fit.level + values


@dataclass
class _Fit:
    """Modules so far, in coordinates of mean zero and mean square one, and their scale."""

    grid: Hats
    projection: str
    center: Array
    scale: float
    level: float
    U: Array
    c: Array

    def scaled(self, X: Array) -> Array:
        return (np.asarray(X, np.float64) - self.center) / self.scale

    def values(self, X: Array) -> Array:
        """The value of each module at scaled points, shape (K, n)."""
        if not len(self.U):
            return np.zeros((1, len(X)))
        return self.grid.evaluate(project(X, self.U, self.projection), self.c)

    def sweep(self, X: Array, r: Array, steps: int) -> Array:
        """Fit each module again to what the others leave; gives what all leave."""
        values = self.values(X)
        r = r - values.sum(axis=0)
        for j in range(len(self.U)):
            r = r + values[j]
            u, _ = descend(self.U[j : j + 1], X, r, self.grid, self.projection, steps)
            f, _, c = self.grid.fit(project(X, u, self.projection), r)
            self.U[j], self.c[j] = u[0], c[0]
            r = r - f[0]
        return r


def _prepared(X: Array, y: Array, projection: str, smoothing: float) -> _Fit:
    center = X.mean(axis=0, dtype=np.float64)
    scale = float(np.sqrt(np.square(X - center).mean())) or 1.0
    low, high = -REACH, REACH
    if projection == "distance":
        radius = np.linalg.norm((X - center) / scale, axis=1)
        low, high = 0.0, float(np.quantile(radius, 0.999)) + FARTHEST
    grid = Hats(low, high, SPACING, smoothing)
    m = X.shape[1]
    empty = np.zeros((0, m)), np.zeros((0, grid.knots))
    return _Fit(grid, projection, center, scale, float(y.mean(dtype=np.float64)), *empty)


# ---- pursuit -------------------------------------------------------------------------------------
def pursuit(
    X: ArrayLike,
    y: ArrayLike,
    *,
    projection: str = "linear",
    n_directions: int | None = None,
    n_starts: int | None = None,
    smoothing: float = 2.0,
    tolerance: float = 2e-3,
    patience: int = 4,
    seed: int = 0,
    comm: Any = None,
) -> Pursuit:
    """Find the directions of a sum of functions of one projection each, and the functions.

    Stops when `patience` rounds of new starts in a row have found nothing that lowers the error on
    held-out points, a fifth of all. Then all points fit the functions once more.

    Collective over `comm`: the ranks share the starts, all give the same data and get the same
    result, which is also that of one process.

    Parameters
    ----------
    X : array_like, shape (n, m)
        Points; n >= 10.
    y : array_like, shape (n,)
        Values, not all equal.
    projection : {"linear", "distance"}
        Functions of u·x, or of |x - u|.
    n_directions : int, optional
        Modules at most; 4m + 8 by default.
    n_starts : int, optional
        Directions that a round tries, and twice as many after each that failed;
        max(500 m, 50 m³) by default, and at most 5·10⁴.
    smoothing : float
        λ, in points: the weight of sizes and differences of neighbouring hat functions.
    tolerance : float
        Share of the variance by which a module must lower the held-out error.
    patience : int
        Rounds without success before the end.
    seed : int
        Seed of the starts and of what is held out.
    comm : mpi4py.MPI.Comm, optional
        Who shares the starts.

    Returns
    -------
    Pursuit
        Directions, functions, and the held-out error after each module.

    References
    ----------
    .. [1] J. H. Friedman, W. Stuetzle, "Projection pursuit regression", J. Amer. Statist. Assoc.
       76, 1981.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import SineWaves, pursuit, similarity
    >>> f = SineWaves(3, seed=1)
    >>> X = f.sample(3000)
    >>> found = pursuit(X, f(X), n_directions=3)
    >>> bool(similarity(f.directions, found.directions) > 0.99)
    True
    """
    ranks = Ranks(comm)
    with ranks.guard():
        X, y = _checked(X, y)
        m = X.shape[1]
        checks.choice(projection, "projection", PROJECTIONS)
        n_directions = (
            4 * m + 8 if n_directions is None else checks.integer(n_directions, "n_directions")
        )
        default = min(max(500 * m, 50 * m**3), MOST_STARTS)
        n_starts = default if n_starts is None else checks.integer(n_starts, "n_starts")
        patience, tolerance = (
            checks.integer(patience, "patience"),
            checks.positive(tolerance, "tolerance"),
        )
        smoothing = checks.positive(smoothing, "smoothing")
    settings = (projection, n_directions, n_starts, smoothing, tolerance, patience, seed)
    data = (X.shape, zlib.crc32(X.tobytes()), zlib.crc32(y.tobytes()))
    ranks.same((*settings, *data), "pursuit: parameters, X and y")
    rng = random_numbers(seed, "pursuit")
    fit = _prepared(X, y, projection, smoothing)
    X, y = fit.scaled(X), y - fit.level
    order = rng.permutation(len(X))
    held, train = np.split(order, [len(X) // 5])
    search = _Search(fit, X[train], y[train], X[held], y[held], rng, ranks)
    with working("pursuit", n_directions) as work:
        while len(fit.U) < n_directions and search.failures < patience:
            search.round(n_starts * 2**search.failures, tolerance)
            work.step(len(fit.U), f"{len(fit.U)} of {n_directions} directions")
    for _ in range(SWEEPS if len(fit.U) else 0):
        fit.sweep(X, y, steps=1)
    fit.U, fit.c = ranks.broadcast((fit.U, fit.c))
    directions = fit.U if projection == "linear" else fit.U * fit.scale + fit.center
    return Pursuit(directions, search.errors, search.starts, projection, fit)


def _checked(X: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    X = as_points(X).astype(np.float64)
    y = as_values(y, len(X)).astype(np.float64)
    if len(X) < 10:
        raise ValueError(f"expected at least 10 points, of which two are held out, got {len(X)}")
    if not np.ptp(y):
        raise ValueError("expected values y that differ, got a constant")
    return X, y


class _Search:
    """Rounds of new starts, the best of which becomes a module."""

    def __init__(
        self,
        fit: _Fit,
        X: Array,
        y: Array,
        X_held: Array,
        y_held: Array,
        rng: np.random.Generator,
        ranks: Ranks,
    ) -> None:
        self.fit, self.rng, self.ranks = fit, rng, ranks
        self.grid = fit.grid
        self.X, self.y, self.X_held, self.y_held = X, y, X_held, y_held
        self.left, self.left_held = y, y_held
        self.failures, self.starts = 0, 0
        self._unit = float(np.square(y_held).mean()) or 1.0
        self.errors = [1.0]

    def round(self, starts: int, tolerance: float) -> None:
        """Try starts, and keep the best if it helps."""
        fit = self.fit
        self.starts += starts
        U, c, error = self._best(starts)
        before = np.square(self.left_held).mean()
        if error >= min(GAIN * before, before - tolerance * self._unit):
            self.failures += 1
            return
        self.failures = 0
        fit.U, fit.c = np.vstack([fit.U, U]), np.vstack([fit.c, c])
        self._settle()
        if fit.grid.spacing > FINEST:
            self._try_finer()
        self.errors.append(float(np.square(self.left_held).mean()) / self._unit)

    def _settle(self) -> None:
        """Fit all modules to what the others leave."""
        fit = self.fit
        for _ in range(SWEEPS):
            self.left = fit.sweep(self.X, self.y, steps=2)
        fit.U, fit.c, self.left = self.ranks.broadcast((fit.U, fit.c, self.left))
        self.left_held = self.y_held - fit.values(self.X_held).sum(axis=0)

    def _try_finer(self) -> None:
        """Halve the spacing of the functions if that helps on held-out points."""
        fit = self.fit
        before = fit.grid, fit.U.copy(), fit.c, self.left, self.left_held
        fit.grid, fit.c = fit.grid.finer(fit.c)
        self._settle()
        if np.square(self.left_held).mean() > GAIN * np.square(before[-1]).mean():
            fit.grid, fit.U, fit.c, self.left, self.left_held = before

    def _best(self, starts: int) -> tuple[Array, Array, float]:
        """The start that is best on held-out points, its function and the error there."""
        grid, projection = self.grid, self.fit.projection
        U = self._draw(starts)
        some = self.rng.permutation(len(self.X))[:SEARCH_POINTS]
        search = partial(
            promising, X=self.X[some], r=self.left[some], grid=grid, projection=projection
        )
        found = self.ranks.spread(search, [U[i : i + LOT] for i in range(0, starts, LOT)])
        U, gain = (np.concatenate(part) for part in zip(*found, strict=True))
        U = U[np.argsort(-gain, kind="stable")[:CANDIDATES]]
        U, _ = descend(U, self.X, self.left, grid, projection, STEPS)
        _, _, c = grid.fit(project(self.X, U, projection), self.left)
        held = grid.evaluate(project(self.X_held, U, projection), c)
        errors = np.square(self.left_held - held).mean(axis=1)
        best = int(errors.argmin())
        while grid.knots < self.fit.grid.knots:
            grid, c = grid.finer(c)
        return self.ranks.broadcast((U[best : best + 1], c[best : best + 1], errors[best]))

    def _draw(self, starts: int) -> Array:
        """Directions on the sphere, or centres in the ball."""
        U = self.rng.standard_normal((starts, self.X.shape[1]))
        U /= np.linalg.norm(U, axis=1, keepdims=True)
        if self.fit.projection == "distance":
            U *= FARTHEST * self.rng.random((starts, 1))
        return U
