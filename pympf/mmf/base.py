"""What a factorization is, before anything is done with it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pympf._html import card
from pympf._params import Params, from_text
from pympf._report import Report
from pympf.la import Operator, Ranks, checks

__all__ = ["Factored"]


class Factored(Operator):
    """A factorization as an operator, with its sizes and its report."""

    is_symmetric = True

    def __init__(self, factors: Any, ranks: Ranks) -> None:
        checks.compiled(factors, "Mmf", "pympf.factorize(A) or pympf.load(file)")
        n, own = factors.total_rows, factors.rows
        super().__init__(factors.dtype, (n, n), ranks=ranks.own(), local_shape=(own, own))
        self._factors = factors
        self._core_size, self._bytes = factors.totals()

    def _with(self, factors: Any) -> Any:
        return type(self)(factors, self.ranks)

    def _apply(self, X: NDArray[Any]) -> NDArray[Any]:
        Y = np.empty_like(X)
        self._factors.apply(X, Y)
        return Y

    @property
    def rows(self) -> range:
        """Rows of this rank: those of its part of a vector."""
        return range(self._factors.first_row, self._factors.first_row + self._factors.rows)

    @property
    def core_size(self) -> int:
        """Rows of the core of H."""
        return self._core_size

    @property
    def levels(self) -> int:
        """Number of stages L."""
        return self._factors.levels

    @property
    def nbytes(self) -> int:
        """Bytes that the factorization holds, on all ranks together."""
        return self._bytes

    def traffic(self) -> dict[str, int]:
        """Return what this rank has sent through the communicator so far, in pympf's calls.

        Not collective. The difference of two of them is what happened in between, with this or with
        another factorization of the same dtype on the communicator.

        Returns
        -------
        dict
            ``messages`` and ``message_bytes`` go point to point; ``collectives`` counts reductions,
            gathers and barriers. All zero on one process.

        Examples
        --------
        >>> import pympf
        >>> pympf.factorize(pympf.gallery.poisson((16, 16))).traffic()["messages"]
        0
        """
        names = ("messages", "message_bytes", "collectives")
        return dict(zip(names, self._factors.traffic(), strict=True))

    @property
    def params(self) -> dict[str, Any]:
        """The parameters that it was made with."""
        text = self._factors.report()["params"]
        return {f["name"]: from_text(f, text[f["name"]]) for f in Params.fields()}

    def report(self) -> Report:
        """Return what the factorization did, stage by stage, on all ranks together.

        Not collective: every rank has the same report (but for its own seconds).

        Examples
        --------
        >>> import pympf
        >>> report = pympf.factorize(pympf.gallery.poisson((32, 32))).report()
        >>> report.stop
        'core_size'
        """
        data = self._factors.report()
        return Report(
            rows=self.shape[0],
            dtype=self.dtype.name,
            core_size=self.core_size,
            stop=data["stop"],
            retire=data["retire"],
            relative_error=data["dropped"] / data["norm"] if data["norm"] > 0 else 0.0,
            bytes=self.nbytes,
            seconds=math.fsum(stage["seconds"] for stage in data["stages"]),
            stages=data["stages"],
            params=self.params,
        )

    def __repr__(self) -> str:
        n = self.shape[0]
        ranks = self.ranks.count(", {} ranks")
        return f"<Mmf {n} x {n}, {self.dtype}, {self.levels} levels, core {self.core_size}{ranks}>"

    def _repr_html_(self) -> str:
        report = self.report()
        facts = {
            "rows": self.shape[0],
            "dtype": self.dtype.name,
            "levels": self.levels,
            "core": self.core_size,
            "‖A − F‖ / ‖A‖": report.relative_error,
            "bytes": self.nbytes,
            "ranks": self.ranks.size,
            "seconds": report.seconds,
        }
        return card("Mmf: A ≈ F = QᵀHQ", facts, report._repr_html_())

    def _alone(self, what: str, instead: str) -> None:
        self.ranks.refuse_many(f"{what} needs the whole factorization on one process", instead)
