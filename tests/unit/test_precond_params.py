"""Parameters, near-nullspaces and nodes: what they do, and what is refused."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

import pympf
from pympf import gallery

from ..helpers import (
    assert_close,
    has_sparse_factors,
)
from .precond_systems import consistent, grid_laplacian, modes_of_grid


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


def test_nodes_are_found_beside_rigid_body_modes():
    """Levels of single unknowns, with three vectors each, cost five times as much."""
    A, modes = gallery.elasticity((60, 60)), modes_of_grid(60, 60)
    found = pympf.as_preconditioner(A, near_nullspace=modes)
    assert "found nodes of 2 rows" in found.choice
    given = pympf.as_preconditioner(A, near_nullspace=modes, block_size=2)
    assert found.report().operator_complexity == given.report().operator_complexity


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
