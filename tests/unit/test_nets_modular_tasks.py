"""Tasks: their definition, their variance, composed images."""

import numpy as np
import pytest

from pympf.nets import SineWaves, compose, project


@pytest.mark.parametrize("linear", [True, False])
def test_sine_waves_are_the_printed_sum(linear):
    f = SineWaves(4, k=3, tau=2, linear=linear, seed=5)
    X = f.sample(50, seed=2)
    expected = np.zeros(50)
    for i in range(3):
        z = X @ f.directions[i] if linear else np.linalg.norm(X - f.directions[i], axis=1)
        for j in range(2):
            expected += f.amplitudes[i, j] * np.sin(f.frequencies[i, j] * z + f.phases[i, j])
    np.testing.assert_allclose(f(X), expected / np.sqrt(3), atol=1e-12)


@pytest.mark.parametrize(("m", "k", "tau"), [(2, 2, 3), (1, 3, 2), (6, 4, 1)])
def test_variance_is_exact(m, k, tau):
    f = SineWaves(m, k, tau, seed=m)
    f.frequencies /= 4  # so that means and covariances are felt
    y = f(f.sample(400_000))
    assert y.var() == pytest.approx(f.variance, rel=0.01)


def test_variance_on_average():
    """τ/2, less the squares of the modules' means: (1 + 8π²)^{-1/2} of it."""
    mean = np.mean([SineWaves(5, tau=3, seed=seed).variance for seed in range(300)])
    assert mean == pytest.approx(1.5 * (1 - 1 / np.sqrt(1 + 8 * np.pi**2)), abs=0.1)


def test_distance_task_has_its_variance():
    f = SineWaves(3, linear=False, seed=2)
    assert f(f.sample(20000, seed=7)).var() == pytest.approx(f.variance, rel=0.05)


def test_projections():
    X, U = np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([[3.0, 4.0]])
    np.testing.assert_allclose(project(X, U, "linear"), [[11.0, 4.0]])
    np.testing.assert_allclose(project(X, U, "distance"), [[8**0.5, 18**0.5]])


IMAGES, LABELS = np.arange(30.0).reshape(30, 1, 1) * np.ones((30, 2, 2)), np.arange(30) % 10


def test_composed_images_are_different_images_with_their_classes():
    X, y = compose(IMAGES, LABELS, 3, 500, seed=1)
    numbers = X.reshape(500, 3, 4)[:, :, 0].astype(int)
    assert X.shape == (500, 12)
    assert (LABELS[numbers] == y).all()
    assert all(len(set(row)) == 3 for row in numbers)


@pytest.mark.parametrize("k", [2, 6])
def test_combinations_of_tests_are_not_trained_on(k):
    _, y = compose(IMAGES, LABELS, k, 3000, disjoint=True)
    _, y_test = compose(IMAGES, LABELS, k, 1000, disjoint=True, test=True)
    train, test = ({tuple(sorted(row)) for row in part} for part in (y, y_test))
    assert len(train) > len(test) > 3
    assert not train & test


def test_noise_is_added_to_the_inputs_only():
    clean, y = compose(IMAGES, LABELS, 2, 4000, seed=3)
    noisy, y_noisy = compose(IMAGES, LABELS, 2, 4000, noise=0.3, seed=3)
    assert (y == y_noisy).all()
    assert (noisy - clean).std() == pytest.approx(0.3, rel=0.02)


def test_all_images_at_once():
    X, _ = compose(IMAGES[:4], LABELS[:4], 4, 50)
    assert (np.sort(X.reshape(50, 4, 4)[:, :, 0], axis=1) == np.arange(4)).all()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: SineWaves(0), "m = .* integer in .1, inf"),
        (lambda: SineWaves(3, tau=0), "tau = .* integer in .1, inf"),
        (lambda: SineWaves(3)(np.zeros((2, 4))), r"shape \(n >= 1, 3\)"),
        (
            lambda: project(np.zeros((1, 1)), np.zeros((1, 1)), "cosine"),
            "projection = .* is not one of",
        ),
        (lambda: compose(IMAGES, LABELS[:-1], 2, 5), "a class, an integer from 0"),
        (lambda: compose(IMAGES, LABELS - 1, 2, 5), "a class, an integer from 0"),
        (lambda: compose(IMAGES, LABELS, 31, 5), "k = .* integer in .1, 30"),
        (lambda: compose(IMAGES, LABELS, 2, 5, noise=-1), "noise = -1 is not a number"),
        (lambda: compose(IMAGES, LABELS, 2, 5, test=True), "together with disjoint"),
        (
            lambda: compose(IMAGES, 0 * LABELS, 2, 5, disjoint=True, test=True),
            "combinations of 2 classes",
        ),
    ],
)
def test_refused(call, text):
    with pytest.raises(ValueError, match=text):
        call()
