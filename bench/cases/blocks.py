"""Several right-hand sides at once against one: `pympf.solve(A, B)` with k columns, one application
of M to k columns, and one product with A, on Poisson problems. "of one" is the time of k columns in
times of one column, measured in turns on one thread, in seconds of the processor; k columns one
after the other cost k.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tables

import pympf

TITLE = "Blocks of right-hand sides"
SHAPES = {"2-D Poisson": (1000, 1000), "3-D Poisson": (100, 100, 100)}
TINY = {"2-D Poisson": (20, 20), "3-D Poisson": (8, 8, 8)}
ROUNDS = 5


def points(tiny: bool) -> list[dict[str, Any]]:
    shapes = TINY if tiny else SHAPES
    return [
        {"problem": problem, "shape": list(shape), "columns": columns}
        for problem, shape in shapes.items()
        for columns in (2, 4, 8)
    ]


def run(problem: str, shape: list[int], columns: int) -> dict[str, Any]:
    before = pympf.get_num_threads()
    pympf.set_num_threads(1)
    A = pympf.gallery.poisson(tuple(shape))
    B = np.random.default_rng(0).standard_normal((A.shape[0], columns))
    one = np.ascontiguousarray(B[:, 0])
    M = pympf.as_preconditioner(A, method="multilevel")
    iterations = {}

    def solve(b: np.ndarray) -> None:
        found = pympf.solve(A, b)
        iterations[b.ndim] = int(np.max(found.iterations))

    out: dict[str, Any] = {"rows": A.shape[0], "nnz": A.nnz}
    for name, call in {"solve": solve, "apply": M.apply}.items():
        one_s, block_s = in_turns([lambda call=call: call(one), lambda call=call: call(B)])
        out |= {f"{name}_s": one_s, f"{name}_block_s": block_s}
    pympf.set_num_threads(before)
    return {**out, "iterations": iterations[1], "block_iterations": iterations[2]}


def in_turns(calls: list[Callable[[], Any]]) -> list[float]:
    """Median seconds of the processor of each call."""
    taken: list[list[float]] = [[] for _ in calls]
    for number in range(ROUNDS + 1):
        for call, seconds in zip(calls, taken, strict=True):
            start = time.process_time()
            call()
            if number:  # the first round warms up
                seconds.append(time.process_time() - start)
    return [statistics.median(seconds) for seconds in taken]


def render(rows: list[tables.Row]) -> str:
    header = ("problem", "rows", "columns", "solve, one column, s", "solve, of one")
    header += ("M, one column, ms", "M, of one", "iterations")
    return tables.markdown(header, [_line(row) for row in rows])


def _line(row: tables.Row) -> list[Any]:
    return [
        row["problem"],
        row["rows"],
        row["columns"],
        f"{row['solve_s']:.2f}",
        f"{row['solve_block_s'] / row['solve_s']:.2f}",
        f"{row['apply_s'] * 1e3:.1f}",
        f"{row['apply_block_s'] / row['apply_s']:.2f}",
        f"{row['iterations']} and {row['block_iterations']}",
    ]
