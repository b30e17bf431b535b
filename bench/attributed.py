"""Networks of equal weights in torch and on our graph, whose attributions are timed."""

from itertools import pairwise
from typing import Any

import numpy as np

from pympf.nets import graph as G


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


def _relu(weights: Any, x: Any) -> Any:
    for w, b in weights[:-1]:
        x = G.relu(x @ w + b)
    return G.softmax(x @ weights[-1][0] + weights[-1][1])


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
