"""Seconds of the processor on systems that nobody tuned for: 35 finite-element systems assembled by
scikit-fem (`bench/elements.py`), with the right-hand sides of the problems, on one core, to a true
relative residual of 10⁻⁸. Needs scikit-fem; a peer that is not installed is left out.

"regret" is the time of `pympf.solve` over the best of our own methods on that system (`jacobi`,
`ict`, `multilevel`, `direct`); "ratio" over the best peer: PETSc's CG with Jacobi, ICC, GAMG and
BoomerAMG (MINRES with Jacobi where the matrix is indefinite), MUMPS, PyAMG, PARDISO and CHOLMOD.
Both are **held out**: the unit costs and predicted iterations of the choice are fitted to one half
of the systems of the case `unit_costs`, smaller ones of the same kinds among them, and here they
choose for the other half; both ways. "as shipped" is the choice by the numbers of
`cpp/pympf/precond/choice/unit_costs.hpp`, for which both halves were seen. Times are medians of
three to fifteen runs where one takes less than 2 s; at most 10 000 iterations, and 60 s for
everything. On two cores, by the clock on the wall, PETSc's solvers have two MPI ranks, all others
two threads.
"""

import math
import statistics
from typing import Any

import measure
import solvers
import tables

from cases import unit_costs
from pympf import _float64
from pympf.comparison._ours import by
from pympf.comparison.registry import SOLVERS, installed
from pympf.comparison.solver import Prepare, Setup
from pympf.comparison.system import System

TITLE = "Honest suite: finite elements that nobody tuned for"

SIZES = (1_000, 3_000, 10_000, 100_000)
ON_TWO_CORES = 10_000
LIMIT_S = 60
# All runs of a solver may take so many times what the best before it took, and this in any case.
MOST_TIMES, LEAST_LIMIT_S = 15, 10

HELD_OUT, SHIPPED = solvers.PYMPF, f"{solvers.PYMPF} as shipped"
OWN = {name: by(name) for name in ("jacobi", "ict", "multilevel", "direct")}
PARDISO, CHOLMOD = "PARDISO LDLT", "CHOLMOD"
PEERS = (*solvers.PEERS, PARDISO, CHOLMOD)
ON_RANKS = tuple(name for name in solvers.PEERS if name != solvers.PYAMG)  # PETSc's
SIDES = ("peers", "ours")


def points(tiny: bool) -> list[dict[str, Any]]:
    if tiny:
        return [_point("Q1 quads", 900, side) for side in SIDES]
    import elements  # which needs scikit-fem

    kinds = [(rows, 1) for rows in SIZES] + [(ON_TWO_CORES, 2)]
    return [
        _point(name, rows, side, threads)
        for rows, threads in kinds
        for name in elements.ELEMENTS
        for side in SIDES
    ]


def _point(system: str, rows: int, side: str, threads: int = 1) -> dict[str, Any]:
    return {"system": system, "rows": rows, "threads": threads, "side": side}


def run(threads: int, system: str, rows: int, side: str) -> dict[str, Any]:
    import elements

    member = elements.member(system, rows)
    found: dict[str, Any] = {}
    known = _peers(member) if side == "peers" else _ours(elements.half(system))
    for name, solver in known.items():
        best = min((one["total_s"] for one in found.values() if "failure" not in one), default=None)
        limit_s = LIMIT_S if best is None else max(LEAST_LIMIT_S, MOST_TIMES * best)
        if threads > 1 and name in ON_RANKS:
            point = {"system": system, "rows": rows}
            found[name] = solvers.on_ranks(name, threads, LIMIT_S, "elements", point)
        else:
            found[name] = solvers.run(name, member, min(limit_s, LIMIT_S), solver)
    return {
        "unknowns": member.A.shape[0],
        "nnz": int(member.A.nnz),
        "half": elements.half(system),
        "solvers": found,
    }


def _peers(member: System) -> dict[str, Prepare]:
    more = [one for one in (SOLVERS[CHOLMOD], SOLVERS[PARDISO]) if one.suits(member)]
    names = [name for name in solvers.suitable(member) if name not in solvers.OURS]
    return {one.name: one.prepare for one in more if installed(one)} | {
        name: solvers.SOLVERS[name] for name in names
    }


def _ours(half: str) -> dict[str, Prepare]:
    _, rows = measure.results(measure.ROOT / "bench/results/unit_costs.jsonl")
    others = unit_costs.fitted([row for row in rows if row["half"] != half])
    return {HELD_OUT: _chosen_by(others), SHIPPED: by("mmf")} | OWN


def _chosen_by(costs: dict[str, float]) -> Prepare:
    """Set the numbers of the choice first, in the process that `solvers.run` makes."""

    def prepare(system: System) -> Setup:
        _float64.unit_costs(costs)
        return by("mmf")(system)

    return prepare


# ---- what the table says -------------------------------------------------------------------------


def _merged(rows: list[tables.Row]) -> list[tables.Row]:
    """One row of the two sides of a system."""
    found: dict[Any, tables.Row] = {}
    for row in rows:
        key = (row["system"], row["rows"], row["threads"])
        before = found.get(key, {}).get("solvers", {})
        found[key] = row | {"solvers": before | row["solvers"]}
    return list(found.values())


def _best(row: tables.Row, names: Any) -> tuple[float, str] | None:
    found, clock = row["solvers"], "total_s" if row["threads"] == 1 else "wall_s"
    times = [(found[n][clock], n) for n in names if n in found and "failure" not in found[n]]
    return min(times, default=None)


def _over(row: tables.Row, names: Any, ours: str = HELD_OUT) -> float | None:
    own, best = _best(row, [ours]), _best(row, names)
    return own[0] / best[0] if own and best else None


def _mean(values: list[float]) -> float | None:
    return math.exp(statistics.fmean(map(math.log, values))) if values else None


def _summary(rows: list[tables.Row]) -> str:
    lines: list[list[Any]] = []
    for rows_, threads in dict.fromkeys((row["rows"], row["threads"]) for row in rows):
        for half in ("even", "odd", "all"):
            part = tables.only(rows, rows=rows_, threads=threads)
            part = [row for row in part if half in (row["half"], "all")]
            line = [rows_, threads, half, len(part)]
            for ours in (HELD_OUT, SHIPPED):
                for names in (PEERS, OWN):
                    over = [r for row in part if (r := _over(row, names, ours)) is not None]
                    line += [len(over), _mean(over), max(over, default=None)][names is OWN :]
            lines.append(line)
    figures = ("solved by both", "ratio", "worst", "regret", "worst regret")
    header = ("rows", "cores", "half", "systems", *figures, *(f"{f}, as shipped" for f in figures))
    return tables.markdown(header, lines)


def _line(row: tables.Row) -> list[Any]:
    ours = row["solvers"].get(HELD_OUT, {"failure": "not measured"})
    own, held, peer = _best(row, OWN), _best(row, [HELD_OUT]), _best(row, PEERS)
    return [
        row["system"],
        row["half"],
        row["unknowns"],
        row["threads"],
        tables.milli(held[0]) if held else ours.get("failure"),
        own and f"{own[1]} {tables.text(tables.milli(own[0]))}",
        peer and f"{peer[1]} {tables.text(tables.milli(peer[0]))}",
        _over(row, OWN),
        _over(row, PEERS),
        ours.get("choice", "")[:60],
    ]


def render(rows: list[tables.Row]) -> str:
    header = ("system", "half", "unknowns", "cores", "pympf, ms", "best of ours, ms")
    more = ("best peer, ms", "regret", "ratio", "choice")
    merged = _merged(rows)
    lines = [_line(row) for row in merged]
    return f"{_summary(merged)}\n\n" + tables.markdown((*header, *more), lines)
