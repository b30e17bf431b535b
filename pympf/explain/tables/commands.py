"""The analyses of questions over tables on the command line.

All are of generated questions; the seed is that of the questions, apart from those of the training.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pympf.explain.result_table import ResultTable
from pympf.explain.tables.analysis import (
    column_synonyms,
    default_programs,
    intent_rules,
    operator_triggers,
    score_synonyms,
)
from pympf.explain.tables.attacks import (
    attack,
    concatenation,
    distractors,
    drop_words,
    propose_phrases,
    reorder,
)
from pympf.explain.tables.faithfulness import faithfulness, overstability, rank_words, right
from pympf.explain.tables.generate import generate_questions
from pympf.explain.tables.grammar import SYNONYMS
from pympf.explain.tables.heatmap import heatmap_html
from pympf.explain.tables.programmer import (
    COLUMN_PATHS,
    NeuralProgrammer,
    SelectionAttributions,
)
from pympf.explain.tables.prune import prune, spurious
from pympf.explain.tables.rules import RuleBased
from pympf.nets.programmer import Question

__all__ = ["TABLE_COMMANDS"]

Run = Callable[[argparse.Namespace], ResultTable]
Declare = Callable[[argparse.ArgumentParser], None]


def _declare_questions(parser: argparse.ArgumentParser, tables: int = 200) -> None:
    parser.add_argument("--tables", type=int, default=tables, help="tables to generate")
    parser.add_argument("--seed", type=int, default=2, help="seed of the questions (default: 2)")


def _declare_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="F.h5", help="a network that `programmer` wrote")
    _declare_questions(parser)
    parser.add_argument("--questions", type=int, default=300, help="questions to attribute")


def _declare_programmer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("output", metavar="F.h5", help="where to write the network")
    _declare_questions(parser, 1200)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--programs", type=float, default=1.0, help="share of programs seen")
    parser.add_argument(
        "--entropy", type=float, default=0.0, help="reward for undecided selections"
    )


def _declare_html(parser: argparse.ArgumentParser) -> None:
    _declare_model(parser)
    parser.add_argument("--html", metavar="FILE", help="where to write the heatmaps")


def _programmer(args: argparse.Namespace) -> ResultTable:
    model = NeuralProgrammer(
        args.width, epochs=args.epochs, program_share=args.programs, entropy=args.entropy
    )
    model.fit(generate_questions(args.tables, 1), generate_questions(max(6, args.tables // 6), 2))
    model.save(args.output)
    rows = [(e.number, e.loss, e.accuracy, e.cpu_s) for e in model.history_]
    return ResultTable("Training", ("epoch", "loss", "accuracy", "cpu_s"), rows)


def _questions(args: argparse.Namespace) -> list[Question]:
    return generate_questions(args.tables, args.seed)


def _attributed(
    args: argparse.Namespace, paths: bool = False
) -> tuple[NeuralProgrammer, list[SelectionAttributions]]:
    """Attribute the questions that the network answers right."""
    model = NeuralProgrammer.load(args.model)
    some = _questions(args)[: args.questions]
    good = [q for q, verdict in zip(some, right(model, some), strict=True) if verdict]
    if not good:
        raise ValueError(
            f"expected a network that answers some question right, got one that answers none of "
            f"{len(some)}; train it longer (explain programmer --epochs), or ask more (--tables)"
        )
    return model, model.attribute(good, paths=COLUMN_PATHS if paths else None)


def _defaults(args: argparse.Namespace) -> ResultTable:
    tables = {id(q.table): q.table for q in _questions(args)}
    return default_programs(NeuralProgrammer.load(args.model), tables.values())


def _heatmaps(args: argparse.Namespace) -> ResultTable:
    _, found = _attributed(args)
    if args.html:
        body = "\n".join(heatmap_html(one) for one in found)
        Path(args.html).write_text(f'<!doctype html><meta charset="utf-8">\n{body}\n')
    rows = [
        (" ".join(q.question.words), one.step + 1, one.kind, one.chosen, q.terms[i], one.values[i])
        for q in found
        for one in q.selections
        for i in one.top(1)
    ]
    columns = ("question", "step", "kind", "chosen", "first term", "attribution")
    return ResultTable("What selections are due to", columns, rows)


def _faithfulness(args: argparse.Namespace) -> ResultTable:
    return faithfulness(*_attributed(args))


def _triggers(args: argparse.Namespace) -> ResultTable:
    return operator_triggers(_attributed(args)[1])


def _intents(args: argparse.Namespace) -> ResultTable:
    _, words, rules = intent_rules(_attributed(args)[1])
    others = [q for q in _questions(args)[args.questions :] if q.intent != "VAGUE"]
    if others:
        coverage, accuracy = rules.score(others)
        words.notes.append(f"as a classifier: coverage {coverage:.3f}, accuracy {accuracy:.3f}")
    return words


def _synonyms(args: argparse.Namespace) -> ResultTable:
    found = _attributed(args, paths=True)[1]
    table = column_synonyms(found)
    scores = score_synonyms(found, [None, *COLUMN_PATHS], SYNONYMS, numbers_only=True)
    table.notes += str(scores).splitlines()
    return table


def _overstability(args: argparse.Namespace) -> ResultTable:
    model, found = _attributed(args)
    return overstability(model, _questions(args), rank_words(found))


def _attacks(args: argparse.Namespace) -> ResultTable:
    model, found = _attributed(args)
    questions = _questions(args)
    phrases = propose_phrases(found, leave_out=SYNONYMS)
    plain = attack(model, questions, {"fluff words": drop_words, "rows reordered": reorder()})
    rows = list(plain.rows[:-1])
    for kind, table in zip(phrases._fields, concatenation(model, questions, phrases), strict=True):
        rows += [(f"{kind}: {row[0]}", *row[1:]) for row in table.rows[1:]]
    return ResultTable("Attacks", plain.columns, rows)


def _distractors(args: argparse.Namespace) -> ResultTable:
    return distractors(NeuralProgrammer.load(args.model), _questions(args)[: args.questions])


def _prune(args: argparse.Namespace) -> ResultTable:
    questions = _questions(args)
    false = [spurious(q, i) for i, q in enumerate(questions)]
    rows = []
    for kind in ("rows", "numbers", "both"):
        left = np.sum(
            [
                (prune(q, 6, i, kind=kind) & f).sum((1, 2, 3))
                for i, (q, f) in enumerate(zip(questions, false, strict=True))
            ],
            axis=0,
        )
        rows.append((kind, *(float(1 - x / left[0]) for x in left[1:])))
    columns = ("fictitious tables", *map(str, range(1, 7)))
    return ResultTable("Share of the spurious programs that is gone", columns, rows)


def _rules(args: argparse.Namespace) -> ResultTable:
    questions = [q for q in _questions(args) if q.intent != "VAGUE"]
    half = {word: set(sorted(others)[::2]) for word, others in SYNONYMS.items()}
    systems = {
        "exact": RuleBased(["exact"]),
        "stem": RuleBased(["exact", "stem"]),
        "half of the thesaurus": RuleBased(synonyms=half),
        "thesaurus": RuleBased(synonyms=SYNONYMS),
    }
    rows = [(name, rules.score(questions)) for name, rules in systems.items()]
    return ResultTable("Rule-based system", ("matches", "accuracy"), rows)


TABLE_COMMANDS: tuple[tuple[str, str, Declare, Run], ...] = (
    (
        "programmer",
        "train a Neural Programmer on generated questions",
        _declare_programmer,
        _programmer,
    ),
    ("defaults", "default programs and the columns they are due to", _declare_model, _defaults),
    ("heatmaps", "what the selections of questions are due to", _declare_html, _heatmaps),
    ("faithfulness", "do operators depend on their top terms", _declare_model, _faithfulness),
    ("triggers", "words that operators are due to", _declare_model, _triggers),
    ("intents", "words that tell an intent", _declare_model, _intents),
    ("synonyms", "words that columns are due to, by groups of paths", _declare_model, _synonyms),
    ("overstability", "accuracy on few words", _declare_model, _overstability),
    ("attacks", "fluff words, row orders, phrases of triggers", _declare_model, _attacks),
    ("distractors", "rows that repeat words of the question", _declare_model, _distractors),
    ("prune", "spurious programs and fictitious tables", _declare_questions, _prune),
    ("rules", "the rule-based system by kinds of match", _declare_questions, _rules),
)
"""Name, help, arguments and function of each."""
