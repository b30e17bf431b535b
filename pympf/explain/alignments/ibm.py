"""IBM model 1: the baseline of word alignment that everybody knows [1]_.

t(y | x) is the chance that the source word x becomes the target word y. A target word comes from
any of the source words of its sentence, or from an empty word, each as likely as the other, so

    p(x_i made y_j) = t(y_j | x_i) / Σ_k t(y_j | x_k),

and t follows from the expected counts of these. Its likelihood is concave: where EM begins does not
matter as long as nothing is zero.

References
----------
.. [1] P. F. Brown, S. A. Della Pietra, V. J. Della Pietra, R. L. Mercer, "The mathematics of
   statistical machine translation", Computational Linguistics 19(2), 1993.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pympf._described import Described
from pympf.explain.alignments.links import Alignment
from pympf.explain.alignments.symmetrize import SYMMETRIZATIONS, best_sources
from pympf.la import checks

__all__ = ["IBM1"]

Sentences = Sequence[Sequence[str]]


class IBM1(Described):
    """Both directions of IBM model 1, trained by EM.

    Parameters
    ----------
    iterations : int
        Steps of EM.

    Examples
    --------
    >>> from pympf.explain.alignments import IBM1
    >>> sources = [["das", "haus"], ["das", "buch"], ["ein", "buch"]]
    >>> targets = [["the", "house"], ["the", "book"], ["a", "book"]]
    >>> model = IBM1(iterations=20).fit(sources, targets)
    >>> sorted(model.align(["das", "buch"], ["the", "book"]))
    [(0, 0), (1, 1)]
    """

    def __init__(self, iterations: int = 6) -> None:
        self.iterations = checks.integer(iterations, "iterations")

    def fit(self, sources: Sentences, targets: Sentences) -> IBM1:
        """Learn how words translate.

        Not collective.

        Parameters
        ----------
        sources, targets : sequences of sequences of str
            The words of as many sentences. Pairs with an empty side teach nothing.

        Returns
        -------
        IBM1
            Itself; `log_likelihoods` has one number for each step, and never falls.

        Raises
        ------
        ValueError
            If there are not as many sources as targets, or no words at all.

        Examples
        --------
        >>> from pympf.explain.alignments import IBM1
        >>> len(IBM1(iterations=3).fit([["eau"]], [["water"]]).log_likelihoods)
        3
        """
        if len(sources) != len(targets):
            raise ValueError(
                f"expected a target for each source, got {len(sources)} and {len(targets)}"
            )
        kept = [(s, t) for s, t in zip(sources, targets, strict=True) if len(s) and len(t)]
        if not kept:
            raise ValueError("expected pairs with words on both sides, got none")
        x, y = [s for s, _ in kept], [t for _, t in kept]
        self._forward = _Direction(x, y, self.iterations)
        self._backward = _Direction(y, x, self.iterations)
        self.log_likelihoods = self._forward.log_likelihoods
        return self

    def soft(self, source: Sequence[str], target: Sequence[str]) -> NDArray[np.float64]:
        """Give the chance that a source word made a target word.

        Not collective.

        Parameters
        ----------
        source, target : sequence of str
            The words of a pair; words that training did not see, or not together, get equal
            shares of what is left.

        Returns
        -------
        ndarray, shape (source words, target words)
            Columns sum to at most 1; the rest is the empty word's.

        Examples
        --------
        >>> from pympf.explain.alignments import IBM1
        >>> IBM1().fit([["eau"]], [["water"]]).soft(["eau"], ["water"])
        array([[0.5]])
        """
        return self._direction("_forward").posterior(source, target)[1:]

    def align(
        self,
        source: Sequence[str],
        target: Sequence[str],
        method: str = "grow-diag-final-and",
    ) -> Alignment:
        """Link the words of a pair: the best of each direction, merged.

        Not collective.

        Parameters
        ----------
        source, target : sequence of str
            The words of a pair.
        method : str
            As of `hard_alignment`.

        Returns
        -------
        frozenset of (int, int)
            A word for which the empty word is better than all others has no link in its direction.

        Raises
        ------
        ValueError
            If the method is unknown, or the model was not fitted.

        Examples
        --------
        >>> from pympf.explain.alignments import IBM1
        >>> IBM1().fit([["eau"]], [["water"]]).align(["eau"], ["water"])
        frozenset({(0, 0)})
        """
        checks.choice(method, "method", tuple(SYMMETRIZATIONS))
        S = self._direction("_forward").best(source, target)
        T = self._direction("_backward").best(target, source)
        return SYMMETRIZATIONS[method](S, frozenset((i, j) for j, i in T))

    def _direction(self, name: str) -> _Direction:
        if not hasattr(self, name):
            raise ValueError("expected a model that was fitted: call fit first")
        direction: _Direction = getattr(self, name)
        return direction


class _Direction:
    """t(y | x) for all pairs of words that occur together, row 0 of x being the empty word."""

    def __init__(self, x: Sentences, y: Sentences, iterations: int) -> None:
        self._x, self._y = _numbers(x, first=1), _numbers(y, first=0)
        made, pairs = self._occurrences(x, y)
        # Every pair of words has one place in t: `keys` sorts them, `entry` points to them.
        self._keys, entry = np.unique(pairs, return_inverse=True)
        maker = self._keys // len(self._y)
        self._t = np.full(len(self._keys), 1 / len(self._y))
        lengths = np.bincount(made)
        self.log_likelihoods = []
        for _ in range(iterations):
            p = self._t[entry]
            total = np.bincount(made, p)
            counts = np.bincount(entry, p / total[made], len(self._keys))
            self._t = counts / np.bincount(maker, counts)[maker]
            self.log_likelihoods.append(float(np.log(total / lengths).sum()))

    def _occurrences(self, x: Sentences, y: Sentences) -> tuple[NDArray[Any], NDArray[Any]]:
        """List, for each word of y in the text, the words that can have made it, and their keys."""
        made, pairs, words = [], [], 0
        for source, target in zip(x, y, strict=True):
            xs = np.array([0, *(self._x[w] for w in source)])
            ys = np.array([self._y[w] for w in target])
            pairs.append((xs * len(self._y) + ys[:, None]).ravel())
            made.append(np.repeat(np.arange(words, words + len(ys)), len(xs)))
            words += len(ys)
        return np.concatenate(made), np.concatenate(pairs)

    def posterior(self, x: Sequence[str], y: Sequence[str]) -> NDArray[np.float64]:
        """Give p(x_i made y_j), shape (1 + len(x), len(y)); row 0 is the empty word."""
        xs = np.array([0, *(self._x.get(w, -1) for w in x)])[:, None]
        ys = np.array([self._y.get(w, -1) for w in y], dtype=int)[None]
        keys = np.where((xs >= 0) & (ys >= 0), xs * len(self._y) + ys, -1)
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        t = np.where(self._keys[place] == keys, self._t[place], 0) + UNSEEN
        return np.asarray(t / t.sum(axis=0))

    def best(self, x: Sequence[str], y: Sequence[str]) -> Alignment:
        """Link every y_j with the best x_i, if the empty word is not better."""
        if not len(x) or not len(y):
            return frozenset()
        empty, p = np.split(self.posterior(x, y), [1])
        return frozenset((i, j) for i, j in best_sources(p) if p[i, j] >= empty[0, j])


# What t(y | x) is for words that were never seen together.
UNSEEN = 1e-9


def _numbers(sentences: Sentences, first: int) -> dict[str, int]:
    words = sorted({word for sentence in sentences for word in sentence})
    return {word: number for number, word in enumerate(words, first)}
