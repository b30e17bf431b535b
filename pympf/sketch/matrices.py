"""The random matrices of sketches: block-sparse ones, and fast orthonormal ones."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pympf._engine import sketch as _engine
from pympf.la import checks
from pympf.sketch._matrix import SketchMatrix, name_word

__all__ = ["BlockList", "BlockSparse", "Orthonormal", "SketchMatrix", "encode", "fit_dimension"]


DEFAULT_WEIGHT = 8
"""Nonzero blocks of a column where neither `q` nor `w` is given."""


def smallest_block(d: int, modules: int = 1) -> int:
    """Return the smallest block size b of dimension d: 3 max(⌈log₂ N⌉, ⌈log₂ d⌉ + 3)."""
    return 3 * max((max(modules, 1) - 1).bit_length(), (d - 1).bit_length() + 3)


def fit_dimension(d: int, *, b: int | None = None, modules: int = 1) -> tuple[int, int]:
    """Find the smallest dimension >= d that is made of whole blocks.

    Not collective. The dimension has to be a multiple of the block size b, b of 3, and b / 3 has to
    hold the bits of a column's number and three more.

    Parameters
    ----------
    d : int
        Dimension wanted, 3 to 2^30.
    b : int, optional
        Block size; by default the smallest one.
    modules : int
        Matrices that their signatures, of b / 3 signs, have to tell apart.

    Returns
    -------
    d, b : int

    Raises
    ------
    ValueError
        If `b` is no multiple of 3, or too small for `d`.

    References
    ----------
    .. [1] Paper 000, section 4.3.

    Examples
    --------
    >>> from pympf.sketch import fit_dimension
    >>> fit_dimension(1000), fit_dimension(16384)
    ((1014, 39), (16416, 54))
    """
    d = checks.integer(d, "d", 3, 2**30)
    modules = checks.integer(modules, "modules", 1, 2**40)
    if b is not None:
        b = checks.integer(b, "b", 3, 2**20)
        found = -(-d // b) * b
        least = smallest_block(found, modules)
        if b % 3 or b < least:
            raise ValueError(f"b = {b} is not a multiple of 3 that is at least {least}")
        return found, b
    b = smallest_block(d, modules)
    while (least := smallest_block(-(-d // b) * b, modules)) > b:
        b = least
    return -(-d // b) * b, b


def encode(j: ArrayLike, bm: ArrayLike, bs: ArrayLike, d: int, p: int) -> NDArray[np.int8]:
    """Return column signatures Enc(j, b_m, b_s) as signs.

    Not collective. A +1, the bits of j from the most significant one (0 is −1), b_m, b_s, and +1
    up to the length p.

    Parameters
    ----------
    j : array_like of int, shape (n,)
        Columns, from 0.
    bm, bs : array_like, shape (n,)
        Signs.
    d : int
        Dimension.
    p : int
        Length, at least ⌈log₂ d⌉ + 3.

    Returns
    -------
    numpy.ndarray of int8, shape (n, p)

    References
    ----------
    .. [1] Paper 000, algorithm 1.

    Examples
    --------
    >>> from pympf.sketch import encode
    >>> encode([5], [-1], [1], d=8, p=7)
    array([[ 1,  1, -1,  1, -1,  1,  1]], dtype=int8)
    """
    columns = np.atleast_1d(np.asarray(j, dtype=np.int64))
    bits = (d - 1).bit_length()
    if p < bits + 3:
        raise ValueError(f"p = {p} is not at least ceil(log2 d) + 3 = {bits + 3}")
    out = np.ones((len(columns), p), dtype=np.int8)
    out[:, 1 : 1 + bits] = 2 * (columns[:, None] >> np.arange(bits - 1, -1, -1) & 1) - 1
    out[:, bits + 1], out[:, bits + 2] = bm, bs
    return out


class BlockList(NamedTuple):
    """The nonzero blocks of some columns, by column and then by block row."""

    column: NDArray[np.int64]
    row: NDArray[np.int64]
    fs: NDArray[np.int8]
    fc: NDArray[np.int8]
    fm: NDArray[np.int8]


class BlockSparse(SketchMatrix):
    """A block-sparse random matrix of the distribution D(b, q, d).

    Collective, if there is a communicator. A column is made of d / b blocks; a nonzero block is
    scale · [±σ_s(column) | ±Enc(column, …) | ±σ_m], b / 3 signs each, so that a single block which
    is seen alone tells column, sign and matrix.

    Parameters
    ----------
    d : int
        Dimension, a multiple of `b`; `fit_dimension` finds one.
    b : int, optional
        Block size, a multiple of 3; by default the smallest that fits.
    q : float, optional
        Every block is nonzero with this probability, as in the paper; scale 1/√(dq).
    w : int, optional
        Every column has exactly `w` nonzero blocks, one in each of w ranges of block rows; scale
        1/√(wb), so that columns have norm 1. The default, with w = 8 (or d / b where that is less).
    seed : int
        0 to 2^64 − 1.
    name : object
        Matrices of different names (their `str`) are independent.
    stored : bool
        Whether the blocks are stored, in 3 bits and their place, or drawn at every product. The
        numbers are the same.
    dtype : numpy.float64 or numpy.float32
        Of SciPy's face (`matvec`); `apply` goes by its argument.
    comm : mpi4py.MPI.Comm, optional
        None: this process alone.

    Raises
    ------
    ValueError
        If no block structure fits: the message names the nearest that does.

    References
    ----------
    .. [1] Paper 000, section 4.3, algorithms 1 and 2.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.sketch import BlockSparse
    >>> R = BlockSparse(1050, b=42, w=5, seed=1, name="cat")
    >>> np.allclose(np.linalg.norm(R.columns([0, 7]), axis=0), 1)
    True
    """

    def __init__(
        self,
        d: int,
        *,
        b: int | None = None,
        q: float | None = None,
        w: int | None = None,
        seed: int = 0,
        name: Any = "",
        stored: bool = False,
        dtype: DTypeLike = np.float64,
        comm: Any = None,
    ) -> None:
        d = checks.integer(d, "d", 3, 2**30)
        b = self._block(d, b)
        if q is not None and w is not None:
            raise ValueError(f"expected q or w, got q = {q} and w = {w}")
        if q is not None:
            q = checks.number(q, "q", 0)
        else:
            most = d // b
            w = min(DEFAULT_WEIGHT, most) if w is None else checks.integer(w, "w", 1, most)
        self.q: float = q if q is not None else (w or 0) * b / d
        self.w = w
        self.stored = bool(stored)
        self._set(d, b, seed, name, dtype, comm)
        self.ranks.same((self.q, self.w), "q, w")
        self._matrix = _engine.BlockSparse(
            d, b, w or 0, self.q, self.seed, name_word(name), self.stored, self.ranks.handle
        )

    @staticmethod
    def _block(d: int, b: int | None) -> int:
        if b is None:
            fits, b = fit_dimension(d)
            while fits != d and b < smallest_block(d) + 12:  # a longer block may divide d
                b += 3
                fits = -(-d // b) * b
        else:
            fits, b = fit_dimension(d, b=b)
        if fits != d:
            raise ValueError(
                f"d = {d} is not made of whole blocks of b numbers; the nearest above that is: "
                "d = {}, b = {}".format(*fit_dimension(d))
            )
        return b

    @property
    def p(self) -> int:
        """Entries of a third of a block."""
        return self.b // 3

    @property
    def n_blocks(self) -> int:
        """Blocks of a column: d / b."""
        return self.d // self.b

    @property
    def scale(self) -> float:
        """Magnitude of every entry of a nonzero block."""
        return self._matrix.scale

    @property
    def n_nonzero_blocks(self) -> int:
        """Nonzero blocks in the rows of this rank; the expected number where none are stored."""
        return self._matrix.block_count

    @property
    def matrix_signature(self) -> NDArray[np.int8]:
        """σ_m as signs, shape (p,)."""
        return _signs(np.array([self._matrix.matrix_signature], dtype=np.uint64), self.p)[0]

    def _columns(self, js: ArrayLike) -> NDArray[np.int32]:
        array = np.atleast_1d(np.asarray(js))
        if array.dtype.kind not in "iu" or array.ndim != 1:
            raise TypeError(f"js: expected integers of shape (n,), got {array.dtype}")
        if array.size and not (array.min() >= 0 and array.max() < self.d):
            raise ValueError(f"js: expected columns from 0 to {self.d - 1}")
        return np.ascontiguousarray(array, dtype=np.int32)

    def random_strings(self, js: ArrayLike) -> NDArray[np.int8]:
        """Return σ_s of some columns as signs.

        Not collective.

        Parameters
        ----------
        js : array_like of int, shape (n,)

        Returns
        -------
        numpy.ndarray of int8, shape (n, p)

        Examples
        --------
        >>> from pympf.sketch import BlockSparse
        >>> BlockSparse(132).random_strings([0, 5]).shape
        (2, 11)
        """
        return _signs(self._matrix.random_strings(self._columns(js)), self.p)

    def column_signatures(self, js: ArrayLike, bm: ArrayLike, bs: ArrayLike) -> NDArray[np.int8]:
        """Return Enc(j, b_m, b_s) of this matrix's columns, see `encode`.

        Not collective.

        Parameters
        ----------
        js : array_like of int, shape (n,)
        bm, bs : array_like, shape (n,)

        Returns
        -------
        numpy.ndarray of int8, shape (n, p)

        Examples
        --------
        >>> from pympf.sketch import BlockSparse
        >>> BlockSparse(132).column_signatures([0], 1, 1)
        array([[ 1, -1, -1, -1, -1, -1, -1, -1, -1,  1,  1]], dtype=int8)
        """
        return encode(self._columns(js), bm, bs, self.d, self.p)

    def blocks(self, js: ArrayLike) -> BlockList:
        """Return the nonzero blocks of some columns.

        Not collective: those of all ranks.

        Parameters
        ----------
        js : array_like of int, shape (n,)

        Returns
        -------
        BlockList
            Arrays ``column``, ``row`` (the block row) and the signs ``fs``, ``fc``, ``fm``.

        Examples
        --------
        >>> from pympf.sketch import BlockSparse
        >>> BlockSparse(132, w=2).blocks([3]).row
        array([1, 3])
        """
        columns = self._columns(js)
        codes, ends = self._matrix.codes(columns)
        counts = np.diff(ends, prepend=0)
        fs, fc, fm = ((2 * (codes >> bit & 1).astype(np.int8) - 1) for bit in range(3))
        return BlockList(
            np.repeat(columns.astype(np.int64), counts), (codes >> 3).astype(np.int64), fs, fc, fm
        )

    def column_norms2(self, js: ArrayLike) -> NDArray[np.float64]:
        """Return the squared norms of some columns: 1 where the weight is exact.

        Not collective.

        Parameters
        ----------
        js : array_like of int, shape (n,)

        Returns
        -------
        numpy.ndarray, shape (n,)

        Examples
        --------
        >>> from pympf.sketch import BlockSparse
        >>> BlockSparse(132, w=2).column_norms2([3]).round(12)
        array([1.])
        """
        _, ends = self._matrix.codes(self._columns(js))
        return np.diff(ends, prepend=0) * (self.b * self.scale**2)

    def __repr__(self) -> str:
        law = f"q={self.q}" if self.w is None else f"w={self.w}"
        return (
            f"BlockSparse({self.d}, b={self.b}, {law}, seed={self.seed}, name={self.name!r}, "
            f"stored={self.stored})"
        )


class Orthonormal(SketchMatrix):
    """A fast random orthonormal matrix: D₂ H P D₁ H D₀ with Hadamard's H, signs, a permutation.

    Collective, if there is a communicator: every rank then transforms the whole vector. Sketches
    have less noise with it than with `BlockSparse`, but nothing can be learnt back from them.

    Parameters
    ----------
    d : int
        A power of two.
    seed : int
        0 to 2^64 − 1.
    name : object
        As in `BlockSparse`.
    dtype : numpy.float64 or numpy.float32
        Of SciPy's face.
    comm : mpi4py.MPI.Comm, optional
        None: this process alone. Vectors are dealt out in blocks of min(64, d).

    Raises
    ------
    ValueError
        If d is no power of two.

    References
    ----------
    .. [1] N. Ailon, B. Chazelle, "The fast Johnson-Lindenstrauss transform and approximate nearest
       neighbors", SIAM J. Comput. 39, 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.sketch import Orthonormal
    >>> R = Orthonormal(64, seed=1)
    >>> x = np.arange(64.0)
    >>> np.allclose(R.apply_transpose(R.apply(x)), x)
    True
    """

    def __init__(
        self,
        d: int,
        *,
        seed: int = 0,
        name: Any = "",
        dtype: DTypeLike = np.float64,
        comm: Any = None,
    ) -> None:
        d = checks.integer(d, "d", 2, 2**30)
        if d & (d - 1):
            nearest = 2 ** round(math.log2(d))
            raise ValueError(f"d = {d} is not a power of two; the nearest is {nearest}")
        self._set(d, min(64, d), seed, name, dtype, comm)
        self._matrix = _engine.Orthonormal(d, self.b, self.seed, name_word(name), self.ranks.handle)

    def __repr__(self) -> str:
        return f"Orthonormal({self.d}, seed={self.seed}, name={self.name!r})"


def _signs(words: NDArray[np.uint64], count: int) -> NDArray[np.int8]:
    """Unpack the low bits of words: 1 for a set bit, else -1."""
    bits = words[:, None] >> np.arange(count, dtype=np.uint64) & np.uint64(1)
    return 2 * bits.astype(np.int8) - 1
