"""Soft selections of rows: first, last, largest and smallest of what is selected in part.

s_i of [0, 1] is how much row i is selected. The first selected row is row i to the degree
y_i = s_i Π_{j<i} (1 - s_j); the last one, and the ones with the largest and the smallest value, are
the first ones in another order (thesis, section 3.2.1; Neelakantan et al., 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf.nets._checks import Array
from pympf.nets.graph.node import Node, Value, record, values
from pympf.nets.graph.shaping import index, permute

__all__ = ["soft_first", "soft_largest", "soft_last", "soft_smallest"]

BACKWARDS = (..., slice(None, None, -1))


def soft_first(s: Value) -> Node:
    """Select the first of the selected rows: y_i = s_i Π_{j<i} (1 - s_j).

    Not collective.

    Parameters
    ----------
    s : Node or array_like, shape (..., n)
        How much each row is selected, of [0, 1].

    Returns
    -------
    Node
        Shape (..., n).

    Examples
    --------
    >>> from pympf.nets.graph import soft_first, variable
    >>> soft_first(variable([[0.0, 0.5, 1.0, 1.0]])).value
    array([[0. , 0.5, 0.5, 0. ]])
    """
    (v,) = values(s)
    rest = 1 - v
    before = np.ones_like(v)
    np.cumprod(rest[..., :-1], -1, out=before[..., 1:])

    def back(g: Array, wanted: Sequence[bool]) -> list[Any]:
        result = np.empty_like(v)
        later = np.zeros(v.shape[:-1], v.dtype)  # Σ_{i>k} g_i s_i Π_{k<j<i} (1 - s_j)
        for k in range(v.shape[-1] - 1, -1, -1):
            result[..., k] = (g[..., k] - later) * before[..., k]
            later = g[..., k] * v[..., k] + later * rest[..., k]
        return [result]

    return record("soft_first", v * before, [s], back)


def soft_last(s: Value) -> Node:
    """Select the last of the selected rows.

    Not collective.

    Parameters
    ----------
    s : Node or array_like, shape (..., n)
        How much each row is selected, of [0, 1].

    Returns
    -------
    Node
        Shape (..., n).

    Examples
    --------
    >>> from pympf.nets.graph import soft_last, variable
    >>> soft_last(variable([[1.0, 0.5, 0.0]])).value
    array([[0.5, 0.5, 0. ]])
    """
    return index(soft_first(index(s, BACKWARDS)), BACKWARDS)


def soft_largest(s: Value, order: ArrayLike) -> Node:
    """Select the row of the largest value among the selected ones.

    Not collective.

    Parameters
    ----------
    s : Node or array_like, shape (..., n)
        How much each row is selected, of [0, 1].
    order : array_like of int, shape (..., n)
        The rows from the largest value to the smallest, as of ``argsort(-values)``.

    Returns
    -------
    Node
        Shape (..., n).

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.graph import soft_largest, variable
    >>> soft_largest(variable([[1.0, 0.5, 1.0]]), np.argsort([[-3, -9, -1]])).value
    array([[0.5, 0.5, 0. ]])
    """
    places = np.asarray(order)
    return permute(soft_first(permute(s, places)), np.argsort(places, axis=-1))


def soft_smallest(s: Value, order: ArrayLike) -> Node:
    """Select the row of the smallest value among the selected ones.

    Not collective.

    Parameters
    ----------
    s : Node or array_like, shape (..., n)
        How much each row is selected, of [0, 1].
    order : array_like of int, shape (..., n)
        The rows from the largest value to the smallest, as of ``argsort(-values)``.

    Returns
    -------
    Node
        Shape (..., n).

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.graph import soft_smallest, variable
    >>> soft_smallest(variable([[1.0, 0.5, 1.0]]), np.argsort([[-3, -9, -1]])).value
    array([[0., 0., 1.]])
    """
    return soft_largest(s, np.asarray(order)[..., ::-1])
