"""The layers of a network: the gate through which they come, their outputs and gradients."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from pympf.la import checks
from pympf.nets._checks import Array, as_outputs, as_points
from pympf.nets.depth import activations as sigma
from pympf.nets.modular.mlp import EPS, MLP
from pympf.nets.sparse_model import DSM

BoundedLayer: TypeAlias = tuple[Array, Array, sigma.Activation]
"""W, b and σ of x -> σ(Wx + b)."""


def checked_layers(
    weights: Sequence[ArrayLike],
    biases: Sequence[ArrayLike] | None,
    activations: sigma.Activation | Sequence[sigma.Activation],
) -> tuple[list[Array], list[Array], list[sigma.Activation]]:
    """Check what makes a network: copies of one dtype, a bias and an activation for each layer."""
    matrices = [_as_matrix(W).copy() for W in weights]
    if not matrices:
        raise ValueError("expected at least one layer, got no weights")
    depth, single = len(matrices), all(W.dtype == np.float32 for W in matrices)
    dtype = np.dtype(np.float32 if single else np.float64)
    matrices = [W.astype(dtype, copy=False) for W in matrices]
    for below, above in pairwise(matrices):
        if above.shape[1] != len(below):
            raise ValueError(f"expected a layer of {len(below)} inputs, got {above.shape[1]}")
    if biases is None:
        biases = [np.zeros(len(W)) for W in matrices]
    if len(biases) != depth:
        raise ValueError(f"expected a bias for each of {depth} layers, got {len(biases)}")
    if isinstance(activations, str) or callable(activations):
        activations = [activations] * depth
    if len(activations) != depth:
        raise ValueError(
            f"expected an activation for each of {depth} layers, got {len(activations)}"
        )
    units = [len(W) for W in matrices]
    vectors = [_as_bias(b, k, dtype) for b, k in zip(biases, units, strict=True)]
    return matrices, vectors, [sigma.checked(a, k) for a, k in zip(activations, units, strict=True)]


def _as_matrix(W: ArrayLike) -> Array:
    if np.ndim(W) != 2:
        raise ValueError(f"expected weights of shape (outputs, inputs), got {np.shape(W)}")
    return as_points(W)


def _as_bias(b: ArrayLike, units: int, dtype: Any) -> Array:
    b = as_outputs(b, units, 1)[:, 0]
    return b.astype(dtype)


def random_layers(
    sizes: Sequence[int], norm: float | None, dtype: np.dtype[Any], rng: np.random.Generator
) -> tuple[list[Array], list[Array]]:
    """He's normal weights, scaled to a norm where there is one, and small uniform biases."""
    if len(sizes) < 2:
        raise ValueError(f"expected sizes of inputs and outputs, got {list(sizes)}")
    sizes = [checks.integer(size, "size") for size in sizes]
    weights, biases = [], []
    for layer, (inputs, outputs) in enumerate(pairwise(sizes), 2):
        gain = 1 if layer == len(sizes) else 2  # the last layer has no ReLU behind it
        W = rng.standard_normal((outputs, inputs)) * np.sqrt(gain / inputs)
        if norm is not None:
            W *= checks.positive(norm, "norm") / np.linalg.norm(W)
        weights.append(W.astype(dtype))
        biases.append((rng.uniform(-1, 1, outputs) / np.sqrt(inputs)).astype(dtype))
    return weights, biases


def outputs_of_layers(layers: Sequence[BoundedLayer], X: Array) -> list[Array]:
    """The points and the outputs of every layer."""
    outputs = [X]
    for W, b, activation in layers:
        outputs.append(sigma.evaluate(activation, outputs[-1] @ W.T + b))
    return outputs


def loss_and_gradients(
    layers: Sequence[BoundedLayer], X: Array, Y: Array
) -> tuple[float, list[Array]]:
    """The mean of ‖f(x) - y‖² and its gradients by W_1, b_1, W_2, …, by back-propagation."""
    inputs, slopes = [X], []
    for W, b, activation in layers:
        Z = inputs[-1] @ W.T + b
        slopes.append(sigma.slope(activation, Z))
        inputs.append(sigma.evaluate(activation, Z))
    outputs = inputs.pop()
    residual = outputs - Y
    delta = residual * X.dtype.type(2 / len(residual))
    gradients: list[Array] = []
    for (W, _, _), below, slope in zip(
        reversed(layers), reversed(inputs), reversed(slopes), strict=True
    ):
        delta = delta * slope
        gradients = [delta.T @ below, delta.sum(axis=0), *gradients]
        delta = delta @ W if below is not inputs[0] else delta
    return float(np.square(residual).sum()) / len(residual), gradients


def of_dsm(model: DSM) -> tuple[list[Array], list[Array], list[str]]:
    """The layers of a dense model, and its last weights as one more."""
    if any(layer.routing is not None for layer in model.layers):
        raise ValueError("expected a dense model, got one whose inputs activate some units only")
    weights = [layer.projection for layer in model.layers] + [model.weights[None, :]]
    biases = [layer.offset for layer in model.layers] + [np.array([model.intercept])]
    return weights, biases, [layer.activation for layer in model.layers] + ["identity"]


def of_mlp(net: MLP) -> tuple[list[Array], list[Array], list[str]]:
    """Fold normalization into the layer before it: γ (z - μ)/√(σ² + eps) + β."""
    if net.copies != 1:
        raise ValueError(f"expected one network, got an MLP of {net.copies} copies")
    weights, biases = [W[0].T for W in net.weights], [b[0, 0] for b in net.biases]
    for layer, gain in enumerate(net.scales):
        factor = gain[0, 0] / np.sqrt(net.variances[layer][0, 0] + EPS)
        weights[layer] = weights[layer] * factor[:, None]
        biases[layer] = (biases[layer] - net.means[layer][0, 0]) * factor + net.offsets[layer][0, 0]
    return weights, biases, ["relu"] * (len(weights) - 1) + ["identity"]
