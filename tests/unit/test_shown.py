"""What objects show of themselves: pictures, short texts, tables in notebooks."""

import importlib
import inspect
from html.parser import HTMLParser

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf._described import Described
from pympf.comparison import Comparison, Trial
from pympf.explain import IntegratedGradients, ResultTable
from pympf.explain.tables import NeuralProgrammer, RuleBased
from pympf.lsh import HyperplaneHash, Table
from pympf.nets import DSM, Hypercube, Layer, TopK
from pympf.nets.graph import Graph, variable
from pympf.nets.patches import residual_network
from pympf.nets.seq2seq import Seq2Seq
from pympf.nets.train import SGD, Cosine
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


PACKAGES = ("", ".approx", ".comparison", ".lsh", ".sketch", ".nets", ".nets.graph", ".nets.depth")
PACKAGES += (".nets.modular", ".nets.patches", ".nets.programmer", ".nets.seq2seq", ".nets.train")
PACKAGES += (".explain", ".explain.tables", ".explain.alignments")


@pytest.mark.parametrize("package", PACKAGES)
def test_no_public_class_leaves_its_objects_without_a_text(package):
    module = importlib.import_module(f"pympf{package}")
    found = [value for value in map(module.__dict__.get, module.__all__) if inspect.isclass(value)]
    for kind in found:
        interface = getattr(kind, "_is_protocol", False) or kind is pympf.Params
        assert interface or kind.__repr__ is not object.__repr__, kind


def test_what_objects_were_made_with():
    layer = Layer(np.ones((8, 2)), routing=TopK(3))
    assert repr(DSM(layer)).startswith("DSM([Layer(array of 8 × 2, ")
    assert "routing=TopK(3)" in repr(layer)
    assert repr(Seq2Seq(hidden=24, cell="lstm")) == "Seq2Seq(cell='lstm', hidden=24)"
    assert repr(Hypercube(4, seed=1)) == "Hypercube(4)"  # the seed is not kept
    assert repr(Cosine(SGD(0.5), 7)) == "Cosine(SGD(learning_rate=0.5), 7)"
    assert repr(eval(repr(TopK(5, by="absolute")))) == "TopK(5, by='absolute')"

    class Kept(Described):
        def __init__(self, kind, *, sizes=(), function=None, other=None):
            self.kind, self.sizes, self.function, self.other = kind, sizes, function, other

    text = repr(
        Kept(np.dtype("f4"), sizes=list(range(9)), function=np.linalg.norm, other="a" * 200)
    )
    assert text == "Kept(float32, sizes=9 entries, function=norm, other=str(…))"
    assert repr(Kept(sp.eye(3), sizes=(1,))) == "Kept(array of 3 × 3, sizes=(1,))"


@pytest.mark.parametrize(
    ("made", "name", "value", "wrong"),
    [
        (Seq2Seq(hidden=12), "hidden", 8, 0),
        (NeuralProgrammer(16, epochs=2), "width", 8, None),
        (RuleBased(["exact"]), "matches", ("exact", "edit"), ("exat",)),
    ],
)
def test_parameters_are_those_of_scikit_learn(made, name, value, wrong):
    before = made.get_params()
    twin = pytest.importorskip("sklearn.base").clone(made)
    assert twin.get_params() == before
    assert twin.set_params(**{name: value}) is twin
    assert twin.get_params() == before | {name: value}
    assert made.get_params() == before
    with pytest.raises(ValueError, match=r"did you mean seed|known: matches"):
        twin.set_params(sed=1)
    if wrong is not None:
        with pytest.raises(ValueError, match=r"exat|hidden = 0"):
            twin.set_params(**{name: wrong})
    assert twin.get_params() == before | {name: value}  # a refused one changes nothing


def test_a_network_keeps_what_it_learned_when_parameters_change():
    net = Seq2Seq(epochs=1, hidden=4).fit([["un"]], [["one"]])
    assert net.set_params(epochs=2).predict([["un"]]) == net.predict([["un"]])


def test_what_other_objects_say():
    net = residual_network((3, 16, 16), 10)
    count = sum(values.size for values in net.parameters().values())
    assert (
        repr(net) == f"<Network of {count} parameters, 10 classes of 3 × 16 × 16 images, float32>"
    )
    assert repr(Graph(variable(np.ones((1, 2)), "x") * 2)) == "<Graph of 2 nodes, 1 with names>"
    result = IntegratedGradients(lambda x: x[:, 0] * x[:, 1]).attribute(np.array([2.0, 3.0]))
    assert repr(result).startswith("<Attribution of F(x) - F(x') = 6, |delta| <= ")


@pytest.mark.parametrize(
    "made", [(pympf.Mmf, "factorize"), (pympf.Preconditioner, "as_preconditioner")]
)
def test_classes_that_functions_make_name_these(made):
    kind, name = made
    with pytest.raises(TypeError, match=rf"expected pympf.{name}\(A\).*got {kind.__name__}\(csr"):
        kind(A, None)


def comparison():
    trials = (Trial("a <b>", "b", "fastest", total_s=0.5, iterations=3), Trial("c", "d", "crashed"))
    matrix = {"rows": 7, "nnz": 9, "symmetry": "symmetric", "singular": False}
    return Comparison(
        trials, matrix, {"rtol": 1e-8, "threads": 1, "clock": "wall", "solves": 1}, {}
    )


def test_a_comparison_and_a_table_are_short_as_texts_and_whole_as_html():
    table = ResultTable(
        "Words <1>", ["word", "share"], [["a", 0.25], ["<b>", None]], ["note & end"]
    )
    assert repr(table) == "<ResultTable 'Words <1>': 2 rows of word, share>"
    assert (
        repr(comparison())
        == "<Comparison of 2 solvers on 7 rows. Take a <b>: 0.5 s, 3 iterations.>"
    )
    for thing, words in (
        (table, ["<b>", "0.25", "note & end"]),
        (comparison(), ["a <b>", "crashed"]),
    ):
        page = Tags()
        page.feed(thing._repr_html_())
        assert page.open == []
        assert set(words) <= set(page.cells)


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
