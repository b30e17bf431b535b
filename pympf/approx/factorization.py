"""Factorizations of nonsymmetric matrices by rotations: A ≈ P H Qᵀ."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import SuperLU, splu

from pympf._engine import approx as _engine
from pympf.approx._shared import Place, SharedOperator, exponent, frobenius, gathered
from pympf.approx._storage import save_tree
from pympf.approx.report import RotationReport
from pympf.la import checks

__all__ = [
    "DirectFactorization",
    "RotationFactorization",
    "SkewFactorization",
    "SymmetricFactorization",
]

Array = NDArray[np.float64]
ARRAYS = ("row", "column", "pairs", "tangents", "parts", "stages", "core_rows", "core_columns")


class RotationFactorization(SharedOperator):
    """A ≈ P H Qᵀ with orthogonal P and Q, products of rotations, and a sparse H.

    Immutable. It multiplies vectors and blocks of them (``F @ x``, ``F.T @ y``) in float64, by four
    multiply-adds for each rotation and side, and one for each entry of H.

    Attributes
    ----------
    coefficients : scipy.sparse.csr_array, shape (m, n)
        H: a core of `core_rows` and `core_columns`, and few entries besides.
    core_rows, core_columns : numpy.ndarray of int32, ascending
    """

    kind = ""
    _factors_of: Any = None

    def __init__(self, factors: Any, report: dict[str, Any], place: Place | None = None) -> None:
        state = factors.state()
        indptr, indices, data, rows, columns = state["H"]
        self.coefficients = sp.csr_array((data, indices, indptr), shape=(rows, columns))
        self.core_rows: NDArray[np.int32] = state["core_rows"]
        self.core_columns: NDArray[np.int32] = state["core_columns"]
        self._factors, self._report = factors, report
        self._lu: SuperLU | None = None
        super().__init__(self.coefficients.shape, place)

    def _multiply(self, X: Array) -> Array:
        return self._factors.multiply(X, False)

    def _multiply_transpose(self, Y: Array) -> Array:
        return self._factors.multiply(Y, True)

    # ---- what it is ------------------------------------------------------------------------------
    @property
    def core_size(self) -> int:
        """Rows and columns of the core."""
        return len(self.core_rows)

    @property
    def rotations(self) -> int:
        """Rotations of rows and columns."""
        return int(self._report["rotations"])

    @property
    def nbytes(self) -> int:
        """Bytes that the factorization holds."""
        return int(self._factors.bytes)

    def report(self) -> RotationReport:
        """Return what the run of rotations did.

        Not collective.

        Examples
        --------
        >>> import pympf
        >>> pympf.factorize_direct([[1.0, 2.0], [0.0, 3.0]], core_size=0).report().stop
        'no_gain'
        """
        return RotationReport(**self._report)

    def blocks(self) -> tuple[tuple[sp.csr_array, sp.csr_array], tuple[sp.csr_array, sp.csr_array]]:
        """Return H with the core first: ((core, right of it), (below, the rest)).

        Not collective. The other rows and columns follow in ascending order.

        Examples
        --------
        >>> import pympf
        >>> F = pympf.factorize_direct([[1.0, 2.0], [0.0, 3.0]], core_size=1)
        >>> (core, _), _ = F.blocks()
        >>> core.shape
        (1, 1)
        """
        others = [
            np.setdiff1d(np.arange(size, dtype=np.int32), members)
            for size, members in zip(self.shape, (self.core_rows, self.core_columns), strict=True)
        ]
        top, bottom = self.coefficients[self.core_rows], self.coefficients[others[0]]
        return (
            (top[:, self.core_columns], top[:, others[1]]),
            (bottom[:, self.core_columns], bottom[:, others[1]]),
        )

    def __repr__(self) -> str:
        m, n = self.shape
        return (
            f"<{type(self).__name__} {m} x {n}, {self.rotations} rotations, "
            f"core {self.core_size}, {self.coefficients.nnz} entries>"
        )

    # ---- wavelets --------------------------------------------------------------------------------
    def row_wavelets(self) -> sp.csr_array:
        """Return Pᵀ: its rows are the basis in which H has its rows.

        Not collective.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> F = pympf.factorize_direct([[1.0, 2.0], [0.0, 3.0]])
        >>> P = F.row_wavelets().T
        >>> (P @ F.coefficients @ F.column_wavelets()).toarray().round(12).tolist()
        [[1.0, 2.0], [0.0, 3.0]]
        """
        return self._wavelets(True)

    def column_wavelets(self) -> sp.csr_array:
        """Return Qᵀ: its rows are the basis in which H has its columns.

        Not collective.

        Examples
        --------
        See `row_wavelets`:

        >>> import pympf
        >>> pympf.factorize_direct([[1.0, 2.0, 3.0]]).column_wavelets().shape
        (3, 3)
        """
        return self._wavelets(False)

    def _wavelets(self, rows: bool) -> sp.csr_array:
        indptr, indices, data, m, n = self._factors.wavelets(rows)
        return sp.csr_array((data, indices, indptr), shape=(m, n))

    def solve(self, b: ArrayLike) -> Array:
        """Solve F x = b (not A x = b: see `pympf.solve`): x = Q H⁻¹ Pᵀ b.

        Collective. H is factored once.

        Parameters
        ----------
        b : array_like, shape (n,) or (n, k)

        Raises
        ------
        numpy.linalg.LinAlgError
            If H is singular; an empty row or column of H is named.
        ValueError
            If it is not square, or `b` has another number of rows or is not finite.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> F = pympf.factorize_direct([[1.0, 2.0], [0.0, 3.0]])
        >>> F.solve(F @ [1.0, -1.0]).round(12)
        array([ 1., -1.])
        """
        m, n = self.shape
        if m != n:
            raise ValueError(f"only a square factorization can be solved with, this is {m} x {n}")
        return self._through(
            lambda B: self._on_whole(self._solve, B, self._place.columns), b, self.local_shape[0]
        )

    def _solve(self, B: Array) -> Array:
        if self._lu is None:
            self._lu = _factored(self.coefficients)
        X = self._lu.solve(self._factors.transform(B, True, False))
        return self._factors.transform(np.ascontiguousarray(X), False, True)

    # ---- how far it is from A --------------------------------------------------------------------
    def error(self, A: Any) -> float:
        """Return ‖A − F‖ / ‖A‖ in the Frobenius norm, column by column.

        Collective. Costs as many products as there are columns: see `error_estimate`.

        Parameters
        ----------
        A : sparse array or matrix, or 2-D array_like, shape (m, n)

        Returns
        -------
        float
            0 where A is zero and F is.

        Raises
        ------
        ValueError
            If `A` has another shape or is not finite.

        Examples
        --------
        >>> import pympf
        >>> A = [[1.0, 2.0], [0.0, 3.0]]
        >>> pympf.factorize_direct(A).error(A) < 1e-14
        True
        """
        return relative_error(self._multiply, _of_shape(A, self))

    def error_estimate(self, A: Any, *, probes: int = 64, seed: int = 0) -> float:
        """Estimate ‖A − F‖ / ‖A‖ by products with random signs: E ‖(A − F) z‖² = ‖A − F‖².

        Collective. Within a tenth or so with 64 probes.

        Parameters
        ----------
        A : sparse array or matrix, or 2-D array_like, shape (m, n)
        probes : int
        seed : int

        Raises
        ------
        ValueError
            If `A` has another shape or is not finite.

        Examples
        --------
        >>> import pympf
        >>> A = [[1.0, 2.0], [0.0, 3.0]]
        >>> pympf.factorize_direct(A).error_estimate(A) < 1e-14
        True
        """
        csr = _of_shape(A, self)
        probes = checks.integer(probes, "probes", 1, 2**20)
        random = np.random.Generator(np.random.Philox(checks.seed(seed)))
        Z = random.choice([-1.0, 1.0], size=(self.shape[1], probes))
        error = frobenius(csr @ Z - self._multiply(Z)) / np.sqrt(probes)
        size = frobenius(csr.data)
        return float(error / size) if size > 0 else float(error)

    # ---- files -----------------------------------------------------------------------------------
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the factorization to an HDF5 file, whole or not at all (docs/approx.md).

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
        >>> import pathlib, tempfile, pympf
        >>> from pympf import approx
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "F.h5"
        >>> pympf.factorize_direct([[1.0, 2.0], [0.0, 3.0]]).save(path)
        >>> approx.load(path).shape
        (2, 2)
        """
        save_tree(path, self.kind, self._tree(), self.ranks)

    def _tree(self) -> dict[str, Any]:
        state = self._factors.state()
        indptr, indices, data, rows, columns = state["H"]
        report = {k: v for k, v in self._report.items() if k != "stages"}
        lines = {f"{k}": line for k, line in enumerate(self._report["stages"])}
        H = {"indptr": indptr, "indices": indices, "data": data}
        return {
            "rows": rows,
            "columns": columns,
            "H": H,
            "report": report | {"stages": lines},
            **{name: state[name] for name in ARRAYS},
        }

    @classmethod
    def _from_tree(cls, tree: dict[str, Any]) -> Any:
        H, report = tree["H"], dict(tree["report"])
        stages = report["stages"]
        report["stages"] = [stages[str(k)] for k in range(len(stages))]
        state = {name: tree[name] for name in ARRAYS}
        for name, array in state.items():
            if array.dtype != (np.float64 if name == "tangents" else np.int32):
                raise ValueError(f"{name} is of dtype {array.dtype}")
        state["H"] = (H["indptr"], H["indices"], H["data"], tree["rows"], tree["columns"])
        RotationReport(**report)  # has all its fields
        return cls(cls._factors_of(state), report)

    def __reduce__(self) -> Any:
        self.ranks.refuse_many("pickling", "write it by F.save(path)", TypeError)
        return type(self)._from_tree, (self._tree(),)


class DirectFactorization(RotationFactorization):
    """A ≈ P H Qᵀ of any real matrix; made by `factorize_direct` or `load`.

    References
    ----------
    .. [1] Thesis, section 2.4.2, equation 2.17.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> F = pympf.factorize_direct([[1.0, 2.0, 0.5], [0.0, 3.0, 0.1]], core_size=1)
    >>> F.shape, F.T.shape, (F @ np.ones(3)).shape
    ((2, 3), (3, 2), (2,))
    """

    kind = "direct"
    _factors_of = _engine.direct_factors


class SymmetricFactorization(RotationFactorization):
    """S ≈ P H Pᵀ of a symmetric matrix: a part of `AdditiveFactorization`."""

    kind = "symmetric"
    _factors_of = _engine.symmetric_factors


class SkewFactorization(RotationFactorization):
    """K ≈ P H Pᵀ of a skew-symmetric matrix, with 2 × 2 blocks [0 λ; −λ 0] and a skew core in H.

    Made by `factorize_skew` or `load`. H is skew to the last bit.

    References
    ----------
    .. [1] Thesis, section 2.4.1, equation 2.16.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> K = np.triu(np.arange(16.0).reshape(4, 4), 1)
    >>> F = pympf.factorize_skew(K - K.T)
    >>> bool((F.coefficients + F.coefficients.T).nnz == 0)
    True
    """

    kind = "skew"
    _factors_of = _engine.skew_factors

    def eigenvalues(self) -> NDArray[np.complex128]:
        """Return the eigenvalues of F: ±iλ of the blocks and those of the core, ascending in λ.

        Not collective. The core is treated as a dense matrix. A matrix of odd order has a zero.

        Examples
        --------
        >>> import pympf
        >>> F = pympf.factorize_skew([[0.0, 2.0, 0.0], [-2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        >>> F.eigenvalues().imag.tolist()
        [-2.0, 0.0, 2.0]
        """
        (core, _), (_, rest) = self.blocks()
        inner = np.linalg.eigvalsh(1j * core.toarray()) if self.core_size else np.empty(0)
        # Each row of the rest has its partner's entry or none.
        outer = sp.triu(rest).tocoo().data
        zeros = np.zeros(rest.shape[0] - 2 * outer.size)
        return 1j * np.sort(np.concatenate([inner, outer, -outer, zeros]))


def _of_shape(A: Any, F: SharedOperator) -> sp.csr_array:
    """Return all rows of a matrix of the shape of F. Collective."""
    csr, _ = gathered(A, F.ranks)
    if csr.shape != F.shape:
        raise ValueError(f"expected a matrix of shape {F.shape}, got {csr.shape}")
    return csr


def relative_error(multiply: Callable[[Array], Array], A: sp.csr_array) -> float:
    """Return ‖A − F‖ / ‖A‖, by products with blocks of unit vectors."""
    n = A.shape[1]
    block = max(1, min(n, 2**22 // max(A.shape)))
    columns = A.tocsc()
    scale = -exponent(A.data)
    square = 0.0
    for first in range(0, n, block):
        last = min(n, first + block)
        E = np.zeros((n, last - first))
        E[np.arange(first, last), np.arange(last - first)] = 1
        left = columns[:, first:last].toarray() - multiply(E)
        square += float(np.sum(np.ldexp(left, scale) ** 2))
    size = np.linalg.norm(np.ldexp(A.data, scale))
    return float(np.sqrt(square) / size) if size > 0 else float(np.sqrt(square))


def _factored(H: sp.csr_array) -> SuperLU:
    for name, matrix in (("row", H), ("column", H.tocsc())):
        empty = np.flatnonzero(np.diff(matrix.indptr) == 0)
        if empty.size:
            raise np.linalg.LinAlgError(
                f"H is singular: {name} {empty[0]} is empty ({empty.size} such {name}s)"
            )
    try:
        lu = splu(H.tocsc())
    except RuntimeError as error:
        raise np.linalg.LinAlgError(f"H is singular: {error}") from error
    pivots = abs(lu.U.diagonal())[lu.perm_c]
    small = np.flatnonzero(pivots <= np.finfo(float).eps * abs(H).max(axis=0).toarray().ravel())
    if small.size:
        raise np.linalg.LinAlgError(
            f"H is singular to rounding: column {small[0]} has a pivot of {pivots[small[0]]:.2g} "
            f"({small.size} such columns)"
        )
    return lu
