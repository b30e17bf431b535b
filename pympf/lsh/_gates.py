"""What comes in, points and their ids, and what goes out in parts of unequal lengths."""

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
    "ragged",
    "real_dtype",
]


def as_rows(X: Any, features: int, dtype: np.dtype[Any] | None) -> NDArray[Any]:
    """Return points as a dense array, of this dtype if there is one."""
    array = la.as_array(X, ("n", features), "X", finite=False)
    with np.errstate(over="ignore"):  # infinite numbers are refused where they are hashed
        return array if dtype is None else array.astype(dtype, copy=False)


def as_center(center: Any, features: int) -> NDArray[np.float64]:
    """Return what is subtracted from all points."""
    return la.as_array(center, (features,), "center").astype(np.float64, copy=False)


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
    if not sp.issparse(X):
        return (la.as_array(X, ("n", features), "X", finite=False),)
    A = la.canonical_csr(X)
    if A.shape[1] != features:
        raise ValueError(f"X: expected shape (n, {features}), got {A.shape}")
    return A.indptr, A.indices, A.data, features


def ragged(values: NDArray[Any], start: NDArray[np.int64]) -> NDArray[Any]:
    """Cut values into an array of arrays, shape (n,), also where all have one length or n is 0.

    `start` has n + 1 places: where each part begins, and the end.
    """
    array = np.empty(len(start) - 1, dtype=object)
    for i, (first, last) in enumerate(zip(start[:-1].tolist(), start[1:].tolist(), strict=True)):
        array[i] = values[first:last]
    return array
