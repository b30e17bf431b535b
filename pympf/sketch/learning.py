"""Recursable dictionary learning: matrices of D(b, q, d) and codes from samples y = [R_1 … R_N] x.

The algorithm of [1]_ (section 4.2), in the kernels of cpp/pympf/sketch:

=============================================  =====================================================
step                                           here
=============================================  =====================================================
normalize each block, round it to the cube     `read_blocks`: blocks that one column alone has made
count equal blocks                             `Groups`: over all samples, or in one (``rule``)
cluster by σ_m into matrices                   signatures with at least ``min_columns`` columns
column signature, signs                        the code j, b_m, b_s of the block, the majority
size of x: "adding" the ℓ₁ norm                the median of the clean block means times √(w b)
recursion                                      `learn_levels`: codes are the next level's samples
=============================================  =====================================================

An entry of R is ±1/√(w b) with w = q d / b nonzero blocks in a column: 1/√(d q) in the paper.

References
----------
.. [1] B. Ghazi, R. Panigrahy, J. R. Wang, "Recursive sketches for modular deep learning", ICML
   2019.
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
from pympf._progress import Work, working
from pympf.la import Ranks

__all__ = ["Dictionary", "Outside", "learn_dictionary", "learn_levels"]

RULES = ("pooled", "per_sample")
LEAST_PROMISE = 0.5
"""Recursion is refused where the share of columns that the next level will find is below this."""

Array = NDArray[Any]


class Outside(ValueError):
    """The samples are outside the range in which the next level can be learnt."""


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
        samples = _samples(Y, self.size)
        parts: list[Array] = []
        codes = sp.csr_array((len(samples), self.n_matrices * self.size))
        for turn in range(self.settings.rounds + 1):
            rest = _rest(samples, self, codes) if turn else samples
            parts.append(_read(rest, self.settings, _floor(self.settings, parts, samples))[0])
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


def learn_dictionary(
    Y: ArrayLike,
    block: int,
    weight: float,
    *,
    tau: float = 0.7,
    min_hits: int = 2,
    min_rows: int = 1,
    min_columns: int = 3,
    rule: str = "pooled",
    fraction: float = 0.8,
    rounds: int = 0,
    floor: float = 0.0,
    comm: Any = None,
) -> Dictionary:
    """Learn the columns of unknown matrices of D(b, q, d) from samples y = [R_1 … R_N] x + noise.

    Collective: each rank has samples of its own. Columns, signs and codes do not depend on the
    number of ranks or threads.

    Parameters
    ----------
    Y : array_like, shape (n_samples, d)
        float32 or float64.
    block : int
        Block size b.
    weight : float
        Nonzero blocks of a column, w = q d / b: with it entries of R have the size 1/√(w b).
    tau : float
        How far, relatively, an entry of a clean block may be from the block's mean, in (0, 1).
        Larger values stand more noise; gaussian noise of .3 of an entry at .7.
    min_hits : int
        Equal clean blocks that make a column.
    min_rows : int
        In how many different rows of blocks; 3 where noise comes as spikes (ℓ₁), which make equal
        wrong blocks.
    min_columns : int
        Columns that make a matrix.
    rule : {'pooled', 'per_sample'}
        Whether hits are counted in all samples, or `fraction` times `weight` must come from one:
        the paper's rule, which loses the columns of loaded samples.
    fraction : float
    rounds : int
        How often what is known is taken from the samples, and the rest read again: finds
        coefficients whose blocks all collide (q k > 1).
    floor : float
        Blocks whose mean is not above this are empty.
    comm : mpi4py.MPI.Comm, optional

    Returns
    -------
    Dictionary

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range, no block structure of size `block` fits d, `Y` is no finite
        real array, or ranks differ in an argument.

    Notes
    -----
    Columns that all samples together show A times are found with probability about .998 at A = 8;
    a coefficient with 1 − (1 − e^(−qk))^w for k columns in a sample: reach A N d / k samples.

    References
    ----------
    .. [1] B. Ghazi, R. Panigrahy, J. R. Wang, "Recursive sketches for modular deep learning", ICML
       2019, theorem 4 and section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.sketch import learn_dictionary
    >>> from pympf.ref.sketch_learning import draw
    >>> R = draw(132, 33, weight=2, seed=1)  # a matrix of D(33, 1/2, 132), dense
    >>> x = 1 - 2.0 * (np.arange(1056) % 3 > 0)  # each column in eight samples, alone
    >>> Y = x[:, None] * R.T[np.arange(1056) % 132]
    >>> learnt = learn_dictionary(Y, 33, 2)
    >>> learnt.n_matrices, learnt.n_atoms
    (1, 132)
    >>> bool(np.allclose(learnt.columns(0).toarray(), R))
    True
    >>> bool(np.allclose(learnt.code(0).sum(axis=1), x))
    True
    >>> bool(np.allclose(learnt.transform(Y[:2]).toarray(), learnt.codes[:2].toarray()))
    True
    """
    ranks = Ranks(comm)
    with ranks.guard():
        samples = _samples(Y)
        settings = _settings(
            samples.shape[1], block, weight, tau=tau, min_hits=min_hits, min_rows=min_rows,
            min_columns=min_columns, rule=rule, fraction=fraction, rounds=rounds, floor=floor,
        )  # fmt: skip
    given = (samples.shape[1], samples.dtype, block, weight, tau, min_hits, min_rows, min_columns)
    ranks.same((*given, rule, fraction, rounds, floor), "samples and settings")
    with working("learn_dictionary", settings.rounds) as work:
        return _learn(samples, settings, ranks, work)


def _learn(samples: Array, settings: Settings, ranks: Ranks, work: Work) -> Dictionary:
    with ranks.guard():
        blocks, nonzero = _read(samples, settings, settings.floor)
    parts = [blocks]
    known = _group(parts, samples.shape, settings, ranks)
    turn = 0
    while turn < settings.rounds:
        work.step(turn, f"round {turn} of {settings.rounds}, {known.n_atoms} columns")
        with ranks.guard():
            rest = _rest(samples, known, known.codes)
            more = _read(rest, settings, _floor(settings, parts, samples))[0]
        if ranks.sum(len(more)) == 0:
            break
        turn += 1
        parts.append(more)
        known = _group(parts, samples.shape, settings, ranks)
    known.report = {"rounds": turn} | _statistics(samples, nonzero, parts, settings, ranks)
    return known


def learn_levels(
    Y: ArrayLike, block: int, weights: ArrayLike, *, comm: Any = None, **options: Any
) -> Dictionary:
    """Learn y = R x, then the codes x = R' x', and so on: section 4.1's recursion.

    Collective. The codes of every matrix are the samples of the next level. All b entries of a
    block of R' have to come through level one: with the measured load l, the mean number of
    columns in a block, a code is lost with probability p = (1 − e^(−l))^w, and a column of the next
    level is found with 1 − (1 − (1 − p)^b)^w'. Where that is below one half the recursion is
    refused: at one active column that is d below about 10 b² (32 000).

    Parameters
    ----------
    Y : array_like, shape (n_samples, d)
    block : int
    weights : array_like of float, shape (n_levels,)
        Nonzero blocks of a column, from the outermost level on.
    comm : mpi4py.MPI.Comm, optional
    **options
        Those of `learn_dictionary`.

    Returns
    -------
    Dictionary
        Of the first level; those of the next are its ``inner``, by matrix.

    Raises
    ------
    Outside
        Where the next level cannot be learnt, with the numbers that say so. A ValueError.
    ValueError, TypeError
        As in `learn_dictionary`.

    References
    ----------
    .. [1] B. Ghazi, R. Panigrahy, J. R. Wang, "Recursive sketches for modular deep learning", ICML
       2019, theorem 4.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.sketch import Outside, learn_levels
    >>> from pympf.ref.sketch_learning import draw
    >>> R = [draw(546, 39, weight=4, seed=seed) for seed in (1, 2)]
    >>> try:
    ...     learn_levels((R[0] @ R[1]).T, 39, [4, 4])
    ... except Outside as reason:
    ...     print(str(reason).partition(":")[0])
    level 2 cannot be learnt
    """
    steps = [float(weight) for weight in np.atleast_1d(np.asarray(weights, dtype=float))]
    if not steps:
        raise ValueError("weights: expected at least one level")
    dictionary = learn_dictionary(Y, block, steps[0], comm=comm, **options)
    if len(steps) > 1:
        _refuse_outside(dictionary, steps, level=2)
        for matrix in range(dictionary.n_matrices):
            inner = dictionary.code(matrix).toarray()
            dictionary.inner[matrix] = learn_levels(inner, block, steps[1:], comm=comm, **options)
    return dictionary


def promised(load: float, weight: float, block: int, inner_weight: float) -> float:
    """Return the share of the next level's columns that will be found.

    Not collective.

    Parameters
    ----------
    load : float
        Mean number of columns in a block of a sample, −ln of the share of empty blocks.
    weight, inner_weight : float
        Nonzero blocks of a column, of this level and the next one.
    block : int

    Examples
    --------
    >>> from pympf.sketch.learning import promised
    >>> round(promised(57 * 5 / 1140, 5, 57, 1), 2)  # d = 64 980
    0.97
    """
    lost = (1 - math.exp(-load)) ** weight
    whole = (1 - lost) ** block
    return 1 - (1 - whole) ** inner_weight


def _refuse_outside(dictionary: Dictionary, weights: list[float], level: int) -> None:
    load, block = dictionary.report["load"], dictionary.settings.shape.block
    share = promised(load, weights[0], block, weights[1]) if math.isfinite(load) else 0.0
    if share < LEAST_PROMISE:
        raise Outside(
            f"level {level} cannot be learnt: blocks of its samples hold {load:.3g} columns on the "
            f"average, and all {block} codes of a block must come through, so {share:.0%} of its "
            f"columns would be found; allowed: {LEAST_PROMISE:.0%} or more, as for one active "
            f"column at d >= {10 * block**2}. Take fewer active columns or larger d"
        )


# ---- the steps -----------------------------------------------------------------------------------
def _samples(Y: ArrayLike, size: int | None = None) -> Array:
    if sp.issparse(Y):
        raise TypeError(f"Y: expected a dense array, got {type(Y).__name__}; use .toarray()")
    la.checks.no_masks(Y, "Y")
    array = np.ascontiguousarray(la.exact_real(np.asarray(Y), "Y"))
    if array.ndim != 2 or array.shape[1] < 1 or array.shape[1] != (size or array.shape[1]):
        raise ValueError(f"Y: expected shape (n_samples, {size or 'd'}), got {array.shape}")
    return array


def _settings(size: int, block: int, weight: float, **options: Any) -> Settings:
    shape = _engine.Shape(size, block)
    if not (math.isfinite(weight) and 0 < weight <= shape.rows):
        raise ValueError(f"weight = {weight} is not in (0, {shape.rows}], the blocks of a column")
    for name in ("tau", "fraction"):
        if not 0 < options[name] < (1 if name == "tau" else 1 + 1e-12):
            raise ValueError(f"{name} = {options[name]} is not in (0, 1)")
    for name, least in (("min_hits", 1), ("min_rows", 1), ("min_columns", 1), ("rounds", 0)):
        if options[name] != int(options[name]) or options[name] < least:
            raise ValueError(f"{name} = {options[name]} is not an integer of at least {least}")
    if not (math.isfinite(options["floor"]) and options["floor"] >= 0):
        raise ValueError(f"floor = {options['floor']} is not a number in [0, inf)")
    la.checks.choice(options["rule"], "rule", tuple(RULES))
    return Settings(shape, float(weight), **options)


def _read(samples: Array, settings: Settings, floor: float) -> tuple[Array, int]:
    found: tuple[Array, int] = _engine.read_blocks(samples, settings.shape, settings.tau, floor)
    return found


def _floor(settings: Settings, parts: list[Array], samples: Array) -> float:
    """Give a floor above what rounding leaves of a block that was taken away."""
    largest = max((part["level"].max() for part in parts if len(part)), default=0.0)
    return max(settings.floor, float(1e3 * np.finfo(samples.dtype).eps * largest))


def _rest(samples: Array, known: Dictionary, codes: sp.csr_array) -> Array:
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


def _group(
    parts: list[Array], shape: tuple[int, ...], settings: Settings, ranks: Ranks
) -> Dictionary:
    """Make columns of blocks, and codes of the samples: what each part says, added up. Collective.

    A column is made on the rank that its place names; then all ranks have it.
    """
    blocks = _sent_to_owners(np.concatenate(parts), shape[0], ranks)
    with ranks.guard():
        groups = _engine.Groups(blocks, settings.engine_rule())
    every = ranks.gather((groups.matrices(), groups.column_counts()))
    matrices, counts = (np.concatenate(part) for part in zip(*every, strict=True))
    signatures, which = np.unique(matrices, return_inverse=True)
    kept = signatures[np.bincount(which, counts, len(signatures)) >= settings.min_columns]
    known = _assembled(_shared(groups.dictionary(kept), ranks), kept, settings)
    known.codes = sp.csr_array((shape[0], known.n_matrices * known.size))
    for part in parts:
        known.codes = known.codes + known._decoded(part, known.codes)
    return known


def _sent_to_owners(blocks: Array, samples: int, ranks: Ranks) -> Array:
    """Give each rank the blocks of its columns. Collective."""
    if ranks.size == 1:
        return blocks
    blocks["sample"] += ranks.before(samples)
    mixed = blocks["matrix"] * np.uint64(0x9E3779B97F4A7C15) + blocks["column"].astype(np.uint64)
    mixed = mixed * np.uint64(0xBF58476D1CE4E5B9)
    owner = (mixed >> np.uint64(33)) % np.uint64(ranks.size)
    return np.concatenate(ranks.exchange([blocks[owner == rank] for rank in range(ranks.size)]))


def _shared(found: dict[str, Array], ranks: Ranks) -> dict[str, Array]:
    """Give all ranks the atoms of all, by matrix and column. Collective."""
    names = ("matrix", "column", "string", "hits")
    atoms = {name: found[name] for name in (*names, "row", "signs")}
    atoms["count"] = np.diff(found["row_start"])
    if ranks.size == 1:
        return atoms
    every = ranks.gather(atoms)
    atoms = {name: np.concatenate([part[name] for part in every]) for name in atoms}
    order = np.lexsort((atoms["column"], atoms["matrix"]))
    owner = np.repeat(np.arange(len(order)), atoms["count"])
    places = np.argsort(np.argsort(order)[owner], kind="stable")
    return {name: atoms[name][order] for name in (*names, "count")} | {
        name: atoms[name][places] for name in ("row", "signs")
    }


def _assembled(atoms: dict[str, Array], signatures: Array, settings: Settings) -> Dictionary:
    return Dictionary(
        settings=settings,
        signatures=signatures,
        matrix=np.searchsorted(signatures, atoms["matrix"]),
        column=atoms["column"],
        strings=atoms["string"],
        hits=atoms["hits"],
        row_start=np.concatenate([[0], np.cumsum(atoms["count"])]),
        row=atoms["row"],
        signs=atoms["signs"],
        codes=sp.csr_array((0, 0)),
        report={},
    )


def _statistics(
    samples: Array, nonzero: int, parts: list[Array], settings: Settings, ranks: Ranks
) -> dict[str, Any]:
    clean = sum(len(part) for part in parts)
    rows, nonzero, clean = (ranks.sum(count) for count in (len(samples), nonzero, clean))
    blocks = rows * settings.shape.rows
    load = 0.0
    if nonzero:
        load = -math.log1p(-nonzero / blocks) if nonzero < blocks else math.nan
    counts = {"samples": rows, "blocks": blocks, "nonzero": nonzero, "clean": clean}
    share = 1 - (1 - math.exp(-load)) ** settings.weight
    return {**counts, "load": load, "promised": share}
