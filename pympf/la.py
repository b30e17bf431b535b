"""The one gate through which matrices and vectors enter pympf.

Everything that a caller hands over passes `as_csr`, `as_rows` or `as_vector` exactly once; the code
behind them, Python and C++, relies on what they promise and checks nothing again. The gates never
modify what they are given, and they refuse whatever they could not take over exactly.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from pympf._engine import engine
from pympf._mpi import on_all, same_on_all

__all__ = [
    "as_csr",
    "as_one_vector",
    "as_rows",
    "as_vector",
    "canonical_csr",
    "is_symmetric",
]

INDEX_MAX = int(np.iinfo(np.int32).max)
"""Largest number of rows, of columns and of stored entries (the core has 32-bit indices)."""

OTHERWISE = "pympf.solve takes it as it is with preconditioner='jacobi' or 'none'"
"""What to do with a matrix that is not symmetric in any way."""


def as_csr(A: Any, *, symmetric: bool = True) -> sp.csr_array:
    """Check a matrix and return it in canonical CSR form.

    Not collective.

    Parameters
    ----------
    A : sparse array or matrix, 2-D array_like, or petsc4py.PETSc.Mat, shape (n, n)
        Sparse formats are converted; entries stored twice are summed. Integers, bool and long
        double become float64, half precision becomes float32, and only if every value survives
        exactly.
    symmetric : bool
        Whether to require ``|a_ij - a_ji| <= t max(|a_ij|, |a_ji|, sqrt|a_ii a_jj|)`` for all
        entries, with t = 1e-12 in float64 and 1e-5 in float32; the rows of zeros on the diagonal
        are measured by their other entries. Entries stored on one side only are allowed.

    Returns
    -------
    scipy.sparse.csr_array
        Sorted indices without duplicates, int32, values float64 or float32, all finite. Stored
        zeros stay. Shares the memory of `A` if that is canonical already.

    Raises
    ------
    ValueError
        If `A` is empty, not square, not finite, not symmetric, has an index out of range, a
        value that float64 cannot hold, or more than 2^31 - 1 rows or stored entries.
    TypeError
        If `A` is not a matrix of real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.la import as_csr
    >>> as_csr(np.array([[2, -1], [-1, 2]])).data
    array([ 2., -1., -1.,  2.])
    >>> as_csr(np.array([[2, -1], [0, 2]]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: expected a symmetric matrix, got max|a_ij - a_ji| = 1 at i = 0, j = 1 \
(allowed: 2e-12); ...
    """
    csr = canonical_csr(A)
    rows, columns = csr.shape
    if rows != columns:
        raise ValueError(f"expected a square matrix, got {rows} rows and {columns} columns")
    if rows == 0:
        raise ValueError("expected a matrix with at least one row, got shape (0, 0)")
    _check_finite(csr)
    if symmetric:
        admitted = _admitted(csr)
        if admitted.rows is None or admitted.determined:
            raise ValueError(admitted.refusal(OTHERWISE))
    return csr


def as_rows(A: Any, comm: Any) -> sp.csr_array:
    """Check this rank's rows of a matrix over the ranks of a communicator.

    Collective. What is wrong on one rank raises on all.

    Parameters
    ----------
    A : sparse array or matrix, 2-D array_like, or petsc4py.PETSc.Mat, shape (n_local, n)
        The rows of this rank, with global columns; the ranks hold contiguous ranges in their order,
        which may be empty. Of a PETSc matrix over the same ranks each brings its own rows. Formats
        and dtypes as in `as_csr`.
    comm : mpi4py.MPI.Comm

    Returns
    -------
    scipy.sparse.csr_array, shape (n_local, n)
        Sorted indices without duplicates, values float64 or float32, all finite. Symmetry is left
        to whoever brings the rows together.

    Raises
    ------
    ValueError
        If the ranks differ in columns or dtype, the rows of all are not as many as the columns, a
        value is not finite, or an index is out of range.
    TypeError
        If `A` is not a matrix of real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from mpi4py import MPI  # doctest: +SKIP
    >>> as_rows(np.eye(2), MPI.COMM_SELF).shape  # doctest: +SKIP
    (2, 2)
    """
    with on_all(comm):
        csr = _canonical(_petsc_rows(A, comm) if _is_petsc(A) else A, any_width=True)
        _check_finite(csr)
    rows, columns = comm.allreduce(csr.shape[0]), csr.shape[1]
    same_on_all(comm, columns, "columns of the matrix")
    same_on_all(comm, csr.dtype.name, "dtype of the matrix")
    if rows != columns:
        raise ValueError(
            f"expected a square matrix, got {rows} rows on {comm.size} ranks and {columns} columns"
        )
    if rows == 0:
        raise ValueError("expected a matrix with at least one row, got shape (0, 0)")
    return csr


def as_vector(
    b: ArrayLike, n: int, dtype: Any, name: str = "b", *, columns: str = "k"
) -> NDArray[Any]:
    """Check a vector, or a block of vectors, and return it as a contiguous array.

    Not collective.

    Parameters
    ----------
    b : array_like or petsc4py.PETSc.Vec, shape (n,) or (n, k)
        A block holds one vector per column.
    n : int
        The number of rows expected.
    dtype : numpy.float64 or numpy.float32
        The dtype returned; real numbers are rounded to it.
    name, columns : str
        What error messages call the vector, and how many columns they say that it may have.

    Returns
    -------
    numpy.ndarray, shape (n,) or (n, k)
        C-contiguous, finite. Shares the memory of `b` if nothing had to be converted.

    Raises
    ------
    ValueError
        If the shape is another one, or a value is not finite in `dtype`.
    TypeError
        If `b` is not an array of real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.la import as_vector
    >>> as_vector([1, 2, 3], 3, np.float64)
    array([1., 2., 3.])
    """
    if sp.issparse(b):
        raise TypeError(f"{name}: expected a dense array, got {type(b).__name__}; use .toarray()")
    array = exact_real(_dense_array(b, name), name)
    if array.ndim not in (1, 2) or array.shape[0] != n or 0 in array.shape[1:]:
        raise ValueError(f"{name}: expected shape ({n},) or ({n}, {columns}), got {array.shape}")
    if array.dtype != dtype:
        with np.errstate(over="ignore"):
            array = array.astype(dtype)
    array = np.ascontiguousarray(array)
    finite = np.isfinite(array)
    if not finite.all():
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{name}: expected finite values in {array.dtype}, got {array[place]} at "
            f"{place if len(place) > 1 else place[0]} ({np.count_nonzero(~finite)} such values)"
        )
    return array


def refuse_masked(values: Any, name: str) -> None:
    """Refuse masked entries, which NumPy would turn into the numbers under the mask.

    Not collective.

    Parameters
    ----------
    values : object
        An array, or a list or tuple that may have masked arrays in it.
    name : str
        What error messages call it.

    Raises
    ------
    ValueError
        If an entry is masked.
    """
    if values is None or type(values) is np.ndarray:
        return
    parts = values if isinstance(values, list | tuple) else [values]
    if any(isinstance(part, np.ma.MaskedArray) and np.ma.is_masked(part) for part in parts):
        raise ValueError(f"{name}: masked entries have no value; use .filled(value)")


def as_one_vector(b: ArrayLike, n: int, dtype: Any, name: str = "b") -> NDArray[Any]:
    """Check a vector, which may come as a column, and return it as a contiguous array.

    Not collective.

    Parameters
    ----------
    b : array_like or petsc4py.PETSc.Vec, shape (n,) or (n, 1)
    n, dtype, name
        As in `as_vector`.

    Returns
    -------
    numpy.ndarray, shape (n,)

    Raises
    ------
    ValueError, TypeError
        As `as_vector`.

    Examples
    --------
    >>> from pympf.la import as_one_vector
    >>> as_one_vector([[1], [2], [3]], 3, float)
    array([1., 2., 3.])
    """
    vector = as_vector(b, n, dtype, name, columns="1")
    if vector.ndim == 2 and vector.shape[1] != 1:
        raise ValueError(
            f"{name}: expected one vector, of shape ({n},) or ({n}, 1), got {vector.shape}"
        )
    return vector.reshape(-1)


def is_symmetric(A: sp.csr_array) -> bool:
    """Tell whether a canonical matrix passes the symmetry check of `as_csr`.

    Not collective.

    Parameters
    ----------
    A : scipy.sparse.csr_array, shape (n, n)
        As `as_csr` returns it.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.la import as_csr, is_symmetric
    >>> is_symmetric(as_csr(np.array([[2, -1], [0, 2]]), symmetric=False))
    False
    """
    admitted = _admitted(A)
    return admitted.rows is not None and not admitted.determined


def canonical_csr(A: Any, *, any_width: bool = False) -> sp.csr_array:
    """Return any real matrix, also a rectangular or empty one, in canonical CSR form.

    Not collective. This is `as_csr` without the checks on shape, finiteness and symmetry.

    Parameters
    ----------
    A : sparse array or matrix, 2-D array_like, or petsc4py.PETSc.Mat, shape (n, m)
        The matrix; see `as_csr` for what becomes of other dtypes.
    any_width : bool
        Whether there may be more than 2^31 - 1 columns, as in rows of a matrix on many ranks; their
        indices are int64 then.

    Returns
    -------
    scipy.sparse.csr_array
        As `as_csr` returns it; the values may be NaN or infinite.

    Raises
    ------
    ValueError
        If an index is out of range, float64 cannot hold a value, or there are more than
        2^31 - 1 rows, columns or stored entries.
    TypeError
        If `A` is not a matrix of real numbers.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> from pympf.la import canonical_csr
    >>> canonical_csr(sp.coo_array(([1, 2], ([0, 0], [1, 1])), shape=(1, 2))).toarray()
    array([[0., 3.]])
    """
    return _canonical(_from_petsc(A) if _is_petsc(A) else A, any_width)


def _canonical(A: Any, any_width: bool = False) -> sp.csr_array:
    """Do what `canonical_csr` says; rows of many ranks may have columns past 2^31."""
    if not sp.issparse(A):
        return _from_dense(A)
    if A.ndim != 2:
        raise ValueError(f"expected a matrix (two dimensions), got {A.ndim}")
    for part in ("data", "indices", "indptr", "offsets", "row", "col"):
        refuse_masked(getattr(A, part, None), "the matrix")
    _check_real(A.dtype, "the matrix")
    stored = A.nnz if A.format in ("lil", "dok") else A.data.size
    _check_size(A.shape[:1] if any_width else A.shape, stored)
    if A.format in ("lil", "dok"):
        A = A.tocsr()
    _check_indices(A)
    # Values first, then tocsr(): it sums duplicates, which must not overflow in a small integer.
    index = np.int32 if max(A.shape) <= INDEX_MAX else np.int64
    csr = _own_csr(_with_exact_values(A).tocsr(), index)
    if not csr.has_canonical_format:
        csr = csr.copy()
        csr.sum_duplicates()
    return csr


def exact_real(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Return real values as float64 or float32 in native byte order, each value unchanged.

    Not collective.

    Parameters
    ----------
    values : numpy.ndarray
        Numbers of any kind.
    name : str
        What error messages call them.

    Returns
    -------
    numpy.ndarray
        float32 for float16 and float32, else float64; `values` itself if it is one of these.

    Raises
    ------
    ValueError
        If float64 cannot hold a value exactly.
    TypeError
        If the numbers are not real.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.la import exact_real
    >>> exact_real(np.array([1, 2]), "x")
    array([1., 2.])
    """
    if values.dtype == np.float64 and values.dtype.isnative:
        return values
    _check_real(values.dtype, name)
    single = values.dtype.kind == "f" and values.dtype.itemsize <= 4
    with np.errstate(over="ignore"):
        result = values.astype(np.float32 if single else np.float64, copy=False)
    if values.dtype.itemsize >= 8 and result.dtype != values.dtype:
        _check_exact(values, result, name)
    return result


def _check_exact(values: NDArray[Any], result: NDArray[Any], name: str) -> None:
    if values.dtype.kind in "iu":
        # Not result == values: NumPy would compare the two in float64, where they always agree.
        limit = 2**53
        changed = (values > limit) | (values < -limit if values.dtype.kind == "i" else False)
    else:
        changed = (result != values) & ~np.isnan(values)
    if changed.any():
        raise ValueError(
            f"{name}: {values[changed][0]} of dtype {values.dtype} has no exact float64 value; "
            "convert with .astype(numpy.float64) if rounding is acceptable"
        )


def _check_real(dtype: np.dtype[Any], name: str) -> None:
    if dtype.kind == "c":
        raise TypeError(
            f"{name}: expected real numbers, got {dtype}; take .real if the imaginary part is "
            "zero, or solve the equivalent real system [[Re, -Im], [Im, Re]]"
        )
    if dtype.kind not in "fiub":
        raise TypeError(
            f"{name}: expected real numbers, got dtype {dtype}; convert with .astype(float)"
        )


def _check_size(shape: tuple[int, ...], stored: int) -> None:
    if max(shape) > INDEX_MAX or stored > INDEX_MAX:
        raise ValueError(
            f"expected at most {INDEX_MAX} (2^31 - 1) rows, columns and stored entries, "
            f"got shape {tuple(shape)} with {stored} entries"
        )


def _check_indices(A: Any) -> None:
    """Refuse index arrays that would make SciPy's compiled conversions read out of bounds."""
    if A.format in ("csr", "csc", "bsr"):
        block_rows, block_columns = A.blocksize if A.format == "bsr" else (1, 1)
        major, minor = A.shape[0] // block_rows, A.shape[1] // block_columns
        if A.format == "csc":
            major, minor = minor, major
        _check_compressed(A.indptr, A.indices, len(A.data), major, minor)
    elif A.format == "coo":
        for axis, indices in enumerate((A.row, A.col)):
            _check_range(indices, len(A.data), A.shape[axis])
    elif A.format == "dia" and A.data.shape[:1] != A.offsets.shape:
        raise ValueError(
            f"corrupt DIA matrix: {A.data.shape[0]} diagonals for {A.offsets.size} offsets"
        )


def _check_compressed(
    indptr: NDArray[Any], indices: NDArray[Any], stored: int, major: int, minor: int
) -> None:
    if indptr.dtype.kind not in "iu" or indptr.shape != (major + 1,):
        raise ValueError(
            f"corrupt sparse matrix: expected {major + 1} integers in indptr, "
            f"got shape {indptr.shape} of {indptr.dtype}"
        )
    if indptr[0] != 0 or (indptr[1:] < indptr[:-1]).any() or indptr[-1] > stored:
        raise ValueError(
            "corrupt sparse matrix: indptr must start at 0, not decrease, and end within the "
            f"{stored} stored entries; it runs from {indptr[0]} to {indptr[-1]}"
        )
    _check_range(indices, stored, minor)


def _check_range(indices: NDArray[Any], stored: int, bound: int) -> None:
    if indices.dtype.kind not in "iu" or indices.shape != (stored,):
        raise ValueError(
            f"corrupt sparse matrix: expected {stored} integer indices, "
            f"got shape {indices.shape} of {indices.dtype}"
        )
    if stored and (indices.min() < 0 or indices.max() >= bound):
        raise ValueError(
            f"corrupt sparse matrix: indices run from {indices.min()} to {indices.max()}, "
            f"allowed are 0 to {bound - 1}"
        )


def _with_exact_values(A: Any) -> Any:
    values = exact_real(A.data, "the matrix")
    return A if values is A.data else A.astype(values.dtype)


def _own_csr(A: Any, index: Any = np.int32) -> sp.csr_array:
    """Wrap the arrays of `A` in a csr_array of ours, so that no flag of the caller's changes.

    They may be strided, such as the real parts of complex numbers: then they are copied.
    """
    stored = int(A.indptr[-1])
    return sp.csr_array(
        (
            np.ascontiguousarray(A.data[:stored]),
            np.ascontiguousarray(A.indices[:stored], dtype=index),
            np.ascontiguousarray(A.indptr, dtype=index),
        ),
        shape=A.shape,
    )


def _from_dense(A: Any) -> sp.csr_array:
    array = _dense_array(A, "the matrix")
    if array.ndim != 2:
        raise ValueError(f"expected a matrix (two dimensions), got {array.ndim}")
    _check_size(array.shape, 0)
    _check_real(array.dtype, "the matrix")
    _check_size(array.shape, int(np.count_nonzero(array)))
    return _own_csr(sp.csr_array(exact_real(array, "the matrix")))


def _dense_array(values: Any, name: str) -> NDArray[Any]:
    if _is_petsc(values):
        return np.asarray(values.getArray())
    refuse_masked(values, name)
    if not isinstance(values, list | tuple) and not hasattr(values, "__array__"):
        raise TypeError(f"{name}: expected an array of numbers, got {type(values).__name__}")
    return np.asarray(values)


def _is_petsc(thing: Any) -> bool:
    return "petsc4py" in sys.modules and any(
        cls.__module__.partition(".")[0] == "petsc4py" for cls in type(thing).__mro__
    )


def _from_petsc(mat: Any) -> sp.csr_array:
    processes = mat.getComm().getSize()
    if processes > 1:
        raise ValueError(f"expected a matrix on one process, got one on {processes}")
    return _own_petsc_rows(mat)


def _petsc_rows(mat: Any, comm: Any) -> sp.csr_array:
    from mpi4py import MPI

    theirs = mat.getComm().tompi4py()
    if MPI.Comm.Compare(theirs, comm) not in (MPI.IDENT, MPI.CONGRUENT):
        raise ValueError(
            f"expected a PETSc matrix on the {comm.size} ranks of comm, got one on {theirs.size}"
        )
    return _own_petsc_rows(mat)


def _own_petsc_rows(mat: Any) -> sp.csr_array:
    from petsc4py import PETSc

    # With `out` missing, convert() would change the caller's matrix in place.
    aij = mat.convert("aij", out=PETSc.Mat())
    try:
        indptr, indices, data = aij.getValuesCSR()
    finally:
        aij.destroy()
    return sp.csr_array((data, indices, indptr), shape=(len(indptr) - 1, mat.getSize()[1]))


def comm_of(A: Any) -> Any:
    """Return the communicator of a PETSc matrix over several ranks, else None.

    Not collective.

    Parameters
    ----------
    A : object
    """
    if not _is_petsc(A) or A.getComm().getSize() == 1:
        return None
    return A.getComm().tompi4py()


def _check_finite(csr: sp.csr_array) -> None:
    finite = np.isfinite(csr.data)
    if not finite.all():
        entry = int(np.argmin(finite))
        row, column = _place(csr, entry)
        raise ValueError(
            f"expected finite entries, got {csr.data[entry]} at i = {row}, j = {column} "
            f"({finite.size - np.count_nonzero(finite)} such entries)"
        )


def _admitted(csr: sp.csr_array) -> Any:
    return engine(csr.dtype).rows_of(csr.indptr, csr.indices, csr.data).admit()


def _place(csr: sp.csr_array, entry: int) -> tuple[int, int]:
    """Row and column of a stored entry."""
    row = int(np.searchsorted(csr.indptr, entry, side="right")) - 1
    return row, int(csr.indices[entry])
