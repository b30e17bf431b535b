"""Networks to look at: random ones, and one that is trained until it is sure."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from pympf.la import checks
from pympf.nets import Adam, descend
from pympf.nets import graph as G
from pympf.nets._checks import Array, random_numbers

__all__ = [
    "Counter",
    "attention_network",
    "counting_network",
    "recurrent_network",
    "relu_network",
]

Forward = Callable[[Any], G.Node]


def relu_network(*sizes: int, seed: int = 0) -> Forward:
    """Draw a ReLU network with a softmax of its outputs.

    Not collective.

    Parameters
    ----------
    *sizes : int
        Inputs, units of each hidden layer, outputs.
    seed : int
        Seed of the weights.

    Returns
    -------
    callable
        Maps (n, inputs) to probabilities (n, outputs).

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.explain.examples import relu_network
    >>> relu_network(4, 8, 3)(np.ones((2, 4))).shape
    (2, 3)
    """
    rng = random_numbers(seed, "relu network")
    weights = [
        (
            rng.standard_normal((a, b)) * (2 if k == len(sizes) - 2 else 1.4) / np.sqrt(a),
            rng.standard_normal(b) * (1 if k == len(sizes) - 2 else 0.3),
        )
        for k, (a, b) in enumerate(pairwise(sizes))
    ]

    def forward(x: Any) -> G.Node:
        for W, b in weights[:-1]:
            x = G.relu(G.matmul(x, W) + b)
        W, b = weights[-1]
        return G.softmax(G.matmul(x, W) + b)

    return forward


def recurrent_network(kind: str, width: int, units: int, seed: int = 0) -> Forward:
    """Draw a recurrent network with a softmax of five outputs after the last step.

    Not collective.

    Parameters
    ----------
    kind : {"gru", "lstm"}
        Its cells.
    width, units : int
        Size of the inputs and of the state.
    seed : int
        Seed of the weights.

    Returns
    -------
    callable
        Maps (n, T, width) to probabilities (n, 5).

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.explain.examples import recurrent_network
    >>> recurrent_network("gru", 4, 8)(np.ones((2, 6, 4))).shape
    (2, 5)
    """
    gru = checks.choice(kind, "kind", ("gru", "lstm")) == "gru"
    layer, gates = (G.gru_layer, 3) if gru else (G.lstm_layer, 4)
    rng = random_numbers(seed, "recurrent network")
    W = rng.standard_normal((width, gates * units)) * 1.5 / np.sqrt(width)
    U = rng.standard_normal((units, gates * units)) * 1.2 / np.sqrt(units)
    b = rng.standard_normal(gates * units) * 0.1
    V = rng.standard_normal((units, 5)) * 2 / np.sqrt(units)
    return lambda x: G.softmax(G.matmul(layer(x, W, U, b)[:, -1], V))


def attention_network(steps: int, width: int, layers: int = 2, seed: int = 0) -> Forward:
    """Draw a network of self-attention with a softmax of five outputs.

    Not collective.

    Parameters
    ----------
    steps, width : int
        Length of the sequences and size of their entries.
    layers : int
        Each has attention and a layer of tanh, with layer norm before both.
    seed : int
        Seed of the weights.

    Returns
    -------
    callable
        Maps (n, steps, width) to probabilities (n, 5).

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.explain.examples import attention_network
    >>> attention_network(6, 4)(np.ones((2, 6, 4))).shape
    (2, 5)
    """
    rng = random_numbers(seed, "attention network")

    def draw(a: int, b: int, gain: float) -> Array:
        return rng.standard_normal((a, b)) * gain / np.sqrt(a)

    shapes = [(width, width, 1.5), (width, width, 1.5), (width, width, 1.0)]
    shapes += [(width, 64, 1.0), (64, width, 1.0)]
    weights = [[draw(*shape) for shape in shapes] for _ in range(layers)]
    places, V = rng.standard_normal((steps, width)) * 0.3, draw(width, 5, 2.0)

    def forward(x: Any) -> G.Node:
        x = G.add(x, places)
        for Q, K, W, A, B in weights:
            y = G.layer_norm(x)
            scores = G.einsum("bth,bsh->bts", y @ Q, y @ K) * (1 / np.sqrt(width))
            x = x + G.einsum("bts,bsd->btd", G.softmax(scores), y @ W)
            x = x + G.tanh(G.layer_norm(x) @ A) @ B
        return G.softmax(G.mean(G.layer_norm(x), 1) @ V)

    return forward


class Counter(NamedTuple):
    """A trained network that counts, and what it was trained on.

    Parameters
    ----------
    forward : callable
        Maps embedded sequences (n, T, width) to probabilities (n, 3).
    words : ndarray of int, shape (n, T)
        Sequences.
    embedded : ndarray, shape (n, T, width)
        Their embeddings.
    counts : ndarray of int, shape (n,)
        How often word 0 occurs, modulo 3.
    losses : list of float
        Mean of -log p of each epoch.

    Examples
    --------
    >>> from pympf.explain.examples import counting_network
    >>> counter = counting_network(64, epochs=1)
    >>> counter.embedded.shape, counter.counts.shape
    ((64, 8, 16), (64,))
    """

    forward: Forward
    words: Array
    embedded: Array
    counts: Array
    losses: list[float]


def counting_network(
    n: int = 1500, *, steps: int = 8, units: int = 16, epochs: int = 12, seed: int = 0
) -> Counter:
    """Train an LSTM to count a word modulo 3, until it is sure of its answers.

    Its probabilities rise in a steep step somewhere on the path from the baseline, as those of
    large trained networks do; fixed rules of few points miss it.

    Not collective.

    Parameters
    ----------
    n, steps : int
        Sequences to learn from, of so many words out of eight.
    units : int
        Size of the state.
    epochs : int
        About half a second of one core each.
    seed : int
        Seed of sequences and weights.

    Returns
    -------
    Counter
        With all that an analysis needs.

    Examples
    --------
    >>> from pympf.explain.examples import counting_network
    >>> len(counting_network(64, epochs=2).losses)
    2
    """
    n, width = checks.integer(n, "n"), 16
    rng = random_numbers(seed, "counting network")
    words = rng.integers(0, 8, (n, steps))
    counts = (words == 0).sum(axis=1) % 3
    weights = {
        "E": rng.standard_normal((8, width)),
        "W": rng.standard_normal((width, 4 * units)) / np.sqrt(width),
        "U": rng.standard_normal((units, 4 * units)) / np.sqrt(units),
        "b": np.repeat([0.0, 1.0, 0.0, 0.0], units),  # it begins by keeping what it has
        "V": rng.standard_normal((units, 3)) / np.sqrt(units),
    }

    def scores(x: Any, W: Any, U: Any, b: Any, V: Any) -> G.Node:
        return G.matmul(G.lstm_layer(x, W, U, b)[:, -1], V)

    def gradient(which: Array) -> tuple[float, list[Array]]:
        E, *rest = leaves = [G.variable(w, name) for name, w in weights.items()]
        found = G.log_softmax(scores(G.embed(E, words[which]), *rest))
        loss = -G.mean(G.pick(found, counts[which]))
        return float(loss.value), G.grad(loss, leaves)

    parameters = list(weights.values())
    losses = descend(gradient, parameters, n, Adam(2e-2), epochs=epochs, batch=64, seed=seed)
    E, *rest = parameters
    return Counter(lambda x: G.softmax(scores(x, *rest)), words, E[words], counts, losses)
