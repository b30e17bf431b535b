"""Hat functions at equal distances and least squares in them, for many projections at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pympf.nets._checks import Array

__all__ = ["Hats"]


@dataclass(frozen=True)
class Hats:
    """Hat functions at equal distances, and least squares in them."""

    low: float
    high: float
    spacing: float
    smoothing: float

    @property
    def knots(self) -> int:
        return int(np.ceil((self.high - self.low) / self.spacing)) + 1

    def finer(self, c: Array) -> tuple[Hats, Array]:
        """Halve the spacing; the functions with weights c stay as they are."""
        grid = replace(self, spacing=self.spacing / 2)
        z = grid.low + grid.spacing * np.arange(grid.knots)
        return grid, self.evaluate(np.broadcast_to(z, (len(c), len(z))), c)

    def place(self, z: Array) -> tuple[Array, Array]:
        """The knot on the left, and how far z is on the way to the next."""
        s = np.clip((z - self.low) / self.spacing, 0, np.nextafter(self.knots - 1, 0))
        left = s.astype(np.int64)
        return left, s - left

    def evaluate(self, z: Array, c: Array) -> Array:
        """Sum up hat functions; z of shape (P, n), c of shape (P, knots)."""
        left, w = self.place(z)
        left += np.arange(len(c))[:, np.newaxis] * self.knots
        low = c.ravel()[left]
        return low + w * (c.ravel()[left + 1] - low)

    def explained(self, z: Array, r: Array) -> Array:
        """Share of r² that the means of r over bins around the knots explain, for each row of z.

        Σ S²/(N + smoothing) over bins of N points in which r sums up to S; without smoothing the
        power of these means.
        """
        rows, knots = len(z), self.knots
        z = z * (1 / self.spacing)
        z += 0.5 - self.low / self.spacing
        np.clip(z, 0, knots - 0.5, out=z)
        z += knots * np.arange(rows)[:, np.newaxis]
        bins = z.astype(np.int64).ravel()
        number = np.bincount(bins, minlength=rows * knots) + self.smoothing
        total = np.bincount(bins, np.broadcast_to(r, z.shape).ravel(), rows * knots)
        power = r @ r + np.finfo(np.float64).tiny
        share: Array = (total * total / number).reshape(rows, -1).sum(axis=1) / power
        return share

    def fit(self, z: Array, r: Array) -> tuple[Array, Array, Array]:
        """Fit r by functions of each row of z: their values, slopes and weights of hat functions.

        The normal equations are tridiagonal: in each interval they need the sums of 1, w, w², r
        and wr over its points.
        """
        rows, knots = len(z), self.knots
        left, w = self.place(z)
        left += np.arange(rows)[:, np.newaxis] * knots
        flat, weight = left.ravel(), w.ravel()
        value = np.broadcast_to(r, z.shape).ravel()

        def sums(of: Array | None) -> Array:
            return np.bincount(flat, of, rows * knots).reshape(rows, knots)

        one, first, second = sums(None), sums(weight), sums(weight * weight)
        sum_r, sum_wr = sums(value), sums(weight * value)
        diagonal, right = one - 2 * first + second + 3 * self.smoothing, sum_r - sum_wr
        diagonal[:, [0, -1]] -= self.smoothing
        diagonal[:, 1:] += second[:, :-1]
        right[:, 1:] += sum_wr[:, :-1]
        c = _tridiagonal(diagonal, (first - second)[:, :-1] - self.smoothing, right)
        low = c.ravel()[left]
        rise = c.ravel()[left + 1] - low
        return low + w * rise, rise / self.spacing, c


def _tridiagonal(diagonal: Array, beside: Array, right: Array) -> Array:
    """Solve positive definite systems of shape (P, knots) by elimination, all at once."""
    d, b = diagonal.T.copy(), right.T.copy()
    e = np.ascontiguousarray(beside.T)
    for i in range(1, len(d)):
        factor = e[i - 1] / d[i - 1]
        d[i] -= factor * e[i - 1]
        b[i] -= factor * b[i - 1]
    b[-1] /= d[-1]
    for i in range(len(d) - 2, -1, -1):
        b[i] = (b[i] - e[i] * b[i + 1]) / d[i]
    return np.ascontiguousarray(b.T)
