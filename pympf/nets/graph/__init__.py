"""A dataflow graph in NumPy: values, named nodes, and reverse sweeps over groups of paths.

Operators take nodes and arrays and compute at once; the leading axis counts points of a path or of
a batch. A parameter that is a `variable` gets gradients too, so that networks can be trained.

>>> import numpy as np
>>> from pympf.nets import graph
>>> x = graph.variable(np.ones((1, 3)), "x")
>>> hidden = graph.tanh(x @ np.ones((3, 2))).named("hidden")
>>> graph.grad(graph.sum(hidden, 1), ["x"])[0].shape
(1, 3)
"""

from pympf.nets.graph.elementwise import (
    absolute,
    add,
    divide,
    exp,
    log,
    maximum,
    minimum,
    multiply,
    relu,
    sigmoid,
    sqrt,
    square,
    subtract,
    tanh,
    where,
)
from pympf.nets.graph.graph import Graph, grad
from pympf.nets.graph.networks import network
from pympf.nets.graph.node import Node, Value, record, value, variable
from pympf.nets.graph.products import einsum, matmul
from pympf.nets.graph.recurrent import gru_layer, gru_step, lstm_layer, lstm_step
from pympf.nets.graph.reductions import (
    largest,
    layer_norm,
    log_softmax,
    mean,
    smallest,
    softmax,
    sum,
)
from pympf.nets.graph.selections import soft_first, soft_largest, soft_last, soft_smallest
from pympf.nets.graph.shaping import (
    concatenate,
    embed,
    gather,
    index,
    permute,
    pick,
    reshape,
    stack,
    transpose,
)

__all__ = [
    "Graph",
    "Node",
    "Value",
    "absolute",
    "add",
    "concatenate",
    "divide",
    "einsum",
    "embed",
    "exp",
    "gather",
    "grad",
    "gru_layer",
    "gru_step",
    "index",
    "largest",
    "layer_norm",
    "log",
    "log_softmax",
    "lstm_layer",
    "lstm_step",
    "matmul",
    "maximum",
    "mean",
    "minimum",
    "multiply",
    "network",
    "permute",
    "pick",
    "record",
    "relu",
    "reshape",
    "sigmoid",
    "smallest",
    "soft_first",
    "soft_largest",
    "soft_last",
    "soft_smallest",
    "softmax",
    "sqrt",
    "square",
    "stack",
    "subtract",
    "sum",
    "tanh",
    "transpose",
    "value",
    "variable",
    "where",
]
