"""All attributes of a known graph at once, by least squares.

An overall sketch is linear in the attributes, s = A x + s_0, where s_0 are counters and signatures,
and the kept prefix of it has more numbers than there are attributes: then LSQR finds them, exactly
where estimators of one object find them up to the noise of all the others. A and A' are the
recursion and its transpose (`Scheme.forward`, `Scheme.adjoint`). The unknowns x_o of an object are
scaled by 1 / ‖A_o‖, the mean norm of its columns, which adjoints of random signs y tell of all
objects at once: E (A_o' y)_j² = ‖A_o e_j‖². Cost: two products of a sketch per iteration.

References
----------
.. [1] C. Paige, M. Saunders, "LSQR: an algorithm for sparse linear equations and sparse least
   squares", ACM TOMS 8, 1982.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, lsqr

from pympf.sketch._products import Columns, by_module
from pympf.sketch._sketch import Sketch
from pympf.sketch.graph import Graph, Level, expand
from pympf.sketch.scheme import Scheme

__all__ = ["JointResult", "recover_jointly"]

PROBES = 4  # the mean norm of 64 columns within 9 %


@dataclass(frozen=True)
class JointResult:
    """What `recover_jointly` has found.

    Attributes
    ----------
    attributes : dict
        Of every object that has a path to the output.
    iterations : int
        Of LSQR.
    residual : float
        ‖A x + s_0 − s‖ / ‖s‖.
    """

    attributes: Mapping[Hashable, NDArray[np.float64]]
    iterations: int
    residual: float


def recover_jointly(
    scheme: Scheme,
    sketch: Sketch,
    graph: Graph,
    *,
    tolerance: float = 1e-8,
    max_iterations: int = 1000,
) -> JointResult:
    """Recover the attributes of all objects of a known graph from its overall sketch.

    Collective. Known are the modules, the inputs and weights, how many attributes each object has,
    and the signatures; the numbers in the graph's attributes are not looked at.

    Parameters
    ----------
    scheme : Scheme
    sketch : Sketch
        Overall sketch, also an erased one.
    graph : Graph
    tolerance : float
        Of LSQR: relative, of the residual.
    max_iterations : int

    Returns
    -------
    JointResult

    Raises
    ------
    ValueError
        If there are more unknown attributes than numbers kept, or the sketch is of another scheme.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.sketch import Graph, Scheme, recover_jointly
    >>> scheme, graph = Scheme(1050, b=42), Graph()
    >>> graph.add("eye", "eye", [0.1, 0.2])
    >>> graph.add("tom", "cat", [0.6, 0.8], inputs={"eye": 1.0})
    >>> graph.set_output({"tom": 1.0})
    >>> found = recover_jointly(scheme, scheme.sketch(graph).erase(630), graph)
    >>> np.allclose(found.attributes["eye"], [0.1, 0.2])
    True
    """
    with scheme._ranks.guard():
        scheme.check(sketch)
        system = _System(scheme, expand([graph]), sketch.kept)
    right = sketch.values[: sketch.kept] - system.constant()
    x, _, iterations, residual, *_ = lsqr(
        system, right, atol=tolerance, btol=tolerance, conlim=0, iter_lim=max_iterations
    )
    norm = np.linalg.norm(sketch.values)
    return JointResult(system.split(x * system.scales), iterations, residual / max(norm, 1e-300))


class _System(LinearOperator):
    """A: the attributes of all objects, scaled, to the kept prefix of the overall sketch."""

    def __init__(self, scheme: Scheme, levels: list[Level], kept: int) -> None:
        self.scheme, self.levels, self.kept = scheme, levels, kept
        self.slices: dict[Hashable, slice] = {}
        start = 0
        for level in levels[1:]:
            for name, made in zip(level.names, level.objects, strict=True):
                if made is not None and name not in self.slices:
                    size = len(made.attributes)
                    self.slices[name] = slice(start, start + size)
                    start += size
        if not self.slices:
            raise ValueError("expected a graph with objects in its output, got none")
        if start > kept:
            raise ValueError(
                f"expected at most as many attributes as numbers are kept, {kept}; got {start}"
            )
        super().__init__(dtype=np.float64, shape=(kept, start))
        self.scales = np.ones(start)
        self.scales = self._inverse_norms()

    def _inverse_norms(self) -> NDArray[np.float64]:
        signs = np.random.default_rng(0).choice((-1.0, 1.0), (PROBES, self.kept))
        squares = np.mean([self.rmatvec(y) ** 2 for y in signs], axis=0)
        scales = np.ones(self.shape[1])
        for part in self.slices.values():
            if squares[part].any():
                scales[part] = 1 / np.sqrt(squares[part].mean())
        return scales

    def constant(self) -> NDArray[np.float64]:
        """Give what counters and signatures bring to the sketch."""
        levels = []
        for level in self.levels:
            objects = [
                made and replace(made, attributes=0 * made.attributes) for made in level.objects
            ]
            levels.append(Level(level.depth, level.graphs, level.names, objects, level.edges))
        return self.scheme.whole(self.scheme.forward(levels)[0])[: self.kept, 0]

    def split(self, x: NDArray[np.float64]) -> dict[Hashable, NDArray[np.float64]]:
        """Give each object its part of the unknowns."""
        return {name: x[part] for name, part in self.slices.items()}

    def _matvec(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = self.split(x.ravel() * self.scales)
        attributes: list[Columns] = [np.zeros((0, 0))]
        for level in self.levels[1:]:
            attributes.append(self.scheme.pad([parts[name] for name in level.names]))
        return self.scheme.whole(self.scheme.forward(self.levels, attributes)[0])[: self.kept, 0]

    def _rmatvec(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        s = self.scheme.pad([y.ravel()])
        out = np.zeros(self.shape[1])
        for level, adjoint in self.scheme.adjoint(self.levels, s):
            for module, at in by_module(level).items():
                found = self.scheme.matrix(module, 1).apply_transpose(adjoint[:, at])
                found = 0.5 * self.scheme.whole(found)
                for column, place in enumerate(at):
                    part = self.slices[level.names[place]]
                    out[part] += found[: part.stop - part.start, column]
        return out * self.scales
