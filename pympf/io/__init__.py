"""Read and write matrices and vectors; the suffix of the file names the format.

=============================  ===========================================  =======  ========
suffix                         format                                       matrix   vector
=============================  ===========================================  =======  ========
.mtx, .mtx.gz, .mtx.bz2        Matrix Market                                r w      r w
.npz                           SciPy ``save_npz``                           r w
.npy                           NumPy                                                 r w
.mat                           MATLAB; reads also 7.3 and SuiteSparse       r w      r w
.petsc, .dat, .bin             PETSc binary                                 r w      r w
.h5, .hdf5, .h5ad              HDF5 (`pympf.io` writes ``type="csr"``)      r w      r w
.txt, .edges (.gz, .bz2)       edge list (SNAP); as a vector: numbers       r        r w
.csv, .tsv (.gz, .bz2)         the same as tables                           r        r w
=============================  ===========================================  =======  ========

Every file is written under a temporary name, flushed to the disk and renamed, so that a file that
exists is never damaged. A file that is truncated, damaged or of another kind gives an OSError that
names it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from pympf import gallery, la
from pympf.io import _hdf5, _matlab, _npz, _petsc, _text
from pympf.io._files import atomic_write, checked_target
from pympf.io._hdf5 import create_hdf5, open_hdf5
from pympf.la import Matrix, Ranks

__all__ = [
    "atomic_write",
    "check_output",
    "create_hdf5",
    "has_labels",
    "is_table",
    "open_hdf5",
    "read_labels",
    "read_matrix",
    "read_rows",
    "read_vector",
    "write_matrix",
    "write_vector",
]


PathLike: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]


MANY_ROWS = 1 << 24
"""Files may announce so many rows, whatever they hold."""


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
        for suffix in (".txt", ".edges", ".csv", ".tsv")
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
    **dict.fromkeys((".petsc", ".dat", ".bin"), _PETSC),
    **dict.fromkeys((".h5", ".hdf5", ".h5ad"), _HDF5),
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
        of the undirected graph; its nodes, which may be numbers or names, are numbered anew in
        their order (`read_labels`), and an edge listed repeatedly, in either direction, has the
        largest of its weights.

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
    path = Path(os.fsdecode(path))
    matrix = _checked(path, _read(path, "read_matrix", key))
    with _naming(path):
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
    comm : mpi4py.MPI.Comm or Ranks
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
    path, ranks = Path(os.fsdecode(path)), Ranks(comm)
    if ranks.size == 1:
        return read_matrix(path, key=key, laplacian=laplacian, shift=shift)
    read = _READ_IN_PARALLEL.get(_format(path))
    part = None
    if read is not None:
        with ranks.guard():
            _check_readable(path, key)
        part = read(path, key, ranks)
    if part is None:
        return _scattered(path, ranks, key=key, laplacian=laplacian, shift=shift)
    first = ranks.before(part.shape[0])
    with ranks.guard():
        part = _checked(path, part, first)
    with _naming(path):
        return _changed(part, ranks, laplacian, shift)


def _changed(part: sp.csr_array, ranks: Ranks, laplacian: bool, shift: float) -> sp.csr_array:
    """Do with the rows of all ranks what `gallery.laplacian` and `gallery.shifted` do."""
    if not (laplacian or shift):
        return part
    matrix = Matrix(part, ranks)
    part, first = matrix.csr, matrix.rows.start
    if not math.isfinite(shift):
        raise ValueError(f"expected a finite shift, got {shift}")
    if laplacian:
        matrix.symmetric_rows()  # or a ValueError
        part = part.astype(np.float64)
        part = _diagonal_like(part, first, part.sum(axis=1)) - part
    if shift:
        part = part + _diagonal_like(part, first, np.full(part.shape[0], shift, part.dtype))
    return sp.csr_array(part)


def _checked(path: Path, content: Any, first: int | None = None) -> sp.csr_array:
    """Let what was read, or a rank's rows from `first` on, pass the gate."""
    with _naming(path):
        try:
            if sp.issparse(content):
                _check_rows(content)
                if content.format == "csr":
                    _check_columns(content, first or 0)
            return la.canonical_csr(content, any_width=first is not None)
        except ValueError as error:
            raise OSError(f"{path}: {error}") from error


def _check_rows(matrix: Any) -> None:
    """Refuse rows that are announced only, before there is memory for all of them."""
    rows, entries = matrix.shape[0], matrix.nnz
    if la.INDEX_MAX >= rows > max(MANY_ROWS, 1000 * entries):
        raise ValueError(f"{rows} rows are announced for {entries} entries")


def _check_columns(csr: sp.csr_array, first: int) -> None:
    """Name the first entry out of bounds, which is the same for any number of ranks."""
    outside = (csr.indices < 0) | (csr.indices >= csr.shape[1])
    if outside.any():
        place = int(np.argmax(outside))
        row = first + int(np.searchsorted(csr.indptr, place, side="right")) - 1
        raise ValueError(
            f"corrupt sparse matrix: the indices of row {row} have column {csr.indices[place]}, "
            f"allowed are 0 to {csr.shape[1] - 1}"
        )


def _diagonal_like(part: sp.csr_array, first: int, values: NDArray[Any]) -> sp.csr_array:
    """Return rows of a diagonal matrix, where `part` has those from the `first` on."""
    rows = np.arange(len(values))
    columns = rows + first
    return sp.csr_array((values, (rows, columns)), shape=part.shape)


def _scattered(path: Path, ranks: Ranks, **options: Any) -> sp.csr_array:
    """Read on rank 0 and send the others their rows."""
    A = None
    with ranks.guard():
        if ranks.rank == 0:
            A = read_matrix(path, **options)
    rows, columns = ranks.broadcast(None if A is None else A.shape)
    own = len(ranks.cut(rows))
    lengths = ranks.scatter_rows(None if A is None else np.diff(A.indptr), own)
    entries = int(lengths.sum())
    indices = ranks.scatter_rows(None if A is None else A.indices, entries)
    data = ranks.scatter_rows(None if A is None else A.data, entries)
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
    path = Path(os.fsdecode(path))
    write = _operation(path, "write_matrix")
    write(path, la.canonical_csr(A), **_petsc_options(path, index_bits))


def read_labels(path: PathLike) -> NDArray[Any]:
    r"""Read the labels of the nodes of an edge list, in the order of the rows of `read_matrix`.

    Not collective.

    Parameters
    ----------
    path : str or os.PathLike
        The file.

    Returns
    -------
    numpy.ndarray, shape (n,)
        The numbers of the nodes as int64, or their names as str; sorted.

    Raises
    ------
    OSError
        As `read_matrix`; or if the file is no edge list.

    Examples
    --------
    >>> import os, tempfile
    >>> from pympf.io import read_labels
    >>> path = os.path.join(tempfile.mkdtemp(), "friends.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("source,target,weight\nBo,Cy,2.5\nAl,Bo,1\n")
    >>> read_labels(path).tolist()
    ['Al', 'Bo', 'Cy']
    """
    path = Path(os.fsdecode(path))
    if not has_labels(path):
        able = " ".join(suffix for suffix, format_ in FORMATS.items() if format_ is _TEXT)
        raise OSError(f"{path}: only edge lists have labels of nodes; their suffixes: {able}")
    _check_readable(path, None)
    return _text.read_labels(path)


def has_labels(path: PathLike) -> bool:
    """Tell by its suffix whether a matrix file is an edge list, whose nodes have labels.

    Not collective.

    Parameters
    ----------
    path : str or os.PathLike

    Examples
    --------
    >>> from pympf.io import has_labels
    >>> has_labels("friends.csv"), has_labels("A.mtx")
    (True, False)
    """
    return _format(Path(os.fsdecode(path))) is _TEXT


def read_vector(
    path: PathLike, *, key: str | None = None, labels: ArrayLike | None = None
) -> NDArray[Any]:
    """Read a vector, or a block of vectors, from a file; the suffix names the format.

    Not collective.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    key : str, optional
        Which group or dataset of an HDF5 file, or variable of a .mat file, to read; needed if there
        are several.
    labels : array_like, shape (n,), optional
        The order of the rows of a table (.csv, .tsv) whose first column is called ``node`` and
        holds numbers or names of nodes: as `read_labels` returns them. Other files have no such
        column, and are read as they are.

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
        If there is no vector of the name `key`, or several and no `key`; if a table has rows for
        nodes, and not one for each of the `labels`.
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
    path = Path(os.fsdecode(path))
    if _format(path) is _TEXT and labels is not None:
        _check_readable(path, key)
        values = _text.read_text_vector(path, key, labels)
    else:
        values = _read(path, "read_vector", key)
    with _naming(path):
        values = la.exact_real(values, "the vector")
    if values.ndim not in (1, 2):
        raise OSError(f"{path}: expected a vector or a block of vectors, got {values.ndim} axes")
    return values


def write_vector(
    path: PathLike, x: ArrayLike, *, index_bits: int = 32, labels: ArrayLike | None = None
) -> None:
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
    labels : array_like, shape (n,), optional
        Written next to the values in a table (.csv, .tsv), as a first column called ``node``.

    Raises
    ------
    OSError
        If the file cannot be written, or vectors cannot be written with its suffix.
    ValueError
        If there are `labels` and the file is no table, or there are not n of them; if `x` has
        another number of axes, or float64 cannot hold a value.
    TypeError
        If `x` does not hold real numbers.

    Examples
    --------
    See `read_vector`.
    """
    path = Path(os.fsdecode(path))
    write = _operation(path, "write_vector")
    values = la.exact_real(np.asarray(x), "x")
    if values.ndim not in (1, 2):
        raise ValueError(f"x: expected shape (n,) or (n, k), got {values.shape}")
    options: dict[str, Any] = {**_petsc_options(path, index_bits)}
    if labels is not None:
        if not is_table(path):
            raise ValueError(f"{path}: only tables (.csv, .tsv) have labels")
        options["labels"] = np.asarray(labels)
        if options["labels"].shape != values.shape[:1]:
            raise ValueError(
                f"labels: expected {len(values)} of them, got shape {options['labels'].shape}"
            )
    write(path, values, **options)


def is_table(path: PathLike) -> bool:
    """Tell by its suffix whether a file is a table, .csv or .tsv, which may name its rows.

    Not collective.

    Parameters
    ----------
    path : str or os.PathLike

    Examples
    --------
    >>> from pympf.io import is_table
    >>> is_table("x.csv.gz"), is_table("x.txt")
    (True, False)
    """
    path = Path(os.fsdecode(path))
    return _format(path) is _TEXT and _text.table_separator(path) != " "


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
.edges.gz .edges.bz2 .csv .csv.gz .csv.bz2 .tsv .tsv.gz .tsv.bz2 .mtx .mtx.gz .mtx.bz2 .npy .mat \
.petsc .dat .bin .h5 .hdf5 .h5ad
    """
    checked_target(os.fsdecode(path))
    if kind is not None:
        _operation(Path(os.fsdecode(path)), f"write_{kind}")


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
    _PETSC: _petsc.read_rows,
    _HDF5: _hdf5.read_rows,
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
