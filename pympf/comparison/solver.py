"""What a solver of a comparison is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pympf.comparison.system import System

__all__ = ["Answer", "Prepare", "Setup", "Solve", "Solver"]


@dataclass(frozen=True)
class Answer:
    """A vector, and how it was found.

    `iterations` is None for a direct solver, `trouble` is what the solver itself complains of,
    `choice` what it chose by itself, `setup_part` the part of the time of the solve that went into
    a setup, `history` residual norms over that of b, the first one before the first iteration.
    """

    x: NDArray[np.float64]
    iterations: int | None = None
    trouble: str = ""
    choice: str = ""
    setup_part: float = 0.0
    history: NDArray[np.float64] = field(default_factory=lambda: np.empty(0), repr=False)


Solve = Callable[[], Answer]
Setup = Callable[[], Solve]
Prepare = Callable[[System], Setup]
"""Takes a system, puts the matrix in the solver's own format (not timed) and returns its setup."""

SYMMETRIC = "a symmetric matrix"
DEFINITE = "a symmetric positive definite matrix"
INDEFINITE = "a symmetric matrix that may be indefinite"
NOT_CG = "a matrix for which CG is not the method"
GENERAL = "a matrix that is not symmetric"
SMALL = "a symmetric matrix of at most 200 000 rows"
CLASSIC_ROWS = 200_000

# What a solver needs, and how to tell. Where nobody knows whether A is definite, both are asked.
NEEDS: dict[str, Callable[[System], bool]] = {
    "": lambda system: True,
    SYMMETRIC: lambda system: system.symmetric,
    DEFINITE: lambda system: system.symmetric and system.definite is not False,
    INDEFINITE: lambda system: system.symmetric and system.definite is not True,
    NOT_CG: lambda system: not system.symmetric or system.definite is False,
    GENERAL: lambda system: not system.symmetric,
    SMALL: lambda system: system.symmetric and len(system.b) <= CLASSIC_ROWS,
}


@dataclass(frozen=True)
class Solver:
    """A solver: its name, whose it is, what it needs, what to run, and the call to copy."""

    name: str
    package: str
    prepare: Prepare
    call: Callable[[System], str]
    needs: str = ""

    def suits(self, system: System) -> bool:
        """Tell whether the system is of the kind that the solver is for."""
        return NEEDS[self.needs](system)


def arguments(**given: Any) -> str:
    """Write keyword arguments, without those that are None."""
    return "".join(f", {name}={value}" for name, value in given.items() if value is not None)
