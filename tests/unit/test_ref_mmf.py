"""The numpy twin of the engine: invariants of the factorization, its parts, and its limits."""

import dataclasses

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from pympf.ref.cluster import cluster, hub_limit
from pympf.ref.mmf import Params, factorize
from pympf.ref.random import Random, philox
from pympf.ref.rotation import eigenvectors, gram_matrix, joint_eigenvectors

CHOICES = {
    "criterion": ["inner_product", "normalized_inner_product", "residual"],
    "selection": ["best", "random"],
    "retire": ["relative", "absolute"],
    "gram": ["columns", "blocks"],
    "clustering": ["graph", "inner_product"],
}


def rounding(operations, size=1.0):
    """What this many roundings of numbers of this size may add up to."""
    return operations * np.finfo(float).eps * size


# ---- matrices and parameters


def random_symmetric(n, degree, seed, definite=False):
    """Build a random matrix with weights away from zero, indefinite or diagonally dominant."""
    rng = np.random.default_rng(seed)
    A = np.zeros((n, n))
    for _ in range(n * degree // 2):
        i, j = rng.integers(n, size=2)
        A[i, j] = rng.choice([-1, 1]) * rng.uniform(0.5, 1.5)
    A = np.triu(A, 1) + np.triu(A, 1).T
    diagonal = np.abs(A).sum(axis=0) + 0.1 if definite else rng.uniform(-1.5, 1.5, n)
    return A + np.diag(diagonal)


def laplacian(edges, n):
    A = np.zeros((n, n))
    for i, j, weight in edges:
        A[[i, j], [i, j]] += weight
        A[[i, j], [j, i]] -= weight
    return A


def star(leaves):
    return laplacian([(0, i, 1.0) for i in range(1, leaves + 1)], leaves + 1)


def path(n):
    return laplacian([(i, i + 1, 1.0) for i in range(n - 1)], n)


def hierarchical(levels, seed):
    """Rotate a diagonal matrix by nested pairs: the twin must find all of its rotations."""
    rng = np.random.default_rng(seed)
    n = 2**levels
    A = np.diag(rng.uniform(1, 2, n))
    stride = n // 2
    while stride:
        for i in range(0, n, 2 * stride):
            angle = rng.uniform(0.4, 1.1)
            pair = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
            A[[i, i + stride]] = pair @ A[[i, i + stride]]
            A[:, [i, i + stride]] = A[:, [i, i + stride]] @ pair.T
        stride //= 2
    return (A + A.T) / 2


@st.composite
def matrices(draw, definite=False):
    n = draw(st.integers(1, 45))
    return random_symmetric(n, draw(st.integers(0, 8)), draw(st.integers(0, 2**32)), definite)


@st.composite
def parameters(draw, **fixed):
    order = draw(st.integers(2, 5))
    smallest = draw(st.integers(1, 6))
    drawn = {
        "order": order,
        "max_stages": draw(st.integers(0, 6)),
        "rotation_fraction": draw(st.sampled_from([0.01, 0.3, 0.5, 1.0])),
        "eliminate": draw(st.integers(1, order - 1)),
        "core_size": draw(st.integers(1, 30)),
        "tolerance": draw(st.sampled_from([0.0, 0.0, 0.01, 0.3, 1.0])),
        "hub_factor": draw(st.sampled_from([1.0, 4.0, 1e9])),
        "clusters": draw(st.sampled_from([0, 1, 3, 100])),
        "min_cluster_size": smallest,
        "max_cluster_size": draw(st.integers(max(2, smallest), 40)),
        "max_clustering_depth": draw(st.integers(1, 4)),
        "max_clustering_iterations": draw(st.integers(1, 8)),
        "bypass": draw(st.booleans()),
        "seed": draw(st.integers(0, 2**31 - 1)),
        **{name: draw(st.sampled_from(values)) for name, values in CHOICES.items()},
        **fixed,
    }
    return Params(**drawn)


def check_invariants(A, F):
    """What holds for every factorization without a scale."""
    n, size = len(A), np.linalg.norm(A)
    small = rounding(100 * np.sqrt(n), size)
    Q, H = F.transform(np.eye(n)), F.H
    core = len(F.core)
    np.testing.assert_allclose(Q @ Q.T, np.eye(n), atol=rounding(100))
    np.testing.assert_allclose(F.inverse_transform(Q), np.eye(n), atol=rounding(100))

    rotated = Q @ A @ Q.T  # its core and its diagonal are H
    np.testing.assert_allclose(H[:core, :core], rotated[:core, :core], atol=small)
    np.testing.assert_allclose(np.diag(H), np.diag(rotated), atol=small)
    assert np.count_nonzero(H[core:] - np.diag(np.diag(H))[core:]) == 0
    assert abs(np.trace(H) - np.trace(A)) <= small

    off = np.linalg.norm(A - Q.T @ H @ Q)
    assert abs(off**2 - (size**2 - np.linalg.norm(H) ** 2)) <= small * size
    assert abs(off**2 - F.dropped**2) <= small * size
    assert abs(F.error(A) - off) <= small


# ---- random numbers


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [  # kat_vectors of Random123
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_philox_gives_the_published_answers(counter, key, words):
    assert list(philox(counter, key)) == words


def test_a_stream_runs_through_the_blocks_of_its_counter():
    """The layout of counter and key that tests/cpp/test_random.cpp asserts of the C++ code."""
    stream = Random(seed=0x123456789ABCDEF0, stage=7, cluster=9)
    blocks = [philox((block, 0, 7, 9), (0x9ABCDEF0, 0x12345678)) for block in range(3)]
    assert [stream.next() for _ in range(12)] == [word for block in blocks for word in block]


def test_below_maps_words_to_their_share_of_the_range():
    words = Random(5, 0, 0)
    numbers = Random(5, 0, 0)
    for bound in [1, 2, 10, 1000, 2**32 - 1] * 4:
        number = numbers.below(bound)
        assert 0 <= number < bound
        assert number == words.next() * bound // 2**32


# ---- the factorization


@settings(max_examples=300)
@given(matrices(), parameters())
def test_invariants(A, params):
    F = factorize(A, params)
    check_invariants(A, F)
    rows = [len(stage.Q) for stage in F.stages] + [len(F.core)]
    assert rows[0] == len(A)
    assert rows[1:] == [stage.kept for stage in F.stages]
    assert len(F.stages) <= params.max_stages
    assert len(F.core) >= min(params.core_size, len(A))
    assert (F.stop == "core_size") == (len(F.core) <= params.core_size)
    if params.tolerance > 0:
        assert F.dropped <= params.tolerance * np.linalg.norm(A) + rounding(100)
    else:
        assert F.stop != "tolerance"


@given(matrices(), parameters(max_stages=1))
def test_a_stage_is_orthogonal_and_made_of_its_rotations(A, params):
    for stage in factorize(A, params).stages:
        columns = [j for B in stage.clusters for j in B]
        assert len(set(columns)) == len(columns)
        Q = np.eye(len(A))
        for B, rotations in zip(stage.clusters, stage.rotations, strict=True):
            assert len(rotations) <= max(1, params.rotation_fraction * len(B) / params.eliminate)
            for index, q in rotations:
                assert 2 <= len(index) <= params.order
                assert len(set(index)) == len(index)
                assert set(index) <= set(B)
                np.testing.assert_allclose(q @ q.T, np.eye(len(q)), atol=rounding(50))
                Q[index] = q @ Q[index]
        places = [np.flatnonzero((row == Q).all(axis=1)) for row in stage.Q]
        assert sorted(place[0] for place in places) == list(range(len(A)))


@given(matrices(definite=True), parameters())
def test_a_definite_matrix_has_a_definite_h_with_its_spectrum_inside(A, params):
    inside = np.linalg.eigvalsh(factorize(A, params).H)
    spectrum = np.linalg.eigvalsh(A)
    small = rounding(1000, spectrum[-1])
    assert spectrum[0] - small <= inside[0]
    assert inside[-1] <= spectrum[-1] + small
    assert inside[0] > 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("core_size", [1, 8])
def test_an_exactly_hierarchical_matrix_is_reproduced(seed, core_size):
    A = hierarchical(6, seed)
    F = factorize(A, Params(core_size=core_size))
    assert F.error(A) <= rounding(1000, np.linalg.norm(A))
    assert [stage.kept for stage in F.stages] == [32, 16, 8, 4, 2, 1][: len(F.stages)]
    assert len(F.core) == core_size


@pytest.mark.parametrize(
    "A",
    [
        np.array([[3.0]]),
        np.array([[0.0]]),
        np.zeros((6, 6)),
        np.diag([3.0, 0, -1, 2, 0]),
        np.eye(7),
    ],
    ids=["one", "zero", "zeros", "diagonal", "identity"],
)
@pytest.mark.parametrize("clustering", CHOICES["clustering"])
def test_matrices_without_couplings_are_exact(A, clustering):
    F = factorize(A, Params(core_size=1, clustering=clustering))
    assert len(F.core) == 1
    assert not any(rotations for stage in F.stages for rotations in stage.rotations if rotations)
    np.testing.assert_array_equal(F.multiply(np.eye(len(A))), A)


@given(st.lists(st.integers(1, 12), min_size=2, max_size=6), parameters())
def test_components_never_mix_and_zero_rows_stay_zero(sizes, params):
    parts = [random_symmetric(n, 4, n) if n > 2 else np.zeros((n, n)) for n in sizes]
    A = scipy.linalg.block_diag(*parts)
    F = factorize(A, params)
    check_invariants(A, F)
    apart = scipy.linalg.block_diag(*[np.ones_like(part) for part in parts]) == 0
    assert not F.multiply(np.eye(len(A)))[apart].any()


@pytest.mark.parametrize("changes", [{"core_size": 40}, {"core_size": 99}, {"max_stages": 0}])
def test_nothing_is_lost_without_stages(changes):
    A = random_symmetric(40, 5, 0)
    F = factorize(A, Params(**{"core_size": 5, **changes}))
    assert F.stages == []
    assert F.dropped == 0
    np.testing.assert_array_equal(F.H, A)


@pytest.mark.parametrize(
    "changes",
    [
        *[{"criterion": value} for value in CHOICES["criterion"]],
        {"selection": "random"},
        {"retire": "absolute"},
        {"gram": "blocks", "max_cluster_size": 20},
        {"clustering": "inner_product", "clusters": 4},
        {"order": 3},
        {"order": 16, "eliminate": 15},
        {"max_stages": 2},
        {"rotation_fraction": 0.1},
        {"rotation_fraction": 1.0},
        {"core_size": 1},
        {"tolerance": 0.1},
        {"hub_factor": 1e9},
        {"clusters": 5},
        {"max_cluster_size": 7},
        {"min_cluster_size": 8, "max_cluster_size": 9},
        {"min_cluster_size": 8, "max_cluster_size": 9, "bypass": False},
        {"clustering": "inner_product", "max_cluster_size": 5, "max_clustering_depth": 1},
        {"clustering": "inner_product", "clusters": 4, "max_clustering_iterations": 1},
        {"selection": "random", "seed": 2**31 - 1},
    ],
    ids=lambda changes: ",".join(f"{name}={value}" for name, value in changes.items()),
)
def test_every_parameter(changes):
    A = random_symmetric(60, 5, 1)
    A[0] = A[:, 0] = np.linspace(1, 2, 60)  # a hub
    usual = {"core_size": 8, "retire": "relative"}
    default = factorize(A, Params(**usual))
    params = Params(**{**usual, **changes})
    F = factorize(A, params)
    check_invariants(A, F)
    if params != Params(**usual):
        assert not np.array_equal(F.transform(np.eye(60)), default.transform(np.eye(60)))


def test_the_seed_decides():
    A = random_symmetric(60, 5, 1)
    runs = [factorize(A, Params(core_size=8, selection="random", seed=s)) for s in (1, 1, 2)]
    first, again, other = (F.transform(np.eye(60)) for F in runs)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("scale", [2.0**200, 2.0**-200])
def test_a_factor_of_a_power_of_two_changes_nothing_but_the_size(scale):
    A = random_symmetric(50, 5, 3)
    F, G = (factorize(M, Params(core_size=5)) for M in (A, scale * A))
    np.testing.assert_array_equal(F.transform(np.eye(50)), G.transform(np.eye(50)))
    np.testing.assert_array_equal(scale * F.H, G.H)


def test_two_by_two_by_hand():
    F = factorize(np.array([[2.0, 1.0], [1.0, 2.0]]), Params(core_size=1))
    np.testing.assert_allclose(F.H, [[1, 0], [0, 3]], atol=rounding(10))
    half = np.sqrt(0.5)
    np.testing.assert_allclose(np.abs(F.transform(np.eye(2))), np.full((2, 2), half))


@pytest.mark.parametrize("retire", CHOICES["retire"])
def test_of_two_rows_that_tie_the_rough_one_retires(retire):
    ring = laplacian([(i, (i + 1) % 12, 1.0) for i in range(12)], 12)
    F = factorize(ring, Params(core_size=11, retire=retire))
    wavelet = F.inverse_transform(np.eye(12)[11])
    assert abs(wavelet.sum()) <= rounding(10)
    np.testing.assert_allclose(F.diagonal, 3)


@pytest.mark.parametrize("tolerance", [0.5, 0.1, 0.01, 1e-6])
@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("A", [random_symmetric(60, 5, 1), star(80), path(50)], ids=len)
def test_the_error_stays_below_the_tolerance(A, tolerance, order):
    F = factorize(A, Params(core_size=3, tolerance=tolerance, order=order))
    assert F.error(A) <= tolerance * np.linalg.norm(A)
    assert F.stop in ("tolerance", "core_size")


# ---- scales and functions


@given(matrices(), parameters(prenormalize=True))
def test_prenormalize_factors_the_scaled_matrix(A, params):
    F = factorize(A, params)
    norms = np.linalg.norm(A, axis=0)
    np.testing.assert_allclose(F.scale**2, np.where(norms > 0, norms, 1))
    plain = dataclasses.replace(F, scale=np.ones(len(A)))
    check_invariants(A / np.outer(F.scale, F.scale), plain)
    np.testing.assert_allclose(
        F.multiply(np.eye(len(A))),
        np.outer(F.scale, F.scale) * plain.multiply(np.eye(len(A))),
        atol=rounding(100, np.linalg.norm(A) + 1),
    )


@pytest.mark.parametrize("prenormalize", [False, True])
def test_the_inverse_undoes_the_factorization(prenormalize):
    A = random_symmetric(40, 4, 2, definite=True)
    F = factorize(A, Params(core_size=6, prenormalize=prenormalize))
    x = np.random.default_rng(0).standard_normal((40, 3))
    np.testing.assert_allclose(F.inverse().multiply(F.multiply(x)), x, atol=rounding(1e4))


def test_functions_are_those_of_the_dense_matrix():
    F = factorize(random_symmetric(40, 4, 2, definite=True), Params(core_size=6, order=3))
    values, vectors = np.linalg.eigh(F.multiply(np.eye(40)))
    for f in (np.sqrt, np.exp, np.log, np.reciprocal):
        expected = (vectors * f(values)) @ vectors.T
        small = rounding(1e3, np.abs(f(values)).max())
        np.testing.assert_allclose(F.function(f).multiply(np.eye(40)), expected, atol=small)


def test_a_block_of_vectors_is_its_columns():
    A = random_symmetric(30, 4, 2)
    F = factorize(A, Params(core_size=5, prenormalize=True))
    X = np.random.default_rng(0).standard_normal((30, 4))
    for apply in (F.multiply, F.transform, F.inverse_transform):
        columns = np.column_stack([apply(x) for x in X.T])
        np.testing.assert_allclose(apply(X), columns, atol=rounding(1000))


# ---- clusters


@settings(max_examples=300)
@given(matrices(), parameters())
def test_clusters_are_a_partition(A, params):
    clusters, bypassed = cluster(A, params, 1)
    assert sorted(j for B in [*clusters, bypassed] for j in B) == list(range(len(A)))
    assert all(clusters)
    if not params.bypass:
        assert not bypassed
    if params.bypass or params.min_cluster_size == 1:
        sizes = [len(B) for B in clusters]
        assert all(params.min_cluster_size <= size <= params.max_cluster_size for size in sizes)


def test_clusters_along_a_path_are_its_intervals():
    clusters, bypassed = cluster(path(20), Params(max_cluster_size=6), 1)
    assert clusters == [list(range(k, k + 5)) for k in range(0, 20, 5)]
    assert bypassed == []


@pytest.mark.parametrize("iterations", [1, 20])
def test_what_no_anchor_reaches_waits_for_another_round(iterations):
    parts = [random_symmetric(n, 6, n, definite=True) for n in (10, 12, 14)]
    A = scipy.linalg.block_diag(*parts)
    params = Params(
        clustering="inner_product", clusters=2, max_clustering_iterations=iterations, seed=1
    )
    clusters, bypassed = cluster(A, params, 1)
    assert len(clusters) == 2
    assert (len(bypassed) >= 10) if iterations == 1 else (bypassed == [])


# ---- Gram matrices and rotations


@pytest.mark.parametrize("gram", CHOICES["gram"])
def test_gram_entries_are_inner_products(gram):
    A = random_symmetric(40, 8, 4)
    B = [3, 17, 5, 22, 39, 8, 1]
    U = A[:, B] if gram == "columns" else A[np.ix_(B, B)]
    G = gram_matrix(A, B, Params(gram=gram))
    np.testing.assert_allclose(G, U.T @ U, atol=rounding(50))


def test_a_hub_couples_with_all_its_neighbours_and_near_ones_with_each_other():
    A = star(100)
    params = Params()
    G = gram_matrix(A, list(range(101)), params)
    reach = hub_limit(A, params) // 2
    leaves = np.arange(100)
    near = np.abs(np.subtract.outer(leaves, leaves)) <= reach
    np.testing.assert_array_equal(G[1:, 1:], near + np.eye(100))
    np.testing.assert_array_equal(G[0], [100**2 + 100] + [-101] * 100)
    np.testing.assert_array_equal(G, G.T)


@given(st.integers(2, 8), st.integers(0, 2**32))
def test_jacobi_finds_eigenvectors(k, seed):
    U = np.random.default_rng(seed).standard_normal((k + 2, k))
    G = U.T @ U
    values, q = eigenvectors(G)
    size = np.linalg.norm(G)
    np.testing.assert_allclose(q @ q.T, np.eye(k), atol=rounding(100))
    np.testing.assert_allclose(q @ G @ q.T, np.diag(values), atol=rounding(100, size))
    np.testing.assert_allclose(np.sort(values), np.linalg.eigvalsh(G), atol=rounding(100, size))


@pytest.mark.parametrize("values", [[2, -2, 3], [1, -1, 1, -1], [4, 4, -4, 2, -2]])
def test_equal_eigenvalues_of_the_gram_block_leave_the_choice_to_a(values):
    V = np.linalg.qr(np.random.default_rng(1).standard_normal((len(values), len(values))))[0]
    A = V @ np.diag(values) @ V.T
    q = joint_eigenvectors(A @ A, A)
    np.testing.assert_allclose(q @ q.T, np.eye(len(A)), atol=rounding(100))
    np.testing.assert_allclose(np.sort(np.diag(q @ A @ q.T)), np.sort(values), atol=rounding(1000))


@pytest.mark.parametrize("criterion", CHOICES["criterion"])
@pytest.mark.parametrize("retire", CHOICES["retire"])
def test_an_edge_without_diagonal_is_exact_and_keeps_its_smooth_row(criterion, retire):
    A = np.array([[0.0, 3.0], [3.0, 0.0]])
    F = factorize(A, Params(core_size=1, criterion=criterion, retire=retire))
    np.testing.assert_allclose(F.H, np.diag([3.0, -3.0]), atol=rounding(10))


@pytest.mark.parametrize("n", [30, 31])
@pytest.mark.parametrize("order", [2, 3, 5])
def test_adjacency_matrices_are_factored_to_the_core(n, order):
    path_edges = np.eye(n, k=1)
    star_edges = np.outer(np.arange(n) == 0, np.arange(n) > 0).astype(float)
    matching = path_edges * (np.arange(n) % 2 == 0)[:, None]
    for edges in (path_edges, star_edges, matching):
        A = edges + edges.T
        F = factorize(A, Params(core_size=2, order=order, max_stages=100))
        assert F.stop == "core_size"
        check_invariants(A, F)


def test_a_small_rotation_stays_close_to_the_identity():
    _, q = eigenvectors(np.array([[1.0, 1e-6, 0], [1e-6, 2, 1e-6], [0, 1e-6, 3]]))
    np.testing.assert_allclose(q, np.eye(3), atol=2e-6)
