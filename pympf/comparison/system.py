"""A x = b as the solvers of a comparison get it, with what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

__all__ = ["ROUNDING", "System"]

ROUNDING = 2.0
"""Solved: a true residual of at most this many times the tolerance (rounding in recurrences)."""
MOST_COMPONENTS = 10


@dataclass(frozen=True)
class System:
    """A x = b; `kernel` has an orthonormal column for each component of a singular Laplacian.

    `definite` is None where nobody knows.
    """

    A: sp.csr_array
    b: NDArray[np.float64]
    definite: bool | None = True
    kernel: NDArray[np.float64] | None = None
    near_nullspace: NDArray[np.float64] | None = None
    block_size: int = 1
    symmetric: bool = True
    rtol: float = 1e-8
    maxiter: int = 10_000

    def residual(self, x: NDArray[np.float64]) -> float:
        """Return ‖b − A x‖ / ‖b‖, computed afresh; inf where x is not finite."""
        with np.errstate(all="ignore"):
            left = float(np.linalg.norm(self.b - self.A @ x) / np.linalg.norm(self.b))
        return left if np.isfinite(left) else float("inf")

    def solved(self, residual: float) -> bool:
        """Tell whether a true residual is small enough."""
        return residual <= ROUNDING * self.rtol

    def save(self, file: Path) -> None:
        """Write it for another process."""
        A = {"indptr": self.A.indptr, "indices": self.A.indices, "data": self.A.data}
        rest = {field.name: getattr(self, field.name) for field in fields(self)[1:]}
        np.savez(file, **A, **{name: value for name, value in rest.items() if value is not None})

    @classmethod
    def load(cls, file: Path) -> System:
        """Read what `save` has written."""
        with np.load(file) as archive:
            given: dict[str, Any] = {name: archive[name] for name in archive.files}
        parts = [given.pop(name) for name in ("data", "indices", "indptr")]
        n = len(parts[2]) - 1
        given = {k: v.item() if v.ndim == 0 else v for k, v in given.items()}
        return cls(sp.csr_array(tuple(parts), shape=(n, n)), **{"definite": None, **given})


def is_definite(A: sp.csr_array) -> bool | None:
    """Tell whether a symmetric matrix is positive (semi)definite; None: its rows do not say.

    Gershgorin: it is when a_ii ≥ Σ_j≠i |a_ij|. It is not when a_ii < 0, or when a_ii = 0 and the
    row is not.
    """
    diagonal = A.diagonal()
    size = np.asarray(abs(A).sum(axis=1)).ravel()
    if (diagonal < 0).any() or (size[diagonal == 0] > 0).any():
        return False
    return True if (2 * diagonal >= size * (1 - 1e-12)).all() else None


def kernel_of(A: sp.csr_array) -> NDArray[np.float64] | None:
    """Return the constants on the components whose rows all sum to zero, each of norm one.

    Of more than ten of them, their sum alone: it is a vector of the kernel, and costs little.
    """
    size = np.asarray(abs(A).sum(axis=1)).ravel()
    rows = np.asarray(abs(A.sum(axis=1))).ravel() > 1e-12 * size
    count, part = connected_components(A, directed=False)
    null = np.flatnonzero(np.bincount(part, rows, minlength=count) == 0)
    if not len(null):
        return None
    many = len(null) > MOST_COMPONENTS
    inside = np.isin(part, null)[:, None] if many else part[:, None] == null
    vectors = inside.astype(float)
    return vectors / np.linalg.norm(vectors, axis=0)
