"""Operators that move entries: gather, concatenate, stack, index, reshape, transpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf.nets._checks import Array
from pympf.nets.graph.node import Node, Value, record, values

__all__ = [
    "concatenate",
    "embed",
    "gather",
    "index",
    "permute",
    "pick",
    "reshape",
    "stack",
    "transpose",
]


def concatenate(parts: Sequence[Value], axis: int = -1) -> Node:
    """Put arrays one after the other.

    Not collective.

    Parameters
    ----------
    parts : sequence of Node or array_like
        Equal in all axes but one.
    axis : int
        That one.

    Returns
    -------
    Node
        All entries.

    Examples
    --------
    >>> from pympf.nets.graph import concatenate, variable
    >>> concatenate([variable([[1.0]]), [[2.0]]]).value
    array([[1., 2.]])
    """
    arrays = values(*parts)
    result = np.concatenate(arrays, axis)
    cuts = [0]
    for array in arrays:
        cuts.append(cuts[-1] + array.shape[axis])
    before: tuple[Any, ...] = (slice(None),) * (axis % result.ndim)

    def back(g: Array, wanted: Sequence[bool]) -> list[Any]:
        return [g[(*before, slice(cuts[i], cuts[i + 1]))] for i in range(len(arrays))]

    return record("concatenate", result, parts, back)


def stack(parts: Sequence[Value], axis: int = 1) -> Node:
    """Put arrays next to each other along a new axis.

    Not collective.

    Parameters
    ----------
    parts : sequence of Node or array_like
        Of one shape.
    axis : int
        Place of the new axis; by default it follows the points.

    Returns
    -------
    Node
        All entries.

    Examples
    --------
    >>> from pympf.nets.graph import stack, variable
    >>> stack([variable([1.0]), [2.0]]).value
    array([[1., 2.]])
    """
    arrays = values(*parts)
    result = np.stack(arrays, axis)
    before: tuple[Any, ...] = (slice(None),) * (axis % result.ndim)

    def back(g: Array, wanted: Sequence[bool]) -> list[Any]:
        return [g[(*before, i)] for i in range(len(arrays))]

    return record("stack", result, parts, back)


def index(a: Value, key: Any) -> Node:
    """Take entries as NumPy's indexing does: a[key].

    Not collective.

    Parameters
    ----------
    a : Node or array_like
        Any shape.
    key : int, slice, array of int or bool, or a tuple of these
        An entry that is taken twice gets the adjoints of both.

    Returns
    -------
    Node
        The entries.

    Examples
    --------
    >>> from pympf.nets.graph import index, variable
    >>> index(variable([[1.0, 2.0]]), (slice(None), 1)).value
    array([2.])
    """
    (v,) = values(a)
    parts = key if isinstance(key, tuple) else (key,)
    # Slices and integers take no entry twice; what arrays take is added one by one.
    plain = all(part is None or part is ... or isinstance(part, slice | int) for part in parts)

    def into(total: Array, g: Array) -> None:
        if plain:
            total[key] += g
        else:
            np.add.at(total, key, g)

    return _scattered("index", v[key], a, v.shape, into)


def _scattered(kind: str, result: Array, a: Value, shape: tuple[int, ...], into: Any) -> Node:
    """Record an operator whose adjoint fills only some entries; sweeps add it in place."""

    def back(g: Array, wanted: Sequence[bool]) -> list[Any]:
        total = np.zeros(shape, g.dtype)
        into(total, g)
        return [total]

    node = record(kind, result, [a], back)
    node._into = into
    return node


def embed(table: Value, rows: ArrayLike) -> Node:
    """Look rows up in a table: embeddings of words.

    Not collective.

    Parameters
    ----------
    table : Node or array_like, shape (n, ...)
        Rows.
    rows : array_like of int
        Which rows, any shape.

    Returns
    -------
    Node
        The shape of `rows`, then that of a row.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.graph import embed, variable
    >>> embed(variable(np.eye(3)), [[0, 2]]).value
    array([[[1., 0., 0.],
            [0., 0., 1.]]])
    """
    (v,) = values(table)
    chosen = np.asarray(rows)

    def into(total: Array, g: Array) -> None:
        flat = chosen.reshape(-1)
        order = np.argsort(flat, kind="stable")
        found, start = np.unique(flat[order], return_index=True)
        if len(found):
            total[found] += np.add.reduceat(g.reshape(len(flat), *v.shape[1:])[order], start)

    return _scattered("embed", v[chosen], table, v.shape, into)


def gather(a: Value, indices: ArrayLike) -> Node:
    """Take entries along the last axis, others for each row.

    Not collective.

    Parameters
    ----------
    a : Node or array_like, shape (..., n)
        Rows.
    indices : array_like of int, shape (..., k)
        Which entries, with as many axes as `a`; leading axes are broadcast.

    Returns
    -------
    Node
        Shape (..., k).

    Examples
    --------
    >>> from pympf.nets.graph import gather, variable
    >>> gather(variable([[1.0, 2.0, 3.0]]), [[2, 0]]).value
    array([[3., 1.]])
    """
    (v,) = values(a)
    chosen = np.asarray(indices)
    chosen = np.broadcast_to(chosen, (*v.shape[:-1], chosen.shape[-1]))

    def into(total: Array, g: Array) -> None:
        places = np.arange(total.size // total.shape[-1]).reshape(*total.shape[:-1], 1)
        np.add.at(total.reshape(-1), places * total.shape[-1] + chosen, g)

    return _scattered("gather", np.take_along_axis(v, chosen, -1), a, v.shape, into)


def permute(a: Value, order: ArrayLike) -> Node:
    """Put the entries of each row in an order of its own.

    Not collective.

    Parameters
    ----------
    a : Node or array_like, shape (..., n)
        Rows.
    order : array_like of int, shape (..., n)
        A permutation for each row, as of `numpy.argsort`; leading axes are broadcast.

    Returns
    -------
    Node
        Shape (..., n).

    Examples
    --------
    >>> from pympf.nets.graph import permute, variable
    >>> permute(variable([[1.0, 2.0, 3.0]]), [[2, 0, 1]]).value
    array([[3., 1., 2.]])
    """
    (v,) = values(a)
    order = np.asarray(order)
    forth = np.broadcast_to(order, v.shape)

    def back(g: Array, wanted: Sequence[bool]) -> list[Any]:
        inverse = np.broadcast_to(np.argsort(order, axis=-1), v.shape)
        return [np.take_along_axis(g, inverse, -1)]

    return record("permute", np.take_along_axis(v, forth, -1), [a], back)


def pick(a: Value, indices: ArrayLike) -> Node:
    """Take one entry of each row: a[..., indices[...]].

    Not collective.

    Parameters
    ----------
    a : Node or array_like, shape (..., n)
        Rows.
    indices : array_like of int, shape (...)
        The entry of each row; broadcast.

    Returns
    -------
    Node
        Shape (...).

    Examples
    --------
    >>> from pympf.nets.graph import pick, variable
    >>> pick(variable([[1.0, 2.0], [3.0, 4.0]]), [0, 1]).value
    array([1., 4.])
    """
    (v,) = values(a)
    chosen = np.broadcast_to(np.asarray(indices), v.shape[:-1])[..., np.newaxis]

    def into(total: Array, g: Array) -> None:
        old = np.take_along_axis(total, chosen, -1)
        np.put_along_axis(total, chosen, old + g[..., np.newaxis], -1)

    return _scattered("pick", np.take_along_axis(v, chosen, -1)[..., 0], a, v.shape, into)


def reshape(a: Value, shape: Sequence[int]) -> Node:
    """Arrange entries in another shape.

    Not collective.

    Parameters
    ----------
    a : Node or array_like
        Any shape.
    shape : sequence of int
        Of as many entries; one may be -1.

    Returns
    -------
    Node
        Of that shape.

    Examples
    --------
    >>> from pympf.nets.graph import reshape, variable
    >>> reshape(variable([1.0, 2.0]), (1, 2)).value
    array([[1., 2.]])
    """
    (v,) = values(a)
    return record("reshape", v.reshape(shape), [a], lambda g, _: [g.reshape(v.shape)])


def transpose(a: Value, axes: Sequence[int]) -> Node:
    """Put axes in another order.

    Not collective.

    Parameters
    ----------
    a : Node or array_like
        Any shape.
    axes : sequence of int
        A permutation of its axes.

    Returns
    -------
    Node
        With the axes in that order.

    Examples
    --------
    >>> from pympf.nets.graph import transpose, variable
    >>> transpose(variable([[1.0, 2.0]]), (1, 0)).shape
    (2, 1)
    """
    (v,) = values(a)
    inverse = np.argsort(axes)
    return record("transpose", v.transpose(axes), [a], lambda g, _: [g.transpose(inverse)])
