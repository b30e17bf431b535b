"""The estimators keep scikit-learn's rules, and scikit-learn is needed by nothing else."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from pympf.nets import Cube, DSMRegressor, Hypercube, LSHRegressor, PursuitRegressor, SineWaves


@parametrize_with_checks(
    [
        LSHRegressor(n_tables=8),
        LSHRegressor(n_tables=8, family="euclidean", solver="per_bucket"),
        DSMRegressor(n_units=64),
        DSMRegressor(n_units=64, active=64),
        PursuitRegressor(n_starts=20, n_directions=3),
        PursuitRegressor(n_starts=20, n_directions=3, projection="distance"),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def problem():
    f, X, Y = Hypercube(4, seed=1), Cube(4).sample(2000), Cube(4).sample(500, seed=1)
    return X, f(X), Y, f(Y)


@pytest.mark.parametrize(
    ("estimator", "score"),
    [
        (LSHRegressor(random_state=0), 0.9),
        (LSHRegressor(degree=1, n_tables=4, n_functions=4, random_state=0), 0.9),
        (LSHRegressor(family="euclidean", random_state=0), 0.9),
        (LSHRegressor(solver="adam", learning_rate=0.01, random_state=0), 0.7),
        (DSMRegressor(random_state=0), 0.97),
        (DSMRegressor(active=0.25, routing="separate", random_state=0), 0.95),
        (DSMRegressor(solver="adam", learning_rate=0.01, random_state=0), 0.95),
    ],
    ids=repr,
)
def test_they_learn(estimator, score, problem):
    X, y, X_test, y_test = problem
    assert estimator.fit(X, y).score(X_test, y_test) > score


def test_pursuit_finds_directions():
    f = SineWaves(3, seed=101)
    X, Y = f.sample(1000), f.sample(500, seed=1)
    regressor = PursuitRegressor(n_directions=3, random_state=0).fit(X, f(X))
    assert regressor.score(Y, f(Y)) > 0.95
    assert (abs(regressor.directions_ @ f.directions.T).max(axis=0) > 0.99).all()


@pytest.mark.parametrize("kind", [LSHRegressor, DSMRegressor])
def test_place_and_size_of_the_data_do_not_matter(kind, problem):
    X, y, X_test, _ = problem
    plain = kind(random_state=0).fit(X, y).predict(X_test)
    moved = kind(random_state=0).fit(1000 * X + 50, y).predict(1000 * X_test + 50)
    np.testing.assert_allclose(np.median(abs(moved - plain)), 0, atol=1e-6)


def test_a_search_over_parameters(problem):
    X, y, *_ = problem
    search = GridSearchCV(LSHRegressor(random_state=0), {"n_tables": [1, 16]}, cv=2).fit(X, y)
    assert search.best_params_ == {"n_tables": 16}


@pytest.mark.parametrize(
    ("estimator", "text"),
    [
        (DSMRegressor(active=0.0), r"active = 0.0 is not a number in \(0, 1\]"),
        (DSMRegressor(active=1000), "active = .* integer in .1, 512"),
        (DSMRegressor(n_units=0), "n_units = .* integer in .1, inf"),
        (DSMRegressor(solver="newton"), "method = .* is not one of"),
        (LSHRegressor(family="sphere"), "family = .* is not one of hyperplane, euclidean"),
        (LSHRegressor(ridge=-1.0), "ridge = -1.0 is not a number"),
        (LSHRegressor(n_tables=0), "n_tables"),
        (PursuitRegressor(n_starts=0), "n_starts = .* integer in .1, inf"),
        (PursuitRegressor(smoothing=0.0), "smoothing = .* number in .0, inf"),
    ],
    ids=repr,
)
def test_refused(estimator, text, problem):
    with pytest.raises(ValueError, match=text):
        estimator.fit(*problem[:2])


def test_the_networks_do_without_scikit_learn():
    code = """
import sys
sys.modules["sklearn"] = None
import pympf.nets
assert pympf.nets.dense(2, 3).width == 3
try:
    pympf.nets.LSHRegressor
except ImportError:
    print("as it should be")
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "as it should be\n"


@pytest.mark.parametrize("exponent", [-1000, 520, 1000])
@pytest.mark.parametrize(
    "estimator",
    [
        LSHRegressor(random_state=0),
        DSMRegressor(n_units=64, random_state=0),
        PursuitRegressor(n_starts=20, n_directions=3, random_state=0),
    ],
)
def test_points_and_values_on_the_whole_range(estimator, exponent, rng):
    X = rng.standard_normal((200, 3))
    y = np.sin(X[:, 0])
    error = np.ldexp(estimator.fit(X, np.ldexp(y, exponent)).predict(X), -exponent) - y
    assert np.abs(error).mean() <= 0.2
    error = estimator.fit(np.ldexp(X, exponent), y).predict(np.ldexp(X, exponent)) - y
    assert np.abs(error).mean() <= 0.2
