"""Edge lists as of SNAP, networkx and spreadsheets, and vectors as text."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from pympf._engine import text as compiled
from pympf.io._files import (
    ChoiceError,
    atomic_stream,
    write_whole,
)
from pympf.io._lines import COMMENT, Text, numbers, opened, skip_comments

EDGES = "edge list (two or three columns)"
VECTOR = "text vector"

EDGE_COUNT = re.compile(rb"Edges:\s*(\d+)")
VECTOR_SHAPE = re.compile(rb"# pympf vector, shape (\d+)(?: x (\d+))?$")
QUOTED = re.compile(rb'"[^"]*"')
INTEGER = re.compile(r"[+-]?\d+")
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?|[+-]?(?:inf|nan)", re.I)
NETWORKX = re.compile(r"(\S+)\s+(\S+)\s+\{(?:.*['\"]weight['\"]\s*:\s*([^\s,}]+).*|[^}]*)\}")
HEADERS = {"source", "target", "from", "to", "src", "dst", "node1", "node2", "u", "v", "i", "j"}
NODE = "node"
"""The name of the column of a vector that says which node a row belongs to."""


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
    with opened(path, EDGES) as text:
        comments, line = skip_comments(text)
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
            ends, reals = numbers(text, 2, len(fields) - 2, separator)
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
    _, values, _ = compiled.read_lines(text.encode(), 1, 0, 1, " ", line)
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


def table_separator(path: Path) -> str:
    """Return what the suffix puts between the columns of a vector."""
    suffixes = {suffix.lower() for suffix in path.suffixes[-2:]}
    return "," if ".csv" in suffixes else "\t" if ".tsv" in suffixes else " "


def read_text_vector(path: Path, key: str | None, labels: ArrayLike | None = None) -> NDArray[Any]:
    """Read numbers, one row of the block a line; % and # begin comments.

    A table (.csv, .tsv) may name its columns in the first line. If the first one is called `node`,
    the rows belong to these labels, and are put into their order.
    """
    with opened(path, VECTOR) as text:
        comments, line = skip_comments(text)
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
        _, values = numbers(text, 0, columns, separator)
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
