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
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf.la import checks
from pympf.nets._checks import Array, as_outputs, as_points, random_numbers
from pympf.nets.depth import activations as sigma
from pympf.nets.depth._layers import (
    BoundedLayer,
    checked_layers,
    loss_and_gradients,
    of_dsm,
    of_mlp,
    outputs_of_layers,
    random_layers,
)
from pympf.nets.depth._storage import load_parts, save_parts
from pympf.nets.model import make_optimizer
from pympf.nets.modular.mlp import MLP
from pympf.nets.sparse_model import DSM
from pympf.nets.train import decaying, descend

__all__ = ["ROUNDING", "BoundedNetwork"]

ROUNDING = 1 + 1e-12
"""Norms that are equal on paper may differ by rounding."""


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
        self.weights, self.biases, self.activations = checked_layers(weights, biases, activations)
        self.dtype = self.weights[0].dtype

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
        rng = random_numbers(seed, "bounded network")
        weights, biases = random_layers(sizes, norm, np.dtype(dtype), rng)
        return cls(weights, biases, [activation] * (len(weights) - 1) + ["identity"])

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
        return cls(*(of_mlp(model) if isinstance(model, MLP) else of_dsm(model)))

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
        norm = checks.positive(norm, "norm")
        return self.depth == checks.integer(depth, "depth") and self.norm_bound() <= norm * ROUNDING

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
        checks.choice(kind, "kind", ("budget", "frobenius", "spectral"))
        if kind == "budget":
            return self.norm_bound() ** self.depth
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
        X = as_points(X, self.n_features).astype(self.dtype, copy=False)
        return outputs_of_layers(self._layers(), X)

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
        i = checks.integer(i, "first layer", 1, self.depth)
        j = checks.integer(j, "last layer", i, self.depth)
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
        X = as_points(X, self.n_features).astype(self.dtype, copy=False)
        Y = as_outputs(Y, len(X), self.sizes[-1]).astype(self.dtype, copy=False)
        return loss_and_gradients(self._layers(), X, Y)

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


def _shared(parts: list[BoundedLayer]) -> BoundedNetwork:
    """Make a network that works on the same arrays, not on copies."""
    weights, biases, activations = zip(*parts, strict=True)
    network = BoundedNetwork(weights, biases, list(activations))
    if all(array.dtype == network.dtype for array in (*weights, *biases)):
        network.weights, network.biases = list(weights), list(biases)
    return network
