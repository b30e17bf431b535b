"""What statistical queries tell of a parity; `parity_learning` has what finds it at once.

    paper                                        here
    vSTAT_D(τ), honest                           vstat(phi, X, tau)
    … and the one that tells nothing             Adversarial(n, tau)
    Lemma 3, exp(Ω(n))                           least_complexity(n) = (2^n - 1)^(1/3)
    statistical dimension                        statistical_dimension(gram, correlation)

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

import numpy as np
from numpy.typing import ArrayLike

from pympf._described import Described
from pympf.la import checks
from pympf.nets._checks import Array, as_points
from pympf.nets.depth.parities import as_cube, corners

__all__ = [
    "Adversarial",
    "least_complexity",
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
    failure = checks.number(failure, "failure", above=0, below=1)
    return ceil(log(2 / failure) / checks.positive(tau, "tau") ** 2)


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
    tau = checks.positive(tau, "tau")
    p_0, p = _answers(phi)
    return np.abs(np.sqrt(p) - np.sqrt(p_0)) >= tau


class Adversarial(Described):
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
        self.n, self.tau = as_cube(n), checks.positive(tau, "tau")
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
    return float((2.0 ** checks.integer(n, "n") - 1) ** (1 / 3))


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
    enough = np.flatnonzero(means <= checks.positive(correlation, "correlation") * (1 + 1e-12))
    return float(size / (enough[0] + 1)) if len(enough) else 0.0
