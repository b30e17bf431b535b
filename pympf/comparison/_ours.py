"""`pympf.solve`, by its own plan and by each method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pympf._options_of_solve import METHOD_OF
from pympf.comparison.solver import SMALL, SYMMETRIC, Answer, Prepare, Setup, Solver, arguments
from pympf.comparison.system import System
from pympf.krylov import solve
from pympf.precond import CLASSIC
from pympf.solution import Solution

PYMPF = "pympf"
WITH_VECTORS = ("mmf", "multilevel")  # which take a near-nullspace


def by(preconditioner: str, **params: Any) -> Prepare:
    """Return what solves by one of our preconditioners."""

    def prepare(system: System) -> Setup:
        known: dict[str, Any] = {}
        if preconditioner in WITH_VECTORS:
            known = {"near_nullspace": system.near_nullspace, "block_size": system.block_size}
        given = {"preconditioner": preconditioner, **known, **params}
        return lambda: lambda: _answer(system, given)

    return prepare


def _answer(system: System, given: dict[str, Any]) -> Answer:
    solution = solve(system.A, system.b, rtol=system.rtol, maxiter=system.maxiter, **given)
    assert isinstance(solution, Solution)  # b is one vector
    first = solution.history[0] if len(solution.history) else 0.0
    return Answer(
        solution.x,
        solution.iterations,
        trouble="" if solution.converged else solution.reason,
        choice=solution.choice,
        setup_part=solution.setup_s / max(solution.setup_s + solution.solve_s, 1e-12),
        history=solution.history / first if first > 0 else np.empty(0),
    )


def _call(preconditioner: str) -> Callable[[System], str]:
    def call(system: System) -> str:
        vectors = preconditioner in WITH_VECTORS and system.near_nullspace is not None
        blocks = preconditioner in WITH_VECTORS and system.block_size > 1
        given = arguments(
            preconditioner=None if preconditioner == "mmf" else f'"{preconditioner}"',
            near_nullspace="near_nullspace" if vectors else None,
            block_size=system.block_size if blocks else None,
            rtol=f"{system.rtol:g}",
        )
        return f"x = pympf.solve(A, b{given}).x"

    return call


def solvers() -> list[Solver]:
    """List them, our own plan first."""
    found = [Solver(PYMPF, "pympf", by("mmf"), _call("mmf"))]
    needs = {CLASSIC: SMALL, "two_level": SYMMETRIC}
    return found + [
        Solver(f"{PYMPF} {name}", "pympf", by(name), _call(name), needs.get(name, ""))
        for name in (*list(METHOD_OF)[1:], "jacobi")
    ]
