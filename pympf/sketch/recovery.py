"""What sketches tell of objects: attributes, counts, sums, signatures.

An estimate is a matched filter: the sketch goes back through transposes of some of the matrices
that an object went through, and is divided by the gain 32 · 16^(h−2) / w of the object's path.

    estimator     filter (depth 2)                     needs
    identity      R_{M,1}'                             module
    own           R_{M,1}' (I + R_a)' (I + R_{M,0})'   module
    index         R_{M,1}' R_i'                        module and path
    index_own     own after R_i'                       module and path
    full          own after (I + R_i)'                 module and path; the module's only object

Noise. An estimate of a coordinate is off by c σ₀ with σ₀ = 32 · 16^(h−2) |s| / (w √d), where c is
of the estimator and of the family (`NOISE`, measured: docs/sketch.md); the largest of d coordinates
is off by about √(2 ln d) c σ₀. A prefix d' instead of d makes it √(d/d') times as large.

References
----------
.. [1] Paper 000, section 3, theorems 1 to 3.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pympf.la import checks
from pympf.sketch._products import Columns, half_transpose
from pympf.sketch._sketch import Sketch
from pympf.sketch.graph import checked_weight
from pympf.sketch.matrices import BlockSparse
from pympf.sketch.scheme import Scheme

__all__ = [
    "Recovered",
    "noise_level",
    "recover_attributes",
    "recover_frequency",
    "recover_quantized",
    "recover_signature",
    "recover_summed_attributes",
]

NOISE = {
    "block": {"identity": 1.34, "own": 1.11, "index": 2.3, "index_own": 1.45, "full": 1.18},
    "orthonormal": {"identity": 1.0, "own": 0.58, "index": 1.0, "index_own": 0.58, "full": 0.53},
}
"""c: root mean square error of a coordinate in units of σ₀, the largest of those measured."""
COUNT_NOISE = {
    "block": {"identity": 1.5, "own": 1.0},
    "orthonormal": {"identity": 1.0, "own": 0.6},
}
"""c for frequencies, which are one coordinate."""


@dataclass(frozen=True)
class Recovered:
    """An estimate and how far it may be off.

    Attributes
    ----------
    value : float or numpy.ndarray
    sigma : float
        Standard deviation of the error of a coordinate.
    bound : float
        What the largest error of n coordinates hardly passes: 1.1 √(2 ln(10 n)) sigma, over the
        least norm of a column where these differ; and for a frequency 2 sigma.
    """

    value: Any
    sigma: float
    bound: float


def gain(weight: float, depth: int) -> float:
    """Return the factor 32 · 16^(h−2) / w of the estimators."""
    return 32.0 * 16.0 ** (depth - 2) / weight


def noise_level(
    scheme: Scheme, sketch: Sketch, weight: float, depth: int = 2, estimator: str = "own"
) -> float:
    """Return the standard deviation c σ₀ of the error of a coordinate, before anything is asked.

    Not collective.

    Parameters
    ----------
    scheme : Scheme
    sketch : Sketch
    weight : float
        Effective weight of the object, in (0, 1].
    depth : int
        2 for the inputs of the output.
    estimator : {'identity', 'own', 'index', 'index_own', 'full'}

    Returns
    -------
    float

    Examples
    --------
    >>> from pympf.sketch import Graph, Scheme, noise_level
    >>> scheme, graph = Scheme(4128, b=48), Graph()
    >>> graph.add("tom", "cat", [0.6, 0.8])
    >>> graph.set_output({"tom": 1.0})
    >>> 0.05 < noise_level(scheme, scheme.sketch(graph), 1.0) < 0.08
    True
    """
    scheme.check(sketch)
    c = _choice("estimator", estimator, NOISE[scheme.family])
    return c * gain(positive_weight(weight), checks.integer(depth, "depth", 2, 64)) * _unit(sketch)


def _unit(sketch: Sketch) -> float:
    return sketch.norm() / math.sqrt(sketch.kept)


def positive_weight(weight: float) -> float:
    if checked_weight(weight, "weight") == 0:
        raise ValueError(
            "weight: expected a weight in (0, 1], got 0: nothing of it is in the sketch"
        )
    return float(weight)


def _choice(name: str, value: str, known: Mapping[str, float]) -> float:
    return known[checks.choice(value, name, tuple(known))]


# ---- the filters ---------------------------------------------------------------------------------


def descend(
    scheme: Scheme, s: Columns, path: Sequence[int], ancestors: Sequence[Hashable], estimator: str
) -> Columns:
    """Bring an overall sketch down to an object's place in it: about w/2 · 16^(2−h) s_object."""
    if len(ancestors) != len(path) - 1:
        raise ValueError(
            f"expected the modules of the {len(path) - 1} objects between the output and this one "
            f"as ancestors, got {list(ancestors)}"
        )
    for level, index in enumerate(path):
        if level > 0 and estimator != "index":
            s = half_transpose(scheme.matrix(ancestors[level - 1], 0), s)
            s = half_transpose(scheme.attribute_matrix(level + 1, 2), s)
        R = scheme.input_matrix(level + 1, checks.integer(index, "index", 1, 2**31))
        s = half_transpose(R, s) if estimator == "full" else R.apply_transpose(s)
    return s


def _filter(
    scheme: Scheme,
    sketch: Sketch,
    module: Hashable,
    which: int,
    depth: int,
    estimator: str,
    path: Sequence[int] | None,
    ancestors: Sequence[Hashable],
) -> Columns:
    """Give R_{M,which}' of the filtered sketch, whole: attributes divided by `gain`."""
    _choice("estimator", estimator, NOISE[scheme.family])
    needs_path = estimator in ("index", "index_own", "full")
    if needs_path != (path is not None):
        raise ValueError(f"estimator = {estimator!r} takes {'a' if needs_path else 'no'} path")
    s = scheme.local(sketch)
    if path is not None:
        if depth != len(path) + 1:
            raise ValueError(f"depth = {depth} is not that of a path of length {len(path)}")
        s = descend(scheme, s, path, ancestors, estimator)
    if estimator in ("own", "index_own", "full"):
        s = half_transpose(scheme.matrix(module, 0), s)
        s = half_transpose(scheme.attribute_matrix(depth, 1), s)
    return scheme.whole(scheme.matrix(module, which).apply_transpose(s))[:, 0]


def recover_attributes(
    scheme: Scheme,
    sketch: Sketch,
    module: Hashable,
    weight: float,
    *,
    size: int | None = None,
    depth: int | None = None,
    path: Sequence[int] | None = None,
    ancestors: Sequence[Hashable] = (),
    estimator: str | None = None,
) -> Recovered:
    """Estimate an object's attributes from an overall sketch.

    Collective. Without a path: (i) of theorem 1, for the only object of its module; the attributes
    of several, of equal weight, would be summed. With a path: (ii).

    Parameters
    ----------
    scheme : Scheme
    sketch : Sketch
        Overall sketch, also an erased one.
    module : hashable
    weight : float
        Effective weight of the object, in (0, 1].
    size : int, optional
        How many attributes the object has; by default d are estimated.
    depth : int, optional
        By default that of the path, or 2.
    path : sequence of int, optional
        Indices in the input tuples, from the output's on (`Graph.paths`).
    ancestors : sequence of hashable
        Modules of the objects on the path before this one.
    estimator : {'identity', 'own', 'index', 'index_own', 'full'}, optional
        By default 'own' without a path and 'index_own' with one. 'full' has less noise, but half of
        the attributes of others of the same module leak in.

    Returns
    -------
    Recovered
        The value has shape (size,).

    Raises
    ------
    ValueError
        If the sketch is of another scheme, or the arguments do not fit together.

    References
    ----------
    .. [1] Paper 000, theorem 1.

    Examples
    --------
    >>> from pympf.sketch import Graph, Scheme, recover_attributes
    >>> scheme, graph = Scheme(16416, b=54), Graph()
    >>> graph.add("tom", "cat", [0.6, 0.8])
    >>> graph.set_output({"tom": 1.0})
    >>> found = recover_attributes(scheme, scheme.sketch(graph), "cat", 1.0, size=2)
    >>> bool(abs(found.value - [0.6, 0.8]).max() < found.bound < 0.2)
    True
    """
    with scheme._ranks.guard():
        w = positive_weight(weight)
        size = scheme.d if size is None else checks.integer(size, "size", 1, scheme.d)
        depth = checks.integer(depth or (2 if path is None else len(path) + 1), "depth", 2, 64)
        estimator = estimator or ("own" if path is None else "index_own")
        scheme.check(sketch)
    found = _filter(scheme, sketch, module, 1, depth, estimator, path, ancestors)[:size]
    R = scheme.matrix(module, 1)
    if isinstance(R, BlockSparse) and R.w is None:
        norms2 = R.column_norms2(np.arange(size))
        found = np.divide(found, norms2, out=np.zeros(size), where=norms2 > 0)
        lightest = norms2[norms2 > 0].min(initial=1.0)
    else:
        lightest = 1.0
    sigma = noise_level(scheme, sketch, w, depth, estimator)
    bound = 1.1 * math.sqrt(2 * math.log(10 * size) / lightest) * sigma
    return Recovered(gain(w, depth) * found, sigma, bound)


def recover_summed_attributes(
    scheme: Scheme,
    sketch: Sketch,
    module: Hashable,
    weight: float,
    *,
    size: int | None = None,
    depth: int = 2,
    estimator: str = "identity",
) -> Recovered:
    """Estimate the sum of the attributes of all objects of a module, which have equal weights.

    Collective. Divided by the number of objects it is their mean.

    Parameters
    ----------
    scheme, sketch, module, size, depth
        As in `recover_attributes`.
    weight : float
        Effective weight of each of the objects.
    estimator : {'identity', 'own'}
        'own' is better where they are at most half of all objects.

    Returns
    -------
    Recovered

    Raises
    ------
    ValueError
        As in `recover_attributes`.

    References
    ----------
    .. [1] Paper 000, theorem 3 (ii).

    Examples
    --------
    >>> from pympf.sketch import Graph, Scheme, recover_summed_attributes
    >>> scheme, graph = Scheme(16416, b=54), Graph()
    >>> graph.add("tom", "cat", [0.6, 0.8])
    >>> graph.add("tim", "cat", [1.0, 0.0])
    >>> graph.set_output({"tom": 0.5, "tim": 0.5})
    >>> found = recover_summed_attributes(scheme, scheme.sketch(graph), "cat", 0.5, size=2)
    >>> bool(abs(found.value - [1.6, 0.8]).max() < found.bound)
    True
    """
    return recover_attributes(
        scheme, sketch, module, weight, size=size, depth=depth, estimator=estimator
    )


def recover_quantized(
    scheme: Scheme, sketch: Sketch, module: Hashable, weight: float, step: float, **how: Any
) -> tuple[NDArray[np.float64], bool]:
    """Recover attributes that are multiples of a step: exactly, if the noise allows it.

    Collective.

    Parameters
    ----------
    scheme, sketch, module, weight
        As in `recover_attributes`.
    step : float
        Of which all attributes are multiples.
    **how
        The other arguments of `recover_attributes`.

    Returns
    -------
    value : numpy.ndarray
        Multiples of the step.
    exact : bool
        Whether the error's bound is below half a step.

    Raises
    ------
    ValueError
        As in `recover_attributes`.

    References
    ----------
    .. [1] Paper 000, the remark after theorem 1.

    Examples
    --------
    >>> from pympf.sketch import Graph, Scheme, recover_quantized
    >>> scheme, graph = Scheme(16416, b=54), Graph()
    >>> graph.add("tom", "cat", [1.0, 0.0, 1.0])
    >>> graph.set_output({"tom": 1.0})
    >>> value, exact = recover_quantized(scheme, scheme.sketch(graph), "cat", 1.0, 1.0, size=3)
    >>> value.tolist(), exact
    ([1.0, 0.0, 1.0], True)
    """
    if not (math.isfinite(step) and step > 0):
        raise ValueError(f"step = {step} is not a positive number")
    found = recover_attributes(scheme, sketch, module, weight, **how)
    return step * np.round(found.value / step), found.bound < step / 2


def recover_frequency(
    scheme: Scheme,
    sketch: Sketch,
    module: Hashable,
    weight: float,
    *,
    depth: int = 2,
    estimator: str = "own",
) -> Recovered:
    """Estimate how many objects a module has produced, which have equal weights.

    Collective. Rounded, it is exact with a probability of 95 % or more where ``bound`` is below
    one half.

    Parameters
    ----------
    scheme, sketch, module, depth
        As in `recover_attributes`.
    weight : float
        Effective weight of each of the objects.
    estimator : {'identity', 'own'}

    Returns
    -------
    Recovered

    Raises
    ------
    ValueError
        As in `recover_attributes`; or if the first column of the module's counter matrix is empty,
        as may be where blocks are nonzero with a probability `q`.

    References
    ----------
    .. [1] Paper 000, theorem 3 (i).

    Examples
    --------
    >>> from pympf.sketch import Graph, Scheme, recover_frequency
    >>> scheme, graph = Scheme(16416, b=54), Graph()
    >>> for name in ("tom", "tim"):
    ...     graph.add(name, "cat", [0.6, 0.8])
    >>> graph.set_output({"tom": 0.5, "tim": 0.5})
    >>> round(recover_frequency(scheme, scheme.sketch(graph), "cat", 0.5).value)
    2
    """
    with scheme._ranks.guard():
        w = positive_weight(weight)
        c = _choice("estimator", estimator, COUNT_NOISE[scheme.family])
        scheme.check(sketch)
        norm2 = scheme.counter_norm2(module)
        if norm2 == 0:
            raise ValueError(
                f"the frequency of {module!r} is not in the sketch: the first column of its "
                "counter matrix has no nonzero block; use w instead of q"
            )
    found = _filter(scheme, sketch, module, 2, depth, estimator, None, ())[0] / norm2
    sigma = c * gain(w, depth) * _unit(sketch) / math.sqrt(norm2)
    return Recovered(float(gain(w, depth) * found), sigma, 2 * sigma)


def recover_signature(
    scheme: Scheme,
    sketch: Sketch,
    module: Hashable,
    length: int,
    *,
    depth: int | None = None,
    path: Sequence[int] | None = None,
    ancestors: Sequence[Hashable] = (),
    estimator: str | None = None,
) -> NDArray[np.float64]:
    """Estimate the bits of an object's signature, up to a positive factor.

    Collective. Single bits may be wrong; that of a repository of known signatures whose dot product
    is largest (`nearest`) is the right one as soon as the length is 2 log₂ of their number.

    Parameters
    ----------
    scheme, sketch, module, depth, path, ancestors, estimator
        As in `recover_attributes`.
    length : int
        Bits t.

    Returns
    -------
    numpy.ndarray, shape (length,)
        Their signs are the bits.

    Raises
    ------
    ValueError
        As in `recover_attributes`.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.sketch import Graph, Scheme, recover_signature
    >>> scheme, graph = Scheme(16416, b=54), Graph()
    >>> bits = np.array([1, -1, -1, 1, 1, -1])
    >>> graph.add("tom", "cat", [0.6, 0.8], signature=bits)
    >>> graph.set_output({"tom": 1.0})
    >>> bool((np.sign(recover_signature(scheme, scheme.sketch(graph), "cat", 6)) == bits).all())
    True
    """
    length = checks.integer(length, "length", 1, scheme.d)
    depth = depth or (2 if path is None else len(path) + 1)
    estimator = estimator or ("own" if path is None else "index_own")
    return _filter(scheme, sketch, module, 3, depth, estimator, path, ancestors)[:length]
