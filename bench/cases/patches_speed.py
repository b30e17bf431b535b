"""Convolutional networks in NumPy against PyTorch's in the same process, one thread each: images a
second of the processor's time, the best of some runs in turns, so that other programs on the
machine count little. PyTorch has its images channels-last. *Step*: forward and backward by all
parameters, or by scales, biases and the last layer (S/B). *Folded*: normalizations are in the
convolutions. *Cached*: an epoch of the last layer alone, on features that are kept, in epochs of
the whole network. *Gradient*: the largest difference from PyTorch's in float64, over the largest
entry (in float32 a unit at a kink of ReLU6 may be on either side of it, which moves a sum of random
terms by one of them). Without PyTorch its cells are empty.
"""

import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tables

from pympf.nets import patches
from pympf.nets._checks import random_numbers

TITLE = "Model patches: speed against PyTorch"

BLOCKS = ((1, 16, 1), (4, 24, 2), (4, 24, 1), (4, 40, 2), (4, 40, 1))
NETWORKS: dict[str, tuple[int, Callable[[], patches.Network]]] = {
    "39 370 parameters, 16²": (64, lambda: patches.residual_network((3, 16, 16), 10)),
    "small, 28² × 1": (64, lambda: patches.residual_network((1, 28, 28), 10, BLOCKS)),
    "small, 32²": (64, lambda: patches.residual_network((3, 32, 32), 10, BLOCKS)),
    "MobileNetV2 × 0.35, 96²": (16, lambda: patches.mobilenet_v2((3, 96, 96), 10, 0.35)),
    "MobileNetV2, 224²": (2, lambda: patches.mobilenet_v2((3, 224, 224), 10)),
}
"""Images of a batch, and the network."""


def points(tiny: bool) -> list[dict[str, Any]]:
    names = list(NETWORKS)[:1] if tiny else NETWORKS
    return [{"network": name, "rounds": 1 if tiny else 9, "threads": 1} for name in names]


def run(network: str, rounds: int, threads: int = 1) -> dict[str, Any]:
    n, build = NETWORKS[network]
    net, rng = build(), random_numbers(0, "speed")
    X = rng.standard_normal((n, *net.shape), np.float32)
    y = rng.integers(0, net.n_classes, n)
    images, folded = np.ascontiguousarray(X.transpose(1, 0, 2, 3)), net.fold()
    calls: dict[str, Callable[[], Any]] = {
        "forward": lambda: net.decision_function(X, batch=n),
        "folded": lambda: folded.decision_function(X, batch=n),
        "step": lambda: net.gradient(images, y),
        "patch_step": lambda: net.gradient(images, y, ("scale-bias", "last")),
    }
    found: dict[str, Any] = {"parameters": net.count()["all"]}
    if importlib.util.find_spec("torch"):
        twin = Twin(net, X, y)
        calls |= {"torch_forward": twin.forward, "torch_step": twin.step}
        found["gradient"] = difference(net, X, y)
    found |= {f"{name}_images_per_s": n / s for name, s in in_turns(calls, rounds).items()}
    return found | {"cached": cached(net)}


def in_turns(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Least seconds of the processor of each call."""
    least = dict.fromkeys(calls, np.inf)
    for _ in range(rounds + 1):  # the first is the warm-up
        for name, call in calls.items():
            start = time.process_time()
            call()
            least[name] = min(least[name], time.process_time() - start)
    return least


def cached(net: patches.Network, images: int = 256) -> float | None:
    """Time of an epoch of everything over that of the last layer on cached features."""
    if net.shape[1] > 32:
        return None
    rng = random_numbers(0, "cached")
    X = rng.standard_normal((images, *net.shape), np.float32)
    y = rng.integers(0, net.n_classes, images)
    seconds = {}
    # Many epochs and few differ by those that need no features.
    for groups, epochs in (("last", 1), ("last", 41), (None, 1)):
        start = time.process_time()
        net.fit(X, y, groups=groups, epochs=epochs)
        seconds[groups, epochs] = time.process_time() - start
    return seconds[None, 1] / max(1e-9, (seconds["last", 41] - seconds["last", 1]) / 40)


def difference(net: patches.Network, X: np.ndarray, y: np.ndarray) -> float:
    """Compare the gradients in float64."""
    exact = patches.Network(net.shape, net.structure, dtype=np.float64)
    X = X.astype(np.float64)
    twin = Twin(exact, X, y)
    images = np.ascontiguousarray(X.transpose(1, 0, 2, 3))
    return twin.difference(exact.gradient(images, y)[1])


class Twin:
    """The same network in PyTorch."""

    def __init__(self, net: patches.Network, X: np.ndarray, y: np.ndarray) -> None:
        import torch

        torch.set_num_threads(1)
        self.torch, self.net = torch, net
        layout = {"memory_format": torch.channels_last}
        self.images = torch.from_numpy(X).to(**layout)
        self.labels = torch.from_numpy(y)
        self.parameters: list[tuple[str, Any]] = []
        dtype = torch.from_numpy(X).dtype
        torch.set_default_dtype(dtype)  # of the modules that are made next
        self.module = self._chain(net._chain.layers).to(**layout)
        torch.set_default_dtype(torch.float32)

    def _chain(self, layers: Any) -> Any:
        return self.torch.nn.Sequential(*(self._twin(layer) for layer in layers))

    def _twin(self, layer: Any) -> Any:
        nn = self.torch.nn
        if layer.kind == "residual":
            return self._residual(self._chain(layer.layers))
        if layer.kind in ("relu6", "mean"):
            mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
            return nn.ReLU6(inplace=True) if layer.kind == "relu6" else mean
        arrays = {key: self.torch.from_numpy(a.copy()) for key, a in layer.parameters.items()}
        if layer.kind == "norm":
            module = nn.BatchNorm2d(len(arrays["scale"]), eps=1e-3)
            keys = {"scale": "weight", "bias": "bias"}
        else:
            weights = arrays["weights"]
            if layer.kind == "linear":
                module = nn.Linear(*weights.shape[::-1])
            else:
                size = 1 if layer.kind == "pointwise" else 3
                options = {"stride": getattr(layer, "stride", 1), "padding": size // 2}
                groups = len(weights) if layer.kind == "depthwise" else 1
                options |= {"groups": groups, "bias": False}
                inputs = groups if groups > 1 else weights.shape[1]
                module = nn.Conv2d(inputs, len(weights), size, **options)
                arrays["weights"] = weights.reshape(module.weight.shape)
            keys = {"weights": "weight", "bias": "bias"}
        for key, array in arrays.items():
            parameter = getattr(module, keys[key])
            parameter.data.copy_(array)
            self.parameters.append((f"{layer.name}.{key}", parameter))
        return module

    def _residual(self, inner: Any) -> Any:
        class Residual(self.torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = inner

            def forward(self, x: Any) -> Any:
                return x + self.inner(x)

        return Residual()

    def forward(self) -> Any:
        self.module.eval()
        with self.torch.no_grad():
            return self.module(self.images)

    def step(self) -> None:
        self.module.train()
        self.module.zero_grad()
        logits = self.module(self.images)
        self.torch.nn.functional.cross_entropy(logits, self.labels).backward()

    def difference(self, gradients: dict[str, np.ndarray]) -> float:
        self.step()
        worst = largest = 0.0
        for name, parameter in self.parameters:
            theirs = parameter.grad.numpy().reshape(gradients[name].shape)
            worst = max(worst, float(abs(theirs - gradients[name]).max()))
            largest = max(largest, float(abs(theirs).max()))
        return worst / largest


def render(rows: list[tables.Row]) -> str:
    header = ("images a second", "parameters", "forward", "folded", "PyTorch", "its lead")
    header += ("step", "S/B step", "PyTorch's step", "its lead", "gradient", "cached")
    lines = []
    for row in rows:
        cells = {name.removesuffix("_images_per_s"): value for name, value in row.items()}
        line = [row["network"], row["parameters"], cells["forward"], cells["folded"]]
        line += _against(cells.get("torch_forward"), max(cells["forward"], cells["folded"]))
        line += [cells["step"], cells["patch_step"]]
        line += [*_against(cells.get("torch_step"), cells["step"]), row.get("gradient")]
        lines.append([*line, row["cached"]])
    return tables.markdown(header, lines)


def _against(theirs: float | None, ours: float) -> list[Any]:
    return [theirs, None if theirs is None else f"{theirs / ours:.2f}"]
