"""The systems of the suite: generated families of any size, and the matrices of a collection.

A system is a matrix with a right-hand side and what a user knows of it. Matrices are kept below
build/bench once they are built.
"""

import csv
import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure
import numpy as np
import problems
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay

import pympf
from pympf import gallery, io, la
from pympf.comparison.system import System

COLLECTION = measure.ROOT.parent / "shared/data/matrices"
CACHE = measure.SCRATCH / "matrices"
LEAST_ROWS = 1000

DEFINITE, INDEFINITE = "definite", "indefinite"
LAPLACIAN, SHIFTED = "Laplacian", "shifted Laplacian"

# Adjacency matrices that are stored with numbers, so that nothing in the file says what they are.
ADJACENCY = ("USpowerGrid",)


def member(**point: Any) -> System:
    """Give the system that a point of the suite names."""
    return stored(**point) if "file" in point else generated(**point)


def generated(family: str, rows: int) -> System:
    """The member of a family that has about so many rows, with a random right-hand side."""
    A = _cached(f"{family} {rows}", lambda: FAMILIES[family](rows))
    b = problems.random_vector(A.shape[0])
    if family != ELASTICITY:
        return System(A, b, definite=family not in WAVES)
    side = _side(rows, 2, unknowns=2)
    points = np.stack(np.unravel_index(np.arange(side * side), (side, side)), axis=1)
    return System(A, b, near_nullspace=pympf.rigid_body_modes(points), block_size=2)


def stored(file: str, variant: str) -> System:
    """A matrix from a file: as it is, with b = A x for a random x, or a Laplacian and a random b.

    With b itself random, rounding alone would keep the residual of the worst conditioned ones above
    the tolerance, whatever the method.
    """
    laplacian = variant in (LAPLACIAN, SHIFTED)
    A = _cached(f"{file} {variant}", lambda: _graph(file, variant) if laplacian else _plain(file))
    x = problems.random_vector(A.shape[0])
    if variant == LAPLACIAN:
        part = connected_components(A, directed=False)[1]
        means = np.bincount(part, x) / np.bincount(part)
        return System(A, x - means[part], kernel=_kernel(part))
    return System(A, x if laplacian else A @ x, definite=variant != INDEFINITE)


def _plain(file: str) -> sp.csr_array:
    return la.as_csr(io.read_matrix(measure.ROOT / file))


def _graph(file: str, variant: str) -> sp.csr_array:
    weights = abs(_plain(file))  # some graphs have weights of both signs
    A = gallery.laplacian(weights)
    return gallery.shifted(A, 1e-6 * A.diagonal().mean()) if variant == SHIFTED else A


def _kernel(part: np.ndarray, most: int = 10) -> np.ndarray:
    """Constants on each component; of very many the constant alone, for they would cost too much"""
    if part.max() >= most:
        part = np.zeros_like(part)
    indicators = (part[:, None] == np.arange(part.max() + 1)).astype(float)
    return indicators / np.linalg.norm(indicators, axis=0)


def collection() -> list[dict[str, Any]]:
    """What `stored` takes, for every symmetric matrix of the collection with enough rows."""
    if not COLLECTION.is_dir():
        return []
    with (COLLECTION / "MANIFEST.csv").open() as stream:
        symmetric = [row for row in csv.DictReader(stream) if row["symmetric"] == "yes"]
    return [
        {
            "file": measure.from_root(COLLECTION / row["kind"] / f"{row['name']}.mtx.gz"),
            "variant": variant,
        }
        for row in symmetric
        if int(row["rows"]) >= LEAST_ROWS
        for variant in _variants(row)
    ]


def _variants(row: dict[str, str]) -> list[str]:
    if row["kind"] == "graph" or row["field"] == "pattern" or row["name"] in ADJACENCY:
        return [LAPLACIAN, SHIFTED]
    return [DEFINITE if row["positive_definite"].startswith("yes") else INDEFINITE]


def _cached(name: str, build: Callable[[], sp.csr_array]) -> sp.csr_array:
    made_by = f"{name} {Path(__file__).read_text()}"
    file = CACHE / f"{hashlib.sha256(made_by.encode()).hexdigest()[:16]}.npz"
    if not file.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        io.write_matrix(file, build())
    return la.as_csr(io.read_matrix(measure.ROOT / file))


# ---- families ------------------------------------------------------------------------------------


def _side(rows: int, axes: int, unknowns: int = 1) -> int:
    return max(2, round((rows / unknowns) ** (1 / axes)))


def _weighted(n: int, i: Any, j: Any, weights: Any, diagonal: Any) -> sp.csr_array:
    """Laplacian of weighted edges plus a diagonal."""
    half = sp.coo_array((weights, (i, j)), shape=(n, n))
    W = half + half.T
    return la.as_csr(sp.diags_array(W.sum(axis=1) + diagonal) - W)


def _finite_volumes(*k: np.ndarray) -> sp.csr_array:
    """Diffusion with coefficient k[a] of the cells along axis a: harmonic means on the faces.

    Zeros are prescribed on the boundary, half a cell away.
    """
    index = np.arange(k[0].size).reshape(k[0].shape)
    ends, weights, boundary = [], [], np.zeros(index.shape)
    for axis, cells in enumerate(k):
        left, right = (np.delete(cells, at, axis) for at in (-1, 0))
        ends.append([np.delete(index, at, axis).ravel() for at in (-1, 0)])
        weights.append((2 * left * right / (left + right)).ravel())
        for end in (0, -1):
            face = tuple(end if a == axis else slice(None) for a in range(index.ndim))
            boundary[face] += 2 * cells[face]
    i, j = np.concatenate(ends, axis=1)
    return _weighted(index.size, i, j, np.concatenate(weights), boundary.ravel())


def _poisson(axes: int) -> Callable[[int], sp.csr_array]:
    return lambda rows: gallery.poisson((_side(rows, axes),) * axes)


def _waves(axes: int, shift: float) -> Callable[[int], sp.csr_array]:
    """A shifted Laplacian: about as many negative eigenvalues as waves of that length fit in."""
    return lambda rows: la.as_csr(gallery.shifted(_poisson(axes)(rows), -shift))


def _aligned(rows: int) -> sp.csr_array:
    ones = np.ones((_side(rows, 2),) * 2)
    return _finite_volumes(1e-3 * ones, ones)


def _rotated(rows: int) -> sp.csr_array:
    return gallery.anisotropic(_side(rows, 2))


def _inclusions(rows: int) -> sp.csr_array:
    n, rng = _side(rows, 2), np.random.default_rng(1)
    x = (np.arange(n) + 0.5) / n
    k = np.ones((n, n))
    for _ in range(40):
        centre, radius = rng.random(2), rng.uniform(0.01, 0.08)
        inside = (x - centre[0]) ** 2 + (x[:, None] - centre[1]) ** 2 < radius**2
        k[inside] = 10.0 ** rng.choice([-3, 3])
    return _finite_volumes(k, k)


def _lognormal(rows: int, sigma: float = 3) -> sp.csr_array:
    n = _side(rows, 2)
    k = np.exp(sigma * np.random.default_rng(3).standard_normal((n, n)))
    return _finite_volumes(k, k)


def _random_weights(rows: int) -> sp.csr_array:
    n = _side(rows, 2)
    pattern = sp.coo_array(sp.triu(gallery.poisson((n, n)), 1))
    weights = 10 ** np.random.default_rng(0).uniform(-3, 3, pattern.nnz)
    i, j = pattern.coords
    return _weighted(n * n, i, j, weights, problems.SHIFT)


def _jumps(rows: int, block: int = 4) -> sp.csr_array:
    n = _side(rows, 3)
    blocks = 10.0 ** np.random.default_rng(2).choice([-3, 0, 3], size=(math.ceil(n / block),) * 3)
    k = np.kron(blocks, np.ones((block,) * 3))[:n, :n, :n]
    return _finite_volumes(k, k, k)


def _elasticity(rows: int) -> sp.csr_array:
    return gallery.elasticity((_side(rows, 2, unknowns=2),) * 2)


def _delaunay(rows: int) -> sp.csr_array:
    """Linear elements on the triangles between random points; zero on the convex hull."""
    points = np.random.default_rng(0).random((rows, 2))
    mesh = Delaunay(points)
    corners = points[mesh.simplices]
    opposite = np.roll(corners, -1, axis=1) - np.roll(corners, 1, axis=1)  # sides, turned gradients
    area = np.abs(np.linalg.det(opposite[:, :2])) / 2
    local = opposite @ opposite.transpose(0, 2, 1) / (4 * area)[:, None, None]
    i, j = np.repeat(mesh.simplices, 3, axis=1), np.tile(mesh.simplices, 3)
    A = sp.coo_array((local.ravel(), (i.ravel(), j.ravel())), shape=(rows, rows)).tocsr()
    inner = np.setdiff1d(np.arange(rows), mesh.convex_hull)
    A = A[inner][:, inner]
    return la.as_csr((A + A.T) / 2)  # sums of the same numbers in another order


def _geometric(rows: int) -> sp.csr_array:
    return problems.build("random geometric graph", rows)


def _power_law(rows: int) -> sp.csr_array:
    return problems.build("Barabási–Albert m=4", rows)


ELASTICITY = "plane elasticity"
WAVES = {"2-D Laplacian − 0.05": _waves(2, 0.05), "3-D Laplacian − 0.1": _waves(3, 0.1)}

FAMILIES: dict[str, Callable[[int], sp.csr_array]] = {
    "2-D Poisson": _poisson(2),
    "3-D Poisson": _poisson(3),
    "aligned anisotropy": _aligned,
    "rotated anisotropy": _rotated,
    "Disc": lambda rows: gallery.disc(_side(rows, 2)),
    "inclusions": _inclusions,
    "lognormal": _lognormal,
    "random weights": _random_weights,
    "3-D jumps": _jumps,
    ELASTICITY: _elasticity,
    "Delaunay": _delaunay,
    "random geometric graph": _geometric,
    "Barabási–Albert": _power_law,
    **WAVES,
}
