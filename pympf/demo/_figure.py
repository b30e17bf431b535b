"""The picture of the demo: the segmentation, the solvers, the matrix and its factorization."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from pympf.demo._problem import BACKGROUND, FOREGROUND, Problem
from pympf.demo._scenes import Scene
from pympf.demo._trials import AMG, CLASSIC, JACOBI, LU, MMF, PLAIN, RTOL, Trial
from pympf.io import atomic_write
from pympf.mmf import Mmf, factorize

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

# The colours of Okabe and Ito, which the colour-blind can tell apart.
SKY, ORANGE, GREEN, BLUE, RED = "#56b4e9", "#e69f00", "#009e73", "#0072b2", "#d55e00"
PURPLE, GREY = "#cc79a7", "#777777"
COLOUR_OF_LABEL = {FOREGROUND: SKY, BACKGROUND: ORANGE}
COLOUR_OF_SOLVER = {
    PLAIN: GREY,
    JACOBI: ORANGE,
    CLASSIC: PURPLE,
    MMF: BLUE,
    AMG: GREEN,
    LU: RED,
}

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
}
INCHES, DPI = (16, 13.2), 100
# Fractions of the figure, and of a panel between panels: room for titles and tick labels.
MARGINS = {"left": 0.01, "right": 0.99, "top": 0.925, "bottom": 0.01, "wspace": 0.15, "hspace": 0.2}
SMALLEST_ENTRY = 1e-2
"""Entries of a matrix below this, relative to its largest one, stay white."""


def draw(path: Path, scene: Scene, problem: Problem, trials: dict[str, Trial]) -> None:
    """Write the picture as PNG, whole or not at all."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    focus, detail = problem.window(*scene.focus), problem.window(*scene.detail)
    with rc_context(STYLE), atomic_write(path) as temporary:
        figure = Figure(figsize=INCHES, dpi=DPI)
        canvas = FigureCanvasAgg(figure)
        unknowns = f"{problem.A.shape[0]:,}".replace(",", " ")
        title = (
            f"Segmenting {scene.subject}: a random walker, {unknowns} unknowns, one linear system"
        )
        figure.suptitle(title, x=MARGINS["left"], y=0.985, ha="left", fontsize=16)
        axes = figure.subplots(3, 4, gridspec_kw=MARGINS)
        _draw_strokes(axes[0, 0], problem)
        _draw_segmentation(axes[0, 1], problem, trials[MMF])
        _draw_iterations(axes[0, 2], trials)
        _draw_seconds(axes[0, 3], trials)
        _draw_focus(axes[1, 0], focus, scene)
        _draw_matrices(axes[1, 1:], detail)
        for ax, stages in zip(axes[2, :2], (3, 5), strict=True):
            _draw_supports(ax, focus, stages)
        for ax, level in zip(axes[2, 2:], (5, 7), strict=True):
            _draw_wavelets(ax, focus, level)
        canvas.draw()
        # Without the fourth channel, which is all opaque: a smaller file.
        rgb = np.asarray(canvas.buffer_rgba())[..., :3]
        Image.fromarray(rgb).save(temporary, format="PNG", optimize=True)


# ---- the picture and its segmentation ------------------------------------------------------------


def _draw_strokes(ax: Axes, problem: Problem) -> None:
    height, width = problem.labels.shape
    # So thick that a line survives when the picture is shrunk to a panel.
    thick = maximum_filter(problem.labels, size=1 + width // 300)
    picture = _with_labels(problem.picture, thick)
    _show(ax, f"{width} × {height} pixels, strokes of two labels", picture)


def _draw_segmentation(ax: Axes, problem: Problem, trial: Trial) -> None:
    p = problem.probability(trial.x)
    weight = p[..., np.newaxis]
    tint = weight * _rgb(COLOUR_OF_LABEL[FOREGROUND]) + (1 - weight) * _rgb(
        COLOUR_OF_LABEL[BACKGROUND]
    )
    mixed = 0.55 * _luminance(problem.picture)[..., np.newaxis] + 0.45 * tint
    _show(ax, "Probability of the foreground (line: ½)", np.clip(mixed, 0, 1))
    ax.contour(p, [0.5], colors="black", linewidths=0.9)


def _with_labels(picture: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    painted = _colours(picture)
    for label, colour in COLOUR_OF_LABEL.items():
        painted[labels == label] = _rgb(colour)
    return painted


def _show(ax: Axes, title: str, picture: NDArray[np.float64], **options: Any) -> None:
    ax.imshow(picture, **options)
    ax.set_title(title)
    ax.set_axis_off()


def _rgb(colour: str) -> NDArray[np.float64]:
    from matplotlib.colors import to_rgb

    return np.array(to_rgb(colour))


def _luminance(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    values = picture / 255
    return values if values.ndim == 2 else values @ np.array([0.299, 0.587, 0.114])


def _colours(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    values = picture / 255
    return values if values.ndim == 3 else np.repeat(values[..., np.newaxis], 3, axis=2)


# ---- the solvers ---------------------------------------------------------------------------------


def _draw_iterations(ax: Axes, trials: dict[str, Trial]) -> None:
    ax.set_title("Residual ‖b − Ax‖ / ‖b‖ against iterations")
    ends = {}
    for name, trial in trials.items():
        if trial.iterations is not None:
            cut_off = "" if trial.converged else ", cut off"
            iterations = np.arange(len(trial.history))
            _draw_history(ax, name, iterations, trial)
            ends[name] = (f"{trial.iterations}{cut_off}", iterations[-1], trial.history[-1])
    _label_ends(ax, ends)


def _draw_seconds(ax: Axes, trials: dict[str, Trial]) -> None:
    ax.set_title("… and against seconds, with the set-up")
    ends = {}
    for name, trial in trials.items():
        seconds = np.linspace(trial.setup_s, trial.total_s, len(trial.history))
        if trial.iterations is not None:
            _draw_history(ax, name, seconds, trial)
        text = f"{trial.total_s:.1f} s" if trial.converged else "cut off"
        ends[name] = (text, trial.total_s, trial.history[-1])
    _label_ends(ax, ends)


def _draw_history(ax: Axes, name: str, x: NDArray[Any], trial: Trial) -> None:
    width = 2.6 if name == MMF else 1.5
    ax.plot(x, trial.history, color=COLOUR_OF_SOLVER[name], linewidth=width)


def _label_ends(ax: Axes, ends: dict[str, tuple[str, float, float]]) -> None:
    """Name each curve below its end, on a line of its own so that no two names collide."""
    right = max(x for _, x, _ in ends.values())
    lines = RTOL * 0.1 ** (0.8 * np.arange(1, len(ends) + 1) - 0.1)
    by_end = sorted(ends.items(), key=lambda end: -end[1][1])
    for (name, (text, x, y)), line in zip(by_end, lines, strict=True):
        colour = COLOUR_OF_SOLVER[name]
        ax.plot([x, x], [max(y, RTOL), line], color=colour, linewidth=0.9)
        ax.plot(x, max(y, RTOL), "o", color=colour, markersize=4)
        to_the_right = x < right / 2
        ax.annotate(
            f"{name}: {text}",
            (x, line),
            (4 if to_the_right else -4, 0),
            textcoords="offset points",
            ha="left" if to_the_right else "right",
            va="center",
            color=colour,
            weight="bold" if name == MMF else "normal",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )
    ax.axhline(RTOL, color="black", linewidth=0.7, linestyle=(0, (4, 4)), zorder=0)
    ax.set(yscale="log", xlim=(-0.02 * right, 1.04 * right), ylim=(lines[-1] / 5, 3), box_aspect=1)
    ax.set_yticks([1, 1e-2, 1e-4, 1e-6, 1e-8])
    ax.minorticks_off()


# ---- the matrix and its factorization ------------------------------------------------------------


def _draw_focus(ax: Axes, focus: Problem, scene: Scene) -> None:
    side, square = scene.focus.size, scene.detail
    title = f"A part of {side} × {side}; the square: {square.size} × {square.size}"
    _show(ax, title, _colours(focus.picture))
    x, y = square.x - scene.focus.x - 0.5, square.y - scene.focus.y - 0.5
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) * square.size
    ax.plot(corners[:, 0] + x, corners[:, 1] + y, color=BLUE, linewidth=2.5)


def _draw_matrices(axes: NDArray[Any], detail: Problem) -> None:
    A = detail.A
    F = factorize(A, core_size=max(A.shape[0] // 16, 1))
    Q = F.basis()
    rotated = (Q @ A @ Q.T).toarray()
    core = F.level_slice(0)
    H = np.diag(rotated.diagonal())
    H[core, core] = F.core().toarray()
    kept = np.linalg.norm(H) / np.linalg.norm(rotated)
    scale = abs(A).max()
    image = _draw_matrix(axes[0], f"|A| of the square: {len(H)} unknowns", A.toarray() / scale)
    bar = axes[0].inset_axes((0, -0.06, 1, 0.03))
    axes[0].figure.colorbar(image, cax=bar, orientation="horizontal")
    _draw_matrix(axes[1], "|QAQᵀ|: core, wavelets of stages … 2, 1", rotated / scale)
    _draw_matrix(axes[2], f"|H|: what is kept, {kept:.0%} of the norm", H / scale)
    for ax in axes[1:]:
        for level in range(1, F.levels + 1):
            ax.axhline(F.level_slice(level).start, color=RED, linewidth=0.8)
            ax.axvline(F.level_slice(level).start, color=RED, linewidth=0.8)


def _draw_matrix(ax: Axes, title: str, A: NDArray[np.float64]) -> AxesImage:
    from matplotlib.colors import LogNorm

    ax.set_title(title)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(True)
    n = len(A)
    # A dot shows the largest of the entries that it covers: their mean would hide single ones.
    cell = max(n // 256, 1)
    padded = np.pad(abs(A), (0, -n % cell))
    dots = len(padded) // cell
    largest = padded.reshape(dots, cell, dots, cell).max(axis=(1, 3))
    return ax.imshow(
        np.where(largest >= SMALLEST_ENTRY, largest, np.nan),
        norm=LogNorm(SMALLEST_ENTRY, 1),
        cmap="cividis_r",
        extent=(0, n, n, 0),
        interpolation="nearest",
    )


# ---- the functions on the picture ----------------------------------------------------------------


def _draw_supports(ax: Axes, focus: Problem, stages: int) -> None:
    """Fill the support of each active function with its mean colour."""
    F = factorize(focus.A, max_stages=stages, core_size=1)
    owner = _owners(F)
    colours = _colours(focus.picture).reshape(-1, 3)[focus.pixels]
    sizes = np.bincount(owner, minlength=F.core_size + 1)
    sums = np.stack([np.bincount(owner, c, F.core_size + 1) for c in colours.T], axis=1)
    means = sums / np.maximum(sizes, 1)[:, np.newaxis]
    means[0] = 1
    mosaic = _with_labels(focus.picture, focus.labels).reshape(-1, 3)
    mosaic[focus.pixels] = means[owner]
    title = f"{F.core_size} supports after stage {stages}; white: none"
    _show(ax, title, mosaic.reshape(*focus.labels.shape, 3), interpolation="nearest")


def _owners(F: Mmf) -> NDArray[np.int64]:
    """Number, from 1, the function of the core in whose support each row lies; 0: in none.

    Rotations of two columns keep the supports apart: the transform of the numbers of the
    functions, divided by that of ones, is the number of the only function that is there.
    """
    core = F.level_slice(0)
    coefficients = np.zeros((F.shape[0], 2))
    coefficients[core, 0] = 1
    coefficients[core, 1] = np.arange(1, F.core_size + 1)
    ones, numbers = F.inverse_transform(coefficients).T
    owner = np.zeros(F.shape[0], np.int64)
    # What rounding left of a column that a rotation turned all but away is no part of a support.
    inside = abs(ones) > 1e-9
    owner[inside] = np.rint(numbers[inside] / ones[inside])
    return owner


def _draw_wavelets(ax: Axes, focus: Problem, level: int, count: int = 16) -> None:
    """Lay wavelets of a level on the picture: the widest ones that do not overlap."""
    F = factorize(focus.A)
    wavelets = F.basis()[F.level_slice(level)]
    pixels_covered = 1 / (wavelets**4).sum(axis=1)
    values = np.zeros(F.shape[0])
    drawn = 0
    for index in np.argsort(-pixels_covered, kind="stable"):
        wavelet = wavelets[[index]].toarray().ravel()
        wavelet /= abs(wavelet).max()
        wavelet[abs(wavelet) < 0.01] = 0
        if drawn < count and not (values * wavelet).any():
            values += wavelet
            drawn += 1
    layer = np.full(focus.labels.shape, np.nan)
    layer.flat[focus.pixels] = np.where(values == 0, np.nan, values)
    grey = {"cmap": "gray", "vmin": 0, "vmax": 1}
    _show(ax, f"{drawn} wavelets of stage {level}", _luminance(focus.picture), **grey)
    ax.imshow(layer, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
