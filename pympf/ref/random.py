"""Counter-based random numbers, the twin of cpp/pympf/common/random.hpp.

Philox 4x32-10 [1]_. A stream is named by (seed, stage, cluster), so a cluster draws the same
numbers on any thread and any rank.

References
----------
.. [1] J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as
   1, 2, 3", SC'11.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Random", "normal_pair", "normals", "philox", "uniform"]

WORD = 0xFFFFFFFF


def philox(counter: Sequence[Any], key: Sequence[int]) -> tuple[Any, Any, Any, Any]:
    """Map a counter of four 32-bit words and a key of two to four random words.

    Not collective. The words of the counter may be arrays of uint64.

    Examples
    --------
    >>> [hex(word) for word in philox((0, 0, 0, 0), (0, 0))]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & WORD, (p0 >> 32) ^ c3 ^ k1, p0 & WORD
        k0, k1 = (k0 + 0x9E3779B9) & WORD, (k1 + 0xBB67AE85) & WORD
    return c0, c1, c2, c3


class Random:
    """The stream of 32-bit words of (seed, stage, cluster).

    Not collective.

    Examples
    --------
    >>> stream = Random(seed=0, stage=0, cluster=0)
    >>> hex(stream.next()), hex(stream.next())
    ('0x6627e8d5', '0xe169c58d')
    """

    def __init__(self, seed: int, stage: int, cluster: int) -> None:
        self._key = seed & WORD, seed >> 32
        self._name = stage, cluster
        self._drawn = 0

    def next(self) -> int:
        """Draw the next word."""
        block, word = divmod(self._drawn, 4)
        self._drawn += 1
        return philox((block & WORD, block >> 32, *self._name), self._key)[word]

    def below(self, bound: int) -> int:
        """Draw an integer of [0, bound) by the multiply-shift map."""
        return (self.next() * bound) >> 32


def uniform(high: Any, low: Any) -> Any:
    """Map two words to a multiple of 2^-53 in [0, 1)."""
    word = (np.asarray(high, dtype=np.uint64) << np.uint64(32)) | np.asarray(low, dtype=np.uint64)
    return (word >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normals(count: int, seed: int, stage: int, cluster: int) -> NDArray[np.float64]:
    """Draw standard normal numbers of (seed, stage, cluster), two from each block of words.

    Not collective.

    Examples
    --------
    >>> normals(3, seed=0, stage=0, cluster=0).round(4).tolist()
    [-0.1215, -1.35, -0.0819]
    """
    blocks = np.arange((count + 1) // 2, dtype=np.uint64)
    zero = np.zeros_like(blocks)
    words = philox((blocks, zero, zero + stage, zero + cluster), (seed & WORD, seed >> 32))
    return np.stack(normal_pair(words), axis=1).ravel()[:count]


def normal_pair(words: Sequence[Any]) -> tuple[Any, Any]:
    """Map a block of four words to two independent standard normal numbers.

    Not collective. Box and Muller's map (sqrt(-2 log u) cos 2πv, sqrt(-2 log u) sin 2πv). Its
    functions are series of sums, products and quotients, which IEEE arithmetic rounds alike
    everywhere, so that the numbers are the same on every machine; a libm's are not.
    """
    radius = np.sqrt(np.maximum(0.0, -2.0 * _log(uniform(words[0], words[1]) + 2.0**-53)))
    cosine, sine = _cos_sin(uniform(words[2], words[3]))
    return radius * cosine, radius * sine


def _log(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """log u = e log 2 + 2 atanh((m - 1)/(m + 1)) for u = m 2^e with m in [1/2, 1)."""
    m, e = np.frexp(u)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = np.zeros_like(u)
    for k in range(16, -1, -1):
        p = p * z + 1.0 / (2 * k + 1)
    return e * 0.6931471805599453 + 2.0 * s * p


def _cos_sin(u: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """cos 2πu and sin 2πu: whole quarter turns, and the series for at most an eighth turn."""
    quarters = np.floor(4.0 * u + 0.5)
    x = (4.0 * u - quarters) * 1.5707963267948966
    z = x * x
    c = s = np.ones_like(u)
    for k in range(9, 0, -1):
        c = 1.0 - z * c / ((2 * k - 1) * (2 * k))
        s = 1.0 - z * s / ((2 * k) * (2 * k + 1))
    s = x * s
    turned = quarters.astype(np.int64) % 4
    return np.choose(turned, [c, -s, -c, s]), np.choose(turned, [s, c, -s, -c])
