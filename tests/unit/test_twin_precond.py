"""The multilevel preconditioner against its numpy twin, on matrices without ties."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp

import pympf
from pympf import gallery
from pympf.ref.precond.incomplete_cholesky import incomplete_cholesky
from pympf.ref.precond.nodes import find_node_size
from pympf.ref.precond.params import Params
from pympf.ref.precond.setup import setup
from pympf.ref.precond.two_level import two_level

# What the twin has no choice of.
FIXED = {"method": "multilevel", "ordering": "natural", "precision": "working", "strips": 1}


def random_graph(n, degree, seed):
    """Build a random connected graph's Laplacian with generic weights, plus a small diagonal."""
    rng = np.random.default_rng(seed)
    A = np.zeros((n, n))
    edges = [(i, rng.integers(max(0, i - 6), i)) for i in range(1, n)]
    edges += [tuple(rng.integers(n, size=2)) for _ in range(n * (degree - 2) // 2)]
    for i, j in edges:
        if i != j:
            A[i, j] = A[j, i] = -rng.uniform(0.1, 2)
    return A - np.diag(A.sum(axis=1)) + np.diag(rng.uniform(0, 0.1, n))


def random_grid(width, height, seed):
    """Build a grid with random conductivities, held at one side."""
    rng = np.random.default_rng(seed)
    n = width * height
    A = np.zeros((n, n))
    place = np.arange(n).reshape(height, width)
    pairs = [(place[:, :-1], place[:, 1:]), (place[:-1], place[1:])]
    for i, j in ((i, j) for a, b in pairs for i, j in zip(a.flat, b.flat, strict=True)):
        A[i, j] = A[j, i] = -rng.uniform(0.3, 3)
    return A - np.diag(A.sum(axis=1)) + np.diag(0.5 * (np.arange(n) % width == 0))


def any_signs(n, seed):
    """Build a definite matrix with couplings of both signs."""
    rng = np.random.default_rng(seed)
    A = -random_graph(n, 5, seed) * np.triu(rng.choice([-1, 1], (n, n)), 1)
    A += A.T
    return A + np.diag(np.abs(A).sum(axis=1) + rng.uniform(0.01, 0.3, n))


def springs(width, height, seed):
    """Build a plane net of springs, two rows for each point, and its rigid body modes.

    Both are in axes of their own at each point: otherwise entries of P would cancel to rounding.
    """
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    points = np.column_stack([x.ravel(), y.ravel()]) + rng.uniform(-0.2, 0.2, (width * height, 2))
    n = len(points)
    A = np.zeros((2 * n, 2 * n))
    for k in range(n):
        for l in range(k + 1, n):
            d = points[k] - points[l]
            if np.linalg.norm(d) < 1.7:
                K = rng.uniform(0.5, 1.5) * np.outer(d, d) / (d @ d)
                A[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] += K
                A[2 * l : 2 * l + 2, 2 * l : 2 * l + 2] += K
                A[2 * k : 2 * k + 2, 2 * l : 2 * l + 2] = -K
                A[2 * l : 2 * l + 2, 2 * k : 2 * k + 2] = -K
    A += 1e-3 * np.eye(2 * n)
    T = scipy.linalg.block_diag(*(np.eye(2) + rng.uniform(-0.5, 0.5, (n, 2, 2))))
    return T @ A @ T.T, np.linalg.solve(T.T, pympf.rigid_body_modes(points))


def compare(A, near_nullspace=None, block_size=1, **params):
    """Check that both have the same levels and that M r is the same to rounding."""
    params = {"coarse_size": 6, **params}
    M = pympf.as_preconditioner(
        A, near_nullspace=near_nullspace, block_size=block_size, **params, **FIXED
    )
    twin = setup(A, Params(**params), near_nullspace, block_size)
    report = M.report()
    levels = report.levels[: len(twin.levels)]
    assert [level["rows"] for level in levels] == [len(level.A) for level in twin.levels]
    assert report.coarse_rows == (0 if twin.coarse is None else len(twin.coarse))
    for ours, theirs in zip(levels, twin.levels, strict=True):
        assert ours["nnz"] == np.count_nonzero(theirs.A)
        if theirs.label is not None:
            assert ours["clusters"] == theirs.label.max() + 1
            assert ours["lifted"] == theirs.lifted
            per_row = np.count_nonzero(theirs.P) / len(theirs.A)
            assert ours["prolongation"] == pytest.approx(per_row)
        if twin.params.smoother == "ict":
            L = incomplete_cholesky(theirs.A, twin.params.drop_tolerance, twin.params.fill)
            below = np.count_nonzero(np.tril(L, -1))
            assert ours["factor"] == pytest.approx(below / ours["nnz"])
    for r in np.random.default_rng(1).standard_normal((4, len(A))):
        expected = twin.apply(r)
        error = np.linalg.norm(M.apply(r) - expected) / np.linalg.norm(expected)
        assert error < 1e-10
    return len(twin.levels)


@pytest.mark.parametrize("jumps", [0, 3])
def test_a_factor_that_lowers_the_diagonal(jumps, rng):
    """What 'auto' may take for grids in space; here also with weak and strong cells."""
    n = 8
    k = 10.0 ** rng.choice([-jumps, 0, jumps], size=(n // 4,) * 3)
    k = np.kron(k, np.ones((4, 4, 4))).ravel()
    pattern = sp.coo_array(pympf.gallery.poisson((n, n, n)))
    i, j = pattern.coords
    weights = np.where(i != j, 2 * k[i] * k[j] / (k[i] + k[j]), 0)
    A = pympf.gallery.laplacian(sp.csr_array((weights, (i, j)))) + sp.diags_array(k)
    A = sp.csr_array(A)
    M = pympf.as_preconditioner(A, **{**FIXED, "method": "ict", "compensation": "lower"})
    assert M.plan.variant == "lowered"
    dense = A.toarray()
    L = incomplete_cholesky(dense, 0.01, 1, lowers_diagonal=True)
    for r in rng.standard_normal((3, n**3)):
        np.testing.assert_allclose(M.apply(r), np.linalg.solve(L @ L.T, r), rtol=1e-8, atol=1e-8)
    raised = incomplete_cholesky(dense, 0.01, 1)
    assert (L @ L.T - dense).sum() < (raised @ raised.T - dense).sum() / 2


def test_a_factor_that_drops_less_on_few_rows(rng):
    """What 'auto' takes for this grid, alone."""
    A = pympf.gallery.poisson((34, 34))
    M = pympf.as_preconditioner(A, **{**FIXED, "method": "auto"})
    assert "ict: the incomplete Cholesky factorization alone" in M.choice
    L = incomplete_cholesky(A.toarray(), Params().drop_tolerance / 10, 10)
    for r in rng.standard_normal((3, 34**2)):
        np.testing.assert_allclose(M.apply(r), np.linalg.solve(L @ L.T, r), rtol=1e-8, atol=1e-8)


def test_the_twin_has_the_defaults_of_the_engine():
    fields = [field for field in pympf.Preconditioner.fields() if field["group"] != "classic"]
    engine = {field["name"]: field["default"] for field in fields}
    twin = vars(Params())
    assert twin == {name: engine[name] for name in twin}
    elsewhere = {"rows_per_rank", "repartition", "most_cut", "definite", "solves", "factor_backend"}
    elsewhere |= {"compensation"}
    assert engine.keys() - twin.keys() == FIXED.keys() | elsewhere


@pytest.mark.parametrize("shape", ["star", "triple", "pair"])
@pytest.mark.parametrize("cycle", ["v", "w", "k"])
@pytest.mark.parametrize("smoother", ["ict", "gs", "chebyshev", "l1_jacobi"])
def test_the_same_cycle(smoother, cycle, shape):
    choices = {"smoother": smoother, "cycle": cycle, "shape": shape}
    assert compare(random_grid(14, 13, 1), **choices) > 1
    compare(random_graph(150, 4, 2), **choices)
    compare(any_signs(120, 3), **choices)


@pytest.mark.parametrize(
    "changes",
    [
        {"lift": False},
        {"lift_weight": 0.5, "truncation": 0.0},
        {"truncation": 0.3},
        {"strength": 0.1, "cluster_size": 5},
        {"strength": 0.7, "strength_decay": 0.5},
        {"sweeps": 3},
        {"sweeps": 2, "smoother": "gs"},
        {"overcorrection": 1.5},
        {"drop_tolerance": 0.2, "fill": 0},
        {"drop_tolerance": 0.0, "fill": 5},
        {"smoother": "chebyshev", "degree": 1},
        {"smoother": "chebyshev", "degree": 4},
        {"coarse_size": 0},
        {"max_levels": 1},
        {"max_levels": 1, "smoother": "gs"},
        {"max_levels": 2},
        {"max_levels": 2, "smoother": "gs", "sweeps": 2},
        {"max_complexity": 1.3},
        {"max_complexity": 1.0},
        {"relaxations": 0},
        {"relaxations": 3, "smoother": "gs"},
    ],
    ids=lambda changes: ",".join(f"{name}={value}" for name, value in changes.items()),
)
def test_the_same_effect_of_a_parameter(changes):
    compare(random_grid(12, 15, 4), **changes)
    compare(random_graph(130, 6, 5), **changes)
    A, modes = springs(9, 8, 6)
    compare(A, modes, 2, **changes)


@pytest.mark.parametrize("cycle", ["v", "k"])
@pytest.mark.parametrize("smoother", ["ict", "gs", "chebyshev", "l1_jacobi"])
def test_the_same_with_nodes_of_several_rows_and_several_vectors(smoother, cycle):
    choices = {"smoother": smoother, "cycle": cycle}
    A, modes = springs(11, 9, 7)
    assert compare(A, modes, 2, **choices) > 1
    compare(A, modes[:, :2], 2, **choices)
    compare(A, modes[:, :1] + modes[:, 1:2], 2, **choices)
    compare(A, None, 2, **choices)
    compare(A, modes, 1, **choices)
    B = random_graph(140, 4, 8)
    vectors = np.column_stack([np.ones(140), np.random.default_rng(0).uniform(-1, 1, 140)])
    compare(B, vectors, **choices)


def test_the_same_where_clusters_have_fewer_rows_than_vectors(rng):
    A = random_graph(120, 4, 9)
    vectors = np.column_stack([np.ones(120), rng.uniform(-1, 1, (120, 2))])
    for shape in ("triple", "star"):
        compare(A, vectors, shape=shape, strength=0.7)


def test_the_same_vector_where_constants_are_poor(rng):
    """A scaling that the diagonal tells of, one that it does not, and signs."""
    A = random_grid(12, 12, 10)
    for scale in (rng.uniform(0.1, 10, 144), rng.choice([-1.0, 1.0], 144)):
        scaled = A * np.outer(scale, scale)
        compare(scaled)
        compare(scaled, smoother="gs")
        compare(scaled, 1 / scale[:, None])


def test_the_same_on_singular_and_disconnected_matrices():
    A = random_graph(60, 4, 11)
    neumann = A - np.diag(A.sum(axis=1))
    for smoother in ("ict", "gs", "chebyshev", "l1_jacobi"):
        compare(np.kron(np.diag([1.0, 2.5]), neumann), np.ones(120)[:, None], smoother=smoother)
        compare(np.kron(np.diag([1.0, 2.5]), A), smoother=smoother)


def test_the_same_factor_of_an_indefinite_matrix():
    for shift in (0.3, 1.0, 3.0):
        A = random_graph(80, 4, 12) - shift * np.eye(80)
        full = {"max_levels": 1, "drop_tolerance": 0.0, "fill": 1000}
        assert pympf.as_preconditioner(A, coarse_size=6, **full, **FIXED).indefinite
        compare(A, **full)
        compare(A, max_levels=1)
        compare(A, max_levels=1, drop_tolerance=0.1, fill=0)
    compare(np.diag([1.0, -2.0, 3.0] * 5), max_levels=1)


@pytest.mark.parametrize(
    ("A", "size"),
    [
        (gallery.elasticity((15, 14)), 2),
        (gallery.elasticity((20, 17), clamped=False), 2),
        (np.kron(gallery.poisson((12, 13)).toarray(), np.diag([1.0, 2, 3]) + 1), 3),
        (gallery.poisson((20, 18)), 1),
        (random_graph(240, 5, 1), 1),
        (springs(11, 9, 7)[0], 2),
    ],
    ids=["sheet", "free sheet", "systems", "scalar", "graph", "turned axes"],
)
def test_the_same_nodes(A, size):
    dense = np.asarray(A.toarray() if hasattr(A, "toarray") else A)
    assert find_node_size(dense) == size
    says = pympf.as_preconditioner(A, **FIXED, coarse_size=10).choice
    assert says == "multilevel: asked for" + (f"; found nodes of {size} rows" if size > 1 else "")


def test_the_same_stage_with_the_signs_of_the_matrix(rng):
    A = pympf.gallery.shifted(pympf.gallery.poisson((19, 14)), -0.05)
    try:
        M = pympf.as_preconditioner(A, method="two_level")
    except np.linalg.LinAlgError as error:
        pytest.skip(str(error))
    r = rng.standard_normal(A.shape[0])
    np.testing.assert_allclose(M @ r, two_level(A)(r), rtol=1e-8, atol=1e-8)
