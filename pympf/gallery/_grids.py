"""Diffusion on grids: the Laplacian, coefficients that jump or have a direction, Table 2.1."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf import la
from pympf.gallery._assembly import assemble, check_shape, degrees, grid_edges


def poisson(shape: int | Sequence[int]) -> sp.csr_array:
    """Laplacian of a grid in any number of dimensions, with zeros prescribed around it.

    Not collective. Central differences of second order, not divided by the square of the mesh
    width: 2d on the diagonal, -1 for each neighbour.

    Parameters
    ----------
    shape : int or sequence of int
        The number of inner grid points along each of the d axes.

    Returns
    -------
    scipy.sparse.csr_array, shape (n, n)
        n is the product of `shape`; the last axis runs fastest.

    Raises
    ------
    ValueError
        If a size is not positive, or n is above 2^31 - 1.

    Examples
    --------
    >>> from pympf import gallery
    >>> gallery.poisson(3).toarray()
    array([[ 2., -1.,  0.],
           [-1.,  2., -1.],
           [ 0., -1.,  2.]])
    """
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    axes = grid_edges(shape)
    n = math.prod(shape)
    i, j = (np.concatenate(ends) for ends in zip(*axes, strict=True))
    return assemble(np.full(n, 2.0 * len(shape)), i, j, np.ones(len(i)))


def disc(n: int) -> sp.csr_array:
    """Diffusion with coefficients that jump by 10^6: the thesis's problem "2D Disc".

    Not collective. Finite volumes on n x n cells of the unit square, zeros prescribed on the
    boundary, coefficient 1e-3 in the quadrant x <= 1/2 <= y, 1e3 in y <= 1/2 <= x, else 1;
    harmonic means on the faces between cells, half a cell's distance to the boundary. As in
    `poisson`, not divided by the square of the mesh width.

    Parameters
    ----------
    n : int
        The number of cells along each axis.

    Returns
    -------
    scipy.sparse.csr_array, shape (n^2, n^2)
        x runs fastest.

    Raises
    ------
    ValueError
        If `n` is not positive, or n^2 above 2^31 - 1.

    References
    ----------
    T. F. Chan, W. P. Tang, W. L. Wan, Wavelet sparse approximate inverse preconditioners,
    BIT 37(3), 1997, 644-660.

    Examples
    --------
    >>> from pympf import gallery
    >>> gallery.disc(2).diagonal()
    array([6.000000e+00, 4.003996e+03, 7.996004e-03, 6.000000e+00])
    """
    axes = grid_edges((n, n))
    centre = (np.arange(n) + 0.5) / n
    x, y = centre, centre[:, None]
    cells = np.where((x <= 0.5) & (y >= 0.5), 1e-3, np.where((x >= 0.5) & (y <= 0.5), 1e3, 1.0))
    boundary = np.zeros((n, n))
    for face in (boundary[0], boundary[-1], boundary[:, 0], boundary[:, -1]):
        face += 2
    diagonal = (boundary * cells).ravel()
    k = cells.ravel()
    i, j = (np.concatenate(ends) for ends in zip(*axes, strict=True))
    weights = 2 * k[i] * k[j] / (k[i] + k[j])
    return assemble(diagonal + degrees(n * n, i, j, weights), i, j, weights)


def anisotropic(n: int, epsilon: float = 1e-3, angle: float = math.pi / 6) -> sp.csr_array:
    """Diffusion that is strong in one direction, at any angle to the grid.

    Not collective. Bilinear finite elements for -div K grad u on n x n inner nodes, with zeros
    prescribed around them, K = R diag(1, epsilon) R^T and R the rotation by `angle`.

    Parameters
    ----------
    n : int
        The number of inner nodes along each axis.
    epsilon : float
        Diffusion across the strong direction over that along it; positive.
    angle : float
        Between the strong direction and the x axis, in radians.

    Returns
    -------
    scipy.sparse.csr_array, shape (n^2, n^2)
        x runs fastest. At most nine entries in a row.

    Raises
    ------
    ValueError
        If `n` is not positive, n^2 above 2^31 - 1, `epsilon` not positive, or one of `epsilon`
        and `angle` not finite.

    Examples
    --------
    >>> from pympf import gallery
    >>> gallery.anisotropic(3, epsilon=1).toarray()[4].round(3).tolist()
    [-0.333, -0.333, -0.333, -0.333, 2.667, -0.333, -0.333, -0.333, -0.333]
    """
    check_shape((n, n))
    if not (0 < epsilon < math.inf and math.isfinite(angle)):
        raise ValueError(
            f"expected a positive epsilon and a finite angle, got epsilon = {epsilon!r}, "
            f"angle = {angle!r}"
        )
    stiffness, mass, slope = (
        sp.diags_array(entries, offsets=[-1, 0, 1], shape=(n, n))
        for entries in ([-1.0, 2.0, -1.0], [1 / 6, 4 / 6, 1 / 6], [-1 / 2, 0.0, 1 / 2])
    )
    c, s = math.cos(angle), math.sin(angle)
    along, across = c * c + epsilon * s * s, s * s + epsilon * c * c
    A = along * sp.kron(mass, stiffness) + across * sp.kron(stiffness, mass)
    return la.as_csr(A - 2 * (1 - epsilon) * c * s * sp.kron(slope, slope))


def thesis_problem(name: str, n: int) -> tuple[sp.csr_array, NDArray[np.float64]]:
    """Model problem of Table 2.1 of the thesis.

    Not collective. All are of the form div(k grad u) = f on the unit interval, square or cube with
    u = 0 on the boundary; the sign is turned so that A is positive definite, and both sides are
    multiplied by the square of the mesh width.

    Parameters
    ----------
    name : {"1D Laplacian", "2D Laplacian", "3D Laplacian", "2D Disc"}
        The problem.
    n : int
        The number of rows; a square for the 2-D and a cube for the 3-D problems.

    Returns
    -------
    A : scipy.sparse.csr_array, shape (n, n)
        The matrix: `poisson` or `disc`.
    b : numpy.ndarray, shape (n,)
        The right-hand side.

    Raises
    ------
    ValueError
        If there is no such problem, or `n` is not the number of points of a grid.

    Examples
    --------
    >>> from pympf import gallery
    >>> A, b = gallery.thesis_problem("2D Laplacian", 256)
    >>> A.shape, b.shape
    ((256, 256), (256,))
    """
    if name not in _THESIS_PROBLEMS:
        raise ValueError(f"expected one of {sorted(_THESIS_PROBLEMS)}, got {name!r}")
    axes, cell_centred, source = _THESIS_PROBLEMS[name]
    side = round(n ** (1 / axes)) if n > 0 else 0
    if side < 1 or side**axes != n:
        raise ValueError(f"{name}: expected n = k^{axes} rows with k >= 1, got {n}")
    points = (np.arange(side) + 0.5) / side if cell_centred else np.arange(1, side + 1) / (side + 1)
    width = 1 / side if cell_centred else 1 / (side + 1)
    x, y = points, points[:, None] if axes > 1 else np.zeros(1)
    f = np.broadcast_to(source(x, y), (side,) * axes)
    A = disc(side) if cell_centred else poisson((side,) * axes)
    return A, -(width**2) * f.ravel()


Source = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


# Number of axes, whether unknowns lie in the middle of cells, right-hand side f(x, y).
_THESIS_PROBLEMS: dict[str, tuple[int, bool, Source]] = {
    "1D Laplacian": (1, False, lambda x, y: np.exp(x) / (1 + x**2)),
    "2D Laplacian": (2, False, lambda x, y: -100 * x**2 + 0 * y),
    "3D Laplacian": (3, False, lambda x, y: -100 * x**2 + 0 * y),
    "2D Disc": (2, True, lambda x, y: np.sin(np.pi * x * y)),
}
