"""The unit costs by which `auto` chooses (`cpp/pympf/precond/choice/unit_costs.hpp`), measured: the
setup and a step of each method in products with A, one core, processor time, on the families of the
suite and on the finite elements of the case `honest`, which are cut into two halves.

What is fitted, by medians in logarithms, with k entries per row and nnz in all:

    a method      entry + row / k + fixed / nnz
    a direct one  setup  (order nnz + row n + entry |L| + work w + fixed) / nnz
                  step   (row n + entry |L| + fixed) / nnz

w: the squares of the lengths of the columns of L. The first table says how well a half is fitted.
The second has what a choice by these numbers alone would take, over the best of our methods, if the
iterations were known (CHOLMOD for `direct`): by the numbers as shipped, by those fitted on the same
half and, held out, by those of the other one. The last has the numbers.
"""

import itertools
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import families
import measure
import numpy as np
import tables
from scipy.optimize import lsq_linear

import pympf
from pympf import _float64
from pympf.la import Matrix

TITLE = "Unit costs of the choice, in products with A"

SIZES = (1_000, 3_000, 10_000, 30_000)
METHODS = ("jacobi", "ict", "multilevel")
BACKENDS = ("cholmod", "mumps", "superlu")
LEAST_STEPS = 4  # of which a step is measured
MOST_ITERATIONS, NEVER = 300, 1e5  # which takes so many products in a choice
HALVES = ("all", "even", "odd")
LEAST_SYSTEMS = 6  # for a fit
PARTS = {"jacobi": "diagonal", "ict": "factor", "multilevel": "levels"}
SURE = 0.8  # of the break-even up to which the diagonal is taken at a look (choice/facts.cpp)
LEASTS = (2, 4, 6, 8, 10, 12, 16)
PARTS_OF_DIAGONAL = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8)
LEVELS = ("levels_steps", "node_levels_steps", "poor_levels_steps")


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

        member, names = elements.member(system, rows), list(elements.ELEMENTS)
    A = member.A
    product_s = measure.spmv_s(A, np.ones(A.shape[0]), clock=time.process_time)
    given = {"near_nullspace": member.near_nullspace, "block_size": member.block_size}
    costs = {}
    for method in METHODS if member.definite else ():
        known = given if method == "multilevel" else {}
        costs[method] = _cost(member, product_s, preconditioner=method, **known)
    for backend in pympf._core.factor_backends()["definite" if member.definite else "symmetric"]:
        try:
            costs[backend] = _cost(
                member, product_s, preconditioner="direct", factor_backend=backend
            )
        except (ValueError, MemoryError):
            continue
    return {
        "unknowns": A.shape[0],
        "nnz": int(A.nnz),
        "half": "even" if names.index(system) % 2 == 0 else "odd",
        "product_s": product_s,
        "levels": _kind_of_levels(pympf.solve(A, member.b, **given).plan),
        "costs": costs,
    }


def _kind_of_levels(plan: Any) -> str:
    """The number by which the choice predicts the iterations with levels; "" where it did not."""
    known = _float64.unit_costs()
    steps = [offer.steps for offer in plan.offers if offer.method == "multilevel"]
    return next((name for name in LEVELS if known[name] in steps), "")


def _cost(member: Any, product_s: float, **given: Any) -> dict[str, Any]:
    """Setup and step of a solve in products, the medians of some runs, and what a factor has."""
    A = Matrix(member.A)
    assert A.is_symmetric  # which is found once, and not by what is measured
    setups, solves = [], []
    while not setups or (len(setups) < 5 and sum(setups) + sum(solves) < 1):
        start = time.process_time()
        found = pympf.solve(A, member.b, maxiter=MOST_ITERATIONS, **given)
        seconds = time.process_time() - start
        setups.append(seconds * found.setup_s / (found.setup_s + found.solve_s))
        solves.append(seconds - setups[-1])
    setup, solve = statistics.median(setups) / product_s, statistics.median(solves) / product_s
    line = {"setup": setup, "step": solve / max(1, found.iterations), "steps": found.iterations}
    if given["preconditioner"] == "direct":
        M = pympf.as_preconditioner(A, method="direct", factor_backend=given["factor_backend"])
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
    """Fit a cost; and the median of the quotients of it and what was measured."""
    fitting = [row for row in rows if _suits(row, name)]
    names, _ = _columns(fitting[0], name, what)
    X = np.array([_columns(row, name, what)[1] for row in fitting])
    y = np.array([row["costs"][name][what] for row in fitting])
    found, gap = _in_logarithms(X, y)
    return dict(zip(names, map(float, found), strict=True)), gap


def _in_logarithms(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Find costs, none negative, for small |log(X costs / y)|; and its median as a quotient."""
    weight = 1 / y
    found = np.zeros(X.shape[1])
    for _ in range(30):
        found = lsq_linear(X * weight[:, None], y * weight, (0, np.inf)).x
        told = np.maximum(X @ found, 1e-12)
        gap = np.abs(np.log(told / y))
        weight = 1 / np.sqrt(told * y * np.maximum(gap, 0.05))
    return found, float(np.exp(np.median(gap)))


def fitted(rows: list[tables.Row]) -> dict[str, float]:
    """Give the numbers of the choice that these systems tell, by the names that it has for them."""
    numbers = {}
    for name in (*METHODS, *BACKENDS):
        for what in ("setup", "step"):
            if sum(_suits(row, name) for row in rows) < LEAST_SYSTEMS:
                continue
            costs, _ = fit(rows, name, what)
            numbers |= {_before(name, what) + part: cost for part, cost in costs.items()}
    for name in LEVELS:
        told = [row["costs"].get("multilevel") for row in rows if row["levels"] == name]
        steps = [cost["steps"] for cost in told if cost and cost["steps"] < MOST_ITERATIONS]
        if steps:
            numbers[name] = statistics.fmean(steps)  # as the mean of the totals is what counts
    return numbers | _factor_iterations(rows, _float64.unit_costs() | numbers)


def _factor_iterations(rows: list[tables.Row], numbers: dict[str, float]) -> dict[str, float]:
    """Iterations with the incomplete factor by those with the diagonal.

    They decide for how long the diagonal goes on, and to leave it too early costs more than to
    stay: so the least regret is looked for, and of like ones what predicts the iterations best.
    """
    both = [row for row in rows if set(METHODS) <= set(row["costs"])]
    if len(both) < LEAST_SYSTEMS:
        return {}

    def badness(least_and_part: tuple[float, float]) -> float:
        least, part = least_and_part
        logarithms = []
        for row in both:
            diagonal, factor = (row["costs"][name]["steps"] for name in METHODS[:2])
            told = least + part * diagonal
            regret = _regret_of_diagonal(row, numbers, told)
            logarithms.append(math.log(regret) + 0.01 * abs(math.log(told / factor)))
        return statistics.fmean(logarithms)

    least, part = min(itertools.product(LEASTS, PARTS_OF_DIAGONAL), key=badness)
    return {"factor_least": least, "factor_part": part}


def _regret_of_diagonal(row: tables.Row, numbers: dict[str, float], factor: float) -> float:
    """Where the diagonal is left a probe of the factor will tell which of the others is better."""
    steps = {name: row["costs"][name]["steps"] for name in METHODS}
    told = {"ict": factor, "multilevel": numbers.get(row["levels"], steps["multilevel"])}

    def total(name: str, count: float, cost: Callable[[str, str], float]) -> float:
        over = count >= MOST_ITERATIONS
        return NEVER if over else cost(name, "setup") + count * cost(name, "step")

    taken = {n: total(n, steps[n], lambda m, what: row["costs"][m][what]) for n in METHODS}
    if min(taken.values()) == NEVER:
        return 1.0
    diagonal, *others = (
        total(n, count, lambda m, what: _told(row, m, what, numbers))
        for n, count in (steps | told).items()
    )
    stays = diagonal <= SURE * min(others) and taken["jacobi"] < NEVER
    time = taken["jacobi"] if stays else min(taken["ict"], taken["multilevel"])
    return time / min(taken.values())


def render(rows: list[tables.Row]) -> str:
    shipped = _float64.unit_costs()
    halves = [[row for row in rows if half in ("all", row["half"])] for half in HALVES]
    found = [fitted(part) for part in halves]
    lines = [[name, shipped[name], *(one.get(name) for one in found)] for name in shipped]
    header = ("number", "shipped", "fitted on all", "on the even half", "on the odd half")
    numbers = tables.markdown(header, lines)
    return "\n\n".join([_errors(halves), _regrets(halves[1:], found[1:]), numbers])


def _errors(halves: list[list[tables.Row]]) -> str:
    lines = []
    for name in (*METHODS, *BACKENDS):
        for what in ("setup", "step"):
            if all(sum(_suits(row, name) for row in part) >= LEAST_SYSTEMS for part in halves):
                lines.append([name, what, *(fit(part, name, what)[1] for part in halves)])
    header = ("method", "cost", *(f"median quotient, {half}" for half in HALVES))
    return tables.markdown(header, lines)


def _regrets(halves: list[list[tables.Row]], found: list[dict[str, float]]) -> str:
    lines: list[list[Any]] = []
    for i, rows in enumerate(halves):
        line: list[Any] = [HALVES[1 + i], len(rows)]
        for costs in ({}, found[i], found[1 - i]):
            known = _float64.unit_costs() | costs
            regrets = [r for row in rows if (r := _regret(row, known)) is not None]
            line += [statistics.geometric_mean(regrets), max(regrets)] if regrets else [None, None]
        lines.append(line)
    header = ("half", "systems", "shipped", "worst", "fitted on it", "worst ", "held out")
    return tables.markdown((*header, "worst  "), lines)


def _regret(row: tables.Row, numbers: dict[str, float]) -> float | None:
    """What the method of the least predicted total takes, over the least; by known iterations."""
    offers = [name for name in (*METHODS, "cholmod") if name in row["costs"]]
    offers = [name for name in offers if row["costs"][name]["steps"] < MOST_ITERATIONS]
    if len(offers) < 2:
        return None

    def total(name: str, cost: Callable[[str, str], float]) -> float:
        steps = row["costs"][name]["steps"] if name in METHODS else 1
        return cost(name, "setup") + steps * cost(name, "step")

    taken = {name: total(name, lambda n, what: row["costs"][n][what]) for name in offers}
    told = {name: total(name, lambda n, what: _told(row, n, what, numbers)) for name in offers}
    return taken[min(told, key=lambda name: told[name])] / min(taken.values())


def _told(row: tables.Row, name: str, what: str, numbers: dict[str, float]) -> float:
    parts = zip(*_columns(row, name, what), strict=True)
    return sum(numbers[_before(name, what) + part] * times for part, times in parts)


def _before(name: str, what: str) -> str:
    """What the choice writes before the parts of a cost."""
    if name in METHODS:
        return f"{PARTS[name]}_{what}."
    return f"{name}." if what == "setup" else f"{name}.step_"
