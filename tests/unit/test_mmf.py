"""The factorization: its invariants, exact up to rounding, for all kinds of matrices."""

import os
import subprocess
import sys
import textwrap
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import pympf
from pympf import gallery

from ..helpers import (
    assert_close,
    flat_state,
    matrices,
    nested_pairs,
    parameters,
    random_graph_laplacian,
    random_spd,
    random_symmetric,
    rounding,
    same_bits,
)

KINDS = {field["name"]: field for field in pympf.Params.fields()}


def dense_H(F):
    """The middle factor of F = D Qᵀ H Q D: the core, and the eigenvalues of the wavelets."""
    return sp.block_diag([F.core(), sp.diags_array(F.spectrum()[F.core_size :])]).toarray()


def check_invariants(F, A, dtype=np.float64):
    """Check everything that holds up to rounding for an F that is not prenormalized."""
    n = A.shape[0]
    A = A.toarray().astype(np.float64)
    Q, H = F.basis().toarray().astype(np.float64), dense_H(F)
    size, multiple = np.linalg.norm(A), 50 * F.params["order"]
    assert_close(Q @ Q.T, np.eye(n), multiple, dtype)
    rotated = Q @ A @ Q.T
    kept = np.diag(np.diag(rotated))
    kept[: F.core_size, : F.core_size] = rotated[: F.core_size, : F.core_size]
    assert_close(H, kept, multiple, dtype, scale=size)
    approximation = F.to_csr().toarray()
    assert_close(approximation, Q.T @ H @ Q, multiple, dtype, scale=size)
    assert_close(F @ np.eye(n), approximation, multiple, dtype, scale=size)
    # The squares of what was dropped, three ways.
    dropped2 = np.linalg.norm(A - approximation) ** 2
    tolerance = rounding(multiple, dtype) * size**2
    assert abs(dropped2 - (size**2 - np.linalg.norm(H) ** 2)) <= tolerance
    assert abs(dropped2 - (F.error(A) * size) ** 2) <= tolerance
    assert abs(dropped2 - (F.report().relative_error * size) ** 2) <= tolerance
    assert abs(F.trace() - np.trace(A)) <= rounding(multiple, dtype) * np.sqrt(n) * size


# The invariants


@given(matrices(), parameters())
@settings(max_examples=200)
def test_invariants(A, params):
    params["prenormalize"] = False
    check_invariants(pympf.factorize(A, **params), A)


@given(matrices(), parameters())
def test_invariants_of_float32(A, params):
    params["prenormalize"] = False
    A = sp.csr_array((A / max(1, abs(A).max())).astype(np.float32))
    F = pympf.factorize(A, **params)
    assert F.dtype == np.float32
    check_invariants(F, A, np.float32)


@given(matrices(), parameters())
def test_invariants_when_prenormalized(A, params):
    F = pympf.factorize(A, **{**params, "prenormalize": True})
    n = A.shape[0]
    norms = np.sqrt((A**2).sum(axis=0))
    D = np.diag(np.sqrt(np.where(norms > 0, norms, 1)))
    inverse = np.linalg.inv(D)
    Q, H = F.basis().toarray(), dense_H(F)
    scaled = inverse @ A.toarray() @ inverse
    size = np.linalg.norm(scaled)
    assert_close(F.to_csr().toarray(), D @ Q.T @ H @ Q @ D, 100)
    assert_close(F @ np.eye(n), F.to_csr().toarray(), 100)
    dropped2 = np.linalg.norm(scaled - Q.T @ H @ Q) ** 2
    assert abs(dropped2 - (size**2 - np.linalg.norm(H) ** 2)) <= rounding(100) * size**2
    assert abs(dropped2 - (F.error(A) * size) ** 2) <= rounding(100) * size**2
    assert F.trace() == pytest.approx(np.trace(F.to_csr().toarray()), rel=1e-13, abs=0)


@given(st.integers(1, 40), st.integers(0, 2**32), parameters())
def test_positive_definite_stays_within_the_spectrum(n, seed, params):
    params["prenormalize"] = False
    A = random_spd(n, np.random.default_rng(seed))
    eigenvalues = np.linalg.eigvalsh(A.toarray())
    found = pympf.factorize(A, **params).spectrum()
    slack = rounding(100) * eigenvalues[-1]
    assert found.min() >= eigenvalues[0] - slack
    assert found.max() <= eigenvalues[-1] + slack


@given(st.integers(0, 2**31 - 1), st.sampled_from(["relative", "absolute"]))
@settings(max_examples=30)
def test_hierarchical_matrix_is_reproduced(seed, retire):
    A = nested_pairs(levels=5, rng=np.random.default_rng(seed))
    F = pympf.factorize(A, core_size=2, retire=retire, seed=seed)
    assert F.core_size == 2
    assert F.error(A) <= rounding(1000)


def test_ultrametric_matrix_is_reproduced(rng):
    A = nested_pairs(levels=6, rng=rng, core_size=1, angles=np.pi / 4)
    F = pympf.factorize(A, core_size=1)
    assert F.error(A) <= rounding(1000)
    assert_close(np.sort(F.spectrum()), np.linalg.eigvalsh(A), 1000)


@pytest.mark.parametrize("core_size", [36, 37, 10**6])
def test_core_of_the_whole_matrix_is_exact(rng, core_size):
    A = random_symmetric(36, rng)
    F = pympf.factorize(A, core_size=core_size)
    assert (F.levels, F.core_size, F.error(A)) == (0, 36, 0)
    np.testing.assert_array_equal(F.to_csr().toarray(), A.toarray())
    np.testing.assert_array_equal(F.basis().toarray(), np.eye(36))


# Every parameter


@pytest.mark.parametrize("name", KINDS)
def test_every_parameter_takes_its_range(rng, name):
    A = random_spd(60, rng)
    field = KINDS[name]
    values = field["choices"] or [False, True]
    if field["kind"] in ("int", "real"):
        convert = int if field["kind"] == "int" else float
        values = [convert(field["minimum"]), field["default"], convert(field["maximum"])]
        values += [10**6] if field["maximum"] > 10**6 else []
    needed = {"eliminate": {"order": 16}, "min_cluster_size": {"max_cluster_size": 2**31 - 1}}
    for value in values:
        F = pympf.factorize(A, **{"core_size": 10, **needed.get(name, {}), name: value})
        assert F.params[name] == value
        if name != "prenormalize":
            check_invariants(F, A)


@pytest.mark.parametrize("order", [2, 3, 4, 5])
@pytest.mark.parametrize("eliminate", [1, 2, 3, 4])
def test_order_and_eliminate(order, eliminate):
    A = gallery.poisson((5, 10))
    if eliminate >= order:
        with pytest.raises(ValueError, match=f"eliminate = {eliminate} is not below order"):
            pympf.factorize(A, order=order, eliminate=eliminate)
        return
    F = pympf.factorize(A, order=order, eliminate=eliminate, core_size=7)
    assert F.core_size == 7
    check_invariants(F, A)
    first = F.report().stages[0]
    assert first["retired"] <= eliminate * first["rotations"]


def test_higher_order_loses_less():
    A = gallery.poisson((20, 20))
    errors = [pympf.factorize(A, order=k, core_size=200, max_stages=1).error(A) for k in (2, 4)]
    assert errors[1] < errors[0]


@pytest.mark.parametrize("clusters", [1, 3, 50])
def test_clustering_by_inner_product(clusters):
    A = gallery.poisson((20, 20))
    F = pympf.factorize(
        A, clustering="inner_product", clusters=clusters, max_cluster_size=60, core_size=40
    )
    assert F.report().stages[0]["clusters"] >= clusters
    check_invariants(F, A)


def test_bypassed_columns_sit_out(rng):
    # 60 columns in clusters of 10 have 6 anchors, and no anchor reaches another of the 12 blocks.
    A = sp.csr_array(sp.block_diag([random_spd(5, rng) for _ in range(12)]))
    given = {"clustering": "inner_product", "clusters": 1, "core_size": 5, "max_cluster_size": 10}
    F = pympf.factorize(A, bypass=True, max_clustering_iterations=1, **given)
    assert F.report().stages[0]["bypassed"] > 0
    check_invariants(F, A)
    F = pympf.factorize(A, bypass=False, max_clustering_iterations=1, **given)
    assert F.report().stages[0]["bypassed"] == 0
    check_invariants(F, A)


# Where it stops


@pytest.mark.parametrize("core_size", [1, 17, 100, 399])
@pytest.mark.parametrize("eliminate", [1, 3])
def test_core_size_is_met_exactly(core_size, eliminate):
    F = pympf.factorize(
        gallery.poisson((20, 20)), core_size=core_size, order=4, eliminate=eliminate
    )
    assert (F.core_size, F.report().stop) == (core_size, "core_size")


@pytest.mark.parametrize("max_stages", [0, 1, 3])
def test_number_of_stages(max_stages):
    F = pympf.factorize(gallery.poisson((20, 20)), core_size=10, max_stages=max_stages)
    assert (F.levels, F.report().stop) == (max_stages, "max_stages")


@pytest.mark.parametrize("gram", KINDS["gram"]["choices"])
@given(st.integers(0, 2**32), st.floats(0.001, 0.9), st.booleans())
@settings(max_examples=30)
def test_tolerance_is_kept(gram, seed, tolerance, prenormalize):
    A = random_graph_laplacian(80, np.random.default_rng(seed))
    given = {"gram": gram, "tolerance": tolerance, "prenormalize": prenormalize}
    F = pympf.factorize(A, core_size=1, max_cluster_size=20, **given)
    assert F.error(A) <= tolerance
    assert F.core_size > 1 or F.report().stop == "core_size"


def test_tolerance_is_kept_next_to_hubs():
    A = gallery.laplacian(gallery.barabasi_albert(600, m=4))
    F = pympf.factorize(A, core_size=1, tolerance=0.1, hub_factor=1)
    assert F.error(A) <= 0.1


def badly_scaled(seed, decades, dtype):
    """A band matrix with rows and columns of sizes over so many decades up and down."""
    rng = np.random.default_rng(seed)
    S = np.zeros((60, 60))
    for k in (1, 2):
        d = rng.standard_normal(60 - k)
        S += np.diag(d, k) + np.diag(d, -k)
    S += np.diag(abs(S).sum(axis=1))
    d = 10.0 ** rng.uniform(-decades, decades, 60)
    S = np.triu(S * d[:, None] * d)
    return (S + np.triu(S, 1).T).astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "decades", "tolerance"),
    [
        (np.float64, 8, 1e-10),
        (np.float64, 8, 1e-13),
        (np.float64, 4, 1e-10),
        (np.float64, 2, 1e-9),
        (np.float32, 4, 1e-5),
        (np.float32, 4, 1e-6),
    ],
)
def test_tolerances_below_the_root_of_rounding_are_kept(dtype, decades, tolerance):
    for seed in range(15):
        S = badly_scaled(seed, decades, dtype)
        F = pympf.factorize(S, core_size=2, tolerance=tolerance)
        assert F.error(S) <= tolerance + rounding(10, dtype)


@pytest.mark.parametrize("size", [1e-3, 1e-8, 1e-12])
@pytest.mark.parametrize("order", [2, 4])
def test_small_errors_are_reported(size, order):
    """A hierarchical matrix and a little more: by a difference of norms the error would be zero."""
    rng = np.random.default_rng(3)
    A = nested_pairs(levels=6, rng=rng)
    A = A.toarray() if sp.issparse(A) else A
    noise = rng.standard_normal(A.shape)
    A = A + size * np.linalg.norm(A) / len(A) * (noise + noise.T)
    F = pympf.factorize(A, core_size=4, order=order)
    assert F.error(A) > 0
    assert abs(F.report().relative_error - F.error(A)) <= 1e-3 * F.error(A) + rounding(10)
    total = np.sqrt(sum(stage["dropped"] ** 2 for stage in F.report().stages))
    assert abs(total - F.report().relative_error) <= 1e-12


def kernel(rng, n=200, width=0.3, power=2):
    X = rng.random((n, 2))
    distance = np.sqrt(((X[:, None] - X) ** 2).sum(axis=-1))
    return np.exp(-((distance / width) ** power)) + 1e-6 * np.eye(n)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("power", [1, 2])
def test_smooth_kernels_keep_their_norm(rng, dtype, power):
    K = kernel(rng, power=power).astype(dtype)
    by = {r: pympf.factorize(K, core_size=10, retire=r) for r in KINDS["retire"]["choices"]}
    assert by["relative"].error(K) > 0.8
    assert by["absolute"].error(K) < 0.5
    assert np.array_equal(by["auto"] @ np.eye(200), by["absolute"] @ np.eye(200))
    assert by["auto"].report().retire == "absolute"
    assert ", absolute rule," in str(by["auto"].report())
    assert by["auto"].params["retire"] == "auto"


@pytest.mark.parametrize("tolerance", [0.5, 0.05])
def test_kernels_within_a_tolerance_are_compressed(rng, tolerance):
    K = kernel(rng)
    F, G = (
        pympf.factorize(K, core_size=10, tolerance=tolerance, retire=r)
        for r in ("auto", "relative")
    )
    assert F.report().retire == "absolute"
    assert F.error(K) <= tolerance
    assert F.core_size < G.core_size


@pytest.mark.parametrize(
    "A",
    [
        gallery.poisson((30, 30)),
        gallery.poisson((10, 10, 10)),
        gallery.laplacian(gallery.barabasi_albert(500, m=4)),
        gallery.poisson((20, 20)) - 0.5 * sp.eye_array(400),
        gallery.anisotropic(20, 1e-3),
        gallery.barabasi_albert(500, m=4),
    ],
    ids=["2-D", "3-D", "graph", "shifted", "anisotropic", "adjacency"],
)
@pytest.mark.parametrize("tolerance", [0.0, 0.1])
def test_what_is_not_a_kernel_is_factored_as_for_preconditioning(A, tolerance):
    F, G = (
        pympf.factorize(A, core_size=20, tolerance=tolerance, retire=r)
        for r in ("auto", "relative")
    )
    assert F.report().retire == "relative"
    assert np.array_equal(F.spectrum(), G.spectrum())
    x = np.cos(np.arange(A.shape[0]))
    assert np.array_equal(F @ x, G @ x)


def test_smaller_tolerance_keeps_more():
    A = gallery.poisson((30, 30))
    sizes = [pympf.factorize(A, core_size=1, tolerance=t).core_size for t in (0.5, 0.2, 0.05)]
    assert sizes[0] < sizes[1] < sizes[2]


def test_what_cannot_be_paired_stalls():
    A = sp.csr_array(sp.diags_array([1.0, 2.0, 3.0]))
    assert pympf.factorize(A, core_size=1).error(A) == 0
    A = sp.csr_array(np.diag([1.0, -1.0]) + np.fliplr(np.diag([0.0, 0.0])))
    assert pympf.factorize(A, core_size=1).core_size == 1


# The same answer every time


def threads_give(count, A, **params):
    before = pympf.get_num_threads()
    pympf.set_num_threads(count)
    try:
        F = pympf.factorize(A, **params)
        block = np.linspace(-1, 1, 4 * A.shape[0]).reshape(-1, 4)  # enough for several threads
        return flat_state(F), F.apply(block), F.error(A)
    finally:
        pympf.set_num_threads(before)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"order": 4, "eliminate": 2},
        {"clustering": "inner_product", "clusters": 20, "prenormalize": True},
        {"selection": "random", "gram": "blocks"},
    ],
    ids=str,
)
def test_threads_do_not_change_a_bit(params):
    A = gallery.laplacian(gallery.random_geometric_graph(9000, seed=1))
    params = {"max_cluster_size": 500, "max_stages": 2, **params}
    state, y, error = threads_give(1, A, **params)
    for count in (2, 4):
        other, other_y, other_error = threads_give(count, A, **params)
        assert all(np.array_equal(state[name], other[name]) for name in state)
        np.testing.assert_array_equal(y, other_y)
        assert error == other_error


def test_seed():
    A = gallery.poisson((30, 30))
    for selection in ("best", "random"):
        F, G = (pympf.factorize(A, selection=selection, seed=7) for _ in range(2))
        assert same_bits(F, G)
    assert not same_bits(F, pympf.factorize(A, selection="random", seed=8))


# Other values, same rotations


def test_refactorize(rng):
    A = random_spd(80, rng)
    F = pympf.factorize(A, core_size=20)
    assert_close(F.refactorize(A).to_csr().toarray(), F.to_csr().toarray())
    B = random_symmetric(80, rng)
    G = F.refactorize(B)
    np.testing.assert_array_equal(G.basis().toarray(), F.basis().toarray())
    check_invariants(G, B)


def test_refactorize_when_prenormalized(rng):
    A = random_spd(80, rng)
    F = pympf.factorize(A, core_size=20, prenormalize=True)
    assert_close(F.refactorize(A).to_csr().toarray(), F.to_csr().toarray())
    assert_close(F.refactorize(3 * A).to_csr().toarray(), 3 * F.to_csr().toarray())


# Progress


def test_progress_sees_every_stage():
    lines = []
    F = pympf.factorize(gallery.poisson((30, 30)), progress=lines.append)
    assert lines == F.report().stages
    assert [line["level"] for line in lines] == list(range(1, F.levels + 1))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_progress_can_end_it(error):
    seen = []

    def stop_at_two(stage):
        seen.append(stage["level"])
        if stage["level"] == 2:
            raise error

    with pytest.raises(error):
        pympf.factorize(gallery.poisson((30, 30)), progress=stop_at_two)
    assert seen == [1, 2]


def test_tiny_work_wakes_no_threads(tmp_path):
    """A team of threads costs more than a small matrix: there is none until one is worth it."""
    script = """
        import os
        import numpy as np
        import pympf

        def threads():
            return len(os.listdir("/proc/self/task"))

        def work(A, **params):
            F = pympf.factorize(A, **params)
            b = np.ones(A.shape[0])
            F.error(A), F @ b, F.refactorize(A)
            pympf.solve(A, b, preconditioner=F, maxiter=3)

        before = threads()
        A = pympf.gallery.poisson((8, 8))
        for params in ({}, {"order": 3}, {"prenormalize": True}, {"clustering": "inner_product"}):
            work(A, core_size=10, **params)
        print(threads() - before, end=" ")
        work(pympf.gallery.poisson((150, 150)))
        print(threads() - before)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["0", "2"]


# The report


def test_report(rng):
    A = gallery.poisson((30, 30))
    F = pympf.factorize(A, core_size=50)
    report = F.report()
    stages = report.stages
    assert report.rows == stages[0]["rows"] == 900
    assert stages[0]["nnz"] == A.nnz
    assert sum(stage["retired"] for stage in stages) == 900 - 50
    for before, after in pairwise(stages):
        assert after["rows"] == before["rows"] - before["retired"]
    dropped = np.sqrt(sum(stage["dropped"] ** 2 for stage in stages))
    assert report.relative_error == pytest.approx(dropped) == pytest.approx(F.error(A))
    assert report.bytes == F.nbytes
    assert report.as_dict()["params"]["core_size"] == 50
    assert len(str(report).splitlines()) == F.levels + 3
    assert "hold for F, which is 0.35 of the norm of A away from A" in str(report)
    assert repr(F) == f"<Mmf 900 x 900, float64, {F.levels} levels, core 50>"


# ---- clusters given by the caller


def grid_squares(shape, side):
    """Label squares of a grid, and squares of four of those."""
    i, j = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    return np.array([i // s * 1000 + j // s for s in (side, 2 * side)])


@pytest.mark.parametrize("max_stages", [0, 1, 30])
@pytest.mark.parametrize("order", [2, 3])
def test_given_clusters_are_taken(order, max_stages, tmp_path):
    A = gallery.poisson((24, 20))
    labels = grid_squares((24, 20), 4)
    F = pympf.factorize(A, labels=labels, order=order, max_stages=max_stages, core_size=20)
    check_invariants(F, A)
    counts = [len(np.unique(of_depth)) for of_depth in labels]
    found = [line["clusters"] for line in F.report().stages]
    assert found == [counts[0]] * min(1, len(found)) + [counts[1]] * (len(found) - 1)
    if found:
        for i in range(0, 200, 20):
            assert len(np.unique(labels[0][F.wavelet(1, i).nonzero()[0]])) == 1
    F.save(tmp_path / "F.h5")
    G = pympf.load(tmp_path / "F.h5")
    x = np.random.default_rng(0).standard_normal((480, 2))
    assert np.array_equal(F @ x, G @ x)
    assert np.array_equal(F.transform(x), G.transform(x))
    assert same_bits(F, G)


def test_one_depth_of_labels_serves_all_stages():
    A = gallery.poisson((24, 20))
    fine = grid_squares((24, 20), 4)[0]
    F = pympf.factorize(A, labels=fine, core_size=20)
    assert same_bits(F, pympf.factorize(A, labels=[fine, fine], core_size=20))
    assert same_bits(F, pympf.factorize(A, labels=-(2**40) + 3 * fine, core_size=20))
    assert {line["clusters"] for line in F.report().stages} == {30}


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (np.zeros(480), TypeError, "labels: expected integers, got dtype float64"),
        (np.zeros(479, int), ValueError, r"expected shape \(480,\) or \(depths, 480\), got \(479,"),
        (np.zeros((0, 480), int), ValueError, r"got \(0, 480\)"),
        (np.zeros((1, 1, 480), int), ValueError, r"got \(1, 1, 480\)"),
        (np.full(480, 2**63, np.uint64), ValueError, "more than 64 bits"),
        ([np.zeros(480, int), np.arange(480)], ValueError, "must lie in one cluster of the next"),
        ("squares", TypeError, "labels: expected integers"),
    ],
)
def test_labels_that_are_refused(labels, error, message):
    with pytest.raises(error, match=message):
        pympf.factorize(gallery.poisson((24, 20)), labels=labels)
