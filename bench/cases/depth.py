"""Depth compression: what "Obstacles to depth compression of neural networks" proves, measured, and
what stands in for its experiments, which are not in the text. `docs/depth.md` has the verdict.

*Parities*: networks of NN(Λ, d) that are exact parities of n bits; the norm of every layer next to
n^(1/2d), below which there is none; the largest error on all corners (up to 16 bits) or on 4000.
*Lemma 1*: total variation of the recovered distribution, exact on 2^10 lines, for maps with drawn
values and slopes, for parity networks with noise on their weights, and for the adversary. The
*student* (256 hidden units, no bound on its norm) is trained on f = Λ^d x_(n+1) over D_h: it can
learn h, or read x_(n+1). *Queries*: parities that one answer rules out, of 4096, over 400 queries
(any, halfspaces, parities, sparse). *Distillation*: the teacher is a tree of ReLU layers on k of 30
bits; students are trained on its outputs at 12 288 corners (40 epochs of Adam, batches of 128) and
tested on 4096 others, or see layers of the teacher first (hints "teacher's layer → student's
layer"); medians of the seeds, accuracy is the share of right signs. *Gadget*: √2 sin(3π‖x‖²) on the
ball, 16 384 points, error over variance on 8192 others. Seconds are those of the processor.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tables

from pympf import nets

TITLE = "Depth compression: norms of parities, Lemma 1, queries, distillation, Theorem 3"
PICTURE = "depth.png"

BITS = 30
STUDENTS = {"1 × 512": [512], "3 × 128": [128] * 3, "2 × 256": [256] * 2}
HINTED = [(8, "3 × 128", [[1, 1]]), (8, "2 × 256", []), (8, "2 × 256", [[2, 1]])]
HINTED += [(16, "3 × 128", [[1, 1], [2, 2], [3, 3]])]
HINTED += [(16, "2 × 256", []), (16, "2 × 256", [[2, 1], [4, 2]])]
PARITIES = [("triangle", n, d) for n, d in ((4, 1), (12, 2), (11, 3), (64, 3), (729, 3), (256, 4))]
PARITIES += [("triangle", 190, 10), ("relu", 12, 2), ("relu", 10, 3), ("relu", 62, 3)]
PARITIES += [("tree", 16, 5), ("tree", 64, 7)]
LEMMA = [(2.0, 3), (3.0, 3), (2.5, 4)]
TAUS = (0.02, 0.05, 0.1, 0.2)
UNITS = (64, 256, 1024)


# ---- what to measure -----------------------------------------------------------------------------
def points(tiny: bool) -> list[dict[str, Any]]:
    return [{**point, "threads": 1} for point in (_tiny() if tiny else _full())]


def _tiny() -> Iterator[dict[str, Any]]:
    yield {"part": "parity", "kind": "triangle", "n": 6, "depth": 3}
    yield {"part": "influence", "networks": 6}
    yield {"part": "lemma", "norm": 2.0, "depth": 3, "maps": 4, "bits": 5}
    yield {"part": "reduction", "norm": 2.0, "depth": 3, "k": 2, "n": 6, "train": 256}
    yield {"part": "queries", "tau": 0.1, "n": 6, "queries": 8}
    yield {"part": "finding", "n": 8, "noise": 0.1, "draws": 2}
    for hints in ([], [[1, 1]]):
        yield _distill(2, "2 × 256", hints, seeds=1, train=256)
    yield {"part": "control", "teacher": "trained", "train": 256}
    yield {"part": "gadget", "n": 2, "train": 256}
    yield {"part": "slices", "n": 2, "depth": 5, "train": 512, "units": 16}


def _full() -> Iterator[dict[str, Any]]:
    for kind, n, depth in PARITIES:
        yield {"part": "parity", "kind": kind, "n": n, "depth": depth}
    yield {"part": "influence", "networks": 300}
    for norm, depth in LEMMA:
        yield {"part": "lemma", "norm": norm, "depth": depth, "maps": 67, "bits": 10}
    for norm, depth in ((2.0, 3), (3.0, 4), (3.0, 6)):
        for k in (3, 8):
            size = {"n": 16, "train": 12_288}
            yield {"part": "reduction", "norm": norm, "depth": depth, "k": k, **size}
    for tau in TAUS:
        yield {"part": "queries", "tau": tau, "n": 12, "queries": 400}
    for noise, draws in ((0.0, 50), (0.1, 200), (0.3, 200), (0.4, 50)):
        yield {"part": "finding", "n": 16, "noise": noise, "draws": draws}
    for k in (2, 3, 4, 5, 6, 8, 15, 30):
        for student in ("1 × 512", "3 × 128"):
            yield _distill(k, student, [], seeds=3 if k <= 8 else 1)
    for k, student, hints in HINTED:
        yield _distill(k, student, hints, seeds=1)
    for teacher in ("trained", "random"):
        yield {"part": "control", "teacher": teacher, "train": 12_288}
    for n in (2, 4, 8, 12):
        yield {"part": "gadget", "n": n, "train": 16_384}
    for n in (2, 8, 12):
        yield {"part": "slices", "n": n, "depth": 6, "train": 12_288, "units": 256}


def _distill(k: int, student: str, hints: list, seeds: int = 3, train: int = 12_288) -> dict:
    point = {"part": "distill", "k": k, "student": student, "hints": hints}
    return point | {"seeds": seeds, "train": train}


# ---- measuring -----------------------------------------------------------------------------------
def run(part: str, threads: int = 1, **point: Any) -> dict[str, Any]:
    start = time.process_time()
    parts = {
        "parity": run_parity,
        "influence": run_influence,
        "lemma": run_lemma,
        "reduction": run_reduction,
        "queries": run_queries,
        "finding": run_finding,
        "distill": run_distill,
        "control": run_control,
        "gadget": run_gadget,
        "slices": run_slices,
    }
    return parts[part](**point) | {"cpu_s": time.process_time() - start}


def run_parity(kind: str, n: int, depth: int) -> dict[str, Any]:
    if kind == "tree":
        f = nets.parity_tree(range(n), n)
    else:
        f = nets.parity(range(n), n, activation=kind, depth=depth)
    X = nets.corners(n) if n <= 16 else nets.random_corners(n, 4000)
    error = abs(f(X) - nets.parity_values(range(n), X)).max()
    sums = nets.influence(f, n, X[:50])
    return {
        "norm": f.norm_bound(),
        "norms_product": f.lipschitz_bound("frobenius"),
        "layers": f.depth,
        "units": sum(f.sizes[1:]),
        "error": float(error),
        "influence": float(sums.max()),
        "corners": len(X),
    }


def run_influence(networks: int) -> dict[str, Any]:
    """The largest sum of (D_i f)² over the product of the squared norms, on all corners."""
    rng, ratios = np.random.default_rng(0), []
    for seed in range(networks):
        sizes = [int(rng.integers(3, 10)), *rng.integers(1, 20, rng.integers(1, 4)), 1]
        name = ("relu", "triangle", "tanh")[seed % 3]
        f = nets.BoundedNetwork.random(sizes, activation=name, seed=seed)
        bound = f.lipschitz_bound("frobenius") ** 2
        ratios.append(float(nets.influence(f, sizes[0]).max() / bound))
    return {"largest": max(ratios)}


def run_lemma(norm: float, depth: int, maps: int, bits: int) -> dict[str, Any]:
    theorem, rng = nets.theorem1(bits, norm, depth), np.random.default_rng(0)
    X0 = theorem.family.base.points
    found: dict[str, list] = {"drawn": [], "networks": [], "adversary": []}

    def measure(kind: str, g: Any, D: nets.Perturbation) -> None:
        X = D.move(X0)
        error = abs(g(X) - theorem.f(X))
        bounds = nets.recovery_bounds(np.square(error).mean(), theorem.separation, theorem.reach)
        tv = nets.total_variation(nets.recover(theorem.f, g, theorem.family), D)
        beyond = float((error >= bounds.theta).mean())
        found[kind].append([tv, beyond, bounds.markov, bounds.printed])

    for number in range(maps):
        mask = rng.random(bits) < 0.5
        D = theorem.member(mask)
        measure("drawn", _drawn(D, X0, norm ** (depth - 1), rng), D)
        g = nets.parity(np.flatnonzero(mask), bits + 1, depth=depth - 1)
        for W in g.weights:  # still in NN(Λ, d - 1)
            W += rng.normal(0, rng.choice([0.03, 0.1, 0.3]), W.shape)
            W *= min(1, norm / np.linalg.norm(W))
        measure("networks", g, D)
        if number < 5:
            measure("adversary", theorem.adversary(mask, share=0.1 * (number + 1), seed=number), D)
    return {"theta": 1 - theorem.reach, **found}


def _drawn(D: nets.Perturbation, X0: np.ndarray, steepest: float, rng: Any) -> Any:
    """A map with values and slopes along v that are drawn for each line."""
    value = D.sides(X0) + rng.normal(0, rng.choice([0.1, 0.3, 0.6, 1.0]), len(X0))
    slope = rng.uniform(-1, 1, len(X0)) * steepest
    powers = 2 ** np.arange(X0.shape[1] - 1)

    def g(X: np.ndarray) -> np.ndarray:
        corner = (X[:, :-1] < 0) @ powers
        return value[corner] + slope[corner] * X[:, -1]

    return g


def run_reduction(norm: float, depth: int, k: int, n: int, train: int) -> dict[str, Any]:
    """Theorem 1 from end to end: a student of f over D_h, and what it gives away of h."""
    theorem = nets.theorem1(n, norm, depth)
    D = theorem.member(range(k))
    student = nets.BoundedNetwork.random([n + 1, 256, 1], dtype=np.float32)
    found = nets.distill(theorem.f, student, D.sample(train, seed=1), **TRAINING)
    X0, step = D.base.points, D.eta * D.v
    recovered = nets.recover(theorem.f, lambda X: student(X), theorem.family)
    return {
        "error": found.relative_error(D.sample(4096, seed=2)),
        "along": float(abs(student(X0 + step) - student(X0 - step)).mean() / 2),
        "reach": D.eta * student.lipschitz_bound("spectral"),
        "tv": nets.total_variation(recovered, D),
        "learned": bool(np.array_equal(theorem.learn(D.sample(n + 20, seed=3)), np.arange(k))),
    }


def run_queries(tau: float, n: int, queries: int) -> dict[str, Any]:
    rng, X = np.random.default_rng(0), nets.corners(n)
    most: dict[str, int] = {}
    for number in range(queries):
        kind = ("any", "halfspace", "parity", "sparse")[number % 4]
        if kind == "any":
            phi = rng.random((2, len(X)))
        elif kind == "sparse":
            phi = (rng.random((2, len(X))) < 2.0 ** -rng.integers(1, 8)) * 1.0
        elif kind == "halfspace":
            s = (X @ rng.standard_normal(n) > 0) * 1.0
            phi = np.stack([s, 1 - s])
        else:
            h = (1 + nets.parity_values(rng.random(n) < 0.5, X)) / 2
            phi = np.stack([h, 1 - h])
        most[kind] = max(most.get(kind, 0), int(nets.ruled_out(phi, tau).sum()))
    samples = nets.vstat_samples(tau)
    spread = np.sqrt(rng.binomial(samples, 0.3, 100_000) / samples).std()
    return {
        "most": most,
        "bound": 1 / tau**2,
        "samples": samples,
        "spread": float(spread),
        "spread_formula": float(np.sqrt(0.7 / samples) / 2),
    }


def run_finding(n: int, noise: float, draws: int) -> dict[str, Any]:
    """The parity by n + 1 evaluations or pairs of them, and (without noise) by elimination."""
    theorem, rng = nets.theorem1(n, 2.0, 3), np.random.default_rng(1)
    right = eliminated = replaced = 0
    for seed in range(draws):
        mask = rng.random(n) < 0.5
        D = theorem.member(mask, noise=noise, seed=seed)

        def f(X: np.ndarray, D: Any = D) -> np.ndarray:
            return D.sides(np.hstack([X, np.zeros((len(X), 1))]))

        bits = np.flatnonzero(mask)
        found = nets.goldreich_levin(f, n, noise, seed=seed) if noise else nets.read_parity(f, n)
        right += np.array_equal(found.bits, bits)
        with contextlib.suppress(ValueError, np.linalg.LinAlgError):
            eliminated += np.array_equal(theorem.learn(D.sample(n + 10, seed)), bits)
        if noise == 0 and len(bits):
            tree, X = nets.parity_tree(mask, n), nets.corners(n)
            replaced += abs(nets.compress(tree)(X) - tree(X)).max() <= 1e-12
    pairs = nets.goldreich_levin_pairs(n, noise, 0.025) if noise else None
    counts = {"right": right, "eliminated": eliminated, "replaced": replaced}
    return {name: int(count) for name, count in counts.items()} | {"pairs": pairs}


def run_distill(k: int, student: str, hints: list, seeds: int, train: int) -> dict[str, Any]:
    runs = []
    for seed in range(seeds):
        X = nets.random_corners(BITS, train + train // 3, seed).astype(np.float32)
        sizes = [BITS, *STUDENTS[student], 1]
        net = nets.BoundedNetwork.random(sizes, dtype=np.float32, seed=seed)
        found = nets.distill(
            nets.parity_tree(range(k), BITS), net, X[:train], hints=hints, seed=seed, **TRAINING
        )
        T = X[train:]
        runs.append([found.relative_error(T), found.accuracy(T), found.losses[-1]])
    middle = np.median(runs, axis=0)
    box = nets.compress(nets.parity_tree(range(k), BITS))
    T = nets.random_corners(BITS, 4096, seed=9)
    return {
        "error": float(middle[0]),
        "accuracy": float(middle[1]),
        "training_error": float(middle[2]),
        "accuracies": [run[1] for run in runs],
        "teacher_depth": nets.parity_tree(range(k), BITS).depth,
        "white_box": float(abs(box(T) - nets.parity_values(range(k), T)).max()),
    }


TRAINING = {"learning_rate": 1e-3, "epochs": 40, "batch": 128}


def run_control(teacher: str, train: int) -> dict[str, Any]:
    """A teacher of 6 hidden layers, trained on a smooth function or with random weights."""
    n, rng = 14, np.random.default_rng(1)
    deep = nets.BoundedNetwork.random([n] + [64] * 6 + [1], dtype=np.float32)
    w = rng.standard_normal((n, 3))
    w /= np.linalg.norm(w, axis=0)

    def task(Z: np.ndarray) -> np.ndarray:
        return np.sin(2 * Z @ w[:, 0]) + (Z @ w[:, 1]) * (Z @ w[:, 2])

    Z = rng.standard_normal((train, n)).astype(np.float32)
    own = None
    if teacher == "trained":
        deep.fit(Z[: 2 * train // 3], task(Z[: 2 * train // 3]), **TRAINING | {"epochs": 25})
        rest = Z[2 * train // 3 :]
        own = float(np.square(deep(rest) - task(rest)).mean() / task(rest).var())
    X, T = (rng.standard_normal((m, n)).astype(np.float32) for m in (train, train // 3))
    level, size = deep(X).mean(), deep(X).std()
    student = nets.BoundedNetwork.random([n, 256, 1], dtype=np.float32)
    found = nets.distill(lambda X: (deep(X) - level) / size, student, X, **TRAINING)
    return {"error": found.relative_error(T), "teacher_error": own}


def run_gadget(n: int, train: int) -> dict[str, Any]:
    g, wave = nets.gadget(n), nets.RadialWave(1.5)
    X = nets.Ball(n).sample(3 * train // 2)
    by_hand = float(np.square(g(X) - wave(X)).mean() / wave(X).var())
    random = [nets.locally_compressible(g, X, 3, units)[0].relative for units in UNITS]
    X32, Y = X.astype(np.float32) * 2 * np.sqrt(n), wave(X)  # coordinates of size 1
    trained = []
    for hidden in ([256], [96, 96]):
        h = nets.BoundedNetwork.random([n, *hidden, 1], dtype=np.float32)
        h.fit(X32[:train], Y[:train], learning_rate=3e-3, epochs=20, batch=128)
        trained.append(float(np.square(h(X32[train:]) - Y[train:]).mean() / Y[train:].var()))
    return {"by_hand": by_hand, "random": random, "trained": trained, "norms": g.norms()}


def run_slices(n: int, depth: int, train: int, units: int) -> dict[str, Any]:
    """The staggered product: errors of the gadget that a slice of four layers holds, and of all."""
    g = nets.gadget(n)
    f, flat = nets.staggered(g, depth), nets.product(*[g] * (depth - 3))
    X = np.hstack([nets.Ball(n).sample(train, seed) for seed in range(depth - 3)])
    slices = [
        # Copy i ends at layer i + 3, behind the outputs of the copies before it.
        [e.first, e.last, float(e.outputs[i] / e.variance[i]), e.error]
        for i, e in enumerate(nets.locally_compressible(f, X, 4, units))
    ]
    return {"slices": slices, "flat": float(abs(f(X) - flat(X)).max()), "norm": f.norm_bound()}


# ---- table and picture ---------------------------------------------------------------------------
def render(rows: list[tables.Row]) -> str:
    parts = [
        _parities,
        _lemma,
        _reductions,
        _queries,
        _finding,
        _distilled,
        _controls,
        _gadgets,
        _slices,
    ]
    return "\n\n".join(text for part in parts if (text := part(rows)))


def _table(header: tuple[str, ...], lines: list[list[Any]]) -> str:
    return tables.markdown(header, lines) if lines else ""


def _parities(rows: list[tables.Row]) -> str:
    header = ("exact parity of n bits", "n", "layers", "units", "largest norm", "n^(1/2d)")
    header += ("largest error", "corners", "influence")
    lines = [
        [
            {"triangle": "triangle wave", "relu": "ReLU", "tree": "tree of ReLU"}[row["kind"]],
            row["n"],
            row["layers"],
            row["units"],
            f"{row['norm']:.4f}",
            f"{row['n'] ** (0.5 / row['layers']):.4f}",
            f"{row['error']:.0e}",
            row["corners"],
            f"{row['influence']:.6g}",
        ]
        for row in tables.only(rows, part="parity")
    ]
    text = _table(header, lines)
    for row in tables.only(rows, part="influence"):
        text += (
            f"\n\nOn {row['networks']} random networks Σ(D_i f)² is at most {row['largest']:.3f} "
            "of the product of the squared norms."
        )
    return text


def _lemma(rows: list[tables.Row]) -> str:
    header = ("Lemma 1", "Λ", "d", "θ", "maps", "largest TV", "largest TV/(ε/θ²)")
    header += ("violations of ε/θ²", "of 16ε/Δ²")
    lines = []
    for row in tables.only(rows, part="lemma"):
        for kind in ("drawn", "networks", "adversary"):
            tv, beyond, markov, printed = np.array(row[kind]).T
            ratio = (tv[markov > 0] / markov[markov > 0]).max(initial=0.0)
            name = {"drawn": "drawn values and slopes", "networks": "noisy parity networks"}
            lines.append(
                [
                    name.get(kind, "adversary"),
                    row["norm"],
                    row["depth"],
                    row["theta"],
                    len(tv),
                    float(tv.max()),
                    f"{ratio:.4f}",
                    int((tv > np.minimum(markov, beyond + 1) * (1 + 1e-9)).sum()),
                    int((tv > printed * (1 + 1e-9)).sum()),
                ]
            )
    return _table(header, lines)


def _reductions(rows: list[tables.Row]) -> str:
    header = ("student of f over D_h", "Λ", "d", "η", "error/variance", "change along ηv")
    header += ("ηΛ^d of the student, at most 0.5 for Lemma 1", "TV of what it gives away")
    header += ("h by elimination",)
    lines = []
    for row in tables.only(rows, part="reduction"):
        line = [f"h of {row['k']} of {row['n']} bits", row["norm"], row["depth"]]
        line += [row["norm"] ** -row["depth"], row["error"], row["along"], row["reach"], row["tv"]]
        lines.append([*line, row["learned"]])
    return _table(header, lines)


def _queries(rows: list[tables.Row]) -> str:
    kinds = ("any", "halfspace", "parity", "sparse")
    header = ("most parities ruled out, by query", *kinds, "1/τ²", "samples for τ", "sd of √p̂")
    header += ("((1-p)/m)^(1/2)/2",)
    lines = []
    for row in tables.only(rows, part="queries"):
        most = [row["most"].get(kind) for kind in kinds]
        spread = [f"{row[name]:.3g}" for name in ("spread", "spread_formula")]
        name = f"τ = {row['tau']}, n = {row['n']}"
        lines.append([name, *most, row["bound"], row["samples"], *spread])
    return _table(header, lines)


def _finding(rows: list[tables.Row]) -> str:
    header = ("finding the parity", "n", "evaluations", "found", "by elimination, n + 10 samples")
    header += ("tree replaced, ≤ 1e-12",)
    lines = []
    for row in tables.only(rows, part="finding"):
        evaluations = f"{row['pairs']} × n pairs" if row["pairs"] else f"{row['n'] + 1}"
        of = f"/{row['draws']}"
        replaced = f"{row['replaced']}{of}" if row["noise"] == 0 else None
        line = [f"noise {row['noise']}", row["n"], evaluations, f"{row['right']}{of}"]
        lines.append([*line, f"{row['eliminated']}{of}", replaced])
    return _table(header, lines)


def _hints(row: tables.Row) -> str:
    return ", ".join(f"{theirs} → {ours}" for theirs, ours in row["hints"]) or "none"


def _distilled(rows: list[tables.Row]) -> str:
    header = ("relevant bits of 30", "layers of the teacher", "student", "hints", "seeds")
    header += ("error/variance", "accuracy", "training error", "white box, largest error", "s")
    lines = []
    for row in tables.only(rows, part="distill"):
        line = [f"{row['k']}", row["teacher_depth"], row["student"], _hints(row), row["seeds"]]
        line += [
            row["error"],
            f"{row['accuracy']:.3f}",
            row["training_error"],
            f"{row['white_box']:.0e}",
        ]
        lines.append([*line, row["cpu_s"]])
    return _table(header, lines)


def _controls(rows: list[tables.Row]) -> str:
    header = ("teacher of 6 hidden layers", "its own test error/variance", "student 1 × 256")
    some = tables.only(rows, part="control")
    return _table(header, [[row["teacher"], row["teacher_error"], row["error"]] for row in some])


def _gadgets(rows: list[tables.Row]) -> str:
    header = ("gadget", "by hand, 3 layers", *(f"one hidden layer of {u}" for u in UNITS))
    header += ("1 × 256 trained", "2 × 96 trained")
    some = tables.only(rows, part="gadget")
    lines = [[f"n = {r['n']}", r["by_hand"], *r["random"], *r["trained"]] for r in some]
    return _table(header, lines)


def _slices(rows: list[tables.Row]) -> str:
    header = ("staggered product of Theorem 3", "n", "d", "units", "its gadget, error/variance")
    header += ("all outputs, error",)
    lines = []
    for row in tables.only(rows, part="slices"):
        size = [row["n"], row["depth"], row["units"]]
        lines += [[f"layers {a} to {b}", *size, own, every] for a, b, own, every in row["slices"]]
        lines.append(
            ["all of it in 3 layers, largest difference", *size[:2], None, None, row["flat"]]
        )
    return _table(header, lines)


def draw(rows: list[tables.Row], folder: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(10, 7.5), layout="constrained")
    _draw_norms(axes[0, 0], rows)
    _draw_lemma(axes[0, 1], rows)
    _draw_distilled(axes[1, 0], rows)
    _draw_gadget(axes[1, 1], rows)
    for ax in axes.flat:
        ax.grid(alpha=0.3)
        ax.legend(fontsize=7)
    figure.savefig(folder / PICTURE, dpi=110)
    pyplot.close(figure)


def _draw_norms(ax: Any, rows: list[tables.Row]) -> None:
    n = np.geomspace(2, 1000, 50)
    some = tables.only(rows, part="parity")
    for depth, color in {2: "tab:green", 3: "tab:blue", 4: "tab:red", 10: "tab:purple"}.items():
        ax.plot(n, n ** (0.5 / depth), color=color, linewidth=1, label=f"n^(1/2d), d = {depth}")
        for kind, marker in (("triangle", "o"), ("relu", "s")):
            found = [(r["n"], r["norm"]) for r in tables.only(some, kind=kind, depth=depth)]
            if found:
                ax.plot(*zip(*found, strict=True), marker, color=color, markersize=6)
    ax.axhline(1, color="black", linewidth=1, linestyle="--", label="Lemma 2 as printed: Λ = 1")
    ax.set(xscale="log", yscale="log", xlabel="bits", ylabel="norm of every layer")
    ax.set_title("exact parities (● triangle wave, ■ ReLU)", fontsize=9)


def _draw_lemma(ax: Any, rows: list[tables.Row]) -> None:
    for kind, marker in (("drawn", "."), ("networks", "x"), ("adversary", "D")):
        both = [(p[2], p[0]) for row in tables.only(rows, part="lemma") for p in row[kind]]
        if both:
            ax.plot(*zip(*both, strict=True), marker, markersize=4, label=kind)
    ax.plot([1e-3, 1], [1e-3, 1], "k-", linewidth=1, label="TV = ε/θ²")
    ax.set(xscale="log", yscale="log", xlim=(1e-3, 30), ylim=(5e-4, 1.2))
    ax.set(xlabel="ε/θ²", ylabel="TV")
    ax.set_title("Lemma 1: total variation of what g gives away", fontsize=9)


def _draw_distilled(ax: Any, rows: list[tables.Row]) -> None:
    some = tables.only(rows, part="distill")
    for student in tables.values(some, "student"):
        for hinted, dash, mark in ((False, "-", "o"), (True, "none", "*")):
            found = tables.only(some, student=student)
            line = [(r["k"], r["accuracy"]) for r in found if bool(r["hints"]) == hinted]
            if line:
                label = f"{student}{', hints' if hinted else ''}"
                style = {"linestyle": dash, "markersize": 11 if hinted else 4}
                ax.plot(*zip(*line, strict=True), mark, label=label, **style)
    ax.axhline(1, color="black", linewidth=1, label="white box")
    ax.axhline(0.5, color="gray", linewidth=0.5)
    ax.set(xscale="log", xlabel="relevant bits of 30", ylabel="accuracy of the student")
    ax.set_xticks(*zip(*((k, f"{k}") for k in (2, 3, 4, 5, 8, 15, 30)), strict=True))
    ax.minorticks_off()
    ax.set_title("distilling a tree of products", fontsize=9)


def _draw_gadget(ax: Any, rows: list[tables.Row]) -> None:
    some = tables.only(rows, part="gadget")
    n = [row["n"] for row in some]
    for place, units in enumerate(UNITS):
        errors = [row["random"][place] for row in some]
        ax.plot(n, errors, "o-", ms=4, label=f"one hidden layer, {units}")
    ax.plot(n, [row["trained"][0] for row in some], "s--", ms=4, label="1 × 256 trained")
    ax.plot(n, [row["by_hand"] for row in some], "k^-", ms=5, label="three layers by hand")
    ax.set(yscale="log", xlabel="dimension", ylabel="error/variance")
    ax.set_title("the gadget of Theorem 3", fontsize=9)
