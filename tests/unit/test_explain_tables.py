"""Tables and questions: operators, generator, matches, WikiTableQuestions, its evaluator."""

import dataclasses
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pympf.explain.tables import (
    DOMAINS,
    INTENTS,
    OPERATORS,
    PROGRAMS,
    SYNONYMS,
    Table,
    WikiTableQuestions,
    apply_step,
    ask,
    denotation,
    distractor_row,
    execute,
    fictitious,
    generate_questions,
    generate_table,
    is_right,
    match_cells,
    normalize,
    read_csv_table,
    read_tsv,
    reorder_rows,
    to_value,
    to_values,
    unescape,
    used,
    zipf,
)

from ..helpers import wikitablequestions

MEDALS = Table(
    ("nation", "gold", "city"),
    (("Fiji", "Peru", "Chad", "Oman"), ("1", "5", "5", "–"), ("x", "y", "x", "z")),
)
QUESTION = ask("did peru or oman have more than 2 golds", MEDALS)


def rows(*selected):
    return np.isin(np.arange(4), selected)


# ---- operators -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("operator", "column", "before", "after"),
    [
        ("prev", None, (0, 2), (1,)),
        ("next", None, (0, 3), (1,)),
        ("first", None, (1, 2), (1,)),
        ("last", None, (1, 2), (2,)),
        ("first", None, (), ()),
        ("mfe", 2, (3,), (0, 2)),
        ("gt", 1, (), (1, 2)),
        ("lt", 1, (), (0,)),
        ("geq", 1, (), (1, 2)),
        ("leq", 1, (), (0,)),
        ("gt", 0, (0, 1), ()),
        ("max", 1, (0, 1, 2, 3), (1,)),
        ("max", 1, (0, 3), (0,)),
        ("max", 1, (3,), ()),
        ("min", 1, (1, 2), (2,)),
        ("max", 0, (0, 1), ()),
        ("select", 0, (), (1, 3)),
        ("reset", None, (), (0, 1, 2, 3)),
        ("count", None, (1,), ()),
        ("print", 0, (1,), ()),
    ],
)
def test_each_operator(operator, column, before, after):
    assert list(apply_step(QUESTION, operator, column, rows(*before))) == list(rows(*after))


@given(st.data())
def test_many_selections_at_once_are_each_alone(data):
    selected = np.array(
        data.draw(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1))
    )
    operator = data.draw(st.sampled_from(OPERATORS))
    together = apply_step(QUESTION, operator, 1, selected)
    alone = [apply_step(QUESTION, operator, 1, row) for row in selected]
    assert np.array_equal(together, alone)


def test_programs_answer():
    assert execute([("gt", 1), ("count", None)], QUESTION) == 2
    assert execute([("select", 0), ("print", 2)], QUESTION) == {"y", "z"}
    assert execute([("reset", None)], QUESTION) is None
    assert execute([("print", 0), ("count", None)], QUESTION) == 0  # a print in between is lost


def test_a_step_without_its_column_is_refused():
    with pytest.raises(ValueError, match="expected a column from 0 to 2 for max, got None"):
        execute([("max", None), ("count", None)], QUESTION)
    with pytest.raises(ValueError, match=r"expected an operator of count, prev.*got 'sum'"):
        execute([("sum", None), ("count", None)], QUESTION)
    with pytest.raises(ValueError, match="one column of equally many cells"):
        Table(("a", "b"), (("1",), ()))


def test_a_step_before_a_fresh_start_is_not_used():
    assert used(PROGRAMS["MFE"]) == [(False, False), (True, True), (True, False), (True, True)]
    assert used(PROGRAMS["SORT_MAX"])[0] == (False, False)


# ---- the generator -------------------------------------------------------------------------------
def test_the_same_seed_gives_the_same_questions():
    first, again, other = (generate_questions(6, seed) for seed in (3, 3, 4))
    assert [(q.words, q.answer, q.table.cells) for q in first] == [
        (q.words, q.answer, q.table.cells) for q in again
    ]
    assert [q.words for q in first] != [q.words for q in other]


def test_every_question_has_the_answer_of_its_program_and_words_of_its_intent():
    questions = generate_questions(300, seed=1)
    assert {q.intent for q in questions} == {*INTENTS, "VAGUE"}
    for q in questions:
        assert execute(q.program, q) == q.answer
        intent = DOMAINS[q.table.domain].habit if q.intent == "VAGUE" else q.intent
        assert [op for op, _ in q.program] == [op for op, _ in PROGRAMS[intent]]
        if q.intent in ("SORT_MAX", "GT"):
            header = q.table.columns[q.program[2][1]]
            assert not SYNONYMS[header].isdisjoint(q.words)


def test_intents_have_the_frequencies_asked_for():
    counts = Counter(q.intent for q in generate_questions(600, 1, vague=0, intents=zipf()))
    assert counts["COUNT_ALL"] > 1.5 * counts["LOOKUP"] > 2 * counts["LEQ"]
    only = generate_questions(4, 1, vague=0, intents={"FIRST": 1})
    assert {q.intent for q in only} == {"FIRST"}
    with pytest.raises(ValueError, match="expected an intent that tables of medals can answer"):
        generate_questions(1, intents={"MFE": 1}, vague=0)
    with pytest.raises(ValueError, match=r"an intent = .* is not one of LOOKUP"):
        generate_questions(1, intents={"SUM": 1})


def test_sorted_tables_make_first_a_shortcut():
    table = generate_table("race", seed=5, sorted_p=1.0, sorted_by="points")
    points = table.numbers[table.groups.index("points")]
    assert all(a > b for a, b in pairwise(points))
    questions = generate_questions(
        60, 1, vague=0, sorted_by_question=True, intents={"SORT_MAX": 1, "SORT_MIN": 1}
    )
    for q in questions:
        shortcut = [("reset", None), ("first", None), q.program[-1]]
        assert execute(shortcut, q) == q.answer


def test_other_tables_for_the_same_question():
    for number, q in enumerate(generate_questions(60, seed=2)):
        for kind in ("rows", "numbers", "both"):
            other = fictitious(q, number, kind)
            assert other.words == q.words
            assert other.cells.sum() == q.cells.sum()
            assert execute(q.program, other) == other.answer
            named = [c for c, m in zip(q.table.texts.flat, q.cells.flat, strict=True) if m]
            still = [c for c, m in zip(other.table.texts.flat, other.cells.flat, strict=True) if m]
            assert sorted(named) == sorted(still)
        if q.intent not in ("BEFORE", "AFTER", "FIRST", "LAST", "VAGUE"):
            assert reorder_rows(q, number).answer == q.answer
    with pytest.raises(ValueError, match=r"kind = .* is not one of rows, numbers, both"):
        fictitious(q, kind="cells")


def test_a_distractor_row_matches_when_it_repeats_a_name():
    q = next(q for q in generate_questions(30, 1, vague=0) if q.intent == "LOOKUP")
    name = next(c for c, m in zip(q.table.texts.flat, q.cells.flat, strict=True) if m)
    neutral, said = distractor_row(q, (), 1), distractor_row(q, (name,), 1)
    assert neutral.cells.sum() == q.cells.sum() < said.cells.sum()
    assert execute(q.program, neutral) == q.answer != execute(q.program, said)


# ---- matches -------------------------------------------------------------------------------------
def test_matches_and_tokens():
    q = ask("Which city is Peru's, with 5 gold?", MEDALS)
    assert q.pivot == 5
    assert list(q.headers) == [False, True, True]
    assert match_cells(q.words, MEDALS).sum() == 1
    assert match_cells(q.words, MEDALS, numbers=True)[1].tolist() == [False, True, True, False]
    assert q.words[-2:] == ("tm_token", "cm_token")
    assert q.emptied().words == ()
    with pytest.raises(ValueError, match=r"matches of the shapes \(3, 4\) and \(3,\)"):
        dataclasses.replace(q, headers=np.ones(2))


# ---- WikiTableQuestions --------------------------------------------------------------------------
@given(st.text())
def test_escapes_are_undone(text):
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("|", "\\p")
    assert unescape(escaped) == text


def test_files_with_escapes(tmp_path):
    (tmp_path / "t.csv").write_text('"Chart\nUK","a \\"b\\" \\\\"\n"1","x"\n"2"\n')
    table = read_csv_table(tmp_path / "t.csv")
    assert table.columns == ("Chart\nUK", 'a "b" \\')
    assert table.cells == (("1", "2"), ("x", ""))
    (tmp_path / "empty.csv").write_text('"a"\n')
    with pytest.raises(ValueError, match=r"empty\.csv: expected a header and at least one row"):
        read_csv_table(tmp_path / "empty.csv")
    (tmp_path / "bad.tsv").write_text("id\tutterance\nnt-1\n")
    with pytest.raises(ValueError, match=r"bad\.tsv:2: expected 2 fields, got 1"):
        list(read_tsv(tmp_path / "bad.tsv"))


@pytest.mark.parametrize(
    ("target", "predicted", "right"),
    [
        (["Fiji"], ["fiji."], True),
        (["São Paulo (city)[3]"], ["sao paulo"], True),
        (["“A” – B"], ['"a" - b'], True),
        (["3"], [3.0000001], True),
        (["3"], ["3.01"], False),
        (["2005-xx-xx"], ["2005"], True),
        (["1990-01-12"], ["xx-01-12"], False),
        (["a", "b"], ["b", "a"], True),
        (["a", "b"], ["a"], False),
        (["a"], ["a", "A"], True),  # equal values are one
        (["1_000"], [1000], False),
        (["a"], [], False),
    ],
)
def test_verdicts(target, predicted, right):
    assert is_right(to_values(target), to_values(predicted)) is right


def test_a_tag_decides_what_a_target_is():
    assert is_right(to_values(["12,467"], ["12467.0"]), denotation(12467))
    assert not is_right(to_values(["12,467"]), denotation(12467))
    assert to_value("July 7, 2005", "2005-07-07").date == (2005, 7, 7)
    assert normalize("*") == ""
    assert denotation(None) == ()


def test_the_real_questions_are_read_and_right_by_their_own_targets():
    data = WikiTableQuestions(wikitablequestions())
    dev = data.examples("random-split-1-dev")
    assert len(dev) == 2831
    assert len({example.context for example in dev}) > 300
    some = [data.question(example) for example in dev[:60]]
    assert all(q.table.shape[1] > 0 for q in some)
    assert any(q.cells.any() for q in some)
    for split in ("pristine-seen-tables", "pristine-unseen-tables"):
        lines = list(read_tsv(data.folder / "tagged" / "data" / f"{split}.tagged"))
        assert len(lines) == {"s": 3537, "u": 4344}[split[9]]
        wrong = 0
        for line in lines:
            texts = [unescape(item) for item in line["targetValue"].split("|")]
            tags = [unescape(item) for item in line["targetCanon"].split("|")]
            target = to_values(texts, tags)
            assert is_right(target, to_values(texts))
            wrong += not is_right(target, to_values(tags))
        assert wrong == 0
