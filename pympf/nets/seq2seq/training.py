"""Training of encoder-decoders: the least -log p of words, by Adam with a falling rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pympf._progress import each, working
from pympf.nets._checks import Array, random_numbers
from pympf.nets.graph import Node, embed, grad, variable
from pympf.nets.seq2seq.network import cross_entropy, decode, encode, logits
from pympf.nets.seq2seq.vocabulary import END, PAD, START, length_batches, padded
from pympf.nets.train import Adam, Cosine

__all__ = ["Gradient", "train"]

Ids = Sequence[Sequence[int]]


class Gradient:
    """The loss of a batch, and its gradients by the parameters of a network.

    Parameters
    ----------
    cell, query : str
        Of the network.
    dropout : float
        Share of the entries of embedded words and of output features that are set to zero.
    clip : float
        Largest norm of a gradient.
    noise : numpy.random.Generator
        Where dropout comes from.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.seq2seq.network import initial_parameters
    >>> from pympf.nets.seq2seq.training import Gradient
    >>> P = initial_parameters((6, 6), 3, 4, cell="gru", bidirectional=False, seed=0)
    >>> gradient = Gradient("gru", "before", dropout=0, clip=1.0, noise=np.random.default_rng(0))
    >>> loss, words, gradients = gradient(P, [[4, 5], [4]], [[5, 4], [5]])
    >>> words, len(gradients) == len(P)
    (5, True)
    """

    def __init__(
        self, cell: str, query: str, *, dropout: float, clip: float, noise: np.random.Generator
    ) -> None:
        self.cell, self.query = cell, query
        self.dropout, self.clip, self.noise = dropout, clip, noise

    def __call__(
        self, parameters: Mapping[str, Array], x: Ids, y: Ids
    ) -> tuple[float, int, list[Array]]:
        """Give the sum of -log p, the number of words, and the gradients of their ratio."""
        P = {name: variable(array) for name, array in parameters.items()}
        rows = padded(x)
        given, wanted = padded([[START, *t] for t in y]), padded([[*t, END] for t in y])
        embedded = self._dropped(embed(P["source_words"], rows))
        out = decode(P, encode(P, embedded, rows != PAD, self.cell), given, self.query)
        there = wanted != PAD
        words = int(there.sum())
        weights = there.astype(np.float32) / np.float32(words)
        loss = cross_entropy(logits(P, out, self._dropped), wanted, weights)
        gradients = grad(loss, list(P.values()))
        self._shorten(gradients)
        return float(loss.value.sum()) * words, words, gradients

    def _dropped(self, node: Node) -> Node:
        if self.dropout == 0:
            return node
        kept = self.noise.random(node.shape, dtype=np.float32) >= self.dropout
        return node * (kept / np.float32(1 - self.dropout))

    def _shorten(self, gradients: Sequence[Array]) -> None:
        """Scale all gradients by one factor, so that their norm is at most `clip`."""
        norm = float(np.sqrt(sum(float(np.vdot(g, g)) for g in gradients)))
        if norm > self.clip:
            for g in gradients:
                g *= self.clip / norm


def train(
    gradient: Gradient,
    parameters: Mapping[str, Array],
    x: Ids,
    y: Ids,
    *,
    epochs: int,
    batch: int,
    learning_rate: float,
    seed: int,
    progress: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Go through all pairs in batches of like lengths, and step after each.

    Not collective.

    Parameters
    ----------
    gradient : Gradient
        What a batch says.
    parameters : mapping of str to ndarray
        Overwritten.
    x, y : sequences of sequences of int
        Numbers of the words of sources and targets.
    epochs, batch : int
        How often every pair is seen, and pairs of a step.
    learning_rate : float
        Of Adam; it falls to zero along half a cosine.
    seed : int
        Seed of the batches.
    progress : callable, optional
        Called after each epoch with its number, from 1, and its loss.

    Returns
    -------
    list of float
        Mean -log p of a word in each epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.seq2seq.network import initial_parameters
    >>> from pympf.nets.seq2seq.training import Gradient, train
    >>> P = initial_parameters((6, 6), 3, 4, cell="gru", bidirectional=False, seed=0)
    >>> gradient = Gradient("gru", "before", dropout=0, clip=1.0, noise=np.random.default_rng(0))
    >>> options = {"epochs": 9, "batch": 2, "learning_rate": 0.05, "seed": 0}
    >>> losses = train(gradient, P, [[4, 5], [4]], [[5, 4], [5]], **options)
    >>> losses[-1] < losses[0]
    True
    """
    lengths = np.array([[len(s), len(t)] for s, t in zip(x, y, strict=True)])
    optimizer = Cosine(Adam(learning_rate), max(1, epochs * -(-len(x) // batch)))
    rng, losses = random_numbers(seed, "batches"), []
    with working("train") as work:
        tell = each(work, epochs, "epoch", progress)
        for epoch in range(1, epochs + 1):
            loss = words = 0.0
            for chosen in length_batches(lengths, batch, rng):
                part, count, gradients = gradient(
                    parameters, [x[i] for i in chosen], [y[i] for i in chosen]
                )
                optimizer.step(list(parameters.values()), gradients)
                loss, words = loss + part, words + count
            losses.append(loss / words)
            tell(epoch, losses[-1])
    return losses
