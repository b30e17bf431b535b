"""Tables, and questions about them: what Neural Programmer reads.

    thesis (section 3.2.1)                 here
    cnames ⟨n, C⟩                          table.columns
    qw ⟨Q⟩                                 question.words
    tm ⟨m, n⟩, table matches               question.cells, shape (n, m)
    cm ⟨n⟩, column matches                 question.headers, shape (n,)
    tm_token, cm_token                     the last words, where there is a match

References
----------
.. [1] A. Neelakantan, Q. Le, M. Abadi, A. McCallum, D. Amodei, "Learning a natural language
   interface with Neural Programmer", ICLR 2017.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from pympf.nets._checks import Array

__all__ = [
    "COLUMN_TOKEN",
    "TABLE_TOKEN",
    "Answer",
    "Program",
    "Question",
    "Table",
    "read_number",
]

TABLE_TOKEN, COLUMN_TOKEN = "tm_token", "cm_token"
# An operator and its column, four times; a count, or the texts of the cells printed.
Program = tuple[tuple[str, int | None], ...]
Answer = int | frozenset[str]

NUMBER = re.compile(r"\s*[#$€£~≈+]?\s*(-?(?:\d[\d,]*(?:\.\d+)?|\.\d+))(?![\d\w/:-])")


def read_number(text: str) -> float | None:
    """Read the number that a cell begins with.

    Not collective.

    Parameters
    ----------
    text : str
        A cell, or a word of a question.

    Returns
    -------
    float or None
        None where there is none, and in dates, times and names.

    Examples
    --------
    >>> from pympf.nets.programmer import read_number
    >>> read_number("12,467"), read_number("$ 3.5 million"), read_number("3rd"), read_number("a 3")
    (12467.0, 3.5, None, None)
    """
    found = NUMBER.match(text)
    return float(found.group(1).replace(",", "")) if found else None


@dataclass(frozen=True, eq=False)
class Table:
    """A table of texts, by columns.

    Parameters
    ----------
    columns : tuple of str
        n headers.
    cells : tuple of tuple of str
        n columns of m texts each.
    domain : str
        What a generated table is about.
    groups : tuple of str
        The synonym group of each column of a generated table.

    Raises
    ------
    ValueError
        If columns and headers do not agree, or there are no cells.

    Examples
    --------
    >>> from pympf.nets.programmer import Table
    >>> Table(("nation", "gold"), (("Fiji", "Peru"), ("1", "5"))).numbers
    array([[nan, nan],
           [ 1.,  5.]])
    """

    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    domain: str = ""
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(column) for column in self.cells}
        if len(self.cells) != len(self.columns) or len(lengths) != 1 or 0 in lengths:
            raise ValueError(
                f"expected one column of equally many cells for each of {len(self.columns)} "
                f"headers, got columns of {[len(column) for column in self.cells]} cells"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Columns and rows, (n, m)."""
        return len(self.columns), len(self.cells[0])

    @cached_property
    def texts(self) -> Array:
        """The cells as an array of objects, shape (n, m)."""
        return np.array(self.cells, dtype=object).reshape(self.shape)

    @cached_property
    def numbers(self) -> Array:
        """The numbers, shape (n, m), and NaN; a number column has numbers in half its cells."""
        values = np.array([[_number_or_nan(text) for text in column] for column in self.cells])
        few = 2 * np.isfinite(values).sum(1) < values.shape[1]
        values[few] = np.nan
        return values

    @cached_property
    def order(self) -> Array:
        """The rows by falling number in each column, those without a number last, shape (n, m)."""
        return np.argsort(-self.numbers, axis=1, kind="stable")

    @cached_property
    def most_frequent(self) -> Array:
        """Which cells hold their column's most frequent text, shape (n, m); a tie by alphabet."""
        result = np.zeros(self.shape, dtype=bool)
        for column, row in zip(self.cells, result, strict=True):
            texts, counts = np.unique(column, return_counts=True)
            row[:] = np.array(column) == texts[counts.argmax()]
        return result

    def take_rows(self, rows: Sequence[int] | Array) -> Table:
        """Give the table of some rows, in their order.

        Parameters
        ----------
        rows : sequence of int
            Indices of rows.

        Returns
        -------
        Table
            With the same columns.

        Examples
        --------
        >>> from pympf.nets.programmer import Table
        >>> Table(("a",), (("x", "y"),)).take_rows([1, 0]).cells
        (('y', 'x'),)
        """
        cells = tuple(tuple(column[i] for i in rows) for column in self.cells)
        return replace(self, cells=cells)


def _number_or_nan(text: str) -> float:
    number = read_number(text)
    return np.nan if number is None else number


@dataclass(frozen=True, eq=False)
class Question:
    """A question about a table, with what it shares with the table.

    Parameters
    ----------
    words : tuple of str
        The words, in lower case, and the tokens for matches.
    table : Table
        With n columns and m rows.
    cells : ndarray of bool, shape (n, m)
        Cells that the question names, tm.
    headers : ndarray of bool, shape (n,)
        Columns whose header has a word of the question, cm.
    pivot : float, optional
        The number that gt, lt, geq and leq compare with.
    answer : int or frozenset of str, optional
        A count, or the texts of the cells to print.
    program : tuple of (operator, column), optional
        The program that gives the answer, where it is known.
    intent : str
        What a generated question asks for.

    Raises
    ------
    ValueError
        If the matches have another shape than the table.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.programmer import Question, Table
    >>> table = Table(("nation", "gold"), (("Fiji", "Peru"), ("1", "5")))
    >>> question = Question(("gold",), table, np.zeros((2, 2), bool), np.array([False, True]))
    >>> question.with_words(["most", "gold"]).words
    ('most', 'gold')
    """

    words: tuple[str, ...]
    table: Table
    cells: Array
    headers: Array
    pivot: float | None = None
    answer: Answer | None = None
    program: Program | None = None
    intent: str = ""

    def __post_init__(self) -> None:
        n, m = self.table.shape
        if self.cells.shape != (n, m) or self.headers.shape != (n,):
            raise ValueError(
                f"expected matches of the shapes {(n, m)} and {(n,)} of the table, got "
                f"{self.cells.shape} and {self.headers.shape}"
            )

    @cached_property
    def masks(self) -> dict[str, Array]:
        """The rows that each operator that starts afresh selects by each column, shape (n, m)."""
        numbers = self.table.numbers
        pivot = np.nan if self.pivot is None else self.pivot
        return {
            "mfe": self.table.most_frequent,
            "gt": numbers > pivot,
            "lt": numbers < pivot,
            "geq": numbers >= pivot,
            "leq": numbers <= pivot,
            "select": self.cells.astype(bool),
        }

    def with_words(self, words: Sequence[str]) -> Question:
        """Give the question in other words, with the same matches.

        Parameters
        ----------
        words : sequence of str
            The new words, tokens included.

        Returns
        -------
        Question
            All else is the same.

        Examples
        --------
        See the class.
        """
        return replace(self, words=tuple(words))

    def changed(self, **fields: Any) -> Question:
        """Give the question with other fields.

        Parameters
        ----------
        **fields
            By the names of the class.

        Returns
        -------
        Question
            All else is the same.

        Examples
        --------
        See `with_words`.
        """
        return replace(self, **fields)

    def emptied(self) -> Question:
        """Give the empty question of the table (equation 3.1): no words and no matches.

        Returns
        -------
        Question
            Its program is the default program of the table.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets.programmer import Question, Table
        >>> table = Table(("gold",), (("1", "5"),))
        >>> Question(("gold",), table, np.zeros((1, 2)), np.ones(1)).emptied().headers
        array([False])
        """
        n, m = self.table.shape
        return Question((), self.table, np.zeros((n, m), bool), np.zeros(n, bool))
