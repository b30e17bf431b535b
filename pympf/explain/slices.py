"""Slices of a dataflow graph: what reaches a node, and what a node reaches (program slicing)."""

from __future__ import annotations

from pympf.nets.graph import Graph, Node

__all__ = ["Slice"]


class Slice:
    """What can affect a node: the part of the program that computes it.

    Attributions of anything else to the node are zero; so a slice tells what an analysis has to
    look at, before any number is computed (thesis, section 3.2.1).

    Parameters
    ----------
    graph : Graph or Node
        A graph, or its output.
    node : str or Node, optional
        The node; by default the output of the graph.

    Examples
    --------
    >>> from pympf.explain import Slice
    >>> from pympf.nets.graph import concatenate, variable
    >>> words, match = variable([[1.0]], "words"), variable([[0.0]], "match")
    >>> state = (words * 2).named("state")
    >>> graph = concatenate([state, match]).named("logits")
    >>> Slice(graph, "state").inputs, Slice(graph).inputs
    (['words'], ['words', 'match'])
    >>> Slice(graph, "state").reached
    ['state', 'logits']
    """

    def __init__(self, graph: Graph | Node, node: str | Node | None = None) -> None:
        self._graph = graph if isinstance(graph, Graph) else Graph(graph)
        self.node = self._graph.outputs[0] if node is None else self._graph.node(node)
        self._above = self._graph.ancestors(self.node)

    @property
    def inputs(self) -> list[str]:
        """Names of the leaves that reach the node."""
        return [name for name in self.names if not self._graph.node(name).parents]

    @property
    def names(self) -> list[str]:
        """Names of all nodes that reach it, and its own, in the order of the dataflow."""
        return [name for name, node in self._graph.named().items() if node in self._above]

    @property
    def reached(self) -> list[str]:
        """Names of all nodes that it reaches, and its own."""
        graph = self._graph
        return [name for name, node in graph.named().items() if self.node in graph.ancestors(node)]

    def __contains__(self, node: str | Node) -> bool:
        return self._graph.node(node) in self._above

    def __repr__(self) -> str:
        return f"<Slice of {self.node.name or self.node.kind}: {', '.join(self.names)}>"
