"""What the suite compares: pympf, and the solvers that a user would take in its place.

The drivers of the solvers are those of `pympf.compare` (pympf/comparison). Here they run in forked
processes, which need not be sent the matrix, and PETSc's on all ranks of a job.
"""

import json
import os
import resource
import signal
import statistics
import subprocess
import sys
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import measure
import numpy as np

from pympf._memory import with_peak
from pympf.comparison._ours import PYMPF, by
from pympf.comparison._petsc import BOOMER, mumps
from pympf.comparison._petsc import MUMPS as BY_MUMPS
from pympf.comparison._petsc import by as petsc
from pympf.comparison._python import (
    air,
    factored,
    incomplete,
    our_gmres,
    pardiso,
    smoothed_aggregation,
)
from pympf.comparison.solver import CLASSIC_ROWS, Answer, Prepare, Setup
from pympf.comparison.system import ROUNDING, System
from pympf.comparison.timing import Times, timed

TOLERANCE = 1e-8
MOST_GMRES = 500  # GMRES(30) on matrices that are not symmetric

ADDITIVE = "pympf additive"
CLASSIC = "pympf classic"
MINRES = "MINRES Jacobi"
MUMPS = "MUMPS"
PYAMG = "CG PyAMG SA"

SOLVERS: dict[str, Prepare] = {
    PYMPF: by("mmf"),
    ADDITIVE: by("multilevel", cycle="additive"),
    CLASSIC: by("classic"),
    "CG Jacobi": petsc("cg", pc_type="jacobi"),
    "CG ICC": petsc("cg", pc_type="icc"),
    "CG GAMG": petsc("cg", pc_type="gamg"),
    "CG BoomerAMG": petsc("cg", **BOOMER),
    PYAMG: smoothed_aggregation(),
    MINRES: petsc("minres", pc_type="jacobi", pc_jacobi_abs=True),
    MUMPS: mumps,
}
OURS = (PYMPF, ADDITIVE, CLASSIC)
PEERS = tuple(name for name in SOLVERS if name not in OURS)


GENERAL: dict[str, Prepare] = {
    PYMPF: by("mmf"),
    "GMRES ILU(0)": petsc("gmres", pc_type="ilu"),
    "GMRES ILUT": by("ict"),
    "GMRES spilu": incomplete(our_gmres),
    "GMRES GAMG": petsc("gmres", pc_type="gamg"),
    "GMRES BoomerAMG": petsc("gmres", **BOOMER),
    "GMRES PyAMG AIR": air,
    MUMPS: petsc("preonly", pc_type="lu", **BY_MUMPS),
}
"""For matrices that are not symmetric."""


DIRECT_PYMPF = "pympf direct"
DIRECT: dict[str, Prepare] = {
    DIRECT_PYMPF: by("direct"),
    "pympf mumps": by("direct", factor_backend="mumps"),
    "pympf superlu": by("direct", factor_backend="superlu"),
    "splu COLAMD": factored(permc_spec="COLAMD"),
    "splu MMD": factored(
        permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.01, options={"SymmetricMode": True}
    ),
    MUMPS: mumps,
    "MUMPS AMD": petsc("preonly", pc_type="cholesky", **BY_MUMPS, mat_mumps_icntl_7=0),
    "PARDISO": pardiso(symmetric=True),
}
"""Sparse direct factors of symmetric matrices."""
DIRECT_PEERS = tuple(name for name in DIRECT if not name.startswith(PYMPF))


def suitable(system: System) -> list[str]:
    """The solvers that can be asked: CG for (semi)definite matrices, MINRES for the others."""
    unfit = MINRES if system.definite else "CG"
    chosen = [name for name in SOLVERS if not name.startswith(unfit)]
    if system.A.shape[0] > CLASSIC_ROWS:
        chosen.remove(CLASSIC)
    return chosen


def run(name: str, system: System, limit_s: float, solver: Prepare | None = None) -> dict[str, Any]:
    """What one solver did with a system, in a process of its own; `failure` says why it did not.

    `solver` is for one that is not among `SOLVERS`.
    """
    context = get_context("fork")  # the matrix need not be sent
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(sender, solver or _known(name, system), system))
    child.start()
    sender.close()
    try:
        if not receiver.poll(limit_s):
            child.kill()
            return {"failure": f"time limit {limit_s:g} s"}
        return receiver.recv()
    except EOFError:
        child.join()
        return {"failure": _death(child.exitcode or 0)}
    finally:
        child.join()


def on_ranks(
    name: str, ranks: int, limit_s: float, module: str, point: dict[str, Any]
) -> dict[str, Any]:
    """What PETSc's solver did on MPI ranks of one thread each with `module.member(**point)`."""
    job = Path(__file__).with_name("cases") / "_suite_job.py"
    words = [measure.ROOT / "tests/mpi/run", ranks, sys.executable, job]
    limits = {"OMP_NUM_THREADS": "1", "MPI_TIMEOUT": str(limit_s)}
    done = subprocess.run(
        list(map(str, [*words, name, module, json.dumps(point)])),
        env=os.environ | limits,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    late = done.returncode == 124
    return {"failure": f"time limit {limit_s} s" if late else f"exit code {done.returncode}"}


def _death(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _child(sender: Connection, solver: Prepare, system: System) -> None:
    sender.send(_answer(solver, system))
    sender.close()
    os._exit(0)  # without the clean-up of MPI, which may hang in a forked process


def _known(name: str, system: System) -> Prepare:
    return (SOLVERS | DIRECT if system.symmetric else GENERAL)[name]


def answer(name: str, system: System) -> dict[str, Any]:
    """What one solver does with a system, in this process."""
    return _answer(_known(name, system), system)


def _answer(solver: Prepare, system: System) -> dict[str, Any]:
    # A factorization that outgrows the machine must fail alone.
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 2 // 3
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    try:
        return _measured(solver(system), system)
    except ImportError as error:
        return {"failure": f"not installed: {error}"}
    except MemoryError:
        return {"failure": "memory"}
    except (ValueError, RuntimeError, ArithmeticError) as error:
        return {"failure": str(error).splitlines()[-1][:120]}


def _measured(setup: Setup, system: System) -> dict[str, Any]:
    (first, answer), peak_bytes = with_peak(lambda: _once(setup))
    times = [first]
    while _is_to_be_run_again(times):
        times.append(_once(setup)[0])
    left = system.residual(answer.x)
    found = {
        **{name: statistics.median(each[name] for each in times) for name in first},
        "iterations": 1 if answer.iterations is None else answer.iterations,
        "true_residual": left if np.isfinite(left) else None,
        "bytes": peak_bytes,
        "choice": answer.choice,
    }
    if left <= ROUNDING * TOLERANCE:
        return found
    return found | {"failure": answer.trouble or f"residual {left:.0e}"}


def _is_to_be_run_again(times: list[dict[str, float]]) -> bool:
    """Three runs where one takes less than 2 s, and up to fifteen in 0.2 s."""
    if len(times) < 3:
        return times[0]["wall_s"] < 2
    return len(times) < 15 and sum(each["wall_s"] for each in times) < 0.2


def _once(setup: Setup) -> tuple[dict[str, float], Answer]:
    """Setup and solve; their times are those of the processor, which other processes disturb less.

    On one thread and a machine without other work they are those of the clock on the wall.
    """
    times, answer = timed(setup)
    processor: Times = times["processor"]
    parts = {"setup_s": processor.setup_s, "solve_s": processor.solve_s}
    return {**parts, "total_s": processor.total_s, "wall_s": times["wall"].total_s}, answer
