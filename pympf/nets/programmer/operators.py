"""The 15 operators of Neural Programmer (table 3.1), hard: a selection of rows becomes another.

A program has four steps, each an operator and a column. It starts with all rows selected; what the
last step counts or prints is the answer, and a count or print before that leaves no rows.

References
----------
.. [1] A. Neelakantan, Q. Le, M. Abadi, A. McCallum, D. Amodei, "Learning a natural language
   interface with Neural Programmer", ICLR 2017, table 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pympf.nets._checks import Array
from pympf.nets.programmer.table import Answer, Program, Question

__all__ = ["BUILDS_ON", "OPERATORS", "STEPS", "USES_COLUMN", "apply_step", "execute", "used"]

OPERATORS = (
    *("count", "prev", "next", "first", "last", "mfe", "gt", "lt", "geq", "leq"),
    *("max", "min", "select", "reset", "print"),
)
STEPS = 4
# The operators whose result depends on the column, and on the rows selected before.
USES_COLUMN = ("mfe", "gt", "lt", "geq", "leq", "max", "min", "select", "print")
BUILDS_ON = ("count", "prev", "next", "first", "last", "max", "min", "print")


def apply_step(question: Question, operator: str, column: int | None, selected: Array) -> Array:
    """Apply an operator to selections of rows.

    Not collective. Of equal numbers, max takes the first row and min the last; a row without a
    number is never taken.

    Parameters
    ----------
    question : Question
        With its table.
    operator : str
        One of `OPERATORS`; count and print select nothing.
    column : int or None
        The column, for the operators of `USES_COLUMN`.
    selected : ndarray of bool, shape (..., m)
        Selections; many of them are done at once.

    Returns
    -------
    ndarray of bool, shape (..., m)
        The new selections.

    Raises
    ------
    ValueError
        If there is no such operator or column.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.programmer import Question, Table, apply_step
    >>> table = Table(("gold",), (("1", "5", "3"),))
    >>> question = Question(("gold",), table, np.zeros((1, 3)), np.ones(1))
    >>> apply_step(question, "max", 0, np.array([True, False, True]))
    array([False, False,  True])
    """
    _check_step(question, operator, column)
    if operator in question.masks:
        return np.broadcast_to(question.masks[operator][column], selected.shape)
    if operator in ("max", "min"):
        return _extreme(question, operator, column, selected)
    result = np.zeros_like(selected)
    if operator == "prev":
        result[..., :-1] = selected[..., 1:]
    elif operator == "next":
        result[..., 1:] = selected[..., :-1]
    elif operator == "first":
        result = first(selected)
    elif operator == "last":
        result = first(selected[..., ::-1])[..., ::-1]
    elif operator == "reset":
        result[...] = True
    return result


def _check_step(question: Question, operator: str, column: int | None) -> None:
    if operator not in OPERATORS:
        raise ValueError(f"expected an operator of {', '.join(OPERATORS)}, got {operator!r}")
    n = len(question.table.columns)
    if operator in USES_COLUMN and (column is None or not 0 <= column < n):
        raise ValueError(f"expected a column from 0 to {n - 1} for {operator}, got {column!r}")


def first(selected: Array) -> Array:
    """Keep the first selected row of each selection."""
    return selected & (np.cumsum(selected, axis=-1) == 1)


def _extreme(question: Question, operator: str, column: int | None, selected: Array) -> Array:
    order = question.table.order[column]
    order = order[np.isfinite(question.table.numbers[column])[order]]
    result = np.zeros_like(selected)
    if operator == "min":
        order = order[::-1]
    result[..., order] = first(selected[..., order])
    return result


def execute(
    program: Program | Sequence[tuple[str, int | None]], question: Question
) -> Answer | None:
    """Run a program.

    Not collective.

    Parameters
    ----------
    program : sequence of (operator, column)
        Of any length, at least 1.
    question : Question
        With its table, matches and number.

    Returns
    -------
    int, frozenset of str or None
        The count or the texts that the last step gives; None where it is neither count nor print.

    Raises
    ------
    ValueError
        If there is no such operator or column.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.programmer import Question, Table, execute
    >>> table = Table(("nation", "gold"), (("Fiji", "Peru"), ("1", "5")))
    >>> question = Question(("gold",), table, np.zeros((2, 2)), np.ones(2))
    >>> execute([("reset", None), ("max", 1), ("print", 0)], question)
    frozenset({'Peru'})
    >>> execute([("count", None)], question)
    2
    """
    *before, (operator, column) = program
    selected = np.ones(question.table.shape[1], dtype=bool)
    for step in before:
        selected = apply_step(question, *step, selected)
    _check_step(question, operator, column)
    if operator == "count":
        return int(selected.sum())
    if operator == "print":
        return frozenset(question.table.texts[column, selected])
    return None


def used(program: Program) -> list[tuple[bool, bool]]:
    """Tell which operators and columns of a program reach its answer.

    Not collective. The walk goes back from the last step to the first operator that starts afresh.

    Parameters
    ----------
    program : sequence of (operator, column)
        The steps.

    Returns
    -------
    list of (bool, bool)
        For each step, whether its operator matters, and its column.

    Examples
    --------
    >>> from pympf.nets.programmer import used
    >>> used((("max", 0), ("select", 1), ("count", 0)))
    [(False, False), (True, True), (True, False)]
    """
    result, reached = [], True
    for operator, _ in reversed(program):
        result.append((reached, reached and operator in USES_COLUMN))
        reached = reached and operator in BUILDS_ON
    return result[::-1]
