"""The operator that approximations are, on one process."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator

from pympf import la

Array = NDArray[np.float64]


class Operator(LinearOperator):
    """A linear map made of `_apply` and `_apply_transpose` on blocks of columns."""

    def __init__(self, dtype: Any, shape: tuple[int, int]) -> None:
        super().__init__(np.dtype(dtype), shape)

    def apply(self, x: ArrayLike) -> Array:
        x = la.as_vector(x, self.shape[1], self.dtype, "x")
        return self._apply(x.reshape(len(x), -1)).reshape(-1, *x.shape[1:])

    def apply_transpose(self, y: ArrayLike) -> Array:
        y = la.as_vector(y, self.shape[0], self.dtype, "y")
        return self._apply_transpose(y.reshape(len(y), -1)).reshape(-1, *y.shape[1:])

    def _apply(self, X: Array) -> Array:
        raise NotImplementedError

    def _apply_transpose(self, Y: Array) -> Array:
        raise NotImplementedError

    matvec = matmat = _matvec = _matmat = apply
    rmatvec = rmatmat = _rmatvec = _rmatmat = apply_transpose

    def dot(self, x: Any) -> Any:
        return self.apply(x)

    def _adjoint(self) -> Operator:
        return _Transposed(self)

    _transpose = _adjoint


class _Transposed(Operator):
    def __init__(self, A: Operator) -> None:
        super().__init__(A.dtype, A.shape[::-1])
        self._A = A

    def _apply(self, X: Array) -> Array:
        return self._A._apply_transpose(X)

    def _apply_transpose(self, Y: Array) -> Array:
        return self._A._apply(Y)

    def _adjoint(self) -> Operator:
        return self._A

    _transpose = _adjoint
