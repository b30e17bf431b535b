"""All solvers of a comparison, and how to ask for some of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from pympf.comparison import _ours, _petsc, _python
from pympf.comparison.solver import Answer, Setup, Solver
from pympf.comparison.system import System
from pympf.la import checks

__all__ = ["SOLVERS", "find", "installed", "selected"]

SOLVERS: dict[str, Solver] = {
    solver.name: solver for solver in (*_ours.solvers(), *_python.solvers(), *_petsc.solvers())
}
"""All solvers that are known, by name; our own plan is the first."""
REQUIREMENTS = {
    "pyamg": "pyamg",
    "petsc4py": "petsc4py",
    "pypardiso": "pypardiso",
    "sksparse": "scikit-sparse",
}
"""What to install for a package that is imported."""


def installed(solver: Solver) -> bool:
    """Tell whether the package of a solver is there."""
    return find_spec(solver.package) is not None


def selected(names: Sequence[str] | None) -> list[Solver]:
    """Return the solvers asked for by their names, their packages, or as 'module:function'."""
    if names is None:
        return list(SOLVERS.values())
    if isinstance(names, str):
        raise TypeError(f"solvers: expected a list of names, got the string {names!r}")
    chosen: dict[str, Solver] = {}
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"solvers: expected names, got a {type(name).__name__}")
        chosen |= {solver.name: solver for solver in find(name)}
    if not chosen:
        raise ValueError("solvers: expected at least one name, got none")
    return list(chosen.values())


def find(name: str) -> list[Solver]:
    """Return the solver of a name, or those whose name begins with these words, or a user's own."""
    if name in SOLVERS:
        return [SOLVERS[name]]
    if ":" in name:
        return [_own(name)]
    found = [s for s in SOLVERS.values() if f"{s.name} ".startswith(f"{name} ")]
    if not found:
        known = [*SOLVERS, *dict.fromkeys(one.split()[0] for one in SOLVERS)]
        raise ValueError(f"solvers: {checks.unknown(name, known)}")
    return found


def _own(name: str) -> Solver:
    """Return a solver of the user: a function of A and b that returns x."""
    module, _, function = name.partition(":")
    if not module.strip() or not function.isidentifier():
        raise ValueError(f"solvers: {name!r} is not 'module:function'")

    def prepare(system: System) -> Setup:
        run: Callable[..., Any] = getattr(importlib.import_module(module), function)
        return lambda: lambda: Answer(np.asarray(run(system.A, system.b), dtype=float))

    call = f"from {module} import {function}\nx = {function}(A, b)"
    return Solver(name, module.partition(".")[0], prepare, lambda _: call)
