"""Sketch matrices: against their dense twins, their laws, and what they refuse."""

import numpy as np
import pytest
import scipy.sparse.linalg as spla
from hypothesis import given, settings
from hypothesis import strategies as st

from pympf.ref import sketch as ref
from pympf.sketch import BlockSparse, Orthonormal, encode, fit_dimension
from pympf.sketch._matrix import name_word

LAWS = [{"w": 2}, {"w": 4}, {"q": 1.0}, {"q": 0.3}, {"q": 0.05}]


def twin(R):
    law = {"q": R.q} if R.w is None else {"w": R.w}
    return ref.block_sparse(R.d, R.b, seed=R.seed, name=name_word(R.name), **law)


@pytest.mark.parametrize("law", LAWS, ids=str)
@pytest.mark.parametrize("stored", [False, True])
def test_products_are_those_of_the_twin(law, stored):
    R = BlockSparse(132, b=33, seed=2**40 + 7, name="cat", stored=stored, **law)
    D = twin(R)
    assert (R.toarray() == D).all()  # bit for bit
    rng = np.random.default_rng(0)
    for k in (1, 2, 8, 33, 70):
        X = rng.standard_normal((R.d, k))
        for dtype, tolerance in ((np.float64, 1e-13), (np.float32, 1e-4)):
            Y = X.astype(dtype)
            np.testing.assert_allclose(R.apply(Y), D @ X, atol=tolerance)
            np.testing.assert_allclose(R.apply_transpose(Y), D.T @ X, atol=tolerance)
            assert R.apply(Y).dtype == dtype
    x = rng.standard_normal(R.d)
    np.testing.assert_allclose(R @ x, D @ x, atol=1e-13)
    np.testing.assert_allclose(R.T @ x, D.T @ x, atol=1e-13)


@given(st.integers(1, 8), st.integers(0, 2**64 - 1), st.text(max_size=5), st.floats(0.01, 1.0))
@settings(max_examples=20, deadline=None)
def test_stored_blocks_are_the_drawn_ones(w, seed, name, q):
    for law in ({"w": min(w, 4)}, {"q": q}):
        drawn = BlockSparse(132, b=33, seed=seed, name=name, **law)
        stored = BlockSparse(132, b=33, seed=seed, name=name, stored=True, **law)
        x = np.random.default_rng(0).standard_normal((132, 5))
        assert (drawn.apply(x) == stored.apply(x)).all()
        assert (drawn.apply(x[:, 0]) == stored.apply(x[:, 0])).all()
        assert (drawn.apply_transpose(x) == stored.apply_transpose(x)).all()
        assert (drawn.apply_transpose(x[:, 0]) == stored.apply_transpose(x[:, 0])).all()
        assert stored.n_nonzero_blocks == len(drawn.blocks(np.arange(132)).row)


@pytest.mark.parametrize("law", [{"w": 5}, {"q": 0.2}], ids=str)
def test_parts_of_a_matrix_make_it_up(law):
    R = BlockSparse(546, b=39, seed=1, name=3, **law)
    js = np.array([0, 17, 545])
    blocks, sigma_s = R.blocks(js), R.random_strings(js)
    D = np.zeros((R.d, len(js)))
    for j, i, fs, fc, fm in zip(*blocks, strict=True):
        at = int(np.flatnonzero(js == j)[0])
        code = R.column_signatures([j], fm * R.matrix_signature[0], fs * sigma_s[at, 0])[0]
        block = np.concatenate([fs * sigma_s[at], fc * code, fm * R.matrix_signature])
        D[i * R.b : (i + 1) * R.b, at] = R.scale * block
    assert (R.columns(js) == D).all()
    np.testing.assert_allclose((D**2).sum(axis=0), R.column_norms2(js))


def test_names_and_seeds_are_independent():
    matrices = [BlockSparse(546, b=39, w=4, seed=s, name=n) for s in (0, 1) for n in ("a", "b")]
    dense = [R.toarray().ravel() for R in matrices]
    for i, one in enumerate(dense):
        for other in dense[:i]:
            assert abs(one @ other) / (one @ one) < 0.02


def test_block_rows_are_uniform():
    """The blocks of a column fall into every block row of their range equally often."""
    R = BlockSparse(4128, b=48, w=4, seed=3)
    rows = R.blocks(np.arange(R.d)).row
    counts = np.bincount(rows, minlength=R.n_blocks)
    expected = R.d * R.w / R.n_blocks
    assert abs(counts - expected).max() < 5 * np.sqrt(expected) * 1.2
    sparse = BlockSparse(4128, b=48, q=0.05, seed=3)
    blocks = sparse.blocks(np.arange(R.d))
    assert abs(len(blocks.row) / (R.d * sparse.n_blocks) - 0.05) < 5 * 0.05 / np.sqrt(
        len(blocks.row)
    )
    assert all(abs(signs.mean()) < 0.05 for signs in blocks[2:])


@pytest.mark.parametrize("q", [1.0, 0.3])
@pytest.mark.parametrize(("d", "b"), [(1050, 42), (2070, 45)])
def test_laws_of_the_distribution(d, b, q):
    """Norms of columns, their products, and the norm of the matrix, within the measured bars."""
    R = BlockSparse(d, b=b, q=q, seed=5, name="laws")
    norms2 = R.column_norms2(np.arange(d))
    if q == 1:
        np.testing.assert_allclose(norms2, 1, rtol=1e-12)
    else:
        assert norms2.std() == pytest.approx(np.sqrt((1 - q) * b / (d * q)), rel=0.07)
    A = R.columns(np.arange(0, d, 3))
    products = (A.T @ A)[~np.eye(A.shape[1], dtype=bool)]
    assert products.std() * np.sqrt(d) == pytest.approx(np.sqrt(2 / 3 + b / 9), rel=0.05)
    norm = spla.svds(R, k=1, return_singular_vectors=False, random_state=0)[0]
    assert norm == pytest.approx(np.sqrt(b / 3) * (1 + 1 / np.sqrt(b)), rel=0.03)


@pytest.mark.parametrize("d", [2, 16, 256])
def test_orthonormal_products_are_those_of_the_twin(d):
    R = Orthonormal(d, seed=5, name="x")
    D = ref.orthonormal(d, seed=5, name=name_word("x"))
    np.testing.assert_allclose(R.toarray(), D, atol=1e-14)
    np.testing.assert_allclose(D @ D.T, np.eye(d), atol=1e-14)
    X = np.random.default_rng(0).standard_normal((d, 11))
    np.testing.assert_allclose(R.apply_transpose(X), D.T @ X, atol=1e-13)
    np.testing.assert_allclose(R.apply(X.astype(np.float32)), D @ X, atol=1e-5)


def test_number_of_threads_changes_nothing():
    from pympf import _core

    R = BlockSparse(1050, b=42, w=5, seed=1)
    X = np.random.default_rng(0).standard_normal((R.d, 40))
    before = _core.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            _core.set_num_threads(threads)
            results.append([R.apply(X), R.apply_transpose(X), R.apply(X[:, 0])])
    finally:
        _core.set_num_threads(before)
    for result in results[1:]:
        assert all((a == b).all() for a, b in zip(results[0], result, strict=True))


def test_fits_and_encodings():
    assert fit_dimension(1024, b=42) == (1050, 42)
    for d in (100, 512, 1000, 4096, 65536):
        fit, b = fit_dimension(d)
        assert fit >= d
        assert fit % b == 0
        assert b % 3 == 0
        assert b >= 3 * (int(np.ceil(np.log2(fit))) + 3)
    assert fit_dimension(100, modules=2**20)[1] == 60
    codes = encode(np.arange(132), 1, -1, 132, 11)
    assert len(np.unique(codes, axis=0)) == 132
    assert (codes[:, 0] == 1).all()
    assert (codes[:, 10] == -1).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"d": 1000}, "nearest above that is: d = 1014, b = 39"),
        ({"d": 1050, "b": 40}, "b = 40 is not a multiple of 3"),
        ({"d": 1050, "b": 21}, "at least 42"),
        ({"d": 1050, "b": 42, "q": 0.5, "w": 3}, "expected q or w"),
        ({"d": 1050, "b": 42, "q": 0.0}, r"probability in \(0, 1\]"),
        ({"d": 1050, "b": 42, "q": 1.5}, r"probability in \(0, 1\]"),
        ({"d": 1050, "b": 42, "w": 26}, r"w = 26 is not an integer in \[1, 25\]"),
        ({"d": 1050, "b": 42, "seed": -1}, "seed = -1"),
        ({"d": 2}, "d = 2"),
        ({"d": 273000, "b": 273}, "expected a block size b of"),
    ],
)
def test_bad_sizes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BlockSparse(**arguments)


def test_bad_vectors_are_refused():
    R = BlockSparse(132, b=33)
    for bad in (np.zeros(131), np.zeros((132, 2, 2)), np.full(132, np.nan), np.full(132, np.inf)):
        with pytest.raises(ValueError, match="x: expected"):
            R.apply(bad)
    with pytest.raises((ValueError, TypeError)):
        R.apply(np.zeros(132, dtype=complex))
    with pytest.raises(ValueError, match="nearest is 128"):
        Orthonormal(132)
    assert R.apply(np.zeros((132, 0))).shape == (132, 0)


def test_scipy_takes_it():
    R = Orthonormal(256, seed=1)
    x = np.random.default_rng(0).standard_normal(256)
    found = spla.lsqr(R, R @ x, atol=1e-12, btol=1e-12)[0]
    np.testing.assert_allclose(found, x, atol=1e-10)
