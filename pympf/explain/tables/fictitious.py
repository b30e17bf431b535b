"""Other tables for the same question: fictitious ones, other row orders, distractor rows.

A fictitious table (section 3.5) keeps the entities that the question names, redraws or permutes
what is left, and the question's program gives the new answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pympf.explain.tables.matches import with_tokens
from pympf.la import checks
from pympf.nets._checks import random_numbers
from pympf.nets.programmer import Question, Table, execute

__all__ = ["distractor_row", "fictitious", "reorder_rows"]

KINDS = ("rows", "numbers", "both")
Rng = np.random.Generator


def fictitious(question: Question, seed: int | Rng = 0, kind: str = "both") -> Question:
    """Ask the same question of a fictitious table.

    Not collective.

    Parameters
    ----------
    question : Question
        With its program, which gives the answer.
    seed : int or Generator
        Where the table comes from.
    kind : str
        ``rows``: the rows in another order. ``numbers``: numbers are redrawn, between the smallest
        and the largest of the column, and other texts permuted within their column, but for columns
        that hold one text per row, which keep their places. ``both``.

    Returns
    -------
    Question
        About the new table, with the answer of the program, where there is one.

    Raises
    ------
    ValueError
        If there is no such kind.

    Examples
    --------
    >>> from pympf.explain.tables import fictitious, generate_questions
    >>> question = generate_questions(1, per_table=1)[0]
    >>> fictitious(question, seed=1).words == question.words
    True
    """
    checks.choice(kind, "kind", KINDS)
    rng = seed if isinstance(seed, Rng) else random_numbers(seed, "fictitious tables")
    table, cells = question.table, question.cells
    n, m = table.shape
    order = rng.permutation(m) if kind != "numbers" else np.arange(m)
    columns = [list(np.array(column, dtype=object)[order]) for column in table.cells]
    cells = cells[:, order].copy()
    if kind != "rows":
        for j in range(n):
            if np.isfinite(table.numbers[j]).all() and not cells[j].any():
                columns[j] = _redrawn(table.numbers[j], rng)
            elif len(set(columns[j])) < m:
                moved = rng.permutation(m)
                columns[j], cells[j] = [columns[j][i] for i in moved], cells[j, moved]
    return _with_table(question, replace(table, cells=tuple(map(tuple, columns))), cells)


def _redrawn(numbers: np.ndarray, rng: Rng) -> list[str]:
    """Draw whole numbers of the same range, all different where there are enough."""
    low, high = int(np.floor(numbers.min())), int(np.ceil(numbers.max()))
    high = max(high, low + 2 * len(numbers))
    if high - low > 10**6:
        return [str(value) for value in rng.integers(low, high, len(numbers))]
    return [str(low + value) for value in rng.choice(high - low + 1, len(numbers), replace=False)]


def _with_table(question: Question, table: Table, cells: np.ndarray) -> Question:
    question = replace(question, table=table, cells=cells)
    if question.program is None:
        return replace(question, answer=None)
    return replace(question, answer=execute(question.program, question))


def reorder_rows(question: Question, seed: int | Rng = 0) -> Question:
    """Ask the same question of the same table with its rows in another order.

    Not collective. Where the program is not known, the answer stays: right for questions that do
    not ask for an order.

    Parameters
    ----------
    question : Question
        Of any table.
    seed : int or Generator
        Where the order comes from.

    Returns
    -------
    Question
        With the answer for the new order.

    Examples
    --------
    >>> from pympf.explain.tables import generate_questions, reorder_rows
    >>> question = generate_questions(1, per_table=1)[0]
    >>> sorted(reorder_rows(question).table.cells[0]) == sorted(question.table.cells[0])
    True
    """
    rng = seed if isinstance(seed, Rng) else random_numbers(seed, "orders of rows")
    order = rng.permutation(question.table.shape[1])
    new = _with_table(question, question.table.take_rows(order), question.cells[:, order])
    return new if question.program is not None else replace(new, answer=question.answer)


def distractor_row(question: Question, said: Sequence[str] = (), seed: int | Rng = 0) -> Question:
    """Put a row into the table that repeats words of the question and is not about it.

    Not collective. What AddSent does to a paragraph: an irrelevant fact (section 3.4.2). The row
    stands at a random place. Its texts are the words ``said`` and one more; names of other rows are
    left out. Its numbers are those of some row. A text matches the question when it repeats the
    text of a cell that the question names.

    Parameters
    ----------
    question : Question
        With its answer, which stays.
    said : sequence of str
        Words of the question to repeat; none gives a neutral row.
    seed : int or Generator
        Where place and numbers come from.

    Returns
    -------
    Question
        With m + 1 rows and their matches.

    Examples
    --------
    >>> from pympf.explain.tables import distractor_row, generate_questions
    >>> question = generate_questions(1, per_table=1)[0]
    >>> distractor_row(question, question.words[:2]).table.shape[1] - question.table.shape[1]
    1
    """
    rng = seed if isinstance(seed, Rng) else random_numbers(seed, "distractor rows")
    table = question.table
    place, like = int(rng.integers(table.shape[1] + 1)), int(rng.integers(table.shape[1]))
    columns = []
    matches = np.zeros(len(table.columns), dtype=bool)
    for j, column in enumerate(table.cells):
        text = column[like]
        if not np.isfinite(table.numbers[j]).any():
            here = {cell for cell, named in zip(column, question.cells[j], strict=True) if named}
            repeated = [word for word in said if word in here or word not in column]
            text = " ".join([*repeated, "elsewhere"])
            matches[j] = not here.isdisjoint(repeated)
        columns.append((*column[:place], text, *column[place:]))
    cells = np.insert(question.cells, place, matches, axis=1)
    return replace(
        question,
        words=with_tokens(question.words, cells, question.headers),
        table=replace(table, cells=tuple(columns)),
        cells=cells,
    )
