"""Pictures of what was built and solved; each draws into one pair of axes, and returns it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["axes", "plot_histories", "plot_levels", "plot_spectrum"]

BLUE, GREY, RED = "#1f5fa8", "#9aa3ad", "#c23b22"
FEW_ITERATIONS = 60  # points of more run into each other
COLUMNS_WITH_NAMES = 10  # a legend of more says nothing


def axes(ax: Axes | None) -> Axes:
    """Return the axes given, or those of a new figure of pyplot."""
    if ax is None:
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise ImportError("plot() needs matplotlib: pip install matplotlib") from error
        _, ax = pyplot.subplots(layout="constrained")
    elif not hasattr(ax, "plot"):
        raise TypeError(f"ax: expected matplotlib axes, got a {type(ax).__name__}")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_histories(
    ax: Axes | None, histories: Sequence[NDArray[Any]], title: str, norm: str
) -> Axes:
    """Draw residual norms against iterations, each relative to its first."""
    ax = axes(ax)
    ends = []
    for c, history in enumerate(histories):
        start = history[0] if len(history) and history[0] > 0 else 1.0
        relative = np.asarray(history, dtype=float) / start
        relative[relative == 0] = np.nan  # a logarithm has no place for it
        colour = BLUE if len(histories) == 1 else None
        marker = "." if len(relative) <= FEW_ITERATIONS else ""
        ax.plot(relative, color=colour, label=f"column {c}", marker=marker)
        ends.append(len(relative) - 1)
    ax.set_yscale("log")
    ax.set_xlim(0, max([*ends, 1]))
    ax.locator_params(axis="x", integer=True)
    ax.set(xlabel="iteration", ylabel=f"residual norm ({norm}) / first one")
    ax.set_title(title, loc="left", fontsize="medium")
    ax.grid(axis="y", alpha=0.3)
    if 1 < len(histories) <= COLUMNS_WITH_NAMES:
        ax.legend(frameon=False)
    return ax


def plot_levels(
    ax: Axes | None, lines: Sequence[dict[str, Any]], names: Sequence[str], title: str
) -> Axes:
    """Draw counts of the lines of a report as bars, on a logarithmic axis."""
    ax = axes(ax)
    count = max(len(lines), 1)
    height = 0.8 / len(names)
    for k, (name, colour) in enumerate(zip(names, (BLUE, GREY, RED), strict=False)):
        values = [line[name] for line in lines]
        places = np.arange(len(lines)) + (k - (len(names) - 1) / 2) * height
        bars = ax.barh(places, values, height=height, color=colour, label=name)
        ax.bar_label(bars, [f"{value:,}".replace(",", " ") for value in values], padding=3, size=8)
    ax.set_yticks(range(len(lines)), [str(next(iter(line.values()))) for line in lines])
    ax.set_ylim(count - 0.5, -0.5)  # the first line on top
    ax.set(xscale="log", ylabel=next(iter(lines[0])) if lines else "")
    most = max((line[name] for line in lines for name in names), default=1)
    ax.set_xlim(0.8, 8 * max(most, 1))  # room for the numbers
    ax.set_title(title, loc="left", fontsize="medium")
    ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(names))
    return ax


def plot_spectrum(
    ax: Axes | None, parts: Sequence[tuple[str, NDArray[np.float64]]], title: str
) -> Axes:
    """Draw the eigenvalues of each part of H: all, the middle 80 %, and the median."""
    ax = axes(ax)
    names = []
    for place, (name, values) in enumerate(parts):
        sizes = np.abs(values[values != 0])
        negative = np.count_nonzero(values < 0)
        signs = f"\n{negative} negative" if negative else ""
        names.append(f"{name}\n{len(values)}{signs}")
        if not len(sizes):
            continue
        low, tenth, middle, ninth, high = np.quantile(sizes, (0, 0.1, 0.5, 0.9, 1))
        ax.vlines(place, low, high, color=GREY, linewidth=1.5)
        ax.vlines(place, tenth, ninth, color=BLUE, linewidth=7)
        ax.plot(place, middle, "o", color="white", markeredgecolor=BLUE, markersize=5)
    ax.set_yscale("log")
    ax.set_xticks(range(len(names)), names)
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.set(xlabel="core, and wavelets of each level", ylabel="|eigenvalue of H|")
    ax.set_title(title, loc="left", fontsize="medium")
    ax.grid(axis="y", alpha=0.3)
    return ax
