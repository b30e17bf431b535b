"""What words can mean to the rule-based system: matches and triggers (appendix B).

A word matches a header exactly, by its stem, by a thesaurus, or by a small edit distance; the score
falls in that order. A span of words can be a cell, a number, or the trigger of an operator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pympf.explain.tables.grammar import FLUFF
from pympf.explain.tables.matches import words_of
from pympf.nets.programmer import Question, read_number

__all__ = ["MATCHES", "TRIGGERS", "Item", "edit_distance", "lexical_items", "stem"]

# Kinds of match with a header, and what each adds to the score of a parse.
MATCHES = {"exact": 1.0, "stem": 0.9, "thesaurus": 0.8, "edit": 0.7}

_TRIGGERS = {
    "count": "how many, number of",
    "prev": "before, above, previous",
    "next": "after, below, next",
    "first": "first, top",
    "last": "last, bottom",
    "mfe": "most often, most common, most frequent",
    "gt": "more than, over",
    "lt": "less than, under",
    "geq": "at least, or more",
    "leq": "at most, or fewer",
    "max": "most, highest, largest, more, higher",
    "min": "least, lowest, smallest",
    "or": "or",
}
TRIGGERS = {operator: tuple(text.split(", ")) for operator, text in _TRIGGERS.items()}


class Item(NamedTuple):
    """A span of words with one meaning.

    Parameters
    ----------
    kind : str
        ``column``, ``cell``, ``number``, or an operator.
    value : int or None
        The column.
    score : float
        How sure the match is, times its words.
    start, stop : int
        The span.

    Examples
    --------
    >>> from pympf.explain.tables.lexicon import Item
    >>> Item("column", 1, 0.9, 4, 5).stop
    5
    """

    kind: str
    value: int | None
    score: float
    start: int
    stop: int


def stem(word: str) -> str:
    """Cut the ending of a plural.

    Not collective.

    Parameters
    ----------
    word : str
        In lower case.

    Returns
    -------
    str
        Its stem.

    Examples
    --------
    >>> from pympf.explain.tables.lexicon import stem
    >>> stem("medals"), stem("countries"), stem("matches"), stem("loss")
    ('medal', 'country', 'match', 'loss')
    """
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def edit_distance(a: str, b: str) -> int:
    """Count the letters to insert, to delete or to replace that make one word the other.

    Not collective.

    Parameters
    ----------
    a, b : str
        Words.

    Returns
    -------
    int
        Their Levenshtein distance.

    Examples
    --------
    >>> from pympf.explain.tables.lexicon import edit_distance
    >>> edit_distance("meters", "metres")
    2
    """
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (x != y)))
    return row[-1]


def _match(word: str, header: str, kinds: Iterable[str], synonyms: Mapping[str, set[str]]) -> float:
    for kind in MATCHES:
        if kind in kinds and _is(kind, word, header, synonyms):
            return MATCHES[kind]
    return 0.0


def _is(kind: str, word: str, header: str, synonyms: Mapping[str, set[str]]) -> bool:
    if kind == "thesaurus":
        return word in synonyms.get(header, ())
    if kind == "edit":
        return min(len(word), len(header)) >= 5 and edit_distance(word, header) <= 1
    return word == header if kind == "exact" else stem(word) == stem(header)


def lexical_items(
    question: Question,
    kinds: Iterable[str],
    synonyms: Mapping[str, set[str]],
    triggers: Mapping[str, Sequence[str]],
) -> list[Item]:
    """Give all meanings of the words of a question.

    Not collective. Words of the stop list match no header. A trigger is found without its words of
    the stop list, too, so that a question may do without them.

    Parameters
    ----------
    question : Question
        With its table.
    kinds : iterable of str
        Kinds of match of `MATCHES`.
    synonyms : mapping
        Words for a word of a header.
    triggers : mapping
        Phrases for each operator, and for ``or``.

    Returns
    -------
    list of Item
        They may overlap: the grammar chooses.

    Examples
    --------
    >>> from pympf.explain.tables import Table, ask
    >>> from pympf.explain.tables.lexicon import TRIGGERS, lexical_items
    >>> question = ask("the highest golds", Table(("gold",), (("1", "2"),)))
    >>> [item.kind for item in lexical_items(question, ["stem"], {}, TRIGGERS)]
    ['max', 'column']
    """
    words, kinds = question.words, tuple(kinds)
    items = [
        Item(operator, None, 1.0 * (stop - start), start, stop)
        for operator, phrases in triggers.items()
        for phrase in _with_short_ones(phrases)
        for start, stop in _spans(words, phrase)
    ]
    named = {(int(j), question.table.cells[j][i]) for j, i in np.argwhere(question.cells)}
    for j, cell in sorted(named):
        spans = _spans(words, words_of(cell))
        items += [Item("cell", j, 1.0 * (stop - start), start, stop) for start, stop in spans]
    for i, word in enumerate(words):
        if read_number(word) is not None:
            items.append(Item("number", None, 1.0, i, i + 1))
        elif word not in FLUFF:
            for j, header in enumerate(question.table.columns):
                parts = words_of(header)
                score = max((_match(word, part, kinds, synonyms) for part in parts), default=0.0)
                if score:
                    items.append(Item("column", j, score, i, i + 1))
    return items


def _with_short_ones(phrases: Sequence[str]) -> list[tuple[str, ...]]:
    """Add the phrases without words of the stop list, which a question may lack."""
    whole = [tuple(phrase.split()) for phrase in phrases]
    short = [tuple(word for word in phrase if word not in FLUFF) for phrase in whole]
    return list(dict.fromkeys(phrase for phrase in whole + short if phrase))


def _spans(words: Sequence[str], phrase: Sequence[str]) -> list[tuple[int, int]]:
    size = len(phrase)
    starts = range(len(words) - size + 1) if size else ()
    return [(i, i + size) for i in starts if list(words[i : i + size]) == list(phrase)]
