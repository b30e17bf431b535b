"""Integrated gradients: completeness of every rule, exactness over paths, speed and memory.

*Completeness*: the largest |δ| = |Σ attributions - (F(x) - F(x'))| over some inputs, baseline zero,
for each rule and number of gradients; random networks of the thesis's kinds, and an LSTM that was
trained to count (`counting_network`), whose probabilities rise in a step. Of the methods that
choose their points the mean number of gradients and of further values of F is told. *Paths*: the
largest difference between integrated gradients and the sum over all paths, or over a group and its
complement. *Speed*: milliseconds of the processor on one thread for one attribution with equal
points, ours and captum's (where torch and captum are installed; attributions agree to captum's
rounding of α), the median of ratios measured in turns; then the same on our graph with all points
at once against one at a time and against central differences. *Memory*: peak of what Python
allocates.
"""

import statistics
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tables

from pympf.explain import IncompleteWarning, IntegratedGradients, Paths
from pympf.explain.examples import (
    attention_network,
    counting_network,
    recurrent_network,
    relu_network,
)
from pympf.nets import graph as G

TITLE = "Attribution: completeness of rules, paths, speed and memory"
PICTURE = "attribution.png"

NETWORKS = {
    "GRU": (lambda: recurrent_network("gru", 16, 32), (12, 16)),
    "LSTM": (lambda: recurrent_network("lstm", 16, 32), (12, 16)),
    "attention": (lambda: attention_network(12, 32), (12, 32)),
    "ReLU 64-64": (lambda: relu_network(20, 64, 64, 5), (20,)),
    "ReLU 256-256-256": (lambda: relu_network(20, 256, 256, 256, 5), (20,)),
}
RULES = ("riemann_left", "riemann_middle", "riemann_trapezoid", "simpson", "gausslegendre")
RULES += ("composite",)
STEPS = (16, 32, 64, 128, 256, 512, 1024, 2048)
CHOOSING = (("adaptive", 1e-2), ("adaptive", 1e-3), ("adaptive", 1e-6), ("kinks", 1e-3))
SPEED = ("MLP 20-64-64", "MLP 256-512-512", "LSTM 12 × 16, 32 units")
SPEED += ("LSTM 20 × 64, 128 units", "attention 12 × 32", "attention 32 × 64")


# ---- what to measure -----------------------------------------------------------------------------
def points(tiny: bool) -> list[dict[str, Any]]:
    return [{**point, "threads": 1} for point in (_tiny() if tiny else _full())]


def _tiny() -> Iterator[dict[str, Any]]:
    yield {"part": "completeness", "network": "ReLU 64-64", "inputs": 1, "steps": [16]}
    yield {"part": "chosen", "network": "trained LSTM", "inputs": 1}
    yield {"part": "paths"}
    yield {"part": "speed", "network": "attention 12 × 32", "samples": 1}
    yield {"part": "one by one", "samples": 1}
    yield {"part": "memory", "steps": 8, "chunk": 4, "units": 8}


def _full() -> Iterator[dict[str, Any]]:
    inputs = {"ReLU 256-256-256": 3, "attention": 5, "trained LSTM": 40}
    for network in (*NETWORKS, "trained LSTM"):
        some = {"network": network, "inputs": inputs.get(network, 10)}
        yield {"part": "completeness", **some, "steps": list(STEPS)}
        yield {"part": "chosen", **some}
    yield {"part": "paths"}
    for network in SPEED:
        yield {"part": "speed", "network": network, "samples": 11}
    yield {"part": "one by one", "samples": 11}
    for steps, chunk in ((64, 64), (2048, 64), (2048, 2048)):
        yield {"part": "memory", "steps": steps, "chunk": chunk, "units": 128}


# ---- measuring -----------------------------------------------------------------------------------
def run(part: str, threads: int = 1, **point: Any) -> dict[str, Any]:
    warnings.simplefilter("ignore", IncompleteWarning)
    parts: dict[str, Callable[..., dict[str, Any]]] = {
        "completeness": run_completeness,
        "chosen": run_chosen,
        "paths": run_paths,
        "speed": run_speed,
        "one by one": run_one_by_one,
        "memory": run_memory,
    }
    return {"part": part, "threads": threads, **point, **parts[part](**point)}


def run_completeness(network: str, inputs: int, steps: list[int]) -> dict[str, Any]:
    measure = _measured(network, inputs)
    return {"fixed": [measure(method, 1e-3, n) for method in RULES for n in steps]}


def run_chosen(network: str, inputs: int) -> dict[str, Any]:
    measure = _measured(network, inputs)
    return {"chosen": [measure(method, tol, 50) for method, tol in CHOOSING]}


def _measured(network: str, inputs: int) -> Callable[[str, float, int], dict[str, Any]]:
    """Give what attributes some inputs by a method and tells of its deltas."""
    if network == "trained LSTM":
        counter = counting_network()
        forward, X = counter.forward, counter.embedded[:inputs]
        targets = counter.counts[:inputs].tolist()
    else:
        make, shape = NETWORKS[network]
        forward = make()
        X, targets = np.random.default_rng(0).standard_normal((inputs, *shape)), [0] * inputs
    explain = IntegratedGradients(forward)

    def measure(method: str, tol: float, n: int) -> dict[str, Any]:
        start = time.process_time()
        found = [
            explain.attribute(x, target=t, method=method, n_steps=n, tol=tol)
            for x, t in zip(X, targets, strict=True)
        ]
        deltas = [abs(result.delta) for result in found]
        return {
            "method": method,
            "tol": tol,
            "n_points": float(np.mean([result.n_points for result in found])),
            "n_values": float(np.mean([result.n_values for result in found])),
            "largest": max(deltas),
            "median": statistics.median(deltas),
            "cpu_s": (time.process_time() - start) / inputs,
        }

    return measure


def small_graph(x: Any) -> Any:
    """Six paths from x to the output."""
    A, B = np.random.default_rng(1).standard_normal((2, 4, 5))
    a, b = G.tanh(x @ A).named("a"), G.sigmoid(x @ B).named("b")
    c = G.tanh(a * b + b).named("c")
    d = (G.relu(b - 0.4) + a).named("d")
    e = (c * d).named("e")
    return G.sum(G.tanh(e + c) * np.arange(5.0), 1).named("y")


def run_paths() -> dict[str, Any]:
    x = np.random.default_rng(0).standard_normal(4)
    every = list(G.Graph(small_graph(G.variable(x[np.newaxis], "inputs"))).paths("inputs", "y"))
    names = {"a", "b", "c", "d", "e"}
    groups = {str(p): Paths(p[1:-1], sorted(names - set(p))) for p in every}
    groups |= {"c": Paths(["c"]), "not c": Paths(avoid=["c"])}
    groups |= {"alone": Paths(["b", "c"], ["d"]), "others": Paths(["b", "c"], ["d"], others=True)}
    result = IntegratedGradients(small_graph).attribute(x, paths=groups, method="composite")
    found = result.paths

    def gap(*parts: str) -> float:
        return float(abs(sum(found[part] for part in parts) - result.attributions).max())

    return {
        "paths": len(every),
        "all_paths": gap(*map(str, every)),
        "node": gap("c", "not c"),
        "complement": gap("alone", "others"),
        "delta": abs(result.delta),
    }


def run_speed(network: str, samples: int) -> dict[str, Any]:
    try:
        import captum.attr
        import torch
    except ImportError:
        return {"captum_ms": None, "ours_ms": None, "ratio": None, "difference": None}
    import attributed

    torch.set_num_threads(1)
    torch.manual_seed(0)
    module, forward, shape, n = attributed.speed_cases(torch)[network]
    x = np.random.default_rng(0).standard_normal(shape) * 2
    batch = torch.tensor(x)[None]
    theirs, explain = captum.attr.IntegratedGradients(module), IntegratedGradients(forward)

    def captum_s() -> Any:
        options = {"target": 0, "n_steps": n, "return_convergence_delta": True}
        return theirs.attribute(batch, **options)

    def ours() -> Any:
        return explain.attribute(x, target=0, n_steps=n, method="gausslegendre")

    times = _in_turns([captum_s, ours], samples)
    difference = abs(captum_s()[0].numpy()[0] - ours().attributions).max()
    return {
        "points": n,
        "captum_ms": 1e3 * statistics.median(a for a, _ in times),
        "ours_ms": 1e3 * statistics.median(b for _, b in times),
        "ratio": statistics.median(a / b for a, b in times),
        "points_per_s": n / statistics.median(b for _, b in times),
        "difference": float(difference),
    }


def _in_turns(calls: list[Callable[[], Any]], samples: int) -> list[list[float]]:
    """Processor seconds of each call, one after the other, so many times."""
    for call in calls:
        call()
    times = []
    for _ in range(samples):
        row = []
        for call in calls:
            start = time.process_time()
            call()
            row.append(time.process_time() - start)
        times.append(row)
    return times


def run_one_by_one(samples: int, n: int = 128, width: int = 64) -> dict[str, Any]:
    forward = relu_network(width, 64, 5)
    x = np.random.default_rng(0).standard_normal(width)
    explain, h = IntegratedGradients(forward), 1e-5
    alphas = np.linspace(0, 1, n)

    def attribute(batch: int) -> Any:
        options = {"method": "riemann_trapezoid", "n_steps": n, "internal_batch_size": batch}
        return explain.attribute(x, target=0, **options).attributions

    def differences() -> Any:
        moves, total = h * np.vstack([np.eye(width), -np.eye(width)]), np.zeros(width)
        for k, alpha in enumerate(alphas):
            F = forward(alpha * x + moves).value[:, 0]
            total += (0.5 if k in (0, n - 1) else 1) * (F[:width] - F[width:]) / (2 * h)
        return total * x / (n - 1)

    calls = [lambda: attribute(64), lambda: attribute(1), differences]
    times = _in_turns(calls, samples)
    return {
        "n": n,
        "width": width,
        "one_by_one": statistics.median(b / a for a, b, _ in times),
        "differences": statistics.median(c / a for a, _, c in times),
        "gap": float(abs(attribute(64) - differences()).max()),
    }


def run_memory(steps: int, chunk: int, units: int) -> dict[str, Any]:
    explain = IntegratedGradients(recurrent_network("lstm", 64, units))
    x = np.random.default_rng(0).standard_normal((20, 64))
    tracemalloc.start()
    explain.attribute(x, target=0, n_steps=steps, internal_batch_size=chunk, method="composite")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"peak_bytes": peak}


# ---- showing -------------------------------------------------------------------------------------
def render(rows: list[tables.Row]) -> str:
    parts = [_render_completeness(rows), _render_choosing(rows), _render_paths(rows)]
    return "\n\n".join([*parts, _render_speed(rows), _render_memory(rows)])


def _render_completeness(rows: list[tables.Row]) -> str:
    some = tables.only(rows, part="completeness")
    steps = sorted({n for row in some for n in row["steps"]})
    lines = []
    for row in some:
        for method in tables.values(row["fixed"], "method"):
            found = [r["largest"] for r in tables.only(row["fixed"], method=method)]
            by_step = dict(zip(row["steps"], found, strict=True))
            lines.append([f"{row['network']}, {method}", *(by_step.get(n) for n in steps)])
    return tables.markdown(["largest δ, points of a fixed rule", *map(str, steps)], lines)


def _render_choosing(rows: list[tables.Row]) -> str:
    lines = [
        [
            f"{row['network']}, {r['method']}, tol {r['tol']:g}",
            *(r[key] for key in ("n_points", "n_values", "largest", "median")),
            1e3 * r["cpu_s"],
        ]
        for row in tables.only(rows, part="chosen")
        for r in row["chosen"]
    ]
    header = ["chosen points", "gradients", "values", "largest δ", "median δ", "CPU ms"]
    return tables.markdown(header, lines)


def _render_paths(rows: list[tables.Row]) -> str:
    lines = []
    for row in tables.only(rows, part="paths"):
        lines.append([f"sum over all {row['paths']} paths", row["all_paths"]])
        lines.append(["through a node + avoiding it", row["node"]])
        lines.append(["a group + its complement", row["complement"]])
        lines.append(["δ of these attributions", row["delta"]])
    return tables.markdown(["groups of paths", "largest difference from all"], lines)


def _render_speed(rows: list[tables.Row]) -> str:
    some = tables.only(rows, part="speed")
    keys = ("captum_ms", "ours_ms", "ratio", "points_per_s", "difference")
    lines = [[row["network"], *(row.get(key) for key in keys)] for row in some]
    ratios = [row["ratio"] for row in some if row["ratio"] is not None]
    if ratios:
        lines.append(["geometric mean", None, None, statistics.geometric_mean(ratios), None, None])
    for row in tables.only(rows, part="one by one"):
        lines.append(["one point at a time / batched", None, None, row["one_by_one"], None, None])
        text = f"central differences of {row['width']} inputs / batched"
        lines.append([text, None, None, row["differences"], None, row["gap"]])
    header = ["speed", "captum ms", "ours ms", "ratio", "our points/s", "largest difference"]
    return tables.markdown(header, lines)


def _render_memory(rows: list[tables.Row]) -> str:
    some = tables.only(rows, part="memory")
    lines = [
        [f"{r['steps']} steps in chunks of {r['chunk']}", r["peak_bytes"] / 2**20] for r in some
    ]
    return tables.markdown(["memory, LSTM 20 × 64, 128 units", "peak MiB"], lines)


def draw(rows: list[tables.Row], folder: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    some = tables.only(rows, part="completeness")
    figure, axes = pyplot.subplots(
        2, (len(some) + 1) // 2, figsize=(12, 7), layout="constrained", squeeze=False
    )
    for ax, row in zip(axes.flat, some, strict=False):
        for method in tables.values(row["fixed"], "method"):
            found = tables.only(row["fixed"], method=method)
            line = [(r["n_points"], max(r["largest"], 1e-17)) for r in found]
            ax.plot(*zip(*line, strict=True), ".-", linewidth=1, label=method)
        (chosen,) = tables.only(rows, part="chosen", network=row["network"])
        for method, marker in (("adaptive", "k*"), ("kinks", "r^")):
            found = tables.only(chosen["chosen"], method=method)
            line = [(r["n_points"], max(r["largest"], 1e-17)) for r in found]
            ax.plot(*zip(*line, strict=True), marker, markersize=8, label=method)
        ax.set(xscale="log", yscale="log", title=row["network"], xlabel="gradients")
        ax.grid(alpha=0.3)
    axes[0, 0].set_ylabel("largest |δ|")
    axes[1, 0].set_ylabel("largest |δ|")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    figure.savefig(folder / PICTURE, dpi=110)
    pyplot.close(figure)
