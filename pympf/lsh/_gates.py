"""What comes in: points and their ids; numbers pass `pympf.la.checks`."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf import la

__all__ = [
    "as_center",
    "as_points",
    "as_rows",
    "checked_ids",
    "real_dtype",
]


def as_dense(X: Any) -> NDArray[Any]:
    """Return a dense array, C-contiguous and of float32 or float64."""
    if sp.issparse(X):
        raise TypeError(f"X: expected a dense array, got {type(X).__name__}; use .toarray()")
    la.checks.no_masks(X, "X")
    return np.ascontiguousarray(la.exact_real(np.asarray(X), "X"))


def as_rows(X: Any, features: int, dtype: np.dtype[Any] | None) -> NDArray[Any]:
    """Return points as a dense array, of this dtype if there is one."""
    array = as_dense(X)
    if array.ndim != 2 or array.shape[1] != features:
        raise ValueError(f"X: expected shape (n, {features}), got {array.shape}")
    with np.errstate(over="ignore"):  # infinite numbers are refused where they are hashed
        return array if dtype is None else array.astype(dtype, copy=False)


def as_center(center: Any, features: int) -> NDArray[np.float64]:
    """Return what is subtracted from all points."""
    vector = la.as_vector(center, features, np.float64, "center")
    if vector.ndim != 1:
        raise ValueError(f"center: expected shape ({features},), got {vector.shape}")
    return vector


def checked_ids(ids: Any) -> NDArray[np.int64]:
    """Return numbers of points, or raise TypeError."""
    la.checks.no_masks(ids, "ids")
    array = np.asarray(ids)
    if array.ndim != 1 or (array.size > 0 and array.dtype.kind not in "iu"):
        raise TypeError(
            f"ids: expected integers of shape (n,), got {array.dtype} of shape {array.shape}"
        )
    return np.ascontiguousarray(array, dtype=np.int64)


def real_dtype(dtype: Any) -> np.dtype[Any]:
    """Return float64 or float32, or raise TypeError."""
    checked = np.dtype(dtype)
    if checked not in (np.float64, np.float32):
        raise TypeError(f"dtype: expected float64 or float32, got {checked}")
    return checked


def as_points(X: Any, features: int) -> tuple[Any, ...]:
    """Return points as the engine takes them, without a copy where they are in that form already.

    One C-contiguous float32 or float64 array, or indptr, indices, data and the number of columns
    of a canonical CSR array. The engine refuses what is not finite.
    """
    X = la.canonical_csr(X) if sp.issparse(X) else as_dense(X)
    if X.ndim != 2 or X.shape[1] != features:
        raise ValueError(f"X: expected shape (n, {features}), got {X.shape}")
    return (X.indptr, X.indices, X.data, features) if sp.issparse(X) else (X,)
