"""What all operators share: shapes, products of vectors and blocks, transposes, SciPy's face."""

import copy
import functools
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spl
from hypothesis import given, settings
from hypothesis import strategies as st

import pympf
from pympf import gallery
from pympf.la import Matrix, Operator, Ranks
from pympf.lsh import EuclideanHash, HyperplaneHash
from pympf.sketch import BlockSparse


class Times(Operator):
    """A dense matrix, which sees what its products are given."""

    def __init__(self, A):
        super().__init__(A.dtype, A.shape)
        self.A, self.seen = A, []

    def _apply(self, X):
        self.seen.append(X)
        return self.A @ X

    def _apply_transpose(self, Y):
        self.seen.append(Y)
        return self.A.T @ Y


@functools.cache
def operators():
    A = gallery.poisson((9, 9))
    F = pympf.factorize(A, core_size=20)
    return {
        "Mmf": F,
        "inverse": F.inverse(),
        "classic": pympf.as_preconditioner(A, method="classic", core_size=20),
        "multilevel": pympf.as_preconditioner(A, method="multilevel"),
        "float32": pympf.as_preconditioner(A.astype(np.float32)),
        "hyperplanes": HyperplaneHash(7, n_functions=3, n_tables=4, seed=2).projection,
        "slabs": EuclideanHash(40, n_functions=2, n_tables=3, width=0.5).projection,
        "sketch": BlockSparse(132, w=2),
        "rectangular": Times(np.arange(12.0).reshape(3, 4)),
        "transposed": Times(np.arange(12.0).reshape(3, 4)).T,
    }


@pytest.mark.parametrize("name", operators())
def test_products(name, rng):
    A = operators()[name]
    m, n = A.shape
    assert A.local_shape == A.shape
    assert A.comm is None
    dense = A.apply(np.eye(n, dtype=A.dtype))
    assert dense.shape == A.shape
    assert dense.dtype == A.dtype
    tolerance = 100 * n * np.finfo(A.dtype).eps * abs(dense).max()
    x, X, y = rng.standard_normal(n), rng.standard_normal((n, 3)), rng.standard_normal(m)
    x, X, y = (array.astype(A.dtype) for array in (x, X, y))
    for product in (A.apply, A.matvec, A.dot, A.__matmul__):
        np.testing.assert_allclose(product(x), dense @ x, atol=tolerance)
    for product in (A.apply, A.matmat, A.dot, A.__matmul__):
        np.testing.assert_allclose(product(X), dense @ X, atol=3 * tolerance)
    for product in (A.apply_transpose, A.rmatvec, A.T.apply, A.H.apply, A.T.__matmul__):
        np.testing.assert_allclose(product(y), dense.T @ y, atol=tolerance)
    assert A.T.shape == (n, m)
    np.testing.assert_array_equal(A.T.T @ x, A @ x)
    assert A.apply(x[:, None]).shape == (m, 1)
    np.testing.assert_array_equal(A.apply(x[:, None])[:, 0], A.apply(x))


@pytest.mark.parametrize("name", operators())
def test_what_is_refused(name):
    A = operators()[name]
    n = A.shape[1]
    masked = np.ma.masked_equal(np.arange(n), 0)
    for x, kind, text in (
        (np.ones(n + 1), ValueError, rf"x: expected shape \({n},\)"),
        (np.ones((n + 1, 2)), ValueError, rf"x: expected shape \({n},\)"),
        (np.full(n, np.nan), ValueError, "x: expected finite"),
        (np.ones(n) * 1j, TypeError, "x: expected real numbers"),
        (masked, ValueError, "x: masked"),
    ):
        for product in (A.apply, A.matvec, A.__matmul__):
            with pytest.raises(kind, match=text):
                product(x)


def test_what_a_derived_operator_is_given():
    A = Times(np.ones((2, 3), np.float32))
    A.apply([1, 2, 3])
    A.apply(np.asfortranarray(np.ones((3, 2))))
    A.apply_transpose([[1], [2]])
    assert [X.shape for X in A.seen] == [(3, 1), (3, 2), (2, 1)]
    assert all(X.dtype == np.float32 and X.flags.c_contiguous for X in A.seen)


def test_an_operator_without_a_transpose_says_so():
    class Rows(Operator):
        def __init__(self):
            super().__init__(float, (1, 2))

        def _apply(self, X):
            return X[:1]

    assert Rows() @ [3.0, 4.0] == [3.0]
    with pytest.raises(NotImplementedError, match="Rows has no product with its transpose"):
        Rows().apply_transpose([1.0])
    with pytest.raises(NotImplementedError, match="Operator has no product"):
        Operator(float, (1, 2)).apply([1.0, 2.0])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4), st.integers(0, 99))
def test_products_with_other_operators(m, n, k, seed):
    rng = np.random.default_rng(seed)
    A, B = rng.standard_normal((m, n)), rng.standard_normal((n, k))
    x, y = rng.standard_normal(k), rng.standard_normal(m)
    both = Times(A) @ Times(B)
    np.testing.assert_allclose(both @ x, A @ (B @ x))
    np.testing.assert_allclose(both.T @ y, B.T @ (A.T @ y))
    np.testing.assert_allclose((2.0 * Times(A)).T @ y, 2 * (A.T @ y))
    np.testing.assert_allclose((Times(A) + spl.aslinearoperator(A)) @ (B @ x), 2 * A @ (B @ x))
    np.testing.assert_allclose(spl.aslinearoperator(Times(A)) @ (B @ x), A @ (B @ x))
    np.testing.assert_allclose(y @ Times(A), y @ A)


def test_scipys_solvers_take_a_factorization():
    A = gallery.poisson((12, 12))
    F = pympf.factorize(A, core_size=50)
    b = np.sin(np.arange(144.0))
    x, info = spl.cg(F, b, M=pympf.as_preconditioner(A), rtol=1e-10)
    assert info == 0
    np.testing.assert_allclose(x, F.solve(b), atol=1e-7)


def test_a_factorization_stays_itself():
    F = pympf.factorize(gallery.poisson((9, 9)), core_size=20)
    assert copy.copy(F) is F
    again = pickle.loads(pickle.dumps(F))
    assert np.array_equal(again @ np.ones(81), F @ np.ones(81))


# Matrices


def test_a_matrix_is_checked_once(monkeypatch):
    A = Matrix(gallery.poisson((9, 9)))
    assert Matrix.of(A) is A
    checked = []
    monkeypatch.setattr("pympf.la.matrix.canonical", lambda *a, **k: checked.append(a))
    F = pympf.factorize(A)
    M = pympf.as_preconditioner(A)
    M.update(A)
    solution = pympf.solve(A, np.ones(81), preconditioner=M)
    assert solution.converged
    assert F.error(A) < 1e-12
    assert pympf.logdet(A, F, n_probes=4).n_probes == 4
    assert checked == []


def test_what_a_matrix_knows():
    A = Matrix(sp.csr_array(np.diag([1.0, -2.0, 0.0])))
    assert A.is_symmetric
    assert A.is_diagonal
    assert not A.has_positive_diagonal
    np.testing.assert_array_equal(A.diagonal(), [1, -2, 0])
    B = Matrix([[1, 2], [3, 4]])
    assert not B.is_symmetric
    assert not B.is_diagonal
    assert B.astype(np.float64) is B
    assert B.astype(np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="float32 cannot hold"):
        Matrix([[1e300]]).astype(np.float32)
    with pytest.raises(ValueError, match="square"):
        Matrix(np.ones((2, 3)))
    C = Matrix(np.ones((2, 3)), square=False)
    assert (C.shape, C.local_shape, C.rows, C.ranks.size) == ((2, 3), (2, 3), range(2), 1)
    with pytest.raises(ValueError, match="square"):
        Matrix.of(C)


def test_ranks_are_checked():
    with pytest.raises(TypeError, match="expected an mpi4py communicator, got a int"):
        Ranks(3)
    with pytest.raises(TypeError, match="expected an mpi4py communicator"):
        pympf.factorize(np.eye(2), comm="world")
    assert Ranks(Ranks(None)).comm is None


# Reports


def test_the_core_gives_the_columns_that_are_declared():
    """Names drift where a list stands twice: the core's are the declared ones, in kind too."""
    A = gallery.poisson((20, 20))
    for report, lines in (
        (pympf.factorize(A, core_size=50).report(), "stages"),
        (pympf.as_preconditioner(A, method="multilevel").report(), "levels"),
        (pympf.lsh.Table(HyperplaneHash(2, n_functions=3)).report(), "tables"),
    ):
        declared = {column["name"]: column["kind"] for column in report.columns()}
        for line in report.as_dict()[lines]:
            assert {name: type(value).__name__ for name, value in line.items()} == declared
        head = str(report).splitlines()[0]
        assert all(name in head for name in ("level", "rows", "seconds")) or lines == "tables"
