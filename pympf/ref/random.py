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

__all__ = ["Random", "philox"]

WORD = 0xFFFFFFFF


def philox(counter: Sequence[int], key: Sequence[int]) -> tuple[int, int, int, int]:
    """Map a counter of four 32-bit words and a key of two to four random words.

    Not collective.

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
