"""What objects say of themselves in one line: their class, and what they were made with."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from pympf.la.checks import unknown

__all__ = ["Described", "Parameterized"]

Self = TypeVar("Self", bound="Parameterized")

MOST = 4
"""Entries of a sequence that are still shown one by one."""

LONGEST = 100
"""Letters of an argument that is still shown whole."""

COMPARED = str, int, float, tuple, np.generic, np.dtype
"""Types of arguments that are compared with their defaults."""


class Described:
    """Its `repr` names the class and the arguments that it was made with.

    Those are the parameters of the constructor that the object keeps under the same name, without
    those that have their defaults. Of arrays the shape is told, of long sequences the length.
    """

    def __repr__(self) -> str:
        parts = []
        for name, parameter in inspect.signature(type(self)).parameters.items():
            value, default = _kept(self, name), parameter.default
            if value is None or (isinstance(value, COMPARED) and value == default):
                continue
            bare = default is parameter.empty and parameter.kind is not parameter.KEYWORD_ONLY
            parts.append(_text(value) if bare else f"{name}={_text(value)}")
        return f"{type(self).__name__}({', '.join(parts)})"


class Parameterized(Described):
    """What keeps the arguments of its constructor as they came, as scikit-learn asks for."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Give the arguments of the constructor.

        Not collective.

        Parameters
        ----------
        deep : bool
            Without effect; scikit-learn passes it.

        Returns
        -------
        dict
            By name.

        Examples
        --------
        >>> from pympf.nets.seq2seq import Seq2Seq
        >>> Seq2Seq(cell="lstm").get_params()["cell"]
        'lstm'
        """
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self: Self, **parameters: Any) -> Self:
        """Change arguments of the constructor, for the next `fit`; what was learned stays.

        Not collective.

        Parameters
        ----------
        **parameters
            Some of those of `get_params`, by name.

        Returns
        -------
        Parameterized
            This one.

        Raises
        ------
        ValueError, TypeError
            If there is no such argument, or the constructor refuses its value. Nothing changes.

        Examples
        --------
        >>> from pympf.nets.programmer import NeuralProgrammer
        >>> NeuralProgrammer().set_params(width=8).width
        8
        """
        known = self.get_params()
        for name in parameters:
            if name not in known:
                raise ValueError(f"{type(self).__name__}: {unknown(name, known)}")
        made = type(self)(**known | parameters)
        for name in parameters:
            setattr(self, name, getattr(made, name))
        return self


def _kept(made: Any, name: str) -> Any:
    """Give the argument of this name, where the object keeps it; a hidden one if it is a number."""
    hidden = getattr(made, f"_{name}", None)
    return getattr(made, name, hidden if np.isscalar(hidden) else None)


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray) or hasattr(value, "nnz"):
        return f"array of {' × '.join(map(str, value.shape))}"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple) and len(value) <= MOST:
        inner = ", ".join(map(_text, value))
        if isinstance(value, list):
            return f"[{inner}]"
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, list | tuple | set | frozenset | Mapping):
        return f"{len(value)} entries"
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    text = str(value) if isinstance(value, np.dtype) else repr(value)
    return text if len(text) <= LONGEST else f"{type(value).__name__}(…)"
