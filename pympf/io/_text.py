"""Text formats: Matrix Market, edge lists as of the SNAP collection, vectors one row a line."""

from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np
import scipy.io
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf.io._files import (
    atomic_stream,
    open_stream,
    reading,
    require_final_newline,
    write_whole,
)

MATRIX_MARKET, EDGES, VECTOR = "Matrix Market", "edge list (two or three columns)", "text vector"

SMALLEST_ENTRY = len("1 1\n")
"""Bytes of the shortest line that holds an entry of a Matrix Market file."""

EDGE_COUNT = re.compile(rb"Edges:\s*(\d+)")
VECTOR_SHAPE = re.compile(rb"# pympf vector, shape (\d+)(?: x (\d+))?$")


def read_matrix_market(path: Path, key: str | None) -> Any:
    """Read a matrix; both triangles of a symmetric one, ones for a pattern."""
    with reading(path, MATRIX_MARKET):
        require_final_newline(path)
        with open_stream(path) as stream:
            banner = stream.readline().lower().split()
            _, line = _skip_comments(stream)
            sizes = [int(size) for size in line.split()]
            if banner[2:3] == [b"array"]:
                return _read_array(stream, banner, *sizes)
        # SciPy allocates what the header announces before it reads on.
        size = path.stat().st_size
        if path.suffix.lower() == ".mtx" and sizes[2] * SMALLEST_ENTRY > size:
            raise ValueError(f"{sizes[2]} entries are announced, the file has {size} bytes")
        return scipy.io.mmread(path if path.suffix.lower() == ".mtx" else _decompressed(path))


def _read_array(stream: BinaryIO, banner: list[bytes], rows: int, columns: int) -> NDArray[Any]:
    """Read the values of a dense matrix, by column.

    SciPy writes past the end of the array where a file holds more values than its header says.
    """
    if banner[:2] != [b"%%matrixmarket", b"matrix"] or banner[3] not in (b"real", b"integer"):
        raise ValueError("expected the banner '%%MatrixMarket matrix array real|integer ...'")
    if banner[4:] == [b"general"]:
        values = _read_column(stream, rows * columns)
        return values.reshape((rows, columns), order="F")
    if banner[4:] != [b"symmetric"] or rows != columns:
        raise ValueError("expected a general array, or a square symmetric one")
    lower = np.zeros((rows, rows))
    lower.T[np.triu_indices(rows)] = _read_column(stream, rows * (rows + 1) // 2)
    return lower + np.tril(lower, -1).T


def _read_column(stream: BinaryIO, count: int) -> NDArray[Any]:
    lines = [line for line in stream if line.strip()]
    if len(lines) != count:
        raise ValueError(f"{count} values are announced, there are {len(lines)} lines")
    return np.loadtxt(lines, dtype=np.float64, ndmin=2).reshape(count) if count else np.zeros(0)


def _decompressed(path: Path) -> Any:
    # SciPy seeks in a stream once it has read it, and ends the process where that fails.
    with open_stream(path) as stream:
        return SimpleNamespace(read=io.BytesIO(stream.read()).read)


def write_matrix_market(path: Path, A: sp.csr_array) -> None:
    """Write a matrix, the lower triangle if it is symmetric; every value reads back exactly."""
    _write_matrix_market(path, A, "AUTO")


def read_matrix_market_vector(path: Path, key: str | None) -> NDArray[Any]:
    """Read an array, or a sparse matrix of one column."""
    values = read_matrix_market(path, key)
    if sp.issparse(values):
        if values.shape[1] != 1:
            raise OSError(f"{path}: expected a vector, it holds a sparse {values.shape} matrix")
        values = values.toarray()
    return values[:, 0] if values.shape[1] == 1 else values


def write_matrix_market_vector(path: Path, x: NDArray[Any]) -> None:
    """Write an array of one column for each vector."""
    _write_matrix_market(path, x.reshape(len(x), -1), "general")


def _write_matrix_market(path: Path, values: Any, symmetry: str) -> None:
    text = io.BytesIO()
    scipy.io.mmwrite(text, values, symmetry=symmetry)
    write_whole(path, text)


def read_edges(path: Path, key: str | None) -> Any:
    """Read the edges of an undirected graph as a symmetric adjacency matrix.

    Each line holds two node numbers and, optionally, a weight (else 1); lines that start with
    # or % are comments. The nodes that occur are numbered anew in the order of their numbers. An
    edge listed more than once, in either direction, has the largest of its weights.
    """
    with reading(path, EDGES):
        require_final_newline(path)
        with open_stream(path) as stream:
            announced, columns = _edge_header(stream)
            dtype = [("i", np.int64), ("j", np.int64), ("weight", np.float64)][:columns]
            stream.seek(0)
            edges = np.loadtxt(stream, dtype=dtype, comments=["#", "%"], ndmin=1)
        if len(edges) < announced:
            raise ValueError(f"{announced} edges are announced, there are {len(edges)}")
        weights = edges["weight"] if columns == 3 else np.ones(len(edges))
        return _adjacency(edges["i"], edges["j"], weights)


def _edge_header(stream: BinaryIO) -> tuple[int, int]:
    """Return the number of edges that the comments announce, and the number of columns."""
    comments, line = _skip_comments(stream)
    if any(map(VECTOR_SHAPE.match, comments)):
        raise ValueError("it holds a vector")
    columns = len(line.split())
    if columns not in (2, 3):
        raise ValueError(f"its first line of numbers has {columns} columns")
    counts = [count for count in map(EDGE_COUNT.search, comments) if count]
    return int(counts[0][1]) if counts else 0, columns


def _skip_comments(stream: BinaryIO) -> tuple[list[bytes], bytes]:
    """Return the comments at the beginning, and the first line of numbers."""
    comments = []
    for line in stream:
        if line.lower().startswith(b"%%matrixmarket"):
            raise ValueError("it is a Matrix Market file, whose suffix is .mtx")
        if line[:1] in (b"#", b"%"):
            comments.append(line)
        elif line.strip():
            return comments, line
    raise ValueError("it holds no numbers")


def _adjacency(
    first: NDArray[np.int64], second: NDArray[np.int64], weights: NDArray[np.float64]
) -> Any:
    nodes, ends = np.unique(np.concatenate([first, second]), return_inverse=True)
    i, j = np.sort(ends.reshape(2, -1), axis=0)
    order = np.lexsort((j, i))
    i, j, weights = i[order], j[order], weights[order]
    starts = np.flatnonzero(np.r_[True, (i[1:] != i[:-1]) | (j[1:] != j[:-1])])
    i, j, weights = i[starts], j[starts], np.maximum.reduceat(weights, starts)
    off = i != j
    rows, columns = np.concatenate([i, j[off]]), np.concatenate([j, i[off]])
    values = np.concatenate([weights, weights[off]])
    return sp.coo_array((values, (rows, columns)), shape=(len(nodes), len(nodes)))


def read_text_vector(path: Path, key: str | None) -> NDArray[Any]:
    """Read numbers, one row of the block a line; lines that start with # or % are comments."""
    with reading(path, VECTOR):
        require_final_newline(path)
        with open_stream(path) as stream:
            comments, _ = _skip_comments(stream)
            stream.seek(0)
            values = np.loadtxt(stream, dtype=np.float64, comments=["#", "%"], ndmin=2)
        shape = VECTOR_SHAPE.match(comments[0].rstrip()) if comments else None
        if shape is None:
            return values[:, 0] if values.shape[1] == 1 else values
        return values.reshape([int(size) for size in shape.groups() if size is not None])


def write_text_vector(path: Path, x: NDArray[Any]) -> None:
    """Write numbers, one row of the block a line, so that they read back exactly."""
    shape = " x ".join(str(size) for size in x.shape)
    with atomic_stream(path) as stream:
        stream.write(f"# pympf vector, shape {shape}\n".encode())
        np.savetxt(stream, x, fmt="%.17g")
