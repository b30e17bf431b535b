"""Figures 1 to 4 and table 1 of the paper on sparsely activated networks: d = 8, 2¹⁶ training and
2¹⁴ test points, a random bottom layer that stays as it is. Errors are mean squares on the test
points, divided by the variance of the target there, but for table 1, which has them as they are.

The text leaves open what decides the outcome, so every reading is shown. *Targets*: the hypercube
function; the polynomial of degree 4 with all 495 monomials, and with 10 of them. *Routing* to K of
t units: the largest Bx, the largest in absolute value, the largest of a projection of its own
("Rx"), a random hash. *Bias*: the paper's bottom layer has none. *Training*: RMSProp as in section
D.1 (50 epochs, rate 10⁻⁵; batches of 32, which the paper does not tell), or exact least squares.
"50 %" and "25 %" are the share of active units, so t is twice or four times as large as for dense;
FLOPs are 18 per active unit at d = 8, as in table 1, without the routing. What is not there was not
measured: the widest models train for minutes. `docs/nets_experiments.md` has the verdict.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tables

from pympf import lsh, nets

TITLE = "Sparsely activated networks: figures 1 to 4 and table 1"
PICTURES = {"hypercube": "networks_hypercube.png", "polynomial": "networks_polynomial.png"}
EXAMPLE = "networks_example.png"

D, TRAIN, TEST = 8, 2**16, 2**14
TARGETS = {
    "hypercube": lambda seed: nets.Hypercube(D, seed=seed),
    "polynomial": lambda seed: nets.Polynomial(D, 4, seed=seed),
    "polynomial, 10 terms": lambda seed: nets.Polynomial(D, 4, terms=10, seed=seed),
}
# Table 1 of the paper: FLOPs, then the error of dense, DSM 50 % and DSM 25 %.
TABLE_1 = {
    1024: (0.01015, 0.01014, 0.009655),
    2048: (0.01009, 0.007438, 0.005054),
    4096: (0.01046, 0.006115, 0.001799),
}
ACTIVE = (256, *TABLE_1)
ROUTINGS = {"topk": "Bx", "topk_abs": "abs(Bx)", "separate": "Rx", "hash": "random hash"}
WIDEST = {"lstsq": 4096, "rmsprop": 16384}
"""Units at most: least squares factors a matrix of their square."""


# ---- what to measure -----------------------------------------------------------------------------
def points(tiny: bool) -> list[dict[str, Any]]:
    if tiny:
        common = {"target": "hypercube", "seed": 0, "train": 512, "threads": 1}
        units = [_unit("topk", 0.5, 16, False, fit) for fit in WIDEST]
        example = {"part": "example", "train": 512, "epochs": 2}
        return [example, *(common | unit for unit in [*units, _buckets(2, 4)])]
    found: list[dict[str, Any]] = [{"part": "example", "train": TEST, "epochs": 200}]
    for target in ("hypercube", "polynomial"):
        common = {"target": target, "seed": 0, "train": TRAIN, "threads": 1}
        found += [common | point for point in [*_bucket_points(), *_unit_points()]]
    for target, seed in (("hypercube", 1), ("polynomial, 10 terms", 0)):
        common = {"target": target, "seed": seed, "train": TRAIN, "threads": 1}
        found += [common | point for point in _table_points()]
    return found


def _unit(routing: str | None, share: float, active: int, bias: bool, fit: str) -> dict[str, Any]:
    return {
        "part": "units",
        "routing": routing,
        "share": share,
        "active": active,
        "bias": bias,
        "fit": fit,
    }


def _unit_points() -> Iterator[dict[str, Any]]:
    for active in ACTIVE:
        for fit, widest in WIDEST.items():
            for routing, share, bias in _readings(active):
                if active / share <= widest:
                    yield _unit(routing, share, active, bias, fit)


def _readings(active: int) -> Iterator[tuple[str | None, float, bool]]:
    """Routing, share and bias; fewer readings at the widths that train for minutes."""
    yield None, 1.0, False
    yield from (("topk", share, False) for share in (0.5, 0.25))
    yield "topk_abs", 0.5, False
    if active <= 1024:
        yield "topk_abs", 0.25, False
        for routing in ("separate", "hash"):
            yield from ((routing, share, False) for share in (0.5, 0.25))
    if active == 1024:
        yield from (("topk", share, True) for share in (0.5, 0.25))
    if active in (1024, 4096):
        yield None, 1.0, True


def _table_points() -> Iterator[dict[str, Any]]:
    """What another draw of the target is asked for: the ordering at one number of active units."""
    for fit in WIDEST:
        yield _unit(None, 1.0, 1024, False, fit)
        for routing, share in (("topk", 0.5), ("topk_abs", 0.5), ("topk", 0.25), ("hash", 0.5)):
            yield _unit(routing, share, 1024, False, fit)


def _buckets(s: int, m: int, fit: str = "lstsq", **more: Any) -> dict[str, Any]:
    return {"part": "buckets", "tables": s, "functions": m, "fit": fit, **more}


def _bucket_points() -> Iterator[dict[str, Any]]:
    for m in (6, 8, 10, 11, 12, 14, 16):
        yield _buckets(1, m)
    for s in (4, 16, 64, 256):
        yield _buckets(s, 8)
        yield _buckets(s, 8, "per_bucket")
        yield _buckets(s, 8, offset=True)
    for m in (2, 4, 6, 8):
        yield _buckets(1, m, "per_bucket", degree=1)
    for m in (2, 4):
        yield _buckets(1, m, "per_bucket", degree=2)
    yield _buckets(1, 6, width=2.0)
    yield _buckets(1, 8, width=3.0)
    for s, m in ((1, 11), (16, 8)):
        for rate in (1e-5, 1e-3):
            yield _buckets(s, m, "rmsprop", rate=rate)
    for width in (4, 16, 64):
        for fit in ("lstsq", "rmsprop"):
            yield _unit(None, 1.0, width, False, fit)


# ---- measuring -----------------------------------------------------------------------------------
def run(part: str, threads: int = 1, **point: Any) -> dict[str, Any]:
    return {"units": run_units, "buckets": run_buckets, "example": run_example}[part](**point)


def data(target: str, seed: int, train: int) -> tuple[np.ndarray, ...]:
    """Training points, their values, test points, their values."""
    function, cube = TARGETS[target](seed), nets.Cube(D)
    X, X_test = cube.sample(train, seed=2 * seed), cube.sample(min(train, TEST), seed=2 * seed + 1)
    return X, function(X), X_test, function(X_test)


def run_units(
    target: str,
    seed: int,
    train: int,
    routing: str | None,
    share: float,
    active: int,
    bias: bool,
    fit: str,
) -> dict[str, Any]:
    if routing is None:
        model = nets.dense(D, active, bias=bias, seed=seed)
    else:
        model = nets.dsm(D, active, round(active / share), routing=routing, bias=bias, seed=seed)
    return measured(model, fit, *data(target, seed, train), seed=seed)


def run_buckets(
    target: str,
    seed: int,
    train: int,
    tables: int,
    functions: int,
    fit: str,
    degree: int = 0,
    offset: bool = False,
    width: float | None = None,
    rate: float = 1e-5,
) -> dict[str, Any]:
    size = (D, functions, tables)
    if width is None:
        family = lsh.HyperplaneHash(*size, offset=offset, seed=seed)
    else:
        family = lsh.EuclideanHash(*size, width=width, seed=seed)
    return measured(nets.LSH(family, degree), fit, *data(target, seed, train), rate=rate, seed=seed)


def measured(
    model: Any,
    fit: str,
    X: np.ndarray,
    y: np.ndarray,
    X_test: np.ndarray,
    y_test: np.ndarray,
    rate: float = 1e-5,
    seed: int = 0,
) -> dict[str, Any]:
    start = time.perf_counter()
    if fit == "rmsprop":
        model.fit(X.astype(np.float32), y, fit, learning_rate=rate, epochs=50, batch=32, seed=seed)
    else:
        model.fit(X, y, fit)
    fit_s = time.perf_counter() - start
    cost = model.cost()
    return {
        "mse": float(np.square(model.predict(X_test) - y_test).mean()),
        "variance": float(y_test.var()),
        "fit_s": fit_s,
        "active_units": cost.active_units,
        "total_units": cost.total_units,
        "flops": cost.flops,
        "routing_flops": cost.routing_flops,
    }


def run_example(train: int, epochs: int) -> dict[str, Any]:
    """Figure 1 (a): LSH of a polynomial of one variable, 200 epochs of RMSProp, rate 5e-6."""
    target = nets.Polynomial(1, 4, seed=2)
    X = nets.Cube(1).sample(train)
    model = nets.LSH(lsh.HyperplaneHash(1, 16, offset=True, seed=3))
    model.fit(X, target(X), "rmsprop", learning_rate=5e-6, epochs=epochs, batch=32)
    exact = nets.LSH(model.family).fit(X, target(X))
    grid = np.linspace(-1, 1, 401)[:, np.newaxis]
    return {
        "x": grid[:, 0].tolist(),
        "target": target(grid).tolist(),
        "model": model.predict(grid).tolist(),
        "exact": exact.predict(grid).tolist(),
        "bucket": model.buckets(grid)[:, 0].tolist(),
    }


# ---- tables --------------------------------------------------------------------------------------
def name(row: tables.Row) -> str:
    """A model as the tables name it."""
    if row["part"] == "units":
        kind = "dense" if row["routing"] is None else ROUTINGS[row["routing"]]
        share = "" if row["routing"] is None else f" {100 * row['share']:.0f} %"
        return f"{kind}{share}{', bias' if row['bias'] else ''}"
    kind = f"LSH s={row['tables']}, m={row['functions']}"
    if row.get("degree"):
        kind += f", degree {row['degree']}"
    if row.get("width"):
        kind += f", Euclidean ε={row['width']:g}"
    if row.get("offset"):
        kind += ", offset"
    return kind


FITS = {
    "lstsq": "least squares",
    "rmsprop": "RMSProp",
    "per_bucket": "each bucket on its own",
}


def render(rows: list[tables.Row]) -> str:
    parts = [_table_1(tables.only(rows, target="hypercube", seed=0, fit="rmsprop"))]
    kinds = {(r["target"], r["seed"]): r for r in rows if r["part"] != "example"}
    for (target, seed), row in kinds.items():
        some = tables.only(rows, target=target, seed=seed)
        parts.append(f"**{target}, seed {seed}** (variance {row['variance']:.3g})")
        parts += [_units_table(some, fit) for fit in WIDEST]
        if tables.only(some, part="buckets"):
            parts.append(_buckets_table(some))
    return "\n\n".join(parts)


def _table_1(rows: list[tables.Row]) -> str:
    """The paper's columns, and next to each what the readings give."""

    def ours(active: int, **reading: Any) -> float | None:
        found = tables.only(rows, part="units", active=active, bias=False, **reading)
        return found[0]["mse"] if found else None

    header = ("Table 1: FLOPs", "dense, paper", "dense", "50 %, paper", "Bx 50 %", "abs(Bx) 50 %")
    header += ("25 %, paper", "Bx 25 %")
    lines = [
        [
            18 * active,
            paper[0],
            ours(active, routing=None),
            paper[1],
            ours(active, routing="topk", share=0.5),
            ours(active, routing="topk_abs", share=0.5),
            paper[2],
            ours(active, routing="topk", share=0.25),
        ]
        for active, paper in TABLE_1.items()
    ]
    return tables.markdown(header, lines)


def _units_table(rows: list[tables.Row], fit: str) -> str:
    rows = sorted(tables.only(rows, part="units", fit=fit), key=lambda row: row["active"])
    actives = tables.values(rows, "active")
    header = (f"{FITS[fit]}, active units", *map(str, actives))
    lines = []
    for model in sorted({name(row) for row in rows}, key=_place):
        error = {row["active"]: _relative(row) for row in rows if name(row) == model}
        lines.append([model, *(error.get(active) for active in actives)])
    return tables.markdown(header, lines)


def _place(model: str) -> tuple[bool, bool, str]:
    """Dense first, random hashes last."""
    return "bias" in model, "hash" in model, "" if model.startswith("dense") else model


def _relative(row: tables.Row) -> float:
    return row["mse"] / row["variance"]


def _buckets_table(rows: list[tables.Row]) -> str:
    header = ("LSH model", "fit", "active units", "weights", "FLOPs with hashing", "error")
    lines = [
        [
            name(row),
            FITS[row["fit"]] + (f", rate {row['rate']:g}" if row["fit"] == "rmsprop" else ""),
            row["active_units"],
            row["total_units"],
            row["flops"] + row["routing_flops"],
            _relative(row),
        ]
        for row in tables.only(rows, part="buckets")
    ]
    return tables.markdown(header, lines)


# ---- pictures ------------------------------------------------------------------------------------
COLORS = {"dense": "black", "Bx": "tab:blue", "abs(Bx)": "tab:cyan", "Rx": "tab:green"}


def draw(rows: list[tables.Row], folder: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    for row in tables.only(rows, part="example"):
        _draw_example(row, folder / EXAMPLE)
    for target, file in PICTURES.items():
        some = tables.only(rows, target=target, seed=0)
        if some:
            _draw_scaling(target, some, folder / file)


def _draw_example(row: tables.Row, file: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 3.2), layout="constrained")
    x, model, bucket = (np.array(row[key]) for key in ("x", "model", "bucket"))
    for number, one in enumerate(dict.fromkeys(bucket.tolist())):
        inside = bucket == one
        axes.plot(x[inside], model[inside], color=f"C{number % 10}", linewidth=2.5)
    axes.plot(x, row["target"], "k--", linewidth=1, label="target")
    axes.set(xlabel="x", title="Figure 1 (a): one value for each bucket")
    axes.legend()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


def _draw_scaling(target: str, rows: list[tables.Row], file: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(14, 4.4), sharey=True, layout="constrained")
    for ax, fit in zip(axes, ("rmsprop", "lstsq"), strict=False):
        some = tables.only(rows, part="units", fit=fit)
        for model in sorted({name(row) for row in some}, key=_place):
            line = sorted((r["active"], _relative(r)) for r in some if name(r) == model)
            ax.plot(*zip(*line, strict=True), label=model, **_style(model))
        ax.set(title=f"{target}: {FITS[fit]}", xlabel="active units")
    _draw_buckets(axes[2], rows)
    axes[2].set_title(f"{target}: LSH, least squares")
    for ax in filter(lambda ax: ax.lines, axes):
        ax.set(xscale="log", yscale="log")
        ax.grid(alpha=0.3)
        ax.legend(fontsize=7)
    axes[0].set_ylabel("mean squared error / variance")
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def _style(model: str) -> dict[str, Any]:
    kind = next((kind for kind in COLORS if model.startswith(kind)), "hash")
    dash = ":" if "bias" in model else "--" if "50" in model else "-"
    marker = "o" if "bias" not in model else "s" if "50" in model else "^"
    return {"color": COLORS.get(kind, "tab:red"), "linestyle": dash, "marker": marker, "ms": 4}


def _draw_buckets(ax: Any, rows: list[tables.Row]) -> None:
    """Against the number of weights, which for constants is that of buckets."""
    some = tables.only(rows, part="buckets")
    lines = {
        "one table": [r for r in some if _is(r, tables=1)],
        "m=8, s tables jointly": [r for r in some if _is(r, functions=8)],
        "m=8, s tables jointly, offset": [r for r in some if _is(r, functions=8, offset=True)],
        "m=8, s tables averaged": [r for r in some if _is(r, functions=8, fit="per_bucket")],
        "one table, degree 1": [r for r in some if _is(r, degree=1, fit="per_bucket")],
        "one table, degree 2": [r for r in some if _is(r, degree=2, fit="per_bucket")],
    }
    for label, found in lines.items():
        line = sorted((row["total_units"], _relative(row)) for row in found)
        if line:
            ax.plot(*zip(*line, strict=True), marker="o", markersize=3, label=label)
    dense = tables.only(rows, part="units", routing=None, bias=False, fit="lstsq")
    for row in (row for row in dense if row["active"] in (16, 64, 256)):
        ax.axhline(_relative(row), color="black", linewidth=0.5, linestyle=":")
        ax.annotate(f"dense {row['active']}", (70, _relative(row)), fontsize=6, va="bottom")
    ax.set_xlabel("weights")


def _is(row: tables.Row, **wanted: Any) -> bool:
    defaults = {"fit": "lstsq", "degree": 0, "offset": False, "width": None}
    return all((defaults | row).get(key) == value for key, value in (defaults | wanted).items())
