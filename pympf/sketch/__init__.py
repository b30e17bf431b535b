"""Recursive sketches of modular networks."""

from pympf.sketch.graph import Edge, Graph, Object
from pympf.sketch.learning import Dictionary, Outside, learn_dictionary, learn_levels
from pympf.sketch.matrices import BlockList, BlockSparse, Orthonormal, encode, fit_dimension
from pympf.sketch.scheme import Scheme, Sketch

__all__ = [
    "BlockList",
    "BlockSparse",
    "Dictionary",
    "Edge",
    "Graph",
    "Object",
    "Orthonormal",
    "Outside",
    "Scheme",
    "Sketch",
    "encode",
    "fit_dimension",
    "learn_dictionary",
    "learn_levels",
]
