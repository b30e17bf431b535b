"""HDF5 files: groups that say what they are by the attributes `type` and `format_version`.

A matrix is a group with ``type = "csr"``, the attribute `shape` and the datasets `data`, `indices`
and `indptr`; a vector, or a block of them, is a group with ``type = "vector"`` and the dataset
`data`. Groups of the same datasets without `type` (as AnnData and others write them) are read too.

Our files carry checksums on everything, since HDF5 takes what it reads on trust: file format 1.10
for the structure, Fletcher's for the values, and attributes of fixed length, which lie within it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf._mpi import first_row
from pympf.io._files import ChoiceError, reading, write_whole

FORMAT_VERSION = 1


@contextmanager
def create_hdf5(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Give an empty HDF5 file to fill, which replaces `path` as `atomic_write` does.

    Not collective. The file is put together in memory, as HDF5 cannot close a file in an orderly
    way once the disk is full.

    Parameters
    ----------
    path : str or os.PathLike
        The file to create or to replace.

    Yields
    ------
    h5py.File
        Open for writing.

    Raises
    ------
    OSError
        If `path` cannot be written.

    Examples
    --------
    >>> import os, tempfile
    >>> from pympf.io import create_hdf5, open_hdf5
    >>> path = os.path.join(tempfile.mkdtemp(), "a.h5")
    >>> with create_hdf5(path) as file:
    ...     file["x"] = [1, 2, 3]
    >>> with open_hdf5(path) as file:
    ...     file["x"][1]
    np.int64(2)
    """
    import h5py

    image = io.BytesIO()
    with h5py.File(image, "w", libver=("v110", "v110")) as file:
        yield file
    write_whole(Path(path), image)


@contextmanager
def open_hdf5(path: str | os.PathLike[str], kind: str = "HDF5") -> Iterator[Any]:
    """Open an HDF5 file for reading; whatever is wrong with its content becomes an OSError.

    Not collective.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    kind : str
        What the file should be, as it stands in messages.

    Yields
    ------
    h5py.File
        Open for reading.

    Raises
    ------
    OSError
        If there is no such file, or it is truncated, or the block finds something missing.

    Examples
    --------
    See `create_hdf5`.
    """
    import h5py

    with open(path, "rb"), reading(Path(path), kind), h5py.File(path, "r") as file:
        yield file


def read_matrix(path: Path, key: str | None) -> Any:
    """Read the matrix in the group `key`, or the only matrix of the file."""
    with open_hdf5(path) as file:
        group = _choose(file, key, "csr", _is_csr)
        arrays = tuple(group[name][...] for name in ("data", "indices", "indptr"))
        return sp.csr_array(arrays, shape=_shape(group))


def read_rows(path: Path, key: str | None, place: int, places: int) -> Any:
    """Read the rows of one of so many places, cut as evenly as possible."""
    with open_hdf5(path) as file:
        group = _choose(file, key, "csr", _is_csr)
        rows, columns = _shape(group)
        if group["indptr"].shape != (rows + 1,):
            raise ValueError(f"indptr has shape {group['indptr'].shape}, expected ({rows + 1},)")
        first, last = (first_row(rows, rank, places) for rank in (place, place + 1))
        indptr = group["indptr"][first : last + 1].astype(np.int64)
        entries = group["data"].shape[0]
        if not 0 <= indptr[0] <= indptr[-1] <= entries:
            raise ValueError(f"indptr runs from {indptr[0]} to {indptr[-1]} of {entries} entries")
        own = slice(int(indptr[0]), int(indptr[-1]))
        arrays = group["data"][own], group["indices"][own], indptr - indptr[0]
        return sp.csr_array(arrays, shape=(last - first, columns))


def write_matrix(path: Path, A: sp.csr_array) -> None:
    """Write a matrix as the root group."""
    with create_hdf5(path) as file:
        _label(file, "csr")
        file.attrs["shape"] = A.shape
        for name in ("data", "indices", "indptr"):
            _add(file, name, getattr(A, name))


def read_vector(path: Path, key: str | None) -> NDArray[Any]:
    """Read the vector in the group or dataset `key`, or the only one of the file."""
    with open_hdf5(path) as file:
        item = _choose(file, key, "vector", _is_vector)
        return np.asarray((item["data"] if _is_group(item) else item)[...])


def write_vector(path: Path, x: NDArray[Any]) -> None:
    """Write a vector, or a block of vectors, as the root group."""
    with create_hdf5(path) as file:
        _label(file, "vector")
        _add(file, "data", x)


def _label(group: Any, type_: str) -> None:
    group.attrs["type"] = np.bytes_(type_)
    group.attrs["format_version"] = FORMAT_VERSION


def _add(group: Any, name: str, values: NDArray[Any]) -> None:
    group.create_dataset(name, data=values, fletcher32=values.size > 0)


def _choose(file: Any, key: str | None, type_: str, fits: Any) -> Any:
    if key is not None:
        if key not in file or not fits(file[key]):
            raise ChoiceError(
                f"{file.filename}: there is no {type_} under the key {key!r}; "
                f"there is: {_names(file, fits) or 'none'}"
            )
        return _check_version(file[key], type_)
    if "type" in file.attrs or fits(file):
        return _check_version(file, type_)
    names = _names(file, fits)
    if len(names) > 1:
        raise ChoiceError(f"{file.filename}: choose one of {names} with key=")
    if not names:
        raise ValueError(f"it holds no {type_}")
    return _check_version(file[names[0]], type_)


def _check_version(item: Any, type_: str) -> Any:
    """Refuse what calls itself something else, or comes from a later pympf."""
    if "type" in item.attrs:
        found, version = _text(item.attrs["type"]), int(item.attrs.get("format_version", 0))
        if found != type_:
            raise ValueError(f"it holds an object of type {found!r}, expected {type_!r}")
        if not 1 <= version <= FORMAT_VERSION:
            raise ValueError(f"format version {version}, this pympf reads 1 to {FORMAT_VERSION}")
    return item


def _names(file: Any, fits: Any) -> list[str]:
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if fits(item) else None)
    return names


def _is_group(item: Any) -> bool:
    return hasattr(item, "keys")


def _is_csr(item: Any) -> bool:
    return _is_group(item) and {"data", "indices", "indptr"} <= set(item.keys())


def _is_vector(item: Any) -> bool:
    if _is_group(item):
        return _text(item.attrs.get("type", "")) == "vector"
    return item.ndim in (1, 2) and item.dtype.kind in "fiub"


def _shape(group: Any) -> tuple[int, int]:
    for place in (group.attrs, group):
        if "shape" in place:
            rows, columns = (int(size) for size in place["shape"][...])
            return rows, columns
    raise ValueError("the matrix has no shape")


def _text(attribute: Any) -> str:
    return attribute.decode() if isinstance(attribute, bytes) else str(attribute)
