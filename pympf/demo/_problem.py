"""The random walker on a picture with a few labelled pixels, as a linear system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf import gallery

FOREGROUND, BACKGROUND = 1, 2


@dataclass(frozen=True)
class Problem:
    """A x = b for the probability that a walker reaches the foreground first.

    `picture` has shape (h, w) or (h, w, 3), `labels` shape (h, w); `pixels` holds the flat index
    of the pixel of each row of `A`.
    """

    picture: NDArray[np.uint8]
    labels: NDArray[np.int64]
    A: sp.csr_array
    b: NDArray[np.float64]
    pixels: NDArray[np.int64]

    @classmethod
    def of(cls, picture: NDArray[np.uint8], labels: NDArray[np.int64], beta: float) -> Problem:
        """Set the system up; a picture in colours is segmented by its green."""
        # Blood absorbs green: that channel shows the vessels of a retina best.
        values = picture if picture.ndim == 2 else picture[..., 1]
        return cls(picture, labels, *gallery.random_walker(values, labels, beta))

    def probability(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Put a solution and the labels on the grid of the pixels."""
        grid = (self.labels == FOREGROUND).astype(np.float64)
        grid.flat[self.pixels] = x
        return grid

    def window(self, x: int, y: int, size: int) -> Problem:
        """Cut a square out: the principal submatrix of its unknowns."""
        square = np.s_[y : y + size, x : x + size]
        row_of_pixel = np.full(self.labels.size, -1)
        row_of_pixel[self.pixels] = np.arange(len(self.pixels))
        rows = row_of_pixel.reshape(self.labels.shape)[square].ravel()
        inside = np.flatnonzero(rows >= 0)
        rows = rows[inside]
        A = sp.csr_array(self.A[rows][:, rows])
        return Problem(self.picture[square], self.labels[square], A, self.b[rows], inside)
