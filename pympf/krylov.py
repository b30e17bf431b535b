"""Solve A x = b by a preconditioned Krylov method."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator

from pympf._engine import engine
from pympf._params import Params, kinds
from pympf.la import INDEX_MAX, Matrix, Operator, as_vector, checks
from pympf.la.matrix import ranks_of
from pympf.mmf import Mmf, Progress
from pympf.near_nullspace import checked_vectors
from pympf.plan import Plan
from pympf.precond import (
    CLASSIC,
    Preconditioner,
    check_params,
    classic,
    planned,
    precondition,
)
from pympf.solution import Solution, Solutions

__all__ = ["Solution", "Solutions", "solve"]

METHODS = ("auto", "cg", "fcg", "minres", "gmres", "fgmres", "bicgstab")
SIDES = ("right", "left")
METHOD_OF = {
    "mmf": "auto",
    **{name: name for name in ("multilevel", "ict", "two_level", "direct", CLASSIC)},
}
"""The preconditioners that are built from the matrix, and the `method` of `as_preconditioner`."""
SYMMETRIC = ("cg", "fcg", "minres")
"""The methods for symmetric matrices only."""
OTHERWISE = "preconditioner='mmf' takes A as it is"
ONLY_SYMMETRIC = (CLASSIC, "two_level")
"""The preconditioners of symmetric matrices only."""
NOT_DEFINITE = ("diverged_nan", "diverged_indefinite_preconditioner")
DIAGONAL_IS_POSITIVE = "the diagonal of A is positive"
STAYS = (
    "stopped_by_callback",
    "diverged_max_iterations",
    "diverged_inconsistent",
    "diverged_range",
)
"""What another preconditioner would not change."""
NOT_SOLVED = ("diverged_nan", "diverged_breakdown", "diverged_stagnated")
"""The ends of a run with an A that is not symmetric, after which `mmf` has another choice."""
PRECONDITIONERS = (*METHOD_OF, "jacobi", "none")
TOGETHER = 16  # columns: kernels take 8 at once, and each has vectors of its own (GMRES: a basis)


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
        `rtol` is 1e-8 by default, 1e-5 in float32.
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
    options = _Options(
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
    solutions = _Solve(matrix, options).solutions(B, X)
    return Solutions(solutions, X.T) if k > 1 else solutions[0]


@dataclass
class _Options:
    """What a caller of `solve` may choose."""

    method: str
    preconditioner: Any
    near_nullspace: ArrayLike | None
    left_near_nullspace: ArrayLike | None
    block_size: int
    rtol: float | None
    atol: float
    maxiter: int | None
    restart: int
    side: str
    callback: Callable[..., Any] | None
    progress: Progress | None
    plan: Plan | Mapping[str, Any] | None
    params: dict[str, Any]

    def check(self) -> None:
        """Raise TypeError or ValueError for what is not allowed."""
        checks.choice(self.method, "method", METHODS)
        checks.choice(self.side, "side", SIDES)
        vectors = (self.near_nullspace, self.left_near_nullspace)
        _check_options(self.preconditioner, vectors, self.block_size, self.params)
        self._take_plan()
        maxiter = 10_000 if self.maxiter is None else self.maxiter
        self.maxiter = checks.integer(maxiter, "maxiter", 0, INDEX_MAX)
        self.restart = checks.integer(self.restart, "restart", 0, INDEX_MAX)
        if self.rtol is not None:
            checks.number(self.rtol, "rtol", 0, below=1)
        checks.number(self.atol, "atol", 0)
        if self.callback is not None and not callable(self.callback):
            given = type(self.callback).__name__
            raise TypeError(f"callback is a {given}, expected a callable")

    def _take_plan(self) -> None:
        if self.plan is None:
            return
        if self.preconditioner != "mmf":
            raise ValueError(f"plan: for preconditioner='mmf', not {self.preconditioner!r}")
        self.params = planned(self.plan, self.params)

    def shared(self) -> tuple[Any, ...]:
        """What has to be the same on all ranks."""
        return (self.method, self.side, self.maxiter, self.restart, self.rtol, self.atol)

    @property
    def is_built(self) -> bool:
        """Whether the preconditioner is built here, from the matrix."""
        return isinstance(self.preconditioner, str) and self.preconditioner in METHOD_OF

    def to_build(self) -> dict[str, Any]:
        """Return the parameters of `as_preconditioner`."""
        given = {"method": METHOD_OF[self.preconditioner], **self.params}
        if self.preconditioner == "mmf":
            given.setdefault("definite", self.method in ("cg", "minres"))
            given.setdefault("solves", 1)
        if self.preconditioner == CLASSIC:
            given["progress"] = self.progress
        return given


class _Solve:
    """One call of `solve`: what its right-hand sides share.

    Collective.
    """

    def __init__(self, A: Matrix, options: _Options) -> None:
        self.A, self.options, self.admitted = A, options, A.admitted
        self.falls = 0  # how often M has fallen back
        self.others: dict[str, Preconditioner] = {}  # built again, by their parameters
        start = time.perf_counter()
        self.rows, self.symmetric = A.core, A.is_symmetric
        self.has_rest = not self.symmetric and _takes_rest(self.admitted, A.shape[1], options)
        self.symmetric = self.symmetric or self.has_rest
        self._admit()
        self.choice = self._choose()
        self.setup_s = time.perf_counter() - start
        self.M: _Chosen | None = None

    def _admit(self) -> None:
        """Take what is symmetric: the matrix, or what Dirichlet rows leave of it; or refuse."""
        options, admitted = self.options, self.admitted
        self.remark = ""
        if self.symmetric:
            self.rows = self.to_build = admitted.rows
            if options.left_near_nullspace is not None:
                raise ValueError("left_near_nullspace: A is symmetric, and has one for both sides")
        elif options.method in SYMMETRIC:
            needs = f"method={options.method!r} needs one, 'gmres' does not"
            raise ValueError(admitted.refusal(needs))
        elif isinstance(options.preconditioner, str) and options.preconditioner in ONLY_SYMMETRIC:
            refusal = admitted.refusal(OTHERWISE)
            raise ValueError(f"preconditioner={options.preconditioner!r}: {refusal}")
        elif options.is_built:
            self.to_build, self.remark = self.A.general_rows(), admitted.remark()
        is_gmres = options.method == "gmres" or (options.method == "auto" and not self.symmetric)
        if options.side == "left" and not is_gmres:
            raise ValueError(
                f"side = 'left' is for the method 'gmres' only, got method = {options.method!r}"
            )

    def _preconditioner(self) -> _Chosen:
        if self.options.is_built:
            return _Chosen.of(self.built({}), self.options.preconditioner)
        return _given(self.options.preconditioner, self.A)

    def first(self) -> _Chosen:
        """Give the preconditioner that all columns begin with, where none pays as it goes."""
        if self.M is None:
            start = time.perf_counter()
            self.M = self._preconditioner()
            self.setup_s += time.perf_counter() - start
        return self.M

    def method(self, M: _Chosen) -> tuple[str, str]:
        """Return the Krylov method for M, and why."""
        return _method(self.options.method, self.rows, self.symmetric, M.operator)

    def _choose(self) -> Any:
        """Choose by predicted cost, for all columns; None where nothing is to be chosen."""
        options, ranks = self.options, self.A.ranks
        if options.preconditioner != "mmf" or options.method not in ("auto", "cg"):
            return None
        given = options.to_build()
        with ranks.guard():
            check_params(given)
        if not self.symmetric or given["method"] != "auto":
            return None
        ranks.same(sorted(given.items()), "parameters")
        vectors = checked_vectors(options.near_nullspace, len(self.A.rows), ranks, "near_nullspace")
        return engine(self.A.dtype).Choice(self.rows, given, vectors)

    def built(self, other: dict[str, Any], choice: Any = None) -> Preconditioner:
        """Build the preconditioner, with other parameters; once for all columns that want it."""
        options, key = self.options, _text(other)
        if choice is not None:
            key = f"{key}; {choice.next_key}"
        if key not in self.others:
            given = {**options.to_build(), **other}
            known = (options.near_nullspace, options.block_size)
            left = options.left_near_nullspace
            self.others[key] = precondition(self.A, self.to_build, *known, given, left, choice)
        return self.others[key]

    def solutions(self, B: NDArray[Any], X: NDArray[Any]) -> list[Solution]:
        """Solve for the rows of B from those of X, all of them together as far as they go."""
        columns = [_Column(self, c, b, x) for c, (b, x) in enumerate(zip(B, X, strict=True))]
        steps = {column.number: column.steps() for column in columns}

        def those_that_go_on(among: list[_Column]) -> list[_Column]:
            return [column for column in among if next(steps[column.number], False)]

        waiting = those_that_go_on(columns)
        while waiting:
            alike: dict[Any, list[_Column]] = {}
            for column in waiting:
                alike.setdefault(column.kind(), []).append(column)
            for group in alike.values():
                for first in range(0, len(group), TOGETHER):
                    self._run(group[first : first + TOGETHER], len(columns))
            waiting = those_that_go_on(waiting)
        return [column.solution() for column in columns]

    def _run(self, columns: list[_Column], count: int) -> None:
        start, options, first = time.perf_counter(), self.options, columns[0]
        one = len(columns) == 1
        B = first.b[None] if one else np.array([column.b for column in columns])
        X = first.x[None] if one else np.array([column.x for column in columns])
        callbacks = [column.callback(count) for column in columns] if options.callback else None
        results = engine(self.A.dtype).solve(
            *(self.rows, B, X, first.M.core, first.krylov, options.side),
            *(first.rtol, first.atol, first.most(), options.restart, self.symmetric),
            *(callbacks, [column.watching for column in columns]),
        )
        seconds = (time.perf_counter() - start) / len(columns)
        for column, x, result in zip(columns, X, results, strict=True):
            if not one:
                column.x[:] = x
            column.result = result
            column.solve_s += seconds


class _Column:
    """One right-hand side: run, and where that fails choose again."""

    def __init__(self, shared: _Solve, number: int, b: NDArray[Any], x: NDArray[Any]) -> None:
        self.shared, self.number, self.b, self.x = shared, number, b, x
        options, dtype = shared.options, shared.A.dtype
        default = 1e-8 if dtype == np.float64 else 1e-5
        self.rtol, self.atol = default if options.rtol is None else options.rtol, options.atol
        self.M = _Chosen(None, "none", "")
        self.krylov = self.why = ""
        self.choice = shared.choice and shared.choice.another()
        self.watching: Any = None  # the choice, where it may stop this run
        self.follows = False  # what runs is what the choice took, and not what came of a failure
        self.before: list[NDArray[np.float64]] = []  # histories of the parts that x comes from
        self.result: dict[str, Any] = {}
        self.solve_s, self.falls = 0.0, 0
        self.rest: _Rest | None = None
        if shared.has_rest:
            start = time.perf_counter()
            tolerances = (self.rtol, self.atol, options.side)
            self.rest = _Rest(shared.admitted, shared.A.core, b, x, *tolerances)
            self.b, self.rtol, self.atol = self.rest.b, self.rest.rtol, self.rest.atol
            shared.setup_s += time.perf_counter() - start
        self.guess = x.copy()

    def steps(self) -> Iterator[bool]:
        """Yield where a run is needed."""
        if self.choice is not None:
            yield from self._pay_as_you_go()
        else:
            self.M = self.shared.first()
            self.krylov, self.why = self.shared.method(self.M)
            yield True
        if self.shared.options.method == "auto" and self.shared.symmetric:
            yield from self._change_method()
            yield from self._change_signs()
        yield from self._fall_back()

    def kind(self) -> tuple[Any, ...]:
        """Return what has to be the same in columns that run together."""
        return (self.krylov, id(self.M.core), self.rtol, self.atol, self.most())

    def most(self) -> int:
        """Return the iterations that are left."""
        return max(0, (self.shared.options.maxiter or 0) - sum(map(len, self.before)))

    # ---- pay as you go (choice/pay_as_you_go.hpp) ------------------------------------------------

    def _pay_as_you_go(self) -> Iterator[bool]:
        """Begin with what the plan takes, and go on with what turns out to be cheaper."""
        choice = self.choice
        if choice.begins:
            self._take_diagonal()
        else:
            self._take_choice()
        yield True
        while self.result["reason"] == "stopped_by_watch":
            self.before.append(self.result["history"][:-1])
            self._next("would take longer than what follows")
            yield True
        self.watching = None
        if self.M.operator is None and not self.result["converged"]:
            yield from self._leave_diagonal(self.result["reason"])

    def _take_diagonal(self) -> None:
        shared = self.shared
        self.M = _Chosen(
            shared.choice,
            *("mmf", f"jacobi: {self.choice.plan['reason']}"),
            make=lambda: shared.built({"method": "jacobi"}),
        )
        self.krylov, self.why, self.watching = "cg", DIAGONAL_IS_POSITIVE, self.choice

    def _take_choice(self) -> None:
        """Build what the choice says, and let it watch."""
        start = time.perf_counter()
        self.M = _Chosen.of(self.shared.built({}, self.choice), "mmf")
        self.choice.runs(self.M.core)
        self.watching = self.choice if self.choice.watches else None
        self.follows = True
        self.krylov, self.why = self.shared.method(self.M)
        self.shared.setup_s += time.perf_counter() - start

    def _next(self, why: str) -> None:
        """Take the cheapest of the offers that are left."""
        self.choice.next(why)
        self._take_choice()

    def _leave_diagonal(self, reason: str) -> Iterator[bool]:
        """Take the next offer where CG with the diagonal has failed."""
        if reason in STAYS:
            return
        if reason == "diverged_indefinite_operator":
            if self.shared.options.method == "cg":
                return
            self.choice.meet_negative()
        self._next(f"ended with {reason}")
        self.watching = None
        yield from self._again()

    def _plan(self) -> Plan | None:
        """Return what was chosen, with what was spent before."""
        if self.choice is not None and (self.M.operator is None or self.follows):
            return Plan.of(self.choice.plan)
        M = self.M.operator
        return M.plan if M is not None and self.M.name in METHOD_OF else None

    def _join_parts(self) -> None:
        """Count the iterations of the parts that the last one went on from."""
        if self.before:
            parts = [*self.before, self.result["history"]]
            self.result["history"] = np.concatenate(parts)
            self.result["iterations"] = len(self.result["history"]) - 1

    def callback(self, count: int) -> Callable[[int, float], Any] | None:
        """Return the caller's function; among several columns it is told which one it is."""
        given, number = self.shared.options.callback, self.number
        if given is None or count == 1:
            return given
        return lambda iteration, norm: given(iteration, norm, number)

    def solution(self) -> Solution:
        """Return what came of it."""
        self._join_parts()
        choice = f"{self.M.choice}; {self.krylov}: {self.why}"
        if self.rest is not None:
            self.rest.finish(self.x, self.result)
            choice += self.rest.choice
        if self.shared.remark:
            choice += f"; {self.shared.remark}"
        return Solution(
            x=self.x,
            setup_s=self.shared.setup_s,
            solve_s=self.solve_s,
            method=self.krylov,
            preconditioner=self.M.name,
            choice=choice,
            plan=self._plan(),
            _made=self.M.operator or self.M.make,
            **self.result,
        )

    def _again(self) -> Iterator[bool]:
        self.x[:] = self.guess
        self.before.clear()
        yield True

    def _change_method(self) -> Iterator[bool]:
        """Take a method for indefinite matrices where CG met one."""
        if self.result["reason"] == "diverged_indefinite_operator":
            self.krylov = "minres" if self.krylov == "cg" else "fgmres"
            self.why = "CG met a direction in which A is not positive"
            yield from self._again()

    def _change_signs(self) -> Iterator[bool]:
        """Give up the signs of an indefinite matrix in the preconditioner, or take them."""
        reason = self.result["reason"]
        if self.M.name != "mmf" or self.result["converged"] or reason == "diverged_inconsistent":
            return
        if self.M.signed:
            # A is singular, perhaps, and b not in its range: minres leaves the least residual then.
            self.krylov, self.why = "minres", "A has negative eigenvalues"
            self._take({"definite": True}, f"with the signs of A gmres ended with {reason}")
        elif self.krylov == "minres" and self.M.is_diagonal:
            try:
                self._take({"method": "two_level"}, f"minres ended with {reason}")
            except np.linalg.LinAlgError:  # it is not available
                return
            self.krylov, self.why = "gmres", "M has the signs of A"
        else:
            return
        yield from self._again()

    def _take(self, other: dict[str, Any], reason: str) -> None:
        """Take a preconditioner with other parameters."""
        start = time.perf_counter()
        operator = self.shared.built(other)
        self.follows = False
        self.shared.setup_s += time.perf_counter() - start
        self.M = _Chosen(operator._core, "mmf", f"{_text(other)}: {reason}", operator)

    def _fall_back(self) -> Iterator[bool]:
        """Take the preconditioner's next choice where one that should be definite is not.

        For an A that is not symmetric: where it does not solve.
        """
        shared = self.shared
        while self.M.is_built and self.M.operator and self._has_failed():
            start, reason = time.perf_counter(), self.result["reason"]
            if self.falls == shared.falls:  # else another column has let it fall
                if not self.M.operator._core.fall_back(shared.to_build, f"ended with {reason}"):
                    return
                shared.falls += 1
            self.falls = shared.falls
            self.follows = False
            self.M = _Chosen.of(self.M.operator, self.M.name)
            shared.setup_s += time.perf_counter() - start
            yield from self._again()

    def _has_failed(self) -> bool:
        if self.shared.symmetric:
            return self.result["reason"] in NOT_DEFINITE
        return self.M.name == "mmf" and self.result["reason"] in NOT_SOLVED


@dataclass(frozen=True)
class _Chosen:
    """A preconditioner as the compiled solver takes it, with its name and what is known of it."""

    core: Any
    name: str
    choice: str
    operator: Preconditioner | None = None
    make: Callable[[], Preconditioner] | None = None  # the operator, when asked for

    @property
    def is_diagonal(self) -> bool:
        """Whether it is the diagonal of an indefinite A, taken by itself."""
        M = self.operator
        return M is not None and M.method == "jacobi" and M.indefinite

    @property
    def is_built(self) -> bool:
        """Whether it was built here, is meant to be definite, and has choices to fall back to."""
        M = self.operator
        built = self.name != CLASSIC and self.name in METHOD_OF
        return built and M is not None and M.definite

    @property
    def signed(self) -> bool:
        """Whether it has the signs of an indefinite A."""
        return self.operator is not None and not self.operator.definite

    @classmethod
    def of(cls, operator: Preconditioner, name: str) -> _Chosen:
        return cls(operator._core, name, operator.choice, operator)


def _text(params: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in params.items())


def _check_options(
    preconditioner: Any, vectors: tuple[Any, Any], block_size: Any, params: dict[str, Any]
) -> None:
    """Refuse what nothing takes, and what only a preconditioner that is built here can take."""
    if params:
        _refuse_unknown(preconditioner, params)
    name = preconditioner if isinstance(preconditioner, str) else None
    if params and name not in METHOD_OF:
        raise ValueError(
            f"{', '.join(params)}: only preconditioner='mmf', 'multilevel', 'ict', 'two_level', "
            "'direct' or 'classic' takes parameters"
        )
    if name not in ("mmf", "multilevel"):
        for given, kind in zip(vectors, ("near_nullspace", "left_near_nullspace"), strict=True):
            if given is not None:
                raise ValueError(f"{kind}: only preconditioner='mmf' or 'multilevel' takes it")
        if block_size != 1:
            raise ValueError("block_size: only preconditioner='mmf' or 'multilevel' takes it")


def _refuse_unknown(preconditioner: Any, params: dict[str, Any]) -> None:
    both = [kinds(Preconditioner.fields), kinds(Params.fields)]
    if isinstance(preconditioner, str) and preconditioner == CLASSIC:
        both.reverse()
    own = [given for given in signature(solve).parameters if given not in ("A", "b", "params")]
    known = dict.fromkeys([*both[0], *both[1], *own])
    for wanted in params:
        if wanted not in known:
            raise ValueError(checks.unknown(wanted, known))


def _takes_rest(admitted: Any, n: int, options: _Options) -> bool:
    """Tell whether to solve for what determined unknowns leave: where symmetry brings something."""
    if admitted.rows is None:
        return False
    if options.method in SYMMETRIC or isinstance(options.preconditioner, Mmf | Preconditioner):
        return True
    if not isinstance(options.preconditioner, str):
        return False
    # Of a triangular matrix everything is determined: GMRES takes it as it is.
    return options.is_built or (options.method == "auto" and admitted.determined < n)


class _Rest:
    """The symmetric rest of a system whose Dirichlet rows determine unknowns.

    Collective. x_D = b_D / a_DD, and the rest is A_FF x_F = b_F - A_FD x_D. Its residual is that of
    the whole, and the tolerances stay those of the whole.
    """

    def __init__(
        self,
        admitted: Any,
        rows: Any,
        b: NDArray[Any],
        x: NDArray[Any],
        rtol: float,
        atol: float,
        side: str,
    ) -> None:
        self.admitted, self.rows, self.whole_b = admitted, rows, b
        self.b = np.empty_like(b)
        admitted.start(b, x, self.b)
        self.rtol, self.atol, self.given_atol = rtol, atol, atol
        norm = rows.norms(b, x)[0]
        if norm > 0 and side == "right":
            self.rtol, self.atol = 0.0, max(rtol * norm, atol)
        self.choice = (
            f"; {admitted.determined} unknowns come from Dirichlet rows (nothing but a diagonal "
            "entry), without their columns A is symmetric"
        )

    def finish(self, x: NDArray[Any], result: dict[str, Any]) -> None:
        """Set the determined unknowns again, to the last bit, and say it of the whole system."""
        self.admitted.start(self.whole_b, x, self.b)
        norm, residual = self.rows.norms(self.whole_b, x)
        plain = residual / norm if norm > 0 else residual
        if result["norm"] == "row_scaled":
            plain = max(plain, result["true_residual"])
        if result["norm"] != "balanced":  # in which there is no determined row
            result["true_residual"] = plain
        if result["reason"] == "converged_atol" and self.atol > self.given_atol:
            result["reason"] = "converged_rtol"


def _method(
    asked: str, rows: Any, symmetric: bool, operator: Preconditioner | None
) -> tuple[str, str]:
    """Return the Krylov method and why it is taken."""
    varies = operator is not None and operator.varies
    if varies and asked not in ("auto", "fcg", "fgmres"):
        raise ValueError(
            f"method = {asked!r} needs the same preconditioner in every iteration, and "
            "cycle = 'k' varies: take method = 'fcg' or 'fgmres', or another cycle"
        )
    if asked != "auto":
        return asked, "asked for"
    if not symmetric:
        return "gmres", "A is not symmetric"
    if operator is not None and not operator.definite:
        return "gmres", "A has negative eigenvalues, and M has its signs"
    if operator is not None and operator.indefinite:
        return ("fgmres" if varies else "minres"), "A has negative eigenvalues"
    if not rows.has_positive_diagonal():
        return ("fgmres" if varies else "minres"), "the diagonal of A is not positive"
    if varies:
        return "fcg", "the preconditioner varies, and A looks positive"
    return "cg", DIAGONAL_IS_POSITIVE + (
        ", and the setup found no negative eigenvalue" if operator is not None else ""
    )


def _given(given: Any, A: Matrix) -> _Chosen:
    """Take over a preconditioner that needs no setup."""
    if isinstance(given, str):
        if given == "none":
            return _Chosen(None, "none", "none")
        if given == "jacobi":
            return _Chosen(A.diagonal(), "jacobi", "jacobi")
        raise ValueError(
            f"preconditioner = {given!r} is not {', '.join(map(repr, PRECONDITIONERS))}, "
            "a Preconditioner, an Mmf, a LinearOperator or a callable"
        )
    n = len(A.rows)
    if isinstance(given, Mmf | Preconditioner):
        if given.local_shape[0] != n or given.dtype != A.dtype:
            raise ValueError(
                f"the preconditioner is {given.dtype} of shape {given.shape}, "
                f"the matrix {A.dtype} of shape {A.shape}"
            )
        operator = classic(given) if isinstance(given, Mmf) else given
        return _Chosen.of(operator, "given" if operator.factorization is None else CLASSIC)
    if isinstance(given, LinearOperator):
        shape = given.local_shape if isinstance(given, Operator) else given.shape
        if shape != (n, n):
            raise ValueError(f"the preconditioner has shape {given.shape}, the matrix {A.shape}")
        return _Chosen(_checked(given.matvec), "operator", "operator")
    if callable(given):
        return _Chosen(_checked(given), "callable", "callable")
    raise TypeError(
        f"preconditioner is a {type(given).__name__}, expected a name, a Preconditioner, an Mmf, "
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
