"""Shapes of points and targets of networks; the checks are those of `pympf.la`."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pympf.la import as_array, checks

Array = NDArray[Any]


def as_points(X: ArrayLike, n_features: int | None = None) -> Array:
    """Check inputs and return them in C order, float32 or float64, shape (n, d)."""
    return as_array(X, ("n >= 1", "d >= 1" if n_features is None else n_features), "X")


def as_values(y: ArrayLike, n: int) -> Array:
    """Check the target values of n points and return them, float32 or float64, shape (n,)."""
    return as_array(y, (n,), "y")


def as_outputs(Y: ArrayLike, n: int, k: int | None = None) -> Array:
    """Check values of n points, shape (n,) or (n, k), and return them in two dimensions."""
    Y = np.asarray(Y)
    return as_array(Y.reshape(-1, 1) if Y.ndim == 1 else Y, (n, "k >= 1" if k is None else k), "Y")


def random_numbers(seed: Any, purpose: str) -> np.random.Generator:
    """Give the random numbers of a seed for one purpose, independent of those for any other."""
    return np.random.default_rng([checks.integer(seed, "seed", 0), zlib.crc32(purpose.encode())])
