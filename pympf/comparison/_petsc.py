"""PETSc: its Krylov methods with its own preconditioners and hypre's, and MUMPS.

It works on all ranks of the job: each takes a contiguous range of rows, and all get the whole
answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pympf.comparison.solver import (
    DEFINITE,
    GENERAL,
    INDEFINITE,
    NOT_CG,
    SYMMETRIC,
    Answer,
    Prepare,
    Setup,
    Solve,
    Solver,
)
from pympf.comparison.system import System

BOOMER = {"pc_type": "hypre", "pc_hypre_type": "boomeramg"}
MUMPS = {"pc_factor_mat_solver_type": "mumps"}
ROUNDS = 4  # of MINRES, each after the true residual of the last


def by(krylov: str, **options: Any) -> Prepare:
    """Return what solves by a Krylov method of PETSc ('preonly': by a factorization alone)."""
    return lambda system: _prepared(system, krylov, options)


def mumps(system: System) -> Setup:
    """Prepare a symmetric factorization by MUMPS.

    Null pivots are looked for only where there are any: that costs.
    """
    singular = {} if system.kernel is None else {"mat_mumps_icntl_24": 1}
    return _prepared(system, "preonly", {"pc_type": "cholesky", **MUMPS, **singular})


def _own(system: System) -> slice:
    """Give the rows of this rank: whole nodes."""
    from petsc4py import PETSc

    rank, size, block = PETSc.COMM_WORLD.rank, PETSc.COMM_WORLD.size, system.block_size
    nodes = system.A.shape[0] // block
    return slice(nodes * rank // size * block, nodes * (rank + 1) // size * block)


def _prepared(system: System, krylov: str, options: dict[str, Any]) -> Setup:
    from petsc4py import PETSc

    if PETSc.COMM_WORLD.size > 1 and options["pc_type"] == "icc":  # which is for one rank
        options = {**options, "pc_type": "bjacobi", "sub_pc_type": "icc"}
    A, b = _matrix(system, direct=krylov == "preonly"), system.b[_own(system)].copy()
    known = PETSc.Options()
    for name, value in {"ksp_type": krylov, **options}.items():
        known[name] = value
    b = PETSc.Vec().createWithArray(b)

    def setup() -> Solve:
        ksp = PETSc.KSP().create()
        ksp.setOperators(A)
        ksp.setTolerances(rtol=system.rtol, atol=0, divtol=1e30, max_it=system.maxiter)
        if krylov == "gmres":
            ksp.setPCSide(PETSc.PC.Side.RIGHT)
        if krylov == "cg":  # MINRES knows the norm of the preconditioner only
            ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
        ksp.setConvergenceHistory(system.maxiter + 1)
        ksp.setFromOptions()
        ksp.setUp()
        return lambda: _solve(system, ksp, b)

    return setup


def _matrix(system: System, direct: bool) -> Any:
    from petsc4py import PETSc

    own = _own(system)
    part = system.A[own]
    A = PETSc.Mat().createAIJ(
        ((part.shape[0], None), (part.shape[0], None)),
        bsize=system.block_size,
        csr=(part.indptr, part.indices, part.data),
    )
    A.setOption(PETSc.Mat.Option.SYMMETRIC, system.symmetric)
    if system.symmetric and system.definite and system.kernel is None:
        A.setOption(PETSc.Mat.Option.SPD, True)
    if system.kernel is not None and not direct:
        A.setNullSpace(_vectors(system.kernel[own]))
    if system.near_nullspace is not None:
        A.setNearNullSpace(_vectors(np.linalg.qr(system.near_nullspace)[0][own]))
    return A


def _vectors(columns: Any) -> Any:
    from petsc4py import PETSc

    vectors = [PETSc.Vec().createWithArray(np.ascontiguousarray(v)) for v in columns.T]
    return PETSc.NullSpace().create(vectors=vectors)


def _whole(x: Any) -> Any:
    """Gather the parts of all ranks."""
    from petsc4py import PETSc

    scatter, whole = PETSc.Scatter.toAll(x)
    scatter.scatter(x, whole)
    return whole.array.copy()


def _solve(system: System, ksp: Any, b: Any) -> Answer:
    """Solve; MINRES goes on until the true residual is small, and not only the one it watches."""
    x, iterations, rtol = b.duplicate(), 0, system.rtol
    x.set(0)
    for _ in range(ROUNDS):
        ksp.solve(b, x)
        iterations += ksp.getIterationNumber()
        left = system.residual(_whole(x)) if ksp.getType() == "minres" else 0.0
        if left <= system.rtol or ksp.getConvergedReason() < 0:
            break
        rtol *= 0.5 * system.rtol / left
        ksp.setTolerances(rtol=rtol, max_it=max(system.maxiter - iterations, 1))
        ksp.setInitialGuessNonzero(True)
    ksp.setInitialGuessNonzero(False)
    ksp.setTolerances(rtol=system.rtol, max_it=system.maxiter)
    direct, norms = ksp.getType() == "preonly", np.array(ksp.getConvergenceHistory())
    usable = not direct and len(norms) and norms[0] > 0
    history = norms / norms[0] if usable else np.empty(0)
    return Answer(_whole(x), None if direct else iterations, _trouble(ksp), history=history)


def _trouble(ksp: Any) -> str:
    reason = ksp.getConvergedReason()
    if reason > 0:
        return ""
    names = vars(type(ksp).ConvergedReason).items()
    return next((name.lower() for name, value in names if value == reason), str(reason))


# ---- the calls to copy ---------------------------------------------------------------------------


def _call(krylov: str, **options: Any) -> Callable[[System], str]:
    def call(system: System) -> str:
        direct = krylov == "preonly"
        given = {"ksp_type": krylov, **options}
        if options.get("pc_type") == "cholesky":
            given |= {} if system.kernel is None else {"mat_mumps_icntl_24": 1}
        known = [f"mat.setOption(PETSc.Mat.Option.SYMMETRIC, {system.symmetric})"]
        if system.kernel is not None and not direct:
            constant = system.kernel.shape[1] == 1 and system.kernel.all()
            known.append(
                f"mat.setNullSpace({CONSTANT if constant else _call_vectors('nullspace')})"
            )
        if system.near_nullspace is not None and not direct:
            known.append(f"mat.setNearNullSpace({_call_vectors('near_nullspace')})")
        lines = [
            "from petsc4py import PETSc",
            f"mat = PETSc.Mat().createAIJ(A.shape, bsize={system.block_size}, "
            "csr=(A.indptr, A.indices, A.data))",
            *known,
            "ksp = PETSc.KSP().create()",
            "ksp.setOperators(mat)",
            *(f'PETSc.Options()["{name}"] = {value!r}' for name, value in given.items()),
            f"ksp.setTolerances(rtol={system.rtol:g}, atol=0, max_it={system.maxiter})",
            *(["ksp.setPCSide(PETSc.PC.Side.RIGHT)"] if krylov == "gmres" else []),
            *(["ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)"] if krylov == "cg" else []),
            "ksp.setFromOptions()",
            "u, v = mat.createVecs()",
            "v.array = b",
            "ksp.solve(v, u)",
            "x = u.array.copy()",
        ]
        return "\n".join(lines)

    return call


CONSTANT = "PETSc.NullSpace().create(constant=True)"


def _call_vectors(name: str) -> str:
    columns = f"[PETSc.Vec().createWithArray(v) for v in np.linalg.qr({name})[0].T.copy()]"
    return f"PETSc.NullSpace().create(vectors={columns})"


def solvers() -> list[Solver]:
    """List them."""

    def one(name: str, needs: str, krylov: str, **options: Any) -> Solver:
        return Solver(
            f"PETSc {name}", "petsc4py", by(krylov, **options), _call(krylov, **options), needs
        )

    amg = {"GAMG": {"pc_type": "gamg"}, "hypre BoomerAMG": BOOMER}
    return [
        one("CG Jacobi", DEFINITE, "cg", pc_type="jacobi"),
        one("CG ICC", DEFINITE, "cg", pc_type="icc"),
        *(one(f"CG {name}", DEFINITE, "cg", **options) for name, options in amg.items()),
        one("MINRES Jacobi", INDEFINITE, "minres", pc_type="jacobi", pc_jacobi_abs=True),
        one("GMRES ILU", NOT_CG, "gmres", pc_type="ilu"),
        *(one(f"GMRES {name}", GENERAL, "gmres", **options) for name, options in amg.items()),
        Solver(
            "PETSc MUMPS LDLT",
            "petsc4py",
            mumps,
            _call("preonly", pc_type="cholesky", **MUMPS),
            SYMMETRIC,
        ),
        one("MUMPS LU", NOT_CG, "preonly", pc_type="lu", **MUMPS),
    ]
