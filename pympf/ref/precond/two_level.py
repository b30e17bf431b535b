"""The preconditioner with the signs of an indefinite matrix, the twin of two_level.hpp."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse.linalg import splu

from pympf.ref.precond.transfer import power_method

__all__ = ["pairs_of_pairs", "two_level"]

Array = NDArray[np.float64]

TAU_OVER_RHO, LEAST_TAU = 11.0, 0.15
MANY_NEIGHBOURS = 6


def two_level(A: sp.csr_array) -> Callable[[Array], Array]:
    """Return the map r -> M r of one stage and an exact solve of the next.

    Not collective.

    Parameters
    ----------
    A : scipy.sparse.csr_array, shape (n, n)
        K + diag(s), K a graph Laplacian and s = A 1, a small part of the diagonal where negative.

    Returns
    -------
    callable
        Takes and returns an array of shape (n,).

    Examples
    --------
    >>> import pympf
    >>> A = pympf.gallery.shifted(pympf.gallery.poisson((16, 16)), -0.05)
    >>> M = two_level(A)
    >>> x = np.ones(256)
    >>> bool(np.linalg.norm(x - M(A @ x)) < 0.2 * np.linalg.norm(x))
    True
    """
    d = A.diagonal()
    rho = max(0.0, float(np.max(-(A @ np.ones(len(d))) / d)))
    Q = local_modes(A, pairs_of_pairs(A, 6 if A.nnz > MANY_NEIGHBOURS * len(d) else 4), rho)
    radius = power_method(A, 1 / d)
    P = (Q - (4 / (3 * radius)) * sp.diags_array(1 / d) @ (A @ Q)).tocsr()
    coarse = splu((P.T @ A @ P).tocsc())
    damped = 1.4 / radius / d

    def apply(b: Array) -> Array:
        x = damped * b
        x = x + P @ coarse.solve(P.T @ (b - A @ x))
        return np.asarray(x + damped * (b - A @ x))

    return apply


def local_modes(A: sp.csr_array, label: NDArray[np.intp], rho: float) -> sp.csr_array:
    """Return the v with K_C v = λ D_C v, λ < τ, of each cluster C, as columns."""
    tau = max(LEAST_TAU, TAU_OVER_RHO * rho)
    columns = []
    for u in range(label.max() + 1):
        nodes = np.flatnonzero(label == u)
        inside = A[nodes][:, nodes].toarray()
        D = np.diag(inside.diagonal())
        K = inside - D
        values, vectors = eigh(K - np.diag(K.sum(axis=1)), D)
        for v in vectors.T[values < tau]:
            columns.append(sp.coo_array((v, (nodes, np.zeros_like(nodes))), (len(label), 1)))
    return sp.hstack(columns, format="csr")


def pairs_of_pairs(A: sp.csr_array, rounds: int) -> NDArray[np.intp]:
    """Return labels of clusters of up to 2^rounds rows.

    Not collective.

    Parameters
    ----------
    A : scipy.sparse.csr_array, shape (n, n)
        Couplings are where −A is positive off the diagonal.
    rounds : int

    Returns
    -------
    numpy.ndarray, shape (n,)

    Examples
    --------
    >>> import pympf
    >>> pairs_of_pairs(pympf.gallery.poisson(8), 1)
    array([0, 0, 2, 2, 3, 3, 1, 1])
    """
    W = -(A - sp.diags_array(A.diagonal())).toarray()
    W[W < 0] = 0
    all_labels, size = np.arange(len(W)), np.ones(len(W), int)
    for _ in range(rounds):
        label = matched(W, size)
        S = np.eye(label.max() + 1)[label]
        W = S.T @ W @ S
        np.fill_diagonal(W, 0)
        size = (S.T @ size).astype(int)
        all_labels = label[all_labels]
    return all_labels


def matched(W: Array, size: NDArray[np.intp]) -> NDArray[np.intp]:
    """Join rows, those with the fewest neighbours first, with their strongest free neighbour.

    The strength is the coupling over the size of the neighbour.
    """
    label = np.full(len(W), -1)
    count = 0
    for i in np.argsort(np.count_nonzero(W, axis=1), kind="stable"):
        if label[i] < 0:
            weight = np.where(label < 0, W[i] / size, 0.0)
            mate = int(np.argmax(weight)) if weight.max() > 0 else i
            label[i] = label[mate] = count
            count += 1
    return label
