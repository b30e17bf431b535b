"""`Table.suggest` on real vectors, against FAISS's HNSW and IVF, in one run: the 10 nearest of
queries that nobody has seen, one thread, float32. Seconds are those of the processor; queries come
in one batch.

`suggest` gets the points alone, and is asked for a recall of 0.95: it says one, on points that it
held out, and the table that it chose is then searched with the queries of the test set. Its three
kinds are asked for one by one, and then all together. HNSW (32 links, efConstruction 40) and IVF
(√n lists) are built once, and of efSearch or nprobe the least power of two is taken that reaches a
recall of 0.95 *on the test queries*, which favours them. "as documented" is what the page on
hashing had in its example: 8 tables of 16 hyperplanes through the origin, 10 probes.

Fashion-MNIST: 60 000 × 784 and 1000 test images, where Debian's `dataset-fashion-mnist` is
installed or `PYMPF_FASHION_MNIST` names its folder. CIFAR-10, halved to 16 × 16 × 3: 50 000 × 768
and 1000,
where `PYMPF_CIFAR10` names the file of images or it lies next to the tree. Without either:
scikit-learn's digits.
"""

import gzip
import importlib.util
import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure
import numpy as np
import tables

import pympf
from pympf.lsh import HyperplaneHash, Table
from pympf.lsh.suggestion import KINDS

TITLE = "Hashing for people who don't know widths: `Table.suggest`"

K, RECALL = 10, 0.95
QUERIES = 1000
FASHION = Path(os.environ.get("PYMPF_FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
CIFAR = Path(
    os.environ.get("PYMPF_CIFAR10", measure.ROOT.parent / "shared/data/nets/cifar10_jpeg.npz")
)
DIGITS = "digits"
DOCUMENTED = "as documented"


def points(tiny: bool) -> list[dict[str, Any]]:
    there = {"Fashion-MNIST": FASHION.is_dir(), "CIFAR-10": CIFAR.is_file()}
    names = [DIGITS] if tiny else [name for name, is_there in there.items() if is_there]
    return [{"data": name, "threads": 1} for name in names or [DIGITS]]


def run(data: str, threads: int) -> dict[str, Any]:
    pympf.set_num_threads(threads)
    X, Q = _read(data)
    exact = _farthest(X, Q)
    found = {}
    for name, kinds in {**{kind: [kind] for kind in KINDS}, "all": KINDS}.items():
        suggestion, suggest_s = _timed(lambda kinds=kinds: Table.suggest(X, K, RECALL, kinds=kinds))
        table, build_s = _timed(lambda suggestion=suggestion: suggestion.fit(X))
        found[f"suggest, {name}"] = {
            "suggest_s": suggest_s,
            "build_s": build_s,
            "said": suggestion.recall,
            "setting": _setting(suggestion),
            **_searched(lambda t=table, s=suggestion: t.query(Q, K, **s.search)[0], exact),
        }
    family = HyperplaneHash(X.shape[1], 16, 8)
    table, build_s = _timed(lambda: Table(family).fit(X))
    documented = _searched(lambda: table.query(Q, K, probes=10)[0], exact)
    found[DOCUMENTED] = {"build_s": build_s, "setting": "16 × 8, 10 probes", **documented}
    return {"points": len(X), "features": X.shape[1], "found": found | _peers(X, Q, exact)}


def _setting(suggestion: Any) -> str:
    family, ((name, count),) = suggestion.family, suggestion.search.items()
    return f"{family.n_functions} × {family.n_tables}, {count} {name}"


def _read(data: str) -> tuple[np.ndarray, np.ndarray]:
    if data == "Fashion-MNIST":
        names = ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz")
        X, Q = (_idx(FASHION / name) for name in names)
        return X, Q[:QUERIES]
    if data == "CIFAR-10":
        return _cifar()
    from sklearn.datasets import load_digits

    images = load_digits().data.astype(np.float32)
    return images[:-200], images[-200:]


def _idx(file: Path) -> np.ndarray:
    """The images of a file of the format IDX, a row each."""
    with gzip.open(file) as stream:
        return np.frombuffer(stream.read(), np.uint8, offset=16).reshape(-1, 784).astype(np.float32)


def _cifar() -> tuple[np.ndarray, np.ndarray]:
    from PIL import Image

    with np.load(CIFAR) as archive:
        header = archive["header"].tobytes()
        parts = {
            part: (archive[f"bytes_{part}"], archive[f"ends_{part}"]) for part in ("train", "test")
        }
    rows = []
    for part, most in (("train", 50_000), ("test", QUERIES)):
        data, ends = parts[part]
        starts = np.concatenate([[0], ends[:-1]])
        images = [
            np.asarray(Image.open(io.BytesIO(header + data[a:b].tobytes())), np.float32)
            for a, b in zip(starts[:most], ends[:most], strict=True)
        ]
        halved = np.stack(images).reshape(-1, 16, 2, 16, 2, 3).mean(axis=(2, 4))
        rows.append(np.ascontiguousarray(halved.reshape(len(images), -1), np.float32))
    return rows[0], rows[1]


def _farthest(X: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """The distance of the true k-th neighbour of each query."""
    table = Table(HyperplaneHash(X.shape[1], 1)).fit(X)
    return table.query(Q, K, candidates=len(X))[0][:, -1]


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def _searched(search: Callable[[], np.ndarray], exact: np.ndarray) -> dict[str, float]:
    """Milliseconds of a query, the least of three, and how many of the neighbours were found."""
    search()  # warms up
    distances, seconds = min((_timed(search) for _ in range(3)), key=lambda each: each[1])
    found = (distances <= exact[:, np.newaxis] * (1 + 1e-4)).mean()  # FAISS rounds ‖x‖² − 2xᵀy
    return {"query_s": seconds / len(exact), "recall": float(found)}


def _peers(X: np.ndarray, Q: np.ndarray, exact: np.ndarray) -> dict[str, Any]:
    if importlib.util.find_spec("faiss") is None:
        return {}
    import faiss

    faiss.omp_set_num_threads(1)
    lists = round(len(X) ** 0.5)
    graph = faiss.IndexHNSWFlat(X.shape[1], 32)
    cells = faiss.IndexIVFFlat(faiss.IndexFlatL2(X.shape[1]), X.shape[1], lists)
    graph_s, cells_s = (
        _timed(build)[1] for build in (lambda: graph.add(X), lambda: (cells.train(X), cells.add(X)))
    )

    def least(name: str, most: int, set_to: Callable[[int], None], index: Any) -> dict[str, Any]:
        count = 1
        while True:
            set_to(count)
            found = _searched(lambda: np.sqrt(np.maximum(index.search(Q, K)[0], 0)), exact)
            if found["recall"] >= RECALL or count >= most:
                return {"setting": f"{name} {count}", **found}
            count *= 2

    def set_ef(count: int) -> None:
        graph.hnsw.efSearch = count

    def set_nprobe(count: int) -> None:
        cells.nprobe = count

    return {
        "FAISS HNSW": {"build_s": graph_s, **least("efSearch", 4096, set_ef, graph)},
        "FAISS IVF": {"build_s": cells_s, **least("nprobe", lists, set_nprobe, cells)},
    }


def render(rows: list[tables.Row]) -> str:
    header = ("points", "search", "setting", "recall", "said", "ms a query", "s to choose")
    header += ("s to build",)
    lines = []
    for row in rows:
        name = f"{row['data']}, {row['points']:,} × {row['features']}".replace(",0", " 0")
        for search, found in row["found"].items():
            lines.append(
                [
                    name,
                    search,
                    found["setting"],
                    f"{found['recall']:.3f}",
                    f"{found['said']:.3f}" if "said" in found else None,
                    tables.milli(found["query_s"]),
                    found.get("suggest_s"),
                    found["build_s"],
                ]
            )
    return tables.markdown(header, lines)
