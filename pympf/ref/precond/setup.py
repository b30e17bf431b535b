"""From a matrix to the levels, and the cycle over them, the twin of setup.hpp and cycle.hpp."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pympf.ref.precond.couplings import Labels, cluster, contract, couplings
from pympf.ref.precond.nodes import find_node_size
from pympf.ref.precond.params import Params
from pympf.ref.precond.smoother import Smoother, smoother
from pympf.ref.precond.transfer import lifted_prolongation, rotate

__all__ = ["Hierarchy", "Level", "default_vector", "setup"]

Array = NDArray[np.float64]

LEAST_REDUCTION = 0.8  # a stage must remove a fifth of the rows
EXPANDER = 0.6  # a contraction that leaves more of the couplings: lifting would fill in
MOST_WORK = 15  # multiply-adds of A P, over the entries of A
LIFT_ATTEMPTS = 3
NEAR_MISS = 2  # times what may be: worth another attempt
ENOUGH = 0.25  # of the residual, after the first step of a K-cycle
LAST_SWEEPS = 3  # on a last level that is too large for a dense solve


@dataclass(frozen=True)
class Level:
    """One stage as the cycle needs it; without P it is the last, and only smoothed."""

    A: Array
    smooth: Smoother
    B: Array
    label: Labels | None = None
    P: Array | None = None
    lifted: bool = False


@dataclass(frozen=True)
class Hierarchy:
    """The levels, and the pseudo-inverse of the last matrix unless that is only smoothed."""

    levels: list[Level]
    coarse: Array | None
    params: Params

    def apply(self, r: Array) -> Array:
        """Return M r by one cycle."""
        return self.cycle(0, r)

    def cycle(self, l: int, b: Array) -> Array:
        """Return x = S b; r = b - A x; x += c P cycle(P^T r); x += S^T (b - A x)."""
        if l == len(self.levels):
            assert self.coarse is not None
            return np.asarray(self.coarse @ b)
        level, params = self.levels[l], self.params
        x = self.sweep(level, b, np.zeros_like(b), params.sweeps, forward=True)
        if level.P is None:
            return self.sweep(level, b, x, self.more_sweeps(l), forward=False)
        x += params.overcorrection * level.P @ self.correct(l + 1, level.P.T @ (b - level.A @ x))
        return self.sweep(level, b, x, params.sweeps, forward=False)

    def sweep(self, level: Level, b: Array, x: Array, steps: int, *, forward: bool) -> Array:
        """Smooth some times."""
        for _ in range(steps):
            x = x + level.smooth(b - level.A @ x, forward)
        return x

    def more_sweeps(self, l: int) -> int:
        """Return the backward steps that end a last level: with them M is symmetric."""
        if self.params.smoother == "gs":
            return self.params.sweeps
        return LAST_SWEEPS - 1 if l > 0 else 0

    def correct(self, l: int, b: Array) -> Array:
        """Solve on level l by one cycle (V), by two (W), or by two steps of flexible CG (K)."""
        if l == len(self.levels) or self.params.cycle == "v":
            return self.cycle(l, b)
        if self.params.cycle == "w":
            x = self.cycle(l, b)
            return x + self.cycle(l, b - self.levels[l].A @ x)
        return self.krylov(l, b)

    def krylov(self, l: int, b: Array) -> Array:
        """Return the best of span {c, d}, c = cycle(b), d = cycle(b - alpha / rho A c).

        The second direction is left out where the first does enough (Notay and Vassilevski,
        Numer. Linear Algebra Appl. 15, 2008).
        """
        A = self.levels[l].A
        c = self.cycle(l, b)
        v = A @ c
        rho, alpha = c @ v, c @ b
        if not rho > 0:
            return c
        left = b - alpha / rho * v
        if np.linalg.norm(left) <= ENOUGH * np.linalg.norm(b):
            return np.asarray(alpha / rho * c)
        d = self.cycle(l, left)
        gamma, delta = d @ v, d @ left
        rest = d @ A @ d - gamma**2 / rho
        if not rest > 0:
            return np.asarray(alpha / rho * c)
        return np.asarray(delta / rest * d + (alpha / rho - gamma * delta / (rho * rest)) * c)


def setup(
    A: Array, params: Params | None = None, near_nullspace: Array | None = None, block: int = 1
) -> Hierarchy:
    """Build the hierarchy of a symmetric matrix.

    Not collective.

    Parameters
    ----------
    A : numpy.ndarray, shape (n, n)
    params : Params
    near_nullspace : numpy.ndarray, shape (n, m)
        What the scaling functions reproduce; by default a vector that is looked for.
    block : int
        Rows of a node; 1, unless one single vector is given: as `find_node_size` sees them.

    Returns
    -------
    Hierarchy

    Examples
    --------
    >>> A = 2 * np.eye(30) - np.eye(30, k=1) - np.eye(30, k=-1)
    >>> M = setup(A, Params(coarse_size=5))
    >>> [len(level.A) for level in M.levels], M.coarse.shape
    ([30, 10], (4, 4))
    >>> b = np.ones(30)
    >>> bool(np.linalg.norm(b - A @ M.apply(b)) < 0.2 * np.linalg.norm(b))
    True
    """
    params = params or Params()
    smallest, most = coarse_size(A, params), params.max_complexity * np.count_nonzero(A)
    left = int(most - np.count_nonzero(A))
    levels: list[Level] = []
    B, W = near_nullspace, None
    if block == 1 and (B is None or B.shape[1] > 1):
        block = find_node_size(A)
    while len(A) > smallest:
        smooth = smoother(A, params)
        if B is None:
            B = default_vector(A, smooth, params) if block == 1 else constants(len(A), block)
        if W is None:
            W = couplings(A, B, block)
        stage = None
        if len(levels) + 1 < params.max_levels:
            stage = coarsen(A, B, W, block, params, len(levels), left)
        if stage is None:
            return Hierarchy([*levels, Level(A, smooth, B)], None, params)
        label, P, lifted, following, R = stage
        levels.append(Level(A, smooth, B, label, P, lifted))
        A, B, W, block = following, R, contract(W, label), R.shape[1]
        left -= int(np.count_nonzero(A))
    return Hierarchy(levels, pseudo_inverse(A), params)


def coarse_size(A: Array, params: Params) -> int:
    """Return the rows at which the hierarchy ends with a dense solve."""
    return params.coarse_size or max(64, int(np.cbrt(20.0 * np.count_nonzero(A))))


def default_vector(A: Array, smooth: Smoother, params: Params) -> Array:
    """Return constants, or D^-1/2 1 when its Rayleigh quotient is ten times smaller.

    Either is relaxed on A b = 0 when it is no near-nullspace.
    """
    n, d = len(A), A.diagonal()
    b = np.ones(n)
    if np.all(d > 0):
        scaled = 1 / np.sqrt(d)
        if rayleigh(A, scaled) < 0.1 * rayleigh(A, b):
            b = scaled
    size = d * np.abs(b)
    residual = np.divide(np.abs(A @ b), size, out=np.zeros(n), where=size > 0)
    if np.sort(residual)[n // 2] > 1e-3:
        for step in range(params.relaxations):
            b = b + smooth(-A @ b, step % 2 == 0)
    norm = np.linalg.norm(b)
    return b[:, None] * (np.sqrt(n) / norm if norm > 0 else 1)


def constants(rows: int, block: int) -> Array:
    """Return one vector for each row of a node."""
    return np.tile(np.eye(block), (rows // block, 1))


def rayleigh(A: Array, x: Array) -> float:
    """Return x^T A x / x^T D x."""
    mass = A.diagonal() @ x**2
    return float(x @ A @ x / mass) if mass > 0 else 0.0


def coarsen(
    A: Array, B: Array, W: Array, block: int, params: Params, number: int, left: int
) -> tuple[Labels, Array, bool, Array, Array] | None:
    """Return clusters, P, whether it is lifted, P^T A P and its near-nullspace.

    None when no stage is worth having. At most `left` entries may be in P^T A P.
    """
    theta = params.strength * params.strength_decay**number
    label = cluster(W, params.shape, theta, params.cluster_size)
    if (label.max(initial=-1) + 1) * B.shape[1] > LEAST_REDUCTION * len(A):
        return None
    Q, R = rotate(B, label, block)
    P, lifted = Q, False
    if params.lift and np.count_nonzero(contract(W, label)) <= EXPANDER * np.count_nonzero(W):
        # Lifted functions that would fill in a little are truncated more; if much, they stay
        # unlifted.
        delta = params.truncation
        for _ in range(LIFT_ATTEMPTS):
            attempt = replace(params, truncation=delta)
            lifted_P = lifted_prolongation(A, B, Q, R, label, block, attempt)
            excess = excess_of(A, lifted_P, left)
            if excess <= 1:
                P, lifted = lifted_P, True
            if excess <= 1 or excess > NEAR_MISS or min(2 * delta, 0.5) <= delta:
                break
            delta = min(2 * delta, 0.5)
    following = galerkin_entries(A, P)
    if following > left or (following > np.count_nonzero(A) and P.shape[1] > 2500):
        return None
    return label, P, lifted, without_null_rows(A, P), R


def excess_of(A: Array, P: Array, left: int) -> float:
    """Return the work or the entries of the product with lifted functions over what may be."""
    entries = int(np.count_nonzero(A))
    fewer = left if len(A) <= 1000 else min(left, 9 * entries // 10)
    work = product_work(A, P) / (MOST_WORK * entries)
    if fewer <= 0:
        return np.inf
    return work if work > 1 else galerkin_entries(A, P) / fewer


def product_work(A: Array, P: Array) -> int:
    """Return the multiply-adds of A P."""
    return int(np.count_nonzero(A, axis=0) @ np.count_nonzero(P, axis=1))


def galerkin_entries(A: Array, P: Array) -> int:
    """Return the entries of P^T A P."""
    pattern = (P != 0).astype(float)
    return int(np.count_nonzero(pattern.T @ (A != 0) @ pattern))


def without_null_rows(A: Array, P: Array) -> Array:
    """Return P^T A P with zeros for the rows and columns that are rounding.

    Such a row is what is left of a component whose couplings are all inside.
    """
    coarse = P.T @ A @ P
    null = np.abs(coarse).sum(axis=1) <= 1e-13 * (P**2).T @ np.abs(A.diagonal())
    coarse[null] = 0
    coarse[:, null] = 0
    return np.asarray((coarse + coarse.T) / 2)


def pseudo_inverse(A: Array) -> Array:
    """Return |A|^+."""
    values, V = np.linalg.eigh((A + A.T) / 2)
    size = np.abs(values)
    nonzero = size > 1e-13 * size.max(initial=0)
    inverse = np.divide(1, size, out=np.zeros_like(size), where=nonzero)
    return np.asarray((V * inverse) @ V.T)
