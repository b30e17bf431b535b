"""Whether attributions name what selections depend on, and how few words it takes to be right."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from pympf.explain.result_table import ResultTable
from pympf.explain.tables.programmer import (
    MATCH_TERMS,
    Attributable,
    NeuralProgrammer,
    SelectionAttributions,
)
from pympf.la import checks
from pympf.nets._checks import random_numbers
from pympf.nets.programmer import Question, is_answer

__all__ = ["accuracy", "drop_terms", "faithfulness", "overstability", "rank_words"]


def drop_terms(question: Question, places: Collection[int]) -> Question:
    """Leave out terms of a question: words, or all table or column matches.

    Not collective.

    Parameters
    ----------
    question : Question
        With W words.
    places : collection of int
        Places of words; W is the table matches, W + 1 the column matches.

    Returns
    -------
    Question
        Without them.

    Examples
    --------
    >>> from pympf.explain.tables import Table, ask, drop_terms
    >>> question = ask("most gold", Table(("gold",), (("1", "5"),)))
    >>> drop_terms(question, {0, 4}).words, drop_terms(question, {0, 4}).headers
    (('gold', 'cm_token'), array([False]))
    """
    size = len(question.words)
    words = tuple(word for i, word in enumerate(question.words) if i not in places)
    cells, headers = (
        matches & (size + k not in places)
        for k, matches in enumerate((question.cells.astype(bool), question.headers.astype(bool)))
    )
    return question.changed(words=words, cells=cells, headers=headers)


def faithfulness(
    model: NeuralProgrammer,
    attributions: Iterable[SelectionAttributions],
    *,
    top: int = 3,
    share: float = 0.1,
    seed: int = 0,
) -> ResultTable:
    """Measure whether operators change without their important terms, and stay without the others.

    Not collective.

    Parameters
    ----------
    model : NeuralProgrammer
        Which answered.
    attributions : iterable of SelectionAttributions
        Of any questions; operators that are their default are not in them.
    top : int
        Important terms that are dropped (precision), and random terms beside.
    share : float
        Terms with less than this share of the positive attributions are dropped (recall).
    seed : int
        Of the random terms.

    Returns
    -------
    ResultTable
        For each step, from 1: selections, how often the operator changed without the important
        terms and without random ones, and how often it stayed without the unimportant ones.

    Examples
    --------
    >>> from pympf.explain.tables import NeuralProgrammer, faithfulness, generate_questions
    >>> questions = generate_questions(12, seed=1)
    >>> model = NeuralProgrammer(12, epochs=1, program_share=1.0, least=2).fit(questions)
    >>> faithfulness(model, model.attribute(questions[:5])).columns[:2]
    ('step', 'selections')
    """
    rng = random_numbers(seed, "random terms")
    asked: list[Question] = []
    jobs: list[tuple[int, str]] = []
    for found in attributions:
        for one in found.selections:
            if one.kind == "operator":
                positive = one.values.clip(0)
                unimportant = np.flatnonzero(one.values < share * positive.sum())
                some = rng.choice(len(found.terms), min(top, len(found.terms)), replace=False)
                for places in (set(one.top(top)), set(some.tolist()), set(unimportant.tolist())):
                    asked.append(drop_terms(found.question, places))
                jobs.append((one.step, one.chosen))
    programs = model.programs(asked)
    verdicts: dict[int, list[tuple[bool, bool, bool]]] = defaultdict(list)
    for i, (step, chosen) in enumerate(jobs):
        same = [program[step][0] == chosen for program in programs[3 * i : 3 * i + 3]]
        verdicts[step].append((not same[0], not same[1], same[2]))
    rows = [
        (step + 1, len(some), *(float(x) for x in np.mean(some, axis=0)))
        for step, some in sorted(verdicts.items())
    ]
    columns = (
        *("step", "selections", f"changed without top {top}", f"changed without {top} random"),
        f"same without those below {share:.0%}",
    )
    return ResultTable("Faithfulness", columns, rows)


# ---- overstability -------------------------------------------------------------------------------
def accuracy(model: Attributable, questions: Sequence[Question]) -> float:
    """Give the share of right answers of any model.

    Not collective.

    Parameters
    ----------
    model : Attributable
        With `predict`.
    questions : sequence of Question
        With answers.

    Returns
    -------
    float
        Of [0, 1].

    Examples
    --------
    >>> from pympf.explain.tables import SYNONYMS, RuleBased, accuracy, generate_questions
    >>> accuracy(RuleBased(synonyms=SYNONYMS), generate_questions(6, seed=1, vague=0))
    1.0
    """
    return float(np.mean(right(model, questions)))


def right(model: Attributable, questions: Sequence[Question]) -> np.ndarray:
    """Tell which questions a model answers right."""
    given = model.predict(questions)
    pairs = zip(given, questions, strict=True)
    return np.array([is_answer(answer, question.answer) for answer, question in pairs])


def rank_words(attributions: Iterable[SelectionAttributions], *, top: int = 2) -> list[str]:
    """Rank words by how often they are among the top terms of a selection.

    Not collective.

    Parameters
    ----------
    attributions : iterable of SelectionAttributions
        Of questions answered right.
    top : int
        Terms of a selection.

    Returns
    -------
    list of str
        The most frequent first; without ``tm`` and ``cm``.

    Examples
    --------
    See `overstability`.
    """
    counts = Counter(
        found.terms[i]
        for found in attributions
        for one in found.selections
        for i in one.top(top)
        if found.terms[i] not in MATCH_TERMS
    )
    return [word for word, _ in counts.most_common()]


def overstability(
    model: Attributable,
    questions: Sequence[Question],
    ranked: Sequence[str],
    sizes: Sequence[int] = (0, 1, 2, 3, 5, 8, 12, 16, 24, 32, 48, 64),
    *,
    draws: int = 3,
    seed: int = 0,
) -> ResultTable:
    """Measure the accuracy on questions of which only some words are left (figure 3.5).

    Not collective. Matches stay; words out of the vocabulary are words as others.

    Parameters
    ----------
    model : Attributable
        Any.
    questions : sequence of Question
        With answers.
    ranked : sequence of str
        Words, of `rank_words`.
    sizes : sequence of int
        How many of them are left.
    draws : int
        How often as many random words of the list are left instead.
    seed : int
        Of these.

    Returns
    -------
    ResultTable
        For each size, the accuracy relative to that on the whole questions, by the first words and
        by random words.

    Examples
    --------
    >>> from pympf.explain.tables import SYNONYMS, RuleBased, generate_questions, overstability
    >>> questions = generate_questions(6, seed=1, vague=0)
    >>> overstability(RuleBased(), questions, ["many", "how"], [0, 2]).column("words")
    [0, 2]
    """
    whole = accuracy(model, questions)
    rng, rows = random_numbers(seed, "random words"), []
    for size in sizes:
        count = min(checks.integer(size, "a size", 0), len(ranked))
        others = [set(rng.choice(ranked, count, replace=False)) for _ in range(draws)]
        best, *some = (
            accuracy(model, [_only(question, words) for question in questions])
            for words in (set(ranked[:count]), *others)
        )
        rows.append((size, best / max(whole, 1e-12), float(np.mean(some)) / max(whole, 1e-12)))
    return ResultTable("Overstability", ("words", "accuracy", "random words"), rows)


def _only(question: Question, words: Collection[str]) -> Question:
    return question.with_words([word for word in question.words if word in words])
