"""Greedy and beam search for the best sentence of a decoder, many sentences at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pympf.la import checks
from pympf.nets.seq2seq.vocabulary import END, PAD, START

__all__ = ["Hypothesis", "beam_search"]

State = tuple[NDArray[Any], ...]
Step = Callable[[NDArray[np.int64], State], tuple[NDArray[Any], State]]


class Hypothesis(NamedTuple):
    """A sentence that search found.

    Parameters
    ----------
    ids : list of int
        Numbers of its words, without `</s>`.
    log_probability : float
        Of the words and of `</s>`; without the latter if the sentence was cut.

    Examples
    --------
    >>> from pympf.nets.seq2seq import Hypothesis
    >>> Hypothesis([4, 5], -0.1).ids
    [4, 5]
    """

    ids: list[int]
    log_probability: float


def beam_search(
    step: Step,
    state: State,
    *,
    beam: int = 1,
    max_length: int = 50,
    length_penalty: float = 0.6,
) -> list[Hypothesis]:
    """Find likely sentences, word by word.

    Each step keeps the `beam` likeliest beginnings of every sentence. A sentence that has come to
    its end keeps its place. At last the one with the largest log p/length^penalty wins; its length
    counts `</s>`. A beam of 1 is greedy search.

    Not collective.

    Parameters
    ----------
    step : callable
        Maps the last words, shape (rows,), and a state to log-probabilities of the next word,
        shape (rows, words), and the next state.
    state : tuple of ndarray
        Of the decoder before the first word: the leading axis counts sentences.
    beam : int
        Beginnings that are kept.
    max_length : int
        Words of a sentence at most.
    length_penalty : float
        0 prefers short sentences, 1 compares means of log-probabilities.

    Returns
    -------
    list of Hypothesis
        One for each sentence.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.seq2seq import beam_search
    >>> def step(last, state):  # 4 after the start, then the end
    ...     p = np.full((len(last), 5), 1e-9)
    ...     p[np.arange(len(last)), np.where(last == 2, 4, 3)] = 1
    ...     return np.log(p), state
    >>> beam_search(step, (np.zeros((2, 1)),))[0].ids
    [4]
    """
    beam, max_length = checks.integer(beam, "beam"), checks.integer(max_length, "max_length")
    n = len(state[0])
    state = tuple(np.repeat(part, beam, axis=0) for part in state)
    words = np.full((n, beam, 1), START)
    scores = np.full((n, beam), -np.inf)
    scores[:, 0] = 0  # all beams are equal at first: only one of them counts
    for _ in range(max_length):
        log_p, state = step(words[:, :, -1].ravel(), state)
        log_p = np.asarray(log_p, dtype=np.float64).reshape(n, beam, -1)
        log_p = _frozen(log_p, ended(words[:, :, -1]))
        vocabulary = log_p.shape[2]
        total = (scores[:, :, None] + log_p).reshape(n, -1)
        best = np.argsort(-total, axis=1, kind="stable")[:, :beam]
        scores = np.take_along_axis(total, best, axis=1)
        parent, word = np.divmod(best, vocabulary)
        words = np.take_along_axis(words, parent[:, :, None], axis=1)
        words = np.concatenate([words, word[:, :, None]], axis=2)
        rows = (parent + beam * np.arange(n)[:, None]).ravel()
        state = tuple(part[rows] for part in state)
        if ended(words[:, :, -1]).all():
            break
    return _winners(words[:, :, 1:], scores, length_penalty)


def ended(last: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which sentences are over, given their last words."""
    return (last == END) | (last == PAD)


def _frozen(log_p: NDArray[Any], done: NDArray[np.bool_]) -> NDArray[Any]:
    """Let sentences that are over go on with `PAD` only, and no other sentence have it."""
    log_p[..., [PAD, START]] = -np.inf
    log_p[done] = -np.inf
    log_p[done, PAD] = 0
    return log_p


def _winners(
    words: NDArray[np.int64], scores: NDArray[Any], length_penalty: float
) -> list[Hypothesis]:
    lengths = np.maximum((words != PAD).sum(axis=2), 1)
    best = (scores / lengths**length_penalty).argmax(axis=1)
    found = []
    for sentence, score, k in zip(words, scores, best, strict=True):
        ids = [int(i) for i in sentence[k] if i not in (PAD, END)]
        found.append(Hypothesis(ids, float(score[k])))
    return found
