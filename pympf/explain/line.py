"""A function of a dataflow graph along the straight line from a baseline to an input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pympf.nets._checks import Array
from pympf.nets.graph import Graph, Node, variable

__all__ = ["Line", "Paths"]

Target = tuple[str | None, tuple[int, ...]]
"""The name of a node, None for the output, and the place in its value."""


class Paths(NamedTuple):
    """A group of dataflow paths, from the inputs to the target.

    Parameters
    ----------
    through : sequence of str
        Names of nodes that every path of the group passes.
    avoid : sequence of str
        Names of nodes that none of them passes.
    others : bool
        Whether all *other* paths are meant: the complement.

    Examples
    --------
    >>> from pympf.explain import Paths
    >>> Paths(through=["context"], avoid=["state"])
    Paths(through=['context'], avoid=['state'], others=False)
    """

    through: Sequence[str] = ()
    avoid: Sequence[str] = ()
    others: bool = False

    def complement(self) -> Paths:
        """Give the group of all other paths.

        Not collective.

        Returns
        -------
        Paths
            Attributions of a group and of its complement add up to those of all paths.

        Examples
        --------
        >>> from pympf.explain import Paths
        >>> Paths(through=["context"]).complement().others
        True
        """
        return self._replace(others=not self.others)


class Integrals(NamedTuple):
    """What `Line.integrals` finds at the points of pieces, and its sums over them.

    `values` and the directional derivatives `slopes`, dF/dα, have the shape (pieces, q, targets);
    `regimes` has the shape (pieces, q); `sums` of the derivatives are [target][group][input], of
    the shape (pieces, *input), group 0 being all paths.
    """

    values: Array
    regimes: Array
    slopes: Array
    sums: Any


class Line:
    """F(x' + α (x - x')) for targets of a forward function, and its derivatives.

    `gradients` are those by x, for each target, of all paths and then of each group of paths.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        inputs: Mapping[str, Array] | Sequence[Array],
        baselines: Sequence[Array],
        targets: Sequence[Target],
        groups: Sequence[Mapping[str, Paths]],
        batch: int,
    ) -> None:
        self.forward, self.batch = forward, batch
        self.by_name = isinstance(inputs, Mapping)
        self.inputs = list(inputs.values()) if isinstance(inputs, Mapping) else list(inputs)
        count = range(len(self.inputs))
        self.keys = list(inputs) if isinstance(inputs, Mapping) else [f"inputs[{k}]" for k in count]
        self.baselines = list(baselines)
        self.differences = [
            np.asarray(x, np.float64) - np.asarray(b, np.float64)
            for x, b in zip(self.inputs, self.baselines, strict=True)
        ]
        self.targets, self.groups = list(targets), list(groups)
        self.n_points = self.n_values = 0

    # ---- evaluation ------------------------------------------------------------------------------
    def _graph(self, alphas: Array) -> tuple[Graph, list[Node], list[Node]]:
        """Compute a batch; give the graph, its leaves, and the node of each target."""
        leaves = []
        for key, x, b, d in zip(
            self.keys, self.inputs, self.baselines, self.differences, strict=True
        ):
            steps = alphas.reshape(-1, *[1] * x.ndim)
            # Exact at both ends: b + 1 (x - b) need not be x.
            points = np.where(steps < 0.5, b + steps * d, x - (1 - steps) * d)
            leaves.append(variable(points.astype(x.dtype, copy=False), key))
        if self.by_name:
            output = self.forward(**dict(zip(self.keys, leaves, strict=True)))
        else:
            output = self.forward(*leaves)
        outputs = output if isinstance(output, tuple | list) else (output,)
        graph = Graph(*outputs)
        self._check_values(graph)
        nodes = [outputs[0] if name is None else graph.node(name) for name, _ in self.targets]
        for node, (name, place) in zip(nodes, self.targets, strict=True):
            check_place(node, name, place, len(alphas))
        return graph, leaves, nodes

    def _read(self, nodes: list[Node]) -> Array:
        """Values of the targets, shape (points, targets), in float64."""
        columns = [
            node.value[_at(place)].reshape(-1)
            for node, (_, place) in zip(nodes, self.targets, strict=True)
        ]
        return np.stack(columns, axis=1).astype(np.float64)

    def values(self, alphas: Array) -> tuple[Array, Array]:
        """Targets at places of the line, shape (points, targets), and the regimes there."""
        found = [self._values(alphas[k : k + self.batch]) for k in self._starts(alphas)]
        return np.concatenate([f for f, _ in found]), np.concatenate([r for _, r in found])

    def _values(self, alphas: Array) -> tuple[Array, Array]:
        with np.errstate(all="ignore"):
            graph, _, nodes = self._graph(alphas)
        self.n_values += len(alphas)
        return self._read(nodes), regimes(graph, len(alphas))

    def _starts(self, alphas: Array) -> range:
        return range(0, len(alphas), self.batch)

    def crossings(self, alphas: Array) -> list[Array]:
        """What changes its sign at kinks, node by node, shape (points, entries); one batch."""
        with np.errstate(all="ignore"):
            graph, _, _ = self._graph(alphas)
        self.n_values += len(alphas)
        found = (node.crossing() for node in graph.nodes if node.crossing is not None)
        return [array.reshape(len(alphas), -1) for array in found if len(array) == len(alphas)]

    def integrals(self, alphas: Array, weights: Array) -> Integrals:
        """Weighted sums of derivatives over points of shape (pieces, q); one batch."""
        pieces, q = alphas.shape
        with np.errstate(all="ignore"):
            graph, leaves, nodes = self._graph(alphas.ravel())
            self.n_points += alphas.size
            sums, slopes = [], []
            for k, node in enumerate(nodes):
                seed = np.zeros_like(node.value)
                seed[_at(self.targets[k][1])] = 1
                gradients = list(self._gradients(graph, node, leaves, seed, self.groups[k]))
                slopes.append(self._slope(gradients[0]))
                sums.append([[_sum(weights, g) for g in group] for group in gradients])
        slope = np.stack(slopes, axis=1).reshape(pieces, q, -1)
        regime = regimes(graph, alphas.size).reshape(alphas.shape)
        return Integrals(self._read(nodes).reshape(slope.shape), regime, slope, sums)

    def _gradients(
        self,
        graph: Graph,
        node: Node,
        leaves: list[Node],
        seed: Array,
        groups: Mapping[str, Paths],
    ) -> Iterator[list[Array]]:
        gradients = graph.grad(node, leaves, seed=seed)
        if not all(np.isfinite(g).all() for g in gradients):
            raise ValueError(
                f"expected finite gradients, got NaN or infinity {_where(graph, node)}"
            )
        yield gradients
        for through, avoid, others in groups.values():
            sweep = graph.grad_of_others if others else graph.grad
            yield sweep(node, leaves, seed=seed, through=through, avoid=avoid)

    def _slope(self, gradients: list[Array]) -> Array:
        total = np.zeros(len(gradients[0]))
        for g, d in zip(gradients, self.differences, strict=True):
            total += g.reshape(len(g), -1) @ d.reshape(-1)
        return total

    def _check_values(self, graph: Graph) -> None:
        for node in graph.nodes:
            # A sum is finite unless an entry is not or it overflows: then look closer.
            if not np.isfinite(node.value.sum()) and not np.isfinite(node.value).all():
                raise ValueError(f"expected finite values, got NaN or infinity in {_name(node)}")


# ---- helpers -------------------------------------------------------------------------------------
def plus(a: Any, b: Any) -> Any:
    """Add arrays in nested lists; None is zero."""
    if a is None:
        return b
    if isinstance(a, list):
        return [plus(x, y) for x, y in zip(a, b, strict=True)]
    return a + b


def _at(place: tuple[int, ...]) -> Any:
    """Index an entry of each point."""
    return (slice(None), *place)


def _sum(weights: Array, gradient: Array) -> Array:
    """Sum over the points of each piece in float64."""
    pieces, q = weights.shape
    shape = gradient.shape[1:]
    return np.matmul(
        weights[:, np.newaxis], gradient.reshape(pieces, q, -1).astype(np.float64, copy=False)
    ).reshape(pieces, *shape)


def regimes(graph: Graph, n: int) -> Array:
    """Condense what regimes each point is in to one number; other regimes, another number."""
    total = np.zeros(n, np.uint64)
    rng = np.random.default_rng(0)
    for node in graph.nodes:
        if node.regime is not None:
            rows = np.asarray(node.regime).reshape(n, -1).astype(np.uint64) + np.uint64(1)
            factors = rng.integers(1, 2**63, rows.shape[1], dtype=np.uint64)
            # Squares, or (1, 2) and (2, 1) of neighbors would often meet in the sum.
            total += ((rows ^ factors) * (rows + factors)).sum(axis=1, dtype=np.uint64)
    return total


def check_place(node: Node, name: str | None, place: tuple[int, ...], points: int) -> None:
    """Check that a target is an entry of a node's value at each point."""
    what = "the output" if name is None else f"node {name!r}"
    shape = node.value.shape
    if not shape or shape[0] != points:
        raise ValueError(
            f"expected {what} to have the points as its leading axis, {points} of them, "
            f"got shape {shape}"
        )
    inner = shape[1:]
    if not place and np.prod(inner, dtype=int) == 1:
        return
    if len(place) != len(inner):
        raise ValueError(
            f"expected a target with {len(inner)} indices for {what} of shape {inner} at each "
            f"point, got {place if place else 'none'}; choose an entry, or list several"
        )
    for k, n in zip(place, inner, strict=True):
        if not 0 <= k < n:
            raise ValueError(f"expected a target from 0 to {n - 1} for {what}, got {k}")


def _name(node: Node) -> str:
    """Name a node by its operator, and by the next names on the way to the inputs."""
    if node.name is not None:
        return f"{node.name!r} ({node.kind})"
    found: dict[int, str] = {}
    to_do, seen = [node], {node}
    while to_do:
        for parent in to_do.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                if parent.name is None:
                    to_do.append(parent)
                else:
                    found[parent.number] = repr(parent.name)
    after = ", ".join(found[number] for number in sorted(found))
    return f"{node.kind} after {after}" if after else node.kind


def _where(graph: Graph, output: Node) -> str:
    """Find the operator whose adjoint first is not finite, from the output down."""
    for node in reversed(graph.nodes):
        if node.number < output.number and not np.isfinite(graph.grad(output, [node])[0]).all():
            users = [user for user in graph.nodes if any(p is node for p in user.parents)]
            users = [user for user in users if user in graph.ancestors(output)]
            return f"in the derivative of {_name(users[-1])} by {_name(node)}"
    return f"by {_name(output)}"
