"""Tables 2.1 and 2.3 of the thesis: WSPAI and IWSPAI on the small model problems.

All problems, seconds and figures 2.5 and 2.6 are in bench/cases/wavelets.py.
"""

import numpy as np
import pytest

import pympf
from pympf import gallery

pytest.importorskip("pywt", reason="PyWavelets is not installed")

# Problem, rows, axes: iterations of the thesis without preconditioner, WSPAI, IWSPAI; order and
# levels of our IWSPAI, and what it took when it was written.
TABLE_21 = {
    ("1D Laplacian", 256, 1): ((256, 46, 13), (4, 6, 4)),
    ("1D Laplacian", 512, 1): ((512, 64, 13), (4, 6, 11)),
    ("1D Laplacian", 1024, 1): ((1001, 93, 17), (4, 7, 11)),
    ("2D Laplacian", 256, 2): ((45, 33, 28), (2, 3, 8)),
    ("2D Laplacian", 1024, 2): ((91, 41, 28), (2, 3, 16)),
    ("3D Laplacian", 512, 3): ((28, 26, 28), (1, 3, 14)),
    ("3D Laplacian", 4096, 3): ((55, 41, 30), (1, 3, 27)),
    ("2D Disc", 1024, 2): ((868, None, 24), (2, 3, 16)),
}


def iterations(A, M):
    b = np.random.default_rng(0).standard_normal(A.shape[0])
    options = {"method": "gmres", "restart": 0, "rtol": 1e-8, "maxiter": 1000}
    solution = pympf.solve(A, b, preconditioner=M, **options)
    return solution.iterations if solution.converged else 1001


@pytest.mark.parametrize("problem", TABLE_21, ids=str)
def test_table_21(problem):
    name, rows, axes = problem
    (_, wspai, iwspai), (order, levels, measured) = TABLE_21[problem]
    A, _ = gallery.thesis_problem(name, rows)
    grid = (round(rows ** (1 / axes)),) * axes
    M = pympf.iwspai(A, pympf.wavelets(grid, order=order, levels=levels))
    assert M.report().dependent == 0
    assert iterations(A, M) <= min(iwspai, measured)
    if wspai is not None:
        fits = grid[0].bit_length() - 1
        M = pympf.wspai(A, pympf.wavelets(grid, order=4, levels=min(fits, 6 if axes == 1 else 4)))
        assert iterations(A, M) <= wspai


def test_the_dimension_of_the_wavelets_matters():
    """With wavelets on one axis IWSPAI gains little on a grid of two (section 2.3.4)."""
    A, _ = gallery.thesis_problem("2D Laplacian", 1024)
    right, wrong = (pympf.iwspai(A, W) for W in (plane(), pympf.wavelets(1024, order=2)))
    assert iterations(A, right) < 20 < 60 < iterations(A, wrong)


def plane():
    return pympf.wavelets((32, 32), order=2, levels=3)


def test_wspai_fails_where_coefficients_jump():
    """The thesis's × for the Disc: blocks cannot hold the inverse (section 2.3.1)."""
    A, _ = gallery.thesis_problem("2D Disc", 1024)
    plain = iterations(A, "none")
    assert iterations(A, pympf.wspai(A, pympf.wavelets((32, 32), order=4))) > plain > 500
    assert iterations(A, pympf.iwspai(A, plane())) < 20
