"""Hash families and tables: what theory promises, exact search, files, bad input."""

import pickle
import platform
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf.lsh import BucketIndex, DistributedTable, EuclideanHash, HyperplaneHash, Table


def binomial_bound(p, trials):
    """Give what a share of so many independent trials differs from p by at most, at six sigma."""
    return 6 * np.sqrt(p * (1 - p) / trials) + 6 / trials


def pair_at_angle(angle, d, rng):
    x, y = np.linalg.qr(rng.standard_normal((d, 2)))[0].T
    return np.array([x, np.cos(angle) * x + np.sin(angle) * y])


def test_the_kernels_are_those_of_this_processor():
    """Wheels had the slowest ones: the compiler's runtime library knew no processor."""
    processors = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not processors.exists():
        pytest.skip("the kernels of other processors have one version; Linux lists the flags")
    flags = set(re.search(r"^flags\s*: (.*)$", processors.read_text(), re.MULTILINE)[1].split())
    expected = "baseline"
    if flags >= {"avx2", "fma", "popcnt"}:
        expected = "AVX2"
        if flags >= {f"avx512{name}" for name in ("f", "bw", "dq", "vl", "_vpopcntdq")}:
            expected = "AVX-512"
    assert re.search(rf"^instructions +{expected}$", pympf.show_config(), re.MULTILINE)


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
