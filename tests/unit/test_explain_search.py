"""Programs from answers: what is enumerated is right, and rounds choose what holds together."""

import numpy as np
import pytest

from pympf.explain.tables import (
    NeuralProgrammer,
    Table,
    ask,
    choose_programs,
    denotation,
    execute,
    fit_by_search,
    generate_questions,
    is_right,
    real_accuracy,
    right_programs,
    to_values,
)


def target_of(question):
    answer = question.answer
    return to_values([answer] if isinstance(answer, int) else answer)


INTENTS = ("SORT_MAX", "SORT_MIN", "FIRST", "LAST")
QUESTIONS = [q for q in generate_questions(12, seed=3, vague=0) if q.answer]


@pytest.mark.parametrize("steps", [1, 2])
def test_every_candidate_is_right_and_the_true_program_is_one(steps):
    for question in QUESTIONS[:12]:
        target = target_of(question)
        found = right_programs(question, target, steps=steps, most=10**6)
        for k in range(0, len(found.prior), max(1, len(found.prior) // 20)):
            assert is_right(target, denotation(execute(found.program(k), question)))
        if len(question.program) <= steps + 2:
            true = (("reset", None),) * (4 - len(question.program)) + tuple(question.program)
            assert true in [found.program(k) for k in range(len(found.prior))]


def test_the_evaluator_decides_not_the_letters():
    table = Table(("nation", "gold"), (("Fiji[1]", "Peru"), ("1", "5")))
    found = right_programs(ask("who has least gold", table), to_values(["fiji"]))
    assert any(found.program(k)[-2:] == (("min", 1), ("print", 0)) for k in range(len(found.prior)))


def test_without_a_right_program_there_is_nothing_to_choose():
    table = Table(("nation",), (("Fiji", "Peru"),))
    found = right_programs(ask("who", table), to_values(["Rome"]))
    assert len(found.prior) == 0
    assert found.operators.shape == (0, 4)
    assert choose_programs(None, [ask("who", table)], [found]) == []
    with pytest.raises(ValueError, match="that some program answers"):
        fit_by_search(lambda r: NeuralProgrammer(4), [ask("who", table)], [found])


def test_most_keeps_so_many_and_the_same_for_a_seed():
    question = QUESTIONS[0]
    every, some, again = (
        right_programs(question, target_of(question), most=most) for most in (10**6, 10, 10)
    )
    assert len(every.prior) > 10 == len(some.prior)
    np.testing.assert_array_equal(some.operators, again.operators)


def test_bad_steps():
    with pytest.raises(ValueError, match="steps"):
        right_programs(QUESTIONS[0], target_of(QUESTIONS[0]), steps=3)


def test_rounds_learn_from_answers_alone():
    kind = {"vague": 0, "sorted_p": 0.0, "intents": dict.fromkeys(INTENTS, 1)}
    train = [q for q in generate_questions(100, seed=1, **kind) if q.answer]
    test = [q for q in generate_questions(20, seed=2, **kind) if q.answer]
    found = [right_programs(q, target_of(q), most=200) for q in train]
    scores = []

    def make(r):
        return NeuralProgrammer(
            16, epochs=8, batch=10, least=3, program_share=1.0, answers=False, seed=r
        )

    def progress(r, model):
        scores.append(real_accuracy(model, test, [target_of(q) for q in test]))

    fit_by_search(make, train, found, 3, progress=progress)
    # Measured: 0.21, 0.45, 0.75.
    assert scores[-1] > max(scores[0] + 0.2, 0.5), scores
