"""Dictionary learning: its numpy twin, the laws of its loss, noise, recursion, bad input."""

import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pympf._dictionary as engine
import pytest

import pympf
from pympf.ref import sketch_learning as ref
from pympf.sketch import BlockSparse, Outside, learn_dictionary, learn_levels
from pympf.sketch.learning import promised
from tests.helpers import rounding


def problem(d, b, w, k, samples, *, matrices=2, seed=0, least=0.5, dtype=np.float64):
    """Give matrices, x of shape (samples, matrices d) with k entries each, and Y."""
    rng = np.random.default_rng(seed)
    R = [BlockSparse(d, b=b, w=w, seed=seed, name=str(i)) for i in range(matrices)]
    x = np.zeros((samples, matrices * d), dtype)
    for row in x:
        at = rng.choice(matrices * d, k, replace=False)
        row[at] = rng.uniform(least, 1, k) * rng.choice([-1, 1], k)
    Y = sum(M.apply(np.ascontiguousarray(x[:, i * d : (i + 1) * d].T)).T for i, M in enumerate(R))
    return R, x, np.ascontiguousarray(Y)


def order_of(learnt, R):
    """Give for each matrix that was found the one it is; -1 if none."""
    signs = np.array([M.matrix_signature for M in R])
    words = ((signs[:, 1:] * signs[:, :1] > 0) << np.arange(signs.shape[1] - 1)).sum(axis=1)
    return np.array([int(np.argmax(words == s)) if s in words else -1 for s in learnt.signatures])


def score(learnt, R, x):
    """Give the shares of columns and codes found, the largest error of these, false columns."""
    d, order = R[0].d, order_of(learnt, R)
    codes = np.zeros_like(x)
    places = np.full(learnt.n_matrices * d, -1)
    for i, m in enumerate(order):
        if m >= 0:
            codes[:, m * d : (m + 1) * d] = learnt.code(i).toarray()
            places[i * d : (i + 1) * d] = m * d + np.arange(d)
    wanted = np.nonzero(x.any(axis=0))[0]
    got = places[learnt.matrix * d + learnt.column]
    there = (x != 0) & (codes != 0)
    error = np.abs(codes - x)[there].max() if there.any() else 0.0
    false = (got < 0).sum() + (~np.isin(got[got >= 0], wanted)).sum()
    return np.isin(wanted, got).mean(), there.sum() / (x != 0).sum(), error, false


def check_columns(learnt, R):
    """Check every block that was found against the matrix, signs included."""
    for i, m in enumerate(order_of(learnt, R)):
        found, true = learnt.columns(i), R[m].toarray()
        rows, columns = found.nonzero()
        values = np.asarray(found[rows, columns]).ravel()
        assert np.abs(values - true[rows, columns]).max() <= rounding(4)


# ---- the twin ------------------------------------------------------------------------------------


@st.composite
def samples_of(draw):
    """Draw samples that are sums of a few columns, with noise and some rubbish."""
    d, b = draw(st.sampled_from([(24, 24), (66, 33), (132, 33), (54, 27)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    R = np.concatenate(
        [ref.draw(d, b, max(1, d // b // 2), int(s)) for s in rng.integers(0, 9, 2)], 1
    )
    k = draw(st.integers(0, 3))
    x = np.array(
        [rng.permutation(np.r_[rng.uniform(-1, 1, k), np.zeros(2 * d - k)]) for _ in range(40)]
    )
    Y = x @ R.T + draw(st.sampled_from([0, 1e-3, 0.05])) * rng.standard_normal((40, d))
    Y[:3] = rng.choice([-1.0, 1.0], (3, d))
    return np.ascontiguousarray(Y.astype(draw(st.sampled_from([np.float32, np.float64])))), b


@hypothesis.given(samples_of(), st.sampled_from([0.1, 0.5, 0.9]))
@hypothesis.settings(max_examples=40, deadline=None)
def test_blocks_are_the_twins(problem, tau):
    Y, b = problem
    floor = 1e-4
    blocks, nonzero = engine.read_blocks(Y, engine.Shape(Y.shape[1], b), tau, floor)
    own = {(int(block["sample"]), int(block["row"])): block for block in blocks}
    expected, count = ref.read_blocks(Y.astype(np.float64), b, tau, floor)
    sure = {(e.sample, e.row) for e in expected if abs(e.spread - tau) > 1e-5}
    assert abs(nonzero - count) <= 1
    assert sure <= own.keys()
    for e in expected:
        if (e.sample, e.row) not in own:
            continue
        block = own[e.sample, e.row]
        assert abs(block["level"] - e.level) <= rounding(50, Y.dtype) * e.level
        assert block["column"] == e.column
        for name in ("matrix", "string"):
            word = sum(1 << i for i, s in enumerate(getattr(e, name)[1:]) if s > 0)
            assert int(block[name]) == word
        signs = (e.value, *e.f)
        assert int(block["signs"]) == sum(1 << i for i, s in enumerate(signs) if s > 0)


@pytest.mark.parametrize("per_sample", [0, 2])
def test_dictionary_is_the_twins(per_sample):
    R, _x, Y = problem(132, 33, 2, 2, 300, seed=4)
    Y += 0.02 * np.random.default_rng(0).standard_normal(Y.shape) / math.sqrt(66)
    rule = {"rule": "per_sample", "fraction": 1.0} if per_sample else {}
    learnt = learn_dictionary(Y, 33, 2, **rule)
    blocks, _ = ref.read_blocks(Y, 33, 0.7)
    columns, codes = ref.dictionary(blocks, min_per_sample=per_sample)
    assert learnt.n_atoms == len(columns) > (0 if per_sample else 100)
    words = {m: sum(1 << i for i, s in enumerate(m[1:]) if s > 0) for m, _ in columns}
    place = {m: int(np.searchsorted(learnt.signatures, words[m])) for m in words}
    atoms = {
        (int(m), int(j)): i
        for i, (m, j) in enumerate(zip(learnt.matrix, learnt.column, strict=True))
    }
    for (m, j), (_, rows) in columns.items():
        i = atoms[place[m], j]
        own = slice(learnt.row_start[i], learnt.row_start[i + 1])
        assert learnt.row[own].tolist() == list(rows)
        signs = [[1 if s & bit else -1 for bit in (2, 4, 8)] for s in learnt.signs[own].tolist()]
        assert signs == [list(f) for f in rows.values()]
    if not per_sample:
        dense = learnt.codes.toarray()
        for (sample, m, j), level in codes.items():
            assert abs(dense[sample, place[m] * 132 + j] - level * math.sqrt(66)) < 1e-12
    back = ref.reconstruct(columns, codes, len(Y), 132, 33)
    mine = sum(learnt.code(i) @ learnt.columns(i).T for i in range(learnt.n_matrices)).toarray()
    if not per_sample:
        assert np.abs(mine - back).max() < 1e-12
    check_columns(learnt, R)


# ---- the laws ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("d", "b", "w", "k", "samples", "bar"),
    [(132, 33, 2, 1, 2112, 0.996), (546, 39, 4, 2, 4368, 0.996), (1050, 42, 4, 4, 4200, 0.998)],
)
def test_columns_shown_eight_times_are_found(d, b, w, k, samples, bar):
    R, x, Y = problem(d, b, w, k, samples)  # A = 8: samples = A N d / k
    for tau in (0.3, 0.7):
        learnt = learn_dictionary(Y, b, w, tau=tau)
        found, codes, error, false = score(learnt, R, x)
        assert learnt.n_matrices == 2
        assert found >= bar
        assert false == 0
        assert codes >= learnt.report["promised"] - 0.04
        assert tau > 0.3 or error < 1e-14
    check_columns(learnt, R)
    peeled = score(learn_dictionary(Y, b, w, rounds=4), R, x)
    assert peeled[1] > codes or codes == 1
    assert peeled[0] >= found
    assert peeled[2] < 0.01
    assert peeled[3] == 0


def test_the_papers_rule_loses_columns():
    R, x, Y = problem(1050, 42, 4, 4, 4200)
    pooled, papers = (
        score(learn_dictionary(Y, 42, 4, rule=r), R, x) for r in ("pooled", "per_sample")
    )
    assert papers[0] < 0.9 < 0.998 <= pooled[0]
    assert papers[3] == 0


def test_sparsity_law_and_peeling():
    for k, columns in ((3, 0.998), (6, 0.985)):
        R, x, Y = problem(1050, 42, 8, k, 10 * 1050 // k, matrices=1, least=1.0, seed=k)  # A = 10
        load = k * 8 / 25
        learnt = learn_dictionary(Y, 42, 8)
        found, codes, _, false = score(learnt, R, x)
        expected = 1 - (1 - math.exp(-load)) ** 8
        assert abs(learnt.report["load"] - load) < 0.35 * load
        assert found >= columns
        assert false == 0
        assert codes >= expected - 0.04
        assert score(learn_dictionary(Y, 42, 8, rounds=6), R, x)[1] > 0.999


def test_noise():
    R, x, Y = problem(1050, 42, 5, 2, 4200, matrices=1, dtype=np.float32)
    rng = np.random.default_rng(1)
    entry = 0.5 / math.sqrt(5 * 42)  # of the smallest column
    noisy = Y + np.float32(0.2 * entry) * rng.standard_normal(Y.shape, dtype=np.float32)
    found, _, error, false = score(learn_dictionary(noisy, 42, 5), R, x)
    assert found >= 0.99
    assert error <= 0.06
    assert false == 0
    spikes = Y.copy().reshape(len(Y), 25, 42)  # noise of bounded l1 norm
    s, i = np.nonzero(rng.random(spikes.shape[:2]) < 0.3)
    spikes[s, i, rng.integers(0, 42, len(s))] += 4 * entry * rng.choice([-1, 1], len(s))
    spiky = spikes.reshape(Y.shape)
    found, _, _, false = score(learn_dictionary(spiky, 42, 5), R, x)
    assert found >= 0.99
    assert false > 0
    found, _, _, false = score(learn_dictionary(spiky, 42, 5, min_rows=3), R, x)
    assert found >= 0.97
    assert false == 0


def test_transform():
    R, _x, Y = problem(546, 39, 4, 2, 4368)
    learnt = learn_dictionary(Y, 39, 4, rounds=3)
    _, z, new = problem(546, 39, 4, 2, 50, seed=0)
    codes = learnt.transform(new).toarray()
    order = order_of(learnt, R)
    own = np.concatenate([codes[:, np.argmax(order == m) * 546 :][:, :546] for m in (0, 1)], axis=1)
    assert (np.abs(own - z) < 1e-9).mean() > 0.999
    assert learnt.transform(np.zeros((0, 546))).shape == (0, 2 * 546)


def test_threads_change_nothing():
    _, _, Y = problem(1050, 42, 4, 4, 500)
    before = pympf.get_num_threads()
    results = []
    for threads in (1, 2, 3):
        pympf.set_num_threads(threads)
        learnt = learn_dictionary(Y, 42, 4, rounds=1)
        results.append(
            [learnt.codes.toarray().tobytes(), learnt.row.tobytes(), learnt.strings.tobytes()]
        )
    pympf.set_num_threads(before)
    assert results[0] == results[1] == results[2]


# ---- recursion -----------------------------------------------------------------------------------


def test_recursion_at_d_64980():
    d, b = 64980, 57
    rng = np.random.default_rng(2)
    outer = BlockSparse(d, b=b, w=5, seed=7, name="outer")
    inner = BlockSparse(d, b=b, w=1, seed=7, name="inner")
    pool = np.sort(rng.choice(d, 60, replace=False))
    columns = outer.apply(np.asarray(inner.columns(pool)))
    which, x = (
        rng.permutation(np.arange(300) % 60),
        rng.uniform(0.5, 1, 300) * rng.choice([-1, 1], 300),
    )
    Y = np.ascontiguousarray((columns[:, which] * x).T.astype(np.float32))
    learnt = learn_levels(Y, b, [5, 1])
    active = np.unique(np.nonzero(inner.columns(pool))[0])
    assert learnt.n_matrices == 1
    assert np.isin(active, learnt.column).mean() >= 0.998
    second = learnt.inner[0]
    assert second.n_matrices == 1
    assert np.isin(pool, second.column).mean() >= 0.90
    codes = second.code(0)[np.arange(300), pool[which]]
    there = np.asarray(codes).ravel() != 0
    assert there.mean() >= 0.85
    assert np.abs(np.asarray(codes).ravel() - x)[there].max() < 1e-5
    share = promised(learnt.report["load"], 5, b, 1)
    assert abs(share - np.isin(pool, second.column).mean()) < 0.1


def test_recursion_is_refused_where_it_fails():
    d, b = 4128, 48
    outer, inner = (BlockSparse(d, b=b, w=w, seed=1, name=str(w)) for w in (5, 1))
    columns = outer.apply(np.asarray(inner.columns(np.arange(30))))
    with pytest.raises(Outside, match=r"hold .* columns on the average"):
        learn_levels(np.ascontiguousarray(columns.T), b, [5, 1])


# ---- bad input -----------------------------------------------------------------------------------


def test_bad_input():
    Y = np.ones((3, 132))
    for change, error, words in (
        ({"block": 32}, ValueError, "block 32 does not fit size 132"),
        ({"block": 36}, ValueError, "does not fit"),
        ({"block": 12}, ValueError, "multiple of 3 in .33, 192."),
        ({"weight": 0}, ValueError, "weight"),
        ({"weight": 5}, ValueError, "weight"),
        ({"weight": math.nan}, ValueError, "weight"),
        ({"tau": 1.0}, ValueError, "tau"),
        ({"fraction": 0}, ValueError, "fraction"),
        ({"min_hits": 0}, ValueError, "min_hits"),
        ({"rounds": -1}, ValueError, "rounds"),
        ({"floor": -1.0}, ValueError, "floor"),
        ({"rule": "other"}, ValueError, "pooled, per_sample"),
        ({"Y": Y * np.nan}, ValueError, "finite numbers"),
        ({"Y": Y * np.inf}, ValueError, "row 0"),
        ({"Y": Y[0]}, ValueError, "expected shape"),
        ({"Y": Y * 1j}, TypeError, "real"),
        ({"Y": np.zeros((3, 0))}, ValueError, "expected shape"),
    ):
        with pytest.raises(error, match=words):
            learn_dictionary(**({"Y": Y, "block": 33, "weight": 2} | change))
    with pytest.raises(ValueError, match="at least one level"):
        learn_levels(Y, 33, [])
    empty = learn_dictionary(np.zeros((0, 132)), 33, 2)
    assert (empty.n_atoms, empty.n_matrices, empty.codes.shape) == (0, 0, (0, 0))
    nothing = learn_dictionary(np.zeros((5, 132)), 33, 2, rounds=2)
    assert nothing.report["load"] == 0
    assert nothing.transform(Y).shape == (3, 0)
    with pytest.raises(ValueError, match="matrix 0"):
        nothing.columns(0)
