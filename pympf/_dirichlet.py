"""The symmetric rest of a system whose Dirichlet rows determine unknowns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pympf._options_of_solve import SYMMETRIC, Options
from pympf.mmf import Mmf
from pympf.precond import Preconditioner


def takes_rest(admitted: Any, n: int, options: Options) -> bool:
    """Tell whether to solve for what determined unknowns leave: where symmetry brings something."""
    if admitted.rows is None:
        return False
    if options.method in SYMMETRIC or isinstance(options.preconditioner, Mmf | Preconditioner):
        return True
    if not isinstance(options.preconditioner, str):
        return False
    # Of a triangular matrix everything is determined: GMRES takes it as it is.
    return options.is_built or (options.method == "auto" and admitted.determined < n)


class Rest:
    """The symmetric rest of a system whose Dirichlet rows determine unknowns.

    Collective. x_D = b_D / a_DD, and the rest is A_FF x_F = b_F - A_FD x_D. Its residual is that of
    the whole, and the tolerances stay those of the whole.
    """

    def __init__(
        self,
        admitted: Any,
        rows: Any,
        b: NDArray[Any],
        x: NDArray[Any],
        rtol: float,
        atol: float,
        side: str,
    ) -> None:
        self.admitted, self.rows, self.whole_b = admitted, rows, b
        self.b = np.empty_like(b)
        admitted.start(b, x, self.b)
        self.rtol, self.atol, self.given_atol = rtol, atol, atol
        norm = rows.norms(b, x)[0]
        if norm > 0 and side == "right":
            self.rtol, self.atol = 0.0, max(rtol * norm, atol)
        self.choice = (
            f"; {admitted.determined} unknowns come from Dirichlet rows (nothing but a diagonal "
            "entry), without their columns A is symmetric"
        )

    def finish(self, x: NDArray[Any], result: dict[str, Any]) -> None:
        """Set the determined unknowns again, to the last bit, and say it of the whole system."""
        self.admitted.start(self.whole_b, x, self.b)
        norm, residual = self.rows.norms(self.whole_b, x)
        plain = residual / norm if norm > 0 else residual
        if result["norm"] == "row_scaled":
            plain = max(plain, result["true_residual"])
        if result["norm"] != "balanced":  # in which there is no determined row
            result["true_residual"] = plain
        if result["reason"] == "converged_atol" and self.atol > self.given_atol:
            result["reason"] = "converged_rtol"
