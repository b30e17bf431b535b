"""The forward pass of the LSH model against a dense model of equal test error, next to equation 1
of the paper: sparse O(dk log(1/ε)) against dense Ω(d (2√d/(Cε))^k). Inputs are uniform on a
k-dimensional subspace of [-1, 1]^16, 2¹⁶ for training and 2¹³ for the test; the error is the
largest on the test points.

The LSH model (one Euclidean table of 3k functions, constants) has the widest buckets with which its
error is at most ε. The dense model (random bottom layer with bias, exact least squares) is the
first of 16, 23, 32, …, 4096 units with at most the error of the LSH model. Times are seconds of the
processor for one input in batches of 4096, float32, one thread, NumPy and BLAS for dense,
`pympf.lsh` for the hashes. "unseen" is the share of inputs whose bucket no training point fell
into, which look for their nearest neighbour (a tree, not counted in the FLOPs); "known" is the
time without these.

*Bumps* are members of the family behind the lower bound (theorem 4.3), of height 2ε: where the
function looks different at every ε, C is what makes (2√d/(Cε))^k the width found. *Cones* are one
function with Lipschitz constant 1, *polynomial* one of degree 4 in the k coordinates.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tables

from pympf import lsh, nets

TITLE = "Forward pass of LSH models against dense models of equal error"
PICTURE = "networks_forward.png"

D, TRAIN, TEST, BATCH = 16, 2**16, 2**13, 4096
EPS = {1: (0.2, 0.1, 0.05, 0.025, 0.0125), 2: (0.4, 0.2, 0.1, 0.05)}
BUCKET_WIDTHS = np.sqrt(2.0) ** np.arange(6, -5, -1)
"""In units of ε, the widest first."""
UNITS = [round(16 * 2 ** (i / 2)) for i in range(17)]


def points(tiny: bool) -> list[dict[str, Any]]:
    if tiny:
        return [{"target": "bumps", "k": 1, "eps": 0.4, "train": 4096, "threads": 1}]
    return [
        {"target": target, "k": k, "eps": eps, "train": TRAIN, "threads": 1}
        for target in ("bumps", "cones", "polynomial")
        for k in EPS
        for eps in EPS[k]
    ]


def make_target(target: str, domain: nets.Subspace, eps: float) -> Callable[[Any], Any]:
    if target == "bumps":
        return nets.Bumps(domain, height=2 * eps)
    if target == "cones":
        return nets.Lipschitz(domain.sample(32, seed=7), constant=1.0, spread=0.2)
    polynomial = nets.Polynomial(domain.dimension, 4, seed=1)
    return lambda X: polynomial(X @ domain.basis / np.sqrt(D / domain.dimension))


def run(target: str, k: int, eps: float, train: int, threads: int) -> dict[str, Any]:
    domain = nets.Subspace(D, k, seed=1)
    function = make_target(target, domain, eps)
    X, Y = domain.sample(train, seed=1), domain.sample(TEST, seed=2)
    y, z = function(X), function(Y)

    def error(model: nets.Model) -> float:
        return float(abs(model.fit(X, y).predict(Y) - z).max())

    sparse = {"error": np.inf}
    for width in eps * BUCKET_WIDTHS:
        model = nets.LSH(lsh.EuclideanHash(D, 3 * k, width=width, seed=3))
        if (found := error(model)) < sparse["error"]:
            sparse = {"error": found, "width": float(width), **_forward(model, Y)}
            seen = nets.LSH(model.family, fallback="none").fit(X, y).buckets(Y)[:, 0] >= 0
            sparse |= {"buckets": model.width, "unseen": float(1 - seen.mean())}
            sparse |= {"known_s": forward_s(model, Y[seen])}
        if sparse["error"] <= eps:
            break
    full = {"error": np.inf}
    for units in UNITS:
        model = nets.dense(D, units, bias=2.0, seed=5)
        full = {"error": error(model), "units": units, **_forward(model, Y)}
        if full["error"] <= sparse["error"]:
            break
    return {"lsh": sparse, "dense": full, "equation": _ratio(nets.forward_times(D, k, eps))}


def _forward(model: nets.Model, Y: np.ndarray) -> dict[str, Any]:
    cost = model.cost()
    return {"forward_s": forward_s(model, Y), "flops": cost.flops + cost.routing_flops}


def forward_s(model: nets.Model, Y: np.ndarray, samples: int = 9) -> float:
    """Seconds of the processor for one input: the median of batches."""
    batch = np.resize(Y, (BATCH, D)).astype(np.float32)
    model.predict(batch)
    taken = []
    for _ in range(samples):
        start = time.process_time()
        model.predict(batch)
        taken.append(time.process_time() - start)
    return float(np.median(taken)) / BATCH


def _ratio(times: tuple[float, float]) -> float:
    return times[1] / times[0]


# ---- table and picture ---------------------------------------------------------------------------
def render(rows: list[tables.Row]) -> str:
    header = ("target", "k", "ε", "LSH error", "buckets", "unseen", "LSH, µs", "known, µs")
    header += ("dense units", "dense, µs", "time ratio", "FLOP ratio", "equation 1, C=1", "C found")
    return tables.markdown(header, [_line(row) for row in rows])


def reached(row: tables.Row) -> bool:
    return row["dense"]["error"] <= row["lsh"]["error"]


def _line(row: tables.Row) -> list[Any]:
    sparse, full, more = row["lsh"], row["dense"], "" if reached(row) else "> "
    C = 2 * np.sqrt(D) / (row["eps"] * full["units"] ** (1 / row["k"]))
    time_ratio = full["forward_s"] / sparse["known_s"]
    return [
        row["target"],
        row["k"],
        row["eps"],
        sparse["error"],
        sparse["buckets"],
        f"{100 * sparse['unseen']:.2g} %",
        1e6 * sparse["forward_s"],
        1e6 * sparse["known_s"],
        f"{more}{full['units']}",
        more + tables.text(1e6 * full["forward_s"]),
        more + tables.text(time_ratio),
        more + tables.text(full["flops"] / sparse["flops"]),
        row["equation"],
        ("< " if more else "") + tables.text(float(C)),
    ]


def draw(rows: list[tables.Row], folder: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for ax, k in zip(axes, tables.values(rows, "k"), strict=False):
        for target in tables.values(rows, "target"):
            some = tables.only(rows, target=target, k=k)
            eps = [row["eps"] for row in some]
            ratio = [row["dense"]["forward_s"] / row["lsh"]["known_s"] for row in some]
            (line,) = ax.plot(eps, ratio, "o-", label=target, markersize=3)
            beyond = [
                (e, r) for e, r, row in zip(eps, ratio, some, strict=True) if not reached(row)
            ]
            if beyond:
                ax.plot(*zip(*beyond, strict=True), "^", color=line.get_color(), markersize=8)
        some = tables.only(rows, k=k)
        line = sorted({(row["eps"], row["equation"]) for row in some})
        ax.plot(*zip(*line, strict=True), "k--", label="equation 1, C = 1")
        ax.axhline(1, color="gray", linewidth=0.5)
        ax.set(xscale="log", yscale="log", xlabel="ε", title=f"k = {k} (triangles: at least)")
        ax.set_xticks(*zip(*((e, f"{e:g}") for e, _ in line), strict=True))
        ax.minorticks_off()
        ax.invert_xaxis()
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("time of dense / time of LSH")
    axes[0].legend(fontsize=8)
    figure.savefig(folder / PICTURE, dpi=110)
    pyplot.close(figure)
