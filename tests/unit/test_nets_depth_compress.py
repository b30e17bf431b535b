"""Reading parities off networks, distillation, and local compression."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from pympf.nets import (
    MLP,
    Ball,
    BoundedNetwork,
    RadialWave,
    Rows,
    compress,
    corners,
    dense,
    distill,
    gadget,
    identity,
    least_norm,
    least_squares,
    locally_compressible,
    parity,
    parity_tree,
    parity_values,
    product,
    random_corners,
    staggered,
)


# ---- compress ------------------------------------------------------------------------------------
@given(st.integers(2, 7), st.data())
@settings(deadline=None, max_examples=40)
def test_a_tree_is_replaced_exactly(n, data):
    bits = data.draw(st.lists(st.integers(0, n - 1), min_size=1, unique=True))
    activation = data.draw(st.sampled_from(["triangle", "relu"]))
    depth = data.draw(st.integers(2, 4))
    f = parity_tree(bits, n)
    f.biases[-1] *= (sign := data.draw(st.sampled_from([1, -1])))
    f.weights[-1] *= sign
    h = compress(f, depth=depth, activation=activation)
    assert h.depth == depth
    assert_allclose(h(corners(n)), f(corners(n)), atol=1e-11)
    if activation == "triangle":
        assert h.norm_bound() == pytest.approx(least_norm(len(bits), depth), rel=1e-12)


def test_a_deep_network_on_many_bits_is_replaced():
    f = parity_tree(range(0, 200, 2), 200)
    h = compress(f, depth=2)
    X = random_corners(200, 1000, seed=3)
    assert (f.depth, h.depth) == (8, 2)
    assert_allclose(h(X), f(X), atol=1e-12)


def almost(share, n):
    """A parity, but at a share of the corners that its n + 1 nearest do not see."""

    def f(X):
        wrong = ((X < 0).sum(axis=1) >= 2) & (X[:, :share] < 0).all(axis=1)
        return np.where(wrong, -1, 1) * parity_values([0, 1], X)

    return f


@pytest.mark.parametrize("n", [10, 20])
def test_what_is_no_parity_is_refused_not_approximated(n):
    with pytest.raises(ValueError, match=r"computes a parity; .* corners differ"):
        compress(almost(4, n), n)
    with pytest.raises(ValueError, match="values of ±1"):
        compress(BoundedNetwork.random([n, 8, 1]))
    with pytest.raises(ValueError, match="expected n"):
        compress(almost(4, n))


# ---- distillation --------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["bounded", "mlp", "model", "lstsq"])
def test_students_of_every_kind_learn_two_bits(kind):
    teacher, X, T = parity_tree([0, 1], 10), random_corners(10, 3000), random_corners(10, 500, 1)
    options = {"learning_rate": 3e-3, "epochs": 20, "batch": 64}
    student = {
        "bounded": lambda: BoundedNetwork.random([10, 64, 1], dtype=np.float32),
        "mlp": lambda: MLP([10, 64, 1]),
        "model": lambda: dense(10, 256, bias=1.0),
        "lstsq": lambda: dense(10, 256, bias=1.0),
    }[kind]()
    if kind == "lstsq":
        found = distill(teacher, student, X, method="lstsq")
    else:
        found = distill(teacher, student, X, **options)
        assert len(found.losses) == 20
    assert found.student is student
    assert found.accuracy(T) == 1
    assert found.relative_error(T) < 0.3


def test_hints_train_the_lower_layers_first():
    """With the tree's first level as a hint four bits become two products, which are easy."""
    teacher = parity_tree(range(4), 20)
    X, T = random_corners(20, 3000).astype(np.float32), random_corners(20, 500, 1)
    options = {"learning_rate": 3e-3, "epochs": 15, "batch": 64}
    errors = []
    for hints in ([], [(1, 1)]):
        student = BoundedNetwork.random([20, 48, 48, 1], dtype=np.float32)
        found = distill(teacher, student, X, hints=hints, **options)
        assert len(found.hint_losses) == len(hints)
        errors.append(found.relative_error(T))
    assert errors[1] < 0.2 < errors[0]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: distill(np.sum, identity(2, 1), [[1.0, 1.0]]), "at least 2 points"),
        (lambda: distill(parity([], 2), identity(2, 1), corners(2)), "outputs that differ"),
        (lambda: distill(np.prod, identity(2, 1), corners(2), hints=[(1, 1)]), "with hints"),
        (
            lambda: distill(parity_tree([0, 1], 2), identity(2, 1), corners(2), hints=[(3, 1)]),
            "last layer = .* integer in .1, 2",
        ),
        (lambda: distill(parity([0], 2), MLP([2, 4, 1], copies=3), corners(2)), "3 copies"),
        (lambda: distill(parity([0], 2), BoundedNetwork.random([2, 3, 2]), corners(2)), "shape"),
    ],
)
def test_bad_distillations_are_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


# ---- theorem 3 -----------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("frequency", [1.0, 1.5])
def test_the_gadget_is_the_wave_in_three_layers(n, frequency):
    g, X = gadget(n, frequency), Ball(n).sample(4000)
    wave = RadialWave(frequency)(X)
    assert g.depth == 3
    assert g.sizes == [n, 32 * n, 64, 1]
    assert np.square(wave).mean() == pytest.approx(1, abs=0.05)
    assert np.square(g(X) - wave).mean() < 0.003
    finer = gadget(n, frequency, kinks=(128, 256))
    assert np.square(finer(X) - wave).mean() < 0.1 * np.square(g(X) - wave).mean()


def test_squared_norms_of_the_ball_are_uniform():
    squares = np.square(Ball(5).sample(20_000)).sum(axis=1)
    assert_allclose(np.quantile(squares, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.02)


@pytest.mark.parametrize("depth", [4, 5, 7])
def test_copies_at_staggered_depths_are_copies_side_by_side(depth):
    g = gadget(2, kinks=(8, 16))
    f, flat = staggered(g, depth), product(*[g] * (depth - 3))
    X = np.hstack([Ball(2).sample(50, seed) for seed in range(depth - 3)])
    assert (f.depth, flat.depth) == (depth, 3)
    assert_allclose(f(X), flat(X), atol=1e-12)
    assert_allclose(flat.norms(), np.sqrt(depth - 3) * np.array(g.norms()))


def test_errors_of_slices():
    """The parts with a whole gadget resist, and those without one do not."""
    g = gadget(6)
    f = g.then(identity(1, 2))
    found = locally_compressible(f, Ball(6).sample(3000), 2, 128)
    assert [(e.first, e.last) for e in found] == [(1, 2), (2, 3), (3, 4), (4, 5)]
    assert found[3].relative < 1e-3  # two layers of identity
    whole = locally_compressible(f, Ball(6).sample(3000), 3, 128)
    assert whole[0].relative > 0.4
    assert whole[0].worst == whole[0].error
    assert whole[0].error == pytest.approx(whole[0].relative * whole[0].variance.sum())


def test_a_slice_that_falls_apart_is_approximated_part_by_part():
    """Of two copies each gets as good as one alone; inputs without weight are left out."""
    g, X = gadget(2, kinks=(8, 16)), Ball(2).sample(3000)
    (alone,) = locally_compressible(g, X, 3, 128)
    both = product(g, parity([], 2), g)  # the parity of no bits is constant
    (found,) = locally_compressible(both, np.hstack([X, X, X]), 3, 128)
    assert_allclose(found.outputs, [alone.error, 0, alone.error], rtol=1e-6, atol=1e-20)
    assert found.relative == pytest.approx(alone.relative)


def test_slices_can_be_trained():
    f = BoundedNetwork.random([3, 8, 1], activation="tanh", seed=2)
    X = Ball(3).sample(3000)
    (found,) = locally_compressible(f, X, 2, 32, method="adam", epochs=20, learning_rate=1e-2)
    assert found.relative < 0.05


def test_least_squares_of_several_targets_are_those_of_each():
    rng = np.random.default_rng(0)
    for width, active in ((12, 12), (2048, 16)):  # by Cholesky, and by LSQR
        if active == width:
            rows = Rows(rng.standard_normal((300, width)))
        else:
            indices = np.argsort(rng.random((300, width)), axis=1)[:, :active].astype(np.int32)
            rows = Rows(rng.standard_normal((300, active)), indices, width)
        Y = rng.normal([0, 5, -5], 1, (300, 3))
        weights, constants = least_squares([(rows, Y)], ridge=1e-3)
        for one in range(3):
            expected = least_squares([(rows, Y[:, one])], ridge=1e-3)
            assert_allclose(weights[:, one], expected[0], atol=1e-9)
            assert constants[one] == pytest.approx(expected[1], abs=1e-9)
        assert_array_equal(np.shape(constants), (3,))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: gadget(0), "n = .* integer in .1, inf"),
        (lambda: gadget(2, 0.0), "frequency = .* number in .0, inf"),
        (lambda: gadget(2, kinks=(0, 4)), "kinks = .* integer in .1, inf"),
        (lambda: staggered(identity(2, 2), 5), "gadget of 3 layers, got 2"),
        (lambda: staggered(gadget(2), 3), "depth = .* integer in .4, inf"),
        (lambda: locally_compressible(identity(2, 2), [[1.0, 1.0]], 1, 4), "at least 3 points"),
        (
            lambda: locally_compressible(identity(2, 2), corners(2), 3, 4),
            "slice_depth = .* integer in .1, 2",
        ),
        (
            lambda: locally_compressible(identity(2, 2), corners(2), 1, 0),
            "width = .* integer in .1, inf",
        ),
        (lambda: locally_compressible(identity(2, 2), corners(2), 1, 4, method="x"), "method"),
    ],
)
def test_bad_local_compressions_are_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()
