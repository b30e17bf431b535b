"""The factorization F = D Qᵀ H Q D, as `pympf.factorize` returns it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from pympf._plot import plot_spectrum
from pympf.la import Matrix, Ranks
from pympf.mmf.basis import Basis
from pympf.mmf.file import factors_in, file_of, save_factors
from pympf.mmf.functions import Functions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Mmf"]


class Mmf(Functions, Basis):
    """A multiresolution factorization F = D Qᵀ H Q D of a symmetric matrix.

    Made by `factorize` or `load`; immutable. Q = Q_L … Q₁ is orthogonal, H is a core over the
    columns that stayed active and a diagonal over the wavelets, D = I unless the matrix was
    prenormalized. A function of F keeps Q and changes H, and is again an `Mmf`.

    Vectors are arrays of shape (n,) or (n, k) in the dtype of the factorization. The methods
    release the interpreter lock and may be called from several threads.

    Over the ranks of a communicator (`comm`) every rank holds its part and brings its own rows of
    the vectors (`rows`); wavelet coefficients and eigenvalues lie on the rank of their wavelet, and
    the core on one rank. What computes is then collective: all ranks call it in the same order, and
    from one thread. What only tells (`shape`, `report`, ...) is not.

    References
    ----------
    .. [1] Thesis, section 2.1, equation 2.1; section 2.2, algorithms 1 and 2.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> F = pympf.factorize(pympf.gallery.poisson((32, 32)))
    >>> x = np.ones(1024)
    >>> bool(np.allclose(F.solve(F @ x), x))
    True
    """

    # ---- other values ----------------------------------------------------------------------------
    def error(self, A: Any, norm: str | int = "fro") -> float:
        """Return ‖A − F‖ / ‖A‖.

        Collective.

        Parameters
        ----------
        A : sparse or dense matrix, shape (n, n)
            Symmetric; the matrix that was factored, or another one.
        norm : {'fro', 2}
            Frobenius norm, computed entry by entry in the basis Q (exact up to rounding; for a
            prenormalized factorization that of D⁻¹ A D⁻¹ − Qᵀ H Q), or the spectral norm,
            estimated to about 1 % by Lanczos iterations.

        Raises
        ------
        ValueError
            If `A` is refused by `pympf.la.as_csr` or has another shape.

        References
        ----------
        .. [1] Thesis, equation 2.2.

        Examples
        --------
        >>> import pympf
        >>> A = pympf.gallery.poisson((64, 64))
        >>> 0.3 < pympf.factorize(A).error(A) < 0.376
        True
        """
        if norm == "fro":
            error, norm_of_A = self._factors.error(self._same_kind(A)[1])
            return error / norm_of_A if norm_of_A > 0 else float(error > 0)
        if norm != 2:
            raise ValueError(f"norm = {norm!r} is not one of 'fro', 2")
        self._alone("the spectral norm", "take norm='fro', or save and load it on one")
        csr = self._same_kind(A)[0].csr
        difference = LinearOperator(
            self.shape, matvec=lambda x: csr @ x - self.apply(x), dtype=np.float64
        )
        norm_of_A = _spectral_norm(LinearOperator(self.shape, matvec=csr.dot, dtype=float))
        error = _spectral_norm(difference)
        return error / norm_of_A if norm_of_A > 0 else float(error > 0)

    def _same_kind(self, A: Any) -> tuple[Matrix, Any]:
        """Return a matrix in the dtype of this, and as rows of the core."""
        matrix = Matrix.of(A, self.ranks)
        with self.ranks.guard():
            if matrix.rows != self.rows or matrix.shape != self.shape:
                raise ValueError(
                    f"expected a matrix of shape {(self.local_shape[0], self.shape[1])}, "
                    f"got {matrix.local_shape}"
                )
        rows = matrix.symmetric_rows()
        rounded = matrix.astype(self.dtype)
        return rounded, rows if rounded is matrix else rounded.compiled.completed()

    def refactorize(self, A: Any) -> Mmf:
        """Return the factorization of a matrix with other values and the same rotations Q.

        Collective. H becomes the core-diagonal part of Q A Qᵀ.

        Parameters
        ----------
        A : sparse or dense matrix, shape (n, n)
            Symmetric; rounded to the dtype of the factorization.

        Raises
        ------
        ValueError
            If `A` is refused by `pympf.la.as_csr` or has another shape.

        Examples
        --------
        >>> import pympf
        >>> A = pympf.gallery.poisson((32, 32))
        >>> F = pympf.factorize(A)
        >>> bool(abs(F.refactorize(2 * A).trace() - 2 * F.trace()) < 1e-8)
        True
        """
        return self._with(self._factors.refactorize(self._same_kind(A)[1]))

    # ---- as operators ----------------------------------------------------------------------------
    def aslinearoperator(self) -> LinearOperator:
        """Return F as a SciPy operator and nothing else, for one process.

        Not collective. F itself is one, too; as a preconditioner of `pympf.solve` F stands for its
        inverse, and this for F.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> F = pympf.factorize(pympf.gallery.poisson((16, 16)))
        >>> F.aslinearoperator().matvec(np.ones(256)).shape
        (256,)
        """
        self._alone(
            "a SciPy operator", "SciPy's solvers know no ranks; take F @ x with its own rows"
        )
        product = self.apply
        return LinearOperator(
            self.shape, product, product, product, dtype=self.dtype, rmatmat=product
        )

    def preconditioner(self) -> LinearOperator:
        """Return a symmetric positive definite preconditioner M ≈ |A|⁻¹ as a SciPy operator.

        Not collective. See `positive_inverse`.

        References
        ----------
        .. [1] Thesis, section 2.3.3, equation 2.13.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> from scipy.sparse.linalg import cg
        >>> A = pympf.gallery.poisson((32, 32))
        >>> x, info = cg(A, np.ones(1024), M=pympf.factorize(A).preconditioner(), rtol=1e-8)
        >>> info
        0
        """
        return self.positive_inverse().aslinearoperator()

    # ---- pictures --------------------------------------------------------------------------------
    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the eigenvalues of H: those of the core, and the wavelets' of each level.

        Collective. A line spans all values of a level, the bar the middle 80 %, and the ring is the
        median; each rank draws those of its own coefficients. Fine wavelets of a Laplacian are
        rough, and their eigenvalues large; those of the core are the small ones.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to; by default into a new figure of pyplot.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            Without matplotlib.

        Examples
        --------
        >>> import matplotlib; matplotlib.use("Agg")
        >>> import pympf
        >>> F = pympf.factorize(pympf.gallery.poisson((16, 16)), core_size=128)
        >>> [label.get_text().split()[0] for label in F.plot().get_xticklabels()]
        ['core', 'level']
        """
        values = self.spectrum()
        levels = (0, *range(self.levels, 0, -1))
        parts = [
            (f"level {level}" if level else "core", values[self.level_slice(level)])
            for level in levels
        ]
        return plot_spectrum(ax, parts, repr(self)[1:-1])

    # ---- files -----------------------------------------------------------------------------------
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the factorization to an HDF5 file.

        Collective. The file is written under a temporary name and renamed, so an existing file is
        replaced whole or not at all. Several ranks write it together where h5py was built with
        MPI, else by turns; it is the file that one process writes, and any number can read it.

        Parameters
        ----------
        path : path-like
            In a folder that all ranks see.

        Raises
        ------
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import pathlib, tempfile, pympf
        >>> F = pympf.factorize(pympf.gallery.poisson((16, 16)))
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "F.h5"
        >>> F.save(path)
        >>> pympf.load(path).shape
        (256, 256)
        """
        save_factors(self._factors, self.core_size, path, self.ranks)

    def __reduce__(self) -> Any:
        """Pickle it as its file, in memory."""
        self.ranks.refuse_many(
            "a factorization is pickled whole",
            "write it by F.save(path), which all ranks call, and read it by pympf.load(path)",
            TypeError,
        )
        return _from_file, (file_of(self._factors, self.core_size),)

    def __copy__(self) -> Mmf:
        return self  # it is immutable

    def __deepcopy__(self, memo: Any) -> Mmf:
        return self


def _from_file(image: bytes) -> Mmf:
    return Mmf(factors_in(image), Ranks(None))


def _spectral_norm(op: LinearOperator) -> float:
    """Estimate the largest |eigenvalue| of a symmetric operator."""
    n = op.shape[0]
    if n <= 32:
        return float(np.linalg.norm(op.matmat(np.eye(n)), 2))
    start = np.random.default_rng(0).standard_normal(n)
    if not np.any(op.matvec(start)):
        return 0.0
    values = eigsh(op, k=1, which="LM", tol=1e-2, v0=start, return_eigenvectors=False)
    return float(abs(values[0]))
