"""The paper on modular networks at small sizes: its theorems by simulation, its orderings.

At full size: bench/cases/modular.py.
"""

import numpy as np
import pytest

from pympf.nets import (
    PowerLaw,
    linear_loss,
    modular_loss,
    pseudo_inverse_moment,
    pseudo_inverse_sample,
    samples_needed,
)

# ---- theory by simulation ------------------------------------------------------------------------
TRIALS = 400


def simulated(eigenvalues, n, p, outputs=1, *, rest=0.0):
    """Mean and standard error of the test and of the training loss; `rest`: trace beyond."""
    rng = np.random.default_rng([n, p, outputs])
    P, dn = len(eigenvalues), outputs * n
    losses = np.empty((TRIALS, 2))
    for trial in range(TRIALS):
        phi = rng.standard_normal((dn, P))
        W = rng.standard_normal(P) * np.sqrt(eigenvalues)
        y = phi @ W + np.sqrt(rest) * rng.standard_normal(dn)
        theta = np.linalg.lstsq(phi[:, :p], y, rcond=None)[0]
        error = W.copy()
        error[:p] -= theta
        losses[trial] = (
            outputs * (error @ error + rest),
            np.square(y - phi[:, :p] @ theta).sum() / n,
        )
    return losses.mean(axis=0), losses.std(axis=0) / np.sqrt(TRIALS)


def agree(found, expected):
    (test, train), (test_error, train_error) = found
    assert abs(test - expected.test) <= 4 * test_error
    assert abs(train - expected.train) <= max(4 * train_error, 1e-12)


SPECTRA = {
    "power law": PowerLaw(m=3).eigenvalues(300),
    "inverse squares": np.arange(1, 301) ** -2.0,
    "flat": np.full(300, 1 / 300),
}


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize(
    ("n", "p", "outputs"), [(20, 50, 1), (50, 20, 1), (25, 60, 2), (40, 40, 2)]
)
def test_theorem_1(name, n, p, outputs):
    expected = linear_loss(n, p, SPECTRA[name], outputs=outputs)
    agree(simulated(SPECTRA[name], n, p, outputs), expected)


@pytest.mark.parametrize(("n", "p"), [(200, 60), (90, 40), (60, 100)])
def test_theorem_2_with_p_all_parameters(n, p):
    """Of an infinite spectrum: what is beyond 150 features is noise of their trace."""
    law = PowerLaw(m=2)
    spectrum = np.concatenate([np.ones(20), law.eigenvalues(150)])
    found = simulated(spectrum, n, p, rest=float(law.tail(150)))
    agree(found, modular_loss(n, p, 10, bottleneck=2))
    if n > p:
        printed = modular_loss(n, p, 10, bottleneck=2, printed=True).test
        assert printed < 0.9 * found[0][0] - 4 * found[1][0]  # what is printed is refuted


@pytest.mark.parametrize(("n", "p"), [(20, 10), (10, 20), (30, 27), (12, 10), (50, 20)])
def test_moment_of_the_pseudo_inverse(n, p):
    draws = pseudo_inverse_sample(n, p, 20000)
    error = draws.std() / np.sqrt(len(draws))
    assert abs(draws.mean() - pseudo_inverse_moment(n, p)) <= 4 * error


@pytest.mark.parametrize(("n", "p"), [(8, 8), (9, 8), (8, 9)])
def test_the_peak_of_figure_2_is_a_seed(n, p):
    """Appendix D averages 100 trials of what has no mean."""
    assert np.isinf(pseudo_inverse_moment(n, p))
    means = pseudo_inverse_sample(n, p, 10**5).reshape(-1, 100).mean(axis=1)
    assert means.max() > (1000 if n == p else 10) * np.median(means)
    growing = [pseudo_inverse_sample(n, p, size).max() for size in (10**2, 10**4, 10**6)]
    assert growing == sorted(growing)


def test_figure_3_has_no_exponential():
    """Its target is above the loss of predicting zero, so that the need saturates at 24 p."""
    m = np.array([2, 5, 9, 15, 60])
    needed = samples_needed(1.2, 1000, m) / 24000
    assert (np.diff(needed) > 0).all()
    assert needed[-1] == pytest.approx(1, abs=1e-3)


def test_below_the_variance_the_need_is_doubly_exponential():
    needed = np.log10(samples_needed(0.5, None, np.arange(2, 10)))
    np.testing.assert_allclose(needed, [1.8, 2.5, 3.5, 4.9, 7.0, 10.3, 15.4, 23.2], atol=0.1)
    ratios = needed[1:] / needed[:-1]
    assert (np.diff(ratios) > 0).all()
    assert ratios[-1] == pytest.approx(PowerLaw().omega, abs=0.07)


def test_at_fixed_size_the_need_becomes_infinite():
    p = 0.85 * (2 * 128 + 5 * (128 * 128 + 128) + 129)
    needed = samples_needed(0.8, p, np.arange(2, 10))
    expected = [71615, 76661, 91432, 127266, 221810, 666062, np.inf, np.inf]
    np.testing.assert_allclose(needed, expected, rtol=1e-4)
