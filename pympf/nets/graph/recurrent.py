"""Recurrent cells and layers, each one operator.

GRU   z, r = σ(x W + h U) of their gates,  n = tanh(x Wₙ + r ∘ (h Uₙ)),  h' = (1 - z) ∘ n + z ∘ h
LSTM  i, f, o = σ(x W + h U),  g = tanh(x W_g + h U_g),  c' = f ∘ c + i ∘ g,  h' = o ∘ tanh(c')

Gates lie side by side in the columns: z, r, n and i, f, g, o. Where a mask is false, the state
stays as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf.nets._checks import Array
from pympf.nets.graph.elementwise import logistic
from pympf.nets.graph.node import Node, Value, record, values
from pympf.nets.graph.shaping import index

__all__ = ["gru_layer", "gru_step", "lstm_layer", "lstm_step"]


# ---- GRU -----------------------------------------------------------------------------------------
def _gru_forward(xw: Array, h: Array, U: Array, mask: Array | None) -> tuple[Array, Any]:
    H = h.shape[1]
    hu = h @ U
    zr = logistic(xw[:, : 2 * H] + hu[:, : 2 * H])
    z, r, hn = zr[:, :H], zr[:, H:], hu[:, 2 * H :]
    n = np.tanh(xw[:, 2 * H :] + r * hn)
    y = n + z * (h - n)
    if mask is not None:
        y = np.where(mask, y, h)
    return y, (h, zr, hn, n, mask)


def _gru_back(g: Array, U: Array, saved: Any, gx: Array) -> tuple[Array, Array]:
    """Fill the adjoint of x W; return those of h and of h U."""
    h, zr, hn, n, mask = saved
    H = h.shape[1]
    z, r = zr[:, :H], zr[:, H:]
    kept: Any = 0
    if mask is not None:
        kept = np.where(mask, 0, g)
        g = np.where(mask, g, 0)
    gn = g * (1 - z) * (1 - n * n)
    gx[:, :H] = g * (h - n) * z * (1 - z)
    gx[:, H : 2 * H] = gn * hn * r * (1 - r)
    gx[:, 2 * H :] = gn
    gu = gx.copy()
    gu[:, 2 * H :] *= r
    gh = gu @ U.T
    gh += g * z
    gh += kept
    return gh, gu


def gru_step(xw: Value, h: Value, U: Value, mask: ArrayLike | None = None) -> Node:
    """Compute the next state of a GRU.

    Not collective.

    Parameters
    ----------
    xw : Node or array_like, shape (n, 3H)
        x W + b, the columns of the gates z, r, n side by side.
    h : Node or array_like, shape (n, H)
        The state.
    U : Node or array_like, shape (H, 3H)
        Weights of the state.
    mask : array_like of bool, shape (n,) or (n, 1), optional
        Points whose state changes.

    Returns
    -------
    Node
        Shape (n, H).

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.graph import gru_step, variable
    >>> gru_step(np.zeros((1, 6)), variable([[1.0, 2.0]]), np.zeros((2, 6))).value
    array([[0.5, 1. ]])
    """
    vh, vx, vU = values(h, xw, U)
    y, saved = _gru_forward(vx, vh, vU, _column(mask))

    def back(g: Array, wanted: Sequence[bool]) -> list[Any]:
        gx = np.empty_like(vx)
        gh, gu = _gru_back(g, vU, saved, gx)
        return [gx, gh, vh.T @ gu if wanted[2] else None]

    return record("gru_step", y, [xw, h, U], back)


def gru_layer(
    x: Value,
    W: Value,
    U: Value,
    b: Value,
    mask: ArrayLike | None = None,
    reverse: bool = False,
) -> Node:
    """Run a GRU over a sequence from the state 0, as one operator.

    Not collective.

    Parameters
    ----------
    x : Node or array_like, shape (n, T, d)
        Sequences.
    W : Node or array_like, shape (d, 3H)
        Weights of the input, gates z, r, n.
    U : Node or array_like, shape (H, 3H)
        Weights of the state.
    b : Node or array_like, shape (3H,)
        Constants.
    mask : array_like of bool, shape (n, T), optional
        Where the state changes.
    reverse : bool
        Whether to go from the last entry to the first.

    Returns
    -------
    Node
        The states, shape (n, T, H), in the order of the entries.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.graph import gru_layer, variable
    >>> x = variable(np.ones((2, 5, 3)))
    >>> gru_layer(x, np.ones((3, 12)), np.ones((4, 12)), np.zeros(12)).shape
    (2, 5, 4)
    """
    vx, vW, vU, vb = values(x, W, U, b)
    marks = _marks(mask, vx)
    xw = vx @ vW + vb
    steps = range(vx.shape[1])[:: -1 if reverse else 1]
    h = np.zeros((len(vx), vU.shape[0]), xw.dtype)
    out = np.empty((*vx.shape[:2], vU.shape[0]), xw.dtype)
    saved: list[Any] = [None] * vx.shape[1]
    for t in steps:
        h, saved[t] = _gru_forward(xw[:, t], h, vU, None if marks is None else marks[:, t])
        out[:, t] = h

    def back(g: Array, wanted: Sequence[bool]) -> list[Any]:
        gx, gU = np.empty_like(xw), np.zeros_like(vU)
        gh = np.zeros_like(h)
        for t in reversed(steps):
            gh, gu = _gru_back(gh + g[:, t], vU, saved[t], gx[:, t])
            if wanted[2]:
                gU += saved[t][0].T @ gu
        return _layer_adjoints(vx, vW, gx, gU, wanted)

    return record("gru_layer", out, [x, W, U, b], back)


# ---- LSTM ----------------------------------------------------------------------------------------
def _lstm_forward(
    a: Array, h: Array, c: Array, U: Array, mask: Array | None
) -> tuple[Array, Array, Any]:
    H = h.shape[1]
    a = a + h @ U
    gates = np.empty_like(a)
    gates[:, : 2 * H] = logistic(a[:, : 2 * H])
    np.tanh(a[:, 2 * H : 3 * H], out=gates[:, 2 * H : 3 * H])
    gates[:, 3 * H :] = logistic(a[:, 3 * H :])
    new = gates[:, H : 2 * H] * c + gates[:, :H] * gates[:, 2 * H : 3 * H]
    tc = np.tanh(new)
    y = gates[:, 3 * H :] * tc
    saved = (gates, h, c, tc, mask)
    if mask is not None:
        y, new = np.where(mask, y, h), np.where(mask, new, c)
    return y, new, saved


def _lstm_back(gh: Array, gc: Array, U: Array, saved: Any, ga: Array) -> tuple[Array, Array]:
    """Fill the adjoint of the gates' arguments; return those of h and c."""
    gates, h, c, tc, mask = saved
    H = h.shape[1]
    i, f, g, o = (gates[:, k * H : (k + 1) * H] for k in range(4))
    kept_h: Any = 0
    kept_c: Any = 0
    if mask is not None:
        kept_h, kept_c = np.where(mask, 0, gh), np.where(mask, 0, gc)
        gh, gc = np.where(mask, gh, 0), np.where(mask, gc, 0)
    gc = gc + gh * o * (1 - tc * tc)
    ga[:, :H] = gc * g * i * (1 - i)
    ga[:, H : 2 * H] = gc * c * f * (1 - f)
    ga[:, 2 * H : 3 * H] = gc * i * (1 - g * g)
    ga[:, 3 * H :] = gh * tc * o * (1 - o)
    below = ga @ U.T
    below += kept_h
    return below, gc * f + kept_c


def lstm_step(
    xw: Value, h: Value, c: Value, U: Value, mask: ArrayLike | None = None
) -> tuple[Node, Node]:
    """Compute the next state of an LSTM.

    Not collective.

    Parameters
    ----------
    xw : Node or array_like, shape (n, 4H)
        x W + b, the columns of the gates i, f, g, o side by side.
    h, c : Node or array_like, shape (n, H)
        Output and cell.
    U : Node or array_like, shape (H, 4H)
        Weights of the output.
    mask : array_like of bool, shape (n,) or (n, 1), optional
        Points whose state changes.

    Returns
    -------
    h, c : Node
        Shape (n, H) each.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.graph import lstm_step, variable
    >>> zero = np.zeros((1, 2))
    >>> h, c = lstm_step(np.zeros((1, 8)), zero, variable([[1.0, 2.0]]), np.zeros((2, 8)))
    >>> c.value
    array([[0.5, 1. ]])
    """
    vc, vh, vx, vU = values(c, h, xw, U)
    y, new, saved = _lstm_forward(vx, vh, vc, vU, _column(mask))
    H = vh.shape[1]

    def back(g: Array, wanted: Sequence[bool]) -> list[Any]:
        ga = np.empty_like(vx)
        gh, gc = _lstm_back(g[:, :H], g[:, H:], vU, saved, ga)
        return [ga, gh, gc, vh.T @ ga if wanted[3] else None]

    both = record("lstm_step", np.concatenate([y, new], 1), [xw, h, c, U], back)
    return index(both, (slice(None), slice(H))), index(both, (slice(None), slice(H, None)))


def lstm_layer(
    x: Value,
    W: Value,
    U: Value,
    b: Value,
    mask: ArrayLike | None = None,
    reverse: bool = False,
) -> Node:
    """Run an LSTM over a sequence from the state 0, as one operator.

    Not collective.

    Parameters
    ----------
    x : Node or array_like, shape (n, T, d)
        Sequences.
    W : Node or array_like, shape (d, 4H)
        Weights of the input, gates i, f, g, o.
    U : Node or array_like, shape (H, 4H)
        Weights of the output.
    b : Node or array_like, shape (4H,)
        Constants.
    mask : array_like of bool, shape (n, T), optional
        Where the state changes.
    reverse : bool
        Whether to go from the last entry to the first.

    Returns
    -------
    Node
        The outputs, shape (n, T, H), in the order of the entries.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.graph import lstm_layer, variable
    >>> x = variable(np.ones((2, 5, 3)))
    >>> lstm_layer(x, np.ones((3, 16)), np.ones((4, 16)), np.zeros(16)).shape
    (2, 5, 4)
    """
    vx, vW, vU, vb = values(x, W, U, b)
    marks = _marks(mask, vx)
    xw = vx @ vW + vb
    steps = range(vx.shape[1])[:: -1 if reverse else 1]
    h = np.zeros((len(vx), vU.shape[0]), xw.dtype)
    c = np.zeros_like(h)
    out = np.empty((*vx.shape[:2], vU.shape[0]), xw.dtype)
    saved: list[Any] = [None] * vx.shape[1]
    for t in steps:
        h, c, saved[t] = _lstm_forward(xw[:, t], h, c, vU, None if marks is None else marks[:, t])
        out[:, t] = h

    def back(g: Array, wanted: Sequence[bool]) -> list[Any]:
        gx, gU = np.empty_like(xw), np.zeros_like(vU)
        gh, gc = np.zeros_like(h), np.zeros_like(h)
        for t in reversed(steps):
            gh, gc = _lstm_back(gh + g[:, t], gc, vU, saved[t], gx[:, t])
            if wanted[2]:
                gU += saved[t][1].T @ gx[:, t]
        return _layer_adjoints(vx, vW, gx, gU, wanted)

    return record("lstm_layer", out, [x, W, U, b], back)


# ---- both ----------------------------------------------------------------------------------------
def _column(mask: ArrayLike | None) -> Array | None:
    return None if mask is None else np.asarray(mask, dtype=bool).reshape(-1, 1)


def _marks(mask: ArrayLike | None, x: Array) -> Array | None:
    """Give the mask of sequences with one more axis, or None where all entries count."""
    if mask is None:
        return None
    marks = np.broadcast_to(np.asarray(mask, dtype=bool), x.shape[:2])
    return None if marks.all() else marks[:, :, np.newaxis]


def _layer_adjoints(x: Array, W: Array, gx: Array, gU: Array, wanted: Sequence[bool]) -> list[Any]:
    flat = gx.reshape(-1, gx.shape[-1])
    return [
        (flat @ W.T).reshape(x.shape) if wanted[0] else None,
        x.reshape(-1, x.shape[-1]).T @ flat if wanted[1] else None,
        gU if wanted[2] else None,
        flat.sum(0) if wanted[3] else None,
    ]
