"""The LSH model: identities with the DSM and between its fits, fallback, buckets of lemma 4.2."""

import pickle

import numpy as np
import pytest

from pympf.lsh import EuclideanHash, HyperplaneHash
from pympf.nets import DSM, LSH, Bumps, Layer, Lipschitz, Manifold, Mask, Subspace, monomials

from ..helpers import assert_close


@pytest.fixture
def problem(rng):
    X = rng.uniform(-1, 1, (600, 3))
    return X, np.sin(3 * X[:, 0]) * X[:, 1] + X[:, 2] ** 2


def families(tables=1):
    return [
        HyperplaneHash(3, 5, tables, offset=True, seed=1),
        EuclideanHash(3, 3, tables, width=1.0, seed=1),
    ]


FAMILIES = pytest.mark.parametrize("family", families(), ids=lambda f: type(f).__name__)
SEVERAL = pytest.mark.parametrize("family", families(4), ids=lambda f: type(f).__name__)


# ---- section 3.2: LSH(d, s, m, Δ) is a DSM -------------------------------------------------------
@SEVERAL
@pytest.mark.parametrize("method", ["lstsq", "per_bucket", "rmsprop"])
def test_lsh_is_a_dsm_with_buckets_as_units(family, method, problem, rng):
    X, y = problem
    model = LSH(family).fit(X, y, method)
    routing = Mask(model.buckets, active=4)
    layer = Layer(np.zeros((model.width, 3)), activation="one", routing=routing)
    same = DSM(layer, model.weights, model.intercept)
    queries = rng.uniform(-1, 1, (200, 3))
    assert_close(same.predict(queries), model.predict(queries))
    assert same.cost().active_units == model.cost().active_units == 4


@SEVERAL
def test_gradient_training_of_both_is_the_same(family, problem):
    X, y = problem
    model = LSH(family).fit(X, y, "sgd", learning_rate=0.1, epochs=3)
    routing = Mask(model.buckets, active=4)
    same = DSM(Layer(np.zeros((model.width, 3)), activation="one", routing=routing))
    same._first_weights = model._first_weights
    same.fit(X, y, "sgd", learning_rate=0.1, epochs=3)
    assert_close(same.weights, model.weights)


# ---- what the fits are ---------------------------------------------------------------------------
@FAMILIES
@pytest.mark.parametrize("method", ["lstsq", "per_bucket"])
def test_a_constant_is_the_mean_of_its_bucket(family, method, problem):
    X, y = problem
    model = LSH(family).fit(X, y, method)
    buckets = model.buckets(X)[:, 0]
    assert buckets.max() + 1 == model.width
    for bucket in range(model.width):
        inside = buckets == bucket
        np.testing.assert_allclose(model.predict(X[inside]), y[inside].mean(), rtol=1e-6, atol=1e-6)


@FAMILIES
@pytest.mark.parametrize("degree", [0, 1, 2])
def test_with_one_table_joint_and_per_bucket_fits_agree(family, degree, rng):
    X = rng.uniform(-1, 1, (4000, 3))
    y = np.sin(3 * X[:, 0]) * X[:, 1]
    family = type(family)(3, 2, seed=3, **({"width": 2.0} if hasattr(family, "width") else {}))
    models = [
        LSH(family, degree).fit(X, y, "lstsq", ridge=1e-12),
        LSH(family, degree).fit(X, y, "per_bucket"),
    ]
    full = np.bincount(models[0].buckets(X)[:, 0])[models[0].buckets(X)[:, 0]] > 100
    a, b = (model.predict(X[full]) for model in models)
    np.testing.assert_allclose(a, b, atol=1e-4)


@FAMILIES
@pytest.mark.parametrize("degree", [1, 2])
def test_polynomials_of_their_degree_are_exact(family, degree, rng):
    X = rng.uniform(-1, 1, (3000, 3))
    y = monomials(X, degree) @ rng.standard_normal(monomials(X, degree).shape[1])
    model = LSH(family, degree).fit(X, y, "per_bucket")
    full = np.bincount(model.buckets(X)[:, 0])[model.buckets(X)[:, 0]] > 50
    assert full.any()
    assert abs(model.predict(X[full]) - y[full]).max() < 1e-3 * y.std()


def test_a_bucket_of_one_point_gives_its_value():
    model = LSH(EuclideanHash(2, 2, width=1e-3), degree=1).fit(
        [[0.0, 0.0], [1.0, 1.0]], [3.0, 5.0], "per_bucket"
    )
    assert_close(model.predict([[0.0, 0.0], [1.0, 1.0]]), [3.0, 5.0])


@SEVERAL
def test_averaged_tables_are_the_mean_of_single_ones(family, problem):
    X, y = problem
    model = LSH(family).fit(X, y, "per_bucket")
    means = np.zeros(len(X))
    for bucket in model.buckets(X).T:
        means += (np.bincount(bucket, y) / np.maximum(np.bincount(bucket), 1))[bucket] / 4
    assert_close(model.predict(X), means)


def test_joint_tables_fit_better_than_averaged_ones(problem):
    X, y = problem
    joint, averaged = (
        LSH(HyperplaneHash(3, 3, 30, offset=True)).fit(X, y, method)
        for method in ("lstsq", "per_bucket")
    )
    assert np.square(joint.predict(X) - y).mean() < 0.3 * np.square(averaged.predict(X) - y).mean()


# ---- buckets that were never seen ----------------------------------------------------------------
@SEVERAL
def test_unseen_buckets_take_the_bucket_of_the_nearest_point(family, problem):
    X, y = problem
    model = LSH(family).fit(X, y)
    far = 30 * X[:20] + 0.1  # Euclidean: new buckets everywhere
    nearest = np.linalg.norm(far[:, np.newaxis] - X, axis=2).argmin(axis=1)
    raw, buckets = model._index.transform(far), model.buckets(far)
    assert (buckets[raw < 0] == model.buckets(X[nearest])[raw < 0]).all()
    assert (buckets[raw >= 0] == (raw + model._first)[raw >= 0]).all()
    if isinstance(family, EuclideanHash):
        assert (raw < 0).any()


def test_without_fallback_the_intercept_is_left(problem):
    X, y = problem
    model = LSH(EuclideanHash(3, 3, width=1.0), fallback="none").fit(X, y, ridge=1.0)
    far = np.full((1, 3), 1e3)
    assert model.buckets(far).tolist() == [[-1]]
    assert model.intercept != 0
    assert_close(model.predict(far), [model.intercept])


# ---- seeds, costs, storage -----------------------------------------------------------------------
def test_costs_are_those_of_section_3_2():
    cost = LSH(HyperplaneHash(8, 11, 4)).cost()
    assert (cost.active_units, cost.routing_flops) == (4, 2 * 8 * 44)
    assert LSH(HyperplaneHash(8, 11, 4), degree=1).cost().active_units == 4 * 9


def test_a_fitted_model_is_pickled(problem):
    X, y = problem
    model = LSH(HyperplaneHash(3, 4, 2)).fit(X, y)
    assert (pickle.loads(pickle.dumps(model)).predict(X) == model.predict(X)).all()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: LSH(HyperplaneHash(2, 3), degree=-1),
            ValueError,
            "degree = .* integer in .0, inf",
        ),
        (
            lambda: LSH(HyperplaneHash(2, 3), fallback="mean"),
            ValueError,
            "fallback = .* is not one of",
        ),
        (lambda: LSH(7), TypeError, "HyperplaneHash or EuclideanHash"),
        (lambda: LSH(HyperplaneHash(2, 3)).predict([[1.0, 2.0]]), ValueError, "call fit first"),
        (lambda: LSH(HyperplaneHash(2, 3)).rows([[1.0, 2.0]]), ValueError, "call fit first"),
        (lambda: LSH(HyperplaneHash(2, 3)).fit([[1.0]], [1.0]), ValueError, r"shape \(n >= 1, 2\)"),
        (
            lambda: LSH(HyperplaneHash(1, 3)).fit([[1.0]], [1.0], "per_bucket", ridge=1.0),
            TypeError,
            "a ridge for lstsq only, got 1.0 for per_bucket",
        ),
        (
            lambda: LSH(HyperplaneHash(1, 3)).fit([[1.0]], [1.0], "per_bucket", epochs=3),
            TypeError,
            "no options for per_bucket, got epochs",
        ),
    ],
)
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


# ---- theory: lemma 4.2 and theorem 4.1 -----------------------------------------------------------
def nonempty(d, k, width, n=20_000):
    X = Subspace(d, k, seed=1).sample(n, seed=2)
    family = EuclideanHash(d, 3 * k, width=width * np.sqrt(d), seed=3)
    return LSH(family, fallback="none").fit(X, np.zeros(n), "per_bucket").width


def test_buckets_grow_with_the_dimension_of_the_subspace_and_not_of_the_space():
    """The width is taken relative to the diagonal √d of the cube, which is the size of the data."""
    for k in (1, 2):
        counts = [nonempty(d, k, 0.25) for d in (8, 16, 64)]
        assert max(counts) < 6 * min(counts)
    assert nonempty(16, 2, 0.25) > 5 * nonempty(16, 1, 0.25)


def test_buckets_grow_as_the_width_shrinks():
    """By about 2 for k = 1 and 4 for k = 2 when the width halves: (1/ε)^k."""
    for k, n in ((1, 20_000), (2, 50_000)):
        factor = nonempty(16, k, 0.1, n) / nonempty(16, k, 0.2, n)
        assert 0.6 * 2**k < factor < 1.5 * 2**k


@pytest.mark.parametrize("k", [1, 2])
def test_theorem_4_1_lipschitz_functions_on_a_subspace(k):
    """|f̂(x) - f(x)| <= L · diameter of the bucket, and the error falls with the width."""
    domain = Subspace(16, k, seed=1)
    X, Y = domain.sample(20_000, seed=1), domain.sample(2000, seed=2)
    f = Lipschitz(domain.sample(50, seed=3), constant=1.0, spread=0.2)
    errors = []
    for width in (1.0, 0.5, 0.25):
        model = LSH(EuclideanHash(16, 3 * k, width=width, seed=4)).fit(X, f(X))
        buckets, seen = model.buckets(X)[:, 0], model._index.transform(Y)[:, 0]
        low, high = np.full((2, model.width, 16), np.inf)
        np.minimum.at(low, buckets, X)
        high[:] = -np.inf
        np.maximum.at(high, buckets, X)
        diameter = np.linalg.norm(high - low, axis=1)  # of the box around the bucket: above it
        known = seen >= 0
        error = abs(model.predict(Y) - f(Y))
        reach = np.linalg.norm(
            np.maximum(np.maximum(low[seen[known]] - Y[known], Y[known] - high[seen[known]]), 0),
            axis=1,
        )
        assert (error[known] <= diameter[seen[known]] + reach + 1e-9).all()
        errors.append(error.max())
    assert errors[2] < 0.6 * errors[0]


def test_theorem_b_1_lipschitz_functions_on_a_manifold():
    domain = Manifold(16, 2, bend=1.0, seed=1)
    X, Y = domain.sample(20_000, seed=1), domain.sample(2000, seed=2)
    f = Lipschitz(domain.sample(30, seed=3), spread=0.1)
    errors = [
        abs(LSH(EuclideanHash(16, 6, width=w, seed=4)).fit(X, f(X)).predict(Y) - f(Y)).max()
        for w in (0.5, 0.1)
    ]
    assert errors[1] < 0.5 * errors[0]


def test_small_buckets_learn_the_hard_functions_that_large_ones_do_not():
    """A member of the family of theorem 4.3: nothing is learned until buckets are below a bump."""
    domain = Subspace(8, 1, seed=1)
    f = Bumps(domain, height=0.1, seed=2)
    X, Y = domain.sample(20_000, seed=1), domain.sample(2000, seed=2)
    errors = [
        np.square(LSH(EuclideanHash(8, 3, width=w, seed=3)).fit(X, f(X)).predict(Y) - f(Y)).mean()
        for w in (1.0, 0.02)
    ]
    assert errors[0] > 0.5 * f(Y).var()
    assert errors[1] < 0.05 * f(Y).var()
