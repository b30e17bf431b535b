"""Tables that analyses return: for people as text, for programs as records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from pympf._html import html_table

__all__ = ["ResultTable"]


@dataclass(repr=False)
class ResultTable:
    """Rows with named columns.

    Parameters
    ----------
    title : str
        What the table shows.
    columns : sequence of str
        Names; those of numbers carry units.
    rows : sequence of sequence
        As many entries as columns each.
    notes : list of str
        What a reader has to know, printed below.

    Examples
    --------
    >>> from pympf.explain import ResultTable
    >>> table = ResultTable("Triggers", ["operator", "word", "share"], [["first", "top", 0.25]])
    >>> print(table)
    Triggers
    operator  word  share
    first     top    0.25
    >>> table.records()
    [{'operator': 'first', 'word': 'top', 'share': 0.25}]
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"expected rows of {len(self.columns)} entries, got one of {len(row)}: {row}"
                )

    def __repr__(self) -> str:
        return f"<ResultTable {self.title!r}: {len(self)} rows of {', '.join(self.columns)}>"

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        rows = [[_text(entry) for entry in row] for row in self.rows]
        title = f"<strong>{escape(self.title)}</strong>"
        return f"<div>{title}{html_table(self.columns, rows)}{notes}</div>"

    def __len__(self) -> int:
        return len(self.rows)

    def records(self) -> list[dict[str, Any]]:
        """Give the rows by the names of the columns.

        Not collective.

        Returns
        -------
        list of dict
            One for each row.

        Examples
        --------
        >>> from pympf.explain import ResultTable
        >>> ResultTable("", ["a"], [[1], [2]]).records()
        [{'a': 1}, {'a': 2}]
        """
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def column(self, name: str) -> list[Any]:
        """Give the entries of a column.

        Not collective.

        Parameters
        ----------
        name : str
            One of `columns`.

        Returns
        -------
        list
            From the first row to the last.

        Examples
        --------
        >>> from pympf.explain import ResultTable
        >>> ResultTable("", ["a"], [[1], [2]]).column("a")
        [1, 2]
        """
        if name not in self.columns:
            raise ValueError(f"expected one of the columns {', '.join(self.columns)}, got {name!r}")
        place = list(self.columns).index(name)
        return [row[place] for row in self.rows]

    def lookup(self, key: Any, name: str) -> Any:
        """Give an entry of the row that begins with a key.

        Not collective.

        Parameters
        ----------
        key : object
            The first entry of the row.
        name : str
            One of `columns`.

        Returns
        -------
        object
            The entry.

        Raises
        ------
        ValueError
            If there is no such row or column.

        Examples
        --------
        >>> from pympf.explain import ResultTable
        >>> ResultTable("", ["a", "b"], [["x", 1], ["y", 2]]).lookup("y", "b")
        2
        """
        keys = [row[0] for row in self.rows]
        if key not in keys:
            raise ValueError(f"expected a row of {', '.join(map(str, keys))}, got {key!r}")
        return self.column(name)[keys.index(key)]

    def __str__(self) -> str:
        cells = [[str(name) for name in self.columns]]
        cells += [[_text(entry) for entry in row] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        numeric = [
            bool(self.rows) and all(_is_number(row[k]) for row in self.rows)
            for k in range(len(self.columns))
        ]
        lines = [
            "  ".join(
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(row, widths, numeric, strict=True)
            ).rstrip()
            for row in cells
        ]
        return "\n".join([self.title, *lines, *self.notes])


def _is_number(entry: Any) -> bool:
    return entry is None or isinstance(entry, int | float | np.number)


def _text(entry: Any) -> str:
    if entry is None:
        return "-"
    if isinstance(entry, float | np.floating):
        return f"{entry:.4g}"
    if isinstance(entry, list | tuple):
        return ", ".join(map(_text, entry))
    return str(entry)
