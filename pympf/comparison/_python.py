"""Solvers of SciPy, PyAMG, PARDISO (pypardiso) and CHOLMOD (scikit-sparse)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, cg, gmres, spilu, splu

from pympf.comparison.solver import (
    DEFINITE,
    GENERAL,
    NOT_CG,
    SYMMETRIC,
    Answer,
    Prepare,
    Setup,
    Solve,
    Solver,
    arguments,
)
from pympf.comparison.system import System
from pympf.krylov import solve
from pympf.solution import Solution

Vector = NDArray[np.float64]
Krylov = Callable[[System, Callable[[Vector], Vector]], Answer]
"""Solves a system with a preconditioner."""
MAX_IT = "diverged_max_it"
# The usual threshold for strong couplings. PyAMG's default, 0, takes all for strong.
THETA = 0.08
RESTART = 30
WHOLE_BASIS = 200  # iterations of PyAMG's GMRES, which keeps all its basis


# ---- Krylov methods that take a preconditioner ---------------------------------------------------


def our_gmres(system: System, M: Callable[[Vector], Vector]) -> Answer:
    """Solve by GMRES(30) of this package, from the right."""
    solution = solve(
        system.A,
        system.b,
        method="gmres",
        preconditioner=M,
        rtol=system.rtol,
        maxiter=system.maxiter,
    )
    assert isinstance(solution, Solution)
    trouble = "" if solution.converged else solution.reason
    return Answer(solution.x, solution.iterations, trouble)


def scipy_gmres(system: System, M: Callable[[Vector], Vector]) -> Answer:
    """Solve by GMRES(30) of SciPy."""
    norms = [1.0]
    x, info = gmres(
        system.A,
        system.b,
        rtol=system.rtol,
        restart=RESTART,
        maxiter=-(-system.maxiter // RESTART),
        M=LinearOperator(system.A.shape, matvec=M, dtype=float),
        callback=norms.append,
        callback_type="pr_norm",
    )
    trouble = MAX_IT if info > 0 else ""
    return Answer(x, len(norms) - 1, trouble, history=np.array(norms, dtype=float))


def incomplete(krylov: Krylov) -> Prepare:
    """Return what preconditions a Krylov method by SuperLU's ILUTP, as SciPy has it."""

    def prepare(system: System) -> Setup:
        A = sp.csc_matrix(system.A)

        def setup() -> Solve:
            factor = spilu(A, drop_tol=1e-3, fill_factor=10)
            return lambda: krylov(system, factor.solve)

        return setup

    return prepare


def _scipy_cg(system: System) -> Setup:
    def setup() -> Solve:
        D = sp.diags_array(1 / system.A.diagonal())
        return lambda: iterate(D)

    def iterate(D: Any) -> Answer:
        steps: list[None] = []
        x, info = cg(
            system.A,
            system.b,
            rtol=system.rtol,
            maxiter=system.maxiter,
            M=D,
            callback=lambda _: steps.append(None),
        )
        return Answer(x, len(steps), MAX_IT if info > 0 else "")

    return setup


# ---- direct solvers ------------------------------------------------------------------------------


def factored(**options: Any) -> Prepare:
    """Return what solves by SciPy's `splu` with these options."""

    def prepare(system: System) -> Setup:
        A = sp.csc_matrix(system.A)
        return lambda: _direct(splu(A, **options).solve, system)

    return prepare


def _splu(system: System) -> Setup:
    return factored(**_splu_options(system))(system)


def _splu_options(system: System) -> dict[str, Any]:
    """Return what SuperLU's manual advises for a positive definite matrix; else its defaults."""
    if not (system.symmetric and system.definite):
        return {}
    symmetric = {"SymmetricMode": True}
    return {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0, "options": symmetric}


def _direct(factor: Callable[[Vector], Any], system: System) -> Solve:
    return lambda: Answer(np.asarray(factor(system.b), dtype=float).ravel())


PARDISO_TYPE = {True: 2, None: -2, False: -2}  # real and symmetric: definite or not


def pardiso(symmetric: bool) -> Prepare:
    """Return LLᵀ or LDLᵀ of a symmetric matrix, or LU as pypardiso does by itself."""

    def prepare(system: System) -> Setup:
        from pypardiso import PyPardisoSolver

        kind = PARDISO_TYPE[system.definite] if symmetric else 11
        A = sp.csr_matrix(_with_diagonal(system.A) if symmetric else system.A)
        solver = PyPardisoSolver(mtype=kind)  # which looks for MKL on the disk: 0.2 s

        def setup() -> Solve:
            solver.factorize(A)
            return _direct(lambda b: solver.solve(A, b), system)

        return setup

    return prepare


def _with_diagonal(A: Any) -> Any:
    """Return the upper triangle with every diagonal entry stored, which PARDISO asks for."""
    upper = sp.triu(A, format="coo")
    missing = np.setdiff1d(np.arange(A.shape[0]), upper.row[upper.row == upper.col])
    i, j = (np.concatenate([at, missing]) for at in (upper.row, upper.col))
    values = np.concatenate([upper.data, np.zeros(len(missing))])
    return sp.csr_matrix((values, (i, j)), shape=A.shape)


def _cholmod(system: System) -> Setup:
    from sksparse import cholmod

    A = sp.csc_matrix(system.A)
    if hasattr(cholmod, "cho_factor"):  # since version 0.5
        B = sp.csc_array(A)
        return lambda: _direct(cholmod.cho_factor(B).solve, system)
    return lambda: _direct(cholmod.cholesky(A), system)


# ---- PyAMG ---------------------------------------------------------------------------------------


def smoothed_aggregation(theta: float | None = None) -> Prepare:
    """Return what solves by CG or GMRES with smoothed aggregation, with a strength or without."""

    def hierarchy(A: Any, system: System) -> Any:
        import pyamg

        given = {} if theta is None else {"strength": ("symmetric", {"theta": theta})}
        symmetry = "symmetric" if system.symmetric else "nonsymmetric"
        return pyamg.smoothed_aggregation_solver(
            A, B=system.near_nullspace, symmetry=symmetry, **given
        )

    return lambda system: _pyamg(system, hierarchy, system.block_size)


def _ruge_stuben(system: System) -> Setup:
    import pyamg

    return _pyamg(system, lambda A, _: pyamg.ruge_stuben_solver(A), 1)


def _pyamg(system: System, build: Callable[[Any, System], Any], size: int) -> Setup:
    import pyamg  # noqa: F401  that it is missing is to be said before the clock runs

    A = sp.csr_matrix(system.A)
    matrix = A if size == 1 else sp.bsr_matrix(A, blocksize=(size, size))

    def setup() -> Solve:
        hierarchy = build(matrix, system)
        return lambda: _cycles(hierarchy, system)

    return setup


def _cycles(hierarchy: Any, system: System) -> Answer:
    norms: list[float] = []
    x, info = hierarchy.solve(
        system.b,
        tol=system.rtol,
        maxiter=_most_cycles(system),
        accel="cg" if system.symmetric else "gmres",
        residuals=norms,
        return_info=True,
    )
    trouble = "" if info == 0 else "not positive definite" if info < 0 else MAX_IT
    history = np.array(norms) / norms[0] if norms and norms[0] > 0 else np.empty(0)
    return Answer(x, max(len(norms) - 1, 0), trouble, history=history)


def _most_cycles(system: System) -> int:
    return system.maxiter if system.symmetric else min(system.maxiter, WHOLE_BASIS)


def air(system: System) -> Setup:
    """Prepare PyAMG's AIR as a preconditioner of our GMRES."""
    import pyamg

    A = sp.csr_matrix(system.A)

    def setup() -> Solve:
        M = pyamg.air_solver(A).aspreconditioner()
        return lambda: our_gmres(system, lambda r: M @ r)

    return setup


# ---- the calls to copy ---------------------------------------------------------------------------


def _call_cg(system: System) -> str:
    return (
        "import scipy.sparse as sp\nfrom scipy.sparse.linalg import cg\n"
        f"x, info = cg(A, b, rtol={system.rtol:g}, maxiter={system.maxiter}, "
        "M=sp.diags_array(1 / A.diagonal()))"
    )


def _call_gmres(system: System) -> str:
    return (
        "import scipy.sparse as sp\nfrom scipy.sparse.linalg import LinearOperator, gmres, spilu\n"
        "M = spilu(sp.csc_matrix(A), drop_tol=1e-3, fill_factor=10)\n"
        f"x, info = gmres(A, b, rtol={system.rtol:g}, restart={RESTART}, "
        "M=LinearOperator(A.shape, matvec=M.solve))"
    )


def _call_splu(system: System) -> str:
    options = "".join(f", {name}={value!r}" for name, value in _splu_options(system).items())
    return (
        "import scipy.sparse as sp\nfrom scipy.sparse.linalg import splu\n"
        f"x = splu(sp.csc_matrix(A){options}).solve(b)"
    )


def _call_pardiso_lu(_: System) -> str:
    return "import pypardiso, scipy.sparse as sp\nx = pypardiso.spsolve(sp.csr_matrix(A), b)"


def _call_pardiso(system: System) -> str:
    return (
        "import pypardiso, scipy.sparse as sp\n"
        "U = sp.csr_matrix(sp.triu(A))  # with every diagonal entry stored\n"
        f"x = pypardiso.PyPardisoSolver(mtype={PARDISO_TYPE[system.definite]}).solve(U, b)"
    )


def _call_cholmod(_: System) -> str:
    return (
        "import scipy.sparse as sp\nfrom sksparse.cholmod import cholesky\n"
        "x = cholesky(sp.csc_matrix(A))(b)  # since 0.5: cho_factor(sp.csc_array(A)).solve(b)"
    )


def _call_aggregation(theta: float | None = None) -> Callable[[System], str]:
    def call(system: System) -> str:
        size = system.block_size
        matrix = f"sp.bsr_matrix(A, blocksize=({size}, {size}))" if size > 1 else "sp.csr_matrix(A)"
        given = arguments(
            B=None if system.near_nullspace is None else "near_nullspace",
            symmetry='"symmetric"' if system.symmetric else '"nonsymmetric"',
            strength=None if theta is None else f'("symmetric", {{"theta": {theta}}})',
        )
        return _call_cycles(system, f"smoothed_aggregation_solver({matrix}{given})")

    return call


def _call_cycles(system: System, build: str) -> str:
    given = arguments(tol=f"{system.rtol:g}", maxiter=_most_cycles(system))
    accel = "cg" if system.symmetric else "gmres"
    return (
        "import pyamg, scipy.sparse as sp\n"
        f'M = pyamg.{build}\nx = M.solve(b{given}, accel="{accel}")'
    )


def _call_ruge_stuben(system: System) -> str:
    return _call_cycles(system, "ruge_stuben_solver(sp.csr_matrix(A))")


def _call_air(system: System) -> str:
    return (
        "import pyamg, pympf, scipy.sparse as sp\n"
        "M = pyamg.air_solver(sp.csr_matrix(A)).aspreconditioner()\n"
        f'x = pympf.solve(A, b, method="gmres", preconditioner=M, rtol={system.rtol:g}).x'
    )


def solvers() -> list[Solver]:
    """List them."""
    return [
        Solver("SciPy CG Jacobi", "scipy", _scipy_cg, _call_cg, DEFINITE),
        Solver("SciPy GMRES spilu", "scipy", incomplete(scipy_gmres), _call_gmres, NOT_CG),
        Solver("SciPy splu", "scipy", _splu, _call_splu),
        Solver("PyAMG SA", "pyamg", smoothed_aggregation(), _call_aggregation()),
        Solver(
            f"PyAMG SA θ={THETA}", "pyamg", smoothed_aggregation(THETA), _call_aggregation(THETA)
        ),
        Solver("PyAMG RS", "pyamg", _ruge_stuben, _call_ruge_stuben),
        Solver("PyAMG AIR", "pyamg", air, _call_air, GENERAL),
        Solver("PARDISO LDLT", "pypardiso", pardiso(True), _call_pardiso, SYMMETRIC),
        Solver("PARDISO LU", "pypardiso", pardiso(False), _call_pardiso_lu, NOT_CG),
        Solver("CHOLMOD", "sksparse", _cholmod, _call_cholmod, DEFINITE),
    ]
