"""The HDF5 file of a hash table (docs/lsh.md)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from pympf._storage import FILE_VERSION, array_of, check_type, value_of
from pympf.io import _sums, create_hdf5, open_hdf5

__all__ = ["load_table", "save_table"]

T = TypeVar("T")

TABLE_TYPE = "lsh_table"


def save_table(state: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write the state of a `Table` to a file, whole or not at all."""
    rows, features = state["points"].shape
    attributes = {"type": TABLE_TYPE, "format_version": FILE_VERSION}
    attributes |= {name: state[name] for name in ("kind", "dtype", "next_id")}
    # A seed of 64 bits has no exact float64 value: numbers are written as text.
    family = {name: repr(value) for name, value in state["family"].items()}
    with create_hdf5(path) as file:
        _write(file, {**attributes, "rows": rows, "features": features})
        _write(file.create_group("family"), family)
        for name, array in (("points", state["points"].ravel()), ("ids", state["ids"])):
            _sums.add(file, name, array)


def load_table(path: str | os.PathLike[str], restore: Callable[[dict[str, Any]], T]) -> T:
    """Read what `save_table` wrote; OSError if it is no whole table, or `restore` refuses it."""
    with open_hdf5(path, "hash table") as file:
        check_type(file, TABLE_TYPE)
        _sums.check(file)
        state = {name: value_of(file.attrs[name]) for name in ("kind", "dtype", "next_id")}
        state["family"] = {
            name: float(value_of(text)) if name in ("width", "offset") else int(value_of(text))
            for name, text in file["family"].attrs.items()
        }
        rows, features = int(file.attrs["rows"]), int(file.attrs["features"])
        state["points"] = array_of(file["points"]).reshape(rows, features)
        state["ids"] = array_of(file["ids"])
        return restore(state)


def _write(group: Any, attributes: dict[str, Any]) -> None:
    """Write what checksums can protect: texts of fixed length."""
    for name, value in attributes.items():
        group.attrs[name] = np.bytes_(value) if isinstance(value, str) else value
