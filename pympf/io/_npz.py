"""NumPy's files, read with every size checked before there is memory for it.

``.npz`` as `scipy.sparse.save_npz` writes it is a zip archive of arrays, whose member ``format``
names the sparse format.
"""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf.io._files import reading, write_whole

LARGEST_EXPANSION = 1100
"""How many times a member may grow: a little more than zip's method can do."""

COMPRESSED = {"csr": sp.csr_array, "csc": sp.csc_array, "bsr": sp.bsr_array}
MEMBERS = {
    **dict.fromkeys(COMPRESSED, ("data", "indices", "indptr")),
    "coo": ("data", "row", "col"),
    "dia": ("data", "offsets"),
}


def read_matrix(path: Path, key: str | None) -> Any:
    """Read a sparse matrix of any format that `scipy.sparse.save_npz` writes."""
    with reading(path, "SciPy .npz"), open(path, "rb") as stream:
        if not zipfile.is_zipfile(stream):
            raise ValueError("it is no zip archive, or not a whole one")
        with zipfile.ZipFile(stream) as archive:
            name = _text(_member(archive, "format"))
            if name not in MEMBERS:
                raise ValueError(f"the sparse format {name!r}; known: {', '.join(MEMBERS)}")
            shape = _member(archive, "shape")
            if shape.shape != (2,) or shape.dtype.kind not in "iu" or (shape < 0).any():
                raise ValueError(f"expected a shape of two sizes, got {shape}")
            arrays = [_member(archive, member) for member in MEMBERS[name]]
        return _matrix(name, (int(shape[0]), int(shape[1])), arrays)


def _matrix(name: str, shape: tuple[int, int], arrays: list[NDArray[Any]]) -> Any:
    axes = {"bsr": 3, "dia": 2}.get(name, 1)
    for member, array, ndim in zip(MEMBERS[name], arrays, (axes, 1, 1), strict=False):
        if array.ndim != ndim or (member != "data" and array.dtype.kind not in "iu"):
            raise ValueError(f"{member} is an array of {array.dtype} with {array.ndim} axes")
    if name in COMPRESSED:
        return COMPRESSED[name](tuple(arrays), shape=shape)
    if name == "coo":
        data, row, column = arrays
        return sp.coo_array((data, (row, column)), shape=shape)
    return sp.dia_array(tuple(arrays), shape=shape)


def _text(array: NDArray[Any]) -> str:
    value = array.item() if array.size == 1 else array
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def _member(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > LARGEST_EXPANSION * max(info.compress_size, 1):
        raise ValueError(f"{name} grows from {info.compress_size} to {info.file_size} bytes")
    with archive.open(info) as stream:
        return _array(stream, info.file_size)


def _array(stream: Any, size: int) -> NDArray[Any]:
    """Read an array, which is all of a stream of so many bytes."""
    # The header comes first: NumPy makes room for what it says.
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError(f"version {version} of NumPy's format holds no numbers")
    shape, by_column, dtype = read[version](stream)
    if dtype.hasobject:
        raise ValueError("Object arrays are not read")
    entries = math.prod(shape)
    if min(shape, default=0) < 0 or entries * dtype.itemsize > size:
        raise ValueError(f"an array of shape {shape} is announced, there are {size} bytes")
    content = stream.read(entries * dtype.itemsize)
    if len(content) != entries * dtype.itemsize:
        raise ValueError(f"it ends early: {len(content)} bytes of an array of shape {shape}")
    if stream.read(1):
        raise ValueError("there is more behind the array")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if by_column else "C")


def write_matrix(path: Path, A: sp.csr_array) -> None:
    """Write a matrix as SciPy does."""
    content = io.BytesIO()
    sp.save_npz(content, A)
    write_whole(path, content)


def read_vector(path: Path, key: str | None) -> NDArray[Any]:
    """Read an .npy file."""
    with reading(path, "NumPy .npy"), open(path, "rb") as stream:
        return _array(stream, path.stat().st_size)


def write_vector(path: Path, x: NDArray[Any]) -> None:
    """Write an .npy file."""
    # Not into the file itself: NumPy does not notice if the disk has no room for its last bytes.
    content = io.BytesIO()
    np.save(content, x)
    write_whole(path, content)
