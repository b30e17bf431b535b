"""What words do to a network: defaults, triggers, intents, synonyms (sections 3.2 and 3.3)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pympf._described import Described
from pympf.explain.result_table import ResultTable
from pympf.explain.tables.programmer import (
    MATCH_TERMS,
    NeuralProgrammer,
    Selection,
    SelectionAttributions,
)
from pympf.nets.programmer import COLUMN_TOKEN, TABLE_TOKEN, Program, Question, Table, used

__all__ = [
    "IntentRules",
    "column_synonyms",
    "default_programs",
    "intent_of",
    "intent_rules",
    "known_synonyms",
    "operator_triggers",
    "score_synonyms",
]

TOKENS = (TABLE_TOKEN, COLUMN_TOKEN)


def _operators(program: Program) -> str:
    return ", ".join(operator for operator, _ in program)


def default_programs(
    model: NeuralProgrammer, tables: Iterable[Table], *, top: int = 3, words: int = 10
) -> ResultTable:
    """Give the default programs, and the column names that they are due to (table 3.2).

    Not collective.

    Parameters
    ----------
    model : NeuralProgrammer
        Trained.
    tables : iterable of Table
        Any.
    top : int
        Headers taken from each operator of a table.
    words : int
        The most frequent headers that are listed.

    Returns
    -------
    ResultTable
        A row for each program: how many tables, and headers.

    Examples
    --------
    >>> from pympf.explain.tables import NeuralProgrammer, default_programs, generate_questions
    >>> questions = generate_questions(12, seed=1)
    >>> model = NeuralProgrammer(12, epochs=1, program_share=1.0, least=2).fit(questions)
    >>> sum(default_programs(model, {q.table for q in questions}).column("tables"))
    12
    """
    counts: Counter[str] = Counter()
    headers: dict[str, Counter[str]] = defaultdict(Counter)
    for table in tables:
        selections = model.attribute_default(table)
        program = ", ".join(one.chosen for one in selections)
        counts[program] += 1
        headers[program].update({table.columns[j] for one in selections for j in one.top(top)})
    rows = [
        (program, count, tuple(word for word, _ in headers[program].most_common(words)))
        for program, count in counts.most_common()
    ]
    return ResultTable("Default programs", ("program", "tables", "column names"), rows)


def operator_triggers(
    attributions: Iterable[SelectionAttributions], *, top: int = 2, least: int = 3
) -> ResultTable:
    """Give the words to which each operator is due.

    Not collective.

    Parameters
    ----------
    attributions : iterable of SelectionAttributions
        Of questions answered right, in the thesis.
    top : int
        Terms taken from each selection of an operator.
    least : int
        How often a term has to be among them.

    Returns
    -------
    ResultTable
        A row for each operator: how often it was chosen against its default, the terms, the most
        frequent first, and how often each.

    Examples
    --------
    See `intent_rules`.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    chosen: Counter[str] = Counter()
    for found in attributions:
        for one in found.selections:
            if one.kind == "operator":
                chosen[one.chosen] += 1
                counts[one.chosen].update(found.terms[i] for i in one.top(top))
    rows = []
    for operator, count in chosen.most_common():
        frequent = [(term, n) for term, n in counts[operator].most_common() if n >= least]
        terms, numbers = zip(*frequent, strict=True) if frequent else ((), ())
        rows.append((operator, count, terms, numbers))
    return ResultTable("Operator triggers", ("operator", "chosen", "terms", "times"), rows)


# ---- intents -------------------------------------------------------------------------------------
def intent_of(program: Program) -> str:
    """Name what a program does (table 3.3), by the operators that reach its answer.

    Not collective.

    Parameters
    ----------
    program : sequence of (operator, column)
        Any.

    Returns
    -------
    str
        LOOKUP, COUNT, COUNT_ALL, GT, LT, GEQ, LEQ, BEFORE, AFTER, FIRST, LAST, SORT_MAX, SORT_MIN,
        MFE, A_OR_B, or UNKNOWN.

    Examples
    --------
    >>> from pympf.explain.tables import intent_of
    >>> intent_of((("reset", None), ("select", 0), ("max", 1), ("print", 0)))
    'A_OR_B'
    """
    reach = [op for (op, _), (counts, _) in zip(program, used(program), strict=True) if counts]
    *before, last = reach
    steps = [op for op in before if op != "reset"]
    if last == "count":
        return {(): "COUNT_ALL", ("select",): "COUNT"}.get(
            tuple(steps), steps[-1].upper() if steps and steps[-1] in _COMPARE else "UNKNOWN"
        )
    if last != "print" or not steps:
        return "UNKNOWN"
    if "mfe" in steps:
        return "MFE"
    if steps == ["select", "max"]:
        return "A_OR_B"
    return _INTENTS.get(steps[-1], "UNKNOWN")


_COMPARE = ("gt", "lt", "geq", "leq")
_INTENTS = {
    "select": "LOOKUP",
    "prev": "BEFORE",
    "next": "AFTER",
    "first": "FIRST",
    "last": "LAST",
    "max": "SORT_MAX",
    "min": "SORT_MIN",
}


class IntentRules(Described):
    """Words that tell an intent, as a classifier: the most frequent rule that a question holds.

    Parameters
    ----------
    rules : mapping of tuple of str to (str, int)
        Words, with the intent and how often they were found.

    Examples
    --------
    >>> from pympf.explain.tables import IntentRules
    >>> rules = IntentRules({("first", "listed"): ("FIRST", 5), ("many",): ("COUNT", 9)})
    >>> rules.classify(["which", "is", "listed", "first"]), rules.classify(["who"])
    ('FIRST', None)
    """

    def __init__(self, rules: Mapping[tuple[str, ...], tuple[str, int]]) -> None:
        self.rules = dict(rules)

    def classify(self, words: Sequence[str]) -> str | None:
        """Give the intent of a question, or None where no rule fits.

        Parameters
        ----------
        words : sequence of str
            The question.

        Returns
        -------
        str or None
            By the most frequent rule; of equal ones, that of more words.

        Examples
        --------
        See the class.
        """
        said = Counter(words)
        fitting = [
            (count, len(rule), intent)
            for rule, (intent, count) in self.rules.items()
            if all(said[word] >= times for word, times in Counter(rule).items())
        ]
        return max(fitting)[2] if fitting else None

    def score(self, questions: Iterable[Question]) -> tuple[float, float]:
        """Give the share of questions that a rule fits, and how many of these it is right about.

        Parameters
        ----------
        questions : iterable of Question
            With intents, or programs.

        Returns
        -------
        coverage, accuracy : float
            Of [0, 1].

        Examples
        --------
        >>> from pympf.explain.tables import IntentRules, generate_questions
        >>> questions = generate_questions(2, vague=0, intents={"COUNT_ALL": 1})
        >>> IntentRules({("many",): ("COUNT_ALL", 9)}).score(questions)[1]
        1.0
        """
        verdicts = []
        for question in questions:
            given = self.classify(question.words)
            wanted = question.intent or intent_of(question.program or ())
            verdicts.append(None if given is None else given == wanted)
        fitted = [verdict for verdict in verdicts if verdict is not None]
        return len(fitted) / len(verdicts), float(np.mean(fitted)) if fitted else 0.0


def intent_rules(
    attributions: Iterable[SelectionAttributions],
    *,
    top: int = 3,
    least: int = 2,
    least_program: int = 10,
) -> tuple[ResultTable, ResultTable, IntentRules]:
    """Read intents and the words that tell them off the attributions (tables 3.3 and 3.4).

    Not collective.

    Parameters
    ----------
    attributions : iterable of SelectionAttributions
        Of questions answered right.
    top : int
        Words taken from each question, by attribution to all its operators.
    least : int
        How often words have to be found together.
    least_program : int
        How often a sequence of operators has to be there; the intents of others are UNKNOWN.

    Returns
    -------
    programs : ResultTable
        Sequences of operators and their intents (table 3.3).
    words : ResultTable
        Intents, words, and how often (table 3.4).
    rules : IntentRules
        The same as a classifier.

    Examples
    --------
    >>> from pympf.explain.tables import NeuralProgrammer, generate_questions, intent_rules
    >>> questions = generate_questions(12, seed=1)
    >>> model = NeuralProgrammer(12, epochs=1, program_share=1.0, least=2).fit(questions)
    >>> programs, words, rules = intent_rules(model.attribute(questions[:5]))
    >>> programs.columns
    ('operators', 'intent', 'questions')
    """
    attributions = list(attributions)
    sequences = Counter(_operators(found.program) for found in attributions)
    intents = {}
    found_words: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for found in attributions:
        sequence = _operators(found.program)
        intent = intent_of(found.program) if sequences[sequence] >= least_program else "UNKNOWN"
        intents[sequence] = intent
        words = found.total[: -len(MATCH_TERMS)]
        best = [i for i in np.argsort(-words, kind="stable")[:top] if words[i] > 0]
        if best and intent != "UNKNOWN":
            found_words[tuple(sorted(found.terms[i] for i in best))][intent] += 1
    table = [(name, intents[name], count) for name, count in sequences.most_common()]
    rules = {}
    for rule, counts in found_words.items():
        (intent, count), *_ = counts.most_common(1)
        if count >= least:
            rules[rule] = intent, count
    ranked = sorted(rules.items(), key=lambda item: (item[1][0], -item[1][1], item[0]))
    listed = [(intent, rule, count) for rule, (intent, count) in ranked]
    return (
        ResultTable("Intents of programs", ("operators", "intent", "questions"), table),
        ResultTable("Words that tell an intent", ("intent", "words", "times"), listed),
        IntentRules(rules),
    )


# ---- synonyms ------------------------------------------------------------------------------------
def column_synonyms(
    attributions: Iterable[SelectionAttributions],
    group: str | None = None,
    *,
    top: int = 3,
    least: int = 3,
    keep: int = 5,
) -> ResultTable:
    """Give the words to which the choice of each column is due (table 3.5).

    Not collective.

    Parameters
    ----------
    attributions : iterable of SelectionAttributions
        Of questions answered right.
    group : str, optional
        A group of paths that was attributed; default all paths.
    top : int
        Words taken from each selection.
    least, keep : int
        How often a word has to be among them, and how many are kept.

    Returns
    -------
    ResultTable
        A row for each header: how often it was chosen, words, and how often each.

    Examples
    --------
    See `score_synonyms`.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    chosen: Counter[str] = Counter()
    for found in attributions:
        for one in found.selections:
            if one.kind == "column":
                chosen[one.chosen] += 1
                counts[one.chosen].update(
                    found.terms[i] for i in _best_words(one, found.terms, group)[:top]
                )
    rows = []
    for header, count in chosen.most_common():
        frequent = [(w, n) for w, n in counts[header].most_common(keep) if n >= least]
        words, numbers = zip(*frequent, strict=True) if frequent else ((), ())
        rows.append((header, count, words, numbers))
    title = f"Column synonyms by {group or 'all'} paths"
    return ResultTable(title, ("column", "chosen", "words", "times"), rows)


def _best_words(one: Selection, terms: Sequence[str], group: str | None) -> list[int]:
    words = len(terms) - len(MATCH_TERMS)
    return [i for i in one.top(len(terms), group) if i < words and terms[i] not in TOKENS]


def known_synonyms(synonyms: ResultTable) -> dict[str, set[str]]:
    """Give extracted synonyms in the form that `RuleBased` takes.

    Not collective.

    Parameters
    ----------
    synonyms : ResultTable
        Of `column_synonyms`.

    Returns
    -------
    dict
        Words for each header.

    Examples
    --------
    >>> from pympf.explain import ResultTable
    >>> from pympf.explain.tables import known_synonyms
    >>> known_synonyms(ResultTable("", ("column", "words"), [("nation", ("country",))]))
    {'nation': {'country'}}
    """
    pairs = zip(synonyms.column("column"), synonyms.column("words"), strict=True)
    return {header: set(words) for header, words in pairs}


def score_synonyms(
    attributions: Sequence[SelectionAttributions],
    groups: Iterable[str | None],
    known: Mapping[str, set[str]],
    *,
    numbers_only: bool = False,
    least: int = 3,
) -> ResultTable:
    """Compare the words found by groups of paths with known synonyms.

    Not collective. Only selections count whose question has a synonym of the column in it.

    Parameters
    ----------
    attributions : sequence of SelectionAttributions
        Of questions answered right, with the groups attributed.
    groups : iterable of str or None
        Groups of paths; None is all paths.
    known : mapping
        Synonyms of each header, itself among them.
    numbers_only : bool
        Whether only columns of numbers count.
    least : int
        As of `column_synonyms`.

    Returns
    -------
    ResultTable
        For each group: selections; the share whose first word is a synonym; precision and recall of
        extracted pairs; the share of headers whose first word is one.

    Examples
    --------
    >>> from pympf.explain.tables import SYNONYMS, NeuralProgrammer, generate_questions
    >>> from pympf.explain.tables import score_synonyms
    >>> questions = generate_questions(12, seed=1)
    >>> model = NeuralProgrammer(12, epochs=1, program_share=1.0, least=2).fit(questions)
    >>> score_synonyms(model.attribute(questions[:9]), [None], SYNONYMS).column("paths")
    ['all']
    """
    chosen = [_scored(found, known, numbers_only) for found in attributions]
    rows = []
    for group in groups:
        first = [
            found.terms[best[0]] in known[one.chosen]
            for found in chosen
            for one in found.selections
            if (best := _best_words(one, found.terms, group))
        ]
        pairs = column_synonyms(chosen, group, least=least)
        words = dict(zip(pairs.column("column"), pairs.column("words"), strict=True))
        verdicts = [word in known[header] for header, some in words.items() for word in some]
        possible = sum(len(known[header]) for header in words)
        leading = [some[0] in known[header] for header, some in words.items() if some]
        rows.append(
            (
                group or "all",
                sum(len(found.selections) for found in chosen),
                _mean(first),
                _mean(verdicts),
                sum(verdicts) / possible if possible else 0.0,
                _mean(leading),
            )
        )
    columns = ("paths", "selections", "first word right", "precision", "recall", "header right")
    return ResultTable("Synonyms by groups of paths", columns, rows)


def _scored(
    found: SelectionAttributions, known: Mapping[str, set[str]], numbers_only: bool
) -> SelectionAttributions:
    """Keep the selections of columns of which a known synonym is in the question."""
    table = found.question.table
    numeric = {
        h for h, row in zip(table.columns, table.numbers, strict=True) if np.isfinite(row).any()
    }
    kept = [
        one
        for one in found.selections
        if one.kind == "column"
        and not known.get(one.chosen, set()).isdisjoint(found.question.words)
        and (one.chosen in numeric or not numbers_only)
    ]
    return SelectionAttributions(
        found.question, found.terms, kept, found.program, found.default, found.n_points
    )


def _mean(verdicts: Sequence[bool]) -> float:
    return float(np.mean(verdicts)) if verdicts else 0.0
