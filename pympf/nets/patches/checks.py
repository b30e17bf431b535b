"""The gate through which images, labels and names of groups enter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf.la import as_array, checks
from pympf.nets._checks import Array

__all__ = ["GROUPS", "STATISTICS", "as_groups", "as_images", "as_labels", "as_shape"]

GROUPS = ("scale-bias", "depthwise", "pointwise", "last")
"""The groups of parameters; the 3 × 3 convolution at the bottom counts as pointwise."""

STATISTICS = ("batch", "running", "frozen")
"""What batch normalization divides by, and whether the running statistics follow."""


def as_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """Check the shape of an image."""
    if len(tuple(shape)) != 3:
        raise ValueError(f"expected shape (channels, height, width), got {tuple(shape)}")
    channels, height, width = (checks.integer(side, "shape") for side in shape)
    return channels, height, width


def as_images(X: ArrayLike, shape: tuple[int, ...], dtype: Any) -> Array:
    """Check images (n, channels, height, width), and return them with the channels first of all."""
    X = as_array(X, ("n >= 1", *shape), "X")
    return np.ascontiguousarray(X.transpose(1, 0, 2, 3), dtype=dtype)


def as_labels(y: ArrayLike, n: int, n_classes: int) -> Array:
    """Check the classes of n images."""
    y = np.asarray(y)
    if y.shape != (n,):
        raise ValueError(f"expected one label for each of {n} images, got shape {y.shape}")
    if y.dtype.kind not in "iub":
        raise TypeError(f"expected labels of an integer dtype, got {y.dtype}")
    if y.min() < 0 or y.max() >= n_classes:
        raise ValueError(f"expected labels from 0 to {n_classes - 1}, got {y.min()} to {y.max()}")
    return y.astype(np.intp)


def as_groups(groups: Iterable[str] | str) -> tuple[str, ...]:
    """Check names of groups, and return them in the order of `GROUPS`, each once."""
    names = [groups] if isinstance(groups, str) else list(groups)
    for name in names:
        checks.choice(name, "group", GROUPS)
    if not names:
        raise ValueError(f"expected at least one group of {', '.join(GROUPS)}, got none")
    return tuple(group for group in GROUPS if group in names)
