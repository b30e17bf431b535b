"""Text formats: Matrix Market, edge lists as of SNAP, networkx and spreadsheets, vectors.

The lines of numbers are read by the core (`read_lines`), strictly: a line that holds something else
is refused by its number. Numbers may be written as Fortran does (1.0D0, +2.5); what follows % or #
is a comment; a byte order mark and the line ends of other systems do not matter.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import scipy.io
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from pympf._engine import text as _core
from pympf.io._files import (
    ChoiceError,
    atomic_stream,
    open_stream,
    packed,
    reading,
    require_final_newline,
    write_whole,
)

MATRIX_MARKET, EDGES, VECTOR = "Matrix Market", "edge list (two or three columns)", "text vector"

SMALLEST_ENTRY = len("1 1\n")
"""Bytes of the shortest line that holds an entry of a Matrix Market file."""

PIECE = 1 << 22
"""Bytes that are read at a time, up to the end of a line."""

LONGEST_LINE = 1 << 24
"""Bytes of a line; of the comments at the beginning a quarter."""

LARGEST_EXPANSION, ALWAYS_ALLOWED = 1100, 1 << 26
"""A compressed file may grow so many times (gzip knows no more), and to so many bytes."""

EDGE_COUNT = re.compile(rb"Edges:\s*(\d+)")
VECTOR_SHAPE = re.compile(rb"# pympf vector, shape (\d+)(?: x (\d+))?$")
COMMENT = re.compile(r"(?:^|\s)[#%]")
QUOTED = re.compile(rb'"[^"]*"')
INTEGER = re.compile(r"[+-]?\d+")
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?|[+-]?(?:inf|nan)", re.I)
NETWORKX = re.compile(r"(\S+)\s+(\S+)\s+\{(?:.*['\"]weight['\"]\s*:\s*([^\s,}]+).*|[^}]*)\}")
HEADERS = {"source", "target", "from", "to", "src", "dst", "node1", "node2", "u", "v", "i", "j"}
NODE = "node"
"""The name of the column of a vector that says which node a row belongs to."""


class Text:
    """A text file, decompressed: lines at its beginning, then pieces of many whole lines."""

    def __init__(self, stream: BinaryIO, size: int | None) -> None:
        """Begin; `size` bytes are the file if it is compressed."""
        self._stream = stream
        self._left = np.inf if size is None else max(ALWAYS_ALLOWED, LARGEST_EXPANSION * size)
        self._again: list[bytes] = []
        self.lines = 0
        if stream.peek(3)[:3] == b"\xef\xbb\xbf":  # type: ignore[attr-defined]
            stream.read(3)  # the byte order mark

    def line(self) -> bytes:
        """Return the next line, empty at the end."""
        line = self._again.pop(0) if self._again else self._take(self._stream.readline)
        self._check_length(line)
        self.lines += line != b""
        return line

    def put_back(self, line: bytes) -> None:
        """Let this line, which was read last, come next."""
        self._again.insert(0, line)
        self.lines -= line != b""

    def pieces(self) -> Iterator[bytes]:
        """Give the rest, whole lines each time; the first one has the number `lines` + 1."""
        start = b"".join(self._again)
        self._again = []
        while piece := start + self._take(self._stream.read, PIECE):
            if not piece.endswith(b"\n"):
                end = self._take(self._stream.readline)
                self._check_length(end)
                piece += end
            yield piece
            start = b""

    def numbered(self) -> Iterator[tuple[int, bytes]]:
        """Give the rest line by line, each with its number."""
        lines = (line for piece in self.pieces() for line in piece.splitlines())
        return enumerate(lines, self.lines + 1)

    def _take(self, read: Any, size: int = LONGEST_LINE) -> bytes:
        content: bytes = read(size)
        self._left -= len(content)
        if self._left < 0:
            raise ValueError(
                f"it is compressed more than {LARGEST_EXPANSION} times, which no file of numbers is"
            )
        return content

    def _check_length(self, line: bytes) -> None:
        if len(line) >= LONGEST_LINE:
            raise ValueError(f"line {self.lines + 1} has more than {LONGEST_LINE} bytes")


@contextmanager
def _text(path: Path, kind: str) -> Iterator[Text]:
    """Open a text file, whose faults become OSErrors that name it."""
    with reading(path, kind):
        require_final_newline(path)
        with open_stream(path) as stream:
            yield Text(stream, path.stat().st_size if packed(path) else None)


def _numbers(
    text: Text, integers: int, reals: int, separator: str = " ", announced: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Read the rest of a text, whose lines hold so many integers and then so many numbers."""
    parts = []
    count = 0
    separator = separator.replace("\t", " ")  # to the core these are the same
    smallest, line = 2 * (integers + reals), text.lines + 1
    for piece in text.pieces():
        lines = len(piece) // smallest + 1
        *arrays, line = _core.read_lines(piece, lines, integers, reals, separator, line)
        parts.append(arrays)
        count += len(arrays[0])
        if announced is not None and count > announced:
            raise ValueError(
                f"too many lines: {announced} values are announced, there are {count} or more"
            )
    if announced is not None and count < announced:
        raise ValueError(f"Truncated: {announced} values are announced, there are {count}")
    if not parts:
        return np.empty((0, integers), np.int64), np.empty((0, reals))
    whole, real = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return whole, real


def _skip_comments(text: Text) -> tuple[list[bytes], bytes]:
    """Return the comments at the beginning, and the first line of content."""
    comments: list[bytes] = []
    size = 0
    while line := text.line():
        size += len(line)
        if size > LONGEST_LINE // 4:
            raise ValueError(f"{size} bytes at its beginning hold no numbers")
        if line.lower().startswith(b"%%matrixmarket"):
            raise ValueError("it is a Matrix Market file, whose suffix is .mtx")
        if line.lstrip()[:1] not in (b"#", b"%", b""):
            return comments, line
        comments.append(line)
    raise ValueError("it holds no numbers")


# ---- Matrix Market -------------------------------------------------------------------------------


def read_matrix_market(path: Path, key: str | None) -> Any:
    """Read a matrix; both triangles of a symmetric one, ones for a pattern."""
    with _text(path, MATRIX_MARKET) as text:
        layout, field, symmetry = _banner(text.line())
        _, line = _skip_comments(text)
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
    values = _values(*_numbers(text, *_columns(field, 0), announced=count))
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
    integers, reals = _numbers(text, *_columns(field, 2), announced=entries)
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


# ---- edge lists ----------------------------------------------------------------------------------


def read_edges(path: Path, key: str | None) -> Any:
    """Read the edges of an undirected graph as a symmetric adjacency matrix.

    Each line holds two nodes, as numbers or names, and, optionally, a weight (else 1). The nodes
    that occur are numbered anew in the order of their numbers, or names. An edge listed more than
    once, in either direction, has the largest of its weights.
    """
    return _read_graph(path)[0]


def read_labels(path: Path) -> NDArray[Any]:
    """Read the numbers or names of the nodes, in the order of the rows of `read_edges`."""
    return _read_graph(path)[1]


def _read_graph(path: Path) -> tuple[Any, NDArray[Any]]:
    with _text(path, EDGES) as text:
        comments, line = _skip_comments(text)
        if any(VECTOR_SHAPE.match(comment.strip()) for comment in comments):
            raise ValueError("it holds a vector")
        separator = _separator(line, path)
        fields = _fields(line, separator, text.lines)
        if separator != " " and not _are_integers(fields):
            following = text.line()
            if _is_header(fields, _fields(following, separator, text.lines)):
                line, fields = following, _fields(following, separator, text.lines)
            else:
                text.put_back(following)
        text.put_back(line)
        if _are_integers(fields) and b"{" not in line:
            if len(fields) not in (2, 3):
                raise ValueError(f"its first line of numbers has {len(fields)} columns")
            ends, reals = _numbers(text, 2, len(fields) - 2, separator)
            weights = reals[:, 0] if reals.shape[1] else np.ones(len(ends))
        else:
            ends, weights = _named_edges(text, separator)
        counts = [int(count[1]) for count in map(EDGE_COUNT.search, comments) if count]
        if counts and len(ends) < counts[0]:
            raise ValueError(f"{counts[0]} edges are announced, there are {len(ends)}")
        return _adjacency(ends[:, 0], ends[:, 1], weights)


def _separator(line: bytes, path: Path) -> str:
    """Tell what lies between the columns; blanks are told apart in tables only."""
    marks = (",", ";", *(("\t",) if table_separator(path) == "\t" else ()))
    if b"{" in line:
        return " "
    bare = QUOTED.sub(b"", line)
    found = [mark for mark in marks if mark.encode() in bare]
    if "," in found and ";" in found:
        raise ValueError(
            "its first line has both ',' and ';': expected one of them between the columns, and "
            "decimal points in the numbers"
        )
    return found[0] if found else " "


def _fields(line: bytes, separator: str, number: int) -> list[str]:
    """Split a line into its columns, without the blanks and quotes around them."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"line {number}: expected UTF-8, got {line[:40]!r}") from error
    text = COMMENT.split(text)[0].strip("\r\n\t ")
    if any(ord(c) < 32 and c != "\t" for c in text):
        raise ValueError(f"line {number}: expected text, got {line[:40]!r}")
    if separator == " ":
        return text.split()
    return [field.strip() for field in next(csv.reader([text], delimiter=separator), [])]


def _are_integers(fields: list[str]) -> bool:
    return len(fields) < 2 or all(INTEGER.fullmatch(field) for field in fields[:2])


def _is_header(first: list[str], second: list[str]) -> bool:
    """Tell whether the first line names the columns."""
    numbered = len(second) >= 2 and _are_integers(second)
    no_weight = len(first) == 3 and not NUMBER.fullmatch(first[2])
    return numbered or no_weight or {name.lower() for name in first[:2]} <= HEADERS


def _named_edges(text: Text, separator: str) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read edges between nodes that have names, or whose attributes are those of networkx."""
    ends: list[list[str]] = []
    weights: list[float] = []
    for number, line in text.numbered():
        if line.lstrip()[:1] in (b"#", b"%", b""):
            continue
        names, weight = _named_edge(line, separator, number)
        ends.append(names)
        weights.append(weight)
    nodes: NDArray[Any] = np.array(ends)
    if all(INTEGER.fullmatch(name) for name in nodes.ravel()):
        nodes = nodes.astype(np.int64)
    return nodes, np.array(weights)


def _named_edge(line: bytes, separator: str, number: int) -> tuple[list[str], float]:
    fields = _fields(line, separator, number)
    attributes = NETWORKX.fullmatch(line.decode().strip()) if separator == " " else None
    if attributes:
        fields = [attributes[1], attributes[2], attributes[3] or "1"]
    if len(fields) not in (2, 3):
        raise ValueError(f"line {number}: expected 2 or 3 columns, got {len(fields)}")
    for name in fields[:2]:
        no_integer = NUMBER.fullmatch(name) and not INTEGER.fullmatch(name)
        if not name or no_integer or name.startswith("<"):  # which begins a web page
            raise ValueError(f"line {number}: expected the number or name of a node, got {name!r}")
    return fields[:2], _number(fields[2], number) if len(fields) == 3 else 1.0


def _number(text: str, line: int) -> float:
    """Read a number as `read_lines` does."""
    _, values, _ = _core.read_lines(text.encode(), 1, 0, 1, " ", line)
    if values.size != 1:
        raise ValueError(f"line {line}: expected a number, got {text!r}")
    return float(values[0, 0])


def _adjacency(
    first: NDArray[Any], second: NDArray[Any], weights: NDArray[np.float64]
) -> tuple[Any, NDArray[Any]]:
    """Return the adjacency matrix, and the nodes in the order of its rows."""
    nodes, ends = np.unique(np.concatenate([first, second]), return_inverse=True)
    i, j = np.sort(ends.reshape(2, -1), axis=0)
    order = np.lexsort((j, i))
    i, j, weights = i[order], j[order], weights[order]
    starts = np.flatnonzero(np.r_[True, (i[1:] != i[:-1]) | (j[1:] != j[:-1])])
    i, j, weights = i[starts], j[starts], np.maximum.reduceat(weights, starts)
    off = i != j
    rows, columns = np.concatenate([i, j[off]]), np.concatenate([j, i[off]])
    values = np.concatenate([weights, weights[off]])
    return sp.coo_array((values, (rows, columns)), shape=(len(nodes), len(nodes))), nodes


# ---- vectors -------------------------------------------------------------------------------------


def table_separator(path: Path) -> str:
    """Return what the suffix puts between the columns of a vector."""
    suffixes = {suffix.lower() for suffix in path.suffixes[-2:]}
    return "," if ".csv" in suffixes else "\t" if ".tsv" in suffixes else " "


def read_text_vector(path: Path, key: str | None, labels: ArrayLike | None = None) -> NDArray[Any]:
    """Read numbers, one row of the block a line; % and # begin comments.

    A table (.csv, .tsv) may name its columns in the first line. If the first one is called `node`,
    the rows belong to these labels, and are put into their order.
    """
    with _text(path, VECTOR) as text:
        comments, line = _skip_comments(text)
        separator = table_separator(path)
        if separator != " ":
            separator = _separator(line, path)
            fields = _fields(line, separator, text.lines)
            if fields[0].lower() == NODE:
                return _in_order(path, _named_rows(text, separator, len(fields)), labels)
            if any(not NUMBER.fullmatch(field) for field in fields):
                line = text.line()
        columns = len(_fields(line, separator, text.lines))
        text.put_back(line)
        _, values = _numbers(text, 0, columns, separator)
        shape = VECTOR_SHAPE.match(comments[0].rstrip()) if comments else None
        if shape is None:
            return values[:, 0] if columns == 1 else values
        return values.reshape([int(size) for size in shape.groups() if size is not None])


def _named_rows(text: Text, separator: str, columns: int) -> dict[str, list[float]]:
    """Read rows that begin with a name."""
    rows: dict[str, list[float]] = {}
    for number, line in text.numbered():
        name, *values = _fields(line, separator, number) or [""]
        if len(values) + 1 != columns:
            raise ValueError(f"line {number}: expected a node and {columns - 1} numbers")
        if name in rows:
            raise ValueError(f"line {number}: the node {name!r} has two rows")
        rows[name] = [_number(value, number) for value in values]
    return rows


def _in_order(path: Path, rows: dict[str, list[float]], labels: ArrayLike | None) -> NDArray[Any]:
    if labels is None:
        raise ChoiceError(f"{path}: its rows belong to nodes; say in which order: labels=")
    names = [str(label) for label in np.asarray(labels).tolist()]
    different = sorted(set(names) ^ rows.keys())
    if different:
        place = "the graph" if different[0] in rows else "the file"
        raise ChoiceError(f"{path}: the node {different[0]!r} is not in {place}")
    values = np.array([rows[name] for name in names])
    return values[:, 0] if values.shape[1] == 1 else values


def write_text_vector(path: Path, x: NDArray[Any], labels: NDArray[Any] | None = None) -> None:
    """Write numbers, one row of the block a line, so that they read back exactly.

    A table has columns and, with labels, a first one that says which node a row belongs to.
    """
    separator = table_separator(path)
    if labels is not None:
        _write_table(path, x.reshape(len(x), -1), labels, separator)
        return
    with atomic_stream(path) as stream:
        if separator == " ":
            shape = " x ".join(str(size) for size in x.shape)
            stream.write(f"# pympf vector, shape {shape}\n".encode())
        np.savetxt(stream, x, fmt="%.17g", delimiter=separator)


def _write_table(path: Path, x: NDArray[Any], labels: NDArray[Any], separator: str) -> None:
    text = io.StringIO()
    rows = csv.writer(text, delimiter=separator, lineterminator="\n")
    one = x.shape[1] == 1
    rows.writerow([NODE, *("value" if one else f"value{k + 1}" for k in range(x.shape[1]))])
    for label, values in zip(labels.tolist(), x.tolist(), strict=True):
        rows.writerow([label, *map(repr, values)])
    write_whole(path, io.BytesIO(text.getvalue().encode()))
