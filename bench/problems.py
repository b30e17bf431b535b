"""The matrices that several cases share, and the sets of parameters that they compare."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import reverse_cuthill_mckee

from pympf import gallery

# As the reference's figures were taken: unit weights, nearly singular.
SHIFT = 1e-6


def _grid(rows: int, axes: int) -> sp.csr_array:
    side = round(rows ** (1 / axes))
    if side**axes != rows:
        raise ValueError(f"{rows} rows are no grid of {axes} equal sides")
    return gallery.poisson((side,) * axes)


BUILDERS = {
    "1-D Poisson": lambda rows: _grid(rows, 1),
    "2-D Poisson": lambda rows: _grid(rows, 2),
    "3-D Poisson": lambda rows: _grid(rows, 3),
    "random geometric graph": lambda rows: gallery.laplacian(
        gallery.random_geometric_graph(rows), SHIFT
    ),
    "Barabási–Albert m=4": lambda rows: gallery.laplacian(
        gallery.barabasi_albert(rows, m=4), SHIFT
    ),
}


def build(problem: str, rows: int) -> sp.csr_array:
    return BUILDERS[problem](rows)


# What of the thesis's Figure 2.4 is not our default anyway. Its "number of clusters: 1" means that
# clusters are split until the largest one has at most 2000 columns.
_FIGURE_2_4 = {
    "criterion": "inner_product",
    "selection": "random",
    "retire": "absolute",
    "clusters": 1,
}

PARAMS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "absolute": {"retire": "absolute"},
    "thesis": {**_FIGURE_2_4, "clustering": "inner_product"},
    "thesis, graph clusters": {**_FIGURE_2_4, "clustering": "graph"},
}


def in_ranges(problem: str, rows: int) -> sp.csr_array:
    """Build a matrix whose contiguous ranges of rows are compact parts of its graph."""
    A = build(problem, rows)
    if problem == "random geometric graph":  # its own numbering is random
        order = reverse_cuthill_mckee(A, symmetric_mode=True)
        A = sp.csr_array(A[order][:, order])
    return A


def random_vector(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n)


def squares(exponents: range) -> list[int]:
    return [4**k for k in exponents]


def cubes(sizes: list[int]) -> list[int]:
    """The numbers of points of the cubic grids that come closest to these sizes."""
    return [round(n ** (1 / 3)) ** 3 for n in sizes]
