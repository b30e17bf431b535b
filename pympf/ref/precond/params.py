"""Parameters of the hierarchy and its cycle, the twin of cpp/pympf/precond/params.hpp."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Params"]


@dataclass(frozen=True)
class Params:
    """Names and defaults; the C++ field list says what each means and allows.

    The twin has one method (multilevel), one order of the rows (as given), one strip and one
    precision (float64) and one rank, so it lacks the fields that choose among them.
    """

    cycle: str = "v"
    smoother: str = "ict"
    sweeps: int = 1
    shape: str = "star"
    strength: float = 0.35
    strength_decay: float = 1.0
    cluster_size: int = 64
    lift: bool = True
    lift_weight: float = 0.72
    truncation: float = 0.07
    overcorrection: float = 1.05
    drop_tolerance: float = 0.01
    fill: int = 1
    degree: int = 2
    coarse_size: int = 0
    max_levels: int = 30
    max_complexity: float = 2.5
    relaxations: int = 5
