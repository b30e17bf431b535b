"""Krylov methods for A x = b, the twins of cpp/pympf/la/{cg,minres,gmres,bicgstab}.cpp.

The plain algorithms: no breakdown handling, no replacement of the residual. All vectors are 1-D
float64 arrays; `A` and `M` (about A⁻¹; by default the identity) are anything that multiplies such a
vector by ``@``. Each method returns x and the norms of its stopping test, ‖b − A x‖ unless it says
otherwise: the initial one, then one per iteration.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "bicgstab",
    "cg",
    "fcg",
    "fgmres",
    "gmres",
    "minres",
]

Array = NDArray[np.float64]


class Operator(Protocol):
    """A square linear map."""

    def __matmul__(self, x: Array, /) -> Array:
        """Apply the map to x."""


class Identity:
    """The preconditioner of a method without one."""

    def __matmul__(self, x: Array, /) -> Array:
        """Return x."""
        return x


IDENTITY = Identity()


def cg(
    A: Operator,
    b: Array,
    *,
    M: Operator = IDENTITY,
    x0: Array | None = None,
    rtol: float = 1e-8,
    maxiter: int = 1000,
) -> tuple[Array, Array]:
    """Solve A x = b by conjugate gradients, `A` and `M` symmetric positive definite.

    Not collective.

    Parameters
    ----------
    A, M : operator, shape (n, n)
    b, x0 : ndarray, shape (n,)
        Right-hand side and initial guess (zero by default).
    rtol : float
        Stop when ‖b − A x‖ ≤ rtol ‖b‖.
    maxiter : int
        Most iterations.

    Returns
    -------
    x : ndarray, shape (n,)
    history : ndarray, shape (iterations + 1,)

    References
    ----------
    .. [1] Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd edition, SIAM, 2003,
       Algorithm 9.1.

    Examples
    --------
    >>> import numpy as np
    >>> x, history = cg(np.diag([1.0, 2.0]), np.array([1.0, 1.0]))
    >>> x.round(12).tolist(), len(history)
    ([1.0, 0.5], 3)
    """
    return _conjugate_gradients(A, b, M, x0, rtol, maxiter, flexible=False)


def fcg(
    A: Operator,
    b: Array,
    *,
    M: Operator = IDENTITY,
    x0: Array | None = None,
    rtol: float = 1e-8,
    maxiter: int = 1000,
) -> tuple[Array, Array]:
    """Solve A x = b by flexible conjugate gradients: `M` may change between applications.

    Not collective. A direction is made A-orthogonal to the one before it by the numerator
    (M r_{k+1})ᵀ(r_{k+1} − r_k) of beta, the form of Polak and Ribière.

    Parameters
    ----------
    A, M : operator, shape (n, n)
    b, x0 : ndarray, shape (n,)
        Right-hand side and initial guess (zero by default).
    rtol : float
        Stop when ‖b − A x‖ ≤ rtol ‖b‖.
    maxiter : int
        Most iterations.

    Returns
    -------
    x : ndarray, shape (n,)
    history : ndarray, shape (iterations + 1,)

    References
    ----------
    .. [1] Y. Notay, Flexible conjugate gradients, SIAM J. Sci. Comput. 22, 2000, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> x, history = fcg(np.diag([1.0, 2.0]), np.array([1.0, 1.0]))
    >>> x.round(12).tolist(), len(history)
    ([1.0, 0.5], 3)
    """
    return _conjugate_gradients(A, b, M, x0, rtol, maxiter, flexible=True)


def _conjugate_gradients(
    A: Operator,
    b: Array,
    M: Operator,
    x0: Array | None,
    rtol: float,
    maxiter: int,
    *,
    flexible: bool,
) -> tuple[Array, Array]:
    x = np.zeros_like(b) if x0 is None else x0.copy()
    r = b - A @ x
    z = M @ r
    p = z.copy()
    rz = r @ z
    history = [np.linalg.norm(r)]
    while history[-1] > rtol * np.linalg.norm(b) and len(history) <= maxiter:
        q = A @ p
        alpha = rz / (p @ q)
        x += alpha * p
        before = r
        r = r - alpha * q
        history.append(np.linalg.norm(r))
        z = M @ r
        beta = (z @ (r - before) if flexible else r @ z) / rz
        rz = r @ z
        p = z + beta * p
    return x, np.array(history)


def minres(
    A: Operator,
    b: Array,
    *,
    M: Operator = IDENTITY,
    x0: Array | None = None,
    rtol: float = 1e-8,
    maxiter: int = 1000,
) -> tuple[Array, Array]:
    """Solve A x = b by MINRES, `A` symmetric, `M` symmetric positive definite.

    Not collective.

    Parameters
    ----------
    A, M : operator, shape (n, n)
    b, x0 : ndarray, shape (n,)
        Right-hand side and initial guess (zero by default).
    rtol : float
        Stop when ‖b − A x‖ ≤ rtol ‖b‖.
    maxiter : int
        Most iterations.

    Returns
    -------
    x : ndarray, shape (n,)
    history : ndarray, shape (iterations + 1,)
        The 2-norms of the residuals, whose M-norms sqrt(rᵀ M r) the method minimizes. Where the
        last of `maxiter` iterates has a larger one than `x0`, the result is `x0`, and the last
        entry its norm.

    References
    ----------
    .. [1] C. C. Paige, M. A. Saunders, "Solution of sparse indefinite systems of linear
       equations", SIAM J. Numer. Anal. 12 (1975).

    Examples
    --------
    >>> import numpy as np
    >>> x, history = minres(np.diag([1.0, -2.0]), np.array([1.0, 1.0]))
    >>> x.round(12).tolist(), len(history)
    ([1.0, -0.5], 3)
    """
    x = np.zeros_like(b) if x0 is None else x0.copy()
    r = b - A @ x
    phi = math.sqrt(r @ (M @ r))
    v_before, v, z = np.zeros_like(b), r / phi, M @ r / phi
    w_before, w = np.zeros_like(b), np.zeros_like(b)
    c_before, s_before, c, s, beta = 1.0, 0.0, 1.0, 0.0, 0.0
    history = [np.linalg.norm(r)]
    while history[-1] > rtol * np.linalg.norm(b) and len(history) <= maxiter:
        q = A @ z - beta * v_before  # Lanczos: A Z = V T with T tridiagonal
        alpha = float(z @ q)
        q -= alpha * v
        Mq = M @ q
        beta_next = math.sqrt(max(float(q @ Mq), 0.0))

        delta_bar = c_before * beta  # column (beta, alpha, beta_next) of T through two rotations
        epsilon = s_before * beta
        delta = c * delta_bar + s * alpha
        gamma_bar = c * alpha - s * delta_bar
        gamma = math.hypot(gamma_bar, beta_next)
        c_before, s_before, c, s = c, s, gamma_bar / gamma, beta_next / gamma

        w_before, w = w, (z - delta * w - epsilon * w_before) / gamma
        x += c * phi * w
        phi *= -s
        if beta_next > 0:
            v_before, v, z = v, q / beta_next, Mq / beta_next
        r = s**2 * r + c * phi * v
        beta = beta_next
        history.append(np.linalg.norm(r))
    if len(history) > maxiter and history[-1] > history[0]:
        x = np.zeros_like(b) if x0 is None else x0.copy()
        history[-1] = history[0]
    return x, np.array(history)


def gmres(
    A: Operator,
    b: Array,
    *,
    M: Operator = IDENTITY,
    x0: Array | None = None,
    rtol: float = 1e-8,
    restart: int = 30,
    maxiter: int = 1000,
    side: str = "right",
) -> tuple[Array, Array]:
    """Solve A x = b by restarted GMRES.

    Not collective.

    Parameters
    ----------
    A, M : operator, shape (n, n)
    b, x0 : ndarray, shape (n,)
        Right-hand side and initial guess (zero by default).
    rtol : float
        Stop when ‖b − A x‖ ≤ rtol ‖b‖; from the left when ‖M (b − A x)‖ ≤ rtol ‖M b‖.
    restart : int
        Basis vectors of a cycle.
    maxiter : int
        Most iterations.
    side : {'right', 'left'}
        Side of the preconditioner.

    Returns
    -------
    x : ndarray, shape (n,)
    history : ndarray, shape (iterations + 1,)
        From the left: of ‖M (b − A x)‖.

    References
    ----------
    .. [1] Y. Saad, M. H. Schultz, "GMRES: a generalized minimal residual algorithm for solving
       nonsymmetric linear systems", SIAM J. Sci. Stat. Comput. 7 (1986).

    Examples
    --------
    >>> import numpy as np
    >>> x, history = gmres(np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([3.0, 1.0]))
    >>> x.round(12).tolist(), len(history)
    ([1.0, 1.0], 3)
    """
    left, right = (M, IDENTITY) if side == "left" else (IDENTITY, M)
    return _gmres(A, b, left, right, x0, rtol, restart, maxiter)


def fgmres(
    A: Operator,
    b: Array,
    *,
    M: Operator = IDENTITY,
    x0: Array | None = None,
    rtol: float = 1e-8,
    restart: int = 30,
    maxiter: int = 1000,
) -> tuple[Array, Array]:
    """Solve A x = b by flexible GMRES: `M` may be another map each time it is applied.

    Not collective.

    Parameters
    ----------
    A, M : operator, shape (n, n)
    b, x0 : ndarray, shape (n,)
        Right-hand side and initial guess (zero by default).
    rtol : float
        Stop when ‖b − A x‖ ≤ rtol ‖b‖.
    restart : int
        Basis vectors of a cycle.
    maxiter : int
        Most iterations.

    Returns
    -------
    x : ndarray, shape (n,)
    history : ndarray, shape (iterations + 1,)

    References
    ----------
    .. [1] Y. Saad, "A flexible inner-outer preconditioned GMRES algorithm", SIAM J. Sci. Comput.
       14 (1993).

    Examples
    --------
    >>> import numpy as np
    >>> x, history = fgmres(np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([3.0, 1.0]))
    >>> x.round(12).tolist(), len(history)
    ([1.0, 1.0], 3)
    """
    return _gmres(A, b, IDENTITY, M, x0, rtol, restart, maxiter)


def bicgstab(
    A: Operator,
    b: Array,
    *,
    M: Operator = IDENTITY,
    x0: Array | None = None,
    rtol: float = 1e-8,
    maxiter: int = 1000,
) -> tuple[Array, Array]:
    """Solve A x = b by BiCGStab with the preconditioner from the right.

    Not collective.

    Parameters
    ----------
    A, M : operator, shape (n, n)
    b, x0 : ndarray, shape (n,)
        Right-hand side and initial guess (zero by default).
    rtol : float
        Stop when ‖b − A x‖ ≤ rtol ‖b‖.
    maxiter : int
        Most products with A; two make a step.

    Returns
    -------
    x : ndarray, shape (n,)
    history : ndarray, shape (iterations + 1,)

    References
    ----------
    .. [1] H. A. van der Vorst, "Bi-CGSTAB", SIAM J. Sci. Stat. Comput. 13 (1992).

    Examples
    --------
    >>> import numpy as np
    >>> x, history = bicgstab(np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([3.0, 1.0]))
    >>> x.round(12).tolist()
    [1.0, 1.0]
    """
    x = np.zeros_like(b) if x0 is None else x0.copy()
    r = b - A @ x
    shadow, p, rho = r.copy(), r.copy(), float(r @ r)
    tolerance, history = rtol * np.linalg.norm(b), [np.linalg.norm(r)]
    while history[-1] > tolerance and len(history) <= maxiter:
        direction = M @ p
        v = A @ direction
        alpha = rho / (shadow @ v)
        x, r = x + alpha * direction, r - alpha * v
        history.append(np.linalg.norm(r))
        if history[-1] <= tolerance or len(history) > maxiter:
            break
        direction = M @ r
        t = A @ direction
        omega = (t @ r) / (t @ t)
        x, r = x + omega * direction, r - omega * t
        history.append(np.linalg.norm(r))
        before, rho = rho, float(shadow @ r)
        p = r + rho / before * (alpha / omega) * (p - omega * v)
    return x, np.array(history)


def _gmres(
    A: Operator,
    b: Array,
    left: Operator,
    right: Operator,
    x0: Array | None,
    rtol: float,
    restart: int,
    maxiter: int,
) -> tuple[Array, Array]:
    """Cycles of GMRES for `left` A `right` u = `left` b; the vectors `right` v_j are kept."""
    x = np.zeros_like(b) if x0 is None else x0.copy()
    tolerance = rtol * np.linalg.norm(left @ b)
    history = [np.linalg.norm(left @ (b - A @ x))]
    while history[-1] > tolerance and len(history) <= maxiter:
        r = left @ (b - A @ x)
        beta = np.linalg.norm(r)
        V, Z = [r / beta], []
        H = np.zeros((restart + 1, restart))
        for k in range(restart):
            Z.append(right @ V[k])
            w = left @ (A @ Z[k])
            for _ in range(2):  # twice is enough
                for i in range(k + 1):
                    projection = V[i] @ w
                    H[i, k] += projection
                    w = w - projection * V[i]
            H[k + 1, k] = np.linalg.norm(w)
            g = np.eye(k + 2)[0] * beta
            y = np.linalg.lstsq(H[: k + 2, : k + 1], g)[0]
            history.append(np.linalg.norm(g - H[: k + 2, : k + 1] @ y))
            if history[-1] <= tolerance or len(history) > maxiter:
                break
            V.append(w / H[k + 1, k])
        x += np.array(Z).T @ y
    return x, np.array(history)
