"""‖A − QᵀHQ‖_F / ‖A‖_F at core 100, computed entry by entry: the mean of five seeds, and in
parentheses the smallest and the largest. `retire="relative"` (taken by the default, `"auto"`) keeps
smooth functions, which preconditioning needs; `retire="absolute"` is the paper's rule, greedy in
this norm. The graphs are Laplacians of unit weights plus 10⁻⁶ I.
"""

import statistics
from typing import Any

import problems
import tables

import pympf

TITLE = "Relative Frobenius error at equal core size"

CORE = 100
REFERENCE = {
    ("2-D Poisson", 256): 0.317,
    ("2-D Poisson", 4096): 0.376,
    ("3-D Poisson", 4096): 0.325,
    ("random geometric graph", 20_000): 0.269,
    ("Barabási–Albert m=4", 20_000): 0.187,
}


def points(tiny: bool) -> list[dict[str, Any]]:
    return [
        {"problem": problem, "rows": 400 if tiny and "Poisson" not in problem else rows}
        for problem, rows in REFERENCE
        if not tiny or rows != 4096
    ]


def run(problem: str, rows: int) -> dict[str, Any]:
    A = problems.build(problem, rows)
    errors = {params: [_error(A, seed, params) for seed in range(5)] for params in problems.PARAMS}
    return {"nnz": A.nnz, "errors": errors, "reference": REFERENCE.get((problem, rows))}


def _error(A: Any, seed: int, params: str) -> float | None:
    F = pympf.factorize(A, core_size=CORE, seed=seed, **problems.PARAMS[params])
    # A larger core would flatter it.
    return F.error(A) if F.core_size == CORE else None


def render(rows: list[tables.Row]) -> str:
    header = ("problem", "rows", "reference", *problems.PARAMS)
    lines = [
        [
            row["problem"],
            row["rows"],
            row["reference"],
            *(_summary(row["errors"][params]) for params in problems.PARAMS),
        ]
        for row in rows
    ]
    return tables.markdown(header, lines)


def _summary(errors: list[float | None]) -> str:
    reached = [error for error in errors if error is not None]
    if len(reached) < len(errors):
        return "core not reached"
    return f"{statistics.mean(reached):.3f} ({min(reached):.3f}–{max(reached):.3f})"
