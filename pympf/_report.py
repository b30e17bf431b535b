"""What was done, line by line: the columns of reports, each declared once.

A printed table, `as_dict`, the attributes of files and the tables of docs/options.md come from
these lists. Those of stages and levels are the core's, which -ksp_view prints too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pympf._engine import core
from pympf._html import html_table
from pympf._plot import plot_levels
from pympf.plan import Plan

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "LEVEL_COLUMNS",
    "STAGE_COLUMNS",
    "Column",
    "Lines",
    "PreconditionerReport",
    "Report",
    "table",
    "with_reason",
]


@dataclass(frozen=True)
class Column:
    """A column of a report: what it is called, counts and means, and how it is printed."""

    name: str
    kind: type
    doc: str
    unit: str = ""
    form: str = ""
    """How `print` shows it; empty: it does not."""
    title: str = ""
    """What heads it there, where that is not its name."""
    default: Any = None
    """What a file without it means."""

    def cell(self, line: dict[str, Any]) -> str:
        """Print the value of a line."""
        value = line[self.name]
        return self.form.format(("no", "yes")[value] if self.kind is bool else value)

    def read(self, value: Any) -> Any:
        """Give a value out of a file its kind."""
        if value is None:
            raise ValueError(f"{self.name} is missing")
        return self.kind(value)


def _of_core(columns: list[dict[str, Any]]) -> tuple[Column, ...]:
    """Make columns of those that the core declares."""
    made = []
    for c in columns:
        kind = {"int": int, "real": float, "bool": bool}[c["kind"]]
        form = "{}" if kind is bool else f"{{:{c['form']}}}"
        default = None if math.isnan(c["missing"]) else kind(c["missing"])
        shown = form if c["form"] else ""
        made.append(Column(c["name"], kind, c["doc"], c["unit"], shown, c["title"], default))
    return tuple(made)


STAGE_COLUMNS = _of_core(core.stage_columns())
"""The lines of `Report`: the stages of a factorization."""

LEVEL_COLUMNS = _of_core(core.level_columns())
"""The lines of `PreconditionerReport`: the levels of a hierarchy."""


class Lines:
    """A report with a line for each stage, level or table."""

    COLUMNS: ClassVar[tuple[Column, ...]]
    LINES: ClassVar[str]
    """The attribute that has the lines."""
    COUNTS: ClassVar[tuple[str, ...]]
    """The columns that `plot` draws."""

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the counts of each line as bars, with matplotlib.

        Not collective. Drawn are the rows and entries of each stage of a factorization or level of
        a preconditioner, the buckets of each table of a hash table.

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
        >>> import pympf
        >>> report = pympf.factorize(pympf.gallery.poisson((32, 32)), core_size=256).report()
        >>> ax = report.plot()
        >>> [int(bar.get_width()) for bar in ax.containers[0]]  # rows of the two stages
        [1024, 512]
        """
        lines = getattr(self, self.LINES)
        return plot_levels(
            ax, lines, self.COUNTS, f"{type(self).__name__}: {len(lines)} {self.LINES}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data, fit for JSON.

        Not collective.

        Examples
        --------
        >>> import pympf
        >>> pympf.factorize(pympf.gallery.poisson(10)).report().as_dict()["rows"]
        10
        """
        return dict(self.__dict__)

    def __repr__(self) -> str:
        lines = getattr(self, self.LINES)
        counts = [f"{lines[0][name]} {name}" for name in self.COUNTS] if lines else []
        return f"<{type(self).__name__} of {', '.join([f'{len(lines)} {self.LINES}', *counts])}>"

    def _repr_html_(self) -> str:
        """Show a notebook the table, and what `print` says below it."""
        lines = getattr(self, self.LINES)
        head, *rows = _cells(self.COLUMNS, lines)
        rest = str(self).splitlines()[len(rows) + 1 if rows else 0 :]
        return html_table(head, rows) + "".join(f"<div>{escape(line)}</div>" for line in rest)

    @classmethod
    def columns(cls) -> list[dict[str, Any]]:
        """List the columns of its lines.

        Not collective.

        Returns
        -------
        list of dict
            With keys ``name``, ``kind`` ('int', 'float' or 'bool'), ``unit`` and ``doc``.

        Examples
        --------
        >>> import pympf
        >>> [column["name"] for column in pympf.Report.columns()][:3]
        ['level', 'rows', 'nnz']
        """
        return [
            {"name": c.name, "kind": c.kind.__name__, "unit": c.unit, "doc": c.doc}
            for c in cls.COLUMNS
        ]


def table(columns: Sequence[Column], lines: Sequence[dict[str, Any]]) -> list[str]:
    """Lay lines out in the columns that are shown, with a head; none where there are no lines."""
    if not lines:
        return []
    return ["".join(f"{cell:>11}" for cell in row) for row in _cells(columns, lines)]


def _cells(columns: Sequence[Column], lines: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Print the values of the columns that are shown, below their heads."""
    shown = [column for column in columns if column.form]
    head = [column.title or column.name for column in shown]
    return [head, *([column.cell(line) for column in shown] for line in lines)]


@dataclass(frozen=True, repr=False)
class Report(Lines):
    """What a factorization did, stage by stage; `print` shows it as a table."""

    COLUMNS = STAGE_COLUMNS
    LINES, COUNTS = "stages", ("rows", "nnz")

    rows: int
    dtype: str
    core_size: int
    stop: str
    retire: str
    relative_error: float
    bytes: int
    seconds: float
    stages: list[dict[str, Any]]
    params: dict[str, Any]

    def __str__(self) -> str:
        lines = table(self.COLUMNS, self.stages)
        lines.append(
            f"{self.rows} rows, {self.dtype}, core {self.core_size} ({self.stop}), "
            f"{self.retire} rule, relative error {self.relative_error:.3g}, "
            f"{self.bytes} bytes, {self.seconds:.3f} s"
        )
        if self.relative_error > np.sqrt(np.finfo(self.dtype).eps):
            lines.append(
                "solve, logdet and functions hold for F, which is "
                f"{self.relative_error:.2g} of the norm of A away from A; for A itself take "
                "pympf.solve and pympf.logdet"
            )
        return "\n".join(lines)


@dataclass(frozen=True, repr=False)
class PreconditionerReport(Lines):
    """What the setup of a preconditioner did, level by level; `print` shows it as a table.

    `columns` lists what its ``levels`` have. ``work`` counts the multiply-adds of an application on
    this rank, ``setup_work`` those of the setup where the matrix is not symmetric (else 0).
    ``direct`` tells of a sparse direct factor its ``backend``, the ``order`` of its rows, the
    numbers that it has (``stored``), and the numbers (``predicted``) and ``flops`` that its
    analysis predicted (0: nothing); None where there is none.
    """

    COLUMNS = LEVEL_COLUMNS
    LINES, COUNTS = "levels", ("rows", "nnz")

    rows: int
    dtype: str
    method: str
    reason: str
    direct: dict[str, Any] | None
    levels: list[dict[str, Any]]
    operator_complexity: float
    grid_complexity: float
    coarse_rows: int
    coarse_nullity: int
    coarse_negative: int
    indefinite: bool
    definite: bool
    single: bool
    symmetric: bool
    work: float
    setup_work: float
    bytes: int
    seconds: float
    params: dict[str, Any]
    plan: Plan | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data, fit for JSON.

        Not collective.

        Examples
        --------
        >>> import pympf
        >>> M = pympf.as_preconditioner(pympf.gallery.poisson((30, 30)))
        >>> sorted(M.report().as_dict()["plan"])[:3]
        ['krylov', 'method', 'offers']
        """
        return {**super().as_dict(), "plan": None if self.plan is None else self.plan.as_dict()}

    def __str__(self) -> str:
        cycle = " (cycle in float32)" if self.single else ""
        lines = table(self.COLUMNS, self.levels)
        lines.append(
            f"{self.rows} rows, {self.dtype}{cycle}, "
            f"operator complexity {self.operator_complexity:.2f}, "
            f"grid complexity {self.grid_complexity:.2f}, {self.bytes} bytes, {self.seconds:.3f} s"
        )
        if self.coarse_rows and not self.symmetric:
            lines.append(f"sparse LU of {self.coarse_rows} rows")
        elif self.coarse_rows:
            lines.append(
                f"dense solve of {self.coarse_rows} rows, nullity {self.coarse_nullity}, "
                f"{self.coarse_negative} negative eigenvalues"
            )
        lines.append(f"method {with_reason(self.method, self.reason)}")
        return "\n".join(lines)


def with_reason(method: str, reason: str) -> str:
    """Say which method was taken, and why."""
    return f"{method}: {reason}" if reason else method
