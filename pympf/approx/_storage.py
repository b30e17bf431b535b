"""The HDF5 files of approximations (docs/approx.md): attributes and arrays of a tree of groups."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from pympf._storage import FILE_VERSION, array_of, check_type, value_of
from pympf.io import _sums, create_hdf5, open_hdf5
from pympf.la import Ranks

__all__ = ["load_tree", "save_tree"]

T = TypeVar("T")
Tree = dict[str, Any]
"""Numbers and texts, arrays of any shape, and trees."""


def save_tree(
    path: str | os.PathLike[str], type_: str, tree: Tree, ranks: Ranks | None = None
) -> None:
    """Write a tree, which all ranks have, to a file, whole or not at all. Collective."""
    ranks = Ranks(None) if ranks is None else ranks
    with ranks.guard():
        if ranks.rank == 0:
            with create_hdf5(path) as file:
                _write(file, {"type": type_, "format_version": FILE_VERSION} | tree)


def load_tree(path: str | os.PathLike[str], types: dict[str, Callable[[Tree], T]], kind: str) -> T:
    """Read a file of one of these types and make the object; OSError if it is none of them."""
    with open_hdf5(path, kind) as file:
        type_ = value_of(file.attrs.get("type", b""))
        if type_ not in types:
            raise ValueError(f"expected one of the types {', '.join(types)}, got type {type_!r}")
        check_type(file, type_)
        _sums.check(file)
        return types[type_](_read(file))


def _write(group: Any, tree: Tree) -> None:
    for name, value in tree.items():
        if isinstance(value, dict):
            _write(group.create_group(name), value)
        elif isinstance(value, np.ndarray):
            _sums.add(group, name, np.ascontiguousarray(value).reshape(-1))
            group.attrs[f"shape_{name}"] = np.array(value.shape, dtype=np.int64)
        else:
            group.attrs[name] = np.bytes_(value) if isinstance(value, str) else value


def _read(group: Any) -> Tree:
    tree: Tree = {}
    for name, item in group.items():
        if hasattr(item, "dtype"):
            shape = tuple(int(n) for n in np.atleast_1d(group.attrs[f"shape_{name}"]))
            tree[name] = array_of(item).reshape(shape)
        else:
            tree[name] = _read(item)
    for name, value in group.attrs.items():
        if not name.startswith("shape_"):
            tree[name] = value_of(value)
    return tree
