"""Questions out of text: words, numbers, and what a question shares with its table.

A table match is a cell whose words stand in the question, one after the other; a column match is a
header with a word in the question. What Neural Programmer sees of the table is only that.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from pympf.nets.programmer import (
    COLUMN_TOKEN,
    TABLE_TOKEN,
    Answer,
    Program,
    Question,
    Table,
    read_number,
)

__all__ = ["ask", "match_cells", "match_headers", "numbers_in", "words_of"]

WORD = re.compile(r"\d[\d,]*(?:\.\d+)?(?!\w)|\w+")
# Words too frequent to make a header match.
_COMMON = "a an and at by for from in is no of on or the to was with"
COMMON = frozenset(_COMMON.split())


@lru_cache(maxsize=100_000)
def words_of(text: str) -> tuple[str, ...]:
    """Split a text into lower-case words and numbers, without accents and punctuation.

    Not collective.

    Parameters
    ----------
    text : str
        A question, a cell or a header.

    Returns
    -------
    tuple of str
        Its words.

    Examples
    --------
    >>> from pympf.explain.tables import words_of
    >>> words_of("Who won over 1,200 votes in São Paulo?")
    ('who', 'won', 'over', '1,200', 'votes', 'in', 'sao', 'paulo')
    """
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(c for c in plain if unicodedata.category(c) != "Mn")
    return tuple(WORD.findall(plain.lower()))


def numbers_in(words: Sequence[str]) -> list[float]:
    """Give the numbers among the words of a question, in their order.

    Not collective.

    Parameters
    ----------
    words : sequence of str
        As `words_of` gives them.

    Returns
    -------
    list of float
        The numbers.

    Examples
    --------
    >>> from pympf.explain.tables import numbers_in
    >>> numbers_in(["more", "than", "1,200", "votes"])
    [1200.0]
    """
    return [number for number in map(read_number, words) if number is not None]


def match_cells(words: Sequence[str], table: Table, *, numbers: bool = False) -> np.ndarray:
    """Find the cells that a question names (tm).

    Not collective.

    Parameters
    ----------
    words : sequence of str
        The question.
    table : Table
        n columns, m rows.
    numbers : bool
        Whether cells that are numbers can match; otherwise only gt, lt, geq and leq see numbers.

    Returns
    -------
    ndarray of bool, shape (n, m)
        The matches.

    Examples
    --------
    >>> from pympf.explain.tables import Table, match_cells
    >>> table = Table(("city", "year"), (("New York", "Rome"), ("1990", "1994")))
    >>> match_cells(["mayor", "of", "new", "york", "in", "1994"], table, numbers=True)
    array([[ True, False],
           [False,  True]])
    """
    text = f" {' '.join(words)} "
    found = np.zeros(table.shape, dtype=bool)
    for j, column in enumerate(table.cells):
        for i, cell in enumerate(column):
            if numbers or read_number(cell) is None:
                spoken = " ".join(words_of(cell))
                found[j, i] = bool(spoken) and f" {spoken} " in text
    return found


def match_headers(words: Sequence[str], table: Table) -> np.ndarray:
    """Find the columns whose header has a word of the question (cm).

    Not collective.

    Parameters
    ----------
    words : sequence of str
        The question.
    table : Table
        n columns.

    Returns
    -------
    ndarray of bool, shape (n,)
        The matches.

    Examples
    --------
    >>> from pympf.explain.tables import Table, match_headers
    >>> match_headers(["most", "gold"], Table(("nation", "gold medals"), (("Fiji",), ("1",))))
    array([False,  True])
    """
    said = set(words) - COMMON
    return np.array([not said.isdisjoint(words_of(header)) for header in table.columns])


def with_tokens(words: Sequence[str], cells: np.ndarray, headers: np.ndarray) -> tuple[str, ...]:
    """Give the words with the tokens that tell of matches at their end, as many as there are."""
    bare = tuple(word for word in words if word not in (TABLE_TOKEN, COLUMN_TOKEN))
    return bare + (TABLE_TOKEN,) * bool(cells.any()) + (COLUMN_TOKEN,) * bool(headers.any())


def ask(
    text: str | Sequence[str],
    table: Table,
    *,
    numbers: bool = False,
    answer: Answer | None = None,
    program: Program | None = None,
    intent: str = "",
) -> Question:
    """Make a question about a table: words, matches, number, tokens.

    Not collective.

    Parameters
    ----------
    text : str or sequence of str
        The question.
    table : Table
        What it is about.
    numbers : bool
        Whether cells that are numbers can match.
    answer, program, intent
        As of `Question`, where they are known.

    Returns
    -------
    Question
        Its pivot is the first number of the question.

    Examples
    --------
    >>> from pympf.explain.tables import Table, ask
    >>> table = Table(("nation", "gold"), (("Fiji", "Peru"), ("1", "5")))
    >>> question = ask("How many gold did Peru win?", table)
    >>> question.words[-3:], question.headers
    (('win', 'tm_token', 'cm_token'), array([False,  True]))
    """
    words = words_of(text) if isinstance(text, str) else tuple(text)
    cells, headers = match_cells(words, table, numbers=numbers), match_headers(words, table)
    pivot = next(iter(numbers_in(words)), None)
    words = with_tokens(words, cells, headers)
    return Question(words, table, cells, headers, pivot, answer, program, intent)
