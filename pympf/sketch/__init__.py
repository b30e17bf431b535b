"""Recursive sketches of modular networks."""

from pympf.sketch._sketch import Sketch
from pympf.sketch.comparison import (
    Match,
    Similarity,
    compare,
    nearest,
    similarity,
    unroll,
)
from pympf.sketch.dictionary import Dictionary
from pympf.sketch.graph import Edge, Graph, Object
from pympf.sketch.joint import JointResult, recover_jointly
from pympf.sketch.learning import Outside, learn_dictionary, learn_levels
from pympf.sketch.matrices import BlockList, BlockSparse, Orthonormal, encode, fit_dimension
from pympf.sketch.planning import Plan, plan
from pympf.sketch.recovery import (
    Recovered,
    noise_level,
    recover_attributes,
    recover_frequency,
    recover_quantized,
    recover_signature,
    recover_summed_attributes,
)
from pympf.sketch.repository import Repository
from pympf.sketch.scheme import Scheme
from pympf.sketch.streaming import StreamingSketch
from pympf.sketch.teacher import LearntModule, LearntNetwork, learn_network

__all__ = [
    "BlockList",
    "BlockSparse",
    "Dictionary",
    "Edge",
    "Graph",
    "JointResult",
    "LearntModule",
    "LearntNetwork",
    "Match",
    "Object",
    "Orthonormal",
    "Outside",
    "Plan",
    "Recovered",
    "Repository",
    "Scheme",
    "Similarity",
    "Sketch",
    "StreamingSketch",
    "compare",
    "encode",
    "fit_dimension",
    "learn_dictionary",
    "learn_levels",
    "learn_network",
    "nearest",
    "noise_level",
    "plan",
    "recover_attributes",
    "recover_frequency",
    "recover_jointly",
    "recover_quantized",
    "recover_signature",
    "recover_summed_attributes",
    "similarity",
    "unroll",
]
