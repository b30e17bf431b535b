"""Tables and questions drawn from the grammar, with their programs.

A table has 6 to 10 rows. With probability `sorted_p` it is sorted by a number column, from the
largest: then `first` is a shortcut for `max`. Names of entities are no words of a vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pympf.explain.tables.grammar import (
    DOMAINS,
    GROUPS,
    INTENTS,
    PROGRAMS,
    TEMPLATES,
    VAGUE_WORDS,
    roles_of,
)
from pympf.explain.tables.matches import ask
from pympf.la import checks
from pympf.nets._checks import random_numbers
from pympf.nets.programmer import Program, Question, Table, execute

__all__ = ["generate_questions", "generate_table", "zipf"]

ROWS = (6, 10)
ENTITIES, CATEGORIES, NUMBERS = 500, 60, 60
Rng = np.random.Generator


def zipf(exponent: float = 1.0) -> dict[str, float]:
    """Give intent frequencies by Zipf's law: the k-th of a list has 1/k^exponent, "how many" first.

    Not collective. WikiTableQuestions has a third of its questions with "how many"; the balanced
    grammar has no such word.

    Parameters
    ----------
    exponent : float
        0 gives equal frequencies.

    Returns
    -------
    dict
        A frequency for each intent; they sum to 1.

    Examples
    --------
    >>> from pympf.explain.tables import zipf
    >>> f"{zipf()['COUNT_ALL']:.2f}"
    '0.30'
    """
    frequent = ["COUNT_ALL", "LOOKUP", "COUNT", "SORT_MAX"]
    ranked = frequent + [intent for intent in INTENTS if intent not in frequent]
    weights = {intent: k**-exponent for k, intent in enumerate(ranked, 1)}
    return {intent: weight / sum(weights.values()) for intent, weight in weights.items()}


def generate_table(
    domain: str, seed: int | Rng = 0, *, sorted_p: float = 0.7, sorted_by: str | None = None
) -> Table:
    """Draw a table.

    Not collective.

    Parameters
    ----------
    domain : str
        A key of `DOMAINS`.
    seed : int or Generator
        Where the numbers come from.
    sorted_p : float
        How probable it is that the rows are sorted by the first number column of the table.
    sorted_by : str, optional
        The synonym group of the column to sort by instead.

    Returns
    -------
    Table
        With `domain` and `groups`.

    Examples
    --------
    >>> from pympf.explain.tables import generate_table
    >>> sorted(generate_table("race").groups)
    ['driver', 'laps', 'points', 'team']
    """
    checks.choice(domain, "domain", tuple(DOMAINS))
    rng = seed if isinstance(seed, Rng) else random_numbers(seed, "table")
    roles, rows = roles_of(domain), int(rng.integers(ROWS[0], ROWS[1] + 1))
    columns = [
        (group, str(rng.choice(GROUPS[group])), _cells(group, role, rows, rng))
        for group, role in roles.items()
    ]
    columns = [columns[i] for i in rng.permutation(len(columns))]
    groups, headers, cells = zip(*columns, strict=True)
    table = Table(headers, cells, domain, groups)
    if rng.random() < sorted_p:
        by = sorted_by or next(group for group in roles if roles[group] == "x")
        table = table.take_rows(table.order[groups.index(by)])
    return table


def _cells(group: str, role: str, rows: int, rng: Rng) -> tuple[str, ...]:
    if role == "x":
        return tuple(map(str, rng.choice(NUMBERS, rows, replace=False) + 1))
    if role == "n":
        return tuple(f"{group}_{i}" for i in rng.choice(ENTITIES, rows, replace=False))
    few = rng.choice(CATEGORIES, rng.integers(2, 4), replace=False)
    share = rng.dirichlet(np.full(len(few), 2.0))
    return tuple(f"{group}_{i}" for i in rng.choice(few, rows, p=share))


def generate_questions(
    tables: int,
    seed: int = 0,
    *,
    per_table: int = 5,
    vague: float = 0.1,
    sorted_p: float = 0.7,
    sorted_by_question: bool = False,
    intents: Mapping[str, float] | None = None,
) -> list[Question]:
    """Draw questions over tables of all domains in turn.

    Not collective.

    Parameters
    ----------
    tables, per_table : int
        How many tables, and questions about each.
    seed : int
        The same seed gives the same questions.
    vague : float
        Share of questions without a trigger, which mean the habit of the domain.
    sorted_p : float
        How probable it is that a table is sorted.
    sorted_by_question : bool
        Whether each SORT_MAX question has its table sorted by the column that it asks for, and each
        SORT_MIN question the other way round: then `first` is right for both.
    intents : mapping, optional
        Relative frequencies of the intents; default all equal. `zipf` has a skewed one.

    Returns
    -------
    list of Question
        With words, program, answer and intent.

    Raises
    ------
    ValueError
        If an intent is unknown, or all that are asked for need what a table lacks.

    Examples
    --------
    >>> from pympf.explain.tables import execute, generate_questions
    >>> questions = generate_questions(2, seed=1)
    >>> len(questions), all(execute(q.program, q) == q.answer for q in questions)
    (10, True)
    """
    weights = dict.fromkeys(INTENTS, 1.0) if intents is None else dict(intents)
    for intent in weights:
        checks.choice(intent, "an intent", INTENTS)
    rng = random_numbers(seed, "questions over tables")
    result: list[Question] = []
    for k in range(checks.integer(tables, "tables")):
        domain = list(DOMAINS)[k % len(DOMAINS)]
        table = generate_table(domain, rng, sorted_p=sorted_p)
        while len(result) < (k + 1) * checks.integer(per_table, "per_table"):
            question = _question(table, rng, weights, vague, sorted_by_question)
            if question is not None:
                result.append(question)
    return result


def _question(
    table: Table, rng: Rng, weights: dict[str, float], vague: float, sort: bool
) -> Question | None:
    """Draw a question, or None where the draw has no single answer."""
    roles, domain = roles_of(table.domain), DOMAINS[table.domain]
    columns: dict[str, list[int]] = {"n": [], "c": [], "x": []}
    for j, group in enumerate(table.groups):
        columns[roles[group]].append(j)
    without = () if columns["c"] else ("COUNT", "MFE")
    able = {intent: p for intent, p in weights.items() if intent not in without and p > 0}
    if not able:
        raise ValueError(f"expected an intent that tables of {table.domain} can answer")
    is_vague = rng.random() < vague
    shares = np.array(list(able.values())) / sum(able.values())
    intent = domain.habit if is_vague else str(rng.choice(list(able), p=shares))
    number = rng.choice(columns["x"])
    if is_vague:
        number = table.groups.index(domain.numbers[0])
    role = {"n": columns["n"][0], "x": int(number)}
    if columns["c"]:
        role["c"] = columns["c"][0]
    if sort and intent in ("SORT_MAX", "SORT_MIN"):
        order = table.order[role["x"]]
        table = table.take_rows(order if intent == "SORT_MAX" else order[::-1])
    text = _vague_text(rng) if is_vague else _text(table, intent, role, rng)
    program: Program = tuple((op, role.get(r or "")) for op, r in PROGRAMS[intent])
    question = ask(text, table, program=program, intent="VAGUE" if is_vague else intent)
    if intent == "MFE" and _tied(table.cells[role["c"]]):
        return None
    answer = execute(program, question)
    return None if answer == frozenset() else replace(question, answer=answer)


def _text(table: Table, intent: str, role: Mapping[str, int], rng: Rng) -> str:
    def word(kind: str) -> str:
        return str(rng.choice(GROUPS[table.groups[role[kind]]])) if kind in role else ""

    rows = table.shape[1]
    names = table.cells[role["c" if intent == "COUNT" else "n"]]
    i = int(rng.integers(intent == "BEFORE", rows - (intent == "AFTER")))
    other = (i + int(rng.integers(1, rows))) % rows
    template = str(rng.choice(TEMPLATES[intent]))
    fill = {"e": names[i], "f": names[other], "v": table.cells[role["x"]][int(rng.integers(rows))]}
    return template.format(n=word("n"), c=word("c"), x=word("x"), **fill)


def _vague_text(rng: Rng) -> str:
    return " ".join(rng.choice(VAGUE_WORDS, rng.integers(0, 7)))


def _tied(cells: tuple[str, ...]) -> bool:
    counts = np.unique(cells, return_counts=True)[1]
    return bool((counts == counts.max()).sum() > 1)
