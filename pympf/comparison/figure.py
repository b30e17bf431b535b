"""The picture of a comparison: residuals against seconds, and bars."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pympf import io

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pympf.comparison.report import Comparison, Trial

SETUP, SOLVE = "#9ecae1", "#08519c"
LEAST, MOST = 1e-16, 1e4  # residuals on the logarithmic axis
FARTHEST = 20  # bars are cut at so many times the shortest


def draw(comparison: Comparison, path: str | os.PathLike[str] | None = None) -> Any:
    """Draw it; write it where a path is given."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("a picture needs matplotlib: pip install 'pmmf[plot]'") from error
    ran = [trial for trial in comparison if trial.total_s is not None]
    height = max(4.0, 1.5 + 0.28 * len(ran))
    figure = Figure(figsize=(12, height), dpi=120, layout="constrained")
    residuals, bars = figure.subplots(1, 2)
    _draw_residuals(residuals, ran, comparison.options["rtol"])
    _draw_bars(bars, ran, comparison.options["solves"])
    if path is not None:
        with io.atomic_write(path) as temporary:
            figure.savefig(temporary, format=Path(path).suffix.lower().lstrip("."))
    return figure


def _draw_residuals(axes: Axes, trials: list[Trial], rtol: float) -> None:
    for number, trial in enumerate(trials):
        style = ("-", "--", ":")[number // 10 % 3] if len(trial.history) > 1 else ""
        points = trial.history
        if not style:  # nothing but where it ended
            seconds = (trial.setup_s or 0) + (trial.solve_s or 0)
            points = [(seconds, trial.true_residual or LEAST)]
            style = "o" if trial.solved else "x"
        seconds_of, residual_of = zip(*points, strict=True)
        shown = [min(max(residual, LEAST), MOST) for residual in residual_of]
        axes.plot(seconds_of, shown, style, color=f"C{number % 10}", label=trial.solver)
    axes.axhline(rtol, color="gray", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="seconds, with the setup", ylabel="‖b − A x‖ / ‖b‖")
    if trials:
        axes.legend(fontsize="x-small", ncols=2)


def _draw_bars(axes: Axes, trials: list[Trial], solves: int) -> None:
    names = [t.solver if t.solved else f"{t.solver} ({t.verdict})" for t in trials]
    setup = [trial.setup_s or 0 for trial in trials]
    solve = [solves * (trial.solve_s or 0) for trial in trials]
    axes.barh(names, setup, color=SETUP, label="setup")
    label = "solve" if solves == 1 else f"{solves} solves"
    bars = axes.barh(names, solve, left=setup, color=SOLVE, label=label)
    totals = [trial.total_s or 0 for trial in trials]
    end = min(max(totals, default=1), FARTHEST * min(totals, default=1)) or 1
    axes.set_xlim(0, 1.15 * end)
    for bar, total in zip(bars, totals, strict=True):
        place, cut = bar.get_y() + bar.get_height() / 2, total > 1.1 * end
        side: dict[str, Any] = {"ha": "right", "color": "white"} if cut else {}
        axes.annotate(f" {total:.2g} ", (min(total, end), place), va="center", size=7, **side)
    axes.invert_yaxis()
    axes.set(xlabel="seconds")
    if trials:
        axes.legend(loc="upper right")
