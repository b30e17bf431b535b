"""What the suite compares: pympf, and the solvers that a user would take in its place.

A solver is a pair of functions of a system: one that prepares the matrix in the solver's own format
(not timed) and gives `setup`, and `setup()` gives `solve`; `solve()` gives an `Answer`. PETSc works
on all ranks of the job: each takes a contiguous range of rows, and all get the whole answer.
Libraries are imported where they are used, in the process that needs them.
"""

import os
import resource
import signal
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import measure
import numpy as np
from families import System

import pympf

TOLERANCE = 1e-8
ROUNDING = 2.0  # solved: a true residual of at most this many times the tolerance
MOST = 10_000
MOST_GMRES = 500  # GMRES(30) on matrices that are not symmetric
CLASSIC_ROWS = 200_000


@dataclass(frozen=True)
class Answer:
    """A vector, and how it was found.

    `trouble` is what the solver itself complains of, `choice` what it chose by itself,
    `setup_part` the part of the time of the solve that went into a setup.
    """

    x: np.ndarray
    iterations: int
    trouble: str = ""
    choice: str = ""
    setup_part: float = 0.0


Solve = Callable[[], Answer]
Setup = Callable[[], Solve]


# ---- pympf ---------------------------------------------------------------------------------------


def of_pympf(preconditioner: str, **params: Any) -> Callable[[System], Setup]:
    def prepare(system: System) -> Setup:
        known: dict[str, Any] = {}
        if preconditioner != "classic":
            known = {"near_nullspace": system.near_nullspace, "block_size": system.block_size}

        def solve() -> Answer:
            solution = pympf.solve(
                system.A,
                system.b,
                preconditioner=preconditioner,
                rtol=TOLERANCE,
                maxiter=MOST if system.symmetric else MOST_GMRES,
                **known,
                **params,
            )
            return Answer(
                solution.x,
                solution.iterations,
                trouble="" if solution.converged else solution.reason,
                choice=solution.choice,
                setup_part=solution.setup_s / (solution.setup_s + solution.solve_s),
            )

        return lambda: solve

    return prepare


# ---- PETSc: Krylov methods, hypre, MUMPS ---------------------------------------------------------


def _petsc(krylov: str, **options: Any) -> Callable[[System], Setup]:
    return lambda system: _petsc_setup(system, krylov, options)


def _own(system: System) -> slice:
    """Give the rows of this rank: whole nodes."""
    from petsc4py import PETSc

    rank, size, block = PETSc.COMM_WORLD.rank, PETSc.COMM_WORLD.size, system.block_size
    nodes = system.A.shape[0] // block
    return slice(nodes * rank // size * block, nodes * (rank + 1) // size * block)


def _petsc_setup(system: System, krylov: str, options: dict[str, Any]) -> Setup:
    from petsc4py import PETSc

    if PETSc.COMM_WORLD.size > 1 and options["pc_type"] == "icc":  # which is for one rank
        options = {**options, "pc_type": "bjacobi", "sub_pc_type": "icc"}
    own = _own(system)
    part = system.A[own]
    A = PETSc.Mat().createAIJ(
        ((part.shape[0], None), (part.shape[0], None)),
        bsize=system.block_size,
        csr=(part.indptr, part.indices, part.data),
    )
    A.setOption(PETSc.Mat.Option.SYMMETRIC, system.symmetric)
    direct = krylov == "preonly"
    if system.symmetric and system.definite and system.kernel is None:
        A.setOption(PETSc.Mat.Option.SPD, True)
    if system.kernel is not None and not direct:
        A.setNullSpace(_vectors(system.kernel[own]))
    if system.near_nullspace is not None:
        A.setNearNullSpace(_vectors(np.linalg.qr(system.near_nullspace)[0][own]))
    known = PETSc.Options()
    for name, value in {"ksp_type": krylov, **options}.items():
        known[name] = value
    b = PETSc.Vec().createWithArray(system.b[own].copy())

    def setup() -> Solve:
        ksp = PETSc.KSP().create()
        ksp.setOperators(A)
        most = MOST if system.symmetric else MOST_GMRES
        ksp.setTolerances(rtol=TOLERANCE, atol=0, divtol=1e30, max_it=most)
        if krylov == "gmres":
            ksp.setPCSide(PETSc.PC.Side.RIGHT)
        if krylov == "cg":  # MINRES knows the norm of the preconditioner only
            ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
        ksp.setFromOptions()
        ksp.setUp()
        return lambda: _petsc_solve(system, ksp, b)

    return setup


def _vectors(columns: np.ndarray) -> Any:
    from petsc4py import PETSc

    vectors = [PETSc.Vec().createWithArray(np.ascontiguousarray(v)) for v in columns.T]
    return PETSc.NullSpace().create(vectors=vectors)


def _whole(x: Any) -> np.ndarray:
    """Gather the parts of all ranks."""
    comm = x.getComm()
    if comm.size == 1:
        return x.array.copy()
    return np.concatenate(comm.tompi4py().allgather(x.array))


def _petsc_solve(system: System, ksp: Any, b: Any, rounds: int = 4) -> Answer:
    """Solve; MINRES goes on until the true residual is small, and not only the one it watches."""
    x, iterations, rtol = b.duplicate(), 0, TOLERANCE
    x.set(0)
    for _ in range(rounds):
        ksp.solve(b, x)
        iterations += ksp.getIterationNumber()
        left = residual(system, _whole(x)) if ksp.getType() == "minres" else 0.0
        if left <= TOLERANCE or ksp.getConvergedReason() < 0:
            break
        rtol *= 0.5 * TOLERANCE / left
        ksp.setTolerances(rtol=rtol, max_it=MOST - iterations)
        ksp.setInitialGuessNonzero(True)
    ksp.setInitialGuessNonzero(False)
    ksp.setTolerances(rtol=TOLERANCE, max_it=MOST)
    return Answer(_whole(x), iterations, _trouble(ksp))


def _trouble(ksp: Any) -> str:
    reason = ksp.getConvergedReason()
    if reason > 0:
        return ""
    names = vars(type(ksp).ConvergedReason).items()
    return next((name.lower() for name, value in names if value == reason), str(reason))


_CHOLESKY = {"pc_type": "cholesky", "pc_factor_mat_solver_type": "mumps"}
_HYPRE = {"pc_type": "hypre", "pc_hypre_type": "boomeramg"}


def _mumps(system: System) -> Setup:
    # Null pivots are looked for only where there are any: that costs.
    singular = {} if system.kernel is None else {"mat_mumps_icntl_24": 1}
    return _petsc_setup(system, "preonly", {**_CHOLESKY, **singular})


# ---- PyAMG ---------------------------------------------------------------------------------------


def _pyamg(system: System) -> Setup:
    import pyamg
    from scipy.sparse import bsr_matrix, csr_matrix

    size = system.block_size
    A = csr_matrix(system.A) if size == 1 else bsr_matrix(system.A, blocksize=(size, size))

    def setup() -> Solve:
        hierarchy = pyamg.smoothed_aggregation_solver(
            A, B=system.near_nullspace, symmetry="symmetric"
        )
        return lambda: solve(hierarchy)

    def solve(hierarchy: Any) -> Answer:
        residuals: list[float] = []
        x, info = hierarchy.solve(
            system.b,
            tol=TOLERANCE,
            maxiter=MOST,
            accel="cg",
            residuals=residuals,
            return_info=True,
        )
        trouble = "" if info == 0 else "not positive definite" if info < 0 else "diverged_max_it"
        return Answer(x, len(residuals) - 1, trouble)

    return setup


# ---- for matrices that are not symmetric ---------------------------------------------------------


def _gmres(solve: Callable[[np.ndarray], np.ndarray], system: System) -> Answer:
    solution = pympf.solve(
        system.A,
        system.b,
        method="gmres",
        preconditioner=solve,
        rtol=TOLERANCE,
        maxiter=MOST_GMRES,
    )
    trouble = "" if solution.converged else solution.reason
    return Answer(solution.x, solution.iterations, trouble)


def _spilu(system: System) -> Setup:
    """SuperLU's ILUTP, as SciPy has it."""
    from scipy.sparse import csc_matrix
    from scipy.sparse.linalg import spilu

    A = csc_matrix(system.A)

    def setup() -> Solve:
        factor = spilu(A, drop_tol=1e-3, fill_factor=10)
        return lambda: _gmres(factor.solve, system)

    return setup


def _air(system: System) -> Setup:
    import pyamg
    from scipy.sparse import csr_matrix

    A = csr_matrix(system.A)

    def setup() -> Solve:
        M = pyamg.air_solver(A).aspreconditioner()
        return lambda: _gmres(lambda r: M @ r, system)

    return setup


# ---- all of them ---------------------------------------------------------------------------------

PYMPF = "pympf"
ADDITIVE = "pympf additive"
CLASSIC = "pympf classic"
MINRES = "MINRES Jacobi"
MUMPS = "MUMPS"
PYAMG = "CG PyAMG SA"

SOLVERS: dict[str, Callable[[System], Setup]] = {
    PYMPF: of_pympf("mmf"),
    ADDITIVE: of_pympf("multilevel", cycle="additive"),
    CLASSIC: of_pympf("classic"),
    "CG Jacobi": _petsc("cg", pc_type="jacobi"),
    "CG ICC": _petsc("cg", pc_type="icc"),
    "CG GAMG": _petsc("cg", pc_type="gamg"),
    "CG BoomerAMG": _petsc("cg", **_HYPRE),
    PYAMG: _pyamg,
    MINRES: _petsc("minres", pc_type="jacobi", pc_jacobi_abs=True),
    MUMPS: _mumps,
}
OURS = (PYMPF, ADDITIVE, CLASSIC)
PEERS = tuple(name for name in SOLVERS if name not in OURS)


GENERAL: dict[str, Callable[[System], Setup]] = {
    PYMPF: of_pympf("mmf"),
    "GMRES ILU(0)": _petsc("gmres", pc_type="ilu"),
    "GMRES ILUT": of_pympf("ict"),
    "GMRES spilu": _spilu,
    "GMRES GAMG": _petsc("gmres", pc_type="gamg"),
    "GMRES BoomerAMG": _petsc("gmres", **_HYPRE),
    "GMRES PyAMG AIR": _air,
    MUMPS: _petsc("preonly", pc_type="lu", pc_factor_mat_solver_type="mumps"),
}
"""For matrices that are not symmetric."""


def suitable(system: System) -> list[str]:
    """The solvers that can be asked: CG for (semi)definite matrices, MINRES for the others."""
    unfit = MINRES if system.definite else "CG"
    chosen = [name for name in SOLVERS if not name.startswith(unfit)]
    if system.A.shape[0] > CLASSIC_ROWS:
        chosen.remove(CLASSIC)
    return chosen


def residual(system: System, x: np.ndarray) -> float:
    return float(np.linalg.norm(system.b - system.A @ x) / np.linalg.norm(system.b))


def run(
    name: str, system: System, limit_s: float, solver: Callable[[System], Setup] | None = None
) -> dict[str, Any]:
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


def _death(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _child(sender: Connection, solver: Callable[[System], Setup], system: System) -> None:
    sender.send(_answer(solver, system))
    sender.close()
    os._exit(0)  # without the clean-up of MPI, which may hang in a forked process


def _known(name: str, system: System) -> Callable[[System], Setup]:
    return (SOLVERS if system.symmetric else GENERAL)[name]


def answer(name: str, system: System) -> dict[str, Any]:
    """What one solver does with a system, in this process."""
    return _answer(_known(name, system), system)


def _answer(solver: Callable[[System], Setup], system: System) -> dict[str, Any]:
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


@dataclass(frozen=True)
class _Times:
    setup_s: float
    solve_s: float
    wall_s: float

    @property
    def total_s(self) -> float:
        return self.setup_s + self.solve_s


def _measured(setup: Setup, system: System) -> dict[str, Any]:
    (first, answer), peak_bytes = measure.with_peak(lambda: _once(setup))
    times = [first]
    while len(times) < 3 and first.wall_s < 2:
        times.append(_once(setup)[0])
    left = residual(system, answer.x)
    found = {
        **{
            name: statistics.median(getattr(each, name) for each in times)
            for name in ("setup_s", "solve_s", "total_s", "wall_s")
        },
        "iterations": answer.iterations,
        "true_residual": left if np.isfinite(left) else None,
        "bytes": peak_bytes,
        "choice": answer.choice,
    }
    if left <= ROUNDING * TOLERANCE:
        return found
    return found | {"failure": answer.trouble or f"residual {left:.0e}"}


def _once(setup: Setup) -> tuple[_Times, Answer]:
    """Setup and solve; their times are those of the processor, which other processes disturb less.

    On one thread and a machine without other work they are those of the clock on the wall.
    """
    wall, start = time.perf_counter(), time.process_time()
    solve = setup()
    between = time.process_time()
    answer = solve()
    end, wall_s = time.process_time(), time.perf_counter() - wall
    inside = answer.setup_part * (end - between)
    return _Times(between - start + inside, end - between - inside, wall_s), answer
