"""`pympf.compare` on ten matrices of ten kinds: what it advises, and what that costs when the
solvers are timed again.

Each solver that is installed runs on one core in a process of its own; seconds are those of the
processor, setup and one solve, medians of three runs after one to warm up. Nothing is said of the
matrix but its entries. b = A x for a random x; graphs are Laplacians, singular, with a random b in
the range. After the comparison, every solver that took at most three times as long as the advised
one is timed again. "again" is the time of the advised one then over that of the fastest one then:
1 where the advice holds, and at most 1.2 is the bar. "ours" is `pympf.solve(A, b)` by its own plan
over the fastest one. "unsolved" counts those that ran and did not reach a residual of 10⁻⁸ (out of
time, refused, or wrong).
"""

from pathlib import Path
from typing import Any

import families
import measure
import tables

import pympf
from pympf import io
from pympf.comparison import Comparison

TITLE = "Which solver: the advice of `pympf compare`"

BAR = 1.2
AGAIN = 3.0  # times the advised one: who is timed again
LIMIT_S = 60.0
GENERAL = "general"
MATRICES = {
    "pde/wathen100": (families.DEFINITE, "finite elements, mass"),
    "structural/bcsstk16": (families.DEFINITE, "dam, stiffness"),
    "power/1138_bus": (families.DEFINITE, "power network"),
    "other/Trefethen_20000": (families.DEFINITE, "primes and powers of two"),
    "graph/crack": (families.LAPLACIAN, "mesh, Laplacian"),
    "graph/as-caida20070917": (families.LAPLACIAN, "internet, Laplacian"),
    "indefinite/stokes64": (families.INDEFINITE, "saddle point"),
    "indefinite/lowThrust_3": (families.INDEFINITE, "optimal control"),
    "circuit/G2_circuit": (families.DEFINITE, "circuit"),
    "asym/sherman3": (GENERAL, "oil reservoir, not symmetric"),
}


def points(tiny: bool) -> list[dict[str, Any]]:
    if tiny:
        small = measure.from_root(measure.ROOT / "data/gr_30_30.mtx.gz")
        some = {"solvers": ["pympf ict", "SciPy splu"]}
        return [{"file": small, "variant": families.DEFINITE, "kind": "grid", "threads": 1, **some}]
    if not families.COLLECTION.is_dir():
        return []
    return [
        {
            "file": measure.from_root(families.COLLECTION / f"{name}.mtx.gz"),
            "variant": variant,
            "kind": kind,
            "threads": 1,
        }
        for name, (variant, kind) in MATRICES.items()
    ]


def run(
    file: str, variant: str, kind: str, threads: int, solvers: list[str] | None = None
) -> dict[str, Any]:
    A, b = _system(file, variant)
    options = {"threads": threads, "clock": "processor", "limit_s": LIMIT_S, "runs": 3}
    first = pympf.compare(A, b, solvers=solvers, **options)
    row = {"matrix": first.matrix, "trials": _trials(first), "advice": first.advice}
    if first.advised is None:
        return row
    advised = first.advised
    near = [t.solver for t in first if t.solved and t.total_s <= AGAIN * advised.total_s]
    again = pympf.compare(A, b, solvers=near, **options)
    times = {t.solver: t.total_s for t in again if t.solved}
    fastest = min(times, key=lambda name: times[name])
    return row | {
        "advised": advised.solver,
        "again_s": times,
        "fastest_again": fastest,
        "ratio_again": times[advised.solver] / times[fastest],
    }


def _system(file: str, variant: str) -> tuple[Any, Any]:
    if variant == GENERAL:
        return io.read_matrix(measure.ROOT / file), None
    system = families.stored(file, variant)
    return system.A, system.b


def _trials(comparison: Comparison) -> list[dict[str, Any]]:
    kept = ("solver", "verdict", "detail", "setup_s", "solve_s", "total_s", "iterations")
    kept += ("true_residual", "memory_bytes", "runs", "choice")
    finite = [t for t in comparison if t.verdict != "not suited"]
    found = [{name: getattr(trial, name) for name in kept} for trial in finite]
    for trial in found:
        if trial["true_residual"] == float("inf"):
            trial["true_residual"] = None
    return found


def render(rows: list[tables.Row]) -> str:
    header = ("matrix", "kind", "rows", "advised", "ms", "again", "ours", "ran", "unsolved")
    ratios = [row["ratio_again"] for row in rows if "ratio_again" in row]
    kept = sum(ratio <= BAR for ratio in ratios)
    lines = [_line(row) for row in rows]
    end = f"The advice is within {BAR} of the fastest one, timed again, on {kept} of {len(rows)}."
    return f"{tables.markdown(header, lines)}\n\n{end}"


def _line(row: tables.Row) -> list[Any]:
    trials = {trial["solver"]: trial for trial in row["trials"]}
    ran = [t for t in trials.values() if t["verdict"] != "not installed"]
    solved = [t for t in ran if t["verdict"] in ("fastest", "converged")]
    ours = trials.get("pympf")
    own = None
    if ours is not None:
        own = ours["total_s"] / solved[0]["total_s"] if ours in solved else ours["verdict"]
    advised = row.get("advised")
    return [
        Path(row["file"]).name.removesuffix(".mtx.gz"),
        row["kind"],
        row["matrix"]["rows"],
        advised,
        tables.milli(trials[advised]["total_s"]) if advised else None,
        row.get("ratio_again"),
        own,
        len(ran),
        len(ran) - len(solved),
    ]
