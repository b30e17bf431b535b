"""The data-dependent sparse model: g(x) = (A ∘ mask(x)) φ(x).

    paper                      here
    φ(x) = σ(Bx)               Layer: projection B, offset c, activation σ
    mask(x)                    routing of the layer (routing.py)
    A                          weights, and an intercept
    DSM(d, s, t)               DSM(layer)
    mask₂ ∘ φ₂(mask₁ ∘ φ₁(x))  DSM([layer 1, layer 2])

Bottom layers are random and stay as they are, as in section 5 of [1]_; `fit(layers="all")` trains
them too.

References
----------
.. [1] C. Baykal, N. Dikkala, R. Panigrahy, C. Rashtchian, X. Wang, "A theoretical view on sparsely
   activated networks", sections 2.1, 3 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf.la import checks
from pympf.nets._checks import Array, as_points, as_values, random_numbers
from pympf.nets.cost import Cost
from pympf.nets.layer import ACTIVATIONS, Layer
from pympf.nets.model import OPTIMIZERS, Model, make_optimizer
from pympf.nets.rows import Rows
from pympf.nets.train import descend, loss_and_gradient

__all__ = ["DSM"]


class DSM(Model):
    """The data-dependent sparse model DSM(d, s, t), with one or more sparse layers.

    Parameters
    ----------
    layers : Layer or sequence of Layer
        From the input up; the last one carries the weights.
    weights : array_like, shape (t,), optional
        A; zero until `fit` by default.
    intercept : float
        A constant added to the output.

    Examples
    --------
    >>> from pympf.nets import DSM, Layer, TopK
    >>> first = Layer.random(8, 64, routing=TopK(16))
    >>> second = Layer.random(64, 32, routing=TopK(8), seed=1)
    >>> DSM([first, second]).rows([[0.5] * 8]).active
    8
    """

    def __init__(
        self,
        layers: Layer | Sequence[Layer],
        weights: ArrayLike | None = None,
        intercept: float = 0.0,
    ) -> None:
        self.layers = [layers] if isinstance(layers, Layer) else list(layers)
        if not self.layers:
            raise ValueError("expected at least one layer, got none")
        for below, above in zip(self.layers, self.layers[1:], strict=False):
            if below.width != above.n_features:
                raise ValueError(
                    f"expected a layer of {below.width} features, got {above.n_features}"
                )
        self.n_features, self.width = self.layers[0].n_features, self.layers[-1].width
        self.weights = np.zeros(self.width) if weights is None else as_values(weights, self.width)
        self.intercept = float(intercept)

    def _numbers(self) -> int:
        return max(layer.width for layer in self.layers)

    def rows(self, X: ArrayLike) -> Rows:
        """Compute which units points activate, and how strongly.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, d)
            Points.

        Returns
        -------
        Rows
            The active units of the last layer.

        Examples
        --------
        >>> from pympf.nets import dense
        >>> dense(2, 8).rows([[0.5, 0.5]]).active
        8
        """
        below = as_points(X, self.n_features)
        for layer in self.layers[:-1]:
            below = layer.rows(below).dense()
        return self.layers[-1].rows(below)

    def cost(self) -> Cost:
        """Count what a forward pass costs.

        Not collective.

        Returns
        -------
        Cost
            Of one input.

        Examples
        --------
        >>> from pympf.nets import dense
        >>> dense(8, 4096).cost().flops
        73728
        """
        flops, routing = 2 * self.layers[-1].active, 0
        inputs = self.n_features
        for layer in self.layers:
            flops += 2 * inputs * layer.active
            if layer.routing is not None:
                routing += layer.routing._flops(inputs, layer.width)
            inputs = layer.active  # the others are zero
        top = self.layers[-1]
        return Cost(top.active, top.width, top.width + 1, flops, routing)

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        method: str = "lstsq",
        *,
        layers: str = "top",
        **options: Any,
    ) -> Model:
        """Find the weights.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, d)
            Points.
        y : array_like, shape (n,)
            Target values.
        method : {"lstsq", "rmsprop", "adam", "sgd"}
            Exact least squares, or an optimizer.
        layers : {"top", "all"}
            What is trained: the weights, as in the paper, or the projections and offsets too, by
            an optimizer. The masks follow the projections and have no gradient of their own.
        **options
            As of `Model.fit`.

        Returns
        -------
        DSM
            This one.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import dense
        >>> X = np.linspace(-1, 1, 64).reshape(-1, 1)
        >>> model = dense(1, 8, bias=True)
        >>> _ = model.fit(X, X[:, 0], "adam", layers="all", epochs=5)
        >>> model.losses[-1] < model.losses[0]
        True
        """
        if checks.choice(layers, "layers", ("top", "all")) == "top":
            return super().fit(X, y, method, **options)
        X = as_points(X, self.n_features)
        y = as_values(y, len(X))
        checks.choice(method, "method with all layers", tuple(OPTIMIZERS))
        optimizer = make_optimizer(method, options)
        self.weights = self._first_weights(random_numbers(options.get("seed", 0), "weights"))
        for layer in self.layers:
            layer.projection = layer.projection.astype(np.float64)
            layer.offset = layer.offset.astype(np.float64)
        constant = np.array([self.intercept])
        parameters = [self.weights, constant]
        parameters += [p for layer in self.layers for p in (layer.projection, layer.offset)]

        def gradient(which: Array) -> tuple[float, list[Array]]:
            self.intercept = float(constant[0])
            return self.loss_and_gradients(X[which], y[which])

        self.losses = descend(gradient, parameters, len(X), optimizer, **options)
        self.intercept = float(constant[0])
        return self

    def loss_and_gradients(self, X: ArrayLike, y: ArrayLike) -> tuple[float, list[Array]]:
        """Compute the mean squared error and its gradients by back-propagation.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, d)
            Points.
        y : array_like, shape (n,)
            Target values.

        Returns
        -------
        loss : float
            Mean squared error.
        gradients : list of ndarray
            By the weights, the intercept, then the projection and the offset of each layer from
            the input up, at fixed masks.

        Examples
        --------
        >>> from pympf.nets import dense
        >>> loss, gradients = dense(2, 4).loss_and_gradients([[1.0, 1.0]], [2.0])
        >>> loss, [g.shape for g in gradients]
        (4.0, [(4,), (1,), (4, 2), (4,)])
        """
        outputs = [as_points(X, self.n_features)]
        y = as_values(y, len(outputs[0]))
        slopes = []
        for layer in self.layers:
            Z = layer.pre_activations(outputs[-1])
            mask = layer.mask(outputs[-1], Z)
            sigma, derivative = ACTIVATIONS[layer.activation]
            outputs.append(mask * sigma(Z))
            slopes.append(mask * derivative(Z))
        constant = np.array([self.intercept])
        loss, top = loss_and_gradient(Rows(outputs[-1]), y, self.weights, constant)
        residual = (outputs[-1] @ self.weights + self.intercept - y) * (2 / len(y))
        below: list[Array] = []
        delta = np.outer(residual, self.weights)
        for layer, slope, inputs in zip(
            reversed(self.layers), reversed(slopes), reversed(outputs[:-1]), strict=True
        ):
            delta = delta * slope
            below = [delta.T @ inputs, delta.sum(axis=0), *below]
            delta = delta @ layer.projection
        return loss, top + below
