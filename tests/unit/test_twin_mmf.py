"""The engine and its numpy twin find the same rotations on the same matrix.

The matrices are random with couplings away from zero, so that no choice hangs on a tie.
"""

import itertools

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp

import pympf
from pympf.ref import mmf

from ..helpers import rounding


def random_symmetric(n, degree, seed, definite=False):
    """A connected random matrix, indefinite or diagonally dominant."""
    rng = np.random.default_rng(seed)
    A = np.zeros((n, n))
    edges = [(i, rng.integers(i)) for i in range(1, n)]
    edges += [tuple(rng.integers(n, size=2)) for _ in range(n * (degree - 2) // 2)]
    for i, j in edges:
        A[i, j] = A[j, i] = rng.choice([-1, 1]) * rng.uniform(0.5, 1.5)
    A[np.diag_indices(n)] = rng.uniform(0.5, 1.5, n)
    if definite:
        A[np.diag_indices(n)] += np.abs(A).sum(axis=0)
    return A


def compare(A, labels=None, **params):
    """Compare everything that a factorization shows."""
    n = len(A)
    F = pympf.factorize(A, labels=labels, **params)
    twin = mmf.factorize(A, mmf.Params(**params), labels)
    report = F.report().as_dict()
    found = [
        [stage[key] for key in ("rows", "clusters", "bypassed", "rotations", "retired")]
        for stage in report["stages"]
    ]
    expected = [
        [
            len(stage.Q),
            len(stage.clusters),
            len(stage.Q) - sum(map(len, stage.clusters)),
            sum(map(len, stage.rotations)),
            len(stage.Q) - stage.kept,
        ]
        for stage in twin.stages
    ]
    assert found == expected
    assert report["stop"] == twin.stop
    assert F.core_size == len(twin.core)

    tolerance = rounding(1e5)
    size = np.linalg.norm(A)
    norm = np.linalg.norm(A / np.outer(twin.scale, twin.scale))
    Q, dense = twin.transform(np.eye(n)), twin.multiply(np.eye(n))
    np.testing.assert_allclose(F.basis().toarray(), Q, atol=tolerance)
    np.testing.assert_allclose(F.core().toarray(), twin.core, atol=tolerance * norm)
    np.testing.assert_allclose(F.spectrum()[F.core_size :], twin.diagonal, atol=tolerance * norm)
    np.testing.assert_allclose(F.to_csr().toarray(), dense, atol=tolerance * size)
    # By Pythagoras, from the difference of two squares.
    dropped = report["relative_error"] * norm
    assert abs(dropped**2 - twin.dropped**2) <= rounding(100) * norm**2

    x = np.random.default_rng(0).standard_normal((n, 3))
    for method in ("transform", "inverse_transform"):
        np.testing.assert_allclose(
            getattr(F, method)(x), getattr(twin, method)(x), atol=10 * tolerance
        )
    np.testing.assert_allclose(F @ x, twin.multiply(x), atol=10 * tolerance * size)


def test_the_twin_has_the_defaults_of_the_engine():
    twin = mmf.Params()
    engine = {field["name"]: field["default"] for field in pympf.Params.fields()}
    assert engine == vars(twin)


@pytest.mark.parametrize(
    "params",
    [{}, {"order": 3, "eliminate": 2}, {"selection": "random", "prenormalize": True}],
    ids=str,
)
def test_the_same_rotations_for_given_clusters(params):
    rng = np.random.default_rng(3)
    fine = rng.integers(0, 9, 60)
    labels = np.array([fine * 7 % 11 - 5, fine // 3, fine * 0])  # nested, in no order
    compare(random_symmetric(60, 5, 1), labels, core_size=6, **params)
    compare(random_symmetric(60, 5, 2, definite=True), labels[:1], core_size=12, **params)


@pytest.mark.parametrize("clustering", ["graph", "inner_product"])
@pytest.mark.parametrize("retire", ["relative", "absolute"])
@pytest.mark.parametrize("selection", ["best", "random"])
@pytest.mark.parametrize("criterion", ["inner_product", "normalized_inner_product", "residual"])
@pytest.mark.parametrize(("order", "eliminate"), [(2, 1), (3, 2), (4, 3)])
def test_the_same_rotations(order, eliminate, criterion, selection, retire, clustering):
    choices = {
        "order": order,
        "eliminate": eliminate,
        "criterion": criterion,
        "selection": selection,
        "retire": retire,
        "clustering": clustering,
        "core_size": 6,
    }
    compare(random_symmetric(60, 5, 1), clusters=3, seed=5, **choices)
    compare(random_symmetric(45, 4, 2, definite=True), max_cluster_size=20, **choices)


@pytest.mark.parametrize("clustering", ["graph", "inner_product"])
@pytest.mark.parametrize(
    "changes",
    [
        {"prenormalize": True},
        {"tolerance": 0.3},
        {"tolerance": 0.05, "order": 3, "eliminate": 2},
        {"rotation_fraction": 1.0},
        {"rotation_fraction": 0.2, "max_stages": 3},
        {"core_size": 3, "max_cluster_size": 9},
        {"max_cluster_size": 12, "min_cluster_size": 6},
        {"max_cluster_size": 12, "min_cluster_size": 6, "bypass": False},
        {"max_cluster_size": 6, "max_clustering_depth": 1},
        {"clusters": 4, "max_clustering_iterations": 1},
        {"clusters": 4, "max_clustering_iterations": 1, "bypass": False},
        {"max_stages": 0},
        {"core_size": 80},
        {"seed": 2**31 - 1, "selection": "random"},
    ],
    ids=lambda changes: ",".join(f"{name}={value}" for name, value in changes.items()),
)
def test_the_same_effect_of_a_parameter(changes, clustering):
    params = {"core_size": 8, "clustering": clustering, **changes}
    compare(random_symmetric(64, 5, 7), **params)
    compare(random_symmetric(50, 4, 8, definite=True), **params)


@pytest.mark.parametrize("selection", ["best", "random"])
@pytest.mark.parametrize(("order", "eliminate"), [(3, 1), (4, 1), (4, 2), (6, 3)])
def test_columns_that_stay_together_do_not_couple_by_rounding(order, eliminate, selection):
    """Several columns of a rotation stay active: their inner products are zero, not 1e-17."""
    for seed in range(5):
        compare(
            random_symmetric(50, 5, seed),
            order=order,
            eliminate=eliminate,
            selection=selection,
            core_size=6,
            max_cluster_size=25,
        )


@pytest.mark.parametrize("selection", ["best", "random"])
@pytest.mark.parametrize("largest", [8, 20, 60])
def test_blocks_that_fall_apart_are_not_left_to_rounding(largest, selection):
    """Inside its block a pair may be a component: then both of its rows lose nothing."""
    for seed in range(5):
        compare(
            random_symmetric(60, 4, seed),
            gram="blocks",
            max_cluster_size=largest,
            selection=selection,
            core_size=6,
        )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"retire": "absolute"},
        {"criterion": "inner_product"},
        {"criterion": "normalized_inner_product", "selection": "random"},
        {"order": 3, "eliminate": 2},
    ],
    ids=lambda changes: ",".join(f"{name}={value}" for name, value in changes.items()) or "default",
)
@pytest.mark.parametrize(("degree", "max_stages"), [(2, 1), (3, 30), (4, 30)])
def test_the_same_without_a_diagonal(degree, max_stages, changes):
    """Most neighbours are orthogonal. In a tree (degree 2) leaves of a branch are parallel.

    Trees fall apart into edges, which tie, after some stages.
    """
    for seed in range(4):
        A = random_symmetric(60, degree, seed)
        np.fill_diagonal(A, 0)
        compare(A, core_size=6, max_cluster_size=25, max_stages=max_stages, **changes)


def test_the_same_hubs():
    rng = np.random.default_rng(0)
    n = 130
    A = random_symmetric(n, 4, 3)
    A[0] = A[:, 0] = rng.uniform(0.5, 1.5, n)
    A[5, 20:110] = A[20:110, 5] = rng.uniform(0.5, 1.5, 90)
    for hub_factor, gram, clusters in itertools.product(
        [1.0, 4.0, 1e9], ["columns", "blocks"], [1, 3]
    ):
        for clustering in ("graph", "inner_product"):
            compare(
                A,
                hub_factor=hub_factor,
                gram=gram,
                clusters=clusters,
                clustering=clustering,
                max_stages=2,
                core_size=6,
            )


@pytest.mark.parametrize("clustering", ["graph", "inner_product"])
@pytest.mark.parametrize(
    "A",
    [
        np.array([[2.5]]),
        np.array([[2.0, 1.0], [1.0, 3.0]]),
        np.zeros((7, 7)),
        np.diag([3.0, 0, -1, 2, 5]),
        scipy.linalg.block_diag(random_symmetric(12, 4, 1), 0, random_symmetric(17, 4, 2), 3, 0),
        sp.kron(sp.eye(3), random_symmetric(9, 4, 1)).toarray(),
    ],
    ids=["1x1", "2x2", "zero", "diagonal", "disconnected", "copies"],
)
def test_the_same_on_small_and_degenerate_matrices(A, clustering):
    compare(A, core_size=5, clustering=clustering, max_stages=2)
