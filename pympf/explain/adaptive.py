"""Integration along a line in pieces, each of which satisfies completeness by itself.

A piece [a, b] is right when Σ_i ∫_a^b ∂_iF dx_i = F(b) - F(a), which costs two values of F. Pieces
that are not are halved. Where F jumps (routing, hash buckets) the line is cut by bisection, and the
jump is listed. Where F has kinks (ReLU) it can be cut exactly: between two points the
pre-activations of the lowest layer whose signs differ are linear, so that their zeros are found by
interpolation.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from pympf.explain.line import Line, plus
from pympf.explain.rules import gauss
from pympf.nets._checks import Array

__all__ = ["Jump", "Piece"]

NARROWEST = 2.0**-40
"""Pieces that are narrower are not halved."""

SHORTEST = 0.05
"""A piece may miss completeness by tol times its width, or times this if it is shorter."""

FINEST = 2.0**-44
"""Jumps are located to this width."""

ROUNDING = 1e-12
"""A jump that is smaller, next to 1 or to the value, is none."""

MOST_JUMPS = 10_000
"""A path with more of them is refused."""

INSIDE = 1e-7
"""Signs are compared so far inside the ends of a piece, in parts of its width."""

ROUNDS = 60
"""How often the line is cut at kinks before halving has to do."""


class Piece(NamedTuple):
    """A piece of the path and what it lacks for completeness.

    Parameters
    ----------
    start, stop : float
        Places α of the line.
    delta : float
        Sum of its attributions minus the change of F, for the target where that is largest.

    Examples
    --------
    >>> from pympf.explain import Piece
    >>> Piece(0.0, 0.5, 1e-9).stop
    0.5
    """

    start: float
    stop: float
    delta: float


class Jump(NamedTuple):
    """A place of the path where F jumps.

    Parameters
    ----------
    place : float
        α.
    size : ndarray, shape (targets,)
        F after it minus F before it.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.explain import Jump
    >>> Jump(0.25, np.array([1.0])).place
    0.25
    """

    place: float
    size: Array


class _Points(NamedTuple):
    """Places of the line, with values of the targets and regimes there."""

    alphas: Array
    values: Array
    regimes: Array

    def at(self, which: Any) -> _Points:
        return _Points(*(array[which] for array in self))


class _Pieces(NamedTuple):
    """Pieces by their ends."""

    left: _Points
    right: _Points

    def at(self, which: Any) -> _Pieces:
        return _Pieces(self.left.at(which), self.right.at(which))


def _points(line: Line, alphas: Array) -> _Points:
    return _Points(alphas, *line.values(alphas))


def _joined(parts: list[_Points]) -> _Points:
    return _Points(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


class Integral:
    """The sums over accepted pieces, as they come in.

    `sums` are those of ∂_iF, [target][group][input]; `delta` is that of each target.
    """

    def __init__(self, line: Line, *, order: int, tol: float, max_steps: int) -> None:
        self.line, self.order, self.tol, self.max_steps = line, order, tol, max_steps
        self.sums: Any = None
        self.delta = np.zeros(len(line.targets))
        self.worst = Piece(0.0, 1.0, 0.0)
        self.jumps: list[Jump] = []

    def run(self, pieces: int, kinks: bool) -> None:
        """Integrate over [0, 1], from some equal pieces on."""
        to_do = [self._smooth(_points(self.line, np.linspace(0, 1, pieces + 1)))]
        if kinks:
            to_do = [_cut_at_kinks(self.line, to_do[0])]
        size = max(1, self.line.batch // self.order)
        while to_do:
            halves = []
            for some in to_do:
                for k in range(0, len(some.left.alphas), size):
                    halves += self._accept(some.at(slice(k, k + size)))
            to_do = halves
        self.jumps.sort(key=lambda jump: jump.place)

    def find_jumps(self, alphas: Array, values: Array, regimes: Array) -> None:
        """List the jumps between points that are known."""
        order = np.unique(alphas, return_index=True)[1]
        self._smooth(_Points(alphas, values, regimes).at(order))

    def _accept(self, pieces: _Pieces) -> list[_Pieces]:
        """Add the pieces that are complete; give halves of the others."""
        left, right = pieces
        points, weights = gauss(self.order)
        widths = right.alphas - left.alphas
        alphas = left.alphas[:, np.newaxis] + widths[:, np.newaxis] * points
        scaled = widths[:, np.newaxis] * weights
        found = self.line.integrals(alphas, scaled)
        lacks = np.einsum("pq,pqk->pk", scaled, found.slopes) - (right.values - left.values)
        ends = np.stack([left.regimes, right.regimes], axis=1)
        mixed = (np.concatenate([found.regimes, ends], axis=1) != ends[:, :1]).any(axis=1)
        bad = np.abs(lacks).max(axis=1) > self.tol * np.maximum(widths, SHORTEST)
        bad = (bad | mixed) & (widths > NARROWEST)
        if self.line.n_points >= self.max_steps:
            bad[:] = False
        good = ~bad
        accepted = [[[s[good].sum(axis=0) for s in g] for g in target] for target in found.sums]
        self.sums = plus(self.sums, accepted)
        self.delta += lacks[good].sum(axis=0)
        self._note_worst(pieces.at(good), lacks[good])
        return self._halves(pieces.at(bad), alphas[bad], mixed[bad]) if bad.any() else []

    def _note_worst(self, pieces: _Pieces, lacks: Array) -> None:
        if lacks.size:
            k, target = np.unravel_index(np.abs(lacks).argmax(), lacks.shape)
            if abs(lacks[k, target]) > abs(self.worst.delta):
                ends = float(pieces.left.alphas[k]), float(pieces.right.alphas[k])
                self.worst = Piece(*ends, float(lacks[k, target]))

    # ---- cutting ---------------------------------------------------------------------------------
    def _halves(self, pieces: _Pieces, inner: Array, mixed: Array) -> list[_Pieces]:
        """Cut pieces in the middle, or at all their points where these are in other regimes."""
        left, right = pieces
        middle = _points(self.line, (left.alphas + right.alphas) / 2)
        plain = ~mixed & (middle.regimes == left.regimes)
        halves = _Pieces(
            _joined([left.at(plain), middle.at(plain)]),
            _joined([middle.at(plain), right.at(plain)]),
        )
        result = [halves] if plain.any() else []
        rest = np.flatnonzero(~plain)
        if len(rest):
            inside = _points(self.line, inner[rest].ravel())
            owners = [rest, np.repeat(rest, inner.shape[1]), rest]
            parts = [left.at(rest), inside, right.at(rest)]
            result.append(self._smooth(_joined(parts), np.concatenate(owners)))
        return result

    def _smooth(self, edges: _Points, owners: Array | None = None) -> _Pieces:
        """Make pieces between neighboring points; find the jump where their regimes differ.

        Only points of the same owner are neighbors.
        """
        if owners is None:
            owners = np.zeros(len(edges.alphas), int)
        points, is_edge = edges, np.ones(len(owners), bool)
        while True:
            order = np.lexsort((points.alphas, owners))
            points, owners, is_edge = points.at(order), owners[order], is_edge[order]
            gaps = np.diff(points.alphas)
            together = owners[1:] == owners[:-1]
            change = (points.regimes[1:] != points.regimes[:-1]) & together
            wide = np.flatnonzero(change & (gaps > FINEST))
            if not len(wide):
                break
            _check_jumps(len(wide))
            points = _joined([points, _points(self.line, points.alphas[wide] + gaps[wide] / 2)])
            owners = np.concatenate([owners, owners[wide]])
            is_edge = np.concatenate([is_edge, np.zeros(len(wide), bool)])
        for k in np.flatnonzero(change):
            size = points.values[k + 1] - points.values[k]
            if (np.abs(size) > ROUNDING * np.maximum(1, np.abs(points.values[k]))).any():
                self.jumps.append(Jump(float(points.alphas[k + 1]), size))
        # What bisection met on the way, in regimes that are known, is not an edge.
        is_edge[:-1] |= change
        is_edge[1:] |= change
        kept = np.flatnonzero(is_edge)
        pairs = np.stack([kept[:-1], kept[1:]], axis=1)
        jumped = change[pairs[:, 0]] & (pairs[:, 1] == pairs[:, 0] + 1)
        pairs = pairs[~jumped & (owners[pairs[:, 0]] == owners[pairs[:, 1]])]
        return _Pieces(points.at(pairs[:, 0]), points.at(pairs[:, 1]))


def _check_jumps(count: int) -> None:
    if count > MOST_JUMPS:
        raise ValueError(
            f"expected at most {MOST_JUMPS} jumps along the path, got more; a routing that hashes "
            "the input jumps everywhere, and then there are no attributions"
        )


def _cut_at_kinks(line: Line, pieces: _Pieces) -> _Pieces:
    """Cut pieces where a sign of the lowest node that changes does, until none changes."""
    to_do = list(zip(pieces.left.alphas, pieces.right.alphas, strict=True))
    done = []
    size = max(1, line.batch // 2)
    for _ in range(ROUNDS):
        cut = []
        for k in range(0, len(to_do), size):
            some = to_do[k : k + size]
            for piece, zeros in zip(some, _zeros(line, np.array(some)), strict=True):
                if zeros is None:
                    done.append(piece)
                else:
                    edges = [piece[0], *zeros, piece[1]]
                    pairs = pairwise(edges)
                    cut += [(a, b) for a, b in pairs if b - a > FINEST]
        to_do = cut
    ends = np.array(sorted(done + to_do))
    return _Pieces(_points(line, ends[:, 0]), _points(line, ends[:, 1]))


def _zeros(line: Line, pieces: Array) -> list[Array | None]:
    """Interpolate the zeros between the ends of each piece, in the lowest node with any."""
    n, widths = len(pieces), pieces[:, 1] - pieces[:, 0]
    low, high = pieces[:, 0] + INSIDE * widths, pieces[:, 1] - INSIDE * widths
    found: list[Array | None] = [None] * n
    for z in line.crossings(np.concatenate([low, high])):
        differ = (z[:n] > 0) != (z[n:] > 0)
        for i in np.flatnonzero(differ.any(axis=1)):
            if found[i] is None:
                a, b = z[i, differ[i]], z[n + i, differ[i]]
                found[i] = np.unique(low[i] + a / (a - b) * (high[i] - low[i]))
    return found
