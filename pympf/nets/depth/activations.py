"""Activations of slope at most 1, by name, with their derivatives.

Definition 1 of the paper asks for 1-Lipschitz maps R → R. A function of one's own is one too; it is
tried on a grid, and cannot be saved or trained.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from pympf.nets._checks import Array
from pympf.nets.layer import ACTIVATIONS

__all__ = ["LIPSCHITZ", "Activation", "checked", "evaluate", "slope", "triangle"]

Activation: TypeAlias = str | tuple[str, ...] | Callable[[Array], Array]
"""One for all units of a layer, or names, one for each unit."""


def triangle(z: Array) -> Array:
    """Evaluate the triangle wave: slope ±1, period 4, ±1 at odd numbers, 1 at 1.

    Not collective.

    Parameters
    ----------
    z : ndarray
        Arguments.

    Returns
    -------
    ndarray
        Of [-1, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import triangle
    >>> triangle(np.array([-1.0, 0.0, 1.0, 2.0, 3.0]))
    array([-1.,  0.,  1.,  0., -1.])
    """
    z = np.mod(z + 1, 4) - 1
    return np.where(z <= 1, z, 2 - z)


def _triangle_slope(z: Array) -> Array:
    return np.where(np.mod(z + 1, 4) <= 2, 1, -1).astype(z.dtype)


LIPSCHITZ: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "relu": ACTIVATIONS["relu"],
    "identity": ACTIVATIONS["identity"],
    "triangle": (triangle, _triangle_slope),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "abs": (np.abs, np.sign),
}

GRID = np.linspace(-64, 64, 2**14 + 1)
"""Where a function of one's own is asked for its slope."""


def checked(activation: Activation, units: int) -> Activation:
    """Refuse what is no activation for so many units, or is steeper than 1 on a grid."""
    if isinstance(activation, str) or not callable(activation):
        names = (activation,) if isinstance(activation, str) else tuple(activation)
        if unknown := set(names) - set(LIPSCHITZ):
            allowed = f"{', '.join(LIPSCHITZ)}, or a 1-Lipschitz function"
            raise ValueError(f"expected activations {allowed}; got {sorted(map(str, unknown))}")
        if isinstance(activation, str) or len(set(names)) == 1:
            return names[0]
        if len(names) != units:
            raise ValueError(f"expected one activation for each of {units} units, got {len(names)}")
        return names
    steps = np.abs(np.diff(activation(GRID))) / np.diff(GRID)
    if not steps.max() <= 1 + 1e-9:
        raise ValueError(f"expected a 1-Lipschitz activation, got a slope of {steps.max():.3g}")
    return activation


def evaluate(activation: Activation, Z: Array) -> Array:
    """Apply σ to pre-activations of shape (n, units)."""
    return _by_unit(activation, Z, 0)


def slope(activation: Activation, Z: Array) -> Array:
    """Apply σ', which functions of one's own do not have."""
    if callable(activation):
        raise ValueError(f"expected activations of {', '.join(LIPSCHITZ)} for a gradient")
    return _by_unit(activation, Z, 1)


def _by_unit(activation: Activation, Z: Array, which: int) -> Array:
    if isinstance(activation, str):
        return LIPSCHITZ[activation][which](Z)
    if callable(activation):
        return activation(Z)
    result = np.empty_like(Z)
    names = np.array(activation)
    for name in set(activation):
        result[:, names == name] = LIPSCHITZ[name][which](Z[:, names == name])
    return result
