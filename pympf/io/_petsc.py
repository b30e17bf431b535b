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

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf._mpi import first_row
from pympf.io._files import atomic_stream, reading

MAT, VEC = 1211216, 1211214
REAL = np.dtype(">f8")
KIND = "PETSc binary"


def read_matrix(path: Path, key: str | None) -> Any:
    """Read the first matrix of the file, sparse or dense."""
    with reading(path, KIND), open(path, "rb") as stream:
        for kind, item in _objects(stream):
            if kind == MAT:
                return item
        raise ValueError("it holds a vector, but no matrix")


def read_lengths(
    path: Path, place: int, places: int
) -> tuple[tuple[int, int], int, NDArray[np.int64]] | None:
    """Read the shape of a sparse matrix, its first row and the entries of each of some rows.

    These are the rows of one of so many places, cut as evenly as possible. None if the file begins
    with something else than a sparse matrix.
    """
    with reading(path, KIND), open(path, "rb") as stream:
        integer = _integer_type(stream)
        if _next_kind(stream, integer) != MAT:
            return None
        rows, columns, entries = (int(size) for size in _take(stream, integer, 3))
        if entries == -1:
            return None
        _require(stream, (rows + entries) * integer.itemsize + entries * REAL.itemsize)
        first, last = (first_row(rows, rank, places) for rank in (place, place + 1))
        stream.seek(first * integer.itemsize, os.SEEK_CUR)
        lengths = _take(stream, integer, last - first)
        if (lengths < 0).any():
            raise ValueError(f"a row holds {lengths.min()} entries")
        return (rows, columns), entries, lengths.astype(np.int64)


def read_entries(path: Path, first: int, count: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read columns and values of some entries of the sparse matrix that the file begins with."""
    with reading(path, KIND), open(path, "rb") as stream:
        integer = _integer_type(stream)
        _, rows, _, entries = (int(size) for size in _take(stream, integer, 4))
        start = stream.tell() + rows * integer.itemsize
        stream.seek(start + first * integer.itemsize)
        indices = _take(stream, integer, count)
        stream.seek(start + entries * integer.itemsize + first * REAL.itemsize)
        return indices, _take(stream, REAL, count)


def read_vector(path: Path, key: str | None) -> NDArray[Any]:
    """Read the first vector of the file or, without one, the first dense matrix as a block."""
    block = None
    with reading(path, KIND), open(path, "rb") as stream:
        for kind, item in _objects(stream):
            if kind == VEC:
                return item
            if block is None and not sp.issparse(item):
                block = item
        if block is None:
            raise ValueError("it holds a sparse matrix, but no vector")
        return block


def write_matrix(path: Path, A: sp.csr_array, index_bits: int = 32) -> None:
    """Write a sparse matrix."""
    with atomic_stream(path) as stream:
        _write_integers(stream, [MAT, *A.shape, A.nnz], index_bits)
        _write_integers(stream, np.diff(A.indptr), index_bits)
        _write_integers(stream, A.indices, index_bits)
        stream.write(A.data.astype(">f8").tobytes())


def write_vector(path: Path, x: NDArray[Any], index_bits: int = 32) -> None:
    """Write a vector, or a block of vectors as a dense matrix."""
    header = [VEC, len(x)] if x.ndim == 1 else [MAT, *x.shape, -1]
    with atomic_stream(path) as stream:
        _write_integers(stream, header, index_bits)
        stream.write(x.astype(">f8").tobytes())


def _write_integers(stream: BinaryIO, values: Any, index_bits: int) -> None:
    stream.write(np.asarray(values).astype(f">i{index_bits // 8}").tobytes())


def _objects(stream: BinaryIO) -> Iterator[tuple[int, Any]]:
    integer = _integer_type(stream)
    kind = _next_kind(stream, integer)
    while kind is not None:
        item = (_read_mat if kind == MAT else _read_vec)(stream, integer)
        # Looked at before the item goes out: what follows shows that its values had 8 bytes.
        following = _next_kind(stream, integer)
        yield kind, item
        kind = following


def _next_kind(stream: BinaryIO, integer: np.dtype[Any]) -> int | None:
    if _left(stream) == 0:
        return None
    kind = int(_take(stream, integer, 1)[0])
    if kind not in (MAT, VEC):
        raise ValueError(
            f"at byte {stream.tell() - integer.itemsize} there is class {kind}, expected a Mat "
            f"({MAT}), a Vec ({VEC}) or the end; values must be double precision and real"
        )
    return kind


def _integer_type(stream: BinaryIO) -> np.dtype[Any]:
    start = stream.read(8)
    stream.seek(0)
    for integer in (np.dtype(">i4"), np.dtype(">i8")):
        if int.from_bytes(start[: integer.itemsize], "big") in (MAT, VEC):
            return integer
    raise ValueError(f"it starts with the bytes {start.hex(' ')}, which is no Mat and no Vec")


def _read_mat(stream: BinaryIO, integer: np.dtype[Any]) -> Any:
    rows, columns, entries = (int(size) for size in _take(stream, integer, 3))
    if entries == -1:
        return _take(stream, REAL, rows * columns).reshape(rows, columns)
    lengths = _take(stream, integer, rows)
    if (lengths < 0).any() or lengths.sum(dtype=np.int64) != entries:
        raise ValueError(f"the rows hold {lengths.sum(dtype=np.int64)} entries, expected {entries}")
    indices = _take(stream, integer, entries)
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    data = _take(stream, REAL, entries)
    return sp.csr_array((data, indices, indptr), shape=(rows, columns))


def _read_vec(stream: BinaryIO, integer: np.dtype[Any]) -> NDArray[Any]:
    (rows,) = _take(stream, integer, 1)
    return _take(stream, REAL, int(rows))


def _take(stream: BinaryIO, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    if count < 0:
        raise ValueError(f"negative size {count}")
    _require(stream, count * dtype.itemsize)
    values = np.frombuffer(stream.read(count * dtype.itemsize), dtype)
    return values.astype(dtype.newbyteorder("="))


def _require(stream: BinaryIO, size: int) -> None:
    if size > _left(stream):
        raise ValueError(f"it ends early: {_left(stream)} of {size} bytes left")


def _left(stream: BinaryIO) -> int:
    return os.fstat(stream.fileno()).st_size - stream.tell()
