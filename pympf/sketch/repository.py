"""Sketches on disk, which are searched by similarity and shrink to a budget.

Paper 000, section 1 and 3.1: sketches with common objects have a large inner product, and a prefix
of a sketch is a sketch. So the head of a sketch, its first numbers, is what an LSH index looks at,
what comes near there is compared by all numbers, and the store forgets by cutting tails:

    minimize sum_i v_i d / kept_i  so that  sum_i kept_i <= budget, head <= kept_i <= now_i,

where d / kept_i is the growth of the squared error and v_i = count_i / age_i the worth of a sketch.
The solution is kept_i = clip(λ √v_i): what was not used for long goes first, as with "least
recently used", but piece by piece.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import connected_components

from pympf.la import checks
from pympf.lsh import DistributedTable, HyperplaneHash, Table
from pympf.lsh._gates import checked_ids
from pympf.sketch._segments import OpenSegment, Records
from pympf.sketch._sketch import Sketch
from pympf.sketch._snapshot import NUMBER_BYTES
from pympf.sketch._store import Store

__all__ = ["Repository"]

CHUNK_BYTES = 1 << 26
"""Of sketches that are read at a time."""

Array = NDArray[Any]


class Repository(Store):
    """Sketches of one scheme in a directory.

    One process may write, any number read; a reader sees the commits by `refresh`. What was
    committed survives a writer that is killed at any time. Numbers are kept as float32.

    Collective where there is a communicator: ranks add sketches of their own and share out the
    index; the directory must be visible to all.

    Parameters
    ----------
    path : str or os.PathLike
    mode : {'r', 'a'}
        'a' takes the lock of the writer.
    functions, tables : int
        Of the LSH index of hyperplanes, by default 12 and 8.
    comm : mpi4py.MPI.Comm, optional

    Raises
    ------
    OSError
        If there is no repository, a file is truncated, damaged or foreign, or another process
        writes.

    References
    ----------
    .. [1] B. Ghazi, R. Panigrahy, J. R. Wang, "Recursive sketches for modular deep learning", ICML
       2019, section 3.1 and theorem 2.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from pympf.sketch import Graph, Repository, Scheme
    >>> scheme = Scheme(1050, b=42, seed=1)
    >>> def scene(x):
    ...     graph = Graph()
    ...     graph.add("it", "cat", x / np.linalg.norm(x))
    ...     graph.set_output({"it": 1.0})
    ...     return scheme.sketch(graph)
    >>> cats = np.random.default_rng(0).random((20, 8))
    >>> path = os.path.join(tempfile.mkdtemp(), "cats")
    >>> with Repository.create(path, scheme) as repository:
    ...     ids = repository.add([scene(x) for x in cats])
    >>> repository = Repository(path)
    >>> len(repository), repository.bytes
    (20, 84000)
    >>> similarity, found = repository.query([scene(cats[7] + 0.01)], k=1)
    >>> int(found[0, 0]), round(float(similarity[0, 0]), 3)
    (7, 1.0)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        mode: str = "r",
        *,
        functions: int = 12,
        tables: int = 8,
        comm: Any = None,
    ) -> None:
        self._functions = checks.integer(functions, "functions", 1, 1 << 16)
        self._tables = checks.integer(tables, "tables", 1, 1 << 10)
        self._index: Any = None
        super().__init__(path, mode, comm)
        self._ranks.same((functions, tables), "index")

    def _load(self) -> None:
        super()._load()
        self._index, self._index_ids = None, np.zeros(0, np.int64)

    # ---- what changes it ----------------------------------------------------------------------
    def remove(self, ids: ArrayLike) -> None:
        """Drop sketches, and commit.

        Collective; the same ids on all ranks.

        Parameters
        ----------
        ids : array_like of int, shape (n,)

        Raises
        ------
        ValueError
            If there is no sketch with one of the ids.

        Examples
        --------
        See `merge`.
        """
        self.commit()
        with self._ranks.guard():
            wanted = np.unique(checked_ids(ids))
            self._places(wanted)
        self._ranks.same(wanted.tolist(), "ids")
        removed = np.union1d(self._manifest.removed, wanted)
        if self._index is not None:
            at = np.nonzero(np.isin(self._index_ids, wanted))[0]
            self._index.remove(at if self._ranks.rank == 0 else at[:0])
        self._replace([], [], removed=removed)

    def touch(self, ids: ArrayLike) -> None:
        """Note that sketches were used, and commit: they will be forgotten later than others.

        Collective; the same ids on all ranks.

        Parameters
        ----------
        ids : array_like of int, shape (n,)

        Examples
        --------
        See `forget`.
        """
        self.commit()
        with self._ranks.guard():
            wanted = np.unique(checked_ids(ids))
            self._places(wanted)
        clock, old = self._manifest.clock + 1, self._manifest.touched
        new = np.stack([wanted, np.full(len(wanted), clock)], axis=1)
        touched = np.concatenate([old[~np.isin(old[:, 0], wanted)], new])
        self._replace([], [], touched=touched[np.argsort(touched[:, 0])], clock=clock)

    def merge(self, ids: ArrayLike, label: str = "") -> int:
        """Put one summary sketch, the mean, in the place of several, and commit.

        Collective. Sketches are linear in what they describe, so a summary answers for the mean
        attributes and numbers of its members; it keeps as many numbers as the shortest of them.

        Parameters
        ----------
        ids : array_like of int, shape (n,)
        label : str

        Returns
        -------
        int
            The id of the summary.

        Raises
        ------
        ValueError
            If there are no ids, or no sketch with one of them.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> from pympf.sketch import Repository, Scheme
        >>> path = os.path.join(tempfile.mkdtemp(), "some")
        >>> with Repository.create(path, Scheme(1050, b=42)) as repository:
        ...     ids = repository.add(np.random.default_rng(0).standard_normal((3, 1050)))
        ...     one = repository.merge(ids[:2], "pair")
        ...     repository.ids.tolist(), repository.counts([one]).tolist(), repository.labels([one])
        ([2, 3], [2], ['pair'])
        """
        self.commit()
        with self._ranks.guard():
            members = np.unique(checked_ids(ids))
            if len(members) == 0:
                raise ValueError("ids: expected at least one")
            width = int(self.kept(members).min())
            records = self._read(members, width)
        weights = records.count / records.count.sum()
        mean = (weights[None] @ records.values.astype(np.float64)).astype(np.float32)
        summary = Records(
            np.array([self._manifest.next_id]), records.count.sum(keepdims=True),
            records.used.max(keepdims=True), [str(label)], mean,
        )  # fmt: skip
        if self._index is not None:
            at = np.nonzero(np.isin(self._index_ids, members))[0]
            self._index.remove(at if self._ranks.rank == 0 else at[:0])
        removed = np.union1d(self._manifest.removed, members)
        written = [summary] if self._ranks.rank == 0 else []
        self._replace(written, [], removed=removed, next_id=self._manifest.next_id + 1)
        return int(summary.ids[0])

    def forget(self, budget: float) -> None:
        """Cut tails until all numbers take at most so many bytes, and commit.

        Collective. What is worth least loses most: see the head of this module. Widths are rounded
        down to head · 2^j, so that there are few kinds of segments.

        Parameters
        ----------
        budget : float
            Bytes of the numbers of all sketches.

        Raises
        ------
        ValueError
            If not even the heads fit: then merge or remove sketches first.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> from pympf.sketch import Repository, Scheme
        >>> path = os.path.join(tempfile.mkdtemp(), "some")
        >>> with Repository.create(path, Scheme(1050, b=42)) as repository:
        ...     ids = repository.add(np.random.default_rng(0).standard_normal((4, 1050)))
        ...     repository.commit()
        ...     for _ in range(8):
        ...         repository.touch(ids[:1])
        ...     repository.forget(repository.bytes / 2)
        ...     repository.kept(ids).tolist(), repository.sketches(ids[1:2])[0].kept
        ([1050, 264, 264, 264], 264)
        """
        self.commit()
        with self._ranks.guard():
            budget = checks.number(budget, "budget", least=0.0)
            least = NUMBER_BYTES * self._manifest.head * len(self)
            if budget < least:
                raise ValueError(
                    f"budget = {budget:.0f} bytes is below the {least} of the heads of {len(self)} "
                    "sketches; merge or remove some first"
                )
        now = self.kept(self._ids)
        age = self._manifest.clock + 1 - self.used(self._ids)
        worth = self.counts(self._ids) / age
        new = widths_within(budget / NUMBER_BYTES, worth, now, self._manifest.head)
        changed = np.unique(self._place[new < now]).tolist()
        if changed:
            self._rewrite(changed, new[np.isin(self._place, changed)])

    # ---- searching -------------------------------------------------------------------------------
    def _family(self) -> HyperplaneHash:
        head = self._manifest.head
        return HyperplaneHash(head, n_functions=self._functions, n_tables=self._tables, seed=1)

    def _build_index(self) -> None:
        """Hash the heads of all sketches. Collective."""
        if self._index is None:
            family, comm = self._family(), self._ranks.comm
            if self._ranks.size > 1:
                self._index = DistributedTable(family, comm, dtype=np.float32)
            else:
                self._index = Table(family, dtype=np.float32)
            self._index_ids = np.zeros(0, np.int64)
            self._extend_index(self._segments)

    def _extend_index(self, segments: list[OpenSegment]) -> None:
        """Hash the heads of new segments, each rank its share. Collective."""
        if self._index is None:
            return
        step = max(1, CHUNK_BYTES // (NUMBER_BYTES * self._manifest.head))
        for segment in segments:
            there = np.nonzero(np.isin(segment.ids, self._ids))[0]
            for start in range(0, max(len(there), 1), step * self._ranks.size):
                chunk = there[start : start + step * self._ranks.size]
                mine = self._ranks.cut(len(chunk))
                heads = segment.heads[chunk[mine.start : mine.stop]]
                self._index.add(unit_rows(heads))
                self._index_ids = np.concatenate([self._index_ids, segment.ids[chunk]])

    def query(
        self,
        sketches: Sequence[Sketch] | ArrayLike,
        k: int = 10,
        *,
        probes: int = 8,
        candidates: int = 64,
    ) -> tuple[Array, Array]:
        """Find the sketches that are most similar, among those that the index leads to.

        Collective. Each rank brings queries of its own; the answers are those of one process.

        Parameters
        ----------
        sketches : sequence of Sketch, or array_like of shape (n, d)
        k : int
            How many are wanted.
        probes : int
            Buckets of the index to look into, in each table; no more than there are.
        candidates : int
            So many, nearest by their heads, are compared by all numbers; at least k.

        Returns
        -------
        similarities : numpy.ndarray of float64, shape (n, k)
            Cosines over the numbers that both have, descending; -inf where fewer were found.
        ids : numpy.ndarray of int64, shape (n, k)
            -1 where fewer were found.

        Raises
        ------
        ValueError, TypeError
            If a sketch is of another scheme, or has another shape.

        Examples
        --------
        See `Repository`.
        """
        with self._ranks.guard():
            k = checks.integer(k, "k", 1, 1 << 20)
            candidates = max(k, checks.integer(candidates, "candidates", 1, 1 << 24))
            most = self._family()._most_probes()
            probes = min(checks.integer(probes, "probes", 1, 1 << 30), most)
            parts = self._checked(sketches, None, None)
        self._build_index()
        total = sum(len(part.ids) for part in parts)
        queries = np.zeros((total, self._manifest.d), np.float32)
        widths = np.zeros(total, np.int64)
        for part in parts:
            queries[part.ids, : part.values.shape[1]] = part.values
            widths[part.ids] = part.values.shape[1]
        heads = unit_rows(queries[:, : self._manifest.head])
        if isinstance(self._index, Table):
            _, near = self._index.query_batch(heads, candidates, probes=probes)
        else:
            _, near = self._index.query(heads, candidates, probes=probes)
        found = np.where(near >= 0, self._index_ids[near] if len(self._index_ids) else -1, -1)
        return self._ranked(queries, widths, found, k)

    def _ranked(self, queries: Array, widths: Array, found: Array, k: int) -> tuple[Array, Array]:
        """Order candidates by similarity; equal ones by their ids."""
        similarity = np.full(found.shape, -np.inf)
        which, column = np.nonzero(found >= 0)
        place, row = self._places(found[which, column])
        step = max(1, CHUNK_BYTES // (NUMBER_BYTES * self._manifest.d))
        for s in np.unique(place):
            here = np.nonzero(place == s)[0]
            for chunk in (here[i : i + step] for i in range(0, len(here), step)):
                values = self._segments[s].values(row[chunk])
                similarity[which[chunk], column[chunk]] = cosines(
                    queries[which[chunk]], widths[which[chunk]], values
                )
        order = np.lexsort((found, -similarity), axis=1)[:, :k]
        found = np.take_along_axis(found, order, axis=1)
        return np.take_along_axis(similarity, order, axis=1), found

    def clusters(
        self, similarity: float, *, least: int = 2, neighbours: int = 8, probes: int = 8
    ) -> list[Array]:
        """Find groups of similar sketches: candidates for new modules, or for `merge`.

        Collective. Two sketches are joined where one is among the nearest of the other and their
        cosine reaches `similarity`; groups are the connected parts.

        Parameters
        ----------
        similarity : float
            Least cosine.
        least : int
            Smallest group.
        neighbours : int
            How many of the nearest are looked at.
        probes : int
            As in `query`.

        Returns
        -------
        list of numpy.ndarray
            Ids, ascending; the largest group first.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> from pympf.sketch import Repository, Scheme
        >>> rng = np.random.default_rng(0)
        >>> kinds = rng.standard_normal((2, 1050))
        >>> path = os.path.join(tempfile.mkdtemp(), "kinds")
        >>> with Repository.create(path, Scheme(1050, b=42)) as repository:
        ...     ids = repository.add(kinds[[0, 1, 0, 0, 1]] + 0.3 * rng.standard_normal((5, 1050)))
        ...     repository.commit()
        ...     repository.clusters(0.8)
        [array([0, 2, 3]), array([1, 4])]
        """
        self._ranks.same((similarity, least, neighbours, probes), "settings")
        step = max(1, CHUNK_BYTES // (NUMBER_BYTES * self._manifest.d))
        edges = []
        for start in range(0, len(self._ids), step * self._ranks.size):
            chunk = self._ids[start : start + step * self._ranks.size]
            cut = self._ranks.cut(len(chunk))
            mine = chunk[cut.start : cut.stop]
            whole = np.zeros((len(mine), self._manifest.d), np.float32)
            kept = self.kept(mine)
            for width in np.unique(kept):
                whole[kept == width, :width] = self._read(mine[kept == width], int(width)).values
            close, near = self.query(whole, neighbours + 1, probes=probes)
            a, b = np.nonzero((close >= similarity) & (near >= 0))
            edges.append(np.stack([mine[a], near[a, b]]))
        joined = np.concatenate(self._every(edges) or [np.zeros((2, 0), np.int64)], axis=1)
        i, j = np.searchsorted(self._ids, joined)
        graph = sp.coo_array((np.ones(len(i)), (i, j)), shape=(len(self), len(self)))
        _, part = connected_components(graph, directed=False)
        order = np.argsort(part, kind="stable")
        groups = np.split(self._ids[order], np.cumsum(np.bincount(part))[:-1]) if len(part) else []
        groups = [group for group in groups if len(group) >= least]
        return sorted(groups, key=lambda group: (-len(group), group[0]))


def widths_within(total: float, worth: Array, now: Array, head: int) -> Array:
    """Minimize the sum of worth / width within a total; widths are `now` or head · 2^j.

    Not collective.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.sketch.repository import widths_within
    >>> widths_within(200, np.array([1.0, 0.8, 0.01]), np.array([100, 100, 100]), 10).tolist()
    [100, 80, 10]
    """
    if now.sum() <= total:
        return now.copy()
    root = np.sqrt(worth)

    def widths(factor: float) -> Array:
        ideal = np.clip(factor * root, head, now)
        power = np.floor(np.log2(ideal / head) + 1e-12)
        return np.where(ideal >= now, now, np.minimum(now, (head * 2.0**power).astype(np.int64)))

    low, high = 0.0, float(now.max() / root.min())
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if widths(middle).sum() <= total else (low, middle)
    new = widths(low)
    # What rounding down has left goes where a step up gains most for a number.
    step = np.minimum(now, 2 * new) - new
    gain = worth * (1 / new - 1 / (new + step)) / np.maximum(step, 1)
    order = np.argsort(-gain, kind="stable")
    grown = order[np.cumsum(step[order]) <= total - new.sum()]
    new[grown] += step[grown]
    return new


def unit_rows(X: Array) -> Array:
    """Scale rows to norm 1; rows of zeros stay."""
    norms = np.linalg.norm(X.astype(np.float64), axis=1, keepdims=True)
    return np.ascontiguousarray(X / np.where(norms > 0, norms, 1), dtype=np.float32)


def cosines(queries: Array, widths: Array, values: Array) -> Array:
    """Return the cosines of pairs of rows over the numbers that both have."""
    common = np.minimum(widths, values.shape[1])
    out = np.zeros(len(values))
    for width in np.unique(common):
        at = common == width
        q, v = queries[at, :width].astype(np.float64), values[at, :width].astype(np.float64)
        norms = np.linalg.norm(q, axis=1) * np.linalg.norm(v, axis=1)
        out[at] = np.einsum("ij,ij->i", q, v) / np.where(norms > 0, norms, 1)
    return out
