"""What a Neural Programmer looked at: attributions of its selections to words and matches.

    thesis, section 3.2                            here
    O_k, C_k                                       selections: operator and column of step k
    empty question (equation 3.1)                  the baseline of an attribution
    default program                                the selections at the baseline
    group A, "via the question context"            COLUMN_PATHS["question context"]

The masks of words that are not there are not interpolated; the baseline has as many dummies as the
question has words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from pympf._progress import through
from pympf.explain.integrated_gradients import Attribution, IntegratedGradients
from pympf.explain.line import Paths
from pympf.nets import programmer
from pympf.nets._checks import Array
from pympf.nets.graph import value
from pympf.nets.programmer import (
    OPERATORS,
    Answer,
    Program,
    Question,
    Table,
    used,
)
from pympf.nets.programmer.network import Inputs, inputs_of, select

__all__ = [
    "COLUMN_PATHS",
    "Attributable",
    "NeuralProgrammer",
    "Selection",
    "SelectionAttributions",
]

MATCH_TERMS = ("tm", "cm")
TOL = 1e-2

_SOFT = "col_logits_soft_{k}"
_BEFORE = "dec_state_{k}"
COLUMN_PATHS = {
    "question context": Paths(
        ("enc_hidden_states", "ques_context_{k}", "col_query_{k}", "col_controller_{k}", _SOFT),
        (_BEFORE,),
    ),
    "direct": Paths(("col_query_{k}", "col_controller_{k}", _SOFT), (_BEFORE,)),
    "direct, attention held": Paths((_SOFT,), (_BEFORE, "op_probs_{k}", "attention_{k}")),
}
"""Groups of paths from the words to the column of step k: by the thesis's question context; by it
or the final state; the same with the weights of the attention and the operator held."""


class Selection(NamedTuple):
    """A selection that counts, and what it is due to.

    Parameters
    ----------
    step : int
        k, from 0.
    kind : str
        ``operator`` or ``column``.
    chosen, default : str
        The operator or the header, at the question and at the empty question.
    values : ndarray, shape (terms,)
        Attributions.
    delta : float
        What they sum to too much.
    paths : dict of ndarray
        The attributions of groups of paths.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.explain.tables import Selection
    >>> Selection(3, "operator", "count", "print", np.array([0.1, 0.8]), 0.0, {}).top(1)
    [1]
    """

    step: int
    kind: str
    chosen: str
    default: str
    values: Array
    delta: float
    paths: dict[str, Array]

    def top(self, count: int, group: str | None = None) -> list[int]:
        """Give the places of the terms with the largest attributions above zero.

        Parameters
        ----------
        count : int
            At most so many.
        group : str, optional
            A group of paths; default all paths.

        Returns
        -------
        list of int
            The largest first.

        Examples
        --------
        See the class.
        """
        values = self.values if group is None else self.paths[group]
        return [int(i) for i in np.argsort(-values, kind="stable")[:count] if values[i] > 0]


@dataclass
class SelectionAttributions:
    """The attributions of a question.

    Parameters
    ----------
    question : Question
        It.
    terms : tuple of str
        Its words, then ``tm`` and ``cm``.
    selections : list of Selection
        Those that differ from the default and reach the answer.
    program, default : tuple of (operator, column)
        At the question, and at the empty question of the table.
    n_points : int
        Gradients computed.

    Examples
    --------
    See `NeuralProgrammer.attribute`.
    """

    question: Question
    terms: tuple[str, ...]
    selections: list[Selection]
    program: Program
    default: Program
    n_points: int = 0
    total: Array = field(init=False)

    def __post_init__(self) -> None:
        """Sum the attributions of the operators."""
        parts = [one.values for one in self.selections if one.kind == "operator"]
        self.total = np.sum(parts, axis=0) if parts else np.zeros(len(self.terms))


class Attributable(Protocol):
    """What the analyses need of a model.

    Examples
    --------
    See `NeuralProgrammer`; its attributions have the form of `SelectionAttributions`.
    """

    def predict(self, questions: Iterable[Question], /) -> list[Answer | None]:
        """Answer questions."""

    def attribute(self, questions: Iterable[Question], /) -> list[SelectionAttributions]:
        """Attribute the selections of each question."""


class NeuralProgrammer(programmer.NeuralProgrammer):
    """A Neural Programmer whose selections can be attributed.

    The network is that of `pympf.nets.programmer`, with its parameters, training and files.

    Examples
    --------
    >>> from pympf.explain.tables import NeuralProgrammer, generate_questions
    >>> questions = generate_questions(20, seed=1, vague=0.0)
    >>> model = NeuralProgrammer(12, epochs=3, program_share=1.0, least=2).fit(questions)
    >>> found = model.attribute(questions[:1])[0]
    >>> found.terms[-2:], found.total.shape == (len(found.terms),)
    (('tm', 'cm'), True)
    """

    def attribute(
        self,
        questions: Iterable[Question],
        *,
        paths: Mapping[str, Paths] | None = None,
        every: bool = False,
        tol: float = TOL,
        max_steps: int = 4000,
        **options: Any,
    ) -> list[SelectionAttributions]:
        """Attribute the selections of questions to words, table matches and column matches.

        Not collective.

        Parameters
        ----------
        questions : iterable of Question
            Of any tables.
        paths : mapping of str to Paths, optional
            Groups of paths to the columns; ``{k}`` in the name of a node is the step. See
            `COLUMN_PATHS`. Operators are attributed along all paths.
        every : bool
            Whether selections count that are the default, or do not reach the answer.
        tol, max_steps, **options
            Of `IntegratedGradients.attribute`. A warning tells of questions above `tol`.

        Returns
        -------
        list of SelectionAttributions
            One for each question.

        Examples
        --------
        See the class.
        """
        questions = list(questions)
        tables = {id(question.table): question for question in questions}
        empties = self.programs_with_columns([q.emptied() for q in tables.values()])
        defaults = dict(zip(tables, empties, strict=True))
        programs = self.programs_with_columns(questions)
        options |= {"tol": tol, "max_steps": max_steps}
        pairs = list(zip(questions, programs, strict=True))
        return [
            self._attribute(question, program, defaults[id(question.table)], every, paths, options)
            for question, program in through("attribute", "question", pairs)
        ]

    def _attribute(
        self,
        question: Question,
        program: Program,
        default: Program,
        every: bool,
        paths: Mapping[str, Paths] | None,
        options: dict[str, Any],
    ) -> SelectionAttributions:
        chosen = [
            (k, kind)
            for k, counts in enumerate(used(program))
            for i, kind in enumerate(("operator", "column"))
            if every or (counts[i] and program[k][i] != default[k][i])
        ]
        selections: list[Selection] = []
        points = 0
        # Operators go along all paths; with groups of paths, columns take a line of their own.
        kinds = [("operator",), ("column",)] if paths else [("operator", "column")]
        for some in kinds:
            targets = [one for one in chosen if one[1] in some]
            if targets:
                groups = paths if some == ("column",) else None
                found = self._integrate(question, program, targets, groups or {}, options)
                points += found.n_points
                selections += _selections(question, program, default, targets, found)
        selections.sort(key=lambda one: (one.step, one.kind == "column"))
        terms = (*question.words, *MATCH_TERMS)
        return SelectionAttributions(question, terms, selections, program, default, points)

    def _integrate(
        self,
        question: Question,
        program: Program,
        targets: Sequence[tuple[int, str]],
        groups: Mapping[str, Paths],
        options: dict[str, Any],
    ) -> Attribution:
        known = inputs_of(dict(self.parameters_), self._encode([question]))
        qw, tm, cm, cnames = (value(x)[0] for x in known[:4])
        dummies = np.broadcast_to(self.parameters_["word_vectors"][0], qw.shape)

        def forward(qw: Any, tm: Any, cm: Any) -> Any:
            names = np.broadcast_to(cnames, (len(qw), *cnames.shape))
            inputs = Inputs(qw, tm, cm, names, known.said, known.present)
            return select(dict(self.parameters_), inputs).columns[-1]

        places: list[Any] = [
            (f"op_probs_{k}", OPERATORS.index(program[k][0]))
            if kind == "operator"
            else (f"col_probs_{k}", program[k][1])
            for k, kind in targets
        ]
        at_step = [{label: _at(group, k) for label, group in groups.items()} for k, _ in targets]
        result: Attribution = IntegratedGradients(forward).attribute(
            (qw, tm, cm),
            (dummies.copy(), np.zeros_like(tm), np.zeros_like(cm)),
            target=places,
            paths=at_step,
            **options,
        )
        return result

    def programs_with_columns(self, questions: Sequence[Question]) -> list[Program]:
        """Give the programs of questions, with the column chosen where the operator uses none, too.

        Not collective.

        Parameters
        ----------
        questions : sequence of Question
            Of any tables.

        Returns
        -------
        list of tuple of (operator, column)
            Four steps.

        Examples
        --------
        See `attribute`.
        """
        return self._programs(questions, every_column=True)

    def attribute_default(self, table: Table, **options: Any) -> list[Selection]:
        """Attribute the default program of a table to its column names (table 3.2).

        Not collective. The baseline are column vectors of zeros.

        Parameters
        ----------
        table : Table
            Any.
        **options
            Of `IntegratedGradients.attribute`.

        Returns
        -------
        list of Selection
            The operators of the four steps; the terms are the headers.

        Examples
        --------
        >>> from pympf.explain.tables import NeuralProgrammer, generate_questions
        >>> questions = generate_questions(20, seed=1)
        >>> model = NeuralProgrammer(12, epochs=1, program_share=1.0, least=2).fit(questions)
        >>> len(model.attribute_default(questions[0].table))
        4
        """
        n, m = table.shape
        empty = Question((), table, np.zeros((n, m), bool), np.zeros(n, bool))
        known = inputs_of(dict(self.parameters_), self._encode([empty]))
        program = self.program(empty)

        def forward(cnames: Any) -> Any:
            qw, tm, cm = (np.repeat(value(part), len(cnames), axis=0) for part in known[:3])
            inputs = Inputs(qw, tm, cm, cnames, known.said, known.present)
            return select(dict(self.parameters_), inputs).operators[-1]

        result = IntegratedGradients(forward).attribute(
            value(known.cnames)[0],
            target=[(f"op_probs_{k}", OPERATORS.index(op)) for k, (op, _) in enumerate(program)],
            **({"tol": TOL} | options),
        )
        return [
            Selection(k, "operator", op, op, result.attributions[k].sum(1), result.delta[k], {})
            for k, (op, _) in enumerate(program)
        ]


def _selections(
    question: Question,
    program: Program,
    default: Program,
    targets: Sequence[tuple[int, str]],
    found: Attribution,
) -> list[Selection]:
    size, headers = len(question.words), question.table.columns

    def text(step: tuple[str, int | None], kind: str) -> str:
        return step[0] if kind == "operator" else headers[step[1] or 0]

    def by_term(attributions: Any, k: int) -> Array:
        qw, tm, cm = (part[k] for part in attributions)
        words = qw.sum(1)[len(qw) - size :]
        return np.concatenate([words, [tm.sum(), cm.sum()]])

    return [
        Selection(
            step,
            kind,
            text(program[step], kind),
            text(default[step], kind),
            by_term(found.attributions, k),
            float(found.delta[k]),
            {label: by_term(group, k) for label, group in found.paths.items()},
        )
        for k, (step, kind) in enumerate(targets)
    ]


def _at(group: Paths, step: int) -> Paths:
    through, avoid = (tuple(name.format(k=step) for name in names) for names in group[:2])
    return group._replace(through=through, avoid=avoid)
