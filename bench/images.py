"""Images for the cases of model patches: real ones where their folder is, else generated ones."""

import functools
import os
from pathlib import Path

import numpy as np

from pympf.nets.patches import ImageSet, Scenes, digits, load_images

FOLDER = "PYMPF_IMAGES"
"""Names the folder with cifar10_jpeg.npz, fashion_mnist_small.npz and omniglot_small.npz."""


def there() -> bool:
    """Whether the real images are there."""
    return (Path(os.environ.get(FOLDER, ".")) / "cifar10_jpeg.npz").is_file()


@functools.cache
def collection(name: str, side: int) -> ImageSet:
    """Three channels, numbers of about mean 0 and variance 1: (x - 0.47)/0.25.

    `name` is one of `load_images`, "digits", or a kind of label of `Scenes`.
    """
    if name == "digits":
        found = digits(size=side, channels=3)
    elif name in ("shape", "texture", "orientation", "detection"):
        scenes = Scenes(side)
        (X, y), (X_test, y_test) = (scenes.sample(n, seed=n) for n in (6000, 2000))
        found = ImageSet(X, y[name], X_test, y_test[name])
    else:
        found = _kept(name, side)
    X, X_test = ((images - np.float32(0.47)) / np.float32(0.25) for images in found[::2])
    return ImageSet(X, found.y_train, X_test, found.y_test)


def _kept(name: str, side: int) -> ImageSet:
    """Decode and resize once on a machine."""
    kept = Path(os.environ.get("TMPDIR", "/tmp")) / f"pympf_{name}_{side}.npz"
    if not kept.exists():
        found = load_images(os.environ.get(FOLDER, "."), name, size=side, channels=3)
        np.savez(kept, *found)
    with np.load(kept) as file:
        return ImageSet(*(file[f"arr_{i}"] for i in range(4)))
