"""Pickles and deep copies: a factorization is its file, a preconditioner is made again."""

import copy
import dataclasses
import multiprocessing
import pickle

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf import gallery

A = gallery.poisson((20, 20))
b = np.arange(400.0)
WAYS = [copy.copy, copy.deepcopy] + [
    lambda x, protocol=protocol: pickle.loads(pickle.dumps(x, protocol)) for protocol in (2, 5)
]


def factorizations():
    F = pympf.factorize(A, core_size=50)
    yield "plain", F
    yield "sqrt", F.sqrt()
    yield "inverse", F.inverse()
    yield "function", F.function(np.exp)
    yield "positive inverse", F.positive_inverse()
    yield "prenormalized", pympf.factorize(A, prenormalize=True)
    yield "order 3", pympf.factorize(A, order=3, eliminate=2)
    yield "float32", pympf.factorize(A.astype(np.float32))
    yield "all core", pympf.factorize(A, core_size=400)
    yield "sparse core", pympf.factorize(gallery.poisson(9000), core_size=8000)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("name", "F"), list(factorizations()), ids=lambda x: str(x)[:16])
def test_a_factorization_keeps_every_bit(name, F, way):
    G = way(F)
    x = np.random.default_rng(0).standard_normal((F.shape[0], 2)).astype(F.dtype)
    for method in ("apply", "transform", "inverse_transform"):
        assert np.array_equal(getattr(F, method)(x), getattr(G, method)(x))
    assert G.report().as_dict() == F.report().as_dict()
    assert (G.params, G.shape, G.dtype, G.levels) == (F.params, F.shape, F.dtype, F.levels)


def preconditioners():
    ring = gallery.laplacian(abs(gallery.poisson(300)))
    yield pympf.as_preconditioner(A)
    yield pympf.as_preconditioner(A, method="multilevel", cycle="w", smoother="chebyshev")
    yield pympf.as_preconditioner(A.astype(np.float32), method="multilevel")
    yield pympf.as_preconditioner(A, method="ict")
    yield pympf.as_preconditioner(A, method="jacobi")
    yield pympf.as_preconditioner(A, method="classic", core_size=30)
    yield pympf.as_preconditioner(A, near_nullspace=np.ones(400), block_size=2)
    yield pympf.as_preconditioner(ring)
    yield pympf.as_preconditioner((A - 3 * sp.eye_array(400)).toarray(), definite=False)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("M", list(preconditioners()), ids=lambda M: M.choice[:20])
def test_a_preconditioner_is_made_again_bit_for_bit(M, way):
    twin = way(M)
    assert twin is not M
    r = np.random.default_rng(0).standard_normal(M.shape[0]).astype(M.dtype)
    assert np.array_equal(twin.apply(r), M.apply(r))
    assert (twin.choice, twin.params, twin.dtype) == (M.choice, M.params, M.dtype)
    assert (twin.factorization is None) == (M.factorization is None)


def test_a_copy_after_an_update_is_of_the_last_matrix():
    M = pympf.as_preconditioner(A)
    M.update(3 * A)
    twin = copy.deepcopy(M)
    assert np.array_equal(twin.apply(b), pympf.as_preconditioner(3 * A).apply(b))
    twin.update(A)  # and it goes its own way
    assert not np.array_equal(twin.apply(b), M.apply(b))


@pytest.mark.parametrize("place", [0, 1000, -1])
def test_a_matrix_that_changed_in_place_is_refused(place):
    matrix = A.copy()
    M = pympf.as_preconditioner(matrix)
    matrix.data[place] *= 1 + 1e-15
    with pytest.raises(ValueError, match=r"changed in place.*as_preconditioner again"):
        pickle.dumps(M)
    matrix.data[:] = matrix.data[::-1].copy()
    with pytest.raises(ValueError, match="changed in place"):
        copy.deepcopy(M)


def test_near_nullspaces_are_not_shared():
    vectors = np.linspace(1, 2, 400)
    M = pympf.as_preconditioner(A, near_nullspace=vectors, method="multilevel")
    before = M.apply(b)
    vectors[:] = 7
    assert np.array_equal(copy.deepcopy(M).apply(b), before)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("preconditioner", ["mmf", "classic", "jacobi", "none"])
def test_a_solution_travels_without_its_operator(way, preconditioner):
    solution = pympf.solve(A, b, preconditioner=preconditioner)
    twin = way(solution)
    assert twin.operator is (solution.operator if way is copy.copy else None)
    for field in dataclasses.fields(solution):
        ours, theirs = getattr(solution, field.name), getattr(twin, field.name)
        if field.name == "plan":
            assert ours == theirs
        elif field.name != "_made":  # behind `operator`
            assert np.array_equal(ours, theirs)
    twin.x[0] = 7
    assert (solution.x[0] == 7) == (way is copy.copy)


def test_workers_return_what_they_found():
    tasks = [(k * A, b) for k in (1, 2)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        solutions = pool.starmap_async(pympf.solve, tasks).get(120)
        factors = pool.map_async(pympf.factorize, [k * A for k in (1, 2)]).get(120)
    for k, solution, F in zip((1, 2), solutions, factors, strict=True):
        assert np.array_equal(solution.x, pympf.solve(k * A, b).x)
        assert np.array_equal(F @ b, pympf.factorize(k * A) @ b)


@pytest.mark.parametrize("what", [pympf.factorize(A), pympf.as_preconditioner(A)])
def test_reports_are_plain(what):
    report = what.report()
    assert pickle.loads(pickle.dumps(report)).as_dict() == report.as_dict()
    assert copy.deepcopy(report).as_dict() == report.as_dict()


def test_a_damaged_pickle_is_an_error():
    image = bytearray(pickle.dumps(pympf.factorize(A)))
    image[len(image) // 2] ^= 0xFF
    with pytest.raises(OSError, match="whole and undamaged"):
        pickle.loads(bytes(image))
