"""Networks of bounded norm, the class NN(Λ, d), and how well one stands for another.

    paper                               here
    f = g_d ∘ … ∘ g_1 (Definition 1)    BoundedNetwork(weights, biases, activations)
    ‖W‖_F ≤ Λ for all weight matrices   f.norm_bound() ≤ Λ
    Λ^d-Lipschitz (Proposition 1)       f.lipschitz_bound()
    slice f^[i:j] = g_j ∘ … ∘ g_i       f.slice(i, j)
    product of networks (Theorem 3)     product(f, g, …), identity(n, d), f.then(g)
    (ε, H)-compression                  compression_error(f, h, X) < ε

The definition has one σ for a layer; a product of networks at staggered depths needs the identity
beside ReLU, so here every unit may have its own. On bounded inputs the identity is ReLU(x + B) - B,
so nothing is lost: `identity(n, d, bound=B)`.

References
----------
.. [1] W. Burstein, J. Wilmes, "Obstacles to depth compression of neural networks", 2020, section 2.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import block_diag
from scipy.special import ndtri

from pympf.nets._checks import Array, as_count, as_points, as_positive, random_numbers
from pympf.nets.depth import activations as sigma
from pympf.nets.depth._storage import load_parts, save_parts
from pympf.nets.model import make_optimizer
from pympf.nets.modular.mlp import EPS, MLP
from pympf.nets.sparse_model import DSM
from pympf.nets.train import decaying, descend

__all__ = ["BoundedNetwork", "CompressionError", "compression_error", "identity", "product"]

ROUNDING = 1 + 1e-12
"""Norms that are equal on paper may differ by rounding."""


BoundedLayer: TypeAlias = tuple[Array, Array, sigma.Activation]
"""W, b and σ of x -> σ(Wx + b)."""


class BoundedNetwork:
    """A network f = g_d ∘ … ∘ g_1 of layers g_i(x) = σ_i(W_i x + b_i), each σ_i 1-Lipschitz.

    Parameters
    ----------
    weights : sequence of array_like
        W_1, …, W_d; W_i has shape (outputs, inputs). Where all are float32 so is the network.
    biases : sequence of array_like, optional
        b_1, …, b_d; zero by default.
    activations : str, callable, or sequence of these
        One for all layers or one for each: "relu", "identity", "triangle", "tanh", "abs", a
        function that is 1-Lipschitz, or a tuple of names, one for each unit.

    Examples
    --------
    >>> from pympf.nets import BoundedNetwork
    >>> f = BoundedNetwork([[[3.0, 4.0]], [[2.0]]], activations=["relu", "identity"])
    >>> f([[1.0, 1.0], [-1.0, 0.0]])
    array([14.,  0.])
    >>> f.norm_bound(), f.lipschitz_bound()
    (5.0, 25.0)
    """

    def __init__(
        self,
        weights: Sequence[ArrayLike],
        biases: Sequence[ArrayLike] | None = None,
        activations: sigma.Activation | Sequence[sigma.Activation] = "relu",
    ) -> None:
        self.weights = [_as_matrix(W).copy() for W in weights]
        if not self.weights:
            raise ValueError("expected at least one layer, got no weights")
        single = all(W.dtype == np.float32 for W in self.weights)
        self.dtype = np.dtype(np.float32 if single else np.float64)
        self.weights = [W.astype(self.dtype, copy=False) for W in self.weights]
        for below, above in pairwise(self.weights):
            if above.shape[1] != len(below):
                raise ValueError(f"expected a layer of {len(below)} inputs, got {above.shape[1]}")
        if biases is None:
            biases = [np.zeros(len(W)) for W in self.weights]
        if len(biases) != self.depth:
            raise ValueError(f"expected a bias for each of {self.depth} layers, got {len(biases)}")
        pairs = zip(self.weights, biases, strict=True)
        self.biases = [_as_bias(b, len(W), self.dtype) for W, b in pairs]
        if isinstance(activations, str) or callable(activations):
            activations = [activations] * self.depth
        if len(activations) != self.depth:
            raise ValueError(
                f"expected an activation for each of {self.depth} layers, got {len(activations)}"
            )
        given = zip(activations, self.weights, strict=True)
        self.activations = [sigma.checked(a, len(W)) for a, W in given]

    @classmethod
    def random(
        cls,
        sizes: Sequence[int],
        *,
        activation: str = "relu",
        norm: float | None = None,
        dtype: Any = np.float64,
        seed: int = 0,
    ) -> BoundedNetwork:
        """Draw a network to train: He's normal weights, small uniform biases, the last σ identity.

        Not collective.

        Parameters
        ----------
        sizes : sequence of int
            l_0, …, l_d: inputs, units of each hidden layer, outputs.
        activation : str
            σ of the hidden layers.
        norm : float, optional
            Λ: every weight matrix is scaled to this Frobenius norm.
        dtype : dtype
            float32 or float64.
        seed : int
            Seed of weights and biases.

        Returns
        -------
        BoundedNetwork
            Of len(sizes) - 1 layers.

        Examples
        --------
        >>> from pympf.nets import BoundedNetwork
        >>> f = BoundedNetwork.random([4, 16, 1], norm=2.0)
        >>> f.depth, round(f.norm_bound(), 12)
        (2, 2.0)
        """
        if len(sizes) < 2:
            raise ValueError(f"expected sizes of inputs and outputs, got {list(sizes)}")
        sizes = [as_count(size, "size") for size in sizes]
        rng = random_numbers(seed, "bounded network")
        weights, biases = [], []
        for layer, (inputs, outputs) in enumerate(pairwise(sizes), 2):
            gain = 1 if layer == len(sizes) else 2  # the last layer has no ReLU behind it
            W = rng.standard_normal((outputs, inputs)) * np.sqrt(gain / inputs)
            if norm is not None:
                W *= as_positive(norm, "norm") / np.linalg.norm(W)
            weights.append(W.astype(dtype))
            biases.append((rng.uniform(-1, 1, outputs) / np.sqrt(inputs)).astype(dtype))
        return cls(weights, biases, [activation] * (len(sizes) - 2) + ["identity"])

    @classmethod
    def of(cls, model: DSM | MLP) -> BoundedNetwork:
        """Take over a dense network of another kind, to measure or to cut it.

        Not collective.

        Parameters
        ----------
        model : DSM or MLP
            Without routing, and with σ of slope at most 1; a single network, whose batch
            normalization (by running means) becomes part of the weights.

        Returns
        -------
        BoundedNetwork
            The same function, with copies of the weights.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import BoundedNetwork, dense
        >>> X = np.linspace(-1, 1, 64).reshape(-1, 1)
        >>> model = dense(1, 16, bias=True).fit(X, abs(X[:, 0]))
        >>> f = BoundedNetwork.of(model)
        >>> f.sizes, bool(abs(f(X) - model.predict(X)).max() < 1e-9)
        ([1, 16, 1], True)
        """
        return cls(*(_of_mlp(model) if isinstance(model, MLP) else _of_dsm(model)))

    def __repr__(self) -> str:
        return f"BoundedNetwork(sizes={self.sizes}, norm_bound={self.norm_bound():.4g})"

    def _layers(self) -> list[BoundedLayer]:
        return list(zip(self.weights, self.biases, self.activations, strict=True))

    # ---- what it is ------------------------------------------------------------------------------
    @property
    def depth(self) -> int:
        """Number of layers, d."""
        return len(self.weights)

    @property
    def sizes(self) -> list[int]:
        """Inputs, then outputs of every layer: l_0, …, l_d."""
        return [self.weights[0].shape[1], *(len(W) for W in self.weights)]

    @property
    def n_features(self) -> int:
        """Number of inputs, l_0."""
        return self.sizes[0]

    def norms(self) -> list[float]:
        """Compute ‖W_i‖_F of every layer.

        Not collective.

        Returns
        -------
        list of float
            From the input up.

        Examples
        --------
        >>> from pympf.nets import BoundedNetwork
        >>> BoundedNetwork([[[3.0], [4.0]]]).norms()
        [5.0]
        """
        return [float(np.linalg.norm(W.astype(np.float64, copy=False))) for W in self.weights]

    def norm_bound(self) -> float:
        """Compute the least Λ for which the network is in NN(Λ, d).

        Not collective.

        Returns
        -------
        float
            The largest ‖W_i‖_F.

        Examples
        --------
        >>> from pympf.nets import identity
        >>> identity(4, 2).norm_bound()
        2.0
        """
        return max(self.norms())

    def belongs(self, norm: float, depth: int) -> bool:
        """Tell whether the network is in NN(Λ, d), up to rounding.

        Not collective.

        Parameters
        ----------
        norm : float
            Λ.
        depth : int
            d.

        Returns
        -------
        bool
            Whether it has d layers and no norm above Λ.

        Examples
        --------
        >>> from pympf.nets import identity
        >>> identity(4, 2).belongs(2.0, 2), identity(4, 2).belongs(1.9, 2)
        (True, False)
        """
        norm = as_positive(norm, "norm")
        return self.depth == as_count(depth, "depth") and self.norm_bound() <= norm * ROUNDING

    def lipschitz_bound(self, kind: str = "budget") -> float:
        """Compute a bound of the Lipschitz constant.

        Not collective.

        Parameters
        ----------
        kind : {"budget", "frobenius", "spectral"}
            Λ^d of Proposition 1 at the least Λ; the product of the Frobenius norms; the product of
            the spectral norms. Each is at most the one before.

        Returns
        -------
        float
            The bound.

        Examples
        --------
        >>> from pympf.nets import identity
        >>> f = identity(4, 3)
        >>> f.lipschitz_bound(), f.lipschitz_bound("spectral")
        (8.0, 1.0)
        """
        if kind == "budget":
            return self.norm_bound() ** self.depth
        if kind not in ("frobenius", "spectral"):
            raise ValueError(f"expected kind budget, frobenius or spectral, got {kind!r}")
        if kind == "frobenius":
            return float(np.prod(self.norms()))
        return float(np.prod([np.linalg.norm(W, 2) for W in self.weights]))

    # ---- evaluation ------------------------------------------------------------------------------
    def __call__(self, X: ArrayLike) -> Array:
        """Evaluate at points of shape (n, l_0): shape (n,) for one output, else (n, k)."""
        outputs = self.forward(X)[-1]
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def forward(self, X: ArrayLike) -> list[Array]:
        """Evaluate every layer.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, l_0)
            Points.

        Returns
        -------
        list of ndarray
            The points and the outputs of every layer, shapes (n, l_i).

        Examples
        --------
        >>> from pympf.nets import identity
        >>> [Z.shape for Z in identity(3, 2).forward([[1.0, 2.0, 3.0]])]
        [(1, 3), (1, 3), (1, 3)]
        """
        outputs = [as_points(X, self.n_features).astype(self.dtype, copy=False)]
        for W, b, activation in self._layers():
            outputs.append(sigma.evaluate(activation, outputs[-1] @ W.T + b))
        return outputs

    # ---- parts and combinations ------------------------------------------------------------------
    def slice(self, i: int, j: int) -> BoundedNetwork:
        """Take layers i to j, counted from 1 as in the paper: f^[i:j] = g_j ∘ … ∘ g_i.

        Not collective.

        Parameters
        ----------
        i, j : int
            First and last layer.

        Returns
        -------
        BoundedNetwork
            It shares the weights: training it trains this one.

        Examples
        --------
        >>> from pympf.nets import identity
        >>> identity(3, 5).slice(2, 4).depth
        3
        """
        i = as_count(i, "first layer", 1, self.depth)
        j = as_count(j, "last layer", i, self.depth)
        return _shared(self._layers()[i - 1 : j])

    def then(self, *others: BoundedNetwork) -> BoundedNetwork:
        """Put other networks on top.

        Not collective.

        Parameters
        ----------
        *others : BoundedNetwork
            Each takes the outputs of the one before.

        Returns
        -------
        BoundedNetwork
            Its depth is the sum of the depths. It shares the weights where all have one dtype.

        Examples
        --------
        >>> from pympf.nets import BoundedNetwork, identity
        >>> identity(2, 3).then(BoundedNetwork([[[1.0, 1.0]]])).sizes
        [2, 2, 2, 2, 1]
        """
        return _shared([layer for part in (self, *others) for layer in part._layers()])

    # ---- training --------------------------------------------------------------------------------
    def loss_and_gradients(self, X: ArrayLike, Y: ArrayLike) -> tuple[float, list[Array]]:
        """Compute the mean of ‖f(x) - y‖² and its gradients by back-propagation.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, l_0)
            Points.
        Y : array_like, shape (n,) or (n, l_d)
            Target values.

        Returns
        -------
        loss : float
            Mean over the points.
        gradients : list of ndarray
            By W_1, b_1, W_2, …

        Examples
        --------
        >>> from pympf.nets import BoundedNetwork
        >>> BoundedNetwork([[[2.0]]]).loss_and_gradients([[1.0]], [0.0])
        (4.0, [array([[4.]]), array([4.])])
        """
        layers = self._layers()
        inputs, slopes = [as_points(X, self.n_features).astype(self.dtype, copy=False)], []
        for W, b, activation in layers:
            Z = inputs[-1] @ W.T + b
            slopes.append(sigma.slope(activation, Z))
            inputs.append(sigma.evaluate(activation, Z))
        outputs = inputs.pop()
        residual = outputs - as_outputs(Y, len(outputs), outputs.shape[1]).astype(self.dtype)
        delta = residual * self.dtype.type(2 / len(residual))
        gradients: list[Array] = []
        for (W, _, _), below, slope in zip(
            reversed(layers), reversed(inputs), reversed(slopes), strict=True
        ):
            delta = delta * slope
            gradients = [delta.T @ below, delta.sum(axis=0), *gradients]
            delta = delta @ W if below is not inputs[0] else delta
        return float(np.square(residual).sum()) / len(residual), gradients

    def fit(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        method: str = "adam",
        *,
        decay: bool = True,
        **options: Any,
    ) -> BoundedNetwork:
        """Train all layers on the mean of ‖f(x) - y‖².

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, l_0)
            Points.
        Y : array_like, shape (n,) or (n, l_d)
            Target values.
        method : {"adam", "rmsprop", "sgd"}
            The optimizer.
        decay : bool
            Whether the rate falls to zero along half a cosine.
        **options
            `learning_rate`, and those of `descend`: `epochs`, `batch`, `seed`, `progress`.

        Returns
        -------
        BoundedNetwork
            This one, changed in place; `losses` holds the loss of each epoch.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import BoundedNetwork
        >>> X = np.linspace(-1, 1, 64).reshape(-1, 1)
        >>> f = BoundedNetwork.random([1, 16, 1]).fit(X, abs(X[:, 0]), learning_rate=1e-2)
        >>> f.losses[-1] < 0.1 * f.losses[0]
        True
        """
        X = as_points(X, self.n_features).astype(self.dtype, copy=False)
        Y = as_outputs(Y, len(X), self.sizes[-1]).astype(self.dtype, copy=False)
        optimizer = make_optimizer(method, options)
        if decay:
            size = {name: options[name] for name in ("epochs", "batch") if name in options}
            optimizer = decaying(optimizer, len(X), **size)
        parameters = [p for pair in zip(self.weights, self.biases, strict=True) for p in pair]

        def gradient(which: Array) -> tuple[float, list[Array]]:
            return self.loss_and_gradients(X[which], Y[which])

        self.losses = descend(gradient, parameters, len(X), optimizer, **options)
        return self

    # ---- files -----------------------------------------------------------------------------------
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to an HDF5 file, whole or not at all.

        Not collective.

        Parameters
        ----------
        path : str or os.PathLike
            The file. ValueError where an activation is a function without a name.

        Examples
        --------
        >>> import os, tempfile
        >>> from pympf.nets import BoundedNetwork, identity
        >>> path = os.path.join(tempfile.mkdtemp(), "f.h5")
        >>> identity(3, 2).save(path)
        >>> BoundedNetwork.load(path).sizes
        [3, 3, 3]
        """
        save_parts(self.weights, self.biases, self.activations, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> BoundedNetwork:
        """Read what `save` wrote.

        Not collective.

        Parameters
        ----------
        path : str or os.PathLike
            The file; OSError if it is no whole network.

        Returns
        -------
        BoundedNetwork
            The same to the last bit.

        Examples
        --------
        See `save`.
        """
        return load_parts(path, cls)


def _of_dsm(model: DSM) -> tuple[list[Array], list[Array], list[str]]:
    if any(layer.routing is not None for layer in model.layers):
        raise ValueError("expected a dense model, got one whose inputs activate some units only")
    weights = [layer.projection for layer in model.layers] + [model.weights[None, :]]
    biases = [layer.offset for layer in model.layers] + [np.array([model.intercept])]
    return weights, biases, [layer.activation for layer in model.layers] + ["identity"]


def _of_mlp(net: MLP) -> tuple[list[Array], list[Array], list[str]]:
    """Fold normalization into the layer before it: γ (z - μ)/√(σ² + eps) + β."""
    if net.copies != 1:
        raise ValueError(f"expected one network, got an MLP of {net.copies} copies")
    weights, biases = [W[0].T for W in net.weights], [b[0, 0] for b in net.biases]
    for layer, gain in enumerate(net.scales):
        factor = gain[0, 0] / np.sqrt(net.variances[layer][0, 0] + EPS)
        weights[layer] = weights[layer] * factor[:, None]
        biases[layer] = (biases[layer] - net.means[layer][0, 0]) * factor + net.offsets[layer][0, 0]
    return weights, biases, ["relu"] * (len(weights) - 1) + ["identity"]


def _shared(layers: list[BoundedLayer]) -> BoundedNetwork:
    """Make a network that works on the same arrays, not on copies."""
    weights, biases, activations = zip(*layers, strict=True)
    network = BoundedNetwork(weights, biases, list(activations))
    if all(array.dtype == network.dtype for array in (*weights, *biases)):
        network.weights, network.biases = list(weights), list(biases)
    return network


def _as_matrix(W: ArrayLike) -> Array:
    if np.ndim(W) != 2:
        raise ValueError(f"expected weights of shape (outputs, inputs), got {np.shape(W)}")
    return as_points(W)


def _as_bias(b: ArrayLike, units: int, dtype: Any) -> Array:
    b = as_outputs(b, units, 1)[:, 0]
    return b.astype(dtype)


def as_outputs(Y: ArrayLike, n: int, k: int | None = None) -> Array:
    """Check values of n points, shape (n,) or (n, k), and return them in two dimensions."""
    Y = np.asarray(Y)
    Y = as_points(Y.reshape(-1, 1) if Y.ndim == 1 else Y)
    if len(Y) != n or (k is not None and Y.shape[1] != k):
        raise ValueError(f"expected values of shape ({n}, {k or 'k'}), got {Y.shape}")
    return Y


# ---- combinations --------------------------------------------------------------------------------
def identity(n_features: int, depth: int, *, bound: float | None = None) -> BoundedNetwork:
    """Make the identity of R^n in d layers; each weight matrix has the norm √n.

    Not collective.

    Parameters
    ----------
    n_features : int
        n.
    depth : int
        d.
    bound : float, optional
        B: ReLU layers that are the identity where all |x_i| ≤ B, the last layer's σ apart.

    Returns
    -------
    BoundedNetwork
        Of identity layers, or of ReLU layers and a last one that is linear.

    Examples
    --------
    >>> from pympf.nets import identity
    >>> identity(2, 3, bound=5.0)([[-4.0, 3.0]])
    array([[-4.,  3.]])
    """
    n_features, depth = as_count(n_features, "n_features"), as_count(depth, "depth")
    weights = [np.eye(n_features)] * depth
    if bound is None or depth == 1:
        return BoundedNetwork(weights, activations="identity")
    shift = np.full(n_features, as_positive(bound, "bound"))
    biases = [shift, *[0 * shift] * (depth - 2), -shift]
    return BoundedNetwork(weights, biases, ["relu"] * (depth - 1) + ["identity"])


def product(*networks: BoundedNetwork) -> BoundedNetwork:
    """Put networks of one depth side by side: (x, y) → (f(x), g(y)).

    Not collective. Each norm is the root of the sum of squares: √k Λ for k equal networks.

    Parameters
    ----------
    *networks : BoundedNetwork
        All of the same depth.

    Returns
    -------
    BoundedNetwork
        On the Cartesian product of the input spaces.

    Examples
    --------
    >>> from pympf.nets import BoundedNetwork, product
    >>> f = BoundedNetwork([[[3.0]]])
    >>> product(f, f)([[1.0, 2.0]])
    array([[3., 6.]])
    """
    if not networks or len({f.depth for f in networks}) > 1:
        raise ValueError(
            f"expected networks of one depth, got depths {[f.depth for f in networks]}"
        )
    layers = range(networks[0].depth)
    return BoundedNetwork(
        [block_diag(*(f.weights[i] for f in networks)) for i in layers],
        [np.concatenate([f.biases[i] for f in networks]) for i in layers],
        [_side_by_side([(f.activations[i], len(f.weights[i])) for f in networks]) for i in layers],
    )


def _side_by_side(parts: list[tuple[sigma.Activation, int]]) -> sigma.Activation:
    first = parts[0][0]
    if all(activation == first for activation, _ in parts) and not isinstance(first, tuple):
        return first
    names: list[str] = []
    for activation, units in parts:
        if not isinstance(activation, str | tuple):
            raise ValueError("expected activations with names in a product of different ones")
        names += [activation] * units if isinstance(activation, str) else activation
    return tuple(names)


# ---- compression ---------------------------------------------------------------------------------
@dataclass(frozen=True)
class CompressionError:
    """An estimate of E‖f(x) - h(x)‖², and where it lies at the confidence asked for."""

    mean: float
    low: float
    high: float
    points: int


def compression_error(
    f: Callable[[Array], Array],
    h: Callable[[Array], Array],
    X: ArrayLike,
    *,
    confidence: float = 0.95,
    bound: float | None = None,
) -> CompressionError:
    """Estimate how well h stands for f, E‖f(x) - h(x)‖², from points of the distribution.

    Not collective.

    Parameters
    ----------
    f, h : callable
        Map points of shape (n, d) to values of shape (n,) or (n, k).
    X : array_like, shape (n, d)
        At least two independent points.
    confidence : float
        Probability with which the interval should hold the mean.
    bound : float, optional
        The largest that ‖f(x) - h(x)‖² can be: then the interval holds at every n (empirical
        Bernstein bound [1]_); without it by the central limit theorem, for large n.

    Returns
    -------
    CompressionError
        Mean and interval; the interval never goes below zero.

    References
    ----------
    .. [1] A. Maurer, M. Pontil, "Empirical Bernstein bounds and sample variance penalization",
       COLT 2009, theorem 4.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import compression_error
    >>> found = compression_error(np.sum, np.sum, np.ones((4, 2)))
    Traceback (most recent call last):
    ...
    ValueError: expected values of shape (4, k), got (1, 1)
    >>> compression_error(lambda X: X[:, 0], lambda X: 0 * X[:, 0], [[1.0], [2.0], [3.0]]).mean
    4.666666666666667
    """
    X = as_points(X)
    if len(X) < 2:
        raise ValueError(f"expected at least 2 points for a confidence interval, got {len(X)}")
    if not 0 < confidence < 1:
        raise ValueError(f"expected confidence of (0, 1), got {confidence}")
    values = as_outputs(np.atleast_1d(f(X)), len(X)).astype(np.float64)
    others = as_outputs(np.atleast_1d(h(X)), len(X), values.shape[1])
    squares = np.square(values - others).sum(axis=1)
    n, mean, spread = len(X), float(squares.mean()), float(squares.std(ddof=1))
    if bound is None:
        reach = float(ndtri((1 + confidence) / 2)) * spread / np.sqrt(n)
        return CompressionError(mean, max(0.0, mean - reach), mean + reach, n)
    if squares.max() > as_positive(bound, "bound") * ROUNDING:
        raise ValueError(f"expected squares of at most {bound:g}, got {squares.max():g}")
    logarithm = np.log(4 / (1 - confidence))
    reach = float(spread * np.sqrt(2 * logarithm / n) + 7 * bound * logarithm / (3 * (n - 1)))
    return CompressionError(mean, max(0.0, mean - reach), min(bound, mean + reach), n)
