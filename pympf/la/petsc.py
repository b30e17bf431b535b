"""Matrices of petsc4py on their way in; petsc4py is imported when one has come."""

from __future__ import annotations

import sys
from typing import Any

import scipy.sparse as sp

from pympf.la.ranks import Ranks

__all__ = ["comm_of", "is_petsc", "rows_of"]


def is_petsc(thing: Any) -> bool:
    """Tell whether something is an object of petsc4py. Not collective."""
    return "petsc4py" in sys.modules and any(
        cls.__module__.partition(".")[0] == "petsc4py" for cls in type(thing).__mro__
    )


def comm_of(A: Any) -> Any:
    """Return the communicator of a PETSc matrix over several ranks, else None. Not collective."""
    if not is_petsc(A) or A.getComm().getSize() == 1:
        return None
    return A.getComm().tompi4py()


def rows_of(mat: Any, ranks: Ranks) -> sp.csr_array:
    """Copy this rank's rows of a PETSc matrix, which must be one of these ranks. Not collective."""
    size = mat.getComm().getSize()
    if ranks.comm is None and size > 1:
        raise ValueError(f"expected a matrix on one process, got one on {size}")
    if ranks.comm is not None and not ranks.are(mat.getComm().tompi4py()):
        raise ValueError(
            f"expected a PETSc matrix on the {ranks.size} ranks of comm, got one on {size}"
        )
    from petsc4py import PETSc

    # With `out` missing, convert() would change the caller's matrix in place.
    aij = mat.convert("aij", out=PETSc.Mat())
    try:
        indptr, indices, data = aij.getValuesCSR()
    finally:
        aij.destroy()
    return sp.csr_array((data, indices, indptr), shape=(len(indptr) - 1, mat.getSize()[1]))
