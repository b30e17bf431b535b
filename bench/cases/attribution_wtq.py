"""Neural Programmer on the real questions of WikiTableQuestions, and what it looked at.

Learned from answers of the 11 321 questions of random-split-1-train by search (`fit_by_search`: two
free steps, hard expectation maximization), tested on the 2831 questions of random-split-1-dev with
the evaluator of the data set; questions about more than 100 rows or 20 columns count as wrong. The
attributions are those of the first questions of the test. The files are not shipped: they are
looked for in `shared` beside the project, or in PYMPF_SHARED.
"""

import os
import tarfile
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import measure
import numpy as np
import tables

from pympf.explain import tables as qa
from pympf.explain.tables import COLUMN_PATHS, NeuralProgrammer

TITLE = "Attribution of real questions: WikiTableQuestions"

ROWS, COLUMNS = 100, 20
LENGTH = 60
"""Words of the longest question, with those that an attack adds."""
SAID = {0: "0.22", 5: "> 0.5", 16: "0.71", 32: "0.77"}


# ---- what to measure -----------------------------------------------------------------------------
def points(tiny: bool) -> list[dict[str, Any]]:
    if tiny:
        size = {"width": 12, "epochs": 2, "rounds": 1, "train": 200, "attributed": 3}
        return [{"seed": 0, "threads": 1, **size}]
    size = {"width": 96, "epochs": 5, "rounds": 5, "train": 20_000}
    return [
        {"seed": seed, "threads": 1, **size, "attributed": 300 * (not seed)} for seed in range(2)
    ]


def run(
    *,
    width: int,
    epochs: int,
    rounds: int,
    train: int,
    attributed: int,
    seed: int,
    threads: int,
) -> dict[str, Any]:
    shared = Path(os.environ.get("PYMPF_SHARED", measure.ROOT.parent / "shared"))
    archive = shared / "data/attribution/wikitablequestions.tar.xz"
    if not archive.exists():
        return {"skipped": f"no {archive}: set PYMPF_SHARED"}
    with tempfile.TemporaryDirectory() as folder, tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
        data = qa.WikiTableQuestions(folder)
        learned, answers, _ = _read(data, "random-split-1-train", train)
        test, targets, all_tests = _read(data, "random-split-1-dev", train)
    start = time.process_time()
    found = [qa.right_programs(q, t, most=400) for q, t in zip(learned, answers, strict=True)]
    share = len(test) / all_tests
    curve = []

    def make(r: int) -> NeuralProgrammer:
        return NeuralProgrammer(
            width,
            epochs=epochs,
            batch=20,
            program_share=1.0,
            answers=False,
            dropout=0.2,
            length=LENGTH,
            seed=100 * seed + r,
        )

    def progress(r: int, model: Any) -> None:
        trained = qa.real_accuracy(model, learned[:1000], answers[:1000])
        tested = qa.real_accuracy(model, test, targets)
        curve.append([tested * share, trained, time.process_time() - start])

    model = qa.fit_by_search(make, learned, found, rounds, seed=seed, progress=progress)
    result = {
        "questions": all_tests,
        "within_limits": len(test),
        "answerable": float(np.mean([len(some.prior) > 0 for some in found])),
        "curve": curve,
        "accuracy": curve[-1][0],
    }
    if attributed:
        result |= _looked_at(model, _with_own_words(model, test, targets), attributed)
    return result


def _read(data: Any, split: str, most: int) -> tuple[list, list, int]:
    """Give the questions within the limits, their answers, and how many there are in all."""
    every = data.examples(split)[:most]
    pairs = [(data.question(e), qa.to_values(e.target)) for e in every]
    pairs = [p for p in pairs if p[0].table.shape[0] <= COLUMNS and p[0].table.shape[1] <= ROWS]
    return [q for q, _ in pairs], [t for _, t in pairs], len(every)


def _with_own_words(model: Any, questions: list, targets: list) -> list:
    """Write a right answer as the network gives it, so that analyses can compare texts."""
    given = model.predict(questions)
    return [
        replace(q, answer=a) if qa.is_right(t, qa.denotation(a)) else q
        for q, a, t in zip(questions, given, targets, strict=True)
    ]


def _looked_at(model: Any, test: list, attributed: int) -> dict[str, Any]:
    answers = model.predict(test)
    right = [q for q, a in zip(test, answers, strict=True) if a is not None and a == q.answer]
    start = time.process_time()
    good = model.attribute((right or test)[:attributed], paths=COLUMN_PATHS, max_steps=1000)
    spent = time.process_time() - start
    words = qa.rank_words(good)
    every = list({id(q.table): q.table for q in test}.values())
    programs = [model.default_program(table) for table in every]
    unknown = model.programs([qa.ask(["unk"] * 6, table) for table in every])
    phrases = qa.propose_phrases(good)
    attacked, baselines = qa.concatenation(model, test, phrases)
    plain = qa.attack(model, test, {"fluff words": qa.drop_words, "rows reordered": qa.reorder()})
    return {
        "attribution_cpu_s": spent / len(good),
        "gradients": float(np.mean([found.n_points for found in good])),
        "delta": max((abs(s.delta) for f in good for s in f.selections), default=0.0),
        "defaults": qa.default_programs(model, every[:60]).rows,
        "unknown_words": float(np.mean([a == b for a, b in zip(unknown, programs, strict=True)])),
        "faithfulness": qa.faithfulness(model, good).rows,
        "triggers": [row[:3] for row in qa.operator_triggers(good, least=3).rows],
        "intents": [row for row in qa.intent_rules(good)[1].rows if row[2] >= 3],
        "synonyms": {
            str(group or "all"): qa.column_synonyms(good, group, least=2, keep=3).rows[:20]
            for group in (None, *COLUMN_PATHS)
        },
        "first_words": words[:12],
        "overstability": qa.overstability(model, test, words).rows,
        "plain": plain.rows[:-1],
        "phrases": [list(map(str, some)) for some in phrases[:2]],
        "attacked": attacked.rows[1:],
        "baselines": baselines.rows[1:],
    }


# ---- the page ------------------------------------------------------------------------------------
def render(rows: list[tables.Row]) -> str:
    lines = [
        [row["seed"], number + 1, dev, train, cpu]
        for row in rows
        for number, (dev, train, cpu) in enumerate(row["curve"])
    ]
    header = ("seed", "round", "accuracy (thesis 0.335)", "in training", "CPU s")
    texts = [tables.markdown(header, lines)] if lines else []
    for row in rows:
        texts.append(
            f"Of {row['questions']} questions {row['within_limits']} are within 100 rows and 20 "
            f"columns; {row['answerable']:.0%} of those learned from have a program of two free "
            "steps that gives the answer."
        )
        if "attacked" in row:
            texts.append(tables.markdown(("network", "here", "thesis"), list(_lines(row))))
    return "\n\n".join(texts)


def _lines(row: tables.Row) -> list[list[Any]]:
    lines: list[list[Any]] = [["accuracy", row["accuracy"], "0.335"]]
    total = sum(count for _, count, _ in row["defaults"])
    for program, count, headers in row["defaults"][:4]:
        names = ", ".join(headers[:6])
        lines.append([f"default program {program} ({names})", count / total, None])
    lines.append(["unknown words give the default program", row["unknown_words"], "all"])
    for operator, _, words in row["triggers"]:
        lines.append([f"triggers of {operator}", ", ".join(words), None])
    dropped = {2: ("0.83", "0.92"), 3: ("0.98", "0.88"), 4: ("0.99", "0.96")}
    for step, _, top, some, kept in row["faithfulness"]:
        said = dropped.get(step, (None, None))
        text = f"{top:.2f} ({some:.2f})"
        lines.append([f"step {step}: changed without the top 3 (3 random)", text, said[0]])
        lines.append([f"step {step}: same without the unimportant", kept, said[1]])
    for count, best, some in row["overstability"]:
        text = f"{best:.2f} ({some:.2f})"
        lines.append([f"relative accuracy on {count} words (random)", text, SAID.get(count)])
    for (name, value, _), said in zip(row["plain"], (None, "0.285", "0.23"), strict=True):
        lines.append([f"attack: {name}", value, said])
    for kind, said in (("attacked", "0.033"), ("baselines", "0.271")):
        lines.append([f"union of the phrases: {kind}", row[kind][-1][1], said])
    return lines
