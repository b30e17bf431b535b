"""What notebooks show: the essential facts as a small table, and more of it behind a click."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["card", "html_table"]


def html_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Lay rows of cells out under their heads."""
    cells = "".join(f"<th>{escape(str(name))}</th>" for name in head)
    lines = [f"<tr>{cells}</tr>"]
    for row in rows:
        cells = "".join(f"<td>{escape(str(value))}</td>" for value in row)
        lines.append(f"<tr>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"


def card(title: str, facts: Mapping[str, Any], more: str = "") -> str:
    """Show a title, facts by name, and HTML that opens on a click."""
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(_text(value))}</td></tr>'
        for name, value in facts.items()
    )
    rest = f"<details><summary>report</summary>{more}</details>" if more else ""
    return f"<div><strong>{escape(title)}</strong><table>{rows}</table>{rest}</div>"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return str(value)
