"""Batches of K equal fully connected networks: (K, n, inputs) -> (K, n, outputs).

    z_l = a_{l-1} W_l + b_l,  a_l = max(0, z_l),  the last layer without max

With batch normalization z_l becomes γ (z_l - μ)/√(σ² + eps) + β before the max, with μ and σ² of
the batch in training and their running means otherwise. The networks share nothing but their
sizes; `copies=1` on K inputs is one network for all of them (shared weights).

A product of (K, n, a) with (K, a, b) is K calls of BLAS. Batches so long that the activations of
all networks leave the cache are worked on a few networks at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pympf._described import Described
from pympf.la import checks
from pympf.nets._checks import Array, random_numbers

__all__ = ["MLP", "Tape"]

CACHE = 2**17
"""Bytes of one layer's activations that are worked on at once."""

EPS = 1e-5
"""Added to the variance by batch normalization."""

MOMENTUM = 0.1
"""Share of the newest batch in the running means of batch normalization."""


class Tape(NamedTuple):
    """What `MLP.forward` keeps for `MLP.backward`: inputs of layers, normalized values, 1/σ."""

    inputs: list[Array]
    normalized: list[tuple[Array, Array]]
    shape: tuple[int, ...]


class MLP(Described):
    """K equal fully connected ReLU networks at once.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, hidden units of each layer, outputs.
    copies : int
        K. With 1, inputs of shape (K, n, inputs) go through one network all the same.
    normalize : bool
        Whether hidden layers have batch normalization, each network its own.
    initialization : {"he", "torch"}
        Normal weights of variance 2/inputs (1/inputs in the last layer) and biases uniform within
        ±inputs^{-1/2}; or both uniform within ±inputs^{-1/2}, as in PyTorch.
    spread : float
        Networks of one input get first biases -w·U(-spread, spread), so that the kinks of their
        units lie all over the input; with biases of zero all are at 0, and with others of the usual
        size near it.
    dtype : {numpy.float32, numpy.float64}
        Of weights and activations.
    seed : int
        Seed of the weights.

    Attributes
    ----------
    parameters : list of ndarray
        Weights (K, inputs, outputs) and biases (K, 1, outputs) of each layer, then γ and β.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import MLP
    >>> net = MLP([1, 32, 32, 1], copies=5)
    >>> output, tape = net.forward(np.zeros((5, 100, 1), np.float32))
    >>> gradients, by_input = net.backward(tape, np.ones_like(output))
    >>> output.shape, by_input.shape, len(gradients) == len(net.parameters)
    ((5, 100, 1), (5, 100, 1), True)
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        copies: int = 1,
        normalize: bool = False,
        initialization: str = "he",
        spread: float = 3.0,
        dtype: Any = np.float32,
        seed: int = 0,
    ) -> None:
        self.sizes = [checks.integer(size, "sizes") for size in sizes]
        if len(self.sizes) < 2:
            raise ValueError(f"expected at least two sizes, inputs and outputs, got {sizes}")
        self.copies, self.normalize = checks.integer(copies, "copies"), bool(normalize)
        self.dtype = np.dtype(checks.choice(np.dtype(dtype).name, "dtype", ("float32", "float64")))
        checks.choice(initialization, "initialization", ("he", "torch"))
        rng = random_numbers(seed, "mlp")
        self.weights = [
            self._weights(rng, layer, initialization).astype(self.dtype)
            for layer in range(len(self.sizes) - 1)
        ]
        self.biases = [
            rng.uniform(-1, 1, (self.copies, 1, b)).astype(self.dtype) / self.dtype.type(np.sqrt(a))
            for a, b in zip(self.sizes, self.sizes[1:], strict=False)
        ]
        if self.sizes[0] == 1:
            spread = checks.positive(spread, "spread")
            places = rng.uniform(-spread, spread, self.biases[0].shape)
            self.biases[0] = (-self.weights[0] * places).astype(self.dtype)
        hidden = self.sizes[1:-1] if self.normalize else []
        self.scales = [np.ones((self.copies, 1, b), self.dtype) for b in hidden]
        self.offsets = [np.zeros((self.copies, 1, b), self.dtype) for b in hidden]
        self.means = [np.zeros((self.copies, 1, b), self.dtype) for b in hidden]
        self._gradients: list[Array] = []
        self.variances = [np.ones((self.copies, 1, b), self.dtype) for b in hidden]

    def _weights(self, rng: np.random.Generator, layer: int, initialization: str) -> Array:
        a, b = self.sizes[layer : layer + 2]
        shape = (self.copies, a, b)
        if initialization == "torch":
            return rng.uniform(-1, 1, shape) / np.sqrt(a)
        last = layer == len(self.sizes) - 2
        return rng.standard_normal(shape) * np.sqrt((1 if last else 2) / a)

    @property
    def parameters(self) -> list[Array]:
        """What training changes, in place."""
        return [*self.weights, *self.biases, *self.scales, *self.offsets]

    # ---- forward ---------------------------------------------------------------------------------
    def predict(self, x: Array) -> Array:
        """Evaluate, with running means where there is batch normalization.

        Not collective.

        Parameters
        ----------
        x : ndarray, shape (K, n, inputs)
            Inputs.

        Returns
        -------
        ndarray, shape (K, n, outputs)
            Outputs.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import MLP
        >>> MLP([2, 3]).predict(np.zeros((4, 10, 2), np.float32)).shape
        (4, 10, 3)
        """
        return self._run(x, training=False)[0]

    def forward(self, x: Array) -> tuple[Array, list[Tape]]:
        """Evaluate, with the means of the batch where there is batch normalization.

        Not collective.

        Parameters
        ----------
        x : ndarray, shape (K, n, inputs)
            Inputs.

        Returns
        -------
        output : ndarray, shape (K, n, outputs)
            Outputs.
        tape : list of Tape
            For `backward`.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import MLP
        >>> MLP([2, 3]).forward(np.zeros((1, 10, 2), np.float32))[0].shape
        (1, 10, 3)
        """
        return self._run(x, training=True)

    def _run(self, x: Array, training: bool) -> tuple[Array, list[Tape]]:
        x = np.asarray(x, self.dtype)
        if x.ndim != 3 or x.shape[2] != self.sizes[0] or self.copies not in (1, len(x)):
            raise ValueError(
                f"expected inputs of shape ({self.copies if self.copies > 1 else 'K'}, n, "
                f"{self.sizes[0]}), got {x.shape}"
            )
        shape = x.shape
        x = x.reshape(self.copies, -1, shape[2])
        groups = self._groups(x.shape[1])
        done = [self._run_group(x[group], group, training, shape) for group in groups]
        output = done[0][0] if len(done) == 1 else np.concatenate([part for part, _ in done])
        return output.reshape(*shape[:2], -1), [tape for _, tape in done]

    def _groups(self, n: int) -> list[slice]:
        """Networks that are worked on together: as many as leave a layer in the cache."""
        step = max(1, CACHE // max(1, n * max(self.sizes) * self.dtype.itemsize))
        return [slice(i, i + step) for i in range(0, self.copies, step)]

    def _run_group(
        self, a: Array, group: slice, training: bool, shape: tuple[int, ...]
    ) -> tuple[Array, Tape]:
        tape = Tape([], [], shape)
        last = len(self.weights) - 1
        for layer, (W, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            tape.inputs.append(a)
            # A product with one row is an outer product, which BLAS is slow at.
            a = a * W[group] if W.shape[1] == 1 else np.matmul(a, W[group])
            a += b[group]
            if layer == last:
                break
            if self.normalize:
                a = self._normalized(a, layer, group, training, tape)
            np.maximum(a, 0, out=a)
        return a, tape

    def _normalized(self, z: Array, layer: int, group: slice, training: bool, tape: Tape) -> Array:
        if training:
            mean, variance = z.mean(axis=1, keepdims=True), z.var(axis=1, keepdims=True)
            for running, new in ((self.means, mean), (self.variances, variance)):
                running[layer][group] += MOMENTUM * (new - running[layer][group])
        else:
            mean, variance = self.means[layer][group], self.variances[layer][group]
        inverse = 1 / np.sqrt(variance + self.dtype.type(EPS))
        z -= mean
        z *= inverse
        tape.normalized.append((z, inverse))
        return z * self.scales[layer][group] + self.offsets[layer][group]

    # ---- backward --------------------------------------------------------------------------------
    def backward(self, tape: list[Tape], slope: Array) -> tuple[list[Array], Array]:
        """Compute gradients from that by the outputs of a `forward`.

        Not collective.

        Parameters
        ----------
        tape : list of Tape
            Of that `forward`.
        slope : ndarray, shape (K, n, outputs)
            Gradient by the outputs.

        Returns
        -------
        gradients : list of ndarray
            By the parameters; the next call overwrites them.
        slope : ndarray, shape (K, n, inputs)
            By the inputs.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import MLP
        >>> net = MLP([2, 1])
        >>> output, tape = net.forward(np.ones((1, 10, 2), np.float32))
        >>> net.backward(tape, np.ones_like(output))[0][1]
        array([[[10.]]], dtype=float32)
        """
        shape = tape[0].shape
        slope = np.asarray(slope, self.dtype).reshape(self.copies, -1, self.sizes[-1])
        if not self._gradients:
            self._gradients = [np.empty_like(parameter) for parameter in self.parameters]
        gradients = self._gradients
        parts = [
            self._backward_group(part, slope[group], group, gradients)
            for part, group in zip(tape, self._groups(slope.shape[1]), strict=True)
        ]
        by_input = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return gradients, by_input.reshape(shape)

    def _backward_group(
        self, tape: Tape, slope: Array, group: slice, gradients: list[Array]
    ) -> Array:
        layers, hidden = len(self.weights), len(self.scales)
        for layer in range(layers - 1, -1, -1):
            if layer < layers - 1:
                slope = slope * (tape.inputs[layer + 1] > 0)
                if self.normalize:
                    z, inverse = tape.normalized[layer]
                    by_scale = (slope * z).sum(axis=1, keepdims=True)
                    by_offset = slope.sum(axis=1, keepdims=True)
                    gradients[2 * layers + layer][group] = by_scale
                    gradients[2 * layers + hidden + layer][group] = by_offset
                    slope -= (z * by_scale + by_offset) / slope.shape[1]
                    slope *= self.scales[layer][group] * inverse
            W, a = self.weights[layer][group], tape.inputs[layer]
            np.matmul(a.transpose(0, 2, 1), slope, out=gradients[layer][group])
            slope.sum(axis=1, keepdims=True, out=gradients[layers + layer][group])
            slope = np.matmul(slope, W.transpose(0, 2, 1))
        return slope
