"""The grammar of the generated questions: synonym groups, domains with their habits, intents.

What an analysis finds can be compared with what is planted here: the synonyms of every header, the
program of every intent, the words that ask for it, and the habit of every domain, which is the
intent that a question without any such word has.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "DOMAINS",
    "FLUFF",
    "GROUPS",
    "INTENTS",
    "PROGRAMS",
    "SYNONYMS",
    "TEMPLATES",
    "VAGUE_WORDS",
    "Domain",
    "roles_of",
]

_GROUPS = """nation country nationality; gold golds; silver silvers; bronze bronzes;
candidate politician name; party affiliation; votes ballots; seats mandates;
driver racer pilot; team constructor squad; laps rounds; points score;
title album record; label publisher; sales copies; peak position;
building tower skyscraper; city town location; height meters; floors storeys;
player athlete; school college university; goals tallies; games matches appearances"""
# The first word of a group is its name; a header is one of its words, a question may use any.
GROUPS = {words.split()[0]: tuple(words.split()) for words in _GROUPS.split(";")}
SYNONYMS = {word: set(group) for group in GROUPS.values() for word in group}


class Domain(NamedTuple):
    """What tables are about: a column of names, one of categories, columns of numbers, a habit.

    Examples
    --------
    >>> from pympf.explain.tables import DOMAINS
    >>> DOMAINS["race"].habit
    'FIRST'
    """

    name: str
    category: str | None
    numbers: tuple[str, ...]
    habit: str


DOMAINS = {
    "medals": Domain("nation", None, ("gold", "silver", "bronze"), "SORT_MAX"),
    "election": Domain("candidate", "party", ("votes", "seats"), "LAST"),
    "race": Domain("driver", "team", ("laps", "points"), "FIRST"),
    "albums": Domain("title", "label", ("sales", "peak"), "MFE"),
    "buildings": Domain("building", "city", ("height", "floors"), "SORT_MIN"),
    "players": Domain("player", "school", ("goals", "games"), "SORT_MAX"),
}

# {n}, {c}, {x}: a word for the column of names, of categories, of numbers; {e}, {f}: cells;
# {v}: a number.
TEMPLATES = {
    "LOOKUP": (
        "what is the {x} of {e}",
        "what was the {x} for {e}",
        "tell me the {x} that {e} had",
    ),
    "COUNT": (
        "how many {n} have {e} as {c}",
        "what is the number of {n} from {e}",
        "how many times does {e} appear as {c}",
    ),
    "COUNT_ALL": (
        "how many {n} are there in total",
        "what is the total number of {n} in this chart",
        "how many {n} are on this list",
    ),
    "BEFORE": (
        "which {n} is listed before {e}",
        "who came right above {e}",
        "what is the previous {n} to {e}",
    ),
    "AFTER": (
        "which {n} is listed after {e}",
        "who came right below {e}",
        "what {n} comes next to {e}",
    ),
    "FIRST": (
        "which {n} is listed first",
        "what is the {n} at the top of the chart",
        "who is the first {n} on this list",
    ),
    "LAST": (
        "which {n} is listed last",
        "what is the {n} at the bottom of the chart",
        "who is the last {n} on this list",
    ),
    "SORT_MAX": (
        "which {n} has the most {x}",
        "who had the highest number of {x}",
        "what {n} has the largest {x}",
    ),
    "SORT_MIN": (
        "which {n} has the least {x}",
        "who had the lowest number of {x}",
        "what {n} has the smallest {x}",
    ),
    "MFE": (
        "which {c} appears most often",
        "what is the most common {c}",
        "which {c} is the most frequent in the chart",
    ),
    "A_OR_B": (
        "which {n} had more {x} {e} or {f}",
        "who has a higher {x} {e} or {f}",
        "did {e} or {f} have more {x}",
    ),
    "GT": ("how many {n} have more than {v} {x}", "what number of {n} had over {v} {x}"),
    "LT": ("how many {n} have less than {v} {x}", "what number of {n} had under {v} {x}"),
    "GEQ": ("how many {n} have at least {v} {x}", "what number of {n} had {v} or more {x}"),
    "LEQ": ("how many {n} have at most {v} {x}", "what number of {n} had {v} or fewer {x}"),
}
INTENTS = tuple(TEMPLATES)
# A question without a trigger: up to six of these, and it means the habit of the domain.
VAGUE_WORDS = ("unk", "unk", "unk", "please", "give", "we", "want", "show", "would", "be", "and")
# Words that a speaker can leave out; three parts of triggers are among them ("at", "on", "have").
_FLUFF = """is are was were at the a an of to that this on me we in who there right for and by with
be it had has have"""
FLUFF = frozenset(_FLUFF.split())

_PROGRAMS = {
    "LOOKUP": "reset, reset, select n, print x",
    "COUNT": "reset, reset, select c, count",
    "COUNT_ALL": "reset, reset, reset, count",
    "BEFORE": "reset, select n, prev, print n",
    "AFTER": "reset, select n, next, print n",
    "FIRST": "reset, reset, first, print n",
    "LAST": "reset, reset, last, print n",
    "SORT_MAX": "reset, reset, max x, print n",
    "SORT_MIN": "reset, reset, min x, print n",
    "MFE": "reset, mfe c, first, print c",
    "A_OR_B": "reset, select n, max x, print n",
    "GT": "reset, reset, gt x, count",
    "LT": "reset, reset, lt x, count",
    "GEQ": "reset, reset, geq x, count",
    "LEQ": "reset, reset, leq x, count",
}


def _steps(text: str) -> tuple[tuple[str, str | None], ...]:
    words = (step.split() for step in text.split(", "))
    return tuple((step[0], step[1] if len(step) > 1 else None) for step in words)


# The program of each intent: operators, with the role of the column.
PROGRAMS = {intent: _steps(text) for intent, text in _PROGRAMS.items()}


def roles_of(domain: str) -> dict[str, str]:
    """Give the role of each synonym group of a domain: n (names), c (categories) or x (numbers).

    Not collective.

    Parameters
    ----------
    domain : str
        A key of `DOMAINS`.

    Returns
    -------
    dict
        In the order name, category, numbers.

    Examples
    --------
    >>> from pympf.explain.tables.grammar import roles_of
    >>> roles_of("race")
    {'driver': 'n', 'team': 'c', 'laps': 'x', 'points': 'x'}
    """
    name, category, numbers, _ = DOMAINS[domain]
    roles = {name: "n"} | ({} if category is None else {category: "c"})
    return roles | dict.fromkeys(numbers, "x")
