"""The exact best top layer: least squares for a model that is linear in its weights.

    min over w, b of sum_i (φ(x_i)·w + b - y_i)² + λ |w|²,  λ = ridge · |Φ|_F²/t

The penalty spares the intercept, and `ridge` is relative to the mean squared column of Φ, so that
it means the same at any width and number of points. The default 1e-10 only settles directions that
the data do not determine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.linalg import LinearOperator, lsqr

from pympf.la import checks
from pympf.nets._checks import Array, random_numbers
from pympf.nets.rows import Rows

__all__ = ["least_squares"]

Fit = tuple[Array, Any]

ITERATIVE = 2**11
"""Width from which sparse rows are solved by LSQR, not by a Cholesky factorization."""

SPARSE = 8
"""Rows are sparse when they have this factor fewer active units than units."""

HOLDOUT = 8
"""One of so many points is held out to choose among several ridges."""


def least_squares(
    blocks: Iterable[tuple[Rows, Array]], *, ridge: float | Iterable[float] = 1e-10, seed: int = 0
) -> Fit:
    """Find the weights and the intercept of least squared error.

    Not collective.

    Parameters
    ----------
    blocks : iterable of (Rows, ndarray)
        Activations and target values, shape (m,) or (m, k), cut into blocks of any size.
    ridge : float or sequence of float
        Relative damping. Of several the one is taken that does best on an eighth of the points,
        held out of a first fit.
    seed : int
        Seed of what is held out.

    Returns
    -------
    weights : ndarray of float64, shape (t,) or (t, k)
        The weights of the units.
    intercept : float, or ndarray of shape (k,)
        The constant.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import Rows, least_squares
    >>> X = np.arange(12.0).reshape(6, 2) ** 2
    >>> weights, intercept = least_squares([(Rows(X), X @ [2.0, -1.0] + 3)])
    >>> weights.round(3), round(intercept, 3)
    (array([ 2., -1.]), 3.0)
    """
    if isinstance(ridge, float | int):
        return _fit(blocks, float(ridge))
    rows, y = _joined(blocks)
    return _fit([(rows, y)], _best(rows, y, [float(r) for r in ridge], seed))


def _joined(blocks: Iterable[tuple[Rows, Array]]) -> tuple[Rows, Array]:
    parts = list(blocks)
    if len(parts) == 1:
        return parts[0]
    rows = [part for part, _ in parts]
    indices = None if rows[0].indices is None else np.concatenate([r.indices for r in rows])
    values = np.concatenate([part.values for part in rows])
    return Rows(values, indices, rows[0].width), np.concatenate([y for _, y in parts])


def _best(rows: Rows, y: Array, ridges: list[float], seed: int) -> float:
    """Choose among ridges by the error on points that are held out."""
    shuffled = random_numbers(seed, "holdout").permutation(len(y))
    held, kept = np.split(shuffled, [max(1, len(y) // HOLDOUT)])
    if len(kept) == 0:
        return max(ridges)
    seen, unseen = rows.take(kept), rows.take(held)

    def error(ridge: float) -> float:
        weights, intercept = _fit([(seen, y[kept])], ridge)
        return float(((unseen @ weights + intercept - y[held]) ** 2).mean())

    return min(ridges, key=error)


def _fit(blocks: Iterable[tuple[Rows, Array]], ridge: float) -> Fit:
    ridge = checks.positive(ridge, "ridge")
    blocks = iter(blocks)
    first = next(blocks)
    if first[0].width >= ITERATIVE and _is_sparse(first[0]):
        return _by_lsqr(*_joined([first, *blocks]), ridge)
    return _by_normal_equations(first, blocks, ridge)


def _is_sparse(rows: Rows) -> bool:
    return SPARSE * rows.active <= rows.width


def _by_normal_equations(
    first: tuple[Rows, Array], others: Iterable[tuple[Rows, Array]], ridge: float
) -> Fit:
    """Sum up Φᵀ[Φ 1 y] block by block, then factor."""
    width = first[0].width
    gram, sums = np.zeros((width, width)), np.zeros(width)
    products = np.zeros((width, *first[1].shape[1:]))
    n, total = 0, np.zeros(first[1].shape[1:])
    for rows, y in (first, *others):
        phi = (rows.csr() if _is_sparse(rows) else rows.dense()).astype(np.float64, copy=False)
        gram += phi.T @ phi
        sums += phi.sum(axis=0)
        products += phi.T @ y
        n, total = n + len(y), total + y.sum(axis=0, dtype=np.float64)
    damping = ridge * np.trace(gram) / width
    gram -= np.outer(sums, sums / n)
    gram[np.diag_indices(width)] += damping or 1.0
    right = products - np.multiply.outer(sums, total / n)
    weights = cho_solve(cho_factor(gram, overwrite_a=True), right)
    return weights, _constant((total - sums @ weights) / n)


def _constant(value: Any) -> Any:
    return float(value) if np.ndim(value) == 0 else value


def _by_lsqr(rows: Rows, y: Array, ridge: float) -> Fit:
    """Iterate on Φ minus its column means."""
    phi = rows.csr().astype(np.float64)
    n, width = phi.shape
    mean = phi.sum(axis=0) / n
    centered = LinearOperator(
        (n, width),
        matvec=lambda w: phi @ w - mean @ w,
        rmatvec=lambda r: phi.T @ r - mean * r.sum(),
        dtype=np.float64,
    )
    damping = ridge * float(np.square(phi.data).sum()) / width
    level = _constant(y.mean(axis=0, dtype=np.float64))
    stops = {"atol": 1e-8, "btol": 1e-8, "iter_lim": 2000}

    def solve(right: Array) -> Array:
        return lsqr(centered, right, damp=np.sqrt(damping), **stops)[0]

    rest = y - level
    weights = solve(rest) if y.ndim == 1 else np.stack([solve(one) for one in rest.T], axis=1)
    return weights, _constant(level - mean @ weights)
