"""Recursive sketches of modular networks."""

from pympf.sketch.matrices import BlockList, BlockSparse, Orthonormal, encode, fit_dimension

__all__ = ["BlockList", "BlockSparse", "Orthonormal", "encode", "fit_dimension"]
