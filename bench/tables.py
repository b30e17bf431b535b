"""Markdown from rows of numbers."""

from collections.abc import Iterable, Sequence
from typing import Any

Row = dict[str, Any]


def markdown(header: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    rule = ["---", *["---:"] * (len(header) - 1)]
    body = [[text(cell) for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [list(header), rule, *body])


def text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", " ")
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}".replace(",", " ")
    return str(value)


def only(rows: Iterable[Row], /, **wanted: Any) -> list[Row]:
    """The rows that have these values."""
    return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]


def values(rows: Iterable[Row], name: str) -> list[Any]:
    """The values of one column, each once, in the order of the rows."""
    return list(dict.fromkeys(row[name] for row in rows))


def spread(numbers: Sequence[float]) -> float | None:
    """Largest over smallest; None of fewer than two numbers."""
    return max(numbers) / min(numbers) if len(numbers) > 1 else None


def milli(seconds: float | None) -> float | None:
    return None if seconds is None else 1e3 * seconds
