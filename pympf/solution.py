"""What `pympf.solve` found: for one right-hand side, and for several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from pympf.plan import Plan
from pympf.precond import Preconditioner

__all__ = ["Solution", "Solutions"]


@dataclass(frozen=True)
class Solution:
    """What `solve` found: see there.

    A pickle or a deep copy of it has no ``operator`` (None), which would have to be made anew.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> A = pympf.gallery.poisson((64, 64))
    >>> solution = pympf.solve(A, np.ones(4096))
    >>> solution.converged, solution.reason, solution.method
    (True, 'converged_rtol', 'cg')
    >>> bool(np.linalg.norm(A @ solution.x - 1) <= 1e-8 * np.linalg.norm(np.ones(4096)))
    True
    >>> len(solution.history) == solution.iterations + 1  # the residual norms, the first one too
    True
    >>> again = pympf.solve(A, np.arange(4096.0), preconditioner=solution.operator)
    >>> again.converged, again.preconditioner  # the setup was there already
    (True, 'given')
    """

    x: NDArray[Any] = field(repr=False)
    converged: bool
    reason: str
    iterations: int
    history: NDArray[np.float64] = field(repr=False)
    true_residual: float
    norm: str
    setup_s: float
    solve_s: float
    method: str
    preconditioner: str
    choice: str
    plan: Plan | None = field(repr=False, default=None)
    _made: Any = field(repr=False, default=None, compare=False)

    @property
    def operator(self) -> Preconditioner | None:
        """The `Preconditioner` of the last run; the diagonal as one is made when asked for."""
        if self._made is not None and not isinstance(self._made, Preconditioner):
            object.__setattr__(self, "_made", self._made())
        return self._made

    def __copy__(self) -> Solution:
        return replace(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": None}


class Solutions(Sequence[Solution]):
    """What `solve` found for a block of right-hand sides: a sequence of a `Solution` for each.

    ``x`` has the columns together; ``solutions[c]`` is all about column c, and its ``x`` is a view
    of that column. ``setup_s`` and ``solve_s`` are those of the whole call; the ``solve_s`` of a
    column is its share.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> A = pympf.gallery.poisson((32, 32))
    >>> B = np.random.default_rng(0).standard_normal((1024, 3))
    >>> solutions = pympf.solve(A, B)
    >>> solutions.x.shape, len(solutions), solutions.converged
    ((1024, 3), 3, True)
    >>> solutions.iterations.shape, solutions.reasons[0]
    ((3,), 'converged_rtol')
    >>> one = pympf.solve(A, B[:, 1])
    >>> bool((solutions[1].x == one.x).all()), solutions[1].iterations == one.iterations
    (True, True)
    """

    def __init__(self, columns: Sequence[Solution], x: NDArray[Any]) -> None:
        self._columns, self.x = tuple(columns), x

    def __len__(self) -> int:
        return len(self._columns)

    @overload
    def __getitem__(self, index: int) -> Solution: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Solution, ...]: ...
    def __getitem__(self, index: int | slice) -> Solution | tuple[Solution, ...]:
        return self._columns[index]

    def __repr__(self) -> str:
        done = sum(column.converged for column in self)
        return (
            f"Solutions({len(self)} columns, {done} converged, iterations {self.iterations.min()} "
            f"to {self.iterations.max()}, setup_s={self.setup_s:.3g}, solve_s={self.solve_s:.3g})"
        )

    @property
    def converged(self) -> bool:
        """Whether all have."""
        return all(column.converged for column in self)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why each run ended."""
        return tuple(column.reason for column in self)

    @property
    def iterations(self) -> NDArray[np.int64]:
        """Of each."""
        return np.array([column.iterations for column in self])

    @property
    def true_residual(self) -> NDArray[np.float64]:
        """‖b − A x‖ / ‖b‖ of each."""
        return np.array([column.true_residual for column in self])

    @property
    def setup_s(self) -> float:
        """Seconds of all setups of the call."""
        return self._columns[0].setup_s

    @property
    def solve_s(self) -> float:
        """Seconds of all iterations of the call."""
        return sum(column.solve_s for column in self)

    @property
    def operator(self) -> Preconditioner | None:
        """The preconditioner of the last column, which any column that failed has had renewed."""
        return self._columns[-1].operator
