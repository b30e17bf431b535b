"""What a commit holds: sketches by their ids, over the segments of a manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pympf.la import Ranks
from pympf.lsh._gates import checked_ids
from pympf.sketch._segments import Manifest, OpenSegment, Records, open_segment
from pympf.sketch._sketch import Sketch
from pympf.sketch.scheme import Scheme

NUMBER_BYTES = 4

Array = NDArray[Any]


class Snapshot:
    """A repository as the last commit left it.

    Collective.

    Parameters
    ----------
    path : pathlib.Path
    ranks : Ranks
    """

    def __init__(self, path: Path, ranks: Ranks) -> None:
        self.path, self._ranks = path, ranks
        self._load()

    def _load(self) -> None:
        """Take over the last commit. Collective."""
        for attempt in range(10):
            manifest = Manifest.read(self.path) if self._ranks.rank == 0 else None
            self._manifest = self._ranks.broadcast(manifest)
            try:
                with self._ranks.guard():
                    opened = [
                        open_segment(self.path, s, self._manifest.head)
                        for s in self._manifest.segments
                    ]
                break
            except FileNotFoundError:  # a commit came between
                if attempt == 9:
                    raise
        self._set_segments(opened)

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
        with self._ranks.guard():
            for segment in self._segments[self._ranks.rank :: self._ranks.size]:
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
