"""Products of a scheme's matrices with the sketches of whole levels of objects.

With the symbols of `pympf.sketch.scheme`, for the objects of depth h, the deepest ones first
(`Products.forward`),

    s_h = (I + R_{M,0})/2 [ 1/2 (I + R^attr_{h,1})/2 s_attr + 1/2 (I + R^attr_{h,2})/2 s_input ]

and its transpose from the output down (`Products.adjoint`).

A sketch is linear in attributes, so that all objects of a depth go through a matrix together. Cost:
per object 4 products with an R and one for each of its inputs.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf.la import Ranks
from pympf.sketch.graph import Level
from pympf.sketch.matrices import SketchMatrix

Columns = NDArray[np.float64]


class Products(ABC):
    """What `Scheme` does with columns of sketches, given its matrices."""

    d: int
    _ranks: Ranks
    _own_rows: NDArray[np.int64]

    @abstractmethod
    def matrix(self, *key: Hashable) -> SketchMatrix:
        """Return the matrix of a key."""

    @abstractmethod
    def input_matrix(self, depth: int, index: int) -> SketchMatrix:
        """Return R^in of a depth and an index."""

    @abstractmethod
    def attribute_matrix(self, depth: int, index: int) -> SketchMatrix:
        """Return R^attr of a depth and an index."""

    def forward(
        self, levels: list[Level], attributes: Sequence[Columns] | None = None
    ) -> list[Columns]:
        """Sketch all objects of all levels: own rows, a column each; the first level's are overall.

        Collective.

        Parameters
        ----------
        levels : list of Level
            As `expand` gives them.
        attributes : sequence of ndarray, optional
            Padded ones of every level: then this is the linear part alone, without counters and
            signatures.

        Returns
        -------
        list of ndarray, shape (own rows, objects)
            One for each level.

        Examples
        --------
        See the class.
        """
        below = np.zeros((len(self._own_rows), 0))
        found: list[Columns] = []
        for level in reversed(levels):
            s = self._combine(level, below)
            if level.depth > 1:
                s = half(self.attribute_matrix(level.depth, 2), s) if level.edges else s
                given = None if attributes is None else attributes[level.depth - 1]
                own = self._attributes(level, given)
                own = half(self.attribute_matrix(level.depth, 1), own)
                s = 0.5 * own + 0.5 * s
                for module, at in by_module(level).items():
                    s[:, at] = half(self.matrix(module, 0), s[:, at])
            found.insert(0, s)
            below = s
        return found

    def _combine(self, level: Level, below: Columns) -> Columns:
        """Give s_input of the objects of a level."""
        out = np.zeros((len(self._own_rows), len(level.names)))
        for index, (parents, children, weights) in sorted(level.edges.items()):
            part = half(self.input_matrix(level.depth, index), below[:, children])
            out += (_incidence(parents, weights, out.shape[1]) @ part.T).T
        return out

    def _attributes(self, level: Level, given: Columns | None) -> Columns:
        """Give s_attr of the objects of a level; of given attributes, that part alone."""
        out = np.zeros((len(self._own_rows), len(level.names)))
        for module, at in by_module(level, silent=False).items():
            if given is not None:
                out[:, at] = 0.5 * self.matrix(module, 1).apply(given[:, at])
                continue
            objects = [made for made in (level.objects[place] for place in at) if made]
            counter = self.matrix(module, 2).apply(self.pad([np.ones(1)]))
            with self._ranks.guard():
                x = self.pad([made.attributes for made in objects])
                bits = [np.zeros(1) if o.signature is None else o.signature for o in objects]
                signatures = self.pad([bit / math.sqrt(len(bit)) for bit in bits])
            out[:, at] = 0.5 * self.matrix(module, 1).apply(x) + 0.5 * counter
            if any(made.signature is not None for made in objects):
                out[:, at] += 0.5 * self.matrix(module, 3).apply(signatures)
        return out

    def adjoint(self, levels: list[Level], s: Columns) -> Iterable[tuple[Level, Columns]]:
        """Bring overall sketches back to every level: for each, the adjoint of s_attr, own rows.

        Collective. R_{M,1}' of these are adjoint to attributes, up to the factor 1/2.

        Parameters
        ----------
        levels : list of Level
            As `expand` gives them.
        s : ndarray, shape (own rows, graphs)
            Overall sketches.

        Yields
        ------
        tuple of (Level, ndarray)

        Examples
        --------
        See the class.
        """
        back = s
        for level, next_level in itertools.pairwise(levels):
            down = np.zeros((len(self._own_rows), len(next_level.names)))
            for index, (parents, children, weights) in sorted(level.edges.items()):
                part = half_transpose(self.input_matrix(level.depth, index), back[:, parents])
                down += (_incidence(children, weights, down.shape[1]) @ part.T).T
            for module, at in by_module(next_level).items():
                down[:, at] = half_transpose(self.matrix(module, 0), down[:, at])
            h = next_level.depth
            yield next_level, 0.5 * half_transpose(self.attribute_matrix(h, 1), down)
            if next_level.edges:
                back = 0.5 * half_transpose(self.attribute_matrix(h, 2), down)

    def pad(self, vectors: list[NDArray[np.float64]]) -> Columns:
        """Give this rank's rows of short vectors, zero-padded, as columns.

        Not collective.

        Parameters
        ----------
        vectors : list of ndarray
            At least one, of at most d numbers each.

        Returns
        -------
        ndarray, shape (own rows, vectors)

        Examples
        --------
        See the class.
        """
        longest = max(len(x) for x in vectors)
        if longest > self.d:
            raise ValueError(f"expected at most d = {self.d} attributes, got {longest}")
        padded = np.zeros((longest, len(vectors)))
        for column, x in enumerate(vectors):
            padded[: len(x), column] = x
        out = np.zeros((len(self._own_rows), len(vectors)))
        short = self._own_rows < longest
        out[short] = padded[self._own_rows[short]]
        return out

    def whole(self, columns: Columns) -> Columns:
        """Give all rows of columns to all ranks.

        Collective.

        Parameters
        ----------
        columns : ndarray, shape (own rows, k)
            The rows of this rank.

        Returns
        -------
        ndarray, shape (d, k)

        Examples
        --------
        See the class.
        """
        return self.matrix("", 0)._matrix.gather(np.ascontiguousarray(columns))


def half(R: SketchMatrix, s: Columns) -> Columns:
    """Give (I + R)/2 s of this rank's rows of columns. Collective."""
    return 0.5 * (s + R.apply(s))


def half_transpose(R: SketchMatrix, s: Columns) -> Columns:
    """Give (I + R)'/2 s of this rank's rows of columns. Collective."""
    return 0.5 * (s + R.apply_transpose(s))


def _incidence(places: list[int], weights: list[float], count: int) -> sp.csr_array:
    """Give the matrix that adds columns, times their weights, to those of some places."""
    shape = (count, len(places))
    return sp.csr_array((weights, (places, np.arange(len(places)))), shape=shape)


def by_module(level: Level, *, silent: bool = True) -> dict[Hashable, list[int]]:
    """Give the places of the objects of each module, of the silent ones too or not."""
    found: dict[Hashable, list[int]] = {}
    for place, made in enumerate(level.objects):
        if made is not None and (silent or not made.silent):
            found.setdefault(made.module, []).append(place)
    return found
