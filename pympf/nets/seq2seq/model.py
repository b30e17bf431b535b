"""Encoder-decoder networks that translate: training, search, attention, files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pympf._described import Parameterized
from pympf.la import checks
from pympf.nets._checks import Array, random_numbers
from pympf.nets.graph import Node, log_softmax, value
from pympf.nets.seq2seq._storage import load_parts, save_parts
from pympf.nets.seq2seq.network import (
    CELLS,
    QUERIES,
    Decoded,
    Encoded,
    decode,
    encode,
    initial_parameters,
    logits,
    word_probabilities,
)
from pympf.nets.seq2seq.search import State, beam_search
from pympf.nets.seq2seq.training import Gradient, train
from pympf.nets.seq2seq.vocabulary import (
    END,
    PAD,
    START,
    Vocabulary,
    check_filled,
    check_pairs,
    padded,
)

__all__ = ["Seq2Seq"]

Sentences = Sequence[Sequence[str]]

BLOCK = 256
"""Sentences that are translated or scored at once."""


class Seq2Seq(Parameterized):
    """A GRU or LSTM encoder-decoder with additive attention [1]_.

    Parameters
    ----------
    cell : {"gru", "lstm"}
        Kind of the recurrent cells.
    bidirectional : bool
        Whether the encoder also reads from the end, so that its states know what follows.
    query : {"before", "after"}
        Whether the decoder's state asks for attention before it is updated ([1]_), or after (as
        GNMT and `tensorflow/nmt` do).
    embedding, hidden : int
        Sizes of the vectors of words and of the states.
    epochs, batch : int
        Training: how often every pair is seen, and pairs of a step.
    learning_rate : float
        Of Adam; it falls to zero along half a cosine.
    dropout : float
        Share of the entries of embedded source words and of output features that a training step
        sets to zero.
    clip : float
        Largest norm of a step's gradient.
    min_count : int
        How often a word has to occur in the training text to be known.
    seed : int
        Seed of parameters, batches and dropout. The same seed gives the same network.

    Attributes
    ----------
    parameters : dict of ndarray
        float32, by name, after `fit`.
    source_vocabulary, target_vocabulary : Vocabulary
        After `fit`.
    losses : list of float
        Mean -log p of a word in each epoch.

    References
    ----------
    .. [1] D. Bahdanau, K. Cho, Y. Bengio, "Neural machine translation by jointly learning to align
       and translate", ICLR 2015.

    Examples
    --------
    >>> from pympf.nets.seq2seq import Seq2Seq
    >>> sources = [["un"], ["deux"], ["un", "deux"], ["deux", "un"]]
    >>> targets = [["one"], ["two"], ["one", "two"], ["two", "one"]]
    >>> net = Seq2Seq(embedding=8, hidden=16, epochs=60, batch=2, learning_rate=0.02, dropout=0)
    >>> net.fit(sources, targets).predict([["deux", "un"]])
    [('two', 'one')]
    """

    def __init__(
        self,
        *,
        cell: str = "gru",
        bidirectional: bool = True,
        query: str = "before",
        embedding: int = 64,
        hidden: int = 96,
        epochs: int = 5,
        batch: int = 64,
        learning_rate: float = 4e-3,
        dropout: float = 0.2,
        clip: float = 2.0,
        min_count: int = 1,
        seed: int = 0,
    ) -> None:
        self.cell = checks.choice(cell, "cell", tuple(CELLS))
        self.query = checks.choice(query, "query", QUERIES)
        self.bidirectional = bool(bidirectional)
        self.embedding, self.hidden = (
            checks.integer(embedding, "embedding"),
            checks.integer(hidden, "hidden"),
        )
        self.epochs, self.batch = (
            checks.integer(epochs, "epochs", 0),
            checks.integer(batch, "batch"),
        )
        self.learning_rate = checks.positive(learning_rate, "learning_rate")
        self.dropout = checks.number(dropout, "dropout", 0, 1)
        self.clip = checks.positive(clip, "clip")
        self.min_count, self.seed = (
            checks.integer(min_count, "min_count"),
            checks.integer(seed, "seed", 0),
        )

    # ---- training --------------------------------------------------------------------------------
    def fit(
        self,
        sources: Sentences,
        targets: Sentences,
        *,
        progress: Callable[[int, float], None] | None = None,
    ) -> Seq2Seq:
        """Learn to translate, from the beginning.

        Not collective.

        Parameters
        ----------
        sources, targets : sequences of sequences of str
            The words of as many sentences, none empty.
        progress : callable, optional
            Called after each epoch with its number, from 1, and its loss.

        Returns
        -------
        Seq2Seq
            Itself.

        Raises
        ------
        ValueError
            If there are not as many sources as targets, none at all, or empty sentences.

        Examples
        --------
        >>> from pympf.nets.seq2seq import Seq2Seq
        >>> len(Seq2Seq(epochs=2, hidden=4).fit([["eau"]], [["water"]]).losses)
        2
        """
        check_pairs(sources, targets)
        self.source_vocabulary = Vocabulary.of(sources, self.min_count)
        self.target_vocabulary = Vocabulary.of(targets, self.min_count)
        self.parameters = initial_parameters(
            (len(self.source_vocabulary), len(self.target_vocabulary)),
            self.embedding,
            self.hidden,
            cell=self.cell,
            bidirectional=self.bidirectional,
            seed=self.seed,
        )
        x, y = self._encoded(sources, targets)
        noise = random_numbers(self.seed, "dropout")
        gradient = Gradient(
            self.cell, self.query, dropout=self.dropout, clip=self.clip, noise=noise
        )
        self.losses = train(
            gradient,
            self.parameters,
            x,
            y,
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            seed=self.seed,
            progress=progress,
        )
        return self

    # ---- what it says ----------------------------------------------------------------------------
    def predict(
        self,
        sources: Sentences,
        *,
        beam: int = 1,
        max_length: int | None = None,
        length_penalty: float = 0.6,
    ) -> list[tuple[str, ...]]:
        """Translate.

        Not collective.

        Parameters
        ----------
        sources : sequence of sequences of str
            Sentences, none empty.
        beam : int
            Beginnings that search keeps; 1 is greedy search.
        max_length : int, optional
            Words of a translation at most; by default 10 more than twice the source's.
        length_penalty : float
            As of `beam_search`.

        Returns
        -------
        list of tuple of str

        Examples
        --------
        >>> from pympf.nets.seq2seq import Seq2Seq
        >>> net = Seq2Seq(epochs=30, hidden=8, dropout=0).fit([["eau"]], [["water"]])
        >>> net.predict([["eau"]], beam=2)
        [('water',)]
        """
        self._check_fitted()
        check_filled(sources, "sources")
        x = [self.source_vocabulary.encode(sentence) for sentence in sources]
        found: list[tuple[str, ...]] = []
        for start in range(0, len(x), BLOCK):
            block = x[start : start + BLOCK]
            longest = 2 * max(map(len, block)) + 10 if max_length is None else max_length
            step, state = self._search(padded(block))
            hypotheses = beam_search(
                step, state, beam=beam, max_length=longest, length_penalty=length_penalty
            )
            found += [self.target_vocabulary.decode(h.ids) for h in hypotheses]
        return found

    def _search(self, rows: NDArray[np.int64]) -> tuple[Any, State]:
        """Give the step and the first state of `beam_search`: encoded source, context, state."""
        P = self.parameters
        encoded = encode(P, P["source_words"][rows], rows != PAD, self.cell)
        parts = (encoded.states, encoded.keys, encoded.padding)
        context = np.zeros_like(encoded.states.value[:, 0])
        first = tuple(value(part) for part in (*parts, context, *encoded.state))

        def step(last: NDArray[np.int64], state: State) -> tuple[Array, State]:
            known: Any = Encoded(state[0], state[1], state[2], state[4:])  # type: ignore[arg-type]
            out = decode(P, known, last[:, None], self.query, context=state[3])
            after = tuple(value(part) for part in (out.contexts[-1], *out.state))
            return log_softmax(logits(P, out)).value[:, 0], (*state[:3], *after)

        return step, first

    def score(self, sources: Sentences, targets: Sentences) -> float:
        """Give the share of the words, ends included, that are the likeliest after the true ones.

        Not collective.

        Parameters
        ----------
        sources, targets : sequences of sequences of str
            The words of as many sentences.

        Returns
        -------
        float

        Examples
        --------
        >>> from pympf.nets.seq2seq import Seq2Seq
        >>> net = Seq2Seq(epochs=30, hidden=8, dropout=0).fit([["eau"]], [["water"]])
        >>> net.score([["eau"]], [["water"]])
        1.0
        """
        check_pairs(sources, targets)
        self._check_fitted()
        x, y = self._encoded(sources, targets)
        P, right, words = self.parameters, 0, 0
        for start in range(0, len(x), BLOCK):
            rows = padded(x[start : start + BLOCK])
            block = y[start : start + BLOCK]
            wanted = padded([[*t, END] for t in block])
            given = padded([[START, *t] for t in block])
            encoded = encode(P, P["source_words"][rows], rows != PAD, self.cell)
            best = logits(P, decode(P, encoded, given, self.query)).value.argmax(axis=-1)
            there = wanted != PAD
            right += int((best == wanted)[there].sum())
            words += int(there.sum())
        return right / words

    # ---- what it looks at ------------------------------------------------------------------------
    def embed(self, source: Sequence[str]) -> Array:
        """Give the vectors of words, as inputs of `word_probabilities`.

        Not collective.

        Parameters
        ----------
        source : sequence of str
            Words.

        Returns
        -------
        ndarray of float64, shape (words, embedding)

        Examples
        --------
        >>> from pympf.nets.seq2seq import Seq2Seq
        >>> Seq2Seq(epochs=0, embedding=8).fit([["eau"]], [["water"]]).embed(["eau", "?"]).shape
        (2, 8)
        """
        self._check_fitted()
        rows = self.source_vocabulary.encode(source)
        return self.parameters["source_words"][rows].astype(np.float64)

    def word_probabilities(
        self, embedded: Node | ArrayLike, target: Sequence[str], *, log: bool = False
    ) -> list[Node]:
        """Give the chances of the words of a translation, each after the true ones before it.

        The graph is made in float64. Its nodes have names: `encoder_states`, `final_state`, and for
        each word t of the target, from 1, `attention_t`, `context_t`, `state_t`, `probability_t`.

        Not collective.

        Parameters
        ----------
        embedded : Node or array_like, shape (n, words, embedding)
            n variants of the vectors of a source.
        target : sequence of str
            Its translation, of L words.
        log : bool
            Whether to give logarithms.

        Returns
        -------
        list of Node
            One of shape (n,) for each word.

        Examples
        --------
        >>> from pympf.nets.seq2seq import Seq2Seq
        >>> net = Seq2Seq(epochs=0, embedding=8).fit([["eau"]], [["water"]])
        >>> net.word_probabilities(net.embed(["eau"])[None], ["water"])
        [<Node 'probability_1': exp, float64 (1,)>]
        """
        y = self._target(target)
        P = self._float64()
        return word_probabilities(P, self._decoded(P, embedded, y), y, log)

    def attention(self, source: Sequence[str], target: Sequence[str]) -> Array:
        """Give the attention weights of a translation: the soft alignment of section 3.3.2.

        Not collective.

        Parameters
        ----------
        source, target : sequence of str
            A sentence and its translation.

        Returns
        -------
        ndarray of float64, shape (source words, target words)
            α_t is column t; columns sum to 1.

        Examples
        --------
        >>> from pympf.nets.seq2seq import Seq2Seq
        >>> Seq2Seq(epochs=0).fit([["eau"]], [["water"]]).attention(["eau"], ["water"])
        array([[1.]])
        """
        decoded = self._decoded(self._float64(), self.embed(source)[None], self._target(target))
        return np.stack([node.value[0] for node in decoded.attention], axis=1)

    def _decoded(self, P: dict[str, Array], embedded: Node | ArrayLike, y: Any) -> Decoded:
        x = embedded if isinstance(embedded, Node) else np.asarray(embedded, dtype=np.float64)
        if x.ndim != 3 or x.shape[1] == 0 or x.shape[2] != self.embedding:
            raise ValueError(
                f"expected vectors of shape (n, words, {self.embedding}), got {x.shape}"
            )
        encoded = encode(P, x, np.ones(x.shape[:2], dtype=bool), self.cell)
        return decode(P, encoded, np.array([[START, *y[:-1]]]), self.query)

    def _target(self, target: Sequence[str]) -> NDArray[np.int64]:
        self._check_fitted()
        if len(target) == 0:
            raise ValueError("expected a target with words, got none")
        return np.array(self.target_vocabulary.encode(target))

    def _float64(self) -> dict[str, Array]:
        return {name: array.astype(np.float64) for name, array in self.parameters.items()}

    # ---- files -----------------------------------------------------------------------------------
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to an HDF5 file, whole or not at all.

        Not collective.

        Parameters
        ----------
        path : str or path
            The file.

        Raises
        ------
        OSError
            If it cannot be written.

        Examples
        --------
        >>> from pympf.nets.seq2seq import Seq2Seq
        >>> Seq2Seq(epochs=0).fit([["eau"]], [["water"]]).save("net.h5")
        """
        self._check_fitted()
        words = self.source_vocabulary.words[4:], self.target_vocabulary.words[4:]
        save_parts(self.get_params(), words, self.losses, self.parameters, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Seq2Seq:
        """Read a network that `save` wrote.

        Not collective.

        Parameters
        ----------
        path : str or path
            The file.

        Returns
        -------
        Seq2Seq
            It says the same.

        Raises
        ------
        OSError
            If it is no such file.

        Examples
        --------
        >>> from pympf.nets.seq2seq import Seq2Seq
        >>> net = Seq2Seq(epochs=0, cell="lstm").fit([["eau"]], [["water"]])
        >>> net.save("net.h5")
        >>> Seq2Seq.load("net.h5").cell
        'lstm'
        """
        return load_parts(path, cls._restored)

    @classmethod
    def _restored(
        cls, params: dict[str, Any], words: Any, losses: list[float], arrays: dict[str, Array]
    ) -> Seq2Seq:
        net = cls(**params)
        net.source_vocabulary, net.target_vocabulary = (Vocabulary(side) for side in words)
        sizes = len(net.source_vocabulary), len(net.target_vocabulary)
        net.parameters = initial_parameters(
            sizes,
            net.embedding,
            net.hidden,
            cell=net.cell,
            bidirectional=net.bidirectional,
            seed=0,
        )
        for name, array in net.parameters.items():
            array[...] = arrays[name].reshape(array.shape)
        net.losses = losses
        return net

    def _encoded(self, sources: Sentences, targets: Sentences) -> tuple[list[Any], list[Any]]:
        x = [self.source_vocabulary.encode(sentence) for sentence in sources]
        return x, [self.target_vocabulary.encode(sentence) for sentence in targets]

    def _check_fitted(self) -> None:
        if not hasattr(self, "parameters"):
            raise ValueError("expected a network that was trained: call fit first")
