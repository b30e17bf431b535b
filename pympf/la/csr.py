"""Sparse matrices on their way in: canonical CSR, whatever they came as."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf.la import checks
from pympf.la.petsc import is_petsc, rows_of
from pympf.la.ranks import Ranks
from pympf.la.vectors import check_real, dense_array, exact_real

__all__ = ["INDEX_MAX", "canonical_csr", "check_finite"]

INDEX_MAX = int(np.iinfo(np.int32).max)
"""Largest number of rows, of columns and of stored entries (the core has 32-bit indices)."""
PARTS = ("data", "indices", "indptr", "offsets", "row", "col")
"""The arrays of SciPy's sparse formats."""


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
    return canonical(A, Ranks(None), any_width=any_width)


def canonical(A: Any, ranks: Ranks, *, any_width: bool) -> sp.csr_array:
    """Do what `canonical_csr` says; of a PETSc matrix over these ranks take the own rows."""
    if is_petsc(A):
        A = rows_of(A, ranks)
    if not sp.issparse(A):
        return _from_dense(A)
    if A.ndim != 2:
        raise ValueError(f"expected a matrix (two dimensions), got {A.ndim}")
    for part in PARTS:
        if isinstance(array := getattr(A, part, None), np.ma.MaskedArray):
            checks.no_masks(array, "the matrix")
    check_real(A.dtype, "the matrix")
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
    array = dense_array(A, "the matrix")
    if array.ndim != 2:
        raise ValueError(f"expected a matrix (two dimensions), got {array.ndim}")
    _check_size(array.shape, 0)
    check_real(array.dtype, "the matrix")
    _check_size(array.shape, int(np.count_nonzero(array)))
    return _own_csr(sp.csr_array(exact_real(array, "the matrix")))


def check_finite(csr: sp.csr_array) -> None:
    """Refuse a matrix with NaN or infinity, and name the first such entry. Not collective."""
    finite = np.isfinite(csr.data)
    if not finite.all():
        entry = int(np.argmin(finite))
        row, column = _place(csr, entry)
        raise ValueError(
            f"expected finite entries, got {csr.data[entry]} at i = {row}, j = {column} "
            f"({finite.size - np.count_nonzero(finite)} such entries)"
        )


def _place(csr: sp.csr_array, entry: int) -> tuple[int, int]:
    """Row and column of a stored entry."""
    row = int(np.searchsorted(csr.indptr, entry, side="right")) - 1
    return row, int(csr.indices[entry])
