"""Read and write whole matrices, and the labels of their rows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf import gallery, la
from pympf.io import _text
from pympf.io._formats import (
    FORMATS,
    TEXT,
    PathLike,
    check_readable,
    content_of,
    format_of,
    function_for,
    naming,
    petsc_options,
)

MANY_ROWS = 1 << 24  # files may announce so many rows, whatever they hold


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
    matrix = checked(path, content_of(path, "read_matrix", key))
    with naming(path):
        if laplacian:
            return gallery.laplacian(matrix, shift)
        return gallery.shifted(matrix, shift) if shift else matrix


def checked(path: Path, content: Any, first: int | None = None) -> sp.csr_array:
    """Let what was read, or a rank's rows from `first` on, pass the gate."""
    with naming(path):
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
    write = function_for(path, "write_matrix")
    write(path, la.canonical_csr(A), **petsc_options(path, index_bits))


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
        able = " ".join(suffix for suffix, format_ in FORMATS.items() if format_ is TEXT)
        raise OSError(f"{path}: only edge lists have labels of nodes; their suffixes: {able}")
    check_readable(path, None)
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
    return format_of(Path(os.fsdecode(path))) is TEXT
