"""The operator that everything built by pympf is: applied to a vector, or to k columns at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator

from pympf.la.ranks import Ranks
from pympf.la.vectors import as_vector

__all__ = ["Operator"]


class Operator(LinearOperator):
    """A linear operator over ranks, which SciPy's solvers take where there is one process.

    On several ranks every rank brings the entries of its rows of a vector, and gets those of its
    rows of the product. ``shape`` is that of the whole; ``local_shape`` counts the entries that
    this rank gets and brings. All products (`apply`, `apply_transpose`, ``A @ x``, ``A.T @ y``,
    ``matvec``, ``matmat``, ``rmatvec``, ``rmatmat``) check their argument the same way, and a bad
    one on one rank raises on all.

    Attributes
    ----------
    dtype : numpy.dtype
        float64 or float32: vectors are rounded to it.
    shape : tuple of int
        Rows (entries of a product) and columns (entries of an argument), on all ranks.
    local_shape : tuple of int
        Those of this rank.
    ranks : Ranks

    Notes
    -----
    To derive an operator, call ``super().__init__(dtype, shape, ...)`` and define ``_apply(X)``,
    and for a transpose ``_apply_transpose(Y)`` or ``is_symmetric = True``. Both get what is
    checked: a C-contiguous block of finite numbers in ``dtype``, always with two axes, shape
    (local columns, k) or (local rows, k). They return a block with as many columns, and need no
    guard of their own.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.la import Operator
    >>> class Differences(Operator):
    ...     def __init__(self, n):
    ...         super().__init__(np.float64, (n - 1, n))
    ...     def _apply(self, X):
    ...         return X[1:] - X[:-1]
    ...     def _apply_transpose(self, Y):
    ...         zero = np.zeros_like(Y[:1])
    ...         return np.vstack([zero, Y]) - np.vstack([Y, zero])
    >>> D = Differences(4)
    >>> D @ [1.0, 2.0, 4.0, 8.0]
    array([1., 2., 4.])
    >>> D.apply_transpose([1.0, 0.0, 0.0])
    array([-1.,  1.,  0.,  0.])
    >>> D.T.shape, (D.T @ np.ones((3, 2))).shape
    ((4, 3), (4, 2))
    """

    is_symmetric = False
    """Whether it is its own transpose; then ``_apply`` serves for both."""

    def __init__(
        self,
        dtype: Any,
        shape: tuple[int, int],
        *,
        ranks: Ranks | None = None,
        local_shape: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(np.dtype(dtype), shape)
        self.ranks = Ranks(None) if ranks is None else ranks
        self.local_shape = self.shape if local_shape is None else local_shape

    @property
    def comm(self) -> Any:
        """The mpi4py communicator whose ranks share it; None: one process.

        Its own: a duplicate of the one that it was made with, which may be freed.
        """
        return self.ranks.comm

    def apply(self, x: ArrayLike) -> NDArray[Any]:
        """Multiply: A x.

        Collective.

        Parameters
        ----------
        x : array_like, shape (n,) or (n, k)
            Rounded to ``dtype``; on several ranks the entries of this one.

        Returns
        -------
        numpy.ndarray, shape (m,) or (m, k)

        Raises
        ------
        ValueError, TypeError
            If `x` has another shape, differs in columns over the ranks, or is not real and finite.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> F = pympf.factorize(pympf.gallery.poisson((8, 8)))
        >>> F.apply(np.ones((64, 3))).shape
        (64, 3)
        """
        return self._through(self._apply, x, self.local_shape[1])

    def apply_transpose(self, y: ArrayLike) -> NDArray[Any]:
        """Multiply by the transpose: Aᵀ y.

        Collective.

        Parameters
        ----------
        y : array_like, shape (m,) or (m, k)
            As for `apply`.

        Returns
        -------
        numpy.ndarray, shape (n,) or (n, k)

        Raises
        ------
        ValueError, TypeError
            As for `apply`.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> F = pympf.factorize(pympf.gallery.poisson((8, 8)))
        >>> bool((F.apply_transpose(np.ones(64)) == F @ np.ones(64)).all())  # it is symmetric
        True
        """
        of = self._apply if self.is_symmetric else self._apply_transpose
        return self._through(of, y, self.local_shape[0])

    def _through(
        self, product: Callable[[NDArray[Any]], NDArray[Any]], x: ArrayLike, size: int
    ) -> NDArray[Any]:
        """Let a vector, or a block of them, pass the gate to a product of blocks."""
        with self.ranks.guard():
            x = self._checked(x, size)
        self.ranks.same(x.shape[1:], "x: shape without the rows")
        return product(x) if x.ndim == 2 else product(x[:, np.newaxis]).reshape(-1)

    def _checked(self, x: ArrayLike, size: int) -> NDArray[Any]:
        return as_vector(x, size, self.dtype, "x")

    def _apply(self, X: NDArray[Any]) -> NDArray[Any]:
        raise NotImplementedError(f"{type(self).__name__} has no product")

    def _apply_transpose(self, Y: NDArray[Any]) -> NDArray[Any]:
        raise NotImplementedError(f"{type(self).__name__} has no product with its transpose")

    # ---- as SciPy calls it -----------------------------------------------------------------------
    # SciPy would check shapes on one rank alone, and the others would wait for it.
    matvec = matmat = _matvec = _matmat = apply
    rmatvec = rmatmat = _rmatvec = _rmatmat = apply_transpose

    def dot(self, x: Any) -> Any:
        """Multiply an array as `apply` does; an operator or a number as SciPy does.

        Collective.

        Parameters
        ----------
        x : array_like, scipy.sparse.linalg.LinearOperator or number

        Examples
        --------
        >>> import pympf
        >>> F = pympf.factorize(pympf.gallery.poisson(4))
        >>> F.dot(2.0) @ [1.0, 0.0, 0.0, 0.0]
        array([ 4., -2.,  0.,  0.])
        """
        if isinstance(x, LinearOperator) or np.isscalar(x):
            return super().dot(x)
        return self.apply(x)

    def _adjoint(self) -> Operator:
        return self if self.is_symmetric else Transposed(self)

    _transpose = _adjoint


class Transposed(Operator):
    """The transpose of an operator, Aᵀ."""

    def __init__(self, A: Operator) -> None:
        (m, n), (rows, columns) = A.shape, A.local_shape
        super().__init__(A.dtype, (n, m), ranks=A.ranks, local_shape=(columns, rows))
        self._A = A

    def _apply(self, X: NDArray[Any]) -> NDArray[Any]:
        return self._A._apply_transpose(X)

    def _apply_transpose(self, Y: NDArray[Any]) -> NDArray[Any]:
        return self._A._apply(Y)

    def _adjoint(self) -> Operator:
        return self._A

    _transpose = _adjoint
