"""Learning a modular network back from overall sketches (theorem 5)."""

import numpy as np
import pytest

from pympf.sketch import Graph, Scheme, learn_network
from pympf.sketch.teacher import learn_ridge, learn_table, mutual_information, without


def group_of(label):
    """Give the function of the module above."""
    return label // 4


def scenes(scheme, labels, tints):
    """Give the sketch of each pair of labels: output <- {group <- {label}, tint}."""
    found = {}
    for label, tint in sorted(set(zip(labels.tolist(), tints.tolist(), strict=True))):
        graph = Graph()
        graph.add("label", "label", np.eye(12)[label])
        graph.add("group", "group", np.eye(3)[group_of(label)], inputs={"label": 1.0})
        graph.add("tint", "tint", np.eye(4)[tint])
        graph.set_output({"group": 0.7, "tint": 0.3})
        found[label, tint] = graph
    sketches = dict(zip(found, scheme.sketch_many(found.values()), strict=True))
    return np.stack(
        [sketches[key].values for key in zip(labels.tolist(), tints.tolist(), strict=True)]
    )


def test_a_tree_of_depth_three_is_learnt_back():
    rng = np.random.default_rng(0)
    labels, tints = rng.integers(0, 12, 120), rng.integers(0, 4, 120)
    inputs = np.stack([labels + rng.uniform(0.2, 0.8, 120), tints + rng.uniform(0, 0.9, 120)], 1)
    outputs = 4 * group_of(labels) + tints
    sketches = scenes(Scheme(131040, b=60, w=2, seed=1), labels, tints).astype(np.float32)
    network = learn_network(inputs, outputs, sketches, 60, 2, learner=learn_cells)
    assert [module.depth for module in network.modules] == [2, 2, 3]
    group = next(m for m in network.modules if m.children)
    tint = next(m for m in network.modules if m.depth == 2 and not m.children)
    assert group.children == [2]
    for module, truth in ((group, group_of(labels)), (tint, tints), (network.modules[2], labels)):
        known = module.labels >= 0
        assert known.mean() > 0.6
        assert (module.labels[known] == truth[known]).mean() > 0.99
    # Codes of centred indicators are smaller than the weights, by the share of the others.
    assert 0.3 < group.weight < 0.7
    assert 0.1 < tint.weight < 0.3
    new = rng.integers(0, 12, 200)
    other = rng.integers(0, 4, 200)
    Z = np.stack([new + rng.uniform(0.2, 0.8, 200), other + rng.uniform(0, 0.9, 200)], 1)
    assert (network.predict(Z) == 4 * group_of(new) + other).mean() > 0.98
    assert str(network).count("module") == 3


def learn_cells(X, y):
    """Learn labels as a function of the whole part of the coordinate that tells them best."""
    cells = np.floor(X).astype(int)
    tables = [learn_table(cells[:, [i]], y) for i in range(X.shape[1])]
    best = int(np.argmax([(t(cells[:, [i]]) == y).mean() for i, t in enumerate(tables)]))
    return lambda Z: tables[best](np.floor(Z[:, [best]]).astype(int))


def test_parts():
    rng = np.random.default_rng(1)
    a = rng.integers(0, 4, 500)
    b, c = a // 2, rng.integers(0, 2, 500)
    assert mutual_information(a, b) > 0.6 > 0.05 > abs(mutual_information(a, c))
    assert mutual_information(a, np.full(500, -1)) == 0
    Y = rng.standard_normal((4, 30))[a] + rng.standard_normal((2, 30))[c]
    assert np.abs(without(Y, [a, c])).max() < 1e-12
    assert np.abs(without(Y, []).mean(axis=0)).max() < 1e-12
    X = rng.standard_normal((500, 3))
    y = X[:, 0] > 0
    assert (learn_ridge(X, y)(X) == y).mean() > 0.95
    table = learn_table(np.array([[0, 0], [1, 1], [1, 1], [1, 1]]), np.array([5, 6, 7, 7]))
    assert table(np.array([[1, 1], [0, 0], [0, 2]])).tolist() == [7, 5, 5]


def test_bad_input():
    with pytest.raises(ValueError, match="as many"):
        learn_network(np.ones((3, 1)), [1, 2], np.ones((3, 132)), 33, 2)
    noise = np.random.default_rng(0).standard_normal((20, 132))
    with pytest.raises(ValueError, match="no module was found"):
        learn_network(np.ones((20, 1)), np.ones(20), noise, 33, 2)
