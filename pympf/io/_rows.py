"""Read the rows of this rank: in parallel, or by rank 0 for all."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf.io import _hdf5, _petsc
from pympf.io._formats import HDF5, PETSC, Format, PathLike, check_readable, format_of, naming
from pympf.io._matrices import checked, read_matrix
from pympf.la import Matrix, Ranks


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
    read = _READ_IN_PARALLEL.get(format_of(path))
    part = None
    if read is not None:
        with ranks.guard():
            check_readable(path, key)
        part = read(path, key, ranks)
    if part is None:
        return _scattered(path, ranks, key=key, laplacian=laplacian, shift=shift)
    first = ranks.before(part.shape[0])
    with ranks.guard():
        part = checked(path, part, first)
    with naming(path):
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


_READ_IN_PARALLEL: dict[Format | None, Callable[..., sp.csr_array | None]] = {
    PETSC: _petsc.read_rows,
    HDF5: _hdf5.read_rows,
}
