"""Figures 2 to 4 and table 1 of the paper on sparsely activated networks, with fewer points.

Exact least squares on 2^14 training points of the hypercube function, d = 8; the figures at full
size and by RMSProp are in bench/cases/lsh_networks.py. An ordering must hold in every draw.
"""

import numpy as np
import pytest

from pympf.lsh import HyperplaneHash
from pympf.nets import LSH, Cube, Hypercube, Polynomial, dense, dsm

SEEDS = [0, 1]


@pytest.fixture(scope="module", params=SEEDS)
def error(request):
    """The test error of a model relative to the variance, on one draw of everything."""
    seed = request.param
    f, X, Y = (
        Hypercube(8, seed=seed),
        Cube(8).sample(2**14, seed=seed),
        Cube(8).sample(4096, seed=9),
    )
    y, expected = f(X), f(Y)
    known = {}

    def measure(make, *size, method="lstsq", **options):
        key = (make, *size, method, *options.items())
        if key not in known:
            model = make(8, *size, seed=seed, **options).fit(X, y, method)
            known[key] = np.square(model.predict(Y) - expected).mean() / expected.var()
        return known[key]

    return measure


def lsh(d, functions, tables, *, seed, **options):
    return LSH(HyperplaneHash(d, functions, tables, seed=seed), **options)


def test_without_bias_a_wider_dense_model_is_no_better(error):
    """The row of table 1 that is flat: .01015, .01009, .01046."""
    assert error(dense, 512) == pytest.approx(error(dense, 256), rel=0.15)
    assert error(dense, 512) > 0.15


def test_a_quarter_of_the_units_beats_dense_at_equal_active_units(error):
    assert error(dsm, 128, 512) < 0.8 * error(dense, 128)
    assert error(dsm, 256, 1024) < 0.8 * error(dense, 256)


def test_half_of_the_units_by_value_is_dense(error):
    assert error(dsm, 256, 512) == pytest.approx(error(dense, 512), rel=0.02)


@pytest.mark.parametrize("routing", ["topk_abs", "separate"])
def test_half_of_the_units_by_size_or_by_another_projection_beats_dense(error, routing):
    assert error(dsm, 256, 512, routing=routing) < 0.8 * error(dense, 256)


@pytest.mark.parametrize("width", [512, 1024])
def test_random_hash_is_worse_than_dense(error, width):
    assert error(dsm, 256, width, routing="hash") > 1.2 * error(dense, 256)


def test_a_bias_helps_dense_more_than_sparsity_did(error):
    assert error(dense, 512, bias=True) < 0.5 * error(dense, 512)
    assert error(dense, 512, bias=True) < error(dsm, 256, 1024)


def test_one_table_is_worse_than_a_dense_model_of_64_units(error):
    """Not the paper's figure 3: no number of buckets helps."""
    assert min(error(lsh, m, 1) for m in (6, 8, 10, 12)) > error(dense, 64)


def test_tables_win_if_they_are_fitted_jointly(error):
    joint, averaged = error(lsh, 8, 32), error(lsh, 8, 32, method="per_bucket")
    assert joint < 0.75 * averaged
    assert joint < error(dense, 32)  # equal active units
    assert averaged > 0.9 * error(lsh, 8, 8, method="per_bucket")  # a mean of many is a mean


def test_more_tables_and_higher_degrees_are_better(error):
    assert error(lsh, 8, 32) < error(lsh, 8, 8) < error(lsh, 8, 1)
    assert error(lsh, 4, 1, degree=2) < error(lsh, 4, 1, degree=1) < error(lsh, 4, 1)


def test_rmsprop_keeps_the_ordering():
    """A polynomial of ten terms, 30 epochs: DSM at 25 % below dense, random hash above."""
    f, X, Y = Polynomial(8, 4, terms=10, seed=3), Cube(8).sample(8192), Cube(8).sample(2048, seed=1)
    options = {"learning_rate": 1e-4, "epochs": 30, "seed": 1}
    models = [
        dsm(8, 256, 1024, seed=1),
        dense(8, 256, seed=1),
        dsm(8, 256, 1024, routing="hash", seed=1),
    ]
    errors = [
        np.square(m.fit(X.astype(np.float32), f(X), "rmsprop", **options).predict(Y) - f(Y)).mean()
        for m in models
    ]
    assert errors == sorted(errors)
