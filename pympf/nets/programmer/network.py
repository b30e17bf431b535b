"""Listing 3.1: the continuous part of Neural Programmer, as a graph with named nodes.

    listing 3.1                            node (k = 0, …, 3)
    enc_hidden_states, enc_final_state     the same
    dec_state                              dec_state_k
    ques_context = F1(dec_state, enc_…)    ques_context_k, by the weights attention_k
    op_controller = F2(…)                  op_controller_k
    op_probs = softmax(F3(op_controller))  op_probs_k
    col_controller = F4(…, op_probs)       col_controller_k, from col_query_k and op_probs_k
    F5, F6, F7                             col_logits_soft_k, col_logits_tm_k, col_logits_cm_k
    col_probs                              col_probs_k

The black boxes F1 to F7 are those of the published code: attention softmax(H dec_state)·H; relu of
linear maps; names·c + 1[tm] e_tm·c + w cm. The operators' vectors are also the weights of F3.

References
----------
.. [1] A. Neelakantan, Q. Le, M. Abadi, A. McCallum, D. Amodei, "Learning a natural language
   interface with Neural Programmer", ICLR 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pympf.nets import graph
from pympf.nets._checks import Array, random_numbers
from pympf.nets.graph import Node, Value
from pympf.nets.programmer.encode import Batch
from pympf.nets.programmer.operators import OPERATORS, STEPS
from pympf.nets.programmer.vocabulary import SPECIAL, TABLE_TOKEN

__all__ = ["Inputs", "Selections", "initial", "inputs_of", "select"]

HIDDEN = -1e4  # a logit of what is not there, finite
Parameters = dict[str, Value]


def initial(width: int, words: int, seed: int) -> dict[str, Array]:
    """Draw the weights: normal, of variance 1.5/fan-in; vectors of words and operators 0.3."""
    rng, d = random_numbers(seed, "initial weights"), width

    def weights(rows: int, columns: int) -> Array:
        return rng.standard_normal((rows, columns)) * np.sqrt(1.5 / rows)

    forget = np.zeros(4 * d)
    forget[d : 2 * d] = 1
    return {
        "word_vectors": 0.3 * rng.standard_normal((words, d)),
        "op_vectors": 0.3 * rng.standard_normal((len(OPERATORS), d)),
        "cm_weight": np.ones(1),
        "encoder_W": weights(d, 4 * d),
        "encoder_U": weights(d, 4 * d),
        "encoder_b": forget,
        "op_from_state": weights(d, d),
        "op_from_question": weights(2 * d, d),
        "col_from_state": weights(d, d),
        "col_from_question": weights(2 * d, d),
        "col_from_op": weights(2 * d, d),
        "dec_from_all": weights(3 * d, d),
        "dec_bias": np.zeros(d),
    }


class Inputs(NamedTuple):
    """What the selections depend on, for B questions; nodes or arrays.

    Parameters
    ----------
    qw : shape (B, Q, d)
        Vectors of the words of the question.
    tm : shape (B, n, m)
        Table matches.
    cm : shape (B, n)
        Column matches.
    cnames : shape (B, n, d)
        Vectors of the column names.
    said, present : ndarray of bool, shape (B, Q) and (B, n)
        Where there are words, and columns: masks are never interpolated.

    Examples
    --------
    See `inputs_of`.
    """

    qw: Value
    tm: Value
    cm: Value
    cnames: Value
    said: Array
    present: Array


class Selections(NamedTuple):
    """Probabilities of the operators and of the columns at each step.

    Parameters
    ----------
    operators : list of Node, shape (B, 15)
        One for each step.
    columns : list of Node, shape (B, n)
        One for each step.

    Examples
    --------
    See `select`.
    """

    operators: list[Node]
    columns: list[Node]


def inputs_of(parameters: Parameters, batch: Batch) -> Inputs:
    """Look up the vectors of a batch.

    Not collective.

    Parameters
    ----------
    parameters : dict of Node or ndarray
        Of `initial`.
    batch : Batch
        B questions.

    Returns
    -------
    Inputs
        For `select`.

    Examples
    --------
    See `select`.
    """
    vectors = parameters["word_vectors"]
    names = graph.embed(vectors, batch.headers)
    return Inputs(
        qw=graph.embed(vectors, batch.words),
        tm=batch.cells,
        cm=batch.header_matches,
        cnames=graph.einsum("bnhd,bnh->bnd", names, batch.shares),
        said=batch.said,
        present=batch.present,
    )


def _as_is(x: Any) -> Any:
    return x


def select(
    parameters: Parameters, inputs: Inputs, drop: Callable[[Any], Node] = _as_is
) -> Selections:
    """Compute the selections of all four steps.

    Not collective.

    Parameters
    ----------
    parameters : dict of Node or ndarray
        Of `initial`.
    inputs : Inputs
        B questions, or B points of a path.
    drop : callable
        Dropout, in training.

    Returns
    -------
    Selections
        Nodes, with names.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.programmer import Question, Table, Vocabulary
    >>> from pympf.nets.programmer.encode import encode
    >>> from pympf.nets.programmer.network import initial, inputs_of, select
    >>> table = Table(("gold",), (("1", "5"),))
    >>> question = Question(("most", "gold"), table, np.zeros((1, 2)), np.ones(1))
    >>> weights = initial(8, 5, seed=0)
    >>> batch = encode([question], Vocabulary(), 3)
    >>> select(weights, inputs_of(weights, batch)).operators[0].shape
    (1, 15)
    """
    P, qw = parameters, drop(inputs.qw)
    hidden = graph.lstm_layer(qw, P["encoder_W"], P["encoder_U"], P["encoder_b"])
    hidden = hidden.named("enc_hidden_states")
    final = hidden[:, -1].named("enc_final_state")
    marker = graph.index(P["word_vectors"], SPECIAL.index(TABLE_TOKEN))
    matched = graph.largest(inputs.tm, axis=-1)
    matches = graph.reshape(matched, (*matched.shape, 1)) * marker
    words_away = np.where(inputs.said, 0.0, HIDDEN)
    columns_away = np.where(inputs.present, 0.0, HIDDEN)
    state = graph.variable(np.zeros(final.shape), "dec_state_0")
    result = Selections([], [])
    for k in range(STEPS):
        scores = graph.einsum("bd,bqd->bq", state, hidden)
        attention = graph.softmax(scores + words_away).named(f"attention_{k}")
        context = graph.einsum("bq,bqd->bd", attention, hidden).named(f"ques_context_{k}")
        question = graph.concatenate([final, context])
        controller = state @ P["op_from_state"] + question @ P["op_from_question"]
        controller = drop(graph.relu(controller)).named(f"op_controller_{k}")
        op_probs = graph.softmax(graph.einsum("bd,od->bo", controller, P["op_vectors"]))
        operator = op_probs.named(f"op_probs_{k}") @ P["op_vectors"]
        query = graph.relu(state @ P["col_from_state"] + question @ P["col_from_question"])
        query = graph.concatenate([query.named(f"col_query_{k}"), operator]) @ P["col_from_op"]
        query = drop(graph.relu(query)).named(f"col_controller_{k}")
        soft = graph.einsum("bd,bnd->bn", query, inputs.cnames).named(f"col_logits_soft_{k}")
        of_tm = graph.einsum("bd,bnd->bn", query, matches).named(f"col_logits_tm_{k}")
        of_cm = graph.multiply(inputs.cm, P["cm_weight"]).named(f"col_logits_cm_{k}")
        col_probs = graph.softmax(soft + of_tm + of_cm + columns_away).named(f"col_probs_{k}")
        column = graph.einsum("bn,bnd->bd", col_probs, graph.add(inputs.cnames, matches))
        mixed = drop(graph.concatenate([state, operator, column])) @ P["dec_from_all"]
        state = (graph.tanh(mixed) + P["dec_bias"]).named(f"dec_state_{k + 1}")
        result.operators.append(op_probs)
        result.columns.append(col_probs)
    return result
