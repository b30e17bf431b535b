"""A sketch: the numbers, how many of them are left, and the scheme that made them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pympf._html import card
from pympf.la import checks


class Sketch:
    """A sketch: d numbers, of which a prefix may be all that is left.

    Parameters
    ----------
    values : array_like, shape (d,)
    scheme : str
        The checksum of the scheme that it was made with.
    kept : int, optional
        How many of the numbers are left, d' of d; what is behind them is zero.

    Examples
    --------
    >>> from pympf.sketch import Sketch
    >>> Sketch([1.0, 2.0, 3.0], "0" * 16).erase(2).values
    array([1., 2., 0.])
    """

    def __init__(self, values: Any, scheme: str, kept: int | None = None) -> None:
        array = np.array(values, dtype=np.float64)
        if array.ndim != 1 or not np.isfinite(array).all():
            raise ValueError(f"expected finite numbers of shape (d,), got shape {array.shape}")
        self.kept = len(array) if kept is None else checks.integer(kept, "kept", 1, len(array))
        array[self.kept :] = 0.0
        array.flags.writeable = False
        self.values, self.scheme = array, scheme

    @property
    def d(self) -> int:
        """The dimension, with what is erased."""
        return len(self.values)

    def erase(self, kept: int) -> Sketch:
        """Return what is left when all but a prefix is erased.

        Not collective. All estimators take what is left as it is; their error grows like
        √(d / kept).

        Parameters
        ----------
        kept : int
            Numbers that are left; not more than are there.

        Examples
        --------
        See `Sketch`.
        """
        kept = checks.integer(kept, "kept", 1, self.kept)
        return Sketch(self.values, self.scheme, kept)

    def dot(self, other: Sketch) -> float:
        """Return the dot product, scaled up to the whole dimension where some is erased.

        Not collective.

        Parameters
        ----------
        other : Sketch
            Of the same scheme.

        Raises
        ------
        ValueError
            If it is of another scheme.

        Examples
        --------
        >>> from pympf.sketch import Sketch
        >>> Sketch([1.0, 2.0], "a").dot(Sketch([3.0, 0.0], "a", kept=1))
        6.0
        """
        if other.scheme != self.scheme:
            raise ValueError(
                f"expected sketches of one scheme, got those of {self.scheme} and {other.scheme}"
            )
        kept = min(self.kept, other.kept)
        return float(self.values[:kept] @ other.values[:kept]) * (self.d / kept)

    def norm(self) -> float:
        """Return the norm, scaled up to the whole dimension where some is erased.

        Not collective.

        Examples
        --------
        >>> from pympf.sketch import Sketch
        >>> Sketch([3.0, 4.0], "a").norm()
        5.0
        """
        return float(np.linalg.norm(self.values)) * math.sqrt(self.d / self.kept)

    def __repr__(self) -> str:
        return f"<Sketch of {self.kept} of {self.d} numbers, scheme {self.scheme}>"

    def _repr_html_(self) -> str:
        facts = {"numbers": self.d, "kept": self.kept, "norm": self.norm(), "scheme": self.scheme}
        return card("Sketch", facts)
