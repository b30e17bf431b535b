"""What compresses a network in depth: reading it, and training a shallow one on its outputs.

`compress` reads a parity off a network by n + 1 evaluations and writes it down in as few layers as
asked for: exact, or refused. `distill` trains a student on the outputs of a teacher, and first, if
so asked, on its intermediate layers: what the paper calls the coarse use of the representation.

References
----------
.. [1] W. Burstein, J. Wilmes, "Obstacles to depth compression of neural networks", 2020, section 2.
.. [2] G. Hinton, O. Vinyals, J. Dean, "Distilling the knowledge in a neural network", 2015.
.. [3] A. Romero et al., "FitNets: hints for thin deep nets", ICLR 2015.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf.la.checks import integer
from pympf.nets._checks import Array, as_outputs, as_points
from pympf.nets.depth.bounded import BoundedNetwork
from pympf.nets.depth.parities import as_inputs, corners, parity, parity_values, random_corners
from pympf.nets.depth.parity_learning import read_parity
from pympf.nets.model import Model, make_optimizer
from pympf.nets.modular.mlp import MLP
from pympf.nets.train import decaying, descend

__all__ = ["Distilled", "compress", "distill"]

Map = Callable[[Array], Array]

LISTED = 16
"""Bits up to which all corners are compared."""


# ---- reading a network ---------------------------------------------------------------------------
def compress(
    f: Map,
    n: int | None = None,
    *,
    depth: int = 3,
    activation: str = "triangle",
    checks: int = 4096,
    seed: int = 0,
) -> BoundedNetwork:
    """Replace a network that computes ± a parity by a shallow one that does so exactly.

    Not collective. It reads the parity by n + 1 evaluations, then compares.

    Parameters
    ----------
    f : callable
        The network: maps points of shape (m, n) to values of shape (m,).
    n : int, optional
        Number of inputs; that of a `BoundedNetwork` by default.
    depth : int
        Layers of the result.
    activation : {"triangle", "relu"}
        As of `parity`.
    checks : int
        Random corners at which both are compared when n > 16; up to there all are. A network that
        differs at a share p of the corners passes with the probability (1 - p)^checks.
    seed : int
        Seed of these corners.

    Returns
    -------
    BoundedNetwork
        The parity. ValueError where f is none: nothing is approximated.

    Examples
    --------
    >>> from pympf.nets import compress, parity_tree
    >>> f = parity_tree(range(64), 64)
    >>> f.depth, compress(f).depth, compress(f).sizes
    (7, 3, [64, 1, 1, 1])
    """
    n = as_inputs(f, n)
    found = read_parity(f, n)
    X = corners(n) if n <= LISTED else random_corners(n, integer(checks, "checks"), seed)
    off = np.abs(as_outputs(f(X), len(X), 1)[:, 0] - found.sign * parity_values(found.bits, X))
    if off.max() > 1e-6:
        raise ValueError(
            f"expected a network that computes a parity; {np.mean(off > 1e-6):.3g} of {len(X)} "
            f"corners differ from that of bits {found.bits.tolist()}, by up to {off.max():.3g}"
        )
    return parity(found.bits, n, depth=depth, activation=activation, sign=found.sign)


# ---- distillation --------------------------------------------------------------------------------
@dataclass
class Distilled:
    """A student, its teacher, and the losses of the epochs of each stage."""

    teacher: Map
    student: Any
    losses: list[float]
    hint_losses: list[list[float]] = field(default_factory=list)

    def relative_error(self, X: ArrayLike) -> float:
        """Compute the mean squared difference over the variance of the teacher.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (m, d)
            Points, not those of the training.

        Returns
        -------
        float
            1 for a student that only knows the mean.

        Examples
        --------
        See `distill`.
        """
        expected, found = self._both(X)
        spread = np.square(expected - expected.mean(axis=0)).sum()
        return float(np.square(found - expected).sum() / spread)

    def accuracy(self, X: ArrayLike) -> float:
        """Compute the share of points at which both have the same sign.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (m, d)
            Points, not those of the training.

        Returns
        -------
        float
            1/2 for a student that knows nothing of a parity.

        Examples
        --------
        See `distill`.
        """
        expected, found = self._both(X)
        return float((np.sign(found) == np.sign(expected)).mean())

    def _both(self, X: ArrayLike) -> tuple[Array, Array]:
        X = as_points(X)
        found = as_outputs(_predict(self.student, X), len(X))
        return as_outputs(self.teacher(X), len(X), found.shape[1]).astype(np.float64), found


def distill(
    teacher: Map,
    student: BoundedNetwork | Model | MLP,
    X: ArrayLike,
    *,
    hints: Sequence[tuple[int, int]] | None = None,
    method: str = "adam",
    **options: Any,
) -> Distilled:
    """Train a student on the outputs of a teacher, after hints from its intermediate layers.

    Not collective.

    Parameters
    ----------
    teacher : callable
        Maps points, shape (m, d), to outputs, shape (m,) or (m, k). With hints a `BoundedNetwork`.
    student : BoundedNetwork, Model or MLP
        Trained in place. With hints a `BoundedNetwork`.
    X : array_like, shape (m, d)
        Points; they need no labels.
    hints : sequence of (int, int), optional
        Pairs (layer of the teacher, layer of the student), counted from 1. For each in turn the
        student's layers up to that one are trained so that a linear map of their outputs gives the
        teacher's [1]_; the map is then thrown away.
    method : {"adam", "rmsprop", "sgd"}
        The optimizer of every stage; for a `Model` also "lstsq".
    **options
        `learning_rate`, and those of `descend`: `epochs`, `batch`, `seed`, `progress`.

    Returns
    -------
    Distilled
        With `relative_error(X)` and `accuracy(X)` at other points.

    References
    ----------
    .. [1] A. Romero et al., "FitNets: hints for thin deep nets", ICLR 2015.

    Examples
    --------
    >>> from pympf.nets import BoundedNetwork, distill, parity_tree, random_corners
    >>> teacher, student = parity_tree([0, 1], 10), BoundedNetwork.random([10, 64, 1])
    >>> found = distill(teacher, student, random_corners(10, 2000), learning_rate=3e-3, epochs=30)
    >>> found.accuracy(random_corners(10, 500, seed=1))
    1.0
    """
    X = as_points(X)
    if len(X) < 2:
        raise ValueError(f"expected at least 2 points, got {len(X)}")
    hint_losses = []
    for layers in hints or ():
        if not isinstance(teacher, BoundedNetwork) or not isinstance(student, BoundedNetwork):
            raise ValueError("expected BoundedNetworks as teacher and student with hints")
        hint_losses.append(_follow(teacher, student, X, *layers, method, options))
    Y = as_outputs(teacher(X), len(X))
    if (Y[0] == Y).all():
        raise ValueError(f"expected outputs that differ, got {Y[0].tolist()} at all points")
    return Distilled(teacher, student, _train(student, X, Y, method, options), hint_losses)


def _follow(
    teacher: BoundedNetwork,
    student: BoundedNetwork,
    X: Array,
    theirs: int,
    ours: int,
    method: str,
    options: dict[str, Any],
) -> list[float]:
    """Train the layers of the student up to `ours` towards outputs of the teacher's layer."""
    targets = teacher.slice(1, theirs)(X)
    lower = student.slice(1, ours)
    sizes = [lower.sizes[-1], teacher.sizes[theirs]]
    guided = lower.then(BoundedNetwork.random(sizes, dtype=student.dtype))
    return _train(guided, X, as_outputs(targets, len(X)), method, options)


def _train(student: Any, X: Array, Y: Array, method: str, options: dict[str, Any]) -> list[float]:
    options = dict(options)
    if isinstance(student, BoundedNetwork):
        return student.fit(X, Y, method, **options).losses
    if isinstance(student, Model):
        return list(getattr(student.fit(X, Y[:, 0], method, **options), "losses", []))
    return _train_mlp(student, X, Y, method, options)


def _train_mlp(net: MLP, X: Array, Y: Array, method: str, options: dict[str, Any]) -> list[float]:
    if net.copies != 1:
        raise ValueError(f"expected one network to train, got an MLP of {net.copies} copies")
    X, Y = X.astype(net.dtype), Y.astype(net.dtype)
    optimizer = make_optimizer(method, options)
    size = {name: options[name] for name in ("epochs", "batch") if name in options}
    optimizer = decaying(optimizer, len(X), **size)

    def gradient(which: Array) -> tuple[float, list[Array]]:
        outputs, tape = net.forward(X[None, which])
        residual = outputs - Y[which]
        slope = residual * net.dtype.type(2 / len(which))
        return float(np.square(residual).sum()) / len(which), net.backward(tape, slope)[0]

    return descend(gradient, net.parameters, len(X), optimizer, **options)


def _predict(student: Any, X: Array) -> Array:
    if isinstance(student, MLP):
        return student.predict(X[None])[0]
    return student.predict(X) if isinstance(student, Model) else student(X)
