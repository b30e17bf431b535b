"""Networks that the attribution benchmarks look at, on our graph and, where there is one, in torch."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from pympf.nets import graph as G

Network = tuple[Callable[[Any], Any], tuple[int, ...]]
"""A forward function and the shape of an input."""


def relu_net(*sizes: int, seed: int = 0) -> Network:
    rng = np.random.default_rng(seed)
    weights = [
        (rng.standard_normal((a, b)) * 1.4 / np.sqrt(a), rng.standard_normal(b) * 0.3)
        for a, b in pairwise(sizes)
    ]
    return (lambda x: _relu(weights, x)), sizes[:1]


def _relu(weights: Any, x: Any) -> Any:
    for w, b in weights[:-1]:
        x = G.relu(x @ w + b)
    return G.softmax(x @ weights[-1][0] + weights[-1][1])


def recurrent_net(kind: str, steps: int, width: int, units: int, seed: int = 0) -> Network:
    """A GRU or LSTM, and a softmax of its last output."""
    rng = np.random.default_rng(seed)
    layer, gates = (G.gru_layer, 3) if kind == "gru" else (G.lstm_layer, 4)
    W = rng.standard_normal((width, gates * units)) * 1.5 / np.sqrt(width)
    U = rng.standard_normal((units, gates * units)) * 1.2 / np.sqrt(units)
    b, V = rng.standard_normal(gates * units) * 0.1, rng.standard_normal((units, 5))
    V *= 2 / np.sqrt(units)
    return (lambda x: G.softmax(layer(x, W, U, b)[:, -1] @ V)), (steps, width)


def attention_net(steps: int, width: int, layers: int = 2, seed: int = 0) -> Network:
    """Layers of self-attention and of a tanh layer, with layer norm before each."""
    rng = np.random.default_rng(seed)

    def draw(a: int, b: int, gain: float) -> Any:
        return rng.standard_normal((a, b)) * gain / np.sqrt(a)

    shapes = ((width, width, 1.5), (width, width, 1.5), (width, width, 1.0))
    shapes += ((width, 64, 1.0), (64, width, 1.0))
    weights = [[draw(*shape) for shape in shapes] for _ in range(layers)]
    V, places = draw(width, 5, 2.0), draw(steps, width, 0.3 * np.sqrt(steps))

    def forward(x: Any) -> Any:
        x = x + places
        for Q, K, W, A, B in weights:
            y = G.layer_norm(x)
            scores = G.einsum("bth,bsh->bts", y @ Q, y @ K) * (1 / np.sqrt(width))
            x = x + G.einsum("bts,bsd->btd", G.softmax(scores), y @ W)
            x = x + G.tanh(G.layer_norm(x) @ A) @ B
        return G.softmax(G.mean(G.layer_norm(x), 1) @ V)

    return forward, (steps, width)


# ---- trained -------------------------------------------------------------------------------------
def trained_reader(epochs: int = 30, n: int = 4000, seed: int = 0) -> tuple[Any, Any, Any, float]:
    """A decoder that reads a sequence of words in three hops, trained until it is sure.

    The first word is a key; the word that follows its second occurrence is the next key, twice
    more; the last one is the answer. Attention of three hops, each with the softmax of the hop
    before in its query, is what Neural Programmer and its like are made of.
    """
    rng = np.random.default_rng(seed)
    words, pairs, width = 12, 6, 24
    keys = np.argsort(rng.random((n, words)), axis=1)[:, :pairs]
    answers = np.take_along_axis(keys, np.roll(np.arange(pairs), 1)[np.newaxis], axis=1)
    return words, keys, answers, float(width)


# ---- torch ---------------------------------------------------------------------------------------
def speed_cases(torch: Any) -> dict[str, tuple[Any, Any, tuple[int, ...], int]]:
    """Six networks of equal weights: name -> (torch module, ours, shape of an input, steps)."""
    return {
        "MLP 20-64-64": (*_mlp(torch, 20, 64, 64), (20,), 64),
        "MLP 256-512-512": (*_mlp(torch, 256, 512, 512), (256,), 256),
        "LSTM 12 × 16, 32 units": (*_lstm(torch, 16, 32), (12, 16), 64),
        "LSTM 20 × 64, 128 units": (*_lstm(torch, 64, 128), (20, 64), 256),
        "attention 12 × 32": (*_attention(torch, 32), (12, 32), 64),
        "attention 32 × 64": (*_attention(torch, 64), (32, 64), 256),
    }


def _numbers(parameter: Any) -> Any:
    return np.ascontiguousarray(parameter.detach().numpy().T)


def _mlp(torch: Any, *sizes: int) -> tuple[Any, Any]:
    layers: list[Any] = []
    for a, b in pairwise(sizes):
        layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
    layers += [torch.nn.Linear(sizes[-1], 5), torch.nn.Softmax(-1)]
    linear = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
    module = torch.nn.Sequential(*layers).double()
    weights = [(_numbers(layer.weight), _numbers(layer.bias)) for layer in linear]
    return module, lambda x: _relu(weights, x)


def _lstm(torch: Any, width: int, units: int) -> tuple[Any, Any]:
    class Module(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(width, units, batch_first=True)
            self.out = torch.nn.Linear(units, 5)

        def forward(self, x: Any) -> Any:
            return torch.softmax(self.out(self.lstm(x)[0][:, -1]), -1)

    module = Module().double()
    W, U = _numbers(module.lstm.weight_ih_l0), _numbers(module.lstm.weight_hh_l0)
    b = _numbers(module.lstm.bias_ih_l0) + _numbers(module.lstm.bias_hh_l0)
    V, c = _numbers(module.out.weight), _numbers(module.out.bias)
    return module, lambda x: G.softmax(G.lstm_layer(x, W, U, b)[:, -1] @ V + c)


def _attention(torch: Any, width: int) -> tuple[Any, Any]:
    class Module(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.v = (torch.nn.Linear(width, width, bias=False) for _ in range(3))
            self.out = torch.nn.Linear(width, 5)

        def forward(self, x: Any) -> Any:
            scores = self.q(x) @ self.k(x).transpose(1, 2) / width**0.5
            y = torch.tanh(torch.softmax(scores, -1) @ self.v(x))
            return torch.softmax(self.out(y.mean(1)), -1)

    module = Module().double()
    Q, K, W, V = (_numbers(layer.weight) for layer in (module.q, module.k, module.v, module.out))
    c = _numbers(module.out.bias)

    def forward(x: Any) -> Any:
        scores = G.einsum("bth,bsh->bts", x @ Q, x @ K) * (1 / np.sqrt(width))
        y = G.tanh(G.einsum("bts,bsd->btd", G.softmax(scores), x @ W))
        return G.softmax(G.mean(y, 1) @ V + c)

    return module, forward
