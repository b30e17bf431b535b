"""How good alignments are: match score, probability mass, alignment error rate, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pympf.explain.alignments.links import Alignment, Links
from pympf.explain.alignments.symmetrize import as_soft, best_sources, hard_alignment
from pympf.la import checks
from pympf.nets._checks import random_numbers

__all__ = ["AlignmentScores", "Interval", "paired_bootstrap", "score_alignments", "score_links"]


class AlignmentScores(NamedTuple):
    """The columns of tables 3.6 to 3.8, and what the third is made of.

    Parameters
    ----------
    match : float
        Share of the target words with a sure link whose best source word is one of theirs [1]_.
    mass : float
        Mean share of the positive scores of such a word that lies on its sure links [1]_.
    one_minus_aer : float
        1 - AER = (|A ∩ sure| + |A ∩ possible|)/(|A| + |sure|) [2]_.
    precision, recall : float
        |A ∩ possible|/|A| and |A ∩ sure|/|sure|.

    References
    ----------
    .. [1] P. Koehn, R. Knowles, "Six challenges for neural machine translation", 2017.
    .. [2] F. J. Och, H. Ney, "A systematic comparison of various statistical alignment models",
       Computational Linguistics 29(1), 2003.

    Examples
    --------
    >>> from pympf.explain.alignments import Links, score_alignments
    >>> score_alignments([[[0.9, 0.2], [0.1, 0.8]]], [Links.of([(0, 0), (1, 1)])]).match
    1.0
    """

    match: float
    mass: float
    one_minus_aer: float
    precision: float
    recall: float


class Interval(NamedTuple):
    """A difference and where it lies.

    Parameters
    ----------
    difference : float
        On the pairs as they are.
    low, high : float
        Bounds of the bootstrap.

    Examples
    --------
    >>> from pympf.explain.alignments import Interval
    >>> Interval(0.05, 0.01, 0.09).low
    0.01
    """

    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class _Counts:
    """What the scores are made of: a row for each pair of sentences.

    Columns: target words with a sure link; those that match; their mass; |A ∩ possible|,
    |A ∩ sure|, |A|, |sure|. Every score is a ratio of sums of columns, so a sample of pairs is
    scored by a sum of rows.
    """

    rows: NDArray[np.float64]

    def scores(self, sums: NDArray[np.float64] | None = None) -> AlignmentScores:
        words, match, mass, possible, sure, links, gold = self.rows.sum(0) if sums is None else sums
        return AlignmentScores(
            _ratio(match, words),
            _ratio(mass, words),
            _ratio(possible + sure, links + gold),
            _ratio(possible, links),
            _ratio(sure, gold),
        )


def score_alignments(
    matrices: Sequence[ArrayLike], gold: Sequence[Links], method: str = "grow-diag-final-and"
) -> AlignmentScores:
    """Score soft alignments against links made by hand.

    Not collective.

    Parameters
    ----------
    matrices : sequence of array_like, shapes (source words, target words)
        Soft alignments, one for each pair of sentences. Scores below zero have no mass.
    gold : sequence of Links
        As many.
    method : str
        How links are made of them: see `hard_alignment`.

    Returns
    -------
    AlignmentScores
        Over all words of all pairs; NaN where there is nothing to count.

    Raises
    ------
    ValueError
        If there are not as many matrices as gold links, or links beyond a matrix.

    Examples
    --------
    >>> from pympf.explain.alignments import Links, score_alignments
    >>> scores = score_alignments([[[0.9, 0.8], [0.1, 0.2]]], [Links.of([(0, 0), (1, 1)])])
    >>> scores.match, round(scores.mass, 3), round(scores.one_minus_aer, 3)
    (0.5, 0.55, 0.8)
    """
    return _count(matrices, gold, method).scores()


def score_links(alignments: Sequence[Alignment], gold: Sequence[Links]) -> AlignmentScores:
    """Score links against links made by hand; match and mass need scores and are NaN.

    Not collective.

    Parameters
    ----------
    alignments : sequence of sets of (int, int)
        Links (source, target), one set for each pair of sentences.
    gold : sequence of Links
        As many.

    Returns
    -------
    AlignmentScores

    Examples
    --------
    >>> from pympf.explain.alignments import Links, score_links
    >>> score_links([frozenset({(0, 0), (1, 1)})], [Links.of([(0, 0)], [(1, 1)])]).one_minus_aer
    1.0
    """
    _same_number(alignments, gold)
    rows = [[0.0, 0.0, 0.0, *_overlap(A, G)] for A, G in zip(alignments, gold, strict=True)]
    return _Counts(np.array(rows).reshape(-1, 7)).scores()


def paired_bootstrap(
    first: Sequence[ArrayLike],
    second: Sequence[ArrayLike],
    gold: Sequence[Links],
    score: str = "match",
    *,
    method: str = "grow-diag-final-and",
    samples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Tell how much better the first alignments are than the second, and how sure that is.

    Pairs of sentences are drawn with replacement, the same for both, and the score of the first
    minus that of the second is computed on each sample.

    Not collective.

    Parameters
    ----------
    first, second : sequence of array_like
        Soft alignments of the same pairs.
    gold : sequence of Links
        As many.
    score : str
        A field of `AlignmentScores`.
    method : str
        See `hard_alignment`.
    samples : int
        How often pairs are drawn.
    level : float
        Share of the samples between the bounds.
    seed : int
        Seed of the draws.

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        If the score has no such name, or as `score_alignments`.

    Examples
    --------
    >>> from pympf.explain.alignments import Links, paired_bootstrap
    >>> good, bad, gold = [[1.0], [0.0]], [[0.0], [1.0]], Links.of([(0, 0)])
    >>> paired_bootstrap([good] * 5, [bad] * 5, [gold] * 5)
    Interval(difference=1.0, low=1.0, high=1.0)
    """
    checks.choice(score, "score", AlignmentScores._fields)
    samples = checks.integer(samples, "samples")
    if not 0 < level < 1:
        raise ValueError(f"expected level between 0 and 1, got {level}")
    one, two = _count(first, gold, method), _count(second, gold, method)
    place, n = AlignmentScores._fields.index(score), len(gold)

    def difference(weights: NDArray[np.float64] | None = None) -> float:
        a, b = (c.scores(None if weights is None else weights @ c.rows) for c in (one, two))
        return float(a[place] - b[place])

    rng = random_numbers(seed, "bootstrap")
    drawn = rng.multinomial(n, np.full(n, 1 / n), samples)
    tail = (1 - level) / 2
    bounds = np.nanquantile([difference(weights) for weights in drawn], [tail, 1 - tail])
    return Interval(difference(), float(bounds[0]), float(bounds[1]))


def _count(matrices: Sequence[ArrayLike], gold: Sequence[Links], method: str) -> _Counts:
    _same_number(matrices, gold)
    rows = []
    for M, G in zip(matrices, gold, strict=True):
        M = as_soft(M)
        beyond = [link for link in G.possible if link[0] >= M.shape[0] or link[1] >= M.shape[1]]
        if beyond:
            raise ValueError(f"expected links within {M.shape} words, got {sorted(beyond)}")
        positive = np.maximum(M, 0)
        share = positive / np.maximum(positive.sum(axis=0), np.finfo(float).tiny)
        words = {j for _, j in G.sure}
        match = len(best_sources(M) & G.sure)
        mass = sum(share[link] for link in G.sure)
        rows.append([len(words), match, mass, *_overlap(hard_alignment(M, method), G)])
    return _Counts(np.array(rows, dtype=np.float64).reshape(-1, 7))


def _overlap(A: Alignment, G: Links) -> list[int]:
    return [len(A & G.possible), len(A & G.sure), len(A), len(G.sure)]


def _same_number(alignments: Sequence[object], gold: Sequence[Links]) -> None:
    if len(alignments) != len(gold) or not len(gold):
        raise ValueError(
            f"expected gold links for each of 1 or more pairs, got {len(alignments)} alignments "
            f"and {len(gold)} gold links"
        )


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
