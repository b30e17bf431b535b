"""Thesis, section 3.1 and the proposition of 3.3.1: integrated gradients, as numbers.

Bars are those of the issue; the figures at full size are in bench/cases/attribution.py.
"""

import warnings

import numpy as np
import pytest

from pympf.explain import IncompleteWarning, IntegratedGradients
from pympf.explain.examples import (
    attention_network,
    counting_network,
    recurrent_network,
    relu_network,
)

pytestmark = pytest.mark.filterwarnings("ignore::pympf.explain.IncompleteWarning")


def largest_delta(forward, shape, n=5, seed=0, **options):
    """The largest |δ| over some inputs, and the mean number of gradients."""
    explain = IntegratedGradients(forward)
    X = np.random.default_rng(seed).standard_normal((n, *shape))
    found = [explain.attribute(x, target=0, **options) for x in X]
    return max(abs(r.delta) for r in found), np.mean([r.n_points for r in found])


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_sixteen_gauss_points_do_for_random_recurrent_networks(kind):
    forward = recurrent_network(kind, 16, 32)
    gauss, _ = largest_delta(forward, (12, 16), method="gausslegendre", n_steps=16)
    left, _ = largest_delta(forward, (12, 16), method="riemann_left", n_steps=512)
    assert gauss < 1e-6
    assert left > 1e-5  # the thesis's rule, at 32 times the points


def test_attention_takes_more():
    forward = attention_network(12, 32)
    few, _ = largest_delta(forward, (12, 32), method="gausslegendre", n_steps=16)
    many, _ = largest_delta(forward, (12, 32), method="gausslegendre", n_steps=256)
    assert many < 1e-6 < few


@pytest.mark.parametrize(("sizes", "most"), [((64, 64), 200), ((256, 256, 256), 1200)])
def test_kinks_are_cut_exactly(sizes, most):
    forward = relu_network(20, *sizes, 5)
    exact, points = largest_delta(forward, (20,), n=3, method="kinks")
    assert exact < 1e-8
    assert points <= most
    if most == 200:  # and no fixed rule comes near
        gauss, _ = largest_delta(forward, (20,), n=3, method="gausslegendre", n_steps=2048)
        assert gauss > 1e-6


@pytest.fixture(scope="module")
def counter():
    return counting_network()


def test_fixed_rules_are_wrong_by_more_than_1_on_a_trained_network(counter):
    """Of a probability! The adaptive pieces are right with about as many gradients."""
    sure = counter.forward(counter.embedded[:40]).value
    assert (sure.argmax(axis=1) == counter.counts[:40]).mean() >= 0.95
    assert counter.losses[-1] < 0.05
    explain = IntegratedGradients(counter.forward)
    fixed, adaptive, left = [], [], []
    for x, target in zip(counter.embedded[:40], counter.counts[:40].tolist(), strict=True):
        fixed.append(explain.attribute(x, target=target, method="gausslegendre", n_steps=32))
        adaptive.append(explain.attribute(x, target=target))
        left.append(
            explain.attribute(
                x, target=target, method="riemann_left", n_steps=adaptive[-1].n_points
            )
        )
    assert max(abs(r.delta) for r in fixed) > 1
    assert max(abs(r.delta) for r in adaptive) <= 1e-3
    assert np.mean([r.n_points for r in adaptive]) <= 300
    wrong = np.median([abs(r.delta) for r in left])
    assert wrong >= 10 * np.median([abs(r.delta) for r in adaptive])


def test_the_sum_names_the_wrong_word_where_it_is_not_complete(counter):
    """What a wrong delta does to the ranking that every table of the chapter is made from."""
    explain = IntegratedGradients(counter.forward)
    changed = 0
    for x, target in zip(counter.embedded[:40], counter.counts[:40].tolist(), strict=True):
        right = explain.attribute(x, target=target, tol=1e-4).attributions.sum(axis=1)
        rough = explain.attribute(x, target=target, method="gausslegendre", n_steps=8)
        changed += right.argmax() != rough.attributions.sum(axis=1).argmax()
    assert changed >= 4


def test_the_direction_of_the_path_does_not_matter(counter):
    """Users report that swapping input and baseline changes delta: a sign of a step missed."""
    explain = IntegratedGradients(counter.forward)
    x, zero = counter.embedded[0], np.zeros_like(counter.embedded[0])
    there = explain.attribute(x, zero, target=0, tol=1e-5)
    back = explain.attribute(zero, x, target=0, tol=1e-5)
    np.testing.assert_allclose(there.attributions, -back.attributions, atol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("error", IncompleteWarning)
        explain.attribute(x, target=0, tol=1e-5)
