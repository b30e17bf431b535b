"""Lemma 1, theorem 1, statistical queries, and what finds parities without them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from pympf.nets import (
    Adversarial,
    BoundedNetwork,
    CubeFace,
    Finite,
    Perturbation,
    corners,
    gf2_solve,
    goldreich_levin,
    goldreich_levin_pairs,
    heavy_parities,
    identity,
    least_complexity,
    parity,
    parity_tree,
    parity_values,
    random_corners,
    read_parity,
    recover,
    recovery_bounds,
    ruled_out,
    separation,
    statistical_dimension,
    theorem1,
    total_variation,
    vstat,
    vstat_samples,
    walsh_hadamard,
)

masks = st.integers(2, 7).flatmap(lambda n: st.lists(st.booleans(), min_size=n, max_size=n))


def bits_of(mask):
    return np.flatnonzero(mask)


# ---- perturbations -------------------------------------------------------------------------------
class Normal:
    """A continuous D_0 in the plane."""

    def sample(self, n, seed=0):
        return np.random.default_rng(seed).standard_normal((n, 2))

    def density(self, X):
        return np.exp(-np.square(X).sum(axis=1) / 2) / (2 * np.pi)


def test_densities_of_a_perturbed_normal_distribution():
    """The formula of Lemma 1 integrates to 1, and is what samples follow."""
    D = Perturbation(Normal(), [1.0, 0.0], 0.4, lambda X: np.where(X[:, 0] < X[:, 1], 1.0, -1.0))
    ticks = np.linspace(-6, 6, 601)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    p = D.density(grid) * (ticks[1] - ticks[0]) ** 2
    assert p.sum() == pytest.approx(1, abs=5e-3)
    inside = (abs(grid) < 0.5).all(axis=1)
    X = D.sample(100_000, seed=1)
    assert (abs(X) < 0.5).all(axis=1).mean() == pytest.approx(p[inside].sum(), abs=0.01)


def test_total_variation_merges_points_that_two_origins_share():
    """0 + η and 2 - η are one point: all mass lies on it although the origins differ."""
    family = Perturbation(Finite([[0.0], [2.0]]), [1.0], 1.0)
    inwards = family.with_sides(lambda X: 1 - X[:, 0])
    outwards = family.with_sides(lambda X: X[:, 0] - 1)
    assert_allclose(inwards.density([[1.0], [3.0], [-1.0]]), [1.0, 0.0, 0.0])
    assert total_variation(inwards, outwards) == 1.0
    right, left = (family.with_sides(lambda X, s=s: np.full(len(X), s)) for s in (1.0, -1.0))
    assert total_variation(right, left) == 0.5
    assert total_variation(right, inwards) == 0.5


@given(masks, st.integers(0, 9))
@settings(deadline=None, max_examples=30)
def test_members_of_the_cube_and_their_list_are_one(mask, seed):
    n = len(mask)
    theorem = theorem1(n, norm=2.5, depth=3)
    D = theorem.member(mask)
    listed = Perturbation(Finite(D.base.points, D.base.probabilities), D.v, D.eta, D.sides)
    X = np.concatenate([D.sample(20, seed), CubeFace(n).sample(5, seed)])
    assert_allclose(D.density(X), listed.density(X), atol=1e-15)
    assert_allclose(D.density(X), np.where(X[:, n] != 0, 0.5**n, 0))
    assert total_variation(D, listed) == 0
    assert separation(theorem.f, theorem.family) == pytest.approx(2, abs=1e-12)


# ---- Lemma 1 -------------------------------------------------------------------------------------
@given(masks, st.sampled_from([(2.0, 3), (3.0, 3), (2.5, 4)]), st.integers(0, 999))
@settings(deadline=None, max_examples=80)
def test_lemma_1_is_never_violated(mask, size, seed):
    """g is any map that is Λ^(d-1)-Lipschitz along v: values and slopes are drawn."""
    theorem, rng = theorem1(len(mask), *size), np.random.default_rng(seed)
    D, f, lipschitz = theorem.member(mask), theorem.f, size[0] ** (size[1] - 1)
    X0 = D.base.points
    value = D.sides(X0) + rng.normal(0, rng.choice([0.1, 0.5, 1.0, 2.0]), len(X0))
    slope = rng.uniform(-1, 1, len(X0)) * lipschitz

    def g(X):
        corner = (X[:, :-1] < 0) @ 2 ** np.arange(len(mask))
        return value[corner] + slope[corner] * X[:, -1]

    error = abs(g(D.move(X0)) - f(D.move(X0)))
    bounds = recovery_bounds(np.square(error).mean(), theorem.separation, theorem.reach)
    tv = total_variation(recover(f, g, theorem.family, lipschitz=lipschitz, delta=2.0), D)
    assert tv <= (error >= bounds.theta).mean() + 1e-12
    assert tv <= bounds.markov * (1 + 1e-9)
    assert bounds.markov <= bounds.printed * (1 + 1e-12)


@pytest.mark.parametrize(("norm", "depth"), [(2.0, 3), (3.0, 3), (2.5, 4)])
def test_the_adversary_attains_the_bound(norm, depth):
    theorem, bits = theorem1(9, norm, depth), [0, 2, 3, 8]
    D, g = theorem.member(bits), theorem.adversary(bits, share=0.2, seed=4)
    X = D.move(D.base.points)
    eps = np.square(g(X) - theorem.f(X)).mean()
    bounds = recovery_bounds(eps, theorem.separation, theorem.reach)
    tv = total_variation(recover(theorem.f, g, theorem.family), D)
    assert 0.1 < tv < 0.3
    assert tv == pytest.approx(bounds.markov, rel=1e-6)
    if norm == 2:  # then ηΛ^(d-1) = Δ/4
        assert tv == pytest.approx(bounds.printed, rel=1e-6)
    line = X.copy()
    line[:, -1] = 0
    steps = abs(g(X) - g(line)) / theorem.family.eta
    assert steps.max() <= norm ** (depth - 1) * (1 + 1e-6)


# ---- theorems 1 and 2 ----------------------------------------------------------------------------
def test_theorem_1_has_what_it_promises():
    theorem = theorem1(64, norm=2.0, depth=4)
    assert theorem.f.belongs(2.0, 4)
    bits = np.arange(0, 64, 3)
    D = theorem.member(bits)
    X = D.sample(500)
    h = theorem.compression(bits)
    assert h.belongs(2.0, 3)
    assert_allclose(h(X), theorem.f(X), atol=1e-12)
    with pytest.raises(ValueError, match=r"at most .* = 64 bits, got 65"):
        theorem1(65, norm=2.0, depth=4).compression(range(65))


@pytest.mark.parametrize(("norm", "depth", "expected"), [(3, 4, 4.327), (3, 10, 3.389)])
def test_the_hard_function_is_linear(norm, depth, expected):
    """With a little more norm, one layer less does for every distribution."""
    theorem = theorem1(10, norm, depth)
    g = theorem.shallower()
    assert g.depth == depth - 1
    assert g.norm_bound() == pytest.approx(expected, abs=1e-3)
    X = np.random.default_rng(0).standard_normal((50, 11))
    assert_allclose(g(X), theorem.f(X), rtol=1e-11)


def test_elimination_learns_the_family_from_samples():
    theorem, rng = theorem1(30, norm=3.0, depth=4), np.random.default_rng(0)
    for seed in range(50):
        bits = np.flatnonzero(rng.random(30) < 0.5)
        assert_array_equal(theorem.learn(theorem.member(bits).sample(40, seed)), bits)


@pytest.mark.parametrize("eps", [0.4, 0.1])
def test_noise_of_theorem_2_must_be_below_a_quarter_of_eps(eps):
    """A flipped label costs 4: ε/2, as printed, misses ε by a factor of 2."""
    theorem, bits = theorem1(14, norm=3.0, depth=4), [0, 1, 5, 7]
    h = theorem.compression(bits)
    for noise, holds in ((eps / 2, False), (eps / 5, True)):
        X = theorem.member(bits, noise=noise, seed=1).move(theorem.family.base.points)
        error = np.square(h(X) - theorem.f(X)).mean()
        assert error == pytest.approx(4 * noise, rel=0.15)
        assert (error < eps) == holds


def test_noise_is_a_function_of_the_point_and_of_the_seed():
    theorem = theorem1(70, norm=2.1, depth=3)
    X0 = theorem.family.base.sample(4000)
    first, again, other = (
        theorem.member([3], noise=0.3, seed=seed).sides(X0) for seed in (0, 0, 1)
    )
    assert_array_equal(first, again)
    clean = theorem.member([3]).sides(X0)
    assert (first != clean).mean() == pytest.approx(0.3, abs=0.03)
    assert (first != other).mean() == pytest.approx(0.42, abs=0.03)
    assert_array_equal(theorem.member([3], noise=0.3).sides(X0[::-1]), first[::-1])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: theorem1(5, norm=0.0, depth=3), "norm = .* number in .0, inf"),
        (lambda: theorem1(5, norm=-2.0, depth=3), "norm = .* number in .0, inf"),
        (lambda: theorem1(5, norm=1.5, depth=3), r"eta Λ\^d = 0\.666667 and Δ/4 = 0\.5"),
        (lambda: theorem1(5, norm=3.0, depth=2), "depth = .* integer in .3, inf"),
        (lambda: theorem1(5, norm=3.0, depth=3).member([5]), "bits from 0 to 4"),
        (lambda: theorem1(5, norm=3.0, depth=3).member([0], noise=0.5), "noise"),
        (lambda: theorem1(5, norm=3.0, depth=3).adversary([0], share=1.5), "share"),
        (lambda: theorem1(25, norm=3.0, depth=3).family.base.points, "up to 24"),
        (lambda: theorem1(5, norm=3.0, depth=3).family.sample(3), "no sides"),
        (lambda: recovery_bounds(0.1, 1.0, 0.3), "eta Λ"),
        (lambda: recovery_bounds(-0.1, 1.0, 0.1), "eps"),
        (lambda: Perturbation(CubeFace(2), [0, 0, 2], 0.5), "length 1, got 2"),
        (lambda: Perturbation(CubeFace(2), [0, 0, 1], 0.0), "eta = .* number in .0, inf"),
        (lambda: Finite([[0.0], [1.0]], [0.5, 0.6]), "sum is 1.1"),
        (lambda: Finite([[0.0], [1.0]], [1.5, -0.5]), "none below 0"),
    ],
)
def test_bad_reductions_are_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_sides_are_signs():
    D = Perturbation(CubeFace(2), [0, 0, 1], 0.5, lambda X: 0.5 * X[:, 0])
    with pytest.raises(ValueError, match=r"sides of ±1, got 0\.5"):
        D.sample(3)


def test_a_network_that_is_too_steep_is_refused():
    theorem = theorem1(4, norm=3.0, depth=3)
    with pytest.raises(ValueError, match="eta Λ"):
        recover(theorem.f, theorem.f, theorem.family)
    for base in (CubeFace(30), Normal()):  # of a support that is not listed, points are looked at
        family = Perturbation(base, np.eye(base.sample(1).shape[1])[-1], 0.1)
        steep, flat = (
            BoundedNetwork([np.full((1, len(family.v)), slope)], activations="identity")
            for slope in (3.0, 1e-3)
        )
        assert separation(steep, family, base.sample(9)) == pytest.approx(0.6)
        recover(steep, flat, family)
        with pytest.raises(ValueError, match=r"Δ/4 = 0\.15"):
            recover(steep, steep, family)


# ---- queries -------------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [0, 1, 3, 6])
def test_walsh_hadamard_is_the_matrix_of_all_parities(n):
    H = walsh_hadamard(np.eye(2**n))
    if n:
        X = corners(n)
        expected = [parity_values(bits_of([s >> i & 1 for i in range(n)]), X) for s in range(2**n)]
        assert_array_equal(H, np.array(expected).T)
    assert_array_equal(H @ H.T, 2**n * np.eye(2**n))  # uncorrelated: statistical dimension
    values = np.random.default_rng(0).standard_normal((2, 2**n))
    assert_allclose(walsh_hadamard(values), values @ H, atol=1e-12)


def queries(n, count, seed):
    """Any, halfspaces, parities (the best there are), and sparse ones."""
    rng, X = np.random.default_rng(seed), corners(n)
    for number in range(count):
        s = (X @ rng.standard_normal(n) > 0) * 1.0
        h = (1 + parity_values(rng.random(n) < 0.5, X)) / 2
        sparse = (rng.random((2, len(X))) < 2.0 ** -rng.integers(1, 8)) * 1.0
        yield [rng.random((2, len(X))), np.stack([s, 1 - s]), np.stack([h, 1 - h]), sparse][
            number % 4
        ]


@pytest.mark.parametrize("tau", [0.02, 0.05, 0.1, 0.25])
def test_no_query_rules_out_more_than_the_bound(tau):
    counts = [ruled_out(phi, tau).sum() for phi in queries(9, 60, seed=int(100 * tau))]
    assert max(counts) >= 1  # a parity rules out itself
    assert max(counts) <= 1 / tau**2


def test_the_adversary_leaves_parities_until_enough_queries_were_asked():
    n, tau = 8, 0.1
    oracle, X = Adversarial(n, tau), corners(n)
    for s in range(1, 2**n):
        bits = bits_of([s >> i & 1 for i in range(n)])
        answer = oracle.answer(lambda X, y, bits=bits: (1 + y * parity_values(bits, X)) / 2)
        assert answer == 0.5
        assert oracle.alive.sum() == 2**n - s
        assert 2**n - oracle.alive.sum() <= oracle.queries / tau**2
    assert oracle.total_complexity == 2**n - 1 >= least_complexity(n)
    assert len(X) == 2**n


def test_honest_answers_are_within_tau_as_often_as_they_say():
    tau, hits = 0.05, 0
    for seed in range(100):
        X = random_corners(4, vstat_samples(tau, 0.1), seed)
        v = vstat(lambda X: (X[:, :2] > 0).all(axis=1), X, tau, failure=0.1)
        hits += abs(v**0.5 - 0.5) < tau
    assert hits >= 90


def test_samples_are_of_the_order_of_tau_to_the_minus_2():
    """Not 1/τ, as printed: the standard deviation of √p̂ is ((1 - p)/m)^(1/2)/2."""
    rng, p = np.random.default_rng(0), 0.3
    for m in (100, 10_000):
        spread = np.sqrt(rng.binomial(m, p, 100_000) / m).std()
        assert spread == pytest.approx(np.sqrt((1 - p) / m) / 2, rel=0.02)
        tau = 1 / m  # m = 1/τ samples are wrong nearly always
        assert (abs(np.sqrt(rng.binomial(m, p, 10_000) / m) - np.sqrt(p)) >= tau).mean() > 0.7
    assert vstat_samples(0.01) == pytest.approx(100 * vstat_samples(0.1), rel=1e-2)


def test_statistical_dimension_counts_what_is_uncorrelated():
    assert statistical_dimension(np.eye(64), 1 / 4) == 16
    copies = np.kron(np.eye(16), np.ones((4, 4)))  # each function four times
    assert statistical_dimension(copies, 1 / 4) == 4
    assert statistical_dimension(np.ones((8, 8)), 0.5) == 0
    for bad in (np.ones((2, 3)), [[1.0, 0.5], [0.2, 1.0]]):
        with pytest.raises(ValueError, match="symmetric Gram"):
            statistical_dimension(bad, 0.5)


# ---- what finds parities -------------------------------------------------------------------------
@given(masks, st.sampled_from([1, -1]), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_parities_are_found_by_evaluations_and_by_samples(mask, sign, seed):
    n, bits = len(mask), bits_of(mask)
    f = parity(mask, n, sign=sign)
    found = read_parity(f, n)
    assert_array_equal(found.bits, bits)
    assert found.sign == sign
    if len(bits):
        assert_array_equal(read_parity(parity_tree(mask, n), n).bits, bits)
    X = corners(n)[np.random.default_rng(seed).permutation(2**n)]
    assert_array_equal(gf2_solve(X, parity_values(mask, X)), bits)


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
def test_goldreich_levin_finds_the_parity_under_noise(noise):
    """Each draw may fail with the probability 1/40."""
    theorem, rng, right = theorem1(16, norm=2.0, depth=3), np.random.default_rng(0), 0
    for seed in range(20):
        mask = rng.random(16) < 0.5
        noisy = theorem.member(mask, noise=noise, seed=seed)

        def f(X, noisy=noisy):
            return -noisy.sides(np.hstack([X, np.zeros((len(X), 1))]))

        found = goldreich_levin(f, 16, noise, seed=seed)
        right += np.array_equal(found.bits, bits_of(mask)) and found.sign == -1
    assert right >= (20 if noise == 0 else 19)


def test_pairs_are_those_of_the_bound():
    assert [goldreich_levin_pairs(16, noise, 0.025) for noise in (0.1, 0.3, 0.4)] == [32, 505, 8077]


def test_noise_that_an_adversary_chose_is_taken_by_the_list():
    """Wrong on 5 of 32 corners, all together: coefficients beside that of the parity itself."""
    n, bits = 10, [1, 4, 6]

    def f(X):
        few = (X[:, 1:5] < 0).sum(axis=1) <= 1  # 5 of 16 corners of four bits
        return parity_values(bits, X) * np.where(few & (X[:, 0] < 0), -1, 1)

    for g, expected in ((f, bits), (lambda X: -f(X), bits)):
        found = heavy_parities(g, n, threshold=0.5)
        assert found[0].bits.tolist() == expected
        exact = walsh_hadamard(g(corners(n))) / 2**n
        listed = {tuple(p.bits.tolist()): p.coefficient for p in found}
        for s in range(2**n):
            key = tuple(i for i in range(n) if s >> i & 1)
            assert abs(exact[s]) < 0.5 or key in listed
            if key in listed:
                assert abs(exact[s]) >= 0.25
                assert listed[key] == pytest.approx(exact[s], abs=0.06)


def test_the_list_has_all_parities_that_share_the_cube():
    """Pairs see a mixture; the list has each: f is a parity on each half of the cube."""
    n = 12

    def f(X):
        return np.where(X[:, 0] > 0, parity_values([2, 3, 7], X), parity_values([5], X))

    found = {tuple(p.bits.tolist()): p.coefficient for p in heavy_parities(f, n, threshold=0.5)}
    assert set(found) == {(2, 3, 7), (0, 2, 3, 7), (5,), (0, 5)}
    for bits, sign in (((2, 3, 7), 1), ((0, 2, 3, 7), 1), ((5,), 1), ((0, 5), -1)):
        assert found[bits] == pytest.approx(sign / 2, abs=0.06)


def test_elimination_says_what_is_wrong():
    X = random_corners(12, 30)
    y = parity_values([1, 2, 7], X)
    with pytest.raises(np.linalg.LinAlgError, match=r"rank 12, got rank [67]: 2\^[56] parities"):
        gf2_solve(X[:7], y[:7])
    y[3] *= -1
    with pytest.raises(ValueError, match="is there noise"):
        gf2_solve(X, y)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: walsh_hadamard(np.ones(3)), "power of two"),
        (lambda: ruled_out(np.ones((2, 8)), 0.0), "tau = .* number in .0, inf"),
        (lambda: ruled_out(np.ones((3, 8)), 0.1), "shape"),
        (lambda: ruled_out(np.full((2, 8), 1.5), 0.1), r"values of \[0, 1\]"),
        (lambda: Adversarial(25, 0.1), "up to 24"),
        (lambda: vstat(lambda X: X[:, 0] > 0, corners(3), 0.1), "at least 530 samples"),
        (lambda: vstat_samples(0.1, failure=1.0), "failure"),
        (lambda: goldreich_levin_pairs(8, 0.5), "noise"),
        (lambda: heavy_parities(np.prod, 3, 0.0), "threshold"),
        (lambda: heavy_parities(np.prod, 3, 1.5), "threshold"),
        (lambda: read_parity(lambda X: X[:, 0] / 2, 3), r"values of ±1.* off by 0\.5"),
        (lambda: gf2_solve([[0.5, 1.0]], [1.0]), "±1"),
        (lambda: gf2_solve([[1.0, 1.0]], [1.0, 1.0]), "shape"),
        (lambda: read_parity(identity(3, 1), 3), "shape"),
    ],
)
def test_bad_queries_are_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()
