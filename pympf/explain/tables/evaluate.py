"""Is an answer right? The normalization and the verdicts of WikiTableQuestions.

Texts are compared without accents, footnote marks, trailing remarks in parentheses, outer quotes, a
final dot and case; numbers to 1e-6; dates exactly, with xx for what is open; a list as a set.

References
----------
.. [1] The evaluator of WikiTableQuestions 1.0.2; its rules, in our words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite

from pympf.nets.programmer import Answer

__all__ = ["Value", "denotation", "is_right", "normalize", "to_value", "to_values"]

QUOTES = [("[‘’´`]", "'"), ("[“”]", '"'), ("[‐‑‒–—−]", "-")]
CITATIONS = re.compile(r"((?<!^)\[[^\]]*\]|\[\d+\]|[•♦†‡*#+])*$")
REMARKS = re.compile(r"(?<!^)( \([^)]*\))*$")
OUTER = re.compile(r'^"([^"]*)"$')


@lru_cache(maxsize=100_000)
def normalize(text: str) -> str:
    """Bring a text into the form that is compared.

    Not collective.

    Parameters
    ----------
    text : str
        A cell or an answer.

    Returns
    -------
    str
        In lower case, with single spaces.

    Examples
    --------
    >>> from pympf.explain.tables import normalize
    >>> normalize('"São  Paulo" (Brazil)[1]'), normalize("Fiji.")
    ('sao paulo', 'fiji')
    """
    text = unicodedata.normalize("NFKD", text)
    text = "".join(c for c in text if unicodedata.category(c) != "Mn")
    for pattern, plain in QUOTES:
        text = re.sub(pattern, plain, text)
    before = None
    while before != text:
        before = text
        text = CITATIONS.sub("", text.strip())
        text = REMARKS.sub("", text.strip())
        text = OUTER.sub(r"\1", text.strip())
    text = text.removesuffix(".")
    return re.sub(r"\s+", " ", text).lower().strip()


@dataclass(frozen=True)
class Value:
    """A text, and the number or the date that it means.

    Parameters
    ----------
    text : str
        Normalized.
    number : float, optional
        The number.
    date : tuple of int, optional
        Year, month, day, -1 for what is open.

    Examples
    --------
    >>> from pympf.explain.tables import to_value
    >>> to_value("12.0").matches(to_value("12"))
    True
    """

    text: str
    number: float | None = None
    date: tuple[int, int, int] | None = None

    @property
    def key(self) -> str | float | tuple[int, int, int]:
        """What makes a value one of a set: its number, its date, or its text."""
        if self.number is not None:
            whole = round(self.number)
            return whole if abs(self.number - whole) < 1e-6 else self.number
        return self.text if self.date is None else self.date

    def matches(self, other: Value) -> bool:
        """Tell whether two values are the same.

        Parameters
        ----------
        other : Value
            To compare with.

        Returns
        -------
        bool
            By text; or both are numbers within 1e-6; or both are dates, and equal.

        Examples
        --------
        See the class.
        """
        if self.text == other.text:
            return True
        if self.number is not None and other.number is not None:
            return abs(self.number - other.number) < 1e-6
        return self.date is not None and self.date == other.date


def to_value(text: str | float, canonical: str | None = None) -> Value:
    """Read a value.

    Not collective.

    Parameters
    ----------
    text : str or float
        What was printed or counted.
    canonical : str, optional
        The value that a tagger gave to it (``targetCanon``), if there is one; it decides what
        kind of value the text is.

    Returns
    -------
    Value
        With a number if it is one (plain digits: "12,467" is a text), or with a date if it is of
        the form year-month-day with two parts at least.

    Examples
    --------
    >>> from pympf.explain.tables import to_value
    >>> to_value("2005-xx-07").date, to_value(3).number, to_value("12,467", "12467.0").number
    ((2005, -1, 7), 3.0, 12467.0)
    """
    if isinstance(text, float) and text.is_integer():
        text = int(text)
    meant = str(text) if canonical in (None, "") else str(canonical)
    number = _number(meant)
    date = _date(meant) if number is None else None
    if date is not None and date[1] == date[2] == -1:
        number, date = float(date[0]), None
    return Value(normalize(str(text)), number, date)


def _number(text: str) -> float | None:
    if "_" in text:  # Python 3 reads 1_000 as a number; the official script does not.
        return None
    try:
        value = float(int(text))
    except ValueError:
        try:
            value = float(text)
        except ValueError:
            return None
    return value if isfinite(value) else None


def _date(text: str) -> tuple[int, int, int] | None:
    parts = text.lower().split("-")
    if len(parts) != 3:
        return None
    try:
        year = -1 if parts[0] in ("xx", "xxxx") else int(parts[0])
        month, day = (-1 if part == "xx" else int(part) for part in parts[1:])
    except ValueError:
        return None
    if year == month == day == -1 or not (month == -1 or 1 <= month <= 12):
        return None
    return (year, month, day) if day == -1 or 1 <= day <= 31 else None


def to_values(
    texts: Iterable[str | float], canonical: Sequence[str] | None = None
) -> tuple[Value, ...]:
    """Read a list of values, equal ones once.

    Not collective.

    Parameters
    ----------
    texts : iterable of str or float
        The items.
    canonical : sequence of str, optional
        As of `to_value`, one for each.

    Returns
    -------
    tuple of Value
        Equal are equal numbers, equal dates, equal normalized texts.

    Raises
    ------
    ValueError
        If there is not one canonical value for each text.

    Examples
    --------
    >>> from pympf.explain.tables import to_values
    >>> [value.text for value in to_values(["a", "A", "b"])]
    ['a', 'b']
    """
    texts = list(texts)
    tags = [None] * len(texts) if canonical is None else list(canonical)
    values = [to_value(text, tag) for text, tag in zip(texts, tags, strict=True)]
    return tuple({value.key: value for value in reversed(values)}.values())[::-1]


def is_right(target: Sequence[Value], predicted: Sequence[Value]) -> bool:
    """Tell whether the values predicted are the target: as many, and a match for each target.

    Not collective.

    Parameters
    ----------
    target, predicted : sequence of Value
        Of `to_values`.

    Returns
    -------
    bool
        The verdict of the official evaluator.

    Examples
    --------
    >>> from pympf.explain.tables import is_right, to_values
    >>> is_right(to_values(["Fiji", "3"]), to_values([3.0, "fiji"]))
    True
    """
    if len(target) != len(predicted):
        return False
    return all(any(value.matches(given) for given in predicted) for value in target)


def denotation(answer: Answer | None) -> tuple[Value, ...]:
    """Read the answer of a program as values.

    Not collective.

    Parameters
    ----------
    answer : int, frozenset of str or None
        What `execute` gives.

    Returns
    -------
    tuple of Value
        Empty for None.

    Examples
    --------
    >>> from pympf.explain.tables import denotation
    >>> denotation(3)
    (Value(text='3', number=3.0, date=None),)
    """
    if answer is None:
        return ()
    return to_values([answer] if isinstance(answer, int) else answer)
