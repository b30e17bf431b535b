"""Where the rows of a matrix would better be: a graph partitioner, through PETSc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pympf.la import Matrix

__all__ = ["find_parts"]


def find_parts(A: Matrix, block_size: int) -> NDArray[np.int32]:
    """Give each own row a rank, so that few entries couple rows of different ranks.

    Collective. The partitioner is PETSc's choice (PT-Scotch, ParMETIS), or that of its option
    ``-mat_partitioning_type``.

    Parameters
    ----------
    A : Matrix, shape (n, n)
    block_size : int
        Rows of a node, which stay together.

    Returns
    -------
    numpy.ndarray of int32, shape (n_local,)

    Raises
    ------
    ImportError
        If there is no petsc4py, or its PETSc has no partitioner.
    """
    with A.ranks.guard():
        PETSc = _petsc()
    comm = A.ranks.comm
    own, total = (size // block_size for size in A.local_shape)
    graph = _node_graph(A.csr, A.rows.start, block_size)
    matrix = PETSc.Mat().createAIJ(
        ((own, total), (own, total)),
        csr=(
            graph.indptr.astype(PETSc.IntType),
            graph.indices.astype(PETSc.IntType),
            np.ones(graph.nnz, PETSc.ScalarType),
        ),
        comm=comm,
    )
    # Partitioners want both directions; Dirichlet rows and entries stored once have one.
    mirrored = matrix.duplicate(copy=True)
    mirrored.transpose()
    matrix.axpy(1.0, mirrored, structure=PETSc.Mat.Structure.DIFFERENT)
    partitioning, ranks = PETSc.MatPartitioning().create(comm), PETSc.IS().create(comm)
    partitioning.setAdjacency(matrix.convert("mpiadj"))
    partitioning.setFromOptions()
    if partitioning.getType() == PETSc.MatPartitioning.Type.PARTITIONINGCURRENT:
        raise ImportError(
            "repartition: the PETSc of petsc4py was built without a graph partitioner; configure "
            "it with --download-ptscotch or --download-parmetis"
        )
    with _one_thread_of_scotch():
        partitioning.apply(ranks)
    parts = np.repeat(ranks.getIndices().astype(np.int32), block_size)
    for thing in (ranks, partitioning, matrix, mirrored):
        thing.destroy()
    return parts


@contextmanager
def _one_thread_of_scotch() -> Iterator[None]:
    """Make PT-Scotch repeatable: with more threads it gives another partition in every run."""
    name = "SCOTCH_PTHREAD_NUMBER"
    if name in os.environ:
        yield
        return
    os.environ[name] = "1"
    try:
        yield
    finally:
        del os.environ[name]


def _petsc() -> Any:
    try:
        from petsc4py import PETSc
    except ModuleNotFoundError as error:
        raise ImportError(
            "repartition: the partitioner is reached through petsc4py, and there is none: "
            "pip install petsc4py==<version of your PETSc>, with PETSC_DIR set"
        ) from error
    return PETSc


def _node_graph(A: sp.csr_array, first_row: int, block_size: int) -> sp.csr_array:
    """Which nodes own nodes are coupled with, themselves left out."""
    entries = A.tocoo()
    rows, columns = entries.row // block_size, entries.col // block_size
    first = first_row // block_size
    couples = (entries.data != 0) & (columns != rows + first)
    shape = (A.shape[0] // block_size, A.shape[1] // block_size)
    return sp.csr_array((np.ones(couples.sum()), (rows[couples], columns[couples])), shape=shape)
