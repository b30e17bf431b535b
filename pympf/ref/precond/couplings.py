"""Which rows belong together, the twin of cpp/pympf/precond/levels/couplings.hpp."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["cluster", "contract", "couplings"]

Array = NDArray[np.float64]
Labels = NDArray[np.intp]  # the cluster of each node; -1: it has no coupling


def couplings(A: Array, B: Array, block: int = 1) -> Array:
    """Return W: w_ij = -a_ij <B_i, B_j> where that is positive, and no diagonal.

    With several rows in a node: the Frobenius norm of D_I^-1/2 A_IJ D_J^-1/2, D = diag(A).
    """
    if block == 1:
        W = np.maximum(-A * (B @ B.T), 0)
    else:
        scale = np.outer(A.diagonal(), A.diagonal())
        square = np.divide(A**2, scale, out=np.zeros_like(A), where=scale > 0)
        nodes = len(A) // block
        W = np.sqrt(square.reshape(nodes, block, nodes, block).sum(axis=(1, 3)))
    np.fill_diagonal(W, 0)
    return W


def cluster(W: Array, shape: str, theta: float, largest: int) -> Labels:
    """Find stars: a root and the neighbours that follow it.

    Node j follows its neighbour i when w_ij >= theta max_k w_jk. Roots are taken in the order of
    the nodes: first those whose strong neighbours are all free, then, after the leftovers have
    joined what there is, the rest. A star of one node joins another star if it can.
    """
    largest = min(largest, {"star": largest, "triple": 3, "pair": 2}[shape])
    n = len(W)
    strongest = W.max(axis=1, initial=0)
    follows = (W > 0) & (theta * strongest[:, None] <= W)  # follows[j, i]: j follows i
    label = np.full(n, -1)
    members: list[int] = []  # of each cluster

    def is_free(i: int) -> bool:
        return bool(label[i] < 0 and strongest[i] > 0)

    def may_be_root(r: int) -> bool:
        strong = follows[:, r] | follows[r]
        return bool(follows[:, r].any() and np.all(label[strong] < 0))

    def start(r: int) -> None:
        followers = np.flatnonzero(follows[:, r] & (label < 0))[: largest - 1]
        label[[r, *followers]] = len(members)
        members.append(1 + len(followers))

    def best_cluster(i: int) -> int:
        """Return the cluster of the strongest neighbour that i follows and that has room, or -1."""
        best, chosen = 0.0, -1
        for j in np.flatnonzero(follows[i]):
            u = label[j]
            if u >= 0 and u != label[i] and members[u] < largest and W[i, j] > best:
                best, chosen = W[i, j], int(u)
        return chosen

    for r in range(n):
        if is_free(r) and may_be_root(r):
            start(r)
    joined = []  # seen by nobody before all have chosen
    for i in filter(is_free, range(n)):
        u = best_cluster(i)
        if u >= 0:
            members[u] += 1
            joined.append((i, u))
    for i, u in joined:
        label[i] = u
    for r in range(n):
        if is_free(r):
            start(r)
    for i in range(n):
        if label[i] >= 0 and members[label[i]] == 1:
            u = best_cluster(i)
            if u >= 0:
                members[label[i]] = 0
                members[u] += 1
                label[i] = u
    return in_order_of_first_nodes(label)


def in_order_of_first_nodes(label: Labels) -> Labels:
    """Number the clusters anew."""
    number = {-1: -1}
    for u in label:
        number.setdefault(int(u), len(number) - 1)
    return np.array([number[int(u)] for u in label], dtype=np.intp)


def contract(W: Array, label: Labels) -> Array:
    """Return S^T W S without its diagonal, S the 0/1 matrix of the clusters."""
    S = np.equal.outer(label, np.arange(label.max(initial=-1) + 1)).astype(float)
    out = S.T @ W @ S
    np.fill_diagonal(out, 0)
    return out
