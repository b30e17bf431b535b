"""Daubechies wavelets, and sparse approximate inverses in their basis (thesis, appendix A, 2.3)."""

import copy
import pickle
import sys

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import gmres

import pympf
from pympf import approx, gallery
from pympf.approx import drop_to_power
from pympf.ref.wavelet import sparse_inverse, transposed

pywt = pytest.importorskip("pywt", reason="PyWavelets is not installed")


def taps(order):
    return np.array(pywt.Wavelet(f"db{order}").rec_lo)


def matrix(n, seed, density=0.3):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, n)) * (rng.random((n, n)) < density) + 3 * np.eye(n)


# ---- the transform -------------------------------------------------------------------------------


@given(
    order=st.integers(1, 10),
    grid=st.lists(st.sampled_from([1, 2, 3, 4, 6, 8]), min_size=1, max_size=3),
    count=st.integers(1, 3),
)
def test_transform_factors_and_matrix_are_those_of_the_twin(order, grid, count):
    if all(n % 2 for n in grid):
        grid = [2, *grid[1:]]
    W = pympf.wavelets(grid, order=order)
    expected = transposed(taps(order), W.grid, W.levels)
    X = np.random.default_rng(0).standard_normal((W.shape[0], count))
    np.testing.assert_allclose(W.T @ X, expected @ X, atol=1e-12)
    np.testing.assert_allclose(W @ (W.T @ X), X, atol=1e-12)
    np.testing.assert_allclose(W.T @ (W @ X), X, atol=1e-12)
    np.testing.assert_allclose(W.matrix().toarray(), expected.T, atol=1e-13)
    product = np.eye(W.shape[0])
    for F in W.factors():
        product = F @ product
    np.testing.assert_allclose(product, expected, atol=1e-12)


@pytest.mark.parametrize("order", range(1, 11))
def test_details_of_a_polynomial_vanish(order):
    x = np.linspace(0, 1, 64) ** (order - 1)
    details = (pympf.wavelets(64, order=order, levels=1).T @ x)[32 : 64 - order]
    assert abs(details).max() < 1e-9


def test_transform_is_that_of_pywavelets():
    x = np.random.default_rng(1).standard_normal(64)
    W = pympf.wavelets(64, order=3, levels=1)
    averages, details = pywt.dwt(x, "db3", mode="periodization")
    for ours, theirs in ((W.T @ x)[:32], averages), ((W.T @ x)[32:], details):
        shifts = [min(abs(ours - s * np.roll(theirs, k)).max() for s in (1, -1)) for k in range(32)]
        assert min(shifts) < 1e-12  # another origin, and sign of the details


def test_same_bits_on_any_number_of_threads_and_columns():
    W = pympf.wavelets((64, 32), order=4)
    X = np.random.default_rng(2).standard_normal((W.shape[0], 8))
    A = sp.csr_array(gallery.poisson((16, 16)))
    basis = pympf.wavelets((16, 16), order=2)
    before = pympf.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            pympf.set_num_threads(threads)
            found.append(
                [W.T @ X, W @ X, W.T @ X[:, 0]]
                + [pympf.iwspai(A, basis, solver=solver).M.data for solver in ("qr", "lsqr")]
                + [pympf.wspai(A, basis).M.data]
            )
    finally:
        pympf.set_num_threads(before)
    for one, three in zip(*found, strict=True):
        np.testing.assert_array_equal(one, three)
    np.testing.assert_array_equal(found[0][0][:, 0], found[0][2])


# ---- sparse approximate inverses -----------------------------------------------------------------


@given(seed=st.integers(0, 10**6), n=st.sampled_from([2, 8, 24]), order=st.integers(1, 3))
def test_residual_is_orthogonal_to_the_allowed_columns(seed, n, order):
    A, W = matrix(n, seed), pympf.wavelets(n, order=order)
    dense = W.matrix().toarray()
    M = pympf.iwspai(A, W).M.toarray()
    assert not M[dense == 0].any()
    assert abs((A.T @ (A @ M - dense))[dense != 0]).max() < 1e-8
    if np.linalg.cond(A) < 1e4:  # so that the values are well determined
        np.testing.assert_allclose(M, sparse_inverse(A, dense, dense != 0), atol=1e-6)
        lsqr = pympf.iwspai(A, W, solver="lsqr", rtol=1e-14, maxiter=1000)
        np.testing.assert_allclose(lsqr.M.toarray(), M, atol=1e-6)


@given(seed=st.integers(0, 10**6), n=st.sampled_from([4, 20, 32]), block=st.integers(1, 40))
def test_blocks_are_those_of_the_twin(seed, n, block):
    A, W = matrix(n, seed), pympf.wavelets(n, order=2)
    dense = W.matrix().toarray()
    blocks = np.subtract.outer(np.arange(n) // block, np.arange(n) // block) == 0
    transformed = dense.T @ A @ dense
    M = pympf.wspai(A, W, block=block)
    found = M.M.toarray()
    assert not found[~blocks].any()
    assert abs((transformed.T @ (transformed @ found - np.eye(n)))[blocks]).max() < 1e-8
    if np.linalg.cond(A) < 1e4:
        np.testing.assert_allclose(found, sparse_inverse(transformed, np.eye(n), blocks), atol=1e-6)
    np.testing.assert_allclose(M @ np.eye(n), dense @ found @ dense.T, atol=1e-9)
    np.testing.assert_allclose(M.T @ np.eye(n), (M @ np.eye(n)).T, atol=1e-9)


def test_full_wavelets_give_the_inverse():
    A, W = matrix(8, 3), pympf.wavelets(8, order=4)  # each of whose wavelets fills the grid
    M = pympf.iwspai(A, W)
    np.testing.assert_allclose(M @ np.eye(8), np.linalg.inv(A), atol=1e-10)
    np.testing.assert_allclose(M.T @ np.eye(8), np.linalg.inv(A).T, atol=1e-10)


@pytest.mark.parametrize("A", [np.zeros((4, 4)), np.ones((4, 4)), np.diag([1.0, 0, 2, 3])])
def test_dependent_columns_get_the_least_solution(A):
    W = pympf.wavelets(4, order=1)
    dense = W.matrix().toarray()
    M = pympf.iwspai(A, W)
    np.testing.assert_allclose(M.M.toarray(), sparse_inverse(A, dense, dense != 0), atol=1e-12)
    assert M.report().dependent > 0
    lsqr = pympf.iwspai(A, W, solver="lsqr")
    np.testing.assert_allclose(lsqr.M.toarray(), M.M.toarray(), atol=1e-7)


def test_rows_and_columns_of_any_size_do_no_harm():
    A, W = matrix(32, 5), pympf.wavelets(32, order=2)
    scale = 10.0 ** np.random.default_rng(0).integers(-100, 100, 32)
    M, scaled = (pympf.iwspai(A * s, W).M.toarray() for s in (1, scale))
    np.testing.assert_allclose(scaled * scale[:, None], M, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("make", [pympf.wspai, pympf.iwspai])
def test_as_a_preconditioner_here_and_in_scipy(make):
    A = gallery.poisson((16, 16))
    M = make(A, pympf.wavelets((16, 16), order=4))
    b = np.random.default_rng(0).standard_normal(256)
    plain = pympf.solve(A, b, preconditioner="none", method="gmres", restart=0)
    ours = pympf.solve(A, b, preconditioner=M, method="gmres", restart=0)
    assert ours.converged
    assert ours.iterations < 0.7 * plain.iterations
    x, info = gmres(A, b, M=M, rtol=1e-10, restart=256)
    assert info == 0
    np.testing.assert_allclose(x, ours.x, atol=1e-6 * abs(x).max())


def test_report():
    A = gallery.poisson((16, 16))
    report = pympf.iwspai(A, pympf.wavelets((16, 16), order=2), solver="lsqr", maxiter=3).report()
    assert report.most_iterations == 3
    assert 0 < report.unconverged <= 256
    assert report.fill == report.nnz / A.nnz
    assert "left early" in str(report)
    assert report.as_dict()["nbytes"] == 12 * report.nnz + 4 * 257


# ---- what is kept, and what is refused -----------------------------------------------------------


def kept():
    W = pympf.wavelets((4, 8), order=2)
    A = matrix(32, 4)
    return [W, pympf.wspai(A, W, block=5), pympf.iwspai(A, W)]


@pytest.mark.parametrize("k", range(3))
def test_files_pickles_and_copies_are_the_same(tmp_path, k):
    F, X = kept()[k], np.random.default_rng(0).standard_normal((32, 2))
    F.save(tmp_path / "F.h5")
    for G in approx.load(tmp_path / "F.h5"), pickle.loads(pickle.dumps(F)), copy.deepcopy(F):
        assert repr(G) == repr(F)
        np.testing.assert_array_equal(G @ X, F @ X)
        np.testing.assert_array_equal(G.T @ X, F.T @ X)
    if k:
        assert G.report() == F.report()


def test_damaged_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "M.h5"
    kept()[2].save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OSError, match=r"M\.h5"):
        approx.load(path)

    def rewrite(name, values):
        path.write_bytes(whole)
        with h5py.File(path, "r+") as file:
            if "crc32" in file[name].attrs:
                del file[name].attrs["crc32"]
            file[name][:] = values
        with pytest.raises(OSError, match=r"M\.h5"):
            approx.load(path)

    rewrite("M/data", np.nan)
    rewrite("M/indices", 1000)
    rewrite("M/indptr", -1)
    rewrite("wavelets/grid", 10**12)
    rewrite("wavelets/grid", 3)
    rewrite("wavelets/grid", 4)
    rewrite("wavelets/levels", 40)
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        file["wavelets"].attrs["order"] = 11
    with pytest.raises(OSError, match=r"order = 11"):
        approx.load(path)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: pympf.wavelets(30, levels=2), ValueError, "nearest are 28 and 32"),
        (lambda: pympf.wavelets(6, levels=3), ValueError, "nearest is 8"),
        (lambda: pympf.wavelets((8, 15), levels=1), ValueError, "1 level needs .* 14 and 16"),
        (lambda: pympf.wavelets(15), ValueError, "nearest are 14 and 16"),
        (lambda: pympf.wavelets(1), ValueError, "nearest is 2"),
        (lambda: pympf.wavelets(8, order=11), ValueError, "order"),
        (lambda: pympf.wavelets(8.5), TypeError, "grid"),
        (lambda: pympf.wavelets((2, 2, 2, 2)), ValueError, "1 to 3 axes"),
        (lambda: pympf.wavelets((2**16, 2**16)), ValueError, "2147483647"),
        (lambda: pympf.wspai(np.eye(4), pympf.wavelets(8)), ValueError, "4 rows .* wavelets 8"),
        (lambda: pympf.iwspai(np.ones((8, 4)), pympf.wavelets(8)), ValueError, "square"),
        (lambda: pympf.wspai(np.eye(8), pympf.wavelets(8), block=0), ValueError, "block"),
        (lambda: pympf.iwspai(np.eye(8) * np.nan, pympf.wavelets(8)), ValueError, "finite"),
        (lambda: pympf.iwspai(np.eye(8) * 1j, pympf.wavelets(8)), TypeError, "real"),
        (lambda: pympf.iwspai(np.eye(8), pympf.wavelets(8), solver="lu"), ValueError, "qr"),
        (lambda: pympf.iwspai(np.eye(8), pympf.wavelets(8), rtol=-1), ValueError, "rtol"),
        (lambda: pympf.iwspai(np.eye(8), pympf.wavelets(8), maxiter=0), ValueError, "maxiter"),
        (lambda: drop_to_power(np.ones((3, 2))), ValueError, "square"),
    ],
)
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_without_pywavelets(monkeypatch):
    monkeypatch.setitem(sys.modules, "pywt", None)
    with pytest.raises(ImportError, match=r"pip install 'pmmf\[wavelets\]'"):
        pympf.wavelets(8)


def test_drop_to_power_keeps_a_principal_part():
    A = np.arange(100.0).reshape(10, 10)
    B, kept_rows = drop_to_power(A, seed=3)
    np.testing.assert_array_equal(B.toarray(), A[np.ix_(kept_rows, kept_rows)])
    assert B.shape == (8, 8)
    np.testing.assert_array_equal(drop_to_power(A, seed=3)[1], kept_rows)
    assert drop_to_power(np.eye(1))[0].shape == (1, 1)
    assert drop_to_power(np.eye(16))[0].shape == (16, 16)
