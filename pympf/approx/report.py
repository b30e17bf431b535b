"""The report of a factorization by rotations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pympf._params import table

__all__ = ["RotationReport"]


@dataclass(frozen=True)
class RotationReport:
    """What a run of rotations did, stage by stage; `print` shows it as a table.

    Attributes
    ----------
    kind : str
        ``'direct'``, ``'symmetric'`` or ``'skew'``.
    rows, columns, core_size : int
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
        columns = [
            ("stage", "{:d}"),
            ("threshold", "{:.2e}"),
            ("parts", "{:d}"),
            ("largest", "{:d}"),
            ("rotations", "{:d}"),
            ("nnz", "{:d}"),
            ("dropped", "{:.2e}"),
            ("seconds", "{:.3f}"),
        ]
        lines = table(columns, [{"stage": k, **s} for k, s in enumerate(self.stages, 1)])
        say = "error" if self.is_exact else "estimated error"
        lines.append(
            f"{self.kind}, {self.rows} x {self.columns}, core {self.core_size}, {self.rotations} "
            f"rotations ({self.stop}), {self.matching} matching, fill {self.fill:.3g}, "
            f"{self.kept} entries kept, {say} {self.error:.3g} (at most {self.error_bound:.3g}), "
            f"{self.nbytes} bytes for {self.matrix_bytes}, {self.seconds:.3f} s"
        )
        return "\n".join(lines)
