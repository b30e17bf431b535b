"""Links between the words of two sentences, and the files that hold them.

A link (i, j) joins word i of the source with word j of the target, both counted from 0. People mark
links as sure or as possible; every sure link is possible, too [1]_.

References
----------
.. [1] F. J. Och, H. Ney, "A systematic comparison of various statistical alignment models",
   Computational Linguistics 29(1), 2003.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Alignment", "Link", "Links", "parse_pharaoh", "read_naacl", "read_pharaoh"]

Link = tuple[int, int]
Alignment = frozenset[Link]

SURE = "-"
# The text between the numbers of a possible link; "P" and "S" after them are Ugarit's.
LINK = re.compile(r"(\d+)([-p?])(\d+)([SP]?)")
NAACL = re.compile(r"(\d+)\s+(\d+)\s+(\d+)(?:\s+([SP]))?(?:\s+[\d.eE+-]+)?")


class Links(NamedTuple):
    """What a person says about the links of a pair of sentences.

    Parameters
    ----------
    sure : frozenset of (int, int)
        Links (source, target) that have to be there.
    possible : frozenset of (int, int)
        Links that may be there; the sure ones are among them.

    Examples
    --------
    >>> from pympf.explain.alignments import Links
    >>> Links.of(sure=[(0, 0)])
    Links(sure=frozenset({(0, 0)}), possible=frozenset({(0, 0)}))
    """

    sure: Alignment
    possible: Alignment

    @classmethod
    def of(cls, sure: Iterable[Link], possible: Iterable[Link] = ()) -> Links:
        """Make links of which the sure ones are possible, too.

        Not collective.

        Parameters
        ----------
        sure, possible : iterable of (int, int)
            Links (source, target).

        Returns
        -------
        Links

        Examples
        --------
        >>> from pympf.explain.alignments import Links
        >>> sorted(Links.of([(2, 1)], [(0, 0)]).possible)
        [(0, 0), (2, 1)]
        """
        sure = frozenset(sure)
        return cls(sure, sure | frozenset(possible))


def parse_pharaoh(line: str) -> Links:
    """Read the links of one pair: "0-0 1p2 2?3".

    Not collective.

    Parameters
    ----------
    line : str
        Links between blanks: `i-j` is sure, `ipj` and `i?j` are possible; with a letter behind
        them, `i-jS` is sure and `i-jP` possible.

    Returns
    -------
    Links

    Raises
    ------
    ValueError
        If something else stands there.

    Examples
    --------
    >>> from pympf.explain.alignments import parse_pharaoh
    >>> parse_pharaoh("0-0 1p0").sure
    frozenset({(0, 0)})
    """
    sure: list[Link] = []
    possible: list[Link] = []
    for text in line.split():
        match = LINK.fullmatch(text)
        if match is None or (match[2] != SURE and match[4]):
            raise ValueError(f"expected links i-j, ipj, i?j, i-jS or i-jP, got {text!r}")
        link = int(match[1]), int(match[3])
        (sure if match[2] == SURE and match[4] != "P" else possible).append(link)
    return Links.of(sure, possible)


def read_pharaoh(path: str | os.PathLike[str], *, numbered: bool = False) -> dict[int, Links]:
    r"""Read a file with the links of one pair in each line.

    Not collective.

    Parameters
    ----------
    path : str or path
        A text in UTF-8. Lines that begin with # are comments.
    numbered : bool
        Whether a line begins with the number of its pair, before a tab or a "|".

    Returns
    -------
    dict
        Links by the number of the pair; without numbers in the file they count from 0.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If a line is not as described, or a number comes twice; the message names the line.

    Examples
    --------
    >>> from pathlib import Path
    >>> from pympf.explain.alignments import read_pharaoh
    >>> _ = Path("links.txt").write_text("3 | 1?0\n", encoding="utf-8")
    >>> read_pharaoh("links.txt", numbered=True)
    {3: Links(sure=frozenset(), possible=frozenset({(1, 0)}))}
    """
    found: dict[int, Links] = {}
    for place, line in _lines(path):
        if line.startswith("#"):
            continue
        head, links = str(len(found)), line
        if numbered:
            head, separator, links = line.partition("|" if "|" in line else "\t")
            if not separator and line.strip().isdigit():  # a pair without links
                head, separator = line, "\t"
            if not separator or not head.strip().isdigit():
                raise ValueError(f"{path}:{place}: expected 'number | links', got {line!r}")
        try:
            _put(found, int(head), parse_pharaoh(links))
        except ValueError as error:
            raise ValueError(f"{path}:{place}: {error}") from None
    return found


def read_naacl(path: str | os.PathLike[str], *, first: int = 1) -> dict[int, Links]:
    r"""Read a file of the NAACL 2003 shared task: "pair source target [S|P] [confidence]" [1]_.

    Not collective.

    Parameters
    ----------
    path : str or path
        A text in UTF-8 with one link in each line; without S or P a link is sure. The task's
        word 0, which stands for no word, makes no link.
    first : int
        Number of the first word: 1 as in the task, or 0.

    Returns
    -------
    dict
        Links by the number of the pair, as it stands in the file.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If a line is not as described; the message names it.

    References
    ----------
    .. [1] R. Mihalcea, T. Pedersen, "An evaluation exercise for word alignment", HLT-NAACL 2003.

    Examples
    --------
    >>> from pathlib import Path
    >>> from pympf.explain.alignments import read_naacl
    >>> _ = Path("links.wa").write_text("0001 2 1 P\n", encoding="utf-8")
    >>> read_naacl("links.wa")
    {1: Links(sure=frozenset(), possible=frozenset({(1, 0)}))}
    """
    found: dict[int, tuple[set[Link], set[Link]]] = {}
    for place, line in _lines(path):
        if not line.strip():
            continue
        match = NAACL.fullmatch(line.strip())
        if match is None:
            raise ValueError(f"{path}:{place}: expected 'pair source target [S|P]', got {line!r}")
        kinds = found.setdefault(int(match[1]), (set(), set()))
        link = int(match[2]) - first, int(match[3]) - first
        if min(link) >= 0:
            kinds[match[4] == "P"].add(link)
    return {pair: Links.of(*kinds) for pair, kinds in found.items()}


def _lines(path: str | os.PathLike[str]) -> Iterable[tuple[int, str]]:
    """Give the lines of a text with their numbers from 1, without a byte order mark."""
    with open(path, encoding="utf-8-sig") as file:
        yield from enumerate(file.read().splitlines(), 1)


def _put(found: dict[int, Links], number: int, links: Links) -> None:
    if number in found:
        raise ValueError(f"expected every pair once, got number {number} again")
    found[number] = links
