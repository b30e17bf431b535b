"""The bounds of the paper as functions.

O(...) and Ω(...) are evaluated with the constant factor 1, so they tell how a quantity grows and
not how large it is. Constants that the paper names (C, C_1) are parameters.

References
----------
.. [1] C. Baykal, N. Dikkala, R. Panigrahy, C. Rashtchian, X. Wang, "A theoretical view on sparsely
   activated networks", theorems 4.1, 4.3, B.1, C.1, lemma 4.2 and equation 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log, pi, sqrt

from pympf.la import checks

__all__ = [
    "DenseBound",
    "SparseBound",
    "dense_analytic_bound",
    "dense_bound",
    "forward_times",
    "lsh_bound",
    "lsh_manifold_bound",
    "nonempty_buckets_bound",
]


@dataclass(frozen=True)
class SparseBound:
    """What suffices for an LSH model to learn to uniform error eps."""

    samples: float
    table_size: float
    forward_time: float


@dataclass(frozen=True)
class DenseBound:
    """What a dense model with a random bottom layer needs to learn to uniform error eps."""

    width: float
    samples: float


def _power(base: float, exponent: float) -> float:
    """base^exponent, infinite where a float64 is too small for it."""
    try:
        return base**exponent
    except OverflowError:
        return inf


def _checked(d: int, k: int, eps: float, lipschitz: float) -> tuple[int, int, float, float]:
    d = checks.integer(d, "d")
    k = checks.integer(k, "k", 1, d)
    return d, k, checks.positive(eps, "eps"), checks.positive(lipschitz, "lipschitz")


def _logarithm(ratio: float, what: str) -> float:
    if ratio <= 1:
        raise ValueError(f"expected {what} above 1, got {ratio:g}: the bound needs a smaller eps")
    return log(ratio)


def lsh_bound(d: int, k: int, eps: float, lipschitz: float = 1.0) -> SparseBound:
    """Theorem 4.1: LSH models on k-dimensional subspaces.

    Not collective. Samples O(k L √d^k log(L√d/ε)/ε^k), table O(L √d^k/ε^k), forward pass
    O(d k log(L√d/ε)). (The proof gives L^k where the theorem has L.)

    Parameters
    ----------
    d, k : int
        Dimensions of the space and of the subspace.
    eps : float
        Uniform error, below L√d.
    lipschitz : float
        L.

    Returns
    -------
    SparseBound
        Samples, table size and time of a forward pass.

    References
    ----------
    .. [1] Theorem 4.1.

    Examples
    --------
    >>> from pympf.nets import lsh_bound
    >>> lsh_bound(d=16, k=2, eps=0.5).table_size
    64.0
    """
    d, k, eps, lipschitz = _checked(d, k, eps, lipschitz)
    logarithm = _logarithm(lipschitz * sqrt(d) / eps, "L √d/eps")
    table = lipschitz * _power(sqrt(d) / eps, k)
    return SparseBound(k * table * logarithm, table, d * k * logarithm)


def lsh_manifold_bound(d: int, k: int, eps: float) -> SparseBound:
    """Theorem B.1: LSH models of 1-Lipschitz functions on k-manifolds of bounded distortion.

    Not collective. Samples O(k √(dk)^k log(√(dk)/ε)/ε^k), table O(√(dk)^k/ε^k), forward pass
    O(d k log(1/ε)).

    Parameters
    ----------
    d, k : int
        Dimensions of the space and of the manifold.
    eps : float
        Uniform error, below 1.

    Returns
    -------
    SparseBound
        Samples, table size and time of a forward pass.

    References
    ----------
    .. [1] Theorem B.1.

    Examples
    --------
    >>> from pympf.nets import lsh_manifold_bound
    >>> round(lsh_manifold_bound(d=8, k=2, eps=0.5).table_size, 9)
    64.0
    """
    d, k, eps, _ = _checked(d, k, eps, 1.0)
    table = _power(sqrt(d * k) / eps, k)
    samples = k * table * _logarithm(sqrt(d * k) / eps, "√(dk)/eps")
    return SparseBound(samples, table, d * k * _logarithm(1 / eps, "1/eps"))


def dense_bound(
    d: int, k: int, eps: float, lipschitz: float = 1.0, *, constant: float = 1.0
) -> DenseBound:
    """Theorem 4.3: dense models on an unknown k-dimensional subspace.

    Not collective. Width Ω((√d L/(C ε))^k), samples Ω(k (√d L/(C ε))^k log(2√d L/(C ε))).

    Parameters
    ----------
    d, k : int
        Dimensions of the space and of the subspace.
    eps : float
        Uniform error, below 2√d L/C.
    lipschitz : float
        L.
    constant : float
        C.

    Returns
    -------
    DenseBound
        Width and samples.

    References
    ----------
    .. [1] Theorem 4.3.

    Examples
    --------
    >>> from pympf.nets import dense_bound
    >>> dense_bound(d=16, k=2, eps=0.5).width
    64.0
    """
    d, k, eps, lipschitz = _checked(d, k, eps, lipschitz)
    ratio = sqrt(d) * lipschitz / (checks.positive(constant, "constant") * eps)
    width = _power(ratio, k)
    return DenseBound(width, k * width * _logarithm(2 * ratio, "2 √d L/(C eps)"))


def dense_analytic_bound(
    k: int, eps: float, lipschitz: float = 1.0, *, constant: float = 1.0
) -> DenseBound:
    """Theorem C.1: dense models of analytic functions on an unknown k-dimensional subspace.

    Not collective. Width t = Ω(2^(k²/2) (L C_1/(√k π ε))^k), samples Ω(t log t).

    Parameters
    ----------
    k : int
        Dimension of the subspace.
    eps : float
        Uniform error.
    lipschitz : float
        L.
    constant : float
        C_1.

    Returns
    -------
    DenseBound
        Width and samples.

    References
    ----------
    .. [1] Theorem C.1.

    Examples
    --------
    >>> from math import pi
    >>> from pympf.nets import dense_analytic_bound
    >>> round(dense_analytic_bound(k=4, eps=0.5 / pi).width, 9)
    256.0
    """
    k, eps = checks.integer(k, "k"), checks.positive(eps, "eps")
    scale = checks.positive(lipschitz, "lipschitz") * checks.positive(constant, "constant")
    width = _power(2 ** (k / 2) * scale / (sqrt(k) * pi * eps), k)
    return DenseBound(width, width * max(0.0, log(width)) if width < inf else inf)


def nonempty_buckets_bound(d: int, k: int, eps: float, *, constant: float = 1.0) -> float:
    """Lemma 4.2: buckets of a Euclidean LSH of width eps that a k-dimensional subspace meets.

    Not collective. (2√d/ε)^(C k).

    Parameters
    ----------
    d, k : int
        Dimensions of the space and of the subspace.
    eps : float
        Width of the buckets.
    constant : float
        C: there are C k hyperplanes.

    Returns
    -------
    float
        The bound.

    References
    ----------
    .. [1] Lemma 4.2.

    Examples
    --------
    >>> from pympf.nets import nonempty_buckets_bound
    >>> round(nonempty_buckets_bound(d=16, k=2, eps=0.5), 9)
    256.0
    """
    d, k, eps, _ = _checked(d, k, eps, 1.0)
    return _power(2 * sqrt(d) / eps, checks.positive(constant, "constant") * k)


def forward_times(d: int, k: int, eps: float, *, constant: float = 1.0) -> tuple[float, float]:
    """Equation 1: time of a forward pass, sparse O(d k log(1/ε)) and dense Ω(d (2√d/(C ε))^k).

    Not collective.

    Parameters
    ----------
    d, k : int
        Dimensions of the space and of the subspace.
    eps : float
        Uniform error, below 1.
    constant : float
        C.

    Returns
    -------
    sparse, dense : float
        Both times.

    References
    ----------
    .. [1] Equation 1.

    Examples
    --------
    >>> from pympf.nets import forward_times
    >>> sparse, dense = forward_times(d=16, k=2, eps=0.1)
    >>> round(dense / sparse)
    1390
    """
    d, k, eps, _ = _checked(d, k, eps, 1.0)
    dense = d * _power(2 * sqrt(d) / (checks.positive(constant, "constant") * eps), k)
    return d * k * _logarithm(1 / eps, "1/eps"), dense
