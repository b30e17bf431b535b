"""How large a sketch has to be: dimension, blocks and weight from an error that is asked for.

With k objects of equal weight 1/k at depth h, an overall sketch has the norm |s| = 1/(8 √k), so
that the noise of a coordinate (recovery.py) is

    c σ₀ = c · 32 · 16^(h−2) |s| k / √d = 4 c √k 16^(h−2) / √d,

and the largest of m coordinates stays below √(2 ln(2 m / δ)) c σ₀ with probability 1 − δ. So

    d = (4 c 16^(h−2) / ε)² k · 2 ln(2 m / δ).

Least squares on a known graph (joint.py) need no such d, but more numbers than unknown attributes:
d >= k m / 0.65.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from pympf.la import checks
from pympf.sketch.matrices import DEFAULT_WEIGHT, fit_dimension
from pympf.sketch.recovery import NOISE
from pympf.sketch.scheme import FAMILIES

__all__ = ["Plan", "plan"]

SECONDS_PER_BLOCK = 12e-9
"""Of a product with one vector on one core, implicit or stored (docs/sketch_experiments.md)."""
LARGEST = 2**20
UNKNOWNS = 0.65
"""Unknown attributes for each number kept, up to which least squares are quick."""


@dataclass(frozen=True)
class Plan:
    """What `plan` has chosen, and what it costs.

    Attributes
    ----------
    d, b, w : int
        For `Scheme`; b and w are 0 for orthonormal matrices.
    q : float
        The share w b / d of nonzero blocks.
    N : int
        Matrices that an overall sketch needs.
    noise : float
        Standard deviation of the error of an attribute.
    bound : float
        Error that the largest one stays below with the probability asked for.
    exact_counts : bool
        Whether frequencies, rounded, are exact with 95 %.
    bytes_per_sketch : int
        In float32.
    matrix_bytes : int
        Of all matrices, if they are stored; implicit ones take none.
    seconds_per_sketch : float
        On one core, one graph at a time; many at once go about eight times as fast.
    d_joint : int
        Dimension that is enough where the graph is known and its attributes are found together.
    reachable : bool
        Whether d is at most 2^20: if not, it is 2^20 here and `bound` is what that gives.
    """

    d: int
    b: int
    w: int
    q: float
    N: int
    noise: float
    bound: float
    exact_counts: bool
    bytes_per_sketch: int
    matrix_bytes: int
    seconds_per_sketch: float
    d_joint: int
    reachable: bool

    def as_dict(self) -> dict[str, float]:
        """Return the attributes by name.

        Not collective.

        Examples
        --------
        >>> from pympf.sketch import plan
        >>> plan(0.2, 0.99, objects=1).as_dict()["w"]
        8
        """
        return asdict(self)


def plan(
    error: float,
    probability: float = 0.99,
    objects: int = 4,
    depth: int = 2,
    *,
    attributes: int = 64,
    modules: int | None = None,
    estimator: str | None = None,
    family: str = "block",
) -> Plan:
    """Choose the sizes of a sketch for an error of attributes.

    Not collective.

    Parameters
    ----------
    error : float
        Largest error ε of an attribute, where attributes have norm 1.
    probability : float
        With which all attributes of an object are that near, in (0, 1).
    objects : int
        k, of equal weight 1/k, that are sketched together.
    depth : int
        h of these objects: 2 for the inputs of the output.
    attributes : int
        m of an object.
    modules : int, optional
        By default as many as objects.
    estimator : {'identity', 'own', 'index', 'index_own', 'full'}, optional
        By default 'own', for which no path has to be known.
    family : {'block', 'orthonormal'}

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        If a number is not allowed.

    Examples
    --------
    >>> from pympf.sketch import Scheme, plan
    >>> found = plan(0.2, 0.99, objects=1)
    >>> found.d, found.b, found.w
    (9333, 51, 8)
    >>> Scheme(found.d, b=found.b, w=found.w).d
    9333
    """
    error = checks.number(error, "error", least=1e-12)
    checks.number(probability, "probability", above=0, below=1)
    k = checks.integer(objects, "objects", 1, 10**6)
    h = checks.integer(depth, "depth", 2, 16)
    m = checks.integer(attributes, "attributes", 1, LARGEST)
    modules = k if modules is None else checks.integer(modules, "modules", 1, 10**9)
    checks.choice(family, "family", tuple(FAMILIES))
    c = NOISE[family][checks.choice(estimator or "own", "estimator", tuple(NOISE[family]))]
    unit = 4 * c * 16.0 ** (h - 2) * math.sqrt(k)  # noise times the root of d
    spread = math.sqrt(2 * math.log(2 * m / (1 - probability)))
    wanted = math.ceil(max((unit * spread / error) ** 2, m, 64))
    N = 4 * modules + 2 * (h - 1) + k * (h - 1)
    d, b, w = _sizes(min(wanted, LARGEST), 4 * modules, family)
    joint, *_ = _sizes(max(math.ceil(k * m / UNKNOWNS), 64), 4 * modules, family)
    noise = unit / math.sqrt(d)
    blocks = d * w if family == "block" else 4 * d * math.log2(d) / 8
    products = k * (h - 1) * 5
    return Plan(
        d=d,
        b=b,
        w=w,
        q=w * b / d,
        N=N,
        noise=noise,
        bound=spread * noise,
        exact_counts=noise / c <= (0.25 if estimator in (None, "own") else 0.17),
        bytes_per_sketch=4 * d,
        matrix_bytes=N * _stored_bytes(d, b, w),
        seconds_per_sketch=products * blocks * SECONDS_PER_BLOCK,
        d_joint=joint,
        reachable=wanted <= LARGEST,
    )


def _sizes(wanted: int, modules: int, family: str) -> tuple[int, int, int]:
    if family == "orthonormal":
        return 1 << (wanted - 1).bit_length(), 0, 0
    d, b = fit_dimension(wanted, modules=modules)
    return d, b, min(DEFAULT_WEIGHT, d // b)


def _stored_bytes(d: int, b: int, w: int) -> int:
    """Blocks of 3 bits and their place in one of w ranges, and a word for each column."""
    if b == 0:
        return 3 * d // 8
    place = math.ceil(math.log2(max(1, math.ceil(d / b / w))))
    return d * w * (3 + place) // 8 + 8 * d
