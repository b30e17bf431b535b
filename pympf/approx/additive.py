"""A = S + K: the symmetric and the skew-symmetric part, factored each for itself."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf.approx import _gates
from pympf.approx._shared import SharedOperator, gathered
from pympf.approx._storage import save_tree
from pympf.approx.factorization import (
    SkewFactorization,
    SymmetricFactorization,
    _of_shape,
    _run,
    relative_error,
    symmetric_part,
)
from pympf.approx.report import AdditiveReport
from pympf.la import checks

__all__ = ["AdditiveFactorization", "factorize_additive"]

Array = NDArray[np.float64]


class AdditiveFactorization(SharedOperator):
    """A ≈ P₁ H₁ P₁ᵀ + P₂ H₂ P₂ᵀ with H₁ symmetric and H₂ skew; made by `factorize_additive`.

    Attributes
    ----------
    symmetric : SymmetricFactorization
    skew : SkewFactorization

    References
    ----------
    .. [1] Thesis, section 2.4.1, equations 2.14 to 2.16.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> F = pympf.factorize_additive([[1.0, 2.0], [0.0, 3.0]])
    >>> bool(np.allclose(F @ np.eye(2), [[1, 2], [0, 3]]))
    True
    """

    kind = "additive"

    def __init__(self, symmetric: SymmetricFactorization, skew: SkewFactorization) -> None:
        self.symmetric, self.skew = symmetric, skew
        super().__init__(symmetric.shape, symmetric._place)

    def _multiply(self, X: Array) -> Array:
        return self.symmetric._multiply(X) + self.skew._multiply(X)

    def _multiply_transpose(self, Y: Array) -> Array:
        return self.symmetric._multiply(Y) - self.skew._multiply(Y)

    @property
    def nbytes(self) -> int:
        """Bytes that both parts hold."""
        return self.symmetric.nbytes + self.skew.nbytes

    def report(self) -> AdditiveReport:
        """Return what the runs of both parts did, and the error of their sum.

        Not collective.

        Examples
        --------
        >>> import pympf
        >>> pympf.factorize_additive([[1.0, 2.0], [0.0, 3.0]]).report().skew.error
        0.0
        """
        return AdditiveReport(self.symmetric.report(), self.skew.report())

    def error(self, A: Any) -> float:
        """Return ‖A − F‖ / ‖A‖ in the Frobenius norm, column by column.

        Collective.

        Parameters
        ----------
        A : sparse array or matrix, or 2-D array_like, shape (n, n)

        Examples
        --------
        >>> import pympf
        >>> A = [[1.0, 2.0], [0.0, 3.0]]
        >>> pympf.factorize_additive(A).error(A) < 1e-14
        True
        """
        return relative_error(self._multiply, _of_shape(A, self))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write both parts to one HDF5 file, whole or not at all (docs/approx.md).

        Collective.

        Parameters
        ----------
        path : path-like

        Raises
        ------
        OSError
            If the file cannot be written.

        Examples
        --------
        See `RotationFactorization.save`:

        >>> import pathlib, tempfile, pympf
        >>> from pympf import approx
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "F.h5"
        >>> pympf.factorize_additive([[1.0, 2.0], [0.0, 3.0]]).save(path)
        >>> approx.load(path).shape
        (2, 2)
        """
        save_tree(path, self.kind, self._tree(), self.ranks)

    def _tree(self) -> dict[str, Any]:
        return {"symmetric": self.symmetric._tree(), "skew": self.skew._tree()}

    @classmethod
    def _from_tree(cls, tree: dict[str, Any]) -> AdditiveFactorization:
        symmetric = SymmetricFactorization._from_tree(tree["symmetric"])
        skew = SkewFactorization._from_tree(tree["skew"])
        if symmetric.shape != skew.shape:
            raise ValueError(f"parts of shapes {symmetric.shape} and {skew.shape}")
        return cls(symmetric, skew)

    def __reduce__(self) -> Any:
        self.ranks.refuse_many("pickling", "write it by F.save(path)", TypeError)
        return type(self)._from_tree, (self._tree(),)


def factorize_additive(
    A: Any,
    *,
    core_size: int | None = None,
    rotations: int | None = None,
    blocks: int | None = None,
    drop: float = 0.03,
    max_fill: float = 20.0,
    comm: Any = None,
) -> AdditiveFactorization:
    """Factor the symmetric and the skew-symmetric part of a square matrix, each for itself.

    Collective over `comm`. `factorize_direct` is better on every matrix that was tried, at less
    than half of the bytes.

    Parameters
    ----------
    A : sparse array or matrix, or 2-D array_like, shape (n, n)
    core_size : int, optional
        Rows and columns that H₁ and H₂ keep whole, each; by default 100 or n, whichever is less.
    rotations : int, optional
        Of the symmetric part; by default n.
    blocks : int, optional
        4 × 4 blocks of the skew part; by default n // 2.
    drop, max_fill, comm
        As for `factorize_direct`.

    Returns
    -------
    AdditiveFactorization

    Raises
    ------
    ValueError
        If `A` is empty, not finite or not square, or a parameter is out of range.
    TypeError
        If `A` is not a matrix of real numbers.

    References
    ----------
    .. [1] Thesis, section 2.4.1.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> F = pympf.factorize_additive(np.diag(np.ones(7), 1), core_size=2)
    >>> F.shape
    (8, 8)
    """
    whole, place = gathered(A, comm)
    place.ranks.same((core_size, rotations, blocks, drop, max_fill), "parameters")
    csr = _gates.square(whole, "an additive factorization")
    n, most = csr.shape[0], 2**31 - 1
    core = checks.integer(min(100, n) if core_size is None else core_size, "core_size", 0, n)
    count = n if rotations is None else checks.integer(rotations, "rotations", 0, most)
    pairs = n // 2 if blocks is None else checks.integer(blocks, "blocks", 0, most)
    half, transposed = csr / 2, (csr / 2).T
    S, K = (_canonical(part) for part in (half + transposed, half - transposed))
    factors, report = _run(SkewFactorization, K, pairs, core, "diagonal", 0, drop, max_fill)
    return AdditiveFactorization(
        symmetric_part(S, count, core, drop, max_fill, place),
        SkewFactorization(factors, report, place),
    )


def _canonical(A: Any) -> sp.csr_array:
    csr = sp.csr_array(A)
    csr.sort_indices()
    csr.eliminate_zeros()
    return csr
