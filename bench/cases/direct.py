"""Nonsymmetric matrices by rotations, `pympf.factorize_direct` and its kin, measured as the thesis
measures (tables 2.6 and 2.4), by bytes, and by the clock. Errors are ‖A − F‖ / ‖A‖ in the Frobenius
norm, all exact: nothing is dropped in the tables.

**p % is the size of the core, or the rank of CUR, not bytes.** "bytes" says what H and the
rotations take at 50 %, for each byte of A by compressed rows. "no rotations" keeps the n largest
entries of A itself: most of what the thesis gains over CUR. CUR is the mean of three seeds, "by QR"
picks rows and columns by QR with pivoting; both, Nyström's and the SVD (the bound for any rank) are
measured up to 1600 rows, and 600 where the thesis has no figures.

In "equal bytes" an entry takes 12 bytes, a rotation 24, a number of a dense factor 8; shares are
of A by compressed rows, or of 8 n² where A is dense. Times are of one thread, with the matching.
"""

import csv
import time
from pathlib import Path
from typing import Any

import measure
import numpy as np
import scipy.sparse as sp
import tables

import pympf
from pympf import approx, gallery, io

TITLE = "Nonsymmetric matrices by rotations"

COLLECTION = measure.ROOT.parent / "shared/data/matrices"
SHARES = (0.01, 0.10, 0.25, 0.50, 0.75)
EXACT = {"drop": 0.0, "max_fill": 1e9}
MOST_FOR_CUR = 1600  # rows, and 600 where the thesis has no figures
# The thesis: MMF and CUR at these shares.
THESIS_26 = {
    "gemat11": "0.16/0.40 0.17/0.31 0.17/0.27 0.16/0.19 0.13/0.13",
    "gre_1107": "0.71/0.99 0.71/0.98 0.71/0.91 0.65/0.72 0.52/0.44",
    "rw5151": "0.67/1.00 0.68/0.97 0.68/0.90 0.63/0.72 0.50/0.46",
    "orani678": "0.49/0.92 0.50/0.80 0.48/0.66 0.50/0.58 0.42/0.43",
    "SciMet": "0.79/0.97 0.80/0.75 0.82/0.47 0.82/0.10 0.72/0.04",
    "p2p-Gnutella08": "0.78/0.94 0.80/0.81 0.82/0.47 0.82/0.05 0.70/0.01",
    "west1505": "0.00/0.58 0.00/0.04 0.00/0.00 0.00/0.00 0.00/0.00",
    "mahindas": "0.00/1.00 0.00/0.00 0.00/0.00 0.00/0.00 0.00/0.00",
    "rdist1": "0.02/0.07 0.02/0.03 0.03/0.02 0.03/0.01 0.04/0.00",
}
THESIS_24 = {
    "gre_1107": "0.86 0.86 0.84 0.79 0.71",
    "rw5151": "0.99 0.98 0.95 0.88 0.78",
    "orani678": "0.99 0.98 0.97 0.91 0.81",
    "gemat11": "0.86 0.98 0.79 0.77 0.75",
    "polblogs": "0.94 0.94 0.94 0.94 0.89",
    "SciMet": "0.99 0.99 0.99 0.96 0.89",
    "west1505": "0.98 0.98 0.97 0.91 0.85",
    "mahindas": "1.00 1.00 1.00 0.71 0.71",
}
SPARSE = ("gre_1107", "orani678", "SciMet", "rdb3200l", "polblogs")
DENSE = ("attention", "short kernel", "3-step walk", "two scales", "Gaussian kernel")
DENSE += ("inverse of a grid operator",)
CLOCKS = ("neighbours in 3-D", "convection-diffusion", "R-MAT graph")


def points(tiny: bool) -> list[dict[str, Any]]:
    names = _names() if not tiny else []
    own = [{"measure": "table 2.6", "matrix": name} for name in names or ["grid"]]
    own += [{"measure": "table 2.4", "matrix": n} for n in names if n in THESIS_24]
    own += [{"measure": "equal bytes", "matrix": n} for n in SPARSE if n in names]
    if not tiny:
        own += [{"measure": "equal bytes", "matrix": name} for name in DENSE]
    own += [
        {"measure": "clock", "matrix": name, "rows": 500 if tiny else 100_000} for name in CLOCKS
    ]
    return own


def _names() -> list[str]:
    """The square matrices of the collection that are not symmetric."""
    if not COLLECTION.is_dir():
        return []
    with open(COLLECTION / "MANIFEST.csv") as lines:
        rows = [r for r in csv.DictReader(lines) if r["symmetric"] == "no"]
    return [r["name"] for r in rows if r["rows"] == r["cols"] and int(r["rows"]) <= 11_000]


def run(measure: str, matrix: str, rows: int = 0) -> dict[str, Any]:
    pympf.set_num_threads(1)
    if measure == "clock":
        return _clock(matrix, rows)
    A = _dense(matrix) if matrix in DENSE else _sparse(matrix)
    if measure == "table 2.6":
        return _table_26(A, matrix in {*THESIS_26, *THESIS_24})
    return _table_24(A) if measure == "table 2.4" else _bytes(A)


def _sparse(name: str) -> Any:
    if name == "grid":
        return pympf.gallery.poisson((6, 6)) + sp.diags_array(np.ones(35), offsets=1)
    (file,) = COLLECTION.rglob(f"{name}.mtx.gz")
    return io.read_matrix(Path(file))


def _table_26(A: Any, has_figures: bool) -> dict[str, Any]:
    n = A.shape[0]
    cores = [max(1, round(share * n)) for share in SHARES]
    start = time.process_time()
    ours = [pympf.factorize_direct(A, core_size=k, rotations=n - k, **EXACT) for k in cores]
    cpu_s = time.process_time() - start
    squares = np.sort(A.data**2)
    row: dict[str, Any] = {
        "rows": n,
        "nnz": A.nnz,
        "greedy": [F.report().error for F in ours],
        "matching": ours[0].report().matching,
        "fill": ours[0].report().fill,
        "stages": len(ours[0].report().stages),
        "bytes_at_half": ours[3].nbytes / ours[3].report().matrix_bytes,
        "no rotations": float(np.sqrt(squares[:-n].sum() / squares.sum())),
        "cpu_s": cpu_s,
    }
    if n <= (MOST_FOR_CUR if has_figures else 600):
        row |= _ranks(A, cores)
    return row


def _ranks(A: Any, ranks: list[int]) -> dict[str, Any]:
    def mean(method: Any, **options: Any) -> list[float]:
        return [
            float(np.mean([method(A, k, seed=seed, **options).error(A) for seed in range(3)]))
            for k in ranks
        ]

    return {
        "CUR": mean(pympf.cur),
        "CUR by leverage": mean(pympf.cur, selection="leverage"),
        "CUR by QR": [pympf.cur(A, k, selection="qr").error(A) for k in ranks],
        "Nyström": mean(approx.nystrom),
        "SVD": [float(approx.singular_value_decay(A, k)[-1]) for k in ranks],
    }


def _table_24(A: Any) -> dict[str, Any]:
    n = A.shape[0]
    parts = [pympf.factorize_additive(A, core_size=int(s * n), **EXACT) for s in SHARES]
    return {"rows": n, "additive": [F.report().error for F in parts], "bytes": parts[0].nbytes / n}


def _bytes(A: Any) -> dict[str, Any]:
    m, n = A.shape
    sparse = sp.issparse(A)
    full = 12 * A.nnz + 4 * (m + 1) if sparse else 8 * m * n
    shares = (0.10, 0.25, 0.50, 0.75) if sparse else (0.02, 0.05, 0.10)
    limits = [int(share * full) for share in shares]
    trials = approx.compression_curve(A, limits)
    kinds = sorted({t.kind for t in trials})
    error = {(t.limit, t.kind): t.error for t in trials}
    made = pympf.compress(A, limits[1])
    row = {kind: [error.get((limit, kind)) for limit in limits] for kind in kinds}
    row["compress"] = [min(e for (at, _), e in error.items() if at == limit) for limit in limits]
    return {
        "shares": shares,
        "errors": row | {"CUR": [_cur_of_bytes(A, limit) for limit in limits]},
        "measured": made.error(A),
        "made_bytes": made.nbytes / full,
    }


def _cur_of_bytes(A: Any, limit: int) -> float | None:
    """CUR by QR of the largest rank that fits."""
    if max(A.shape) > MOST_FOR_CUR:
        return None
    low, high = 0, min(A.shape)
    while low < high:
        k = (low + high + 1) // 2
        F = pympf.cur(A, k, selection="qr")
        size = F.nbytes if sp.issparse(A) else 8 * (k * sum(A.shape) + k * k)
        low, high = (k, high) if size <= limit else (low, k - 1)
    return pympf.cur(A, low, selection="qr").error(A) if low else None


def _dense(name: str, n: int = 1024) -> np.ndarray:
    rng = np.random.default_rng(0)
    if name == "attention":
        topics = rng.standard_normal((16, 64))
        X = topics[np.repeat(rng.integers(0, 16, n // 32), 32)]
        X = X + 0.7 * rng.standard_normal((n, 64))
        W = [rng.standard_normal((64, 64)) / 8 for _ in range(2)]
        S = (X @ W[0]) @ (X @ W[1]).T / 8
        S -= 0.02 * abs(np.subtract.outer(np.arange(n), np.arange(n)))
        S[np.triu_indices(n, 1)] = -np.inf
        E = np.exp(S - S.max(axis=1, keepdims=True))
        return E / E.sum(axis=1, keepdims=True)
    if name == "inverse of a grid operator":
        side = round(n**0.5)
        return np.linalg.inv(gallery.convection_diffusion(side, 50.0).toarray())
    if name == "3-step walk":
        A = _sparse("polblogs")[:n][:, :n].toarray() + 0.1 * np.eye(n)
        P = A / A.sum(axis=1, keepdims=True)
        return P @ P @ P
    X, Y = (points[np.lexsort(points.T)] for points in rng.random((2, n, 3)))
    if name == "two scales":
        Y = X + 0.01
    distance = np.linalg.norm(X[:, None] - Y[None], axis=2)
    return {
        "short kernel": lambda: np.exp(-distance / 0.1),
        "Gaussian kernel": lambda: np.exp(-((distance / 0.5) ** 2)),
        "two scales": lambda: np.exp(-((distance / 0.5) ** 2)) + 0.3 * np.exp(-distance / 0.05),
    }[name]()


def _clock(name: str, rows: int) -> dict[str, Any]:
    A = {
        "neighbours in 3-D": _neighbours,
        "convection-diffusion": _convection,
        "R-MAT graph": _rmat,
    }[name](rows)
    n = A.shape[0]
    options = {"core_size": 0, "rotations": n, "drop": 0.1}
    start, wall = time.process_time(), time.perf_counter()
    report = pympf.factorize_direct(A, **options).report()
    cpu_s, one_s = time.process_time() - start, time.perf_counter() - wall
    pympf.set_num_threads(2)
    wall = time.perf_counter()
    pympf.factorize_direct(A, **options)
    two_s = time.perf_counter() - wall
    squares = np.sort(A.data**2)
    return {
        "n": n,
        "nnz": A.nnz,
        "rotations": report.rotations / n,
        "stop": report.stop,
        "stages": len(report.stages),
        "fill": report.fill,
        "error": report.error,
        "no rotations": float(np.sqrt(squares[:-n].sum() / squares.sum())),
        "cpu_s": cpu_s,
        "one_thread_s": one_s,
        "two_threads_s": two_s,
    }


def _neighbours(n: int) -> Any:
    from scipy.spatial import cKDTree

    X = np.random.default_rng(0).random((n, 3))
    distance, near = cKDTree(X).query(X, 11)
    weight = np.exp(-((distance[:, 1:] / distance[:, 1:].mean()) ** 2))
    rows = np.repeat(np.arange(n), 10)
    return sp.csr_array((weight.ravel(), (rows, near[:, 1:].ravel())), shape=(n, n))


def _convection(n: int) -> Any:
    N = int(n**0.5)
    h = 1 / (N + 1)
    x, y = np.meshgrid(np.arange(1, N + 1) * h, np.arange(1, N + 1) * h, indexing="ij")
    u = 5e3 * np.sin(3 * np.pi * x) * np.cos(2 * np.pi * y)
    v = -5e3 * np.cos(2 * np.pi * x) * np.sin(3 * np.pi * y)
    index = np.arange(N * N).reshape(N, N)
    parts = [(index, index, 4 / h**2 + abs(u) / h + abs(v) / h)]
    for flow, here, there in ((u, np.s_[1:], np.s_[:-1]), (v, np.s_[:, 1:], np.s_[:, :-1])):
        parts.append((index[here], index[there], -(1 / h**2 + np.maximum(flow, 0) / h)[here]))
        parts.append((index[there], index[here], -(1 / h**2 + np.maximum(-flow, 0) / h)[there]))
    i, j, value = (np.concatenate([part[k].ravel() for part in parts]) for k in range(3))
    return sp.csr_array((value, (i, j)), shape=(N * N, N * N))


def _rmat(n: int) -> Any:
    scale, rng = round(np.log2(n)), np.random.default_rng(0)
    i, j = np.zeros(10 * n, int), np.zeros(10 * n, int)
    for _ in range(scale):
        u = rng.random(10 * n)
        i, j = 2 * i + (u >= 0.76), 2 * j + (((u >= 0.57) & (u < 0.76)) | (u >= 0.95))
    A = sp.csr_array((np.ones(10 * n), (i, j)), shape=(2**scale, 2**scale))
    A.sum_duplicates()
    A.data[:] = 1
    return A


# ---- the page ------------------------------------------------------------------------------------


def render(rows: list[tables.Row]) -> str:
    by = {name: tables.only(rows, measure=name) for name in ("table 2.6", "table 2.4")}
    parts = [
        ("Table 2.6: P H Qᵀ, core of 1, 10, 25, 50, 75 %", _page_26(by["table 2.6"])),
        ("Rank of 1, 10, 25, 50, 75 %", _page_ranks(by["table 2.6"])),
        ("Table 2.4: additive", _page_24(by["table 2.4"])),
        ("Equal bytes", _page_bytes(tables.only(rows, measure="equal bytes"))),
        ("Time", _page_clock(tables.only(rows, measure="clock"))),
    ]
    return "\n\n".join(f"**{title}**\n\n{page}" for title, page in parts if page)


def _five(errors: Any) -> str:
    return " ".join("-" if e is None else f"{e:.3f}".lstrip("0") or "0" for e in errors)


def _thesis(text: str | None, part: int) -> str:
    return " ".join(pair.split("/")[part].lstrip("0") for pair in text.split()) if text else ""


def _page_26(rows: list[tables.Row]) -> str:
    header = ("matrix", "rows", "nnz", "ours", "thesis MMF", "thesis CUR", "no rotations")
    lines = [
        [
            row["matrix"],
            row["rows"],
            row["nnz"],
            _five(row["greedy"]),
            _thesis(THESIS_26.get(row["matrix"]), 0),
            _thesis(THESIS_26.get(row["matrix"]), 1),
            f"{row['no rotations']:.3f}",
            f"{row['fill']:.1f}",
            f"{row['bytes_at_half']:.2f}",
            f"{row['cpu_s']:.2f}",
        ]
        for row in rows
    ]
    return tables.markdown((*header, "fill at 1 %", "bytes at 50 %", "CPU s"), lines)


def _page_ranks(rows: list[tables.Row]) -> str:
    kinds = ("CUR", "CUR by leverage", "CUR by QR", "Nyström", "SVD")
    measured = [row for row in rows if "SVD" in row]
    lines = [
        [r["matrix"], _five(r["greedy"]), *(_five(r[kind]) for kind in kinds)] for r in measured
    ]
    return tables.markdown(("matrix", "ours", *kinds), lines) if lines else ""


def _page_24(rows: list[tables.Row]) -> str:
    lines = [[r["matrix"], _five(r["additive"]), _thesis(THESIS_24[r["matrix"]], 0)] for r in rows]
    return tables.markdown(("matrix", "ours", "thesis"), lines) if lines else ""


def _page_bytes(rows: list[tables.Row]) -> str:
    kinds = ("threshold", "direct", "wavelets", "low rank", "low rank + direct", "CUR", "compress")
    none = [None]
    lines = [
        [
            row["matrix"],
            " ".join(f"{100 * share:g}" for share in row["shares"]) + " %",
            *(_five(row["errors"].get(kind, none * len(row["shares"]))) for kind in kinds),
        ]
        for row in rows
    ]
    return tables.markdown(("matrix", "of A", *kinds), lines) if lines else ""


def _page_clock(rows: list[tables.Row]) -> str:
    columns = ("n", "nnz", "rotations", "stop", "stages", "fill", "error", "no rotations")
    columns += ("cpu_s", "one_thread_s", "two_threads_s")
    lines = [[row["matrix"], *(row[name] for name in columns)] for row in rows]
    return tables.markdown(("matrix", *columns), lines)
