"""Questions about scenes of handwritten digits, answered from sketches alone.

The pipeline of `pympf.sketch.pipeline` sees scenes of 1 to 4 digits of scikit-learn's data set
(those it was not fitted to): edges, parts, objects, scene. Its activations take the bytes of the
first column in float32; a sketch takes 4 d. The module of each object and the number of objects are
known where a question names them; nothing else is.

How many: frequencies of all ten digits, each rounded, and the share that is exact. How big: root
mean square error of an object's height in pixels (10 to 22 of 64); a guess of the mean has 4.5.
Same scene: each scene is seen again with noise of 2 % in every pixel; the share of sketches whose
nearest one among all is that of the same scene. Which part: the share of objects whose unrolled
sketch is nearest to their own among the objects of 20 scenes. Kept: the prefix that is left after
erasure. All attributes: the largest error when the graph is known and least squares find all at
once.
"""

from pathlib import Path
from typing import Any

import numpy as np
import tables

from pympf.sketch import (
    Graph,
    Scheme,
    Sketch,
    nearest,
    recover_attributes,
    recover_frequency,
    recover_jointly,
    unroll,
)
from pympf.sketch.pipeline import SIDE, Pipeline, make_scene

TITLE = "Sketches of a pipeline"

KEPT = (1.0, 0.5, 0.25, 0.125)


def points(tiny: bool) -> list[dict[str, Any]]:
    sizes: list[dict[str, Any]] = [{"d": 1050, "b": 42}, {"d": 4128, "b": 48}]
    sizes += [{"d": 4096, "family": "orthonormal"}, {"d": 16416, "b": 54}]
    return [{"scenes": 4 if tiny else 40, **size} for size in (sizes[:1] if tiny else sizes)]


def run(scenes: int, **sizes: Any) -> dict[str, Any]:
    pipeline, drawn, noisy = _scenes(scenes)
    graphs = [pipeline.graph(scene.image) for scene in drawn]
    scheme = Scheme(seed=1, **sizes)
    sketches = scheme.sketch_many(graphs)
    again = scheme.sketch_many([pipeline.graph(image) for image in noisy])
    row: dict[str, Any] = {
        "activation_bytes": int(np.mean([pipeline.activation_bytes(s.image) for s in drawn])),
        "sketch_bytes": 4 * scheme.d,
        "kept": {},
    }
    known = [  # of objects of the first scenes
        (g, name[0], sketch)
        for g, graph in enumerate(graphs[:20])
        for name, sketch in scheme.object_sketches(graph).items()
        if name[1] == "object"
    ]
    for fraction in KEPT:
        kept = max(1, int(fraction * scheme.d))
        left = [sketch.erase(kept) for sketch in sketches]
        row["kept"][f"{fraction:g}"] = _answers(scheme, graphs, left, again, known)
    errors = []
    for graph, sketch in zip(graphs[:3], sketches, strict=False):
        found = recover_jointly(scheme, sketch, graph).attributes
        errors += [abs(found[n] - o.attributes).max() for n, o in graph.objects.items()]
    row["joint_error"] = float(max(errors))
    return row


def _scenes(count: int) -> tuple[Pipeline, list[Any], list[np.ndarray]]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = digits.images / 16, digits.target
    fitted = 900 if count > 4 else 100
    pipeline = Pipeline().fit(images[:fitted], labels[:fitted])
    rng = np.random.default_rng(0)
    scenes = [
        make_scene(images[900:], labels[900:], int(rng.integers(1, 5)), rng) for _ in range(count)
    ]
    noisy = [np.clip(s.image + 0.02 * rng.standard_normal(s.image.shape), 0, 1) for s in scenes]
    return pipeline, scenes, noisy


def _objects(graph: Graph) -> list[Any]:
    return [made for name, made in graph.objects.items() if name[1] == "object"]


def _how(objects: list[Any], i: int, size: int) -> dict[str, Any]:
    """How the attributes of an object are asked for."""
    alone = [made.module for made in objects].count(objects[i].module) == 1
    return {"path": (i + 1,), "estimator": "full" if alone else "index_own", "size": size}


def _height(x: np.ndarray) -> float:
    high, low = np.maximum(x[:2], 0)
    return SIDE / 2 * high / max(high + low, 1e-12)


def _answers(
    scheme: Scheme,
    graphs: list[Graph],
    sketches: list[Sketch],
    again: list[Sketch],
    known: list[tuple[int, int, Sketch]],
) -> dict[str, float]:
    counts, heights, scenes, parts = [], [], [], []
    for g, (graph, sketch) in enumerate(zip(graphs, sketches, strict=True)):
        objects = _objects(graph)
        modules, weight = [made.module for made in objects], 1 / len(objects)
        for digit in (f"digit {n}" for n in range(10)):
            found = recover_frequency(scheme, sketch, digit, weight)
            counts.append(round(found.value) == modules.count(digit))
        for i, made in enumerate(objects):
            how = _how(objects, i, 2)
            value = recover_attributes(scheme, sketch, made.module, weight, **how).value
            heights.append(_height(value) - _height(made.attributes))
            if g < 20:
                best = nearest(unroll(scheme, sketch, (i + 1,), weight), [s for *_, s in known])
                parts.append(known[best][:2] == (g, i))
        scenes.append(nearest(again[g], sketches) == g)
    return {
        "counts": float(np.mean(counts)),
        "height": float(np.sqrt(np.mean(np.square(heights)))),
        "scenes": float(np.mean(scenes)),
        "parts": float(np.mean(parts)),
    }


def render(rows: list[tables.Row]) -> str:
    header = ("d", "matrices", "activations: bytes", "sketch: bytes kept", "smaller by", "how many")
    header += ("how big: pixels", "same scene", "which part", "all attributes")
    lines = []
    for row in rows:
        for fraction, found in row["kept"].items():
            kept = int(float(fraction) * row["sketch_bytes"])
            line = [str(row["d"]), row.get("family", "block"), f"{row['activation_bytes']}"]
            line += [str(kept), f"{row['activation_bytes'] / kept:.0f}"]
            line += [f"{found['counts']:.1%}", f"{found['height']:.1f}"]
            line += [f"{found['scenes']:.0%}", f"{found['parts']:.0%}"]
            lines.append([*line, f"{row['joint_error']:.0e}" if fraction == "1" else ""])
    return tables.markdown(header, lines)


def draw(rows: list[tables.Row], folder: Path) -> None:
    """Four scenes: what was there, and what a sketch tells of it."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    pipeline, scenes, _ = _scenes(40)
    scenes = scenes[:4]
    scheme = Scheme(16416, b=54, seed=1)
    figure, axes = plt.subplots(1, 4, figsize=(11, 3.4))
    for ax, scene in zip(axes, scenes, strict=True):
        graph = pipeline.graph(scene.image)
        sketch, objects = scheme.sketch(graph), _objects(graph)
        weight, told = 1 / len(objects), []
        for n in range(10):
            count = round(recover_frequency(scheme, sketch, f"digit {n}", weight).value)
            if count:
                told.append(f"{count} × {n}")
        for i, made in enumerate(objects):
            how = _how(objects, i, 10)
            x = recover_attributes(scheme, sketch, made.module, weight, **how).value
            high = _height(x)
            middle = [SIDE * x[at] / max(x[at] + x[at + 1], 1e-12) for at in (4, 6)]
            corner = (middle[1] - high / 2, middle[0] - high / 2)
            ax.add_patch(plt.Rectangle(corner, high, high, fill=False, color="tab:orange"))
        ax.imshow(scene.image, cmap="gray_r")
        ax.set(xticks=[], yticks=[], title=", ".join(told))
    figure.suptitle("Boxes and counts are read from sketches of 16416 numbers", fontsize=9)
    figure.tight_layout()
    figure.savefig(folder / "sketch_scenes.png", dpi=110)
    plt.close(figure)
