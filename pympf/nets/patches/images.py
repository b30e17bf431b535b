"""Images of other people: scikit-learn's digits, IDX files, small collections; and their size.

All images are float32 of [0, 1] in arrays (n, channels, height, width).

References
----------
.. [1] Y. LeCun, C. Cortes, C. Burges, "The MNIST database": the IDX format.
"""

from __future__ import annotations

import gzip
import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pympf.la import checks
from pympf.nets._checks import Array

__all__ = ["ImageSet", "digits", "load_images", "resize"]

CHUNK = 1000
"""Images that are decoded and resized at once."""

IDX = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
"""The four files of MNIST and its kin; each may end in .gz."""


class ImageSet(NamedTuple):
    """Images with their classes, those to train with and those to test with.

    Parameters
    ----------
    X_train : ndarray of float32, shape (n, channels, height, width)
        Images; numbers of [0, 1].
    y_train : ndarray of int64, shape (n,)
        Classes, from 0.
    X_test, y_test : ndarray
        The same.

    Examples
    --------
    >>> from pympf.nets.patches import digits
    >>> images = digits()
    >>> images.X_train.shape, images.n_classes
    ((1297, 1, 8, 8), 10)
    """

    X_train: Array
    y_train: Array
    X_test: Array
    y_test: Array

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return int(max(self.y_train.max(), self.y_test.max())) + 1


def resize(X: ArrayLike, size: int | tuple[int, int], *, antialias: bool = True) -> Array:
    """Resize images by bilinear interpolation.

    Not collective. A new pixel is the mean of the old ones weighted by a hat function around its
    place; pixels are unit squares, so the corners of the pictures coincide. With `antialias` the
    hat is as wide as a new pixel where the picture shrinks (Pillow's BILINEAR), otherwise always as
    wide as an old one (TensorFlow's and PyTorch's default, which drops pixels at less than half the
    size).

    Parameters
    ----------
    X : array_like, shape (..., height, width)
        Images; numbers of any kind.
    size : int or (int, int)
        New height and width.
    antialias : bool
        Whether all old pixels count where the picture shrinks.

    Returns
    -------
    ndarray, shape (..., height, width)
        float64 for float64 images, else float32.

    Raises
    ------
    ValueError
        If `X` has fewer than two dimensions or no pixels.

    References
    ----------
    .. [1] Thesis, section 4.4.4: images of other resolutions are made by bilinear interpolation.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.patches import resize
    >>> resize(np.arange(4.0)[None], (1, 2))
    array([[0.71428571, 2.28571429]])
    >>> resize(np.arange(4.0)[None], (1, 2), antialias=False)
    array([[0.5, 2.5]])
    """
    X = np.asarray(X)
    if X.dtype.kind not in "fiub":
        raise TypeError(f"expected real numbers in the images, got dtype {X.dtype}")
    if X.ndim < 2 or 0 in X.shape:
        raise ValueError(f"expected images of shape (..., height, width), got {X.shape}")
    height, width = (size, size) if np.ndim(size) == 0 else tuple(size)  # type: ignore[arg-type]
    dtype = X.dtype if X.dtype == np.float64 else np.dtype(np.float32)
    down = _hats(X.shape[-2], checks.integer(height, "height"), antialias).astype(dtype)
    across = _hats(X.shape[-1], checks.integer(width, "width"), antialias).astype(dtype)
    return down @ (X.astype(dtype, copy=False) @ across.T)


def _hats(old: int, new: int, antialias: bool) -> Array:
    """Give the matrix (new, old) of the weights along one axis; rows sum to one."""
    scale = old / new
    wide = max(scale, 1.0) if antialias else 1.0
    centres = (np.arange(new) + 0.5) * scale - 0.5
    if not antialias:  # beyond the outer pixels their value stays
        centres = np.clip(centres, 0, old - 1)
    weights = np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(old)) / wide)
    return weights / weights.sum(axis=1, keepdims=True)


def digits(*, size: int = 8, channels: int = 1, n_test: int = 500, seed: int = 0) -> ImageSet:
    """Give the 1797 handwritten digits that scikit-learn brings along.

    Not collective.

    Parameters
    ----------
    size : int
        Height and width; their own is 8.
    channels : int
        The grey value is repeated.
    n_test : int
        Images that are set aside at random.
    seed : int
        Seed of the choice.

    Returns
    -------
    ImageSet

    Raises
    ------
    ImportError
        Without scikit-learn.

    Examples
    --------
    >>> from pympf.nets.patches import digits
    >>> digits(size=16, channels=3).X_test.shape
    (500, 3, 16, 16)
    """
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = _prepared(X.reshape(-1, 1, 8, 8) / 16, size, channels)
    n_test = checks.integer(n_test, "n_test", 1, len(X) - 1)
    order = np.random.default_rng(checks.integer(seed, "seed", 0)).permutation(len(X))
    train, test = order[n_test:], order[:n_test]
    y = y.astype(np.int64)
    return ImageSet(X[train], y[train], X[test], y[test])


def load_images(
    path: str | Path,
    name: str | None = None,
    *,
    size: int | None = None,
    channels: int | None = None,
) -> ImageSet:
    """Read a set of images from files.

    Not collective. What is understood: the four IDX files of MNIST and its kin, packed or not
    (Debian's package dataset-fashion-mnist has them in /usr/share/datasets/fashion-mnist), and
    `fashion_mnist_small.npz` (arrays), `omniglot_small.npz` (bits; drawers 16 to 20 are the test)
    and `cifar10_jpeg.npz` (JPEG streams without their common header; Pillow decodes them).

    Parameters
    ----------
    path : str or path
        A folder.
    name : {"idx", "fashion-mnist", "omniglot", "cifar-10"}, optional
        Which of the sets of the folder; may be left out if it holds one.
    size : int, optional
        Height and width to `resize` to, with anti-aliasing.
    channels : int, optional
        Grey images are repeated; colours cannot be made grey.

    Returns
    -------
    ImageSet

    Raises
    ------
    FileNotFoundError
        If the folder, or a file of the set, is not there.
    ValueError
        If a file is not what its name says, or a name is needed or unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.patches import load_images
    >>> X, y = np.zeros((4, 28, 28), np.uint8), np.arange(4)
    >>> np.savez("fashion_mnist_small.npz", x_train=X, y_train=y, x_test=X, y_test=y)
    >>> load_images(".", size=16).X_train.shape
    (4, 1, 16, 16)
    """
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"expected a folder with images, got {folder}")
    there = [kind for kind, (file, _) in READERS.items() if _found(folder, file) is not None]
    if name is None:
        if len(there) != 1:
            raise ValueError(f"expected the name of a set of {folder}, which holds {there}")
        name = there[0]
    if checks.choice(name, "name", tuple(READERS)) not in there:
        raise FileNotFoundError(f"expected {READERS[name][0]} in {folder}, which holds {there}")
    parts = READERS[name][1](folder)
    X_train, X_test = (_prepared(X, size, channels) for X in (parts[0], parts[2]))
    y_train, y_test = (np.asarray(y).astype(np.int64) for y in (parts[1], parts[3]))
    for X, y in ((X_train, y_train), (X_test, y_test)):
        if y.shape != (len(X),):
            raise ValueError(f"expected {len(X)} labels in the set {name!r}, got shape {y.shape}")
    return ImageSet(X_train, y_train, X_test, y_test)


def _prepared(X: Array, size: int | None, channels: int | None) -> Array:
    """Bring images (n, c, h, w), uint8 or of [0, 1], to float32 of [0, 1] and the size."""
    if channels is not None and X.shape[1] not in (1, checks.integer(channels, "channels")):
        raise ValueError(f"expected {channels} channels, got images with {X.shape[1]}")
    scale = np.float32(1 / 255 if X.dtype == np.uint8 else 1)
    pieces = []
    for start in range(0, len(X), CHUNK):
        piece = X[start : start + CHUNK].astype(np.float32) * scale
        pieces.append(piece if size is None or X.shape[2:] == (size, size) else resize(piece, size))
    small = np.concatenate(pieces)
    return np.repeat(small, channels, axis=1) if channels and channels > X.shape[1] else small


# ---- files ---------------------------------------------------------------------------------------
Parts = tuple[Array, Array, Array, Array]


def _found(folder: Path, file: str) -> Path | None:
    """Give the path of a file that may be packed; None where there is none."""
    paths = (folder / file, folder / f"{file}.gz")
    return next((path for path in paths if path.is_file()), None)


def _idx(folder: Path) -> Parts:
    arrays = []
    for file in IDX.values():
        path = _found(folder, file)
        if path is None:
            raise FileNotFoundError(f"expected {file} or {file}.gz in {folder}")
        arrays.append(_read_idx(path))
    return arrays[0][:, None], arrays[1], arrays[2][:, None], arrays[3]


def _read_idx(path: Path) -> Array:
    """Read an array of bytes: two zeros, 8 (unsigned bytes), the dimensions, sizes, numbers [1]."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: {error}") from error
    rank = 3 if "idx3" in path.name else 1
    if content[:4] != bytes((0, 0, 8, rank)) or len(content) < 4 * (rank + 1):
        raise ValueError(f"{path}: expected an IDX file of bytes with {rank} dimensions")
    shape = np.frombuffer(content, ">u4", rank, 4).astype(int)
    numbers = np.frombuffer(content, np.uint8, offset=4 * (rank + 1))
    if len(numbers) != shape.prod():
        raise ValueError(f"{path}: expected {shape.prod()} numbers, got {len(numbers)}")
    return numbers.reshape(shape)


def _fashion(folder: Path) -> Parts:
    with np.load(folder / FASHION) as file:
        train, test = (file[f"x_{kind}"][:, None] for kind in ("train", "test"))
        return train, file["y_train"], test, file["y_test"]


def _omniglot(folder: Path) -> Parts:
    with np.load(folder / OMNIGLOT) as file:
        side = 105
        bits = np.unpackbits(file["bits"], axis=1)[:, : side * side]
        X, y = (255 * bits).reshape(-1, 1, side, side), file["labels"]
        train = file["drawer"] <= 15
    return X[train], y[train], X[~train], y[~train]


def _cifar(folder: Path) -> Parts:
    from PIL import Image

    found = []
    with np.load(folder / CIFAR) as file:
        header = bytes(file["header"])
        for kind in ("train", "test"):
            body, ends = bytes(file[f"bytes_{kind}"]), [0, *file[f"ends_{kind}"].tolist()]
            streams = (io.BytesIO(header + body[a:b]) for a, b in itertools.pairwise(ends))
            X = np.stack([np.asarray(Image.open(stream)) for stream in streams])
            found += [X.transpose(0, 3, 1, 2), file[f"labels_{kind}"]]
    return found[0], found[1], found[2], found[3]


FASHION, OMNIGLOT = "fashion_mnist_small.npz", "omniglot_small.npz"
CIFAR = "cifar10_jpeg.npz"
READERS: dict[str, tuple[str, Callable[[Path], Parts]]] = {
    "idx": (IDX["train_images"], _idx),
    "fashion-mnist": (FASHION, _fashion),
    "omniglot": (OMNIGLOT, _omniglot),
    "cifar-10": (CIFAR, _cifar),
}
"""The file that tells that a set is there, and who reads it."""
