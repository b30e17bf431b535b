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
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf._engine import dictionary as _engine
from pympf._progress import Work, working
from pympf.la import Ranks, checks
from pympf.sketch._grouping import group
from pympf.sketch.dictionary import (
    Array,
    Dictionary,
    Settings,
    as_samples,
    clean_blocks,
    floor_of,
    remainder,
)

__all__ = ["Outside", "learn_dictionary", "learn_levels"]

RULES = ("pooled", "per_sample")
LEAST_PROMISE = 0.5
"""Recursion is refused where the share of columns that the next level will find is below this."""


class Outside(ValueError):
    """The samples are outside the range in which the next level can be learnt."""


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
        samples = as_samples(Y)
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
        blocks, nonzero = clean_blocks(samples, settings, settings.floor)
    parts = [blocks]
    known = group(parts, samples.shape, settings, ranks)
    turn = 0
    while turn < settings.rounds:
        work.step(turn, f"round {turn} of {settings.rounds}, {known.n_atoms} columns")
        with ranks.guard():
            rest = remainder(samples, known, known.codes)
            more = clean_blocks(rest, settings, floor_of(settings, parts, samples))[0]
        if ranks.sum(len(more)) == 0:
            break
        turn += 1
        parts.append(more)
        known = group(parts, samples.shape, settings, ranks)
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


def _settings(size: int, block: int, weight: float, **options: Any) -> Settings:
    shape = _engine.Shape(size, block)
    checks.number(weight, "weight", above=0, most=shape.rows)
    checks.number(options["tau"], "tau", above=0, below=1)
    checks.number(options["fraction"], "fraction", above=0, most=1)
    for name, least in (("min_hits", 1), ("min_rows", 1), ("min_columns", 1), ("rounds", 0)):
        checks.integer(options[name], name, least)
    checks.number(options["floor"], "floor", 0)
    checks.choice(options["rule"], "rule", tuple(RULES))
    return Settings(shape, float(weight), **options)


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
