"""Factoring nonsymmetric matrices by rotations."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import scipy.sparse as sp

from pympf._engine import approx as _engine
from pympf._progress import working
from pympf.approx import _gates
from pympf.approx._shared import Place, gathered
from pympf.approx.factorization import (
    DirectFactorization,
    SkewFactorization,
    SymmetricFactorization,
)
from pympf.la import checks
from pympf.matching import rows_of

__all__ = ["SPARSIFY", "factorize_direct", "factorize_skew", "report_of", "run", "symmetric_part"]

SPARSIFY = ("diagonal", "top", "greedy")


def factorize_direct(
    A: Any,
    *,
    core_size: int | None = None,
    rotations: int | None = None,
    sparsify: str = "greedy",
    entries: int | None = None,
    drop: float = 0.03,
    max_fill: float = 20.0,
    comm: Any = None,
) -> DirectFactorization:
    """Factor any real matrix, also a rectangular one: A ≈ P H Qᵀ.

    Collective over `comm`. Rows are paired with columns by a matching of greatest sum of a_ij², so
    that the diagonal of B = A Π is heavy. Two pairs i and j are then rotated by the 2 × 2 SVD of
    their block, which moves b_ij² + b_ji² to the diagonal, best gain first, in stages. The core is
    chosen at the end. Deterministic: the result depends on `A` and the parameters, not on the
    number of threads.

    Parameters
    ----------
    A : sparse array or matrix, or 2-D array_like, shape (m, n)
        Real, of any dtype that float64 holds.
    core_size : int, optional
        Rows and columns that H keeps whole; by default 100 or min(m, n), whichever is less.
    rotations : int, optional
        By default max(m, n) − core_size.
    sparsify : {'greedy', 'top', 'diagonal'}
        What H keeps outside the core: the largest entries, no two in one row or column; the largest
        entries; the matched ones.
    entries : int, optional
        How many of them at most; by default min(m, n). Not for 'diagonal'.
    drop : float
        Frobenius norm, relative to that of A, of what may be dropped on the way, against fill.
    max_fill : float
        The run ends before B has more than so many entries for one of A.
    comm : mpi4py.MPI.Comm, optional
        The ranks that share the matrix: `A` has this rank's rows, and so have vectors. Every rank
        gets all rows, computes and holds all of F: the same bits on any number of ranks, and no
        faster. By default this process has all of it.

    Returns
    -------
    DirectFactorization

    Raises
    ------
    ValueError
        If `A` is empty or not finite, or a parameter is out of range.
    TypeError
        If `A` is not a matrix of real numbers.

    References
    ----------
    .. [1] Thesis, section 2.4.2.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> A = np.array([[4.0, 1.0, 0.0], [0.5, 3.0, 1.0], [0.0, 0.2, 2.0]])
    >>> F = pympf.factorize_direct(A, core_size=1, rotations=2)
    >>> F.report().rotations, round(F.error(A), 2)
    (2, 0.05)
    """
    csr, place = gathered(A, comm)
    given = (core_size, rotations, sparsify, entries, drop, max_fill)
    place.ranks.same(given, "parameters")
    smaller, larger = min(csr.shape), max(csr.shape)
    core = (
        min(100, smaller)
        if core_size is None
        else checks.integer(core_size, "core_size", 0, smaller)
    )
    checks.choice(sparsify, "sparsify", SPARSIFY)
    if sparsify == "diagonal" and entries is not None:
        raise ValueError("entries: sparsify='diagonal' keeps the diagonal, as many as there are")
    most = 2**31 - 1
    count = larger - core if rotations is None else checks.integer(rotations, "rotations", 0, most)
    kept = smaller if entries is None else checks.integer(entries, "entries", 0, most)
    factors, report = run(DirectFactorization, csr, count, core, sparsify, kept, drop, max_fill)
    return DirectFactorization(factors, report, place)


def factorize_skew(
    A: Any,
    *,
    core_size: int | None = None,
    rotations: int | None = None,
    drop: float = 0.03,
    max_fill: float = 20.0,
    comm: Any = None,
) -> SkewFactorization:
    """Factor a skew-symmetric matrix: K ≈ P H Pᵀ with 2 × 2 blocks [0 λ; −λ 0] and a skew core.

    Collective over `comm`. Rows are paired, the heaviest |k_ij| first; two pairs are decoupled by a
    4 × 4 orthogonal block in closed form, by two quaternions, best gain first and in stages.

    Parameters
    ----------
    A : sparse array or matrix, or 2-D array_like, shape (n, n)
        |a_ij + a_ji| up to 1e-12 of the larger one counts as zero.
    core_size : int, optional
        Rows and columns that H keeps whole, in pairs, so rounded down to an even number, except for
        all rows; by default 100 or n, whichever is less.
    rotations : int, optional
        Blocks; by default n // 2.
    drop, max_fill, comm
        As for `factorize_direct`.

    Returns
    -------
    SkewFactorization

    Raises
    ------
    ValueError
        If `A` is empty, not finite, not square or not skew-symmetric (the first such pair is
        named), or a parameter is out of range.
    TypeError
        If `A` is not a matrix of real numbers.

    References
    ----------
    .. [1] Thesis, section 2.4.1.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> K = np.triu(np.ones((4, 4)), 1)
    >>> F = pympf.factorize_skew(K - K.T, core_size=0, rotations=1)
    >>> exact = np.linalg.eigvals(K - K.T)
    >>> bool(np.allclose(F.eigenvalues().imag, np.sort(exact.imag)))
    True
    """
    whole, place = gathered(A, comm)
    place.ranks.same((core_size, rotations, drop, max_fill), "parameters")
    csr = _gates.antisymmetric(_gates.square(whole, "a skew-symmetric factorization"))
    n = csr.shape[0]
    core = checks.integer(min(100, n) if core_size is None else core_size, "core_size", 0, n)
    count = n // 2 if rotations is None else checks.integer(rotations, "rotations", 0, 2**31 - 1)
    factors, report = run(SkewFactorization, csr, count, core, "diagonal", 0, drop, max_fill)
    return SkewFactorization(factors, report, place)


def symmetric_part(
    A: sp.csr_array, rotations: int, core: int, drop: float, max_fill: float, place: Place
) -> SymmetricFactorization:
    """Factor a matrix that is symmetric to the last bit: S ≈ P H Pᵀ by Jacobi's rotations."""
    factors, report = run(SymmetricFactorization, A, rotations, core, "diagonal", 0, drop, max_fill)
    return SymmetricFactorization(factors, report, place)


def run(
    cls: Any,
    A: sp.csr_array,
    rotations: int,
    core: int,
    rule: str,
    entries: int,
    drop: float,
    max_fill: float,
) -> tuple[Any, dict[str, Any]]:
    """Rotate, choose the core, and say what was done."""
    drop = checks.number(drop, "drop", 0, below=1)
    max_fill = checks.number(max_fill, "max_fill", 1)
    start = time.perf_counter()
    with working(f"factorize_{cls.kind}"):
        going = getattr(_engine, f"{cls.kind}_run")(rows_of(A), drop, max_fill, rotations)
        stop = going.advance(rotations)
        factors = going.finish(core, rule, entries)
    return factors, report_of(cls.kind, A, going, factors, stop, time.perf_counter() - start)


def report_of(
    kind: str, A: sp.csr_array, run: Any, factors: Any, stop: str, seconds: float
) -> dict[str, Any]:
    """Give the fields of the report of a run."""
    norm = run.norm if run.norm > 0 else 1.0
    dropped, dropped_norms = run.dropped
    state = factors.state()
    # What is below rounding is dropped always.
    is_exact = dropped <= 1e-13 * norm
    return {
        "kind": kind,
        "rows": A.shape[0],
        "columns": A.shape[1],
        "core_size": len(state["core_rows"]),
        "rotations": run.count,
        "norm": run.norm,
        "stop": stop,
        "matching": "exact" if run.exact_matching else "greedy",
        "nnz": run.nnz,
        "fill": run.nnz / max(A.nnz, 1),
        "kept": len(state["H"][2]),
        "error": float(np.hypot(factors.left_out, dropped)) / norm,
        "is_exact": bool(is_exact),
        "error_bound": (factors.left_out + dropped_norms) / norm,
        "nbytes": factors.bytes,
        "matrix_bytes": csr_bytes(A),
        "seconds": seconds,
        "stages": run.lines,
    }


def csr_bytes(A: sp.csr_array) -> int:
    """Return the bytes of compressed rows: 12 for an entry, 4 for a row and one more."""
    return 12 * int(A.nnz) + 4 * (A.shape[0] + 1)
