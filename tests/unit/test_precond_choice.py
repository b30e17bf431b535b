"""What `auto` chooses, what follows where that fails, and the reasons that it gives."""

import itertools
import re

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

import pympf
from pympf import gallery

from ..helpers import (
    assert_close,
    has_sparse_factors,
    random_graph_laplacian,
)
from .precond_systems import consistent, grid_laplacian, normal_equations


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


def test_random_graphs(rng):
    """Graph Laplacians with whatever components they have."""
    for n in (50, 400, 3000):
        A = random_graph_laplacian(n, rng)
        b = consistent(A, rng)
        solution = pympf.solve(A, b)
        assert (solution.method, solution.converged) == ("cg", True)


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
    alone = pympf.solve(A, b - b.mean(), preconditioner=pympf.as_preconditioner(A))
    assert alone.iterations <= 3
    assert len(alone.operator.report().levels) == 1
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


def test_a_finer_factor_where_no_near_nullspace_is_known(rng):
    """Where it is good, and where levels would be no better; in float64 a complete one is."""
    A, b = normal_equations(rng, diagonals=4), rng.standard_normal(1500)
    single = A.astype(np.float32), b.astype(np.float32)
    M = pympf.as_preconditioner(single[0])
    solution = pympf.solve(*single, preconditioner=M)
    assert solution.converged
    assert "ict: the incomplete Cholesky factorization alone" in M.choice
    assert solution.iterations < pympf.solve(*single, preconditioner="multilevel").iterations
    A = normal_equations(rng, diagonals=4, shift=1e-4)
    M = pympf.as_preconditioner(A)
    assert pympf.solve(A, b, preconditioner=M).converged
    is_complete = has_sparse_factors()
    expected = "direct: a factor has" if is_complete else "ict: no near-nullspace is known"
    assert expected in M.choice
    before = M.apply(b)
    M.update(A)
    np.testing.assert_array_equal(M.apply(b), before)


def test_a_choice_that_fails_is_followed_by_the_next(rng):
    """Levels in float64, the factor alone, the diagonal, and nothing; each is a preconditioner."""
    A = gallery.poisson((160, 160))
    b = rng.standard_normal(A.shape[0])
    M = pympf.as_preconditioner(A)
    assert M.report().single
    rows = pympf.la.Matrix(A).compiled
    for method, failed in [
        ("multilevel", "multilevel in float32 failed"),
        ("ict", "multilevel in float32 failed, multilevel failed"),
        ("jacobi", "multilevel in float32 failed, multilevel failed, ict failed"),
    ]:
        assert M._compiled.fall_back(rows, "failed")
        assert M.choice == f"{method}: {failed}"
        assert not M.report().single
        assert pympf.solve(A, b, preconditioner=M, method="cg").converged
    assert not M._compiled.fall_back(rows, "failed")
    M = pympf.as_preconditioner(A.astype(np.float32))
    assert M._compiled.fall_back(pympf.la.Matrix(A.astype(np.float32)).compiled, "failed")
    assert pympf.solve(A.astype(np.float32), b.astype(np.float32), preconditioner=M).converged


@pytest.mark.parametrize("shape", [(20, 20), (50, 50), (60, 60), (14, 14, 14), (22, 22, 22)])
def test_constants_that_are_given_choose_what_is_chosen_without(shape):
    A = gallery.poisson(shape)
    told = pympf.as_preconditioner(A, near_nullspace=np.ones(A.shape[0]))
    untold = pympf.as_preconditioner(A)
    assert told.choice == untold.choice
    r = np.random.default_rng(0).standard_normal(A.shape[0])
    np.testing.assert_array_equal(told.apply(r), untold.apply(r))


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
