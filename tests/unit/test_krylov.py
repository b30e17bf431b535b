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
    random_spd,
    random_symmetric,
)
from .krylov_checks import BUILT, METHODS, check, preconditioner, true_residual

PRECONDITIONERS = [*BUILT, "jacobi", "none", "operator", "callable", "factorization", "given"]


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
