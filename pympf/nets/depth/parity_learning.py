"""What finds a parity at once, where statistical queries cannot.

    paper                                        here
    query access: Goldreich-Levin                read_parity, goldreich_levin, heavy_parities
    (not in the paper) samples                   gf2_solve

References
----------
.. [1] O. Goldreich, L. A. Levin, "A hard-core predicate for all one-way functions", STOC 1989.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pympf.la import checks
from pympf.nets._checks import Array, as_outputs, as_points
from pympf.nets.depth.parities import as_inputs, random_corners

__all__ = [
    "HeavyParity",
    "Parity",
    "gf2_solve",
    "goldreich_levin",
    "goldreich_levin_pairs",
    "heavy_parities",
    "read_parity",
]

Map = Callable[[Array], Array]


class Parity(NamedTuple):
    """The parity of some bits, times a sign."""

    bits: Array
    sign: int


def read_parity(f: Map, n: int | None = None) -> Parity:
    """Find the bits of a parity by n + 1 evaluations.

    Not collective.

    Parameters
    ----------
    f : callable
        Maps points of shape (m, n) to values of shape (m,): ± a parity at the corners.
    n : int, optional
        Number of bits; the inputs of a `BoundedNetwork` by default.

    Returns
    -------
    Parity
        Bits and sign; ValueError where a value is not ±1 to six digits.

    Examples
    --------
    >>> from pympf.nets import parity_tree, read_parity
    >>> read_parity(parity_tree([1, 4, 5], 8), 8)
    Parity(bits=array([1, 4, 5]), sign=1)
    """
    n = as_inputs(f, n)
    X = np.vstack([np.ones(n), 1 - 2 * np.eye(n)])
    values = as_outputs(f(X), n + 1, 1)[:, 0]
    off = np.abs(np.abs(values) - 1).max()
    if off > 1e-6:
        raise ValueError(f"expected values of ±1, as a parity has; one is off by {off:.3g}")
    return Parity(np.flatnonzero(values[1:] * values[0] < 0), int(np.sign(values[0])))


def goldreich_levin_pairs(n: int, noise: float, failure: float = 0.05) -> int:
    """Count the pairs f(x) f(x^i) that find a parity: 2 ln(n/δ)/(1 - 2η)^4.

    Not collective. A pair has the mean ±(1 - 2η)², and by Hoeffding's inequality the sign of a mean
    of m is wrong with at most the probability exp(-m (1 - 2η)^4/2), for each of n bits.

    Parameters
    ----------
    n : int
        Number of bits.
    noise : float
        η.
    failure : float
        δ.

    Returns
    -------
    int
        m.

    Examples
    --------
    >>> from pympf.nets import goldreich_levin_pairs
    >>> [goldreich_levin_pairs(16, eta, failure=0.025) for eta in (0.1, 0.3, 0.4)]
    [32, 505, 8077]
    """
    noise = checks.number(noise, "noise", 0, 0.5)
    failure = checks.number(failure, "failure", above=0, below=1)
    return max(1, ceil(2 * log(checks.integer(n, "n") / failure) / (1 - 2 * noise) ** 4))


def goldreich_levin(
    f: Map, n: int, noise: float, *, failure: float = 0.025, seed: int = 0
) -> Parity:
    """Find the bits of a parity with noise by queries: means of f(x) f(x with bit i flipped).

    Not collective.

    Parameters
    ----------
    f : callable
        Maps corners, shape (m, n), to ±1, shape (m,): a parity whose values are flipped at each
        corner independently with probability η.
    n : int
        Number of bits.
    noise : float
        η, below 1/2.
    failure : float
        Probability with which it may be wrong; `goldreich_levin_pairs` has the cost.
    seed : int
        Seed of the corners.

    Returns
    -------
    Parity
        Bits and sign.

    Examples
    --------
    >>> from pympf.nets import goldreich_levin, theorem1
    >>> noisy = theorem1(20, norm=3.0, depth=4).member([2, 3, 11], noise=0.2).sides
    >>> import numpy as np
    >>> f = lambda X: noisy(np.hstack([X, np.zeros((len(X), 1))]))
    >>> goldreich_levin(f, 20, noise=0.2)
    Parity(bits=array([ 2,  3, 11]), sign=1)
    """
    m = goldreich_levin_pairs(n, noise, failure)
    X = random_corners(n, m, seed)
    values = _signs(f, X)
    bits = []
    for bit in range(n):
        X[:, bit] *= -1
        if _signs(f, X) @ values < 0:
            bits.append(bit)
        X[:, bit] *= -1
    found = np.array(bits, dtype=np.intp)
    return Parity(found, 1 if values @ X[:, found].prod(axis=1) >= 0 else -1)


class HeavyParity(NamedTuple):
    """The parity of some bits, and its estimated coefficient E f(x) x_S."""

    bits: Array
    coefficient: float


def heavy_parities(
    f: Map, n: int, threshold: float, *, failure: float = 0.025, seed: int = 0
) -> list[HeavyParity]:
    """Find all parities that agree with f more than others: Goldreich and Levin's list [1]_.

    Not collective. It takes any noise, also one that an adversary put where it hurts: a parity that
    f agrees with on a share 1/2 + ε of the corners has the coefficient 2ε. Prefixes of S are
    extended bit by bit, and those whose sum of squared coefficients is small are dropped; the sums
    are E f(x, y) f(x', y) χ(x) χ(x') over x, x' of the first bits and y of the others.

    Parameters
    ----------
    f : callable
        Maps corners, shape (m, n), to ±1, shape (m,).
    n : int
        Number of bits.
    threshold : float
        θ of (0, 1]: with the probability 1 - δ all coefficients of size θ are found, and none is
        given below θ/2. It takes 64 n ln(16 n/(θ² δ))/θ^4 queries.
    failure : float
        δ.
    seed : int
        Seed of the corners.

    Returns
    -------
    list of HeavyParity
        The largest coefficient first.

    References
    ----------
    .. [1] O. Goldreich, L. Levin, "A hard-core predicate for all one-way functions", STOC 1989; in
       the form of E. Kushilevitz, Y. Mansour, "Learning decision trees using the Fourier spectrum",
       SIAM Journal on Computing 22 (1993).

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import heavy_parities, parity_values
    >>> def f(X):  # one parity where bit 0 is 1, another where it is -1
    ...     return np.where(X[:, 0] > 0, parity_values([1, 2], X), parity_values([3], X))
    >>> sorted(found.bits.tolist() for found in heavy_parities(f, 6, threshold=0.5))
    [[0, 1, 2], [0, 3], [1, 2], [3]]
    """
    n = checks.integer(n, "n")
    threshold = checks.number(threshold, "threshold", above=0, most=1)
    failure = checks.number(failure, "failure", above=0, below=1)
    estimates = 16 * n / threshold**2
    m = ceil(32 * log(estimates / failure) / threshold**4)
    prefixes = np.zeros((1, 0))
    for level in range(1, n + 1):
        ends = np.tile([[0.0], [1.0]], (len(prefixes), 1))
        prefixes = np.hstack([np.repeat(prefixes, 2, axis=0), ends])
        X = random_corners(n, m, seed * (n + 1) + level)
        other = X.copy()
        other[:, :level] = random_corners(level, m, seed * (n + 1) + level + 2**32)
        values = _signs(f, X) * _signs(f, other)
        sums = _correlations(values, X[:, :level] * other[:, :level], prefixes)
        prefixes = prefixes[sums >= threshold**2 / 2]
    X = random_corners(n, m, seed * (n + 1))
    coefficients = _correlations(_signs(f, X), X, prefixes)
    found = [
        HeavyParity(np.flatnonzero(prefix), float(coefficient))
        for prefix, coefficient in zip(prefixes, coefficients, strict=True)
        if abs(coefficient) >= 0.75 * threshold
    ]
    return sorted(found, key=lambda parity: -abs(parity.coefficient))


def _signs(f: Map, X: Array) -> Array:
    return np.sign(as_outputs(f(X), len(X), 1)[:, 0])


def _correlations(values: Array, X: Array, masks: Array, block: int = 2**14) -> Array:
    """Compute the means of values times the parities of masks, of shape (P, n)."""
    total = np.zeros(len(masks))
    for start in range(0, len(values), block):
        part = slice(start, start + block)
        odd = np.mod((X[part] < 0) @ masks.T, 2)
        total += values[part] @ (1 - 2 * odd)
    return total / len(values)


def gf2_solve(X: ArrayLike, y: ArrayLike) -> Array:
    """Find the parity that samples follow, by Gaussian elimination over GF(2).

    Not collective. n + 10 samples have full rank with probability .999. One flipped label spoils
    it: it is no statistical query algorithm, and learns no parities with noise.

    Parameters
    ----------
    X : array_like, shape (m, n)
        Corners, ±1.
    y : array_like, shape (m,)
        Labels, ±1.

    Returns
    -------
    ndarray of int
        The bits. LinAlgError where several parities fit, ValueError where none does.

    Examples
    --------
    >>> from pympf.nets import gf2_solve, parity_values, random_corners
    >>> X = random_corners(30, 40)
    >>> gf2_solve(X, parity_values([4, 9, 29], X))
    array([ 4,  9, 29])
    """
    X = as_points(X)
    y = as_outputs(y, len(X), 1)
    table = np.hstack([X, y])
    if not (np.abs(table) == 1).all():
        raise ValueError("expected samples and labels of ±1")
    n = X.shape[1]
    rows = np.packbits(table < 0, axis=1)
    rank = 0
    pivots = []
    for column in range(n):
        byte, mask = column // 8, np.uint8(128 >> column % 8)
        candidates = np.flatnonzero(rows[rank:, byte] & mask)
        if len(candidates) == 0:
            continue
        rows[[rank, rank + candidates[0]]] = rows[[rank + candidates[0], rank]]
        others = (rows[:, byte] & mask).astype(bool)
        others[rank] = False
        rows[others] ^= rows[rank]
        pivots.append(column)
        rank += 1
    labels = (rows[:, n // 8] & np.uint8(128 >> n % 8)).astype(bool)
    if labels[rank:].any():
        raise ValueError("expected labels of a parity, but none fits all samples: is there noise?")
    if rank < n:
        raise np.linalg.LinAlgError(
            f"expected samples of rank {n}, got rank {rank}: 2^{n - rank} parities fit them"
        )
    return np.array(pivots, dtype=np.intp)[labels[:rank]]
