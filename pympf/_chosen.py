"""A preconditioner as the compiled solver takes it, and the method that goes with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from pympf._options_of_solve import METHOD_OF, PRECONDITIONERS
from pympf.la import Matrix, Operator, checks
from pympf.mmf import Mmf
from pympf.precond import CLASSIC, Preconditioner, classic

DIAGONAL_IS_POSITIVE = "the diagonal of A is positive"


@dataclass(frozen=True)
class Chosen:
    """A preconditioner as the compiled solver takes it, with its name and what is known of it."""

    compiled: Any
    name: str
    choice: str
    operator: Preconditioner | None = None
    make: Callable[[], Preconditioner] | None = None  # the operator, when asked for

    @property
    def is_diagonal(self) -> bool:
        """Whether it is the diagonal of an indefinite A, taken by itself."""
        M = self.operator
        return M is not None and M.method == "jacobi" and M.indefinite

    @property
    def is_built(self) -> bool:
        """Whether it was built here, is meant to be definite, and has choices to fall back to."""
        M = self.operator
        built = self.name != CLASSIC and self.name in METHOD_OF
        return built and M is not None and M.definite

    @property
    def signed(self) -> bool:
        """Whether it has the signs of an indefinite A."""
        return self.operator is not None and not self.operator.definite

    @classmethod
    def of(cls, operator: Preconditioner, name: str) -> Chosen:
        return cls(operator._compiled, name, operator.choice, operator)


def krylov_method(
    asked: str, rows: Any, symmetric: bool, operator: Preconditioner | None
) -> tuple[str, str]:
    """Return the Krylov method and why it is taken."""
    varies = operator is not None and operator.varies
    if varies and asked not in ("auto", "fcg", "fgmres"):
        raise ValueError(
            f"method = {asked!r} needs the same preconditioner in every iteration, and "
            "cycle = 'k' varies: take method = 'fcg' or 'fgmres', or another cycle"
        )
    if asked != "auto":
        return asked, "asked for"
    if not symmetric:
        return "gmres", "A is not symmetric"
    if operator is not None and not operator.definite:
        return "gmres", "A has negative eigenvalues, and M has its signs"
    if operator is not None and operator.indefinite:
        return ("fgmres" if varies else "minres"), "A has negative eigenvalues"
    if not rows.has_positive_diagonal():
        return ("fgmres" if varies else "minres"), "the diagonal of A is not positive"
    if varies:
        return "fcg", "the preconditioner varies, and A looks positive"
    return "cg", DIAGONAL_IS_POSITIVE + (
        ", and the setup found no negative eigenvalue" if operator is not None else ""
    )


def given_preconditioner(given: Any, A: Matrix) -> Chosen:
    """Take over a preconditioner that needs no setup."""
    if isinstance(given, str):
        if given == "none":
            return Chosen(None, "none", "none")
        if given == "jacobi":
            return Chosen(A.diagonal(), "jacobi", "jacobi")
        raise ValueError(
            f"preconditioner = {given!r} is not {', '.join(map(repr, PRECONDITIONERS))}, "
            "a Preconditioner, an Mmf, a LinearOperator or a callable"
            f"{checks.hint(given, PRECONDITIONERS)}"
        )
    n = len(A.rows)
    if isinstance(given, Mmf | Preconditioner):
        if given.local_shape[0] != n or given.dtype != A.dtype:
            raise ValueError(
                f"the preconditioner is {given.dtype} of shape {given.shape}, "
                f"the matrix {A.dtype} of shape {A.shape}"
            )
        operator = classic(given) if isinstance(given, Mmf) else given
        return Chosen.of(operator, "given" if operator.factorization is None else CLASSIC)
    if isinstance(given, LinearOperator):
        shape = given.local_shape if isinstance(given, Operator) else given.shape
        if shape != (n, n):
            raise ValueError(f"the preconditioner has shape {given.shape}, the matrix {A.shape}")
        return Chosen(_checked(given.matvec), "operator", "operator")
    if callable(given):
        return Chosen(_checked(given), "callable", "callable")
    raise TypeError(
        f"preconditioner is a {type(given).__name__}, expected a name, a Preconditioner, an Mmf, "
        "a LinearOperator or a callable"
    )


def _checked(M: Callable[[NDArray[Any]], Any]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Refuse results that NumPy would broadcast or cast when it copies them out."""

    def apply(r: NDArray[Any]) -> NDArray[Any]:
        result = np.asarray(M(r))
        if result.shape != r.shape or result.dtype.kind not in "fiub":
            raise ValueError(
                f"the preconditioner gave {result.dtype} of shape {result.shape}, "
                f"expected real numbers of shape {r.shape}"
            )
        return result

    return apply
