"""Data-dependent sparse models: g(x) = (A ∘ mask(x)) φ(x), and the models that they simulate.

    paper                      here
    φ(x) = σ(Bx)               Layer: projection B, offset c, activation σ
    mask(x)                    routing of the layer (routing.py)
    A                          weights, and an intercept
    DSM(d, s, t)               DSM([Layer]), dsm(d, s, t)
    mask₂ ∘ φ₂(mask₁ ∘ φ₁(x))  DSM([layer 1, layer 2])

Bottom layers are random and stay as they are, as in section 5 of [1]_: every model here is linear
in its weights, and `fit` finds these by exact least squares or by gradients. `fit(layers="all")`
trains the projections and offsets too.

References
----------
.. [1] C. Baykal, N. Dikkala, R. Panigrahy, C. Rashtchian, X. Wang, "A theoretical view on sparsely
   activated networks", sections 2, 3 and 5.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf.nets._checks import (
    Array,
    as_choice,
    as_count,
    as_points,
    as_positive,
    as_values,
    random_numbers,
)
from pympf.nets.cost import Cost
from pympf.nets.lstsq import least_squares
from pympf.nets.routing import Expert, Nearest, OnePerBlock, RandomHash, Routing, Separate, TopK
from pympf.nets.rows import Rows
from pympf.nets.train import SGD, Adam, Optimizer, RMSProp, descend, loss_and_gradient

__all__ = [
    "DSM",
    "Layer",
    "Model",
    "dense",
    "dsm",
    "interpolation",
    "nearest_neighbors",
    "random_hash",
    "scaling",
    "switch",
]

BLOCK = 2**24
"""Activations that are in memory at once, where not all are needed."""

OPTIMIZERS: dict[str, type[SGD] | type[RMSProp] | type[Adam]] = {
    "sgd": SGD,
    "rmsprop": RMSProp,
    "adam": Adam,
}

ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(z.dtype)),
    "identity": (lambda z: z, np.ones_like),
    "one": (np.ones_like, np.zeros_like),
}
"""Each σ with its derivative."""


class Model(ABC):
    """A model that is linear in the weights of its units: g(x) = weights · rows(x) + intercept.

    Points are arrays of shape (n, d) in float32 or float64, which is also the precision of the
    activations.
    """

    n_features: int
    width: int
    weights: Array
    intercept: float

    @abstractmethod
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
            The active units of each point.

        Examples
        --------
        >>> from pympf.nets import dsm
        >>> dsm(2, active=3, width=8).rows([[0.5, 0.5]]).active
        3
        """

    @abstractmethod
    def cost(self) -> Cost:
        """Count what a forward pass costs.

        Not collective.

        Returns
        -------
        Cost
            Of one input.

        Examples
        --------
        >>> from pympf.nets import dsm
        >>> dsm(8, active=1024, width=4096).cost().flops
        18432
        """

    def _blocks(self, X: Array) -> Iterator[slice]:
        size = max(1, BLOCK // max(1, self.width))
        return (slice(start, start + size) for start in range(0, len(X), size))

    def predict(self, X: ArrayLike) -> Array:
        """Evaluate the model.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, d)
            Points.

        Returns
        -------
        ndarray of float64, shape (n,)
            g(x).

        Examples
        --------
        >>> from pympf.nets import dense
        >>> dense(2, 4).predict([[0.5, 0.5]])
        array([0.])
        """
        X = as_points(X, self.n_features)
        weights = self.weights.astype(X.dtype, copy=False)
        outputs = [self.rows(X[block]) @ weights for block in self._blocks(X)]
        return np.concatenate(outputs).astype(np.float64) + self.intercept

    def fit(self, X: ArrayLike, y: ArrayLike, method: str = "lstsq", **options: Any) -> Model:
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
        **options
            For "lstsq" those of `least_squares`: `ridge`, `seed`. Otherwise `learning_rate`, and
            those of `descend`: `epochs`, `batch`, `seed`, `progress`.

        Returns
        -------
        Model
            This one. `losses` holds the loss of each epoch after training by gradients.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import dense
        >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
        >>> model = dense(1, 64, bias=True).fit(X, abs(X[:, 0]))
        >>> bool(abs(model.predict(X) - abs(X[:, 0])).max() < 0.1)
        True
        """
        X = as_points(X, self.n_features)
        y = as_values(y, len(X))
        if method == "lstsq":
            pairs = ((self.rows(X[block]), y[block]) for block in self._blocks(X))
            self.weights, self.intercept = least_squares(pairs, **options)
        else:
            self._train_top(X, y, method, **options)
        return self

    def _train_top(self, X: Array, y: Array, method: str, **options: Any) -> None:
        optimizer = _optimizer(method, options)
        rows, y = self._all_rows(X), y.astype(X.dtype)
        start = self._first_weights(random_numbers(options.get("seed", 0), "weights"))
        parameters = [start.astype(X.dtype), np.zeros(1, X.dtype)]

        def gradient(which: Array) -> tuple[float, list[Array]]:
            return loss_and_gradient(rows.take(which), y[which], *parameters)

        self.losses = descend(gradient, parameters, len(X), optimizer, **options)
        self.weights, self.intercept = parameters[0].astype(np.float64), float(parameters[1][0])

    def _first_weights(self, rng: np.random.Generator) -> Array:
        """Draw Glorot's uniform weights of a layer with one output."""
        return rng.uniform(-1, 1, self.width) * np.sqrt(6 / (self.width + 1))

    def _all_rows(self, X: Array) -> Rows:
        """Compute the activations block by block, so that those of unused units never pile up."""
        parts = [self.rows(X[block]) for block in self._blocks(X)]
        if len(parts) == 1:
            return parts[0]
        values = np.concatenate([part.values for part in parts])
        indices = [part.indices for part in parts if part.indices is not None]
        return Rows(values, np.concatenate(indices) if indices else None, self.width)


def _optimizer(method: str, options: dict[str, Any]) -> Optimizer:
    """Make the optimizer of a method and take its option out of the others."""
    kind = OPTIMIZERS[as_choice(method, "method", ("lstsq", *OPTIMIZERS))]
    rate = options.pop("learning_rate", None)
    return kind() if rate is None else kind(rate)


class Layer:
    """A layer of which each input activates s of t units: x -> mask(x) ∘ σ(Bx + c).

    Parameters
    ----------
    projection : array_like, shape (t, d)
        B.
    offset : array_like, shape (t,), optional
        c; zero by default.
    activation : {"relu", "identity", "one"}
        σ; "one" is 1 whatever its argument.
    routing : Routing, optional
        The mask; by default all units are active.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import Layer, TopK
    >>> layer = Layer([[1.0], [2.0], [-1.0]], routing=TopK(1))
    >>> layer.rows(np.array([[0.5]])).dense()
    array([[0., 1., 0.]])
    """

    def __init__(
        self,
        projection: ArrayLike,
        offset: ArrayLike | None = None,
        *,
        activation: str = "relu",
        routing: Routing | None = None,
    ) -> None:
        self.projection = as_points(projection).copy()
        self.width, self.n_features = self.projection.shape
        self.offset = np.zeros(self.width) if offset is None else as_values(offset, self.width)
        self.activation = as_choice(activation, "activation", tuple(ACTIVATIONS))
        self.routing = routing
        self.active = self.width if routing is None else routing._count(self.width)

    @classmethod
    def random(
        cls,
        n_features: int,
        width: int,
        *,
        bias: float = False,
        activation: str = "relu",
        routing: Routing | None = None,
        seed: int = 0,
    ) -> Layer:
        """Draw a layer: Glorot's uniform B, and an offset c like one of its columns.

        Not collective.

        Parameters
        ----------
        n_features, width : int
            d and t.
        bias : float
            Size of the offset relative to the entries of B; the paper has none.
        activation : {"relu", "identity", "one"}
            σ.
        routing : Routing, optional
            The mask.
        seed : int
            Seed of B and c.

        Returns
        -------
        Layer
            B is the same with and without offset and routing.

        Examples
        --------
        >>> from pympf.nets import Layer
        >>> Layer.random(8, 64).projection.shape
        (64, 8)
        """
        n_features, width = as_count(n_features, "n_features"), as_count(width, "width")
        projection = _glorot(n_features, width, random_numbers(seed, "projection"))
        offset = None
        if bias:
            limit = float(bias) * np.sqrt(6 / (n_features + width))
            offset = random_numbers(seed, "offset").uniform(-limit, limit, width)
        return cls(projection, offset, activation=activation, routing=routing)

    def pre_activations(self, X: Array) -> Array:
        """Compute Bx + c for all units.

        Not collective.

        Parameters
        ----------
        X : ndarray, shape (n, d)
            Points.

        Returns
        -------
        ndarray, shape (n, t)
            In the precision of the points.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import Layer
        >>> Layer([[2.0]], [1.0]).pre_activations(np.array([[3.0]]))
        array([[7.]])
        """
        Z = X @ self.projection.T.astype(X.dtype, copy=False)
        Z += self.offset.astype(X.dtype, copy=False)
        return Z

    def rows(self, X: Array) -> Rows:
        """Compute the activations of the active units.

        Not collective.

        Parameters
        ----------
        X : ndarray, shape (n, d)
            Points.

        Returns
        -------
        Rows
            mask(x) ∘ σ(Bx + c).

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import Layer
        >>> Layer([[2.0], [-2.0]]).rows(np.array([[3.0]])).values
        array([[6., 0.]])
        """
        Z = self.pre_activations(X)
        sigma = ACTIVATIONS[self.activation][0]
        if self.routing is None:
            return Rows(sigma(Z))
        units = self.routing(X, Z)
        return Rows(sigma(np.take_along_axis(Z, units, axis=1)), units, self.width)

    def mask(self, X: Array, Z: Array) -> Array:
        """Compute the mask of zeros and ones.

        Not collective.

        Parameters
        ----------
        X : ndarray, shape (n, d)
            Points.
        Z : ndarray, shape (n, t)
            Their pre-activations.

        Returns
        -------
        ndarray, shape (n, t)
            mask(x).

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import Layer, TopK
        >>> Layer(np.eye(2), routing=TopK(1)).mask(np.eye(2), np.eye(2))
        array([[1., 0.],
               [0., 1.]])
        """
        if self.routing is None:
            return np.ones_like(Z)
        mask = np.zeros_like(Z)
        np.put_along_axis(mask, self.routing(X, Z), 1, axis=1)
        return mask


def _glorot(inputs: int, outputs: int, rng: np.random.Generator) -> Array:
    limit = np.sqrt(6 / (inputs + outputs))
    return rng.uniform(-limit, limit, (outputs, inputs))


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
        if as_choice(layers, "layers", ("top", "all")) == "top":
            return super().fit(X, y, method, **options)
        X = as_points(X, self.n_features)
        y = as_values(y, len(X))
        as_choice(method, "method with all layers", tuple(OPTIMIZERS))
        optimizer = _optimizer(method, options)
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


def dense(n_features: int, width: int, *, bias: float = False, seed: int = 0) -> DSM:
    """Make a dense model with a random bottom layer: every unit is always active.

    Not collective.

    Parameters
    ----------
    n_features, width : int
        d and t.
    bias : float
        Size of the bottom layer's offsets relative to its entries. Without (the paper) the model is
        a positively homogeneous function plus a constant, whatever its width.
    seed : int
        Seed of the bottom layer.

    Returns
    -------
    DSM
        The model, not fitted.

    References
    ----------
    .. [1] Sections 2.1 and 5.1.

    Examples
    --------
    >>> from pympf.nets import dense
    >>> dense(8, 64).cost().active_units
    64
    """
    return DSM(Layer.random(n_features, width, bias=bias, seed=seed))


def dsm(
    n_features: int,
    active: int,
    width: int,
    *,
    routing: str = "topk",
    bias: float = False,
    activation: str = "relu",
    seed: int = 0,
) -> DSM:
    """Make DSM(d, s, t) with a random bottom layer and Top-K routing of some kind.

    Not collective.

    Parameters
    ----------
    n_features, active, width : int
        d, s = K and t.
    routing : {"topk", "topk_abs", "separate", "hash"}
        The K largest of Bx, of |Bx|, of Rx with a random R of its own, or K units by a uniform
        hash of the input.
    bias : float
        Size of the bottom layer's offsets relative to its entries.
    activation : {"relu", "identity", "one"}
        σ.
    seed : int
        Seed of the bottom layer and of the routing.

    Returns
    -------
    DSM
        The model, not fitted. Its bottom layer is that of `dense` with the same seed.

    References
    ----------
    .. [1] Sections 2.1, 3 and 5.1.

    Examples
    --------
    >>> from pympf.nets import dsm
    >>> dsm(8, active=16, width=64, routing="separate").cost().active_units
    16
    """
    mask: Routing
    if routing == "separate":
        R = _glorot(n_features, width, random_numbers(seed, "routing"))
        mask = Separate(R, active)
    elif routing == "hash":
        mask = RandomHash(active, seed=seed)
    else:
        as_choice(routing, "routing", ("topk", "topk_abs", "separate", "hash"))
        mask = TopK(active, by="value" if routing == "topk" else "absolute")
    layer = Layer.random(
        n_features, width, bias=bias, activation=activation, routing=mask, seed=seed
    )
    return DSM(layer)


def random_hash(n_features: int, active: int, width: int, *, seed: int = 0) -> DSM:
    """Make the random hash model: the units are a uniform random function of the input.

    Not collective.

    Parameters
    ----------
    n_features, active, width : int
        d, s and t.
    seed : int
        Seed of the bottom layer and of the hash.

    Returns
    -------
    DSM
        The model, not fitted.

    References
    ----------
    .. [1] Sections 5.1 and D.1.

    Examples
    --------
    >>> from pympf.nets import random_hash
    >>> random_hash(8, 16, 64).cost().routing_flops
    0
    """
    return dsm(n_features, active, width, routing="hash", seed=seed)


def switch(
    n_features: int,
    experts: int,
    width: int,
    *,
    bias: float = False,
    activation: str = "relu",
    seed: int = 0,
) -> DSM:
    """Make a Switch layer: one of L experts, a block of t/L units, is active.

    Not collective.

    Parameters
    ----------
    n_features, experts, width : int
        d, L and t.
    bias : float
        Size of the bottom layer's offsets relative to its entries.
    activation : {"relu", "identity", "one"}
        σ.
    seed : int
        Seed of the bottom layer and of the router.

    Returns
    -------
    DSM
        The model, not fitted.

    References
    ----------
    .. [1] Section 3.1.

    Examples
    --------
    >>> from pympf.nets import switch
    >>> switch(8, experts=4, width=64).cost().active_units
    16
    """
    router = random_numbers(seed, "router").standard_normal((experts, n_features))
    routing = Expert(router)
    layer = Layer.random(
        n_features, width, bias=bias, activation=activation, routing=routing, seed=seed
    )
    return DSM(layer)


def scaling(
    n_features: int,
    blocks: int,
    width: int,
    *,
    bias: float = False,
    activation: str = "relu",
    seed: int = 0,
) -> DSM:
    """Make a Scaling layer: one unit of each of s blocks is active.

    Not collective.

    Parameters
    ----------
    n_features, blocks, width : int
        d, s and t.
    bias : float
        Size of the bottom layer's offsets relative to its entries.
    activation : {"relu", "identity", "one"}
        σ.
    seed : int
        Seed of the bottom layer.

    Returns
    -------
    DSM
        The model, not fitted.

    References
    ----------
    .. [1] Section 3.1.

    Examples
    --------
    >>> from pympf.nets import scaling
    >>> scaling(8, blocks=16, width=64).cost().active_units
    16
    """
    routing = OnePerBlock(blocks)
    layer = Layer.random(
        n_features, width, bias=bias, activation=activation, routing=routing, seed=seed
    )
    return DSM(layer)


def nearest_neighbors(points: ArrayLike, values: ArrayLike, k: int) -> DSM:
    """Make the DSM(d, k, n) that is k-nearest-neighbour regression on unit vectors.

    Not collective. B holds the points, σ is one, the mask has the k largest of Bx, A = values/k.

    Parameters
    ----------
    points : array_like, shape (n, d)
        Vectors of unit length; inputs must be such too.
    values : array_like, shape (n,)
        Target values at the points.
    k : int
        How many neighbours are averaged.

    Returns
    -------
    DSM
        The model; there is nothing to fit.

    Raises
    ------
    ValueError
        If a point is not of unit length, to 1e-6.

    References
    ----------
    .. [1] Section 3.

    Examples
    --------
    >>> from pympf.nets import nearest_neighbors
    >>> g = nearest_neighbors([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], [1.0, 2.0, 5.0], k=2)
    >>> g.predict([[0.8, 0.6]])
    array([1.5])
    """
    points = as_points(points)
    lengths = np.linalg.norm(points, axis=1)
    worst = float(np.abs(lengths - 1).max())
    if worst > 1e-6:
        raise ValueError(f"expected points of unit length, got one that is off by {worst:.3g}")
    values = as_values(values, len(points))
    layer = Layer(points, activation="one", routing=TopK(as_count(k, "k", 1, len(points))))
    return DSM(layer, values / k)


def interpolation(points: ArrayLike, values: ArrayLike) -> DSM:
    """Make the DSM(d, 1, t) that has given values at given points.

    Not collective. B holds the points b_i, σ is the identity, A_i = f(x_i)/⟨b_i, x_i⟩, the mask has
    the nearest point.

    Parameters
    ----------
    points : array_like, shape (t, d)
        Points other than zero, which no product could tell from another scale.
    values : array_like, shape (t,)
        Target values at the points.

    Returns
    -------
    DSM
        The model; there is nothing to fit.

    Raises
    ------
    ValueError
        If a point is zero.

    References
    ----------
    .. [1] Section 3.

    Examples
    --------
    >>> from pympf.nets import interpolation
    >>> interpolation([[1.0, 0.0], [0.0, 2.0]], [3.0, 5.0]).predict([[0.0, 2.0], [1.0, 0.0]])
    array([5., 3.])
    """
    points = as_points(points)
    squares = np.square(points).sum(axis=1)
    as_positive(squares.min(), "the smallest squared length of the points")
    layer = Layer(points, activation="identity", routing=Nearest(points))
    return DSM(layer, as_values(values, len(points)) / squares)
