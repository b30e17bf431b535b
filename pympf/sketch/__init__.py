"""Recursive sketches of modular networks."""

from pympf.sketch.graph import Edge, Graph, Object
from pympf.sketch.matrices import BlockList, BlockSparse, Orthonormal, encode, fit_dimension
from pympf.sketch.scheme import Scheme, Sketch

__all__ = [
    "BlockList",
    "BlockSparse",
    "Edge",
    "Graph",
    "Object",
    "Orthonormal",
    "Scheme",
    "Sketch",
    "encode",
    "fit_dimension",
]
