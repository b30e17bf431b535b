"""One call of `solve`: its right-hand sides, and what they share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pympf._chosen import DIAGONAL_IS_POSITIVE, Chosen, given_preconditioner, krylov_method
from pympf._dirichlet import Rest, takes_rest
from pympf._engine import engine
from pympf._options_of_solve import METHOD_OF, ONLY_SYMMETRIC, SYMMETRIC, Options
from pympf._progress import working
from pympf.la import Matrix
from pympf.near_nullspace import checked_vectors
from pympf.precond import Preconditioner, check_params, precondition
from pympf.solution import Solution

OTHERWISE = "preconditioner='mmf' takes A as it is"
NOT_POSITIVE = "CG met a direction in which A is not positive"
NOT_DEFINITE = ("diverged_nan", "diverged_indefinite_preconditioner")
STAYS = (
    "stopped_by_callback",
    "diverged_max_iterations",
    "diverged_inconsistent",
    "diverged_range",
)
"""What another preconditioner would not change."""
SAYS_IT = ("stopped_by_callback", "diverged_inconsistent", "diverged_range")
"""The ends of a run whose x is returned, whatever an earlier run had."""
NOT_SOLVED = ("diverged_nan", "diverged_breakdown", "diverged_stagnated")
"""The ends of a run with an A that is not symmetric, after which `mmf` has another choice."""
TOGETHER = 16  # columns: kernels take 8 at once, and each has vectors of its own (GMRES: a basis)


class Columns:
    """One call of `solve`: what its right-hand sides share.

    Collective.
    """

    def __init__(self, A: Matrix, options: Options) -> None:
        self.A, self.options, self.admitted = A, options, A.admitted
        self.falls = 0  # how often M has fallen back
        self.others: dict[str, Preconditioner] = {}  # built again, by their parameters
        start = time.perf_counter()
        self.rows, self.symmetric = A.compiled, A.is_symmetric
        self.has_rest = not self.symmetric and takes_rest(self.admitted, A.shape[1], options)
        self.symmetric = self.symmetric or self.has_rest
        self._admit()
        self.choice = self._choose()
        self.setup_s = time.perf_counter() - start
        self.M: Chosen | None = None

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

    def _preconditioner(self) -> Chosen:
        if self.options.is_built:
            return Chosen.of(self.built({}), self.options.preconditioner)
        return given_preconditioner(self.options.preconditioner, self.A)

    def first(self) -> Chosen:
        """Give the preconditioner that all columns begin with, where none pays as it goes."""
        if self.M is None:
            start = time.perf_counter()
            self.M = self._preconditioner()
            self.setup_s += time.perf_counter() - start
        return self.M

    def method(self, M: Chosen) -> tuple[str, str]:
        """Return the Krylov method for M, and why."""
        asked, side = self.options.method, self.options.side
        return krylov_method(asked, side, self.rows, self.symmetric, M.operator)

    def _choose(self) -> Any:
        """Choose by predicted cost, for all columns; None where nothing is to be chosen."""
        options, ranks = self.options, self.A.ranks
        if not options.is_built or options.preconditioner != "mmf":
            return None
        module = engine(self.A.dtype)
        if options.method not in ("auto", "cg") or self.A.shape[1] <= module.LEAST_ROWS:
            return None
        given = options.to_build()
        with ranks.guard():
            check_params(given)
        if not self.symmetric or given["method"] != "auto":
            return None
        ranks.same(sorted(given.items()), "parameters")
        vectors = checked_vectors(options.near_nullspace, len(self.A.rows), ranks, "near_nullspace")
        return module.Choice(self.rows, given, vectors)

    def built(self, other: dict[str, Any], choice: Any = None) -> Preconditioner:
        """Build the preconditioner, with other parameters; once for all columns that want it."""
        options, key = self.options, _text(other)
        if choice is not None:
            key = f"{key}; {choice.next_key}"
        if key not in self.others:
            given = {**options.to_build(), **other}
            known = (options.near_nullspace, options.block_size)
            left = options.left_near_nullspace
            basis = options.basis()
            self.others[key] = precondition(
                self.A, self.to_build, *known, given, left, choice, basis
            )
        return self.others[key]

    def solutions(self, B: NDArray[Any], X: NDArray[Any]) -> list[Solution]:
        """Solve for the rows of B from those of X, all of them together as far as they go."""
        columns = [Column(self, c, b, x) for c, (b, x) in enumerate(zip(B, X, strict=True))]
        steps = {column.number: column.steps() for column in columns}

        def those_that_go_on(among: list[Column]) -> list[Column]:
            return [column for column in among if next(steps[column.number], False)]

        waiting = those_that_go_on(columns)
        while waiting:
            alike: dict[Any, list[Column]] = {}
            for column in waiting:
                alike.setdefault(column.kind(), []).append(column)
            for group in alike.values():
                for first in range(0, len(group), TOGETHER):
                    self._run(group[first : first + TOGETHER], len(columns))
            waiting = those_that_go_on(waiting)
        return [column.solution() for column in columns]

    def _run(self, columns: list[Column], count: int) -> None:
        start, options, first = time.perf_counter(), self.options, columns[0]
        one = len(columns) == 1
        B = first.b[None] if one else np.array([column.b for column in columns])
        X = first.x[None] if one else np.array([column.x for column in columns])
        callbacks = [column.callback(count) for column in columns] if options.callback else None
        with working("solve") as work:
            results = engine(self.A.dtype).solve(
                *(self.rows, B, X, first.M.compiled, first.krylov, options.side),
                *(first.rtol, first.atol, first.most(), options.restart, self.symmetric),
                *(callbacks, [column.watching for column in columns]),
            )
            work.text = f"{first.krylov}, {len(columns)} right-hand sides"
        seconds = (time.perf_counter() - start) / len(columns)
        for column, x, result in zip(columns, X, results, strict=True):
            if not one:
                column.x[:] = x
            column.result = result
            column.ran = (column.M, column.krylov, column.why)
            column.solve_s += seconds


@dataclass(frozen=True)
class Attempt:
    """A run that has failed, and what it came to."""

    x: NDArray[Any]
    M: Chosen
    krylov: str
    why: str
    result: dict[str, Any]


class Column:
    """One right-hand side: run, and where that fails choose again."""

    def __init__(self, shared: Columns, number: int, b: NDArray[Any], x: NDArray[Any]) -> None:
        self.shared, self.number, self.b, self.x = shared, number, b, x
        options, dtype = shared.options, shared.A.dtype
        default = 1e-8 if dtype == np.float64 else 1e-5
        self.rtol, self.atol = default if options.rtol is None else options.rtol, options.atol
        self.M = Chosen(None, "none", "")
        self.krylov = self.why = ""
        self.choice = shared.choice and shared.choice.another()
        self.watching: Any = None  # the choice, where it may stop this run
        self.follows = False  # what runs is what the choice took, and not what came of a failure
        self.before: list[NDArray[np.float64]] = []  # histories of the parts that x comes from
        self.result: dict[str, Any] = {}
        self.ran = (self.M, self.krylov, self.why)  # what the result comes from
        self.best: Attempt | None = None
        self.solve_s, self.falls = 0.0, 0
        self.rest: Rest | None = None
        if shared.has_rest:
            start = time.perf_counter()
            tolerances = (self.rtol, self.atol, options.side)
            self.rest = Rest(shared.admitted, shared.A.compiled, b, x, *tolerances)
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
        return (self.krylov, id(self.M.compiled), self.rtol, self.atol, self.most())

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
        self.M = Chosen(
            *(shared.choice, "mmf", "jacobi"), make=lambda: shared.built({"method": "jacobi"})
        )
        self.krylov, self.why, self.watching = "cg", DIAGONAL_IS_POSITIVE, self.choice

    def _take_choice(self) -> None:
        """Build what the choice says, and let it watch."""
        start = time.perf_counter()
        self.M = Chosen.of(self.shared.built({}, self.choice), "mmf")
        self.choice.runs(self.M.compiled)
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
            if self.choice.watches:
                yield from self._take_minres()
                return
        self._next(f"ended with {reason}")
        self.watching = None
        yield from self._again()

    def _take_minres(self) -> Iterator[bool]:
        """Keep the diagonal, and let the choice watch that."""
        self.krylov, self.why = "minres", NOT_POSITIVE
        self.watching = self.choice
        yield from self._again()
        self.watching = None
        reason = self.result["reason"]
        if reason == "stopped_by_watch":
            self.before.append(self.result["history"][:-1])
            self._next("would take longer than what follows")
            self.watching = None
            yield True
        elif not self.result["converged"] and reason not in STAYS:
            self._next(f"ended with {reason}")
            self.watching = None
            yield from self._again()

    def _plan(self) -> dict[str, Any] | None:
        """Return what was chosen, with what was spent before, as plain data."""
        if self.choice is not None and (self.M.operator is None or self.follows):
            return self.choice.plan
        M = self.M.operator
        is_planned = M is not None and M.factorization is None and self.M.name in METHOD_OF
        return self.M.compiled.plan if is_planned else None

    def _join_parts(self) -> None:
        """Count the iterations of the parts that the last one went on from."""
        if self.before:
            parts = [*self.before, self.result["history"]]
            self.result["history"] = np.concatenate(parts)
            self.before.clear()
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
        self._return_to_best()
        planned = self._plan()
        begun = self.choice is not None and self.M.make is not None
        reason = f": {planned['reason']}" if begun and planned is not None else ""
        choice = f"{self.M.choice}{reason}; {self.krylov}: {self.why}"
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
            _planned=planned,
            _made=self.M.operator or self.M.make,
            **self.result,
        )

    def _again(self) -> Iterator[bool]:
        self._keep_if_best()
        self.x[:] = self.guess
        self.before.clear()
        yield True

    def _keep_if_best(self) -> None:
        """Keep what a run that has failed came to, if no earlier one came nearer."""
        self._join_parts()
        end = self.result["true_residual"]
        if np.isfinite(end) and (self.best is None or end < self.best.result["true_residual"]):
            self.best = Attempt(self.x.copy(), *self.ran, self.result)

    def _return_to_best(self) -> None:
        """Go back to the earlier run that came nearer than the last one, which has failed too."""
        best, end = self.best, self.result
        if best is None or end["converged"] or end["reason"] in SAYS_IT:
            return
        if best.result["norm"] != end["norm"]:
            return
        if end["true_residual"] <= best.result["true_residual"]:  # NaN is not
            return
        last = f"{self.krylov} with {self.M.choice} came no nearer"
        self.x[:] = best.x
        self.M, self.krylov, self.result = best.M, best.krylov, best.result
        self.why, self.follows = f"{best.why}; {last}", False

    def _change_method(self) -> Iterator[bool]:
        """Take a method for indefinite matrices where CG met one."""
        if self.result["reason"] == "diverged_indefinite_operator":
            self.krylov = "minres" if self.krylov == "cg" else "fgmres"
            self.why = NOT_POSITIVE
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
        self.M = Chosen(operator._compiled, "mmf", f"{_text(other)}: {reason}", operator)

    def _fall_back(self) -> Iterator[bool]:
        """Take the preconditioner's next choice where one that should be definite is not.

        For an A that is not symmetric: where it does not solve.
        """
        shared = self.shared
        while self.M.is_built and self.M.operator and self._has_failed():
            start, reason = time.perf_counter(), self.result["reason"]
            if self.falls == shared.falls:  # else another column has let it fall
                if not self.M.operator._compiled.fall_back(shared.to_build, f"ended with {reason}"):
                    return
                shared.falls += 1
            self.falls = shared.falls
            self.follows = False
            self.M = Chosen.of(self.M.operator, self.M.name)
            shared.setup_s += time.perf_counter() - start
            yield from self._again()

    def _has_failed(self) -> bool:
        if self.shared.symmetric:
            return self.result["reason"] in NOT_DEFINITE
        return self.M.name == "mmf" and self.result["reason"] in NOT_SOLVED


def _text(params: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in params.items())
