"""What an analysis returns: a table with a title."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """A table of results.

    Parameters
    ----------
    title : str
        What it shows.
    columns : tuple of str
        Headers.
    rows : list of tuple
        One value for each header.

    Examples
    --------
    >>> from pympf.explain.tables import Report
    >>> print(Report("Answers", ("questions", "right"), [("all", 0.9375)]))
    Answers
    questions  right
    all        0.938
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def __str__(self) -> str:
        lines = [self.columns, *(tuple(map(_text, row)) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        texts = ("  ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)) for line in lines)
        return "\n".join([self.title, *(text.rstrip() for text in texts)])

    def column(self, name: str) -> list[Any]:
        """Give a column.

        Parameters
        ----------
        name : str
            Its header.

        Returns
        -------
        list
            One value for each row.

        Raises
        ------
        ValueError
            If there is no such column.

        Examples
        --------
        >>> from pympf.explain.tables import Report
        >>> Report("Answers", ("questions", "right"), [("all", 0.9375)]).column("right")
        [0.9375]
        """
        if name not in self.columns:
            raise ValueError(f"expected a column of {', '.join(self.columns)}, got {name!r}")
        return [row[self.columns.index(name)] for row in self.rows]

    def lookup(self, key: Any, name: str) -> Any:
        """Give the value of a column in the row that begins with a key.

        Parameters
        ----------
        key : object
            The first value of the row.
        name : str
            The header.

        Returns
        -------
        object
            The value.

        Raises
        ------
        ValueError
            If there is no such row or column.

        Examples
        --------
        >>> from pympf.explain.tables import Report
        >>> Report("Answers", ("questions", "right"), [("all", 0.9375)]).lookup("all", "right")
        0.9375
        """
        keys = [row[0] for row in self.rows]
        if key not in keys:
            raise ValueError(f"expected a row of {', '.join(map(str, keys))}, got {key!r}")
        return self.column(name)[keys.index(key)]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the table to a csv file.

        Parameters
        ----------
        path : path
            Created or replaced.

        Examples
        --------
        >>> from pathlib import Path
        >>> from pympf.explain.tables import Report
        >>> Report("Answers", ("questions", "right"), [("all", 0.9375)]).to_csv("a.csv")
        >>> Path("a.csv").read_text().split()
        ['questions,right', 'all,0.9375']
        """
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(self.columns)
            writer.writerows(self._plain(row) for row in self.rows)

    def _plain(self, row: Sequence[Any]) -> list[Any]:
        return [_text(v) if isinstance(v, tuple | list | set | frozenset) else v for v in row]


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, tuple | list):
        return ", ".join(map(_text, value))
    return str(value)
