"""The logarithm of the determinant of A itself, by Lanczos quadrature with F as control variate.

log det A = tr log F + E[zᵀ (log A − log F) z] for random signs z: the first term is exact and costs
nothing once F is there, the second has the smaller variance the nearer F is to A. zᵀ log(A) z comes
from the Gauss quadrature that k steps of Lanczos give [1]_.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf._progress import working
from pympf.la import Matrix, Ranks, checks
from pympf.mmf import Mmf

__all__ = ["LogDeterminant", "logdet"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LogDeterminant:
    """An estimate of log det A, by `logdet`."""

    value: float
    standard_error: float
    n_probes: int
    n_steps: int


def logdet(
    A: Any, F: Mmf | None = None, *, n_probes: int = 32, n_steps: int = 100, seed: int = 0
) -> LogDeterminant:
    """Estimate log det A of a symmetric positive definite matrix, with its standard error.

    Not collective. (``F.logdet()`` is exact for F, and F is not A.)

    Parameters
    ----------
    A : sparse array or matrix, 2-D array_like, or petsc4py.PETSc.Mat, shape (n, n)
        Real and symmetric positive definite.
    F : Mmf, optional
        A factorization of `A`, positive definite and not prenormalized; the nearer to `A`, the
        smaller the standard error.
    n_probes : int
        Random vectors of signs, at least 2; the standard error falls like their root.
    n_steps : int
        Most products with `A` for each. Fewer are taken where two more change nothing that the
        standard error would show.
    seed : int

    Returns
    -------
    LogDeterminant
        ``value`` and its ``standard_error``, which speaks of the probes and not of the quadrature;
        ``n_steps`` are those taken.

    Raises
    ------
    ValueError
        If `A` is refused by `pympf.la.as_csr`, `F` is not of its size, lies on several ranks, or a
        number is out of range.
    numpy.linalg.LinAlgError
        If `A` or `F` is found not to be positive definite.

    References
    ----------
    .. [1] S. Ubaru, J. Chen, Y. Saad, Fast estimation of tr(f(A)) via stochastic Lanczos
       quadrature, SIAM J. Matrix Anal. Appl. 38, 2017.

    Examples
    --------
    >>> import pympf
    >>> A = pympf.gallery.poisson(400)  # det = n + 1
    >>> estimate = pympf.logdet(A, pympf.factorize(A))
    >>> bool(abs(estimate.value - 5.994) < 5 * estimate.standard_error + 0.1)
    True
    """
    checks.integer(n_probes, "n_probes", 2)
    checks.integer(n_steps, "n_steps")
    given = Matrix.of(A, Ranks(None))
    given.symmetric_rows()
    matrix, n = given.csr.astype(np.float64), given.shape[0]
    if F is not None and (F.shape != (n, n) or F.ranks.size > 1):
        raise ValueError(f"F: expected a factorization of shape {(n, n)} on one process, got {F!r}")
    signs = np.where(
        np.random.default_rng(checks.seed(seed)).random((n, n_probes)) < 0.5, -1.0, 1.0
    )
    exact, known = (0.0, np.zeros(n_probes)) if F is None else _known(F, signs)
    with working(f"logdet with {n_probes} probes"):
        forms, steps = _log_forms(matrix, signs, known, min(n_steps, n))
    samples = forms - known
    error = float(np.std(samples, ddof=1)) / math.sqrt(n_probes)
    return LogDeterminant(exact + float(np.mean(samples)), error, n_probes, steps)


def _known(F: Mmf, signs: Array) -> tuple[float, Array]:
    """Return log det F, and zᵀ log(F) z for each z."""
    exact = F.logdet()
    if not (F.spectrum() > 0).all():
        raise np.linalg.LinAlgError("F has an eigenvalue that is not positive: no real logarithm")
    log = F.function(np.log)
    return exact, np.sum(signs * (log @ signs.astype(F.dtype)), axis=0, dtype=np.float64)


def _log_forms(A: sp.csr_array, signs: Array, known: Array, steps: int) -> tuple[Array, int]:
    """Return zᵀ log(A) z for each z by Gauss quadrature, and the steps of Lanczos that it took.

    It ends when the mean changes by little next to the standard error of what is not `known`.
    """
    n, probes = signs.shape
    q, before = signs / math.sqrt(n), np.zeros_like(signs)
    alpha, beta = np.zeros((steps, probes)), np.zeros((steps, probes))
    forms = np.zeros(probes)
    for step in range(steps):
        w = A @ q - (beta[step - 1] * before if step else 0.0)
        alpha[step] = np.sum(w * q, axis=0)
        w -= alpha[step] * q
        beta[step] = np.linalg.norm(w, axis=0)
        # An invariant subspace is found to rounding: what follows has no weight.
        gone = beta[step] <= 1e-14 * abs(alpha[: step + 1]).max(axis=0)
        beta[step, gone] = 0
        before, q = q, np.where(gone, 0.0, w / np.where(gone, 1.0, beta[step]))
        last = step + 1 == steps or gone.all()
        if last or step % 10 == 9:
            old, forms = forms, n * _quadrature(alpha[: step + 1], beta[:step])
            spread = np.std(forms - known, ddof=1) / math.sqrt(probes)
            if last or abs(np.mean(forms - old)) <= 0.02 * spread + 1e-12 * abs(forms).max():
                break
    return forms, step + 1


def _quadrature(alpha: Array, beta: Array) -> Array:
    """Return e₁ᵀ log(T) e₁ of each tridiagonal T."""
    out = np.empty(alpha.shape[1])
    for column in range(alpha.shape[1]):
        zero = np.flatnonzero(beta[:, column] == 0)
        size = int(zero[0]) + 1 if zero.size else len(alpha)
        T = np.diag(alpha[:size, column])
        inner = np.arange(size - 1)
        T[inner, inner + 1] = T[inner + 1, inner] = beta[: size - 1, column]
        values, vectors = np.linalg.eigh(T)
        if values[0] <= 0:
            raise np.linalg.LinAlgError(
                f"A is not positive definite: it has a Ritz value of {values[0]:.3g}"
            )
        out[column] = np.log(values) @ vectors[0] ** 2
    return out
