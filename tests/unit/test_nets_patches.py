"""Patches of a network: what they hold, what they leave alone, their files; transfer."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from pympf.nets.patches import (
    SETS,
    DepthwiseFilters,
    LastLayer,
    Network,
    Patch,
    ScaleBias,
    patch_of,
    residual_network,
    transfer,
)

from .test_nets_patches_network import SHAPE, small, task

KINDS = {
    "scale-bias": ScaleBias(),
    "depthwise": DepthwiseFilters(),
    "last": LastLayer(4),
    "random last": ScaleBias() | LastLayer(5, trained=False),
    "both": ScaleBias() | DepthwiseFilters() | LastLayer(3, seed=2),
    "all": Patch(("scale-bias", "depthwise", "pointwise", "last")),
}


def copies(arrays):
    return {name: array.copy() for name, array in arrays.items()}


def assert_same(arrays, expected):
    assert arrays.keys() == expected.keys()
    for name, array in arrays.items():
        assert array.tobytes() == expected[name].tobytes(), name


def patched(*names):
    X, y = task()
    net = small().fit(X, y, epochs=2, batch=16)
    for name in names or KINDS:
        net.add_patch(name, KINDS[name])
    return net, X, y


# ---- what patches are ----------------------------------------------------------------------------
def test_patches_are_joined():
    both = ScaleBias() | LastLayer(7, seed=3)
    assert both == Patch(("scale-bias", "last"), True, 7, 3)
    assert both | DepthwiseFilters() == DepthwiseFilters() | both
    assert (ScaleBias() | ScaleBias()).groups == ("scale-bias",)
    frozen = LastLayer(7, trained=False)
    assert (frozen.groups, frozen.own_last) == ((), True)
    with pytest.raises(ValueError, match="one last layer"):
        LastLayer(7) | LastLayer(7)
    with pytest.raises(TypeError):
        ScaleBias() | "last"
    with pytest.raises(ValueError, match="own"):
        Patch(("scale-bias",), n_classes=4)
    with pytest.raises(ValueError, match="scale-bias, depthwise, pointwise, last"):
        Patch(("bias",))


def test_the_eight_sets_and_all():
    assert len(SETS) == 9  # with and without "+ last", statistics, and all
    assert patch_of("scale-bias+depthwise", 4) == (
        ScaleBias() | DepthwiseFilters() | LastLayer(4, trained=False)
    )
    assert patch_of("all", 4).groups == ("scale-bias", "depthwise", "pointwise", "last")
    assert patch_of("statistics+last", 4) == patch_of("last", 4)
    with pytest.raises(ValueError, match="scale-bias"):
        patch_of("bias")


# ---- what they leave alone -----------------------------------------------------------------------
@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name].groups])
@pytest.mark.parametrize("statistics", ["batch", "running", "frozen"])
def test_training_a_patch_leaves_every_other_byte(name, statistics):
    net, X, y = patched()
    pretrained = copies(net.pretrained())
    others = {k: copies(net._stored(k).arrays) for k in KINDS if k != name}
    net.set_patch(name)
    before = copies(net._stored(name).arrays)
    net.fit(X, y, statistics=statistics, epochs=1, batch=16)
    assert_same(net.pretrained(), pretrained)
    for other, arrays in others.items():
        assert_same(net._stored(other).arrays, arrays)
    changed = {
        key for key, array in net._stored(name).arrays.items() if (array != before[key]).any()
    }
    learned = set(net.parameters(KINDS[name].groups))
    moved = set() if statistics == "frozen" else set(net.statistics())
    assert changed == learned | moved
    net.set_patch(None)
    assert_same(net.parameters() | net.statistics(), pretrained)


def test_a_new_patch_starts_from_the_pretrained_values():
    """Whatever patch is active, trained or merged."""
    net, X, y = patched("scale-bias", "both")
    pretrained = copies(net.pretrained())
    for name in ("scale-bias", "both"):
        net.set_patch(name)
        net.fit(X, y, epochs=1, batch=16)
    net.merge()
    net.add_patch("new", ScaleBias() | LastLayer())
    for name, array in net._stored("new").arrays.items():
        assert_array_equal(array, pretrained[name], name)
    net.set_patch("new")
    X_out = net.decision_function(X)
    net.set_patch(None)
    assert_array_equal(net.decision_function(X), X_out)


def test_patches_with_different_last_layers_live_together():
    net, X, _ = patched()
    classes = {"last": 4, "random last": 5, "both": 3, "all": 3, "scale-bias": 3}
    found = {}
    for name, n_classes in classes.items():
        net.set_patch(name)
        assert net.n_classes == n_classes
        assert net.decision_function(X).shape == (len(X), n_classes)
        found[name] = net.decision_function(X)
    for name in reversed(classes):
        net.set_patch(name)
        assert_array_equal(net.decision_function(X), found[name])


def test_a_last_layer_that_is_not_trained_keeps_its_random_start():
    net, X, y = patched("random last")
    net.set_patch("random last")
    start = copies(net.parameters("last"))
    net.fit(X, y, epochs=1, batch=16)
    assert_same(net.parameters("last"), start)
    again = small()
    again.add_patch("a", ScaleBias() | LastLayer(5, trained=False))
    assert_same({k: v for k, v in again._stored("a").arrays.items() if k in start}, start)


def test_merging_gives_a_network_without_patches():
    net, X, y = patched("both")
    net.set_patch("both")
    net.fit(X, y, epochs=1, batch=16)
    merged = net.merge()
    assert merged.patches == {}
    assert_array_equal(merged.decision_function(X), net.decision_function(X))
    active = copies(net.parameters())
    merged.fit(X, y, epochs=1)
    assert_same(net.parameters(), active)
    folded = net.fold()
    scale = abs(net.decision_function(X)).max()
    assert_allclose(folded.decision_function(X), net.decision_function(X), atol=1e-5 * scale)


def test_statistics_belong_to_the_patch():
    net, X, _ = patched("last", "scale-bias")
    pretrained = copies(net.pretrained())
    net.set_patch("last")
    net.recompute_statistics(5 * X + 1)
    assert (net.statistics()["01.norm.mean"] != pretrained["01.norm.mean"]).any()
    net.set_patch("scale-bias")
    assert_array_equal(net.statistics()["01.norm.mean"], pretrained["01.norm.mean"])
    net.set_patch(None)
    assert_same(net.pretrained(), pretrained)


def test_pretrained_weights_with_patches_do_not_change():
    net, X, y = patched("last")
    for change in (lambda: net.fit(X, y), lambda: net.recompute_statistics(X)):
        with pytest.raises(ValueError, match=r"active patch.*'last'"):
            change()
    net.delete_patch("last")
    net.fit(X, y, epochs=1)  # without patches it is an ordinary network again


@given(st.lists(st.tuples(st.sampled_from("asdn"), st.integers(0, 3)), max_size=20))
@settings(max_examples=25, deadline=None)
def test_any_order_of_calls_keeps_patches_apart(calls):
    """Add, set, delete, none: the weights in use are always those of the active patch."""
    net, truth = small(), {}
    pretrained = copies(net.pretrained())
    for number, (call, which) in enumerate(calls):
        name = f"p{which}"
        if call == "a" and name not in truth:
            net.add_patch(name, ScaleBias() | LastLayer(which + 2))
            net._stored(name).arrays["01.norm.bias"][:] = number
            truth[name] = number
        elif call == "s" and name in truth:
            net.set_patch(name)
        elif call == "d" and name in truth and net.active_patch != name:
            net.delete_patch(name)
            del truth[name]
        elif call == "n":
            net.set_patch(None)
        expected = truth.get(net.active_patch, 0)
        assert (net.parameters()["01.norm.bias"] == expected).all()
        assert_same(net.pretrained(), pretrained)
        assert set(net.patches) == set(truth)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda net: net.add_patch("a", ScaleBias()), ValueError, "new name.*'a'"),
        (lambda net: net.add_patch("", ScaleBias()), TypeError, "text"),
        (lambda net: net.add_patch("c", "last"), TypeError, "Patch.*str"),
        (lambda net: net.add_patch("c", Patch(())), ValueError, "empty"),
        (lambda net: net.set_patch("c"), ValueError, "allowed: 'a', 'b'"),
        (lambda net: net.delete_patch("c"), ValueError, "allowed: 'a', 'b'"),
        (lambda net: net.delete_patch("a"), ValueError, "is not active"),
        (lambda net: net.fit(*task(), groups="pointwise"), ValueError, "allowed: scale-bias"),
        (lambda net: net.save_patch("c", "x.h5"), ValueError, "allowed"),
    ],
)
def test_bad_input(call, error, text):
    net = small()
    net.add_patch("a", ScaleBias())
    net.add_patch("b", LastLayer(4, trained=False))
    net.set_patch("a")
    with pytest.raises(error, match=text):
        call(net)
    net.set_patch("b")
    with pytest.raises(ValueError, match="nothing of it learns"):
        net.fit(*task())


# ---- files ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", KINDS)
def test_patches_come_back_from_files(name, tmp_path):
    net, X, y = patched(name)
    net.set_patch(name)
    if KINDS[name].groups:
        net.fit(X, y, epochs=1, batch=16)
    expected = net.decision_function(X)
    net.save_patch(name, tmp_path / "p.h5")
    fresh = small().fit(*task(), epochs=2, batch=16)
    assert fresh.load_patch(tmp_path / "p.h5") == name
    assert fresh.load_patch(tmp_path / "p.h5", "other name") == "other name"
    assert fresh.active_patch is None
    fresh.set_patch("other name")
    assert_array_equal(fresh.decision_function(X), expected)
    assert fresh.patches[name] == Patch(**vars(KINDS[name]))
    with pytest.raises(ValueError, match="new name"):
        fresh.load_patch(tmp_path / "p.h5")


def test_a_patch_file_has_the_statistics_and_no_pretrained_weights(tmp_path):
    net, _, _ = patched("both")
    net.save_patch("both", tmp_path / "p.h5")
    with h5py.File(tmp_path / "p.h5") as file:
        names = set(file["arrays"])
        assert file.attrs["checksum"].decode() == net.checksum()
    kinds = {name.partition(".")[2] for name in names}
    assert kinds >= {"norm.scale", "norm.bias", "norm.mean", "norm.variance", "depthwise.weights"}
    assert {"last.weights", "last.bias"} < names
    assert not [name for name in names if "pointwise" in name]


def test_a_patch_of_another_network_is_refused(tmp_path):
    net, X, y = patched("both")
    net.save_patch("both", tmp_path / "p.h5")
    for other in (small(seed=1), residual_network(SHAPE, 3), small(dtype=np.float64)):
        with pytest.raises(ValueError, match="checksum"):
            other.load_patch(tmp_path / "p.h5")
        assert other.patches == {}
    net.set_patch("both")
    net.fit(X, y, epochs=1)  # its own network takes it whatever is active
    net.load_patch(tmp_path / "p.h5", "again")
    net.save(tmp_path / "net.h5")
    with pytest.raises(OSError, match="patch"):
        net.load_patch(tmp_path / "net.h5")


def test_a_network_is_saved_with_its_patches(tmp_path):
    net, X, y = patched()
    net.set_patch("both")
    net.fit(X, y, epochs=1, batch=16)
    net.save(tmp_path / "net.h5")
    again = Network.load(tmp_path / "net.h5")
    assert again.active_patch == "both"
    assert list(again.patches) == list(KINDS)
    assert again.checksum() == net.checksum()
    for name in (*KINDS, None):
        net.set_patch(name)
        again.set_patch(name)
        assert_array_equal(again.decision_function(X), net.decision_function(X))


# ---- transfer ------------------------------------------------------------------------------------
@pytest.mark.parametrize("train", SETS)
def test_transfer_trains_what_it_says(train):
    X, y = task(80, n_classes=4)
    net = small().fit(*task(), epochs=2, batch=16)
    pretrained, counts = copies(net.pretrained()), small(4).count()
    done = transfer(net, X, y, train, epochs=2, batch=16, name="mine")
    words = ("scale-bias", "depthwise", "pointwise", "last") if train == "all" else train.split("+")
    assert done.parameters == sum(counts[w] for w in words if w != "statistics")
    assert done.share == pytest.approx(done.parameters / counts["all"])
    assert (done.name, net.active_patch, net.n_classes) == ("mine", "mine", 4)
    assert len(done.losses) == 2
    assert_same(net.pretrained(), pretrained)
    moved = (net.statistics()["01.norm.mean"] != pretrained["01.norm.mean"]).any()
    assert moved == (train != "last")
    frozen = net.parameters("last")["last.bias"]
    assert ("last" in words) == bool(frozen.any())  # zero at the start


def test_a_transfer_that_fails_leaves_no_patch():
    X, y = task()
    net = small()
    net.add_patch("a", ScaleBias())
    net.set_patch("a")
    with pytest.raises(ValueError, match="learning_rate"):
        transfer(net, X, y, "all", learning_rate=-1)
    assert (list(net.patches), net.active_patch) == (["a"], "a")
    with pytest.raises(ValueError, match="from 0 to 1"):
        transfer(net, X, y, n_classes=2)
    with pytest.raises(TypeError, match="Network"):
        transfer("mobilenet", X, y)
    with pytest.raises(ValueError, match="scale-bias"):
        transfer(net, X, y, "everything")


def test_patches_learn_another_task():
    X, y = task(300, n_classes=4, seed=5)
    net = small().fit(*task(200), epochs=5, batch=16, learning_rate=0.01)
    scores = {}
    for train in ("last", "scale-bias+last", "all"):
        transfer(net, X[:200], y[:200], train, epochs=8, batch=16)
        scores[train] = net.score(X[200:], y[200:])
    assert scores["scale-bias+last"] > 0.8
    assert scores["all"] > 0.8
