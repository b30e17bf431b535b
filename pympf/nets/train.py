"""Training by gradients: optimizers, and the loop over shuffled batches.

The loss of a batch of m points is (1/m) sum_i (g(x_i) - y_i)².

References
----------
.. [1] G. Hinton, "Neural networks for machine learning", lecture 6 (RMSProp), 2012.
.. [2] D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import cos, pi
from typing import Protocol

import numpy as np

from pympf._described import Described
from pympf._progress import each, working
from pympf.la import checks
from pympf.nets._checks import Array, random_numbers
from pympf.nets.rows import Rows

__all__ = [
    "SGD",
    "Adam",
    "Cosine",
    "Exponential",
    "Optimizer",
    "RMSProp",
    "decaying",
    "descend",
    "loss_and_gradient",
    "scheduled",
]

Parameters = Sequence[Array]


class Optimizer(Protocol):
    """A rule that turns gradients into steps."""

    learning_rate: float

    def step(self, parameters: Parameters, gradients: Parameters) -> None:
        """Change the parameters in place."""


class SGD(Described):
    """Plain gradient steps: w -= rate g.

    Parameters
    ----------
    learning_rate : float
        Length of the steps.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import SGD
    >>> w = np.array([1.0])
    >>> SGD(0.5).step([w], [np.array([1.0])])
    >>> w
    array([0.5])
    """

    def __init__(self, learning_rate: float = 1e-2) -> None:
        self.learning_rate = checks.positive(learning_rate, "learning_rate")

    def step(self, parameters: Parameters, gradients: Parameters) -> None:
        """Change parameters in place.

        Not collective.

        Parameters
        ----------
        parameters, gradients : sequence of ndarray
            Of the same shapes; the parameters are overwritten.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import SGD
        >>> SGD().step([np.ones(1)], [np.ones(1)])
        """
        for w, g in zip(parameters, gradients, strict=True):
            w -= self.learning_rate * g


class RMSProp(Described):
    """Steps divided by a running root mean square of the gradients [1]_.

    v = ρ v + (1 - ρ) g², w -= rate g/(√v + eps).

    Parameters
    ----------
    learning_rate : float
        1e-5 in the paper's section D.1.
    rho : float
        ρ, of [0, 1).
    eps : float
        Keeps the division finite.

    References
    ----------
    .. [1] G. Hinton, "Neural networks for machine learning", lecture 6, 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import RMSProp
    >>> w = np.array([1.0])
    >>> RMSProp(0.1, rho=0.75).step([w], [np.array([3.0])])
    >>> w.round(6)
    array([0.8])
    """

    def __init__(self, learning_rate: float = 1e-5, *, rho: float = 0.9, eps: float = 1e-7) -> None:
        self.learning_rate = checks.positive(learning_rate, "learning_rate")
        self.rho, self.eps = checks.number(rho, "rho", 0, 1), checks.positive(eps, "eps")
        self._squares: list[Array] = []

    def step(self, parameters: Parameters, gradients: Parameters) -> None:
        """Change parameters in place.

        Not collective.

        Parameters
        ----------
        parameters, gradients : sequence of ndarray
            Of the same shapes; the parameters are overwritten.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import RMSProp
        >>> RMSProp().step([np.ones(1)], [np.ones(1)])
        """
        if not self._squares:
            self._squares = [np.zeros_like(w) for w in parameters]
        for w, g, v in zip(parameters, gradients, self._squares, strict=True):
            v *= self.rho
            v += (1 - self.rho) * g * g
            w -= self.learning_rate * g / (np.sqrt(v) + self.eps)


class Adam(Described):
    """Steps along running means of the gradients, divided by their running size [1]_.

    Parameters
    ----------
    learning_rate : float
        Length of the steps.
    beta1, beta2 : float
        Decay of the means of g and of g².
    eps : float
        Keeps the division finite.

    References
    ----------
    .. [1] D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015,
       algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import Adam
    >>> w = np.array([1.0])
    >>> Adam(0.1).step([w], [np.array([3.0])])
    >>> w.round(6)
    array([0.9])
    """

    def __init__(
        self,
        learning_rate: float = 1e-3,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-7,
    ) -> None:
        self.learning_rate = checks.positive(learning_rate, "learning_rate")
        self.beta1, self.beta2 = (
            checks.number(beta1, "beta1", 0, 1),
            checks.number(beta2, "beta2", 0, 1),
        )
        self.eps = checks.positive(eps, "eps")
        self._moments: list[tuple[Array, Array]] = []
        self._steps = 0

    def step(self, parameters: Parameters, gradients: Parameters) -> None:
        """Change parameters in place.

        Not collective.

        Parameters
        ----------
        parameters, gradients : sequence of ndarray
            Of the same shapes; the parameters are overwritten.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import Adam
        >>> Adam().step([np.ones(1)], [np.ones(1)])
        """
        if not self._moments:
            self._moments = [(np.zeros_like(w), np.zeros_like(w)) for w in parameters]
        self._steps += 1
        # Both means start at zero; this undoes their bias towards it.
        first, second = 1 - self.beta1**self._steps, 1 - self.beta2**self._steps
        for w, g, (m, v) in zip(parameters, gradients, self._moments, strict=True):
            m *= self.beta1
            m += (1 - self.beta1) * g
            v *= self.beta2
            v += (1 - self.beta2) * g * g
            w -= self.learning_rate / first * m / (np.sqrt(v / second) + self.eps)


class _Falling(Described):
    """An optimizer whose rate is multiplied by a function of the steps done."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer, self.learning_rate = optimizer, optimizer.learning_rate
        self._done = 0

    def _factor(self) -> float:
        raise NotImplementedError

    def step(self, parameters: Parameters, gradients: Parameters) -> None:
        """Change parameters in place.

        Not collective.

        Parameters
        ----------
        parameters, gradients : sequence of ndarray
            Of the same shapes; the parameters are overwritten.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import SGD, Cosine
        >>> Cosine(SGD(), 10).step([np.ones(1)], [np.ones(1)])
        """
        self.optimizer.learning_rate = self.learning_rate * self._factor()
        self.optimizer.step(parameters, gradients)
        self._done += 1


class Cosine(_Falling):
    """An optimizer whose rate falls to zero along half a cosine: rate (1 + cos(π t/steps))/2.

    Parameters
    ----------
    optimizer : Optimizer
        A fresh one, with the rate of the first step.
    steps : int
        Steps in all.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import SGD, Cosine
    >>> w, rule = np.array([1.0]), Cosine(SGD(0.5), 2)
    >>> for _ in range(2):
    ...     rule.step([w], [np.ones(1)])
    >>> w.round(6)
    array([0.25])
    """

    def __init__(self, optimizer: Optimizer, steps: int) -> None:
        super().__init__(optimizer)
        self.steps = checks.integer(steps, "steps")

    def _factor(self) -> float:
        return (1 + cos(pi * min(1.0, self._done / self.steps))) / 2


class Exponential(_Falling):
    """An optimizer whose rate falls by a factor after each so many steps: rate·decay^⌊t/every⌋.

    Parameters
    ----------
    optimizer : Optimizer
        A fresh one, with the rate of the first steps.
    every : int
        Steps at one rate.
    decay : float
        The factor, of (0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import SGD, Exponential
    >>> w, rule = np.array([1.0]), Exponential(SGD(0.5), every=1, decay=0.5)
    >>> for _ in range(2):
    ...     rule.step([w], [np.ones(1)])
    >>> w.round(6)
    array([0.25])
    """

    def __init__(self, optimizer: Optimizer, every: int, decay: float = 0.98) -> None:
        super().__init__(optimizer)
        self.every = checks.integer(every, "every")
        self.decay = checks.number(decay, "decay", above=0, most=1)

    def _factor(self) -> float:
        return self.decay ** (self._done // self.every)


SCHEDULES = ("cosine", "exponential", "constant")
"""How a rate may fall over a training."""


def scheduled(
    optimizer: Optimizer,
    n: int,
    schedule: str = "cosine",
    *,
    epochs: int = 50,
    batch: int = 32,
    least: int = 1,
    decay: float = 0.98,
    every: float = 2.5,
) -> Optimizer:
    """Let the rate of an optimizer fall over a training.

    Not collective.

    Parameters
    ----------
    optimizer : Optimizer
        A fresh one.
    n, epochs, batch, least : int
        As of `descend`.
    schedule : {"cosine", "exponential", "constant"}
        To zero along half a cosine; by the factor `decay` after each `every` epochs; not at all.
    decay, every : float
        Of the exponential schedule; 0.98 and 2.5 in the thesis's chapter 4.

    Returns
    -------
    Optimizer
        With the number of steps that `descend` will take.

    Examples
    --------
    >>> from pympf.nets.train import SGD, scheduled
    >>> scheduled(SGD(), 100, "exponential", batch=10, every=2.5).every
    25
    """
    checks.choice(schedule, "schedule", SCHEDULES)
    epochs, batch = checks.integer(epochs, "epochs", 0), checks.integer(batch, "batch")
    steps = sum(1 for _ in _starts(n, batch, least))
    if schedule == "constant":
        return optimizer
    if schedule == "cosine":
        return Cosine(optimizer, max(1, epochs * steps))
    return Exponential(optimizer, max(1, round(checks.positive(every, "every") * steps)), decay)


def decaying(optimizer: Optimizer, n: int, *, epochs: int = 50, batch: int = 32) -> Cosine:
    """Let the rate of an optimizer fall to zero over a training: `scheduled` by the cosine.

    Not collective.

    Parameters
    ----------
    optimizer : Optimizer
        A fresh one.
    n, epochs, batch : int
        As of `descend`.

    Returns
    -------
    Cosine
        With the number of steps that `descend` will take.

    Examples
    --------
    >>> from pympf.nets.train import SGD, decaying
    >>> decaying(SGD(), 100, epochs=3).steps
    12
    """
    rule = scheduled(optimizer, n, "cosine", epochs=epochs, batch=batch)
    assert isinstance(rule, Cosine)
    return rule


def _starts(n: int, batch: int, least: int) -> range:
    """Give the first places of an epoch's batches: all that have at least `least` points."""
    return range(0, max(1, n - least + 1), batch)


def loss_and_gradient(
    rows: Rows, y: Array, weights: Array, intercept: Array
) -> tuple[float, list[Array]]:
    """Compute the loss of a batch and its gradient at the top layer.

    Not collective.

    Parameters
    ----------
    rows : Rows
        Activations of m points.
    y : ndarray, shape (m,)
        Target values.
    weights : ndarray, shape (t,)
        The weights of the units.
    intercept : ndarray, shape (1,)
        The constant.

    Returns
    -------
    loss : float
        The mean squared error.
    gradients : list of ndarray
        By the weights and by the intercept.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import Rows, loss_and_gradient
    >>> loss_and_gradient(Rows(np.ones((1, 1))), np.zeros(1), np.array([3.0]), np.zeros(1))
    (9.0, [array([6.]), array([6.])])
    """
    residual = rows @ weights + intercept - y
    slope = (2 / len(y)) * residual
    return float(residual @ residual) / len(y), [rows.back(slope), slope.sum(keepdims=True)]


def descend(
    gradient: Callable[[Array], tuple[float, Parameters]],
    parameters: Parameters,
    n: int,
    optimizer: Optimizer,
    *,
    epochs: int = 50,
    batch: int = 32,
    least: int = 1,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Go through the points in random order, batch by batch, and step after each.

    Not collective.

    Parameters
    ----------
    gradient : callable
        Maps the indices of a batch to its loss and its gradients by the parameters.
    parameters : sequence of ndarray
        Overwritten.
    n : int
        Number of points.
    optimizer : Optimizer
        `SGD`, `RMSProp` or `Adam`, fresh.
    epochs : int
        How often every point is used; 50 in the paper.
    batch : int
        Points of a step; the paper does not tell it.
    least : int
        The last batch of an epoch is left out if it has fewer points, and is not the only one.
    seed : int
        Seed of the order.
    progress : callable, optional
        Called after each epoch with its number, from 1, and its loss.

    Returns
    -------
    list of float
        The mean loss of each epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import SGD, descend
    >>> w = np.array([1.0])
    >>> losses = descend(lambda batch: (w[0] ** 2, [2 * w]), [w], 4, SGD(0.1), epochs=3, batch=2)
    >>> bool(losses[2] < losses[1] < losses[0])
    True
    """
    epochs, batch = checks.integer(epochs, "epochs", 0), checks.integer(batch, "batch")
    rng, starts = random_numbers(seed, "batches"), _starts(n, batch, checks.integer(least, "least"))
    losses = []
    with working("train") as work:
        tell = each(work, epochs, "epoch", progress)
        for epoch in range(1, epochs + 1):
            order, loss = rng.permutation(n), 0.0
            for start in starts:
                chosen = order[start : start + batch]
                batch_loss, gradients = gradient(chosen)
                optimizer.step(parameters, gradients)
                loss += batch_loss * len(chosen)
            losses.append(loss / min(n, starts[-1] + batch))
            tell(epoch, losses[-1])
    return losses
