"""Neural Programmer: soft operators are the hard ones, gradients, training, files."""

import dataclasses

import numpy as np
import pytest

from pympf.explain.tables import generate_questions
from pympf.nets import graph
from pympf.nets.graph import Graph, variable
from pympf.nets.programmer import (
    OPERATORS,
    USES_COLUMN,
    NeuralProgrammer,
    Question,
    Table,
    Vocabulary,
    execute,
)
from pympf.nets.programmer.encode import encode
from pympf.nets.programmer.network import Selections, initial, inputs_of, select
from pympf.nets.programmer.soft import answer_loss, program_loss, run

QUESTIONS = generate_questions(12, seed=4)
SMALL = {"width": 8, "epochs": 2, "least": 2, "program_share": 0.5, "batch": 20}


def random_program(question, rng):
    n = len(question.table.columns)
    operators = [*rng.choice(OPERATORS, 3), rng.choice(["count", "print"])]
    columns = rng.integers(0, n, 4)
    return [(str(op), int(j)) for op, j in zip(operators, columns, strict=True)]


# ---- soft and hard -------------------------------------------------------------------------------
def test_hard_execution_is_soft_execution_of_one_hot_selections(rng):
    for _ in range(6):
        programs = [random_program(question, rng) for question in QUESTIONS]
        batch = encode(QUESTIONS, Vocabulary(), 20)
        one_hot = Selections([], [])
        for step in zip(*programs, strict=True):
            operators = np.eye(15)[[OPERATORS.index(op) for op, _ in step]]
            columns = np.eye(batch.present.shape[1])[[column for _, column in step]]
            one_hot.operators.append(variable(operators))
            one_hot.columns.append(variable(columns))
        outputs = run(batch, one_hot)
        for b, (question, program) in enumerate(zip(QUESTIONS, programs, strict=True)):
            hard = execute(program, question)
            if program[-1][0] == "count":
                assert outputs.counted.value[b] == hard
                assert not outputs.printed.value[b].any()
            else:
                n, m = question.table.shape
                printed = outputs.printed.value[b, :n, :m] > 0.5
                assert frozenset(question.table.texts[printed]) == hard
                assert outputs.counted.value[b] == 0


def test_gradients_of_all_weights_are_those_of_central_differences(rng):
    questions = QUESTIONS[:6]
    vocabulary = Vocabulary.of([q.words for q in questions], least=1)
    batch = encode(questions, vocabulary, 16)
    weights = initial(5, len(vocabulary), seed=2)
    seen = np.arange(6) % 2 == 0

    def loss(values):
        selections = select(values, inputs_of(values, batch))
        by_answer = answer_loss(batch, run(batch, selections))
        return graph.sum(by_answer + program_loss(batch, selections, seen), 0)

    nodes = {name: variable(value) for name, value in weights.items()}
    total = loss(nodes)
    found = dict(zip(nodes, Graph(total).grad(total, list(nodes.values())), strict=True))
    for name, gradient in found.items():
        direction = rng.standard_normal(gradient.shape)
        sides = [
            loss({**weights, name: weights[name] + h * direction}).value for h in (1e-6, -1e-6)
        ]
        expected = (sides[0] - sides[1]) / 2e-6
        assert abs((gradient * direction).sum() - expected) < 1e-5 * max(1, abs(expected)), name


def test_the_nodes_of_the_listing_have_its_names():
    vocabulary = Vocabulary()
    weights = initial(4, len(vocabulary), seed=0)
    result = select(weights, inputs_of(weights, encode(QUESTIONS[:1], vocabulary, 16)))
    # Nothing is a leaf here but the state before the first step.
    assert "dec_state_0" in Graph(result.columns[0]).named()
    nodes = {name: variable(value) for name, value in weights.items()}
    batch = encode(QUESTIONS[:1], vocabulary, 16)
    names = set(Graph(select(nodes, inputs_of(nodes, batch)).columns[-1]).named())
    for k in range(4):
        for name in ["ques_context", "op_controller", "op_probs", "col_controller", "col_probs"]:
            assert f"{name}_{k}" in names
    assert {"enc_hidden_states", "enc_final_state", "dec_state_3", "col_logits_tm_2"} <= names


def test_what_is_padding_changes_nothing():
    model = NeuralProgrammer(**SMALL).fit(QUESTIONS)
    small = min(QUESTIONS, key=lambda q: q.table.shape[1] * 10 + q.table.shape[0])
    alone = model.selections([small])
    together = model.selections([small, *QUESTIONS])
    for a, b in zip(alone.columns, together.columns, strict=True):
        n = a.value.shape[1]
        assert np.allclose(a.value[0], b.value[0, :n], atol=1e-12)
        assert not b.value[0, n:].any()


# ---- losses --------------------------------------------------------------------------------------
def test_an_answer_that_can_be_either_costs_about_the_lesser():
    table = Table(("a", "b"), (("1", "2", "2"), ("x", "y", "z")))
    no = np.zeros((2, 3), bool)
    question = Question((), table, no, np.zeros(2, bool), answer=frozenset({"2"}))
    batch = encode([question], Vocabulary(), 1, either=True)
    assert batch.count[0] == 2
    assert encode([question], Vocabulary(), 1).count[0] == -1
    hot = [variable(np.eye(15)[[OPERATORS.index(op)]]) for op in ("select", "reset", "count")]
    columns = [variable(np.array([[1.0, 0.0]]))] * 3
    counted = run(batch, Selections(hot, columns))
    bounded = 3 * (1 - np.exp(-(0.5 / 3) / 3))  # it counted 3, not 2
    assert answer_loss(batch, counted).value[0] == pytest.approx(bounded)
    none = encode([dataclasses.replace(question, answer=None)], Vocabulary(), 1)
    assert answer_loss(none, counted).value[0] == 0


def test_a_shorter_program_begins_with_resets():
    question = QUESTIONS[0].changed(program=(("count", None),))
    batch = encode([question], Vocabulary(), 20)
    assert [OPERATORS[i] for i in batch.operators[0]] == ["reset", "reset", "reset", "count"]
    with pytest.raises(ValueError, match="programs of at most 4 steps"):
        encode([question.changed(program=(("count", None),) * 5)], Vocabulary(), 20)


# ---- training ------------------------------------------------------------------------------------
def same_weights(a, b):
    return all(np.array_equal(a.parameters_[name], b.parameters_[name]) for name in a.parameters_)


def test_the_same_seed_gives_the_same_network():
    first, again, other = (NeuralProgrammer(**SMALL, seed=s).fit(QUESTIONS) for s in (1, 1, 2))
    assert same_weights(first, again)
    assert not same_weights(first, other)


def test_a_training_that_was_interrupted_goes_on_to_the_same_network(tmp_path):
    settings = {**SMALL, "epochs": 4}
    whole = NeuralProgrammer(**settings).fit(QUESTIONS, QUESTIONS[:5])
    path = tmp_path / "np.h5"

    def stop(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        NeuralProgrammer(**settings).fit(QUESTIONS, checkpoint=path, progress=stop)
    resumed = NeuralProgrammer(**settings).fit(QUESTIONS, QUESTIONS[:5], checkpoint=path)
    assert [epoch.number for epoch in resumed.history_] == [1, 2, 3, 4]
    assert same_weights(whole, resumed)
    with pytest.raises(ValueError, match=r"a checkpoint of these parameters.*'seed': 0"):
        NeuralProgrammer(**settings, seed=9).fit(QUESTIONS, checkpoint=path)


def test_files_keep_the_network(tmp_path):
    model = NeuralProgrammer(**SMALL).fit(QUESTIONS, QUESTIONS[:5])
    model.save(tmp_path / "np.h5")
    loaded = NeuralProgrammer.load(tmp_path / "np.h5")
    assert loaded.get_params() == model.get_params()
    assert loaded.programs(QUESTIONS) == model.programs(QUESTIONS)
    assert loaded.history_ == model.history_
    (tmp_path / "no.h5").write_text("no")
    with pytest.raises(OSError, match=r"no\.h5"):
        NeuralProgrammer.load(tmp_path / "no.h5")


@pytest.mark.parametrize("settings", [{"program_share": 1.0, "answers": False}, {}])
def test_programs_teach_and_answers_teach(settings):
    only = {"COUNT_ALL": 1, "LAST": 1} if settings else {"LAST": 1}
    questions = generate_questions(40, seed=1, vague=0, intents=only)
    test = generate_questions(12, seed=2, vague=0, intents=only)
    model = NeuralProgrammer(16, epochs=10, batch=10, least=3, **settings).fit(questions, test)
    assert model.history_[-1].loss < 0.75 * model.history_[0].loss
    assert model.score(test) > 0.9
    assert set(model.history_[-1].by_intent) == set(only)


def test_default_programs_are_those_of_empty_questions():
    model = NeuralProgrammer(**SMALL).fit(QUESTIONS)
    question = QUESTIONS[0]
    default = model.default_program(question.table)
    assert default == model.program(question.emptied())
    assert all((column is None) == (op not in USES_COLUMN) for op, column in default)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "width = .* integer in .1, inf"),
        ({"program_share": 1.5}, r"program_share = 1.5 is not a number in \[0, 1\]"),
        ({"dropout": 1.0}, r"dropout = 1.0 is not a number in \[0, 0.99\]"),
        ({"answers": False}, "expected answers or programs to train with"),
        ({"length": 3}, "expected questions of at most 3 words, got"),
    ],
)
def test_bad_parameters_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        NeuralProgrammer(**settings).fit(QUESTIONS)


def test_what_cannot_be_done_is_said():
    with pytest.raises(ValueError, match="expected at least one question"):
        NeuralProgrammer().fit([])
    with pytest.raises(ValueError, match="expected a network that was trained"):
        NeuralProgrammer().predict(QUESTIONS)
    with pytest.raises(ValueError, match=r"unknown parameter depth.*known: width, epochs"):
        NeuralProgrammer().set_params(depth=3)
    model = NeuralProgrammer(**SMALL).fit(QUESTIONS)
    with pytest.raises(ValueError, match="expected questions of at most"):
        model.predict([QUESTIONS[0].with_words(["most"] * 100)])
    assert model.predict([]) == []


def test_numbers_and_unknown_words_are_known_as_such():
    vocabulary = Vocabulary.of([["gold", "gold", "12", "12", "rare"]], least=2)
    words = [vocabulary.words[i] for i in vocabulary.numbers(["gold", "7", "1,000", "rare", "unk"])]
    assert words == ["gold", "<num>", "<num>", "unk", "unk"]
    assert "gold" in vocabulary
    assert "rare" not in vocabulary
