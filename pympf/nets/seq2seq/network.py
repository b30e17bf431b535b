"""An encoder and a decoder with additive attention, as nodes of a dataflow graph [1]_.

    h_j   = RNN(x_1..x_j), and the other way round beside it if bidirectional   encoder_states
    e_tj  = v · tanh(h_j K + s Q),  α_t = softmax(e_t)                          attention_t
    c_t   = Σ_j α_tj h_j                                                        context_t
    s_t   = RNN(y_{t-1}, c, s_{t-1}),  s_0 = tanh(final W)                      state_t
    p_t   = softmax(tanh(s_t S + c_t C + y_{t-1} Y + b) V + b')                 probability_t

Attention is asked by s = s_{t-1} *before* the state is updated, which then takes c = c_t [1]_, or
by s = s_t *after* that, when the update has taken c = c_{t-1}. t counts from 1, as in the names.

References
----------
.. [1] D. Bahdanau, K. Cho, Y. Bengio, "Neural machine translation by jointly learning to align and
   translate", ICLR 2015; the thesis's [8].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pympf.nets._checks import Array, random_numbers
from pympf.nets.graph import (
    Node,
    Value,
    concatenate,
    einsum,
    embed,
    exp,
    gru_layer,
    gru_step,
    log_softmax,
    lstm_layer,
    lstm_step,
    matmul,
    record,
    softmax,
    stack,
    tanh,
    value,
)

__all__ = [
    "CELLS",
    "QUERIES",
    "Decoded",
    "Encoded",
    "cross_entropy",
    "decode",
    "encode",
    "initial_parameters",
    "logits",
    "word_probabilities",
]

CELLS = {"gru": 3, "lstm": 4}
"""Gates of each kind of cell."""

QUERIES = ("before", "after")

EXCLUDED = -1e4
"""What is added to the attention scores of padding: finite, so that nothing becomes NaN."""

Parameters = Mapping[str, Value]
State = tuple[Value, ...]


class Encoded(NamedTuple):
    """What the decoder knows of a source: n sentences of T words, H units, E = H or 2H.

    Parameters
    ----------
    states : Node, shape (n, T, E)
        h_j.
    keys : Node, shape (n, T, H)
        h_j K.
    padding : ndarray, shape (n, T)
        0, or `EXCLUDED` where there is no word.
    state : tuple of Node, shape (n, H)
        s_0, and the cell of an LSTM.
    """

    states: Node
    keys: Node
    padding: NDArray[Any]
    state: State


class Decoded(NamedTuple):
    """What comes out for n sentences and L given words of the target.

    Parameters
    ----------
    words : Node, shape (n, L, D) or (1, L, D)
        Vectors of the given words.
    attention : list of Node, shapes (n, T)
        α_t.
    contexts : list of Node, shapes (n, E)
        c_t.
    outputs : list of Node, shapes (n, H)
        s_t.
    state : tuple of Node, shape (n, H)
        The last s_t, and the cell of an LSTM.
    """

    words: Node
    attention: list[Node]
    contexts: list[Node]
    outputs: list[Node]
    state: State


def initial_parameters(
    words: tuple[int, int],
    embedding: int,
    hidden: int,
    *,
    cell: str,
    bidirectional: bool,
    seed: int,
) -> dict[str, Array]:
    """Draw the parameters of a network, float32.

    Matrices are normal with variance 1/inputs, embeddings have standard deviations of 0.1,
    constants are 0, those of the forget gates of an LSTM 1.

    Not collective.

    Parameters
    ----------
    words : (int, int)
        Sizes of the vocabularies of source and target.
    embedding, hidden : int
        D and H.
    cell : {"gru", "lstm"}
        Kind of the recurrent cells.
    bidirectional : bool
        Whether the encoder also reads from the end.
    seed : int
        Seed of the numbers.

    Returns
    -------
    dict of ndarray
        By name.

    Examples
    --------
    >>> from pympf.nets.seq2seq.network import initial_parameters
    >>> P = initial_parameters((9, 9), 4, 5, cell="gru", bidirectional=False, seed=0)
    >>> P["encoder_U"].shape
    (5, 15)
    """
    rng = random_numbers(seed, "parameters")
    D, H, G = embedding, hidden, CELLS[cell] * hidden
    E = 2 * H if bidirectional else H

    def normal(rows: int, columns: int) -> Array:
        return (rng.standard_normal((rows, columns)) / np.sqrt(rows)).astype(np.float32)

    def small(*shape: int) -> Array:
        return (0.1 * rng.standard_normal(shape)).astype(np.float32)

    def constants() -> Array:
        b = np.zeros(G, np.float32)
        if cell == "lstm":
            b[H : 2 * H] = 1
        return b

    P = {"source_words": small(words[0], D), "target_words": small(words[1], D)}
    for name in ("encoder", "backward") if bidirectional else ("encoder",):
        P |= {f"{name}_W": normal(D, G), f"{name}_U": normal(H, G), f"{name}_b": constants()}
    P |= {"decoder_W": normal(D, G), "decoder_U": normal(H, G), "decoder_b": constants()}
    P |= {"decoder_C": normal(E, G), "initial_W": normal(E, H)}
    P |= {"attention_K": normal(E, H), "attention_Q": normal(H, H), "attention_v": small(H)}
    P |= {"output_S": normal(H, D), "output_C": normal(E, D), "output_Y": normal(D, D)}
    P |= {"output_b": np.zeros(D, np.float32), "output_V": normal(D, words[1])}
    P["output_b2"] = np.zeros(words[1], np.float32)
    return P


def encode(P: Parameters, embedded: Value, mask: NDArray[np.bool_], cell: str) -> Encoded:
    """Read sources.

    Not collective.

    Parameters
    ----------
    P : mapping of Node or ndarray
        Parameters.
    embedded : Node or ndarray, shape (n, T, D)
        The vectors of the words.
    mask : ndarray of bool, shape (n, T)
        Where there are words; padding comes last.
    cell : {"gru", "lstm"}
        Kind of the cells.

    Returns
    -------
    Encoded

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.seq2seq.network import encode, initial_parameters
    >>> P = initial_parameters((9, 9), 4, 5, cell="gru", bidirectional=True, seed=0)
    >>> encode(P, np.zeros((2, 3, 4), np.float32), np.ones((2, 3), bool), "gru").states.shape
    (2, 3, 10)
    """
    layer = gru_layer if cell == "gru" else lstm_layer

    def read(name: str, reverse: bool) -> Node:
        W, U, b = (P[f"{name}_{part}"] for part in "WUb")
        return layer(embedded, W, U, b, mask=mask, reverse=reverse)

    states = read("encoder", False)
    final = states[:, -1]
    if "backward_W" in P:
        back = read("backward", True)
        states, final = concatenate([states, back]), concatenate([final, back[:, 0]])
    states.named("encoder_states")
    start = tanh(matmul(final.named("final_state"), P["initial_W"]))
    cells = () if cell == "gru" else (np.zeros_like(start.value),)
    padding = np.where(mask, 0, EXCLUDED).astype(start.value.dtype)
    return Encoded(states, matmul(states, P["attention_K"]), padding, (start, *cells))


def decode(
    P: Parameters,
    encoded: Encoded,
    given: NDArray[np.int64],
    query: str,
    *,
    context: Value | None = None,
) -> Decoded:
    """Run the decoder over given words.

    Not collective.

    Parameters
    ----------
    P : mapping of Node or ndarray
        Parameters.
    encoded : Encoded
        The sources; its `state` is where the decoder begins.
    given : ndarray of int, shape (n, L) or (1, L)
        y_0 = `<s>`, y_1, ..., y_{L-1}.
    query : {"after", "before"}
        When attention is asked.
    context : Node or ndarray, shape (n, E), optional
        The context before the first word; 0 by default.

    Returns
    -------
    Decoded

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.seq2seq.network import decode, encode, initial_parameters
    >>> P = initial_parameters((9, 9), 4, 5, cell="lstm", bidirectional=True, seed=0)
    >>> encoded = encode(P, np.zeros((2, 3, 4), np.float32), np.ones((2, 3), bool), "lstm")
    >>> len(decode(P, encoded, np.array([[2, 4]]), "before").attention)
    2
    """
    words = embed(P["target_words"], given)
    inputs = matmul(words, P["decoder_W"]) + P["decoder_b"]
    if context is None:
        context = np.zeros_like(encoded.states.value[:, 0])
    out = Decoded(words, [], [], [], encoded.state)
    for t in range(given.shape[1]):
        state = out.state
        if query == "before":
            attention, seen = _attend(P, encoded, state[0])
            state = _update(P, inputs[:, t], seen, state)
        else:
            state = _update(P, inputs[:, t], context, state)
            attention, seen = _attend(P, encoded, state[0])
        out.attention.append(attention.named(f"attention_{t + 1}"))
        out.contexts.append(seen.named(f"context_{t + 1}"))
        out.outputs.append(state[0].named(f"state_{t + 1}"))
        out, context = out._replace(state=state), seen
    return out


def logits(P: Parameters, out: Decoded, drop: Callable[[Node], Node] | None = None) -> Node:
    """Give the arguments of the last softmax for all words, shape (n, L, words).

    `drop`, where there is one, changes the features that they are computed from.
    """
    features = _features(P, stack(out.outputs), stack(out.contexts), out.words)
    return _last_layer(P, features if drop is None else drop(features))


def word_probabilities(
    P: Parameters, out: Decoded, words: NDArray[np.int64], log: bool
) -> list[Node]:
    """Give the chance of each word of a target, or its logarithm, in nodes of shape (n,).

    They are computed one by one, so that a sweep from one of them sees nothing of later words.
    """
    found = []
    parts = zip(out.outputs, out.contexts, words, strict=True)
    for t, (state, context, word) in enumerate(parts):
        features = _features(P, state, context, out.words[:, t])
        log_p = log_softmax(_last_layer(P, features))[:, int(word)]
        found.append((log_p if log else exp(log_p)).named(f"probability_{t + 1}"))
    return found


def _features(P: Parameters, state: Node, context: Node, word: Node) -> Node:
    """What the last layer makes words of, shape (..., D)."""
    sums = matmul(state, P["output_S"]) + matmul(context, P["output_C"])
    return tanh(sums + (matmul(word, P["output_Y"]) + P["output_b"]))


def _last_layer(P: Parameters, features: Node) -> Node:
    return matmul(features, P["output_V"]) + P["output_b2"]


def cross_entropy(z: Node, words: NDArray[np.int64], weights: NDArray[Any]) -> Node:
    """Σ_t -weights log softmax(z)[words] of each sentence, shape (n,), as one operator.

    Its adjoint is weights (softmax(z) - e_word), so that logarithms of all words are never kept.
    """
    shifted = z.value - z.value.max(axis=-1, keepdims=True)
    p = np.exp(shifted)
    total = p.sum(axis=-1, keepdims=True)
    place = words[..., None]
    losses = np.log(total) - np.take_along_axis(shifted, place, axis=-1)

    def back(g: Array, _: Sequence[bool]) -> list[Array]:
        adjoint = p / total
        own = np.take_along_axis(adjoint, place, axis=-1)
        np.put_along_axis(adjoint, place, own - 1, axis=-1)
        adjoint *= (g[:, None] * weights)[..., None]
        return [adjoint]

    return record("cross_entropy", (losses[..., 0] * weights).sum(axis=-1), [z], back)


def _attend(P: Parameters, encoded: Encoded, state: Value) -> tuple[Node, Node]:
    """α and c for a state that asks."""
    scores = _additive_scores(encoded.keys, matmul(state, P["attention_Q"]), P["attention_v"])
    attention = softmax(scores + encoded.padding)
    return attention, einsum("nt,nte->ne", attention, encoded.states)


def _additive_scores(keys: Value, query: Value, v: Value) -> Node:
    """v · tanh(keys_j + query) for all j, shape (n, T), as one operator."""
    v_value = value(v)
    a = np.tanh(value(keys) + value(query)[:, None])

    def back(g: Array, wanted: Sequence[bool]) -> list[Array | None]:
        inner = a * a
        np.subtract(1, inner, out=inner)
        inner *= v_value
        inner *= g[..., None]
        by_v = np.tensordot(g, a, 2) if wanted[2] else None
        return [inner, inner.sum(axis=1) if wanted[1] else None, by_v]

    return record("additive_scores", a @ v_value, [keys, query, v], back)


def _update(P: Parameters, word: Node, context: Value, state: State) -> tuple[Node, ...]:
    """s_t of the gates' share of a word, a context and s_{t-1}."""
    inputs = word + matmul(context, P["decoder_C"])
    if len(state) == 1:
        return (gru_step(inputs, state[0], P["decoder_U"]),)
    return lstm_step(inputs, state[0], state[1], P["decoder_U"])
