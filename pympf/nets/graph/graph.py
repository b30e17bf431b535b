"""Reverse sweeps over a dataflow graph, over all paths or over a group of them.

By the chain rule the derivative of an output is a sum over all paths to it, of the products of the
derivatives along each path. A sweep that starts at the output and drops what arrives at some nodes
sums the paths that avoid them; two sweeps, from the output to v and from v on, sum the paths
through v. So a group of paths costs a few sweeps, however many paths there are (thesis, section
3.3.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pympf.nets._checks import Array
from pympf.nets.graph.node import Node

__all__ = ["Graph", "grad"]


class Graph:
    """All that some outputs were computed from.

    Parameters
    ----------
    *outputs : Node
        One or more.

    Raises
    ------
    ValueError
        If two nodes have the same name.

    Examples
    --------
    >>> from pympf.nets.graph import Graph, variable
    >>> x = variable([2.0], "x")
    >>> y = ((x * x).named("square") + x).named("y")
    >>> graph = Graph(y)
    >>> sorted(graph.named())
    ['square', 'x', 'y']
    >>> list(graph.paths("x", "y"))
    [('x', 'y'), ('x', 'square', 'y')]
    """

    def __init__(self, *outputs: Node) -> None:
        for output in outputs:
            if not isinstance(output, Node):
                raise TypeError(f"expected nodes of a graph, got {type(output).__name__}")
        found = {node.number: node for node in outputs}
        to_do = list(outputs)
        while to_do:
            for parent in to_do.pop().parents:
                if parent is not None and parent.number not in found:
                    found[parent.number] = parent
                    to_do.append(parent)
        # A node is made after its parents, so that numbers order the graph.
        self.nodes = [found[number] for number in sorted(found)]
        self.outputs = outputs
        self._names: dict[str, Node] = {}
        for node in self.nodes:
            if node.name is not None and self._names.setdefault(node.name, node) is not node:
                raise ValueError(f"expected different names of nodes, got {node.name!r} twice")
        self._reaches: dict[tuple[int, ...], set[int]] = {}

    def __repr__(self) -> str:
        return f"<Graph of {len(self.nodes)} nodes, {len(self._names)} with names>"

    # ---- structure -------------------------------------------------------------------------------
    def named(self) -> dict[str, Node]:
        """Give the nodes that have names.

        Not collective.

        Returns
        -------
        dict
            From names to nodes, in the order in which they were computed.

        Examples
        --------
        >>> from pympf.nets.graph import Graph, variable
        >>> list(Graph(variable([1.0], "x") + 1).named())
        ['x']
        """
        return dict(self._names)

    def node(self, which: str | Node) -> Node:
        """Find a node by its name.

        Not collective.

        Parameters
        ----------
        which : str or Node
            A node is given back.

        Returns
        -------
        Node
            It.

        Raises
        ------
        ValueError
            If there is none of this name; the message lists the names.

        Examples
        --------
        >>> from pympf.nets.graph import Graph, variable
        >>> Graph(variable([1.0], "x") + 1).node("x").kind
        'variable'
        """
        if isinstance(which, Node):
            return which
        if which not in self._names:
            names = ", ".join(self._names) or "none, as no node was named"
            raise ValueError(f"expected the name of a node, one of {names}; got {which!r}")
        return self._names[which]

    def paths(self, source: str | Node, target: str | Node) -> Iterator[tuple[str, ...]]:
        """List the dataflow paths between two nodes, by the named nodes that they pass.

        A tuple stands for all paths that pass these named nodes and no others: the group with
        ``through`` what lies inside and ``avoid`` all other names. The groups are disjoint and
        complete. There can be exponentially many; they come one at a time.

        Not collective.

        Parameters
        ----------
        source, target : str or Node
            Both with a name.

        Yields
        ------
        tuple of str
            From the source to the target.

        Examples
        --------
        >>> from pympf.nets.graph import Graph, tanh, variable
        >>> x = variable([1.0], "x")
        >>> a, b = tanh(x).named("a"), (x * 2).named("b")
        >>> list(Graph((a + b).named("y")).paths("x", "y"))
        [('x', 'a', 'y'), ('x', 'b', 'y')]
        """
        start, end = self.node(source), self.node(target)
        if start.name is None or end.name is None:
            raise ValueError("expected a source and a target with names, got a node without")
        below = self._reached_from((start,))
        next_named: dict[int, list[Node]] = {}

        def parents_with_names(node: Node) -> list[Node]:
            """Named nodes, on the way to the source, that reach this one past no other name."""
            if node.number not in next_named:
                found: dict[int, Node] = {}
                to_do, seen = [node], {node.number}
                while to_do:
                    for parent in to_do.pop().parents:
                        if parent is None or parent.number not in below | {start.number}:
                            continue
                        if parent.name is not None:
                            found[parent.number] = parent
                        elif parent.number not in seen:
                            seen.add(parent.number)
                            to_do.append(parent)
                next_named[node.number] = [found[number] for number in sorted(found)]
            return next_named[node.number]

        walks: list[tuple[Node, tuple[str, ...]]] = [(end, (end.name,))]
        while walks:
            node, tail = walks.pop()
            if node is start:
                yield tail
                continue
            for parent in reversed(parents_with_names(node)):
                walks.append((parent, (str(parent.name), *tail)))

    def ancestors(self, which: str | Node) -> set[Node]:
        """Give all nodes that a node was computed from, and itself.

        Not collective.

        Parameters
        ----------
        which : str or Node
            A node.

        Returns
        -------
        set of Node
            The slice of the program that can affect it.

        Examples
        --------
        >>> from pympf.nets.graph import Graph, variable
        >>> graph = Graph((variable([1.0], "x") + variable([1.0], "y")).named("z"))
        >>> sorted(node.name for node in graph.ancestors("x"))
        ['x']
        """
        return set(Graph(self.node(which)).nodes)

    def _reached_from(self, sources: Sequence[Node]) -> set[int]:
        """Give the numbers of the sources and of all that depends on them."""
        key = tuple(source.number for source in sources)
        if key not in self._reaches:
            reached = set(key)
            for node in self.nodes:
                for parent in node.parents:
                    if parent is not None and parent.number in reached:
                        reached.add(node.number)
                        break
            self._reaches[key] = reached
        return self._reaches[key]

    # ---- reverse sweeps --------------------------------------------------------------------------
    def grad(
        self,
        output: str | Node,
        inputs: Sequence[str | Node],
        *,
        seed: Array | None = None,
        through: Sequence[str | Node] = (),
        avoid: Sequence[str | Node] = (),
    ) -> list[Array]:
        """Differentiate an output, along all paths or along a group of them.

        Not collective.

        Parameters
        ----------
        output : str or Node
            A node of the graph.
        inputs : sequence of str or Node
            Leaves or any other nodes, parameters too.
        seed : ndarray, optional
            Adjoint of the output, ones by default: the derivative of the sum of its entries.
        through : sequence of str or Node
            Nodes that all paths of the group pass, in any order.
        avoid : sequence of str or Node
            Nodes that no path of the group passes.

        Returns
        -------
        list of ndarray
            One of the shape of each input; zeros where the output does not depend on it.

        Raises
        ------
        ValueError
            If a name is unknown, or no path from the inputs passes `through`.

        Examples
        --------
        >>> from pympf.nets.graph import Graph, variable
        >>> x = variable([3.0], "x")
        >>> y = (x * x).named("square") + 2 * x
        >>> graph = Graph(y)
        >>> graph.grad(y, [x]), graph.grad(y, [x], avoid=["square"])
        ([array([8.])], [array([2.])])
        """
        start = self.node(output)
        leaves = [self.node(which) for which in inputs]
        g = np.ones_like(start.value) if seed is None else _as_seed(seed, start)
        stops, avoided = self._group(through, avoid)
        for stop in reversed(stops):
            if stop is not start:
                (found,) = self._sweep(start, g, [stop], avoided)
                if found is None:
                    raise self._no_path(stops, avoid)
                start, g = stop, found
        results = self._sweep(start, g, leaves, avoided)
        if stops and all(result is None for result in results):
            raise self._no_path(stops, avoid)
        return [
            np.zeros_like(leaf.value) if result is None else np.asarray(result)
            for leaf, result in zip(leaves, results, strict=True)
        ]

    def grad_of_others(
        self,
        output: str | Node,
        inputs: Sequence[str | Node],
        *,
        seed: Array | None = None,
        through: Sequence[str | Node] = (),
        avoid: Sequence[str | Node] = (),
    ) -> list[Array]:
        """Differentiate along all paths that a group leaves out: its complement.

        One sweep, in which an adjoint remembers how many of the nodes it has passed; with `grad` of
        the group it sums to `grad` of all paths.

        Not collective.

        Parameters
        ----------
        output : str or Node
            A node of the graph.
        inputs : sequence of str or Node
            Leaves or any other nodes.
        seed : ndarray, optional
            Adjoint of the output, ones by default.
        through, avoid : sequence of str or Node
            The group, as of `grad`.

        Returns
        -------
        list of ndarray
            One of the shape of each input.

        Examples
        --------
        >>> from pympf.nets.graph import Graph, variable
        >>> x = variable([3.0], "x")
        >>> y = (x * x).named("square") + 2 * x
        >>> Graph(y).grad_of_others(y, [x], through=["square"])
        [array([2.])]
        """
        start = self.node(output)
        leaves = [self.node(which) for which in inputs]
        g = np.ones_like(start.value) if seed is None else _as_seed(seed, start)
        stops, avoided = self._group(through, avoid)
        places = {stop.number: len(stops) - k for k, stop in enumerate(stops)}
        lost = len(stops) + 1
        reached = self._reached_from(leaves)
        adjoints: dict[int, dict[int, Array]] = {start.number: {0: g}}
        results: dict[int, Array] = {}
        for node in self._backwards(start, reached):
            found = adjoints.pop(node.number, None)
            if found is None:
                continue
            passed: dict[int, Array] = {}
            for state, adjoint in found.items():
                if node.number in avoided:
                    state = lost
                elif places.get(node.number) == state + 1:
                    state += 1
                passed[state] = passed[state] + adjoint if state in passed else adjoint
            others = [adjoint for state, adjoint in passed.items() if state != len(stops)]
            if others:
                results[node.number] = np.sum(others, axis=0) if len(others) > 1 else others[0]
            for state, adjoint in passed.items():
                for parent, part in self._contributions(node, adjoint, reached):
                    below = adjoints.setdefault(parent.number, {})
                    below[state] = below[state] + part if state in below else part
        return [results.get(leaf.number, np.zeros_like(leaf.value)) for leaf in leaves]

    def _group(self, through: Any, avoid: Any) -> tuple[list[Node], set[int]]:
        """Give the nodes to pass, in the order of the dataflow, and numbers of those to avoid."""
        for name, given in (("through", through), ("avoid", avoid)):
            if isinstance(given, str | Node):
                raise TypeError(f"expected a list of nodes for {name}, got {given!r}")
        stops = sorted({self.node(w) for w in through}, key=lambda node: node.number)
        avoided = {self.node(which).number for which in avoid}
        for stop in stops:
            if stop.number in avoided:
                raise ValueError(f"expected to pass or to avoid {stop.name or stop}, got both")
        return stops, avoided

    def _no_path(self, stops: Sequence[Node], avoid: Sequence[Any]) -> ValueError:
        passed = ", then ".join(stop.name or str(stop) for stop in stops)
        avoided = ", ".join(str(getattr(a, "name", a) or a) for a in avoid)
        return ValueError(
            f"expected paths from the inputs through {passed}"
            + (f" that avoid {avoided}" if avoided else "")
            + ", there are none"
        )

    def _backwards(self, start: Node, reached: set[int]) -> Iterator[Node]:
        for node in reversed(self.nodes):
            if node.number <= start.number and node.number in reached:
                yield node

    def _contributions(
        self, node: Node, g: Array, reached: set[int]
    ) -> Iterator[tuple[Node, Array]]:
        if node._back is not None:
            wanted = [parent is not None and parent.number in reached for parent in node.parents]
            for parent, part, want in zip(node.parents, node._back(g, wanted), wanted, strict=True):
                if want and parent is not None:
                    yield parent, part

    def _sweep(
        self, start: Node, g: Array, targets: Sequence[Node], avoided: set[int]
    ) -> list[Array | None]:
        """Carry an adjoint from a node to others; None where no path leads."""
        reached = self._reached_from(targets)
        numbers = {target.number for target in targets}
        lowest = min(numbers)
        adjoints, owned = {start.number: g}, set()
        results: dict[int, Array] = {}
        for node in self._backwards(start, reached):
            number = node.number
            if number < lowest:
                break
            found = adjoints.pop(number, None)
            if found is None or number in avoided:
                continue
            if number in numbers:
                results[number] = found
            if node._into is not None:  # few entries: add them in place
                (parent,) = node.parents
                if parent is None or parent.number not in reached:
                    continue
                below = parent.number
                if below not in owned:
                    old = adjoints.get(below)
                    adjoints[below] = (
                        np.zeros(parent.value.shape, found.dtype) if old is None else old.copy()
                    )
                    owned.add(below)
                node._into(adjoints[below], found)
                continue
            for parent, part in self._contributions(node, found, reached):
                below = parent.number
                if below not in adjoints:
                    adjoints[below] = part
                elif below in owned:
                    adjoints[below] += part
                else:
                    adjoints[below] = adjoints[below] + part
                    owned.add(below)
        return [results.get(target.number) for target in targets]


def _as_seed(seed: Array, output: Node) -> Array:
    g = np.asarray(seed, dtype=output.value.dtype)
    if g.shape != output.value.shape:
        raise ValueError(f"expected a seed of shape {output.value.shape}, got {g.shape}")
    return g


def grad(
    output: Node,
    inputs: Sequence[str | Node],
    *,
    seed: Array | None = None,
    through: Sequence[str | Node] = (),
    avoid: Sequence[str | Node] = (),
) -> list[Array]:
    """Differentiate an output, along all paths or along a group of them.

    Not collective.

    Parameters
    ----------
    output : Node
        What is differentiated; the sum of its entries unless there is a seed.
    inputs : sequence of str or Node
        Leaves, parameters, or any other nodes.
    seed : ndarray, optional
        Adjoint of the output, ones by default.
    through, avoid : sequence of str or Node
        Nodes that paths pass, all of them, and that they do not pass.

    Returns
    -------
    list of ndarray
        One of the shape of each input.

    Examples
    --------
    >>> from pympf.nets.graph import grad, tanh, variable
    >>> x = variable([0.0], "x")
    >>> grad(tanh(x).named("a") + 2 * x, [x], through=["a"])
    [array([1.])]
    """
    return Graph(output).grad(output, inputs, seed=seed, through=through, avoid=avoid)
