"""Rotations and lifted scaling functions, the twin of cpp/pympf/precond/levels/transfer.hpp."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pympf.ref.precond.couplings import Labels
from pympf.ref.precond.params import Params

__all__ = ["lifted_prolongation", "power_method", "rotate"]

Array = NDArray[np.float64]


def rotate(B: Array, label: Labels, block: int = 1) -> tuple[Array, Array]:
    """Return Q, whose columns are the scaling functions, and the coarse near-nullspace R.

    B_C = Q_C R_C for each cluster C; function e of cluster u is column u m + e. The wavelets are
    the orthogonal complement of Q, so they are orthogonal to B = Q R.
    """
    m, count = B.shape[1], label.max(initial=-1) + 1
    Q, R = np.zeros((len(B), count * m)), np.zeros((count * m, m))
    rows_label = np.repeat(label, block)
    for u in range(count):
        rows, columns = np.flatnonzero(rows_label == u), np.arange(u * m, (u + 1) * m)
        Q[np.ix_(rows, columns)], R[columns] = orthonormalize(B[rows])
    return Q, R


def orthonormalize(B: Array) -> tuple[Array, Array]:
    """Return Q and R of B = Q R by Gram-Schmidt, done twice.

    A column that depends on those before leaves a zero column in Q and a zero row in R.
    """
    m = B.shape[1]
    Q, R = np.zeros_like(B), np.zeros((m, m))
    for e in range(m):
        v = B[:, e].copy()
        for _ in range(2):
            r = Q[:, :e].T @ v
            R[:e, e] += r
            v -= Q[:, :e] @ r
        norm = np.linalg.norm(v)
        if norm > 1e-10 * np.linalg.norm(B[:, e]):
            Q[:, e], R[e, e] = v / norm, norm
    return Q, R


def lifted_prolongation(
    A: Array, B: Array, Q: Array, R: Array, label: Labels, block: int, params: Params
) -> Array:
    """Return P, the scaling functions after one smoothing step and the truncation of its rows."""
    m = B.shape[1]
    P = lift_by_averages(A, B[:, 0], Q, params) if m == block == 1 else lift(A, Q, params)
    P[np.repeat(label, block) < 0] = 0
    for row in P:
        truncate(row, R, params.truncation)
    return P


def lift_by_averages(A: Array, b: Array, Q: Array, params: Params) -> Array:
    """Return Q - omega (Q + D^-1 K Q), K the off-diagonals with a_ij b_i b_j < 0.

    D_i = sum_j |k_ij b_j / b_i| + max((A b)_i / b_i, 0): a convex average, so that P R = b but for
    the excess (A b)_i. Rows without K stay as they are.
    """
    K = np.where(np.outer(b, b) * A < 0, A, 0)
    np.fill_diagonal(K, 0)
    kept = np.abs(K) @ np.abs(b)
    D = kept + np.maximum(np.where(b < 0, -1, 1) * (A @ b), 0)  # times |b|
    P = Q.copy()
    some = kept > 0
    step = params.lift_weight * (np.abs(b[some]) / D[some])[:, None]
    P[some] = (1 - params.lift_weight) * Q[some] - step * (K[some] @ Q)
    return P


def lift(A: Array, Q: Array, params: Params) -> Array:
    """Return Q - 2 omega / rho(D^-1 A) D^-1 A Q; rows with d <= 0 stay as they are."""
    d = A.diagonal()
    inverse = np.divide(1, d, out=np.zeros_like(d), where=d > 0)
    step = 2 * params.lift_weight / power_method(A, inverse)
    return Q - step * inverse[:, None] * (A @ Q)


def power_method(A: Array, inverse: Array) -> float:
    """Return the largest eigenvalue of D^-1 A as 12 steps see it."""
    i = np.arange(len(inverse), dtype=np.uint32) * np.uint32(2654435761)
    v, rho = 0.5 + (i >> 16) / 65536, 1.0
    v[::2] *= -1
    for _ in range(12):
        w = inverse * (A @ v)
        rho = float(np.linalg.norm(w))
        if not rho > 0:
            return 1.0
        v = w / rho
    return rho


def truncate(row: Array, R: Array, delta: float) -> None:
    """Drop the smallest weights of a row of P while their sum is at most delta of the row's.

    The weight of a cluster is the sum of its |p_ij| ||R_j||. The largest always stays, and what
    stays is corrected so that the row of P R does.
    """
    m = R.shape[1]
    weight = (np.abs(row) * np.linalg.norm(R, axis=1)).reshape(-1, m).sum(axis=1)
    clusters = np.flatnonzero(row.reshape(-1, m).any(axis=1))
    # Of equal weights the later cluster goes first.
    order = sorted(clusters, key=lambda u: (weight[u], -u))
    within = np.cumsum(weight[order]) <= delta * weight.sum()
    dropped = [u for u, goes in zip(order[:-1], within[:-1], strict=True) if goes]
    if not dropped:
        return
    before = row @ R
    row.reshape(-1, m)[dropped] = 0
    stays = np.repeat(np.isin(np.arange(len(weight)), np.setdiff1d(clusters, dropped)), m)
    correct(row, R, before, stays)


def correct(row: Array, R: Array, before: Array, stays: NDArray[np.bool_]) -> None:
    """Bring row @ R back: by a factor for one vector, by the least change for several."""
    after = row @ R
    if len(before) == 1:
        row *= np.clip(before / after if after != 0 else 1, 0.5, 2)
        return
    C = R[stays]
    G = C.T @ C
    G += (1e-12 * np.trace(G) + 1e-300) * np.eye(len(G))
    row[stays] += C @ np.linalg.solve(G, before - after)
