"""The factorization A ≈ Q₁ᵀ … Q_Lᵀ H Q_L … Q₁ and functions of it."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator, eigsh

from pympf import io, la
from pympf._engine import engine
from pympf._mpi import check_communicator, handle, is_parallel, on_all, own, same_on_all
from pympf._params import Params, Report, check_kinds, from_text
from pympf._storage import factors_in, file_of, load_factors, save_factors

__all__ = ["Mmf", "Params", "Report", "factorize", "load"]

Progress = Callable[[dict[str, Any]], None]


class Mmf:
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

    def __init__(self, factors: Any, comm: Any = None) -> None:
        self._factors = factors
        self._comm = own(comm)
        self._core_size, self._bytes = factors.totals()

    def _with(self, factors: Any) -> Mmf:
        return Mmf(factors, self._comm)

    # ---- what it is ------------------------------------------------------------------------------
    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return (self._factors.total_rows, self._factors.total_rows)

    @property
    def comm(self) -> Any:
        """The mpi4py communicator whose ranks share it; None: one process.

        Its own: a duplicate of the one that it was made with, which may be freed.
        """
        return self._comm

    @property
    def rows(self) -> range:
        """Rows of this rank: those of its part of a vector."""
        return range(self._factors.first_row, self._factors.first_row + self._factors.rows)

    @property
    def dtype(self) -> np.dtype[Any]:
        """float64 or float32."""
        return self._factors.dtype

    @property
    def core_size(self) -> int:
        """Rows of the core of H."""
        return self._core_size

    @property
    def levels(self) -> int:
        """Number of stages L."""
        return self._factors.levels

    @property
    def nbytes(self) -> int:
        """Bytes that the factorization holds, on all ranks together."""
        return self._bytes

    def traffic(self) -> dict[str, int]:
        """Return what this rank has sent through the communicator so far, in pympf's calls.

        Not collective. The difference of two of them is what happened in between, with this or with
        another factorization of the same dtype on the communicator.

        Returns
        -------
        dict
            ``messages`` and ``message_bytes`` go point to point; ``collectives`` counts reductions,
            gathers and barriers. All zero on one process.

        Examples
        --------
        >>> import pympf
        >>> pympf.factorize(pympf.gallery.poisson((16, 16))).traffic()["messages"]
        0
        """
        names = ("messages", "message_bytes", "collectives")
        return dict(zip(names, self._factors.traffic(), strict=True))

    @property
    def params(self) -> dict[str, Any]:
        """The parameters that it was made with."""
        text = self._factors.report()["params"]
        return {f["name"]: from_text(f, text[f["name"]]) for f in Params.fields()}

    def report(self) -> Report:
        """Return what the factorization did, stage by stage, on all ranks together.

        Not collective: every rank has the same report (but for its own seconds).

        Examples
        --------
        >>> import pympf
        >>> report = pympf.factorize(pympf.gallery.poisson((32, 32))).report()
        >>> report.stop
        'core_size'
        """
        data = self._factors.report()
        return Report(
            rows=self.shape[0],
            dtype=self.dtype.name,
            core_size=self.core_size,
            stop=data["stop"],
            retire=data["retire"],
            relative_error=data["dropped"] / data["norm"] if data["norm"] > 0 else 0.0,
            bytes=self.nbytes,
            seconds=math.fsum(stage["seconds"] for stage in data["stages"]),
            stages=data["stages"],
            params=self.params,
        )

    def __repr__(self) -> str:
        n = self.shape[0]
        ranks = f", {self.comm.size} ranks" if is_parallel(self.comm) else ""
        return f"<Mmf {n} x {n}, {self.dtype}, {self.levels} levels, core {self.core_size}{ranks}>"

    # ---- products --------------------------------------------------------------------------------
    def _map(
        self, method: Callable[..., None], x: ArrayLike, size_in: int, size_out: int, *args: Any
    ) -> NDArray[Any]:
        with on_all(self.comm):
            x = la.as_vector(x, size_in, self.dtype, "x")
        same_on_all(self.comm, x.shape[1:], "x: shape without the rows")
        block = x if x.ndim == 2 else x[:, np.newaxis]
        y = np.empty((size_out, block.shape[1]), dtype=self.dtype)
        method(block, y, *args)
        return y.reshape(size_out, *x.shape[1:])

    def _alone(self, what: str, instead: str) -> None:
        if is_parallel(self.comm):
            raise ValueError(
                f"{what} needs the whole factorization on one process, and this one lies on "
                f"{self.comm.size} ranks: {instead}"
            )

    def apply(self, x: ArrayLike) -> NDArray[Any]:
        """Multiply: F x.

        Collective.

        Parameters
        ----------
        x : array_like, shape (n,) or (n, k)

        Returns
        -------
        numpy.ndarray
            Of the shape of `x`.

        Raises
        ------
        ValueError
            If `x` has another number of rows or is not finite.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> A = pympf.gallery.poisson((8, 8))  # 64 rows: all of it is core, so F = A
        >>> F = pympf.factorize(A)
        >>> bool(np.allclose(F @ np.ones(64), A @ np.ones(64)))
        True
        """
        rows = self._factors.rows
        return self._map(self._factors.multiply, x, rows, rows)

    def __matmul__(self, x: ArrayLike) -> NDArray[Any]:
        return self.apply(x)

    def solve(self, b: ArrayLike) -> NDArray[Any]:
        """Solve F x = b exactly (not A x = b: see `pympf.solve`).

        Collective.

        Parameters
        ----------
        b : array_like, shape (n,) or (n, k)

        Returns
        -------
        numpy.ndarray
            Of the shape of `b`.

        Raises
        ------
        numpy.linalg.LinAlgError
            If H is singular; ``F.inverse(rcond=...)`` gives the pseudo-inverse.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> F = pympf.factorize(pympf.gallery.poisson(300), core_size=50)
        >>> x = F.solve(np.ones(300))
        >>> bool(np.allclose(F @ x, 1))
        True
        """
        return self.inverse().apply(b)

    # ---- functions -------------------------------------------------------------------------------
    def inverse(self, rcond: float | None = None, absolute: bool = False) -> Mmf:
        """Return F⁻¹ = Qᵀ H⁻¹ Q.

        Collective.

        Parameters
        ----------
        rcond : float, optional
            Eigenvalues of H up to `rcond` times the largest one count as zero, and the result is
            the pseudo-inverse. None: a singular H is an error.
        absolute : bool
            Return Qᵀ |H|⁻¹ Q, which is positive (semi)definite.

        Raises
        ------
        numpy.linalg.LinAlgError
            If H is singular and `rcond` is None.
        ValueError
            If `rcond` is negative, or the core is too large for a dense eigensolver.

        References
        ----------
        .. [1] Thesis, section 2.3.3, equation 2.12.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> graph = pympf.gallery.laplacian(abs(pympf.gallery.poisson((16, 16))))
        >>> M = pympf.factorize(graph).inverse(rcond=1e-10)
        >>> M.shape
        (256, 256)
        """
        with on_all(self.comm):
            if rcond is not None and not rcond >= 0:
                raise ValueError(f"rcond = {rcond} is not a number >= 0")
        same_on_all(self.comm, (rcond, absolute), "rcond and absolute")
        return self._with(self._factors.inverse(-1.0 if rcond is None else rcond, absolute))

    def sqrt(self) -> Mmf:
        """Return F^(1/2); H must have no negative eigenvalue.

        Collective.

        Raises
        ------
        numpy.linalg.LinAlgError
            If H has a negative eigenvalue.
        ValueError
            If the matrix was prenormalized.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> F = pympf.factorize(pympf.gallery.poisson((16, 16)))
        >>> S = F.sqrt()
        >>> bool(np.allclose(S @ (S @ np.ones(256)), F @ np.ones(256)))
        True
        """
        return self._with(self._factors.sqrt())

    def inv_sqrt(self) -> Mmf:
        """Return F^(-1/2); H must be positive definite.

        Collective.

        Raises
        ------
        numpy.linalg.LinAlgError
            If H has an eigenvalue that is not positive.
        ValueError
            If the matrix was prenormalized.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> F = pympf.factorize(pympf.gallery.poisson((16, 16)))
        >>> W = F.inv_sqrt()  # whitens: W F W = I
        >>> bool(np.allclose(W @ (F @ (W @ np.ones(256))), 1))
        True
        """
        return self._with(self._factors.inv_sqrt())

    def function(self, f: Callable[[NDArray[np.float64]], ArrayLike]) -> Mmf:
        """Return f(F) = Qᵀ f(H) Q.

        Collective.

        Parameters
        ----------
        f : callable
            Takes the n eigenvalues of H as an array (on several ranks: those of this rank) and
            returns as many real, finite values, each a function of its eigenvalue.

        Raises
        ------
        ValueError
            If the values are not n finite numbers, or the matrix was prenormalized.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> F = pympf.factorize(pympf.gallery.poisson((16, 16)))
        >>> heat = F.function(lambda eigenvalues: np.exp(-0.1 * eigenvalues))
        >>> bool(np.linalg.norm(heat @ np.ones(256)) < 16)  # ‖1‖ = 16
        True
        """
        eigenvalues = self.spectrum()
        with on_all(self.comm):
            values = np.asarray(f(eigenvalues))
            if values.shape != eigenvalues.shape or np.iscomplexobj(values):
                raise ValueError(
                    f"expected {eigenvalues.size} real values, one for each eigenvalue of H, got "
                    f"{values.dtype} of shape {values.shape}"
                )
            values = np.ascontiguousarray(values, dtype=np.float64)
        return self._with(self._factors.with_values(values))

    def spectrum(self) -> NDArray[np.float64]:
        """Return the n eigenvalues of H: those of the core in ascending order, then the wavelets'.

        Collective. Each rank gets those of its own coefficients.

        Examples
        --------
        >>> import pympf
        >>> F = pympf.factorize(pympf.gallery.poisson((16, 16)))
        >>> bool((F.spectrum() > 0).all())
        True
        """
        return self._factors.spectrum()

    def slogdet(self) -> tuple[float, float]:
        """Return the sign and the logarithm of |det F|; (0, -inf) when H is singular.

        Collective.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> A = pympf.gallery.poisson(64)  # det = n + 1
        >>> sign, logdet = pympf.factorize(A).slogdet()
        >>> float(np.round(sign * np.exp(logdet)))
        65.0
        """
        return self._factors.slogdet()

    def logdet(self) -> float:
        """Return log det F (for log det A, as far as F is not A, see `pympf.logdet`).

        Collective.

        Raises
        ------
        numpy.linalg.LinAlgError
            If the determinant is not positive.

        Examples
        --------
        >>> import pympf
        >>> round(pympf.factorize(pympf.gallery.poisson(64)).logdet(), 6)
        4.174387
        """
        sign, log = self.slogdet()
        if sign <= 0:
            raise np.linalg.LinAlgError(
                f"the determinant is {'zero' if sign == 0 else 'negative'}: no real logarithm"
            )
        return log

    def trace(self) -> float:
        """Return the trace of F: that of the factored matrix, unless it was prenormalized.

        Collective. A prenormalized factorization keeps the trace of D⁻¹ A D⁻¹.

        Examples
        --------
        >>> import pympf
        >>> round(pympf.factorize(pympf.gallery.poisson((32, 32))).trace(), 6)
        4096.0
        """
        return self._factors.trace()

    # ---- wavelets --------------------------------------------------------------------------------
    def transform(self, x: ArrayLike) -> NDArray[Any]:
        """Return the wavelet coefficients Q x, ordered [core | level L | … | level 1].

        Collective.

        Parameters
        ----------
        x : array_like, shape (n,) or (n, k)

        Examples
        --------
        >>> import numpy as np, pympf
        >>> F = pympf.factorize(pympf.gallery.poisson((32, 32)))
        >>> c = F.transform(np.ones(1024))
        >>> bool(np.allclose(F.inverse_transform(c), 1))
        True
        """
        return self._map(self._factors.transform, x, self._factors.rows, self._factors.coefficients)

    def inverse_transform(self, y: ArrayLike) -> NDArray[Any]:
        """Return Qᵀ y from wavelet coefficients.

        Collective.

        Parameters
        ----------
        y : array_like, shape (n,) or (n, k)

        Examples
        --------
        See `transform`.
        """
        sizes = self._factors.coefficients, self._factors.rows
        return self._map(self._factors.inverse_transform, y, *sizes, self.levels)

    def level_slice(self, level: int) -> slice:
        """Return where the wavelets of a level lie among the coefficients; level 0 is the core.

        Not collective. Each rank has its own coefficients in this order.

        Parameters
        ----------
        level : int
            1 (finest) to `levels` (coarsest), or 0 for the core.

        Examples
        --------
        >>> import pympf
        >>> F = pympf.factorize(pympf.gallery.poisson((16, 16)), core_size=128)
        >>> F.level_slice(0), F.level_slice(1)
        (slice(0, 128, None), slice(128, 256, None))
        """
        self._check_level(level, 0)
        if level == 0:
            return slice(0, self._factors.core_rows)
        return slice(*self._wavelets(level, self.levels))

    def _wavelets(self, level: int, top: int) -> tuple[int, int]:
        """First and last of this rank's wavelets of a level, when those up to `top` are there."""
        start = self._factors.wavelet_start
        return start(level - 1, top), start(level - 2, top)

    def _check_level(self, level: int, lowest: int) -> None:
        if not lowest <= operator.index(level) <= self.levels:
            raise IndexError(f"level {level} is not one of {lowest} .. {self.levels}")

    def _function(self, level: int, first: int, last: int, index: int) -> sp.csc_array:
        """Return the function of a coefficient, the `index`-th of those that all ranks have."""
        count = last - first
        counts = self.comm.allgather(count) if is_parallel(self.comm) else [count]
        if not 0 <= operator.index(index) < sum(counts):
            raise IndexError(f"index {index} is not one of 0 .. {sum(counts) - 1} at level {level}")
        place = index - sum(counts[: self.comm.rank] if is_parallel(self.comm) else [])
        y = np.zeros((self._factors.wavelet_start(-1, level), 1), dtype=self.dtype)
        if 0 <= place < count:
            y[first + place] = 1
        x = np.empty((self._factors.rows, 1), dtype=self.dtype)
        self._factors.inverse_transform(y, x, level)
        return sp.csc_array(x)

    def wavelet(self, level: int, index: int) -> sp.csc_array:
        """Return a wavelet: a column of Qᵀ, of norm 1.

        Collective.

        Parameters
        ----------
        level : int
            1 (finest) to `levels`.
        index : int
            From 0 to the number of wavelets of the level, on all ranks, minus 1.

        Returns
        -------
        scipy.sparse.csc_array, shape (n, 1)
            On several ranks the own rows of it.

        Raises
        ------
        IndexError
            If there is no such wavelet.

        Examples
        --------
        >>> import pympf
        >>> F = pympf.factorize(pympf.gallery.poisson((16, 16)))
        >>> F.wavelet(1, 0).nnz
        2
        """
        self._check_level(level, 1)
        return self._function(level, *self._wavelets(level, level), index)

    def scaling_function(self, level: int, index: int) -> sp.csc_array:
        """Return a function that is still active after `level` stages, of norm 1.

        Collective.

        Parameters
        ----------
        level : int
            0 (unit vectors) to `levels` (the core).
        index : int
            From 0 to the number of active columns after the level, on all ranks, minus 1.

        Returns
        -------
        scipy.sparse.csc_array, shape (n, 1)
            On several ranks the own rows of it.

        Raises
        ------
        IndexError
            If there is no such function.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> F = pympf.factorize(pympf.gallery.poisson((16, 16)))
        >>> f = F.scaling_function(F.levels, 0).toarray()
        >>> bool(np.isclose(np.linalg.norm(f), 1))
        True
        """
        self._check_level(level, 0)
        return self._function(level, 0, self._factors.kept(level), index)

    # ---- as matrices -----------------------------------------------------------------------------
    def basis(self) -> sp.csr_array:
        """Return Q as a sparse matrix; its rows are the scaling functions and wavelets.

        Not collective. About n log n entries.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> Q = pympf.factorize(pympf.gallery.poisson((16, 16))).basis()
        >>> bool(abs(Q @ Q.T - np.eye(256)).max() < 1e-13)
        True
        """
        self._alone(
            "basis()", "use transform() and inverse_transform(), or save and load it on one"
        )
        n = self.shape[0]
        order = self._factors.state()[0]["order"]
        Q = sp.eye_array(n, dtype=self.dtype, format="csr")
        if order.size:
            Q = Q[order]
        for level in range(1, self.levels + 1):
            indptr, indices, data, rows = self._factors.stage_functions(level)
            stage = sp.csr_array((data, indices, indptr), shape=(rows, rows))
            rest = sp.eye_array(n - rows, dtype=self.dtype, format="csr")
            Q = sp.block_diag([stage, rest], format="csr") @ Q
        Q.sort_indices()
        return sp.csr_array(Q)

    def core(self) -> sp.csr_array:
        """Return the core of H, shape (core_size, core_size).

        Collective. Every rank gets all of it.

        Examples
        --------
        >>> import pympf
        >>> pympf.factorize(pympf.gallery.poisson((16, 16))).core().shape
        (100, 100)
        """
        parts = self._factors.core()
        if is_parallel(self.comm):
            holders = self.comm.allgather(self._factors.core_rows)
            parts = self.comm.bcast(parts, root=int(np.argmax(holders)))
        shape = (self.core_size, self.core_size)
        if len(parts) == 1:
            return sp.csr_array(parts[0].reshape(shape))
        indptr, indices, data = parts
        return sp.csr_array((data, indices, indptr), shape=shape)

    def to_csr(self) -> sp.csr_array:
        """Return F = D Qᵀ H Q D as a sparse matrix (usually full: for small n).

        Not collective.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> F = pympf.factorize(pympf.gallery.poisson((16, 16)))
        >>> bool(np.allclose(F.to_csr() @ np.ones(256), F @ np.ones(256)))
        True
        """
        self._alone("to_csr()", "multiply by unit vectors, or save and load it on one")
        arrays, _ = self._factors.state()
        H = sp.block_diag([self.core(), sp.diags_array(arrays["diagonal"])], format="csr")
        Q = self.basis()
        F = sp.csr_array(Q.T @ (H.astype(self.dtype) @ Q))
        if arrays["scale"].size:
            D = sp.diags_array(arrays["scale"])
            F = sp.csr_array(D @ F @ D)
        F.sort_indices()
        return F

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
        A, _ = self._same_kind(A)
        difference = LinearOperator(
            A.shape, matvec=lambda x: A @ x - self.apply(x), dtype=np.float64
        )
        norm_of_A = _spectral_norm(LinearOperator(A.shape, matvec=lambda x: A @ x, dtype=float))
        error = _spectral_norm(difference)
        return error / norm_of_A if norm_of_A > 0 else float(error > 0)

    def _same_kind(self, A: Any) -> tuple[sp.csr_array, Any]:
        """Return a matrix in the dtype of this, and as rows of the core."""
        A = checked(A, self.comm)
        with on_all(self.comm):
            if A.shape != (self._factors.rows, self.shape[1]):
                raise ValueError(
                    f"expected a matrix of shape {(self._factors.rows, self.shape[1])}, "
                    f"got {A.shape}"
                )
        rows = symmetric_rows(A, self.comm)
        if A.dtype == self.dtype:
            return A, rows
        with on_all(self.comm):
            with np.errstate(over="ignore"):
                A = A.astype(self.dtype)
            if not np.isfinite(A.data).all():
                raise ValueError(f"the matrix has entries that {self.dtype} cannot hold")
        return A, rows_of(A, self.comm).completed()

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

    def _refactorized(self, rows: Any) -> Mmf:
        """Do as `refactorize` does, with rows of the core."""
        return self._with(self._factors.refactorize(rows))

    # ---- as operators ----------------------------------------------------------------------------
    def aslinearoperator(self) -> LinearOperator:
        """Return F as a SciPy operator.

        Not collective.

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
        return LinearOperator(
            self.shape,
            matvec=self.apply,
            rmatvec=self.apply,
            matmat=self.apply,
            rmatmat=self.apply,
            dtype=self.dtype,
        )

    def positive_inverse(self) -> Mmf:
        """Return Qᵀ |H|⁻¹ Q, made definite: the preconditioner as an `Mmf`.

        Collective. An eigenvalue of H that is zero to rounding counts as the largest one, so
        that the result is symmetric positive definite whatever the factored matrix is.

        Examples
        --------
        >>> import pympf
        >>> M = pympf.factorize(-pympf.gallery.poisson((16, 16))).positive_inverse()
        >>> bool((M.spectrum() > 0).all())
        True
        """
        return self._with(self._factors.preconditioner())

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
        save_factors(self._factors, self.core_size, path, self.comm)

    def __reduce__(self) -> Any:
        """Pickle it as its file, in memory."""
        if is_parallel(self.comm):
            raise TypeError(
                f"a factorization that lies on {self.comm.size} ranks cannot be pickled: write it "
                "by F.save(path), which all ranks call, and read it by pympf.load(path)"
            )
        return _from_file, (file_of(self._factors, self.core_size),)

    def __copy__(self) -> Mmf:
        return self  # it is immutable

    def __deepcopy__(self, memo: Any) -> Mmf:
        return self


def _from_file(image: bytes) -> Mmf:
    return Mmf(factors_in(image))


def load(path: str | os.PathLike[str], comm: Any = None, *, rows: int | None = None) -> Mmf:
    """Read a factorization that `Mmf.save` wrote.

    Collective over `comm`: every rank reads its part, whatever number of ranks wrote it.

    Parameters
    ----------
    path : path-like
    comm : mpi4py.MPI.Comm, optional
        The ranks that share it; by default this process has all of it.
    rows : int, optional
        How many rows of vectors this rank holds; by default as many as the others, within one.

    Returns
    -------
    Mmf

    Raises
    ------
    OSError
        If the file cannot be read, is truncated or damaged, or is no factorization.
    ValueError
        If the `rows` of all ranks are not those of the factorization.

    Examples
    --------
    See `Mmf.save`.
    """
    if comm is not None:
        check_communicator(comm)
    factors, _ = load_factors(path, comm, rows)
    return Mmf(factors, comm)


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


def factorize(
    A: Any,
    *,
    comm: Any = None,
    labels: ArrayLike | None = None,
    progress: Progress | None = None,
    **params: Any,
) -> Mmf:
    """Factor a symmetric matrix: A ≈ Q₁ᵀ … Q_Lᵀ H Q_L … Q₁.

    Collective over `comm`. Deterministic: the result depends on `A`, the parameters and the seed,
    not on the number of threads. On several ranks every rank clusters its own rows, so the result
    depends on their ranges; with `labels` that is the same on any number of ranks, bit for bit.

    Parameters
    ----------
    A : sparse array or matrix, 2-D array_like, petsc4py.PETSc.Mat, or path, shape (n, n)
        Real and symmetric. float32 is factored in float32, all else in float64. With `comm` this
        rank's rows, shape (n_local, n), with global columns: contiguous ranges in the order of the
        ranks, which may be empty. Or, with `comm`, the path of a file (see `pympf.io.read_rows`),
        of which every rank reads its part. A PETSc matrix over several ranks brings its `comm`.
    comm : mpi4py.MPI.Comm, optional
        The ranks that share the matrix; by default this process has all of it.
    labels : array_like of int, shape (n,) or (depths, n), optional
        Clusters to take instead of finding some: in stage p the rows with the same label of depth
        p form a cluster; the last depth serves all later stages. A cluster of one depth must lie in
        one of the next. With `comm` this rank's columns of it.
    progress : callable, optional
        Called after each stage with its line of the report as a dict; on each rank that gives one.
    **params
        See `Params.fields` and ``docs/options.md``. The first to know: ``core_size`` (100),
        ``tolerance`` (0: none), ``order`` (2), ``retire`` ('relative',
        fit for preconditioning; 'absolute', the smaller Frobenius error; 'auto', the default:
        relative, but absolute where that keeps far more, as for smooth kernels).

    Returns
    -------
    Mmf

    Raises
    ------
    ValueError
        If `A` is empty, not square, not symmetric or not finite, a parameter is unknown or out of
        range, or `labels` do not nest or have another length.
    TypeError
        If `A` is not a matrix of real numbers.
    RuntimeError
        If MPI tells every process of a job that it is alone: mpiexec and the MPI library differ.
        (Other errors on one rank are raised on all, and name the rank.)

    References
    ----------
    .. [1] Thesis, section 2.2, algorithms 1 and 2; parameters: figure 2.4.

    Examples
    --------
    >>> import pympf
    >>> A = pympf.gallery.poisson((64, 64))
    >>> F = pympf.factorize(A, core_size=64, seed=1)
    >>> F
    <Mmf 4096 x 4096, float64, 6 levels, core 64>
    """
    comm = la.comm_of(A) if comm is None else comm
    if comm is not None:
        check_communicator(comm)
    _check_options(comm, progress, params)
    A = checked(A, comm)
    with on_all(comm):
        given = _as_labels(labels, A.shape[0])
    same_on_all(comm, None if given is None else len(given), "depths of labels")
    return Mmf(engine(A.dtype).factorize(symmetric_rows(A, comm), given, params, progress), comm)


def factorize_rows(
    rows: Any, dtype: Any, comm: Any, *, progress: Progress | None = None, **params: Any
) -> Mmf:
    """Do as `factorize` does, with symmetric rows of the core."""
    _check_options(comm, progress, params)
    return Mmf(engine(dtype).factorize(rows, None, params, progress), comm)


def _check_options(comm: Any, progress: Progress | None, params: dict[str, Any]) -> None:
    with on_all(comm):
        check_kinds(params, others=("comm", "labels", "progress"))
        if progress is not None and not callable(progress):
            raise TypeError(f"progress is a {type(progress).__name__}, expected a callable")
    same_on_all(comm, sorted(params.items()), "parameters")


def checked(A: Any, comm: Any) -> sp.csr_array:
    """Pass a matrix, or this rank's rows, through the gate; `admit` of `rows_of` sees symmetry."""
    if comm is not None and isinstance(A, str | os.PathLike):
        A = io.read_rows(A, comm) if is_parallel(comm) else io.read_matrix(A)
    return la.as_rows(A, comm) if is_parallel(comm) else la.as_csr(A, symmetric=False)


def rows_of(A: sp.csr_array, comm: Any) -> Any:
    """Bring a checked matrix into the core.

    Collective.
    """
    core = engine(A.dtype)
    if not is_parallel(comm):
        return core.rows_of(A.indptr, A.indices, A.data)
    indptr = A.indptr.astype(np.int32, copy=False)
    return core.rows_on_ranks(handle(comm), indptr, A.indices, A.data)


def symmetric_rows(A: sp.csr_array, comm: Any) -> Any:
    """Bring a checked matrix into the core, and refuse one that is not symmetric as it stands.

    Collective.
    """
    admitted = rows_of(A, comm).admit()
    if admitted.rows is None or admitted.determined:
        raise ValueError(admitted.refusal(la.OTHERWISE))
    return admitted.rows


def _as_labels(labels: ArrayLike | None, rows: int) -> NDArray[np.int64] | None:
    if labels is None:
        return None
    la.refuse_masked(labels, "labels")
    array = np.asarray(labels)
    if array.dtype.kind not in "iu":
        raise TypeError(f"labels: expected integers, got dtype {array.dtype}")
    array = np.atleast_2d(array)
    if array.ndim != 2 or array.shape[1] != rows or len(array) == 0:
        raise ValueError(
            f"labels: expected shape ({rows},) or (depths, {rows}), got {np.shape(labels)}"
        )
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"labels: {array.max()} is more than 64 bits with a sign hold")
    return np.ascontiguousarray(array, dtype=np.int64)
