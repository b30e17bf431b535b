"""The preconditioner: what it promises on every kind of matrix, and what it refuses."""

import threading

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spl
from hypothesis import given

import pympf
from pympf import gallery

from ..helpers import (
    assert_close,
    matrices,
    random_spd,
    rounding,
)
from .precond_systems import consistent, dense, grid_laplacian, modes_of_grid

SMOOTHERS = ["ict", "gs", "chebyshev", "l1_jacobi"]
FIXED_CYCLES = ["v", "w", "additive"]
METHODS = ["auto", "multilevel", "ict", "jacobi", "classic"]
DTYPE_OF = {"single": np.float32, "working": np.float64}


def several_components():
    return sp.csr_array(
        sp.block_diag([grid_laplacian(17, 12), sp.csr_array((3, 3)), grid_laplacian(250)])
    )


# Symmetric and positive


@pytest.mark.parametrize("precision", ["single", "working"])
@pytest.mark.parametrize("cycle", FIXED_CYCLES)
@pytest.mark.parametrize("smoother", SMOOTHERS)
@pytest.mark.parametrize("kind", ["grid", "random", "sheet", "singular"])
def test_symmetric_and_positive(rng, kind, smoother, cycle, precision):
    A, options = {
        "grid": (gallery.poisson((15, 20)), {}),
        "random": (random_spd(300, rng), {}),
        "sheet": (
            gallery.elasticity((12, 12)),
            {"near_nullspace": modes_of_grid(12, 12), "block_size": 2},
        ),
        "singular": (several_components(), {}),
    }[kind]
    params = {"method": "multilevel", "smoother": smoother, "cycle": cycle}
    M = pympf.as_preconditioner(A, precision=precision, coarse_size=30, **params, **options)
    matrix = dense(M)
    size = np.linalg.norm(matrix)
    assert_close(matrix, matrix.T, 1000, DTYPE_OF[precision])
    smallest = np.linalg.eigvalsh((matrix + matrix.T) / 2)[0]
    if kind == "singular":
        assert smallest >= -rounding(100, DTYPE_OF[precision]) * size
    else:
        assert smallest > 0


@pytest.mark.parametrize("method", METHODS)
@given(matrices())
def test_symmetric_on_every_matrix(method, A):
    """On semidefinite ones it is semidefinite, too."""
    M = pympf.as_preconditioner(A, method=method)
    values = np.linalg.eigvalsh(A.toarray())
    size = np.abs(values).max()
    unit = size if size > 0 else 1.0
    x, y = np.random.default_rng(0).standard_normal((2, A.shape[0]))
    Mx, My = (M @ x) * unit, (M @ y) * unit
    if values[0] >= -1e-12 * size or values[-1] <= 1e-12 * size:
        assert np.isfinite(Mx).all()
        scale = np.linalg.norm(Mx) * np.linalg.norm(y) + np.linalg.norm(My) * np.linalg.norm(x)
        assert abs(Mx @ y - My @ x) <= rounding(1000, np.float32) * scale
        assert x @ Mx >= -rounding(1000, np.float32) * scale


# Iterations


@pytest.mark.parametrize("dimensions", [2, 3])
def test_iterations_do_not_grow_with_size(dimensions):
    sizes = {2: (64, 128, 256), 3: (12, 20, 32)}[dimensions]
    rng = np.random.default_rng(0)
    iterations = []
    for size in sizes:
        A = gallery.poisson((size,) * dimensions)
        b = rng.standard_normal(A.shape[0])
        solution = pympf.solve(A, b, preconditioner="multilevel")
        assert solution.converged
        assert solution.method == "cg"
        assert solution.operator.report().operator_complexity <= 2.5
        iterations.append(solution.iterations)
    assert max(iterations) <= 8
    assert max(iterations) - min(iterations) <= 2


@pytest.mark.parametrize("smoother", SMOOTHERS)
@pytest.mark.parametrize("cycle", [*FIXED_CYCLES, "k"])
def test_every_cycle_with_every_smoother(rng, smoother, cycle):
    A = gallery.poisson((60, 60))
    b = rng.standard_normal(3600)
    plain = pympf.solve(A, b, preconditioner="none").iterations
    options = {"smoother": smoother, "cycle": cycle}
    solution = pympf.solve(A, b, preconditioner="multilevel", **options)
    assert solution.converged
    assert solution.method == ("fcg" if cycle == "k" else "cg")
    assert solution.iterations < (plain / 2 if cycle == "additive" else 20)


# Every symmetric matrix


@pytest.mark.parametrize("method", METHODS)
def test_several_components_and_rows_of_zeros(rng, method):
    A = several_components()
    M = pympf.as_preconditioner(A, method=method)
    assert not M.indefinite
    b = consistent(A, rng)
    solution = pympf.solve(A, b, preconditioner=M)
    assert (solution.method, solution.converged) == ("cg", True)
    assert np.linalg.norm(b - A @ solution.x) <= 1e-7 * np.linalg.norm(b)


def test_rows_of_zeros_are_left_alone(rng):
    A = sp.csr_array(sp.block_diag([gallery.poisson((30, 30)), sp.csr_array((4, 4))]))
    r = rng.standard_normal(904)
    for method in ("multilevel", "ict", "jacobi"):
        z = pympf.as_preconditioner(A, method=method) @ r
        np.testing.assert_array_equal(z[900:], r[900:])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [4.0, -4.0, 0.0])
def test_one_by_one(method, value):
    M = pympf.as_preconditioner([[value]], method=method)
    assert M.shape == (1, 1)
    assert_close(M @ np.array([2.0]), [2 / abs(value) if value else 2.0], 10, np.float32)
    assert M.indefinite == (value < 0)


@pytest.mark.parametrize("cycle", [*FIXED_CYCLES, "k"])
@pytest.mark.parametrize("smoother", SMOOTHERS)
def test_same_bits_on_any_number_of_threads(rng, smoother, cycle):
    A = gallery.poisson((130, 140))
    r = rng.standard_normal(A.shape[0])
    options = {"method": "multilevel", "smoother": smoother, "cycle": cycle, "strips": 3}
    before = pympf.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            pympf.set_num_threads(threads)
            results.append(pympf.as_preconditioner(A, **options) @ r)
    finally:
        pympf.set_num_threads(before)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_cuts_for_threads_do_not_cost_iterations(rng):
    """Couplings that no cluster follows are the factor's alone, and must not be cut."""
    A = gallery.anisotropic(448)
    b = rng.standard_normal(A.shape[0])

    def iterations(**strips):
        M = pympf.as_preconditioner(A, method="multilevel", **strips)
        return pympf.solve(A, b, preconditioner=M, rtol=1e-8).iterations

    whole = iterations(strips=1)
    assert iterations() <= whole + 1
    assert iterations(strips=4) > 2 * whole  # or there would be nothing to show


def test_several_threads_may_apply_at_once(rng):
    M = pympf.as_preconditioner(gallery.poisson((50, 50)), method="multilevel")
    vectors = rng.standard_normal((8, 2500))
    expected = [M @ r for r in vectors]
    results = [None] * 8

    def work(i):
        for _ in range(20):
            results[i] = M @ vectors[i]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result, right in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, right)


# The operator


@pytest.mark.parametrize("method", METHODS)
def test_operator(rng, method):
    M = pympf.as_preconditioner(gallery.poisson((20, 20)), method=method)
    assert isinstance(M, spl.LinearOperator)
    assert (M.shape, M.dtype) == ((400, 400), np.float64)
    block = rng.standard_normal((400, 3))
    expected = np.stack([M.apply(column) for column in block.T], axis=1)
    for result in (M @ block, M.apply(block), M.matmat(block), M.T @ block, M.H @ block):
        np.testing.assert_array_equal(result, expected)
    column = block[:, :1]
    np.testing.assert_array_equal(M @ column, expected[:, :1])
    np.testing.assert_array_equal(M.rmatvec(block[:, 0]), expected[:, 0])
    assert repr(M).startswith("<Preconditioner 400 x 400, float64, ")


@pytest.mark.parametrize(
    ("r", "error", "message"),
    [
        (np.ones(3), ValueError, r"x: expected shape \(25,\)"),
        (np.full(25, np.nan), ValueError, "x: expected finite values"),
        (np.ones(25) * 1j, TypeError, "x: expected real numbers"),
    ],
)
def test_vectors_that_are_refused(r, error, message):
    with pytest.raises(error, match=message):
        pympf.as_preconditioner(gallery.poisson(25)).apply(r)


def test_classic(rng):
    A = gallery.poisson((20, 20))
    F = pympf.factorize(A, core_size=50, order=3)
    M = pympf.as_preconditioner(A, method="classic", core_size=50, order=3)
    r = rng.standard_normal(400)
    np.testing.assert_array_equal(M @ r, F.positive_inverse() @ r)
    assert M.params == {"method": "classic", **F.params}
    assert M.factorization.params == F.params
    assert M.report().as_dict().keys() == F.report().as_dict().keys()
    assert not M.varies


# Update


@pytest.mark.parametrize("method", METHODS)
def test_update(rng, method):
    A = gallery.poisson((40, 40))
    M = pympf.as_preconditioner(A, method=method)
    r = rng.standard_normal(1600)
    before = M @ r
    M.update(4 * A)
    assert_close(M @ r, before / 4, 100, np.float32)
    pattern = A.copy()
    pattern.data = pattern.data * (1 + 0.01 * rng.random(pattern.nnz))
    M.update((pattern + pattern.T) / 2)
    solution = pympf.solve((pattern + pattern.T) / 2, r, preconditioner=M)
    assert solution.converged


def test_updates_that_are_refused():
    A = gallery.poisson((20, 20))
    M = pympf.as_preconditioner(A, method="multilevel")
    with pytest.raises(ValueError, match="pattern of the first"):
        M.update(sp.eye_array(400))
    with pytest.raises(ValueError, match="expected a matrix of float64, got float32"):
        M.update(A.astype(np.float32))
    with pytest.raises(ValueError, match="expected a symmetric matrix"):
        M.update(sp.triu(A))


# Report


def test_report():
    A = gallery.poisson((60, 60))
    M = pympf.as_preconditioner(A, method="multilevel", cycle="w")
    report = M.report()
    assert isinstance(report, pympf.PreconditionerReport)
    first, last = report.levels[0], report.levels[-1]
    assert (first["level"], first["rows"], first["nnz"]) == (1, 3600, A.nnz)
    assert first["clusters"] == report.levels[1]["rows"]
    assert first["lifted"] is True
    assert (last["rows"], last["clusters"]) == (report.coarse_rows, 0)
    assert report.operator_complexity == pytest.approx(
        sum(level["nnz"] for level in report.levels) / A.nnz
    )
    assert report.grid_complexity == pytest.approx(
        sum(level["rows"] for level in report.levels) / 3600
    )
    assert report.bytes == sum(level["bytes"] for level in report.levels)
    assert report.params == M.params
    assert M.params["cycle"] == "w"
    text = str(report).splitlines()
    assert text[0].split()[:4] == ["level", "rows", "nnz", "clusters"]
    assert len(text) == len(report.levels) + 4
    assert text[-1] == "method multilevel: asked for"
    assert f"dense solve of {report.coarse_rows} rows, nullity 0" in text[-2]


def test_reports_of_a_singular_matrix_count_its_kernel():
    report = pympf.as_preconditioner(grid_laplacian(40, 40), method="multilevel").report()
    assert report.coarse_nullity == 1
    assert not report.indefinite
