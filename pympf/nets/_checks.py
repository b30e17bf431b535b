"""The gate through which points and targets enter the networks; numbers pass `pympf.la.checks`."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pympf.la import checks

Array = NDArray[Any]


def as_points(X: ArrayLike, n_features: int | None = None) -> Array:
    """Check inputs and return them in C order, float32 or float64, shape (n, d)."""
    X = as_real(X, "X")
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(
            f"expected points in an array of shape (n, d) with n, d >= 1, got {X.shape}"
        )
    if n_features is not None and X.shape[1] != n_features:
        raise ValueError(f"expected points with {n_features} features, got {X.shape[1]}")
    return X


def as_values(y: ArrayLike, n: int) -> Array:
    """Check the target values of n points and return them, float32 or float64, shape (n,)."""
    y = as_real(y, "y")
    if y.shape != (n,):
        raise ValueError(f"expected one target value for each of {n} points, got shape {y.shape}")
    return y


def as_outputs(Y: ArrayLike, n: int, k: int | None = None) -> Array:
    """Check values of n points, shape (n,) or (n, k), and return them in two dimensions."""
    Y = np.asarray(Y)
    Y = as_points(Y.reshape(-1, 1) if Y.ndim == 1 else Y)
    if len(Y) != n or (k is not None and Y.shape[1] != k):
        raise ValueError(f"expected values of shape ({n}, {k or 'k'}), got {Y.shape}")
    return Y


def as_real(x: ArrayLike, name: str) -> Array:
    x = np.asarray(x)
    if x.dtype.kind not in "fiub":
        raise TypeError(f"expected real numbers in {name}, got dtype {x.dtype}")
    x = np.ascontiguousarray(x, dtype=x.dtype if x.dtype == np.float32 else np.float64)
    if not np.isfinite(x).all():
        raise ValueError(f"expected finite numbers in {name}, got NaN or infinity")
    return x


def random_numbers(seed: Any, purpose: str) -> np.random.Generator:
    """Give the random numbers of a seed for one purpose, independent of those for any other."""
    return np.random.default_rng([checks.integer(seed, "seed", 0), zlib.crc32(purpose.encode())])
