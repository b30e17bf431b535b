"""The steps that the diagonal needs, predicted: the numbers behind the choice."""

import numpy as np
import pytest

import pympf
from pympf import gallery
from pympf.ref.precond.diagonal_steps import lanczos_matrix, smooth_error, smooth_steps
from pympf.ref.precond.pay_as_you_go import is_long


def eigenvalues(A):
    d = A.diagonal() ** -0.5
    return np.linalg.eigvalsh(d[:, None] * A.toarray() * d)


@pytest.mark.parametrize("shape", [(20, 20), (8, 8, 8), (300,)])
def test_ritz_values_lie_within_the_spectrum_and_grow_with_the_steps(shape):
    A = gallery.poisson(shape)
    spectrum = eigenvalues(A)
    widths = []
    for steps in (1, 2, 4, 8):
        theta = np.linalg.eigvalsh(lanczos_matrix(A, smooth_error(A), steps))
        assert spectrum[0] * (1 - 1e-9) <= theta[0] <= theta[-1] <= spectrum[-1] * (1 + 1e-9)
        widths.append(theta[-1] / theta[0])
    assert widths == sorted(widths)
    assert smooth_steps(A, 8) <= 0.85 * np.log(2e8) / 2 * np.sqrt(spectrum[-1] / spectrum[0]) + 1e-6


def test_a_laplacian_is_looked_at_without_its_constant():
    A = gallery.laplacian(gallery.barabasi_albert(400, seed=2))
    w = smooth_error(A)
    assert abs(A.diagonal() @ w) <= 1e-10 * np.abs(A.diagonal()) @ np.abs(w)
    assert np.isfinite(smooth_steps(A, 4))


def test_more_steps_are_predicted_where_the_grid_is_finer():
    told = [smooth_steps(gallery.poisson((m, m)), 4) for m in (10, 20, 40, 80)]
    assert told == sorted(told)
    assert smooth_steps(gallery.shifted(gallery.poisson((80, 80)), 4), 4) < 25


@pytest.mark.parametrize("k", [2, 5, 40])
def test_a_third_of_the_bound_by_ritz_values_is_what_cg_takes_at_least(k):
    """The same matrix T as in tests/cpp/test_precond_plan.cpp."""
    least, most = 4 - 4 * np.cos(3 * np.pi / (2 * k + 1)), 8 if k > 2 else 6
    bound = np.log(2e8) / 2 * np.sqrt(most / least)
    told = [is_long([0.5] * k, [1] * k, bound / part, 1e8) for part in (3.01, 2.99)]
    assert told == [True, False]


@pytest.mark.parametrize("shift", [1e-6, 1e-3])
def test_a_laplacian_with_a_small_shift_is_left_to_the_diagonal(shift):
    """Its constant vector has an eigenvalue that is alone far below the others."""
    A = gallery.laplacian(gallery.barabasi_albert(10_000), shift)
    b = np.random.default_rng(0).standard_normal(10_000)
    solution = pympf.solve(A, b)
    assert solution.converged
    assert solution.choice.startswith("jacobi")
