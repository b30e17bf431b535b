"""The parameters of `factorize`, the report of what it did with them, and what reports share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from pympf._engine import core

__all__ = ["Params", "Report", "from_text", "kinds", "table"]


class Params:
    """The parameters of `factorize`: the field list that all faces of the package share."""

    @staticmethod
    def fields() -> list[dict[str, Any]]:
        """List the parameters.

        Not collective.

        Returns
        -------
        list of dict
            With keys ``name``, ``kind`` ('int', 'real', 'bool' or 'choice'), ``default``,
            ``minimum``, ``maximum``, ``choices`` and ``doc``.

        Examples
        --------
        >>> import pympf
        >>> [field["name"] for field in pympf.Params.fields()][:3]
        ['order', 'max_stages', 'rotation_fraction']
        """
        return core.param_fields()


@cache
def kinds(fields: Callable[[], list[dict[str, Any]]]) -> dict[str, str]:
    """Return the kind of each parameter of a field list, by name."""
    return {field["name"]: field["kind"] for field in fields()}


def from_text(field: dict[str, Any], text: str) -> Any:
    """Read the value of a parameter as the core writes it."""
    if field["kind"] == "bool":
        return text == "true"
    if field["kind"] == "choice":
        return text
    number = float(text)  # also for integers: 10^6 is written as 1e+06
    return int(number) if field["kind"] == "int" else number


def table(columns: Sequence[tuple[str, str]], rows: Iterable[dict[str, Any]]) -> list[str]:
    """Give the lines of a table with these columns (key, format)."""
    cells = [[key for key, _ in columns]]
    cells += [[form.format(row[key]) for key, form in columns] for row in rows]
    return ["".join(f"{cell:>11}" for cell in line) for line in cells]


@dataclass(frozen=True)
class Report:
    """What a factorization did, stage by stage; `print` shows it as a table."""

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

    def __str__(self) -> str:
        columns = [
            ("level", "{:d}"),
            ("rows", "{:d}"),
            ("nnz", "{:d}"),
            ("clusters", "{:d}"),
            ("bypassed", "{:d}"),
            ("rotations", "{:d}"),
            ("retired", "{:d}"),
            ("dropped", "{:.2e}"),
            ("bytes", "{:d}"),
            ("seconds", "{:.3f}"),
        ]
        lines = table(columns, self.stages)
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
