"""Matrices to try things on: model problems of the papers, random graphs, the random walker.

All are `scipy.sparse.csr_array` of float64 in canonical form. `poisson`, `disc`, `laplacian` and
`random_walker` are graph Laplacians of weighted edges plus a diagonal, put together by
`_assembly.assemble`.
"""

from pympf.gallery._convection import convection_diffusion
from pympf.gallery._elasticity import elasticity
from pympf.gallery._graphs import (
    barabasi_albert,
    directed_neighbours,
    laplacian,
    random_geometric_graph,
    shifted,
)
from pympf.gallery._grids import anisotropic, disc, poisson, thesis_problem
from pympf.gallery._images import random_walker

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
