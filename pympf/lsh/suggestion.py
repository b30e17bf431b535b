"""`Table.suggest`: family, bits, tables and candidates, by trials on a sample of the points.

| kind | what is tried |
|---|---|
| `codes` | one table of 64 to 1024 hyperplanes around the mean, keys ranked; k, 2 k, … candidates |
| `planes` | 4 or 16 tables of log₂ n − 3 or log₂ n such hyperplanes; 1, 4, … 1024 probes |
| `slabs` | 4 or 16 tables of 8 or 16 slabs, 2 or 4 k-th distances wide; such probes |

Cost: the exact neighbours of the queries (n d for each), a hashing of the sample for each setting,
and the trials. A setting is left when it takes twice the time of one that reaches the recall.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pympf.la import as_array, checks
from pympf.lsh.families import EuclideanHash, HashFamily, HyperplaneHash
from pympf.lsh.table import Table

__all__ = ["Suggestion", "suggest"]

KINDS = ("codes", "planes", "slabs")
BITS = (256, 128, 512, 64, 1024)  # in the order in which they are tried
TABLES = (4, 16)
FUNCTIONS, WIDTHS = (8, 16), (2.0, 4.0)  # of slabs
MOST_PROBES = 1024
GROWTH = {"candidates": 2, "probes": 4}
REFINEMENTS = 2  # halvings of the last step, on a logarithmic scale
PATIENCE = 2.0  # times the quickest time so far
LEAST_QUERIES = 20  # fewer than that say nothing: everything is measured then


@dataclass(frozen=True)
class Suggestion:
    """What `Table.suggest` chose, and how well it did: see there.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.lsh import Table
    >>> suggestion = Table.suggest(np.random.default_rng(0).random((500, 8)), k=3, recall=0.9)
    >>> suggestion.family.n_features, suggestion.k, suggestion.n_queries > 50
    (8, 3, True)
    """

    family: HashFamily
    center: NDArray[np.float64] | None = field(repr=False)
    search: dict[str, int]
    k: int
    asked: float
    recall: float
    error: float
    query_s: float
    n_queries: int
    n_sample: int
    n_points: int

    def fit(self, X: ArrayLike) -> Table:
        """Make the table of these points.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, n_features)

        Returns
        -------
        Table

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.lsh import Table
        >>> X = np.random.default_rng(0).random((500, 8))
        >>> len(Table.suggest(X, k=3, recall=0.9).fit(X))
        500
        """
        return Table(self.family, center=self.center).fit(X)

    def __str__(self) -> str:
        how = ", ".join(f"{name}={value}" for name, value in self.search.items())
        center = "" if self.center is None else ", center=X.mean(axis=0)"
        part = "" if self.n_sample == self.n_points else f" of {self.n_points}"
        return (
            f"recall {self.recall:.3f} ± {self.error:.3f} of the {self.k} nearest (asked for: "
            f"{self.asked:g}), {1e3 * self.query_s:.3g} ms a query, measured with "
            f"{self.n_queries} queries on {self.n_sample}{part} points\n"
            f"    table = Table({self.family!r}{center}).fit(X)\n"
            f"    distances, ids = table.query(Q, {self.k}, {how})"
        )


@dataclass(frozen=True)
class _Problem:
    """Points, queries, and the distance of the true k-th neighbour of each query."""

    points: NDArray[Any]
    queries: NDArray[Any]
    farthest: NDArray[Any]
    k: int

    @classmethod
    def of(cls, points: NDArray[Any], queries: NDArray[Any], k: int) -> _Problem:
        table = Table(HyperplaneHash(points.shape[1], 1)).fit(points)
        exact = table.query(queries, k, candidates=len(points))[0]
        return cls(points, queries, exact[:, -1], k)

    def halves(self) -> tuple[_Problem, _Problem]:
        """Part the queries: the first half chooses, the second one measures."""
        half = len(self.queries) // 2
        parts = (slice(0, half), slice(half, None))
        first, second = (
            _Problem(self.points, self.queries[part], self.farthest[part], self.k) for part in parts
        )
        return first, second

    def measured(
        self,
        table: Table,
        search: dict[str, int],
        clock: Callable[[], float] = time.perf_counter,
    ) -> tuple[float, float, float]:
        """Return recall, its standard error, and the seconds of a query.

        A neighbour is found when it is as near as the true k-th one: of equal points any will do.
        """
        start = clock()
        distances = table.query(self.queries, self.k, **search)[0]
        seconds = (clock() - start) / len(self.queries)
        # Centred points are rounded otherwise than those whose distances are exact.
        slack = 16 * np.finfo(distances.dtype).eps * np.abs(self.points).max(initial=0)
        slack *= np.sqrt(self.points.shape[1])
        each = (distances <= self.farthest[:, np.newaxis] * (1 + 1e-6) + slack).mean(axis=1)
        error = float(each.std() / np.sqrt(len(each)))
        return float(each.mean()), error, seconds


def suggest(
    X: ArrayLike,
    k: int,
    recall: float,
    *,
    kinds: Sequence[str],
    sample: int,
    queries: int,
    seed: int,
) -> Suggestion:
    """Do what `Table.suggest` says."""
    points = _checked(X)
    k = checks.integer(k, "k", 1, 2**31 - 1)
    recall = checks.number(recall, "recall", above=0, most=1)
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        checks.choice(kind, "kinds", KINDS)
    if isinstance(kinds, str) or not kinds:
        raise ValueError(f"kinds: expected some of {', '.join(KINDS)} in a list, got {kinds!r}")
    sample = checks.integer(sample, "sample", 2)
    queries, seed = checks.integer(queries, "queries", 2), checks.seed(seed)
    order = np.random.default_rng(seed).permutation(len(points))
    held = max(1, min(queries, len(points) // 3))
    base, out = points[np.sort(order[held:][:sample])], points[np.sort(order[:held])]
    problem = _Problem.of(base, out, min(k, len(base)))
    center = base.mean(axis=0, dtype=np.float64)
    if held < LEAST_QUERIES:
        table = Table(HyperplaneHash(points.shape[1], BITS[0], seed=seed), center=center).fit(base)
        search, last = {"candidates": len(base)}, problem
    else:
        first, last = problem.halves()
        best = _best(first, center, recall, seed, kinds)
        table, search = best.table, best.search
    found, error, seconds = last.measured(table, search)
    if "candidates" in search:  # scaled up: nearer points have more alike keys than the sample's
        share = search["candidates"] / len(base)
        search = {"candidates": int(np.ceil(share * len(points)))}
    return Suggestion(
        family=table.family,
        center=table._center,
        search=search,
        k=k,
        asked=recall,
        recall=found,
        error=error,
        query_s=seconds,
        n_queries=len(last.queries),
        n_sample=len(base),
        n_points=len(points),
    )


def _checked(X: ArrayLike) -> NDArray[Any]:
    points = as_array(X, ("n >= 1", "d >= 1"), "X")
    if len(points) < 2:
        raise ValueError(f"X: expected at least 2 points, got {len(points)}")
    return points


@dataclass(frozen=True)
class _Found:
    """A setting that was tried on the choosing queries."""

    table: Table
    search: dict[str, int]
    recall: float
    reached: bool
    seconds: float

    @property
    def rank(self) -> tuple[bool, float]:
        """What the best one has the most of: speed, among those that reach the recall."""
        return self.reached, -self.seconds if self.reached else self.recall


def _best(
    problem: _Problem, center: NDArray[np.float64], asked: float, seed: int, kinds: Sequence[str]
) -> _Found:
    """Try all settings; return the quickest that reaches the recall, or else the nearest to it."""
    best: _Found | None = None
    for kind in kinds:
        for table, name, most in _settings(kind, problem, center, seed):
            patience_s = PATIENCE * best.seconds if best and best.reached else np.inf
            found = _least(problem, table, name, most, asked, patience_s)
            if best is None or found.rank > best.rank:
                best = found
    assert best is not None
    return best


def _settings(
    kind: str, problem: _Problem, center: NDArray[np.float64], seed: int
) -> Iterator[tuple[Table, str, int]]:
    """Give the tables of a kind, with what makes them find more, and how far that goes."""
    points = problem.points
    n, d = points.shape
    if kind == "codes":
        for bits in BITS:
            family = HyperplaneHash(d, bits, seed=seed)
            yield Table(family, center=center).fit(points), "candidates", n
        return
    bits = max(1, round(np.log2(n)))
    # Equal points have no distance to take for a width: any will do.
    scale = float(np.median(problem.farthest)) or 1.0
    families: list[HashFamily] = []
    for tables in TABLES:
        if kind == "planes":
            several = sorted({max(1, bits - 3), bits})
            families += [HyperplaneHash(d, m, tables, seed=seed) for m in several]
        else:
            families += [
                EuclideanHash(d, m, tables, width=width * scale, seed=seed)
                for width in WIDTHS
                for m in FUNCTIONS
            ]
    for made in families:
        most = min(MOST_PROBES, made._most_probes())
        yield Table(made, center=center).fit(points), "probes", most


def _least(
    problem: _Problem, table: Table, name: str, most: int, asked: float, patience_s: float
) -> _Found:
    """Return the least number that reaches the recall; the last one tried where none does."""
    low, high = 0, min(problem.k if name == "candidates" else 1, most)
    while True:
        found = _tried(problem, table, {name: high}, asked)
        if found.reached:
            break
        if high == most or found.seconds > patience_s:
            return found
        low, high = high, min(high * GROWTH[name], most)
    for _ in range(REFINEMENTS if low else 0):
        between = round(float(np.sqrt(low * high)))
        if not low < between < high:
            break
        nearer = _tried(problem, table, {name: between}, asked)
        if nearer.reached:
            high, found = between, nearer
        else:
            low = between
    return found


def _tried(problem: _Problem, table: Table, search: dict[str, int], asked: float) -> _Found:
    """Try it on the choosing queries. A recall of 1 on them promises none: a full search does."""
    recall, error, seconds = problem.measured(table, search, time.process_time)
    everything = search.get("candidates") == len(problem.points)
    reached = everything or (asked < 1 and recall - error >= asked)
    return _Found(table, search, recall, reached, seconds)
