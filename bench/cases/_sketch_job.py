"""The job that the case `sketch` starts on ranks: D W [MATRICES]; rank 0 prints a line of JSON.

With MATRICES, the sum of the products of so many implicit matrices: seconds and memory of a rank.
"""

import json
import resource
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


def many(d, b, w, matrices):
    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    before, start = peak(), time.perf_counter()
    kinds = [BlockSparse(d, b=b, w=w, seed=1, name=i, comm=COMM) for i in range(matrices)]
    made = time.perf_counter() - start
    x = np.random.default_rng(COMM.rank).standard_normal(len(kinds[0].own_rows))
    total = np.zeros_like(x)
    COMM.Barrier()
    start = time.perf_counter()
    for R in kinds:
        total += R.apply(x)
    seconds = time.perf_counter() - start
    assert np.isfinite(total).all()
    return {
        "d": d,
        "make_s": COMM.allreduce(made, MPI.MAX),
        "apply_s": COMM.allreduce(seconds, MPI.MAX),
        "rank_bytes": COMM.allreduce(peak() - before, MPI.MAX),
        "held_bytes": COMM.allreduce(sum(R.nbytes for R in kinds), MPI.MAX),
    }


def main():
    pympf.set_num_threads(1)
    d, b = fit_dimension(int(sys.argv[1]))
    if len(sys.argv) > 3:
        row = many(d, b, int(sys.argv[2]), int(sys.argv[3]))
        if COMM.rank == 0:
            print(json.dumps(row))
        return
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
