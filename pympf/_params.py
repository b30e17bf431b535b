"""The parameters of `factorize`, and what all field lists share."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from pympf._engine import core

__all__ = ["Params", "choices", "from_text", "kinds"]


class Params:
    """The parameters of `factorize`: the field list that all faces of the package share."""

    @staticmethod
    def fields() -> list[dict[str, Any]]:
        """List the parameters.

        Not collective.

        Returns
        -------
        list of dict
            With keys ``name``, ``kind`` ('int', 'real', 'bool' or 'choice'), ``default``,
            ``minimum``, ``maximum``, ``choices`` and ``doc``.

        Examples
        --------
        >>> import pympf
        >>> [field["name"] for field in pympf.Params.fields()][:3]
        ['order', 'max_stages', 'rotation_fraction']
        """
        return core.param_fields()


@cache
def kinds(fields: Callable[[], list[dict[str, Any]]]) -> dict[str, str]:
    """Return the kind of each parameter of a field list, by name."""
    return {field["name"]: field["kind"] for field in fields()}


@cache
def choices(fields: Callable[[], list[dict[str, Any]]]) -> dict[str, tuple[str, ...]]:
    """Return what each parameter of kind 'choice' may be, by name."""
    return {f["name"]: tuple(f["choices"]) for f in fields() if f["kind"] == "choice"}


def from_text(field: dict[str, Any], text: str) -> Any:
    """Read the value of a parameter as the core writes it."""
    if field["kind"] == "bool":
        return text == "true"
    if field["kind"] == "choice":
        return text
    number = float(text)  # also for integers: 10^6 is written as 1e+06
    return int(number) if field["kind"] == "int" else number
