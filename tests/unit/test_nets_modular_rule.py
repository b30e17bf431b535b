"""The kernel rule: its gradients against differences, one step by hand, refused input."""

import numpy as np
import pytest

from pympf.nets import kernel_objective, kernel_rule

M = 4


def shapes(projection):
    return {"linear": [(3, M)] * 2, "distance": [(3, M)], "subspace": [(3, M, 2)]}[projection]


def by_hand(u, v, X, sigma, projection):
    """The kernel of one module as it is printed: equations 73, 74 and 76."""
    K = np.empty((len(X), len(X)))
    for i, x in enumerate(X):
        for j, z in enumerate(X):
            if projection == "linear":
                a, b = x @ u / (v @ u), z @ u / (v @ u)
                other = np.sum((x - a * v - z + b * v) ** 2)
                K[i, j] = np.exp(-((a - b) ** 2) / (2 * sigma**2)) + np.exp(-other / (2 * sigma**2))
            elif projection == "distance":
                gap = np.linalg.norm(x - u) - np.linalg.norm(z - u)
                K[i, j] = np.exp(-(gap**2) / (2 * sigma**2))
            else:
                K[i, j] = np.exp(-np.sum((u.T @ (x - z)) ** 2) / (2 * sigma**2))
    return K


@pytest.mark.parametrize("projection", ["linear", "distance", "subspace"])
def test_value_is_that_of_the_printed_kernel(projection):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((9, M)), rng.standard_normal(9)
    parameters = [rng.standard_normal(shape) for shape in shapes(projection)]
    values, _ = kernel_objective(parameters, X, y, projection=projection, sigma=0.8, jitter=0.01)
    for j in range(3):
        K = by_hand(parameters[0][j], parameters[-1][j], X, 0.8, projection)
        expected = y @ np.linalg.solve(K + 0.01 * np.eye(9), y)
        assert values[j] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("projection", ["linear", "distance", "subspace"])
def test_gradient_is_that_of_differences(projection):
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((12, M)), rng.standard_normal(12)
    parameters = [rng.standard_normal(shape) for shape in shapes(projection)]
    options = {"projection": projection, "sigma": 1.2}

    def total():
        return kernel_objective(parameters, X, y, **options)[0].sum()

    _, gradients = kernel_objective(parameters, X, y, **options)
    largest = max(abs(g).max() for g in gradients)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        for place in np.ndindex(parameter.shape):
            old, h = parameter[place], 1e-5
            parameter[place] = old + h
            above = total()
            parameter[place] = old - h
            difference = (above - total()) / (2 * h)
            parameter[place] = old
            assert abs(gradient[place] - difference) < 1e-6 * largest


def test_a_direction_is_what_it_is_at_any_place_of_the_batch_of_modules():
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((20, M)), rng.standard_normal(20)
    U, V = rng.standard_normal((2, 5, M))
    values, gradients = kernel_objective([U, V], X, y)
    one, gradient = kernel_objective([U[3:4], V[3:4]], X, y)
    assert one[0] == pytest.approx(values[3], rel=1e-12)
    np.testing.assert_allclose(gradient[0][0], gradients[0][3], rtol=1e-9)


def test_steps_lower_the_objective():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((60, 3))
    y = np.sin(2 * X[:, 0])
    options = {"batch": 60, "learning_rate": 0.003, "seed": 4, "projection": "distance"}
    values = [
        kernel_objective(
            [kernel_rule(X, y, 4, iterations=steps, **options)], X, y, projection="distance"
        )[0].sum()
        for steps in (0, 20, 40)
    ]
    assert values[0] > values[1] > values[2]


def test_classes_of_parts():
    rng = np.random.default_rng(5)
    X, y = rng.standard_normal((40, 6)), rng.integers(0, 3, (40, 2))
    options = {"projection": "subspace", "bottleneck": 2, "batch": 20, "sigma": 3.0}
    first = kernel_rule(X, y, 4, iterations=0, **options)
    U = kernel_rule(X, y, 4, iterations=5, learning_rate=0.01, **options)
    assert U.shape == (4, 6, 2)
    assert abs(U - first).max() > 0


X, Y = np.random.default_rng(6).standard_normal((20, 3)), np.arange(20.0)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"jitter": 0.0}, "jitter = .* number in .0, inf"),
        ({"sigma": -1.0}, "sigma = .* number in .0, inf"),
        ({"batch": 21}, "batch = .* integer in .2, 20"),
        ({"projection": "cosine"}, "projection = .* is not one of"),
        ({"projection": "subspace", "bottleneck": 4}, "bottleneck = .* integer in .1, 3"),
        ({"n_modules": 0}, "n_modules = .* integer in .1, inf"),
        ({"y": np.ones(20)}, "y that differ"),
        ({"y": np.ones((20, 2))}, "or integers"),
    ],
)
def test_refused(options, text):
    call = {"y": Y, "n_modules": 2, "batch": 10, "iterations": 1} | options
    with pytest.raises(ValueError, match=text):
        kernel_rule(X, **call)
