"""Sparse approximate inverses in a wavelet basis (thesis, section 2.3.1, algorithms 3 and 4).

WSPAI (Chan, Tang, Wan): min ‖(Wᵀ A W) M − I‖ over block-diagonal M; then W M Wᵀ ≈ A⁻¹.
IWSPAI (Hawkins, Chen): min ‖A M̂ − W‖ over M̂ with the entries of W; then M̂ Wᵀ ≈ A⁻¹. Line 5 of
algorithm 4 must read m̂_j(S_j) = z. Both are columns of least squares, in C++ (approx/spai), by QR
or LSQR.

=====  ===============
paper  code
=====  ===============
W      `inverse.W`
M, M̂   `inverse.M`
=====  ===============
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf._engine import approx as _engine
from pympf._progress import working
from pympf.approx._gates import square
from pympf.approx._storage import save_tree
from pympf.approx.wavelet import Wavelets
from pympf.la import Operator, checks
from pympf.matching import checked, rows_of

__all__ = ["InverseReport", "SparseInverse", "iwspai", "wspai"]

Array = NDArray[np.float64]
SOLVERS = ("qr", "lsqr")


@dataclass(frozen=True)
class InverseReport:
    """What it took to make a sparse approximate inverse; `print` shows it as a line.

    Attributes
    ----------
    kind : {'wspai', 'iwspai'}
    rows, nnz, matrix_nnz : int
        Rows, entries of M and entries of A.
    solver : {'qr', 'lsqr'}
    dependent : int
        Columns whose problem by QR has many solutions: they get that of least norm.
    unconverged, most_iterations : int
        Columns that LSQR left at its last iteration, and the most that a column took.
    nbytes : int
        Of M: 12 for an entry, 4 for a column and one more.
    seconds : float
    """

    kind: str
    rows: int
    nnz: int
    matrix_nnz: int
    solver: str
    dependent: int
    unconverged: int
    most_iterations: int
    nbytes: int
    seconds: float

    @property
    def fill(self) -> float:
        """Entries of M for each of A."""
        return self.nnz / max(1, self.matrix_nnz)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data, fit for JSON.

        Not collective.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> pympf.wspai(np.eye(8), pympf.wavelets(8), block=2).report().as_dict()["fill"]
        2.0
        """
        return {**asdict(self), "fill": self.fill}

    def __str__(self) -> str:
        how = f"by {self.solver}"
        if self.solver == "lsqr":
            how += f" in at most {self.most_iterations} iterations ({self.unconverged} left early)"
        elif self.dependent:
            how += f" ({self.dependent} of least norm)"
        return (
            f"{self.kind}, {self.rows} rows, {self.nnz} entries of M, {self.fill:.3g} for each of "
            f"A, {how}, {self.nbytes} bytes, {self.seconds:.3f} s"
        )


class SparseInverse(Operator):
    """An approximate inverse of A from wavelets and a sparse M; made by `wspai` and `iwspai`.

    It is a preconditioner of GMRES: ``M`` of `pympf.solve` and of SciPy's solvers.

    Attributes
    ----------
    M : scipy.sparse.csc_array, shape (n, n)
    W : Wavelets
    kind : {'wspai', 'iwspai'}

    Examples
    --------
    >>> import numpy as np, pympf
    >>> M = pympf.iwspai(2 * np.eye(8), pympf.wavelets(8, order=1))
    >>> bool(np.allclose(M @ np.ones(8), 0.5))
    True
    """

    def __init__(self, M: sp.csc_array, W: Wavelets, report: InverseReport) -> None:
        self.M, self.W, self.kind, self._report = M, W, report.kind, report
        super().__init__(np.float64, W.shape)

    def _apply(self, X: Array) -> Array:
        Y = self.M @ self.W._apply_transpose(X)
        return self.W._apply(Y) if self.kind == "wspai" else Y

    def _apply_transpose(self, Y: Array) -> Array:
        X = self.W._apply_transpose(Y) if self.kind == "wspai" else Y
        return self.W._apply(self.M.T @ X)

    def report(self) -> InverseReport:
        """Return what it took to make it.

        Not collective.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> pympf.iwspai(np.eye(8), pympf.wavelets(8, order=1, levels=1)).report().fill
        2.0
        """
        return self._report

    def __repr__(self) -> str:
        return f"<SparseInverse {self.kind} of {self.shape[0]} rows, {self.M.nnz} entries>"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to an HDF5 file, whole or not at all (docs/wavelets.md).

        Not collective.

        Parameters
        ----------
        path : path-like

        Raises
        ------
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import pathlib, tempfile, numpy as np, pympf
        >>> from pympf import approx
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "M.h5"
        >>> pympf.wspai(np.eye(8), pympf.wavelets(8)).save(path)
        >>> approx.load(path)
        <SparseInverse wspai of 8 rows, 64 entries>
        """
        save_tree(path, self.kind, self._tree())

    def _tree(self) -> dict[str, Any]:
        parts = {name: getattr(self.M, name) for name in ("indptr", "indices", "data")}
        return {"M": parts, "wavelets": self.W._tree(), "report": asdict(self._report)}

    @classmethod
    def _from_tree(cls, tree: dict[str, Any]) -> SparseInverse:
        W, parts = Wavelets._from_tree(tree["wavelets"]), tree["M"]
        columns = (parts["data"], parts["indices"], parts["indptr"])
        by_rows = checked(sp.csr_array(columns, shape=W.shape))  # of M^T
        return cls(by_rows.T, W, InverseReport(**tree["report"]))

    def __reduce__(self) -> Any:
        return type(self)._from_tree, (self._tree(),)


def wspai(A: Any, W: Wavelets, *, block: int = 8) -> SparseInverse:
    """Approximate A⁻¹ by W M Wᵀ with a block-diagonal M: min ‖(Wᵀ A W) M − I‖.

    Not collective.

    Parameters
    ----------
    A : sparse array or matrix, or 2-D array_like, shape (n, n)
    W : Wavelets, shape (n, n)
    block : int
        Rows of a block; the last may be smaller.

    Returns
    -------
    SparseInverse

    Raises
    ------
    ValueError
        If `A` is not square, empty, not finite, or of another size than `W`.
    TypeError
        If `A` is not a matrix of real numbers.

    References
    ----------
    .. [1] T. Chan, W.-P. Tang, W. Wan, "Wavelet sparse approximate inverse preconditioners", BIT
       37, 1997; thesis, equation 2.9.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> A = pympf.gallery.poisson((64,))
    >>> M = pympf.wspai(A, pympf.wavelets(64, order=2))
    >>> pympf.solve(A, np.ones(64), preconditioner=M, method="gmres").converged
    True
    """
    block = checks.integer(block, "block", 1, 2**31 - 1)
    return _made("wspai", A, W, "qr", lambda *operands: _engine.wspai(*operands, block))


def iwspai(
    A: Any, W: Wavelets, *, solver: str = "qr", rtol: float = 1e-8, maxiter: int = 500
) -> SparseInverse:
    """Approximate A⁻¹ by M̂ Wᵀ, M̂ with the entries of W: min ‖A M̂ − W‖.

    Not collective.

    Parameters
    ----------
    A : sparse array or matrix, or 2-D array_like, shape (n, n)
    W : Wavelets, shape (n, n)
    solver : {'qr', 'lsqr'}
        Of the least squares of a column with |S_j| entries: QR takes 2 |T_j| |S_j|² multiply-adds
        and is exact, LSQR 2 nnz(A(:, S_j)) an iteration. A column of the coarsest levels has as
        many entries as the support of its wavelet, in two dimensions easily thousands.
    rtol : float
        LSQR ends at ‖r‖ ≤ rtol ‖w_j‖, or at ‖Aᵀr‖ ≤ rtol ‖A‖ ‖r‖.
    maxiter : int
        Iterations of LSQR for a column.

    Returns
    -------
    SparseInverse

    Raises
    ------
    ValueError
        If `A` is not square, empty, not finite, or of another size than `W`, or a parameter is out
        of range.
    TypeError
        If `A` is not a matrix of real numbers.

    References
    ----------
    .. [1] S. Hawkins, K. Chen, "An implicit wavelet sparse approximate inverse preconditioner",
       SIAM J. Sci. Comput. 27, 2005; thesis, algorithms 3 and 4.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> A = pympf.gallery.poisson((64,))
    >>> M = pympf.iwspai(A, pympf.wavelets(64, order=2))
    >>> pympf.solve(A, np.ones(64), preconditioner=M, method="gmres").iterations < 20
    True
    """
    checks.choice(solver, "solver", SOLVERS)
    rtol = checks.number(rtol, "rtol", 0, 1)
    maxiter = checks.integer(maxiter, "maxiter", 1, 2**31 - 2)
    given = (solver == "lsqr", rtol, maxiter)
    return _made("iwspai", A, W, solver, lambda *operands: _engine.iwspai(*operands, *given))


def _made(kind: str, A: Any, W: Wavelets, solver: str, make: Any) -> SparseInverse:
    start = time.perf_counter()
    csr = square(checked(A), kind)
    if csr.shape != W.shape:
        raise ValueError(f"{kind}: A has {csr.shape[0]} rows and the wavelets {W.shape[0]}")
    with working(kind):
        found = make(rows_of(csr), W._wavelets)
    indptr, indices, data, n, _ = found.pop("M")
    M = sp.csc_array((data, indices, indptr), shape=(n, n))
    size = 12 * M.nnz + 4 * (n + 1)
    seconds = time.perf_counter() - start
    report = InverseReport(kind, n, M.nnz, csr.nnz, solver, nbytes=size, seconds=seconds, **found)
    return SparseInverse(M, W, report)
