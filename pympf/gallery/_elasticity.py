"""Elasticity: two unknowns at a node."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf import la
from pympf.gallery._assembly import check_shape


def elasticity(
    shape: Sequence[int], *, clamped: bool = True, poisson_ratio: float = 0.3
) -> sp.csr_array:
    """Plane stress of an elastic sheet: bilinear finite elements on unit squares.

    Not collective. Young's modulus and the thickness are 1, so the mesh width drops out. The node
    (i, j) has the unknowns 2 (i shape[1] + j) and the next one, its displacements along the two
    axes; `pympf.rigid_body_modes` of the nodes' coordinates are the near-nullspace, and the kernel
    of a sheet that is not clamped.

    Parameters
    ----------
    shape : (int, int)
        Nodes along the two axes, at least 2; one more along the first axis is held when `clamped`.
    clamped : bool
        Hold the nodes on the side before the first ones: positive definite. Else the sheet is free:
        semidefinite.
    poisson_ratio : float
        Above -1 and below 1/2.

    Returns
    -------
    scipy.sparse.csr_array, shape (2 n, 2 n)
        n is the product of `shape`.

    Raises
    ------
    ValueError
        If `shape` has not two sizes of at least 2, `poisson_ratio` is out of range, or there
        are more than 2^31 - 1 rows.

    References
    ----------
    T. J. R. Hughes, The Finite Element Method, Dover, 2000, sections 2.7 and 3.2.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> A = pympf.gallery.elasticity((4, 3), clamped=False)
    >>> modes = pympf.rigid_body_modes([(i, j) for i in range(4) for j in range(3)])
    >>> bool(abs(A @ modes).max() < 1e-14)
    True
    """
    shape = tuple(shape)
    check_shape((*shape, 2))
    if len(shape) != 2 or min(shape) < 2:
        raise ValueError(f"expected two sizes of at least 2, got {shape}")
    if not -1 < poisson_ratio < 0.5:
        raise ValueError(f"expected -1 < poisson_ratio < 0.5, got {poisson_ratio}")
    rows, columns = shape[0] + clamped, shape[1]
    node = np.arange(rows * columns).reshape(rows, columns)
    corners = np.stack([node[:-1, :-1], node[:-1, 1:], node[1:, :-1], node[1:, 1:]], axis=-1)
    unknowns = (2 * corners.reshape(-1, 4, 1) + [0, 1]).reshape(-1, 8)
    stiffness = _square_of_sheet(poisson_ratio)
    A = sp.coo_array(
        (
            np.tile(stiffness.ravel(), len(unknowns)),
            (np.repeat(unknowns, 8, axis=1).ravel(), np.tile(unknowns, 8).ravel()),
        ),
        shape=(2 * node.size, 2 * node.size),
    ).tocsr()
    held = 2 * columns if clamped else 0
    A = A[held:, held:]
    return la.canonical_csr((A + A.T) / 2)  # sums of the same numbers in another order


def _square_of_sheet(poisson_ratio: float) -> NDArray[np.float64]:
    """Stiffness of a unit square; corners (0, 0), (0, 1), (1, 0), (1, 1), two unknowns each."""
    nu = poisson_ratio
    law = np.array([[1, nu, 0], [nu, 1, 0], [0, 0, (1 - nu) / 2]]) / (1 - nu**2)
    gauss = 0.5 + np.array([-0.5, 0.5]) / math.sqrt(3)
    K = np.zeros((8, 8))
    for x in gauss:
        for y in gauss:
            along_x = np.array([y - 1, -y, 1 - y, y])
            along_y = np.array([x - 1, 1 - x, -x, x])
            strain = np.zeros((3, 8))
            strain[0, ::2], strain[1, 1::2] = along_x, along_y
            strain[2, ::2], strain[2, 1::2] = along_y, along_x
            K += strain.T @ law @ strain / 4
    return (K + K.T) / 2
