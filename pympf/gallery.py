"""Matrices to try things on: model problems of the papers, random graphs, the random walker.

All are `scipy.sparse.csr_array` of float64 in canonical form. Every one but `anisotropic` and
`elasticity` is a graph Laplacian of weighted edges plus a diagonal, so `_stiffness` puts all of
these together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from pympf import la

__all__ = [
    "anisotropic",
    "barabasi_albert",
    "convection_diffusion",
    "directed_neighbours",
    "disc",
    "elasticity",
    "laplacian",
    "poisson",
    "random_geometric_graph",
    "random_walker",
    "shifted",
    "thesis_problem",
]

Edges = tuple[NDArray[np.int32], NDArray[np.int32]]


def poisson(shape: int | Sequence[int]) -> sp.csr_array:
    """Laplacian of a grid in any number of dimensions, with zeros prescribed around it.

    Not collective. Central differences of second order, not divided by the square of the mesh
    width: 2d on the diagonal, -1 for each neighbour.

    Parameters
    ----------
    shape : int or sequence of int
        The number of inner grid points along each of the d axes.

    Returns
    -------
    scipy.sparse.csr_array, shape (n, n)
        n is the product of `shape`; the last axis runs fastest.

    Raises
    ------
    ValueError
        If a size is not positive, or n is above 2^31 - 1.

    Examples
    --------
    >>> from pympf import gallery
    >>> gallery.poisson(3).toarray()
    array([[ 2., -1.,  0.],
           [-1.,  2., -1.],
           [ 0., -1.,  2.]])
    """
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    axes = _grid_edges(shape)
    n = math.prod(shape)
    i, j = (np.concatenate(ends) for ends in zip(*axes, strict=True))
    return _stiffness(np.full(n, 2.0 * len(shape)), i, j, np.ones(len(i)))


def disc(n: int) -> sp.csr_array:
    """Diffusion with coefficients that jump by 10^6: the thesis's problem "2D Disc".

    Not collective. Finite volumes on n x n cells of the unit square, zeros prescribed on the
    boundary, coefficient 1e-3 in the quadrant x <= 1/2 <= y, 1e3 in y <= 1/2 <= x, else 1;
    harmonic means on the faces between cells, half a cell's distance to the boundary. As in
    `poisson`, not divided by the square of the mesh width.

    Parameters
    ----------
    n : int
        The number of cells along each axis.

    Returns
    -------
    scipy.sparse.csr_array, shape (n^2, n^2)
        x runs fastest.

    Raises
    ------
    ValueError
        If `n` is not positive, or n^2 above 2^31 - 1.

    References
    ----------
    T. F. Chan, W. P. Tang, W. L. Wan, Wavelet sparse approximate inverse preconditioners,
    BIT 37(3), 1997, 644-660.

    Examples
    --------
    >>> from pympf import gallery
    >>> gallery.disc(2).diagonal()
    array([6.000000e+00, 4.003996e+03, 7.996004e-03, 6.000000e+00])
    """
    axes = _grid_edges((n, n))
    centre = (np.arange(n) + 0.5) / n
    x, y = centre, centre[:, None]
    cells = np.where((x <= 0.5) & (y >= 0.5), 1e-3, np.where((x >= 0.5) & (y <= 0.5), 1e3, 1.0))
    boundary = np.zeros((n, n))
    for face in (boundary[0], boundary[-1], boundary[:, 0], boundary[:, -1]):
        face += 2
    diagonal = (boundary * cells).ravel()
    k = cells.ravel()
    i, j = (np.concatenate(ends) for ends in zip(*axes, strict=True))
    weights = 2 * k[i] * k[j] / (k[i] + k[j])
    return _stiffness(diagonal + _degrees(n * n, i, j, weights), i, j, weights)


def convection_diffusion(
    n: int,
    speed: float,
    *,
    flow: str = "recirculating",
    dimensions: int = 2,
    differences: str = "upwind",
) -> sp.csr_array:
    """Flow that carries along what diffuses: −Δu + v·∇u, not symmetric.

    Not collective. Central differences for the diffusion on n^d inner nodes of the unit square or
    cube, with zeros prescribed around it.

    Parameters
    ----------
    n : int
        Nodes along an axis.
    speed : float
        |v|; 0 gives the Laplacian, divided by the square of the mesh width.
    flow : {'recirculating', 'constant'}
        v turns around the middle, or is the same everywhere.
    dimensions : {2, 3}
    differences : {'upwind', 'central'}
        Of the convection. Upwind ones give an M-matrix at any speed.

    Returns
    -------
    scipy.sparse.csr_array, shape (n^d, n^d)
        The last axis runs fastest.

    Raises
    ------
    ValueError
        If a parameter is none of these, or the speed is negative or not finite.

    Examples
    --------
    >>> from pympf import gallery
    >>> A = gallery.convection_diffusion(10, 100.0)
    >>> A.shape, bool((abs(A - A.T) > 0).nnz)
    ((100, 100), True)
    """
    _check_flow(n, speed, flow, dimensions, differences)
    h = 1 / (n + 1)
    axes = np.meshgrid(*[np.arange(1, n + 1) * h] * dimensions, indexing="ij")
    velocity = [speed * part for part in _flow(flow, axes)]
    place = np.arange(n**dimensions).reshape((n,) * dimensions)
    diagonal = np.full(place.shape, 2 * dimensions / h**2)
    rows, columns, values = [place.ravel()], [place.ravel()], [diagonal.ravel()]
    for axis, v in enumerate(velocity):
        if differences == "upwind":
            diagonal += abs(v) / h
            before, behind = np.maximum(v, 0) / h, np.maximum(-v, 0) / h
        else:
            before, behind = v / (2 * h), -v / (2 * h)
        first = tuple(slice(0, -1) if a == axis else slice(None) for a in range(dimensions))
        last = tuple(slice(1, None) if a == axis else slice(None) for a in range(dimensions))
        rows += [place[last].ravel(), place[first].ravel()]
        columns += [place[first].ravel(), place[last].ravel()]
        values += [-(1 / h**2 + before)[last].ravel(), -(1 / h**2 + behind)[first].ravel()]
    values[0] = diagonal.ravel()
    places = (np.concatenate(rows), np.concatenate(columns))
    return sp.csr_array((np.concatenate(values), places), shape=(place.size, place.size))


def _check_flow(n: int, speed: float, flow: str, dimensions: int, differences: str) -> None:
    if n < 1:
        raise ValueError(f"n = {n} is not positive")
    if not (np.isfinite(speed) and speed >= 0):
        raise ValueError(f"speed = {speed} is not a finite number >= 0")
    if dimensions not in (2, 3):
        raise ValueError(f"dimensions = {dimensions} is not 2 or 3")
    if flow not in ("recirculating", "constant"):
        raise ValueError(f"flow = {flow!r} is not one of recirculating, constant")
    if differences not in ("upwind", "central"):
        raise ValueError(f"differences = {differences!r} is not one of upwind, central")


def _flow(flow: str, axes: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Return the velocity at speed 1."""
    x, y = axes[:2]
    if flow == "constant":
        direction = (np.cos(0.5), np.sin(0.5)) if len(axes) == 2 else (0.8, 0.5, 0.33)
        return [np.full(x.shape, part) for part in direction]
    if len(axes) == 2:
        return [4 * x * (x - 1) * (1 - 2 * y), -4 * y * (y - 1) * (1 - 2 * x)]
    z = axes[2]
    return [
        2 * x * (1 - x) * (2 * y - 1) * z,
        -2 * (2 * x - 1) * y * (1 - y) * z,
        0.1 * np.sin(2 * np.pi * x),
    ]


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


def anisotropic(n: int, epsilon: float = 1e-3, angle: float = math.pi / 6) -> sp.csr_array:
    """Diffusion that is strong in one direction, at any angle to the grid.

    Not collective. Bilinear finite elements for -div K grad u on n x n inner nodes, with zeros
    prescribed around them, K = R diag(1, epsilon) R^T and R the rotation by `angle`.

    Parameters
    ----------
    n : int
        The number of inner nodes along each axis.
    epsilon : float
        Diffusion across the strong direction over that along it; positive.
    angle : float
        Between the strong direction and the x axis, in radians.

    Returns
    -------
    scipy.sparse.csr_array, shape (n^2, n^2)
        x runs fastest. At most nine entries in a row.

    Raises
    ------
    ValueError
        If `n` is not positive, n^2 above 2^31 - 1, `epsilon` not positive, or one of `epsilon`
        and `angle` not finite.

    Examples
    --------
    >>> from pympf import gallery
    >>> gallery.anisotropic(3, epsilon=1).toarray()[4].round(3).tolist()
    [-0.333, -0.333, -0.333, -0.333, 2.667, -0.333, -0.333, -0.333, -0.333]
    """
    _check_shape((n, n))
    if not (0 < epsilon < math.inf and math.isfinite(angle)):
        raise ValueError(
            f"expected a positive epsilon and a finite angle, got epsilon = {epsilon!r}, "
            f"angle = {angle!r}"
        )
    stiffness, mass, slope = (
        sp.diags_array(entries, offsets=[-1, 0, 1], shape=(n, n))
        for entries in ([-1.0, 2.0, -1.0], [1 / 6, 4 / 6, 1 / 6], [-1 / 2, 0.0, 1 / 2])
    )
    c, s = math.cos(angle), math.sin(angle)
    along, across = c * c + epsilon * s * s, s * s + epsilon * c * c
    A = along * sp.kron(mass, stiffness) + across * sp.kron(stiffness, mass)
    return la.as_csr(A - 2 * (1 - epsilon) * c * s * sp.kron(slope, slope))


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
    return _adjacency(n, edges[:, 0], edges[:, 1])


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
    return _adjacency(n, i, j)


def elasticity(
    shape: Sequence[int], *, clamped: bool = True, poisson_ratio: float = 0.3
) -> sp.csr_array:
    """Plane stress of an elastic sheet: bilinear finite elements on unit squares.

    Not collective. Young's modulus and the thickness are 1, so the mesh width drops out. The node
    (i, j) has the unknowns 2 (i shape[1] + j) and the next one, its displacements along the two
    axes; `pympf.rigid_body_modes` of the nodes' coordinates are the near-nullspace, and the kernel
    of a sheet that is not clamped.

    Parameters
    ----------
    shape : (int, int)
        Nodes along the two axes, at least 2; one more along the first axis is held when `clamped`.
    clamped : bool
        Hold the nodes on the side before the first ones: positive definite. Else the sheet is free:
        semidefinite.
    poisson_ratio : float
        Above -1 and below 1/2.

    Returns
    -------
    scipy.sparse.csr_array, shape (2 n, 2 n)
        n is the product of `shape`.

    Raises
    ------
    ValueError
        If `shape` has not two sizes of at least 2, `poisson_ratio` is out of range, or there
        are more than 2^31 - 1 rows.

    References
    ----------
    T. J. R. Hughes, The Finite Element Method, Dover, 2000, sections 2.7 and 3.2.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> A = pympf.gallery.elasticity((4, 3), clamped=False)
    >>> modes = pympf.rigid_body_modes([(i, j) for i in range(4) for j in range(3)])
    >>> bool(abs(A @ modes).max() < 1e-14)
    True
    """
    shape = tuple(shape)
    _check_shape((*shape, 2))
    if len(shape) != 2 or min(shape) < 2:
        raise ValueError(f"expected two sizes of at least 2, got {shape}")
    if not -1 < poisson_ratio < 0.5:
        raise ValueError(f"expected -1 < poisson_ratio < 0.5, got {poisson_ratio}")
    rows, columns = shape[0] + clamped, shape[1]
    node = np.arange(rows * columns).reshape(rows, columns)
    corners = np.stack([node[:-1, :-1], node[:-1, 1:], node[1:, :-1], node[1:, 1:]], axis=-1)
    unknowns = (2 * corners.reshape(-1, 4, 1) + [0, 1]).reshape(-1, 8)
    stiffness = _square_of_sheet(poisson_ratio)
    A = sp.coo_array(
        (
            np.tile(stiffness.ravel(), len(unknowns)),
            (np.repeat(unknowns, 8, axis=1).ravel(), np.tile(unknowns, 8).ravel()),
        ),
        shape=(2 * node.size, 2 * node.size),
    ).tocsr()
    held = 2 * columns if clamped else 0
    A = A[held:, held:]
    return la.canonical_csr((A + A.T) / 2)  # sums of the same numbers in another order


def _square_of_sheet(poisson_ratio: float) -> NDArray[np.float64]:
    """Stiffness of a unit square; corners (0, 0), (0, 1), (1, 0), (1, 1), two unknowns each."""
    nu = poisson_ratio
    law = np.array([[1, nu, 0], [nu, 1, 0], [0, 0, (1 - nu) / 2]]) / (1 - nu**2)
    gauss = 0.5 + np.array([-0.5, 0.5]) / math.sqrt(3)
    K = np.zeros((8, 8))
    for x in gauss:
        for y in gauss:
            along_x = np.array([y - 1, -y, 1 - y, y])
            along_y = np.array([x - 1, 1 - x, -x, x])
            strain = np.zeros((3, 8))
            strain[0, ::2], strain[1, 1::2] = along_x, along_y
            strain[2, ::2], strain[2, 1::2] = along_y, along_x
            K += strain.T @ law @ strain / 4
    return (K + K.T) / 2


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


def random_walker(
    image: ArrayLike, labels: ArrayLike, beta: float = 90.0
) -> tuple[sp.csr_array, NDArray[np.float64], NDArray[np.int64]]:
    """Linear system that segments an image from a few labelled pixels.

    Not collective. The probability that a random walker, who crosses edges of the pixel grid (4
    neighbours) in proportion to the weights

        w_ij = exp(-beta |g_i - g_j|^2 / max |g_k - g_l|^2) + 1e-6,

    reaches a pixel of some label first is harmonic: it solves A x = b, where A is the graph
    Laplacian without the rows and columns of the labelled pixels and b holds the weights of the
    edges to pixels of that label.

    Parameters
    ----------
    image : array_like, shape (h, w) or (h, w, c)
        Grey values g, or c colours.
    labels : array_like of int, shape (h, w)
        0 where a pixel is not labelled; there must be two or more different positive labels.
    beta : float
        How strongly edges of the image keep the walker from crossing them.

    Returns
    -------
    A : scipy.sparse.csr_array, shape (n, n)
        Symmetric positive definite; n is the number of pixels not labelled.
    b : numpy.ndarray, shape (n,) or (n, k)
        With two labels the right-hand side of the smaller one; with k > 2 one column for each, in
        increasing order. The solutions of all labels add up to one.
    unknowns : numpy.ndarray, shape (n,)
        The pixel ``row * w + column`` to which each row belongs.

    Raises
    ------
    ValueError
        If shapes do not fit, labels are negative, fewer than two or everywhere, or a value is not
        finite.
    TypeError
        If the image does not hold real numbers or the labels no integers.

    References
    ----------
    L. Grady, Random walks for image segmentation, IEEE Transactions on Pattern Analysis and
    Machine Intelligence 28(11), 2006, 1768-1783.

    Examples
    --------
    >>> from pympf import gallery
    >>> A, b, unknowns = gallery.random_walker([[7, 7, 7]], [[1, 0, 2]])
    >>> float(b[0] / A[0, 0])
    0.5
    """
    pixels, seeds, size = _check_image(image, labels, beta)
    i, j = (np.concatenate(ends) for ends in zip(*_grid_edges(size), strict=True))
    weights = _walker_weights(pixels, i, j, beta)
    full = _stiffness(_degrees(len(pixels), i, j, weights), i, j, weights)
    unknowns, known = np.flatnonzero(seeds == 0), np.flatnonzero(seeds)
    rows = full[unknowns]
    names = np.unique(seeds[known])
    indicators = (seeds[known, None] == names).astype(np.float64)
    b = -(rows[:, known] @ indicators)
    A = la.canonical_csr(rows[:, unknowns])
    return A, b[:, 0].copy() if len(names) == 2 else b, unknowns


def thesis_problem(name: str, n: int) -> tuple[sp.csr_array, NDArray[np.float64]]:
    """Model problem of Table 2.1 of the thesis.

    Not collective. All are of the form div(k grad u) = f on the unit interval, square or cube with
    u = 0 on the boundary; the sign is turned so that A is positive definite, and both sides are
    multiplied by the square of the mesh width.

    Parameters
    ----------
    name : {"1D Laplacian", "2D Laplacian", "3D Laplacian", "2D Disc"}
        The problem.
    n : int
        The number of rows; a square for the 2-D and a cube for the 3-D problems.

    Returns
    -------
    A : scipy.sparse.csr_array, shape (n, n)
        The matrix: `poisson` or `disc`.
    b : numpy.ndarray, shape (n,)
        The right-hand side.

    Raises
    ------
    ValueError
        If there is no such problem, or `n` is not the number of points of a grid.

    Examples
    --------
    >>> from pympf import gallery
    >>> A, b = gallery.thesis_problem("2D Laplacian", 256)
    >>> A.shape, b.shape
    ((256, 256), (256,))
    """
    if name not in _THESIS_PROBLEMS:
        raise ValueError(f"expected one of {sorted(_THESIS_PROBLEMS)}, got {name!r}")
    axes, cell_centred, source = _THESIS_PROBLEMS[name]
    side = round(n ** (1 / axes)) if n > 0 else 0
    if side < 1 or side**axes != n:
        raise ValueError(f"{name}: expected n = k^{axes} rows with k >= 1, got {n}")
    points = (np.arange(side) + 0.5) / side if cell_centred else np.arange(1, side + 1) / (side + 1)
    width = 1 / side if cell_centred else 1 / (side + 1)
    x, y = points, points[:, None] if axes > 1 else np.zeros(1)
    f = np.broadcast_to(source(x, y), (side,) * axes)
    A = disc(side) if cell_centred else poisson((side,) * axes)
    return A, -(width**2) * f.ravel()


Source = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]

# Number of axes, whether unknowns lie in the middle of cells, right-hand side f(x, y).
_THESIS_PROBLEMS: dict[str, tuple[int, bool, Source]] = {
    "1D Laplacian": (1, False, lambda x, y: np.exp(x) / (1 + x**2)),
    "2D Laplacian": (2, False, lambda x, y: -100 * x**2 + 0 * y),
    "3D Laplacian": (3, False, lambda x, y: -100 * x**2 + 0 * y),
    "2D Disc": (2, True, lambda x, y: np.sin(np.pi * x * y)),
}


def _check_shape(shape: tuple[int, ...]) -> None:
    if not shape or any(size < 1 for size in shape):
        raise ValueError(f"expected positive sizes, got {shape}")
    if math.prod(shape) > la.INDEX_MAX:
        raise ValueError(f"expected at most {la.INDEX_MAX} rows, got {' x '.join(map(str, shape))}")


def _grid_edges(shape: tuple[int, ...]) -> list[Edges]:
    """Return for each axis the pairs of neighbours along it, by their index in C order."""
    _check_shape(shape)
    index = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
    return [
        (
            np.delete(index, -1, axis).ravel(),
            np.delete(index, 0, axis).ravel(),
        )
        for axis in range(len(shape))
    ]


def _degrees(
    n: int, i: NDArray[np.int32], j: NDArray[np.int32], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray(np.bincount(i, weights, n) + np.bincount(j, weights, n))


def _stiffness(
    diagonal: NDArray[np.float64],
    i: NDArray[np.int32],
    j: NDArray[np.int32],
    weights: NDArray[np.float64],
) -> sp.csr_array:
    """Matrix with the given diagonal, and -weights at (i, j) and (j, i)."""
    n = len(diagonal)
    every = np.arange(n, dtype=np.int32)
    rows, columns = np.concatenate([every, i, j]), np.concatenate([every, j, i])
    values = np.concatenate([diagonal, -weights, -weights])
    return la.canonical_csr(sp.coo_array((values, (rows, columns)), shape=(n, n)))


def _adjacency(n: int, i: NDArray[np.int32], j: NDArray[np.int32]) -> sp.csr_array:
    rows, columns = np.concatenate([i, j]), np.concatenate([j, i])
    return la.canonical_csr(sp.coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, n)))


def _uniforms(seed: int) -> Iterator[float]:
    rng = np.random.default_rng(seed)
    while True:
        # By the thousand: a call of the generator costs as much as a hundred numbers.
        yield from rng.random(4096).tolist()


def _check_image(
    image: ArrayLike, labels: ArrayLike, beta: float
) -> tuple[NDArray[np.float64], NDArray[Any], tuple[int, int]]:
    """Return pixels (n, c), labels (n,) and the shape of the grid."""
    la.checks.no_masks(image, "image")
    la.checks.no_masks(labels, "labels")
    pixels = la.exact_real(np.asarray(image), "image").astype(np.float64)
    seeds = np.asarray(labels)
    if pixels.ndim not in (2, 3) or 0 in pixels.shape or seeds.shape != pixels.shape[:2]:
        raise ValueError(
            f"expected an image of shape (h, w) or (h, w, c) and labels of shape (h, w), "
            f"got {pixels.shape} and {seeds.shape}"
        )
    if seeds.dtype.kind not in "iu":
        raise TypeError(f"expected integer labels, got {seeds.dtype}")
    if seeds.min() < 0 or seeds.all() or len(np.unique(seeds[seeds > 0])) < 2:
        raise ValueError("expected labels >= 0, two different ones above 0, and 0 somewhere")
    if not np.isfinite(pixels).all() or not (math.isfinite(beta) and beta >= 0):
        raise ValueError(f"expected finite pixels and a finite beta >= 0, got beta = {beta}")
    return pixels.reshape(seeds.size, -1), seeds.ravel(), (seeds.shape[0], seeds.shape[1])


def _walker_weights(
    pixels: NDArray[np.float64], i: NDArray[np.int32], j: NDArray[np.int32], beta: float
) -> NDArray[np.float64]:
    gradient = ((pixels[i] - pixels[j]) ** 2).sum(axis=1)
    # A flat image has no gradient to compare with, and all edges weigh the same.
    return np.exp(-beta * gradient / (gradient.max() or 1.0)) + 1e-6
