"""Dictionary learning from block-sparse matrices: what is found, where it ends, how fast.

"Table": all N d columns are wanted, N = 2, |x| in [.5, 1], every column appears A = 8 times.
"Sparsity": A = 10, w = 8. "Noise": gaussian, in units of the smallest entry, and spikes of two
entries in a share of the blocks. "Recursion": y = R_1 R_2 x, 60 columns of R_2, one active.
"Teacher": output ← {sum of two digits ← {left, right}, shade}, learnt back from (images, output,
overall sketch) triples; the digits are scikit-learn's. A "ceiling" has the same learners, given the
teacher's attributes.

"Pass" is one over all samples that rounds and decodes; "rounds alone" decodes nothing. The rate of
memory is that of `numpy.dot` of the samples with themselves in the same run. Times are those of the
processor, of one thread.
"""

import math
import time
from typing import Any

import numpy as np
import pympf._dictionary as engine
import tables

import pympf
from pympf.sketch import (
    BlockSparse,
    Graph,
    Outside,
    Scheme,
    learn_dictionary,
    learn_levels,
    learn_network,
)
from pympf.sketch.learning import promised

TITLE = "Learning the matrices of sketches back"

TABLE = (
    (132, 33, 2, 1, 8), (288, 36, 3, 2, 8), (546, 39, 4, 2, 8), (1050, 42, 4, 4, 8),
    (4128, 48, 4, 13, 8), (4128, 48, 8, 6, 8),
)  # fmt: skip
RULES = {
    "pooled": {},
    "pooled, peeled": {"rounds": 4},
    "per sample": {"rule": "per_sample"},
}


def points(tiny: bool) -> list[dict[str, Any]]:
    table = [
        {"task": "table", "d": d, "b": b, "w": w, "k": k, "shown": shown}
        for d, b, w, k, shown in (TABLE[:2] if tiny else TABLE)
    ]
    d = 546 if tiny else 4128
    load = d // (39 if tiny else 48) / 8  # columns that make q k = 1
    sparsity = [{"task": "sparsity", "d": d, "k": round(load * qk)} for qk in (1, 1.5, 2, 3)]
    noise = [
        {"task": "noise", "d": d, "noise": size, "spikes": share, "min_rows": rows}
        for size, share, rows in
        ((0.2, 0, 1), (0.3, 0, 1), (0, 0.3, 1), (0, 0.3, 3))
    ]  # fmt: skip
    sizes = ((16416, 54, 5, 1), (32775, 57, 5, 1), (64980, 57, 5, 1))
    recursion = [
        {"task": "recursion", "d": d, "b": b, "weights": [w, inner], "seed": seed}
        for d, b, w, inner in (sizes[:1] if tiny else sizes)
        for seed in range(2 if d == 64980 else 1)
    ]
    teacher = (
        {"d": 16416, "b": 54, "samples": 60} if tiny else {"d": 131040, "b": 60, "samples": 600}
    )
    seeds = (0,) if tiny else (0, 1)
    return [
        *table, *sparsity[: 2 if tiny else None], *noise[: 2 if tiny else None], *recursion,
        *({"task": "teacher", **teacher, "seed": seed} for seed in seeds),
        *({"task": "speed", "dtype": t, "entries": 10**6 if tiny else 135 * 10**6}
          for t in ("float32", "float64")),
    ]  # fmt: skip


def run(task: str, **point: Any) -> dict[str, Any]:
    pympf.set_num_threads(1)
    return {
        "table": _table, "sparsity": _sparsity, "noise": _noise, "recursion": _recursion,
        "teacher": _teacher, "speed": _speed,
    }[task](**point)  # fmt: skip


def drawn(
    d: int, b: int, w: int, k: int, samples: int, dtype: Any = np.float64, least: float = 0.5
) -> tuple[list[BlockSparse], np.ndarray, np.ndarray, np.ndarray]:
    """Two matrices, the k columns of each sample, their coefficients, and the samples."""
    rng = np.random.default_rng(5)
    R = [BlockSparse(d, b=b, w=w, seed=5, name=str(i), stored=True) for i in (0, 1)]
    columns = np.stack([rng.choice(2 * d, k, replace=False) for _ in range(samples)])
    x = rng.uniform(least, 1, (samples, k)) * rng.choice([-1, 1], (samples, k))
    Y = np.empty((samples, d), dtype)
    for first in range(0, samples, 256):
        part = slice(first, min(first + 256, samples))
        rows = np.arange(part.stop - first)[:, None]
        dense = np.zeros((len(rows), 2 * d), dtype)
        dense[rows, columns[part]] = x[part]
        halves = (np.ascontiguousarray(dense[:, i * d : (i + 1) * d].T) for i in (0, 1))
        Y[part] = sum(M.apply(half) for M, half in zip(R, halves, strict=True)).T
    return R, columns, x, Y


def score(learnt: Any, R: list[BlockSparse], columns: np.ndarray, x: np.ndarray) -> dict[str, Any]:
    """Shares of columns, their blocks and coefficients found, errors, and what is wrong."""
    d, w = R[0].d, R[0].w
    signs = np.array([M.matrix_signature for M in R])
    words = ((signs[:, 1:] * signs[:, :1] > 0) << np.arange(signs.shape[1] - 1)).sum(axis=1)
    order = np.array([int(np.argmax(words == s)) if s in words else -1 for s in learnt.signatures])
    known = order[learnt.matrix] if learnt.n_atoms else np.zeros(0, int)
    got = np.where(known >= 0, known * d + learnt.column, -1)
    wanted = np.unique(columns)
    blocks = wrong_signs = 0
    for m, M in enumerate(R):
        atoms = np.nonzero(known == m)[0]
        true = M.blocks(learnt.column[atoms])
        sigma = M.random_strings(learnt.column[atoms])[:, 0]
        first = np.stack(
            [true.fs * np.repeat(sigma, w), true.fc, true.fm * M.matrix_signature[0]], axis=1
        )
        owner = np.repeat(np.arange(len(atoms)), w)
        place = {(i, r): f for i, r, f in zip(owner, true.row, first, strict=True)}
        for i, atom in enumerate(atoms):
            own = slice(learnt.row_start[atom], learnt.row_start[atom + 1])
            for row, sign in zip(learnt.row[own].tolist(), learnt.signs[own], strict=True):
                if (i, row) in place:
                    blocks += 1
                    found = [1 if sign & bit else -1 for bit in (2, 4, 8)]
                    wrong_signs += int((place[i, row] != found).sum())
    inverse = np.full(2, -1)
    inverse[order[order >= 0]] = np.nonzero(order >= 0)[0]
    at = inverse[columns // d]
    flat = np.where(at >= 0, at * d + columns % d, 0)
    samples = np.repeat(np.arange(len(x)), x.shape[1])
    codes = np.zeros(x.shape)
    if learnt.n_matrices:
        codes = np.asarray(learnt.codes[samples, flat.ravel()]).reshape(x.shape)
    there = codes != 0
    return {
        "found": float(np.isin(wanted, got).mean()),
        "blocks": blocks / max(1, learnt.n_atoms * w),
        "wrong_columns": int((got < 0).sum() + (~np.isin(got[got >= 0], wanted)).sum()),
        "wrong_signs": wrong_signs,
        "codes": float(there.mean()),
        "median_error": float(np.median(np.abs(codes - x)[there])) if there.any() else None,
        "max_error": float(np.abs(codes - x)[there].max()) if there.any() else None,
    }


def _table(d: int, b: int, w: int, k: int, shown: int) -> dict[str, Any]:
    R, columns, x, Y = drawn(d, b, w, k, 2 * d * shown // k)
    rules = {
        name: score(learn_dictionary(Y, b, w, **rule), R, columns, x)
        for name, rule in RULES.items()
    }
    return {"samples": len(Y), "rules": rules}


def _sparsity(d: int, k: int) -> dict[str, Any]:
    b, w = (39, 8) if d == 546 else (48, 8)
    R, columns, x, Y = drawn(d, b, w, max(k, 1), 20 * d // max(k, 1), np.float32)
    load = k * w / (d // b)
    found = {
        f"rounds {rounds}": score(learn_dictionary(Y, b, w, rounds=rounds), R, columns, x)
        for rounds in (0, 6)
    }
    return {"load": load, "promised": 1 - (1 - math.exp(-load)) ** w, "rules": found}


def _noise(d: int, noise: float, spikes: float, min_rows: int) -> dict[str, Any]:
    b, w = (39, 8) if d == 546 else (48, 8)
    R, columns, x, Y = drawn(d, b, w, 4, 16 * d // 4, np.float32)
    rng = np.random.default_rng(1)
    entry = 0.5 / math.sqrt(w * b)
    Y += np.float32(noise * entry) * rng.standard_normal(Y.shape, dtype=np.float32)
    blocks = Y.reshape(len(Y), -1, b)
    s, i = np.nonzero(rng.random(blocks.shape[:2]) < spikes)
    blocks[s, i, rng.integers(0, b, len(s))] += 4 * entry * rng.choice([-1, 1], len(s))
    return score(learn_dictionary(Y, b, w, tau=0.7, min_rows=min_rows), R, columns, x)


def _recursion(d: int, b: int, weights: list[int], seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    outer, inner = (
        BlockSparse(d, b=b, w=w, seed=seed, name=name)
        for w, name in zip(weights, ("outer", "inner"), strict=True)
    )
    pool = np.sort(rng.choice(d, 60, replace=False))
    atoms = inner.columns(pool)
    columns = outer.apply(atoms)
    which, x = np.arange(300) % 60, rng.uniform(0.5, 1, 300) * rng.choice([-1, 1], 300)
    Y = np.ascontiguousarray((columns[:, which] * x).T.astype(np.float32))
    start = time.process_time()
    try:
        learnt = learn_levels(Y, b, weights)
    except Outside as reason:
        return {"refused": str(reason)}
    seconds = time.process_time() - start
    second = learnt.inner[0]
    codes = np.asarray(second.code(0)[np.arange(300), pool[which]]).ravel()
    there = codes != 0
    return {
        "level_1": float(np.isin(np.unique(np.nonzero(atoms)[0]), learnt.column).mean()),
        "level_2": float(np.isin(pool, second.column).mean()),
        "promised": promised(learnt.report["load"], weights[0], b, weights[1]),
        "codes": float(there.mean()),
        "max_error": float(np.abs(codes - x)[there].max()),
        "cpu_s": seconds,
    }


def _teacher(d: int, b: int, samples: int, seed: int) -> dict[str, Any]:
    from sklearn.datasets import load_digits
    from sklearn.svm import SVC

    digits = load_digits()
    images, labels = digits.data / 16, digits.target
    rng = np.random.default_rng(seed)
    half = len(images) // 2

    def triples(count: int, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
        i, j = rng.integers(low, high, (2, count))
        shade = rng.integers(0, 4, count)
        X = np.concatenate([images[i], images[j], np.eye(4)[shade]], axis=1)
        return X, np.stack([labels[i] + labels[j], shade, labels[i], labels[j]], axis=1)

    def learner(X: np.ndarray, y: np.ndarray) -> Any:
        # Which part of the input tells the label is seen on held-out samples.
        parts = [slice(0, 64), slice(64, 128), slice(128, 132)]
        cut = 3 * len(X) // 4
        fits = (SVC(C=10).fit(X[:cut, part], y[:cut]) for part in parts)
        right = [
            (m.predict(X[cut:, p]) == y[cut:]).mean() for m, p in zip(fits, parts, strict=True)
        ]
        best = parts[int(np.argmax(right))]
        return _on(SVC(C=10).fit(X[:, best], y), best)

    X, attributes = triples(samples, 0, half)
    output = (attributes[:, 0] + attributes[:, 1]) % 5
    Y = _sketches(Scheme(d, b=b, w=1, seed=seed), attributes)
    start = time.process_time()
    network = learn_network(X, output, Y, b, 1, learner=learner)
    seconds = time.process_time() - start
    found, tree = _recognized(network, attributes)
    Z, held = triples(1000, half, len(images))
    truth = (held[:, 0] + held[:, 1]) % 5
    given = learner(X, attributes[:, 2]), learner(X, attributes[:, 3])
    ceiling = (given[0](Z) + given[1](Z) + held[:, 1]) % 5 == truth
    flat = SVC(C=10).fit(X, output).predict(Z) == truth
    return {
        "modules": len(network.modules), "tree": tree, "attributes": found, "cpu_s": seconds,
        "held_out": float((network.predict(Z) == truth).mean()), "ceiling": float(ceiling.mean()),
        "flat": float(flat.mean()),
    }  # fmt: skip


def _on(model: Any, part: slice) -> Any:
    return lambda Z: model.predict(Z[:, part])


def _sketches(scheme: Scheme, attributes: np.ndarray) -> np.ndarray:
    keys, inverse = np.unique(attributes, axis=0, return_inverse=True)
    Y = np.empty((len(attributes), scheme.d), np.float32)
    for first in range(0, len(keys), 32):
        graphs = []
        for total, shade, left, right in keys[first : first + 32]:
            graph = Graph()
            graph.add("left", "left", np.eye(10)[left])
            graph.add("right", "right", np.eye(10)[right])
            graph.add("sum", "sum", np.eye(19)[total], inputs={"left": 0.5, "right": 0.5})
            graph.add("shade", "shade", np.eye(4)[shade])
            graph.set_output({"sum": 0.5, "shade": 0.5})
            graphs.append(graph)
        for i, sketch in enumerate(scheme.sketch_many(graphs)):
            Y[inverse.ravel() == first + i] = sketch.values
    return Y


def _recognized(network: Any, attributes: np.ndarray) -> tuple[dict[str, Any], bool]:
    """For each attribute of the teacher the share read, and of these the share that is right."""
    found, numbers = {}, {}
    for c, name in enumerate(("sum", "shade", "left", "right")):
        best = max(
            range(len(network.modules)),
            key=lambda i: (network.modules[i].labels == attributes[:, c]).mean(),
        )
        labels = network.modules[best].labels
        known = labels >= 0
        right = float((labels[known] == attributes[known, c]).mean())
        found[name], numbers[name] = {"read": float(known.mean()), "right": right}, best
    tree = len(network.modules) == 4 and sorted(network.modules[numbers["sum"]].children) == sorted(
        [numbers["left"], numbers["right"]]
    )
    return found, bool(tree)


def _speed(dtype: str, entries: int) -> dict[str, Any]:
    d, b, w, k = (8211, 51, 8, 12) if entries > 10**7 else (546, 39, 4, 2)
    _, _, _, Y = drawn(d, b, w, k, entries // d, np.dtype(dtype))
    shape, flat = engine.Shape(d, b), Y.ravel()

    def cpu_s(call: Any) -> float:
        seconds = []
        for _ in range(5):
            start = time.process_time()
            call()
            seconds.append(time.process_time() - start)
        return min(seconds)

    return {
        "actual_entries": Y.size,
        "bytes": Y.nbytes,
        "dot_s": cpu_s(lambda: flat @ flat),
        "sum_s": cpu_s(flat.sum),
        "rounds_alone_s": cpu_s(lambda: engine.read_blocks(Y, shape, 1e-7, 1e9)),
        "pass_s": cpu_s(lambda: engine.read_blocks(Y, shape, 0.7, 0.0)),
        "learn_s": cpu_s(lambda: learn_dictionary(Y, b, w)),
    }


# ---- tables --------------------------------------------------------------------------------------


def render(rows: list[tables.Row]) -> str:
    parts = (_render_table, _render_sparsity, _render_noise, _render_recursion, _render_teacher)
    return "\n\n".join(part(rows) for part in (*parts, _render_speed))


def _line(found: dict[str, Any]) -> list[Any]:
    errors = [found[name] for name in ("median_error", "max_error")]
    return [
        f"{found['found']:.4f}", f"{found['blocks']:.4f}", f"{found['codes']:.4f}",
        *("–" if error is None else f"{error:.1e}" for error in errors),
        str(found["wrong_columns"]), str(found["wrong_signs"]),
    ]  # fmt: skip


FOUND = (
    "columns",
    "their blocks",
    "coefficients",
    "median error",
    "largest",
    "wrong columns",
    "signs",
)


def _render_table(rows: list[tables.Row]) -> str:
    lines = [
        [*(str(row[name]) for name in ("d", "b", "w", "k", "samples")), rule, *_line(found)]
        for row in tables.only(rows, task="table")
        for rule, found in row["rules"].items()
    ]
    return tables.markdown(("d", "b", "w", "k", "samples", "rule", *FOUND), lines)


def _render_sparsity(rows: list[tables.Row]) -> str:
    lines = [
        [f"{row['load']:.2f}", f"{row['promised']:.3f}", rule, *_line(found)]
        for row in tables.only(rows, task="sparsity")
        for rule, found in row["rules"].items()
    ]
    return tables.markdown(("sparsity: q k", "1 − (1 − e^(−qk))^w", "peeling", *FOUND), lines)


def _render_noise(rows: list[tables.Row]) -> str:
    lines = [
        [f"{row['noise']:.1f}", f"{row['spikes']:.1f}", str(row["min_rows"]), *_line(row)]
        for row in tables.only(rows, task="noise")
    ]
    return tables.markdown(("noise / entry", "spikes", "min_rows", *FOUND), lines)


def _render_recursion(rows: list[tables.Row]) -> str:
    lines = []
    for row in tables.only(rows, task="recursion"):
        line = [str(row["d"]), str(row["b"]), " ".join(map(str, row["weights"]))]
        if "refused" in row:
            lines.append([*line, "refused", "", "", "", ""])
            continue
        shares = [f"{row[name]:.4f}" for name in ("level_1", "level_2", "promised", "codes")]
        lines.append([*line, *shares, f"{row['max_error']:.1e}"])
    header = ("recursion: d", "b", "w", "level 1", "level 2", "promised", "x read", "largest error")
    return tables.markdown(header, lines)


def _render_teacher(rows: list[tables.Row]) -> str:
    lines = []
    for row in tables.only(rows, task="teacher"):
        read = [f"{a['read']:.2f} / {a['right']:.3f}" for a in row["attributes"].values()]
        shares = [f"{row[name]:.3f}" for name in ("held_out", "ceiling", "flat")]
        lines.append(
            [str(row["d"]), str(row["samples"]), "yes" if row["tree"] else "no", *read, *shares]
        )
    header = ("teacher: d", "samples", "tree", "sum read / right", "shade", "left", "right")
    return tables.markdown((*header, "held-out outputs", "ceiling", "without modules"), lines)


def _render_speed(rows: list[tables.Row]) -> str:
    lines = [
        [
            row["dtype"], f"{row['actual_entries'] / 1e6:.0f}",
            *(f"{row[name]:.3f}" for name in ("rounds_alone_s", "pass_s", "learn_s")),
            row["bytes"] / row["rounds_alone_s"] / 1e9, row["bytes"] / row["pass_s"] / 1e9,
            row["bytes"] / row["dot_s"] / 1e9, f"{row['dot_s'] / row['rounds_alone_s']:.0%}",
            f"{row['dot_s'] / row['pass_s']:.0%}",
        ]
        for row in tables.only(rows, task="speed")
    ]  # fmt: skip
    header = (
        "speed",
        "10⁶ entries",
        "rounds alone s",
        "pass s",
        "learn s",
        "GB/s rounding",
        "GB/s pass",
    )
    return tables.markdown((*header, "GB/s dot", "rounding of it", "pass of it"), lines)
