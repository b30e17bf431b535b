"""The HDF5 files of approximations (docs/approx.md)."""

from pympf.io.tree import load as load_tree
from pympf.io.tree import save as save_tree

__all__ = ["load_tree", "save_tree"]
