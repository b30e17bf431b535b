"""A hash table over the ranks of a communicator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pympf._engine import lsh as _engine
from pympf._progress import working
from pympf.la import Ranks, checks
from pympf.lsh._gates import as_rows, checked_ids, ragged, real_dtype
from pympf.lsh._settings import Settings
from pympf.lsh.families import HashFamily, checked_family

__all__ = ["DistributedTable"]


class DistributedTable(Settings):
    """A hash table of points that live on the ranks where they were added.

    Collective. Each bucket is owned by the rank that the hash of its key names. A query travels to
    the owners of its buckets, which know where the points in them live, and from there the
    distances come back. The answers are those of a `Table` that was given the points of all ranks,
    rank by rank, on any number of ranks. What is wrong on one rank raises on all.

    Parameters
    ----------
    family : HyperplaneHash or EuclideanHash
        The same on all ranks.
    comm : mpi4py.MPI.Comm, optional
        None: this process alone, which needs no MPI.
    dtype : numpy.float64 or numpy.float32
        What points are stored as.

    Examples
    --------
    >>> from pympf.lsh import DistributedTable, EuclideanHash
    >>> table = DistributedTable(EuclideanHash(2, n_functions=2, n_tables=4, width=2.0))
    >>> table.add([[0.0, 0.0], [0.1, 0.0]])  # these of this rank; with mpi4py pass a communicator
    array([0, 1])
    >>> table.query([[0.1, 0.1]], k=1)
    (array([[0.1]]), array([[1]]))
    """

    def __init__(
        self, family: HashFamily, comm: Any = None, *, dtype: DTypeLike = np.float64
    ) -> None:
        self._ranks = Ranks(comm).own()
        with self._ranks.guard():
            self.family, self.dtype = checked_family(family), real_dtype(dtype)
        single = self.dtype == np.float32
        kind = _engine.DistributedTable32 if single else _engine.DistributedTable64
        self._table = kind(self.family._family, self._ranks.handle)

    def _parameters(self) -> dict[str, Any]:
        return {"family": self.family, "comm": self._ranks.comm, "dtype": self.dtype}

    def __len__(self) -> int:
        return self._table.size

    @property
    def local_size(self) -> int:
        """Points that live on this rank."""
        return self._table.local_size

    def add(self, X: ArrayLike) -> NDArray[np.int64]:
        """Take in points of each rank, which stay there.

        Collective.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Of this rank; n may be 0.

        Returns
        -------
        numpy.ndarray, shape (n,)
            Their ids, which count on through the points of rank 0, of rank 1, and so on.

        Raises
        ------
        ValueError, TypeError
            On all ranks if the points of one have another shape or cannot be hashed.

        Examples
        --------
        See `DistributedTable`.
        """
        with self._ranks.guard():
            rows = as_rows(X, self.family.n_features, self.dtype)
        with working("DistributedTable.add"):
            first = self._table.add(rows)
        return np.arange(first, first + len(rows))

    def remove(self, ids: ArrayLike) -> None:
        """Drop points; all that the ranks name, or none and an error.

        Collective. The owners of the buckets keep their entries.

        Parameters
        ----------
        ids : array_like of int, shape (n,)
            Of points of any rank, each named by one rank.

        Raises
        ------
        ValueError
            On all ranks, if there is no point with one of the ids, or one is named twice.

        Examples
        --------
        >>> from pympf.lsh import DistributedTable, HyperplaneHash
        >>> table = DistributedTable(HyperplaneHash(1, n_functions=4))
        >>> ids = table.add([[1.0], [2.0]])
        >>> table.remove(ids[:1])
        >>> len(table)
        1
        """
        with self._ranks.guard():
            checked = checked_ids(ids)
        self._table.remove(checked)

    def query(
        self, X: ArrayLike, k: int = 1, *, probes: int = 1
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Find the nearest points of all ranks.

        Collective.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Queries of this rank; n may be 0.
        k : int
            Neighbours wanted; the same on all ranks.
        probes : int
            Buckets to look into in each table; the same on all ranks.

        Returns
        -------
        distances : numpy.ndarray, shape (n, k)
            Euclidean, in ascending order; inf where fewer than k points were found.
        ids : numpy.ndarray of int64, shape (n, k)
            Equal distances in the order of their ids; -1 where fewer were found.

        Raises
        ------
        ValueError, TypeError
            On all ranks if the queries of one have another shape or cannot be hashed, or `k` or
            `probes` differ.

        Examples
        --------
        See `DistributedTable`.
        """
        with self._ranks.guard():
            rows = as_rows(X, self.family.n_features, self.dtype)
            k = checks.integer(k, "k", 1, 2**31 - 1)
            probes = checks.integer(probes, "probes", 1, self.family._most_probes())
        return self._table.query(rows, k, probes)

    def radius_query(
        self, X: ArrayLike, r: float, *, probes: int = 1
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Find the points of all ranks within a distance, among those in the buckets looked into.

        Collective.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Queries of this rank; n may be 0.
        r : float
            Largest distance; the same on all ranks.
        probes : int
            As in `query`.

        Returns
        -------
        distances : numpy.ndarray of object, shape (n,)
            For each query the distances in ascending order.
        ids : numpy.ndarray of object, shape (n,)
            And the ids of these points.

        Examples
        --------
        >>> from pympf.lsh import DistributedTable, HyperplaneHash
        >>> table = DistributedTable(HyperplaneHash(1, n_functions=4))
        >>> ids = table.add([[1.0], [2.0], [7.0]])
        >>> table.radius_query([[1.25]], 1.0)[1][0]
        array([0, 1])
        """
        with self._ranks.guard():
            rows = as_rows(X, self.family.n_features, self.dtype)
            r = checks.number(r, "r", 0)
            probes = checks.integer(probes, "probes", 1, self.family._most_probes())
        start, distances, ids = self._table.radius_query(rows, r, probes)
        return ragged(distances, start), ragged(ids, start)

    def report(self) -> dict[str, Any]:
        """Return what the ranks hold.

        Collective.

        Returns
        -------
        dict
            ``buckets``: how many have been seen, of all tables; lists with a number for each rank:
            ``points`` that live there, ``entries`` in the buckets it owns, ``bytes``.

        Examples
        --------
        >>> from pympf.lsh import DistributedTable, HyperplaneHash
        >>> DistributedTable(HyperplaneHash(1, n_functions=4)).report()["points"]
        [0]
        """
        return self._table.statistics()

    def __repr__(self) -> str:
        return f"<DistributedTable of {len(self)} points, {self.dtype}, {self.family!r}>"
