"""The HDF5 file of a Neural Programmer, and of a training that goes on."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

import numpy as np

from pympf.io import create_hdf5, open_hdf5
from pympf.io.tree import FORMAT_VERSION, check_type
from pympf.nets._checks import Array

__all__ = ["State", "load_state", "save_state"]

PROGRAMMER_TYPE = "neural_programmer"


class State(NamedTuple):
    """All that a network is.

    Parameters
    ----------
    settings : dict
        Parameters of the constructor.
    parameters : dict of ndarray
        Weights by name.
    words : sequence of str
        The vocabulary.
    length : int
        The most words of a question.
    history : list of dict
        Epochs.
    moments : list of ndarray
        Of Adam, two for each weight; none in a network that is only saved.

    Examples
    --------
    See `NeuralProgrammer.save`.
    """

    settings: dict[str, Any]
    parameters: dict[str, Array]
    words: Any
    length: int
    history: list[dict[str, Any]]
    moments: list[Array]


def save_state(state: State, path: str | os.PathLike[str]) -> None:
    """Write a network to a file, whole or not at all."""
    with create_hdf5(path) as file:
        head = {
            "settings": state.settings,
            "length": state.length,
            "history": state.history,
            "parameters": list(state.parameters),
        }
        file.attrs["type"], file.attrs["format_version"] = (
            np.bytes_(PROGRAMMER_TYPE),
            FORMAT_VERSION,
        )
        for name, text in (("head", json.dumps(head)), ("words", "\n".join(state.words))):
            data = np.frombuffer(text.encode(), dtype=np.uint8)
            file.create_dataset(name, data=data, fletcher32=True)
        for name, weights in state.parameters.items():
            file.create_dataset(f"parameters/{name}", data=weights, fletcher32=True)
        for number, moment in enumerate(state.moments):
            file.create_dataset(f"moments/{number}", data=moment, fletcher32=True)


def load_state(path: str | os.PathLike[str]) -> State:
    """Read what `save_state` wrote; OSError if it is no whole network."""
    with open_hdf5(path, "network") as file:
        check_type(file, PROGRAMMER_TYPE)
        head = json.loads(_text(file["head"]))
        parameters = {name: _finite(file["parameters"][name]) for name in head["parameters"]}
        moments = [_finite(file["moments"][str(i)]) for i in range(len(file.get("moments", ())))]
        words = _text(file["words"]).split("\n")
        if len(words) != len(parameters["word_vectors"]):
            raise ValueError(f"{len(words)} words, {len(parameters['word_vectors'])} vectors")
        return State(head["settings"], parameters, words, head["length"], head["history"], moments)


def _text(dataset: Any) -> str:
    return bytes(dataset[()]).decode()


def _finite(dataset: Any) -> Array:
    array = np.asarray(dataset[()])
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        raise ValueError(f"{dataset.name} is not finite")
    return array
