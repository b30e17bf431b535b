"""Which matrices count as symmetric, and what becomes of those that are so but for a few rows."""

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spl

import pympf
from pympf import gallery, la

METHODS = ["auto", "multilevel", "ict", "jacobi", "classic", "two_level", "direct"]


def boundary(n):
    k = np.arange(n * n).reshape(n, n)
    return np.unique(np.concatenate([k[0], k[-1], k[:, 0], k[:, -1]]))


def with_rows(A, rows, diagonal=1.0, keep=False):
    """Replace rows by a diagonal entry, as MatZeroRows does; `keep`: the pattern."""
    A = sp.csr_array(A).astype(np.float64)
    A.sort_indices()
    row = np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))
    there = np.isin(row, rows)
    A.data[there] = np.where(A.indices[there] == row[there], diagonal, 0.0)
    if not keep:
        A.eliminate_zeros()
    return A


def exact(A, b):
    return spl.spsolve(sp.csc_array(A), b)


def classic(A):
    return pympf.as_preconditioner(A, method="classic")


def error(found, x):
    return np.linalg.norm(found - x) / np.linalg.norm(x)


@pytest.fixture
def system(rng):
    A = with_rows(gallery.poisson((24, 24)), boundary(24))
    b = rng.standard_normal(576)
    return A, b, exact(A, b)


# ---- symmetry by its own rows --------------------------------------------------------------------


@pytest.mark.parametrize("large", [1, 1e13, 1e30, 1e300])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_large_entry_hides_nothing(large, dtype):
    if dtype == np.float32 and large > 1e38:
        return
    block = np.array([[2.0, -1, 0], [-0.5, 2, -1], [0, -1, 2]])
    A = sp.block_diag([[[large]], block], format="csr").astype(dtype)
    assert not la.is_symmetric(la.as_csr(A, symmetric=False))
    for f in (classic, pympf.factorize):
        with pytest.raises(ValueError, match=r"= 0\.5 at i = 1, j = 2"):
            f(A)


@pytest.mark.parametrize("exponent", [0, 5, 40, 150])
def test_diagonal_scaling_changes_no_verdict(rng, exponent):
    A = gallery.random_geometric_graph(300, seed=1)
    L = la.as_csr(gallery.laplacian(A, shift=0.1))
    noise = sp.random_array((300, 300), density=0.02, rng=rng) * 1e-15
    D = sp.diags_array(10.0 ** rng.uniform(-exponent, exponent, 300))
    assert la.is_symmetric(la.as_csr(D @ (L + noise) @ D, symmetric=False))
    assert not la.is_symmetric(la.as_csr(D @ (L + 1e6 * noise) @ D, symmetric=False))


# ---- patterns ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("noise", [0.0, 1e-18])
def test_entries_stored_on_one_side(rng, method, noise):
    A = gallery.poisson((15, 15)).tocoo()
    i, j = rng.integers(0, 225, (2, 80))
    far = abs(i - j) > 20
    i, j = i[far], j[far]
    data = np.r_[A.data, noise * np.ones(len(i))]
    B = sp.coo_array((data, (np.r_[A.row, i], np.r_[A.col, j])), shape=A.shape).tocsr()
    b = np.ones(225)
    try:
        M = pympf.as_preconditioner(B, method=method)
    except np.linalg.LinAlgError:
        assert method in ("two_level", "direct")  # which may say that they do not pay
        return
    x, info = spl.cg(B, b, M=M, rtol=1e-10)
    assert info == 0
    assert error(x, exact(A, b)) < 1e-8
    M.update(2 * B)
    assert error(spl.cg(2 * B, b, M=M, rtol=1e-10)[0], exact(A, b) / 2) < 1e-8
    assert error(pympf.solve(B, b).x, exact(A, b)) < 1e-7
    assert pympf.factorize(B).error(B) < 1


def test_zeros_on_one_side_of_the_identity():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        i, j = rng.integers(0, 60, (2, 60))
        data, n = np.r_[np.zeros(60), np.ones(60)], np.arange(60)
        A = sp.coo_array((data, (np.r_[i, n], np.r_[j, n])), shape=(60, 60)).tocsr()
        np.testing.assert_allclose(pympf.solve(A, np.arange(60.0)).x, np.arange(60.0))


# ---- Dirichlet rows ------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("diagonal", [1.0, -1.0, 1e-6, 1e8])
@pytest.mark.parametrize("sign", [1, -1])
def test_dirichlet_rows(rng, keep, diagonal, sign):
    A = with_rows(sign * gallery.poisson((24, 24)), boundary(24), diagonal, keep)
    x = rng.standard_normal(576)
    x[boundary(24)] /= diagonal
    b = A @ x
    solution = pympf.solve(A, b, rtol=1e-12)
    assert solution.converged
    assert solution.method == ("cg" if sign > 0 else "minres")
    assert "92 unknowns come from Dirichlet rows" in solution.choice
    np.testing.assert_array_equal(solution.x[boundary(24)], b[boundary(24)] / diagonal)
    inner = np.setdiff1d(np.arange(576), boundary(24))
    free = exact(
        A[inner][:, inner], b[inner] - A[inner] @ np.where(np.isin(np.arange(576), inner), 0, x)
    )
    assert error(solution.x[inner], free) < 1e-6
    residual = np.linalg.norm(b - A @ solution.x) / np.linalg.norm(b)
    assert solution.true_residual == pytest.approx(residual, abs=1e-15)


@pytest.mark.parametrize("preconditioner", [*METHODS[1:5], "mmf", "none"])
@pytest.mark.parametrize("method", ["auto", "cg", "minres", "gmres", "fgmres"])
def test_dirichlet_rows_by_every_method(system, preconditioner, method):
    A, b, x = system
    solution = pympf.solve(A, b, method=method, preconditioner=preconditioner, rtol=1e-10)
    assert solution.converged
    assert solution.reason == "converged_rtol"
    assert error(solution.x, x) < 1e-7
    assert solution.method == (method if method != "auto" else "cg")


def test_dirichlet_rows_keep_guess_callback_and_tolerance(system):
    A, b, x = system
    seen = []
    solution = pympf.solve(A, b, x0=x, callback=lambda i, r: seen.append((i, r)))
    assert solution.iterations == 0
    seen.clear()
    solution = pympf.solve(A, b, rtol=1e-4, callback=lambda i, r: seen.append((i, r)))
    assert len(seen) == solution.iterations + 1
    assert solution.history[-1] <= 1e-4 * np.linalg.norm(b) < solution.history[-2]
    assert pympf.solve(A, b, atol=1e6).reason == "converged_atol"
    zero = pympf.solve(A, 0 * b)
    assert zero.converged
    assert not zero.x.any()


@pytest.mark.parametrize("method", METHODS)
def test_a_preconditioner_for_dirichlet_rows(system, method):
    A, b, x = system
    try:
        M = pympf.as_preconditioner(A, method=method)
    except np.linalg.LinAlgError:
        assert method in ("two_level", "direct")
        return
    start = np.zeros(576)
    start[boundary(24)] = b[boundary(24)]
    by_cg, info = spl.cg(A, b, M=M, x0=start, rtol=1e-10)
    assert info == 0
    assert error(by_cg, x) < 1e-7
    by_gmres, info = spl.gmres(A, b, M=M, rtol=1e-12, restart=200)
    assert info == 0
    assert error(by_gmres, x) < 1e-7
    assert error(pympf.solve(A, b, preconditioner=M, rtol=1e-10).x, x) < 1e-7
    other = with_rows(2 * gallery.poisson((24, 24)), boundary(24))
    M.update(other)
    solution = pympf.solve(other, b, preconditioner=M, rtol=1e-10)
    assert error(solution.x, exact(other, b)) < 1e-7
    assert solution.method == "cg"


def test_new_dirichlet_rows_need_a_new_preconditioner(system):
    M = pympf.as_preconditioner(system[0], method="multilevel")
    with pytest.raises(ValueError, match="Dirichlet rows"):
        M.update(with_rows(gallery.poisson((24, 24)), boundary(24)[2:]))


def test_chains_and_cut_off_rows(rng):
    A = gallery.poisson((20, 20)).tolil()
    for i in range(20, 40):  # coupled with rows that are known before
        A.rows[i], A.data[i] = [i - 20, i], [-1.0, 4.0]
    for i in range(20):
        A.rows[i], A.data[i] = [i], [1.0]
    A = A.tocsr()
    b = rng.standard_normal(400)
    solution = pympf.solve(A, b, rtol=1e-12)
    assert "40 unknowns come from Dirichlet rows" in solution.choice
    assert error(solution.x, exact(A, b)) < 1e-9


def test_a_triangular_matrix_is_solved_by_substitution(rng):
    A = sp.csr_array(sp.tril(sp.random_array((300, 300), density=0.02, rng=rng), k=-1))
    order = rng.permutation(300)
    A = sp.csr_array(A + 2 * sp.eye_array(300))[order][:, order]
    b = rng.standard_normal(300)
    assert error(pympf.solve(A, b).x, exact(A, b)) < 1e-13


@pytest.mark.parametrize("method", ["auto", "cg", "gmres"])
@pytest.mark.parametrize("preconditioner", ["mmf", "jacobi", "none"])
def test_a_single_free_unknown(method, preconditioner):
    A = np.array([[1.0, 0, 0], [-1, 2, -1], [0, 0, 1]])
    solution = pympf.solve(A, [1.0, 0, 2], method=method, preconditioner=preconditioner)
    np.testing.assert_allclose(solution.x, [1, 1.5, 2])


def test_a_row_of_zeros_determines_nothing(system):
    A = with_rows(system[0], [300], 0.0)  # its column is left
    with pytest.raises(ValueError, match="92 Dirichlet rows still"):
        pympf.solve(A, system[1], method="cg")
    solution = pympf.solve(A, system[1], maxiter=100)
    assert not solution.converged
    assert "A is structurally singular" in solution.choice


def test_float32_dirichlet_rows(system):
    A, b, x = system
    solution = pympf.solve(A.astype(np.float32), b.astype(np.float32))
    assert solution.converged
    assert error(solution.x, x) < 1e-4


def test_an_own_preconditioner_of_an_unsymmetric_matrix_gets_gmres(system):
    A, b, x = system
    ilu = spl.spilu(sp.csc_array(A))
    solution = pympf.solve(A, b, preconditioner=ilu.solve)
    assert solution.method == "gmres"
    assert error(solution.x, x) < 1e-6


# ---- advice --------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [la.as_csr, pympf.factorize])
def test_advice_for_dirichlet_rows(system, f):
    with pytest.raises(ValueError, match="its 92 Dirichlet rows") as caught:
        f(system[0])
    assert "A.T" not in str(caught.value)


@pytest.mark.parametrize("f", [la.as_csr, pympf.factorize, classic])
def test_advice_for_rounding(f):
    A = gallery.poisson((10, 10)).tolil()
    A[0, 1] *= 1 + 1e-9
    with pytest.raises(ValueError, match=r"but for rounding .* take \(A \+ A\.T\) / 2"):
        f(A)
    f((A + A.T) / 2)


@pytest.mark.parametrize("f", [la.as_csr, pympf.factorize, classic])
def test_advice_for_what_is_not_symmetric(f):
    A = sp.csr_array(gallery.poisson((10, 10)) + 0.5 * sp.eye_array(100, k=1))
    b = np.ones(100)
    with pytest.raises(ValueError, match=r"pympf\.solve takes it as it is") as caught:
        f(A)
    assert "A.T" not in str(caught.value)
    for preconditioner in ("mmf", "multilevel", "ict", "direct", "jacobi", "none"):
        assert error(pympf.solve(A, b, preconditioner=preconditioner).x, exact(A, b)) < 1e-6
