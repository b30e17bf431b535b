"""The report of a factorization by rotations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pympf._report import Column, table

__all__ = ["AdditiveReport", "RotationReport"]

STAGE_COLUMNS = (
    Column("stage", int, "The stage; 1 is the first.", form="{:d}"),
    Column("threshold", float, "The least gain of a rotation.", form="{:.2e}"),
    Column("parts", int, "Components of the graph of gains.", form="{:d}"),
    Column("largest", int, "Pairs of the largest component.", form="{:d}"),
    Column("rotations", int, "Rotations that it found.", form="{:d}"),
    Column("nnz", int, "Entries of the matrix after it.", form="{:d}"),
    Column("dropped", float, "Norm of what it dropped.", "of ‖A‖ (Frobenius)", "{:.2e}"),
    Column("seconds", float, "Time that it took.", "s", "{:.3f}"),
)
"""The lines of `RotationReport`: the stages of a run."""


@dataclass(frozen=True)
class RotationReport:
    """What a run of rotations did, stage by stage; `print` shows it as a table.

    Attributes
    ----------
    kind : str
        ``'direct'``, ``'symmetric'`` or ``'skew'``.
    rows, columns, core_size : int
    norm : float
        ‖A‖ in the Frobenius norm.
    rotations : int
        Rotations of two rows and two columns; of the skew kind, blocks of four rows.
    stop : str
        ``'rotations'``: all that were asked for; ``'no_gain'``: nothing is left outside the
        diagonal blocks; ``'max_fill'``: the next stage would have filled the matrix beyond it.
    matching : str
        ``'exact'`` or ``'greedy'``: how rows and columns were paired.
    nnz, fill : int, float
        Entries at the end of the run, and for each of the matrix.
    kept : int
        Entries of H.
    error : float
        ‖A − F‖ / ‖A‖ in the Frobenius norm: exact where nothing was dropped on the way, else an
        estimate, as if what stages dropped and what H leaves out were orthogonal.
    is_exact : bool
        Whether `error` is exact.
    error_bound : float
        What `error` cannot exceed: what H leaves out, and the norms of all that stages dropped.
    nbytes, matrix_bytes : int
        Of the factorization, and of the matrix (12 for an entry, 4 for a row and one more).
    seconds : float
    stages : list of dict
    """

    kind: str
    rows: int
    columns: int
    core_size: int
    norm: float
    rotations: int
    stop: str
    matching: str
    nnz: int
    fill: float
    kept: int
    error: float
    is_exact: bool
    error_bound: float
    nbytes: int
    matrix_bytes: int
    seconds: float
    stages: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data, fit for JSON.

        Not collective.

        Examples
        --------
        >>> import pympf
        >>> pympf.factorize_direct([[1.0, 2.0], [0.0, 3.0]]).report().as_dict()["rows"]
        2
        """
        return dict(self.__dict__)

    def __str__(self) -> str:
        stages = [{"stage": k, **stage} for k, stage in enumerate(self.stages, 1)]
        lines = table(STAGE_COLUMNS, stages)
        say = "error" if self.is_exact else "estimated error"
        lines.append(
            f"{self.kind}, {self.rows} x {self.columns}, core {self.core_size}, {self.rotations} "
            f"rotations ({self.stop}), {self.matching} matching, fill {self.fill:.3g}, "
            f"{self.kept} entries kept, {say} {self.error:.3g} (at most {self.error_bound:.3g}), "
            f"{self.nbytes} bytes for {self.matrix_bytes}, {self.seconds:.3f} s"
        )
        return "\n".join(lines)


@dataclass(frozen=True)
class AdditiveReport:
    """What the runs of both parts did; `print` shows it as two tables.

    Attributes
    ----------
    symmetric, skew : RotationReport
    """

    symmetric: RotationReport
    skew: RotationReport

    @property
    def error(self) -> float:
        """‖A − F‖ / ‖A‖: error² ‖A‖² = error_S² ‖S‖² + error_K² ‖K‖², as S and K are orthogonal."""
        norms = self.symmetric.norm, self.skew.norm
        errors = self.symmetric.error, self.skew.error
        total = math.hypot(*norms)
        return math.hypot(*(e * n for e, n in zip(errors, norms, strict=True))) / (total or 1.0)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data, fit for JSON.

        Not collective.

        Examples
        --------
        >>> import pympf
        >>> pympf.factorize_additive([[1.0, 2.0], [0.0, 3.0]]).report().as_dict()["error"] < 1e-15
        True
        """
        return {
            "symmetric": self.symmetric.as_dict(),
            "skew": self.skew.as_dict(),
            "error": self.error,
        }

    def __str__(self) -> str:
        return f"{self.symmetric}\n{self.skew}\nerror of the sum {self.error:.3g}"
