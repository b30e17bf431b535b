"""Columns learnt from samples, and the codes of samples over them.

With the symbols of `pympf.sketch.learning`: y = R x + what is left, where R has the columns that
are known. `Dictionary.transform` reads x from the blocks of y that one column alone has made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from pympf import la
from pympf._engine import dictionary as _engine

__all__ = ["Dictionary"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Settings:
    """How blocks become columns; the arguments of `learn_dictionary`, checked."""

    shape: Any
    weight: float
    tau: float
    min_hits: int
    min_rows: int
    min_columns: int
    rule: str
    fraction: float
    rounds: int
    floor: float

    @property
    def entry(self) -> float:
        """The size of a nonzero entry of R."""
        return 1.0 / math.sqrt(self.weight * self.shape.block)

    def engine_rule(self) -> Any:
        """Give the rule of acceptance as the kernels take it."""
        if self.rule == "pooled":
            return _engine.Rule(self.min_hits, self.min_rows, 0)
        return _engine.Rule(self.min_hits, self.min_rows, math.ceil(self.fraction * self.weight))


@dataclass
class Dictionary:
    """Columns learnt from samples, and what each sample has of them; every rank has all columns.

    Atoms are ordered by matrix, then by column; matrices by their signatures: the π of theorem 4.

    Attributes
    ----------
    signatures : numpy.ndarray of uint64, shape (n_matrices,)
        Bit i − 1 is set where σ_m[i] has the sign of σ_m[0].
    matrix, column : numpy.ndarray, shape (n_atoms,)
        Where an atom belongs: number of the matrix, column in it.
    strings : numpy.ndarray of uint64, shape (n_atoms,)
        σ_s, as in `signatures`.
    hits : numpy.ndarray, shape (n_atoms,)
        Clean blocks that showed it.
    row_start, row, signs : numpy.ndarray
        Its nonzero blocks, from ``row_start[i]`` on: their rows, and bits 2, 4, 8 where the string,
        the code and the matrix signature begin with + there.
    codes : scipy.sparse.csr_array, shape (n_samples, n_matrices * d)
        x of the samples of this rank.
    report : dict
        ``samples``, ``blocks`` of all ranks; how many are ``nonzero`` and ``clean``; ``rounds`` of
        peeling; ``load`` q k, the mean number of columns in a block, from the share of empty
        blocks, and the share of coefficients ``promised`` by it, 1 − (1 − e^(−qk))^w (NaN under
        noise that leaves no block empty).
    inner : dict of int to Dictionary
        What `learn_levels` found in the codes of a matrix.
    """

    settings: Settings
    signatures: Array
    matrix: Array
    column: Array
    strings: Array
    hits: Array
    row_start: Array
    row: Array
    signs: Array
    codes: sp.csr_array
    report: dict[str, Any]
    inner: dict[int, Dictionary] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Rows and columns of a matrix, d."""
        return int(self.settings.shape.size)

    @property
    def n_matrices(self) -> int:
        """Matrices that were found."""
        return len(self.signatures)

    @property
    def n_atoms(self) -> int:
        """Columns that were found."""
        return len(self.column)

    def code(self, matrix: int) -> sp.csr_array:
        """Return the codes that belong to one matrix.

        Not collective.

        Parameters
        ----------
        matrix : int

        Returns
        -------
        scipy.sparse.csr_array, shape (n_samples, d)

        Examples
        --------
        See `learn_dictionary`.
        """
        first = self._checked(matrix) * self.size
        return self.codes[:, first : first + self.size]

    def columns(self, matrix: int) -> sp.csc_array:
        """Return a matrix with the columns and blocks that were found; the others are zero.

        Not collective.

        Parameters
        ----------
        matrix : int

        Returns
        -------
        scipy.sparse.csc_array, shape (d, d)

        Examples
        --------
        See `learn_dictionary`.
        """
        (atoms,) = np.nonzero(self.matrix == self._checked(matrix))
        counts = np.diff(self.row_start)
        places = np.nonzero(np.repeat(self.matrix == matrix, counts))[0]
        block = self.settings.shape.block
        entries = self._patterns(np.repeat(np.arange(self.n_atoms), counts)[places], places)
        rows = self.row[places].astype(np.int64)[:, None] * block + np.arange(block)
        columns = np.repeat(self.column[atoms].astype(np.int64), counts[atoms] * block)
        triplets = (entries.ravel() * self.settings.entry, (rows.ravel(), columns))
        return sp.csc_array(triplets, shape=(self.size, self.size))

    def _patterns(self, atom: Array, place: Array) -> Array:
        """Give blocks as signs, shape (n, b)."""
        shape, signs = self.settings.shape, self.signs[place]
        third, bits = shape.block // 3, shape.column_bits
        out = np.ones((len(place), 3, third))
        for part, words in ((0, self.strings[atom]), (2, self.signatures[self.matrix[atom]])):
            shifts = np.arange(third - 1, dtype=np.uint64)
            out[:, part, 1:] = 2.0 * ((words[:, None] >> shifts) & np.uint64(1)) - 1
        shifts = np.arange(bits - 1, -1, -1)
        out[:, 1, 1 : bits + 1] = 2 * ((self.column[atom][:, None] >> shifts) & 1) - 1
        string, code, matrix = (np.where(signs & bit, 1.0, -1.0) for bit in (2, 4, 8))
        out[:, 1, bits + 1], out[:, 1, bits + 2] = matrix, string
        return (out * np.stack([string, code, matrix], axis=1)[:, :, None]).reshape(len(place), -1)

    def _checked(self, matrix: int) -> int:
        if not 0 <= matrix < self.n_matrices:
            raise ValueError(f"matrix {matrix}: expected one of 0 … {self.n_matrices - 1}")
        return int(matrix)

    def transform(self, Y: ArrayLike) -> sp.csr_array:
        """Return the codes of samples over the columns that are known.

        Not collective.

        Parameters
        ----------
        Y : array_like, shape (n, d)

        Returns
        -------
        scipy.sparse.csr_array, shape (n, n_matrices * d)

        Raises
        ------
        ValueError, TypeError
            If `Y` is no finite real array of this shape.

        Examples
        --------
        See `learn_dictionary`.
        """
        samples = as_samples(Y, self.size)
        parts: list[Array] = []
        codes = sp.csr_array((len(samples), self.n_matrices * self.size))
        for turn in range(self.settings.rounds + 1):
            rest = remainder(samples, self, codes) if turn else samples
            floor = floor_of(self.settings, parts, samples)
            parts.append(clean_blocks(rest, self.settings, floor)[0])
            if turn and len(parts[-1]) == 0:
                break
            codes = codes + self._decoded(parts[-1], codes)
        return codes

    def _decoded(self, blocks: Array, codes: sp.csr_array) -> sp.csr_array:
        """Give what blocks add to the codes of known atoms.

        What there is already is corrected where two blocks of a sample say so: one may be a
        collision that looks clean.
        """
        found = _engine.Groups(blocks, _engine.Rule(1, 1, 0)).dictionary(self.signatures)
        if self.n_atoms == 0:
            return sp.csr_array(codes.shape)
        own, other = (
            np.searchsorted(self.signatures, matrix) * self.size + column
            for matrix, column in (
                (self.signatures[self.matrix], self.column),
                (found["matrix"], found["column"]),
            )
        )
        place = np.minimum(np.searchsorted(own, other), self.n_atoms - 1)
        same = (own[place] == other) & (self.strings[place] == found["string"])
        columns, rows = other[found["atom"]], found["sample"].copy()
        keep = same[found["atom"]]
        if codes.nnz:
            keep &= (found["blocks"] > 1) | (np.asarray(codes[rows, columns]).ravel() == 0)
        values = found["value"][keep] / self.settings.entry
        return sp.csr_array((values, (rows[keep], columns[keep])), shape=codes.shape)

    def __repr__(self) -> str:
        return (
            f"<Dictionary of {self.n_atoms} columns in {self.n_matrices} matrices of size "
            f"{self.size}, {self.codes.shape[0]} samples>"
        )


def as_samples(Y: ArrayLike, size: int | None = None) -> Array:
    """Check samples: a dense array of shape (n_samples, size)."""
    if sp.issparse(Y):
        raise TypeError(f"Y: expected a dense array, got {type(Y).__name__}; use .toarray()")
    la.checks.no_masks(Y, "Y")
    array = np.ascontiguousarray(la.exact_real(np.asarray(Y), "Y"))
    if array.ndim != 2 or array.shape[1] < 1 or array.shape[1] != (size or array.shape[1]):
        raise ValueError(f"Y: expected shape (n_samples, {size or 'd'}), got {array.shape}")
    return array


def clean_blocks(samples: Array, settings: Settings, floor: float) -> tuple[Array, int]:
    """Give the blocks that one column alone has made, and how many blocks are not empty."""
    found: tuple[Array, int] = _engine.read_blocks(samples, settings.shape, settings.tau, floor)
    return found


def floor_of(settings: Settings, parts: list[Array], samples: Array) -> float:
    """Give a floor above what rounding leaves of a block that was taken away."""
    largest = max((part["level"].max() for part in parts if len(part)), default=0.0)
    return max(settings.floor, float(1e3 * np.finfo(samples.dtype).eps * largest))


def remainder(samples: Array, known: Dictionary, codes: sp.csr_array) -> Array:
    """Give samples − R codes, by the blocks that are known."""
    rest = samples.copy()
    rows = sp.csr_array(codes)
    places = known.matrix * known.size + known.column
    _engine.subtract(
        rest, known.settings.shape, known.signatures[known.matrix], known.strings, known.column,
        known.row_start, known.row, known.signs, rows.indptr.astype(np.int64),
        np.searchsorted(places, rows.indices).astype(np.int64), rows.data * known.settings.entry,
    )  # fmt: skip
    return rest
