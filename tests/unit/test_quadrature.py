"""log det A of the matrix itself, against the dense one."""

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf import gallery


def dense_logdet(A):
    return np.linalg.slogdet(A.toarray() if sp.issparse(A) else A)[1]


def kernel(n=300):
    X = np.random.default_rng(0).random((n, 2))
    return np.exp(-(((X[:, None] - X) ** 2).sum(axis=-1)) / 0.1) + 0.01 * np.eye(n)


@pytest.mark.parametrize("A", [gallery.poisson((24, 24)), kernel()], ids=["grid", "kernel"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_estimate_is_within_its_error_and_F_makes_that_smaller(A, dtype):
    A = A.astype(dtype)
    exact, F = dense_logdet(A.astype(np.float64)), pympf.factorize(A, core_size=80)
    plain, better = pympf.logdet(A), pympf.logdet(A, F)
    for estimate in (plain, better):
        assert abs(estimate.value - exact) <= 4 * estimate.standard_error
    assert better.standard_error < 0.85 * plain.standard_error
    assert abs(better.value - exact) < 0.2 * abs(F.logdet() - exact)


def test_more_probes_and_another_seed():
    A = gallery.poisson((12, 12))
    few, many, other = (
        pympf.logdet(A, n_probes=p, seed=s) for p, s in ((20, 0), (500, 0), (20, 1))
    )
    assert many.standard_error < 0.4 * few.standard_error
    assert few.value != other.value
    assert pympf.logdet(A, n_probes=20) == few


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_diagonal_matrices_are_exact(scale):
    d = np.array([1.0, 2.0, 3.0, 4.0, 5.0]) * scale
    found = pympf.logdet(sp.csr_array(sp.diags_array(d)))
    assert found.value == pytest.approx(np.log(d).sum(), rel=1e-12)
    assert found.standard_error <= 1e-10 * abs(found.value)


def test_what_F_holds_exactly_has_no_error():
    A = gallery.poisson(64)  # all of it is core
    found = pympf.logdet(A, pympf.factorize(A))
    assert found.value == pytest.approx(np.log(65), abs=1e-8)
    assert found.standard_error <= 1e-8


def test_bad_input():
    A = gallery.poisson(40)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        pympf.logdet(-A)
    with pytest.raises(ValueError, match="n_probes = 1 is not an integer in"):
        pympf.logdet(A, n_probes=1)
    with pytest.raises(ValueError, match="n_steps = 0"):
        pympf.logdet(A, n_steps=0)
    with pytest.raises(ValueError, match=r"expected a factorization of shape \(40, 40\)"):
        pympf.logdet(A, pympf.factorize(gallery.poisson(50)))
