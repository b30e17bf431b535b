"""An overall sketch that follows its graph: objects come, change and go.

A sketch is the sum of what its objects bring along their paths, so that a change costs the products
of the objects that it concerns: those on the paths to it, and for new ones those below.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pympf._described import Described
from pympf.sketch._sketch import Sketch
from pympf.sketch.graph import (
    Edge,
    Graph,
    Inputs,
    Object,
    check_sum,
    checked_inputs,
    checked_vector,
    checked_weight,
    expand,
)
from pympf.sketch.scheme import Scheme

__all__ = ["StreamingSketch"]


class StreamingSketch(Described):
    """The overall sketch of a graph that changes.

    Collective, if the scheme is. An index of an input tuple that has become free is not used again.

    Parameters
    ----------
    scheme : Scheme

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.sketch import Scheme, StreamingSketch
    >>> scheme = Scheme(1050, b=42)
    >>> stream = StreamingSketch(scheme)
    >>> stream.add("tom", "cat", [0.6, 0.8], into={None: 0.5})
    >>> stream.add("eye", "eye", [1.0, 0.0], into={"tom": 1.0})
    >>> stream.change("tom", [1.0, 0.0])
    >>> np.allclose(stream.sketch.values, scheme.sketch(stream.graph).values)
    True
    >>> stream.remove("tom")
    >>> round(stream.sketch.norm(), 12)
    0.0
    """

    def __init__(self, scheme: Scheme) -> None:
        self.scheme, self.graph = scheme, Graph()
        self._values: NDArray[np.float64] = np.zeros(scheme.d)
        self._next: dict[Hashable, int] = {}  # index of an object's input tuple, or the output's

    @property
    def sketch(self) -> Sketch:
        """The overall sketch."""
        return Sketch(self._values, self.scheme.checksum)

    def add(
        self,
        name: Hashable,
        module: Hashable,
        attributes: ArrayLike,
        *,
        inputs: Inputs = (),
        into: Mapping[Hashable, float],
        signature: ArrayLike | None = None,
    ) -> None:
        """Add an object, as an input of objects that are there.

        Collective.

        Parameters
        ----------
        name, module, attributes, signature
            As in `Graph.add`.
        inputs : mapping of name to weight, or iterable of such pairs
            Of objects that are there.
        into : mapping of name to weight
            Of what the object becomes an input, at the next free index; None is the output.

        Raises
        ------
        ValueError
            As in `Graph.add`, or if there is no such object. Then nothing has changed.

        Examples
        --------
        See `StreamingSketch`.
        """
        with self.scheme._ranks.guard():
            changed = _copy(self.graph)
            changed.add(name, module, attributes, inputs, signature)
            for parent, weight in into.items():
                index = self._next.get(parent, 1)
                edge = Edge(index, name, checked_weight(weight, f"into {parent!r}"))
                _set_inputs(changed, parent, (*_inputs(changed, parent), edge))
            changed.check()
        self._values = self._values + self._part(changed, name)
        self.graph = changed
        self._next[name] = len(checked_inputs(inputs, "inputs")) + 1
        for parent in into:
            self._next[parent] = self._next.get(parent, 1) + 1

    def change(self, name: Hashable, attributes: ArrayLike) -> None:
        """Give an object other attributes.

        Collective.

        Parameters
        ----------
        name : hashable
        attributes : array_like, shape (m,)
            Of any length.

        Raises
        ------
        ValueError
            If there is no such object, or a number is not finite. Then nothing has changed.

        Examples
        --------
        See `StreamingSketch`.
        """
        with self.scheme._ranks.guard():
            made = self._object(name)
            x = checked_vector(attributes, f"attributes of {name!r}")
            if len(x) > self.scheme.d:
                raise ValueError(f"expected at most d = {self.scheme.d} attributes, got {len(x)}")
            difference = np.zeros(max(len(x), len(made.attributes)))
            difference[: len(x)] += x
            difference[: len(made.attributes)] -= made.attributes
            graph = _paths_to(self.graph, name)
            graph.objects[name] = replace(made, attributes=difference, inputs=())
            levels = expand([graph])
            padded = [np.zeros((0, 0))]
            for level in levels[1:]:
                x_of = [difference if n == name else np.zeros(1) for n in level.names]
                padded.append(self.scheme.pad(x_of))
        change = self.scheme.whole(self.scheme.forward(levels, padded)[0])[:, 0]
        self._values = self._values + change
        self.graph.objects[name] = replace(made, attributes=x)

    def remove(self, name: Hashable) -> None:
        """Remove an object, and with it what its inputs bring through it.

        Collective.

        Parameters
        ----------
        name : hashable

        Raises
        ------
        ValueError
            If there is no such object.

        Examples
        --------
        See `StreamingSketch`.
        """
        with self.scheme._ranks.guard():
            self._object(name)
        self._values = self._values - self._part(self.graph, name)
        for parent in (None, *self.graph.objects):
            edges = _inputs(self.graph, parent)
            _set_inputs(self.graph, parent, [edge for edge in edges if edge.name != name])
        del self.graph.objects[name]

    def _object(self, name: Hashable) -> Object:
        if name not in self.graph.objects:
            raise ValueError(f"there is no object {name!r}")
        return self.graph.objects[name]

    def _part(self, graph: Graph, name: Hashable) -> NDArray[np.float64]:
        """Give what an object and those below it bring along all its paths."""
        with self.scheme._ranks.guard():
            levels = expand([_paths_to(graph, name)])
        return self.scheme.whole(self.scheme.forward(levels)[0])[:, 0]


def _copy(graph: Graph) -> Graph:
    copy = Graph()
    copy.objects, copy.output = dict(graph.objects), graph.output
    return copy


def _inputs(graph: Graph, name: Hashable | None) -> tuple[Edge, ...]:
    if name is None:
        return graph.output
    if name not in graph.objects:
        raise ValueError(f"there is no object {name!r}")
    return graph.objects[name].inputs


def _set_inputs(graph: Graph, name: Hashable | None, edges: Iterable[Edge]) -> None:
    edges = tuple(edges)
    check_sum(edges, f"inputs of {name!r}")
    if name is None:
        graph.output = edges
    else:
        graph.objects[name] = replace(graph.objects[name], inputs=edges)


def _paths_to(graph: Graph, name: Hashable) -> Graph:
    """Give the graph of the paths to an object: silent objects before it, all that is below."""
    leading = {name}
    grown = True
    while grown:
        more = {
            parent
            for parent, made in graph.objects.items()
            if parent not in leading and any(edge.name in leading for edge in made.inputs)
        }
        leading |= more
        grown = bool(more)
    out = _copy(graph)
    for parent in leading - {name}:
        made = graph.objects[parent]
        edges = tuple(edge for edge in made.inputs if edge.name in leading)
        out.objects[parent] = replace(made, inputs=edges, silent=True)
    out.output = tuple(edge for edge in graph.output if edge.name in leading)
    return out
