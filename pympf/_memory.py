"""What a process holds in memory, and its height during a call (Linux: proc(5))."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def with_peak(call: Callable[[], T]) -> tuple[T, int]:
    """Return the result of a call, and how many bytes the process grew by at its height.

    The peak of the process counts from now (clear_refs), since building the matrix may have needed
    more than the call does; free memory goes back first, so that reusing it counts.
    """
    before = resident_bytes()
    Path("/proc/self/clear_refs").write_text("5")
    result = call()
    return result, max(0, _status_bytes("VmHWM") - before)


def resident_bytes() -> int:
    """Return what the process holds in memory, once free memory has gone back."""
    ctypes.CDLL(None).malloc_trim(0)
    return _status_bytes("VmRSS")


def _status_bytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {name}")
