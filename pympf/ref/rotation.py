"""Rotations of one cluster (Algorithm 2), the twin of cpp/pympf/mmf/gram.hpp and rotation.hpp."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pympf.ref.cluster import hub_limit
from pympf.ref.params import Params
from pympf.ref.random import Random

__all__ = ["Rotation", "Search", "gram_matrix"]

Array = NDArray[np.float64]
Rotation = tuple[list[int], Array]  # the columns that it mixes, and the matrix q that mixes them


def gram_matrix(A: Array, B: list[int], params: Params) -> Array:
    """Return G = U^T U for the columns U of cluster B, over all rows or over those of the cluster.

    A hub k would couple everything that it touches: it adds u_ki u_kj only for entries i and j
    that are near each other in its row, and for row and column k of G.
    """
    U, limit = A[:, B], hub_limit(A, params)
    if params.gram == "blocks":
        U = np.where(np.isin(np.arange(len(A)), B)[:, None], U, 0)
    hub = np.count_nonzero(A, axis=1) > limit
    G = U[~hub].T @ U[~hub]
    for k in np.flatnonzero(hub):
        place, own = np.cumsum(A[k] != 0)[B], np.equal(B, k)
        near = np.abs(np.subtract.outer(place, place)) <= limit // 2
        G += np.outer(U[k], U[k]) * (near | np.logical_or.outer(own, own))
    return G


def diagonalize(gii: Array, gij: Array, gjj: Array) -> tuple[Array, Array]:
    """Return (c, s), |s| <= c: rows (c, s), (-s, c) diagonalize [[gii, gij], [gij, gjj]]."""
    with np.errstate(over="ignore"):  # an infinite tau means no rotation
        tau = (gii - gjj) / (2 * gij)
        t = np.where(tau >= 0, 1, -1) / (np.abs(tau) + np.sqrt(1 + tau**2))
    c = 1 / np.sqrt(1 + t**2)
    return c, t * c


def eigenvectors(G: Array) -> tuple[Array, Array]:
    """Return eigenvalues, and eigenvectors as rows, by Jacobi sweeps.

    Unlike eigh, Jacobi keeps row r close to the unit vector e_r where it can.
    """
    G, q = G.copy(), np.eye(len(G))
    for _ in range(30):
        if np.sum((G - np.diag(G.diagonal())) ** 2) <= 1e-30 * np.sum(G**2):
            break
        for i, j in zip(*np.triu_indices(len(G), 1), strict=True):
            if G[i, j] != 0:
                c, s = diagonalize(G[i, i], G[i, j], G[j, j])
                pair = np.array([[c, s], [-s, c]])
                G[[i, j]] = pair @ G[[i, j]]
                G[:, [i, j]] = G[:, [i, j]] @ pair.T
                q[[i, j]] = pair @ q[[i, j]]
    return G.diagonal(), q


def loss(norm2: Array, h: Array, total2: Array | np.float64, params: Params) -> Array:
    """Return what rows lose when they retire, from G_ii, h_i and the sum of G_ii of the rotation.

    Of two rows that tie, the larger diagonal retires.
    """
    off2 = np.maximum(0, norm2 - h**2)
    if params.retire == "absolute":
        return off2 - 1e-10 * h**2
    floor = 1e-14 * total2  # below it both are rounding error
    return np.maximum(off2, floor) / np.maximum(h**2, floor)


class Search:
    """FindRotationsForCluster (Algorithm 2), for rotations of any order.

    Not collective.
    """

    def __init__(self, A: Array, B: list[int], params: Params, random: Random) -> None:
        self.G = gram_matrix(A, B, params)
        self.A = A[np.ix_(B, B)]
        self.isolated = ~np.any(A - np.diag(A.diagonal()), axis=1)[B]
        self.params, self.random = params, random
        self.active = np.ones(len(B), dtype=bool)
        self.rotations: list[Rotation] = []
        self.retired: list[int] = []

    def run(self, limit: int, budget: float) -> None:
        """Rotate and retire until `limit` columns are gone or the rest drops too much."""
        self.limit, self.budget = limit, budget
        self.retire(np.flatnonzero(self.isolated)[:limit].tolist())  # they lose nothing
        wanted = max(1, int(self.params.rotation_fraction * len(self.A) / self.params.eliminate))
        before = -1
        while before < len(self.rotations):
            before = len(self.rotations)
            rotated: set[int] = set()
            for i in self.turns():
                if len(self.rotations) == wanted or len(self.retired) == limit:
                    return
                if self.active[i] and i not in rotated and self.rotate([i, *self.partners(i)]):
                    rotated.update(self.rotations[-1][0])

    def turns(self) -> list[int]:
        """Return the active columns in the order in which they look for partners."""
        order: list[int] = np.flatnonzero(self.active).tolist()
        for k in range(len(order), 1, -1):
            other = self.random.below(k)
            order[k - 1], order[other] = order[other], order[k - 1]
        if self.params.selection == "random":
            return order
        lost = {i: self.best_loss(i) for i in order}
        return sorted(order, key=lost.__getitem__)

    def best_loss(self, i: int) -> float:
        """Return the loss of column i with its best partner, the same bits for both of a pair."""
        best = self.partners(i)[:1]
        return min(
            (self.pair_loss(min(i, j), np.array([max(i, j)]))[0] for j in best), default=np.inf
        )

    def partners(self, i: int) -> list[int]:
        """Return the best k - 1 active columns for column i; ties go to the smaller index."""
        j = np.flatnonzero(self.active & (self.G[i] != 0))
        j = j[j != i]
        best = np.argsort(-self.score(i, j), kind="stable")[: self.params.order - 1]
        return [int(column) for column in j[best]]

    def score(self, i: int, j: Array) -> Array:
        """Return how well each of the columns j suits column i."""
        if self.params.criterion == "inner_product":
            return np.abs(self.G[i, j])
        if self.params.criterion == "normalized_inner_product":
            return np.abs(self.G[i, j]) / np.sqrt(self.G[j, j])
        return -self.pair_loss(i, j)

    def pair_loss(self, i: int, j: Array) -> Array:
        """Return what pairs (i, j) lose when they are rotated and one of their rows retires."""
        G, A = self.G, self.A
        total, d = G[i, i] + G[j, j], (G[i, i] - G[j, j]) / 2
        r = np.hypot(d, G[i, j])  # the eigenvalues are total / 2 ± r
        middle, turn = (
            (A[i, i] + A[j, j]) / 2,
            ((A[i, i] - A[j, j]) / 2 * d + A[i, j] * G[i, j]) / r,
        )
        return np.minimum(
            loss(total / 2 + r, middle + turn, total, self.params),
            loss(total / 2 - r, middle - turn, total, self.params),
        )

    def rotate(self, index: list[int]) -> bool:
        """Rotate columns to the eigenvectors of their Gram matrix and retire those that lose least.

        Refuses when there is no partner, or when the rows and columns lose more than the budget.
        """
        if len(index) == 1:
            return False
        block = np.ix_(index, index)
        norm2, q = eigenvectors(self.G[block])
        h = np.sum((q @ self.A[block]) * q, axis=1)
        by_loss = np.argsort(-loss(norm2, h, np.sum(norm2), self.params), kind="stable")
        left = self.limit - len(self.retired)
        kept = len(index) - min(self.params.eliminate, left, len(index) - 1)
        dropped2 = 2 * float(np.sum(np.maximum(0, norm2 - h**2)[by_loss[kept:]]))
        if dropped2 > self.budget:
            return False
        self.budget -= dropped2
        index, q = [index[r] for r in by_loss], q[np.ix_(by_loss, by_loss)]
        for M in (self.G, self.A):
            M[index] = q @ M[index]
            M[:, index] = M[:, index] @ q.T
        self.G[np.ix_(index, index)] = np.diag(norm2[by_loss])
        self.rotations.append((index, q))
        self.retire(index[kept:])
        return True

    def retire(self, columns: list[int]) -> None:
        """Make columns wavelets."""
        self.active[columns] = False
        self.retired += columns
