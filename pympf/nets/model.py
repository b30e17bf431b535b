"""What all models share: they are linear in the weights of their units.

g(x) = sum over the active units j of x of weights_j rows(x)_j, plus an intercept. A model says
which units are active and how strongly; predicting, least squares and training follow.

References
----------
.. [1] C. Baykal, N. Dikkala, R. Panigrahy, C. Rashtchian, X. Wang, "A theoretical view on sparsely
   activated networks", sections 2 and D.1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf._described import Described
from pympf.la import checks
from pympf.nets._checks import Array, as_points, as_values, random_numbers
from pympf.nets.cost import Cost
from pympf.nets.lstsq import least_squares
from pympf.nets.rows import Rows
from pympf.nets.train import SGD, Adam, Optimizer, RMSProp, descend, loss_and_gradient

__all__ = ["OPTIMIZERS", "Model", "make_optimizer"]

BLOCK = 2**24
"""Activations that are in memory at once, where not all are needed."""

OPTIMIZERS: dict[str, type[SGD] | type[RMSProp] | type[Adam]] = {
    "sgd": SGD,
    "rmsprop": RMSProp,
    "adam": Adam,
}


class Model(Described, ABC):
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

    @abstractmethod
    def _numbers(self) -> int:
        """Count the numbers that the rows of one point need, those on the way included."""

    def _blocks(self, X: Array) -> Iterator[slice]:
        size = max(1, BLOCK // self._numbers())
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
        optimizer = make_optimizer(method, options)
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


def make_optimizer(method: str, options: dict[str, Any]) -> Optimizer:
    """Make the optimizer of a method and take its option out of the others, which `descend` knows.

    Not collective.

    Parameters
    ----------
    method : {"rmsprop", "adam", "sgd"}
        Which.
    options : dict
        `learning_rate` is taken out.

    Returns
    -------
    Optimizer
        A fresh one.

    Raises
    ------
    TypeError
        If an option is neither that nor one of `descend`.

    Examples
    --------
    >>> from pympf.nets.model import make_optimizer
    >>> options = {"learning_rate": 0.5, "epochs": 3}
    >>> make_optimizer("sgd", options).learning_rate, options
    (0.5, {'epochs': 3})
    """
    kind = OPTIMIZERS[checks.choice(method, "method", ("lstsq", *OPTIMIZERS))]
    rate = options.pop("learning_rate", None)
    known = ["learning_rate", *(descend.__kwdefaults__ or ())]
    for name in options:
        if name not in known:
            raise TypeError(checks.unknown(name, known))
    return kind() if rate is None else kind(rate)
