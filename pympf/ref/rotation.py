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

# Of inner products, relative to the norms of their columns, and of sums of squares.
ROUNDING = 64 * np.finfo(float).eps


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


def jacobi_pair(gii: float, gij: float, gjj: float) -> Array:
    """Return the rows (c, s), (-s, c), |s| <= c, that diagonalize [[gii, gij], [gij, gjj]]."""
    tau = (gii - gjj) / (2 * gij)
    t = (1 if tau >= 0 else -1) / (abs(tau) + np.sqrt(1 + tau**2))
    c = 1 / np.sqrt(1 + t**2)
    return np.array([[c, t * c], [-t * c, c]])


def eigenvectors(X: Array, may_mix: NDArray[np.bool_] | bool = True) -> tuple[Array, Array]:
    """Return eigenvalues, and eigenvectors as rows, by Jacobi sweeps over the rows that may mix.

    Unlike eigh, Jacobi keeps row r close to the unit vector e_r where it can. An entry of the size
    of rounding is left alone: between two equal eigenvalues it would turn by any angle.
    """
    X, q, size2 = X.copy(), np.eye(len(X)), np.sum(X**2)
    for _ in range(30):
        before = q.copy()
        for i, j in np.argwhere(np.triu(np.broadcast_to(may_mix, X.shape), 1)):
            if X[i, j] ** 2 > 1e-30 * size2:
                pair = jacobi_pair(X[i, i], X[i, j], X[j, j])
                X[[i, j]] = pair @ X[[i, j]]
                X[:, [i, j]] = X[:, [i, j]] @ pair.T
                q[[i, j]] = pair @ q[[i, j]]
        if np.array_equal(q, before):
            break
    return X.diagonal(), q


def joint_eigenvectors(G: Array, A: Array) -> Array:
    """Return the eigenvectors of G as rows; where they are not determined, A decides.

    Rows with equal eigenvalues diagonalize A too; where G is diagonal, all do.
    """
    i, j = np.triu_indices(len(G), 1)
    if orthogonal(G[i, j], G[i, i], G[j, j]).all():
        return eigenvectors(A)[1]
    values, q = eigenvectors(G)
    equal = np.abs(np.subtract.outer(values, values)) <= ROUNDING * np.trace(G)
    return eigenvectors(q @ A @ q.T, equal)[1] @ q


def orthogonal(g: Array, gii: Array, gjj: Array) -> NDArray[np.bool_]:
    """Tell which columns are orthogonal but for the rounding of their inner product."""
    return np.asarray(g**2 <= ROUNDING**2 * gii * gjj)


def loss(norm2: Array, h: Array, total2: Array | np.float64, params: Params) -> Array:
    """Return what rows lose when they retire, from G_ii, h_i and the sum of G_ii of the rotation.

    Of rows that tie, the larger diagonal retires, and of h and -h the latter.
    """
    floor = ROUNDING * total2
    off2 = np.where(norm2 - h**2 <= floor, 0, norm2 - h**2)
    h2 = np.where(h < 0, 1.001, 1) * h**2
    if params.retire == "absolute":
        return off2 - np.where(h2 <= floor, 0, 1e-10 * h2)
    exact = -np.maximum(h2 / total2, ROUNDING)
    return np.where(off2 == 0, exact, off2 / np.maximum(h2, floor))


class Search:
    """FindRotationsForCluster (Algorithm 2), for rotations of any order.

    Not collective.
    """

    def __init__(self, A: Array, B: list[int], params: Params, random: Random) -> None:
        self.G = gram_matrix(A, B, params)
        self.A = A[np.ix_(B, B)]
        largest = np.abs(A - np.diag(A.diagonal())).max(axis=0)[B]
        self.isolated = largest**2 <= ROUNDING**2 * self.G.diagonal()
        self.params, self.random = params, random
        self.active = np.ones(len(B), dtype=bool)
        self.rotations: list[Rotation] = []
        self.retired: list[int] = []
        self.counted = np.zeros(len(B), dtype=bool)
        self.excess2 = 0.0  # what the rows chosen drop beyond those that would drop least

    def run(self, limit: int, budget: float, certain: bool = False) -> None:
        """Rotate and retire until `limit` columns are gone or the rest drops too much.

        `certain`: what a Gram matrix cannot tell from zero counts as its rounding.
        """
        self.limit, self.budget, self.certain = limit, budget, certain
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
        j = np.flatnonzero(self.active & self.coupled(i))
        j = j[j != i]
        best = np.argsort(-self.score(i, j), kind="stable")[: self.params.order - 1]
        return [int(column) for column in j[best]]

    def coupled(self, i: int) -> NDArray[np.bool_]:
        """Tell which columns are candidates for column i.

        A coupling is an entry of both columns: it is rounding only next to the smaller norm.
        """
        norm2 = self.G.diagonal()
        linked = self.A[i] ** 2 > ROUNDING**2 * np.minimum(norm2[i], norm2)
        return np.asarray(linked | ~orthogonal(self.G[i], norm2[i], norm2))

    def score(self, i: int, j: Array) -> Array:
        """Return how well each of the columns j suits column i."""
        if self.params.criterion == "residual":
            return -self.pair_loss(i, j)
        g, gjj = self.G[i, j], self.G[j, j]
        size = np.where(orthogonal(g, self.G[i, i], gjj), 0, np.abs(g))
        if self.params.criterion == "inner_product":
            return size
        return np.asarray(size / np.sqrt(np.maximum(gjj, np.finfo(float).tiny)))

    def pair_loss(self, i: int, j: Array) -> Array:
        """Return what pairs (i, j) lose when they are rotated and one of their rows retires."""
        g, gii, gjj = self.G[i, j], self.G[i, i], self.G[j, j]
        a, aii, ajj = self.A[i, j], self.A[i, i], self.A[j, j]
        total2, d, b = gii + gjj, (gii - gjj) / 2, (aii - ajj) / 2
        by_A = orthogonal(g, gii, gjj)
        r = np.where(by_A, np.hypot(b, a), np.hypot(d, g))
        other = (b * d + a * g) / r
        # The rows have norms total2 / 2 ± x and diagonal entries (aii + ajj) / 2 ± y.
        x, y = np.where(by_A, other, r), np.where(by_A, r, other)
        return np.minimum(
            loss(total2 / 2 + x, (aii + ajj) / 2 + y, total2, self.params),
            loss(total2 / 2 - x, (aii + ajj) / 2 - y, total2, self.params),
        )

    def rotate(self, index: list[int]) -> bool:
        """Rotate columns to the eigenvectors of their Gram block and retire those that lose least.

        Refuses when there is no partner, or when the rows and columns lose more than the budget.
        """
        if len(index) == 1:
            return False
        block = np.ix_(index, index)
        q = joint_eigenvectors(self.G[block], self.A[block])
        norm2, h = (np.sum((q @ M[block]) * q, axis=1) for M in (self.G, self.A))
        total2 = np.trace(self.G[block])
        by_loss = np.argsort(-loss(norm2, h, total2, self.params), kind="stable")
        left = self.limit - len(self.retired)
        kept = len(index) - min(self.params.eliminate, left, len(index) - 1)
        least = ROUNDING * total2 if self.certain else 0
        off2 = np.maximum(least, norm2 - h**2)
        dropped2 = 2 * float(np.sum(off2[by_loss[kept:]]))
        if not self.counted[index[0]]:
            self.counted[index] = True
            least2 = 2 * float(np.sum(np.sort(off2)[: len(index) - kept]))
            self.excess2 += dropped2 - least2
        if dropped2 > self.budget:
            return False
        self.budget -= dropped2
        index, q = [index[r] for r in by_loss], q[np.ix_(by_loss, by_loss)]
        for M in (self.G, self.A):
            M[index] = q @ M[index]
            M[:, index] = M[:, index] @ q.T
        # Eigenvectors of G are orthogonal: what is left must not pass for an inner product.
        block = np.ix_(index, index)
        self.G[block] = np.where(np.abs(self.G[block]) <= ROUNDING * total2, 0, self.G[block])
        self.G[index, index] = np.maximum(0, norm2[by_loss])
        self.rotations.append((index, q))
        self.retire(index[kept:])
        return True

    def retire(self, columns: list[int]) -> None:
        """Make columns wavelets."""
        self.active[columns] = False
        self.retired += columns
