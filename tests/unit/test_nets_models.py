"""Data-dependent sparse models: identities between them, masks, costs, and what they refuse."""

import numpy as np
import pytest

from pympf.nets import (
    DSM,
    Expert,
    Layer,
    Mask,
    OnePerBlock,
    RandomHash,
    Separate,
    TopK,
    dense,
    dsm,
    interpolation,
    nearest_neighbors,
    random_hash,
    scaling,
    switch,
)

from ..helpers import assert_close

ROUTINGS = ["topk", "topk_abs", "separate", "hash"]


@pytest.fixture
def X(rng):
    return rng.uniform(-1, 1, (200, 5))


def with_weights(model, rng):
    model.weights = rng.standard_normal(model.width)
    model.intercept = 0.5
    return model


def masks(model, X):
    layer = model.layers[-1]
    return layer.mask(X, layer.pre_activations(X))


# ---- g(x) = (A ∘ mask(x)) φ(x) -------------------------------------------------------------------
@pytest.mark.parametrize("routing", ROUTINGS)
def test_the_output_is_the_formula_of_section_2_1(routing, X, rng):
    model = with_weights(dsm(5, 7, 20, routing=routing, bias=True, seed=3), rng)
    layer = model.layers[0]
    phi = np.maximum(X @ layer.projection.T + layer.offset, 0)
    expected = (masks(model, X) * model.weights * phi).sum(axis=1) + 0.5
    assert_close(model.predict(X), expected)


@pytest.mark.parametrize("routing", ROUTINGS)
def test_every_input_activates_exactly_s_units(routing, X):
    model = dsm(5, 7, 20, routing=routing)
    assert (masks(model, X).sum(axis=1) == 7).all()
    rows = model.rows(X)
    assert rows.active == 7
    assert (np.diff(rows.indices, axis=1) > 0).all()


def test_top_k_takes_the_largest(X):
    Z = dsm(5, 7, 20).layers[0].pre_activations(X)
    for by, key in (("value", Z), ("absolute", np.abs(Z))):
        chosen = np.take_along_axis(key, TopK(7, by=by)(X, Z), axis=1)
        assert_close(np.sort(chosen, axis=1), np.sort(key, axis=1)[:, -7:])


def test_ties_do_not_add_units():
    assert TopK(2)(None, np.zeros((3, 5))).shape == (3, 2)


@pytest.mark.parametrize("routing", ROUTINGS)
def test_all_units_active_is_the_dense_model(routing, X, rng):
    sparse = with_weights(dsm(5, 20, 20, routing=routing, seed=2), rng)
    full = dense(5, 20, seed=2)
    full.weights, full.intercept = sparse.weights, sparse.intercept
    assert_close(sparse.predict(X), full.predict(X))


def test_without_bias_a_dense_model_is_homogeneous(X, rng):
    model = with_weights(dense(5, 30), rng)
    assert_close(model.predict(3 * X) - 0.5, 3 * (model.predict(X) - 0.5))


def test_half_of_the_units_by_value_is_nearly_dense_under_relu(rng):
    """Why table 1's DSM at 50 % cannot differ from dense: ReLU had masked the other half."""
    X = rng.uniform(-1, 1, (500, 8))
    full, half = dense(8, 512, seed=1), dsm(8, 256, 512, seed=1)
    by_size = dsm(8, 256, 512, routing="topk_abs", seed=1)
    phi = full.rows(X).dense()
    lost = np.linalg.norm(phi - half.rows(X).dense()) / np.linalg.norm(phi)
    assert lost < 0.02
    assert np.linalg.norm(phi - by_size.rows(X).dense()) > 5 * lost * np.linalg.norm(phi)


# ---- simulations of section 3 --------------------------------------------------------------------
def test_switch_is_a_mask_of_its_expert(X, rng):
    model = with_weights(switch(5, experts=4, width=24, seed=1), rng)
    layer = model.layers[0]
    expert = (X @ layer.routing.router.T).argmax(axis=1)
    units = Mask(lambda X: 6 * expert[:, np.newaxis] + np.arange(6), active=6)
    same = DSM(Layer(layer.projection, routing=units), model.weights, model.intercept)
    assert_close(model.predict(X), same.predict(X))
    for one in range(4):  # an expert alone is a dense model of its own weights
        part = slice(6 * one, 6 * one + 6)
        alone = DSM(Layer(layer.projection[part]), model.weights[part], model.intercept)
        inside = expert == one
        assert inside.any()
        assert_close(model.predict(X[inside]), alone.predict(X[inside]))


def test_one_expert_and_blocks_of_one_unit_are_dense(X, rng):
    full = with_weights(dense(5, 12, seed=4), rng)
    for model in (switch(5, 1, 12, seed=4), scaling(5, 12, 12, seed=4)):
        model.weights, model.intercept = full.weights, full.intercept
        assert_close(model.predict(X), full.predict(X))


def test_scaling_has_one_unit_in_every_block(X):
    model = scaling(5, blocks=6, width=24, seed=1)
    Z = model.layers[0].pre_activations(X)
    blocks = masks(model, X).reshape(len(X), 6, 4)
    assert (blocks.sum(axis=2) == 1).all()
    assert ((blocks * Z.reshape(blocks.shape)).sum(axis=2) == Z.reshape(blocks.shape).max(2)).all()


def test_one_block_is_top_1(X, rng):
    one = with_weights(scaling(5, blocks=1, width=24, seed=1), rng)
    top = dsm(5, 1, 24, seed=1)
    top.weights, top.intercept = one.weights, one.intercept
    assert_close(one.predict(X), top.predict(X))


@pytest.mark.parametrize("k", [1, 3])
def test_nearest_neighbor_regression(k, rng):
    points, queries = rng.standard_normal((2, 60, 4))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    values = rng.standard_normal(60)
    distance = np.linalg.norm(queries[:, np.newaxis] - points, axis=2)
    expected = values[np.argsort(distance, axis=1)[:, :k]].mean(axis=1)
    assert_close(nearest_neighbors(points, values, k).predict(queries), expected)


def test_interpolation_has_the_values(X, rng):
    values = rng.standard_normal(len(X))
    model = interpolation(X, values)
    assert model.cost().active_units == 1
    assert_close(model.predict(X), values)


def test_composed_layers_are_the_formula_of_section_2_1(X, rng):
    first = Layer.random(5, 16, routing=TopK(6), seed=1)
    second = Layer.random(16, 12, bias=True, routing=OnePerBlock(3), seed=2)
    model = with_weights(DSM([first, second]), rng)
    hidden = first.mask(X, first.pre_activations(X)) * np.maximum(X @ first.projection.T, 0)
    Z = hidden @ second.projection.T + second.offset
    expected = (second.mask(hidden, Z) * np.maximum(Z, 0)) @ model.weights + 0.5
    assert_close(model.predict(X), expected)


# ---- routing by a random hash --------------------------------------------------------------------
def test_random_hash_depends_on_the_input_alone(X):
    model, order = random_hash(5, 8, 64, seed=1), np.arange(len(X))[::-1]
    units = model.rows(X).indices
    assert (model.rows(X[order]).indices == units[order]).all()
    assert (random_hash(5, 8, 64, seed=2).rows(X).indices != units).any()
    zero = np.zeros((1, 5))
    assert (model.rows(zero).indices == model.rows(-zero).indices).all()


def test_random_hash_is_uniform(rng):
    n, active, width = 4000, 16, 64
    X = rng.uniform(-1, 1, (n, 2))
    mask = np.zeros((n, width))
    np.put_along_axis(mask, RandomHash(active)(X, np.zeros((n, width))), 1, axis=1)
    # Each unit is active for Binomial(n, 1/4) inputs, each pair of units for about n/16.
    sd = np.sqrt(n * 0.25 * 0.75)
    assert abs(mask.sum(axis=0) - n / 4).max() < 5 * sd
    pairs = (mask.T @ mask)[~np.eye(width, dtype=bool)]
    p = active * (active - 1) / (width * (width - 1))
    assert abs(pairs - n * p).max() < 6 * np.sqrt(n * p * (1 - p))


# ---- costs ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(("active", "flops"), [(1024, 18432), (2048, 36864), (4096, 73728)])
def test_flops_are_those_of_table_1(active, flops):
    for model in (dense(8, active), dsm(8, active, 2 * active), dsm(8, active, 4 * active)):
        assert model.cost().flops == flops
        assert model.cost().active_units == active


def test_routing_is_counted_apart():
    assert dense(8, 64).cost().routing_flops == 0
    assert dsm(8, 16, 64).cost().routing_flops == 16 * 48
    assert dsm(8, 16, 64, routing="separate").cost().routing_flops == 16 * 64
    assert switch(8, 4, 64).cost().routing_flops == 16 * 4


def test_flops_of_composed_layers_use_the_active_units_below():
    model = DSM([Layer.random(8, 64, routing=TopK(16)), Layer.random(64, 32, routing=TopK(4))])
    assert model.cost().flops == 2 * 8 * 16 + 2 * 16 * 4 + 2 * 4
    assert model.cost().routing_flops == 2 * 8 * 48 + 2 * 16 * 28


# ---- seeds and precision -------------------------------------------------------------------------
def test_seeds_decide_everything(X):
    one, same, other = (dsm(5, 4, 16, routing="separate", seed=s) for s in (1, 1, 2))
    assert (one.layers[0].projection == same.layers[0].projection).all()
    assert (one.layers[0].routing.projection == same.layers[0].routing.projection).all()
    assert (one.layers[0].projection != other.layers[0].projection).all()
    assert (one.layers[0].projection == dense(5, 16, seed=1).layers[0].projection).all()


def test_float32_inputs_have_float32_activations(X, rng):
    model = with_weights(dsm(5, 7, 20, seed=3), rng)
    single = X.astype(np.float32)
    assert model.rows(single).values.dtype == np.float32
    assert_close(model.predict(single), model.predict(single.astype(np.float64)), dtype=np.float32)


def test_blocks_do_not_change_the_output(X, rng, monkeypatch):
    model = with_weights(dsm(5, 7, 20, seed=3), rng)
    whole = model.predict(X)
    monkeypatch.setattr("pympf.nets.model.BLOCK", 333)
    assert_close(model.predict(X), whole)


# ---- bad input -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: dense(5, 0), ValueError, "width = .* integer in .1, inf"),
        (lambda: dense(5, 2.5), TypeError, "width = .* is not an integer"),
        (lambda: dsm(5, 8, 4), ValueError, "active = .* integer in .1, 4"),
        (lambda: dsm(5, 2, 4, routing="best"), ValueError, "routing = .* is not one of topk"),
        (lambda: dsm(5, 2, 4, activation="tanh"), ValueError, "activation = .* is not one of relu"),
        (lambda: switch(5, 3, 16), ValueError, "width that 3 experts divide: 16"),
        (lambda: scaling(5, 3, 16), ValueError, "width that 3 blocks divide, got 16"),
        (lambda: DSM([]), ValueError, "at least one layer"),
        (lambda: DSM([Layer.random(5, 4), Layer.random(5, 4)]), ValueError, "layer of 4 features"),
        (lambda: DSM(Layer.random(5, 4), [1.0]), ValueError, r"y: expected shape \(4,\)"),
        (lambda: nearest_neighbors([[2.0]], [1.0], 1), ValueError, "points of unit length"),
        (lambda: nearest_neighbors([[1.0]], [1.0], 2), ValueError, "k = .* integer in .1, 1"),
        (lambda: interpolation([[0.0]], [1.0]), ValueError, "smallest squared length"),
        (lambda: dense(2, 4).predict([[1.0]]), ValueError, r"X: expected shape \(n >= 1, 2\)"),
        (lambda: dense(1, 4).predict([1.0]), ValueError, r"shape \(n >= 1, 1\), got \(1,\)"),
        (lambda: dense(1, 4).predict(np.empty((0, 1))), ValueError, r"got \(0, 1\)"),
        (lambda: dense(1, 4).predict([[np.nan]]), ValueError, "X: expected finite values"),
        (lambda: dense(1, 4).predict([[1j]]), TypeError, "X: expected real numbers"),
        (lambda: dense(1, 4).predict([["a"]]), TypeError, "X: expected real numbers"),
        (lambda: dense(1, 4).fit([[1.0]], [np.inf]), ValueError, "y: expected finite values"),
        (
            lambda: dense(1, 4).fit([[1.0]], [1.0, 2.0]),
            ValueError,
            r"y: .* \(1,\), got \(2,\)",
        ),
        (
            lambda: dense(1, 4).fit([[1.0]], [1.0], "newton"),
            ValueError,
            "method = .* is not one of",
        ),
        (
            lambda: dense(1, 4).fit([[1.0]], [1.0], layers="some"),
            ValueError,
            "layers = .* is not one",
        ),
        (
            lambda: dense(1, 4).fit([[1.0]], [1.0], ridge=0.0),
            ValueError,
            "ridge = 0.* is not a number",
        ),
        (lambda: Separate([[1.0]], 2), ValueError, "active = .* integer in .1, 1"),
        (lambda: Expert([1.0]), ValueError, r"shape \(n >= 1, d >= 1\)"),
        (
            lambda: DSM(Layer([[1.0]], routing=Mask(lambda X: X + 7, 1))).rows([[1.0]]),
            ValueError,
            "units from 0 to 0",
        ),
        (
            lambda: DSM(Layer([[1.0]], routing=Mask(lambda X: X[:0], 1))).rows([[1.0]]),
            ValueError,
            "expected 1 units for each of 1",
        ),
    ],
)
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_integers_are_taken_as_floats():
    model = interpolation([[1], [2]], [3, 4])
    assert model.predict(np.array([[2]], dtype=np.int8)).tolist() == [4.0]
