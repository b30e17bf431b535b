"""The systems of the suite on two cores: `pympf.solve` on two threads, PETSc's solvers, hypre and
MUMPS on two MPI ranks of one thread each, the rows in two contiguous ranges (ICC within each of
them), PyAMG as it comes. The same limits and tables as in the suite; the time is that on the wall,
the memory that of one process. Systems that are not in the table were not measured.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import families
import measure
import solvers
import tables

from cases import suite

TITLE = "Suite on two cores"

CORES = 2


def points(tiny: bool) -> list[dict[str, Any]]:
    chosen = suite.systems(tiny)[: 1 if tiny else None]
    return [point | {"threads": CORES} for point in chosen]


def run(threads: int, **point: Any) -> dict[str, Any]:
    system = families.member(**point)
    found = {}
    for name in solvers.suitable(system):
        if name in solvers.OURS[1:]:
            continue
        if name in (solvers.PYMPF, solvers.PYAMG):
            result = solvers.run(name, system, suite.LIMIT_S)
        else:
            result = _on_ranks(name, threads, point)
        found[name] = result | ({"total_s": result["wall_s"]} if "wall_s" in result else {})
    return {"unknowns": system.A.shape[0], "nnz": system.A.nnz, "solvers": found}


def _on_ranks(name: str, ranks: int, point: dict[str, Any]) -> dict[str, Any]:
    job = Path(__file__).with_name("_suite_job.py")
    command = [measure.ROOT / "tests/mpi/run", ranks, sys.executable, job, name, json.dumps(point)]
    limits = {"OMP_NUM_THREADS": "1", "MPI_TIMEOUT": str(suite.LIMIT_S)}
    done = subprocess.run(
        list(map(str, command)),
        env=os.environ | limits,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    late = done.returncode == 124
    why = f"time limit {suite.LIMIT_S} s" if late else f"exit code {done.returncode}"
    return {"failure": why}


def render(rows: list[tables.Row]) -> str:
    return "\n\n".join(suite.tables_of(rows))
