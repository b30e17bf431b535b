"""The unit costs by which `auto` chooses (`cpp/pympf/precond/choice/unit_costs.hpp`), measured: the
setup and an iteration of each method in products with A, on the families of the suite, one core,
processor time. The last table fits `entry` + `row` / k, k = entries per row, by medians in
logarithms; these are the numbers of that file.
"""

import statistics
import time
from typing import Any

import families
import measure
import numpy as np
import tables
from scipy.optimize import least_squares

import pympf

TITLE = "Unit costs of the choice, in products with A"

SIZES = (3_000, 10_000, 30_000)
METHODS = ("jacobi", "ict", "multilevel")
LEAST_STEPS = 4  # of which an iteration is measured


def points(tiny: bool) -> list[dict[str, Any]]:
    if tiny:
        return [{"family": "2-D Poisson", "rows": 900, "threads": 1}]
    definite = [name for name in families.FAMILIES if name not in families.WAVES]
    return [{"family": f, "rows": n, "threads": 1} for n in SIZES for f in definite]


def run(threads: int, family: str, rows: int) -> dict[str, Any]:
    system = families.generated(family, rows)
    product_s = measure.spmv_s(system.A, np.ones(system.A.shape[0]))
    known = {"near_nullspace": system.near_nullspace, "block_size": system.block_size}
    costs = {}
    for method in METHODS:
        given = known if method == "multilevel" else {}
        times = [_times(system, method, given) for _ in range(3)]
        setup, step = (statistics.median(t[i] for t in times) for i in (0, 1))
        costs[method] = {"setup": setup / product_s, "step": step / product_s, "steps": times[0][2]}
    entries = system.A.nnz / system.A.shape[0]
    return {"unknowns": system.A.shape[0], "entries": entries, "costs": costs}


def _times(system: Any, method: str, given: dict[str, Any]) -> tuple[float, float, int]:
    """Processor seconds of the setup and of an iteration, and the iterations."""
    start = time.process_time()
    found = pympf.solve(system.A, system.b, preconditioner=method, **given)
    total = time.process_time() - start
    part = found.setup_s / (found.setup_s + found.solve_s)
    return part * total, (1 - part) * total / max(1, found.iterations), found.iterations


def render(rows: list[tables.Row]) -> str:
    header = ("family", "unknowns", "entries per row")
    columns = [f"{m}: {what}" for m in METHODS for what in ("setup", "step", "steps")]
    lines = [
        [row["family"], row["unknowns"], row["entries"]]
        + [row["costs"][m][what] for m in METHODS for what in ("setup", "step", "steps")]
        for row in rows
    ]
    fits = [[m, what, *_fit(rows, m, what)] for m in METHODS for what in ("setup", "step")]
    fitted = tables.markdown(("method", "cost", "entry", "row"), fits)
    return f"{tables.markdown((*header, *columns), lines)}\n\n{fitted}"


def _fit(rows: list[tables.Row], method: str, what: str) -> tuple[float, float]:
    long = [row for row in rows if row["costs"][method]["steps"] >= LEAST_STEPS]
    if len(long) < 3:
        return (float("nan"),) * 2
    k = np.array([row["entries"] for row in long])
    cost = np.log([row["costs"][method][what] for row in long])

    def misfit(c: np.ndarray) -> np.ndarray:
        return np.log(np.maximum(c[0] + c[1] / k, 1e-3)) - cost

    found = least_squares(misfit, [np.exp(np.median(cost)), 1.0], loss="soft_l1")
    return tuple(map(float, found.x))
