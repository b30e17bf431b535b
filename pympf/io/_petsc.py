"""PETSc binary files, as MatView and VecView write them and MatLoad and VecLoad read them.

A file is a sequence of objects, all numbers big-endian; `int` has 4 bytes, or 8 where PETSc was
configured with 64-bit indices (then the class number has 8, too, which tells the two apart).

=======  =========================================================================================
Mat      int 1211216, rows, columns, entries; int entries of each row; int columns; real values
Mat      int 1211216, rows, columns, -1; real values by row (a dense matrix)
Vec      int 1211214, rows; real values
=======  =========================================================================================

PETSc stores a matrix of type SBAIJ as its upper triangle. Nothing in the file says so, and it is
read as the triangle that it is.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf.io._files import atomic_stream, reading
from pympf.la.ranks import Ranks

MAT, VEC = 1211216, 1211214
DENSE = -1
"""What stands in the place of the number of entries of a dense matrix."""
REAL = np.dtype(">f8")
KIND = "PETSc binary"


@dataclass(frozen=True)
class Item:
    """An object of a file: what it is, its sizes, and where they end."""

    kind: int
    sizes: tuple[int, ...]
    start: int
    integer: np.dtype[Any]

    @property
    def is_sparse(self) -> bool:
        return self.kind == MAT and self.sizes[2] != DENSE

    @property
    def bytes(self) -> int:
        """What follows the sizes."""
        if self.kind == VEC:
            return self.sizes[0] * REAL.itemsize
        rows, columns, entries = self.sizes
        if entries == DENSE:
            return rows * columns * REAL.itemsize
        return (rows + entries) * self.integer.itemsize + entries * REAL.itemsize


def read_matrix(path: Path, key: str | None) -> Any:
    """Read the first matrix of the file, sparse or dense."""
    with reading(path, KIND):
        matrix = read_rows(path, key, Ranks(None))
        if matrix is not None:
            return matrix
        with open(path, "rb") as stream:
            for item in _items(stream):
                if item.kind == MAT:
                    return _read_block(stream, item)
        raise ValueError("it holds a vector, but no matrix")


def read_rows(path: Path, key: str | None, ranks: Ranks) -> Any:
    """Read the rows of this rank, cut as evenly as possible; of one process all of them.

    Collective. None if the first matrix of the file is not sparse.
    """
    item, lengths = None, np.empty(0, np.int64)
    with ranks.guard(), reading(path, KIND), open(path, "rb") as stream:
        item = next((item for item in _items(stream) if item.kind == MAT), None)
        if item is not None and item.is_sparse:
            lengths = _read_lengths(stream, item, ranks)
    if item is None or not item.is_sparse:
        return None
    counts = ranks.gather(int(lengths.sum()))
    with ranks.guard(), reading(path, KIND), open(path, "rb") as stream:
        _, columns, entries = item.sizes
        if sum(counts) != entries:
            raise ValueError(f"the rows hold {sum(counts)} entries, expected {entries}")
        indices, data = _read_entries(stream, item, sum(counts[: ranks.rank]), counts[ranks.rank])
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        return sp.csr_array((data, indices, indptr), shape=(len(lengths), columns))


def read_vector(path: Path, key: str | None) -> NDArray[Any]:
    """Read the first vector of the file or, without one, the first dense matrix as a block."""
    with reading(path, KIND), open(path, "rb") as stream:
        items = [item for item in _items(stream) if not item.is_sparse]
        if not items:
            raise ValueError("it holds a sparse matrix, but no vector")
        return _read_block(stream, next((i for i in items if i.kind == VEC), items[0]))


def write_matrix(path: Path, A: sp.csr_array, index_bits: int = 32) -> None:
    """Write a sparse matrix."""
    with atomic_stream(path) as stream:
        _write_integers(stream, [MAT, *A.shape, A.nnz], index_bits)
        _write_integers(stream, np.diff(A.indptr), index_bits)
        _write_integers(stream, A.indices, index_bits)
        stream.write(A.data.astype(">f8").tobytes())


def write_vector(path: Path, x: NDArray[Any], index_bits: int = 32) -> None:
    """Write a vector, or a block of vectors as a dense matrix."""
    header = [VEC, len(x)] if x.ndim == 1 else [MAT, *x.shape, DENSE]
    with atomic_stream(path) as stream:
        _write_integers(stream, header, index_bits)
        stream.write(x.astype(">f8").tobytes())


def _write_integers(stream: BinaryIO, values: Any, index_bits: int) -> None:
    stream.write(np.asarray(values).astype(f">i{index_bits // 8}").tobytes())


def _items(stream: BinaryIO) -> list[Item]:
    """Find the objects of a file, of which nothing is left over: so its numbers are real."""
    integer = _integer_type(stream)
    items = []
    while _left(stream) > 0:
        kind = int(_take(stream, integer, 1)[0])
        if kind not in (MAT, VEC):
            raise ValueError(
                f"at byte {stream.tell() - integer.itemsize} there is class {kind}, expected a Mat "
                f"({MAT}), a Vec ({VEC}) or the end; values must be double precision and real"
            )
        sizes = tuple(int(size) for size in _take(stream, integer, 3 if kind == MAT else 1))
        for size in sizes[:2] if sizes[-1] == DENSE else sizes:
            if size < 0:
                raise ValueError(f"negative size {size}")
        items.append(Item(kind, sizes, stream.tell(), integer))
        _require(stream, items[-1].bytes)
        stream.seek(items[-1].bytes, os.SEEK_CUR)
    return items


def _integer_type(stream: BinaryIO) -> np.dtype[Any]:
    start = stream.read(8)
    stream.seek(0)
    for integer in (np.dtype(">i4"), np.dtype(">i8")):
        if int.from_bytes(start[: integer.itemsize], "big") in (MAT, VEC):
            return integer
    raise ValueError(f"it starts with the bytes {start.hex(' ')}, which is no Mat and no Vec")


def _read_lengths(stream: BinaryIO, item: Item, ranks: Ranks) -> NDArray[np.int64]:
    """Read how many entries each row of a rank has."""
    rows = ranks.cut(item.sizes[0])
    stream.seek(item.start + rows.start * item.integer.itemsize)
    lengths = _take(stream, item.integer, len(rows))
    if (lengths < 0).any():
        place = int(np.argmax(lengths < 0))
        raise ValueError(f"row {rows[place]} holds {lengths[place]} entries")
    return lengths.astype(np.int64)


def _read_entries(
    stream: BinaryIO, item: Item, first: int, count: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read columns and values of some entries."""
    rows, _, entries = item.sizes
    start = item.start + rows * item.integer.itemsize
    stream.seek(start + first * item.integer.itemsize)
    indices = _take(stream, item.integer, count)
    stream.seek(start + entries * item.integer.itemsize + first * REAL.itemsize)
    return indices, _take(stream, REAL, count)


def _read_block(stream: BinaryIO, item: Item) -> NDArray[Any]:
    """Read a vector or a dense matrix."""
    stream.seek(item.start)
    shape = item.sizes[:1] if item.kind == VEC else item.sizes[:2]
    return _take(stream, REAL, math.prod(shape)).reshape(shape)


def _take(stream: BinaryIO, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    _require(stream, count * dtype.itemsize)
    values = np.frombuffer(stream.read(count * dtype.itemsize), dtype)
    return values.astype(dtype.newbyteorder("="))


def _require(stream: BinaryIO, size: int) -> None:
    if size > _left(stream):
        raise ValueError(f"it ends early: {_left(stream)} of {size} bytes left")


def _left(stream: BinaryIO) -> int:
    return os.fstat(stream.fileno()).st_size - stream.tell()
