"""How many steps CG with the diagonal will take, predicted from a smooth and by a random error.

The same as cpp/pympf/precond/choice/smooth_look.hpp, which has the formulas.
"""

import math

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

__all__ = ["lanczos_matrix", "smooth_error", "smooth_steps"]


def smooth_error(A: sp.csr_array) -> NDArray[np.float64]:
    """Return a hat over the rows, D-orthogonal to the constant where A nearly annihilates that."""
    n, d = A.shape[0], A.diagonal()
    w = 1 - np.abs(2 * (np.arange(n) + 0.5) / n - 1)
    sums = np.abs(A @ np.ones(n)).sum()
    return w - (d @ w) / d.sum() if sums <= 1e-3 * np.abs(d).sum() else w


def lanczos_matrix(A: sp.csr_array, w: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Return T of CG with the diagonal from the residual D w."""
    d = A.diagonal()
    r, z = d * w, w.copy()
    p, rz = z.copy(), r @ z
    alphas: list[float] = []
    T = np.zeros((steps, steps))
    for k in range(steps):
        q = A @ p
        alphas.append(rz / (p @ q))
        r -= alphas[k] * q
        z = r / d
        beta, rz = (r @ z) / rz, r @ z
        p = z + beta * p
        T[k, k] += 1 / alphas[k]
        if k + 1 < steps:
            T[k + 1, k + 1] = beta / alphas[k]
            T[k, k + 1] = T[k + 1, k] = math.sqrt(beta) / alphas[k]
    return T


def smooth_steps(A: sp.csr_array, steps: int) -> float:
    """Steps to 1e-8 by the condition of T after so many steps."""
    theta = np.linalg.eigvalsh(lanczos_matrix(A, smooth_error(A), steps))
    return float(0.85 * math.log(2e8) / 2 * math.sqrt(theta[-1] / theta[0]))
