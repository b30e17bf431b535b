"""Read and write vectors and blocks of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pympf import la
from pympf.io import _text
from pympf.io._formats import (
    TEXT,
    PathLike,
    check_readable,
    content_of,
    format_of,
    function_for,
    naming,
    petsc_options,
)


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
    if format_of(path) is TEXT and labels is not None:
        check_readable(path, key)
        values = _text.read_text_vector(path, key, labels)
    else:
        values = content_of(path, "read_vector", key)
    with naming(path):
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
    write = function_for(path, "write_vector")
    values = la.exact_real(np.asarray(x), "x")
    if values.ndim not in (1, 2):
        raise ValueError(f"x: expected shape (n,) or (n, k), got {values.shape}")
    options: dict[str, Any] = {**petsc_options(path, index_bits)}
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
    return format_of(path) is TEXT and _text.table_separator(path) != " "
