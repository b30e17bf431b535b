"""Checks of arguments, each with one wording: the name, what came, what is allowed.

The texts are those of the core's parameters (``cpp/pympf/common/field.hpp``), so that a number out
of range reads the same whether Python or C++ refuses it. A value of another kind is a TypeError, a
value out of range a ValueError.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

__all__ = [
    "choice",
    "compiled",
    "fields",
    "function",
    "integer",
    "no_masks",
    "number",
    "positive",
    "seed",
    "unknown",
]

BOOLS = (bool, np.bool_)
NUMBERS = (int, float, np.integer, np.floating)
ACCEPTED: dict[str, tuple[type, ...]] = {
    "int": (int, np.integer),
    "real": NUMBERS,
    "bool": BOOLS,
    "choice": (str,),
}
"""What a parameter of a kind may be given as."""


def integer(value: Any, name: str, least: int = 1, most: int | None = None) -> int:
    """Return an integer in [least, most].

    Not collective.

    Parameters
    ----------
    value : int or numpy.integer
    name : str
        What error messages call it.
    least, most : int
        The range; None: no upper limit.

    Raises
    ------
    TypeError
        If it is no integer.
    ValueError
        If it is out of range.

    Examples
    --------
    >>> from pympf.la import checks
    >>> checks.integer(3, "k", 1, 5)
    3
    >>> checks.integer(7, "k", 1, 5)
    Traceback (most recent call last):
    ...
    ValueError: k = 7 is not an integer in [1, 5]
    """
    is_one = hasattr(value, "__index__") and not isinstance(value, BOOLS)
    if is_one and least <= value and (most is None or value <= most):
        return operator.index(value)
    end = "inf)" if most is None else f"{most}]"
    text = f"{name} = {value!r} is not an integer in [{least}, {end}"
    if is_one:
        raise ValueError(text)
    raise TypeError(f"{text}, but a {type(value).__name__}")


def number(
    value: Any,
    name: str,
    least: float = -math.inf,
    below: float = math.inf,
    *,
    above: float | None = None,
    most: float | None = None,
) -> float:
    """Return a finite number in [least, below), or (above, below), [least, most], (above, most].

    Not collective.

    Parameters
    ----------
    value : int, float, numpy.integer or numpy.floating
    name : str
        What error messages call it.
    least, below, above, most : float
        The range; `above` takes the place of `least`, `most` that of `below`.

    Raises
    ------
    TypeError
        If it is no real number.
    ValueError
        If it is out of range, NaN or infinite.

    Examples
    --------
    >>> from pympf.la import checks
    >>> checks.number(0.5, "rtol", 0, below=1)
    0.5
    >>> checks.number(0, "width", above=0)
    Traceback (most recent call last):
    ...
    ValueError: width = 0 is not a number in (0, inf)
    >>> checks.number(1.5, "share", 0, most=1)
    Traceback (most recent call last):
    ...
    ValueError: share = 1.5 is not a number in [0, 1]
    """
    is_one = isinstance(value, NUMBERS) and not isinstance(value, BOOLS)
    if is_one:
        real = float(value)
        inner = real >= least if above is None else real > above
        inner = inner and (real < below if most is None else real <= most)
        if inner and math.isfinite(real):
            return real
    start = f"({above:g}" if above is not None else f"{'[' if least > -math.inf else '('}{least:g}"
    end = f"{below:g})" if most is None else f"{most:g}]"
    text = f"{name} = {value!r} is not a number in {start}, {end}"
    if is_one:
        raise ValueError(text)
    raise TypeError(f"{text}, but a {type(value).__name__}")


def positive(value: Any, name: str) -> float:
    """Return a finite number above zero.

    Not collective.

    Parameters
    ----------
    value : int, float, numpy.integer or numpy.floating
    name : str
        What error messages call it.

    Raises
    ------
    TypeError, ValueError
        As `number`.

    Examples
    --------
    >>> from pympf.la import checks
    >>> checks.positive(2, "width")
    2.0
    """
    return number(value, name, above=0)


def function(value: Any, name: str) -> None:
    """Refuse what is neither None nor a callable.

    Not collective.

    Parameters
    ----------
    value : callable or None
    name : str
        What error messages call it.

    Raises
    ------
    TypeError
        If it cannot be called.

    Examples
    --------
    >>> from pympf.la import checks
    >>> checks.function(3, "progress")
    Traceback (most recent call last):
    ...
    TypeError: progress is a int, expected a callable
    """
    if value is not None and not callable(value):
        raise TypeError(f"{name} is a {type(value).__name__}, expected a callable")


def compiled(value: Any, name: str, made_by: str) -> None:
    """Refuse arguments of a class that only functions of the package make.

    Not collective.

    Parameters
    ----------
    value : object of the compiled core
    name : str
        The class.
    made_by : str
        The call that makes one.

    Raises
    ------
    TypeError
        If it is something else.

    Examples
    --------
    >>> from pympf.la import checks
    >>> checks.compiled([[1.0]], "Mmf", "pympf.factorize(A)")
    Traceback (most recent call last):
    ...
    TypeError: expected pympf.factorize(A), which makes an Mmf; got Mmf(list)
    """
    if not type(value).__module__.startswith("pympf._float"):
        article = "an" if name[0] in "AEIOM" else "a"
        got = f"{name}({type(value).__name__})"
        raise TypeError(f"expected {made_by}, which makes {article} {name}; got {got}")


def choice(value: Any, name: str, allowed: Sequence[str]) -> str:
    """Return a word of a list.

    Not collective.

    Parameters
    ----------
    value : str
    name : str
        What error messages call it.
    allowed : sequence of str

    Raises
    ------
    ValueError
        If it is not in the list.

    Examples
    --------
    >>> from pympf.la import checks
    >>> checks.choice("wright", "side", ("right", "left"))
    Traceback (most recent call last):
    ...
    ValueError: side = 'wright' is not one of right, left; did you mean right?
    """
    if not isinstance(value, str) or value not in allowed:
        words = ", ".join(allowed)
        raise ValueError(f"{name} = {value!r} is not one of {words}{hint(value, allowed)}")
    return value


def hint(given: Any, known: Iterable[str]) -> str:
    """Tell which of the known words was meant, perhaps; nothing where none is near.

    Not collective.

    Parameters
    ----------
    given : object
        A word, or something else, which is near to none.
    known : iterable of str

    Examples
    --------
    >>> from pympf.la import checks
    >>> checks.hint("gmers", ("cg", "gmres")), checks.hint("x", ("cg", "gmres"))
    ('; did you mean gmres?', '')
    """
    if not isinstance(given, str):
        return ""
    words = list(known)
    near = [longer for longer in words if len(given) > 3 and longer.startswith(given)]
    near = near or get_close_matches(given, words, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def seed(value: Any, name: str = "seed") -> int:
    """Return the seed of counter-based random numbers: an integer of 64 bits.

    Not collective.

    Parameters
    ----------
    value : int
    name : str
        What error messages call it.

    Raises
    ------
    TypeError, ValueError
        As `integer`.

    Examples
    --------
    >>> from pympf.la import checks
    >>> checks.seed(7)
    7
    """
    return integer(value, name, 0, 2**64 - 1)


def unknown(name: str, known: Iterable[str]) -> str:
    """Say that there is no such parameter, what was meant perhaps, and which there are.

    Not collective.

    Parameters
    ----------
    name : str
    known : iterable of str

    Examples
    --------
    >>> from pympf.la import checks
    >>> checks.unknown("cor_size", ["core_size", "order"])
    'unknown parameter cor_size; did you mean core_size? known: core_size, order'
    """
    names = list(known)
    return f"unknown parameter {name}{hint(name, names) or ';'} known: {', '.join(names)}"


def fields(
    given: dict[str, Any],
    known: Mapping[str, str],
    others: Iterable[str] = (),
    choices: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Refuse parameters that are not known, or of a kind that the core would have to guess at.

    Not collective. The core checks the ranges of numbers.

    Parameters
    ----------
    given : dict
        Parameters by their names.
    known : mapping of str to str
        The kind of each: 'int', 'real', 'bool' or 'choice'.
    others : iterable of str
        Keywords that the function has besides, which a message names.
    choices : mapping of str to sequence of str, optional
        What those of kind 'choice' may be.

    Raises
    ------
    ValueError
        If a name or a choice is unknown, or a number has more than 64 bits.
    TypeError
        If a value is of another kind, such as 2.5 for an int.

    Examples
    --------
    >>> from pympf.la import checks
    >>> checks.fields({"order": 2.5}, {"order": "int"})
    Traceback (most recent call last):
    ...
    TypeError: order = 2.5 is not of kind int
    """
    for name, value in given.items():
        kind = known.get(name)
        if kind is None:
            raise ValueError(unknown(name, [*known, *others]))
        is_bool = isinstance(value, BOOLS)
        if not isinstance(value, ACCEPTED[kind]) or is_bool != (kind == "bool"):
            raise TypeError(f"{name} = {value!r} is not of kind {kind}")
        if choices is not None and kind == "choice":
            choice(value, name, choices[name])
        if isinstance(value, int) and value.bit_length() > 64:  # the core takes numbers as double
            raise ValueError(f"{name} = {value} is out of range")


def no_masks(values: Any, name: str) -> None:
    """Refuse masked entries, which NumPy would turn into the numbers under the mask.

    Not collective.

    Parameters
    ----------
    values : object
        An array, or a list or tuple that may have masked arrays in it.
    name : str
        What error messages call it.

    Raises
    ------
    ValueError
        If an entry is masked.

    Examples
    --------
    >>> from pympf.la import checks
    >>> checks.no_masks([1.0, 2.0], "b")
    """
    if values is None or type(values) is np.ndarray:
        return
    parts = values if isinstance(values, list | tuple) else [values]
    if any(isinstance(part, np.ma.MaskedArray) and np.ma.is_masked(part) for part in parts):
        raise ValueError(f"{name}: masked entries have no value; use .filled(value)")
