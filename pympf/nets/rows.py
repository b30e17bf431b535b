"""The activations of a batch of inputs: s of t units in each row."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from pympf._described import Described
from pympf.nets._checks import Array

__all__ = ["Rows"]


class Rows(Described):
    """mask(x) ∘ φ(x) for n inputs: the values of the active units, and which they are.

    Every row has the same number s of active units, so nothing but two arrays is kept; s = t (all
    units active, a dense network) needs no indices.

    Parameters
    ----------
    values : ndarray, shape (n, s)
        φ(x) at the active units.
    indices : ndarray of int32, shape (n, s), optional
        The active units of each row.
    width : int, optional
        t, the number of units; s when there are no indices.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import Rows
    >>> rows = Rows(np.array([[2.0, 3.0]]), np.array([[0, 3]], dtype=np.int32), width=4)
    >>> rows.dense()
    array([[2., 0., 0., 3.]])
    >>> rows @ np.array([1.0, 1.0, 1.0, 10.0])
    array([32.])
    """

    def __init__(
        self, values: Array, indices: Array | None = None, width: int | None = None
    ) -> None:
        self.values = values
        self.indices = indices
        self.width = values.shape[1] if width is None else width

    def __len__(self) -> int:
        return len(self.values)

    @property
    def active(self) -> int:
        """Active units of each row, s."""
        return self.values.shape[1]

    def csr(self) -> sp.csr_array:
        """Return the rows as a sparse matrix that shares their memory.

        Not collective.

        Returns
        -------
        scipy.sparse.csr_array, shape (n, t)
            Units that are active twice in a row are stored twice.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import Rows
        >>> Rows(np.ones((2, 1)), np.array([[0], [2]], dtype=np.int32), 3).csr().nnz
        2
        """
        n, active = self.values.shape
        if self.indices is None:
            return sp.csr_array(self.values)
        ends = np.arange(0, n * active + 1, active, dtype=self.indices.dtype)
        parts = (self.values.reshape(-1), self.indices.reshape(-1), ends)
        return sp.csr_array(parts, shape=(n, self.width))

    def dense(self) -> Array:
        """Return the rows with zeros at the units that are not active.

        Not collective.

        Returns
        -------
        ndarray, shape (n, t)
            φ(x) masked.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import Rows
        >>> Rows(np.ones((2, 1)), np.array([[0], [2]], dtype=np.int32), 3).dense()
        array([[1., 0., 0.],
               [0., 0., 1.]])
        """
        return self.values if self.indices is None else self.csr().toarray()

    def take(self, which: Array | slice) -> Rows:
        """Select rows.

        Not collective.

        Parameters
        ----------
        which : ndarray of int, or slice
            The rows.

        Returns
        -------
        Rows
            A copy of them, or a view for a slice.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import Rows
        >>> Rows(np.eye(3)).take(np.array([2])).values
        array([[0., 0., 1.]])
        """
        indices = None if self.indices is None else self.indices[which]
        return Rows(self.values[which], indices, self.width)

    def __matmul__(self, weights: Array) -> Array:
        return (self.values if self.indices is None else self.csr()) @ weights

    def back(self, residual: Array) -> Array:
        """Multiply by the transpose: the gradient at the weights from that at the outputs.

        Not collective.

        Parameters
        ----------
        residual : ndarray, shape (n,)
            One number for each row.

        Returns
        -------
        ndarray, shape (t,)
            The sum of the rows times their numbers.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import Rows
        >>> Rows(np.array([[1.0, 2.0], [3.0, 4.0]])).back(np.array([1.0, -1.0]))
        array([-2., -2.])
        """
        return (self.values if self.indices is None else self.csr()).T @ residual
