"""Linear algebra under the methods: who computes together, what comes in, and what is applied.

`Ranks` are the processes that work together, `Matrix` is the gate for matrices, `as_vector` that
for vectors, `as_array` that for points and images, `checks` has those for other arguments, and an
`Operator` is what everything built by pympf derives from.
"""

from pympf.la import checks
from pympf.la.csr import INDEX_MAX, canonical_csr
from pympf.la.launcher import LauncherError, launched
from pympf.la.matrix import Matrix, as_csr, as_rows, is_symmetric
from pympf.la.operator import Operator
from pympf.la.ranks import Ranks
from pympf.la.vectors import as_array, as_vector, exact_real

__all__ = [
    "INDEX_MAX",
    "LauncherError",
    "Matrix",
    "Operator",
    "Ranks",
    "as_array",
    "as_csr",
    "as_rows",
    "as_vector",
    "canonical_csr",
    "checks",
    "exact_real",
    "is_symmetric",
    "launched",
]
