"""Architectures of inverted residual blocks.

References
----------
.. [1] M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen, "MobileNetV2: inverted residuals and
   linear bottlenecks", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pympf.la import checks
from pympf.nets.patches.checks import as_shape
from pympf.nets.patches.network import Network

__all__ = ["mobilenet_v2", "residual_network"]

SMALL = ((1, 16, 1), (4, 24, 1), (4, 24, 1), (4, 40, 2), (4, 40, 1))
"""(expansion, channels, stride) of the blocks of the default small network."""

MOBILENET_V2 = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)
"""(expansion, channels, blocks, stride of the first), table 2 of the paper [1]."""


def residual_network(
    shape: Sequence[int],
    n_classes: int,
    blocks: Iterable[tuple[int, int, int]] = SMALL,
    *,
    stem: int = 16,
    stem_stride: int = 2,
    head: int = 128,
    dtype: Any = np.float32,
    seed: int = 0,
) -> Network:
    """Build a network of inverted residual blocks [1]_.

    Not collective.

    Parameters
    ----------
    shape : tuple of int
        (channels, height, width) of an image.
    n_classes : int
        Number of classes.
    blocks : iterable of (expansion, channels, stride)
        By default five blocks: 39 370 parameters for (3, 16, 16) and 10 classes.
    stem, stem_stride : int
        Channels and stride of the 3 × 3 convolution at the bottom.
    head : int
        Features of the last layer.
    dtype : {numpy.float32, numpy.float64}
        Of parameters and activations.
    seed : int
        Seed of the parameters.

    Returns
    -------
    Network
        With random parameters.

    References
    ----------
    .. [1] M. Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018.

    Examples
    --------
    >>> from pympf.nets.patches import residual_network
    >>> residual_network((3, 16, 16), 10).count()["scale-bias"]
    2272
    """
    shape, n_classes = as_shape(shape), checks.integer(n_classes, "n_classes")
    stem, head = checks.integer(stem, "stem"), checks.integer(head, "head")
    structure: list[Any] = [
        ("convolution", shape[0], stem, checks.integer(stem_stride, "stem_stride"))
    ]
    structure += _normalized(stem)
    channels = stem
    for expansion, outputs, stride in blocks:
        structure += _block(channels, expansion, outputs, stride)
        channels = outputs
    structure += [("pointwise", channels, head), *_normalized(head), ("mean",)]
    structure.append(("linear", head, n_classes))
    return Network(shape, structure, dtype=dtype, seed=seed)


def _normalized(channels: int) -> list[Any]:
    return [("norm", channels), ("relu6",)]


def _block(channels: int, expansion: int, outputs: int, stride: int) -> list[Any]:
    """Describe pointwise to expansion · channels, depthwise, pointwise back; with x added."""
    inner, layers = expansion * channels, []
    if expansion > 1:
        layers += [("pointwise", channels, inner), *_normalized(inner)]
    layers += [("depthwise", inner, stride), *_normalized(inner)]
    layers += [("pointwise", inner, outputs), ("norm", outputs)]
    return [("residual", layers)] if stride == 1 and channels == outputs else layers


def mobilenet_v2(
    shape: Sequence[int] = (3, 224, 224),
    n_classes: int = 1000,
    width: float = 1.0,
    *,
    dtype: Any = np.float32,
    seed: int = 0,
) -> Network:
    """Build MobileNetV2 [1]_.

    Not collective.

    Parameters
    ----------
    shape : tuple of int
        (channels, height, width) of an image.
    n_classes : int
        Number of classes.
    width : float
        Multiplies the channels, which are rounded to multiples of 8.
    dtype : {numpy.float32, numpy.float64}
        Of parameters and activations.
    seed : int
        Seed of the parameters.

    Returns
    -------
    Network
        With random parameters; 3 504 872 of them by default.

    References
    ----------
    .. [1] M. Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018.

    Examples
    --------
    >>> from pympf.nets.patches import mobilenet_v2
    >>> mobilenet_v2().count()["all"]
    3504872
    """
    width = checks.positive(width, "width")
    blocks = [
        (expansion, _of_eight(width * channels), stride if number == 0 else 1)
        for expansion, channels, repeats, stride in MOBILENET_V2
        for number in range(repeats)
    ]
    stem, head = _of_eight(32 * width), _of_eight(1280 * max(1.0, width))
    return residual_network(shape, n_classes, blocks, stem=stem, head=head, dtype=dtype, seed=seed)


def _of_eight(channels: float) -> int:
    """Round to a multiple of 8, and by no more than a tenth down."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
