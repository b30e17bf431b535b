"""The HDF5 file of a bounded network (docs/depth.md)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, TypeVar

import numpy as np

from pympf._storage import FILE_VERSION, array_of, check_type, value_of
from pympf.io import create_hdf5, open_hdf5

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
    texts = [_text(activation) for activation in activations]
    with create_hdf5(path) as file:
        _write(file, type=NETWORK_TYPE, format_version=FILE_VERSION, layers=len(weights))
        for number, (W, b, text) in enumerate(zip(weights, biases, texts, strict=True), 1):
            group = file.create_group(f"layer_{number}")
            _write(group, outputs=W.shape[0], inputs=W.shape[1], activation=text)
            group.create_dataset("weights", data=W.ravel(), fletcher32=True)
            group.create_dataset("bias", data=b, fletcher32=True)


def load_parts(path: str | os.PathLike[str], restore: Callable[[Any, Any, Any], T]) -> T:
    """Read what `save_parts` wrote; OSError if it is no whole network, or `restore` refuses it."""
    with open_hdf5(path, "network") as file:
        check_type(file, NETWORK_TYPE)
        weights, biases, activations = [], [], []
        for number in range(1, int(file.attrs["layers"]) + 1):
            group = file[f"layer_{number}"]
            shape = int(group.attrs["outputs"]), int(group.attrs["inputs"])
            weights.append(array_of(group["weights"]).reshape(shape))
            biases.append(array_of(group["bias"]))
            activations.append(_names(str(value_of(group.attrs["activation"]))))
        return restore(weights, biases, activations)


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


def _write(group: Any, **attributes: Any) -> None:
    """Write what checksums can protect: texts of fixed length."""
    for name, value in attributes.items():
        group.attrs[name] = np.bytes_(value) if isinstance(value, str) else value
