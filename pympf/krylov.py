"""Solve A x = b by a preconditioned Krylov method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf._columns import Columns
from pympf._options_of_solve import Options
from pympf.la import Matrix, as_vector
from pympf.la.matrix import ranks_of
from pympf.mmf import Progress
from pympf.plan import Plan
from pympf.solution import Solution, Solutions

__all__ = ["Solution", "Solutions", "solve"]


def solve(
    A: Any,
    b: ArrayLike,
    *,
    comm: Any = None,
    method: str = "auto",
    preconditioner: Any = "mmf",
    near_nullspace: ArrayLike | None = None,
    left_near_nullspace: ArrayLike | None = None,
    block_size: int = 1,
    x0: ArrayLike | None = None,
    rtol: float | None = None,
    atol: float = 0.0,
    maxiter: int | None = None,
    restart: int = 30,
    side: str = "right",
    callback: Callable[..., Any] | None = None,
    progress: Progress | None = None,
    plan: Plan | Mapping[str, Any] | None = None,
    **params: Any,
) -> Solution | Solutions:
    """Solve A x = b, for one right-hand side or for several at once.

    Collective over `comm`.

    Parameters
    ----------
    A : sparse array or matrix, 2-D array_like, or petsc4py.PETSc.Mat, shape (n, n)
        Real; symmetric for the methods 'cg', 'fcg' and 'minres', for ``preconditioner='classic'``
        and 'two_level'; the others take any. Dirichlet rows (nothing but a diagonal entry) may keep
        their columns: see Notes. It may be singular: see there, too.
    b : array_like, shape (n,) or (n, k)
        Also as a column, (n, 1). The columns of a block of k > 1 advance together (16 at a time,
        for the room that they take), so that each product with `A` and the preconditioner is one
        sweep for 8 of them; each stops by itself, and its x and its history have the bits that it
        has alone.
    comm : mpi4py.MPI.Comm, optional
        The ranks that work together; by default this process alone, or those of a PETSc matrix.
        Each brings its rows of `A` (or all the same file), as in `pympf.factorize`, with global
        columns, and its entries of all vectors, and gets its entries of x; the rest of the result
        is the same on all.
    method : {'auto', 'cg', 'fcg', 'minres', 'gmres', 'fgmres', 'bicgstab'}
        'auto': CG when the diagonal is positive (but for rows of zeros) and the preconditioner
        found no negative eigenvalue, else, and when CG meets one, MINRES; where the
        preconditioner varies (``cycle='k'``), flexible CG [3]_ in the place of CG and FGMRES in
        that of MINRES; GMRES when `A` is not symmetric. 'bicgstab' [4]_ keeps few vectors, and
        multiplies twice in a step.
    preconditioner : str, Preconditioner, Mmf, LinearOperator or callable
        'mmf': chosen by predicted cost. Where A looks positive definite, CG with the diagonal
        begins, and the fall of its own error says when the preconditioner of
        `pympf.as_preconditioner`, or a direct factor, is cheaper for the rest: that goes on from
        the x that is there [5]_. One that turns out not to be definite is made again in float64,
        then without levels, then by the diagonal, and ``choice`` says so;
        'multilevel', 'ict', 'two_level', 'direct': that one with this method; 'classic':
        Qᵀ|H|⁻¹Q of a factorization;
        'jacobi': the diagonal; 'none'. An `Mmf` F of `A` stands for its |F|⁻¹. An operator or
        callable takes r and returns M r, M ≈ A⁻¹; CG and MINRES need it symmetric positive
        definite.
    near_nullspace : array_like, shape (n,) or (n, m), optional
        As in `pympf.as_preconditioner`, for 'mmf' and 'multilevel'.
    left_near_nullspace : array_like, shape (n,) or (n, m), optional
        As in `pympf.as_preconditioner`, for an `A` that is not symmetric.
    block_size : int
        As in `pympf.as_preconditioner`, for 'mmf' and 'multilevel'.
    x0 : array_like, shape of `b`, optional
        Initial guess; zero by default.
    rtol, atol : float
        Stop when ‖b − A x‖ ≤ max(rtol ‖b‖, atol), in the norm that ``norm`` names (see Returns).
        `rtol` is 1e-8 by default, 1e-5 in float32. The norm is that of the returned x; where
        rounding lets a new start bring nothing, up to 10 times the tolerance is taken for it.
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
        ``callback(iteration, residual_norm)`` after each iteration; a true value stops. For a block
        it is ``callback(iteration, residual_norm, column)``, and stops that column. The count
        begins anew when 'auto' goes on with another method, or 'mmf' is made again.
    progress : callable, optional
        As in `pympf.factorize`, for ``preconditioner='classic'``.
    plan : Plan or dict, optional
        For 'mmf': build what this plan says, an earlier ``solution.plan`` for example, and choose
        nothing.
    **params
        ``solves``, the number of right-hand sides that a setup is for, is 1 by default. Those of
        `pympf.as_preconditioner` but ``method``, for 'mmf', 'multilevel' and 'ict'; those of
        `pympf.factorize` for 'classic'.

    Returns
    -------
    Solution, or Solutions for a block
        ``converged`` speaks of the ``x`` returned: a method updates its residual by recurrence,
        and when that meets the tolerance above, b − A x is computed afresh. x has converged if
        the fresh norm is at most 10 times the tolerance (what rounding may have made of the
        recurrence); else the method starts again from x, and ends as 'diverged_stagnated' when
        that no longer helps. An x whose fresh norm meets the tolerance itself has converged
        whatever ended the run, except the callback. From the left the norms are those of
        M (b − A x) and M b.
        ``true_residual`` is ‖b − A x‖ / ‖b‖ of that x, whatever the side; ``history`` has the
        residual norms, the initial one first and the fresh one of x last; ``reason`` says why the
        run ended, 'converged_…' or not: 'diverged_inconsistent' that `A` is singular and `b` not
        in its range, where x is the least-squares solution; 'diverged_stagnated' that rounding
        keeps the residual from the tolerance; 'diverged_range' that x has entries which the dtype
        cannot hold.
        ``norm`` is 'plain' for the 2-norm, 'preconditioned' for that of M (b − A x), or
        'row_scaled' where the rows of `A` or `b` differ so much that ‖b‖ says nothing of some of
        them (penalty rows of 1e8 beside rows of 1): the norm is then the larger of ‖r‖ and
        c ‖D⁻¹r‖, D = diag(|a_ii|), c = ‖b‖ / ‖D⁻¹b‖, in ``true_residual`` too. It is 'balanced'
        where the units of the rows of a symmetric `A` keep the plain one from the tolerance, by
        rounding in the largest rows, or from saying anything of x: then ‖D^(-1/2) r‖ is at most
        rtol ‖D^(-1/2) b‖, every row of r that is above rounding meets the tolerance as well, and x
        has at least three digits; else x has not converged.
        ``choice`` says what 'mmf' and 'auto' took and why, ``plan`` the same as data with all
        offers and their predicted costs (None where nothing was chosen), ``operator`` is the
        `Preconditioner`, None where it is not one. Of a solve in several parts ``iterations`` and
        ``history`` have the steps of all that went on from each other.

    Raises
    ------
    ValueError, TypeError
        If `A`, `b` or an option is refused.

    Notes
    -----
    A row with nothing but a diagonal entry determines its unknown, x_i = b_i / a_ii. Where `A` is
    not symmetric, but is so without the columns of such rows (and of rows which these leave with
    nothing but a diagonal entry), these columns go to the right-hand side, the rest is solved, and
    ``choice`` says so. ``true_residual`` and the tolerances are those of `A` and `b`.

    A singular `A`, such as the Laplacian of a graph with one or more components, works when `b`
    is in its range (for the Laplacian: the entries of b sum to zero on each component). Nothing is
    shifted: of the solutions, which differ by vectors of the kernel, the ``x`` returned is the one
    that the method reaches from `x0`, not the one of least norm. When `b` is not in the range,
    there is no solution, and ``converged`` is False. What `b` has in the kernel of a symmetric
    `A` is taken out then, and the rest solved for: x has the least residual in the 2-norm. Where
    row sums vanish on some components, as those of a Laplacian do, the kernel is known; another
    one (rigid motions of a free body) is found after the method has failed, up to 12 vectors of
    it, at the cost of a few solves for each. Where that does not succeed, and with
    ``preconditioner='none'``, MINRES leaves the least residual in the norm √(rᵀM r).

    The scale of `A`, `b` and `x0` is of no consequence: they are divided by powers of two inside,
    which is exact. Norms and tolerances are those of what was given. An `x0` whose residual is
    larger than ‖b‖ by more than the precision is replaced by zero.

    References
    ----------
    .. [1] Thesis, section 2.3.
    .. [2] Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd edition, SIAM, 2003.
    .. [3] Y. Notay, Flexible conjugate gradients, SIAM J. Sci. Comput. 22, 2000, section 2.
    .. [4] H. A. van der Vorst, Bi-CGSTAB, SIAM J. Sci. Stat. Comput. 13, 1992, 631-644.
    .. [5] M. Purohit, Z. Svitkina, R. Kumar, Improving online algorithms via ML predictions,
       NeurIPS 2018: to rent or to buy, with a forecast.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> A = pympf.gallery.poisson((64, 64))
    >>> solution = pympf.solve(A, np.ones(4096), rtol=1e-6)
    >>> solution.method, solution.true_residual <= 1e-6
    ('cg', True)
    >>> pympf.solve(A, np.eye(4096)[:, :8]).x.shape  # eight at once, for the price of about three
    (4096, 8)
    """
    options = Options(
        method,
        preconditioner,
        near_nullspace,
        left_near_nullspace,
        block_size,
        *(rtol, atol, maxiter, restart, side, callback, progress, plan, params),
    )
    ranks = ranks_of(A, comm)
    with ranks.guard():
        options.check()
    ranks.same(options.shared(), "options")
    matrix = Matrix.of(A, ranks)
    with ranks.guard():
        n, dtype = len(matrix.rows), matrix.dtype
        B = as_vector(b, n, dtype)
        X = np.zeros_like(B) if x0 is None else as_vector(x0, n, dtype, "x0")
        k = 1 if B.ndim == 1 else B.shape[1]
        if k != (1 if X.ndim == 1 else X.shape[1]):
            raise ValueError(f"x0: expected shape {B.shape} as that of b, got {X.shape}")
        B = np.ascontiguousarray(B.reshape(n, k).T)
        X = np.array(X.reshape(n, k).T, order="C")
    ranks.same(k, "b: number of columns")
    solutions = Columns(matrix, options).solutions(B, X)
    return Solutions(solutions, X.T) if k > 1 else solutions[0]
