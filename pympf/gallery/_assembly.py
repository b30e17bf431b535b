"""Matrices from edges: the pairs of neighbours of a grid, graphs, Laplacians with a diagonal."""

from __future__ import annotations

import math

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf import la

Edges = tuple[NDArray[np.int32], NDArray[np.int32]]


def check_shape(shape: tuple[int, ...]) -> None:
    """Refuse sizes that are not positive, and more rows than an index counts."""
    if not shape or any(size < 1 for size in shape):
        raise ValueError(f"expected positive sizes, got {shape}")
    if math.prod(shape) > la.INDEX_MAX:
        raise ValueError(f"expected at most {la.INDEX_MAX} rows, got {' x '.join(map(str, shape))}")


def grid_edges(shape: tuple[int, ...]) -> list[Edges]:
    """Return for each axis the pairs of neighbours along it, by their index in C order."""
    check_shape(shape)
    index = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
    return [
        (
            np.delete(index, -1, axis).ravel(),
            np.delete(index, 0, axis).ravel(),
        )
        for axis in range(len(shape))
    ]


def degrees(
    n: int, i: NDArray[np.int32], j: NDArray[np.int32], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum the weights of the edges at each of n nodes."""
    return np.asarray(np.bincount(i, weights, n) + np.bincount(j, weights, n))


def assemble(
    diagonal: NDArray[np.float64],
    i: NDArray[np.int32],
    j: NDArray[np.int32],
    weights: NDArray[np.float64],
) -> sp.csr_array:
    """Matrix with the given diagonal, and -weights at (i, j) and (j, i)."""
    n = len(diagonal)
    every = np.arange(n, dtype=np.int32)
    rows, columns = np.concatenate([every, i, j]), np.concatenate([every, j, i])
    values = np.concatenate([diagonal, -weights, -weights])
    return la.canonical_csr(sp.coo_array((values, (rows, columns)), shape=(n, n)))


def from_edges(n: int, i: NDArray[np.int32], j: NDArray[np.int32]) -> sp.csr_array:
    """Adjacency matrix of n nodes with ones for the edges (i, j), in both directions."""
    rows, columns = np.concatenate([i, j]), np.concatenate([j, i])
    return la.canonical_csr(sp.coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, n)))
