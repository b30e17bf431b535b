"""Projection pursuit: hat functions against dense least squares, exact cases, refused input."""

import numpy as np
import pytest

from pympf.nets import SineWaves, pursuit, similarity
from pympf.nets.modular._directions import descend, promising, step
from pympf.nets.modular._hats import Hats

GRID = Hats(-2.0, 2.0, 0.25, 1.5)


def hats(z, grid):
    knots = grid.low + grid.spacing * np.arange(grid.knots)
    return np.maximum(0, 1 - abs(z[:, np.newaxis] - knots) / grid.spacing)


def test_fits_are_those_of_dense_least_squares():
    rng = np.random.default_rng(0)
    z, r = rng.uniform(-2, 2, (3, 40)), rng.standard_normal(40)
    f, slope, c = GRID.fit(z, r)
    for j in range(3):
        H, D = hats(z[j], GRID), np.diff(np.eye(GRID.knots), axis=0)
        exact = np.linalg.solve(H.T @ H + 1.5 * (np.eye(GRID.knots) + D.T @ D), H.T @ r)
        np.testing.assert_allclose(c[j], exact, atol=1e-11)
        np.testing.assert_allclose(f[j], H @ exact, atol=1e-11)
        np.testing.assert_allclose(
            slope[j], (hats(z[j] + 1e-9, GRID) - H) @ exact / 1e-9, atol=1e-4
        )
    np.testing.assert_allclose(GRID.evaluate(z, c), f, atol=1e-13)


def test_a_finer_grid_has_the_same_functions():
    rng = np.random.default_rng(1)
    c, z = rng.standard_normal((2, GRID.knots)), rng.uniform(-2, 2, (2, 50))
    finer, fine = GRID.finer(c)
    assert finer.spacing == GRID.spacing / 2
    np.testing.assert_allclose(finer.evaluate(z, fine), GRID.evaluate(z, c), atol=1e-12)


@pytest.mark.parametrize("projection", ["linear", "distance"])
def test_a_step_is_that_of_gauss_and_newton(projection):
    rng = np.random.default_rng(2)
    X, U = rng.standard_normal((30, 3)), 0.3 * rng.standard_normal((2, 3))
    rest, slope = rng.standard_normal((2, 2, 30))
    rest *= 1e-3  # so that the step stays small
    z = U @ X.T if projection == "linear" else np.linalg.norm(X - U[:, np.newaxis], axis=2)
    moved = step(U, X, rest, slope, z, projection)
    for j in range(2):
        by_u = X if projection == "linear" else -(X - U[j]) / z[j][:, np.newaxis]
        J = slope[j][:, np.newaxis] * by_u
        share = {"linear": 0.05, "distance": 0.1}[projection]
        matrix = J.T @ J + share * np.trace(J.T @ J) / 3 * np.eye(3)
        u = U[j] + np.linalg.solve(matrix, J.T @ rest[j])
        u /= np.linalg.norm(u) if projection == "linear" else 1
        np.testing.assert_allclose(moved[j], u, rtol=1e-9)


@pytest.mark.parametrize("projection", ["linear", "distance"])
def test_descent_finds_a_direction_nearby(projection):
    f = SineWaves(4, k=1, tau=1, linear=projection == "linear", seed=3)
    f.frequencies[:] = 2.0
    X = f.sample(1000)
    y = f(X) - f(X).mean()
    grid = Hats(-4.2 if projection == "linear" else 0.0, 6.0, 0.15, 2.0)
    start = f.directions + 0.15
    U, explained = descend(start, X, y, grid, projection, 8)
    assert explained[0] > 0.98
    assert np.linalg.norm(U - f.directions) < 0.05


def test_starts_are_screened_by_means_over_bins():
    rng = np.random.default_rng(6)
    z, r = rng.uniform(-2.5, 2.5, (2, 300)), rng.standard_normal(300)
    share = GRID.explained(z, r)
    for j in range(2):
        bins = np.rint((np.clip(z[j], -2, 2) - GRID.low) / GRID.spacing)
        parts = [r[bins == b] for b in np.unique(bins)]
        exact = sum(part.sum() ** 2 / (len(part) + GRID.smoothing) for part in parts)
        np.testing.assert_allclose(share[j], exact / (r @ r), rtol=1e-9)


def test_of_many_directions_those_near_a_module_descend():
    f = SineWaves(4, k=1, tau=1, seed=3)
    X = f.sample(1000)
    grid, y = Hats(-4.2, 4.2, 0.15, 2.0), f(X) - f(X).mean()
    U = np.random.default_rng(7).standard_normal((2500, 4))
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    found, explained = promising(U, X, y, grid, "linear")
    assert len(found) == 25
    assert abs(found[explained.argmax()] @ f.directions[0]) > 0.999


@pytest.mark.parametrize("linear", [True, False])
def test_all_modules_are_found(linear):
    f = SineWaves(3, linear=linear, seed=101)
    X, Y = f.sample(1500), f.sample(1000, seed=1)
    options = {"projection": f.projection, "n_directions": 4, "n_starts": 600, "patience": 1}
    found = pursuit(X, f(X), seed=1, **options)
    assert ((found.predict(Y) - f(Y)) ** 2).mean() < 0.05 * f.variance
    if linear:
        assert (abs(found.directions @ f.directions.T).max(axis=0) > 0.99).all()
    else:  # of a function that varies little the centre is not determined well
        gaps = np.linalg.norm(found.directions[:, np.newaxis] - f.directions, axis=2)
        assert (gaps.min(axis=0) < 0.1).sum() >= 2
    assert len(found.held_out) == len(found.directions) + 1


@pytest.mark.parametrize("projection", ["linear", "distance"])
def test_place_and_size_of_the_data_do_not_matter(projection):
    f = SineWaves(2, linear=projection == "linear", seed=3)
    X = f.sample(400)
    options = {"projection": projection, "n_directions": 2, "n_starts": 200}
    plain = pursuit(X, f(X), **options)
    moved = pursuit(8 * X + 16, 4 * f(X) - 2, **options)
    np.testing.assert_allclose(4 * plain.predict(X) - 2, moved.predict(8 * X + 16), atol=1e-5)
    if projection == "linear":
        assert similarity(plain.directions, moved.directions) > 0.999
    else:
        np.testing.assert_allclose(8 * plain.directions + 16, moved.directions, atol=1e-4)


def test_noise_has_no_directions():
    rng = np.random.default_rng(5)
    X, y = rng.standard_normal((400, 3)), rng.standard_normal(400)
    found = pursuit(X, y, n_starts=100, patience=1)
    assert found.held_out[-1] > 0.8
    Y = rng.standard_normal((1000, 3))
    assert np.square(found.predict(Y)).mean() < 0.3
    assert found.starts >= 100


def test_the_same_seed_gives_the_same_bits():
    f = SineWaves(2, seed=1)
    X = f.sample(300)
    one, two = (pursuit(X, f(X), n_starts=100, patience=1, seed=4) for _ in range(2))
    assert np.array_equal(one.directions, two.directions)
    assert np.array_equal(one.predict(X), two.predict(X))


X, Y = np.random.default_rng(1).standard_normal((20, 3)), np.arange(20.0)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"projection": "cosine"}, "projection = .* is not one of"),
        ({"n_directions": 0}, "n_directions = .* integer in .1, inf"),
        ({"n_starts": 0}, "n_starts = .* integer in .1, inf"),
        ({"smoothing": 0.0}, "smoothing = .* number in .0, inf"),
        ({"tolerance": -1.0}, "tolerance = .* number in .0, inf"),
        ({"y": np.ones(20)}, "y that differ"),
        ({"y": Y[:-1]}, "y: expected shape"),
        ({"X": X[:9], "y": Y[:9]}, "at least 10 points"),
        ({"X": X * np.nan}, "X: expected finite values"),
    ],
)
def test_refused(options, text):
    with pytest.raises(ValueError, match=text):
        pursuit(**({"X": X, "y": Y} | options))
