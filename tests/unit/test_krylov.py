"""Solving A x = b: every method with every preconditioner, on all kinds of matrices."""

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spl

import pympf
from pympf import gallery
from pympf.ref import krylov as ref

from ..helpers import (
    assert_close,
    has_sparse_factors,
    needs_sparse_factors,
    random_spd,
    random_symmetric,
    rounding,
)

METHODS = ["cg", "fcg", "minres", "gmres", "fgmres"]
BUILT = ["mmf", "multilevel", "ict", "classic"]
PRECONDITIONERS = [*BUILT, "jacobi", "none", "operator", "callable", "factorization", "given"]


def preconditioner(name, A):
    """Give what stands for a preconditioner of this name, and the name that is reported."""
    F = pympf.factorize(A, core_size=20)
    return {
        "operator": (F.preconditioner(), "operator"),
        "callable": (F.preconditioner().matvec, "callable"),
        "factorization": (F, "classic"),
        "given": (pympf.as_preconditioner(A), "given"),
    }.get(name, (name, name))


def true_residual(A, solution, b):
    return np.linalg.norm(b - A @ solution.x.astype(np.float64)) / np.linalg.norm(b)


def check(A, b, solution, rtol=1e-8, dtype=np.float64):
    """Check that a solution is one, and that it tells the truth."""
    assert solution.converged, solution.reason
    assert solution.reason == "converged_rtol"
    residual = true_residual(A, solution, b)
    assert residual <= 10 * rtol
    assert solution.true_residual == pytest.approx(residual, rel=0.01, abs=rounding(100, dtype))
    assert solution.x.dtype == dtype
    assert solution.iterations == len(solution.history) - 1
    assert min(solution.setup_s, solution.solve_s) >= 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", PRECONDITIONERS)
def test_positive_definite(rng, method, name):
    A = gallery.poisson((15, 15))
    b = rng.standard_normal(225)
    M, label = preconditioner(name, A)
    solution = pympf.solve(A, b, method=method, preconditioner=M)
    check(A, b, solution)
    assert solution.method == method
    assert solution.preconditioner == label
    assert (solution.operator is None) == (label not in (*BUILT, "given"))
    assert solution.choice.endswith(f"; {method}: asked for")
    assert solution.history[0] == pytest.approx(np.linalg.norm(b))
    assert solution.history[-1] <= 1e-7 * np.linalg.norm(b)


@pytest.mark.parametrize("method", ["minres", "gmres", "fgmres"])
@pytest.mark.parametrize("name", PRECONDITIONERS)
def test_indefinite(rng, method, name):
    A = sp.csr_array(gallery.poisson((12, 12)) - 0.7 * sp.eye_array(144))
    assert np.linalg.eigvalsh(A.toarray())[0] < 0
    b = rng.standard_normal(144)
    solution = pympf.solve(
        A, b, method=method, preconditioner=preconditioner(name, A)[0], restart=0
    )
    check(A, b, solution)


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


@pytest.mark.parametrize("method", ["auto", "gmres", "fgmres"])
@pytest.mark.parametrize("name", ["jacobi", "none", "operator", "callable"])
@pytest.mark.parametrize("restart", [0, 5, 40])
def test_asymmetric(rng, method, name, restart):
    A = sp.csr_array(gallery.poisson(80) + 2 * sp.eye_array(80) + sp.eye_array(80, k=1))
    b = rng.standard_normal(80)
    if name in ("operator", "callable"):
        apply = spl.splu(sp.csc_array(sp.tril(A))).solve
        M = apply if name == "callable" else spl.LinearOperator(A.shape, matvec=apply)
    else:
        M = name
    solution = pympf.solve(A, b, method=method, preconditioner=M, restart=restart)
    check(A, b, solution)
    assert solution.method == ("gmres" if method == "auto" else method)


@pytest.mark.parametrize("method", ["cg", "minres"])
def test_asymmetric_is_refused_where_symmetry_is_needed(method):
    A = np.array([[2.0, -1.0], [0.5, 2.0]])
    with pytest.raises(ValueError, match="expected a symmetric matrix"):
        pympf.solve(A, [1, 1], method=method, preconditioner="none")


@pytest.mark.parametrize("name", BUILT)
@pytest.mark.parametrize("method", ["auto", "gmres", "fgmres", "bicgstab"])
def test_asymmetric_with_a_preconditioner_that_is_built_from_it(rng, name, method):
    A = sp.csr_array(gallery.poisson((30, 30)) + 0.5 * sp.eye_array(900, k=1))
    b = rng.standard_normal(900)
    if name in ("classic", "two_level"):
        with pytest.raises(ValueError, match="expected a symmetric matrix") as caught:
            pympf.solve(A, b, method=method, preconditioner=name)
        assert f"preconditioner={name!r}: " in str(caught.value)
        assert "preconditioner='mmf' takes A as it is" in str(caught.value)
        return
    of_symmetric_part = pympf.as_preconditioner((A + A.T) / 2)
    for M in (name, of_symmetric_part):
        solution = pympf.solve(A, b, method=method, preconditioner=M)
        check(A, b, solution)
        assert solution.method == ("gmres" if method == "auto" else method)


@pytest.mark.parametrize(
    ("A", "method"),
    [
        (gallery.poisson(50), "cg"),
        (-gallery.poisson(50), "minres"),
        (sp.csr_array(gallery.poisson(200) - 0.5 * sp.eye_array(200)), "gmres"),
        (sp.csr_array([[1.0, 2.0], [2.0, 1.0]]), "gmres"),
    ],
    ids=["definite", "negative", "indefinite", "indefinite with a positive diagonal"],
)
@pytest.mark.parametrize("name", ["mmf", "classic"])
def test_auto(A, method, name):
    solution = pympf.solve(A, np.ones(A.shape[0]), preconditioner=name)
    if name == "classic" or not has_sparse_factors():
        method = method.replace("gmres", "minres")
    assert solution.method == method
    assert solution.converged
    assert f"; {method}: " in solution.choice


def test_auto_with_rows_of_zeros():
    """They make the matrix singular, not indefinite; a zero on the diagonal of others does."""
    A = sp.csr_array(sp.block_diag([gallery.poisson((9, 9)), sp.csr_array((3, 3))]))
    b = np.concatenate([np.ones(81), np.zeros(3)])
    solution = pympf.solve(A, b)
    assert (solution.method, solution.converged) == ("cg", True)
    saddle = sp.csr_array([[1.0, 1.0], [1.0, 0.0]])
    solution = pympf.solve(saddle, [1.0, 2.0], preconditioner="none")
    assert (solution.method, solution.converged) == ("minres", True)


def test_auto_goes_on_with_minres_where_cg_meets_a_negative_eigenvalue(rng):
    A = gallery.shifted(gallery.poisson((30, 30)), -0.1)
    b = rng.standard_normal(900)
    for x0 in (None, rng.standard_normal(900)):
        solution = pympf.solve(A, b, x0=x0, preconditioner="jacobi")
        assert solution.choice == "jacobi; minres: CG met a direction in which A is not positive"
        check(A, b, solution)
        expected = pympf.solve(A, b, x0=x0, preconditioner="jacobi", method="minres")
        np.testing.assert_array_equal(solution.x, expected.x)
    assert not pympf.solve(A, b, method="cg", preconditioner="jacobi").converged


def test_the_cycle_that_varies_needs_a_flexible_method(rng):
    A = gallery.poisson((60, 60))
    b = rng.standard_normal(3600)
    options = {"preconditioner": "multilevel", "cycle": "k"}
    solution = pympf.solve(A, b, **options)
    assert (solution.method, solution.converged) == ("fcg", True)
    assert solution.choice.endswith("; fcg: the preconditioner varies, and A looks positive")
    other = pympf.solve(A, b, method="fgmres", **options)
    assert other.converged
    assert solution.iterations <= other.iterations + 2
    for method in ("cg", "minres", "gmres"):
        with pytest.raises(ValueError, match="cycle = 'k' varies: take method = 'fcg' or 'fgmres'"):
            pympf.solve(A, b, method=method, **options)
    indefinite = gallery.poisson((60, 60)) - sp.eye_array(3600)
    assert pympf.solve(indefinite, b, maxiter=2, **options).method == "fgmres"


def test_near_nullspace_and_block_size(rng):
    A = gallery.elasticity((40, 40))
    b = rng.standard_normal(3200)
    modes = pympf.rigid_body_modes(np.indices((40, 40)).reshape(2, -1).T)
    known = {"near_nullspace": modes, "block_size": 2}
    check(A, b, pympf.solve(A, b, **known))
    solution = pympf.solve(A, b, preconditioner="multilevel", **known)
    check(A, b, solution)
    assert solution.iterations <= 10
    for name in ("ict", "classic", "jacobi", "none", pympf.factorize(A)):
        for option in ({"near_nullspace": modes}, {"block_size": 2}):
            message = rf"{next(iter(option))}: only preconditioner='mmf' or 'multilevel' takes it"
            with pytest.raises(ValueError, match=message):
                pympf.solve(A, b, preconditioner=name, **option)


def test_preconditioner_of_another_matrix():
    M = pympf.as_preconditioner(gallery.poisson(10))
    with pytest.raises(ValueError, match=r"float64 of shape \(10, 10\), the matrix float64"):
        pympf.solve(gallery.poisson(11), np.ones(11), preconditioner=M)
    with pytest.raises(ValueError, match="the matrix float32"):
        pympf.solve(gallery.poisson(10).astype(np.float32), np.ones(10), preconditioner=M)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", [*BUILT, "jacobi", "none", "callable", "given"])
def test_float32(rng, method, name):
    A = random_spd(120, rng).astype(np.float32)
    b = rng.standard_normal(120)
    M = preconditioner(name, A)[0]
    solution = pympf.solve(A, b, method=method, preconditioner=M, rtol=1e-5)
    check(A.astype(np.float64), b, solution, rtol=1e-5, dtype=np.float32)


def test_left_preconditioning(rng):
    A = gallery.poisson((15, 15))
    b = rng.standard_normal(225)
    F = pympf.factorize(A, core_size=20)
    solution = pympf.solve(A, b, method="gmres", side="left", preconditioner=F, rtol=1e-10)
    assert solution.converged
    assert true_residual(A, solution, b) <= 1e-8
    assert solution.history[0] == pytest.approx(np.linalg.norm(F.positive_inverse() @ b))


def test_exact_preconditioner_needs_one_iteration(rng):
    A = gallery.poisson((10, 10))
    b = rng.standard_normal(100)
    for options in (
        {"preconditioner": "classic", "core_size": 100},
        {"preconditioner": "multilevel", "coarse_size": 100, "precision": "working"},
        {"preconditioner": "ict", "drop_tolerance": 0, "fill": 100, "precision": "working"},
    ):
        solution = pympf.solve(A, b, **options)
        assert (solution.iterations, solution.converged) == (1, True)


# Beginning and end


@pytest.mark.parametrize("method", METHODS)
def test_initial_guess(rng, method):
    A = random_spd(80, rng)
    x = rng.standard_normal(80)
    b = A @ x
    guess = x + 1e-3 * rng.standard_normal(80)
    copy = guess.copy()
    solution = pympf.solve(A, b, method=method, x0=guess, preconditioner="jacobi")
    check(A, b, solution)
    assert solution.history[0] == pytest.approx(np.linalg.norm(b - A @ guess))
    np.testing.assert_array_equal(guess, copy)
    exact = pympf.solve(A, b, method=method, x0=x, preconditioner="jacobi")
    assert (exact.iterations, exact.converged) == (0, True)
    np.testing.assert_array_equal(exact.x, x)


@pytest.mark.parametrize("method", METHODS)
def test_zero_right_hand_side(rng, method):
    solution = pympf.solve(random_spd(50, rng), np.zeros(50), method=method, x0=np.ones(50))
    assert (solution.iterations, solution.converged, solution.true_residual) == (0, True, 0)
    np.testing.assert_array_equal(solution.x, np.zeros(50))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("maxiter", [0, 1, 7])
def test_maxiter(method, maxiter):
    A, b = gallery.poisson((20, 20)), np.ones(400)
    solution = pympf.solve(A, b, method=method, preconditioner="none", maxiter=maxiter)
    assert not solution.converged
    assert solution.reason == "diverged_max_iterations"
    assert solution.iterations == maxiter
    assert solution.true_residual == pytest.approx(true_residual(A, solution, b))


@pytest.mark.parametrize("guess", [None, [5.0, -7.0]])
def test_minres_ends_at_the_guess_when_the_residual_has_grown(guess):
    """The preconditioner hardly sees the second row, where the first step puts the residual."""
    A, x0 = np.array([[1.0, 3.0], [3.0, 1.0]]), np.zeros(2) if guess is None else np.array(guess)
    b = A @ x0 + [1, 0]
    weights, norms = np.array([1, 1e-4]), []

    def solve(maxiter):
        return pympf.solve(
            A,
            b,
            method="minres",
            preconditioner=lambda r: weights * r,
            x0=guess,
            maxiter=maxiter,
            callback=lambda _, norm: norms.append(norm),
        )

    solution = solve(1)
    assert norms[1] > 2.9 * norms[0]
    assert (solution.reason, solution.converged) == ("diverged_residual_grew", False)
    np.testing.assert_array_equal(solution.x, x0)
    assert solution.history.tolist() == pytest.approx([1, 1])
    assert solution.true_residual == pytest.approx(1 / np.linalg.norm(b))
    twin, history = ref.minres(A, b, M=np.diag(weights), x0=x0, maxiter=1)
    np.testing.assert_array_equal(twin, x0)
    assert history.tolist() == pytest.approx([1, 1])
    assert solve(2).converged


@pytest.mark.parametrize("name", ["indefinite/tuma1", "graph/email-Enron"])
def test_minres_never_returns_less_than_it_was_given(shared_matrices, name):
    (path,) = shared_matrices.glob(f"{name}.*")
    A = pympf.io.read_matrix(path)
    b = np.ones(A.shape[0])
    solution = pympf.solve(A, b, method="minres", maxiter=20)
    assert solution.true_residual <= 1 + 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_atol(method):
    A, b = gallery.poisson((20, 20)), np.ones(400)
    solution = pympf.solve(A, b, method=method, preconditioner="none", rtol=0, atol=1e-3)
    assert solution.reason == "converged_atol"
    assert np.linalg.norm(b - A @ solution.x) <= 1e-2


@pytest.mark.parametrize("method", METHODS)
def test_callback(method):
    A = gallery.poisson((20, 20))
    seen = []
    solution = pympf.solve(
        A,
        np.ones(400),
        method=method,
        preconditioner="jacobi",
        callback=lambda *pair: seen.append(pair),
    )
    iterations, norms = zip(*seen, strict=True)
    assert iterations == tuple(range(solution.iterations + 1))
    np.testing.assert_allclose(norms[:-1], solution.history[:-1])


@pytest.mark.parametrize("method", METHODS)
def test_callback_can_stop(method):
    A = gallery.poisson((20, 20))
    solution = pympf.solve(
        A,
        np.ones(400),
        method=method,
        preconditioner="jacobi",
        callback=lambda i, norm: i == 3,
    )
    assert (solution.converged, solution.reason) == (False, "stopped_by_callback")
    assert solution.iterations == 3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_errors_of_callbacks_come_through(method, error):
    def fail(*_):
        raise error

    for where in ({"callback": fail}, {"preconditioner": fail}):
        with pytest.raises(error):
            pympf.solve(gallery.poisson(50), np.ones(50), method=method, **where)


def test_cg_notices_what_is_not_definite():
    A = sp.csr_array([[1.0, 2.0], [2.0, 1.0]])
    solution = pympf.solve(A, [1.0, -1.0], method="cg", preconditioner="none")
    assert solution.reason == "diverged_indefinite_operator"
    solution = pympf.solve(np.eye(2), [1.0, 1.0], method="cg", preconditioner=lambda r: -r)
    assert solution.reason == "diverged_indefinite_preconditioner"


def test_preconditioner_that_gives_nan():
    solution = pympf.solve(np.eye(2), [1.0, 1.0], preconditioner=lambda r: r * np.nan)
    assert solution.reason == "diverged_nan"
    assert np.isfinite(solution.x).all()


# SciPy's solvers


@pytest.mark.parametrize("solver", [spl.cg, spl.minres, spl.gmres, spl.bicgstab, spl.lgmres])
def test_scipy_solvers(rng, solver):
    A = gallery.poisson((20, 20))
    b = rng.standard_normal(400)
    M = pympf.as_preconditioner(A, method="multilevel")
    assert (M.shape, M.dtype) == (A.shape, A.dtype)
    x, info = solver(A, b, M=M, rtol=1e-10)
    assert info == 0
    assert np.linalg.norm(b - A @ x) <= 1e-7 * np.linalg.norm(b)


def test_scipy_minres_on_an_indefinite_matrix(rng):
    A = random_symmetric(100, rng, density=0.05)
    A = sp.csr_array(A + sp.diags_array(np.where(np.arange(100) % 2, 3.0, -3.0)))
    b = rng.standard_normal(100)
    x, info = spl.minres(A, b, M=pympf.as_preconditioner(A, method="classic"), rtol=1e-12)
    assert info == 0
    assert_close(A @ x, b, 1e7)


def test_same_iterations_as_scipy(rng):
    A = gallery.poisson((20, 20))
    b = rng.standard_normal(400)
    F = pympf.factorize(A, core_size=50)
    counted = []
    spl.cg(A, b, M=F.preconditioner(), rtol=1e-8, callback=counted.append)
    ours = pympf.solve(A, b, method="cg", preconditioner=F, rtol=1e-8)
    assert abs(ours.iterations - len(counted)) <= 1


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


@pytest.mark.parametrize("preconditioner", ["mmf", "jacobi", "none", "classic", "ict"])
@pytest.mark.parametrize(
    ("wrong", "right"),
    [("rtoll", "rtol"), ("max_iter", "maxiter"), ("precondtioner", "preconditioner"),
     ("drop_tolerence", "drop_tolerance"), ("cor_size", "core_size"),
     ("precond", "preconditioner")],
)  # fmt: skip
def test_a_misspelt_keyword_is_told_what_it_may_mean(preconditioner, wrong, right):
    A = gallery.poisson((8, 8))
    with pytest.raises(ValueError, match=rf"{wrong}; did you mean {right}\?.*rtol, .*maxiter"):
        pympf.solve(A, np.ones(64), preconditioner=preconditioner, **{wrong: 1})


def test_a_misspelt_keyword_of_the_other_ways_in():
    A = gallery.poisson((8, 8))
    with pytest.raises(ValueError, match=r"did you mean core_size\?"):
        pympf.factorize(A, coresize=10)
    with pytest.raises(ValueError, match=r"did you mean block_size\?"):
        pympf.as_preconditioner(A, blocksize=2)


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
