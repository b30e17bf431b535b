"""Rows of arrays and matrices: cut over the ranks, scattered, gathered, stacked."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

__all__ = ["Rows", "first_row"]


class Rows:
    """What `Ranks` does with rows."""

    __slots__ = ()

    comm: Any
    rank: int
    size: int
    gather: Callable[[Any], list[Any]]
    broadcast: Callable[[Any], Any]
    guard: Callable[[], AbstractContextManager[Any]]

    def cut(self, rows: int) -> range:
        """Return the rows of this rank when they are cut as evenly as possible.

        Not collective.

        Parameters
        ----------
        rows : int
            Of all ranks.

        Examples
        --------
        >>> from pympf.la import Ranks
        >>> Ranks(None).cut(10)
        range(0, 10)
        """
        first, last = (first_row(rows, rank, self.size) for rank in (self.rank, self.rank + 1))
        return range(first, last)

    def scatter_rows(self, block: NDArray[Any] | None, rows: int) -> Any:
        """Give each rank its rows of an array that rank 0 has.

        Collective.

        Parameters
        ----------
        block : numpy.ndarray, shape (n,) or (n, k)
            On rank 0.
        rows : int
            How many this rank gets; those of all ranks are n.

        Raises
        ------
        ValueError
            If the array has another number of rows.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.la import Ranks
        >>> Ranks(None).scatter_rows(np.ones(3), 3)
        array([1., 1., 1.])
        """
        counts = self.gather(rows)
        with self.guard():
            if block is not None and len(block) != sum(counts):
                raise ValueError(f"expected {sum(counts)} rows, got {len(block)}")
        if self.size == 1:
            return block
        shape, dtype = self.broadcast(None if block is None else (block.shape[1:], block.dtype))
        out = np.empty((rows, *shape), dtype)
        sending = None
        if block is not None:
            sending = [np.ascontiguousarray(block), [count * math.prod(shape) for count in counts]]
        self.comm.Scatterv(sending, out)
        return out

    def gather_rows(self, block: NDArray[Any]) -> NDArray[Any] | None:
        """Give rank 0 the rows of all ranks, and the others None.

        Collective.

        Parameters
        ----------
        block : numpy.ndarray, shape (n_local,) or (n_local, k)

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.la import Ranks
        >>> Ranks(None).gather_rows(np.ones(3))
        array([1., 1., 1.])
        """
        if self.size == 1:
            return block
        counts = self.comm.gather(block.size)
        out = receiving = None
        if self.rank == 0:
            width = max(1, math.prod(block.shape[1:]))
            out = np.empty((sum(counts) // width, *block.shape[1:]), block.dtype)
            receiving = [out, counts]
        self.comm.Gatherv(np.ascontiguousarray(block), receiving)
        return out

    def stack(self, rows: Any) -> Any:
        """Give all ranks the rows of all, one below the other.

        Collective.

        Parameters
        ----------
        rows : numpy.ndarray or scipy.sparse.csr_array
            As wide on every rank; on one it comes back as it is.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.la import Ranks
        >>> Ranks(None).stack(np.eye(2))
        array([[1., 0.],
               [0., 1.]])
        """
        if self.size == 1:
            return rows
        parts = self.gather(rows)
        if not sp.issparse(rows):
            return np.concatenate(parts)
        whole = sp.csr_array(sp.vstack(parts, format="csr"))
        whole.sort_indices()
        return whole


def first_row(rows: int, rank: int, ranks: int) -> int:
    """Return where the rows of a rank begin when they are cut as evenly as possible, as PETSc does.

    Not collective. `rank` may be `ranks`: then the result is `rows`.
    """
    return rank * (rows // ranks) + min(rank, rows % ranks)
