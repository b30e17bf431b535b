"""A modular pipeline to sketch: scenes of handwritten digits, in numpy.

    edges     eight maps of the gradient's strength by direction
    parts     the four quarters of an object: edges by direction, and where they are
    objects   connected pieces of ink: a digit, its size, place and ink
    scene     the output: all objects, of equal weight

An object is of the module of its digit, told by ridge regression from pixels; a part is of the
module of its quarter; the edges of a part are of one module for each quarter. Quantities v of [0,
1] are pairs (v, 1 − v), so that they are read from normalized attributes as a share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pympf._described import Described
from pympf.la import checks
from pympf.sketch.graph import Graph

__all__ = ["Pipeline", "Scene", "make_scene"]

SIDE = 64
"""Pixels of a scene's side."""
SIZES = (10, 14, 18, 22)
"""Pixels of a digit's side."""
DIRECTIONS = 8
QUARTERS = ("top left", "top right", "bottom left", "bottom right")
GRID = 3
"""Cells of a quarter's side, in which edges are counted."""


@dataclass(frozen=True)
class Scene:
    """An image, and what is in it.

    Attributes
    ----------
    image : numpy.ndarray, shape (64, 64)
        Ink in [0, 1].
    digits : list of int
    sizes : list of int
        Pixels of the sides of the digits.
    """

    image: NDArray[np.float64]
    digits: list[int]
    sizes: list[int]


def make_scene(
    images: NDArray[np.float64], labels: NDArray[np.int64], count: int, rng: np.random.Generator
) -> Scene:
    """Compose a scene of digits, which do not touch.

    Not collective.

    Parameters
    ----------
    images : numpy.ndarray, shape (n, 8, 8)
        Digits with ink in [0, 1].
    labels : numpy.ndarray of int, shape (n,)
    count : int
        Digits in the scene, 1 to 4: one in each quarter.
    rng : numpy.random.Generator

    Returns
    -------
    Scene

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.sketch.pipeline import make_scene
    >>> ones = np.ones((1, 8, 8))
    >>> make_scene(ones, np.array([1]), 2, np.random.default_rng(0)).digits
    [1, 1]
    """
    from scipy.ndimage import zoom

    checks.integer(count, "count", 1, 4)
    scene, half = np.zeros((SIDE, SIDE)), SIDE // 2
    digits, sizes = [], []
    for quarter in rng.permutation(4)[:count]:
        which, size = int(rng.integers(len(images))), int(rng.choice(SIZES))
        digit = np.clip(zoom(images[which], size / 8, order=1), 0.0, 1.0)
        top, left = rng.integers(1, half - size, size=2) + half * np.array(divmod(quarter, 2))
        scene[top : top + size, left : left + size] = digit
        digits.append(int(labels[which]))
        sizes.append(size)
    return Scene(scene, digits, sizes)


class Pipeline(Described):
    """Edges, parts, objects, scene: from an image to its communication graph.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.sketch.pipeline import Pipeline, make_scene
    >>> rng = np.random.default_rng(0)
    >>> images = rng.random((20, 8, 8)) > 0.3
    >>> labels = np.arange(20) % 10
    >>> pipeline = Pipeline().fit(images.astype(float), labels)
    >>> scene = make_scene(np.ones((1, 8, 8)), labels[:1], 1, rng)
    >>> graph = pipeline.graph(scene.image)
    >>> len(graph.objects)  # an object, four parts, and their edges
    9
    """

    weights: NDArray[np.float64]

    def fit(self, images: NDArray[np.float64], labels: NDArray[np.int64]) -> Pipeline:
        """Learn the digits.

        Not collective.

        Parameters
        ----------
        images : numpy.ndarray, shape (n, 8, 8)
        labels : numpy.ndarray of int, shape (n,)

        Returns
        -------
        Pipeline
            This one.

        Examples
        --------
        See `Pipeline`.
        """
        from scipy.ndimage import zoom

        rows, targets = [], []
        for image, label in zip(images, labels, strict=True):
            for size in SIZES:  # as it looks in a scene
                digit = np.clip(zoom(image, size / 8, order=1), 0.0, 1.0)
                rows.append(self._features(_trimmed(digit)))
                targets.append(np.eye(10)[label])
        A, B = np.array(rows), np.array(targets)
        ridge = 1e-2 * len(A) * np.eye(A.shape[1])
        self.weights = np.linalg.solve(A.T @ A + ridge, A.T @ B)
        return self

    def classify(self, piece: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scores of the ten digits for a piece of an image.

        Not collective.

        Parameters
        ----------
        piece : numpy.ndarray, shape (height, width)
            Without margins.

        Returns
        -------
        numpy.ndarray, shape (10,)
            Nonnegative.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.sketch.pipeline import Pipeline
        >>> pipeline = Pipeline().fit(np.eye(10)[:, :8, None] * np.ones(8), np.arange(10))
        >>> pipeline.classify(np.ones((9, 9))).shape
        (10,)
        """
        return np.maximum(self._features(piece) @ self.weights, 0.0)

    def edges(self, image: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the gradient's strength in each of eight directions.

        Not collective.

        Parameters
        ----------
        image : numpy.ndarray, shape (height, width)

        Returns
        -------
        numpy.ndarray, shape (8, height, width)

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.sketch.pipeline import Pipeline
        >>> Pipeline().edges(np.eye(4)).shape
        (8, 4, 4)
        """
        dy, dx = np.gradient(image)
        direction = np.floor(np.arctan2(dy, dx) / (2 * np.pi) * DIRECTIONS + 0.5) % DIRECTIONS
        return np.hypot(dy, dx) * (direction == np.arange(DIRECTIONS)[:, None, None])

    def graph(self, image: NDArray[np.float64]) -> Graph:
        """Return the communication graph of a scene.

        Not collective.

        Parameters
        ----------
        image : numpy.ndarray, shape (64, 64)

        Returns
        -------
        Graph
            Objects named ``(n, "object")``, parts ``(n, quarter)`` and their edges
            ``(n, quarter, "edges")``.

        Examples
        --------
        See `Pipeline`.
        """
        from scipy.ndimage import find_objects, label

        maps = self.edges(image)
        pieces, _ = label(image > 0.05, structure=np.ones((3, 3)))
        graph = Graph()
        boxes = [box for box in find_objects(pieces) if image[box].sum() > 4]
        for n, box in enumerate(boxes):
            parts = {}
            for quarter, at in zip(QUARTERS, _quarters(box), strict=True):
                self._add_part(graph, (n, quarter), quarter, maps[(slice(None), *at)])
                parts[n, quarter] = 0.25
            scores = self.classify(image[box])
            height, width = (side.stop - side.start for side in box)
            middle = [(side.start + side.stop) / 2 / SIDE for side in box]
            amounts = [height / SIDE * 2, width / SIDE * 2, *middle, image[box].mean()]
            pairs = [part for v in amounts for part in (min(v, 1.0), 1 - min(v, 1.0))]
            attributes = _unit(np.concatenate([pairs, scores]))
            graph.add((n, "object"), f"digit {scores.argmax()}", attributes, inputs=parts)
        graph.set_output({(n, "object"): 1 / len(boxes) for n in range(len(boxes))})
        return graph

    def activation_bytes(self, image: NDArray[np.float64]) -> int:
        """Return the bytes of all that the pipeline has computed, in float32.

        Not collective.

        Parameters
        ----------
        image : numpy.ndarray, shape (64, 64)

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.sketch.pipeline import Pipeline
        >>> Pipeline().activation_bytes(np.zeros((64, 64)))
        147456
        """
        graph = self.graph(image) if hasattr(self, "weights") else Graph()
        attributes = sum(len(made.attributes) for made in graph.objects.values())
        return 4 * ((1 + DIRECTIONS) * image.size + attributes)

    def _features(self, piece: NDArray[np.float64]) -> NDArray[np.float64]:
        from scipy.ndimage import zoom

        small = zoom(piece, (12 / piece.shape[0], 12 / piece.shape[1]), order=1)
        maps = self.edges(small).reshape(DIRECTIONS, 4, 3, 4, 3).sum(axis=(2, 4))
        return np.concatenate([[1.0], small.ravel(), maps.ravel()])

    def _add_part(
        self, graph: Graph, name: tuple[int, str], quarter: str, maps: NDArray[np.float64]
    ) -> None:
        strength = maps.sum(axis=0)
        rows = np.array_split(strength, GRID)
        cells = np.array([[c.sum() for c in np.array_split(r, GRID, axis=1)] for r in rows])
        graph.add((*name, "edges"), f"edges {quarter}", _unit(cells.ravel()))
        graph.add(name, quarter, _unit(maps.sum(axis=(1, 2))), inputs={(*name, "edges"): 1.0})


def _quarters(box: tuple[slice, slice]) -> list[tuple[slice, slice]]:
    halves = []
    for side in box:
        middle = (side.start + side.stop + 1) // 2
        halves.append((slice(side.start, middle), slice(middle, side.stop)))
    return [(vertical, horizontal) for vertical in halves[0] for horizontal in halves[1]]


def _trimmed(image: NDArray[np.float64]) -> NDArray[np.float64]:
    rows, columns = np.nonzero(image > 0.05)
    if len(rows) == 0:
        return image
    return image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _unit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    norm = np.linalg.norm(x)
    return x / norm if norm > 0 else np.full(len(x), 1 / np.sqrt(len(x)))
