"""Parallel multiresolution matrix factorization, the twin of cpp/pympf/mmf.

A ≈ Q_1^T ... Q_L^T H Q_L ... Q_1 by Algorithms 1 and 2 of the thesis, section 2.2. Everything is
dense: cost O(n^3), meant for a few hundred rows. Random numbers, the order of all choices and the
breaking of ties are those of the C++ code, so that both find the same rotations.

=====================  ========================================
paper                  code
=====================  ========================================
A_p (active part)      `A`
B_1 ∪ ... ∪ B_m        `Stage.clusters`
G = U^T U              `rotation.Search.G`
[A]_{B_u,B_u}          `rotation.Search.A`
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

from pympf.ref.cluster import cluster
from pympf.ref.params import Params
from pympf.ref.random import Random
from pympf.ref.rotation import Rotation, Search

__all__ = ["Factorization", "Params", "Stage", "factorize"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Stage:
    """One stage: Q_p has a row for each coefficient [active | wavelets]."""

    Q: Array
    kept: int
    clusters: list[list[int]]
    rotations: list[list[Rotation]]  # of each cluster
    active: list[int]  # which columns stay, in the order of the next stage
    excess2: float  # squares that the rows chosen to retire drop beyond those that drop least


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


def factorize(
    A: Array, params: Params | None = None, labels: NDArray[np.int64] | None = None
) -> Factorization:
    """Factor a symmetric matrix (Algorithm 1).

    Not collective.

    Parameters
    ----------
    A : numpy.ndarray, shape (n, n)
        Its entries that are not zero are the edges of the graph.
    params : Params
    labels : numpy.ndarray of int, shape (depths, n), optional
        Clusters to take: in stage p the rows with the same label of depth p, the last depth for
        all later stages. Rows are first sorted by their labels, the last depth before the others.

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
    order = np.arange(len(A)) if labels is None else np.lexsort(labels)
    A = A[np.ix_(order, order)]
    given = None if labels is None else labels[:, order]
    allowed2 = params.tolerance**2 * float(np.sum(A**2)) if params.tolerance > 0 else np.inf
    stages: list[Stage] = []
    diagonals: list[Array] = []
    dropped2 = 0.0
    while True:
        stop = "core_size" if len(A) <= params.core_size else "max_stages"
        if stop == "core_size" or len(stages) == params.max_stages:
            break
        level = len(stages) + 1
        if params.retire == "auto":
            params = replace(params, retire=fitting_rule(A, params, level, given))
        stage = find_stage(A, params, level, allowed2 - dropped2, given)
        if stage is None:
            stop = "tolerance" if params.tolerance > 0 else "stalled"
            break
        A, diagonal, lost2 = project(A, stage)
        dropped2 += lost2
        stages.append(stage)
        diagonals.append(diagonal)
        if given is not None:
            given = given[min(1, len(given) - 1) :, stage.active]
    diagonal = np.concatenate([*reversed(diagonals), np.empty(0)])
    if stages:
        stages[0].Q[:, order] = stages[0].Q.copy()
    else:
        A = A[np.ix_(np.argsort(order), np.argsort(order))]
    return Factorization(stages, (A + A.T) / 2, diagonal, scale, float(np.sqrt(dropped2)), stop)


def column_scale(A: Array) -> Array:
    """Return d_i = sqrt ||A_:,i||, and 1 for a zero column."""
    norms = np.linalg.norm(A, axis=0)
    return np.sqrt(np.where(norms > 0, norms, 1))


def fitting_rule(A: Array, params: Params, level: int, labels: NDArray[np.int64] | None) -> str:
    """Return which rows shall retire, by what those of the first stage would drop."""
    stage = rotate_clusters(A, params, level, np.inf, False, labels)
    much = stage.excess2 > 0.1 * float(np.sum(A**2))
    return "absolute" if much and A.diagonal().min() > 0 else "relative"


def find_stage(
    A: Array, params: Params, level: int, left2: float, labels: NDArray[np.int64] | None = None
) -> Stage | None:
    """Find a stage whose drops stay below left2 and leave something for the stages after it.

    Where the Gram matrix does not see all that a row drops (hubs, blocks, what is below the
    rounding of its squares), it tries again with less. None when nothing may retire.
    """
    for attempt in range(4):
        budget = 0.5 * 0.25**attempt * left2
        stage = rotate_clusters(A, params, level, budget, attempt > 0, labels)
        if stage.kept == len(A):
            return None
        if project(A, stage)[2] <= left2:
            return stage
    return None


def rotate_clusters(
    A: Array,
    params: Params,
    level: int,
    dropped2: float,
    certain: bool,
    labels: NDArray[np.int64] | None = None,
) -> Stage:
    """Cluster the active columns, find the rotations of each cluster and multiply them to Q_p."""
    clusters, bypassed = cluster(A, params, level) if labels is None else (runs(labels[0]), [])
    Q = np.eye(len(A))
    rotations: list[list[Rotation]] = []
    active: list[int] = []
    wavelets: list[int] = []
    ends = np.cumsum([0, *map(len, clusters)])
    excess2 = 0.0
    # What may retire before core_size is reached, and what may drop, is shared out by size.
    retire = (len(A) - params.core_size) * ends // max(1, ends[-1])
    for u, B in enumerate(clusters):
        search = Search(A, B, params, Random(params.seed, level, u))
        most = int(min(retire[u + 1] - retire[u], len(B)))
        search.run(most, dropped2 * len(B) / ends[-1], certain)
        excess2 += search.excess2
        rotations.append([([B[i] for i in index], q) for index, q in search.rotations])
        for columns, q in rotations[-1]:
            Q[columns] = q @ Q[columns]
        active += [B[i] for i in np.flatnonzero(search.active)]
        wavelets += [B[i] for i in search.retired]
    active += bypassed
    return Stage(Q[active + wavelets], len(active), clusters, rotations, active, excess2)


def runs(labels: NDArray[np.int64]) -> list[list[int]]:
    """Return the places of each run of equal labels."""
    ends = np.flatnonzero(np.diff(labels)) + 1
    return [run.tolist() for run in np.split(np.arange(len(labels)), ends)]


def project(A: Array, stage: Stage) -> tuple[Array, Array, float]:
    """Split Q_p A Q_p^T into its active part, the diagonal of its wavelets and what is dropped."""
    B = stage.Q @ A @ stage.Q.T
    dropped = B - np.diag(B.diagonal())
    dropped[: stage.kept, : stage.kept] = 0
    return B[: stage.kept, : stage.kept], B.diagonal()[stage.kept :], float(np.sum(dropped**2))
