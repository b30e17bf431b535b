"""The table and the picture of the case `depth`."""

from pathlib import Path
from typing import Any

import numpy as np
import tables

PICTURE = "depth.png"
UNITS = (64, 256, 1024)
"""Hidden units of the networks that stand against the gadget."""


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
