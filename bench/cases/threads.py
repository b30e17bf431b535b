"""Two threads against one. The result is the same to the last bit; only the time changes."""

from typing import Any

import measure
import numpy as np
import problems
import tables

import pympf

TITLE = "Threads"

PROBLEMS = {
    "2-D Poisson": 1_048_576,
    "3-D Poisson": 262_144,
    "random geometric graph": 262_144,
    "Barabási–Albert m=4": 100_000,
}
MEASURED = {"setup": "setup_s", "M x": "apply_s", "M X, 8 vectors": "apply_8_s"}


def points(tiny: bool) -> list[dict[str, Any]]:
    return [
        {"problem": problem, "rows": 729 if tiny else rows, "threads": threads}
        for problem, rows in PROBLEMS.items()
        for threads in (1, 2)
    ]


def run(problem: str, rows: int, threads: int) -> dict[str, Any]:
    A = problems.build(problem, rows)
    M = pympf.factorize(A).positive_inverse()
    return {
        "nnz": A.nnz,
        "setup_s": measure.long_run_s(lambda: pympf.factorize(A), samples=5),
        "apply_s": _apply_s(M, 1),
        "apply_8_s": _apply_s(M, 8),
    }


def _apply_s(M: pympf.Mmf, vectors: int) -> float:
    x = problems.random_vector(M.shape[0] * vectors).reshape(-1, vectors)
    y = np.empty_like(x)
    return measure.median_s(lambda: M._factors.apply(x, y))


def render(rows: list[tables.Row]) -> str:
    header = ("problem", "rows")
    for name in MEASURED:
        header += (f"{name}: ms, 1 thread", "2 threads", "faster by")
    return tables.markdown(header, [_line(rows, problem) for problem in PROBLEMS])


def _line(rows: list[tables.Row], problem: str) -> list[Any]:
    one, two = (tables.only(rows, problem=problem, threads=threads)[0] for threads in (1, 2))
    line = [problem, one["rows"]]
    for name in MEASURED.values():
        line += [tables.milli(one[name]), tables.milli(two[name]), one[name] / two[name]]
    return line
