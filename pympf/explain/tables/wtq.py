"""WikiTableQuestions: reading its files.

References
----------
.. [1] P. Pasupat, P. Liang, "Compositional semantic parsing on semi-structured tables", ACL 2015;
   the data set, version 1.0.2, https://github.com/ppasupat/WikiTableQuestions.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pympf._described import Described
from pympf.explain.tables.matches import ask
from pympf.nets.programmer import Question, Table

__all__ = ["Example", "WikiTableQuestions", "read_csv_table", "read_tsv", "unescape"]


def unescape(text: str) -> str:
    r"""Undo the escapes of the tsv files: ``\n``, ``\p`` for a bar, ``\\`` for a backslash.

    Not collective.

    Parameters
    ----------
    text : str
        One field, or one item of a list.

    Returns
    -------
    str
        What it means.

    Examples
    --------
    >>> from pympf.explain.tables import unescape
    >>> unescape(r"a\pb\\n")
    'a|b\\n'
    """
    result, escaped = [], False
    for c in text:
        if escaped:
            result.append({"n": "\n", "p": "|"}.get(c, c))
        elif c != "\\":
            result.append(c)
        escaped = c == "\\" and not escaped
    return "".join(result)


def read_tsv(path: str | os.PathLike[str]) -> Iterator[dict[str, str]]:
    r"""Read a tsv file of the data set, line by line, without undoing the escapes.

    Not collective.

    Parameters
    ----------
    path : path
        The first line names the fields.

    Yields
    ------
    dict
        The fields of a line.

    Raises
    ------
    ValueError
        If a line has another number of fields.

    Examples
    --------
    >>> from pathlib import Path
    >>> from pympf.explain.tables import read_tsv
    >>> _ = Path("x.tsv").write_text("id\tutterance\nnt-0\twho won?\n")
    >>> list(read_tsv("x.tsv"))
    [{'id': 'nt-0', 'utterance': 'who won?'}]
    """
    with open(path, encoding="utf-8", newline="\n") as file:
        names = file.readline().rstrip("\n").split("\t")
        for number, line in enumerate(file, 2):
            fields = line.rstrip("\n").split("\t")
            if len(fields) != len(names):
                raise ValueError(
                    f"{path}:{number}: expected {len(names)} fields, got {len(fields)}"
                )
            yield dict(zip(names, fields, strict=True))


def read_csv_table(path: str | os.PathLike[str]) -> Table:
    r"""Read a csv table of the data set, whose quotes and backslashes are escaped by a backslash.

    Not collective. A row with fewer cells than headers is filled with empty ones; cells beyond the
    headers make columns without a header.

    Parameters
    ----------
    path : path
        The first row is the header.

    Returns
    -------
    Table
        Line breaks inside cells are kept.

    Raises
    ------
    ValueError
        If there are no rows below the header.

    Examples
    --------
    >>> from pathlib import Path
    >>> from pympf.explain.tables import read_csv_table
    >>> _ = Path("x.csv").write_text('"Year","Title"\n"1969","the \\"best\\""\n')
    >>> read_csv_table("x.csv").cells
    (('1969',), ('the "best"',))
    """
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, doublequote=False, escapechar="\\"))
    if len(rows) < 2:
        raise ValueError(f"{path}: expected a header and at least one row, got {len(rows)} rows")
    width = max(map(len, rows))
    header, *body = [row + [""] * (width - len(row)) for row in rows]
    return Table(tuple(header), tuple(zip(*body, strict=True)))


class Example(NamedTuple):
    """A question of the data set, before anything is made of it.

    Examples
    --------
    >>> from pympf.explain.tables import Example
    >>> Example("nt-0", "who won?", "csv/0.csv", ("Fiji",)).target
    ('Fiji',)
    """

    id: str
    utterance: str
    context: str
    target: tuple[str, ...]


class WikiTableQuestions(Described):
    """The data set in a folder.

    Parameters
    ----------
    folder : path
        With ``data`` and ``csv``.

    Examples
    --------
    >>> from pympf.explain.tables import WikiTableQuestions
    >>> WikiTableQuestions(".").folder.name
    ''
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._tables: dict[str, Table] = {}

    def examples(self, split: str) -> list[Example]:
        """Read the questions of a split.

        Parameters
        ----------
        split : str
            ``training``, ``random-split-1-dev``, ``pristine-unseen-tables``, …

        Returns
        -------
        list of Example
            In the order of the file.

        Examples
        --------
        See `read_tsv`.
        """
        return [
            Example(
                line["id"],
                unescape(line["utterance"]),
                line["context"],
                tuple(unescape(item) for item in line["targetValue"].split("|")),
            )
            for line in read_tsv(self.folder / "data" / f"{split}.tsv")
        ]

    def table(self, context: str) -> Table:
        """Read a table, once.

        Parameters
        ----------
        context : str
            Its path in the folder, as questions give it.

        Returns
        -------
        Table
            The same object each time.

        Examples
        --------
        See `read_csv_table`.
        """
        if context not in self._tables:
            self._tables[context] = read_csv_table(self.folder / context)
        return self._tables[context]

    def question(self, example: Example) -> Question:
        """Make a question with matches out of an example; its answer is the set of target texts.

        Parameters
        ----------
        example : Example
            Of `examples`.

        Returns
        -------
        Question
            Cells that are numbers can match.

        Examples
        --------
        See `ask`.
        """
        table = self.table(example.context)
        return ask(example.utterance, table, numbers=True, answer=frozenset(example.target))
