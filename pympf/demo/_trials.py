"""The solvers that the demo compares, all on the same system and to the same accuracy."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

from pympf.krylov import Solution, solve
from pympf.mmf import Report
from pympf.precond import PreconditionerReport

RTOL = 1e-8
MAX_ITERATIONS = 5000

PLAIN, JACOBI, CLASSIC = "CG", "CG + Jacobi", "CG + classic MMF"
MMF, AMG, LU = "CG + MMF", "CG + PyAMG", "sparse LU"

Solver = Callable[[sp.csr_array, NDArray[np.float64]], "Trial"]


@dataclass(frozen=True)
class Trial:
    """What one solver reached and what it cost; `history` holds residual norms relative to b."""

    x: NDArray[np.float64]
    iterations: int | None
    reason: str
    converged: bool
    setup_s: float
    solve_s: float
    true_residual: float
    history: NDArray[np.float64]
    report: PreconditionerReport | Report | None = None

    @property
    def total_s(self) -> float:
        """Seconds from the matrix to the solution."""
        return self.setup_s + self.solve_s

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers as plain data, fit for JSON."""
        names = ("iterations", "reason", "converged", "setup_s", "solve_s", "true_residual")
        setup = self.report.as_dict() if self.report else None
        return {**{name: getattr(self, name) for name in names}, "setup": setup}


def solvers() -> dict[str, Solver]:
    """Name the solvers; the one of PyAMG is among them when PyAMG is installed."""
    found: dict[str, Solver] = {
        PLAIN: lambda A, b: _cg(A, b, "none"),
        JACOBI: lambda A, b: _cg(A, b, "jacobi"),
        CLASSIC: lambda A, b: _cg(A, b, "classic"),
        MMF: lambda A, b: _cg(A, b, "mmf"),
    }
    if find_spec("pyamg"):
        found[AMG] = _smoothed_aggregation
    return {**found, LU: _sparse_lu}


def _cg(
    A: sp.csr_array, b: NDArray[np.float64], preconditioner: Any, setup_s: float = 0.0
) -> Trial:
    solution = solve(
        A, b, method="cg", preconditioner=preconditioner, rtol=RTOL, maxiter=MAX_ITERATIONS
    )
    assert isinstance(solution, Solution)  # b is one vector
    return Trial(
        x=solution.x,
        iterations=solution.iterations,
        reason=solution.reason,
        converged=solution.converged,
        setup_s=setup_s + solution.setup_s,
        solve_s=solution.solve_s,
        true_residual=solution.true_residual,
        history=solution.history / solution.history[0],
        report=solution.operator.report() if solution.operator else None,
    )


def _smoothed_aggregation(A: sp.csr_array, b: NDArray[np.float64]) -> Trial:
    import pyamg

    start = time.perf_counter()
    # The usual threshold for strong couplings; with PyAMG's default, 0, the jumps of the weights
    # cost it more than ten times as many iterations.
    strength = ("symmetric", {"theta": 0.08})
    M = pyamg.smoothed_aggregation_solver(A, strength=strength).aspreconditioner()
    return _cg(A, b, M, setup_s=time.perf_counter() - start)


def _sparse_lu(A: sp.csr_array, b: NDArray[np.float64]) -> Trial:
    start = time.perf_counter()
    # What SuperLU's manual advises for a symmetric positive definite matrix.
    factors = splu(
        A.tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0,
        options={"SymmetricMode": True},
    )
    factored = time.perf_counter()
    x = factors.solve(b)
    solved = time.perf_counter()
    residual = float(np.linalg.norm(b - A @ x) / np.linalg.norm(b))
    return Trial(
        x=x,
        iterations=None,
        reason="direct",
        converged=residual <= RTOL,
        setup_s=factored - start,
        solve_s=solved - factored,
        true_residual=residual,
        history=np.array([1.0, residual]),
    )
