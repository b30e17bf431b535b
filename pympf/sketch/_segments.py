"""The files of a repository of sketches: immutable segments, and a manifest that names them.

A repository is a directory:

===================  ===============================================================================
file                 content
===================  ===============================================================================
``manifest.h5``      the scheme, the segments that count, ids that were removed, when ids were used
``segment-<n>.h5``   `ids`, `count`, `used`, `labels`; `heads`: the first numbers of each sketch,
                     `tails`: those behind them, as many as are kept
``lock``             empty; the writer holds a lock on it
===================  ===============================================================================

Every file is written under a temporary name, flushed and renamed, and a commit is the renaming of
the manifest. So whatever kills a writer leaves the last commit; files that no manifest names are
swept by the next writer. Heads and tails lie in one piece each and are mapped into memory.
"""

from __future__ import annotations

import fcntl
import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pympf.io import _sums, create_hdf5, open_hdf5, tree

__all__ = ["Manifest", "OpenSegment", "Records", "Segment", "lock", "open_segment", "write_segment"]

MANIFEST_TYPE, SEGMENT_TYPE = "sketch_repository", "sketch_segment"
KIND = "sketch repository"

Array = NDArray[Any]


@dataclass
class Records:
    """Sketches of one width in memory."""

    ids: Array
    count: Array  # sketches that each stands for
    used: Array  # ticks of the clock
    labels: list[str]
    values: Array  # (n, width), float32

    def part(self, which: Array) -> Records:
        """Give some of them."""
        labels = [self.labels[i] for i in which]
        return Records(
            self.ids[which], self.count[which], self.used[which], labels, self.values[which]
        )


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
        names = ("ids", "count", "used", "values")
        arrays = {name: np.concatenate([getattr(part, name) for part in same]) for name in names}
        yield Records(**arrays, labels=[label for part in same for label in part.labels])


@dataclass(frozen=True)
class Segment:
    """What the manifest says of a segment."""

    number: int
    rows: int
    width: int
    size: int  # bytes of the file

    def path(self, root: Path) -> Path:
        """Give the file."""
        return root / f"segment-{self.number:08d}.h5"


def write_segment(root: Path, number: int, records: Records, head: int) -> Segment:
    """Write records as a new segment."""
    rows, width = records.values.shape
    texts = [label.encode() for label in records.labels]
    start = np.concatenate([[0], np.cumsum([len(text) for text in texts], dtype=np.int64)])
    path = Segment(number, rows, width, 0).path(root)
    with create_hdf5(path) as file:
        file.attrs["type"], file.attrs["format_version"] = (
            np.bytes_(SEGMENT_TYPE),
            tree.FORMAT_VERSION,
        )
        file.attrs["rows"], file.attrs["width"], file.attrs["head"] = rows, width, head
        for name in ("ids", "count", "used"):
            _sums.add(file, name, np.asarray(getattr(records, name), dtype=np.int64))
        _sums.add(file, "label_start", start.astype(np.int64))
        _sums.add(file, "labels", np.frombuffer(b"".join(texts), dtype=np.uint8))
        for name, part in (
            ("heads", records.values[:, :head]),
            ("tails", records.values[:, head:]),
        ):
            values = np.ascontiguousarray(part, dtype=np.float32)
            _sums.label(file.create_dataset(name, data=values), _sums.crc_of(values))
    return Segment(number, rows, width, path.stat().st_size)


@dataclass
class OpenSegment:
    """A segment whose numbers are mapped into memory."""

    segment: Segment
    ids: Array
    count: Array
    used: Array
    labels: list[str]
    heads: Array
    tails: Array
    path: Path

    def values(self, rows: Array) -> Array:
        """Read some sketches, as float32."""
        return np.concatenate([self.heads[rows], self.tails[rows]], axis=1)

    def records(self, rows: Array) -> Records:
        """Read some sketches, with what belongs to them."""
        labels = [self.labels[i] for i in rows]
        return Records(self.ids[rows], self.count[rows], self.used[rows], labels, self.values(rows))

    def check(self) -> None:
        """Raise OSError if a number is not what was written."""
        with open_hdf5(self.path, KIND) as file:
            _sums.check(file)


def open_segment(root: Path, segment: Segment, head: int) -> OpenSegment:
    """Open a segment; OSError if it is not whole. Sums of heads and tails are for `check`."""
    path = segment.path(root)
    with open_hdf5(path, KIND) as file:
        tree.check_type(file, SEGMENT_TYPE)
        shape = tuple(int(file.attrs[name]) for name in ("rows", "width", "head"))
        size = path.stat().st_size
        if shape != (segment.rows, segment.width, head) or size != segment.size:
            raise ValueError(
                f"expected {segment.rows} sketches of {segment.width} numbers in {segment.size} "
                f"bytes, got {shape[0]} of {shape[1]} in {size}"
            )
        own = {name: tree.array_of(file[name]) for name in ("ids", "count", "used", "label_start")}
        own["labels"] = tree.array_of(file["labels"])
        for name, values in own.items():
            _sums.verify(file[name], values)
        text, start = own.pop("labels").tobytes(), own.pop("label_start")
        labels = [text[a:b].decode() for a, b in itertools.pairwise(start)]
        if {len(labels), *(len(values) for values in own.values())} != {segment.rows}:
            raise ValueError("its arrays have different lengths")
        heads, tails = (_mapped(path, file[name]) for name in ("heads", "tails"))
        return OpenSegment(segment, **own, labels=labels, heads=heads, tails=tails, path=path)


def _mapped(path: Path, dataset: Any) -> Array:
    if dataset.size == 0:
        return np.zeros(dataset.shape, np.float32)
    offset, end = dataset.id.get_offset(), path.stat().st_size
    if dataset.dtype != np.float32 or offset is None or offset + 4 * dataset.size > end:
        raise ValueError(f"{dataset.name} is no array of float32 in one piece")
    return np.memmap(path, np.float32, "r", offset, dataset.shape)


@dataclass
class Manifest:
    """What counts in a repository."""

    checksum: str
    parameters: str  # of the scheme, JSON
    d: int
    head: int
    generation: int = 0
    next_id: int = 0
    next_segment: int = 0
    clock: int = 0
    segments: list[Segment] = field(default_factory=list)
    removed: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    touched: Array = field(default_factory=lambda: np.zeros((0, 2), np.int64))  # (id, tick), by id

    NUMBERS = ("d", "head", "generation", "next_id", "next_segment", "clock")

    def write(self, root: Path) -> None:
        """Replace the manifest: the commit."""
        head: dict[str, Any] = {name: getattr(self, name) for name in self.NUMBERS}
        table = [(s.number, s.rows, s.width, s.size) for s in self.segments]
        arrays = {
            "segments": np.array(table, np.int64).reshape(-1),
            "removed": self.removed,
            "touched": self.touched.reshape(-1),
        }
        texts = {"checksum": self.checksum, "scheme": self.parameters}
        tree.save(root / "manifest.h5", MANIFEST_TYPE, head | texts | arrays)

    @classmethod
    def read(cls, root: Path) -> Manifest:
        """Read the last commit; OSError if there is none."""
        path = root / "manifest.h5"
        if root.is_dir() and not path.exists():
            raise FileNotFoundError(f"{root}: expected a {KIND}, there is no manifest.h5 in it")
        return tree.load(path, {MANIFEST_TYPE: cls._restored}, KIND)

    @classmethod
    def _restored(cls, read: tree.Tree) -> Manifest:
        found = cls(read["checksum"], read["scheme"], 0, 0)
        for name in cls.NUMBERS:
            setattr(found, name, int(read[name]))
        found.segments = [Segment(*line) for line in read["segments"].reshape(-1, 4).tolist()]
        found.removed, found.touched = read["removed"], read["touched"].reshape(-1, 2)
        return found

    def sweep(self, root: Path) -> None:
        """Delete what an earlier writer has left: files that do not count."""
        kept = {segment.path(root) for segment in self.segments}
        for path in (*root.glob("segment-*.h5"), *root.glob(".pympf-*.tmp")):
            if path not in kept:
                path.unlink(missing_ok=True)


@contextmanager
def lock(root: Path) -> Iterator[None]:
    """Be the only writer; OSError if there is another one, which may be another process."""
    descriptor = os.open(root / "lock", os.O_CREAT | os.O_RDWR, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OSError(
                error.errno, f"{root}: another process writes to this repository; one may"
            ) from None
        yield
    finally:
        os.close(descriptor)
