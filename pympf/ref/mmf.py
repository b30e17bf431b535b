"""Parallel multiresolution matrix factorization, the twin of cpp/pympf/mmf.

A ≈ Q_1^T ... Q_L^T H Q_L ... Q_1 by Algorithms 1 and 2 of the thesis, section 2.2. Everything is
dense: cost O(n^3), meant for a few hundred rows. Random numbers, the order of all choices and the
breaking of ties are those of the C++ code, so that both find the same rotations.

=====================  ========================================
paper                  code
=====================  ========================================
A_p (active part)      `A`
B_1 ∪ ... ∪ B_m        `Stage.clusters`
G = U^T U              `gram_matrix`, `Search.G`
[A]_{B_u,B_u}          `Search.A`
q_s                    `q`, the matrices of `Stage.rotations`
Q_p                    `Stage.Q`
eta                    `Params.rotation_fraction`
P                      `Params.max_stages`
=====================  ========================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pympf.ref.cluster import cluster, hub_limit
from pympf.ref.params import Params
from pympf.ref.random import Random

__all__ = ["Factorization", "Params", "Stage", "factorize"]

Array = NDArray[np.float64]
Rotation = tuple[list[int], Array]  # the columns that it mixes, and the matrix q that mixes them


@dataclass(frozen=True)
class Stage:
    """One stage: Q_p has a row for each coefficient [active | wavelets]."""

    Q: Array
    kept: int
    clusters: list[list[int]]
    rotations: list[list[Rotation]]  # of each cluster


@dataclass(frozen=True)
class Factorization:
    """A ≈ D Q^T H Q D; coefficients are [core | wavelets of stage L | ... | of stage 1]."""

    stages: list[Stage]
    core: Array
    diagonal: Array  # of H, over the wavelets
    scale: Array  # D
    dropped: float  # ||D^-1 A D^-1 - Q^T H Q||_F
    stop: str

    @property
    def H(self) -> Array:
        """The core-diagonal matrix."""
        H = np.diag(np.concatenate([np.zeros(len(self.core)), self.diagonal]))
        H[: len(self.core), : len(self.core)] = self.core
        return H

    def transform(self, x: Array) -> Array:
        """Return Q x for a vector or a block of vectors: the fast wavelet transform."""
        y = np.array(x, dtype=float)
        for stage in self.stages:
            y[: len(stage.Q)] = stage.Q @ y[: len(stage.Q)]
        return y

    def inverse_transform(self, y: Array) -> Array:
        """Return Q^T y."""
        x = np.array(y, dtype=float)
        for stage in reversed(self.stages):
            x[: len(stage.Q)] = stage.Q.T @ x[: len(stage.Q)]
        return x

    def multiply(self, x: Array) -> Array:
        """Return D Q^T H Q D x."""
        scaled = (self.scale * x.T).T
        return (self.scale * self.inverse_transform(self.H @ self.transform(scaled)).T).T

    def function(self, f: Callable[[Array], Array]) -> Factorization:
        """Return Q^T f(H) Q between the scales; without scales that is f of the factorization."""
        values, vectors = np.linalg.eigh(self.core)
        core = vectors @ np.diag(f(values)) @ vectors.T
        return replace(self, core=core, diagonal=f(self.diagonal))

    def inverse(self) -> Factorization:
        """Return D^-1 Q^T H^-1 Q D^-1."""
        return replace(self.function(np.reciprocal), scale=1 / self.scale)

    def error(self, A: Array) -> float:
        """Return ||A - D Q^T H Q D||_F."""
        return float(np.linalg.norm(A - self.multiply(np.eye(len(A)))))


def factorize(A: Array, params: Params | None = None) -> Factorization:
    """Factor a symmetric matrix (Algorithm 1).

    Not collective.

    Parameters
    ----------
    A : numpy.ndarray, shape (n, n)
        Its entries that are not zero are the edges of the graph.
    params : Params

    Returns
    -------
    Factorization

    Examples
    --------
    >>> F = factorize(np.array([[2.0, 1.0], [1.0, 2.0]]), Params(core_size=1))
    >>> F.H.round(12) + 0.0
    array([[1., 0.],
           [0., 3.]])
    """
    params = params or Params()
    scale = column_scale(A) if params.prenormalize else np.ones(len(A))
    A = A / np.outer(scale, scale)
    allowed2 = params.tolerance**2 * float(np.sum(A**2))
    stages: list[Stage] = []
    diagonals: list[Array] = []
    dropped2 = 0.0
    while True:
        stop = "core_size" if len(A) <= params.core_size else "max_stages"
        if stop == "core_size" or len(stages) == params.max_stages:
            break
        budget = (allowed2 - dropped2) / 2 if params.tolerance > 0 else np.inf
        stage = find_stage(A, params, len(stages) + 1, budget)
        if stage.kept == len(A):
            stop = "tolerance" if params.tolerance > 0 else "stalled"
            break
        A, diagonal, lost2 = project(A, stage)
        dropped2 += lost2
        stages.append(stage)
        diagonals.append(diagonal)
    diagonal = np.concatenate([*reversed(diagonals), np.empty(0)])
    return Factorization(stages, (A + A.T) / 2, diagonal, scale, float(np.sqrt(dropped2)), stop)


def column_scale(A: Array) -> Array:
    """Return d_i = sqrt ||A_:,i||, and 1 for a zero column."""
    norms = np.linalg.norm(A, axis=0)
    return np.sqrt(np.where(norms > 0, norms, 1))


def find_stage(A: Array, params: Params, level: int, dropped2: float) -> Stage:
    """Cluster the active columns, find the rotations of each cluster and multiply them to Q_p."""
    clusters, bypassed = cluster(A, params, level)
    Q = np.eye(len(A))
    rotations: list[list[Rotation]] = []
    active: list[int] = []
    wavelets: list[int] = []
    ends = np.cumsum([0, *map(len, clusters)])
    # What may retire before core_size is reached, and what may drop, is shared out by size.
    retire = (len(A) - params.core_size) * ends // max(1, ends[-1])
    for u, B in enumerate(clusters):
        search = Search(A, B, params, Random(params.seed, level, u))
        search.run(int(min(retire[u + 1] - retire[u], len(B))), dropped2 * len(B) / ends[-1])
        rotations.append([([B[i] for i in index], q) for index, q in search.rotations])
        for columns, q in rotations[-1]:
            Q[columns] = q @ Q[columns]
        active += [B[i] for i in np.flatnonzero(search.active)]
        wavelets += [B[i] for i in search.retired]
    active += bypassed
    return Stage(Q[active + wavelets], len(active), clusters, rotations)


def project(A: Array, stage: Stage) -> tuple[Array, Array, float]:
    """Split Q_p A Q_p^T into its active part, the diagonal of its wavelets and what is dropped."""
    B = stage.Q @ A @ stage.Q.T
    dropped = B - np.diag(B.diagonal())
    dropped[: stage.kept, : stage.kept] = 0
    return B[: stage.kept, : stage.kept], B.diagonal()[stage.kept :], float(np.sum(dropped**2))


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
