"""Parallel multiresolution matrix factorization, the twin of cpp/pympf/mmf.

A ≈ Q_1^T ... Q_L^T H Q_L ... Q_1 by Algorithms 1 and 2 of the thesis, section 2.2. Everything is
dense: cost O(n^3), meant for a few hundred rows. Random numbers, the order of all choices and the
breaking of ties are those of the C++ code, so that both find the same rotations.

=====================  ===================================
paper                  code
=====================  ===================================
A_p (active part)      `A`
B_1 ∪ ... ∪ B_m        `clusters`
G = U^T U              `gram_matrix`, `Search.G`
[A]_{B_u,B_u}          `Search.A`
q_s                    `q`, an element of `Stage.rotations`
Q_p                    `Stage.Q`
eta                    `Params.rotation_fraction`
P                      `Params.max_stages`
=====================  ===================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pympf.ref.random import Random

__all__ = ["Factorization", "Params", "Stage", "factorize"]

Array = NDArray[np.float64]
Rotation = tuple[list[int], Array]  # the columns that it mixes, and the matrix q that mixes them


@dataclass(frozen=True)
class Params:
    """Parameters of the factorization; the C++ code says what each means and allows."""

    order: int = 2
    max_stages: int = 30
    rotation_fraction: float = 0.5
    eliminate: int = 1
    core_size: int = 100
    tolerance: float = 0.0
    prenormalize: bool = False
    criterion: str = "residual"
    selection: str = "best"
    retire: str = "relative"
    gram: str = "columns"
    hub_factor: float = 4.0
    clustering: str = "graph"
    clusters: int = 0
    min_cluster_size: int = 1
    max_cluster_size: int = 2000
    max_clustering_depth: int = 4
    max_clustering_iterations: int = 8
    bypass: bool = True
    seed: int = 0


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
        """Q x for a vector or a block of vectors: the fast wavelet transform."""
        y = np.array(x, dtype=float)
        for stage in self.stages:
            y[: len(stage.Q)] = stage.Q @ y[: len(stage.Q)]
        return y

    def inverse_transform(self, y: Array) -> Array:
        """Q^T y."""
        x = np.array(y, dtype=float)
        for stage in reversed(self.stages):
            x[: len(stage.Q)] = stage.Q.T @ x[: len(stage.Q)]
        return x

    def multiply(self, x: Array) -> Array:
        """D Q^T H Q D x."""
        scaled = (self.scale * x.T).T
        return (self.scale * self.inverse_transform(self.H @ self.transform(scaled)).T).T

    def function(self, f: Callable[[Array], Array]) -> Factorization:
        """Q^T f(H) Q; without a scale, that is f of the factorization."""
        values, vectors = np.linalg.eigh(self.core)
        core = vectors @ np.diag(f(values)) @ vectors.T
        return replace(self, core=core, diagonal=f(self.diagonal))

    def inverse(self) -> Factorization:
        """D^-1 Q^T H^-1 Q D^-1."""
        return replace(self.function(np.reciprocal), scale=1 / self.scale)

    def error(self, A: Array) -> float:
        """||A - D Q^T H Q D||_F."""
        return float(np.linalg.norm(A - self.multiply(np.eye(len(A)))))


def factorize(A: Array, params: Params | None = None) -> Factorization:
    """Factor a symmetric matrix (Algorithm 1).

    Not collective.

    Parameters
    ----------
    A : numpy.ndarray, shape (n, n)
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
    allowed2 = params.tolerance**2 * np.sum(A**2)
    stages: list[Stage] = []
    diagonals: list[Array] = []
    dropped2 = 0.0
    stop = ""
    while not stop:
        if len(A) <= params.core_size:
            stop = "core_size"
        elif len(stages) == params.max_stages:
            stop = "max_stages"
        else:
            budget = (allowed2 - dropped2) / 2 if params.tolerance > 0 else np.inf
            stage = find_stage(A, params, len(stages) + 1, budget)
            if stage.kept == len(A):
                stop = "tolerance" if params.tolerance > 0 else "stalled"
                break
            A, diagonal, lost2 = project(A, stage)
            stages.append(stage)
            diagonals.append(diagonal)
            dropped2 += lost2
    diagonal = np.concatenate([*reversed(diagonals), np.empty(0)])
    return Factorization(stages, (A + A.T) / 2, diagonal, scale, float(np.sqrt(dropped2)), stop)


def column_scale(A: Array) -> Array:
    """d_i = sqrt ||A_:,i||, and 1 for a zero column."""
    norms = np.linalg.norm(A, axis=0)
    return np.sqrt(np.where(norms > 0, norms, 1))


def project(A: Array, stage: Stage) -> tuple[Array, Array, float]:
    """Split Q_p A Q_p^T into its active part, the diagonal of its wavelets and what is dropped."""
    B = stage.Q @ A @ stage.Q.T
    active, diagonal = B[: stage.kept, : stage.kept], B.diagonal()[stage.kept :]
    dropped = B - np.diag(B.diagonal())
    dropped[: stage.kept, : stage.kept] = 0
    return active, diagonal, float(np.sum(dropped**2))


def find_stage(A: Array, params: Params, level: int, dropped2: float) -> Stage:
    """Cluster the active columns, find the rotations of each cluster, and multiply them to Q_p."""
    clusters, bypassed = cluster(A, params, level)
    hub = np.count_nonzero(A, axis=1) > hub_limit(A, params)
    in_clusters = sum(map(len, clusters))
    Q = np.eye(len(A))
    rotations: list[list[Rotation]] = []
    active: list[int] = []
    wavelets: list[int] = []
    before = 0
    for u, B in enumerate(clusters):
        # The cluster's shares of what may retire before core_size is reached, and of what may drop.
        share = [(len(A) - params.core_size) * k // in_clusters for k in (before, before + len(B))]
        before += len(B)
        search = Search(A, B, hub, params, Random(params.seed, level, u))
        search.run(min(share[1] - share[0], len(B)), dropped2 * len(B) / in_clusters)
        rotations.append([([B[i] for i in index], q) for index, q in search.rotations])
        for columns, q in rotations[-1]:
            Q[columns] = q @ Q[columns]
        active += [B[i] for i in range(len(B)) if search.active[i]]
        wavelets += [B[i] for i in search.retired]
    active += bypassed
    return Stage(Q[active + wavelets], len(active), clusters, rotations)


# ---- clusters


def cluster(A: Array, params: Params, level: int) -> tuple[list[list[int]], list[int]]:
    """Partition the columns into clusters, and those that sit out the stage."""
    if params.clustering == "graph":
        found, bypassed = along_graph(A, params), []
    else:
        found, bypassed = AroundAnchors(A, params, level).run()
    clusters: list[list[int]] = []
    left: list[int] = []
    for columns in found:
        if len(columns) >= params.min_cluster_size:
            clusters.append(columns)
        elif params.bypass:
            left += columns
        elif clusters:
            clusters[-1] += columns
        else:
            clusters.append(columns)
    return clusters, left + bypassed


def divide_up(a: int, b: int) -> int:
    """a / b, rounded up."""
    return -(-a // b)


def along_graph(A: Array, params: Params) -> list[list[int]]:
    """Grow clusters of equal size breadth first, each from the frontier of the one before it."""
    n = len(A)
    size = divide_up(n, min(n, max(params.clusters, divide_up(n, params.max_cluster_size))))
    taken = np.zeros(n, dtype=bool)
    clusters: list[list[int]] = []
    old_frontier: list[int] = []
    while not taken.all():
        columns: list[int] = []
        frontier: list[int] = []
        while len(columns) < size and not taken.all():
            queue = [*frontier, *old_frontier, *range(n)]
            i = next(i for i in queue if not taken[i])
            taken[i] = True
            columns.append(i)
            frontier += [int(j) for j in np.flatnonzero(A[i]) if not taken[j]]
        clusters.append(columns)
        old_frontier = frontier
    return clusters


class AroundAnchors:
    """Clusters around random anchors: column j joins the a with the largest |<A_j, A_a>| / ||A_a||.

    A cluster above the largest size is split again around anchors of its own.
    """

    def __init__(self, A: Array, params: Params, level: int) -> None:
        self.A, self.params, self.level = A, params, level
        self.hub = np.count_nonzero(A, axis=1) > hub_limit(A, params)
        self.splits = 0
        self.clusters: list[list[int]] = []
        self.bypassed: list[int] = []

    def run(self) -> tuple[list[list[int]], list[int]]:
        """Return the clusters, and the columns that no anchor reached."""
        self.split(list(range(len(self.A))), max(1, self.params.clusters), 0)
        return self.clusters, self.bypassed

    def split(self, columns: list[int], anchors: int, depth: int) -> None:
        """Keep the columns as one cluster, or split them around this many anchors."""
        size, largest = len(columns), self.params.max_cluster_size
        if anchors == 1 and size <= largest:
            self.clusters.append(columns)
            return
        anchors = min(size, anchors if anchors > 1 else divide_up(size, largest))
        if depth == self.params.max_clustering_depth:
            parts = divide_up(size, largest)
            ends = [size * part // parts for part in range(parts + 1)]
            self.clusters += [columns[ends[p] : ends[p + 1]] for p in range(parts)]
            return
        group = self.assign(columns, anchors)
        groups = [[j for j in columns if group[j] == g] for g in range(anchors)]
        left = [j for j in columns if group[j] < 0]
        if self.params.bypass:
            self.bypassed += left
        else:
            for k, j in enumerate(left):
                groups[k // divide_up(len(left), anchors)].append(j)
        for columns in groups:
            self.split(columns, 1, depth + 1)

    def assign(self, columns: list[int], anchors: int) -> NDArray[np.int_]:
        """Number the group of each column; -1 where no anchor reached."""
        self.splits += 1
        random = Random(self.params.seed, self.level, self.splits)
        shuffled = list(columns)
        for k in range(anchors):
            other = k + random.below(len(shuffled) - k)
            shuffled[k], shuffled[other] = shuffled[other], shuffled[k]
        A, group = self.A, np.full(len(self.A), -1)
        best = np.zeros(len(A))
        for g, a in enumerate(shuffled[:anchors]):
            through = ~self.hub  # a hub k would couple everything that it touches
            through[a] = True
            norm = np.linalg.norm(A[:, a])
            product = np.abs(A[:, through] @ A[through, a]) / (norm if norm > 0 else 1)
            closer = [j for j in columns if product[j] > best[j]]
            group[closer], best[closer] = g, product[closer]
        group[shuffled[:anchors]] = np.arange(anchors)
        for _ in range(1, self.params.max_clustering_iterations):
            placed = np.array([j for j in columns if group[j] >= 0])
            free = [j for j in columns if group[j] < 0]
            # A free column follows its most strongly coupled neighbour that has a group.
            moves = {i: placed[np.argmax(np.abs(A[i, placed]))] for i in free if A[i, placed].any()}
            if not moves:
                break
            group[list(moves)] = group[list(moves.values())]
        return group


# ---- Gram matrix


def hub_limit(A: Array, params: Params) -> int:
    """Rows with more entries than this are hubs."""
    return int(max(32, params.hub_factor * np.count_nonzero(A) / len(A)))


def gram_matrix(A: Array, B: list[int], hub: NDArray[np.bool_], params: Params) -> Array:
    """G = U^T U for the columns U of cluster B, over all rows or over those of the cluster.

    A hub k would couple everything that it touches: its row counts in G_kk, G_ik and G_kj only,
    and in the norms G_ii.
    """
    U = A[:, B].copy()
    if params.gram == "blocks":
        U[np.setdiff1d(np.arange(len(A)), B)] = 0
    G = U[~hub].T @ U[~hub]
    direct = np.where(hub[B], A.diagonal()[B], 0)[:, None] * U[B]
    G += direct + direct.T
    np.fill_diagonal(G, np.sum(U**2, axis=0))
    return G


# ---- rotations


def diagonalize(gii: Array, gij: Array, gjj: Array) -> tuple[Array, Array]:
    """(c, s), |s| <= c, such that rows (c, s) and (-s, c) diagonalize [[gii, gij], [gij, gjj]]."""
    with np.errstate(over="ignore"):  # an infinite tau means no rotation
        tau = (gii - gjj) / (2 * gij)
        t = np.where(tau >= 0, 1, -1) / (np.abs(tau) + np.sqrt(1 + tau**2))
    c = 1 / np.sqrt(1 + t**2)
    return c, t * c


def eigenvectors(G: Array) -> tuple[Array, Array]:
    """Eigenvalues of a small symmetric matrix and its eigenvectors as rows, by Jacobi sweeps.

    Jacobi keeps row r of O close to the unit vector e_r where it can, eigh does not.
    """
    k = len(G)
    G, O = G.copy(), np.eye(k)
    for _ in range(30):
        off = np.sum((G - np.diag(G.diagonal())) ** 2)
        if off <= 1e-30 * np.sum(G**2):
            break
        for i in range(k):
            for j in range(i + 1, k):
                if G[i, j] == 0:
                    continue
                c, s = diagonalize(G[i, i], G[i, j], G[j, j])
                q = np.array([[c, s], [-s, c]])
                G[[i, j]] = q @ G[[i, j]]
                G[:, [i, j]] = G[:, [i, j]] @ q.T
                O[[i, j]] = q @ O[[i, j]]
    return G.diagonal(), O


def off2(norm2: Array, h: Array) -> Array:
    """What a row loses when it retires with diagonal entry h: G_ii - h^2."""
    return np.maximum(0, norm2 - h**2)


def loss(norm2: Array, h: Array, params: Params) -> Array:
    """What decides which row retires: the loss itself, or relative to what is kept."""
    off = off2(norm2, h)
    if params.retire == "absolute":
        return off - 1e-10 * h**2  # of two rows that tie, the larger diagonal retires
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(off == 0, 0, off / h**2)


class Search:
    """FindRotationsForCluster (Algorithm 2), for rotations of any order."""

    def __init__(
        self, A: Array, B: list[int], hub: NDArray[np.bool_], params: Params, random: Random
    ) -> None:
        self.G = gram_matrix(A, B, hub, params)
        self.A = A[np.ix_(B, B)]
        self.isolated = ~np.any(A - np.diag(A.diagonal()), axis=1)[B]
        self.params, self.random = params, random
        self.active = np.ones(len(B), dtype=bool)
        self.rotations: list[Rotation] = []
        self.retired: list[int] = []

    def run(self, left: int, budget: float) -> None:
        """Rotate and retire until `left` columns are gone or all are too costly for the budget."""
        self.left, self.budget = left, budget
        c, eliminate = len(self.A), self.params.eliminate
        for i in np.flatnonzero(self.isolated)[:left]:
            self.retire(int(i))  # loses nothing and needs no rotation
        wanted = max(1, int(self.params.rotation_fraction * c / eliminate))
        before = -1
        while len(self.rotations) > before:
            before = len(self.rotations)
            rotated: set[int] = set()  # in this round
            for i in self.turns():
                if len(self.rotations) == wanted or self.left == 0:
                    return
                if self.active[i] and i not in rotated and self.rotate([i, *self.partners(i)]):
                    rotated.update(self.rotations[-1][0])

    def turns(self) -> list[int]:
        """Order in which the active columns look for partners."""
        order = [int(i) for i in np.flatnonzero(self.active)]
        for k in range(len(order), 1, -1):
            other = self.random.below(k)
            order[k - 1], order[other] = order[other], order[k - 1]
        if self.params.selection == "random":
            return order
        best = {i: self.pair_loss(i, np.array(self.partners(i)[:1], dtype=int)) for i in order}
        return sorted(order, key=lambda i: min(best[i], default=np.inf))

    def partners(self, i: int) -> list[int]:
        """The best k - 1 active columns for column i; ties go to the smaller index."""
        j = np.flatnonzero(self.active & (self.G[i] != 0))
        j = j[j != i]
        best = np.argsort(-self.score(i, j), kind="stable")[: self.params.order - 1]
        return [int(column) for column in j[best]]

    def score(self, i: int, j: Array) -> Array:
        """How well each of the columns j suits column i."""
        if self.params.criterion == "inner_product":
            return np.abs(self.G[i, j])
        if self.params.criterion == "normalized_inner_product":
            return np.abs(self.G[i, j]) / np.sqrt(self.G[j, j])
        return -self.pair_loss(i, j)

    def pair_loss(self, i: int, j: Array) -> Array:
        """What the pairs (i, j) lose when they are rotated and one of their rows retires."""
        G, A = self.G, self.A
        c, s = diagonalize(G[i, i], G[i, j], G[j, j])

        def row(x: Array, y: Array) -> Array:
            norm2 = x**2 * G[i, i] + 2 * x * y * G[i, j] + y**2 * G[j, j]
            h = x**2 * A[i, i] + 2 * x * y * A[i, j] + y**2 * A[j, j]
            return loss(norm2, h, self.params)

        return np.minimum(row(c, s), row(-s, c))

    def rotate(self, index: list[int]) -> bool:
        """Rotate these columns to the eigenvectors of their Gram matrix and retire some.

        Refuses when there is no partner, or when what would retire costs more than the budget.
        """
        k = len(index)
        if k == 1:
            return False
        norm2, O = eigenvectors(self.G[np.ix_(index, index)])
        h = np.sum((O @ self.A[np.ix_(index, index)]) * O, axis=1)
        by_loss = np.argsort(-loss(norm2, h, self.params), kind="stable")
        kept = k - min(self.params.eliminate, self.left, k - 1)
        dropped2 = 2 * float(np.sum(off2(norm2, h)[by_loss[kept:]]))  # the rows and their columns
        if dropped2 > self.budget:
            return False
        self.budget -= dropped2
        index = [index[r] for r in by_loss]
        O = O[np.ix_(by_loss, by_loss)]
        for M in (self.G, self.A):
            M[index] = O @ M[index]
            M[:, index] = M[:, index] @ O.T
        self.rotations.append((index, O))
        for i in index[kept:]:
            self.retire(i)
        return True

    def retire(self, i: int) -> None:
        """Make column i a wavelet."""
        self.active[i] = False
        self.retired.append(i)
        self.left -= 1
