"""The dataflow graph: every operator against central differences, and groups of paths."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from pympf.lsh import EuclideanHash
from pympf.nets import (
    DSM,
    LSH,
    MLP,
    Adam,
    BoundedNetwork,
    Cube,
    Layer,
    TopK,
    dense,
    descend,
)
from pympf.nets import graph as G

rng = np.random.default_rng(0)


def numbers(*shape):
    return rng.standard_normal(shape)


def positive(*shape):
    return rng.uniform(0.5, 2, shape)


def shares(*shape):
    return rng.uniform(0.05, 0.95, shape)


ORDER = np.argsort(numbers(3, 4), axis=-1)
MASK = np.array([[1, 1, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]], bool)
GRU = (numbers(2, 9), numbers(3, 9), numbers(9))
LSTM = (numbers(2, 12), numbers(3, 12), numbers(12))

OPERATORS = {
    "add": (G.add, numbers(3, 4), numbers(4)),
    "subtract": (G.subtract, numbers(3, 1), numbers(3, 4)),
    "multiply": (G.multiply, numbers(3, 4), numbers(1, 4)),
    "divide": (G.divide, numbers(3, 4), positive(4)),
    "maximum": (G.maximum, numbers(3, 4), numbers(4)),
    "minimum": (G.minimum, numbers(3, 4), numbers(4)),
    "where": (lambda a, b: G.where(MASK, a, b), numbers(3, 4), numbers(4)),
    "absolute": (G.absolute, numbers(3, 4)),
    "relu": (G.relu, numbers(3, 4)),
    "tanh": (G.tanh, numbers(3, 4)),
    "sigmoid": (G.sigmoid, numbers(3, 4)),
    "exp": (G.exp, numbers(3, 4)),
    "log": (lambda a: G.log(a, 0.1), positive(3, 4)),
    "square": (G.square, numbers(3, 4)),
    "sqrt": (G.sqrt, positive(3, 4)),
    "matmul": (G.matmul, numbers(3, 5, 4), numbers(4, 2)),
    "matmul of stacks": (G.matmul, numbers(3, 5, 4), numbers(3, 4, 2)),
    "matmul, broadcast": (G.matmul, numbers(5, 4), numbers(3, 4, 2)),
    "einsum bd,bqd->bq": (
        lambda a, b: G.einsum("bd,bqd->bq", a, b),
        numbers(3, 4),
        numbers(3, 5, 4),
    ),
    "einsum bnm,bn->bm": (
        lambda a, b: G.einsum("bnm,bn->bm", a, b),
        numbers(3, 4, 5),
        numbers(3, 4),
    ),
    "einsum bn,bm->bnm": (lambda a, b: G.einsum("bn,bm->bnm", a, b), numbers(3, 4), numbers(3, 5)),
    "einsum bth,bsh->bts": (
        lambda a, b: G.einsum("bth,bsh->bts", a, b),
        numbers(2, 3, 4),
        numbers(2, 5, 4),
    ),
    "einsum, lonely index": (
        lambda a, b: G.einsum("bij,bk->bki", a, b),
        numbers(3, 4, 2),
        numbers(3, 5),
    ),
    "einsum, one for all": (
        lambda a, b: G.einsum("bd,bqd->bq", a, b),
        numbers(3, 4),
        numbers(1, 5, 4),
    ),
    "einsum of one": (lambda a: G.einsum("bij->ji", a), numbers(3, 4, 2)),
    "einsum of three": (
        lambda a, b, c: G.einsum("bi,bj,bk->bk", a, b, c),
        numbers(3, 4),
        numbers(3, 2),
        numbers(3, 5),
    ),
    "concatenate": (lambda a, b: G.concatenate([a, b]), numbers(3, 4), numbers(3, 2)),
    "stack": (lambda a, b: G.stack([a, b]), numbers(3, 4), numbers(3, 4)),
    "index": (lambda a: G.index(a, (slice(None), 1)), numbers(3, 4)),
    "index by arrays": (lambda a: G.index(a, ([0, 0, 2], [1, 1, 3])), numbers(3, 4)),
    "embed": (lambda a: G.embed(a, [[0, 1, 0], [2, 2, 1]]), numbers(3, 4)),
    "gather": (lambda a: G.gather(a, [[0, 0, 3], [1, 2, 1], [3, 3, 3]]), numbers(3, 4)),
    "permute": (lambda a: G.permute(a, ORDER), numbers(3, 4)),
    "pick": (lambda a: G.pick(a, [0, 3, 3]), numbers(3, 4)),
    "reshape": (lambda a: G.reshape(a, (3, 2, 2)), numbers(3, 4)),
    "transpose": (lambda a: G.transpose(a, (0, 2, 1)), numbers(3, 4, 2)),
    "sum": (lambda a: G.sum(a, (0, 2)), numbers(3, 4, 2)),
    "sum of all": (G.sum, numbers(3, 4)),
    "mean": (lambda a: G.mean(a, 1, keepdims=True), numbers(3, 4)),
    "largest": (G.largest, numbers(3, 4)),
    "smallest": (lambda a: G.smallest(a, 1), numbers(3, 4, 2)),
    "softmax": (G.softmax, numbers(3, 4)),
    "softmax of columns": (lambda a: G.softmax(a, 1), numbers(3, 4, 2)),
    "log_softmax": (G.log_softmax, numbers(3, 4)),
    "layer_norm": (G.layer_norm, numbers(3, 4), numbers(4), numbers(4)),
    "gru_step": (lambda *a: G.gru_step(*a), numbers(4, 9), numbers(4, 3), GRU[1]),
    "gru_step, masked": (
        lambda *a: G.gru_step(*a, mask=[1, 0, 1, 1]),
        numbers(4, 9),
        numbers(4, 3),
        GRU[1],
    ),
    "gru_layer": (G.gru_layer, numbers(3, 4, 2), *GRU),
    "gru_layer, masked, reverse": (
        lambda *a: G.gru_layer(*a, mask=MASK, reverse=True),
        numbers(3, 4, 2),
        *GRU,
    ),
    "lstm_step": (
        lambda *a: G.concatenate(G.lstm_step(*a)),
        numbers(4, 12),
        numbers(4, 3),
        numbers(4, 3),
        LSTM[1],
    ),
    "lstm_step, masked": (
        lambda *a: G.concatenate(G.lstm_step(*a, mask=[1, 0, 1, 1])),
        numbers(4, 12),
        numbers(4, 3),
        numbers(4, 3),
        LSTM[1],
    ),
    "lstm_layer": (G.lstm_layer, numbers(3, 4, 2), *LSTM),
    "lstm_layer, masked, reverse": (
        lambda *a: G.lstm_layer(*a, mask=MASK, reverse=True),
        numbers(3, 4, 2),
        *LSTM,
    ),
    "soft_first": (G.soft_first, shares(3, 4)),
    "soft_last": (G.soft_last, shares(3, 4)),
    "soft_largest": (lambda a: G.soft_largest(a, ORDER), shares(3, 4)),
    "soft_smallest": (lambda a: G.soft_smallest(a, ORDER), shares(3, 4)),
}


def differences(f, arrays, place, h=1e-6):
    """Central differences of the weighted sum that f returns."""
    result = np.zeros_like(arrays[place])
    for i in np.ndindex(result.shape):
        for sign in (1, -1):
            moved = [a.copy() for a in arrays]
            moved[place][i] += sign * h
            result[i] += sign * f(*moved) / (2 * h)
    return result


def test_every_operator_is_among_them():
    no_operators = {"Graph", "Node", "Value", "grad", "network", "record", "value", "variable"}
    assert set(G.__all__) - no_operators <= {
        name.replace(",", " ").split()[0] for name in OPERATORS
    }


@pytest.mark.parametrize("name", OPERATORS)
def test_adjoints_are_derivatives(name):
    """Of every argument, on its own and with the others."""
    operator, *arrays = OPERATORS[name]
    weights = numbers(*operator(*arrays).shape)
    leaves = [G.variable(a, f"argument {k}") for k, a in enumerate(arrays)]
    gradients = G.grad(operator(*leaves), leaves, seed=weights)
    for k, (array, gradient) in enumerate(zip(arrays, gradients, strict=True)):
        expected = differences(lambda *a: (operator(*a).value * weights).sum(), arrays, k)
        assert_allclose(gradient, expected, rtol=2e-7, atol=2e-8)
        alone = [leaves[k] if i == k else a for i, a in enumerate(arrays)]
        assert_allclose(
            G.grad(operator(*alone), [leaves[k]], seed=weights)[0], gradient, rtol=1e-13
        )
        assert gradient.shape == array.shape


@pytest.mark.parametrize("name", OPERATORS)
def test_float32_stays_float32(name):
    operator, *arrays = OPERATORS[name]
    leaves = [G.variable(a.astype(np.float32)) for a in arrays]
    node = operator(*leaves)
    assert node.dtype == np.float32
    expected = operator(*arrays)
    assert_allclose(node.value, expected.value, rtol=1e-4, atol=1e-5)
    seed = numbers(*node.shape)
    doubles = [G.variable(a) for a in arrays]
    for g, e in zip(
        G.grad(node, leaves, seed=seed),
        G.grad(operator(*doubles), doubles, seed=seed),
        strict=True,
    ):
        assert g.dtype == np.float32
        assert_allclose(g, e, rtol=1e-3, atol=1e-4)


# ---- the graph -----------------------------------------------------------------------------------
@pytest.fixture
def diamond():
    """x -> a, b;  b -> c;  a, b, c -> y, and a leaf z that y does not depend on."""
    x = G.variable(numbers(3, 4), "x")
    a = G.tanh(x @ numbers(4, 4)).named("a")
    b = G.sigmoid(x @ numbers(4, 4)).named("b")
    c = (b * b).named("c")
    return G.sum(a * b + c, 1).named("y")


def test_constants_leave_no_graph():
    assert (G.tanh(numbers(3)) + 1).parents == ()
    assert G.value(2.0) == 2
    assert not G.Graph(G.tanh(numbers(3)) + 1).named()
    kept = G.tanh(numbers(3)).named("kept")
    assert list(G.Graph(kept + 1).named()) == ["kept"]


def test_arithmetic_works_from_both_sides():
    x, v = G.variable([2.0, 4.0]), np.array([1.0, 3.0])
    for node, expected in (
        (x + v, [3, 7]),
        (v + x, [3, 7]),
        (x - v, [1, 1]),
        (v - x, [-1, -1]),
        (v * x, [2, 12]),
        (v / x, [0.5, 0.75]),
        (x / 2, [1, 2]),
        (-x, [-2, -4]),
    ):
        assert_array_equal(node.value, expected)
    square = G.variable(np.eye(2) * 2)
    assert_array_equal((np.ones((3, 2)) @ square).value, np.full((3, 2), 2))
    assert_array_equal((square @ np.ones((2, 3))).value, np.full((2, 3), 2))
    assert x.shape == (2,)
    assert len(x) == 2
    assert x.ndim == 1
    assert repr(x.named("x")) == "<Node 'x': variable, float64 (2,)>"


def test_paths_are_all_paths(diamond):
    paths = list(G.Graph(diamond).paths("x", "y"))
    assert sorted(paths) == [("x", "a", "y"), ("x", "b", "c", "y"), ("x", "b", "y")]
    assert list(G.Graph(diamond).paths("a", "c")) == []
    assert list(G.Graph(diamond).paths("b", "b")) == [("b",)]


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=25)
def test_all_paths_of_a_random_graph_add_up(seed):
    """The proposition of section 3.3.1, for the derivative at a point; groups are disjoint."""
    draw = np.random.default_rng(seed)
    nodes = [G.variable(draw.standard_normal((2, 3)), "0")]
    for k in range(1, 7):
        below = draw.choice(k, size=min(k, draw.integers(1, 4)), replace=False)
        total = sum((nodes[i] @ draw.standard_normal((3, 3)) for i in below), start=0.0)
        nodes.append(G.tanh(total).named(str(k)))
    y = nodes[-1]
    graph = G.Graph(y)
    total = graph.grad(y, ["0"])[0]
    every = list(graph.paths("0", "6"))
    assert len(set(every)) == len(every)
    parts = 0
    for path in every:
        avoid = [name for name in graph.named() if name not in path]
        parts = parts + graph.grad(y, ["0"], through=path[1:-1], avoid=avoid)[0]
    assert_allclose(parts, total, atol=1e-12)
    for through in (["3"], ["2", "4"], ["1", "3", "5"]):
        avoid = ["2"] if through == ["3"] else []
        if not set(through) | set(avoid) <= set(graph.named()):
            continue
        try:
            group = graph.grad(y, ["0"], through=through, avoid=avoid)[0]
        except ValueError:
            group = 0  # no path does this
        others = graph.grad_of_others(y, ["0"], through=through, avoid=avoid)[0]
        assert_allclose(group + others, total, atol=1e-12)


def test_through_takes_any_order_and_an_inner_node(diamond):
    forward = G.grad(diamond, ["x"], through=["b", "c"])[0]
    assert_array_equal(forward, G.grad(diamond, ["x"], through=["c", "b"])[0])
    inner = G.grad(diamond, ["b"])[0]
    graph = G.Graph(diamond)
    assert_allclose(inner, graph.node("a").value + 2 * graph.node("b").value)
    assert_array_equal(G.grad(diamond, ["x"], avoid=["y"])[0], np.zeros((3, 4)))
    assert_array_equal(G.grad(diamond, ["x"], through=["y"])[0], G.grad(diamond, ["x"])[0])


def test_what_does_not_reach_the_output_gets_zeros(diamond):
    z = G.variable(numbers(2, 2), "z")
    assert_array_equal(G.grad(diamond, [z])[0], np.zeros((2, 2)))


def test_bad_graphs_and_groups(diamond):
    with pytest.raises(ValueError, match="one of x, a, b, c, y; got 'd'"):
        G.grad(diamond, ["x"], avoid=["d"])
    with pytest.raises(ValueError, match="through a, then c, there are none"):
        G.grad(diamond, ["x"], through=["a", "c"])
    with pytest.raises(ValueError, match="through c that avoid b, there are none"):
        G.grad(diamond, ["x"], through=["c"], avoid=["b"])
    with pytest.raises(ValueError, match="to pass or to avoid a, got both"):
        G.grad(diamond, ["x"], through=["a"], avoid=["a"])
    with pytest.raises(TypeError, match="expected a list of nodes for through, got 'a'"):
        G.grad(diamond, ["x"], through="a")
    with pytest.raises(ValueError, match=r"expected a seed of shape \(3,\), got \(2,\)"):
        G.grad(diamond, ["x"], seed=np.ones(2))
    x = G.variable([1.0], "x")
    with pytest.raises(ValueError, match="different names of nodes, got 'x' twice"):
        G.Graph((x * 2).named("x"))
    with pytest.raises(TypeError, match="expected nodes of a graph, got ndarray"):
        G.Graph(np.ones(3))
    with pytest.raises(TypeError, match="expected real numbers in a variable"):
        G.variable(["a"])


@pytest.mark.parametrize("subscripts", ["bi,bi", "bii->b", "...i->i", "bi->bk"])
def test_bad_subscripts(subscripts):
    with pytest.raises(ValueError, match="expected subscripts such as"):
        G.einsum(subscripts, *[np.ones((2, 2))] * len(subscripts.split(",")))


def test_bad_products():
    with pytest.raises(ValueError, match=r"got \(2, 3\) and \(2, 3\)"):
        G.matmul(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="expected 2 operands"):
        G.einsum("bi,bj->ij", np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"lengths of the indices i, got \(3,\) and \(4,\)"):
        G.einsum("bi,bi->b", np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ValueError, match="expected 2 axes for 'bi'"):
        G.einsum("bi->b", np.ones(2))


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_products_of_pairs_are_those_of_numpy(seed):
    """Any subscripts of two operands, indices that only one has among them."""
    draw = np.random.default_rng(seed)
    sizes = dict(zip("abcdef", draw.integers(0, 4, 6), strict=True))
    left, right = ("".join(draw.permutation(list("abcdef"))[: draw.integers(0, 5)]) for _ in "12")
    known = sorted(set(left + right))
    output = "".join(draw.permutation(known)[: draw.integers(0, len(known) + 1)]) if known else ""
    a, b = (draw.standard_normal([sizes[i] for i in word]) for word in (left, right))
    subscripts = f"{left},{right}->{output}"
    x, y = G.variable(a), G.variable(b)
    node = G.einsum(subscripts, x, y)
    assert_allclose(node.value, np.einsum(subscripts, a, b), atol=1e-12)
    seed_of = draw.standard_normal(node.shape)
    for g, array, other in zip(G.grad(node, [x, y], seed=seed_of), (a, b), (b, a), strict=True):
        # The product is linear in each factor.
        assert g.shape == array.shape
        assert_allclose((g * array).sum(), (seed_of * node.value).sum(), atol=1e-9)
        assert other is not array


def test_sums_are_accumulated_in_float64():
    x = np.full((1, 2**20), 0.1, np.float32)
    exact = x.astype(np.float64).sum()
    assert abs(float(G.sum(G.variable(x)).value) - exact) <= np.spacing(np.float32(exact))


# ---- training ------------------------------------------------------------------------------------
def test_a_network_is_trained():
    """A GRU learns whether the first entry of a sequence was positive."""
    draw = np.random.default_rng(0)
    X = draw.standard_normal((256, 6, 1))
    y = (X[:, 0, 0] > 0).astype(int)
    weights = {
        "W": draw.standard_normal((1, 24)) * 0.5,
        "U": draw.standard_normal((8, 24)) * 0.5,
        "b": np.zeros(24),
        "V": draw.standard_normal((8, 2)) * 0.5,
    }

    def gradient(which):
        leaves = {name: G.variable(w, name) for name, w in weights.items()}
        h = G.gru_layer(X[which], leaves["W"], leaves["U"], leaves["b"])
        score = G.log_softmax(G.matmul(h[:, -1], leaves["V"]))
        loss = -G.mean(G.pick(score, y[which]))
        return float(loss.value), G.grad(loss, list(leaves))

    losses = descend(gradient, list(weights.values()), len(X), Adam(0.02), epochs=25, batch=32)
    assert losses[-1] < 0.1 < 0.5 < losses[0]


# ---- networks ------------------------------------------------------------------------------------
def test_networks_are_nodes():

    X = Cube(3).sample(400, seed=1)
    y = np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2]
    sparse = DSM(
        [
            Layer.random(3, 24, bias=True, routing=TopK(6)),
            Layer.random(24, 12, routing=TopK(4), seed=1),
        ]
    )
    kinds = ("relu", "identity", "triangle", "tanh", "abs")
    mixed = BoundedNetwork(
        [numbers(5, 3), numbers(2, 5)], [numbers(5), numbers(2)], [kinds, "tanh"]
    )
    mlp = MLP([3, 8, 2], dtype=np.float64, seed=1)
    for model, call in (
        (dense(3, 16, bias=True).fit(X, y), None),
        (sparse.fit(X, y), None),
        (LSH(EuclideanHash(3, 2, 3, width=0.7), degree=0).fit(X, y), None),
        (LSH(EuclideanHash(3, 2, 3, width=0.7), degree=3).fit(X, y), None),
        (BoundedNetwork.random([3, 8, 8, 1], activation="triangle"), "__call__"),
        (mixed, "__call__"),
        (mlp, "__call__"),
    ):
        predict = model.predict if call is None else model
        if model is mlp:
            predict = lambda points: mlp.predict(points[np.newaxis])[0]  # noqa: E731
        leaf = G.variable(X[:7], "x")
        node = G.network(model)(leaf)
        assert_allclose(node.value, predict(X[:7]), atol=1e-10)
        seed = numbers(*node.shape)
        expected = np.stack(
            [
                ((predict(X[:7] + h) - predict(X[:7] - h)) * seed).reshape(7, -1).sum(1) / 2e-7
                for h in 1e-7 * np.eye(3)
            ],
            axis=1,
        )
        assert_allclose(G.grad(node, ["x"], seed=seed)[0], expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(TypeError, match="expected a DSM"):
        G.network("dense")
