"""Several ranks against one, each with one thread, and what they send.

The systems lie on the ranks in contiguous ranges of rows; the random geometric graph is numbered by
reverse Cuthill-McKee first, as its own numbering is random. Setup and solution to a relative
residual of 10⁻⁸ by CG, the slowest rank's wall time, median of three; PETSc's GAMG and hypre's
BoomerAMG the same way in the same run. The counts of messages are of all ranks together.

Memory is what a process has grown by, above the matrix that it brought: at most during the setup,
and with M alone after it; on several ranks, the rank with most of it, next to one rank's divided by
the ranks.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import measure
import tables

TITLE = "Many ranks"

PROBLEMS = {"2-D Poisson": 1_000_000, "3-D Poisson": 1_000_000, "random geometric graph": 500_000}
PEERS = ("GAMG", "BoomerAMG")
SOLVERS = ("pympf", *PEERS)
COUNTED = 262_144  # rows of the problem whose messages are counted
COUNTS = (1, 2, 4, 8, 16, 32, 64)
MEMORY_RANKS = (1, 4)


def points(tiny: bool) -> list[dict[str, Any]]:
    timed = [
        {"problem": problem, "rows": 729 if tiny else rows, "solver": solver, "ranks": ranks}
        for problem, rows in PROBLEMS.items()
        for solver in SOLVERS
        for ranks in (1, 2)
    ]
    counted = [
        {"problem": problem, "rows": 729 if tiny else COUNTED, "solver": "count", "ranks": ranks}
        for problem in ("2-D Poisson", "3-D Poisson")
        for ranks in (COUNTS[:2] if tiny else COUNTS)
    ]
    weighed = [
        {"problem": problem, "rows": 729 if tiny else rows, "solver": "memory", "ranks": ranks}
        for problem, rows in PROBLEMS.items()
        for ranks in MEMORY_RANKS
    ]
    return timed + counted + weighed


def run(problem: str, rows: int, solver: str, ranks: int) -> dict[str, Any]:
    job = Path(__file__).with_name("_ranks_job.py")
    command = [str(measure.ROOT / "tests/mpi/run"), str(ranks), sys.executable, str(job)]
    done = subprocess.run(
        [*command, problem, str(rows), solver],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return json.loads(done.stdout.strip().splitlines()[-1])
    if solver not in PEERS:
        raise RuntimeError(done.stdout + done.stderr)
    return {"failure": f"the job ended with code {done.returncode}"}


def render(rows: list[tables.Row]) -> str:
    counted, weighed = (tables.only(rows, solver=solver) for solver in ("count", "memory"))
    timed = [row for row in rows if row["solver"] in SOLVERS]
    return "\n\n".join([_times(timed), _traffic(counted), _memory(weighed)])


def _times(rows: list[tables.Row]) -> str:
    header = ("problem", "solver", "iterations, 1 rank", "2 ranks")
    header += ("setup: s, 1 rank", "2 ranks", "faster by", "solve: s, 1 rank", "2 ranks")
    header += ("faster by", "total faster by")
    return tables.markdown(header, [_line(rows, p, s) for p in PROBLEMS for s in SOLVERS])


def _line(rows: list[tables.Row], problem: str, solver: str) -> list[Any]:
    one, two = (
        tables.only(rows, problem=problem, solver=solver, ranks=ranks)[0] for ranks in (1, 2)
    )
    if "failure" in one or "failure" in two:
        failed = [("failed" if "failure" in row else row["iterations"]) for row in (one, two)]
        return [problem, solver, *failed, *["–"] * 7]
    line = [problem, solver, one["iterations"], two["iterations"]]
    for name in ("setup_s", "solve_s"):
        line += [one[name], two[name], one[name] / two[name]]
    totals = [row["setup_s"] + row["solve_s"] for row in (one, two)]
    return [*line, totals[0] / totals[1]]


def _traffic(rows: list[tables.Row]) -> str:
    header = ("problem", "ranks", "iterations", "levels", "setup: messages", "MB", "collectives")
    header += ("M r: messages", "kB", "collectives", "rows of a rank")
    lines = [
        [
            row["problem"],
            row["ranks"],
            row["iterations"],
            row["levels"],
            row["setup_messages"],
            row["setup_bytes"] / 1e6,
            row["setup_collectives"],
            row["apply_messages"],
            row["apply_bytes"] / 1e3,
            row["apply_collectives"],
            row["rows"] // row["ranks"],
        ]
        for row in rows
    ]
    return tables.markdown(header, lines)


def _memory(rows: list[tables.Row]) -> str:
    header = ("problem", "ranks", "setup: MB of a rank", "over a share of 1 rank's")
    header += ("M: MB of a rank", "over a share of 1 rank's")
    one = {row["problem"]: row for row in tables.only(rows, ranks=1)}
    lines = []
    for row in rows:
        line: list[Any] = [row["problem"], row["ranks"]]
        for name in ("peak_bytes", "kept_bytes"):
            line += [row[name] / 1e6, row[name] * row["ranks"] / one[row["problem"]][name]]
        lines.append(line)
    return tables.markdown(header, lines)
