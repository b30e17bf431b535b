"""Multiresolution matrix factorization: factor, solve and precondition large sparse matrices.

A ≈ Q₁ᵀ … Q_Lᵀ H Q_L … Q₁ with sparse orthogonal stages and a core-diagonal H.

>>> import numpy as np, pympf
>>> A = pympf.gallery.poisson((64, 64))
>>> F = pympf.factorize(A, core_size=100)
>>> F.shape, F.core_size
((4096, 4096), 100)
>>> solution = pympf.solve(A, np.ones(4096))
>>> solution.converged
True
"""

from importlib.util import find_spec

if find_spec("pympf._core") is None:
    raise ImportError(
        f"{__path__[0]} holds the sources of pympf and no compiled core: install the package "
        "(`pip install .`, or `make build` for the environment .venv) and start Python in a folder "
        "other than that of the sources"
    )

from pympf import approx, gallery, io, la, lsh, matching
from pympf._engine import get_num_threads, set_num_threads
from pympf._progress import set_progress
from pympf.approx import (
    compress,
    cur,
    factorize_additive,
    factorize_direct,
    factorize_skew,
    iwspai,
    wavelets,
    wspai,
)
from pympf.comparison import compare
from pympf.krylov import Solution, Solutions, solve
from pympf.mmf import Mmf, Params, Report, factorize, load
from pympf.near_nullspace import rigid_body_modes
from pympf.plan import Offer, Plan
from pympf.precond import (
    Preconditioner,
    PreconditionerReport,
    as_preconditioner,
)
from pympf.quadrature import LogDeterminant, logdet

__version__ = "0.1.0"

from pympf._config import show_config

__all__ = [
    "LogDeterminant",
    "Mmf",
    "Offer",
    "Params",
    "Plan",
    "Preconditioner",
    "PreconditionerReport",
    "Report",
    "Solution",
    "Solutions",
    "approx",
    "as_preconditioner",
    "compare",
    "compress",
    "cur",
    "factorize",
    "factorize_additive",
    "factorize_direct",
    "factorize_skew",
    "gallery",
    "get_num_threads",
    "io",
    "iwspai",
    "la",
    "load",
    "logdet",
    "lsh",
    "matching",
    "rigid_body_modes",
    "set_num_threads",
    "set_progress",
    "show_config",
    "solve",
    "wavelets",
    "wspai",
]
