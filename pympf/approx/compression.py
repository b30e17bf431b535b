"""The best approximation of a number of bytes: entries, low rank, rotations, both, wavelets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf._engine import approx as _engine
from pympf._progress import working
from pympf._report import Column, table
from pympf.approx._shared import exponent, frobenius
from pympf.approx._storage import save_tree
from pympf.approx.factorization import DirectFactorization, relative_error
from pympf.approx.factorize import report_of
from pympf.approx.lowrank import LowRank, _singular, decay_of
from pympf.approx.wavelet import WaveletEntries, Wavelets, has_filters, levels_of
from pympf.la import Operator, checks
from pympf.matching import checked, rows_of

__all__ = ["Compressed", "Trial", "compress", "compression_curve"]

Array = NDArray[np.float64]
ENTRY = 12
"""Bytes of an entry of a sparse matrix: the value and its column."""
RANKS = (4, 10, 16, 24, 40)
"""Of what is taken off before rotations."""
STEPS = (1 / 64, 1 / 32, 3 / 64, 1 / 16, 3 / 32, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1, 2, 4, 8)
"""Rotations, for each row. Graphs want few, and small steps at first: each lowers the threshold."""
ORDERS = (1, 2, 4)
"""Of the wavelets that are tried."""
MOST_DENSE = 2**22
"""Entries of a matrix that low rank and wavelets are tried on, as a dense one."""
MOST_STORED = 4 * 10**7
"""Entries that a run may fill the matrix to."""


@dataclass(frozen=True)
class Trial:
    """What an approximation of at most `limit` bytes reaches.

    Attributes
    ----------
    kind : str
        ``'threshold'``, ``'low rank'``, ``'direct'``, ``'low rank + direct'`` or ``'wavelets'``.
    rank, rotations, entries : int
        k, r and N.
    error : float
        ‖A − F‖ / ‖A‖ in the Frobenius norm.
    nbytes, limit : int
    """

    kind: str
    rank: int
    rotations: int
    entries: int
    error: float
    nbytes: int
    limit: int


class Compressed(Operator):
    """A ≈ L Rᵀ + P H Qᵀ: some of it, or V C Wᵀ; made by `compress` or `load`.

    Attributes
    ----------
    trial : Trial
        What it is.
    trials : list of Trial
        What was tried, the best of each kind.
    low_rank : LowRank or None
    rest : DirectFactorization, WaveletEntries, scipy.sparse.csr_array or None
        The largest entries of Pᵀ (A − L Rᵀ) Q, those in wavelets, or those of A itself.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> A = np.exp(-abs(np.subtract.outer(np.arange(64.0), np.arange(64.0))))
    >>> F = pympf.compress(A, 8000)
    >>> F.nbytes <= 8000, F.error(A) < 0.02
    (True, True)
    """

    kind = "compressed"

    def __init__(
        self,
        shape: tuple[int, int],
        low_rank: LowRank | None,
        rest: DirectFactorization | WaveletEntries | sp.csr_array | None,
        trial: Trial,
        trials: list[Trial],
    ) -> None:
        self.low_rank, self.rest, self.trial, self.trials = low_rank, rest, trial, trials
        super().__init__(np.float64, shape)

    def _apply(self, X: Array) -> Array:
        Y = np.zeros((self.shape[0], X.shape[1]))
        for part in (self.low_rank, self.rest):
            if part is not None:
                Y += part @ X
        return Y

    def _apply_transpose(self, Y: Array) -> Array:
        X = np.zeros((self.shape[1], Y.shape[1]))
        for part in (self.low_rank, self.rest):
            if part is not None:
                X += part.T @ Y
        return X

    @property
    def nbytes(self) -> int:
        """Bytes that its parts hold."""
        return self.trial.nbytes

    def report(self) -> str:
        """Return what was tried, as a table.

        Not collective.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> print(pympf.compress(np.eye(3), 50).report())
              error     nbytes       rank  rotations    entries  kind
          5.774e-01         40          0          0          2  threshold
          8.165e-01         48          1          0          0  low rank
        """
        return table_of_trials(self.trials)

    def error(self, A: Any) -> float:
        """Return ‖A − F‖ / ‖A‖ in the Frobenius norm, column by column.

        Not collective.

        Parameters
        ----------
        A : sparse array or matrix, or 2-D array_like, shape (m, n)

        Examples
        --------
        >>> import numpy as np, pympf
        >>> pympf.compress(np.eye(3), 100).error(np.eye(3))
        0.0
        """
        csr = checked(A)
        if csr.shape != self.shape:
            raise ValueError(f"expected a matrix of shape {self.shape}, got {csr.shape}")
        return relative_error(self._apply, csr)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to an HDF5 file, whole or not at all (docs/approx.md).

        Not collective.

        Parameters
        ----------
        path : path-like

        Raises
        ------
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import pathlib, tempfile, numpy as np, pympf
        >>> from pympf import approx
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "F.h5"
        >>> pympf.compress(np.eye(3), 100).save(path)
        >>> approx.load(path).trial.kind
        'threshold'
        """
        save_tree(path, self.kind, self._tree())

    def _tree(self) -> dict[str, Any]:
        tree: dict[str, Any] = {"rows": self.shape[0], "columns": self.shape[1]}
        tree |= {"trial": asdict(self.trial)}
        tree |= {"trials": {str(k): asdict(trial) for k, trial in enumerate(self.trials)}}
        if self.low_rank is not None:
            tree |= {"left": self.low_rank.left, "right": self.low_rank.right}
        if isinstance(self.rest, DirectFactorization):
            tree["direct"] = self.rest._tree()
        elif isinstance(self.rest, WaveletEntries):
            tree["wavelets"] = self.rest._tree()
        elif self.rest is not None:
            parts = ("indptr", "indices", "data")
            tree["threshold"] = {name: getattr(self.rest, name) for name in parts}
        return tree

    @classmethod
    def _from_tree(cls, tree: dict[str, Any]) -> Compressed:
        shape = (tree["rows"], tree["columns"])
        low_rank = LowRank(tree["left"], tree["right"]) if "left" in tree else None
        rest: Any = None
        if "direct" in tree:
            rest = DirectFactorization._from_tree(tree["direct"])
        elif "wavelets" in tree:
            rest = WaveletEntries._from_tree(tree["wavelets"])
        elif "threshold" in tree:
            parts = tree["threshold"]
            rest = checked(
                sp.csr_array((parts["data"], parts["indices"], parts["indptr"]), shape=shape)
            )
        for part in (low_rank, rest):
            if part is not None and part.shape != shape:
                raise ValueError(f"a part of shape {part.shape}, expected {shape}")
        trials = [Trial(**tree["trials"][str(k)]) for k in range(len(tree["trials"]))]
        return cls(shape, low_rank, rest, Trial(**tree["trial"]), trials)

    def __reduce__(self) -> Any:
        return type(self)._from_tree, (self._tree(),)


def compress(A: Any, nbytes: int) -> Compressed:
    """Return the best approximation of at most so many bytes.

    Not collective. Tried are the largest entries (k = r = 0), the largest singular values, the
    largest entries after r rotations, these after rank k has been taken off, and the largest
    coefficients in wavelets of order 1, 2 and 4 of rows and columns: of each k the rotations are
    nested. So it is never above the best of its parts. Low rank and wavelets are left out where the
    matrix has more than 2²² entries as a dense one, wavelets also where both sides are odd or
    PyWavelets is not installed.

    Parameters
    ----------
    A : sparse array or matrix, or 2-D array_like, shape (m, n)
    nbytes : int
        12 for an entry, 24 for a rotation with its two angles, 8 for a number of a dense factor, 4
        for an index.

    Returns
    -------
    Compressed

    Raises
    ------
    ValueError
        If `nbytes` is too small for one entry, or `A` empty or not finite.
    TypeError
        If `A` is not a matrix of real numbers.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> pympf.compress(np.outer(np.arange(1.0, 33), np.arange(1.0, 33)), 1000).trial.kind
    'low rank'
    """
    csr = checked(A)
    limit = _limit(csr, nbytes)
    best: dict[str, Trial] = {}
    made: dict[str, Any] = {}
    with working("compress") as work:
        for number, (trial, make) in enumerate(_trials(csr, [limit]), 1):
            work.step(number, f"trial {number}, {trial.kind}")
            if trial.kind not in best or trial.error < best[trial.kind].error:
                best[trial.kind] = trial
                if all(trial.error < made[kind][0].error for kind in made):
                    made = {trial.kind: (trial, *make(trial))}
            if trial.error == 0:  # as where nbytes is enough for A as it is
                break
    (trial, low_rank, rest), *_ = made.values()
    trials = sorted(best.values(), key=lambda t: (t.error, t.nbytes))
    return Compressed(csr.shape, low_rank, rest, trial, trials)


def compression_curve(A: Any, sizes: Sequence[int]) -> list[Trial]:
    """Tell what each kind of approximation reaches for several numbers of bytes.

    Not collective. One run of rotations serves all sizes.

    Parameters
    ----------
    A : sparse array or matrix, or 2-D array_like, shape (m, n)
    sizes : sequence of int
        Numbers of bytes.

    Returns
    -------
    list of Trial
        The best of each kind for each size, where there is one that fits.

    Raises
    ------
    ValueError, TypeError
        As `compress`.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> trials = pympf.approx.compression_curve(np.eye(4), [60, 80])
    >>> [(t.limit, t.entries) for t in trials if t.kind == "threshold"]
    [(60, 3), (80, 4)]
    """
    csr = checked(A)
    best: dict[tuple[int, str], Trial] = {}
    for trial, _ in _trials(csr, sorted({_limit(csr, size) for size in sizes})):
        key = (trial.limit, trial.kind)
        if key not in best or trial.error < best[key].error:
            best[key] = trial
    return [best[key] for key in sorted(best)]


TRIAL_COLUMNS = (
    Column("error", float, "‖A − F‖ / ‖A‖ in the Frobenius norm.", form="{:.3e}"),
    Column("nbytes", int, "What it takes.", "bytes", "{:d}"),
    Column("rank", int, "Rank of the low-rank part.", form="{:d}"),
    Column("rotations", int, "Rotations of rows and columns.", form="{:d}"),
    Column("entries", int, "Entries kept besides.", form="{:d}"),
)


def table_of_trials(trials: list[Trial]) -> str:
    """Lay trials out in lines."""
    lines = table(TRIAL_COLUMNS, [asdict(trial) for trial in trials])
    return "\n".join(
        f"{line}  {kind}"
        for line, kind in zip(lines, ["kind", *(t.kind for t in trials)], strict=True)
    )


def least_bytes(A: sp.csr_array) -> int:
    """Return what one entry takes, by rows."""
    return 4 * (A.shape[0] + 1) + ENTRY


def _limit(A: sp.csr_array, nbytes: Any) -> int:
    least = least_bytes(A)
    number = checks.integer(nbytes, "nbytes", 0, 2**62)
    if number < least:
        raise ValueError(
            f"nbytes = {number} is too small for one entry of a matrix of {A.shape[0]} rows: "
            f"expected at least {least}"
        )
    return number


def _trials(A: sp.csr_array, limits: list[int]) -> Iterator[tuple[Trial, Any]]:
    """Try everything; a trial comes with a function that makes its parts, until the next trial."""
    norm = frobenius(A.data)
    yield from _after_rotations(A, limits, norm, None)
    if norm == 0 or A.shape[0] * A.shape[1] > MOST_DENSE:
        return
    yield from _in_wavelets(A, limits, norm)
    U, s, Vt = _singular(A, min(A.shape))
    decay = decay_of(s, norm)
    per_rank = 8 * sum(A.shape)
    ranks = [min(limit // per_rank, len(s)) for limit in limits]
    for limit, k in zip(limits, ranks, strict=True):
        if k > 0:
            trial = Trial("low rank", k, 0, 0, float(decay[k]), k * per_rank, limit)
            yield trial, lambda t: (_factors(U, s, Vt, t.rank), None)
    for k in RANKS:
        smaller = [limit for limit in limits if k <= limit // per_rank]
        if k >= len(s) or not smaller:
            break
        low_rank = _factors(U, s, Vt, k)
        rest = checked(A.toarray() - low_rank.left @ low_rank.right.T)
        yield from _after_rotations(rest, smaller, norm, low_rank)


def _in_wavelets(A: sp.csr_array, limits: list[int], norm: float) -> Iterator[tuple[Trial, Any]]:
    """Keep the largest entries of Vᵀ A W."""
    levels = levels_of(A.shape)
    if not (has_filters() and any(levels)):
        return
    own = 4 * (A.shape[0] + 1)
    for order in ORDERS:
        V, W = (Wavelets((n,), order, (s,)) for n, s in zip(A.shape, levels, strict=True))
        C = Wavelets(A.shape, order, levels)._apply_transpose(A.toarray().reshape(-1, 1))
        squares = np.sort(np.ldexp(C.ravel(), -exponent(A.data)) ** 2)
        left_out = np.sqrt(np.concatenate([[0.0], np.cumsum(squares)]))[::-1]
        left_out = np.ldexp(left_out, exponent(A.data)) / norm
        for limit in limits:
            N = min((limit - own) // ENTRY, np.count_nonzero(C))
            trial = Trial("wavelets", 0, 0, N, float(left_out[N]), own + ENTRY * N, limit)
            yield trial, partial(_kept, C.reshape(A.shape), V, W)


def _kept(C: Array, V: Wavelets, W: Wavelets, trial: Trial) -> tuple[None, WaveletEntries]:
    return None, WaveletEntries(_largest(checked(C), trial.entries), V, W)


def _factors(U: Array, s: Array, Vt: Array, k: int) -> LowRank:
    return LowRank(U[:, :k] * s[:k], np.ascontiguousarray(Vt[:k].T))


def _after_rotations(
    A: sp.csr_array, limits: list[int], norm: float, low_rank: LowRank | None
) -> Iterator[tuple[Trial, Any]]:
    """Rotate on and on, and keep the largest entries that there is room for."""
    n, taken, rank = max(A.shape), 0, 0
    if low_rank is not None:
        taken, rank = low_rank.nbytes, low_rank.left.shape[1]
    run = _engine.direct_run(rows_of(A), 0.0, max(1.0, MOST_STORED / max(A.nnz, 1)), 8 * n)
    worse = 0
    best = [np.inf] * len(limits)
    for count in (0, *sorted({max(1, round(step * n)) for step in STEPS})):
        stop = run.advance(count)
        own = run.bytes if run.count else 4 * (A.shape[0] + 1)
        left = [min((limit - taken - own) // ENTRY, run.nnz) for limit in limits]
        if max(left) <= 0 and (run.count > 0 or norm > 0):
            break
        errors = [e / (norm or 1.0) for e in run.left_out([max(0, N) for N in left])]
        kind = "direct" if run.count else "threshold"
        kind = kind if low_rank is None else f"low rank + {kind}"
        for limit, N, error in zip(limits, left, errors, strict=True):
            if N > 0 or norm == 0:
                size = taken + own + ENTRY * N
                trial = Trial(kind, rank, run.count, N, error, size, limit)
                yield trial, partial(_made, low_rank, A, run, stop)
        worse = worse + 1 if all(e >= b for e, b in zip(errors, best, strict=True)) else 0
        best = [min(pair) for pair in zip(errors, best, strict=True)]
        if stop != "rotations" or (worse >= 2 and count >= n):
            break


def _made(low_rank: LowRank | None, A: sp.csr_array, run: Any, stop: str, trial: Trial) -> Any:
    if run.count == 0:
        return low_rank, _largest(A, trial.entries)
    factors = run.finish(0, "top", trial.entries)
    return low_rank, DirectFactorization(factors, report_of("direct", A, run, factors, stop, 0.0))


def _largest(A: sp.csr_array, count: int) -> sp.csr_array:
    """Keep the largest entries; ties go to the first ones."""
    kept = np.zeros(A.nnz, dtype=bool)
    kept[np.argsort(-abs(A.data), kind="stable")[:count]] = True
    rows = np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows[kept], minlength=A.shape[0]))])
    data, indices = A.data[kept], A.indices[kept]
    return sp.csr_array((data, indices, indptr.astype(np.int32)), shape=A.shape)
