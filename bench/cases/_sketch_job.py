"""The job that the case `sketch` starts on ranks: D W; rank 0 prints a line of JSON."""

import json
import sys
import time
from functools import partial

import numpy as np
from mpi4py import MPI

import pympf
from pympf.sketch import BlockSparse, fit_dimension

COMM = MPI.COMM_WORLD


def seconds(call, samples=5):
    taken = []
    for _ in range(samples + 1):
        COMM.Barrier()
        start = time.perf_counter()
        call()
        taken.append(COMM.allreduce(time.perf_counter() - start, MPI.MAX))
    return min(taken[1:])


def main():
    pympf.set_num_threads(1)
    d, b = fit_dimension(int(sys.argv[1]))
    row = {}
    for stored in (True, False):
        R = BlockSparse(d, b=b, w=int(sys.argv[2]), seed=1, stored=stored, comm=COMM)
        for k in (1, 32):
            X = np.random.default_rng(0).standard_normal((len(R.own_rows), k))
            X = X[:, 0].copy() if k == 1 else X
            name = f"{'stored' if stored else 'implicit'} {k}"
            row[name] = [seconds(partial(call, X)) for call in (R.apply, R.apply_transpose)]
    if COMM.rank == 0:
        print(json.dumps(row))


main()
