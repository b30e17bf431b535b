"""A hash table of points."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pympf._engine import lsh as _engine
from pympf._html import card
from pympf._progress import working
from pympf.la import checks
from pympf.lsh._gates import as_center, as_rows, checked_ids, ragged, real_dtype
from pympf.lsh._settings import Settings
from pympf.lsh._storage import load_table, save_table
from pympf.lsh.families import EuclideanHash, HashFamily, HyperplaneHash, checked_family, settled
from pympf.lsh.report import TableReport

if TYPE_CHECKING:
    from pympf.lsh.suggestion import Suggestion

__all__ = ["Table"]


class Table(Settings):
    """A hash table of points for searches near a point.

    A query looks into the buckets that its keys lead to and measures the exact distance to every
    point that it finds there. The answer depends on the points, the family and the query alone:
    not on threads, nor on how the points came in. Searches may run in several threads at a time;
    `fit`, `add` and `remove` may not.

    Parameters
    ----------
    family : HyperplaneHash or EuclideanHash
        Its tables are looked into one after the other: more `n_tables` find more, more
        `n_functions` make the buckets smaller.
    dtype : numpy.float64 or numpy.float32, optional
        What points are stored as; by default the dtype of the first ones.
    center : array_like, shape (n_features,), optional
        Subtracted from all points and queries before they are hashed, stored and measured.
        Hyperplanes through the origin part points that lie around it; for others, such as images,
        whose numbers are all positive, take their mean. Distances stay, up to rounding.

    References
    ----------
    .. [1] M. Datar, N. Immorlica, P. Indyk, V. Mirrokni, "Locality-sensitive hashing scheme based
       on p-stable distributions", SoCG 2004, section 1.
    .. [2] Q. Lv, W. Josephson, Z. Wang, M. Charikar, K. Li, "Multi-probe LSH: efficient indexing
       for high-dimensional similarity search", VLDB 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.lsh import EuclideanHash, Table
    >>> X = np.array([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0]])
    >>> table = Table(EuclideanHash(2, n_functions=2, n_tables=4, width=2.0)).fit(X)
    >>> table.query([[0.0, 0.1]], k=3)
    (array([[0.1       , 0.14142136,        inf]]), array([[ 0,  1, -1]]))
    """

    def __init__(
        self, family: HashFamily, *, dtype: Any = None, center: ArrayLike | None = None
    ) -> None:
        self.family, self.center = checked_family(family), center
        self._center = None if center is None else as_center(center, self.family.n_features)
        self._asked = None if dtype is None else real_dtype(dtype)
        self._dtype = self._asked
        self._table, self._made = self._empty(self._dtype), self.family._family

    def _parameters(self) -> dict[str, Any]:
        return {"family": self.family, "dtype": self._asked, "center": self.center}

    def _empty(self, dtype: np.dtype[Any] | None) -> Any:
        return (_engine.Table32 if dtype == np.float32 else _engine.Table64)(self.family._family)

    @classmethod
    def suggest(
        cls,
        X: ArrayLike,
        k: int = 10,
        recall: float = 0.95,
        *,
        kinds: Sequence[str] = ("codes", "planes", "slabs"),
        sample: int = 50_000,
        queries: int = 400,
        seed: int = 0,
    ) -> Suggestion:
        """Choose family, bits, tables and candidates by trials on a sample of the points.

        Not collective. Some points are taken out as queries, and their k nearest among the others
        are found exactly. Keys that are ranked (one table of 64 to 1024 bits) and buckets (several
        tables of hyperplanes or slabs) are tried with more and more candidates or probes, until
        half of the queries find `recall` of these neighbours, by a standard error more; the
        quickest wins, or the nearest to it where none does. The recall that is said is the one of
        the other half, which chose nothing.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            The points, or some that are like them; more than one.
        k : int
            Neighbours wanted. Of fewer points, as many as there are.
        recall : float
            The part of the k nearest to be found on average, in (0, 1].
        kinds : sequence of {'codes', 'planes', 'slabs'}
            What may be tried: keys that are ranked, buckets of hyperplanes, buckets of slabs.
        sample : int
            Points of `X` that take part, at most. From a part of them the candidates are scaled up
            to all of `X`.
        queries : int
            Points that are held out, at most; at most a third.
        seed : int
            Of the draw of sample and queries, and of the families.

        Returns
        -------
        Suggestion
            ``fit(X)`` makes the table, and ``table.query(Q, k, **suggestion.search)`` searches.
            ``recall`` and ``error`` are the recall that it measured and its standard error;
            ``print`` says all. The choice depends on measured times (of the processor), and may
            differ between two runs where two are about as quick.

        Raises
        ------
        ValueError
            If `X` has fewer than two rows, or a number that is not finite.
        TypeError
            If `X` is not a dense array of real numbers.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.lsh import Table
        >>> X = np.random.default_rng(0).random((2000, 16))
        >>> suggestion = Table.suggest(X, k=5, recall=0.9)
        >>> suggestion.recall >= 0.9 - 4 * suggestion.error
        True
        >>> table = suggestion.fit(X)
        >>> distances, ids = table.query(X[:3], 5, **suggestion.search)
        >>> ids[:, 0].tolist()
        [0, 1, 2]
        """
        from pympf.lsh.suggestion import suggest  # which makes tables

        return suggest(X, k, recall, kinds=kinds, sample=sample, queries=queries, seed=seed)

    # ---- what it holds ---------------------------------------------------------------------------
    def __len__(self) -> int:
        return self._table.size

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """float64 or float32; None before the first points have come."""
        return self._dtype

    def fit(self, X: ArrayLike, y: Any = None) -> Table:
        """Forget all points and take these, with the ids 0, 1, ….

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
        y : object
            Not looked at: pipelines of scikit-learn pass one.

        Returns
        -------
        Table
            Itself.

        Raises
        ------
        ValueError
            If `X` has another shape, or a point cannot be hashed.
        TypeError
            If `X` is not a dense array of real numbers.

        Examples
        --------
        >>> from pympf.lsh import HyperplaneHash, Table
        >>> len(Table(HyperplaneHash(2, n_functions=4)).fit([[1.0, 2.0], [3.0, 4.0]]))
        2
        """
        rows = self._rows(X, self._asked)
        fresh = self._empty(rows.dtype)
        with working(f"Table.fit of {len(rows)} points"):
            fresh.add(rows)
        self._table, self._dtype, self._made = fresh, rows.dtype, self.family._family
        return self

    def add(self, X: ArrayLike) -> NDArray[np.int64]:
        """Take in more points.

        Not collective. In whatever portions n points come, it takes time O(n).

        Parameters
        ----------
        X : array_like, shape (n, n_features)

        Returns
        -------
        numpy.ndarray, shape (n,)
            Their ids, which count on from the last one ever given.

        Examples
        --------
        >>> from pympf.lsh import HyperplaneHash, Table
        >>> table = Table(HyperplaneHash(2, n_functions=4)).fit([[1.0, 2.0]])
        >>> table.add([[3.0, 4.0], [5.0, 6.0]])
        array([1, 2])
        """
        if self._dtype is None:
            self.fit(X)
            return np.arange(len(self))
        settled(self.family, self._made)
        rows = self._rows(X, self._dtype)
        with working(f"Table.add of {len(rows)} points"):
            first = self._table.add(rows)
        return np.arange(first, first + len(rows))

    def remove(self, ids: ArrayLike) -> None:
        """Drop points; all of them, or none and an error.

        Not collective. Memory goes back when half of the points are gone.

        Parameters
        ----------
        ids : array_like of int, shape (n,)

        Raises
        ------
        ValueError
            If there is no point with one of the ids, or one comes twice.

        Examples
        --------
        >>> from pympf.lsh import HyperplaneHash, Table
        >>> table = Table(HyperplaneHash(1, n_functions=4)).fit([[1.0], [2.0], [3.0]])
        >>> table.remove([1])
        >>> table.query([[2.0]], k=3)[1]
        array([[ 0,  2, -1]])
        """
        self._table.remove(checked_ids(ids))

    # ---- searches --------------------------------------------------------------------------------
    def query(
        self, X: ArrayLike, k: int = 1, *, probes: int = 1, candidates: int | None = None
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Find the nearest points, for one point or many.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n_features,) or (n, n_features)
        k : int
            Neighbours wanted.
        probes : int
            Buckets to look into in each table, the best ones (see the family's `probes`).
        candidates : int, optional
            For hyperplanes with one table, instead of `probes`: rank all keys, and look at the
            points whose key differs from the query's in at most h bits; h is the smallest number
            for which these are at least so many. With keys of a hundred bits or more this
            finds neighbours where no bucket holds two of them, as in data without clusters.

        Returns
        -------
        distances : numpy.ndarray, shape (k,) or (n, k)
            Euclidean, in the dtype of the table, in ascending order; inf where fewer than k
            points were found.
        ids : numpy.ndarray of int64, of the same shape
            Equal distances in the order of their ids; -1 where fewer were found.

        Raises
        ------
        ValueError
            If `X` has another shape, a number is out of range, or the family has no codes to
            rank.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.lsh import HyperplaneHash, Table
        >>> X = np.random.default_rng(0).standard_normal((1000, 16))
        >>> table = Table(HyperplaneHash(16, n_functions=128)).fit(X)
        >>> distances, ids = table.query(X[7] + 0.01, k=1, candidates=10)
        >>> ids.tolist(), distances.round(2).tolist()
        ([7], [0.04])
        """
        X = np.asarray(X)
        if X.ndim == 1 and len(X) != self.family.n_features:
            d = self.family.n_features
            raise ValueError(f"X: expected shape ({d},) or (n, {d}), got {X.shape}")
        distances, ids = self.query_batch(
            X[np.newaxis] if X.ndim == 1 else X, k, probes=probes, candidates=candidates
        )
        return (distances[0], ids[0]) if X.ndim == 1 else (distances, ids)

    def query_batch(
        self, X: ArrayLike, k: int = 1, *, probes: int = 1, candidates: int | None = None
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Find the nearest points of many, which threads share out.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
        k, probes, candidates
            As in `query`.

        Returns
        -------
        distances, ids : numpy.ndarray, shape (n, k)
            As in `query`.

        Examples
        --------
        >>> from pympf.lsh import HyperplaneHash, Table
        >>> table = Table(HyperplaneHash(1, n_functions=4)).fit([[1.0], [2.0]])
        >>> table.query_batch([[1.5], [4.0]], k=1)
        (array([[0.5],
               [2. ]]), array([[0],
               [1]]))
        """
        k = checks.integer(k, "k", 1, 2**31 - 1)
        search = self._search(probes, candidates)
        return self._table.query(self._queries(X), k, search)

    def radius_query(
        self, X: ArrayLike, r: float, *, probes: int = 1, candidates: int | None = None
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Find the points within a distance, among those in the buckets looked into.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
        r : float
            Largest distance.
        probes, candidates
            As in `query`.

        Returns
        -------
        distances : numpy.ndarray of object, shape (n,)
            For each query the distances in ascending order.
        ids : numpy.ndarray of object, shape (n,)
            And the ids of these points.

        Examples
        --------
        >>> from pympf.lsh import HyperplaneHash, Table
        >>> table = Table(HyperplaneHash(1, n_functions=4)).fit([[1.0], [2.0], [7.0]])
        >>> distances, ids = table.radius_query([[1.25]], 1.0)
        >>> distances[0], ids[0]
        (array([0.25, 0.75]), array([0, 1]))
        """
        r = checks.number(r, "r", 0)
        search = self._search(probes, candidates)
        start, distances, ids = self._table.radius_query(self._queries(X), r, search)
        return ragged(distances, start), ragged(ids, start)

    def _search(self, probes: int, candidates: int | None) -> Any:
        probes = checks.integer(probes, "probes", 1, self.family._most_probes())
        if candidates is not None:
            candidates = checks.integer(candidates, "candidates", 1, 2**31 - 1)
        return _engine.Search(probes, candidates or 0)

    def _queries(self, X: ArrayLike) -> NDArray[Any]:
        settled(self.family, self._made)
        return self._rows(X, np.dtype(np.float64) if self._dtype is None else self._dtype)

    def _rows(self, X: ArrayLike, dtype: np.dtype[Any] | None) -> NDArray[Any]:
        rows = as_rows(X, self.family.n_features, dtype)
        with np.errstate(over="ignore"):  # infinite numbers are refused where they are hashed
            return rows if self._center is None else rows - self._center.astype(rows.dtype)

    # ---- reports and files -----------------------------------------------------------------------
    def report(self) -> TableReport:
        """Return what the table holds: buckets, their sizes, bytes.

        Not collective.

        Examples
        --------
        >>> from pympf.lsh import HyperplaneHash, Table
        >>> report = Table(HyperplaneHash(1, n_functions=4)).fit([[1.0], [2.0], [-7.0]]).report()
        >>> [(line["buckets"], line["largest"]) for line in report.tables]
        [(2, 2)]
        """
        lines = [{"table": t, **self._table.statistics(t)} for t in range(self.family.n_tables)]
        return TableReport(
            points=self._table.size,
            dtype="" if self._dtype is None else self._dtype.name,
            point_bytes=self._table.point_bytes,
            bucket_bytes=self._table.bucket_bytes,
            tables=lines,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table to an HDF5 file (docs/lsh.md), whole or not at all.

        Not collective. The file holds the points and the parameters of the family.

        Parameters
        ----------
        path : str or os.PathLike

        Raises
        ------
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import os, tempfile
        >>> from pympf.lsh import HyperplaneHash, Table
        >>> path = os.path.join(tempfile.mkdtemp(), "table.h5")
        >>> Table(HyperplaneHash(1, n_functions=4)).fit([[1.0], [2.0]]).save(path)
        >>> Table.load(path).query([[2.5]], k=1)
        (array([[0.5]]), array([[1]]))
        """
        save_table(self.__getstate__(), path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Table:
        """Read a table from an HDF5 file.

        Not collective. The points are hashed again: their keys are the same on every machine.

        Parameters
        ----------
        path : str or os.PathLike

        Returns
        -------
        Table
            One that answers like the one that was saved.

        Raises
        ------
        OSError
            If the file is missing, truncated, damaged, or no table.

        Examples
        --------
        See `save`.
        """
        return load_table(path, cls._restored)

    @classmethod
    def _restored(cls, state: dict[str, Any]) -> Table:
        table = cls.__new__(cls)
        table.__setstate__(state)
        return table

    def __getstate__(self) -> dict[str, Any]:
        settled(self.family, self._made)
        points, ids = self._table.points()
        return {
            "kind": type(self.family).__name__,
            "family": self.family._parameters(),
            "dtype": "" if self._dtype is None else self._dtype.name,
            "center": self._center,
            "next_id": self._table.next_id,
            "points": points,
            "ids": ids,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        kinds = {kind.__name__: kind for kind in (HyperplaneHash, EuclideanHash)}
        if state["kind"] not in kinds:
            raise ValueError(f"family {state['kind']!r} is not one of {', '.join(kinds)}")
        family = kinds[state["kind"]](**state["family"])
        self.__init__(  # type: ignore[misc]
            family, dtype=state["dtype"] or None, center=state.get("center")
        )
        points = as_rows(state["points"], family.n_features, self._dtype)
        if state["ids"].shape != (len(points),):
            raise ValueError(f"{len(points)} points have ids of shape {state['ids'].shape}")
        self._table.restore(points, state["ids"], state["next_id"])

    def __repr__(self) -> str:
        return f"<Table of {len(self)} points, {self._dtype}, {self.family!r}>"

    def _repr_html_(self) -> str:
        facts = {"points": len(self), "dtype": self._dtype, "family": repr(self.family)}
        return card("Table of points by their hashes", facts, self.report()._repr_html_())
