"""Unknowns of one node where nobody has told them, twin of cpp/pympf/precond/levels/nodes.hpp."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["find_node_size"]

Array = NDArray[np.float64]

LARGEST_NODE = 6
LEAST_FILL = 0.6  # of the blocks that have an entry
MOST_ENERGY, MOST_SPLIT = 0.2, 1.5
ROUNDING = 1e-12
SAMPLED_NODES = 128


def find_node_size(A: Array) -> int:
    """Return the most rows, up to six, that look like the unknowns of one node; 1 where none do.

    With e_c the vector that is 1 on component c of every node: the blocks of A are nearly full,
    every e_c is nearly in the nullspace, and to take 1 apart into the e_c costs nothing.

    Not collective.

    Parameters
    ----------
    A : numpy.ndarray, shape (n, n)

    Returns
    -------
    int

    Examples
    --------
    >>> K = 2 * np.eye(40) - np.eye(40, k=1) - np.eye(40, k=-1)
    >>> find_node_size(K), find_node_size(np.kron(K, [[2, 1], [1, 2]]))
    (1, 2)
    """
    for size in range(LARGEST_NODE, 1, -1):
        if len(A) % size == 0 and fill(A, size) >= LEAST_FILL and are_translations(A, size):
            return size
    return 1


def fill(A: Array, size: int) -> float:
    """Return the entries over the places of the blocks that have some, in a sample of the nodes."""
    nodes = len(A) // size
    blocks = (A != 0).reshape(nodes, size, nodes, size)[:: max(1, nodes // SAMPLED_NODES)]
    taken = np.count_nonzero(blocks.any(axis=(1, 3)))
    return np.count_nonzero(blocks) / (taken * size * size) if taken else 0.0


def are_translations(A: Array, size: int) -> bool:
    """Tell whether the e_c hold what `find_node_size` asks of them."""
    parts = range(size)
    energy = np.array([A[c::size, c::size].sum() for c in parts])
    mass = np.array([np.abs(A.diagonal()[c::size]).sum() for c in parts])
    small = bool(np.all(np.abs(energy) <= MOST_ENERGY * mass))
    return small and bool(energy.sum() <= MOST_SPLIT * A.sum() + ROUNDING * mass.sum())
