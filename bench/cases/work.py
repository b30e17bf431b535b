"""Setup and solution by the hierarchy (`method="multilevel"`, CG to a true relative residual of
10⁻⁸, random right-hand side) in products with A, on one thread: the median time of each over that
of a product in the same process.

"bar" are the iterations that the prototype of the design needed, and 2; "of the prototype" is its
total in work units, multiply-adds over those of a product. Time is no count of multiply-adds: a
product with A goes through memory in order, as few parts of a setup can. "M, counted" are the
multiply-adds of an application of M by its levels (smoothing from zero and after the correction,
two residuals, the prolongation twice) over those of a product; "M / counted" says how much longer
it takes than products with as many.
"""

import statistics
import time
from typing import Any

import families
import measure
import tables

import pympf

TITLE = "The hierarchy in products with A"

# Family, rows, and the iterations and work units of the prototype where they were measured.
SYSTEMS = [
    ("2-D Poisson", 128**2, 5, 92),
    ("2-D Poisson", 256**2, 6, 92),
    ("2-D Poisson", 500**2, 7, 92),
    ("2-D Poisson", 1000**2, 6, 92),
    ("3-D Poisson", 16**3, 6, 111),
    ("3-D Poisson", 32**3, 7, 111),
    ("3-D Poisson", 63**3, 7, 111),
    ("3-D Poisson", 100**3, 7, 111),
    ("rotated anisotropy", 128**2, 6, 58),
    ("rotated anisotropy", 256**2, 6, 58),
    ("rotated anisotropy", 512**2, 5, 58),
    ("aligned anisotropy", 512**2, 6, 85),
    ("inclusions", 512**2, 7, 94),
    ("Disc", 512**2, 7, 92),
    ("lognormal", 512**2, 9, 120),
    ("random weights", 512**2, 9, 119),
    ("3-D jumps", 64**3, 9, 111),
    (families.ELASTICITY, 2 * 256**2, 13, 114),
    ("Delaunay", 200_000, 7, 106),
    ("random geometric graph", 300_000, 11, 100),
]
MORE = 2  # iterations


def points(tiny: bool) -> list[dict[str, Any]]:
    systems = [("2-D Poisson", 400, 5, 92)] if tiny else SYSTEMS
    return [
        {"family": family, "rows": rows, "bar": iterations + MORE, "work": work, "threads": 1}
        for family, rows, iterations, work in systems
    ]


def run(family: str, rows: int, bar: int, work: int, threads: int) -> dict[str, Any]:
    system = families.generated(family, rows)
    A, b = system.A, system.b
    known = {"near_nullspace": system.near_nullspace, "block_size": system.block_size}

    def setup() -> pympf.Preconditioner:
        return pympf.as_preconditioner(A, method="multilevel", **known)

    M = setup()
    found = pympf.solve(A, b, preconditioner=M, rtol=1e-8)
    return {
        "unknowns": A.shape[0],
        "nnz": A.nnz,
        "iterations": found.iterations,
        "true_residual": found.true_residual,
        "setup_s": _median_s(setup),
        "solve_s": _median_s(lambda: pympf.solve(A, b, preconditioner=M, rtol=1e-8)),
        "apply_s": measure.median_s(lambda: M.apply(b)),
        "spmv_s": measure.spmv_s(A, b),
        "apply_work": _apply_work(M, A.nnz),
        "operator_complexity": M.report().operator_complexity,
    }


def _median_s(call: Any, samples: int = 5) -> float:
    times = []
    for _ in range(samples):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return statistics.median(times)


def _apply_work(M: pympf.Preconditioner, nnz: int) -> float:
    work = 0.0
    for level in M.report().levels:
        work += (4 * level["factor"] + 2) * level["nnz"] + 2 * level["prolongation"] * level["rows"]
    return work / nnz


def render(rows: list[tables.Row]) -> str:
    header = ("system", "unknowns", "iterations", "bar", "setup", "solve", "total")
    header += ("of the prototype", "M, counted", "M / counted", "complexity")
    return tables.markdown(header, [_line(row) for row in rows])


def _line(row: tables.Row) -> list[Any]:
    setup, solve, apply = (row[f"{part}_s"] / row["spmv_s"] for part in ("setup", "solve", "apply"))
    line = [row["family"], row["unknowns"], row["iterations"], row["bar"], setup, solve]
    line += [setup + solve, row["work"], row["apply_work"], apply / row["apply_work"]]
    return [*line, row["operator_complexity"]]
