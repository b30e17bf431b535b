"""Compositional images, figures 4b and 12, tables 3 and 4: k images side by side, flattened; the
share of images whose class is told right, in per cent of 2000 new composed images: mean over the
seeds, and its standard error where there are several. CIFAR-10 at
8 × 8 or 16 × 16 pixels where `PYMPF_CIFAR10` names the file (JPEG quality, see the data's README),
and scikit-learn's digits otherwise. 20 000 training points, four epochs of Adam at 10⁻³, batches of
128, batch normalization. *Monolithic*: 256-256-128. *Modular*: 8 modules (12 from k = 6 on) with 48
numbers each and shared layers 128-64. *Screened*: `nets.screened`. *True images*: module j sees
image j mod k alone, all by the same random projection. *Printed rule*: 150 steps of equation 76 at
rate 0.01, σ² the median squared distance at the start. Focus (figure 12): share of a module's
squared weights in its best image, before → after training; 1/k is uniform.
"""

import functools
import io
import itertools
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import tables

from pympf import nets

TITLE = "Modular networks: composed images"
PICTURE = "modular_images.png"
METHODS = {
    "monolithic": "monolithic",
    "random": "modular, random",
    "kernel": "printed rule",
    "screened": "screened",
    "true": "true images",
}
NOISE = (0.3, 1.0, 3.0, 10.0, 30.0)


def points(tiny: bool) -> list[dict[str, Any]]:
    if tiny:
        common = {"data": "digits", "side": 8, "k": 2, "n": 200, "epochs": 1, "seed": 0}
        found = [{**common, "method": method} for method in METHODS]
        found.append(found[-2] | {"disjoint": True})
        found.append(found[-2] | {"noise": 1.0})
        return [point | {"threads": 1} for point in found]
    data = "cifar10" if cifar10() else "digits"
    common = {"data": data, "side": 8, "disjoint": False, "noise": 0.0, "n": 20_000, "epochs": 4}
    three = ("monolithic", "random", "screened")
    found = [{"seed": 0, "k": 6, "method": method} for method in ("kernel", "true")]
    for seed in range(5):
        more = [{}, {"disjoint": True}, *({"noise": noise} for noise in NOISE)]
        kinds: list[dict[str, Any]] = [{"k": 6, **one} for one in more]
        kinds += [{"k": k} for k in (1, 2, 4, 8)]
        if data == "cifar10" and seed < 3:
            kinds += [{"side": 16, "k": k} for k in (4, 6)]
        found += [{"seed": seed, **kind, "method": way} for kind in kinds for way in three]
    return [{**common, "threads": 1, **point} for point in found]


# ---- images --------------------------------------------------------------------------------------
def cifar10() -> Path | None:
    file = Path(os.environ.get("PYMPF_CIFAR10", "cifar10_jpeg.npz"))
    return file if file.is_file() else None


@functools.cache
def images(data: str, side: int) -> tuple[np.ndarray, ...]:
    """Training images and classes, test images and classes; standard normalization."""
    if data == "digits":
        from sklearn.datasets import load_digits

        X, y = load_digits(return_X_y=True)
        X = ((X - X.mean()) / X.std()).astype(np.float32)
        return X[:1297], y[:1297], X[1297:], y[1297:]
    kept = Path(os.environ.get("TMPDIR", "/tmp")) / f"pympf_cifar10_{side}.npz"
    if not kept.exists():
        np.savez(kept, *(part for kind in ("train", "test") for part in _decoded(kind, side)))
    with np.load(kept) as file:
        return tuple(file[f"arr_{i}"] for i in range(4))


def _decoded(kind: str, side: int) -> tuple[np.ndarray, np.ndarray]:
    from PIL import Image

    stored = np.load(cifar10())
    header, body = bytes(stored["header"]), bytes(stored[f"bytes_{kind}"])
    ends = [0, *stored[f"ends_{kind}"].tolist()]
    pieces = [body[a:b] for a, b in itertools.pairwise(ends)]
    X = np.stack([np.asarray(Image.open(io.BytesIO(header + piece))) for piece in pieces])
    small = X.reshape(len(X), side, 32 // side, side, 32 // side, 3).mean((2, 4)) / 255
    flat = ((small - 0.47) / 0.22).reshape(len(X), -1)
    return flat.astype(np.float32), stored[f"labels_{kind}"].astype(np.int64)


# ---- measuring -----------------------------------------------------------------------------------
def run(
    data: str,
    side: int,
    k: int,
    n: int,
    epochs: int,
    seed: int,
    method: str,
    disjoint: bool = False,
    noise: float = 0.0,
    threads: int = 1,
) -> dict[str, Any]:
    X, y, X_test, y_test = images(data, side)
    X, y = nets.compose(X, y, k, n, noise=noise, disjoint=disjoint, seed=seed)
    X_test, y_test = nets.compose(
        X_test, y_test, k, 2000, disjoint=disjoint, test=disjoint, seed=seed + 1
    )
    start = time.process_time()
    steps = epochs * -(-n // 128)
    training = {"steps": steps, "learning_rate": 1e-3, "batch": 128, "seed": seed}
    net: Any
    if method == "monolithic":
        net = nets.Monolithic(
            X.shape[1], (256, 256, 128), outputs=(k, 10), normalize=True, seed=seed
        ).fit(X, y, **training)
    else:
        K = 8 if k < 6 else 12
        net = nets.Modular(
            X.shape[1],
            K,
            (128, 64),
            bottleneck=48,
            shared=True,
            outputs=(k, 10),
            normalize=True,
            seed=seed,
        )
        net.fit(X, y, init=first(X, y, K, k, method, seed), steps=0, seed=seed)
        before = nets.focus(net.projections, k)
        net.fit(X, y, **training)
    row = {"accuracy": 100 * float((net.predict(X_test) == y_test).mean())}
    if method != "monolithic":
        row |= {"focus_first": before, "focus": nets.focus(net.projections, k)}
    return row | {"cpu_s": time.process_time() - start}


def first(X: np.ndarray, y: np.ndarray, K: int, k: int, method: str, seed: int) -> Any:
    """Initial projections."""
    if method == "true":
        one = np.random.default_rng(seed).standard_normal((X.shape[1] // k, 48))
        U = np.zeros((K, k, *one.shape))
        U[np.arange(K), np.arange(K) % k] = one
        return U.reshape(K, X.shape[1], 48)
    if method != "kernel":
        return method
    start = nets.kernel_rule(X, y, K, projection="subspace", bottleneck=48, iterations=0, seed=seed)
    z = X[:200] @ start[0]
    sigma = float(np.sqrt(np.median(np.square(z[:, np.newaxis] - z).sum(axis=2))))
    options = {"projection": "subspace", "bottleneck": 48, "sigma": sigma, "jitter": 1e-2}
    steps = 150 if len(X) > 1000 else 2
    return nets.kernel_rule(X, y, K, iterations=steps, learning_rate=0.01, seed=seed, **options)


# ---- tables --------------------------------------------------------------------------------------
PUBLISHED = {
    "table 3": {"monolithic": 42.56, "random": 45.26, "screened": 49.90},
    0.0: {"monolithic": 42.92, "random": 45.66, "screened": 50.49},
    0.3: {"monolithic": 42.57, "random": 45.42, "screened": 50.27},
    1.0: {"monolithic": 39.47, "random": 43.07, "screened": 46.95},
    3.0: {"monolithic": 31.75, "random": 34.71, "screened": 34.67},
    10.0: {"monolithic": 21.76, "random": 24.31, "screened": 24.41},
    30.0: {"monolithic": 11.09, "random": 12.50, "screened": 12.29},
}
"""Of the paper, whose third row is its kernel rule, on 10⁶ points of 32 × 32 pixels."""


def _value(rows: list[tables.Row], name: str = "accuracy") -> float | None:
    found = [row[name] for row in rows if row.get(name) is not None]
    return float(np.mean(found)) if found else None


def _spread(rows: list[tables.Row]) -> str | None:
    """Mean over the seeds, and its standard error."""
    found = [row["accuracy"] for row in rows]
    if len(found) < 2:
        return f"{found[0]:.1f}" if found else None
    return f"{np.mean(found):.1f} ± {np.std(found, ddof=1) / np.sqrt(len(found)):.1f}"


def _plain(rows: list[tables.Row]) -> list[tables.Row]:
    return [row for row in rows if not row.get("disjoint") and not row.get("noise")]


def render(rows: list[tables.Row]) -> str:
    parts = [_by_k(rows), _focus(rows), _variants(rows)]
    return "\n\n".join(part for part in parts if part)


def _by_k(rows: list[tables.Row]) -> str:
    plain = _plain(rows)
    kinds = sorted({(row["side"], row["k"]) for row in plain})
    header = (f"{rows[0]['data']}: accuracy", *(f"{side}×{side}, k = {k}" for side, k in kinds))
    lines = [
        [text, *(_spread(tables.only(plain, side=s, k=k, method=method)) for s, k in kinds)]
        for method, text in METHODS.items()
    ]
    return tables.markdown(header, lines)


def _focus(rows: list[tables.Row]) -> str:
    plain = _plain(rows)
    kinds = sorted({(row["side"], row["k"]) for row in plain})
    header = ("Figure 12: focus", *(f"{side}×{side}, k = {k}" for side, k in kinds))
    lines = []
    for method in ("random", "kernel", "screened", "true"):
        line: list[Any] = [METHODS[method]]
        for side, k in kinds:
            some = tables.only(plain, side=side, k=k, method=method)
            ends = [_value(some, name) for name in ("focus_first", "focus")]
            line.append(f"{ends[0]:.2f} → {ends[1]:.2f}" if some else None)
        lines.append(line)
    return tables.markdown(header, [*lines, ["uniform", *(1 / k for _, k in kinds)]])


def _variants(rows: list[tables.Row]) -> str:
    some = tables.only(rows, k=6, side=8)
    unseen = tables.only(some, disjoint=True)
    noisy = sorted({row.get("noise", 0.0) for row in some})
    if not unseen or len(noisy) < 2:
        return ""
    some = [row for row in some if not row.get("disjoint")]
    columns = [(unseen, PUBLISHED["table 3"])]
    columns += [([r for r in some if r.get("noise", 0.0) == s], PUBLISHED[s]) for s in noisy]
    names = ["table 3: unseen combinations", *(f"table 4: noise {s:g}" for s in noisy)]
    lines = [
        [METHODS[method]]
        + [
            f"{_spread(tables.only(column, method=method))} ({published[method]:.1f})"
            for column, published in columns
        ]
        for method in ("monolithic", "random", "screened")
    ]
    return tables.markdown(("k = 6 (published)", *names), lines)


def draw(rows: list[tables.Row], folder: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    plain = tables.only(_plain(rows), side=8)
    noisy = [row for row in rows if row["k"] == 6 and row["side"] == 8 and not row.get("disjoint")]
    for number, (method, text) in enumerate(METHODS.items()):
        some, style = tables.only(plain, method=method), {"color": f"C{number}", "label": text}
        sizes = sorted({row["k"] for row in some})
        axes[0].plot(sizes, [_value(tables.only(some, k=k)) for k in sizes], "o-", **style)
        some = tables.only(noisy, method=method)
        levels = sorted({row.get("noise", 0.0) for row in some})
        values = [_value([r for r in some if r.get("noise", 0.0) == s]) for s in levels]
        if len(levels) > 1:
            axes[1].plot(levels, values, "o-", **style)
    axes[0].set(xlabel="images k", ylabel="accuracy, %", title="Figure 4b")
    axes[1].set(xlabel="noise in training", xscale="symlog", title="Table 4: k = 6", xlim=(0, 40))
    axes[1].set_xscale("symlog", linthresh=0.3)
    for ax in axes:
        ax.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    figure.savefig(folder / PICTURE, dpi=110)
    pyplot.close(figure)
