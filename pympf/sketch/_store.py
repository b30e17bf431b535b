"""Writing sketches to disk: what is added, commits, and the segments that they make.

Rows of one width lie in immutable segments, which a manifest names (`_segments`); what is added
waits in memory for a commit. Small segments are put together, a sketch log₈ n times.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from pympf import la
from pympf.la import Ranks, checks
from pympf.sketch._segments import (
    Manifest,
    OpenSegment,
    Records,
    by_width,
    joined_by_width,
    lock,
    open_segment,
    write_segment,
)
from pympf.sketch._sketch import Sketch
from pympf.sketch._snapshot import NUMBER_BYTES, Array, Snapshot
from pympf.sketch.scheme import Scheme

__all__ = ["Store"]

MODES = ("r", "a")
PENDING_BYTES = 1 << 28
"""What `add` holds back before it writes by itself."""
SMALL_SEGMENTS = 8
"""So many segments of one width and size class are made one."""
Self = TypeVar("Self", bound="Store")


class Store(Snapshot):
    """The disk's side of a `Repository`.

    Parameters
    ----------
    path : str or os.PathLike
    mode : {'r', 'a'}
    comm : mpi4py.MPI.Comm, optional
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        mode: str = "r",
        comm: Any = None,
    ) -> None:
        ranks, root = Ranks(comm).own(), Path(path)
        checks.choice(mode, "mode", MODES)
        ranks.same((str(root), mode), "repository")
        self.mode = mode
        self._closing = ExitStack()
        self._pending: list[Records] = []
        with ranks.guard():
            Manifest.read(root)
            if mode == "a" and ranks.rank == 0:
                self._closing.enter_context(lock(root))
                Manifest.read(root).sweep(root)
        super().__init__(root, ranks)

    @classmethod
    def create(
        cls: type[Self],
        path: str | os.PathLike[str],
        scheme: Scheme,
        *,
        head: int | None = None,
        comm: Any = None,
        **options: Any,
    ) -> Self:
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
        ranks, root = Ranks(comm), Path(path)
        ranks.same((scheme.parameters, head), "scheme")
        with ranks.guard():
            head = -(-scheme.d // 16) if head is None else checks.integer(head, "head", 1, scheme.d)
            if ranks.rank == 0:
                if root.exists() and (not root.is_dir() or any(root.iterdir())):
                    raise FileExistsError(f"{path}: expected no directory, or an empty one")
                root.mkdir(parents=True, exist_ok=True)
                Manifest(scheme.checksum, json.dumps(scheme.parameters), scheme.d, head).write(root)
        return cls(path, "a", comm=comm, **options)

    # ---- writing ---------------------------------------------------------------------------------
    def add(
        self,
        sketches: Sequence[Sketch] | ArrayLike,
        labels: Sequence[str] | None = None,
        *,
        kept: int | None = None,
    ) -> Array:
        """Take in sketches; `commit` makes them last.

        Collective. Ids count on through the sketches of rank 0, of rank 1, and so on.

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
        with self._ranks.guard():
            self._require_writing()
            parts = self._checked(sketches, labels, kept)
            count = sum(len(part.values) for part in parts)
        first = self._manifest.next_id + self._ranks.before(count)
        for part in parts:
            part.ids += first
            part.used[:] = self._manifest.clock + 1
        self._manifest.next_id += self._ranks.sum(count)
        self._pending += parts
        pending = sum(part.values.nbytes for part in self._pending)
        if self._ranks.max(pending) >= PENDING_BYTES:
            self.commit()
        return np.arange(first, first + count)

    def _require_writing(self) -> None:
        if self.mode != "a":
            raise OSError(f"{self.path}: open for reading; open it with mode='a' to write")

    def _checked(
        self, sketches: Any, labels: Sequence[str] | None, kept: int | None
    ) -> list[Records]:
        """Give records by width, whose ids are places."""
        d, head = self._manifest.d, self._manifest.head
        if isinstance(sketches, Sketch):
            sketches = [sketches]
        if not isinstance(sketches, np.ndarray) and any(isinstance(s, Sketch) for s in sketches):
            widths = np.array([self._checked_sketch(s).kept for s in sketches])
            values = np.stack([s.values for s in sketches])
        else:
            checks.no_masks(sketches, "sketches")
            values = la.exact_real(np.asarray(sketches), "sketches")
            if values.ndim != 2 or values.shape[1] != d:
                raise ValueError(f"sketches: expected shape (n, {d}), got {values.shape}")
            width = d if kept is None else checks.integer(kept, "kept", 1, d)
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
                f"expected sketches of the scheme {self._manifest.checksum}, got one of "
                f"{sketch.scheme}"
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
        self._replace(pending, [], clock=self._manifest.clock + 1)
        self._pending = []
        self._compact()

    def _every(self, values: Iterable[Any]) -> list[Any]:
        """Give the values of all ranks, rank by rank. Collective."""
        return list(chain(*self._ranks.gather(list(values))))

    def _replace(
        self, records: Sequence[Records | Callable[[], Records]], dropped: list[int], **changes: Any
    ) -> None:
        """Write records of each rank as new segments, drop old ones, and commit. Collective."""
        ranks, manifest = self._ranks, self._manifest
        first = manifest.next_segment + ranks.before(len(records))
        with ranks.guard():
            own = [
                write_segment(
                    self.path, first + i, r if isinstance(r, Records) else r(), manifest.head
                )
                for i, r in enumerate(records)
            ]
        written = self._every(own)
        gone = [manifest.segments[i] for i in dropped]
        kept = [s for i, s in enumerate(manifest.segments) if i not in dropped]
        new = Manifest(**{**manifest.__dict__, **changes})
        new.segments, new.generation = kept + written, manifest.generation + 1
        new.next_segment = manifest.next_segment + len(written)
        with ranks.guard():
            if ranks.rank == 0:
                new.write(self.path)
        self._manifest = new
        with ranks.guard():
            opened = [open_segment(self.path, s, new.head) for s in written]
        self._set_segments([s for i, s in enumerate(self._segments) if i not in dropped] + opened)
        if ranks.rank == 0:
            for segment in gone:
                segment.path(self.path).unlink(missing_ok=True)
        if not dropped:
            self._extend_index(opened)

    def _compact(self) -> None:
        """Make one segment of many small ones of a width and a size class. Collective.

        A sketch is copied once for each class, log₈ n times, until its segment is large.
        """
        while True:
            classes: dict[tuple[int, int], list[int]] = {}
            for i, s in enumerate(self._manifest.segments):
                size_class = int(math.log(max(s.rows, 1), SMALL_SEGMENTS))
                classes.setdefault((s.width, size_class), []).append(i)
            full = [places[:SMALL_SEGMENTS] for places in classes.values()]
            full = [p for p in full if len(p) == SMALL_SEGMENTS and self._bytes(p) <= PENDING_BYTES]
            if not full:
                return
            self._rewrite(full[0])

    def _bytes(self, segments: list[int]) -> int:
        rows = (self._manifest.segments[i] for i in segments)
        return sum(NUMBER_BYTES * s.rows * s.width for s in rows)

    def _rewrite(self, segments: list[int], widths: Array | None = None) -> None:
        """Write segments anew, without what was removed, perhaps shorter. Collective.

        `widths` belong to the ids, ascending, of these segments. Rank 0 writes.
        """
        records: list[Callable[[], Records]] = []  # read when they are written, one by one
        inside = np.isin(self._place, segments)
        ids = self._ids[inside]
        if self._ranks.rank == 0 and len(ids):
            new = self.kept(ids) if widths is None else widths
            for width in np.unique(new).tolist():
                step = max(1, PENDING_BYTES // (NUMBER_BYTES * width))
                same = ids[new == width]
                for part in (same[i : i + step] for i in range(0, len(same), step)):
                    records.append(partial(self._read, part, width))
        gone = np.concatenate([self._segments[i].ids for i in segments])
        left = self._manifest.removed[~np.isin(self._manifest.removed, gone)]
        touched = self._manifest.touched[~np.isin(self._manifest.touched[:, 0], gone)]
        self._replace(records, segments, removed=left, touched=touched)

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
        first = self._ranks.rank == 0
        now = self._ranks.broadcast(Manifest.read(self.path).generation if first else 0)
        if now == self._manifest.generation:
            return False
        self._load()
        return True

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

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is None:
            self.close()
        else:  # what was added and not committed is dropped
            self._closing.close()
            self.mode = "r"

    def _extend_index(self, segments: list[OpenSegment]) -> None:
        """Be told of new segments. Collective."""

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<{name} of {len(self)} sketches, {self.bytes} bytes, at {str(self.path)!r}>"
