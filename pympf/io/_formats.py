"""What can be read and written, by the suffix of a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from numpy.typing import NDArray

from pympf.io import _hdf5, _matlab, _matrix_market, _npz, _petsc, _text
from pympf.io._files import checked_target

PathLike: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]


@dataclass(frozen=True)
class Format:
    """What can be done with the files of one suffix; None where nothing can."""

    name: str
    read_matrix: Callable[[Path, str | None], Any] | None = None
    write_matrix: Callable[..., None] | None = None
    read_vector: Callable[[Path, str | None], NDArray[Any]] | None = None
    write_vector: Callable[..., None] | None = None
    has_keys: bool = False


_MATRIX_MARKET = Format(
    "Matrix Market",
    _matrix_market.read_matrix_market,
    _matrix_market.write_matrix_market,
    _matrix_market.read_matrix_market_vector,
    _matrix_market.write_matrix_market_vector,
)
TEXT = Format("text", _text.read_edges, None, _text.read_text_vector, _text.write_text_vector)
PETSC = Format(
    "PETSc binary",
    _petsc.read_matrix,
    _petsc.write_matrix,
    _petsc.read_vector,
    _petsc.write_vector,
)
HDF5 = Format(
    "HDF5",
    _hdf5.read_matrix,
    _hdf5.write_matrix,
    _hdf5.read_vector,
    _hdf5.write_vector,
    has_keys=True,
)


FORMATS = {
    **{
        f"{suffix}{packed}": TEXT
        for suffix in (".txt", ".edges", ".edgelist", ".csv", ".tsv")
        for packed in ("", ".gz", ".bz2")
    },
    **{f".mtx{packed}": _MATRIX_MARKET for packed in ("", ".gz", ".bz2")},
    ".npz": Format("SciPy .npz", _npz.read_matrix, _npz.write_matrix),
    ".npy": Format("NumPy .npy", read_vector=_npz.read_vector, write_vector=_npz.write_vector),
    ".mat": Format(
        "MATLAB",
        _matlab.read_matrix,
        _matlab.write_matrix,
        _matlab.read_vector,
        _matlab.write_vector,
        has_keys=True,
    ),
    **dict.fromkeys((".petsc", ".dat", ".bin"), PETSC),
    **dict.fromkeys((".h5", ".hdf5", ".h5ad"), HDF5),
}


def check_output(path: PathLike, kind: str | None = None) -> None:
    """Refuse a file that could not be written, before the work for it begins.

    Not collective.

    Parameters
    ----------
    path : str or os.PathLike
        The file to create or to replace.
    kind : {"matrix", "vector"}, optional
        What will be written; by default no suffix is asked for.

    Raises
    ------
    OSError
        If `path` is something else than a regular file, its directory does not exist, or its
        suffix does not fit.

    Examples
    --------
    >>> from pympf.io import check_output
    >>> check_output("x.npz", "vector")
    Traceback (most recent call last):
    ...
    OSError: x.npz: cannot write a vector with this suffix; allowed: .txt .txt.gz .txt.bz2 .edges \
.edges.gz .edges.bz2 .edgelist .edgelist.gz .edgelist.bz2 .csv .csv.gz .csv.bz2 .tsv .tsv.gz \
.tsv.bz2 .mtx .mtx.gz .mtx.bz2 .npy .mat .petsc .dat .bin .h5 .hdf5 .h5ad
    """
    checked_target(os.fsdecode(path))
    if kind is not None:
        function_for(Path(os.fsdecode(path)), f"write_{kind}")


def format_of(path: Path) -> Format | None:
    """Return the format that the suffix names, if any."""
    name = path.name.lower()
    return next((format_ for suffix, format_ in FORMATS.items() if name.endswith(suffix)), None)


def function_for(path: Path, operation: str) -> Callable[..., Any]:
    """Return what does an operation ("read_matrix") on a file, or an OSError with what can be."""
    function = getattr(format_of(path), operation, None)
    if function is None:
        able = [suffix for suffix, format_ in FORMATS.items() if getattr(format_, operation)]
        verb, noun = operation.split("_")
        raise OSError(f"{path}: cannot {verb} a {noun} with this suffix; allowed: {' '.join(able)}")
    return function


def content_of(path: Path, operation: str, key: str | None) -> Any:
    """Read a file that exists by the operation for its suffix."""
    read = function_for(path, operation)
    check_readable(path, key)
    return read(path, key)


def check_readable(path: Path, key: str | None) -> None:
    """Refuse a key where the format has none, and a file that cannot be opened."""
    format_ = format_of(path)
    if key is not None and format_ is not None and not format_.has_keys:
        raise ValueError(f"{path}: a {format_.name} file holds one object, got the key {key!r}")
    # Python's own error for a file that is missing, a directory or forbidden.
    open(path, "rb").close()


def petsc_options(path: Path, index_bits: int) -> dict[str, int]:
    """Return the options of the PETSc writer; of another, refuse 64 bits."""
    if index_bits not in (32, 64):
        raise ValueError(f"index_bits: expected 32 or 64, got {index_bits}")
    if format_of(path) is PETSC:
        return {"index_bits": index_bits}
    if index_bits != 32:
        raise ValueError(f"{path}: only PETSc files have index_bits, got {index_bits}")
    return {}


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the name of the file in front of what a check says about the matrix in it."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise type(error)(f"{path}: {error}") from error
