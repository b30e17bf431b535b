"""The compiled engine, one module for each scalar type."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

import pympf._float32 as _float32
import pympf._float64 as _float64

__all__ = ["engine"]


def engine(dtype: Any) -> ModuleType:
    """Return the compiled engine of a scalar type."""
    return _float64 if np.dtype(dtype) == np.float64 else _float32
