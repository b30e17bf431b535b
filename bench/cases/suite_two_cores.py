"""The systems of the suite on two cores: `pympf.solve` on two threads, PETSc's solvers, hypre and
MUMPS on two MPI ranks of one thread each, the rows in two contiguous ranges (ICC within each of
them), PyAMG as it comes. The same limits and tables as in the suite; the time is that on the wall,
the memory that of one process. Systems that are not in the table were not measured.
"""

from typing import Any

import families
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
            result = solvers.on_ranks(name, threads, suite.LIMIT_S, "families", point)
        found[name] = result | ({"total_s": result["wall_s"]} if "wall_s" in result else {})
    return {"unknowns": system.A.shape[0], "nnz": system.A.nnz, "solvers": found}


def render(rows: list[tables.Row]) -> str:
    return "\n\n".join(suite.tables_of(rows))
