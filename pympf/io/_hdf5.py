"""HDF5 files: groups that say what they are by the attributes `type` and `format_version`.

A matrix is a group with ``type = "csr"``, the attribute `shape` and the datasets `data`, `indices`
and `indptr`; a vector, or a block of them, is a group with ``type = "vector"`` and the dataset
`data`. Groups of others are read by what they say of themselves:

====================  ===============================================  ============================
written by            says so by                                       compressed by
====================  ===============================================  ============================
AnnData               attribute ``encoding-type`` = csr_matrix, ...    rows or columns, as it says
h5sparse              attribute ``h5sparse_format`` = csr, csc         rows or columns, as it says
10x Genomics          datasets `shape` and `barcodes`                  columns (one for a barcode)
MATLAB 7.3            attribute ``MATLAB_sparse``, datasets ir, jc     columns
others                nothing but `shape`                              what fits indptr, else rows
====================  ===============================================  ============================

Our files carry checksums on everything, since HDF5 takes what it reads on trust: file format 1.10
for the structure, Fletcher's and our own (`_sums`) for the values, and attributes of fixed length,
which lie within the structure.
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

from pympf.io import _sums
from pympf.io._files import ChoiceError, reading, write_whole
from pympf.la.ranks import Ranks

FORMAT_VERSION = 1

LARGEST_EXPANSION = 1100
"""How many times an array may be larger than what it takes of the file."""

ENCODINGS = ("encoding-type", "h5sparse_format")
SHAPES = ("shape", "h5sparse_shape")
BY_ROWS, BY_COLUMNS = "csr", "csc"
ORDERS = {"csr": BY_ROWS, "csr_matrix": BY_ROWS, "csc": BY_COLUMNS, "csc_matrix": BY_COLUMNS}


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
    write_whole(Path(os.fsdecode(path)), image)


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

    with open(path, "rb"), reading(Path(os.fsdecode(path)), kind), h5py.File(path, "r") as file:
        yield file


def array_of(dataset: Any, places: Any = ()) -> NDArray[Any]:
    """Read an array, or these places of it; what takes nearly nothing of the file is no array."""
    stored = dataset.id.get_storage_size()
    if dataset.size * dataset.dtype.itemsize > LARGEST_EXPANSION * max(stored, 1):
        raise ValueError(
            f"{dataset.name} has {dataset.size} entries, which are not there: {stored} bytes are"
        )
    return np.asarray(dataset[places])


def read_matrix(path: Path, key: str | None) -> Any:
    """Read the matrix in the group `key`, or the only matrix of the file.

    By its name also a dataset of two axes: AnnData has dense matrices too.
    """
    matrix = read_rows(path, key, Ranks(None))
    if matrix is not None:
        return matrix
    with open_hdf5(path) as file:
        item = _choose_matrix(file, key)
        return by_columns(item) if _is_group(item) else array_of(item)


def read_rows(path: Path, key: str | None, ranks: Ranks) -> Any:
    """Read the rows of this rank, cut as evenly as possible; of one process all of them.

    Collective. None if the rows of the matrix do not lie together in the file.
    """
    name = None
    with ranks.guard(), open_hdf5(path) as file:
        item = _choose_matrix(file, key)
        if _is_group(item) and order_of(item) == BY_ROWS:
            name = item.name
    if name is None:
        return None
    if ranks.size > 1:
        with open_hdf5(path) as file:
            _sums.check(file[name], ranks)
    with ranks.guard(), open_hdf5(path) as file:
        return _rows(file[name], ranks)


def _choose_matrix(file: Any, key: str | None) -> Any:
    return _choose(file, key, "csr", _is_sparse if key is None else _is_matrix)


def order_of(group: Any) -> str:
    """Tell whether a group is compressed by rows or by columns."""
    if "type" in group.attrs:  # ours
        return BY_ROWS
    if "MATLAB_sparse" in group.attrs:
        return BY_COLUMNS
    for name in ENCODINGS:
        if name in group.attrs:
            text = _text(group.attrs[name])
            if text not in ORDERS:
                raise ValueError(f"{group.name}: {name} is {text!r}; known: {', '.join(ORDERS)}")
            return ORDERS[text]
    if "barcodes" in group:
        return BY_COLUMNS
    rows, columns = _shape(group)
    length = group["indptr"].shape[0]
    return BY_COLUMNS if length == columns + 1 != rows + 1 else BY_ROWS


def by_columns(group: Any) -> Any:
    """Read a group that is compressed by columns."""
    if "MATLAB_sparse" in group.attrs:
        rows, indptr = int(group.attrs["MATLAB_sparse"]), array_of(group["jc"])
        shape = (rows, len(indptr) - 1)
        if "data" not in group:  # no entries
            return sp.csc_array(shape)
        data, indices = complex_of(array_of(group["data"])), array_of(group["ir"])
    else:
        _sums.check(group)
        data, indices, indptr = (array_of(group[name]) for name in ("data", "indices", "indptr"))
        shape = _shape(group)
    for name, array in (("indices", indices), ("indptr", indptr)):
        _require_integers(f"{group.name}: {name}", array)
    indices, indptr = indices.astype(np.int64), indptr.astype(np.int64)
    return sp.csc_array((data, indices, indptr), shape=shape)


def complex_of(values: Any) -> Any:
    """MATLAB writes complex numbers as pairs; the gate refuses them under their own name."""
    return values["real"] + 1j * values["imag"] if values.dtype.names else values


def _rows(group: Any, ranks: Ranks) -> Any:
    """Read the rows of this rank from a group that is compressed by rows. Not collective."""
    rows, columns = _shape(group)
    if group["indptr"].shape != (rows + 1,):
        raise ValueError(
            f"corrupt sparse matrix: index pointer size: indptr has shape "
            f"{group['indptr'].shape}, expected ({rows + 1},)"
        )
    mine, whole = ranks.cut(rows), ranks.size == 1
    indptr = array_of(group["indptr"], slice(mine.start, mine.stop + 1))
    if whole:  # the whole array is here
        _sums.verify(group["indptr"], indptr)
    _require_integers("indptr", indptr)
    indptr = indptr.astype(np.int64)
    entries = group["data"].shape[0]
    if group["indices"].shape != (entries,) or group["data"].ndim != 1:
        raise ValueError(f"{group['indices'].shape} indices for {entries} entries")
    begin, end = (int(group["indptr"][i]) for i in (0, -1))
    if begin != 0 or end != entries or (np.diff(indptr) < 0).any():
        raise ValueError(
            f"indptr runs from {begin} to {end} for {entries} entries; expected from 0 to all of "
            "them, and no decrease"
        )
    own = slice(int(indptr[0]), int(indptr[-1]))
    arrays = array_of(group["data"], own), array_of(group["indices"], own), indptr - indptr[0]
    if whole:
        _sums.verify(group["data"], arrays[0])
        _sums.verify(group["indices"], arrays[1])
    _require_integers("indices", arrays[1])
    return sp.csr_array(arrays, shape=(len(mine), columns))


def _require_integers(name: str, array: NDArray[Any]) -> None:
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise ValueError(f"{name}: expected integers, got {array.dtype} with {array.ndim} axes")


def write_matrix(path: Path, A: sp.csr_array) -> None:
    """Write a matrix as the root group."""
    with create_hdf5(path) as file:
        _label(file, "csr")
        file.attrs["shape"] = A.shape
        for name in ("data", "indices", "indptr"):
            _sums.add(file, name, getattr(A, name))


def read_vector(path: Path, key: str | None) -> NDArray[Any]:
    """Read the vector in the group or dataset `key`, or the only one of the file."""
    with open_hdf5(path) as file:
        item = _choose(file, key, "vector", _is_vector)
        if _is_group(item):
            _sums.check(item)
        return array_of(item["data"] if _is_group(item) else item)


def write_vector(path: Path, x: NDArray[Any]) -> None:
    """Write a vector, or a block of vectors, as the root group."""
    with create_hdf5(path) as file:
        _label(file, "vector")
        _sums.add(file, "data", x)


def _label(group: Any, type_: str) -> None:
    group.attrs["type"] = np.bytes_(type_)
    group.attrs["format_version"] = FORMAT_VERSION


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


def _is_sparse(item: Any) -> bool:
    if not _is_group(item):
        return False
    return "MATLAB_sparse" in item.attrs or {"data", "indices", "indptr"} <= set(item.keys())


def _is_matrix(item: Any) -> bool:
    return _is_sparse(item) or (
        not _is_group(item) and item.ndim == 2 and item.dtype.kind in "fiub"
    )


def _is_vector(item: Any) -> bool:
    if _is_group(item):
        return _text(item.attrs.get("type", "")) == "vector"
    return item.ndim in (1, 2) and item.dtype.kind in "fiub"


def _shape(group: Any) -> tuple[int, int]:
    for place, names in ((group.attrs, SHAPES), (group, ("shape",))):
        for name in names:
            if name in place:
                rows, columns = (int(size) for size in place[name][...])
                if min(rows, columns) < 0:
                    raise ValueError(f"a matrix of shape {(rows, columns)}")
                return rows, columns
    raise ValueError("the matrix has no shape")


def _text(attribute: Any) -> str:
    return attribute.decode() if isinstance(attribute, bytes) else str(attribute)
