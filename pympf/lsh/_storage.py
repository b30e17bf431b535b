"""The HDF5 file of a hash table (docs/lsh.md)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from pympf.io import tree

__all__ = ["load_table", "save_table"]

T = TypeVar("T")

TABLE_TYPE = "lsh_table"


def save_table(state: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write the state of a `Table` to a file, whole or not at all."""
    rows, features = state["points"].shape
    head = {name: state[name] for name in ("kind", "dtype", "next_id")}
    # A seed of 64 bits has no exact float64 value: numbers are written as text.
    family = {name: repr(value) for name, value in state["family"].items()}
    arrays = {"points": state["points"].ravel(), "ids": state["ids"]}
    if state["center"] is not None:
        arrays["center"] = state["center"]
    sizes = {"rows": rows, "features": features}
    tree.save(path, TABLE_TYPE, head | sizes | arrays | {"family": family})


def load_table(path: str | os.PathLike[str], restore: Callable[[dict[str, Any]], T]) -> T:
    """Read what `save_table` wrote; OSError if it is no whole table, or `restore` refuses it."""

    def state_of(read: tree.Tree) -> T:
        state = {name: read[name] for name in ("kind", "dtype", "next_id", "ids")}
        state["center"] = read.get("center")  # only where there is one
        state["family"] = {
            name: float(text) if name in ("width", "offset") else int(text)
            for name, text in read["family"].items()
        }
        state["points"] = read["points"].reshape(int(read["rows"]), int(read["features"]))
        return restore(state)

    return tree.load(path, {TABLE_TYPE: state_of}, "hash table")
