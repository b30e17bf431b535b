"""The gallery: closed formulas for the model problems, invariants for the random graphs."""

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as sla

import pympf
from pympf import gallery


def assert_canonical(A):
    assert isinstance(A, sp.csr_array)
    assert A.has_canonical_format
    assert A.dtype == np.float64
    assert A.indices.dtype == A.indptr.dtype == np.int32
    assert (A != A.T).nnz == 0


# Poisson


@pytest.mark.parametrize("shape", [7, (7,), (4, 5), (3, 4, 5), (1, 1), (2, 3, 2, 2)])
def test_poisson_spectrum(shape):
    """The eigenvalues are sums of 2 - 2 cos(pi k / (n + 1)), one term for each axis."""
    A = gallery.poisson(shape)
    assert_canonical(A)
    expected = np.zeros(1)
    for size in np.atleast_1d(shape):
        along = 2 - 2 * np.cos(np.pi * np.arange(1, size + 1) / (size + 1))
        expected = np.add.outer(expected, along).ravel()
    np.testing.assert_allclose(np.linalg.eigvalsh(A.toarray()), np.sort(expected), atol=1e-13)


def test_poisson_last_axis_is_fastest():
    A = gallery.poisson((2, 3)).toarray()
    assert A[0, 1] == A[0, 3] == -1
    assert A[2, 3] == 0


@pytest.mark.parametrize("shape", [0, (), (3, 0), (-1,)])
def test_poisson_of_nothing(shape):
    with pytest.raises(ValueError, match="expected positive sizes"):
        gallery.poisson(shape)


def test_poisson_too_large():
    with pytest.raises(ValueError, match="at most 2147483647 rows, got 65536 x 65536"):
        gallery.poisson((2**16, 2**16))


# Elasticity


@pytest.mark.parametrize("shape", [(2, 2), (5, 3), (4, 6)])
@pytest.mark.parametrize("poisson_ratio", [0.0, 0.3, -0.5])
def test_kernel_of_a_free_sheet(shape, poisson_ratio):
    """A body that nothing holds can move as a whole, and only so."""
    A = gallery.elasticity(shape, clamped=False, poisson_ratio=poisson_ratio)
    assert_canonical(A)
    modes = pympf.rigid_body_modes(np.indices(shape).reshape(2, -1).T)
    assert abs(A @ modes).max() < 1e-13
    values = np.linalg.eigvalsh(A.toarray())
    np.testing.assert_allclose(values[:3], 0, atol=1e-13)
    assert values[3] > 1e-3


def test_stretched_sheet():
    """Stretching by 1 along x without room along y: energy = area / (1 - nu^2) / 2."""
    A = gallery.elasticity((4, 6), clamped=False, poisson_ratio=0.25)
    x = np.zeros((4, 6, 2))
    x[..., 0] = np.arange(4)[:, np.newaxis]
    assert x.ravel() @ A @ x.ravel() / 2 == pytest.approx(15 / (1 - 0.25**2) / 2)


def test_clamped_sheet():
    """The same sheet without the unknowns of its first nodes."""
    A = gallery.elasticity((3, 4))
    assert_canonical(A)
    free = gallery.elasticity((4, 4), clamped=False)
    assert (free[8:, 8:] != A).nnz == 0
    assert np.linalg.eigvalsh(A.toarray())[0] > 0


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 4), {}, "two sizes of at least 2"),
        ((3, 3, 3), {}, "two sizes of at least 2"),
        ((0, 4), {}, "positive sizes"),
        ((2**15, 2**15), {}, "at most 2147483647 rows"),
        ((3, 3), {"poisson_ratio": 0.5}, "expected -1 < poisson_ratio < 0.5, got 0.5"),
        ((3, 3), {"poisson_ratio": np.nan}, "got nan"),
    ],
)
def test_elasticity_that_is_refused(shape, options, message):
    with pytest.raises(ValueError, match=message):
        gallery.elasticity(shape, **options)


# Disc


def test_disc_stencil():
    """On 4 x 4 cells, by hand: harmonic means between cells, 2 k at the boundary."""
    A = gallery.disc(4).toarray()
    assert_canonical(gallery.disc(4))
    small, large = 1e-3, 1e3
    # Cell (x, y) = (1, 1) has k = 1: neighbours of k = 1 left and below, 1e3 right, 1e-3 above.
    cell = 1 * 4 + 1
    np.testing.assert_allclose(A[cell, cell - 1], -1)
    np.testing.assert_allclose(A[cell, cell - 4], -1)
    np.testing.assert_allclose(A[cell, cell + 1], -2 * large / (1 + large))
    np.testing.assert_allclose(A[cell, cell + 4], -2 * small / (1 + small))
    np.testing.assert_allclose(A[cell].sum(), 0, atol=1e-12)
    # The corner x = 1, y = 0 lies in the quadrant of 1e3: two inner faces, two on the boundary.
    np.testing.assert_allclose(A[3, 3], 2 * large + 2 * 2 * large)


@pytest.mark.parametrize("n", [1, 2, 5, 16])
def test_disc_is_positive_definite(n):
    A = gallery.disc(n)
    assert A.shape == (n * n, n * n)
    assert np.linalg.eigvalsh(A.toarray())[0] > 0


# Anisotropic diffusion


@pytest.mark.parametrize("n", [1, 2, 3, 8])
@pytest.mark.parametrize("angle", [0, 0.5, np.pi / 2, -2])
@pytest.mark.parametrize("epsilon", [1e-3, 1, 50])
def test_energy_of_linear_functions(n, angle, epsilon):
    """Inside, the elements know u = x and u = y exactly: A u = 0, and u^T A u is the integral."""
    A = gallery.anisotropic(n, epsilon, angle)
    assert_canonical(A)
    assert np.linalg.eigvalsh(A.toarray())[0] > 0
    x, y = np.tile(np.arange(n), n), np.repeat(np.arange(n), n)
    inside = (x > 0) & (x < n - 1) & (y > 0) & (y < n - 1)
    for u in (np.ones(n * n), x, y):
        np.testing.assert_allclose((A @ u)[inside], 0, atol=1e-9 * max(epsilon, 1) * n)
    along = np.array([np.cos(angle), np.sin(angle)])
    K = np.outer(along, along) + epsilon * (np.eye(2) - np.outer(along, along))
    # A bump of one node has the energy of its four elements; its x and y parts are 2/3 * 2 each.
    np.testing.assert_allclose(A.diagonal(), 4 / 3 * np.trace(K))


@pytest.mark.parametrize("wrong", [(0,), (3, 0), (3, -1), (3, np.nan), (3, np.inf), (3, 1, np.nan)])
def test_anisotropic_refuses(wrong):
    with pytest.raises(ValueError, match="expected"):
        gallery.anisotropic(*wrong)


# The thesis's problems


@pytest.mark.parametrize(
    ("name", "n"),
    [("1D Laplacian", 256), ("2D Laplacian", 1024), ("3D Laplacian", 512), ("2D Disc", 1024)],
)
def test_thesis_problem(name, n):
    A, b = gallery.thesis_problem(name, n)
    assert_canonical(A)
    assert A.shape == (n, n)
    assert b.shape == (n,)


def test_thesis_problem_solves_the_equation():
    """In one dimension u'' = f gives a known solution, here by integrating f twice."""
    n = 2000
    A, b = gallery.thesis_problem("1D Laplacian", n)
    u = sla.spsolve(A.tocsc(), b)
    x = np.linspace(0, 1, n + 2)
    f = np.exp(x) / (1 + x**2)
    step = x[1]
    first = np.concatenate([[0], np.cumsum((f[1:] + f[:-1]) / 2) * step])
    second = np.concatenate([[0], np.cumsum((first[1:] + first[:-1]) / 2) * step])
    np.testing.assert_allclose(u, (second - x * second[-1])[1:-1], atol=1e-6)


def test_thesis_right_hand_side_depends_on_x_alone():
    _, b = gallery.thesis_problem("3D Laplacian", 4**3)
    x = np.arange(1, 5) / 5
    np.testing.assert_allclose(b.reshape(4, 4, 4), np.broadcast_to(100 * x**2 / 25, (4, 4, 4)))


@pytest.mark.parametrize(
    ("name", "n", "message"),
    [
        ("4D Laplacian", 16, r"expected one of \['1D Laplacian', .*got '4D Laplacian'"),
        ("2D Laplacian", 15, r"expected n = k\^2 rows with k >= 1, got 15"),
        ("3D Laplacian", 16, r"k\^3"),
        ("1D Laplacian", 0, "got 0"),
        ("2D Disc", -4, "got -4"),
    ],
)
def test_thesis_problem_that_is_wrong(name, n, message):
    with pytest.raises(ValueError, match=message):
        gallery.thesis_problem(name, n)


# Graphs


def test_random_geometric_graph():
    n, degree = 300, 8
    A = gallery.random_geometric_graph(n, degree, seed=3)
    assert_canonical(A)
    points = np.random.default_rng(3).random((n, 2))
    distance = np.linalg.norm(points[:, None] - points, axis=2)
    near = (distance <= np.sqrt(degree / (np.pi * n))) & ~np.eye(n, dtype=bool)
    np.testing.assert_array_equal(A.toarray(), near)


def test_random_geometric_graph_has_the_degree():
    degrees = gallery.random_geometric_graph(20_000, degree=12).sum(axis=1)
    assert 11 < degrees.mean() < 12.2


@pytest.mark.parametrize(("n", "degree"), [(0, 8), (10, 0), (10, -1), (10, np.nan)])
def test_random_geometric_graph_that_is_wrong(n, degree):
    with pytest.raises(ValueError, match="expected n >= 1 and degree > 0"):
        gallery.random_geometric_graph(n, degree)


@pytest.mark.parametrize(("n", "m"), [(2, 1), (5, 4), (50, 3), (2000, 4)])
def test_barabasi_albert_counts(n, m):
    A = gallery.barabasi_albert(n, m)
    assert_canonical(A)
    assert set(A.data) == {1.0}, "an edge was drawn twice"
    assert not A.diagonal().any()
    # Every node from m on has exactly m edges to earlier ones.
    np.testing.assert_array_equal(sp.tril(A).sum(axis=1), [0] * m + [m] * (n - m))


def test_barabasi_albert_has_a_power_law():
    """The share of nodes of degree k is 2 m (m + 1) / (k (k + 1) (k + 2)) in the limit."""
    n, m = 50_000, 4
    degrees = gallery.barabasi_albert(n, m, seed=1).sum(axis=1).astype(int)
    for k in (4, 6, 10, 20):
        share = 2 * m * (m + 1) / (k * (k + 1) * (k + 2))
        assert abs(np.mean(degrees == k) - share) < 5 * np.sqrt(share / n) + 0.03 * share
    assert degrees.max() > 50 * degrees.mean()


def test_graphs_depend_on_the_seed_only():
    for make in (gallery.barabasi_albert, gallery.random_geometric_graph):
        assert (make(200, seed=5) != make(200, seed=5)).nnz == 0
        assert (make(200, seed=5) != make(200, seed=6)).nnz > 0


@pytest.mark.parametrize(("n", "m"), [(3, 3), (3, 0), (0, 1)])
def test_barabasi_albert_that_is_wrong(n, m):
    with pytest.raises(ValueError, match="expected 1 <= m < n"):
        gallery.barabasi_albert(n, m)


def test_laplacian():
    W = np.array([[5, 2, 0, 0], [2, 0, -1, 0], [0, -1, 0, 0], [0, 0, 0, 0]])
    L = gallery.laplacian(W)
    assert_canonical(L)
    np.testing.assert_array_equal(
        L.toarray(), [[2, -2, 0, 0], [-2, 1, 1, 0], [0, 1, -1, 0], [0, 0, 0, 0]]
    )
    shifted = gallery.laplacian(W.astype(np.float32), shift=0.5)
    assert_canonical(shifted)
    np.testing.assert_array_equal(shifted.toarray(), L.toarray() + 0.5 * np.eye(4))


@pytest.mark.parametrize(
    ("W", "shift", "message"),
    [
        ([[0, 1], [2, 0]], 0, "expected a symmetric matrix"),
        ([[0, 1]], 0, "expected a square matrix"),
        ([[0, np.nan], [np.nan, 0]], 0, "expected finite"),
        ([[0, 1], [1, 0]], np.inf, "expected a finite shift, got inf"),
    ],
)
def test_laplacian_that_is_wrong(W, shift, message):
    with pytest.raises(ValueError, match=message):
        gallery.laplacian(W, shift)


def test_shifted_keeps_the_precision():
    A = gallery.shifted(np.ones((2, 2), np.float32), 3)
    assert A.dtype == np.float32
    np.testing.assert_array_equal(A.toarray(), [[4, 1], [1, 4]])


# Random walker


def walker_by_the_book(image, labels, beta):
    """The same system with dense matrices and loops over pixels."""
    h, w = labels.shape
    g = np.asarray(image, float).reshape(h * w, -1)
    pairs = [(r * w + c, r * w + c + 1) for r in range(h) for c in range(w - 1)]
    pairs += [(r * w + c, r * w + c + w) for r in range(h - 1) for c in range(w)]
    gaps = [np.sum((g[p] - g[q]) ** 2) for p, q in pairs]
    L = np.zeros((h * w, h * w))
    for (p, q), gap in zip(pairs, gaps, strict=True):
        weight = np.exp(-beta * gap / max(gaps)) + 1e-6
        L[p, p] += weight
        L[q, q] += weight
        L[p, q] -= weight
        L[q, p] -= weight
    flat = labels.ravel()
    free, seeded = np.flatnonzero(flat == 0), np.flatnonzero(flat)
    return L[np.ix_(free, free)], -L[np.ix_(free, seeded)], flat[seeded], free


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_random_walker(channels, dtype):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (5, 6, *channels)).astype(dtype)
    labels = np.zeros((5, 6), int)
    labels[0, 0] = labels[1, 1] = 3
    labels[4, 5] = 7
    A, b, unknowns = gallery.random_walker(image, labels, beta=20)
    dense, coupling, seeds, free = walker_by_the_book(image, labels, 20)
    assert_canonical(A)
    np.testing.assert_allclose(A.toarray(), dense, rtol=1e-13)
    np.testing.assert_allclose(b, coupling @ (seeds == 3), rtol=1e-13)
    np.testing.assert_array_equal(unknowns, free)


def test_random_walker_probabilities():
    rng = np.random.default_rng(1)
    image = rng.random((8, 9))
    labels = np.zeros((8, 9), np.int8)
    labels[0, 0], labels[7, 0], labels[7, 8] = 1, 2, 5
    A, b, _ = gallery.random_walker(image, labels)
    assert b.shape == (69, 3)
    x = np.linalg.solve(A.toarray(), b)
    np.testing.assert_allclose(x.sum(axis=1), 1, rtol=1e-9)
    assert x.min() >= 0


def test_random_walker_finds_the_edge_of_a_step():
    image = np.zeros((10, 20))
    image[:, 13:] = 1
    labels = np.zeros((10, 20), int)
    labels[5, 2], labels[5, 17] = 1, 2
    A, b, unknowns = gallery.random_walker(image, labels)
    probability = np.full(200, np.nan)
    probability[unknowns] = np.linalg.solve(A.toarray(), b)
    left = probability.reshape(10, 20) > 0.5
    left[5, 2] = True
    np.testing.assert_array_equal(left, image == 0)


def test_random_walker_on_a_flat_image():
    A, b, _ = gallery.random_walker(np.zeros((1, 4)), np.array([[1, 0, 0, 2]]))
    np.testing.assert_allclose(np.linalg.solve(A.toarray(), b), [2 / 3, 1 / 3])


@pytest.mark.parametrize(
    ("image", "labels", "beta", "message"),
    [
        (np.zeros(4), np.zeros(4, int), 1, "shape"),
        (np.zeros((2, 2)), np.zeros((2, 3), int), 1, r"got \(2, 2\) and \(2, 3\)"),
        (np.zeros((0, 2)), np.zeros((0, 2), int), 1, "shape"),
        (np.zeros((1, 3)), np.array([[1, 0, 1]]), 1, "two different ones"),
        (np.zeros((1, 3)), np.array([[1, 2, 1]]), 1, "0 somewhere"),
        (np.zeros((1, 3)), np.array([[1, 0, -1]]), 1, "labels >= 0"),
        (np.array([[0, np.nan, 0]]), np.array([[1, 0, 2]]), 1, "finite pixels"),
        (np.zeros((1, 3)), np.array([[1, 0, 2]]), -1, "beta = -1"),
        (np.zeros((1, 3)), np.array([[1, 0, 2]]), np.inf, "beta = inf"),
    ],
)
def test_random_walker_that_is_wrong(image, labels, beta, message):
    with pytest.raises(ValueError, match=message):
        gallery.random_walker(image, labels, beta)


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        (np.zeros((1, 3), complex), np.array([[1, 0, 2]])),
        (np.zeros((1, 3)), np.array([[1.0, 0, 2]])),
    ],
)
def test_random_walker_of_wrong_kind(image, labels):
    with pytest.raises(TypeError, match=r"expected (real numbers|integer labels)"):
        gallery.random_walker(image, labels)
