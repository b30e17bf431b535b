"""The choice by predicted cost, as data and as a solve that pays as it goes."""

import json

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf import _float64, gallery
from pympf.ref.precond.pay_as_you_go import steps_until_left


def offers_of(plan):
    return {offer.method: vars(offer) for offer in plan.offers}


def parts_of(A, b, **options):
    """Solve, and count the iterations of each part."""
    parts = []

    def count(iteration, norm):
        if iteration == 0:
            parts.append(0)
        parts[-1] = iteration

    return pympf.solve(A, b, callback=count, **options), parts


def easy_with_a_hard_end():
    """Easy rows, but for the last ones, which no look sees: a line by itself, in so many steps."""
    easy = gallery.shifted(gallery.poisson((120, 120)), 4)
    return sp.csr_array(sp.block_diag([easy, gallery.poisson((2000,))], format="csr"))


def test_grids_in_the_plane_are_for_levels_and_in_space_for_the_diagonal(rng):
    """Two steps with the diagonal come before a look, where it may be the end of it."""
    for shape, method in (((100, 100), "multilevel"), ((16, 16, 16), "jacobi")):
        A = gallery.poisson(shape)
        solution, parts = parts_of(A, rng.standard_normal(A.shape[0]))
        assert solution.converged
        assert solution.plan.method == method
        assert parts[:-1] == ([2] if method == "multilevel" else [])
        assert solution.plan.spent <= 10


@pytest.mark.parametrize("frequencies", [1, 2])
def test_a_right_hand_side_that_is_easy_is_solved_before_anything_is_looked_at(frequencies):
    """Eigenvectors of a matrix whose hard ones take two hundred steps."""
    m = 100
    modes = np.sin(np.pi * np.outer(np.arange(1, m + 1), np.arange(1, frequencies + 1)) / (m + 1))
    b = sum(np.kron(mode, mode) for mode in modes.T)
    solution = pympf.solve(gallery.poisson((m, m)), b)
    assert solution.converged
    assert solution.iterations <= frequencies + 1
    assert (solution.plan.method, solution.plan.spent) == ("jacobi", 0)
    assert "less is left to do than any setup costs" in solution.choice


def test_the_diagonal_is_left_when_the_twin_says_so(rng):
    A = easy_with_a_hard_end()
    b = rng.standard_normal(A.shape[0])
    plan = pympf.as_preconditioner(A, solves=1).plan
    assert plan.method == "jacobi"
    solution, parts = parts_of(A, b)
    assert solution.converged
    assert solution.plan.method in ("ict", "multilevel", "direct")
    assert parts[0] == steps_until_left(A, b, offers_of(plan))
    assert solution.plan.spent > 0
    assert pympf.solve(A, b, preconditioner="jacobi").iterations >= 900


def test_the_next_offer_goes_on_from_the_x_that_is_there(rng):
    A = easy_with_a_hard_end()
    b = rng.standard_normal(A.shape[0])
    solution, parts = parts_of(A, b)
    assert len(parts) == 2
    assert solution.iterations == sum(parts) == len(solution.history) - 1
    assert np.linalg.norm(b - A @ solution.x) <= 1e-8 * np.linalg.norm(b)
    assert solution.history[-1] <= 1e-8 * solution.history[0]
    again, other = parts_of(A, b)
    np.testing.assert_array_equal(again.x, solution.x)
    assert parts == other


def test_most_iterations_are_those_of_all_parts(rng):
    A = easy_with_a_hard_end()
    b = rng.standard_normal(A.shape[0])
    whole, parts = parts_of(A, b)
    for most in (parts[0] - 3, parts[0] + 2, whole.iterations - 1):
        solution = pympf.solve(A, b, maxiter=most)
        assert not solution.converged
        assert solution.reason == "diverged_max_iterations"
        assert solution.iterations == most


def test_columns_of_a_block_have_the_bits_that_they_have_alone(rng):
    A = easy_with_a_hard_end()
    B = rng.standard_normal((A.shape[0], 3))
    B[-2000:, 1] = 0  # one that the hard part does not meet
    together = pympf.solve(A, B)
    for c, column in enumerate(together):
        alone = pympf.solve(A, B[:, c].copy())
        assert column.plan == alone.plan
        np.testing.assert_array_equal(column.x, alone.x)


def test_an_easy_system_stays_with_the_diagonal_and_has_an_operator(rng):
    A = gallery.shifted(gallery.poisson((80, 80)), 2)
    b = rng.standard_normal(6400)
    solution = pympf.solve(A, b)
    assert solution.converged
    assert solution.plan.method == "jacobi"
    assert solution.choice.startswith("jacobi: ")
    M = solution.operator
    assert M.method == "jacobi"
    assert M is solution.operator
    assert pympf.solve(A, b, preconditioner=M).iterations == solution.iterations


def test_many_right_hand_sides_pay_for_levels(rng):
    """The diagonal is cheapest once, but not as often as it is asked."""
    A = gallery.poisson((16, 16, 16))
    b = rng.standard_normal(A.shape[0])
    methods = [pympf.solve(A, b, solves=solves).plan.method for solves in (1, 1000)]
    assert methods == ["jacobi", "multilevel"]


def test_a_plan_is_data_that_builds_the_same_again(rng):
    A = gallery.poisson((22, 22, 22))
    b = rng.standard_normal(A.shape[0])
    for made in (pympf.as_preconditioner(A), pympf.as_preconditioner(gallery.poisson((90, 90)))):
        plan = made.plan
        assert made.report().plan == plan
        assert json.loads(json.dumps(made.report().as_dict()["plan"])) == plan.as_dict()
        again = pympf.Plan.from_json(plan.to_json())
        assert again == plan
        assert "costs in products with A" in str(plan)
        if made.shape[0] == A.shape[0]:
            twin = pympf.as_preconditioner(A, plan=again.as_dict())
            assert (twin.method, twin.plan.variant) == (made.method, plan.variant)
            np.testing.assert_array_equal(twin @ b, made @ b)
            assert pympf.solve(A, b, plan=again).converged


def test_negative_eigenvalues_that_no_row_shows(rng):
    """CG with the diagonal meets one, and methods for signs take its place."""
    d = np.ones(2000)
    A = sp.csr_array(sp.diags_array([d[1:] * 0.6, d, d[1:] * 0.6], offsets=[-1, 0, 1]))
    b = rng.standard_normal(2000)
    solution = pympf.solve(A, b)
    assert solution.converged
    assert solution.method in ("minres", "gmres")
    assert np.linalg.norm(b - A @ solution.x) <= 1e-7 * np.linalg.norm(b)


def test_another_plan_by_other_unit_costs(rng):
    """The bench case `honest` chooses by costs that it has fitted on other systems."""
    A = gallery.poisson((16, 16, 16))
    b = rng.standard_normal(A.shape[0])
    shipped = _float64.unit_costs()
    assert pympf.solve(A, b).plan.method == "jacobi"
    try:
        given = _float64.unit_costs({"diagonal_step.entry": 1e3})
        assert given == shipped | {"diagonal_step.entry": 1e3}
        solution = pympf.solve(A, b)
    finally:
        _float64.unit_costs(shipped)
    assert solution.converged
    assert solution.plan.method != "jacobi"
    assert pympf.solve(A, b).plan.method == "jacobi"
    for name, cost, message in (
        ("diagonal_step.cost", 1.0, "expected the name of a unit cost"),
        ("diagonal_step.entry", -1.0, "0 or more, got -1"),
        ("diagonal_step.entry", np.nan, "0 or more, got nan"),
    ):
        with pytest.raises(ValueError, match=message):
            _float64.unit_costs({name: cost})
    assert _float64.unit_costs() == shipped


@pytest.mark.parametrize(
    ("plan", "error", "match"),
    [
        (7, TypeError, "plan is a int"),
        ({"method": "ict"}, ValueError, "expected the data of a plan"),
    ],
)
def test_what_is_no_plan(plan, error, match):
    A = gallery.poisson((30, 30))
    with pytest.raises(error, match=match):
        pympf.solve(A, np.ones(900), plan=plan)
    with pytest.raises(error, match=match):
        pympf.as_preconditioner(A, plan=plan)


def test_a_plan_and_what_contradicts_it():
    A = gallery.poisson((30, 30))
    plan = pympf.as_preconditioner(A).plan
    with pytest.raises(ValueError, match="the plan says it already"):
        pympf.as_preconditioner(A, plan=plan, method="ict")
    with pytest.raises(ValueError, match="for preconditioner='mmf'"):
        pympf.solve(A, np.ones(900), plan=plan, preconditioner="jacobi")
    with pytest.raises(ValueError, match="Expecting value"):
        pympf.Plan.from_json("no plan")
