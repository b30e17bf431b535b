"""Pruning of spurious programs, and the rule-based system."""

from itertools import product

import numpy as np
import pytest

from pympf.explain.tables import (
    FLUFF,
    SYNONYMS,
    Programs,
    RuleBased,
    Table,
    ask,
    augment,
    consistent,
    draw_programs,
    drop_words,
    execute,
    generate_questions,
    prune,
    reorder_rows,
    spurious,
)
from pympf.explain.tables.lexicon import edit_distance, stem

QUESTIONS = generate_questions(6, seed=7, per_table=2)


# ---- pruning -------------------------------------------------------------------------------------
@pytest.mark.parametrize("question", QUESTIONS[:5], ids=lambda q: q.intent)
def test_shared_beginnings_give_the_programs_that_one_by_one_gives(question):
    programs = Programs(question)
    found = programs.give(question.answer)
    one_by_one = np.array(
        [
            execute(programs.program(index), question) == question.answer
            for index in product(*map(range, programs.shape))
        ]
    )
    assert np.array_equal(found.ravel(), one_by_one)


def test_three_free_steps_hold_two():
    question = QUESTIONS[0]
    two, three = consistent(question), consistent(question, 3)
    first = Programs(question).steps.index(("reset", None))
    assert np.array_equal(three[first], two)
    assert three.sum() > two.sum()


def test_the_true_program_is_consistent_and_never_pruned():
    for number, question in enumerate(QUESTIONS):
        programs = Programs(question)
        true = programs.index(question.program)
        assert programs.program(true) == question.program
        left = prune(question, 4, number)
        assert left[(slice(None), *true)].all()
        assert (left[1:] <= left[:-1]).all()
        assert not spurious(question, number)[true]


def test_redrawn_numbers_prune_what_reordered_rows_leave():
    questions = generate_questions(12, seed=5, vague=0, per_table=3)
    false = [spurious(question, i) for i, question in enumerate(questions)]
    left = {
        kind: sum(
            int((prune(q, 4, i, kind=kind)[-1] & f).sum())
            for i, (q, f) in enumerate(zip(questions, false, strict=True))
        )
        for kind in ("rows", "numbers", "both")
    }
    assert left["both"] <= left["numbers"] < left["rows"] < sum(int(f.sum()) for f in false)


def test_drawn_programs_answer_and_augmented_questions_are_answered():
    for question in draw_programs(QUESTIONS, tables=1):
        assert execute(question.program, question) == question.answer
    more = augment(QUESTIONS, 2)
    assert len(more) == 3 * len(QUESTIONS)
    assert all(execute(q.program, q) == q.answer for q in more)


def test_programs_of_another_form_are_refused():
    with pytest.raises(ValueError, match="expected reset and 3 more steps"):
        Programs(QUESTIONS[0]).index((("count", None),))
    with pytest.raises(ValueError, match=r"steps = .* integer in .1, 3"):
        Programs(QUESTIONS[0], 4)


# ---- rules ---------------------------------------------------------------------------------------
def test_more_kinds_of_match_answer_more():
    questions = generate_questions(60, seed=2, vague=0)
    half = {word: set(sorted(others)[::2]) for word, others in SYNONYMS.items()}
    scores = [
        RuleBased(["exact"]).score(questions),
        RuleBased(["exact", "stem"]).score(questions),
        RuleBased(synonyms=half).score(questions),
        RuleBased(synonyms=SYNONYMS).score(questions),
    ]
    assert scores[0] < scores[1] < scores[2] < scores[3] == 1.0


def test_rules_do_not_look_at_the_order_of_rows_or_at_fluff():
    questions = generate_questions(30, seed=3, vague=0)
    rules = RuleBased(synonyms=SYNONYMS)
    assert rules.score([reorder_rows(q, i) for i, q in enumerate(questions)]) == 1.0
    # Parts of triggers are among them: "at most", "number of".
    assert rules.score([drop_words(q, FLUFF) for q in questions]) == 1.0


TABLE = Table(
    ("nation", "region", "gold medals"),
    (("Fiji", "Peru", "Chad"), ("x", "y", "x"), ("1", "5", "3")),
)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("which nation has the most medals", {"Peru"}),
        ("how many nations have more than 2 medals", 2),
        ("how many nations have 3 or more medals", 2),
        ("who had more medals Fiji or Chad", {"Chad"}),
        ("which region is most common", {"x"}),
        ("what nation comes after Peru", {"Chad"}),
        ("what is the medal of Fiji", {"1"}),
        ("what is the region of Fiji", {"x"}),
        ("how many nations are there", 3),
    ],
)
def test_questions_in_words(text, answer):
    assert RuleBased().predict([ask(text, TABLE)]) == [answer]


def test_triggers_and_synonyms_from_elsewhere_are_taken():
    question = ask("the supreme country", TABLE)
    assert RuleBased().program(question)[2] != ("max", 2)
    rules = RuleBased(triggers={"max": ["supreme"]}, synonyms={"nation": ["country"]})
    assert rules.predict([question]) == [{"Peru"}]
    assert rules.get_params()["triggers"]["max"][-1] == "supreme"


def test_matches():
    assert edit_distance("storeys", "stories") == 2
    assert stem("cities") == "city"
    typo = ask("which nation has most medels", TABLE)
    two = Table(("nation", "silver", "medals"), (("Fiji", "Peru"), ("1", "2"), ("4", "3")))
    assert RuleBased(["edit"]).program(ask(typo.words, two))[2] == ("max", 2)
    with pytest.raises(ValueError, match=r"a match = .* is not one of exact, stem"):
        RuleBased(["sound"])
