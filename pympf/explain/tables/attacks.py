"""Attacks that attributions propose, and how they end (section 3.4.2).

An attack maps a question to one with the same meaning, or nearly, and with its own right answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np

from pympf.explain.result_table import ResultTable
from pympf.explain.tables.faithfulness import right
from pympf.explain.tables.fictitious import distractor_row, reorder_rows
from pympf.explain.tables.grammar import FLUFF
from pympf.explain.tables.matches import COMMON, match_headers, with_tokens
from pympf.explain.tables.programmer import MATCH_TERMS, Attributable, SelectionAttributions
from pympf.la import checks
from pympf.nets._checks import random_numbers
from pympf.nets.programmer import (
    COLUMN_TOKEN,
    TABLE_TOKEN,
    Question,
    execute,
    read_number,
)

__all__ = [
    "Phrases",
    "ablate_subject",
    "attack",
    "concatenate",
    "concatenation",
    "distractors",
    "drop_words",
    "propose_phrases",
    "reorder",
]

Change = Callable[[Question], Question]


def attack(
    model: Attributable, questions: Sequence[Question], changes: dict[str, Change]
) -> ResultTable:
    """Measure the accuracy under attacks, by each and by all of them.

    Not collective.

    Parameters
    ----------
    model : Attributable
        Any with `predict`.
    questions : sequence of Question
        With answers.
    changes : dict of callable
        From a question to the attacked one.

    Returns
    -------
    ResultTable
        The accuracy without attack, under each, and on the union: a question counts there when it
        is right under every one, and without. Also the share of answers that stay the same.

    Examples
    --------
    >>> from pympf.explain.tables import SYNONYMS, RuleBased, attack, generate_questions
    >>> from pympf.explain.tables import reorder_rows
    >>> model, questions = RuleBased(synonyms=SYNONYMS), generate_questions(6, seed=1, vague=0)
    >>> attack(model, questions, {"rows reordered": reorder_rows}).column("accuracy")
    [1.0, 1.0, 1.0]
    """
    before = right(model, questions)
    answers = model.predict(questions)
    every, unmoved = before.copy(), np.ones(len(questions), dtype=bool)
    rows: list[tuple[str, float, float]] = [("none", float(before.mean()), 1.0)]
    for name, change in changes.items():
        attacked = [change(question) for question in questions]
        verdicts = right(model, attacked)
        given = model.predict(attacked)
        same = np.array([a == b for a, b in zip(answers, given, strict=True)])
        rows.append((name, float(verdicts.mean()), float(same.mean())))
        every, unmoved = every & verdicts, unmoved & same
    rows.append(("union", float(every.mean()), float(unmoved.mean())))
    return ResultTable("Attacks", ("attack", "accuracy", "same answer"), rows)


def drop_words(question: Question, words: Collection[str] = FLUFF) -> Question:
    """Leave out words that a speaker can leave out.

    Not collective.

    Parameters
    ----------
    question : Question
        Any.
    words : collection of str
        The words.

    Returns
    -------
    Question
        Without them.

    Examples
    --------
    >>> from pympf.explain.tables import Table, ask, drop_words
    >>> drop_words(ask("who has the most gold", Table(("x",), (("1",),)))).words
    ('most', 'gold')
    """
    return question.with_words([word for word in question.words if word not in words])


def concatenate(question: Question, phrase: str, where: str) -> Question:
    """Put a phrase before or behind a question; matches and their tokens stay.

    Not collective.

    Parameters
    ----------
    question : Question
        Any.
    phrase : str
        Words.
    where : str
        ``prefix`` or ``suffix``.

    Returns
    -------
    Question
        The longer one.

    Raises
    ------
    ValueError
        For another place.

    Examples
    --------
    >>> from pympf.explain.tables import Table, ask, concatenate
    >>> question = ask("most gold", Table(("gold",), (("1",),)))
    >>> concatenate(question, "at all", "suffix").words
    ('most', 'gold', 'at', 'all', 'cm_token')
    """
    checks.choice(where, "where", ("prefix", "suffix"))
    tokens = tuple(word for word in question.words if word in (TABLE_TOKEN, COLUMN_TOKEN))
    words = tuple(word for word in question.words if word not in tokens)
    more = tuple(phrase.split())
    return question.with_words((more + words if where == "prefix" else words + more) + tokens)


class Phrases(NamedTuple):
    """Phrases to concatenate.

    Parameters
    ----------
    attacks : tuple of str
        Of words that trigger operators.
    baselines : tuple of str
        Of words that never do.

    Examples
    --------
    >>> from pympf.explain.tables import Phrases
    >>> Phrases(("least or most",), ("please show",)).attacks
    ('least or most',)
    """

    attacks: tuple[str, ...]
    baselines: tuple[str, ...]


def propose_phrases(
    attributions: Iterable[SelectionAttributions],
    *,
    attacks: int = 4,
    baselines: int = 3,
    length: int = 4,
    pool: int = 16,
    top: int = 2,
    leave_out: Collection[str] = (),
    seed: int = 0,
) -> Phrases:
    """Propose phrases from what triggers operators.

    Not collective.

    Parameters
    ----------
    attributions : iterable of SelectionAttributions
        Of questions answered right.
    attacks, baselines : int
        How many phrases of each kind.
    length : int
        Words of a phrase.
    pool : int
        Phrases are drawn from so many of the most frequent triggers, and from the words that are
        never among the top terms of an operator.
    top : int
        Terms taken from each operator.
    leave_out : collection of str
        Words that would change what the question asks for, such as column names.
    seed : int
        Of the draws.

    Returns
    -------
    Phrases
        Both kinds; of fewer words where there are not enough.

    Examples
    --------
    See `concatenation`.
    """
    attributions = list(attributions)
    triggers: Counter[str] = Counter()
    said: Counter[str] = Counter()
    for found in attributions:
        said.update(found.question.words)
        for one in found.selections:
            if one.kind == "operator":
                triggers.update(found.terms[i] for i in one.top(top))
    barred = {TABLE_TOKEN, COLUMN_TOKEN, *MATCH_TERMS, *leave_out}
    for found in attributions:
        barred |= {text for column in found.question.table.cells for text in column}

    def plain(words: Iterable[tuple[str, int]]) -> list[str]:
        return [word for word, _ in words if word not in barred and read_number(word) is None]

    frequent = plain(triggers.most_common())[:pool]
    never = [word for word in plain(said.most_common()) if triggers[word] == 0][:pool]
    rng = random_numbers(seed, "phrases")

    def draw(words: list[str], count: int) -> tuple[str, ...]:
        size = min(length, len(words))
        drawn = [rng.choice(words, size, replace=False) for _ in range(count)] if size else []
        return tuple(" ".join(phrase) for phrase in drawn)

    return Phrases(draw(frequent, attacks), draw(never, baselines))


def concatenation(
    model: Attributable, questions: Sequence[Question], phrases: Phrases
) -> tuple[ResultTable, ResultTable]:
    """Measure attack phrases and baseline phrases, as prefixes and suffixes (table 3.9).

    Not collective.

    Parameters
    ----------
    model : Attributable
        Any with `predict`.
    questions : sequence of Question
        With answers.
    phrases : Phrases
        Of `propose_phrases`.

    Returns
    -------
    attacks, baselines : ResultTable
        As of `attack`; the last row is the union over prefixes and suffixes.

    Examples
    --------
    >>> from pympf.explain.tables import SYNONYMS, Phrases, RuleBased, concatenation
    >>> from pympf.explain.tables import generate_questions
    >>> model, questions = RuleBased(synonyms=SYNONYMS), generate_questions(6, seed=1, vague=0)
    >>> attacks, baselines = concatenation(model, questions, Phrases(("most",), ("please",)))
    >>> baselines.column("accuracy")
    [1.0, 1.0, 1.0, 1.0]
    """

    def change(phrase: str, where: str) -> Change:
        return lambda question: concatenate(question, phrase, where)

    reports = (
        attack(
            model,
            questions,
            {
                f"{where}: {phrase}": change(phrase, where)
                for phrase in some
                for where in ("prefix", "suffix")
            },
        )
        for some in phrases
    )
    attacks, baselines = reports
    return attacks, baselines


def ablate_subject(
    question: Question, noun: str, synonyms: dict[str, set[str]] | None = None
) -> Question:
    """Ask for something that makes no sense: the subject becomes another noun.

    Not collective.

    Parameters
    ----------
    question : Question
        Any.
    noun : str
        Of low attribution.
    synonyms : mapping, optional
        Words for headers; the subject is the first word that names a column of texts.

    Returns
    -------
    Question
        With the noun in the place of the subject, and the matches of the new words; itself if it
        has no subject.

    Examples
    --------
    >>> from pympf.explain.tables import Table, ablate_subject, ask
    >>> table = Table(("nation", "gold"), (("Fiji",), ("1",)))
    >>> ablate_subject(ask("which nation has most gold", table), "tower").words
    ('which', 'tower', 'has', 'most', 'gold', 'cm_token')
    """
    table, known = question.table, synonyms or {}
    texts = [
        header
        for header, row in zip(table.columns, table.numbers, strict=True)
        if not np.isfinite(row).any()
    ]
    names = {word for header in texts for word in {header, *known.get(header, ())}}
    places = [i for i, word in enumerate(question.words) if word in names]
    if not places:
        return question
    words = list(question.words)
    words[places[0]] = noun
    headers = match_headers(words, table)
    return question.changed(words=with_tokens(words, question.cells, headers), headers=headers)


# ---- distractor rows -----------------------------------------------------------------------------
def distractors(
    model: Attributable,
    questions: Sequence[Question],
    attacks: int = 1000,
    *,
    important: int = 2,
    repeat: float = 0.5,
    seed: int = 0,
) -> ResultTable:
    """Attack by rows that repeat words of the question, and predict from attributions which fail.

    A question takes part if it is answered right, and if a neutral row changes neither the true
    answer nor the model's. Each of its content words is repeated with probability `repeat`. A row
    is of group 1 if it lacks one of the important words, by attribution to all selections; what
    goes to the table matches belongs to the names that match. An attack fails when the answer
    stays. As a control, the same attacks are split by as many random words.

    Not collective.

    Parameters
    ----------
    model : Attributable
        Any with `predict` and `attribute`.
    questions : sequence of Question
        With answers and programs.
    attacks : int
        How many; each question is attacked as often as is needed.
    important : int
        Important words of a question.
    repeat : float
        Probability to repeat a word.
    seed : int
        Of rows and words.

    Returns
    -------
    ResultTable
        For both groups: attacks, the share that fails, its standard deviation; then the difference,
        and that of the control.

    Raises
    ------
    ValueError
        If no question takes part.

    Examples
    --------
    >>> from pympf.explain.tables import NeuralProgrammer, distractors, generate_questions
    >>> questions = generate_questions(40, seed=1, vague=0, intents={"FIRST": 1})
    >>> model = NeuralProgrammer(12, epochs=8, batch=10, program_share=1.0, least=3)
    >>> distractors(model.fit(questions), questions[:9], attacks=9).column("group")[:2]
    ['1: an important word is missing', '2: none is missing']
    """
    rng = random_numbers(seed, "distractors")
    used = _unmoved(model, questions, rng)
    if not used:
        raise ValueError("expected a question that a neutral row leaves right, there is none")
    weights = [_word_weights(found) for found in model.attribute(used)]
    asked, missing, control = [], [], []
    for number in range(checks.integer(attacks, "attacks")):
        question, weight = used[number % len(used)], weights[number % len(used)]
        said = {word for word in weight if rng.random() < repeat}
        asked.append(distractor_row(question, [word for word in weight if word in said], rng))
        ranked = sorted(weight, key=lambda word: -weight[word])
        missing.append(not said.issuperset(ranked[:important]))
        control.append(not said.issuperset(rng.permutation(ranked)[:important]))
    answers = model.predict(used)
    failed = np.array([a == answers[i % len(used)] for i, a in enumerate(model.predict(asked))])
    rows = _split(failed, np.array(missing))
    rows.append(("difference by random words", *_split(failed, np.array(control))[-1][1:]))
    return ResultTable("Distractor rows", ("group", "attacks", "fail", "sigma"), rows)


def _split(failed: np.ndarray, first: np.ndarray) -> list[tuple[str, int, float, float]]:
    """Compare the rates of two groups, and give their difference with its standard deviation."""
    one, two = _rate(failed[first]), _rate(failed[~first])
    spread = sqrt(one[2] ** 2 + two[2] ** 2)
    return [
        ("1: an important word is missing", *one),
        ("2: none is missing", *two),
        ("difference", len(failed), one[1] - two[1], spread),
    ]


def _rate(failed: np.ndarray) -> tuple[int, float, float]:
    n = len(failed)
    p = float(failed.mean()) if n else 0.0
    return n, p, sqrt(p * (1 - p) / n) if n else 0.0


def _unmoved(
    model: Attributable, questions: Sequence[Question], rng: np.random.Generator
) -> list[Question]:
    """Give the questions that a neutral row changes nothing about, and that are answered right."""
    neutral = [distractor_row(question, (), rng) for question in questions]
    same = [
        question.program is not None and execute(question.program, other) == question.answer
        for question, other in zip(questions, neutral, strict=True)
    ]
    good = right(model, questions) & right(model, neutral) & np.array(same)
    return [question for question, fits in zip(questions, good, strict=True) if fits]


def _word_weights(found: SelectionAttributions) -> dict[str, float]:
    """Give the attribution of each content word; that of the table matches goes to the names."""
    total = np.sum([one.values for one in found.selections], axis=0)
    question = found.question
    weights: dict[str, float] = {}
    tokens = (TABLE_TOKEN, COLUMN_TOKEN)
    for i, word in enumerate(question.words):
        if word not in COMMON and word not in tokens and read_number(word) is None:
            weights[word] = weights.get(word, 0.0) + (float(total[i]) if found.selections else 0.0)
    names = [word for word in weights if word in set(question.table.texts[question.cells > 0])]
    for word in names if found.selections else ():
        weights[word] += float(total[-2]) / len(names)
    return weights


def reorder(seed: int = 0) -> Change:
    """Make the attack that reorders the rows of each table."""
    rng = random_numbers(seed, "rows reordered")
    return lambda question: reorder_rows(question, rng)
