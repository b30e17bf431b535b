"""Generated images: one shape on a texture, with labels of four kinds from the same scene."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pympf._described import Described
from pympf.la import checks
from pympf.nets._checks import Array, random_numbers

__all__ = ["SHAPES", "Scenes"]

FINER = 3
"""Points along each side of a pixel in which a shape is evaluated."""

CHUNK = 1000
"""Images that are made at once."""

GRAINS = 4
"""Directions of a texture: 0, 45, 90 and 135 degrees."""


def _bar(degrees: float) -> Callable[[Array, Array], Array]:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return lambda u, v: (np.abs(c * u + s * v) < 0.95) & (np.abs(c * v - s * u) < 0.25)


def _checker(u: Array, v: Array) -> Array:
    odd = (np.floor(2 * u / 0.85) + np.floor(2 * v / 0.85)) % 2 == 1
    return odd & (np.maximum(np.abs(u), np.abs(v)) < 0.85)


SHAPES: dict[str, Callable[[Array, Array], Array]] = {
    "disc": lambda u, v: u * u + v * v < 0.81,
    "ring": lambda u, v: np.abs(np.hypot(u, v) - 0.7) < 0.22,
    "square": lambda u, v: np.maximum(np.abs(u), np.abs(v)) < 0.8,
    "triangle": lambda u, v: (v < 0.8) & (np.abs(u) < 0.55 * (v + 0.9)),
    "cross": lambda u, v: (
        (np.minimum(np.abs(u), np.abs(v)) < 0.25) & (np.maximum(np.abs(u), np.abs(v)) < 0.95)
    ),
    "bar at 0°": _bar(0),
    "bar at 45°": _bar(45),
    "bar at 90°": _bar(90),
    "bar at 135°": _bar(135),
    "checker": _checker,
}
"""Whether the point (u, v) of [-1, 1]² lies in a shape; v points down."""


class Scenes(Described):
    """Images of one shape on a texture; what is asked of them may be of four kinds.

    The shape has a random place, size, colour and contrast; the texture is normal noise filtered by
    a Gaussian of one of several widths, twice as long in one of four directions as across. The
    labels are the *shape*; the *texture*'s width; the *orientation* of its grain; and *detection*,
    cell · classes + shape, with the cell of a grid, row by row, in which the shape's centre lies.
    A network that learns one kind can be asked for another (thesis, table 4.3: from detection to
    classification).

    Parameters
    ----------
    size : int
        Height and width, at least 4.
    classes : int
        Shapes, of the ten in `SHAPES`.
    channels : int
        Channels; in each, the shape and the background have their own brightness.
    textures : int
        Widths of the texture.
    grid : int
        Cells along each side.
    seed : int
        Chooses the shapes.

    Attributes
    ----------
    shapes : tuple of str
        Names of the classes.
    n_classes : dict of str to int
        Classes of each kind of label.

    Examples
    --------
    >>> from pympf.nets.patches import Scenes
    >>> scenes = Scenes(16, classes=10)
    >>> X, labels = scenes.sample(100)
    >>> X.shape, labels["shape"].shape
    ((100, 3, 16, 16), (100,))
    >>> scenes.n_classes
    {'shape': 10, 'texture': 3, 'orientation': 4, 'detection': 40}
    """

    def __init__(
        self,
        size: int = 16,
        classes: int = 10,
        *,
        channels: int = 3,
        textures: int = 3,
        grid: int = 2,
        seed: int = 0,
    ) -> None:
        self.size, self.channels = (
            checks.integer(size, "size", 4),
            checks.integer(channels, "channels"),
        )
        classes = checks.integer(classes, "classes", 2, len(SHAPES))
        self.textures, self.grid = (
            checks.integer(textures, "textures"),
            checks.integer(grid, "grid", 1, size),
        )
        chosen = random_numbers(seed, "shapes").permutation(len(SHAPES))[:classes]
        self.shapes = tuple(list(SHAPES)[i] for i in sorted(chosen))
        self.n_classes = {
            "shape": classes,
            "texture": self.textures,
            "orientation": GRAINS,
            "detection": classes * self.grid**2,
        }

    def sample(self, n: int, *, seed: int = 0) -> tuple[Array, dict[str, Array]]:
        """Draw images and all their labels.

        Not collective.

        Parameters
        ----------
        n : int
            Images.
        seed : int
            Seed of the draw; other seeds give independent images.

        Returns
        -------
        X : ndarray of float32, shape (n, channels, size, size)
            Numbers of [0, 1].
        labels : dict of str to ndarray of int64, shape (n,)
            By the kind: 'shape', 'texture', 'orientation', 'detection'.

        Examples
        --------
        >>> from pympf.nets.patches import Scenes
        >>> X, labels = Scenes(16).sample(5, seed=1)
        >>> sorted(labels)
        ['detection', 'orientation', 'shape', 'texture']
        """
        n = checks.integer(n, "n")
        rng = random_numbers(seed, "scenes")
        labels = {
            kind: rng.integers(0, self.n_classes[kind], n)
            for kind in ("shape", "texture", "orientation")
        }
        centres, radii = rng.uniform(0.2, 0.8, (n, 2)), rng.uniform(0.18, 0.35, n)
        cells = np.minimum((centres * self.grid).astype(np.int64), self.grid - 1)
        cell = self.grid * cells[:, 1] + cells[:, 0]
        labels["detection"] = cell * len(self.shapes) + labels["shape"]
        pieces = []
        for start in range(0, n, CHUNK):
            part = slice(start, start + CHUNK)
            inside = self._inside(labels["shape"][part], centres[part], radii[part])
            grain = self._grain(labels["texture"][part], labels["orientation"][part], rng)
            pieces.append(self._coloured(inside, grain, rng))
        return np.concatenate(pieces), labels

    def _inside(self, shape: Array, centres: Array, radii: Array) -> Array:
        """Give the share of each pixel that the shape covers, (n, size, size)."""
        fine = self.size * FINER
        at = (np.arange(fine) + 0.5) / fine
        covered = np.empty((len(shape), fine, fine), np.float32)
        for k, name in enumerate(self.shapes):
            of_k = shape == k
            u, v = ((at - centres[of_k, i, None]) / radii[of_k, None] for i in (0, 1))
            covered[of_k] = SHAPES[name](u[:, None, :], v[:, :, None])
        return covered.reshape(-1, self.size, FINER, self.size, FINER).mean((2, 4))

    def _grain(self, texture: Array, orientation: Array, rng: np.random.Generator) -> Array:
        """Give noise of variance one, filtered by exp(-2π²(σ_1² f_1² + σ_2² f_2²)), σ_1 = 2 σ_2."""
        size = self.size
        noise = np.fft.rfft2(rng.standard_normal((len(texture), size, size)))
        fy, fx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
        for k in range(self.textures):
            across = 0.4 * 2.0**k  # in pixels
            for direction in range(GRAINS):
                angle = np.pi * direction / GRAINS
                f1, f2 = fx * np.cos(angle) + fy * np.sin(angle), fy * np.cos(angle)
                f2 = f2 - fx * np.sin(angle)
                kept = np.exp(-2 * (np.pi * across) ** 2 * (4 * f1 * f1 + f2 * f2))
                noise[(texture == k) & (orientation == direction)] *= kept
        grain = np.fft.irfft2(noise, s=(size, size))
        return grain / (grain.std((1, 2), keepdims=True) + 1e-12)

    def _coloured(self, inside: Array, grain: Array, rng: np.random.Generator) -> Array:
        """Put a coloured shape on a background of another colour, with the grain over both."""
        n = len(inside)
        background = rng.uniform(0.3, 0.7, (n, self.channels, 1, 1))
        tint = rng.uniform(0.5, 1.5, (n, self.channels, 1, 1))
        tint *= rng.choice([-1, 1], (n, 1, 1, 1))  # one sign for all: a bright or a dark shape
        contrast = rng.uniform(0.15, 0.35, (n, 1, 1, 1)) * tint
        roughness = rng.uniform(0.05, 0.12, (n, 1, 1, 1))
        X = background + contrast * inside[:, None] + roughness * grain[:, None]
        return np.clip(X, 0, 1).astype(np.float32)
