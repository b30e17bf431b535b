"""What modular and monolithic networks share: the gate, the losses and the loop over batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf._described import Described
from pympf.la import checks
from pympf.nets._checks import Array, as_points, as_values
from pympf.nets.modular.projections import as_labels
from pympf.nets.train import Adam, Cosine, descend

__all__ = ["Network", "as_outputs_of"]

BLOCK = 2**20
"""Numbers of one layer that are in memory at once when a network is evaluated."""


class Network(Described, ABC):
    """What both share: the gate, the losses and the loop over batches."""

    n_features: int
    outputs: int | tuple[int, int]
    dtype: np.dtype[Any]
    _level, _unit = 0.0, 1.0

    @abstractmethod
    def _forward(self, X: Array) -> tuple[Array, Any]: ...

    @abstractmethod
    def _backward(self, tape: Any, slope: Array) -> list[Array]: ...

    @abstractmethod
    def _evaluate(self, X: Array) -> Array: ...

    @abstractmethod
    def _widest(self) -> int: ...

    @property
    @abstractmethod
    def parameters(self) -> list[Array]:
        """What training changes."""

    def _train(
        self, X: Array, y: Array, steps: int, learning_rate: float, batch: int, seed: int
    ) -> None:
        n = len(X)
        batch = min(checks.integer(batch, "batch"), n)
        steps = checks.integer(steps, "steps", 0)
        epochs = -(-steps // -(-n // batch))
        X, total = X.astype(self.dtype, copy=False), epochs * -(-n // batch)

        def gradient(chosen: Array) -> tuple[float, list[Array]]:
            output, tape = self._forward(X[chosen])
            loss, slope = self._loss(output, y[chosen])
            return loss, self._backward(tape, slope)

        optimizer = Cosine(Adam(learning_rate), max(1, total))
        self.losses = descend(
            gradient, self.parameters, n, optimizer, epochs=epochs, batch=batch, seed=seed
        )

    def _checked(self, X: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
        """Check what is to be learned; values become of mean zero and deviation one."""
        X = as_points(X, self.n_features)
        if len(X) < 2:
            raise ValueError(f"expected at least 2 points, got {len(X)}")
        if not isinstance(self.outputs, tuple):
            y = as_values(y, len(X))
            self._level, self._unit = float(y.mean()), float(y.std())
            if not self._unit:
                raise ValueError("expected values y that differ, got a constant")
            return X, ((y - self._level) / self._unit).astype(self.dtype)
        y = as_labels(y, len(X), self.outputs[0])
        if y.max() >= self.outputs[1]:
            raise ValueError(f"expected classes below {self.outputs[1]}, got {y.max()}")
        return X, y

    def _loss(self, output: Array, y: Array) -> tuple[float, Array]:
        n = len(output)
        if y.ndim == 1:
            rest = output[:, 0] - y
            return float(rest @ rest) / n, (2 / n) * rest[:, np.newaxis]
        scores = output.reshape(n, *self._parts())
        scores = scores - scores.max(axis=2, keepdims=True)
        share = np.exp(scores)
        share /= share.sum(axis=2, keepdims=True)
        told = y[:, :, np.newaxis]
        chance = np.take_along_axis(share, told, axis=2)
        np.put_along_axis(share, told, chance - 1, axis=2)
        loss = -float(np.log(np.maximum(chance, 1e-30)).mean())
        return loss, share.reshape(n, -1) / y.size

    def _parts(self) -> tuple[int, int]:
        assert isinstance(self.outputs, tuple)
        return self.outputs

    def predict(self, X: ArrayLike) -> Array:
        """Evaluate: values, or the classes of the parts.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, m)
            Points.

        Returns
        -------
        ndarray of float64, shape (n,), or of int, shape (n, k)
            Values, or classes.

        Examples
        --------
        >>> from pympf.nets import Monolithic
        >>> Monolithic(2).predict([[0.0, 1.0]]).shape
        (1,)
        """
        X = as_points(X, self.n_features).astype(self.dtype, copy=False)
        step = max(1, BLOCK // self._widest())
        parts = [self._evaluate(X[i : i + step]) for i in range(0, len(X), step)]
        output = np.concatenate(parts)
        if isinstance(self.outputs, tuple):
            return output.reshape(len(X), *self.outputs).argmax(axis=2)
        return self._level + self._unit * output[:, 0].astype(np.float64)


def as_outputs_of(outputs: int | tuple[int, int]) -> tuple[int, int | tuple[int, int]]:
    """Outputs of the last layer, and how they are read."""
    if isinstance(outputs, tuple):
        k, classes = checks.integer(outputs[0], "parts"), checks.integer(outputs[1], "classes", 2)
        return k * classes, (k, classes)
    return checks.integer(outputs, "outputs", 1, 1), 1
