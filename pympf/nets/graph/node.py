"""Values that remember how they were computed.

A `Node` holds a value, the nodes it came from, and how an adjoint of the value becomes adjoints of
those nodes. Operators make nodes from nodes and arrays; the leading axis counts points of a path
or of a batch. An array stays a constant: nothing is remembered of what depends on constants alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Union

import numpy as np
from numpy.typing import ArrayLike

from pympf.nets._checks import Array

__all__ = ["Node", "Value", "record", "value", "variable"]

Value = Union["Node", ArrayLike]
"""What operators take: nodes, and constants."""

Back = Callable[[Array, Sequence[bool]], Sequence[Any]]

_numbers = count()


class Node:
    """A value of a dataflow graph.

    Operators make nodes; `variable` makes the leaves. Arithmetic (``+ - * / @``) and indexing work
    as on arrays.

    Attributes
    ----------
    value : ndarray
        float32 or float64; the leading axis counts points.
    kind : str
        The operator.
    name : str or None
        What `named` gave it.
    number : int
        Nodes are numbered as they are made, so that a node comes after its parents.
    parents : tuple of Node or None
        The arguments of the operator, None for constants.
    regime : ndarray of int, shape (n, ...), or None
        Which of its pieces a function that jumps is on, for each point (routing, buckets).
    crossing : callable or None
        Gives an array of shape (n, ...); there is a kink where an entry of it changes its sign.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.graph import grad, variable
    >>> x = variable(np.array([[1.0, 2.0]]), "x")
    >>> y = (x * x)[:, 0].named("square")
    >>> grad(y, [x])[0]
    array([[2., 0.]])
    """

    __slots__ = (
        "_back",
        "_into",
        "_tracked",
        "crossing",
        "kind",
        "name",
        "number",
        "parents",
        "regime",
        "value",
    )
    __array_priority__ = 1000  # so that array + node is node + array
    __array_ufunc__ = None

    def __init__(self, value: Array, kind: str) -> None:
        self.value, self.kind = value, kind
        self.name: str | None = None
        self.parents: tuple[Node | None, ...] = ()
        self.regime: Array | None = None
        self.crossing: Callable[[], Array] | None = None
        self._back: Back | None = None
        self._into: Callable[[Array, Array], None] | None = None
        self._tracked = False
        self.number = next(_numbers)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return self.value.shape

    @property
    def dtype(self) -> Any:
        """Precision of the value."""
        return self.value.dtype

    @property
    def ndim(self) -> int:
        """Number of axes of the value."""
        return self.value.ndim

    def named(self, name: str) -> Node:
        """Give the node a name, by which paths can be asked for; a named constant is a leaf.

        Not collective.

        Parameters
        ----------
        name : str
            Unique in the graph.

        Returns
        -------
        Node
            This one.

        Examples
        --------
        >>> from pympf.nets.graph import variable
        >>> (variable([[1.0]]) + 1).named("next").name
        'next'
        """
        self.name, self._tracked = str(name), True
        return self

    def __repr__(self) -> str:
        name = "" if self.name is None else f" {self.name!r}"
        return f"<Node{name}: {self.kind}, {self.value.dtype} {self.value.shape}>"

    def __len__(self) -> int:
        return len(self.value)

    def __add__(self, other: Value) -> Node:
        return _operators().add(self, other)

    __radd__ = __add__

    def __sub__(self, other: Value) -> Node:
        return _operators().subtract(self, other)

    def __rsub__(self, other: Value) -> Node:
        return _operators().subtract(other, self)

    def __mul__(self, other: Value) -> Node:
        return _operators().multiply(self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Value) -> Node:
        return _operators().divide(self, other)

    def __rtruediv__(self, other: Value) -> Node:
        return _operators().divide(other, self)

    def __neg__(self) -> Node:
        return _operators().multiply(self, -1.0)

    def __matmul__(self, other: Value) -> Node:
        return _operators().matmul(self, other)

    def __rmatmul__(self, other: Value) -> Node:
        return _operators().matmul(other, self)

    def __getitem__(self, key: Any) -> Node:
        return _operators().index(self, key)


def _operators() -> Any:
    from pympf.nets import graph  # which imports this module

    return graph


def variable(value: ArrayLike, name: str | None = None) -> Node:
    """Make a leaf of a graph: an input, or a parameter to be trained.

    Not collective.

    Parameters
    ----------
    value : array_like
        float32 stays float32, all else becomes float64; arrays are not copied.
    name : str, optional
        Its name.

    Returns
    -------
    Node
        A leaf.

    Raises
    ------
    TypeError
        If these are no real numbers.

    Examples
    --------
    >>> from pympf.nets.graph import variable
    >>> variable([1, 2], "x")
    <Node 'x': variable, float64 (2,)>
    """
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"expected real numbers in {name or 'a variable'}, got {array.dtype}")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    node = Node(array, "variable")
    node.name, node._tracked = name, True
    return node


def value(x: Value) -> Array:
    """Give the number behind a node, or a constant as an array.

    Not collective.

    Parameters
    ----------
    x : Node or array_like
        Any.

    Returns
    -------
    ndarray
        Not copied.

    Examples
    --------
    >>> from pympf.nets.graph import value, variable
    >>> value(variable([1.0]) + 1)
    array([2.])
    """
    return x.value if isinstance(x, Node) else np.asarray(x)


def values(*arguments: Value) -> list[Array]:
    """Give the numbers behind arguments; constants take the precision of the nodes among them."""
    for argument in arguments:
        if isinstance(argument, Node):
            dtype = argument.value.dtype
            return [
                a.value if isinstance(a, Node) else np.asarray(a, dtype=dtype) for a in arguments
            ]
    arrays = [np.asarray(argument) for argument in arguments]
    return [a if a.dtype.kind == "f" else a.astype(np.float64) for a in arrays]


def record(
    kind: str,
    result: Array,
    arguments: Sequence[Value],
    back: Back,
    *,
    regime: Array | None = None,
    crossing: Callable[[], Array] | None = None,
) -> Node:
    """Make the node of an operator: any function with a hand-written reverse sweep.

    Not collective.

    Parameters
    ----------
    kind : str
        Name of the operator.
    result : ndarray
        Its value.
    arguments : sequence of Node or array_like
        What it was computed from.
    back : callable
        Maps the adjoint of the value, and a list of bool that says which are wanted, to the
        adjoints of all arguments; what is not wanted may be None.
    regime : ndarray of int, optional
        As of `Node`.
    crossing : callable, optional
        As of `Node`.

    Returns
    -------
    Node
        A constant if all arguments are.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.graph import grad, record, variable
    >>> x = variable([2.0])
    >>> cube = record("cube", x.value**3, [x], lambda g, wanted: [3 * g * x.value**2])
    >>> grad(cube, [x])[0]
    array([12.])
    """
    node = Node(result, kind)
    node.regime = regime
    parents = tuple([a if isinstance(a, Node) and a._tracked else None for a in arguments])
    for parent in parents:
        if parent is not None:
            node.parents, node._back, node._tracked = parents, back, True
            node.crossing = crossing
            break
    return node


def reduced(g: Array, shape: tuple[int, ...]) -> Array:
    """Sum an adjoint over the axes along which its argument was broadcast."""
    if g.shape == shape:
        return g
    if g.ndim > len(shape):
        g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    axes = tuple([i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1])
    return g.sum(axis=axes, keepdims=True) if axes else g
