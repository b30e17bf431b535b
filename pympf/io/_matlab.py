"""MATLAB .mat files of all versions; 7.3 is HDF5."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import scipy.sparse as sp

from pympf.io import _mat5
from pympf.io._files import ChoiceError, atomic_stream, reading
from pympf.io._hdf5 import open_hdf5

KIND = "MATLAB"
HDF5_OFFSET, HDF5_SIGNATURE = 512, b"\x89HDF\r\n\x1a\n"

SIZE_LIMIT = 2**31 - 1
"""Bytes of a variable in the files that SciPy writes (MATLAB 5)."""


def read_matrix(path: Path, key: str | None) -> Any:
    """Read the variable `key` (fields of a struct as ``Problem.A``), or the only matrix.

    Without `key`, the only sparse matrix is taken, else the only one called A (SuiteSparse files
    have ``Problem.A``), else the only full matrix.
    """
    return _read_hdf5(path, key) if _is_hdf5(path) else _read_mat5(path, key)


def write_matrix(path: Path, A: sp.csr_array) -> None:
    """Write a matrix as the sparse variable A."""
    csc = A.tocsc().astype(np.float64, copy=False)
    size = csc.data.nbytes + csc.indices.nbytes + csc.indptr.nbytes
    if size > SIZE_LIMIT:
        raise ValueError(f"{path}: .mat files hold {SIZE_LIMIT} bytes, got {size}; use .h5 or .npz")
    with atomic_stream(path) as stream:
        scipy.io.savemat(stream, {"A": csc}, do_compression=True)


def _choose(path: Path, key: str | None, matrices: dict[str, Any]) -> Any:
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
    sparse = [name for name, value in matrices.items() if _is_sparse(value)]
    named = [name for name in matrices if name.rpartition(".")[2] == "A"]
    full = [name for name, value in matrices.items() if not _is_sparse(value)]
    for names in (sparse, named, full if not sparse else []):
        if len(names) == 1:
            return matrices[names[0]]
    raise ChoiceError(f"{path}: choose one of {sorted(matrices)} with key=")


def _is_sparse(value: Any) -> bool:
    return sp.issparse(value) or "MATLAB_sparse" in getattr(value, "attrs", {})


def _is_hdf5(path: Path) -> bool:
    with open(path, "rb") as stream:
        stream.seek(HDF5_OFFSET)
        return stream.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE


def _read_mat5(path: Path, key: str | None) -> Any:
    with reading(path, KIND):
        content = path.read_bytes()
        if _mat5.is_mat5(content[: _mat5.HEADER_SIZE]):
            return _choose(path, key, _mat5.read_matrices(content))
        # What is left is MATLAB 4, which has named arrays only.
        with np.errstate(invalid="raise"):
            variables = scipy.io.loadmat(io.BytesIO(content))
        matrices = {name: value for name, value in variables.items() if name and name[:2] != "__"}
        return _choose(path, key, matrices)


def _read_hdf5(path: Path, key: str | None) -> Any:
    with open_hdf5(path, "MATLAB 7.3") as file:
        item = _choose(path, key, dict(_hdf5_matrices(file, "")))
        if not _is_sparse(item):
            return _real(item[...]).T
        rows, indptr = int(item.attrs["MATLAB_sparse"]), item["jc"][...].astype(np.int64)
        if "data" not in item:
            return sp.csc_array((rows, len(indptr) - 1))
        arrays = _real(item["data"][...]), item["ir"][...].astype(np.int64), indptr
        return sp.csc_array(arrays, shape=(rows, len(indptr) - 1))


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


def _real(values: Any) -> Any:
    """MATLAB writes complex numbers as pairs; the gate refuses them under their own name."""
    return values["real"] + 1j * values["imag"] if values.dtype.names else values
