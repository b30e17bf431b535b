"""Neural Programmer: questions over tables, 15 operators soft and hard, programs of four steps."""

from pympf.nets.programmer.model import NeuralProgrammer
from pympf.nets.programmer.operators import (
    BUILDS_ON,
    OPERATORS,
    STEPS,
    USES_COLUMN,
    apply_step,
    execute,
    used,
)
from pympf.nets.programmer.table import (
    COLUMN_TOKEN,
    TABLE_TOKEN,
    Answer,
    Program,
    Question,
    Table,
    read_number,
)
from pympf.nets.programmer.training import Epoch, is_answer
from pympf.nets.programmer.vocabulary import Vocabulary

__all__ = [
    "BUILDS_ON",
    "COLUMN_TOKEN",
    "OPERATORS",
    "STEPS",
    "TABLE_TOKEN",
    "USES_COLUMN",
    "Answer",
    "Epoch",
    "NeuralProgrammer",
    "Program",
    "Question",
    "Table",
    "Vocabulary",
    "apply_step",
    "execute",
    "is_answer",
    "read_number",
    "used",
]
