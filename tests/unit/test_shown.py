"""What objects show of themselves: pictures, short texts, tables in notebooks."""

from html.parser import HTMLParser

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf.lsh import HyperplaneHash, Table
from pympf.sketch import Sketch

pyplot = pytest.importorskip("matplotlib.pyplot")
pyplot.switch_backend("Agg")

A = pympf.gallery.poisson((32, 32))


@pytest.fixture(autouse=True)
def _closed():
    yield
    pyplot.close("all")


def solution(k=1, **options):
    b = np.random.default_rng(0).standard_normal((1024, k)).squeeze()
    return pympf.solve(A, b, **options)


def table():
    points = np.random.default_rng(0).standard_normal((100, 4))
    return Table(HyperplaneHash(4, n_functions=4, n_tables=2)).fit(points)


def everything():
    s, F = solution(), pympf.factorize(A)
    M = s.operator
    return [s, solution(3), F, F.report(), M, M.report(), table(), table().report()]


def test_a_solution_draws_its_history():
    s = solution(preconditioner="jacobi")
    ax = s.plot()
    (line,) = ax.lines
    assert np.allclose(line.get_ydata(), s.history / s.history[0])
    assert ax.get_xlim() == (0, s.iterations)
    assert "jacobi" in ax.get_title(loc="left")


def test_solutions_draw_a_line_a_column():
    ax = solution(3).plot()
    assert [line.get_label() for line in ax.lines] == ["column 0", "column 1", "column 2"]


def test_a_right_hand_side_of_zeros_can_be_drawn():
    pympf.solve(A, np.zeros(1024)).plot().figure.canvas.draw()


def test_a_factorization_draws_the_eigenvalues_of_each_level():
    F = pympf.factorize(A - 0.5 * sp.eye_array(1024))
    ax = F.plot()
    ax.figure.canvas.draw()
    labels = [label.get_text().splitlines() for label in ax.get_xticklabels()]
    assert [label[0] for label in labels] == [
        "core",
        *(f"level {k}" for k in range(F.levels, 0, -1)),
    ]
    assert sum(int(label[1]) for label in labels) == 1024
    negative = np.count_nonzero(F.spectrum()[F.level_slice(0)] < 0)
    assert negative > 0
    assert labels[0][2] == f"{negative} negative"
    medians = [line.get_ydata()[0] for line in ax.lines]
    assert np.isclose(medians[-1], np.median(abs(F.spectrum()[F.level_slice(1)])))


@pytest.mark.parametrize(
    "report",
    [
        pympf.factorize(A, core_size=256).report(),
        solution().operator.report(),
        pympf.as_preconditioner(A, method="classic").report(),
        table().report(),
    ],
)
def test_a_report_draws_its_lines(report):
    ax = report.plot()
    ax.figure.canvas.draw()
    lines = getattr(report, report.LINES)
    for name, bars in zip(report.COUNTS, ax.containers, strict=True):
        assert [bar.get_width() for bar in bars] == [line[name] for line in lines]


def test_axes_that_are_given_are_drawn_into():
    _, (left, right) = pyplot.subplots(1, 2)
    assert solution().plot(left) is left
    assert pympf.factorize(A).plot(ax=right) is right
    assert len(pyplot.get_fignums()) == 1
    with pytest.raises(TypeError, match="ax: expected matplotlib axes, got a str"):
        solution().plot("left")


def test_without_matplotlib_an_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        solution().plot()


@pytest.mark.parametrize("thing", everything(), ids=lambda thing: type(thing).__name__)
def test_a_repr_is_short_and_says_what_and_how_large(thing):
    text = repr(thing)
    assert type(thing).__name__ in text
    assert "\n" not in text
    assert len(text) < 200
    assert any(character.isdigit() for character in text)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.cells = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.cells.append(data)


@pytest.mark.parametrize(
    "thing", [*everything(), Sketch([3.0, 4.0], "a")], ids=lambda thing: type(thing).__name__
)
def test_notebooks_get_well_formed_html(thing):
    page = Tags()
    page.feed(thing._repr_html_())
    assert page.open == []
    assert len(page.cells) > 3


def test_html_escapes_what_is_in_it():
    assert "&lt;b&gt;" in Sketch([1.0], "<b>")._repr_html_()
    assert "<b>" not in Sketch([1.0], "<b>")._repr_html_()


def test_html_of_a_solution_says_the_essential():
    s = solution(maxiter=1, preconditioner="none")
    page = Tags()
    page.feed(s._repr_html_())
    assert f"no ({s.reason})" in page.cells
    assert f"{s.true_residual:.3g}" in page.cells
