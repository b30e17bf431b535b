"""Several right-hand sides at once: each column has the bits, and the result, that it has alone."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import pympf
from pympf import gallery

from ..helpers import random_symmetric

METHODS = ["auto", "cg", "fcg", "minres", "gmres", "fgmres"]
PRECONDITIONERS = ["mmf", "multilevel", "ict", "classic", "jacobi", "none"]
SAME = ("iterations", "reason", "converged", "true_residual", "norm", "method", "choice")


def check(A, B, **options):
    """Solve a block and its columns; return what came of the block."""
    solutions = pympf.solve(A, B, **options)
    assert solutions.x.shape == B.shape
    assert len(solutions) == B.shape[1]
    for c, column in enumerate(solutions):
        alone = pympf.solve(A, B[:, c], **options)
        for name in SAME:
            assert getattr(column, name) == getattr(alone, name), (c, name)
        np.testing.assert_array_equal(column.x, alone.x)
        np.testing.assert_array_equal(column.history, alone.history)
        np.testing.assert_array_equal(solutions.x[:, c], column.x)
    return solutions


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("preconditioner", PRECONDITIONERS)
def test_columns_have_the_bits_that_they_have_alone(rng, method, preconditioner):
    B = rng.standard_normal((144, 3))
    B[:, 1] = 0
    solutions = check(gallery.poisson((12, 12)), B, method=method, preconditioner=preconditioner)
    assert solutions.converged
    assert solutions.iterations[1] == 0
    assert solutions.reasons[1] == "converged_atol"


@settings(max_examples=30, deadline=None)
@given(
    k=st.integers(2, 19),  # at most 16 are under way at a time
    seed=st.integers(0, 2**16),
    method=st.sampled_from(METHODS),
    preconditioner=st.sampled_from(PRECONDITIONERS),
    dtype=st.sampled_from([np.float32, np.float64]),
    restart=st.integers(1, 8),
)
def test_any_number_of_columns(k, seed, method, preconditioner, dtype, restart):
    rng = np.random.default_rng(seed)
    A = gallery.poisson((9, 8)).astype(dtype)
    B = (rng.standard_normal((72, k)) * 10.0 ** rng.integers(-9, 9, k)).astype(dtype)
    options = {"method": method, "preconditioner": preconditioner, "restart": restart}
    check(A, B, maxiter=40, **options)


@settings(max_examples=25, deadline=None)
@given(
    k=st.integers(1, 19),
    seed=st.integers(0, 2**16),
    smoother=st.sampled_from(["ict", "gs", "chebyshev", "l1_jacobi"]),
    cycle=st.sampled_from(["v", "w", "k", "additive"]),
    precision=st.sampled_from(["single", "working"]),
)
def test_M_of_a_block_is_M_of_its_columns(k, seed, smoother, cycle, precision):
    rng = np.random.default_rng(seed)
    params = {"smoother": smoother, "cycle": cycle, "precision": precision, "coarse_size": 10}
    M = pympf.as_preconditioner(gallery.poisson((11, 10)), method="multilevel", **params)
    R = rng.standard_normal((110, k)) * 10.0 ** rng.integers(-30, 30, k)
    np.testing.assert_array_equal(M @ R, np.stack([M @ r for r in R.T], axis=1))


@pytest.mark.parametrize("method", ["auto", "minres", "gmres"])
def test_indefinite_matrices_and_those_that_are_not_symmetric(rng, method):
    A = gallery.poisson((12, 12)) - 0.3 * sp.eye_array(144)
    check(sp.csr_array(A), rng.standard_normal((144, 3)), method=method)
    B = random_symmetric(60, rng)
    skewed = sp.csr_array(B + sp.diags_array(np.arange(59.0), offsets=1))
    if method != "minres":
        check(skewed, rng.standard_normal((60, 3)), preconditioner="none", maxiter=30)


def test_columns_end_in_ways_of_their_own(rng):
    A = gallery.poisson((8, 8)).tolil()
    L = sp.csr_array(sp.csgraph.laplacian(sp.csr_array(A != 0).astype(float)))
    B = rng.standard_normal((64, 3))
    B[:, 0] -= B[:, 0].mean()  # in the range
    solutions = check(L, B)
    assert solutions.reasons == ("converged_rtol", *2 * ["diverged_inconsistent"])
    assert not solutions.converged


def test_dirichlet_rows(rng):
    A = gallery.poisson((10, 10)).tolil()
    A[[3, 50]] = 0
    A[3, 3] = A[50, 50] = 1
    check(sp.csr_array(A), rng.standard_normal((100, 3)))


def test_an_M_that_is_not_definite_falls_back_for_the_columns_that_meet_it(rng):
    A = gallery.poisson((12, 12)) - 0.3 * sp.eye_array(144)
    solutions = pympf.solve(sp.csr_array(A), rng.standard_normal((144, 3)), method="minres")
    assert solutions.converged


def test_guesses(rng):
    A = gallery.poisson((10, 10))
    B, guesses = rng.standard_normal((2, 100, 3))
    before = guesses.copy()
    solutions = pympf.solve(A, B, x0=guesses)
    np.testing.assert_array_equal(guesses, before)
    for c, column in enumerate(solutions):
        np.testing.assert_array_equal(column.x, pympf.solve(A, B[:, c], x0=guesses[:, c]).x)
    with pytest.raises(ValueError, match=r"x0: expected shape \(100, 3\) as that of b"):
        pympf.solve(A, B, x0=guesses[:, 0])
    with pytest.raises(ValueError, match=r"x0: expected shape \(100,\) as that of b"):
        pympf.solve(A, B[:, 0], x0=guesses)


def test_a_callback_is_told_the_column_and_stops_that_one(rng):
    A, B, seen = gallery.poisson((20, 20)), rng.standard_normal((400, 3)), []

    def callback(iteration, norm, column):
        seen.append((column, iteration, norm))
        return column == 1 and iteration == 2

    solutions = pympf.solve(A, B, preconditioner="jacobi", callback=callback)
    assert solutions.reasons[1] == "stopped_by_callback"
    assert solutions[0].converged
    assert solutions[2].converged
    for c, column in enumerate(solutions):
        norms = [norm for which, _, norm in seen if which == c]
        np.testing.assert_array_equal(norms[:-1], column.history[:-1])


def test_a_callback_that_raises(rng):
    def callback(iteration, norm, column):
        if column == 2:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        pympf.solve(gallery.poisson((8, 8)), rng.standard_normal((64, 3)), callback=callback)


def test_an_operator_from_elsewhere_gets_column_after_column(rng):
    A, shapes = gallery.poisson((10, 10)), set()

    def M(r):
        shapes.add(r.shape)
        return r / 4

    check(A, rng.standard_normal((100, 3)), preconditioner=M)
    assert shapes == {(100,)}


@pytest.mark.parametrize(
    ("B", "message"),
    [
        (np.ones((64, 0)), r"b: expected shape \(64,\) or \(64, k\), got \(64, 0\)"),
        (np.ones((63, 2)), r"b: expected shape \(64,\) or \(64, k\), got \(63, 2\)"),
        (np.ones((64, 2, 1)), r"b: expected shape"),
        (np.where(np.arange(128).reshape(64, 2) == 7, np.nan, 1.0), r"got nan at \(3, 1\)"),
        (np.where(np.arange(128).reshape(64, 2) == 4, np.inf, 1.0), r"got inf at \(2, 0\)"),
    ],
)
def test_blocks_that_are_refused(B, message):
    with pytest.raises(ValueError, match=message):
        pympf.solve(gallery.poisson((8, 8)), B)


def test_what_a_block_gives(rng):
    A = gallery.poisson((16, 16))
    solutions = pympf.solve(A, rng.standard_normal((256, 4)))
    assert "4 columns, 4 converged" in repr(solutions)
    assert [s.iterations for s in solutions] == solutions.iterations.tolist()
    assert solutions[-1] is solutions[3]
    assert len(solutions[1:3]) == 2
    assert solutions.setup_s > 0
    assert solutions.solve_s == pytest.approx(sum(s.solve_s for s in solutions))
    assert isinstance(solutions.operator, pympf.Preconditioner)
    assert (solutions.true_residual <= 1e-7).all()
    one = pympf.solve(A, rng.standard_normal((256, 1)))
    assert isinstance(one, pympf.Solution)
    assert one.x.shape == (256,)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_bits_on_any_number_of_threads(rng, threads):
    A = gallery.poisson((150, 150))
    B = np.random.default_rng(5).standard_normal((22500, 5))
    before = pympf.get_num_threads()
    try:
        pympf.set_num_threads(1)
        expected = pympf.solve(A, B).x
        pympf.set_num_threads(threads)
        np.testing.assert_array_equal(pympf.solve(A, B).x, expected)
    finally:
        pympf.set_num_threads(before)
