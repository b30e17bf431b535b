"""Models: gradients through projections and heads, initial projections, refused input."""

import numpy as np
import pytest

from pympf.nets import (
    MLP,
    Modular,
    Monolithic,
    SineWaves,
    compose,
    focus,
    kernel_rule,
    pursuit,
    random_similarity,
    screened,
    similarity,
)

MODELS = {
    "linear": lambda: Modular(3, 4, (6,)),
    "two numbers": lambda: Modular(3, 4, (6,), bottleneck=2),
    "distance": lambda: Modular(3, 4, (6, 5), projection="distance"),
    "shared": lambda: Modular(3, 4, (6, 5), bottleneck=2, shared=True),
    "classes": lambda: Modular(3, 4, (6, 5), bottleneck=2, shared=True, outputs=(2, 3)),
    "normalized": lambda: Modular(3, 4, (6, 5), normalize=True),
    "monolithic": lambda: Monolithic(3, (6, 5)),
    "monolithic classes": lambda: Monolithic(3, (6, 5), outputs=(2, 3)),
}


def in_float64(model):
    """The same model in double precision, so that differences tell."""
    for net in [model.net, *([model.head] if hasattr(model, "head") else [])]:
        net.dtype = np.dtype(np.float64)
        for name in ("weights", "biases", "scales", "offsets", "means", "variances"):
            setattr(net, name, [part.astype(np.float64) for part in getattr(net, name)])
    model.dtype = np.dtype(np.float64)
    if hasattr(model, "projections"):
        model.projections = model.projections.astype(np.float64)
        model._shift = 1.7 if model.projection == "distance" else 0.0
    return model


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_those_of_differences(name):
    rng, model = np.random.default_rng(0), in_float64(MODELS[name]())
    X = rng.standard_normal((9, 3))
    y = rng.integers(0, 3, (9, 2)) if isinstance(model.outputs, tuple) else rng.standard_normal(9)
    output, tape = model._forward(X)
    gradients = model._backward(tape, model._loss(output, y)[1])
    assert len(gradients) == len(model.parameters)
    for parameter, gradient in zip(model.parameters, gradients, strict=True):
        gradient = gradient.copy()
        for place in rng.integers(0, parameter.size, 4):
            flat, h = parameter.reshape(-1), 1e-6
            old = flat[place]
            flat[place] = old + h
            above = model._loss(model._forward(X)[0], y)[0]
            flat[place] = old - h
            difference = (above - model._loss(model._forward(X)[0], y)[0]) / (2 * h)
            flat[place] = old
            assert gradient.reshape(-1)[place] == pytest.approx(difference, rel=1e-4, abs=1e-7)


def test_modular_is_the_printed_sum():
    model = Modular(3, 4, (6,), seed=2)
    X = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)
    expected = np.zeros(5)
    for j, u in enumerate(model.projections):
        net = MLP([1, 6, 1])
        net.weights = [W[j : j + 1] for W in model.net.weights]
        net.biases = [b[j : j + 1] for b in model.net.biases]
        expected += net.predict((X @ u)[np.newaxis, :, np.newaxis])[0, :, 0]
    np.testing.assert_allclose(model.predict(X), expected / 2, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("scale", "level"), [(1.0, 0.0), (1e6, -4e6), (1e-6, 1.0)])
def test_size_of_the_values_does_not_matter(scale, level):
    f = SineWaves(2, seed=1)
    X = f.sample(500)
    plain = Modular(2, 4, seed=1).fit(X, f(X), steps=50).predict(X)
    other = Modular(2, 4, seed=1).fit(X, scale * f(X) + level, steps=50).predict(X)
    np.testing.assert_allclose((other - level) / scale, plain, atol=2e-2)


def test_initial_projections():
    f = SineWaves(3, seed=1)
    X = f.sample(1000)
    y = f(X)
    fixed = {"steps": 0, "seed": 5}
    given = Modular(3, 5).fit(X, y, init=2 * f.directions, **fixed).projections
    np.testing.assert_allclose(given, f.directions[[0, 1, 2, 0, 1]], rtol=1e-6)
    options = {"n_starts": 500, "n_directions": 2}
    found = pursuit(X, y, seed=5, **options).directions
    by_pursuit = Modular(3, 4).fit(X, y, init="pursuit", init_options=options, **fixed)
    np.testing.assert_allclose(by_pursuit.projections, found[[0, 1, 0, 1]], rtol=1e-5, atol=1e-6)
    rule = kernel_rule(X, (y - y.mean()) / y.std(), 4, iterations=3, seed=5)
    by_rule = Modular(3, 4).fit(X, y, init="kernel", init_options={"iterations": 3}, **fixed)
    assert similarity(by_rule.projections, rule) > 0.999


def test_fixed_projections_stay():
    f = SineWaves(3, seed=1)
    X = f.sample(300)
    model = Modular(3, 3, train_projections=False).fit(X, f(X), init=f.directions, steps=30)
    np.testing.assert_allclose(model.projections, f.directions, rtol=1e-6)


def test_screened_modules_see_one_image_each():
    rng = np.random.default_rng(0)
    classes = rng.standard_normal((4, 16))
    labels = rng.integers(0, 4, 400)
    images = classes[labels] + rng.standard_normal((400, 16))
    X, y = compose(images, labels, 3, 3000)
    U = screened(X, y, 6, 8)
    assert U.shape == (6, 48, 8)
    assert focus(U, 3) > 0.95
    seen = np.square(U.reshape(6, 3, -1)).sum(axis=2).argmax(axis=1)
    assert (seen == [0, 1, 2, 0, 1, 2]).all()
    model = Modular(48, 6, (32, 16), bottleneck=8, shared=True, outputs=(3, 4))
    model.fit(X, y, init="screened", steps=300, learning_rate=3e-3)
    X_test, y_test = compose(images, labels, 3, 500, seed=1)
    assert (model.predict(X_test) == y_test).mean() > 0.9


def test_similarity_and_focus_have_their_limits():
    V = SineWaves(5, seed=1).directions
    assert similarity(-3 * V, V) == pytest.approx(1)
    assert 0.4 < random_similarity(V) < 0.9
    assert focus(np.ones((2, 6, 3)), 3) == pytest.approx(1 / 3)


X, Y = np.random.default_rng(1).standard_normal((30, 3)), np.arange(30.0)
LABELS = np.arange(60).reshape(30, 2) % 3


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: Modular(3, 2, bottleneck=4), "bottleneck = .* integer in .1, 3"),
        (
            lambda: Modular(3, 2, bottleneck=2, projection="distance"),
            "bottleneck = .* integer in .1, 1",
        ),
        (lambda: Modular(3, 0), "n_modules = .* integer in .1, inf"),
        (lambda: Modular(3, 2, projection="cosine"), "projection = .* is not one of"),
        (lambda: Modular(3, 2, shared=True, projection="distance"), "linear projections"),
        (lambda: Modular(3, 2, outputs=(2, 3)), "shared=True"),
        (lambda: Modular(3, 2).fit(X, Y, init="best"), "init = .* is not one of"),
        (lambda: Modular(3, 2).fit(X, Y, init=np.ones((2, 4))), "projections of shape"),
        (lambda: Modular(3, 2).fit(X, np.ones(30)), "y that differ"),
        (lambda: Modular(3, 2).fit(X[:1], Y[:1]), "at least 2 points"),
        (lambda: Monolithic(3).fit(X, Y[:-1]), "y: expected shape"),
        (lambda: Monolithic(3, outputs=(2, 3)).fit(X, LABELS + 1), "classes below 3"),
        (lambda: Monolithic(3, outputs=(3, 3)).fit(X, LABELS), r"shape \(30, 3\)"),
        (lambda: Monolithic(3, outputs=(2, 3)).fit(X, LABELS - 1), "classes from 0"),
        (lambda: screened(X, LABELS[:-1], 2, 2), "integers of shape"),
        (lambda: focus(np.ones((2, 5)), 2), "multiple of 2"),
    ],
)
def test_refused(call, text):
    with pytest.raises(ValueError, match=text):
        call()
