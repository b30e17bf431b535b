"""Soft alignments of networks: what the groups of paths are, and the commands."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pympf.cli import main
from pympf.explain import IntegratedGradients, Paths
from pympf.explain.alignments import (
    IBM1,
    KINDS,
    Links,
    SyntheticLanguages,
    align_text,
    alignment_table,
    hard_alignment,
    read_bitext,
    read_pharaoh,
    score_links,
    soft_alignments,
)
from pympf.nets.graph import multiply, sum
from pympf.nets.seq2seq import Seq2Seq

SHARED = Path(os.environ.get("PYMPF_SHARED", Path(__file__).parents[3] / "shared"))
DATA = SHARED / "data" / "attribution"

SOURCE, TARGET = ["un", "deux", "trois"], ["three", "two", "one"]
SMALL = {"embedding": 6, "hidden": 8, "epochs": 3, "batch": 2, "learning_rate": 0.02}


def network(**arguments):
    sources = [SOURCE, SOURCE[:2], SOURCE[1:], SOURCE[::-1]]
    targets = [TARGET, TARGET[1:], TARGET[:2], TARGET[::-1]]
    return Seq2Seq(**SMALL | arguments).fit(sources, targets)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("query", ["after", "before"])
@pytest.mark.parametrize("log", [True, False])
def test_attributions_sum_to_the_change_of_the_chance(cell, bidirectional, query, log):
    net = network(cell=cell, bidirectional=bidirectional, query=query)
    found = soft_alignments(net, SOURCE, TARGET, log=log, tol=1e-6)
    x = net.embed(SOURCE)
    change = [node.value @ [1, -1] for node in net.word_probabilities([x, 0 * x], TARGET, log=log)]
    assert_allclose(found.matrices["all_paths"].sum(axis=0), change, atol=1e-6)
    assert abs(found.delta).max() < 1e-6
    assert list(found.matrices) == list(KINDS)
    assert all(M.shape == (3, 3) for M in found.matrices.values())
    assert_allclose(found.matrices["attention"], net.attention(SOURCE, TARGET))


def test_cut_paths_are_those_through_the_nodes():
    net = network()
    options = {"method": "gausslegendre", "n_steps": 8, "tol": 1.0}
    M = soft_alignments(net, SOURCE, TARGET, **options).matrices
    for kind, name in (("weights_cut", "attention"), ("context_cut", "context")):
        cut = Paths(avoid=[f"{name}_{t}" for t in (1, 2, 3)])
        through = IntegratedGradients(lambda x: net.word_probabilities(x, TARGET)).attribute(
            net.embed(SOURCE),
            target=[("probability_3",)],
            paths={"through": cut.complement()},
            **options,
        )
        rest = through.paths["through"][0].sum(axis=1)
        assert_allclose(M[kind][:, 2] + rest, M["all_paths"][:, 2], atol=1e-14)


def test_nothing_is_cut_where_nothing_flows():
    """Without weights that depend on the source, or without a context, both readings are all."""
    net = network()
    net.parameters["attention_K"][:] = 0
    M = soft_alignments(net, SOURCE, TARGET).matrices
    assert_allclose(M["attention"], 1 / 3, rtol=1e-6)
    # What attention asks depends on the source through the state, but not what it gets.
    assert_allclose(M["weights_cut"], M["all_paths"], atol=1e-14)
    assert abs(M["context_cut"] - M["all_paths"]).max() > 1e-6
    net.parameters["output_C"][:] = 0
    net.parameters["decoder_C"][:] = 0
    M = soft_alignments(net, SOURCE, TARGET).matrices
    assert_allclose(M["context_cut"], M["all_paths"], atol=1e-14)


class Weighted:
    """A translator whose word t has the chance Σ_j W_jt Σ x_j: 2 W is what is to be found."""

    W = np.array([[0.5, 0.1], [0.2, -0.3], [0.0, 0.7]])

    def embed(self, source):
        return np.ones((len(source), 2))

    def word_probabilities(self, embedded, target, *, log):
        found = []
        for t in range(len(target)):
            weights = np.broadcast_to(self.W[:, t, None], (3, 2))
            attention = multiply(embedded, 0.0).named(f"attention_{t + 1}")
            total = multiply(embedded, weights).named(f"context_{t + 1}")
            found.append(sum(total + attention, axis=(1, 2)).named(f"probability_{t + 1}"))
        return found

    def attention(self, source, target):
        return self.W


def test_any_network_can_be_aligned():
    M = align_text(Weighted(), [("abc", "AB")])
    assert_allclose(M["all_paths"][0], 2 * Weighted.W)
    assert_allclose(M["weights_cut"][0], 2 * Weighted.W)
    assert_allclose(M["context_cut"][0], 0)


def test_what_cannot_be_aligned():
    with pytest.raises(ValueError, match=r"attention, all_paths, weights_cut, .* \['path'\]"):
        soft_alignments(Weighted(), "abc", "AB", kinds=["path"])
    with pytest.raises(ValueError, match="with words, got an empty one"):
        soft_alignments(Weighted(), "abc", "")
    only = soft_alignments(Weighted(), "abc", "AB", kinds=["attention"])
    assert only.n_points == 0
    assert np.isnan(only.delta).all()


def test_tables():
    gold = [Links.of([(0, 0), (2, 1)])] * 3
    M = align_text(Weighted(), [("abc", "AB")] * 3, kinds=["attention", "context_cut"])
    table = alignment_table(
        M, gold, links={"IBM": [frozenset({(0, 0)})] * 3}, reference="attention"
    )
    assert table.column("kind") == ["attention", "context_cut", "IBM"]
    assert table.column("match") == [1.0, 0.5, None]
    assert table.column("match - attention") == [None, [-0.5, -0.5, -0.5], None]
    assert table.column("1 - AER")[2] == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="reference of attention, context_cut, got 'x'"):
        alignment_table(M, gold, reference="x")


# ---- on the command line -------------------------------------------------------------------------
@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a text in one file, the same in two, and its links."""
    monkeypatch.chdir(tmp_path)
    languages = SyntheticLanguages(nouns=5, verbs=3, adjectives=3, adverbs=2, compounds=2)
    pairs = languages.draw(30)
    sides = [[" ".join(pair[side]) for pair in pairs] for side in (0, 1)]
    Path("text").write_text("".join(f"{s} ||| {t}\n" for s, t in zip(*sides, strict=True)))
    for name, side in zip(("source", "target"), sides, strict=True):
        Path(name).write_text("".join(f"{line}\n" for line in side))
    lines = [" ".join(f"{i}-{j}" for i, j in pair.links.sure) for pair in pairs]
    Path("links").write_text("".join(f"{line}\n" for line in lines))
    naacl = [f"7 {i + 1} {j + 1} S\n" for i, j in pairs[6].links.sure]
    Path("links.wa").write_text("".join(naacl))
    return tmp_path


def report(capsys):
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


def test_commands(folder, capsys):
    trained = ["explain", "translator", "text", "-o", "net.h5", "--cell", "lstm", "--hidden", "8"]
    assert main([*trained, "--unidirectional", "--query", "before", "--epochs", "2", "--json"]) == 0
    assert [row["epoch"] for row in report(capsys)["rows"]] == [1, 2]
    net = Seq2Seq.load("net.h5")
    assert (net.cell, net.bidirectional, net.query, net.hidden) == ("lstm", False, "before", 8)
    links = ["explain", "align", "net.h5", "source", "--target", "target", "--json"]
    assert main([*links, "--kinds", "attention"]) == 0
    rows = report(capsys)["rows"]
    assert len(rows) == 30
    pair = read_bitext("text")[4]
    expected = hard_alignment(net.attention(*pair))
    assert {tuple(map(int, link.split("-"))) for link in rows[4]["attention"].split()} == expected
    assert main([*links, "--gold", "links", "--tol", "0.5"]) == 0
    assert [row["kind"] for row in report(capsys)["rows"]] == list(KINDS)


def test_model_1_on_the_command_line(folder, capsys):
    pairs = read_bitext("source", "target")
    model = IBM1().fit([p.source for p in pairs], [p.target for p in pairs])
    gold = list(read_pharaoh("links").values())
    expected = score_links([model.align(*pair) for pair in pairs], gold)
    command = ["explain", "align", "ibm1", "text", "--json"]
    assert main([*command, "--gold", "links"]) == 0
    (row,) = report(capsys)["rows"]
    assert row["1 - AER"] == expected.one_minus_aer
    assert main([*command, "--gold", "links.wa", "--gold-format", "naacl"]) == 0
    (row,) = report(capsys)["rows"]
    assert row["recall"] == score_links([model.align(*pairs[6])], [gold[6]]).recall
    assert main([*command, "--gold", "links", "--first-pair", "4"]) == 3
    assert "expected links of pairs from 4 to 33, got pair 0" in capsys.readouterr().err


# ---- real files ----------------------------------------------------------------------------------
def test_links_by_hand_of_real_sentences():
    path = DATA / "tatoeba-fr-en-gold.txt"
    if not path.exists():
        pytest.skip(f"no aligned sentences at {path}: set PYMPF_SHARED")
    gold = read_pharaoh(path, numbered=True)
    assert len(gold) == 47
    assert len(gold[3].sure) == 5
    assert gold[3].possible - gold[3].sure == {(1, 2)}
