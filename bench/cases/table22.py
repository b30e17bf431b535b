"""Table 2.2's experiment on the symmetric matrices of the collection of 1000 rows and more:
GMRES(30) to 10⁻⁹ in at most 500 iterations, b = A x with a random x, the residual b − Ax. "wins" is
how often a preconditioner takes fewer iterations than none, or than Jacobi; neither wins where
neither gets there. "classic" is the thesis's QᵀH⁻¹Q with our defaults, "ours"
`pympf.as_preconditioner(A)`. The thesis had 493 matrices of 8192 rows and more; its column is of
groups of the same name.
"""

import csv
from typing import Any

import measure
import problems
import tables

import pympf
from pympf import io

TITLE = "Table 2.2: wins of MMF, group by group"

COLLECTION = measure.ROOT.parent / "shared/data/matrices"
OWN = ("494_bus", "bcsstk01", "gr_30_30")  # in `data/`
NAMES = ("none", "jacobi", "classic", "ours")
THESIS = {"JGD_Trefethen": 100, "DIMACS10": 100, "HB": 100, "Pothen": 100}
THESIS |= {"AG-Monien": 85.7, "GHS_indef": 80, "GHS_psdef": 69.2}


def points(tiny: bool) -> list[dict[str, Any]]:
    if tiny or not COLLECTION.is_dir():
        return [{"matrix": name, "group": "data"} for name in OWN]
    with open(COLLECTION / "MANIFEST.csv") as lines:
        rows = [r for r in csv.DictReader(lines) if r["symmetric"] == "yes"]
    return [
        {"matrix": r["name"], "group": r["suitesparse_name"].partition("/")[0] or "others"}
        for r in rows
        if int(r["rows"]) >= 1000
    ]


def run(matrix: str, group: str) -> dict[str, Any]:
    pympf.set_num_threads(1)
    folder = measure.ROOT / "data" if group == "data" else COLLECTION
    A = io.read_matrix(next(folder.rglob(f"{matrix}.mtx.gz")))
    b = A @ problems.random_vector(A.shape[0])
    return {"rows": A.shape[0], "nnz": A.nnz} | {name: _iterations(A, b, name) for name in NAMES}


def _iterations(A: Any, b: Any, name: str) -> int | None:
    M = "mmf" if name == "ours" else name
    options = {"method": "gmres", "restart": 30, "rtol": 1e-9, "maxiter": 500}
    solution = pympf.solve(A, b, preconditioner=M, **options)
    return solution.iterations if solution.converged else None


# ---- the page ------------------------------------------------------------------------------------


def render(rows: list[tables.Row]) -> str:
    return f"{_groups(rows)}\n\nAll matrices, iterations:\n\n{_matrices(rows)}"


def _groups(rows: list[tables.Row]) -> str:
    versus = [(ours, other) for ours in NAMES[2:] for other in NAMES[:2]]
    groups = sorted(tables.values(rows, "group"))
    parts = [(group, tables.only(rows, group=group)) for group in groups] + [("all", rows)]
    lines = [
        [group, len(own), *(_wins(own, *pair) for pair in versus), THESIS.get(group)]
        for group, own in parts
    ]
    solved = ["solved", len(rows), *(f"{_solved(rows, pair[0])} of {len(rows)}" for pair in versus)]
    header = ["group", "matrices", *(f"{ours} wins over {other}, %" for ours, other in versus)]
    return tables.markdown([*header, "thesis, over none, %"], [*lines, [*solved, None]])


def _solved(rows: list[tables.Row], name: str) -> int:
    return sum(row[name] is not None for row in rows)


def _wins(rows: list[tables.Row], ours: str, other: str) -> float:
    won = [_or_infinite(row[ours]) < _or_infinite(row[other]) for row in rows]
    return 100 * sum(won) / len(won)


def _or_infinite(iterations: int | None) -> float:
    return float("inf") if iterations is None else iterations


def _matrices(rows: list[tables.Row]) -> str:
    lines = [
        [
            row["matrix"],
            row["group"],
            row["rows"],
            row["nnz"],
            *(_count(row[name]) for name in NAMES),
        ]
        for row in rows
    ]
    return tables.markdown(("matrix", "group", "rows", "nnz", *NAMES), lines)


def _count(iterations: int | None) -> str:
    return "×" if iterations is None else str(iterations)
