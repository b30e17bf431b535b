"""The rule-based system of appendix B: a grammar with predicates over matches and triggers.

A production names, in order, what a question says; words in between that mean nothing are passed
over. A predicate refuses what has no sense (max of a column of texts). Of all parses the best score
wins: what the matches are worth, less one half for each word that means something and is not used.

`RuleBased` learns nothing from questions; `synonyms` and `triggers` may come from a network that
did (`column_synonyms`, `operator_triggers`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pympf._described import Parameterized
from pympf.explain.tables.lexicon import MATCHES, TRIGGERS, Item, lexical_items
from pympf.la import checks
from pympf.nets.programmer import Answer, Program, Question, execute

__all__ = ["RuleBased"]

SKIPPED = 0.5
RESET = ("reset", None)


class Table(NamedTuple):
    """The columns by what can be done with them; the first of each kind is the default."""

    numbers: list[int]
    names: list[int]
    categories: list[int]


def _kinds(question: Question) -> Table:
    table = question.table
    numbers = [j for j, row in enumerate(table.numbers) if np.isfinite(row).any()]
    texts = [j for j in range(len(table.columns)) if j not in numbers]
    names = [j for j in texts if len(set(table.cells[j])) == table.shape[1]]
    categories = [j for j in texts if j not in names]
    return Table(numbers, names or texts or numbers, categories or texts or numbers)


# A production: symbols in their order, and what they make of the table and their values; None is a
# refusal. "text", "number column" and "name" may be left out, "a / b" is either.
Action = Callable[..., Program | None]


def _count_where(operator: str) -> Action:
    def act(kinds: Table, *values: int | None) -> Program:
        return (RESET, RESET, (operator, values[-1]), ("count", None))

    return act


def _extreme(operator: str) -> Action:
    def act(kinds: Table, *values: int | None) -> Program:
        return (RESET, RESET, (operator, values[-1]), ("print", values[0]))

    return act


def _neighbour(operator: str) -> Action:
    def act(kinds: Table, *values: int | None) -> Program:
        cell = values[-1]
        return (RESET, ("select", cell), (operator, None), ("print", cell))

    return act


def _end(operator: str) -> Action:
    def act(kinds: Table, *values: int | None) -> Program:
        named = [value for value in values if value is not None]
        return (RESET, RESET, (operator, None), ("print", named[0]))

    return act


def _most_frequent(kinds: Table, *values: int | None) -> Program | None:
    column = next(value for value in values if value is not None)
    return (RESET, ("mfe", column), ("first", None), ("print", column))


def _either(kinds: Table, *values: int | None) -> Program | None:
    cells = [value for value in values if value is not None and value not in kinds.numbers]
    number = next(value for value in values if value in kinds.numbers)
    if len(set(cells)) != 1:
        return None
    return (RESET, ("select", cells[0]), ("max", number), ("print", cells[0]))


def _count_cell(kinds: Table, name: int | None, cell: int, category: int | None) -> Program:
    return (RESET, RESET, ("select", cell), ("count", None))


def _count_all(kinds: Table, *values: int | None) -> Program:
    return (RESET, RESET, RESET, ("count", None))


def _look_up(kinds: Table, *values: int | None) -> Program | None:
    column, cell = values
    return None if column == cell else (RESET, RESET, ("select", cell), ("print", column))


def _show(kinds: Table, name: int | None) -> Program:
    return (RESET, RESET, RESET, ("print", name))


def _grammar() -> list[tuple[tuple[str, ...], Action]]:
    rules: list[tuple[tuple[str, ...], Action]] = []
    for operator in ("gt", "lt", "geq", "leq"):
        for order in (
            ("count", "name?", operator, "number"),
            ("count", "name?", "number", operator),
        ):
            rules.append(((*order, "number column"), _count_where(operator)))
    for operator in ("max", "min"):
        rules.append((("name", operator, "number column"), _extreme(operator)))
        rules.append((("name", operator, "count", "number column"), _extreme(operator)))
    for operator in ("prev", "next"):
        rules.append((("name?", operator, "cell"), _neighbour(operator)))
        rules.append(((operator, "name?", "cell"), _neighbour(operator)))
    for operator in ("first", "last"):
        rules.append((("name", operator), _end(operator)))
        rules.append(((operator, "name"), _end(operator)))
    rules += [
        (("category", "mfe"), _most_frequent),
        (("mfe", "category"), _most_frequent),
        (("name?", "max", "number column", "cell", "or", "cell"), _either),
        (("cell", "or", "cell", "max", "number column"), _either),
        (("count", "name?", "cell", "category?"), _count_cell),
        (("count", "name?"), _count_all),
        (("number column", "cell"), _look_up),
        (("text", "cell"), _look_up),
        (("name",), _show),
    ]
    return rules


RULES = _grammar()
# Symbols that stand for a column: which columns, whether the table's first one is understood where
# no word names it, and whether the symbol may stand for nothing.
COLUMNS = {
    "number column": "numbers",
    "name": "names",
    "name?": "names",
    "category": "categories",
    "category?": "categories",
    "text": "texts",
}


class RuleBased(Parameterized):
    """Answers questions by matches, triggers and a grammar.

    Parameters
    ----------
    matches : iterable of str
        Kinds of match with headers: ``exact``, ``stem``, ``thesaurus``, ``edit``.
    synonyms : mapping of str to set of str, optional
        The thesaurus: for a word of a header, other words for it.
    triggers : mapping of str to sequence of str, optional
        Phrases for operators, more than the built-in ones.

    Raises
    ------
    ValueError
        If a kind of match or an operator is unknown.

    Examples
    --------
    >>> from pympf.explain.tables import RuleBased, Table, ask
    >>> table = Table(("nation", "gold"), (("Fiji", "Peru"), ("1", "5")))
    >>> rules = RuleBased()
    >>> rules.program(ask("how many nations have more than 3 golds", table))[2:]
    (('gt', 1), ('count', None))
    >>> rules.predict([ask("which nation has the most golds", table)])
    [frozenset({'Peru'})]
    """

    def __init__(
        self,
        matches: Iterable[str] = ("exact", "stem", "thesaurus"),
        *,
        synonyms: Mapping[str, Iterable[str]] | None = None,
        triggers: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.matches = matches if isinstance(matches, list | tuple) else tuple(matches)
        self.synonyms, self.triggers = synonyms, triggers
        self._lexicon()

    def _lexicon(self) -> tuple[tuple[str, ...], dict[str, set[str]], dict[str, Sequence[str]]]:
        """Give kinds of match, synonyms and all triggers, checked."""
        kinds = tuple(checks.choice(kind, "a match", tuple(MATCHES)) for kind in self.matches)
        synonyms = {word: set(others) for word, others in (self.synonyms or {}).items()}
        triggers: dict[str, Sequence[str]] = dict(TRIGGERS)
        for operator, phrases in (self.triggers or {}).items():
            checks.choice(operator, "an operator with triggers", tuple(TRIGGERS))
            triggers[operator] = tuple(dict.fromkeys([*TRIGGERS[operator], *phrases]))
        return kinds, synonyms, triggers

    def program(self, question: Question) -> Program:
        """Parse a question.

        Parameters
        ----------
        question : Question
            With its table.

        Returns
        -------
        tuple of (operator, column)
            The program of the best parse; at the worst all names are printed.

        Examples
        --------
        See the class.
        """
        items = lexical_items(question, *self._lexicon())
        meant = {i for item in items for i in range(item.start, item.stop)}
        kinds = _kinds(question)
        best: tuple[float, Program] = (-np.inf, (RESET, RESET, RESET, ("print", 0)))
        for symbols, action in RULES:
            for values, score, said in _parses(symbols, 0, items, kinds):
                score -= SKIPPED * len(meant - said)
                if score > best[0]:
                    program = action(kinds, *values)
                    best = best if program is None else (score, program)
        return best[1]

    def predict(self, questions: Iterable[Question]) -> list[Answer | None]:
        """Answer questions.

        Parameters
        ----------
        questions : iterable of Question
            Of any tables.

        Returns
        -------
        list
            As of `execute`.

        Examples
        --------
        See the class.
        """
        return [execute(self.program(question), question) for question in questions]

    def score(self, questions: Sequence[Question]) -> float:
        """Give the share of right answers.

        Parameters
        ----------
        questions : sequence of Question
            With answers.

        Returns
        -------
        float
            Of [0, 1].

        Examples
        --------
        >>> from pympf.explain.tables import SYNONYMS, RuleBased, generate_questions
        >>> RuleBased(synonyms=SYNONYMS).score(generate_questions(6, seed=1, vague=0))
        1.0
        """
        given = self.predict(questions)
        return float(np.mean([g == q.answer for g, q in zip(given, questions, strict=True)]))


Parse = tuple[tuple[int | None, ...], float, frozenset[int]]


def _parses(
    symbols: Sequence[str], start: int, items: Sequence[Item], kinds: Table
) -> Iterator[Parse]:
    """Give each parse of some symbols: the columns among them, the score, the words used."""
    if not symbols:
        yield (), 0.0, frozenset()
        return
    symbol, *rest = symbols
    for value, score, span in _readings(symbol, start, items, kinds):
        stop = span.stop if span else start
        for values, more, said in _parses(rest, stop, items, kinds):
            known = () if symbol in TRIGGERS or symbol == "number" else (value,)
            yield (*known, *values), score + more, said | set(span)


def _readings(
    symbol: str, start: int, items: Sequence[Item], kinds: Table
) -> Iterator[tuple[int | None, float, range]]:
    """Give what a symbol can be from a word on: value, score and span."""
    allowed: Sequence[int] | None = None
    if symbol in COLUMNS:
        group = COLUMNS[symbol]
        allowed = kinds.names + kinds.categories if group == "texts" else getattr(kinds, group)
    kind = "column" if symbol in COLUMNS else symbol
    for item in items:
        if item.kind == kind and item.start >= start and (allowed is None or item.value in allowed):
            yield item.value, item.score, range(item.start, item.stop)
    if symbol.endswith("?"):
        yield None, 0.0, range(0)
    elif allowed:
        # No word names the column: the table's first one of its kind is understood.
        yield allowed[0], 0.0, range(0)
