"""Word alignments without networks: links, their files, their scores, IBM model 1, made-up text."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from pympf.explain.alignments import (
    IBM1,
    SYMMETRIZATIONS,
    Links,
    SyntheticLanguages,
    best_sources,
    best_targets,
    grow_diag_final_and,
    hard_alignment,
    paired_bootstrap,
    parse_pharaoh,
    read_bitext,
    read_naacl,
    read_pharaoh,
    score_alignments,
    score_links,
)

ALIGNMENTS = st.frozensets(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=14)


# ---- files ---------------------------------------------------------------------------------------
def test_pharaoh_links():
    links = parse_pharaoh(" 0-0 1p2 12?3 4-5S 4-6P ")
    assert links.sure == {(0, 0), (4, 5)}
    assert links.possible == {(0, 0), (1, 2), (12, 3), (4, 5), (4, 6)}
    assert parse_pharaoh("") == Links(frozenset(), frozenset())


@pytest.mark.parametrize("text", ["0", "0-", "0:1", "a-b", "1--2", "-1-2", "0p1S", "0-1X"])
def test_other_links_are_refused(text):
    with pytest.raises(ValueError, match="expected links i-j, ipj"):
        parse_pharaoh(f"0-0 {text}")


def test_pharaoh_files(tmp_path):
    path = tmp_path / "links.txt"
    path.write_text("\ufeff0-0\n\n1-1 0?1\n", encoding="utf-8")
    assert read_pharaoh(path) == {
        0: Links.of([(0, 0)]),
        1: Links.of([]),
        2: Links.of([(1, 1)], [(0, 1)]),
    }
    path.write_text("# by hand\n3 | 0-0\n17\t1p1 \n18\t\n")
    assert read_pharaoh(path, numbered=True) == {
        3: Links.of([(0, 0)]),
        17: Links.of([], [(1, 1)]),
        18: Links.of([]),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 | 0-0\n1 | 0-0\n", ":2: .*number 1 again"),
        ("0-0\n", ":1: .*number"),
        ("1 | x", ":1: .*'x'"),
    ],
)
def test_numbered_files_that_are_none(tmp_path, text, message):
    path = tmp_path / "links.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_pharaoh(path, numbered=True)


def test_naacl_files(tmp_path):
    path = tmp_path / "links.wa"
    path.write_text("1 1 1 S\n1 2 1 P\n\n1 0 3 S\n0002 3 1\n2 1 2 S 0.75\n")
    assert read_naacl(path) == {
        1: Links.of([(0, 0)], [(1, 0)]),  # word 0 is no word
        2: Links.of([(2, 0), (0, 1)]),
    }
    path.write_text("1 0 0 S\n")
    assert read_naacl(path, first=0) == {1: Links.of([(0, 0)])}
    path.write_text("1 1 1\n1 1\n")
    with pytest.raises(ValueError, match=":2: expected 'pair source target"):
        read_naacl(path)


@given(st.lists(st.tuples(ALIGNMENTS, ALIGNMENTS), max_size=4))
def test_links_come_back_from_both_formats(tmp_path_factory, pairs):
    path = tmp_path_factory.mktemp("links") / "links"
    gold = [Links.of(sure, possible) for sure, possible in pairs]
    path.write_text(
        "".join(
            " ".join(f"{i}{'-' if (i, j) in G.sure else 'p'}{j}" for i, j in G.possible) + "\n"
            for G in gold
        )
    )
    assert list(read_pharaoh(path).values()) == gold
    path.write_text(
        "".join(
            f"{n} {i + 1} {j + 1} {'S' if (i, j) in G.sure else 'P'}\n"
            for n, G in enumerate(gold)
            for i, j in G.possible
        )
    )
    assert read_naacl(path) == {n: G for n, G in enumerate(gold) if G.possible}


def test_bitext_files(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("je suis du@@ re .|||i m tough .\nnon|||\n", encoding="utf-8")
    pairs = read_bitext(one)
    assert pairs[0] == (("je", "suis", "dure", "."), ("i", "m", "tough", "."))
    assert pairs[1] == (("non",), ())
    assert read_bitext(one, joiner="")[0].source == ("je", "suis", "du@@", "re", ".")
    one.write_text("a b\nc\n")
    two.write_text("A\nC D\n")
    assert read_bitext(one, two) == [(("a", "b"), ("A",)), (("c",), ("C", "D"))]
    with pytest.raises(ValueError, match=r":1: expected one '\|\|\|' .* got 0"):
        read_bitext(one)
    two.write_text("A\n")
    with pytest.raises(ValueError, match=r"as many lines .* got 1 and 2"):
        read_bitext(one, two)


# ---- links of scores -----------------------------------------------------------------------------
@given(ALIGNMENTS, ALIGNMENTS)
def test_grow_diag_final_and_lies_between_intersection_and_union(S, T):
    A = grow_diag_final_and(S, T)
    assert S & T <= A <= S | T
    assert grow_diag_final_and(S, S) == S
    # Nothing is left out of which neither word has a link.
    sources, targets = {i for i, _ in A}, {j for _, j in A}
    assert all(i in sources or j in targets for i, j in S | T)


def test_grow_diag_final_and_step_by_step():
    S = {(0, 0), (1, 1), (3, 3), (6, 6)}
    T = {(0, 0), (2, 1), (2, 2), (5, 0), (3, 2)}
    # (1, 1) touches (0, 0) by a corner; (2, 1) and (2, 2) follow; then (3, 3) and (3, 2) touch
    # (2, 2); (6, 6) is final-and; (5, 0) has a target that is linked.
    expected = {(0, 0), (1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (6, 6)}
    assert grow_diag_final_and(S, T) == expected
    assert grow_diag_final_and({(0, 0), (0, 5)}, {(0, 0)}) == {(0, 0)}


def test_directions_of_a_soft_alignment():
    M = np.array([[0.1, 0.7, 0.4], [0.9, 0.2, 0.5]])
    assert best_sources(M) == {(1, 0), (0, 1), (1, 2)}
    assert best_targets(M) == {(0, 1), (1, 0)}
    assert hard_alignment(M, "intersection") == {(1, 0), (0, 1)}
    assert hard_alignment(M, "union") == {(1, 0), (0, 1), (1, 2)}
    assert hard_alignment(M, "sources") == best_sources(M)
    assert hard_alignment(M, "targets") == best_targets(M)
    assert hard_alignment(M) == {(1, 0), (0, 1), (1, 2)}


@pytest.mark.parametrize("M", [[], [[]], [1.0], [[np.nan]], [[np.inf, 0]]])
def test_what_is_no_soft_alignment(M):
    with pytest.raises(ValueError, match="expected"):
        hard_alignment(M)


def test_unknown_methods():
    with pytest.raises(
        ValueError, match=r"'gdfa' is not one of grow-diag-final-and, intersection, union"
    ):
        hard_alignment([[1.0]], "gdfa")
    with pytest.raises(ValueError, match="grow-diag-final-and"):
        IBM1().fit([["a"]], [["b"]]).align(["a"], ["b"], "gdfa")


# ---- scores --------------------------------------------------------------------------------------
def test_scores_by_hand():
    M = np.array([[0.5, 0.2, 0.0], [0.5, 0.6, 0.3], [-1.0, 0.2, 0.1]])
    gold = Links.of([(0, 0), (1, 1), (2, 1)], [(1, 2)])
    found = score_alignments([M], [gold], "sources")  # A: (0, 0), (1, 1), (1, 2)
    assert found.match == 1.0  # of the targets 0 and 1; 2 has no sure link
    assert found.mass == pytest.approx((0.5 + 0.8) / 2)
    assert found.precision == 1.0
    assert found.recall == pytest.approx(2 / 3)
    assert found.one_minus_aer == pytest.approx((3 + 2) / (3 + 3))


@given(ALIGNMENTS, ALIGNMENTS, ALIGNMENTS)
def test_aer_is_that_of_och_and_ney(A, sure, possible):
    gold = Links.of(sure, possible)
    found = score_links([A], [gold])
    assert np.isnan(found.match)
    if A or sure:
        # Without possible links it is the F measure, and it is 1 for all between sure and possible.
        assert 0 <= found.one_minus_aer <= 1
        between = gold.sure <= A <= gold.possible
        assert (found.one_minus_aer == 1) == between
    if A and sure and gold.sure == gold.possible and found.precision:
        f = 2 * found.precision * found.recall / (found.precision + found.recall)
        assert_allclose(found.one_minus_aer, f)


def test_scores_are_over_words_not_over_pairs():
    good, bad = np.eye(4) + 0.01, np.array([[0.0], [1.0]])
    gold = [Links.of([(i, i) for i in range(4)]), Links.of([(0, 0)])]
    assert score_alignments([good, bad], gold).match == 4 / 5


def test_scores_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="2 alignments and 1 gold"):
        score_alignments([[[1.0]]] * 2, [Links.of([(0, 0)])])
    with pytest.raises(ValueError, match=r"within \(1, 1\) words, got \[\(0, 1\)\]"):
        score_alignments([[[1.0]]], [Links.of([], [(0, 1)])])
    with pytest.raises(ValueError, match="match, mass, one_minus_aer"):
        paired_bootstrap([[[1.0]]], [[[1.0]]], [Links.of([(0, 0)])], "aer")


def test_bootstrap_intervals():
    rng = np.random.default_rng(0)
    gold = [Links.of([(i, i) for i in range(5)])] * 60
    good = [np.eye(5) + 0.6 * rng.random((5, 5)) for _ in gold]
    bad = [np.eye(5) + 1.5 * rng.random((5, 5)) for _ in gold]
    found = paired_bootstrap(good, bad, gold, seed=1)
    direct = score_alignments(good, gold).match - score_alignments(bad, gold).match
    assert found.difference == pytest.approx(direct)
    assert 0 < found.low < found.difference < found.high < 1
    assert found == paired_bootstrap(good, bad, gold, seed=1)
    same = paired_bootstrap(good, good, gold, "one_minus_aer")
    assert same == (0, 0, 0)
    # The interval is about as wide as the standard error of differences between the pairs says.
    each = [
        score_alignments([a], [g]).match - score_alignments([b], [g]).match
        for a, b, g in zip(good, bad, gold, strict=True)
    ]
    width = 2 * 1.96 * np.std(each) / np.sqrt(len(each))
    assert found.high - found.low == pytest.approx(width, rel=0.15)


# ---- IBM model 1 ---------------------------------------------------------------------------------
SOURCES = [["das", "haus"], ["das", "buch"], ["ein", "buch"], ["ein", "haus", "ein", "buch"]]
TARGETS = [["the", "house"], ["the", "book"], ["a", "book"], ["a", "house", "a", "book"]]


def slow_ibm1(sources, targets, iterations):
    """EM by loops over words: the definition."""
    words = {w for t in targets for w in t}
    t = {(x, y): 1 / len(words) for x in {"", *itertools.chain(*sources)} for y in words}
    for _ in range(iterations):
        counts = dict.fromkeys(t, 0.0)
        for source, target in zip(sources, targets, strict=True):
            makers = ["", *source]
            for y in target:
                total = sum(t[x, y] for x in makers)
                for x in makers:
                    counts[x, y] += t[x, y] / total
        sums = {x: sum(counts[x, y] for y in words) for x, _ in t}
        t = {(x, y): count / sums[x] for (x, y), count in counts.items()}
    return t


def test_ibm1_is_its_definition():
    t = slow_ibm1(SOURCES, TARGETS, 5)
    model = IBM1(5).fit(SOURCES, TARGETS)
    for source, target in zip(SOURCES, TARGETS, strict=True):
        scores = np.array([[t[x, y] for y in target] for x in ["", *source]])
        assert_allclose(model.soft(source, target), (scores / scores.sum(0))[1:], atol=1e-7)


def test_ibm1_climbs_and_aligns():
    model = IBM1(30).fit([*SOURCES, []], [*TARGETS, ["x"]])
    assert len(model.log_likelihoods) == 30
    assert np.diff(model.log_likelihoods).min() > -1e-9
    assert model.align(["ein", "haus"], ["a", "house"]) == {(0, 0), (1, 1)}
    assert set(SYMMETRIZATIONS) >= {"grow-diag-final-and", "intersection", "union"}
    # Words that were never seen share a column evenly with the empty word.
    assert_array_equal(model.soft(["neu", "das"], ["new"]), [[1 / 3], [1 / 3]])
    assert model.align([], ["a"]) == frozenset()


def test_ibm1_refuses_what_is_no_bitext():
    with pytest.raises(ValueError, match="got 1 and 0"):
        IBM1().fit([["a"]], [])
    with pytest.raises(ValueError, match="words on both sides, got none"):
        IBM1().fit([[]], [["a"]])
    with pytest.raises(ValueError, match=r"iterations = .* integer in .1, inf"):
        IBM1(0)
    with pytest.raises(ValueError, match="call fit first"):
        IBM1().soft(["a"], ["b"])


# ---- made-up languages ---------------------------------------------------------------------------
def test_synthetic_languages():
    languages = SyntheticLanguages(seed=1)
    pairs = languages.draw(400, seed=2)
    assert pairs == languages.draw(400, seed=2) == SyntheticLanguages(seed=1).draw(400, seed=2)
    assert pairs != languages.draw(400, seed=3)
    lexicon = {"n": "N", "a": "A", "w": "W", "v": "V", "p": "V"}
    for source, target, links in pairs:
        assert {i for i, _ in links.sure} == set(range(len(source)))  # every source word has a link
        unlinked = [
            word for j, word in enumerate(target) if j not in {j for _, j in links.possible}
        ]
        assert set(unlinked) <= {"OF"}
        for i, j in links.sure:
            kind, number = source[i][0], source[i][1:]
            if kind in lexicon and source[i] != "nicht":
                assert target[j][0] == lexicon[kind]
                assert kind == "p" or target[j].rstrip("ab") == lexicon[kind] + number
    # The verb is last in the source and never in the target when there is an object behind it.
    assert all(pair.source[-1].startswith("v") for pair in pairs)
    crossing = sum(len({i - j for i, j in pair.links.sure}) > 1 for pair in pairs)
    assert crossing > 300
    with pytest.raises(ValueError, match=r"verbs = .* integer in .1, inf"):
        SyntheticLanguages(verbs=0)


def test_form_words_follow_what_decides_them():
    """The article has the gender of its noun, the verb the kind of its object."""
    decided = {}
    for source, target, links in SyntheticLanguages().draw(2000, seed=1):
        for i, j in links.possible - links.sure:
            if target[j] == "DO":
                continue
            own = next(
                k for k, column in links.sure if column == j and not source[k].startswith("p")
            )
            assert decided.setdefault((source[own], source[i]), target[j]) == target[j]
    assert len(set(decided.values())) > 20


def test_ibm1_on_the_synthetic_pair():
    text = SyntheticLanguages().draw(2000, seed=1)
    model = IBM1().fit([p.source for p in text], [p.target for p in text])
    test = SyntheticLanguages().draw(100, seed=3)
    found = score_links([model.align(p.source, p.target) for p in test], [p.links for p in test])
    assert found.one_minus_aer > 0.85
