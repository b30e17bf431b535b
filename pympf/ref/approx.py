"""Factorizations by rotations and matchings, the twin of cpp/pympf/approx and la/matching.

A ≈ P H Qᵀ (thesis, section 2.4.2), S ≈ P H Pᵀ, and K ≈ P H Pᵀ with 2 × 2 blocks (section 2.4.1).
Everything is dense: cost O(n³), meant for a few hundred rows. The order of all choices and the
breaking of ties are those of the C++ code, so that both find the same rotations.

=====================  ========================================
paper                  code
=====================  ========================================
P₁ … P_L, Q₁ … Q_L     `Run.rotations`, each (i, j, G_u, G_v)
H                      `Run.B`, before it is made sparse
row, column            `Run.row`, `Run.column`: where a position is in A
=====================  ========================================
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

__all__ = ["Run", "choose_core", "decouple", "maximum_sum", "sparsify"]

Array = NDArray[np.float64]
MOST_ROWS = 512
LOWER = 0.25
SPARE = 0.02
ROUNDING = 1e-28


def maximum_sum(W: Array) -> float:
    """Return the greatest sum of weights of a matching, by SciPy's dense solver."""
    return float(W[linear_sum_assignment(W, maximize=True)].sum())


# ---- the elementary rotations --------------------------------------------------------------------


def _plane(c: float, s: float) -> Array:
    """Give [[c, s], [-s, c]] with c >= 0, by way of tan(angle / 2) as it is stored."""
    t = -s / (1 - c) if c < 0 else s / (1 + c)
    d = 1 / (1 + t * t)
    c, s = (1 - t * t) * d, 2 * t * d
    return np.array([[c, s], [-s, c]])


def _onto_first(x: float, y: float) -> tuple[float, float]:
    length = math.sqrt(x * x + y * y)
    return (x / length, y / length) if length > 0 else (1.0, 0.0)


def _eigenvectors(p: float, r: float, q: float) -> tuple[float, float]:
    """Bring [p r; r q] to diagonal form, the larger eigenvalue first."""
    difference = p - q
    length = math.sqrt(difference * difference + 4 * r * r)
    if length == 0:
        return 1.0, 0.0
    cosine, sine = difference / length, 2 * r / length
    if cosine >= 0:
        c = math.sqrt((1 + cosine) / 2)
        return c, sine / (2 * c)
    s = math.copysign(math.sqrt((1 - cosine) / 2), sine)
    return sine / (2 * s), s


def _direct(M: Array) -> tuple[Array, Array]:
    (a, b), (c, d) = M.tolist()
    identity = np.eye(2)
    if c == 0 and d == 0:
        return identity, _plane(*_onto_first(a, b))
    if a == 0 and b == 0:
        return identity, _plane(*_onto_first(d, -c))
    if b == 0 and d == 0:
        return _plane(*_onto_first(a, c)), identity
    if a == 0 and c == 0:
        return _plane(*_onto_first(d, -b)), identity
    tc, ts = _onto_first(a + d, c - b)
    p, q = tc * a + ts * c, -ts * b + tc * d
    r = ((tc * b + ts * d) + (-ts * a + tc * c)) / 2
    vc, vs = _eigenvectors(p, r, q)
    return _plane(vc * tc - vs * ts, vs * tc + vc * ts), _plane(vc, vs)


def _symmetric(M: Array) -> tuple[Array, Array]:
    sign = -1.0 if M[0, 0] + M[1, 1] < 0 else 1.0
    G = _plane(*_eigenvectors(sign * M[0, 0], sign * M[0, 1], sign * M[1, 1]))
    return G, G


def _axis(v: Array) -> Array:
    """Give the unit quaternion (1, 0, a, b) that turns v onto the first axis."""
    length = math.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
    if length == 0:
        return np.array([1.0, 0, 0, 0])
    sign, d = (1.0 if v[0] >= 0 else -1.0), 1 + abs(v[0]) / length
    u = np.array([1.0, 0, sign * v[2] / length / d, -sign * v[1] / length / d])
    return u / np.linalg.norm(u)


def _skew(K: Array) -> tuple[Array, Array]:
    """Decouple two pairs: K = L(p) + R(q), Q = L(u) R(conj(w))."""
    p = np.array([K[1, 0] + K[3, 2], K[2, 0] + K[1, 3], K[3, 0] + K[2, 1]]) / 2
    q = np.array([K[1, 0] - K[3, 2], K[2, 0] - K[1, 3], K[3, 0] - K[2, 1]]) / 2
    u = _axis(p)
    w = u if not K[0].any() else _axis(q)
    a, b, c, d = (w[0], -w[1], -w[2], -w[3])
    L = np.array(
        [
            [u[0], -u[1], -u[2], -u[3]],
            [u[1], u[0], -u[3], u[2]],
            [u[2], u[3], u[0], -u[1]],
            [u[3], -u[2], u[1], u[0]],
        ]
    )
    R = np.array([[a, -b, -c, -d], [b, a, d, -c], [c, -d, a, b], [d, c, -b, a]])
    Q = L @ R
    if not K[0].any():
        Q[0], Q[:, 0] = np.eye(4)[0], np.eye(4)[0]
    return Q, Q


DECOUPLE = {"direct": (1, _direct), "symmetric": (1, _symmetric), "skew": (2, _skew)}


def decouple(kind: str, M: Array) -> tuple[Array, Array]:
    """Return orthogonal G_u, G_v with G_u M G_vᵀ block diagonal."""
    return DECOUPLE[kind][1](M)


# ---- the run -------------------------------------------------------------------------------------


class Run:
    """The run of rotations in stages; `column` pairs the rows of a direct one."""

    def __init__(
        self,
        kind: str,
        A: Array,
        row: NDArray[Any],
        column: NDArray[Any],
        *,
        drop: float = 0.0,
        rotations: int = 0,
    ) -> None:
        self.kind, (self.width, self._decouple) = kind, DECOUPLE[kind]
        self.row, self.column = np.asarray(row), np.asarray(column)
        self.B = np.zeros((len(row), len(row)))
        there = np.ix_(self.row >= 0, self.column >= 0)
        self.B[there] = A[np.ix_(self.row[self.row >= 0], self.column[self.column >= 0])]
        self.norm2 = float(np.sum(self.B**2))
        self.drop, self.planned = drop, rotations
        self.dropped2 = 0.0
        self.threshold = math.inf
        self.rotations: list[tuple[int, int, Array, Array]] = []

    def advance(self, rotations: int) -> None:
        """Go on until there have been so many rotations, or there is nothing to gain."""
        while len(self.rotations) < rotations:
            gains = _gains(self.B, self.width)
            left = rotations - len(self.rotations)
            if not self._lower_threshold(gains[np.triu_indices(len(gains), 1)], left):
                return
            parts = [(part, self._local(part)) for part in self._parts(gains)]
            for part, found in self._kept(parts, left):
                for i, j, G_u, G_v, _ in found:
                    self._rotate(part[i], part[j], G_u, G_v)
            self._drop_smallest()

    def _lower_threshold(self, gains: Array, left: int) -> bool:
        gains = gains[gains > 0]
        least = ROUNDING * self.norm2
        if not gains.size or not gains.max() > least:
            return False
        last = min(self.threshold, gains.max())
        tau = LOWER * last
        enough = left + int(SPARE * (len(self.B) // self.width))
        if gains.size > enough:
            tau = max(tau, np.sort(gains)[gains.size - enough] * (1 - 1e-6))
        self.threshold = max(tau, least)
        return True

    def _parts(self, gains: Array) -> list[list[int]]:
        """Join groups by their heaviest edges first, up to a size."""
        i, j = np.nonzero(np.triu(gains, 1) > self.threshold)
        part = {g: [g] for g in range(len(gains))}
        for k in np.lexsort((j, i, -gains[i, j])):
            a, b = part[int(i[k])], part[int(j[k])]
            if a is not b and (len(a) + len(b)) * self.width <= MOST_ROWS:
                a += b
                for g in b:
                    part[g] = a
        return sorted({id(p): sorted(p) for p in part.values() if len(p) > 1}.values())

    def _local(self, part: list[int]) -> list[Any]:
        """Decouple a dense block, best gain first."""
        w = self.width
        lines = np.concatenate([np.arange(w * g, w * g + w) for g in part])
        B = self.B[np.ix_(lines, lines)].copy()
        found: list[Any] = []
        while len(found) < len(part) + 1:
            gains = np.triu(_gains(B, w), 1)
            i, j = divmod(int(np.argmax(gains)), len(part))
            if not gains[i, j] > self.threshold:
                break
            at = np.r_[w * i : w * i + w, w * j : w * j + w]
            G_u, G_v = self._decouple(B[np.ix_(at, at)])
            found.append((i, j, G_u, G_v, gains[i, j]))
            _turn(B, at, G_u, G_v, w)
        return found

    @staticmethod
    def _kept(parts: list[Any], most: int) -> list[Any]:
        """Keep the best rotations of all parts, each a beginning of its own."""
        kept = [0] * len(parts)
        for _ in range(most):
            open_ = [k for k, (_, found) in enumerate(parts) if kept[k] < len(found)]
            if not open_:
                break
            kept[max(open_, key=lambda k: (parts[k][1][kept[k]][4], -k))] += 1
        return [(part, found[:n]) for (part, found), n in zip(parts, kept, strict=True)]

    def _rotate(self, i: int, j: int, G_u: Array, G_v: Array) -> None:
        w = self.width
        at = np.r_[w * i : w * i + w, w * j : w * j + w]
        self.rotations.append((i, j, G_u, G_v))
        self.B[at] = G_u @ self.B[at]
        self.B[:, at] = self.B[:, at] @ G_v.T

    def _drop_smallest(self) -> None:
        if self.kind != "direct":
            sign = -1 if self.kind == "skew" else 1
            upper = np.triu(self.B.T, 1 if sign < 0 else 0)
            self.B = np.triu(upper, 1).T + sign * upper
        squares = self.B**2
        share = min(1.0, len(self.rotations) / self.planned) if self.planned else 1.0
        allowed = self.drop**2 * self.norm2 * share - self.dropped2
        bucket = squares.view(np.uint64) >> np.uint64(47)
        sums = np.bincount(bucket.ravel().astype(np.int64), weights=squares.ravel())
        first = int(np.float64(ROUNDING * self.norm2 / len(self.B)).view(np.uint64)) >> 47
        over = np.flatnonzero(np.cumsum(sums) > allowed)
        first = max(first, int(over[0]) if over.size else len(sums))
        small = bucket < first
        self.dropped2 += float(squares[small].sum())
        self.B[small] = 0


def _gains(B: Array, width: int) -> Array:
    """Give ‖B_ij‖² + ‖B_ji‖² of all groups."""
    n = len(B) // width
    blocks = (B**2).reshape(n, width, n, width).sum(axis=(1, 3))
    return blocks + blocks.T


def _turn(B: Array, at: NDArray[Any], G_u: Array, G_v: Array, w: int) -> None:
    B[at] = G_u @ B[at]
    B[:, at] = B[:, at] @ G_v.T
    B[np.ix_(at[:w], at[w:])] = 0
    B[np.ix_(at[w:], at[:w])] = 0


# ---- the core ------------------------------------------------------------------------------------


def choose_core(run: Run, size: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Let the row or column (the group, unless direct) with the least squares leave first."""
    w = run.width
    outside = run.B**2
    for g in range(len(run.B) // w):
        outside[w * g : w * g + w, w * g : w * g + w] = 0
    rows, columns = run.row >= 0, run.column >= 0
    if run.kind != "direct":
        group = np.ones(len(run.B) // w, dtype=bool)
        while np.count_nonzero(rows & np.repeat(group, w)) > size:
            inside = outside[:, np.repeat(group, w)].sum(axis=1).reshape(-1, w).sum(axis=1)
            group[np.argmin(np.where(group, inside, np.inf))] = False
        return np.repeat(group, w), np.repeat(group, w)
    while rows.sum() > size or columns.sum() > size:
        by_row = np.where(rows & (rows.sum() > size), outside[:, columns].sum(axis=1), np.inf)
        by_column = np.where(columns & (columns.sum() > size), outside[rows].sum(axis=0), np.inf)
        if by_row.min() <= by_column.min():
            rows[np.argmin(by_row)] = False
        else:
            columns[np.argmin(by_column)] = False
    return rows, columns


def sparsify(run: Run, core: tuple[Any, Any], rule: str, entries: int) -> Array:
    """Return what is kept of B: the core, and by a rule few entries besides."""
    n, w = len(run.B), run.width
    kept = np.outer(*core)
    if rule == "diagonal":
        return np.where(kept | np.kron(np.eye(n // w), np.ones((w, w))).astype(bool), run.B, 0)
    squares = np.where(kept, 0, run.B**2)
    row, column = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    for place in np.argsort(-squares, axis=None, kind="stable"):
        i, j = divmod(int(place), n)
        if entries == 0 or squares[i, j] == 0:
            break
        if rule == "greedy" and (row[i] or column[j]):
            continue
        row[i] = column[j] = kept[i, j] = True
        entries -= 1
    return np.where(kept, run.B, 0)
