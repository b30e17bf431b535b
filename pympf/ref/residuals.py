"""What the driver of the Krylov methods measures and takes out; twins of cpp/pympf/la/krylov*.cpp.

Matrices are dense float64 arrays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

__all__ = ["balanced_residual", "consistent_part", "row_scaled_norm"]

Array = NDArray[np.float64]


def row_scaled_norm(A: Array, b: Array, r: Array) -> float:
    """Measure a residual by rows as well: the larger of ‖r‖ and c ‖D⁻¹ r‖, c = ‖b‖ / ‖D⁻¹ b‖.

    Not collective.

    Parameters
    ----------
    A : ndarray, shape (n, n)
        D has its diagonal.
    b, r : ndarray, shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> A, b = np.diag([1e8, 1.0]), np.array([1e8, 1.0])
    >>> ratio = row_scaled_norm(A, b, np.array([0.0, 1.0])) / np.linalg.norm(b)
    >>> round(float(ratio), 3)  # half of x
    0.707
    """
    d = abs(np.diagonal(A))
    c = np.linalg.norm(b) / np.linalg.norm(b / d)
    return float(max(np.linalg.norm(r), c * np.linalg.norm(r / d)))


def balanced_residual(A: Array, b: Array, x: Array) -> tuple[float, float]:
    """Measure x in the units of the rows: the twin of cpp/pympf/la/krylov_balanced.cpp.

    Not collective.

    Parameters
    ----------
    A : ndarray, shape (n, n)
        Symmetric, with an ordinary diagonal once its units are taken away; D = diag|A|^(-1/2).
    b, x : ndarray, shape (n,)

    Returns
    -------
    tuple of float
        ‖D (b − A x)‖ / ‖D b‖, and ‖D² (|b − A x| + ε (|A| |x| + |b|))‖ / ‖x‖, about the share of x
        that this residual and rounding leave open; x has not converged where that is above 1e-3.

    Examples
    --------
    >>> import numpy as np
    >>> D = np.array([1.0, 1e20, 1e-10])
    >>> S = np.array([[2.0, -1, 0], [-1, 2, -1], [0, -1, 2]])
    >>> A = D[:, None] * S * D
    >>> residual, open_share = balanced_residual(A, A @ np.ones(3), np.ones(3))
    >>> residual < 1e-15, open_share > 1e10  # x is nothing but rounding of b
    (True, True)
    """
    D = abs(np.diagonal(A)) ** -0.5
    r = b - A @ x
    rounding = np.finfo(np.float64).eps * (abs(A) @ abs(x) + abs(b))
    residual = np.linalg.norm(D * r) / np.linalg.norm(D * b)
    return float(residual), float(np.linalg.norm(D**2 * (abs(r) + rounding)) / np.linalg.norm(x))


def consistent_part(A: Array, b: Array) -> Array:
    """Return what a symmetric matrix without negative eigenvalues reaches of `b`, part by part.

    Not collective. The constants on the parts whose row sums vanish are the nullspace.

    Parameters
    ----------
    A : ndarray, shape (n, n)
    b : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> consistent_part(np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([3.0, 1.0])).tolist()
    [1.0, -1.0]
    """
    b = b.copy()
    for part in range(connected_components(A != 0)[0]):
        rows = connected_components(A != 0)[1] == part
        if (abs(A[rows].sum(axis=1)) <= 1e-15 * A.shape[0] * abs(A[rows]).sum(axis=1)).all():
            b[rows] -= b[rows].mean()
    return b
