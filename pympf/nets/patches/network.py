"""Networks of inverted residual blocks: layers by name, training, inference.

References
----------
.. [1] M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen, "MobileNetV2: inverted residuals and
   linear bottlenecks", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf.nets._checks import Array, as_choice, as_count, random_numbers
from pympf.nets.model import make_optimizer
from pympf.nets.patches.checks import GROUPS, STATISTICS, as_groups, as_images, as_labels, as_shape
from pympf.nets.patches.convolution import Convolution, Depthwise, Linear, Pointwise
from pympf.nets.patches.layers import (
    BatchNorm,
    Chain,
    GlobalMean,
    Layer,
    Pass,
    ReLU6,
    Residual,
)
from pympf.nets.train import descend, scheduled

__all__ = ["Network", "cross_entropy", "mobilenet_v2", "residual_network"]

KINDS: dict[str, type[Layer]] = {
    layer.kind: layer
    for layer in (Convolution, Pointwise, Depthwise, BatchNorm, ReLU6, GlobalMean, Linear)
}

Structure = Sequence[Sequence[Any]]
Loss = Callable[[Array, Array], tuple[float, Array]]


def cross_entropy(logits: Array, y: Array) -> tuple[float, Array]:
    """Compute the mean of -log softmax(z)_y and its gradient by the logits.

    Not collective.

    Parameters
    ----------
    logits : ndarray, shape (n, n_classes)
        z.
    y : ndarray of int, shape (n,)
        Labels.

    Returns
    -------
    loss : float
        The mean over the n images.
    slope : ndarray, shape (n, n_classes)
        Its gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.patches import cross_entropy
    >>> loss, slope = cross_entropy(np.zeros((1, 2)), np.array([0]))
    >>> round(loss, 4), slope
    (0.6931, array([[-0.5,  0.5]]))
    """
    p, rows = softmax(logits), np.arange(len(y))
    # The logarithm is taken of the shifted exponentials' quotient, which may underflow to zero.
    loss = -float(np.log(np.maximum(p[rows, y], np.finfo(p.dtype).tiny)).mean())
    p[rows, y] -= 1
    p /= p.dtype.type(len(y))
    return loss, p


def softmax(logits: Array) -> Array:
    """Give exp(z_c)/Σ exp(z) of each row."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return p


class Network:
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
    >>> from pympf.nets.patches import residual_network
    >>> net = residual_network((3, 16, 16), 10)
    >>> net.predict(np.zeros((2, 3, 16, 16))).shape
    (2,)
    """

    def __init__(
        self,
        shape: Sequence[int],
        structure: Structure,
        *,
        dtype: Any = np.float32,
        seed: int = 0,
    ) -> None:
        self.shape = as_shape(shape)
        self.structure = structure
        self.dtype = np.dtype(as_choice(np.dtype(dtype).name, "dtype", ("float32", "float64")))
        self.losses: list[float] = []
        rng = {"last": random_numbers(seed, "last"), "": random_numbers(seed, "network")}
        self._chain = Chain(self._layers(structure, rng))
        self._body, self._last = Chain(self._chain.layers[:-1]), self._chain.layers[-1]
        for number, layer in enumerate(self._body._leaves()):
            layer.name = f"{number:02d}.{layer.kind}"
        self._last.name = "last"

    def _layers(self, structure: Structure, rng: Mapping[str, np.random.Generator]) -> list[Layer]:
        layers: list[Layer] = []
        for kind, *numbers in structure:
            if kind == "residual":
                layers.append(Residual(self._layers(numbers[0], rng)))
            else:
                layer = KINDS[as_choice(kind, "kind of layer", tuple(KINDS))]
                draws = rng.get(layer.group, rng[""])
                layers.append(layer(*numbers, rng=draws, dtype=self.dtype))
        return layers

    # ---- parameters ------------------------------------------------------------------------------
    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self._last.parameters["bias"])

    def parameters(self, groups: Iterable[str] | str = GROUPS) -> dict[str, Array]:
        """Give the parameters of some groups: the arrays that the layers work with.

        Not collective.

        Parameters
        ----------
        groups : iterable of {"scale-bias", "depthwise", "pointwise", "last"}
            Which; all by default. The 3 × 3 convolution counts as pointwise.

        Returns
        -------
        dict of ndarray
            By name, "03.depthwise.weights", from the bottom. What is written into the arrays
            changes the network.

        Examples
        --------
        >>> from pympf.nets.patches import residual_network
        >>> [*residual_network((3, 16, 16), 10).parameters("last")]
        ['last.weights', 'last.bias']
        """
        wanted = as_groups(groups)
        return {
            f"{layer.name}.{key}": array
            for layer in self._chain._leaves()
            if layer.group in wanted
            for key, array in layer.parameters.items()
        }

    def statistics(self) -> dict[str, Array]:
        """Give the running means and variances of all normalizations, as the layers have them.

        Not collective.

        Returns
        -------
        dict of ndarray
            By name, "01.norm.mean".

        Examples
        --------
        >>> from pympf.nets.patches import residual_network
        >>> [*residual_network((3, 16, 16), 10).statistics()][:2]
        ['01.norm.mean', '01.norm.variance']
        """
        return {
            f"{layer.name}.{key}": array
            for layer in self._chain._leaves()
            for key, array in layer.statistics.items()
        }

    def bind(self, arrays: Mapping[str, Array]) -> None:
        """Let the layers work with other arrays; nothing is copied.

        Not collective.

        Parameters
        ----------
        arrays : mapping of ndarray
            By name, as `parameters` and `statistics` give them, of the same shapes and dtype (the
            last layer may have another number of classes).

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets.patches import residual_network
        >>> net = residual_network((3, 16, 16), 10)
        >>> mine = {name: array.copy() for name, array in net.parameters("scale-bias").items()}
        >>> net.bind(mine)
        >>> mine["01.norm.bias"] is net.parameters()["01.norm.bias"]
        True
        """
        known = self.parameters() | self.statistics()
        homes = {layer.name: layer for layer in self._chain._leaves()}
        for name, array in arrays.items():
            layer, _, key = name.rpartition(".")
            if name not in known:
                raise ValueError(f"expected names of arrays of the network, got {name!r}")
            shape = known[name].shape
            fits = array.shape[1:] == shape[1:] if layer == "last" else array.shape == shape
            if not fits or array.dtype != self.dtype:
                raise ValueError(
                    f"expected {name} of shape {shape} and dtype {self.dtype}, "
                    f"got {array.shape} and {array.dtype}"
                )
            home = homes[layer]
            (home.parameters if key in home.parameters else home.statistics)[key] = array

    def count(self) -> dict[str, int]:
        """Count the parameters by group.

        Not collective.

        Returns
        -------
        dict of int
            For each group, and "all". Running statistics are no parameters.

        Examples
        --------
        >>> from pympf.nets.patches import residual_network
        >>> residual_network((3, 16, 16), 10).count()["all"]
        39370
        """
        counts = {g: sum(a.size for a in self.parameters(g).values()) for g in GROUPS}
        return counts | {"all": sum(counts.values())}

    # ---- passes ----------------------------------------------------------------------------------
    def gradient(
        self,
        images: Array,
        y: Array,
        groups: Iterable[str] | str = GROUPS,
        *,
        statistics: str = "batch",
        loss: Loss = cross_entropy,
    ) -> tuple[float, dict[str, Array]]:
        """Compute the loss of a batch and its gradient by the parameters of some groups.

        Not collective. Nothing is kept for layers below the lowest that learns.

        Parameters
        ----------
        images : ndarray, shape (channels, n, height, width)
            Channels first, in the network's dtype; any height and width. It is not checked.
        y : ndarray
            What `loss` takes: labels.
        groups : iterable of str
            Groups that learn.
        statistics : {"batch", "running", "frozen"}
            Divide by the batch's statistics, which the running ones follow; let the running ones
            follow and divide by them; or divide by them as they are.
        loss : callable
            Maps logits (n, n_classes) and y to a loss and its gradient by the logits.

        Returns
        -------
        loss : float
            Of the batch.
        gradients : dict of ndarray
            By name, in the order of `parameters(groups)`.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets.patches import residual_network
        >>> net = residual_network((3, 16, 16), 10)
        >>> images = np.random.default_rng(0).standard_normal((3, 4, 16, 16), np.float32)
        >>> loss, gradients = net.gradient(images, np.array([0, 1, 2, 3]), "last")
        >>> gradients["last.bias"].shape
        (10,)
        """
        wanted = as_groups(groups)
        run = Pass(frozenset(wanted), as_choice(statistics, "statistics", STATISTICS))
        logits, tape = self._chain.forward(images, run)
        value, slope = loss(logits, y)
        gradients, _ = self._chain.backward(tape, slope.astype(self.dtype, copy=False), run)
        return value, {name: gradients[name] for name in self.parameters(wanted)}

    def features(self, X: ArrayLike, *, batch: int = 100) -> Array:
        """Compute what the last layer gets: means over the image.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, channels, height, width)
            Images.
        batch : int
            Images at once.

        Returns
        -------
        ndarray, shape (n, features)
            With the running statistics.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets.patches import residual_network
        >>> residual_network((3, 16, 16), 10).features(np.zeros((2, 3, 16, 16))).shape
        (2, 128)
        """
        return self._features(as_images(X, self.shape, self.dtype), as_count(batch, "batch"))

    def _features(self, images: Array, batch: int = 100) -> Array:
        parts = range(0, images.shape[1], batch)
        return np.concatenate([self._body.forward(images[:, i : i + batch])[0] for i in parts])

    def decision_function(self, X: ArrayLike, *, batch: int = 100) -> Array:
        """Compute the logits.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, channels, height, width)
            Images.
        batch : int
            Images at once.

        Returns
        -------
        ndarray, shape (n, n_classes)
            With the running statistics.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets.patches import residual_network
        >>> residual_network((3, 16, 16), 10).decision_function(np.zeros((2, 3, 16, 16))).shape
        (2, 10)
        """
        return self._last.forward(self.features(X, batch=batch))[0]

    def predict_proba(self, X: ArrayLike, *, batch: int = 100) -> Array:
        """Compute the probabilities of the classes: softmax of the logits.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, channels, height, width)
            Images.
        batch : int
            Images at once.

        Returns
        -------
        ndarray, shape (n, n_classes)
            With the running statistics.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets.patches import residual_network
        >>> p = residual_network((3, 16, 16), 10).predict_proba(np.zeros((2, 3, 16, 16)))
        >>> bool(abs(p.sum(axis=1) - 1).max() < 1e-6)
        True
        """
        return softmax(self.decision_function(X, batch=batch))

    def predict(self, X: ArrayLike, *, batch: int = 100) -> Array:
        """Give the most likely class of each image.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, channels, height, width)
            Images.
        batch : int
            Images at once.

        Returns
        -------
        ndarray of int, shape (n,)
            Classes, from 0.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets.patches import residual_network
        >>> residual_network((3, 16, 16), 10).predict(np.zeros((2, 3, 16, 16))).shape
        (2,)
        """
        return self.decision_function(X, batch=batch).argmax(axis=1)

    def score(self, X: ArrayLike, y: ArrayLike, *, batch: int = 100) -> float:
        """Compute the share of images whose class is predicted.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, channels, height, width)
            Images.
        y : array_like of int, shape (n,)
            Their classes.
        batch : int
            Images at once.

        Returns
        -------
        float
            Of [0, 1].

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets.patches import residual_network
        >>> net, X = residual_network((3, 16, 16), 10), np.zeros((2, 3, 16, 16))
        >>> net.score(X, net.predict(X))
        1.0
        """
        found = self.predict(X, batch=batch)
        return float((found == as_labels(y, len(found), self.n_classes)).mean())

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
        augment: Callable[[Array, np.random.Generator], Array] | None = None,
        loss: Loss = cross_entropy,
        **options: Any,
    ) -> Network:
        """Train some groups of parameters.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, channels, height, width)
            Images.
        y : array_like of int, shape (n,)
            Their classes, from 0.
        method : {"adam", "rmsprop", "sgd"}
            The optimizer.
        groups : iterable of str, optional
            Groups that learn; all by default.
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
            `learning_rate`, and those of `descend`: `epochs`, `batch`, `seed`, `progress`.

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
        y = as_labels(y, images.shape[1], self.n_classes)
        wanted = as_groups(GROUPS if groups is None else groups)
        words = statistics or ("frozen" if wanted == ("last",) else "batch")
        as_choice(words, "statistics", STATISTICS)
        options = {"epochs": 10, "batch": 64, "learning_rate": 3e-3} | options
        n, rng = images.shape[1], random_numbers(options.get("seed", 0), "augment")
        optimizer = make_optimizer(method, options)
        size = {name: options[name] for name in ("epochs", "batch")}
        optimizer = scheduled(optimizer, n, schedule, decay=decay, every=every, **size)
        parameters = [*self.parameters(wanted).values()]

        def gradient(which: Array) -> tuple[float, list[Array]]:
            batch = images[:, which]
            batch = batch if augment is None else augment(batch, rng)
            value, slopes = self.gradient(batch, y[which], wanted, statistics=words, loss=loss)
            return value, [*slopes.values()]

        self.losses = descend(gradient, parameters, n, optimizer, **options)
        return self


# ---- architectures -------------------------------------------------------------------------------
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
    shape, n_classes = as_shape(shape), as_count(n_classes, "n_classes")
    stem, head = as_count(stem, "stem"), as_count(head, "head")
    structure: list[Any] = [("convolution", shape[0], stem, as_count(stem_stride, "stem_stride"))]
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
