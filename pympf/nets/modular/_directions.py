"""Directions, or centres, that descend by Gauss and Newton's steps, and which of many may do so.

    Δu = (Σ f'² ∂z∂zᵀ + damping)⁻¹ Σ (r - f) f' ∂z,    z = u·x or |x - u|, f fitted to r

A start that is too far from a module does not come to it. The share of r² that means over bins of z
explain tells, for a tenth of the cost of a step, which starts may be near enough.
"""

from __future__ import annotations

import numpy as np

from pympf.nets._checks import Array
from pympf.nets.modular._hats import Hats
from pympf.nets.modular.tasks import project

__all__ = ["FARTHEST", "LOT", "descend", "promising", "step"]

FARTHEST = 1.5
"""Centres stay within this distance of the mean of the points."""

AT_ONCE, SCREEN, LEAST = 25, 100, 20
"""Starts that descend together; directions that are tried for each; starts of a lot at least."""

BLOCK = 2**14
"""Projections that are binned together: they stay in the cache. A lot has many such blocks."""

LOT = AT_ONCE * SCREEN
"""Directions of which the best descend together. Ranks share such lots."""

STEPS = 8
"""Gauss-Newton steps of a start."""

DAMPING = {"linear": 0.05, "distance": 0.1}
"""Share of the mean eigenvalue that is added to the Gauss-Newton matrix."""


def descend(
    U: Array, X: Array, r: Array, grid: Hats, projection: str, steps: int
) -> tuple[Array, Array]:
    """Improve each row of U; gives the best on its way and its share of r² that is explained."""
    best, explained = U.copy(), np.full(len(U), -np.inf)
    power = r @ r
    for number in range(steps + 1):
        z = project(X, U, projection)
        f, slope, _ = grid.fit(z, r)
        rest = r - f
        gain = 1 - np.einsum("ij,ij->i", rest, rest) / power
        better = gain > explained
        best[better], explained[better] = U[better], gain[better]
        if number < steps:
            U = step(U, X, rest, slope, z, projection)
    return best, explained


def promising(U: Array, X: Array, r: Array, grid: Hats, projection: str) -> tuple[Array, Array]:
    """Let the best of a lot of directions descend; gives them and what they explain."""
    block = max(1, BLOCK // len(X))
    parts = [U[i : i + block] for i in range(0, len(U), block)]
    share = np.concatenate([grid.explained(project(X, part, projection), r) for part in parts])
    best = np.argsort(-share, kind="stable")[: max(LEAST, len(U) // SCREEN)]
    return descend(U[best], X, r, grid, projection, STEPS)


def step(U: Array, X: Array, rest: Array, slope: Array, z: Array, projection: str) -> Array:
    """A Gauss-Newton step, back onto the sphere, or into the ball of centres."""
    count, m = U.shape
    if projection == "distance":  # ∂z = -(x - u)/z
        slope = slope / np.maximum(z, 1e-9)
    squares, product = slope * slope, rest * slope
    J, b = np.zeros((count, m * m)), product @ X
    block = max(1, 2**21 // (m * m))
    for i in range(0, len(X), block):
        x = X[i : i + block]
        outer = (x[:, :, np.newaxis] * x[:, np.newaxis, :]).reshape(len(x), -1)
        J += squares[:, i : i + block] @ outer
    J = J.reshape(count, m, m)
    if projection == "distance":
        b = product.sum(axis=1, keepdims=True) * U - b
        cross = (squares @ X)[:, :, np.newaxis] * U[:, np.newaxis, :]
        total = squares.sum(axis=1)[:, np.newaxis, np.newaxis]
        J += total * U[:, :, np.newaxis] * U[:, np.newaxis, :] - cross - cross.transpose(0, 2, 1)
    mean = np.trace(J, axis1=1, axis2=2) / m
    damping = DAMPING[projection] * mean + np.finfo(np.float64).tiny
    J[:, np.arange(m), np.arange(m)] += damping[:, np.newaxis]
    U = U + np.linalg.solve(J, b[:, :, np.newaxis])[:, :, 0]
    length = np.linalg.norm(U, axis=1, keepdims=True)
    if projection == "linear":
        return U / np.where(length > 0, length, 1.0)
    return U * np.minimum(1, FARTHEST / np.maximum(length, 1e-9))
