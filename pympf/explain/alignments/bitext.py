"""Texts in two languages, sentence by sentence."""

from __future__ import annotations

import os
from typing import NamedTuple

__all__ = ["SentencePair", "read_bitext"]


class SentencePair(NamedTuple):
    """A sentence and its translation.

    Parameters
    ----------
    source, target : tuple of str
        Their words.

    Examples
    --------
    >>> from pympf.explain.alignments import SentencePair
    >>> SentencePair(("bon", "jour"), ("hello",)).target
    ('hello',)
    """

    source: tuple[str, ...]
    target: tuple[str, ...]


def read_bitext(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str] | None = None,
    *,
    separator: str = "|||",
    joiner: str = "@@",
) -> list[SentencePair]:
    r"""Read sentences and their translations.

    Not collective.

    Parameters
    ----------
    path : str or path
        A text in UTF-8 with words between blanks: one pair in each line, or, if there is another
        file, one sentence of the source.
    target : str or path, optional
        The file with one sentence of the target in each line.
    separator : str
        What stands between source and target in a line of one file.
    joiner : str
        What the pieces of a word end with, except the last: "trus@@ t@@ wor@@ thy" is one word.

    Returns
    -------
    list of SentencePair
        As many as there are lines, also empty ones, so that places are those of the file.

    Raises
    ------
    OSError
        If a file cannot be read.
    ValueError
        If a line has not exactly one separator, or the files have different numbers of lines.

    Examples
    --------
    >>> from pathlib import Path
    >>> from pympf.explain.alignments import read_bitext
    >>> _ = Path("pairs.txt").write_text("je suis du@@ re .|||i m tough .\n", encoding="utf-8")
    >>> read_bitext("pairs.txt")
    [SentencePair(source=('je', 'suis', 'dure', '.'), target=('i', 'm', 'tough', '.'))]
    """
    if target is None:
        sides = [line.split(separator) for line in _lines(path)]
        for place, line in enumerate(sides, 1):
            if len(line) != 2:
                raise ValueError(
                    f"{path}:{place}: expected one {separator!r} between source and target, "
                    f"got {len(line) - 1}"
                )
    else:
        left, right = _lines(path), _lines(target)
        if len(left) != len(right):
            raise ValueError(
                f"expected as many lines in {target} as in {path}, got {len(right)} and {len(left)}"
            )
        sides = [list(pair) for pair in zip(left, right, strict=True)]
    return [SentencePair(*(_words(side, joiner) for side in line)) for line in sides]


def _lines(path: str | os.PathLike[str]) -> list[str]:
    with open(path, encoding="utf-8-sig") as file:
        return file.read().splitlines()


def _words(text: str, joiner: str) -> tuple[str, ...]:
    return tuple(text.replace(f"{joiner} ", "").split() if joiner else text.split())
