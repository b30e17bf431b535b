"""Sketch matrices, the twins of cpp/pympf/sketch: dense, from the same random numbers.

References
----------
.. [1] Paper 000, section 4.3, algorithms 1 and 2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pympf.ref.random import WORD, philox

__all__ = ["block_sparse", "orthonormal"]


def block_sparse(
    d: int, b: int, *, q: float | None = None, w: int | None = None, seed: int = 0, name: int = 0
) -> NDArray[np.float64]:
    """Return the matrix of D(b, q, d), or of exactly w nonzero blocks a column.

    Not collective. `name` is the word that stands for a matrix's name.

    Examples
    --------
    >>> R = block_sparse(132, 33, w=2, seed=1)
    >>> np.allclose((R**2).sum(axis=0), 1)
    True
    """
    n, p, n_bits = d // b, b // 3, (d - 1).bit_length()
    scale = 1 / math.sqrt(w * b) if w else 1 / math.sqrt(d * (q or 1))
    sigma_m = _signs(_draw(0, 0, seed, name), p)
    R = np.zeros((d, d))
    for j in range(d):
        sigma_s = _signs(_draw(j, 1, seed, name), p)
        code = np.ones(p)
        code[1 : n_bits + 1] = [1 if j >> t & 1 else -1 for t in reversed(range(n_bits))]
        blocks = _by_weight(j, n, w, seed, name) if w else _by_probability(j, n, q, seed, name)
        for i, signs in blocks:
            fs, fc, fm = (1 if signs >> bit & 1 else -1 for bit in range(3))
            code[n_bits + 1], code[n_bits + 2] = fm * sigma_m[0], fs * sigma_s[0]
            block = np.concatenate([fs * sigma_s, fc * code, fm * sigma_m])
            R[i * b : (i + 1) * b, j] = scale * block
    return R


def _by_weight(j: int, n: int, w: int, seed: int, name: int) -> Any:
    """Give the block row and the signs of one block in each of w ranges of block rows."""
    for t in range(w):
        word = _draw(j, 2 + t // 4, seed, name)[t % 4]
        begin, end = t * n // w, (t + 1) * n // w
        yield begin + ((word >> 3) * (end - begin) >> 29), word & 7


def _by_probability(j: int, n: int, q: Any, seed: int, name: int) -> Any:
    """Give block rows and signs; the gaps between blocks are geometric, band by band."""
    length = min(n, math.ceil(3 / q))
    tail = [int(2**29 * rest) for rest in np.cumprod(np.full(length, 1 - q))]
    for t in range(-(-n // length)):
        row, end, drawn = t * length, min(n, (t + 1) * length), 0
        while row < end:
            what = 2 + t + ((drawn // 4) << 24)
            word = _draw(j, what, seed, name)[drawn % 4]
            drawn += 1
            row += sum(word >> 3 < rest for rest in tail)
            if row < end:
                yield row, word & 7
            row += 1


def orthonormal(d: int, *, seed: int = 0, name: int = 0) -> NDArray[np.float64]:
    """Return D_2 H P D_1 H D_0.

    Not collective.

    Examples
    --------
    >>> R = orthonormal(8, seed=1)
    >>> np.allclose(R @ R.T, np.eye(8))
    True
    """
    H = np.ones((1, 1))
    while len(H) < d:
        H = np.block([[H, H], [H, -H]]) / math.sqrt(2)
    D = [
        np.concatenate([_signs(_draw(n, i, seed, name), 128) for n in range(-(-d // 128))])[:d]
        for i in range(3)
    ]
    half = ((d - 1).bit_length() + 1) // 2
    image = np.arange(d)
    for r in range(4):
        factor, summand, *_ = _draw(0, 3 + r, seed, name)
        image = ((image ^ image >> half) * (factor | 1) + summand) % d
    return D[2][:, None] * (H @ (D[1][:, None] * H)[image]) * D[0]


def _draw(number: int, what: int, seed: int, name: int) -> tuple[int, ...]:
    return philox((number, what, name & WORD, name >> 32), (seed & WORD, seed >> 32))


def _signs(words: tuple[int, ...], count: int) -> NDArray[np.float64]:
    bits = [words[r // 32] >> r % 32 & 1 for r in range(count)]
    return 2.0 * np.array(bits) - 1.0
