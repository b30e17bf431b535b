"""Sketches on disk, which are searched by similarity and shrink to a budget.

Paper 000, section 1 and 3.1: sketches with common objects have a large inner product, and a prefix
of a sketch is a sketch. So the head of a sketch, its first numbers, is what an LSH index looks at,
what comes near there is compared by all numbers, and the store forgets by cutting tails:

    minimize sum over i of v_i d / kept_i,  so that sum of kept_i <= budget, head <= kept_i <= now_i,

where d / kept_i is the growth of the squared error and v_i = count_i / age_i the worth of a sketch.
The solution is kept_i = clip(λ √v_i): what was not used for long goes first, as with "least recently
used", but piece by piece.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import connected_components

from pympf import la
from pympf._mpi import check_communicator, first_row, from_first, is_parallel, on_all, own, same_on_all
from pympf.lsh import DistributedTable, HyperplaneHash, Table
from pympf.lsh._gates import checked_ids, checked_integer, checked_number
from pympf.sketch._segments import Manifest, OpenSegment, Records, lock, open_segment, write_segment
from pympf.sketch.scheme import Scheme, Sketch

__all__ = ["Repository"]

MODES = ("r", "a")
PENDING_BYTES = 1 << 28
"""What `add` holds back before it writes by itself."""
SMALL_SEGMENTS = 8
"""So many segments of one width and size class are made one."""
CHUNK_BYTES = 1 << 26
"""Of sketches that are read at a time."""
NUMBER_BYTES = 4

Array = NDArray[Any]


class Repository:
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
        if comm is not None:
            check_communicator(comm)
        self._comm = own(comm)
        if mode not in MODES:
            raise ValueError(f"mode = {mode!r} is not one of {', '.join(MODES)}")
        self.path, self.mode = Path(path), mode
        self._functions = checked_integer("functions", functions, 1, 1 << 16)
        self._tables = checked_integer("tables", tables, 1, 1 << 10)
        same_on_all(comm, (str(self.path), mode, functions, tables), "repository")
        self._closing = ExitStack()
        self._pending: list[Records] = []
        with on_all(comm):
            Manifest.read(self.path)
            if mode == "a" and self._is_first():
                self._closing.enter_context(lock(self.path))
                Manifest.read(self.path).sweep(self.path)
        self._load()

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        scheme: Scheme,
        *,
        head: int | None = None,
        comm: Any = None,
        **options: Any,
    ) -> Repository:
        """Make an empty repository, and open it for writing.

        Collective.

        Parameters
        ----------
        path : str or os.PathLike
            A directory that is not there, or empty.
        scheme : Scheme
            Whose sketches it will hold.
        head : int, optional
            Numbers that the index looks at, and that are never forgotten; by default d / 16.
        comm : mpi4py.MPI.Comm, optional
        **options
            As in `Repository`.

        Returns
        -------
        Repository

        Raises
        ------
        OSError
            If there is something at `path`, or it cannot be written.

        Examples
        --------
        See `Repository`.
        """
        same_on_all(comm, (scheme.parameters, head), "scheme")
        root = Path(path)
        with on_all(comm):
            head = -(-scheme.d // 16) if head is None else checked_integer("head", head, 1, scheme.d)
            if not is_parallel(comm) or comm.rank == 0:
                if root.exists() and (not root.is_dir() or any(root.iterdir())):
                    raise FileExistsError(f"{path}: expected no directory, or an empty one")
                root.mkdir(parents=True, exist_ok=True)
                Manifest(scheme.checksum, json.dumps(scheme.parameters), scheme.d, head).write(root)
        return cls(path, "a", comm=comm, **options)

    # ---- what it holds ---------------------------------------------------------------------------
    def _is_first(self) -> bool:
        return not is_parallel(self._comm) or self._comm.rank == 0

    def _load(self) -> None:
        """Take over the last commit. Collective."""
        for attempt in range(10):
            manifest = Manifest.read(self.path) if self._is_first() else None
            self._manifest = from_first(self._comm, manifest)
            try:
                with on_all(self._comm):
                    opened = [
                        open_segment(self.path, s, self._manifest.head) for s in self._manifest.segments
                    ]
                break
            except FileNotFoundError:  # a commit came between
                if attempt == 9:
                    raise
        self._set_segments(opened)
        self._index: Any = None
        self._index_ids = np.zeros(0, np.int64)

    def _set_segments(self, opened: list[OpenSegment]) -> None:
        """Note where the sketch of each id is."""
        self._segments = opened
        rows = [len(s.ids) for s in opened]
        ids = np.concatenate([s.ids for s in opened]) if opened else np.zeros(0, np.int64)
        place = np.repeat(np.arange(len(opened)), rows)
        row = np.concatenate([np.arange(n) for n in rows]) if opened else np.zeros(0, np.int64)
        order = np.argsort(ids, kind="stable")
        order = order[~np.isin(ids[order], self._manifest.removed)]
        self._ids, self._place, self._row = ids[order], place[order], row[order]
        if (np.diff(self._ids) <= 0).any():
            raise OSError(f"{self.path}: two sketches have one id")

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def ids(self) -> Array:
        """The ids of all sketches that are committed, ascending."""
        return self._ids.copy()

    @property
    def scheme(self) -> Scheme:
        """The scheme of its sketches, made anew."""
        return Scheme(**json.loads(self._manifest.parameters))

    @property
    def bytes(self) -> int:
        """Bytes of all numbers that are kept."""
        return int(NUMBER_BYTES * self.kept(self._ids).sum())

    def _places(self, ids: ArrayLike) -> tuple[Array, Array]:
        """Give segment and row of ids, or raise ValueError."""
        wanted = checked_ids(ids)
        at = np.minimum(np.searchsorted(self._ids, wanted), max(len(self._ids) - 1, 0))
        if len(wanted) and (len(self._ids) == 0 or (self._ids[at] != wanted).any()):
            missing = wanted if len(self._ids) == 0 else wanted[self._ids[at] != wanted]
            raise ValueError(f"there is no sketch with the id {missing[0]}")
        return self._place[at], self._row[at]

    def _gather(self, ids: ArrayLike, name: str) -> Array:
        place, row = self._places(ids)
        out = np.zeros(len(row), np.int64)
        for s in np.unique(place):
            out[place == s] = getattr(self._segments[s], name)[row[place == s]]
        return out

    def kept(self, ids: ArrayLike) -> Array:
        """Return how many numbers of sketches are left.

        Not collective.

        Parameters
        ----------
        ids : array_like of int, shape (n,)

        Examples
        --------
        See `forget`.
        """
        place, _ = self._places(ids)
        return np.array([s.segment.width for s in self._segments], np.int64)[place]

    def counts(self, ids: ArrayLike) -> Array:
        """Return for how many sketches each stands: more than 1 for summaries.

        Not collective.

        Parameters
        ----------
        ids : array_like of int, shape (n,)

        Examples
        --------
        See `merge`.
        """
        return self._gather(ids, "count")

    def used(self, ids: ArrayLike) -> Array:
        """Return when sketches were last used, in ticks: commits and calls of `touch`.

        Not collective.

        Parameters
        ----------
        ids : array_like of int, shape (n,)

        Examples
        --------
        See `forget`.
        """
        ticks, touched = self._gather(ids, "used"), self._manifest.touched
        if len(touched):
            wanted = checked_ids(ids)
            at = np.minimum(np.searchsorted(touched[:, 0], wanted), len(touched) - 1)
            ticks = np.where(touched[at, 0] == wanted, np.maximum(ticks, touched[at, 1]), ticks)
        return ticks

    def labels(self, ids: ArrayLike) -> list[str]:
        """Return the labels of sketches.

        Not collective.

        Parameters
        ----------
        ids : array_like of int, shape (n,)

        Examples
        --------
        See `merge`.
        """
        return [self._segments[s].labels[i] for s, i in zip(*self._places(ids), strict=True)]

    def sketches(self, ids: ArrayLike) -> list[Sketch]:
        """Read sketches.

        Not collective.

        Parameters
        ----------
        ids : array_like of int, shape (n,)

        Returns
        -------
        list of Sketch

        Raises
        ------
        ValueError
            If there is no sketch with one of the ids.

        Examples
        --------
        See `forget`.
        """
        found = []
        for s, row in zip(*self._places(ids), strict=True):
            values = np.zeros(self._manifest.d)
            width = self._segments[s].segment.width
            values[:width] = self._segments[s].values(np.array([row]))[0]
            found.append(Sketch(values, self._manifest.checksum, width))
        return found

    # ---- writing ---------------------------------------------------------------------------------
    def add(
        self,
        sketches: Sequence[Sketch] | ArrayLike,
        labels: Sequence[str] | None = None,
        *,
        kept: int | None = None,
    ) -> Array:
        """Take in sketches; `commit` makes them last.

        Not collective; under a communicator collective, and ids count on through the sketches of rank
        0, of rank 1, and so on.

        Parameters
        ----------
        sketches : sequence of Sketch, or array_like of shape (n, d)
            An array is taken to be of this repository's scheme.
        labels : sequence of str, optional
        kept : int, optional
            How many numbers of the rows of an array are left; by default all.

        Returns
        -------
        numpy.ndarray of int64, shape (n,)
            Their ids.

        Raises
        ------
        ValueError, TypeError
            If sketches are of another scheme, shorter than the head, or not finite.
        OSError
            If the repository is open for reading.

        Examples
        --------
        See `Repository`.
        """
        with on_all(self._comm):
            self._require_writing()
            parts = self._checked(sketches, labels, kept)
            count = sum(len(part.values) for part in parts)
        counts = self._comm.allgather(count) if is_parallel(self._comm) else [count]
        rank = self._comm.rank if is_parallel(self._comm) else 0
        first = self._manifest.next_id + sum(counts[:rank])
        for part in parts:
            part.ids += first
            part.used[:] = self._manifest.clock + 1
        self._manifest.next_id += sum(counts)
        self._pending += parts
        pending = sum(part.values.nbytes for part in self._pending)
        if is_parallel(self._comm):
            pending = max(self._comm.allgather(pending))
        if pending >= PENDING_BYTES:
            self.commit()
        return np.arange(first, first + count)

    def _require_writing(self) -> None:
        if self.mode != "a":
            raise OSError(f"{self.path}: open for reading; open it with mode='a' to write")

    def _checked(self, sketches: Any, labels: Sequence[str] | None, kept: int | None) -> list[Records]:
        """Give records by width, whose ids are places."""
        d, head = self._manifest.d, self._manifest.head
        if isinstance(sketches, Sketch):
            sketches = [sketches]
        if not isinstance(sketches, np.ndarray) and any(isinstance(s, Sketch) for s in sketches):
            widths = np.array([self._checked_sketch(s).kept for s in sketches])
            values = np.stack([s.values for s in sketches])
        else:
            la.refuse_masked(sketches, "sketches")
            values = la.exact_real(np.asarray(sketches), "sketches")
            if values.ndim != 2 or values.shape[1] != d:
                raise ValueError(f"sketches: expected shape (n, {d}), got {values.shape}")
            width = d if kept is None else checked_integer("kept", kept, 1, d)
            widths = np.full(len(values), width)
        with np.errstate(over="ignore"):
            values = values.astype(np.float32, copy=False)
        for start in range(0, len(values), 4096):  # a part at a time: the mask stays small
            if not np.isfinite(values[start : start + 4096]).all():
                raise ValueError("sketches: expected finite numbers in the range of float32")
        if len(widths) and widths.min() < head:
            raise ValueError(f"expected at least {head} numbers of a sketch, got {widths.min()}")
        texts = [""] * len(values) if labels is None else [str(label) for label in labels]
        if len(texts) != len(values):
            raise ValueError(f"labels: expected {len(values)}, got {len(texts)}")
        ones = np.ones(len(values), np.int64)
        whole = Records(np.arange(len(values)), ones, ones.copy(), texts, values)
        return list(by_width(whole, widths))

    def _checked_sketch(self, sketch: Sketch) -> Sketch:
        if not isinstance(sketch, Sketch):
            raise TypeError(f"expected sketches, got a {type(sketch).__name__} among them")
        if sketch.scheme != self._manifest.checksum:
            raise ValueError(
                f"expected sketches of the scheme {self._manifest.checksum}, got one of {sketch.scheme}"
            )
        return sketch

    def commit(self) -> None:
        """Make all that was added last: after this, no crash undoes it.

        Collective.

        Raises
        ------
        OSError
            If a file cannot be written: then what was added waits for the next commit.

        Examples
        --------
        See `Repository`.
        """
        self._require_writing()
        pending = list(joined_by_width(self._pending))
        if not any(self._every(len(part.ids) for part in pending)):
            return
        self._replace(pending, dropped=[], clock=self._manifest.clock + 1)
        self._pending = []
        self._compact()

    def _every(self, values: Iterable[Any]) -> list[Any]:
        """Give the values of all ranks, rank by rank. Collective."""
        mine = list(values)
        return sum(self._comm.allgather(mine), []) if is_parallel(self._comm) else mine

    def _replace(self, records: list[Records], dropped: list[int], **changes: Any) -> None:
        """Write records of each rank as new segments, drop some old ones, and commit. Collective."""
        comm, manifest = self._comm, self._manifest
        counts = comm.allgather(len(records)) if is_parallel(comm) else [len(records)]
        first = manifest.next_segment + sum(counts[: comm.rank if is_parallel(comm) else 0])
        with on_all(comm):
            own = [
                write_segment(self.path, first + i, part, manifest.head)
                for i, part in enumerate(records)
            ]
        written = self._every(own)
        gone = [manifest.segments[i] for i in dropped]
        kept = [s for i, s in enumerate(manifest.segments) if i not in dropped]
        new = Manifest(**{**manifest.__dict__, **changes})
        new.segments, new.generation = kept + written, manifest.generation + 1
        new.next_segment = manifest.next_segment + sum(counts)
        with on_all(comm):
            if self._is_first():
                new.write(self.path)
        self._manifest = new
        with on_all(comm):
            opened = [open_segment(self.path, s, new.head) for s in written]
        self._set_segments([s for i, s in enumerate(self._segments) if i not in dropped] + opened)
        if self._is_first():
            for segment in gone:
                segment.path(self.path).unlink(missing_ok=True)
        self._extend_index(opened if not dropped else [])

    def _compact(self) -> None:
        """Make one segment of many small ones of a width and a size class. Collective.

        A sketch is copied once for each class: log₈ n times.
        """
        while True:
            classes: dict[tuple[int, int], list[int]] = {}
            for i, s in enumerate(self._manifest.segments):
                size_class = int(math.log(max(s.rows, 1), SMALL_SEGMENTS))
                classes.setdefault((s.width, size_class), []).append(i)
            full = [places for places in classes.values() if len(places) >= SMALL_SEGMENTS]
            if not full:
                return
            self._rewrite(full[0])

    def _rewrite(self, segments: list[int], widths: Array | None = None) -> None:
        """Write segments anew, without what was removed, perhaps shorter. Collective.

        `widths` belong to the ids, ascending, of these segments. Rank 0 writes.
        """
        records: list[Records] = []
        inside = np.isin(self._place, segments)
        ids = self._ids[inside]
        if self._is_first() and len(ids):
            new = self.kept(ids) if widths is None else widths
            for width in np.unique(new):
                records.append(self._read(ids[new == width], int(width)))
        gone = np.concatenate([self._segments[i].ids for i in segments])
        left = self._manifest.removed[~np.isin(self._manifest.removed, gone)]
        touched = self._manifest.touched[~np.isin(self._manifest.touched[:, 0], gone)]
        self._replace(records, segments, removed=left, touched=touched)

    def _read(self, ids: Array, width: int) -> Records:
        """Read the sketches of ids, cut to a width."""
        place, row = self._places(ids)
        values = np.empty((len(ids), width), np.float32)
        for s in np.unique(place):
            segment, at = self._segments[s], np.nonzero(place == s)[0]
            head = segment.heads.shape[1]
            values[at, :head] = segment.heads[row[at]]
            values[at, head:] = segment.tails[row[at], : width - head]
        return Records(ids, self.counts(ids), self.used(ids), self.labels(ids), values)

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
        with on_all(self._comm):
            wanted = np.unique(checked_ids(ids))
            self._places(wanted)
        same_on_all(self._comm, wanted.tolist(), "ids")
        removed = np.union1d(self._manifest.removed, wanted)
        if self._index is not None:
            at = np.nonzero(np.isin(self._index_ids, wanted))[0]
            self._index.remove(at if self._is_first() else at[:0])
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
        with on_all(self._comm):
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
        with on_all(self._comm):
            members = np.unique(checked_ids(ids))
            if len(members) == 0:
                raise ValueError("ids: expected at least one")
            width = int(self.kept(members).min())
            records = self._read(members, width)
        weights = records.count / records.count.sum()
        mean = np.float64(weights @ records.values.astype(np.float64))[None].astype(np.float32)
        summary = Records(
            np.array([self._manifest.next_id]), records.count.sum(keepdims=True),
            records.used.max(keepdims=True), [str(label)], mean,
        )  # fmt: skip
        if self._index is not None:
            at = np.nonzero(np.isin(self._index_ids, members))[0]
            self._index.remove(at if self._is_first() else at[:0])
        removed = np.union1d(self._manifest.removed, members)
        written = [summary] if self._is_first() else []
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
        with on_all(self._comm):
            budget = checked_number("budget", budget, lowest=0.0)
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
            parallel = is_parallel(self._comm)
            kind = DistributedTable(self._family(), self._comm, dtype=np.float32)
            self._index = kind if parallel else Table(self._family(), dtype=np.float32)
            self._index_ids = np.zeros(0, np.int64)
            self._extend_index(self._segments)

    def _extend_index(self, segments: list[OpenSegment]) -> None:
        """Hash the heads of new segments, each rank its share. Collective."""
        if self._index is None:
            return
        ranks, rank = (self._comm.size, self._comm.rank) if is_parallel(self._comm) else (1, 0)
        step = max(1, CHUNK_BYTES // (NUMBER_BYTES * self._manifest.head))
        for segment in segments:
            there = np.nonzero(np.isin(segment.ids, self._ids))[0]
            for start in range(0, max(len(there), 1), step * ranks):
                chunk = there[start : start + step * ranks]
                cuts = [first_row(len(chunk), place, ranks) for place in (rank, rank + 1)]
                heads = segment.heads[chunk[cuts[0] : cuts[1]]]
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

        Collective, with queries of each rank; the same answers as on one.

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
        with on_all(self._comm):
            k = checked_integer("k", k, 1, 1 << 20)
            candidates = max(k, checked_integer("candidates", candidates, 1, 1 << 24))
            most = self._family()._most_probes()
            probes = min(checked_integer("probes", probes, 1, 1 << 30), most)
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
        same_on_all(self._comm, (similarity, least, neighbours, probes), "settings")
        ranks, rank = (self._comm.size, self._comm.rank) if is_parallel(self._comm) else (1, 0)
        step = max(1, CHUNK_BYTES // (NUMBER_BYTES * self._manifest.d))
        edges = []
        for start in range(0, len(self._ids), step * ranks):
            chunk = self._ids[start : start + step * ranks]
            mine = chunk[first_row(len(chunk), rank, ranks) : first_row(len(chunk), rank + 1, ranks)]
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

    # ---- opening and closing ---------------------------------------------------------------------
    def refresh(self) -> bool:
        """Take over what the writer has committed since; True if there was anything.

        Collective. A writer has nothing to take over.

        Examples
        --------
        See `Repository`.
        """
        if self.mode == "a":
            return False
        now = from_first(self._comm, Manifest.read(self.path).generation if self._is_first() else 0)
        if now == self._manifest.generation:
            return False
        self._load()
        return True

    def check(self) -> None:
        """Read all numbers and compare their checksums.

        Collective.

        Raises
        ------
        OSError
            If one is not what was written.

        Examples
        --------
        See `report`.
        """
        ranks, rank = (self._comm.size, self._comm.rank) if is_parallel(self._comm) else (1, 0)
        with on_all(self._comm):
            for segment in self._segments[rank::ranks]:
                segment.check()

    def report(self) -> dict[str, Any]:
        """Return what is there: sketches, bytes, widths, summaries, segments, scheme.

        Not collective.

        Examples
        --------
        >>> import os, tempfile
        >>> from pympf.sketch import Repository, Scheme
        >>> path = os.path.join(tempfile.mkdtemp(), "none")
        >>> with Repository.create(path, Scheme(1050, b=42)) as repository:
        ...     repository.check()
        ...     repository.report()["sketches"]
        0
        """
        kept, counts = self.kept(self._ids), self.counts(self._ids)
        widths, numbers = np.unique(kept, return_counts=True)
        return {
            "path": str(self.path),
            "sketches": len(self),
            "stand_for": int(counts.sum()),
            "summaries": int((counts > 1).sum()),
            "d": self._manifest.d,
            "head": self._manifest.head,
            "bytes": self.bytes,
            "file_bytes": sum(s.size for s in self._manifest.segments),
            "kept": dict(zip(widths.tolist(), numbers.tolist(), strict=True)),
            "segments": len(self._segments),
            "clock": self._manifest.clock,
            "scheme": json.loads(self._manifest.parameters) | {"checksum": self._manifest.checksum},
        }

    def close(self) -> None:
        """Commit, and let the next writer in.

        Collective.

        Examples
        --------
        See `Repository`.
        """
        try:
            if self.mode == "a":
                self.commit()
        finally:
            self._closing.close()
            self.mode = "r"

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is None:
            self.close()
        else:  # what was added and not committed is dropped
            self._closing.close()
            self.mode = "r"

    def __repr__(self) -> str:
        return f"<Repository of {len(self)} sketches, {self.bytes} bytes, at {str(self.path)!r}>"


def by_width(records: Records, widths: Array) -> Iterable[Records]:
    """Cut records to their widths, and give those of each width."""
    for width in np.unique(widths):
        part = records.part(np.nonzero(widths == width)[0])
        part.values = part.values[:, :width]
        yield part


def joined_by_width(parts: list[Records]) -> Iterable[Records]:
    """Put records of one width together."""
    widths: dict[int, list[Records]] = {}
    for part in parts:
        if len(part.ids):
            widths.setdefault(part.values.shape[1], []).append(part)
    for same in widths.values():
        arrays = (
            np.concatenate([getattr(part, name) for part in same])
            for name in ("ids", "count", "used")
        )
        labels = [label for part in same for label in part.labels]
        yield Records(*arrays, labels, np.concatenate([part.values for part in same]))


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
