"""Seconds of the processor on systems that nobody tuned for: 35 finite-element systems assembled by
scikit-fem (`bench/elements.py`), with the right-hand sides of the problems, on one core, to a true
relative residual of 10⁻⁸. Needs scikit-fem; a peer that is not installed is left out.

"regret" is the time of `pympf.solve` over the best of our own methods on that system (`jacobi`,
`ict`, `multilevel`, `direct`); "ratio" over the best peer: PETSc's CG with Jacobi, ICC, GAMG and
BoomerAMG (MINRES with Jacobi where the matrix is indefinite), MUMPS, PyAMG, PARDISO and CHOLMOD.
The unit costs of the choice (`cpp/pympf/precond/choice/unit_costs.hpp`) come from systems of both
halves, so no half is held out; the means of the halves are given apart. Times are medians of three
where one takes less than 2 s; at most 10 000 iterations, and 60 s for everything.
"""

import math
import statistics
from typing import Any

import solvers
import tables

from pympf.comparison._ours import by
from pympf.comparison.registry import SOLVERS, installed

TITLE = "Honest suite: finite elements that nobody tuned for"

SIZES = (10_000, 100_000)
LIMIT_S = 60
OWN = {name: by(name) for name in ("jacobi", "ict", "multilevel", "direct")}


def points(tiny: bool) -> list[dict[str, Any]]:
    if tiny:
        return [{"system": "Q1 quads", "rows": 900, "threads": 1}]
    import elements  # which needs scikit-fem

    return [
        {"system": name, "rows": rows, "threads": 1} for rows in SIZES for name in elements.ELEMENTS
    ]


PARDISO, CHOLMOD = "PARDISO LDLT", "CHOLMOD"
PEERS = (*solvers.PEERS, PARDISO, CHOLMOD)


def run(threads: int, system: str, rows: int) -> dict[str, Any]:
    import elements

    member = elements.system(system, rows)
    names = [name for name in solvers.suitable(member) if name not in solvers.OURS[1:]]
    more = [one for one in (SOLVERS[PARDISO], SOLVERS[CHOLMOD]) if one.suits(member)]
    known = {name: solvers.SOLVERS[name] for name in names} | OWN
    known |= {one.name: one.prepare for one in more if installed(one)}
    return {
        "unknowns": member.A.shape[0],
        "nnz": int(member.A.nnz),
        "half": elements.half(system),
        "solvers": {name: solvers.run(name, member, LIMIT_S, known[name]) for name in known},
    }


# ---- what the table says -------------------------------------------------------------------------


def _best(row: tables.Row, names: Any) -> tuple[float, str] | None:
    found = row["solvers"]
    times = [(found[n]["total_s"], n) for n in names if n in found and "failure" not in found[n]]
    return min(times, default=None)


def _over(row: tables.Row, names: Any) -> float | None:
    ours, best = _best(row, [solvers.PYMPF]), _best(row, names)
    return ours[0] / best[0] if ours and best else None


def _ratio(row: tables.Row) -> float | None:
    return _over(row, PEERS)


def _regret(row: tables.Row) -> float | None:
    return _over(row, OWN)


def _mean(values: list[float]) -> float | None:
    return math.exp(statistics.fmean(map(math.log, values))) if values else None


def _summary(rows: list[tables.Row]) -> str:
    lines = []
    for size in sorted({row["rows"] for row in rows}):
        for half in ("even", "odd", "all"):
            part = [row for row in rows if row["rows"] == size and half in (row["half"], "all")]
            ratios = [r for row in part if (r := _ratio(row)) is not None]
            regrets = [r for row in part if (r := _regret(row)) is not None]
            unsolved = sum(_best(row, [solvers.PYMPF]) is None for row in part)
            lines.append(
                [
                    *(size, half, len(part), unsolved),
                    *(_mean(ratios), max(ratios, default=None)),
                    *(_mean(regrets), max(regrets, default=None)),
                ]
            )
    header = ("rows", "half", "systems", "unsolved", "ratio, mean", "worst")
    return tables.markdown((*header, "regret, mean", "worst "), lines)


def _line(row: tables.Row) -> list[Any]:
    ours = row["solvers"][solvers.PYMPF]
    own, peer = _best(row, OWN), _best(row, PEERS)
    return [
        row["system"],
        row["half"],
        row["unknowns"],
        ours.get("failure") or tables.milli(ours["total_s"]),
        own and f"{own[1]} {tables.text(tables.milli(own[0]))}",
        peer and f"{peer[1]} {tables.text(tables.milli(peer[0]))}",
        _regret(row),
        _ratio(row),
        ours.get("choice", "")[:60],
    ]


def render(rows: list[tables.Row]) -> str:
    header = ("system", "half", "unknowns", "pympf, ms", "best of ours, ms", "best peer, ms")
    lines = [_line(row) for row in rows]
    return f"{_summary(rows)}\n\n" + tables.markdown((*header, "regret", "ratio", "choice"), lines)
