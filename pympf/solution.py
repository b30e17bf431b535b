"""What `pympf.solve` found: for one right-hand side, and for several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from pympf._html import card, html_table
from pympf._plot import plot_histories
from pympf.plan import Plan
from pympf.precond import Preconditioner

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Solution", "Solutions"]


@dataclass(frozen=True, repr=False)
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
    _planned: dict[str, Any] | None = field(repr=False, default=None)
    _made: Any = field(repr=False, default=None, compare=False)

    @property
    def plan(self) -> Plan | None:
        """What was chosen, with all offers and their predicted costs; None where nothing was."""
        return None if self._planned is None else Plan.of(self._planned)

    @property
    def operator(self) -> Preconditioner | None:
        """The `Preconditioner` of the last run; the diagonal as one is made when asked for."""
        if self._made is not None and not isinstance(self._made, Preconditioner):
            object.__setattr__(self, "_made", self._made())
        return self._made

    def __repr__(self) -> str:
        return (
            f"Solution({len(self.x)} unknowns, {self.reason}, {self.iterations} iterations, "
            f"true_residual={self.true_residual:.3g}, {self.method} with {self.preconditioner}, "
            f"setup_s={self.setup_s:.3g}, solve_s={self.solve_s:.3g})"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the residual norms against the iterations, with matplotlib.

        Not collective.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to; by default into a new figure of pyplot.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            Without matplotlib.

        Examples
        --------
        >>> import matplotlib; matplotlib.use("Agg")
        >>> import numpy as np, pympf
        >>> ax = pympf.solve(pympf.gallery.poisson((32, 32)), np.ones(1024)).plot()
        >>> ax.get_xlabel(), ax.get_yscale()
        ('iteration', 'log')
        """
        title = f"{self.method}, preconditioner {self.preconditioner}: {self.reason}"
        return plot_histories(ax, [self.history], title, self.norm)

    def _repr_html_(self) -> str:
        facts = {
            "converged": f"{'yes' if self.converged else 'no'} ({self.reason})",
            "iterations": self.iterations,
            "true residual": self.true_residual,
            "norm": self.norm,
            "method": f"{self.method}, preconditioner {self.preconditioner}",
            "chosen": self.choice,
            "setup, solve": f"{self.setup_s:.3g} s, {self.solve_s:.3g} s",
        }
        report = "" if self.operator is None else self.operator.report()._repr_html_()
        return card(f"Solution of {len(self.x)} unknowns", facts, report)

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

    def _repr_html_(self) -> str:
        head = ("column", "converged", "reason", "iterations", "true residual")
        rows = [
            (c, "yes" if s.converged else "no", s.reason, s.iterations, f"{s.true_residual:.3g}")
            for c, s in enumerate(self)
        ]
        return card(repr(self), {}, html_table(head, rows))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the residual norms of all columns against the iterations: as `Solution.plot`.

        Not collective.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to; by default into a new figure of pyplot.

        Returns
        -------
        matplotlib.axes.Axes

        Examples
        --------
        >>> import matplotlib; matplotlib.use("Agg")
        >>> import numpy as np, pympf
        >>> ax = pympf.solve(pympf.gallery.poisson((32, 32)), np.eye(1024, 3)).plot()
        >>> len(ax.lines)
        3
        """
        done = sum(column.converged for column in self)
        title = f"{len(self)} right-hand sides, {done} converged"
        return plot_histories(ax, [column.history for column in self], title, self[0].norm)

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
