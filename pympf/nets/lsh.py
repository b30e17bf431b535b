"""The LSH model: a polynomial in each bucket of s hash tables, g(x) = sum_i g_i,z(x).

    paper             here
    h_1, ..., h_m     a family of pympf.lsh with m functions and s tables
    bucket z of x     BucketIndex.transform
    ĝ_z of degree Δ   weights of the bucket's C(d + Δ, Δ) monomials
    t = s 2^m         width: the buckets that the training points fill, times the monomials

As section 3.2 of [1]_ says it is a DSM whose units are the buckets, with σ = 1 and the hash
functions as routing; so everything that fits a DSM fits it.

References
----------
.. [1] C. Baykal, N. Dikkala, R. Panigrahy, C. Rashtchian, X. Wang, "A theoretical view on sparsely
   activated networks", sections 2.2, 3.2 and A.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from pympf.la import checks
from pympf.lsh import BucketIndex, EuclideanHash, HyperplaneHash
from pympf.nets._checks import Array, as_points, as_values
from pympf.nets.cost import Cost
from pympf.nets.model import Model
from pympf.nets.rows import Rows
from pympf.nets.targets import monomials

__all__ = ["LSH"]

RIDGES = (1e-2, 1e-1, 1.0)
"""Dampings that a joint fit of several tables chooses from, relative to the points of a bucket."""

BUCKET_RIDGE = 1e-9
"""Damping of slopes within a bucket, relative to the mean squared monomial."""


class LSH(Model):
    """The model LSH(d, s, m, Δ).

    Parameters
    ----------
    family : HyperplaneHash or EuclideanHash
        m functions, s tables.
    degree : int
        Δ; 0 is a constant in each bucket.
    fallback : {"nearest", "none"}
        What a bucket that no training point fell into gives: what the bucket of the nearest
        training point gives, as in section A.1; or nothing, so that the intercept and the other
        tables decide.

    References
    ----------
    .. [1] Sections 2.2 and 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.lsh import EuclideanHash
    >>> from pympf.nets import LSH
    >>> X = np.linspace(-1, 1, 1000).reshape(-1, 1)
    >>> model = LSH(EuclideanHash(1, 3, width=0.05)).fit(X, X[:, 0] ** 2)
    >>> bool(abs(model.predict(X) - X[:, 0] ** 2).max() < 0.1)
    True
    """

    def __init__(
        self,
        family: HyperplaneHash | EuclideanHash,
        degree: int = 0,
        *,
        fallback: str = "nearest",
    ) -> None:
        self._index = BucketIndex(family)
        self.family = family
        self.n_features = family.n_features
        self.degree = checks.integer(degree, "degree", 0)
        self.fallback = checks.choice(fallback, "fallback", ("nearest", "none"))
        self._terms = monomials(np.zeros((1, self.n_features)), self.degree).shape[1]
        self.width, self.weights, self.intercept = 0, np.zeros(0), 0.0

    # ---- buckets ---------------------------------------------------------------------------------
    def _learn_buckets(self, X: Array) -> None:
        self._index.fit(X)
        self._seen = self._index.transform(X)
        self._tree = cKDTree(X) if self.fallback == "nearest" else None
        counts = self._index.n_buckets
        self._first = np.concatenate([[0], np.cumsum(counts)])[:-1]
        self.width = int(counts.sum()) * self._terms
        if self.width > np.iinfo(np.int32).max:
            raise ValueError(f"expected at most 2^31 - 1 weights, got {self.width}")

    def buckets(self, X: ArrayLike) -> Array:
        """Number the buckets that points fall into.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, d)
            Points.

        Returns
        -------
        ndarray of int64, shape (n, s)
            Buckets of all tables counted through; -1 where there is none and no fallback.

        Examples
        --------
        >>> from pympf.lsh import EuclideanHash
        >>> from pympf.nets import LSH
        >>> model = LSH(EuclideanHash(1, 1, width=0.5)).fit([[0.0], [5.0]], [1.0, 2.0])
        >>> model.buckets([[0.0], [5.0], [6.0]]).ravel().tolist()
        [0, 1, 1]
        """
        X = as_points(X, self.n_features)
        if self.width == 0:
            raise ValueError("expected a model that is fitted; call fit first")
        found = self._index.transform(X)
        unseen = found < 0
        lost = np.flatnonzero(unseen.any(axis=1))
        if self._tree is not None and len(lost):
            neighbor = self._tree.query(X[lost])[1]
            found[lost] = np.where(unseen[lost], self._seen[neighbor], found[lost])
        return np.where(found < 0, -1, found + self._first)

    def _numbers(self) -> int:
        return self.family.n_tables * max(self._terms, self.family.n_functions)

    def rows(self, X: ArrayLike) -> Rows:
        """Compute which units points activate, and how strongly.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, d)
            Points.

        Returns
        -------
        Rows
            The monomials, at the places of the s buckets.

        Examples
        --------
        >>> from pympf.lsh import EuclideanHash
        >>> from pympf.nets import LSH
        >>> model = LSH(EuclideanHash(1, 1, width=0.5), degree=1).fit([[0.0], [5.0]], [1.0, 2.0])
        >>> model.rows([[6.0]]).dense()
        array([[0., 0., 1., 6.]])
        """
        X = as_points(X, self.n_features)
        buckets = self.buckets(X)
        values = np.repeat(monomials(X, self.degree)[:, np.newaxis], buckets.shape[1], axis=1)
        values[buckets < 0] = 0
        units = self._terms * np.maximum(buckets, 0)[:, :, np.newaxis] + np.arange(self._terms)
        shape = (len(X), -1)
        return Rows(values.reshape(shape), units.astype(np.int32).reshape(shape), self.width)

    def predict(self, X: ArrayLike) -> Array:
        """Evaluate the model.

        Not collective. Constants are looked up; polynomials are evaluated as rows.

        Parameters
        ----------
        X : array_like, shape (n, d)
            Points.

        Returns
        -------
        ndarray of float64, shape (n,)
            g(x).

        Examples
        --------
        >>> from pympf.lsh import EuclideanHash
        >>> from pympf.nets import LSH
        >>> LSH(EuclideanHash(1, 1, width=0.5)).fit([[0.0], [5.0]], [1.0, 2.0]).predict([[5.0]])
        array([2.])
        """
        if self.degree > 0:
            return super().predict(X)
        X = as_points(X, self.n_features)
        weights = np.append(self.weights, 0)  # what no bucket, -1, gives
        outputs = [weights[self.buckets(X[block])].sum(axis=1) for block in self._blocks(X)]
        return np.concatenate(outputs) + self.intercept

    def cost(self) -> Cost:
        """Count what a forward pass costs.

        Not collective.

        Returns
        -------
        Cost
            Of one input; the routing is the s m projections.

        Examples
        --------
        >>> from pympf.lsh import HyperplaneHash
        >>> from pympf.nets import LSH
        >>> LSH(HyperplaneHash(8, n_functions=11)).cost().routing_flops
        176
        """
        tables = self.family.n_tables
        projections = tables * self.family.n_functions
        flops = 2 * tables * self._terms
        routing = 2 * self.n_features * projections
        return Cost(tables * self._terms, self.width, self.width + 1, flops, routing)

    # ---- fitting ---------------------------------------------------------------------------------
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        method: str = "lstsq",
        *,
        ridge: float | Sequence[float] | None = None,
        **options: Any,
    ) -> LSH:
        """Find the weights.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, d)
            Points.
        y : array_like, shape (n,)
            Target values.
        method : {"lstsq", "per_bucket", "rmsprop", "adam", "sgd"}
            Least squares for all tables jointly; a polynomial for each bucket on its own, and the
            mean over the tables; or an optimizer.
        ridge : float or sequence of float, optional
            Of "lstsq", as of `least_squares`. By default it is chosen among 0.01, 0.1 and 1;
            and a single table is fitted "per_bucket", which is its exact solution.
        **options
            As of `Model.fit`.

        Returns
        -------
        LSH
            This one.

        Examples
        --------
        >>> from pympf.lsh import EuclideanHash
        >>> from pympf.nets import LSH
        >>> model = LSH(EuclideanHash(1, 1, width=0.5))
        >>> model.fit([[0.0], [0.0], [5.0]], [1.0, 2.0, 4.0], "per_bucket").predict([[0.0], [5.0]])
        array([1.5, 4. ])
        """
        X = as_points(X, self.n_features)
        y = as_values(y, len(X))
        self._learn_buckets(X)
        if ridge is not None and method != "lstsq":
            raise TypeError(f"expected a ridge for lstsq only, got {ridge} for {method}")
        alone = method == "lstsq" and self.family.n_tables == 1 and ridge is None
        if method == "per_bucket" or alone:
            if unknown := options.keys() - {"seed"}:
                raise TypeError(f"expected no options for {method}, got {', '.join(unknown)}")
            self._fit_buckets(X, y)
            return self
        if method == "lstsq":
            options["ridge"] = RIDGES if ridge is None else ridge
        super().fit(X, y, method, **options)
        return self

    def _fit_buckets(self, X: Array, y: Array) -> None:
        tables = self.family.n_tables
        basis = monomials(X.astype(np.float64, copy=False), self.degree)
        self.intercept = float(y.mean(dtype=np.float64))
        rest = y - self.intercept
        parts = [_bucket_polynomials(basis, rest, self._seen[:, table]) for table in range(tables)]
        self.weights = np.concatenate(parts).reshape(-1) / tables

    def _first_weights(self, rng: np.random.Generator) -> Array:
        """Start from zero: a bucket has one active unit, and nothing is to be broken up."""
        return np.zeros(self.width)


def _bucket_polynomials(basis: Array, y: Array, bucket: Array) -> Array:
    """Fit a polynomial to the points of each bucket, shape (buckets, terms).

    Slopes are damped and the level is not. A bucket of fewer points than terms gets the smallest
    slopes, and one of a single point its value.
    """
    order = np.argsort(bucket, kind="stable")
    starts = np.flatnonzero(np.diff(bucket[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(y)))[:, np.newaxis]
    mean = np.add.reduceat(basis[order], starts) / sizes
    level = np.add.reduceat(y[order], starts) / sizes[:, 0]
    result = np.zeros_like(mean)
    if basis.shape[1] > 1:
        slopes = basis - mean[bucket]
        gram, products = _sums_of_products(slopes[order, 1:], (y - level[bucket])[order], starts)
        diagonal = np.einsum("bii->bi", gram)
        trace = diagonal.sum(axis=1, keepdims=True)
        diagonal += np.where(trace > 0, BUCKET_RIDGE * trace, 1)
        result[:, 1:] = np.linalg.solve(gram, products[:, :, np.newaxis])[:, :, 0]
    result[:, 0] = level - (result[:, 1:] * mean[:, 1:]).sum(axis=1)
    return result


def _sums_of_products(slopes: Array, y: Array, starts: Array) -> tuple[Array, Array]:
    """Give SᵀS and Sᵀy of each run of rows."""
    ends = np.append(starts, len(y))[1:]
    runs = [slice(a, b) for a, b in zip(starts, ends, strict=True)]
    gram = np.stack([slopes[run].T @ slopes[run] for run in runs])
    return gram, np.stack([slopes[run].T @ y[run] for run in runs])
