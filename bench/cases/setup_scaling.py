"""Wall time and memory of `pympf.factorize` (core 100) as the matrix grows. "thesis" has the
parameters of the thesis's Figure 2.4, "thesis, graph clusters" those but for the clustering.
"peak" is how much the process grew by at its height, without the matrix itself; "kept" is what the
factorization holds. Both include everything: the checks of the matrix, the engine, the result.
PyAMG's smoothed aggregation is there for scale: it is the setup that a user would otherwise wait
for.

The reference implementation needs 44 s and 2.0 GB for 65 536 rows, 377 s and 11.8 GB for 262 144
(2-D Poisson, thesis parameters, one core of the machine on which these figures were asked for).
"""

from typing import Any

import measure
import problems
import tables

import pympf
from pympf._memory import with_peak

TITLE = "Setup: seconds and bytes"

REFERENCE = {65_536: (44.0, 2.0e9), 262_144: (377.0, 11.8e9)}
PYAMG = "PyAMG smoothed aggregation"


def points(tiny: bool) -> list[dict[str, Any]]:
    sizes = [1024] if tiny else problems.squares(range(8, 12))
    meshes = {"2-D Poisson": sizes, "3-D Poisson": problems.cubes(sizes)}
    graphs = {"random geometric graph": sizes}
    return [
        {"problem": problem, "rows": rows, "params": params, "threads": threads}
        for problem, all_rows in (meshes | graphs).items()
        for params in _compared(problem)
        for threads in (1, 2)
        if not (params == PYAMG and threads == 2)  # it has no threads
        for rows in all_rows
    ]


def _compared(problem: str) -> list[str]:
    if problem != "2-D Poisson":
        return ["defaults"]
    return ["defaults", "thesis, graph clusters", "thesis", PYAMG]


def run(problem: str, rows: int, params: str, threads: int) -> dict[str, Any]:
    setup = _pyamg if params == PYAMG else _pympf(problems.PARAMS.get(params, {}))
    setup(problems.build("2-D Poisson", 1024))  # loads libraries, starts threads
    A = problems.build(problem, rows)
    result, peak_bytes = with_peak(lambda: setup(A))
    kept = result.nbytes if isinstance(result, pympf.Mmf) else None
    found = _describe(result) if isinstance(result, pympf.Mmf) else {}
    del result
    return {
        "nnz": A.nnz,
        "wall_s": measure.long_run_s(lambda: setup(A), samples=3),
        "peak_bytes": peak_bytes,
        "kept_bytes": kept,
        **found,
    }


def _pympf(params: dict[str, Any]) -> Any:
    return lambda A: pympf.factorize(A, **params)


def _pyamg(A: Any) -> Any:
    import pyamg

    return pyamg.smoothed_aggregation_solver(A)


def _describe(F: pympf.Mmf) -> dict[str, Any]:
    report = F.report()
    return {
        "engine_s": report.seconds,
        "levels": F.levels,
        "core_size": F.core_size,
        "stop": report.stop,
        "relative_error": report.relative_error,
    }


def render(rows: list[tables.Row]) -> str:
    header = ("problem", "parameters", "rows", "s, 1 thread", "s, 2 threads", "µs / nnz")
    header += ("peak B / nnz", "kept B / nnz", "core", "time / reference", "memory / reference")
    lines = [_line(rows, one) for one in tables.only(rows, threads=1)]
    return f"{tables.markdown(header, lines)}\n\n{_growth(rows)}"


def _line(rows: list[tables.Row], one: tables.Row) -> list[Any]:
    two = tables.only(
        rows, problem=one["problem"], params=one["params"], rows=one["rows"], threads=2
    )
    of_reference: list[float | None] = [None, None]
    if one["problem"] == "2-D Poisson" and one["rows"] in REFERENCE and one["params"] != PYAMG:
        seconds, peak_bytes = REFERENCE[one["rows"]]
        of_reference = [one["wall_s"] / seconds, one["peak_bytes"] / peak_bytes]
    return [
        one["problem"],
        one["params"],
        one["rows"],
        one["wall_s"],
        two[0]["wall_s"] if two else None,
        1e6 * one["wall_s"] / one["nnz"],
        one["peak_bytes"] / one["nnz"],
        one["kept_bytes"] and one["kept_bytes"] / one["nnz"],
        one.get("core_size"),
        *of_reference,
    ]


def _growth(rows: list[tables.Row]) -> str:
    """Largest over smallest cost per nonzero between 10^5 and 4·10^6 rows; 1 is linear growth."""
    lines = []
    for problem in tables.values(rows, "problem"):
        for params in tables.values(tables.only(rows, problem=problem), "params"):
            every = tables.only(rows, problem=problem, params=params)
            large = [row for row in every if row["rows"] >= 100_000]
            lines.append([problem, params, *_spreads(large)])
    header = ("growth from 10⁵ to 4·10⁶ rows", "parameters", "µs / nnz, 1 thread")
    return tables.markdown((*header, "µs / nnz, 2 threads", "peak B / nnz"), lines)


def _spreads(rows: list[tables.Row]) -> list[float | None]:
    def per_nnz(name: str, threads: int) -> list[float]:
        return [row[name] / row["nnz"] for row in tables.only(rows, threads=threads)]

    return [
        tables.spread(per_nnz("wall_s", 1)),
        tables.spread(per_nnz("wall_s", 2)),
        tables.spread(per_nnz("peak_bytes", 1)),
    ]
