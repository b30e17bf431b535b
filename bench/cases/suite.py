"""Seconds of the processor, setup and solve, to a true relative residual of 10⁻⁸ on one core:
`pympf.solve` as it is called without options, against the solvers that a user would take in its
place. Families of about 10⁴, 10⁵ and 10⁶ unknowns with a random right-hand side, and every
symmetric matrix of the collection next to the tree (`../shared/data/matrices`) with at least 1000
rows: graphs as Laplacians (singular, with a right-hand side in the range; and shifted by 10⁻⁶ of
the mean degree), other matrices as they are with b = A x for a random x.

"pympf additive" is the hierarchy with the additive cycle, "pympf classic" the preconditioner QᵀH⁻¹Q
(up to 2·10⁵ rows). The peers are PETSc's CG with Jacobi, ICC(0), GAMG and hypre's BoomerAMG, MINRES
with |Jacobi| where the matrix is indefinite, MUMPS (Cholesky, or LDLᵀ) through PETSc, and PyAMG's
smoothed aggregation with CG, each with its defaults, and told the block size, the near-nullspace
and the nullspace where there are such. At most 10 000 iterations, 60 s for everything, and two
thirds of the memory. Times are medians of three runs or more where one takes less than 2 s. Solved
means that b − A x, computed afresh, is at most 2·10⁻⁸ ‖b‖: the factor is for rounding in the
recurrences by which the methods measure themselves.

The time is that of the processor, in all threads of the process: on a quiet machine it is the time
on the wall (`wall_s` in the lines of JSON), on a busy one it is nearer to that.

A cell is the total time in ms and in parentheses the iterations; the fastest is bold; setup, solve,
true residual and memory of each are in bench/results. A solver that did not solve the system says
why. MUMPS has no iterations.
"""

import math
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import families
import measure
import solvers
import tables

TITLE = "Suite: total time against the usual solvers"

PICTURE = "profile.png"
SIZES = (10_000, 100_000, 1_000_000)
LIMIT_S = 60
REAL = "collection"
UNSOLVED = 100.0  # the ratio that a failure counts as
LOSS = 1.5
FARTHEST = 1000.0  # the end of the picture


def points(tiny: bool) -> list[dict[str, Any]]:
    return [point | {"threads": 1} for point in systems(tiny)]


def systems(tiny: bool) -> list[dict[str, Any]]:
    generated = [{"family": f, "rows": n} for n in SIZES for f in families.FAMILIES]
    return _tiny() if tiny else [*generated, *families.collection()]


def _tiny() -> list[dict[str, Any]]:
    data = measure.ROOT / "data"
    return [
        {"family": "2-D Poisson", "rows": 400},
        {"family": families.ELASTICITY, "rows": 400},
        {"file": measure.from_root(data / "USpowerGrid.mtx.gz"), "variant": families.LAPLACIAN},
        {
            "file": measure.from_root(data / "tumorAntiAngiogenesis_8.mtx.gz"),
            "variant": families.INDEFINITE,
        },
    ]


def run(threads: int, **point: Any) -> dict[str, Any]:
    system = families.member(**point)
    return {
        "unknowns": system.A.shape[0],
        "nnz": system.A.nnz,
        "solvers": {name: solvers.run(name, system, LIMIT_S) for name in solvers.suitable(system)},
    }


# ---- what the table says -------------------------------------------------------------------------


def render(rows: list[tables.Row]) -> str:
    parts = tables_of(rows)
    if len(rows) > 10:  # tiny runs have no picture
        parts.insert(1, f"![performance profile](images/{PICTURE})")
    return "\n\n".join(parts)


def tables_of(rows: list[tables.Row]) -> list[str]:
    return [_summary(rows), _groups(rows), _losses(rows), _systems(rows)]


def _name(row: tables.Row) -> str:
    if "family" in row:
        return row["family"]
    name = Path(row["file"]).name.removesuffix(".mtx.gz")
    return name if row["variant"] == families.DEFINITE else f"{name}, {row['variant']}"


def _group(row: tables.Row) -> str:
    return f"families, {tables.text(row['rows'])} rows" if "family" in row else REAL


def _seconds(row: tables.Row, solver: str) -> float | None:
    """Total time; None when the solver failed or was not asked."""
    result = row["solvers"].get(solver, {"failure": "not asked"})
    return None if "failure" in result else result["total_s"]


def _best(row: tables.Row, names: Iterable[str]) -> tuple[float, str] | None:
    times = [(t, name) for name in names if (t := _seconds(row, name)) is not None]
    return min(times, default=None)


def _ratio(row: tables.Row, solver: str) -> float | None:
    """Total time over that of the best peer; None when no peer solved it."""
    best, own = _best(row, solvers.PEERS), _seconds(row, solver)
    if best is None:
        return None
    return UNSOLVED if own is None else own / best[0]


def _geometric_mean(ratios: Iterable[float]) -> float | None:
    logs = [math.log(ratio) for ratio in ratios]
    return math.exp(statistics.fmean(logs)) if logs else None


def _ratios(rows: list[tables.Row], solver: str, failures: bool) -> list[tuple[float, str]]:
    """Ratio and system, of those systems that the solver was asked and some peer solves."""
    return [
        (ratio, _name(row))
        for row in rows
        if solver in row["solvers"] and (ratio := _ratio(row, solver)) is not None
        if failures or _seconds(row, solver) is not None
    ]


def _summary(rows: list[tables.Row]) -> str:
    header = ["solver", "asked", "solved", "fastest of all"]
    header += ["time / best peer, where solved", "with failures", "worst", "on"]
    header += ["setup's part", "bytes / entry"]
    return (
        "Time over that of the best peer of each system: geometric means over the systems that the "
        f"solver solves, and over all that it was asked, a failure counting as {UNSOLVED:g}. The "
        "setup's part of the time and the memory that comes on top of the matrix, for each of its "
        "stored entries, are medians of what was solved.\n\n"
        + tables.markdown(header, [_of_solver(rows, name) for name in solvers.SOLVERS])
    )


def _of_solver(rows: list[tables.Row], name: str) -> list[Any]:
    asked = [row for row in rows if name in row["solvers"]]
    solved = [row for row in asked if _seconds(row, name) is not None]
    ratios = _ratios(asked, name, failures=False)
    fastest = [row for row in asked if (best := _best(row, solvers.SOLVERS)) and best[1] == name]
    return [
        name,
        len(asked),
        len(solved),
        len(fastest),
        _geometric_mean(ratio for ratio, _ in ratios),
        _geometric_mean(ratio for ratio, _ in _ratios(asked, name, failures=True)),
        *max(ratios, default=(None, None)),
        _median(_setup_part(row["solvers"][name]) for row in solved),
        _median(row["solvers"][name]["bytes"] / row["nnz"] for row in solved),
    ]


def _setup_part(result: dict[str, Any]) -> float:
    return result["setup_s"] / (result["setup_s"] + result["solve_s"])


def _median(numbers: Iterable[float]) -> float | None:
    values = list(numbers)
    return statistics.median(values) if values else None


def _groups(rows: list[tables.Row]) -> str:
    names = list(solvers.SOLVERS)
    lines = [
        [group, *(_mean_of([row for row in rows if _group(row) == group], name) for name in names)]
        for group in dict.fromkeys(map(_group, rows))
    ]
    title = "The same means, with failures, by group (in parentheses: unsolved)."
    return f"{title}\n\n{tables.markdown(('group', *names), lines)}"


def _mean_of(rows: list[tables.Row], name: str) -> str | None:
    asked = [row for row in rows if name in row["solvers"]]
    mean = _geometric_mean(ratio for ratio, _ in _ratios(asked, name, failures=True))
    unsolved = sum(_seconds(row, name) is None for row in asked)
    if mean is None:
        return None
    return f"{mean:.2f} ({unsolved})" if unsolved else f"{mean:.2f}"


def _losses(rows: list[tables.Row]) -> str:
    header = ("system", "unknowns", "pympf, ms", "best peer", "its ms", "ratio", "what pympf chose")
    lost = [row for row in rows if (_ratio(row, solvers.PYMPF) or 0) > LOSS]
    nobody = [
        f"{_name(row)} ({tables.text(row['unknowns'])} unknowns)"
        for row in rows
        if not _best(row, solvers.SOLVERS)
    ]
    title = f"Losses: where pympf fails, or takes more than {LOSS} times as long as the best peer."
    lines = sorted(map(_loss, lost), key=lambda line: -line[5])
    text = f"{title}\n\n{tables.markdown(header, lines)}"
    return f"{text}\n\nSolved by nobody: {', '.join(nobody)}." if nobody else text


def _loss(row: tables.Row) -> list[Any]:
    best, own = _best(row, solvers.PEERS), row["solvers"][solvers.PYMPF]
    assert best is not None
    return [
        _name(row),
        row["unknowns"],
        own.get("failure") or tables.milli(own["total_s"]),
        best[1],
        tables.milli(best[0]),
        _ratio(row, solvers.PYMPF),
        own.get("choice", ""),
    ]


def _systems(rows: list[tables.Row]) -> str:
    header = ("system", "unknowns", "nnz", *solvers.SOLVERS)
    lines = [
        [_name(row), row["unknowns"], row["nnz"], *(_cell(row, name) for name in solvers.SOLVERS)]
        for row in rows
    ]
    return tables.markdown(header, lines)


def _cell(row: tables.Row, name: str) -> str | None:
    result = row["solvers"].get(name)
    if result is None:
        return None
    if "failure" in result:
        return result["failure"].replace("|", "/")
    text = tables.text(tables.milli(result["total_s"]))
    best = _best(row, solvers.SOLVERS)
    text = f"**{text}**" if best and best[1] == name else text
    return text if name == solvers.MUMPS else f"{text} ({result['iterations']})"


# ---- the picture ---------------------------------------------------------------------------------


def draw(rows: list[tables.Row], folder: Path) -> None:
    """The part of the systems that each solver solves within τ times the best time of all."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    bests = [best[0] for row in rows if (best := _best(row, solvers.SOLVERS))]
    solvable = [row for row in rows if _best(row, solvers.SOLVERS)]
    for name in solvers.SOLVERS:
        times = [_seconds(row, name) for row in solvable]
        taus = sorted(t / best for t, best in zip(times, bests, strict=True) if t is not None)
        parts = [k / len(solvable) for k in range(len(taus) + 1)]
        width = 2.5 if name == solvers.PYMPF else 1.2
        style = "--" if name in solvers.OURS[1:] else "-"
        axes.step(
            [1, *taus, FARTHEST],
            [*parts, parts[-1]],
            style,
            where="post",
            label=name,
            linewidth=width,
        )
    axes.set(xscale="log", xlim=(1, FARTHEST), ylim=(0, 1), xlabel="τ")
    axes.set_ylabel("part of the systems solved within τ times the best time")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize="small")
    figure.savefig(folder / PICTURE, metadata={"Software": None})
