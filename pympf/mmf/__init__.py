"""Multiresolution factorization of symmetric matrices: A ≈ Q₁ᵀ … Q_Lᵀ H Q_L … Q₁.

`factorize` makes an `Mmf`; the classes under it are by subject: `base` says what it is, `functions`
has f(F), `basis` the wavelets, `factorization` the rest.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pympf._engine import engine
from pympf._params import Params, choices, kinds
from pympf._progress import Work, is_watched, working
from pympf._report import Report
from pympf.la import Matrix, Ranks, checks
from pympf.la.matrix import ranks_of
from pympf.mmf.factorization import Mmf
from pympf.mmf.file import load_factors

__all__ = ["Mmf", "Params", "Report", "factorize", "load"]

Progress = Callable[[dict[str, Any]], None]


def factorize(
    A: Any,
    *,
    comm: Any = None,
    labels: ArrayLike | None = None,
    progress: Progress | None = None,
    **params: Any,
) -> Mmf:
    """Factor a symmetric matrix: A ≈ Q₁ᵀ … Q_Lᵀ H Q_L … Q₁.

    Collective over `comm`. Deterministic: the result depends on `A`, the parameters and the seed,
    not on the number of threads. On several ranks every rank clusters its own rows, so the result
    depends on their ranges; with `labels` that is the same on any number of ranks, bit for bit.

    Parameters
    ----------
    A : sparse array or matrix, 2-D array_like, petsc4py.PETSc.Mat, or path, shape (n, n)
        Real and symmetric. float32 is factored in float32, all else in float64. With `comm` this
        rank's rows, shape (n_local, n), with global columns: contiguous ranges in the order of the
        ranks, which may be empty. Or, with `comm`, the path of a file (see `pympf.io.read_rows`),
        of which every rank reads its part. A PETSc matrix over several ranks brings its `comm`.
    comm : mpi4py.MPI.Comm, optional
        The ranks that share the matrix; by default this process has all of it.
    labels : array_like of int, shape (n,) or (depths, n), optional
        Clusters to take instead of finding some: in stage p the rows with the same label of depth
        p form a cluster; the last depth serves all later stages. A cluster of one depth must lie in
        one of the next. With `comm` this rank's columns of it.
    progress : callable, optional
        Called after each stage with its line of the report as a dict; on each rank that gives one.
    **params
        See `Params.fields` and ``docs/options.md``. The first to know: ``core_size`` (100),
        ``tolerance`` (0: none), ``order`` (2), ``retire`` ('relative',
        fit for preconditioning; 'absolute', the smaller Frobenius error; 'auto', the default:
        relative, but absolute where that keeps far more, as for smooth kernels).

    Returns
    -------
    Mmf

    Raises
    ------
    ValueError
        If `A` is empty, not square, not symmetric or not finite, a parameter is unknown or out of
        range, or `labels` do not nest or have another length.
    TypeError
        If `A` is not a matrix of real numbers.
    RuntimeError
        If MPI tells every process of a job that it is alone: mpiexec and the MPI library differ.
        (Other errors on one rank are raised on all, and name the rank.)

    References
    ----------
    .. [1] Thesis, section 2.2, algorithms 1 and 2; parameters: figure 2.4.

    Examples
    --------
    >>> import pympf
    >>> A = pympf.gallery.poisson((64, 64))
    >>> F = pympf.factorize(A, core_size=64, seed=1)
    >>> F
    <Mmf 4096 x 4096, float64, 6 levels, core 64>
    """
    ranks = ranks_of(A, comm)
    _check_options(ranks, progress, params)
    matrix = Matrix.of(A, ranks)
    with ranks.guard():
        given = _as_labels(labels, len(matrix.rows))
    ranks.same(None if given is None else len(given), "depths of labels")
    return _factorize(matrix.symmetric_rows(), matrix.dtype, ranks, given, params, progress)


def factorize_rows(
    rows: Any, dtype: Any, ranks: Ranks, *, progress: Progress | None = None, **params: Any
) -> Mmf:
    """Do as `factorize` does, with symmetric rows of the core."""
    _check_options(ranks, progress, params)
    return _factorize(rows, dtype, ranks, None, params, progress)


def _factorize(
    rows: Any,
    dtype: Any,
    ranks: Ranks,
    labels: NDArray[np.int64] | None,
    params: dict[str, Any],
    progress: Progress | None,
) -> Mmf:
    with working("factorize") as work:
        if progress is None and ranks.size == 1 and is_watched():  # on several it is for all to say
            progress = _stages(work)
        return Mmf(engine(dtype).factorize(rows, labels, params, progress), ranks)


def _stages(work: Work) -> Progress:
    """Give a callback that counts the rows which the stages have retired."""

    def tell(stage: dict[str, Any]) -> None:
        work.total = work.total or stage["rows"]
        left = stage["rows"] - stage["retired"]
        work.step(work.total - left, f"stage {stage['level']}, {left} rows left")

    return tell


def _check_options(ranks: Ranks, progress: Progress | None, params: dict[str, Any]) -> None:
    with ranks.guard():
        others = ("comm", "labels", "progress")
        checks.fields(params, kinds(Params.fields), others, choices(Params.fields))
        if progress is not None and not callable(progress):
            raise TypeError(f"progress is a {type(progress).__name__}, expected a callable")
    ranks.same(sorted(params.items()), "parameters")


def load(path: str | os.PathLike[str], comm: Any = None, *, rows: int | None = None) -> Mmf:
    """Read a factorization that `Mmf.save` wrote.

    Collective over `comm`: every rank reads its part, whatever number of ranks wrote it.

    Parameters
    ----------
    path : path-like
    comm : mpi4py.MPI.Comm, optional
        The ranks that share it; by default this process has all of it.
    rows : int, optional
        How many rows of vectors this rank holds; by default as many as the others, within one.

    Returns
    -------
    Mmf

    Raises
    ------
    OSError
        If the file cannot be read, is truncated or damaged, or is no factorization.
    ValueError
        If the `rows` of all ranks are not those of the factorization.

    Examples
    --------
    See `Mmf.save`.
    """
    ranks = Ranks(comm)
    factors, _ = load_factors(path, ranks, rows)
    return Mmf(factors, ranks)


def _as_labels(labels: ArrayLike | None, rows: int) -> NDArray[np.int64] | None:
    if labels is None:
        return None
    checks.no_masks(labels, "labels")
    array = np.asarray(labels)
    if array.dtype.kind not in "iu":
        raise TypeError(f"labels: expected integers, got dtype {array.dtype}")
    array = np.atleast_2d(array)
    if array.ndim != 2 or array.shape[1] != rows or len(array) == 0:
        raise ValueError(
            f"labels: expected shape ({rows},) or (depths, {rows}), got {np.shape(labels)}"
        )
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"labels: {array.max()} is more than 64 bits with a sign hold")
    return np.ascontiguousarray(array, dtype=np.int64)
