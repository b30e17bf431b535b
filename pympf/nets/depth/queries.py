"""What statistical queries tell of a parity, and what finds it at once.

    paper                                        here
    vSTAT_D(τ), honest                           vstat(phi, X, tau)
    … and the one that tells nothing             Adversarial(n, tau)
    Lemma 3, exp(Ω(n))                           least_complexity(n) = (2^n - 1)^(1/3)
    statistical dimension                        statistical_dimension(gram, correlation)
    query access: Goldreich-Levin                read_parity, goldreich_levin, heavy_parities
    (not in the paper) samples                   gf2_solve

A query φ(x, y) of [0, 1], y = h(x), is φ₊ + y φ₋ with the even and odd part in y; for the parity of
S its mean is p_S = p_0 + φ̂₋(S), where p_0 = E φ₊ does not depend on S. As Σ_S φ̂₋(S)² = E φ₋² and
φ₋² ≤ φ₊ (since |φ₋| ≤ φ₊ ≤ 1), the answer p_0 to a query of vSTAT(τ) is wrong for at most 1/τ²
parities: |√p_S - √p_0| ≥ τ means |p_S - p_0| ≥ τ (√p_S + √p_0) ≥ τ √p_0. So q queries leave more
than one parity unless q ≥ τ²(2^n - 1), and max(1/τ, q) ≥ (2^n - 1)^(1/3).

References
----------
.. [1] W. Burstein, J. Wilmes, "Obstacles to depth compression of neural networks", 2020, section 2.
.. [2] V. Feldman, E. Grigorescu, L. Reyzin, S. Vempala, Y. Xiao, "Statistical algorithms and a
   lower bound for detecting planted cliques", Journal of the ACM 64 (2017).
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pympf.nets._checks import Array, as_count, as_points, as_positive
from pympf.nets.depth.bounded import as_outputs
from pympf.nets.depth.parities import as_cube, as_inputs, corners, random_corners

__all__ = [
    "Adversarial",
    "HeavyParity",
    "Parity",
    "gf2_solve",
    "goldreich_levin",
    "goldreich_levin_pairs",
    "heavy_parities",
    "least_complexity",
    "read_parity",
    "ruled_out",
    "statistical_dimension",
    "vstat",
    "vstat_samples",
    "walsh_hadamard",
]

Map = Callable[[Array], Array]


# ---- Fourier analysis on the cube ----------------------------------------------------------------
def walsh_hadamard(values: ArrayLike) -> Array:
    """Transform functions on the cube: result[S] = sum over corners x of f(x) times the parity S.

    Not collective. O(N log N). Applied twice it is N times the identity.

    Parameters
    ----------
    values : array_like, shape (..., 2^n)
        Values at the corners in the order of `corners`.

    Returns
    -------
    ndarray, shape (..., 2^n)
        The parity of index S has the bits that are 1 in S.

    Examples
    --------
    >>> from pympf.nets import corners, parity_values, walsh_hadamard
    >>> walsh_hadamard(parity_values([0, 1], corners(2)))
    array([0., 0., 0., 4.])
    """
    result = np.array(values, dtype=np.float64)
    size = result.shape[-1] if result.ndim else 0
    if size < 1 or size & (size - 1):
        raise ValueError(f"expected a power of two of values, got {size}")
    half = 1
    while half < size:
        pairs = result.reshape(*result.shape[:-1], -1, 2, half)
        low, high = pairs[..., 0, :].copy(), pairs[..., 1, :]
        pairs[..., 0, :] += high
        pairs[..., 1, :] = low - high
        half *= 2
    return result


# ---- statistical queries -------------------------------------------------------------------------
def vstat_samples(tau: float, failure: float = 0.01) -> int:
    """Count samples that answer a query of vSTAT(τ): ln(2/δ)/τ².

    Not collective. The relative entropy of means p̂, p is at least (√p̂ - √p)², so by Chernoff's
    bound |√p̂ - √p| ≥ τ has at most the probability 2 exp(-m τ²). Fewer than Θ(1/τ²) do not do, as
    the standard deviation of √p̂ is ((1 - p)/m)^(1/2)/2; the paper's Ω(1/τ) is a weaker statement.

    Parameters
    ----------
    tau : float
        τ.
    failure : float
        δ, the probability with which an answer may be wrong.

    Returns
    -------
    int
        m.

    Examples
    --------
    >>> from pympf.nets import vstat_samples
    >>> vstat_samples(0.1), vstat_samples(0.01)
    (530, 52984)
    """
    if not 0 < failure < 1:
        raise ValueError(f"expected failure of (0, 1), got {failure}")
    return ceil(log(2 / failure) / as_positive(tau, "tau") ** 2)


def vstat(phi: Map, X: ArrayLike, tau: float, *, failure: float = 0.01) -> float:
    """Answer a statistical query honestly, from samples.

    Not collective.

    Parameters
    ----------
    phi : callable
        Maps points, shape (m, d), to values of [0, 1], shape (m,).
    X : array_like, shape (m, d)
        Independent samples of the distribution; at least `vstat_samples(tau, failure)`.
    tau : float
        τ: |√v - √E φ| < τ.
    failure : float
        Probability with which the answer may be wrong.

    Returns
    -------
    float
        v.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import random_corners, vstat
    >>> v = vstat(lambda X: X[:, 0] > 0, random_corners(3, 600), tau=0.1)
    >>> abs(v**0.5 - 0.5**0.5) < 0.1
    True
    """
    X = as_points(X)
    needed = vstat_samples(tau, failure)
    if len(X) < needed:
        raise ValueError(f"expected at least {needed} samples for tau = {tau:g}, got {len(X)}")
    return float(_as_query(phi(X), (len(X),)).mean())


def _as_query(phi: ArrayLike, shape: tuple[int, ...]) -> Array:
    phi = np.asarray(phi, dtype=np.float64)
    if phi.shape != shape:
        raise ValueError(f"expected values of a query in shape {shape}, got {phi.shape}")
    if not (phi.min() >= 0 and phi.max() <= 1):
        raise ValueError(f"expected a query with values of [0, 1], got {phi.min()} to {phi.max()}")
    return phi


def _answers(phi: ArrayLike) -> tuple[float, Array]:
    """Compute p_0 and p_S for all parities S."""
    phi = np.asarray(phi)
    n = max(phi.shape[-1], 1).bit_length() - 1
    phi = _as_query(phi, (2, 2 ** as_cube(max(n, 1))))
    p_0 = float(phi.mean())
    return p_0, np.clip(p_0 + walsh_hadamard((phi[0] - phi[1]) / 2) / phi.shape[1], 0, 1)


def ruled_out(phi: ArrayLike, tau: float) -> Array:
    """Tell for which parities the answer p_0 to a query is no answer of vSTAT(τ).

    Not collective. Never more than 1/τ², whatever the query.

    Parameters
    ----------
    phi : array_like, shape (2, 2^n)
        The query of [0, 1] at all corners, for the label 1 and for the label -1.
    tau : float
        τ.

    Returns
    -------
    ndarray of bool, shape (2^n,)
        True where |√p_S - √p_0| ≥ τ.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import corners, parity_values, ruled_out
    >>> h = parity_values([0, 2], corners(3))  # the best query: "does h agree with the label?"
    >>> np.flatnonzero(ruled_out([(1 + h) / 2, (1 - h) / 2], tau=0.2))
    array([5])
    """
    tau = as_positive(tau, "tau")
    p_0, p = _answers(phi)
    return np.abs(np.sqrt(p) - np.sqrt(p_0)) >= tau


class Adversarial:
    """The oracle vSTAT(τ) that tells as little as it may: p_0, the same for all parities.

    Parameters
    ----------
    n : int
        Number of bits, at most 24.
    tau : float
        τ.

    Attributes
    ----------
    alive : ndarray of bool, shape (2^n,)
        Parities for which all answers so far are right.
    queries : int
        Answers so far.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import Adversarial, corners
    >>> oracle, X = Adversarial(3, tau=0.2), corners(3)
    >>> oracle.answer(lambda X, y: (1 + X[:, 0] * y) / 2)
    0.5
    >>> np.flatnonzero(~oracle.alive)
    array([1])
    """

    def __init__(self, n: int, tau: float) -> None:
        self.n, self.tau = as_cube(n), as_positive(tau, "tau")
        self.alive = np.ones(2**self.n, dtype=bool)
        self.queries = 0
        self._corners = corners(self.n)

    @property
    def total_complexity(self) -> float:
        """max(1/τ, queries)."""
        return max(1 / self.tau, self.queries)

    def answer(self, phi: Callable[[Array, Array], Array]) -> float:
        """Answer a query, and strike out the parities for which the answer is wrong.

        Not collective.

        Parameters
        ----------
        phi : callable
            Maps corners, shape (2^n, n), and labels ±1, shape (2^n,), to values of [0, 1].

        Returns
        -------
        float
            p_0.

        Examples
        --------
        See the class.
        """
        ones = np.ones(len(self._corners))
        values = np.stack([phi(self._corners, y) for y in (ones, -ones)])
        self.alive &= ~ruled_out(values, self.tau)
        self.queries += 1
        return float(values.mean())


def least_complexity(n: int) -> float:
    """Bound the total complexity max(1/τ, queries) of learning parities from below.

    Not collective. (2^n - 1)^(1/3): q ≥ τ²(2^n - 1) queries, which 1/τ = q makes least.

    Parameters
    ----------
    n : int
        Number of bits.

    Returns
    -------
    float
        The bound, which makes exp(Ω(n)) of Lemma 3 a number.

    Examples
    --------
    >>> from pympf.nets import least_complexity
    >>> round(least_complexity(30))
    1024
    """
    return float((2.0 ** as_count(n, "n") - 1) ** (1 / 3))


def statistical_dimension(gram: ArrayLike, correlation: float) -> float:
    """Bound from below the statistical dimension with average correlation of a family.

    Not collective. The dimension is the largest q such that every |C|/q functions of the family C
    have an average |correlation| (themselves included) of at most γ [1]_. The average over m of
    them is at most the largest mean of m entries of a row, which is what is computed; for
    uncorrelated functions, as parities are, the bound is exact: γ|C|.

    Parameters
    ----------
    gram : array_like, shape (N, N)
        Correlations of the functions.
    correlation : float
        γ.

    Returns
    -------
    float
        N/m for the least m that is known to do; 0 where no m is.

    References
    ----------
    .. [1] V. Feldman, E. Grigorescu, L. Reyzin, S. Vempala, Y. Xiao, "Statistical algorithms and a
       lower bound for detecting planted cliques", definition 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import statistical_dimension
    >>> statistical_dimension(np.eye(1024), 1 / 64)
    16.0
    """
    gram = as_points(gram)
    size = len(gram)
    if gram.shape != (size, size) or not np.allclose(gram, gram.T, rtol=0, atol=1e-9):
        raise ValueError(f"expected a symmetric Gram matrix, got one of shape {gram.shape}")
    largest = -np.sort(-np.abs(gram), axis=1)
    means = (np.cumsum(largest, axis=1) / np.arange(1, size + 1)).max(axis=0)
    enough = np.flatnonzero(means <= as_positive(correlation, "correlation") * (1 + 1e-12))
    return float(size / (enough[0] + 1)) if len(enough) else 0.0


# ---- what finds a parity at once -----------------------------------------------------------------
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
    if not 0 <= noise < 0.5:
        raise ValueError(f"expected noise of [0, 1/2), got {noise}")
    if not 0 < failure < 1:
        raise ValueError(f"expected failure of (0, 1), got {failure}")
    return max(1, ceil(2 * log(as_count(n, "n") / failure) / (1 - 2 * noise) ** 4))


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
    n, threshold = as_count(n, "n"), as_positive(threshold, "threshold")
    if threshold > 1 or not 0 < failure < 1:
        raise ValueError(
            f"expected threshold of (0, 1] and failure of (0, 1), got {threshold} and {failure}"
        )
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
