"""Singular systems: consistent ones, least squares, and nullspaces that have to be found."""

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf import gallery

from ..helpers import (
    has_sparse_factors,
    needs_sparse_factors,
)
from .krylov_checks import BUILT, METHODS, check, true_residual


def neumann(rng):
    """The Laplacian of a grid graph: constants are its kernel."""
    grid = abs(gallery.poisson((13, 13)))
    A = gallery.laplacian(grid - sp.diags_array(grid.diagonal()))
    return A, [np.ones(169)]


def disconnected(rng):
    """Two paths and a lonely vertex: the kernel is constant on each."""
    path = sp.diags_array([np.ones(39), np.ones(39)], offsets=[-1, 1])
    W = sp.csr_array(sp.block_diag([path, path, sp.csr_array((1, 1))]))
    kernel = np.kron(np.eye(2), np.ones(40))
    return gallery.laplacian(W), [*np.hstack([kernel, np.zeros((2, 1))]), np.eye(81)[80]]


@pytest.mark.parametrize("make", [neumann, disconnected])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", [*BUILT, "jacobi", "none"])
def test_singular_but_consistent(rng, make, method, name):
    A, kernel = make(rng)
    b = rng.standard_normal(A.shape[0])
    for vector in kernel:
        b -= vector * (vector @ b) / (vector @ vector)
    params = {"core_size": 20} if name == "classic" else {}
    solution = pympf.solve(A, b, method=method, preconditioner=name, restart=0, **params)
    check(A, b, solution)


@pytest.mark.parametrize("preconditioner", ["mmf", "jacobi", "ict"])
def test_a_nullspace_of_many_vectors_leaves_the_least_residual(rng, preconditioner):
    """B B^T of rank 40 in 100 dimensions, some of its rows empty."""
    B = sp.random_array((100, 40), density=0.05, rng=rng)
    A, b = sp.csr_array(B @ B.T), rng.standard_normal(100)
    solution = pympf.solve(A, b, preconditioner=preconditioner)
    least = np.linalg.lstsq(A.toarray(), b, rcond=1e-12)[0]
    assert solution.reason == "diverged_inconsistent"
    residual = np.linalg.norm(b - A @ solution.x)
    assert residual <= (1 + 1e-6) * np.linalg.norm(b - A @ least)
    assert pympf.solve(A, A @ b, preconditioner=preconditioner).converged


def test_converged_is_said_of_a_residual_that_meets_the_tolerance(rng):
    """A factor with rough pivots: the recurrence of gmres met the tolerance, b - A x did not."""
    A, C = gallery.poisson((40, 40)), sp.eye_array(200, 1600)
    kkt = sp.csr_array(sp.block_array([[A, C.T], [C, None]]))
    solution = pympf.solve(kkt, kkt @ np.ones(1800))
    assert solution.converged
    assert solution.true_residual <= 1.01e-8


def test_singular_and_inconsistent(rng):
    A, _ = neumann(rng)
    solution = pympf.solve(A, np.ones(169), preconditioner="none")
    assert not solution.converged
    assert solution.reason.startswith("diverged_")
    assert np.isfinite(solution.x).all()
    assert solution.true_residual == pytest.approx(true_residual(A, solution, np.ones(169)))


@pytest.mark.parametrize("method", ["auto", *METHODS])
@pytest.mark.parametrize("name", ["mmf", "multilevel", "jacobi", "none"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_side_outside_the_range_gives_least_squares(rng, method, name, dtype):
    A, kernel = disconnected(rng)
    b = rng.standard_normal(81).astype(dtype)
    outside = sum(vector * (vector @ b) / (vector @ vector) for vector in kernel)
    A = sp.csr_array(A.astype(dtype))
    solution = pympf.solve(A, b, method=method, preconditioner=name, restart=0)
    assert solution.reason == "diverged_inconsistent"
    assert not solution.converged
    left = np.linalg.norm(outside)
    assert solution.true_residual == pytest.approx(left / np.linalg.norm(b), rel=1e-5)
    assert solution.history[-1] == pytest.approx(left, rel=1e-5)
    assert solution.iterations <= 81
    tolerance = 1e-6 if dtype == np.float64 else 2e-3
    np.testing.assert_allclose(A @ solution.x, b - outside, atol=tolerance)


def test_least_squares_of_a_part_beside_one_that_is_not_singular(rng):
    singular, _kernel = neumann(rng)
    A = sp.csr_array(sp.block_diag([singular, gallery.poisson((9, 9))]))
    b = rng.standard_normal(250)
    solution = pympf.solve(A, b)
    assert solution.reason == "diverged_inconsistent"
    rest = b - np.r_[np.full(169, b[:169].mean()), np.zeros(81)]
    np.testing.assert_allclose(A @ solution.x, rest, atol=1e-6)


def rotations_too(rng):
    """Give singular matrices whose kernels are no constants on their parts, with the kernels."""
    cells = (14, 15)
    sheet = gallery.elasticity(cells, clamped=False)
    modes = pympf.rigid_body_modes([(i, j) for i in range(cells[0]) for j in range(cells[1])])
    D = sp.diags_array(rng.uniform(0.5, 2, 169))
    scaled, _ = neumann(rng)
    return {
        "sheet": (sheet, modes),
        "two sheets": (sp.block_diag([sheet, sheet]), np.kron(np.eye(2), modes)),
        "scaled Laplacian": (D @ scaled @ D, 1 / D.diagonal()[:, None]),
        "beside a clamped one": (
            sp.block_diag([gallery.elasticity((5, 6)), sheet]),
            np.vstack([np.zeros((60, 3)), modes]),
        ),
    }


@pytest.mark.parametrize(
    "name", ["sheet", "two sheets", "scaled Laplacian", "beside a clamped one"]
)
@pytest.mark.parametrize("method", ["auto", "cg", "minres"])
@pytest.mark.parametrize("preconditioner", ["mmf", "multilevel", "ict", "jacobi", "direct"])
def test_least_squares_where_the_kernel_has_to_be_found(rng, name, method, preconditioner):
    A, kernel = rotations_too(rng)[name]
    if preconditioner == "direct" and not has_sparse_factors():
        pytest.skip("pympf was built without a library of sparse direct factors")
    b = rng.standard_normal(A.shape[0])
    outside = kernel @ np.linalg.lstsq(kernel, b)[0]
    solution = pympf.solve(A, b, method=method, preconditioner=preconditioner)
    assert solution.reason == "diverged_inconsistent"
    assert solution.true_residual == pytest.approx(np.linalg.norm(outside) / np.linalg.norm(b))
    assert np.linalg.norm(A @ solution.x - (b - outside)) <= 1e-6 * np.linalg.norm(b)
    assert pympf.solve(A, b - outside, method=method, preconditioner=preconditioner).converged


def test_a_given_nullspace_is_no_hindrance_to_least_squares(rng):
    A, kernel = rotations_too(rng)["sheet"]
    b = rng.standard_normal(A.shape[0])
    outside = kernel @ np.linalg.lstsq(kernel, b)[0]
    solution = pympf.solve(A, b, near_nullspace=kernel, preconditioner="multilevel")
    assert solution.reason == "diverged_inconsistent"
    assert np.linalg.norm(A @ solution.x - (b - outside)) <= 1e-6 * np.linalg.norm(b)


def test_minres_ends_where_its_recurrence_has_left_the_residual(rng):
    """On a thin beam (condition 1e15) rounding in x is above what MINRES takes away."""
    A = gallery.elasticity((3000, 2))
    solution = pympf.solve(A, rng.standard_normal(A.shape[0]), method="minres")
    assert solution.reason == "diverged_stagnated"
    assert solution.iterations <= 2000
    assert solution.true_residual <= 1  # never more than the guess has


def test_a_small_eigenvalue_is_no_kernel(rng):
    """Of 1e-12 of the largest: b has a solution, and rounding keeps the residual from it or not."""
    Q = np.linalg.qr(rng.standard_normal((80, 80)))[0]
    eigenvalues = np.geomspace(1e-12, 1, 80)
    A = (Q * eigenvalues) @ Q.T
    solution = pympf.solve((A + A.T) / 2, rng.standard_normal(80), preconditioner="jacobi")
    assert solution.reason != "diverged_inconsistent"


def star(n, weights=1.0):
    A = np.zeros((n, n))
    A[0, 1:] = A[1:, 0] = weights
    return A


def test_matrices_whose_pattern_is_singular():
    """SuperLU reads past the end of a column in which the pattern leaves no pivot."""
    for A in (star(30), star(12, np.arange(1, 12)), np.kron(star(9), np.ones((2, 2)))):
        solution = pympf.solve(A, A @ np.ones(len(A)))
        assert solution.converged
        assert np.linalg.norm(A @ (solution.x - 1)) <= 1e-7 * np.linalg.norm(A @ np.ones(len(A)))
        refusal = "singular to rounding|built without SuperLU"
        with pytest.raises(np.linalg.LinAlgError, match=refusal):
            pympf.as_preconditioner(A, method="direct")


@needs_sparse_factors
def test_random_matrices_with_zero_diagonals():
    """Of 0 and 1 or -1: singular or not, the sparse LU takes them or says why not."""
    taken = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(2, 40))
        A = np.triu(rng.choice([0.0, 1.0, -1.0], (n, n), p=[0.8, 0.1, 0.1]), 1)
        A = A + A.T
        if not A.any():
            continue
        x = rng.standard_normal(n)
        solution = pympf.solve(A, A @ x)
        assert solution.converged
        assert np.linalg.norm(A @ (solution.x - x)) <= 1e-6 * np.linalg.norm(A @ x)
        try:
            M = pympf.as_preconditioner(A, method="direct")
        except np.linalg.LinAlgError as error:
            assert "singular to rounding" in str(error)  # noqa: PT017
            assert np.linalg.matrix_rank(A) < n
        else:
            taken += 1
            assert np.linalg.norm(A @ M.apply(A @ x) - A @ x) <= 1e-3 * np.linalg.norm(A @ x)
    assert taken > 30


def test_no_kernel_is_looked_for_long_where_there_is_none():
    beam = gallery.elasticity((300, 4))
    M = pympf.as_preconditioner(beam, method="ict")
    calls = []

    def apply(r):
        calls.append(1)
        return M @ r

    solution = pympf.solve(beam, np.ones(2400), preconditioner=apply)
    assert solution.reason == "diverged_stagnated"
    assert len(calls) < 5 * solution.iterations
