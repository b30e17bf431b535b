"""Modular and monolithic networks, trained by gradients.

    paper                                          here
    ŷ = K^{-1/2} Σ_j f_j(Û_jᵀx), or of ‖x - û_j‖    Modular(projection="linear" or "distance")
    one f for all modules, a linear layer on top   Modular(shared=True)
    a fully connected network                      Monolithic

Values are learned by the mean squared error, of values less their mean and over their deviation;
classes of k parts by the mean cross-entropy of the parts.

References
----------
.. [1] A. Boopathy, S. Jiang, W. Yue, J. Hwang, A. Iyer, I. Fiete, "Breaking neural network scaling
   laws with modularity", section 4, appendices E.2 and E.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf.la import checks
from pympf.nets._checks import Array, random_numbers
from pympf.nets.modular._network import Network, as_outputs_of
from pympf.nets.modular.kernel_rule import kernel_rule
from pympf.nets.modular.mlp import MLP
from pympf.nets.modular.projections import screened
from pympf.nets.modular.pursuit import pursuit
from pympf.nets.modular.tasks import PROJECTIONS, project

__all__ = ["INITS", "Modular", "Monolithic"]

INITS = ("random", "kernel", "pursuit", "screened")


class Monolithic(Network):
    """A fully connected ReLU network.

    Parameters
    ----------
    n_features : int
        m.
    hidden : sequence of int
        Units of the hidden layers.
    outputs : 1 or (int, int)
        One value; or k parts and their number of classes.
    normalize : bool
        Whether there is batch normalization.
    seed : int
        Seed of the weights.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import Monolithic
    >>> X = np.random.default_rng(0).standard_normal((500, 2))
    >>> net = Monolithic(2, (32, 32)).fit(X, X[:, 0] * X[:, 1], steps=300)
    >>> bool(((net.predict(X) - X[:, 0] * X[:, 1]) ** 2).mean() < 0.1)
    True
    """

    def __init__(
        self,
        n_features: int,
        hidden: Sequence[int] = (128, 128, 128, 128),
        *,
        outputs: int | tuple[int, int] = 1,
        normalize: bool = False,
        seed: int = 0,
    ) -> None:
        self.n_features = checks.integer(n_features, "n_features")
        width, self.outputs = as_outputs_of(outputs)
        sizes = [self.n_features, *hidden, width]
        self.net = MLP(sizes, normalize=normalize, seed=seed)
        self.dtype = self.net.dtype

    @property
    def parameters(self) -> list[Array]:
        """Weights and biases."""
        return self.net.parameters

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        steps: int = 3000,
        learning_rate: float = 3e-3,
        batch: int = 256,
        seed: int = 0,
    ) -> Monolithic:
        """Train by Adam; the rate falls like a cosine.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, m)
            Points, two or more.
        y : array_like, shape (n,), or of int, shape (n, k)
            Values, or classes of the parts.
        steps : int
            Batches at least, whole epochs.
        learning_rate : float
            At the start.
        batch : int
            Points of a step.
        seed : int
            Seed of the batches.

        Returns
        -------
        Monolithic
            This one.

        Examples
        --------
        >>> from pympf.nets import Monolithic, SineWaves
        >>> f = SineWaves(2)
        >>> X = f.sample(300)
        >>> net = Monolithic(2, (16,)).fit(X, f(X), steps=20)
        >>> net.losses[-1] < net.losses[0]
        True
        """
        X, y = self._checked(X, y)
        self._train(X, y, steps, learning_rate, batch, seed)
        return self

    def _forward(self, X: Array) -> tuple[Array, Any]:
        output, tape = self.net.forward(X[np.newaxis])
        return output[0], tape

    def _backward(self, tape: Any, slope: Array) -> list[Array]:
        return self.net.backward(tape, slope[np.newaxis])[0]

    def _evaluate(self, X: Array) -> Array:
        return self.net.predict(X[np.newaxis])[0]

    def _widest(self) -> int:
        return max(self.net.sizes)


class Modular(Network):
    """K modules, each a network of a projection of the input.

    Parameters
    ----------
    n_features : int
        m.
    n_modules : int
        K.
    hidden : sequence of int
        Units of the hidden layers of a module.
    projection : {"linear", "distance"}
        A module sees Û_jᵀx, or ‖x - û_j‖.
    bottleneck : int
        b, from 1 to m: how many numbers a module sees; 1 for "distance".
    shared : bool
        One network for all modules, with the projection as its first layer and a linear layer on
        what they give, in place of the sum of networks of their own.
    outputs : 1 or (int, int)
        One value; or k parts and their number of classes, for shared modules.
    normalize : bool
        Whether there is batch normalization.
    train_projections : bool
        Whether projections learn too.
    seed : int
        Seed of the weights.

    Attributes
    ----------
    projections : ndarray, shape (K, m), or (K, m, b) for b > 1 or shared modules
        Û.

    Examples
    --------
    >>> from pympf.nets import Modular, SineWaves
    >>> f = SineWaves(3, seed=1)
    >>> X, Y = f.sample(3000), f.sample(500, seed=1)
    >>> net = Modular(3, 6).fit(X, f(X), init="pursuit", steps=1500)
    >>> bool(((net.predict(Y) - f(Y)) ** 2).mean() < 0.1 * f.variance)
    True
    """

    def __init__(
        self,
        n_features: int,
        n_modules: int,
        hidden: Sequence[int] = (32, 32, 32),
        *,
        projection: str = "linear",
        bottleneck: int = 1,
        shared: bool = False,
        outputs: int | tuple[int, int] = 1,
        normalize: bool = False,
        train_projections: bool = True,
        seed: int = 0,
    ) -> None:
        self.n_features = m = checks.integer(n_features, "n_features")
        self.n_modules = K = checks.integer(n_modules, "n_modules")
        self.projection = checks.choice(projection, "projection", PROJECTIONS)
        linear = self.projection == "linear"
        self.bottleneck = b = checks.integer(bottleneck, "bottleneck", 1, m if linear else 1)
        self.shared, self.train_projections = bool(shared), bool(train_projections)
        if shared and not (linear and len(hidden)):
            raise ValueError("expected shared modules with linear projections and a hidden layer")
        width, self.outputs = as_outputs_of(outputs)
        if not shared and width > 1:
            raise ValueError(f"expected shared=True for outputs={outputs}")
        rng = random_numbers(seed, "projections")
        if shared:
            self.net = MLP([b, *hidden], normalize=normalize, seed=seed)
            self.head = MLP([K * hidden[-1], width], seed=seed + 1)
            self.projections = rng.standard_normal((K, m, b)) * np.sqrt(2 / m)
        else:
            self.net = MLP([b, *hidden, 1], copies=K, normalize=normalize, seed=seed)
            shape = (K, m, b) if b > 1 else (K, m)
            U = rng.standard_normal(shape)
            self.projections = U / np.linalg.norm(U, axis=1, keepdims=True)
        self.dtype = self.net.dtype
        self.projections = self.projections.astype(self.dtype)
        self._shift = 0.0

    @property
    def parameters(self) -> list[Array]:
        """Weights and biases, and the projections if they learn."""
        head = self.head.parameters if self.shared else []
        return [
            *([self.projections] if self.train_projections else []),
            *self.net.parameters,
            *head,
        ]

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        init: Any = "random",
        init_options: Mapping[str, Any] | None = None,
        steps: int = 1000,
        learning_rate: float = 1e-2,
        batch: int = 256,
        seed: int = 0,
    ) -> Modular:
        """Set the projections, then train by Adam; the rate falls like a cosine.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, m)
            Points, two or more.
        y : array_like, shape (n,), or of int, shape (n, k)
            Values, or classes of the parts.
        init : {"random", "kernel", "pursuit", "screened"} or array_like
            As they are; by `kernel_rule`, `pursuit` (what it finds repeats until there are K; they
            stay random if it finds nothing) or `screened`; or the projections themselves, which are
            repeated too.
        init_options : mapping, optional
            Further arguments of these functions.
        steps : int
            Batches at least, whole epochs.
        learning_rate : float
            At the start.
        batch : int
            Points of a step.
        seed : int
            Seed of the batches and of the projections.

        Returns
        -------
        Modular
            This one.

        Examples
        --------
        >>> from pympf.nets import Modular, SineWaves
        >>> f = SineWaves(2)
        >>> X = f.sample(300)
        >>> net = Modular(2, 4).fit(X, f(X), init=f.directions, steps=20)
        >>> net.losses[-1] < net.losses[0]
        True
        """
        X, y = self._checked(X, y)
        U = self._initial(X, y, init, dict(init_options or {}), seed)
        self.projections[...] = U
        if self.projection == "distance":
            self._shift = float(project(X[:1000], self.projections, "distance").mean())
        self._train(X, y, steps, learning_rate, batch, seed)
        return self

    def _initial(self, X: Array, y: Array, init: Any, options: dict[str, Any], seed: int) -> Array:
        K, b = self.n_modules, self.bottleneck
        if not isinstance(init, str):
            found = np.asarray(init, dtype=np.float64)
        elif checks.choice(init, "init", INITS) == "random":
            return self.projections
        elif init == "screened":
            found = screened(X, y, K, b, seed=seed, **options)
        elif init == "pursuit":
            found = pursuit(X, y, projection=self.projection, seed=seed, **options).directions
            if not len(found):
                return self.projections
        else:
            kind = "subspace" if self.projections.ndim == 3 else self.projection
            defaults: dict[str, Any] = {"projection": kind, "bottleneck": b, "seed": seed}
            found = kernel_rule(X, y, K, **(defaults | options))
        if found.shape[1:] != self.projections.shape[1:] or not len(found):
            raise ValueError(
                f"expected projections of shape (K, {str(self.projections.shape[1:])[1:]}, got "
                f"{found.shape}"
            )
        if not np.isfinite(found).all():
            raise ValueError(f"init={init!r} gave projections that are not finite")
        found = found[np.arange(K) % len(found)]
        if self.shared:  # He's norm: the rule leaves any
            norm = np.linalg.norm(found) or 1.0
            return found * np.sqrt(2 / self.n_features) * np.sqrt(found.size) / norm
        if self.projection == "distance":
            return found
        length = np.linalg.norm(found, axis=1, keepdims=True)
        return found / np.where(length > 0, length, 1.0)

    # ---- forward and backward --------------------------------------------------------------------
    def _seen(self, X: Array) -> Array:
        """What the modules see, shape (K, n, b)."""
        if self.projections.ndim == 3:
            return np.matmul(X, self.projections)
        z = project(X, self.projections, self.projection)
        return (z - z.dtype.type(self._shift))[:, :, np.newaxis]

    def _forward(self, X: Array) -> tuple[Array, Any]:
        z = self._seen(X)
        if not self.shared:
            output, tape = self.net.forward(z)
            return output.sum(axis=0) / np.sqrt(self.n_modules), (X, z, tape)
        np.maximum(z, 0, out=z)
        f, tape = self.net.forward(z)
        np.maximum(f, 0, out=f)
        output, head = self.head.forward(self._joined(f))
        return output[0], (X, z, tape, f, head)

    def _joined(self, f: Array) -> Array:
        return f.transpose(1, 0, 2).reshape(1, f.shape[1], -1)

    def _evaluate(self, X: Array) -> Array:
        z = self._seen(X)
        if not self.shared:
            return self.net.predict(z).sum(axis=0) / np.sqrt(self.n_modules)
        f = np.maximum(self.net.predict(np.maximum(z, 0)), 0)
        return self.head.predict(self._joined(f))[0]

    def _backward(self, tape: Any, slope: Array) -> list[Array]:
        above: list[Array] = []
        if self.shared:
            X, z, tape, f, head = tape
            above, slope = self.head.backward(head, slope[np.newaxis])
            slope = slope.reshape(f.shape[1], self.n_modules, -1).transpose(1, 0, 2) * (f > 0)
        else:
            X, z, tape = tape
            slope = np.broadcast_to(slope / np.sqrt(self.n_modules), (self.n_modules, *slope.shape))
        gradients, by_z = self.net.backward(tape, np.ascontiguousarray(slope))
        if self.shared:
            by_z = by_z * (z > 0)
        first = [self._by_projections(X, z, by_z)] if self.train_projections else []
        return [*first, *gradients, *above]

    def _by_projections(self, X: Array, z: Array, by_z: Array) -> Array:
        if self.projections.ndim == 3:
            return np.matmul(X.T, by_z)
        slope = by_z[:, :, 0]
        if self.projection == "linear":
            return slope @ X
        slope = slope / np.maximum(z[:, :, 0] + self._shift, 1e-6)
        return slope.sum(axis=1, keepdims=True) * self.projections - slope @ X

    def _widest(self) -> int:
        return self.n_modules * max(*self.net.sizes, self.bottleneck)
