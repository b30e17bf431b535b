"""Which programs give the answer, and which of them for a wrong reason (section 3.5).

All programs ``reset, step, …, step, final`` are run at once. Programs with a common beginning share
its selection, and beginnings that select the same rows are continued once. A program that gives the
answer is *consistent*; it is *spurious* if it differs from the true program on some other table.
Fictitious tables, for which the true answer is known, rule spurious programs out.

References
----------
.. [1] P. Pasupat, P. Liang, "Inferring logical forms from denotations", ACL 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pympf.explain.tables.fictitious import fictitious
from pympf.la import checks
from pympf.nets._checks import random_numbers
from pympf.nets.programmer import (
    OPERATORS,
    USES_COLUMN,
    Answer,
    Program,
    Question,
    apply_step,
)

__all__ = ["Programs", "augment", "consistent", "draw_programs", "prune", "spurious"]

Step = tuple[str, int | None]
CHECKS = 25


class Programs:
    """All programs of a question, run with shared beginnings.

    Parameters
    ----------
    question : Question
        About a table of n columns.
    steps : int
        Free steps between reset and the final count or print, 1 to 3. There are 5 + 8n choices for
        each, and 1 + n for the final one.

    Attributes
    ----------
    steps : list of (operator, column)
        The choices of a free step.
    finals : list of (operator, column)
        The choices of the last one.
    selected : ndarray of bool, shape (u, m)
        The different selections before the final step.
    shape : tuple of int
        The shape of the array of verdicts: one axis for each free step, one for the final one.

    Examples
    --------
    >>> from pympf.explain.tables import Programs, generate_questions
    >>> question = generate_questions(1, per_table=1)[0]
    >>> programs = Programs(question)
    >>> programs.shape, bool(programs.give(question.answer)[programs.index(question.program)])
    ((37, 37, 5), True)
    """

    def __init__(self, question: Question, steps: int = 2) -> None:
        free = checks.integer(steps, "steps", 1, 3)
        columns = range(len(question.table.columns))
        every = [(op, j) for op in OPERATORS for j in (columns if op in USES_COLUMN else (None,))]
        self.question = question
        self.finals: list[Step] = [step for step in every if step[0] in ("count", "print")]
        self.steps: list[Step] = [step for step in every if step not in self.finals]
        self.shape = (len(self.steps),) * free + (len(self.finals),)
        self.selected, self._places = self._run(free)

    def __repr__(self) -> str:
        programs, cells = (" × ".join(map(str, x)) for x in (self.shape, self.question.table.shape))
        return f"<Programs {programs} of a question about {cells} cells>"

    def _run(self, free: int) -> tuple[np.ndarray, np.ndarray]:
        """Give the different selections, shape (u, m), and which of them each beginning has."""
        selected = np.ones((1, self.question.table.shape[1]), dtype=bool)
        places = np.zeros((), dtype=np.intp)
        for _ in range(free):
            after = np.stack(
                [apply_step(self.question, op, j, selected) for op, j in self.steps], axis=1
            )
            packed = np.packbits(after, axis=-1)
            keys = packed.view(f"V{packed.shape[-1]}")[..., 0]
            _, where, inverse = np.unique(keys, return_index=True, return_inverse=True)
            selected = after.reshape(-1, after.shape[-1])[where]
            places = inverse.reshape(keys.shape)[places]
        return selected, places

    def give(self, answer: Answer | None) -> np.ndarray:
        """Tell which programs give an answer.

        Parameters
        ----------
        answer : int, frozenset of str or None
            As `execute` gives it; an empty set is no answer.

        Returns
        -------
        ndarray of bool, shape `shape`
            Verdicts.

        Examples
        --------
        See the class.
        """
        texts = self.question.table.texts
        right = np.zeros((len(self.selected), len(self.finals)), dtype=bool)
        for f, (operator, column) in enumerate(self.finals):
            if operator == "count":
                if isinstance(answer, int):
                    right[:, f] = self.selected.sum(1) == answer
            elif isinstance(answer, frozenset) and answer:
                wanted = np.array([text in answer for text in texts[column]])
                only = ~(self.selected & ~wanted).any(1)
                named = [(self.selected & (texts[column] == text)).any(1) for text in answer]
                right[:, f] = only & np.all(named, axis=0)
        return right[self._places]

    def index(self, program: Program) -> tuple[int, ...]:
        """Find a program in the array of verdicts.

        Parameters
        ----------
        program : sequence of (operator, column)
            Reset, free steps, and a final one.

        Returns
        -------
        tuple of int
            Its index.

        Raises
        ------
        ValueError
            If it is none of the programs.

        Examples
        --------
        See the class.
        """
        if len(program) != len(self.shape) + 1 or program[0][0] != "reset":
            raise ValueError(f"expected reset and {len(self.shape)} more steps, got {program}")
        return (*(self.steps.index(step) for step in program[1:-1]), self.finals.index(program[-1]))

    def program(self, index: Sequence[int]) -> Program:
        """Give the program of an index.

        Parameters
        ----------
        index : sequence of int
            Of `index`.

        Returns
        -------
        tuple of (operator, column)
            Reset and what follows.

        Examples
        --------
        See the class.
        """
        *free, final = index
        return (("reset", None), *(self.steps[i] for i in free), self.finals[final])


def consistent(question: Question, steps: int = 2) -> np.ndarray:
    """Tell which programs give the question's answer.

    Not collective.

    Parameters
    ----------
    question : Question
        With its answer.
    steps : int
        Free steps, as of `Programs`.

    Returns
    -------
    ndarray of bool
        Of the shape of `Programs`.

    Examples
    --------
    >>> from pympf.explain.tables import consistent, generate_questions
    >>> bool(consistent(generate_questions(1, per_table=1)[0]).any())
    True
    """
    return Programs(question, steps).give(question.answer)


def prune(
    question: Question, tables: int, seed: int = 0, *, kind: str = "both", steps: int = 2
) -> np.ndarray:
    """Keep the consistent programs that give the true answer on fictitious tables, too.

    Not collective. A fictitious table on which the true program selects nothing is drawn again, up
    to ten times.

    Parameters
    ----------
    question : Question
        With answer and program; the program stands for the people who answer the question for a
        fictitious table.
    tables : int
        How many of them; 0 keeps all.
    seed : int
        Seed of the tables.
    kind : str
        As of `fictitious`.
    steps : int
        Free steps.

    Returns
    -------
    ndarray of bool, shape (tables + 1, …)
        What is left after 0, 1, …, tables of them.

    Examples
    --------
    >>> from pympf.explain.tables import generate_questions, prune
    >>> left = prune(generate_questions(1, per_table=1)[0], 3).sum((1, 2, 3))
    >>> bool((left[1:] <= left[:-1]).all())
    True
    """
    rng = random_numbers(seed, "pruning")
    left = [consistent(question, steps)]
    for _ in range(checks.integer(tables, "tables", 0)):
        left.append(left[-1] & consistent(_answerable(question, rng, kind), steps))
    return np.array(left)


def _answerable(question: Question, rng: np.random.Generator, kind: str) -> Question:
    for _ in range(10):
        other = fictitious(question, rng, kind)
        if other.answer != frozenset():
            return other
    return question


def spurious(question: Question, seed: int = 0, *, steps: int = 2) -> np.ndarray:
    """Tell which consistent programs differ from the true one on any of 25 fictitious tables.

    Not collective.

    Parameters
    ----------
    question : Question
        With answer and program.
    seed : int
        Seed of the tables.
    steps : int
        Free steps.

    Returns
    -------
    ndarray of bool
        Of the shape of `Programs`.

    Examples
    --------
    >>> from pympf.explain.tables import Programs, generate_questions, spurious
    >>> question = generate_questions(1, per_table=1)[0]
    >>> bool(spurious(question)[Programs(question).index(question.program)])
    False
    """
    # Seeds of another range than those that prune.
    left = prune(question, CHECKS, seed + 10**6, steps=steps)
    return np.asarray(left[0] & ~left[-1])


def draw_programs(
    questions: Sequence[Question], seed: int = 0, *, tables: int = 0, steps: int = 2
) -> list[Question]:
    """Give each question one of its consistent programs by lot, after pruning.

    Not collective. What a parser learns from that enumerates programs and does not know the true
    one.

    Parameters
    ----------
    questions : sequence of Question
        With answers and programs; without consistent program, a question is left out.
    seed : int
        Of the lots and of the tables.
    tables : int
        Fictitious tables that prune; 0 does not.
    steps : int
        Free steps.

    Returns
    -------
    list of Question
        With the programs drawn.

    Examples
    --------
    >>> from pympf.explain.tables import draw_programs, execute, generate_questions
    >>> drawn = draw_programs(generate_questions(1), tables=1)
    >>> all(execute(q.program, q) == q.answer for q in drawn)
    True
    """
    rng, result = random_numbers(seed, "lots"), []
    for number, question in enumerate(questions):
        left = np.argwhere(prune(question, tables, seed + number, steps=steps)[-1])
        if len(left):
            chosen = left[rng.integers(len(left))]
            program = Programs(question, steps).program(tuple(int(i) for i in chosen))
            result.append(replace(question, program=program))
    return result


def augment(questions: Sequence[Question], tables: int, seed: int = 0) -> list[Question]:
    """Add each question about fictitious tables to the questions.

    Not collective.

    Parameters
    ----------
    questions : sequence of Question
        With programs.
    tables : int
        Fictitious tables for each.
    seed : int
        Of the tables.

    Returns
    -------
    list of Question
        (1 + tables) times as many.

    Examples
    --------
    >>> from pympf.explain.tables import augment, generate_questions
    >>> len(augment(generate_questions(1), 2))
    15
    """
    rng = random_numbers(seed, "augmentation")
    more = [_answerable(q, rng, "both") for _ in range(tables) for q in questions]
    return [*questions, *more]
