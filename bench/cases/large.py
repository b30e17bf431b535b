"""`pympf.solve` on Poisson problems of 10⁷ unknowns, random right-hand sides, to 10⁻⁸ on all cores:
seconds by the clock on the wall, and by how much the process grows at its height."""

from typing import Any

import problems
import tables

import pympf
from pympf._memory import with_peak

TITLE = "Ten million unknowns"

POINTS = {"2-D Poisson": 3162**2, "3-D Poisson": 215**3}
TINY = {"2-D Poisson": 30**2, "3-D Poisson": 9**3}


def points(tiny: bool) -> list[dict[str, Any]]:
    sizes = TINY if tiny else POINTS
    return [{"problem": name, "rows": rows, "threads": 2} for name, rows in sizes.items()]


def run(problem: str, rows: int, threads: int) -> dict[str, Any]:
    A, b = problems.build(problem, rows), problems.random_vector(rows)
    solution, peak_bytes = with_peak(lambda: pympf.solve(A, b))
    assert solution.converged, solution.reason
    return {
        "setup_s": solution.setup_s,
        "solve_s": solution.solve_s,
        "iterations": solution.iterations,
        "peak_bytes": peak_bytes,
        "choice": solution.choice,
    }


def render(rows: list[tables.Row]) -> str:
    header = ("problem", "rows", "threads", "setup, s", "solve, s", "iterations", "GB", "choice")
    lines = [
        [
            *(row[name] for name in ("problem", "rows", "threads", "setup_s", "solve_s")),
            *(row["iterations"], row["peak_bytes"] / 1e9, row["choice"].partition(";")[0]),
        ]
        for row in rows
    ]
    return tables.markdown(header, lines)
