"""`pympf.solve`, `as_preconditioner` and `factorize` on the matrices of `matrices`."""

import tempfile
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from matrices import (
    chance,
    handed_over,
    near_nullspace,
    parameters,
    pick,
    right_hand_side,
    strided,
    values,
)
from outcome import REFUSALS, refusal, require

import pympf

EPS = np.finfo(np.float64).eps
MOST_SPREAD = 1e290  # of a diagonal: entries below 2^-1000 of the largest are nothing
FEW = 100  # times rounding that no solver avoids
SOLVERS = ("auto", "auto", "auto", "cg", "fcg", "minres", "gmres", "fgmres")
FIELDS = pympf.Preconditioner.fields()
BUILT = ("mmf", "mmf", "mmf", "multilevel", "ict", "two_level", "direct", "classic")
PRECONDITIONERS = (*BUILT, "jacobi", "none")


def solve(rng):
    """Solve a system; what has converged has the residual that it says."""
    A = values(rng)
    b = right_hand_side(A, rng)
    given = handed_over(A, rng)
    options = {"maxiter": 300}
    if chance(rng, 0.3):
        options["method"] = pick(rng, SOLVERS)
    if chance(rng, 0.3):
        options["preconditioner"] = pick(rng, PRECONDITIONERS)
    if chance(rng, 0.1):
        options["near_nullspace"] = near_nullspace(A, rng)
    if chance(rng, 0.1):
        options["x0"] = pick(rng, [1.0, 1e160, np.nan]) * rng.standard_normal(A.shape[0])
    if chance(rng, 0.2):
        options["rtol"] = 10.0 ** rng.uniform(-14, -1)
    if chance(rng, 0.1):
        options["side"], options["method"] = pick(rng, ["left", "right"]), "gmres"
    if chance(rng, 0.1):
        options["restart"] = int(rng.integers(0, 40))
    if chance(rng, 0.1):
        options["block_size"] = int(rng.integers(1, 4))
    if chance(rng, 0.3):
        other = "levels" if options.get("preconditioner") == "classic" else "classic"
        fields = [field for field in FIELDS if field["group"] != other]
        options |= parameters([field for field in fields if field["name"] != "method"], rng)
    try:
        solution = pympf.solve(given, b, **options)
    except REFUSALS as error:
        return refusal(error)
    check_solution(A, b, given, solution, options)
    return "solved" if solution.converged else f"not converged: {solution.reason}"


def check_solution(A, b, given, solution, options):
    """Compare what a solution says of itself with its residual in long double."""
    x = np.asarray(solution.x)
    require(x.shape == (A.shape[0],), f"x has shape {x.shape} for {A.shape[0]} rows")
    overflown = solution.reason == "diverged_range"  # it says so
    require(
        overflown or np.isfinite(x).all(), f"x is not finite, and the reason is {solution.reason}"
    )
    require(bool(solution.reason), "no reason")
    if not solution.converged or options.get("side") == "left":
        return
    single = x.dtype == np.float32
    exact = as_long(given, A)
    b = np.ravel(np.asarray(b)).astype(np.longdouble)
    if single:
        b = b.astype(np.float32).astype(np.longdouble)
    x = x.astype(np.longdouble)
    if norm(b) < 1e-290 * abs(exact.data).max(initial=1):
        return  # no float64 holds the solution
    rtol = options.get("rtol", 1e-5 if single else 1e-8)
    terms, rows = abs(exact) @ abs(x) + abs(b), b - exact @ x
    if solution.norm == "balanced":  # rounding in rows of large units, by their own terms
        rows = np.where(abs(rows) > 10 * rtol * terms, rows, 0)
    residual = norm(rows)
    rounding = norm(terms) * (np.finfo(np.float32).eps if single else EPS)
    allowed = 10 * rtol * norm(b) + FEW * rounding
    if rtol <= 1e-8 and not single:
        check_error(sp.csr_array(exact.astype(np.float64)), b, x)
    require(
        residual <= allowed,
        f"{solution.reason} by {solution.method} and {solution.preconditioner} with residual "
        f"{residual:.3g}, allowed {allowed:.3g} (rtol {rtol:.1e}, norm of b {norm(b):.3g})",
    )


def check_error(A, b, x):
    """Where scaled rows leave a good condition, x is near the solution, whatever the residual.

    With S = D A D of ones on the diagonal, D⁻¹x solves S y = D b, and the tolerance determines y.
    x = D y is determined up to what D makes of the rounding in y: of any y with a residual of
    eps (|S| |y| + |D b|) by rows, all that a backward stable solver can promise, the error is at
    most eps |S⁻¹| (|S| |y| + |D b|) (Higham, Accuracy and Stability, theorem 7.4).
    """
    condition = scaled_condition(A) if A.shape[0] <= 100 else np.inf
    if condition > 1e4 or spread(A) > MOST_SPREAD:
        return
    D = 1 / np.sqrt(abs(A.diagonal()))
    with np.errstate(all="ignore"):
        S, side = A.toarray() * D[:, None] * D, b.astype(float) * D
        solution = np.linalg.solve(S, side)
        gap = x.astype(float) / D - solution
        rounding = EPS * (abs(np.linalg.inv(S)) @ (abs(S) @ abs(solution) + abs(side)))
        require_near(gap, solution, 0.0)
        require_near(D * gap, D * solution, FEW * norm(D * rounding))


def require_near(gap, solution, rounding):
    error, size = norm(gap), norm(solution)
    require(
        not np.isfinite(size) or error <= 1e-2 * size + rounding,
        f"x is {error:.3g} from the solution, whose norm is {size:.3g}, and called converged",
    )


def as_long(given, A):
    """Give the matrix that was handed over in long double; `A` is its values before that."""
    if sp.issparse(given):  # whose indices may have been damaged into those of another matrix
        return sp.csr_array(given.tocoo()).astype(np.longdouble)
    dtype = getattr(given, "dtype", None)
    if dtype is not None and np.dtype(dtype).kind in "fiub" and np.dtype(dtype) != A.dtype:
        return sp.csr_array(given.astype(np.longdouble))
    return A.astype(np.longdouble)


def norm(x):
    return np.sqrt(np.sum(np.square(x.astype(np.longdouble))))


def precondition(rng):
    """Make a preconditioner: symmetric and definite where it says so, else with its transpose."""
    A = values(rng)
    given = handed_over(A, rng)
    other = pick(rng, ["classic", "classic", "classic", "levels"])
    options = parameters([field for field in FIELDS if field["group"] != other], rng)
    if other == "levels":
        options["method"] = "classic"
    if chance(rng, 0.1):
        options["near_nullspace"] = near_nullspace(A, rng)
    if chance(rng, 0.1):
        options["block_size"] = int(rng.integers(1, 4))
    try:
        M = pympf.as_preconditioner(given, **options)
        n = M.shape[0]
        dense = M @ np.eye(n) if n <= 60 else None
        M @ strided(rng.standard_normal(n), rng)
    except REFUSALS as error:
        return refusal(error)
    if dense is None:
        return "built"
    A = sp.csr_array(as_long(given, A).astype(np.float64))
    if inverse_overflows(A):
        return "built: no float64 holds its entries"
    require(np.isfinite(dense).all(), f"M is not finite: {M.choice}")
    condition = scaled_condition(A)
    if M.varies or condition > 1e8:
        return "built"
    single = M.dtype == np.float32 or (M.factorization is None and M.report().single)
    if spread(A) > 1e100:  # sums over the rows of an aggregate lose all digits
        return "built"
    digits = 1e-3 if single or not M.definite else max(1e-9, 1e4 * EPS * condition)
    if not M.is_symmetric:
        check_transpose(dense.astype(np.float64), M.apply_transpose(np.eye(n)), digits)
        return "built and checked"
    check_symmetric(dense.astype(np.float64), M.definite and is_positive(A), digits)
    return "built and checked"


def inverse_overflows(A):
    """Tell whether entries of A are so small that their inverses are infinite, or nearly so."""
    diagonal, entries = abs(A.diagonal()), abs(A.data)
    return entries.max(initial=0) < 1e-290 or ((diagonal > 0) & (diagonal < 1e-290)).any()


def spread(A):
    """Give the ratio of the largest entry of the diagonal to the smallest one."""
    diagonal = abs(A.diagonal()).astype(np.longdouble)
    return diagonal.max() / diagonal.min() if diagonal.min() > 0 else np.inf


def scaled_condition(A):
    """Give the condition of A with rows and columns scaled to ones on the diagonal."""
    root = np.sqrt(abs(A.diagonal()))
    if not (np.isfinite(A.data).all() and root.all()):
        return np.inf
    with np.errstate(all="ignore"):
        scaled = A.toarray() / root[:, None] / root
    return np.linalg.cond(scaled) if np.isfinite(scaled).all() else np.inf


def is_positive(A):
    """Tell whether A, with ones on its diagonal, is positive definite beyond rounding."""
    if not (A.diagonal() > 0).all():
        return False
    root = np.sqrt(A.diagonal().astype(np.float64))
    return np.linalg.eigvalsh(A.toarray().astype(np.float64) / root[:, None] / root)[0] > 1e-6


def check_transpose(dense, transposed, digits):
    """Entries are judged by the largest of their row of M and of their column."""
    sizes = abs(dense).max(axis=1, initial=0)[:, None] * abs(dense).max(axis=0, initial=0)
    root = np.sqrt(np.maximum(sizes, 1e-300))
    gap = (abs(dense - transposed.T) / root).max(initial=0)
    require(gap <= digits, f"the transpose of M is away from its transposed product by {gap:.3g}")


def check_symmetric(dense, definite, digits):
    """The entries of M are judged by its diagonal, so that no scale of the rows matters."""
    root = np.sqrt(abs(np.diag(dense)))
    root[root == 0] = 1.0
    with np.errstate(over="ignore", under="ignore"):
        scaled = dense / root[:, None] / root
    gap = abs(scaled - scaled.T).max(initial=0)
    size = abs(scaled).max(initial=0)
    require(gap <= digits * max(size, 1e-300), f"M is not symmetric by {gap:.3g} of {size:.3g}")
    if definite:
        least = np.linalg.eigvalsh((scaled + scaled.T) / 2)[0] if len(dense) else 0.0
        require(least >= -digits * size, f"M has the eigenvalue {least:.3g} of {size:.3g}")


def factorize(rng):
    """Factorize; the norms add up, Q is orthogonal, and a saved file gives the same bits."""
    A = values(rng)
    given = handed_over(A, rng)
    try:
        F = pympf.factorize(given, **parameters(pympf.Params.fields(), rng))
    except REFUSALS as error:
        return refusal(error)
    n = F.shape[0]
    x = rng.standard_normal(n).astype(F.dtype)
    eps = float(np.finfo(F.dtype).eps)
    coefficients = F.transform(x)
    gap = abs(np.linalg.norm(coefficients) - np.linalg.norm(x))
    require(gap <= 1000 * eps * np.linalg.norm(x), f"Q changes the norm of x by {gap:.3g}")
    back = F.inverse_transform(coefficients)
    require(np.linalg.norm(back - x) <= 1000 * eps * np.linalg.norm(x), "Qᵀ Q x is not x")
    error = F.report().relative_error
    require(0 <= error <= 1 + 1000 * eps, f"relative error {error}")
    y = F @ x
    with tempfile.TemporaryDirectory() as folder:
        F.save(Path(folder) / "F.h5")
        again = pympf.load(Path(folder) / "F.h5") @ x
    require(np.array_equal(y, again, equal_nan=True), "a loaded factorization gives other numbers")
    return "factorized"
