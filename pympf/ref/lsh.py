"""Hash families, buckets and tables, the twin of cpp/pympf/lsh.

A function of a family projects, v = b + a_1 x_1 + … + a_d x_d, in float64, one product and one sum
after the other; a hyperplane's value is [v >= 0], a Euclidean one's floor(v / width) [1]_. The a_j
are float32 numbers and the order is fixed, so a key depends on x and the seed and on nothing else.

References
----------
.. [1] M. Datar, N. Immorlica, P. Indyk, V. Mirrokni, "Locality-sensitive hashing scheme based on
   p-stable distributions", SoCG 2004.
.. [2] Q. Lv, W. Josephson, Z. Wang, M. Charikar, K. Li, "Multi-probe LSH", VLDB 2007, section 4.
"""

from __future__ import annotations

import heapq
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pympf.ref.random import WORD, normal_pair, normals, philox, uniform

__all__ = ["BucketIndex", "Family", "Table", "mix"]

Words = NDArray[np.uint64]
INTEGER_MAX = 2**31 - 1


class Family:
    """`tables` times `functions` hash functions of points with `features` coordinates.

    Not collective. `kind` is 'hyperplane' or 'euclidean'; hyperplanes pass at `offset` times a
    standard normal number from the origin, and have no width.
    """

    def __init__(
        self,
        kind: str,
        features: int,
        functions: int,
        tables: int,
        width: float,
        offset: float,
        seed: int,
    ) -> None:
        self.kind, self.features, self.functions, self.tables = kind, features, functions, tables
        self.width, self.offset, self.seed = width, offset, seed
        names = [(t, f) for t in range(tables) for f in range(functions)]
        self.directions = np.array(
            [normals(features, seed, t, f).astype(np.float32) for t, f in names]
        ).reshape(tables, functions, features)
        self.offsets = np.array([self._offset(t, f) for t, f in names]).reshape(tables, functions)

    def _offset(self, table: int, function: int) -> float:
        words = philox((0, 1, table, function), (self.seed & WORD, self.seed >> 32))
        if self.kind == "euclidean":
            return float(self.width * uniform(words[0], words[1]))
        return float(self.offset * normal_pair(words)[0])

    @property
    def words(self) -> int:
        """Words of 64 bits in a key: bits of hyperplanes, or pairs of 32-bit integers."""
        return -(-self.functions // (64 if self.kind == "hyperplane" else 2))

    def project(self, X: Any) -> NDArray[np.float64]:
        """Give the values v of all functions, shape (n, tables, functions)."""
        X = np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=np.float64)
        v = np.broadcast_to(self.offsets, (len(X), *self.offsets.shape)).copy()
        for j in range(self.features):
            v += self.directions[:, :, j].astype(np.float64) * X[:, j, np.newaxis, np.newaxis]
        if not np.isfinite(v).all():
            raise ValueError("expected projections within the range of float64")
        return v

    def values(self, X: Any) -> NDArray[Any]:
        """Give the hash values, bool or int32, shape (n, tables, functions)."""
        v = self.project(X)
        if self.kind == "hyperplane":
            return v >= 0
        cells = np.floor(v / self.width)
        if cells.size and np.abs(cells).max() > INTEGER_MAX:
            raise ValueError(f"width {self.width}: a hash value does not fit in 32 bits")
        return cells.astype(np.int32)

    def pack(self, values: NDArray[Any]) -> Words:
        """Pack values along the last axis into words, the first one lowest."""
        room = self.words * (64 if self.kind == "hyperplane" else 2) - self.functions
        values = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, room)])
        if self.kind == "hyperplane":
            values = np.packbits(values, axis=-1, bitorder="little")
        return np.ascontiguousarray(values).view("<u8").astype(np.uint64)

    def keys(self, X: Any) -> Words:
        """Give the exact keys, shape (n, tables, words)."""
        return self.pack(self.values(X))

    def keys64(self, X: Any) -> Words:
        """Give keys of 64 bits, shape (n, tables): the exact key if it is that short."""
        return mix(self.keys(X))

    def probes(self, X: Any, count: int) -> Words:
        """Give the keys of the `count` best buckets, shape (n, tables, count, words).

        A perturbation changes one value by one; its score is the squared distance to the plane
        that is crossed, and that of a set of perturbations the sum [2]_.
        """
        v, values = self.project(X), self.values(X)
        found = np.repeat(values[:, :, np.newaxis], count, axis=2)
        for place in np.ndindex(v.shape[:2]):
            moves = self._moves(v[place], values[place])
            for probe, moved in enumerate(_sets(moves, count)):
                for function, step in moved:
                    cell = (*place, probe, function)
                    found[cell] = not found[cell] if step == 0 else found[cell] + step
        return self.pack(found)

    def _moves(self, v: NDArray[np.float64], values: NDArray[Any]) -> list[tuple[float, int, int]]:
        """Give (score, function, step) of all perturbations, best first; step 0 flips a bit."""
        if self.kind == "hyperplane":
            return sorted((float(x * x), f, 0) for f, x in enumerate(v))
        below = v / self.width - values
        down = [(float(r * r), f, -1) for f, r in enumerate(below)]
        return sorted(down + [(float((1 - r) * (1 - r)), f, 1) for f, r in enumerate(below)])


def _sets(moves: list[tuple[float, int, int]], count: int) -> list[list[tuple[int, int]]]:
    """Give the `count` sets of least score that move no function twice, the empty one first."""
    found: list[list[tuple[int, int]]] = [[]]
    heap: list[tuple[float, tuple[int, ...]]] = [(moves[0][0], (0,))]
    while len(found) < count:
        _, places = heapq.heappop(heap)
        last = places[-1] + 1
        if last < len(moves):
            for larger in ((*places[:-1], last), (*places, last)):
                heapq.heappush(heap, (reduce(add, [moves[i][0] for i in larger]), larger))
        functions = [moves[i][1] for i in places]
        if len(set(functions)) == len(functions):
            found.append([moves[i][1:] for i in places])
    return found


def mix(keys: Words) -> Words:
    """Map keys of several words to one: h <- scramble(h ^ word); one word stays as it is."""
    if keys.shape[-1] == 1:
        return keys[..., 0]
    h = np.zeros(keys.shape[:-1], dtype=np.uint64)
    for w in range(keys.shape[-1]):
        h ^= keys[..., w]
        h += np.uint64(0x9E3779B97F4A7C15)
        h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        h ^= h >> np.uint64(31)
    return h


class BucketIndex:
    """Numbers of the buckets that points fall into: 0, 1, … in the order they were first seen."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.buckets: list[dict[bytes, int]] = [{} for _ in range(family.tables)]

    def add(self, X: Any) -> NDArray[np.int64]:
        """Give the buckets of points, shape (n, tables); new ones get the next numbers."""
        return self._look_up(X, lambda known, key: known.setdefault(key, len(known)))

    def find(self, X: Any) -> NDArray[np.int64]:
        """Give the buckets of points, shape (n, tables); -1 where none has been seen."""
        return self._look_up(X, lambda known, key: known.get(key, -1))

    def _look_up(self, X: Any, look_up: Any) -> NDArray[np.int64]:
        keys = self.family.keys(X)
        found = np.empty(keys.shape[:2], dtype=np.int64)
        for i, t in np.ndindex(found.shape):
            found[i, t] = look_up(self.buckets[t], keys[i, t].tobytes())
        return found


class Table:
    """Points, and the distances to those that share a bucket with a query."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.points: dict[int, NDArray[Any]] = {}
        self.next_id = 0

    def add(self, X: NDArray[Any]) -> NDArray[np.int64]:
        """Take points in; their ids count on from the last one ever given."""
        ids = np.arange(self.next_id, self.next_id + len(X))
        self.points |= dict(zip(ids.tolist(), X, strict=True))
        self.next_id += len(X)
        return ids

    def remove(self, ids: Any) -> None:
        """Drop points."""
        for i in ids:
            del self.points[int(i)]

    def candidates(self, x: NDArray[Any], probes: int = 1) -> list[tuple[float, int]]:
        """Give (distance, id) of all points in the buckets probed, nearest first."""
        ids = list(self.points)
        points = np.array([self.points[i] for i in ids])
        keys = self.family.keys(points)[:, :, np.newaxis]
        probed = self.family.probes(x[np.newaxis], probes)
        shared = (keys == probed).all(axis=-1).any(axis=(1, 2))
        difference = points[shared].astype(np.float64) - x
        exponent = int(np.frexp(abs(difference).max(initial=0.0))[1])
        difference = np.ldexp(difference, -exponent)  # so that no square leaves the range
        distances = np.ldexp(np.sqrt((difference * difference).sum(axis=1)), exponent)
        return sorted(zip(distances.tolist(), np.array(ids)[shared].tolist(), strict=True))
