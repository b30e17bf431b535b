"""Networks: training, statistics, folding, files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from pympf.la import checks
from pympf.nets._checks import Array, random_numbers
from pympf.nets.model import make_optimizer
from pympf.nets.patches._storage import load_network, save_network
from pympf.nets.patches.checks import STATISTICS, as_images, as_labels
from pympf.nets.patches.layers import BatchNorm, Pass
from pympf.nets.patches.model import Loss, Structure, cross_entropy
from pympf.nets.patches.patches import Patchable
from pympf.nets.train import descend, scheduled

__all__ = ["Network", "default_rate"]

Augment: TypeAlias = Callable[[Array, np.random.Generator], Array]

METHODS = ("adam", "rmsprop", "sgd")

NUMBERS = {"convolution": 3, "pointwise": 2, "depthwise": 2}
"""Of the description of a convolution without bias: channels, and its stride."""


class Network(Patchable):
    """A network of layers that ends in a mean over the image and a linear layer.

    Parameters
    ----------
    shape : tuple of int
        (channels, height, width) of an image.
    structure : sequence
        Layers from the bottom: ("convolution", inputs, outputs, stride), ("norm", channels),
        ("relu6",), ("pointwise", inputs, outputs), ("depthwise", channels, stride),
        ("residual", layers), ("mean",), ("linear", features, n_classes).
    dtype : {numpy.float32, numpy.float64}
        Of parameters and activations.
    seed : int
        Seed of the parameters.

    Attributes
    ----------
    losses : list of float
        Loss of each epoch of the last training.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.patches import ScaleBias, LastLayer, residual_network
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.standard_normal((32, 3, 16, 16)), rng.integers(0, 4, 32)
    >>> net = residual_network((3, 16, 16), 10)
    >>> net.add_patch("new task", ScaleBias() | LastLayer(4))
    >>> net.set_patch("new task")
    >>> net.fit(X, y, epochs=1).predict(X).shape
    (32,)
    """

    losses: list[float]

    def merge(self) -> Network:
        """Give a network without patches that has the values of the active one.

        Not collective. This network stays as it is: a patch that is added later starts from the
        pretrained values.

        Returns
        -------
        Network
            A copy, whose own weights those of the patch are now.

        Examples
        --------
        >>> from pympf.nets.patches import LastLayer, residual_network
        >>> net = residual_network((3, 16, 16), 10)
        >>> net.add_patch("a", LastLayer(4))
        >>> net.set_patch("a")
        >>> net.merge().n_classes, net.active_patch
        (4, 'a')
        """
        *body, (kind, features, _) = self.structure
        merged = Network(self.shape, [*body, (kind, features, self.n_classes)], dtype=self.dtype)
        own = self.parameters() | self.statistics()
        merged.bind({name: array.copy() for name, array in own.items()})
        return merged

    # ---- training --------------------------------------------------------------------------------
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        method: str = "adam",
        *,
        groups: Iterable[str] | str | None = None,
        statistics: str | None = None,
        schedule: str = "cosine",
        decay: float = 0.98,
        every: float = 2.5,
        augment: Augment | None = None,
        loss: Loss = cross_entropy,
        **options: Any,
    ) -> Network:
        """Train some groups of parameters.

        Not collective. Nothing but these, and the running statistics that belong to them, changes.
        The last layer alone, with frozen statistics, trains on features that are computed once.

        Parameters
        ----------
        X : array_like, shape (n, channels, height, width)
            Images.
        y : array_like of int, shape (n,)
            Their classes, from 0.
        method : {"adam", "rmsprop", "sgd"}
            The optimizer.
        groups : iterable of str, optional
            Groups that learn; by default those of the active patch, and all where there are no
            patches.
        statistics : {"batch", "running", "frozen"}, optional
            As of `gradient`; by default "frozen" if the last layer alone learns, and "batch".
        schedule : {"cosine", "exponential", "constant"}
            How the rate falls: to zero, or by the factor `decay` after each `every` epochs, as in
            the thesis.
        decay, every : float
            Of the exponential schedule.
        augment : callable, optional
            Maps a batch (channels, n, height, width) and random numbers to another one.
        loss : callable
            As of `gradient`.
        **options
            `learning_rate` (by default 0.003, without the pointwise group 0.01, and 0.1 for the
            last layer alone), and those of `descend`: `epochs`, `batch`, `seed`, `progress`.

        Returns
        -------
        Network
            This one, changed in place; `losses` holds the loss of each epoch.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets.patches import residual_network
        >>> X = np.random.default_rng(0).standard_normal((64, 1, 8, 8))
        >>> y = (X.mean(axis=(1, 2, 3)) > 0).astype(int)
        >>> net = residual_network((1, 8, 8), 2).fit(X, y, learning_rate=0.01, epochs=5)
        >>> net.losses[-1] < net.losses[0]
        True
        """
        images = as_images(X, self.shape, self.dtype)
        n = images.shape[1]
        y = as_labels(y, n, self.n_classes)
        wanted, words = self._choices(groups, statistics)
        options = {"epochs": 10, "batch": 64, "learning_rate": default_rate(wanted)} | options
        if words == "batch":
            options["least"] = 2
            if min(n, checks.integer(options["batch"], "batch")) < 2:
                raise ValueError(
                    f"expected batches of at least 2 images for statistics 'batch', whose variance "
                    f"would be 0, got {min(n, options['batch'])}; 'running' and 'frozen' take 1"
                )
        checks.choice(method, "method", METHODS)
        optimizer = make_optimizer(method, options)
        size = {name: options[name] for name in ("epochs", "batch", "least") if name in options}
        optimizer = scheduled(optimizer, n, schedule, decay=decay, every=every, **size)
        gradient = self._gradients_of_batches(images, y, wanted, words, loss, augment, options)
        parameters = [*self.parameters(wanted).values()]
        self.losses = descend(gradient, parameters, n, optimizer, **options)
        return self

    def _choices(
        self, groups: Iterable[str] | str | None, statistics: str | None
    ) -> tuple[tuple[str, ...], str]:
        """Check what learns, and choose the statistics by it."""
        wanted = self._learning(groups)
        if not self.parameters(wanted):
            raise ValueError(
                f"expected groups of which the network has parameters, got {', '.join(wanted)}; "
                f"a folded network has no scale-bias"
            )
        words = ("frozen" if wanted == ("last",) else "batch") if statistics is None else statistics
        return wanted, checks.choice(words, "statistics", STATISTICS)

    def _gradients_of_batches(
        self,
        images: Array,
        y: Array,
        wanted: tuple[str, ...],
        words: str,
        loss: Loss,
        augment: Augment | None,
        options: dict[str, Any],
    ) -> Callable[[Array], tuple[float, list[Array]]]:
        """Give the function of a batch's indices that `descend` wants."""
        if wanted == ("last",) and words == "frozen" and augment is None:
            features, run = self._features(images), Pass(frozenset(wanted))

            def last(which: Array) -> tuple[float, list[Array]]:
                logits, tape = self._last.forward(features[which], run)
                value, slope = loss(logits, y[which])
                return value, [*self._last.backward(tape, slope, run)[0].values()]

            return last
        rng = random_numbers(options.get("seed", 0), "augment")

        def gradient(which: Array) -> tuple[float, list[Array]]:
            batch = images[:, which] if augment is None else augment(images[:, which], rng)
            value, slopes = self.gradient(batch, y[which], wanted, statistics=words, loss=loss)
            return value, [*slopes.values()]

        return gradient

    def recompute_statistics(self, X: ArrayLike, *, batch: int = 250) -> None:
        """Make the running statistics those of some images: AdaBN [1]_.

        Not collective. Those of the active patch change, and of the network where there is none.

        Parameters
        ----------
        X : array_like, shape (n, channels, height, width)
            Images, at least two.
        batch : int
            Images at once; the statistics are means over the batches.

        References
        ----------
        .. [1] Y. Li, N. Wang, J. Shi, J. Liu, X. Hou, "Revisiting batch normalization for practical
           domain adaptation", ICLR 2017 workshop.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets.patches import residual_network
        >>> net = residual_network((3, 16, 16), 10)
        >>> net.recompute_statistics(np.random.default_rng(0).standard_normal((8, 3, 16, 16)))
        >>> bool(net.statistics()["01.norm.variance"].std() > 0)
        True
        """
        images = as_images(X, self.shape, self.dtype)
        n = images.shape[1]
        if n < 2:
            raise ValueError("expected at least 2 images to compute statistics of, got 1")
        self._check_changeable()
        pieces = np.array_split(np.arange(n), -(-n // max(2, checks.integer(batch, "batch"))))
        for which in pieces:
            seen = which[-1] + 1
            self._body.forward(images[:, which], Pass(frozenset(), "batch", len(which) / seen))

    def fold(self) -> Network:
        """Merge every normalization into the convolution before it.

        Not collective.

        With W the filters and b the bias of a convolution, the folded one has γ/σ W and
        β + γ/σ (b - μ).

        Returns
        -------
        Network
            With the same outputs, up to rounding, and fewer layers; the patch that is active is
            part of it, the others are not.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets.patches import residual_network
        >>> net, X = residual_network((3, 16, 16), 10), np.ones((1, 3, 16, 16))
        >>> folded = net.fold()
        >>> bool(abs(folded.decision_function(X) - net.decision_function(X)).max() < 1e-5)
        True
        >>> len(net.layers), len(folded.layers)
        (45, 29)
        """
        merged: list[dict[str, Array]] = []
        for layer in self.layers:
            if isinstance(layer, BatchNorm):
                merged[-1] = layer.merged_into(merged[-1])
            else:
                merged.append({key: array.copy() for key, array in layer.parameters.items()})
        folded = Network(self.shape, _without_norms(self.merge().structure), dtype=self.dtype)
        for layer, parameters in zip(folded.layers, merged, strict=True):
            layer.parameters = parameters
        return folded

    # ---- files -----------------------------------------------------------------------------------
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network with all its patches to an HDF5 file, whole or not at all.

        Not collective.

        Parameters
        ----------
        path : str or os.PathLike
            The file.

        Examples
        --------
        >>> import os, tempfile
        >>> from pympf.nets.patches import Network, residual_network
        >>> path = os.path.join(tempfile.mkdtemp(), "net.h5")
        >>> residual_network((3, 16, 16), 10).save(path)
        >>> Network.load(path).count()["all"]
        39370
        """
        save_network(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Network:
        """Read a network that `save` wrote.

        Not collective.

        Parameters
        ----------
        path : str or os.PathLike
            The file. OSError if it is no whole network.

        Returns
        -------
        Network
            With its patches, and the same one active.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> from pympf.nets.patches import Network, residual_network
        >>> path = os.path.join(tempfile.mkdtemp(), "net.h5")
        >>> net, X = residual_network((3, 16, 16), 10), np.ones((1, 3, 16, 16))
        >>> net.save(path)
        >>> bool((Network.load(path).decision_function(X) == net.decision_function(X)).all())
        True
        """
        return load_network(cls, path)


def default_rate(groups: tuple[str, ...]) -> float:
    """Give the rate that suits Adam: the fewer weights learn, the larger it is."""
    return 0.1 if groups == ("last",) else 0.003 if "pointwise" in groups else 0.01


def _without_norms(structure: Structure) -> list[Any]:
    """Describe the layers once their normalizations are folded."""
    folded: list[Any] = []
    for kind, *rest in structure:
        if kind == "residual":
            folded.append((kind, _without_norms(rest[0])))
        elif kind != "norm":
            folded.append((kind, *rest))
        elif folded and folded[-1][0] in NUMBERS:
            before, *numbers = folded[-1]
            numbers = [*numbers, 1][: NUMBERS[before]]
            folded[-1] = (before, *numbers, True)
        else:
            raise ValueError("expected every normalization right after a convolution")
    return folded
