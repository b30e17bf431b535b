"""Word alignments of encoder-decoder networks, tables 3.6 to 3.8 of the thesis: match score,
probability mass and 1 - AER (grow-diag-final-and) of attention weights, and of integrated gradients
over all paths, with attention weights cut (R1: the thesis's path-specific) and with contexts cut
(R2), next to IBM model 1.

*Synthetic*: `SyntheticLanguages`, 10 000 pairs, five epochs, GRU of 96 units, words of 64 numbers;
100 new pairs, adaptive quadrature to 1e-2 of a probability. *Real*: Tatoeba French–English, 9672
pairs, words seen twice, ten epochs; 47 of these pairs aligned by hand (sure and possible links);
where `PYMPF_ATTRIBUTION` names the folder with `tatoeba-fr-en-bpe.tar.xz` and
`tatoeba-fr-en-gold.txt`. *S alone*: links of the best source word of each word, not merged.
Differences to all paths and to attention have 95 % intervals of a paired
bootstrap over sentences. *Articles* (synthetic): where the largest score of an article is, whose
form the noun decides: at the article of the source (a sure link), at a noun (a possible one),
elsewhere. Seconds are those of the processor; δ is the largest Σ attributions - (F(x) - F(0)).
"""

import os
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tables

from pympf.explain import alignments
from pympf.nets.seq2seq import Seq2Seq

TITLE = "Word alignments: attention, integrated gradients by paths, IBM model 1"
PICTURE = "alignments.png"
NAMES = {
    "attention": "attention",
    "all_paths": "all paths",
    "weights_cut": "weights cut (R1)",
    "context_cut": "context cut (R2)",
    "ibm1": "IBM model 1",
}
THESIS = {
    "NMT De→En": {
        "attention": (0.7548, 0.3151, 0.6469),
        "all_paths": (0.7430, 0.3078, 0.6493),
        "weights_cut": (0.8426, 0.4425, 0.7694),
    },
    "GNMT De→En": {
        "attention": (0.7873, 0.4612, 0.7097),
        "all_paths": (0.6847, 0.2697, 0.5883),
        "weights_cut": (0.7762, 0.3547, 0.6946),
    },
    "GNMT En→De": {
        "attention": (0.7796, 0.4275, 0.7114),
        "all_paths": (0.7134, 0.2937, 0.6250),
        "weights_cut": (0.7813, 0.3892, 0.7105),
    },
}
FINAL = "grow-diag-final-and"
TEXT, GOLD = "tatoeba-fr-en-bpe.tar.xz", "tatoeba-fr-en-gold.txt"


# ---- what to measure -----------------------------------------------------------------------------
def points(tiny: bool) -> list[dict[str, Any]]:
    if tiny:
        small = {"pairs": 60, "tests": 3, "epochs": 1, "hidden": 8, "seed": 0, "threads": 1}
        return [{"text": "synthetic", **kind, **small} for kind in (_kind(), _kind(cell="lstm"))]
    full = {"pairs": 10_000, "tests": 100, "epochs": 5, "hidden": 96, "threads": 1}
    synthetic, both = {"text": "synthetic", "seed": 0, **full}, (True, False)
    found = [synthetic | _kind(bidirectional=way) for way in both]
    if folder() is not None:
        real = synthetic | {"text": "tatoeba", "epochs": 10, "tests": 47, "pairs": 9672}
        found += [real | _kind(bidirectional=way) for way in both]
    for other in ({"query": "after"}, {"cell": "lstm"}):
        found += [synthetic | _kind(bidirectional=way, **other) for way in both]
    found += [synthetic | _kind(bidirectional=way) | {"seed": n} for n in (1, 2, 3) for way in both]
    other = [{"seed": n, "epochs": 3} for n in (0, 1)]
    # After all others: a row of one of these has all entries of a point with the usual rate.
    slow = {"learning_rate": 2e-3}
    other += [slow | {"seed": n, "epochs": e} for e, most in ((5, 4), (10, 2)) for n in range(most)]
    return found + [synthetic | _kind(bidirectional=False) | more for more in other]


def _kind(cell: str = "gru", bidirectional: bool = True, query: str = "before") -> dict[str, Any]:
    return {"cell": cell, "bidirectional": bidirectional, "query": query}


def folder() -> Path | None:
    """Where the real sentences are."""
    found = Path(os.environ.get("PYMPF_ATTRIBUTION", "attribution"))
    return found if (found / TEXT).exists() and (found / GOLD).exists() else None


# ---- measuring -----------------------------------------------------------------------------------
def run(text: str, pairs: int, tests: int, threads: int = 1, **network: Any) -> dict[str, Any]:
    train, valid, test, gold = _synthetic(pairs, tests) if text == "synthetic" else _real()
    least = 1 if text == "synthetic" else 2
    start = time.process_time()
    net = Seq2Seq(min_count=least, **network).fit(*_sides(train))
    trained = time.process_time()
    found = [alignments.soft_alignments(net, *pair, tol=1e-2, max_steps=4000) for pair in test]
    aligned = time.process_time()
    matrices = {kind: [each.matrices[kind] for each in found] for kind in alignments.KINDS}
    ibm = alignments.IBM1().fit(*_sides(train))
    links = [ibm.align(*pair) for pair in test]
    scores: dict[str, list[float | None]] = {
        kind: list(alignments.score_alignments(M, gold)) for kind, M in matrices.items()
    }
    scores["ibm1"] = [None, None, *alignments.score_links(links, gold)[2:]]
    alone = {
        kind: alignments.score_alignments(M, gold, "sources").one_minus_aer
        for kind, M in matrices.items()
    }
    result = {
        "train_cpu_s": trained - start,
        "align_cpu_s": (aligned - trained) / len(test),
        "delta": max(float(abs(each.delta).max()) for each in found),
        "gradient_points": float(np.mean([each.n_points for each in found])),
        "accuracy": net.score(*_sides(valid)),
        "scores": scores,
        "alone": alone | {"ibm1": None},
        "intervals": _intervals(matrices, gold),
    }
    if text == "synthetic":
        result["articles"] = _articles(matrices, test)
    return result


def _synthetic(pairs: int, tests: int) -> tuple[Any, Any, Any, Any]:
    languages = alignments.SyntheticLanguages()
    train, valid, test = (languages.draw(n, seed) for n, seed in ((pairs, 1), (400, 2), (tests, 3)))
    three = [[(pair.source, pair.target) for pair in part] for part in (train, valid, test)]
    return (*three, [pair.links for pair in test])


def _real() -> tuple[Any, Any, Any, Any]:
    """Everything is trained on, as aligners do; the held-out accuracy is of the first 200."""
    where = folder()
    assert where is not None
    gold = alignments.read_pharaoh(where / GOLD, numbered=True)
    scratch = Path(os.environ.get("TMPDIR", "/tmp")) / f"pympf-tatoeba-{os.getpid()}"
    with tarfile.open(where / TEXT) as archive:
        archive.extractall(scratch, filter="data")
    train, valid = (
        alignments.read_bitext(scratch / f"hw4/data/fren.{part}.bpe") for part in ("train", "dev")
    )
    return train + valid, valid[:200], [valid[n - 1] for n in gold], list(gold.values())


def _sides(pairs: Any) -> tuple[list[Any], list[Any]]:
    return [source for source, _ in pairs], [target for _, target in pairs]


def _intervals(matrices: dict[str, Any], gold: Any) -> dict[str, list[float]]:
    """Differences with their bounds: [difference, low, high] by "kind - kind: score"."""
    compared = [("weights_cut", "all_paths"), ("weights_cut", "attention")]
    measured = [("match", FINAL), ("one_minus_aer", FINAL), ("one_minus_aer", "sources")]
    return {
        f"{one} - {two}: {score}, {method}": list(
            alignments.paired_bootstrap(matrices[one], matrices[two], gold, score, method=method)
        )
        for one, two in compared
        for score, method in measured
    }


def _articles(matrices: dict[str, Any], test: Any) -> dict[str, list[int]]:
    """Where an article's largest score is: its own article, its noun, another word."""
    found = {}
    for kind, each in matrices.items():
        places = [0, 0, 0]
        for M, (source, target) in zip(each, test, strict=True):
            for j, word in enumerate(target):
                if word.startswith(("THE", "SOME")):
                    best = source[int(M[:, j].argmax())]
                    own = best == ("der" if word.startswith("THE") else "ein")
                    places[0 if own else 1 if best[0] in "nk" and best != "nicht" else 2] += 1
        found[kind] = places
    return found


# ---- the tables ----------------------------------------------------------------------------------
def render(rows: list[tables.Row]) -> str:
    return "\n\n".join([_thesis(), _scores(rows), _differences(rows), _where(rows)])


def _thesis() -> str:
    header = ("thesis, tables 3.6 to 3.8", "", "match", "mass", "1 − AER")
    lines = [
        [name, NAMES[kind], *(f"{score:.3f}" for score in scores)]
        for name, kinds in THESIS.items()
        for kind, scores in kinds.items()
    ]
    return tables.markdown(header, lines)


def _name(row: tables.Row) -> str:
    way = "bidirectional" if row["bidirectional"] else "unidirectional"
    cell = "" if row["cell"] == "gru" else ", LSTM"
    usual = (10 if row["text"] == "tatoeba" else 5, 4e-3)
    epochs, rate = row["epochs"], row.get("learning_rate", usual[1])
    trained = "" if (epochs, rate) == usual else f", {epochs} epochs at rate {rate:g}"
    return f"{row['text']}, {way}, query {row['query']}{cell}{trained}, seed {row['seed']}"


def _scores(rows: list[tables.Row]) -> str:
    header = ("network", "accuracy of words", "alignment", "match", "mass", "1 − AER")
    header += (
        "precision",
        "recall",
        "1 − AER, S alone",
        "training, s",
        "alignment, s per pair",
        "points",
        "δ",
    )
    lines = []
    for row in rows:
        for kind, name in NAMES.items():
            numbers = [None if n is None else f"{n:.3f}" for n in row["scores"][kind]]
            alone = row["alone"][kind]
            line = [_name(row), f"{row['accuracy']:.3f}", name, *numbers]
            line.append(None if alone is None else f"{alone:.3f}")
            cost = [row["train_cpu_s"], row["align_cpu_s"], int(row["gradient_points"])]
            lines.append([*line, *cost, f"{row['delta']:.0e}"])
    return tables.markdown(header, lines)


def _differences(rows: list[tables.Row]) -> str:
    header = ("network", "R1 − all paths: match", "1 − AER", "1 − AER, S alone")
    header += ("R1 − attention: match", "1 − AER", "1 − AER, S alone")
    lines = [
        [_name(row), *("{:+.3f} [{:.3f}, {:.3f}]".format(*d) for d in row["intervals"].values())]
        for row in rows
    ]
    return tables.markdown(header, lines)


def _where(rows: list[tables.Row]) -> str:
    header = ("articles: own article / noun / elsewhere", *list(NAMES.values())[:4])
    lines = [
        [_name(row), *(" / ".join(map(str, row["articles"][kind])) for kind in alignments.KINDS)]
        for row in rows
        if "articles" in row
    ]
    return tables.markdown(header, lines)


# ---- the picture ---------------------------------------------------------------------------------
def draw(rows: list[tables.Row], folder: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    groups = _groups(rows)
    figure, axes = pyplot.subplots(2, 1, figsize=(10, 6), sharex=True, layout="constrained")
    for ax, score, text in zip(axes, (0, 2), ("match score", "1 − AER"), strict=True):
        for number, (kind, name) in enumerate(NAMES.items()):
            for place, runs in enumerate(groups.values()):
                values = [run[kind][score] for run in runs if kind in run]
                values = [value for value in values if value is not None]
                if values:
                    low, middle, high = min(values), float(np.mean(values)), max(values)
                    label = name if place == len(groups) - 1 else None
                    style = {"color": f"C{number}", "label": label, "width": 0.16}
                    x = place + 0.17 * (number - 2)
                    ax.bar(x, middle, yerr=[[middle - low], [high - middle]], **style)
        ax.set(ylabel=text, ylim=(0, 1))
        ax.grid(alpha=0.3, axis="y")
    axes[1].set_xticks(range(len(groups)), list(groups), fontsize=8)
    axes[1].legend(fontsize=8, ncol=5, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    figure.savefig(folder / PICTURE, dpi=110)
    pyplot.close(figure)


def _groups(rows: list[tables.Row]) -> dict[str, list[dict[str, Any]]]:
    """Scores by kind of one or more runs: those of the thesis next to ours."""
    found: dict[str, list[dict[str, Any]]] = {}
    for way, printed in ((False, ["NMT De→En"]), (True, ["GNMT De→En", "GNMT En→De"])):
        found |= {f"thesis\n{name}": [THESIS[name]] for name in printed}
        word = "bidirectional" if way else "unidirectional"
        for text, cell in (("synthetic", "gru"), ("synthetic", "lstm"), ("tatoeba", "gru")):
            some = tables.only(rows, text=text, cell=cell, bidirectional=way, query="before")
            some = [row for row in some if "epochs" not in _name(row)]
            if some:
                found[f"{text}, {cell.upper()}\n{word}"] = [row["scores"] for row in some]
    return found
