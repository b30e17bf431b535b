"""Learning programs from the answers of real questions: enumerate, choose, train, choose again.

All programs that give the right answer are run (`Programs`). Which of them a question means is not
known; a network says how probable each is, P(program) = Π_k p_k(operator) p_k(column), because the
selections of a step depend on the question and not on what was executed. In each round a question
gets the consistent program of the greatest P · prior, and a new network is trained from these
programs (hard expectation maximization). The first round has the prior alone, which prefers few
steps and columns that the question names.

References
----------
.. [1] A. Neelakantan, Q. Le, M. Abadi, A. McCallum, D. Amodei, "Learning a natural language
   interface with Neural Programmer", ICLR 2017: the network.
.. [2] P. Pasupat, P. Liang, "Compositional semantic parsing on semi-structured tables", ACL 2015:
   the questions, and learning from answers by search.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from pympf.explain.tables.evaluate import Value, denotation, is_right, normalize
from pympf.explain.tables.prune import Programs
from pympf.la import checks
from pympf.nets._checks import Array, random_numbers
from pympf.nets.programmer import OPERATORS, USES_COLUMN, NeuralProgrammer, Program, Question

__all__ = ["Candidates", "choose_programs", "fit_by_search", "real_accuracy", "right_programs"]

# Of the prior: what a step costs that does something, and what a named column or a match gains.
STEP_COST, NAMED = 1.0, 1.0
AT_ONCE = 250
TINY = 1e-12


class Candidates(NamedTuple):
    """Programs of a question that give its answer.

    Parameters
    ----------
    operators : ndarray of int, shape (K, 4)
        Numbers of operators.
    columns : ndarray of int, shape (K, 4)
        Columns, -1 where the operator uses none.
    prior : ndarray, shape (K,)
        The logarithm of what is thought of each before anything is learned.

    Examples
    --------
    See `right_programs`.
    """

    operators: Array
    columns: Array
    prior: Array

    def program(self, k: int) -> Program:
        """Give the k-th program."""
        steps = zip(self.operators[k].tolist(), self.columns[k].tolist(), strict=True)
        return tuple((OPERATORS[op], None if j < 0 else j) for op, j in steps)


def right_programs(
    question: Question, target: Sequence[Value], *, steps: int = 2, most: int = 2000, seed: int = 0
) -> Candidates:
    """Find the programs whose answer the evaluator takes for right.

    Not collective.

    Parameters
    ----------
    question : Question
        About any table.
    target : sequence of Value
        The answer, as `to_values` gives it.
    steps : int
        Free steps, 1 to 2.
    most : int
        So many of them are kept, by lot and prior.
    seed : int
        Of the lots.

    Returns
    -------
    Candidates
        None of them where no program is right.

    Examples
    --------
    >>> from pympf.explain.tables import Table, ask, right_programs, to_values
    >>> table = Table(("nation", "gold"), (("Fiji", "Peru"), ("1", "5")))
    >>> found = right_programs(ask("who has most gold", table), to_values(["Peru"]))
    >>> (("reset", None), ("reset", None), ("max", 1), ("print", 0)) in [
    ...     found.program(k) for k in range(len(found.prior))
    ... ]
    True
    """
    free = checks.integer(steps, "steps", 1, 2)
    programs = Programs(question, free)
    which = np.argwhere(_right(programs, target))
    kinds = [(OPERATORS.index(op), -1 if j is None else j) for op, j in programs.steps]
    finals = [(OPERATORS.index(op), -1 if j is None else j) for op, j in programs.finals]
    reset = OPERATORS.index("reset")
    operators = np.full((len(which), 4), reset, dtype=np.int8)
    columns = np.full((len(which), 4), -1, dtype=np.int16)
    for axis in range(free + 1):
        known = np.array(finals if axis == free else kinds)[which[:, axis]].reshape(-1, 2)
        operators[:, 3 - free + axis], columns[:, 3 - free + axis] = known.T
    prior = _prior(question, operators, columns)
    if len(prior) > most:
        lots = prior + random_numbers(seed, "candidates").gumbel(size=len(prior))
        kept = np.sort(np.argpartition(-lots, most)[:most])
        operators, columns, prior = operators[kept], columns[kept], prior[kept]
    return Candidates(operators, columns, prior)


def _right(programs: Programs, target: Sequence[Value]) -> Array:
    """Tell of each program whether its answer is right."""
    selected, texts = programs.selected, programs.question.table.texts
    right = np.zeros((len(selected), len(programs.finals)), dtype=bool)
    wanted = {value.text for value in target}
    for f, (operator, column) in enumerate(programs.finals):
        if operator == "count":
            right[:, f] = len(target) == 1 and selected.sum(1) == target[0].number
            continue
        plain = np.array([normalize(text) in wanted for text in texts[column]])
        for u in np.flatnonzero(~(selected & ~plain).any(1) & selected.any(1)):
            right[u, f] = is_right(target, denotation(frozenset(texts[column][selected[u]])))
    return right[programs._places]


def _prior(question: Question, operators: Array, columns: Array) -> Array:
    """Few steps are likely, and columns that the question names or has a match in."""
    n = question.table.shape[0]
    named = np.zeros((len(OPERATORS), n + 1))  # the last column is that of operators without one
    named[:, :n] = NAMED * question.headers
    named[OPERATORS.index("select"), :n] += NAMED * question.cells.any(1)
    steps = (operators != OPERATORS.index("reset")).sum(1)
    return np.asarray(named[operators, columns].sum(1) - STEP_COST * steps)


def choose_programs(
    model: NeuralProgrammer | None,
    questions: Sequence[Question],
    candidates: Sequence[Candidates],
    seed: int = 0,
) -> list[Question]:
    """Give each question the program that the network and the prior find most probable.

    Not collective.

    Parameters
    ----------
    model : NeuralProgrammer or None
        None: a program by lot, by the prior alone.
    questions : sequence of Question
        Some of them without candidates: they are left out.
    candidates : sequence of Candidates
        Of each question.
    seed : int
        Of the lots.

    Returns
    -------
    list of Question
        With programs.

    Examples
    --------
    See `fit_by_search`.
    """
    chosen: list[Question] = []
    uses = np.array([name in USES_COLUMN for name in OPERATORS])
    rng = random_numbers(seed, "programs chosen")
    pairs = [(q, c) for q, c in zip(questions, candidates, strict=True) if len(c.prior)]
    for start in range(0, len(pairs), AT_ONCE):
        some = pairs[start : start + AT_ONCE]
        probs = None if model is None else model.selections([q for q, _ in some])
        for b, (question, found) in enumerate(some):
            score = found.prior.copy()
            if probs is None:
                score += rng.gumbel(size=len(score))
            else:
                for k in range(4):
                    op, col = found.operators[:, k], found.columns[:, k]
                    score += np.log(probs.operators[k].value[b, op] + TINY)
                    at = probs.columns[k].value[b, np.maximum(col, 0)]
                    score += np.where(uses[op], np.log(at + TINY), 0.0)
            chosen.append(replace(question, program=found.program(int(score.argmax()))))
    return chosen


def fit_by_search(
    make: Callable[[int], NeuralProgrammer],
    questions: Sequence[Question],
    candidates: Sequence[Candidates],
    rounds: int = 3,
    *,
    seed: int = 0,
    progress: Callable[[int, NeuralProgrammer], None] | None = None,
) -> NeuralProgrammer:
    """Train networks in rounds, each from the programs that the one before chose.

    Not collective.

    Parameters
    ----------
    make : callable
        Round, from 0 → an untrained network with ``program_share=1``.
    questions : sequence of Question
        What to learn.
    candidates : sequence of Candidates
        Of each question, by `right_programs`.
    rounds : int
        At least 1.
    seed : int
        Of the lots of the first round.
    progress : callable, optional
        Called with the round and its network.

    Returns
    -------
    NeuralProgrammer
        That of the last round.

    Raises
    ------
    ValueError
        If no question has candidates.

    Examples
    --------
    >>> from pympf.explain.tables import *
    >>> from pympf.nets.programmer import NeuralProgrammer
    >>> table = Table(("nation", "gold"), (("Fiji", "Peru"), ("1", "5")))
    >>> questions = [ask("who has most gold", table), ask("how many nations", table)] * 4
    >>> answers = [to_values(["Peru"]), to_values(["2"])] * 4
    >>> found = [right_programs(q, t) for q, t in zip(questions, answers)]
    >>> kind = {"epochs": 20, "batch": 1, "least": 1, "dropout": 0, "learning_rate": 0.02}
    >>> make = lambda r: NeuralProgrammer(8, program_share=1.0, answers=False, **kind)
    >>> model = fit_by_search(make, questions, found, 2)
    >>> real_accuracy(model, questions, answers)
    1.0
    """
    model: NeuralProgrammer | None = None
    for r in range(checks.integer(rounds, "rounds")):
        chosen = choose_programs(model, questions, candidates, seed)
        if not chosen:
            raise ValueError("expected a question that some program answers, got none")
        model = make(r).fit(chosen)
        if progress is not None:
            progress(r, model)
    assert model is not None
    return model


def real_accuracy(
    model: Any, questions: Sequence[Question], targets: Sequence[Sequence[Value]]
) -> float:
    """Give the share of answers that the evaluator of the real questions takes for right.

    Not collective.

    Parameters
    ----------
    model : object
        With `predict`.
    questions : sequence of Question
        Any.
    targets : sequence of sequence of Value
        As `to_values` gives them.

    Returns
    -------
    float
        Of [0, 1].

    Examples
    --------
    See `fit_by_search`.
    """
    given = model.predict(questions)
    pairs = zip(given, targets, strict=True)
    return float(np.mean([is_right(target, denotation(answer)) for answer, target in pairs]))
