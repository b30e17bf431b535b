"""The basis of a factorization: wavelets, scaling functions, and F as a matrix."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from pympf.mmf.base import Factored

__all__ = ["Basis"]


class Basis(Factored):
    """The rows of Q, and what F is in them."""

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

        def product(X: NDArray[Any]) -> NDArray[Any]:
            Y = np.empty((self._factors.coefficients, X.shape[1]), dtype=self.dtype)
            self._factors.transform(X, Y)
            return Y

        return self._through(product, x, self._factors.rows)

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

        def product(Y: NDArray[Any]) -> NDArray[Any]:
            X = np.empty((self._factors.rows, Y.shape[1]), dtype=self.dtype)
            self._factors.inverse_transform(Y, X, self.levels)
            return X

        return self._through(product, y, self._factors.coefficients)

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
        counts = self.ranks.gather(count)
        if not 0 <= operator.index(index) < sum(counts):
            raise IndexError(f"index {index} is not one of 0 .. {sum(counts) - 1} at level {level}")
        place = index - sum(counts[: self.ranks.rank])
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
        holder = int(np.argmax(self.ranks.gather(self._factors.core_rows)))
        parts = self.ranks.broadcast(self._factors.core(), holder)
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
