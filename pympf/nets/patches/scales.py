"""A small network with explicit scales and biases after every layer, for points of the plane.

References
----------
.. [1] Thesis, section 4.3.2 and figure 4.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from pympf._described import Described
from pympf.la import checks
from pympf.nets._checks import Array, as_points, random_numbers
from pympf.nets.train import Adam, decaying, descend

__all__ = ["ScaleBiasNetwork"]

GROUPS = ("weights", "scales", "biases", "logits")


class ScaleBiasNetwork(Described):
    """Layers a' = ReLU(s · (W a) + b); the embedding and the logits are without ReLU.

    The loss is the mean of the logistic losses of all outputs, for classes in one-hot coding; the
    class of a point is that of its largest output.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of a layer, from the input over the embedding (the last but one) to the classes;
        those of figure 4.4 by default.
    seed : int
        Seed of the weights, N(0, 2/inputs), and biases, N(0, 0.01); the scales are 1.

    Attributes
    ----------
    weights : list of ndarray, shape (inputs, outputs)
        W of each layer.
    scales, biases : list of ndarray, shape (outputs,)
        s and b of each layer.

    References
    ----------
    .. [1] Thesis, figure 4.4: 2 → 8 → 16 → 16 → 8 → m → 2, m = 2.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.patches import ScaleBiasNetwork
    >>> X = np.random.default_rng(0).uniform(-1, 1, (500, 2))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> net = ScaleBiasNetwork().fit(X, y, epochs=30)
    >>> bool(net.score(X, y) > 0.95)
    True
    """

    def __init__(self, sizes: Sequence[int] = (2, 8, 16, 16, 8, 2, 2), *, seed: int = 0) -> None:
        self.sizes = tuple(checks.integer(size, "sizes") for size in sizes)
        if len(self.sizes) < 3:
            raise ValueError(f"expected inputs, embedding and classes in sizes, got {self.sizes}")
        rng = random_numbers(seed, "scale-bias network")
        shapes = list(zip(self.sizes, self.sizes[1:], strict=False))
        self.weights = [rng.standard_normal(shape) * np.sqrt(2 / shape[0]) for shape in shapes]
        self.scales = [np.ones(outputs) for _, outputs in shapes]
        self.biases = [rng.normal(0, 0.1, outputs) for _, outputs in shapes]

    def copy(self) -> ScaleBiasNetwork:
        """Give a network with the same numbers.

        Not collective.

        Returns
        -------
        ScaleBiasNetwork

        Examples
        --------
        >>> from pympf.nets.patches import ScaleBiasNetwork
        >>> ScaleBiasNetwork((2, 2, 2)).copy().sizes
        (2, 2, 2)
        """
        twin = ScaleBiasNetwork(self.sizes)
        for name in ("weights", "scales", "biases"):
            setattr(twin, name, [array.copy() for array in getattr(self, name)])
        return twin

    def outputs(self, X: ArrayLike) -> Array:
        """Compute the logits.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, d)
            Points.

        Returns
        -------
        ndarray, shape (n, classes)

        Examples
        --------
        >>> from pympf.nets.patches import ScaleBiasNetwork
        >>> ScaleBiasNetwork().outputs([[0.5, 0.5]]).shape
        (1, 2)
        """
        return self._forward(as_points(X, self.sizes[0]))[0][-1]

    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """Compute the share of points whose class is told right.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, d)
            Points.
        y : array_like of int, shape (n,)
            Classes.

        Returns
        -------
        float

        Examples
        --------
        >>> from pympf.nets.patches import ScaleBiasNetwork
        >>> ScaleBiasNetwork().score([[0.5, 0.5]], [0]) in (0.0, 1.0)
        True
        """
        return float((self.outputs(X).argmax(axis=1) == self._as_classes(y, len(X))).mean())  # type: ignore[arg-type]

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        train: Iterable[str] = ("weights", "scales", "biases"),
        epochs: int = 90,
        batch: int = 256,
        learning_rate: float = 1e-2,
        seed: int = 0,
    ) -> ScaleBiasNetwork:
        """Train some groups of numbers by Adam, the rate falling to zero along a cosine.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, d)
            Points.
        y : array_like of int, shape (n,)
            Classes.
        train : iterable of {"weights", "scales", "biases", "logits"}
            'logits' is the whole last layer, the others are of all layers.
        epochs, batch : int
            Passes over the points, points of a step.
        learning_rate : float
            Of the first step.
        seed : int
            Seed of the order.

        Returns
        -------
        ScaleBiasNetwork
            Itself.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets.patches import ScaleBiasNetwork
        >>> net = ScaleBiasNetwork()
        >>> before = net.weights[0].copy()
        >>> net = net.fit(np.eye(2), [0, 1], train=["scales", "biases"], epochs=1)
        >>> bool((net.weights[0] == before).all())
        True
        """
        X = as_points(X, self.sizes[0]).astype(np.float64)
        told = np.eye(self.sizes[-1])[self._as_classes(y, len(X))]
        trained = self._trained(train)

        def gradient(chosen: Array) -> tuple[float, list[Array]]:
            loss, gradients = self.loss_and_gradients(X[chosen], told[chosen])
            return loss, [gradients[name][layer] for name, layer in trained]

        parameters = [getattr(self, name)[layer] for name, layer in trained]
        rule = decaying(Adam(learning_rate), len(X), epochs=epochs, batch=batch)
        descend(gradient, parameters, len(X), rule, epochs=epochs, batch=batch, seed=seed)
        return self

    def loss_and_gradients(self, X: Array, told: Array) -> tuple[float, dict[str, list[Array]]]:
        """Compute the loss of a batch and its gradients.

        Not collective.

        Parameters
        ----------
        X : ndarray, shape (n, d)
            Points.
        told : ndarray, shape (n, classes)
            Classes in one-hot coding.

        Returns
        -------
        loss : float
        gradients : dict of str to list of ndarray
            By 'weights', 'scales' and 'biases'.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets.patches import ScaleBiasNetwork
        >>> loss, gradients = ScaleBiasNetwork().loss_and_gradients(np.eye(2), np.eye(2))
        >>> [g.shape for g in gradients["biases"]]
        [(8,), (16,), (16,), (8,), (2,), (2,)]
        """
        activations, products = self._forward(X)
        logits = activations[-1]
        # log(1 + exp(o)) - t o, without overflow
        loss = float((np.logaddexp(0, logits) - told * logits).mean())
        slope = (np.exp(-np.logaddexp(0, -logits)) - told) / told.size
        gradients: dict[str, list[Array]] = {"weights": [], "scales": [], "biases": []}
        for layer in reversed(range(len(self.weights))):
            if layer < len(self.weights) - 2:
                slope = slope * (activations[layer + 1] > 0)
            gradients["biases"].append(slope.sum(axis=0))
            gradients["scales"].append((slope * products[layer]).sum(axis=0))
            slope = slope * self.scales[layer]
            gradients["weights"].append(activations[layer].T @ slope)
            slope = slope @ self.weights[layer].T
        return loss, {name: list(reversed(arrays)) for name, arrays in gradients.items()}

    def _forward(self, X: Array) -> tuple[list[Array], list[Array]]:
        """Give the activations of all layers, the input first, and the products W a."""
        activations, products = [X], []
        for layer, (W, s, b) in enumerate(zip(self.weights, self.scales, self.biases, strict=True)):
            products.append(activations[-1] @ W)
            z = s * products[-1] + b
            activations.append(np.maximum(z, 0) if layer < len(self.weights) - 2 else z)
        return activations, products

    def _trained(self, groups: Iterable[str]) -> list[tuple[str, int]]:
        """Give (name, layer) of all arrays of groups, each once."""
        chosen, layers = set(groups), range(len(self.weights))
        if not chosen or chosen - set(GROUPS):
            raise ValueError(f"expected groups of {', '.join(GROUPS)}, got {sorted(chosen)}")
        found = [(name, layer) for name in GROUPS[:3] for layer in layers if name in chosen]
        if "logits" in chosen:
            found += [(name, layers[-1]) for name in GROUPS[:3] if name not in chosen]
        return found

    def _as_classes(self, y: ArrayLike, n: int) -> Array:
        y = np.asarray(y)
        if y.shape != (n,) or y.dtype.kind not in "iu":
            raise ValueError(
                f"expected an integer class for each of {n} points, got {y.dtype} of shape "
                f"{y.shape}"
            )
        if y.min() < 0 or y.max() >= self.sizes[-1]:
            raise ValueError(f"expected classes from 0 to {self.sizes[-1] - 1}, got {y.max()}")
        return y
