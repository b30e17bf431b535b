"""The compiled hash families, buckets and tables against their numpy twin, bit for bit."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.sparse as sp

from pympf.lsh import BucketIndex, EuclideanHash, HyperplaneHash, Table
from pympf.ref import lsh as ref


def twin(family):
    p = family._parameters()
    kind = "euclidean" if isinstance(family, EuclideanHash) else "hyperplane"
    shape = (p["n_features"], p["n_functions"], p["n_tables"])
    return ref.Family(kind, *shape, p.get("width", 0.0), p.get("offset", 0.0), p["seed"])


@st.composite
def families(draw, max_functions=80):
    shape = (
        draw(st.integers(1, 40)),
        draw(st.integers(1, max_functions)),
        draw(st.integers(1, 4)),
    )
    seed = draw(st.integers(0, 2**64 - 1))
    if draw(st.booleans()):
        return HyperplaneHash(*shape, offset=draw(st.sampled_from([0.0, 1.0, 0.1])), seed=seed)
    return EuclideanHash(*shape, width=draw(st.sampled_from([0.1, 1.0, 30.0])), seed=seed)


def points(family, rows, seed):
    """Give float32 points, some of them zero, far away, or where several functions are near 0."""
    X = np.random.default_rng(seed).standard_normal((rows, family.n_features))
    X[::7] = 0
    X[1::7] *= 1e-20
    X[2::7] *= 1e3
    X[3::7] = np.round(X[3::7])
    return X.astype(np.float32)


def exact(family, keys):
    """Give the words of keys."""
    return twin(family).pack(keys) if isinstance(family, EuclideanHash) else keys


@hypothesis.given(families(), st.integers(0, 200), st.integers(0, 2**32))
@hypothesis.settings(max_examples=60)
def test_keys(family, rows, seed):
    other, X = twin(family), points(family, rows, seed)
    assert np.array_equal(family.directions, other.directions)
    assert np.array_equal(family.offsets, other.offsets)
    expected = other.keys(X)
    assert np.array_equal(family.project(X), other.project(X))
    for same in (X, X.astype(np.float64), sp.csr_array(X), sp.csr_array(X.astype(np.float64))):
        assert np.array_equal(exact(family, family.keys(same)), expected)
        assert np.array_equal(family.keys64(same), ref.mix(expected))


@hypothesis.given(families(max_functions=9), st.integers(0, 2**32), st.integers(1, 40))
@hypothesis.settings(max_examples=40)
def test_probes(family, seed, count):
    X, count = points(family, 9, seed), min(count, family._most_probes())
    assert np.array_equal(exact(family, family.probes(X, count)), twin(family).probes(X, count))


@hypothesis.given(families(max_functions=5), st.integers(0, 2**32), st.integers(1, 3))
@hypothesis.settings(max_examples=40)
def test_tables(family, seed, probes):
    rng = np.random.default_rng(seed)
    X = points(family, 60, seed).astype(np.float64)
    table, other = Table(family), ref.Table(twin(family))
    for part in np.split(X, [20, 21, 50]):
        assert np.array_equal(table.add(part), other.add(part))
    gone = rng.permutation(60)[: rng.integers(0, 50)]
    table.remove(gone)
    other.remove(gone)
    probes = min(probes, family._most_probes())
    for x in points(family, 5, seed + 1).astype(np.float64):
        found = other.candidates(x, probes)
        distances, ids = table.query(x, 8, probes=probes)
        some = len(found[:8])
        # The distances agree up to rounding, so neighbours may change places only then.
        assert np.allclose(distances[:some], [d for d, _ in found[:8]], rtol=1e-14, atol=0)
        assert (distances[some:] == np.inf).all()
        assert (ids[some:] == -1).all()
        r = found[len(found) // 2][0] * (1 + 1e-9) if found else 1.0
        near, near_ids = table.radius_query(x[np.newaxis], r, probes=probes)
        assert {i for d, i in found if d <= r} == set(near_ids[0].tolist())
        assert (np.diff(near[0]) >= 0).all()


@hypothesis.given(families(max_functions=4), st.integers(0, 2**32))
@hypothesis.settings(max_examples=40)
def test_bucket_numbers(family, seed):
    other, index = ref.BucketIndex(twin(family)), BucketIndex(family)
    for offset in range(3):
        X = points(family, 50, seed + offset)
        other.add(X)
        index.partial_fit(X)
        Y = points(family, 20, seed + 7 + offset)
        assert np.array_equal(index.transform(Y), other.find(Y))
    assert index.n_buckets.tolist() == [len(known) for known in other.buckets]


def test_far_planes_are_decided_by_float64():
    """Points within the error of float32 sums of a plane, where float32 alone gets signs wrong."""
    rng = np.random.default_rng(0)
    family = HyperplaneHash(200, 64)
    X = rng.standard_normal((500, 200)).astype(np.float32)
    a = family.directions[0].astype(np.float64)
    for i, x in enumerate(X):  # onto plane i % 64
        plane = a[i % 64]
        x -= (plane @ x / (plane @ plane) * plane).astype(np.float32)
    expected = twin(family).keys(X)
    assert np.array_equal(family.keys(X), expected)
    single = (X @ family.directions[0].T) >= 0
    assert (np.packbits(single, axis=1, bitorder="little").view(np.uint64) != expected[:, 0]).any()


@pytest.mark.parametrize("family", [HyperplaneHash(9, 20, 3), EuclideanHash(9, 7, 3, width=0.5)])
def test_threads_change_nothing(family):
    import pympf

    X = points(family, 20_000, 1)
    before = pympf.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            pympf.set_num_threads(threads)
            table = Table(family).fit(X)
            results.append((family.keys(X), *table.query(X[:300] + 0.01, 5, probes=3)))
    finally:
        pympf.set_num_threads(before)
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))
