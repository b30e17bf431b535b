"""Networks: counts, folding, training, statistics, files, bad input."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from pympf.nets import SGD, Exponential
from pympf.nets.patches import Network, mobilenet_v2, residual_network
from pympf.nets.train import descend, scheduled

SHAPE = (2, 8, 8)
BLOCKS = [(1, 4, 1), (2, 4, 1), (2, 6, 2), (2, 6, 1)]


def small(n_classes=3, seed=0, dtype=np.float32):
    return residual_network(SHAPE, n_classes, BLOCKS, stem=4, head=16, dtype=dtype, seed=seed)


def task(n=60, n_classes=3, seed=0):
    """Images whose class is where the bright part is."""
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n, *SHAPE)).astype(np.float32), rng.integers(0, n_classes, n)
    for image, label in zip(X, y, strict=True):
        image[:, 2 * label : 2 * label + 2] += 3
    return X, y


def test_mobilenet_v2_has_its_parameters():
    net = mobilenet_v2()
    counts = net.count()
    assert counts["all"] == 3_504_872
    assert counts["scale-bias"] == 34_112
    assert counts["depthwise"] == 64_224
    assert counts["last"] == 1_281_000
    cost = net.cost()  # 300 million products and sums in the literature
    assert cost.parameters == 3_504_872
    assert 2 * 300e6 < cost.flops < 2 * 320e6
    assert mobilenet_v2((3, 96, 96), 10, 0.35).count()["all"] < 500_000


def test_the_default_network_has_39_370_parameters():
    counts = residual_network((3, 16, 16), 10).count()
    assert counts == {
        "scale-bias": 2272,
        "depthwise": 3888,
        "pointwise": 31_920,
        "last": 1290,
        "all": 39_370,
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_folding_keeps_the_outputs(dtype):
    X, y = task()
    net = small(dtype=dtype).fit(X, y, epochs=2, batch=16)
    folded = net.fold()
    expected = net.decision_function(X)
    scale = abs(expected).max()
    assert_allclose(folded.decision_function(X), expected, atol=1e-5 * scale)
    assert len(folded.layers) < len(net.layers)
    assert not [layer for layer in folded.layers if layer.kind == "norm"]
    assert_array_equal(folded.fold().decision_function(X), folded.decision_function(X))
    assert folded.cost().flops < net.cost().flops
    folded.fit(X, y, groups="pointwise", epochs=1)  # and can be trained
    with pytest.raises(ValueError, match="folded network has no scale-bias"):
        folded.fit(X, y, groups="scale-bias")


def test_training_learns_and_is_repeatable():
    X, y = task(200)
    a, b = (small().fit(X, y, epochs=6, batch=16, learning_rate=0.01) for _ in range(2))
    assert a.score(X, y) > 0.9
    assert a.losses == b.losses
    assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    assert_allclose(a.predict_proba(X).sum(axis=1), 1, rtol=1e-5)
    assert_allclose(a.decision_function(X, batch=7), a.decision_function(X), atol=1e-4)


@pytest.mark.parametrize("group", ["scale-bias", "depthwise", "pointwise", "last"])
def test_only_the_group_that_learns_changes(group):
    X, y = task()
    net = small()
    before = {name: array.copy() for name, array in net.parameters().items()}
    net.fit(X, y, groups=group, epochs=1, batch=16)
    mine = net.parameters(group)
    for name, array in net.parameters().items():
        changed = bool((array != before[name]).any())
        assert changed == (name in mine), name


def test_the_last_layer_alone_trains_on_cached_features():
    """The same steps as without the cache, and one forward pass in all."""
    X, y = task()
    cached, plain = small(), small()
    counted = []
    features = cached._features
    cached._features = lambda images: counted.append(1) or features(images)
    cached.fit(X, y, groups="last", epochs=3, batch=16)
    plain.fit(X, y, groups="last", epochs=3, batch=16, augment=lambda images, rng: images)
    assert counted == [1]
    for name, array in cached.parameters("last").items():
        assert_allclose(array, plain.parameters("last")[name], atol=1e-4)


def test_statistics_change_when_they_are_to():
    X, y = task()
    for groups, statistics, changes in (
        ("last", None, False),
        ("scale-bias", None, True),
        (("scale-bias", "last"), "frozen", False),
        ("last", "running", True),
        ("last", "batch", True),
    ):
        net = small()
        before = {name: array.copy() for name, array in net.statistics().items()}
        net.fit(X, y, groups=groups, statistics=statistics, epochs=1, batch=16)
        changed = any((a != before[name]).any() for name, a in net.statistics().items())
        assert changed == changes, (groups, statistics)
        before = {name: array.copy() for name, array in net.statistics().items()}
        net.predict(X)
        net.score(X, y)
        net.features(X)
        net.fold()
        for name, array in net.statistics().items():
            assert_array_equal(array, before[name])


def test_recomputed_statistics_are_means_over_the_batches():
    X, _ = task(40)
    net = small(dtype=np.float64)
    net.recompute_statistics(X, batch=40)
    stem = net.layers[0].forward(X.astype(float).transpose(1, 0, 2, 3))[0].reshape(4, -1)
    assert_allclose(net.statistics()["01.norm.mean"], stem.mean(axis=1), atol=1e-6)
    assert_allclose(net.statistics()["01.norm.variance"], stem.var(axis=1), rtol=1e-5)
    net.recompute_statistics(X, batch=17)  # the first layer's mean does not depend on the batches
    assert_allclose(net.statistics()["01.norm.mean"], stem.mean(axis=1), atol=1e-6)


def test_a_rest_of_one_image_is_left_out():
    X, y = task(33)
    net = small().fit(X, y, epochs=1, batch=16)
    assert np.isfinite(net.decision_function(X)).all()


def test_schedules():
    rates = []

    class Recorder(SGD):
        def step(self, parameters, gradients):
            rates.append(self.learning_rate)

    rule = scheduled(Recorder(1.0), 20, "exponential", batch=10, epochs=10, every=2.5, decay=0.5)
    descend(lambda which: (0.0, []), [], 20, rule, epochs=10, batch=10)
    assert_allclose(rates, np.repeat([1, 0.5, 0.25, 0.125], 5))
    rates.clear()
    descend(lambda w: (0.0, []), [], 20, scheduled(Recorder(1.0), 20, "constant"), epochs=3)
    assert rates == [1.0] * 3
    with pytest.raises(ValueError, match="cosine, exponential, constant"):
        scheduled(SGD(), 20, "linear")
    with pytest.raises(ValueError, match="decay"):
        Exponential(SGD(), 5, 1.5)


def test_least_leaves_out_the_rest():
    seen = []
    descend(lambda which: (seen.append(len(which)) or 1.0, []), [], 9, SGD(), epochs=1, batch=4)
    assert seen == [4, 4, 1]
    seen.clear()
    options = {"epochs": 1, "batch": 4, "least": 2}
    losses = descend(lambda which: (seen.append(len(which)) or 1.0, []), [], 9, SGD(), **options)
    assert seen == [4, 4]
    assert losses == [1.0]


@pytest.mark.parametrize("method", ["adam", "rmsprop", "sgd"])
def test_optimizers_of_train_py(method):
    X, y = task()
    rate = {"adam": 0.01, "rmsprop": 0.01, "sgd": 0.1}[method]
    net = small().fit(X, y, method, learning_rate=rate, epochs=4, batch=16, schedule="exponential")
    assert net.losses[-1] < net.losses[0]


def test_networks_come_back_from_files(tmp_path):
    X, y = task()
    for dtype in (np.float32, np.float64):
        net = small(dtype=dtype).fit(X, y, epochs=1)
        net.save(tmp_path / "net.h5")
        again = Network.load(tmp_path / "net.h5")
        assert again.dtype == dtype
        assert again.checksum() == net.checksum()
        assert_array_equal(again.decision_function(X), net.decision_function(X))
        net.fold().save(tmp_path / "folded.h5")
        again = Network.load(tmp_path / "folded.h5")
        assert_array_equal(again.decision_function(X), net.fold().decision_function(X))
    (tmp_path / "damaged.h5").write_bytes((tmp_path / "net.h5").read_bytes()[:-1000])
    with pytest.raises(OSError, match=r"damaged\.h5"):
        Network.load(tmp_path / "damaged.h5")
    with pytest.raises(FileNotFoundError):
        Network.load(tmp_path / "none.h5")


def test_bound_arrays_are_the_ones_that_work():
    net, X = small(), task()[0]
    mine = {name: np.zeros_like(array) for name, array in net.parameters("last").items()}
    net.bind(mine)
    assert_array_equal(net.decision_function(X), 0)
    mine["last.bias"][1] = 1
    assert_array_equal(net.predict(X), 1)
    with pytest.raises(ValueError, match="names of arrays"):
        net.bind({"last.nothing": np.zeros(1)})
    with pytest.raises(ValueError, match="shape"):
        net.bind({"01.norm.bias": np.zeros(5, np.float32)})
    with pytest.raises(ValueError, match="float32"):
        net.bind({"01.norm.bias": np.zeros(4)})


# ---- bad input -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda X, y: (X[0], y), ValueError, r"\(n >= 1, 2, 8, 8\)"),
        (lambda X, y: (X[:, :, :7], y), ValueError, r"2, 8, 8\).*, 2, 7, 8\)"),
        (lambda X, y: (X[:, :1], y), ValueError, r", 1, 8, 8\)"),
        (lambda X, y: (X[:0], y[:0]), ValueError, "n >= 1"),
        (lambda X, y: (X.astype(complex), y), TypeError, "complex"),
        (lambda X, y: (X.astype(str), y), TypeError, "real numbers"),
        (lambda X, y: (np.where(X > 1, np.nan, X), y), ValueError, "got nan"),
        (lambda X, y: (X, y[:-1]), ValueError, "60 images"),
        (lambda X, y: (X, y + 1), ValueError, "from 0 to 2, got 1 to 3"),
        (lambda X, y: (X, y - 1), ValueError, "from 0 to 2"),
        (lambda X, y: (X, y + 0.5), TypeError, "integer"),
    ],
)
def test_bad_images_and_labels(change, error, text):
    X, y = change(*task())
    with pytest.raises(error, match=text):
        small().fit(X, y)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"groups": "everything"}, ValueError, "scale-bias, depthwise, pointwise, last"),
        ({"groups": []}, ValueError, "got none"),
        ({"statistics": "mean"}, ValueError, "batch, running, frozen"),
        ({"batch": 1}, ValueError, "at least 2 images.*variance"),
        ({"method": "lbfgs"}, ValueError, "adam, rmsprop, sgd"),
        ({"schedule": "none"}, ValueError, "cosine"),
        ({"epochs": -1}, ValueError, "epochs"),
        ({"batch": 0}, ValueError, "batch = 0 is not an integer"),
        ({"batch": 1.5}, TypeError, "batch = 1.5 is not an integer"),
        ({"learning_rat": 0.1}, TypeError, "unknown parameter.*did you mean learning_rate"),
        ({"learning_rate": 0}, ValueError, "learning_rate"),
    ],
)
def test_bad_choices(options, error, text):
    with pytest.raises(error, match=text):
        small().fit(*task(), **options)


def test_one_image_is_enough_without_its_statistics():
    X, y = task(1)
    with pytest.raises(ValueError, match="at least 2"):
        small().fit(X, y)
    with pytest.raises(ValueError, match="at least 2"):
        small().recompute_statistics(X)
    small().fit(X, y, statistics="frozen", epochs=1)
    small().fit(X, y, groups="last", epochs=1)


def test_bad_architectures():
    with pytest.raises(ValueError, match="channels, height, width"):
        residual_network((8, 8), 3)
    with pytest.raises(ValueError, match="n_classes"):
        residual_network(SHAPE, 0)
    with pytest.raises(ValueError, match="kind of layer"):
        Network(SHAPE, [("pooling", 2)])
    with pytest.raises(ValueError, match="dtype"):
        residual_network(SHAPE, 3, dtype=np.float16)


@pytest.mark.parametrize("width", [0, -1, np.nan])
def test_bad_widths(width):
    with pytest.raises(ValueError, match=r"width = .* is not a number in .0, inf"):
        mobilenet_v2((3, 32, 32), 10, width)
