"""Locality sensitive hashing: families of hash functions, buckets, and tables of points.

>>> import numpy as np
>>> from pympf.lsh import HyperplaneHash, Table
>>> X = np.random.default_rng(0).standard_normal((1000, 16))
>>> table = Table(HyperplaneHash(16, n_functions=6, n_tables=8, seed=1)).fit(X)
>>> distances, ids = table.query(X[:3], k=2)
>>> ids[:, 0].tolist(), distances[:, 0].tolist()
([0, 1, 2], [0.0, 0.0, 0.0])
"""

from pympf.lsh.buckets import BucketIndex
from pympf.lsh.distributed import DistributedTable
from pympf.lsh.families import EuclideanHash, HyperplaneHash
from pympf.lsh.report import TableReport
from pympf.lsh.suggestion import Suggestion
from pympf.lsh.table import Table

__all__ = [
    "BucketIndex",
    "DistributedTable",
    "EuclideanHash",
    "HyperplaneHash",
    "Suggestion",
    "Table",
    "TableReport",
]
