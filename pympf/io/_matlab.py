"""MATLAB .mat files of all versions; 7.3 is HDF5."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import scipy.io
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf.io import _mat5
from pympf.io._files import ChoiceError, atomic_stream, reading
from pympf.io._hdf5 import array_of, by_columns, complex_of, open_hdf5

KIND = "MATLAB"
HDF5_OFFSET, HDF5_SIGNATURE = 512, b"\x89HDF\r\n\x1a\n"

Names: TypeAlias = Callable[[dict[str, Any]], list[list[str]]]
"""Lists of names, of which the first one with a single name is taken when there is no key."""

SIZE_LIMIT = 2**31 - 1
"""Bytes of a variable in the files that SciPy writes (MATLAB 5)."""


def read_matrix(path: Path, key: str | None) -> Any:
    """Read the variable `key` (fields of a struct as ``Problem.A``), or the only matrix.

    Without `key`, the only sparse matrix is taken, else the only one called A (SuiteSparse files
    have ``Problem.A``), else the only full matrix.
    """
    return _read(path, key, _matrix_names)


def read_vector(path: Path, key: str | None) -> NDArray[Any]:
    """Read the variable `key`, or the only full matrix, or the only one called b or x.

    A row or a column is a vector, and anything else a block of them.
    """
    values = _read(path, key, _vector_names)
    values = values.toarray() if sp.issparse(values) else np.asarray(values)
    return values.reshape(-1) if 1 in values.shape else values


def _read(path: Path, key: str | None, names: Names) -> Any:
    return (_read_hdf5 if _is_hdf5(path) else _read_mat5)(path, key, names)


def write_vector(path: Path, x: NDArray[Any]) -> None:
    """Write the variable x, a vector as a column."""
    _write(path, "x", x.reshape(len(x), -1).astype(np.float64, copy=False), x.nbytes)


def write_matrix(path: Path, A: sp.csr_array) -> None:
    """Write a matrix as the sparse variable A."""
    csc = A.tocsc().astype(np.float64, copy=False)
    _write(path, "A", csc, csc.data.nbytes + csc.indices.nbytes + csc.indptr.nbytes)


def _write(path: Path, name: str, values: Any, size: int) -> None:
    if size > SIZE_LIMIT:
        raise ValueError(f"{path}: .mat files hold {SIZE_LIMIT} bytes, got {size}; use .h5 or .npz")
    with atomic_stream(path) as stream:
        scipy.io.savemat(stream, {name: values}, do_compression=True)


def _choose(path: Path, key: str | None, names: Names, matrices: dict[str, Any]) -> Any:
    """Pick by name; the values need `shape`, and are sparse if `_is_sparse` says so."""
    if key is not None:
        if key not in matrices:
            raise ChoiceError(
                f"{path}: there is no matrix under the key {key!r}; "
                f"there is: {sorted(matrices) or 'none'}"
            )
        return matrices[key]
    if not matrices:
        raise ValueError("it holds no matrix")
    for found in names(matrices):
        if len(found) == 1:
            return matrices[found[0]]
    raise ChoiceError(f"{path}: choose one of {sorted(matrices)} with key=")


def _matrix_names(matrices: dict[str, Any]) -> list[list[str]]:
    sparse = [name for name, value in matrices.items() if _is_sparse(value)]
    full = [name for name, value in matrices.items() if not _is_sparse(value)]
    return [sparse, _called("A", matrices), full if not sparse else []]


def _vector_names(matrices: dict[str, Any]) -> list[list[str]]:
    full = [name for name, value in matrices.items() if not _is_sparse(value)]
    return [full, _called("b", matrices), _called("x", matrices), list(matrices)]


def _called(name: str, matrices: dict[str, Any]) -> list[str]:
    """List the matrices of this name, also as fields of structs."""
    return [path for path in matrices if path.rpartition(".")[2] == name]


def _is_sparse(value: Any) -> bool:
    return sp.issparse(value) or "MATLAB_sparse" in getattr(value, "attrs", {})


def _is_hdf5(path: Path) -> bool:
    with open(path, "rb") as stream:
        stream.seek(HDF5_OFFSET)
        return stream.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE


def _read_mat5(path: Path, key: str | None, names: Names) -> Any:
    with reading(path, KIND):
        content = path.read_bytes()
        if _mat5.is_mat5(content[: _mat5.HEADER_SIZE]):
            return _choose(path, key, names, _mat5.read_matrices(content))
        # What is left is MATLAB 4, which has named arrays only.
        with np.errstate(invalid="raise"):
            variables = scipy.io.loadmat(io.BytesIO(content))
        matrices = {name: value for name, value in variables.items() if name and name[:2] != "__"}
        return _choose(path, key, names, matrices)


def _read_hdf5(path: Path, key: str | None, names: Names) -> Any:
    with open_hdf5(path, "MATLAB 7.3") as file:
        item = _choose(path, key, names, dict(_hdf5_matrices(file, "")))
        return by_columns(item) if _is_sparse(item) else complex_of(array_of(item)).T


def _hdf5_matrices(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, item in group.items():
        if name.startswith("#"):
            continue
        if _is_sparse(item) or (hasattr(item, "dtype") and _is_full(item)):
            yield prefix + name, item
        elif hasattr(item, "keys"):
            yield from _hdf5_matrices(item, f"{prefix}{name}.")


def _is_full(dataset: Any) -> bool:
    kind = dataset.attrs.get("MATLAB_class", b"double")
    numeric = dataset.dtype.kind in "fiub" or dataset.dtype.names == ("real", "imag")
    return (
        numeric
        and kind not in (b"char", b"cell")
        and dataset.ndim == 2
        and "MATLAB_empty" not in dataset.attrs
    )
