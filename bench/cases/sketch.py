"""Recursive sketches (paper 000): the laws of the block-sparse distribution, what is recovered, and
the speed of the matrices.

Laws: q is the share of nonzero blocks, drawn by probability or (w) exactly. Columns: the standard
deviation of their squared norms over the law √((1−q) b/(d q)), which is 0 for an exact weight.
Coherence: the root mean square of the products of two columns, over √(2/3 + b/9)/√d; a matrix of
normal numbers has 1/√d. Norm: ‖R‖₂ over √(b/3) (1 + 1/√b). Products ⟨Rx, y⟩ of dense unit vectors
are in units of 1/√d.

Recovery: k objects of equal weight at depth 2, of 64 attributes, three seeds, three objects of
each. c: the root mean square of the error of a coordinate over σ₀ = 32 |s| k/√d; the largest error
of all d coordinates; gain: ⟨estimate, truth⟩; counts: the share of frequencies that are exact when
rounded. Erased: the root mean square error where a quarter is kept, over twice that of the whole
(1: the law). Signatures: the share of objects found among 10⁴ by 32 bits. Similar: the least
product of two sketches with an object in common at the same index, over the largest of two that
have none. Part: the share of objects that are found in a repository of 24 by their unrolled sketch.

Least squares: all attributes of a known graph of depth 3, p parents with c children each.

Speed, for 8 nonzero blocks a column, float64, against SciPy's CSR arrays of the same matrix in the
same process: ns for a block and vector, R x / R' y; processor time on one thread. The bandwidth of
a triad is that of `measure.triad_gb_per_s`; CSR reads 12 bytes a number of a block, and could not
be faster.
"""

import json
import math
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import measure
import numpy as np
import scipy.sparse as sp
import tables

import pympf
from pympf.sketch import (
    BlockSparse,
    Graph,
    Scheme,
    encode,
    fit_dimension,
    nearest,
    recover_attributes,
    recover_frequency,
    recover_jointly,
    recover_signature,
    unroll,
)

TITLE = "Recursive sketches"

ESTIMATORS = ("identity", "own", "index", "index_own", "full")
SIZES = ((546, 39), (1050, 42), (2070, 45), (4128, 48), (8211, 51), (16416, 54))
WEIGHT = 8


def points(tiny: bool) -> list[dict[str, Any]]:
    sizes = SIZES[:1] if tiny else SIZES
    laws = [
        {"task": "laws", "d": d, "b": b, **law}
        for d, b in sizes
        for law in ({"q": 1.0}, {"q": 0.3}, {"q": 0.1}, {"w": WEIGHT})
    ]
    schemes = [{"d": d, "b": b, "w": WEIGHT} for d, b in (sizes if tiny else SIZES[1::2])]
    schemes += [] if tiny else [{"d": 16416, "b": 54, "q": 0.1}]
    schemes += [{"d": d, "family": "orthonormal"} for d in ([512] if tiny else [4096, 16384])]
    recovery = [
        {"task": "recovery", "k": k, **scheme}
        for scheme in schemes
        for k in ((4,) if tiny else (1, 4, 16))
    ]
    joint = (
        [(546, 39, 1, 2, 1.0)]
        if tiny
        else [
            (1050, 42, 2, 2, 1.0),
            (1050, 42, 2, 2, 0.6),
            (4128, 48, 4, 4, 1.0),
            (4128, 48, 4, 4, 0.6),
        ]
    )
    names = ("d", "b", "parents", "children", "kept")
    squares = [{"task": "joint", **dict(zip(names, case, strict=True))} for case in joint]
    wanted = (1000,) if tiny else (2**14, 2**17)
    speed = [{"task": "speed", "wanted": d, "threads": t} for d in wanted for t in (1, 2)]
    speed += [{"task": "ranks", "wanted": d, "ranks": r} for d in wanted for r in (1, 2)]
    return laws + recovery + squares + speed


def run(task: str, **point: Any) -> dict[str, Any]:
    return {
        "laws": _laws,
        "recovery": _recovery,
        "joint": _joint,
        "speed": _speed,
        "ranks": _ranks,
    }[task](**point)


# ---- laws ----------------------------------------------------------------------------------------


def _laws(d: int, b: int, **law: Any) -> dict[str, Any]:
    R = BlockSparse(d, b=b, seed=1, name="laws", **law)
    rng = np.random.default_rng(0)
    norms2 = R.column_norms2(np.arange(d))
    A = R.columns(rng.choice(d, min(400, d), replace=False))
    products = (A.T @ A)[~np.eye(A.shape[1], dtype=bool)]
    x, y = (rng.standard_normal((d, 40)) for _ in range(2))
    x, y = x / np.linalg.norm(x, axis=0), y / np.linalg.norm(y, axis=0)
    v = rng.standard_normal(d)
    for _ in range(40):
        v = R.apply_transpose(R.apply(v))
        norm = math.sqrt(np.linalg.norm(v))
        v /= np.linalg.norm(v)
    exact = "w" in law or law["q"] == 1
    sd = math.sqrt((1 - R.q) * b / (d * R.q))
    return {
        "share": R.q,
        "norm_sd": float(norms2.std()),
        "norm_ratio": None if exact else float(norms2.std() / sd),
        "coherence": float(products.std() * math.sqrt(d)),
        "coherence_ratio": float(products.std() * math.sqrt(d) / math.sqrt(2 / 3 + b / 9)),
        "norm": norm,
        "norm2_ratio": norm / (math.sqrt(b / 3) * (1 + 1 / math.sqrt(b))),
        "dense": float(np.sqrt(((R.apply(x) * y).sum(axis=0) ** 2).mean()) * math.sqrt(d)),
    }


# ---- recovery ------------------------------------------------------------------------------------


def _unit(rng: np.random.Generator, m: int = 64) -> np.ndarray:
    x = np.abs(rng.standard_normal(m))
    return x / np.linalg.norm(x)


def _flat(
    k: int, rng: np.random.Generator, tag: Any, bits: Any = None, common: Any = None
) -> Graph:
    graph = Graph()
    for i in range(k):
        if i == 0 and common is not None:
            graph.add(i, "common", common)
        else:
            graph.add(i, (tag, i), _unit(rng), signature=None if bits is None else bits[i])
    graph.set_output(dict.fromkeys(range(k), 1 / k))
    return graph


def _recovery(k: int, seeds: int = 3, **sizes: Any) -> dict[str, Any]:
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(float(value))

    for seed in range(seeds):
        rng, scheme = np.random.default_rng(seed), Scheme(seed=seed, **sizes)
        known = 2.0 * rng.integers(0, 2, (10_000, 32)) - 1
        graph, others = _flat(k, rng, 0, known), _flat(24 - k, rng, 1)
        sketch = scheme.sketch(graph)
        sigma0 = 32 * sketch.norm() * k / math.sqrt(scheme.d)
        note("norm", sketch.norm() * math.sqrt(k) / 0.125)
        repository = list(scheme.object_sketches(graph).values())
        repository += scheme.object_sketches(others).values()
        for i in range(min(k, 3)):
            x = np.pad(graph.objects[i].attributes, (0, scheme.d - 64))
            for name in ESTIMATORS:
                path = None if name in ("identity", "own") else (i + 1,)
                how = {"path": path, "estimator": name}
                value = recover_attributes(scheme, sketch, (0, i), 1 / k, **how)
                note(f"c {name}", np.sqrt(((value.value - x) ** 2).mean()) / sigma0)
                note(f"largest {name}", abs(value.value - x).max())
                note(f"gain {name}", value.value @ x)
            whole, part = (
                recover_attributes(scheme, s, (0, i), 1 / k, estimator="identity").value - x
                for s in (sketch, sketch.erase(scheme.d // 4))
            )
            note("erased", np.linalg.norm(part) / np.linalg.norm(whole) / 2)
            bits = recover_signature(scheme, sketch, (0, i), 32, path=(i + 1,))
            note("signature", nearest(bits, known) == i)
            note("part", nearest(unroll(scheme, sketch, (i + 1,), 1 / k), repository) == i)
            for name in ("identity", "own"):
                count = recover_frequency(scheme, sketch, (0, i), 1 / k, estimator=name)
                note(f"count {name}", round(count.value) == 1)
        common = _unit(rng)
        pair = [scheme.sketch(_flat(k, rng, tag, common=common)) for tag in (2, 3)]
        strangers = [scheme.sketch(_flat(k, rng, tag)) for tag in (4, 5, 6)]
        note("same", pair[0].dot(pair[1]))
        for a in range(3):
            note("unrelated", abs(strangers[a].dot(strangers[a - 1])))
    similar = min(found.pop("same")) / max(found.pop("unrelated"))
    return {"sigma0": sigma0, "similar": similar} | {n: np.mean(v) for n, v in found.items()}


def _joint(d: int, b: int, parents: int, children: int, kept: float) -> dict[str, Any]:
    rng, scheme, graph = np.random.default_rng(0), Scheme(d, b=b, w=WEIGHT, seed=1), Graph()
    for t in range(parents):
        for c in range(children):
            graph.add((t, c), f"child {t} {c}", _unit(rng))
        inputs = {(t, c): 1 / children for c in range(children)}
        graph.add(t, f"parent {t}", _unit(rng), inputs=inputs)
    graph.set_output(dict.fromkeys(range(parents), 1 / parents))
    sketch = scheme.sketch(graph).erase(int(kept * d))
    rows = {}
    for tolerance in (1e-7, 1e-8):
        result = recover_jointly(scheme, sketch, graph, tolerance=tolerance)
        rows[f"{tolerance:g}"] = {
            "iterations": result.iterations,
            "error": max(
                float(abs(result.attributes[name] - made.attributes).max())
                for name, made in graph.objects.items()
            ),
        }
    return {"unknowns": 64 * len(graph.objects), "found": rows}


# ---- speed ---------------------------------------------------------------------------------------


def _csr(R: BlockSparse) -> sp.csr_array:
    js = np.arange(R.d)
    blocks, sigma_s, sigma_m = R.blocks(js), R.random_strings(js), R.matrix_signature
    s = blocks.fs[:, None] * sigma_s[blocks.column]
    code = encode(blocks.column, blocks.fm * sigma_m[0], s[:, 0], R.d, R.p)
    data = np.hstack([s, blocks.fc[:, None] * code, blocks.fm[:, None] * sigma_m]) * R.scale
    rows = (blocks.row[:, None] * R.b + np.arange(R.b)).ravel().astype(np.int32)
    columns = np.repeat(blocks.column.astype(np.int32), R.b)
    return sp.csr_array((data.ravel(), (rows, columns)), shape=R.shape)


def _speed(wanted: int, threads: int) -> dict[str, Any]:
    pympf.set_num_threads(threads)
    d, b = fit_dimension(wanted)
    stored, implicit = (
        BlockSparse(d, b=b, w=WEIGHT, seed=1, stored=kind) for kind in (True, False)
    )
    A = _csr(implicit)
    row: dict[str, Any] = {
        "d": d,
        "b": b,
        "csr_bytes": A.data.nbytes + A.indices.nbytes + A.indptr.nbytes,
        "stored_bytes": stored.nbytes,
        "triad_gb_per_s": measure.triad_gb_per_s(2**28),
    }
    rng = np.random.default_rng(0)
    for k in (1, 32):
        X = rng.standard_normal(d if k == 1 else (d, k))
        pairs = {
            "csr": (partial(A.dot, X), partial(A.T.dot, X)),
            "stored": (partial(stored.apply, X), partial(stored.apply_transpose, X)),
            "implicit": (partial(implicit.apply, X), partial(implicit.apply_transpose, X)),
        }
        taken: dict[str, list[list[float]]] = {name: [[], []] for name in pairs}
        for _ in range(3):  # in turns, so that another load is everybody's
            for name, calls in pairs.items():
                for which, call in enumerate(calls):
                    taken[name][which].append(_seconds(call, threads))
        for name, both in taken.items():
            row[f"{name} {k}"] = [min(times) / (d * WEIGHT * k) for times in both]
    return row


def _seconds(call: Any, threads: int) -> float:
    """The least of three calls; of one thread in processor time, which others do not stretch."""
    clock = time.process_time if threads == 1 else time.perf_counter
    taken = []
    for _ in range(3):
        start = clock()
        call()
        taken.append(clock() - start)
    return min(taken)


def _ranks(wanted: int, ranks: int) -> dict[str, Any]:
    job = Path(__file__).with_name("_sketch_job.py")
    command = [str(measure.ROOT / "tests/mpi/run"), str(ranks), sys.executable, str(job)]
    done = subprocess.run(
        [*command, str(wanted), str(WEIGHT)], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


# ---- tables --------------------------------------------------------------------------------------


def render(rows: list[tables.Row]) -> str:
    parts = [
        _render_laws(tables.only(rows, task="laws")),
        _render_recovery(tables.only(rows, task="recovery")),
        _render_joint(tables.only(rows, task="joint")),
        _render_speed(tables.only(rows, task="speed")),
        _render_ranks(tables.only(rows, task="ranks")),
    ]
    return "\n\n".join(part for part in parts if part)


def _law(row: tables.Row) -> str:
    if row.get("family"):
        return row["family"]
    return f"w = {row['w']}" if "w" in row else f"q = {row['q']}"


def _render_laws(rows: list[tables.Row]) -> str:
    header = ("d", "b", "law", "norms: sd", "of the law", "coherence × √d", "of the law")
    header += ("‖R‖₂", "of the law", "⟨Rx, y⟩ × √d")
    names = (
        "norm_sd",
        "norm_ratio",
        "coherence",
        "coherence_ratio",
        "norm",
        "norm2_ratio",
        "dense",
    )
    lines = [[str(r["d"]), str(r["b"]), _law(r), *(r[name] for name in names)] for r in rows]
    return tables.markdown(header, lines)


def _render_recovery(rows: list[tables.Row]) -> str:
    header = ("d", "law", "k", "σ₀", *(f"c {name}" for name in ESTIMATORS), "largest: own", "full")
    header += ("gain own", "counts: identity", "own", "erased", "signatures", "similar", "part")
    names = ["sigma0", *(f"c {name}" for name in ESTIMATORS), "largest own", "largest full"]
    names += ["gain own", "count identity", "count own", "erased", "signature", "similar", "part"]
    lines = [[str(r["d"]), _law(r), str(r["k"]), *(r[name] for name in names)] for r in rows]
    return tables.markdown(header, lines)


def _render_joint(rows: list[tables.Row]) -> str:
    header = (
        "d",
        "p × c",
        "unknowns",
        "kept",
        "iterations",
        "largest error",
        "iterations",
        "error",
    )
    lines = []
    for r in rows:
        line = [str(r["d"]), f"{r['parents']} × {r['children']}", str(r["unknowns"])]
        line += [f"{r['kept']:.0%}"]
        for found in r["found"].values():
            line += [str(found["iterations"]), f"{found['error']:.1e}"]
        lines.append(line)
    return tables.markdown(header, lines)


def _both(times: list[float]) -> str:
    return " / ".join(f"{1e9 * t:.2f}" for t in times)


def _render_speed(rows: list[tables.Row]) -> str:
    header = ("d", "vectors", "threads", "CSR", "stored", "implicit", "stored: faster by")
    header += ("implicit: faster by", "bytes: CSR", "stored", "triad GB/s")
    lines = []
    for r in rows:
        for k in (1, 32):
            csr, stored, implicit = (r[f"{name} {k}"] for name in ("csr", "stored", "implicit"))
            line = [str(r["d"]), str(k), str(r["threads"]), _both(csr), _both(stored)]
            line += [_both(implicit)]
            for ours in (stored, implicit):
                line.append(" / ".join(f"{a / b:.1f}" for a, b in zip(csr, ours, strict=True)))
            megabytes = [f"{r[name] / 1e6:.1f} MB" for name in ("csr_bytes", "stored_bytes")]
            lines.append([*line, *megabytes, r["triad_gb_per_s"]])
    return tables.markdown(header, lines)


def _render_ranks(rows: list[tables.Row]) -> str:
    header = ("d", "matrix", "vectors", "1 rank: ms, R x / R' y", "2 ranks", "faster by")
    lines = []
    for wanted in sorted({r["wanted"] for r in rows}):
        pair = tables.only(rows, wanted=wanted)
        if len(pair) < 2:
            continue
        for name in ("stored 1", "implicit 1", "stored 32", "implicit 32"):
            one, two = pair[0][name], pair[1][name]
            both = [" / ".join(f"{1e3 * t:.2f}" for t in times) for times in (one, two)]
            faster = " / ".join(f"{a / b:.2f}" for a, b in zip(one, two, strict=True))
            lines.append([str(fit_dimension(wanted)[0]), *name.split(), *both, faster])
    return tables.markdown(header, lines) if lines else ""


def draw(rows: list[tables.Row], folder: Path) -> None:
    """Error against dimension and number of objects, with the theorems' slope."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6))
    recovery = [r for r in tables.only(rows, task="recovery") if r.get("w")]
    for k in sorted({r["k"] for r in recovery}):
        mine = [r for r in recovery if r["k"] == k]
        for name, style in (("own", "o-"), ("full", "s--")):
            error = [r[f"c {name}"] * r["sigma0"] for r in mine]
            axes[0].loglog([r["d"] for r in mine], error, style, label=f"{name}, {k} objects")
    d = np.array([1000, 16416])
    axes[0].loglog(d, 8 / np.sqrt(d), "k:", label="slope −½")
    axes[0].set(xlabel="dimension d", ylabel="error of a coordinate (rms)")
    for size in sorted({r["d"] for r in recovery}):
        mine = [r for r in recovery if r["d"] == size]
        error = [r["c own"] * r["sigma0"] for r in mine]
        axes[1].loglog([r["k"] for r in mine], error, "o-", label=f"own, d = {size}")
    k = np.array([1, 16])
    axes[1].loglog(k, 0.05 * np.sqrt(k), "k:", label="slope ½")
    axes[1].set(xlabel="objects of equal weight")
    for ax in axes:
        ax.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(folder / "sketch_errors.png", dpi=110)
    plt.close(figure)
