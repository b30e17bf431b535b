"""Families of hash functions that the tests of hashing share."""

from pympf.lsh import EuclideanHash, HyperplaneHash

FAMILIES = [
    HyperplaneHash(6, 20, 2, offset=0.5, seed=2**64 - 1),
    EuclideanHash(6, 3, 4, width=0.3, seed=7),
]
