"""Words as numbers, and sentences as padded rows of numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pympf._described import Described
from pympf.la import checks

__all__ = ["END", "PAD", "START", "UNKNOWN", "Vocabulary", "length_batches", "padded"]

PAD, UNKNOWN, START, END = range(4)
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")

Ids = NDArray[np.int64]
Sentences = Sequence[Sequence[str]]

MIXED = 1.5
"""Words by which lengths in a batch of `length_batches` are mixed."""

SECOND = 100
"""How many words of the target weigh as much as one of the source."""


class Vocabulary(Described):
    """The words of a language that a network knows; all others are one, `<unk>`.

    Parameters
    ----------
    words : iterable of str
        Their numbers begin with 4, in this order; `<pad>`, `<unk>`, `<s>`, `</s>` are 0 to 3.

    Examples
    --------
    >>> from pympf.nets.seq2seq import Vocabulary
    >>> words = Vocabulary(["a", "b"])
    >>> words.encode(["b", "c"])
    [5, 1]
    >>> words.decode([5, 1])
    ('b', '<unk>')
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.words = [*SPECIAL, *words]
        self._numbers = {word: number for number, word in enumerate(self.words)}
        if len(self._numbers) != len(self.words):
            twice = [word for word, times in Counter(self.words).items() if times > 1]
            raise ValueError(f"expected every word once and none of {SPECIAL}, got {twice} again")

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]], min_count: int = 1) -> Vocabulary:
        """Collect the words of a text, the frequent ones first.

        Not collective.

        Parameters
        ----------
        sentences : iterable of sequences of str
            The text.
        min_count : int
            How often a word has to occur.

        Returns
        -------
        Vocabulary

        Examples
        --------
        >>> from pympf.nets.seq2seq import Vocabulary
        >>> Vocabulary.of([["b", "a", "b"]]).words[4:]
        ['b', 'a']
        """
        least = checks.integer(min_count, "min_count")
        counts = Counter(word for sentence in sentences for word in sentence)
        return cls(word for word, count in counts.most_common() if count >= least)

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, sentence: Iterable[str]) -> list[int]:
        """Give the numbers of words.

        Not collective.

        Parameters
        ----------
        sentence : iterable of str
            Words.

        Returns
        -------
        list of int

        Examples
        --------
        >>> from pympf.nets.seq2seq import Vocabulary
        >>> Vocabulary(["a"]).encode(["a"])
        [4]
        """
        return [self._numbers.get(word, UNKNOWN) for word in sentence]

    def decode(self, ids: Iterable[int]) -> tuple[str, ...]:
        """Give the words of numbers.

        Not collective.

        Parameters
        ----------
        ids : iterable of int
            Numbers of words.

        Returns
        -------
        tuple of str

        Examples
        --------
        >>> from pympf.nets.seq2seq import Vocabulary
        >>> Vocabulary(["a"]).decode([4, 3])
        ('a', '</s>')
        """
        return tuple(self.words[i] for i in ids)


def padded(sentences: Sequence[Sequence[int]]) -> Ids:
    """Put sentences under one another, with `PAD` behind the short ones.

    Not collective.

    Parameters
    ----------
    sentences : sequence of sequences of int
        Numbers of words.

    Returns
    -------
    ndarray of int, shape (sentences, longest)

    Examples
    --------
    >>> from pympf.nets.seq2seq import padded
    >>> padded([[5], [4, 6]])
    array([[5, 0],
           [4, 6]])
    """
    rows = np.full((len(sentences), max(map(len, sentences), default=0)), PAD, dtype=np.int64)
    for row, sentence in zip(rows, sentences, strict=True):
        row[: len(sentence)] = sentence
    return rows


def length_batches(
    lengths: NDArray[np.int64], batch: int, rng: np.random.Generator
) -> Iterator[Ids]:
    """Cut pairs into batches of nearly equal lengths, in random order.

    Padding costs as much as words do, but a batch of one length is a biased sample. So pairs are
    sorted by the length of the source, with up to `MIXED` words more by chance, and then by that of
    the target.

    Not collective.

    Parameters
    ----------
    lengths : ndarray of int, shape (n, 2)
        Lengths of source and target of each pair.
    batch : int
        Pairs of a batch.
    rng : numpy.random.Generator
        Where chance comes from.

    Yields
    ------
    ndarray of int
        Places of the pairs of a batch.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.seq2seq import length_batches
    >>> lengths = np.array([[1, 9], [9, 5], [1, 8], [9, 4]])
    >>> sorted(sorted(b.tolist()) for b in length_batches(lengths, 2, np.random.default_rng(0)))
    [[0, 2], [1, 3]]
    """
    key = lengths[:, 0] + lengths[:, 1] / SECOND + MIXED * rng.random(len(lengths))
    order = np.argsort(key, kind="stable")
    starts = np.arange(0, len(order), batch)
    for start in rng.permutation(starts):
        yield order[start : start + batch]


def check_pairs(sources: Sentences, targets: Sentences) -> None:
    """Refuse texts of different numbers of sentences, or with empty ones."""
    if len(sources) != len(targets):
        raise ValueError(
            f"expected a target for each source, got {len(sources)} sources and "
            f"{len(targets)} targets"
        )
    check_filled(sources, "sources")
    check_filled(targets, "targets")


def check_filled(sentences: Sentences, name: str) -> None:
    """Refuse a text without sentences, or with empty ones, or with strings in place of words."""
    if isinstance(sentences, str) or any(isinstance(sentence, str) for sentence in sentences):
        raise TypeError(f"expected {name} as sequences of words, got a string: split it")
    empty = [i for i, sentence in enumerate(sentences) if len(sentence) == 0]
    if empty or not len(sentences):
        what = f"an empty one at {empty[0]}" if empty else "none"
        raise ValueError(f"expected {name} with words, got {what}")
