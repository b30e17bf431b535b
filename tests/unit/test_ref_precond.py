"""The numpy twin of the multilevel preconditioner: invariants of its parts and of the cycle."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pympf.ref.precond.couplings import cluster, contract, couplings
from pympf.ref.precond.incomplete_cholesky import incomplete_cholesky
from pympf.ref.precond.params import Params
from pympf.ref.precond.setup import default_vector, setup
from pympf.ref.precond.smoother import smoother
from pympf.ref.precond.transfer import lifted_prolongation, rotate

SMOOTHERS = ["ict", "gs", "chebyshev", "l1_jacobi"]


def laplacian(n, degree, seed):
    """Build the Laplacian of a random connected graph with positive weights."""
    rng = np.random.default_rng(seed)
    A = np.zeros((n, n))
    edges = [(i, rng.integers(i)) for i in range(1, n)]
    edges += [tuple(rng.integers(n, size=2)) for _ in range(n * (degree - 2) // 2)]
    for i, j in edges:
        if i != j:
            A[i, j] = A[j, i] = -rng.uniform(0.5, 1.5)
    return A - np.diag(A.sum(axis=1))


def grid(*shape):
    """Build the Dirichlet Laplacian of a grid."""
    A = np.zeros((1, 1))
    for n in shape:
        line = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
        A = np.kron(A, np.eye(n)) + np.kron(np.eye(len(A)), line)
    return A


def dense(M):
    """Give the matrix of a linear cycle."""
    n = len(M.levels[0].A) if M.levels else len(M.coarse)
    return np.column_stack([M.apply(e) for e in np.eye(n)])


def smallest_eigenvalue(A):
    return np.linalg.eigvalsh((A + A.T) / 2)[0]


graphs = st.builds(laplacian, st.integers(2, 30), st.integers(2, 8), st.integers(0, 2**32))


@given(graphs, st.sampled_from(["star", "triple", "pair"]), st.floats(0, 1), st.integers(2, 9))
def test_clusters_are_a_partition_along_strong_couplings(A, shape, theta, largest):
    W = couplings(A, np.ones((len(A), 1)))
    label = cluster(W, shape, theta, largest)
    strongest = W.max(axis=1)
    assert np.all((label < 0) == (strongest == 0))
    most = min(largest, {"star": largest, "triple": 3, "pair": 2}[shape])
    assert np.bincount(label[label >= 0]).max() <= most
    _, first = np.unique(label[label >= 0], return_index=True)
    assert np.all(np.diff(first) > 0)  # numbered in the order of the first nodes
    follows = (W > 0) & (theta * strongest[:, None] <= W)
    for i in range(len(A)):
        mates = (label == label[i]) & (np.arange(len(A)) != i)
        assert not mates.any() or (follows | follows.T)[i, mates].any()


def test_the_stars_of_a_path():
    W = couplings(grid(9), np.ones((9, 1)))
    assert cluster(W, "star", 0.35, 64).tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert cluster(W, "pair", 0.35, 64).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4]


@given(graphs)
def test_contraction_keeps_the_weight_between_clusters(A):
    W = couplings(A, np.ones((len(A), 1)))
    label = cluster(W, "star", 0.35, 8)
    coarse = contract(W, label)
    for u, v in itertools.product(range(len(coarse)), repeat=2):
        expected = 0 if u == v else W[np.ix_(label == u, label == v)].sum()
        assert coarse[u, v] == pytest.approx(expected)


@pytest.mark.parametrize("block", [1, 2])
@pytest.mark.parametrize("m", [1, 2, 4])
@pytest.mark.parametrize("dependent", [False, True])
def test_rotations_keep_the_near_nullspace(m, block, dependent, rng):
    label = np.array([0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 3])
    B = rng.standard_normal((len(label) * block, m))
    if dependent:
        B[:, -1] = B[:, 0] * 3
    Q, R = rotate(B, label, block)
    np.testing.assert_allclose(Q @ R, B, atol=1e-14 * len(B))
    gram = Q.T @ Q
    kept = np.diag(gram) > 0.5
    np.testing.assert_allclose(gram, np.diag(kept.astype(float)), atol=1e-14)
    np.testing.assert_array_equal(kept, R.any(axis=1))


@pytest.mark.parametrize("truncation", [0.0, 0.07, 0.4])
def test_lifted_functions_reproduce_what_a_maps_to_zero(truncation, rng):
    scale = rng.choice([-1, 1], 60) * rng.uniform(0.5, 1.5, 60)
    A = laplacian(60, 5, 1) * np.outer(scale, scale)
    B = 1 / scale[:, None]
    W = couplings(A, B)
    label = cluster(W, "star", 0.35, 12)
    Q, R = rotate(B, label)
    P = lifted_prolongation(A, B, Q, R, label, 1, Params(truncation=truncation))
    np.testing.assert_allclose(P @ R, B, atol=1e-13)
    full = lifted_prolongation(A, B, Q, R, label, 1, Params(truncation=0))
    assert (np.count_nonzero(P) < np.count_nonzero(full)) == (truncation > 0)


def test_truncation_of_several_functions_keeps_their_combinations(rng):
    label = np.repeat(np.arange(12), 5)
    A = laplacian(60, 8, 2)
    B = np.column_stack([np.ones(60), rng.standard_normal(60)])
    Q, R = rotate(B, label)
    params = Params(truncation=0)
    full = lifted_prolongation(A, B, Q, R, label, 1, params)
    P = lifted_prolongation(A, B, Q, R, label, 1, Params(truncation=0.2))
    assert np.count_nonzero(P) < np.count_nonzero(full)
    np.testing.assert_allclose(P @ R, full @ R, atol=1e-9)


@given(graphs, st.sampled_from([0.0, 0.01, 0.1, 0.5]), st.integers(0, 4), st.floats(-2, 2))
def test_the_incomplete_cholesky_bounds_the_matrix_from_above(A, tolerance, fill, shift):
    A = A + shift * np.eye(len(A))
    L = incomplete_cholesky(A, tolerance, fill)
    assert smallest_eigenvalue(L @ L.T - A) >= -1e-11 * np.abs(L @ L.T).sum()


@given(graphs)
def test_the_cholesky_that_drops_nothing_is_exact(A):
    A = A + 0.1 * np.eye(len(A))
    np.testing.assert_allclose(incomplete_cholesky(A, 0, 1000), np.linalg.cholesky(A), atol=1e-12)


@pytest.mark.parametrize("name", SMOOTHERS)
@pytest.mark.parametrize("degree", [1, 3])
def test_smoothers_contract_and_come_as_transposes(name, degree):
    A = laplacian(50, 5, 1) + 0.1 * np.eye(50)
    smooth = smoother(A, Params(smoother=name, degree=degree))
    S = np.column_stack([smooth(e, True) for e in np.eye(50)])
    St = np.column_stack([smooth(e, False) for e in np.eye(50)])
    np.testing.assert_allclose(S.T, St, atol=1e-14)
    assert smallest_eigenvalue(S + St - St @ A @ S) > 0


@pytest.mark.parametrize("cycle", ["v", "w"])
@pytest.mark.parametrize("name", SMOOTHERS)
@pytest.mark.parametrize("changes", [{}, {"max_levels": 1}, {"max_levels": 2}, {"sweeps": 2}])
def test_the_cycle_is_symmetric_and_close_to_the_inverse(cycle, name, changes):
    A = grid(11, 12)
    M = dense(setup(A, Params(cycle=cycle, smoother=name, coarse_size=6, **changes)))
    np.testing.assert_allclose(M, M.T, atol=1e-13)
    values = np.linalg.eigvals(M @ A)
    assert values.real.min() > (0.01 if "max_levels" in changes else 0.3)
    assert values.real.max() < 1.3


@pytest.mark.parametrize("cycle", ["v", "w", "k"])
def test_a_cycle_with_an_exact_smoother_or_one_dense_level_is_an_exact_solve(cycle):
    A = laplacian(60, 5, 3) + 0.1 * np.eye(60)
    exact = Params(cycle=cycle, drop_tolerance=0, fill=1000, coarse_size=5)
    for params in (exact, Params(cycle=cycle, coarse_size=60)):
        np.testing.assert_allclose(dense(setup(A, params)) @ A, np.eye(60), atol=1e-10)


def test_convergence_does_not_depend_on_the_size():
    bounds = [np.linalg.eigvals(dense(setup(grid(n, n))) @ grid(n, n)).real.min() for n in (10, 20)]
    assert min(bounds) > 0.8


def test_a_singular_matrix_keeps_its_nullspace_out_of_the_coarse_solve():
    A = np.kron(np.eye(2), laplacian(40, 5, 1))
    M = setup(A, Params(coarse_size=6))
    values = np.linalg.eigvals(dense(M) @ A).real
    assert np.count_nonzero(values > 0.3) == 78
    assert np.abs(np.sort(values)[:2]).max() < 1e-12


def test_the_default_vector_adapts_to_the_matrix(rng):
    params = Params()
    scale = rng.uniform(0.1, 10, 80)
    A = grid(80) * np.outer(scale, scale)
    smooth = smoother(A, params)
    b = default_vector(A, smooth, params)[:, 0]
    ones = np.ones(80)
    assert np.linalg.norm(b) == pytest.approx(np.sqrt(80))
    assert b @ A @ b < 0.01 * (ones @ A @ ones)
    neumann = laplacian(50, 4, 1)
    assert np.all(default_vector(neumann, smoother(neumann, params), params) == 1)


@given(graphs, st.floats(0.5, 10))
def test_an_indefinite_matrix_has_a_bounded_factor(A, shift):
    L = incomplete_cholesky(A - shift * np.eye(len(A)), 0, 1000)
    assert np.abs(np.linalg.inv(L)).max() < 1e4
