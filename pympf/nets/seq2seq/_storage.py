"""The HDF5 file of an encoder-decoder network (docs/alignments.md)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from pympf._storage import FILE_VERSION, array_of, check_type, value_of
from pympf.io import create_hdf5, open_hdf5

__all__ = ["load_parts", "save_parts"]

T = TypeVar("T")

NETWORK_TYPE = "seq2seq"
SIDES = ("source_words", "target_words")


def save_parts(
    params: Mapping[str, Any],
    words: Sequence[Sequence[str]],
    losses: Sequence[float],
    arrays: Mapping[str, Any],
    path: str | os.PathLike[str],
) -> None:
    """Write a network to a file, whole or not at all."""
    with create_hdf5(path) as file:
        head = {"type": NETWORK_TYPE, "format_version": FILE_VERSION, **params}
        for name, value in head.items():  # texts of fixed length are what checksums protect
            file.attrs[name] = np.bytes_(value) if isinstance(value, str) else value
        texts = file.create_group("words")
        for side, known in zip(SIDES, words, strict=True):
            text = np.frombuffer("\n".join(known).encode(), dtype=np.uint8)
            texts.create_dataset(side, data=text, **({"fletcher32": True} if len(text) else {}))
        file.create_dataset("losses", data=np.asarray(losses, dtype=np.float64))
        group = file.create_group("parameters")
        for name, array in arrays.items():
            group.create_dataset(name, data=array.ravel(), fletcher32=True)


def load_parts(path: str | os.PathLike[str], restore: Callable[[Any, Any, Any, Any], T]) -> T:
    """Read what `save_parts` wrote; OSError if it is no whole network, or `restore` refuses it."""
    with open_hdf5(path, "network") as file:
        check_type(file, NETWORK_TYPE)
        params = {name: value_of(value) for name, value in file.attrs.items()}
        del params["type"], params["format_version"]
        words = [_words(array_of(file["words"][side]).tobytes()) for side in SIDES]
        arrays = {name: array_of(dataset) for name, dataset in file["parameters"].items()}
        return restore(params, words, array_of(file["losses"]).tolist(), arrays)


def _words(text: bytes) -> list[str]:
    return text.decode().split("\n") if text else []
