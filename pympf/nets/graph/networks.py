"""Networks of `pympf.nets` as nodes of a graph.

Sparse networks jump where another set of units becomes active: top-K routing changes sides, or the
input falls into another hash bucket. Their nodes say in which regime each point is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from pympf.nets._checks import Array
from pympf.nets.depth import activations as sigma
from pympf.nets.depth.bounded import BoundedNetwork
from pympf.nets.graph.node import Node, Value, record, value, values
from pympf.nets.graph.products import matmul
from pympf.nets.graph.shaping import reshape
from pympf.nets.layer import ACTIVATIONS, Layer
from pympf.nets.lsh import LSH
from pympf.nets.modular.mlp import MLP
from pympf.nets.sparse_model import DSM
from pympf.nets.targets import _factors

__all__ = ["network"]

CROSSINGS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda z: z,
    "abs": lambda z: z,
    "triangle": lambda z: np.cos(np.pi / 2 * z),
}
"""What changes its sign at the kinks of an activation."""


def network(model: DSM | LSH | BoundedNetwork | MLP) -> Callable[[Value], Node]:
    """Make a network of `pympf.nets` a function of nodes.

    Not collective.

    Parameters
    ----------
    model : DSM, LSH, BoundedNetwork or MLP
        `dense` and the other architectures are DSM; of an MLP a single network.

    Returns
    -------
    callable
        Maps points, shape (n, d), to outputs: shape (n,), or (n, k) for k > 1 outputs.

    Raises
    ------
    TypeError
        For anything else.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import dense
    >>> from pympf.nets.graph import network, variable
    >>> model = dense(2, 8, seed=1)
    >>> X = np.ones((3, 2))
    >>> bool((network(model)(variable(X)).value == model.predict(X)).all())
    True
    """
    if isinstance(model, DSM):
        return partial(_dsm, model)
    if isinstance(model, LSH):
        return partial(_lsh, model)
    if isinstance(model, MLP):
        model = BoundedNetwork.of(model)
    if isinstance(model, BoundedNetwork):
        return partial(_bounded, model)
    raise TypeError(
        f"expected a DSM (dense, dsm, …), LSH, BoundedNetwork or MLP, got {type(model).__name__}"
    )


def _activated(z: Node, name: Any) -> Node:
    """Apply an activation of the tables, to all units or to each its own."""
    v = z.value
    if name in ACTIVATIONS:
        y, slope = (f(v) for f in ACTIVATIONS[name])
    else:
        y, slope = sigma.evaluate(name, v), sigma.slope(name, v)
    kinks = CROSSINGS.get(name) if isinstance(name, str) else CROSSINGS["relu"]
    crossing = None if kinks is None else lambda: kinks(v)
    label = name if isinstance(name, str) else "activation"
    return record(label, y, [z], lambda g, _: [g * slope], crossing=crossing)


def _dsm(model: DSM, x: Value) -> Node:
    for layer in model.layers:
        x = _layer(layer, x)
    weights = model.weights[:, np.newaxis]
    return reshape(matmul(x, weights), (-1,)) + model.intercept


def _layer(layer: Layer, x: Value) -> Node:
    z = matmul(x, layer.projection.T) + layer.offset
    y = _activated(z, layer.activation)
    if layer.routing is None:
        return y
    units = layer.routing(value(x), z.value)
    mask = np.zeros_like(z.value)
    np.put_along_axis(mask, units, 1, axis=1)
    return record("route", y.value * mask, [y], lambda g, _: [g * mask], regime=units)


def _bounded(model: BoundedNetwork, x: Value) -> Node:
    y = x
    for W, b, activation in zip(model.weights, model.biases, model.activations, strict=True):
        y = _activated(matmul(y, W.T) + b, activation)
    assert isinstance(y, Node)
    return reshape(y, (-1,)) if y.shape[1] == 1 else y


def _lsh(model: LSH, x: Value) -> Node:
    """Sum over tables the polynomial of the bucket of x; its derivative within the bucket."""
    (v,) = values(x)
    buckets = model.buckets(v)
    factors = _factors(v.shape[1], model.degree)
    table = np.vstack([model.weights.reshape(-1, len(factors)), np.zeros((1, len(factors)))])
    coefficients = table[buckets].sum(axis=1)  # bucket -1, none, is the row of zeros
    extended = np.hstack([np.ones((len(v), 1)), v.astype(np.float64)])
    terms = np.prod(extended[:, factors], axis=2)
    y = ((coefficients * terms).sum(axis=1) + model.intercept).astype(v.dtype)

    def back(g: Array, wanted: Sequence[bool]) -> list[Any]:
        total = np.zeros_like(extended)
        for k in range(factors.shape[1]):
            others = np.prod(extended[:, np.delete(factors, k, axis=1)], axis=2)
            which = np.eye(extended.shape[1])[factors[:, k]]
            total += (coefficients * others) @ which
        return [(g[:, np.newaxis] * total[:, 1:]).astype(v.dtype)]

    return record("buckets", y, [x], back, regime=buckets)
