"""Model patches, the thesis's tables 4.2 and 4.3 and figure 4.5, on small images: a network of
39 370 parameters for 16 × 16 pixels in place of Inception V3 and MobileNetV2, CIFAR-10 (a JPEG
edition), Fashion-MNIST, scikit-learn's digits and Omniglot (242 characters, 15 drawers) in place of
ImageNet, COCO, Places-365, Flowers, Cars and Aircraft, which are not reproduced. `PYMPF_IMAGES`
names the folder of the first, second and fourth. Published numbers are printed beside ours where
the sets of parameters are the same; they are of other images and networks.

*Source*: CIFAR-10 (50 000 images, 3 epochs), which of four rotations (20 000 of them, 3 epochs), or
random weights. Every set of parameters is trained with Adam, a cosine and batches of 64 at some
rates (the last layer alone on cached features, 30 epochs); **the rate is chosen on held-out images,
never on the test**, and the accuracies on the test images are means over the seeds at that rate.
For Omniglot and from rotations, that take longest, the rate of all but the last layer is the one
that Fashion-MNIST's held-out images have chosen.
*Parameters* are those that are trained; statistics are not counted, as in the thesis. Seconds are
those of the processor.
"""

import time
from pathlib import Path
from typing import Any, NamedTuple

import measure
import numpy as np
import tables
from images import FOLDER, collection, there

from pympf.nets import patches
from pympf.nets._checks import random_numbers

TITLE = "Model patches: transfer, random weights, learning rates"
PICTURE = "patches.png"
SIDE = 16

RATES = {
    "last": (0.03, 0.1, 0.3),
    "statistics+last": (0.03, 0.1, 0.3),
    "scale-bias": (0.02, 0.06),
    "scale-bias+last": (0.02, 0.05),
    "depthwise": (0.01, 0.03),
    "depthwise+last": (0.01, 0.03),
    "scale-bias+depthwise": (0.01, 0.03),
    "scale-bias+depthwise+last": (0.01, 0.03),
    "all": (0.003, 0.01),
}
"""What is trained, and the rates that are tried."""

CHOSEN = {
    "statistics+last": 0.1,
    "scale-bias": 0.06,
    "scale-bias+last": 0.05,
    "depthwise": 0.03,
    "depthwise+last": 0.03,
    "scale-bias+depthwise": 0.03,
    "scale-bias+depthwise+last": 0.03,
    "all": 0.01,
}
"""What the held-out images of Fashion-MNIST have chosen: for the targets that take longest."""

NAMES = {
    "last": "last layer",
    "statistics+last": "statistics + last",
    "scale-bias": "S/B (random last)",
    "scale-bias+last": "S/B + last",
    "depthwise": "DW (random last)",
    "depthwise+last": "DW + last",
    "scale-bias+depthwise": "S/B + DW (random last)",
    "scale-bias+depthwise+last": "S/B + DW + last",
    "all": "all",
}

EPOCHS = {"fashion-mnist": 4, "digits": 12, "omniglot": 8, "cifar-10": 6}
SEEDS = 3
"""Seeds at the rate that was chosen."""

FIGURE = (0.001, 0.003, 0.01, 0.03, 0.1)
"""Rates of figure 4.5."""


# ---- what to measure -----------------------------------------------------------------------------
def points(tiny: bool) -> list[dict[str, Any]]:
    if tiny:
        common = {"source": "random", "target": "digits", "seeds": 1, "images": 60}
        sets = ("last", "scale-bias", "all")
        found = [{"part": "transfer", **common, "train": train} for train in sets]
        found += [{"part": "rates", "target": "digits", "train": "all", "images": 60}]
        return [point | {"threads": 1} for point in ({"part": "arithmetic"}, *found)]
    if not there():
        raise FileNotFoundError(f"expected {FOLDER} to name the folder of the images")
    found = [{"part": "arithmetic"}, {"part": "source", "source": "cifar-10"}]
    for train in ("last", "scale-bias", "scale-bias+last", "all"):
        found.append({"part": "rates", "target": "fashion-mnist", "train": train, "images": 4000})
    for source, target, sets in (
        ("cifar-10", "fashion-mnist", [*RATES]),
        ("random", "fashion-mnist", ["statistics+last", "scale-bias", "scale-bias+last", "all"]),
        ("cifar-10", "digits", [*RATES]),
        ("cifar-10", "omniglot", [*RATES]),
        ("rotation", "cifar-10", ["last", "scale-bias", "scale-bias+last"]),
    ):
        for train in sets:
            point = {"source": source, "target": target, "train": train, "seeds": SEEDS}
            point |= {"images": 6000}
            if target in ("omniglot", "cifar-10") and train != "last":
                point["rates"] = [CHOSEN[train]]
            found.append({"part": "transfer", **point})
    return [point | {"threads": 1} for point in found]


def run(part: str, threads: int = 1, **point: Any) -> dict[str, Any]:
    start = time.process_time()
    parts = {
        "arithmetic": run_arithmetic,
        "source": run_source,
        "transfer": run_transfer,
        "rates": run_rates,
    }
    return parts[part](**point) | {"cpu_s": time.process_time() - start}


# ---- images --------------------------------------------------------------------------------------
class Images(NamedTuple):
    """Images to train with, to choose the rate with, and to test with."""

    train: tuple[np.ndarray, np.ndarray]
    held_out: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    n_classes: int


def split(name: str, images: int) -> Images:
    """Hold some of the training images out; of Omniglot the last two drawers of 15."""
    found = collection(name, SIDE)
    order = random_numbers(0, "held out").permutation(len(found.y_train))
    if name == "omniglot":  # each character has its drawers one behind the other
        places = np.arange(len(order)).reshape(-1, 15)
        order = np.concatenate([places[:, :13].ravel(), places[:, 13:].ravel()])
        cut = places[:, :13].size
    elif name == "cifar-10":
        order, cut = order[:12_000], 10_000
    else:
        cut = min(images, len(order) - 300)
    parts = [(found.X_train[w], found.y_train[w]) for w in (order[:cut], order[cut:])]
    return Images(parts[0], parts[1], (found.X_test, found.y_test), found.n_classes)


# ---- sources -------------------------------------------------------------------------------------
def flip(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half of the images, left and right changed."""
    mirrored = rng.random(images.shape[1]) < 0.5
    images = images.copy()
    images[:, mirrored] = images[:, mirrored, :, ::-1]
    return images


def pretrained(source: str, seed: int = 0) -> patches.Network:
    """The network of a source; it is trained once and kept."""
    if source == "random":
        return patches.residual_network((3, SIDE, SIDE), 10, seed=seed)
    kept = measure.SCRATCH / f"patches_{source}.h5"
    if not kept.exists():
        found = collection("cifar-10", SIDE)
        X, y, n_classes, epochs, augment = found.X_train, found.y_train, 10, 3, flip
        if source == "rotation":
            rng = random_numbers(0, "rotation")
            X, y = X[rng.permutation(len(X))[:20_000]], rng.integers(0, 4, 20_000)
            X = np.stack([np.rot90(x, k, axes=(1, 2)) for x, k in zip(X, y, strict=True)])
            n_classes, epochs, augment = 4, 3, None
        network = patches.residual_network((3, SIDE, SIDE), n_classes)
        network.fit(X, y, epochs=epochs, learning_rate=5e-3, augment=augment)
        network.save(kept)
    return patches.Network.load(kept)


def run_source(source: str) -> dict[str, Any]:
    network, found = pretrained(source), collection("cifar-10", SIDE)
    return {"accuracy": 100 * network.score(found.X_test, found.y_test), "counts": network.count()}


# ---- transfer ------------------------------------------------------------------------------------
def accuracies(
    network: patches.Network, images: Images, train: str, rate: float, epochs: int, seed: int
) -> tuple[float, float, patches.Transferred]:
    """Accuracy on the held-out and on the test images of a new patch."""
    epochs = 30 if train in ("last", "statistics+last") else epochs
    options = {"learning_rate": rate, "epochs": epochs, "seed": seed}
    n_classes = images.n_classes
    done = patches.transfer(network, *images.train, train, n_classes=n_classes, **options)
    found = [100 * network.score(*part) for part in (images.held_out, images.test)]
    network.set_patch(None)
    network.delete_patch(done.name)
    return found[0], found[1], done


def base(source: str, images: Images, seed: int = 0) -> patches.Network:
    network = pretrained(source, seed)
    if source == "random":  # with any other statistics nothing passes a random network
        network.recompute_statistics(images.train[0])
    return network


def run_transfer(
    source: str,
    target: str,
    train: str,
    seeds: int,
    images: int,
    rates: list[float] | None = None,
) -> dict[str, Any]:
    found = split(target, images)
    network, epochs = base(source, found), EPOCHS[target]
    tried, tests = {}, []
    if rates is None:
        first = {}
        for rate in RATES[train]:
            tried[rate], first[rate], _ = accuracies(network, found, train, rate, epochs, 0)
        best = max(tried, key=tried.get)
        tests.append(first[best])
    else:
        (best,) = rates
    whole = found
    if target == "omniglot":  # with few images a class, the held-out ones are wanted back
        pairs = zip(found.train, found.held_out, strict=True)
        whole, tests = found._replace(train=tuple(map(np.concatenate, pairs))), []
    for seed in range(len(tests), seeds):
        tests.append(accuracies(base(source, found, seed), whole, train, best, epochs, seed)[1])
    learned, share = counted(network, train, found.n_classes)
    return {
        "parameters": learned,
        "share": share,
        "rate": best,
        "held_out": {str(rate): value for rate, value in tried.items()},
        "accuracies": tests,
        "accuracy": float(np.mean(tests)),
    }


def counted(network: patches.Network, train: str, n_classes: int) -> tuple[int, float]:
    """Parameters that a set trains, and their share of all."""
    patch = patches.patch_of(train, n_classes)
    network.add_patch("counted", patch)
    network.set_patch("counted")
    counts = network.count()
    learned = sum(counts[group] for group in patch.groups)
    return learned, learned / counts["all"]


def run_rates(target: str, train: str, images: int) -> dict[str, Any]:
    """Figure 4.5: test accuracy at each rate."""
    tiny = target == "digits"
    found = split(target, images)
    network = base("random" if tiny else "cifar-10", found)
    rates = FIGURE[2:3] if tiny else FIGURE
    tests = {}
    for rate in rates:
        _, test, done = accuracies(network, found, train, rate, 3, 0)
        tests[str(rate)] = test
    return {"parameters": done.parameters, "tests": tests}


# ---- arithmetic ----------------------------------------------------------------------------------
def run_arithmetic() -> dict[str, Any]:
    """What the thesis's counts come to from the architecture."""
    counts = patches.mobilenet_v2().count()
    body, patch = counts["all"] - counts["last"], counts["scale-bias"]
    places = 1280 * 365 + 365
    last = {str(classes): 2048 * classes + classes for classes in (100, 102, 196)}
    return {
        "counts": counts,
        "inception_last": last,
        "table_4_3": {"last": counts["last"], "last and patch": counts["last"] + patch},
        "table_4_4": {
            "S/B + last private": counts["all"] + places + patch,
            "last private": counts["all"] + places,
            "independent": 2 * body + counts["last"] + places,
        },
        "table_4_5": {
            "S/B private": counts["all"] + 4 * patch,
            "all shared": counts["all"],
            "independent": 5 * counts["all"],
        },
    }


# ---- tables --------------------------------------------------------------------------------------
PUBLISHED = {
    "last": ("84.5, 55, 45.9", "29.2, 0"),
    "scale-bias+last": ("90.4, 81, 70.7", "47.8, 20"),
    "scale-bias": ("79.5, 33, 52.3", "6.4, 2.3"),
    "all": ("93.3, 92.3, 87.3", "71.8, 71.8"),
}
"""Of tables 4.2 (Flowers, Cars, Aircraft) and 4.3 (from COCO, from random, to ImageNet)."""

PRINTED = (
    ("S/B parameters of MobileNetV2", "34K", ("counts", "scale-bias")),
    ("DW parameters", "< 3 %", ("counts", "depthwise")),
    ("all parameters", "3.5M", ("counts", "all")),
    ("last layer of Inception V3, Flowers (102)", "208K", ("inception_last", "102")),
    ("the same, Cars (196)", "402K", ("inception_last", "196")),
    ("the same, Aircraft (100, not 102)", "205K", ("inception_last", "100")),
    ("table 4.3: last", "1.31M", ("table_4_3", "last")),
    ("table 4.3: S/B + last", "1.35M", ("table_4_3", "last and patch")),
    ("table 4.4: S/B + last private", "3.97M", ("table_4_4", "S/B + last private")),
    ("table 4.4: last private", "3.93M", ("table_4_4", "last private")),
    ("table 4.4: independent", "6.05M", ("table_4_4", "independent")),
    ("table 4.5: S/B private", "3.7M", ("table_4_5", "S/B private")),
    ("table 4.5: all shared", "3.5M", ("table_4_5", "all shared")),
    ("table 4.5: independent", "17.7M", ("table_4_5", "independent")),
)


def render(rows: list[tables.Row]) -> str:
    parts = [_arithmetic(rows), _transfer(rows), _random(rows), _rates(rows)]
    return "\n\n".join(part for part in parts if part)


def _arithmetic(rows: list[tables.Row]) -> str:
    found = tables.only(rows, part="arithmetic")
    lines = [[name, printed, row[a][b]] for row in found for name, printed, (a, b) in PRINTED]
    return tables.markdown(("counted from the architecture", "thesis", "here"), lines)


def _cell(row: tables.Row) -> str:
    spread = max(row["accuracies"]) - min(row["accuracies"])
    more = f" ± {spread / 2:.1f}" if len(row["accuracies"]) > 1 else ""
    return f"{row['accuracy']:.1f}{more} ({row['rate']:g})"


def _table(rows: list[tables.Row], first: str, published: int, text: str) -> str:
    columns = list(dict.fromkeys((row["source"], row["target"]) for row in rows))
    header = [first, "parameters", *(f"{a} → {b}" for a, b in columns), text]
    lines = []
    for train, name in NAMES.items():
        some = tables.only(rows, train=train)
        if not some:
            continue
        counts = {c: row["parameters"] for c in columns for row in _of(some, c)}
        cells = [(_cell(row) for row in _of(some, c)) for c in columns]
        numbers = " / ".join(tables.text(count) for count in dict.fromkeys(counts.values()))
        printed = PUBLISHED[train][published] if train in PUBLISHED else None
        lines.append([name, numbers, *(next(cell, None) for cell in cells), printed])
    return tables.markdown(header, lines) if lines else ""


def _of(rows: list[tables.Row], column: tuple[str, str]) -> list[tables.Row]:
    return tables.only(rows, source=column[0], target=column[1])


def _transfer(rows: list[tables.Row]) -> str:
    some = [row for row in tables.only(rows, part="transfer") if row["source"] == "cifar-10"]
    text = "published: Flowers, Cars, Aircraft"
    return _table(some, "Table 4.2: accuracy, % (rate)", 0, text)


def _random(rows: list[tables.Row]) -> str:
    some = [row for row in tables.only(rows, part="transfer") if row["source"] != "cifar-10"]
    return _table(some, "Table 4.3: accuracy, % (rate)", 1, "published: COCO, random → ImageNet")


def _rates(rows: list[tables.Row]) -> str:
    found = tables.only(rows, part="rates")
    if not found:
        return ""
    rates = list(found[0]["tests"])
    lines = [
        [NAMES[row["train"]], row["parameters"], *(f"{row['tests'][r]:.1f}" for r in rates)]
        for row in found
    ]
    return tables.markdown(("Figure 4.5: accuracy, % at rate", "parameters", *rates), lines)


def draw(rows: list[tables.Row], folder: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for number, row in enumerate(tables.only(rows, part="rates")):
        rates, values = [float(r) for r in row["tests"]], list(row["tests"].values())
        style = {"color": f"C{number}", "label": NAMES[row["train"]]}
        axes[0].plot(rates, values, "o-", **style)
        sizes = [20 + 40 * i for i in range(len(rates))]
        axes[1].scatter([row["parameters"]] * len(rates), values, s=sizes, alpha=0.6, **style)
    axes[0].set(xscale="log", xlabel="learning rate", ylabel="accuracy, %", title="Figure 4.5")
    title = "the larger the dot, the larger the rate"
    axes[1].set(xscale="log", xlabel="trained parameters", title=title, xlim=(1e3, 1e5))
    for ax in axes:
        ax.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    figure.savefig(folder / PICTURE, dpi=110)
    pyplot.close(figure)
