"""Training a Neural Programmer: an epoch, and what a checkpoint holds."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from pympf.nets import graph
from pympf.nets._checks import Array, random_numbers
from pympf.nets.graph import Graph, Node
from pympf.nets.programmer.encode import Batch
from pympf.nets.programmer.network import inputs_of, select
from pympf.nets.programmer.soft import answer_loss, negative_entropy, program_loss, run
from pympf.nets.programmer.storage import State
from pympf.nets.programmer.table import Answer
from pympf.nets.programmer.vocabulary import SPECIAL, UNKNOWN, Vocabulary
from pympf.nets.train import Cosine, descend

__all__ = ["Epoch", "is_answer", "restore", "resume", "state_of", "train_epoch"]


class Epoch(NamedTuple):
    """What an epoch of training came to.

    Parameters
    ----------
    number : int
        From 1.
    loss : float
        The mean over the questions.
    cpu_s : float
        Seconds of the processor, without the validation.
    accuracy : float
        On the questions of the validation, NaN without.
    by_intent : dict
        The same for each intent.

    Examples
    --------
    >>> from pympf.nets.programmer import Epoch
    >>> Epoch(1, 2.5, 3.0, 0.4, {}).loss
    2.5
    """

    number: int
    loss: float
    cpu_s: float
    accuracy: float
    by_intent: dict[str, float]


def is_answer(given: Answer | None, wanted: Answer | None) -> bool:
    """Tell whether an answer is the wanted one; a count may also be wanted as a text.

    Not collective.

    Parameters
    ----------
    given, wanted : int, frozenset of str or None
        Answers.

    Returns
    -------
    bool
        None is never right.

    Examples
    --------
    >>> from pympf.nets.programmer import is_answer
    >>> is_answer(3, 3), is_answer(3, frozenset({"3"})), is_answer(frozenset({"3"}), 3)
    (True, True, False)
    """
    if given is None or wanted is None:
        return False
    return given == wanted or (isinstance(given, int) and wanted == frozenset({str(given)}))


def train_epoch(
    model: Any, number: int, everything: Batch, optimizer: Cosine
) -> tuple[float, float]:
    """Go through the questions once; give the mean loss and the seconds of the processor."""
    start = time.process_time()
    # Each epoch has numbers of its own, so that a training can go on at any of them.
    rng = random_numbers(model.seed, f"dropout of epoch {number}")
    n = len(everything.words)
    seen = random_numbers(model.seed, "programs seen").random(n) < model.program_share
    reward = model.entropy * max(0.0, 1 - 2 * (number - 1) / model.epochs)

    def gradient(chosen: Array) -> tuple[float, list[Array]]:
        return _gradient(model, everything.take(chosen), seen[chosen], reward, rng)

    (loss,) = descend(
        gradient,
        list(model.parameters_.values()),
        n,
        optimizer,
        epochs=1,
        batch=model.batch,
        seed=model.seed * 100_003 + number,
    )
    return loss, time.process_time() - start


def _gradient(
    model: Any, batch: Batch, seen: Array, reward: float, rng: np.random.Generator
) -> tuple[float, list[Array]]:
    lost = rng.random(batch.words.shape) < model.word_dropout
    batch.words[lost & (batch.words >= len(SPECIAL))] = SPECIAL.index(UNKNOWN)
    weights = {name: graph.variable(array) for name, array in model.parameters_.items()}

    def drop(x: Node) -> Node:
        kept = rng.random(x.shape) >= model.dropout
        return x * (kept / (1 - model.dropout))

    selections = select(dict(weights), inputs_of(dict(weights), batch), drop)
    losses = []
    if model.answers:
        losses.append(answer_loss(batch, run(batch, selections)))
    if model.program_share:
        losses.append(program_loss(batch, selections, seen))
    if reward:
        losses.append(negative_entropy(selections) * reward)
    loss = graph.mean(graph.stack(losses, axis=0)) * float(len(losses))
    gradients = Graph(loss).grad(loss, list(weights.values()))
    norm = np.sqrt(sum(float((g * g).sum()) for g in gradients))
    scale = min(1.0, model.clip / max(norm, 1e-12))
    return float(loss.value), [scale * g for g in gradients]


# ---- checkpoints ---------------------------------------------------------------------------------
def state_of(model: Any, optimizer: Cosine | None = None) -> State:
    """Give all that a model is, and the moments of its optimizer, with which it goes on."""
    adam: Any = None if optimizer is None else optimizer.optimizer
    moments = [] if adam is None else [moment for pair in adam._moments for moment in pair]
    return State(
        model.get_params(),
        model.parameters_,
        model.vocabulary_.words,
        model.length_,
        [epoch._asdict() for epoch in model.history_],
        moments,
    )


def restore(model: Any, state: State) -> None:
    """Make a model what it was."""
    model.parameters_, model.length_ = dict(state.parameters), state.length
    model.vocabulary_ = Vocabulary(state.words)
    model.history_ = [Epoch(**epoch) for epoch in state.history]


def resume(model: Any, state: State, optimizer: Cosine) -> None:
    """Make model and optimizer what they were; ValueError if the state is one of other settings."""
    mine = model.get_params()
    if state.settings != mine or tuple(state.words) != model.vocabulary_.words:
        other = {name: v for name, v in state.settings.items() if v != mine.get(name)}
        raise ValueError(
            "expected a checkpoint of these parameters and questions, got one with "
            f"{other or 'other words'}"
        )
    restore(model, state)
    if state.moments:
        adam: Any = optimizer.optimizer
        adam._moments = list(zip(state.moments[::2], state.moments[1::2], strict=True))
        steps = len(model.history_) * optimizer.steps // model.epochs
        adam._steps = optimizer._done = steps
