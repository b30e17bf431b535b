"""Read and write matrices and vectors; the suffix of the file names the format.

=============================  ===========================================  =======  ========
suffix                         format                                       matrix   vector
=============================  ===========================================  =======  ========
.mtx, .mtx.gz, .mtx.bz2        Matrix Market                                r w      r w
.npz                           SciPy ``save_npz``                           r w
.npy                           NumPy                                                 r w
.mat                           MATLAB; reads also 7.3 and SuiteSparse       r w
.petsc, .dat, .bin             PETSc binary                                 r w      r w
.h5, .hdf5                     HDF5 (`pympf.io` writes ``type="csr"``)      r w      r w
.txt, .edges (.gz, .bz2)       edge list (SNAP); as a vector: numbers       r        r w
=============================  ===========================================  =======  ========

Every file is written under a temporary name, flushed to the disk and renamed, so that a file that
exists is never damaged. A file that is truncated, damaged or of another kind gives an OSError that
names it.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from pympf import gallery, la
from pympf._mpi import first_row, on_all, scatter_rows
from pympf.io import _hdf5, _matlab, _petsc, _text
from pympf.io._files import atomic_write, checked_target, reading, write_whole
from pympf.io._hdf5 import create_hdf5, open_hdf5

__all__ = [
    "atomic_write",
    "check_output",
    "create_hdf5",
    "open_hdf5",
    "read_matrix",
    "read_rows",
    "read_vector",
    "write_matrix",
    "write_vector",
]


def _read_npz(path: Path, key: str | None) -> Any:
    # NumPy leaves a file open that it opened itself and could not read.
    with reading(path, "SciPy .npz"), open(path, "rb") as stream:
        if not zipfile.is_zipfile(stream):  # NumPy would speak of pickles
            raise ValueError("it is no zip archive, or not a whole one")
        stream.seek(0)
        return sp.load_npz(stream)


def _write_npz(path: Path, A: sp.csr_array) -> None:
    content = io.BytesIO()
    sp.save_npz(content, A)
    write_whole(path, content)


def _read_npy(path: Path, key: str | None) -> NDArray[Any]:
    with reading(path, "NumPy .npy"), open(path, "rb") as stream:
        values = np.lib.format.read_array(stream, allow_pickle=False)
        if stream.read(1):
            raise ValueError("there is more behind the array")
        return values


def _write_npy(path: Path, x: NDArray[Any]) -> None:
    # Not into the file itself: NumPy does not notice if the disk has no room for its last bytes.
    content = io.BytesIO()
    np.save(content, x)
    write_whole(path, content)


PathLike: TypeAlias = str | os.PathLike[str]


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
    _text.read_matrix_market,
    _text.write_matrix_market,
    _text.read_matrix_market_vector,
    _text.write_matrix_market_vector,
)
_TEXT = Format("text", _text.read_edges, None, _text.read_text_vector, _text.write_text_vector)
_PETSC = Format(
    "PETSc binary",
    _petsc.read_matrix,
    _petsc.write_matrix,
    _petsc.read_vector,
    _petsc.write_vector,
)
_HDF5 = Format(
    "HDF5",
    _hdf5.read_matrix,
    _hdf5.write_matrix,
    _hdf5.read_vector,
    _hdf5.write_vector,
    has_keys=True,
)

FORMATS = {
    **{
        f"{suffix}{packed}": _TEXT
        for suffix in (".txt", ".edges")
        for packed in ("", ".gz", ".bz2")
    },
    **{f".mtx{packed}": _MATRIX_MARKET for packed in ("", ".gz", ".bz2")},
    ".npz": Format("SciPy .npz", _read_npz, _write_npz),
    ".npy": Format("NumPy .npy", read_vector=_read_npy, write_vector=_write_npy),
    ".mat": Format("MATLAB", _matlab.read_matrix, _matlab.write_matrix, has_keys=True),
    **dict.fromkeys((".petsc", ".dat", ".bin"), _PETSC),
    **dict.fromkeys((".h5", ".hdf5"), _HDF5),
}


def read_matrix(
    path: PathLike, *, key: str | None = None, laplacian: bool = False, shift: float = 0.0
) -> sp.csr_array:
    r"""Read a sparse matrix from a file; the suffix names the format.

    Not collective.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    key : str, optional
        Which matrix of a .mat file (``Problem.A`` for a field of a struct) or of an HDF5 file (the
        path of its group) to read; needed if there are several.
    laplacian : bool
        Whether to take the matrix as the adjacency matrix W of a graph and return D - W with the
        row sums D.
    shift : float
        Added to the diagonal.

    Returns
    -------
    scipy.sparse.csr_array, shape (n, m)
        As `pympf.la.canonical_csr` returns it. An edge list gives the symmetric adjacency matrix
        of the undirected graph; its nodes are numbered anew in the order of their numbers, and an
        edge listed repeatedly, in either direction, has the largest of its weights.

    Raises
    ------
    OSError
        If the file does not exist, has a suffix that is not known, is truncated, damaged or of
        another kind, or holds more than 2^31 - 1 rows or entries. A text file that is not
        compressed must end with a newline: without it, the last number may have been cut.
    ValueError
        If there is no matrix of the name `key`, or several and no `key`; with `laplacian` or
        `shift`, if the matrix is not square or, for `laplacian`, not symmetric.
    TypeError
        If the matrix is complex.

    Examples
    --------
    >>> import os, tempfile
    >>> from pympf.io import read_matrix
    >>> path = os.path.join(tempfile.mkdtemp(), "path.edges")
    >>> with open(path, "w") as file:
    ...     _ = file.write("# a path of three nodes\n10 20\n20 30\n")
    >>> read_matrix(path, laplacian=True).toarray()
    array([[ 1., -1.,  0.],
           [-1.,  2., -1.],
           [ 0., -1.,  1.]])
    """
    path = Path(path)
    content = _read(path, "read_matrix", key)
    with _naming(path):
        try:
            matrix = la.canonical_csr(content)
        except ValueError as error:
            raise OSError(f"{path}: {error}") from error
        if laplacian:
            return gallery.laplacian(matrix, shift)
        return gallery.shifted(matrix, shift) if shift else matrix


def read_rows(
    path: PathLike,
    comm: Any,
    *,
    key: str | None = None,
    laplacian: bool = False,
    shift: float = 0.0,
) -> sp.csr_array:
    r"""Read the rows of this rank of a sparse matrix: as many as the others, within one.

    Collective. PETSc binary and HDF5 files are read in parallel, each rank its part; of the other
    formats rank 0 reads all and sends the others their rows.

    Parameters
    ----------
    path : str or os.PathLike
        The file, in a folder that all ranks see.
    comm : mpi4py.MPI.Comm
        The ranks.
    key, laplacian, shift
        As in `read_matrix`.

    Returns
    -------
    scipy.sparse.csr_array, shape (n_local, n)
        Global columns; the first n mod ranks ranks have one row more than the others.

    Raises
    ------
    OSError, ValueError, TypeError
        As `read_matrix`, on all ranks.

    Examples
    --------
    >>> from mpi4py import MPI  # doctest: +SKIP
    >>> read_rows("A.petsc", MPI.COMM_WORLD).shape  # doctest: +SKIP
    (500, 1000)
    """
    path = Path(path)
    parallel = _READ_IN_PARALLEL.get(_format(path))
    part = None if parallel is None else parallel(path, key, comm)
    if part is None:
        return _scattered(path, comm, key=key, laplacian=laplacian, shift=shift)
    with on_all(comm), _naming(path):
        if not math.isfinite(shift):
            raise ValueError(f"expected a finite shift, got {shift}")
        if laplacian:
            part = part.astype(np.float64)
            part = _diagonal_like(part, comm, part.sum(axis=1)) - part
        if shift:
            part = part + _diagonal_like(part, comm, np.full(part.shape[0], shift, part.dtype))
        return sp.csr_array(part)


def _diagonal_like(part: sp.csr_array, comm: Any, values: NDArray[Any]) -> sp.csr_array:
    """Return rows of a diagonal matrix, where `read_rows` has those of `part`."""
    rows = np.arange(len(values))
    columns = rows + first_row(part.shape[1], comm.rank, comm.size)
    return sp.csr_array((values, (rows, columns)), shape=part.shape)


def _petsc_rows(path: Path, key: str | None, comm: Any) -> sp.csr_array | None:
    head = None
    with on_all(comm):
        _check_readable(path, key)
        head = _petsc.read_lengths(path, comm.rank, comm.size)
    if head is None:
        return None
    (_, columns), entries, lengths = head
    counts = comm.allgather(int(lengths.sum()))
    with on_all(comm), reading(path, _petsc.KIND):
        if sum(counts) != entries:
            raise ValueError(f"the rows hold {sum(counts)} entries, expected {entries}")
        indices, data = _petsc.read_entries(path, sum(counts[: comm.rank]), counts[comm.rank])
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        return sp.csr_array((data, indices, indptr), shape=(len(lengths), columns))


def _hdf5_rows(path: Path, key: str | None, comm: Any) -> sp.csr_array:
    with on_all(comm):
        _check_readable(path, key)
        return _hdf5.read_rows(path, key, comm.rank, comm.size)


def _scattered(path: Path, comm: Any, **options: Any) -> sp.csr_array:
    """Read on rank 0 and send the others their rows."""
    A = None
    with on_all(comm):
        if comm.rank == 0:
            A = read_matrix(path, **options)
    rows, columns = comm.bcast(None if A is None else A.shape)
    first, last = (first_row(rows, rank, comm.size) for rank in (comm.rank, comm.rank + 1))
    own = last - first
    lengths = scatter_rows(comm, None if A is None else np.diff(A.indptr), own)
    entries = int(lengths.sum())
    indices = scatter_rows(comm, None if A is None else A.indices, entries)
    data = scatter_rows(comm, None if A is None else A.data, entries)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return sp.csr_array((data, indices, indptr), shape=(own, columns))


def write_matrix(path: PathLike, A: Any, *, index_bits: int = 32) -> None:
    """Write a sparse matrix to a file; the suffix names the format.

    Not collective.

    Parameters
    ----------
    path : str or os.PathLike
        The file to create or to replace.
    A : sparse array or matrix, 2-D array_like, or petsc4py.PETSc.Mat, shape (n, m)
        The matrix.
    index_bits : {32, 64}
        The size of integers in PETSc binary files: 64 for a PETSc with 64-bit indices.

    Raises
    ------
    OSError
        If the file cannot be written, or matrices cannot be written with its suffix.
    ValueError, TypeError
        As `pympf.la.canonical_csr`; or if the format cannot hold the matrix.

    Examples
    --------
    >>> import os, tempfile
    >>> from pympf import gallery
    >>> from pympf.io import read_matrix, write_matrix
    >>> path = os.path.join(tempfile.mkdtemp(), "poisson.mtx.gz")
    >>> write_matrix(path, gallery.poisson((3, 3)))
    >>> read_matrix(path).shape
    (9, 9)
    """
    path = Path(path)
    write = _operation(path, "write_matrix")
    write(path, la.canonical_csr(A), **_petsc_options(path, index_bits))


def read_vector(path: PathLike, *, key: str | None = None) -> NDArray[Any]:
    """Read a vector, or a block of vectors, from a file; the suffix names the format.

    Not collective.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    key : str, optional
        Which group or dataset of an HDF5 file to read; needed if there are several.

    Returns
    -------
    numpy.ndarray, shape (n,) or (n, k)
        float64 or float32. One column in a Matrix Market or text file gives shape (n,).

    Raises
    ------
    OSError
        If the file does not exist, has a suffix that is not known, or is truncated, damaged or of
        another kind.
    ValueError
        If there is no vector of the name `key`, or several and no `key`.
    TypeError
        If the vector is complex.

    Examples
    --------
    >>> import os, tempfile
    >>> from pympf.io import read_vector, write_vector
    >>> path = os.path.join(tempfile.mkdtemp(), "x.npy")
    >>> write_vector(path, [1, 2, 3])
    >>> read_vector(path)
    array([1., 2., 3.])
    """
    path = Path(path)
    values = _read(path, "read_vector", key)
    with _naming(path):
        values = la.exact_real(values, "the vector")
    if values.ndim not in (1, 2):
        raise OSError(f"{path}: expected a vector or a block of vectors, got {values.ndim} axes")
    return values


def write_vector(path: PathLike, x: ArrayLike, *, index_bits: int = 32) -> None:
    """Write a vector, or a block of vectors, to a file; the suffix names the format.

    Not collective.

    Parameters
    ----------
    path : str or os.PathLike
        The file to create or to replace.
    x : array_like, shape (n,) or (n, k)
        The vector.
    index_bits : {32, 64}
        The size of integers in PETSc binary files: 64 for a PETSc with 64-bit indices.

    Raises
    ------
    OSError
        If the file cannot be written, or vectors cannot be written with its suffix.
    ValueError
        If `x` has another number of axes, or float64 cannot hold a value.
    TypeError
        If `x` does not hold real numbers.

    Examples
    --------
    See `read_vector`.
    """
    path = Path(path)
    write = _operation(path, "write_vector")
    values = la.exact_real(np.asarray(x), "x")
    if values.ndim not in (1, 2):
        raise ValueError(f"x: expected shape (n,) or (n, k), got {values.shape}")
    write(path, values, **_petsc_options(path, index_bits))


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
.edges.gz .edges.bz2 .mtx .mtx.gz .mtx.bz2 .npy .petsc .dat .bin .h5 .hdf5
    """
    checked_target(path)
    if kind is not None:
        _operation(Path(path), f"write_{kind}")


def _format(path: Path) -> Format | None:
    name = path.name.lower()
    return next((format_ for suffix, format_ in FORMATS.items() if name.endswith(suffix)), None)


def _operation(path: Path, operation: str) -> Callable[..., Any]:
    function = getattr(_format(path), operation, None)
    if function is None:
        able = [suffix for suffix, format_ in FORMATS.items() if getattr(format_, operation)]
        verb, noun = operation.split("_")
        raise OSError(f"{path}: cannot {verb} a {noun} with this suffix; allowed: {' '.join(able)}")
    return function


def _read(path: Path, operation: str, key: str | None) -> Any:
    read = _operation(path, operation)
    _check_readable(path, key)
    return read(path, key)


def _check_readable(path: Path, key: str | None) -> None:
    format_ = _format(path)
    if key is not None and format_ is not None and not format_.has_keys:
        raise ValueError(f"{path}: a {format_.name} file holds one object, got the key {key!r}")
    # Python's own error for a file that is missing, a directory or forbidden.
    open(path, "rb").close()


_READ_IN_PARALLEL: dict[Format | None, Callable[..., sp.csr_array | None]] = {
    _PETSC: _petsc_rows,
    _HDF5: _hdf5_rows,
}


def _petsc_options(path: Path, index_bits: int) -> dict[str, int]:
    if index_bits not in (32, 64):
        raise ValueError(f"index_bits: expected 32 or 64, got {index_bits}")
    if _format(path) is _PETSC:
        return {"index_bits": index_bits}
    if index_bits != 32:
        raise ValueError(f"{path}: only PETSc files have index_bits, got {index_bits}")
    return {}


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the name of the file in front of what a check says about the matrix in it."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise type(error)(f"{path}: {error}") from error
