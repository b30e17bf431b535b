"""Folds of a line, counted exactly; the network with explicit scales and biases."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pympf.nets.patches import (
    ScaleBiasNetwork,
    components,
    convex_hull_keeps_class,
    fold_function,
    preimage,
)

tenths = st.integers(-30, 30).map(lambda i: Fraction(i, 20))


def count_on_grid(biases, segment, printed=False):
    """Count runs of points whose value is in the segment."""
    x = np.linspace(-3, 4, 700_001)
    F = fold_function(x, biases, printed=printed)
    inside = np.concatenate([[False], (segment[0] - 1e-9 <= F) & (segment[1] + 1e-9 >= F)])
    return int((inside[1:] & ~inside[:-1]).sum())


# ---- the function --------------------------------------------------------------------------------
@pytest.mark.parametrize("p", [2, 4, 6])
@pytest.mark.parametrize("k", [1, 2])
def test_at_zero_biases_the_unit_interval_is_folded_evenly(p, k):
    biases, parts = np.zeros((k, p + 1)), p**k
    corners = np.arange(parts + 1) / parts
    np.testing.assert_allclose(fold_function(corners, biases), np.arange(parts + 1) % 2, atol=1e-12)
    assert components(biases, (0.2, 0.4)) == parts


def test_as_printed_more_folds_leave_the_unit_interval():
    """For p = 4 the printed q runs through [0, 2], and the next q has only half of it."""
    assert fold_function([0.0, 0.5, 1.0, 1.5, 2.0], np.zeros((1, 5)), printed=True).tolist() == [
        0,
        1,
        0,
        1,
        0,
    ]
    counts = [
        components(np.zeros((2, 5)), (0.2, 0.4), printed=printed) for printed in (False, True)
    ]
    assert counts == [16, 8]
    b = [[0.1, -0.2, 0.05], [0.02, 0, 0.1]]
    x = np.linspace(-1, 2, 301)
    assert np.array_equal(fold_function(x, b), fold_function(x, b, printed=True))


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_preimages_are_where_the_function_has_these_values(data):
    p, k = data.draw(st.sampled_from([(2, 1), (2, 2), (2, 3), (4, 1), (4, 2)]))
    biases = [[data.draw(tenths) for _ in range(p + 1)] for _ in range(k)]
    printed = data.draw(st.booleans())
    low, high = sorted((data.draw(tenths), data.draw(tenths)))
    parts = preimage(biases, (low, high), printed=printed)
    assert all(a <= b for a, b in parts)
    assert all(b < c for (_, b), (c, _) in itertools.pairwise(parts))
    x = np.concatenate([np.linspace(-5, 5, 2003), np.ravel(parts).astype(float)])
    x = x[np.isfinite(x)]
    F = fold_function(x, biases, printed=printed)
    near = 1e-9
    inside = np.zeros(len(x), bool)
    for a, b in parts:
        inside |= (float(a) - near <= x) & (x <= float(b) + near)
    slope = (2.0 * p) ** k
    assert (
        (F[inside] >= float(low) - slope * near) & (F[inside] <= float(high) + slope * near)
    ).all()
    assert ((F[~inside] < float(low)) | (F[~inside] > float(high))).all()


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 10),
    st.integers(-60, 40).map(lambda i: Fraction(i, 100)),
    st.integers(1, 99),
    st.integers(1, 99),
)
def test_the_formula_counts_what_the_intervals_are(k, b, alpha, beta):
    segment = tuple(Fraction(end, 100) for end in sorted((alpha, beta)))
    biases = [[b, 0, 0]] + [[0, 0, 0]] * (k - 1)
    assert components(biases, segment, method="formula") == components(biases, segment)


def test_counts_on_a_grid_agree():
    for biases in ([[-0.075, 0, 0], [0, 0, 0]], [[0, 0.1, -0.05], [0.1, 0, 0], [0, 0, 0.02]]):
        assert components(biases, (0.2, 0.4)) == count_on_grid(biases, (0.2, 0.4))
    four = [[0.03, 0, 0.1, 0, 0], [0, -0.1, 0, 0, 0]]
    for printed in (False, True):
        counted = count_on_grid(four, (0.21, 0.4), printed)
        assert components(four, (0.21, 0.4), printed=printed) == counted


@pytest.mark.parametrize(
    ("biases", "segment", "options", "words"),
    [
        ([[0, 0]], (0, 1), {}, r"p = 2, 4, 6.*lengths \[2\]"),
        ([[0, 0, 0, 0]], (0, 1), {}, "p = 2, 4, 6"),
        ([[0, 0, 0], [0] * 5], (0, 1), {}, r"lengths \[3, 5\]"),
        ([[0, 0, np.nan]], (0, 1), {}, "finite real numbers in biases"),
        ([[0, 0, 0]], (1, 0), {}, "α <= β"),
        ([[0, 0, 0]], (0.2, 0.4), {"method": "grid"}, "method = .* is not one of"),
        ([[0, 0.1, 0]], (0.2, 0.4), {"method": "formula"}, "only the first bias"),
        ([[0] * 5], (0.2, 0.4), {"method": "formula"}, "p = 2"),
        ([[0, 0, 0]], (0, 0.4), {"method": "formula"}, "0 < α"),
    ],
)
def test_what_cannot_be_counted_is_refused(biases, segment, options, words):
    with pytest.raises(ValueError, match=words):
        components(biases, segment, **options)


# ---- convexity -----------------------------------------------------------------------------------
@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(1, 6))
def test_a_linear_layer_has_convex_classes(seed, classes, d):
    rng = np.random.default_rng(seed)
    W, b = rng.standard_normal((classes, d)), rng.standard_normal(classes)
    F = ScaleBiasNetwork((2, 8, d, 2), seed=seed)
    features = F._forward(rng.uniform(-1, 1, (40, 2)))[0][-2]
    assert convex_hull_keeps_class(W, b, features, n=50, seed=seed)


def test_shapes_of_a_last_layer_are_checked():
    with pytest.raises(ValueError, match=r"\(classes >= 2, 3\)"):
        convex_hull_keeps_class(np.eye(2), np.zeros(2), np.ones((4, 3)))


# ---- scales and biases ---------------------------------------------------------------------------
def test_gradients_are_differences():
    rng = np.random.default_rng(1)
    net = ScaleBiasNetwork(seed=3)
    X, told = rng.uniform(-1, 1, (7, 2)), np.eye(2)[rng.integers(0, 2, 7)]
    _, gradients = net.loss_and_gradients(X, told)
    for name, arrays in gradients.items():
        for array, gradient in zip(getattr(net, name), arrays, strict=True):
            for index in np.ndindex(array.shape):
                kept, values = array[index], []
                for step in (1e-6, -1e-6):
                    array[index] = kept + step
                    values.append(net.loss_and_gradients(X, told)[0])
                array[index] = kept
                assert gradient[index] == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-7)


@pytest.mark.parametrize("train", [["biases"], ["scales", "biases"], ["logits"], ["weights"]])
def test_only_what_is_trained_changes(train):
    rng = np.random.default_rng(0)
    X, y = rng.uniform(-1, 1, (64, 2)), rng.integers(0, 2, 64)
    net = ScaleBiasNetwork(seed=1)
    trained = net.copy().fit(X, y, train=train, epochs=1)
    for name in ("weights", "scales", "biases"):
        for layer in range(6):
            same = np.array_equal(getattr(net, name)[layer], getattr(trained, name)[layer])
            assert same == (name not in train and ("logits" not in train or layer < 5))


def test_bad_input_of_the_network():
    net = ScaleBiasNetwork()
    with pytest.raises(ValueError, match="groups of weights, scales, biases, logits"):
        net.fit(np.ones((2, 2)), [0, 1], train=["patch"])
    with pytest.raises(ValueError, match=r"classes from 0 to 1"):
        net.fit(np.ones((2, 2)), [0, 2])
    with pytest.raises(ValueError, match="integer class for each of 2"):
        net.score(np.ones((2, 2)), [0.0, 1.0])
    with pytest.raises(ValueError, match=r"shape \(n >= 1, 2\)"):
        net.outputs(np.ones((2, 3)))
    with pytest.raises(ValueError, match="inputs, embedding and classes"):
        ScaleBiasNetwork((2, 2))
