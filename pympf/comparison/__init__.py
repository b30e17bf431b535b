"""Which solver for my matrix? All that are installed, on it, each in a process of its own.

| module | what |
|---|---|
| `system` | A x = b, and what is known of it |
| `solver`, `registry` | what a solver is, and all of them |
| `_ours`, `_python`, `_petsc` | the drivers of the solvers, and the calls to copy |
| `_process`, `_worker`, `timing` | a process for each, ended at the limit; clocks |
| `report`, `figure` | the table, the advice, the picture |

Cost: for each solver the start of a Python (about a second) and its runs.
"""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

import pympf._engine as _engine
from pympf.comparison import _process, report
from pympf.comparison.registry import REQUIREMENTS, SOLVERS, installed, selected
from pympf.comparison.report import Comparison, Trial
from pympf.comparison.solver import Solver
from pympf.comparison.system import System, is_definite, kernel_of
from pympf.comparison.timing import CLOCKS
from pympf.la import as_csr, as_vector, checks, is_symmetric

__all__ = ["SOLVERS", "Comparison", "Trial", "compare"]


def compare(
    A: Any,
    b: ArrayLike | None = None,
    *,
    solvers: Sequence[str] | None = None,
    limit_s: float = 60.0,
    rtol: float = 1e-8,
    maxiter: int = 10_000,
    runs: int = 3,
    solves: int = 1,
    threads: int | None = None,
    near_nullspace: ArrayLike | None = None,
    block_size: int = 1,
    definite: bool | None = None,
    clock: str = "wall",
    memory_bytes: int | None = None,
    progress: Callable[[Trial], Any] | None = None,
) -> Comparison:
    """Run every solver that is installed on A x = b, and say which one to take.

    Not collective. Each solver runs in a process of its own, which is killed at the limit: a peer
    that crashes, hangs or takes all memory says so in its verdict, and harms nothing.

    Parameters
    ----------
    A : sparse array or matrix, 2-D array_like, or petsc4py.PETSc.Mat, shape (n, n)
        Real; all solve in float64.
    b : array_like, shape (n,), optional
        By default A x for a random x: there is a solution then, also where `A` is singular.
    solvers : list of str, optional
        Names (`pympf.comparison.SOLVERS`), the first words of some ('PETSc', 'PyAMG SA'), or a
        function of your own that takes A and b and returns x, as 'module:function'. By default all.
    limit_s : float
        Seconds for all runs of one solver, from when its process has read the matrix.
    rtol : float
        The tolerance that each is asked for. Solved means that ‖b − A x‖ ≤ 2 rtol ‖b‖, computed
        afresh.
    maxiter : int
        Most iterations.
    runs : int
        Times are medians of so many runs; of fewer where the limit does not leave the time. Of
        several runs, one of less than 2 s goes before them and is not counted (libraries load parts
        of themselves when these are used first), and short ones go on for a quarter of a second.
    solves : int
        Right-hand sides that one setup serves: ``total_s`` is setup_s + solves · solve_s.
    threads : int, optional
        Threads of each solver that has threads; by default those of this package
        (`pympf.get_num_threads`).
    near_nullspace : array_like, shape (n,) or (n, m), optional
        As in `pympf.solve`; given to all multigrid solvers that take one.
    block_size : int
        Unknowns of a node, given to all that take it.
    definite : bool, optional
        Whether a symmetric `A` is positive (semi)definite, if you know it. By default its diagonal
        and row sums tell, and where they don't, solvers for both kinds are asked.
    clock : {'wall', 'processor'}
        What ranks them: seconds on the wall, or of the processor in all threads, for machines with
        other work, on one thread.
    memory_bytes : int, optional
        Address space of each process; by default two thirds of the machine's memory.
    progress : callable, optional
        ``progress(trial)`` after each solver. A true value stops the comparison there.

    Returns
    -------
    Comparison
        A sequence of `Trial`, the fastest first. ``print`` shows a table and the advice; ``best``,
        ``advice``, ``call`` (the lines to copy), ``as_dict()`` and ``plot(path)`` are the rest.
        A trial has ``setup_s``, ``solve_s``, ``total_s``, ``iterations``, ``true_residual``,
        ``memory_bytes`` (peak of the process during setup and solve, above the matrix in the
        solver's own format), ``call``, and a ``verdict``: 'fastest', 'converged', 'not converged'
        (as the solver itself says), 'wrong residual' (it says nothing), 'timed out', 'out of
        memory', 'crashed', 'refused', 'not installed', 'not suited' (to this kind of matrix;
        not run). ``detail`` has the solver's own words.

    Raises
    ------
    ValueError, TypeError
        If the matrix, the vector or an option is refused.

    Examples
    --------
    >>> import pympf
    >>> A = pympf.gallery.poisson((30, 30))
    >>> comparison = pympf.compare(A, solvers=["pympf ict", "SciPy splu"], runs=1, threads=1)
    >>> sorted((trial.solver, trial.solved) for trial in comparison)
    [('SciPy splu', True), ('pympf ict', True)]
    >>> comparison["SciPy splu"].call.splitlines()[-1][:7]
    'x = spl'
    """
    chosen = selected(solvers)
    limit_s = checks.positive(limit_s, "limit_s")
    runs, solves = checks.integer(runs, "runs"), checks.integer(solves, "solves")
    threads = _engine.get_num_threads() if threads is None else checks.integer(threads, "threads")
    clock = checks.choice(clock, "clock", list(CLOCKS))
    most_bytes = checks.integer(memory_bytes or _two_thirds(), "memory_bytes")
    if progress is not None and not callable(progress):
        raise TypeError(f"progress is a {type(progress).__name__}, expected a callable")
    checks.number(rtol, "rtol", 0, below=1)
    system = _system(A, b, near_nullspace, block_size, definite)
    system = replace(system, rtol=rtol, maxiter=checks.integer(maxiter, "maxiter"))
    trials = []
    with tempfile.TemporaryDirectory(prefix="pympf-compare-") as folder:
        file = Path(folder) / "system.npz"
        system.save(file)
        for solver in chosen:
            how = {"runs": runs, "limit_s": limit_s, "threads": threads, "most_bytes": most_bytes}
            trials.append(_trial(solver, system, file, clock, solves, **how))
            if progress is not None and progress(trials[-1]):
                break
    options: dict[str, Any] = {"limit_s": limit_s, "rtol": rtol, "runs": runs, "solves": solves}
    options |= {"threads": threads, "clock": clock}
    return Comparison(report.ranked(trials), _facts(system), options, _environment(chosen))


def _system(A: Any, b: Any, near_nullspace: Any, block_size: Any, definite: bool | None) -> System:
    csr = as_csr(A, symmetric=False).astype(np.float64)
    n, block_size = csr.shape[0], checks.integer(block_size, "block_size")
    if n % block_size:
        raise ValueError(f"block_size = {block_size} does not divide the {n} rows of A")
    if definite is not None and not isinstance(definite, bool):
        raise TypeError(f"definite: expected True, False or None, got {definite!r}")
    if b is None:
        b = csr @ np.random.default_rng(0).standard_normal(n)
    right = as_vector(b, n, np.float64)
    if right.ndim > 1 and right.shape[1] > 1:
        raise ValueError(
            f"b: expected shape ({n},), got {right.shape}; to weigh setups for several right-hand "
            f"sides, give one of them and solves={right.shape[1]}"
        )
    right = right.reshape(n)
    if not right.any():
        raise ValueError("b: expected a nonzero vector, since residuals are relative to its norm")
    vectors = None
    if near_nullspace is not None:
        vectors = as_vector(near_nullspace, n, np.float64, "near_nullspace").reshape(n, -1)
    symmetric = is_symmetric(csr)
    if symmetric and definite is None:
        definite = is_definite(csr)
    kernel = kernel_of(csr) if symmetric else None
    return System(csr, right, definite, kernel, vectors, block_size, symmetric)


def _two_thirds() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 2 // 3


def _trial(
    solver: Solver, system: System, file: Path, clock: str, solves: int, **how: Any
) -> Trial:
    """Run one solver, unless it is not for this kind of matrix."""
    trial = Trial(solver.name, solver.package, report.NOT_SUITED, call=solver.call(system))
    if not solver.suits(system):
        return replace(trial, detail=f"needs {solver.needs}")
    if not installed(solver):
        package = REQUIREMENTS.get(solver.package, solver.package)
        return replace(trial, verdict=report.NOT_INSTALLED, detail=f"pip install {package}")
    lines, end = _process.told(file, solver.name, **how)
    ran = [line for line in lines if "times" in line]
    if not ran:
        last = lines[-1] if lines else {"state": "ready"}
        if end or last["state"] == "ready":
            verdict, _, detail = (end or "crashed").partition(": ")
            detail = detail or (f"{how['limit_s']:g} s" if verdict == "timed out" else "")
        else:
            verdict, detail = last["state"], last["text"]
        return replace(trial, verdict=verdict, detail=detail)
    return _measured(trial, system, ran, clock, solves)


def _measured(
    trial: Trial, system: System, ran: list[dict[str, Any]], clock: str, solves: int
) -> Trial:
    """Return what the runs of a solver came to; the first one warms up, where there are more."""
    first, counted = ran[0], ran[1:] if ran[0]["warm_up"] and len(ran) > 1 else ran
    setup_s, solve_s = (
        statistics.median(line["times"][clock][part] for line in counted) for part in (0, 1)
    )
    verdict, detail = _verdict(system, first["residual"], first["trouble"])
    steps, last = first["steps"], max(first["steps"], default=0) or 1
    return replace(
        trial,
        verdict=verdict,
        detail=detail,
        setup_s=setup_s,
        solve_s=solve_s,
        total_s=setup_s + solves * solve_s,
        iterations=first["iterations"],
        true_residual=first["residual"],
        memory_bytes=first["bytes"],
        runs=len(counted),
        choice=first["choice"],
        history=[
            (setup_s + solve_s * step / last, norm)
            for step, norm in zip(steps, first["history"], strict=True)
        ],
    )


def _verdict(system: System, residual: float, trouble: str) -> tuple[str, str]:
    if system.solved(residual):
        return report.CONVERGED, ""
    if trouble:
        return report.NOT_CONVERGED, trouble
    return report.WRONG, f"{residual:.1e} is above {system.rtol:g}, and the solver does not say so"


def _facts(system: System) -> dict[str, Any]:
    definite = {True: "positive definite", False: "indefinite", None: "definite or not"}
    if system.symmetric and system.definite and system.kernel is not None:
        definite[True] = "positive semidefinite"
    return {
        "rows": system.A.shape[0],
        "nnz": int(system.A.nnz),
        "symmetry": f"symmetric, {definite[system.definite]}" if system.symmetric else "general",
        "singular": system.kernel is not None,
        "block_size": system.block_size,
        "near_nullspace": 0 if system.near_nullspace is None else system.near_nullspace.shape[1],
    }


def _environment(solvers: list[Solver]) -> dict[str, Any]:
    names = {"pympf": "pmmf", **REQUIREMENTS}
    versions: dict[str, str] = {}
    for package in dict.fromkeys(solver.package for solver in solvers):
        try:
            versions[package] = version(names.get(package, package))
        except PackageNotFoundError:
            continue
    return {"python": platform.python_version(), "machine": platform.machine(), **versions}
