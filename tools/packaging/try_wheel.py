"""Import, factor, solve, search: what must work with a wheel and nothing of the system."""

import re
from pathlib import Path

import numpy as np
import scipy.sparse as sp

import pympf
from pympf.lsh import HyperplaneHash, Table

A = pympf.gallery.poisson((200, 200))
x = np.random.default_rng(0).standard_normal(A.shape[0])

solution = pympf.solve(A, A @ x)
assert solution.converged, solution
assert np.allclose(solution.x, x, atol=1e-4), abs(solution.x - x).max()

F = pympf.factorize(A, core_size=50)  # with LAPACK's eigenvectors of the core
assert np.allclose(F.solve(F @ x), x)

shifted = A - 0.5 * sp.eye_array(A.shape[0])  # indefinite: a sparse LU
solution = pympf.solve(shifted, shifted @ x)
assert solution.converged, solution

points = np.random.default_rng(1).standard_normal((2000, 32))
table = Table(HyperplaneHash(32, n_functions=8, n_tables=4)).fit(points)
_, ids = table.query(points[:5], k=1)
assert ids.ravel().tolist() == [0, 1, 2, 3, 4], ids

config = pympf.show_config()
print(config)
assert re.search(r"SuperLU +in the compiled core", config)
maps = Path("/proc/self/maps").read_text().splitlines()
files = {line.split(maxsplit=5)[-1] for line in maps if ".so" in line}
foreign = re.compile(r"/lib(mpi|petsc|blas|lapack|openblas|superlu|gomp|omp)\b")
assert not [file for file in files if foreign.search(file)], files
own = [file for file in files if "/pmmf.libs/" in file]
assert any("scipy_openblas" in file for file in own), files
