"""What a caller of `solve` may choose, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from numpy.typing import ArrayLike

from pympf._params import Params, kinds
from pympf.la import INDEX_MAX, checks
from pympf.mmf import Progress
from pympf.plan import Plan
from pympf.precond import CLASSIC, Preconditioner, planned

METHODS = ("auto", "cg", "fcg", "minres", "gmres", "fgmres", "bicgstab")
SIDES = ("right", "left")
METHOD_OF = {
    "mmf": "auto",
    **{name: name for name in ("multilevel", "ict", "two_level", "direct", CLASSIC)},
}
"""The preconditioners that are built from the matrix, and the `method` of `as_preconditioner`."""
SYMMETRIC = ("cg", "fcg", "minres")
"""The methods for symmetric matrices only."""
ONLY_SYMMETRIC = (CLASSIC, "two_level")
"""The preconditioners of symmetric matrices only."""
PRECONDITIONERS = (*METHOD_OF, "jacobi", "none")


@dataclass
class Options:
    """What a caller of `solve` may choose."""

    method: str
    preconditioner: Any
    near_nullspace: ArrayLike | None
    left_near_nullspace: ArrayLike | None
    block_size: int
    rtol: float | None
    atol: float
    maxiter: int | None
    restart: int
    side: str
    callback: Callable[..., Any] | None
    progress: Progress | None
    plan: Plan | Mapping[str, Any] | None
    params: dict[str, Any]

    def check(self) -> None:
        """Raise TypeError or ValueError for what is not allowed."""
        checks.choice(self.method, "method", METHODS)
        checks.choice(self.side, "side", SIDES)
        vectors = (self.near_nullspace, self.left_near_nullspace)
        _check_options(self.preconditioner, vectors, self.block_size, self.params)
        self._take_plan()
        maxiter = 10_000 if self.maxiter is None else self.maxiter
        self.maxiter = checks.integer(maxiter, "maxiter", 0, INDEX_MAX)
        self.restart = checks.integer(self.restart, "restart", 0, INDEX_MAX)
        if self.rtol is not None:
            checks.number(self.rtol, "rtol", 0, below=1)
        checks.number(self.atol, "atol", 0)
        if self.callback is not None and not callable(self.callback):
            given = type(self.callback).__name__
            raise TypeError(f"callback is a {given}, expected a callable")

    def _take_plan(self) -> None:
        if self.plan is None:
            return
        if self.preconditioner != "mmf":
            raise ValueError(f"plan: for preconditioner='mmf', not {self.preconditioner!r}")
        self.params = planned(self.plan, self.params)

    def shared(self) -> tuple[Any, ...]:
        """What has to be the same on all ranks."""
        return (self.method, self.side, self.maxiter, self.restart, self.rtol, self.atol)

    @property
    def is_built(self) -> bool:
        """Whether the preconditioner is built here, from the matrix."""
        return isinstance(self.preconditioner, str) and self.preconditioner in METHOD_OF

    def basis(self) -> float:
        """Return how many vectors the method keeps, to which each step is made orthogonal."""
        if self.method not in ("gmres", "fgmres"):
            return 0
        return self.restart or INDEX_MAX

    def to_build(self) -> dict[str, Any]:
        """Return the parameters of `as_preconditioner`."""
        given = {"method": METHOD_OF[self.preconditioner], **self.params}
        if self.preconditioner == "mmf":
            given.setdefault("definite", self.method in ("cg", "minres"))
            given.setdefault("solves", 1)
        if self.preconditioner == CLASSIC:
            given["progress"] = self.progress
        return given


def _check_options(
    preconditioner: Any, vectors: tuple[Any, Any], block_size: Any, params: dict[str, Any]
) -> None:
    """Refuse what nothing takes, and what only a preconditioner that is built here can take."""
    if params:
        _refuse_unknown(preconditioner, params)
    name = preconditioner if isinstance(preconditioner, str) else None
    if params and name not in METHOD_OF:
        raise ValueError(
            f"{', '.join(params)}: only preconditioner='mmf', 'multilevel', 'ict', 'two_level', "
            "'direct' or 'classic' takes parameters"
        )
    if name not in ("mmf", "multilevel"):
        for given, kind in zip(vectors, ("near_nullspace", "left_near_nullspace"), strict=True):
            if given is not None:
                raise ValueError(f"{kind}: only preconditioner='mmf' or 'multilevel' takes it")
        if block_size != 1:
            raise ValueError("block_size: only preconditioner='mmf' or 'multilevel' takes it")


def _refuse_unknown(preconditioner: Any, params: dict[str, Any]) -> None:
    both = [kinds(Preconditioner.fields), kinds(Params.fields)]
    if isinstance(preconditioner, str) and preconditioner == CLASSIC:
        both.reverse()
    own = ["comm", "x0", *(given.name for given in fields(Options) if given.name != "params")]
    known = dict.fromkeys([*both[0], *both[1], *own])
    for wanted in params:
        if wanted not in known:
            raise ValueError(checks.unknown(wanted, known))
