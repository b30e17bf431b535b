"""Sparse direct factors: every backend that this pympf has, against SciPy."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import spsolve

import pympf
from pympf import gallery
from pympf._engine import core

BACKENDS = core.factor_backends()
SYMMETRIC = BACKENDS["symmetric"]

pytestmark = pytest.mark.skipif(not SYMMETRIC, reason="no library of sparse direct factors")


def saddle_point(rng, n=40, m=15):
    F = sp.random_array((n, n), density=0.1, rng=rng)
    B = sp.eye_array(m, n) + sp.random_array((m, n), density=0.1, rng=rng)
    return sp.csr_array(sp.block_array([[F @ F.T + sp.eye_array(n), B.T], [B, None]]))


def direct(A, backend="auto", **options):
    return pympf.as_preconditioner(A, method="direct", factor_backend=backend, **options)


@pytest.mark.parametrize("backend", ["auto", *BACKENDS["definite"]])
def test_definite(rng, backend):
    A = gallery.poisson((19, 17))
    b = rng.standard_normal(A.shape[0])
    M = direct(A, backend)
    assert M.definite
    np.testing.assert_allclose(M @ b, spsolve(A.tocsc(), b), rtol=1e-7)
    found = M.report().direct
    assert found["backend"] == (BACKENDS["definite"][0] if backend == "auto" else backend)
    assert found["stored"] >= found["predicted"] > A.shape[0]
    assert found["flops"] > found["predicted"]
    assert f"; {found['backend']}, ordered by {found['order']}: " in M.choice


@pytest.mark.parametrize("backend", ["auto", *SYMMETRIC])
@pytest.mark.parametrize("kind", ["shifted", "saddle point"])
def test_indefinite(rng, backend, kind):
    A = gallery.shifted(gallery.poisson((19, 17)), -1) if kind == "shifted" else saddle_point(rng)
    b = rng.standard_normal(A.shape[0])
    M = direct(A, backend)
    assert not M.definite
    assert M.indefinite
    # SuperLU takes 1e-8 for zeros on the diagonal.
    np.testing.assert_allclose(M @ b, spsolve(A.tocsc(), b), rtol=1e-4, atol=1e-4)
    options = {"preconditioner": "direct", "factor_backend": backend}
    solution = pympf.solve(A, b, rtol=1e-12, **options)
    assert solution.converged
    assert solution.iterations <= 3
    assert np.linalg.norm(b - A @ solution.x) <= 1e-11 * np.linalg.norm(b)
    assert M.report().direct["backend"] in solution.choice


@pytest.mark.parametrize("backend", SYMMETRIC)
def test_singular(backend):
    """The kernel of the difference of two paths is noticed, and an empty row."""
    path = gallery.laplacian(gallery.poisson(30) - 2 * sp.eye_array(30))
    for A in (sp.block_diag([path, -path]), sp.diags_array([1.0, 0.0, -2.0])):
        with pytest.raises(np.linalg.LinAlgError, match="singular to rounding"):
            direct(sp.csr_array(A), backend)


@pytest.mark.parametrize("backend", BACKENDS["definite"])
def test_semidefinite(rng, backend):
    """M solves what has a solution, and says what it had to add."""
    A = gallery.laplacian(4 * sp.eye_array(81) - gallery.poisson((9, 9)))
    M = direct(A, backend)
    assert "singular to rounding" in M.choice
    b = A @ rng.standard_normal(81)
    assert np.linalg.norm(A @ (M @ b) - b) <= 1e-3 * np.linalg.norm(b)


@pytest.mark.parametrize("backend", SYMMETRIC)
def test_single_precision_and_new_values(rng, backend):
    A = gallery.shifted(gallery.poisson((19, 17)), -1)
    b = rng.standard_normal(A.shape[0])
    M = direct(A.astype(np.float32), backend)
    x = M @ b.astype(np.float32)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, spsolve(A.tocsc(), b), rtol=1e-3, atol=1e-3)
    M = direct(A, backend)
    M.update(sp.csr_array(2 * A))
    np.testing.assert_array_equal(M @ b, direct(sp.csr_array(2 * A), backend) @ b)


@pytest.mark.parametrize("backend", sorted({*BACKENDS["definite"], *SYMMETRIC}))
def test_the_same_bits_on_any_number_of_threads(rng, backend):
    A = gallery.poisson((13, 14, 12))
    A = A if backend == "cholmod" else gallery.shifted(A, -1)
    b, before = rng.standard_normal(A.shape[0]), pympf.get_num_threads()
    found = []
    try:
        for threads in (1, 3, 1):
            pympf.set_num_threads(threads)
            found.append(direct(A, backend) @ b)
    finally:
        pympf.set_num_threads(before)
    assert all(np.array_equal(x, found[0]) for x in found)


@pytest.mark.parametrize("backend", BACKENDS["general"])
def test_not_symmetric(rng, backend):
    A = gallery.convection_diffusion(17, 100.0)
    b = rng.standard_normal(A.shape[0])
    M = direct(A, backend)
    assert M.report().direct["backend"] == backend
    np.testing.assert_allclose(M @ b, spsolve(A.tocsc(), b), rtol=1e-6)
    np.testing.assert_allclose(M.T @ b, spsolve(A.T.tocsc(), b), rtol=1e-6)


def test_what_a_backend_is_not_for(rng):
    indefinite = gallery.shifted(gallery.poisson((9, 9)), -1)
    with pytest.raises(
        np.linalg.LinAlgError, match=r"method = .direct. is not available: .*cholmod"
    ):
        direct(indefinite, "cholmod")
    with pytest.raises(ValueError, match="'cholmod' is not available for this matrix"):
        direct(gallery.convection_diffusion(9, 10.0), "cholmod")
    with pytest.raises(ValueError, match=r"factor_backend = .*pardiso.* is not one of"):
        direct(indefinite, "pardiso")
    with pytest.raises(TypeError, match="factor_backend"):
        direct(indefinite, None)
    bad = indefinite.copy()
    bad.data[5] = np.nan
    with pytest.raises(ValueError, match="expected finite entries"):
        direct(bad)


def test_a_factor_of_one_row():
    for backend in ("auto", *SYMMETRIC):
        assert direct(sp.csr_array([[-4.0]]), backend) @ np.ones(1) == -0.25


@pytest.mark.skipif("mumps" not in SYMMETRIC, reason="this pympf is without MUMPS")
@pytest.mark.parametrize("mpi", ["no", "running", "ended"])
def test_mumps_needs_no_mpi(mpi, tmp_path):
    """It is the build without MPI, whose names must not meet those of the real one."""
    start = {
        "no": "",
        "running": "from mpi4py import MPI; assert MPI.COMM_WORLD.allreduce(2) == 2",
        "ended": "from mpi4py import MPI; MPI.Finalize()",
    }[mpi]
    if start and not core.have_mpi:
        pytest.skip("this pympf is without MPI")
    if start:
        pytest.importorskip("mpi4py")
    script = f"""
import numpy as np, pympf
{start}
A = pympf.gallery.shifted(pympf.gallery.poisson((30, 30)), -1)
x = pympf.as_preconditioner(A, method="direct", factor_backend="mumps") @ np.ones(900)
assert np.linalg.norm(A @ x - 1) < 1e-9
{"assert MPI.COMM_WORLD.allreduce(3) == 3" if mpi == "running" else ""}
print("good")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.stdout, done.returncode) == ("good\n", 0), done.stderr


def test_pivots_that_are_too_small_keep_the_factor_sparse(rng):
    """Where SuperLU has to leave the diagonal, its order is COLAMD, as that of SciPy."""
    if "superlu" not in SYMMETRIC:
        pytest.skip("no SuperLU")
    A = sp.csr_array(gallery.poisson((40, 40)) - 4 * sp.eye_array(1600))  # no diagonal
    A = sp.csr_array(A + sp.diags_array(1e-12 * rng.choice([-1.0, 1.0], 1600)))
    x = rng.standard_normal(1600)
    M = direct(A, "superlu")
    solution = pympf.solve(A, A @ x, preconditioner=M)
    assert solution.converged
    from scipy.sparse.linalg import splu

    assert M.report().direct["stored"] < 2 * splu(A.tocsc()).nnz


def test_rows_that_are_nearly_full_do_not_slow_the_order_down():
    """An arrow pointing away from its hub, and rows of hubs: the factor stays as sparse as A."""
    n = 400
    hubs = sp.csr_array((n, n)).tolil()
    hubs[:3, :] = 0.01
    hubs[:, :3] = 0.01
    A = sp.csr_array(hubs.tocsr() + sp.diags_array(np.arange(1.0, n + 1)) * 10)
    A = sp.csr_array(A + sp.eye_array(n, k=1))  # not symmetric
    M = direct(A)
    b = np.ones(n)
    np.testing.assert_allclose(M @ b, spsolve(A.tocsc(), b), rtol=1e-8)
    assert M.report().direct["stored"] < 3 * A.nnz


@pytest.mark.parametrize("backend", SYMMETRIC)
def test_two_leaves_on_one_vertex_make_an_adjacency_matrix_singular(rng, backend):
    """Nothing is factored for it, and minres takes what is in the range."""
    n = 700
    A = sp.diags_array([np.ones(n - 1), np.ones(n - 1)], offsets=(1, -1)).tolil()
    A[0, 1] = A[1, 0] = 0
    A[0, 2] = A[2, 0] = 1  # 0 and 1 have 2 alone
    A = sp.csr_array(A)
    A.eliminate_zeros()
    with pytest.raises(np.linalg.LinAlgError, match="A is singular to rounding"):
        direct(A, backend)
    assert pympf.solve(A, A @ rng.standard_normal(n), factor_backend=backend).converged
