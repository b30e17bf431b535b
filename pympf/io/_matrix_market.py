"""Matrix Market files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf.io._files import (
    packed,
    write_whole,
)
from pympf.io._lines import Text, numbers, opened, skip_comments

MATRIX_MARKET = "Matrix Market"
SMALLEST_ENTRY = len("1 1\n")
"""Bytes of the shortest line that holds an entry of a Matrix Market file."""


def read_matrix_market(path: Path, key: str | None) -> Any:
    """Read a matrix; both triangles of a symmetric one, ones for a pattern."""
    with opened(path, MATRIX_MARKET) as text:
        layout, field, symmetry = _banner(text.line())
        _, line = skip_comments(text)
        sizes = [int(size) for size in line.split()]
        if len(sizes) != (3 if layout == "coordinate" else 2) or min(sizes) < 0:
            raise ValueError(f"line {text.lines}: expected the sizes, got {line!r}")
        if symmetry != "general" and sizes[0] != sizes[1]:
            raise ValueError(f"it is {symmetry}, but has {sizes[0]} rows and {sizes[1]} columns")
        if layout == "array":
            return _read_array(text, field, symmetry, sizes[0], sizes[1])
        size = path.stat().st_size
        if not packed(path) and sizes[2] * SMALLEST_ENTRY > size:
            raise ValueError(f"{sizes[2]} entries are announced, the file has {size} bytes")
        return _read_coordinates(text, field, symmetry, *sizes)


def _banner(line: bytes) -> list[str]:
    """Return whether the matrix is sparse, its kind of numbers and its symmetry."""
    words = line.decode("latin-1").lower().split()
    allowed: tuple[tuple[str, ...], ...] = (
        ("%%matrixmarket",),
        ("matrix",),
        ("coordinate", "array"),
        ("real", "double", "integer", "unsigned-integer", "pattern", "complex"),
        ("general", "symmetric", "skew-symmetric"),
    )
    if len(words) != len(allowed) or any(w not in a for w, a in zip(words, allowed, strict=True)):
        raise ValueError(
            "Invalid banner: expected '%%MatrixMarket matrix coordinate|array real|integer|pattern "
            f"general|symmetric|skew-symmetric' (a general array, where it is one), got {line!r}"
        )
    return words[2:]


def _read_array(text: Text, field: str, symmetry: str, rows: int, columns: int) -> NDArray[Any]:
    """Read the values of a dense matrix, by column; the lower triangle of a symmetric one."""
    if field in ("pattern", "complex"):
        raise ValueError(f"expected an array of real or integer numbers, got {field}")
    triangle = {"general": None, "symmetric": 0, "skew-symmetric": 1}[symmetry]
    diagonal = rows if triangle == 0 else 0
    count = rows * columns if triangle is None else (rows * rows - rows) // 2 + diagonal
    values = _values(*numbers(text, *_columns(field, 0), announced=count))
    if triangle is None:
        return values.reshape((rows, columns), order="F")
    lower = np.zeros((rows, rows), values.dtype)
    lower.T[np.triu_indices(rows, triangle)] = values
    strict = np.tril(lower, -1).T
    return lower + strict if triangle == 0 else lower - strict


def _columns(field: str, indices: int) -> tuple[int, int]:
    """Return how many integers and how many real numbers there are on a line."""
    if field == "pattern":
        return indices, 0
    return (indices + 1, 0) if field.endswith("integer") else (indices, 1)


def _values(integers: NDArray[np.int64], reals: NDArray[np.float64]) -> NDArray[Any]:
    """Return the last column."""
    return (reals if reals.shape[1] else integers)[:, -1]


def _read_coordinates(
    text: Text, field: str, symmetry: str, rows: int, columns: int, entries: int
) -> Any:
    if field == "complex":  # the gate says what to do with it
        return sp.coo_array((rows, columns), dtype=np.complex128)
    integers, reals = numbers(text, *_columns(field, 2), announced=entries)
    values = np.ones(entries) if field == "pattern" else _values(integers, reals)
    i, j = integers[:, 0], integers[:, 1]
    if entries and (min(i.min(), j.min()) < 1 or i.max() > rows or j.max() > columns):
        at = np.argmax((i < 1) | (j < 1) | (i > rows) | (j > columns))
        raise ValueError(
            f"entry {at + 1} at row {i[at]}, column {j[at]} is out of bounds: "
            f"expected 1 to {rows} and 1 to {columns}"
        )
    index = np.int32 if max(rows, columns) < 2**31 else np.int64
    i, j = (i - 1).astype(index), (j - 1).astype(index)
    if symmetry != "general":
        i, j, values = _both_triangles(i, j, values, symmetry)
    return sp.coo_array((values, (i, j)), shape=(rows, columns))


def _both_triangles(
    i: NDArray[Any], j: NDArray[Any], values: NDArray[Any], symmetry: str
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Add to the entries of one triangle those of the other."""
    below, above = i > j, i < j
    if below.any() and above.any():
        lower, upper = (
            row[keep].astype(np.int64) << 32 | column[keep]
            for row, column, keep in ((i, j, below), (j, i, above))
        )
        if np.intersect1d(lower, upper).size:
            raise ValueError(f"it is {symmetry}, but holds entries of both triangles")
    off = below | above
    mirrored = values[off]
    if symmetry == "skew-symmetric":
        if values[~off].any():
            raise ValueError("it is skew-symmetric, but has entries on the diagonal")
        mirrored = -mirrored
    rows, columns = np.concatenate([i, j[off]]), np.concatenate([j, i[off]])
    return rows, columns, np.concatenate([values, mirrored])


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
