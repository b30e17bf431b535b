"""Seconds of a setup and a solve, of the clock on the wall and of the processor."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pympf.comparison.solver import Answer, Setup

__all__ = ["CLOCKS", "Times", "timed"]

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


@dataclass(frozen=True)
class Times:
    """Seconds of one run by one clock."""

    setup_s: float
    solve_s: float

    @property
    def total_s(self) -> float:
        """Seconds of both."""
        return self.setup_s + self.solve_s


def timed(setup: Setup) -> tuple[dict[str, Times], Answer]:
    """Run a setup and its solve; return their times by each clock, and the answer.

    The processor's time is that of all threads of the process. Other processes disturb it less; on
    one thread and a machine without other work it is the time on the wall.
    """
    start = _now()
    solve = setup()
    between = _now()
    answer = solve()
    end = _now()
    times = {}
    for clock in CLOCKS:
        solve_s = end[clock] - between[clock]
        inside = answer.setup_part * solve_s
        times[clock] = Times(between[clock] - start[clock] + inside, solve_s - inside)
    return times, answer


def _now() -> dict[str, float]:
    return {name: clock() for name, clock in CLOCKS.items()}
