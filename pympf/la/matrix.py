"""The checked matrix: the gate through which every matrix enters pympf, once.

The gate never modifies what it is given, and it refuses whatever it could not take over exactly.
The code behind it, Python and C++, relies on what it promises and checks nothing again.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf._engine import engine
from pympf.la.csr import canonical, check_finite
from pympf.la.petsc import comm_of
from pympf.la.ranks import Ranks, require_same

__all__ = ["Matrix", "as_csr", "as_rows", "is_symmetric"]

INT = np.dtype(np.int32)
REALS = (np.dtype(np.float64), np.dtype(np.float32))
"""The dtypes of compiled code."""
OTHERWISE = "pympf.solve takes it as it is"
"""What to do with a matrix that is not symmetric in any way."""


class Matrix:
    """A checked matrix: the rows of this rank, where they lie, and what is known of their values.

    Collective over `comm`; what is wrong on one rank raises on all. `pympf.factorize`, `solve`,
    `as_preconditioner` and `logdet` make one of whatever they are given, and take one as it is: so
    a matrix that several of them get is checked once.

    Parameters
    ----------
    A : sparse array or matrix, 2-D array_like, petsc4py.PETSc.Mat, Matrix, or path, shape (n, m)
        With `comm` this rank's rows, shape (n_local, m), with global columns: contiguous ranges in
        the order of the ranks, which may be empty; or the path of a file of which every rank reads
        its part (`pympf.io.read_rows`). Sparse formats are converted; entries stored twice are
        summed. Integers, bool and long double become float64, half precision becomes float32, and
        only if every value survives exactly.
    comm : mpi4py.MPI.Comm or Ranks, optional
        The ranks that share it; by default this process alone, or those of a PETSc matrix.
    square : bool
        Whether to refuse a rectangular matrix.

    Attributes
    ----------
    csr : scipy.sparse.csr_array, shape `local_shape`
        The rows of this rank: sorted indices without duplicates, values float64 or float32, all
        finite. Stored zeros stay. It shares the memory of `A` if that was canonical already.
        Whoever changes the values in place must make a new Matrix.
    ranks : Ranks
    shape : tuple of int
        Rows and columns on all ranks.
    local_shape : tuple of int
        Rows of this rank, and columns of all.
    rows : range
        The rows of this rank.

    Raises
    ------
    ValueError
        If `A` is empty, not square though it should be, not finite, has an index out of range, a
        value that float64 cannot hold, or more than 2^31 - 1 rows or stored entries; if the ranks
        differ in columns or dtype.
    TypeError
        If `A` is not a matrix of real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.la import Matrix
    >>> A = Matrix([[2, -1], [-1, 2]])
    >>> A
    <Matrix 2 x 2, float64, 4 entries>
    >>> A.is_symmetric, A.has_positive_diagonal, A.is_diagonal
    (True, True, False)
    >>> Matrix(np.ones((2, 3)), square=False).shape
    (2, 3)
    """

    def __init__(self, A: Any, comm: Any = None, *, square: bool = True) -> None:
        self.ranks = ranks_of(A, comm)
        if isinstance(A, Matrix):
            A = A.csr
        elif self.ranks.comm is not None and isinstance(A, str | os.PathLike):
            from pympf import io

            A = io.read_rows(A, self.ranks)
        with self.ranks.guard():
            if self.ranks.size > 1 or not self._take(A):
                self.csr = canonical(A, self.ranks, any_width=self.ranks.size > 1)
                check_finite(self.csr)
                self._arrays = (self.csr.indptr, self.csr.indices, self.csr.data)
                self.local_shape = self.csr.shape
        self._place(square)

    def _take(self, A: Any) -> bool:
        """Take over what needs no conversion; compiled code sees in one pass whether that is so."""
        if type(A) not in (sp.csr_array, sp.csr_matrix) or A.ndim != 2:
            return False
        (n, m), arrays = A.shape, (A.indptr, A.indices, A.data)
        dtype = A.data.dtype
        if n != m or dtype not in REALS or not all(map(_is_plain, arrays, (INT, INT, dtype))):
            return False
        rows = engine(dtype).rows_if_canonical(*arrays, n) if len(A.indptr) == n + 1 else None
        if rows is not None:
            self.compiled, self._arrays, self.local_shape = rows, arrays, (n, n)
        return rows is not None

    def __getstate__(self) -> dict[str, Any]:
        kept = ("ranks", "shape", "local_shape", "rows", "_arrays")
        return {name: getattr(self, name) for name in kept}

    @classmethod
    def of(cls, A: Any, comm: Any = None, *, square: bool = True) -> Matrix:
        """Return `A` itself where it is a Matrix already, else make one of it.

        Parameters
        ----------
        A, comm, square
            As for the class; a Matrix comes back if it has the ranks asked for.

        Examples
        --------
        >>> from pympf.la import Matrix
        >>> A = Matrix([[1.0]])
        >>> Matrix.of(A) is A
        True
        """
        if not isinstance(A, cls):
            return cls(A, comm, square=square)
        wanted = A.ranks if comm is None else ranks_of(A, comm)
        if wanted.size != A.ranks.size:
            raise ValueError(
                f"expected a Matrix on the {wanted.size} ranks of comm, got one on {A.ranks.size}"
            )
        if square and A.shape[0] != A.shape[1]:
            raise ValueError(f"expected a square matrix, got {A!r}")
        return A

    def _place(self, square: bool) -> None:
        """Find where the rows lie, and refuse sizes that do not fit."""
        own, columns = self.local_shape
        counts = [own]
        if self.ranks.size > 1:
            every = self.ranks.gather((own, columns, self.dtype.name))
            require_same([theirs[1] for theirs in every], "columns of the matrix")
            require_same([theirs[2] for theirs in every], "dtype of the matrix")
            counts = [theirs[0] for theirs in every]
        first = sum(counts[: self.ranks.rank])
        self.shape = (sum(counts), columns)
        self.rows = range(first, first + own)
        if square and self.shape[0] != columns:
            many = self.ranks.count(" on {} ranks")
            raise ValueError(
                f"expected a square matrix, got {self.shape[0]} rows{many} and {columns} columns"
            )
        if not (self.shape[0] and columns):
            raise ValueError(
                f"expected a matrix with at least one row and one column, got shape {self.shape}"
            )

    def __repr__(self) -> str:
        many = self.ranks.count(" here, {} ranks")
        n, m = self.shape
        return f"<Matrix {n} x {m}, {self.dtype}, {len(self._arrays[2])} entries{many}>"

    @property
    def dtype(self) -> np.dtype[Any]:
        """float64 or float32."""
        return self._arrays[2].dtype

    def diagonal(self) -> NDArray[Any]:
        """Return the diagonal entries of this rank's rows. Not collective.

        Examples
        --------
        >>> from pympf.la import Matrix
        >>> Matrix([[2, -1], [-1, 2]]).diagonal()
        array([2., 2.])
        """
        own = len(self.rows)
        if own == 0:
            return np.zeros(0, self.dtype)
        return self.csr.diagonal(self.rows.start)[:own]

    def astype(self, dtype: Any) -> Matrix:
        """Return it rounded to a dtype.

        Collective.

        Parameters
        ----------
        dtype : numpy.float64 or numpy.float32

        Raises
        ------
        ValueError
            If the dtype cannot hold an entry.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.la import Matrix
        >>> Matrix([[2.0]]).astype(np.float32).dtype
        dtype('float32')
        """
        if self.dtype == dtype:
            return self
        with self.ranks.guard():
            with np.errstate(over="ignore"):
                csr = self.csr.astype(dtype)
            if not np.isfinite(csr.data).all():
                raise ValueError(f"the matrix has entries that {csr.dtype} cannot hold")
        out = object.__new__(Matrix)
        out.__dict__ |= self.__getstate__()
        out._arrays = (csr.indptr, csr.indices, csr.data)
        return out

    # ---- what is known of it, found when it is first asked for -----------------------------------
    @cached_property
    def csr(self) -> sp.csr_array:
        """The rows of this rank: see Attributes. Not collective."""
        indptr, indices, data = self._arrays
        return sp.csr_array((data, indices, indptr), shape=self.local_shape)

    @cached_property
    def compiled(self) -> Any:
        """The rows as compiled code takes them. Collective at the first use."""
        module = engine(self.dtype)
        indptr, indices, data = self._arrays
        if self.ranks.size == 1:
            return module.rows_of(indptr, indices, data)
        indptr = indptr.astype(np.int32, copy=False)
        return module.rows_on_ranks(self.ranks.handle, indptr, indices, data)

    @cached_property
    def admitted(self) -> Any:
        """What of it is symmetric: all, the rest without Dirichlet rows, or nothing. Collective."""
        return self.compiled.admit()

    @property
    def is_symmetric(self) -> bool:
        """Whether |a_ij - a_ji| <= t max(|a_ij|, |a_ji|, sqrt|a_ii a_jj|) for all entries.

        Collective at the first use. t is 1e-12 in float64 and 1e-5 in float32; the rows of zeros on
        the diagonal are measured by their other entries. Entries stored on one side only are
        allowed.
        """
        return self.admitted.rows is not None and not self.admitted.determined

    @cached_property
    def has_positive_diagonal(self) -> bool:
        """Whether the diagonal is positive but for rows of zeros. Collective at the first use."""
        return self.compiled.has_positive_diagonal()

    @cached_property
    def is_diagonal(self) -> bool:
        """Whether all entries off the diagonal are zero. Collective at the first use."""
        rows = np.repeat(np.arange(len(self.rows)), np.diff(self.csr.indptr))
        off = self.csr.data[self.csr.indices != rows + self.rows.start]
        return not self.ranks.max(bool(off.any()))

    def symmetric_rows(self, otherwise: str = OTHERWISE) -> Any:
        """Return compiled rows of a symmetric matrix.

        Collective.

        Parameters
        ----------
        otherwise : str
            What the message says to do with another matrix.

        Raises
        ------
        ValueError
            If it is not symmetric as it stands.

        Examples
        --------
        >>> from pympf.la import Matrix
        >>> Matrix([[2, -1], [3, 2]]).symmetric_rows("take GMRES")
        Traceback (most recent call last):
        ...
        ValueError: expected a symmetric matrix, got max|a_ij - a_ji| = 4 at i = 0, j = 1 \
(allowed: 3e-12); take GMRES
        """
        if not self.is_symmetric:
            raise ValueError(self.admitted.refusal(otherwise))
        return self.admitted.rows

    def admitted_rows(self, otherwise: str = OTHERWISE) -> Any:
        """Return compiled rows that are symmetric: all, or the rest without Dirichlet rows.

        Collective.

        Parameters
        ----------
        otherwise : str
            What the message says to do with another matrix.

        Raises
        ------
        ValueError
            If nothing of it is symmetric.

        Examples
        --------
        >>> from pympf.la import Matrix
        >>> A = Matrix([[1, 0, 0], [-1, 2, -1], [0, -1, 2]])  # the first row is a Dirichlet row
        >>> rows = A.admitted_rows()
        >>> A.is_symmetric, A.admitted.determined
        (False, 1)
        """
        if self.admitted.rows is None:
            raise ValueError(self.admitted.refusal(otherwise))
        return self.admitted.rows

    def general_rows(self) -> Any:
        """Return compiled rows that need not be symmetric, for what takes them as they are.

        Collective.

        Examples
        --------
        >>> from pympf.la import Matrix
        >>> rows = Matrix([[2, 1], [0, 2]]).general_rows()
        """
        return self.compiled.general()


def _is_plain(array: Any, dtype: Any) -> bool:
    if type(array) is not np.ndarray or array.dtype != dtype:
        return False
    return bool(array.flags.c_contiguous and array.flags.aligned)


def ranks_of(A: Any, comm: Any) -> Ranks:
    """Return the ranks that were given, or else those that a matrix brings. Not collective."""
    if isinstance(comm, Ranks):
        return comm
    if comm is None and isinstance(A, Matrix):
        return A.ranks
    return Ranks(comm_of(A) if comm is None else comm)


def as_csr(A: Any, *, symmetric: bool = True) -> sp.csr_array:
    """Check a matrix and return it in canonical CSR form.

    Not collective.

    Parameters
    ----------
    A : sparse array or matrix, 2-D array_like, or petsc4py.PETSc.Mat, shape (n, n)
        As for `Matrix`.
    symmetric : bool
        Whether to refuse a matrix that is not symmetric (`Matrix.is_symmetric`).

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
    matrix = Matrix.of(A, Ranks(None))
    if symmetric:
        matrix.symmetric_rows()
    return matrix.csr


def as_rows(A: Any, comm: Any) -> sp.csr_array:
    """Check this rank's rows of a matrix over the ranks of a communicator.

    Collective. What is wrong on one rank raises on all.

    Parameters
    ----------
    A : sparse array or matrix, 2-D array_like, or petsc4py.PETSc.Mat, shape (n_local, n)
        As for `Matrix`.
    comm : mpi4py.MPI.Comm or Ranks

    Returns
    -------
    scipy.sparse.csr_array, shape (n_local, n)
        ``Matrix(A, comm).csr``. Symmetry is left to whoever brings the rows together.

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
    return Matrix.of(A, comm).csr


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
    return Matrix.of(A, Ranks(None)).is_symmetric
