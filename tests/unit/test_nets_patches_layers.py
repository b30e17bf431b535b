"""Layers of images: against plain loops, gradients against central differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from pympf.nets.patches import (
    BatchNorm,
    Chain,
    Convolution,
    Depthwise,
    GlobalMean,
    Linear,
    Pass,
    Pointwise,
    ReLU6,
    residual_network,
)

ALL = ("scale-bias", "depthwise", "pointwise", "last")


def convolved(x, weights, stride):
    """A 3 × 3 convolution (outputs, inputs, 3, 3) by loops, with zeros around the image."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = (-(-side // stride) for side in x.shape[2:])
    y = np.zeros((len(weights), x.shape[1], height, width))
    for i in range(height):
        for j in range(width):
            patch = padded[:, :, i * stride : i * stride + 3, j * stride : j * stride + 3]
            y[:, :, i, j] = np.einsum("cnab,ocab->on", patch, weights)
    return y


SIZES = {"n": st.integers(1, 3), "height": st.integers(1, 11), "width": st.integers(1, 11)}


@given(**SIZES, stride=st.integers(1, 3), channels=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_convolutions_are_those_of_the_loops(n, height, width, stride, channels):
    rng = np.random.default_rng(n + height * width)
    x = rng.standard_normal((channels, n, height, width))
    layer = Convolution(channels, 4, stride, rng=rng, dtype=np.float64)
    y, tape = layer.forward(x.copy())
    assert tape is None
    assert_allclose(y, convolved(x, layer.parameters["weights"], stride), atol=1e-12)
    layer = Depthwise(channels, stride, rng=rng, dtype=np.float64)
    full = np.zeros((channels, channels, 3, 3))
    full[np.arange(channels), np.arange(channels)] = layer.parameters["weights"]
    assert_allclose(layer.forward(x.copy())[0], convolved(x, full, stride), atol=1e-12)


def differences(f, x, places, h=1e-6):
    """Central differences of f by some entries of x, in place."""
    flat, found = x.reshape(-1), []
    for i in places:
        kept = flat[i]
        flat[i] = kept + h
        above = f()
        flat[i] = kept - h
        found.append((above - f()) / (2 * h))
        flat[i] = kept
    return np.array(found)


LAYERS = {
    "convolution": lambda rng: Convolution(3, 4, 2, True, rng=rng, dtype=np.float64),
    "pointwise": lambda rng: Pointwise(3, 4, True, rng=rng, dtype=np.float64),
    "depthwise": lambda rng: Depthwise(3, 1, True, rng=rng, dtype=np.float64),
    "strided": lambda rng: Depthwise(3, 2, rng=rng, dtype=np.float64),
    "norm": lambda rng: BatchNorm(3, dtype=np.float64),
    "relu6": lambda rng: ReLU6(dtype=np.float64),
    "mean": lambda rng: GlobalMean(dtype=np.float64),
}


@pytest.mark.parametrize("shape", [(3, 4, 6, 7), (3, 3, 11, 9), (3, 4, 1, 1)])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("statistics", ["batch", "frozen"])
def test_gradients_of_a_layer_are_differences(name, shape, statistics):
    rng = np.random.default_rng(1)
    layer, x = LAYERS[name](rng), 2 * rng.standard_normal(shape)
    for array in layer.parameters.values():
        array += rng.normal(0, 0.3, array.shape)
    run = Pass(frozenset(ALL), statistics)
    y, tape = layer.forward(x.copy(), run, below=True)
    slope = rng.standard_normal(y.shape)
    gradients, by_input = layer.backward(tape, slope.copy(), run, below=True)

    def f():
        return float((layer.forward(x.copy(), run)[0] * slope).sum())

    places = rng.integers(0, x.size, 6)
    assert_allclose(by_input.reshape(-1)[places], differences(f, x, places), atol=1e-5)
    assert {key.rpartition(".")[2] for key in gradients} == set(layer.parameters)
    for key, array in layer.parameters.items():
        places = rng.integers(0, array.size, 5)
        found = gradients[f"{layer.name}.{key}"].reshape(-1)[places]
        assert_allclose(found, differences(f, array, places), atol=1e-5)


SMALL = [(1, 4, 1), (2, 4, 1), (2, 6, 2), (2, 6, 1)]


@pytest.mark.parametrize("statistics", ["batch", "frozen"])
@pytest.mark.parametrize("shape", [(2, 7, 5), (2, 12, 11), (4, 1, 1)])
def test_gradients_of_a_network_are_differences(shape, statistics):
    """Within 1e-5 of the largest one, for every group alone as well as together."""
    rng = np.random.default_rng(2)
    options = {"stem": 4, "stem_stride": 1, "head": 8, "dtype": np.float64, "seed": 1}
    net = residual_network(shape, 3, SMALL, **options)
    for array in net.parameters("scale-bias").values():
        array += rng.normal(0, 0.3, array.shape)
    images, y = rng.standard_normal((shape[0], 6, *shape[1:])), rng.integers(0, 3, 6)
    kept = {name: array.copy() for name, array in net.statistics().items()}

    def f():
        for name, array in net.statistics().items():
            array[...] = kept[name]
        return net.gradient(images, y, statistics=statistics)[0]

    _, gradients = net.gradient(images, y, statistics=statistics)
    largest = max(abs(g).max() for g in gradients.values())
    for name, array in net.parameters().items():
        places = rng.integers(0, array.size, 3)
        found = gradients[name].reshape(-1)[places]
        assert_allclose(found, differences(f, array, places), atol=1e-5 * largest)
    for group in ALL:
        f()  # statistics as before
        _, alone = net.gradient(images, y, group, statistics=statistics)
        assert list(alone) == list(net.parameters(group))
        for name, g in alone.items():
            assert_allclose(g, gradients[name], atol=1e-12)


def test_nothing_is_kept_below_the_lowest_layer_that_learns():
    net = residual_network((3, 16, 16), 10)
    x = np.random.default_rng(0).standard_normal((3, 4, 16, 16), np.float32)

    def kept(tape):
        if isinstance(tape, np.ndarray):
            return [tape]
        if isinstance(tape, list | tuple):
            return [array for part in tape for array in kept(part)]
        return []

    def sizes(*groups):
        tape = net._chain.forward(x.copy(), Pass(frozenset(groups), "frozen"))[1]
        return sum(array.size for array in kept(tape))

    assert sizes() == 0
    assert sizes("last") == 4 * 128
    assert sizes("depthwise") < sizes("depthwise", "pointwise") <= sizes(*ALL)
    # The 3 × 3 convolution at the bottom would keep nine times the image.
    first = net._chain.forward(x.copy(), Pass(frozenset(["depthwise"]), "frozen"))[1][0][1]
    assert first is None


def test_three_words_for_statistics():
    rng = np.random.default_rng(0)
    x = 3 + 2 * rng.standard_normal((2, 8, 4, 4))
    layer = BatchNorm(2, dtype=np.float64)
    before = {key: array.copy() for key, array in layer.statistics.items()}
    y, _ = layer.forward(x.copy(), Pass(statistics="frozen"))
    assert_allclose(y, x / np.sqrt(1.001))
    for key, array in layer.statistics.items():
        assert_array_equal(array, before[key])
    y, _ = layer.forward(x.copy(), Pass(statistics="batch"))
    mean, variance = x.mean(axis=(1, 2, 3)), x.var(axis=(1, 2, 3))
    expected = (x - mean[:, None, None, None]) / np.sqrt(variance + 1e-3)[:, None, None, None]
    assert_allclose(y, expected, atol=1e-12)
    assert_allclose(layer.statistics["mean"], 0.1 * mean)
    assert_allclose(layer.statistics["variance"], 0.9 + 0.1 * variance)
    y, _ = layer.forward(x.copy(), Pass(statistics="running"))
    running, spread = 0.19 * mean, 0.81 + 0.19 * variance
    assert_allclose(layer.statistics["mean"], running)
    expected = (x - running[:, None, None, None]) / np.sqrt(spread + 1e-3)[:, None, None, None]
    assert_allclose(y, expected, atol=1e-12)


def test_running_statistics_are_constants_of_the_gradient():
    """The gradient is the one by the same statistics, frozen."""
    rng = np.random.default_rng(0)
    images, y = rng.standard_normal((3, 8, 16, 16)), rng.integers(0, 10, 8)
    net = residual_network((3, 16, 16), 10, dtype=np.float64)
    loss, running = net.gradient(images, y, statistics="running")
    again, frozen = net.gradient(images, y, statistics="frozen")
    assert loss == pytest.approx(again, rel=1e-12)
    for name, g in frozen.items():
        assert_allclose(running[name], g, atol=1e-10)


def test_large_means_do_not_spoil_the_variance():
    x = (1e3 + np.random.default_rng(0).standard_normal((1, 16, 8, 8))).astype(np.float32)
    layer = BatchNorm(1)
    layer.forward(x.copy(), Pass(statistics="batch", momentum=1.0))
    assert layer.statistics["variance"][0] == pytest.approx(x.astype(float).var(), rel=1e-3)


def test_layers_in_float32_follow_those_in_float64():
    rng = np.random.default_rng(3)
    images, y = rng.standard_normal((3, 8, 16, 16)), rng.integers(0, 10, 8)
    exact = residual_network((3, 16, 16), 10, dtype=np.float64)
    rough = residual_network((3, 16, 16), 10)
    loss, gradients = exact.gradient(images, y)
    loss32, gradients32 = rough.gradient(images.astype(np.float32), y)
    assert loss32 == pytest.approx(loss, rel=1e-5)
    largest = max(abs(g).max() for g in gradients.values())
    for name, g in gradients.items():
        assert gradients32[name].dtype == np.float32
        assert_allclose(gradients32[name], g, atol=1e-4 * largest)


def test_a_chain_names_its_gradients():
    a, b = Pointwise(2, 3), Linear(3, 2)
    a.name, b.name = "a", "b"
    chain = Chain([a, GlobalMean(), b])
    run = Pass(frozenset(ALL))
    y, tape = chain.forward(np.ones((2, 4, 3, 3), np.float32), run)
    gradients, by_input = chain.backward(tape, np.ones_like(y), run)
    assert set(gradients) == {"a.weights", "b.weights", "b.bias"}
    assert by_input is None
