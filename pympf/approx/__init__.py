"""Approximations of nonsymmetric and rectangular matrices: by rotations, low rank, wavelets.

>>> import numpy as np, pympf
>>> distance = np.subtract.outer(np.arange(64), np.arange(64))
>>> A = np.where(distance >= 0, np.exp(-abs(distance)), 0)
>>> F = pympf.factorize_direct(A, core_size=0, rotations=64)
>>> F.shape, F.error(A) < 0.3
((64, 64), True)
"""

from __future__ import annotations

import os
from typing import Any

from pympf.approx._storage import load_tree
from pympf.approx.additive import AdditiveFactorization, factorize_additive
from pympf.approx.compression import Compressed, Trial, compress, compression_curve
from pympf.approx.factorization import (
    DirectFactorization,
    RotationFactorization,
    SkewFactorization,
    SymmetricFactorization,
)
from pympf.approx.factorize import factorize_direct, factorize_skew
from pympf.approx.lowrank import Cur, LowRank, cur, nystrom, singular_value_decay, svd
from pympf.approx.report import AdditiveReport, RotationReport
from pympf.approx.spai import InverseReport, SparseInverse, iwspai, wspai
from pympf.approx.wavelet import Wavelets, drop_to_power, wavelets

__all__ = [
    "AdditiveFactorization",
    "AdditiveReport",
    "Compressed",
    "Cur",
    "DirectFactorization",
    "InverseReport",
    "LowRank",
    "RotationFactorization",
    "RotationReport",
    "SkewFactorization",
    "SparseInverse",
    "SymmetricFactorization",
    "Trial",
    "Wavelets",
    "compress",
    "compression_curve",
    "cur",
    "drop_to_power",
    "factorize_additive",
    "factorize_direct",
    "factorize_skew",
    "iwspai",
    "load",
    "nystrom",
    "singular_value_decay",
    "svd",
    "wavelets",
    "wspai",
]

_TYPES: dict[str, Any] = {
    cls.kind: cls._from_tree
    for cls in (
        DirectFactorization,
        SymmetricFactorization,
        SkewFactorization,
        AdditiveFactorization,
        Compressed,
        Wavelets,
    )
}
_TYPES |= dict.fromkeys(("wspai", "iwspai"), SparseInverse._from_tree)


def load(path: str | os.PathLike[str]) -> Any:
    """Read what ``save`` of an approximation here wrote.

    Not collective.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    DirectFactorization, SkewFactorization, AdditiveFactorization, Compressed, Wavelets or \
    SparseInverse

    Raises
    ------
    OSError
        If the file cannot be read, is truncated or damaged, or is none of these.

    Examples
    --------
    >>> import pathlib, tempfile, pympf
    >>> from pympf import approx
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "F.h5"
    >>> pympf.factorize_skew([[0.0, 1.0], [-1.0, 0.0]]).save(path)
    >>> approx.load(path).eigenvalues().imag.tolist()
    [-1.0, 1.0]
    """
    return load_tree(path, _TYPES, "factorization")
