"""The HDF5 file of a bounded network (docs/depth.md)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, TypeVar

from pympf.io import tree

__all__ = ["load_parts", "save_parts"]

T = TypeVar("T")

NETWORK_TYPE = "bounded_network"


def save_parts(
    weights: Sequence[Any],
    biases: Sequence[Any],
    activations: Sequence[Any],
    path: str | os.PathLike[str],
) -> None:
    """Write the layers of a network to a file, whole or not at all."""
    layers = {
        f"layer_{number}": {
            "outputs": W.shape[0],
            "inputs": W.shape[1],
            "activation": _text(activation),
            "weights": W.ravel(),
            "bias": b,
        }
        for number, (W, b, activation) in enumerate(
            zip(weights, biases, activations, strict=True), 1
        )
    }
    tree.save(path, NETWORK_TYPE, {"layers": len(weights), **layers})


def load_parts(path: str | os.PathLike[str], restore: Callable[[Any, Any, Any], T]) -> T:
    """Read what `save_parts` wrote; OSError if it is no whole network, or `restore` refuses it."""

    def network_of(read: tree.Tree) -> T:
        layers = [read[f"layer_{number}"] for number in range(1, int(read["layers"]) + 1)]
        shapes = [(int(layer["outputs"]), int(layer["inputs"])) for layer in layers]
        return restore(
            [layer["weights"].reshape(shape) for layer, shape in zip(layers, shapes, strict=True)],
            [layer["bias"] for layer in layers],
            [_names(str(layer["activation"])) for layer in layers],
        )

    return tree.load(path, {NETWORK_TYPE: network_of}, "network")


def _text(activation: Any) -> str:
    """Write an activation as "relu", or as runs of equal ones: "relu*32 identity*4"."""
    if isinstance(activation, str):
        return activation
    if not isinstance(activation, tuple):
        raise ValueError("expected activations with names in a saved network, got a function")
    return " ".join(f"{name}*{len(list(run))}" for name, run in groupby(activation))


def _names(text: str) -> Any:
    if "*" not in text:
        return text
    runs = [run.split("*") for run in text.split(" ")]
    return tuple(name for name, count in runs for _ in range(int(count)))
