"""The paper's learning rule for projections, as it is printed.

Each module's Û descends on yᵀK⁻¹y, the squared norm of the weights of least norm, K being the
kernel of batches of points. All modules are worked on at once; with α = K⁻¹y and G = -ααᵀ, the
gradient by each kernel E of K is G, and H = G ∘ E gives that by the projected points:

    linear    E_1 of â = x·û/(v̂·û), E_2 of r = x - â v̂, K = E_1 + E_2      equation 73
    distance  E of ‖x - û‖                                                  equation 74
    subspace  E of Ûᵀx                                                      equation 76

    ∂â_i = -(2/σ²) (â_i Σ_j H_ij - (Hâ)_i),  the same for r
    ∂û = Σ_i ∂â_i (x_i - â_i v̂)/(v̂·û),  ∂v̂ = -Σ_i ∂â_i â_i û/(v̂·û) - Σ_i â_i ∂r_i,  where
    ∂â_i has lost v̂·∂r_i

What it does and does not find is in docs/modular_experiments.md.

References
----------
.. [1] A. Boopathy, S. Jiang, W. Yue, J. Hwang, A. Iyer, I. Fiete, "Breaking neural network scaling
   laws with modularity", section 4.2, algorithm 1, appendix E.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf.la import checks
from pympf.nets._checks import Array, as_points, as_values, random_numbers
from pympf.nets.modular.tasks import project

__all__ = ["kernel_objective", "kernel_rule"]

KERNELS = ("linear", "distance", "subspace")


def kernel_objective(
    parameters: list[Array],
    X: Array,
    y: Array,
    *,
    projection: str = "linear",
    sigma: float = 1.0,
    jitter: float = 1e-3,
) -> tuple[Array, list[Array]]:
    """Compute yᵀK⁻¹y of K modules and its gradients.

    Not collective.

    Parameters
    ----------
    parameters : list of ndarray
        Û and V̂ of shape (K, m) for "linear"; centres of shape (K, m) for "distance"; one array of
        shape (K, m, b) for "subspace".
    X : ndarray, shape (n, m)
        Points.
    y : ndarray, shape (n,) or (K, n)
        Values, the same for all modules or not.
    projection : {"linear", "distance", "subspace"}
        Which kernel.
    sigma : float
        σ.
    jitter : float
        Added to the diagonal of K, which is singular for points that repeat; the text has none.

    Returns
    -------
    values : ndarray, shape (K,)
        yᵀK⁻¹y of each module.
    gradients : list of ndarray
        By the parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import kernel_objective
    >>> values, _ = kernel_objective([np.zeros((1, 2))], np.eye(2), np.ones(2),
    ...                              projection="distance", jitter=1.0)
    >>> values.round(6)
    array([0.666667])
    """
    kind = checks.choice(projection, "projection", KERNELS)
    jitter, unit = checks.positive(jitter, "jitter"), checks.positive(sigma, "sigma") ** -2
    if kind == "linear":
        U, V = parameters
        cosine = (U * V).sum(axis=1)[:, np.newaxis]
        a = U @ X.T / cosine
        seen = [a[:, :, np.newaxis], X - a[:, :, np.newaxis] * V[:, np.newaxis, :]]
    elif kind == "distance":
        a = project(X, parameters[0], kind)
        seen = [a[:, :, np.newaxis]]
    else:
        seen = [np.matmul(X, parameters[0])]
    kernels = [_gaussian(z, unit) for z in seen]
    alpha, values = _solved(kernels, y, jitter)
    slopes = [_slope(z, E, alpha, unit) for z, E in zip(seen, kernels, strict=True)]
    if kind == "subspace":
        return values, [np.matmul(X.T, slopes[0])]
    by_a = slopes[0][:, :, 0]
    if kind == "distance":
        U, weight = parameters[0], by_a / np.maximum(a, 1e-9)
        return values, [weight.sum(axis=1, keepdims=True) * U - weight @ X]
    by_rest = slopes[1]
    by_a = by_a - np.matmul(by_rest, V[:, :, np.newaxis])[:, :, 0]
    along = (by_a * a).sum(axis=1, keepdims=True) / cosine
    by_v = -along * U - np.matmul(a[:, np.newaxis, :], by_rest)[:, 0]
    return values, [by_a / cosine @ X - along * V, by_v]


def _gaussian(z: Array, unit: float) -> Array:
    """exp(-|z_i - z_j|²/2σ²) of each module's points, shape (K, n, n)."""
    squares = (z * z).sum(axis=2)
    distance = squares[:, :, np.newaxis] + squares[:, np.newaxis, :]
    distance -= 2 * np.matmul(z, z.transpose(0, 2, 1))
    return np.exp(-unit / 2 * np.maximum(distance, 0))


def _solved(kernels: list[Array], y: Array, jitter: float) -> tuple[Array, Array]:
    """α = (Σ E + jitter I)⁻¹ y and y·α."""
    matrix = sum(kernels[1:], kernels[0].copy())
    n = matrix.shape[1]
    matrix[:, np.arange(n), np.arange(n)] += jitter
    y = np.broadcast_to(y, matrix.shape[:2])
    alpha = np.linalg.solve(matrix, y[:, :, np.newaxis])[:, :, 0]
    return alpha, (alpha * y).sum(axis=1)


def _slope(z: Array, E: Array, alpha: Array, unit: float) -> Array:
    """Gradient by what the kernel saw."""
    H = -alpha[:, :, np.newaxis] * alpha[:, np.newaxis, :] * E
    return -2 * unit * (H.sum(axis=2, keepdims=True) * z - np.matmul(H, z))


def kernel_rule(
    X: ArrayLike,
    y: ArrayLike,
    n_modules: int,
    *,
    projection: str = "linear",
    bottleneck: int = 1,
    iterations: int = 1000,
    learning_rate: float = 0.1,
    batch: int = 128,
    sigma: float = 1.0,
    jitter: float = 1e-3,
    seed: int = 0,
) -> Array:
    """Find projections by algorithm 1, for all modules at once on the same batches.

    Not collective. In the paper's own setting the directions that it gives are no better than
    random ones (docs/modular_experiments.md); `pursuit` finds them.

    Parameters
    ----------
    X : array_like, shape (n, m)
        Points, at least `batch`.
    y : array_like, shape (n,), or of int, shape (n, k)
        Values; or classes of k parts, of which each module tells one at a time, drawn anew in each
        step (for "subspace").
    n_modules : int
        K.
    projection : {"linear", "distance", "subspace"}
        Which kernel: equation 73, 74 or 76.
    bottleneck : int
        b, columns of Û_j for "subspace".
    iterations, learning_rate, batch, sigma : int or float
        As in the paper: 1000, 0.1, 128, 1 for sine waves; rate 0.01 and σ = 20 for images of
        3072 k pixels.
    jitter : float
        Added to the diagonal of K.
    seed : int
        Seed of the first projections and of the batches.

    Returns
    -------
    ndarray, shape (K, m) or (K, m, b)
        Û, its norms as the rule leaves them.

    References
    ----------
    .. [1] Algorithm 1.

    Examples
    --------
    >>> from pympf.nets import SineWaves, kernel_rule
    >>> f = SineWaves(3)
    >>> X = f.sample(500)
    >>> kernel_rule(X, f(X), 6, iterations=10).shape
    (6, 3)
    """
    X = as_points(X)
    checks.choice(projection, "projection", KERNELS)
    n_modules, batch = (
        checks.integer(n_modules, "n_modules"),
        checks.integer(batch, "batch", 2, len(X)),
    )
    rate = checks.positive(learning_rate, "learning_rate")
    rng = random_numbers(seed, "kernel rule")
    targets = _targets(y, len(X), n_modules, rng)
    parameters = _first(n_modules, X.shape[1], bottleneck, projection, rng)
    for _ in range(checks.integer(iterations, "iterations", 0)):
        chosen = rng.choice(len(X), batch, replace=False)
        _, gradients = kernel_objective(
            parameters,
            X[chosen],
            targets(chosen),
            projection=projection,
            sigma=sigma,
            jitter=jitter,
        )
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter -= rate * gradient
    return parameters[0]


def _first(
    K: int, m: int, bottleneck: int, projection: str, rng: np.random.Generator
) -> list[Array]:
    if projection == "subspace":
        b = checks.integer(bottleneck, "bottleneck", 1, m)
        return [rng.standard_normal((K, m, b)) / np.sqrt(m)]
    count = 2 if projection == "linear" else 1
    found = rng.standard_normal((count, K, m))
    found /= np.linalg.norm(found, axis=2, keepdims=True)
    if count == 2:  # v̂·û > 0 at the start, as it is divided by
        found[1] *= np.where((found[0] * found[1]).sum(axis=1, keepdims=True) < 0, -1, 1)
    return list(found)


def _targets(y: ArrayLike, n: int, K: int, rng: np.random.Generator) -> Any:
    """What modules fit on a batch: the values, or whether a random part has a random class."""
    y = np.asarray(y)
    if y.ndim == 1:
        values = as_values(y, n)
        if not np.ptp(values):
            raise ValueError("expected values y that differ, got a constant")
        return lambda chosen: values[chosen]
    if y.ndim != 2 or len(y) != n or y.dtype.kind not in "iu":
        raise ValueError(f"expected y of shape ({n},), or integers ({n}, k), got {y.shape}")
    classes = int(y.max()) + 1

    def one_class(chosen: Array) -> Array:
        part = rng.integers(0, y.shape[1], K)
        told = (y[chosen][:, part] == rng.integers(0, classes, K)).T.astype(np.float64)
        return told - told.mean(axis=1, keepdims=True)

    return one_class
