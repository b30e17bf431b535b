"""Checksums of the arrays in our HDF5 files.

HDF5's own (Fletcher's) does not tell 0x0000 from 0xFFFF. So every array has an attribute `crc32`:
``zlib.crc32`` of its bytes as they lie in the file. Sums of pieces are put together to the sum of
the whole, as the polynomials over two elements that they are: several ranks write and check an
array, each a part.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pympf.la.ranks import Ranks, first_row

NAME = "crc32"
POLYNOMIAL = 0xEDB88320
PIECE = 1 << 22
"""Entries that are read at a time."""


def crc_of(values: NDArray[Any]) -> int:
    """Return the checksum of an array in C order."""
    return zlib.crc32(np.ascontiguousarray(values).data) if values.size else 0


def combined(pieces: Iterable[tuple[int, int]]) -> int:
    """Return the checksum of pieces one behind the other, each given by checksum and bytes."""
    total = 0
    for crc, size in pieces:
        # crc(a b) = crc(a) x^(8 |b|) + crc(b)
        total = _times_power(total, 8 * size) ^ crc
    return total


def _times_power(crc: int, exponent: int) -> int:
    """Return crc x^exponent modulo the polynomial, whose bits are reversed."""
    power = 1 << 30  # x
    while exponent:
        if exponent & 1:
            crc = _product(crc, power)
        power = _product(power, power)
        exponent >>= 1
    return crc


def _product(a: int, b: int) -> int:
    out = 0
    while a:
        if a & 0x80000000:
            out ^= b
        a = (a << 1) & 0xFFFFFFFF
        b = (b >> 1) ^ (POLYNOMIAL if b & 1 else 0)
    return out


def label(dataset: Any, crc: int) -> None:
    """Write the checksum of a dataset."""
    dataset.attrs[NAME] = np.uint32(crc)


def add(group: Any, name: str, values: NDArray[Any]) -> None:
    """Write an array with its checksums."""
    dataset = group.create_dataset(name, data=values, fletcher32=values.size > 0)
    label(dataset, crc_of(values))


def verify(dataset: Any, values: NDArray[Any]) -> None:
    """Raise ValueError if a dataset says another checksum than that of its values."""
    _compare(dataset, crc_of(values) if NAME in dataset.attrs else 0)


def _compare(dataset: Any, crc: int) -> None:
    if NAME in dataset.attrs and crc != int(dataset.attrs[NAME]):
        raise ValueError(f"{dataset.name} is damaged: its checksum is another one")


def check(group: Any, ranks: Ranks | None = None) -> None:
    """Raise ValueError if an array in a group, or below it, has another checksum than it says.

    Collective. Each rank reads its share. Arrays without a checksum pass: they are of others, or of
    pympf 0.1.
    """
    datasets: list[Any] = []
    group.visititems(lambda _, item: datasets.append(item) if NAME in item.attrs else None)
    ranks = Ranks(None) if ranks is None else ranks
    pieces = []
    with ranks.guard():
        pieces = [_share(dataset, ranks.rank, ranks.size) for dataset in datasets]
    every = ranks.gather(pieces)
    for dataset, of_ranks in zip(datasets, zip(*every, strict=True), strict=True):
        _compare(dataset, combined(of_ranks))


def _share(dataset: Any, rank: int, ranks: int) -> tuple[int, int]:
    """Return the checksum and the bytes of a rank's part of an array."""
    if dataset.size == 0:
        return 0, 0
    first, last = (first_row(len(dataset), place, ranks) for place in (rank, rank + 1))
    step = max(1, PIECE * len(dataset) // dataset.size)
    crc = size = 0
    for start in range(first, last, step):
        values = np.ascontiguousarray(dataset[start : min(start + step, last)])
        crc, size = zlib.crc32(values.data, crc), size + values.nbytes
    return crc, size
