"""What the random matrices of sketches have in common."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pympf import la
from pympf.la import Operator, Ranks, checks
from pympf.lsh._gates import real_dtype

__all__ = ["SketchMatrix"]


def name_word(name: Any) -> int:
    """Return the 64 bits by which the random numbers of a matrix know its name."""
    return int.from_bytes(hashlib.blake2b(str(name).encode(), digest_size=8).digest(), "little")


class SketchMatrix(Operator):
    """What the two families share: a square matrix, its products, over the ranks of a communicator.

    With a communicator all products are collective, and a vector is cyclic: block i, of `b`
    numbers, lives on rank i mod size, and a rank has its blocks in ascending order. So a prefix of
    a vector keeps all ranks busy. The numbers are the same on any number of ranks.
    """

    d: int
    b: int
    seed: int
    name: Any
    _matrix: Any

    def _set(self, d: int, b: int, seed: int, name: Any, dtype: DTypeLike, comm: Any) -> None:
        ranks = Ranks(comm).own()
        self.d, self.b, self.name = d, b, name
        with ranks.guard():
            self.seed = checks.seed(seed)
            kind = real_dtype(dtype)
        ranks.same((d, b, self.seed, name), "d, b, seed, name")
        own = b * len(range(ranks.rank, d // b, ranks.size))
        super().__init__(kind, (d, d), ranks=ranks, local_shape=(own, own))

    @property
    def own_rows(self) -> NDArray[np.int64]:
        """Rows of a vector that live on this rank, ascending."""
        blocks = np.arange(self.ranks.rank, self.d // self.b, self.ranks.size)
        return (blocks[:, None] * self.b + np.arange(self.b)).ravel()

    @property
    def nbytes(self) -> int:
        """Bytes that the matrix takes on this rank between products."""
        return self._matrix.bytes

    def _apply(self, X: NDArray[Any]) -> NDArray[Any]:
        return self._matrix.apply(X)

    def _apply_transpose(self, Y: NDArray[Any]) -> NDArray[Any]:
        return self._matrix.apply_transpose(Y)

    def _checked(self, x: ArrayLike, size: int) -> NDArray[Any]:
        """Products are in the precision of their argument, which may have no columns."""
        array = la.as_array(x, None, "x")
        if array.ndim not in (1, 2) or len(array) != size:
            raise ValueError(f"x: expected shape ({size},) or ({size}, k), got {array.shape}")
        return array

    def columns(self, js: ArrayLike) -> NDArray[np.float64]:
        """Return some columns.

        Collective.

        Parameters
        ----------
        js : array_like of int, shape (n,)
            Their numbers, from 0; the same on all ranks.

        Returns
        -------
        numpy.ndarray, shape (d, n)
            With a communicator, the rows `own_rows` of them.

        Examples
        --------
        >>> from pympf.sketch import Orthonormal
        >>> Orthonormal(16).columns([3, 4]).shape
        (16, 2)
        """
        js = np.atleast_1d(np.asarray(js, dtype=np.int64))
        mine = {int(row): place for place, row in enumerate(self.own_rows)}
        X = np.zeros((len(mine), len(js)))
        for column, j in enumerate(js):
            if int(j) in mine:
                X[mine[int(j)], column] = 1.0
        return self.apply(X)

    def toarray(self) -> NDArray[np.float64]:
        """Return the dense matrix.

        Collective.

        Returns
        -------
        numpy.ndarray, shape (d, d)
            With a communicator, the rows `own_rows` of it.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.sketch import Orthonormal
        >>> R = Orthonormal(16).toarray()
        >>> np.allclose(R.T @ R, np.eye(16))
        True
        """
        return self.columns(np.arange(self.d))
