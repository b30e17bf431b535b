"""How many real questions can any program answer: an upper bound, which includes luck."""

from __future__ import annotations

from typing import Any

import numpy as np

from pympf._progress import through
from pympf.explain.tables.evaluate import Value, denotation, is_right, normalize, to_values
from pympf.explain.tables.prune import Programs
from pympf.explain.tables.wtq import WikiTableQuestions
from pympf.la import checks
from pympf.nets._checks import random_numbers
from pympf.nets.programmer import Question

__all__ = ["answerable"]

ROWS, COLUMNS = 100, 20


def answerable(
    data: WikiTableQuestions, split: str, questions: int = 300, *, steps: int = 2, seed: int = 0
) -> dict[str, Any]:
    """Count the questions that some program answers.

    Not collective.

    Parameters
    ----------
    data : WikiTableQuestions
        The data set.
    split : str
        As of `WikiTableQuestions.examples`.
    questions : int
        How many are drawn.
    steps : int
        Free steps at most, 1 to 3.
    seed : int
        Of the draw.

    Returns
    -------
    dict
        ``split_size`` questions, ``sample`` drawn, ``within_limits`` of 100 rows and 20 columns,
        and ``answerable``, the share of the sample for 1, …, `steps` free steps.

    Examples
    --------
    See `Programs`; the files are not shipped.
    """
    every = data.examples(split)
    count = min(checks.integer(questions, "questions"), len(every))
    chosen = random_numbers(seed, "sample").choice(len(every), count, replace=False)
    within, hits = 0, np.zeros(steps, dtype=int)
    for place in through("answerable", "question", chosen.tolist()):
        question = data.question(every[place])
        n, m = question.table.shape
        if m <= ROWS and n <= COLUMNS:
            within += 1
            target = to_values(every[place].target)
            hits += [_some_program(question, target, k) for k in range(1, steps + 1)]
    return {
        "split_size": len(every),
        "sample": count,
        "within_limits": within,
        "answerable": [float(hit / count) for hit in hits],
    }


def _some_program(question: Question, target: tuple[Value, ...], steps: int) -> bool:
    """Tell whether a selection of rows has the count, or the cells of a column, of the target."""
    selections = Programs(question, steps).selected
    if len(target) == 1 and target[0].number in set(selections.sum(1).tolist()):
        return True
    wanted = {value.text for value in target}
    for column in question.table.texts:
        plain = np.array([normalize(text) in wanted for text in column])
        for selected in selections[(selections & ~plain).sum(1) == 0]:
            if selected.any() and is_right(target, denotation(frozenset(column[selected]))):
                return True
    return False
