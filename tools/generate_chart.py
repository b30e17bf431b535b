"""Write docs/choosing.md and its chart, docs/images/choosing.svg, from one list of questions."""

from html import escape
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parent.parent / "docs"


class Case(NamedTuple):
    """A question; if the answer is yes: the call, what it does, the page on it."""

    question: str
    call: str
    words: str
    page: str


CHART: dict[str, list[Case]] = {
    "A x = b": [
        Case(
            "One matrix, many right-hand sides?",
            "pympf.solve(A, B)",
            "eight cost about two",
            "blocks.md",
        ),
        Case(
            "Several unknowns at a point (elasticity)?",
            "pympf.solve(A, b, near_nullspace=modes, block_size=2)",
            "modes = pympf.rigid_body_modes(points)",
            "tour.md#solve-a-system",
        ),
        Case(
            "New values in the same pattern, again and again?",
            "M.update(A); pympf.solve(A, b, preconditioner=M)",
            "a third of a new setup",
            "performance.md",
        ),
        Case(
            "Rows on many ranks?",
            "pympf.solve(A_own, b_own, comm=comm)",
            "in PETSc: -pc_type mmf",
            "parallel.md",
        ),
        Case(
            "Not symmetric?",
            "pympf.solve(A, b)",
            "levels of two sides or incomplete LU, GMRES",
            "nonsymmetric.md",
        ),
        Case(
            "Indefinite (waves, saddle points)?",
            "pympf.solve(A, b)",
            "sparse LU, or MINRES by parts",
            "preconditioner.md#indefinite-matrices",
        ),
        Case(
            "Anything else",
            "pympf.solve(A, b)",
            "it chooses; solution.choice says what and why",
            "preconditioner.md",
        ),
        Case(
            "In doubt?",
            "pympf compare A.mtx",
            "all solvers that are installed, timed",
            "compare.md",
        ),
    ],
    "More of A than its inverse": [
        Case(
            "log det A?", "pympf.logdet(A)", "with its standard error", "tour.md#use-it-as-a-matrix"
        ),
        Case(
            "The smallest eigenvectors?",
            "lobpcg(A, X, M=pympf.as_preconditioner(A), largest=False)",
            "SciPy's method, our preconditioner",
            "gallery/spectral_clustering.py",
        ),
        Case(
            "Wavelets, A^½, exp(−tA), all to some accuracy?",
            "F = pympf.factorize(A)",
            "exact for F; F.error(A) says how far F is from A",
            "tour.md",
        ),
        Case(
            "A in fewer bytes?",
            "pympf.compress(A, nbytes)",
            "the best of thresholds, low rank, rotations, wavelets",
            "approx.md",
        ),
    ],
    "Points and networks": [
        Case(
            "Near neighbours?", "Table(HyperplaneHash(d)).fit(X).query(Y, k)", "pympf.lsh", "lsh.md"
        ),
        Case(
            "Keep what was seen, and find it again?",
            "Repository.create(path, scheme)",
            "pympf.sketch: shrinks to a budget",
            "repository.md",
        ),
        Case(
            "What did a network look at?",
            "IntegratedGradients(f).attribute(x)",
            "pympf.explain: sums to the change of the output",
            "attribution.md",
        ),
        Case(
            "A network for one more task?",
            'transfer(net, X, y, "scale-bias+last")',
            "pympf.nets.patches: a few percent of the numbers",
            "patches.md",
        ),
    ],
}

TEXT = """# Which method should I use?

![The chart: from a question to the call that answers it](images/choosing.svg)

The same with links (both are written by `make docs` from `tools/generate_chart.py`):
"""

ROW, BOX, LEFT, RIGHT, GAP = 62, 46, 360, 560, 70
STYLE = "font-family='DejaVu Sans, Verdana, sans-serif'"
CODE = "font-family='DejaVu Sans Mono, Menlo, monospace' font-size='12.5'"


def page() -> str:
    """Return the text of docs/choosing.md."""
    parts = [TEXT]
    for title, cases in CHART.items():
        rows = [
            f"| {one.question} | `{one.call}` | {one.words} | [more]({one.page}) |" for one in cases
        ]
        parts.append("\n".join([f"## {title}", "| | | | |", "|---|---|---|---|", *rows, ""]))
    return "\n".join(parts)


def svg() -> str:
    """Return the chart: ladders of questions, from each a step to the right for yes."""
    shapes: list[str] = []
    y = 20
    for title, cases in CHART.items():
        shapes.append(f"<text x='20' y='{y + 18}' font-size='17' font-weight='bold'>{title}</text>")
        y += 36
        for case in cases:
            shapes += _case(case, y, last=case is cases[-1])
            y += ROW
        y += 6
    width = LEFT + RIGHT + GAP + 40
    return "\n".join(
        [
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {y}' "
            f"width='{width}' height='{y}' {STYLE} font-size='13.5' fill='#1b2530'>",
            "<defs><marker id='end' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='8' "
            "markerHeight='8' orient='auto'><path d='M0 0 L8 4 L0 8 z' fill='#557'/></marker>"
            "</defs>",
            f"<rect width='{width}' height='{y}' rx='8' fill='#ffffff'/>",
            *shapes,
            "</svg>\n",
        ]
    )


def _case(case: Case, y: int, last: bool) -> list[str]:
    middle, right = y + BOX // 2, 20 + LEFT + GAP
    line = "stroke='#557' stroke-width='1.5' marker-end='url(#end)'"
    box = "rx='7' stroke-width='1.3'"
    shapes = [
        f"<rect x='20' y='{y}' width='{LEFT}' height='{BOX}' {box} fill='#eef3fa' "
        "stroke='#7a93b5'/>",
        f"<text x='34' y='{middle + 5}'>{escape(case.question)}</text>",
        f"<rect x='{right}' y='{y}' width='{RIGHT}' height='{BOX}' {box} fill='#eaf6f1' "
        "stroke='#4f9d80'/>",
        f"<text x='{right + 14}' y='{middle - 4}' {CODE}>{escape(case.call)}</text>",
        f"<text x='{right + 14}' y='{middle + 15}' font-size='12' fill='#44525f'>"
        f"{escape(case.words)}</text>",
        f"<line x1='{20 + LEFT}' y1='{middle}' x2='{right - 2}' y2='{middle}' {line}/>",
    ]
    if case.question.endswith("?"):
        shapes.append(f"<text x='{20 + LEFT + 20}' y='{middle - 6}' font-size='12'>yes</text>")
    if not last:
        shapes.append(f"<line x1='60' y1='{y + BOX}' x2='60' y2='{y + ROW - 2}' {line}/>")
    return shapes


def write() -> None:
    """Write both files."""
    (DOCS / "choosing.md").write_text(page(), encoding="utf-8")
    (DOCS / "images" / "choosing.svg").write_text(svg(), encoding="utf-8")


if __name__ == "__main__":
    write()
