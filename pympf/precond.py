"""Preconditioners for SciPy's solvers."""

from __future__ import annotations

from typing import Any

from scipy.sparse.linalg import LinearOperator

from pympf.mmf import factorize

__all__ = ["as_preconditioner"]


def as_preconditioner(A: Any, **params: Any) -> LinearOperator:
    """Factor a matrix and return a preconditioner M ≈ |A|⁻¹.

    Not collective. M = Qᵀ |H|⁻¹ Q is symmetric positive definite whatever `A` is, so it fits CG
    (for a positive definite `A`) and MINRES (for any).

    Parameters
    ----------
    A : sparse array or matrix, 2-D array_like, or petsc4py.PETSc.Mat, shape (n, n)
        Real and symmetric.
    **params
        Those of `pympf.factorize`.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator

    Raises
    ------
    ValueError, TypeError
        As `pympf.factorize`.

    References
    ----------
    .. [1] Thesis, section 2.3.3.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> from scipy.sparse.linalg import minres
    >>> A = pympf.gallery.poisson((32, 32))
    >>> x, info = minres(A, np.ones(1024), M=pympf.as_preconditioner(A))
    >>> info
    0
    """
    return factorize(A, **params).preconditioner()
