"""Systems of any scale: rows that differ by many decades, penalties, float32."""

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spl

import pympf
from pympf import gallery

from ..helpers import (
    random_spd,
)
from .krylov_checks import BUILT, METHODS, check, preconditioner, true_residual


@pytest.mark.parametrize("exponent", [-1000, -530, -160, 500, 900])
@pytest.mark.parametrize("method", ["auto", *METHODS])
@pytest.mark.parametrize("of", ["b", "A", "both"])
def test_a_power_of_two_changes_no_bit(rng, exponent, method, of):
    A = gallery.poisson((20, 20))
    b = A @ rng.standard_normal(400)
    s = 2.0**exponent
    plain = pympf.solve(A, b, method=method)
    scaled = pympf.solve(
        sp.csr_array(A * s) if of != "b" else A, b * s if of != "A" else b, method=method
    )
    factor = {"b": s, "A": 1 / s, "both": 1.0}[of]
    assert (scaled.x == plain.x * factor).all()
    assert scaled.iterations == plain.iterations
    assert (scaled.history == plain.history * (1.0 if of == "A" else s)).all()
    assert scaled.true_residual == plain.true_residual


@pytest.mark.parametrize("scale", [1e-36, 1e-18, 1e18, 1e36])
@pytest.mark.parametrize("method", ["auto", *METHODS])
@pytest.mark.parametrize("name", ["mmf", "multilevel", "jacobi", "none"])
def test_any_scale_in_float32(rng, scale, method, name):
    A = gallery.poisson((15, 15)).astype(np.float32)
    x = 1 + rng.random(225)
    for matrix, side in ((A, scale), (sp.csr_array(A * np.float32(scale)), scale)):
        b = ((A @ x) * side).astype(np.float32)
        solution = pympf.solve(matrix, b, method=method, preconditioner=name)
        assert solution.converged, solution.reason
        expected = x * (side if matrix is A else 1)
        np.testing.assert_allclose(solution.x, expected, rtol=5e-3)


@pytest.mark.parametrize("weight", [5e-324, 1e-310, 1e-300, 1e-30])
@pytest.mark.parametrize("name", ["mmf", "multilevel", "ict", "jacobi"])
def test_a_vertex_held_by_next_to_nothing(rng, weight, name):
    W = abs(gallery.poisson((20, 20)))
    W = sp.lil_array(W - sp.diags_array(W.diagonal()))
    W[0, 1] = W[1, 0] = W[0, 20] = W[20, 0] = weight
    A = gallery.laplacian(sp.csr_array(W))
    b = rng.standard_normal(400)
    b[0] = 0
    b[1:] -= b[1:].mean()
    for method in ("auto", "cg", "minres"):
        solution = pympf.solve(A, b, method=method, preconditioner=name)
        assert solution.converged, solution.reason
        assert true_residual(A, solution, b) <= 1e-7


@pytest.mark.parametrize("method", METHODS)
def test_a_guess_far_off_is_no_guess(rng, method):
    A = gallery.poisson((20, 20))
    b = rng.standard_normal(400)
    for size in (1e20, 1e160, 1e300):
        solution = pympf.solve(A, b, method=method, x0=size * rng.standard_normal(400))
        assert (solution.x == pympf.solve(A, b, method=method).x).all()


def test_an_x_that_cannot_be_held_is_told():
    A = gallery.poisson((10, 10))
    for exponent in (-600, 600):
        matrix, b = sp.csr_array(A * 2.0**exponent), np.ones(100) * 2.0**-exponent
        solution = pympf.solve(matrix, b)
        assert solution.reason == "diverged_range"
        assert not solution.converged


def with_penalty(size, rng):
    """A grid with 60 held nodes: the matrix, the side, and x of the system without them."""
    A = gallery.poisson((25, 25))
    held = np.isin(np.arange(625), rng.choice(625, 60, replace=False))
    B = sp.csr_array(A + sp.diags_array(np.where(held, size, 0.0)))
    return B, 0.01 + np.where(held, size, 0.0), spl.spsolve(B.tocsc(), 0.01 + held * size)


@pytest.mark.parametrize("size", [1e6, 1e8, 1e12, 1e30, 1e100])
@pytest.mark.parametrize("method", ["auto", *METHODS, "left"])
@pytest.mark.parametrize("name", ["mmf", "multilevel", "jacobi"])
def test_penalty_rows_do_not_hide_the_others(rng, size, method, name):
    B, b, expected = with_penalty(size, rng)
    options = {"method": "gmres", "side": "left"} if method == "left" else {"method": method}
    solution = pympf.solve(B, b, preconditioner=name, restart=0, **options)
    assert solution.converged
    assert solution.norm == ("preconditioned" if method == "left" else "row_scaled")
    assert np.linalg.norm(solution.x - expected) <= 1e-6 * np.linalg.norm(expected)
    inside = np.where(b < 1, b - B @ solution.x, 0)
    assert np.linalg.norm(inside) <= 1e-4 * np.linalg.norm(b[b < 1])


def scaled_from_both_sides(rng, cells, decades):
    """D S D of a grid's S: the matrix, D, and a function that gives D x for the side b."""
    S = gallery.poisson(cells)
    D = 10.0 ** rng.uniform(-decades, decades, S.shape[0])
    A = sp.csr_array(sp.diags_array(D) @ S @ sp.diags_array(D))
    return A, D, lambda b: spl.spsolve(sp.csc_array(S), b / D)


@pytest.mark.parametrize("decades", [3, 5, 20, 40, 70])
@pytest.mark.parametrize("cells", [(7, 8), (20, 21)])
def test_rows_scaled_from_both_sides(rng, cells, decades):
    A, D, solve_scaled = scaled_from_both_sides(rng, cells, decades)
    b = A @ rng.standard_normal(len(D))
    scaled = solve_scaled(b)
    solution = pympf.solve(A, b)
    assert np.linalg.norm(D * solution.x - scaled) <= 1e-6 * np.linalg.norm(scaled)
    assert solution.converged or decades > 10  # else x is rounding in part


@pytest.mark.parametrize("name", ["mmf", "jacobi", "none"])
@pytest.mark.parametrize("method", ["auto", "minres", "gmres"])
def test_an_x_that_is_rounding_of_b_has_not_converged(name, method):
    S = gallery.poisson(3)
    D = sp.diags_array([1e20, 1.0, 1e30])
    A = sp.csr_array(D @ S @ D)
    solution = pympf.solve(A, A @ np.ones(3), preconditioner=name, method=method)
    assert not solution.converged
    assert solution.reason == "diverged_stagnated"


@pytest.mark.parametrize("decades", [4, 8, 10, 14, 40, 60])
@pytest.mark.parametrize("name", ["mmf", "multilevel", "ict", "jacobi"])
@pytest.mark.parametrize("sizes", ["equal", "ordinary", "scaled"])
def test_an_ordinary_side_of_rows_scaled_from_both_sides(rng, decades, name, sizes):
    A, D, solve_scaled = scaled_from_both_sides(rng, (12, 13), decades)
    b = np.ones(156) if sizes == "equal" else rng.standard_normal(156)
    if sizes == "scaled":
        b *= 10.0 ** rng.uniform(-decades, decades, 156)
    expected = solve_scaled(b) / D
    solution = pympf.solve(A, b, preconditioner=name)
    assert solution.converged, solution.reason
    assert abs(solution.x - expected).max() <= 1e-7 * abs(expected).max()


def test_rows_scaled_from_both_sides_in_float32(rng):
    A, D, solve_scaled = scaled_from_both_sides(rng, (12, 13), 6)
    b = rng.standard_normal(156).astype(np.float32)
    expected = solve_scaled(b.astype(float)) / D
    solution = pympf.solve(A.astype(np.float32), b)
    assert solution.converged, solution.reason
    assert np.linalg.norm(solution.x - expected) <= 1e-4 * np.linalg.norm(expected)


@pytest.mark.parametrize("size", [1e2, 1e3, 1e4, 1e5])
def test_rows_that_differ_less_are_right_to_four_digits(rng, size):
    B, b, expected = with_penalty(size, rng)
    solution = pympf.solve(B, b)
    assert solution.converged
    assert np.linalg.norm(solution.x - expected) <= 1e-4 * np.linalg.norm(expected)


def test_small_rows_beside_identity_rows(rng):
    A = gallery.poisson((25, 25))
    B = sp.csr_array(sp.block_diag([A * 1e-10, sp.eye_array(50)]))
    x = rng.standard_normal(675)
    for method in ("auto", "minres", "gmres"):
        solution = pympf.solve(B, B @ x, method=method)
        assert solution.converged
        assert solution.norm == "row_scaled"
        assert np.linalg.norm(solution.x - x) <= 1e-6 * np.linalg.norm(x)


def test_rows_of_one_size_are_measured_plainly(rng):
    A = gallery.poisson((20, 20))
    assert pympf.solve(A, rng.standard_normal(400)).norm == "plain"
    assert pympf.solve(A, np.ones(400), method="gmres", side="left").norm == "preconditioned"


def test_a_run_ends_where_rounding_keeps_it_from_the_tolerance():
    beam = gallery.elasticity((300, 4))
    for name, least in (("mmf", 1e-6), ("multilevel", 1e-5)):
        solution = pympf.solve(beam, np.ones(2400), preconditioner=name)
        assert solution.reason == "diverged_stagnated"
        assert solution.iterations < 1000
        assert solution.true_residual < least
    fourth = gallery.poisson(300) @ gallery.poisson(300)
    for method in ("cg", "minres"):
        solution = pympf.solve(fourth, np.ones(300), method=method, preconditioner="none")
        assert solution.reason == "diverged_stagnated"
        assert solution.iterations < 5000


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", [*BUILT, "jacobi", "none", "callable", "given"])
def test_float32(rng, method, name):
    A = random_spd(120, rng).astype(np.float32)
    b = rng.standard_normal(120)
    M = preconditioner(name, A)[0]
    solution = pympf.solve(A, b, method=method, preconditioner=M, rtol=1e-5)
    check(A.astype(np.float64), b, solution, rtol=1e-5, dtype=np.float32)


def test_a_choice_that_fails_after_a_better_one_does_not_throw_its_x_away(rng):
    """Units over ten decades: an LU ends at the floor of float64, and the diagonal far above it."""
    P = sp.csr_matrix(gallery.poisson((40, 40)))
    d = 10.0 ** rng.uniform(-5, 5, 1600)
    A = sp.csr_matrix(sp.diags(d) @ P @ sp.diags(d))
    A[3, 4] *= 1.01
    b = np.ones(1600)
    solution = pympf.solve(A, b)
    assert not solution.converged
    assert "came no nearer" in solution.choice
    left = np.linalg.norm(b - A @ solution.x) / np.linalg.norm(b)
    np.testing.assert_allclose(solution.true_residual, left, rtol=0.5)
    assert left < 1e-3
    assert len(solution.history) == solution.iterations + 1
