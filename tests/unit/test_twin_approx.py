"""The engine of rotations and its numpy twin find the same rotations, core and entries."""

import numpy as np
import pytest

import pympf
from pympf import matching
from pympf.ref import approx as twin

KINDS = ("direct", "symmetric", "skew")


def random_matrix(kind, n, seed, m=None):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((m or n, n)) * (rng.random((m or n, n)) < 4 / n)
    return {"direct": A, "symmetric": A + A.T, "skew": A - A.T}[kind] if m is None else A


def run_of_core(kind, A, drop, rotations):
    from pympf import _approx

    rows = matching.rows_of(matching.checked(A))
    run = getattr(_approx, f"{kind}_run")(rows, drop, 1e9, rotations)
    run.advance(rotations)
    return run


def compare(kind, A, rotations, core, drop=0.0, rule="diagonal", entries=0):
    run = run_of_core(kind, A, drop, rotations)
    factors = run.finish(core, rule, entries)
    state = factors.state()
    row, column = run.pairing
    other = twin.Run(kind, A, row, column, drop=drop, rotations=rotations)
    other.advance(rotations)
    width = twin.DECOUPLE[kind][0]
    for mine, theirs in zip(state["pairs"], other.rotations, strict=True):
        for k, group in zip(mine, theirs[:2], strict=True):
            at, there = slice(width * k, width * (k + 1)), slice(width * group, width * (group + 1))
            assert state["row"][at].tolist() == row[there].tolist()
            assert state["column"][at].tolist() == column[there].tolist()
    assert run.dropped[0] ** 2 == pytest.approx(other.dropped2, rel=1e-9, abs=1e-20)

    rows, columns = twin.choose_core(other, core)
    for mine, theirs, place in (
        (state["core_rows"], rows, other.row),
        (state["core_columns"], columns, other.column),
    ):
        assert mine.tolist() == sorted(place[theirs & (place >= 0)].tolist())
    kept = twin.sparsify(other, (rows, columns), rule, entries)
    there = np.ix_(other.row >= 0, other.column >= 0)
    expected = np.zeros(A.shape)
    expected[np.ix_(other.row[other.row >= 0], other.column[other.column >= 0])] = kept[there]
    H = pympf.approx.RotationFactorization(factors, {}).coefficients.toarray()
    np.testing.assert_allclose(H, expected, atol=1e-12 * np.linalg.norm(A))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_same_rotations(kind, seed):
    n = 41 + seed
    compare(kind, random_matrix(kind, n, seed), 2 * n, core=8)


@pytest.mark.parametrize("kind", KINDS)
def test_same_with_what_is_dropped(kind):
    compare(kind, random_matrix(kind, 60, 5), 60, core=6, drop=0.1)


@pytest.mark.parametrize("shape", [(40, 25), (25, 40)])
@pytest.mark.parametrize("rule", ["diagonal", "top", "greedy"])
def test_same_of_rectangular_matrices(shape, rule):
    A = random_matrix("direct", shape[1], 7, m=shape[0])
    compare("direct", A, 30, core=4, rule=rule, entries=12)


@pytest.mark.parametrize("seed", range(5))
def test_same_sum_of_a_matching(seed):
    W = abs(random_matrix("direct", 30, seed, m=35))
    found = matching.maximum_sum(W)
    rows = np.flatnonzero(found.column >= 0)
    assert W[rows, found.column[rows]].sum() == pytest.approx(twin.maximum_sum(W), rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_closed_forms(kind, rng):
    width = twin.DECOUPLE[kind][0]
    for _ in range(50):
        M = rng.standard_normal((2 * width, 2 * width))
        M = {"direct": M, "symmetric": M + M.T, "skew": M - M.T}[kind]
        G_u, G_v = twin.decouple(kind, M)
        for G in (G_u, G_v):
            np.testing.assert_allclose(G @ G.T, np.eye(2 * width), atol=1e-14)
        D = G_u @ M @ G_v.T
        assert np.abs(D[:width, width:]).max() < 1e-14
        assert np.abs(D[width:, :width]).max() < 1e-14
