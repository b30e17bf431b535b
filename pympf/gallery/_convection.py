"""Convection and diffusion on a grid, which is not symmetric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf.la import checks


def convection_diffusion(
    n: int,
    speed: float,
    *,
    flow: str = "recirculating",
    dimensions: int = 2,
    differences: str = "upwind",
) -> sp.csr_array:
    """Flow that carries along what diffuses: −Δu + v·∇u, not symmetric.

    Not collective. Central differences for the diffusion on n^d inner nodes of the unit square or
    cube, with zeros prescribed around it.

    Parameters
    ----------
    n : int
        Nodes along an axis.
    speed : float
        |v|; 0 gives the Laplacian, divided by the square of the mesh width.
    flow : {'recirculating', 'constant'}
        v turns around the middle, or is the same everywhere.
    dimensions : {2, 3}
    differences : {'upwind', 'central'}
        Of the convection. Upwind ones give an M-matrix at any speed.

    Returns
    -------
    scipy.sparse.csr_array, shape (n^d, n^d)
        The last axis runs fastest.

    Raises
    ------
    ValueError
        If a parameter is none of these, or the speed is negative or not finite.

    Examples
    --------
    >>> from pympf import gallery
    >>> A = gallery.convection_diffusion(10, 100.0)
    >>> A.shape, bool((abs(A - A.T) > 0).nnz)
    ((100, 100), True)
    """
    _check_flow(n, speed, flow, dimensions, differences)
    h = 1 / (n + 1)
    axes = np.meshgrid(*[np.arange(1, n + 1) * h] * dimensions, indexing="ij")
    velocity = [speed * part for part in _flow(flow, axes)]
    place = np.arange(n**dimensions).reshape((n,) * dimensions)
    diagonal = np.full(place.shape, 2 * dimensions / h**2)
    rows, columns, values = [place.ravel()], [place.ravel()], [diagonal.ravel()]
    for axis, v in enumerate(velocity):
        if differences == "upwind":
            diagonal += abs(v) / h
            before, behind = np.maximum(v, 0) / h, np.maximum(-v, 0) / h
        else:
            before, behind = v / (2 * h), -v / (2 * h)
        first = tuple(slice(0, -1) if a == axis else slice(None) for a in range(dimensions))
        last = tuple(slice(1, None) if a == axis else slice(None) for a in range(dimensions))
        rows += [place[last].ravel(), place[first].ravel()]
        columns += [place[first].ravel(), place[last].ravel()]
        values += [-(1 / h**2 + before)[last].ravel(), -(1 / h**2 + behind)[first].ravel()]
    values[0] = diagonal.ravel()
    places = (np.concatenate(rows), np.concatenate(columns))
    return sp.csr_array((np.concatenate(values), places), shape=(place.size, place.size))


def _check_flow(n: int, speed: float, flow: str, dimensions: int, differences: str) -> None:
    checks.integer(n, "n")
    if not (np.isfinite(speed) and speed >= 0):
        raise ValueError(f"speed = {speed} is not a finite number >= 0")
    checks.integer(dimensions, "dimensions", 2, 3)
    checks.choice(flow, "flow", ("recirculating", "constant"))
    checks.choice(differences, "differences", ("upwind", "central"))


def _flow(flow: str, axes: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Return the velocity at speed 1."""
    x, y = axes[:2]
    if flow == "constant":
        direction = (np.cos(0.5), np.sin(0.5)) if len(axes) == 2 else (0.8, 0.5, 0.33)
        return [np.full(x.shape, part) for part in direction]
    if len(axes) == 2:
        return [4 * x * (x - 1) * (1 - 2 * y), -4 * y * (y - 1) * (1 - 2 * x)]
    z = axes[2]
    return [
        2 * x * (1 - x) * (2 * y - 1) * z,
        -2 * (2 * x - 1) * y * (1 - y) * z,
        0.1 * np.sin(2 * np.pi * x),
    ]
