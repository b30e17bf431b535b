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

from pympf.krylov import solve
from pympf.mmf import Mmf

RTOL = 1e-8
MAX_ITERATIONS = 3000

Solver = Callable[[sp.csr_array, NDArray[np.float64]], "Trial"]


@dataclass(frozen=True)
class Trial:
    """What one solver reached and what it cost; `history` holds residual norms relative to b."""

    x: NDArray[np.float64]
    iterations: int | None
    converged: bool
    setup_s: float
    solve_s: float
    true_residual: float
    history: NDArray[np.float64]
    factorization: Mmf | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers that a table shows."""
        names = ("iterations", "converged", "setup_s", "solve_s", "true_residual")
        return {name: getattr(self, name) for name in names}


def solvers() -> dict[str, Solver]:
    """Name the solvers; the one of PyAMG is there when PyAMG is."""
    found: dict[str, Solver] = {
        "CG": lambda A, b: _cg(A, b, "none"),
        "CG + Jacobi": lambda A, b: _cg(A, b, "jacobi"),
        "CG + MMF": lambda A, b: _cg(A, b, "mmf"),
    }
    if find_spec("pyamg"):
        found["CG + PyAMG"] = _smoothed_aggregation
    return {**found, "sparse LU": _sparse_lu}


def _cg(A: sp.csr_array, b: NDArray[np.float64], preconditioner: Any, setup_s: float = 0) -> Trial:
    solution = solve(
        A, b, method="cg", preconditioner=preconditioner, rtol=RTOL, maxiter=MAX_ITERATIONS
    )
    return Trial(
        solution.x,
        solution.iterations,
        solution.converged,
        setup_s + solution.setup_s,
        solution.solve_s,
        solution.true_residual,
        solution.history / solution.history[0],
        solution.factorization,
    )


def _smoothed_aggregation(A: sp.csr_array, b: NDArray[np.float64]) -> Trial:
    import pyamg

    start = time.perf_counter()
    # The usual threshold of strong couplings; with PyAMG's default, 0, the jumps of the weights
    # cost it fifteen times as many iterations.
    strength = ("symmetric", {"theta": 0.08})
    M = pyamg.smoothed_aggregation_solver(A, strength=strength).aspreconditioner()
    return _cg(A, b, M, time.perf_counter() - start)


def _sparse_lu(A: sp.csr_array, b: NDArray[np.float64]) -> Trial:
    start = time.perf_counter()
    factors = splu(
        A.tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0,
        options={"SymmetricMode": True},
    )
    factored = time.perf_counter()
    x = factors.solve(b)
    solve_s = time.perf_counter() - factored
    residual = float(np.linalg.norm(b - A @ x) / np.linalg.norm(b))
    return Trial(
        x, None, residual <= RTOL, factored - start, solve_s, residual, np.array([1.0, residual])
    )
