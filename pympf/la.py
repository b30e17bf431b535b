"""The one gate through which matrices and vectors enter pympf.

Everything that a caller hands over passes `as_csr` or `as_vector` exactly once; the code behind
them, Python and C++, relies on what they promise and checks nothing again. The gates never modify
what they are given, and they refuse whatever they could not take over exactly.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

__all__ = ["as_csr", "as_vector", "canonical_csr", "is_symmetric"]

INDEX_MAX = int(np.iinfo(np.int32).max)
"""Largest number of rows, of columns and of stored entries (the core has 32-bit indices)."""

SYMMETRY_TOLERANCE = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 1e-5}
"""Largest |a_ij - a_ji| / max|A| of a matrix that counts as symmetric, by dtype."""


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
        Whether to require ``|a_ij - a_ji| <= t max|A|`` for all entries, with t = 1e-12 in
        float64 and 1e-5 in float32.

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
    >>> as_csr(np.array([[2, -1], [0, 2]]))
    Traceback (most recent call last):
    ...
    ValueError: expected a symmetric matrix, got max|a_ij - a_ji| = 1 at i = 0, j = 1 \
(allowed: 2e-12); symmetrize it, e.g. (A + A.T) / 2, if that is what you mean
    """
    csr = canonical_csr(A)
    rows, columns = csr.shape
    if rows != columns:
        raise ValueError(f"expected a square matrix, got {rows} rows and {columns} columns")
    if rows == 0:
        raise ValueError("expected a matrix with at least one row, got shape (0, 0)")
    _check_finite(csr)
    if symmetric and (where := _asymmetry(csr)) is not None:
        raise ValueError(
            f"expected a symmetric matrix, got {where}; "
            "symmetrize it, e.g. (A + A.T) / 2, if that is what you mean"
        )
    return csr


def as_vector(b: ArrayLike, n: int, dtype: Any, name: str = "b") -> NDArray[Any]:
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
    name : str
        What error messages call the vector.

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
        raise ValueError(f"{name}: expected shape ({n},) or ({n}, k), got {array.shape}")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype=dtype)
    finite = np.isfinite(array)
    if not finite.all():
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{name}: expected finite values in {array.dtype}, got {array[place]} at "
            f"{place if len(place) > 1 else place[0]} ({np.count_nonzero(~finite)} such values)"
        )
    return array


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
    return _asymmetry(A) is None


def canonical_csr(A: Any) -> sp.csr_array:
    """Return any real matrix, also a rectangular or empty one, in canonical CSR form.

    Not collective. This is `as_csr` without the checks on shape, finiteness and symmetry.

    Parameters
    ----------
    A : sparse array or matrix, 2-D array_like, or petsc4py.PETSc.Mat, shape (n, m)
        The matrix; see `as_csr` for what becomes of other dtypes.

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
    if _is_petsc(A):
        A = _from_petsc(A)
    if not sp.issparse(A):
        return _from_dense(A)
    if A.ndim != 2:
        raise ValueError(f"expected a matrix (two dimensions), got {A.ndim}")
    _check_real(A.dtype, "the matrix")
    _check_size(A.shape, A.nnz if A.format in ("lil", "dok") else A.data.size)
    if A.format in ("lil", "dok"):
        A = A.tocsr()
    _check_indices(A)
    # Values first, then tocsr(): it sums duplicates, which must not overflow in a small integer.
    csr = _own_csr(_with_exact_values(A).tocsr())
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


def _own_csr(A: Any) -> sp.csr_array:
    """Wrap the arrays of `A` in a csr_array of ours, so that no flag of the caller's changes."""
    stored = int(A.indptr[-1])
    return sp.csr_array(
        (
            A.data[:stored],
            A.indices[:stored].astype(np.int32, copy=False),
            A.indptr.astype(np.int32, copy=False),
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
    if np.ma.isMaskedArray(values) and np.ma.is_masked(values):
        raise ValueError(f"{name}: masked entries have no value; use .filled(value)")
    if not isinstance(values, list | tuple) and not hasattr(values, "__array__"):
        raise TypeError(f"{name}: expected an array of numbers, got {type(values).__name__}")
    return np.asarray(values)


def _is_petsc(thing: Any) -> bool:
    return "petsc4py" in sys.modules and any(
        cls.__module__.partition(".")[0] == "petsc4py" for cls in type(thing).__mro__
    )


def _from_petsc(mat: Any) -> sp.csr_array:
    from petsc4py import PETSc

    processes = mat.getComm().getSize()
    if processes > 1:
        raise ValueError(f"expected a matrix on one process, got one on {processes}")
    # With `out` missing, convert() would change the caller's matrix in place.
    aij = mat.convert("aij", out=PETSc.Mat())
    try:
        indptr, indices, data = aij.getValuesCSR()
    finally:
        aij.destroy()
    return sp.csr_array((data, indices, indptr), shape=mat.getSize())


def _check_finite(csr: sp.csr_array) -> None:
    finite = np.isfinite(csr.data)
    if not finite.all():
        entry = int(np.argmin(finite))
        row, column = _place(csr, entry)
        raise ValueError(
            f"expected finite entries, got {csr.data[entry]} at i = {row}, j = {column} "
            f"({finite.size - np.count_nonzero(finite)} such entries)"
        )


def _asymmetry(csr: sp.csr_array) -> str | None:
    """Say where a matrix is not symmetric; None when it is."""
    if csr.nnz == 0:
        return None
    transposed = csr.T.tocsr()
    same_pattern = np.array_equal(csr.indptr, transposed.indptr) and np.array_equal(
        csr.indices, transposed.indices
    )
    with np.errstate(over="ignore"):
        difference = csr if same_pattern else csr - transposed
        gap = np.abs(csr.data - transposed.data if same_pattern else difference.data)
    largest = max(csr.data.max(), -csr.data.min())
    allowed = SYMMETRY_TOLERANCE[csr.dtype] * float(largest)
    if gap.size and gap.max() > allowed:
        entry = int(np.argmax(gap))
        row, column = _place(difference, entry)
        return (
            f"max|a_ij - a_ji| = {gap[entry]:.6g} at i = {row}, j = {column} "
            f"(allowed: {allowed:.3g})"
        )
    return None


def _place(csr: sp.csr_array, entry: int) -> tuple[int, int]:
    """Row and column of a stored entry."""
    row = int(np.searchsorted(csr.indptr, entry, side="right")) - 1
    return row, int(csr.indices[entry])
