"""Reductions along axes, softmax and layer normalization. Sums are accumulated in float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pympf.nets._checks import Array
from pympf.nets.graph.node import Node, Value, record, reduced, values

__all__ = [
    "largest",
    "layer_norm",
    "log_softmax",
    "mean",
    "smallest",
    "softmax",
    "sum",
]

Axis = int | tuple[int, ...] | None


def sum(a: Value, axis: Axis = None, keepdims: bool = False) -> Node:
    """Add entries along axes.

    Not collective.

    Parameters
    ----------
    a : Node or array_like
        Any shape.
    axis : int or tuple of int, optional
        The axes; all by default.
    keepdims : bool
        Whether they stay, with length 1.

    Returns
    -------
    Node
        The sums.

    Examples
    --------
    >>> from pympf.nets import graph
    >>> graph.sum(graph.variable([[1.0, 2.0]]), 1).value
    array([3.])
    """
    (v,) = values(a)
    return _total("sum", a, v, axis, keepdims, 1)


def mean(a: Value, axis: Axis = None, keepdims: bool = False) -> Node:
    """Average entries along axes.

    Not collective.

    Parameters
    ----------
    a : Node or array_like
        Any shape.
    axis : int or tuple of int, optional
        The axes; all by default.
    keepdims : bool
        Whether they stay, with length 1.

    Returns
    -------
    Node
        The means.

    Examples
    --------
    >>> from pympf.nets import graph
    >>> graph.mean(graph.variable([[1.0, 2.0]]), 1).value
    array([1.5])
    """
    (v,) = values(a)
    axes = range(v.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    count = 1
    for one in axes:
        count *= v.shape[one]
    return _total("mean", a, v, axis, keepdims, count)


def _total(kind: str, a: Value, v: Array, axis: Axis, keepdims: bool, count: int) -> Node:
    result = np.asarray(v.sum(axis, dtype=np.float64, keepdims=keepdims) / count, dtype=v.dtype)

    def back(g: Array, wanted: Sequence[bool]) -> list[Any]:
        if count != 1:
            g = g / v.dtype.type(count)
        if axis is not None and not keepdims:
            g = np.expand_dims(g, axis)
        return [np.broadcast_to(g, v.shape)]

    return record(kind, result, [a], back)


def largest(a: Value, axis: int = -1) -> Node:
    """Take the largest entry along an axis; the first of equal ones gets the adjoint.

    Not collective.

    Parameters
    ----------
    a : Node or array_like
        Any shape.
    axis : int
        The axis, which goes.

    Returns
    -------
    Node
        The largest entries.

    Examples
    --------
    >>> from pympf.nets.graph import largest, variable
    >>> largest(variable([[1.0, 2.0]])).value
    array([2.])
    """
    (v,) = values(a)
    return _extreme("largest", a, v, v.argmax(axis), axis)


def smallest(a: Value, axis: int = -1) -> Node:
    """Take the smallest entry along an axis; the first of equal ones gets the adjoint.

    Not collective.

    Parameters
    ----------
    a : Node or array_like
        Any shape.
    axis : int
        The axis, which goes.

    Returns
    -------
    Node
        The smallest entries.

    Examples
    --------
    >>> from pympf.nets.graph import smallest, variable
    >>> smallest(variable([[1.0, 2.0]])).value
    array([1.])
    """
    (v,) = values(a)
    return _extreme("smallest", a, v, v.argmin(axis), axis)


def _extreme(kind: str, a: Value, v: Array, which: Array, axis: int) -> Node:
    places = np.expand_dims(which, axis)
    result = np.take_along_axis(v, places, axis)

    def back(g: Array, wanted: Sequence[bool]) -> list[Any]:
        total = np.zeros(v.shape, g.dtype)
        np.put_along_axis(total, places, np.expand_dims(g, axis), axis)
        return [total]

    def crossing() -> Array:
        """How far each entry is beyond all others; another one becomes the extreme at 0."""
        above = v if kind == "largest" else -v
        two = np.sort(above, axis=axis).take([-2, -1], axis) if v.shape[axis] > 1 else above
        second, first = np.split(two, [two.shape[axis] - 1], axis)
        return above - np.where(above == first, second, first) if second.size else above

    return record(kind, np.squeeze(result, axis), [a], back, crossing=crossing)


def softmax(a: Value, axis: int = -1) -> Node:
    """Exponentiate and normalize along an axis.

    Not collective.

    Parameters
    ----------
    a : Node or array_like
        Scores; mask some by adding -1e4, which keeps all numbers finite.
    axis : int
        The axis.

    Returns
    -------
    Node
        Probabilities.

    Examples
    --------
    >>> from pympf.nets.graph import softmax, variable
    >>> softmax(variable([[0.0, 0.0]])).value
    array([[0.5, 0.5]])
    """
    (v,) = values(a)
    y = np.exp(v - v.max(axis, keepdims=True))
    y /= y.sum(axis, keepdims=True)

    def back(g: Array, wanted: Sequence[bool]) -> list[Any]:
        gy = g * y
        gy -= y * gy.sum(axis, keepdims=True)
        return [gy]

    return record("softmax", y, [a], back)


def log_softmax(a: Value, axis: int = -1) -> Node:
    """Logarithm of `softmax`, without overflow.

    Not collective.

    Parameters
    ----------
    a : Node or array_like
        Scores.
    axis : int
        The axis.

    Returns
    -------
    Node
        Logarithms of probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.graph import log_softmax, variable
    >>> np.exp(log_softmax(variable([[0.0, 0.0]])).value)
    array([[0.5, 0.5]])
    """
    (v,) = values(a)
    y = v - v.max(axis, keepdims=True)
    p = np.exp(y)
    total = p.sum(axis, keepdims=True)
    y -= np.log(total)
    p /= total
    return record("log_softmax", y, [a], lambda g, _: [g - p * g.sum(axis, keepdims=True)])


def layer_norm(
    a: Value, gain: Value | None = None, offset: Value | None = None, eps: float = 1e-5
) -> Node:
    """Normalize rows to mean 0 and variance 1, then scale and shift them.

    Not collective.

    Parameters
    ----------
    a : Node or array_like, shape (..., n)
        Rows.
    gain, offset : Node or array_like, shape (n,), optional
        y = gain ∘ (a - mean)/√(variance + eps) + offset.
    eps : float
        Keeps the division finite.

    Returns
    -------
    Node
        Shape (..., n).

    Examples
    --------
    >>> from pympf.nets.graph import layer_norm, variable
    >>> layer_norm(variable([[-1.0, 1.0]]), eps=0.0).value
    array([[-1.,  1.]])
    """
    (v,) = values(a)
    centered = v - v.mean(-1, keepdims=True)
    scale = 1 / np.sqrt((centered * centered).mean(-1, keepdims=True) + v.dtype.type(eps))
    y = centered * scale
    one, zero = v.dtype.type(1), v.dtype.type(0)
    _, weight, shift = values(a, one if gain is None else gain, zero if offset is None else offset)

    def back(g: Array, wanted: Sequence[bool]) -> list[Any]:
        normal = g * weight
        inner = normal - normal.mean(-1, keepdims=True) - y * (normal * y).mean(-1, keepdims=True)
        return [
            scale * inner,
            reduced(g * y, weight.shape) if wanted[1] else None,
            reduced(g, shift.shape) if wanted[2] else None,
        ]

    arguments = [a, one if gain is None else gain, zero if offset is None else offset]
    return record("layer_norm", y * weight + shift, arguments, back)
