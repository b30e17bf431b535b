"""The paper on modular networks (001): its theorems by simulation, figure 3, the sine task (figures
4a, 5, 9, 10 and table 2). Errors are mean squares on 3000 new points over their variance; medians
over the seeds. `docs/modular_experiments.md` has the verdict.

*Sine task*: m = k modules of τ = 3 waves; 5000 points up to m = 6, 10⁴ at m = 7, 8, 2·10⁴ beyond;
table 2 has functions of distances and 1000 points. *Monolithic*: four hidden layers of 128, 1500
steps of Adam. *Modular*: 3m modules (or K) of three hidden layers of 32, 700 steps, from random
projections, from the printed kernel rule (1000 steps at rate 0.1), from pursuit (learning or
fixed), or fixed at the true ones. *Pursuit*: its own functions, without a network. A module is
found by a direction with |cos| > 0.99, or a centre nearer than 0.1; similarity is the mean over the
projections of the largest |cos|, next to that of random ones. Seconds are CPU seconds of one core.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tables

from pympf import nets

TITLE = "Modular networks: theory, figures 3, 4a, 5, 9, 10, table 2"
PICTURES = ("modular_surface.png", "modular_sine.png")

POINTS = {2: 5000, 3: 5000, 4: 5000, 5: 5000, 6: 5000, 7: 10**4, 8: 10**4, 9: 20_000, 10: 20_000}
METHODS = {
    "monolithic": "monolithic",
    "random": "modular, random",
    "kernel": "modular, printed rule",
    "found": "modular, from pursuit",
    "fixed": "modular, fixed at pursuit's",
    "true": "modular, true projections",
    "pursuit": "pursuit",
}
FROM_PURSUIT = ("found", "fixed")
"""What the points of pursuit measure besides."""

ARCHITECTURES = ((8, 3), (32, 3), (32, 5), (128, 7))
"""Width and layers of networks of figure 3."""


# ---- what to measure -----------------------------------------------------------------------------
def points(tiny: bool) -> list[dict[str, Any]]:
    common = {"threads": 1}
    if tiny:
        size = {"modules": 4, "steps": 5}
        found = [
            _sine(2, 150, 0, method, **size) for method in METHODS if method not in FROM_PURSUIT
        ]
        found.append(_sine(2, 150, 0, "pursuit", linear=False, **size))
        found.append({"part": "simulation", "spectrum": "flat", "trials": 20})
        found.append({"part": "moment", "n": 8, "p": 8, "draws": 1000})
        return [point | common for point in [*found, {"part": "speed", "samples": 1}]]
    found = [{"part": "speed", "samples": 10}]
    found += [{"part": "simulation", "spectrum": name, "trials": 600} for name in SPECTRA]
    found += [{"part": "moment", "n": 8, "p": p, "draws": 10**6} for p in (8, 9, 7, 6, 12)]
    return [point | common for point in [*found, *_sine_points()]]


def _sine_points() -> Iterator[dict[str, Any]]:
    order = ("pursuit", *(name for name in METHODS if name not in (*FROM_PURSUIT, "pursuit")))
    for method in sorted(order, key="kernel".__eq__):  # the rule last: it takes longest
        for seed in range(5):
            yield from (_sine(m, n, seed, method) for m, n in reversed(POINTS.items()))
            yield _sine(5, 1000, seed, method, linear=False)
    for seed in range(5):
        yield _sine(5, 5000, seed, "pursuit", linear=False, steps=0)
        for modules in (5, 10, 25):
            yield from (_sine(5, 5000, seed, way, modules=modules) for way in ("random", "pursuit"))


def _sine(m: int, n: int, seed: int, method: str, **more: Any) -> dict[str, Any]:
    default = {"linear": True, "modules": 3 * m, "steps": 700}
    return {"part": "sine", "m": m, "n": n, **default, **more, "method": method, "seed": seed}


# ---- measuring -----------------------------------------------------------------------------------
def run(part: str, threads: int = 1, **point: Any) -> dict[str, Any]:
    parts = {"sine": run_sine, "simulation": run_simulation, "moment": run_moment}
    return (parts | {"speed": run_speed})[part](**point)


def run_sine(
    m: int, n: int, linear: bool, modules: int, steps: int, method: str, seed: int
) -> dict[str, Any]:
    f = nets.SineWaves(m, linear=linear, seed=100 + seed)
    X, X_test = f.sample(n, seed=2 * seed), f.sample(3000, seed=2 * seed + 1)
    y, y_test = f(X), f(X_test)

    def measured(fit: Callable[[], tuple[Any, np.ndarray | None]]) -> tuple[Any, dict[str, Any]]:
        start = time.process_time()
        model, first = fit()
        seconds = time.process_time() - start
        error = np.square(model.predict(X_test) - y_test).mean() / y_test.var()
        row = {"error": float(error), "cpu_s": seconds}
        return model, row | projections(model, first, f)

    if method != "pursuit":
        return measured(lambda: fitted(f, X, y, modules, steps, method, seed))[1]
    found, row = measured(lambda: fitted(f, X, y, modules, steps, method, seed))
    if steps and len(found.directions):
        for name in FROM_PURSUIT:
            net = network(f, modules, seed, learn=name == "found")

            def fit(net: Any = net, first: np.ndarray = found.directions) -> tuple[Any, np.ndarray]:
                return net.fit(X, y, init=first, steps=steps, seed=seed), first

            _, row[name] = measured(fit)
    return row


def projections(model: Any, first: np.ndarray | None, f: nets.SineWaves) -> dict[str, Any]:
    last = getattr(model, "projections", first)
    if last is None or not len(last):
        return {"modules_found": 0}
    row = {"projections": len(last), "modules_found": found_modules(last, f)}
    if f.projection == "distance":
        return row
    return row | {
        "similarity_first": nets.similarity(first, f.directions),
        "similarity": nets.similarity(last, f.directions),
        "similarity_random": nets.random_similarity(f.directions),
    }


def found_modules(U: np.ndarray, f: nets.SineWaves) -> int:
    if f.projection == "linear":
        cosines = abs(U @ f.directions.T) / np.linalg.norm(U, axis=1, keepdims=True)
        return int((cosines.max(axis=0) > 0.99).sum())
    gaps = np.linalg.norm(U[:, np.newaxis] - f.directions, axis=2)
    return int((gaps.min(axis=0) < 0.1).sum())


def network(f: nets.SineWaves, modules: int, seed: int, learn: bool) -> nets.Modular:
    return nets.Modular(
        f.n_features, modules, projection=f.projection, train_projections=learn, seed=seed
    )


def fitted(
    f: nets.SineWaves,
    X: np.ndarray,
    y: np.ndarray,
    modules: int,
    steps: int,
    method: str,
    seed: int,
) -> tuple[Any, np.ndarray | None]:
    """A model, and the projections from which it started."""
    if method == "pursuit":
        model = nets.pursuit(X, y, projection=f.projection, seed=seed)
        return model, model.directions
    if method == "monolithic":
        net = nets.Monolithic(f.n_features, seed=seed)
        return net.fit(X, y, steps=2 * steps + steps // 7, learning_rate=3e-3, seed=seed), None
    net = network(f, modules, seed, learn=method != "true")
    first = {"true": f.directions}.get(method, net.projections.copy())
    if method == "kernel":
        options = {"iterations": 1000 if steps > 100 else steps, "batch": min(128, len(X))}
        first = nets.kernel_rule(X, y, modules, projection=f.projection, seed=seed, **options)
        finite = np.isfinite(first).all(axis=1, keepdims=True)
        first = np.where(finite, first, net.projections)
    return net.fit(X, y, init=first, steps=steps, seed=seed), first


# ---- theory --------------------------------------------------------------------------------------
SPECTRA: dict[str, Callable[[], np.ndarray]] = {
    "power law": lambda: nets.PowerLaw(m=3).eigenvalues(400),
    "inverse squares": lambda: np.arange(1, 401) ** -2.0,
    "flat": lambda: np.full(400, 1 / 400),
    "modular": lambda: np.concatenate([np.ones(20), nets.PowerLaw(m=2).eigenvalues(400)]),
}
SETTINGS = ((20, 50, 1), (50, 20, 1), (25, 60, 2), (40, 40, 2))
MODULAR = ((200, 60, 1), (90, 40, 1), (60, 100, 1))


def run_simulation(spectrum: str, trials: int) -> dict[str, Any]:
    """Theorem 1, or theorem 2 with m = 10, b = 2: what lies beyond the spectrum is noise."""
    eigenvalues, modular = SPECTRA[spectrum](), spectrum == "modular"
    rest = float(nets.PowerLaw(m=2).tail(400)) if modular else 0.0
    rows = []
    for n, p, d in MODULAR if modular else SETTINGS:
        if modular:
            theory = nets.modular_loss(n, p, 10, bottleneck=2)
        else:
            theory = nets.linear_loss(n, p, eigenvalues, outputs=d)
        mean, error = simulated(eigenvalues, rest, n, p, d, trials)
        row = {"n": n, "p": p, "d": d, "test": mean[0], "error": error[0]}
        row["theory"] = float(theory.test)
        three = zip(mean, error, reversed(theory), strict=True)
        row["z"] = max(abs(m - float(t)) / e for m, e, t in three if e > 1e-9)
        if modular:
            row["printed"] = float(nets.modular_loss(n, p, 10, bottleneck=2, printed=True).test)
        rows.append(row)
    return {"settings": rows}


def simulated(
    eigenvalues: np.ndarray, rest: float, n: int, p: int, d: int, trials: int
) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng([n, p, d])
    losses = np.empty((trials, 2))
    for trial in range(trials):
        phi = rng.standard_normal((d * n, len(eigenvalues)))
        error = rng.standard_normal(len(eigenvalues)) * np.sqrt(eigenvalues)
        y = phi @ error + np.sqrt(rest) * rng.standard_normal(d * n)
        theta = np.linalg.lstsq(phi[:, :p], y, rcond=None)[0]
        losses[trial, 1] = np.square(y - phi[:, :p] @ theta).sum() / n
        error[:p] -= theta
        losses[trial, 0] = d * (error @ error + rest)
    return losses.mean(axis=0).tolist(), (losses.std(axis=0) / np.sqrt(trials)).tolist()


def run_moment(n: int, p: int, draws: int) -> dict[str, Any]:
    values = nets.pseudo_inverse_sample(n, p, draws)
    hundreds = values.reshape(-1, 100).mean(axis=1)
    exact = float(nets.pseudo_inverse_moment(n, p))
    return {
        "exact": exact if np.isfinite(exact) else None,
        "means": [float(values[: draws // 10**k].mean()) for k in (3, 2, 1, 0)],
        "hundreds": [float(q) for q in np.quantile(hundreds, [0, 0.05, 0.5, 0.95, 1])],
        "median": float(np.median(values)),
    }


# ---- speed ---------------------------------------------------------------------------------------
BATCHES = (
    (15, 256, 32, 3),
    (25, 128, 32, 4),
    (50, 128, 8, 3),
    (15, 256, 128, 3),
    (15, 2048, 32, 3),
)
"""Networks, points, width, hidden layers."""


def run_speed(samples: int) -> dict[str, Any]:
    rows = []
    for K, n, width, layers in BATCHES:
        sizes = [1, *[width] * layers, 1]
        x = np.random.default_rng(0).standard_normal((2, K, n, 1)).astype(np.float32)
        batch, single = nets.MLP(sizes, copies=K), [nets.MLP(sizes) for _ in range(K)]

        def together(batch: Any = batch, x: np.ndarray = x) -> None:
            batch.backward(batch.forward(x[0])[1], x[1])

        def one_by_one(single: Any = single, x: np.ndarray = x) -> None:
            tapes = [net.forward(x[0, j : j + 1])[1] for j, net in enumerate(single)]
            for j, net in enumerate(single):
                net.backward(tapes[j], x[1, j : j + 1])

        row = {"networks": K, "points": n, "width": width, "hidden": layers}
        rows.append(
            row | {"batch_ms": best_ms(together, samples), "loop_ms": best_ms(one_by_one, samples)}
        )
    p = np.arange(1, 1001)
    law = nets.PowerLaw(m=3)
    million = best_ms(lambda: nets.linear_loss(p[:, np.newaxis], p, law), samples)
    return {"batches": rows, "theory_points_per_s": 1e9 / million}


def best_ms(call: Callable[[], Any], samples: int) -> float:
    call()
    taken = []
    for _ in range(samples):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return 1e3 * max(min(taken), 1e-6)


# ---- tables --------------------------------------------------------------------------------------
def render(rows: list[tables.Row]) -> str:
    parts = [_theory_table(tables.only(rows, part="simulation")), _figure_3()]
    parts.append(_moment_table(tables.only(rows, part="moment")))
    sine = _with_networks(tables.only(rows, part="sine"))
    linear = [row for row in tables.only(sine, linear=True) if row["modules"] == _usual(row)]
    parts.append(_error_table(linear, "Sine task, figures 4a and 9: error"))
    parts.append(_pursuit_table(tables.only(linear, method="pursuit")))
    parts.append(_similarity_table(linear))
    parts.append(_table_2(tables.only(sine, linear=False)))
    parts.append(_modules_table([row for row in tables.only(sine, linear=True) if row["m"] == 5]))
    parts += [_speed_table(row) for row in tables.only(rows, part="speed")]
    return "\n\n".join(part for part in parts if part)


def _usual(row: tables.Row) -> int:
    return 3 * row["m"] if row["steps"] not in range(1, 100) else row["modules"]


def _with_networks(rows: list[tables.Row]) -> list[tables.Row]:
    """The networks that began at what pursuit found become rows of their own."""
    networks = [
        row | row[name] | {"method": name} for row in rows for name in FROM_PURSUIT if name in row
    ]
    return rows + networks


def _theory_table(rows: list[tables.Row]) -> str:
    header = ("Theorem 1 (modular: 2), spectrum", "n", "p", "d", "test loss, simulated", "±")
    header += ("in closed form", "as printed", "largest abs z")
    names = ("n", "p", "d", "test", "error", "theory", "printed", "z")
    lines = [
        [row["spectrum"], *(s.get(name) for name in names)] for row in rows for s in row["settings"]
    ]
    return tables.markdown(header, lines)


def _figure_3() -> str:
    """Computed here: points that a loss needs at fixed numbers of parameters."""
    m = np.arange(2, 11)
    header = ("Figure 3: log₁₀ n", *(f"m = {one}" for one in m), "m → ∞")
    lines = []
    for width, layers in ARCHITECTURES:
        p = 0.85 * (2 * width + (layers - 2) * (width**2 + width) + width + 1)
        n = np.log10(nets.samples_needed(1.2, p, m)).tolist()
        limit = float(np.log10(nets.samples_limit(1.2, p, 2)))
        lines.append([f"loss 1.2, width {width}, {layers} layers", *n, limit])
    for loss in (0.8, 0.5):
        n = np.log10(nets.samples_needed(loss, None, m)).tolist()
        lines.append([f"loss {loss}, best size", *n, "∞"])
    return tables.markdown(header, lines)


def _moment_table(rows: list[tables.Row]) -> str:
    header = ("F(n, p)", "exact", *(f"mean of 10{e} draws" for e in "³⁴⁵⁶"))
    header += ("means of 100: least", "median", "largest")
    lines = [
        [f"n = {row['n']}, p = {row['p']}", row["exact"] or "∞", *row["means"]]
        + [row["hundreds"][i] for i in (0, 2, 4)]
        for row in rows
    ]
    return tables.markdown(header, lines)


def _median(rows: list[tables.Row], name: str) -> float | None:
    found = [row[name] for row in rows if row.get(name) is not None]
    return float(statistics.median(found)) if found else None


def _error_table(rows: list[tables.Row], title: str) -> str:
    sizes = sorted(tables.values(rows, "m"))
    header = (title, *(f"m = {m}" for m in sizes))
    lines = [
        [text, *(_median(tables.only(rows, m=m, method=method), "error") for m in sizes)]
        for method, text in METHODS.items()
    ]
    return tables.markdown(header, lines)


def _pursuit_table(rows: list[tables.Row]) -> str:
    header = ("Pursuit", "n", "modules found, each seed", "errors", "median CPU s")
    lines = []
    for m in sorted(tables.values(rows, "m")):
        some = tables.only(rows, m=m)
        found = ", ".join(f"{row['modules_found']}/{m}" for row in some)
        errors = ", ".join(f"{row['error']:.4f}" for row in some)
        lines.append([f"m = {m}", some[0]["n"], found, errors, _median(some, "cpu_s")])
    return tables.markdown(header, lines)


def _similarity_table(rows: list[tables.Row]) -> str:
    """Figure 5: before training the networks and after."""
    sizes = sorted(tables.values(rows, "m"))
    header = ("Figure 5: similarity, first → last", *(f"m = {m}" for m in sizes))
    lines: list[list[Any]] = []
    for method in ("random", "kernel", "found"):
        line: list[Any] = [METHODS[method]]
        for m in sizes:
            some = tables.only(rows, m=m, method=method)
            ends = [_median(some, name) for name in ("similarity_first", "similarity")]
            line.append(None if None in ends else f"{ends[0]:.2f} → {ends[1]:.2f}")
        lines.append(line)
    baseline = [_median(tables.only(rows, m=m), "similarity_random") for m in sizes]
    return tables.markdown(header, [*lines, ["random directions", *baseline]])


def _table_2(rows: list[tables.Row]) -> str:
    sizes = tables.values(rows, "n")
    header = ("Table 2: distances, m = k = 5", *(f"n = {n}" for n in sizes), "CPU s", "found")
    lines = []
    for method, text in METHODS.items():
        some = tables.only(rows, method=method)
        errors = [_median(tables.only(some, n=n), "error") for n in sizes]
        found = ", ".join(str(row.get("modules_found", "–")) for row in some)
        lines.append([text, *errors, _median(some, "cpu_s"), found])
    return tables.markdown(header, lines)


def _modules_table(rows: list[tables.Row]) -> str:
    modules = sorted(tables.values(rows, "modules"))
    if len(modules) < 2:
        return ""
    header = ("Figure 10: error at m = 5", *(f"K = {K}" for K in modules))
    lines = [
        [METHODS[method]]
        + [_median(tables.only(rows, modules=K, method=method), "error") for K in modules]
        for method in ("random", "found")
    ]
    return tables.markdown(header, lines)


def _speed_table(row: tables.Row) -> str:
    header = ("Batches of networks: a step, CPU ms", "batch", "loop", "loop / batch")
    lines = [
        [
            f"{b['networks']} × {b['hidden']} hidden layers of {b['width']}, {b['points']} points",
            b["batch_ms"],
            b["loop_ms"],
            b["loop_ms"] / b["batch_ms"],
        ]
        for b in row["batches"]
    ]
    million = row["theory_points_per_s"] / 1e6
    speed = f"Theorem 1 in closed form: {million:.0f}·10⁶ points (n, p) a second."
    return f"{tables.markdown(header, lines)}\n\n{speed}"


# ---- pictures ------------------------------------------------------------------------------------
def draw(rows: list[tables.Row], folder: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    _draw_surface(folder / PICTURES[0])
    sine = _with_networks(tables.only(rows, part="sine", linear=True))
    _draw_sine([row for row in sine if row["modules"] == _usual(row)], folder / PICTURES[1])


def _draw_surface(file: Path) -> None:
    """Figure 1, at m = 5; where the loss is infinite there is no colour."""
    from matplotlib import pyplot

    n = np.unique(np.logspace(0.3, 3, 160).round().astype(int))
    losses = nets.linear_loss(n[:, np.newaxis], n, nets.PowerLaw(m=5))
    figure, axes = pyplot.subplots(1, 3, figsize=(14, 4), layout="constrained")
    for ax, loss, title in zip(axes, losses, ("training", "test"), strict=False):
        colors = pyplot.get_cmap("viridis").with_extremes(bad="white")
        shown = np.ma.masked_invalid(loss)
        mesh = ax.pcolormesh(n, n, shown, cmap=colors, vmax=3, shading="nearest")
        figure.colorbar(mesh, ax=ax, extend="max" if title == "test" else "neither")
        ax.set(xscale="log", yscale="log", xlabel="parameters p", ylabel="points n")
        ax.set_title(f"Figure 1: {title} loss, m = 5 (infinite: white)")
    m = np.arange(2, 16)
    for width, layers in ARCHITECTURES:
        p = 0.85 * (2 * width + (layers - 2) * (width**2 + width) + width + 1)
        line = axes[2].plot(
            m, nets.samples_needed(1.2, p, m), "o-", ms=3, label=f"{width} × {layers}"
        )
        limit = float(nets.samples_limit(1.2, p, 2))
        axes[2].axhline(limit, color=line[0].get_color(), ls=":", lw=0.8)
    axes[2].plot(
        m[:8], nets.samples_needed(0.5, None, m[:8]), "k^--", ms=3, label="loss 0.5, any p"
    )
    axes[2].set(yscale="log", ylim=(10, 1e12), xlabel="m", ylabel="points n")
    axes[2].set_title("Figure 3: loss 1.2 saturates, 0.5 explodes")
    axes[2].legend(fontsize=8)
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def _draw_sine(rows: list[tables.Row], file: Path) -> None:
    from matplotlib import pyplot

    sizes = sorted(tables.values(rows, "m"))
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for number, (method, text) in enumerate(METHODS.items()):
        some = tables.only(rows, method=method)
        style = {"color": f"C{number}", "marker": "o", "ms": 4, "label": text}
        line = [_median(tables.only(some, m=m), "error") for m in sizes]
        axes[0].plot(sizes, line, **style)
        axes[1].plot(sizes, [_median(tables.only(some, m=m), "cpu_s") for m in sizes], **style)
    axes[0].set(xlabel="m = k", ylabel="error / variance", title="Sine task", yscale="log")
    axes[1].set(xlabel="m = k", ylabel="CPU seconds", title="What it costs", yscale="log")
    for ax in axes:
        ax.grid(alpha=0.3)
    axes[0].legend(fontsize=7)
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
