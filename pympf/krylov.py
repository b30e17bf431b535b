"""Solve A x = b by a preconditioned Krylov method."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator

from pympf import la
from pympf._engine import engine
from pympf.mmf import Mmf, Progress, factorize

__all__ = ["Solution", "solve"]

METHODS = ("auto", "cg", "minres", "gmres", "fgmres")
SIDES = ("right", "left")


@dataclass(frozen=True)
class Solution:
    """What `solve` found: see there."""

    x: NDArray[Any] = field(repr=False)
    converged: bool
    reason: str
    iterations: int
    history: NDArray[np.float64] = field(repr=False)
    true_residual: float
    setup_s: float
    solve_s: float
    method: str
    preconditioner: str
    factorization: Mmf | None = field(repr=False, default=None)


def solve(
    A: Any,
    b: ArrayLike,
    *,
    method: str = "auto",
    preconditioner: Any = "mmf",
    x0: ArrayLike | None = None,
    rtol: float | None = None,
    atol: float = 0.0,
    maxiter: int | None = None,
    restart: int = 30,
    side: str = "right",
    callback: Callable[[int, float], Any] | None = None,
    progress: Progress | None = None,
    **params: Any,
) -> Solution:
    """Solve A x = b.

    Not collective.

    Parameters
    ----------
    A : sparse array or matrix, 2-D array_like, or petsc4py.PETSc.Mat, shape (n, n)
        Real; symmetric unless `method` is 'gmres' or 'fgmres' and no factorization is made.
    b : array_like, shape (n,)
    method : {'auto', 'cg', 'minres', 'gmres', 'fgmres'}
        'auto': CG when all diagonal entries are positive and the factorization finds no negative
        eigenvalue, else MINRES; GMRES when `A` is not symmetric.
    preconditioner : {'mmf', 'jacobi', 'none'}, Mmf, LinearOperator or callable
        An `Mmf` F of `A` stands for its |F|⁻¹. An operator or callable takes r and returns M r,
        M ≈ A⁻¹; CG and MINRES need it symmetric positive definite.
    x0 : array_like, shape (n,), optional
        Initial guess; zero by default.
    rtol, atol : float
        Stop when ‖b − A x‖ ≤ max(rtol ‖b‖, atol). `rtol` is 1e-8 by default, 1e-5 in float32.
    maxiter : int, optional
        Most iterations; by default 10 000. When they are spent, ``x`` is the last iterate; but
        preconditioned MINRES, whose residual may grow in the 2-norm while it falls in that of the
        preconditioner, returns `x0` (or a later x whose true residual was computed) when that has
        the smaller residual, and says so by the reason 'diverged_residual_grew'.
    restart : int
        Basis vectors of GMRES and FGMRES between restarts; 0: no restart.
    side : {'right', 'left'}
        Side of the preconditioner in GMRES; from the left the history is that of M (b − A x).
    callback : callable, optional
        ``callback(iteration, residual_norm)`` after each iteration; a true value stops.
    progress : callable, optional
        As in `pympf.factorize`.
    **params
        Those of `pympf.factorize`, for ``preconditioner='mmf'``.

    Returns
    -------
    Solution
        ``converged`` speaks of the ``x`` returned: a method updates its residual by recurrence,
        and when that meets the tolerance above, b − A x is computed afresh. x has converged if
        the fresh norm is at most 10 times the tolerance (what rounding may have made of the
        recurrence); else the method starts again from x, and ends as 'diverged_stagnated' when
        that no longer helps. An x whose fresh norm meets the tolerance itself has converged
        whatever ended the run, except the callback. From the left the norms are those of
        M (b − A x) and M b.
        ``true_residual`` is ‖b − A x‖ / ‖b‖ of that x, whatever the side; ``history`` has the
        residual norms, the initial one first and the fresh one of x last; ``reason`` says why the
        run ended, 'converged_…' or not.

    Raises
    ------
    ValueError, TypeError
        If `A`, `b` or an option is refused.

    References
    ----------
    .. [1] Thesis, section 2.3.
    .. [2] Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd edition, SIAM, 2003.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> A = pympf.gallery.poisson((64, 64))
    >>> solution = pympf.solve(A, np.ones(4096), rtol=1e-6)
    >>> solution.method, solution.true_residual <= 1e-6
    ('cg', True)
    """
    _choice(method, METHODS, "method")
    _choice(side, SIDES, "side")
    if params and not (isinstance(preconditioner, str) and preconditioner == "mmf"):
        raise ValueError(f"{', '.join(params)}: only preconditioner='mmf' takes parameters")
    maxiter = 10_000 if maxiter is None else _count(maxiter, "maxiter")
    restart = _count(restart, "restart")
    if rtol is not None:
        _tolerance(rtol, "rtol", below=1.0)
    _tolerance(atol, "atol", below=np.inf)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback is a {type(callback).__name__}, expected a callable")
    A = la.as_csr(A, symmetric=False)
    b = _one_vector(b, A, "b")
    x = np.zeros_like(b) if x0 is None else _one_vector(x0, A, "x0").copy()

    if rtol is None:
        rtol = 1e-8 if A.dtype == np.float64 else 1e-5

    start = time.perf_counter()
    symmetric = la.is_symmetric(A)
    if method in ("cg", "minres") and not symmetric:
        la.as_csr(A)  # says where
    if side == "left" and (method != "gmres" if method != "auto" else symmetric):
        raise ValueError(f"side = 'left' is for the method 'gmres' only, got method = {method!r}")
    M, label, factorization = _preconditioner(preconditioner, A, progress, params)
    if method == "auto":
        method = _choose(A, symmetric, factorization)
    setup_s = time.perf_counter() - start

    start = time.perf_counter()
    result = engine(A.dtype).solve(
        A.indptr,
        A.indices,
        A.data,
        b,
        x,
        M,
        method,
        side,
        rtol,
        atol,
        maxiter,
        restart,
        callback,
    )
    return Solution(
        x=x,
        setup_s=setup_s,
        solve_s=time.perf_counter() - start,
        method=method,
        preconditioner=label,
        factorization=factorization,
        **result,
    )


def _choice(value: Any, allowed: tuple[str, ...], name: str) -> None:
    if value not in allowed:
        raise ValueError(f"{name} = {value!r} is not one of {', '.join(allowed)}")


def _tolerance(value: Any, name: str, below: float) -> None:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} = {value!r} is not a real number, but a {type(value).__name__}")
    if not 0 <= float(value) < below:
        raise ValueError(f"{name} = {value} is not in [0, {below:g})")


def _count(value: Any, name: str) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise TypeError(f"{name} = {value!r} is not an integer")
    if not 0 <= value <= la.INDEX_MAX:
        raise ValueError(f"{name} = {value} is not in 0 .. {la.INDEX_MAX}")
    return int(value)


def _one_vector(v: ArrayLike, A: sp.csr_array, name: str) -> NDArray[Any]:
    v = la.as_vector(v, A.shape[0], A.dtype, name)
    if v.ndim != 1:
        raise ValueError(f"expected {name} of shape ({A.shape[0]},), got {v.shape}")
    return v


def _choose(A: sp.csr_array, symmetric: bool, factorization: Mmf | None) -> str:
    if not symmetric:
        return "gmres"
    definite = bool((A.diagonal() > 0).all())
    if factorization is not None:
        values = factorization.spectrum()
        definite = definite and bool(values.min() > -1e-10 * abs(values).max())
    return "cg" if definite else "minres"


def _preconditioner(
    given: Any, A: sp.csr_array, progress: Progress | None, params: dict[str, Any]
) -> tuple[Any, str, Mmf | None]:
    """Return what the compiled solver takes (Factors, diagonal, callable or None), its name, F."""
    if isinstance(given, str):
        if given == "none":
            return None, "none", None
        if given == "jacobi":
            return A.diagonal(), "jacobi", None
        if given != "mmf":
            raise ValueError(
                f"preconditioner = {given!r} is not 'mmf', 'jacobi', 'none', an Mmf, "
                "a LinearOperator or a callable"
            )
        F = factorize(A, progress=progress, **params)
        return F.positive_inverse()._factors, "mmf", F
    if isinstance(given, Mmf):
        if given.shape != A.shape or given.dtype != A.dtype:
            raise ValueError(
                f"the preconditioner is {given.dtype} of shape {given.shape}, "
                f"the matrix {A.dtype} of shape {A.shape}"
            )
        return given.positive_inverse()._factors, "mmf", given
    if isinstance(given, LinearOperator):
        if given.shape != A.shape:
            raise ValueError(f"the preconditioner has shape {given.shape}, the matrix {A.shape}")
        return _checked(given.matvec), "operator", None
    if callable(given):
        return _checked(given), "callable", None
    raise TypeError(
        f"preconditioner is a {type(given).__name__}, expected 'mmf', 'jacobi', 'none', an Mmf, "
        "a LinearOperator or a callable"
    )


def _checked(M: Callable[[NDArray[Any]], Any]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Refuse results that NumPy would broadcast or cast when it copies them into the core."""

    def apply(r: NDArray[Any]) -> NDArray[Any]:
        result = np.asarray(M(r))
        if result.shape != r.shape or result.dtype.kind not in "fiub":
            raise ValueError(
                f"the preconditioner gave {result.dtype} of shape {result.shape}, "
                f"expected real numbers of shape {r.shape}"
            )
        return result

    return apply
