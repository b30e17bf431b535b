"""The picture of the demo: the segmentation, the solvers, the matrix and its factorization."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf.demo._problem import BACKGROUND, FOREGROUND, Problem
from pympf.demo._scenes import Scene, Window
from pympf.demo._trials import RTOL, Trial
from pympf.io import atomic_write
from pympf.mmf import Mmf, factorize

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The colours of Okabe and Ito, which the colour-blind can tell apart.
ORANGE, SKY, GREEN, BLUE, RED, GREY = (
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#0072b2",
    "#d55e00",
    "#7f7f7f",
)
COLOURS = {
    "CG": GREY,
    "CG + Jacobi": ORANGE,
    "CG + MMF": BLUE,
    "CG + PyAMG": GREEN,
    "sparse LU": RED,
}
STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
}
WIDTH, HEIGHT, DPI = 16, 12.9, 100
SMALLEST = 1e-4
"""Entries below this, relative to the largest one, are left white."""


def draw(
    path: Path, scene: Scene, problem: Problem, trials: dict[str, Trial], mmf: Trial
) -> None:
    """Write the picture as PNG, whole or not at all."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    focus = problem.window(*scene.focus)
    with rc_context(STYLE), atomic_write(path) as temporary:
        figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(3, 4)
        _draw_strokes(axes[0, 0], scene, problem)
        _draw_segmentation(axes[0, 1], problem, mmf.x)
        _draw_histories(axes[0, 2], trials)
        _draw_times(axes[0, 3], trials)
        _draw_windows(axes[1, 0], scene, focus)
        _draw_matrices(axes[1, 1:], problem.window(*scene.detail))
        _draw_supports(axes[2, 0], focus, stages=4)
        _draw_supports(axes[2, 1], focus, stages=6)
        _draw_wavelets(axes[2, 2], focus, level=5)
        _draw_wavelets(axes[2, 3], focus, level=7)
        figure.savefig(temporary, format="png")


# ---- the picture and its segmentation ------------------------------------------------------------


def _show(ax: Axes, picture: NDArray[Any], title: str, **options: Any) -> None:
    ax.imshow(picture, interpolation="nearest", **options)
    ax.set_title(title)
    ax.set_axis_off()


def _rgb(colour: str) -> NDArray[np.float64]:
    from matplotlib.colors import to_rgb

    return np.array(to_rgb(colour))


def _grey(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The luminance as a grey picture with three channels, from 0 to 1."""
    values = picture / 255
    luminance = values if values.ndim == 2 else values @ np.array([0.299, 0.587, 0.114])
    return np.repeat(luminance[..., np.newaxis], 3, axis=2)


def _coloured(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    return _grey(picture) if picture.ndim == 2 else picture / 255


def _draw_strokes(ax: Axes, scene: Scene, problem: Problem) -> None:
    height, width = problem.labels.shape
    _show(ax, _coloured(problem.picture), f"{scene.name}: {width} × {height} pixels, two labels")
    for label, colour in ((FOREGROUND, SKY), (BACKGROUND, ORANGE)):
        layer = np.zeros((height, width, 4))
        layer[problem.labels == label] = [*_rgb(colour), 1]
        ax.imshow(layer, interpolation="antialiased")


def _draw_segmentation(ax: Axes, problem: Problem, x: NDArray[np.float64]) -> None:
    p = problem.probability(x)
    tint = p[..., np.newaxis] * _rgb(SKY) + (1 - p[..., np.newaxis]) * _rgb(ORANGE)
    picture = 0.55 * _grey(problem.picture) + 0.45 * tint
    _show(ax, np.clip(picture, 0, 1), "Probability of the foreground; line: 1/2")
    ax.contour(p, [0.5], colors="black", linewidths=0.9)


# ---- the solvers ---------------------------------------------------------------------------------


def _draw_histories(ax: Axes, trials: dict[str, Trial]) -> None:
    iterative = {name: trial for name, trial in trials.items() if trial.iterations is not None}
    ends = {}
    for name, trial in iterative.items():
        ax.semilogy(trial.history, color=COLOURS[name], linewidth=_width(name))
        ends[f"{name}: {trial.iterations}"] = (trial.iterations, trial.history[-1], COLOURS[name])
    ax.set_title("Residual ‖b − A x‖ / ‖b‖ against iterations")
    _finish(ax, ends)


def _draw_times(ax: Axes, trials: dict[str, Trial]) -> None:
    ends = {}
    for name, trial in trials.items():
        seconds = trial.setup_s + trial.solve_s * np.linspace(0, 1, len(trial.history))
        colour = COLOURS[name]
        if trial.iterations is None:
            ax.plot(seconds[-1], max(trial.history[-1], RTOL), "o", color=colour)
        else:
            ax.semilogy(seconds, trial.history, color=colour, linewidth=_width(name))
        ends[f"{name}: {seconds[-1]:.1f} s"] = (
            seconds[-1],
            max(trial.history[-1], RTOL),
            colour,
        )
    ax.set_title("… and against seconds, set-up included")
    _finish(ax, ends)


def _width(name: str) -> float:
    return 2.4 if name == "CG + MMF" else 1.4


def _finish(ax: Axes, ends: dict[str, tuple[float, float, str]]) -> None:
    """Write the names of the curves below their ends, each on a row of its own."""
    right = max(x for x, _, _ in ends.values())
    ax.set_yscale("log")
    ax.set_xlim(-0.02 * right, 1.04 * right)
    ax.set_ylim(RTOL * 10.0 ** -(0.75 * len(ends) + 0.5), 3)
    ax.axhline(RTOL, color="black", linewidth=0.6, linestyle=(0, (4, 4)))
    ax.set_yticks([1, 1e-2, 1e-4, 1e-6, 1e-8])
    ax.minorticks_off()
    ax.set_box_aspect(1)
    by_end = sorted(ends.items(), key=lambda end: end[1][0])
    for row, (name, (x, y, colour)) in enumerate(by_end):
        level = RTOL * 10 ** -(0.75 * (len(ends) - row) - 0.1)
        ax.plot([x, x], [y, level], color=colour, linewidth=0.8)
        left = x < right / 2
        ax.annotate(
            name,
            (x, level),
            (4 if left else -4, 0),
            textcoords="offset points",
            ha="left" if left else "right",
            va="center",
            color=colour,
            weight="bold" if name.startswith("CG + MMF") else "normal",
        )


# ---- the matrix and its factorization ------------------------------------------------------------


def _draw_windows(ax: Axes, scene: Scene, focus: Problem) -> None:
    size = scene.focus.size
    _show(ax, _coloured(focus.picture), f"A part of {size} × {size} pixels; the square: 32 × 32")
    x, y = scene.detail.x - scene.focus.x, scene.detail.y - scene.focus.y
    side = scene.detail.size
    ax.plot(
        np.array([0, side, side, 0, 0]) + x - 0.5,
        np.array([0, 0, side, side, 0]) + y - 0.5,
        color=RED,
        linewidth=2,
    )


def _draw_matrices(axes: NDArray[Any], detail: Problem) -> None:
    A = detail.A
    n = A.shape[0]
    F = factorize(A, core_size=max(n // 16, 1))
    Q = F.basis()
    whole = (Q @ A @ Q.T).toarray()
    kept = np.diag(whole.diagonal())
    core = F.level_slice(0)
    kept[core, core] = F.core().toarray()
    scale = abs(A).max()
    share = np.linalg.norm(kept) / np.linalg.norm(whole)
    _draw_matrix(axes[0], A.toarray(), scale, f"|A| of the square: {n} unknowns")
    _draw_matrix(axes[1], whole, scale, "|Q A Qᵀ|: core, then wavelets")
    _draw_matrix(axes[2], kept, scale, f"|H|: what is kept, {share:.0%} of ‖A‖")
    for ax in axes[1:]:
        _draw_levels(ax, F)


def _draw_matrix(ax: Axes, A: NDArray[np.float64], scale: float, title: str) -> None:
    from matplotlib.colors import LogNorm

    n = len(A)
    # A pixel of the screen shows the largest of the entries that it covers, not their mean.
    cells = max(n // 256, 1)
    padded = np.pad(abs(A) / scale, (0, -n % cells))
    side = len(padded) // cells
    largest = padded.reshape(side, cells, side, cells).max(axis=(1, 3))
    image = ax.imshow(
        np.where(largest >= SMALLEST, largest, np.nan),
        norm=LogNorm(SMALLEST, 1),
        cmap="cividis_r",
        extent=(0, n, n, 0),
        interpolation="nearest",
    )
    ax.set_title(title)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(True)
    bar = ax.inset_axes((0.0, -0.06, 1, 0.03))
    ax.figure.colorbar(image, cax=bar, orientation="horizontal")


def _draw_levels(ax: Axes, F: Mmf) -> None:
    for level in range(F.levels + 1):
        where = F.level_slice(level)
        ax.axhline(where.stop, color=RED, linewidth=0.7)
        ax.axvline(where.stop, color=RED, linewidth=0.7)


def _draw_supports(ax: Axes, focus: Problem, stages: int) -> None:
    F = factorize(focus.A, max_stages=stages, core_size=1)
    owner = _owners(F)
    mosaic = np.ones((focus.labels.size, 3))
    colours = _coloured(focus.picture).reshape(-1, 3)[focus.pixels]
    count = np.maximum(np.bincount(owner, minlength=F.core_size + 1), 1)
    for channel in range(3):
        mean = np.bincount(owner, colours[:, channel], F.core_size + 1) / count
        mean[0] = 1
        mosaic[focus.pixels, channel] = mean[owner]
    mosaic = mosaic.reshape(*focus.labels.shape, 3)
    _show(ax, mosaic, f"Supports of the {F.core_size} functions left after stage {stages}")


def _owners(F: Mmf) -> NDArray[np.int64]:
    """For each pixel the function of the core (from 1) whose support it is in, 0 if in none.

    With rotations of two columns the supports do not overlap, so that one transform of the
    numbers of the functions, divided by one of ones, tells them apart.
    """
    core = F.level_slice(0)
    coefficients = np.zeros((F.shape[0], 2))
    coefficients[core, 0] = 1
    coefficients[core, 1] = np.arange(1, F.core_size + 1)
    ones, numbers = F.inverse_transform(coefficients).T
    covered = abs(ones) > 1e-9
    return np.rint(np.divide(numbers, ones, where=covered, out=np.zeros_like(ones))).astype(np.int64)


def _draw_wavelets(ax: Axes, focus: Problem, level: int, count: int = 16) -> None:
    F = factorize(focus.A)
    level = min(level, F.levels)
    where = F.level_slice(level)
    rows = F.basis()[where]
    # The inverse participation ratio: the number of pixels over which a wavelet spreads.
    spread = 1 / np.asarray((rows**4).sum(axis=1))
    widest = np.argsort(-spread, kind="stable")[:count]
    w = np.asarray(abs(rows[widest]).argmax(axis=0))
    layer = sp.csr_array(rows[widest]).toarray()[w, np.arange(F.shape[0])]
    _show(ax, _grey(focus.picture), f"{count} wavelets of level {level}")
    grid = np.full(focus.labels.size, np.nan)
    grid[focus.pixels] = np.where(abs(layer) > 1e-3, layer, np.nan)
    top = np.nanmax(abs(grid))
    ax.imshow(
        grid.reshape(focus.labels.shape),
        cmap="RdBu_r",
        vmin=-top,
        vmax=top,
        interpolation="nearest",
    )
