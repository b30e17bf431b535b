"""Chapter 4 of the thesis as numbers: folding, several tasks, and sums that do not add up.

The figures at full size are in bench/cases/patches_tasks.py.
"""

from fractions import Fraction

import numpy as np
import pytest

from pympf.nets.patches import (
    ScaleBiasNetwork,
    Task,
    components,
    digits,
    fold_function,
    mobilenet_v2,
    residual_network,
    resize,
    train_tasks,
)
from pympf.nets.patches.tasks import Blocks

ALL = ("scale-bias", "depthwise", "pointwise", "last")


# ---- figure 4.3 ----------------------------------------------------------------------------------
def count(bias, k=2, method="intervals"):
    return components([[bias, 0, 0]] + [[0, 0, 0]] * (k - 1), ("0.2", "0.4"), method=method)


@pytest.mark.parametrize("method", ["intervals", "formula"])
def test_figure_43(method):
    """4, 3, 2, 1, 0 components, with the thresholds of the text; -0.1 has one more, a point."""
    plotted = [count(b, method=method) for b in (0, -0.075, -0.125, -0.425)]
    assert plotted == [4, 3, 2, 1]
    tiny = Fraction(1, 10**12)
    thresholds = {"-0.05": (4, 3, 3), "-0.1": (3, 3, 2), "-0.4": (2, 1, 1), "-0.45": (1, 1, 0)}
    for at, expected in thresholds.items():
        b = Fraction(at)
        found = tuple(count(x, method=method) for x in (b + tiny, b, b - tiny))
        assert found == expected, at
    assert count(Fraction(-1, 2), method=method) == 0


def test_figure_43_for_more_layers():
    """Tuning one bias, the number of folds varies from 2ᵏ to 0."""
    counts = [
        count(b, 3) for b in ("0", "-0.03", "-0.06", "-0.2", "-0.3", "-0.4", "-0.46", "-0.48")
    ]
    assert counts == [8, 7, 6, 5, 3, 2, 1, 0]
    for k in range(1, 6):
        found = {count(Fraction(-i, 2**8), k, "formula") for i in range(2**7 + 1)}
        assert found == set(range(2**k + 1))
    for b in ("0", "-0.1428", "-0.31", "-0.4999", "-0.5"):
        assert count(b, 10) == count(b, 10, "formula")
    assert [count(b, 10, "formula") for b in ("0", "-0.5")] == [1024, 0]


def test_the_printed_map_folds_the_unit_interval_for_two_units_only():
    for p in (2, 4, 6):
        assert components(np.zeros((2, p + 1)), (0.2, 0.4)) == p**2
        printed = components(np.zeros((2, p + 1)), (0.2, 0.4), printed=True)
        assert printed == (4 if p == 2 else 2 * p)
        # as printed, the zigzag lies on [0, p/2]
        assert fold_function(np.arange(p + 1) / 2, np.zeros((1, p + 1)), printed=True).max() == 1


# ---- figure 4.4 ----------------------------------------------------------------------------------
def test_figure_44():
    """Biases and scales tell folded discs apart, the logits alone do not."""
    columns = {"C": ("biases", "scales"), "E": ("logits",)}
    found = {(name, start): [] for name in columns for start in ("pretrained", "random")}
    for seed in range(2):
        X = np.random.default_rng(seed).uniform(-1, 1, (4096, 2))
        right, left = (np.hypot(X[:, 0] - x, X[:, 1]) < 0.32 for x in (0.5, -0.5))
        random = ScaleBiasNetwork(seed=seed)
        trained = random.copy().fit(X, (right | left).astype(int), epochs=120)
        assert trained.score(X, (right | left).astype(int)) >= 0.99
        b = right.astype(int)
        for name, train in columns.items():
            for start, net in (("pretrained", trained), ("random", random)):
                score = net.copy().fit(X, b, train=train, epochs=120).score(X, b)
                found[name, start].append(score)
    trivial = 1 - b.mean()
    assert np.mean(found["C", "pretrained"]) >= 0.99
    assert np.mean(found["C", "random"]) >= 0.98
    for start in ("pretrained", "random"):
        assert abs(np.mean(found["E", start]) - trivial) <= 0.05


# ---- the arithmetic of tables 4.2 to 4.5 ---------------------------------------------------------
@pytest.fixture(scope="module")
def mobilenet():
    return mobilenet_v2()


def parameters(networks, private):
    return Blocks(networks, [private] * len(networks)).n_parameters()


def test_sizes_of_patches(mobilenet):
    """34K and less than 3 %: γ and β only; with μ and σ a patch is twice as large."""
    counts = mobilenet.count()
    assert counts["all"] == 3_504_872
    assert counts["scale-bias"] == 34_112
    assert counts["depthwise"] == 64_224
    assert counts["depthwise"] / counts["all"] < 0.03
    assert sum(array.size for array in mobilenet.statistics().values()) == 34_112


def test_last_layers_of_table_42():
    """2048 features: Flowers (102 classes), Cars (196); Aircraft has 100, not 102, of table 4.1."""
    assert [2049 * classes for classes in (102, 196, 100)] == [208_998, 401_604, 204_900]
    assert round(2049 * 102 / 1e3) == 209 != 205


def test_table_43_counts_the_patch_twice(mobilenet):
    counts = mobilenet.count()
    assert counts["last"] == 1_281_000
    assert f"{(counts['last'] + counts['scale-bias']) / 1e6:.3f}" == "1.315"  # printed for 'last'
    assert f"{(counts['last'] + 2 * counts['scale-bias']) / 1e6:.2f}" == "1.35"
    assert round(47.8 - 29.2, 1) == 18.6  # the text says 19.4


def test_table_44_saves_35_per_cent(mobilenet):
    networks = [mobilenet, mobilenet_v2(n_classes=365)]
    ours = parameters(networks, ("scale-bias", "last"))
    last, alone = parameters(networks, ("last",)), parameters(networks, ALL)
    millions = [f"{count / 1e6:.3f}" for count in (ours, last, alone)]
    assert millions == ["4.007", "3.972", "6.196"]  # printed 3.97, 3.93, 6.05
    assert 0.008 < ours / last - 1 < 0.01
    assert 0.35 <= 1 - ours / alone < 0.36  # the text says 50 %


def test_table_45_has_four_more_patches(mobilenet):
    networks = [mobilenet_v2((3, side, side)) for side in (96, 128, 160, 192, 224)]
    ours, alone = parameters(networks, ("scale-bias",)), parameters(networks, ALL)
    assert parameters(networks, ()) == mobilenet.count()["all"]
    assert ours == 3_504_872 + 4 * 34_112 == 3_641_320
    assert f"{alone / 1e6:.2f}" == "17.52"  # printed 17.7


# ---- tables 4.4 and 4.5 in small -----------------------------------------------------------------
@pytest.fixture(scope="module")
def train():
    """Train digits of several sizes together; give the accuracies."""
    pytest.importorskip("sklearn")
    images = digits()
    X, X_test = 2 * images.X_train - 1, 2 * images.X_test - 1
    shape = {"blocks": [(2, 8, 1), (2, 16, 2)], "stem": 8, "head": 32, "stem_stride": 1}

    def accuracies(sides, private, **options):
        networks = [residual_network((1, side, side), 10, **shape) for side in sides]
        tasks = [
            Task(network, resize(X, side), images.y_train)
            for network, side in zip(networks, sides, strict=True)
        ]
        train_tasks(tasks, private, steps=120, batch=32, learning_rate=0.01, **options)
        tests = [resize(X_test, side) for side in sides]
        pairs = zip(networks, tests, strict=True)
        return np.array([network.score(test, images.y_test) for network, test in pairs])

    return accuracies


def test_private_scales_and_biases_serve_several_resolutions(train):
    """Table 4.5: they close most of the gap at the resolutions that lose by sharing all."""
    ours, shared, alone = (train((8, 6, 4), own) for own in (("scale-bias",), (), ALL))
    assert (alone > shared + 0.1).all()
    closed = (ours - shared) / (alone - shared)
    assert closed.min() > 0.3
    assert closed[[0, 2]].min() > 0.55


def test_asynchronous_training_is_as_accurate(train):
    """Within two points, with two workers a task, each gradient three updates late."""
    private = ("scale-bias", "last")
    waiting = train((8, 6), private)
    stale = train((8, 6), private, mode="asynchronous", workers=4)
    assert (stale > waiting - 0.02).all()
