"""One solver in a process of its own: it writes a line of JSON for each thing that it has done.

Whatever happens to it (a crash, a hang, all memory taken), what it has written before counts.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from pympf._memory import with_peak
from pympf.comparison.registry import find
from pympf.comparison.solver import Answer, Setup
from pympf.comparison.system import System
from pympf.comparison.timing import Times, timed

POINTS = 400  # of a history, at most
WARM_UP_S = 2.0  # a first run of less is not counted when there are others
PR_SET_PDEATHSIG = 1
SHORT_S, MOST_RUNS = 0.25, 50


def main(file: str, name: str, descriptor: str, runs: str, limit_s: str, most_bytes: str) -> None:
    """Load the system, run the solver, and leave without the clean-up of anybody's library."""
    with os.fdopen(int(descriptor), "w") as lines:

        def tell(**line: Any) -> None:
            print(json.dumps(line), file=lines, flush=True)

        _end_with_parent()
        most = int(most_bytes)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        system = System.load(Path(file))
        solver = next(s for s in find(name) if s.name == name)
        try:
            tell(state="ready")
            _runs(solver.prepare(system), system, int(runs), float(limit_s), tell)
        except ImportError as error:
            tell(state="not installed", text=_last_line(error))
        except MemoryError:
            tell(state="out of memory", text="")
        except Exception as error:  # noqa: BLE001  a stranger's code may raise anything
            tell(state="refused", text=_last_line(error))
    sys.stdout.flush()
    os._exit(0)


def _end_with_parent() -> None:
    """Ask the system to end this process when the one that started it ends (Linux: prctl(2))."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _runs(setup: Setup, system: System, runs: int, limit_s: float, tell: Any) -> None:
    """Run it once, and again as often as was asked for and there is time."""
    start = time.perf_counter()
    (times, answer), peak_bytes = with_peak(lambda: timed(setup))
    _check(answer, system)
    first_s = time.perf_counter() - start
    warm_up = first_s < WARM_UP_S  # it also loads what libraries load late
    history = answer.history[_thinned(len(answer.history))]
    tell(
        state="ran",
        warm_up=warm_up,
        **_seconds(times),
        iterations=answer.iterations,
        trouble=answer.trouble,
        choice=answer.choice,
        bytes=peak_bytes,
        residual=system.residual(answer.x),
        history=np.where(np.isfinite(history), history, 1e300).tolist(),
        steps=_thinned(len(answer.history)).tolist(),
    )
    if runs > 1:
        _again(setup, runs if warm_up else runs - 1, limit_s - first_s, first_s, tell)


def _again(setup: Setup, runs: int, left_s: float, run_s: float, tell: Any) -> None:
    """Run it so many times more, short ones until they have taken SHORT_S, while there is time."""
    start, done, spent_s = time.perf_counter(), 0, 0.0
    while done < runs or (spent_s < SHORT_S and done < MOST_RUNS):
        if spent_s + 1.5 * run_s > left_s:
            return
        tell(state="again", **_seconds(timed(setup)[0]))
        done, spent_s = done + 1, time.perf_counter() - start


def _check(answer: Answer, system: System) -> None:
    if answer.x.shape != system.b.shape:
        raise ValueError(f"x has shape {answer.x.shape}, expected {system.b.shape}")


def _thinned(length: int) -> np.ndarray[Any, Any]:
    """Return which points of a history to keep, the first and the last among them."""
    return np.unique(np.linspace(0, length - 1, min(length, POINTS)).astype(int))


def _seconds(times: dict[str, Times]) -> dict[str, Any]:
    return {"times": {clock: (each.setup_s, each.solve_s) for clock, each in times.items()}}


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:160]
