"""Numeric variables of MATLAB 5 to 7.2 files, read with every size and offset checked.

`scipy.io.loadmat` takes sizes in such files on trust: a damaged one can end the process, or come
back as a string with a warning. Here it is a ValueError.

A file is a header of 128 bytes and a sequence of elements: type and size (4 bytes each, or both in
4 bytes and the content in the next 4), then the content, padded to 8 bytes. A variable is an
element that consists of elements: flags, dimensions, name, and the content of its class.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

HEADER_SIZE = 128
BYTE_ORDERS = {b"IM": "<", b"MI": ">"}

MATRIX, COMPRESSED = 14, 15
NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}

STRUCT, SPARSE, FULL = 2, 5, range(6, 16)
COMPLEX_FLAG = 0x800


def is_mat5(start: bytes) -> bool:
    """Tell by the first `HEADER_SIZE` bytes whether a file is of this format."""
    return start[126:128] in BYTE_ORDERS


def read_matrices(content: bytes) -> dict[str, Any]:
    """Return the matrices of a file by name; fields of a struct are called ``struct.field``."""
    order = BYTE_ORDERS[content[126:128]]
    matrices: dict[str, Any] = {}
    for kind, element in _elements(memoryview(content)[HEADER_SIZE:], order):
        if kind == COMPRESSED:
            ((kind, element),) = _elements(memoryview(_decompressed(element, order)), order)
        if kind == MATRIX:
            matrices.update(_matrices(element, order))
    return matrices


def _decompressed(content: memoryview, order: str) -> bytes:
    """Decompress an element, up to the size that its head announces."""
    stream = zlib.decompressobj()
    head = stream.decompress(content, 8)
    if len(head) < 8:
        raise ValueError("a compressed element ends early")
    _, size = struct.unpack(f"{order}II", head)
    element = head + stream.decompress(stream.unconsumed_tail, size + 1)
    if len(element) != size + 8 or not stream.eof:
        raise ValueError(f"a compressed element of {size} bytes has {len(element) - 8} or more")
    return element


def _elements(buffer: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    position = 0
    while position < len(buffer):
        if position + 8 > len(buffer):
            raise ValueError("it ends within the head of an element")
        kind, size = struct.unpack_from(f"{order}II", buffer, position)
        if kind > 0xFFFF:
            kind, size, start, room = kind & 0xFFFF, kind >> 16, position + 4, 4
        else:
            start, room = position + 8, len(buffer) - position - 8
        if size > room:
            raise ValueError(f"an element of {size} bytes has only {room}")
        yield kind, buffer[start : start + size]
        # Compressed elements are the only ones without padding.
        end = start + size
        position = end if kind == COMPRESSED else end + -end % 8


def _matrices(variable: memoryview, order: str, path: str = "") -> Iterator[tuple[str, Any]]:
    if len(variable) == 0:
        return
    (_, flags), (_, dimensions), (_, name), *content = _elements(variable, order)
    flag = int(np.frombuffer(flags, f"{order}u4")[0])
    shape = tuple(int(size) for size in np.frombuffer(dimensions, f"{order}i4"))
    path = path or bytes(name).decode("latin-1")
    kind = flag & 0xFF
    if kind == STRUCT and math.prod(shape) == 1:
        yield from _fields(content, order, path)
    elif kind == SPARSE and len(shape) == 2:
        ir, jc, *values = (_numbers(element, order) for element in content)
        entries = int(jc[-1])
        data = _combined(values, flag)[:entries]
        yield path, sp.csc_array((data, ir[:entries], jc), shape=shape)
    elif kind in FULL and len(shape) == 2:
        values = [_numbers(element, order) for element in content]
        yield path, _combined(values, flag).reshape(shape, order="F")


def _fields(
    content: list[tuple[int, memoryview]], order: str, path: str
) -> Iterator[tuple[str, Any]]:
    (_, width), (_, names), *variables = content
    size = int(np.frombuffer(width, f"{order}i4")[0])
    fields = [bytes(names[at : at + size]) for at in range(0, len(names), size)]
    for field, (_, variable) in zip(fields, variables, strict=True):
        name = field.partition(b"\0")[0].decode("latin-1")
        yield from _matrices(variable, order, f"{path}.{name}")


def _numbers(element: tuple[int, memoryview], order: str) -> NDArray[Any]:
    kind, content = element
    return np.frombuffer(content, np.dtype(order + NUMBERS[kind]))


def _combined(values: list[NDArray[Any]], flag: int) -> NDArray[Any]:
    if flag & COMPLEX_FLAG:
        real, imaginary = values
        return np.asarray(real + 1j * imaginary)
    (real,) = values
    return real
