"""Functions of a factorization: they keep Q and change H."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pympf.la import checks
from pympf.mmf.base import Factored

__all__ = ["Functions"]


class Functions(Factored):
    """f(F) = Qᵀ f(H) Q, and the numbers that follow from the eigenvalues of H."""

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

    def inverse(self, rcond: float | None = None, absolute: bool = False) -> Any:
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
        with self.ranks.guard():
            rcond = None if rcond is None else checks.number(rcond, "rcond", 0)
        self.ranks.same((rcond, absolute), "rcond and absolute")
        return self._with(self._factors.inverse(-1.0 if rcond is None else rcond, absolute))

    def positive_inverse(self) -> Any:
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

    def sqrt(self) -> Any:
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

    def inv_sqrt(self) -> Any:
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

    def function(self, f: Callable[[NDArray[np.float64]], ArrayLike]) -> Any:
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
        with self.ranks.guard():
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
