"""The depth paper's statements as numbers: what holds, what is refuted, and what we add.

The figures at full size are in bench/cases/depth.py.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from pympf.nets import (
    Ball,
    BoundedNetwork,
    RadialWave,
    compress,
    corners,
    distill,
    gadget,
    influence,
    least_norm,
    locally_compressible,
    parity,
    parity_tree,
    parity_values,
    product,
    random_corners,
    recover,
    recovery_bounds,
    staggered,
    theorem1,
    total_variation,
)


# ---- Lemma 2 -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("norm", "depth", "n"), [(1.5, 3, 11), (2, 3, 64), (3, 3, 729), (2, 4, 256), (1.3, 10, 190)]
)
def test_parities_need_and_have_the_norm(norm, depth, n):
    """Λ^d ≥ √n, attained: the table of exact parities."""
    assert n == int(norm ** (2 * depth) + 1e-9)
    f, X = parity(range(n), n, depth=depth), random_corners(n, 1000)
    assert abs(f(X) - parity_values(range(n), X)).max() <= 1e-12
    assert f.belongs(norm, depth)
    assert f.norm_bound() == pytest.approx(least_norm(n, depth), rel=1e-12)
    assert least_norm(n + 1, depth) > norm


def test_relu_parities_take_a_larger_budget():
    """At d = 3 a budget of Λ³ ≥ 2 n^{3/2}: n = 5, 10, 22, 62 for Λ = 3, 4, 6, 10."""
    for norm, n in ((3, 5), (4, 10), (6, 22), (10, 62)):
        f = parity(range(n), n, activation="relu", depth=3)
        X = random_corners(n, 500)
        assert f.belongs(norm, 3)
        assert abs(f(X) - parity_values(range(n), X)).max() <= 1e-11


@pytest.mark.parametrize("n", [2, 3, 5])
def test_lemma_2_is_false_at_norm_1(n):
    """No network of NN(1, 3) has the influence n of a parity: whatever is trained stays at 1."""
    X = corners(n)
    y, largest = parity_values(range(n), X), 0.0
    for seed in range(3):
        f = BoundedNetwork.random([n, 16, 16, 1], norm=1.0, activation="triangle", seed=seed)
        for _ in range(30):  # projected gradient descent
            f.fit(X, y, "sgd", learning_rate=0.05, epochs=1, batch=4, decay=False)
            for W in f.weights:
                W *= min(1.0, 1 / np.linalg.norm(W))
        assert f.belongs(1.0, 3)
        largest = max(largest, influence(f, n).max())
        # Half the change of f is at most |D_i f|; a parity changes by 2 along every edge.
        assert np.square(f(X) - y).mean() > 0.1
    assert largest <= 1 + 1e-12 < n


# ---- Lemma 1, theorems 1 and 2 -------------------------------------------------------------------
def test_compressions_give_the_distribution_away():
    """g of NN(Λ, d-1) that is a parity with noise on its weights: TV ≤ ε/θ² for all of them."""
    rng, some = np.random.default_rng(0), 0
    for norm, depth in ((2.0, 3), (3.0, 3), (2.5, 4)):
        theorem = theorem1(8, norm, depth)
        X0 = theorem.family.base.points
        for _ in range(30):
            bits = np.flatnonzero(rng.random(8) < 0.5)
            D, g = theorem.member(bits), parity(bits, 9, depth=depth - 1)
            for W in g.weights:
                W += rng.normal(0, rng.choice([0.05, 0.2]), W.shape)
                W *= min(1, norm / np.linalg.norm(W))
            assert g.belongs(norm, depth - 1) or g.norm_bound() < norm
            X = D.move(X0)
            eps = np.square(g(X) - theorem.f(X)).mean()
            bounds = recovery_bounds(eps, theorem.separation, theorem.reach)
            tv = total_variation(recover(theorem.f, g, theorem.family), D)
            assert tv <= bounds.markov + 1e-12
            some += 0 < tv < 1
            if eps < 1 / 16:  # then accuracy 3/4, as in the proof of theorem 1
                assert tv < 1 / 4
    assert some > 10


def test_theorem_1_from_end_to_end():
    """Whoever compresses f over D_h has learned h, and elimination has it from n + 10 samples."""
    theorem, bits = theorem1(12, norm=2.0, depth=4), [0, 3, 4, 9, 11]
    D = theorem.member(bits)
    h = parity_values(bits, theorem.family.base.points)
    for depth in (2, 3):
        g = theorem.compression(bits, depth=depth)
        assert_array_equal(recover(theorem.f, g, theorem.family).sides(D.base.points), h)
    assert_array_equal(theorem.learn(D.sample(22)), bits)
    assert theorem.shallower().depth == 3


# ---- distillation --------------------------------------------------------------------------------
TRAINING = {"learning_rate": 1e-3, "epochs": 40, "batch": 128}


@pytest.fixture(scope="module")
def distilled():
    X = random_corners(30, 12_288 + 4096).astype(np.float32)
    known = {}

    def measure(k, hidden, hints=()):
        key = (k, hidden, hints)
        if key not in known:
            student = BoundedNetwork.random([30, *hidden, 1], dtype=np.float32)
            found = distill(parity_tree(range(k), 30), student, X[:12_288], hints=hints, **TRAINING)
            T = X[12_288:]
            known[key] = found.relative_error(T), found.accuracy(T)
        return known[key]

    return measure


@pytest.mark.parametrize("hidden", [(512,), (128, 128, 128)])
def test_students_learn_up_to_four_bits_and_no_eight(distilled, hidden):
    error, accuracy = distilled(4, hidden)
    assert error <= 0.05
    assert accuracy >= 0.99
    error, accuracy = distilled(8, hidden)
    assert error >= 0.9
    assert 0.45 <= accuracy <= 0.55


def test_the_white_box_is_exact_where_students_fail():
    for k in (8, 15, 30):
        teacher = parity_tree(range(k), 30)
        X = random_corners(30, 2000, seed=5)
        assert abs(compress(teacher)(X) - teacher(X)).max() <= 1e-12


def test_hints_compress_half_the_depth(distilled):
    """Two levels of the tree for one layer of the student: what locality can do for a tree."""
    error, accuracy = distilled(8, (256, 256), hints=((2, 1),))
    assert accuracy >= 0.99
    assert error <= 0.1
    assert distilled(8, (256, 256))[1] <= 0.6


def test_a_trained_teacher_can_be_distilled():
    n, rng = 14, np.random.default_rng(1)
    w = rng.standard_normal((n, 3))
    w /= np.linalg.norm(w, axis=0)

    def task(Z):
        return np.sin(2 * Z @ w[:, 0]) + (Z @ w[:, 1]) * (Z @ w[:, 2])

    teacher = BoundedNetwork.random([n] + [64] * 6 + [1], dtype=np.float32)
    Z, X, T = (rng.standard_normal((m, n)).astype(np.float32) for m in (8192, 12_288, 4096))
    teacher.fit(Z, task(Z), **TRAINING | {"epochs": 25})
    student = BoundedNetwork.random([n, 256, 1], dtype=np.float32)
    assert distill(teacher, student, X, **TRAINING).relative_error(T) <= 0.15


# ---- theorem 3 -----------------------------------------------------------------------------------
def test_one_hidden_layer_fails_at_the_gadget_as_the_dimension_grows():
    errors = {}
    for n in (2, 6, 12):
        X = Ball(n).sample(9000)
        g, wave = gadget(n), RadialWave(1.5)(X)
        assert np.square(g(X) - wave).mean() <= 0.006 * wave.var()
        (found,) = locally_compressible(g, X, 3, 256)
        errors[n] = found.relative
    assert errors[2] < errors[6] < errors[12]
    assert errors[12] >= 5 * errors[2]


def test_theorem_3_no_slice_but_all_of_it():
    """Slices of four layers (f^[i:i+3]) have a gadget each; side by side all is three layers."""
    g = gadget(6)
    f, X = staggered(g, 5), np.hstack([Ball(6).sample(6000, seed) for seed in range(2)])
    assert_allclose(product(g, g)(X), f(X), atol=1e-11)
    for found in locally_compressible(f, X, 4, 256):
        assert found.worst > 0.5
