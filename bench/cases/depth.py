"""Depth compression: what "Obstacles to depth compression of neural networks" proves, measured, and
what stands in for its experiments, which are not in the text.
`docs/depth_experiments.md` has the verdict.

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
from typing import Any

import numpy as np

from cases._depth_tables import UNITS, draw, render
from pympf import nets

__all__ = ["TITLE", "draw", "points", "render", "run"]

TITLE = "Depth compression: norms of parities, Lemma 1, queries, distillation, Theorem 3"

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
