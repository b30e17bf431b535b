"""Batches of networks: gradients against differences, the same as a loop over networks."""

import numpy as np
import pytest

from pympf.nets import MLP
from pympf.nets.modular import mlp


def loss(net, x, weights):
    return float((net.forward(x)[0] * weights).sum())


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("inputs", [1, 4])
def test_gradients_are_those_of_differences(normalize, copies, inputs):
    rng = np.random.default_rng(1)
    net = MLP([inputs, 6, 5, 2], copies=copies, normalize=normalize, dtype=np.float64)
    x, weights = rng.standard_normal((3, 7, inputs)), rng.standard_normal((3, 7, 2))
    _, tape = net.forward(x)
    gradients, by_input = net.backward(tape, weights)
    for parameter, gradient in zip([*net.parameters, x], [*gradients, by_input], strict=True):
        for place in rng.integers(0, parameter.size, 5):
            flat = parameter.reshape(-1)
            old, h = flat[place], 1e-6
            flat[place] = old + h
            above = loss(net, x, weights)
            flat[place] = old - h
            below = loss(net, x, weights)
            flat[place] = old
            difference = (above - below) / (2 * h)
            assert gradient.reshape(-1)[place] == pytest.approx(difference, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("normalize", [False, True])
def test_a_batch_is_a_loop_over_networks(normalize, monkeypatch):
    rng = np.random.default_rng(2)
    x, slope = rng.standard_normal((2, 5, 9, 3)).astype(np.float32)
    slope = slope[:, :, :1]
    net = MLP([3, 8, 1], copies=5, normalize=normalize)
    whole, tape = net.forward(x)
    gradients, by_input = net.backward(tape, slope)
    gradients = [gradient.copy() for gradient in gradients]
    monkeypatch.setattr(mlp, "CACHE", 1)  # one network at a time
    again, tape = net.forward(x)
    assert len(tape) == 5
    np.testing.assert_allclose(again, whole, rtol=1e-6)
    parts, input_part = net.backward(tape, slope)
    for one, other in zip([*gradients, by_input], [*parts, input_part], strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)


def test_one_network_for_all_inputs_adds_their_gradients_up():
    x = np.random.default_rng(3).standard_normal((4, 6, 2))
    net = MLP([2, 5, 1], dtype=np.float64)
    output, tape = net.forward(x)
    gradients = [g.copy() for g in net.backward(tape, np.ones_like(output))[0]]
    total = [np.zeros_like(g) for g in gradients]
    for part in x:
        out, tape = net.forward(part[np.newaxis])
        for sum_, gradient in zip(total, net.backward(tape, np.ones_like(out))[0], strict=True):
            sum_ += gradient
    for one, other in zip(gradients, total, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_kinks_of_scalar_inputs_are_spread():
    net = MLP([1, 64, 1], copies=10, spread=2.0)
    kinks = -net.biases[0] / net.weights[0]
    assert abs(kinks).max() <= 2.0001
    assert kinks.std() == pytest.approx(2 / np.sqrt(3), rel=0.1)


def test_normalized_units_have_mean_zero_and_variance_one():
    net = MLP([3, 4, 1], normalize=True, dtype=np.float64)
    x = np.random.default_rng(4).standard_normal((1, 500, 3)) + 5
    _, tape = net.forward(x)
    z = tape[0].normalized[0][0]
    np.testing.assert_allclose(z.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(z.var(axis=1), 1, rtol=1e-4)
    for _ in range(300):
        output, _ = net.forward(x)
    np.testing.assert_allclose(net.predict(x), output, rtol=1e-8)  # the running means have come


@pytest.mark.parametrize("initialization", ["he", "torch"])
def test_initialization_keeps_the_size(initialization):
    net = MLP([200, 200, 200, 1], copies=3, initialization=initialization, seed=3)
    bound = {"he": np.sqrt(2), "torch": 1 / np.sqrt(3)}[initialization] / np.sqrt(200)
    assert net.weights[1].std() == pytest.approx(bound, rel=0.02)
    assert net.biases[1].min() >= -1 / np.sqrt(200)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: MLP([3]), "at least two sizes"),
        (lambda: MLP([3, 0]), "sizes = .* integer in .1, inf"),
        (lambda: MLP([3, 1], copies=0), "copies = .* integer in .1, inf"),
        (lambda: MLP([3, 1], initialization="zero"), "initialization = .* is not one of he, torch"),
        (lambda: MLP([3, 1], dtype=np.int32), "dtype = .* is not one of"),
        (lambda: MLP([3, 1], copies=2).predict(np.zeros((3, 5, 3))), r"shape \(2, n, 3\)"),
        (lambda: MLP([3, 1]).predict(np.zeros((3, 5, 2))), r"shape \(K, n, 3\)"),
    ],
)
def test_refused(call, text):
    with pytest.raises(ValueError, match=text):
        call()
