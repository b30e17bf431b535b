"""Lines of text files: read by the core, strictly, a piece at a time.

A line that holds something else than its columns is refused by its number. Numbers may be written
as Fortran does (1.0D0, +2.5); what follows % or # is a comment; a byte order mark and the line ends
of other systems do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pympf._engine import text as compiled
from pympf.io._files import (
    open_stream,
    packed,
    reading,
    require_final_newline,
)

PIECE = 1 << 22
"""Bytes that are read at a time, up to the end of a line."""

LONGEST_LINE = 1 << 24
"""Bytes of a line; of the comments at the beginning a quarter."""

LARGEST_EXPANSION = 1100
"""A compressed file may grow so many times: gzip knows no more."""

ALWAYS_ALLOWED = 1 << 26
"""Bytes to which any compressed file may grow."""

COMMENT = re.compile(r"(?:^|\s)[#%]")


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
def opened(path: Path, kind: str) -> Iterator[Text]:
    """Open a text file, whose faults become OSErrors that name it."""
    with reading(path, kind):
        require_final_newline(path)
        with open_stream(path) as stream:
            yield Text(stream, path.stat().st_size if packed(path) else None)


def numbers(
    text: Text, integers: int, reals: int, separator: str = " ", announced: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Read the rest of a text, whose lines hold so many integers and then so many numbers."""
    parts = []
    count = 0
    separator = separator.replace("\t", " ")  # to the core these are the same
    smallest, line = 2 * (integers + reals), text.lines + 1
    for piece in text.pieces():
        lines = len(piece) // smallest + 1
        *arrays, line = compiled.read_lines(piece, lines, integers, reals, separator, line)
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


def skip_comments(text: Text) -> tuple[list[bytes], bytes]:
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
