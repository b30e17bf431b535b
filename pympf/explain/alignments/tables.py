"""Alignments of whole texts, and tables 3.6 to 3.8 of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike, NDArray

from pympf._progress import through
from pympf.explain.alignments.links import Alignment, Links
from pympf.explain.alignments.scores import (
    AlignmentScores,
    paired_bootstrap,
    score_alignments,
    score_links,
)
from pympf.explain.alignments.soft import KINDS, Translator, soft_alignments
from pympf.explain.result_table import ResultTable

__all__ = ["align_text", "alignment_table"]


def align_text(
    network: Translator,
    pairs: Iterable[tuple[Sequence[str], Sequence[str]]],
    *,
    kinds: Sequence[str] = KINDS,
    **options: Any,
) -> dict[str, list[NDArray[Any]]]:
    """Compute the soft alignments of many pairs.

    Not collective.

    Parameters
    ----------
    network : Seq2Seq
        Or anything that `soft_alignments` takes.
    pairs : iterable of (sequence of str, sequence of str)
        Sentences and their translations.
    kinds : sequence of str
        Some of `KINDS`.
    **options
        More arguments of `soft_alignments`.

    Returns
    -------
    dict of list of ndarray, shapes (source words, target words)
        By kind, in the order of the pairs.

    Examples
    --------
    >>> from pympf.explain.alignments import align_text
    >>> from pympf.nets.seq2seq import Seq2Seq
    >>> net = Seq2Seq(epochs=0).fit([["un"]], [["one"]])
    >>> align_text(net, [(["un"], ["one"])], kinds=["attention"])
    {'attention': [array([[1.]])]}
    """
    found: dict[str, list[NDArray[Any]]] = {kind: [] for kind in kinds}
    for source, target in through("align", "pair", list(pairs)):
        matrices = soft_alignments(network, source, target, kinds=kinds, **options).matrices
        for kind in kinds:
            found[kind].append(matrices[kind])
    return found


def alignment_table(
    matrices: Mapping[str, Sequence[ArrayLike]],
    gold: Sequence[Links],
    *,
    links: Mapping[str, Sequence[Alignment]] | None = None,
    method: str = "grow-diag-final-and",
    reference: str | None = None,
    samples: int = 2000,
    seed: int = 0,
) -> ResultTable:
    """Compare alignments as tables 3.6 to 3.8 do, with intervals.

    Not collective.

    Parameters
    ----------
    matrices : mapping of str to sequence of array_like
        Soft alignments of the same pairs, by kind.
    gold : sequence of Links
        One for each pair.
    links : mapping of str to sequence of sets of (int, int), optional
        Alignments without scores, as of `IBM1.align`.
    method : str
        How links are made of scores: see `hard_alignment`.
    reference : str, optional
        The kind that 95 % intervals of `paired_bootstrap` compare with, for match and 1 - AER.
    samples, seed : int
        Of the bootstrap.

    Returns
    -------
    ResultTable
        One row for each kind.

    Examples
    --------
    >>> from pympf.explain.alignments import Links, alignment_table
    >>> print(alignment_table({"attention": [[[1.0]]]}, [Links.of([(0, 0)])]))
    Alignments of 1 pairs, grow-diag-final-and
    kind       match  mass  1 - AER  precision  recall
    attention      1     1        1          1       1
    """
    columns = ["kind", "match", "mass", "1 - AER", "precision", "recall"]
    if reference is not None:
        if reference not in matrices:
            raise ValueError(f"expected a reference of {', '.join(matrices)}, got {reference!r}")
        columns += [f"match - {reference}", f"1 - AER - {reference}"]
    rows = []
    for kind, found in matrices.items():
        row = [kind, *score_alignments(found, gold, method)]
        if reference is not None:
            options = {"method": method, "samples": samples, "seed": seed}
            row += _differences(found, matrices[reference], gold, options, kind == reference)
        rows.append(row)
    for kind, alignments in (links or {}).items():
        scores: AlignmentScores = score_links(alignments, gold)
        missing = [None] * (len(columns) - 6)
        rows.append([kind, None, None, *scores[2:], *missing])
    notes = [] if reference is None else ["Differences come with their 95 % intervals."]
    return ResultTable(f"Alignments of {len(gold)} pairs, {method}", columns, rows, notes)


def _differences(
    found: Sequence[ArrayLike],
    other: Sequence[ArrayLike],
    gold: Sequence[Links],
    options: Mapping[str, Any],
    same: bool,
) -> list[Any]:
    """Give the intervals of match score and 1 - AER; nothing for the reference itself."""
    scores = ("match", "one_minus_aer")
    if same:
        return [None for _ in scores]
    return [list(paired_bootstrap(found, other, gold, score, **options)) for score in scores]
