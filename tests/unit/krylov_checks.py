"""Checks and systems that several files of tests of `solve` share."""

import numpy as np
import pytest

import pympf

from ..helpers import (
    rounding,
)

METHODS = ["cg", "fcg", "minres", "gmres", "fgmres"]
BUILT = ["mmf", "multilevel", "ict", "classic"]


def preconditioner(name, A):
    """Give what stands for a preconditioner of this name, and the name that is reported."""
    F = pympf.factorize(A, core_size=20)
    return {
        "operator": (F.preconditioner(), "operator"),
        "callable": (F.preconditioner().matvec, "callable"),
        "factorization": (F, "classic"),
        "given": (pympf.as_preconditioner(A), "given"),
    }.get(name, (name, name))


def true_residual(A, solution, b):
    return np.linalg.norm(b - A @ solution.x.astype(np.float64)) / np.linalg.norm(b)


def check(A, b, solution, rtol=1e-8, dtype=np.float64):
    """Check that a solution is one, and that it tells the truth."""
    assert solution.converged, solution.reason
    assert solution.reason == "converged_rtol"
    residual = true_residual(A, solution, b)
    assert residual <= 10 * rtol
    assert solution.true_residual == pytest.approx(residual, rel=0.01, abs=rounding(100, dtype))
    assert solution.x.dtype == dtype
    assert solution.iterations == len(solution.history) - 1
    assert min(solution.setup_s, solution.solve_s) >= 0
