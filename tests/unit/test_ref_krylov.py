"""The numpy Krylov methods against SciPy, dense solves and what they minimize."""

import numpy as np
import pytest
import scipy.sparse.linalg as spla
from hypothesis import given
from hypothesis import strategies as st

import pympf
from pympf.ref import krylov, residuals

METHODS = [krylov.cg, krylov.fcg, krylov.minres, krylov.gmres, krylov.fgmres]


def symmetric(eigenvalues, seed=0):
    """A dense symmetric matrix with these eigenvalues."""
    n = len(eigenvalues)
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    A = Q * eigenvalues @ Q.T
    return (A + A.T) / 2


def spd(n=30, seed=0):
    return symmetric(np.linspace(1, 40, n), seed)


def indefinite(n=30, seed=0):
    eigenvalues = np.linspace(-20, 30, n)
    return symmetric(eigenvalues + np.sign(eigenvalues), seed)


def nonsymmetric(n=30, seed=0):
    return np.random.default_rng(seed).standard_normal((n, n)) + 1.5 * np.sqrt(n) * np.eye(n)


def preconditioner(n=30):
    return np.diag(1 / (1.0 + np.arange(n) % 4))


def recorded(solver, A, b, M, **options):
    """The iterates of a SciPy method, the initial guess 0 first."""
    iterates = [np.zeros_like(b)]
    x, _ = solver(A, b, M=M, callback=lambda xk: iterates.append(xk.copy()), **options)
    return x, iterates


class Varying:
    """A preconditioner that is a scaling by other factors each time."""

    def __init__(self):
        self.calls = 0

    def __matmul__(self, r):
        self.calls += 1
        return r * (1 + (np.arange(r.size) + self.calls) % 3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("guess", [False, True])
def test_solves_an_spd_system(method, preconditioned, guess, rng):
    A, b = spd(), rng.standard_normal(30)
    M = preconditioner() if preconditioned else krylov.IDENTITY
    x0 = rng.standard_normal(30) if guess else None
    given_x0 = None if x0 is None else x0.copy()
    x, history = method(A, b, M=M, x0=x0, rtol=1e-12)
    np.testing.assert_allclose(x, np.linalg.solve(A, b), rtol=1e-9, atol=1e-11)
    start = b if x0 is None else b - A @ x0
    np.testing.assert_allclose(history[0], np.linalg.norm(start), rtol=1e-14)
    assert history[-1] <= 1e-12 * np.linalg.norm(b) < history[-2]
    if guess:
        np.testing.assert_array_equal(x0, given_x0)


@pytest.mark.parametrize("method", METHODS)
def test_needs_as_many_iterations_as_there_are_eigenvalues(method, rng):
    A = symmetric(np.tile([1.0, 2.0, 5.0, 9.0], 6))
    _, history = method(A, rng.standard_normal(24), rtol=1e-10)
    assert len(history) == 1 + 4


@pytest.mark.parametrize("method", METHODS)
def test_stops_at_maxiter(method, rng):
    _, history = method(spd(), rng.standard_normal(30), maxiter=5)
    assert len(history) == 6


def test_cg_takes_the_steps_of_scipy(rng):
    A, M, b = spd(), preconditioner(), rng.standard_normal(30)
    _, iterates = recorded(spla.cg, A, b, M, rtol=1e-6)
    x, history = krylov.cg(A, b, M=M, rtol=1e-6)
    np.testing.assert_allclose(x, iterates[-1], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(history, [np.linalg.norm(b - A @ xk) for xk in iterates], rtol=1e-7)


@pytest.mark.parametrize("matrix", [spd, indefinite])
def test_minres_takes_the_steps_of_scipy(matrix, rng):
    A, M, b = matrix(), preconditioner(), rng.standard_normal(30)
    _, iterates = recorded(spla.minres, A, b, M, rtol=1e-14, maxiter=15)
    _, history = krylov.minres(A, b, M=M, maxiter=15)
    expected = [np.linalg.norm(b - A @ xk) for xk in iterates]
    np.testing.assert_allclose(history, expected, rtol=1e-8)


def test_left_gmres_takes_the_steps_of_scipy(rng):
    A, b = nonsymmetric(), rng.standard_normal(30)
    M = preconditioner() + 0.02 * nonsymmetric(seed=1)
    relative: list[float] = []  # preconditioned residuals over the norm of b
    spla.gmres(A, b, M=M, restart=10, maxiter=2, callback=relative.append, callback_type="pr_norm")
    _, history = krylov.gmres(A, b, M=M, restart=10, maxiter=len(relative), side="left", rtol=0)
    np.testing.assert_allclose(history[0], np.linalg.norm(M @ b), rtol=1e-14)
    np.testing.assert_allclose(history[1:], np.array(relative) * np.linalg.norm(b), rtol=1e-8)


def krylov_basis(B, r, k):
    """An orthonormal basis of span{r, B r, ..., B^(k-1) r}."""
    V, w = np.empty((r.size, 0)), r
    for _ in range(k):
        for _ in range(2):
            w = w - V @ (V.T @ w)
        V = np.column_stack([V, w / np.linalg.norm(w)])
        w = B @ V[:, -1]
    return V


def smallest_residual(B, r, k):
    """The least ‖r − B q‖ for q in the Krylov space of dimension k."""
    Q = np.linalg.qr(B @ krylov_basis(B, r, k))[0]
    return np.linalg.norm(r - Q @ (Q.T @ r))


def test_cg_minimizes_the_energy_of_the_error(rng):
    A, M, b, x0 = spd(), preconditioner(), rng.standard_normal(30), rng.standard_normal(30)
    r0 = b - A @ x0
    for k in range(1, 8):
        V = krylov_basis(M @ A, M @ r0, k)
        best = x0 + V @ np.linalg.solve(V.T @ A @ V, V.T @ r0)
        x, _ = krylov.cg(A, b, M=M, x0=x0, maxiter=k)
        np.testing.assert_allclose(x, best, rtol=1e-9, atol=1e-11)


def test_minres_minimizes_the_norm_of_the_preconditioner(rng):
    A, M, b, x0 = indefinite(), preconditioner(), rng.standard_normal(30), rng.standard_normal(30)
    root = np.sqrt(M)
    for k in range(1, 10):
        x, history = krylov.minres(A, b, M=M, x0=x0, maxiter=k)
        r = b - A @ x
        best = smallest_residual(root @ A @ root, root @ (b - A @ x0), k)
        np.testing.assert_allclose(np.linalg.norm(root @ r), best, rtol=1e-9)
        np.testing.assert_allclose(history[-1], np.linalg.norm(r), rtol=1e-9)


@pytest.mark.parametrize("side", ["right", "left"])
def test_gmres_minimizes_the_residual(side, rng):
    A, M, b = nonsymmetric(), nonsymmetric(seed=1), rng.standard_normal(30)
    _, history = krylov.gmres(A, b, M=M, maxiter=9, side=side)
    B, r = (A @ M, b) if side == "right" else (M @ A, M @ b)
    best = [np.linalg.norm(r)] + [smallest_residual(B, r, k) for k in range(1, 10)]
    np.testing.assert_allclose(history, best, rtol=1e-9)


def test_fgmres_with_a_fixed_preconditioner_is_right_gmres(rng):
    A, M, b = nonsymmetric(), nonsymmetric(seed=1), rng.standard_normal(30)
    x, history = krylov.gmres(A, b, M=M, restart=5, maxiter=40)
    y, flexible = krylov.fgmres(A, b, M=M, restart=5, maxiter=40)
    np.testing.assert_allclose(flexible, history, rtol=1e-9)
    np.testing.assert_allclose(y, x, rtol=1e-9)


def test_fgmres_takes_a_preconditioner_that_varies(rng):
    A, b = spd(), rng.standard_normal(30)
    x, history = krylov.fgmres(A, b, M=Varying(), rtol=1e-10)
    assert np.linalg.norm(b - A @ x) <= 1e-9 * np.linalg.norm(b)
    np.testing.assert_allclose(history[-1], np.linalg.norm(b - A @ x), rtol=0.1)


def test_fcg_with_a_fixed_preconditioner_is_cg(rng):
    A, b, M = spd(), rng.standard_normal(30), preconditioner()
    x, history = krylov.cg(A, b, M=M, maxiter=15)
    y, flexible = krylov.fcg(A, b, M=M, maxiter=15)
    np.testing.assert_allclose(flexible, history, rtol=1e-6)
    np.testing.assert_allclose(y, x, rtol=1e-6)


def test_fcg_takes_a_preconditioner_that_varies(rng):
    A, b = spd(), rng.standard_normal(30)
    x, history = krylov.fcg(A, b, M=Varying(), rtol=1e-10)
    assert np.linalg.norm(b - A @ x) <= 1e-9 * np.linalg.norm(b)
    np.testing.assert_allclose(history[-1], np.linalg.norm(b - A @ x), rtol=0.1)


def test_steps_of_fcg_are_conjugate_whatever_the_preconditioner(rng):
    A, b = spd(), rng.standard_normal(30)

    def cosines(method):
        x = [method(A, b, M=Varying(), maxiter=k)[0] for k in range(1, 12)]
        steps = np.diff(x, axis=0)
        gram = steps @ A @ steps.T
        return np.abs(np.diag(gram, 1)) / np.sqrt(gram.diagonal()[1:] * gram.diagonal()[:-1])

    assert cosines(krylov.fcg).max() <= 1e-8
    assert cosines(krylov.cg).max() >= 1e-2


def test_restarted_gmres_repeats_full_gmres_for_one_cycle(rng):
    A, b = spd(), rng.standard_normal(30)
    _, full = krylov.gmres(A, b, restart=30)
    x, restarted = krylov.gmres(A, b, restart=5)
    np.testing.assert_allclose(restarted[:6], full[:6], rtol=1e-10)
    assert len(restarted) > len(full)
    assert np.linalg.norm(b - A @ x) <= 1.001e-8 * np.linalg.norm(b)


@pytest.mark.parametrize("method", METHODS)
def test_singular_consistent_system(method, rng):
    A = np.diag(np.r_[1, 2 * np.ones(28), 1]) - np.eye(30, k=1) - np.eye(30, k=-1)
    solution = rng.standard_normal(30)
    x, _ = method(A, A @ solution, rtol=1e-11)
    np.testing.assert_allclose(np.diff(x), np.diff(solution), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("cg", {}),
        ("fcg", {}),
        ("minres", {}),
        ("gmres", {"restart": 7}),
        ("gmres", {"restart": 7, "side": "left"}),
        ("fgmres", {"restart": 7}),
    ],
)
@pytest.mark.parametrize("preconditioned", [False, True])
def test_the_core_takes_the_steps_of_its_twin(method, options, preconditioned, rng):
    A, b, x0 = spd(), rng.standard_normal(30), rng.standard_normal(30)
    M = preconditioner() if preconditioned else krylov.IDENTITY
    x, history = getattr(krylov, method)(A, b, M=M, x0=x0, maxiter=20, **options)
    callback = M.__matmul__ if preconditioned else "none"
    solution = pympf.solve(
        A, b, method=method, preconditioner=callback, x0=x0, maxiter=20, **options
    )
    np.testing.assert_allclose(solution.history, history, rtol=1e-6)
    np.testing.assert_allclose(solution.x, x, rtol=1e-6, atol=1e-9)


@given(
    method=st.sampled_from(METHODS),
    n=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
    preconditioned=st.booleans(),
)
def test_random_systems_take_at_most_n_iterations(method, n, seed, preconditioned):
    random = np.random.default_rng(seed)
    A = symmetric(random.uniform(1, 10, n), seed)
    M = symmetric(random.uniform(1, 2, n), seed + 1) if preconditioned else krylov.IDENTITY
    b = random.standard_normal(n)
    x, history = method(A, b, M=M, rtol=1e-7)
    assert len(history) <= 1 + n
    np.testing.assert_allclose(A @ x, b, atol=1.001e-7 * np.linalg.norm(b))


def test_what_the_compiled_solver_takes_out_of_b_and_how_it_measures(rng):
    path = pympf.gallery.laplacian(pympf.gallery.poisson(20) - 2 * np.eye(20)).toarray()
    A = np.zeros((50, 50))
    A[:20, :20], A[20:40, 20:40], A[40:, 40:] = path, path, spd(10)
    b = rng.standard_normal(50)
    rest = residuals.consistent_part(A, b)
    solution = pympf.solve(A, b, preconditioner="none")
    assert solution.reason == "diverged_inconsistent"
    np.testing.assert_allclose(A @ solution.x, rest, atol=1e-6)
    held = spd() + np.diag(np.r_[np.full(5, 1e9), np.zeros(25)])
    b = np.r_[np.full(5, 1e9), np.ones(25)]
    solution = pympf.solve(held, b, preconditioner="jacobi")
    norm = residuals.row_scaled_norm(held, b, b - held @ solution.x)
    assert solution.norm == "row_scaled"
    assert solution.true_residual == pytest.approx(norm / np.linalg.norm(b), rel=1e-3)


@pytest.mark.parametrize("given", ["b", "x"])
def test_how_the_compiled_solver_judges_rows_of_far_units(rng, given):
    D = 10.0 ** rng.uniform(-10, 10, 30)
    A = D[:, None] * spd() * D
    b = rng.standard_normal(30) if given == "b" else A @ rng.standard_normal(30)
    solution = pympf.solve(A, b, preconditioner="ict")
    residual, open_share = residuals.balanced_residual(A, b, solution.x)
    assert solution.norm == "balanced"
    assert max(residual, solution.true_residual) < 1e-13
    assert solution.converged == (given == "b") == (open_share < 1e-3)
