"""Attributions of a Neural Programmer, and the analyses on attributions that are made by hand."""

import numpy as np
import pytest

from pympf.cli import main
from pympf.explain import Paths, ResultTable
from pympf.explain.tables import (
    COLUMN_PATHS,
    OPERATORS,
    SYNONYMS,
    NeuralProgrammer,
    Phrases,
    RuleBased,
    Selection,
    SelectionAttributions,
    Table,
    ablate_subject,
    ask,
    attack,
    column_synonyms,
    concatenate,
    concatenation,
    default_programs,
    distractors,
    drop_terms,
    drop_words,
    faithfulness,
    generate_questions,
    heatmap_html,
    intent_of,
    intent_rules,
    known_synonyms,
    operator_triggers,
    overstability,
    plot_heatmap,
    propose_phrases,
    rank_words,
    reorder,
    score_synonyms,
)
from pympf.explain.tables.commands import TABLE_COMMANDS

TABLE = Table(("nation", "gold"), (("Fiji", "Peru", "Chad"), ("1", "5", "3")))


@pytest.fixture(scope="module")
def questions():
    return generate_questions(120, seed=1)


@pytest.fixture(scope="module")
def model(questions):
    return NeuralProgrammer(16, epochs=8, batch=20, program_share=1.0, least=3).fit(questions)


# ---- attributions of a network -------------------------------------------------------------------
def test_attributions_are_complete_and_only_of_selections_that_count(model, questions):
    for found in model.attribute(questions[:12], tol=1e-3):
        assert found.terms == (*found.question.words, "tm", "cm")
        program, default = found.program, found.default
        assert default == model.programs_with_columns([found.question.emptied()])[0]
        chosen = {(one.step, one.kind) for one in found.selections}
        for k in range(4):
            assert (k, "operator") not in chosen or program[k][0] != default[k][0]
            assert (k, "column") not in chosen or program[k][1] != default[k][1]
        for one in found.selections:
            assert abs(one.delta) <= 1e-3
            assert one.chosen != one.default


def test_attributions_sum_to_the_change_of_the_probability(model, questions):
    question = next(q for q in questions if q.intent == "COUNT")
    (found,) = model.attribute([question], every=True, tol=1e-4)
    assert len(found.selections) == 8
    dummies = question.emptied().with_words(["dummy"] * len(question.words))
    before, after = model.selections([dummies]), model.selections([question])
    for one in found.selections:
        index = 0 if one.kind == "operator" else 1
        place = found.program[one.step][index]
        if one.kind == "operator":
            place = OPERATORS.index(place)
        probs = (getattr(s, one.kind + "s")[one.step].value[0, place] for s in (before, after))
        start, stop = probs
        assert one.values.sum() == pytest.approx(stop - start, abs=2e-4)


def test_groups_of_paths_and_their_complements_are_all_paths(model, questions):
    groups = {**COLUMN_PATHS}
    for name, group in COLUMN_PATHS.items():
        groups[f"not {name}"] = group.complement()
    groups["all"] = Paths()
    chosen = [q for q in questions if q.intent in ("SORT_MIN", "LOOKUP")][:3]
    columns = 0
    for found in model.attribute(chosen, paths=groups, every=True):
        for one in (one for one in found.selections if one.kind == "column"):
            columns += 1
            words = slice(0, len(found.question.words))
            assert np.allclose(one.paths["all"], one.values, rtol=0, atol=1e-12)
            for name in COLUMN_PATHS:
                both = one.paths[name] + one.paths[f"not {name}"]
                assert np.allclose(both[words], one.values[words], rtol=0, atol=1e-12)
    assert columns == 12


def test_an_unknown_node_is_named(model, questions):
    question = next(q for q in questions if q.intent == "SORT_MIN")
    with pytest.raises(ValueError, match=r"one of .*ques_context_0.*got 'context_"):
        model.attribute([question], paths={"a": Paths(["context_{k}"])}, every=True)


def test_default_programs_of_tables(model, questions):
    tables = list({id(q.table): q.table for q in questions}.values())[:18]
    report = default_programs(model, tables)
    assert sum(report.column("tables")) == 18
    headers = {header for table in tables for header in table.columns}
    assert {word for row in report.column("column names") for word in row} <= headers


def test_analyses_of_a_network_run_from_end_to_end(model, questions):
    attributions = model.attribute(questions[:15])
    report = faithfulness(model, attributions)
    assert all(0 <= share <= 1 for row in report.rows for share in row[2:])
    curve = overstability(model, questions[:40], rank_words(attributions), [0, 1000], draws=1)
    assert curve.lookup(1000, "accuracy") <= 1.0 + 1e-12
    result = distractors(model, questions, 20)
    assert sum(result.column("attacks")[:2]) == 20
    some = next(found for found in attributions if found.selections)
    assert heatmap_html(some).count("<tr>") == len(some.terms) + 1
    axes = plot_heatmap(some)
    assert len(axes.get_xticks()) == len(some.selections)


# ---- analyses of attributions made by hand -------------------------------------------------------
def made(words, program, values, *, default="print", columns=()):
    """Make attributions of the operators in `values` and of `columns`, by step."""
    question = ask(words, TABLE)
    terms = (*question.words, "tm", "cm")

    def by_term(weights):
        return np.array([weights.get(term, 0.0) for term in terms])

    selections = [
        Selection(k, "operator", program[k][0], default, by_term(weights), 0.0, {})
        for k, weights in values.items()
    ]
    selections += [
        Selection(k, "column", header, "nation", by_term(weights), 0.0, {"soft": by_term(soft)})
        for k, header, weights, soft in columns
    ]
    return SelectionAttributions(question, terms, selections, program, program)


MAX = (("reset", None), ("reset", None), ("max", 1), ("print", 0))
COUNT = (("reset", None), ("reset", None), ("reset", None), ("count", None))
HAND = [
    made(
        "who has the most golds",
        MAX,
        {2: {"most": 0.9, "has": 0.05}},
        columns=[(2, "gold", {"most": 0.6, "golds": 0.3}, {"golds": 0.3, "most": -0.1})],
    ),
    made("who has most medals", MAX, {2: {"most": 0.8, "who": 0.1}}),
    made("how many are there", COUNT, {3: {"many": 0.7, "how": 0.2, "tm": 0.1}}),
]


def test_triggers_are_counted():
    report = operator_triggers(HAND, top=1, least=1)
    assert report.rows == [("max", 2, ("most",), (2,)), ("count", 1, ("many",), (1,))]
    assert operator_triggers(HAND, top=1, least=2).lookup("count", "terms") == ()
    assert rank_words(HAND, top=1) == ["most", "many"]


def test_intents_and_their_words():
    programs, words, rules = intent_rules(HAND, top=1, least=2, least_program=1)
    assert programs.lookup("reset, reset, max, print", "intent") == "SORT_MAX"
    assert words.rows == [("SORT_MAX", ("most",), 2)]
    assert rules.classify(["most", "of", "all"]) == "SORT_MAX"
    questions = [found.question.changed(intent=i) for found, i in zip(HAND, "ABC", strict=True)]
    assert rules.score(questions) == (pytest.approx(2 / 3), 0.0)
    unknown, _, _ = intent_rules(HAND, least_program=3)
    assert set(unknown.column("intent")) == {"UNKNOWN"}


@pytest.mark.parametrize(
    ("steps", "intent"),
    [
        ("select print", "LOOKUP"),
        ("select count", "COUNT"),
        ("reset count", "COUNT_ALL"),
        ("select prev print", "BEFORE"),
        ("select next print", "AFTER"),
        ("select max print", "A_OR_B"),
        ("min print", "SORT_MIN"),
        ("mfe first print", "MFE"),
        ("max gt count", "GT"),  # what is before gt does not reach the answer
        ("reset print", "UNKNOWN"),
        ("first reset", "UNKNOWN"),
    ],
)
def test_what_programs_do(steps, intent):
    assert intent_of(tuple((operator, 0) for operator in steps.split())) == intent


def test_synonyms_by_groups_of_paths():
    every, soft = (column_synonyms(HAND, group, least=1) for group in (None, "soft"))
    assert every.lookup("gold", "words") == ("most", "golds")
    assert soft.lookup("gold", "words") == ("golds",)
    assert known_synonyms(soft) == {"gold": {"golds"}}
    scores = score_synonyms(HAND, [None, "soft"], SYNONYMS, least=1)
    assert scores.column("first word right") == [0.0, 1.0]
    assert scores.column("precision") == [0.5, 1.0]
    assert scores.column("recall") == [0.5, 0.5]
    numbers = score_synonyms(HAND, [None], SYNONYMS, numbers_only=True, least=1)
    assert numbers.column("selections") == [1]


def test_terms_are_dropped():
    question = ask("did Peru have more gold", TABLE)
    size = len(question.words)
    less = drop_terms(question, {0, size, size + 1})
    assert less.words == question.words[1:]
    assert not less.cells.any()
    assert not less.headers.any()
    assert drop_terms(question, set()).cells.any()


class Most:
    """Says Peru where there is "most", counts all otherwise; attributes to nothing."""

    def predict(self, questions):
        return [frozenset({"Peru"}) if "most" in q.words else q.table.shape[1] for q in questions]

    def attribute(self, questions):
        return [SelectionAttributions(q, (*q.words, "tm", "cm"), [], (), ()) for q in questions]


ASKED = [
    ask("who has the most gold", TABLE, answer=frozenset({"Peru"}), program=MAX),
    ask("how many are there", TABLE, answer=3, program=COUNT),
]


def test_few_words_can_do():
    report = overstability(Most(), ASKED, ["most", "who", "how"], [0, 1], draws=2)
    assert report.column("accuracy") == [0.5, 1.0]


def test_attacks_of_any_model():
    phrases = Phrases(("the most",), ("please show",))
    attacks, baselines = concatenation(Most(), ASKED, phrases)
    assert attacks.column("accuracy") == [1.0, 0.5, 0.5, 0.5]
    assert baselines.column("accuracy") == [1.0] * 4
    report = attack(Most(), ASKED, {"fluff": drop_words, "rows": reorder()})
    assert report.lookup("rows", "accuracy") == 1.0
    assert report.lookup("union", "accuracy") == 1.0
    assert drop_words(ASKED[0]).words == ("most", "gold", "cm_token")
    with pytest.raises(ValueError, match=r"where = .* is not one of prefix, suffix"):
        concatenate(ASKED[0], "a", "middle")


def test_phrases_are_of_triggers_and_of_words_that_never_trigger():
    phrases = propose_phrases(HAND, top=1, length=2, leave_out={"golds"}, seed=3)
    assert {word for phrase in phrases.attacks for word in phrase.split()} == {"most", "many"}
    never = {word for phrase in phrases.baselines for word in phrase.split()}
    assert never <= {"who", "has", "the", "medals", "how", "are", "there"}
    assert (len(phrases.attacks), len(phrases.baselines)) == (4, 3)


def test_the_subject_becomes_another_noun():
    question = ask("which country has most gold", TABLE)
    assert ablate_subject(question, "tower") is question
    other = ablate_subject(question, "tower", SYNONYMS)
    assert other.words[:2] == ("which", "tower")
    assert list(other.headers) == [False, True]


def test_distractor_rows_of_a_model_without_attributions():
    report = distractors(Most(), ASKED[:1], 8)
    assert report.lookup("difference", "fail") in (0.0, 1.0)
    with pytest.raises(ValueError, match="expected a question that a neutral row leaves right"):
        distractors(Most(), ASKED[1:], 8)


def test_extracted_synonyms_help_the_rules():
    table = Table(("nation", "gold", "silver"), (("Fiji", "Peru"), ("1", "5"), ("7", "2")))
    question = ask("who has the most argent", table)
    assert RuleBased().program(question)[2] == ("max", 1)
    rules = RuleBased(synonyms={"silver": {"argent"}})
    assert rules.predict([question]) == [{"Fiji"}]


def test_a_table_is_looked_up_and_nothing_is_not_drawn():
    table = ResultTable("T", ("a", "b"), [("x", 0.12345), ("yy", ("p", "q"))])
    assert table.lookup("yy", "b") == ("p", "q")
    with pytest.raises(ValueError, match="expected a row of x, yy, got 'z'"):
        table.lookup("z", "b")
    nothing = SelectionAttributions(ASKED[0], ("tm", "cm"), [], MAX, MAX)
    with pytest.raises(ValueError, match="expected a selection that is not the default"):
        plot_heatmap(nothing)
    assert heatmap_html(nothing).count("<tr>") == 3


# ---- the command line ----------------------------------------------------------------------------
def test_every_command_gives_a_table(model, tmp_path, capsys):
    path = str(tmp_path / "np.h5")
    model.save(path)
    few = ["--tables", "6", "--seed", "1"]
    with_model = [*few, "--questions", "8"]
    commands = [
        ["programmer", str(tmp_path / "new.h5"), "--tables", "6", "--epochs", "1", "--width", "4"],
        *([name, path, *with_model] for name in ("defaults", "faithfulness", "triggers")),
        *([name, path, *with_model] for name in ("intents", "synonyms", "overstability")),
        ["attacks", path, *with_model],
        ["heatmaps", path, *with_model, "--html", str(tmp_path / "page.html")],
        ["distractors", path, "--tables", "60", "--seed", "1", "--questions", "200"],
        ["prune", *few],
        ["rules", *few],
    ]
    for command in commands:
        assert main(["explain", *command]) == 0
        title, columns, *_ = capsys.readouterr().out.splitlines()
        assert title
        assert len(columns.split()) >= 2
    assert "<table>" in (tmp_path / "page.html").read_text()
    assert main(["explain", "triggers", str(tmp_path / "new.h5"), *with_model]) == 3
    assert "answers none of 8; train it longer" in capsys.readouterr().err
    assert NeuralProgrammer.load(tmp_path / "new.h5").width == 4
    assert {command[0] for command in commands} == {name for name, *_ in TABLE_COMMANDS}
