"""What biases and scales can do: folds of a line, and the regions that a linear layer can label.

A network that folds its input labels all preimages of a point at once. The thesis counts them: a
bias of the first layer changes how many components F⁻¹[α, β] has. All counts are exact: numbers are
fractions here, and a float is taken for the shortest decimal that gives it (0.1 is 1/10).

References
----------
.. [1] Thesis, section 4.3 (analysis) and 4.3.1 (one dimension).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from numbers import Rational
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf.la import checks
from pympf.nets._checks import Array, as_points, random_numbers

__all__ = ["components", "convex_hull_keeps_class", "fold_function", "preimage"]

Interval = tuple[Any, Any]
"""Closed; an end may be infinite."""


def fold_function(x: ArrayLike, biases: ArrayLike, *, printed: bool = False) -> Array:
    """Fold the line k times into p parts: F = q(·; b⁽ᵏ⁾) ∘ … ∘ q(·; b⁽¹⁾).

    q(x; b) = p ReLU(Σ_j (-1)ʲ v_j + b_p), v_0 = ReLU(x + b_0), v_j = ReLU(2 (x - j/p) + b_j). At
    zero biases q runs p times through [0, 1]. As printed, the kinks lie at j/2 and the factor is 2:
    the same for p = 2, but for p > 2 the folds fill [0, p/2], of which the next q's image is only
    a part.

    Not collective.

    Parameters
    ----------
    x : array_like
        Numbers.
    biases : array_like, shape (k, p + 1)
        b⁽¹⁾, …, b⁽ᵏ⁾, that of the layer next to the input first; p is even.
    printed : bool
        Take q as printed.

    Returns
    -------
    ndarray
        F(x), shaped as x.

    Raises
    ------
    ValueError
        If p is odd, or the biases are no table.

    References
    ----------
    .. [1] Thesis, section 4.3.1, q and equation 4.1.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.patches import fold_function
    >>> fold_function([0.0, 0.125, 0.25, 0.5, 0.75], np.zeros((2, 3)))
    array([0. , 0.5, 1. , 0. , 1. ])
    """
    y = np.asarray(x, dtype=np.float64)
    for row in _as_biases(biases):
        p = len(row) - 1
        b = np.array(row, dtype=np.float64)
        total = np.maximum(0, y + b[0]) + b[p]
        for j in range(1, p):
            total = total + (-1) ** j * np.maximum(0, 2 * (y - _kink(j, p, printed)) + b[j])
        y = (2 if printed else p) * np.maximum(0, total)
    return y


def preimage(
    biases: ArrayLike, segment: Sequence[Any], *, printed: bool = False
) -> list[tuple[Any, Any]]:
    """Give the components of F⁻¹[α, β], exactly.

    Every q is linear between its kinks, so the preimage of an interval is one of at most p + 1
    intervals; those that touch are joined. Layer by layer, from the last one on.

    Not collective.

    Parameters
    ----------
    biases : array_like, shape (k, p + 1)
        As of `fold_function`; of integers, floats or fractions.
    segment : (α, β)
        α <= β.
    printed : bool
        Take q as printed.

    Returns
    -------
    list of (Fraction, Fraction)
        Closed intervals in order, which may be single points; an end may be infinite.

    Raises
    ------
    ValueError
        If α > β, or for biases that `fold_function` refuses.

    Examples
    --------
    >>> from pympf.nets.patches import preimage
    >>> [(str(a), str(b)) for a, b in preimage([[-0.1, 0, 0], [0, 0, 0]], (0.2, 0.4))]
    [('3/20', '1/5'), ('1/2', '1/2'), ('4/5', '17/20')]
    """
    found: list[Interval] = [_as_segment(segment)]
    for row in reversed(_as_biases(biases)):
        pieces = list(_pieces(row, printed))
        ends = [end for part in found for end in _preimages(pieces, *part)]
        found = _joined(ends)
    return found


def components(
    biases: ArrayLike, segment: Sequence[Any], *, method: str = "intervals", printed: bool = False
) -> int:
    """Count the components of F⁻¹[α, β].

    By a formula (ours) where p = 2 and all biases but b = b_0 of the first layer are zero: the
    first q is then a tent of height h = 1 + 2b over [-b, 1 + b], and the other k - 1 map the 2ᵏ⁻¹
    intervals [l_i, u_i] of length (β - α)/2ᵏ⁻¹ onto [α, β], so there are
    Σ_i (2 if h > u_i, 1 if l_i <= h <= u_i, 0 if h < l_i).

    Not collective.

    Parameters
    ----------
    biases, segment, printed
        As of `preimage`.
    method : {"intervals", "formula"}
        Count the intervals of `preimage`, for any biases and p; or the formula, for 0 < α <= β < 1.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If the formula does not hold for these biases or this segment.

    References
    ----------
    .. [1] Thesis, figure 4.3.

    Examples
    --------
    >>> from pympf.nets.patches import components
    >>> firsts = [0, -0.075, -0.125, -0.425, -0.475]
    >>> [components([[b, 0, 0], [0, 0, 0]], (0.2, 0.4)) for b in firsts]
    [4, 3, 2, 1, 0]
    """
    if checks.choice(method, "method", ("intervals", "formula")) == "intervals":
        return len(preimage(biases, segment, printed=printed))
    rows, (low, high) = _as_biases(biases), _as_segment(segment)
    rest = [*rows[0][1:], *(b for row in rows[1:] for b in row)]
    if len(rows[0]) != 3 or any(rest):
        raise ValueError("expected p = 2 and only the first bias other than 0 for the formula")
    if not 0 < low <= high < 1:
        raise ValueError(f"expected 0 < α <= β < 1 for the formula, got {low} and {high}")
    height, parts = 1 + 2 * rows[0][0], 2 ** (len(rows) - 1)
    count = 0
    for i in range(parts):
        l, u = (i + low, i + high) if i % 2 == 0 else (i + 1 - high, i + 1 - low)
        count += (height * parts >= l) + (height * parts > u)
    return count


def convex_hull_keeps_class(
    weights: ArrayLike, bias: ArrayLike, features: ArrayLike, *, n: int = 1000, seed: int = 0
) -> bool:
    """Tell whether random convex combinations of points of a class are of that class, too.

    A linear layer has convex classes, {z: o_i(z) < o_c(z) for all i ≠ c} with o = W z + b: trained
    alone on a network F, it gives all of F⁻¹(conv{F(x_1), …, F(x_m)}) the class that x_1, …, x_m
    share. This is a theorem, so the answer is yes but for rounding.

    Not collective.

    Parameters
    ----------
    weights : array_like, shape (classes, d)
        W.
    bias : array_like, shape (classes,)
        b.
    features : array_like, shape (m, d)
        Points F(x).
    n : int
        Combinations that are tried; each of all points of one class.
    seed : int
        Seed of the combinations.

    Returns
    -------
    bool

    References
    ----------
    .. [1] Thesis, section 4.3.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.patches import convex_hull_keeps_class
    >>> rng = np.random.default_rng(0)
    >>> W, b, Z = (rng.standard_normal(shape) for shape in ((3, 2), 3, (50, 2)))
    >>> convex_hull_keeps_class(W, b, Z)
    True
    """
    Z = as_points(features).astype(np.float64)
    W, b = np.asarray(weights, np.float64), np.asarray(bias, np.float64)
    if W.ndim != 2 or W.shape[1] != Z.shape[1] or b.shape != W.shape[:1] or len(b) < 2:
        raise ValueError(
            f"expected weights (classes >= 2, {Z.shape[1]}) and a bias (classes,), got {W.shape} "
            f"and {b.shape}"
        )
    classes, rng = (Z @ W.T + b).argmax(axis=1), random_numbers(seed, "convex combinations")
    size = 1 + abs(b).max() + np.linalg.norm(W, axis=1).max() * np.linalg.norm(Z, axis=1).max()
    for drawn in rng.choice(classes, checks.integer(n, "n")):
        of_class = Z[classes == drawn]
        outputs = W @ (rng.dirichlet(np.full(len(of_class), 0.5)) @ of_class) + b
        if outputs.max() - outputs[drawn] > 1e-12 * size:
            return False
    return True


# ---- exact intervals -----------------------------------------------------------------------------
def _exact(number: Any, name: str) -> Fraction:
    """Give a number as a fraction; a float by its shortest decimal."""
    if isinstance(number, Rational) and not isinstance(number, bool | np.integer):
        return Fraction(number)
    try:
        return Fraction(str(number))
    except ValueError:
        raise ValueError(f"expected finite real numbers in {name}, got {number!r}") from None


def _as_biases(biases: Any) -> list[list[Fraction]]:
    rows = [[_exact(b, "biases") for b in row] for row in biases]
    widths = {len(row) for row in rows}
    if len(widths) != 1 or min(widths) < 3 or min(widths) % 2 == 0:
        raise ValueError(
            "expected biases of shape (k, p + 1) with k >= 1 and p = 2, 4, 6, ...; got rows of "
            f"lengths {sorted(widths)}"
        )
    return rows


def _as_segment(segment: Sequence[Any]) -> Interval:
    low, high = (_exact(end, "segment") for end in segment)
    if low > high:
        raise ValueError(f"expected a segment [α, β] with α <= β, got {low} and {high}")
    return low, high


def _kink(j: int, p: int, printed: bool) -> Any:
    """Where unit j begins at a zero bias; floats stay exact for p = 2, 4, 8."""
    return j / (2 if printed else p)


def _pieces(row: list[Fraction], printed: bool) -> Iterator[tuple[Any, Any, Fraction, Fraction]]:
    """Give the linear parts of q, before its ReLU: from, to, slope, value at x = 0."""
    p = len(row) - 1
    factor, at = (2, 2) if printed else (p, p)
    units = [(-row[0], 1, row[0])]
    for j in range(1, p):
        sign, bias = (-1) ** j, row[j] - Fraction(2 * j, at)
        units.append((-bias / 2, 2 * sign, sign * bias))
    units.sort()
    slope, value = Fraction(0), row[p]
    start: Any = -np.inf
    for kink, more, at_zero in units:
        yield start, kink, factor * slope, factor * value
        slope, value, start = slope + more, value + at_zero, kink
    yield start, np.inf, factor * slope, factor * value


def _preimages(pieces: list[Any], low: Any, high: Any) -> Iterator[Interval]:
    """Solve low <= ReLU(slope x + value) <= high on every piece."""
    if high < 0:
        return
    if low <= 0:  # whatever is negative becomes 0
        low = -np.inf
    for start, end, slope, value in pieces:
        if slope == 0:
            if low <= value <= high:
                yield start, end
            continue
        ends = sorted((bound - value) / slope for bound in (low, high))
        first, last = max(start, ends[0]), min(end, ends[1])
        if first <= last:
            yield first, last


def _joined(parts: list[Interval]) -> list[Interval]:
    """Join intervals that overlap or touch."""
    joined: list[Interval] = []
    for first, last in sorted(parts):
        if joined and first <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return joined
