"""Hash families: random hyperplanes and Euclidean slabs."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pympf._engine import lsh as _engine
from pympf.la import checks
from pympf.lsh._gates import as_points
from pympf.lsh._settings import Settings
from pympf.lsh.projection import Projection

__all__ = ["EuclideanHash", "HashFamily", "HyperplaneHash", "checked_family", "settled"]


class HashFamily(Settings):
    """What the two families share: `n_tables` times `n_functions` hash functions.

    A function projects, v = b + a_1 x_1 + … + a_d x_d, and hashes v. The a_j are standard normal
    float32 numbers from counters (seed, table, function), v is what float64 arithmetic gives, one
    product and one sum after the other. So a key depends on x and the seed alone: it is the same
    for dense and sparse, float32 and float64 arrays of the same numbers, on every machine and for
    any number of threads and ranks. (Products in float32 do most of the work; where their error
    could change a key, float64 decides.)
    """

    _family: Any
    n_features: int
    n_functions: int
    n_tables: int
    seed: int

    def _make(self, kind: str, width: float, offset: float) -> None:
        sizes = {name: getattr(self, name) for name in ("n_features", "n_functions", "n_tables")}
        for name, value in sizes.items():
            setattr(self, name, checks.integer(value, name, 1, 2**31 - 1))
        self.seed = checks.seed(self.seed)
        shape = (self.n_features, self.n_functions, self.n_tables)
        if math.prod(shape) > 2**31 - 1:
            raise ValueError(
                f"expected at most 2^31 - 1 coefficients, got n_features * n_functions * n_tables "
                f"= {math.prod(shape)}"
            )
        self._family = _engine.Family(kind, *shape, width, offset, self.seed)

    @property
    def directions(self) -> NDArray[np.float32]:
        """The a_i, shape (n_tables, n_functions, n_features)."""
        return self._family.directions

    @property
    def offsets(self) -> NDArray[np.float64]:
        """The b_i, shape (n_tables, n_functions)."""
        return self._family.offsets

    @property
    def projection(self) -> Projection:
        """The a_i as the rows of a linear operator, table by table."""
        return Projection(self.directions)

    def project(self, X: Any) -> NDArray[np.float64]:
        """Return the projections a_i^T x + b_i.

        Not collective.

        Parameters
        ----------
        X : array_like or sparse array, shape (n, n_features)

        Returns
        -------
        numpy.ndarray, shape (n, n_tables, n_functions)
            The values that are hashed, in float64.

        Raises
        ------
        ValueError
            If `X` has another shape, or it or a projection is not finite.

        Examples
        --------
        >>> from pympf.lsh import HyperplaneHash
        >>> family = HyperplaneHash(2, n_functions=3)
        >>> abs(family.project([[0.0, 0.0]]))
        array([[[0., 0., 0.]]])
        """
        return self._family.project(*as_points(X, self.n_features))

    def keys64(self, X: Any) -> NDArray[np.uint64]:
        """Return keys of 64 bits.

        Not collective. A key of one word, at most 64 hyperplanes or 2 Euclidean functions, is
        taken as it is. A longer one is scrambled: two given keys collide with probability 2⁻⁶⁴,
        and among n keys some do with about n² / 2⁶⁵. `BucketIndex` and `Table` use exact keys.

        Parameters
        ----------
        X : array_like or sparse array, shape (n, n_features)

        Returns
        -------
        numpy.ndarray, shape (n, n_tables)

        Examples
        --------
        >>> from pympf.lsh import HyperplaneHash
        >>> HyperplaneHash(2, n_functions=3).keys64([[0.0, 0.0]])
        array([[7]], dtype=uint64)
        """
        return _engine.mix(self._keys(X))

    def _keys(self, X: Any) -> NDArray[np.uint64]:
        return self._family.keys(*as_points(X, self.n_features))

    def _probes(self, X: Any, count: int) -> NDArray[np.uint64]:
        return self._family.probes(self.project(X), count)

    def __reduce__(self) -> Any:
        return _rebuild_family, (type(self), self._parameters())

    @abstractmethod
    def _most_probes(self) -> int:
        """Count the buckets of a table that can be probed."""

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._parameters().items())
        return f"{type(self).__name__}({shown})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, HashFamily)
            and type(self) is type(other)
            and self._parameters() == other._parameters()
        )

    def __hash__(self) -> int:
        return hash((type(self), *self._parameters().values()))


class HyperplaneHash(HashFamily):
    """Random hyperplanes: the signs of a_i^T x + b_i.

    Parameters
    ----------
    n_features : int
        Coordinates d of a point.
    n_functions : int
        Hyperplanes, and bits of a key, in each table.
    n_tables : int
        Tables, each with hyperplanes of its own.
    offset : bool or float
        The b_i are this number (True: 1) times standard normal ones; False or 0: all
        hyperplanes pass through the origin.
    seed : int
        0 to 2^64 - 1.

    References
    ----------
    .. [1] M. Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002.

    Examples
    --------
    >>> from pympf.lsh import HyperplaneHash
    >>> family = HyperplaneHash(3, n_functions=70, n_tables=2, seed=5)
    >>> family.keys([[1.0, 2.0, 3.0]]).shape
    (1, 2, 2)
    """

    def __init__(
        self,
        n_features: int,
        n_functions: int,
        n_tables: int = 1,
        *,
        offset: float = False,
        seed: int = 0,
    ) -> None:
        self.n_features, self.n_functions, self.n_tables = n_features, n_functions, n_tables
        given = float(offset) if isinstance(offset, bool | np.bool_) else offset
        self.offset, self.seed = checks.number(given, "offset", 0), seed
        self._make("hyperplane", 0.0, self.offset)

    def keys(self, X: Any) -> NDArray[np.uint64]:
        """Return the exact keys: bit f % 64 of word f // 64 is [a_f^T x + b_f >= 0].

        Not collective.

        Parameters
        ----------
        X : array_like or sparse array, shape (n, n_features)
            C-contiguous float32 and float64 arrays, and CSR arrays, are not copied.

        Returns
        -------
        numpy.ndarray, shape (n, n_tables, words)
            With words = ceil(n_functions / 64); bits beyond the last function are 0.

        Raises
        ------
        ValueError
            If `X` has another shape, or it or a projection is not finite.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.lsh import HyperplaneHash
        >>> family = HyperplaneHash(2, n_functions=3, seed=1)
        >>> x = np.array([[1.0, -1.0]])
        >>> int(family.keys(x)[0, 0, 0]) ^ int(family.keys(-x)[0, 0, 0])  # all signs change
        7
        """
        return self._keys(X)

    def probes(self, X: Any, count: int) -> NDArray[np.uint64]:
        """Return the keys of the buckets to look into, best first.

        Not collective. First the point's own, then those across the hyperplanes that are nearest
        by the sum of (a_i^T x + b_i)² over the signs that change.

        Parameters
        ----------
        X : array_like or sparse array, shape (n, n_features)
        count : int
            Buckets in each table, 1 to 2^n_functions.

        Returns
        -------
        numpy.ndarray, shape (n, n_tables, count, words)

        References
        ----------
        .. [1] Q. Lv, W. Josephson, Z. Wang, M. Charikar, K. Li, "Multi-probe LSH: efficient
           indexing for high-dimensional similarity search", VLDB 2007, section 4.

        Examples
        --------
        >>> from pympf.lsh import HyperplaneHash
        >>> family = HyperplaneHash(2, n_functions=3, seed=1)
        >>> sorted(family.probes([[1.0, 2.0]], count=8).ravel().tolist())
        [0, 1, 2, 3, 4, 5, 6, 7]
        """
        count = checks.integer(count, "count", 1, self._most_probes())
        return self._probes(X, count)

    def collision_probability(self, angle: ArrayLike, n_functions: int = 1) -> NDArray[np.float64]:
        """Return the probability (1 - θ/π)^m that m functions do not part two points.

        Not collective.

        Parameters
        ----------
        angle : array_like
            Angles θ between the points, in radians, 0 to π. With an offset: those between
            (x, offset) and (y, offset).
        n_functions : int
            m.

        References
        ----------
        .. [1] M. Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.lsh import HyperplaneHash
        >>> HyperplaneHash(2, 3).collision_probability([0, np.pi / 2, np.pi])
        array([1. , 0.5, 0. ])
        """
        angle = np.asarray(angle, dtype=np.float64)
        if not ((angle >= 0) & (angle <= np.pi)).all():
            raise ValueError(f"expected angles of 0 to pi radians, got {angle}")
        return (1.0 - angle / np.pi) ** checks.integer(n_functions, "n_functions", 1, 2**31 - 1)

    def _most_probes(self) -> int:
        return min(2 ** min(self.n_functions, 31), 2**31 - 1)

    def _parameters(self) -> dict[str, Any]:
        return {
            "n_features": self.n_features,
            "n_functions": self.n_functions,
            "n_tables": self.n_tables,
            "offset": self.offset,
            "seed": self.seed,
        }


class EuclideanHash(HashFamily):
    """Slabs between parallel hyperplanes: the integers floor((a_i^T x + b_i) / width).

    Parameters
    ----------
    n_features : int
        Coordinates d of a point.
    n_functions : int
        Directions D, and integers of a key, in each table.
    n_tables : int
        Tables, each with directions of its own.
    width : float
        Width ε of the slabs where ‖a_i‖ = 1; b_i is uniform in [0, width).
    seed : int
        0 to 2^64 - 1.

    References
    ----------
    .. [1] M. Datar, N. Immorlica, P. Indyk, V. Mirrokni, "Locality-sensitive hashing scheme based
       on p-stable distributions", SoCG 2004, section 3.
    .. [2] Paper 002, section 2.2.

    Examples
    --------
    >>> from pympf.lsh import EuclideanHash
    >>> family = EuclideanHash(3, n_functions=5, n_tables=2, width=0.5, seed=5)
    >>> family.keys([[1.0, 2.0, 3.0]]).shape
    (1, 2, 5)
    """

    def __init__(
        self, n_features: int, n_functions: int, n_tables: int = 1, *, width: float, seed: int = 0
    ) -> None:
        self.n_features, self.n_functions, self.n_tables = n_features, n_functions, n_tables
        tiny = float(np.finfo(float).tiny)
        self.width, self.seed = checks.number(width, "width", tiny), seed
        self._make("euclidean", self.width, 0.0)

    def keys(self, X: Any) -> NDArray[np.int32]:
        """Return the exact keys: the integers floor((a_i^T x + b_i) / width).

        Not collective.

        Parameters
        ----------
        X : array_like or sparse array, shape (n, n_features)
            C-contiguous float32 and float64 arrays, and CSR arrays, are not copied.

        Returns
        -------
        numpy.ndarray, shape (n, n_tables, n_functions)

        Raises
        ------
        ValueError
            If `X` has another shape, it or a projection is not finite, or an integer does not fit
            in 32 bits.

        Examples
        --------
        >>> from pympf.lsh import EuclideanHash
        >>> EuclideanHash(3, n_functions=5, width=0.5).keys([[0.0, 0.0, 0.0]])
        array([[[0, 0, 0, 0, 0]]], dtype=int32)
        """
        return self._integers(self._keys(X))

    def probes(self, X: Any, count: int) -> NDArray[np.int32]:
        """Return the keys of the buckets to look into, best first.

        Not collective. First the point's own, then neighbours of it, by the sum of the squared
        distances to the sides of the slabs that are crossed; an integer changes by at most one.

        Parameters
        ----------
        X : array_like or sparse array, shape (n, n_features)
        count : int
            Buckets in each table, 1 to 3^n_functions.

        Returns
        -------
        numpy.ndarray, shape (n, n_tables, count, n_functions)

        References
        ----------
        .. [1] Q. Lv, W. Josephson, Z. Wang, M. Charikar, K. Li, "Multi-probe LSH: efficient
           indexing for high-dimensional similarity search", VLDB 2007, section 4.

        Examples
        --------
        >>> from pympf.lsh import EuclideanHash
        >>> family = EuclideanHash(2, n_functions=1, width=0.5, seed=1)
        >>> (family.probes([[0.0, 0.0]], count=3) - family.keys([[0.0, 0.0]])).ravel().tolist()
        [0, 1, -1]
        """
        count = checks.integer(count, "count", 1, self._most_probes())
        return self._integers(self._probes(X, count))

    def _integers(self, words: NDArray[np.uint64]) -> NDArray[np.int32]:
        return words.astype("<u8", copy=False).view("<i4")[..., : self.n_functions]

    def collision_probability(
        self, distance: ArrayLike, n_functions: int = 1
    ) -> NDArray[np.float64]:
        """Return the probability that m functions do not part two points.

        Not collective. With r = width / distance it is
        (1 - 2 Φ(-r) - 2 (1 - exp(-r² / 2)) / (√(2π) r))^m.

        Parameters
        ----------
        distance : array_like
            Distances ‖x - y‖ >= 0.
        n_functions : int
            m.

        References
        ----------
        .. [1] M. Datar, N. Immorlica, P. Indyk, V. Mirrokni, "Locality-sensitive hashing scheme
           based on p-stable distributions", SoCG 2004, section 3.2.

        Examples
        --------
        >>> from pympf.lsh import EuclideanHash
        >>> EuclideanHash(2, 3, width=2.0).collision_probability([0, 1, 2, 20]).round(3)
        array([1.   , 0.61 , 0.369, 0.04 ])
        """
        from scipy.special import ndtr

        distance = np.asarray(distance, dtype=np.float64)
        if not (distance >= 0).all():
            raise ValueError(f"expected distances >= 0, got {distance}")
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            r = self.width / distance
            # 1 - exp(-r²/2) by expm1: for small r it is about r²/2.
            tail = -2.0 * np.expm1(-r * r / 2) / (math.sqrt(2 * math.pi) * r)
        tail = np.where(r > 0, tail, 0.0)
        p = 1.0 - 2.0 * ndtr(-r) - tail
        return p ** checks.integer(n_functions, "n_functions", 1, 2**31 - 1)

    def _most_probes(self) -> int:
        return min(3 ** min(self.n_functions, 20), 2**31 - 1)

    def _parameters(self) -> dict[str, Any]:
        return {
            "n_features": self.n_features,
            "n_functions": self.n_functions,
            "n_tables": self.n_tables,
            "width": self.width,
            "seed": self.seed,
        }


def _rebuild_family(kind: type[HashFamily], parameters: dict[str, Any]) -> HashFamily:
    return kind(**parameters)


def settled(family: HashFamily, made: Any) -> HashFamily:
    """Return a family, or raise ValueError if this engine of it is no longer its own."""
    if made is not family._family:
        raise ValueError(f"the settings of the family have changed to {family!r}: call fit again")
    return family


def checked_family(family: Any) -> HashFamily:
    """Return a family of hash functions, or raise TypeError."""
    if not isinstance(family, HyperplaneHash | EuclideanHash):
        raise TypeError(f"expected a HyperplaneHash or EuclideanHash, got {type(family).__name__}")
    return family
