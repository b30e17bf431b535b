"""The identity as a network, and networks side by side: what Theorem 3 is built of.

References
----------
.. [1] W. Burstein, J. Wilmes, "Obstacles to depth compression of neural networks", 2020, section 2.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import block_diag

from pympf.la import checks
from pympf.nets.depth import activations as sigma
from pympf.nets.depth.bounded import BoundedNetwork

__all__ = ["identity", "product"]


def identity(n_features: int, depth: int, *, bound: float | None = None) -> BoundedNetwork:
    """Make the identity of R^n in d layers; each weight matrix has the norm √n.

    Not collective.

    Parameters
    ----------
    n_features : int
        n.
    depth : int
        d.
    bound : float, optional
        B: ReLU layers that are the identity where all |x_i| ≤ B, the last layer's σ apart.

    Returns
    -------
    BoundedNetwork
        Of identity layers, or of ReLU layers and a last one that is linear.

    Examples
    --------
    >>> from pympf.nets import identity
    >>> identity(2, 3, bound=5.0)([[-4.0, 3.0]])
    array([[-4.,  3.]])
    """
    n_features, depth = checks.integer(n_features, "n_features"), checks.integer(depth, "depth")
    weights = [np.eye(n_features)] * depth
    if bound is None or depth == 1:
        return BoundedNetwork(weights, activations="identity")
    shift = np.full(n_features, checks.positive(bound, "bound"))
    biases = [shift, *[0 * shift] * (depth - 2), -shift]
    return BoundedNetwork(weights, biases, ["relu"] * (depth - 1) + ["identity"])


def product(*networks: BoundedNetwork) -> BoundedNetwork:
    """Put networks of one depth side by side: (x, y) → (f(x), g(y)).

    Not collective. Each norm is the root of the sum of squares: √k Λ for k equal networks.

    Parameters
    ----------
    *networks : BoundedNetwork
        All of the same depth.

    Returns
    -------
    BoundedNetwork
        On the Cartesian product of the input spaces.

    Examples
    --------
    >>> from pympf.nets import BoundedNetwork, product
    >>> f = BoundedNetwork([[[3.0]]])
    >>> product(f, f)([[1.0, 2.0]])
    array([[3., 6.]])
    """
    if not networks or len({f.depth for f in networks}) > 1:
        raise ValueError(
            f"expected networks of one depth, got depths {[f.depth for f in networks]}"
        )
    layers = range(networks[0].depth)
    return BoundedNetwork(
        [block_diag(*(f.weights[i] for f in networks)) for i in layers],
        [np.concatenate([f.biases[i] for f in networks]) for i in layers],
        [_side_by_side([(f.activations[i], len(f.weights[i])) for f in networks]) for i in layers],
    )


def _side_by_side(parts: list[tuple[sigma.Activation, int]]) -> sigma.Activation:
    first = parts[0][0]
    if all(activation == first for activation, _ in parts) and not isinstance(first, tuple):
        return first
    names: list[str] = []
    for activation, units in parts:
        if not isinstance(activation, str | tuple):
            raise ValueError("expected activations with names in a product of different ones")
        names += [activation] * units if isinstance(activation, str) else activation
    return tuple(names)
