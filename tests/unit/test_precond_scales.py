"""The preconditioner in float32, and of matrices whose rows differ by many decades."""

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spl

import pympf
from pympf import gallery

from ..helpers import (
    assert_close,
)
from .precond_systems import BEGUN


def test_float32(rng):
    A = gallery.poisson((50, 50)).astype(np.float32)
    M = pympf.as_preconditioner(A)
    assert M.dtype == np.float32
    r = rng.standard_normal(2500)
    assert (M @ r).dtype == np.float32
    expected = pympf.as_preconditioner(gallery.poisson((50, 50))) @ r
    assert_close(M @ r, expected, 1000, np.float32)
    assert pympf.solve(A, r, rtol=1e-5).converged
    solution = pympf.solve(A, r, rtol=1e-5, preconditioner="multilevel")
    assert solution.converged
    assert solution.iterations <= 6


def contrast(width, low, seed=0):
    """Make a grid whose edges have weight 1 or, most of them, `low`: strong clusters."""
    nodes = np.arange(width**2).reshape(width, width)
    i = np.concatenate([nodes[:, :-1].ravel(), nodes[:-1].ravel()])
    j = np.concatenate([nodes[:, 1:].ravel(), nodes[1:].ravel()])
    weights = np.where(np.random.default_rng(seed).random(len(i)) < 0.7, low, 1.0)
    A = weighted_laplacian(width**2, i, j, weights).tolil()
    A[0, 0] += 1
    return sp.csr_array(A)


def weighted_laplacian(n, i, j, weights):
    W = sp.coo_array((np.tile(weights, 2), (np.r_[i, j], np.r_[j, i])), shape=(n, n)).tocsr()
    return gallery.laplacian(W)


def wide_weights(n, decades, seed=0):
    rng = np.random.default_rng(seed)
    i, j = rng.integers(0, n, 3 * n), rng.integers(0, n, 3 * n)
    keep = i != j
    weights = 10.0 ** rng.uniform(-decades, decades, 3 * n)
    return weighted_laplacian(n, i[keep], j[keep], weights[keep])


def scaled_to_unit_diagonal(A):
    D = sp.diags_array(1 / np.sqrt(A.diagonal()))
    return sp.csr_array(D @ A @ D)


@pytest.mark.parametrize("given", [{}, {"precision": "single"}, {"near_nullspace": True}])
@pytest.mark.parametrize("low", [3e-7, 1e-8, 1e-12])
def test_float32_is_left_where_strong_clusters_are_coupled_weakly(rng, low, given):
    """It would round the couplings away, and M would be indefinite (or next to it)."""
    A = contrast(150, low)
    b = A @ rng.standard_normal(22500)
    if "near_nullspace" in given:
        given = {"near_nullspace": np.ones(22500)}
    solution = pympf.solve(A, b, **given)
    assert solution.converged
    assert solution.iterations - BEGUN <= 10
    assert not solution.operator.report().single
    assert "in float64, as float32 rounds the smoothest vectors away" in solution.choice
    M = pympf.as_preconditioner(A, **given)
    assert spl.cg(A, b, M=M, rtol=1e-8, maxiter=20)[1] == 0
    M.update(2 * A)
    assert pympf.solve(2 * A, b, preconditioner=M).iterations <= 10


def test_float32_is_left_on_a_scaled_matrix_too(rng):
    A = scaled_to_unit_diagonal(contrast(150, 1e-8))
    assert pympf.solve(A, A @ rng.standard_normal(22500), method="cg").converged


def test_float32_is_left_when_new_values_need_it(rng):
    """The pattern stays, the contrast comes with an update, and goes."""
    even, uneven = contrast(150, 1e-2), contrast(150, 1e-8)
    M = pympf.as_preconditioner(even, method="multilevel")
    assert M.report().single
    M.update(uneven)
    assert not M.report().single
    b = uneven @ rng.standard_normal(22500)
    assert pympf.solve(uneven, b, preconditioner=M).iterations <= 10


def test_float32_stays_where_it_is_safe():
    for A in (gallery.poisson((160, 160)), gallery.poisson((26, 26, 26)), contrast(160, 1e-2)):
        assert pympf.as_preconditioner(A, method="multilevel").report().single


@pytest.mark.parametrize("decades", [9, 10, 12, 14])
def test_weights_over_many_decades(rng, decades):
    A = wide_weights(20000, decades)
    b = A @ rng.standard_normal(20000)
    assert pympf.solve(A, b).iterations <= 40
    assert spl.cg(A, b, M=pympf.as_preconditioner(A), rtol=1e-8, maxiter=60)[1] == 0


@pytest.mark.parametrize("decades", [3, 15, 40])
@pytest.mark.parametrize("cells", [(5, 6), (40, 40)])
def test_rows_of_any_scale_are_all_in_m(rng, cells, decades):
    S = gallery.poisson(cells)
    D = sp.diags_array(10.0 ** rng.uniform(-decades, decades, S.shape[0]))
    A = sp.csr_array(D @ S @ D)
    assert_definite_beside_s(pympf.as_preconditioner(A, method="multilevel"), S, D.diagonal())


def test_rows_of_any_scale_are_all_in_m_of_float32(rng):
    S = gallery.poisson((3, 5))
    D = np.ones(15)
    A = S.tolil()
    A[4, 4] = 7e23
    D[4] = 7e23**0.5
    M = pympf.as_preconditioner(sp.csr_array(A).astype(np.float32))
    S = sp.diags_array(1 / D) @ A @ sp.diags_array(1 / D)
    assert_definite_beside_s(M, S, D, digits=1e-4)


def assert_definite_beside_s(M, S, D, digits=1e-8):
    """D M D is symmetric, and its eigenvalues times S are about 1."""
    n = len(D)
    some = np.arange(n) if n < 100 else np.arange(0, n, 23)
    columns = (M @ np.eye(n, dtype=M.dtype)[:, some]).astype(np.float64) * D[:, None] * D[some]
    square = columns[some]
    assert abs(square - square.T).max() <= digits * abs(square).max()
    assert np.linalg.eigvalsh(square)[0] > 0
    if n < 100:
        eigenvalues = np.linalg.eigvals(columns @ S.toarray()).real
        assert abs(eigenvalues - 1).max() <= digits
