"""Matrix products and einsum, by BLAS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from pympf.nets._checks import Array
from pympf.nets.graph.node import Node, Value, record, reduced, values

__all__ = ["einsum", "matmul"]


def matmul(a: Value, b: Value) -> Node:
    """Multiply matrices: the last axis of a with the last but one of b.

    Not collective.

    Parameters
    ----------
    a : Node or array_like, shape (..., m, k)
        A matrix b of two axes meets all axes of a in one product.
    b : Node or array_like, shape (k, n) or (..., k, n)
        The leading axes are broadcast.

    Returns
    -------
    Node
        Shape (..., m, n).

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> from pympf.nets.graph import matmul, variable
    >>> matmul(variable([[1.0, 2.0]]), [[1.0], [1.0]]).value
    array([[3.]])
    """
    va, vb = values(a, b)
    if va.ndim < 2 or vb.ndim < 2 or va.shape[-1] != vb.shape[-2]:
        raise ValueError(
            f"expected factors of shapes (..., m, k) and (..., k, n), got {va.shape} and {vb.shape}"
        )
    if vb.ndim > 2:
        return record("matmul", va @ vb, [a, b], lambda g, wanted: _matmul_back(va, vb, g, wanted))
    rows = va.reshape(-1, va.shape[-1])

    def back(g: Array, wanted: Sequence[bool]) -> list[Any]:
        flat = g.reshape(-1, g.shape[-1])
        return [
            (flat @ vb.T).reshape(va.shape) if wanted[0] else None,
            rows.T @ flat if wanted[1] else None,
        ]

    product = (rows @ vb).reshape(*va.shape[:-1], vb.shape[1])
    return record("matmul", product, [a, b], back)


def _matmul_back(va: Array, vb: Array, g: Array, wanted: Sequence[bool]) -> list[Any]:
    """Adjoints of stacks of matrices, summed over the axes that were broadcast."""
    return [
        reduced(g @ vb.swapaxes(-1, -2), va.shape) if wanted[0] else None,
        reduced(va.swapaxes(-1, -2) @ g, vb.shape) if wanted[1] else None,
    ]


def einsum(subscripts: str, *operands: Value) -> Node:
    """Sum products over indices, in Einstein's notation.

    Not collective.

    Parameters
    ----------
    subscripts : str
        As ``"bd,bqd->bq"``: an arrow, no ellipsis, no index twice in one operand. Two operands
        become products of matrices.
    *operands : Node or array_like
        As many as the subscripts name. Of two, one may have length 1 along an index that both have
        and that stays.

    Returns
    -------
    Node
        With the axes that follow the arrow.

    Raises
    ------
    ValueError
        If the subscripts are not of this form.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.graph import einsum, variable
    >>> einsum("bd,bqd->bq", variable([[1.0, 2.0]]), np.ones((1, 3, 2))).value
    array([[3., 3., 3.]])
    """
    inputs, output = _parse(subscripts, len(operands))
    arrays = values(*operands)
    for indices, array in zip(inputs, arrays, strict=True):
        if len(indices) != array.ndim:
            raise ValueError(f"expected {len(indices)} axes for {indices!r}, got {array.shape}")

    def back(g: Array, wanted: Sequence[bool]) -> list[Any]:
        return [
            _adjoint(inputs, output, place, arrays, g) if wanted[place] else None
            for place in range(len(arrays))
        ]

    return record("einsum", _sum_products(inputs, output, arrays), operands, back)


@lru_cache(maxsize=1024)
def _parse(subscripts: str, operands: int) -> tuple[tuple[str, ...], str]:
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    inputs = tuple(left.split(","))
    known = set("".join(inputs))
    if (
        not arrow
        or not all(word.isalpha() or not word for word in (*inputs, output))
        or any(len(set(word)) != len(word) for word in (*inputs, output))
        or not set(output) <= known
    ):
        raise ValueError(
            'expected subscripts such as "bd,bqd->bq", with an arrow, without ellipsis and without '
            f"an index twice in one operand, got {subscripts!r}"
        )
    if len(inputs) != operands:
        raise ValueError(f"expected {len(inputs)} operands for {subscripts!r}, got {operands}")
    return inputs, output


def _adjoint(
    inputs: tuple[str, ...], output: str, place: int, arrays: list[Array], g: Array
) -> Array:
    """Sum products of the adjoint with the other operands; an index of none of them repeats it."""
    others = [*inputs[:place], *inputs[place + 1 :]]
    known = set(output).union(*others)
    mine = inputs[place]
    there = "".join(index for index in mine if index in known)
    result = _sum_products((output, *others), there, [g, *arrays[:place], *arrays[place + 1 :]])
    shape = arrays[place].shape
    if there == mine:
        return reduced(result, shape)
    missing = tuple(i for i, index in enumerate(mine) if index not in known)
    return np.broadcast_to(np.expand_dims(result, missing), shape)


def _sum_products(inputs: tuple[str, ...], output: str, arrays: list[Array]) -> Array:
    if len(inputs) == 2:
        return _pair(inputs[0], inputs[1], output)(*arrays)
    return np.einsum(f"{','.join(inputs)}->{output}", *arrays, optimize=len(inputs) > 2)


@lru_cache(maxsize=1024)
def _pair(left: str, right: str, output: str) -> Callable[[Array, Array], Array]:
    """Plan a product: (batch, rows, summed) times (batch, summed, columns), then put in order."""
    batch = [i for i in left if i in right and i in output]
    summed = [i for i in left if i in right and i not in output]
    rows = [i for i in left if i not in right and i in output]
    columns = [i for i in right if i not in left and i in output]
    lonely = (
        tuple(k for k, i in enumerate(left) if i not in right and i not in output),
        tuple(k for k, i in enumerate(right) if i not in left and i not in output),
    )
    kept = "".join(i for i in left if i in right or i in output)
    kept_right = "".join(i for i in right if i in left or i in output)
    order_left = [kept.index(i) for i in (*batch, *rows, *summed)]
    order_right = [kept_right.index(i) for i in (*batch, *summed, *columns)]
    made = [*batch, *rows, *columns]
    order = [made.index(i) for i in output]
    nb, nr, ns = len(batch), len(rows), len(summed)

    def run(a: Array, b: Array) -> Array:
        if lonely[0]:
            a = a.sum(axis=lonely[0])
        if lonely[1]:
            b = b.sum(axis=lonely[1])
        a, b = a.transpose(order_left), b.transpose(order_right)
        own = (*a.shape[nb : nb + nr], *b.shape[nb + ns :])
        if ns == 0:
            a = a.reshape((*a.shape, *[1] * len(columns)))
            b = b.reshape((*b.shape[:nb], *[1] * nr, *b.shape[nb:]))
            return np.asarray(a * b).transpose(order)
        if a.shape[nb + nr :] != b.shape[nb : nb + ns]:
            raise ValueError(
                f"expected equal lengths of the indices {''.join(summed)}, got "
                f"{a.shape[nb + nr :]} and {b.shape[nb : nb + ns]}"
            )
        depth, height, width = (prod(n) for n in (a.shape[nb + nr :], own[:nr], own[nr:]))
        a = a.reshape((*a.shape[:nb], height, depth))
        b = b.reshape((*b.shape[:nb], depth, width))
        product = np.matmul(a, b)  # an index of the batch may have length 1 in one of them
        return product.reshape((*product.shape[:nb], *own)).transpose(order)

    return run
