"""What a Neural Programmer looked at (chapter 3 and appendix B of the thesis), generated questions.

6000 questions over 1200 tables to train with, 1000 over 200 others to test, width 32, one thread.
*Training*: accuracy by supervision; seconds of the processor for an epoch. *Network*: of the one
that sees 10 % of the programs, all analyses of sections 3.2 to 3.4 on the first questions of the
test. *Reordering*: accuracy before and after the rows are reordered, by what the training saw.
*Pruning*: spurious programs that fictitious tables rule out; what is learned from one program by
lot of each question. *Rules*: appendix B. *WikiTableQuestions*: needs its files. The numbers of the
thesis are on WikiTableQuestions, where it has one. *Completeness*: the largest |δ| of a trained
network by method; the left sum takes the points of the adaptive method with `tol` 1e-3.
"""

import os
import tarfile
import tempfile
import time
import warnings
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import measure
import numpy as np
import tables

from pympf.explain import IncompleteWarning
from pympf.explain import tables as qa
from pympf.explain.tables import (
    COLUMN_PATHS,
    DOMAINS,
    PROGRAMS,
    SYNONYMS,
    NeuralProgrammer,
    Programs,
    RuleBased,
    ask,
    execute,
    generate_questions,
)

PICTURE = "attribution_tables.png"
TITLE = "Attribution of questions over tables: Neural Programmer, attacks, pruning, rules"


# ---- what to measure -----------------------------------------------------------------------------
def points(tiny: bool) -> list[dict[str, Any]]:
    return [{**point, "threads": 1} for point in (_tiny() if tiny else _full())]


def _tiny() -> Iterator[dict[str, Any]]:
    size = {"tables": 48, "epochs": 8}
    yield {"part": "training", "programs": 1.0, "seed": 0, **size}
    yield {"part": "network", "mixture": "balanced", "questions": 12, "attacks": 10, **size}
    yield {"part": "synonyms", "seed": 0, **size}
    yield {"part": "completeness", "questions": 3, **size}
    yield {"part": "reorder", "seen": "programs", "seed": 0, **size}
    yield {"part": "pruning", "questions": 4}
    yield {"part": "lots", "pruned_by": 1, **size}
    yield {"part": "rules", "tables": 12}


def _full() -> Iterator[dict[str, Any]]:
    size = {"tables": 1200}
    for programs, epochs in ((1.0, 10), (0.1, 10)):
        yield {"part": "training", "programs": programs, "seed": 0, "epochs": epochs, **size}
    for seed in range(3):
        yield {"part": "training", "programs": 0.0, "seed": seed, "epochs": 40, **size}
    for mixture in ("balanced", "zipf"):
        count = {"questions": 1000 if mixture == "balanced" else 300, "attacks": 1000}
        yield {"part": "network", "mixture": mixture, **count, "epochs": 10, **size}
    for seed in range(5):
        yield {"part": "synonyms", "seed": seed, "epochs": 10, **size}
    yield {"part": "completeness", "questions": 60, "epochs": 10, **size}
    for seen, epochs in (("programs", 10), ("answers", 15), ("answers, fictitious", 15)):
        yield {"part": "reorder", "seen": seen, "seed": 0, "epochs": epochs, "tables": 240}
    yield {"part": "pruning", "questions": 120}
    for pruned_by in (-1, 0, 2):
        yield {"part": "lots", "pruned_by": pruned_by, "epochs": 20, "tables": 400}
    yield {"part": "rules", "tables": 200}
    yield {"part": "wtq", "questions": 300}


def run(part: str, threads: int, **point: Any) -> dict[str, Any]:
    result: dict[str, Any] = globals()[f"run_{part}"](**point)
    return result


# ---- training ------------------------------------------------------------------------------------
def _programmer(programs: float, epochs: int, seed: int, **more: Any) -> NeuralProgrammer:
    if not programs:  # selections stay undecided for a while: see docs/attribution.md
        more = {"batch": 20, "entropy": 0.3} | more
    return NeuralProgrammer(epochs=epochs, program_share=programs, seed=seed, **more)


def _trained(tables: int, epochs: int, seed: int = 0, intents: Any = None) -> Any:
    """A network that has seen 10 % of the programs (all where there are few), and the test."""
    train, test = (
        generate_questions(n, k, intents=intents)
        for k, n in ((1, tables), (2, max(6, tables // 6)))
    )
    small = {"batch": 10, "least": 3} if tables < 100 else {}
    return _programmer(1.0 if small else 0.1, epochs, seed, **small).fit(train), test


def run_training(programs: float, seed: int, tables: int, epochs: int) -> dict[str, Any]:
    train, test = generate_questions(tables, 1), generate_questions(max(6, tables // 6), 2)
    model = _programmer(programs, epochs, seed).fit(train, test)
    history = model.history_
    return {
        "accuracy": [epoch.accuracy for epoch in history],
        "by_intent": [epoch.by_intent for epoch in history[:: max(1, epochs // 4)]],
        "last_by_intent": history[-1].by_intent,
        "epoch_cpu_s": float(np.median([epoch.cpu_s for epoch in history])),
    }


# ---- analyses ------------------------------------------------------------------------------------
def run_network(
    mixture: str, questions: int, attacks: int, tables: int, epochs: int
) -> dict[str, Any]:
    model, test = _trained(tables, epochs, intents=qa.zipf() if mixture == "zipf" else None)
    start = time.process_time()
    every = model.attribute(test[:questions], paths=COLUMN_PATHS)
    spent = time.process_time() - start
    answers = model.predict(test[:questions])
    good = [f for f, a in zip(every, answers, strict=True) if a == f.question.answer]
    words = qa.rank_words(good)
    result = {
        "accuracy": qa.accuracy(model, test),
        "attribution_cpu_s": spent / questions,
        "gradients": float(np.mean([found.n_points for found in every])),
        "delta": max((abs(s.delta) for f in every for s in f.selections), default=0.0),
        "overstability": qa.overstability(model, test, words).rows,
        "first_words": words[:8],
    }
    if mixture == "zipf":
        return result
    others = [q for q in generate_questions(max(6, tables // 6), 5) if q.intent != "VAGUE"]
    found = {
        "defaults": _defaults(model, test),
        "faithfulness": qa.faithfulness(model, every).rows,
        "triggers": [row[:3] for row in qa.operator_triggers(good, least=5).rows],
        "rules": qa.intent_rules(good)[2].score(others),
        "rule_words": [row for row in qa.intent_rules(good)[1].rows if row[2] >= 5],
        "synonyms": _synonyms(good, others),
        "attacked": _attacks(model, good, test),
        "distractors": qa.distractors(model, test, attacks).rows,
    }
    return result | found


def _defaults(model: NeuralProgrammer, test: list) -> dict[str, Any]:
    every = list({id(q.table): q.table for q in test}.values())
    programs = [model.default_program(table) for table in every]
    habits = [PROGRAMS[DOMAINS[table.domain].habit] for table in every]
    same = [
        [op for op, _ in p][1:] == [op for op, _ in h][1:]
        for p, h in zip(programs, habits, strict=True)
    ]
    unknown = model.programs([ask(["unk"] * 6, table) for table in every])
    return {
        "habit": float(np.mean(same)),
        "unknown_words": float(np.mean([a == b for a, b in zip(unknown, programs, strict=True)])),
        "programs": qa.default_programs(model, every[:60]).rows,
    }


def _synonyms(good: list, others: list) -> dict[str, Any]:
    groups = [None, *COLUMN_PATHS]
    stems = RuleBased(["exact", "stem"]).score(others)
    extracted = {
        str(group or "all"): RuleBased(
            synonyms=qa.known_synonyms(qa.column_synonyms(good, group, least=2, keep=3))
        ).score(others)
        for group in groups
    }
    return {
        "all": qa.score_synonyms(good, groups, SYNONYMS).rows,
        "numbers": qa.score_synonyms(good, groups, SYNONYMS, numbers_only=True).rows,
        "stems": stems,
        "extracted": extracted,
    }


def run_synonyms(seed: int, tables: int, epochs: int) -> dict[str, Any]:
    """Table 3.5 on networks that began with other weights."""
    model, test = _trained(tables, epochs, seed)
    test = [q for q in test if q.intent != "VAGUE"]
    good = [q for q, a in zip(test, model.predict(test), strict=True) if a == q.answer]
    found = model.attribute(good, paths=COLUMN_PATHS)
    scores = qa.score_synonyms(found, [None, *COLUMN_PATHS], SYNONYMS, numbers_only=True)
    return {"right": len(good) / len(test), "numbers": scores.rows}


def run_completeness(questions: int, tables: int, epochs: int) -> dict[str, Any]:
    """|δ| of selections of a trained network, by method and number of gradients."""
    model, test = _trained(tables, epochs)
    good = [q for q, a in zip(test, model.predict(test), strict=True) if a == q.answer]
    good = [q for q in good if q.intent != "VAGUE"][:questions]
    warnings.simplefilter("ignore", IncompleteWarning)
    adaptive = {tol: model.attribute(good, tol=tol) for tol in (1e-2, 1e-3)}
    rows = [_deltas(f"adaptive, tol {tol}", found) for tol, found in adaptive.items()]
    equal = zip(good, (max(1, one.n_points) for one in adaptive[1e-3]), strict=True)
    left = [model.attribute([q], method="riemann_left", n_steps=n)[0] for q, n in equal]
    rows.append(_deltas("left sum, the points of tol 0.001", left))
    for n in (16, 32):
        some = model.attribute(good, method="gausslegendre", n_steps=n)
        rows.append(_deltas(f"Gauss, {n} points", some))
    return {"rows": rows}


def _deltas(method: str, found: list) -> list[Any]:
    deltas = [abs(selection.delta) for one in found for selection in one.selections]
    return [method, float(np.mean([one.n_points for one in found])), max(deltas, default=0.0)]


def _attacks(model: NeuralProgrammer, good: list, test: list) -> dict[str, Any]:
    phrases = qa.propose_phrases(good, leave_out=SYNONYMS)
    attacks, baselines = qa.concatenation(model, test, phrases)
    plain = qa.attack(model, test, {"fluff words": qa.drop_words, "rows reordered": qa.reorder()})
    nouns = ("tower", "pilot", "album", "team", "goals", "votes")
    subjects = {noun: (lambda q, noun=noun: qa.ablate_subject(q, noun, SYNONYMS)) for noun in nouns}
    ablated = qa.attack(model, test, subjects)
    return {
        "plain": plain.rows[:-1],
        "attacks": attacks.rows[1:],
        "baselines": baselines.rows[1:],
        "same_without_subject": float(np.mean([row[2] for row in ablated.rows[1:-1]])),
    }


# ---- reordering ----------------------------------------------------------------------------------
def run_reorder(seen: str, seed: int, tables: int, epochs: int) -> dict[str, Any]:
    """Train on tables that are always sorted by the column asked for."""
    intents = {"SORT_MAX": 1, "SORT_MIN": 1, "FIRST": 1, "LAST": 1}
    shape = {"sorted_by_question": True, "sorted_p": 1.0, "vague": 0.0, "intents": intents}
    train = generate_questions(tables, 1, **shape)
    test = generate_questions(max(6, tables // 6), 2, **shape)
    if seen.endswith("fictitious"):  # as many questions, of which a quarter has the true table
        train = qa.augment(train[: len(train) // 4], 3)
    by_program = {"answers": False, "batch": 20} if seen == "programs" else {}
    model = _programmer(float(seen == "programs"), epochs, seed, **by_program)
    change, curve = qa.reorder(), []
    chosen = {name: [q for q in test if q.intent == name] for name in ("SORT_MAX", "SORT_MIN")}
    moved = {name: [change(q) for q in some] for name, some in chosen.items()}
    everything = [change(q) for q in test]

    def progress(epoch: Any) -> None:
        every = max(1, epochs // 5)
        if epoch.number % every == 0:
            pairs = [[model.score(s[n]) for s in (chosen, moved)] for n in chosen]
            whole = [model.score(test), model.score(everything)]
            curve.append([epoch.number, whole, *pairs])

    model.fit(train, progress=progress)
    return {"curve": curve}


# ---- pruning -------------------------------------------------------------------------------------
def run_pruning(questions: int) -> dict[str, Any]:
    some = generate_questions(-(-questions // 3), 5, per_table=3, vague=0)[:questions]
    start = time.process_time()
    found = [qa.consistent(q) for q in some]
    shared = (time.process_time() - start) / questions
    start = time.process_time()
    for q in some[:2]:
        programs = Programs(q)
        for index in product(*map(range, programs.shape)):
            execute(programs.program(index), q)
    alone = (time.process_time() - start) / 2
    false = [qa.spurious(q, i) for i, q in enumerate(some)]
    gone = {}
    for kind in ("rows", "numbers", "both"):
        left = sum(
            (qa.prune(q, 6, i, kind=kind) & f).sum((1, 2, 3))
            for i, (q, f) in enumerate(zip(some, false, strict=True))
        )
        gone[kind] = [float(1 - x / left[0]) for x in left[1:]]
    counts = [int(f.sum()) for f in found]
    share = sum(int(f.sum()) for f in false) / sum(counts)
    return {
        "consistent": float(np.mean(counts)),
        "median": float(np.median(counts)),
        "spurious": share,
        "gone": gone,
        "shared_s": shared,
        "one_by_one_s": alone,
    }


def run_lots(pruned_by: int, tables: int, epochs: int) -> dict[str, Any]:
    """Learn from one consistent program by lot of each question; -1 is the true one."""
    train = generate_questions(tables, 1, vague=0)
    test = generate_questions(max(6, tables // 3), 2, vague=0)
    if pruned_by >= 0:
        train = qa.draw_programs(train, tables=pruned_by)
    model = _programmer(1.0, epochs, 0).fit(train, test)
    return {"accuracy": model.history_[-1].accuracy}


# ---- rules and real questions --------------------------------------------------------------------
def run_rules(tables: int) -> dict[str, Any]:
    some = [q for q in generate_questions(tables, 2) if q.intent != "VAGUE"]
    half = {word: set(sorted(others)[::2]) for word, others in SYNONYMS.items()}
    whole = RuleBased(synonyms=SYNONYMS)
    return {
        "exact": RuleBased(["exact"]).score(some),
        "stems": RuleBased(["exact", "stem"]).score(some),
        "half of the thesaurus": RuleBased(synonyms=half).score(some),
        "whole thesaurus": whole.score(some),
        "whole, rows reordered": whole.score([qa.reorder_rows(q, i) for i, q in enumerate(some)]),
        "whole, without fluff": whole.score([qa.drop_words(q) for q in some]),
    }


def run_wtq(questions: int) -> dict[str, Any]:
    shared = Path(os.environ.get("PYMPF_SHARED", measure.ROOT.parent / "shared"))
    archive = shared / "data/attribution/wikitablequestions.tar.xz"
    if not archive.exists():
        return {"skipped": f"no {archive}: set PYMPF_SHARED"}
    with tempfile.TemporaryDirectory() as folder, tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
        return qa.answerable(
            qa.WikiTableQuestions(folder), "random-split-1-dev", questions, steps=3
        )


# ---- the page ------------------------------------------------------------------------------------
def render(rows: list[tables.Row]) -> str:
    parts = [_training, _networks, _synonym_seeds, _completeness, _reorders, _pruned, _rules]
    return "\n\n".join(text for part in parts if (text := part(rows)))


def _training(rows: list[tables.Row]) -> str:
    header = ("programs seen", "seed", "epochs", "accuracy", "intents below 0.5", "s an epoch")
    lines = [
        [
            f"{row['programs']:.0%}",
            row["seed"],
            row["epochs"],
            row["accuracy"][-1],
            ", ".join(k for k, v in row["last_by_intent"].items() if v < 0.5) or "none",
            row["epoch_cpu_s"],
        ]
        for row in tables.only(rows, part="training")
    ]
    return tables.markdown(header, lines) if lines else ""


def _networks(rows: list[tables.Row]) -> str:
    texts = []
    for row in tables.only(rows, part="network"):
        lines = [[f"accuracy ({row['mixture']} intents)", row["accuracy"], "0.335"]]
        lines += [
            [f"relative accuracy on {count} words (random words)", f"{best:.2f} ({some:.2f})", said]
            for count, best, some in row["overstability"]
            if (said := {0: "0.22", 5: "> 0.5", 16: "0.71", 32: "0.77"}.get(count))
        ]
        if row["mixture"] == "balanced":
            lines += _network_lines(row)
        texts.append(tables.markdown(("network", "here", "thesis"), lines))
    return "\n\n".join(texts)


def _synonym_seeds(rows: list[tables.Row]) -> str:
    header = ("columns of numbers, seed", "answers right", "paths", "selections", "first word")
    lines = [
        [row["seed"], row["right"], *scores]
        for row in tables.only(rows, part="synonyms")
        for scores in row["numbers"]
    ]
    more = ("precision", "recall", "first of header right")
    return tables.markdown((*header, *more), lines) if lines else ""


def _completeness(rows: list[tables.Row]) -> str:
    lines = [
        [method, round(points), f"{delta:.1e}"]
        for row in tables.only(rows, part="completeness")
        for method, points, delta in row["rows"]
    ]
    header = ("completeness, trained network", "gradients on average", "largest δ")
    return tables.markdown(header, lines) if lines else ""


def _network_lines(row: tables.Row) -> Iterator[list[Any]]:
    attacks, defaults, synonyms = row["attacked"], row["defaults"], row["synonyms"]
    yield ["default program is the planted habit", defaults["habit"], None]
    yield ["unknown words give the default program", defaults["unknown_words"], "all"]
    dropped = {2: ("0.83", "0.92"), 3: ("0.98", "0.88"), 4: ("0.99", "0.96")}
    for step, _, top, some, kept in row["faithfulness"]:
        said = dropped.get(step, (None, None))
        text = f"{top:.2f} ({some:.2f})"
        yield [f"step {step}: changed without the top 3 (3 random)", text, said[0]]
        yield [f"step {step}: same without the unimportant", kept, said[1]]
    text = ", ".join(f"{x:.2f}" for x in row["rules"])
    yield ["rules as a classifier: coverage, accuracy", text, None]
    for name, _, *shares in synonyms["numbers"]:
        text = ", ".join(f"{x:.3f}" for x in shares)
        yield [f"{name} paths: first word, precision, recall, first of header", text, None]
    yield ["rule-based system with stems", synonyms["stems"], None]
    for name, value in synonyms["extracted"].items():
        yield [f"… and synonyms by {name} paths", value, None]
    for (name, value, _), said in zip(attacks["plain"], (None, "0.285", "0.23"), strict=True):
        yield [f"attack: {name}", value, said]
    for kind, said in (("attacks", "0.033"), ("baselines", "0.271")):
        yield [f"union of the phrases: {kind}", attacks[kind][-1][1], said]
    yield ["same answer for another subject", attacks["same_without_subject"], "0.756"]
    said = ("0.63", "0.40", "0.23", None)
    for (name, _, rate, sigma), number in zip(row["distractors"], said, strict=True):
        yield [f"distractor rows, {name}", f"{rate:.3f} ± {sigma:.3f}", number]


def _reorders(rows: list[tables.Row]) -> str:
    header = ("rows reordered", "epoch", "all", "SORT_MAX", "SORT_MIN")
    lines = [
        [row["seen"], number, *(f"{a:.2f} → {b:.2f}" for a, b in pairs)]
        for row in tables.only(rows, part="reorder")
        for number, *pairs in row["curve"]
    ]
    return tables.markdown(header, lines) if lines else ""


def _pruned(rows: list[tables.Row]) -> str:
    texts = []
    for row in tables.only(rows, part="pruning"):
        header = ("spurious programs gone after", *(f"{k} tables" for k in range(1, 7)))
        lines = [[kind, *(f"{x:.3f}" for x in gone)] for kind, gone in row["gone"].items()]
        texts.append(tables.markdown(header, lines))
        speed = row["one_by_one_s"] / row["shared_s"]
        texts.append(
            f"{row['consistent']:.0f} programs are consistent on average (median "
            f"{row['median']:.0f}), {row['spurious']:.0%} of them spurious; the thesis prunes "
            f"92.1 %. Shared beginnings take {1e3 * row['shared_s']:.2g} ms a question, "
            f"{speed:.0f} times less than one by one."
        )
    names = {-1: "the true program", 0: "any consistent program"}
    said = {0: "0.363", 2: "0.433"}
    lines = [
        [
            names.get(row["pruned_by"], f"one left by {row['pruned_by']} fictitious tables"),
            row["accuracy"],
            said.get(row["pruned_by"]),
        ]
        for row in tables.only(rows, part="lots")
    ]
    if lines:
        texts.append(tables.markdown(("learned from", "accuracy", "thesis"), lines))
    return "\n\n".join(texts)


def _rules(rows: list[tables.Row]) -> str:
    lines = [
        [name, row[name]]
        for row in tables.only(rows, part="rules")
        for name in row
        if isinstance(row[name], float)
    ]
    text = tables.markdown(("rule-based system", "accuracy"), lines) if lines else ""
    for row in tables.only(rows, part="wtq"):
        if "within_limits" in row:
            text += (
                f"\n\nWikiTableQuestions: {row['split_size']} questions of the split read, "
                f"{row['within_limits']} of {row['sample']} within 100 rows and 20 columns; some "
                "program of one, two, … free steps answers "
                + ", ".join(f"{x:.3f}" for x in row["answerable"])
                + " of them (with luck)."
            )
    return text


def draw(rows: list[tables.Row], folder: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for row in tables.only(rows, part="training"):
        label = f"{row['programs']:.0%} of the programs, seed {row['seed']}"
        axes[0].plot(range(1, row["epochs"] + 1), row["accuracy"], label=label)
    axes[0].set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1), title="training")
    colors = {"balanced": "tab:blue", "zipf": "tab:red"}
    for row in tables.only(rows, part="network"):
        words, best, some = zip(*row["overstability"], strict=True)
        color, name = colors[row["mixture"]], row["mixture"]
        axes[1].plot(words, best, "o-", color=color, label=f"{name}, first words")
        axes[1].plot(words, some, "--", color=color, label=f"{name}, random words")
    axes[1].set(xlabel="words left", ylabel="relative accuracy", title="overstability (figure 3.5)")
    for row, color in zip(tables.only(rows, part="reorder"), ("C0", "C1", "C2"), strict=False):
        epochs, _, largest, _ = zip(*row["curve"], strict=True)
        before, after = zip(*largest, strict=True)
        axes[2].plot(epochs, before, color=color, label=f"{row['seen']}, as sorted")
        axes[2].plot(epochs, after, "--", color=color, label=f"{row['seen']}, reordered")
    axes[2].set(xlabel="epoch", ylabel="accuracy of SORT_MAX", ylim=(0, 1.02), title="row order")
    for ax in axes:
        ax.grid(alpha=0.3)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(fontsize=7)
    figure.savefig(folder / PICTURE, dpi=110)
    pyplot.close(figure)
