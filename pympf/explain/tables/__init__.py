"""Questions over tables: data, programs, pruning, rules, and the analysis of what answers them."""

from pympf.explain.tables.evaluate import (
    Value,
    denotation,
    is_right,
    normalize,
    to_value,
    to_values,
)
from pympf.explain.tables.fictitious import distractor_row, fictitious, reorder_rows
from pympf.explain.tables.generate import generate_questions, generate_table, zipf
from pympf.explain.tables.grammar import DOMAINS, FLUFF, GROUPS, INTENTS, PROGRAMS, SYNONYMS
from pympf.explain.tables.matches import ask, match_cells, match_headers, numbers_in, words_of
from pympf.explain.tables.prune import (
    Programs,
    augment,
    consistent,
    draw_programs,
    prune,
    spurious,
)
from pympf.explain.tables.rules import RuleBased
from pympf.explain.tables.wtq import (
    Example,
    WikiTableQuestions,
    read_csv_table,
    read_tsv,
    unescape,
)
from pympf.nets.programmer import (
    OPERATORS,
    Answer,
    Program,
    Question,
    Table,
    apply_step,
    execute,
    used,
)

__all__ = [
    "DOMAINS",
    "FLUFF",
    "GROUPS",
    "INTENTS",
    "OPERATORS",
    "PROGRAMS",
    "SYNONYMS",
    "Answer",
    "Example",
    "Program",
    "Programs",
    "Question",
    "RuleBased",
    "Table",
    "Value",
    "WikiTableQuestions",
    "apply_step",
    "ask",
    "augment",
    "consistent",
    "denotation",
    "distractor_row",
    "draw_programs",
    "execute",
    "fictitious",
    "generate_questions",
    "generate_table",
    "is_right",
    "match_cells",
    "match_headers",
    "normalize",
    "numbers_in",
    "prune",
    "read_csv_table",
    "read_tsv",
    "reorder_rows",
    "spurious",
    "to_value",
    "to_values",
    "unescape",
    "used",
    "words_of",
    "zipf",
]
