"""The dataflow graph: every operator against central differences, and groups of paths."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

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
