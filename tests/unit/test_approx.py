"""Factorizations of nonsymmetric matrices by rotations: their laws, files and refusals."""

import copy
import pickle

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import pympf
from pympf import approx, gallery, set_num_threads

from ..helpers import assert_close, rectangular, rounding

EXACT = {"drop": 0.0, "max_fill": 1e9}
few = settings(max_examples=60)


def rotated_exactly(F, A):
    """Check that P and Q are orthogonal, and what the error says; return P and Q."""
    P, Q = F.row_wavelets().toarray().T, F.column_wavelets().toarray().T
    for basis in (P, Q):
        assert_close(basis.T @ basis, np.eye(len(basis)))
    H, norm = F.coefficients.toarray(), np.linalg.norm(A)
    dense = P @ H @ Q.T
    left_out = np.linalg.norm(A - dense)
    report = F.report()
    assert left_out == pytest.approx(report.error * norm, abs=1e-12 * norm)
    assert np.linalg.norm(H) ** 2 + left_out**2 == pytest.approx(norm**2, rel=1e-12)
    assert_close(F @ np.eye(A.shape[1]), dense, scale=norm)
    assert_close(F.T @ np.eye(A.shape[0]), dense.T, scale=norm)
    return P, Q


@few
@given(rectangular(most=12), st.data())
def test_direct(A, data):
    smaller = min(A.shape)
    params = {
        "core_size": data.draw(st.integers(0, smaller)),
        "rotations": data.draw(st.integers(0, 3 * max(A.shape))),
        "sparsify": data.draw(st.sampled_from(["diagonal", "top", "greedy"])),
    }
    F = pympf.factorize_direct(A, **params, **EXACT)
    P, Q = rotated_exactly(F, A)
    assert F.core_size == params["core_size"] == len(F.core_columns)
    assert F.rotations <= params["rotations"]
    assert F.error(A) == pytest.approx(F.report().error, abs=1e-12)
    # Rows and columns of zeros are never rotated.
    for lines, basis in ((A, P), (A.T, Q)):
        for i in np.flatnonzero(~lines.any(axis=1)):
            assert np.array_equal(basis[i], np.eye(len(basis))[i])
    (core, _), _ = F.blocks()
    B = P.T @ A @ Q
    inside = np.ix_(F.core_rows, F.core_columns)
    assert_close(core.toarray(), B[inside], scale=np.linalg.norm(A))
    if params["sparsify"] == "greedy":
        outside = F.coefficients.toarray()
        outside[inside] = 0
        for axis in (0, 1):
            assert np.count_nonzero(outside, axis=axis).max(initial=0) <= 1


@few
@given(rectangular(most=10))
def test_a_rotation_moves_its_gain_to_the_diagonal(A):
    norm2 = np.sum(A**2)
    before = pympf.factorize_direct(A, core_size=0, rotations=0, sparsify="diagonal", **EXACT)
    after = pympf.factorize_direct(A, core_size=0, rotations=1, sparsify="diagonal", **EXACT)
    paired = before.coefficients.toarray()
    column = np.full(A.shape[0], -1)
    matching = pympf.matching.maximum_sum((A / abs(A).max(initial=1e-300)) ** 2)
    column[:] = matching.column
    free = [j for j in range(A.shape[1]) if matching.row[j] < 0]
    for i in np.flatnonzero(column < 0)[: len(free)]:
        column[i] = free.pop(0)
    n = max(A.shape)
    B = np.zeros((n, n))
    rest = [*column, *free] if A.shape[0] < A.shape[1] else column
    for p, j in enumerate(rest):
        if j >= 0:
            B[: A.shape[0], p] = A[:, j]
    gains = np.triu(B**2 + (B**2).T, 1)
    moved = np.sum(after.coefficients.toarray() ** 2) - np.sum(paired**2)
    assert moved == pytest.approx(gains.max(), abs=1e-12 * norm2)


@few
@given(rectangular(most=9))
def test_enough_rotations_are_a_singular_value_decomposition(A):
    F = pympf.factorize_direct(A, core_size=0, rotations=2000, sparsify="diagonal", **EXACT)
    norm = np.linalg.norm(A)
    values = np.sort(abs(F.coefficients.data))[::-1][: min(A.shape)]
    exact = np.linalg.svd(A, compute_uv=False)
    assert F.report().error <= 1e-6
    np.testing.assert_allclose(values, exact[: len(values)], atol=1e-6 * max(norm, 1e-300))


@few
@given(st.integers(1, 14), st.integers(0, 2**32), st.floats(0.2, 1.0), st.data())
def test_skew(n, seed, density, data):
    rng = np.random.default_rng(seed)
    K = np.triu(rng.standard_normal((n, n)) * (rng.random((n, n)) < density), 1)
    K = K - K.T
    core, count = data.draw(st.integers(0, n)), data.draw(st.integers(0, 2 * n))
    F = pympf.factorize_skew(K, core_size=core, rotations=count, **EXACT)
    P, Q = rotated_exactly(F, K)
    assert np.array_equal(P, Q)
    H = F.coefficients.toarray()
    assert np.array_equal(H, -H.T)
    assert F.core_size in (core, core - 1)
    assert F.rotations <= count
    values = F.eigenvalues()
    assert len(values) == n
    assert np.all(values.real == 0)
    exact = np.sort(np.linalg.eigvals(P @ H @ P.T).imag)
    np.testing.assert_allclose(values.imag, exact, atol=1e-12 * max(np.linalg.norm(K), 1e-300))


def test_skew_blocks_have_the_eigenvalues_of_four_rows(rng):
    for _ in range(20):
        K = rng.standard_normal((4, 4))
        K = K - K.T
        F = pympf.factorize_skew(K, core_size=0, rotations=1, **EXACT)
        assert F.report().error <= rounding(10)
        exact = np.sort(np.linalg.eigvals(K).imag)
        np.testing.assert_allclose(F.eigenvalues().imag, exact, atol=1e-14)


@few
@given(st.integers(1, 12), st.integers(0, 2**32), st.data())
def test_additive(n, seed, data):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n)) * (rng.random((n, n)) < 0.5)
    F = pympf.factorize_additive(A, core_size=data.draw(st.integers(0, n)), **EXACT)
    S, K = (A + A.T) / 2, (A - A.T) / 2
    rotated_exactly(F.symmetric, S)
    rotated_exactly(F.skew, K)
    H = F.symmetric.coefficients.toarray()
    assert np.array_equal(H, H.T)
    parts = [
        part.report().error * np.linalg.norm(of) for part, of in ((F.symmetric, S), (F.skew, K))
    ]
    total = F.error(A) * max(np.linalg.norm(A), 1e-300)
    assert total == pytest.approx(np.hypot(*parts), abs=1e-12 * np.linalg.norm(A))
    assert_close(F.T @ np.eye(n), (F @ np.eye(n)).T, scale=np.linalg.norm(A))


def test_dropping_saves_fill_and_the_bound_holds(rng):
    A = sp.random_array((300, 260), density=0.03, rng=rng, format="csr")
    exact = pympf.factorize_direct(A, core_size=20, **EXACT)
    F = pympf.factorize_direct(A, core_size=20, drop=0.2, max_fill=1e9)
    report = F.report()
    assert not report.is_exact
    assert exact.report().is_exact
    assert report.nnz < 0.7 * exact.report().nnz
    assert sum(stage["dropped"] ** 2 for stage in report.stages) <= 0.2**2 * (1 + 1e-12)
    assert F.error(A) <= report.error_bound
    assert F.error(A) == pytest.approx(report.error, abs=0.03)
    assert F.error_estimate(A) == pytest.approx(F.error(A), rel=0.2)
    assert "estimated error" in str(report)


def test_fill_ends_the_run_and_the_report_says_so(rng):
    A = sp.random_array((200, 200), density=0.05, rng=rng, format="csr")
    report = pympf.factorize_direct(A, core_size=0, drop=0, max_fill=2).report()
    assert report.stop == "max_fill"
    assert report.fill <= 2
    assert report.rotations < 200


def test_solve(rng):
    A = sp.random_array((50, 50), density=0.1, rng=rng, format="csr") + 2 * sp.eye_array(50)
    F = pympf.factorize_direct(A, core_size=10)
    x = rng.standard_normal((50, 3))
    assert_close(F.solve(F @ x), x, multiple=1e5)
    assert F.solve(np.ones(50)).shape == (50,)
    K = pympf.factorize_skew(A - A.T, core_size=50)
    assert_close(K.solve(K @ x), x, multiple=1e6)


def test_solve_names_what_is_singular():
    singular = [[1.0, 0, 0], [0, 2.0, 0], [0, 0, 0]]
    with pytest.raises(np.linalg.LinAlgError, match="row 2 is empty"):
        pympf.factorize_direct(singular).solve(np.ones(3))
    rank_one = pympf.factorize_direct(np.ones((4, 4)), rotations=0)
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        rank_one.solve(np.ones(4))
    with pytest.raises(ValueError, match="only a square"):
        pympf.factorize_direct([[1.0, 2.0]]).solve([1.0])
    scaled = pympf.factorize_direct(np.diag([1.0, 1e-30]))
    np.testing.assert_allclose(scaled.solve([1.0, 1e-30]), [1, 1])


def directed_grid(n=24):
    """A nonsymmetric matrix of a few stages."""
    flow = sp.diags_array([1.5 * np.ones(n * n - 1)], offsets=[1])
    return sp.csr_array(gallery.poisson((n, n)) + flow)


def test_same_bits_for_any_number_of_threads():
    A = directed_grid(90)
    assert A.nnz > 32768  # worth threads
    found = []
    for threads in (1, 2, 3):
        set_num_threads(threads)
        direct = pympf.factorize_direct(A, rotations=4000)
        both = pympf.factorize_additive(A)
        found.append([F._factors.state() for F in (direct, both.symmetric, both.skew)])
        found[-1].append({"product": direct @ np.ones((A.shape[0], 20))})
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            for name, value in one.items():
                assert np.array_equal(np.hstack(value), np.hstack(two[name])), name


def every_kind():
    A = directed_grid(8)
    yield pympf.factorize_direct(A[:, :50], core_size=7)
    yield pympf.factorize_skew(A - A.T, core_size=7)
    yield pympf.factorize_additive(A, core_size=7)


@pytest.mark.parametrize("exponent", [-1010, 1010])
def test_errors_do_not_depend_on_the_scale(exponent, rng):
    """Squares of these entries overflow or vanish."""
    A = sp.csr_array(sp.random_array((64, 64), density=0.08, rng=rng) + sp.eye_array(64) * 0.1)
    K = sp.csr_array(A - A.T)

    def errors(A, K):
        F = pympf.factorize_direct(A, core_size=0)
        return [
            F.error(A),
            F.report().error,
            F.error_estimate(A),
            pympf.factorize_skew(K, core_size=0).error(K),
            pympf.factorize_additive(A, core_size=0).error(A),
            *(pympf.cur(A, 20, selection=how).error(A) for how in approx.lowrank.SELECTIONS),
            pympf.compress(A, 2500).error(A),
            approx.singular_value_decay(A, 3)[-1],
        ]

    expected = errors(A, K)
    for M in (A, K):
        M.data = np.ldexp(M.data, exponent)
    np.testing.assert_allclose(errors(A, K), expected, rtol=1e-12)


def test_files_pickles_and_copies_are_the_same(tmp_path):
    for F in every_kind():
        F.save(tmp_path / "F.h5")
        x = np.ones(F.shape[1])
        for G in (approx.load(tmp_path / "F.h5"), pickle.loads(pickle.dumps(F)), copy.deepcopy(F)):
            assert type(G) is type(F)
            assert np.array_equal(G @ x, F @ x)
            assert np.array_equal(G.T @ np.ones(F.shape[0]), F.T @ np.ones(F.shape[0]))
            assert G.report() == F.report()
            assert str(G.report()) == str(F.report())
            assert G.nbytes == F.nbytes


def test_damaged_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "F.h5"
    F = next(every_kind())
    F.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OSError, match=r"F\.h5"):
        approx.load(path)

    def changed(change):
        path.write_bytes(whole)
        with h5py.File(path, "r+") as file:
            change(file)
        with pytest.raises(OSError, match=r"F\.h5"):
            approx.load(path)

    def rewrite(name, values):
        def change(file):
            del file[name].attrs["crc32"]
            file[name][:] = values

        return change

    changed(lambda file: file["tangents"].write_direct(np.zeros(file["tangents"].shape)))
    changed(rewrite("tangents", np.nan))
    changed(rewrite("pairs", 10**6))
    changed(rewrite("column", 3))
    changed(rewrite("H/indices", -1))
    changed(rewrite("parts", 1))
    changed(lambda file: file.attrs.__setitem__("type", np.bytes_("mmf")))
    changed(lambda file: file.attrs.__setitem__("format_version", 99))
    changed(lambda file: file.__delitem__("stages"))
    pympf.factorize(gallery.poisson(9)).save(path)
    with pytest.raises(OSError, match="expected one of the types"):
        approx.load(path)
    F.save(path)
    with pytest.raises(OSError, match="expected type 'mmf'"):
        pympf.load(path)
    with pytest.raises(OSError, match="No such file"):
        approx.load(tmp_path / "none.h5")


SQUARE = np.arange(9.0).reshape(3, 3)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: pympf.factorize_direct(np.ones((0, 2))), ValueError, "at least one row"),
        (lambda: pympf.factorize_direct([[np.inf]]), ValueError, "finite"),
        (lambda: pympf.factorize_direct([[1j]]), TypeError, "real numbers"),
        (lambda: pympf.factorize_direct([1.0]), ValueError, "two dimensions"),
        (lambda: pympf.factorize_direct(SQUARE, core_size=4), ValueError, "core_size = 4"),
        (lambda: pympf.factorize_direct(SQUARE, core_size=-1), ValueError, "core_size = -1"),
        (lambda: pympf.factorize_direct(SQUARE, core_size=1.5), TypeError, "not an integer"),
        (lambda: pympf.factorize_direct(SQUARE, rotations=True), TypeError, "not an integer"),
        (lambda: pympf.factorize_direct(SQUARE, entries=-1), ValueError, "entries = -1"),
        (lambda: pympf.factorize_direct(SQUARE, sparsify="best"), ValueError, "is not one of"),
        (
            lambda: pympf.factorize_direct(SQUARE, sparsify="diagonal", entries=2),
            ValueError,
            "entries",
        ),
        (lambda: pympf.factorize_direct(SQUARE, drop=-0.1), ValueError, "drop = -0.1"),
        (lambda: pympf.factorize_direct(SQUARE, drop=np.nan), ValueError, "drop = nan"),
        (lambda: pympf.factorize_direct(SQUARE, max_fill=0.5), ValueError, "max_fill = 0.5"),
        (lambda: pympf.factorize_direct(SQUARE) @ np.ones(2), ValueError, r"expected shape \(3,\)"),
        (lambda: pympf.factorize_direct(SQUARE) @ [1, np.nan, 1], ValueError, "finite"),
        (lambda: pympf.factorize_direct(SQUARE).error(np.eye(2)), ValueError, "shape"),
        (lambda: pympf.factorize_skew(SQUARE), ValueError, "at i = 0, j = 1"),
        (lambda: pympf.factorize_skew(np.ones((2, 3))), ValueError, "needs a square matrix"),
        (lambda: pympf.factorize_skew(np.zeros((2, 2)), core_size=3), ValueError, "core_size = 3"),
        (lambda: pympf.factorize_additive(np.ones((2, 3))), ValueError, "needs a square matrix"),
        (lambda: pympf.factorize_additive(SQUARE, blocks=-2), ValueError, "blocks = -2"),
        (lambda: pympf.cur(SQUARE, 0), ValueError, "k = 0 is not"),
        (lambda: pympf.cur(SQUARE, 4), ValueError, "k = 4"),
        (lambda: pympf.cur(SQUARE, 1, selection="x"), ValueError, "is not one of"),
        (lambda: pympf.cur(SQUARE, 1, seed=-1), ValueError, "seed = -1"),
        (lambda: approx.svd([[np.nan]], 1), ValueError, "finite"),
        (lambda: approx.nystrom(SQUARE, 1.0), TypeError, "not an integer"),
    ],
)
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize(
    "A",
    [
        [[3]],
        [[0.0]],
        np.zeros((4, 6)),
        [[1, 2, 3]],
        [[1], [2]],
        sp.csr_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(3, 3)),
        sp.coo_array(([1, 2, 3], ([0, 0, 2], [1, 1, 0])), shape=(3, 3)),
        np.array([[1, 2], [3, 4]], dtype=np.float32),
        1e-200 * np.ones((3, 3)),
        1e150 * np.triu(np.ones((3, 3))),
    ],
)
def test_allowed(A):
    F = pympf.factorize_direct(A, core_size=0, rotations=100, sparsify="top", entries=100, **EXACT)
    dense = np.asarray(A.toarray() if sp.issparse(A) else A, dtype=float)
    assert_close(F @ np.eye(F.shape[1]), dense)
    if F.shape[0] == F.shape[1]:
        both = pympf.factorize_additive(A, core_size=F.shape[0], **EXACT)
        assert_close(both @ np.eye(F.shape[1]), dense)


# ---- low rank ------------------------------------------------------------------------------------


@few
@given(rectangular(most=10), st.sampled_from(["norms", "leverage", "qr"]), st.data())
def test_cur_leaves_what_is_orthogonal_to_all_between_its_columns_and_rows(A, selection, data):
    A = A / abs(A).max(initial=1e-300)
    k = data.draw(st.integers(1, min(A.shape)))
    F = pympf.cur(A, k, selection=selection, seed=data.draw(st.integers(0, 9)))
    assert len(set(F.columns)) == len(set(F.rows)) == k
    rest = A - F @ np.eye(A.shape[1])
    growth = max(1.0, np.linalg.norm(F.U) * np.linalg.norm(F.C.toarray()))
    size = max(1.0, np.linalg.norm(A)) ** 3
    assert np.linalg.norm(F.C.T @ rest @ F.R.T.toarray()) <= 1e-11 * size * growth
    assert_close(F.T @ np.eye(A.shape[0]), (F @ np.eye(A.shape[1])).T, scale=growth)


def test_svd_is_the_best_of_its_rank(rng):
    A = (
        rng.standard_normal((30, 20))
        @ np.diag(0.5 ** np.arange(20))
        @ rng.standard_normal((20, 25))
    )
    decay = approx.singular_value_decay(A, 20)
    for k in (1, 5, 10):
        best = approx.svd(A, k)
        assert best.error(A) == pytest.approx(decay[k], rel=1e-6)
        assert best.nbytes == 8 * k * (30 + 25)
        for selection in ("norms", "leverage", "qr"):
            assert pympf.cur(A, k, selection=selection).error(A) >= decay[k] * (1 - 1e-9)
    assert pympf.cur(A, 20, selection="qr").error(A) < 1e-10


# ---- a number of bytes ---------------------------------------------------------------------------


def kinds_of_matrices():
    rng = np.random.default_rng(3)
    x = np.sort(rng.random(48))
    smooth = np.exp(-((x[:, None] - x[None, ::-1]) ** 2))
    two_scales = smooth + 0.3 * np.exp(-50 * abs(x[:, None] - x[None]))
    return {
        "threshold": sp.random_array((60, 40), density=0.1, rng=rng, format="csr"),
        "low rank": smooth,
        "two scales": two_scales,
        "wavelets": np.exp(-abs(np.subtract.outer(x, np.linspace(0, 1, 50)))),
        "zero": np.zeros((3, 4)),
        "one row": np.ones((1, 20)),
    }


@pytest.mark.parametrize("name", kinds_of_matrices())
def test_compress_keeps_to_the_bytes_and_is_the_best_of_its_parts(name):
    A = kinds_of_matrices()[name]
    full = min(12 * np.count_nonzero(A.toarray() if sp.issparse(A) else A), 8 * np.size(A) or 10**6)
    for nbytes in (4 * A.shape[0] + 16, max(300, full // 10), max(600, full // 2)):
        F = pympf.compress(A, nbytes)
        held = [part for part in (F.low_rank, F.rest) if part is not None]
        own = sum(
            part.nbytes
            if hasattr(part, "nbytes")
            else part.data.nbytes + part.indices.nbytes + part.indptr.nbytes
            for part in held
        )
        assert own == F.nbytes <= nbytes
        assert F.error(A) == pytest.approx(F.trial.error, abs=1e-7)
        assert all(F.trial.error <= trial.error for trial in F.trials)
        dense = A.toarray() if sp.issparse(A) else A
        squares = np.sort(dense.ravel() ** 2)[::-1]
        left = squares[(nbytes - 4 * (A.shape[0] + 1)) // 12 :].sum()
        norm = np.linalg.norm(dense) or 1.0
        assert F.trial.error <= np.sqrt(left) / norm + 1e-12
        curve = approx.compression_curve(A, [nbytes])
        assert min(trial.error for trial in curve) == F.trial.error


def test_compress_puts_low_rank_and_rotations_together():
    A = kinds_of_matrices()["two scales"]
    best = {t.kind: t.error for t in approx.compression_curve(A, [6000])}
    assert best["low rank + direct"] < min(best["direct"], best["threshold"])


def test_compress_in_wavelets():
    A = kinds_of_matrices()["wavelets"]
    F = pympf.compress(A, 2000)
    assert F.trial.kind == "wavelets"
    transformed = pympf.wavelets(A.shape, order=F.rest.V.order, levels=None).T @ A.ravel()
    squares = np.sort(transformed**2)[: A.size - F.trial.entries]
    assert F.trial.error == pytest.approx(np.sqrt(squares.sum()) / np.linalg.norm(A))


def test_compress_without_pywavelets_leaves_wavelets_out(monkeypatch):
    monkeypatch.setattr("pympf.approx.compression.has_filters", lambda: False)
    kinds = {t.kind for t in pympf.compress(kinds_of_matrices()["wavelets"], 2000).trials}
    assert "wavelets" not in kinds
    assert "threshold" in kinds


def test_compressed_files(tmp_path):
    for name, A in kinds_of_matrices().items():
        F = pympf.compress(A, 900)
        F.save(tmp_path / "F.h5")
        for G in (approx.load(tmp_path / "F.h5"), pickle.loads(pickle.dumps(F))):
            assert (G.trial, G.trials) == (F.trial, F.trials), name
            assert np.array_equal(G @ np.ones(A.shape[1]), F @ np.ones(A.shape[1]))
            assert np.array_equal(G.T @ np.ones(A.shape[0]), F.T @ np.ones(A.shape[0]))


def test_compress_refuses_what_is_too_small():
    with pytest.raises(ValueError, match=r"too small for one entry .* expected at least 28"):
        pympf.compress(SQUARE, 27)
    with pytest.raises(ValueError, match="nbytes = -1"):
        pympf.compress(SQUARE, -1)
    with pytest.raises(TypeError, match="nbytes"):
        approx.compression_curve(SQUARE, [1e3])


def test_bytes_enough_for_the_matrix_give_it_back_at_once(rng):
    A = sp.csr_array(rng.standard_normal((40, 30)))
    F = pympf.compress(A, 10**12)
    assert F.trial.kind == "threshold"
    assert [trial.kind for trial in F.trials] == ["threshold"]  # nothing else was tried
    assert F.error(A) == 0
