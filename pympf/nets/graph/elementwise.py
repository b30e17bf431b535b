"""Operators that work on each entry, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf.nets._checks import Array
from pympf.nets.graph.node import Node, Value, record, reduced, values

__all__ = [
    "absolute",
    "add",
    "divide",
    "exp",
    "log",
    "maximum",
    "minimum",
    "multiply",
    "relu",
    "sigmoid",
    "sqrt",
    "square",
    "subtract",
    "tanh",
    "where",
]


def logistic(v: Array) -> Array:
    """1/(1 + exp(-v)) without overflow."""
    y = np.tanh(0.5 * v)
    y += 1
    y *= 0.5
    return y


def _binary(
    kind: str, result: Array, a: Value, b: Value, left: Callable[[Array], Array], right: Any
) -> Node:
    """Record an operator of two arguments, given the adjoints before broadcasting is undone."""
    shapes = (
        np.shape(a.value if isinstance(a, Node) else a),
        np.shape(b.value if isinstance(b, Node) else b),
    )

    def back(g: Array, wanted: Any) -> list[Any]:
        return [
            reduced(left(g), shapes[0]) if wanted[0] else None,
            reduced(right(g), shapes[1]) if wanted[1] else None,
        ]

    return record(kind, result, [a, b], back)


def add(a: Value, b: Value) -> Node:
    """Add: a + b.

    Not collective.

    Parameters
    ----------
    a, b : Node or array_like
        Broadcast against each other.

    Returns
    -------
    Node
        Their sum.

    Examples
    --------
    >>> from pympf.nets.graph import add, variable
    >>> add(variable([1.0, 2.0]), 1).value
    array([2., 3.])
    """
    va, vb = values(a, b)
    return _binary("add", va + vb, a, b, lambda g: g, lambda g: g)


def subtract(a: Value, b: Value) -> Node:
    """Subtract: a - b.

    Not collective.

    Parameters
    ----------
    a, b : Node or array_like
        Broadcast against each other.

    Returns
    -------
    Node
        Their difference.

    Examples
    --------
    >>> from pympf.nets.graph import subtract, variable
    >>> subtract(1, variable([1.0, 2.0])).value
    array([ 0., -1.])
    """
    va, vb = values(a, b)
    return _binary("subtract", va - vb, a, b, lambda g: g, lambda g: -g)


def multiply(a: Value, b: Value) -> Node:
    """Multiply entry by entry: a ∘ b.

    Not collective.

    Parameters
    ----------
    a, b : Node or array_like
        Broadcast against each other.

    Returns
    -------
    Node
        Their product.

    Examples
    --------
    >>> from pympf.nets.graph import multiply, variable
    >>> multiply(variable([1.0, 2.0]), 3).value
    array([3., 6.])
    """
    va, vb = values(a, b)
    return _binary("multiply", va * vb, a, b, lambda g: g * vb, lambda g: g * va)


def divide(a: Value, b: Value) -> Node:
    """Divide entry by entry: a/b.

    Not collective.

    Parameters
    ----------
    a, b : Node or array_like
        Broadcast against each other.

    Returns
    -------
    Node
        Their quotient.

    Examples
    --------
    >>> from pympf.nets.graph import divide, variable
    >>> divide(variable([1.0, 2.0]), 2).value
    array([0.5, 1. ])
    """
    va, vb = values(a, b)
    y = va / vb
    return _binary("divide", y, a, b, lambda g: g / vb, lambda g: -g * y / vb)


def maximum(a: Value, b: Value) -> Node:
    """Take the larger of two entries; of equal ones the first.

    Not collective.

    Parameters
    ----------
    a, b : Node or array_like
        Broadcast against each other.

    Returns
    -------
    Node
        max(a, b), with kinks where they are equal.

    Examples
    --------
    >>> from pympf.nets.graph import maximum, variable
    >>> maximum(variable([1.0, 2.0]), 1.5).value
    array([1.5, 2. ])
    """
    va, vb = values(a, b)
    first = va >= vb
    node = _binary("maximum", np.maximum(va, vb), a, b, lambda g: g * first, lambda g: g * ~first)
    node.crossing = lambda: va - vb
    return node


def minimum(a: Value, b: Value) -> Node:
    """Take the smaller of two entries; of equal ones the first.

    Not collective.

    Parameters
    ----------
    a, b : Node or array_like
        Broadcast against each other.

    Returns
    -------
    Node
        min(a, b), with kinks where they are equal.

    Examples
    --------
    >>> from pympf.nets.graph import minimum, variable
    >>> minimum(variable([1.0, 2.0]), 1.5).value
    array([1. , 1.5])
    """
    va, vb = values(a, b)
    first = va <= vb
    node = _binary("minimum", np.minimum(va, vb), a, b, lambda g: g * first, lambda g: g * ~first)
    node.crossing = lambda: va - vb
    return node


def where(mask: ArrayLike, a: Value, b: Value) -> Node:
    """Select entries by a constant mask: a where it is true, b elsewhere.

    Not collective.

    Parameters
    ----------
    mask : array_like of bool
        No adjoint goes to it.
    a, b : Node or array_like
        Broadcast against each other and the mask.

    Returns
    -------
    Node
        The selected entries.

    Examples
    --------
    >>> from pympf.nets.graph import variable, where
    >>> where([True, False], variable([1.0, 2.0]), 0).value
    array([1., 0.])
    """
    chosen = np.asarray(mask, dtype=bool)
    va, vb = values(a, b)
    zero = va.dtype.type(0)
    return _binary(
        "where",
        np.where(chosen, va, vb),
        a,
        b,
        lambda g: np.where(chosen, g, zero),
        lambda g: np.where(chosen, zero, g),
    )


def relu(a: Value) -> Node:
    """Rectify: max(a, 0), with derivative 0 at 0.

    Not collective.

    Parameters
    ----------
    a : Node or array_like
        Any shape.

    Returns
    -------
    Node
        Of the same shape.

    Examples
    --------
    >>> from pympf.nets.graph import relu, variable
    >>> relu(variable([-1.0, 2.0])).value
    array([0., 2.])
    """
    (v,) = values(a)
    return record("relu", np.maximum(v, 0), [a], lambda g, _: [g * (v > 0)], crossing=lambda: v)


def absolute(a: Value) -> Node:
    """Take absolute values, with derivative 0 at 0.

    Not collective.

    Parameters
    ----------
    a : Node or array_like
        Any shape.

    Returns
    -------
    Node
        Of the same shape.

    Examples
    --------
    >>> from pympf.nets.graph import absolute, variable
    >>> absolute(variable([-1.0, 2.0])).value
    array([1., 2.])
    """
    (v,) = values(a)
    return record("absolute", np.abs(v), [a], lambda g, _: [g * np.sign(v)], crossing=lambda: v)


def tanh(a: Value) -> Node:
    """Hyperbolic tangent.

    Not collective.

    Parameters
    ----------
    a : Node or array_like
        Any shape.

    Returns
    -------
    Node
        Of the same shape.

    Examples
    --------
    >>> from pympf.nets.graph import tanh, variable
    >>> tanh(variable([0.0])).value
    array([0.])
    """
    y = np.tanh(*values(a))
    return record("tanh", y, [a], lambda g, _: [g * (1 - y * y)])


def sigmoid(a: Value) -> Node:
    """Logistic function 1/(1 + exp(-a)).

    Not collective.

    Parameters
    ----------
    a : Node or array_like
        Any shape.

    Returns
    -------
    Node
        Of the same shape.

    Examples
    --------
    >>> from pympf.nets.graph import sigmoid, variable
    >>> sigmoid(variable([0.0])).value
    array([0.5])
    """
    y = logistic(*values(a))
    return record("sigmoid", y, [a], lambda g, _: [g * y * (1 - y)])


def exp(a: Value) -> Node:
    """Exponential function.

    Not collective.

    Parameters
    ----------
    a : Node or array_like
        Any shape.

    Returns
    -------
    Node
        Of the same shape.

    Examples
    --------
    >>> from pympf.nets.graph import exp, variable
    >>> exp(variable([0.0])).value
    array([1.])
    """
    y = np.exp(*values(a))
    return record("exp", y, [a], lambda g, _: [g * y])


def log(a: Value, eps: float = 0.0) -> Node:
    """Natural logarithm, log(a + eps).

    Not collective.

    Parameters
    ----------
    a : Node or array_like
        Any shape.
    eps : float
        Keeps the logarithm finite at 0.

    Returns
    -------
    Node
        Of the same shape.

    Examples
    --------
    >>> from pympf.nets.graph import log, variable
    >>> log(variable([1.0])).value
    array([0.])
    """
    (v,) = values(a)
    if eps:
        v = v + v.dtype.type(eps)
    return record("log", np.log(v), [a], lambda g, _: [g / v])


def square(a: Value) -> Node:
    """Square each entry.

    Not collective.

    Parameters
    ----------
    a : Node or array_like
        Any shape.

    Returns
    -------
    Node
        Of the same shape.

    Examples
    --------
    >>> from pympf.nets.graph import square, variable
    >>> square(variable([3.0])).value
    array([9.])
    """
    (v,) = values(a)
    return record("square", v * v, [a], lambda g, _: [2 * g * v])


def sqrt(a: Value) -> Node:
    """Square root of each entry.

    Not collective.

    Parameters
    ----------
    a : Node or array_like
        Any shape, above 0 where there is to be an adjoint.

    Returns
    -------
    Node
        Of the same shape.

    Examples
    --------
    >>> from pympf.nets.graph import sqrt, variable
    >>> sqrt(variable([9.0])).value
    array([3.])
    """
    y = np.sqrt(*values(a))
    return record("sqrt", y, [a], lambda g, _: [0.5 * g / y])
