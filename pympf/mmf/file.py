"""The HDF5 file of a factorization (docs/files.md): from the core's arrays to a tree, and back.

A file holds the arrays of one rank. Several ranks write them together, each its slices, and read
them so: the clusters of every stage are cut into contiguous ranges.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pympf._engine import engine
from pympf._report import STAGE_COLUMNS
from pympf.io import _sums, tree
from pympf.io._files import ChoiceError, reading
from pympf.io.tree import Slice, Tree, array_of, check_type, value_of
from pympf.la import Ranks
from pympf.la.ranks import first_row

__all__ = ["factors_in", "file_of", "load_factors", "save_factors"]

FILE_TYPE = "mmf"

Array = NDArray[Any]


class Places:
    """Counts of each rank, added up: where the pieces of this rank lie among those of all."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks

    def __call__(self, counts: Any) -> tuple[Array, Array]:
        """Return the sums over the ranks before this one, and over all. Collective."""
        counts = np.atleast_1d(np.asarray(counts, dtype=np.int64))
        every = np.array(self._ranks.gather(counts))
        return every[: self._ranks.rank].sum(axis=0), every.sum(axis=0)

    def is_last(self) -> bool:
        return self._ranks.rank == self._ranks.size - 1


def _tree(factors: Any, core_size: int, ranks: Ranks) -> Tree:
    """Map the factors to a tree; each rank has its slices. Collective."""
    places = Places(ranks)
    report = factors.report()
    arrays, stages = factors.state()
    sizes = [[int(stage[f"{name}_ptr"][-1]) for stage in stages] for name in ("cluster", "active")]
    before, totals = (sums.reshape(2, -1) for sums in places(np.reshape(sizes, -1)))
    wavelets_before, wavelets = before[0] - before[1], totals[0] - totals[1]

    head = {key: report[key] for key in ("stop", "norm", "dropped")}
    head |= {"dtype": factors.dtype.name, "rows": factors.total_rows, "core_size": core_size}
    position = before[0, 0] if stages else places(factors.core_rows)[0][0]
    rest = factors.total_rows - core_size
    root = {
        "order": _joined(places, arrays["order"], int(position), _index_type(factors.total_rows)),
        "scale": _joined(places, arrays["scale"], factors.first_row),
        "diagonal": _diagonal(factors, arrays["diagonal"], rest, wavelets_before, wavelets),
    } | _core(places, arrays, factors.core_rows)
    whole = head | root | {"params": report["params"] | {"retired_by": report["retire"]}}
    for i, (stage, line) in enumerate(zip(stages, report["stages"], strict=True)):
        whole[f"stage_{i + 1}"] = line | _stage(places, stage, before[:, i], totals[:, i])
    return whole


def _index_type(largest: int) -> Any:
    return np.int32 if largest <= np.iinfo(np.int32).max else np.int64


def _joined(places: Places, values: Array, first: int, dtype: Any = None) -> Slice:
    """Give the slice of an array that the ranks hold one behind the other. Collective."""
    total = int(places(values.size)[1][0])
    return Slice([(first, values)], total, values.dtype if dtype is None else dtype)


def _diagonal(factors: Any, diagonal: Array, total: int, before: Array, lost: Array) -> Slice:
    """Cut the wavelets' part of H: stage by stage, the coarsest first, and in each rank by rank.

    For each stage: the wavelets of the ranks before this one, and of all.
    """
    levels = factors.levels
    pieces = []
    start = total
    for level in range(1, levels + 1):
        first, last = (factors.wavelet_start(level - k, levels) for k in (1, 2))
        start -= int(lost[level - 1])
        own = diagonal[first - factors.core_rows : last - factors.core_rows]
        pieces.append((start + int(before[level - 1]), own))
    return Slice(pieces, total, diagonal.dtype)


def _core(places: Places, arrays: dict[str, Array], core_rows: int) -> dict[str, Slice]:
    """Give the core, which lies on one rank. Collective."""
    is_sparse = core_rows > 0 and "core" not in arrays
    if places(is_sparse)[1][0]:
        names = {"core_indptr": np.int32, "core_indices": np.int32, "core_data": None}
    else:
        names = {"core": None}
    slices = {}
    for name, dtype in names.items():
        mine = arrays[name] if core_rows > 0 else np.empty(0, arrays["diagonal"].dtype)
        slices[name] = _joined(places, mine, 0, dtype)
    return slices


def _stage(
    places: Places, stage: dict[str, Array], before: Array, total: Array
) -> dict[str, Slice]:
    """Give a stage; (rows, active columns) of the ranks before this one, and of all. Collective."""
    if places("index_start" in stage)[1][0]:
        stage = _with_starts(stage)
    clusters, rotations = len(stage["cluster_ptr"]) - 1, int(stage["rotation_ptr"][-1])
    counts = [clusters, rotations, len(stage["index"]), len(stage["matrix"])]
    firsts, totals = places(counts)
    (cluster, rotation, index, matrix), (clusters, rotations, indices, numbers) = firsts, totals
    small = _index_type(int(max(*total, rotations)))

    def offsets(name: str, first: int, count: int, shift: int, dtype: Any) -> Slice:
        # The end of one rank's is the beginning of the next one's.
        values = stage[name] if places.is_last() else stage[name][:-1]
        return Slice([(int(first), values.astype(np.int64) + shift)], int(count) + 1, dtype)

    slices = {
        "cluster_ptr": offsets("cluster_ptr", cluster, clusters, before[0], small),
        "active_ptr": offsets("active_ptr", cluster, clusters, before[1], small),
        "rotation_ptr": offsets("rotation_ptr", cluster, clusters, rotation, small),
        "index": Slice(
            [(int(index), stage["index"].astype(np.int64) + before[0])], int(indices), small
        ),
        "matrix": Slice([(int(matrix), stage["matrix"])], int(numbers), stage["matrix"].dtype),
        "destination": Slice([(int(before[1]), stage["destination"])], int(total[1]), small),
    }
    if "index_start" in stage:
        slices["index_start"] = offsets("index_start", rotation, rotations, index, np.int64)
        slices["matrix_start"] = offsets("matrix_start", rotation, rotations, matrix, np.int64)
    return slices


def _with_starts(stage: dict[str, Array]) -> dict[str, Array]:
    """Write pairs as rotations of any order: (c, s) stands for [[c, s], [-s, c]]."""
    if "index_start" in stage:
        return stage
    c, s = stage["matrix"].reshape(-1, 2).T
    pairs = np.arange(len(c) + 1, dtype=np.int64)
    matrix = np.ascontiguousarray(np.stack([c, s, -s, c], axis=1).reshape(-1))
    return stage | {"matrix": matrix, "index_start": 2 * pairs, "matrix_start": 4 * pairs}


def save_factors(factors: Any, core_size: int, path: str | os.PathLike[str], ranks: Ranks) -> None:
    """Write the factors of an `Mmf` to a file, whole or not at all. Collective."""
    tree.save(path, FILE_TYPE, _tree(factors, core_size, ranks), ranks)


def file_of(factors: Any, core_size: int) -> bytes:
    """Return the file that `save_factors` writes of the factors of one process."""
    return tree.image(FILE_TYPE, _tree(factors, core_size, Ranks(None)))


# ---- reading -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Head:
    """What every rank must know of a file before it reads its slices."""

    dtype: str
    report: dict[str, Any]
    core_size: int
    starts: Array  # first row of each rank, and their number
    cuts: list[Array]  # first cluster of each rank, and their number, for each stage
    core_rank: int


def load_factors(
    path: str | os.PathLike[str], ranks: Ranks, rows: int | None = None
) -> tuple[Any, int]:
    """Read what `save_factors` wrote, and the size of its core. Collective.

    OSError if the file is no whole factorization. `rows` are wanted on this rank.
    """
    return _load(path, ranks, rows)


def factors_in(image: bytes) -> Any:
    """Return the factors in a file that is in memory (`file_of`); OSError if it is damaged."""
    return _load(image, Ranks(None), None)[0]


def _load(
    source: str | os.PathLike[str] | bytes, ranks: Ranks, rows: int | None
) -> tuple[Any, int]:
    def opened() -> AbstractContextManager[Any]:
        return tree.opened(source, "factorization")

    name = Path("pickle") if isinstance(source, bytes) else Path(source)
    rank, wanted = ranks.rank, ranks.gather(rows)
    head = None
    with ranks.guard():
        if rank == 0:
            with opened() as file:
                head = _read_head(file, wanted)
    head = ranks.broadcast(head)
    assert head is not None
    with opened() as file:
        _sums.check(file, ranks)
    with ranks.guard(), opened() as file:
        stages = [
            _read_stage(file[f"stage_{level}"], cuts[rank], cuts[rank + 1])
            for level, cuts in enumerate(head.cuts, 1)
        ]
        arrays = _read_root(file, head, rank, [extent for _, extent in stages])
    own = int(head.starts[rank + 1] - head.starts[rank])
    core_rows = head.core_size if rank == head.core_rank else 0
    parts = own, core_rows, arrays, [stage for stage, _ in stages], head.report
    with reading(name, "factorization"):
        factors = engine(head.dtype).from_state(ranks.handle if ranks.size > 1 else None, *parts)
    return factors, head.core_size


def _read_head(file: Any, wanted: list[int | None]) -> Head:
    check_type(file, FILE_TYPE)
    dtype = np.dtype(value_of(file.attrs["dtype"]))
    if dtype not in (np.float64, np.float32):
        raise ValueError(f"dtype {dtype} is not float64 or float32")
    params = {k: str(value_of(v)) for k, v in file["params"].attrs.items()}
    groups = [file[f"stage_{i + 1}"] for i in range(sum(k.startswith("stage_") for k in file))]
    report: dict[str, Any] = {
        "retire": params.pop("retired_by", params.get("retire", "relative")),
        "params": params,
        "norm": float(file.attrs["norm"]),
        "dropped": float(file.attrs["dropped"]),
        "stop": str(value_of(file.attrs["stop"])),
        "stages": [
            {c.name: c.read(group.attrs.get(c.name, c.default)) for c in STAGE_COLUMNS}
            for group in groups
        ],
    }
    rows = int(file.attrs["rows"])
    if rows <= 0:
        raise ValueError(f"a factorization of {rows} rows")
    if groups and len(file["order"]) != rows:
        raise ValueError(f"order has {len(file['order'])} entries, expected {rows}")
    starts = _row_starts(rows, wanted)
    per_rank = float(report["params"].get("rows_per_rank", 1))
    places, cuts = starts, []
    for group in groups:
        # As the factorization itself would have distributed the clusters of these ranks.
        cut, places = _cut(group, _thinned(places, per_rank))
        cuts.append(cut)
    core_rank = int(np.flatnonzero(np.diff(places))[0]) if places[-1] > 0 else 0
    return Head(dtype.name, report, int(file.attrs["core_size"]), starts, cuts, core_rank)


def _row_starts(rows: int, wanted: list[int | None]) -> Array:
    """Return the first row of each rank: as wanted or, if nobody wants any, as even as possible."""
    ranks = len(wanted)
    if all(count is None for count in wanted):
        return np.array([first_row(rows, rank, ranks) for rank in range(ranks + 1)])
    counts = np.array([-1 if count is None else count for count in wanted])
    if (counts < 0).any() or counts.sum() != rows:
        raise ChoiceError(
            f"rows: expected for each rank how many of the {rows} rows it wants, got {wanted}"
        )
    return np.concatenate([[0], np.cumsum(counts)])


def _thinned(starts: Array, per_rank: float) -> Array:
    """Give rows to fewer ranks when there are fewer than `per_rank` for each (factorize.cpp)."""
    holders = np.flatnonzero(np.diff(starts))
    share = int(starts[-1] // per_rank)
    if share >= len(holders):
        return starts
    heads = holders[:: len(holders) // max(1, share)]
    # A rank's rows begin where those of the first head from itself on begin.
    following = np.searchsorted(heads, np.arange(len(starts)))
    return np.append(starts[heads], starts[-1])[following]


def _cut(group: Any, starts: Array) -> tuple[Array, Array]:
    """Cut the clusters of a stage near these positions.

    Returns the first cluster of each rank, and how many active columns the ranks before it have.
    """
    ptr, active = array_of(group["cluster_ptr"]), array_of(group["active_ptr"])
    if ptr.size == 0 or ptr.size != active.size or (np.diff(ptr) < 0).any() or ptr[0] != 0:
        raise ValueError(f"{group.name}: cluster_ptr and active_ptr are not offsets of clusters")
    if ptr[-1] != starts[-1]:
        raise ValueError(f"{group.name}: cluster_ptr ends at {ptr[-1]}, expected {starts[-1]}")
    if active[-1] != len(group["destination"]):
        raise ValueError(
            f"{group.name}: it keeps {active[-1]} columns by active_ptr, and destination has "
            f"{len(group['destination'])} entries"
        )
    after = np.clip(np.searchsorted(ptr, starts), 0, ptr.size - 1)
    before = np.maximum(after - 1, 0)
    cuts = np.where(starts - ptr[before] < ptr[after] - starts, before, after)
    cuts[0], cuts[-1] = 0, ptr.size - 1
    return cuts, active[cuts]


@dataclass(frozen=True)
class Extent:
    """Where a rank's part of a stage lies: positions and active columns, and how many there are."""

    first: int
    last: int
    active: int
    kept: int
    rows: int
    all_kept: int


def _read_stage(group: Any, first: int, last: int) -> tuple[dict[str, Array], Extent]:
    """Read the clusters from `first` to `last` of a stage, numbered from 0."""
    ptr, active, rotation = (
        _part(group[f"{name}_ptr"], first, last + 1).astype(np.int64)
        for name in ("cluster", "active", "rotation")
    )
    ends = [int(group[f"{name}_ptr"][-1]) for name in ("cluster", "active", "rotation")]
    stage: dict[str, Array] = {
        "cluster_ptr": _small(ptr - ptr[0], "cluster_ptr"),
        "active_ptr": _small(active - active[0], "active_ptr"),
        "rotation_ptr": _small(rotation - rotation[0], "rotation_ptr"),
        "destination": _part(group["destination"], active[0], active[-1], ends[1]).astype(np.int64),
    }
    if "index_start" in group:
        index, matrix = (
            _part(group[name], rotation[0], rotation[-1] + 1, ends[2] + 1)
            for name in ("index_start", "matrix_start")
        )
        stage |= {"index_start": index - index[0], "matrix_start": matrix - matrix[0]}
        lengths = [int(group[name][-1]) for name in ("index_start", "matrix_start")]
    else:
        index = matrix = 2 * rotation[[0, -1]]
        lengths = [2 * ends[2]] * 2
    columns = _part(group["index"], index[0], index[-1], lengths[0])
    stage["index"] = _small(columns - ptr[0], "index")
    stage["matrix"] = _part(group["matrix"], matrix[0], matrix[-1], lengths[1])
    extent = Extent(int(ptr[0]), int(ptr[-1]), int(active[0]), len(stage["destination"]), *ends[:2])
    return stage, extent


def _small(numbers: Array, name: str) -> Array:
    """Return numbers of this rank, which have 32 bits."""
    if numbers.size and (numbers.min() < 0 or numbers.max() > np.iinfo(np.int32).max):
        raise ValueError(
            f"{name} runs from {numbers.min()} to {numbers.max()}, counted from the first cluster"
        )
    return numbers.astype(np.int32)


def _read_root(file: Any, head: Head, rank: int, extents: list[Extent]) -> dict[str, Array]:
    first, last, rows = head.starts[rank], head.starts[rank + 1], head.starts[-1]
    arrays: dict[str, Array] = {}
    if extents:
        arrays["order"] = _part(file["order"], extents[0].first, extents[0].last, rows)
    elif len(file["order"]):
        arrays["order"] = _part(file["order"], 0, rows if rank == head.core_rank else 0, rows)
    else:
        arrays["order"] = np.arange(rows if rank == head.core_rank else 0)
    if extents and arrays["order"].dtype != _index_type(rows):
        raise ValueError(f"order is of dtype {arrays['order'].dtype}")
    arrays["order"] = arrays["order"].astype(np.int64)
    arrays["scale"] = (
        _part(file["scale"], first, last, rows) if len(file["scale"]) else array_of(file["scale"])
    )
    if len(file["diagonal"]) != rows - head.core_size:
        raise ValueError(
            f"diagonal has {len(file['diagonal'])} entries, expected one for each of the "
            f"{rows - head.core_size} rows of H that are not in the core"
        )
    pieces = []
    end = rows - head.core_size
    for extent in extents:
        start = end - (extent.rows - extent.all_kept)
        own = extent.last - extent.first - extent.kept
        at = start + extent.first - extent.active
        pieces.append(_part(file["diagonal"], at, at + own))
        end = start
    arrays["diagonal"] = np.concatenate([*pieces[::-1], np.empty(0, head.dtype)], dtype=head.dtype)
    names = ("core",) if "core" in file else ("core_indptr", "core_indices", "core_data")
    if rank == head.core_rank:
        arrays |= {name: array_of(file[name]) for name in names}
    else:
        arrays["core"] = np.empty(0, head.dtype)
    return arrays


def _part(dataset: Any, first: int, last: int, total: int | None = None) -> Array:
    """Read some places of an array, which must have them, and `total` in all."""
    shape: tuple[int, ...] = getattr(dataset, "shape", ())
    size = shape[0] if len(shape) == 1 else -1
    if not 0 <= first <= last <= size or (total is not None and size != total):
        raise ValueError(
            f"{dataset.name} has {size} entries, expected "
            f"{f'{first} to {last} among them' if total is None else total}"
        )
    return array_of(dataset, slice(int(first), int(last)))
