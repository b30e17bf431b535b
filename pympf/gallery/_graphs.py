"""Graphs: random ones, their walks, and the Laplacian of any."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from pympf import la
from pympf.gallery._assembly import from_edges


def directed_neighbours(n: int, neighbours: int = 8, seed: int = 0) -> sp.csr_array:
    """Random walk to near points: P with rows that sum to one, not symmetric.

    Not collective. Each of n random points in the unit square goes to its nearest ones alike.
    I − αPᵀ is the matrix of a page rank with damping α.

    Parameters
    ----------
    n : int
    neighbours : int
        At least 1, below n.
    seed : int

    Returns
    -------
    scipy.sparse.csr_array, shape (n, n)

    Raises
    ------
    ValueError
        If there are not so many neighbours.

    Examples
    --------
    >>> from pympf import gallery
    >>> P = gallery.directed_neighbours(100)
    >>> P.nnz, round(float(P.sum()), 9)
    (800, 100.0)
    """
    if not 1 <= neighbours < n:
        raise ValueError(f"neighbours = {neighbours} is not in 1 .. {n - 1}")
    points = np.random.default_rng(seed).random((n, 2))
    near = cKDTree(points).query(points, neighbours + 1)[1][:, 1:]
    order = np.argsort(points[:, 0] // 0.02 + points[:, 1], kind="stable")
    number = np.empty(n, np.int64)
    number[order] = np.arange(n)
    rows = np.repeat(number, neighbours)
    values = np.full(rows.size, 1 / neighbours)
    P = sp.csr_array((values, (rows, number[near.ravel()])), shape=(n, n))
    P.sort_indices()
    return P


def random_geometric_graph(n: int, degree: float = 8, seed: int = 0) -> sp.csr_array:
    """Adjacency matrix of random points in the unit square, joined if they are close.

    Not collective.

    Parameters
    ----------
    n : int
        The number of nodes.
    degree : float
        The expected number of neighbours of a node that is far from the boundary.
    seed : int
        Of NumPy's default generator.

    Returns
    -------
    scipy.sparse.csr_array, shape (n, n)
        Ones for edges; a node without a neighbour is an empty row.

    Raises
    ------
    ValueError
        If `n` or `degree` is not positive.

    Examples
    --------
    >>> from pympf import gallery
    >>> gallery.random_geometric_graph(1000).shape
    (1000, 1000)
    """
    if n < 1 or not degree > 0:
        raise ValueError(f"expected n >= 1 and degree > 0, got n = {n}, degree = {degree}")
    points = np.random.default_rng(seed).random((n, 2))
    radius = math.sqrt(degree / (math.pi * n))
    edges = cKDTree(points).query_pairs(radius, output_type="ndarray").astype(np.int32)
    return from_edges(n, edges[:, 0], edges[:, 1])


def barabasi_albert(n: int, m: int = 4, seed: int = 0) -> sp.csr_array:
    """Adjacency matrix of a graph that grows by preferential attachment (power-law degrees).

    Not collective. Node m is joined to nodes 0 to m - 1; every later node is joined to m
    different earlier ones, drawn with probability proportional to their degree.

    Parameters
    ----------
    n : int
        The number of nodes.
    m : int
        The number of edges of a new node, less than `n`.
    seed : int
        Of NumPy's default generator.

    Returns
    -------
    scipy.sparse.csr_array, shape (n, n)
        Ones for the m (n - m) edges.

    Raises
    ------
    ValueError
        If not 1 <= m < n.

    References
    ----------
    A.-L. Barabasi, R. Albert, Emergence of scaling in random networks, Science 286, 1999, 509-512.

    Examples
    --------
    >>> from pympf import gallery
    >>> int(gallery.barabasi_albert(1000, m=4).sum()) // 2
    3984
    """
    if not 1 <= m < n:
        raise ValueError(f"expected 1 <= m < n, got n = {n}, m = {m}")
    uniform = _uniforms(seed)
    targets = list(range(m))
    # Every edge puts both of its ends here, so a uniform draw takes a node by its degree.
    ends: list[int] = []
    for node in range(m, n):
        ends += targets
        ends += [node] * m
        drawn: set[int] = set()
        while len(drawn) < m:
            drawn.add(ends[int(next(uniform) * len(ends))])
        targets = sorted(drawn)
    i, j = np.array(ends, np.int32).reshape(n - m, 2, m).transpose(1, 0, 2).reshape(2, -1)
    return from_edges(n, i, j)


def laplacian(adjacency: Any, shift: float = 0.0) -> sp.csr_array:
    """Graph Laplacian D - W + shift I of an undirected graph.

    Not collective.

    Parameters
    ----------
    adjacency : sparse array or matrix, 2-D array_like, or petsc4py.PETSc.Mat, shape (n, n)
        The symmetric matrix W of the weights. Self-loops cancel.
    shift : float
        Added to the diagonal; makes the matrix of positive weights positive definite.

    Returns
    -------
    scipy.sparse.csr_array, shape (n, n)
        D holds the row sums of W.

    Raises
    ------
    ValueError, TypeError
        As `pympf.la.as_csr`; or if `shift` is not finite.

    Examples
    --------
    >>> from pympf import gallery
    >>> gallery.laplacian([[0, 3], [3, 0]], shift=0.5).toarray()
    array([[ 3.5, -3. ],
           [-3. ,  3.5]])
    """
    weights = la.as_csr(adjacency).astype(np.float64)
    degrees = weights.sum(axis=1)
    return shifted(la.canonical_csr(sp.diags_array(degrees) - weights), shift)


def shifted(A: Any, shift: float) -> sp.csr_array:
    """Matrix with a multiple of the identity added: A + shift I.

    Not collective.

    Parameters
    ----------
    A : sparse array or matrix, 2-D array_like, or petsc4py.PETSc.Mat, shape (n, n)
        The matrix.
    shift : float
        Added to the diagonal.

    Returns
    -------
    scipy.sparse.csr_array, shape (n, n)
        Has the dtype of `A`.

    Raises
    ------
    ValueError, TypeError
        As `pympf.la.as_csr`, but for symmetry; or if `shift` is not finite.

    Examples
    --------
    >>> from pympf import gallery
    >>> gallery.shifted(gallery.poisson(2), -1).toarray()
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    A = la.as_csr(A, symmetric=False)
    if not math.isfinite(shift):
        raise ValueError(f"expected a finite shift, got {shift}")
    return la.canonical_csr(A + sp.diags_array(np.full(A.shape[0], shift, A.dtype)))


def _uniforms(seed: int) -> Iterator[float]:
    rng = np.random.default_rng(seed)
    while True:
        # By the thousand: a call of the generator costs as much as a hundred numbers.
        yield from rng.random(4096).tolist()
