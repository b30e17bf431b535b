"""The preconditioner of matrices with negative eigenvalues: shifted, saddle points, networks."""

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf import gallery

from ..helpers import (
    assert_close,
    has_sparse_factors,
    needs_sparse_factors,
)
from .precond_systems import BEGUN, dense, normal_equations


@pytest.mark.parametrize("method", ["multilevel", "ict", "classic"])
def test_negative_definite(rng, method):
    A = gallery.poisson((40, 40))
    M, minus = (pympf.as_preconditioner(sign * A, method=method) for sign in (1, -1))
    assert (M.indefinite, minus.indefinite) == (False, True)
    r = rng.standard_normal(1600)
    assert_close(minus @ r, M @ r, 100, np.float32)
    solution = pympf.solve(-A, r, preconditioner=minus)
    assert (solution.method, solution.converged) == ("minres", True)


@pytest.mark.parametrize("shift", [0.01, 0.1, 0.3, 0.5, 1.0, 2.0, 3.9, 6.0, 8.1])
@pytest.mark.parametrize("definite", [True, False])
def test_indefinite(rng, shift, definite):
    """A solution is reached; nothing is silent."""
    A = gallery.shifted(gallery.poisson((24, 24)), -shift)
    values = np.linalg.eigvalsh(A.toarray())
    b = rng.standard_normal(576)
    solution = pympf.solve(A, b, definite=definite)
    with_signs = not definite and values[-1] > 0 and has_sparse_factors()
    assert solution.method == ("cg" if values[0] > 0 else "gmres" if with_signs else "minres")
    assert solution.converged
    assert np.linalg.norm(b - A @ solution.x) <= 1e-7 * np.linalg.norm(b)


def network(rng):
    """Make the Laplacian of two trees and of a node without neighbours."""
    trees = []
    for n in (900, 1300, 1):
        parents = [rng.integers(i) for i in range(1, n)]
        trees.append(sp.coo_array((np.ones(n - 1), (np.arange(1, n), parents)), shape=(n, n)))
    edges = sp.block_diag(trees)
    return gallery.laplacian(edges + edges.T)


@pytest.mark.parametrize("make", [network, lambda rng: normal_equations(rng, diagonals=8)])
@pytest.mark.parametrize("sign", [1, -1])
def test_small_networks_and_structures_are_factored(rng, make, sign):
    A = sp.csr_array(sign * make(rng))
    b = A @ rng.standard_normal(A.shape[0])
    solution = pympf.solve(A, b)
    assert solution.converged
    assert solution.method == ("cg" if sign > 0 else "minres")
    if not has_sparse_factors():
        pytest.skip("pympf was built without a library of sparse direct factors")
    assert solution.choice.startswith("direct: a factor has at most ")
    assert solution.operator.definite
    levels = pympf.solve(A, b, preconditioner="multilevel")
    alone = pympf.solve(A, b, preconditioner=solution.operator)
    assert alone.iterations <= min(4, levels.iterations)


def test_a_network_in_single_precision(rng):
    A = network(rng).astype(np.float32)
    solution = pympf.solve(A, A @ rng.standard_normal(2201, dtype=np.float32))
    assert solution.converged
    assert not solution.choice.startswith("direct")


@needs_sparse_factors
def test_the_shifted_laplacian_that_no_multigrid_solves(rng):
    """256 x 256 - 0.05 I has about 250 negative eigenvalues."""
    A = gallery.shifted(gallery.poisson((256, 256)), -0.05)
    b = rng.standard_normal(A.shape[0])
    solution = pympf.solve(A, b)
    assert (solution.method, solution.iterations) == ("gmres", BEGUN + 1)
    assert not solution.operator.definite
    assert np.linalg.norm(b - A @ solution.x) <= 1e-8 * np.linalg.norm(b)
    solution = pympf.solve(A, b, preconditioner="two_level")
    assert solution.converged
    assert solution.iterations <= 30
    assert np.linalg.norm(b - A @ solution.x) <= 1e-7 * np.linalg.norm(b)


@needs_sparse_factors
def test_in_three_dimensions_minres_comes_first_and_the_stage_where_it_fails(rng):
    A = gallery.shifted(gallery.poisson((24, 24, 24)), -0.1)
    b = rng.standard_normal(A.shape[0])
    solution = pympf.solve(A, b)
    assert solution.converged
    assert solution.method == "minres"
    assert solution.choice.startswith("jacobi: A has negative eigenvalues")
    solution = pympf.solve(A, b, maxiter=50)
    assert solution.converged
    assert solution.method == "gmres"
    assert solution.choice.startswith("method = 'two_level': minres ended with")
    assert solution.iterations <= 40


def test_with_signs_and_singular(rng):
    """Without a solution the residual is the least, and it says so."""
    path = gallery.laplacian(gallery.poisson(30) - 2 * sp.eye_array(30))
    A = sp.csr_array(sp.block_diag([path, -path]))
    assert pympf.solve(A, A @ rng.standard_normal(60)).converged
    solution = pympf.solve(A, np.ones(60), maxiter=300)
    assert not solution.converged
    assert solution.reason == "diverged_inconsistent"
    assert solution.true_residual == 1
    assert not solution.x.any()


@pytest.mark.parametrize("method", ["direct", "two_level"])
def test_what_no_sparse_lu_is_for(method):
    A = gallery.poisson(50) if method == "two_level" else sp.csr_array((5, 5))
    A = sp.csr_array(A - 4 * sp.eye_array(50)) if method == "two_level" else A
    with pytest.raises(np.linalg.LinAlgError, match=f"method = '{method}' is not available"):
        pympf.as_preconditioner(A, method=method)


@pytest.mark.parametrize("method", ["auto", "minres", "gmres"])
def test_an_indefinite_matrix_changes_the_smoother_and_says_so(rng, method):
    A = gallery.shifted(gallery.poisson(200), -0.5)
    b = rng.standard_normal(200)
    solution = pympf.solve(A, b, method=method, restart=0, definite=True)
    assert solution.converged
    assert "A has negative eigenvalues: l1-Jacobi smoother" in solution.choice


# Saddle points


def saddle_point(F, B, C=None):
    return sp.csr_array(sp.block_array([[F, B.T], [B, C]]))


def stokes(cells):
    """Two velocities and the pressure on a staggered grid with walls; the pressure is free by 1."""

    def line(n):
        return 2 * sp.eye_array(n) - sp.eye_array(n, k=1) - sp.eye_array(n, k=-1)

    def laplacian_of(width, height):
        return sp.kronsum(line(width), line(height))

    difference = sp.diags_array([-1.0, 1.0], offsets=[0, 1], shape=(cells - 1, cells))
    F = sp.block_diag([laplacian_of(cells - 1, cells), laplacian_of(cells, cells - 1)])
    one = sp.eye_array(cells)
    return saddle_point(F, sp.vstack([sp.kron(one, difference), sp.kron(difference, one)]).T)


def constrained(side, count, rng):
    """Equality constraints of a few random unknowns each."""
    F = gallery.poisson((side, side))
    n = F.shape[0]
    rows = np.repeat(np.arange(count), 3)
    columns = rng.permutation(n)[: 3 * count]
    B = sp.coo_array((rng.uniform(0.5, 2, 3 * count), (rows, columns)), shape=(count, n))
    return saddle_point(F, B)


def check_saddle_point(A, b, most):
    solution = pympf.solve(A, b, definite=True)
    assert solution.converged
    assert solution.method == "minres"
    assert "saddle point, each part for itself" in solution.choice
    assert np.linalg.norm(b - A @ solution.x) <= 1.01e-7 * np.linalg.norm(b)
    assert solution.true_residual <= 1e-7
    assert solution.iterations <= most
    return solution


def test_stokes_takes_as_many_iterations_on_any_grid(rng):
    for cells in (29, 58):
        A = stokes(cells)
        assert cells < 58 or A.shape[0] == 9976
        check_saddle_point(A, A @ rng.standard_normal(A.shape[0]), most=45)


def test_equality_constraints(rng):
    A = constrained(95, 1000, rng)
    assert A.shape[0] == 10025
    check_saddle_point(A, rng.standard_normal(10025), most=250)


def test_a_stabilized_saddle_point(rng):
    A = stokes(30).tolil()
    pressures = A.diagonal() == 0
    A.setdiag(np.where(pressures, -1.0, A.diagonal()))
    check_saddle_point(A.tocsr(), rng.standard_normal(A.shape[0]), most=60)


def test_the_preconditioner_of_a_saddle_point_is_positive(rng):
    A = stokes(9)
    M = pympf.as_preconditioner(A, precision="working")
    assert M.indefinite
    matrix = dense(M)
    assert_close(matrix, matrix.T, 1000)
    assert np.linalg.eigvalsh(matrix)[0] > 0
    M.update(4 * A)
    assert_close(dense(M), matrix / 4, 1000)


def test_a_saddle_point_without_definite_part_is_solved_or_told(rng):
    """The leading part is singular and indefinite: nothing definite stands for it."""
    F = sp.diags_array(rng.choice([1.0, 1e-3], 900)) - 0.5 * sp.eye_array(900, k=1)
    F = F + F.T
    A = saddle_point(F, sp.eye_array(300, 900, k=200))
    b = A @ rng.standard_normal(1200)
    solution = pympf.solve(A, b)
    residual = np.linalg.norm(b - A @ solution.x) / np.linalg.norm(b)
    assert solution.converged == (residual <= 1.01e-7)
    assert solution.converged or solution.reason.startswith("diverged")
