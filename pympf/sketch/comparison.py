"""Sketches beside and inside sketches: how similar, which object, what they have in common.

References
----------
.. [1] Paper 000, theorem 2 and section 1.1.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pympf.la import checks
from pympf.sketch._products import Columns, half_transpose
from pympf.sketch._sketch import Sketch
from pympf.sketch.graph import checked_vector
from pympf.sketch.recovery import descend, positive_weight
from pympf.sketch.scheme import Scheme

__all__ = ["Match", "Similarity", "compare", "nearest", "similarity", "unroll"]

UNRELATED = {"block": 2.7, "orthonormal": 1.0}
"""Dot products of unrelated sketches: root mean square in units of |s| |t| / √d."""

BASELINES = 3
"""Indices beyond those in use that `compare` looks at."""


@dataclass(frozen=True)
class Similarity:
    """A dot product, and that in standard deviations of unrelated sketches' ones."""

    value: float
    z: float


@dataclass(frozen=True)
class Match:
    """Two places in two sketches that hold similar objects, see `compare`."""

    path: tuple[int, ...]
    other_path: tuple[int, ...]
    z: float


def _inputs_at(
    scheme: Scheme, s: Columns, path: Sequence[int], ancestors: Sequence[Hashable]
) -> Columns:
    """Bring an overall sketch down to the input subsketch of the object at a place."""
    if len(ancestors) != len(path):
        raise ValueError(
            f"expected the modules of the {len(path)} objects of the path, got {list(ancestors)}"
        )
    if not path:
        return s
    s = descend(scheme, s, path, ancestors[:-1], "index_own")
    s = half_transpose(scheme.matrix(ancestors[-1], 0), s)
    return half_transpose(scheme.attribute_matrix(len(path) + 1, 2), s)


def unroll(
    scheme: Scheme,
    sketch: Sketch,
    path: Sequence[int],
    weight: float,
    *,
    ancestors: Sequence[Hashable] = (),
    estimator: str = "index",
) -> Sketch:
    """Estimate the sketch of an object at a place of an overall sketch.

    Collective. The error is several times as large as the sketch itself (its cosine with the true
    one is about .27 for one of 4 objects), but it tells which of a repository's it is: `nearest`.

    Parameters
    ----------
    scheme, sketch, ancestors
        As in `recover_attributes`.
    path : sequence of int
    weight : float
        Effective weight.
    estimator : {'index', 'full'}

    Returns
    -------
    Sketch
        Whole; of a prefix, what that tells.

    Raises
    ------
    ValueError
        As in `recover_attributes`.

    Examples
    --------
    >>> from pympf.sketch import Graph, Scheme, nearest, unroll
    >>> scheme, graph = Scheme(4128, b=48), Graph()
    >>> graph.add("tom", "cat", [0.6, 0.8])
    >>> graph.add("rex", "dog", [0.6, 0.8])
    >>> graph.set_output({"tom": 0.5, "rex": 0.5})
    >>> known = [scheme.object_sketch(graph, name) for name in ("tom", "rex")]
    >>> nearest(unroll(scheme, scheme.sketch(graph), [2], 0.5), known)
    1
    """
    checks.choice(estimator, "estimator", ("index", "full"))
    with scheme._ranks.guard():
        w = positive_weight(weight)
        scheme.check(sketch)
    s = descend(scheme, scheme.local(sketch), path, ancestors, estimator)
    factor = 2.0 * 16.0 ** (len(path) - 1) / w
    return Sketch(factor * scheme.whole(s)[:, 0], scheme.checksum)


def nearest(sketch: Sketch | ArrayLike, candidates: Sequence[Sketch] | ArrayLike) -> int:
    """Return which of some sketches, or vectors, has the largest cosine with a given one.

    Not collective.

    Parameters
    ----------
    sketch : Sketch or array_like, shape (n,)
    candidates : sequence of Sketch, or array_like, shape (count, n)

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> from pympf.sketch import nearest
    >>> nearest([1.0, 0.9], [[1.0, -1.0], [1.0, 1.0]])
    1
    """
    table = np.array([_values(candidate) for candidate in candidates])  # type: ignore[union-attr]
    if not len(table):
        raise ValueError("expected at least one candidate")
    x = _values(sketch)
    norms = np.linalg.norm(table, axis=1)
    return int(np.argmax(table @ x / np.where(norms > 0, norms, 1.0)))


def _values(sketch: Any) -> NDArray[np.float64]:
    return sketch.values if isinstance(sketch, Sketch) else checked_vector(sketch, "sketch")


def similarity(scheme: Scheme, sketch: Sketch, other: Sketch) -> Similarity:
    """Return how similar two sketches are.

    Not collective.

    Parameters
    ----------
    scheme : Scheme
    sketch, other : Sketch
        Of this scheme: overall sketches, or those of objects.

    Returns
    -------
    Similarity
        ``value``: the dot product, about w w'/64 where they have an object of weights w and w' in
        common at the same index, half that at others. ``z``: that in units of what unrelated ones
        have at most, 2.7 |s| |t| / √d (1 for orthonormal matrices); from 4 on they have something
        in common.

    Raises
    ------
    ValueError
        If they are of another scheme.

    References
    ----------
    .. [1] Paper 000, theorem 2.

    Examples
    --------
    >>> from pympf.sketch import Graph, Scheme, similarity
    >>> scheme, graph = Scheme(4128, b=48), Graph()
    >>> graph.add("tom", "cat", [0.6, 0.8])
    >>> graph.set_output({"tom": 1.0})
    >>> sketch = scheme.sketch(graph)
    >>> similarity(scheme, sketch, sketch).z > 4
    True
    """
    scheme.check(sketch)
    scheme.check(other)
    value = sketch.dot(other)
    kept = min(sketch.kept, other.kept)
    unrelated = UNRELATED[scheme.family] * sketch.norm() * other.norm() / math.sqrt(kept)
    return Similarity(value, value / unrelated if unrelated > 0 else 0.0)


def compare(
    scheme: Scheme,
    sketch: Sketch,
    other: Sketch,
    width: int,
    *,
    path: Sequence[int] = (),
    other_path: Sequence[int] = (),
    ancestors: Sequence[Hashable] = (),
    other_ancestors: Sequence[Hashable] = (),
) -> list[Match]:
    """Find out what two overall sketches have in common: places of similar objects.

    Collective. Both are unrolled at every index below a place; the dot products of the parts tell
    the places of similar objects, below which the comparison may go on.

    Parameters
    ----------
    scheme : Scheme
    sketch, other : Sketch
    width : int
        Indices to look at, from 1.
    path, other_path : sequence of int
        The place below which to compare; by default the output.
    ancestors, other_ancestors : sequence of hashable
        Modules of the objects on these paths, the last one's included.

    Returns
    -------
    list of Match
        All pairs of places, most similar first. ``z`` is the dot product in units of the root mean
        square over all pairs, without the largest.

    Raises
    ------
    ValueError
        As in `recover_attributes`.

    Examples
    --------
    >>> from pympf.sketch import Graph, Scheme, compare
    >>> scheme, one, two = Scheme(4128, b=48), Graph(), Graph()
    >>> one.add("tom", "cat", [0.6, 0.8])
    >>> one.add("rex", "dog", [0.6, 0.8])
    >>> one.set_output({"tom": 0.5, "rex": 0.5})
    >>> two.add("may", "cow", [0.6, 0.8])
    >>> two.add("tom", "cat", [0.6, 0.8])
    >>> two.set_output({"may": 0.5, "tom": 0.5})
    >>> best = compare(scheme, scheme.sketch(one), scheme.sketch(two), 2)[0]
    >>> best.path, best.other_path
    ((1,), (2,))
    """
    width = checks.integer(width, "width", 1, 2**31)
    indices = range(1, width + 1 + BASELINES)
    bases, parts = [], []
    for whole, place, modules in ((sketch, path, ancestors), (other, other_path, other_ancestors)):
        base = _inputs_at(scheme, scheme.local(whole), place, modules)
        R = [scheme.input_matrix(len(place) + 1, i) for i in indices]
        unrolled = np.hstack([matrix.apply_transpose(base) for matrix in R])
        bases.append(scheme.whole(base)[:, 0])
        parts.append(scheme.whole(unrolled).T)
    # A common object is in both parts; and in each of them and in the other sketch as it is.
    dots = parts[0] @ parts[1].T + (parts[0] @ bases[1])[:, None] + parts[1] @ bases[0]
    # At equal indices all that is common meets, whatever the index: also at those not in use.
    dots[np.diag_indices(len(dots))] -= np.diag(dots)[width:].mean()
    dots = dots[:width, :width]
    rest = np.sort(np.abs(dots), axis=None)[:-1]
    unit = math.sqrt(float((rest**2).mean())) if len(rest) else 0.0
    unit = unit or float(np.abs(dots).max()) or 1.0
    found = [
        Match((*path, i + 1), (*other_path, j + 1), float(dots[i, j] / unit))
        for i in range(width)
        for j in range(width)
    ]
    return sorted(found, key=lambda match: -match.z)
