"""The models of the paper, and those that it simulates, as data-dependent sparse models.

References
----------
.. [1] C. Baykal, N. Dikkala, R. Panigrahy, C. Rashtchian, X. Wang, "A theoretical view on sparsely
   activated networks", sections 2.1, 3 and 5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pympf.la import checks
from pympf.nets._checks import as_points, as_values, random_numbers
from pympf.nets.layer import Layer, glorot
from pympf.nets.routing import Expert, Nearest, OnePerBlock, RandomHash, Routing, Separate, TopK
from pympf.nets.sparse_model import DSM

__all__ = [
    "dense",
    "dsm",
    "interpolation",
    "nearest_neighbors",
    "random_hash",
    "scaling",
    "switch",
]


def dense(n_features: int, width: int, *, bias: float = False, seed: int = 0) -> DSM:
    """Make a dense model with a random bottom layer: every unit is always active.

    Not collective.

    Parameters
    ----------
    n_features, width : int
        d and t.
    bias : float
        Size of the bottom layer's offsets relative to its entries. Without (the paper) the model is
        a positively homogeneous function plus a constant, whatever its width.
    seed : int
        Seed of the bottom layer.

    Returns
    -------
    DSM
        The model, not fitted.

    References
    ----------
    .. [1] Sections 2.1 and 5.1.

    Examples
    --------
    >>> from pympf.nets import dense
    >>> dense(8, 64).cost().active_units
    64
    """
    return DSM(Layer.random(n_features, width, bias=bias, seed=seed))


def dsm(
    n_features: int,
    active: int,
    width: int,
    *,
    routing: str = "topk",
    bias: float = False,
    activation: str = "relu",
    seed: int = 0,
) -> DSM:
    """Make DSM(d, s, t) with a random bottom layer and Top-K routing of some kind.

    Not collective.

    Parameters
    ----------
    n_features, active, width : int
        d, s = K and t.
    routing : {"topk", "topk_abs", "separate", "hash"}
        The K largest of Bx, of |Bx|, of Rx with a random R of its own, or K units by a uniform
        hash of the input.
    bias : float
        Size of the bottom layer's offsets relative to its entries.
    activation : {"relu", "identity", "one"}
        σ.
    seed : int
        Seed of the bottom layer and of the routing.

    Returns
    -------
    DSM
        The model, not fitted. Its bottom layer is that of `dense` with the same seed.

    References
    ----------
    .. [1] Sections 2.1, 3 and 5.1.

    Examples
    --------
    >>> from pympf.nets import dsm
    >>> dsm(8, active=16, width=64, routing="separate").cost().active_units
    16
    """
    mask: Routing
    if routing == "separate":
        R = glorot(n_features, width, random_numbers(seed, "routing"))
        mask = Separate(R, active)
    elif routing == "hash":
        mask = RandomHash(active, seed=seed)
    else:
        checks.choice(routing, "routing", ("topk", "topk_abs", "separate", "hash"))
        mask = TopK(active, by="value" if routing == "topk" else "absolute")
    layer = Layer.random(
        n_features, width, bias=bias, activation=activation, routing=mask, seed=seed
    )
    return DSM(layer)


def random_hash(n_features: int, active: int, width: int, *, seed: int = 0) -> DSM:
    """Make the random hash model: the units are a uniform random function of the input.

    Not collective.

    Parameters
    ----------
    n_features, active, width : int
        d, s and t.
    seed : int
        Seed of the bottom layer and of the hash.

    Returns
    -------
    DSM
        The model, not fitted.

    References
    ----------
    .. [1] Sections 5.1 and D.1.

    Examples
    --------
    >>> from pympf.nets import random_hash
    >>> random_hash(8, 16, 64).cost().routing_flops
    0
    """
    return dsm(n_features, active, width, routing="hash", seed=seed)


def switch(
    n_features: int,
    experts: int,
    width: int,
    *,
    bias: float = False,
    activation: str = "relu",
    seed: int = 0,
) -> DSM:
    """Make a Switch layer: one of L experts, a block of t/L units, is active.

    Not collective.

    Parameters
    ----------
    n_features, experts, width : int
        d, L and t.
    bias : float
        Size of the bottom layer's offsets relative to its entries.
    activation : {"relu", "identity", "one"}
        σ.
    seed : int
        Seed of the bottom layer and of the router.

    Returns
    -------
    DSM
        The model, not fitted.

    References
    ----------
    .. [1] Section 3.1.

    Examples
    --------
    >>> from pympf.nets import switch
    >>> switch(8, experts=4, width=64).cost().active_units
    16
    """
    router = random_numbers(seed, "router").standard_normal((experts, n_features))
    routing = Expert(router)
    layer = Layer.random(
        n_features, width, bias=bias, activation=activation, routing=routing, seed=seed
    )
    return DSM(layer)


def scaling(
    n_features: int,
    blocks: int,
    width: int,
    *,
    bias: float = False,
    activation: str = "relu",
    seed: int = 0,
) -> DSM:
    """Make a Scaling layer: one unit of each of s blocks is active.

    Not collective.

    Parameters
    ----------
    n_features, blocks, width : int
        d, s and t.
    bias : float
        Size of the bottom layer's offsets relative to its entries.
    activation : {"relu", "identity", "one"}
        σ.
    seed : int
        Seed of the bottom layer.

    Returns
    -------
    DSM
        The model, not fitted.

    References
    ----------
    .. [1] Section 3.1.

    Examples
    --------
    >>> from pympf.nets import scaling
    >>> scaling(8, blocks=16, width=64).cost().active_units
    16
    """
    routing = OnePerBlock(blocks)
    layer = Layer.random(
        n_features, width, bias=bias, activation=activation, routing=routing, seed=seed
    )
    return DSM(layer)


def nearest_neighbors(points: ArrayLike, values: ArrayLike, k: int) -> DSM:
    """Make the DSM(d, k, n) that is k-nearest-neighbour regression on unit vectors.

    Not collective. B holds the points, σ is one, the mask has the k largest of Bx, A = values/k.

    Parameters
    ----------
    points : array_like, shape (n, d)
        Vectors of unit length; inputs must be such too.
    values : array_like, shape (n,)
        Target values at the points.
    k : int
        How many neighbours are averaged.

    Returns
    -------
    DSM
        The model; there is nothing to fit.

    Raises
    ------
    ValueError
        If a point is not of unit length, to 1e-6.

    References
    ----------
    .. [1] Section 3.

    Examples
    --------
    >>> from pympf.nets import nearest_neighbors
    >>> g = nearest_neighbors([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], [1.0, 2.0, 5.0], k=2)
    >>> g.predict([[0.8, 0.6]])
    array([1.5])
    """
    points = as_points(points)
    lengths = np.linalg.norm(points, axis=1)
    worst = float(np.abs(lengths - 1).max())
    if worst > 1e-6:
        raise ValueError(f"expected points of unit length, got one that is off by {worst:.3g}")
    values = as_values(values, len(points))
    layer = Layer(points, activation="one", routing=TopK(checks.integer(k, "k", 1, len(points))))
    return DSM(layer, values / k)


def interpolation(points: ArrayLike, values: ArrayLike) -> DSM:
    """Make the DSM(d, 1, t) that has given values at given points.

    Not collective. B holds the points b_i, σ is the identity, A_i = f(x_i)/⟨b_i, x_i⟩, the mask has
    the nearest point.

    Parameters
    ----------
    points : array_like, shape (t, d)
        Points other than zero, which no product could tell from another scale.
    values : array_like, shape (t,)
        Target values at the points.

    Returns
    -------
    DSM
        The model; there is nothing to fit.

    Raises
    ------
    ValueError
        If a point is zero.

    References
    ----------
    .. [1] Section 3.

    Examples
    --------
    >>> from pympf.nets import interpolation
    >>> interpolation([[1.0, 0.0], [0.0, 2.0]], [3.0, 5.0]).predict([[0.0, 2.0], [1.0, 0.0]])
    array([5., 3.])
    """
    points = as_points(points)
    squares = np.square(points).sum(axis=1)
    checks.positive(squares.min(), "the smallest squared length of the points")
    layer = Layer(points, activation="identity", routing=Nearest(points))
    return DSM(layer, as_values(values, len(points)) / squares)
