"""Soft alignments of a network that translates: by attention, and by integrated gradients.

Integrated gradients attribute the chance of each word of the target to the vectors of the source's
words, from the baseline 0; the attribution of a word is the sum over its vector (thesis, sections
3.1 and 3.3.2). A path from a word to the chance goes either through attention *weights*, which say
where to look, or through what is looked at. "Excluding the path via attention" has two readings:

all_paths     Σ over all paths
weights_cut   without those through any `attention_t`: weights are constants (R1)
context_cut   without those through any `context_t`: what attention brings is constant, too (R2)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pympf.explain.integrated_gradients import IntegratedGradients
from pympf.explain.line import Paths

__all__ = ["KINDS", "SoftAlignments", "soft_alignments"]

KINDS = ("attention", "all_paths", "weights_cut", "context_cut")
CUTS = {"weights_cut": "attention", "context_cut": "context"}


class Translator(Protocol):
    """What alignments need of a network; `pympf.nets.seq2seq.Seq2Seq` has it."""

    def embed(self, source: Sequence[str]) -> NDArray[Any]:
        """Give vectors of words, shape (words, d)."""

    def word_probabilities(self, embedded: Any, target: Sequence[str], *, log: bool) -> list[Any]:
        """Give the nodes `probability_t` for variants of the vectors, shape (n, words, d)."""

    def attention(self, source: Sequence[str], target: Sequence[str]) -> NDArray[Any]:
        """Give attention weights, shape (source words, target words)."""


class SoftAlignments(NamedTuple):
    """Soft alignments of a sentence and its translation.

    Parameters
    ----------
    matrices : dict of ndarray, shape (source words, target words)
        By kind.
    delta : ndarray, shape (target words,)
        Σ attributions over all paths - (F(x) - F(0)); NaN if nothing was integrated.
    n_points : int
        Gradients that were computed.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.explain.alignments import SoftAlignments
    >>> SoftAlignments({"attention": np.ones((1, 1))}, np.array([np.nan]), 0).n_points
    0
    """

    matrices: dict[str, NDArray[np.float64]]
    delta: NDArray[np.float64]
    n_points: int


def soft_alignments(
    network: Translator,
    source: Sequence[str],
    target: Sequence[str],
    *,
    kinds: Sequence[str] = KINDS,
    log: bool = False,
    tol: float = 1e-3,
    **options: Any,
) -> SoftAlignments:
    """Tell which source words a network looked at for each word of a translation.

    Not collective.

    Parameters
    ----------
    network : Seq2Seq
        Or anything with its `embed`, `word_probabilities` and `attention`.
    source, target : sequence of str
        A sentence and its translation, which the decoder is made to say.
    kinds : sequence of str
        Some of `KINDS`.
    log : bool
        Whether log p is attributed and not p.
    tol : float
        What the attributions of a word may lack to F(x) - F(0).
    **options
        More arguments of `IntegratedGradients.attribute`: `method`, `n_steps`, `max_steps`, ...

    Returns
    -------
    SoftAlignments

    Raises
    ------
    ValueError
        If a kind is unknown, or there are no words.

    Examples
    --------
    >>> from pympf.explain.alignments import soft_alignments
    >>> from pympf.nets.seq2seq import Seq2Seq
    >>> net = Seq2Seq(epochs=3).fit([["un", "deux"]], [["one", "two"]])
    >>> found = soft_alignments(net, ["un", "deux"], ["one", "two"])
    >>> found.matrices["all_paths"].shape, bool(abs(found.delta).max() < 1e-3)
    ((2, 2), True)
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise ValueError(f"expected some kinds of {', '.join(KINDS)}, got {list(kinds)}")
    if len(source) == 0 or len(target) == 0:
        raise ValueError("expected a source and a target with words, got an empty one")
    matrices, delta, points = {}, np.full(len(target), np.nan), 0
    if "attention" in kinds:
        matrices["attention"] = network.attention(source, target)
    if set(kinds) - {"attention"}:
        places = range(1, len(target) + 1)
        found = IntegratedGradients(
            lambda embedded: network.word_probabilities(embedded, target, log=log)
        ).attribute(
            network.embed(source),
            target=[(f"probability_{t}",) for t in places],
            paths=[_groups(kinds, t) for t in places],
            tol=tol,
            **options,
        )
        parts = {"all_paths": found.attributions, **found.paths}
        matrices |= {kind: parts[kind].sum(axis=2).T for kind in kinds if kind in parts}
        delta, points = found.delta, found.n_points
    return SoftAlignments({kind: matrices[kind] for kind in kinds}, delta, points)


def _groups(kinds: Sequence[str], t: int) -> dict[str, Paths]:
    """Give the groups of paths to word t, by kind."""
    return {
        kind: Paths(avoid=[f"{name}_{k}" for k in range(1, t + 1)])
        for kind, name in CUTS.items()
        if kind in kinds
    }
