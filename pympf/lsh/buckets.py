"""Numbers for buckets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pympf._engine import lsh as _engine
from pympf._progress import working
from pympf.lsh._gates import as_points
from pympf.lsh._settings import Settings
from pympf.lsh.families import HashFamily, checked_family, settled

__all__ = ["BucketIndex"]


class BucketIndex(Settings):
    """Numbers for the buckets of a family that points fall into: 0, 1, … in each table.

    Exact keys are compared, so that two buckets never share a number.

    Parameters
    ----------
    family : HyperplaneHash or EuclideanHash

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.lsh import BucketIndex, HyperplaneHash
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
    >>> index = BucketIndex(HyperplaneHash(2, n_functions=8, n_tables=2)).fit(X)
    >>> index.transform(X).tolist()
    [[0, 0], [1, 1], [0, 0]]
    >>> index.transform(-X).tolist()
    [[-1, -1], [-1, -1], [-1, -1]]
    """

    def __init__(self, family: HashFamily) -> None:
        self.family = checked_family(family)
        self._buckets, self._made = self._empty(), self.family._family

    def _empty(self) -> Any:
        return _engine.BucketIndex(self.family._family)

    def _parameters(self) -> dict[str, Any]:
        return {"family": self.family}

    @property
    def n_buckets(self) -> NDArray[np.int64]:
        """The number of buckets that have been seen, shape (n_tables,)."""
        return np.array([self._buckets.size(t) for t in range(self.family.n_tables)])

    def fit(self, X: Any, y: Any = None) -> BucketIndex:
        """Number the buckets of these points, in their order, and forget all others.

        Not collective.

        Parameters
        ----------
        X : array_like or sparse array, shape (n, n_features)
        y : object
            Not looked at: pipelines of scikit-learn pass one.

        Returns
        -------
        BucketIndex
            Itself.

        Examples
        --------
        See `BucketIndex`.
        """
        fresh = self._empty()
        with working("BucketIndex.fit"):
            fresh.add(*as_points(X, self.family.n_features))
        self._buckets, self._made = fresh, self.family._family
        return self

    def partial_fit(self, X: Any, y: Any = None) -> BucketIndex:
        """Give the buckets of these points that are new the next numbers.

        Not collective.

        Parameters
        ----------
        X : array_like or sparse array, shape (n, n_features)
        y : object
            Not looked at.

        Returns
        -------
        BucketIndex
            Itself.

        Examples
        --------
        >>> from pympf.lsh import BucketIndex, HyperplaneHash
        >>> index = BucketIndex(HyperplaneHash(1, n_functions=4)).fit([[1.0]])
        >>> index.partial_fit([[-2.0]]).transform([[-1.0], [1.0]]).ravel().tolist()
        [1, 0]
        """
        self._buckets.add(*self._points(X))
        return self

    def transform(self, X: Any) -> NDArray[np.int64]:
        """Return the numbers of the buckets of points; -1 where none has been seen.

        Not collective.

        Parameters
        ----------
        X : array_like or sparse array, shape (n, n_features)

        Returns
        -------
        numpy.ndarray, shape (n, n_tables)

        Examples
        --------
        See `BucketIndex`.
        """
        return self._buckets.find(*self._points(X))

    def _points(self, X: Any) -> tuple[Any, ...]:
        return as_points(X, settled(self.family, self._made).n_features)

    def fit_transform(self, X: Any, y: Any = None) -> NDArray[np.int64]:
        """Do `fit`, then `transform`, with the same points.

        Not collective.

        Parameters
        ----------
        X : array_like or sparse array, shape (n, n_features)
        y : object
            Not looked at.

        Returns
        -------
        numpy.ndarray, shape (n, n_tables)

        Examples
        --------
        >>> from pympf.lsh import BucketIndex, HyperplaneHash
        >>> BucketIndex(HyperplaneHash(1, n_functions=4)).fit_transform([[1.0], [-2.0]]).tolist()
        [[0], [1]]
        """
        return self.fit(X, y).transform(X)

    def __getstate__(self) -> dict[str, Any]:
        settled(self.family, self._made)
        keys = [self._buckets.keys(table) for table in range(self.family.n_tables)]
        return {"family": self.family, "keys": keys}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["family"])  # type: ignore[misc]
        for table, keys in enumerate(state["keys"]):
            self._buckets.insert(table, keys)

    def __repr__(self) -> str:
        return f"<BucketIndex of {self.family!r}, {self.n_buckets.tolist()} buckets>"
