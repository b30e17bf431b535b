"""What a table of hashes tells of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pympf._report import Column, Lines, table

__all__ = ["TABLE_COLUMNS", "TableReport"]

TABLE_COLUMNS = (
    Column("table", int, "The table, from 0.", form="{:d}"),
    Column("buckets", int, "Buckets with points in them.", form="{:d}"),
    Column("largest", int, "Points of the largest bucket.", form="{:d}"),
    Column("expected", float, "Mean points in the bucket of a point.", form="{:.1f}"),
    Column("histogram", list, "Buckets of 1, 2 to 3, 4 to 7, … points."),
)
"""The lines of `TableReport`: the tables."""


@dataclass(frozen=True, repr=False)
class TableReport(Lines):
    """What a table holds; `print` shows it as a table.

    `expected` is the mean number of points in the bucket of a point, `histogram` counts the
    buckets of 1, 2 to 3, 4 to 7, … points.
    """

    COLUMNS = TABLE_COLUMNS
    LINES, COUNTS = "tables", ("buckets", "largest")

    points: int
    dtype: str
    point_bytes: int
    bucket_bytes: int
    tables: list[dict[str, Any]]

    def __str__(self) -> str:
        total = f"{self.points} points, {self.dtype}, {self.point_bytes} bytes; "
        total += f"buckets {self.bucket_bytes} bytes"
        return "\n".join([*table(self.COLUMNS, self.tables), total])
