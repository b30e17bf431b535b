"""Hashing 10⁶ points with random hyperplanes, and searching among them for the 10 nearest, against
FAISS's IndexLSH and scikit-learn's brute force (float32).

Hashing: all points to keys. "of sgemm" compares the 2 d flops for each point and bit with the rate
of NumPy's sgemm on large square matrices in the same run; "GB/s" counts the points, which are read
once. IndexLSH has orthogonal directions where there are not more bits than dimensions; its time
is that of `sa_encode`.

Searching: a batch of queries, the time for each of them. Recall is the part of the true 10 nearest
that is found; brute force has 1, since its distances are exact up to rounding. "codes": keys of so
many bits are ranked and the given number of candidates measured exactly; IndexLSH ranks
such keys and measures nothing. "tables": the number of functions by that of tables, and the buckets
looked into in each. The points are uniform in [-1, 1]^d, or lie in 10⁴ clusters (standard normal
centres, standard deviation 0.3 around them in each coordinate).
"""

import importlib.util
from typing import Any

import measure
import numpy as np
import tables

import pympf
from pympf.lsh import HyperplaneHash, Table

TITLE = "Locality sensitive hashing"

K = 10
FULL_SIZE = 1_000_000
# Bits of the codes and numbers of candidates; functions, tables and numbers of probes.
CODES = {64: (512, (1000, 3000, 10_000)), 256: (2048, (1000, 3000, 10_000))}
PROBED = (24, 8, (10, 50, 200))


def points(tiny: bool) -> list[dict[str, Any]]:
    rows = 2000 if tiny else FULL_SIZE
    shapes = [(features, threads) for features in (64, 256) for threads in (1, 2)]
    hashing = [
        {"task": "hash", "features": features, "bits": bits, "threads": threads, "rows": rows}
        for features, threads in shapes
        for bits in (64, 256)
    ]
    searching = [
        {"task": "search", "data": data, "features": features, "threads": threads, "rows": rows}
        for data in ("uniform", "clusters")
        for features, threads in shapes
    ]
    return hashing + searching


def run(task: str, threads: int, **point: Any) -> dict[str, Any]:
    pympf.set_num_threads(threads)
    if faiss := _faiss():
        faiss.omp_set_num_threads(threads)
    return (_hash if task == "hash" else _search)(**point)


def _faiss() -> Any:
    if importlib.util.find_spec("faiss") is None:
        return None
    import faiss

    return faiss


def _draw(data: str, rows: int, features: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if data == "uniform":
        return 2 * rng.random((rows, features), dtype=np.float32) - 1
    centres = np.random.default_rng(0).standard_normal((10_000, features), dtype=np.float32)
    noise = rng.standard_normal((rows, features), dtype=np.float32)
    return centres[rng.integers(0, len(centres), rows)] + np.float32(0.3) * noise


def _hash(features: int, bits: int, rows: int) -> dict[str, Any]:
    X = _draw("uniform", rows, features, 1)
    family = HyperplaneHash(features, bits)
    row: dict[str, Any] = {
        "hash_s": measure.median_s(lambda: family.keys(X), samples=5),
        "sgemm_gflop_per_s": _sgemm_gflop_per_s(),
    }
    if faiss := _faiss():
        index = faiss.IndexLSH(features, bits)
        index.train(X[:100])
        row["faiss_hash_s"] = measure.median_s(lambda: index.sa_encode(X), samples=5)
    return row


def _sgemm_gflop_per_s(n: int = 2048) -> float:
    A = np.random.default_rng(0).random((n, n), dtype=np.float32)
    return 2 * n**3 / measure.median_s(lambda: A @ A, samples=5) / 1e9


def _search(data: str, features: int, rows: int) -> dict[str, Any]:
    X, Q = _draw(data, rows, features, 1), _draw(data, 500, features, 2)
    found: dict[str, Any] = {}
    brute_s, nearest = _brute_force(X, Q)
    bits, candidates = CODES[features]
    family = HyperplaneHash(features, bits)
    if data == "uniform":
        table, fit_s = _timed(lambda: Table(family).fit(X))
        searches = [{"candidates": min(c, rows)} for c in candidates]
        found |= _searched(f"codes of {bits} bits", table, searches, Q, nearest)
    else:
        functions, several, probes = PROBED
        family = HyperplaneHash(features, functions, several)
        table, fit_s = _timed(lambda: Table(family).fit(X))
        searches = [{"probes": p} for p in probes]
        found |= _searched(f"{functions} × {several} tables", table, searches, Q, nearest)
    kept_bytes = table.report().bucket_bytes
    if faiss := _faiss():
        index = faiss.IndexLSH(features, bits)
        index.train(X[:100])
        index.add(X)
        query_s, (_, ids) = _per_query_s(lambda: index.search(Q, K), Q)
        found[f"IndexLSH, {bits} bits"] = {"query_s": query_s, "recall": _recall(ids, nearest)}
    return {"fit_s": fit_s, "bucket_bytes": kept_bytes, "brute_s": brute_s, "found": found}


def _searched(
    name: str, table: Table, searches: list[dict[str, int]], Q: np.ndarray, nearest: np.ndarray
) -> dict[str, Any]:
    results = {}
    for search in searches:
        ((key, count),) = search.items()
        query_s, (_, ids) = _per_query_s(lambda search=search: table.query(Q, K, **search), Q)
        results[f"{name}, {count:,} {key}".replace(",0", " 0")] = {
            "query_s": query_s,
            "recall": _recall(ids, nearest),
        }
    return results


def _brute_force(X: np.ndarray, Q: np.ndarray) -> tuple[float | None, np.ndarray]:
    """Seconds of a query and the true neighbours."""
    if importlib.util.find_spec("sklearn") is None:
        family = HyperplaneHash(X.shape[1], 64)
        return None, Table(family).fit(X).query(Q, K, candidates=len(X))[1]
    from sklearn.neighbors import NearestNeighbors

    neighbors = NearestNeighbors(n_neighbors=K, algorithm="brute").fit(X)
    query_s, (_, ids) = _per_query_s(lambda: neighbors.kneighbors(Q), Q)
    return query_s, ids


def _timed(call: Any) -> tuple[Any, float]:
    results = []
    seconds = measure.long_run_s(lambda: results.append(call()), samples=1)
    return results[0], seconds


def _per_query_s(call: Any, Q: np.ndarray) -> tuple[float, Any]:
    result = call()  # warms up
    return measure.long_run_s(call, samples=3, budget_s=4.0) / len(Q), result


def _recall(ids: np.ndarray, nearest: np.ndarray) -> float:
    return float(
        np.mean([len(np.intersect1d(a, b)) / K for a, b in zip(ids, nearest, strict=True)])
    )


def render(rows: list[tables.Row]) -> str:
    parts = [_render_hashing(tables.only(rows, task="hash"))]
    parts.append(_render_searching(tables.only(rows, task="search")))
    return "\n\n".join(parts)


def _render_hashing(rows: list[tables.Row]) -> str:
    header = ("hashing: d", "bits", "threads", "ns for a point", "Gflop/s", "of sgemm", "GB/s")
    header += ("IndexLSH ns", "faster by")
    lines = []
    for row in rows:
        gflop_per_s = 2e-9 * row["features"] * row["bits"] * row["rows"] / row["hash_s"]
        faiss_s = row.get("faiss_hash_s")
        lines.append(
            [
                *(str(row[name]) for name in ("features", "bits", "threads")),
                1e9 * row["hash_s"] / row["rows"],
                gflop_per_s,
                gflop_per_s / row["sgemm_gflop_per_s"],
                4e-9 * row["features"] * row["rows"] / row["hash_s"],
                faiss_s and 1e9 * faiss_s / row["rows"],
                faiss_s and faiss_s / row["hash_s"],
            ]
        )
    return tables.markdown(header, lines)


def _render_searching(rows: list[tables.Row]) -> str:
    header = ("searching", "d", "threads", "search", "ms for a query", "recall at 10")
    header += ("brute force ms", "faster by")
    lines = []
    for row in rows:
        brute_s = row["brute_s"]
        for name, found in row["found"].items():
            query_s = found["query_s"]
            line = [row["data"], str(row["features"]), str(row["threads"]), name]
            line += [tables.milli(query_s), f"{found['recall']:.4f}", tables.milli(brute_s)]
            lines.append([*line, brute_s and brute_s / query_s])
    return tables.markdown(header, lines)
