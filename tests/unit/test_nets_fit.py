"""Fitting: exact least squares, gradients against differences, optimizers, the loop."""

import numpy as np
import pytest

from pympf.nets import (
    DSM,
    SGD,
    Adam,
    Cube,
    Hypercube,
    Layer,
    RMSProp,
    Rows,
    TopK,
    dense,
    descend,
    dsm,
    least_squares,
    loss_and_gradient,
)

from ..helpers import assert_close


@pytest.fixture
def problem(rng):
    X = rng.uniform(-1, 1, (300, 4))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.7


def random_rows(rng, n=120, active=5, width=30):
    units = np.sort(rng.permuted(np.tile(np.arange(width), (n, 1)), axis=1)[:, :active], axis=1)
    return Rows(rng.standard_normal((n, active)), units.astype(np.int32), width)


# ---- rows ----------------------------------------------------------------------------------------
def test_sparse_rows_multiply_like_full_ones(rng):
    rows = random_rows(rng)
    w, r = rng.standard_normal(30), rng.standard_normal(120)
    assert_close(rows @ w, rows.dense() @ w)
    assert_close(rows.back(r), rows.dense().T @ r)
    assert_close(rows.back(r) @ w, r @ (rows @ w))
    some = np.array([5, 3, 3])
    assert_close(rows.take(some).dense(), rows.dense()[some])
    assert_close(Rows(rows.dense()).csr().toarray(), rows.dense())


# ---- least squares -------------------------------------------------------------------------------
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("iterative", [False, True])
@pytest.mark.parametrize("blocks", [1, 3])
def test_least_squares_are_those_of_numpy(sparse, iterative, blocks, rng, monkeypatch):
    if iterative:
        monkeypatch.setattr("pympf.nets.lstsq.ITERATIVE", 1)
    rows = random_rows(rng, active=3) if sparse else Rows(rng.standard_normal((120, 30)))
    y = rng.standard_normal(120) + 5
    extended = np.hstack([rows.dense(), np.ones((120, 1))])
    expected = np.linalg.lstsq(extended, y, rcond=None)[0]
    cut = np.array_split(np.arange(120), blocks)
    weights, intercept = least_squares([(rows.take(part), y[part]) for part in cut])
    np.testing.assert_allclose([*weights, intercept], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("iterative", [False, True])
def test_ridge_is_relative_and_spares_the_intercept(iterative, rng, monkeypatch):
    if iterative:
        monkeypatch.setattr("pympf.nets.lstsq.ITERATIVE", 1)
    rows, y = random_rows(rng, active=3), rng.standard_normal(120) + 100
    phi = rows.dense()
    penalty = 0.3 * np.square(phi).sum() / 30
    centered = phi - phi.mean(axis=0)
    expected = np.linalg.solve(centered.T @ centered + penalty * np.eye(30), centered.T @ y)
    weights, intercept = least_squares([(rows, y)], ridge=0.3)
    np.testing.assert_allclose(weights, expected, rtol=1e-6, atol=1e-7)
    assert intercept == pytest.approx(float((y - phi @ expected).mean()), rel=1e-8)
    scaled = Rows(7 * rows.values, rows.indices, 30)
    np.testing.assert_allclose(
        7 * least_squares([(scaled, y)], ridge=0.3)[0], weights, rtol=1e-6, atol=1e-7
    )


def test_a_ridge_is_chosen_on_held_out_points(rng):
    phi = rng.standard_normal((200, 150))
    w = rng.standard_normal(150)
    for noise, best in ((1e-3, 1e-8), (100.0, 10.0)):
        y = phi @ w + noise * rng.standard_normal(200)
        chosen = least_squares([(Rows(phi), y)], ridge=[1e-8, 10.0])
        assert_close(chosen[0], least_squares([(Rows(phi), y)], ridge=best)[0])


@pytest.mark.parametrize("ridge", [1e-10, [1e-10, 1.0]])
def test_constant_targets_and_single_points(ridge):
    for n in (1, 2, 9):
        weights, intercept = least_squares([(Rows(np.zeros((n, 3))), np.full(n, 4.0))], ridge=ridge)
        assert weights.tolist() == [0, 0, 0]
        assert intercept == pytest.approx(4.0)


def test_exact_residuals_are_orthogonal_to_the_activations(problem):
    X, y = problem
    model = dsm(4, 8, 24, routing="topk_abs").fit(X, y)
    residual = model.predict(X) - y
    phi = model.rows(X).dense()
    assert abs(phi.T @ residual).max() < 1e-6 * np.linalg.norm(phi) * np.linalg.norm(y)
    assert abs(residual.sum()) < 1e-8 * len(y)


def test_more_units_of_the_same_layer_never_fit_worse(problem):
    """The first 16 units of a model are a model: its least error bounds that of all."""
    X, y = problem
    full = dense(4, 64, bias=True, seed=1)
    layer = full.layers[0]
    part = DSM(Layer(layer.projection[:16], layer.offset[:16]))
    errors = [np.square(m.fit(X, y).predict(X) - y).mean() for m in (part, full)]
    assert errors[1] < errors[0]


# ---- gradients -----------------------------------------------------------------------------------
def differences(loss, parameter, h=1e-6):
    """The gradient by central differences."""
    result = np.empty_like(parameter)
    for place in np.ndindex(parameter.shape):
        value = parameter[place]
        values = []
        for step in (h, -h):
            parameter[place] = value + step
            values.append(loss())
        parameter[place] = value
        result[place] = (values[0] - values[1]) / (2 * h)
    return result


def test_gradient_of_the_top_layer(rng):
    rows, y = random_rows(rng), rng.standard_normal(120)
    weights, intercept = rng.standard_normal(30), rng.standard_normal(1)
    _, gradients = loss_and_gradient(rows, y, weights, intercept)
    for parameter, gradient in zip((weights, intercept), gradients, strict=True):
        expected = differences(lambda: loss_and_gradient(rows, y, weights, intercept)[0], parameter)
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("activation", ["relu", "identity"])
def test_gradients_of_all_layers(activation, problem, rng):
    X, y = problem[0][:20], problem[1][:20]
    layers = [
        Layer.random(4, 7, bias=True, activation=activation, routing=TopK(4), seed=1),
        Layer.random(7, 6, bias=True, activation=activation, routing=TopK(3), seed=2),
    ]
    model = DSM(layers, rng.standard_normal(6), 0.3)
    parameters = [p for layer in layers for p in (layer.projection, layer.offset)]
    loss, gradients = model.loss_and_gradients(X, y)
    assert loss == pytest.approx(np.square(model.predict(X) - y).mean())

    def at():
        return model.loss_and_gradients(X, y)[0]

    for parameter, gradient in zip(
        [model.weights, *parameters], [gradients[0], *gradients[2:]], strict=True
    ):
        np.testing.assert_allclose(gradient, differences(at, parameter), rtol=1e-5, atol=1e-7)


# ---- optimizers ----------------------------------------------------------------------------------
def test_rmsprop_is_its_recursion(rng):
    w, v, optimizer = np.zeros(3), np.zeros(3), RMSProp(0.01, rho=0.8)
    expected = w.copy()
    for gradient in rng.standard_normal((20, 3)):
        optimizer.step([w], [gradient])
        v = 0.8 * v + 0.2 * gradient**2
        expected -= 0.01 * gradient / (np.sqrt(v) + 1e-7)
        assert_close(w, expected)


def test_adam_is_its_recursion(rng):
    w, m, v, optimizer = np.zeros(3), np.zeros(3), np.zeros(3), Adam(0.01)
    expected = w.copy()
    for t, gradient in enumerate(rng.standard_normal((20, 3)), 1):
        optimizer.step([w], [gradient])
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        corrected = np.sqrt(v / (1 - 0.999**t)) + 1e-7
        expected -= 0.01 * m / (1 - 0.9**t) / corrected
        assert_close(w, expected)


def test_steps_of_rmsprop_and_adam_do_not_see_the_scale_of_the_loss(rng):
    gradients = rng.standard_normal((10, 4))
    for make in (RMSProp, Adam):
        results = []
        for scale in (1.0, 1e3):
            w, optimizer = np.ones(4), make(0.01)
            for gradient in gradients:
                optimizer.step([w], [scale * gradient])
            results.append(w)
        np.testing.assert_allclose(*results, rtol=1e-6)


@pytest.mark.parametrize(("method", "rate"), [("sgd", 0.3), ("rmsprop", 1e-3), ("adam", 1e-2)])
def test_training_comes_near_least_squares(method, rate, problem):
    X, y = problem
    floor = np.square(dense(4, 32).fit(X, y).predict(X) - y).mean()
    model = dense(4, 32).fit(X, y, method, learning_rate=rate, epochs=300, seed=1)
    assert np.square(model.predict(X) - y).mean() < max(2 * floor, 0.02 * y.var())
    assert len(model.losses) == 300


def test_every_point_is_used_once_in_an_epoch():
    seen = []

    def gradient(which):
        seen.extend(which.tolist())
        return 1.0, [np.zeros(1)]

    told = []
    losses = descend(
        gradient,
        [np.zeros(1)],
        10,
        SGD(1.0),
        epochs=2,
        batch=4,
        progress=lambda epoch, loss: told.append((epoch, loss)),
    )
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]
    assert losses == [1.0, 1.0]
    assert told == [(1, 1.0), (2, 1.0)]


def test_training_repeats_itself(problem):
    X, y = problem
    one, same, other = (
        dsm(4, 8, 32).fit(X, y, "rmsprop", learning_rate=1e-3, epochs=2, seed=seed).weights
        for seed in (5, 5, 6)
    )
    assert (one == same).all()
    assert (one != other).any()


def test_training_all_layers_beats_the_top_alone():
    f, X = Hypercube(3, seed=2), Cube(3).sample(500)
    options = {"learning_rate": 1e-2, "epochs": 60}
    models = [
        DSM(Layer.random(3, 16, bias=True)).fit(X, f(X), "adam", layers=layers, **options)
        for layers in ("top", "all")
    ]
    errors = [np.square(model.predict(X) - f(X)).mean() for model in models]
    assert errors[1] < 0.5 * errors[0]
    assert errors[1] == pytest.approx(models[1].loss_and_gradients(X, f(X))[0])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: SGD(0.0), "learning_rate = .* number in .0, inf"),
        (lambda: RMSProp(rho=1.0), r"rho = 1.0 is not a number in \[0, 1\)"),
        (lambda: Adam(beta2=-0.1), r"beta2 = -0.1 is not a number in \[0, 1\)"),
        (lambda: dense(1, 2).fit([[1.0]], [1.0], "sgd", batch=0), "batch = .* integer in .1, inf"),
        (
            lambda: dense(1, 2).fit([[1.0]], [1.0], "sgd", epochs=-1),
            "epochs = .* integer in .0, inf",
        ),
        (lambda: dense(1, 2).fit([[1.0]], [1.0], "lstsq", layers="all"), "method with all layers"),
    ],
)
def test_refused(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_unknown_options_are_refused():
    with pytest.raises(TypeError, match="momentum"):
        dense(1, 2).fit([[1.0]], [1.0], "sgd", momentum=0.9)
