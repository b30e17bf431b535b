"""Vectors that a hierarchy has to represent: those of small A x / ‖A‖."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pympf.la import Ranks, as_vector, checks

__all__ = ["rigid_body_modes"]


def rigid_body_modes(coordinates: ArrayLike) -> NDArray[np.float64]:
    """Displacements of points that move as a rigid body: the near-nullspace of elasticity.

    Not collective. The translations along the axes come first, then the linearized rotations
    about the centre of the points: in the plane, or about the three axes.

    Parameters
    ----------
    coordinates : array_like, shape (n, d)
        The points, in d = 2 or 3 dimensions, in the order of the unknowns.

    Returns
    -------
    numpy.ndarray, shape (n d, 3) for d = 2, (n d, 6) for d = 3
        Row d i + c has component c of the displacement of point i. Columns depend on each other
        when all points lie in one place (d = 2) or on one line (d = 3).

    Raises
    ------
    ValueError
        If the shape is another one, or a coordinate is not finite.
    TypeError
        If the coordinates are not real numbers.

    References
    ----------
    .. [1] P. Vaněk, J. Mandel, M. Brezina, Algebraic multigrid by smoothed aggregation for second
       and fourth order elliptic problems, Computing 56(3), 1996, 179-196.

    Examples
    --------
    >>> import pympf
    >>> pympf.rigid_body_modes([[0, 0], [2, 0]])
    array([[ 1.,  0., -0.],
           [ 0.,  1., -1.],
           [ 1.,  0., -0.],
           [ 0.,  1.,  1.]])
    """
    checks.no_masks(coordinates, "coordinates")
    points = np.asarray(coordinates)
    if points.ndim != 2 or points.shape[1] not in (2, 3) or len(points) == 0:
        raise ValueError(f"coordinates: expected shape (n, 2) or (n, 3), got {points.shape}")
    points = as_vector(points, len(points), np.float64, "coordinates")
    points = points - points.mean(axis=0)
    d = points.shape[1]
    planes = [(0, 1)] if d == 2 else [(1, 2), (2, 0), (0, 1)]
    modes = np.zeros((len(points), d, d + len(planes)))
    modes[:, range(d), range(d)] = 1
    for column, (i, j) in enumerate(planes, start=d):
        modes[:, i, column] = -points[:, j]
        modes[:, j, column] = points[:, i]
    return modes.reshape(len(points) * d, -1)


def checked_vectors(
    given: ArrayLike | None, n: int, ranks: Ranks, name: str
) -> NDArray[np.float64] | None:
    """Check the rows of this rank of a near-nullspace, and return it as columns. Collective."""
    vectors = None
    with ranks.guard():
        if given is not None:
            vectors = as_vector(given, n, np.float64, name)
            vectors = vectors[:, None] if vectors.ndim == 1 else vectors
    ranks.same(None if vectors is None else vectors.shape[1], f"columns of {name}")
    return None if vectors is None else _independent(vectors, ranks, name)


def _independent(B: NDArray[np.float64], ranks: Ranks, name: str) -> NDArray[np.float64]:
    """Refuse dependent columns, and scale by a power of two: no square overflows or vanishes."""
    largest = ranks.max(abs(B).max(axis=0, initial=0))
    scaled = B / np.where(largest > 0, largest, 1)
    if ranks.size > 1:  # R of Q R has the rank of all rows
        scaled = np.vstack(ranks.gather(np.linalg.qr(scaled, mode="r")))
    rank = np.linalg.matrix_rank(scaled)
    if rank < B.shape[1]:
        raise ValueError(
            f"{name}: expected linearly independent columns, got {B.shape[1]} of rank "
            f"{rank}; leave the others out"
        )
    return np.ldexp(B, -int(np.frexp(largest.max())[1]))
