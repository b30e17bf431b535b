"""Transfer: a patch for other images and classes, trained, the rest of the network as it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf.la import checks
from pympf.nets.patches.checks import GROUPS
from pympf.nets.patches.network import Network
from pympf.nets.patches.patches import Patch

__all__ = ["SETS", "Transferred", "patch_of", "transfer"]

SETS = (
    *("last", "statistics+last", "scale-bias", "scale-bias+last", "depthwise", "depthwise+last"),
    *("scale-bias+depthwise", "scale-bias+depthwise+last", "all"),
)
"""What of a network may be learned for other images."""


@dataclass(frozen=True)
class Transferred:
    """What a transfer has learned.

    Parameters
    ----------
    name : str
        Of the patch, which is active.
    train : str
        What was trained.
    parameters : int
        How many numbers were trained.
    share : float
        Their share of the network's parameters.
    losses : list of float
        Loss of each epoch.
    """

    name: str
    train: str
    parameters: int
    share: float
    losses: list[float]


def patch_of(train: str, n_classes: int | None = None, seed: int = 0) -> Patch:
    """Describe the patch of a set of parameters.

    Not collective.

    Parameters
    ----------
    train : str
        One of `SETS`.
    n_classes : int, optional
        Classes of its last layer, which starts at random, and stays there unless the set has
        "last"; by default the last layer is the pretrained one.
    seed : int
        Seed of the last layer.

    Returns
    -------
    Patch
        To be added to a network.

    Examples
    --------
    >>> from pympf.nets.patches import patch_of
    >>> patch_of("scale-bias+last", 10).groups
    ('scale-bias', 'last')
    """
    words = checks.choice(train, "train", SETS).split("+")
    groups = GROUPS if train == "all" else tuple(word for word in words if word in GROUPS)
    return Patch(groups, n_classes is not None or "last" in groups, n_classes, seed)


def transfer(
    network: Network,
    X: ArrayLike,
    y: ArrayLike,
    train: str = "scale-bias+last",
    *,
    n_classes: int | None = None,
    name: str | None = None,
    **options: Any,
) -> Transferred:
    """Train a new patch of a network on other images.

    Not collective. The network's pretrained weights and its other patches stay what they are.

    Parameters
    ----------
    network : Network
        Gets the patch, which stays active.
    X : array_like, shape (n, channels, height, width)
        Images.
    y : array_like of int, shape (n,)
        Their classes, from 0.
    train : str
        What learns: "last", "statistics+last" (the statistics are computed anew first),
        "scale-bias", "scale-bias+last", "depthwise", "depthwise+last", "scale-bias+depthwise",
        "scale-bias+depthwise+last" or "all". Without "last" the last layer keeps its random start.
    n_classes : int, optional
        By default the largest label plus one.
    name : str, optional
        Of the patch; by default `train`.
    **options
        As of `Network.fit`: `method`, `learning_rate`, `epochs`, `batch`, `seed`, `statistics`, …

    Returns
    -------
    Transferred
        What was trained.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.patches import residual_network, transfer
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.standard_normal((32, 3, 16, 16)), rng.integers(0, 4, 32)
    >>> net = residual_network((3, 16, 16), 10)
    >>> transfer(net, X, y, "scale-bias+last", epochs=1).parameters
    2788
    >>> net.active_patch, net.n_classes
    ('scale-bias+last', 4)
    """
    if not isinstance(network, Network):
        raise TypeError(f"expected a Network, got {type(network).__name__}")
    labels = np.asarray(y)
    if n_classes is None and labels.size:
        n_classes = int(labels.max()) + 1
    patch = patch_of(train, n_classes, options.get("seed", 0))
    name, before = train if name is None else name, network.active_patch
    network.add_patch(name, patch)
    network.set_patch(name)
    try:
        if train.startswith("statistics"):
            network.recompute_statistics(X)
        network.fit(X, y, **options)
    except BaseException:
        network.set_patch(before)
        network.delete_patch(name)
        raise
    counts = network.count()
    learned = sum(counts[group] for group in patch.groups)
    return Transferred(name, train, learned, learned / counts["all"], network.losses)
