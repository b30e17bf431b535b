"""One application of the preconditioner M = Qᵀ|H|⁻¹Q against one product with the matrix (2-D
Poisson, 5 entries in a row): the median of many calls from Python through the thinnest path. "our
SpMV" is the product inside our Krylov methods, without the cost of the call; SciPy's has one
thread. All times are for one vector, also where several are multiplied at once. "of bandwidth"
compares the bytes that an application must move (the rotations twice, forward and back, H once,
both vectors) per second with the triad a = b + s c on arrays of as many bytes, so in the same
caches.
"""

from typing import Any

import measure
import numpy as np
import problems
import tables

import pympf

TITLE = "One application of M in products with A"


def points(tiny: bool) -> list[dict[str, Any]]:
    sizes = [1024] if tiny else problems.squares(range(5, 11))
    return [
        {"rows": rows, "vectors": vectors, "threads": threads}
        for threads in (1, 2)
        for vectors in (1, 8)
        for rows in sizes
    ]


def run(rows: int, vectors: int, threads: int) -> dict[str, Any]:
    A = problems.build("2-D Poisson", rows)
    M = pympf.factorize(A).positive_inverse()
    x = problems.random_vector(rows * vectors).reshape(rows, vectors)
    y = np.empty_like(x)
    multiply = M._factors.apply  # without the checks of M @ x
    moved = moved_bytes(M, vectors)
    return {
        "nnz": A.nnz,
        "apply_s": measure.median_s(lambda: multiply(x, y)),
        "spmv_s": measure.spmv_s(A, x[:, 0].copy()),
        "spmv_call_s": measure.spmv_s(A, x[:, 0].copy(), rows=0),
        "scipy_s": measure.median_s(lambda: A @ x) / vectors,
        "moved_bytes": moved,
        "triad_gb_per_s": measure.triad_gb_per_s(moved),
    }


def moved_bytes(M: pympf.Mmf, vectors: int) -> int:
    """The rotations forward and back, H, and the vectors x and y."""
    n = M.shape[0]
    H = measure.WORD * (M.core_size**2 + n - M.core_size)
    return 2 * (M.nbytes - H) + H + 2 * measure.WORD * n * vectors


def render(rows: list[tables.Row]) -> str:
    header = ("rows", "threads", "vectors", "M, µs", "our SpMV, µs", "SciPy, µs")
    header += ("M / our SpMV", "M / SciPy", "bytes moved / row", "of bandwidth")
    return tables.markdown(header, [_line(row) for row in rows])


def _line(row: tables.Row) -> list[Any]:
    each = row["apply_s"] / row["vectors"]
    spmv = row["spmv_s"] - row["spmv_call_s"]
    return [
        row["rows"],
        row["threads"],
        row["vectors"],
        1e6 * each,
        1e6 * spmv,
        1e6 * row["scipy_s"],
        each / spmv,
        each / row["scipy_s"],
        row["moved_bytes"] / row["rows"],
        f"{row['moved_bytes'] / row['apply_s'] / 1e7 / row['triad_gb_per_s']:.0f} %",
    ]
