"""Smoothers x <- x + S (b - A x), the twin of cpp/pympf/precond/smoothers/smoother.hpp."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pympf.ref.precond.incomplete_cholesky import incomplete_cholesky
from pympf.ref.precond.params import Params
from pympf.ref.precond.transfer import power_method

__all__ = ["Smoother", "smoother"]

Array = NDArray[np.float64]
Smoother = Callable[[Array, bool], Array]  # S r forward, S^T r backward


def smoother(A: Array, params: Params) -> Smoother:
    """Return the smoother that the parameters ask for."""
    if params.smoother == "ict":
        return ict(A, params)
    inverse = inverse_diagonal(A, params.smoother == "l1_jacobi")
    if params.smoother == "gs":
        return lambda r, forward: gauss_seidel(A, inverse, r, forward)
    if params.smoother == "chebyshev":
        high = radius(A, inverse)
        return lambda r, forward: chebyshev(A, inverse, high, params.degree, r)
    return lambda r, forward: inverse * r


def ict(A: Array, params: Params) -> Smoother:
    """Return r -> M^-1 r, M >= A the incomplete Cholesky; null rows give zero."""
    L = incomplete_cholesky(A, params.drop_tolerance, params.fill)
    null = L.diagonal() == 0
    inverse = np.linalg.inv(L + np.diag(null.astype(float)))
    inverse[null] = 0
    return lambda r, forward: inverse.T @ (inverse @ r)


def inverse_diagonal(A: Array, l1: bool) -> Array:
    """Return 1 / |a_ii|, or one over the l1 norm of the row; 0 for a null row."""
    d, norm = np.abs(A.diagonal()), np.abs(A).sum(axis=1)
    size = norm if l1 else np.where(d > 0, d, norm)
    return np.divide(1, size, out=np.zeros_like(size), where=size > 0)


def gauss_seidel(A: Array, inverse: Array, r: Array, forward: bool) -> Array:
    """Return (D + L)^-1 r forward, (D + U)^-1 r backward."""
    x = np.zeros_like(r)
    for i in range(len(A)) if forward else reversed(range(len(A))):
        x[i] = inverse[i] * (r[i] - A[i] @ x)
    return x


def radius(A: Array, inverse: Array) -> float:
    """Return 1.1 times the largest eigenvalue of D^-1 A as the power method sees it.

    Never above the largest l1 norm of a row.
    """
    rho = power_method(A, inverse)
    return float(min(1.1 * rho, np.max(np.abs(A).sum(axis=1) * inverse)))


def chebyshev(A: Array, inverse: Array, high: float, degree: int, r: Array) -> Array:
    """Return p(D^-1 A) D^-1 r, 1 - t p(t) the Chebyshev polynomial on [high / 4, high]."""
    center, half = 5 / 8 * high, 3 / 8 * high
    sigma = center / half
    rho = 1 / sigma
    step = inverse * r / center
    x, left = step.copy(), r.copy()
    for _ in range(1, degree):
        left = left - A @ step
        following = 1 / (2 * sigma - rho)
        step = following * rho * step + 2 * following / half * inverse * left
        x += step
        rho = following
    return x
