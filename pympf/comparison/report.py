"""What came of a comparison: a table, plain data, a picture, and advice."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pympf._html import card, html_table
from pympf.comparison._ours import PYMPF

__all__ = ["CONVERGED", "FASTEST", "NOT_SUITED", "Comparison", "Trial"]

FASTEST, CONVERGED = "fastest", "converged"
NOT_CONVERGED, WRONG = "not converged", "wrong residual"
NOT_SUITED, NOT_INSTALLED = "not suited", "not installed"
OWN_TIE = 1.1
"""Our own plan is advised in the place of the same method by name up to this ratio."""


@dataclass(frozen=True)
class Trial:
    """What one solver did: see `pympf.compare`.

    Examples
    --------
    >>> import pympf
    >>> report = pympf.compare(pympf.gallery.poisson((20, 20)), solvers=["SciPy splu"], runs=1)
    >>> trial = report["SciPy splu"]
    >>> trial.verdict, trial.iterations, trial.true_residual < 1e-10
    ('fastest', None, True)
    """

    solver: str
    package: str
    verdict: str
    detail: str = ""
    setup_s: float | None = None
    solve_s: float | None = None
    total_s: float | None = None
    iterations: int | None = None
    true_residual: float | None = None
    memory_bytes: int | None = None
    runs: int = 0
    choice: str = ""
    call: str = ""
    history: list[tuple[float, float]] = field(default_factory=list, repr=False)

    @property
    def solved(self) -> bool:
        """Whether its true residual is small enough."""
        return self.verdict in (FASTEST, CONVERGED)

    @property
    def ours(self) -> bool:
        """Whether it is a solver of this package."""
        return self.package == "pympf"

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers as plain data, fit for JSON.

        Not collective.

        Examples
        --------
        >>> from pympf.comparison import Trial
        >>> Trial("a", "b", "timed out").as_dict()["verdict"]
        'timed out'
        """
        return dict(self.__dict__)


HEAD = ("solver", "setup, s", "solve, s", "total, s", "iter.", "residual", "MB", "verdict")


@dataclass(frozen=True, repr=False)
class Comparison(Sequence[Trial]):
    """What came of `pympf.compare`: a sequence of trials, the fastest first.

    ``print`` shows the table and the advice; ``comparison["PyAMG SA"]`` is one trial.

    Examples
    --------
    >>> import pympf
    >>> A = pympf.gallery.poisson((20, 20))
    >>> comparison = pympf.compare(A, solvers=["pympf ict", "SciPy splu"], runs=1)
    >>> comparison.best.solved, len(comparison["pympf ict"].history) > 2
    (True, True)
    >>> comparison.advice.startswith(f"Take {comparison.advised.solver}:")
    True
    """

    trials: tuple[Trial, ...]
    matrix: dict[str, Any]
    options: dict[str, Any]
    environment: dict[str, Any]

    def __len__(self) -> int:
        return len(self.trials)

    def __getitem__(self, which: Any) -> Any:
        if isinstance(which, str):
            for trial in self.trials:
                if trial.solver == which:
                    return trial
            names = ", ".join(trial.solver for trial in self.trials)
            raise KeyError(f"{which!r} is none of {names}")
        return self.trials[which]

    @property
    def best(self) -> Trial | None:
        """The fastest one that solved the system; None where nobody did."""
        return self.trials[0] if self.trials and self.trials[0].solved else None

    @property
    def advised(self) -> Trial | None:
        """The one that the advice is for: the fastest, or our own plan in the place of its method.

        ``pympf.solve(A, b)`` takes a method by itself. Where the fastest one is one of these
        methods asked for by its name, and the plan is within 10 % of it, the plan is advised.
        """
        best = self.best
        if best is None or not best.ours:
            return best
        for trial in self.trials:
            if trial.solver == PYMPF and trial.solved:
                assert trial.total_s is not None
                assert best.total_s is not None
                return trial if trial.total_s <= OWN_TIE * best.total_s else best
        return best

    @property
    def call(self) -> str:
        """The call to copy; empty where nobody solved the system."""
        return self.advised.call if self.advised else ""

    @property
    def advice(self) -> str:
        """A sentence or two that say what to take, and how the others did."""
        return advice(self)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain data, fit for JSON.

        Not collective.

        Returns
        -------
        dict
            ``matrix``, ``options``, ``environment``, ``advice`` (``solver``, ``sentence``,
            ``call``), and ``trials``, a list with a dict for each solver.

        Examples
        --------
        >>> import pympf
        >>> comparison = pympf.compare([[2.0, 1.0], [1.0, 2.0]], solvers=["SciPy splu"], runs=1)
        >>> comparison.as_dict()["advice"]["solver"]
        'SciPy splu'
        """
        solver = self.advised.solver if self.advised else None
        return {
            "matrix": self.matrix,
            "options": self.options,
            "environment": self.environment,
            "advice": {"solver": solver, "sentence": self.advice, "call": self.call},
            "trials": [trial.as_dict() for trial in self.trials],
        }

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the residuals against seconds, and the times as bars.

        Not collective. The iterations of a run are drawn at equal steps of the time of its solve.

        Parameters
        ----------
        path : str or os.PathLike, optional
            Where to write the picture: .png, .svg or .pdf.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is missing.

        Examples
        --------
        >>> import pympf
        >>> comparison = pympf.compare([[2.0, 1.0], [1.0, 2.0]], solvers=["SciPy splu"], runs=1)
        >>> len(comparison.plot("bars.png").axes)
        2
        """
        from pympf.comparison.figure import draw

        return draw(self, path)

    def __repr__(self) -> str:
        return f"<Comparison of {len(self)} solvers on {self.matrix['rows']} rows. {self.advice}>"

    def _repr_html_(self) -> str:
        asked = [_cells(trial) for trial in self.trials if trial.verdict != NOT_SUITED]
        facts = {"system": _heading(self), "advice": self.advice, "call": self.call}
        return card("Which solver", facts, html_table(HEAD, asked))

    def __str__(self) -> str:
        asked = [trial for trial in self.trials if trial.verdict != NOT_SUITED]
        left = [trial.solver for trial in self.trials if trial.verdict == NOT_SUITED]
        lines = _aligned([HEAD, *map(_cells, asked)])
        if left:
            lines += ["", f"Not for a matrix of this kind: {', '.join(left)}."]
        call = ["", *(f"    {line}" for line in self.call.splitlines())] if self.call else []
        return "\n".join([_heading(self), "", *lines, "", self.advice, *call])


def _heading(comparison: Comparison) -> str:
    matrix, options = comparison.matrix, comparison.options
    kinds = [matrix["symmetry"], *(["singular"] if matrix["singular"] else [])]
    solves = options["solves"]
    several = "" if solves == 1 else f", {solves} solves for each setup"
    return (
        f"{matrix['rows']} rows, {matrix['nnz']} entries, {', '.join(kinds)}; residual at most "
        f"{options['rtol']:g}, {options['threads']} threads, {options['clock']} seconds{several}"
    )


def _cells(trial: Trial) -> tuple[str, ...]:
    seconds = (trial.setup_s, trial.solve_s, trial.total_s)
    return (
        trial.solver,
        *map(_text, seconds),
        "-" if trial.iterations is None else str(trial.iterations),
        "-" if trial.true_residual is None else f"{trial.true_residual:.1e}",
        _text(None if trial.memory_bytes is None else trial.memory_bytes / 1e6),
        f"{trial.verdict}: {trial.detail}" if trial.detail else trial.verdict,
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out rows: names and verdicts to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *numbers, verdict in rows:
        right = "".join(f"{n:>{w + 2}}" for n, w in zip(numbers, widths[1:-1], strict=True))
        lines.append(f"{name:{widths[0]}}{right}  {verdict}")
    return lines


def _text(number: float | None) -> str:
    return "-" if number is None else f"{number:.3g}"


def ranked(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """Sort trials, solved ones first, by their time; the first of them is the fastest."""
    order = (FASTEST, CONVERGED, WRONG, NOT_CONVERGED)

    def key(trial: Trial) -> tuple[int, float]:
        place = order.index(trial.verdict) if trial.verdict in order else len(order)
        place += trial.verdict in (NOT_SUITED, NOT_INSTALLED)
        return place, trial.total_s or 0.0

    found = sorted(trials, key=key)
    if found and found[0].solved:
        found[0] = replace(found[0], verdict=FASTEST)
    return tuple(found)


# ---- the advice ----------------------------------------------------------------------------------


def advice(comparison: Comparison) -> str:
    """Say what to take, what it wins by, and where our own plan stands."""
    advised = comparison.advised
    if advised is None:
        return _nobody(comparison)
    solved = [trial for trial in comparison if trial.solved]
    parts = [f"Take {advised.solver}: {_seconds(advised)}"]
    rest = [t for t in solved if t is not advised and t.ours != advised.ours]
    if advised.solver != comparison.best.solver:  # type: ignore[union-attr]
        parts.append("the method that it chooses is the fastest when it is asked for by name")
    if rest:
        side = "the best of the other packages" if advised.ours else "the best of pympf"
        parts.append(f"{_ratio(rest[0], advised)} {rest[0].solver}, {side} ({_seconds(rest[0])})")
    plan = next((trial for trial in comparison if trial.solver == PYMPF), None)
    if plan is not None and plan is not advised and plan not in rest[:1]:
        parts.append(
            f"{_ratio(plan, advised)} pympf.solve(A, b) by its own plan ({_seconds(plan)})"
            if plan.solved
            else f"pympf.solve(A, b) by its own plan: {plan.verdict}"
            + (f", {plan.detail}" if plan.detail else "")
        )
    failed = sum(t.verdict in (NOT_CONVERGED, WRONG) for t in comparison)
    late = sum(t.verdict == "timed out" for t in comparison)
    counts = [f"{failed} did not reach the residual"] if failed else []
    counts += [f"{late} ran out of time"] if late else []
    end = f" {' and '.join(counts)}." if counts else ""
    return "; ".join(parts) + "." + end


def _ratio(other: Trial, advised: Trial) -> str:
    assert other.total_s is not None
    assert advised.total_s is not None
    ratio = other.total_s / max(advised.total_s, 1e-12)
    return "as fast as" if 0.95 <= ratio < 1.05 else f"{ratio:.2g} times as fast as"


def _seconds(trial: Trial) -> str:
    iterations = "" if trial.iterations is None else f", {trial.iterations} iterations"
    return f"{_text(trial.total_s)} s{iterations}"


def _nobody(comparison: Comparison) -> str:
    near = [trial for trial in comparison if trial.true_residual is not None]
    if not near:
        return "No solver gave an x; the verdicts say why."
    nearest = min(near, key=lambda trial: trial.true_residual or 0.0)
    text = (
        f"No solver reached a residual of {comparison.options['rtol']:g}; nearest is "
        f"{nearest.solver} with {nearest.true_residual:.1e}."
    )
    if comparison.matrix["singular"]:
        text += " The matrix is singular: is b in its range?"
    return text
