"""What all layers share, and those that are no convolutions: normalization, ReLU6, mean, residual.

Images are arrays (C, N, H, W), channels first of all: a pointwise convolution is one product of
matrices, and batch normalization works on contiguous rows.

A pass keeps no more than its backward pass will need: a layer's tape is None unless the layer
itself, or one below it, learns. `BatchNorm` and `ReLU6` overwrite their input: in a network it is
what a convolution or a normalization has just computed, and nobody else holds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from pympf.nets._checks import Array

__all__ = ["BatchNorm", "Chain", "GlobalMean", "Layer", "Pass", "ReLU6", "Residual"]

EPS = 1e-3
"""Added to the variance."""

MOMENTUM = 0.1
"""Share of the newest batch in the running statistics."""


class Pass(NamedTuple):
    """What a pass through the layers is for.

    Parameters
    ----------
    groups : frozenset of str
        Groups of parameters whose gradients are wanted; none in inference.
    statistics : {"batch", "running", "frozen"}
        What `BatchNorm` divides by, and whether its running statistics follow the batch.
    momentum : float
        Share of this batch in the running statistics.
    """

    groups: frozenset[str] = frozenset()
    statistics: str = "frozen"
    momentum: float = MOMENTUM


INFERENCE = Pass()
"""Nothing learns, and nothing is kept."""


class Layer:
    """A function of images with parameters, and its derivative.

    Attributes
    ----------
    name : str
        Its place in the network and its kind, such as "03.depthwise".
    group : str
        Group of its parameters: "scale-bias", "depthwise", "pointwise" or "last"; "" for none.
    parameters, statistics : dict of ndarray
        What it learns, and what it measures, by name.
    """

    kind: ClassVar[str]
    group: ClassVar[str] = ""

    def __init__(self, *, rng: np.random.Generator | None = None, dtype: Any = np.float32) -> None:
        self.name = self.kind
        self.dtype = np.dtype(dtype)
        self.parameters: dict[str, Array] = {}
        self.statistics: dict[str, Array] = {}

    def __repr__(self) -> str:
        shapes = [f"{k} {' × '.join(map(str, v.shape))}" for k, v in self.parameters.items()]
        return f"<{type(self).__name__} {self.name}{': ' if shapes else ''}{', '.join(shapes)}>"

    def _leaves(self) -> Iterator[Layer]:
        """Give the layers that are not made of others, from the bottom."""
        yield self

    def _learns(self, run: Pass) -> bool:
        """Tell whether a pass wants gradients of this layer's parameters."""
        return self.group in run.groups

    def forward(self, x: Array, run: Pass = INFERENCE, below: bool = False) -> tuple[Array, Any]:
        """Compute the layer's output.

        Not collective.

        Parameters
        ----------
        x : ndarray, shape (C, N, H, W)
            Images; `BatchNorm` and `ReLU6` overwrite them.
        run : Pass
            What the pass is for.
        below : bool
            Whether a layer below learns, so that a backward pass will go through this one.

        Returns
        -------
        output : ndarray
            Of the layer.
        tape : object
            What `backward` needs; None when neither this layer nor one below learns.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets.patches import ReLU6
        >>> ReLU6().forward(np.array([[[[-1.0, 3.0, 7.0]]]]))[0]
        array([[[[0., 3., 6.]]]])
        """
        return self._forward(x, run, below)

    def backward(
        self, tape: Any, g: Array, run: Pass, below: bool = False
    ) -> tuple[dict[str, Array], Array | None]:
        """Compute gradients from that by the output.

        Not collective. A tape serves once.

        Parameters
        ----------
        tape : object
            From `forward`.
        g : ndarray
            Gradient by the output.
        run : Pass
            As in `forward`.
        below : bool
            As in `forward`.

        Returns
        -------
        gradients : dict of ndarray
            By the parameters, if this layer learns: "name of the layer.name of the parameter".
        by_input : ndarray or None
            None when no layer below learns.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets.patches import Pass, ReLU6
        >>> layer, run = ReLU6(), Pass(frozenset(["depthwise"]))
        >>> output, tape = layer.forward(np.array([[[[-1.0, 3.0]]]]), run, below=True)
        >>> layer.backward(tape, np.ones_like(output), run, below=True)
        ({}, array([[[[0., 1.]]]]))
        """
        return self._backward(tape, g, run, below)

    def _forward(self, x: Array, run: Pass, below: bool) -> tuple[Array, Any]:
        raise NotImplementedError

    def _backward(
        self, tape: Any, g: Array, run: Pass, below: bool
    ) -> tuple[dict[str, Array], Array | None]:
        raise NotImplementedError

    def _named(self, **gradients: Array) -> dict[str, Array]:
        return {f"{self.name}.{key}": value for key, value in gradients.items()}


class BatchNorm(Layer):
    """Batch normalization: γ (x - μ)/σ + β for each channel, σ = √(variance + eps).

    Parameters
    ----------
    channels : int
        Number of channels.

    Notes
    -----
    Statistics "batch": μ and σ are those of the batch, and the running ones follow; "running": the
    running ones follow the batch, and serve as constants; "frozen": they serve and do not change.
    """

    kind = "norm"
    group = "scale-bias"

    def __init__(
        self, channels: int, *, rng: np.random.Generator | None = None, dtype: Any = np.float32
    ) -> None:
        super().__init__(rng=rng, dtype=dtype)
        one, zero = (np.full(channels, value, self.dtype) for value in (1, 0))
        self.parameters = {"scale": one, "bias": zero}
        self.statistics = {"mean": zero.copy(), "variance": one.copy()}

    def _forward(self, x: Array, run: Pass, below: bool) -> tuple[Array, Any]:
        rows = x.reshape(len(x), -1)
        mean, variance = self.statistics["mean"], self.statistics["variance"]
        if run.statistics != "frozen":
            found = rows @ np.ones_like(rows[0]) / self.dtype.type(rows.shape[1])
            rows -= found[:, None]  # squares of what is left do not cancel
            spread = _dots(rows, rows) / self.dtype.type(rows.shape[1])
            self._follow(found, spread, run.momentum)
            if run.statistics == "batch":
                mean, variance = found, spread
            mean = mean - found
        inverse = 1 / np.sqrt(variance + self.dtype.type(EPS))
        slope = self.parameters["scale"] * inverse
        learns = self._learns(run)
        keep = learns or (below and run.statistics == "batch")
        y = np.multiply(rows, slope[:, None], out=None if keep else rows)
        y += (self.parameters["bias"] - mean * slope)[:, None]
        tape = (rows if keep else None, mean, inverse) if learns or below else None
        return y.reshape(x.shape), tape

    def _backward(
        self, tape: Any, g: Array, run: Pass, below: bool
    ) -> tuple[dict[str, Array], Array | None]:
        x, mean, inverse = tape
        rows, gradients = g.reshape(len(g), -1), {}
        slope = self.parameters["scale"] * inverse
        if x is not None:
            total = rows @ np.ones_like(rows[0])
            scale = (_dots(rows, x) - mean * total) * inverse
            if self._learns(run):
                gradients = self._named(scale=scale, bias=total)
        if not below:
            return gradients, None
        d = rows * slope[:, None]
        if run.statistics == "batch":  # μ and σ are functions of x, too
            m = self.dtype.type(rows.shape[1])
            x *= (-slope * inverse * scale / m)[:, None]
            d += x
            d -= (slope * total / m)[:, None]
        return gradients, d.reshape(g.shape)

    def merged_into(self, parameters: dict[str, Array]) -> dict[str, Array]:
        """Give the weights and the bias of the convolution before, with this one folded in.

        Not collective.

        Parameters
        ----------
        parameters : dict of ndarray
            "weights", the outputs along the first axis, and perhaps "bias".

        Returns
        -------
        dict of ndarray
            γ/σ W and β + γ/σ (b - μ).

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets.patches import BatchNorm
        >>> norm = BatchNorm(1, dtype=np.float64)
        >>> norm.parameters["bias"][0] = 3
        >>> norm.merged_into({"weights": np.array([[2.0]])})["bias"]
        array([3.])
        """
        mean, variance = (self.statistics[key].astype(np.float64) for key in ("mean", "variance"))
        slope = self.parameters["scale"] / np.sqrt(variance + EPS)
        bias = self.parameters["bias"] + slope * (parameters.get("bias", 0.0) - mean)
        weights = parameters["weights"] * slope.reshape(-1, *[1] * (parameters["weights"].ndim - 1))
        return {"weights": weights.astype(self.dtype), "bias": bias.astype(self.dtype)}

    def _follow(self, mean: Array, variance: Array, share: float) -> None:
        for key, value in (("mean", mean), ("variance", variance)):
            self.statistics[key] += self.dtype.type(share) * (value - self.statistics[key])


def _dots(a: Array, b: Array) -> Array:
    """Give the inner products of the rows of a with those of b."""
    return np.matmul(a[:, None, :], b[:, :, None])[:, 0, 0]


class ReLU6(Layer):
    """max(0, min(x, 6))."""

    kind = "relu6"

    def _forward(self, x: Array, run: Pass, below: bool) -> tuple[Array, Any]:
        y = np.clip(x, 0, 6, out=x)
        return y, y if below else None

    def _backward(
        self, tape: Any, g: Array, run: Pass, below: bool
    ) -> tuple[dict[str, Array], Array | None]:
        return {}, g * ((tape > 0) & (tape < 6)) if below else None


class GlobalMean(Layer):
    """Mean over the image: (C, N, H, W) -> (N, C)."""

    kind = "mean"

    def _forward(self, x: Array, run: Pass, below: bool) -> tuple[Array, Any]:
        y = np.ascontiguousarray(x.reshape(*x.shape[:2], -1).mean(axis=2).T)
        return y, x.shape if below else None

    def _backward(
        self, tape: Any, g: Array, run: Pass, below: bool
    ) -> tuple[dict[str, Array], Array | None]:
        if not below:
            return {}, None
        share = g.T / self.dtype.type(tape[2] * tape[3])
        return {}, np.broadcast_to(share[:, :, None, None], tape)


class Chain(Layer):
    """Layers one after the other.

    Parameters
    ----------
    layers : sequence of Layer
        From the bottom.
    """

    kind = "chain"

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__(dtype=layers[0].dtype)
        self.layers = list(layers)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.layers)} layers>"

    def _leaves(self) -> Iterator[Layer]:
        for layer in self.layers:
            yield from layer._leaves()

    def _learns(self, run: Pass) -> bool:
        return any(layer._learns(run) for layer in self.layers)

    def _forward(self, x: Array, run: Pass, below: bool) -> tuple[Array, Any]:
        tapes = []
        for layer in self.layers:
            x, tape = layer.forward(x, run, below)
            tapes.append((below, tape))
            below |= layer._learns(run)
        return x, tapes

    def _backward(
        self, tape: Any, g: Array, run: Pass, below: bool
    ) -> tuple[dict[str, Array], Array | None]:
        gradients: dict[str, Array] = {}
        by_input: Array | None = g
        for layer, (deeper, kept) in zip(self.layers[::-1], tape[::-1], strict=True):
            if by_input is None or not (deeper or layer._learns(run)):
                return gradients, None
            own, by_input = layer.backward(kept, by_input, run, deeper)
            gradients |= own
        return gradients, by_input


class Residual(Chain):
    """x + f(x), f a chain of layers.

    Parameters
    ----------
    layers : sequence of Layer
        f, from the bottom; the last one returns an array that it does not keep.
    """

    kind = "residual"

    def _forward(self, x: Array, run: Pass, below: bool) -> tuple[Array, Any]:
        y, tape = super()._forward(x, run, below)
        y += x
        return y, tape

    def _backward(
        self, tape: Any, g: Array, run: Pass, below: bool
    ) -> tuple[dict[str, Array], Array | None]:
        gradients, by_input = super()._backward(tape, g, run, below)
        if by_input is not None:
            by_input += g
        return gradients, by_input
