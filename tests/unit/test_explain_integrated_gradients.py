"""Integrated gradients: rules, pieces, jumps, groups of paths, and what is refused."""

import json
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from pympf.cli import main
from pympf.explain import (
    FIXED_RULES,
    METHODS,
    IncompleteWarning,
    IntegratedGradients,
    Paths,
    ResultTable,
    Slice,
    quadrature,
)
from pympf.lsh import EuclideanHash
from pympf.nets import DSM, LSH, BoundedNetwork, Cube, Layer, RandomHash, TopK
from pympf.nets import graph as G

rng = np.random.default_rng(0)


def numbers(*shape):
    return rng.standard_normal(shape)


W = [numbers(4, 6), numbers(6, 5), numbers(5, 3)]
V = numbers(2, 6)


def words_and_match(words, match):
    """Two inputs, named nodes, three outputs at each point."""
    hidden = G.tanh(G.mean(words, 1) @ W[0] + match @ V).named("hidden")
    context = G.sigmoid(hidden @ W[1]).named("context")
    direct = G.tanh(hidden @ W[1]).named("direct")
    return G.softmax((context * direct) @ W[2] + context @ W[2])


INPUTS = numbers(5, 4), numbers(2)
ig = IntegratedGradients(words_and_match)


# ---- rules ---------------------------------------------------------------------------------------
EXACT = {  # degree of the polynomials that a rule of 9 points integrates exactly
    "riemann_left": 0,
    "riemann_right": 0,
    "riemann_middle": 1,
    "riemann_trapezoid": 1,
    "simpson": 3,
    "gausslegendre": 17,
    "composite": 7,
}


@pytest.mark.parametrize("method", FIXED_RULES)
def test_rules_are_exact_for_polynomials(method):
    points, weights = quadrature(method, 9)
    assert len(points) == len(weights) == (8 if method == "composite" else 9)
    assert (np.diff(points) > 0).all()
    for degree in range(EXACT[method] + 1):
        assert weights @ points**degree == pytest.approx(1 / (degree + 1), rel=1e-13)
    degree = EXACT[method] + 1
    assert abs(weights @ points**degree - 1 / (degree + 1)) > 1e-12


@pytest.mark.parametrize("method", FIXED_RULES)
@given(n=st.integers(1, 40))
@settings(deadline=None)
def test_rules_have_positive_weights(method, n):
    points, weights = quadrature(method, n)
    assert (weights > 0).all()
    assert weights.sum() == pytest.approx(1, rel=1e-13)
    assert ((points >= 0) & (points <= 1)).all()
    assert n - 3 <= len(points) <= max(3, n + 1)


def test_the_trapezoid_is_right_at_both_ends():
    assert_array_equal(quadrature("riemann_trapezoid", 3)[1], [0.25, 0.5, 0.25])


# ---- attributions --------------------------------------------------------------------------------
@pytest.mark.parametrize("method", METHODS)
def test_completeness(method):
    steps = 4000 if method in ("riemann_left", "riemann_right") else 200
    result = ig.attribute(INPUTS, target=1, method=method, n_steps=steps)
    words, match = result.attributions
    assert words.shape == (5, 4)
    assert match.shape == (2,)
    assert abs(result.delta) <= 1e-3
    F = words_and_match(*(G.variable(x[np.newaxis]) for x in INPUTS)).value[0, 1]
    F0 = words_and_match(*(G.variable(0 * x[np.newaxis]) for x in INPUTS)).value[0, 1]
    assert result.change == pytest.approx(F - F0, abs=1e-14)
    assert words.sum() + match.sum() == pytest.approx(F - F0 + result.delta, abs=1e-13)


def test_attributions_are_integrals_of_derivatives():
    """Against central differences at the points of the rule."""
    points, weights = quadrature("gausslegendre", 16)
    words, match = ig.attribute(INPUTS, target=2, method="gausslegendre", n_steps=16).attributions
    for x, found, which in ((INPUTS[0], words, 0), (INPUTS[1], match, 1)):
        for i in np.ndindex(x.shape):
            total = 0
            for sign in (1, -1):
                moved = [p * points.reshape(-1, *[1] * p.ndim) for p in INPUTS]
                moved[which][(slice(None), *i)] += sign * 1e-6
                total += sign * words_and_match(*moved).value[:, 2] @ weights / 2e-6
            assert found[i] == pytest.approx(total * x[i], abs=1e-8)


@pytest.mark.parametrize("method", ["simpson", "adaptive", "kinks"])
@pytest.mark.parametrize("batch", [1, 2, 7, 51, 1000])
def test_chunks_change_nothing(method, batch):
    expected = ig.attribute(INPUTS, target=0, method=method).attributions
    found = ig.attribute(INPUTS, target=0, method=method, internal_batch_size=batch)
    for a, b in zip(found.attributions, expected, strict=True):
        assert_allclose(a, b, atol=1e-13)


def test_several_targets_are_the_targets_one_by_one():
    targets = [0, ("hidden", 3), (2,), ("context", 1)]
    result = ig.attribute(INPUTS, target=targets, method="composite")
    assert result.delta.shape == (4,)
    for k, target in enumerate(targets):
        alone = ig.attribute(INPUTS, target=target, method="composite")
        for a, b in zip(result.attributions, alone.attributions, strict=True):
            assert_allclose(a[k], b, atol=1e-14)
        assert result.delta[k] == pytest.approx(alone.delta, abs=1e-14)
    assert result.n_points == alone.n_points  # one forward pass for all


def test_inputs_come_back_in_their_form():
    by_name = {"words": INPUTS[0], "match": INPUTS[1]}
    found = ig.attribute(by_name, {"match": 0.5, "words": None}, target=0).attributions
    expected = ig.attribute(list(INPUTS), [0, np.full(2, 0.5)], target=0).attributions
    assert_array_equal(found["words"], expected[0])
    assert_array_equal(found["match"], expected[1])
    plain = ig.attribute(INPUTS, (None, 0.5), target=0, return_convergence_delta=False)
    assert_array_equal(plain[1], expected[1])
    one = IntegratedGradients(lambda x: G.sum(x * x, (1, 2))).attribute([[1.0, 2.0], [3.0, 0.0]])
    assert_allclose(one.attributions, [[1, 4], [9, 0]], atol=1e-12)
    attributions, delta = ig.attribute(INPUTS, target=0)
    assert abs(delta) < 1e-3
    assert len(attributions) == 2


def test_a_distribution_of_baselines_is_averaged():
    baselines = numbers(3, 5, 4), numbers(3, 2)
    result = ig.attribute(INPUTS, baselines, target=0)
    each = [ig.attribute(INPUTS, (b, c), target=0) for b, c in zip(*baselines, strict=True)]
    for k in range(2):
        mean = np.mean([one.attributions[k] for one in each], axis=0)
        assert_allclose(result.attributions[k], mean, atol=1e-14)
    assert result.change == pytest.approx(np.mean([one.change for one in each]), abs=1e-14)
    assert result.n_points == sum(one.n_points for one in each)


def test_axioms():
    """An input without influence gets nothing; symmetric ones get the same; linearity."""
    f = IntegratedGradients(lambda x: G.tanh(x[:, 0] * x[:, 1]) + 0 * x[:, 2])
    a = f.attribute([0.7, 0.7, 3.0]).attributions
    assert a[2] == 0
    assert a[0] == pytest.approx(a[1], abs=1e-15)
    g = IntegratedGradients(lambda x: G.exp(x[:, 0]))
    both = IntegratedGradients(lambda x: 2 * G.tanh(x[:, 0] * x[:, 1]) + G.exp(x[:, 0]))
    total = both.attribute([0.7, 0.7, 3.0], method="gausslegendre").attributions
    parts = [h.attribute([0.7, 0.7, 3.0], method="gausslegendre").attributions for h in (f, g)]
    assert_allclose(total, 2 * parts[0] + parts[1], atol=1e-14)


def test_an_input_without_influence_gets_zeros():
    f = IntegratedGradients(lambda x, y: G.tanh(x[:, 0]))
    _, y = f.attribute(([1.0], numbers(3, 2))).attributions
    assert_array_equal(y, np.zeros((3, 2)))


def test_float32_is_accumulated_in_float64():
    single = tuple(x.astype(np.float32) for x in INPUTS)
    seen = []

    def forward(words, match):
        seen.append(words.dtype)
        return words_and_match(words, match)

    result = IntegratedGradients(forward).attribute(
        single, target=1, method="riemann_middle", n_steps=2000
    )
    expected = ig.attribute(INPUTS, target=1, method="riemann_middle", n_steps=2000)
    assert set(seen) == {np.dtype(np.float32)}
    assert result.attributions[0].dtype == np.float64
    assert_allclose(result.attributions[0], expected.attributions[0], rtol=2e-5, atol=2e-6)


def test_memory_does_not_grow_with_the_steps():
    A, U = numbers(32, 128) / 6, numbers(32, 128) / 6
    f = IntegratedGradients(lambda x: G.softmax(G.lstm_layer(x, A, U, np.zeros(128))[:, -1]))
    x, peaks = numbers(10, 32), []
    for steps, batch in ((64, 64), (512, 64), (512, 512)):
        tracemalloc.start()
        f.attribute(x, target=0, n_steps=steps, internal_batch_size=batch, method="composite")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] <= 2 * peaks[0]
    assert peaks[2] >= 3 * peaks[1]


# ---- pieces --------------------------------------------------------------------------------------
def relu_net(*sizes):
    weights = [(numbers(a, b) * 1.4 / np.sqrt(a), numbers(b) * 0.3) for a, b in pairwise(sizes)]

    def forward(x):
        for w, b in weights[:-1]:
            x = G.relu(x @ w + b)
        return G.softmax(x @ weights[-1][0] + weights[-1][1])

    return forward


def test_kinks_are_exact():
    f = IntegratedGradients(relu_net(20, 64, 64, 5))
    found = [f.attribute(numbers(20), target=0, method="kinks") for _ in range(5)]
    assert max(abs(result.delta) for result in found) <= 1e-8
    assert np.mean([result.n_points for result in found]) <= 200


@pytest.mark.parametrize(
    "f",
    [
        lambda x: G.absolute(x[:, 0] - 0.3) * x[:, 1],
        lambda x: G.maximum(x[:, 0], 2 * x[:, 1] - 0.4),
        lambda x: G.minimum(x[:, 0], 2 * x[:, 1] - 0.4),
        lambda x: G.largest(x @ np.array([[1.0, 3.0, 0.0], [2.0, -1.0, 0.0]]) + [0.0, 0.1, 0.6]),
        lambda x: G.smallest(x @ np.array([[1.0, 3.0, 0.0], [2.0, -1.0, 0.0]]) + [0.0, 0.1, 0.6]),
    ],
)
def test_kinks_of_every_operator_that_has_some(f):
    result = IntegratedGradients(f).attribute([1.0, 1.0], method="kinks")
    assert abs(result.delta) <= 1e-9
    assert result.n_points <= 40


def test_steep_steps_are_found():
    """A fixed rule misses a step between its points; the pieces do not."""
    f = IntegratedGradients(lambda x: G.sigmoid(2000 * (x[:, 0] - 0.62)))
    with pytest.warns(IncompleteWarning, match="use method='adaptive'"):
        fixed = f.attribute([1.0], method="gausslegendre", n_steps=32)
    assert abs(fixed.delta) > 0.5
    assert abs(fixed.worst.stop - 0.62) < 0.05
    result = f.attribute([1.0])
    assert abs(result.delta) <= 1e-3
    assert result.n_points <= 500


def test_the_warning_says_where_and_strict_refuses():
    f = IntegratedGradients(lambda x: G.sigmoid(2000 * (x[:, 0] - 0.62)))
    with pytest.warns(
        IncompleteWarning, match="worst piece of the path is α from 0.5 to 0.6"
    ) as caught:
        f.attribute([1.0], max_steps=30)
    assert "raise max_steps" in str(caught[0].message)
    assert caught[0].filename == __file__
    with pytest.raises(ValueError, match=r"is above tol 0\.001; the worst piece"):
        f.attribute([1.0], max_steps=30, strict=True)


# ---- jumps ---------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def points():
    X = Cube(3).sample(600, seed=1)
    return X, np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2]


@pytest.mark.parametrize("method", ["adaptive", "kinks"])
@pytest.mark.parametrize("kind", ["top-k", "two layers", "constants", "polynomials"])
def test_jumps_complete_the_sum(points, kind, method):
    """Σ attributions + Σ jumps = F(x) - F(x')."""
    X, y = points
    layers = [
        Layer.random(3, 24, bias=True, routing=TopK(6)),
        Layer.random(24, 12, bias=True, routing=TopK(4), seed=1),
    ]
    model = {
        "top-k": DSM(layers[0]),
        "two layers": DSM(layers),
        "constants": LSH(EuclideanHash(3, 2, 3, width=0.7)),
        "polynomials": LSH(EuclideanHash(3, 2, 3, width=0.7), degree=2),
    }[kind].fit(X, y)
    result = IntegratedGradients(G.network(model)).attribute(X[0], X[1], method=method, tol=1e-6)
    jumps = sum(float(jump.size[0]) for jump in result.jumps)
    assert len(result.jumps) >= 2
    change = np.diff(model.predict(X[[1, 0]]))[0]
    assert result.attributions.sum() + jumps == pytest.approx(change, abs=2e-6)
    if kind == "constants":
        assert_array_equal(result.attributions, np.zeros(3))
    places = [jump.place for jump in result.jumps]
    assert places == sorted(places)
    for jump in result.jumps:  # they are where the model jumps
        ends = X[1] + np.outer([jump.place - 1e-9, jump.place + 1e-9], X[0] - X[1])
        assert np.diff(model.predict(ends))[0] == pytest.approx(float(jump.size[0]), abs=1e-6)


def test_fixed_rules_list_the_jumps_between_their_points(points):
    X, y = points
    model = LSH(EuclideanHash(3, 2, 3, width=0.7)).fit(X, y)
    result = IntegratedGradients(G.network(model)).attribute(
        X[0], X[1], method="riemann_middle", n_steps=200
    )
    assert result.delta == pytest.approx(0, abs=1e-12)
    assert len(result.jumps) >= 2


def test_a_hash_of_the_input_has_no_attributions(points):
    X, y = points
    model = DSM(Layer.random(3, 8, bias=True, routing=RandomHash(2))).fit(X, y)
    with pytest.raises(ValueError, match="jumps along the path, got more"):
        IntegratedGradients(G.network(model)).attribute(X[0], X[1])


# ---- paths ---------------------------------------------------------------------------------------
GROUPS = {
    "context": Paths(through=["context"]),
    "not context": Paths(avoid=["context"]),
    "others": Paths(through=["context"], avoid=["direct"]).complement(),
    "alone": Paths(through=["context"], avoid=["direct"]),
    "none": Paths(avoid=["hidden"]),
}


@pytest.mark.parametrize("method", ["adaptive", "kinks", "gausslegendre"])
def test_groups_of_paths_and_their_complements_add_up(method):
    result = ig.attribute(INPUTS, target=[0, 1], method=method, paths=GROUPS)
    assert set(result.paths) == set(GROUPS)
    for k in range(2):
        for a, b in (("context", "not context"), ("others", "alone")):
            total = result.paths[a][k] + result.paths[b][k]
            assert_allclose(total, result.attributions[k], atol=1e-12)
        assert_array_equal(result.paths["none"][k], np.zeros_like(result.attributions[k]))
        assert abs(result.paths["context"][k] - result.attributions[k]).max() > 1e-3


def test_groups_can_differ_between_targets():
    each = [{"A": Paths(through=["context"])}, {"A": Paths(avoid=["context"])}]
    result = ig.attribute(INPUTS, target=[0, 0], paths=each, method="composite")
    total = result.paths["A"][0].sum(axis=0)
    assert_allclose(total, result.attributions[0][0], atol=1e-13)


def test_the_sum_over_all_paths_is_integrated_gradients():
    """The proposition of section 3.3.1, with all paths of a graph enumerated."""

    def forward(x):
        a = G.tanh(x @ W[0]).named("a")
        b = G.sigmoid(x @ W[0]).named("b")
        c = G.tanh(a * b + b).named("c")
        d = (G.relu(b - 0.4) + a).named("d")
        e = (c * d).named("e")
        return G.sum(G.tanh(e + c) * np.arange(6.0), 1).named("y")

    x = numbers(4)
    graph = G.Graph(forward(G.variable(x[np.newaxis], "inputs")))
    every = list(graph.paths("inputs", "y"))
    assert len(every) == 6
    names = set(graph.named()) - {"inputs", "y"}
    groups = {
        "-".join(path): Paths(through=path[1:-1], avoid=sorted(names - set(path))) for path in every
    }
    for method in ("gausslegendre", "adaptive"):
        result = IntegratedGradients(forward).attribute(x, method=method, paths=groups, tol=0.1)
        assert_allclose(sum(result.paths.values()), result.attributions, rtol=0, atol=1e-12)


def test_slices():
    x, y = G.variable(numbers(1, 4), "x"), G.variable(numbers(1, 4), "y")
    a = G.tanh(x).named("a")
    b = (a * y).named("b")
    program = Slice(G.Graph(b, a), "a")
    assert program.inputs == ["x"]
    assert program.names == ["x", "a"]
    assert program.reached == ["a", "b"]
    assert "x" in program
    assert "y" not in program
    assert repr(program) == "<Slice of a: x, a>"


# ---- bad input -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "gauss"}, "method = .* is not one of adaptive, kinks, riemann_left"),
        ({"n_steps": 0}, "n_steps = .* integer in .1, inf"),
        ({"internal_batch_size": 0}, "internal_batch_size = .* integer in .1, inf"),
        ({"tol": 0}, "tol = .* number in .0, inf"),
        ({"target": None}, r"a target with 1 indices for the output of shape \(3,\)"),
        ({"target": 3}, "target from 0 to 2 for the output, got 3"),
        ({"target": -1}, "target from 0 to 2 for the output, got -1"),
        ({"target": (0, 1)}, "a target with 1 indices"),
        ({"target": ("hidden", 6)}, "target from 0 to 5 for node 'hidden', got 6"),
        ({"target": ("hiden", 6)}, "one of words, match, hidden, context, direct; got 'hiden'"),
        ({"target": 0.5}, "expected a target as an integer"),
        ({"target": []}, "at least one target"),
        ({"baselines": {"words": np.zeros(4), "match": 0}}, r"baseline of shape \(5, 4\)"),
        ({"baselines": {"words": np.zeros((5, 4), np.float32), "match": 0}}, "type float64"),
        ({"baselines": {"words": np.zeros((5, 4), complex), "match": 0}}, "type float64"),
        (
            {"baselines": {"words": 0, "match": [np.nan, 1]}},
            "baseline of match: expected finite",
        ),
        ({"baselines": {"words": 0}}, "expected baselines of words, match, got those of words"),
        ({"baselines": np.zeros(3)}, "expected baselines of words, match, got ndarray"),
        (
            {"baselines": {"words": np.zeros((2, 5, 4)), "match": np.zeros((3, 2))}},
            r"as many baselines of each input, got \[2, 3\]",
        ),
        (
            {"inputs": {"words": [[np.inf] * 4], "match": [0.0, 1]}},
            "words: expected finite values",
        ),
        ({"inputs": {}}, "at least one array in inputs"),
        ({"paths": {"A": Paths(["contxt"])}}, "got 'contxt'"),
        ({"paths": {"A": Paths(["context", "direct"])}}, "through context, then direct, there are"),
        ({"paths": [{"A": Paths()}]}, "expected one dict of paths for one target"),
        ({"target": [0, 1], "paths": [{"A": Paths()}]}, "2 of the same keys, one for each target"),
    ],
)
def test_bad_input(change, message):
    given = {"inputs": {"words": INPUTS[0], "match": INPUTS[1]}, "target": 0} | change
    with pytest.raises(ValueError, match=message):
        ig.attribute(given.pop("inputs"), **given)


def test_bad_types():
    with pytest.raises(TypeError, match="expected a function of nodes"):
        IntegratedGradients(3)
    with pytest.raises(TypeError, match="expected nodes of a graph, got ndarray"):
        IntegratedGradients(lambda x: x.value).attribute([1.0])
    with pytest.raises(TypeError, match="expected a group of paths as Paths"):
        ig.attribute(INPUTS, target=0, paths={"A": ["context"]})
    with pytest.raises(TypeError, match="inputs: expected real numbers"):
        ig.attribute(np.array(["a"]))
    with pytest.raises(ValueError, match="the points as its leading axis"):
        IntegratedGradients(G.sum).attribute([1.0, 2.0])


@pytest.mark.parametrize("method", ["adaptive", "kinks", "composite"])
def test_what_is_not_finite_is_named(method):
    f = IntegratedGradients(lambda x: G.log(x[:, 0] - 2).named("score") + 1)
    with pytest.raises(ValueError, match=r"values, got NaN or infinity in 'score' \(log\)"):
        f.attribute([1.0], method=method)
    f = IntegratedGradients(lambda x: G.exp(900 * G.square(x[:, 0]).named("power")) * 0)
    with pytest.raises(ValueError, match="infinity in exp after 'power'"):
        f.attribute([1.0], method=method)
    steep = IntegratedGradients(lambda x: G.sqrt(0 * x[:, 0].named("root")) * x[:, 1])
    with pytest.raises(ValueError, match="infinity in the derivative of sqrt after 'root'"):
        steep.attribute([1.0, 1.0], method=method)


# ---- command line --------------------------------------------------------------------------------
def test_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    net = BoundedNetwork.random([4, 16, 16, 2])
    net.save("f.h5")
    X = numbers(3, 4)
    np.save("x.npy", X)
    assert main(["explain", "attribute", "f.h5", "x.npy", "--target", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["rows"]) == 12
    for k, x in enumerate(X):
        result = IntegratedGradients(G.network(net)).attribute(x, target=1, method="kinks")
        for row in found["rows"]:
            if row["row"] == k:
                assert row["attribution"] == pytest.approx(result.attributions[row["input"]])
    assert main(["explain", "attribute", "f.h5", "x.npy", "--target", "0", "--top", "1"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "Integrated gradients"
    assert len(out) == 5
    assert main(["explain", "attribute", "f.h5", "x.npy"]) == 3
    assert "expected a target" in capsys.readouterr().err
    assert main(["explain", "attribute", "g.h5", "x.npy"]) == 4
    with pytest.raises(SystemExit) as stop:
        main(["explain", "--help"])
    assert stop.value.code == 0
    assert "attribute the output of a saved network" in capsys.readouterr().out


def test_result_tables():
    table = ResultTable("T", ["a", "b"], [[1, "x"], [None, ["y", 0.5]]], ["note"])
    assert str(table) == "T\na  b\n1  x\n-  y, 0.5\nnote"
    assert table.column("a") == [1, None]
    assert len(table) == 2
    with pytest.raises(ValueError, match="one of the columns a, b, got 'c'"):
        table.column("c")
    with pytest.raises(ValueError, match="rows of 2 entries, got one of 1"):
        ResultTable("T", ["a", "b"], [[1]])
