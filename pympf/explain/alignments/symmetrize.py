"""From a soft alignment to links: the best partner of every word, in both directions, merged.

M has a row for each word of the source and a column for each of the target. S has the maximum of
each column (the best source word of a target word), T the maximum of each row (thesis, section
3.3.2, whose indices of S and T are mixed up).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pympf.explain.alignments.links import Alignment, Link
from pympf.la import checks

__all__ = [
    "SYMMETRIZATIONS",
    "best_sources",
    "best_targets",
    "grow_diag_final_and",
    "hard_alignment",
]

# The eight neighbours of a link, in the order of Koehn et al.
NEIGHBOURS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


def best_sources(M: ArrayLike) -> Alignment:
    """Link every target word with the source word of its largest score: S.

    Not collective.

    Parameters
    ----------
    M : array_like, shape (source words, target words)
        Soft alignment; of equal scores the first counts.

    Returns
    -------
    frozenset of (int, int)
        One link for each target word.

    Examples
    --------
    >>> from pympf.explain.alignments import best_sources
    >>> sorted(best_sources([[0.9, 0.8], [0.1, 0.2]]))
    [(0, 0), (0, 1)]
    """
    M = as_soft(M)
    return frozenset((int(i), j) for j, i in enumerate(M.argmax(axis=0)))


def best_targets(M: ArrayLike) -> Alignment:
    """Link every source word with the target word of its largest score: T.

    Not collective.

    Parameters
    ----------
    M : array_like, shape (source words, target words)
        Soft alignment; of equal scores the first counts.

    Returns
    -------
    frozenset of (int, int)
        One link for each source word.

    Examples
    --------
    >>> from pympf.explain.alignments import best_targets
    >>> sorted(best_targets([[0.9, 0.8], [0.1, 0.2]]))
    [(0, 0), (1, 1)]
    """
    M = as_soft(M)
    return frozenset((i, int(j)) for i, j in enumerate(M.argmax(axis=1)))


def grow_diag_final_and(S: Iterable[Link], T: Iterable[Link]) -> Alignment:
    """Merge the links of two directions [1]_.

    It begins with the links that both have. *Grow-diag*: as long as there are some, it adds links
    of one direction that touch one that is there, also by a corner, and whose source or target
    word has no link yet. *Final-and*: then links of S, then of T, whose words both have none.

    Not collective.

    Parameters
    ----------
    S, T : iterable of (int, int)
        Links (source, target) of the two directions.

    Returns
    -------
    frozenset of (int, int)
        Between the intersection and the union. Links are visited in their order, so that the
        result depends on nothing else.

    References
    ----------
    .. [1] P. Koehn, F. J. Och, D. Marcu, "Statistical phrase-based translation", NAACL 2003; the
       thesis's [83] for it.

    Examples
    --------
    >>> from pympf.explain.alignments import grow_diag_final_and
    >>> sorted(grow_diag_final_and([(0, 0), (1, 1), (5, 5)], [(0, 0), (2, 1), (0, 7)]))
    [(0, 0), (1, 1), (2, 1), (5, 5)]
    """
    S, T = frozenset(S), frozenset(T)
    union, links = S | T, set(S & T)
    sources, targets = {i for i, _ in links}, {j for _, j in links}

    def add(link: Link) -> None:
        links.add(link)
        sources.add(link[0])
        targets.add(link[1])

    grown = True
    while grown:
        grown = False
        for i, j in sorted(links):
            for down, right in NEIGHBOURS:
                near = i + down, j + right
                free = near[0] not in sources or near[1] not in targets
                if near in union and near not in links and free:
                    add(near)
                    grown = True
    for direction in (S, T):
        for link in sorted(direction):
            if link[0] not in sources and link[1] not in targets:
                add(link)
    return frozenset(links)


SYMMETRIZATIONS: dict[str, Callable[[Alignment, Alignment], Alignment]] = {
    "grow-diag-final-and": grow_diag_final_and,
    "intersection": lambda S, T: S & T,
    "union": lambda S, T: S | T,
    "sources": lambda S, T: S,
    "targets": lambda S, T: T,
}


def hard_alignment(M: ArrayLike, method: str = "grow-diag-final-and") -> Alignment:
    """Make links of a soft alignment.

    Not collective.

    Parameters
    ----------
    M : array_like, shape (source words, target words)
        Soft alignment.
    method : str
        `grow-diag-final-and`, `intersection` or `union` of S and T, or S (`sources`) or T
        (`targets`) alone.

    Returns
    -------
    frozenset of (int, int)

    Raises
    ------
    ValueError
        If M is no matrix, is empty or has numbers that are not finite, or if the method is none of
        these.

    Examples
    --------
    >>> from pympf.explain.alignments import hard_alignment
    >>> sorted(hard_alignment([[0.9, 0.8], [0.1, 0.2]], "intersection"))
    [(0, 0)]
    """
    checks.choice(method, "method", tuple(SYMMETRIZATIONS))
    return SYMMETRIZATIONS[method](best_sources(M), best_targets(M))


def as_soft(M: ArrayLike) -> NDArray[np.float64]:
    """Check a soft alignment."""
    M = np.asarray(M, dtype=np.float64)
    if M.ndim != 2 or 0 in M.shape:
        raise ValueError(f"expected scores of shape (source words, target words), got {M.shape}")
    if not np.isfinite(M).all():
        raise ValueError("expected finite scores in a soft alignment, got NaN or infinity")
    return M
