"""The random walker: an image as a linear system."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from pympf import la
from pympf.gallery._assembly import assemble, degrees, grid_edges


def random_walker(
    image: ArrayLike, labels: ArrayLike, beta: float = 90.0
) -> tuple[sp.csr_array, NDArray[np.float64], NDArray[np.int64]]:
    """Linear system that segments an image from a few labelled pixels.

    Not collective. The probability that a random walker, who crosses edges of the pixel grid (4
    neighbours) in proportion to the weights

        w_ij = exp(-beta |g_i - g_j|^2 / max |g_k - g_l|^2) + 1e-6,

    reaches a pixel of some label first is harmonic: it solves A x = b, where A is the graph
    Laplacian without the rows and columns of the labelled pixels and b holds the weights of the
    edges to pixels of that label.

    Parameters
    ----------
    image : array_like, shape (h, w) or (h, w, c)
        Grey values g, or c colours.
    labels : array_like of int, shape (h, w)
        0 where a pixel is not labelled; there must be two or more different positive labels.
    beta : float
        How strongly edges of the image keep the walker from crossing them.

    Returns
    -------
    A : scipy.sparse.csr_array, shape (n, n)
        Symmetric positive definite; n is the number of pixels not labelled.
    b : numpy.ndarray, shape (n,) or (n, k)
        With two labels the right-hand side of the smaller one; with k > 2 one column for each, in
        increasing order. The solutions of all labels add up to one.
    unknowns : numpy.ndarray, shape (n,)
        The pixel ``row * w + column`` to which each row belongs.

    Raises
    ------
    ValueError
        If shapes do not fit, labels are negative, fewer than two or everywhere, or a value is not
        finite.
    TypeError
        If the image does not hold real numbers or the labels no integers.

    References
    ----------
    L. Grady, Random walks for image segmentation, IEEE Transactions on Pattern Analysis and
    Machine Intelligence 28(11), 2006, 1768-1783.

    Examples
    --------
    >>> from pympf import gallery
    >>> A, b, unknowns = gallery.random_walker([[7, 7, 7]], [[1, 0, 2]])
    >>> float(b[0] / A[0, 0])
    0.5
    """
    pixels, seeds, size = _check_image(image, labels, beta)
    i, j = (np.concatenate(ends) for ends in zip(*grid_edges(size), strict=True))
    weights = _walker_weights(pixels, i, j, beta)
    full = assemble(degrees(len(pixels), i, j, weights), i, j, weights)
    unknowns, known = np.flatnonzero(seeds == 0), np.flatnonzero(seeds)
    rows = full[unknowns]
    names = np.unique(seeds[known])
    indicators = (seeds[known, None] == names).astype(np.float64)
    b = -(rows[:, known] @ indicators)
    A = la.canonical_csr(rows[:, unknowns])
    return A, b[:, 0].copy() if len(names) == 2 else b, unknowns


def _check_image(
    image: ArrayLike, labels: ArrayLike, beta: float
) -> tuple[NDArray[np.float64], NDArray[Any], tuple[int, int]]:
    """Return pixels (n, c), labels (n,) and the shape of the grid."""
    la.checks.no_masks(image, "image")
    la.checks.no_masks(labels, "labels")
    pixels = la.exact_real(np.asarray(image), "image").astype(np.float64)
    seeds = np.asarray(labels)
    if pixels.ndim not in (2, 3) or 0 in pixels.shape or seeds.shape != pixels.shape[:2]:
        raise ValueError(
            f"expected an image of shape (h, w) or (h, w, c) and labels of shape (h, w), "
            f"got {pixels.shape} and {seeds.shape}"
        )
    if seeds.dtype.kind not in "iu":
        raise TypeError(f"expected integer labels, got {seeds.dtype}")
    if seeds.min() < 0 or seeds.all() or len(np.unique(seeds[seeds > 0])) < 2:
        raise ValueError("expected labels >= 0, two different ones above 0, and 0 somewhere")
    if not np.isfinite(pixels).all() or not (math.isfinite(beta) and beta >= 0):
        raise ValueError(f"expected finite pixels and a finite beta >= 0, got beta = {beta}")
    return pixels.reshape(seeds.size, -1), seeds.ravel(), (seeds.shape[0], seeds.shape[1])


def _walker_weights(
    pixels: NDArray[np.float64], i: NDArray[np.int32], j: NDArray[np.int32], beta: float
) -> NDArray[np.float64]:
    gradient = ((pixels[i] - pixels[j]) ** 2).sum(axis=1)
    # A flat image has no gradient to compare with, and all edges weigh the same.
    return np.exp(-beta * gradient / (gradient.max() or 1.0)) + 1e-6
