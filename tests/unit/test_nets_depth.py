"""Networks of bounded norm and the parities among them."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from pympf.nets import (
    DSM,
    MLP,
    BoundedNetwork,
    Layer,
    compression_error,
    corners,
    dsm,
    identity,
    influence,
    least_norm,
    parity,
    parity_tree,
    parity_values,
    product,
    random_corners,
    triangle,
)

NAMES = ["relu", "identity", "triangle", "tanh", "abs"]

sizes = st.lists(st.integers(1, 6), min_size=2, max_size=5)


def network(sizes, seed=0, activation="relu", **more):
    return BoundedNetwork.random(sizes, activation=activation, seed=seed, **more)


def points(n, features, seed=0):
    return np.random.default_rng(seed).standard_normal((n, features))


# ---- NN(Λ, d) ------------------------------------------------------------------------------------
@given(sizes, st.sampled_from(NAMES), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_proposition_1(sizes, activation, seed):
    """f is Λ^d-Lipschitz, and each bound is at most the one before."""
    f = network(sizes, seed, activation)
    X, Y = points(50, sizes[0], seed), points(50, sizes[0], seed + 1)
    bounds = [f.lipschitz_bound(kind) for kind in ("budget", "frobenius", "spectral")]
    assert bounds[0] >= bounds[1] * (1 - 1e-12) >= bounds[2] * (1 - 1e-11)
    change = np.linalg.norm(f.forward(X)[-1] - f.forward(Y)[-1], axis=1)
    assert (change <= bounds[2] * np.linalg.norm(X - Y, axis=1) * (1 + 1e-9)).all()


@given(sizes, st.data())
@settings(deadline=None, max_examples=40)
def test_slices_put_together_are_the_network(sizes, data):
    f, X = network(sizes, activation="tanh"), points(5, sizes[0])
    cut = data.draw(st.integers(1, f.depth))
    parts = [f.slice(1, cut)] + ([f.slice(cut + 1, f.depth)] if cut < f.depth else [])
    assert_array_equal(parts[0].then(*parts[1:])(X), f(X))
    assert_array_equal(parts[0].forward(X)[-1], f.forward(X)[cut])


@given(sizes, st.integers(1, 3))
@settings(deadline=None, max_examples=40)
def test_a_product_computes_both_and_its_norms_add_up_in_squares(sizes, copies):
    f = network(sizes, 0)
    g = product(*[f] * copies)
    X = points(4, copies * sizes[0])
    expected = np.hstack([f.forward(part)[-1] for part in np.split(X, copies, axis=1)])
    assert_allclose(g.forward(X)[-1], expected, atol=1e-12)
    assert_allclose(g.norms(), np.sqrt(copies) * np.array(f.norms()))


def test_units_of_a_layer_may_differ():
    f = product(network([3, 4, 2]), identity(2, 2), network([1, 3, 1], activation="triangle"))
    X = points(6, 6)
    assert_allclose(f(X)[:, 2:4], X[:, 3:5])
    assert isinstance(f.activations[0], tuple)
    assert f.activations[1] == "identity"


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_identity_has_norm_root_n_and_can_be_made_of_relu(depth):
    X = np.clip(points(20, 3), -2, 2)
    for f in (identity(3, depth), identity(3, depth, bound=2.0)):
        assert f.belongs(np.sqrt(3), depth)
        assert not f.belongs(np.sqrt(3), depth + 1)
        assert not f.belongs(1.7, depth)
        assert_allclose(f(X), X, atol=1e-14)


def test_weights_are_copied_from_outside_and_shared_with_slices():
    W = np.ones((1, 2))
    f = BoundedNetwork([W, W.T], activations="identity")
    W[:] = 7
    part = f.slice(2, 2)
    part.weights[0][:] = 5
    assert_array_equal(f([[1.0, 1.0]]), [[10.0, 10.0]])


@given(sizes, st.sampled_from(["relu", "triangle", "tanh", "abs"]), st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_gradients_are_those_of_differences(sizes, activation, seed):
    f = network(sizes, seed, activation)
    X, Y = points(3, sizes[0], seed), points(3, sizes[-1], seed + 1)
    gradients = f.loss_and_gradients(X, Y)[1]
    parameters = [p for pair in zip(f.weights, f.biases, strict=True) for p in pair]
    rng, h = np.random.default_rng(seed), 1e-6
    for p, gradient in zip(parameters, gradients, strict=True):
        place = tuple(rng.integers(size) for size in p.shape)
        kept, losses = p[place], []
        for shift in (h, -h):
            p[place] = kept + shift
            losses.append(f.loss_and_gradients(X, Y)[0])
        p[place] = kept
        slope = (losses[0] - losses[1]) / (2 * h)
        # A kink of ReLU inside [-h, h] would spoil the difference, at no seed of these.
        assert slope == pytest.approx(
            gradient[place], rel=1e-4, abs=1e-5 * (1 + abs(gradient).max())
        )


def test_dense_models_and_batches_of_one_are_taken_over():
    """The same outputs; batch normalization becomes part of the weights."""
    X = points(200, 3)
    net = MLP([3, 8, 8, 2], normalize=True, dtype=np.float64)
    for scale, offset in zip(net.scales, net.offsets, strict=True):
        scale += 0.5
        offset += 0.2
    for _ in range(50):
        net.forward(X[None])
    assert_allclose(BoundedNetwork.of(net)(X), net.predict(X[None])[0], rtol=1e-9, atol=1e-9)
    model = DSM([Layer.random(3, 16, bias=1.0), Layer.random(16, 8, activation="identity")])
    model.fit(X, X[:, 0])
    f = BoundedNetwork.of(model)
    assert_allclose(f(X), model.predict(X), atol=1e-9)
    assert f.depth == 3
    assert "sizes=[3, 16, 8, 1]" in repr(f)


def test_training_finds_a_function_of_two_outputs():
    X = points(256, 2)
    Y = np.stack([X[:, 0] - X[:, 1], abs(X[:, 0])], axis=1)
    f = network([2, 32, 2], dtype=np.float32).fit(X, Y, learning_rate=1e-2, epochs=40)
    assert f.losses[-1] < 0.01 * Y.var()
    assert f(X).dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_files_keep_every_bit(dtype, tmp_path):
    f = product(network([3, 4, 2], dtype=dtype), network([2, 5, 1], 1, "tanh", dtype=dtype))
    f.save(tmp_path / "f.h5")
    g, h = BoundedNetwork.load(tmp_path / "f.h5"), pickle.loads(pickle.dumps(f))
    X = points(7, 5)
    for other in (g, h):
        assert other.dtype == dtype
        assert other.activations == f.activations
        assert_array_equal(other(X), f(X))


def test_damaged_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "f.h5"
    network([3, 4, 2]).save(path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", whole[:900] + b"\xff" * 64 + whole[964:]):
        path.write_bytes(content)
        with pytest.raises(OSError, match=r"f\.h5"):
            BoundedNetwork.load(path)
    with pytest.raises(OSError, match="missing"):
        BoundedNetwork.load(tmp_path / "missing.h5")
    with pytest.raises(ValueError, match="a function"):
        BoundedNetwork([[[1.0]]], activations=np.sin).save(path)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: BoundedNetwork([]), "at least one layer"),
        (lambda: BoundedNetwork([[1.0]]), r"shape \(outputs, inputs\)"),
        (lambda: BoundedNetwork([[[1.0, np.nan]]]), "finite"),
        (lambda: BoundedNetwork([[[1.0]], [[1.0, 1.0]]]), "layer of 1 inputs, got 2"),
        (lambda: BoundedNetwork([[[1.0]]], [[1.0], [2.0]]), "each of 1 layers"),
        (lambda: BoundedNetwork([[[1.0]]], [[1.0, 2.0]]), "shape"),
        (lambda: BoundedNetwork([[[1.0]]], activations="sign"), "expected activations relu"),
        (lambda: BoundedNetwork([[[1.0]]], activations=lambda z: 2 * z), "slope of 2"),
        (lambda: BoundedNetwork([[[1.0]]], activations=["relu"] * 2), "each of 1 layers"),
        (lambda: BoundedNetwork([[[1.0]] * 3], activations=[("relu", "abs")]), "each of 3 units"),
        (lambda: BoundedNetwork([[[1.0]]]).slice(2, 2), "first layer = .* integer in .1, 1"),
        (lambda: identity(2, 2).then(identity(3, 1)), "layer of 2 inputs, got 3"),
        (lambda: product(identity(2, 2), identity(2, 1)), "one depth"),
        (lambda: product(), "one depth"),
        (lambda: identity(2, 2).belongs(0.0, 2), "norm = .* number in .0, inf"),
        (lambda: identity(2, 2)([[1.0]]), r"shape \(n >= 1, 2\)"),
        (lambda: network([3]), "inputs and outputs"),
        (lambda: network([3, 1], norm=-1.0), "norm = .* number in .0, inf"),
        (lambda: BoundedNetwork([[[1.0]]], activations=np.sin).fit([[1.0]], [1.0]), "gradient"),
        (lambda: compression_error(np.sum, np.sum, [[1.0]]), "at least 2 points"),
        (lambda: identity(1, 1).lipschitz_bound("other"), "kind"),
        (lambda: BoundedNetwork.of(MLP([2, 3], copies=2)), "2 copies"),
        (lambda: BoundedNetwork.of(dsm(2, 2, 8)), "dense model"),
        (lambda: identity(1, 1).fit([[1.0]], [1.0], batch=0), "batch = .* integer in .1, inf"),
        (lambda: identity(1, 1).fit([[1.0]], [1.0], "newton"), "method"),
        (lambda: identity(1, 1).fit([[1.0]], [[1.0, 2.0]]), "shape"),
    ],
)
def test_bad_networks_are_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


# ---- compression error ---------------------------------------------------------------------------
def test_intervals_hold_the_mean_as_often_as_they_say():
    """The square of a uniform number has the mean 1/3."""
    zero = identity(1, 1)
    hits = {None: 0, 1.0: 0}
    for seed in range(200):
        X = np.random.default_rng(seed).random((100, 1))
        for bound in hits:
            found = compression_error(zero, lambda X: 0 * X, X, confidence=0.9, bound=bound)
            hits[bound] += found.low <= 1 / 3 <= found.high
    assert 165 <= hits[None] <= 195
    assert hits[1.0] >= 195  # it holds at every n, so it is wider


def test_an_error_beyond_its_bound_is_refused():
    with pytest.raises(ValueError, match=r"squares of at most 0\.5, got 1"):
        compression_error(identity(1, 1), lambda X: 0 * X, [[1.0], [0.0]], bound=0.5)


# ---- parities ------------------------------------------------------------------------------------
def test_the_triangle_wave_is_odd_has_period_4_and_slope_1():
    z = np.linspace(-9, 9, 721)
    assert_allclose(triangle(-z), -triangle(z), atol=1e-12)
    assert_allclose(triangle(z + 4), triangle(z), atol=1e-12)
    assert_allclose(abs(np.diff(triangle(z))), np.diff(z), atol=1e-12)


@given(st.integers(1, 8), st.data())
@settings(deadline=None, max_examples=80)
def test_parities_are_exact_and_have_the_norm_that_is_told(n, data):
    bits = data.draw(st.lists(st.integers(0, n - 1), unique=True))
    depth, sign = data.draw(st.integers(1, 5)), data.draw(st.sampled_from([1, -1]))
    X, k = corners(n), len(bits)
    expected = sign * parity_values(bits, X)
    f = parity(bits, n, depth=depth, sign=sign)
    assert_allclose(f(X), expected, atol=1e-12)
    if k:
        assert_allclose(f.norms(), least_norm(k, depth), rtol=1e-12)
    if depth >= 2:
        g = parity(bits, n, activation="relu", depth=depth, sign=sign)
        assert_allclose(g(X), expected, atol=1e-11)
        if k:
            assert_allclose(g.norms(), (k * np.sqrt(4 * k - 3)) ** (1 / depth), rtol=1e-12)
        assert g.depth == depth
        assert set(g.activations[:-1]) == {"relu"}
    if k and sign == 1:
        tree = parity_tree(bits, n)
        assert_array_equal(tree(X), expected)
        assert tree.depth == np.ceil(np.log2(k)) + 1


@given(sizes, st.sampled_from(NAMES), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_influence_is_bounded_by_the_norms(sizes, activation, seed):
    f = network(sizes, seed, activation)
    found = influence(f, sizes[0])
    assert len(found) == 2 ** sizes[0]
    assert found.max() <= np.prod(np.square(f.norms())) * (1 + 1e-9)


def test_influence_of_a_parity_is_its_bits_at_the_corners_asked_for():
    X = random_corners(40, 9)
    kept = X.copy()
    assert_allclose(influence(lambda X: parity_values([3, 17, 39], X), 40, X), 3)
    assert_array_equal(X, kept)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: parity([0, 3], 3), "bits from 0 to 2, got 0 to 3"),
        (lambda: parity([-1], 3), "bits from 0 to 2"),
        (lambda: parity([1, 1], 3), "every bit once"),
        (lambda: parity(np.array([True, False]), 3), "mask of 3 bits"),
        (lambda: parity([0], 3, depth=0), "depth = .* integer in .1, inf"),
        (
            lambda: parity([0], 3, activation="relu", depth=1),
            "depth with ReLU = .* integer in .2, inf",
        ),
        (lambda: parity([0], 3, activation="abs"), "triangle, relu"),
        (lambda: parity([0], 3, sign=0), "sign 1 or -1"),
        (lambda: parity_tree([], 3), "at least one bit"),
        (lambda: corners(25), r"up to 24 .* 2\^25 corners would take 6 GiB"),
        (lambda: influence(np.sum, 30), "up to 24"),
        (lambda: least_norm(-1, 2), "n = .* integer in .0, inf"),
    ],
)
def test_bad_parities_are_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_bits_are_integers():
    with pytest.raises(TypeError, match="indices of bits"):
        parity([0.5], 3)
