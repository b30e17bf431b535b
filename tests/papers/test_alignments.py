"""Thesis, section 3.3.2, tables 3.6 to 3.8: the orderings, on small networks.

The figures at full size are in bench/cases/alignments.py.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from pympf.explain.alignments import (
    IBM1,
    SyntheticLanguages,
    align_text,
    read_bitext,
    read_pharaoh,
    score_alignments,
    score_links,
)
from pympf.nets.seq2seq import Seq2Seq

LANGUAGES = SyntheticLanguages(nouns=24, verbs=12, adjectives=10, adverbs=6, compounds=8)
SMALL = {"embedding": 32, "hidden": 48, "epochs": 10, "batch": 32, "learning_rate": 5e-3}


def aligned(bidirectional):
    """Train on 2000 pairs and align 30 others; scores by kind."""
    text, test = LANGUAGES.draw(2000, seed=1), LANGUAGES.draw(30, seed=3)
    net = Seq2Seq(**SMALL, bidirectional=bidirectional)
    net.fit([pair.source for pair in text], [pair.target for pair in text])
    assert net.score([p.source for p in test], [p.target for p in test]) > 0.9
    found = align_text(net, [(p.source, p.target) for p in test], tol=5e-2, max_steps=500)
    gold = [pair.links for pair in test]
    return {kind: score_alignments(M, gold) for kind, M in found.items()}


@pytest.fixture(scope="module", params=[True, False], ids=["bidirectional", "unidirectional"])
def scores(request):
    return request.param, aligned(request.param)


def test_print(scores):
    for k, v in scores[1].items(): print(scores[0], k, *np.round(v, 3))
