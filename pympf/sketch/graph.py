"""Communication graphs: the objects that a modular network has produced for one input."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pympf import la

__all__ = ["Edge", "Graph", "Level", "Object", "expand"]

Inputs = Mapping[Any, float] | Iterable[tuple[Any, float]]


@dataclass(frozen=True)
class Edge:
    """An input of an object: at `index` (from 1) of its input tuple, with a weight."""

    index: int
    name: Hashable
    weight: float


@dataclass(frozen=True)
class Object:
    """What a module has produced: attributes, and the objects that it was produced from."""

    module: Hashable
    attributes: NDArray[np.float64]
    inputs: tuple[Edge, ...] = ()
    signature: NDArray[np.float64] | None = None
    silent: bool = False  # it passes on what its inputs bring, and brings nothing of its own


class Graph:
    """A communication graph: objects of modules, which are made from other objects.

    Objects are named by anything hashable. An object may be an input of several others: then it is
    sketched once for each path to the output.

    Examples
    --------
    >>> from pympf.sketch import Graph
    >>> graph = Graph()
    >>> graph.add("left eye", "eye", [0.6, 0.8])
    >>> graph.add("tom", "cat", [1.0, 0.0], inputs={"left eye": 0.5})
    >>> graph.set_output({"tom": 1.0})
    >>> [(path, weight) for path, weight in graph.paths("left eye")]
    [((1, 1), 0.5)]
    """

    def __init__(self) -> None:
        self.objects: dict[Hashable, Object] = {}
        self.output: tuple[Edge, ...] = ()

    def __repr__(self) -> str:
        return f"<Graph of {len(self.objects)} objects>"

    def add(
        self,
        name: Hashable,
        module: Hashable,
        attributes: ArrayLike,
        inputs: Inputs = (),
        signature: ArrayLike | None = None,
    ) -> None:
        """Add an object.

        Not collective.

        Parameters
        ----------
        name : hashable
            Another one than those of all other objects.
        module : hashable
            That has produced it; its `str` names the module's matrices.
        attributes : array_like, shape (m,)
            x, finite; the theorems suppose it nonnegative and of norm 1.
        inputs : mapping of name to weight, or iterable of such pairs
            In the order of the tuple. Weights are in [0, 1] and sum to at most 1. Names may be
            those of objects that are added later.
        signature : array_like of ±1, shape (t,), optional
            Bits by which the object may be found again; they are sketched as ±1/√t.

        Raises
        ------
        ValueError
            If the name is taken, or a number is not allowed.

        Examples
        --------
        See `Graph`.
        """
        if name in self.objects:
            raise ValueError(f"there is an object {name!r} already")
        label = f"attributes of {name!r}"
        x = checked_vector(attributes, label)
        bits = None
        if signature is not None:
            bits = checked_vector(signature, f"signature of {name!r}")
            if not (np.abs(bits) == 1).all():
                raise ValueError(f"signature of {name!r}: expected signs, +1 or -1")
        self.objects[name] = Object(module, x, checked_inputs(inputs, f"inputs of {name!r}"), bits)

    def set_output(self, inputs: Inputs) -> None:
        """Set the objects that the output is made of.

        Not collective.

        Parameters
        ----------
        inputs : mapping of name to weight, or iterable of such pairs
            As in `add`.

        Raises
        ------
        ValueError
            If weights are not in [0, 1], or sum to more than 1.

        Examples
        --------
        See `Graph`.
        """
        self.output = checked_inputs(inputs, "inputs of the output")

    def paths(self, name: Hashable) -> list[tuple[tuple[int, ...], float]]:
        """Return the paths from the output to an object, with their effective weights.

        Not collective.

        Parameters
        ----------
        name : hashable

        Returns
        -------
        list of (path, weight)
            A path is the indices in the input tuples, from the output's on; its length is the
            object's depth less 1.

        Raises
        ------
        ValueError
            If there is no such object, or the graph has a cycle.

        Examples
        --------
        See `Graph`.
        """
        if name not in self.objects:
            raise ValueError(f"there is no object {name!r}")
        self.check()
        found = []
        stack: list[tuple[tuple[int, ...], float, tuple[Edge, ...]]] = [((), 1.0, self.output)]
        while stack:
            path, weight, edges = stack.pop()
            for edge in edges:
                here = (*path, edge.index), weight * edge.weight
                if edge.name == name:
                    found.append(here)
                stack.append((*here, self.objects[edge.name].inputs))
        return sorted(found)

    def check(self) -> None:
        """Raise ValueError if an input is no object, or the graph has a cycle.

        Not collective.

        Examples
        --------
        >>> from pympf.sketch import Graph
        >>> graph = Graph()
        >>> graph.add("a", "module", [1.0], inputs={"a": 1.0})
        >>> graph.set_output({"a": 1.0})
        >>> graph.check()
        Traceback (most recent call last):
        ...
        ValueError: the graph has a cycle: a -> a
        """
        finished: set[Hashable] = set()
        for start in [edge.name for edge in self.output] + list(self.objects):
            path: list[Hashable] = []
            stack: list[tuple[Hashable, bool]] = [(start, False)]
            while stack:
                name, leaving = stack.pop()
                if leaving:
                    finished.add(path.pop())
                elif name in path:
                    cycle = [*path[path.index(name) :], name]
                    raise ValueError(f"the graph has a cycle: {' -> '.join(map(str, cycle))}")
                elif name not in finished:
                    if name not in self.objects:
                        raise ValueError(f"{name!r} is an input, but there is no such object")
                    path.append(name)
                    stack.append((name, True))
                    stack += [(edge.name, False) for edge in self.objects[name].inputs]


def checked_vector(values: ArrayLike, label: str) -> NDArray[np.float64]:
    """Return a finite vector of float64."""
    return np.array(la.as_array(values, ("m >= 1",), label), dtype=np.float64)


def checked_weight(weight: Any, label: str) -> float:
    """Return a weight in [0, 1]."""
    return la.checks.number(weight, f"{label}: weight", 0, most=1)


def checked_inputs(inputs: Inputs, label: str) -> tuple[Edge, ...]:
    """Return inputs as numbered edges, or raise ValueError."""
    pairs = list(inputs.items() if isinstance(inputs, Mapping) else inputs)
    edges = tuple(Edge(i, n, checked_weight(w, label)) for i, (n, w) in enumerate(pairs, 1))
    check_sum(edges, label)
    return edges


def check_sum(edges: Iterable[Edge], label: str) -> None:
    """Refuse weights that sum to more than 1."""
    total = math.fsum(edge.weight for edge in edges)
    if total > 1 + 1e-9:
        raise ValueError(f"{label}: expected weights that sum to at most 1, got {total}")


@dataclass
class Level:
    """The objects of one depth, of many graphs: those of depth 1 are the outputs."""

    depth: int
    graphs: list[int] = field(default_factory=list)
    names: list[Hashable] = field(default_factory=list)
    objects: list[Object | None] = field(default_factory=list)
    # Edges to the next level: index -> places of parents, places of children, weights.
    edges: dict[int, tuple[list[int], list[int], list[float]]] = field(default_factory=dict)


def expand(graphs: Iterable[Graph]) -> list[Level]:
    """Lay out graphs by depth; an object with several paths of one length stands there once.

    A graph is a DAG: an object with paths of several lengths stands on several levels.
    """
    graphs = list(graphs)
    top = Level(1)
    pending: list[tuple[Edge, ...]] = []
    for number, graph in enumerate(graphs):
        graph.check()
        top.graphs.append(number)
        top.names.append(None)
        top.objects.append(None)
        pending.append(graph.output)
    levels = [top]
    while any(pending):
        above, level = levels[-1], Level(len(levels) + 1)
        places: dict[tuple[int, Hashable], int] = {}
        below: list[tuple[Edge, ...]] = []
        for parent, edges in enumerate(pending):
            number = above.graphs[parent]
            for edge in edges:
                key = (number, edge.name)
                if key not in places:
                    places[key] = len(level.names)
                    child = graphs[number].objects[edge.name]
                    level.graphs.append(number)
                    level.names.append(edge.name)
                    level.objects.append(child)
                    below.append(child.inputs)
                parents, children, weights = above.edges.setdefault(edge.index, ([], [], []))
                parents.append(parent)
                children.append(places[key])
                weights.append(edge.weight)
        levels.append(level)
        pending = below
    return levels
