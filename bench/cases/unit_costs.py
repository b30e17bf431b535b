"""The unit costs by which `auto` chooses (`cpp/pympf/precond/choice/unit_costs.hpp`), measured: the
setup and a step of each method in products with A, one core, processor time, on the families of the
suite and on the finite elements of the case `honest`, which are cut into two halves.

What is fitted, by medians in logarithms, with k entries per row and nnz in all:

    a method      entry + row / k + fixed / nnz
    a direct one  setup  (order nnz + row n + entry |L| + work w + fixed) / nnz
                  step   (row n + entry |L| + fixed) / nnz

w: the squares of the lengths of the columns of L. The last table has these numbers of all systems,
as that file has them, and of each half alone.
"""

import statistics
import time
from typing import Any

import families
import measure
import numpy as np
import tables
from scipy.optimize import lsq_linear

import pympf
from pympf.la import Matrix

TITLE = "Unit costs of the choice, in products with A"

SIZES = (1_000, 3_000, 10_000, 30_000)
METHODS = ("jacobi", "ict", "multilevel")
BACKENDS = ("cholmod", "mumps", "superlu")
LEAST_STEPS = 4  # of which a step is measured
MOST_ITERATIONS = 300
KINDS = ("families", "elements")


def points(tiny: bool) -> list[dict[str, Any]]:
    if tiny:
        return [{"system": "2-D Poisson", "kind": "families", "rows": 900, "threads": 1}]
    import elements  # which needs scikit-fem

    names = [("families", name) for name in families.FAMILIES]
    names += [("elements", name) for name in elements.ELEMENTS]
    return [
        {"system": name, "kind": kind, "rows": rows, "threads": 1}
        for rows in SIZES
        for kind, name in names
    ]


def run(threads: int, system: str, kind: str, rows: int) -> dict[str, Any]:
    if kind == "families":
        member, names = families.generated(system, rows), list(families.FAMILIES)
    else:
        import elements

        member, names = elements.system(system, rows), list(elements.ELEMENTS)
    A = member.A
    product_s = measure.spmv_s(A, np.ones(A.shape[0]))
    given = {"near_nullspace": member.near_nullspace, "block_size": member.block_size}
    costs = {}
    for method in METHODS if member.definite else ():
        costs[method] = _cost(member, product_s, method, given if method == "multilevel" else {})
    for backend in pympf._core.factor_backends()["definite" if member.definite else "symmetric"]:
        try:
            costs[backend] = _cost(member, product_s, "direct", {"factor_backend": backend})
        except (ValueError, MemoryError):
            continue
    return {
        "unknowns": A.shape[0],
        "nnz": int(A.nnz),
        "half": "even" if names.index(system) % 2 == 0 else "odd",
        "product_s": product_s,
        "costs": costs,
    }


def _cost(member: Any, product_s: float, method: str, given: dict[str, Any]) -> dict[str, Any]:
    """Setup and step in products, the medians of some runs, and what a factor has."""
    A = Matrix(member.A)
    assert A.is_symmetric  # which is found once, and not by what is measured
    setups, solves = [], []
    while not setups or (len(setups) < 5 and sum(setups) + sum(solves) < 1):
        start = time.process_time()
        M = pympf.as_preconditioner(A, method=method, **given)
        middle = time.process_time()
        found = pympf.solve(A, member.b, preconditioner=M, maxiter=MOST_ITERATIONS)
        setups.append(middle - start)
        solves.append(time.process_time() - middle)
    setup, solve = statistics.median(setups) / product_s, statistics.median(solves) / product_s
    line = {"setup": setup, "step": solve / max(1, found.iterations), "steps": found.iterations}
    if method == "direct":
        direct = M.report().as_dict()["direct"]
        stored = 2 if given["factor_backend"] == "superlu" else 1  # L and U
        line |= {"entries": direct["predicted"] / stored, "work": direct["flops"] / stored}
    return line


# ---- the fit -------------------------------------------------------------------------------------


def _columns(row: tables.Row, name: str, what: str) -> tuple[list[str], list[float]]:
    n, nnz, cost = row["unknowns"], row["nnz"], row["costs"][name]
    if name in METHODS:
        return ["entry", "row", "fixed"], [1, n / nnz, 1 / nnz]
    factor = [cost["entries"] / nnz, cost["work"] / nnz]
    if what == "setup":
        return ["order", "row", "entry", "work", "fixed"], [1, n / nnz, *factor, 1 / nnz]
    return ["row", "entry", "fixed"], [n / nnz, factor[0], 1 / nnz]


def _suits(row: tables.Row, name: str) -> bool:
    cost = row["costs"].get(name)
    if cost is None:
        return False
    return bool(cost.get("entries", 1)) if name in BACKENDS else cost["steps"] >= LEAST_STEPS


def fit(rows: list[tables.Row], name: str, what: str) -> tuple[dict[str, float], float]:
    """Fit a cost by relative errors, the larger ones weighed less; and their median."""
    fitting = [row for row in rows if _suits(row, name)]
    names, _ = _columns(fitting[0], name, what)
    X = np.array([_columns(row, name, what)[1] for row in fitting])
    y = np.array([row["costs"][name][what] for row in fitting])
    weight = 1 / y
    found = np.zeros(len(names))
    for _ in range(30):  # |log of the quotient| is what is made small, all costs positive
        found = lsq_linear(X * weight[:, None], y * weight, (0, np.inf)).x
        told = np.maximum(X @ found, 1e-12)
        gap = np.abs(np.log(told / y))
        weight = 1 / np.sqrt(told * y * np.maximum(gap, 0.05))
    return dict(zip(names, map(float, found), strict=True)), float(np.exp(np.median(gap)))


def render(rows: list[tables.Row]) -> str:
    lines = []
    names = [n for n in (*METHODS, *BACKENDS) if sum(_suits(row, n) for row in rows) > 5]
    for name in names:
        for what in ("setup", "step"):
            for half in ("all", "even", "odd"):
                part = [row for row in rows if half in ("all", row["half"])]
                costs, gap = fit(part, name, what)
                text = ", ".join(f"{k} {v:.4g}" for k, v in costs.items())
                lines.append([name, what, half, text, gap])
    header = ("method", "cost", "systems", "fit", "median quotient")
    return tables.markdown(header, lines)
