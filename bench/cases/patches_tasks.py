"""Networks that share all but a patch, and what biases alone can do (thesis, chapter 4). Accuracies
in per cent of test images; every table says what the thesis has, on ImageNet, Places-365 and
MobileNetV2, which are not reproducible here.

*Table 4.4*: CIFAR-10 and Fashion-MNIST together at 16 × 16 pixels, 5000 images of each, 312 batches
of 64. *Table 4.5*: Fashion-MNIST at 16, 12 and 8 pixels (bilinear, anti-aliased), 5000 images, 702
batches. The network has 39 370 parameters; Adam at 0.005 falling along a cosine; means over seeds.
`PYMPF_IMAGES` names the folder of the images; without it the tasks are shape and texture of
generated scenes. *Server*: CIFAR-10 over MPI, one thread a rank, by one worker and by two in turns:
medians, the median of the turns' ratios, the ratio that the ranks' processor seconds would allow on
two free cores, and the share of time that ranks waited. Two synchronous workers take half of a
batch each; the ratio over one worker with half the batch gives each as many images as that one has.
Asynchronous ones take a whole batch each. Both tasks' asynchronous training, one worker each,
compares with the first line of table 4.4, which is what synchronous training gives, too.
*Figure 4.3*: components of F⁻¹[0.2, 0.4] over the first bias. *Figure 4.4*: a 2-D network that is
trained on two discs (a), then on the right one alone (b): means over seeds on 8192 points.
"""

import functools
import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import images
import measure
import numpy as np
import tables

from pympf.nets import patches

TITLE = "Model patches: several tasks, a parameter server, folding"
PICTURE = "patches_tasks.png"

ALL = ("scale-bias", "depthwise", "pointwise", "last")
TWO = {
    "scale-bias + last private": ("scale-bias", "last"),
    "last private": ("last",),
    "independent": ALL,
}
SIZES = {"scale-bias private": ("scale-bias",), "all shared": (), "independent": ALL}
FIRST_BIASES = (0, -0.075, -0.125, -0.425, -0.475)
COLUMNS = {
    "(A) biases": ("biases",),
    "(B) scales": ("scales",),
    "(C) biases + scales": ("biases", "scales"),
    "(D) biases + scales + logits": ("biases", "scales", "logits"),
    "(E) logits": ("logits",),
    "all": ("weights", "scales", "biases"),
}
PUBLISHED_44 = {
    "scale-bias + last private": "ImageNet 70.2, Places 54.3, 3.97M",
    "last private": "64.4, 51.4, 3.93M",
    "independent": "71.8, 54.2, 6.05M",
}
PUBLISHED_45 = {
    "scale-bias private": "71.8, 69.5, 60.3, 3.7M",
    "all shared": "70.6, 67.2, 52.6, 3.5M",
    "independent": "71.8, 68.8, 60.3, 17.7M",
}


# ---- what to measure -----------------------------------------------------------------------------
def points(tiny: bool) -> list[dict[str, Any]]:
    n, seeds = (64, 1) if tiny else (5000, 5)
    real = images.there() and not tiny
    two = ["cifar-10", "fashion-mnist"] if real else ["shape", "texture"]
    if tiny:  # quicker than scenes
        two = ["digits", "digits"]
    found: list[dict[str, Any]] = []
    for seed in range(seeds):
        size = {"n": n, "seed": seed}
        for way in TWO:
            steps = 2 if tiny else 312
            found.append({"part": "two", "way": way, "data": two, "steps": steps, **size})
        for way in SIZES:
            steps = 2 if tiny else 702
            data = ["fashion-mnist"] if real else two[:1]
            found.append({"part": "sizes", "way": way, "data": data, "steps": steps, **size})
    mpirun = shutil.which(os.environ.get("MPIRUN", "mpirun"))
    if mpirun and importlib.util.find_spec("mpi4py"):
        server = {"data": two, "n": n}
        speed = {"turns": 1, "steps": 3} if tiny else {"turns": 5, "steps": 60}
        batches = [16, 32] if tiny else [64, 128, 256]
        found.append({"part": "speed", **server, **speed, "batches": batches})
        found.append({"part": "asynchronous", **server, "steps": 2 if tiny else 312})
    found.append({"part": "folds", "k": 2 if tiny else 3})
    found += [
        {"part": "plane", "seed": seed, "epochs": 1 if tiny else 90}
        for seed in range(1 if tiny else 5)
    ]
    return [{**point, "threads": 1} for point in found]


# ---- measuring -----------------------------------------------------------------------------------
def run(part: str, threads: int = 1, **point: Any) -> dict[str, Any]:
    start = time.process_time()
    parts = {"two": run_two, "sizes": run_sizes}
    parts |= {name: functools.partial(run_job, name) for name in ("speed", "asynchronous")}
    parts |= {"folds": run_folds, "plane": run_plane}
    return parts[part](**point) | {"cpu_s": time.process_time() - start}


def make(data: list[str], n: int, side: int = 16, seed: int = 0) -> list[Any]:
    """Give tasks of a collection each, with their test images."""
    made = []
    for number, name in enumerate(data):
        found = images.collection(name, side)
        order = np.random.default_rng([seed, number]).permutation(len(found.X_train))[:n]
        net = patches.residual_network((3, side, side), found.n_classes, seed=seed)
        task = patches.Task(net, found.X_train[order], found.y_train[order])
        tests = min(n, 4000)
        made.append((task, found.X_test[:tests], found.y_test[:tests]))
    return made


def scores(made: list[Any]) -> list[float]:
    return [task.network.score(X, y) for task, X, y in made]


def run_two(way: str, data: list[str], n: int, steps: int, seed: int) -> dict[str, Any]:
    made = make(data, n, seed=seed)
    told = patches.train_tasks([one[0] for one in made], TWO[way], steps=steps, seed=seed)
    return _found(made, told)


def run_sizes(way: str, data: list[str], n: int, steps: int, seed: int) -> dict[str, Any]:
    made = [make(data, n, side, seed)[0] for side in (16, 12, 8)]
    told = patches.train_tasks([one[0] for one in made], SIZES[way], steps=steps, seed=seed)
    return _found(made, told)


def _found(made: list[Any], told: patches.TaskTraining) -> dict[str, Any]:
    """Accuracies as trained, and when each network then measures statistics of its own task."""
    found = {"accuracies": scores(made), "parameters": told.n_parameters}
    for task, _, _ in made:
        task.network.recompute_statistics(task.X)
    return found | {"recomputed": scores(made)}


def run_job(part: str, **point: Any) -> dict[str, Any]:
    """Measure on three ranks."""
    job = Path(__file__).with_name("_patches_job.py")
    command = [str(measure.ROOT / "tests/mpi/run"), "3", sys.executable]
    done = subprocess.run(
        [*command, str(job), json.dumps(point | {"part": part})],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


def run_folds(k: int) -> dict[str, Any]:
    rest = [[0, 0, 0]] * (k - 1)
    hundredths = range(0, -51, -1)
    counts = {
        method: [
            patches.components([[f"{i / 100}", 0, 0], *rest], ("0.2", "0.4"), method=method)
            for i in hundredths
        ]
        for method in ("intervals", "formula")
    }
    return counts | {"biases": [i / 100 for i in hundredths]}


def plane(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of [-1, 1]², the classes (a): in a disc, and (b): in the right one."""
    X = np.random.default_rng(seed).uniform(-1, 1, (8192, 2))
    right, left = (np.hypot(X[:, 0] - x, X[:, 1]) < 0.32 for x in (0.5, -0.5))
    return X, (right | left).astype(int), right.astype(int)


def run_plane(seed: int, epochs: int) -> dict[str, Any]:
    X, a, b = plane(seed)
    random = patches.ScaleBiasNetwork(seed=seed)
    trained = random.copy().fit(X, a, epochs=epochs)
    grid = _grid()
    found: dict[str, Any] = {"on_a": trained.score(X, a), "trivial": float(1 - b.mean())}
    for start, net in (("pretrained", trained), ("random", random)):
        found[start], found[f"{start}_map"] = [], []
        for train in COLUMNS.values():
            fitted = net.copy().fit(X, b, train=train, epochs=epochs)
            found[start].append(fitted.score(X, b))
            found[f"{start}_map"].append(fitted.outputs(grid).argmax(axis=1).tolist())
    if seed:
        found["pretrained_map"] = found["random_map"] = []
    return found


def _grid(points: int = 60) -> np.ndarray:
    at = (np.arange(points) + 0.5) / points * 2 - 1
    return np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)


# ---- tables --------------------------------------------------------------------------------------
def render(rows: list[tables.Row]) -> str:
    parts = [_tasks(rows, "two", PUBLISHED_44), _tasks(rows, "sizes", PUBLISHED_45)]
    parts += [_closed(rows), _server(rows), _folds(rows), _plane(rows)]
    return "\n\n".join(part for part in parts if part)


def _tasks(rows: list[tables.Row], part: str, published: dict[str, str]) -> str:
    rows = tables.only(rows, part=part)
    if not rows:
        return ""
    data = list(rows[0]["data"]) if part == "two" else [f"{s} pixels" for s in (16, 12, 8)]
    number = {"two": "4.4", "sizes": "4.5"}[part]
    header = (f"table {number}: private", *data, "parameters", "seeds", f"thesis, {number}")
    lines = []
    for way, words in published.items():
        of = tables.only(rows, way=way)
        if not of:
            continue
        mean = 100 * np.mean([row["accuracies"] for row in of], axis=0)
        lines.append([way, *_words(mean), of[0]["parameters"], len(of), words])
        again = [row["recomputed"] for row in of if "recomputed" in row]
        if again and "scale-bias" not in (TWO | SIZES)[way]:
            mean = 100 * np.mean(again, axis=0)
            lines.append([f"{way}, statistics recomputed", *_words(mean), None, len(again), None])
    return tables.markdown(header, lines)


def _words(percent: np.ndarray) -> list[str]:
    return [f"{value:.1f}" for value in percent]


def _closed(rows: list[tables.Row]) -> str:
    rows = tables.only(rows, part="sizes")
    if not all(tables.only(rows, way=way) for way in SIZES):
        return ""
    ours, shared, alone = (
        np.mean([row["accuracies"] for row in tables.only(rows, way=way)], axis=0) for way in SIZES
    )
    gap = alone - shared
    shares = [
        f"{100 * (own - low) / wide:.0f} %" if wide > 0 else "no gap"
        for own, low, wide in zip(ours, shared, gap, strict=True)
    ]
    return (
        f"Of the gap between all shared and independent, private patches close {', '.join(shares)}."
    )


def _server(rows: list[tables.Row]) -> str:
    header = ("server", "batch", "images/s of one worker", "of two", "ratio")
    header += ("by processor seconds", "over one with half the batch")
    header += ("workers waited", "server waited", "message, KiB")
    lines: list[list[Any]] = []
    for row in tables.only(rows, part="speed"):
        speed = row["images_per_s"]
        for mode, batch in itertools.product(("synchronous", "asynchronous"), row["batches"]):
            one, two = (speed[f"{mode}, {workers}, {batch}"] for workers in (1, 2))
            half = speed.get(f"{mode}, 1, {batch // 2}") if mode == "synchronous" else None
            waited = [f"{100 * share:.0f} %" for share in row["waited"][f"{mode}, 2, {batch}"]]
            line = [mode, batch, float(np.median(one)), float(np.median(two)), _ratio(two, one)]
            line += [f"{_quiet(row, mode, batch):.2f}", _ratio(two, half) if half else None]
            line += [f"{waited[1]}, {waited[2]}", waited[0], f"{row['message_bytes'] / 1024:.0f}"]
            lines.append(line)
    text = tables.markdown(header, lines) if lines else ""
    for row in tables.only(rows, part="asynchronous"):
        accuracies = ", ".join(_words(100 * np.array(row["accuracies"])))
        late = ", ".join(map(str, row["staleness"]))
        text += f"\n\nAsynchronous training of both tasks: {accuracies}; "
        text += f"updates by staleness 0, 1, 2, …: {late}."
    return text.strip()


def _ratio(more: list[float], less: list[float]) -> str:
    return f"{np.median(np.divide(more, less)):.2f}"


def _quiet(row: tables.Row, mode: str, batch: int) -> float:
    """The ratio that the ranks' processor seconds allow on two free cores.

    Synchronous: workers work at the same time, and the server before and after them. Asynchronous:
    all at the same time, on two cores.
    """
    one, two = (np.median(row["cpu"][f"{mode}, {workers}, {batch}"], axis=0) for workers in (1, 2))
    if mode == "synchronous":
        return float(one.sum() / (two[0] + two[1:].max()))
    return float(max(one.sum() / 2, *one) / max(two.sum() / 2, *two))


def _folds(rows: list[tables.Row]) -> str:
    lines = []
    for row in tables.only(rows, part="folds"):
        for k in range(2, row["k"] + 1):
            rest = [[0, 0, 0]] * (k - 1)
            counts = [
                patches.components([[b, 0, 0], *rest], (0.2, 0.4), method="formula")
                for b in FIRST_BIASES
            ]
            lines.append([f"components, k = {k}", *counts])
        same = row["intervals"] == row["formula"]
    header = ("figure 4.3: first bias", *(f"{bias:g}" for bias in FIRST_BIASES))
    if not lines:
        return ""
    words = "agree" if same else "DIFFER"
    text = f"Formula and intervals {words} at 51 biases from 0 to -0.5."
    return f"{tables.markdown(header, lines)}\n\n{text}"


def _plane(rows: list[tables.Row]) -> str:
    rows = tables.only(rows, part="plane")
    if not rows:
        return ""
    header = ("figure 4.4: accuracy on (b)", *COLUMNS)
    lines = [
        [f"from {start}", *(f"{v:.3f}" for v in np.mean([row[start] for row in rows], axis=0))]
        for start in ("pretrained", "random")
    ]
    trivial = np.mean([row["trivial"] for row in rows])
    text = f"Means over {len(rows)} seeds; always answering one class: {trivial:.3f}."
    return f"{tables.markdown(header, lines)}\n\n{text}"


# ---- pictures ------------------------------------------------------------------------------------
def draw(rows: list[tables.Row], folder: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(11, 7.2), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[1, 1.75])
    _draw_folds(upper.subplots(1, 4, sharey=True))
    row = next((row for row in tables.only(rows, part="plane") if row["pretrained_map"]), None)
    if row is not None:
        _draw_plane(lower.subplots(2, len(COLUMNS) + 1), row)
    figure.savefig(folder / PICTURE, dpi=100)
    plt.close(figure)


def _draw_folds(axes: Any) -> None:
    """Figure 4.3: F for k = 2, and what lies in [0.2, 0.4]."""
    x = np.linspace(-0.1, 1.1, 1201)
    for axis, bias in zip(axes, FIRST_BIASES, strict=False):
        biases = [[bias, 0, 0], [0, 0, 0]]
        axis.plot(x, patches.fold_function(x, biases), color="black", linewidth=1)
        axis.axhspan(0.2, 0.4, color="tab:blue", alpha=0.2, linewidth=0)
        parts = patches.preimage(biases, (0.2, 0.4))
        for first, last in parts:
            axis.plot([float(first), float(last)], [0.3, 0.3], color="tab:red", linewidth=3)
        axis.set_title(f"b = {bias:g}: {len(parts)} components", fontsize=9)
    axes[0].set_ylabel("F(x)")


def _draw_plane(axes: Any, row: tables.Row) -> None:
    """Figure 4.4: classes (a) and (b), then what each column answers on (b)."""
    grid = _grid()
    inside = [np.hypot(grid[:, 0] - x, grid[:, 1]) < 0.32 for x in (0.5, -0.5)]
    maps = [inside[0] | inside[1], *row["pretrained_map"]], [inside[0], *row["random_map"]]
    names = [["(a)", *COLUMNS], ["(b)", *COLUMNS]]
    for line, (pictures, titles, start) in enumerate(
        zip(maps, names, ("pretrained", "random"), strict=True)
    ):
        values = [None, *row[start]]
        for axis, picture, title, value in zip(axes[line], pictures, titles, values, strict=True):
            axis.imshow(
                np.reshape(picture, (60, 60)), origin="lower", cmap="coolwarm", vmin=0, vmax=1
            )
            words = title if value is None else f"{title}\n{start}: {value:.3f}"
            axis.set_title(words.replace(" + logits", "\n+ logits"), fontsize=7)
            axis.set_axis_off()
