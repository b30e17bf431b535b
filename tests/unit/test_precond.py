"""The preconditioner: what it promises on every kind of matrix, and what it refuses."""

import itertools
import pickle
import re
import threading

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spl
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

import pympf
from pympf import gallery

from ..helpers import (
    assert_close,
    has_sparse_factors,
    matrices,
    needs_sparse_factors,
    random_graph_laplacian,
    random_spd,
    rounding,
)

SMOOTHERS = ["ict", "gs", "chebyshev", "l1_jacobi"]
FIXED_CYCLES = ["v", "w", "additive"]
METHODS = ["auto", "multilevel", "ict", "jacobi", "classic"]
DTYPE_OF = {"single": np.float32, "working": np.float64}


def dense(M):
    """Give M as an array."""
    return M @ np.eye(M.shape[0])


def grid_laplacian(*shape):
    """The Laplacian of a grid graph: constants are its kernel."""
    A = abs(gallery.poisson(shape))
    return gallery.laplacian(A - sp.diags_array(A.diagonal()))


def several_components():
    return sp.csr_array(
        sp.block_diag([grid_laplacian(17, 12), sp.csr_array((3, 3)), grid_laplacian(250)])
    )


def consistent(A, rng):
    return A @ rng.standard_normal(A.shape[0])


def modes_of_grid(*shape):
    return pympf.rigid_body_modes(np.indices(shape).reshape(len(shape), -1).T)


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


def test_rigid_body_modes_as_near_nullspace(rng):
    """They hold for a free sheet, too: there the modes are the kernel."""
    modes = modes_of_grid(48, 48)
    for clamped in (True, False):
        A = gallery.elasticity((48, 48), clamped=clamped)
        b = consistent(A, rng)
        options = {"preconditioner": "multilevel"}
        with_modes = pympf.solve(A, b, near_nullspace=modes, block_size=2, **options)
        without = pympf.solve(A, b, **options)
        assert with_modes.converged
        assert with_modes.iterations <= 10
        assert with_modes.iterations < without.iterations


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


@pytest.mark.parametrize("method", ["multilevel", "ict", "classic"])
def test_negative_definite(rng, method):
    A = gallery.poisson((40, 40))
    M, minus = (pympf.as_preconditioner(sign * A, method=method) for sign in (1, -1))
    assert (M.indefinite, minus.indefinite) == (False, True)
    r = rng.standard_normal(1600)
    assert_close(minus @ r, M @ r, 100, np.float32)
    solution = pympf.solve(-A, r, preconditioner=minus)
    assert (solution.method, solution.converged) == ("minres", True)


@pytest.mark.parametrize("shift", [0.01, 0.1, 0.3, 0.5, 1.0, 2.0, 3.9, 6.0, 8.1])
@pytest.mark.parametrize("definite", [True, False])
def test_indefinite(rng, shift, definite):
    """A solution is reached; nothing is silent."""
    A = gallery.shifted(gallery.poisson((24, 24)), -shift)
    values = np.linalg.eigvalsh(A.toarray())
    b = rng.standard_normal(576)
    solution = pympf.solve(A, b, definite=definite)
    with_signs = not definite and values[-1] > 0 and has_sparse_factors()
    assert solution.method == ("cg" if values[0] > 0 else "gmres" if with_signs else "minres")
    assert solution.converged
    assert np.linalg.norm(b - A @ solution.x) <= 1e-7 * np.linalg.norm(b)


def network(rng):
    """Make the Laplacian of two trees and of a node without neighbours."""
    trees = []
    for n in (900, 1300, 1):
        parents = [rng.integers(i) for i in range(1, n)]
        trees.append(sp.coo_array((np.ones(n - 1), (np.arange(1, n), parents)), shape=(n, n)))
    edges = sp.block_diag(trees)
    return gallery.laplacian(edges + edges.T)


@pytest.mark.parametrize("make", [network, lambda rng: normal_equations(rng, diagonals=8)])
@pytest.mark.parametrize("sign", [1, -1])
def test_small_networks_and_structures_are_factored(rng, make, sign):
    A = sp.csr_array(sign * make(rng))
    b = A @ rng.standard_normal(A.shape[0])
    solution = pympf.solve(A, b)
    assert solution.converged
    assert solution.method == ("cg" if sign > 0 else "minres")
    if not has_sparse_factors():
        pytest.skip("pympf was built without a library of sparse direct factors")
    assert solution.choice.startswith("direct: a factor has at most ")
    assert solution.iterations <= 4
    assert solution.operator.definite
    levels = pympf.solve(A, b, preconditioner="multilevel")
    assert solution.iterations <= levels.iterations


def test_a_network_in_single_precision(rng):
    A = network(rng).astype(np.float32)
    solution = pympf.solve(A, A @ rng.standard_normal(2201, dtype=np.float32))
    assert solution.converged
    assert not solution.choice.startswith("direct")


@needs_sparse_factors
def test_the_shifted_laplacian_that_no_multigrid_solves(rng):
    """256 x 256 - 0.05 I has about 250 negative eigenvalues."""
    A = gallery.shifted(gallery.poisson((256, 256)), -0.05)
    b = rng.standard_normal(A.shape[0])
    solution = pympf.solve(A, b)
    assert (solution.method, solution.iterations) == ("gmres", 1)
    assert not solution.operator.definite
    assert np.linalg.norm(b - A @ solution.x) <= 1e-8 * np.linalg.norm(b)
    solution = pympf.solve(A, b, preconditioner="two_level")
    assert solution.converged
    assert solution.iterations <= 30
    assert np.linalg.norm(b - A @ solution.x) <= 1e-7 * np.linalg.norm(b)


@needs_sparse_factors
def test_in_three_dimensions_minres_comes_first_and_the_stage_where_it_fails(rng):
    A = gallery.shifted(gallery.poisson((24, 24, 24)), -0.1)
    b = rng.standard_normal(A.shape[0])
    solution = pympf.solve(A, b)
    assert solution.converged
    assert solution.method == "minres"
    assert solution.choice.startswith("jacobi: A has negative eigenvalues")
    solution = pympf.solve(A, b, maxiter=50)
    assert solution.converged
    assert solution.method == "gmres"
    assert solution.choice.startswith("method = 'two_level': minres ended with")
    assert solution.iterations <= 40


def test_with_signs_and_singular(rng):
    """Without a solution the residual is the least, and it says so."""
    path = gallery.laplacian(gallery.poisson(30) - 2 * sp.eye_array(30))
    A = sp.csr_array(sp.block_diag([path, -path]))
    assert pympf.solve(A, A @ rng.standard_normal(60)).converged
    solution = pympf.solve(A, np.ones(60), maxiter=300)
    assert not solution.converged
    assert solution.reason == "diverged_inconsistent"
    assert solution.true_residual == 1
    assert not solution.x.any()


@pytest.mark.parametrize("method", ["direct", "two_level"])
def test_what_no_sparse_lu_is_for(method):
    A = gallery.poisson(50) if method == "two_level" else sp.csr_array((5, 5))
    A = sp.csr_array(A - 4 * sp.eye_array(50)) if method == "two_level" else A
    with pytest.raises(np.linalg.LinAlgError, match=f"method = '{method}' is not available"):
        pympf.as_preconditioner(A, method=method)


@pytest.mark.parametrize("method", ["auto", "minres", "gmres"])
def test_an_indefinite_matrix_changes_the_smoother_and_says_so(rng, method):
    A = gallery.shifted(gallery.poisson(200), -0.5)
    b = rng.standard_normal(200)
    solution = pympf.solve(A, b, method=method, restart=0, definite=True)
    assert solution.converged
    assert "A has negative eigenvalues: l1-Jacobi smoother" in solution.choice


# Kinds of numbers, threads


def test_float32(rng):
    A = gallery.poisson((50, 50)).astype(np.float32)
    M = pympf.as_preconditioner(A)
    assert M.dtype == np.float32
    r = rng.standard_normal(2500)
    assert (M @ r).dtype == np.float32
    expected = pympf.as_preconditioner(gallery.poisson((50, 50))) @ r
    assert_close(M @ r, expected, 1000, np.float32)
    assert pympf.solve(A, r, rtol=1e-5).converged
    solution = pympf.solve(A, r, rtol=1e-5, preconditioner="multilevel")
    assert solution.converged
    assert solution.iterations <= 6


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


# Report and parameters


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


@pytest.mark.parametrize(
    ("make", "options", "choice"),
    [
        (lambda: gallery.poisson((60, 60)), {}, "multilevel: the incomplete Cholesky"),
        (lambda: gallery.poisson(6000), {}, "ict: .*dropped nothing: it is exact"),
        (lambda: gallery.poisson((16, 16)), {}, "ict: .*dropped nothing: it is exact"),
        (lambda: grid_laplacian(120, 9), {}, "ict: .*dropped nothing: it is exact"),
        (lambda: gallery.poisson((50, 50)), {}, "ict: .* alone needs about"),
        (lambda: gallery.poisson((50, 50)), {"coarse_size": 60}, "multilevel: "),
        (lambda: gallery.shifted(gallery.poisson((60, 60)), 2), {}, "jacobi: .* alone needs about"),
        (lambda: gallery.anisotropic(80), {}, "ict: .* alone needs about"),
        (lambda: gallery.poisson(10), {}, "dense: few enough rows"),
        (lambda: gallery.poisson(10), {"method": "jacobi"}, "jacobi: asked for"),
        (lambda: gallery.poisson((60, 60)), {"method": "ict"}, "ict: asked for"),
        (lambda: gallery.poisson((60, 60)), {"max_levels": 1}, "ict: asked for one level"),
        (lambda: gallery.poisson((60, 60)), {"method": "classic"}, "classic"),
    ],
)
def test_choice_and_its_reason(make, options, choice):
    M = pympf.as_preconditioner(make(), **options)
    assert re.match(choice, M.choice), M.choice
    if options.get("method") != "classic":
        assert f"method {M.choice}" in str(M.report())


@pytest.mark.parametrize("scaled", [False, True])
def test_auto_sees_slow_errors_of_strong_rows(rng, scaled):
    """A checkerboard of contrast 10⁶, singular: the diagonal or the factor would need hundreds."""
    n, cell = 96, 8
    x, y = np.meshgrid(*[np.arange(n) // cell] * 2)
    k = np.where((x + y) % 2, 1e6, 1.0).ravel()
    C = grid_laplacian(n, n).tocoo()
    off = C.row != C.col
    mean = 2 / (1 / k[C.row[off]] + 1 / k[C.col[off]])
    W = sp.coo_array((mean, (C.row[off], C.col[off])), shape=C.shape)
    A = gallery.laplacian(sp.csr_array(W))
    if scaled:
        D = sp.diags_array(2.0 ** rng.integers(-3, 4, n * n))
        A = gallery.shifted(sp.csr_array(D @ A @ D), 1e-6)
    assert pympf.as_preconditioner(A).choice.startswith("multilevel")


def test_auto_takes_the_diagonal_of_a_power_law_graph():
    """Also when it is singular; and an update keeps to it."""
    rng = np.random.default_rng(2)
    n = 3000
    heads = np.repeat(np.arange(1, n), 4)
    tails = (heads * rng.random(len(heads)) ** 2).astype(int)
    W = sp.coo_array((np.ones(len(heads)), (heads, tails)), shape=(n, n)).tocsr()
    A = gallery.laplacian(sp.csr_array(W + W.T))
    M = pympf.as_preconditioner(A)
    assert M.choice.startswith("jacobi: the diagonal alone needs about")
    b = rng.standard_normal(n)
    solution = pympf.solve(A, b - b.mean(), preconditioner=M)
    assert solution.converged
    assert solution.iterations <= 50
    M.update(2 * A)
    assert M.choice.startswith("jacobi")
    assert np.allclose(M @ b, b / (2 * A.diagonal()))


def test_reports_of_a_singular_matrix_count_its_kernel():
    report = pympf.as_preconditioner(grid_laplacian(40, 40), method="multilevel").report()
    assert report.coarse_nullity == 1
    assert not report.indefinite


@pytest.mark.parametrize("field", pympf.Preconditioner.fields(), ids=lambda field: field["name"])
def test_parameters(field):
    A, name = gallery.poisson((12, 12)), field["name"]
    of_method = {"method": "classic"} if field["group"] == "classic" else {}
    assert pympf.as_preconditioner(A, **of_method).params[name] == field["default"]
    assert type(field["default"]) is {"int": int, "real": float, "bool": bool, "choice": str}.get(
        field["kind"]
    )
    good = {
        "int": [int(field["minimum"]), np.int64(field["minimum"])],
        "real": [field["minimum"], np.float32(field["minimum"])],
        "bool": [True, False, np.True_],
        "choice": field["choices"],
    }[field["kind"]]
    for value in good:
        if value in ("two_level", "direct") and not has_sparse_factors():
            with pytest.raises(np.linalg.LinAlgError, match="without SuperLU"):
                pympf.as_preconditioner(A, **{name: value})
            continue
        more = {"order": 16} if name == "eliminate" else {}  # which it stays below
        M = pympf.as_preconditioner(A, **of_method, **more, **{name: value})
        assert M.params[name] == (value if field["kind"] == "choice" else pytest.approx(value))
        assert np.isfinite(M @ np.ones(144)).all()
    bad = {
        "int": [(field["minimum"] - 1, TypeError), (2.0, TypeError), (10**400, ValueError)],
        "real": [(field["maximum"] * 2 + 1, ValueError), (np.nan, ValueError), ("1", TypeError)],
        "bool": [(1, TypeError), ("true", TypeError)],
        "choice": [("worst", ValueError), (0, TypeError), (None, TypeError)],
    }[field["kind"]]
    for value, error in bad:
        with pytest.raises(error, match=rf"^{name} = .*(is not|out of range)"):
            pympf.as_preconditioner(A, **of_method, **{name: value})


def test_unknown_parameters():
    A = gallery.poisson(10)
    with pytest.raises(ValueError, match="unknown parameter cores; known: method, cycle, smoother"):
        pympf.as_preconditioner(A, cores=3)
    with pytest.raises(
        ValueError, match="core_size is a parameter of the method 'classic'; the me"
    ):
        pympf.as_preconditioner(A, core_size=3)
    with pytest.raises(ValueError, match="cycle is not a parameter of the method 'classic'"):
        pympf.as_preconditioner(A, method="classic", cycle="v")


@pytest.mark.parametrize(
    ("near_nullspace", "error", "message"),
    [
        (
            np.ones(9),
            ValueError,
            r"near_nullspace: expected shape \(10,\) or \(10, k\), got \(9,\)",
        ),
        (np.ones((10, 0)), ValueError, r"got \(10, 0\)"),
        (np.ones((10, 2, 1)), ValueError, r"got \(10, 2, 1\)"),
        (np.full(10, np.nan), ValueError, "near_nullspace: expected finite values"),
        (np.ones(10) * 1j, TypeError, "near_nullspace: expected real numbers"),
        ("constants", TypeError, "near_nullspace: expected an array"),
        (np.ones((10, 2)), ValueError, "linearly independent columns, got 2 of rank 1"),
        (np.zeros(10), ValueError, "linearly independent columns, got 1 of rank 0"),
        (np.eye(10, 12), ValueError, "linearly independent columns, got 12 of rank 10"),
        (np.vander(np.arange(10.0), 3) @ np.ones((3, 3)), ValueError, "got 3 of rank 1"),
    ],
)
def test_near_nullspaces_that_are_refused(near_nullspace, error, message):
    with pytest.raises(error, match=message):
        pympf.as_preconditioner(gallery.poisson(10), near_nullspace=near_nullspace)


@pytest.mark.parametrize("scale", [1e-200, 1, 1e200])
def test_near_nullspaces_of_any_size(rng, scale):
    A = gallery.poisson((40, 40))
    B = np.vander(np.linspace(-1, 1, 1600), 2)
    r = rng.standard_normal(1600)
    expected = pympf.as_preconditioner(A, method="multilevel", near_nullspace=B) @ r
    M = pympf.as_preconditioner(A, method="multilevel", near_nullspace=scale * B)
    assert_close(M @ r, expected, 100, np.float32)


@pytest.mark.parametrize(
    ("block_size", "error"),
    [
        (3, ValueError),
        (0, ValueError),
        (-2, ValueError),
        (20, ValueError),
        (10**30, ValueError),
        (2.0, TypeError),
        (True, TypeError),
        (None, TypeError),
    ],
)
def test_block_sizes_that_are_refused(block_size, error):
    with pytest.raises(error, match=r"^block_size = "):
        pympf.as_preconditioner(gallery.poisson(10), block_size=block_size)


def test_classic_takes_no_near_nullspace():
    A = gallery.poisson(10)
    for option in ({"near_nullspace": np.ones(10)}, {"block_size": 2}):
        with pytest.raises(ValueError, match="'classic' takes neither"):
            pympf.as_preconditioner(A, method="classic", **option)


# Rigid body modes


@given(
    st.integers(1, 20),
    st.sampled_from([2, 3]),
    st.floats(-1e3, 1e3),
    st.integers(0, 2**32),
)
def test_rigid_body_modes_keep_distances(points, d, offset, seed):
    """To first order: (x_i - x_j) · (u_i - u_j) = 0."""
    x = np.random.default_rng(seed).standard_normal((points, d)) + offset
    modes = pympf.rigid_body_modes(x)
    assert modes.shape == (points * d, 3 * (d - 1))
    for mode in modes.T:
        u = mode.reshape(points, d)
        between = ((x[:, None] - x) * (u[:, None] - u)).sum(axis=2)
        assert abs(between).max() <= 1e-9


def test_rigid_body_modes_are_independent(rng):
    for d in (2, 3):
        modes = pympf.rigid_body_modes(1e6 + rng.random((30, d)))
        assert np.linalg.matrix_rank(modes) == modes.shape[1]


@pytest.mark.parametrize(
    ("coordinates", "error", "message"),
    [
        (np.ones(4), ValueError, r"expected shape \(n, 2\) or \(n, 3\), got \(4,\)"),
        (np.ones((4, 1)), ValueError, r"got \(4, 1\)"),
        (np.ones((0, 2)), ValueError, r"got \(0, 2\)"),
        ([[0, np.nan]], ValueError, "coordinates: expected finite values"),
        (np.ones((4, 2)) * 1j, TypeError, "coordinates: expected real numbers"),
    ],
)
def test_coordinates_that_are_refused(coordinates, error, message):
    with pytest.raises(error, match=message):
        pympf.rigid_body_modes(coordinates)


def test_random_graphs(rng):
    """Graph Laplacians with whatever components they have."""
    for n in (50, 400, 3000):
        A = random_graph_laplacian(n, rng)
        b = consistent(A, rng)
        solution = pympf.solve(A, b)
        assert (solution.method, solution.converged) == ("cg", True)


# What is found out about a matrix


def saddle_point(F, B, C=None):
    return sp.csr_array(sp.block_array([[F, B.T], [B, C]]))


def stokes(cells):
    """Two velocities and the pressure on a staggered grid with walls; the pressure is free by 1."""

    def line(n):
        return 2 * sp.eye_array(n) - sp.eye_array(n, k=1) - sp.eye_array(n, k=-1)

    def laplacian_of(width, height):
        return sp.kronsum(line(width), line(height))

    difference = sp.diags_array([-1.0, 1.0], offsets=[0, 1], shape=(cells - 1, cells))
    F = sp.block_diag([laplacian_of(cells - 1, cells), laplacian_of(cells, cells - 1)])
    one = sp.eye_array(cells)
    return saddle_point(F, sp.vstack([sp.kron(one, difference), sp.kron(difference, one)]).T)


def constrained(side, count, rng):
    """Equality constraints of a few random unknowns each."""
    F = gallery.poisson((side, side))
    n = F.shape[0]
    rows = np.repeat(np.arange(count), 3)
    columns = rng.permutation(n)[: 3 * count]
    B = sp.coo_array((rng.uniform(0.5, 2, 3 * count), (rows, columns)), shape=(count, n))
    return saddle_point(F, B)


def check_saddle_point(A, b, most):
    solution = pympf.solve(A, b, definite=True)
    assert solution.converged
    assert solution.method == "minres"
    assert "saddle point, each part for itself" in solution.choice
    assert np.linalg.norm(b - A @ solution.x) <= 1.01e-7 * np.linalg.norm(b)
    assert solution.true_residual <= 1e-7
    assert solution.iterations <= most
    return solution


def test_stokes_takes_as_many_iterations_on_any_grid(rng):
    for cells in (29, 58):
        A = stokes(cells)
        assert cells < 58 or A.shape[0] == 9976
        check_saddle_point(A, A @ rng.standard_normal(A.shape[0]), most=45)


def test_equality_constraints(rng):
    A = constrained(95, 1000, rng)
    assert A.shape[0] == 10025
    check_saddle_point(A, rng.standard_normal(10025), most=250)


def test_a_stabilized_saddle_point(rng):
    A = stokes(30).tolil()
    pressures = A.diagonal() == 0
    A.setdiag(np.where(pressures, -1.0, A.diagonal()))
    check_saddle_point(A.tocsr(), rng.standard_normal(A.shape[0]), most=60)


def test_the_preconditioner_of_a_saddle_point_is_positive(rng):
    A = stokes(9)
    M = pympf.as_preconditioner(A, precision="working")
    assert M.indefinite
    matrix = dense(M)
    assert_close(matrix, matrix.T, 1000)
    assert np.linalg.eigvalsh(matrix)[0] > 0
    M.update(4 * A)
    assert_close(dense(M), matrix / 4, 1000)


def test_a_saddle_point_without_definite_part_is_solved_or_told(rng):
    """The leading part is singular and indefinite: nothing definite stands for it."""
    F = sp.diags_array(rng.choice([1.0, 1e-3], 900)) - 0.5 * sp.eye_array(900, k=1)
    F = F + F.T
    A = saddle_point(F, sp.eye_array(300, 900, k=200))
    b = A @ rng.standard_normal(1200)
    solution = pympf.solve(A, b)
    residual = np.linalg.norm(b - A @ solution.x) / np.linalg.norm(b)
    assert solution.converged == (residual <= 1.01e-7)
    assert solution.converged or solution.reason.startswith("diverged")


def test_nodes_are_found(rng):
    A = gallery.elasticity((80, 80))
    b = rng.standard_normal(12800)
    found = pympf.solve(A, b, preconditioner="multilevel")
    told = pympf.solve(A, b, preconditioner="multilevel", block_size=2)
    rows = pympf.solve(A, b, preconditioner="multilevel", near_nullspace=np.ones(12800))
    assert "found nodes of 2 rows" in found.choice
    assert "nodes" not in told.choice
    np.testing.assert_array_equal(found.x, told.x)
    assert found.iterations < 0.6 * rows.iterations


def test_no_nodes_in_a_scalar_problem():
    chain = grid_laplacian(3000)
    band = abs(chain @ chain @ chain)
    for A in (gallery.poisson((60, 60)), gallery.laplacian(band - sp.diags_array(band.diagonal()))):
        assert "nodes" not in pympf.as_preconditioner(A, method="multilevel").choice


def test_a_lowered_diagonal_for_few_iterations_of_the_factor_alone(rng):
    """30 with PETSc's ICC(0), 33 when what is dropped is added to the diagonal."""
    A = gallery.poisson((22, 22, 22))
    b = rng.standard_normal(A.shape[0])
    M = pympf.as_preconditioner(A, method="ict", compensation="lower")
    solution = pympf.solve(A, b, preconditioner=M)
    assert solution.converged
    assert solution.iterations <= 23
    assert pympf.solve(A, b, preconditioner="ict").iterations > 30
    A = gallery.poisson((16, 16, 16))
    assert "jacobi" in pympf.as_preconditioner(A, solves=1).choice
    A = gallery.poisson((60, 60))
    assert "multilevel" in pympf.as_preconditioner(A, coarse_size=100).choice  # asked for


def test_an_update_of_a_lowered_diagonal(rng):
    """It stays where the new values are fit for it, and M stays positive where they are not."""
    A = gallery.poisson((22, 22, 22))
    n = A.shape[0]
    b = rng.standard_normal(n)
    M = pympf.as_preconditioner(A, method="ict", compensation="lower")
    before = M.apply(b)
    M.update(A * 4)
    assert_close(4 * M.apply(b), before, 100, np.float32)
    signs = sp.diags_array(rng.choice([-1.0, 1.0], n))
    other = sp.csr_array(signs @ A @ signs)  # with positive entries off the diagonal
    M.update(other)
    assert not M.indefinite
    ours = pympf.solve(other, b, preconditioner=M)
    assert ours.converged
    assert ours.iterations == pympf.solve(other, b, preconditioner="ict").iterations


def test_the_factor_alone_for_a_graph_in_many_parts(rng):
    """The constant of each part is in the nullspace; a probe that kept it would see no descent."""
    A = random_graph_laplacian(3000, rng, degree=3)
    assert connected_components(A)[0] > 50
    M = pympf.as_preconditioner(A)
    assert "ict: the incomplete Cholesky factorization alone" in M.choice
    x = rng.standard_normal(A.shape[0])
    assert pympf.solve(A, A @ x, preconditioner=M).converged


def cliques_in_parts(rng, parts=4, rows=1500):
    """Make the Laplacian of separate graphs, each of small groups that all know each other."""
    edges = []
    for part in range(parts):
        for _ in range(rows):
            near = rng.integers(rows) + rng.integers(-500, 500, rng.integers(2, 6))
            group = part * rows + np.unique(near % rows)
            edges.extend(itertools.combinations(group, 2))
    i, j = np.array(edges).T
    E = sp.coo_array((np.ones(len(i)), (i, j)), shape=(parts * rows,) * 2)
    return gallery.laplacian(E + E.T)


def test_no_lowered_diagonal_where_parts_are_singular_or_nearly_so(rng):
    """The constant of a part would be an eigenvalue of M A far below all others: 28 iterations."""
    A = cliques_in_parts(rng)
    shifted = gallery.shifted(A, 1e-6 * A.diagonal().mean())
    b = A @ rng.standard_normal(A.shape[0])
    for matrix in (A, shifted):
        M = pympf.as_preconditioner(matrix, solves=2)
        ours, raised = (pympf.solve(matrix, b, preconditioner=way) for way in (M, "ict"))
        assert "ict" in ours.choice
        assert ours.converged
        np.testing.assert_array_equal(ours.operator @ b, raised.operator @ b)
        assert ours.iterations <= 22


def test_a_singular_matrix_is_factored_once(rng):
    """Of a complete factorization the last pivot vanishes, and CG needs an iteration for it."""
    A = grid_laplacian(120, 9)
    b = rng.standard_normal(A.shape[0])
    solution = pympf.solve(A, b - b.mean())
    assert solution.converged
    assert solution.iterations <= 3
    assert len(solution.operator.report().levels) == 1
    parts = sp.block_diag([grid_laplacian(40, 9)] * 5, format="csr")  # too many pivots vanish
    assert "it is exact" not in pympf.as_preconditioner(parts).choice
    x = rng.standard_normal(parts.shape[0])
    assert pympf.solve(parts, parts @ x).converged


def test_a_factor_as_it_smooths_where_a_hierarchy_gains_nothing(rng):
    """Of a graph of 6000 rows; with rows in space the same probe asks for a hierarchy."""
    A = random_graph_laplacian(6000, rng, degree=3)
    A = gallery.shifted(A, 1e-3)
    M = pympf.as_preconditioner(A, solves=2)
    assert M.choice.startswith("ict: the incomplete Cholesky factorization alone")
    assert pympf.as_preconditioner(gallery.poisson((80, 80))).choice.startswith("multilevel")


def normal_equations(rng, diagonals, shift=1e-2):
    """Make a matrix of 1500 rows that has no near-nullspace."""
    n = 1500
    offsets = sorted(rng.choice(np.arange(-60, 60), diagonals, replace=False))
    bands = [rng.uniform(-1, 1, n - abs(k)) for k in offsets]
    B = sp.diags_array(bands, offsets=offsets, shape=(n, n))
    A = B.T @ B + shift * sp.eye_array(n)
    return sp.csr_array((A + A.T) / 2)


def test_a_finer_factor_where_no_near_nullspace_is_known(rng):
    """Where it is good, and where levels would be no better."""
    A = normal_equations(rng, diagonals=4)
    b = rng.standard_normal(1500)
    M = pympf.as_preconditioner(A)
    solution = pympf.solve(A, b, preconditioner=M)
    assert solution.converged
    assert "ict: the incomplete Cholesky factorization alone" in M.choice
    assert solution.iterations < pympf.solve(A, b, preconditioner="multilevel").iterations
    A = normal_equations(rng, diagonals=4, shift=1e-4)
    M = pympf.as_preconditioner(A)
    assert pympf.solve(A, b, preconditioner=M).converged
    assert "ict: no near-nullspace is known" in M.choice
    before = M.apply(b)
    M.update(A)
    np.testing.assert_array_equal(M.apply(b), before)


def contrast(width, low, seed=0):
    """Make a grid whose edges have weight 1 or, most of them, `low`: strong clusters."""
    nodes = np.arange(width**2).reshape(width, width)
    i = np.concatenate([nodes[:, :-1].ravel(), nodes[:-1].ravel()])
    j = np.concatenate([nodes[:, 1:].ravel(), nodes[1:].ravel()])
    weights = np.where(np.random.default_rng(seed).random(len(i)) < 0.7, low, 1.0)
    A = weighted_laplacian(width**2, i, j, weights).tolil()
    A[0, 0] += 1
    return sp.csr_array(A)


def weighted_laplacian(n, i, j, weights):
    W = sp.coo_array((np.tile(weights, 2), (np.r_[i, j], np.r_[j, i])), shape=(n, n)).tocsr()
    return gallery.laplacian(W)


def wide_weights(n, decades, seed=0):
    rng = np.random.default_rng(seed)
    i, j = rng.integers(0, n, 3 * n), rng.integers(0, n, 3 * n)
    keep = i != j
    weights = 10.0 ** rng.uniform(-decades, decades, 3 * n)
    return weighted_laplacian(n, i[keep], j[keep], weights[keep])


def scaled_to_unit_diagonal(A):
    D = sp.diags_array(1 / np.sqrt(A.diagonal()))
    return sp.csr_array(D @ A @ D)


@pytest.mark.parametrize("given", [{}, {"precision": "single"}, {"near_nullspace": True}])
@pytest.mark.parametrize("low", [3e-7, 1e-8, 1e-12])
def test_float32_is_left_where_strong_clusters_are_coupled_weakly(rng, low, given):
    """It would round the couplings away, and M would be indefinite (or next to it)."""
    A = contrast(150, low)
    b = A @ rng.standard_normal(22500)
    if "near_nullspace" in given:
        given = {"near_nullspace": np.ones(22500)}
    solution = pympf.solve(A, b, **given)
    assert solution.converged
    assert solution.iterations <= 10
    assert not solution.operator.report().single
    assert "in float64, as float32 rounds the smoothest vectors away" in solution.choice
    M = pympf.as_preconditioner(A, **given)
    assert spl.cg(A, b, M=M, rtol=1e-8, maxiter=20)[1] == 0
    M.update(2 * A)
    assert pympf.solve(2 * A, b, preconditioner=M).iterations <= 10


def test_float32_is_left_on_a_scaled_matrix_too(rng):
    A = scaled_to_unit_diagonal(contrast(150, 1e-8))
    assert pympf.solve(A, A @ rng.standard_normal(22500), method="cg").converged


def test_float32_is_left_when_new_values_need_it(rng):
    """The pattern stays, the contrast comes with an update, and goes."""
    even, uneven = contrast(150, 1e-2), contrast(150, 1e-8)
    M = pympf.as_preconditioner(even, method="multilevel")
    assert M.report().single
    M.update(uneven)
    assert not M.report().single
    b = uneven @ rng.standard_normal(22500)
    assert pympf.solve(uneven, b, preconditioner=M).iterations <= 10


def test_float32_stays_where_it_is_safe():
    for A in (gallery.poisson((160, 160)), gallery.poisson((26, 26, 26)), contrast(160, 1e-2)):
        assert pympf.as_preconditioner(A, method="multilevel").report().single


@pytest.mark.parametrize("decades", [9, 10, 12, 14])
def test_weights_over_many_decades(rng, decades):
    A = wide_weights(20000, decades)
    b = A @ rng.standard_normal(20000)
    assert pympf.solve(A, b).iterations <= 40
    assert spl.cg(A, b, M=pympf.as_preconditioner(A), rtol=1e-8, maxiter=60)[1] == 0


def test_a_choice_that_fails_is_followed_by_the_next(rng):
    """Levels in float64, the factor alone, the diagonal, and nothing; each is a preconditioner."""
    A = gallery.poisson((160, 160))
    b = rng.standard_normal(A.shape[0])
    M = pympf.as_preconditioner(A)
    assert M.report().single
    rows = pympf.la.Matrix(A).core
    for method, failed in [
        ("multilevel", "multilevel in float32 failed"),
        ("ict", "multilevel in float32 failed, multilevel failed"),
        ("jacobi", "multilevel in float32 failed, multilevel failed, ict failed"),
    ]:
        assert M._core.fall_back(rows, "failed")
        assert M.choice == f"{method}: {failed}"
        assert not M.report().single
        assert pympf.solve(A, b, preconditioner=M, method="cg").converged
    assert not M._core.fall_back(rows, "failed")
    M = pympf.as_preconditioner(A.astype(np.float32))
    assert M._core.fall_back(pympf.la.Matrix(A.astype(np.float32)).core, "failed")
    assert pympf.solve(A.astype(np.float32), b.astype(np.float32), preconditioner=M).converged


@pytest.mark.parametrize("shape", [(20, 20), (50, 50), (60, 60), (14, 14, 14), (22, 22, 22)])
def test_constants_that_are_given_choose_what_is_chosen_without(shape):
    A = gallery.poisson(shape)
    told = pympf.as_preconditioner(A, near_nullspace=np.ones(A.shape[0]))
    untold = pympf.as_preconditioner(A)
    assert told.choice == untold.choice
    r = np.random.default_rng(0).standard_normal(A.shape[0])
    np.testing.assert_array_equal(told.apply(r), untold.apply(r))


def test_nodes_are_found_beside_rigid_body_modes():
    """Levels of single unknowns, with three vectors each, cost five times as much."""
    A, modes = gallery.elasticity((60, 60)), modes_of_grid(60, 60)
    found = pympf.as_preconditioner(A, near_nullspace=modes)
    assert "found nodes of 2 rows" in found.choice
    given = pympf.as_preconditioner(A, near_nullspace=modes, block_size=2)
    assert found.report().operator_complexity == given.report().operator_complexity


def test_for_many_solves_levels_are_built():
    A = gallery.poisson((22, 22, 22))
    assert pympf.as_preconditioner(A, solves=1).method == "jacobi"
    assert pympf.as_preconditioner(A, solves=100).method == "multilevel"
    mass = gallery.shifted(gallery.poisson((50, 50)), 0.5)
    assert pympf.as_preconditioner(mass).method == "jacobi"
    assert pympf.as_preconditioner(mass, solves=100).method == "ict"
    with pytest.raises(ValueError, match=re.escape("solves = 0 is not a number in [1,")):
        pympf.as_preconditioner(A, solves=0)


@pytest.mark.parametrize("shape", [(70, 70), (20, 20, 20)])
def test_an_update_chooses_anew_when_more_is_needed(rng, shape):
    """Time steps that grow: the diagonal is enough for the first, not for the last."""
    K = gallery.poisson(shape)
    n = K.shape[0]
    b = rng.standard_normal(n)
    step = 0.5
    M = pympf.as_preconditioner(gallery.shifted(step * K, 1))
    assert M.method == "jacobi"
    for _ in range(20):
        step *= 1.4
        A = gallery.shifted(step * K, 1)
        M.update(A)
        assert pympf.solve(A, b, preconditioner=M).iterations <= 80
    assert M.method != "jacobi"


def test_an_update_says_that_it_chose_anew():
    K = gallery.poisson((70, 70))
    M = pympf.as_preconditioner(gallery.shifted(0.5 * K, 1))
    M.update(gallery.shifted(100 * K, 1))
    assert M.choice.endswith("chosen anew in place of jacobi: the new values need more")


def test_an_update_keeps_what_was_asked_for():
    K = gallery.poisson((70, 70))
    for method in ("jacobi", "ict"):
        M = pympf.as_preconditioner(gallery.shifted(0.5 * K, 1), method=method)
        M.update(gallery.shifted(100 * K, 1))
        assert M.choice == f"{method}: asked for"


@pytest.mark.parametrize("decades", [3, 15, 40])
@pytest.mark.parametrize("cells", [(5, 6), (40, 40)])
def test_rows_of_any_scale_are_all_in_m(rng, cells, decades):
    S = gallery.poisson(cells)
    D = sp.diags_array(10.0 ** rng.uniform(-decades, decades, S.shape[0]))
    A = sp.csr_array(D @ S @ D)
    assert_definite_beside_s(pympf.as_preconditioner(A, method="multilevel"), S, D.diagonal())


def test_rows_of_any_scale_are_all_in_m_of_float32(rng):
    S = gallery.poisson((3, 5))
    D = np.ones(15)
    A = S.tolil()
    A[4, 4] = 7e23
    D[4] = 7e23**0.5
    M = pympf.as_preconditioner(sp.csr_array(A).astype(np.float32))
    S = sp.diags_array(1 / D) @ A @ sp.diags_array(1 / D)
    assert_definite_beside_s(M, S, D, digits=1e-4)


def assert_definite_beside_s(M, S, D, digits=1e-8):
    """D M D is symmetric, and its eigenvalues times S are about 1."""
    n = len(D)
    some = np.arange(n) if n < 100 else np.arange(0, n, 23)
    columns = (M @ np.eye(n, dtype=M.dtype)[:, some]).astype(np.float64) * D[:, None] * D[some]
    square = columns[some]
    assert abs(square - square.T).max() <= digits * abs(square).max()
    assert np.linalg.eigvalsh(square)[0] > 0
    if n < 100:
        eigenvalues = np.linalg.eigvals(columns @ S.toarray()).real
        assert abs(eigenvalues - 1).max() <= digits


def test_a_value_that_is_given_counts_though_it_be_the_default():
    """The additive cycle has values of its own for what is not given, and for nothing else."""
    A = gallery.anisotropic(40, epsilon=0.3)
    made = {
        name: pympf.as_preconditioner(A, method="multilevel", cycle="additive", **params)
        for name, params in [
            ("none", {}),
            ("own", {"strength": 0.5}),
            ("default", {"strength": 0.35}),
        ]
    }
    assert made["none"].params["strength"] == made["own"].params["strength"] == 0.5
    assert made["default"].params["strength"] == 0.35
    assert made["default"].params["cluster_size"] == 16
    r = np.ones(1600)
    assert np.array_equal(made["none"] @ r, made["own"] @ r)
    assert not np.array_equal(made["none"] @ r, made["default"] @ r)
    again = pickle.loads(pickle.dumps(made["none"]))
    assert np.array_equal(again @ r, made["none"] @ r)
