"""Sparse approximate inverses in a wavelet basis (thesis, algorithms 3 and 4)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pympf
from pympf.ref.spai import sparse_inverse


def matrix(n, seed):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, n)) * (rng.random((n, n)) < 0.3) + 3 * np.eye(n)


@given(seed=st.integers(0, 10**6), n=st.sampled_from([1, 2, 8, 24]), order=st.integers(1, 3))
def test_residual_is_orthogonal_to_the_allowed_columns(seed, n, order):
    A, W = matrix(n, seed), pympf.wavelets(n, order=order)
    dense = W.matrix().toarray()
    M = pympf.iwspai(A, W).M.toarray()
    assert not M[dense == 0].any()
    assert abs((A.T @ (A @ M - dense))[dense != 0]).max() < 1e-8
    np.testing.assert_allclose(M, sparse_inverse(A, dense, dense != 0), atol=1e-6)


def test_blocks_are_those_of_the_twin():
    A, W = matrix(20, 1), pympf.wavelets(20, order=2)
    dense = W.matrix().toarray()
    blocks = np.subtract.outer(np.arange(20) // 8, np.arange(20) // 8) == 0
    expected = sparse_inverse(dense.T @ A @ dense, np.eye(20), blocks)
    M = pympf.wspai(A, W)
    np.testing.assert_allclose(M.M.toarray(), expected, atol=1e-9)
    np.testing.assert_allclose(M @ np.eye(20), dense @ expected @ dense.T, atol=1e-9)
    np.testing.assert_allclose(M.T @ np.eye(20), (M @ np.eye(20)).T, atol=1e-9)


def test_dependent_columns_get_zeros():
    M = pympf.iwspai(np.zeros((4, 4)), pympf.wavelets(4, order=1)).M
    assert not M.toarray().any()
    ones = pympf.iwspai(np.ones((4, 4)), pympf.wavelets(4, order=1)).M
    assert np.isfinite(ones.data).all()


def test_same_bits_on_any_number_of_threads():
    A, W = matrix(256, 2), pympf.wavelets(256, order=2)
    before = pympf.get_num_threads()
    try:
        pympf.set_num_threads(1)
        one = pympf.iwspai(A, W).M.data
        pympf.set_num_threads(3)
        np.testing.assert_array_equal(pympf.iwspai(A, W).M.data, one)
    finally:
        pympf.set_num_threads(before)


def test_shapes_that_do_not_fit_are_refused():
    W = pympf.wavelets(8)
    with pytest.raises(ValueError, match="4 rows and the wavelets 8"):
        pympf.wspai(np.eye(4), W)
    with pytest.raises(ValueError, match="square"):
        pympf.iwspai(np.ones((8, 4)), W)
    with pytest.raises(ValueError, match="block"):
        pympf.wspai(np.eye(8), W, block=0)
