"""Parities as networks, and the norm that they need.

    paper                                        here
    Lemma 2: parities are in NN(1, 3)            false for n ≥ 2; least_norm(n, d) is sharp
    a parity of n bits                           parity(bits, n, depth=d), parity_tree(bits, n)

With D_i f(x) half the change of f when bit i of x flips, |D_i f| ≤ ‖W_1 e_i‖ Λ^(d-1), so

    sum_i (D_i f(x))² ≤ ‖W_1‖_F² Λ^(2(d-1)) ≤ Λ^(2d)         at every corner x,

and for a parity of k bits the left side is k. So Λ ≥ k^(1/2d); `parity` attains it, with one unit a
layer and the triangle wave at the end.

References
----------
.. [1] W. Burstein, J. Wilmes, "Obstacles to depth compression of neural networks", 2020, Lemma 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf.la import checks
from pympf.nets._checks import Array, as_outputs, as_points, random_numbers
from pympf.nets.depth.bounded import BoundedNetwork

__all__ = [
    "MOST_BITS",
    "corners",
    "influence",
    "least_norm",
    "parity",
    "parity_tree",
    "parity_values",
    "random_corners",
]

MOST_BITS = 24
"""Bits of a cube whose corners are all listed: 3 GiB of float64."""


# ---- the cube ------------------------------------------------------------------------------------
def as_bits(bits: ArrayLike, n: int) -> Array:
    """Check and sort indices of different bits of 0, …, n - 1, or a mask of n bools."""
    bits = np.asarray(bits)
    if bits.dtype == np.bool_:
        if bits.shape != (n,):
            raise ValueError(f"expected a mask of {n} bits, got shape {bits.shape}")
        return np.flatnonzero(bits)
    if bits.size == 0:
        return np.empty(0, np.intp)
    if bits.ndim != 1 or bits.dtype.kind not in "iu":
        raise TypeError(f"expected a list of indices of bits, got {bits.dtype} of {bits.shape}")
    if bits.min() < 0 or bits.max() >= n:
        raise ValueError(f"expected bits from 0 to {n - 1}, got {bits.min()} to {bits.max()}")
    if len(np.unique(bits)) < len(bits):
        raise ValueError(f"expected every bit once, got {bits.tolist()}")
    return np.sort(bits).astype(np.intp)


def as_cube(n: int) -> int:
    """Check a number of bits all of whose corners are wanted."""
    n = checks.integer(n, "n")
    if n > MOST_BITS:
        gigabytes = n * 2.0 ** (n - 27)
        raise ValueError(
            f"expected n up to {MOST_BITS} for all corners of the cube, got {n}: the 2^{n} corners "
            f"would take {gigabytes:,.0f} GiB"
        )
    return n


def as_inputs(f: Any, n: int | None) -> int:
    """Check the number of inputs of a function; a `BoundedNetwork` tells it."""
    if n is None:
        if not isinstance(f, BoundedNetwork):
            raise ValueError("expected n with a function that does not tell its inputs, got none")
        return f.n_features
    return checks.integer(n, "n")


def corners(n: int) -> Array:
    """List the corners of the cube {-1, 1}^n.

    Not collective.

    Parameters
    ----------
    n : int
        Number of bits, at most 24.

    Returns
    -------
    ndarray, shape (2^n, n)
        Corner i has -1 where the binary digit of i is 1, the lowest digit first.

    Examples
    --------
    >>> from pympf.nets import corners
    >>> corners(2)
    array([[ 1.,  1.],
           [-1.,  1.],
           [ 1., -1.],
           [-1., -1.]])
    """
    n = as_cube(n)
    result = np.empty((2**n, n))
    for bit in range(n):
        result[:, bit] = np.tile(np.repeat([1.0, -1.0], 2**bit), 2 ** (n - 1 - bit))
    return result


def random_corners(n: int, m: int, seed: int = 0) -> Array:
    """Draw corners of the cube {-1, 1}^n.

    Not collective.

    Parameters
    ----------
    n, m : int
        Number of bits, and of corners.
    seed : int
        Seed.

    Returns
    -------
    ndarray, shape (m, n)
        Independent and uniform.

    Examples
    --------
    >>> from pympf.nets import random_corners
    >>> random_corners(30, 5).shape
    (5, 30)
    """
    shape = checks.integer(m, "m"), checks.integer(n, "n")
    return 1.0 - 2.0 * random_numbers(seed, "corners").integers(0, 2, shape)


def parity_values(bits: ArrayLike, X: ArrayLike) -> Array:
    """Compute the product of some coordinates.

    Not collective.

    Parameters
    ----------
    bits : array_like of int
        Which; none of them gives 1.
    X : array_like, shape (m, n)
        Points.

    Returns
    -------
    ndarray, shape (m,)
        The parity, at corners of the cube.

    Examples
    --------
    >>> from pympf.nets import corners, parity_values
    >>> parity_values([0, 1], corners(2))
    array([ 1., -1., -1.,  1.])
    """
    X = as_points(X)
    return X[:, as_bits(bits, X.shape[1])].prod(axis=1)


def least_norm(n: int, depth: int) -> float:
    """Compute the least Λ for which NN(Λ, d) holds a parity of n bits: n^(1/2d).

    Not collective.

    Parameters
    ----------
    n : int
        Bits that the parity depends on.
    depth : int
        d.

    Returns
    -------
    float
        Necessary by `influence`, and attained by `parity`.

    Examples
    --------
    >>> from pympf.nets import least_norm
    >>> round(least_norm(729, 3), 12)
    3.0
    """
    return float(checks.integer(n, "n", 0) ** (1 / (2 * checks.integer(depth, "depth"))))


def influence(
    f: Callable[[Array], Array], n: int | None = None, X: ArrayLike | None = None
) -> Array:
    """Compute sum_i ‖D_i f(x)‖², where D_i f is half the change when bit i flips.

    Not collective. At most Λ^(2d) everywhere for f of NN(Λ, d), and n for the parity of n bits.

    Parameters
    ----------
    f : callable
        Maps points of shape (m, n) to values of shape (m,) or (m, k).
    n : int, optional
        Number of bits; the inputs of a `BoundedNetwork` by default.
    X : array_like, shape (m, n), optional
        Corners; all of them by default.

    Returns
    -------
    ndarray, shape (m,)
        The sum at every corner.

    Examples
    --------
    >>> from pympf.nets import influence, parity
    >>> influence(parity([0, 1, 2], 4)).max().round(12)
    np.float64(3.0)
    """
    n = as_inputs(f, n)
    X = corners(n) if X is None else as_points(X, n).copy()
    values = as_outputs(f(X), len(X))
    total = np.zeros(len(X))
    for bit in range(n):
        X[:, bit] *= -1
        total += np.square((as_outputs(f(X), len(X)) - values) / 2).sum(axis=1)
        X[:, bit] *= -1
    return total


# ---- parities as networks ------------------------------------------------------------------------
def parity(
    bits: ArrayLike, n: int, *, activation: str = "triangle", depth: int = 3, sign: int = 1
) -> BoundedNetwork:
    """Make the parity of some of n bits, exact at the corners of the cube.

    Not collective.

    Parameters
    ----------
    bits : array_like of int
        The k bits, of 0, …, n - 1.
    n : int
        Number of inputs.
    activation : {"triangle", "relu"}
        With the triangle wave at the end all norms are k^(1/2d), the least there is, with one unit
        a layer. ReLU needs k units in one hidden layer and norms of
        (k (4k - 3)^(1/2))^(1/d).
    depth : int
        d: at least 1 for the triangle wave, 2 for ReLU.
    sign : {1, -1}
        Of the parity.

    Returns
    -------
    BoundedNetwork
        Of d layers with equal norms.

    Examples
    --------
    >>> from pympf.nets import corners, least_norm, parity, parity_values
    >>> f = parity([0, 2, 3], 5, depth=3)
    >>> bool(abs(f(corners(5)) - parity_values([0, 2, 3], corners(5))).max() < 1e-12)
    True
    >>> round(f.norm_bound() - least_norm(3, 3), 12)
    0.0
    """
    n = checks.integer(n, "n")
    bits = as_bits(bits, n)
    if sign not in (1, -1):
        raise ValueError(f"expected sign 1 or -1, got {sign!r}")
    ones = np.zeros((1, n))
    ones[0, bits] = 1
    if checks.choice(activation, "activation", ("triangle", "relu")) == "triangle":
        return _by_triangle(ones, len(bits), checks.integer(depth, "depth"), sign)
    return _by_relu(ones, len(bits), checks.integer(depth, "depth with ReLU", 2), sign)


def _by_triangle(ones: Array, k: int, depth: int, sign: int) -> BoundedNetwork:
    """Sum up, scale d - 1 times, and end with the triangle wave of s - k + 1, of period 4."""
    scale = least_norm(max(k, 1), depth)
    weights = [ones * (scale / max(k, 1) ** 0.5), *[np.array([[scale]])] * (depth - 1)]
    end = np.array([1.0 - k if sign == 1 else 3.0 - k])
    biases = [*[np.zeros(1)] * (depth - 1), end]
    return BoundedNetwork(weights, biases, ["identity"] * (depth - 1) + ["triangle"])


def _by_relu(ones: Array, k: int, depth: int, sign: int) -> BoundedNetwork:
    """Zigzag through (s, parity) at s = -k, 2 - k, …, k with a kink at each but the last.

    Below the kinks the sum is shifted to s + k ≥ 0, so that ReLU leaves it alone. All matrices have
    rank one: unit matrices times one scale, whose power makes up for their norms.
    """
    units, start = max(k, 1), sign * (-1.0) ** k
    jumps = -start * np.array([[1.0, *(2.0 * (-1) ** j for j in range(1, units))]])
    row, column = ones / np.sqrt(units), np.full((units, 1), units**-0.5)
    top = jumps / np.linalg.norm(jumps)
    scale = float(units * np.linalg.norm(jumps)) ** (1 / depth)
    gain = scale ** (depth - 1) / units  # of s at the kinks
    kinks = -2.0 * gain * np.arange(units)
    if depth == 2:
        directions, biases = [column @ row, top], [gain * k + kinks]
    else:
        directions = [row, *[np.ones((1, 1))] * (depth - 3), column, top]
        biases = [np.array([scale * k / units**0.5]), *[np.zeros(1)] * (depth - 3), kinks]
    weights = [scale * direction for direction in directions]
    sigmas = ["relu"] * (depth - 1) + ["identity"]
    return BoundedNetwork(weights, [*biases, np.array([start])], sigmas)


def parity_tree(bits: ArrayLike, n: int) -> BoundedNetwork:
    """Make the deep teacher: a tree of products of two, xy = |x + y| - 1 for x, y = ±1.

    Not collective.

    Parameters
    ----------
    bits : array_like of int
        The k bits, at least one.
    n : int
        Number of inputs.

    Returns
    -------
    BoundedNetwork
        Of ⌈log2 k⌉ layers of ReLU and a linear one, exact at the corners of the cube.

    Examples
    --------
    >>> from pympf.nets import corners, parity_tree, parity_values
    >>> f = parity_tree([0, 1, 2], 4)
    >>> f.depth, bool((f(corners(4)) == parity_values([0, 1, 2], corners(4))).all())
    (3, True)
    """
    n = checks.integer(n, "n")
    bits = as_bits(bits, n)
    if len(bits) == 0:
        raise ValueError("expected at least one bit for a tree, got none")
    values, offsets = np.eye(n)[bits], np.zeros(len(bits))
    weights, biases = [], []
    while len(values) > 1:
        W, b, values, offsets = _level(values, offsets)
        weights.append(W)
        biases.append(b)
    return BoundedNetwork(
        [*weights, values], [*biases, offsets], ["relu"] * len(weights) + ["identity"]
    )


def _level(values: Array, offsets: Array) -> tuple[Array, Array, Array, Array]:
    """Multiply pairs of values (rows of coefficients, and offsets) with two units each.

    |z| = ReLU(z) + ReLU(-z) of the sum of a pair; a value without a partner is their difference.
    """
    pairs = len(values) // 2
    sums = values[0 : 2 * pairs : 2] + values[1 : 2 * pairs : 2]
    shifts = offsets[0 : 2 * pairs : 2] + offsets[1 : 2 * pairs : 2]
    sums = np.concatenate([sums, values[2 * pairs :]])
    shifts = np.concatenate([shifts, offsets[2 * pairs :]])
    W, b = np.stack([sums, -sums], axis=1), np.stack([shifts, -shifts], axis=1)
    above = np.kron(np.eye(len(sums)), [1.0, 1.0])
    above[pairs:, 1::2] *= -1
    return (
        W.reshape(-1, W.shape[2]),
        b.ravel(),
        above,
        np.where(np.arange(len(sums)) < pairs, -1.0, 0),
    )
