"""Daubechies wavelets on periodic grids (thesis, appendix A).

The low-pass filter h of order p has 2p taps: h(z) = √2 ((1 + z)/2)^p q(z), where q is the spectral
factor, with its zeros in the unit circle, of Σ_{k<p} C(p−1+k, k) y^k, y = (2 − z − 1/z)/4. The
high-pass filter is g_m = (−1)^m h_{2p−1−m}. One level maps x of even length s to
(Σ_m h_m x_{2k+m mod s})_k and (Σ_m g_m x_{2k+m mod s})_k and goes on with the first half. Wᵀ is the
product of all levels, on a grid the Kronecker product over its axes. Cost: 4p n multiply-adds on
each axis for all levels.

======  =======================================
paper   code
======  =======================================
Wᵀ x    `W.T @ x`, analysis
W c     `W @ c`, synthesis
W_l     `W.factors()[l]`, one level on one axis
======  =======================================
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, prod
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf.approx._gates import square
from pympf.la import Operator, checks
from pympf.matching import checked

__all__ = ["Wavelets", "daubechies", "drop_to_power", "wavelets"]

Array = NDArray[np.float64]
MOST_ORDER = 10


def daubechies(order: int) -> Array:
    """Return the 2p taps of Daubechies' low-pass filter of order p, of least phase.

    Not collective.

    Parameters
    ----------
    order : int
        p, 1 (Haar) to 10.

    Examples
    --------
    >>> from pympf.approx import daubechies
    >>> daubechies(2).round(4).tolist()
    [0.483, 0.8365, 0.2241, -0.1294]
    """
    p = checks.integer(order, "order", 1, MOST_ORDER)
    y = np.roots([comb(p - 1 + k, k) for k in range(p - 1, -1, -1)]).astype(complex)
    half = 1 - 2 * y  # The zeros z and 1/z have z + 1/z = 2 half; the smaller is 1 / the larger.
    root = np.sqrt(half * half - 1)
    larger = np.where(abs(half + root) > abs(half - root), half + root, half - root)
    filter_ = np.real(np.poly(np.concatenate([-np.ones(p), 1 / larger])))
    return np.sqrt(2) * filter_ / filter_.sum()


class Wavelets(Operator):
    """The orthogonal matrix W whose columns are wavelets; made by `wavelets`.

    Attributes
    ----------
    grid : tuple of int
    levels : tuple of int
        On each axis.
    order : int

    Examples
    --------
    >>> import numpy as np, pympf
    >>> W = pympf.wavelets((8, 4), order=1, levels=2)
    >>> x = np.arange(32.0)
    >>> bool(np.allclose(W @ (W.T @ x), x))
    True
    """

    def __init__(self, grid: tuple[int, ...], order: int, levels: tuple[int, ...]) -> None:
        self.grid, self.order, self.levels = grid, order, levels
        self._low = daubechies(order)
        self._high = self._low[::-1] * np.resize([1.0, -1.0], self._low.size)
        super().__init__(np.float64, (prod(grid), prod(grid)))

    def _apply(self, X: Array) -> Array:
        return self._on_axes(X, self._synthesis)

    def _apply_transpose(self, Y: Array) -> Array:
        return self._on_axes(Y, self._analysis)

    def _on_axes(self, X: Array, transform: Any) -> Array:
        Y = X.reshape(*self.grid, -1).astype(np.float64)
        for axis, levels in enumerate(self.levels):
            transform(np.moveaxis(Y, axis, 0), levels)
        return Y.reshape(X.shape)

    def _analysis(self, Y: Array, levels: int) -> None:
        """Transform along the first axis in place."""
        for level in range(levels):
            size = Y.shape[0] >> level
            even, low, high = np.arange(0, size, 2), 0.0, 0.0
            for m, (h, g) in enumerate(zip(self._low, self._high, strict=True)):
                taken = Y[(even + m) % size]
                low, high = low + h * taken, high + g * taken
            Y[: size // 2], Y[size // 2 : size] = low, high

    def _synthesis(self, Y: Array, levels: int) -> None:
        for level in reversed(range(levels)):
            size = Y.shape[0] >> level
            even, low, high = np.arange(0, size, 2), Y[: size // 2], Y[size // 2 : size]
            out = np.zeros_like(Y[:size])
            for m, (h, g) in enumerate(zip(self._low, self._high, strict=True)):
                out[(even + m) % size] += h * low + g * high
            Y[:size] = out

    def factors(self) -> list[sp.csr_array]:
        """Return the sparse orthogonal W_l with Wᵀ = W_L … W_1, one for each level and axis.

        Not collective.

        Examples
        --------
        >>> import pympf
        >>> [F.nnz for F in pympf.wavelets(8, order=1, levels=2).factors()]
        [16, 12]
        """
        out = []
        for axis, levels in enumerate(self.levels):
            before, after = prod(self.grid[:axis]), prod(self.grid[axis + 1 :])
            for level in range(levels):
                F = self._level(self.grid[axis], level)
                out.append(
                    sp.csr_array(sp.kron(sp.kron(sp.eye_array(before), F), sp.eye_array(after)))
                )
        return out

    def _level(self, n: int, level: int) -> sp.csr_array:
        size, taps = n >> level, self._low.size
        half = size // 2
        row = np.repeat(np.arange(half), taps)
        column = (2 * row + np.tile(np.arange(taps), half)) % size
        rest = np.arange(size, n)
        data = np.concatenate([np.tile(self._low, half), np.tile(self._high, half), 0 * rest + 1.0])
        rows, columns = (
            np.concatenate([row, row + half, rest]),
            np.concatenate([column, column, rest]),
        )
        return sp.csr_array(sp.coo_array((data, (rows, columns)), shape=(n, n)))

    def matrix(self) -> sp.csc_array:
        """Return W, without the entries that are zero but for rounding.

        Not collective.

        Examples
        --------
        >>> import pympf
        >>> pympf.wavelets(2, order=1).matrix().toarray().round(3).tolist()
        [[0.707, 0.707], [0.707, -0.707]]
        """
        transposed = sp.eye_array(self.shape[0], format="csr")
        for F in self.factors():
            transposed = F @ transposed
        transposed.data[abs(transposed.data) < 1e-14] = 0
        transposed.eliminate_zeros()
        W = sp.csc_array(transposed.T)
        W.sort_indices()
        return W


def wavelets(grid: int | Sequence[int], *, order: int = 4, levels: int | None = None) -> Wavelets:
    """Make the periodic Daubechies wavelets of a grid.

    Not collective.

    Parameters
    ----------
    grid : int or sequence of 1 to 3 ints
        Rows on each axis, the last the fastest.
    order : int
        1 (Haar) to 10; the filter has twice as many taps.
    levels : int, optional
        On each axis, whose size must be a multiple of 2**levels. All that the sizes allow if not
        given, 6 at most.

    Raises
    ------
    ValueError
        If a size does not fit; the message says which does.

    Notes
    -----
    Thesis, appendix A.

    Examples
    --------
    >>> import pympf
    >>> pympf.wavelets((12, 8)).levels
    (2, 3)
    >>> pympf.wavelets(30, levels=2)
    Traceback (most recent call last):
    ValueError: 2 levels need a size that is a multiple of 4, got 30; the nearest are 28 and 32
    """
    sizes = tuple(grid) if isinstance(grid, Sequence) else (grid,)
    if not 1 <= len(sizes) <= 3:
        raise ValueError(f"a grid has 1 to 3 axes, got {len(sizes)}")
    sizes = tuple(checks.integer(n, "grid", 1) for n in sizes)
    if levels is None:
        allowed = tuple(min(6, (n & -n).bit_length() - 1) for n in sizes)
        return Wavelets(sizes, checks.integer(order, "order", 1, MOST_ORDER), allowed)
    levels = checks.integer(levels, "levels", 0, 30)
    step = 1 << levels
    for n in sizes:
        if n % step:
            below = n - n % step
            fits = f"nearest are {below} and {below + step}" if below else f"nearest is {step}"
            raise ValueError(
                f"{levels} levels need a size that is a multiple of {step}, got {n}; the {fits}"
            )
    return Wavelets(sizes, checks.integer(order, "order", 1, MOST_ORDER), (levels,) * len(sizes))


def drop_to_power(A: Any, seed: int = 0) -> tuple[sp.csr_array, NDArray[np.int64]]:
    """Drop rows and the same columns at random until their number is a power of two.

    Not collective.

    Parameters
    ----------
    A : sparse array or matrix, or 2-D array_like, shape (n, n)
    seed : int

    Returns
    -------
    B : scipy.sparse.csr_array, shape (2**s, 2**s)
    kept : numpy.ndarray of int64
        In rising order.

    Notes
    -----
    The thesis's rule for matrices that wavelets do not fit (section 2.3).

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.approx import drop_to_power
    >>> drop_to_power(np.eye(5))[0].shape
    (4, 4)
    """
    csr = square(checked(A), "drop_to_power")
    n = csr.shape[0]
    generator = np.random.default_rng(checks.seed(seed))
    kept = np.sort(generator.permutation(n)[: 1 << (n.bit_length() - 1)]).astype(np.int64)
    return sp.csr_array(csr[kept][:, kept]), kept
