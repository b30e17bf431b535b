"""The job that the case `ranks` starts: PROBLEM ROWS SOLVER; rank 0 prints a line of JSON."""

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import problems

import pympf
from pympf._memory import resident_bytes, with_peak

COMM = MPI.COMM_WORLD
SAMPLES = 3
PEERS = {"GAMG": ["-pc_type", "gamg"], "BoomerAMG": ["-pc_type", "hypre"]}


def system(problem: str, rows: int) -> tuple[Any, np.ndarray]:
    """Give this rank's rows of the matrix, and its entries of the right-hand side."""
    A = problems.in_ranges(problem, rows)
    n = A.shape[0]
    own = slice(n * COMM.rank // COMM.size, n * (COMM.rank + 1) // COMM.size)
    return A[own].tocsr(), problems.random_vector(n)[own]


def slowest(seconds: float) -> float:
    return COMM.allreduce(seconds, MPI.MAX)


def ours(A: Any, b: np.ndarray) -> dict[str, Any]:
    def once() -> tuple[float, float, Any]:
        COMM.Barrier()
        found = pympf.solve(A, b, comm=COMM, rtol=1e-8)
        return slowest(found.setup_s), slowest(found.solve_s), found

    once()
    runs = [once() for _ in range(SAMPLES)]
    found = runs[0][2]
    return {
        "setup_s": statistics.median(run[0] for run in runs),
        "solve_s": statistics.median(run[1] for run in runs),
        "iterations": found.iterations,
        "true_residual": found.true_residual,
        "choice": found.choice,
    }


def of_petsc(A: Any, b: np.ndarray, options: list[str]) -> dict[str, Any]:
    import petsc4py

    petsc4py.init(options)
    from petsc4py import PETSc

    sizes = ((A.shape[0], None), (A.shape[0], None))
    mat = PETSc.Mat().createAIJ(sizes, csr=(A.indptr, A.indices, A.data), comm=COMM)
    right, x = mat.createVecLeft(), mat.createVecRight()
    right.array[:] = b

    def once() -> tuple[float, float, int, float]:
        ksp = PETSc.KSP().create(COMM)
        ksp.setOperators(mat)
        ksp.setType("cg")
        ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
        ksp.setTolerances(rtol=1e-8)
        ksp.setFromOptions()
        COMM.Barrier()
        start = time.perf_counter()
        ksp.setUp()
        middle = time.perf_counter()
        ksp.solve(right, x)
        end = time.perf_counter()
        left = right.duplicate()
        mat.mult(x, left)
        left.aypx(-1, right)
        result = slowest(middle - start), slowest(end - middle), ksp.its, left.norm() / right.norm()
        if ksp.reason < 0:
            sys.exit(f"{options[-1]}: PETSc's reason {ksp.reason}")
        ksp.destroy()
        return result

    once()
    runs = [once() for _ in range(SAMPLES)]
    return {
        "setup_s": statistics.median(run[0] for run in runs),
        "solve_s": statistics.median(run[1] for run in runs),
        "iterations": runs[0][2],
        "true_residual": runs[0][3],
    }


def counted(A: Any, b: np.ndarray) -> dict[str, Any]:
    """Count what a setup, one application of M, and nothing else, send."""

    def build() -> pympf.Preconditioner:
        return pympf.as_preconditioner(A, comm=COMM, method="multilevel")

    def sent(work: Any) -> dict[str, int]:
        before = M.traffic()
        work()
        after = M.traffic()
        every = COMM.allgather({name: after[name] - before[name] for name in after})
        return {
            "messages": sum(rank["messages"] for rank in every),
            "bytes": sum(rank["message_bytes"] for rank in every),
            "collectives": max(rank["collectives"] for rank in every),
        }

    M = build()
    setup, apply = sent(build), sent(lambda: M.apply(b))
    found = pympf.solve(A, b, comm=COMM, preconditioner=M)
    return {
        "iterations": found.iterations,
        "levels": len(M.report().levels),
        **{f"setup_{name}": count for name, count in setup.items()},
        **{f"apply_{name}": count for name, count in apply.items()},
    }


def weighed(A: Any) -> dict[str, Any]:
    """Weigh the memory of the setup and of M on the rank where it is most, above the matrix."""

    small = pympf.gallery.poisson((40, 40))
    rows = slice(1600 * COMM.rank // COMM.size, 1600 * (COMM.rank + 1) // COMM.size)
    pympf.as_preconditioner(small[rows], comm=COMM, method="multilevel")  # what comes once
    before = resident_bytes()
    M, peak = with_peak(lambda: pympf.as_preconditioner(A, comm=COMM))
    kept = resident_bytes() - before
    return {
        "peak_bytes": COMM.allreduce(peak, MPI.MAX),
        "kept_bytes": COMM.allreduce(kept, MPI.MAX),
        "levels": len(M.report().levels),
    }


def main() -> None:
    problem, rows, solver = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    A, b = system(problem, rows)
    if solver == "count":
        result = counted(A, b)
    elif solver == "memory":
        result = weighed(A)
    elif solver == "pympf":
        result = ours(A, b)
    else:
        result = of_petsc(A, b, PEERS[solver])
    if COMM.rank == 0:
        print(json.dumps(result | {"nnz": int(A.nnz)}), flush=True)


if __name__ == "__main__":
    main()
