"""Points that an error of a quarter of the variance needs on the sine task with m = k modules
(algorithm 2, from 512 points on, to half a power of two): figure 4a with a target that means
something, for the paper's 1.5 is the loss of predicting zero. Each number is of another draw of the
task. The monolithic network has four hidden layers of 128 and is trained for 3000 steps; more than
16 384 points are not tried. The last column is the theory's number for the best size of a
monolithic model, c = 1.15, Ω = 1.57. What grows for pursuit is the search: directions that were
tried at most, and seconds of one core for the whole search for n.
"""

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import tables

from pympf import nets

TITLE = "Modular networks: sample complexity"
PICTURE = "modular_samples.png"
ERROR = 0.25


def points(tiny: bool) -> list[dict[str, Any]]:
    if tiny:
        size = {"m": 1, "seed": 0, "start": 6, "most": 7, "threads": 1}
        return [{"method": "pursuit", **size}, {"method": "monolithic", **size, "steps": 5}]
    common = {"start": 9, "most": 14, "threads": 1}
    found = []
    for m in (2, 3, 4, 5, 6):
        found += [{"method": "pursuit", "m": m, "seed": seed, **common} for seed in range(5)]
        if m <= 5:
            start = {2: 8, 3: 11}.get(m, 13)
            one = {"method": "monolithic", "m": m, **common, "start": start, "steps": 3000}
            found += [one | {"seed": seed} for seed in range(3 if m == 3 else 1)]
    return found


def run(
    method: str,
    m: int,
    seed: int,
    start: int,
    most: int,
    steps: int = 0,
    threads: int = 1,
) -> dict[str, Any]:
    f = nets.SineWaves(m, seed=500 + seed)
    X_test = f.sample(3000, seed=1)
    y_test = f(X_test)
    tried = 0

    def train(n: int) -> float:
        nonlocal tried
        if n < 10:  # pursuit refuses so few
            return 1.0
        X = f.sample(n, seed=2)
        if method == "pursuit":
            model: Any = nets.pursuit(X, f(X), patience=2, seed=seed)
            tried = max(tried, model.starts)
        else:
            model = nets.Monolithic(m, seed=seed).fit(X, f(X), steps=steps, seed=seed)
        return float(np.square(model.predict(X_test) - y_test).mean() / y_test.var())

    began = time.process_time()
    found = nets.sample_complexity(train, ERROR, start=start, most=most, tolerance=0.55)
    return {
        "n": found.n if np.isfinite(found.n) else None,
        "above": found.bracket[0],
        "evaluations": [[n, error] for n, error in found.evaluations.items()],
        "starts": tried,
        "cpu_s": time.process_time() - began,
    }


def render(rows: list[tables.Row]) -> str:
    header = ("m = k", "pursuit, median", "each seed", "monolithic", "ratio", "directions tried")
    header += ("CPU s of a search", "theory, monolithic")
    lines = []
    for m in tables.values(rows, "m"):
        mine = tables.only(rows, m=m, method="pursuit")
        others = tables.only(rows, m=m, method="monolithic")
        middle = _median(mine)
        other = _median(others)
        lines.append(
            [
                str(m),
                middle,
                ", ".join(str(row["n"] or f"> {row['above']}") for row in mine),
                ", ".join(str(row["n"] or f"> {row['above']}") for row in others) or None,
                other / middle if other and middle else None,
                max((row["starts"] for row in mine), default=None),
                statistics.median([row["cpu_s"] for row in mine]) if mine else None,
                float(nets.samples_needed(ERROR, None, m)),
            ]
        )
    return tables.markdown(header, lines)


def _bound(row: tables.Row) -> float:
    """What was needed, or what was not enough."""
    return row["n"] or row["above"]


def _median(rows: list[tables.Row]) -> float | None:
    return float(statistics.median([_bound(row) for row in rows])) if rows else None


def draw(rows: list[tables.Row], folder: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5.5, 4), layout="constrained")
    for method, color in (("pursuit", "C0"), ("monolithic", "C3")):
        some = tables.only(rows, method=method)
        sizes = tables.values(some, "m")
        line = [_median(tables.only(some, m=m)) for m in sizes]
        axes.plot(sizes, line, "o-", color=color, label=method)
        for row in some:
            marker = "." if row["n"] else "^"
            axes.plot(row["m"], _bound(row), marker, color=color, alpha=0.5)
    m = np.arange(2, 6)
    axes.plot(m, nets.samples_needed(ERROR, None, m), "k:", label="theory, monolithic")
    axes.set(xlabel="m = k", ylabel="points for error/variance 0.25", yscale="log", ylim=(30, 1e6))
    axes.set_title("Sample complexity (triangles: not enough)")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(folder / PICTURE, dpi=110)
    pyplot.close(figure)
