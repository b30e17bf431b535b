"""The compiled engine: the one place that imports its modules."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

import pympf._core as core
import pympf._float32 as _float32
import pympf._float64 as _float64
import pympf._lsh as lsh
import pympf._text as text
from pympf._core import get_num_threads, set_num_threads

__all__ = ["core", "engine", "get_num_threads", "lsh", "set_num_threads", "text"]


def engine(dtype: Any) -> ModuleType:
    """Return the compiled engine of a scalar type."""
    return _float64 if np.dtype(dtype) == np.float64 else _float32
