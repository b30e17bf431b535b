"""Integrated gradients: IG_i = (x_i - x'_i) ∫₀¹ ∂_iF(x' + α (x - x')) dα.

    thesis, section 3.1        here
    x, x'                      inputs, baselines
    F                          target: an entry of the output, or of a named node
    Σ_i IG_i = F(x) - F(x')    completeness; delta is what the sum is too large
    IG of paths p              paths: groups by nodes to pass and to avoid

References
----------
.. [1] M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML 2017.
.. [2] K. Dhamdhere, M. Sundararajan, Q. Yan, "How important is a neuron?", ICLR 2019.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pympf._described import Described
from pympf.explain.adaptive import Integral, Jump, Piece
from pympf.explain.line import Line, Paths, Target, plus
from pympf.explain.rules import FIXED_RULES, quadrature
from pympf.la import as_array, checks
from pympf.nets._checks import Array

__all__ = ["METHODS", "Attribution", "IncompleteWarning", "IntegratedGradients"]

METHODS = ("adaptive", "kinks", *FIXED_RULES)
"""Adaptive pieces, exact pieces between kinks, and the rules of fixed points."""

ORDERS = {"adaptive": 6, "kinks": 3}
"""Gauss points on each piece."""

EXACT = 5e-9
"""Between kinks few points do, so that pieces have to be as complete as this."""


class IncompleteWarning(UserWarning):
    """Attributions do not sum to the change of the output."""


@dataclass(repr=False)
class Attribution:
    """Attributions and how far they can be trusted; unpacks into attributions and delta.

    Parameters
    ----------
    attributions : ndarray, tuple or dict of ndarray
        As the inputs, of their shapes; with a list of targets they have one more leading axis.
    delta : float or ndarray, shape (targets,)
        Σ attributions + Σ jumps - (F(x) - F(x')).
    change : float or ndarray, shape (targets,)
        F(x) - F(x').
    n_points : int
        Gradients that were computed.
    n_values : int
        Values of F without a gradient that were computed.
    worst : Piece
        The piece of the path that lacks most.
    jumps : list of Jump
        Where F jumps along the path; they belong to no input.
    paths : dict
        The attributions of each group of paths.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.explain import IntegratedGradients
    >>> product = IntegratedGradients(lambda x: x[:, 0] * x[:, 1])
    >>> attributions, delta = product.attribute(np.array([2.0, 3.0]))
    >>> attributions.round(12), bool(abs(delta) < 1e-12)
    (array([3., 3.]), True)
    """

    attributions: Any
    delta: Any
    change: Any
    n_points: int
    n_values: int
    worst: Piece
    jumps: list[Jump] = field(default_factory=list)
    paths: dict[str, Any] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.attributions, self.delta))

    def __repr__(self) -> str:
        change = np.atleast_1d(self.change)
        few = ", ".join(f"{c:.4g}" for c in change[:4]) + ", …" * (len(change) > 4)
        return (
            f"<Attribution of F(x) - F(x') = {few}, |delta| <= {np.abs(self.delta).max():.1e}, "
            f"{self.n_points} gradients, {len(self.jumps)} jumps, groups: {list(self.paths)}>"
        )


class IntegratedGradients(Described):
    """Attribute an output of a dataflow graph to its inputs.

    Parameters
    ----------
    forward : callable
        Maps nodes (`pympf.nets.graph`), one for each input, to the output node, or to several. The
        leading axis of each counts points of a path, so that an input of shape s arrives as
        ``(points, *s)``; what the function knows besides has to broadcast along that axis.

    References
    ----------
    .. [1] Thesis, section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.explain import IntegratedGradients
    >>> from pympf.nets.graph import softmax
    >>> W = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    >>> result = IntegratedGradients(lambda x: softmax(x @ W)).attribute(np.ones(3), target=1)
    >>> result.attributions.round(3)
    array([-0.231,  0.462,  0.   ])
    """

    def __init__(self, forward: Callable[..., Any]) -> None:
        if not callable(forward):
            raise TypeError(f"expected a function of nodes, got {type(forward).__name__}")
        self.forward = forward

    def attribute(
        self,
        inputs: Any,
        baselines: Any = None,
        *,
        target: Any = None,
        n_steps: int = 50,
        method: str = "adaptive",
        internal_batch_size: int = 64,
        return_convergence_delta: bool = True,
        tol: float = 1e-3,
        max_steps: int = 20_000,
        strict: bool = False,
        paths: Any = None,
    ) -> Any:
        """Integrate gradients along the straight line from a baseline to an input.

        Not collective.

        Parameters
        ----------
        inputs : array_like, or tuple, list or dict of array_like
            One point, without an axis for a batch. Several inputs (a tuple, or a list of ndarray)
            move along the line together; a dict goes to the forward function by name.
        baselines : array_like, number, or as `inputs`, optional
            Of the shapes of the inputs; zeros by default. With one more leading axis they are a
            distribution of baselines, over which attributions are averaged.
        target : int, tuple of int, tuple of str and ints, or list of these, optional
            Which entry of the output; a tuple that begins with the name of a node takes an entry of
            its value. A list gives attributions of each, from the same forward pass. Not needed
            where there is one number for each point.
        n_steps : int
            Points of a fixed rule. The adaptive methods begin with as many or half of them.
        method : str
            ``"adaptive"``, ``"kinks"`` or one of `FIXED_RULES`.
        internal_batch_size : int
            Points that are computed at once; memory grows with it and not with `n_steps`.
        return_convergence_delta : bool
            Whether to return an `Attribution`, which unpacks into attributions and delta, or the
            attributions alone.
        tol : float
            What delta may be, in the unit of the output; a piece of the path may lack this times
            its share of it.
        max_steps : int
            At about so many gradients the adaptive methods stop halving.
        strict : bool
            Whether a larger delta is an error and not an `IncompleteWarning`.
        paths : dict of str to Paths, optional
            Groups of dataflow paths, attributed too; a list of dicts of equal keys, one for each of
            a list of targets.

        Returns
        -------
        Attribution
            Or ndarray, tuple or dict, without the delta.

        Raises
        ------
        ValueError
            For inputs, baselines, targets, methods or names that do not fit, values or gradients
            that are not finite, or, if strict, a delta above `tol`.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.explain import IntegratedGradients
        >>> from pympf.nets.graph import tanh
        >>> ig = IntegratedGradients(lambda x, y: tanh(x[:, 0] + y[:, 0] * y[:, 1]))
        >>> x, y = ig.attribute(([0.5], [1.0, 2.0])).attributions
        >>> x.shape, y.shape, bool(abs(x.sum() + y.sum() - np.tanh(2.5)) < 1e-3)
        ((1,), (2,), True)
        """
        checks.choice(method, "method", METHODS)
        steps = checks.integer(n_steps, "n_steps")
        batch = checks.integer(internal_batch_size, "internal_batch_size")
        tol, most = checks.positive(tol, "tol"), checks.integer(max_steps, "max_steps")
        keys, arrays = _unpacked(inputs, "inputs")
        several = isinstance(target, list)
        targets = [_as_target(one) for one in (target if several else [target])]
        if not targets:
            raise ValueError("expected at least one target, got an empty list")
        groups = _as_groups(paths, targets, several)
        named = dict(zip(keys, arrays, strict=True)) if isinstance(inputs, Mapping) else arrays
        parts = []
        for baseline in _baselines(baselines, inputs, keys, arrays):
            line = Line(self.forward, named, baseline, targets, groups, batch)
            if method in FIXED_RULES:
                parts.append(_fixed(line, method, steps))
            else:
                parts.append(_adaptive(line, method, steps, tol, most))
        pack = _packer(inputs, keys, several)
        result = _averaged(parts, list(groups[0]), pack, several)
        _warn(result, method, tol, strict)
        return result if return_convergence_delta else result.attributions


# ---- one line ------------------------------------------------------------------------------------
def _adaptive(line: Line, method: str, steps: int, tol: float, most: int) -> Any:
    order, kinks = ORDERS[method], method == "kinks"
    integral = Integral(line, order=order, tol=min(tol, EXACT) if kinks else tol, max_steps=most)
    integral.run(1 if kinks else max(1, steps // (2 * order)), kinks)
    ends = line.values(np.array([0.0, 1.0]))[0]
    return line, integral.sums, ends, integral.worst, integral.jumps


def _fixed(line: Line, method: str, steps: int) -> Any:
    """Sum over the points of a rule, batch by batch; the worst piece is one between two points."""
    alphas, weights = quadrature(method, steps)
    ends, regimes = line.values(np.array([0.0, 1.0]))
    sums: Any = None
    values, slopes, found = [ends[:1]], [], [regimes[:1]]
    for k in range(0, len(alphas), line.batch):
        some = slice(k, k + line.batch)
        part = line.integrals(alphas[np.newaxis, some], weights[np.newaxis, some])
        new = [[[s[0] for s in group] for group in target] for target in part.sums]
        sums = plus(sums, new)
        values.append(part.values[0])
        slopes.append(part.slopes[0])
        found.append(part.regimes[0])
    F, every = np.concatenate([*values, ends[1:]]), np.concatenate([*found, regimes[1:]])
    edges = np.concatenate([[0.0], alphas, [1.0]])
    integral = Integral(line, order=1, tol=np.inf, max_steps=1)
    if (every[1:] != every[:-1]).any():
        integral.find_jumps(edges, F, every)
    worst = _worst(edges, F, np.concatenate(slopes), integral.jumps)
    return line, sums, ends, worst, integral.jumps


def _worst(edges: Array, F: Array, slope: Array, jumps: list[Jump]) -> Piece:
    """Compare F with a trapezoid between two points: not the rule, but it shows steep places."""
    slope = np.concatenate([slope[:1], slope, slope[-1:]])
    lacks = np.diff(edges)[:, np.newaxis] * (slope[1:] + slope[:-1]) / 2 - np.diff(F, axis=0)
    for jump in jumps:
        lacks[np.searchsorted(edges[1:-1], jump.place)] += jump.size
    place, which = np.unravel_index(np.abs(lacks).argmax(), lacks.shape)
    return Piece(float(edges[place]), float(edges[place + 1]), float(lacks[place, which]))


# ---- results -------------------------------------------------------------------------------------
def _averaged(
    parts: list[Any], names: list[str], pack: Callable[[list[list[Array]]], Any], several: bool
) -> Attribution:
    """Average over the lines from all baselines."""
    n = len(parts)
    sums: Any = None
    delta: Any = 0.0
    change: Any = 0.0
    for line, integrals, ends, _, jumps in parts:
        each = [
            [[s * d / n for s, d in zip(group, line.differences, strict=True)] for group in target]
            for target in integrals
        ]
        sums = plus(sums, each)
        jumped = np.sum([jump.size for jump in jumps], axis=0) if jumps else 0.0
        rise = ends[1] - ends[0]
        total = np.array([np.sum([s.sum() for s in target[0]]) for target in each]) * n
        delta = delta + (total + jumped - rise) / n
        change = change + rise / n
    by_group = [[target[k] for target in sums] for k in range(len(names) + 1)]
    return Attribution(
        pack(by_group[0]),
        delta if several else float(delta[0]),
        change if several else float(change[0]),
        sum(line.n_points for line, *_ in parts),
        sum(line.n_values for line, *_ in parts),
        max((part[3] for part in parts), key=lambda piece: abs(piece.delta)),
        [jump for part in parts for jump in part[4]],
        {name: pack(group) for name, group in zip(names, by_group[1:], strict=True)},
    )


def _packer(inputs: Any, keys: list[str], several: bool) -> Callable[[list[list[Array]]], Any]:
    """Give what brings attributions, [target][input], into the form of the inputs."""

    def pack(rows: list[list[Array]]) -> Any:
        columns = [np.stack(column) if several else column[0] for column in zip(*rows, strict=True)]
        if isinstance(inputs, Mapping):
            return dict(zip(keys, columns, strict=True))
        return tuple(columns) if _is_many(inputs) else columns[0]

    return pack


def _warn(result: Attribution, method: str, tol: float, strict: bool) -> None:
    delta = np.atleast_1d(result.delta)
    worst = int(np.abs(delta).argmax())
    if abs(delta[worst]) <= tol:
        return
    change = np.atleast_1d(result.change)[worst]
    advice = (
        "raise max_steps, or tol if this is enough"
        if method in ORDERS
        else f"use method='adaptive' (or 'kinks' for ReLU), or more than {result.n_points} steps"
    )
    message = (
        f"attributions sum to {change + delta[worst]:.4g}, the output changes by {change:.4g}: "
        f"delta {delta[worst]:.2g} is above tol {tol:.2g}"
        + (f" for target {worst}" if len(delta) > 1 else "")
        + f"; the worst piece of the path is α from {result.worst.start:.4g} to "
        f"{result.worst.stop:.4g}; {advice}"
    )
    if strict:
        raise ValueError(message)
    warnings.warn(message, IncompleteWarning, stacklevel=3)


# ---- input ---------------------------------------------------------------------------------------
def _is_many(x: Any) -> bool:
    """Tell whether these are several inputs; nested lists of numbers are one."""
    arrays = isinstance(x, list) and any(isinstance(part, np.ndarray) for part in x)
    return isinstance(x, tuple) or arrays


def _unpacked(inputs: Any, what: str) -> tuple[list[str], list[Array]]:
    """Give names for messages, and arrays."""
    if isinstance(inputs, Mapping):
        keys, parts = [str(key) for key in inputs], list(inputs.values())
    elif _is_many(inputs):
        parts = list(inputs)
        keys = [f"{what}[{k}]" for k in range(len(parts))]
    else:
        keys, parts = [what], [inputs]
    if not parts:
        raise ValueError(f"expected at least one array in {what}, got none")
    return keys, [_as_numbers(part, key) for key, part in zip(keys, parts, strict=True)]


def _as_numbers(x: Any, name: str) -> Array:
    return as_array(x, None, name)


def _baselines(
    baselines: Any, inputs: Any, keys: list[str], arrays: list[Array]
) -> Iterator[list[Array]]:
    """Give the baseline of each input, for each member of a distribution."""
    if baselines is None or np.isscalar(baselines):
        parts: list[Any] = [0 if baselines is None else baselines] * len(arrays)
    elif isinstance(inputs, Mapping):
        if not isinstance(baselines, Mapping) or set(baselines) != set(inputs):
            raise ValueError(f"expected baselines of {', '.join(keys)}, got {_kind(baselines)}")
        parts = [baselines[key] for key in inputs]
    elif _is_many(inputs):
        if not isinstance(baselines, tuple | list) or len(baselines) != len(arrays):
            raise ValueError(f"expected {len(arrays)} baselines, got {_kind(baselines)}")
        parts = list(baselines)
    else:
        parts = [baselines]
    found = [_baseline(*three) for three in zip(parts, keys, arrays, strict=True)]
    counts = {len(part) for part in found if len(part) != 1} or {1}
    if len(counts) > 1:
        raise ValueError(f"expected as many baselines of each input, got {sorted(counts)}")
    for k in range(counts.pop()):
        yield [part[k] if len(part) > 1 else part[0] for part in found]


def _kind(x: Any) -> str:
    if isinstance(x, Mapping):
        return f"those of {', '.join(map(str, x))}"
    return f"{len(x)}" if isinstance(x, tuple | list) else type(x).__name__


def _baseline(part: Any, key: str, x: Array) -> Array:
    """Check the baselines of one input; shape (members, *input)."""
    if part is None or np.isscalar(part):
        part = np.full(x.shape, 0 if part is None else part, x.dtype)
    array = np.asarray(part)
    if array.dtype.kind not in "fiub" or (array.dtype.kind == "f" and array.dtype != x.dtype):
        raise ValueError(f"expected a baseline of type {x.dtype} for {key}, got {array.dtype}")
    array = _as_numbers(array, f"the baseline of {key}").astype(x.dtype)
    if array.shape == x.shape:
        return array[np.newaxis]
    if array.shape[1:] == x.shape and array.ndim == x.ndim + 1 and len(array):
        return array
    raise ValueError(
        f"expected a baseline of shape {x.shape} for {key}, or several of them in (n, *shape), "
        f"got {array.shape}"
    )


def _as_target(target: Any) -> Target:
    """Split a target into the name of a node, or None, and a place in its value."""
    if target is None:
        return None, ()
    parts = target if isinstance(target, tuple) else (target,)
    name = parts[0] if parts and isinstance(parts[0], str) else None
    place = parts[1:] if name is not None else parts
    if not all(isinstance(k, int | np.integer) and not isinstance(k, bool) for k in place):
        raise ValueError(
            "expected a target as an integer, a tuple of integers, or a tuple of the name of a "
            f"node and integers, or a list of these, got {target!r}"
        )
    return name, tuple(int(k) for k in place)


def _as_groups(paths: Any, targets: Sequence[Target], several: bool) -> list[dict[str, Paths]]:
    """Give the groups of paths of each target."""
    each = paths if isinstance(paths, list) else [paths or {}] * len(targets)
    if isinstance(paths, list) and not several:
        raise ValueError("expected one dict of paths for one target, got a list")
    if len(each) != len(targets) or any(set(groups) != set(each[0]) for groups in each):
        raise ValueError(
            f"expected a dict of paths, or {len(targets)} of the same keys, one for each target"
        )
    return [{name: Paths(*_as_paths(groups[name])) for name in each[0]} for groups in each]


def _as_paths(group: Any) -> Any:
    if not isinstance(group, Paths):
        raise TypeError(f"expected a group of paths as Paths(through, avoid), got {group!r}")
    return group
