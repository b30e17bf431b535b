"""Matchings of rows with columns, against brute force and SciPy."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from scipy.optimize import linear_sum_assignment

from pympf import matching, set_num_threads

from ..helpers import rectangular


def check_is_matching(found, A):
    rows = np.flatnonzero(found.column >= 0)
    assert found.size == rows.size == np.count_nonzero(found.row >= 0)
    assert np.array_equal(found.row[found.column[rows]], rows)
    assert np.all(np.asarray(A)[rows, found.column[rows]] != 0)


def total(found, W):
    rows = np.flatnonzero(found.column >= 0)
    return np.asarray(W)[rows, found.column[rows]].sum()


@given(rectangular())
def test_sum_is_the_greatest_and_greedy_at_least_half_of_it(A):
    W = abs(A)
    best = W[linear_sum_assignment(W, maximize=True)].sum()
    exact, greedy = matching.maximum_sum(W), matching.greedy(W)
    for found in (exact, greedy):
        check_is_matching(found, W)
    assert exact.exact
    assert not greedy.exact
    assert total(exact, W) == pytest.approx(best, rel=1e-12)
    assert best / 2 * (1 - 1e-12) <= total(greedy, W) <= best * (1 + 1e-12)


@given(rectangular())
def test_product_is_of_most_entries_and_scales_them_to_one(A):
    found = matching.maximum_product(A)
    check_is_matching(found, A)
    assert found.size == sp.csgraph.structural_rank(sp.csr_array(A))
    scaled = abs(found.row_scale[:, None] * A * found.column_scale)
    assert scaled.max() <= 1 + 1e-10
    rows = np.flatnonzero(found.column >= 0)
    np.testing.assert_allclose(scaled[rows, found.column[rows]], 1, rtol=1e-10)


@given(rectangular(most=5))
def test_product_is_the_greatest(A):
    m, n = A.shape
    found = matching.maximum_product(A)
    best = -np.inf
    for columns in itertools.permutations([*range(n), *[-1] * m], m):
        matched = [(i, j) for i, j in enumerate(columns) if j >= 0 and A[i, j] != 0]
        if len(matched) == found.size:
            best = max(best, sum(np.log(abs(A[i, j])) for i, j in matched))
    rows = np.flatnonzero(found.column >= 0)
    product = np.log(abs(A[rows, found.column[rows]])).sum()
    assert product == pytest.approx(best, abs=1e-9)


def test_ties_go_to_the_smaller_index():
    assert matching.maximum_sum(np.ones((3, 4))).column.tolist() == [0, 1, 2]
    assert matching.maximum_product(np.ones((3, 3))).column.tolist() == [0, 1, 2]
    assert matching.greedy(np.ones((4, 3))).column.tolist() == [0, 1, 2, -1]


def test_capped_search_says_so_and_is_never_worse_than_greedy(rng):
    W = sp.random_array((300, 280), density=0.05, rng=rng, format="csr")
    exact, capped = matching.maximum_sum(W), matching.maximum_sum(W, most_work=0)
    assert exact.exact
    assert exact.work > 0
    assert not capped.exact
    greedy = total(matching.greedy(W), W.toarray())
    assert greedy <= total(capped, W.toarray()) <= total(exact, W.toarray())
    scales = matching.maximum_product(W, most_work=0)
    assert not scales.exact
    scaled = scales.row_scale[:, None] * W.toarray() * scales.column_scale
    assert scaled.max() <= 1 + 1e-10


def test_same_for_any_number_of_threads(rng):
    W = sp.random_array((200, 200), density=0.05, rng=rng, format="csr")
    set_num_threads(1)
    one = matching.maximum_sum(W)
    set_num_threads(3)
    assert np.array_equal(one.column, matching.maximum_sum(W).column)


def test_scaling_of_a_block_that_cannot_be_matched_in_full():
    # Rows 0 and 1 have column 0 alone; row 2 reaches into it with a large entry.
    A = np.array([[1.0, 0, 0], [3.0, 0, 0], [1e30, 2.0, 1e-30]])
    found = matching.maximum_product(A)
    assert found.column.tolist() == [-1, 0, 1]
    scaled = found.row_scale[:, None] * A * found.column_scale
    assert scaled.max() == pytest.approx(1)
    assert scaled[1, 0] == pytest.approx(1)
    assert scaled[2, 1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: matching.maximum_sum(np.ones((0, 3))), ValueError, "at least one row"),
        (lambda: matching.maximum_sum([[1.0, -2.0]]), ValueError, "weights >= 0, got -2"),
        (lambda: matching.maximum_product([[1.0, np.nan]]), ValueError, "finite"),
        (lambda: matching.maximum_product([[1j]]), TypeError, "real numbers"),
        (lambda: matching.greedy(np.eye(2), 3), TypeError, "positional"),
        (lambda: matching.maximum_sum(np.eye(2), most_work=-1), ValueError, "most_work = -1"),
        (lambda: matching.maximum_sum(np.eye(2), most_work=0.5), TypeError, "integer"),
    ],
)
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_zeros_and_one_row():
    assert matching.maximum_product(np.zeros((2, 3))).row_scale.tolist() == [1, 1]
    assert matching.maximum_sum([[0.0, 5.0]]).column.tolist() == [1]
    assert matching.maximum_product(sp.csr_array((4, 4))).size == 0
