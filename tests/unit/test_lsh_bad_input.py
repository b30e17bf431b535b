"""What hashing refuses, and numbers at the ends of the range."""

import numpy as np
import pytest
import scipy.sparse as sp

from pympf.lsh import BucketIndex, DistributedTable, EuclideanHash, HyperplaneHash, Table

from .lsh_families import FAMILIES


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: HyperplaneHash(0, 3), ValueError, "n_features = 0 is not an integer in"),
        (
            lambda: HyperplaneHash(3, 2.5),
            TypeError,
            r"n_functions = 2.5 is not an integer in \[1, ",
        ),
        (lambda: HyperplaneHash(3, True), TypeError, "n_functions = True is not an integer"),
        (lambda: HyperplaneHash(3, 4, -1), ValueError, "n_tables = -1"),
        (lambda: HyperplaneHash(3, 4, seed=-1), ValueError, "seed = -1"),
        (lambda: HyperplaneHash(3, 4, seed=2**64), ValueError, "seed = 18446744073709551616"),
        (lambda: HyperplaneHash(3, 4, offset=-1.0), ValueError, "offset = -1.0"),
        (lambda: HyperplaneHash(3, 4, offset="1"), TypeError, "offset = '1' is not a number"),
        (lambda: HyperplaneHash(2**20, 2**20), ValueError, "at most 2\\^31 - 1 coefficients"),
        (lambda: EuclideanHash(3, 4, width=0.0), ValueError, "width = 0.0 is not a number"),
        (lambda: EuclideanHash(3, 4, width=np.nan), ValueError, "width = nan"),
        (lambda: EuclideanHash(3, 4, width=np.inf), ValueError, "width = inf"),
        (lambda: EuclideanHash(3, 4, width=1j), TypeError, "width = 1j is not a number"),
        (lambda: Table("hyperplane"), TypeError, "expected a HyperplaneHash or EuclideanHash"),
        (lambda: Table(FAMILIES[0], dtype=np.int64), TypeError, "expected float64 or float32"),
        (lambda: BucketIndex(None), TypeError, "expected a HyperplaneHash or EuclideanHash"),
        (lambda: DistributedTable(None), TypeError, "expected a HyperplaneHash or EuclideanHash"),
    ],
)
def test_bad_parameters(make, error, message):
    with pytest.raises(error, match=message):
        make()


def with_entry(value, dtype=np.float64):
    X = np.ones((300, 6), dtype=dtype)
    X[257, 3] = value
    return X


BAD_POINTS = [
    (np.ones(6), ValueError, r"expected shape \(n, 6\), got \(6,\)"),
    (np.ones((2, 5)), ValueError, r"expected shape \(n, 6\), got \(2, 5\)"),
    (np.ones((2, 6, 1)), ValueError, r"expected shape \(n, 6\), got \(2, 6, 1\)"),
    (np.ones((2, 6), dtype=complex), TypeError, "expected real numbers, got complex128"),
    (np.full((2, 6), "1"), TypeError, "expected real numbers"),
    (np.full((2, 6), 2**60 + 1), ValueError, "no exact float64 value"),
    (with_entry(np.nan), ValueError, "row 257 has an entry that is not finite"),
    (with_entry(-np.inf, np.float32), ValueError, "row 257 has an entry that is not finite"),
]


@pytest.mark.parametrize(("X", "error", "message"), BAD_POINTS)
@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_bad_points(X, error, message, family):
    table, index = Table(family).fit(np.ones((3, 6))), BucketIndex(family).fit(np.ones((3, 6)))
    calls = [family.keys, family.keys64, family.project, lambda X: family.probes(X, 2)]
    calls += [index.fit, index.partial_fit, index.transform]
    calls += [table.fit, table.add, table.query_batch, lambda X: table.radius_query(X, 1.0)]
    for call in calls:
        with pytest.raises(error, match=message):
            call(X)
    assert len(table) == 3  # nothing has changed
    assert index.n_buckets.tolist() == [1] * family.n_tables


def test_nothing_stays_of_points_of_which_a_late_one_is_bad():
    family = FAMILIES[1]
    X = np.random.default_rng(0).standard_normal((20_000, 6))
    index, table = BucketIndex(family).fit(X[:100]), Table(family).fit(X[:100])
    before = index.n_buckets.tolist()
    X[19_000, 2] = np.nan
    for call in (index.partial_fit, table.add):
        with pytest.raises(ValueError, match="row 19000 has"):
            call(X)
    assert index.n_buckets.tolist() == before
    again = BucketIndex(family).fit(X[:100])
    assert np.array_equal(index.transform(X[:200]), again.transform(X[:200]))
    index.partial_fit(X[:300])
    assert np.array_equal(index.transform(X[:300]), again.partial_fit(X[:300]).transform(X[:300]))
    assert table.add(X[:1]).tolist() == [100]


def test_sparse_points(rng):
    family = FAMILIES[0]
    X = sp.random_array((50, 6), density=0.4, rng=rng)
    for same in (X.tocsr(), X.tocsc(), X.tolil(), X.tocsr().astype(np.float32)):
        assert np.array_equal(family.keys(same), family.keys(same.toarray()))
    with pytest.raises(TypeError, match=r"use \.toarray\(\)"):
        Table(family).fit(X.tocsr())
    bad = sp.csr_array(with_entry(np.nan))
    with pytest.raises(ValueError, match="row 257 has an entry that is not finite"):
        family.keys(bad)
    with pytest.raises(ValueError, match=r"expected shape \(n, 6\)"):
        BucketIndex(family).fit(X.T.tocsr())


def test_hash_values_that_do_not_fit():
    family = EuclideanHash(1, 3, width=1e-3)
    family.keys([[1e5]])
    for call in (family.keys, Table(family).fit, BucketIndex(family).transform):
        with pytest.raises(ValueError, match=r"row 1 has .* beyond 2\^31 times the width 0.001"):
            call([[1.0], [1e9]])
    planes = HyperplaneHash(2, 3, seed=1)
    planes.keys([[1e307, 1e307]])
    with pytest.raises(ValueError, match=r"row 0 has .* float64 cannot hold"):
        planes.keys([[1.7e308, 1.7e308]])


@pytest.mark.parametrize("width", [1e-300, 1e-40, 1e-20, 1e20, 1e40, 1e300])
def test_extreme_widths(width):
    """Far from the range of float32: all is scaled, and the integers stay the same."""
    X = np.random.default_rng(0).standard_normal((200, 5))
    usual = EuclideanHash(5, 7, width=1.0).keys(X)
    scale = 2.0 ** round(np.log2(width))
    assert np.array_equal(EuclideanHash(5, 7, width=scale).keys(X * scale), usual)


@pytest.mark.parametrize(
    ("dtype", "exponent"),
    [
        (np.float64, -1000),
        (np.float64, -540),
        (np.float64, 520),
        (np.float64, 1000),
        (np.float32, -110),
        (np.float32, -70),
        (np.float32, 64),
        (np.float32, 110),
    ],
)
def test_distances_on_the_whole_range(dtype, exponent, rng):
    X = np.round(rng.standard_normal((200, 21)), 3).astype(dtype)
    scaled = np.ldexp(X, exponent)
    plain, far = (Table(HyperplaneHash(21, 6)).fit(points) for points in (X, scaled))
    distances, ids = plain.query(X[:20], k=8)
    found, found_ids = far.query(scaled[:20], k=8)
    assert (found_ids == ids).all()
    assert (found == np.ldexp(distances, exponent)).all()


def test_extreme_points():
    X = np.random.default_rng(0).standard_normal((200, 5))
    family = HyperplaneHash(5, 70)
    for scale in (2.0**-1000, 2.0**-130, 2.0**130, 2.0**1000):
        assert np.array_equal(family.keys(X * scale), family.keys(X))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda t, Q: t.query(Q, 0), ValueError, "k = 0 is not an integer"),
        (lambda t, Q: t.query(Q, 1.0), TypeError, "k = 1.0 is not an integer"),
        (lambda t, Q: t.query(Q, 1, probes=0), ValueError, "probes = 0"),
        (lambda t, Q: t.query(Q, 1, probes=2**20 + 1), ValueError, "probes = 1048577"),
        (lambda t, Q: t.query(Q, 1, candidates=5), ValueError, "hyperplanes with one table"),
        (lambda t, Q: t.query(Q, 1, candidates=0), ValueError, "candidates = 0"),
        (lambda t, Q: t.radius_query(Q, -1.0), ValueError, "r = -1.0"),
        (lambda t, Q: t.radius_query(Q, np.nan), ValueError, "r = nan"),
        (lambda t, Q: t.remove([3]), ValueError, "there is no point with id 3"),
        (lambda t, Q: t.remove([-1]), ValueError, "there is no point with id -1"),
        (lambda t, Q: t.remove([0, 1, 0]), ValueError, "id 0 comes twice"),
        (lambda t, Q: t.remove([0.5]), TypeError, "ids: expected integers"),
        (lambda t, Q: t.remove([[0]]), TypeError, "ids: expected integers"),
    ],
)
def test_bad_searches(call, error, message):
    table = Table(FAMILIES[0]).fit(np.ones((3, 6)))
    with pytest.raises(error, match=message):
        call(table, np.ones((2, 6)))
    assert len(table) == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HyperplaneHash(2, 3).probes([[1.0, 2.0]], 9), r"count = 9 .* \[1, 8\]"),
        (lambda: EuclideanHash(2, 2, width=1.0).probes([[1.0, 2.0]], 10), r"\[1, 9\]"),
        (lambda: HyperplaneHash(2, 3).collision_probability(4.0), "0 to pi"),
        (lambda: EuclideanHash(2, 3, width=1.0).collision_probability([-1.0]), "distances >= 0"),
        (lambda: EuclideanHash(2, 3, width=1.0).collision_probability(np.nan), "distances >= 0"),
    ],
)
def test_bad_numbers(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_points_are_stored_in_the_dtype_that_came(rng):
    X = rng.standard_normal((20, 6))
    assert Table(FAMILIES[0]).fit(X.astype(np.float32)).dtype == np.float32
    assert Table(FAMILIES[0]).fit(X.astype(np.float16)).dtype == np.float32
    assert Table(FAMILIES[0]).fit(np.ones((2, 6), dtype=int)).dtype == np.float64
    assert Table(FAMILIES[0], dtype=np.float32).fit(X).dtype == np.float32
    table = Table(FAMILIES[0]).fit(X)
    table.add(X.astype(np.float32))
    assert table.dtype == np.float64
    assert table.fit(X.astype(np.float32)).dtype == np.float32
