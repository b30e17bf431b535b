"""Daubechies wavelets on periodic grids (thesis, appendix A).

One level on one axis maps the first s entries x of each of its lines to the s/2 averages
a_k = Σ_m h_m x_{(2k+m) mod s} and the s/2 details d_k, the same with g_m = (−1)^m h_{2p−1−m}; the
next one goes on with the averages. Wᵀ = W_L … W_1 over all levels and axes, so that W is the
Kronecker product of those of the axes. The filter h of 2p taps comes from PyWavelets, the transform
from C++ (approx/wavelet). Cost: 4p n multiply-adds on each axis for all levels.

======  =======================================
paper   code
======  =======================================
Wᵀ x    `W.T @ x`, analysis
W c     `W @ c`, synthesis
W_l     `W.factors()[l]`, one level on one axis
======  =======================================
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from math import prod
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf._engine import approx as _engine
from pympf.approx._gates import square
from pympf.approx._storage import save_tree
from pympf.la import Operator, checks
from pympf.matching import checked

__all__ = ["WaveletEntries", "Wavelets", "drop_to_power", "has_filters", "levels_of", "wavelets"]

Array = NDArray[np.float64]
MOST_ORDER = 10
MOST_LEVELS = 6
"""As many as the thesis takes, where the caller does not say."""


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

    kind = "wavelets"

    def __init__(self, grid: tuple[int, ...], order: int, levels: tuple[int, ...]) -> None:
        self.grid, self.order, self.levels = grid, order, levels
        self._wavelets = _engine.Wavelets(grid, levels, _filter(order))
        super().__init__(np.float64, (prod(grid), prod(grid)))

    def _apply(self, X: Array) -> Array:
        return self._wavelets.transform(X, True)

    def _apply_transpose(self, Y: Array) -> Array:
        return self._wavelets.transform(Y, False)

    def factors(self) -> list[sp.csr_array]:
        """Return the sparse orthogonal W_l with Wᵀ = W_L … W_1, one for each level and axis.

        Not collective.

        Examples
        --------
        >>> import pympf
        >>> [F.nnz for F in pympf.wavelets(8, order=1, levels=2).factors()]
        [16, 12]
        """
        places = [(axis, level) for axis, count in enumerate(self.levels) for level in range(count)]
        return [_csr(*self._wavelets.factor(*place)) for place in places]

    def matrix(self) -> sp.csc_array:
        """Return W, without the entries that are zero but for rounding.

        Not collective.

        Examples
        --------
        >>> import pympf
        >>> pympf.wavelets(2, order=1).matrix().toarray().round(3).tolist()
        [[0.707, 0.707], [0.707, -0.707]]
        """
        return _csr(*self._wavelets.transposed()).T

    def __repr__(self) -> str:
        return f"<Wavelets {self.grid}, order {self.order}, levels {self.levels}>"

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
        >>> import pathlib, tempfile, pympf
        >>> from pympf import approx
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "W.h5"
        >>> pympf.wavelets((8, 4), order=2).save(path)
        >>> approx.load(path)
        <Wavelets (8, 4), order 2, levels (3, 2)>
        """
        save_tree(path, self.kind, self._tree())

    def _tree(self) -> dict[str, Any]:
        grid, levels = (np.array(sizes, dtype=np.int64) for sizes in (self.grid, self.levels))
        return {"grid": grid, "levels": levels, "order": self.order}

    @classmethod
    def _from_tree(cls, tree: dict[str, Any]) -> Wavelets:
        levels = tuple(checks.integer(n, "levels", 0, 30) for n in tree["levels"])
        order = checks.integer(tree["order"], "order", 1, MOST_ORDER)
        return cls(_sizes(tree["grid"]), order, levels)

    def __reduce__(self) -> Any:
        return type(self)._from_tree, (self._tree(),)


class WaveletEntries(Operator):
    """A ≈ V C Wᵀ with the wavelets V of the rows and W of the columns; made by `pympf.compress`.

    Attributes
    ----------
    C : scipy.sparse.csr_array, shape (m, n)
        The largest entries of Vᵀ A W.
    V, W : Wavelets

    Examples
    --------
    >>> import numpy as np, pympf
    >>> x = np.linspace(0, 1, 64)
    >>> F = pympf.compress(np.exp(-abs(np.subtract.outer(x, x))), 3500)
    >>> F.trial.kind, type(F.rest).__name__
    ('wavelets', 'WaveletEntries')
    """

    def __init__(self, C: sp.csr_array, V: Wavelets, W: Wavelets) -> None:
        self.C, self.V, self.W = C, V, W
        super().__init__(np.float64, C.shape)

    def _apply(self, X: Array) -> Array:
        return self.V._apply(self.C @ self.W._apply_transpose(X))

    def _apply_transpose(self, Y: Array) -> Array:
        return self.W._apply(self.C.T @ self.V._apply_transpose(Y))

    @property
    def nbytes(self) -> int:
        """Bytes of C: 12 for an entry, 4 for a row and one more."""
        return 12 * self.C.nnz + 4 * (self.C.shape[0] + 1)

    def _tree(self) -> dict[str, Any]:
        parts = {name: getattr(self.C, name) for name in ("indptr", "indices", "data")}
        return {**parts, "rows": self.V._tree(), "columns": self.W._tree()}

    @classmethod
    def _from_tree(cls, tree: dict[str, Any]) -> WaveletEntries:
        V, W = (Wavelets._from_tree(tree[name]) for name in ("rows", "columns"))
        parts = (tree["data"], tree["indices"], tree["indptr"])
        return cls(checked(sp.csr_array(parts, shape=(V.shape[0], W.shape[0]))), V, W)


def wavelets(grid: int | Sequence[int], *, order: int = 4, levels: int | None = None) -> Wavelets:
    """Make the periodic Daubechies wavelets of a grid.

    Not collective. The filter comes from PyWavelets (``pip install 'pmmf[wavelets]'``).

    Parameters
    ----------
    grid : int or sequence of 1 to 3 ints
        Points on each axis, the last the fastest.
    order : int
        1 (Haar) to 10; the filter has twice as many taps.
    levels : int, optional
        On each axis, whose size must be a multiple of 2**levels. If not given, on each axis all
        that its size allows, 6 at most; one axis must allow one.

    Returns
    -------
    Wavelets

    Raises
    ------
    ValueError
        If a size does not fit; the message says which does.
    ImportError
        If PyWavelets is not installed.

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
    sizes = _sizes(grid if isinstance(grid, Sequence) else (grid,))
    order = checks.integer(order, "order", 1, MOST_ORDER)
    if levels is None:
        allowed = levels_of(sizes)
        if not any(allowed):
            _refuse(max(sizes), 1)
        return Wavelets(sizes, order, allowed)
    levels = checks.integer(levels, "levels", 0, 30)
    for n in sizes:
        if n % (1 << levels):
            _refuse(n, levels)
    return Wavelets(sizes, order, (levels,) * len(sizes))


def _sizes(grid: Sequence[Any]) -> tuple[int, ...]:
    if not 1 <= len(grid) <= 3:
        raise ValueError(f"a grid has 1 to 3 axes, got {len(grid)}")
    return tuple(checks.integer(n, "grid", 1, 2**31 - 1) for n in grid)


def levels_of(sizes: Sequence[int]) -> tuple[int, ...]:
    """Return how many levels each size allows, 6 at most."""
    return tuple(min(MOST_LEVELS, (n & -n).bit_length() - 1) for n in sizes)


def _refuse(n: int, levels: int) -> None:
    step = 1 << levels
    below = n - n % step
    fits = f"nearest are {below} and {below + step}" if below else f"nearest is {step}"
    need = "1 level needs" if levels == 1 else f"{levels} levels need"
    raise ValueError(f"{need} a size that is a multiple of {step}, got {n}; the {fits}")


def has_filters() -> bool:
    """Tell whether PyWavelets is installed."""
    return find_spec("pywt") is not None


def _filter(order: int) -> list[float]:
    """Return the taps of Daubechies' low-pass filter, of least phase."""
    try:
        import pywt
    except ImportError as error:
        message = "wavelets need PyWavelets for their filters: pip install 'pmmf[wavelets]'"
        raise ImportError(message) from error
    return list(pywt.Wavelet(f"db{order}").rec_lo)


def _csr(indptr: Any, indices: Any, data: Any, rows: int, columns: int) -> sp.csr_array:
    return sp.csr_array((data, indices, indptr), shape=(rows, columns))


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

    Raises
    ------
    ValueError
        If `A` is not square, empty or not finite.
    TypeError
        If `A` is not a matrix of real numbers.

    Notes
    -----
    The thesis's rule for matrices that wavelets do not fit (section 2.3.4): p 2^s rows with
    s = ⌊log₂ n⌋ and p = ⌊n / 2^s⌋, which is 1.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.approx import drop_to_power
    >>> drop_to_power(np.eye(5))[0].shape
    (4, 4)
    """
    csr = square(checked(A), "drop_to_power")
    n = csr.shape[0]
    random = np.random.Generator(np.random.Philox(checks.seed(seed)))
    kept = np.sort(random.permutation(n)[: 1 << (n.bit_length() - 1)]).astype(np.int64)
    return sp.csr_array(csr[kept][:, kept]), kept
