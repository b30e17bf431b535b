"""Local compression, and the network of Theorem 3 that it cannot compress.

    paper                                        here
    g of Theorem 4, in three layers              gadget(n), of RadialWave on Ball(n)
    f = product of g at staggered depths         staggered(g, d)
    f in three layers                            product(g, …, g), the same function
    (ε, 2, t)-locally compressible               locally_compressible(f, X, t + 1, width)

Theorem 4 is about norms, [2]_ about widths; by sampling units the two are the same up to powers. A
slice f^[i:i+3] of Definition 2 has four layers, an identity and the gadget that starts above it.
The proof speaks of three, but then the first slice has no whole gadget.

References
----------
.. [1] W. Burstein, J. Wilmes, "Obstacles to depth compression of neural networks", 2020, section 4.
.. [2] R. Eldan, O. Shamir, "The power of depth for feedforward neural networks", COLT 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from pympf._described import Described
from pympf.la import checks
from pympf.nets._checks import Array, as_points, random_numbers
from pympf.nets.depth.bounded import BoundedNetwork
from pympf.nets.depth.combinations import identity, product
from pympf.nets.layer import Layer
from pympf.nets.lstsq import least_squares

__all__ = ["Ball", "RadialWave", "SliceError", "gadget", "locally_compressible", "staggered"]


RIDGES = (1e-8, 1e-4, 1e-1)
"""Dampings to choose from."""


class Ball(Described):
    """Points of the unit ball whose squared norm is uniform on [0, 1].

    Parameters
    ----------
    n_features : int
        n.

    Examples
    --------
    >>> from pympf.nets import Ball
    >>> Ball(3).sample(2).shape
    (2, 3)
    """

    def __init__(self, n_features: int) -> None:
        self.n_features = checks.integer(n_features, "n_features")

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
        ndarray, shape (n, n_features)
            Independent.

        Examples
        --------
        See the class.
        """
        rng = random_numbers(seed, "ball")
        X = rng.standard_normal((checks.integer(n, "n"), self.n_features))
        return X * np.sqrt(rng.random((n, 1))) / np.linalg.norm(X, axis=1, keepdims=True)


class RadialWave(Described):
    """√2 sin(2πc‖x‖²), of mean square 1 on `Ball` where 2c is a whole number.

    Parameters
    ----------
    frequency : float
        c, waves from the centre to the sphere.

    Examples
    --------
    >>> from pympf.nets import RadialWave
    >>> RadialWave(1.0)([[0.5, 0.0], [0.0, 0.5]]).round(6)
    array([1.414214, 1.414214])
    """

    def __init__(self, frequency: float) -> None:
        self.frequency = checks.positive(frequency, "frequency")

    def __call__(self, X: ArrayLike) -> Array:
        """Evaluate at points of shape (n, d)."""
        return self.of_square(np.square(as_points(X)).sum(axis=1))

    def of_square(self, square: Array) -> Array:
        """Evaluate by ‖x‖².

        Not collective.

        Parameters
        ----------
        square : ndarray
            ‖x‖².

        Returns
        -------
        ndarray
            Of its shape.

        Examples
        --------
        >>> from pympf.nets import RadialWave
        >>> RadialWave(1.0).of_square(0.0)
        np.float64(0.0)
        """
        return np.sqrt(2) * np.sin(2 * np.pi * self.frequency * square)


def gadget(n: int, frequency: float = 1.5, *, kinks: tuple[int, int] = (32, 64)) -> BoundedNetwork:
    """Write a radial wave down in three layers: squares of coordinates, kinks of their sum, a sum.

    Not collective.

    Parameters
    ----------
    n : int
        Dimension.
    frequency : float
        c of `RadialWave`.
    kinks : (int, int)
        Units of the first layer for each coordinate, and of the second layer.

    Returns
    -------
    BoundedNetwork
        Of kinks[0] n, kinks[1] and 1 units; ReLU, ReLU, identity. Straight lines join the values
        of x² and of the wave at the kinks; the mean excess of the lines over x² is taken off.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import Ball, RadialWave, gadget
    >>> X = Ball(4).sample(1000)
    >>> bool(np.square(gadget(4)(X) - RadialWave(1.5)(X)).mean() < 0.005)
    True
    """
    n, wave = checks.integer(n, "n"), RadialWave(frequency)
    first, second = (checks.integer(number, "kinks") for number in kinks)
    ticks = np.linspace(-1, 1, first + 1)
    start, squares = _bends(ticks, ticks**2)
    # A chord of x² between neighbours h apart lies h²/6 above it on average.
    excess = (2 / first) ** 2 / 6
    marks = np.linspace(0, 1.05, second + 1)
    low, waves = _bends(marks, wave.of_square(marks))
    total = np.tile(squares, n)[None, :]
    shifts = n * (start - excess) - marks[:-1]
    return BoundedNetwork(
        [
            np.kron(np.eye(n), np.ones((first, 1))),
            np.repeat(total, second, axis=0),
            waves[None, :],
        ],
        [np.tile(-ticks[:-1], n), shifts, np.array([low])],
        ["relu", "relu", "identity"],
    )


def _bends(ticks: Array, values: Array) -> tuple[float, Array]:
    """Give the start and the coefficients of ReLU(x - t_j) of the line through values at ticks."""
    slopes = np.diff(values) / np.diff(ticks)
    return float(values[0]), np.diff(slopes, prepend=0)


def staggered(g: BoundedNetwork, depth: int) -> BoundedNetwork:
    """Make the network of Theorem 3: copies of a gadget, each one layer above the last.

    Not collective. Copy i of d - 3 is i layers of identity, the gadget, d - i - 3 of identity.

    Parameters
    ----------
    g : BoundedNetwork
        The gadget, of three layers.
    depth : int
        d, at least 4.

    Returns
    -------
    BoundedNetwork
        Of d layers on d - 3 times the inputs; as a function `product(g, …, g)`.

    Examples
    --------
    >>> from pympf.nets import gadget, staggered
    >>> f = staggered(gadget(2), 6)
    >>> f.depth, f.n_features, f.sizes[-1]
    (6, 6, 3)
    """
    if g.depth != 3:
        raise ValueError(f"expected a gadget of 3 layers, got {g.depth}")
    depth = checks.integer(depth, "depth", 4)
    copies = []
    for i in range(1, depth - 2):
        copy = identity(g.n_features, i).then(g)
        above = depth - 3 - i
        copies.append(copy.then(identity(g.sizes[-1], above)) if above else copy)
    return product(*copies)


@dataclass(frozen=True)
class SliceError:
    """How well two layers stand for layers `first` to `last`, on points that were not fitted.

    `error` is E‖slice - approximation‖², `outputs` what each output adds to it, and `variance` that
    of each output, shape (k,).
    """

    first: int
    last: int
    error: float
    outputs: Array
    variance: Array

    @property
    def relative(self) -> float:
        """The error over the variance of all outputs."""
        return self.error / float(self.variance.sum())

    @property
    def worst(self) -> float:
        """The largest error of an output."""
        return float(self.outputs.max())


def locally_compressible(
    f: BoundedNetwork,
    X: ArrayLike,
    slice_depth: int,
    width: int,
    *,
    method: str = "lstsq",
    ridge: float | Sequence[float] = RIDGES,
    seed: int = 0,
    **options: Any,
) -> list[SliceError]:
    """Approximate every slice by one hidden layer, and tell the errors.

    Not collective. f is (ε, 2, t)-locally compressible if some slice has an error below ε; that a
    search found none is no proof, but for the gadget of Theorem 3 it is what the theorem says. A
    slice that falls apart, as one of a product does, is approximated part by part.

    Parameters
    ----------
    f : BoundedNetwork
        The network.
    X : array_like, shape (m, l_0)
        Points of its distribution; two thirds are fitted, the others measure the errors.
    slice_depth : int
        Layers of a slice.
    width : int
        Units of the hidden layer, for each part.
    method : {"lstsq", "adam", "rmsprop", "sgd"}
        A random bottom layer and exact least squares, or training of both layers.
    ridge : float or sequence of float
        As of `least_squares`: of several the best on an eighth of the fitted points.
    seed : int
        Seed of the bottom layer.
    **options
        Of the training: `learning_rate`, `epochs`, `batch`.

    Returns
    -------
    list of SliceError
        Of the slices from layer 1 up.

    Examples
    --------
    >>> from pympf.nets import Ball, gadget, locally_compressible
    >>> X = Ball(8).sample(3000)
    >>> found = locally_compressible(gadget(8), X, slice_depth=3, width=128)
    >>> len(found), found[0].relative > 0.5
    (1, True)
    """
    slice_depth = checks.integer(slice_depth, "slice_depth", 1, f.depth)
    checks.choice(method, "method", ("lstsq", "adam", "rmsprop", "sgd"))
    width = checks.integer(width, "width")
    outputs = f.forward(X)
    fitted = 2 * len(outputs[0]) // 3
    if not 2 <= fitted < len(outputs[0]):
        raise ValueError(f"expected at least 3 points, got {len(outputs[0])}")
    found = []
    for i in range(1, f.depth - slice_depth + 2):
        Z, Y = outputs[i - 1], outputs[i + slice_depth - 1].astype(np.float64)
        H = np.empty_like(Y[fitted:])
        for inputs, ends in _parts(f.slice(i, i + slice_depth - 1)):
            standard = _standard(Z[:, inputs], fitted)
            H[:, ends] = _approximate(
                standard, Y[:fitted, ends], width, method, ridge, seed, options
            )
        squares = np.square(H - Y[fitted:]).mean(axis=0)
        variance = Y[fitted:].var(axis=0)
        last = i + slice_depth - 1
        found.append(SliceError(i, last, float(squares.sum()), squares, variance))
    return found


def _parts(f: BoundedNetwork) -> list[tuple[Array, Array]]:
    """Find inputs and outputs that hang together by weights that are not zero."""
    starts = np.cumsum([0, *f.sizes])
    rows, columns = [], []
    for below, above, W in zip(starts, starts[1:], f.weights, strict=False):
        to, origin = np.nonzero(W)
        rows.append(above + to)
        columns.append(below + origin)
    edges = np.concatenate(rows), np.concatenate(columns)
    graph = csr_array((np.ones(len(edges[0])), edges), shape=(starts[-1], starts[-1]))
    labels = connected_components(graph, directed=False)[1]
    ends, inputs = labels[starts[-2] :], labels[: starts[1]]
    return [(np.flatnonzero(inputs == k), np.flatnonzero(ends == k)) for k in np.unique(ends)]


def _approximate(
    Z: Array,
    Y: Array,
    width: int,
    method: str,
    ridge: float | Sequence[float],
    seed: int,
    options: dict[str, Any],
) -> Array:
    """Fit one hidden layer to Y at the first points of Z, and evaluate it at the others."""
    seen, unseen = Z[: len(Y)], Z[len(Y) :]
    if Z.shape[1] == 0:  # constant outputs
        return np.tile(Y[0], (len(unseen), 1))
    if method != "lstsq":
        h = BoundedNetwork.random([Z.shape[1], width, Y.shape[1]], seed=seed)
        return h.fit(seen, Y, method, seed=seed, **options).forward(unseen)[-1]
    # A bias of this size spreads the kinks over twice the standard deviation.
    bottom = Layer.random(Z.shape[1], width, bias=Z.shape[1] ** 0.5, seed=seed)
    weights, constants = least_squares([(bottom.rows(seen), Y)], ridge=ridge)
    return bottom.rows(unseen) @ weights + constants


def _standard(Z: Array, fitted: int) -> Array:
    """Shift and scale coordinates to mean 0 and variance 1; constant ones become 0.

    Those that are rarely off their mean, as the hinges of a network may be, are not blown up: what
    was not seen of them would be far away.
    """
    Z = Z - Z[:fitted].mean(axis=0)
    if Z.size == 0:
        return Z
    scale = np.maximum(Z[:fitted].std(axis=0), np.abs(Z[:fitted]).max(axis=0) / 4)
    scale = np.maximum(scale, scale.max() / 10)
    return Z / np.where(scale == 0, 1, scale)
