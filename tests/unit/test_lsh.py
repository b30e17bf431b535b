"""Hash families and tables: what theory promises, exact search, files, bad input."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from pympf.lsh import BucketIndex, DistributedTable, EuclideanHash, HyperplaneHash, Table

from ..helpers import file_size_limit


def binomial_bound(p, trials):
    """Give what a share of so many independent trials differs from p by at most, at six sigma."""
    return 6 * np.sqrt(p * (1 - p) / trials) + 6 / trials


def pair_at_angle(angle, d, rng):
    x, y = np.linalg.qr(rng.standard_normal((d, 2)))[0].T
    return np.array([x, np.cos(angle) * x + np.sin(angle) * y])


# ---- the closed formulas -------------------------------------------------------------------------


@pytest.mark.parametrize("angle", [0.0, 0.1, 0.7, np.pi / 2, 2.5, np.pi])
@pytest.mark.parametrize("d", [2, 5, 64])
def test_collisions_of_hyperplanes(angle, d, rng):
    trials = 100_000
    family = HyperplaneHash(d, trials, seed=d)
    first, second = family.keys(pair_at_angle(angle, d, rng))[:, 0]
    shared = 1 - sum(int(w).bit_count() for w in first ^ second) / trials
    p = family.collision_probability(angle)
    assert abs(shared - p) <= binomial_bound(p, trials)


def test_collisions_of_hyperplanes_with_an_offset(rng):
    trials, offset = 100_000, 2.0
    family = HyperplaneHash(8, trials, offset=offset)
    X = rng.standard_normal((2, 8))
    lifted = np.hstack([X, [[offset], [offset]]])
    lifted /= np.linalg.norm(lifted, axis=1, keepdims=True)
    p = family.collision_probability(np.arccos(lifted[0] @ lifted[1]))
    first, second = family.keys(X)[:, 0]
    shared = 1 - sum(int(w).bit_count() for w in first ^ second) / trials
    assert abs(shared - p) <= binomial_bound(p, trials)


@pytest.mark.parametrize("distance", [0.01, 0.3, 1.0, 4.0, 50.0])
@pytest.mark.parametrize("width", [0.5, 4.0])
def test_collisions_of_slabs(distance, width, rng):
    trials, d = 100_000, 16
    family = EuclideanHash(d, trials, width=width, seed=1)
    x, step = rng.standard_normal((2, d))
    keys = family.keys(np.array([x, x + distance * step / np.linalg.norm(step)]))[:, 0]
    p = family.collision_probability(distance)
    assert abs((keys[0] == keys[1]).mean() - p) <= binomial_bound(p, trials)


@pytest.mark.parametrize("m", [1, 3, 8])
def test_collisions_of_keys(m, rng):
    """m functions are independent of each other, and tables of other tables."""
    trials = 20_000
    planes, slabs = HyperplaneHash(10, m, trials), EuclideanHash(10, m, trials, width=2.0)
    for family, X, p in (
        (planes, pair_at_angle(0.5, 10, rng), planes.collision_probability(0.5, m)),
        (slabs, pair_at_angle(np.pi, 10, rng) / 2, slabs.collision_probability(1.0, m)),
    ):
        first, second = family.keys(X)
        shared = (first == second).all(axis=1).mean()
        assert abs(shared - p) <= binomial_bound(p, trials)


def test_closed_formula_is_an_integral():
    """Datar et al.: the integral of 2/c φ(t/c) (1 - t/w) over [0, w]."""
    from scipy.integrate import quad
    from scipy.stats import norm

    family = EuclideanHash(2, 1, width=1.5)
    for c in (0.1, 1.0, 7.0):
        p, _ = quad(lambda t, c=c: 2 / c * norm.pdf(t / c) * (1 - t / 1.5), 0, 1.5)
        assert family.collision_probability(c) == pytest.approx(p, rel=1e-9)
    small = EuclideanHash(2, 1, width=1e-9).collision_probability(1.0)
    assert small == pytest.approx(1e-9 / np.sqrt(2 * np.pi), rel=1e-6)
    assert family.collision_probability([0.0, np.inf]).tolist() == [1.0, 0.0]


# ---- Lemma 4.2 -----------------------------------------------------------------------------------


def subspace_points(k, d, rows, rng):
    """Give points uniform in the ball of radius 1 of a random k-dimensional subspace."""
    z = rng.standard_normal((rows, k))
    z *= rng.random((rows, 1)) ** (1 / k) / np.linalg.norm(z, axis=1, keepdims=True)
    return z @ np.linalg.qr(rng.standard_normal((d, k)))[0].T


def buckets_and_diameter(k, d, width, rng, rows):
    """Give the number of buckets that points of a subspace fall into, and the widest one's size."""
    family = EuclideanHash(d, 3 * k, width=width, seed=int(rng.integers(2**32)))
    X = subspace_points(k, d, rows, rng)
    index = BucketIndex(family).fit(X)
    buckets = index.transform(X)[:, 0]
    order = np.argsort(buckets, kind="stable")
    parts = np.split(X[order], np.cumsum(np.bincount(buckets))[:-1])
    diameter = max(np.linalg.norm(part[:, None] - part[:5], axis=2).max() for part in parts)
    return index.n_buckets[0], diameter


def test_buckets_grow_with_k_and_width_but_not_with_d():
    """Lemma 4.2: (diameter / ε)^O(k) buckets of diameter O(ε), whatever the dimension around."""
    rng = np.random.default_rng(0)

    def medians(k, d, width, draws=31):
        rows = {1: 2000, 2: 10_000, 3: 30_000}[k]
        found = [buckets_and_diameter(k, d, width, rng, rows) for _ in range(draws)]
        return np.median(found, axis=0)

    for k, width in ((1, 0.25), (2, 0.5)):
        counts, diameters = np.array([medians(k, d, width) for d in (8, 64, 256)]).T
        assert counts.max() <= 1.4 * counts.min()
        assert diameters.max() <= 1.4 * diameters.min()
        half, half_diameter = medians(k, 64, width / 2)
        # Twice as many slabs in every direction: up to 2^k times as many cells (fewer, as those at
        # the rim grow in number like 2^(k-1)), of half the size.
        assert 0.6 * 2**k <= half / counts[1] <= 1.15 * 2**k
        assert 0.4 <= half_diameter / diameters[1] <= 0.65
    by_k = [medians(k, 64, 0.5, 10)[0] for k in (1, 2, 3)]
    assert by_k[1] > 4 * by_k[0]
    assert by_k[2] > 4 * by_k[1]


def test_bucket_diameter_is_bounded_by_the_smallest_singular_value():
    """‖A (x - y)‖_∞ < ε in a bucket, so that ‖x - y‖ <= ε √K / σ_min(A), for every draw."""
    rng = np.random.default_rng(1)
    for k, d in ((1, 10), (2, 50), (3, 20)):
        basis = np.linalg.qr(rng.standard_normal((d, k)))[0]
        family = EuclideanHash(d, 4 * k, width=0.7, seed=k)
        X = (rng.random((5000, k)) * 2 - 1) @ basis.T
        buckets = BucketIndex(family).fit(X).transform(X)[:, 0]
        singular = np.linalg.svd(family.directions[0] @ basis, compute_uv=False)
        bound = 0.7 * np.sqrt(4 * k) / singular[-1]
        for bucket in np.unique(buckets)[:200]:
            part = X[buckets == bucket]
            assert np.linalg.norm(part[:, None] - part, axis=2).max() <= bound


# ---- searches ------------------------------------------------------------------------------------


def clusters(rows, d, rng, spread=0.3):
    centres = rng.standard_normal((rows // 50, d))
    return centres[rng.integers(0, len(centres), rows)] + spread * rng.standard_normal((rows, d))


def exact_search(X, Q, k):
    distances = np.linalg.norm(Q[:, None] - X, axis=2)
    ids = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, ids, axis=1), ids


def recall(ids, expected):
    return np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in zip(ids, expected, strict=True)])


def test_recall_is_what_the_collision_probability_says():
    """A neighbour at distance c is found with probability 1 - (1 - p(c)^m)^L, over all draws."""
    rng = np.random.default_rng(2)
    d, c, rows, draws = 12, 0.8, 100, 200
    X = 100 * rng.standard_normal((rows, d))  # far apart: every query has one neighbour
    step = rng.standard_normal((rows, d))
    Q = X + c * step / np.linalg.norm(step, axis=1, keepdims=True)
    for m, tables in ((2, 1), (4, 3), (6, 10)):
        found = []
        for seed in range(draws):
            family = EuclideanHash(d, m, tables, width=2.0, seed=seed)
            found.append((Table(family).fit(X).query(Q)[1][:, 0] == np.arange(rows)).mean())
        p = 1 - (1 - family.collision_probability(c, m)) ** tables
        assert abs(np.mean(found) - p) <= 5 * np.std(found) / np.sqrt(draws)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_recall_grows_to_one(rng, dtype):
    X, Q = clusters(4000, 16, rng).astype(dtype), clusters(200, 16, rng).astype(dtype)
    Q = X[::40] + dtype(0.05) * Q[:100]
    expected = exact_search(X, Q, 5)
    table = Table(EuclideanHash(16, 6, 2, width=3.0)).fit(X)
    found = [recall(table.query(Q, 5, probes=probes)[1], expected[1]) for probes in (1, 10, 200)]
    assert found[0] < found[1] < found[2]
    assert found[2] > 0.98
    codes = Table(HyperplaneHash(16, 70)).fit(X)
    found = [recall(codes.query(Q, 5, candidates=c)[1], expected[1]) for c in (5, 20, 4000)]
    assert found[0] < found[1] < found[2]
    assert found[2] == 1
    distances, _ = codes.query(Q, 5, candidates=4000)
    assert distances.dtype == dtype
    assert np.allclose(distances, expected[0], rtol=1e-5 if dtype == np.float32 else 1e-13)


def test_all_probes_are_an_exact_search(rng):
    X, Q = rng.standard_normal((500, 4)), rng.standard_normal((20, 4))
    table = Table(HyperplaneHash(4, 5)).fit(X)
    distances, ids = table.query(Q, 7, probes=2**5)
    expected = exact_search(X, Q, 7)
    assert np.array_equal(ids, expected[1])
    assert np.allclose(distances, expected[0], rtol=1e-14)


def test_candidates_are_those_with_the_nearest_keys(rng):
    """All within h bits, h the smallest number with enough of them; duplicates count each."""
    X = rng.standard_normal((20_000, 6))
    X[5000:9000] = X[:4000]
    family = HyperplaneHash(6, 70)
    table = Table(family).fit(X)
    table.remove(np.arange(0, 20_000, 3))
    kept = np.delete(np.arange(20_000), np.arange(0, 20_000, 3))
    bits = np.unpackbits(family.keys(X[kept]).view(np.uint8), axis=-1)[:, 0]
    for x in rng.standard_normal((5, 6)):
        mine = np.unpackbits(family.keys(x[None]).view(np.uint8), axis=-1)[:, 0]
        different = (bits != mine).sum(axis=1)
        for candidates in (1, 30, 3000, 20_000):
            h = np.sort(different)[min(candidates, len(kept)) - 1]
            _, ids = table.query(x, len(kept), candidates=candidates)
            assert set(ids[ids >= 0].tolist()) == set(kept[different <= h].tolist())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_queries_together_find_what_each_finds_alone(rng, dtype):
    """Together they have more candidates than there are points, which go by in several parts."""
    X = rng.standard_normal((12_000, 40)).astype(dtype)
    X[6000:9000] = X[:3000]  # the slots of a bucket are not neighbours
    table = Table(HyperplaneHash(40, 128)).fit(X)
    table.remove(np.arange(0, 12_000, 5))
    Q = X[100:140] + dtype(0.1) * rng.standard_normal((40, 40)).astype(dtype)
    together = table.query(Q, 30, candidates=900)
    within = table.radius_query(Q, 8.0, candidates=900)
    for i, x in enumerate(Q):
        for a, b in zip(together, table.query(x, 30, candidates=900), strict=True):
            assert np.array_equal(a[i], b)
        for many, one in zip(within, table.radius_query(x[None], 8.0, candidates=900), strict=True):
            assert np.array_equal(many[i], one[0])


def test_the_portions_do_not_matter(rng):
    X, Q = clusters(3000, 8, rng), clusters(100, 8, rng)
    family = HyperplaneHash(8, 6, 3)
    whole, parts = Table(family).fit(X), Table(family)
    for part in np.split(X, [1, 2, 10, 75, 76, 2000]):
        parts.add(part)
    results = [table.query(Q, 9, probes=2) for table in (whole, parts)]
    gone = rng.permutation(3000)[:2500]
    for some in np.split(gone, [3, 900]):
        parts.remove(some)  # more than half: the table is built again from the rest
    left = np.setdiff1d(np.arange(3000), gone)
    after = Table(family).fit(X[left]).query(Q, 9, probes=2)
    distances, ids = parts.query(Q, 9, probes=2)
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))
    assert np.array_equal(distances, after[0])
    assert np.array_equal(ids, np.where(after[1] < 0, -1, left[after[1]]))
    assert parts.add(X[:2]).tolist() == [3000, 3001]


def test_queries_that_find_less(rng):
    table = Table(HyperplaneHash(3, 8, 2))
    assert table.query(np.ones((2, 3)), 2)[1].tolist() == [[-1, -1], [-1, -1]]
    table.fit(np.array([[1.0, 1, 1]]))
    distances, ids = table.query([[2.0, 2, 2], [-1, -1, -1]], 2)
    assert ids.tolist() == [[0, -1], [-1, -1]]
    assert distances.tolist() == [[np.sqrt(3), np.inf], [np.inf, np.inf]]
    near = table.radius_query([[2.0, 2, 2], [-1, -1, -1]], 5.0)
    assert [len(ids) for ids in near[1]] == [1, 0]
    assert table.query(np.ones((0, 3)), 4)[0].shape == (0, 4)


def test_equal_distances_come_in_the_order_of_their_ids():
    X = np.array([[1.0, 0.0]] * 5 + [[0.5, 0.0]])
    table = Table(HyperplaneHash(2, 1)).fit(X)
    assert table.query([0.75, 0.0], 6)[1].tolist() == [0, 1, 2, 3, 4, 5]
    assert table.query([0.75, 0.0], 2)[1].tolist() == [0, 1]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_distances_that_the_root_makes_equal_come_in_the_order_of_their_ids(dtype):
    """On a circle the squares differ by rounding, and their roots often do not."""
    for seed in range(20):
        angle = np.random.default_rng(seed).uniform(0, 7, 30)
        X = (1.3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)).astype(dtype)
        family = HyperplaneHash(2, 1, offset=100.0)
        distributed = DistributedTable(family, dtype=dtype)
        distributed.add(X)
        centre = np.zeros((1, 2), dtype)
        for table in (Table(family).fit(X), distributed):
            every = [found[0] for found in table.query(centre, 30)]
            within = [found[0] for found in table.radius_query(centre, 2.0)]
            fewer = [found[0] for found in table.query(centre, 7)]
            for distances, ids in (every, within):
                assert ids.tolist() == ids[np.lexsort((ids, distances))].tolist()
                assert len(ids) == 30
            assert fewer[1].tolist() == every[1][:7].tolist()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("fitted", [True, False])
def test_no_queries_have_no_answers(dtype, fitted):
    none = np.empty((0, 3), dtype)
    X = np.eye(3, dtype=dtype) if fitted else none
    family = HyperplaneHash(3, 70)
    distributed = DistributedTable(family, dtype=dtype)
    assert distributed.add(X).shape == (len(X),)
    for table in (Table(family, dtype=dtype).fit(X), Table(family, dtype=dtype), distributed):
        searches = [{}, {"probes": 3}]
        if isinstance(table, Table):
            searches.append({"candidates": 2})
            assert [a.shape for a in table.query_batch(none, 2)] == [(0, 2), (0, 2)]
        for search in searches:
            distances, ids = table.query(none, 2, **search)
            assert (distances.shape, ids.shape) == ((0, 2), (0, 2))
            assert (distances.dtype, ids.dtype) == (dtype, np.int64)
            for found in table.radius_query(none, 1.0, **search):
                assert found.shape == (0,)
                assert found.dtype == object
            for found in table.radius_query(np.ones((2, 3)), 0.1, **search):
                assert [part.shape for part in found] == [(0,), (0,)]
    table = Table(family, dtype=dtype).fit(np.eye(3, dtype=dtype))
    assert table.add(none).shape == (0,)
    table.remove(np.empty(0, int))
    assert len(table) == 3


def test_no_points_have_no_keys_and_no_buckets():
    for family in (HyperplaneHash(3, 70, 2), EuclideanHash(3, 5, 2, width=1.0)):
        for none in (np.empty((0, 3)), np.empty((0, 3), np.float32), sp.csr_array((0, 3))):
            assert family.keys(none).shape == (0, *family.keys(np.zeros((1, 3))).shape[1:])
            assert family.keys64(none).shape == (0, 2)
            assert family.project(none).shape == (0, 2, family.n_functions)
            assert family.probes(none, 3).shape == (0, 2, 3, *family.keys(none).shape[2:])
            index = BucketIndex(family).fit(none)
            assert index.n_buckets.tolist() == [0, 0]
            assert index.partial_fit(none).transform(none).shape == (0, 2)
            assert index.fit(np.eye(3)).transform(none).shape == (0, 2)
            assert index.transform(none).dtype == np.int64


def test_a_point_of_another_size_is_told_both_shapes():
    table = Table(HyperplaneHash(3, 4)).fit(np.eye(3))
    with pytest.raises(ValueError, match=r"expected shape \(3,\) or \(n, 3\), got \(2,\)"):
        table.query([1.0, 2.0])


@pytest.mark.parametrize(
    "made",
    [
        HyperplaneHash(3, 4, 2, offset=True, seed=2**63),
        EuclideanHash(3, 4, np.int64(2), width=1, seed=5),
        BucketIndex(EuclideanHash(3, 4, width=0.5)),
        Table(HyperplaneHash(3, 4), dtype=np.float32),
        Table(HyperplaneHash(3, 4)),
    ],
    ids=lambda made: type(made).__name__,
)
def test_settings_are_those_of_scikit_learn(made, rng):
    base = pytest.importorskip("sklearn.base")
    X = rng.standard_normal((40, 3))
    twin = base.clone(made)
    assert type(twin) is type(made)
    assert twin.get_params(deep=False) == made.get_params(deep=False)
    name, inner = ("n_functions", made) if hasattr(made, "keys") else ("family__n_functions", None)
    assert made.get_params()[name] == 4
    assert twin.set_params(**{name: 6}) is twin
    assert twin.get_params()[name] == 6
    assert made.get_params()[name] == 4  # it is a copy
    with pytest.raises(ValueError, match=r"n_function; did you mean n_functions\?"):
        (twin if inner else twin.family).set_params(n_function=6)
    with pytest.raises(TypeError, match=r"n_functions = 1.5 is not an integer"):
        twin.set_params(**{name: 1.5})
    assert twin.get_params()[name] == 6  # a refused setting changes nothing
    if inner is None:
        assert twin.fit(X, y=None) is twin
        other = HyperplaneHash(3, 1)
        assert twin.set_params(family=other).family is other


def test_a_distributed_table_has_settings_too():
    base = pytest.importorskip("sklearn.base")
    made = DistributedTable(HyperplaneHash(3, 4), dtype=np.float32)
    made.add(np.eye(3))
    assert made.get_params(deep=False) == {
        "family": made.family,
        "comm": None,
        "dtype": np.dtype(np.float32),
    }
    twin = base.clone(made)
    assert (len(twin), twin.get_params()["family__n_functions"]) == (0, 4)
    assert twin.set_params(family__n_functions=6, dtype=np.float64) is twin
    assert (twin.family.n_functions, twin.dtype, made.family.n_functions) == (6, np.float64, 4)
    twin.add(np.eye(3))
    assert twin.query(np.eye(3), k=1)[1].tolist() == [[0], [1], [2]]
    with pytest.raises(ValueError, match=r"families; did you mean family\?"):
        twin.set_params(families=None)


def test_buckets_in_a_pipeline(rng):
    pipeline = pytest.importorskip("sklearn.pipeline")
    X = rng.standard_normal((40, 3))
    index = BucketIndex(HyperplaneHash(3, 4, 2))
    line = pipeline.make_pipeline(index, "passthrough")
    assert np.array_equal(line.fit_transform(X, np.ones(40)), index.transform(X))
    assert np.array_equal(line.transform(X), index.fit(X).transform(X))


def test_a_family_that_changed_asks_for_another_fit(rng):
    X = rng.standard_normal((40, 3))
    family = HyperplaneHash(3, 4)
    table, index = Table(family).fit(X), BucketIndex(family).fit(X)
    family.set_params(n_functions=9)
    calls = [lambda: table.query(X), lambda: table.add(X), lambda: table.radius_query(X, 1.0)]
    calls += [lambda: index.transform(X), lambda: index.partial_fit(X), lambda: pickle.dumps(index)]
    for call in calls:
        with pytest.raises(ValueError, match=r"have changed .* call fit again"):
            call()
    assert table.fit(X).query(X)[1].ravel().tolist() == list(range(40))
    assert index.fit(X).transform(X).shape == (40, 1)


def test_report(rng):
    X = rng.standard_normal((1000, 5))
    table = Table(EuclideanHash(5, 2, 3, width=2.0)).fit(X)
    report = table.report()
    index = BucketIndex(table.family).fit(X)
    for t, line in enumerate(report.tables):
        sizes = np.bincount(index.transform(X)[:, t])
        assert line["buckets"] == index.n_buckets[t] == len(sizes)
        assert line["largest"] == sizes.max()
        assert line["expected"] == pytest.approx((sizes**2).sum() / 1000)
        assert line["histogram"] == np.bincount(np.log2(sizes).astype(int)).tolist()
    assert report.point_bytes >= X.nbytes
    assert str(report).count("\n") == 4
    assert str(report).splitlines()[-1].startswith("1000 points, float64")
    table.remove(np.arange(400))
    assert table.report().points == 600
    assert report.as_dict()["points"] == 1000


# ---- copies and files ----------------------------------------------------------------------------

FAMILIES = [
    HyperplaneHash(6, 20, 2, offset=0.5, seed=2**64 - 1),
    EuclideanHash(6, 3, 4, width=0.3, seed=7),
]


@pytest.mark.parametrize("family", FAMILIES, ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_copies_and_files_answer_alike(family, dtype, rng, tmp_path):
    X = rng.standard_normal((300, 6)).astype(dtype)
    table = Table(family).fit(X)
    table.remove([5, 17, 299])
    path = tmp_path / "table.h5"
    table.save(path)
    for other in (Table.load(path), pickle.loads(pickle.dumps(table)), copy.deepcopy(table)):
        assert other.family == family
        assert other.dtype == dtype
        for a, b in zip(table.query(X, 4), other.query(X, 4), strict=True):
            assert np.array_equal(a, b)
        assert other.add(X[:1]).tolist() == [300]
    index = BucketIndex(family).fit(X)
    again = pickle.loads(pickle.dumps(index))
    assert np.array_equal(again.transform(X), index.transform(X))
    assert np.array_equal(again.partial_fit(-X).transform(-X), index.partial_fit(-X).transform(-X))


def test_an_empty_table_is_saved(tmp_path):
    Table(FAMILIES[0]).save(tmp_path / "table.h5")
    table = Table.load(tmp_path / "table.h5")
    assert table.dtype is None
    assert len(table) == 0
    assert table.add(np.ones((2, 6), dtype=np.float32)).tolist() == [0, 1]
    assert table.dtype == np.float32


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "table.h5"
    Table(FAMILIES[1]).fit(np.arange(60.0).reshape(10, 6)).save(path)
    return path


def change(name, value, group=None):
    def edit(file):
        (file[group] if group else file).attrs[name] = value

    return edit


def replace(name, value):
    def edit(file):
        del file[name]
        file[name] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (change("type", b"mmf"), "expected type 'lsh_table'"),
        (change("format_version", 2), "format_version 2"),
        (change("kind", b"MinHash"), "'MinHash' is not one of"),
        (change("dtype", b"int32"), "int32"),
        (change("width", b"-1.0", "family"), "width = -1.0"),
        (change("n_features", b"7", "family"), r"expected shape \(n, 7\)"),
        (change("colour", b"1", "family"), "colour"),
        (change("rows", 11), "reshape"),
        (change("next_id", 3), "id 3 is not above 2 and below 3"),
        (replace("ids", np.zeros(10, dtype=np.int64)), "id 0 is not above 0"),
        (replace("ids", np.arange(9)), "10 points have ids of shape"),
        (replace("points", np.full(60, np.nan)), "not finite"),
        (replace("points", np.full(60, 1e300)), "beyond"),
        (lambda file: file.__delitem__("points"), "points"),
    ],
)
def test_foreign_files_are_refused(saved, edit, message):
    import h5py

    with h5py.File(saved, "r+") as file:
        edit(file)
    with pytest.raises(OSError, match=message):
        Table.load(saved)


def test_zeros_turned_to_ones_are_noticed(tmp_path):
    """Fletcher's checksum of HDF5 does not see it."""
    path = tmp_path / "table.h5"
    Table(HyperplaneHash(2, n_functions=4)).fit([[1.0, 4.0], [3.0, 5.0]]).save(path)
    content, four = path.read_bytes(), np.array([4.0]).tobytes()
    path.write_bytes(content.replace(four, b"\xff\xff" * 2 + four[4:]))
    with pytest.raises(OSError, match="/points is damaged: its checksum is another one"):
        Table.load(path)


def test_damaged_files_are_refused(saved, tmp_path):
    whole = saved.read_bytes()
    for length in range(0, len(whole), 97):
        (tmp_path / "part.h5").write_bytes(whole[:length])
        with pytest.raises(OSError, match=r"part\.h5"):
            Table.load(tmp_path / "part.h5")
    with pytest.raises(FileNotFoundError):
        Table.load(tmp_path / "none.h5")


def test_a_file_that_cannot_be_written_leaves_the_old_one(saved):
    before = saved.read_bytes()
    table = Table(FAMILIES[0]).fit(np.ones((10_000, 6)))
    with file_size_limit(10_000), pytest.raises(OSError, match="File too large"):
        table.save(saved)
    assert saved.read_bytes() == before
    assert [entry.name for entry in saved.parent.iterdir()] == [saved.name]


# ---- bad input -----------------------------------------------------------------------------------


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
