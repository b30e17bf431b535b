"""Pictures of attributions: figure 3.1, as HTML and by matplotlib."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from pympf.explain.tables.programmer import SelectionAttributions
from pympf.nets._checks import Array

__all__ = ["heatmap_html", "plot_heatmap"]

RED, BLUE = (178, 24, 43), (33, 102, 172)


def _grid(found: SelectionAttributions) -> tuple[list[str], Array]:
    """Give the labels of the selections and a column of shares for each, in parts of its sum."""
    short = {"operator": "op", "column": "col"}
    labels = [f"{short[one.kind]} {one.step + 1}: {one.chosen}" for one in found.selections]
    shape = len(labels), len(found.terms)
    values = np.array([one.values for one in found.selections]).reshape(shape)
    sums = np.abs(values).sum(1, keepdims=True)
    return labels, np.divide(values, sums, out=np.zeros_like(values), where=sums > 0).T


def heatmap_html(found: SelectionAttributions) -> str:
    """Draw the attributions of a question as an HTML table (figure 3.1).

    Not collective.

    Parameters
    ----------
    found : SelectionAttributions
        Of one question.

    Returns
    -------
    str
        A table: a row for each term, a column for each selection that counts; red is for the
        selection, blue against it. Selections that are the default have no column.

    Examples
    --------
    >>> from pympf.explain.tables import NeuralProgrammer, generate_questions, heatmap_html
    >>> questions = generate_questions(12, seed=1)
    >>> model = NeuralProgrammer(12, epochs=1, program_share=1.0, least=2).fit(questions)
    >>> heatmap_html(model.attribute(questions[:1])[0])[:6]
    '<table'
    """
    labels, shares = _grid(found)
    largest = np.abs(shares).max(initial=1e-12)
    head = "".join(f"<th>{escape(label)}</th>" for label in ("", *labels))
    lines = []
    for i, term in enumerate(found.terms):
        cells = "".join(_cell(share, largest) for share in (shares[i] if labels else ()))
        lines.append(f"<tr><th>{escape(term)}</th>{cells}</tr>")
    caption = escape(" ".join(found.question.words))
    return "\n".join(
        [f"<table><caption>{caption}</caption>", f"<tr>{head}</tr>", *lines, "</table>"]
    )


def _cell(share: float, largest: float) -> str:
    r, g, b = RED if share > 0 else BLUE
    alpha = abs(share) / largest
    return f'<td style="background:rgba({r},{g},{b},{alpha:.2f})">{share:.2f}</td>'


def plot_heatmap(found: SelectionAttributions, axes: Any = None) -> Any:
    """Draw the attributions of a question by matplotlib (figure 3.1).

    Not collective. Needs matplotlib.

    Parameters
    ----------
    found : SelectionAttributions
        Of one question.
    axes : matplotlib.axes.Axes, optional
        Where to draw; default new ones.

    Returns
    -------
    matplotlib.axes.Axes
        Rows are terms, columns are selections.

    Raises
    ------
    ValueError
        If no selection differs from its default: there is nothing to draw.

    Examples
    --------
    See `heatmap_html`.
    """
    labels, shares = _grid(found)
    if not labels:
        raise ValueError(
            "expected a selection that is not the default, this program is the default"
        )
    if axes is None:
        from matplotlib import pyplot

        size = (1.2 + 1.1 * len(labels), 0.8 + 0.3 * len(found.terms))
        axes = pyplot.figure(figsize=size, layout="constrained").subplots()
    largest = np.abs(shares).max(initial=1e-12)
    axes.imshow(shares, cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto")
    axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right")
    axes.set_yticks(range(len(found.terms)), found.terms)
    for i, j in np.argwhere(np.abs(shares) >= 0.05):
        color = "white" if abs(shares[i, j]) > 0.6 * largest else "black"
        axes.text(j, i, f"{shares[i, j]:.2f}", ha="center", va="center", color=color, fontsize=8)
    return axes
