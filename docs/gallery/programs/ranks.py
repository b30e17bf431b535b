"""Solve on all ranks of a job: `mpirun -n 4 python ranks.py`. You learn what each rank brings."""

import numpy as np
from mpi4py import MPI

import pympf

comm = MPI.COMM_WORLD
m = 300
whole = pympf.gallery.poisson((m, m))  # in earnest each rank assembles its rows alone
first, last = (m * m * r // comm.size for r in (comm.rank, comm.rank + 1))
A = whole[first:last]  # own rows, with the columns of the whole matrix
b = A @ np.ones(m * m)  # own entries

solution = pympf.solve(A, b, comm=comm, rtol=1e-10)
error = comm.allreduce(np.abs(solution.x - 1).max(), MPI.MAX)
if comm.rank == 0:
    print(solution.choice)
    print(f"{comm.size} ranks: {solution.iterations} iterations, largest error {error:.1e}")
