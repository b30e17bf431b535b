"""Routing functions: which units of a layer an input activates.

A routing is called with the inputs X, shape (n, d), and the pre-activations Z = X Bᵀ + c, shape
(n, t), and returns the active units of each row: indices of shape (n, s) in ascending order, int32.
As a mask these are ones at s of t positions (section 2.1 of [1]_).

References
----------
.. [1] C. Baykal, N. Dikkala, R. Panigrahy, C. Rashtchian, X. Wang, "A theoretical view on sparsely
   activated networks", sections 2.1, 2.2, 3 and D.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from pympf._described import Described
from pympf.la import checks
from pympf.nets._checks import Array, as_points

__all__ = [
    "Expert",
    "Mask",
    "Nearest",
    "OnePerBlock",
    "RandomHash",
    "Routing",
    "Separate",
    "TopK",
]


class Routing(Protocol):
    """What a layer asks of its routing."""

    def __call__(self, X: Array, Z: Array) -> Array:
        """Return the active units of each row."""

    def _count(self, width: int) -> int:
        """Count the active units of a layer of some width, and refuse a width that does not fit."""

    def _flops(self, n_features: int, width: int) -> int:
        """Count the operations for one input beyond the pre-activations of its active units."""


def _largest(key: Array, count: int) -> Array:
    """Name the `count` largest entries of each row."""
    width = key.shape[1]
    if count == width:
        return np.broadcast_to(np.arange(width, dtype=np.int32), key.shape).copy()
    chosen = np.argpartition(key, width - count, axis=1)[:, width - count :]
    return np.sort(chosen.astype(np.int32), axis=1)


class TopK(Described):
    """The K largest pre-activations, or the K largest in absolute value.

    Parameters
    ----------
    active : int
        K.
    by : {"value", "absolute"}
        Bx itself, section 3 of the paper, or |Bx|. Under a ReLU the K = t/2 largest values of Bx
        are about the positive ones, so that the mask of half of the units changes next to nothing;
        |Bx| is a mask of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import TopK
    >>> Z = np.array([[1.0, -3.0, 2.0]])
    >>> TopK(2)(None, Z).tolist(), TopK(2, by="absolute")(None, Z).tolist()
    ([[0, 2]], [[1, 2]])
    """

    def __init__(self, active: int, *, by: str = "value") -> None:
        self._active = checks.integer(active, "active")
        self._by = checks.choice(by, "by", ("value", "absolute"))

    def __call__(self, X: Array, Z: Array) -> Array:
        """Return the active units of each row."""
        return _largest(Z if self._by == "value" else np.abs(Z), self._count(Z.shape[1]))

    def _count(self, width: int) -> int:
        return checks.integer(self._active, "active", 1, width)

    def _flops(self, n_features: int, width: int) -> int:
        # The pre-activations of all other units are computed too.
        return 2 * n_features * (width - self._active)


class Separate(Described):
    """The K largest entries of Rx, where the routing has a projection R of its own.

    Parameters
    ----------
    projection : array_like, shape (t, d)
        R.
    active : int
        K.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import Separate
    >>> routing = Separate([[1.0], [-1.0]], active=1)
    >>> routing(np.array([[0.5], [-0.5]]), np.zeros((2, 2))).tolist()
    [[0], [1]]
    """

    def __init__(self, projection: ArrayLike, active: int) -> None:
        self.projection = as_points(projection)
        self._active = checks.integer(active, "active", 1, len(self.projection))

    def __call__(self, X: Array, Z: Array) -> Array:
        """Return the active units of each row."""
        return _largest(X @ self.projection.T.astype(X.dtype), self._active)

    def _count(self, width: int) -> int:
        return self._active

    def _flops(self, n_features: int, width: int) -> int:
        return 2 * n_features * width


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mixed(x: Array) -> Array:
    """Apply the finalizer of splitmix64 to words of 64 bits."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class RandomHash(Described):
    """K units chosen uniformly by a hash of the input, section D.1.

    The same input always has the same units; inputs that differ in any bit have independent ones.

    Parameters
    ----------
    active : int
        K.
    seed : int
        Seed of the hash, 0 or more.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import RandomHash
    >>> X = np.array([[0.5], [0.5], [0.5 + 1e-15]])
    >>> units = RandomHash(8)(X, np.zeros((3, 64)))
    >>> bool((units[0] == units[1]).all()), bool((units[0] == units[2]).all())
    (True, False)
    """

    def __init__(self, active: int, *, seed: int = 0) -> None:
        self._active = checks.integer(active, "active")
        self._seed = np.uint64(checks.integer(seed, "seed", 0))

    def __call__(self, X: Array, Z: Array) -> Array:
        """Return the active units of each row."""
        words = (np.asarray(X, np.float64) + 0.0).view(np.uint64)  # -0 and 0 are the same input
        state = np.full(len(X), _mixed(np.array([self._seed + _GOLDEN]))[0])
        for word in words.T:
            state = _mixed((state ^ word) + _GOLDEN)
        units = np.arange(1, Z.shape[1] + 1, dtype=np.uint64) * _GOLDEN
        return _largest(_mixed(state[:, np.newaxis] + units), self._count(Z.shape[1]))

    def _count(self, width: int) -> int:
        return checks.integer(self._active, "active", 1, width)

    def _flops(self, n_features: int, width: int) -> int:
        return 0  # integers only


class OnePerBlock(Described):
    """The unit of the largest pre-activation in each of s blocks of units: Scaling Transformers.

    Parameters
    ----------
    blocks : int
        s; it must divide the width t.

    References
    ----------
    .. [1] Section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import OnePerBlock
    >>> OnePerBlock(2)(None, np.array([[1.0, 2.0, 4.0, 3.0]])).tolist()
    [[1, 2]]
    """

    def __init__(self, blocks: int) -> None:
        self._blocks = checks.integer(blocks, "blocks")

    def __call__(self, X: Array, Z: Array) -> Array:
        """Return the active units of each row."""
        size = Z.shape[1] // self._count(Z.shape[1])
        best = Z.reshape(len(Z), self._blocks, size).argmax(axis=2)
        return (best + size * np.arange(self._blocks)).astype(np.int32)

    def _count(self, width: int) -> int:
        if width % self._blocks:
            raise ValueError(f"expected a width that {self._blocks} blocks divide, got {width}")
        return self._blocks

    def _flops(self, n_features: int, width: int) -> int:
        # The pre-activations of all other units are computed too.
        return 2 * n_features * (width - self._blocks)


class Expert(Described):
    """All units of one of L blocks of equal size, the experts: Switch Transformers.

    Parameters
    ----------
    router : array_like, shape (L, d)
        The input goes to the expert of the largest entry of the product with it.

    References
    ----------
    .. [1] Section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import Expert
    >>> routing = Expert([[1.0], [-1.0]])
    >>> routing(np.array([[0.5], [-0.5]]), np.zeros((2, 6))).tolist()
    [[0, 1, 2], [3, 4, 5]]
    """

    def __init__(self, router: ArrayLike) -> None:
        self.router = as_points(router)

    def __call__(self, X: Array, Z: Array) -> Array:
        """Return the active units of each row."""
        size = self._count(Z.shape[1])
        expert = (X @ self.router.T.astype(X.dtype)).argmax(axis=1)
        return (size * expert[:, np.newaxis] + np.arange(size)).astype(np.int32)

    def _count(self, width: int) -> int:
        if width % len(self.router):
            raise ValueError(f"expected a width that {len(self.router)} experts divide: {width}")
        return width // len(self.router)

    def _flops(self, n_features: int, width: int) -> int:
        return 2 * n_features * len(self.router)


class Nearest(Described):
    """The one unit whose point is nearest to the input: interpolation, section 3.

    Parameters
    ----------
    points : array_like, shape (t, d)
        A point for each unit.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import Nearest
    >>> Nearest([[0.0], [1.0]])(np.array([[0.9]]), np.zeros((1, 2))).tolist()
    [[1]]
    """

    def __init__(self, points: ArrayLike) -> None:
        self._tree = cKDTree(as_points(points))

    def __call__(self, X: Array, Z: Array) -> Array:
        """Return the active unit of each row."""
        return self._tree.query(X)[1].astype(np.int32)[:, np.newaxis]

    def _count(self, width: int) -> int:
        return 1

    def _flops(self, n_features: int, width: int) -> int:
        # Distances to all points; the tree saves a part of them.
        return 3 * n_features * width


class Mask(Described):
    """Any function of the input as a routing: the general DSM(d, s, t).

    Parameters
    ----------
    function : callable
        Maps X, shape (n, d), to the active units, shape (n, s).
    active : int
        s.

    References
    ----------
    .. [1] Section 2.1.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import Mask
    >>> half = Mask(lambda X: (X > 0).astype(int), active=1)
    >>> half(np.array([[0.5], [-0.5]]), np.zeros((2, 2))).tolist()
    [[1], [0]]
    """

    def __init__(self, function: Callable[[Array], Array], active: int) -> None:
        self._function = function
        self._active = checks.integer(active, "active")

    def __call__(self, X: Array, Z: Array) -> Array:
        """Return the active units of each row."""
        units = np.sort(np.asarray(self._function(X)), axis=1).astype(np.int32)
        if units.shape != (len(X), self._active):
            raise ValueError(f"expected {self._active} units for each of {len(X)}: {units.shape}")
        if units.min() < 0 or units.max() >= Z.shape[1]:
            raise ValueError(f"expected units from 0 to {Z.shape[1] - 1}, got others")
        return units

    def _count(self, width: int) -> int:
        return checks.integer(self._active, "active", 1, width)

    def _flops(self, n_features: int, width: int) -> int:
        return 0  # the caller knows
