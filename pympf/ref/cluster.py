"""Clustering of the active columns, the twin of cpp/pympf/mmf/cluster.hpp."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pympf.ref.params import Params
from pympf.ref.random import Random

__all__ = ["cluster", "hub_limit"]

Array = NDArray[np.float64]
Columns = list[int]


def cluster(A: Array, params: Params, level: int) -> tuple[list[Columns], Columns]:
    """Partition the columns into clusters, and those that sit out the stage.

    Not collective.
    """
    clusters: list[Columns] = []
    small: Columns = []
    bypassed: Columns = []
    if params.clustering == "graph":
        found = along_graph(A, params)
    else:
        found, bypassed = AroundAnchors(A, params, level).run()
    for columns in found:
        if len(columns) < params.min_cluster_size and params.bypass:
            small += columns
        elif len(columns) < params.min_cluster_size and clusters:
            clusters[-1] += columns
        else:
            clusters.append(columns)
    return clusters, small + bypassed


def hub_limit(A: Array, params: Params) -> int:
    """Return the number of entries above which a row is a hub."""
    return int(max(32, params.hub_factor * np.count_nonzero(A) / len(A)))


def divide_up(a: int, b: int) -> int:
    """Divide and round up."""
    return -(-a // b)


def along_graph(A: Array, params: Params) -> list[Columns]:
    """Grow clusters of equal size breadth first, each from the frontier of the one before it."""
    n = len(A)
    size = divide_up(n, min(n, max(params.clusters, divide_up(n, params.max_cluster_size))))
    taken = np.zeros(n, dtype=bool)
    clusters: list[Columns] = []
    frontier: Columns = []
    while not taken.all():
        columns: Columns = []
        old_frontier, frontier = frontier, []
        while len(columns) < size and not taken.all():
            i = next(i for i in [*frontier, *old_frontier, *range(n)] if not taken[i])
            taken[i] = True
            columns.append(i)
            frontier += [int(j) for j in np.flatnonzero(A[i])]
        clusters.append(columns)
    return clusters


class AroundAnchors:
    """Clusters around random anchors (the paper's), split again while they are too large.

    Not collective.
    """

    def __init__(self, A: Array, params: Params, level: int) -> None:
        self.A, self.params, self.level = A, params, level
        self.hub = np.count_nonzero(A, axis=1) > hub_limit(A, params)
        self.splits = 0
        self.clusters: list[Columns] = []
        self.bypassed: Columns = []

    def run(self) -> tuple[list[Columns], Columns]:
        """Return the clusters, and the columns that no anchor reached."""
        self.split(list(range(len(self.A))), max(1, self.params.clusters), 0)
        return self.clusters, self.bypassed

    def split(self, columns: Columns, anchors: int, depth: int) -> None:
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
        for members in groups:
            self.split(members, 1, depth + 1)

    def assign(self, columns: Columns, anchors: int) -> NDArray[np.int_]:
        """Number the group of each column; -1 where no anchor reaches."""
        self.splits += 1
        random = Random(self.params.seed, self.level, self.splits)
        group = np.full(len(self.A), -1)
        free = list(columns)
        for _ in range(self.params.max_clustering_iterations):
            drawn = min(anchors, len(free))
            for k in range(drawn):
                other = k + random.below(len(free) - k)
                free[k], free[other] = free[other], free[k]
            best = np.zeros(len(self.A))
            for g, a in enumerate(free[:drawn]):
                overlap = self.overlap(a)
                closer = [j for j in free if overlap[j] > best[j]]
                group[closer], best[closer] = g, overlap[closer]
            group[free[:drawn]] = np.arange(drawn)
            while self.spread(columns, group):
                pass
            free = [j for j in free if group[j] < 0]
        return group

    def overlap(self, a: int) -> Array:
        """|<A_j, A_a>| / ||A_a|| for all columns j, without the rows of hubs but a."""
        through = ~self.hub
        through[a] = True
        norm = np.linalg.norm(self.A[:, a])
        return np.abs(self.A[:, through] @ self.A[through, a]) / (norm if norm > 0 else 1)

    def spread(self, columns: Columns, group: NDArray[np.int_]) -> bool:
        """Let free columns follow, all at once, their most strongly coupled placed neighbour."""
        placed = np.array([j for j in columns if group[j] >= 0])
        free = [i for i in columns if group[i] < 0 and self.A[i, placed].any()]
        group[free] = [group[placed[np.argmax(np.abs(self.A[i, placed]))]] for i in free]
        return bool(free)
