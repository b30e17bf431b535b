"""Closed forms of the scaling laws: limits, identities, refused input."""

import numpy as np
import pytest

from pympf.nets import (
    PowerLaw,
    fit_power_law,
    linear_loss,
    modular_loss,
    pseudo_inverse_moment,
    pseudo_inverse_sample,
    samples_limit,
    samples_needed,
)


def test_moment_is_symmetric_and_infinite_near_the_diagonal():
    n = np.arange(1, 30)
    F = pseudo_inverse_moment(n[:, np.newaxis], n)
    assert np.array_equal(F, F.T)
    assert np.array_equal(np.isinf(F), abs(n[:, np.newaxis] - n) <= 1)
    assert F[19, 9] == 10 / 9  # n = 20, p = 10; the prose of appendix D has n in place of p


@pytest.mark.parametrize(("n", "p"), [(8, 8), (9, 8), (7, 9), (30, 12)])
def test_median_is_that_of_singular_values(n, p):
    R = np.random.default_rng(1).standard_normal((4000, n, p))
    exact = (np.linalg.svd(R, compute_uv=False) ** -2.0).sum(axis=1)
    low, high = np.quantile(exact, [0.46, 0.54])
    assert low < pseudo_inverse_moment(n, p, median=True) < high


def test_quick_draws_have_the_distribution_of_the_slow_ones():
    R = np.random.default_rng(2).standard_normal((5000, 12, 7))
    slow = (np.linalg.svd(R, compute_uv=False) ** -2.0).sum(axis=1)
    quick = pseudo_inverse_sample(12, 7, 5000)
    steps = [0.05, 0.25, 0.5, 0.75, 0.95]
    np.testing.assert_allclose(np.quantile(quick, steps), np.quantile(slow, steps), rtol=0.1)


@pytest.mark.parametrize(("n", "p"), [(60, 60), (60, 59), (40, 80)])
def test_ridge_keeps_the_moment_finite(n, p):
    R = np.random.default_rng(3).standard_normal((400, n, p))
    s = np.linalg.svd(R, compute_uv=False) ** 2
    mean = (s / (s + 2.0) ** 2).sum(axis=1).mean()
    assert pseudo_inverse_moment(n, p, ridge=2.0) == pytest.approx(mean, rel=0.05)


def test_ridge_tends_to_none():
    assert pseudo_inverse_moment(2000, 500, ridge=1e-9) == pytest.approx(500 / 1500, rel=1e-6)


@pytest.mark.parametrize("m", [0, 1, 5, 12])
def test_eigenvalues_sum_up_to_the_traces(m):
    law = PowerLaw(m=m)
    assert law.eigenvalues(1000).sum() == pytest.approx(float(law.head(1000)), rel=1e-12)
    assert law.head(1000) + law.tail(1000) == law.trace


def test_effective_dimension_grows_like_the_power_of_the_text():
    for m, ratio in ((5, 1.25), (9, 1.06)):
        eigenvalues = PowerLaw(m=m).eigenvalues(2 * 10**6)
        measured = PowerLaw().c ** 2 / (eigenvalues**2).sum() / PowerLaw().omega ** (2 * m)
        assert measured == pytest.approx(ratio, abs=0.02)


def test_a_law_and_its_eigenvalues_give_the_same_losses():
    law, n = PowerLaw(m=0.0), np.arange(1, 40)
    eigenvalues = law.eigenvalues(10**6)
    for exact, cut in zip(linear_loss(n, 12, law), linear_loss(n, 12, eigenvalues), strict=True):
        np.testing.assert_allclose(cut, exact, rtol=1e-4)


def test_what_is_complete_is_learned_exactly():
    losses = linear_loss([2, 3, 4, 50], 3, [1.0, 2.0, 3.0])
    np.testing.assert_allclose(losses.test, [2.0, 0, 0, 0], atol=1e-12)
    assert not losses.train.any()


def test_outputs_multiply_the_points():
    law = PowerLaw(m=2)
    one, two = linear_loss(60, 30, law), linear_loss(30, 30, law, outputs=2)
    assert two.test == pytest.approx(2 * one.test)
    assert two.train == pytest.approx(2 * one.train)


def test_modular_loss_is_theorem_1_with_another_spectrum():
    spectrum = np.concatenate([np.ones(20), PowerLaw(m=0).eigenvalues(10**6)])
    n, p = np.array([200, 60, 90, 5]), np.array([60, 100, 40, 12])
    law = PowerLaw(omega=1 + 1e-12)  # Ω^{-b} = 1: the spectrum that is summed in a million terms
    for exact, cut in zip(
        modular_loss(n, p, 10, bottleneck=2, law=law), linear_loss(n, p, spectrum), strict=True
    ):
        np.testing.assert_allclose(exact, cut, rtol=1e-4)


def test_needed_samples_give_the_loss():
    m, p = np.arange(2, 8)[:, np.newaxis], np.array([100, 400])
    n = samples_needed(0.9, p, m)
    reached = np.isfinite(n)
    loss = PowerLaw(m=m).tail(p) * (1 + p / (n - p - 1))
    assert reached.sum() >= 8
    np.testing.assert_allclose(loss[reached], 0.9, rtol=1e-12)


def test_limits_of_figure_3():
    p = np.array([100, 1000])
    few, many = samples_needed(1.2, p, 5), samples_needed(1.2, p, 40)
    assert (few < many).all()
    np.testing.assert_allclose(many, samples_limit(1.2, p, 40), rtol=1e-2)
    for m in range(2, 10):
        assert samples_needed(0.5, None, m) > samples_limit(0.5, 1, m)


def test_fit_finds_the_law_in_spite_of_noise():
    n, m = np.meshgrid([100, 300, 1000, 3000, 10**4], [2, 3, 5, 7])
    exact = linear_loss(n, 0.7 * 500, PowerLaw(0.8, 1.4, m)).train
    noisy = exact + 1e-3 * np.random.default_rng(0).standard_normal(exact.shape)
    fit = fit_power_law(n, 500, m, noisy)
    assert (fit.law.c, fit.law.omega, fit.alpha) == pytest.approx((0.8, 1.4, 0.7), rel=0.02)
    assert fit.residual < 2e-6


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: pseudo_inverse_moment(0, 3), "n of numbers at least 1"),
        (lambda: pseudo_inverse_moment(3, "x"), "p of numbers at least 1"),
        (lambda: pseudo_inverse_moment(3, 3, median=True, ridge=1.0), "without a ridge"),
        (lambda: pseudo_inverse_moment(3, 3, ridge=-1.0), "ridge = .* number in .0, inf"),
        (lambda: PowerLaw(omega=1.0), "omega = 1.0 is not a number in"),
        (lambda: PowerLaw(c=0.0), "c = .* number in .0, inf"),
        (lambda: linear_loss(3, 3, [1.0, -1.0]), "spectrum"),
        (lambda: modular_loss(3, 3, 2, bottleneck=3), "bottleneck = .* integer in .1, 2"),
        (lambda: modular_loss(30, 20, 10, bottleneck=2, printed=True), "p above m b = 20"),
        (lambda: samples_needed(0.0, 3, 2), "loss = .* number in .0, inf"),
        (lambda: fit_power_law([10, 20], 5, 2, [1.0, np.nan]), "at least 3 losses"),
    ],
)
def test_refused(call, text):
    with pytest.raises(ValueError, match=text):
        call()
