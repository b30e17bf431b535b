"""A repository of a million overall sketches of 4 kB, against FAISS on the same vectors; and what is
still answered when it shrinks.

"Store": scenes of four objects from eight modules with eight attributes each, d = 1050; there are
ten views of a scene, and a query is another one of a scene that is there. The truth is FAISS's
`IndexFlatIP` on unit vectors, recall that of the 10 nearest. FAISS holds all numbers in memory,
the repository only the heads; its query reads the candidates from the file (in the page cache).
Opening reads no numbers; the index is built at the first query.

"Budget": overall sketches of scenes with 1 to 6 objects of one module and one of another, d = 16
416, kept to a share of their bytes: how many objects there are (exactly right, mean error), the
size of the other one (mean error of an attribute in [0, 1]), and whether the scene is found by
another view of it.
"""

import importlib.util
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import measure
import numpy as np
import scipy.sparse as sp
import tables

import pympf
from pympf.sketch import Graph, Repository, Scheme, Sketch, recover_attributes, recover_frequency

TITLE = "A repository of sketches"

K, QUERIES, HEAD, VIEWS = 10, 100, 132, 10
MODULES, ATTRIBUTES, SLOTS = 8, 8, 4
SEARCHES = ((1, 64), (4, 64), (8, 128), (24, 256), (64, 512))  # probes, candidates
LISTS, PROBED_LISTS = 256, (1, 4, 16)
SHARES = (1, 1 / 2, 1 / 4, 1 / 8, 1 / 16)


def points(tiny: bool) -> list[dict[str, Any]]:
    return [
        {"task": "store", "rows": 2000 if tiny else 1_000_000},
        {"task": "budget", "d": 4128 if tiny else 16416, "scenes": 12 if tiny else 120},
    ]


def run(task: str, **point: Any) -> dict[str, Any]:
    pympf.set_num_threads(1)
    return {"store": _store, "budget": _budget}[task](**point)


def views(scheme: Scheme) -> Any:
    """A function that draws views of scenes: sketches are linear in attributes."""
    graphs = []
    for slot in range(SLOTS):
        for module in range(MODULES):
            for j in range(ATTRIBUTES):
                graph = Graph()
                graph.add("it", f"module {module}", np.eye(ATTRIBUTES)[j])
                weights = {"it": 1 / SLOTS}
                for other in range(slot):
                    graph.add(other, "nothing", np.zeros(1))
                graph.set_output({**dict.fromkeys(range(slot), 0.0), **weights})
                graphs.append(graph)
    basis = np.stack([s.values for s in scheme.sketch_many(graphs)]).astype(np.float32)
    size = MODULES * ATTRIBUTES

    def draw(scenes: np.ndarray, seed: int) -> np.ndarray:
        """Views of the scenes with these numbers."""
        module = (scenes[:, None] * np.array([1, 7, 49, 343]) // np.array([1, 3, 5, 11])) % MODULES
        # What a scene is comes from its number; the view is noise on top of it.
        hashed = (scenes[:, None, None] * 2654435761 + np.arange(SLOTS * ATTRIBUTES).reshape(
            SLOTS, ATTRIBUTES) * 40503) % 65521  # fmt: skip
        x = (hashed * hashed % 65521) / 65521 + 0.05 * np.random.default_rng(seed).random(
            hashed.shape
        )
        x /= np.linalg.norm(x, axis=2, keepdims=True)
        first = np.arange(SLOTS) * size + module * ATTRIBUTES
        columns = (first[:, :, None] + np.arange(ATTRIBUTES)).reshape(len(scenes), -1)
        indptr = np.arange(len(scenes) + 1) * SLOTS * ATTRIBUTES
        z = sp.csr_array(
            (x.astype(np.float32).ravel(), columns.ravel(), indptr), shape=(len(scenes), len(basis))
        )
        return np.asarray(z @ basis)

    return draw


def _scratch() -> Path:
    measure.SCRATCH.mkdir(parents=True, exist_ok=True)
    return measure.SCRATCH


def _timed(call: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    return call(), time.perf_counter() - start


def _store(rows: int) -> dict[str, Any]:
    scheme = Scheme(1050, b=42, seed=1)
    draw = views(scheme)
    scenes = np.random.default_rng(0).permutation(np.arange(rows) // VIEWS)
    X = np.concatenate([draw(scenes[i : i + 50_000], 1000 + i) for i in range(0, rows, 50_000)])
    Q = draw(np.random.default_rng(1).integers(0, rows // VIEWS, QUERIES), 1)
    folder = Path(tempfile.mkdtemp(dir=_scratch()))
    try:
        found = _repository(folder / "sketches", scheme, X, Q)
    finally:
        shutil.rmtree(folder)
    answers = found.pop("answers")
    X /= np.linalg.norm(X, axis=1, keepdims=True)  # in place: it is large
    truth, found["faiss"] = _faiss(X, Q / np.linalg.norm(Q, axis=1, keepdims=True))
    for name, ids in answers.items():
        found["searches"][name]["recall"] = _recall(ids, truth)
    return found


def _repository(path: Path, scheme: Scheme, X: np.ndarray, Q: np.ndarray) -> dict[str, Any]:
    cpu, start = time.process_time(), time.perf_counter()
    with Repository.create(path, scheme, head=HEAD) as repository:
        for first in range(0, len(X), 10_000):
            repository.add(X[first : first + 10_000])
        repository.commit()
        report = repository.report()
    add_s, add_cpu_s = time.perf_counter() - start, time.process_time() - cpu
    repository, open_s = _timed(lambda: Repository(path, functions=16, tables=8))
    _, first_query_s = _timed(lambda: repository.query(Q[:1], K))
    searches, answers = {}, {}
    for probes, candidates in SEARCHES:
        how = {"probes": probes, "candidates": candidates}
        repository.query(Q, K, **how)  # warms up
        cpu = time.process_time()
        (_, ids), seconds = _timed(lambda how=how: repository.query(Q, K, **how))
        name = f"{probes} probes, {candidates} candidates"
        searches[name] = {
            "query_s": seconds / len(Q), "query_cpu_s": (time.process_time() - cpu) / len(Q),
        }  # fmt: skip
        answers[name] = ids
    index = repository._index.report()
    return {
        "add_s": add_s, "add_cpu_s": add_cpu_s, "open_s": open_s, "first_query_s": first_query_s,
        **{name: report[name] for name in ("bytes", "file_bytes", "segments")},
        "index_bytes": index.point_bytes + index.bucket_bytes, "searches": searches,
        "answers": answers,
    }  # fmt: skip


def _faiss(X: np.ndarray, Q: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """The truth, and how FAISS finds it; without FAISS, by numpy."""
    if importlib.util.find_spec("faiss") is None:
        return np.argsort(-(Q @ X.T), axis=1)[:, :K], {}
    import faiss

    faiss.omp_set_num_threads(1)
    truth, found = _flat(X, Q)
    lists = max(1, min(LISTS, len(X) // 40))
    quantizer = faiss.IndexFlatIP(X.shape[1])
    ivf = faiss.IndexIVFFlat(quantizer, X.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
    ivf.cp.niter = 8

    def build() -> None:
        ivf.train(X[: 40 * lists])
        ivf.add(X)

    _, add_s = _timed(build)
    for probed in PROBED_LISTS:
        ivf.nprobe = min(probed, lists)
        cpu = time.process_time()
        (_, ids), seconds = _timed(lambda: ivf.search(Q, K))
        found[f"IndexIVFFlat, {probed} of {lists} lists"] = {
            "add_s": add_s, "query_s": seconds / len(Q), "recall": _recall(ids, truth),
            "query_cpu_s": (time.process_time() - cpu) / len(Q),
        }  # fmt: skip
    return truth, found


def _flat(X: np.ndarray, Q: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    import faiss

    found: dict[str, Any] = {}
    flat = faiss.IndexFlatIP(X.shape[1])
    _, add_s = _timed(lambda: flat.add(X))
    cpu = time.process_time()
    (_, truth), seconds = _timed(lambda: flat.search(Q, K))
    found["IndexFlatIP"] = {
        "add_s": add_s, "query_s": seconds / len(Q), "recall": 1.0,
        "query_cpu_s": (time.process_time() - cpu) / len(Q),
    }  # fmt: skip
    cpu, one = time.process_time(), Q[:5]
    for i in range(len(one)):
        flat.search(one[i : i + 1], K)
    found["IndexFlatIP, one by one"] = {
        "add_s": add_s, "query_s": None, "recall": 1.0,
        "query_cpu_s": (time.process_time() - cpu) / len(one),
    }  # fmt: skip
    return truth, found


def _recall(ids: np.ndarray, truth: np.ndarray) -> float:
    hits = [len(np.intersect1d(a, b)) for a, b in zip(ids, truth, strict=True)]
    return float(np.mean(hits)) / truth.shape[1]


# ---- forgetting ----------------------------------------------------------------------------------


def _budget(d: int, scenes: int) -> dict[str, Any]:
    scheme = Scheme(d, b=48 if d == 4128 else 54, seed=2)
    rng = np.random.default_rng(0)
    counts, sizes = rng.integers(1, 7, scenes), rng.random(scenes)

    def sketch(i: int, view: int) -> Sketch:
        noise = np.random.default_rng((i, view))
        graph = Graph()
        graph.add("house", "house", np.sqrt([sizes[i], 1 - sizes[i]]))
        for j in range(counts[i]):
            x = np.random.default_rng((i, j, 7)).random(8) + 0.1 * noise.random(8)
            graph.add(j, "tree", x / np.linalg.norm(x))
        graph.set_output({"house": 1 / 7, **dict.fromkeys(range(counts[i]), 1 / 7)})
        return scheme.sketch(graph)

    folder = Path(tempfile.mkdtemp(dir=_scratch()))
    answers = {}
    try:
        with Repository.create(folder / "scenes", scheme) as repository:
            ids = repository.add([sketch(i, 0) for i in range(scenes)])
            repository.commit()
            whole = repository.bytes
            again = [sketch(i, 1) for i in range(scenes)]
            for share in SHARES:
                repository.forget(share * whole + 4 * scenes)
                kept = repository.sketches(ids)
                number = [recover_frequency(scheme, s, "tree", 1 / 7).value for s in kept]
                size = [
                    float(recover_attributes(scheme, s, "house", 1 / 7, size=2).value[0]) ** 2
                    for s in kept
                ]
                found = repository.query(again, 1, probes=64)[1][:, 0]
                answers[f"{share:g}"] = {
                    "bytes": repository.bytes,
                    "count_right": float((np.round(number) == counts).mean()),
                    "count_error": float(np.abs(number - counts).mean()),
                    "size_error": float(np.abs(np.clip(size, 0, 1) - sizes).mean()),
                    "same_scene": float((found == ids).mean()),
                }
    finally:
        shutil.rmtree(folder)
    return {"answers": answers}


# ---- tables --------------------------------------------------------------------------------------


def render(rows: list[tables.Row]) -> str:
    return "\n\n".join([_render_store(rows), _render_budget(rows)])


def _render_store(rows: list[tables.Row]) -> str:
    lines = []
    for row in tables.only(rows, task="store"):
        stored = [f"{row['rows'] / row['add_s']:,.0f}", tables.milli(row["open_s"])]
        memory = f"{row['index_bytes'] / 1e9:.2f}"
        for name, search in row["searches"].items():
            lines.append(["Repository", name, *stored, memory, *_search(search)])
        for name, search in row["faiss"].items():
            memory = f"{row['bytes'] / 1e9:.2f}"
            added = f"{row['rows'] / search['add_s']:,.0f}"
            lines.append(["FAISS", name, added, "–", memory, *_search(search)])
    header = ("store", "search", "added/s", "open ms", "GB in memory", "queries/s (CPU)")
    return tables.markdown((*header, "ms for a query", "recall at 10"), lines)


def _search(search: dict[str, Any]) -> list[str]:
    wall = "–" if search["query_s"] is None else tables.milli(search["query_s"])
    return [f"{1 / search['query_cpu_s']:,.0f}", wall, f"{search['recall']:.4f}"]


def _render_budget(rows: list[tables.Row]) -> str:
    lines = [
        [
            str(row["d"]), share, f"{a['bytes'] / 1e6:.2f}", f"{a['count_right']:.0%}",
            f"{a['count_error']:.2f}", f"{a['size_error']:.2f}", f"{a['same_scene']:.0%}",
        ]
        for row in tables.only(rows, task="budget")
        for share, a in row["answers"].items()
    ]  # fmt: skip
    header = ("budget: d", "share of the bytes", "MB", "how many: right", "mean error")
    return tables.markdown((*header, "how large: mean error", "same scene found"), lines)
