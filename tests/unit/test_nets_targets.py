"""Targets, domains and bounds: closed formulas and invariants."""

from itertools import product
from math import comb, inf, log, sqrt

import numpy as np
import pytest

from pympf.nets import (
    Bumps,
    Cube,
    Hypercube,
    Lipschitz,
    Manifold,
    Polynomial,
    Subspace,
    dense_analytic_bound,
    dense_bound,
    forward_times,
    lsh_bound,
    lsh_manifold_bound,
    monomials,
    nonempty_buckets_bound,
)

from ..helpers import assert_close


# ---- targets -------------------------------------------------------------------------------------
@pytest.mark.parametrize(("d", "degree"), [(1, 4), (3, 2), (8, 4), (2, 0)])
def test_monomials_are_all_and_each_once(d, degree, rng):
    X = rng.uniform(0.5, 2, (4, d))
    values = monomials(X, degree)
    powers = [p for p in product(range(degree + 1), repeat=d) if sum(p) <= degree]
    assert values.shape == (4, comb(d + degree, degree)) == (4, len(powers))
    expected = np.array([np.prod(X**p, axis=1) for p in powers]).T
    assert_close(np.sort(values, axis=1), np.sort(expected, axis=1))
    assert (values[:, 0] == 1).all()


def test_polynomial_is_scaled_and_of_its_degree(rng):
    p = Polynomial(8, 4, seed=3)
    assert abs(p.coefficients).sum() == pytest.approx(1)
    X = rng.uniform(-1, 1, (50, 8))
    assert_close(p(X), monomials(X, 4) @ p.coefficients)
    assert abs(p(X)).max() <= 1
    line = p(np.linspace(-1, 1, 6)[:, np.newaxis] * X[:1])  # quartic: fifth differences vanish
    assert abs(np.diff(line, 5)) < 1e-12
    few = Polynomial(8, 4, terms=10, scale=0.25)
    assert len(few.coefficients) == 10
    assert abs(few.coefficients).sum() == pytest.approx(0.25)


def test_hypercube_has_its_signs_and_is_linear_in_each_coordinate(rng):
    f = Hypercube(4, seed=1)
    corners = np.array(list(product((-1.0, 1.0), repeat=4)))
    assert (f(corners) == f.corners.reshape(-1)).all()
    assert set(f.corners.reshape(-1)) == {-1.0, 1.0}
    X = rng.uniform(-1, 1, (20, 4))
    weights = ((1 + corners * X[:, np.newaxis]) / 2).prod(axis=2)  # the formula of section 5.1
    assert_close(f(X), weights @ f.corners.reshape(-1))


def test_variance_of_hypercube_functions():
    """(2/3)^d - 2^-d on average over signs, when both are exact in the mean."""
    X = Cube(6).sample(20_000)
    variance = np.mean([Hypercube(6, seed=seed)(X).var() for seed in range(30)])
    assert variance == pytest.approx((2 / 3) ** 6 - 2.0**-6, rel=0.1)


def test_lipschitz_functions_are_as_steep_as_allowed(rng):
    f = Lipschitz(rng.uniform(-1, 1, (40, 5)), constant=2.5, seed=1)
    X, step = rng.uniform(-1, 1, (2, 3000, 5)) * np.array([1.0, 1e-3]).reshape(2, 1, 1)
    slope = abs(f(X + step) - f(X)) / np.linalg.norm(step, axis=1)
    assert slope.max() <= 2.5 * (1 + 1e-9)
    towards = (
        f.centers[
            np.argmin(f.values + 2.5 * np.linalg.norm(X[:, np.newaxis] - f.centers, axis=2), axis=1)
        ]
        - X
    )
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    assert np.median((f(X) - f(X + 1e-6 * towards)) / 1e-6) == pytest.approx(2.5, rel=1e-3)
    far = Lipschitz([[0.0], [10.0]], spread=0.5, seed=2)
    assert_close(far(far.centers), far.values)  # the cones do not reach each other


@pytest.mark.parametrize("k", [1, 2, 3])
def test_bumps_are_the_family_of_theorem_4_3(k):
    domain = Subspace(9, k, seed=1)
    f, g = (Bumps(domain, height=0.3, constant=2.0, seed=seed) for seed in (1, 2))
    side = 2 * 0.3 / 2.0
    centers = (np.floor(domain.sample(500) @ domain.basis / side) + 0.5) * side @ domain.basis.T
    assert_close(abs(f(centers)), np.full(500, 0.3))
    assert set(np.round(f(centers) - g(centers), 9)) == {-0.6, 0.0, 0.6}
    X = domain.sample(2000)
    step = 1e-4 * domain.sample(2000, seed=1)
    assert (abs(f(X + step) - f(X)) <= 2.0 * np.linalg.norm(step, axis=1) * (1 + 1e-6)).all()


# ---- domains -------------------------------------------------------------------------------------
@pytest.mark.parametrize(("d", "k"), [(2, 1), (16, 1), (16, 3), (5, 5)])
def test_subspace_points_lie_in_both(d, k):
    domain = Subspace(d, k, seed=1)
    X = domain.sample(3000)
    assert X.shape == (3000, d)
    assert abs(X).max() <= 1
    assert_close(X @ domain.basis @ domain.basis.T, X)
    # Uniform: symmetric, and the share within the half-size cut is 2^-k.
    share = (abs(X).max(axis=1) <= 0.5).mean()
    assert abs(share - 0.5**k) < 5 * sqrt(0.5**k / 3000)
    assert abs(X.mean(axis=0)).max() < 5 / sqrt(3000)


@pytest.mark.parametrize("bend", [0.0, 1.0, 3.0])
def test_manifold_has_the_condition_it_promises(bend, rng):
    domain = Manifold(12, 2, bend=bend, seed=1)
    assert abs(domain.sample(3000)).max() <= 1
    z, h = rng.uniform(-0.99, 0.99, (50, 2)), 1e-6
    jacobians = np.stack(
        [(domain.embed(z + h * e) - domain.embed(z - h * e)) / (2 * h) for e in np.eye(2)], axis=2
    )
    singular = np.linalg.svd(jacobians, compute_uv=False) / domain.scale
    expected = np.sqrt(1 + (bend * np.cos(np.pi * z)) ** 2)
    np.testing.assert_allclose(np.sort(singular), np.sort(expected), rtol=1e-6)
    assert (singular.max(axis=1) / singular.min(axis=1)).max() <= sqrt(1 + bend**2) + 1e-9


def test_manifold_points_are_uniform_on_the_surface():
    """On a curve the distances along it between sorted points are the same everywhere."""
    domain = Manifold(4, 1, bend=3.0, seed=1)
    z = np.linspace(-1, 1, 4001)[:, np.newaxis]
    length = np.cumsum(np.linalg.norm(np.diff(domain.embed(z), axis=0), axis=1))
    X = domain.sample(4000)
    nearest = np.linalg.norm(X[:, np.newaxis, :] - domain.embed(z)[::8], axis=2).argmin(axis=1)
    along = np.append(0, length)[::8][nearest] / length[-1]
    counts = np.histogram(along, bins=10, range=(0, 1))[0]
    assert abs(counts - 400).max() < 6 * sqrt(400)


@pytest.mark.parametrize("domain", [Cube(3), Subspace(6, 2), Manifold(6, 2)])
def test_seeds_decide_the_points(domain):
    assert (domain.sample(50, seed=1) == domain.sample(50, seed=1)).all()
    assert (domain.sample(50, seed=1) != domain.sample(50, seed=2)).any()


def test_target_and_points_of_one_seed_are_independent():
    signs = Hypercube(10, seed=7).corners.reshape(-1)
    points = Cube(1).sample(1024, seed=7)[:, 0]
    assert abs(np.corrcoef(signs, points)[0, 1]) < 5 / sqrt(1024)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: Polynomial(2, 0), "degree = .* integer in .1, inf"),
        (lambda: Polynomial(2, 1, terms=4), "terms = .* integer in .1, 3"),
        (lambda: Polynomial(2, 1, scale=0), "scale = .* number in .0, inf"),
        (lambda: Hypercube(21), "n_features = .* integer in .1, 20"),
        (lambda: Hypercube(2, seed=-1), "seed = .* integer in .0, inf"),
        (lambda: Hypercube(2)([[1.0]]), r"shape \(n >= 1, 2\)"),
        (lambda: Subspace(3, 4), "dimension = .* integer in .1, 3"),
        (lambda: Manifold(3, 2), "dimension = .* integer in .1, 1"),
        (lambda: Manifold(4, 1, bend=-1), "bend = -1 is not a number"),
        (lambda: Cube(2).sample(0), "n = .* integer in .1, inf"),
        (lambda: Bumps(Subspace(9, 3), height=1e-3), r"at most 2\^28 bumps"),
        (lambda: Lipschitz([[0.0]], constant=-1.0), "constant = .* number in .0, inf"),
    ],
)
def test_refused(call, text):
    with pytest.raises(ValueError, match=text):
        call()


# ---- bounds --------------------------------------------------------------------------------------
def test_bounds_are_their_formulas():
    d, k, eps, L, C = 16, 3, 0.1, 2.0, 1.5
    sparse, dense = lsh_bound(d, k, eps, L), dense_bound(d, k, eps, L, constant=C)
    assert sparse.table_size == pytest.approx(L * (sqrt(d) / eps) ** k)
    assert sparse.samples == pytest.approx(k * sparse.table_size * log(L * sqrt(d) / eps))
    assert sparse.forward_time == pytest.approx(d * k * log(L * sqrt(d) / eps))
    assert dense.width == pytest.approx((sqrt(d) * L / (C * eps)) ** k)
    assert dense.samples == pytest.approx(k * dense.width * log(2 * sqrt(d) * L / (C * eps)))
    curved = lsh_manifold_bound(d, k, eps)
    assert curved.table_size == pytest.approx((sqrt(d * k) / eps) ** k)
    assert curved.samples == pytest.approx(k * curved.table_size * log(sqrt(d * k) / eps))
    assert curved.forward_time == pytest.approx(d * k * log(1 / eps))
    smooth = dense_analytic_bound(k, eps, L, constant=C)
    assert smooth.width == pytest.approx(2 ** (k * k / 2) * (L * C / (sqrt(k) * np.pi * eps)) ** k)
    assert smooth.samples == pytest.approx(smooth.width * log(smooth.width))
    assert nonempty_buckets_bound(d, k, eps) == pytest.approx((2 * sqrt(d) / eps) ** k)
    times = forward_times(d, k, eps, constant=C)
    assert times == pytest.approx((d * k * log(1 / eps), d * (2 * sqrt(d) / (C * eps)) ** k))


@pytest.mark.parametrize("k", [1, 2, 5])
def test_halving_eps_multiplies_widths_by_two_to_the_k(k):
    for bound in (
        lambda eps: lsh_bound(16, k, eps).table_size,
        lambda eps: lsh_manifold_bound(16, k, eps).table_size,
        lambda eps: dense_bound(16, k, eps).width,
        lambda eps: dense_analytic_bound(k, eps).width,
        lambda eps: nonempty_buckets_bound(16, k, eps),
        lambda eps: forward_times(16, k, eps)[1],
    ):
        assert bound(0.01) / bound(0.02) == pytest.approx(2**k)
    extra = lsh_bound(16, k, 0.01).forward_time - lsh_bound(16, k, 0.02).forward_time
    assert extra == pytest.approx(16 * k * log(2))


def test_bounds_beyond_float64_are_infinite():
    assert dense_bound(10**6, 10**5, 1e-9).width == inf
    assert dense_analytic_bound(2000, 0.1).samples == inf


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: lsh_bound(4, 5, 0.1), "k = .* integer in .1, 4"),
        (lambda: lsh_bound(4, 2, 2.5), "expected L √d/eps above 1"),
        (lambda: dense_bound(4, 2, 0.0), "eps = .* number in .0, inf"),
        (lambda: forward_times(4, 2, 1.0), "1/eps above 1"),
        (lambda: lsh_manifold_bound(4, 0, 0.1), "k = .* integer in .1, 4"),
    ],
)
def test_bounds_refuse(call, text):
    with pytest.raises(ValueError, match=text):
        call()
