"""Convolutions of images (C, N, H, W) as products of matrices, forward and backward.

A pointwise convolution is one product. A 3 × 3 convolution gathers the nine neighbours of each
pixel (im2col) first. A depthwise one is a product for each channel with the banded Toeplitz matrix
of its filter: the matrix of the whole image up to 8 × 8 pixels, that of three stacked rows above.
All have one pixel of zeros around the image, and ⌈H/stride⌉ × ⌈W/stride⌉ outputs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from pympf.nets._checks import Array
from pympf.nets.patches.layers import Layer, Pass

__all__ = ["Convolution", "Depthwise", "Linear", "Pointwise"]

WHOLE = 64
"""Images of so many pixels have one Toeplitz matrix, larger ones one for three rows."""


class _Weighted(Layer):
    """A layer with weights, and a bias if it has taken over that of a normalization."""

    def __init__(
        self,
        shape: tuple[int, ...],
        variance: float,
        rng: np.random.Generator | None,
        dtype: Any,
        bias: bool,
    ) -> None:
        super().__init__(rng=rng, dtype=dtype)
        rng = np.random.default_rng(0) if rng is None else rng
        weights = rng.standard_normal(shape) * np.sqrt(variance)
        self.parameters = {"weights": weights.astype(self.dtype)}
        if bias:
            self.parameters["bias"] = np.zeros(shape[0], self.dtype)

    def _biased(self, y: Array) -> Array:
        if "bias" in self.parameters:
            y += self.parameters["bias"].reshape(-1, *[1] * (y.ndim - 1))
        return y

    def _gradients(self, weights: Array, g: Array) -> dict[str, Array]:
        gradients = {"weights": weights}
        if "bias" in self.parameters:
            gradients["bias"] = g.reshape(len(g), -1).sum(axis=1)
        return self._named(**gradients)


class Pointwise(_Weighted):
    """A convolution of 1 × 1 pixel: channels are mixed.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    bias : bool
        Whether it has a bias; not where batch normalization follows.
    """

    kind = "pointwise"
    group = "pointwise"

    def __init__(
        self,
        inputs: int,
        outputs: int,
        bias: bool = False,
        *,
        rng: np.random.Generator | None = None,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__((outputs, inputs), 2 / inputs, rng, dtype, bias)

    def _forward(self, x: Array, run: Pass, below: bool) -> tuple[Array, Any]:
        rows = x.reshape(len(x), -1)
        y = (self.parameters["weights"] @ rows).reshape(-1, *x.shape[1:])
        return self._biased(y), rows if self._learns(run) else None

    def _backward(
        self, tape: Any, g: Array, run: Pass, below: bool
    ) -> tuple[dict[str, Array], Array | None]:
        rows = g.reshape(len(g), -1)
        gradients = self._gradients(rows @ tape.T, rows) if self._learns(run) else {}
        if not below:
            return gradients, None
        return gradients, (self.parameters["weights"].T @ rows).reshape(-1, *g.shape[1:])


class Convolution(_Weighted):
    """A convolution of 3 × 3 pixels, with the neighbours of each pixel as columns (im2col).

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    stride : int
        Pixels from one output to the next.
    bias : bool
        Whether it has a bias; not where batch normalization follows.
    """

    kind = "convolution"
    group = "pointwise"

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int = 1,
        bias: bool = False,
        *,
        rng: np.random.Generator | None = None,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__((outputs, inputs, 3, 3), 2 / (9 * inputs), rng, dtype, bias)
        self.stride = stride

    def _forward(self, x: Array, run: Pass, below: bool) -> tuple[Array, Any]:
        columns, out = self._columns(x), [-(-side // self.stride) for side in x.shape[2:]]
        weights = self.parameters["weights"].reshape(-1, len(columns))
        y = (weights @ columns).reshape(-1, x.shape[1], *out)
        keep = columns if self._learns(run) else None
        return self._biased(y), (x.shape, keep) if self._learns(run) or below else None

    def _backward(
        self, tape: Any, g: Array, run: Pass, below: bool
    ) -> tuple[dict[str, Array], Array | None]:
        shape, columns = tape
        rows, weights = g.reshape(len(g), -1), self.parameters["weights"]
        gradients = {}
        if self._learns(run):
            gradients = self._gradients((rows @ columns.T).reshape(weights.shape), rows)
        if not below:
            return gradients, None
        by_columns = (weights.reshape(len(g), -1).T @ rows).reshape(-1, 3, 3, *g.shape[1:])
        padded = np.zeros((*shape[:2], shape[2] + 2, shape[3] + 2), self.dtype)
        for a, b, window in self._windows(padded, g.shape):
            window += by_columns[:, a, b]
        return gradients, padded[:, :, 1:-1, 1:-1]

    def _columns(self, x: Array) -> Array:
        """Gather the nine neighbours: (9 C, N H' W')."""
        channels, n, height, width = x.shape
        out = [-(-side // self.stride) for side in (height, width)]
        padded = np.zeros((channels, n, height + 2, width + 2), self.dtype)
        padded[:, :, 1:-1, 1:-1] = x
        columns = np.empty((channels, 3, 3, n, *out), self.dtype)
        for a, b, window in self._windows(padded, (0, 0, *out)):
            columns[:, a, b] = window
        return columns.reshape(9 * channels, -1)

    def _windows(self, padded: Array, shape: tuple[int, ...]) -> Any:
        """Give, for each of the nine taps, the pixels that it meets."""
        s, (height, width) = self.stride, shape[2:]
        for a in range(3):
            for b in range(3):
                rows = slice(a, a + s * (height - 1) + 1, s)
                yield a, b, padded[:, :, rows, b : b + s * (width - 1) + 1 : s]


@lru_cache(maxsize=64)
def _toeplitz(
    inputs: tuple[int, int], outputs: tuple[int, int], stride: int, top: int, dtype: Any
) -> Array:
    """Give E (9, H W · H' W') with T = Σ_t w_t E_t, the matrix of a filter w with 3 × 3 taps t.

    Tap (a, b) of output (i, j) meets input (i·stride - top + a, j·stride - 1 + b).
    """
    h, q, i, j = np.ogrid[: inputs[0], : inputs[1], : outputs[0], : outputs[1]]
    a, b = h - i * stride + top, q - j * stride + 1
    inside = (a >= 0) & (a < 3) & (b >= 0) & (b < 3)
    tap = np.where(inside, 3 * a + b, 9).reshape(-1)
    matrix = (tap == np.arange(9)[:, None]).astype(dtype)
    matrix.setflags(write=False)
    return matrix


class Depthwise(_Weighted):
    """A convolution of 3 × 3 pixels of each channel by itself.

    Parameters
    ----------
    channels : int
        Number of channels.
    stride : int
        Pixels from one output to the next.
    bias : bool
        Whether it has a bias; not where batch normalization follows.
    """

    kind = "depthwise"
    group = "depthwise"

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        bias: bool = False,
        *,
        rng: np.random.Generator | None = None,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__((channels, 3, 3), 2 / 9, rng, dtype, bias)
        self.stride = stride

    def _forward(self, x: Array, run: Pass, below: bool) -> tuple[Array, Any]:
        channels, n, *sides = x.shape
        out = [-(-side // self.stride) for side in sides]
        basis = self._basis(tuple(sides), tuple(out))
        weights = self.parameters["weights"].reshape(channels, 9)
        matrix = (weights @ basis).reshape(channels, -1, self._outputs(sides, out))
        stacked = self._stacked(x, out)
        y = np.matmul(stacked, matrix).reshape(channels, n, *out)
        keep = stacked if self._learns(run) else None
        tape = (x.shape, keep, matrix) if self._learns(run) or below else None
        return self._biased(y), tape

    def _backward(
        self, tape: Any, g: Array, run: Pass, below: bool
    ) -> tuple[dict[str, Array], Array | None]:
        shape, stacked, matrix = tape
        rows, gradients = g.reshape(len(g), -1, matrix.shape[2]), {}
        if self._learns(run):
            product = np.matmul(stacked.transpose(0, 2, 1), rows).reshape(len(g), -1)
            weights = product @ self._basis(shape[2:], g.shape[2:]).T
            gradients = self._gradients(weights.reshape(-1, 3, 3), g)
        if not below:
            return gradients, None
        return gradients, self._unstacked(np.matmul(rows, matrix.transpose(0, 2, 1)), shape)

    def _outputs(self, sides: Any, out: Any) -> int:
        """Give the columns of the Toeplitz matrix."""
        return out[0] * out[1] if sides[0] * sides[1] <= WHOLE else out[1]

    def _basis(self, sides: tuple[int, int], out: tuple[int, int]) -> Array:
        if sides[0] * sides[1] <= WHOLE:
            return _toeplitz(sides, out, self.stride, 1, self.dtype)
        return _toeplitz((3, sides[1]), (1, out[1]), self.stride, 0, self.dtype)

    def _stacked(self, x: Array, out: Any) -> Array:
        """Give the images, or the three rows that each row of the output meets: (C, N H', 3 W)."""
        channels, n, height, width = x.shape
        if height * width <= WHOLE:
            return x.reshape(channels, n, -1)
        stacked = np.zeros((channels, n, out[0], 3, width), self.dtype)
        for a, rows, met in self._rows(height, out[0]):
            stacked[:, :, rows, a] = x[:, :, met]
        return stacked.reshape(channels, n * out[0], 3 * width)

    def _unstacked(self, d: Array, shape: tuple[int, ...]) -> Array:
        """Add up what the rows of the output gave back."""
        channels, n, height, width = shape
        if height * width <= WHOLE:
            return d.reshape(shape)
        out = -(-height // self.stride)
        d = d.reshape(channels, n, out, 3, width)
        total = np.zeros(shape, self.dtype)
        for a, rows, met in self._rows(height, out):
            total[:, :, met] += d[:, :, rows, a]
        return total

    def _rows(self, height: int, out: int) -> Any:
        """Give, for each row a of the filter, the rows of the output and the rows they meet."""
        s = self.stride
        for a in range(3):
            first, last = int(a == 0), min(out, (height - a) // s + 1)
            yield a, slice(first, last), slice(first * s - 1 + a, max(0, last * s - s + a), s)


class Linear(_Weighted):
    """The last layer: (N, features) -> (N, classes).

    Parameters
    ----------
    inputs, outputs : int
        Features and classes.
    """

    kind = "linear"
    group = "last"

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        rng: np.random.Generator | None = None,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__((outputs, inputs), 1 / inputs, rng, dtype, True)

    def _forward(self, x: Array, run: Pass, below: bool) -> tuple[Array, Any]:
        y = x @ self.parameters["weights"].T + self.parameters["bias"]
        return y, x if self._learns(run) else None

    def _backward(
        self, tape: Any, g: Array, run: Pass, below: bool
    ) -> tuple[dict[str, Array], Array | None]:
        gradients = {}
        if self._learns(run):
            gradients = self._named(weights=g.T @ tape, bias=g.sum(axis=0))
        return gradients, g @ self.parameters["weights"] if below else None
