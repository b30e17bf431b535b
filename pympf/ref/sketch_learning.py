"""Dictionary learning from block-sparse matrices, the twin of cpp/pympf/sketch.

A block that one column x_j alone reaches reads [1]_

    x_j / √(w b) [f_s σ_s | f_c Enc(j, f'_m, f'_s) | f_m σ_m]:

`read_blocks` finds such blocks and reads off what their signs say, `dictionary` makes columns and
codes of equal ones.

References
----------
.. [1] B. Ghazi, R. Panigrahy, J. R. Wang, "Recursive sketches for modular deep learning", ICML
   2019, sections 4.2 and 4.3.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Block", "decode", "dictionary", "draw", "read_blocks", "reconstruct"]

Array = NDArray[Any]
Signs = tuple[int, ...]


class Block(NamedTuple):
    """A clean block; σ are normalized to begin with +1, f are the first entries' signs in R."""

    sample: int
    row: int
    level: float
    spread: float
    matrix: Signs
    column: int
    string: Signs
    value: int  # sign of x
    f: tuple[int, int, int]  # f'_s, f_c, f'_m


def column_bits(size: int) -> int:
    """Return ⌈log2 d⌉."""
    return math.ceil(math.log2(size))


def code(column: int, matrix_bit: int, string_bit: int, size: int, third: int) -> Array:
    """Return Enc(j, b_m, b_s): +1, bits of j from the highest on, b_m, b_s, and +1 to the end."""
    bits = column_bits(size)
    binary = [1 if column >> (bits - 1 - t) & 1 else -1 for t in range(bits)]
    return np.array([1, *binary, matrix_bit, string_bit] + [1] * (third - bits - 3))


def draw(size: int, block: int, weight: int, seed: int) -> Array:
    """Draw a dense matrix with `weight` blocks in each column, entries ±1/√(w b)."""
    rng, third = np.random.default_rng(seed), block // 3
    R = np.zeros((size, size))
    matrix = rng.choice([-1, 1], third)
    for j in range(size):
        string = rng.choice([-1, 1], third)
        for i in rng.choice(size // block, weight, replace=False):
            f_s, f_c, f_m = rng.choice([-1, 1], 3)
            enc = code(j, f_m * matrix[0], f_s * string[0], size, third)
            R[i * block : (i + 1) * block, j] = np.concatenate(
                [f_s * string, f_c * enc, f_m * matrix]
            )
    return R / math.sqrt(weight * block)


def decode(signs: Array, size: int) -> tuple[Signs, int, Signs, int, tuple[int, int, int]] | None:
    """Read σ_m, j, σ_s, the sign of x and all f off a rounded block; None if it is no such code."""
    third, bits = len(signs) // 3, column_bits(size)
    string, observed, matrix = signs.reshape(3, third)
    enc = observed * observed[0]
    column = int("".join("1" if bit > 0 else "0" for bit in enc[1 : bits + 1]) or "0", 2)
    matrix_bit, string_bit = enc[bits + 1], enc[bits + 2]
    value = matrix[0] * matrix_bit
    if (enc[bits + 3 :] < 0).any() or column >= size or string[0] * string_bit != value:
        return None
    f = (int(string_bit), int(observed[0] * value), int(matrix_bit))
    return tuple(matrix * matrix[0]), column, tuple(string * string[0]), int(value), f


def read_blocks(Y: Array, block: int, tau: float, floor: float = 0.0) -> tuple[list[Block], int]:
    """Return the clean blocks of samples, and the number of blocks above the floor."""
    size = Y.shape[1]
    found, nonzero = [], 0
    for sample, y in enumerate(Y):
        for row, entries in enumerate(y.reshape(-1, block)):
            level = float(np.abs(entries).mean())
            nonzero += level > floor
            if level <= floor:
                continue
            spread = float(np.abs(np.abs(entries) - level).max() / level)
            read = decode(np.where(entries > 0, 1, -1), size)
            if spread <= tau and read is not None:
                found.append(Block(sample, row, level, spread, *read))
    return found, nonzero


def dictionary(
    blocks: list[Block], min_hits: int = 2, min_rows: int = 1, min_per_sample: int = 0,
    min_columns: int = 3,
) -> tuple[dict[Any, Any], dict[Any, float]]:  # fmt: skip
    """Return columns, {(σ_m, j): (σ_s, {row: f})}, and codes, {(sample, σ_m, j): ± mean level}."""
    groups = defaultdict(list)
    for b in blocks:
        groups[b.matrix, b.column, b.string].append(b)
    best: dict[Any, list[Block]] = {}
    for (matrix, column, _), group in sorted(groups.items(), key=lambda item: str(item[0])):
        per_sample = np.unique([b.sample for b in group], return_counts=True)[1].max()
        rows = len({b.row for b in group})
        accepted = len(group) >= min_hits and rows >= min_rows and per_sample >= min_per_sample
        if accepted and len(group) > len(best.get((matrix, column), ())):
            best[matrix, column] = group
    counts: dict[Any, int] = defaultdict(int)
    for matrix, _ in best:
        counts[matrix] += 1
    kept = {place: group for place, group in best.items() if counts[place[0]] >= min_columns}
    columns = {place: (group[0].string, _rows(group)) for place, group in kept.items()}
    codes = {
        (sample, *place): _value([b for b in group if b.sample == sample])
        for place, group in kept.items()
        for sample in sorted({b.sample for b in group})
    }
    return columns, codes


def _rows(group: list[Block]) -> dict[int, tuple[int, ...]]:
    """Give the signs of the majority for each row; none where there is no majority."""
    rows = {}
    for row in sorted({b.row for b in group}):
        balance = np.sum([b.f for b in group if b.row == row], axis=0)
        if (balance != 0).all():
            rows[row] = tuple(int(s) for s in np.sign(balance))
    return rows


def _value(same: list[Block]) -> float:
    """Give ± the median level of the cleanest blocks."""
    limit = 2 * min(b.spread for b in same) + 1e-5
    same = [b for b in same if b.spread <= limit]
    balance = sum(b.value for b in same)
    sign = np.sign(balance) if balance else min(same, key=lambda b: b.row).value
    return float(sign * np.median([b.level for b in same]))


def reconstruct(
    columns: dict[Any, Any], codes: dict[Any, float], samples: int, size: int, block: int
) -> Array:
    """Return R x by the blocks that are known."""
    Y, third = np.zeros((samples, size)), block // 3
    for (sample, matrix, column), level in codes.items():
        string, rows = columns[matrix, column]
        for row, (f_s, f_c, f_m) in rows.items():
            enc = code(column, f_m, f_s, size, third)
            parts = [f_s * np.array(string), f_c * enc, f_m * np.array(matrix)]
            Y[sample, row * block : (row + 1) * block] += level * np.concatenate(parts)
    return Y
