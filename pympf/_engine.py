"""The compiled engine: the one place that imports its modules.

`core` and the two scalar types are loaded with the package, the others (`approx`, `dictionary`,
`lsh`, `sketch`, `text`) by whoever first imports them from here.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

import pympf._core as core
import pympf._float32 as _float32
import pympf._float64 as _float64
from pympf._core import get_num_threads, set_num_threads

approx: Any
dictionary: Any
lsh: Any
sketch: Any
text: Any

__all__ = ["core", "engine", "get_num_threads", "set_num_threads"]


def engine(dtype: Any) -> ModuleType:
    """Return the compiled engine of a scalar type."""
    return _float64 if np.dtype(dtype) == np.float64 else _float32


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return import_module(f"pympf._{name}")
    except ModuleNotFoundError as error:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from error
