"""The HDF5 files of approximations (docs/approx.md), which all ranks hold whole."""

from __future__ import annotations

import os

from pympf.io import tree
from pympf.io.tree import load as load_tree
from pympf.la import Ranks

__all__ = ["load_tree", "save_tree"]


def save_tree(
    path: str | os.PathLike[str], type_: str, content: tree.Tree, ranks: Ranks | None = None
) -> None:
    """Write a tree, which all ranks have, to a file, whole or not at all. Collective."""
    ranks = Ranks(None) if ranks is None else ranks
    with ranks.guard():
        if ranks.rank == 0:
            tree.save(path, type_, content)
