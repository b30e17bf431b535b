"""Products, functions and wavelets of a factorization, held against dense linear algebra."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp

import pympf
from pympf import gallery

from ..helpers import (
    assert_close,
    random_graph_laplacian,
    random_spd,
    random_symmetric,
    rounding,
)

N, CORE = 60, 15


def factored(kind, rng, **params):
    """Factor a matrix of a kind, and give the dense matrix that the factorization stands for."""
    make = {"spd": random_spd, "indefinite": random_symmetric, "singular": random_graph_laplacian}
    F = pympf.factorize(make[kind](N, rng), core_size=CORE, **params)
    return F, F.to_csr().toarray().astype(np.float64)


def condition(dense):
    values = abs(np.linalg.eigvalsh(dense))
    return values.max() / values.min()


# Vectors and blocks of vectors


METHODS = ["apply", "solve", "transform", "inverse_transform"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_vectors_and_blocks(rng, method, dtype):
    A = random_spd(N, rng).astype(dtype)
    call = getattr(pympf.factorize(A, core_size=CORE), method)
    block = rng.standard_normal((N, 5)).astype(dtype)
    expected = call(block)
    assert expected.dtype == dtype
    assert expected.flags.c_contiguous
    wide = np.zeros((2 * N, 10), dtype)
    wide[::2, ::2] = block
    for same in (np.asfortranarray(block), wide[::2, ::2], block[::-1][::-1], block.tolist()):
        np.testing.assert_array_equal(call(same), expected)
    for k in range(5):
        column = call(block[:, k])
        assert column.shape == (N,)
        assert_close(column, expected[:, k], 20, dtype)
        np.testing.assert_array_equal(call(block[:, [k]]), column[:, np.newaxis])


@pytest.mark.parametrize("method", METHODS)
def test_arguments_stay_as_they_are(rng, method):
    F, _ = factored("spd", rng)
    x = rng.standard_normal(N)
    x.flags.writeable = False
    copy = x.copy()
    y = getattr(F, method)(x)
    assert not np.shares_memory(x, y)
    np.testing.assert_array_equal(x, copy)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("x", "error"),
    [
        (np.ones(N - 1), ValueError),
        (np.ones((1, N)), ValueError),
        (np.ones((N, 0)), ValueError),
        (np.ones((N, 2, 2)), ValueError),
        (np.full(N, np.nan), ValueError),
        (np.full(N, np.inf), ValueError),
        (np.ones(N, dtype=complex), TypeError),
        ("text", TypeError),
        (None, TypeError),
        (sp.csr_array((N, 1)), TypeError),
    ],
    ids=str,
)
def test_vectors_that_are_refused(rng, method, x, error):
    F, _ = factored("spd", rng)
    with pytest.raises(error, match=r"^[xby]: expected"):
        getattr(F, method)(x)


def test_dtypes_of_others_are_taken(rng):
    F = pympf.factorize(random_spd(N, rng).astype(np.float32), core_size=CORE)
    assert (F @ np.arange(N)).dtype == np.float32
    with pytest.raises(ValueError, match="expected finite values in float32"):
        F @ np.full(N, 1e300)


def test_several_python_threads_at_once(rng):
    F = pympf.factorize(gallery.poisson((100, 100)))
    blocks = [rng.standard_normal((10_000, 1 + k % 3)) for k in range(24)]
    expected = [F @ x for x in blocks]
    M = [F.solve(x) for x in blocks]
    with ThreadPoolExecutor(4) as pool:
        for got, wanted in zip(pool.map(F.apply, blocks), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)
        for got, wanted in zip(pool.map(F.solve, blocks), M, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_several_python_threads_factor_at_once():
    A = gallery.poisson((40, 40))
    x = np.arange(1600.0)
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda seed: pympf.factorize(A, seed=seed) @ x, [3, 4, 3, 4]))
    np.testing.assert_array_equal(results[0], results[2])
    np.testing.assert_array_equal(results[1], results[3])


# Functions


@pytest.mark.parametrize("kind", ["spd", "indefinite"])
@pytest.mark.parametrize("prenormalize", [False, True])
def test_inverse_and_solve(rng, kind, prenormalize):
    F, dense = factored(kind, rng, prenormalize=prenormalize)
    multiple = 100 * condition(dense)
    inverse = F.inverse()
    assert_close(inverse.to_csr().toarray(), np.linalg.inv(dense), multiple)
    b = rng.standard_normal((N, 3))
    np.testing.assert_array_equal(F.solve(b), inverse @ b)
    assert_close(F.solve(b), np.linalg.solve(dense, b), multiple)
    assert_close(inverse.inverse() @ b, dense @ b, multiple)


def test_singular_matrix_has_no_inverse(rng):
    F, _ = factored("singular", rng)
    for call in (F.inverse, F.inv_sqrt, lambda: F.solve(np.ones(N))):
        with pytest.raises(np.linalg.LinAlgError, match=r"singular|not positive"):
            call()
    assert F.slogdet() == (0.0, -np.inf)
    with pytest.raises(np.linalg.LinAlgError, match="determinant is zero"):
        F.logdet()


@pytest.mark.parametrize("kind", ["spd", "indefinite", "singular"])
@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("rcond", [1e-10, 0.1])
def test_pseudo_inverse(rng, kind, absolute, rcond):
    F, dense = factored(kind, rng)
    values, vectors = np.linalg.eigh(dense)
    keep = abs(values) > rcond * abs(values).max()
    expected = np.where(keep, 1 / np.where(keep, values, 1), 0)
    expected = (vectors * (abs(expected) if absolute else expected)) @ vectors.T
    found = F.inverse(rcond=rcond, absolute=absolute).to_csr().toarray()
    assert_close(found, expected, 1e4)


@pytest.mark.parametrize("rcond", [-1e-3, np.nan])
def test_rcond_that_is_refused(rng, rcond):
    with pytest.raises(ValueError, match="rcond"):
        factored("spd", rng)[0].inverse(rcond=rcond)


@pytest.mark.parametrize("kind", ["spd", "singular"])
def test_square_root(rng, kind):
    F, dense = factored(kind, rng)
    values, vectors = np.linalg.eigh(dense)
    expected = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    # The root of an eigenvalue that is zero to rounding is of the size of sqrt(eps).
    tolerance = 1e3 if kind == "spd" else 1 / np.sqrt(rounding(1))
    assert_close(F.sqrt().to_csr().toarray(), expected, tolerance)
    assert_close(F.sqrt() @ (F.sqrt() @ np.eye(N)), dense)


def test_inverse_square_root(rng):
    F, dense = factored("spd", rng)
    expected = np.linalg.inv(scipy.linalg.sqrtm(dense))
    assert_close(F.inv_sqrt().to_csr().toarray(), expected, 100 * condition(dense))


def test_indefinite_matrix_has_no_square_root(rng):
    F, _ = factored("indefinite", rng)
    for call in (F.sqrt, F.inv_sqrt):
        with pytest.raises(np.linalg.LinAlgError, match=r"negative|not positive"):
            call()


@pytest.mark.parametrize("kind", ["spd", "indefinite", "singular"])
def test_function(rng, kind):
    F, dense = factored(kind, rng)
    found = F.function(lambda t: np.exp(-0.1 * t)).to_csr().toarray()
    assert_close(found, scipy.linalg.expm(-0.1 * dense), 1e3)
    np.testing.assert_array_equal(F.function(np.zeros_like) @ np.ones(N), np.zeros(N))


@pytest.mark.parametrize(
    "f",
    [np.log, lambda t: 1 / (t - t), lambda t: t[:-1], lambda t: 1.0, lambda t: t + 1j],
    ids=["nan", "inf", "too few", "a number", "complex"],
)
def test_function_that_is_refused(rng, f):
    F, _ = factored("indefinite", rng)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"finite|real values"):
        F.function(f)


def test_functions_of_a_prenormalized_matrix_are_refused(rng):
    F, _ = factored("spd", rng, prenormalize=True)
    for call in (F.sqrt, F.inv_sqrt, lambda: F.function(np.exp)):
        with pytest.raises(ValueError, match="prenormalized"):
            call()


@pytest.mark.parametrize("kind", ["spd", "indefinite"])
@pytest.mark.parametrize("prenormalize", [False, True])
def test_determinant_and_trace(rng, kind, prenormalize):
    F, dense = factored(kind, rng, prenormalize=prenormalize)
    sign, log = np.linalg.slogdet(dense)
    assert F.slogdet() == (sign, pytest.approx(log, rel=1e-10))
    assert F.trace() == pytest.approx(np.trace(dense), rel=1e-12)
    if sign > 0:
        assert F.logdet() == F.slogdet()[1]
    else:
        with pytest.raises(np.linalg.LinAlgError, match="negative"):
            F.logdet()


def test_spectrum(rng):
    F, dense = factored("indefinite", rng)
    assert_close(np.sort(F.spectrum()), np.linalg.eigvalsh(dense), 100)
    assert (np.diff(F.spectrum()[:CORE]) >= 0).all()
    F.spectrum()[:] = 0  # a copy
    assert F.spectrum().any()


@pytest.mark.parametrize("kind", ["spd", "indefinite", "singular"])
@pytest.mark.parametrize("prenormalize", [False, True])
def test_preconditioner_is_positive_definite(rng, kind, prenormalize):
    F, dense = factored(kind, rng, prenormalize=prenormalize)
    M = F.preconditioner()
    full = M.matmat(np.eye(N))
    assert_close(full, full.T)
    assert np.linalg.eigvalsh(full).min() > 0
    np.testing.assert_array_equal(F.positive_inverse() @ np.ones(N), M.matvec(np.ones(N)))
    if kind == "spd":
        assert_close(full, np.linalg.inv(dense), 100 * condition(dense))


def test_as_a_linear_operator(rng):
    F, dense = factored("indefinite", rng)
    op = F.aslinearoperator()
    assert (op.shape, op.dtype) == ((N, N), np.float64)
    x = rng.standard_normal((N, 2))
    assert_close(op @ x, dense @ x)
    assert_close(op.T @ x[:, 0], dense @ x[:, 0])
    assert_close(op.rmatvec(x[:, 0]), dense @ x[:, 0])


# Wavelets


def test_basis_is_the_transform(rng):
    F, _ = factored("indefinite", rng, order=3)
    Q = F.basis().toarray()
    assert_close(F.transform(np.eye(N)), Q)
    assert_close(F.inverse_transform(np.eye(N)), Q.T)
    x = rng.standard_normal(N)
    assert_close(F.inverse_transform(F.transform(x)), x)
    H = Q @ F.to_csr().toarray() @ Q.T
    assert_close(H[:CORE, :CORE], F.core().toarray(), scale=np.linalg.norm(H))


def test_levels_partition_the_coefficients(rng):
    F, _ = factored("spd", rng)
    places = [F.level_slice(level) for level in (0, *range(F.levels, 0, -1))]
    assert places[0] == slice(0, CORE)
    assert np.concatenate([np.arange(N)[place] for place in places]).tolist() == list(range(N))
    retired = [stage["retired"] for stage in F.report().stages]
    assert [place.stop - place.start for place in places[:0:-1]] == retired


def test_wavelets_are_rows_of_the_basis(rng):
    F, _ = factored("spd", rng)
    Q = F.basis().toarray()
    for level in range(1, F.levels + 1):
        place = F.level_slice(level)
        for index in (0, place.stop - place.start - 1):
            wavelet = F.wavelet(level, index)
            assert wavelet.shape == (N, 1)
            assert_close(wavelet.toarray()[:, 0], Q[place.start + index])
    for index in (0, CORE - 1):
        assert_close(F.scaling_function(F.levels, index).toarray()[:, 0], Q[index])


def test_scaling_functions_and_wavelets_of_every_level_are_a_basis(rng):
    F, _ = factored("spd", rng)
    for level in range(F.levels + 1):
        active = N if level == 0 else F.level_slice(level).start
        functions = [F.scaling_function(level, i) for i in range(active)]
        for below in range(1, level + 1):
            place = F.level_slice(below)
            functions += [F.wavelet(below, i) for i in range(place.stop - place.start)]
        Q = sp.hstack(functions).toarray()
        assert_close(Q.T @ Q, np.eye(N))


def test_places_that_do_not_exist(rng):
    F, _ = factored("spd", rng)
    for call in (F.wavelet, F.scaling_function):
        for level, index in ((F.levels + 1, 0), (-1, 0), (1, -1), (1, N)):
            with pytest.raises(IndexError, match=r"not one of"):
                call(level, index)
    with pytest.raises(IndexError, match="level 0 is not one of"):
        F.wavelet(0, 0)
    with pytest.raises(IndexError, match=rf"level 99 is not one of 0 \.\. {F.levels}"):
        F.level_slice(99)
    for call in (F.wavelet, F.scaling_function):
        for level, index in ((1.5, 0), (1, 0.5), ("1", 0)):
            with pytest.raises(TypeError, match="integer"):
                call(level, index)
    with pytest.raises(TypeError, match="integer"):
        F.level_slice(1.5)


# Errors


@pytest.mark.parametrize("kind", ["spd", "indefinite"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_error(rng, kind, dtype):
    make = {"spd": random_spd, "indefinite": random_symmetric}[kind]
    A = make(N, rng).astype(dtype)
    F = pympf.factorize(A, core_size=CORE)
    for other in (A, random_spd(N, rng).astype(dtype)):
        dense = other.toarray().astype(np.float64)
        difference = dense - F.to_csr().toarray()
        exact = np.linalg.norm(difference) / np.linalg.norm(dense)
        assert F.error(other) == pytest.approx(exact, rel=rounding(100, dtype))
        exact = np.linalg.norm(difference, 2) / np.linalg.norm(dense, 2)
        assert F.error(other, norm=2) == pytest.approx(exact, rel=0.02)


def test_error_of_an_exact_factorization(rng):
    A = random_spd(N, rng)
    F = pympf.factorize(A, core_size=N)
    assert F.error(A) == 0
    assert F.error(A, norm=2) <= rounding(10)
    zero = sp.csr_array((N, N))
    assert pympf.factorize(zero).error(zero) == pympf.factorize(zero).error(zero, norm=2) == 0


@pytest.mark.parametrize("norm", ["nuc", 1, None])
def test_norm_that_is_refused(rng, norm):
    F, dense = factored("spd", rng)
    with pytest.raises(ValueError, match="is not one of 'fro', 2"):
        F.error(dense, norm=norm)


def test_error_and_refactorize_refuse_other_matrices(rng):
    F = pympf.factorize(random_spd(N, rng).astype(np.float32))
    for call in (F.error, F.refactorize):
        with pytest.raises(ValueError, match="shape"):
            call(np.eye(N + 1))
        with pytest.raises(ValueError, match="symmetric"):
            call(np.triu(np.ones((N, N))))
        with pytest.raises(ValueError, match="float32 cannot hold"):
            call(1e300 * np.eye(N))
