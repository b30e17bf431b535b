"""What a network looked at: attributions of outputs to inputs, along groups of dataflow paths.

>>> import numpy as np
>>> from pympf.explain import IntegratedGradients
>>> from pympf.nets.graph import relu
>>> ig = IntegratedGradients(lambda x: relu(x @ np.array([[1.0], [2.0]]) - 1.0)[:, 0])
>>> ig.attribute([1.0, 1.0], method="kinks").attributions.round(9)
array([0.66666667, 1.33333333])
"""

from pympf.explain.adaptive import Jump, Piece
from pympf.explain.integrated_gradients import (
    METHODS,
    Attribution,
    IncompleteWarning,
    IntegratedGradients,
)
from pympf.explain.line import Paths
from pympf.explain.result_table import ResultTable
from pympf.explain.rules import FIXED_RULES, quadrature
from pympf.explain.slices import Slice

__all__ = [
    "FIXED_RULES",
    "METHODS",
    "Attribution",
    "IncompleteWarning",
    "IntegratedGradients",
    "Jump",
    "Paths",
    "Piece",
    "ResultTable",
    "Slice",
    "quadrature",
]
