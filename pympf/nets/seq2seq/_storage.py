"""The HDF5 file of an encoder-decoder network (docs/alignments.md)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from pympf.io import tree

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
    texts = ("\n".join(known).encode() for known in words)
    tree.save(
        path,
        NETWORK_TYPE,
        {
            **params,
            "words": {
                side: np.frombuffer(text, dtype=np.uint8)
                for side, text in zip(SIDES, texts, strict=True)
            },
            "losses": np.asarray(losses, dtype=np.float64),
            "parameters": {name: array.ravel() for name, array in arrays.items()},
        },
    )


def load_parts(path: str | os.PathLike[str], restore: Callable[[Any, Any, Any, Any], T]) -> T:
    """Read what `save_parts` wrote; OSError if it is no whole network, or `restore` refuses it."""

    def network_of(params: tree.Tree) -> T:
        texts, arrays, losses = (params.pop(key) for key in ("words", "parameters", "losses"))
        words = [_words(texts[side].tobytes()) for side in SIDES]
        return restore(params, words, losses.tolist(), arrays)

    return tree.load(path, {NETWORK_TYPE: network_of}, "network")


def _words(text: bytes) -> list[str]:
    return text.decode().split("\n") if text else []
