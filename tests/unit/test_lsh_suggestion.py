"""`Table.suggest` keeps what it promises on queries that it has not seen, and takes odd points."""

import numpy as np
import pytest
import scipy.sparse as sp

from pympf.lsh import HyperplaneHash, Suggestion, Table
from pympf.lsh.suggestion import KINDS


def clusters(n, d, seed, spread=0.3, mean=5.0):
    centres = mean + np.random.default_rng(0).standard_normal((60, d))
    rng = np.random.default_rng(seed)
    return centres[rng.integers(0, 60, n)] + spread * rng.standard_normal((n, d))


def uniform(n, d, seed):
    return np.random.default_rng(seed).random((n, d))


def recall_of(suggestion, X, Q, k):
    """The recall on other queries; brute force in NumPy says what is near."""
    exact = np.sort(((Q[:, np.newaxis] - X) ** 2).sum(axis=2), axis=1)[:, :k] ** 0.5
    distances, ids = suggestion.fit(X).query(Q, k, **suggestion.search)
    np.testing.assert_allclose(
        distances[ids >= 0],
        np.linalg.norm(X[ids[ids >= 0]] - np.repeat(Q, (ids >= 0).sum(axis=1), axis=0), axis=1),
        rtol=1e-6,
        atol=1e-6,
    )
    found = distances <= exact[:, -1:] * (1 + 1e-6)
    return found.mean(), found.mean(axis=1).std() / len(Q) ** 0.5


@pytest.mark.parametrize("kind", [None, *KINDS])
@pytest.mark.parametrize(
    ("draw", "dtype"), [(clusters, np.float64), (uniform, np.float32)], ids=["clusters", "uniform"]
)
def test_the_recall_holds_on_other_queries(draw, dtype, kind):
    """Within the sampling error of both: what it says, and what it was asked for."""
    X, Q = (draw(n, 12, seed).astype(dtype) for n, seed in ((3000, 1), (300, 2)))
    kinds = KINDS if kind is None else [kind]
    suggestion = Table.suggest(X, k=5, recall=0.9, kinds=kinds)
    assert (suggestion.n_points, suggestion.n_sample, suggestion.n_queries) == (3000, 2600, 200)
    assert suggestion.asked == 0.9
    recall, error = recall_of(suggestion, X, Q, 5)
    assert suggestion.recall >= 0.9 - 4 * suggestion.error
    assert recall >= 0.9 - 4 * error
    assert recall >= suggestion.recall - 4 * np.hypot(error, suggestion.error)
    if kind is not None:
        assert set(suggestion.search) == {"candidates" if kind == "codes" else "probes"}
    (name,) = suggestion.search
    text = str(suggestion)
    assert f"{name}={suggestion.search[name]}" in text
    assert repr(suggestion.family) in text


def test_more_recall_needs_more():
    X = uniform(2000, 10, 1)
    low, high = (Table.suggest(X, recall=r, kinds=["codes"]) for r in (0.5, 0.99))
    assert high.recall > low.recall
    everything = Table.suggest(X, recall=1.0, kinds=["codes"])
    assert everything.recall == 1
    assert recall_of(everything, X, uniform(50, 10, 3), 10)[0] >= 0.99


def test_candidates_are_scaled_up_from_a_sample():
    """Nearer points have keys that are more alike: the recall on all of them is not less."""
    X, Q = uniform(4000, 12, 1), uniform(200, 12, 2)
    suggestion = Table.suggest(X, k=5, recall=0.9, sample=1000, kinds=["codes"])
    assert suggestion.n_sample == 1000
    assert "on 1000 of 4000 points" in str(suggestion)
    recall, error = recall_of(suggestion, X, Q, 5)
    assert recall >= 0.9 - 4 * error


def test_a_recall_that_no_setting_reaches_is_said(monkeypatch):
    for name, value in (("TABLES", (1,)), ("MOST_PROBES", 2)):
        monkeypatch.setattr(f"pympf.lsh.suggestion.{name}", value)
    suggestion = Table.suggest(uniform(1500, 40, 1), recall=0.99, kinds=["planes"])
    assert suggestion.recall < 0.9
    assert "asked for: 0.99)" in str(suggestion)


@pytest.mark.parametrize(
    "X",
    [
        np.ones((500, 3)),
        np.zeros((500, 3)),
        np.repeat(np.eye(4), 200, axis=0),
        np.linspace(0, 1, 400)[:, np.newaxis],
        np.arange(900).reshape(300, 3) % 7,
        np.full((300, 2), 1e-300),
    ],
    ids=["constant", "zero", "duplicates", "one feature", "integers", "tiny"],
)
def test_odd_points(X):
    """Of equal points any is as near as another: nothing is lost."""
    suggestion = Table.suggest(X, k=4, recall=0.95)
    assert suggestion.recall >= 0.95 - 4 * suggestion.error
    distances, ids = suggestion.fit(X).query(X[:3], 4, **suggestion.search)
    assert (ids >= 0).all()
    assert np.isfinite(distances).all()


@pytest.mark.parametrize("n", [2, 3, 5, 30, 61])
def test_few_points(n):
    """Fewer than the neighbours asked for, or too few to try anything: all are measured."""
    X = uniform(n, 3, 0)
    suggestion = Table.suggest(X, k=10)
    _, ids = suggestion.fit(X).query(X, min(n, 10), **suggestion.search)
    assert suggestion.recall >= 0.9
    if n < 60:
        assert suggestion.search == {"candidates": n}
        assert (np.sort(ids, axis=1)[:, 0] >= 0).all()
        assert (ids[:, 0] == np.arange(n)).all()


def test_the_same_seed_draws_the_same_sample():
    X = uniform(600, 6, 0)
    first, second = (Table.suggest(X, kinds=["codes"], recall=1.0, seed=7) for _ in range(2))
    assert isinstance(first, Suggestion)
    assert first.family.seed == 7
    np.testing.assert_array_equal(first.center, second.center)


@pytest.mark.parametrize(
    ("X", "options", "error", "text"),
    [
        (np.ones((1, 3)), {}, ValueError, "at least 2 points, got 1"),
        (np.ones(5), {}, ValueError, "expected shape"),
        (np.ones((5, 0)), {}, ValueError, "expected shape"),
        (
            np.array([[1.0, 2], [np.nan, 1], [1, 1]]),
            {},
            ValueError,
            r"finite.* nan at \(1, 0\)",
        ),
        (np.array([[1.0, 2], [np.inf, 1], [1, 1]]), {}, ValueError, "finite"),
        (sp.eye_array(9), {}, TypeError, "toarray"),
        (np.array([["a"], ["b"]]), {}, TypeError, "real"),
        (np.ones((9, 2)), {"k": 0}, ValueError, "k = 0"),
        (np.ones((9, 2)), {"recall": 0}, ValueError, "recall = 0"),
        (np.ones((9, 2)), {"recall": 1.5}, ValueError, "recall = 1.5"),
        (np.ones((9, 2)), {"recall": np.nan}, ValueError, "recall"),
        (np.ones((9, 2)), {"kinds": ["code"]}, ValueError, "codes"),
        (np.ones((9, 2)), {"kinds": "codes"}, ValueError, "in a list"),
        (np.ones((9, 2)), {"kinds": []}, ValueError, "kinds"),
        (np.ones((9, 2)), {"sample": 1}, ValueError, "sample"),
        (np.ones((9, 2)), {"queries": 1}, ValueError, "queries"),
        (np.ones((9, 2)), {"seed": -1}, ValueError, "seed"),
    ],
)
def test_bad_input(X, options, error, text):
    with pytest.raises(error, match=text):
        Table.suggest(X, **options)


# ---- the centre of a table -----------------------------------------------------------------------


def test_a_table_around_a_centre_is_the_table_of_the_differences(tmp_path):
    X, Q = uniform(200, 5, 0), uniform(20, 5, 1)
    center = X.mean(axis=0)
    family = HyperplaneHash(5, 64)
    centred = Table(family, center=center).fit(X)
    plain = Table(family).fit(X - center)
    for one, other in zip(
        centred.query(Q, 3, candidates=10), plain.query(Q - center, 3, candidates=10), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    centred.save(tmp_path / "a.h5")
    again = Table.load(tmp_path / "a.h5")
    np.testing.assert_array_equal(again.center, center)
    np.testing.assert_array_equal(again.query(Q, 3)[1], centred.query(Q, 3)[1])
    again.add(X[:1])
    assert again.query(X[:1], 2)[0].tolist() == [[0, 0]]
    clone = pytest.importorskip("sklearn.base").clone(centred)
    np.testing.assert_array_equal(clone.center, center)


@pytest.mark.parametrize(
    "center", [np.ones(4), np.array([1, 2, np.nan, 4, 5]), "abc", np.ones((5, 2))]
)
def test_bad_centres(center):
    with pytest.raises((ValueError, TypeError), match="center"):
        Table(HyperplaneHash(5, 8), center=center)
