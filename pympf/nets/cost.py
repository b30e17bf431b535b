"""What a forward pass costs."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Cost"]


@dataclass(frozen=True)
class Cost:
    """Cost of one input.

    `flops` counts as table 1 of the paper does: 2d for the pre-activation and 2 for the weight of
    each active unit of a single layer (18 432 for 1024 of them at d = 8), and no routing. What the
    routing needs besides is in `routing_flops`: Top-K computes all pre-activations.

    Parameters
    ----------
    active_units, total_units : int
        Units that an input activates, s, and that there are, t.
    parameters : int
        Weights of the top layer that are in memory, with the intercept.
    flops, routing_flops : int
        Multiplications and additions.

    Examples
    --------
    >>> from pympf.nets import dense
    >>> dense(8, 1024).cost().flops
    18432
    """

    active_units: int
    total_units: int
    parameters: int
    flops: int
    routing_flops: int
