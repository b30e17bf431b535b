"""Layers by name: parameters by group, gradients, inference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf.la import checks
from pympf.nets._checks import Array, random_numbers
from pympf.nets.cost import Cost
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

__all__ = ["LayeredModel", "Loss", "Structure", "cross_entropy", "softmax"]

KINDS: dict[str, type[Layer]] = {
    layer.kind: layer
    for layer in (Convolution, Pointwise, Depthwise, BatchNorm, ReLU6, GlobalMean, Linear)
}

PIXELS = 25_600
"""Of the images that are worked on at once: their activations stay near the processor."""

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


class LayeredModel:
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
        self.dtype = np.dtype(checks.choice(np.dtype(dtype).name, "dtype", ("float32", "float64")))
        rng = {"last": random_numbers(seed, "last"), "": random_numbers(seed, "network")}
        self._chain = Chain(self._layers(structure, rng))
        self._body, self._last = Chain(self._chain.layers[:-1]), self._chain.layers[-1]
        for number, layer in enumerate(self._body._leaves()):
            layer.name = f"{number:02d}.{layer.kind}"
        self._last.name = "last"

    def __repr__(self) -> str:
        images = " × ".join(map(str, self.shape))
        count = sum(values.size for values in self.parameters().values())
        return (
            f"<{type(self).__name__} of {count} parameters, {self.n_classes} classes of "
            f"{images} images, {self.dtype}>"
        )

    def _layers(self, structure: Structure, rng: Mapping[str, np.random.Generator]) -> list[Layer]:
        layers: list[Layer] = []
        for kind, *numbers in structure:
            if kind == "residual":
                layers.append(Residual(self._layers(numbers[0], rng)))
            else:
                layer = KINDS[checks.choice(kind, "kind of layer", tuple(KINDS))]
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

    @property
    def layers(self) -> list[Layer]:
        """The layers from the bottom, those of residual blocks one by one."""
        return [*self._chain._leaves()]

    def cost(self) -> Cost:
        """Count the operations of an inference.

        Not collective.

        Returns
        -------
        Cost
            Units are the numbers that convolutions and the last layer compute; an operation is a
            multiplication or an addition. Normalization is two for each number, until it is folded.

        Examples
        --------
        >>> from pympf.nets.patches import mobilenet_v2
        >>> net = mobilenet_v2((3, 64, 64), 10, 0.35)
        >>> net.cost().flops > net.fold().cost().flops
        True
        """
        units = flops = 0
        height, width = self.shape[1:]
        for layer in self.layers:
            if layer.kind == "mean":
                height = width = 1
            stride = getattr(layer, "stride", 1)
            height, width = -(-height // stride), -(-width // stride)
            pixels = height * width
            if layer.kind == "norm":
                flops += 2 * pixels * len(layer.parameters["scale"])
            elif layer.parameters:
                units += pixels * len(layer.parameters["weights"])
                flops += 2 * pixels * layer.parameters["weights"].size
                flops += pixels * len(layer.parameters.get("bias", ()))
        return Cost(units, units, self.count()["all"], flops, 0)

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
        run = Pass(frozenset(wanted), checks.choice(statistics, "statistics", STATISTICS))
        logits, tape = self._chain.forward(images, run)
        value, slope = loss(logits, y)
        gradients, _ = self._chain.backward(tape, slope.astype(self.dtype, copy=False), run)
        return value, {name: gradients[name] for name in self.parameters(wanted)}

    def features(self, X: ArrayLike, *, batch: int | None = None) -> Array:
        """Compute what the last layer gets: means over the image.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, channels, height, width)
            Images.
        batch : int, optional
            Images at once; by default as many as have 25 600 pixels together, and at least 4.

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
        return self._features(as_images(X, self.shape, self.dtype), batch)

    def _features(self, images: Array, batch: int | None = None) -> Array:
        if batch is None:
            batch = max(4, PIXELS // (images.shape[2] * images.shape[3]))
        batch = checks.integer(batch, "batch")
        parts = range(0, images.shape[1], batch)
        return np.concatenate([self._body.forward(images[:, i : i + batch])[0] for i in parts])

    def decision_function(self, X: ArrayLike, *, batch: int | None = None) -> Array:
        """Compute the logits.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, channels, height, width)
            Images.
        batch : int, optional
            Images at once; by default as many as have 25 600 pixels together, and at least 4.

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

    def predict_proba(self, X: ArrayLike, *, batch: int | None = None) -> Array:
        """Compute the probabilities of the classes: softmax of the logits.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, channels, height, width)
            Images.
        batch : int, optional
            Images at once; by default as many as have 25 600 pixels together, and at least 4.

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

    def predict(self, X: ArrayLike, *, batch: int | None = None) -> Array:
        """Give the most likely class of each image.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, channels, height, width)
            Images.
        batch : int, optional
            Images at once; by default as many as have 25 600 pixels together, and at least 4.

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

    def score(self, X: ArrayLike, y: ArrayLike, *, batch: int | None = None) -> float:
        """Compute the share of images whose class is predicted.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, channels, height, width)
            Images.
        y : array_like of int, shape (n,)
            Their classes.
        batch : int, optional
            Images at once; by default as many as have 25 600 pixels together, and at least 4.

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
