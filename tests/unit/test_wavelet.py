"""Daubechies wavelets (thesis, appendix A)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pympf
from pympf.approx import daubechies, drop_to_power


@pytest.mark.parametrize("order", range(1, 11))
def test_filter_is_orthogonal_and_has_vanishing_moments(order):
    h = daubechies(order)
    for shift in range(order):
        assert h[2 * shift :] @ h[: h.size - 2 * shift] == pytest.approx(float(shift == 0), abs=1e-10)
    m = np.arange(h.size) / h.size
    for power in range(order):
        assert abs(((-1.0) ** np.arange(h.size) * h[::-1]) @ m**power) < 1e-10


@pytest.mark.parametrize("order", range(1, 11))
def test_filter_is_that_of_pywavelets(order):
    pywt = pytest.importorskip("pywt", reason="PyWavelets is not installed")
    np.testing.assert_allclose(daubechies(order), pywt.Wavelet(f"db{order}").rec_lo, atol=1e-9)


@given(
    order=st.integers(1, 10),
    grid=st.lists(st.sampled_from([1, 2, 3, 4, 6, 8]), min_size=1, max_size=3),
)
def test_reconstruction_and_sparse_factors(order, grid):
    W = pympf.wavelets(grid, order=order)
    x = np.random.default_rng(0).standard_normal((W.shape[0], 2))
    np.testing.assert_allclose(W @ (W.T @ x), x, atol=1e-9)
    np.testing.assert_allclose(W.matrix() @ x, W @ x, atol=1e-9)


def test_sizes_and_orders_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="nearest are 28 and 32"):
        pympf.wavelets(30, levels=2)
    with pytest.raises(ValueError, match="nearest is 8"):
        pympf.wavelets(6, levels=3)
    with pytest.raises(ValueError, match="order"):
        pympf.wavelets(8, order=11)
    with pytest.raises(ValueError, match="1 to 3 axes"):
        pympf.wavelets((2, 2, 2, 2))


def test_drop_to_power_keeps_a_principal_part():
    A = np.arange(100.0).reshape(10, 10)
    B, kept = drop_to_power(A, seed=3)
    np.testing.assert_array_equal(B.toarray(), A[np.ix_(kept, kept)])
    assert B.shape == (8, 8)
    np.testing.assert_array_equal(drop_to_power(A, seed=3)[1], kept)
