"""Transfer by patches, chapter 4 of the thesis in small, on generated images and digits.

The figures at full size are in bench/cases/patches.py.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

from pympf.nets.patches import Scenes, digits, residual_network, transfer

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def detector():
    """A network that has learned where in a scene a shape is: a task of another kind."""
    X, labels = Scenes(16, classes=5).sample(2500)
    net = residual_network((3, 16, 16), 20)
    return net.fit(scaled(X), labels["detection"], learning_rate=5e-3, epochs=6)


def scaled(X):
    return (X - 0.47) / 0.25


@pytest.fixture(scope="module")
def images():
    found = digits(size=16, channels=3)
    return scaled(found.X_train), found.y_train, scaled(found.X_test), found.y_test


def accuracy(net, images, train, rate, epochs=6):
    """Of a new patch on the test images, in per cent."""
    X, y, X_test, y_test = images
    epochs = 30 if train.endswith("last") and "-" not in train else epochs
    done = transfer(net, X, y, train, learning_rate=rate, epochs=epochs, batch=32)
    found = 100 * net.score(X_test, y_test)
    net.set_patch(None)
    net.delete_patch(done.name)
    return found


def test_table_42_and_43_order(detector, images):
    """Last layer < S/B + last < all, from another kind of task; S/B with a random last is near."""
    last = max(accuracy(detector, images, "last", rate) for rate in (0.1, 0.3))
    patch = accuracy(detector, images, "scale-bias+last", 0.02)
    alone = accuracy(detector, images, "scale-bias", 0.03)
    everything = accuracy(detector, images, "all", 0.005)
    assert patch > last + 3
    assert everything > patch - 1
    assert alone > last - 3


def test_table_43_random_weights(images):
    """Scales and biases of a random network do far more than its last layer."""
    net = residual_network((3, 16, 16), 10, seed=1)
    last = max(accuracy(net, images, "statistics+last", rate) for rate in (0.1, 0.3))
    assert accuracy(net, images, "scale-bias+last", 0.03) > last + 5


def test_figure_45_patches_want_large_rates(detector, images):
    """S/B alone rises with the rate; at the small ones the whole network is far ahead."""
    rates = (0.001, 0.01, 0.03)
    patch = [accuracy(detector, images, "scale-bias", rate, 3) for rate in rates]
    assert patch[0] + 10 < patch[1] < patch[2]
    everything = [accuracy(detector, images, "all", rate, 3) for rate in rates[:2]]
    assert everything[0] > patch[0] + 20
    assert everything[1] - everything[0] < patch[1] - patch[0]


def test_a_random_last_layer_limits_the_patch():
    """With more classes than features, S/B alone fails where S/B + last does not."""
    rng = np.random.default_rng(0)
    kinds, y = rng.standard_normal((40, 1, 8, 8)), np.tile(np.arange(40), 20)
    X = kinds[y] + 0.3 * rng.standard_normal((800, 1, 8, 8))
    net = residual_network((1, 8, 8), 2, [(1, 8, 1), (2, 8, 1)], stem=8, head=8)
    scores = {}
    for train in ("scale-bias", "scale-bias+last"):
        transfer(net, X, y, train, learning_rate=0.03, epochs=15, batch=32)
        scores[train] = net.score(X, y)
    assert scores["scale-bias"] < 0.6 * scores["scale-bias+last"]


def test_gradients_are_those_of_pytorch(monkeypatch):
    """Within 1e-5 of the largest; measured 3e-15 in float64, 1e-6 in float32 and small batches."""
    pytest.importorskip("torch")
    if not BENCH.is_dir():
        pytest.skip("a source tree without benchmarks")
    monkeypatch.syspath_prepend(BENCH)
    from cases import patches_speed

    rng = np.random.default_rng(0)
    net = residual_network((3, 16, 16), 10)
    X, y = rng.standard_normal((8, 3, 16, 16), np.float32), rng.integers(0, 10, 8)
    assert patches_speed.difference(net, X, y) < 1e-12
    images = np.ascontiguousarray(X.transpose(1, 0, 2, 3))
    assert patches_speed.Twin(net, X, y).difference(net.gradient(images, y)[1]) < 1e-5
    sys.modules.pop("cases.patches_speed")
