"""Questions as arrays, padded to the largest table among them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from pympf.nets._checks import Array
from pympf.nets.programmer.operators import OPERATORS, STEPS, USES_COLUMN
from pympf.nets.programmer.table import Question, Table, read_number
from pympf.nets.programmer.vocabulary import Vocabulary

__all__ = ["FRESH", "Batch", "encode", "header_words"]

# The operators that select rows by a column and nothing else, in the order of `Batch.masks`.
FRESH = ("mfe", "gt", "lt", "geq", "leq", "select")


@dataclass(frozen=True)
class Batch:
    """B questions of at most Q words over tables of at most n columns and m rows.

    Parameters
    ----------
    words : ndarray of int, shape (B, Q)
        Numbers of words; the question stands at the end.
    said : ndarray of bool, shape (B, Q)
        Where there is a word.
    headers : ndarray of int, shape (B, n, H)
        Numbers of the words of headers.
    shares : ndarray, shape (B, n, H)
        1/(words of the header) at each of its words.
    present : ndarray of bool, shape (B, n)
        Where there is a column.
    cells, header_matches : ndarray, shape (B, n, m) and (B, n)
        Matches, tm and cm.
    rows : ndarray, shape (B, m)
        1 where there is a row.
    masks : ndarray, shape (B, 6, n, m)
        What the operators of `FRESH` select.
    has_number : ndarray, shape (B, n, m)
        1 where a cell is a number.
    order : ndarray of int, shape (B, n, m)
        Rows by falling number.
    count : ndarray, shape (B,)
        The answer that is a count, -1 where it cannot be one.
    printed : ndarray of int, shape (B, n, m)
        t ≥ 1 where a cell is the t-th text of the answer.
    operators, columns : ndarray of int, shape (B, 4)
        The program, -1 where it is not known or does not matter.

    Examples
    --------
    See `encode`.
    """

    words: Array
    said: Array
    headers: Array
    shares: Array
    present: Array
    cells: Array
    header_matches: Array
    rows: Array
    masks: Array
    has_number: Array
    order: Array
    count: Array
    printed: Array
    operators: Array
    columns: Array

    def take(self, which: Sequence[int] | Array) -> Batch:
        """Give some of the questions.

        Parameters
        ----------
        which : sequence of int
            Indices.

        Returns
        -------
        Batch
            Of the same padding.

        Examples
        --------
        See `encode`.
        """
        return Batch(**{field.name: getattr(self, field.name)[which] for field in fields(self)})


def header_words(table: Table) -> list[list[str]]:
    """Give the words of each header of a table, in lower case."""
    return [re.findall(r"[\w.]+", header.lower()) or [""] for header in table.columns]


def encode(
    questions: Sequence[Question], vocabulary: Vocabulary, length: int, *, either: bool = False
) -> Batch:
    """Make arrays of questions.

    Not collective.

    Parameters
    ----------
    questions : sequence of Question
        At least one.
    vocabulary : Vocabulary
        The words known.
    length : int
        Q, the most words of a question.
    either : bool
        Whether an answer of one text that is a number may also be a count.

    Returns
    -------
    Batch
        Arrays.

    Raises
    ------
    ValueError
        If a question is longer than `length`.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.programmer import Question, Table, Vocabulary
    >>> from pympf.nets.programmer.encode import encode
    >>> table = Table(("gold",), (("1", "5"),))
    >>> question = Question(("most", "gold"), table, np.zeros((1, 2)), np.ones(1))
    >>> encode([question], Vocabulary(["most"]), 3).words
    array([[0, 5, 1]])
    """
    tables = [header_words(question.table) for question in questions]
    B, H = len(questions), max(len(words) for table in tables for words in table)
    n, m = (max(question.table.shape[axis] for question in questions) for axis in (0, 1))
    batch = Batch(
        words=np.zeros((B, length), dtype=np.intp),
        said=np.zeros((B, length), dtype=bool),
        headers=np.zeros((B, n, H), dtype=np.intp),
        shares=np.zeros((B, n, H)),
        present=np.zeros((B, n), dtype=bool),
        cells=np.zeros((B, n, m)),
        header_matches=np.zeros((B, n)),
        rows=np.zeros((B, m)),
        masks=np.zeros((B, len(FRESH), n, m)),
        has_number=np.zeros((B, n, m)),
        order=np.tile(np.arange(m), (B, n, 1)),
        count=np.full(B, -1.0),
        printed=np.zeros((B, n, m), dtype=np.intp),
        operators=np.full((B, STEPS), -1),
        columns=np.full((B, STEPS), -1),
    )
    for b, (question, headers) in enumerate(zip(questions, tables, strict=True)):
        _write_words(batch, b, question, vocabulary)
        _write_table(batch, b, question, headers, vocabulary)
        _write_answer(batch, b, question, either)
        for k, (operator, column) in _steps(question):
            batch.operators[b, k] = OPERATORS.index(operator)
            if operator in USES_COLUMN and column is not None:
                batch.columns[b, k] = column
    return batch


def _steps(question: Question) -> list[tuple[int, tuple[str, int | None]]]:
    """Number the steps of a program; a shorter one is understood to begin with reset."""
    program = question.program
    if program is None:
        return []
    if len(program) > STEPS:
        raise ValueError(f"expected programs of at most {STEPS} steps, got {program}")
    resets = (("reset", None),) * (STEPS - len(program))
    return list(enumerate((*resets, *program)))


def _write_words(batch: Batch, b: int, question: Question, vocabulary: Vocabulary) -> None:
    size, length = len(question.words), batch.words.shape[1]
    if size > length:
        raise ValueError(f"expected questions of at most {length} words, got {size}")
    if size:
        batch.words[b, -size:] = vocabulary.numbers(question.words)
        batch.said[b, -size:] = True


def _write_table(
    batch: Batch, b: int, question: Question, headers: list[list[str]], vocabulary: Vocabulary
) -> None:
    table = question.table
    n, m = table.shape
    for j, words in enumerate(headers):
        batch.headers[b, j, : len(words)] = vocabulary.numbers(words)
        batch.shares[b, j, : len(words)] = 1 / len(words)
    batch.present[b, :n], batch.rows[b, :m] = True, 1
    batch.cells[b, :n, :m], batch.header_matches[b, :n] = question.cells, question.headers
    for k, operator in enumerate(FRESH):
        batch.masks[b, k, :n, :m] = question.masks[operator]
    batch.has_number[b, :n, :m] = np.isfinite(table.numbers)
    batch.order[b, :n, :m] = table.order


def _write_answer(batch: Batch, b: int, question: Question, either: bool) -> None:
    answer = question.answer
    if isinstance(answer, int):
        batch.count[b] = answer
    elif answer is not None:
        n, m = question.table.shape
        for t, text in enumerate(sorted(answer), 1):
            batch.printed[b, :n, :m][question.table.texts == text] = t
        number = read_number(next(iter(answer))) if either and len(answer) == 1 else None
        batch.count[b] = -1 if number is None or number < 0 else number
